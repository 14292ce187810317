//! The entries on disk.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use maven_layout::{RepoPath, metadata};
use tempfile::NamedTempFile;

use crate::entry::Entry;
use crate::error::{HostedError, Refused};

/// Largest entry of a file, in bytes: digests, a time and a name.
const ENTRY_BYTES: u64 = 64 * 1024;
/// Folders that are remembered as durable; beyond it the memory begins anew.
const REMEMBERED: usize = 10_000;

/// A tree of small files. Its caller makes sure that one thread at a time changes it.
#[derive(Debug)]
pub(crate) struct Tree {
    entries: PathBuf,
    tmp: PathBuf,
    /// Folders whose names are on the disk, as far as this process knows.
    durable: Mutex<HashSet<PathBuf>>,
}

/// A document and when it was changed last, in seconds since 1970.
#[derive(Debug)]
pub(crate) struct Document {
    pub(crate) bytes: Vec<u8>,
    pub(crate) modified: Option<u64>,
}

impl Tree {
    /// Opens the tree in a folder, which is made if needed, and removes entries that were never finished.
    pub(crate) fn open(root: &Path) -> Result<Self, HostedError> {
        let tree = Self { entries: root.join("entries"), tmp: root.join("tmp"), durable: Mutex::default() };
        for folder in [&tree.entries, &tree.tmp] {
            fs::create_dir_all(folder).map_err(HostedError::io("create", folder))?;
        }
        for left in fs::read_dir(&tree.tmp).map_err(HostedError::io("list", &tree.tmp))? {
            let left = left.map_err(HostedError::io("list", &tree.tmp))?.path();
            fs::remove_file(&left).map_err(HostedError::io("remove", &left))?;
        }
        sync(root)?;
        Ok(tree)
    }

    /// The tree in a folder, left as it is; none if there is none.
    pub(crate) fn existing(root: &Path) -> Option<Self> {
        let tree = Self { entries: root.join("entries"), tmp: root.join("tmp"), durable: Mutex::default() };
        tree.entries.is_dir().then_some(tree)
    }

    /// The entry of a file.
    pub(crate) fn entry(&self, path: &RepoPath) -> Result<Option<Entry>, HostedError> {
        let Some(found) = self.read(path, ENTRY_BYTES)? else { return Ok(None) };
        let damaged = |error: serde_json::Error| HostedError::Entry { path: path.clone(), detail: error.to_string() };
        serde_json::from_slice(&found.bytes).map(Some).map_err(damaged)
    }

    /// A document, which may be damaged.
    pub(crate) fn document(&self, path: &RepoPath) -> Result<Option<Document>, HostedError> {
        self.read(path, metadata::MAX_BYTES)
    }

    fn read(&self, path: &RepoPath, limit: u64) -> Result<Option<Document>, HostedError> {
        let place = self.place(path);
        let read = || -> io::Result<Document> {
            let file = File::open(&place)?;
            let modified = file.metadata()?.modified()?;
            let modified = modified.duration_since(UNIX_EPOCH).ok().map(|since| since.as_secs());
            let mut bytes = Vec::new();
            // One more than is allowed: what is longer is damaged, and nobody can read it.
            file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
            Ok(Document { bytes, modified })
        };
        match read() {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_absence(&error) => Ok(None),
            Err(error) => Err(HostedError::io("read", &place)(error)),
        }
    }

    /// Gives a path its entry, on the disk when this returns. There is none yet.
    pub(crate) fn create(&self, path: &RepoPath, entry: &Entry) -> Result<(), HostedError> {
        self.put(path, &text_of(path, entry)?, false)
    }

    /// Gives a path this document instead of the one that it has, on the disk when this returns.
    pub(crate) fn replace(&self, path: &RepoPath, document: &[u8]) -> Result<(), HostedError> {
        self.put(path, document, true)
    }

    /// Gives a path this entry instead of the one that it has, on the disk when this returns.
    pub(crate) fn change(&self, path: &RepoPath, entry: &Entry) -> Result<(), HostedError> {
        self.put(path, &text_of(path, entry)?, true)
    }

    /// Makes sure that an entry can lie there: what is refused for its place is refused before its bytes are stored.
    ///
    /// # Errors
    /// [`Refused::Occupied`], and failures of the disk.
    pub(crate) fn make_way(&self, path: &RepoPath) -> Result<(), HostedError> {
        self.make_folder(path)?;
        if self.place(path).is_dir() { Err(occupied(path)) } else { Ok(()) }
    }

