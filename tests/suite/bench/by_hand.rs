//! A container as the builder makes it, started over the engine's interface, with a plain server of files behind its
//! socket: what a replay costs when nobody checks anything.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Shutdown;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyrsia_digest::FileDigests;
use pyrsia_tests::engine;
use pyrsia_tests::sources::Repository;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Where the builder mounts its socket.
const SOCKET: &str = "/run/pyrsia.sock";

/// What the engine says of a container of the builder's, with the small files that it mounts.
pub struct Container {
    described: Value,
    /// Inside path, mode and content.
    mounted: Vec<(String, String, Vec<u8>)>,
}

impl Container {
    /// Of a container that is there; none if it has gone meanwhile.
    pub fn like(id: &str) -> Option<Self> {
        let described = engine::request("GET", &format!("/containers/{id}/json"), b"")?;
        if described.status != 200 {
            return None;
        }
        let described = described.json();
        let mut mounted = Vec::new();
        for bind in described["HostConfig"]["Binds"].as_array()? {
            let parts: Vec<&str> = bind.as_str()?.split(':').collect();
            let [host, inside, mode] = parts[..] else { return None };
            if inside != SOCKET {
                mounted.push((inside.to_owned(), mode.to_owned(), std::fs::read(host).ok()?));
            }
        }
        Some(Self { described, mounted })
    }

    /// Puts a server behind a socket, and the input of the container into a file. `data` is a folder with the blobs of the
    /// manifest somewhere below it.
    pub fn prepare(self, manifest: &Path, data: &Path, repository: &Repository) -> ByHand {
        let folder = tempfile::Builder::new().prefix("pyrsia-h-").tempdir().expect("a temporary folder");
        let files = recorded(manifest, data);
        let tool = files.iter().find(|(path, _)| path.ends_with("-bin.tar.gz")).expect("a build tool").1.clone();
        let socket = folder.path().join("s");
        serve(&socket, files);
        let mut binds = vec![format!("{}:{SOCKET}:rw", socket.display())];
        for (number, (inside, mode, content)) in self.mounted.iter().enumerate() {
            let host = folder.path().join(number.to_string());
            std::fs::write(&host, content).expect("a written file");
            binds.push(format!("{}:{inside}:{mode}", host.display()));
        }
        let config = &self.described["Config"];
        let mut command: Vec<String> = config["Cmd"]
            .as_array()
            .expect("a command")
            .iter()
            .map(|word| word.as_str().expect("a text").to_owned())
            .collect();
        let source = Command::new("git")
            .args(["archive", "--format=tar", &repository.tag])
            .current_dir(&repository.path)
            .output()
            .expect("git runs");
        assert!(source.status.success(), "{}", String::from_utf8_lossy(&source.stderr));
        let tool = std::fs::read(tool).expect("the build tool");
        let script = &mut command[2];
        let settings = settings(&assigned(script, "repository"), &assigned(script, "port"));
        assert_eq!(assigned(script, "args_bytes"), "0", "greeting-lib has no argument file");
        assert_eq!(assigned(script, "tool_bytes"), tool.len().to_string());
        for (name, size) in [("settings_bytes", settings.len()), ("source_bytes", source.stdout.len())] {
            let old = assigned(script, name);
            *script = script.replacen(&format!("{name}={old}\n"), &format!("{name}={size}\n"), 1).replacen(
                &format!("{name}='{old}'\n"),
                &format!("{name}={size}\n"),
                1,
            );
        }
        let mut host = self.described["HostConfig"].clone();
        host["Binds"] = json!(binds);
        let mut body = json!({
            "Cmd": command, "HostConfig": host, "Image": self.described["Image"], "NetworkDisabled": true,
            "OpenStdin": true, "StdinOnce": true, "AttachStdin": true, "AttachStdout": true, "AttachStderr": true,
        });
        for same in ["Hostname", "User", "Env", "WorkingDir"] {
            body[same] = config[same].clone();
        }
        let input = [settings.into_bytes(), tool, source.stdout].concat();
        ByHand { folder, body: body.to_string().into_bytes(), input: input.into() }
    }
}

/// A container that can be started.
pub struct ByHand {
    folder: TempDir,
    body: Vec<u8>,
    input: Arc<[u8]>,
}

