//! Entries of this member that are not final, on disk, so that a restart proposes them again.
//!
//! A file of [`frames`]: `0 | entry` adds one, `1 | SHA-256 of the entry` removes it. Additions are synced before
//! [`Journal::add`] returns; removals are not, because an entry that comes back after a crash is ordered twice at worst,
//! which whoever applies entries must bear anyway. The file is written anew when it is opened and when most of it is dead.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backup::Dir;
use crate::error::{ConsensusError, IoContext as _};
use crate::frames;
use crate::types::{EntryName, is_entry_size};

const ADD: u8 = 0;
const REMOVE: u8 = 1;
/// Dead bytes from which on the file is written anew.
const COMPACT_AT: u64 = 1024 * 1024;

/// The journal of pending entries. Blocking; call it where blocking is allowed.
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// The pending entries in the order of their submission.
    live: Vec<(EntryName, Vec<u8>)>,
    file_bytes: u64,
    /// After a failed write the file may end in the middle of a frame, and nothing may follow: it is written anew first.
    broken: bool,
    /// Keeps the directory locked while the journal is open.
    dir: Option<Arc<Dir>>,
}

impl Journal {
    /// Opens the journal in `dir` and reads what is pending.
    pub(crate) fn open(dir: &Arc<Dir>) -> Result<Self, ConsensusError> {
        let path = dir.journal_path();
        let live = match fs::read(&path) {
            Ok(bytes) => replay(&path, &bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error).at("read", &path),
        };
        let (file, file_bytes) = write_anew(&path, &live).at("write", &path)?;
        Ok(Self { path, file, live, file_bytes, broken: false, dir: Some(Arc::clone(dir)) })
    }

    /// The pending entries in the order of their submission.
    pub(crate) fn pending(&self) -> impl Iterator<Item = &(EntryName, Vec<u8>)> {
        self.live.iter()
    }

    /// Stores an entry; it is on disk when this returns. An entry that is already pending is not stored again.
    pub(crate) fn add(&mut self, name: EntryName, entry: &[u8]) -> io::Result<()> {
        if self.live.iter().any(|(known, _)| *known == name) {
            return Ok(());
        }
        let mut content = Vec::with_capacity(1 + entry.len());
        content.push(ADD);
        content.extend_from_slice(entry);
        self.append(&content)?;
        self.tried(|file| file.sync_data())?;
        self.live.push((name, entry.to_vec()));
        Ok(())
    }

    /// Notes that entries are final. Names that are not pending are ignored.
    pub(crate) fn remove(&mut self, names: &[EntryName]) -> io::Result<()> {
        for name in names {
            let Some(position) = self.live.iter().position(|(known, _)| known == name) else {
                continue;
            };
            let mut content = vec![REMOVE];
            content.extend_from_slice(name.as_bytes());
            self.append(&content)?;
            self.live.remove(position);
        }
        let live_bytes: u64 = self.live.iter().map(|(_, entry)| entry.len() as u64).sum();
        if self.file_bytes > COMPACT_AT && self.file_bytes > 2 * live_bytes {
            (self.file, self.file_bytes) = write_anew(&self.path, &self.live)?;
        }
        Ok(())
    }

    /// Takes nothing more, and gives up its share of the directory's lock.
    pub(crate) fn close(&mut self) {
        self.dir = None;
    }

    fn append(&mut self, content: &[u8]) -> io::Result<()> {
        if self.dir.is_none() {
            return Err(io::Error::other("the journal is closed"));
        }
        if self.broken {
            (self.file, self.file_bytes) = write_anew(&self.path, &self.live)?;
            self.broken = false;
        }
        let mut frame = Vec::with_capacity(content.len() + frames::OVERHEAD);
        frames::append(&mut frame, content)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "too long for a frame"))?;
        self.tried(|file| file.write_all(&frame))?;
        self.file_bytes += frame.len() as u64;
        Ok(())
    }

    fn tried(&mut self, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
        let result = write(&mut self.file);
        self.broken |= result.is_err();
        result
    }
}

fn replay(path: &Path, bytes: &[u8]) -> Result<Vec<(EntryName, Vec<u8>)>, ConsensusError> {
    let damaged = |reason: String| ConsensusError::Damaged { path: path.to_owned(), reason };
    let frames = frames::read(bytes).map_err(|error| damaged(error.to_string()))?;
    let mut live: Vec<(EntryName, Vec<u8>)> = Vec::new();
    for content in frames.contents {
        match content.split_first() {
            Some((&ADD, entry)) if is_entry_size(entry.len()) => {
                live.push((EntryName::of(entry), entry.to_vec()));
            }
            Some((&REMOVE, name)) => {
                let name: [u8; 32] =
                    name.try_into().map_err(|_| damaged("a removal does not name an entry".to_owned()))?;
                live.retain(|(known, _)| *known.as_bytes() != name);
            }
            _ => return Err(damaged("a record is of no known kind".to_owned())),
        }
    }
    Ok(live)
}

