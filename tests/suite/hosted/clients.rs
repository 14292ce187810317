//! Maven 3.8 of the machine, a recent 3.9, Maven 4 and Gradle publish, and others with empty caches resolve.

use std::path::{Path, PathBuf};

use pyrsia_tests::clients::others::Sbt;
use pyrsia_tests::clients::{GradleUser, Maven, MavenUser, caches};
use pyrsia_tests::places;
use tempfile::TempDir;

use super::{World, snippet, write};
use crate::fixture;

/// One that tells its user the reason in a problem document; older ones show the status line.
const RECENT: &str = "3.9.16";
const NEXT: &str = "4.0.0-rc-4";
const RESOLVE: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:resolve";

/// Plugins that make the same bytes from the same source, the same ones for every Maven.
const PLUGINS: [(&str, &str); 6] = [
    ("maven-resources-plugin", "3.3.1"),
    ("maven-compiler-plugin", "3.13.0"),
    ("maven-surefire-plugin", "3.2.5"),
    ("maven-jar-plugin", "3.4.1"),
    ("maven-install-plugin", "3.1.2"),
    ("maven-deploy-plugin", "3.1.2"),
];

/// Settings as the document has them, in front of Maven Central as the node has it.
fn set_token(user: &MavenUser, world: &World, token: &str) {
    user.set_mirror(&world.node.maven2(), "central");
    let own = std::fs::read_to_string(user.home().join("settings.xml")).expect("settings");
    let mirrors = own.split("<settings>").nth(1).and_then(|rest| rest.split("</settings>").next()).expect("mirrors");
    let documented = snippet("xml", "<servers>").replace("the token", token);
    write(user.home(), "settings.xml", &documented.replace("</settings>", &format!("{mirrors}</settings>")));
}

/// `com.example:lib` with one file in its JAR.
fn library(world: &World, version: &str, content: &str) -> TempDir {
    let folder = places::scratch("hosted-lib");
    let plugins: String = PLUGINS
        .iter()
        .map(|(name, version)| format!("<plugin><artifactId>{name}</artifactId><version>{version}</version></plugin>"))
        .collect();
    let pom = format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>com.example</groupId><artifactId>lib</artifactId>\
         <version>{version}</version><properties>\
         <project.build.outputTimestamp>2026-01-01T00:00:00Z</project.build.outputTimestamp>\
         <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>{}<build><pluginManagement><plugins>\
         {plugins}</plugins></pluginManagement></build></project>",
        snippet("xml", "<distributionManagement>").replace("http://localhost:7888", world.node.url())
    );
    write(folder.path(), "pom.xml", &pom);
    write(folder.path(), "src/main/resources/content.txt", content);
    folder
}

/// Somebody else's project that needs the library, in an empty local repository: the JAR that it got.
fn resolved(world: &World, maven: &Maven, id: &str, version: &str) -> Vec<u8> {
    resolved_of(world, maven, id, "lib", version)
}

fn resolved_of(world: &World, maven: &Maven, id: &str, artifact: &str, version: &str) -> Vec<u8> {
    let user = MavenUser::new(&world.node.maven2(), "central");
    let project = places::scratch("hosted-consumer");
    let snapshots = id == "snapshots";
    let pom = format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>t</groupId><artifactId>t</artifactId><version>1</version>\
         <packaging>pom</packaging><repositories><repository><id>{id}</id><url>{}</url>\
         <snapshots><enabled>{snapshots}</enabled></snapshots></repository></repositories><dependencies><dependency>\
         <groupId>com.example</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>\
         </dependencies></project>",
        world.url(id)
    );
    write(project.path(), "pom.xml", &pom);
    user.run(maven, project.path(), &[RESOLVE]).expect(0);
    let jar = format!("com/example/{artifact}/{version}/{artifact}-{version}.jar");
    std::fs::read(user.local_file(&jar)).expect("the JAR")
}

fn built(project: &Path, version: &str) -> Vec<u8> {
    std::fs::read(project.join(format!("target/lib-{version}.jar"))).expect("a built JAR")
}

/// What a Maven tells its user of a refused upload, beside the status.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Tells {
    /// Nothing.
    Status,
    /// The reason in the status line.
    Reason,
    /// The problem document too.
    Details,
}