impl ByHand {
    /// Makes, starts, feeds and removes it; the time of all that.
    pub fn run(&self) -> Duration {
        let outputs = self.folder.path().join("outputs.tar");
        let started = Instant::now();
        let made = engine::request("POST", "/containers/create", &self.body).expect("the engine answers").expect(201);
        let made = Made(made.json()["Id"].as_str().expect("an id").to_owned());
        let streams = engine::attach(&made.0);
        let target = format!("/containers/{}/start", made.0);
        engine::request("POST", &target, b"").expect("the engine answers").expect(204);
        let (mut feeding, input) = (streams.try_clone().expect("a second handle"), Arc::clone(&self.input));
        let feeder = std::thread::spawn(move || {
            feeding.write_all(&input).and_then(|()| feeding.shutdown(Shutdown::Write)).expect("the container reads")
        });
        let log = read_frames(streams, &outputs);
        feeder.join().expect("a fed container");
        drop(made);
        let took = started.elapsed();
        let archive = std::fs::read(&outputs).expect("the outputs");
        // The first file of the archive is the status of the build.
        assert_eq!(archive.get(512..514), Some(&b"0\n"[..]), "the build by hand failed:\n{log}");
        took
    }
}

/// Removed when dropped.
struct Made(String);

impl Drop for Made {
    fn drop(&mut self) {
        engine::request("DELETE", &format!("/containers/{}?force=1&v=1", self.0), b"");
    }
}

/// Writes standard output to a file and returns the end of the standard error.
fn read_frames(streams: UnixStream, outputs: &Path) -> String {
    let mut streams = BufReader::with_capacity(1 << 16, streams);
    let mut out = std::io::BufWriter::new(std::fs::File::create(outputs).expect("a file"));
    let mut log = Vec::new();
    let mut head = [0; 8];
    while streams.read_exact(&mut head).is_ok() {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let mut frame = vec![0; length as usize];
        streams.read_exact(&mut frame).expect("a whole frame");
        match head[0] {
            1 => out.write_all(&frame).expect("written outputs"),
            _ => log.extend_from_slice(&frame),
        }
    }
    out.flush().expect("written outputs");
    pyrsia_tests::process::tail(&String::from_utf8_lossy(&log), 30)
}

/// The value of an assignment at the beginning of the script.
fn assigned(script: &str, name: &str) -> String {
    let start = format!("{name}=");
    let line = script.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("the script has no {name}")).trim_matches('\'').to_owned()
}

fn settings(repository: &str, port: &str) -> String {
    format!(
        "<settings><localRepository>{repository}</localRepository><interactiveMode>false</interactiveMode><mirrors>\
         <mirror><id>central</id><mirrorOf>*</mirrorOf><url>http://127.0.0.1:{port}/</url></mirror></mirrors></settings>\n"
    )
}

/// The recorded files by their paths.
fn recorded(manifest: &Path, data: &Path) -> BTreeMap<String, PathBuf> {
    let mut blobs = BTreeMap::new();
    let mut open = vec![data.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let kind = entry.file_type().expect("a file has a type");
            if kind.is_dir() {
                open.push(entry.path());
            } else {
                blobs.insert(entry.file_name().to_string_lossy().into_owned(), entry.path());
            }
        }
    }
    let text = std::fs::read_to_string(manifest).expect("a manifest");
    let rows = text.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let found = rows.filter(|row| row.get(2).is_some_and(|status| status.starts_with("200")));
    found.map(|row| (row[1].to_owned(), blobs.get(row[4]).expect("a recorded blob").clone())).collect()
}

/// Serves these files and their checksums, which are computed before, on a socket that any account may use.
fn serve(socket: &Path, files: BTreeMap<String, PathBuf>) {
    let mut checksums = BTreeMap::new();
    for (path, file) in &files {
        let digests = FileDigests::of(&std::fs::read(file).expect("a recorded blob"));
        checksums.insert(format!("{path}.sha1"), digests.sha1.to_string());
        checksums.insert(format!("{path}.md5"), digests.md5.to_string());
    }
    let served = Arc::new((files, checksums));
    let listener = UnixListener::bind(socket).expect("a new socket");
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666)).expect("a socket for all");
    // It ends with the process.
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let served = Arc::clone(&served);
            // The forwarder cuts connections when the build ends.
            std::thread::spawn(move || drop(answer(stream, &served.0, &served.1)));
        }
    });
}

fn answer(
    mut stream: UnixStream,
    files: &BTreeMap<String, PathBuf>,
    checksums: &BTreeMap<String, String>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            if line == "\r\n" {
                break;
            }
            lines.push(line);
        }
        let request: Vec<&str> = lines.first().map(|line| line.split(' ').collect()).unwrap_or_default();
        let path = request.get(1).map_or("", |path| path.trim_start_matches('/'));
        let body = match (files.get(path), checksums.get(path)) {
            (Some(file), _) => Some(std::fs::read(file)?),
            (None, Some(text)) => Some(text.clone().into_bytes()),
            (None, None) => None,
        };
        let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
        let body = body.unwrap_or_default();
        stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes())?;
        if request.first() != Some(&"HEAD") {
            stream.write_all(&body)?;
        }
    }
}
