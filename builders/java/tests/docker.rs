//! Builds in real containers. Needs a container engine, and the repository that this machine's Maven uses.
#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::sync::Arc;
use std::time::Duration;

use build_spec::{
    BuildError, Builder as _, Built, Checkout, GitState, Input, InputManifest, InputStatus, Inputs as _, Job, Mode,
    NoLog, RunId, SandboxProfile, SourceRequest, Specification, Tool,
};
use maven_layout::Coordinates;
use support::{Kept, Upstream};

const POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>org.example</groupId><artifactId>tiny</artifactId><version>1.0</version>
  <scm><connection>scm:git:https://git.example/acme/tiny.git</connection></scm>
  <properties>
    <maven.compiler.release>17</maven.compiler.release>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
    <project.build.outputTimestamp>2024-01-01T00:00:00Z</project.build.outputTimestamp>
  </properties>
  DEPENDENCIES
</project>
"#;

const JAVA: &str = "package org.example;\npublic class Tiny { public static int two() { return 2; } }\n";
const TEST: &str = "package org.example;\nclass TinyTest { int three = Tiny.two() + 1; }\n";

struct World {
    builder: java_builder::JavaBuilder,
    upstream: Arc<Upstream>,
    job: Job,
    _folder: tempfile::TempDir,
}

/// A world with a tiny project in it; none without an engine.
async fn world(dependencies: &str) -> Option<World> {
    let pom = POM.replace("DEPENDENCIES", dependencies);
    let files = [
        ("pom.xml", pom.as_str()),
        ("src/main/java/org/example/Tiny.java", JAVA),
        ("src/test/java/org/example/TinyTest.java", TEST),
    ];
    world_of(&files, "org.example:tiny:1.0").await
}

/// A world with these files in it.
async fn world_of(files: &[(&str, &str)], wanted: &str) -> Option<World> {
    world_with(files, wanted, Specification::default_maven("3.9.9")).await
}

/// The same, built by this specification.
async fn world_with(files: &[(&str, &str)], wanted: &str, specification: Specification) -> Option<World> {
    let engine = support::engine().await?;
    let image = support::image(&engine, &specification.image_name()).await;
    let folder = tempfile::tempdir().unwrap();
    let repository = folder.path().join("acme/tiny");
    let commit = support::git_repository(&repository, files);
    let builder = support::builder(folder.path());
    let coordinates: Coordinates = wanted.parse().unwrap();
    let request = SourceRequest {
        coordinates: vec![coordinates.clone()],
        repository: maven_layout::scm::canonical("https://git.example/acme/tiny").unwrap(),
        tag: Some("v1.0".to_owned()),
        commit: Some(commit.clone()),
        checkout: Some(Checkout::of(&specification)),
    };
    let source = builder.resolve(&request, Arc::new(Kept::default())).await.unwrap();
    assert_eq!(source.commit, commit);
    assert!(source.mirrored);
    let work_dir = folder.path().join("work");
    std::fs::create_dir(&work_dir).unwrap();
    let job = Job {
        run: RunId::new("test"),
        coordinates: vec![coordinates],
        mode: Mode::Native,
        source,
        specification,
        image: image.digest,
        profile: SandboxProfile::v1(),
        work_dir,
    };
    Some(World { builder, upstream: Upstream::open(), job, _folder: folder })
}

fn digests(built: &Built) -> Vec<(String, pyrsia_digest::Sha256)> {
    built.files.iter().map(|file| (file.name.clone(), file.digests.sha256)).collect()
}

