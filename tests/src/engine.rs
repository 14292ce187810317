//! The Docker engine as an onlooker sees it: whether it answers, and which containers of ours are left.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pyrsia_digest::Sha256;
use tempfile::TempDir;

use crate::{http, process};

/// Fails the test when no engine answers: a chain that was not tested must not look tested.
#[track_caller]
pub fn require() {
    assert!(
        call("/_ping").is_some_and(|answer| answer.status == 200),
        "no Docker engine answers; `./dev test` starts one"
    );
}

/// A folder for the sockets of builds, short enough for them; containers of nodes that use it can be told apart.
pub struct RuntimeFolder {
    folder: TempDir,
}

impl Default for RuntimeFolder {
    fn default() -> Self {
        let folder = tempfile::Builder::new().prefix("pyrsia-t-").tempdir().expect("a temporary folder");
        RuntimeFolder { folder }
    }
}

impl RuntimeFolder {
    /// Writes a configuration file that makes a node use this folder.
    pub fn configuration(&self) -> PathBuf {
        let file = self.folder.path().join("config.toml");
        let text = format!("[builder.java]\nruntime_dir = {:?}\n", self.runtime());
        std::fs::write(&file, text).expect("a written configuration");
        file
    }

    /// The ids of all containers, running or not, of nodes that use this folder.
    #[track_caller]
    pub fn containers(&self) -> Vec<String> {
        containers_of(&self.runtime())
    }

    fn runtime(&self) -> PathBuf {
        self.folder.path().join("r")
    }
}

/// The ids of all containers, running or not, of nodes with this runtime folder.
#[track_caller]
pub fn containers_of(runtime: &Path) -> Vec<String> {
    name_of(runtime).map(|name| list(&name, true)).unwrap_or_default()
}

/// The beginning of the names of containers of nodes with this runtime folder. It need not be there any more: who leaves it
/// last takes it away.
fn name_of(runtime: &Path) -> Option<String> {
    let runtime = runtime.parent()?.canonicalize().ok()?.join(runtime.file_name()?);
    let digest = Sha256::of(runtime.as_os_str().as_bytes()).to_string();
    Some(format!("pyrsia-{}-", &digest[..12]))
}

/// How many containers of nodes with these runtime folders run now.
pub fn running_of(runtimes: &[PathBuf]) -> usize {
    let names = runtimes.iter().filter_map(|runtime| name_of(runtime));
    names.map(|name| list(&name, false).len()).sum()
}

/// The ids of the containers with this in their names; `all`: also those that do not run.
#[track_caller]
fn list(name: &str, all: bool) -> Vec<String> {
    let (filters, all) = (format!("%7B%22name%22%3A%5B%22{name}%22%5D%7D"), u8::from(all));
    let target = format!("/containers/json?all={all}&filters={filters}");
    let answer = call(&target).expect("the engine answers").expect(200);
    ids(&answer)
}

/// A second engine of a test's own, which it can stop and start; nothing of it is left when this is dropped. Needs root.
pub struct OwnEngine {
    /// Short: the paths of sockets below it have at most 108 bytes.
    folder: TempDir,
    daemon: Option<Child>,
}

impl OwnEngine {
    /// Starts one, without any network.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("pt-").tempdir().expect("a temporary folder");
        let mut engine = OwnEngine { folder, daemon: None };
        engine.start_again();
        engine
    }

    /// Starts it again on what it had.
    pub fn start_again(&mut self) {
        let at = |name: &str| self.folder.path().join(name);
        let log = File::options().create(true).append(true).open(at("log")).expect("a log file");
        let daemon = Command::new("dockerd")
            .arg("--data-root")
            .arg(at("d"))
            .arg("--exec-root")
            .arg(at("x"))
            .arg("--pidfile")
            .arg(at("pid"))
            .arg("-H")
            .arg(format!("unix://{}", self.socket().display()))
            .args(["--bridge=none", "--iptables=false", "--ip6tables=false"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("dockerd is on the path");
        self.daemon = Some(daemon);
        let ready = process::until(Duration::from_secs(60), || {
            call_at(&self.socket(), "/_ping").filter(|answer| answer.status == 200)
        });
        assert!(ready.is_some(), "no engine of our own:\n{}", process::tail_of(&at("log"), 30));
    }

    /// Ends it, and with it what runs in it.
    pub fn stop(&mut self) {
        if let Some(mut daemon) = self.daemon.take() {
            process::end(&mut daemon, Duration::from_secs(60));
        }
    }

    /// The folder of all that it has.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    /// Writes a configuration that makes a node use this engine, with these further lines.
    pub fn configuration(&self, more: &str) -> PathBuf {
        let file = self.folder.path().join("config.toml");
        let (socket, runtime) = (self.socket(), self.folder.path().join("r"));
        let text = format!("{more}[builder.java]\nengine = {socket:?}\nruntime_dir = {runtime:?}\n");
        std::fs::write(&file, text).expect("a written configuration");
        file
    }

    /// The ids of all its containers, running or not.
    #[track_caller]
    pub fn containers(&self) -> Vec<String> {
        let answer = call_at(&self.socket(), "/containers/json?all=1").expect("the engine answers").expect(200);
        ids(&answer)
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        self.stop();
        // It mounts its own folder onto itself while it runs, and so do containers that it could not end.
        let below = self.folder.path().to_string_lossy().into_owned();
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        for mounted in mounts.lines().rev().filter_map(|line| line.split(' ').nth(1)) {
            if mounted.starts_with(&below) {
                let _ = Command::new("umount").arg("-l").arg(mounted).status();
            }
        }
    }
}

fn ids(answer: &http::Response) -> Vec<String> {
    let listed = answer.json();
    let listed = listed.as_array().expect("a list of containers");
    listed.iter().filter_map(|container| container["Id"].as_str().map(str::to_owned)).collect()
}

fn call(target: &str) -> Option<http::Response> {
    request("GET", target, b"")
}

/// One call of the engine's HTTP interface, with a JSON body unless it is empty; none when the engine does not answer.
pub fn request(method: &str, target: &str, body: &[u8]) -> Option<http::Response> {
    ask(connect()?, method, target, body)
}

fn call_at(socket: &Path, target: &str) -> Option<http::Response> {
    ask(UnixStream::connect(socket).ok()?, "GET", target, b"")
}

fn ask(mut stream: UnixStream, method: &str, target: &str, body: &[u8]) -> Option<http::Response> {
    stream.set_read_timeout(Some(Duration::from_secs(20))).ok()?;
    let request = format!(
        "{method} {target} HTTP/1.1\r\nHost: engine\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    stream.write_all(body).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    http::parse(&bytes, method).ok()
}

/// The three streams of a container that was made and not started yet: what is written is its standard input, what is read
/// has the engine's frames.
#[track_caller]
pub fn attach(id: &str) -> UnixStream {
    let mut stream = connect().expect("the engine answers");
    stream.set_read_timeout(Some(Duration::from_secs(600))).expect("a time limit");
    let request = format!(
        "POST /containers/{id}/attach?stream=1&stdin=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: engine\r\n\
         Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("a sent request");
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("an answer");
        head.push(byte[0]);
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    stream
}

fn connect() -> Option<UnixStream> {
    let socket = std::env::var("DOCKER_HOST")
        .ok()
        .and_then(|host| host.strip_prefix("unix://").map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from("/var/run/docker.sock"));
    UnixStream::connect(socket).ok()
}
