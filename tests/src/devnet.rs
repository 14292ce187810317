//! Development networks: several authorities and a plain node, started and ended with the program's own `devnet` command.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::process::{self, Finished, until};
use crate::{http, node, places};

/// How long a network may take to be ready, on a machine that is busy with other tests.
const UP: Duration = Duration::from_secs(180);
/// How long a command may take that does not build anything.
const COMMAND: Duration = Duration::from_secs(180);

/// A network on this machine; it ends when dropped.
pub struct Devnet {
    folder: Option<TempDir>,
    program: PathBuf,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
}

/// A node that was started by itself; it ends when dropped.
pub struct Alone {
    child: Child,
}

impl Alone {
    /// Its exit code, if it has ended; -1 when a signal ended it.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().expect("a child").map(|status| status.code().unwrap_or(-1))
    }

    /// Waits until it ends by itself.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> i32 {
        until(limit, || self.ended()).expect("the node ends by itself")
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        process::end(&mut self.child, Duration::from_secs(20));
    }
}

/// One node of it, as its own documents describe it.
#[derive(Debug, Clone)]
pub struct Member {
    /// `a1`, `a2`, ... or `node`.
    pub name: String,
    /// Address of its HTTP face, without a slash at its end.
    pub url: String,
    /// Its process, if it runs.
    pub pid: Option<u32>,
    /// Leaves in its log.
    pub log_size: Option<u64>,
    /// Root of its newest certified log.
    pub log_root: Option<String>,
}

impl Devnet {
    /// Starts a network of the shipped program; `arguments` are further ones of `devnet up`.
    pub fn start<S: AsRef<str>>(name: &str, arguments: &[S]) -> Self {
        Self::start_as(name, places::program(), &[], arguments)
    }

    /// Starts a network of another program (the scripted one) with variables in its environment.
    pub fn start_as<S: AsRef<str>>(
        name: &str,
        program: PathBuf,
        environment: &[(&str, &str)],
        arguments: &[S],
    ) -> Self {
        let devnet = Devnet {
            folder: Some(places::scratch(name)),
            program,
            environment: environment.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            arguments: arguments.iter().map(|text| text.as_ref().to_owned()).collect(),
        };
        devnet.up().expect(0);
        devnet
    }

    fn folder(&self) -> &Path {
        self.folder.as_ref().expect("the folder is given up only in drop").path()
    }

    /// The network's folder.
    pub fn dir(&self) -> PathBuf {
        self.folder().join("net")
    }

    /// The data directory of the person who uses the network.
    pub fn user(&self) -> PathBuf {
        self.folder().join("user")
    }

    fn bare(&self) -> Command {
        let mut command = node::program_at(&self.program);
        command.arg("--data-dir").arg(self.user());
        for (key, value) in &self.environment {
            command.env(key, value);
        }
        command
    }

    /// `devnet up`: starts what does not run.
    pub fn up(&self) -> Finished {
        let mut command = self.bare();
        // A killed test run leaves no network behind.
        command.args(["devnet", "up", "--exit-with-process", &std::process::id().to_string()]);
        command.args(["--listen", "127.0.0.1:0", "--dir"]).arg(self.dir()).args(&self.arguments);
        process::run(&mut command, UP)
    }

    /// Starts one node of a network whose others stay as they are; it ends when the guard is dropped. Not for `up` to know:
    /// `devnet` itself starts all or none.
    pub fn start_one(&self, name: &str) -> Alone {
        let ready = self.folder().join(format!("{name}.ready"));
        let _ = std::fs::remove_file(&ready);
        let log = File::options().create(true).append(true).open(self.log(name)).expect("a log file");
        let mut command = node::program_at(&self.program);
        command.arg("--data-dir").arg(self.data(name)).args(["node", "--exit-with-stdin", "--ready-file"]).arg(&ready);
        for (key, value) in self.environment.iter().filter(|(key, _)| key != "PYRSIA_CONFIG") {
            command.env(key, value);
        }
        command.stdin(Stdio::piped()).stdout(log.try_clone().expect("a second handle")).stderr(log);
        let mut alone = Alone { child: command.spawn().expect("the program starts") };
        let served = until(UP, || (ready.exists() || alone.ended().is_some()).then_some(()));
        assert!(
            served.is_some() && alone.ended().is_none(),
            "{name} does not serve:\n{}",
            process::tail_of(&self.log(name), 40)
        );
        alone
    }

    /// `devnet down`.
    pub fn down(&self) -> Finished {
        process::run(self.bare().args(["devnet", "down", "--dir"]).arg(self.dir()), COMMAND)
    }

    /// `devnet status` as a document.
    pub fn status(&self) -> Value {
        process::run(self.bare().args(["--json", "devnet", "status", "--dir"]).arg(self.dir()), COMMAND)
            .expect(0)
            .json()
    }

