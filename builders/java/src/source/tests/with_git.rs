//! What the tests share that compare with git itself: its program is run by tests, never by the builder.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::*;

/// Runs git with a fixed identity and date and no configuration of the machine's; gives its output.
#[track_caller]
pub(super) fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "init.defaultBranch=main", "-c", "protocol.file.allow=always"]);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").env("HOME", folder);
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "A").env(format!("GIT_{who}_EMAIL"), "a@example.org");
        command.env(format!("GIT_{who}_DATE"), "2026-01-01T00:00:00Z");
    }
    let output = command.args(arguments).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "git {arguments:?}: {}{text}", String::from_utf8_lossy(&output.stderr));
    text
}

/// A folder of repositories that stands for `https://git.example/`.
pub(super) struct World {
    pub(super) folder: tempfile::TempDir,
    pub(super) config: JavaBuilderConfig,
}

impl World {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = config(folder.path());
        Self { folder, config }
    }

    /// A repository with a work folder, in which a pom.xml of `org.acme:lib:1.0` is committed.
    pub(super) fn repository(&self, path: &str) -> PathBuf {
        let folder = self.folder.path().join(path);
        std::fs::create_dir_all(&folder).unwrap();
        git(&folder, &["init", "-q"]);
        write(&folder.join("pom.xml"), LIB.as_bytes());
        commit(&folder, "first");
        folder
    }

    pub(super) async fn resolve(
        &self,
        path: &str,
        tag: Option<&str>,
        checkout: Option<Checkout>,
    ) -> Result<Source, SourceError> {
        let request = SourceRequest {
            coordinates: vec!["org.acme:lib:1.0".parse().unwrap()],
            repository: maven_layout::scm::canonical(&format!("https://git.example/{path}")).unwrap(),
            tag: tag.map(str::to_owned),
            commit: None,
            checkout,
        };
        resolve(&self.config, &request, Arc::new(NoLog)).await
    }

    /// A git server on loopback for these repositories, which the source map leads to from now on.
    pub(super) fn serve(&mut self) -> Server {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        // Not through `git`, which would start it as a process of its own.
        let programs = git(self.folder.path(), &["--exec-path"]);
        let mut command = Command::new(Path::new(programs.trim()).join("git-daemon"));
        command.args(["--export-all", "--listen=127.0.0.1", &format!("--port={port}")]);
        command.arg(format!("--base-path={}", self.folder.path().display())).arg("--enable=upload-pack");
        command.env("GIT_CONFIG_COUNT", "2").env("GIT_CONFIG_KEY_0", "safe.directory").env("GIT_CONFIG_VALUE_0", "*");
        command.env("GIT_CONFIG_KEY_1", "uploadpack.allowAnySHA1InWant").env("GIT_CONFIG_VALUE_1", "true");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.config.source_mirrors[0].replacement = format!("git://127.0.0.1:{port}/");
        Server(child)
    }
}

/// Ends with the test.
pub(super) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It has children of its own, which end with their connections.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) const LIB: &str = "<project><modelVersion>4.0.0</modelVersion><groupId>org.acme</groupId>\
    <artifactId>lib</artifactId><version>1.0</version></project>";

pub(super) fn write(file: &Path, content: &[u8]) {
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, content).unwrap();
}

/// Commits everything; gives the commit.
pub(super) fn commit(folder: &Path, message: &str) -> String {
    git(folder, &["add", "-A"]);
    git(folder, &["commit", "-q", "--allow-empty", "-m", message]);
    git(folder, &["rev-parse", "HEAD"]).trim().to_owned()
}

/// Bytes that cannot be compressed, the same for the same seed.
pub(super) fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Unpacks a source as the sandbox does.
pub(super) fn unpacked(source: &Source) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut archive = tar::Archive::new(std::fs::File::open(&source.archive).unwrap());
    archive.set_preserve_mtime(false);
    archive.unpack(folder.path()).unwrap();
    folder
}

/// Every file and link below a folder, but for `.git` in its root: path, whether it can be executed, content.
pub(super) fn files(folder: &Path) -> std::collections::BTreeMap<String, (bool, Vec<u8>)> {
    let mut found = std::collections::BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let shown = path.strip_prefix(folder).unwrap().display().to_string();
            let meta = std::fs::symlink_metadata(&path).unwrap();
            if meta.is_symlink() {
                let target = std::fs::read_link(&path).unwrap();
                found.insert(shown, (false, target.display().to_string().into_bytes()));
            } else if meta.is_dir() {
                if shown != ".git" {
                    open.push(path);
                }
            } else {
                let executable = meta.permissions().mode() & 0o100 != 0;
                found.insert(shown, (executable, std::fs::read(&path).unwrap()));
            }
        }
    }
    found
}

pub(super) fn as_checkout(newline: build_spec::Newline, git: GitState) -> Option<Checkout> {
    Some(Checkout { newline, git })
}
