//! The whole chain on real input: tag, hermetic rebuild, ledger, repository, Maven, verify, receipt.
//!
//! One node is shared by the tests that only read; it has `greeting-lib` published from its tag.

use std::collections::BTreeSet;
use std::path::Path;

use pyrsia_digest::Sha256;
use pyrsia_tests::clients::{self, Maven, MavenUser};
use pyrsia_tests::node::{self, Node};
use pyrsia_tests::process::{self, Finished};
use pyrsia_tests::sources::{Sources, flip_bit};
use pyrsia_tests::{http, places, sources};

use crate::fixture::{Chain, LIB, LIB_JAR, SELF_VERIFIED, build, keys, shared};

#[test]
fn the_build_shows_its_verdict_and_what_it_is_worth() {
    let chain = shared();
    let said = chain.build.output();
    assert!(said.contains("no Byzantine tolerance"), "{}", chain.build.report());
    // The same request again is the same round: nothing is built, the verdict stands.
    let again = build(&chain.node, LIB, "greeting-lib", "v1.0.0").expect(SELF_VERIFIED);
    assert!(again.took.as_secs() < 20, "a verdict that stands is not built again: {:?}", again.took);
    chain
        .node
        .cli(&[
            "build",
            LIB,
            "--source",
            &Sources::address("greeting-lib"),
            "--tag",
            "v1.0.0",
            "--wait",
            "--accept-self",
        ])
        .expect(0);
}

#[test]
fn the_story_of_the_release_is_told() {
    let chain = shared();
    let story = chain.node.cli(&["inspect", LIB, "--json"]).expect(0).json();
    let verdict = &story["verdict"];
    assert_eq!(verdict["verdict"], "published", "{story:#}");
    assert_eq!(verdict["self_verified"], true);
    assert_eq!(
        verdict["source"]["repository"], "https://samples.example/greeting-lib",
        "the canonical address, not the mirror's"
    );
    assert_eq!(verdict["source"]["commit"], chain.lib.commit.as_str());
    assert_eq!(verdict["source"]["tag"], "v1.0.0");
    assert_eq!((&verdict["threshold"], &verdict["committee_size"]), (&1.into(), &1.into()));
    let names: Vec<_> = verdict["files"].as_array().expect("files").iter().map(|file| file["name"].clone()).collect();
    assert!(
        names.contains(&"greeting-lib-1.0.0.jar".into()) && names.contains(&"greeting-lib-1.0.0.pom".into()),
        "{names:?}"
    );
    let text = chain.node.cli(&["inspect", LIB]).expect(0).stdout;
    for word in ["https://samples.example/greeting-lib", &chain.lib.commit[..12], "v1.0.0", "1 of 1"] {
        assert!(text.contains(word), "inspect does not say {word}:\n{text}");
    }
}

#[test]
fn the_log_has_every_step_and_its_checkpoint_is_signed() {
    let chain = shared();
    let page = chain.node.cli(&["log", "--json"]).expect(0).json();
    let leaves = page["leaves"].as_array().expect("leaves").clone();
    let kinds: Vec<_> = leaves.iter().filter_map(|leaf| leaf["kind"].as_str()).collect();
    let mut at = 0;
    for kind in ["namespace", "build-request", "inputs", "commitment", "attestation", "verdict"] {
        let found = kinds[at..].iter().position(|seen| seen.starts_with(kind));
        at += found.unwrap_or_else(|| panic!("{kind} is missing, or too early, in {kinds:?}"));
    }
    for (index, leaf) in leaves.iter().enumerate() {
        assert_eq!(leaf["index"], index, "leaves come in order, without gaps");
    }
    let text = chain.node.cli(&["log"]).expect(0).stdout;
    assert!(text.contains(LIB), "{text}");
    let note = http::get(&format!("{}/log/checkpoint", chain.node.url())).expect(200).text();
    let lines: Vec<_> = note.lines().collect();
    assert!(lines[0].starts_with("pyrsia-maven/"), "{note}");
    assert!(lines[1].parse::<usize>().is_ok_and(|size| size >= leaves.len()), "{note}");
    assert!(note.contains("\n\n\u{2014} "), "a signature follows: {note}");
}

#[test]
fn the_builds_of_a_node_can_be_followed() {
    let chain = shared();
    let builds = chain.node.cli(&["builds", "--json"]).expect(0).json();
    let id = builds["builds"]
        .as_array()
        // Another test asks for it again meanwhile, which is prepared before it is found to be done.
        .and_then(|all| all.iter().find(|build| build["coordinates"][0] == LIB && build["done"] == true))
        .and_then(|build| build["id"].as_str())
        .unwrap_or_else(|| panic!("the library's build is not listed: {builds:#}"))
        .to_owned();
    let one = chain.node.cli(&["builds", &id, "--json"]).expect(0).json();
    assert_eq!(one["done"], true, "{one:#}");
    let story = chain.node.cli(&["builds", &id, "--follow"]).expect(0);
    assert!(story.stdout.contains("verdict") || story.stdout.contains("published"), "{}", story.report());
    let status = chain.node.cli(&["status"]).expect(0);
    assert!(status.stdout.contains("no Byzantine tolerance"), "{}", status.report());
}

