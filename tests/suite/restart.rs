//! A node killed at any moment of a build goes on where it was: the ledger only grows, the build comes to its verdict.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pyrsia_tests::engine::RuntimeFolder;
use pyrsia_tests::node::Node;
use pyrsia_tests::process::{self, until};
use pyrsia_tests::sources::Sources;
use pyrsia_tests::{engine, http, node, places};

use crate::fixture::{LIB, LIB_JAR, build, grant};

/// The bytes of every leaf of a node's log, in order.
fn leaves(node: &Node) -> Vec<String> {
    let page = node.cli(&["log", "--json"]).expect(0).json();
    let leaves = page["leaves"].as_array().expect("leaves");
    leaves.iter().map(|leaf| leaf["bytes"].as_str().expect("a leaf's bytes").to_owned()).collect()
}

/// A number that is another one at every run; printed, so that a failure can be looked into.
fn seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let seed = now.as_nanos() as u64 ^ u64::from(std::process::id());
    println!("seed {seed}");
    seed
}

/// Numbers after a seed (xorshift).
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state
}

#[test]
fn a_build_survives_a_node_that_is_killed_again_and_again() {
    engine::require();
    let sources = Sources::new(&places::run_folder().join("restart-sources"));
    sources.add_sample("greeting-lib", "v1.0.0");
    let runtime = RuntimeFolder::default();
    let config = runtime.configuration().to_string_lossy().into_owned();
    let mut node = Node::start("restart", &["--source-mirror", &sources.mirror(), "--config", &config]);
    grant(&node, &["greeting-lib"]);
    let address = Sources::address("greeting-lib");
    node.cli(&["build", LIB, "--source", &address, "--tag", "v1.0.0"]).expect(0);
    let mut state = seed() | 1;
    let mut known = leaves(&node);
    for kill in 0..4 {
        // Short waits first: start-up, recording; later ones reach the replay and the verdict.
        let wait = next(&mut state) % (3_000 * (kill + 1));
        println!("kill {kill} after {wait} ms, {} leaves", known.len());
        std::thread::sleep(Duration::from_millis(wait));
        let now = leaves(&node);
        assert!(now.starts_with(&known), "the log only grows");
        known = now;
        node.kill();
        node.start_again();
        let now = leaves(&node);
        assert!(now.starts_with(&known), "what was in the log is in the log after a kill");
        known = now;
    }
    build(&node, LIB, "greeting-lib", "v1.0.0").expect(18);
    let done = leaves(&node);
    assert!(done.starts_with(&known) && done.len() > known.len());
    node.artifact(LIB_JAR).expect(200);
    let root = http::get(&format!("{}/log/checkpoint", node.url())).expect(200).text();
    node.kill();
    node.start_again();
    let again = http::get(&format!("{}/log/checkpoint", node.url())).expect(200).text();
    let head = |note: &str| note.lines().take(3).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(head(&root), head(&again), "size and root of the log are those before the kill");
    node.cli(&["verify", "--accept-self", "--maven-repo", &node.folder().join("none").to_string_lossy(), LIB])
        .expect(0);
    assert_eq!(node.stop(), 0);
    assert_eq!(runtime.containers(), Vec::<String>::new(), "the containers of killed nodes are gone, too");

    // The only copy of what the ledger vouches for outlives a cleaning that takes all else.
    let mut gc = node::program();
    gc.arg("--data-dir").arg(node.data()).args(["gc", "--max-gib", "0", "--json"]);
    let cleaned = process::run(&mut gc, Duration::from_secs(60)).expect(0).json();
    assert!(cleaned["removed"].as_u64() > Some(50), "the inputs of the build: {cleaned:#}");
    node.start_again();
    node.artifact(LIB_JAR).expect(200);
}

#[test]
fn a_stopped_node_leaves_no_container() {
    engine::require();
    let sources = Sources::new(&places::run_folder().join("stopped-sources"));
    sources.add_sample("greeting-lib", "v1.0.0");
    let runtime = RuntimeFolder::default();
    let config = runtime.configuration().to_string_lossy().into_owned();
    let mut node = Node::start("stopped", &["--source-mirror", &sources.mirror(), "--config", &config]);
    grant(&node, &["greeting-lib"]);
    node.cli(&["build", LIB, "--source", &Sources::address("greeting-lib"), "--tag", "v1.0.0"]).expect(0);
    let running = until(Duration::from_secs(120), || Some(runtime.containers()).filter(|all| !all.is_empty()));
    assert!(running.is_some(), "no container of this build was seen");
    assert_eq!(node.stop(), 0);
    assert_eq!(runtime.containers(), Vec::<String>::new(), "containers are gone with the node");
}