fn publishes_and_others_resolve(name: &str, maven: &Maven, tells: Tells) {
    let world = World::start(name, &fixture::central().maven2());
    let user = MavenUser::new(&world.node.maven2(), "central");
    set_token(&user, &world, &world.token("deployer"));

    // Releases: the second one's version joins the first one's.
    let mut first = Vec::new();
    for version in ["1.0", "1.1"] {
        let project = library(&world, version, version);
        user.run(maven, project.path(), &["deploy"]).expect(0);
        let jar = built(project.path(), version);
        assert!(world.get(&format!("releases/com/example/lib/{version}/lib-{version}.jar")).expect(200).body == jar);
        assert!(resolved(&world, maven, "releases", version) == jar, "{version}");
        if version == "1.0" {
            first = jar;
        }
    }
    let list = world.get("releases/com/example/lib/maven-metadata.xml").expect(200).text();
    assert!(list.contains("<version>1.0</version>") && list.contains("<version>1.1</version>"), "{list}");
    assert!(list.contains("<release>1.1</release>"), "{list}");

    // The same bytes again are fine, others are not, and whoever deploys is told why.
    let same = library(&world, "1.0", "1.0");
    user.run(maven, same.path(), &["deploy"]).expect(0);
    let changed = library(&world, "1.0", "changed");
    let refused = user.run(maven, changed.path(), &["deploy"]).expect(1);
    let output = refused.output();
    assert!(output.contains("409"), "{}", refused.report());
    assert_eq!(output.contains("never changes"), tells >= Tells::Reason, "{}", refused.report());
    assert_eq!(output.contains("is here already, with other bytes"), tells == Tells::Details, "{}", refused.report());
    assert!(resolved(&world, maven, "releases", "1.0") == first, "it did not change");

    // Snapshots: builds are counted, and the newest is the one that is resolved.
    for build in [1, 2] {
        let project = library(&world, "2.0-SNAPSHOT", &format!("build {build}"));
        user.run(maven, project.path(), &["deploy"]).expect(0);
        let text = world.get("snapshots/com/example/lib/2.0-SNAPSHOT/maven-metadata.xml").expect(200).text();
        assert!(text.contains(&format!("<buildNumber>{build}</buildNumber>")), "{text}");
        let jar = built(project.path(), "2.0-SNAPSHOT");
        assert!(resolved(&world, maven, "snapshots", "2.0-SNAPSHOT") == jar, "build {build}");
    }
    let builds = world.files("snapshots", "entries/com/example/lib/2.0-SNAPSHOT");
    let jars = builds.iter().filter(|file| file.extension().is_some_and(|extension| extension == "jar")).count();
    assert_eq!(jars, 2, "{builds:?}");

    // A repository for something else, and a wrong token.
    let misled = library(&world, "3.0-SNAPSHOT", "x");
    let pom = std::fs::read_to_string(misled.path().join("pom.xml")).expect("the POM");
    write(misled.path(), "pom.xml", &pom.replace("/hosted/snapshots/", "/hosted/releases/"));
    let refused = user.run(maven, misled.path(), &["deploy"]).expect(1);
    let told = refused.output().contains("accepts releases, and this is a snapshot");
    assert_eq!(told, tells >= Tells::Reason, "{}", refused.report());
    set_token(&user, &world, &"0".repeat(40));
    let refused = user.run(maven, library(&world, "3.0", "x").path(), &["deploy"]).expect(1);
    // So says Maven 4 when it is told 401 again and again.
    let told = ["401", "too many authentication attempts"].iter().any(|words| refused.output().contains(words));
    assert!(told, "{}", refused.report());
    world.get("releases/com/example/lib/3.0/lib-3.0.pom").expect(404);
    for id in ["releases", "snapshots"] {
        world.nothing_is_left(id);
    }
}

#[test]
fn maven_of_the_machine_publishes_and_others_resolve() {
    publishes_and_others_resolve("hosted-maven-3.8", &Maven::of_the_machine(), Tells::Reason);
}

#[test]
fn a_recent_maven_publishes_and_others_resolve() {
    let maven = Maven::released(RECENT, &fixture::central().maven2());
    publishes_and_others_resolve("hosted-maven-3.9", &maven, Tells::Details);
}

#[test]
fn maven_4_publishes_and_others_resolve() {
    let maven = Maven::released(NEXT, &fixture::central().maven2());
    publishes_and_others_resolve("hosted-maven-4", &maven, Tells::Status);
}

/// A library whose class says something.
fn gradle_library(world: &World, id: &str, version: &str, says: &str) -> TempDir {
    let folder = places::scratch("hosted-gradle-lib");
    let publishing = snippet("groovy", "publishing {").replace("http://localhost:7888", world.node.url());
    let publishing = publishing.replace("/hosted/releases/", &format!("/hosted/{id}/"));
    let script = format!(
        "plugins {{\n    id 'java-library'\n    id 'maven-publish'\n}}\ngroup = 'com.example'\nversion = '{version}'\n\
         publishing {{ publications {{ library(MavenPublication) {{ from components.java }} }} }}\n{publishing}"
    );
    write(folder.path(), "build.gradle", &script);
    write(folder.path(), "settings.gradle", "rootProject.name = 'gradle-lib'\n");
    let source = format!("package com.example; public class Says {{ public String it() {{ return \"{says}\"; }} }}\n");
    write(folder.path(), "src/main/java/com/example/Says.java", &source);
    folder
}

fn gradle_consumer(version: &str) -> TempDir {
    let folder = places::scratch("hosted-gradle-consumer");
    let script = format!(
        "plugins {{\n    id 'java'\n    id 'application'\n}}\nmainClassName = 'Main'\n\
         repositories {{ maven {{ url project.property('repository') }} }}\n\
         dependencies {{ compile 'com.example:gradle-lib:{version}' }}\n"
    );
    write(folder.path(), "build.gradle", &script);
    write(folder.path(), "settings.gradle", "rootProject.name = 'consumer'\n");
    let main = "public class Main { public static void main(String[] a) { System.out.println(new com.example.Says().it()); } }";
    write(folder.path(), "src/main/java/Main.java", main);
    folder
}