#[test]
fn the_files_are_served_with_what_is_known_of_them() {
    let chain = shared();
    let story = chain.node.cli(&["inspect", LIB, "--json"]).expect(0).json();
    let jar = chain.node.artifact(LIB_JAR).expect(200);
    assert_eq!(jar.header("x-pyrsia-provenance"), Some("self-verified"));
    let recorded = story["verdict"]["files"]
        .as_array()
        .and_then(|files| files.iter().find(|file| file["path"] == LIB_JAR))
        .unwrap_or_else(|| panic!("{LIB_JAR} is not in {story:#}"));
    assert_eq!(recorded["sha256"], Sha256::of(&jar.body).to_string(), "the served bytes are the recorded ones");
    let metadata = chain.node.artifact("org/pyrsia/samples/greeting-lib/maven-metadata.xml").expect(200).text();
    assert!(
        metadata.contains("<version>1.0.0</version>") && metadata.contains("<release>1.0.0</release>"),
        "{metadata}"
    );
    chain.node.artifact("org/pyrsia/samples/greeting-lib/1.0.0/greeting-lib-1.0.0-sources.jar").expect(404);
    chain.node.artifact("org/pyrsia/samples/greeting-lib/1.0.1/greeting-lib-1.0.1.pom").expect(404);
}

/// A person with the library in ~/.m2, resolved through the node by Maven.
fn person_with_the_library(chain: &Chain) -> MavenUser {
    let user = MavenUser::new(&chain.node.maven2(), "central");
    let project = places::scratch("consumer");
    sources::copy_tree(&places::sample("consumer-maven"), project.path());
    user.run(&Maven::of_the_machine(), project.path(), &["-q", "compile"]).expect(0);
    user
}

/// `verify`, with the person's home folder.
fn verify(chain: &Chain, user: &MavenUser, arguments: &[&str]) -> Finished {
    let mut all = vec!["verify"];
    all.extend_from_slice(arguments);
    process::run(chain.node.command(&all).env("HOME", user.home()), std::time::Duration::from_secs(120))
}

#[test]
fn verify_tells_the_right_file_from_every_other() {
    let chain = shared();
    let user = person_with_the_library(chain);
    let jar = user.local_file(LIB_JAR);

    let done = verify(chain, &user, &[LIB]).expect(SELF_VERIFIED);
    assert!(done.output().contains("no Byzantine tolerance"), "{}", done.report());
    verify(chain, &user, &["--accept-self", LIB]).expect(0);
    let report = verify(chain, &user, &["--json", LIB]).expect(SELF_VERIFIED).json();
    let expected: BTreeSet<String> = ["gav", "exit_code", "files", "source", "log"].map(str::to_owned).into();
    assert!(keys(&report).is_superset(&expected), "{report:#}");
    assert_eq!(report["exit_code"], SELF_VERIFIED);
    assert_eq!(report["source"]["commit"], chain.lib.commit.as_str());
    let file = &report["files"][0];
    let expected: BTreeSet<String> =
        ["name", "path", "sha256", "verdict", "comparison", "agreed_by", "threshold"].map(str::to_owned).into();
    assert!(keys(file).is_superset(&expected), "{report:#}");
    assert_eq!(file["path"], jar.to_string_lossy().as_ref());
    assert_eq!(file["sha256"], Sha256::of(&std::fs::read(&jar).expect("the jar")).to_string());
    verify(chain, &user, &["--accept-self", "--file", &jar.to_string_lossy(), LIB]).expect(0);
    verify(chain, &user, &["--accept-self", &format!("{LIB}@pom")]).expect(0);
    // A file alone is known by its digest.
    verify(chain, &user, &["--accept-self", "--file", &jar.to_string_lossy()]).expect(0);

    // One bit of one byte, wherever it is.
    let length = std::fs::metadata(&jar).expect("the jar").len() as usize;
    for at in [0, length / 2, length - 1] {
        flip_bit(&jar, at);
        let done = verify(chain, &user, &["--accept-self", LIB]).expect(11);
        assert!(done.output().contains("MISMATCH") || done.output().contains("mismatch"), "{}", done.report());
        flip_bit(&jar, at);
    }
    verify(chain, &user, &["--accept-self", LIB]).expect(0);
    flip_bit(&jar, 10);
    verify(chain, &user, &["--accept-self", LIB, &format!("{LIB}@pom")]).expect(11);
    verify(chain, &user, &["--accept-self", "--file", &jar.to_string_lossy()]).expect(10);
}

