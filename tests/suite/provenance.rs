//! Signed provenance: what four authorities sign is checked by libraries that know nothing of this project.
//!
//! The builders are scripted; what they sign, keep, give each other and serve is the shipped program's.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pyrsia_digest::Sha256;
use pyrsia_tests::process::{self, until};
use pyrsia_tests::scripted::{Scripted, asks};
use pyrsia_tests::{http, places, verifier};
use serde_json::{Value, json};

use crate::documented::commands;
use crate::faults::{ask, published, version};
use crate::fixture::Shared;

const INPUT: &str = "org/other/dep/1/dep-1.jar";
const INPUT_BYTES: &[u8] = b"what the build reads";

/// A network that has published a release, all of whose builders have shown their results.
struct Signed {
    network: Scripted,
    release: String,
    story: Value,
}

fn signed() -> &'static Signed {
    static SIGNED: Shared<Signed> = Shared::new();
    SIGNED.get(|| {
        let network = Scripted::start("provenance", 60);
        network.publishable("greeting-lib");
        network.upstream.put(INPUT, INPUT_BYTES);
        network.script_all(&asks(&[INPUT, "org/other/absent/1/absent-1.jar"]));
        let release = version(&network, 1);
        ask(&network, &release);
        published(&network, &release);
        let story = until(Duration::from_secs(60), || {
            let story = network.net.cli(&["inspect", &release, "--json"]).json();
            (story["verdict"]["provenance"].as_array().is_some_and(|all| all.len() == 4)).then_some(story)
        });
        let story = story.expect("all four show their results");
        Signed { network, release, story }
    })
}

impl Signed {
    fn provenance(&self) -> Vec<Value> {
        self.story["verdict"]["provenance"].as_array().expect("a list").clone()
    }

    /// The envelopes as this member's face gives them.
    fn envelopes(&self, member: &str, query: &str) -> String {
        let url = self.network.net.member(member).url;
        let answer = http::get(&format!("{url}/api/v1/provenance/{}{query}", self.release)).expect(200);
        assert_eq!(answer.header("content-type"), Some("application/jsonl"));
        answer.text()
    }

    fn file(&self, suffix: &str) -> Value {
        let files = self.story["verdict"]["files"].as_array().expect("files");
        files.iter().find(|file| file["name"].as_str().is_some_and(|name| name.ends_with(suffix))).expect("it").clone()
    }
}

fn write(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a written file");
    path
}

#[test]
fn every_authority_signs_what_it_built_and_others_can_check_it() {
    let signed = signed();
    let folder = places::scratch("envelopes");
    let network = &signed.network;
    // A plain node has none of them by itself: it gets them from those who signed.
    for member in ["node", "a1"] {
        let lines = signed.envelopes(member, "");
        assert_eq!(lines.lines().count(), 4, "{member}");
        for (line, one) in lines.lines().zip(signed.provenance()) {
            let name = one["authority"].as_str().expect("a name");
            let key = network.key(name).public().to_string();
            assert_eq!(one["key"], key);
            assert_eq!(one["sha256"], Sha256::of(line.as_bytes()).to_string(), "what is attested is what is served");
            let said = verifier::verify(&write(folder.path(), name, line), &[&key]).expect(0).json();
            let said = &said[0];
            assert_eq!(said["key_ids"], json!([one["key_id"]]), "the key id is the one that others compute");
            for suffix in [".jar", ".pom"] {
                let file = signed.file(suffix);
                assert_eq!(said["subject"][file["name"].as_str().expect("a name")]["sha256"], file["sha256"]);
            }
            assert_eq!(said["build_type"], "https://pyrsia.io/buildtypes/maven-rebuild/v1");
            assert_eq!(said["builder"], format!("https://pyrsia.io/builders/maven-rebuild/v1/authority/{key}"));
            let round = signed.story["verdict"]["round"].as_str().expect("a round");
            let invocation = said["invocation"].as_str().expect("an invocation");
            assert!(invocation.starts_with(&format!("{}/{round}/", network.network())), "{invocation}");
            let source = &signed.story["verdict"]["source"];
            assert_eq!(said["external"]["coordinates"], json!([signed.release]));
            assert_eq!(said["external"]["repository"], source["repository"]);
            assert_eq!(said["external"]["tag"], source["tag"]);
            assert_eq!(said["internal"]["inputManifestRoot"], signed.story["verdict"]["inputs_root"]);
            assert_eq!(said["internal"]["specificationDigest"], signed.story["verdict"]["specification"]);
            let uri = format!("git+{}@{}", source["repository"].as_str().unwrap(), source["commit"].as_str().unwrap());
            let tree = network.sources.tree_of("greeting-lib", source["commit"].as_str().unwrap());
            assert_eq!(
                said["dependencies"],
                json!([
                    { "name": "", "uri": uri, "digest": { "gitCommit": source["commit"], "gitTree": tree } },
                    { "name": "builder-image", "uri": "", "digest": { "sha256": Scripted::image() } },
                    { "name": format!("central:{INPUT}"), "uri": "",
                      "digest": { "sha256": Sha256::of(INPUT_BYTES).to_string() } },
                ]),
                "the source, the image and every input that was there"
            );
            assert_eq!(said["byproducts"], json!(["input-manifest"]));
        }
    }
}

