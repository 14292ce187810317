//! Maven 3.6.3, a recent 3.9 and the newest Maven 4, all as they come through the node.
//!
//! Every run demands right checksums; see [`MavenUser::run`].

use std::path::Path;

use pyrsia_tests::clients::{self, Maven, MavenUser, NOWHERE, caches, trusting};
use pyrsia_tests::node::Node;
use pyrsia_tests::places;
use pyrsia_tests::process::Finished;
use tempfile::TempDir;

use super::{OWN, archive, missing_at_once, own_repository, publish_snapshot, snapshot, world};
use crate::fixture;

const OLD: &str = "3.6.3";
/// One that asks for the reason of an error, as 3.9.9 does not yet.
const RECENT: &str = "3.9.16";
const NEXT: &str = "4.0.0-rc-4";

const GO_OFFLINE: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:go-offline";
const RESOLVE: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:resolve";

/// A parent with parents, a BOM that is imported, a range, classifiers, types that are no JARs, a snapshot.
const PROJECT: &str = r"<project><modelVersion>4.0.0</modelVersion>
  <parent><groupId>org.pyrsia.more</groupId><artifactId>parent</artifactId><version>1</version><relativePath/></parent>
  <groupId>t</groupId><artifactId>t</artifactId><version>1</version>
  <properties>
    <maven.compiler.source>8</maven.compiler.source><maven.compiler.target>8</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <repositories><repository>
    <id>snapshots</id><url>http://127.0.0.1:9/</url><snapshots><enabled>true</enabled></snapshots>
  </repository></repositories>
  <dependencyManagement><dependencies><dependency>
    <groupId>com.fasterxml.jackson</groupId><artifactId>jackson-bom</artifactId><version>2.15.2</version>
    <type>pom</type><scope>import</scope>
  </dependency></dependencies></dependencyManagement>
  <dependencies>
    <dependency><groupId>com.fasterxml.jackson.core</groupId><artifactId>jackson-annotations</artifactId></dependency>
    <dependency>
      <groupId>org.apache.commons</groupId><artifactId>commons-text</artifactId><version>1.10.0</version>
    </dependency>
    <dependency>
      <groupId>commons-codec</groupId><artifactId>commons-codec</artifactId><version>[1.14,1.15]</version>
    </dependency>
    <dependency>
      <groupId>org.pyrsia.more</groupId><artifactId>dynamic</artifactId><version>[1.0,2.0)</version>
      <type>pom</type>
    </dependency>
    <dependency>
      <groupId>commons-io</groupId><artifactId>commons-io</artifactId><version>2.11.0</version>
      <classifier>sources</classifier>
    </dependency>
    <dependency>
      <groupId>commons-io</groupId><artifactId>commons-io</artifactId><version>2.11.0</version><type>test-jar</type>
    </dependency>
    <dependency>
      <groupId>org.apache.maven.plugins</groupId><artifactId>maven-clean-plugin</artifactId><version>3.3.2</version>
      <classifier>source-release</classifier><type>zip</type><scope>runtime</scope>
    </dependency>
    <dependency>
      <groupId>org.pyrsia.more</groupId><artifactId>changing</artifactId><version>1.0-SNAPSHOT</version>
      <classifier>extra</classifier><type>zip</type><scope>runtime</scope>
    </dependency>
  </dependencies>
</project>
";

const MAIN: &str = r#"public class Main {
    public static void main(String[] arguments) {
        System.out.println(org.apache.commons.text.WordUtils.capitalize("it came through the node"));
    }
}
"#;

fn project(pom: &str) -> TempDir {
    let folder = places::scratch("maven-project");
    std::fs::write(folder.path().join("pom.xml"), pom).expect("a written POM");
    folder
}

fn run(user: &MavenUser, maven: &Maven, project: &Path, arguments: &[&str]) -> Finished {
    user.run(maven, project, &[arguments, &NOWHERE].concat())
}

