//! Files that builds have needed: the next build needs most of them again.

use std::sync::Arc;

use pyrsia_blobs::{BlobError, BlobStore};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};

/// Files by digest, emptied between builds when there are too many.
pub struct Cache {
    blobs: BlobStore,
    most: u64,
    /// Held by builds; whoever empties it is alone.
    used: Arc<RwLock<()>>,
}

impl Cache {
    /// A cache that builds begin with at most so many bytes in.
    pub fn new(blobs: BlobStore, most: u64) -> Self {
        Self { blobs, most, used: Arc::default() }
    }

    /// Where the files are.
    pub fn blobs(&self) -> &BlobStore {
        &self.blobs
    }

    /// Keeps every file where it is until this is dropped.
    pub async fn hold(&self) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.used).read_owned().await
    }

    /// Empties it if it is too large, once no build is running; those that want to begin wait. Failing at it stops no build:
    /// the disk says in the end what does not fit.
    pub async fn make_room(&self) {
        let size = self.blocking(size).await;
        if size.is_ok_and(|size| size <= self.most) {
            return;
        }
        let _alone = self.used.write().await;
        if let Err(error) = self.blocking(empty).await {
            tracing::warn!(%error, "the cache of inputs cannot be emptied");
        }
    }

    async fn blocking<T: Send + 'static>(&self, work: fn(&BlobStore) -> Result<T, BlobError>) -> Result<T, BlobError> {
        let blobs = self.blobs.clone();
        tokio::task::spawn_blocking(move || work(&blobs)).await.unwrap_or(Err(BlobError::Interrupted))
    }
}

fn size(blobs: &BlobStore) -> Result<u64, BlobError> {
    blobs.digests()?.try_fold(0u64, |sum, digest| Ok(sum.saturating_add(blobs.size(&digest?).unwrap_or(0))))
}

fn empty(blobs: &BlobStore) -> Result<(), BlobError> {
    blobs.digests()?.try_for_each(|digest| blobs.remove(&digest?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn it_is_emptied_when_it_is_too_large_and_nobody_builds() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(folder.path()).unwrap();
        let kept = blobs.put_bytes(b"12345").unwrap().digests.sha256;
        let cache = Cache::new(blobs.clone(), 5);
        cache.make_room().await;
        assert!(blobs.has(&kept));
        let more = blobs.put_bytes(b"6").unwrap().digests.sha256;
        let building = cache.hold().await;
        let waiting = tokio::time::timeout(Duration::from_millis(100), cache.make_room()).await;
        assert!(waiting.is_err() && blobs.has(&kept) && blobs.has(&more), "a build is running");
        drop(building);
        cache.make_room().await;
        assert!(!blobs.has(&kept) && !blobs.has(&more));
    }
}
