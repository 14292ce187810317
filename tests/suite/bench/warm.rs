//! Files that a node has, over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use pyrsia_tests::measured::Measured;
use pyrsia_tests::node::Node;
use pyrsia_tests::upstream::Upstream;

use super::{alone, ms};

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

pub fn files() -> Vec<Measured> {
    let upstream = Upstream::start();
    let files = [("warm-2k", "org/acme/a/1/a-1.pom", 2048), ("warm-1m", "org/acme/a/1/a-1.jar", 1 << 20)];
    for (_, path, size) in files {
        upstream.put(path, vec![b'x'; size]);
    }
    let node = Node::start("bench", &["--no-builder", "--upstream", &upstream.url()]);
    let authority = node.url().trim_start_matches("http://").to_owned();
    files
        .map(|(id, path, _)| {
            node.artifact(path).expect(200);
            let connections: Vec<_> = (0..CONNECTIONS)
                .map(|_| {
                    let (authority, target) = (authority.clone(), format!("/maven2/{path}"));
                    std::thread::spawn(move || times(&authority, &target).expect("answers"))
                })
                .collect();
            let all = connections.into_iter().flat_map(|connection| connection.join().expect("no panic"));
            alone(id, all.map(ms).collect())
        })
        .into()
}
