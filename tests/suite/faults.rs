//! Authorities that are killed, cut off, or start without what they had: the others go on, and who comes back agrees.
//!
//! The builders are scripted (`scripted-node`) and held at the step that a test is about, so that a kill hits that step for
//! certain.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use pyrsia_digest::Sha256;
use pyrsia_ledger::{EntryBody, ImageProposal, RoundKey, SignedEntry};
use pyrsia_tests::node::Node;
use pyrsia_tests::process::{self, Finished, until};
use pyrsia_tests::scripted::Scripted;
use pyrsia_tests::sources::{self, Sources};
use pyrsia_tests::{http, places};
use serde_json::{Value, json};

use crate::fixture::{LIB, LIB_JAR};

/// The repository of the releases here.
pub const REPOSITORY: &str = "greeting-lib";
/// How long a build may take, the patience of its authorities included.
const BUILD: Duration = Duration::from_secs(90);

/// The library in another version, tagged in its repository.
pub fn version(network: &Scripted, patch: u32) -> String {
    network.sources.add_edited(REPOSITORY, REPOSITORY, &format!("v1.0.{patch}"), |tree| {
        let version = format!("<version>1.0.{patch}</version>");
        sources::replace_in(&tree.join("pom.xml"), "<version>1.0.0</version>", &version);
    });
    format!("org.pyrsia.samples:greeting-lib:1.0.{patch}")
}

/// `build` at the plain node, without waiting; returns its id.
pub fn ask(network: &Scripted, release: &str) -> String {
    let (address, tag) = (Sources::address(REPOSITORY), release.rsplit(':').next().expect("a version"));
    let done = network.net.cli(&["build", release, "--source", &address, "--tag", &format!("v{tag}")]).expect(0);
    done.stdout.trim().to_owned()
}

/// What an authority's own face says of a release's build; null before it knows one. Fast: no process is started.
fn build_at(url: &str, release: &str) -> Value {
    let list = http::get(&format!("{url}/api/v1/builds")).expect(200).json();
    let builds = list["builds"].as_array().expect("builds");
    let found = builds.iter().find(|build| build["coordinates"][0] == release);
    found.cloned().unwrap_or_default()
}

