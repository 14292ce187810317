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
    let aside = |more: &[&str]| typed(&data, "Making room", 1, &[&["--json"][..], more].concat()).expect(0).json();
    let left = aside(&[])["set_aside"].clone();
    assert_eq!((&left["removed"], &left["left"], &left["left_bytes"]), (&0.into(), &1.into(), &14.into()), "{left:#}");
    // More than are kept, each put there later than the first one.
    for number in 0..100 {
        std::fs::write(data.join("blobs/corrupt").join(format!("{number:064x}")), b"x").expect("a written file");
    }
    let left = aside(&["--dry-run"])["set_aside"].clone();
    assert_eq!((&left["removed"], &left["left"]), (&1.into(), &100.into()), "{left:#}");
    let left = aside(&[])["set_aside"].clone();
    assert_eq!((&left["removed"], &left["left"]), (&1.into(), &100.into()), "{left:#}");

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
    gc(&["--dry-run", "--remove-named"]).expect(2);
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

/// The file of the store with these bytes.
fn blob_of(data: &Path, bytes: &[u8]) -> PathBuf {
    let hex = Sha256::of(bytes).to_string();
    data.join("blobs/sha256").join(&hex[..2]).join(hex)
}

#[test]
fn bytes_that_rot_while_the_node_runs_are_fetched_again() {
    let upstream = Upstream::start();
    let large: Vec<u8> = (0..3_000_000u32).map(|n| n as u8).collect();
    upstream.put_release("org.acme", "a", "1.0", *b"the bytes of a");
    upstream.put_release("org.acme", "b", "1.0", large.clone());
    let running = Node::start("rot", &["--no-builder", "--upstream", &upstream.url()]);
    assert_eq!(running.artifact(A).expect(200).body, b"the bytes of a");
    assert!(running.artifact(B).expect(200).body == large);
    std::fs::write(blob_of(&running.data(), b"the bytes of a"), b"the bytes of A").expect("a flipped bit");
    let cut = std::fs::File::options().write(true).open(blob_of(&running.data(), &large)).expect("the file");
    cut.set_len(1_000_000).expect("a cut file");
    // A new entry of the ledger is the end of every answer that is kept in memory.
    running.cli(&["block", "org.acme:bad:1.0", "--reason", "it steals"]).expect(0);
    assert_eq!(running.artifact(A).expect(200).body, b"the bytes of a");
    assert!(running.artifact(B).expect(200).body == large);
    assert_eq!((upstream.gets(A), upstream.gets(B)), (2, 2), "both came again");
    let aside = std::fs::read_dir(running.data().join("blobs/corrupt")).expect("the folder").count();
    assert_eq!(aside, 2, "for whoever wants to look");
}

#[test]
fn a_damaged_index_is_found_whatever_its_size_and_begun_anew() {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "a", "1.0", *b"the bytes of a");
    let folder = places::scratch("fsck-index");
    let data = folder.path().join("data");
    let arguments = ["--no-builder", "--upstream", &upstream.url()];
    let mut running = Node::start_at("fsck-index", &data, &arguments);
    running.artifact(A).expect(200);
    assert_eq!(running.stop(), 0);
    // More than is looked at by every start.
    let index = pyrsia_store::IndexStore::open(&data).expect("the index");
    for begin in (0..240_000u64).step_by(30_000) {
        let record = |n: u64| pyrsia_store::FileRecord {
            path: format!("org/acme/n{n}/1.0/n{n}-1.0.jar").parse().expect("a path"),
            digests: pyrsia_digest::FileDigests::of(&n.to_le_bytes()).into(),
            origin: "central".to_owned(),
            verified_by: String::new(),
            last_modified: None,
            first_seen: 1,
            last_use: 1,
        };
        index.put_files((begin..begin + 30_000).map(record).collect()).expect("recorded");
    }
    drop(index);
    let fsck = |more: &[&str]| typed(&data, "Examining the store", 0, more);
    assert_eq!(fsck(&["--json"]).expect(0).json()["indexes"], serde_json::json!([]));
    let file = data.join("index.db");
    let mut bytes = std::fs::read(&file).expect("the index");
    assert!(bytes.len() > 64 << 20, "{}", bytes.len());
    let middle = bytes.len() / 2;
    bytes[middle..middle + 100_000].fill(0xa5);
    std::fs::write(&file, bytes).expect("damage");
    let found = fsck(&["--json"]).expect(1).json();
    assert_eq!(found["indexes"][0]["file"], file.to_string_lossy().as_ref(), "{found:#}");
    assert!(data.join("index.db.damaged").is_file());
    let again = fsck(&[]).expect(0);
    assert!(again.stdout.contains("1 files") && again.stdout.contains("0 damaged"), "{}", again.report());
    // Nobody knows the file any more, but it came a moment ago; a week later it goes.
    let strays = || -> u64 {
        let done = typed(&data, "Examining the store", 1, &["--json"]).expect(0).json();
        done["removed"].as_u64().expect("a number")
    };
    assert_eq!(strays(), 0);
    let old = std::fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    let stray = blob_of(&data, b"the bytes of a");
    std::fs::File::open(&stray).and_then(|file| file.set_times(old)).expect("an old file");
    assert_eq!(strays(), 1);
    assert!(!stray.exists());
    running.start_again();
    assert_eq!(running.artifact(A).expect(200).body, b"the bytes of a");
}
