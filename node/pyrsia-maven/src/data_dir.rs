//! The data directory: who may use it, what lies where, the keys.
//!
//! ```text
//! lock            held by the one process that uses the directory
//! network.json    the genesis of this node's network
//! keys/           0600: authority.key consensus.key node.key publisher.key (32 bytes as hexadecimal), api.token
//! nodes/          notes about nodes of this user elsewhere (see `known_nodes`)
//! ledger.db       the truth;   index.db   derived;   served.db   counts of what was served
//! hosted/         private repositories;   config.toml   the configuration, if there is one
//! blobs/          files by digest;   images/  builder images;   rebuild/  the cache of `rebuild`
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// A data directory, not yet locked.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
}

/// Keeps others out of the directory until it is dropped.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

impl DataDir {
    /// The directory that is used when none is named: `$XDG_DATA_HOME/pyrsia-maven`, else below the home folder.
    pub fn default_path() -> anyhow::Result<PathBuf> {
        if let Some(base) = std::env::var_os("XDG_DATA_HOME").filter(|value| !value.is_empty()) {
            return Ok(PathBuf::from(base).join("pyrsia-maven"));
        }
        let home = std::env::home_dir().context("there is no home folder; name a folder with --data-dir")?;
        Ok(home.join(".local/share/pyrsia-maven"))
    }

    /// Takes a path, made absolute; nothing is created yet.
    pub fn new(root: &Path) -> anyhow::Result<Self> {
        let root = std::path::absolute(root).with_context(|| format!("{} is no path", root.display()))?;
        Ok(Self { root })
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The keys' folder.
    pub fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    /// Creates the directory (0700) and its key folder.
    pub fn create(&self) -> anyhow::Result<()> {
        for folder in [&self.root, &self.keys()] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .with_context(|| format!("cannot create the data directory {}", folder.display()))?;
        }
        Ok(())
    }

    /// Takes the lock, or says who may hold it.
    pub fn lock(&self) -> anyhow::Result<DataDirLock> {
        self.try_lock()?.with_context(|| {
            format!(
                "the data directory {} is in use by another process; stop it, or name another directory with --data-dir",
                self.root.display()
            )
        })
    }

    /// Takes the lock; none if another process holds it.
    pub fn try_lock(&self) -> anyhow::Result<Option<DataDirLock>> {
        self.create()?;
        let path = self.root.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(DataDirLock { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("cannot lock {}", path.display())),
        }
    }

    /// Reads a 32-byte secret, or makes it from the operating system's randomness.
    pub fn secret(&self, name: &str) -> anyhow::Result<[u8; 32]> {
        let path = self.keys().join(name);
        if let Some(text) = read_secret(&path)? {
            return parse_secret(&text).with_context(|| format!("{} is no key: 64 hexadecimal digits", path.display()));
        }
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes).context("the operating system gave no randomness")?;
        let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        write_secret(&path, &text)?;
        Ok(bytes)
    }

    /// Reads a secret that must be there already.
    pub fn existing_secret(&self, name: &str) -> anyhow::Result<Option<[u8; 32]>> {
        read_seed(&self.keys().join(name))
    }

    /// The token that calls which change state must carry; made on first use.
    pub fn api_token(&self) -> anyhow::Result<String> {
        Ok(self.secret("api.token")?.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The token, if this directory has one.
    pub fn existing_api_token(&self) -> anyhow::Result<Option<String>> {
        Ok(self.existing_secret("api.token")?.map(|bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }
}

/// Reads a secret; none without the file. A file that others may read is an error.
pub fn read_secret(path: &Path) -> anyhow::Result<Option<String>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("cannot open {}", path.display())),
    };
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!(
            "{} can be read by others (mode {:o}); set it to 600 and consider the key known",
            path.display(),
            mode & 0o777
        );
    }
    let mut text = String::new();
    (&mut file).take(256).read_to_string(&mut text).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Some(text))
}

/// Reads the 32 bytes of a secret key; none without the file.
pub fn read_seed(path: &Path) -> anyhow::Result<Option<[u8; 32]>> {
    match read_secret(path)? {
        Some(text) => Ok(Some(parse_secret(&text).with_context(|| format!("{} is no key", path.display()))?)),
        None => Ok(None),
    }
}

fn parse_secret(text: &str) -> anyhow::Result<[u8; 32]> {
    let digest: pyrsia_digest::Sha256 = text.trim_end().parse()?;
    Ok(*digest.as_bytes())
}

/// Writes a file that only its owner may read: whole, or not at all.
pub fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&temporary)
        .with_context(|| format!("cannot write {}", temporary.display()))?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&temporary, path).with_context(|| format!("cannot write {}", path.display()))?;
    sync_folder(path)
}

/// Makes a rename survive a power cut.
pub fn sync_folder(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all().with_context(|| format!("cannot write {}", folder.display()))
}

/// Writes a file that others may read: whole, or not at all.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file =
        tempfile::NamedTempFile::new_in(folder).with_context(|| format!("cannot write into {}", folder.display()))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
    file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    sync_folder(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path()).unwrap();
        let lock = data.lock().unwrap();
        let refused = data.lock().unwrap_err().to_string();
        assert!(refused.contains("in use"), "{refused}");
        drop(lock);
        data.lock().unwrap();
    }

    #[test]
    fn a_secret_stays_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path()).unwrap();
        data.create().unwrap();
        let first = data.secret("authority.key").unwrap();
        assert_eq!(data.secret("authority.key").unwrap(), first);
        let path = data.keys().join("authority.key");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(data.secret("authority.key").unwrap_err().to_string().contains("read by others"));
        assert!(data.existing_secret("other.key").unwrap().is_none());
    }

    #[test]
    fn a_damaged_key_is_an_error_and_not_a_new_key() {
        let folder = tempfile::tempdir().unwrap();
        let data = DataDir::new(folder.path()).unwrap();
        data.create().unwrap();
        write_secret(&data.keys().join("authority.key"), "short").unwrap();
        assert!(data.secret("authority.key").is_err());
    }
}
