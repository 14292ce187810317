//! What must not work in a network of four: each attack is played by real processes, and comes to nothing.
//!
//! The authorities' builders are scripted (`scripted-node`); everything else is the shipped program.

use std::collections::BTreeSet;
use std::time::Duration;

use pyrsia_ledger::{Attestation, BuildRequest, Commitment, EntryBody, Mode, RoundKey, SignedEntry};
use pyrsia_tests::process::{Finished, until};
use pyrsia_tests::scripted::{Scripted, asks};
use pyrsia_tests::sources::{Sources, flip_bit, replace_in};
use serde_json::{Value, json};

use crate::fixture::{LIB, LIB_JAR};

const LIB_POM: &str = "org/pyrsia/samples/greeting-lib/1.0.0/greeting-lib-1.0.0.pom";
/// A file that scripted builds ask for; at its path upstream has it.
const INPUT: &str = "org/acme/plugin/1.0/plugin-1.0.jar";
/// Exit codes of the contract.
const UNKNOWN: i32 = 10;
const NO_SOURCE: i32 = 22;
const DISPUTED: i32 = 12;

fn build(network: &Scripted, release: &str, repository: &str) -> Finished {
    network.net.cli_long(&["build", release, "--source", &Sources::address(repository), "--tag", "v1.0.0", "--wait"])
}

/// `build` without waiting; returns its id.
fn ask(network: &Scripted, repository: &str) -> String {
    let address = Sources::address(repository);
    let done = network.net.cli(&["build", LIB, "--source", &address, "--tag", "v1.0.0"]).expect(0);
    done.stdout.trim().to_owned()
}

fn entries(network: &Scripted) -> Vec<(String, SignedEntry)> {
    network.entries()
}

/// See [`Scripted::wait_for`].
#[track_caller]
fn wait_for<T>(network: &Scripted, what: &str, found: impl Fn(&str, &SignedEntry) -> Option<T>) -> T {
    network.wait_for(what, found)
}

/// What stands about a release; null when nothing does.
fn verdict(network: &Scripted, release: &str) -> Value {
    network.net.cli(&["inspect", release, "--json"]).json()["verdict"].clone()
}

/// The authorities whose agreement made a file's verdict.
fn agreed(file: &Value) -> BTreeSet<&str> {
    file["agreed_by"].as_array().map(|all| all.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
}

fn file<'a>(verdict: &'a Value, name: &str) -> &'a Value {
    let files = verdict["files"].as_array().unwrap_or_else(|| panic!("no files: {verdict:#}"));
    files.iter().find(|file| file["name"] == name).unwrap_or_else(|| panic!("{name} is not in {verdict:#}"))
}

#[test]
fn a_liar_is_outvoted_and_named() {
    let network = Scripted::start("liar", 60);
    network.publishable("greeting-lib");
    network.script("a2", &json!({ "lies": true }));
    build(&network, LIB, "greeting-lib").expect(0);
    // The liar may speak before or after the three are complete; it is on record either way.
    let named = until(Duration::from_secs(30), || {
        let verdict = verdict(&network, LIB);
        (file(&verdict, "greeting-lib-1.0.0.jar")["dissent"][0]["authority"] == "a2").then_some(verdict)
    });
    let verdict = named.unwrap_or_else(|| panic!("the liar is not named: {:#}", verdict(&network, LIB)));
    let jar = file(&verdict, "greeting-lib-1.0.0.jar");
    assert_eq!(agreed(jar), ["a1", "a3", "a4"].into(), "{jar:#}");
    assert_ne!(jar["dissent"][0]["sha256"], jar["sha256"], "the dissenter's digest is on record");
    let pom = file(&verdict, "greeting-lib-1.0.0.pom");
    assert_eq!(pom["dissent"], json!([]), "about the POM it told the truth: {pom:#}");
    // What is served everywhere is what the three built, also at the liar, which built something else.
    for name in ["a1", "a2", "node"] {
        let served = network.net.artifact(name, LIB_JAR).expect(200);
        assert_eq!(jar["sha256"], pyrsia_digest::Sha256::of(&served.body).to_string(), "served by {name}");
        assert_eq!(served.header("x-pyrsia-provenance"), Some("verified"));
    }
}

#[test]
fn two_liars_of_four_decide_nothing() {
    let network = Scripted::start("two-liars", 60);
    network.publishable("greeting-lib");
    network.script("a2", &json!({ "lies": true }));
    network.script("a3", &json!({ "lies": true }));
    build(&network, LIB, "greeting-lib").expect(DISPUTED);
    let jar = file(&verdict(&network, LIB), "greeting-lib-1.0.0.jar").clone();
    assert_eq!(jar["dissent"].as_array().map(Vec::len), Some(4), "every digest is on record: {jar:#}");
    assert_ne!(network.net.artifact("node", LIB_JAR).status, 200);
}

