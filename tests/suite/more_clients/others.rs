//! Gradle with what changes, Ivy, coursier, sbt and Leiningen.

use pyrsia_tests::clients::others::{Coursier, Ivy, Leiningen, Sbt};
use pyrsia_tests::clients::{GradleUser, NOWHERE, caches};
use pyrsia_tests::places;

use super::{OWN, archive, missing_at_once, snapshot, world};

const TEXT: &str = "org/apache/commons/commons-text/1.10.0/commons-text-1.10.0.jar";
/// Three POMs above the library that `commons-text` depends on: a parent chain that imports a BOM.
const LANG: &str = "org/apache/commons/commons-lang3/3.12.0/commons-lang3-3.12.0.jar";
const BOM: &str = "org/junit/junit-bom/5.7.1/junit-bom-5.7.1.pom";
const SOURCES: &str = "commons-io/commons-io/2.11.0/commons-io-2.11.0-sources.jar";
const ZIP: &str = "org/apache/maven/plugins/maven-clean-plugin/3.3.2/maven-clean-plugin-3.3.2-source-release.zip";

const GRADLE: &str = r"
repositories { maven { url project.property('repository') } }
configurations { wanted; nowhere }
dependencies {
    wanted 'org.apache.commons:commons-text:1.10.0', 'org.pyrsia.more:dynamic:1.+', 'org.pyrsia.more:changing:1.0-SNAPSHOT'
    wanted 'commons-io:commons-io:2.11.0:sources@jar'
    wanted 'org.apache.maven.plugins:maven-clean-plugin:3.3.2:source-release@zip'
    nowhere 'org.acme:nowhere:1'
}
task resolveWanted { doLast { configurations.wanted.resolve() } }
task resolveNowhere { doLast { configurations.nowhere.resolve() } }
";

#[test]
fn gradle_resolves_a_dynamic_version_and_a_snapshot() {
    let world = world();
    let user = GradleUser::default();
    let project = places::scratch("gradle-project");
    std::fs::write(project.path().join("build.gradle"), GRADLE).expect("a written script");
    let run = |task: &[&str]| user.run(project.path(), &world.url(), &[&["-q"], task, &NOWHERE].concat());
    run(&["resolveWanted"]).expect(0);
    // What it has is compared by HEAD.
    run(&["--refresh-dependencies", "resolveWanted"]).expect(0);
    let files = caches::gradle(user.home());
    // Gradle names a snapshot's files by the version that was asked for.
    let (changing, rest) = files.into_iter().partition(|(path, _)| path.contains("-SNAPSHOT"));
    world.same(&rest, &[TEXT, LANG, "org/pyrsia/more/dynamic/1.1/dynamic-1.1.jar", SOURCES, ZIP]);
    let jars: Vec<_> = Vec::from_iter::<caches::Files>(changing)
        .into_iter()
        .filter(|(path, _)| path.ends_with(".jar"))
        .map(|(_, file)| std::fs::read(file).expect("a kept file"))
        .collect();
    assert_eq!(jars, [archive("build 1")]);
    missing_at_once(&run(&["resolveNowhere"]), "org.acme:nowhere:1");
}

#[test]
fn ivy_resolves_dynamic_versions_a_snapshot_and_classifiers() {
    let world = world();
    let ivy = Ivy::new(&world.url());
    let dependencies = r#"
        <dependency org="org.apache.commons" name="commons-text" rev="1.10.0" conf="default->master,compile,runtime"/>
        <dependency org="org.pyrsia.more" name="dynamic" rev="1.+" conf="default->master"/>
        <dependency org="org.pyrsia.more" name="changing" rev="1.0-SNAPSHOT" conf="default->master"/>
        <dependency org="commons-io" name="commons-io" rev="2.11.0" conf="default->master">
            <artifact name="commons-io" type="source" ext="jar" m:classifier="sources"/>
        </dependency>"#;
    ivy.resolve(dependencies).expect(0);
    let files = caches::ivy(&ivy.cache());
    let (changing, rest) = files.into_iter().partition(|(path, _)| path.contains("-SNAPSHOT"));
    let dynamic = "org/pyrsia/more/dynamic/1.1/dynamic-1.1.jar";
    world.same(&rest, &[TEXT, LANG, BOM, dynamic, SOURCES]);
    let changing: caches::Files = changing;
    let jar = &changing[&format!("{OWN}/changing/1.0-SNAPSHOT/changing-1.0-SNAPSHOT.jar")];
    assert_eq!(std::fs::read(jar).expect("a kept file"), archive("build 1"));

    let newest =
        r#"<dependency org="org.pyrsia.more" name="dynamic" rev="latest.integration" conf="default->master"/>"#;
    ivy.resolve(newest).expect(0);
    assert!(caches::ivy(&ivy.cache()).contains_key("org/pyrsia/more/dynamic/2.0/dynamic-2.0.jar"));
    let nowhere = r#"<dependency org="org.acme" name="nowhere" rev="1" conf="default->master"/>"#;
    missing_at_once(&ivy.resolve(nowhere), "org.acme#nowhere;1");
}

