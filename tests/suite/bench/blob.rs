//! A large file between two nodes, beside the same bytes over a bare stream.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pyrsia_tests::measured::Measured;
use pyrsia_tests::scripted::Scripted;
use pyrsia_tests::sources::{Sources, replace_in};
use pyrsia_tests::{places, process};
use serde_json::json;

use super::beside;

const MIB: usize = 256;
/// Transfers of each kind, taken in turns.
const RUNS: usize = 7;
const RELEASE: &str = "org.pyrsia.samples:greeting-lib:1.0.1";
const JAR: &str = "org/pyrsia/samples/greeting-lib/1.0.1/greeting-lib-1.0.1.jar";

/// The network must have `greeting-lib` already.
pub fn transfers(network: &Scripted) -> Vec<Measured> {
    network.script_all(&json!({ "padding": MIB << 20 }));
    network.sources.add_edited("greeting-lib", "greeting-lib", "v1.0.1", |tree| {
        replace_in(&tree.join("pom.xml"), "<version>1.0.0</version>", "<version>1.0.1</version>");
    });
    let address = Sources::address("greeting-lib");
    network.net.cli_long(&["build", RELEASE, "--source", &address, "--tag", "v1.0.1", "--wait"]).expect(0);
    let source = large_file(&network.net.data("a1").join("blobs")).expect("an authority has the JAR");
    let bytes = std::fs::metadata(&source).expect("the JAR").len();
    let plain = network.net.plain();
    // Whatever it wants to have of a new release, it has after this.
    network.net.artifact("node", JAR).expect(200);
    let store = network.net.data("node").join("blobs");
    let folder = places::scratch("bench-blob");
    let kept = folder.path().join("kept");
    let (zeros, file) = (Raw::serve(bytes, None), Raw::serve(bytes, Some(&source)));
    let rate = |seconds: f64| bytes as f64 / f64::from(1 << 20) / seconds;
    let (mut own, mut bare, mut keeping) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        bare.push(rate(zeros.fetch(None)));
        keeping.push(rate(file.fetch(Some(&kept))));
        std::fs::remove_file(&kept).expect("a kept file");
        // As after a cleaning of the store: the node has to ask for it.
        while let Some(file) = large_file(&store) {
            std::fs::remove_file(&file).expect("a removed file");
        }
        own.push(rate(first_byte(&plain.url, JAR)));
        assert!(large_file(&store).is_some(), "the node has it now");
        // The other checksums are computed meanwhile; they are not to disturb the next transfer.
        network.net.artifact("node", &format!("{JAR}.md5")).expect(200);
    }
    vec![beside("blob", own.clone(), bare), beside("blob-kept", own, keeping)]
}

/// Seconds until the answer to a GET begins.
fn first_byte(url: &str, path: &str) -> f64 {
    let authority = url.trim_start_matches("http://");
    let mut stream = TcpStream::connect(authority).expect("the node listens");
    stream.set_read_timeout(Some(Duration::from_secs(120))).expect("a time limit");
    let started = Instant::now();
    let request = format!("GET /maven2/{path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("a sent request");
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).expect("an answer");
    let seconds = started.elapsed().as_secs_f64();
    assert!(line.starts_with("HTTP/1.1 200"), "{line}");
    seconds
}

/// The file of the padded JAR below a folder.
fn large_file(folder: &Path) -> Option<PathBuf> {
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => open.push(entry.path()),
                Ok(metadata) if metadata.len() >= (MIB << 20) as u64 => return Some(entry.path()),
                _ => {}
            }
        }
    }
    None
}

/// A process that sends bytes over bare streams; it ends when dropped.
struct Raw {
    child: Child,
    address: String,
    bytes: String,
}

impl Raw {
    fn program() -> Command {
        Command::new(places::example("raw_stream"))
    }

    fn serve(bytes: u64, file: Option<&Path>) -> Self {
        let bytes = bytes.to_string();
        let mut command = Self::program();
        command.args(["serve", &bytes]).args(file).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the raw peer starts");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut address).expect("an address");
        Raw { child, address: address.trim().to_owned(), bytes }
    }

    /// Seconds that another process takes to get the bytes.
    fn fetch(&self, keep: Option<&Path>) -> f64 {
        let mut command = Self::program();
        command.args(["fetch", &self.address, &self.bytes]).args(keep);
        let done = process::run(&mut command, Duration::from_secs(120)).expect(0);
        done.stdout.trim().parse().expect("seconds")
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