    fn put(&self, path: &RepoPath, bytes: &[u8], replace: bool) -> Result<(), HostedError> {
        let place = self.place(path);
        let folder = self.make_folder(path)?;
        let failed = |error| HostedError::io("write", &place)(error);
        let mut file = NamedTempFile::new_in(&self.tmp).map_err(HostedError::io("write into", &self.tmp))?;
        file.write_all(bytes).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        let persisted = if replace { file.persist(&place) } else { file.persist_noclobber(&place) };
        persisted.map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists | io::ErrorKind::IsADirectory => occupied(path),
            _ => failed(error.error),
        })?;
        sync(&folder)
    }

    /// Takes the entry of a path away, on the disk when this returns, and the folders that are empty then.
    pub(crate) fn remove(&self, path: &RepoPath) -> Result<(), HostedError> {
        let place = self.place(path);
        fs::remove_file(&place).map_err(HostedError::io("remove", &place))?;
        sync(place.parent().unwrap_or(&self.entries))?;
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        let mut folder = place.as_path();
        while let Some(outer) = folder.parent().filter(|outer| *outer != self.entries) {
            // One that is not empty stays, and so do those around it. That it is gone need not survive a power cut.
            if fs::remove_dir(outer).is_err() {
                break;
            }
            durable.remove(outer);
            folder = outer;
        }
        Ok(())
    }

    /// The paths directly in a folder that have an entry, in order.
    pub(crate) fn directly_in(&self, folder: &RepoPath) -> Result<Vec<RepoPath>, HostedError> {
        let places = list(&self.place(folder))?;
        let files = places.iter().filter(|place| !place.is_dir());
        let mut found: Vec<RepoPath> = files.filter_map(|place| self.path_of(place)).collect();
        found.sort();
        Ok(found)
    }

    /// The names of the folders directly in a folder, in order.
    pub(crate) fn folders_in(&self, folder: &str) -> Result<Vec<String>, HostedError> {
        let places = list(&self.entries.join(folder))?;
        let folders = places.iter().filter(|place| place.is_dir());
        let mut found: Vec<String> =
            folders.filter_map(|place| Some(place.file_name()?.to_str()?.to_owned())).collect();
        found.sort();
        Ok(found)
    }

    /// Makes the folder of a path, durably.
    fn make_folder(&self, path: &RepoPath) -> Result<PathBuf, HostedError> {
        let mut durable = self.durable.lock().unwrap_or_else(PoisonError::into_inner);
        let mut folder = self.entries.clone();
        let Some(parent) = path.parent() else { return Ok(folder) };
        for name in parent.segments() {
            let inner = folder.join(name);
            if !durable.contains(&inner) {
                match fs::create_dir(&inner) {
                    Ok(()) => {}
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists && inner.is_dir() => {}
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(occupied(path)),
                    Err(error) => return Err(HostedError::io("create", &inner)(error)),
                }
                // One that is there may be left by a process that was killed before this.
                sync(&folder)?;
                if durable.len() >= REMEMBERED {
                    durable.clear();
                }
                durable.insert(inner.clone());
            }
            folder = inner;
        }
        Ok(folder)
    }

    /// Every path that has an entry.
    pub(crate) fn walk(&self, mut found: impl FnMut(RepoPath)) -> Result<(), HostedError> {
        let mut open = vec![self.entries.clone()];
        while let Some(folder) = open.pop() {
            let read = match fs::read_dir(&folder) {
                Ok(read) => read,
                // Emptied and removed since it was seen.
                Err(error) if error.kind() == io::ErrorKind::NotFound && folder != self.entries => continue,
                Err(error) => return Err(HostedError::io("list", &folder)(error)),
            };
            for next in read {
                let next = next.map_err(HostedError::io("list", &folder))?.path();
                if next.is_dir() {
                    open.push(next);
                } else if let Some(path) = self.path_of(&next) {
                    found(path);
                }
            }
        }
        Ok(())
    }

    /// The path whose entry lies there; what no path leads to is passed over.
    fn path_of(&self, place: &Path) -> Option<RepoPath> {
        place.strip_prefix(&self.entries).ok()?.to_str()?.parse().ok()
    }

    fn place(&self, path: &RepoPath) -> PathBuf {
        self.entries.join(path.as_str())
    }
}

fn text_of(path: &RepoPath, entry: &Entry) -> Result<Vec<u8>, HostedError> {
    serde_json::to_vec(entry).map_err(|error| HostedError::Entry { path: path.clone(), detail: error.to_string() })
}

fn occupied(path: &RepoPath) -> HostedError {
    Refused::Occupied { path: path.clone() }.into()
}

/// What lies directly in a folder, in any order; nothing where there is no folder.
fn list(folder: &Path) -> Result<Vec<PathBuf>, HostedError> {
    let failed = || HostedError::io("list", folder);
    let read = match fs::read_dir(folder) {
        Ok(read) => read,
        Err(error) if is_absence(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed()(error)),
    };
    read.map(|next| next.map(|next| next.path()).map_err(failed())).collect()
}

/// Whether nothing can lie there: no such name, or one that cannot be.
fn is_absence(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidFilename, IsADirectory, NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory | IsADirectory | InvalidFilename)
}

/// Makes names in a folder survive a power cut.
pub(crate) fn sync(folder: &Path) -> Result<(), HostedError> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(HostedError::io("write", folder))
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