fn without(manifest: &InputManifest, path: &str) -> InputManifest {
    let mut rest = InputManifest::new();
    for line in manifest.lines().filter(|line| line.path.as_str() != path) {
        rest.insert(line).unwrap();
    }
    rest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_can_be_replayed_and_gives_the_same_files() {
    let Some(world) = world("").await else { return };
    let World { builder, upstream, job, .. } = &world;
    let log = Arc::new(Kept::default());
    let recorded = builder.record(job, upstream.clone(), log.clone()).await.unwrap();
    let first = recorded.result.unwrap();
    assert_eq!(job.source.declared_scm.as_ref(), Some(&job.source.repository));
    let names: Vec<_> = first.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["tiny-1.0.jar", "tiny-1.0.pom"]);
    assert!(first.byproducts.is_some(), "test classes were compiled");
    assert!(log.lines().iter().any(|line| line.contains("BUILD SUCCESS")));
    let tool = "org/apache/maven/apache-maven/3.9.9/apache-maven-3.9.9-bin.tar.gz";
    assert!(recorded.manifest.lines().any(|line| line.path.as_str() == tool));
    assert!(!recorded.manifest.lines().any(|line| line.path.as_str().ends_with(".sha1")));

    let manifest = InputManifest::parse(&recorded.manifest.to_text()).unwrap();
    for _ in 0..2 {
        let again = builder.replay(job, &manifest, upstream.clone(), Arc::new(NoLog)).await.unwrap();
        assert_eq!(digests(&again), digests(&first));
        assert_eq!(again.byproducts, first.byproducts);
    }

    // One line less: the build ends and names it.
    let missing = manifest
        .lines()
        .map(|line| line.path.to_string())
        .find(|path| path.contains("maven-jar-plugin") && path.ends_with(".jar"))
        .unwrap();
    let error =
        builder.replay(job, &without(&manifest, &missing), upstream.clone(), Arc::new(NoLog)).await.unwrap_err();
    assert!(matches!(&error, BuildError::Undeclared { path, .. } if *path == missing), "{error}");

    // Another image, or a JDK that is not in it, is refused before anything runs.
    let mut other = job.clone();
    other.image = pyrsia_digest::Sha256::of(b"no such image");
    let error = builder.replay(&other, &manifest, upstream.clone(), Arc::new(NoLog)).await.unwrap_err();
    assert!(matches!(error, BuildError::Engine(_)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_never_gets_a_file_of_its_own_release() {
    let dependency = "<dependencies><dependency><groupId>org.example</groupId><artifactId>tiny</artifactId>\
         <version>1.0</version><classifier>published</classifier></dependency></dependencies>";
    let Some(world) = world(dependency).await else { return };
    let World { builder, upstream, job, .. } = &world;
    upstream.plant("org/example/tiny/1.0/tiny-1.0-published.jar", b"the published file");
    let recorded = builder.record(job, upstream.clone(), Arc::new(Kept::default())).await.unwrap();
    let failure = recorded.result.unwrap_err();
    assert_ne!(failure.exit_code, 0);
    let line = recorded.manifest.lines().find(|line| line.path.as_str().ends_with("-published.jar")).unwrap();
    assert_eq!(line.status, InputStatus::WithheldSelf);
    assert!(!upstream.was_asked_below("org/example/tiny/1.0"));

    // The replay finds the same failure.
    let error = builder.replay(job, &recorded.manifest, upstream.clone(), Arc::new(NoLog)).await.unwrap_err();
    assert!(error.is_attestable(), "{error}");
}

/// A project for every Maven and JDK: whatever plugins a version has by itself, classes for Java 8.
const PLAIN_POM: &str = r#"<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>org.example</groupId><artifactId>plain</artifactId><version>1.0</version>
  <properties>
    <maven.compiler.source>1.8</maven.compiler.source>
    <maven.compiler.target>1.8</maven.compiler.target>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
</project>
"#;

/// Records and replays the plain project; what went wrong, if anything did.
async fn plain_build(jdk: u32, maven: &str) -> Option<Result<(), String>> {
    let files = [("pom.xml", PLAIN_POM), ("src/main/java/org/example/Tiny.java", JAVA)];
    let specification = Specification { jdk, ..Specification::default_maven(maven) };
    let world = world_with(&files, "org.example:plain:1.0", specification).await?;
    let World { builder, upstream, job, .. } = &world;
    let log = Arc::new(Kept::default());
    let build = async {
        let recorded = builder.record(job, upstream.clone(), log.clone()).await.map_err(|error| error.to_string())?;
        let first = recorded.result.map_err(|failure| failure.log_tail.join("\n"))?;
        let again = builder.replay(job, &recorded.manifest, upstream.clone(), Arc::new(NoLog)).await;
        Ok::<_, String>((first, again.map_err(|error| error.to_string())?))
    };
    Some(build.await.and_then(|(first, again)| {
        let names = |built: &Built| built.files.iter().map(|file| file.name.clone()).collect::<Vec<_>>();
        // Maven 4 also attaches the POM as it was before it was flattened for others.
        let expected = ["plain-1.0.jar", "plain-1.0.pom"];
        let has_all = |built: &Built| expected.iter().all(|name| names(built).iter().any(|found| found == name));
        let known = |file: &build_spec::BuiltFile| first.reactor.contains(&file.digests.sha256);
        if !has_all(&first) || names(&first) != names(&again) || !first.files.iter().all(known) {
            return Err(format!(
                "made {:?} and {:?}, of which {:?} are known",
                names(&first),
                names(&again),
                first.reactor
            ));
        }
        let runs = |what: &str| log.lines().iter().any(|line| line.starts_with(what));
        let spoken = if jdk == 8 { "1.8".to_owned() } else { jdk.to_string() };
        match runs(&format!("Apache Maven {maven} ")) && runs(&format!("Java version: {spoken}")) {
            true => Ok(()),
            false => Err("another Maven or JDK ran".to_owned()),
        }
    }))
}

/// Builds with each pair, one after the other, and fails if any of them fails, with all that do.
async fn all_build(pairs: impl IntoIterator<Item = (u32, &'static str)>) {
    let mut failures = Vec::new();
    for (jdk, maven) in pairs {
        let start = std::time::Instant::now();
        let Some(result) = plain_build(jdk, maven).await else { return };
        eprintln!("Maven {maven} on JDK {jdk}: {result:?} after {:?}", start.elapsed());
        failures.extend(result.err().map(|problem| format!("Maven {maven} on JDK {jdk}: {problem}")));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_oldest_and_the_newest_maven_build_on_an_old_and_a_new_jdk() {
    all_build([(8, "3.0.5"), (17, "4.0.0-rc-5")]).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes every image, if the engine does not hold them: about ten minutes"]
async fn every_jdk_builds() {
    all_build([8, 11, 17, 21, 25].map(|jdk| (jdk, "3.9.9"))).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "builds with every pinned Maven: about half an hour"]
async fn every_pinned_maven_builds() {
    let only = std::env::var("PYRSIA_TEST_MAVENS").unwrap_or_default();
    let wanted = |version: &&str| only.is_empty() || only.split(',').any(|listed| listed == *version);
    let jdk = |version: &str| if version.starts_with('4') { 17 } else { 8 };
    all_build(java_builder::maven::versions().filter(wanted).map(|version| (jdk(version), version))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pinned_digests_are_those_of_the_repository() {
    let upstream = Upstream::open();
    for version in ["3.0", "3.9.9", "4.0.0-rc-5"] {
        let pinned = java_builder::maven::Distribution::of(version).unwrap();
        let found = upstream.get(&build_spec::RepositoryId::central(), &pinned.path).await.unwrap();
        let Input::Found { file, .. } = found else { panic!("{version} is not there") };
        let digests = pyrsia_digest::FileDigests::of(&std::fs::read(file).unwrap());
        assert!(pinned.is(&digests), "{version}");
        assert_eq!(digests.sha1, pinned.sha1, "{version}");
    }
}

const REACTOR: &str = r#"<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>org.example</groupId><artifactId>parent</artifactId><version>${revision}</version><packaging>pom</packaging>
  <properties>
    <revision>1.0</revision>
    <maven.compiler.release>17</maven.compiler.release>
    <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding>
  </properties>
  <modules><module>core</module><module>app</module></modules>
</project>
"#;
const MODULE: &str = "<project><modelVersion>4.0.0</modelVersion><parent><groupId>org.example</groupId>\
    <artifactId>parent</artifactId><version>${revision}</version></parent><artifactId>NAME</artifactId>MORE</project>";

#[tokio::test(flavor = "multi_thread")]
async fn siblings_at_computed_versions_are_withheld_and_what_they_attach_is_known() {
    let core = MODULE.replace("NAME", "core").replace("MORE", "");
    let app = |more: &str| {
        let dependency = format!(
            "<dependencies><dependency><groupId>org.example</groupId><artifactId>core</artifactId>\
             <version>${{revision}}</version>{more}</dependency></dependencies>"
        );
        MODULE.replace("NAME", "app").replace("MORE", &dependency)
    };
    let (good, greedy) = (app(""), app("<classifier>published</classifier>"));
    let files = |app| {
        [
            ("pom.xml", REACTOR),
            ("core/pom.xml", &core),
            ("app/pom.xml", app),
            ("core/src/main/java/A.java", "class A {}"),
        ]
    };

    let Some(world) = world_of(&files(&good), "org.example:app:1.0").await else { return };
    let World { builder, upstream, job, .. } = &world;
    let recorded = builder.record(job, upstream.clone(), Arc::new(Kept::default())).await.unwrap();
    let built = recorded.result.unwrap();
    assert_eq!(built.files.len(), 2);
    // Three POMs and two JARs, though only one module's were asked for.
    assert_eq!(built.reactor.len(), 5, "{:?}", built.reactor);
    assert!(built.files.iter().all(|file| built.reactor.contains(&file.digests.sha256)));

    let world = world_of(&files(&greedy), "org.example:app:1.0").await.unwrap();
    let World { builder, upstream, job, .. } = &world;
    upstream.plant("org/example/core/1.0/core-1.0-published.jar", b"the published file of a sibling");
    let recorded = builder.record(job, upstream.clone(), Arc::new(Kept::default())).await.unwrap();
    assert!(recorded.result.is_err());
    let line = recorded.manifest.lines().find(|line| line.path.as_str().ends_with("-published.jar")).unwrap();
    assert_eq!(line.status, InputStatus::WithheldSelf);
    assert!(!upstream.was_asked_below("org/example/core/1.0"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_refused_by_name() {
    let dependency = "<dependencies><dependency><groupId>org.other</groupId><artifactId>x</artifactId>\
         <version>2-SNAPSHOT</version></dependency></dependencies>\
         <repositories><repository><id>s</id><url>https://snapshots.example/</url></repository></repositories>";
    let Some(world) = world(dependency).await else { return };
    let error = world.builder.record(&world.job, world.upstream.clone(), Arc::new(NoLog)).await.unwrap_err();
    assert!(matches!(&error, BuildError::Snapshot(path) if path.contains("2-SNAPSHOT")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_a_build_removes_its_container() {
    let Some(world) = world("").await else { return };
    let World { builder, upstream, job, .. } = &world;
    let mut job = job.clone();
    job.run = RunId::new("test-cancelled");
    let log = Arc::new(Kept::default());
    let build = builder.record(&job, upstream.clone(), log.clone());
    let started = async {
        while !log.lines().iter().any(|line| line.contains("Scanning for projects")) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::select! {
        result = build => panic!("the build ended first: {result:?}"),
        () = started => {}
    }
    let docker = bollard::Docker::connect_with_unix_defaults().unwrap().negotiate_version().await.unwrap();
    let filters = std::collections::HashMap::from([("label", vec!["pyrsia.run=test-cancelled"])]);
    let options =
        bollard::query_parameters::ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
    for _ in 0..100 {
        if docker.list_containers(Some(options.clone())).await.unwrap().is_empty() {
            assert_eq!(std::fs::read_dir(&job.work_dir).unwrap().count(), 0);
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the container is still there");
}

/// A project that asks for a toolchain, and says what it was built with.
const TOOLCHAINS: &str = "<build><plugins><plugin><groupId>org.apache.maven.plugins</groupId>\
    <artifactId>maven-toolchains-plugin</artifactId><version>3.2.0</version><executions><execution><goals>\
    <goal>toolchain</goal></goals></execution></executions><configuration><toolchains><jdk><version>17</version></jdk>\
    </toolchains></configuration></plugin></plugins></build>";

const SECOND: &str = r#"
version = 2
tool = "maven-3.9.9"
jdk = 17
commands = ["cd sub/..", "umask 077 && export WHERE=here", "sh ./mvnw clean compile -q", "./mvnw package -DskipTests -Dwords='one two'"]
exec_before = ["echo \"before: $(umask) $TZ $LC_ALL $PWD $(ls -l pom.xml | cut -c 1-10) $MAVEN_OPTS\"", "mkdir sub"]
exec_after = ["echo \"after: $WHERE $(umask)\"", "unzip -p target/tiny-1.0.jar META-INF/maven/org.example/tiny/pom.properties | grep -q \"$(printf '\\r')\""]
maven_opts = "-Dsandbox.told=yes"
toolchains = [17]
newline = "crlf"
newline_git = "lf"
umask = "0027"
timezone = "Asia/Kathmandu"
locale = "fr_FR"
workdir = "/home/runner/src/tiny"
os = "windows"
arch = "amd64"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_a_specification_run_in_the_sandbox_under_its_settings() {
    let Some(world) = world(TOOLCHAINS).await else { return };
    let World { builder, upstream, job, .. } = &world;
    let mut job = job.clone();
    job.specification = Specification::from_toml(SECOND).unwrap();
    let log = Arc::new(Kept::default());
    let recorded = builder.record(&job, upstream.clone(), log.clone()).await.unwrap();
    let first = recorded.result.unwrap();
    let lines = log.lines();
    let said = |text: &str| assert!(lines.iter().any(|line| line.contains(text)), "nothing said {text:?}");
    said("before: 0027 Asia/Kathmandu fr_FR.UTF-8 /home/runner/src/tiny -rw-r-----");
    said("-XX:TieredStopAtLevel=1 @/run/pyrsia/java.args -Dsandbox.told=yes");
    said("after: here 0077");
    said("JDK[/usr/lib/jvm/");
    // The project has no wrapper: both calls were of the tool, and the install came with the last alone.
    assert_eq!(lines.iter().filter(|line| line.contains("install:3.1.2:install")).count(), 1);
    let names: Vec<_> = first.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["tiny-1.0.jar", "tiny-1.0.pom"]);
    let again = builder.replay(&job, &recorded.manifest, upstream.clone(), Arc::new(NoLog)).await.unwrap();
    assert_eq!(digests(&again), digests(&first));

    // A line that fails is no failure of the tool, and nothing that others could be told.
    let mut failing = job.clone();
    failing.specification.exec_before = vec!["true".to_owned(), "echo it fails; exit 9".to_owned()];
    let error = builder.replay(&failing, &recorded.manifest, upstream.clone(), Arc::new(NoLog)).await.unwrap_err();
    let named =
        matches!(&error, BuildError::CommandFailed { place, exit_code: 9, .. } if place == "exec_before, line 2");
    assert!(named && !error.is_attestable(), "{error}");
    // Neither where the tool has failed before, in a line that did not mind.
    failing.specification.exec_before = vec!["mvn no-such-phase || true".to_owned(), "exit 9".to_owned()];
    let error = builder.replay(&failing, &recorded.manifest, upstream.clone(), Arc::new(NoLog)).await.unwrap_err();
    assert!(matches!(&error, BuildError::CommandFailed { exit_code: 9, .. }), "{error}");
    // That of the tool is, wherever it stands.
    failing.specification.exec_before = vec!["mvn no-such-phase".to_owned()];
    let error = builder.replay(&failing, &recorded.manifest, upstream.clone(), Arc::new(NoLog)).await.unwrap_err();
    assert!(error.is_attestable(), "{error}");

    // A JDK that the image does not have is refused by name before anything runs.
    let mut other = job.clone();
    other.specification.toolchains = vec![17, 8];
    let error = builder.replay(&other, &recorded.manifest, upstream.clone(), Arc::new(NoLog)).await.unwrap_err();
    assert!(matches!(&error, BuildError::Unsupported(text) if text.contains("no JDK 8")), "{error}");
}

/// Two plugins that put what they find in `.git` into the JAR: the first reads it as jgit does, the second asks git.
const GIT_PLUGINS: &str = r#"
  <build><plugins>
    <plugin>
      <groupId>io.github.git-commit-id</groupId><artifactId>git-commit-id-maven-plugin</artifactId><version>9.0.1</version>
      <executions><execution><goals><goal>revision</goal></goals></execution></executions>
      <configuration><generateGitPropertiesFile>true</generateGitPropertiesFile><commitIdGenerationMode>full</commitIdGenerationMode></configuration>
    </plugin>
    <plugin>
      <groupId>org.codehaus.mojo</groupId><artifactId>buildnumber-maven-plugin</artifactId><version>3.2.1</version>
      <executions><execution><phase>validate</phase><goals><goal>create</goal></goals></execution></executions>
      <configuration>
        <doCheck>true</doCheck><doUpdate>false</doUpdate>
      </configuration>
    </plugin>
    <plugin>
      <groupId>org.apache.maven.plugins</groupId><artifactId>maven-jar-plugin</artifactId><version>3.4.2</version>
      <configuration><archive><manifestEntries><Built-From>${buildNumber}</Built-From></manifestEntries></archive></configuration>
    </plugin>
  </plugins></build>
"#;

#[tokio::test(flavor = "multi_thread")]
async fn plugins_that_read_git_find_commit_tag_and_remote() {
    for git in [GitState::Commit, GitState::History] {
        let pom = POM.replace("DEPENDENCIES", GIT_PLUGINS);
        let files = [("pom.xml", pom.as_str()), ("src/main/java/org/example/Tiny.java", JAVA)];
        let mut specification = Specification::default_maven("3.9.9");
        specification.git = git;
        let Some(world) = world_with(&files, "org.example:tiny:1.0", specification).await else { return };
        let World { builder, upstream, job, .. } = &world;
        let recorded = builder.record(job, upstream.clone(), Arc::new(Kept::default())).await.unwrap();
        let built = recorded.result.unwrap();
        let jar = built.files.iter().find(|file| file.name == "tiny-1.0.jar").unwrap();
        let mut jar = zip::ZipArchive::new(std::fs::File::open(job.work_dir.join(&jar.path)).unwrap()).unwrap();
        let mut read = |name: &str| std::io::read_to_string(jar.by_name(name).unwrap()).unwrap();
        let commit = &job.source.commit;
        let properties = read("git.properties");
        for line in [
            format!("git.commit.id.full={commit}"),
            "git.remote.origin.url=https\\://git.example/acme/tiny".to_owned(),
            "git.closest.tag.name=v1.0".to_owned(),
            "git.tags=v1.0".to_owned(),
            "git.dirty=false".to_owned(),
        ] {
            assert!(properties.lines().any(|found| found == line), "{git:?}: {line} in {properties}");
        }
        let manifest = read("META-INF/MANIFEST.MF").replace("\r\n ", "");
        assert!(manifest.contains(&format!("Built-From: {commit}")), "{git:?}: {manifest}");
    }
}

const GRADLE: &str = r#"
plugins { id 'java-library' }
group = 'org.example'
version = '1.0'
archivesBaseName = 'tiny'
repositories { mavenCentral() }
dependencies { api 'org.apache.commons:commons-lang3:3.14.0' }
tasks.withType(AbstractArchiveTask) { preserveFileTimestamps = false; reproducibleFileOrder = true }
"#;

/// A project that publishes nothing by itself. The suite rebuilds one that does, through the program.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "makes the image with Gradle, if the engine does not hold it"]
async fn gradle_hands_out_what_a_project_only_attaches() {
    let files = [("build.gradle", GRADLE), ("src/main/java/org/example/Tiny.java", JAVA)];
    let mut specification = Specification::default_maven("");
    specification.tool = Tool::Gradle("4.4.1".to_owned());
    specification.goals = vec!["assemble".to_owned()];
    specification.properties.clear();
    let Some(world) = world_with(&files, "org.example:tiny:1.0", specification).await else { return };
    let World { builder, upstream, job, .. } = &world;
    let recorded = builder.record(job, upstream.clone(), Arc::new(Kept::default())).await.unwrap();
    let first = recorded.result.unwrap();
    let names: Vec<_> = first.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["tiny-1.0.jar", "tiny-1.0.pom"]);
    assert!(first.files.iter().all(|file| first.reactor.contains(&file.digests.sha256)));
    let library = "org/apache/commons/commons-lang3/3.14.0/commons-lang3-3.14.0.jar";
    assert!(recorded.manifest.lines().any(|line| line.path.as_str() == library));

    let again = builder.replay(job, &recorded.manifest, upstream.clone(), Arc::new(NoLog)).await.unwrap();
    assert_eq!(digests(&again), digests(&first));
    let cut = without(&recorded.manifest, library);
    let error = builder.replay(job, &cut, upstream.clone(), Arc::new(NoLog)).await.unwrap_err();
    assert!(matches!(&error, BuildError::Undeclared { path, .. } if path == library), "{error}");
}