#[test]
fn what_nobody_rebuilt_is_unknown_and_the_next_command_is_named() {
    let chain = shared();
    let user = MavenUser::new(&chain.node.maven2(), "central");
    let release = "org.apache.commons:commons-lang3:3.14.0";
    let done = verify(chain, &user, &[release]).expect(10);
    assert!(done.output().contains(&format!("build {release}")), "{}", done.report());
    let done = verify(chain, &user, &["--json", release]).expect(10).json();
    assert_eq!(done["files"][0]["verdict"], "unknown");
    // The worse of two answers decides.
    verify(chain, &user, &["--accept-self", LIB, release]).expect(10);
}

#[test]
fn a_receipt_holds_without_a_node_and_no_byte_of_it_can_change() {
    let chain = shared();
    let user = person_with_the_library(chain);
    let folder = places::scratch("receipt");
    let receipt = folder.path().join("greeting-lib.receipt");
    let network = folder.path().join("network.json");
    chain.node.cli(&["receipt", LIB, "-o", &receipt.to_string_lossy()]).expect(0);
    std::fs::write(&network, chain.node.cli(&["network", "show", "--json"]).expect(0).stdout).expect("a written file");
    let offline = |network: &Path, more: &[&str]| {
        let mut command = node::program();
        command
            .arg("--data-dir")
            .arg(folder.path().join("no-data"))
            .args(["--node", "http://127.0.0.1:1", "verify", LIB, "--receipt"])
            .arg(&receipt)
            .arg("--network")
            .arg(network)
            .args(more)
            .env("HOME", user.home());
        process::run(&mut command, std::time::Duration::from_secs(60))
    };
    offline(&network, &[]).expect(SELF_VERIFIED);
    offline(&network, &["--accept-self"]).expect(0);
    let jar = user.local_file(LIB_JAR);
    flip_bit(&jar, 30);
    offline(&network, &["--accept-self"]).expect(11);
    flip_bit(&jar, 30);

    // In the program: spread over the receipt. In the library that it uses: every byte.
    let length = std::fs::metadata(&receipt).expect("the receipt").len() as usize;
    for at in (0..length).step_by((length / 12).max(1)) {
        flip_bit(&receipt, at);
        offline(&network, &["--accept-self"]).expect(13);
        flip_bit(&receipt, at);
    }
    every_byte_of_a_receipt_counts(&receipt, &network);

    let stranger = Node::start("stranger", &["--no-builder", "--upstream", "none"]);
    let other = folder.path().join("other.json");
    std::fs::write(&other, stranger.cli(&["network", "show", "--json"]).expect(0).stdout).expect("a written file");
    offline(&other, &["--accept-self"]).expect(13);
}

fn every_byte_of_a_receipt_counts(receipt: &Path, network: &Path) {
    let genesis: pyrsia_ledger::Genesis =
        serde_json::from_slice(&std::fs::read(network).expect("the network")).expect("a genesis");
    let good = std::fs::read(receipt).expect("the receipt");
    let holds = |bytes: &[u8]| {
        std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| pyrsia_ledger::Receipt::parse(text).ok())
            .is_some_and(|receipt| receipt.verify(&genesis).is_ok())
    };
    assert!(holds(&good));
    let mut changed = good.clone();
    for at in 0..good.len() {
        for bit in [0, 3, 5] {
            changed[at] ^= 1 << bit;
            assert!(!holds(&changed), "byte {at} may be {:#04x} instead of {:#04x}", changed[at], good[at]);
            changed[at] = good[at];
        }
    }
    assert!(!holds(&good[..good.len() - 1]), "a byte less");
    assert!(!holds(&[&good[..], b"\n"].concat()), "a byte more");
}

#[test]
fn an_application_is_built_from_the_library_of_the_ledger() {
    let chain = shared();
    chain.sources.add_sample("greeting-app", "v1.0.0");
    let app = "org.pyrsia.samples:greeting-app:1.0.0";
    build(&chain.node, app, "greeting-app", "v1.0.0").expect(SELF_VERIFIED);
    let folder = places::scratch("app");
    let path = "org/pyrsia/samples/greeting-app/1.0.0/greeting-app-1.0.0.jar";
    let files = [(path, folder.path().join("app.jar")), (LIB_JAR, folder.path().join("lib.jar"))];
    for (path, file) in &files {
        std::fs::write(file, chain.node.artifact(path).expect(200).body).expect("a written jar");
    }
    let class_path: Vec<_> = files.iter().map(|(_, file)| file.clone()).collect();
    let said = clients::java(&class_path, "org.pyrsia.samples.app.Main").expect(0);
    assert!(said.stdout.contains("World"), "{}", said.report());
}
