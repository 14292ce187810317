//! Unmodified clients with empty caches: they resolve the sample library through the node, compile against it, run it.

use pyrsia_digest::Sha256;
use pyrsia_tests::clients::{self, GradleUser, Maven, MavenUser};
use pyrsia_tests::process::run;
use pyrsia_tests::upstream::Upstream;
use pyrsia_tests::{places, sources};

use crate::fixture::{self, LIB_JAR};

const GREETING: &str = "Hello, consumer!";

fn project(name: &str) -> tempfile::TempDir {
    let folder = places::scratch(name);
    sources::copy_tree(&places::sample(name), folder.path());
    folder
}

fn resolves_compiles_and_runs(maven: &Maven) {
    let chain = fixture::shared();
    let user = MavenUser::new(&chain.node.maven2(), "central");
    let project = project("consumer-maven");
    user.run(maven, project.path(), &["package"]).expect(0);
    let jar = user.local_file(LIB_JAR);
    let class_path = [project.path().join("target/classes"), jar.clone()];
    let said = clients::java(&class_path, "org.pyrsia.samples.consumer.Main").expect(0);
    assert!(said.stdout.contains(GREETING), "{}", said.report());
    let served = chain.node.artifact(LIB_JAR).expect(200).body;
    let local = std::fs::read(&jar).expect("the jar");
    assert_eq!(Sha256::of(&local), Sha256::of(&served));
    let origin = jar.with_file_name("_remote.repositories");
    let origin = std::fs::read_to_string(origin).expect("Maven writes where a file came from");
    assert!(origin.contains("under-test"), "it came through the mirror: {origin}");
}

#[test]
fn maven_of_the_machine_uses_the_node() {
    resolves_compiles_and_runs(&Maven::of_the_machine());
}

#[test]
fn a_newer_maven_that_came_through_the_node_uses_it() {
    let maven = Maven::newer(&fixture::shared().node.maven2());
    assert!(maven.version().contains("3.9."), "{}", maven.version());
    resolves_compiles_and_runs(&maven);
}

#[test]
fn gradle_uses_the_node() {
    let chain = fixture::shared();
    let user = GradleUser::default();
    let project = project("consumer-gradle");
    let done = user.run(project.path(), &chain.node.maven2(), &["-q", "run"]).expect(0);
    assert!(done.stdout.contains(GREETING), "{}", done.report());
}

#[test]
fn gradle_builds_a_library_from_what_the_node_mirrors() {
    let chain = fixture::shared();
    let user = GradleUser::default();
    let project = project("gradle-lib");
    let script = project.path().join("build.gradle");
    let text = std::fs::read_to_string(&script).expect("the build script");
    let node = format!("maven {{ url '{}' }}", chain.node.maven2());
    std::fs::write(&script, text.replace("mavenCentral()", &node)).expect("a written script");
    user.run(project.path(), &chain.node.maven2(), &["-q", "jar"]).expect(0);
    assert!(project.path().join("build/libs/gradle-lib-1.0.0.jar").is_file());
}

/// The second repository of the consumer that has two.
fn second_repository() -> Upstream {
    let second = Upstream::start();
    let folder = places::scratch("second");
    std::fs::write(folder.path().join("there.txt"), "only there\n").expect("a written file");
    let jar = folder.path().join("there.jar");
    let mut command = std::process::Command::new("jar");
    command.current_dir(folder.path()).arg("--create").arg("--file").arg(&jar).arg("there.txt");
    run(&mut command, std::time::Duration::from_secs(60)).expect(0);
    second.put_release("org.pyrsia.samples.second", "only-there", "1.0.0", std::fs::read(&jar).expect("the jar"));
    second
}

#[test]
fn a_mirror_of_central_leaves_a_second_repository_alone() {
    let chain = fixture::shared();
    let second = second_repository();
    let user = MavenUser::new(&chain.node.maven2(), "central");
    let project = project("consumer-two-repos");
    let address = format!("-Dsecond.url={}", second.url());
    user.run(&Maven::of_the_machine(), project.path(), &["package", &address]).expect(0);
    let class_path = [project.path().join("target/classes"), user.local_file(LIB_JAR)];
    let said = clients::java(&class_path, "org.pyrsia.samples.consumer.Main").expect(0);
    assert!(said.stdout.contains("two repositories"), "{}", said.report());
    assert_eq!(second.gets("org/pyrsia/samples/second/only-there/1.0.0/only-there-1.0.0.jar"), 1);
}

#[test]
fn the_enforcing_mirror_hides_a_second_repository() {
    let chain = fixture::shared();
    let second = second_repository();
    let user = MavenUser::new(&chain.node.maven2(), "*");
    let project = project("consumer-two-repos");
    let address = format!("-Dsecond.url={}", second.url());
    let done = user.run(&Maven::of_the_machine(), project.path(), &["compile", &address]).expect(1);
    assert!(done.stdout.contains("only-there"), "{}", done.report());
    assert_eq!(second.requests(), [], "nothing comes from anywhere but the node");
}