#[test]
fn a_planted_input_is_refused_by_the_others_and_costs_the_turn() {
    let network = Scripted::start("planted", 60);
    network.publishable("greeting-lib");
    network.upstream.put(INPUT, *b"the real plugin");
    // Whoever's turn it is first plants something; everybody else is honest, and checks.
    network.script_all(&json!({ "inputs": [INPUT], "plants": true }));
    let id = ask(&network, "greeting-lib");
    let first = wait_for(&network, "a manifest", |signer, entry| {
        matches!(entry.body, EntryBody::Inputs(_)).then(|| signer.to_owned())
    });
    for authority in network.net.authorities().iter().filter(|name| **name != first) {
        network.script(authority, &asks(&[INPUT]));
    }
    network.net.cli_long(&["builds", &id, "--follow"]).expect(0);
    let log = entries(&network);
    let rejected: Vec<_> =
        log.iter().filter(|(_, entry)| matches!(entry.body, EntryBody::InputsRejected(_))).map(|(by, _)| by).collect();
    assert!(rejected.len() >= 2 && !rejected.contains(&&first), "rejections by {rejected:?}, recorder {first}");
    let recorders: Vec<_> =
        log.iter().filter(|(_, entry)| matches!(entry.body, EntryBody::Inputs(_))).map(|(by, _)| by.clone()).collect();
    assert!(recorders.len() == 2 && recorders[1] != first, "the turn passed on: {recorders:?}");
    let verdict = verdict(&network, LIB);
    assert_eq!(verdict["verdict"], "published", "{verdict:#}");
}

#[test]
fn a_silent_recorder_loses_its_turn() {
    let network = Scripted::start("silent", 6);
    network.publishable("greeting-lib");
    network.script_all(&json!({ "silent_recorder": true }));
    let id = ask(&network, "greeting-lib");
    // Only the one whose turn it is has read its script by now: the others will be asked next, and are honest.
    wait_for(&network, "the request", |_, entry| matches!(entry.body, EntryBody::BuildRequest(_)).then_some(()));
    std::thread::sleep(Duration::from_secs(2));
    network.script_all(&json!({}));
    network.net.cli_long(&["builds", &id, "--follow"]).expect(0);
    let timeouts = entries(&network).iter().filter(|(_, entry)| matches!(entry.body, EntryBody::Timeout(_))).count();
    assert!(timeouts >= 3, "a quorum timed it out: {timeouts}");
    assert_eq!(verdict(&network, LIB)["verdict"], "published");
}

#[test]
fn a_silent_builder_is_not_waited_for_for_ever() {
    let network = Scripted::start("silent-builder", 6);
    network.publishable("greeting-lib");
    network.script("a4", &json!({ "silent_replayer": true, "silent_recorder": true }));
    build(&network, LIB, "greeting-lib").expect(0);
    let verdict = verdict(&network, LIB);
    let jar = file(&verdict, "greeting-lib-1.0.0.jar");
    assert_eq!(agreed(jar), ["a1", "a2", "a3"].into(), "{jar:#}");
}

#[test]
fn an_image_needs_a_quorum() {
    let network = Scripted::without_image("image", 60);
    network.publishable("greeting-lib");
    // Nobody has made it again from its packages; an operator who trusts it anyway has to say so.
    let refused = network.net.operator("a1", &["images", "approve", &Scripted::image()]).expect(1);
    assert!(refused.output().contains("--unverified"), "{}", refused.report());
    network.net.operator("a1", &["images", "approve", &Scripted::image(), "--unverified"]).expect(0);
    let refused = build(&network, LIB, "greeting-lib");
    assert_eq!(refused.code, 1, "{}", refused.report());
    assert!(refused.output().contains("images approve"), "says what to do: {}", refused.report());
    assert!(!entries(&network).iter().any(|(_, entry)| matches!(entry.body, EntryBody::BuildRequest(_))));
    for authority in ["a2", "a3", "a4"] {
        let _ = network.net.operator(authority, &["images", "approve", &Scripted::image(), "--unverified"]);
    }
    build(&network, LIB, "greeting-lib").expect(0);
}