#[test]
fn gradle_publishes_and_another_gradle_resolves() {
    let world = World::quiet("hosted-gradle");
    let user = GradleUser::publisher();
    let publish =
        |project: &Path, token: &str| user.run(project, "none", &["-q", &format!("-PdeployToken={token}"), "publish"]);
    let token = world.token("deployer");
    let consumes = |id: &str, version: &str, says: &str| {
        let consumer = gradle_consumer(version);
        let other = GradleUser::default();
        let done = other.run(consumer.path(), &world.url(id), &["-q", "run"]).expect(0);
        assert!(done.stdout.contains(says), "{}", done.report());
        let served: Vec<(String, PathBuf)> = caches::gradle(other.home()).into_iter().collect();
        assert!(served.iter().any(|(path, _)| path.ends_with(".jar")), "{served:?}");
    };
    for version in ["1.0", "1.1"] {
        publish(gradle_library(&world, "releases", version, version).path(), &token).expect(0);
        consumes("releases", version, version);
    }
    let list = world.get("releases/com/example/gradle-lib/maven-metadata.xml").expect(200).text();
    assert!(list.contains("<version>1.0</version>") && list.contains("<version>1.1</version>"), "{list}");
    consumes("releases", "1.+", "1.1");

    for build in ["build one", "build two"] {
        publish(gradle_library(&world, "snapshots", "2.0-SNAPSHOT", build).path(), &token).expect(0);
        consumes("snapshots", "2.0-SNAPSHOT", build);
    }
    let text = world.get("snapshots/com/example/gradle-lib/2.0-SNAPSHOT/maven-metadata.xml").expect(200).text();
    assert!(text.contains("<buildNumber>2</buildNumber>"), "{text}");

    let refused = publish(gradle_library(&world, "releases", "1.0", "changed").path(), &token);
    assert!(refused.code != 0 && refused.output().contains("409"), "{}", refused.report());
    let refused = publish(gradle_library(&world, "releases", "3.0", "x").path(), "wrong");
    assert!(refused.code != 0 && refused.output().contains("401"), "{}", refused.report());
    consumes("releases", "1.0", "1.0");
    world.nothing_is_left("releases");
}

/// What sbt's manual has of publishing.
const SBT: &str = r#"
organization := "com.example"
name := "sbt-lib"
version := "VERSION"
autoScalaLibrary := false
crossPaths := false
publishMavenStyle := true
publishTo := Some(("hosted" at "URL").withAllowInsecureProtocol(true))
credentials += Credentials("pyrsia-maven", "localhost", "deployer", "TOKEN")
"#;

#[test]
fn sbt_publishes_releases_and_snapshots_that_name_no_build_and_maven_resolves_them() {
    let world = World::start("hosted-sbt", &fixture::central().maven2());
    let sbt = Sbt::new(&world.node.maven2());
    let project = places::scratch("hosted-sbt-lib");
    let url = world.url("ID").replace("127.0.0.1", "localhost");
    let publish = |id: &str, version: &str, content: &str| {
        let script = SBT.replace("VERSION", version).replace("URL", &url.replace("ID", id));
        write(project.path(), "build.sbt", &script.replace("TOKEN", &world.token("deployer")));
        write(project.path(), "src/main/resources/content.txt", content);
        sbt.run(project.path(), "publish")
    };
    let maven = Maven::of_the_machine();
    let resolves = |id: &str, version: &str| {
        let path = format!("{id}/com/example/sbt-lib/{version}/sbt-lib-{version}.jar");
        let here = world.get(&path).expect(200);
        assert!(resolved_of(&world, &maven, id, "sbt-lib", version) == here.body, "{path}");
        (here.body.clone(), here.header("cache-control").map(str::to_owned))
    };
    publish("releases", "1.0", "first").expect(0);
    assert_eq!(resolves("releases", "1.0").1, None);
    let (first, second) = ("the first one", "the second one, which is longer");
    publish("snapshots", "1.1-SNAPSHOT", first).expect(0);
    let before = resolves("snapshots", "1.1-SNAPSHOT");
    assert_eq!(before.1.as_deref(), Some("no-cache"));
    publish("snapshots", "1.1-SNAPSHOT", second).expect(0);
    let after = resolves("snapshots", "1.1-SNAPSHOT");
    assert!(before.0 != after.0, "the last one that was published is the one that is there");
    let refused = publish("releases", "1.2-SNAPSHOT", "x");
    assert!(refused.code != 0, "{}", refused.report());
    world.get("releases/com/example/sbt-lib/1.2-SNAPSHOT/sbt-lib-1.2-SNAPSHOT.pom").expect(404);
    for id in ["releases", "snapshots"] {
        world.nothing_is_left(id);
    }
}
