//! A running node keeps its store within the limits of its configuration.

use std::path::{Path, PathBuf};
use std::time::Duration;

use pyrsia_digest::Sha256;
use pyrsia_tests::node::Node;
use pyrsia_tests::places;
use pyrsia_tests::process::until;
use pyrsia_tests::upstream::Upstream;

/// More than a node keeps ready in memory of one file.
const SIZE: usize = 3 << 20;

fn jar(name: &str) -> String {
    format!("org/acme/{name}/1.0/{name}-1.0.jar")
}

fn bytes(name: &str) -> Vec<u8> {
    name.bytes().cycle().take(SIZE).collect()
}

fn blob(data: &Path, bytes: &[u8]) -> PathBuf {
    let hex = Sha256::of(bytes).to_string();
    data.join("blobs/sha256").join(&hex[..2]).join(hex)
}

fn upstream(names: &[&str]) -> Upstream {
    let upstream = Upstream::start();
    for name in names {
        upstream.put_release("org.acme", name, "1.0", bytes(name));
    }
    upstream
}

/// A node's arguments with this in its `[store]`.
fn arguments(folder: &Path, upstream: &Upstream, store: &str) -> Vec<String> {
    let config = folder.join("config.toml");
    std::fs::write(&config, format!("[store]\ncheck_s = 1\n{store}")).expect("a written file");
    let config = config.to_string_lossy().into_owned();
    ["--no-builder", "--upstream", &upstream.url(), "--config", &config].map(str::to_owned).to_vec()
}

#[track_caller]
fn goes(file: &Path) {
    let gone = until(Duration::from_secs(60), || (!file.exists()).then_some(()));
    assert!(gone.is_some(), "{} is still there", file.display());
}

#[test]
fn the_longest_unused_make_room_and_come_back_as_the_same_bytes() {
    let names = ["a", "b", "c", "d", "e"];
    let upstream = upstream(&names);
    let folder = places::scratch("limits-config");
    let limits = format!("max_bytes = {}\n", 3 * SIZE + SIZE / 2);
    let node = Node::start("limits", &arguments(folder.path(), &upstream, &limits));
    let data = node.data();
    for name in names {
        assert!(node.artifact(&jar(name)).expect(200).body == bytes(name), "{name}: what is fetched is served at once");
        // Times of use are whole seconds.
        std::thread::sleep(Duration::from_millis(1100));
    }
    let shown = node.cli(&["status", "--json"]).expect(0).json()["storage"].clone();
    assert_eq!(shown["limits"]["max_bytes"], 3 * SIZE + SIZE / 2, "{shown:#}");
    assert!(shown["free_bytes"].as_u64() > Some(0) && shown["excess_bytes"] == 0, "{shown:#}");
    let said = node.cli(&["status"]).expect(0).stdout;
    assert!(said.contains("limits: at most 10 MiB") && said.contains("free on the disk"), "{said}");
    // Five do not fit: the two that were used first are gone, and those that were used last are not.
    goes(&blob(&data, &bytes("a")));
    goes(&blob(&data, &bytes("b")));
    for name in ["d", "e"] {
        assert!(blob(&data, &bytes(name)).is_file(), "{name}");
    }
    let stored = until(Duration::from_secs(20), || {
        let shown = node.cli(&["status", "--json"]).expect(0).json()["storage"]["stored_bytes"].as_u64()?;
        (shown as usize >= 3 * SIZE && (shown as usize) <= 3 * SIZE + SIZE / 2).then_some(())
    });
    assert!(stored.is_some(), "{:#}", node.cli(&["status", "--json"]).json()["storage"]);
    assert!(node.artifact(&jar("a")).expect(200).body == bytes("a"), "it comes back");
    assert_eq!(upstream.gets(&jar("a")), 2);
    // What was seen first is not forgotten with its bytes.
    let name = "b";
    upstream.put_release("org.acme", name, "1.0", *b"others");
    let changed = node.artifact(&jar(name));
    let held = changed.status == 403 || (changed.status == 200 && changed.body == bytes(name));
    assert!(held, "{} {}", changed.status, changed.body.len());
}