#[test]
fn a_namespace_needs_a_quorum_and_its_publisher() {
    let network = Scripted::start("namespace", 60);
    network.sources.add_sample("greeting-lib", "v1.0.0");
    let address = Sources::address("greeting-lib");
    let said = network.net.grant_at("a1", "org.pyrsia.samples", &[&address]).expect(0);
    assert!(said.output().contains("proposed"), "{}", said.report());
    // One signature gives no power: the group is not native, and upstream has no such release.
    let refused = build(&network, LIB, "greeting-lib");
    assert!(refused.code != 0 && refused.code != 18, "{}", refused.report());
    assert_eq!(verdict(&network, LIB), Value::Null);
    for authority in ["a2", "a3", "a4"] {
        network.net.grant_at(authority, "org.pyrsia.samples", &[&address]).expect(0);
    }
    // Another publisher's key signs nothing in it.
    let stranger = network.net.user().join("keys/publisher.key");
    let own = std::fs::read_to_string(&stranger).expect("the person's key");
    pyrsia_tests::process::private_file(&stranger, &"3c".repeat(32));
    let refused = build(&network, LIB, "greeting-lib");
    assert_eq!(refused.code, 1, "{}", refused.report());
    assert!(!entries(&network).iter().any(|(_, entry)| matches!(entry.body, EntryBody::BuildRequest(_))));
    pyrsia_tests::process::private_file(&stranger, own.trim());
    // Nor does the right key publish a group beside its namespace, or from another repository.
    network.sources.add_edited("greeting-lib", "elsewhere", "v1.0.0", |_| {});
    let refused = build(&network, LIB, "elsewhere");
    assert!(refused.code != 0 && refused.code != 18, "{}", refused.report());
    build(&network, LIB, "greeting-lib").expect(0);
}

