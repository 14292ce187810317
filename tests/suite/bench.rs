//! Benchmarks: figures to be compared within one run on one machine, never from memory. `./dev bench` runs them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use pyrsia_tests::node::Node;
use pyrsia_tests::upstream::Upstream;

/// Requests of each connection.
const REQUESTS: usize = 3000;
/// Connections at the same time.
const CONNECTIONS: usize = 4;

/// The times of `REQUESTS` GETs over one connection.
fn times(authority: &str, target: &str) -> std::io::Result<Vec<Duration>> {
    let mut stream = TcpStream::connect(authority)?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let request = format!("GET {target} HTTP/1.1\r\nHost: {authority}\r\n\r\n");
    let mut times = Vec::with_capacity(REQUESTS);
    let mut body = Vec::new();
    for _ in 0..REQUESTS {
        let started = Instant::now();
        stream.write_all(request.as_bytes())?;
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        body.resize(length, 0);
        reader.read_exact(&mut body)?;
        times.push(started.elapsed());
    }
    Ok(times)
}

#[test]
#[ignore = "a benchmark"]
fn bench_warm_files() {
    let upstream = Upstream::start();
    let files = [("2 KiB", "org/acme/a/1/a-1.pom", 2048), ("1 MiB", "org/acme/a/1/a-1.jar", 1 << 20)];
    for (_, path, size) in files {
        upstream.put(path, vec![b'x'; size]);
    }
    let node = Node::start("bench", &["--no-builder", "--upstream", &upstream.url()]);
    let authority = node.url().trim_start_matches("http://").to_owned();
    for (name, path, size) in files {
        node.artifact(path).expect(200);
        let started = Instant::now();
        let connections: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let (authority, target) = (authority.clone(), format!("/maven2/{path}"));
                std::thread::spawn(move || times(&authority, &target).expect("answers"))
            })
            .collect();
        let mut all: Vec<_> =
            connections.into_iter().flat_map(|connection| connection.join().expect("no panic")).collect();
        let seconds = started.elapsed().as_secs_f64();
        all.sort();
        let count = all.len();
        println!(
            "warm GET {name}: {:.0} requests/s, {:.0} MiB/s, median {:?}, p99 {:?} ({CONNECTIONS} connections)",
            count as f64 / seconds,
            (count * size) as f64 / seconds / f64::from(1 << 20),
            all[count / 2],
            all[count * 99 / 100],
        );
    }
}

#[test]
#[ignore = "a benchmark"]
fn bench_rebuild() {
    let chain = crate::fixture::shared();
    println!("build of greeting-lib through the ledger, caches empty: {:.1} s", chain.build.took.as_secs_f64());
    for round in ["first", "second"] {
        let out = pyrsia_tests::places::scratch("bench");
        let arguments = ["--no-reference"];
        let done = crate::fixture::rebuild(&chain.sources, out.path(), &arguments).expect(0);
        println!("{round} rebuild of greeting-lib: {:.1} s, of it {}", done.took.as_secs_f64(), done.json()["timings"]);
    }
}