fn write_anew(path: &Path, live: &[(EntryName, Vec<u8>)]) -> io::Result<(File, u64)> {
    let temporary = path.with_extension("new");
    let mut content = Vec::new();
    for (_, entry) in live {
        let mut record = Vec::with_capacity(1 + entry.len());
        record.push(ADD);
        record.extend_from_slice(entry);
        frames::append(&mut content, &record)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "too long for a frame"))?;
    }
    let mut file = File::create(&temporary)?;
    file.write_all(&content)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok((file, content.len() as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u32) -> (EntryName, Vec<u8>) {
        let bytes = number.to_le_bytes().to_vec();
        (EntryName::of(&bytes), bytes)
    }

    fn pending(journal: &Journal) -> Vec<Vec<u8>> {
        journal.pending().map(|(_, bytes)| bytes.clone()).collect()
    }

    #[test]
    fn pending_entries_survive_in_order() {
        let temp = tempfile::tempdir().unwrap();
        {
            let mut journal = Journal::open(&Dir::open(temp.path()).unwrap()).unwrap();
            for number in 0..5 {
                let (name, bytes) = entry(number);
                journal.add(name, &bytes).unwrap();
                journal.add(name, &bytes).unwrap();
            }
            journal.remove(&[entry(3).0, entry(0).0, entry(77).0]).unwrap();
        }
        let journal = Journal::open(&Dir::open(temp.path()).unwrap()).unwrap();
        assert_eq!(pending(&journal), vec![entry(1).1, entry(2).1, entry(4).1]);
    }

    #[test]
    fn a_torn_addition_was_never_acknowledged_and_is_dropped() {
        let temp = tempfile::tempdir().unwrap();
        {
            let mut journal = Journal::open(&Dir::open(temp.path()).unwrap()).unwrap();
            for number in 0..2 {
                journal.add(entry(number).0, &entry(number).1).unwrap();
            }
        }
        let path = temp.path().join("pending");
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
        let mut journal = Journal::open(&Dir::open(temp.path()).unwrap()).unwrap();
        assert_eq!(pending(&journal), vec![entry(0).1]);
        journal.add(entry(2).0, &entry(2).1).unwrap();
        drop(journal);
        let journal = Journal::open(&Dir::open(temp.path()).unwrap()).unwrap();
        assert_eq!(pending(&journal), vec![entry(0).1, entry(2).1]);
    }

    #[test]
    fn after_a_failed_write_the_file_is_written_anew_first() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("pending");
        let mut journal = Journal::open(&Dir::open(temp.path()).unwrap()).unwrap();
        journal.add(entry(0).0, &entry(0).1).unwrap();
        // As on a full disk: half a frame arrives, and the write fails.
        fs::File::options().append(true).open(&path).unwrap().write_all(&[9, 0, 0]).unwrap();
        journal.tried(|_| Err(io::ErrorKind::StorageFull.into())).unwrap_err();
        journal.add(entry(1).0, &entry(1).1).unwrap();
        drop(journal);
        let journal = Journal::open(&Dir::open(temp.path()).unwrap()).unwrap();
        assert_eq!(pending(&journal), vec![entry(0).1, entry(1).1]);
    }

    #[test]
    fn dead_bytes_do_not_pile_up() {
        let temp = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(&Dir::open(temp.path()).unwrap()).unwrap();
        for number in 0..200u32 {
            let mut bytes = vec![0; 16 * 1024];
            bytes[..4].copy_from_slice(&number.to_le_bytes());
            let name = EntryName::of(&bytes);
            journal.add(name, &bytes).unwrap();
            journal.remove(&[name]).unwrap();
        }
        assert!(fs::metadata(temp.path().join("pending")).unwrap().len() < 2 * COMPACT_AT);
    }

    #[test]
    fn a_damaged_journal_is_an_error_and_not_a_silent_loss() {
        let temp = tempfile::tempdir().unwrap();
        {
            let mut journal = Journal::open(&Dir::open(temp.path()).unwrap()).unwrap();
            for number in 0..3 {
                journal.add(entry(number).0, &entry(number).1).unwrap();
            }
        }
        let path = temp.path().join("pending");
        let mut bytes = fs::read(&path).unwrap();
        bytes[frames::OVERHEAD] ^= 1;
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(Journal::open(&Dir::open(temp.path()).unwrap()), Err(ConsensusError::Damaged { .. })));
    }
}
