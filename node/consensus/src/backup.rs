//! The units of a session on disk, and the marker that says that this member has signed units in it.
//!
//! Layout of the directory: `lock`; `standing` (below); `voted/<session>`, the marker, which names a generation; `backups/<session>.<generation>`,
//! the units as [`frames`]; `pending` (see `journal`).
//!
//! Each start of a session copies the intact units of the generation that the marker names to a file of the next
//! generation, syncs it, and then renames the new marker into place: a torn tail disappears in the copy, and whatever
//! happens in between leaves either the old file named or the new one. The marker exists before the first unit is signed.
//!
//! **A marker without the file it names, or with a file damaged elsewhere than at its end, means that units may be lost
//! that others have seen.** Going on would sign a second unit for the same round, so such a session is
//! [`Opened::Lost`]: it is never entered again. What then happens is decided in `supervisor`.
//!
//! **A full disk is waited out.** A unit that did not fit was seen by nobody, since AlephBFT says it only once it is stored: what
//! arrived of it is cut off again, and it is written when there is room. The session goes on then; until then this member is a
//! slow one. Only the write itself is repeated: after a failed fsync nobody knows what is on the disk, so that ends the session.
//! A start of a session that meets a full disk has named nothing yet, or all of it, and is repeated whole.
//!
//! `standing` says that the directory is complete: which session was the newest that was marked, and before which one this
//! member must not sign because an earlier directory was lost. A session without a marker that is newer than both was never
//! voted in. A directory without this file is new, or it is what came in the place of a lost one; only who made the key can
//! tell the two apart ([`crate::Start::founding`]).

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::{ConsensusError, IoContext as _};
use crate::frames;
use crate::unit_writer::BackupWriter;

const HEADER: &[u8] = b"pyrsia-maven consensus backup 1\n";
const STANDING: &[u8] = b"pyrsia-maven consensus standing 1\n";
const MARKER: &[u8] = b"pyrsia-maven consensus voted 1\n";

/// The directory of an orderer. One process at a time.
pub(crate) struct Dir {
    path: PathBuf,
    standing: Mutex<Standing>,
    /// Why a unit could not be written, once that happened.
    trouble: Mutex<Option<String>>,
    /// Locked while it is open.
    _lock: File,
}

/// See the module's documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Standing {
    newest_voted: Option<u64>,
    not_before: u64,
}

/// The backup of a session, opened.
pub(crate) enum Opened {
    /// The session can be run.
    Ready {
        /// Encoded units in their order.
        units: Vec<Vec<u8>>,
        /// Where further units go.
        writer: BackupWriter,
    },
    /// This member has signed units in the session that it no longer has.
    Lost {
        /// What is missing.
        reason: String,
    },
}

