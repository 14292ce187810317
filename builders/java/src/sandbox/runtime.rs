//! The runtime folder: sockets and account files of running builds, and who owns which container.
//!
//! Each process has a folder with a locked file in it, and puts the folder's name on its containers. A lock that can
//! be taken means that its process is gone: then its containers and its folder are removed.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use build_spec::SandboxProfile;
use pyrsia_digest::Sha256;
use tempfile::TempDir;

use crate::engine::{Engine, EngineError};
use crate::sandbox::locks;

/// A socket's path must fit into 108 bytes with its zero; what is below the runtime folder takes about 30.
const MAX_SOCKET_PATH: usize = 107;
const OWNER_PREFIX: &str = "o-";
const LOCK: &str = "lock";
const SWEEP_LOCK: &str = "sweep.lock";
/// How often a folder is made again that another process, as the last one in it, has just removed.
const ATTEMPTS: u32 = 10;

/// The runtime folder of one process.
#[derive(Debug)]
pub(crate) struct Runtime {
    // The folder goes before the lock: nobody may take it for abandoned while it is being removed.
    dir: TempDir,
    owner: String,
    _lock: File,
    // After it the folder of all of them, if this was the last one.
    _root: Root,
}

/// The folder in which processes have theirs. The last one that leaves it takes it away, if it lies among the system's
/// temporary files: another one may have been prepared by somebody.
#[derive(Debug)]
struct Root(PathBuf);

impl Drop for Root {
    fn drop(&mut self) {
        if !std::env::temp_dir().canonicalize().is_ok_and(|temporary| self.0.starts_with(temporary)) {
            return;
        }
        // Whoever enters meanwhile waits for the lock, finds the folder gone and makes it again.
        let Ok(_sweep) = sweep_lock(&self.0) else { return };
        let Ok(entries) = std::fs::read_dir(&self.0) else { return };
        let others = |entry: io::Result<std::fs::DirEntry>| entry.map_or(true, |entry| entry.file_name() != SWEEP_LOCK);
        if !entries.into_iter().any(others) {
            let _ = std::fs::remove_file(self.0.join(SWEEP_LOCK));
            let _ = std::fs::remove_dir(&self.0);
        }
    }
}

