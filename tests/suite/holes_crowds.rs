//! Clients that come in crowds and do next to nothing: slow heads, silence, answers that nobody takes.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyrsia_tests::node::Node;
use pyrsia_tests::process::{self, resident_mib, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use crate::holes::mirror;

const JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";
/// The node's own time for the head of a request, and for a body.
const HEAD: Duration = Duration::from_secs(30);
/// What a busy machine may add to a time of the node's.
const SLACK: Duration = Duration::from_secs(6);
/// Time in which a client that does everything right has its answer, whoever else is there.
const AT_ONCE: Duration = Duration::from_secs(3);

fn address(node: &Node) -> SocketAddr {
    node.url().trim_start_matches("http://").parse().expect("an address")
}

fn connect(node: &Node) -> TcpStream {
    TcpStream::connect_timeout(&address(node), AT_ONCE).expect("a connection")
}

fn request(node: &Node, path: &str, more: &str) -> String {
    format!("GET /maven2/{path} HTTP/1.1\r\nHost: {}\r\n{more}\r\n", address(node))
}

/// Asks as a good client would, and says how long it took until the answer began; or what came instead.
fn ask(node: &Node) -> Result<(u16, Duration), String> {
    let begun = Instant::now();
    let failed = |error: std::io::Error| format!("{error} after {:?}", begun.elapsed());
    let mut stream = TcpStream::connect_timeout(&address(node), AT_ONCE).map_err(failed)?;
    stream.set_read_timeout(Some(AT_ONCE)).map_err(failed)?;
    stream.write_all(request(node, JAR, "Connection: close\r\n").as_bytes()).map_err(failed)?;
    let mut first = [0; 12];
    stream.read_exact(&mut first).map_err(failed)?;
    let status = String::from_utf8_lossy(&first[9..]).parse().map_err(|_| format!("no HTTP: {first:?}"))?;
    Ok((status, begun.elapsed()))
}

/// Fails unless a good client is served at once.
#[track_caller]
fn serves(node: &Node, beside: &str) {
    match ask(node) {
        Ok((200, took)) if took < AT_ONCE => {}
        other => panic!("beside {beside} another client gets {other:?}"),
    }
}

/// Open files of a node; connections are some.
fn open_files(node: &Node) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", node.pid())).expect("a running process").count()
}

/// Whether the other side has closed.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut bytes = [0; 4096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => return true,
        }
    }
}

#[test]
fn two_hundred_slow_heads_are_let_go_in_time_and_keep_nobody_waiting() {
    let (_upstream, node) = mirror("holes-slow");
    serves(&node, "nobody");
    let before = open_files(&node);
    let token = std::fs::read_to_string(node.data().join("keys/api.token")).expect("the token");
    let slow_head =
        b"GET /maven2/ HTTP/1.1\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    let slow_body = format!(
        "POST /api/v1/builds HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 1000\r\n\r\n",
        address(&node),
        token.trim()
    );
    let begun = Instant::now();
    let mut open: Vec<(TcpStream, &[u8])> = (0..200).map(|_| (connect(&node), &slow_head[..])).collect();
    for _ in 0..10 {
        // The head is there at once, the body comes by the byte.
        let mut stream = connect(&node);
        stream.write_all(slow_body.as_bytes()).expect("a head");
        open.push((stream, &[b' '; 100]));
        // And some say nothing at all.
        open.push((connect(&node), &[]));
    }
    for (stream, _) in &open {
        stream.set_nonblocking(true).expect("a socket");
    }
    let mut second = 0;
    while !open.is_empty() {
        let elapsed = begun.elapsed();
        assert!(elapsed < HEAD + SLACK, "{} of them are still there after {elapsed:?}", open.len());
        open.retain_mut(|(stream, bytes)| {
            if let Some(byte) = bytes.get(second) {
                let _ = stream.write(&[*byte]);
            }
            !is_closed(stream)
        });
        serves(&node, "slow clients");
        second += 1;
        std::thread::sleep(Duration::from_secs(1));
    }
    // Not because the node lets everybody go after some seconds.
    assert!(begun.elapsed() > Duration::from_secs(10), "a slow line is no attack");
    assert!(until(Duration::from_secs(5), || (open_files(&node) <= before + 4).then_some(())).is_some());
}