impl Dir {
    /// Opens the directory, creating it if needed, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Arc<Self>, ConsensusError> {
        for folder in [path.to_owned(), path.join("voted"), path.join("backups")] {
            fs::create_dir_all(&folder).at("create", &folder)?;
        }
        let lock_path = path.join("lock");
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).at("open", &lock_path)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(ConsensusError::Locked { path: path.to_owned() });
            }
            Err(fs::TryLockError::Error(source)) => return Err(source).at("lock", &lock_path),
        }
        Ok(Arc::new(Self { path: path.to_owned(), standing: Mutex::default(), trouble: Mutex::default(), _lock: lock }))
    }

    /// Reads what the directory knows of this member's past; to be called before any session is opened. `founding`: this
    /// member's key was never used before this directory was made. `newest_known`: a session that the network is known to
    /// have reached.
    pub(crate) fn settle(&self, founding: bool, newest_known: u64) -> Result<(), ConsensusError> {
        let path = self.standing_path();
        let stored = match fs::read(&path) {
            Ok(bytes) => standing_from(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).at("read", &path),
        };
        if let Some(stored) = stored {
            *self.standing() = stored;
            return Ok(());
        }
        let marked = self.newest_marker()?;
        let standing = if founding && marked.is_none() {
            Standing::default()
        } else {
            let newest = newest_known.max(marked.unwrap_or(0));
            tracing::warn!(consensus.session = newest, "the consensus directory is not the one of this member's past");
            Standing { newest_voted: marked, not_before: newest.saturating_add(1) }
        };
        self.write_standing(standing)
    }

    /// Why a unit could not be written, if that has happened since this was asked last: AlephBFT then ends.
    pub(crate) fn take_trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// A unit could not be written.
    pub(crate) fn note_trouble(&self, trouble: String) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
    }

    /// The first session in which this member may sign.
    pub(crate) fn not_before(&self) -> u64 {
        self.standing().not_before
    }

    /// No session up to this one may be signed in. On disk when this returns.
    pub(crate) fn sit_out_until_after(&self, session: u64) -> Result<(), ConsensusError> {
        let standing = *self.standing();
        let not_before = session.saturating_add(1);
        if standing.not_before >= not_before {
            return Ok(());
        }
        self.write_standing(Standing { not_before, ..standing })
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn standing_path(&self) -> PathBuf {
        self.path.join("standing")
    }

    fn write_standing(&self, standing: Standing) -> Result<(), ConsensusError> {
        let mut content = STANDING.to_vec();
        // 0 for none: one more than the session otherwise.
        let voted = standing.newest_voted.map_or(0, |session| session.saturating_add(1));
        content.extend_from_slice(&voted.to_le_bytes());
        content.extend_from_slice(&standing.not_before.to_le_bytes());
        write_framed(&self.path.join("standing.new"), &self.standing_path(), &content)?;
        self.sync_folder(".")?;
        *self.standing() = standing;
        Ok(())
    }

    fn newest_marker(&self) -> Result<Option<u64>, ConsensusError> {
        let folder = self.path.join("voted");
        let mut newest = None;
        for entry in fs::read_dir(&folder).at("list", &folder)? {
            newest = newest.max(session_of(&entry.at("list", &folder)?.path()));
        }
        Ok(newest)
    }

    /// Where the journal of pending entries lies.
    pub(crate) fn journal_path(&self) -> PathBuf {
        self.path.join("pending")
    }

    fn marker_path(&self, session: u64) -> PathBuf {
        self.path.join("voted").join(session.to_string())
    }

    fn backup_path(&self, session: u64, generation: u64) -> PathBuf {
        self.path.join("backups").join(format!("{session}.{generation}"))
    }

    /// Opens the backup of `session` and marks the session as voted in.
    pub(crate) fn open_session(self: &Arc<Self>, session: u64) -> Result<Opened, ConsensusError> {
        let standing = *self.standing();
        if session < standing.not_before {
            let reason = format!(
                "what this member signed up to session {} is lost; it takes part again in a later one",
                standing.not_before - 1
            );
            return Ok(Opened::Lost { reason });
        }
        let (units, generation) = match self.read_marker(session)? {
            Marker::Absent if standing.newest_voted.is_some_and(|newest| session <= newest) => {
                return Ok(Opened::Lost { reason: "the marker and the backup of the session are gone".to_owned() });
            }
            Marker::Absent => (Vec::new(), 0),
            Marker::Damaged => {
                return Ok(Opened::Lost { reason: "the marker of the session is damaged".to_owned() });
            }
            Marker::Generation(generation) => match self.read_units(session, generation)? {
                Ok(units) => (units, generation.saturating_add(1)),
                Err(reason) => return Ok(Opened::Lost { reason }),
            },
        };
        let writer = self.start_generation(session, generation, &units)?;
        if standing.newest_voted.is_none_or(|newest| newest < session) {
            // After the marker: a crash in between leaves a session that is entered again, and nothing was signed yet.
            self.write_standing(Standing { newest_voted: Some(session), ..standing })?;
        }
        Ok(Opened::Ready { units, writer })
    }

    /// Removes everything about sessions before `session`. Only for sessions whose batches the ledger has stored.
    pub(crate) fn remove_sessions_before(&self, session: u64) -> Result<(), ConsensusError> {
        // Backups first: a marker without a backup sits a session out, the reverse would enter it again.
        self.remove_if("backups", |number| number < session)?;
        self.remove_if("voted", |number| number < session)
    }

    /// Removes the files in `folder` whose number (the part of the name before a dot) is chosen.
    fn remove_if(&self, folder: &str, chosen: impl Fn(u64) -> bool) -> Result<(), ConsensusError> {
        let folder = self.path.join(folder);
        for entry in fs::read_dir(&folder).at("list", &folder)? {
            let path = entry.at("list", &folder)?.path();
            if session_of(&path).is_some_and(&chosen) {
                fs::remove_file(&path).at("remove", &path)?;
            }
        }
        Ok(())
    }

    fn read_marker(&self, session: u64) -> Result<Marker, ConsensusError> {
        let path = self.marker_path(session);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Marker::Absent),
            Err(error) => return Err(error).at("read", &path),
        };
        let generation = frames::read(&bytes).ok().and_then(|frames| {
            let [content] = frames.contents.as_slice() else {
                return None;
            };
            let (named, generation) = content.strip_prefix(MARKER)?.split_first_chunk::<8>()?;
            (u64::from_le_bytes(*named) == session)
                .then(|| generation.try_into().ok().map(u64::from_le_bytes))
                .flatten()
        });
        Ok(generation.map_or(Marker::Damaged, Marker::Generation))
    }

    /// The units of one generation, or why some may be missing.
    fn read_units(&self, session: u64, generation: u64) -> Result<Result<Vec<Vec<u8>>, String>, ConsensusError> {
        let path = self.backup_path(session, generation);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err("the backup that the marker names is gone".to_owned()));
            }
            Err(error) => return Err(error).at("read", &path),
        };
        Ok(match frames::read(&bytes) {
            Ok(frames) => {
                if frames.torn_bytes > 0 {
                    tracing::warn!(
                        consensus.session = session,
                        torn_bytes = frames.torn_bytes,
                        "dropped a torn write at the end of the consensus backup"
                    );
                }
                let mut contents = frames.contents;
                if contents.first() == Some(&header(session)) {
                    contents.remove(0);
                    Ok(contents)
                } else {
                    Err("the backup does not start with the header of its session".to_owned())
                }
            }
            Err(error) => Err(format!("the backup is damaged: {error}")),
        })
    }

    fn start_generation(
        self: &Arc<Self>,
        session: u64,
        generation: u64,
        units: &[Vec<u8>],
    ) -> Result<BackupWriter, ConsensusError> {
        let path = self.backup_path(session, generation);
        let mut content = Vec::new();
        for frame in std::iter::once(&header(session)).chain(units) {
            frames::append(&mut content, frame).ok_or_else(|| ConsensusError::Damaged {
                path: path.clone(),
                reason: "a unit is longer than a frame may be".to_owned(),
            })?;
        }
        let mut file = File::create(&path).at("create", &path)?;
        file.write_all(&content).at("write", &path)?;
        file.sync_all().at("sync", &path)?;
        self.sync_folder("backups")?;
        self.write_marker(session, generation)?;
        for other in (0..generation).rev() {
            match fs::remove_file(self.backup_path(session, other)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error).at("remove", &self.backup_path(session, other)),
            }
        }
        Ok(BackupWriter::new(file, content.len() as u64, units, Arc::clone(self)))
    }

    fn write_marker(&self, session: u64, generation: u64) -> Result<(), ConsensusError> {
        let path = self.marker_path(session);
        let temporary = self.path.join("voted").join("new");
        let mut content = MARKER.to_vec();
        content.extend_from_slice(&session.to_le_bytes());
        content.extend_from_slice(&generation.to_le_bytes());
        write_framed(&temporary, &path, &content)?;
        self.sync_folder("voted")
    }

    fn sync_folder(&self, folder: &str) -> Result<(), ConsensusError> {
        let folder = self.path.join(folder);
        File::open(&folder).and_then(|file| file.sync_all()).at("sync", &folder)
    }
}

