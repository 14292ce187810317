//! `rebuild`: without a node, in a sandbox, from the record alone.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use pyrsia_digest::Sha256;
use pyrsia_tests::node::{self, BUILD, Node};
use pyrsia_tests::process::until;
use pyrsia_tests::sources::{Sources, replace_in};
use pyrsia_tests::upstream::{Behaviour, Upstream};
use pyrsia_tests::{clients, engine, places, process, verifier};

use crate::fixture::{LIB, LIB_JAR, build, grant, keys, rebuild, rebuild_command, rebuild_data, rebuild_of, shared};

#[test]
fn a_rebuild_needs_no_node_and_makes_the_same_bytes() {
    let chain = shared();
    let out = places::scratch("rebuilt");
    let done = rebuild(&chain.sources, out.path(), &["--no-reference"]).expect(0);
    let report = done.json();
    assert_eq!(report["verdict"], "built");
    for (place, fields) in [
        (&report, &["gav", "verdict", "source", "spec", "image_digest", "manifest", "outputs", "timings"][..]),
        (&report["manifest"], &["root", "count", "bytes"]),
        (&report["outputs"][0], &["name", "size", "sha256", "sha512", "outcome", "normalisers", "explanation"]),
        (&report["timings"], &["clone_s", "record_s", "replay_s", "compare_s"]),
    ] {
        let expected: BTreeSet<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        assert!(keys(place).is_superset(&expected), "{expected:?} in {place:#}");
    }
    assert!(report["manifest"]["count"].as_u64().is_some_and(|count| count > 10), "{report:#}");
    let jar = chain.node.artifact(LIB_JAR).expect(200).body;
    let made = report["outputs"]
        .as_array()
        .and_then(|outputs| outputs.iter().find(|output| output["name"] == "greeting-lib-1.0.0.jar"))
        .unwrap_or_else(|| panic!("no jar in {report:#}"));
    assert_eq!(made["sha256"], Sha256::of(&jar).to_string(), "the same source makes the same bytes elsewhere");
    assert!(
        std::fs::read_dir(out.path()).is_ok_and(|files| files.count() >= 3),
        "files, provenance and log are written"
    );
}

/// Both ways to a key, checked by libraries of others; without one nothing looks signed.
#[test]
fn the_provenance_of_a_rebuild_is_signed_by_a_key_that_is_named() {
    let chain = shared();
    let folder = places::scratch("signed-rebuild");
    let out = folder.path().join("out");
    let key = folder.path().join("signing.key");
    std::fs::write(&key, format!("{}\n", "07".repeat(32))).expect("a written key");
    let arguments = ["--no-reference", "--key", &key.to_string_lossy()];
    let refused = rebuild(&chain.sources, &out, &arguments).expect(1);
    assert!(refused.output().contains("can be read by others"), "{}", refused.report());
    std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("a private key");
    let done = rebuild(&chain.sources, &out, &arguments).expect(0);
    let report = done.json();
    let written = &report["provenance"];
    assert_eq!(written["envelope"], "provenance.intoto.jsonl", "{}", done.report());
    let public = folder.path().join("public.pem");
    std::fs::write(&public, written["public_key"].as_str().expect("a key")).expect("a written key");
    let envelope = out.join("provenance.intoto.jsonl");
    let said = verifier::verify(&envelope, &[&public.to_string_lossy()]).expect(0).json();
    assert_eq!(said[0]["key_ids"], serde_json::json!([written["key_id"]]));
    for output in report["outputs"].as_array().expect("outputs") {
        assert_eq!(said[0]["subject"][output["name"].as_str().expect("a name")]["sha256"], output["sha256"]);
    }
    let dependencies = said[0]["dependencies"].as_array().expect("dependencies");
    assert_eq!(dependencies[0]["digest"]["gitCommit"], report["source"]["commit"]);
    assert_eq!(dependencies[1]["digest"]["sha256"], report["image_digest"]);
    let manifest = std::fs::read_to_string(out.join("manifest.txt")).expect("the manifest");
    let found = manifest.lines().filter(|line| line.contains("\t200\t") || line.contains("\t200-cut\t")).count();
    assert_eq!(dependencies.len(), found + 2, "the source, the image and every input");

    let done = rebuild(&chain.sources, &out, &["--no-reference"]).expect(0);
    assert_eq!(done.json()["provenance"]["envelope"], serde_json::Value::Null);
    assert!(!envelope.exists() && out.join("provenance.json").exists(), "no envelope of an earlier run is left");
}

