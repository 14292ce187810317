//! Bytes of stored files on their way to a client.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use pyrsia_digest::Sha256;
use pyrsia_repository::ServedFile;
use tokio::task::JoinHandle;

use crate::prepared::Wanted;

/// Bytes read at once from larger files. Two such pieces are in memory for a client: one that is sent, one that is read.
const CHUNK: u64 = 256 * 1024;
/// Where more files than these are sent at the same time, the pieces become smaller, so that a crowd takes little more memory.
const WHOLE_CHUNKS: u64 = 32;
const SMALLEST_CHUNK: u64 = 64 * 1024;

/// Why the bytes of a file could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The file cannot be read.
    #[error("the stored file cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The file on disk holds other bytes than its name says.
    #[error("the stored file is damaged: expected SHA-256 {expected}, found {found}")]
    Damaged {
        /// The digest in the index.
        expected: Sha256,
        /// The digest of what was read.
        found: Sha256,
    },
}

/// All bytes of a small file.
pub(crate) async fn load(file: &ServedFile) -> Result<Bytes, BodyError> {
    let (path, size, expected) = (file.blob_path.clone(), file.digests.size, file.digests.sha256);
    let load = move || {
        let file = open(&path, size)?;
        let bytes = read(&file, 0, size)?;
        let found = Sha256::of(&bytes);
        if found == expected { Ok(bytes) } else { Err(BodyError::Damaged { expected, found }) }
    };
    tokio::task::spawn_blocking(load).await.map_err(io::Error::other)?
}

/// What is wanted of a large file. The first piece is read before the answer begins, the next one always while the one
/// before is sent.
pub(crate) async fn stream(file: &ServedFile, wanted: Wanted) -> Result<Body, BodyError> {
    let runs: VecDeque<Run> = match wanted {
        Wanted::Nothing => return Ok(Body::empty()),
        Wanted::Part { start, length } => [Run::Bytes { next: start, end: start.saturating_add(length) }].into(),
        Wanted::Parts { parts, end } => {
            let runs = parts.into_iter().flat_map(|(head, start, length)| {
                [Run::Text(head.into()), Run::Bytes { next: start, end: start.saturating_add(length) }]
            });
            runs.chain([Run::Text(end.into())]).collect()
        }
    };
    let (path, size) = (file.blob_path.clone(), file.digests.size);
    let opening = move || open(&path, size);
    let file = Arc::new(tokio::task::spawn_blocking(opening).await.map_err(io::Error::other)??);
    let mut pieces = Pieces { _sending: Sending::begin(), coming: None, file, runs };
    pieces.coming = match pieces.read_on() {
        Some(Coming::Reading(reading)) => Some(Coming::Here(reading.await.map_err(io::Error::other)??)),
        other => other,
    };
    Ok(Body::from_stream(stream::try_unfold(pieces, Pieces::step)))
}

/// What comes one after the other in a body.
enum Run {
    Text(Bytes),
    /// Bytes of the file.
    Bytes {
        next: u64,
        end: u64,
    },
}

/// Files that are being sent by this process.
static SENT: AtomicU64 = AtomicU64::new(0);

/// One of them.
struct Sending;

impl Sending {
    fn begin() -> Self {
        SENT.fetch_add(1, Ordering::Relaxed);
        Self
    }
}