impl Runtime {
    /// Makes this process's folder.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        let mut attempt = 1;
        loop {
            match Self::try_open(root) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && attempt < ATTEMPTS => attempt += 1,
                other => return other,
            }
        }
    }

    fn try_open(root: &Path) -> io::Result<Self> {
        locks::folder(root, 0o755)?;
        let root = root.canonicalize()?;
        let _sweep = sweep_lock(&root)?;
        let dir = tempfile::Builder::new().prefix(OWNER_PREFIX).rand_bytes(6).tempdir_in(&root)?;
        let lock = OpenOptions::new().write(true).create_new(true).open(dir.path().join(LOCK))?;
        lock.lock()?;
        let owner = format!("{}{}", owner_prefix(&root), name_of(dir.path()));
        Ok(Self { dir, owner, _lock: lock, _root: Root(root) })
    }

    /// What containers of this process are labelled with.
    pub(crate) fn owner(&self) -> &str {
        &self.owner
    }

    /// Removes containers and folders of processes that are gone. Returns how many containers.
    pub(crate) async fn sweep(&self, engine: &Engine) -> Result<usize, EngineError> {
        let Some(root) = self.dir.path().parent().map(Path::to_owned) else { return Ok(0) };
        let abandoned = {
            // Held only while locks are looked at: an owner that is not locked yet must not be seen.
            let Ok(_sweep) = sweep_lock(&root) else { return Ok(0) };
            abandoned(&root).unwrap_or_default()
        };
        let mut removed = 0;
        for (id, owner) in engine.containers().await? {
            let Some(folder) = owner.strip_prefix(&owner_prefix(&root)) else { continue };
            if abandoned.iter().any(|dir| name_of(dir) == folder) || !root.join(folder).exists() {
                engine.remove_container(&id).await?;
                removed += 1;
            }
        }
        for dir in abandoned {
            if let Err(error) = std::fs::remove_dir_all(&dir) {
                tracing::warn!(dir = %dir.display(), error = %error, "an abandoned runtime folder was not removed");
            }
        }
        Ok(removed)
    }

    /// Socket and account files for one run.
    pub(crate) fn run_files(&self, profile: &SandboxProfile) -> io::Result<RunFiles> {
        let dir = tempfile::Builder::new().prefix("b-").rand_bytes(6).tempdir_in(self.dir.path())?;
        let files = RunFiles { dir, owner: self.owner.clone() };
        if files.socket().as_os_str().len() > MAX_SOCKET_PATH {
            let problem = format!("{} is too long for a socket", files.socket().display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let SandboxProfile { uid, account, home, .. } = profile;
        let passwd = format!("root:x:0:0:root:/root:/bin/sh\n{account}:x:{uid}:{uid}:{account}:{home}:/bin/sh\n");
        let group = format!("root:x:0:\n{account}:x:{uid}:\n");
        for (file, text) in [(files.passwd(), passwd), (files.group(), group)] {
            let mut file = File::create(file)?;
            file.set_permissions(std::fs::Permissions::from_mode(0o644))?;
            file.write_all(text.as_bytes())?;
        }
        Ok(files)
    }
}

/// Files of one run; removed when dropped.
#[derive(Debug)]
pub(crate) struct RunFiles {
    dir: TempDir,
    owner: String,
}

impl RunFiles {
    pub(crate) fn socket(&self) -> PathBuf {
        self.dir.path().join("s")
    }

    pub(crate) fn passwd(&self) -> PathBuf {
        self.dir.path().join("passwd")
    }

    pub(crate) fn group(&self) -> PathBuf {
        self.dir.path().join("group")
    }

    /// A name for the container that no other run has.
    pub(crate) fn name(&self) -> String {
        format!("pyrsia-{}-{}", self.owner, name_of(self.dir.path()))
    }
}

/// Waits for the lock. "Not found" if the folder was taken away meanwhile.
fn sweep_lock(root: &Path) -> io::Result<File> {
    let path = root.join(SWEEP_LOCK);
    let lock = locks::file(&path, 0o644)?;
    lock.lock()?;
    if std::fs::symlink_metadata(&path)?.ino() != lock.metadata()?.ino() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(lock)
}

/// Folders whose lock nobody holds.
fn abandoned(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root)? {
        let dir = entry?.path();
        if name_of(&dir).starts_with(OWNER_PREFIX) && dir.is_dir() {
            let free = match locks::existing(&dir.join(LOCK)) {
                Ok(lock) => lock.try_lock().is_ok(),
                Err(error) => error.kind() == io::ErrorKind::NotFound,
            };
            if free {
                found.push(dir);
            }
        }
    }
    Ok(found)
}

/// Tells the owners of this runtime folder from those of another one.
fn owner_prefix(root: &Path) -> String {
    format!("{}-", &Sha256::of(root.as_os_str().as_bytes()).to_string()[..12])
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_processes_that_are_gone_are_abandoned() {
        let root = tempfile::tempdir().unwrap();
        let living = Runtime::open(root.path()).unwrap();
        let gone = root.path().join("o-gone");
        std::fs::create_dir(&gone).unwrap();
        std::fs::write(gone.join(LOCK), "").unwrap();
        let root_path = root.path().canonicalize().unwrap();
        assert_eq!(abandoned(&root_path).unwrap(), [root_path.join("o-gone")]);
        assert!(living.owner().starts_with(&owner_prefix(&root_path)));
    }

    #[test]
    fn the_last_one_takes_the_folder_away_and_whoever_comes_makes_it_again() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("runtime");
        let (one, other) = (Runtime::open(&root).unwrap(), Runtime::open(&root).unwrap());
        drop(one);
        assert!(root.is_dir());
        drop(other);
        assert!(!root.exists());
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..200 {
                        let runtime = Runtime::open(&root).unwrap();
                        assert!(runtime.dir.path().join(LOCK).exists());
                    }
                });
            }
        });
        assert!(!root.exists());
    }

    #[test]
    fn account_files_name_the_profile() {
        let root = tempfile::tempdir().unwrap();
        let runtime = Runtime::open(root.path()).unwrap();
        let files = runtime.run_files(&SandboxProfile::v1()).unwrap();
        let passwd = std::fs::read_to_string(files.passwd()).unwrap();
        assert!(passwd.contains("builder:x:1000:1000:"));
        assert!(files.socket().as_os_str().len() <= MAX_SOCKET_PATH);
        let dir = files.dir.path().to_owned();
        drop(files);
        assert!(!dir.exists());
    }

    #[test]
    fn a_runtime_folder_that_is_too_long_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let long = root.path().join("x".repeat(90));
        let runtime = Runtime::open(&long).unwrap();
        assert!(runtime.run_files(&SandboxProfile::v1()).is_err());
    }
}
