//! Faults of the machine under a node: files of consensus that are torn or gone, a full disk, a container engine that stops.
//!
//! The full disk is a small file system in memory that the test mounts, the engine is a second one that the test starts; both
//! need root, as the sandbox does.

use std::path::PathBuf;
use std::time::Duration;

use pyrsia_tests::engine::{self, OwnEngine};
use pyrsia_tests::node::Node;
use pyrsia_tests::places::SmallDisk;
use pyrsia_tests::process::{self, until};
use pyrsia_tests::scripted::Scripted;
use pyrsia_tests::sources::Sources;
use pyrsia_tests::{http, places};
use serde_json::Value;

use crate::faults::{
    REPOSITORY, all_others_are_needed, ask, nothing_is_left, nothing_was_signed_twice, published, version,
};
use crate::fixture::{LIB, LIB_JAR, SELF_VERIFIED, grant};

/// The newest file of units of an authority.
fn backup(network: &Scripted, authority: &str) -> PathBuf {
    let folder = network.net.data(authority).join("consensus/backups");
    let files = std::fs::read_dir(&folder).expect("backups").flatten();
    let modified = |path: &PathBuf| std::fs::metadata(path).and_then(|file| file.modified()).expect("a time");
    files.map(|file| file.path()).max_by_key(modified).expect("a backup")
}

fn log_of(network: &Scripted, authority: &str) -> String {
    std::fs::read_to_string(network.net.log(authority)).unwrap_or_default()
}

/// Waits until `status` of an authority, or its log, has these words.
#[track_caller]
fn says(network: &Scripted, authority: &str, words: &str) {
    let said = until(Duration::from_secs(60), || {
        let status = network.net.operator(authority, &["status"]);
        (status.stdout.contains(words) || log_of(network, authority).contains(words)).then_some(())
    });
    assert!(
        said.is_some(),
        "{authority} does not say {words:?}\n{}\n{}",
        network.net.operator(authority, &["status"]).report(),
        process::tail_of(&network.net.log(authority), 40)
    );
}