/// Waits until the plain node has the release published; the authorities whose agreement made its JAR.
#[track_caller]
pub fn published(network: &Scripted, release: &str) -> BTreeSet<String> {
    let verdict = until(BUILD, || {
        let verdict = network.net.cli(&["inspect", release, "--json"]).json()["verdict"].clone();
        (!verdict.is_null()).then_some(verdict)
    });
    let verdict = verdict.unwrap_or_else(|| panic!("{release} has no verdict: {:#?}", network.leaves()));
    assert_eq!(verdict["verdict"], "published", "{verdict:#}");
    let files = verdict["files"].as_array().expect("files");
    let jar = files.iter().find(|file| file["name"].as_str().is_some_and(|name| name.ends_with(".jar")));
    let by = jar.and_then(|jar| jar["agreed_by"].as_array()).expect("who agreed").iter();
    by.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Whatever was killed when: nobody has said two things of one kind in one attempt of a round, and consensus has no word of
/// a member that signed two units for one round.
#[track_caller]
pub fn nothing_was_signed_twice(network: &Scripted) {
    let mut said: BTreeMap<(String, RoundKey, u32, &str), BTreeSet<String>> = BTreeMap::new();
    for (signer, entry) in network.entries() {
        let (round, attempt) = match &entry.body {
            EntryBody::Inputs(body) => (body.round, body.attempt),
            EntryBody::Commitment(body) => (body.round, body.attempt),
            EntryBody::Attestation(body) => (body.round, body.attempt),
            _ => continue,
        };
        said.entry((signer, round, attempt, entry.body.kind())).or_default().insert(entry.digest().to_string());
    }
    for (what, entries) in said {
        assert_eq!(entries.len(), 1, "{what:?} was said in several ways: {entries:?}");
    }
    for member in network.net.members() {
        let log = std::fs::read(network.net.log(&member.name)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).to_lowercase();
        let forks: Vec<_> = log.lines().filter(|line| line.contains("fork")).collect();
        assert!(forks.is_empty(), "{} has seen a fork: {forks:#?}", member.name);
    }
}

/// Ends a network: no process, no mount and no file of it is left.
#[track_caller]
pub fn nothing_is_left(network: Scripted) {
    let folder = network.net.dir().parent().expect("a folder of its own").to_owned();
    drop(network);
    assert_eq!(places::left_of(&folder), Vec::<String>::new());
}

/// A build with this authority down, so that everybody else's word is needed, the ones that came back included.
#[track_caller]
pub fn all_others_are_needed(network: &Scripted, without: &str, release: &str) {
    network.kill(without);
    ask(network, release);
    let by = published(network, release);
    let others: BTreeSet<_> = network.net.authorities().into_iter().filter(|name| name != without).collect();
    assert_eq!(by, others);
    network.net.up().expect(0);
    network.net.same_log(8);
    nothing_was_signed_twice(network);
}

#[test]
fn a_recorder_and_a_builder_are_killed_at_work() {
    let network = Scripted::start("killed-work", 5);
    network.publishable(REPOSITORY);
    // While it records: whoever's turn it is.
    network.script_all(&json!({ "hold": "record" }));
    ask(&network, LIB);
    let recorder = network.wait_held("record", None);
    network.kill(&recorder);
    network.script_all(&json!({}));
    let by = published(&network, LIB);
    assert!(by.len() == 3 && !by.contains(&recorder), "{by:?} without {recorder}");
    network.net.up().expect(0);
    network.net.same_log(8);
    nothing_was_signed_twice(&network);
    // While it replays, the others being done with it.
    let second = version(&network, 1);
    let builder = network.net.authorities().into_iter().find(|name| *name != recorder).expect("another authority");
    network.script(&builder, &json!({ "hold": "replay" }));
    ask(&network, &second);
    network.wait_held("replay", Some(&builder));
    network.kill(&builder);
    network.script(&builder, &json!({}));
    let by = published(&network, &second);
    assert!(by.len() == 3 && !by.contains(&builder), "{by:?} without {builder}");
    network.net.up().expect(0);
    network.net.same_log(8);
    let third = version(&network, 2);
    let without = network.net.authorities().into_iter().find(|name| *name != recorder && *name != builder);
    all_others_are_needed(&network, &without.expect("four authorities"), &third);
    nothing_is_left(network);
}

#[test]
fn an_authority_killed_after_its_commitment_shows_what_it_committed_to() {
    let network = Scripted::start("killed-committed", 8);
    network.publishable(REPOSITORY);
    // The stage stays open while one builder is held: that is not the one to be killed.
    network.script("a4", &json!({ "hold": "replay" }));
    ask(&network, LIB);
    let committed =
        |signer: &str, entry: &SignedEntry| matches!(entry.body, EntryBody::Commitment(_)).then(|| signer.to_owned());
    let victim = network.wait_for("a commitment", |signer, entry| committed(signer, entry).filter(|by| by != "a4"));
    network.kill(&victim);
    let shown = |by: &str| {
        let is_shown =
            |(signer, entry): &(String, SignedEntry)| signer == by && matches!(entry.body, EntryBody::Attestation(_));
        network.entries().iter().any(is_shown)
    };
    assert!(!shown(&victim), "killed too late");
    network.script("a4", &json!({}));
    let by = published(&network, LIB);
    assert!(by.len() == 3 && !by.contains(&victim), "{by:?} without {victim}");
    // Its result and salt were on disk before its commitment was said.
    network.net.up().expect(0);
    assert!(until(BUILD, || shown(&victim).then_some(())).is_some(), "{victim} does not show what it committed to");
    let inspected = network.net.cli(&["inspect", LIB, "--json"]).json();
    let agrees = until(Duration::from_secs(30), || {
        let verdict = network.net.cli(&["inspect", LIB, "--json"]).json()["verdict"].clone();
        verdict["files"][0]["agreed_later"].as_array().is_some_and(|by| by.contains(&json!(victim))).then_some(())
    });
    assert!(agrees.is_some(), "{victim}'s result is not with the verdict: {inspected:#}");
    network.net.same_log(8);
    let next = version(&network, 1);
    let without = network.net.authorities().into_iter().find(|name| *name != victim).expect("four authorities");
    all_others_are_needed(&network, &without, &next);
    nothing_is_left(network);
}

#[test]
fn an_authority_is_killed_while_blocks_are_made() {
    let network = Scripted::start("killed-blocks", 5);
    network.publishable(REPOSITORY);
    let victim = "a3";
    let url = network.net.member(victim).url;
    let pid = network.net.member(victim).pid.expect("a process");
    // The results are on their way into the block that completes the verdict: at the victim the stage is `revealing`.
    ask(&network, LIB);
    let started = Instant::now();
    while build_at(&url, LIB)["stage"] != "revealing" {
        assert!(started.elapsed() < BUILD, "{:#}", build_at(&url, LIB));
    }
    process::kill(pid);
    assert!(published(&network, LIB).len() >= 3);
    network.net.up().expect(0);
    network.net.same_log(8);
    // A stream of entries, a block for nearly each; the victim is killed in the midst of them, twice.
    let mut serial = 0u8;
    for _ in 0..2 {
        let member = network.net.member(victim);
        let size = || http::get(&format!("{}/api/v1/status", member.url)).expect(200).json()["log"]["size"].as_u64();
        let before = size().expect("a log");
        let mut killed_at = None;
        for _ in 0..25 {
            serial += 1;
            let image = Sha256::of(&[serial]);
            network.say("a1", EntryBody::ImageProposal(ImageProposal::allow(image, "one of many")));
            std::thread::sleep(Duration::from_millis(100));
            if killed_at.is_none() && size().is_some_and(|now| now >= before + 5) {
                process::kill(member.pid.expect("a process"));
                killed_at = Some(serial);
            }
        }
        let all = before + 25;
        assert!(killed_at.is_some_and(|at| at % 25 < 22), "killed after {killed_at:?}, not in the midst");
        let grown = until(Duration::from_secs(60), || (network.net.plain().log_size >= Some(all)).then_some(()));
        assert!(grown.is_some(), "the others went on: {:#?}", network.net.members());
        network.net.up().expect(0);
        network.net.same_log(all);
    }
    let next = version(&network, 1);
    all_others_are_needed(&network, "a1", &next);
    nothing_is_left(network);
}

/// `status` of one authority, in words and as a document.
fn status(network: &Scripted, name: &str) -> (Finished, Value) {
    (
        network.net.operator(name, &["status"]).expect(0),
        network.net.operator(name, &["status", "--json"]).expect(0).json(),
    )
}

#[test]
fn without_a_quorum_nothing_is_decided_and_with_one_it_goes_on_by_itself() {
    let network = Scripted::start("no-quorum", 6);
    network.publishable(REPOSITORY);
    ask(&network, LIB);
    published(&network, LIB);
    let jar = network.net.artifact("node", LIB_JAR).expect(200).body;
    let next = version(&network, 1);
    network.upstream.put_release("org.acme", "known", "1.0", *b"a file that is known already");
    let known = "org/acme/known/1.0/known-1.0.jar";
    network.net.artifact("a1", known).expect(200);
    network.kill("a3");
    network.kill("a4");
    let word = "a quorum is missing: 2 of 4 authorities reachable, 3 needed";
    for name in ["a1", "a2"] {
        let said = until(Duration::from_secs(30), || {
            let (text, json) = status(&network, name);
            (text.stdout.contains(word) && json["network"]["reachable"] == 2).then_some(json)
        });
        let json = said.unwrap_or_else(|| panic!("{}", status(&network, name).0.report()));
        assert_eq!(json["network"]["threshold"], 3);
    }
    let before = network.leaves().len();
    // Asked at an authority, which cannot have the request ordered: who asked is not kept waiting, the build stays open.
    let member = network.net.member("a1");
    let address = Sources::address(REPOSITORY);
    let arguments = ["build", &next, "--source", &address, "--tag", "v1.0.1"];
    process::run(&mut network.net.command(&member, &arguments), Duration::from_secs(60)).expect(0);
    let build = build_at(&member.url, &next);
    assert!(build["done"] == false && build["verdicts"] == json!([]), "{build:#}");
    assert_eq!(network.leaves().len(), before, "two of four decide nothing");
    // What is known goes on being served, by authorities and by the plain node.
    for name in ["a1", "a2"] {
        assert_eq!(network.net.artifact(name, known).expect(200).body, b"a file that is known already");
    }
    let served = network.net.artifact("node", LIB_JAR).expect(200);
    assert_eq!((served.header("x-pyrsia-provenance"), served.body == jar), (Some("verified"), true));
    let back = network.net.start_one("a3");
    assert_eq!(published(&network, &next), ["a1", "a2", "a3"].map(str::to_owned).into());
    let (text, json) = status(&network, "a1");
    assert!(json["network"]["reachable"] == 3 && !text.stdout.contains("quorum is missing"), "{}", text.report());
    drop(back);
    network.net.up().expect(0);
    network.net.same_log(8);
    nothing_was_signed_twice(&network);
    nothing_is_left(network);
}

#[test]
fn a_plain_node_serves_while_nobody_is_there_and_joins_later() {
    let network = Scripted::start("nobody", 60);
    network.upstream.put_release("org.acme", "known", "1.0", *b"from upstream");
    let genesis = network.net.data("node").join("network.json");
    let peers = network.net.operator("a2", &["peers", "--json"]).expect(0).json();
    let own = peers["peers"].as_array().and_then(|all| all.iter().find(|peer| peer["state"] == "self"));
    let address = own.and_then(|own| own["addresses"][0].as_str()).expect("an address of the authority").to_owned();
    let (size, _) = network.net.same_log(1);
    network.net.down().expect(0);
    let node = Node::start_joined("lonely", &genesis, &address, &["--upstream", &network.upstream.url()]);
    let file = "org/acme/known/1.0/known-1.0.jar";
    assert_eq!(node.artifact(file).expect(200).body, b"from upstream");
    let said = node.cli(&["status"]).expect(0);
    assert!(said.stdout.contains("0 of 4 authorities reachable"), "{}", said.report());
    // One of them comes up: the others' addresses are learnt from it later.
    let one = network.net.start_one("a2");
    let status = until(Duration::from_secs(60), || {
        let status = node.cli(&["status", "--json"]).expect(0).json();
        (status["network"]["reachable"] == 1 && status["log"]["size"].as_u64() >= Some(size)).then_some(status)
    });
    assert!(status.is_some(), "it has not joined: {}", node.cli(&["status"]).report());
    drop(one);
    network.net.up().expect(0);
    let all = until(Duration::from_secs(60), || {
        let status = node.cli(&["status", "--json"]).expect(0).json();
        (status["network"]["reachable"] == 4).then_some(())
    });
    assert!(all.is_some(), "{}", node.cli(&["peers"]).report());
}

/// Writes into a stopped node's ledger what it writes when a quorum has signed another one.
fn plant_another_history(data: &std::path::Path) {
    let script = "import sqlite3, sys\n\
                  db = sqlite3.connect(sys.argv[1])\n\
                  db.execute('INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)', ('signing-stopped', b'seen twice'))\n\
                  db.commit()\n";
    let mut python = std::process::Command::new("python3");
    python.args(["-c", script]).arg(data.join("ledger.db"));
    process::run(&mut python, Duration::from_secs(30)).expect(0);
}

#[test]
fn who_has_seen_another_history_says_nothing_more() {
    let network = Scripted::start("stopped", 30);
    network.publishable(REPOSITORY);
    ask(&network, LIB);
    published(&network, LIB);
    // An authority serves, says so, and signs nothing.
    network.kill("a1");
    plant_another_history(&network.net.data("a1"));
    let _back = network.net.start_one("a1");
    let status = network.net.operator("a1", &["status"]).expect(0);
    assert!(status.stdout.contains("has stopped signing: seen twice"), "{}", status.report());
    let said = network.net.operator("a1", &["block", LIB, "--reason", "x"]).expect(1);
    assert!(said.output().contains("has stopped signing"), "{}", said.report());
    assert_eq!(http::get(&format!("{}/maven2/{LIB_JAR}", network.net.member("a1").url)).status, 200);
    // A plain node has nothing but certificates to go by, and ends.
    network.net.kill("node");
    plant_another_history(&network.net.data("node"));
    let mut plain = pyrsia_tests::node::program();
    plain.arg("--data-dir").arg(network.net.data("node")).arg("node");
    let ended = process::run(&mut plain, Duration::from_secs(60)).expect(1);
    assert!(ended.output().contains("another history") && ended.output().contains("seen twice"), "{}", ended.report());
}
