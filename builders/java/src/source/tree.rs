//! The content of a commit, and its canonical tar.
//!
//! The tar: entries sorted by path bytes, a directory before what is in it; modes 755 for directories and executable
//! files, 644 for others; owner and group the sandbox profile's; every time the commit's; GNU headers; ends with
//! zeroes up to a multiple of 10,240 bytes, as tar readers like to be fed.

use std::ffi::OsStr;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use build_spec::{SandboxProfile, SourceError};
use git2::{ObjectType, Oid, Repository, Tree};
use pyrsia_digest::Sha256;
use sha2::Digest as _;
use tempfile::NamedTempFile;

use crate::source::{Budget, tree_error};

const RECORD: u64 = 10_240;
/// Folders in folders; git has no limit, tars and file systems do.
const MAX_DEPTH: usize = 200;
/// What file systems take as one name and as one path, in bytes.
const MAX_NAME: usize = 255;
const MAX_PATH: usize = 4096;
/// Build files and specifications beyond this are not read.
const MAX_CONTENT: u64 = 8 * 1024 * 1024;
/// git gives a file as one piece of memory.
const MAX_FILE: u64 = 256 * 1024 * 1024;
/// The list of one folder.
const MAX_FOLDER: u64 = 64 * 1024 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File { executable: bool },
    Link,
}

/// One entry of the tree.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Path from the root, without a leading slash.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) id: Oid,
}

/// Lists the whole tree in the order of the tar.
pub(crate) fn entries(
    repository: &Repository,
    root: &Tree<'_>,
    commit: &str,
    budget: &Budget,
) -> Result<Vec<Entry>, SourceError> {
    let mut entries = Vec::new();
    list(repository, root, &[], 0, commit, budget, &mut entries)?;
    // A directory sorts before its content, since its path is a prefix; `a.txt` sorts before `a/b`.
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(entries)
}

fn list(
    repository: &Repository,
    tree: &Tree<'_>,
    prefix: &[u8],
    depth: usize,
    commit: &str,
    budget: &Budget,
    entries: &mut Vec<Entry>,
) -> Result<(), SourceError> {
    if depth > MAX_DEPTH {
        return Err(tree_error(commit, "its folders are nested too deeply"));
    }
    for entry in tree {
        let name = entry.name_bytes();
        let mut path = prefix.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(name);
        if name.len() > MAX_NAME || path.len() > MAX_PATH {
            let shown = String::from_utf8_lossy(&path[..path.len().min(MAX_NAME)]).into_owned();
            return Err(tree_error(commit, &format!("the path that begins with {shown:?} is too long")));
        }
        let shown = String::from_utf8_lossy(&path).into_owned();
        if name.is_empty()
            || name == b"."
            || name == b".."
            || name.contains(&b'/')
            || name.eq_ignore_ascii_case(b".git")
        {
            return Err(tree_error(commit, &format!("{shown:?} is no name for a file")));
        }
        if entries.len() as u64 >= budget.tree_files {
            return Err(tree_error(commit, &format!("it has more than {} files", budget.tree_files)));
        }
        if let Some(reason) = budget.exhausted() {
            return Err(SourceError::Local(reason.to_owned()));
        }
        let kind = match (entry.kind(), entry.filemode_raw()) {
            (Some(ObjectType::Tree), _) => Kind::Directory,
            (Some(ObjectType::Blob), 0o120_000) => Kind::Link,
            (Some(ObjectType::Blob), mode) => Kind::File { executable: mode & 0o111 != 0 },
            (Some(ObjectType::Commit), _) => {
                return Err(tree_error(commit, &format!("{shown} is a submodule, which this version does not take")));
            }
            _ => return Err(tree_error(commit, &format!("{shown} is neither a file nor a folder"))),
        };
        entries.push(Entry { path: path.clone(), kind, id: entry.id() });
        if kind == Kind::Directory {
            let size = size(repository, entry.id()).map_err(|error| tree_error(commit, error.message()))?;
            if size > MAX_FOLDER {
                return Err(tree_error(commit, &format!("the list of the folder {shown} is too large")));
            }
            let child = repository.find_tree(entry.id()).map_err(|error| tree_error(commit, error.message()))?;
            list(repository, &child, &path, depth + 1, commit, budget, entries)?;
        }
    }
    Ok(())
}

/// The size that an object says it has, read without inflating it: a few bytes can inflate to gigabytes.
fn size(repository: &Repository, id: Oid) -> Result<u64, git2::Error> {
    Ok(repository.odb()?.read_header(id)?.0 as u64)
}

/// The entry at a path.
pub(crate) fn find<'a>(entries: &'a [Entry], path: &str) -> Option<&'a Entry> {
    let index = entries.binary_search_by(|entry| entry.path.as_slice().cmp(path.as_bytes())).ok()?;
    entries.get(index)
}

/// The content of a small file.
pub(crate) fn content(repository: &Repository, entry: &Entry, commit: &str) -> Result<Vec<u8>, SourceError> {
    let shown = || String::from_utf8_lossy(&entry.path).into_owned();
    let unusable = |problem: &str| SourceError::BuildFile {
        commit: commit.to_owned(),
        file: shown(),
        problem: problem.to_owned(),
    };
    if !matches!(entry.kind, Kind::File { .. }) {
        return Err(unusable("it is not a regular file"));
    }
    if size(repository, entry.id).map_err(|error| unusable(error.message()))? > MAX_CONTENT {
        return Err(unusable("it is too large"));
    }
    let blob = repository.find_blob(entry.id).map_err(|error| unusable(error.message()))?;
    Ok(blob.content().to_vec())
}

