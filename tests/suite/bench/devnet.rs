//! What a network of four authorities and a plain node takes: to agree, to do nothing, to be asked.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use pyrsia_digest::Sha256;
use pyrsia_tests::devnet::{Devnet, Member};
use pyrsia_tests::measured::Measured;
use pyrsia_tests::scripted::Scripted;
use pyrsia_tests::sources::Sources;
use pyrsia_tests::{http, node, places};

use super::{alone, beside, ms, process_ms};
use crate::fixture::{LIB, LIB_JAR};

/// Entries that are submitted, one after the other.
const ENTRIES: usize = 100;
/// Entries before them that do not count: code and caches are warm then.
const WARM_UP: usize = 4;
const IDLE: Duration = Duration::from_secs(60);
/// After the last entry, before a network counts as idle.
const SETTLE: Duration = Duration::from_secs(5);
/// Runs of `verify`.
const VERIFICATIONS: usize = 40;
/// How often checkpoints are looked at.
const LOOK: Duration = Duration::from_millis(2);

/// Leaves in the newest certified log of a node.
fn certified(url: &str) -> u64 {
    let note = http::get(&format!("{url}/log/checkpoint")).expect(200).text();
    note.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or_else(|| panic!("no checkpoint: {note}"))
}

/// When a node first shows a certified log of more leaves than this.
fn beyond(url: &str, size: u64) -> Instant {
    let limit = Instant::now() + Duration::from_secs(60);
    while certified(url) <= size {
        assert!(Instant::now() < limit, "{url} does not get beyond {size} leaves");
        std::thread::sleep(LOOK);
    }
    Instant::now()
}

pub fn finality(network: &Scripted) -> Vec<Measured> {
    let plain = network.net.plain();
    // They take turns: one alone may not have so many proposals that nobody has seconded.
    let authorities: Vec<(Member, String)> = network
        .net
        .authorities()
        .iter()
        .map(|name| {
            let token = std::fs::read_to_string(network.net.data(name).join("keys/api.token")).expect("a token");
            (network.net.member(name), format!("Bearer {}", token.trim()))
        })
        .collect();
    let (mut there, mut everywhere) = (Vec::new(), Vec::new());
    let (mut size, _) = network.net.same_log(1);
    for number in 0..WARM_UP + ENTRIES {
        let (authority, bearer) = &authorities[number % authorities.len()];
        let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
        let image = Sha256::of(&number.to_le_bytes());
        let body = format!(r#"{{"image":"{image}","description":"a benchmark"}}"#);
        let started = Instant::now();
        let (at_authority, at_plain) = std::thread::scope(|scope| {
            let first = scope.spawn(|| beyond(&authority.url, size));
            let second = scope.spawn(|| beyond(&plain.url, size));
            let sent = http::send(&authority.url, "POST", "/api/v1/images/approve", &headers, body.as_bytes());
            sent.expect("an answer").expect(202);
            (first.join().expect("a checkpoint"), second.join().expect("a checkpoint"))
        });
        if number >= WARM_UP {
            there.push(ms(at_authority - started));
            everywhere.push(ms(at_plain - started));
        }
        size += 1;
        assert_eq!(certified(&authority.url), size, "an entry is one leaf, and nothing else is written");
    }
    vec![alone("finality-authority", there), alone("finality-plain", everywhere)]
}

/// A network of the shipped program of its own: the scripted one looks into a folder all the time.
pub fn idle() -> Vec<Measured> {
    let net = Devnet::start("bench-idle", &["--upstream", "none"]);
    // So that all connections and links between authorities are in use.
    for name in net.authorities() {
        net.operator(&name, &["images", "approve", &Sha256::of(b"an image").to_string(), "--unverified"]).expect(0);
    }
    net.same_log(net.authorities().len() as u64);
    std::thread::sleep(SETTLE);
    let members = net.members();
    let pids: BTreeSet<u32> = members.iter().filter_map(|member: &Member| member.pid).collect();
    assert_eq!(pids.len(), 5, "four authorities and a plain node");
    // Asking for the status is no idleness: it ends before the counting begins.
    std::thread::sleep(Duration::from_secs(1));
    let (sent, used) = (sockets(&pids), processor_ms(&pids));
    std::thread::sleep(IDLE);
    let (used, now) = (processor_ms(&pids) - used, sockets(&pids));
    assert!(!now.is_empty(), "nodes have connections");
    // A connection that was made meanwhile counts from its beginning; one that ended takes its count with it.
    let since = |of: fn(&Sent) -> u64| -> u64 {
        now.iter().map(|(name, after)| of(after) - sent.get(name).map_or(0, of).min(of(after))).sum()
    };
    let (segments, bytes) = (since(|sent| sent.segments), since(|sent| sent.bytes));
    let size = members.iter().filter_map(|member| member.log_size).max().expect("a log");
    let grown = certified(&net.plain().url) - size;
    vec![
        alone("idle-messages", vec![segments as f64]),
        alone("idle-bytes", vec![bytes as f64]),
        alone("idle-cpu", vec![used]),
        alone("idle-entries", vec![grown as f64]),
    ]
}

/// What went out of a socket since it was made.
struct Sent {
    segments: u64,
    bytes: u64,
}

/// The connected TCP sockets of these processes, by their two addresses.
fn sockets(pids: &BTreeSet<u32>) -> BTreeMap<String, Sent> {
    let shown = Command::new("ss").args(["-HOtinp"]).output().expect("ss runs (package iproute2)");
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    let mut sockets = BTreeMap::new();
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let count = |name: &str| {
            let found = words.iter().find_map(|word| word.strip_prefix(name));
            found.and_then(|value| value.parse().ok()).unwrap_or(0)
        };
        let ours = pids.iter().any(|pid| line.contains(&format!("pid={pid},")));
        if ours && words.len() > 5 {
            let sent = Sent { segments: count("data_segs_out:"), bytes: count("bytes_sent:") };
            sockets.insert(format!("{} {}", words[3], words[4]), sent);
        }
    }
    sockets
}

