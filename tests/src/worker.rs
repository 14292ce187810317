//! Worker processes: the built program's `worker` command with a data folder and a runtime folder of its own.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::engine::RuntimeFolder;
use crate::{node, places, process};

/// A running worker with one slot; it ends when dropped, or with this process.
pub struct Worker {
    folder: TempDir,
    runtime: RuntimeFolder,
    arguments: Vec<String>,
    child: Child,
}

impl Worker {
    /// Starts a worker of the authority at this address, with these further arguments.
    pub fn start(name: &str, authority: &str, token: &Path, more: &[&str]) -> Self {
        let folder = places::scratch(name);
        let runtime = RuntimeFolder::default();
        let token = token.to_string_lossy().into_owned();
        let mut arguments: Vec<String> =
            ["--authority", authority, "--token-file", &token, "--slots", "1"].map(str::to_owned).to_vec();
        arguments.extend(["--config".to_owned(), runtime.configuration().to_string_lossy().into_owned()]);
        arguments.extend(more.iter().map(|&text| text.to_owned()));
        let child = launch(folder.path(), &arguments);
        Worker { folder, runtime, arguments, child }
    }

    /// Starts it again on the same folders; it must have ended.
    pub fn start_again(&mut self) {
        self.child = launch(self.folder.path(), &self.arguments);
    }

    /// The ids of all its containers, running or not.
    #[track_caller]
    pub fn containers(&self) -> Vec<String> {
        self.runtime.containers()
    }

    /// Its log.
    pub fn log(&self) -> PathBuf {
        self.folder.path().join("worker.log")
    }

    /// The end of its log, for messages.
    pub fn said(&self) -> String {
        process::tail_of(&self.log(), 40)
    }

    /// Kills it as a power cut would, without asking it.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Asks it to end and returns its exit code.
    pub fn stop(&mut self) -> i32 {
        process::terminate(self.child.id());
        self.wait()
    }

    /// Waits until it has ended by itself and returns its exit code.
    pub fn wait(&mut self) -> i32 {
        process::wait(&mut self.child, Duration::from_secs(60))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        process::end(&mut self.child, Duration::from_secs(60));
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.log().display(), self.said());
        }
    }
}

fn launch(folder: &Path, arguments: &[String]) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("worker.log")).expect("a log file");
    node::program()
        .arg("--data-dir")
        .arg(folder.join("data"))
        .args(["worker", "--exit-with-stdin"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("the program starts")
}