#[test]
fn a_fork_neither_publishes_nor_discredits() {
    let network = Scripted::start("fork", 60);
    // A release that upstream has, whose own POM names its repository.
    network.sources.add_sample("greeting-lib", "v1.0.0");
    network.upstream.put(LIB_JAR, *b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    let pom = std::fs::read(pyrsia_tests::places::sample("greeting-lib").join("pom.xml")).expect("the sample's POM");
    network.upstream.put(LIB_POM, pom);
    // Its fork declares the same coordinates. An honest authority does not even ask for it.
    let fork = network.sources.add_edited("greeting-lib", "fork", "v1.0.0", |_| {});
    let refused = build(&network, LIB, "fork").expect(NO_SOURCE);
    assert!(refused.output().contains("its POMs name"), "{}", refused.report());
    // One that does cannot make the others' word count.
    let specification = std::fs::read_to_string(pyrsia_tests::places::sample("greeting-lib").join("pyrsia.toml"));
    let specification = build_spec::Specification::from_toml(&specification.expect("a specification")).expect("valid");
    network.say(
        "a1",
        EntryBody::BuildRequest(BuildRequest {
            coordinates: vec![LIB.parse().expect("coordinates")],
            mode: Mode::Upstream,
            repository: Sources::address("fork").trim_end_matches(".git").parse().expect("an address"),
            tag: Some("v1.0.0".to_owned()),
            commit: fork.commit.parse().expect("a commit"),
            specification: specification.digest(),
            image: Scripted::image().parse().expect("a digest"),
            profile: build_spec::SandboxProfile::v1().digest(),
            comparator: jar_compare::COMPARATOR_VERSION,
            publisher: None,
            reopening: 0,
        }),
    );
    let round = wait_for(&network, "the fork's request", |_, entry| match &entry.body {
        EntryBody::BuildRequest(request) => Some(request.round_key()),
        _ => None,
    });
    network.net.cli_long(&["builds", &round.to_string()[..16], "--follow"]).expect(0);
    let shown = entries(&network).iter().filter(|(_, entry)| matches!(entry.body, EntryBody::Attestation(_))).count();
    assert!(shown >= 3, "the others did the work, and said what they found: {shown}");
    assert_eq!(verdict(&network, LIB), Value::Null, "the fork's word counts");
    network.net.cli(&["verify", LIB]).expect(UNKNOWN);
}

#[test]
fn somebody_else_s_commitment_is_worth_nothing() {
    let network = Scripted::start("commitment", 8);
    network.publishable("greeting-lib");
    // The thief does no work of its own, and waits for another's commitment to copy.
    network.script_all(&json!({ "replay_s": 1 }));
    network.script("a3", &json!({ "silent_replayer": true, "silent_recorder": true }));
    let id = ask(&network, "greeting-lib");
    let (round, attempt, stolen): (RoundKey, u32, _) =
        wait_for(&network, "a commitment", |signer, entry| match &entry.body {
            EntryBody::Commitment(commitment) if signer != "a3" => {
                Some((commitment.round, commitment.attempt, commitment.hash))
            }
            _ => None,
        });
    network.say("a3", EntryBody::Commitment(Commitment { round, attempt, hash: stolen }));
    wait_for(&network, "the thief's commitment", |signer, entry| {
        (signer == "a3" && matches!(entry.body, EntryBody::Commitment(_))).then_some(())
    });
    // When the owner shows what it committed to, the thief shows the same; it does not fit the thief's name.
    let shown: Attestation = wait_for(&network, "a result", |signer, entry| match &entry.body {
        EntryBody::Attestation(shown) if signer != "a3" && shown.round == round => Some(shown.clone()),
        _ => None,
    });
    network.say("a3", EntryBody::Attestation(shown));
    network.net.cli_long(&["builds", &id, "--follow"]).expect(0);
    let known = verdict(&network, LIB);
    let jar = file(&known, "greeting-lib-1.0.0.jar");
    assert_eq!(agreed(jar), ["a1", "a2", "a4"].into(), "{jar:#}");
    // An old commitment of its owner, again: it is in the log once.
    let before = network.leaves().len();
    let (old, salt, result) = wait_for(&network, "the owner's result", |signer, entry| match &entry.body {
        EntryBody::Attestation(shown) if signer == "a1" => Some((shown.round, shown.salt, shown.result.clone())),
        _ => None,
    });
    let committed = wait_for(&network, "the old commitment", |signer, entry| {
        (signer == "a1" && matches!(entry.body, EntryBody::Commitment(_))).then(|| entry.clone())
    });
    network.submit("a2", &committed);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(network.leaves().len(), before, "a replayed entry is no leaf");

    // Commitment and result of another round, said in a new one: they do not fit its name.
    network.sources.add_edited("greeting-lib", "greeting-lib", "v1.0.1", |tree| {
        replace_in(&tree.join("pom.xml"), "<version>1.0.0</version>", "<version>1.0.1</version>");
    });
    let next = "org.pyrsia.samples:greeting-lib:1.0.1";
    let address = Sources::address("greeting-lib");
    let id = network.net.cli(&["build", next, "--source", &address, "--tag", "v1.0.1"]).expect(0);
    let (round, attempt) = wait_for(&network, "the new manifest", |_, entry| match &entry.body {
        EntryBody::Inputs(inputs) if inputs.round != old => Some((inputs.round, inputs.attempt)),
        _ => None,
    });
    let EntryBody::Commitment(commitment) = &committed.body else { panic!("not a commitment") };
    network.say("a3", EntryBody::Commitment(Commitment { round, attempt, hash: commitment.hash }));
    wait_for(&network, "the old hash in the new round", |signer, entry| match &entry.body {
        EntryBody::Commitment(said) => (signer == "a3" && said.round == round).then_some(()),
        _ => None,
    });
    wait_for(&network, "a result of the new round", |_, entry| match &entry.body {
        EntryBody::Attestation(shown) => (shown.round == round).then_some(()),
        _ => None,
    });
    network.say("a3", EntryBody::Attestation(Attestation { round, attempt, salt, result }));
    network.net.cli_long(&["builds", id.stdout.trim(), "--follow"]).expect(0);
    let known = verdict(&network, next);
    let jar = file(&known, "greeting-lib-1.0.1.jar");
    assert_eq!(agreed(jar), ["a1", "a2", "a4"].into(), "{jar:#}");
}

#[test]
fn a_peer_s_other_bytes_are_never_served() {
    let network = Scripted::start("bytes", 60);
    network.publishable("greeting-lib");
    build(&network, LIB, "greeting-lib").expect(0);
    let known = verdict(&network, LIB);
    let sha256 = file(&known, "greeting-lib-1.0.0.jar")["sha256"].as_str().expect("a digest").to_owned();
    let blob = |name: &str| network.net.data(name).join("blobs/sha256").join(&sha256[..2]).join(&sha256);
    // The plain node got it for the command that verified; from here on it has nothing.
    std::fs::remove_file(blob("node")).expect("the copy of the plain node");
    // Three of the four hold something else under its name: nothing of that reaches a client.
    for name in ["a1", "a2", "a3"] {
        flip_bit(&blob(name), 40);
    }
    // What it handed out before it still has in memory, under the path as it was written then; written in another way, it has
    // to look for it.
    let written = |name: &str| LIB_JAR.replace("greeting-lib-1.0.0.jar", name);
    let served = network.net.artifact("node", &written("greeting%2Dlib-1.0.0.jar")).expect(200);
    assert_eq!(pyrsia_digest::Sha256::of(&served.body).to_string(), sha256);
    // And where all hold something else, there is an error, not a file.
    std::fs::remove_file(blob("node")).expect("the copy of the plain node");
    flip_bit(&blob("a4"), 40);
    let served = network.net.artifact("node", &written("greeting-lib%2D1.0.0.jar"));
    assert!(served.status >= 500, "{} {}", served.status, served.text());
}
