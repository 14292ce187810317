//! How full the store is, as its keeper knows it: for whoever asks.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyrsia_blobs::BlobStore;

/// What the keeper has found. Clones share it.
#[derive(Clone)]
pub struct Gauge {
    blobs: BlobStore,
    found: Arc<Mutex<Found>>,
}

#[derive(Debug, Default)]
struct Found {
    /// Bytes of all blobs when they were counted last, and how many had been written by then.
    counted: Option<(u64, u64)>,
    /// By how much the limits cannot be kept to.
    excess: u64,
}

impl Gauge {
    /// Nothing was counted yet.
    pub fn new(blobs: BlobStore) -> Self {
        Self { blobs, found: Arc::default() }
    }

    /// Bytes of all blobs, at most: the same bytes written twice count twice, and what others remove is not taken off. None: to be
    /// counted.
    pub fn stored(&self) -> Option<u64> {
        let (counted, then) = self.found().counted?;
        Some(counted.saturating_add(self.written().saturating_sub(then)))
    }

    /// Bytes by which the store is above its limits although everything was removed that may be.
    pub fn excess(&self) -> u64 {
        self.found().excess
    }

    /// Bytes that were written by now: to be asked before they are counted.
    pub(super) fn written(&self) -> u64 {
        self.blobs.written().load(Ordering::Relaxed)
    }

    /// There were so many bytes, of those that were written by then.
    pub(super) fn count(&self, bytes: u64, then: u64) {
        self.found().counted = Some((bytes, then));
    }

    /// So many bytes were removed.
    pub(super) fn take_off(&self, bytes: u64) {
        if let Some((counted, _)) = &mut self.found().counted {
            *counted = counted.saturating_sub(bytes);
        }
    }

    /// The limits are exceeded by this.
    pub(super) fn exceed(&self, bytes: u64) {
        self.found().excess = bytes;
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_goes_on_with_what_is_written_and_removed() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(dir.path()).unwrap();
        let gauge = Gauge::new(blobs.clone());
        blobs.put_bytes(b"before").unwrap();
        assert_eq!(gauge.stored(), None);
        gauge.count(6, gauge.written());
        blobs.put_bytes(b"after").unwrap();
        assert_eq!(gauge.stored(), Some(11));
        gauge.take_off(4);
        assert_eq!((gauge.stored(), gauge.excess()), (Some(7), 0));
    }
}
