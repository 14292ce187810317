//! What an operator does to a node's store.

use std::path::{Path, PathBuf};
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

/// Runs a command of a document's section on a data directory.
fn typed(data: &Path, section: &str, number: usize, more: &[&str]) -> Finished {
    let line = commands("docs/OPERATING.md", section).remove(number);
    let mut words = line.split_whitespace();
    assert_eq!(words.next(), Some("pyrsia-maven"));
    let mut command: Command = node::program();
    command.arg("--data-dir").arg(data).args(words).args(more);
    process::run(&mut command, Duration::from_secs(60))
}

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

    let fsck = |more: &[&str]| typed(&data, "Examining the store", 0, more);
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
    assert!(again.stdout.contains("2 paths"), "{}", again.report());
    let running = Node::start_at("upkeep-again", &data, &arguments);
    assert_eq!(running.artifact(A).expect(200).body, b"the bytes of a");
    assert_eq!(running.artifact(B).expect(200).body, b"the bytes of b");
    assert_eq!((upstream.gets(A), upstream.gets(B)), (2, 2), "both came again");
    drop(running);
    let whole = fsck(&["--json"]).expect(0).json();
    assert_eq!((&whole["blobs"], whole["missing"].as_array().map(Vec::len)), (&2.into(), Some(0)), "{whole:#}");
}

#[test]
fn what_was_not_used_lately_makes_room_and_comes_back_as_the_same_bytes() {
    let upstream = Upstream::start();
    for (name, byte) in [("a", 1u8), ("b", 2)] {
        upstream.put_release("org.acme", name, "1.0", vec![byte; 1 << 20]);
    }
    let folder = places::scratch("room");
    let data = folder.path().join("data");
    let arguments = ["--no-builder", "--upstream", &upstream.url()];
    let running = Node::start_at("room", &data, &arguments);
    running.artifact(A).expect(200);
    // Times of use are whole seconds.
    std::thread::sleep(Duration::from_millis(1100));
    running.artifact(B).expect(200);
    drop(running);
    // The limits of the document remove nothing here; those of one and of no GiB show what they do.
    for number in [0, 1] {
        let nothing = typed(&data, "Making room", number, &["--json"]).expect(0).json();
        assert_eq!((&nothing["removed"], &nothing["left"]), (&0.into(), &2.into()), "{nothing:#}");
    }
    let gc = |arguments: &[&str]| -> Finished {
        let mut command = node::program();
        command.arg("--data-dir").arg(&data).arg("gc").args(arguments);
        process::run(&mut command, Duration::from_secs(60))
    };
    gc(&[]).expect(2);
    let dry = gc(&["--max-gib", "0", "--dry-run", "--json"]).expect(0).json();
    assert_eq!((&dry["removed"], &dry["removed_bytes"]), (&2.into(), &(2 << 20).into()), "{dry:#}");
    let done = gc(&["--max-gib", "0", "--json"]).expect(0).json();
    assert_eq!((&done["removed"], &done["left"], &done["left_bytes"]), (&2.into(), &0.into(), &0.into()), "{done:#}");

    // What comes back has to be what was seen first.
    upstream.put_release("org.acme", "b", "1.0", vec![3; 1 << 20]);
    let running = Node::start_at("room-again", &data, &arguments);
    assert!(running.artifact(A).expect(200).body == vec![1; 1 << 20]);
    let changed = running.artifact(B).expect(403).json();
    assert_eq!(changed["reason"], "changed-upstream", "{changed:#}");
}
