//! Bytes of stored files on their way to a client.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures_util::stream;
use pyrsia_digest::Sha256;
use pyrsia_repository::ServedFile;
use tokio::task::JoinHandle;

/// Bytes read at once from larger files. Two such pieces are in memory for a client: one that is sent, one that is read.
const CHUNK: u64 = 512 * 1024;

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

/// `length` bytes from `start` of a large file. Its first piece is read before the answer begins, the next one always
/// while the one before is sent.
pub(crate) async fn stream(file: &ServedFile, start: u64, length: u64) -> Result<Body, BodyError> {
    let (path, size) = (file.blob_path.clone(), file.digests.size);
    let end = start.saturating_add(length).min(size);
    let open = move || -> io::Result<(Arc<File>, Bytes)> {
        let file = Arc::new(open(&path, size)?);
        let first = read(&file, start, CHUNK.min(end - start))?;
        Ok((file, first))
    };
    let (file, first) = tokio::task::spawn_blocking(open).await.map_err(io::Error::other)??;
    let next = start + first.len() as u64;
    let pieces = Pieces { coming: Some(Coming::Here(first)), file, next, end };
    Ok(Body::from_stream(stream::try_unfold(pieces, Pieces::step)))
}

struct Pieces {
    file: Arc<File>,
    /// The next piece; none at the end.
    coming: Option<Coming>,
    /// Where the piece after it begins.
    next: u64,
    end: u64,
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
        if self.next < self.end {
            let (file, at, length) = (Arc::clone(&self.file), self.next, CHUNK.min(self.end - self.next));
            self.next += length;
            self.coming = Some(Coming::Reading(tokio::task::spawn_blocking(move || read(&file, at, length))));
        }
        Ok(Some((piece, self)))
    }
}

/// Opens a stored file, which has the size that the index says.
fn open(path: &PathBuf, size: u64) -> io::Result<File> {
    let file = File::open(path)?;
    let found = file.metadata()?.len();
    if found == size { Ok(file) } else { Err(io::Error::other(format!("it has {found} bytes instead of {size}"))) }
}

fn read(file: &File, at: u64, length: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, at)?;
    Ok(bytes.into())
}