#[test]
fn what_consensus_had_on_disk_is_torn_cut_or_gone() {
    let network = Scripted::start("torn", 5);
    network.publishable(REPOSITORY);
    ask(&network, LIB);
    published(&network, LIB);
    network.net.same_log(8);

    // A write that the power cut ended in its midst: nobody has seen that unit.
    network.kill("a2");
    let torn = backup(&network, "a2");
    let mut bytes = std::fs::read(&torn).expect("units");
    bytes.extend_from_slice(&[200, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    std::fs::write(&torn, bytes).expect("a torn file");
    network.net.up().expect(0);
    says(&network, "a2", "dropped a torn write at the end of the consensus backup");
    network.net.same_log(8);

    // A disk that forgot what it had said was written: others have seen units that are not there any more.
    network.kill("a3");
    let cut = backup(&network, "a3");
    let bytes = std::fs::read(&cut).expect("units");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).expect("a cut file");
    network.net.up().expect(0);
    let second = version(&network, 1);
    ask(&network, &second);
    published(&network, &second);
    says(&network, "a3", "others may have units of this member that its backup lacks");
    says(&network, "a3", "this authority sits consensus session 0 out");
    // It is an authority all the same: what it says comes into the ledger through the others.
    spoke(&network, &second, "a3");
    network.net.same_log(8);
    nothing_was_signed_twice(&network);

    // And then the file is gone.
    network.kill("a3");
    std::fs::remove_file(backup(&network, "a3")).expect("a removed backup");
    network.net.up().expect(0);
    says(&network, "a3", "the backup that the marker names is gone");
    let third = version(&network, 2);
    ask(&network, &third);
    published(&network, &third);
    spoke(&network, &third, "a3");
    network.net.same_log(8);
    nothing_was_signed_twice(&network);
    nothing_is_left(network);
}

#[test]
fn a_network_of_one_whose_backup_was_cut_goes_on_in_the_next_session() {
    let mut node = Node::start("cut-alone", &["--no-builder", "--upstream", "none"]);
    let block = |node: &Node, number: u32| {
        node.cli(&["block", &format!("org.acme:bad:{number}"), "--reason", "one of several"]).expect(0);
    };
    (0..4).for_each(|number| block(&node, number));
    let leaves =
        |node: &Node| node.cli(&["log", "--json"]).expect(0).json()["leaves"].as_array().expect("leaves").clone();
    let before = leaves(&node);
    node.kill();
    let backup = node.data().join("consensus/backups/0.0");
    let bytes = std::fs::read(&backup).expect("units");
    std::fs::write(&backup, &bytes[..bytes.len() / 2]).expect("a cut file");
    for number in 4..6 {
        node.start_again();
        block(&node, number);
        node.kill();
    }
    node.start_again();
    let after = leaves(&node);
    assert!(after.len() == 6 && after[..4] == before[..], "{after:#?}");
    let log = process::tail_of(&node.log(), 40);
    assert!(log.contains("going on with the next consensus session"), "{log}");
    assert_eq!(node.stop(), 0);
}

/// Waits until an authority's word on a release is in the ledger.
#[track_caller]
fn spoke(network: &Scripted, release: &str, authority: &str) {
    let inspect = || network.net.cli(&["inspect", release, "--json"]).json()["verdict"]["files"][0].clone();
    let spoke = until(Duration::from_secs(60), || {
        let jar = inspect();
        let named = |list: &str| jar[list].as_array().is_some_and(|by| by.contains(&Value::from(authority)));
        (named("agreed_by") || named("agreed_later")).then_some(())
    });
    assert!(spoke.is_some(), "nothing of {authority}'s is in the ledger: {:#}", inspect());
}

/// Words of an operating system or a database about a full disk.
fn speaks_of_the_disk(text: &str) -> bool {
    ["No space left", "no room to write"].iter().any(|words| text.contains(words))
}

#[test]
fn a_node_on_a_full_disk_serves_no_wrong_byte_and_goes_on_later() {
    let disk = SmallDisk::mount(24);
    let upstream = pyrsia_tests::upstream::Upstream::start();
    upstream.put_release("org.acme", "small", "1.0", vec![7u8; 100_000]);
    // Does not compress and does not fit.
    let large: Vec<u8> =
        (0..4_000_000u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    upstream.put_release("org.acme", "large", "1.0", large.clone());
    let data = disk.path().join("data");
    let mut node = Node::start_at("full", &data, &["--no-builder", "--upstream", &upstream.url()]);
    let (small, big) = ("org/acme/small/1.0/small-1.0.jar", "org/acme/large/1.0/large-1.0.jar");
    assert_eq!(node.artifact(small).expect(200).body, vec![7u8; 100_000]);
    node.cli(&["block", "org.acme:bad:1.0", "--reason", "before"]).expect(0);
    let leaves = |node: &Node| node.cli(&["log", "--json"]).expect(0).json()["leaves"].clone();
    let before = leaves(&node);
    assert_eq!(before.as_array().map(Vec::len), Some(1));

    disk.fill();
    for _ in 0..2 {
        let refused = node.artifact(big).expect(507);
        assert!(speaks_of_the_disk(&refused.text()), "{}", refused.text());
        assert_eq!(refused.json()["title"], "This node's disk is full: nothing further can be stored.");
        let begun = std::fs::read_dir(data.join("blobs/tmp")).expect("the folder").count();
        assert_eq!(begun, 0, "no part of a file is left");
    }
    assert_eq!(node.artifact(small).expect(200).body, vec![7u8; 100_000], "what is here is served");
    node.artifact("org/acme/small/1.0/small-1.0-sources.jar").expect(404);
    // The ledger takes nothing, says why, and is none the worse.
    let refused = node.cli(&["block", "org.acme:bad:2.0", "--reason", "while full"]);
    assert_ne!(refused.code, 0, "{}", refused.report());
    assert!(speaks_of_the_disk(&refused.output()), "{}", refused.report());
    assert_eq!(leaves(&node), before);

    // It goes on by itself.
    disk.free();
    assert_eq!(node.artifact(big).expect(200).body, large);
    node.cli(&["block", "org.acme:bad:3.0", "--reason", "after"]).expect(0);
    let after = leaves(&node);
    assert_eq!((after.as_array().map(Vec::len), &after[0]), (Some(2), &before[0]), "{after:#}");
    assert_eq!(node.stop(), 0);
    node.start_again();
    assert_eq!(leaves(&node), after, "the ledger is the one from before");
    assert_eq!(node.artifact(big).expect(200).body, large);
    let reasons = node.cli(&["log"]).expect(0).stdout;
    assert!(reasons.contains("after"), "{reasons}");
    assert_eq!(node.stop(), 0);
    let folder = disk.path().to_owned();
    drop((node, disk));
    assert_eq!(places::left_of(&folder), Vec::<String>::new());
}

#[test]
fn an_authority_on_a_full_disk_is_outlived_and_comes_back() {
    let network = Scripted::start("full-authority", 5);
    network.publishable(REPOSITORY);
    ask(&network, LIB);
    published(&network, LIB);
    network.net.same_log(8);
    network.kill("a4");
    let disk = SmallDisk::over(&network.net.data("a4"), 32);
    network.net.up().expect(0);
    network.net.same_log(8);
    disk.fill();
    let second = version(&network, 1);
    let (member, address) = (network.net.member("a4"), Sources::address(REPOSITORY));
    let arguments = ["build", &second, "--source", &address, "--tag", "v1.0.1", "--wait"];
    // Asked for a build itself, it cannot even clone, and says why instead of letting anybody wait.
    let refused = process::run(&mut network.net.command(&member, &arguments), Duration::from_secs(60));
    assert!(refused.code > 0 && speaks_of_the_disk(&refused.output()), "{}", refused.report());
    let other = network.net.member("a1");
    process::run(&mut network.net.command(&other, &arguments), Duration::from_secs(90)).expect(0);
    let by = published(&network, &second);
    assert!(by.len() == 3 && !by.contains("a4"), "{by:?}");
    says(&network, "a4", "consensus waits for room on the disk");
    // Whatever it serves of the first release is right.
    let served = network.net.artifact("a4", LIB_JAR);
    let right = network.net.artifact("a1", LIB_JAR).expect(200).body;
    assert!(served.status >= 500 || served.body == right, "{}", served.status);
    // It goes on by itself, in the same session.
    disk.free();
    says(&network, "a4", "consensus goes on: there is room on the disk");
    network.net.same_log(8);
    let status = network.net.operator("a4", &["status"]).stdout;
    assert!(!status.contains("sits consensus session"), "{status}");
    let third = version(&network, 2);
    all_others_are_needed(&network, "a1", &third);
    network.kill("a4");
    drop(disk);
    nothing_is_left(network);
}

#[test]
fn the_engine_stops_in_the_midst_of_a_build_and_comes_back() {
    engine::require();
    let mut own = OwnEngine::start();
    let sources = Sources::new(&places::run_folder().join("engine-sources"));
    sources.add_sample(REPOSITORY, "v1.0.0");
    let rounds = "[rounds]\ntries = 8\nretry_s = 1\n";
    let config = own.configuration(rounds).to_string_lossy().into_owned();
    let mut node = Node::start("engine", &["--source-mirror", &sources.mirror(), "--config", &config]);
    grant(&node, &[REPOSITORY]);
    let address = Sources::address(REPOSITORY);
    let id = node.cli_long(&["build", LIB, "--source", &address, "--tag", "v1.0.0"]).expect(0).stdout;
    let running = until(Duration::from_secs(180), || Some(own.containers()).filter(|all| !all.is_empty()));
    assert!(running.is_some(), "no container of this build was seen: {}", node.cli(&["builds"]).report());
    own.stop();
    let events = || http::get(&format!("{}/api/v1/builds/{}/events", node.url(), id.trim())).expect(200).text();
    let failed = until(Duration::from_secs(60), || events().contains("try 1 of 8 failed").then_some(()));
    assert!(failed.is_some(), "no failed try is told: {}", events());
    let status = node.cli(&["status"]).expect(0);
    assert!(status.stdout.contains("does not rebuild at present: no container engine answers"), "{}", status.report());
    own.start_again();
    node.cli_long(&["build", LIB, "--source", &address, "--tag", "v1.0.0", "--wait"]).expect(SELF_VERIFIED);
    node.artifact(LIB_JAR).expect(200);
    let failures = node.cli(&["log"]).expect(0).stdout;
    assert!(
        !failures.contains("no inputs"),
        "a fault of the engine is never what the ledger says of a build: {failures}"
    );
    assert_eq!(node.stop(), 0);
    assert_eq!(own.containers(), Vec::<String>::new(), "containers are gone with the node");
    let folder = own.folder().to_owned();
    drop((node, own));
    assert_eq!(places::left_of(&folder), Vec::<String>::new());
}
