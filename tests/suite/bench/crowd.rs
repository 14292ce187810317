//! Many clients at once, and the same load for a long time: what it costs in requests upstream and in memory.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use pyrsia_tests::http;
use pyrsia_tests::measured::Measured;
use pyrsia_tests::node::Node;
use pyrsia_tests::upstream::{Behaviour, Upstream};

use super::alone;
use super::repository::resident;

/// Clients of the crowd.
const CLIENTS: usize = 1_000;
/// The file that all of them want.
const FILE: &str = "org/acme/large/1.0/large-1.0.jar";
const BYTES: usize = 50 << 20;
/// Minutes of mixed load, unless `PYRSIA_SOAK_MINUTES` says otherwise.
const MINUTES: u64 = 3;
/// Clients of the mixed load.
const WORKERS: usize = 8;

pub fn crowd() -> Vec<Measured> {
    let upstream = Upstream::start();
    upstream.put(FILE, vec![7; BYTES]);
    // Long enough for everybody to ask before the first has it.
    upstream.behave(FILE, Behaviour::Delay(Duration::from_secs(3)));
    let node = Node::start("bench-crowd", &["--no-builder", "--upstream", &upstream.url()]);
    let authority = node.url().trim_start_matches("http://").to_owned();
    let before = resident(&node);
    let begun = Instant::now();
    let done = AtomicBool::new(false);
    let (received, mut most) = (AtomicU64::new(0), before);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let work = || received.fetch_add(take(&authority), Ordering::Relaxed);
                std::thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, work).expect("a thread")
            })
            .collect();
        scope.spawn(|| {
            for client in clients {
                client.join().expect("a client that got the file");
            }
            done.store(true, Ordering::SeqCst);
        });
        while !done.load(Ordering::SeqCst) {
            most = most.max(resident(&node));
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    assert_eq!(received.into_inner(), (CLIENTS * BYTES) as u64, "everybody got all of it");
    vec![
        alone("crowd-requests", vec![upstream.gets(FILE) as f64]),
        alone("crowd-memory", vec![most - before]),
        alone("crowd-time", vec![begun.elapsed().as_secs_f64()]),
    ]
}

/// Bytes of the file that a client gets.
fn take(authority: &str) -> u64 {
    let mut stream = TcpStream::connect(authority).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(300))).expect("a time limit");
    let request = format!("GET /maven2/{FILE} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a sent request");
    let (mut buffer, mut head, mut bytes) = (vec![0; 64 << 10], Vec::new(), 0);
    loop {
        let read = stream.read(&mut buffer).expect("more of the answer");
        if read == 0 {
            return bytes;
        }
        if bytes > 0 {
            bytes += read as u64;
            continue;
        }
        head.extend_from_slice(&buffer[..read]);
        if let Some(end) = head.windows(4).position(|four| four == b"\r\n\r\n") {
            assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head[..end]));
            bytes = (head.len() - end - 4) as u64;
        }
    }
}

/// The kinds of requests of the mixed load, one after the other.
fn ask(node: &str, number: u64) {
    let known = number % 500;
    let path = match number % 10 {
        0 => format!("org/acme/new{number}/1.0/new{number}-1.0.jar"),
        1 => format!("org/acme/a{known}/maven-metadata.xml"),
        2 => format!("org/acme/a{known}/1.0/a{known}-1.0.jar"),
        3 => format!("org/acme/a{known}/1.0/a{known}-1.0.jar.sha1"),
        4 => format!("org/acme/none{}/1.0/none-1.0.pom", number % 5_000),
        _ => format!("org/acme/a{known}/1.0/a{known}-1.0.pom"),
    };
    let method = if number.is_multiple_of(7) { "HEAD" } else { "GET" };
    let range = [("Range", "bytes=10-99")];
    let headers: &[(&str, &str)] = if number.is_multiple_of(11) { &range } else { &[] };
    let answer = http::send(node, method, &format!("/maven2/{path}"), headers, b"").expect("an answer");
    assert!(matches!(answer.status, 200 | 206 | 404), "{path}: {}", answer.status);
}

pub fn soak() -> Vec<Measured> {
    let minutes = std::env::var("PYRSIA_SOAK_MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(MINUTES);
    let upstream = Upstream::start();
    for number in 0..500 {
        let name = format!("a{number}");
        upstream.put_release("org.acme", &name, "1.0", vec![number as u8; 40_000]);
        let listed = "<versions><version>1.0</version></versions>";
        let text = format!(
            "<metadata><groupId>org.acme</groupId><artifactId>{name}</artifactId><versioning>{listed}</versioning></metadata>"
        );
        upstream.put(&format!("org/acme/{name}/maven-metadata.xml"), text);
    }
    let node = Node::start("bench-soak", &["--no-builder", "--upstream", &upstream.url()]);
    let until = Instant::now() + Duration::from_secs(60 * minutes);
    let next = AtomicU64::new(0);
    let mut memory = Vec::new();
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while Instant::now() < until {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number.is_multiple_of(10) {
                        let name = format!("new{number}");
                        let path = format!("org/acme/{name}/1.0/{name}-1.0.jar");
                        upstream.put(&path, number.to_le_bytes().repeat(500));
                        ask(node.url(), number);
                        upstream.remove(&path);
                    } else {
                        ask(node.url(), number);
                    }
                }
            });
        }
        while Instant::now() < until {
            std::thread::sleep(Duration::from_secs(1));
            memory.push(resident(&node));
        }
    });
    // From the end of the first third, when every cache has what it holds, to the end.
    let average = |part: &[f64]| part.iter().sum::<f64>() / part.len().max(1) as f64;
    let tenth = (memory.len() / 10).max(1);
    let (third, end) = (memory.len() / 3, memory.len());
    let growth = average(&memory[end - tenth..]) - average(&memory[third..third + tenth]);
    let files = Path::new(&format!("/proc/{}/fd", node.pid())).read_dir().map_or(0, Iterator::count);
    println!("{} requests, {} files open at the end", next.into_inner(), files);
    vec![alone("soak-growth", vec![growth]), alone("soak-memory", vec![average(&memory[end - tenth..])])]
}
