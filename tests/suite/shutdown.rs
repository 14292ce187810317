//! A node that is told to end while somebody downloads.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use pyrsia_tests::node::Node;
use pyrsia_tests::process;
use pyrsia_tests::upstream::Upstream;

const JAR: &str = "org/acme/large/1.0/large-1.0.jar";

/// A node that has a large file, and its bytes.
fn node() -> (Node, Upstream, Vec<u8>) {
    let upstream = Upstream::start();
    let bytes: Vec<u8> = (0..48u32 << 20).map(|at| (at % 251) as u8).collect();
    upstream.put_release("org.acme", "large", "1.0", bytes.clone());
    let node = Node::start("shutdown", &["--no-builder", "--upstream", &upstream.url()]);
    assert_eq!(node.artifact(JAR).expect(200).body.len(), bytes.len());
    (node, upstream, bytes)
}

/// A download of which nothing was taken yet but its first bytes.
fn begun(node: &Node) -> TcpStream {
    let address = node.url().trim_start_matches("http://").to_owned();
    let mut stream = TcpStream::connect(&address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time");
    write!(stream, "GET /maven2/{JAR} HTTP/1.1\r\nhost: {address}\r\n\r\n").expect("a request");
    assert_eq!(stream.read(&mut [0; 100]).expect("an answer"), 100);
    stream
}

#[test]
fn a_download_is_finished_and_then_the_node_has_ended() {
    let (mut node, _upstream, bytes) = node();
    let mut stream = begun(&node);
    process::terminate(node.pid());
    // Longer than requests have that wait for their answer.
    std::thread::sleep(Duration::from_secs(7));
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the rest of it");
    assert!(rest.ends_with(&bytes[bytes.len() - 100_000..]) && rest.len() > bytes.len(), "{}", rest.len());
    assert_eq!(node.wait(), 0);
}

#[test]
fn who_asks_twice_does_not_wait_for_downloads() {
    let (mut node, _upstream, _) = node();
    let _stream = begun(&node);
    process::terminate(node.pid());
    std::thread::sleep(Duration::from_secs(1));
    let asked = Instant::now();
    process::terminate(node.pid());
    assert_eq!(node.wait(), 1);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}
