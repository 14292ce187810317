//! What an operator does to a node's store.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use pyrsia_digest::Sha256;
use pyrsia_tests::node::Node;
use pyrsia_tests::process::{self, Finished};
use pyrsia_tests::upstream::Upstream;
use pyrsia_tests::{node, places};

use crate::documented::commands;

const A: &str = "org/acme/a/1.0/a-1.0.jar";
const B: &str = "org/acme/b/1.0/b-1.0.jar";

#[test]
fn a_flipped_bit_is_found_moved_aside_and_fetched_again() {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "a", "1.0", *b"the bytes of a");
    upstream.put_release("org.acme", "b", "1.0", *b"the bytes of b");
    let folder = places::scratch("upkeep");
    let data = folder.path().join("data");
    let arguments = ["--no-builder", "--upstream", &upstream.url()];
    let running = Node::start_at("upkeep", &data, &arguments);
    running.artifact(A).expect(200);
    running.artifact(B).expect(200);

    let line = commands("docs/OPERATING.md", "Examining the store").remove(0);
    let fsck = |more: &[&str]| -> Finished {
        let mut words = line.split_whitespace();
        assert_eq!(words.next(), Some("pyrsia-maven"));
        let mut command: Command = node::program();
        command.arg("--data-dir").arg(&data).args(words).args(more);
        process::run(&mut command, Duration::from_secs(60))
    };
    let busy = fsck(&[]).expect(1);
    assert!(busy.stderr.contains("in use"), "{}", busy.report());
    drop(running);

    let fine = fsck(&[]).expect(0);
    assert!(fine.stdout.contains("2 files") && fine.stdout.contains("0 damaged"), "{}", fine.report());
    let blob = |bytes: &[u8]| -> PathBuf {
        let hex = Sha256::of(bytes).to_string();
        data.join("blobs/sha256").join(&hex[..2]).join(hex)
    };
    let mut bytes = std::fs::read(blob(b"the bytes of a")).expect("the blob");
    bytes[3] ^= 1;
    std::fs::write(blob(b"the bytes of a"), &bytes).expect("a flipped bit");
    std::fs::remove_file(blob(b"the bytes of b")).expect("a lost file");
    let found = fsck(&["--json"]).expect(1).json();
    assert_eq!((&found["blobs"], &found["damaged"][0]["paths"][0]), (&0.into(), &A.into()), "{found:#}");
    assert_eq!(found["damaged"][0]["found"], Sha256::of(&bytes).to_string(), "{found:#}");
    assert_eq!(found["missing"][0]["path"], B, "{found:#}");
    let moved_to = PathBuf::from(found["damaged"][0]["moved_to"].as_str().expect("a path"));
    assert_eq!(std::fs::read(moved_to).expect("kept for whoever wants to look"), bytes);

    let again = fsck(&[]).expect(0);
    assert!(again.stdout.contains(A) && again.stdout.contains("missing"), "{}", again.report());
    let running = Node::start_at("upkeep-again", &data, &arguments);
    assert_eq!(running.artifact(A).expect(200).body, b"the bytes of a");
    assert_eq!(running.artifact(B).expect(200).body, b"the bytes of b");
    assert_eq!((upstream.gets(A), upstream.gets(B)), (2, 2), "both came again");
    drop(running);
    let whole = fsck(&["--json"]).expect(0).json();
    assert_eq!((&whole["blobs"], whole["missing"].as_array().map(Vec::len)), (&2.into(), Some(0)), "{whole:#}");
}