/// Processor time of these processes so far, in ms.
fn processor_ms(pids: &BTreeSet<u32>) -> f64 {
    let ticks = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("the node runs");
        let (_, rest) = stat.rsplit_once(") ").expect("a process line");
        // utime and stime, the 14th and 15th field; the first two are cut off.
        rest.split(' ').skip(11).take(2).map(|word| word.parse::<u64>().expect("ticks")).sum::<u64>()
    };
    // USER_HZ is 100 wherever Linux runs Rust.
    pids.iter().map(ticks).sum::<u64>() as f64 * 10.0
}

pub fn verify(network: &Scripted) -> Vec<Measured> {
    network.publishable("greeting-lib");
    let address = Sources::address("greeting-lib");
    network.net.cli_long(&["build", LIB, "--source", &address, "--tag", "v1.0.0", "--wait"]).expect(0);
    let folder = places::scratch("bench-verify");
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (jar, receipt, genesis) = (file("lib.jar"), file("lib.receipt"), file("network.json"));
    network.net.cli(&["receipt", LIB, "-o", &receipt]).expect(0);
    std::fs::write(&genesis, network.net.cli(&["network", "show", "--json"]).expect(0).stdout).expect("a written file");
    std::fs::write(&jar, network.net.artifact("node", LIB_JAR).expect(200).body).expect("a written file");
    let plain = network.net.plain();
    let (mut asked, mut offline, mut nothing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..VERIFICATIONS {
        // The shipped program asks, whatever the nodes are.
        let program = |words: &[&str]| {
            let mut command = node::program();
            command.arg("--data-dir").arg(folder.path().join("user")).args(words).env("HOME", folder.path());
            process_ms(&mut command)
        };
        nothing.push(program(&["--version"]));
        asked.push(program(&["--node", &plain.url, "verify", LIB, "--file", &jar]));
        let words = ["verify", LIB, "--receipt", &receipt, "--network", &genesis, "--file", &jar];
        offline.push(program(&[&["--node", "http://127.0.0.1:1"], &words[..]].concat()));
    }
    vec![beside("verify-node", asked, nothing.clone()), beside("verify-receipt", offline, nothing)]
}