/// Puts a small file in the place of another one, in one step. The folder is not synced.
fn write_framed(temporary: &Path, path: &Path, content: &[u8]) -> Result<(), ConsensusError> {
    let mut framed = Vec::new();
    // The content has a fixed length, far below a frame's.
    let _ = frames::append(&mut framed, content);
    let mut file = File::create(temporary).at("create", temporary)?;
    file.write_all(&framed).at("write", temporary)?;
    file.sync_all().at("sync", temporary)?;
    fs::rename(temporary, path).at("rename", path)
}

fn standing_from(bytes: &[u8]) -> Option<Standing> {
    let frames = frames::read(bytes).ok()?;
    let [content] = frames.contents.as_slice() else {
        return None;
    };
    let (voted, not_before) = content.strip_prefix(STANDING)?.split_first_chunk::<8>()?;
    Some(Standing {
        newest_voted: u64::from_le_bytes(*voted).checked_sub(1),
        not_before: u64::from_le_bytes(not_before.try_into().ok()?),
    })
}

enum Marker {
    Absent,
    Damaged,
    Generation(u64),
}

fn header(session: u64) -> Vec<u8> {
    let mut header = HEADER.to_vec();
    header.extend_from_slice(&session.to_le_bytes());
    header
}

fn session_of(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    name.split('.').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use futures_util::io::AsyncWriteExt as _;

    use super::*;

    async fn write(writer: &mut BackupWriter, unit: &[u8]) {
        writer.write_all(unit).await.unwrap();
        writer.flush().await.unwrap();
    }

    fn ready(opened: Opened) -> (Vec<u8>, BackupWriter) {
        match opened {
            Opened::Ready { units, writer } => (units.concat(), writer),
            Opened::Lost { reason } => panic!("lost: {reason}"),
        }
    }

    fn is_lost(opened: &Opened) -> bool {
        matches!(opened, Opened::Lost { .. })
    }

    fn only_backup(dir: &Path) -> PathBuf {
        let mut files: Vec<_> = fs::read_dir(dir.join("backups")).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files.remove(0)
    }

    #[tokio::test]
    async fn units_survive_restarts_and_are_stored_once() {
        let temp = tempfile::tempdir().unwrap();
        let mut expected = Vec::new();
        for restart in 0..4u8 {
            let dir = Dir::open(temp.path()).unwrap();
            let (units, mut writer) = ready(dir.open_session(3).unwrap());
            assert_eq!(units, expected);
            // What AlephBFT does after loading: it saves everything again.
            for unit in expected.chunks(4) {
                write(&mut writer, unit).await;
            }
            let unit = [restart; 4];
            write(&mut writer, &unit).await;
            expected.extend_from_slice(&unit);
        }
        let bytes = fs::read(only_backup(temp.path())).unwrap();
        assert_eq!(frames::read(&bytes).unwrap().contents.len(), 1 + 4);
    }

    #[tokio::test]
    async fn a_torn_tail_loses_the_last_unit_only() {
        let temp = tempfile::tempdir().unwrap();
        {
            let dir = Dir::open(temp.path()).unwrap();
            let (_, mut writer) = ready(dir.open_session(0).unwrap());
            write(&mut writer, &[1; 100]).await;
            write(&mut writer, &[2; 100]).await;
        }
        let path = only_backup(temp.path());
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 13]).unwrap();
        {
            let dir = Dir::open(temp.path()).unwrap();
            let (units, mut writer) = ready(dir.open_session(0).unwrap());
            assert_eq!(units, vec![1; 100]);
            write(&mut writer, &[3; 100]).await;
        }
        let dir = Dir::open(temp.path()).unwrap();
        let (units, _) = ready(dir.open_session(0).unwrap());
        assert_eq!(units, [[1; 100], [3; 100]].concat());
    }

    #[tokio::test]
    async fn a_session_without_its_backup_is_lost_for_ever() {
        let temp = tempfile::tempdir().unwrap();
        {
            let dir = Dir::open(temp.path()).unwrap();
            let (_, mut writer) = ready(dir.open_session(0).unwrap());
            write(&mut writer, &[1; 100]).await;
        }
        fs::remove_file(only_backup(temp.path())).unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        assert!(is_lost(&dir.open_session(0).unwrap()));
        assert!(is_lost(&dir.open_session(0).unwrap()));
        assert!(!is_lost(&dir.open_session(1).unwrap()));
    }

    #[tokio::test]
    async fn damage_before_the_end_is_a_lost_backup() {
        let temp = tempfile::tempdir().unwrap();
        {
            let dir = Dir::open(temp.path()).unwrap();
            let (_, mut writer) = ready(dir.open_session(0).unwrap());
            write(&mut writer, &[1; 100]).await;
            write(&mut writer, &[2; 100]).await;
        }
        let path = only_backup(temp.path());
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() - 150;
        bytes[middle] ^= 1;
        fs::write(&path, bytes).unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        assert!(is_lost(&dir.open_session(0).unwrap()));
    }

    #[test]
    fn a_directory_without_its_past_keeps_out_of_every_session_that_may_have_been_voted_in() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        dir.settle(false, 5).unwrap();
        assert!(is_lost(&dir.open_session(5).unwrap()));
        dir.sit_out_until_after(7).unwrap();
        dir.sit_out_until_after(6).unwrap();
        drop(dir);
        // Said once, it stays, whatever is claimed later.
        let dir = Dir::open(temp.path()).unwrap();
        dir.settle(true, 0).unwrap();
        assert_eq!(dir.not_before(), 8);
        assert!(is_lost(&dir.open_session(7).unwrap()));
        assert!(!is_lost(&dir.open_session(8).unwrap()));
    }

    #[test]
    fn a_complete_directory_knows_which_sessions_were_never_voted_in() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        dir.settle(true, 0).unwrap();
        ready(dir.open_session(2).unwrap());
        drop(dir);
        fs::remove_dir_all(temp.path().join("voted")).unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        dir.settle(false, 9).unwrap();
        assert!(is_lost(&dir.open_session(2).unwrap()), "its marker is gone");
        assert!(!is_lost(&dir.open_session(9).unwrap()), "the ledger is far ahead, but this is a new session here");
    }

    #[test]
    fn a_damaged_standing_counts_as_a_lost_directory() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        dir.settle(true, 0).unwrap();
        ready(dir.open_session(3).unwrap());
        drop(dir);
        fs::write(temp.path().join("standing"), b"garbage").unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        // Even for who claims to be new: there is a marker.
        dir.settle(true, 1).unwrap();
        assert_eq!(dir.not_before(), 4);
    }

    #[test]
    fn a_file_of_an_interrupted_start_is_ignored() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        // Crash after the backup of generation 0 was begun and before the marker named it.
        fs::write(dir.backup_path(0, 0), b"garbage").unwrap();
        let (units, _) = ready(dir.open_session(0).unwrap());
        assert!(units.is_empty());
        // Crash after generation 1 was begun: the marker still names 0.
        fs::write(dir.backup_path(0, 1), b"garbage").unwrap();
        let (units, _) = ready(dir.open_session(0).unwrap());
        assert!(units.is_empty());
    }

    #[test]
    fn one_process_at_a_time() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        assert!(matches!(Dir::open(temp.path()), Err(ConsensusError::Locked { .. })));
        drop(dir);
        Dir::open(temp.path()).unwrap();
    }

    #[test]
    fn old_sessions_are_removed_with_their_markers() {
        let temp = tempfile::tempdir().unwrap();
        let dir = Dir::open(temp.path()).unwrap();
        for session in 0..3 {
            ready(dir.open_session(session).unwrap());
        }
        dir.remove_sessions_before(2).unwrap();
        only_backup(temp.path());
        assert!(matches!(dir.read_marker(1).unwrap(), Marker::Absent));
        assert!(matches!(dir.read_marker(2).unwrap(), Marker::Generation(0)));
    }
}
