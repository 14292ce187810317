//! The canonical tar of a source.
//!
//! Entries are sorted by path bytes, a directory before what is in it; modes 755 for directories and executable files, 644
//! for others; owner and group the sandbox profile's; every time the commit's; GNU headers; it ends with zeroes up to a
//! multiple of 10,240 bytes, as tar readers like to be fed.

use std::ffi::OsStr;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use build_spec::{SandboxProfile, SourceError};
use pyrsia_digest::Sha256;
use sha2::Digest as _;
use tempfile::{NamedTempFile, TempPath};

use crate::source::tree::{Entry, Kind, MAX_FILE, MAX_PATH, Module, size};
use crate::source::{Budget, tree_error};

const RECORD: u64 = 10_240;

/// A file or folder that is in no commit.
pub(crate) struct Made {
    pub(crate) path: Vec<u8>,
    pub(crate) content: MadeContent,
}

pub(crate) enum MadeContent {
    Directory,
    Bytes(Vec<u8>),
    /// A file on disk.
    File(PathBuf),
}

/// A tar on disk, which goes with this unless somebody keeps it.
pub(crate) struct Frozen {
    pub(crate) path: TempPath,
    pub(crate) digest: Sha256,
}

/// What goes into the tar.
pub(crate) struct Content<'a> {
    pub(crate) modules: &'a [Module],
    /// In order.
    pub(crate) entries: &'a [Entry],
    /// In any order; none has the path of an entry.
    pub(crate) made: &'a [Made],
}

/// Writes the canonical tar; on any error nothing is left on disk.
pub(crate) fn write_tar(
    content: &Content<'_>,
    commit_time: i64,
    commit: &str,
    mut file: NamedTempFile,
    budget: &Budget,
) -> Result<Frozen, SourceError> {
    let mtime = u64::try_from(commit_time).map_err(|_| tree_error(commit, "its commit is older than 1970"))?;
    let digest = write_entries(content, mtime, commit, file.as_file_mut(), budget)?;
    Ok(Frozen { path: file.into_temp_path(), digest })
}

enum Item<'a> {
    Entry(&'a Entry),
    Made(&'a Made),
}

impl Item<'_> {
    fn path(&self) -> &[u8] {
        match self {
            Self::Entry(entry) => &entry.path,
            Self::Made(made) => &made.path,
        }
    }

    fn mode(&self) -> u32 {
        let plain = match self {
            Self::Entry(entry) => matches!(entry.kind, Kind::File { executable: false }),
            Self::Made(made) => !matches!(made.content, MadeContent::Directory),
        };
        if plain { 0o644 } else { 0o755 }
    }
}

fn write_entries(
    content: &Content<'_>,
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
    let mut grow = |by: u64| {
        total = total.saturating_add(by);
        if total > budget.tree_bytes {
            return Err(tree_error(commit, &format!("it is larger than {} bytes", budget.tree_bytes)));
        }
        Ok(())
    };
    let mut items: Vec<Item<'_>> = content.entries.iter().map(Item::Entry).collect();
    items.extend(content.made.iter().map(Item::Made));
    items.sort_by(|a, b| a.path().cmp(b.path()));
    for item in items {
        if let Some(reason) = budget.exhausted() {
            return Err(SourceError::Local(reason.to_owned()));
        }
        let path = Path::new(OsStr::from_bytes(item.path()));
        let mut header = tar::Header::new_gnu();
        header.set_mtime(mtime);
        header.set_uid(profile.uid.into());
        header.set_gid(profile.uid.into());
        header.set_mode(item.mode());
        header.set_size(0);
        match item {
            Item::Entry(Entry { kind: Kind::Directory, .. })
            | Item::Made(Made { content: MadeContent::Directory, .. }) => {
                header.set_entry_type(tar::EntryType::Directory);
                tar.append_data(&mut header, path, io::empty()).map_err(local)?;
            }
            Item::Entry(entry @ Entry { kind: Kind::File { .. }, .. }) => {
                let repository = &content.modules[entry.module].repository;
                let size = size(repository, entry.id).map_err(|error| tree_error(commit, error.message()))?;
                if size > MAX_FILE {
                    let shown = String::from_utf8_lossy(&entry.path);
                    return Err(tree_error(commit, &format!("{shown} is larger than {MAX_FILE} bytes")));
                }
                grow(size)?;
                let blob = repository.find_blob(entry.id).map_err(|error| tree_error(commit, error.message()))?;
                let bytes = entry.conversion.apply(blob.content(), entry.id);
                grow((bytes.len() as u64).saturating_sub(size))?;
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(bytes.len() as u64);
                tar.append_data(&mut header, path, &*bytes).map_err(local)?;
            }
            Item::Entry(entry @ Entry { kind: Kind::Link, .. }) => {
                let repository = &content.modules[entry.module].repository;
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
            Item::Made(Made { content: MadeContent::Bytes(bytes), .. }) => {
                grow(bytes.len() as u64)?;
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(bytes.len() as u64);
                tar.append_data(&mut header, path, bytes.as_slice()).map_err(local)?;
            }
            Item::Made(Made { content: MadeContent::File(file), .. }) => {
                let file = std::fs::File::open(file).map_err(local)?;
                let size = file.metadata().map_err(local)?.len();
                grow(size)?;
                header.set_entry_type(tar::EntryType::Regular);
                header.set_size(size);
                tar.append_data(&mut header, path, file).map_err(local)?;
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