#[test]
fn a_rebuild_is_compared_with_its_reference() {
    let chain = shared();
    let folder = places::scratch("reference");
    let reference = folder.path().join("greeting-lib-1.0.0.jar");
    std::fs::write(&reference, chain.node.artifact(LIB_JAR).expect(200).body).expect("a written jar");
    let reference = reference.to_string_lossy().into_owned();
    let out = folder.path().join("one");
    let done = rebuild(&chain.sources, &out, &["--reference", &reference]).expect(0);
    assert_eq!(done.json()["verdict"], "identical", "{}", done.report());

    chain.sources.add_sample("unreproducible-lib", "v1.0.0");
    let release = "org.pyrsia.samples:unreproducible-lib:1.0.0";
    let first = folder.path().join("first");
    rebuild_of(&chain.sources, (release, "unreproducible-lib", "v1.0.0"), &first, &["--no-reference"]).expect(0);
    let first = find(&first, "unreproducible-lib-1.0.0.jar");
    let second = folder.path().join("second");
    let arguments = ["--reference", &first.to_string_lossy()];
    let done = rebuild_of(&chain.sources, (release, "unreproducible-lib", "v1.0.0"), &second, &arguments).expect(17);
    assert_eq!(done.json()["verdict"], "different");
    assert!(done.stdout.contains("build.properties"), "the difference has a name: {}", done.report());
}

fn find(folder: &Path, name: &str) -> std::path::PathBuf {
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                open.push(entry.path());
            } else if entry.file_name() == name {
                return entry.path();
            }
        }
    }
    panic!("{name} is not below {}", folder.display());
}

/// An Ant snippet put into the library's build, run before it is packaged.
fn with_ant(tree: &Path, snippet: &str) {
    let plugin = format!(
        "<plugin><groupId>org.apache.maven.plugins</groupId><artifactId>maven-antrun-plugin</artifactId>\
         <version>3.1.0</version><executions><execution><phase>process-classes</phase><goals><goal>run</goal></goals>\
         <configuration><target>{snippet}</target></configuration></execution></executions></plugin></plugins>"
    );
    replace_in(&tree.join("pom.xml"), "</plugins>", &plugin);
}

/// A set of repositories with one edited library, for a failing rebuild.
fn edited(name: &str, edit: impl FnOnce(&Path)) -> Sources {
    let sources = Sources::new(&places::run_folder().join(format!("sources-{name}")));
    sources.add_edited("greeting-lib", "greeting-lib", "v1.0.0", edit);
    sources
}

/// A source that does not compile.
fn break_it(tree: &Path) {
    let file = tree.join("src/main/java/org/pyrsia/samples/greeting/Greeting.java");
    replace_in(&file, "public String greet(", "public Strin greet(");
}

#[test]
fn a_build_that_fails_in_the_network_is_20_and_stays_it() {
    engine::require();
    let sources = edited("broken-in-the-network", break_it);
    let node = Node::start("failing", &["--source-mirror", &sources.mirror()]);
    grant(&node, &["greeting-lib"]);
    let done = build(&node, LIB, "greeting-lib", "v1.0.0").expect(20);
    assert!(done.output().contains("FAILED"), "{}", done.report());
    // The round is over: who asks again hears the same, at once.
    build(&node, LIB, "greeting-lib", "v1.0.0").expect(20);
    node.cli(&["inspect", LIB]).expect(0);
}

#[test]
fn a_build_that_fails_is_20() {
    let sources = edited("broken", break_it);
    let out = places::scratch("broken");
    let done = rebuild(&sources, out.path(), &["--no-reference"]).expect(20);
    assert_eq!(done.json()["verdict"], "failed");
    assert_eq!(done.json()["failure_kind"], "tool-failed");
    assert!(done.output().contains("Greeting.java"), "what the compiler said is shown: {}", done.report());
}

#[test]
fn an_undeclared_input_is_21_and_has_a_name() {
    // The replay asks for another path than the record did: a time of day.
    let sources = edited("undeclared", |tree| {
        with_ant(
            tree,
            "<exec executable=\"date\" outputproperty=\"now\"><arg value=\"+%s%N\"/></exec>\
             <get src=\"http://127.0.0.1:8081/org/example/undeclared/${now}/undeclared-${now}.pom\" \
              dest=\"${java.io.tmpdir}/undeclared.pom\" ignoreerrors=\"true\"/>",
        );
    });
    let out = places::scratch("undeclared");
    let done = rebuild(&sources, out.path(), &["--no-reference"]).expect(21);
    assert!(done.output().contains("org/example/undeclared/"), "{}", done.report());
    assert_eq!(done.json()["failure_kind"], "undeclared");
}

#[test]
fn a_limit_is_1_and_has_a_name() {
    let sources = edited("limited", |_| {});
    let out = places::scratch("limited");
    let config = out.path().join("config.toml");
    // Too little for the plugins of the build.
    std::fs::write(&config, "[builder.java.limits]\ndisk_mib = 2\n").expect("a written configuration");
    let done = rebuild(&sources, out.path(), &["--no-reference", "--config", &config.to_string_lossy()]).expect(1);
    let report = done.json();
    assert_eq!(report["failure_kind"], "limit-disk", "{}", done.report());
    assert_eq!(report["failure"], "the build ran into its limit of disk");
}

/// The Maven of the library's specification.
const MAVEN: &str = "3.6.3";

