//! Bytes of stored files on their way to a client.

use std::collections::{HashMap, VecDeque};
use std::io::SeekFrom;
use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use pyrsia_digest::Sha256;
use pyrsia_repository::ServedFile;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

/// Files up to this size are kept in memory; larger ones are read for each request.
const SMALL: u64 = 256 * 1024;
/// Memory for small files, in bytes.
const BUDGET: usize = 64 * 1024 * 1024;
/// Bytes read at once from larger files.
const CHUNK: usize = 256 * 1024;

/// Why the bytes of a file could not be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    /// The file cannot be read.
    #[error("the stored file cannot be read: {0}")]
    Io(#[from] std::io::Error),
    /// The file on disk holds other bytes than its name says.
    #[error("the stored file is damaged: expected SHA-256 {expected}, found {found}")]
    Damaged {
        /// The digest in the index.
        expected: Sha256,
        /// The digest of what was read.
        found: Sha256,
    },
}

/// Small files by digest, the oldest leaving first. A digest's bytes never change, so nothing ever goes stale.
#[derive(Default)]
pub(crate) struct BodyCache {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    files: HashMap<Sha256, Bytes>,
    order: VecDeque<Sha256>,
    bytes: usize,
}

impl BodyCache {
    /// `length` bytes from `start` of a file.
    pub(crate) async fn body(&self, file: &ServedFile, start: u64, length: u64) -> Result<Body, BodyError> {
        if file.digests.size > SMALL {
            return stream(file, start, length).await;
        }
        let bytes = match self.cached(&file.digests.sha256) {
            Some(bytes) => bytes,
            None => self.load(file).await?,
        };
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(bytes.len());
        let end = start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX)).min(bytes.len());
        Ok(Body::from(bytes.slice(start..end)))
    }

    fn cached(&self, digest: &Sha256) -> Option<Bytes> {
        self.lock().files.get(digest).cloned()
    }

    async fn load(&self, file: &ServedFile) -> Result<Bytes, BodyError> {
        let mut bytes = Vec::with_capacity(usize::try_from(file.digests.size).unwrap_or(0));
        // One byte more than expected, so that a file that has grown is noticed and not read to its end.
        tokio::fs::File::open(&file.blob_path).await?.take(SMALL + 1).read_to_end(&mut bytes).await?;
        let found = Sha256::of(&bytes);
        if found != file.digests.sha256 {
            return Err(BodyError::Damaged { expected: file.digests.sha256, found });
        }
        let bytes = Bytes::from(bytes);
        self.keep(found, bytes.clone());
        Ok(bytes)
    }

    fn keep(&self, digest: Sha256, bytes: Bytes) {
        let mut inner = self.lock();
        inner.bytes += bytes.len();
        if let Some(previous) = inner.files.insert(digest, bytes) {
            inner.bytes -= previous.len();
        } else {
            inner.order.push_back(digest);
        }
        while inner.bytes > BUDGET {
            let Some(oldest) = inner.order.pop_front() else {
                break;
            };
            if let Some(bytes) = inner.files.remove(&oldest) {
                inner.bytes -= bytes.len();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // Nothing in the critical sections panics half-way; were it so, a cache is still only a cache.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn stream(file: &ServedFile, start: u64, length: u64) -> Result<Body, BodyError> {
    let mut reader = tokio::fs::File::open(&file.blob_path).await?;
    let size = reader.metadata().await?.len();
    if size != file.digests.size {
        let detail = format!("it has {size} bytes instead of {}", file.digests.size);
        return Err(std::io::Error::other(detail).into());
    }
    if start > 0 {
        reader.seek(SeekFrom::Start(start)).await?;
    }
    Ok(Body::from_stream(ReaderStream::with_capacity(reader.take(length), CHUNK)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cache_stays_within_its_budget() {
        let cache = BodyCache::default();
        let bytes = Bytes::from(vec![7u8; SMALL as usize]);
        for number in 0..400u32 {
            cache.keep(Sha256::of(&number.to_be_bytes()), bytes.clone());
            cache.keep(Sha256::of(&number.to_be_bytes()), bytes.clone());
        }
        let inner = cache.lock();
        assert_eq!(inner.bytes, BUDGET);
        assert_eq!(inner.files.len(), BUDGET / SMALL as usize);
        assert_eq!(inner.files.len(), inner.order.len());
        drop(inner);
        assert!(cache.cached(&Sha256::of(&0u32.to_be_bytes())).is_none());
        assert!(cache.cached(&Sha256::of(&399u32.to_be_bytes())).is_some());
    }
}