/// The byte at a place of the large file.
fn pattern(at: usize) -> u8 {
    ((at * 31) >> 7) as u8
}

#[test]
fn slow_readers_of_a_large_file_cost_little_memory() {
    const SIZE: usize = 64 << 20;
    const READERS: usize = 60;
    let (upstream, node) = mirror("holes-readers");
    let path = "org/acme/big/1/big-1.jar";
    upstream.put(path, (0..SIZE).map(pattern).collect::<Vec<u8>>());
    let length = node.artifact(path).expect(200).body.len();
    assert_eq!(length, SIZE);
    upstream.remove(path);
    let before = resident_mib(node.pid());
    let mut readers: Vec<_> = (0..READERS)
        .map(|_| {
            let mut stream = connect(&node);
            stream.write_all(request(&node, path, "Connection: close\r\n").as_bytes()).expect("a request");
            let mut first = [0; 15];
            stream.read_exact(&mut first).expect("the beginning of an answer");
            assert_eq!(&first, b"HTTP/1.1 200 OK");
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_secs(2));
    let during = resident_mib(node.pid());
    println!("memory: {before} MiB before, {during} MiB with {READERS} readers of {} MiB each", SIZE >> 20);
    // Two pieces of half a MiB for each, and what is on its way into the socket; all of the file would be 3840 MiB.
    assert!(during < before + 2 * READERS as u64 + 32, "{before} MiB before, {during} MiB with {READERS} slow readers");
    serves(&node, "slow readers");
    // Whoever was slow has lost nothing.
    for mut stream in readers.drain(..2) {
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a socket");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("the rest");
        let body = &rest[rest.len() - SIZE..];
        assert!(body.iter().enumerate().all(|(at, byte)| *byte == pattern(at)), "other bytes");
    }
    let held = open_files(&node);
    let gone = readers.len();
    drop(readers);
    let let_go = until(Duration::from_secs(10), || (open_files(&node) + gone <= held + 4).then_some(()));
    assert!(let_go.is_some(), "{} open files with, {} without them", held, open_files(&node));
}

/// A client that asks and asks and takes no answer has the node wait with each of its connections for a place to write to.
#[test]
fn who_takes_no_answers_is_let_go() {
    const CLIENTS: usize = 20;
    let (_upstream, node) = mirror("holes-deaf");
    serves(&node, "nobody");
    let (before, memory) = (open_files(&node), resident_mib(node.pid()));
    let many = request(&node, JAR, "").repeat(100);
    let deaf: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut stream = connect(&node);
            // Until neither side takes another byte.
            stream.set_write_timeout(Some(Duration::from_millis(100))).expect("a socket");
            while stream.write_all(many.as_bytes()).is_ok() {}
            stream
        })
        .collect();
    serves(&node, "deaf clients");
    assert!(resident_mib(node.pid()) < memory + CLIENTS as u64 + 32, "answers pile up");
    let limit = HEAD + SLACK;
    let let_go = until(limit, || (open_files(&node) <= before + 4).then_some(()));
    let left = open_files(&node).saturating_sub(before);
    assert!(let_go.is_some(), "{left} of {CLIENTS} connections on which nothing moves are still held after {limit:?}");
    drop(deaf);
}

/// Lets this process have as many open files as it may; how many that is.
fn raise_open_files() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("the limits");
    let line = limits.lines().find(|line| line.starts_with("Max open files")).expect("the limit of files");
    let hard = line.split_whitespace().nth(4).and_then(|word| word.parse().ok()).unwrap_or(65_536);
    let pid = std::process::id().to_string();
    let limit = format!("--nofile={hard}:{hard}");
    process::run(Command::new("prlimit").args(["--pid", &pid, &limit]), Duration::from_secs(10)).expect(0);
    hard
}