impl Drop for Sending {
    fn drop(&mut self) {
        SENT.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Bytes of a piece while so many files are sent.
fn chunk(sent: u64) -> u64 {
    (CHUNK * WHOLE_CHUNKS / sent.max(1)).clamp(SMALLEST_CHUNK, CHUNK)
}

struct Pieces {
    _sending: Sending,
    file: Arc<File>,
    /// The next piece; none at the end.
    coming: Option<Coming>,
    /// What follows it.
    runs: VecDeque<Run>,
}

enum Coming {
    Here(Bytes),
    Reading(JoinHandle<io::Result<Bytes>>),
}

impl Pieces {
    async fn step(mut self) -> io::Result<Option<(Bytes, Self)>> {
        let piece = match self.coming.take() {
            None => return Ok(None),
            Some(Coming::Here(bytes)) => bytes,
            Some(Coming::Reading(reading)) => reading.await.map_err(io::Error::other)??,
        };
        self.coming = self.read_on();
        Ok(Some((piece, self)))
    }

    fn read_on(&mut self) -> Option<Coming> {
        match self.runs.pop_front()? {
            Run::Text(text) => Some(Coming::Here(text)),
            Run::Bytes { next, end } => {
                let length = chunk(SENT.load(Ordering::Relaxed)).min(end.saturating_sub(next));
                if next + length < end {
                    self.runs.push_front(Run::Bytes { next: next + length, end });
                }
                let file = Arc::clone(&self.file);
                Some(Coming::Reading(tokio::task::spawn_blocking(move || read(&file, next, length))))
            }
        }
    }
}

/// Opens a stored file, which has the size that the index says.
fn open(path: &PathBuf, size: u64) -> io::Result<File> {
    let file = File::open(path)?;
    let found = file.metadata()?.len();
    if found == size { Ok(file) } else { Err(io::Error::other(format!("it has {found} bytes instead of {size}"))) }
}

/// Reads into memory that nobody has to clear first, neither this program nor, for pieces of larger files, the system.
fn read(file: &File, at: u64, length: u64) -> io::Result<Bytes> {
    let room = usize::try_from(length).map_err(io::Error::other)?;
    let mut piece = Piece::with_room(room);
    let bytes = &mut piece.bytes;
    while bytes.len() < room {
        let from = at.saturating_add(bytes.len() as u64);
        match rustix::io::pread(file, rustix::buffer::spare_capacity(bytes), from) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    // There may have been more room than was asked for.
    bytes.truncate(room);
    Ok(Bytes::from_owner(piece))
}

/// Memory of pieces that have been sent, for the next ones: what the system gives instead is cleared page by page, which takes
/// longer than reading.
static SENT_PIECES: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());
/// Pieces of full size that are kept.
const KEPT_PIECES: usize = 32;

/// Bytes of a file.
struct Piece {
    bytes: Vec<u8>,
}

impl Piece {
    fn with_room(room: usize) -> Self {
        let full = u64::try_from(room).is_ok_and(|room| room == CHUNK);
        let sent = if full { SENT_PIECES.lock().unwrap_or_else(PoisonError::into_inner).pop() } else { None };
        Self { bytes: sent.unwrap_or_else(|| Vec::with_capacity(room)) }
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if self.bytes.capacity() as u64 == CHUNK {
            let mut kept = SENT_PIECES.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() < KEPT_PIECES {
                let mut bytes = std::mem::take(&mut self.bytes);
                bytes.clear();
                kept.push(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_used_again_holds_nothing_of_before() {
        let dir = tempfile::tempdir().unwrap();
        let size = usize::try_from(CHUNK).unwrap();
        for (round, length) in [(1, size), (2, size), (3, size - 1), (4, 10), (5, size)] {
            let (path, content) = (dir.path().join("file"), vec![round; length]);
            std::fs::write(&path, &content).unwrap();
            let file = open(&path, length as u64).unwrap();
            assert_eq!(read(&file, 0, length as u64).unwrap(), content);
            assert_eq!(read(&file, 3, length as u64 - 3).unwrap(), content[3..]);
            // A file that was cut since it was opened ends the body instead of filling it with anything else.
            assert!(read(&file, 1, length as u64).is_err());
        }
    }

    #[test]
    fn a_crowd_gets_smaller_pieces() {
        for (sent, expected) in [(0, CHUNK), (1, CHUNK), (32, CHUNK), (64, CHUNK / 2), (1_000, SMALLEST_CHUNK)] {
            assert_eq!(chunk(sent), expected, "{sent}");
        }
    }
}