    /// The nodes: authorities in order, then the plain one.
    pub fn members(&self) -> Vec<Member> {
        let document = self.status();
        let nodes = document["nodes"].as_array().expect("a list of nodes");
        let member = |node: &Value| Member {
            name: node["name"].as_str().expect("a name").to_owned(),
            url: node["url"].as_str().expect("an address").to_owned(),
            pid: node["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()),
            log_size: node["log_size"].as_u64(),
            log_root: node["log_root"].as_str().map(str::to_owned),
        };
        nodes.iter().map(member).collect()
    }

    /// One node.
    #[track_caller]
    pub fn member(&self, name: &str) -> Member {
        let found = self.members().into_iter().find(|member| member.name == name);
        found.unwrap_or_else(|| panic!("the network has no node {name}"))
    }

    /// The plain node.
    pub fn plain(&self) -> Member {
        self.member("node")
    }

    /// Names of the authorities, in the committee's order.
    pub fn authorities(&self) -> Vec<String> {
        self.members().into_iter().map(|member| member.name).filter(|name| name != "node").collect()
    }

    /// A node's data directory.
    pub fn data(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    /// The folders for sockets that the nodes have; their containers are named after them.
    pub fn runtime_dirs(&self) -> Vec<PathBuf> {
        let of = |name: &String| {
            let config = std::fs::read_to_string(self.data(name).join("config.toml")).expect("a configuration");
            let line = config.lines().find_map(|line| line.strip_prefix("runtime_dir = ")).expect("a runtime folder");
            PathBuf::from(line.trim_matches('"'))
        };
        self.authorities().iter().map(of).collect()
    }

    /// A node's log.
    pub fn log(&self, name: &str) -> PathBuf {
        self.dir().join("logs").join(format!("{name}.log"))
    }

    /// Kills a node as a power cut would.
    pub fn kill(&self, name: &str) {
        let pid = self.member(name).pid.unwrap_or_else(|| panic!("{name} does not run"));
        process::kill(pid);
        let gone = until(Duration::from_secs(10), || (!process::is_running(pid)).then_some(()));
        assert!(gone.is_some(), "{name} is still there");
    }

    /// A command of the person who uses the network, at the plain node.
    pub fn cli<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Finished {
        self.cli_at(&self.plain(), arguments, COMMAND)
    }

    /// The same for a command that may take as long as builds.
    pub fn cli_long<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Finished {
        self.cli_at(&self.plain(), arguments, node::BUILD)
    }

    /// The person's command as a process that is not started yet.
    pub fn command<S: AsRef<OsStr>>(&self, member: &Member, arguments: &[S]) -> Command {
        let mut command = self.bare();
        command.args(["--node", &member.url]).args(arguments);
        command
    }

    fn cli_at<S: AsRef<OsStr>>(&self, member: &Member, arguments: &[S], limit: Duration) -> Finished {
        let mut done = process::run(&mut self.command(member, arguments), limit);
        done.log = Some(self.log(&member.name));
        done
    }

    /// A command of an authority's operator, at that authority. Keys that it makes or uses are the person's.
    pub fn operator<S: AsRef<OsStr>>(&self, name: &str, arguments: &[S]) -> Finished {
        let member = self.member(name);
        let mut command = node::program_at(&self.program);
        command.arg("--data-dir").arg(self.data(name)).args(["--node", &member.url]).args(arguments);
        let mut done = process::run(&mut command, COMMAND);
        done.log = Some(self.log(name));
        done
    }

    /// The public key with which the person publishes.
    pub fn publisher(&self) -> String {
        let path = self.user().join("keys/publisher.key");
        if !path.exists() {
            std::fs::create_dir_all(self.user().join("keys")).expect("a folder for keys");
            process::private_file(&path, &"5a".repeat(32));
        }
        let seed = std::fs::read_to_string(&path).expect("a publisher's key");
        let seed: pyrsia_digest::Sha256 = seed.trim().parse().expect("32 bytes");
        pyrsia_ledger::PublisherKey::from_seed(seed.as_bytes()).public().to_string()
    }

    /// Every operator lets the person publish a group from these repositories.
    pub fn grant(&self, group: &str, repositories: &[&str]) {
        for name in self.authorities() {
            self.grant_at(&name, group, repositories).expect(0);
        }
    }

    /// One operator's word on it.
    pub fn grant_at(&self, authority: &str, group: &str, repositories: &[&str]) -> Finished {
        let publisher = self.publisher();
        let mut arguments = vec!["namespace", "grant", group, "--publisher", &publisher];
        for repository in repositories {
            arguments.extend(["--repository", repository]);
        }
        self.operator(authority, &arguments)
    }

    /// GET below the Maven repository of a node.
    #[track_caller]
    pub fn artifact(&self, name: &str, path: &str) -> http::Response {
        http::get(&format!("{}/maven2/{path}", self.member(name).url))
    }

    /// Waits until all running nodes have the same certified log, of at least `size` leaves; returns size and root.
    #[track_caller]
    pub fn same_log(&self, size: u64) -> (u64, String) {
        let same = until(Duration::from_secs(60), || {
            let members = self.members();
            let running: Vec<_> = members.iter().filter(|member| member.pid.is_some()).collect();
            let (known, root) = (running.first()?.log_size?, running.first()?.log_root.clone()?);
            let equal = |member: &&&Member| member.log_size == Some(known) && member.log_root.as_deref() == Some(&root);
            (known >= size && running.iter().filter(equal).count() == running.len()).then_some((known, root))
        });
        same.unwrap_or_else(|| panic!("the nodes do not come to the same log: {:#?}", self.members()))
    }
}

impl Devnet {
    /// The same once nobody has more to say: the log of at least `size` leaves has not grown for five seconds.
    #[track_caller]
    pub fn settled_log(&self, size: u64) -> (u64, String) {
        let mut known = self.same_log(size);
        let settled = until(Duration::from_secs(90), || {
            std::thread::sleep(Duration::from_secs(5));
            let before = std::mem::replace(&mut known, self.same_log(size));
            (before == known).then(|| known.clone())
        });
        settled.unwrap_or_else(|| panic!("the log goes on growing: {:#?}", self.members()))
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        let down = self.down();
        if down.code != 0 {
            eprintln!("{}", down.report());
        }
        if std::thread::panicking()
            && let Some(folder) = self.folder.take()
        {
            let kept = folder.keep();
            eprintln!("--- the network's folder is kept: {}", kept.display());
            for log in std::fs::read_dir(kept.join("net/logs")).into_iter().flatten().flatten() {
                eprintln!("--- {}\n{}", log.path().display(), process::tail_of(&log.path(), 30));
            }
        }
    }
}
