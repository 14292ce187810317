//! Nodes: the built program's `node` command with a data folder of its own, and its other commands aimed at it.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{self, Finished};
use crate::{http, places};

/// How long a node may take to serve. Opening a store and binding a port take far less; a busy machine does not.
const START: Duration = Duration::from_secs(60);
/// How long a command may take that does not build anything.
const COMMAND: Duration = Duration::from_secs(120);
/// How long a rebuild may take, waiting for the machine's other builds included.
pub const BUILD: Duration = Duration::from_secs(900);

/// A running node; it ends when dropped.
pub struct Node {
    folder: Option<TempDir>,
    data: PathBuf,
    arguments: Vec<String>,
    child: Child,
    url: String,
}

impl Node {
    /// Starts a node with these further arguments of `node` and waits until it serves.
    pub fn start<S: AsRef<str>>(name: &str, arguments: &[S]) -> Self {
        let folder = places::scratch(name);
        let data = folder.path().join("data");
        Self::launched(folder, data, arguments)
    }

    /// The same with a data folder elsewhere.
    pub fn start_at<S: AsRef<str>>(name: &str, data: &Path, arguments: &[S]) -> Self {
        Self::launched(places::scratch(name), data.to_owned(), arguments)
    }

    fn launched<S: AsRef<str>>(folder: TempDir, data: PathBuf, arguments: &[S]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(|text| text.as_ref().to_owned()).collect();
        let (child, url) = launch(folder.path(), &data, &arguments);
        Node { folder: Some(folder), data, arguments, child, url }
    }

    /// The same for a node that first joins a network by its genesis and one address of it.
    pub fn start_joined<S: AsRef<str>>(name: &str, network: &Path, bootstrap: &str, arguments: &[S]) -> Self {
        let folder = places::scratch(name);
        let mut join = program();
        join.arg("--data-dir").arg(folder.path().join("data")).args(["network", "join"]).arg(network);
        join.args(["--bootstrap", bootstrap, "--listen-peers", "/ip4/127.0.0.1/tcp/0"]);
        process::run(&mut join, COMMAND).expect(0);
        let data = folder.path().join("data");
        Self::launched(folder, data, arguments)
    }

    /// The node's address, without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The address of the Maven repository, ending in a slash.
    pub fn maven2(&self) -> String {
        format!("{}/maven2/", self.url)
    }

    /// The same address as [`Node::url`] has, of the listener with TLS.
    pub fn tls_url(&self) -> String {
        self.ready("tls_url")
    }

    /// Where workers find it.
    pub fn workers_url(&self) -> String {
        self.ready("workers_url")
    }

    fn ready(&self, field: &str) -> String {
        let ready = std::fs::read(self.folder().join("ready.json")).expect("the ready file");
        let ready: Value = serde_json::from_slice(&ready).expect("a document");
        ready[field].as_str().unwrap_or_else(|| panic!("a node with {field}")).to_owned()
    }

    /// The node's own folder; the data folder lies in it, unless it was named.
    pub fn folder(&self) -> &Path {
        self.folder.as_ref().expect("the folder is given up only in drop").path()
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.data.clone()
    }

    /// The node's log.
    pub fn log(&self) -> PathBuf {
        self.folder().join("node.log")
    }

    /// GET of a path below the Maven repository's root.
    #[track_caller]
    pub fn artifact(&self, path: &str) -> http::Response {
        http::get(&format!("{}{path}", self.maven2()))
    }

    /// Runs a command of the program against this node.
    pub fn cli<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Finished {
        self.cli_for(arguments, COMMAND)
    }

    /// Runs a command of the program that may take as long as a rebuild.
    pub fn cli_long<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Finished {
        self.cli_for(arguments, BUILD)
    }

    /// A command of the program aimed at this node, for running it another way.
    pub fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = program();
        command.arg("--data-dir").arg(self.data()).args(["--node", &self.url]).args(arguments);
        command
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills the node as a power cut would, without asking it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks the node to end and returns its exit code.
    pub fn stop(&mut self) -> i32 {
        process::terminate(self.child.id());
        process::wait(&mut self.child, Duration::from_secs(30))
    }

    /// Waits until the node has ended by itself and returns its exit code.
    pub fn wait(&mut self) -> i32 {
        process::wait(&mut self.child, Duration::from_secs(30))
    }

    /// Ends the node by closing its standard input and returns its exit code.
    pub fn close_stdin(&mut self) -> i32 {
        drop(self.child.stdin.take());
        process::wait(&mut self.child, Duration::from_secs(30))
    }

    /// Starts the node again on the same data; it must have ended.
    pub fn start_again(&mut self) {
        let arguments = self.arguments.clone();
        let (child, url) = launch(self.folder(), &self.data, &arguments);
        (self.child, self.url) = (child, url);
    }

    fn cli_for<S: AsRef<OsStr>>(&self, arguments: &[S], limit: Duration) -> Finished {
        let mut done = process::run(&mut self.command(arguments), limit);
        done.log = Some(self.log());
        done
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        process::end(&mut self.child, Duration::from_secs(20));
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            let kept = folder.keep();
            eprintln!("--- the node's folder is kept: {}", kept.display());
            eprintln!("{}", process::tail_of(&kept.join("node.log"), 60));
        }
    }
}

/// The program, without what the caller's environment would set in it.
pub fn program() -> Command {
    program_at(&places::program())
}

/// Another program with the same command line.
pub fn program_at(path: &Path) -> Command {
    let mut command = Command::new(path);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PYRSIA_") {
            command.env_remove(name);
        }
    }
    command.env("PYRSIA_IMAGES", places::image_cache()).env("NO_COLOR", "1").env("COLUMNS", "100");
    command
}

/// Runs the program without a node.
pub fn cli<S: AsRef<OsStr>>(arguments: &[S]) -> Finished {
    process::run(program().args(arguments), COMMAND)
}

fn launch(folder: &Path, data: &Path, arguments: &[String]) -> (Child, String) {
    let ready = folder.join("ready.json");
    let _ = std::fs::remove_file(&ready);
    let log_path = folder.join("node.log");
    let log = File::options().create(true).append(true).open(&log_path).expect("a log file");
    let mut child = program()
        .arg("--data-dir")
        .arg(data)
        .args(["node", "--listen", "127.0.0.1:0", "--exit-with-stdin", "--ready-file"])
        .arg(&ready)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("the program starts");
    let answer = process::until(START, || {
        if let Ok(Some(status)) = child.try_wait() {
            panic!("the node ended at once ({status}):\n{}", process::tail_of(&log_path, 40));
        }
        let bytes = std::fs::read(&ready).ok()?;
        serde_json::from_slice::<Value>(&bytes).ok()
    });
    let Some(answer) = answer else {
        let _ = child.kill();
        let _ = child.wait();
        panic!("the node did not serve within {START:?}:\n{}", process::tail_of(&log_path, 40));
    };
    assert_eq!(answer["pid"], child.id(), "the ready file names the node's process");
    let url = answer["url"].as_str().expect("the ready file has the address").trim_end_matches('/').to_owned();
    (child, url)
}