/// A plugin found by its prefix, `go-offline`, and then a build that asks nobody for anything.
fn prepares_and_builds_offline(version: &str) {
    let world = world();
    let maven = Maven::released(version, &world.url());
    assert!(maven.version().contains(version), "{}", maven.version());
    let user = MavenUser::new(&world.url(), "*");
    let project = project(PROJECT);
    let sources = project.path().join("src/main/java");
    std::fs::create_dir_all(&sources).expect("a folder for sources");
    std::fs::write(sources.join("Main.java"), MAIN).expect("a written source");
    // The prefix belongs to the second of the groups that are searched; the version is the newest that there is.
    run(&user, &maven, project.path(), &["-U", GO_OFFLINE, "build-helper:maven-version"]).expect(0);
    assert!(user.repository().join("org/codehaus/mojo/build-helper-maven-plugin").is_dir());

    run(&user, &maven, project.path(), &["-o", "package"]).expect(0);
    let class_path = [
        project.path().join("target/classes"),
        user.local_file("org/apache/commons/commons-text/1.10.0/commons-text-1.10.0.jar"),
        user.local_file("org/apache/commons/commons-lang3/3.12.0/commons-lang3-3.12.0.jar"),
    ];
    let said = clients::java(&class_path, "Main").expect(0);
    assert!(said.stdout.contains("It Came Through The Node"), "{}", said.report());

    let expected = [
        "org/pyrsia/more/parent/1/parent-1.pom",
        "org/pyrsia/more/grandparent/1/grandparent-1.pom",
        "com/fasterxml/oss-parent/50/oss-parent-50.pom",
        "com/fasterxml/jackson/jackson-bom/2.15.2/jackson-bom-2.15.2.pom",
        "com/fasterxml/jackson/core/jackson-annotations/2.15.2/jackson-annotations-2.15.2.jar",
        "commons-codec/commons-codec/1.15/commons-codec-1.15.jar",
        "org/pyrsia/more/dynamic/1.1/dynamic-1.1.pom",
        "commons-io/commons-io/2.11.0/commons-io-2.11.0-sources.jar",
        "commons-io/commons-io/2.11.0/commons-io-2.11.0-tests.jar",
        "org/apache/maven/plugins/maven-clean-plugin/3.3.2/maven-clean-plugin-3.3.2-source-release.zip",
        &snapshot(1, "-extra.zip"),
    ];
    let files = caches::maven(&user.repository());
    assert!(!files.keys().any(|path| path.starts_with(&format!("{OWN}/dynamic/2.0"))), "2.0 is outside of the range");
    world.same(&files, &expected);
}

#[test]
fn maven_3_6_prepares_a_build_and_then_makes_it_offline() {
    prepares_and_builds_offline(OLD);
}

#[test]
fn maven_4_prepares_a_build_and_then_makes_it_offline() {
    prepares_and_builds_offline(NEXT);
}

fn child_of(group: &str, artifact: &str) -> TempDir {
    project(&format!(
        "<project><modelVersion>4.0.0</modelVersion><parent><groupId>{group}</groupId><artifactId>{artifact}</artifactId>\
         <version>1</version><relativePath/></parent><artifactId>child</artifactId></project>"
    ))
}

#[test]
fn what_is_nowhere_is_missing_at_once_in_every_maven() {
    let world = world();
    for version in [OLD, RECENT, NEXT] {
        let maven = Maven::released(version, &world.url());
        let user = MavenUser::new(&world.url(), "*");
        let project = child_of("org.acme", "nowhere");
        let done = run(&user, &maven, project.path(), &["validate"]);
        missing_at_once(&done, "org.acme:nowhere:pom:1");
        // Anything else than absence is a fault of the transfer, and faults end builds that absence does not end.
        assert!(done.output().contains("Could not find artifact"), "{}", done.report());
    }
}

/// Central has such releases. For Maven an absent POM is a warning, one that cannot be transferred is an error.
#[test]
fn a_jar_without_a_pom_is_used_as_it_is_in_every_maven() {
    let world = world();
    for version in [OLD, RECENT, NEXT] {
        let maven = Maven::released(version, &world.url());
        let user = MavenUser::new(&world.url(), "*");
        let project = depends_on("bare", "1");
        run(&user, &maven, project.path(), &["-q", RESOLVE]).expect(0);
        let jar = user.local_file("org/pyrsia/more/bare/1/bare-1.jar");
        assert_eq!(std::fs::read(jar).expect("the JAR"), archive("no POM"));
    }
}

#[test]
fn what_arrives_damaged_reaches_no_maven() {
    let world = world();
    for (version, told) in [(OLD, false), (RECENT, true), (NEXT, true)] {
        let maven = Maven::released(version, &world.url());
        let user = MavenUser::new(&world.url(), "*");
        let project = child_of("org.pyrsia.more", "damaged");
        let done = run(&user, &maven, project.path(), &["validate"]);
        missing_at_once(&done, "org.pyrsia.more:damaged:pom:1");
        assert!(!done.output().contains("Could not find artifact"), "it is there, and broken: {}", done.report());
        assert_eq!(done.output().contains("is not what its .sha1 file says"), told, "{}", done.report());
        assert!(caches::maven(&user.repository()).is_empty());
    }
}