#[test]
fn what_is_changed_or_signed_by_somebody_else_is_refused() {
    let signed = signed();
    let folder = places::scratch("refused-envelopes");
    let line = signed.envelopes("a2", "?authority=a2").trim_end().to_owned();
    assert_eq!(line.lines().count(), 1);
    let key = signed.network.key("a2").public().to_string();
    let good = write(folder.path(), "good", &line);
    verifier::verify(&good, &[&key]).expect(0);
    let refused = |path: &Path, key: &str| {
        let said = verifier::verify(path, &[key]).expect(1);
        assert!(said.stderr.contains("VerificationError"), "{}", said.report());
    };
    refused(&good, &signed.network.key("a3").public().to_string());
    let envelope: Value = serde_json::from_str(&line).expect("an envelope");
    // One character of the base64 each, somewhere in the middle: the JSON stays an envelope.
    for pointer in ["/payload", "/signatures/0/sig"] {
        let mut changed = envelope.clone();
        let text = changed.pointer(pointer).and_then(Value::as_str).expect("base64").to_owned();
        let at = text.len() / 2;
        let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
        *changed.pointer_mut(pointer).expect("base64") = format!("{}{other}{}", &text[..at], &text[at + 1..]).into();
        refused(&write(folder.path(), "changed", &changed.to_string()), &key);
    }
    let nothing = verifier::verify(&write(folder.path(), "nothing", ""), &[&key]).expect(1);
    assert!(nothing.stderr.contains("there is no envelope"), "{}", nothing.report());
    // Another type of payload is another message.
    let mut retyped = envelope.clone();
    retyped["payloadType"] = "application/vnd.in-toto".into();
    refused(&write(folder.path(), "retyped", &retyped.to_string()), &key);
}

#[test]
fn the_command_checks_before_it_hands_over() {
    let signed = signed();
    let (net, folder) = (&signed.network.net, places::scratch("provenance-command"));
    let out = folder.path().join("all.intoto.jsonl");
    let report = net.cli(&["provenance", &signed.release, "--json", "-o", &out.to_string_lossy()]).expect(0).json();
    assert_eq!(report["verdict"], "published");
    let listed = report["envelopes"].as_array().expect("envelopes");
    let written = std::fs::read_to_string(&out).expect("the file");
    assert_eq!(listed.len(), written.lines().count());
    assert!(listed.len() >= 3, "{report:#}");
    let mut keys = Vec::new();
    for (index, one) in listed.iter().enumerate() {
        assert_eq!((&one["agrees"], &one["inputs"]), (&json!(true), &json!(3)));
        let pem = write(folder.path(), &format!("{index}.pem"), one["public_key"].as_str().expect("a key"));
        keys.push(pem.to_string_lossy().into_owned());
    }
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    verifier::verify(&out, &keys).expect(0);

    let one = net.cli(&["provenance", &signed.release, "--authority", "a1"]);
    if one.code == 0 {
        assert_eq!(one.stdout.lines().count(), 1, "{}", one.report());
    } else {
        // Its result came after the verdict, which then does not name it.
        assert_eq!(one.code, 13, "{}", one.report());
    }
    net.cli(&["provenance", &signed.release, "--authority", "nobody & nothing"]).expect(10);
    net.cli(&["provenance", "org.pyrsia.samples:greeting-lib:9"]).expect(10);
    let inspected = net.cli(&["inspect", &signed.release]).expect(0).stdout;
    assert!(inspected.contains(&format!("pyrsia-maven provenance {}", signed.release)), "{inspected}");
}

/// Nothing else refers to these files: a store that is emptied keeps them all the same.
#[test]
fn what_a_verdict_rests_on_stays_when_the_store_is_emptied() {
    let network = Scripted::start("provenance-gc", 60);
    network.publishable("greeting-lib");
    let release = version(&network, 1);
    ask(&network, &release);
    published(&network, &release);
    let story = network.net.cli(&["inspect", &release, "--json"]).expect(0).json();
    let all = story["verdict"]["provenance"].as_array().expect("a list").clone();
    let one = all.first().expect("three at least");
    let name = one["authority"].as_str().expect("a name");
    let manifest = network.wait_for("the inputs", |_, entry| match &entry.body {
        pyrsia_ledger::EntryBody::Inputs(inputs) => Some(inputs.manifest.to_string()),
        _ => None,
    });
    network.kill(name);
    network.net.operator(name, &["gc", "--max-age-days", "0"]).expect(0);
    for digest in [one["sha256"].as_str().expect("a digest"), &manifest] {
        let mut find = Command::new("find");
        find.arg(network.net.data(name).join("blobs")).args(["-name", &format!("*{}*", &digest[4..])]);
        let found = process::run(&mut find, Duration::from_secs(30)).expect(0).stdout;
        assert!(!found.is_empty(), "{digest} is gone");
    }
}

/// What the document shows, typed in a checkout by somebody who asks the plain node.
#[test]
fn the_documented_check_works() {
    let signed = signed();
    let plain = signed.network.net.plain();
    let folder = places::scratch("documented-check");
    std::fs::create_dir_all(folder.path().join("bin")).expect("a folder");
    std::os::unix::fs::symlink(places::program(), folder.path().join("bin/pyrsia-maven")).expect("a link");
    std::os::unix::fs::symlink(places::root().join("tests"), folder.path().join("tests")).expect("a link");
    let path = format!("{}:{}", folder.path().join("bin").display(), std::env::var("PATH").unwrap_or_default());
    let key = signed.network.key("a1").public().to_string();
    for line in commands("docs/PROVENANCE.md", "Checking it") {
        let line = line
            .replace("org.acme:lib:1.0", &signed.release)
            .replace("PUBLIC_KEY", &key)
            .replace("http://127.0.0.1:7888", &plain.url);
        let mut command = Command::new("sh");
        command.args(["-c", &line]).current_dir(folder.path()).env("PATH", &path).env("PYRSIA_NODE", &plain.url);
        command.env("PYRSIA_DATA_DIR", folder.path().join("data")).env("HOME", folder.path());
        let done = process::run(&mut command, Duration::from_secs(600)).expect(0);
        if line.contains("verify.py") {
            assert_eq!(done.json().as_array().map(Vec::len), Some(1), "{}", done.report());
        }
    }
}