#[test]
fn an_upstream_that_fails_is_1_and_says_to_try_again() {
    // Not 21: that an upstream is down today says nothing about what the build needs.
    engine::require();
    let sources = edited("outage", |_| {});
    let upstream = Upstream::start();
    let distribution = format!("org/apache/maven/apache-maven/{MAVEN}/apache-maven-{MAVEN}-bin.tar.gz");
    upstream.behave(&distribution, Behaviour::Status { code: 503, retry_after: None, times: usize::MAX });
    let folder = places::scratch("outage");
    let mut command = node::program();
    command.arg("--data-dir").arg(folder.path().join("data")).args(["rebuild", LIB, "--tag", "v1.0.0", "--json"]);
    command.args(["--source", &Sources::address("greeting-lib"), "--source-mirror", &sources.mirror()]);
    command.args(["--no-reference", "--upstream", &upstream.url(), "--out"]).arg(folder.path().join("out"));
    let done = process::run(&mut command, BUILD).expect(1);
    let failure = done.json()["failure"].as_str().unwrap_or_default().to_owned();
    assert!(failure.contains("upstream failed") && failure.contains("try again"), "{}", done.report());
    assert_eq!(done.json()["failure_kind"], "upstream-failed");
    assert!(!done.output().contains("inputs-unavailable"), "{}", done.report());
    // A file that is not there is another matter.
    upstream.behave(&distribution, Behaviour::Status { code: 404, retry_after: None, times: usize::MAX });
    let done = process::run(&mut command, BUILD).expect(21);
    assert!(done.output().contains("inputs-unavailable"), "{}", done.report());
}

#[test]
fn without_an_established_source_it_is_22() {
    let sources = edited("sourceless", |_| {});
    let out = places::scratch("sourceless");
    let folder = out.path();
    let no_tag = rebuild_of(&sources, (LIB, "greeting-lib", "v9.9.9"), folder, &["--no-reference"]).expect(22);
    assert!(no_tag.output().contains("v9.9.9"), "{}", no_tag.report());
    // The tag is there, but what it holds is another release.
    let other = "org.pyrsia.samples:greeting-lib:1.0.1";
    let not_it = rebuild_of(&sources, (other, "greeting-lib", "v1.0.0"), folder, &["--no-reference"]).expect(22);
    assert!(not_it.output().contains("1.0.0") && not_it.output().contains("1.0.1"), "{}", not_it.report());
    sources.remove("greeting-lib");
    let gone = rebuild(&sources, folder, &["--no-reference"]).expect(22);
    assert_eq!(gone.json()["failure_kind"], serde_json::Value::Null, "it was no build");
}

#[test]
fn a_build_sees_no_network_and_not_its_own_release() {
    // The upstream has the very release that is built: a recipe could copy it instead of building.
    let chain = shared();
    let sources = edited("copycat", |tree| {
        with_ant(
            tree,
            &format!(
                "<exec executable=\"cat\" output=\"${{project.build.outputDirectory}}/interfaces.txt\">\
                 <arg value=\"/proc/net/dev\"/></exec>\
                 <get src=\"http://127.0.0.1:8081/{LIB_JAR}\" \
                  dest=\"${{project.build.outputDirectory}}/copied.jar\" ignoreerrors=\"true\"/>"
            ),
        );
    });
    let out = places::scratch("copycat");
    let arguments = ["--no-reference", "--upstream", &chain.node.maven2()];
    rebuild(&sources, out.path(), &arguments).expect(0);
    let unpacked = clients::unpack_jar(&find(out.path(), "greeting-lib-1.0.0.jar"));
    let interfaces = std::fs::read_to_string(unpacked.path().join("interfaces.txt")).expect("the build copied it");
    let names: Vec<_> =
        interfaces.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
    assert_eq!(names, ["lo"], "{interfaces}");
    assert!(!unpacked.path().join("copied.jar").exists(), "the build got a file of its own release");
}

#[test]
fn a_rebuild_that_is_asked_to_end_leaves_nothing_behind() {
    let sources = edited("endless", |tree| with_ant(tree, "<echo message=\"it goes on\"/><sleep hours=\"1\"/>"));
    let (out, runtime) = (places::scratch("endless"), engine::RuntimeFolder::default());
    let address = Sources::address("greeting-lib");
    let configuration = runtime.configuration();
    let arguments =
        ["--no-reference", "--tag", "v1.0.0", "--source", &address, "--config", &configuration.to_string_lossy()];
    let (mut command, _one) = rebuild_command(&sources, LIB, out.path(), &arguments);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let log = out.path().join("build.log");
    let said = |text: &str| std::fs::read_to_string(&log).is_ok_and(|log| log.contains(text));
    // While git works, perhaps, while the container is made, and in the midst of the build.
    for moment in ["cloning", "files, tree", "it goes on"] {
        let mut child = command.spawn().expect("a started rebuild");
        until(BUILD, || (said(moment) || !process::is_running(child.id())).then_some(()));
        assert!(said(moment) && process::is_running(child.id()), "it did not get to {moment}");
        process::terminate(child.id());
        assert_eq!(process::wait(&mut child, Duration::from_secs(60)), 1, "at {moment}");
        assert_eq!(runtime.containers(), Vec::<String>::new(), "at {moment}");
        let work: Vec<_> = std::fs::read_dir(rebuild_data().join("rebuild"))
            .expect("the cache")
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with("work-"))
            .collect();
        assert_eq!(work, Vec::<String>::new(), "at {moment}");
        std::fs::remove_file(&log).expect("the log goes");
    }
}