/// Opens connections that say nothing, from several addresses, until there are this many or no further one gets in.
async fn idle(node: SocketAddr, wanted: usize) -> Vec<tokio::net::TcpStream> {
    let slots = Arc::new(tokio::sync::Semaphore::new(100));
    let mut opening = tokio::task::JoinSet::new();
    for at in 0..wanted {
        let slots = Arc::clone(&slots);
        opening.spawn(async move {
            let _slot = slots.acquire_owned().await.ok()?;
            let socket = TcpSocket::new_v4().ok()?;
            socket.bind(SocketAddr::from(([127, 0, 0, 2 + (at % 8) as u8], 0))).ok()?;
            socket.connect(node).await.ok()
        });
    }
    let mut open = Vec::new();
    // Whoever waits for a place longer than this for the next one will not get in.
    while let Ok(Some(opened)) = tokio::time::timeout(Duration::from_secs(4), opening.join_next()).await {
        open.extend(opened.ok().flatten());
    }
    opening.shutdown().await;
    open
}

/// What a build machine does when it wakes up. The operating system keeps new connections for the node until it takes them;
/// where it keeps too few, a client hears nothing and tries again after one second, then three, then seven.
#[test]
fn a_thousand_clients_at_the_same_time_are_all_served_at_once() {
    let (_upstream, node) = mirror("holes-burst");
    serves(&node, "nobody");
    raise_open_files();
    let (address, request) = (address(&node), request(&node, JAR, "Connection: close\r\n"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let burst = || {
        runtime.block_on(async {
            let mut clients = tokio::task::JoinSet::new();
            for _ in 0..1000 {
                let request = request.clone();
                clients.spawn(async move {
                    let begun = Instant::now();
                    let mut stream = tokio::net::TcpStream::connect(address).await.expect("a connection");
                    stream.write_all(request.as_bytes()).await.expect("a request");
                    let mut answer = Vec::new();
                    stream.read_to_end(&mut answer).await.expect("an answer");
                    assert!(answer.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&answer));
                    begun.elapsed()
                });
            }
            clients.join_all().await.into_iter().max().expect("a thousand clients")
        })
    };
    // The best of some: what else runs on this machine may make one of them slow.
    let slowest: Vec<_> = (0..4).map(|_| burst()).collect();
    println!("the slowest of a thousand clients, four times: {slowest:?}");
    assert!(slowest.iter().min() < Some(&Duration::from_millis(900)), "somebody had to try again: {slowest:?}");
}

#[test]
fn ten_thousand_idle_connections_keep_nobody_out() {
    let (_upstream, node) = mirror("holes-idle");
    serves(&node, "nobody");
    let wanted = 10_000.min(raise_open_files().saturating_sub(1000));
    let (files, before) = (open_files(&node), resident_mib(node.pid()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let begun = Instant::now();
    let crowd = runtime.block_on(idle(address(&node), wanted));
    let (held, during) = (open_files(&node) - files, resident_mib(node.pid()));
    println!(
        "{} of {wanted} idle connections in {:?}, {held} accepted; memory: {before} MiB before, {during} MiB with them",
        crowd.len(),
        begun.elapsed()
    );
    let answers: Vec<_> = (0..5).map(|_| ask(&node)).collect();
    // They go, and with them everything that they held; also when the rest of this test fails.
    drop(crowd);
    let let_go = until(Duration::from_secs(20), || (open_files(&node) <= files + 8).then_some(()));
    let after = resident_mib(node.pid());
    println!("{} open files before, {} afterwards; {after} MiB afterwards", files, open_files(&node));
    assert!(let_go.is_some(), "{} open files before, {} afterwards", files, open_files(&node));
    serves(&node, "nobody any more");
    assert!(during < before + 512, "{before} MiB before, {during} MiB with {held} idle connections");
    // Served, or told at once that there is no place.
    let fine = answers.iter().all(|answer| matches!(answer, Ok((200 | 503, _))));
    assert!(fine, "beside {held} idle connections other clients get {answers:?}");
}