#[test]
fn coursier_resolves_ranges_a_snapshot_and_classifiers() {
    let world = world();
    let coursier = Coursier::new(&world.url());
    let wanted = ["org.apache.commons:commons-text:1.10.0", "org.pyrsia.more:dynamic:[1.0,2.0)"];
    let snapshots = ["org.pyrsia.more:changing:1.0-SNAPSHOT"];
    coursier.fetch(&[&wanted[..], &snapshots].concat()).expect(0);
    coursier.fetch(&["--classifier", "sources", "--intransitive", "commons-io:commons-io:2.11.0"]).expect(0);
    let files = caches::coursier(&coursier.cache(), &world.url());
    let dynamic = "org/pyrsia/more/dynamic/1.1/dynamic-1.1.jar";
    world.same(&files, &[TEXT, LANG, BOM, dynamic, SOURCES, &snapshot(1, ".jar")]);
    // What may change is compared by HEAD.
    coursier.fetch(&["--mode", "update-changing", "--ttl", "0s", snapshots[0]]).expect(0);
    missing_at_once(&coursier.fetch(&["org.acme:nowhere:1"]), "org.acme:nowhere:1");
}

const SBT: &str = r#"
autoScalaLibrary := false
crossPaths := false
libraryDependencies ++= Seq(
  "org.apache.commons" % "commons-text" % "1.10.0",
  "org.pyrsia.more" % "dynamic" % "1.+" intransitive(),
  "commons-io" % "commons-io" % "2.11.0" classifier "sources")
"#;

#[test]
fn sbt_comes_through_the_node_and_builds_with_what_it_finds_there() {
    let world = world();
    let sbt = Sbt::new(&world.url());
    let project = places::scratch("sbt-project");
    let write = |name: &str, text: &str| std::fs::write(project.path().join(name), text).expect("a written file");
    write("build.sbt", SBT);
    write(
        "Main.java",
        "public class Main { public static void main(String[] a) {\
         System.out.println(org.apache.commons.text.WordUtils.capitalize(\"it came through the node\")); } }",
    );
    let done = sbt.run(project.path(), "run").expect(0);
    assert!(done.stdout.contains("It Came Through The Node"), "{}", done.report());
    let files = caches::coursier(&sbt.cache(), &world.url());
    world.same(&files, &[TEXT, LANG, BOM, "org/pyrsia/more/dynamic/1.1/dynamic-1.1.jar", SOURCES]);
    write("build.sbt", "libraryDependencies += \"org.acme\" % \"nowhere\" % \"1\"\nautoScalaLibrary := false\n");
    missing_at_once(&sbt.run(project.path(), "update"), "org.acme:nowhere:1");
}

#[test]
fn leiningen_resolves_over_tls() {
    let world = world();
    let url = world.node.tls_url().replace("127.0.0.1", "localhost");
    let leiningen = Leiningen::new(&url, &world.certificate());
    let dependencies = "[[org.apache.commons/commons-text \"1.10.0\"] [org.pyrsia.more/dynamic \"[1.0,2.0)\"]\n\
        [org.pyrsia.more/changing \"1.0-SNAPSHOT\"] [commons-io \"2.11.0\" :classifier \"sources\"]\n\
        [org.apache.maven.plugins/maven-clean-plugin \"3.3.2\" :classifier \"source-release\" :extension \"zip\"\n\
         :exclusions [[*]]]]";
    leiningen.deps(dependencies).expect(0);
    let files = caches::maven(&leiningen.repository());
    let dynamic = "org/pyrsia/more/dynamic/1.1/dynamic-1.1.jar";
    world.same(&files, &[TEXT, LANG, BOM, dynamic, SOURCES, ZIP, &snapshot(1, ".jar")]);
    missing_at_once(&leiningen.deps("[[org.acme/nowhere \"1\"]]"), "org.acme:nowhere:jar:1");
}