#[test]
fn what_nobody_asks_for_any_more_goes_and_without_limits_nothing_does() {
    let upstream = upstream(&["a"]);
    let folder = places::scratch("age-config");
    let data = folder.path().join("data");
    let without = arguments(folder.path(), &upstream, "");
    let mut node = Node::start_at("age", &data, &without);
    node.artifact(&jar("a")).expect(200);
    assert_eq!(node.stop(), 0);
    drop(node);
    assert!(blob(&data, &bytes("a")).is_file());
    // Every file was used before now: `0` days is the age of all of them.
    std::thread::sleep(Duration::from_millis(1100));
    let node = Node::start_at("age-limits", &data, &arguments(folder.path(), &upstream, "max_age_days = 0\n"));
    goes(&blob(&data, &bytes("a")));
    node.artifact(&jar("a")).expect(200);
}

#[test]
fn a_file_that_is_being_read_is_read_to_its_end() {
    let upstream = upstream(&["a", "b"]);
    let large: Vec<u8> = bytes("large").into_iter().cycle().take(20 * SIZE).collect();
    upstream.put_release("org.acme", "large", "1.0", large.clone());
    let folder = places::scratch("reading-config");
    let node = Node::start("reading", &arguments(folder.path(), &upstream, &format!("max_bytes = {SIZE}\n")));
    let mut reader = std::net::TcpStream::connect(node.url().trim_start_matches("http://")).expect("a connection");
    let request = format!("GET /maven2/{} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", jar("large"));
    std::io::Write::write_all(&mut reader, request.as_bytes()).expect("a request");
    // The beginning has come, so the file is open; most of it does not fit between the two.
    let mut begin = [0; 1024];
    std::io::Read::read_exact(&mut reader, &mut begin).expect("the beginning");
    node.artifact(&jar("a")).expect(200);
    goes(&blob(&node.data(), &large));
    let mut rest = begin.to_vec();
    std::io::Read::read_to_end(&mut reader, &mut rest).expect("the rest");
    let head = rest.windows(4).position(|at| at == b"\r\n\r\n").expect("a head") + 4;
    assert!(rest[head..] == large[..], "{} bytes", rest.len() - head);
}

#[test]
fn what_an_exported_folder_has_too_is_not_removed_for_room_on_the_disk() {
    let upstream = upstream(&["a", "b"]);
    let folder = places::scratch("linked-config");
    let data = folder.path().join("data");
    let mut node = Node::start_at("linked", &data, &arguments(folder.path(), &upstream, ""));
    node.artifact(&jar("a")).expect(200);
    assert_eq!(node.stop(), 0);
    let mut export = pyrsia_tests::node::program();
    export.arg("--data-dir").arg(&data).arg("export").arg(folder.path().join("out")).arg("--link");
    pyrsia_tests::process::run(&mut export, Duration::from_secs(60)).expect(0);
    let gc = |more: &[&str]| {
        let mut command = pyrsia_tests::node::program();
        command.arg("--data-dir").arg(&data).args(["gc", "--max-gib", "1000"]).args(more);
        pyrsia_tests::process::run(&mut command, Duration::from_secs(60)).expect(0)
    };
    let report = gc(&["--json"]).json();
    assert!(report["linked"].as_u64() >= Some(1), "{report:#}");
    assert!(report["linked_bytes"].as_u64() >= Some(SIZE as u64), "{report:#}");
    assert!(gc(&[]).stdout.contains("have another name too"), "{}", gc(&[]).report());
    // Not exported, and as old as the other one.
    node.start_again();
    node.artifact(&jar("b")).expect(200);
    assert_eq!(node.stop(), 0);
    drop(node);
    // More than any disk has free.
    let limits = format!("min_free_bytes = {}\n", 1u64 << 60);
    let node = Node::start_at("linked-limits", &data, &arguments(folder.path(), &upstream, &limits));
    goes(&blob(&data, &bytes("b")));
    assert!(blob(&data, &bytes("a")).is_file(), "it would free nothing");
    let excess = until(Duration::from_secs(20), || {
        let status = node.cli(&["status"]).expect(0).stdout;
        status.contains("above its limits").then_some(())
    });
    assert!(excess.is_some(), "{}", node.cli(&["status"]).stdout);
}
