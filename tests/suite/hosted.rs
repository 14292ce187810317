//! Repositories of one's own: unmodified clients publish to a node and others resolve from it, and nobody gets in, out or in
//! between who must not.

mod clients;
mod disk;
mod manage;
mod wire;

use std::io::Write as _;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use pyrsia_tests::node::Node;
use pyrsia_tests::{http, places, process};
use tempfile::TempDir;

use crate::documented::commands;

const SECTION: &str = "Repositories of your own";
const OPERATING: &str = "docs/OPERATING.md";

/// A node with the repositories `releases`, `snapshots` and `private`, and TLS for the reader `ci`.
struct World {
    node: Node,
    folder: TempDir,
}

impl World {
    fn start(name: &str, upstream: &str) -> Self {
        Self::start_at(name, upstream, None)
    }

    /// The same with a data folder elsewhere.
    fn start_at(name: &str, upstream: &str, data: Option<&Path>) -> Self {
        let folder = places::scratch(name);
        for name in ["deployer", "narrow", "team", "ci"] {
            let line = commands(OPERATING, SECTION)[0].replace("deployer-token", &format!("{name}-token"));
            let mut command = Command::new("sh");
            command.current_dir(folder.path()).args(["-c", &line]);
            process::run(&mut command, Duration::from_secs(30)).expect(0);
        }
        let file = |name: &str| folder.path().join(format!("{name}-token"));
        let holder = |kind: &str, name: &str, paths: &str| {
            format!("[[hosted.{kind}]]\nname = \"{name}\"\ntoken_file = {:?}\npaths = [\"{paths}\"]\n", file(name))
        };
        let mut text =
            format!("[tls]\nlisten = \"127.0.0.1:0\"\n[[readers]]\nname = \"ci\"\ntoken_file = {:?}\n", file("ci"));
        for (id, accept) in [("releases", "releases"), ("snapshots", "snapshots"), ("private", "both")] {
            text += &format!("[[hosted]]\nid = \"{id}\"\naccept = \"{accept}\"\nmax_file = 4000000\n");
            if id == "private" {
                text += "max_bytes = 16000000\n";
            }
            text += &holder("writers", "deployer", "com.example.*");
            text += &holder("writers", "narrow", "com/example/narrow");
            text += "may_remove = true\n";
            if id == "private" {
                text += &holder("readers", "team", "com.example");
            }
        }
        let config = folder.path().join("config.toml");
        std::fs::write(&config, text).expect("a written configuration");
        let arguments = ["--no-builder", "--upstream", upstream, "--config", &config.to_string_lossy()];
        let node = match data {
            Some(data) => Node::start_at(name, data, &arguments),
            None => Node::start(name, &arguments),
        };
        World { node, folder }
    }

    fn quiet(name: &str) -> Self {
        Self::start(name, "none")
    }

    fn token(&self, name: &str) -> String {
        let file = self.folder.path().join(format!("{name}-token"));
        std::fs::read_to_string(file).expect("a token").trim().to_owned()
    }

    /// The value of `Authorization` for somebody.
    fn basic(&self, name: &str) -> String {
        format!("Basic {}", base64(&format!("{name}:{}", self.token(name))))
    }

    fn url(&self, id: &str) -> String {
        format!("{}/hosted/{id}/", self.node.url())
    }

    fn get(&self, path: &str) -> http::Response {
        http::get(&format!("{}/hosted/{path}", self.node.url()))
    }

    #[track_caller]
    fn put(&self, name: &str, path: &str, body: &[u8]) -> http::Response {
        let headers = [("Authorization", self.basic(name))];
        let headers: Vec<(&str, &str)> = headers.iter().map(|(key, value)| (*key, value.as_str())).collect();
        http::send(self.node.url(), "PUT", &format!("/hosted/{path}"), &headers, body).expect("an answer")
    }

    /// Files in the node's folder of a repository, below a name.
    fn files(&self, id: &str, below: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.node.data().join("hosted").join(id).join(below)];
        while let Some(next) = open.pop() {
            for path in std::fs::read_dir(&next).into_iter().flatten().flatten().map(|entry| entry.path()) {
                if path.is_dir() { open.push(path) } else { found.push(path) }
            }
        }
        found
    }

    /// Fails the test if anything that was never finished is left in a repository.
    #[track_caller]
    fn nothing_is_left(&self, id: &str) {
        for below in ["tmp", "blobs/tmp"] {
            assert_eq!(self.files(id, below), Vec::<PathBuf>::new());
        }
    }

    /// A connection on which these bytes were sent.
    fn open(&self, head: &str, body: &[u8]) -> TcpStream {
        let authority = self.node.url().trim_start_matches("http://");
        let mut stream = TcpStream::connect(authority).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
        let head = head.replace("HOST", authority);
        stream.write_all(head.as_bytes()).expect("a sent head");
        stream.write_all(body).expect("a sent body");
        stream
    }
}

fn base64(text: &str) -> String {
    let mut child = Command::new("base64")
        .arg("-w0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("base64 is there");
    child.stdin.take().expect("its input").write_all(text.as_bytes()).expect("a written text");
    String::from_utf8(child.wait_with_output().expect("its output").stdout).expect("ASCII")
}

/// The first block of a language in the section of the document.
fn snippet(language: &str, containing: &str) -> String {
    let text = std::fs::read_to_string(places::root().join(OPERATING)).expect("the document");
    let section = text.split(&format!("\n## {SECTION}\n")).nth(1).and_then(|rest| rest.split("\n## ").next());
    let fence = format!("```{language}\n");
    let blocks = section.expect("the section").split(&fence).skip(1);
    let mut blocks = blocks.filter_map(|rest| rest.split("```").next());
    blocks.find(|block| block.contains(containing)).expect("a block").to_owned()
}

/// A list of versions of `com.example:ARTIFACT`.
fn list(artifact: &str, versions: &[String]) -> String {
    let versions: String = versions.iter().map(|version| format!("<version>{version}</version>")).collect();
    format!(
        "<metadata><groupId>com.example</groupId><artifactId>{artifact}</artifactId><versioning><versions>{versions}\
         </versions></versioning></metadata>"
    )
}

/// Writes a file of a project.
fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    std::fs::write(path, text).expect("a written file");
}