/// It speaks HTTP/1.1 on JDK 17 unless it is told otherwise.
#[test]
fn maven_4_resolves_over_http_2() {
    let world = world();
    let maven = Maven::released(NEXT, &world.url());
    let url = format!("{}/maven2/", world.node.tls_url().replace("127.0.0.1", "localhost"));
    let user = MavenUser::new(&url, "*");
    let project = depends_on("dynamic", "[1.0,2.0)");
    let trust = trusting(&world.certificate(), user.home());
    let http_2 = ["-Daether.transport.jdk.httpVersion=HTTP_2", "-Djdk.httpclient.HttpClient.log=requests"];
    let done = run(&user, &maven, project.path(), &[RESOLVE, http_2[0], http_2[1], &trust[0], &trust[1]]).expect(0);
    assert!(done.output().contains("200 HTTP_2"), "{}", done.report());
    world.same(&caches::maven(&user.repository()), &["org/pyrsia/more/dynamic/1.1/dynamic-1.1.jar"]);
}

#[test]
fn why_a_file_is_withheld_reaches_who_runs_maven() {
    let world = world();
    let answer = world.node.artifact("org/pyrsia/more/withheld/parent/1/parent-1.pom").expect(403).json();
    let (title, detail) = (answer["title"].as_str().expect("a title"), answer["detail"].as_str().expect("a detail"));
    // Older ones know the status alone.
    for (version, told) in [(OLD, false), (RECENT, true), (NEXT, true)] {
        let maven = Maven::released(version, &world.url());
        let user = MavenUser::new(&world.url(), "*");
        let project = child_of("org.pyrsia.more.withheld", "parent");
        let done = run(&user, &maven, project.path(), &["validate"]);
        assert!(!matches!(done.code, 0 | -2), "{}", done.report());
        assert!(done.output().contains("org.pyrsia.more.withheld:parent:pom:1"), "{}", done.report());
        assert!(done.output().contains("403"), "{}", done.report());
        assert_eq!(done.output().contains(title) && done.output().contains(detail), told, "{}", done.report());
    }
}

fn depends_on(artifact: &str, version: &str) -> TempDir {
    project(&format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>t</groupId><artifactId>t</artifactId><version>1</version>\
         <packaging>pom</packaging><repositories><repository><id>snapshots</id><url>http://127.0.0.1:9/</url>\
         </repository></repositories><dependencies><dependency><groupId>org.pyrsia.more</groupId>\
         <artifactId>{artifact}</artifactId><version>{version}</version></dependency></dependencies></project>"
    ))
}

/// The node keeps metadata for some minutes; one that has been started again looks anew.
#[test]
fn a_newer_build_of_a_snapshot_comes_when_it_is_asked_for() {
    let own = own_repository();
    let folder = places::scratch("snapshot-config");
    let config = folder.path().join("config.toml");
    let text = format!("[[upstreams]]\nid = \"own\"\nurl = \"{}\"\ninclude = [\"org.pyrsia.more.*\"]\n", own.url());
    std::fs::write(&config, text).expect("a written configuration");
    let central = fixture::central().maven2();
    let arguments = ["--no-builder", "--upstream", &central, "--config", &config.to_string_lossy()];
    let mut node = Node::start("snapshots", &arguments);
    let project = depends_on("changing", "1.0-SNAPSHOT");
    let user = MavenUser::new(&node.maven2(), "*");
    let jar = user.repository().join(OWN).join("changing/1.0-SNAPSHOT/changing-1.0-SNAPSHOT.jar");
    let resolved = |more: &[&str]| {
        run(&user, &Maven::of_the_machine(), project.path(), &[&["-q", RESOLVE], more].concat()).expect(0);
        std::fs::read(&jar).expect("the snapshot")
    };
    assert_eq!(resolved(&[]), archive("build 1"));
    publish_snapshot(&own, 2);
    assert_eq!(node.stop(), 0);
    node.start_again();
    user.set_mirror(&node.maven2(), "*");
    assert_eq!(resolved(&["-U"]), archive("build 2"));
    let kept = caches::maven(&user.repository());
    for build in [1, 2] {
        let served = node.artifact(&snapshot(build, ".jar")).expect(200).body;
        assert_eq!(served, archive(&format!("build {build}")));
        assert_eq!(std::fs::read(&kept[&snapshot(build, ".jar")]).expect("a kept file"), served);
    }
}