/// A tar on disk, kept.
pub(crate) struct Frozen {
    pub(crate) path: PathBuf,
    pub(crate) digest: Sha256,
}

/// Writes the canonical tar; on any error nothing is left on disk.
pub(crate) fn write_tar(
    entries: &[Entry],
    repository: &Repository,
    commit_time: i64,
    commit: &str,
    mut file: NamedTempFile,
    budget: &Budget,
) -> Result<Frozen, SourceError> {
    let local = |error: io::Error| SourceError::Local(format!("the source cannot be written: {error}"));
    let mtime = u64::try_from(commit_time).map_err(|_| tree_error(commit, "its commit is older than 1970"))?;
    let digest = write_entries(entries, repository, mtime, commit, file.as_file_mut(), budget)?;
    let path = file.into_temp_path().keep().map_err(|error| local(error.error))?;
    Ok(Frozen { path, digest })
}

fn write_entries(
    entries: &[Entry],
    repository: &Repository,
    mtime: u64,
    commit: &str,
    file: &mut std::fs::File,
    budget: &Budget,
) -> Result<Sha256, SourceError> {
    let local = |error: io::Error| SourceError::Local(format!("the source cannot be written: {error}"));
    let profile = SandboxProfile::v1();
    let mut out = Hashed { inner: BufWriter::new(file), hasher: sha2::Sha256::new(), written: 0 };
    let mut tar = tar::Builder::new(&mut out);
    tar.mode(tar::HeaderMode::Deterministic);
    let mut total = 0u64;
    for entry in entries {
        if let Some(reason) = budget.exhausted() {
            return Err(SourceError::Local(reason.to_owned()));
        }
        let path = Path::new(OsStr::from_bytes(&entry.path));
        let mut header = tar::Header::new_gnu();
        header.set_mtime(mtime);
        header.set_uid(profile.uid.into());
        header.set_gid(profile.uid.into());
        header.set_mode(if matches!(entry.kind, Kind::File { executable: false }) { 0o644 } else { 0o755 });
        header.set_size(0);
        match entry.kind {
            Kind::Directory => {
                header.set_entry_type(tar::EntryType::Directory);
                tar.append_data(&mut header, path, io::empty()).map_err(local)?;
            }
            Kind::File { .. } => {
                let size = size(repository, entry.id).map_err(|error| tree_error(commit, error.message()))?;
                if size > MAX_FILE {
                    let shown = String::from_utf8_lossy(&entry.path);
                    return Err(tree_error(commit, &format!("{shown} is larger than {MAX_FILE} bytes")));
                }
                total = total.saturating_add(size);
                if total > budget.tree_bytes {
                    return Err(tree_error(commit, &format!("it is larger than {} bytes", budget.tree_bytes)));
                }
                let blob = repository.find_blob(entry.id).map_err(|error| tree_error(commit, error.message()))?;
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(blob.size() as u64);
                tar.append_data(&mut header, path, blob.content()).map_err(local)?;
            }
            Kind::Link => {
                let size = size(repository, entry.id).map_err(|error| tree_error(commit, error.message()))?;
                if size > MAX_PATH as u64 {
                    let shown = String::from_utf8_lossy(&entry.path);
                    return Err(tree_error(commit, &format!("the target of the link {shown} is too long")));
                }
                let blob = repository.find_blob(entry.id).map_err(|error| tree_error(commit, error.message()))?;
                let target = blob.content();
                if !stays_inside(&entry.path, target) {
                    let shown = String::from_utf8_lossy(&entry.path);
                    return Err(tree_error(commit, &format!("the link {shown} leads out of it")));
                }
                header.set_entry_type(tar::EntryType::Symlink);
                tar.append_link(&mut header, path, OsStr::from_bytes(target)).map_err(local)?;
            }
        }
    }
    tar.finish().map_err(local)?;
    drop(tar);
    let rest = out.written.next_multiple_of(RECORD) - out.written;
    io::copy(&mut io::Read::take(io::repeat(0), rest), &mut out).map_err(local)?;
    out.flush().map_err(local)?;
    Ok(Sha256::from_bytes(out.hasher.finalize().into()))
}

/// Whether a link at `path` with this target stays below the root, as text (no link on the way is followed: each of
/// them is checked by itself).
fn stays_inside(path: &[u8], target: &[u8]) -> bool {
    if target.is_empty() || target.starts_with(b"/") || target.contains(&0) {
        return false;
    }
    let mut depth = path.iter().filter(|byte| **byte == b'/').count() as i64;
    target.split(|byte| *byte == b'/').all(|part| {
        match part {
            b"" | b"." => {}
            b".." => depth -= 1,
            _ => depth += 1,
        }
        depth >= 0
    })
}

struct Hashed<W> {
    inner: W,
    hasher: sha2::Sha256,
    written: u64,
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.written += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::stays_inside;

    #[test]
    fn links_that_leave_the_tree_are_seen() {
        for (path, target, inside) in [
            ("a", "b", true),
            ("a/b", "../c", true),
            ("a/b", "../../c", false),
            ("a", "..", false),
            ("a", "/etc/passwd", false),
            ("a/b/c", "../../x/../../y", false),
            ("a", "x/../y", true),
            ("a", "", false),
        ] {
            assert_eq!(stays_inside(path.as_bytes(), target.as_bytes()), inside, "{path} -> {target}");
        }
    }
}
