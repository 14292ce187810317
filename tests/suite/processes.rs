//! Processes: one node for one data folder, a node ends when asked and when its parent is gone, and leaves nothing.

use std::time::Duration;

use pyrsia_tests::node::{self, Node};
use pyrsia_tests::process;

fn quiet(name: &str) -> Node {
    Node::start(name, &["--no-builder", "--upstream", "none"])
}

#[test]
fn a_node_ends_when_asked() {
    let mut node = quiet("asked");
    assert_eq!(node.stop(), 0);
}

#[test]
fn a_node_ends_with_its_parent() {
    let mut node = quiet("parent");
    assert_eq!(node.close_stdin(), 0);
}

#[test]
fn a_data_folder_has_one_node() {
    let node = quiet("lock");
    let second = process::run(
        node::program().arg("--data-dir").arg(node.data()).args([
            "node",
            "--listen",
            "127.0.0.1:0",
            "--no-builder",
            "--upstream",
            "none",
        ]),
        Duration::from_secs(30),
    );
    assert_eq!(second.code, 1, "{}", second.report());
    assert!(second.stderr.contains("data"), "it says what is in use: {}", second.report());
    node.cli(&["status"]).expect(0);
}

#[test]
fn a_killed_node_starts_again() {
    let mut node = quiet("killed");
    let before = node.cli(&["status", "--json"]).expect(0).json();
    node.kill();
    node.start_again();
    let after = node.cli(&["status", "--json"]).expect(0).json();
    assert_eq!(before["network"]["id"], after["network"]["id"]);
}

#[test]
fn an_idle_node_writes_nothing() {
    let node = quiet("idle");
    let size = || node.cli(&["status", "--json"]).expect(0).json()["log"]["size"].clone();
    let before = size();
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(before, size(), "no empty blocks, no heartbeats in the ledger");
}

#[test]
fn without_a_node_the_answer_is_16() {
    for command in [&["status"][..], &["verify", "org.acme:lib:1.0"], &["log"], &["build", "org.acme:lib:1.0"]] {
        let mut arguments = vec!["--node", "http://127.0.0.1:1"];
        arguments.extend_from_slice(command);
        let folder = pyrsia_tests::places::scratch("no-node");
        let done = process::run(
            node::program().arg("--data-dir").arg(folder.path()).env("HOME", folder.path()).args(&arguments),
            Duration::from_secs(60),
        )
        .expect(16);
        assert!(done.stderr.contains("127.0.0.1:1"), "it says whom it asked: {}", done.report());
    }
}
