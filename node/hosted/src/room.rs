//! How much a repository holds, and how much more it takes.

use std::sync::{Arc, Mutex, PoisonError};

use pyrsia_blobs::BlobStore;

use crate::error::HostedError;

/// The bytes of a repository: those that are stored, and those that are on their way. Clones share it.
///
/// Counted is what lies on the disk, and so what was removed or replaced as well, until it is collected: a limit that the
/// disk knows nothing of would protect nothing. Documents and entries are small and do not count.
#[derive(Debug, Clone)]
pub(crate) struct Room(Option<Arc<Limited>>);

#[derive(Debug)]
struct Limited {
    limit: u64,
    used: Mutex<u64>,
}

/// What does not fit any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoRoom {
    pub(crate) limit: u64,
    pub(crate) used: u64,
}

/// Room that is kept free for one upload, and is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Reserved {
    room: Room,
    bytes: u64,
}

impl Room {
    /// Counts what is stored, if there is a limit.
    pub(crate) fn count(limit: Option<u64>, blobs: &BlobStore) -> Result<Self, HostedError> {
        let Some(limit) = limit else { return Ok(Self(None)) };
        let mut used = 0u64;
        for digest in blobs.digests()? {
            used = used.saturating_add(blobs.size(&digest?).unwrap_or(0));
        }
        if used > limit {
            tracing::warn!(
                storage.stored_bytes = used,
                storage.max_bytes = limit,
                "a hosted repository is above its limit"
            );
        }
        Ok(Self(Some(Arc::new(Limited { limit, used: Mutex::new(used) }))))
    }

    /// Nothing yet, for an upload that begins.
    pub(crate) fn none(&self) -> Reserved {
        Reserved { room: self.clone(), bytes: 0 }
    }
}

impl Reserved {
    /// Keeps room for so many bytes altogether.
    pub(crate) fn at_least(&mut self, bytes: u64) -> Result<(), NoRoom> {
        let more = bytes.saturating_sub(self.bytes);
        let (Some(room), true) = (&self.room.0, more > 0) else { return Ok(()) };
        let mut used = room.used.lock().unwrap_or_else(PoisonError::into_inner);
        let then = used.saturating_add(more);
        if then > room.limit {
            return Err(NoRoom { limit: room.limit, used: used.saturating_sub(self.bytes) });
        }
        *used = then;
        drop(used);
        self.bytes = bytes;
        Ok(())
    }

    /// So many of the bytes are stored now and stay counted; the rest is free again.
    pub(crate) fn keep(mut self, stored: u64) {
        self.bytes = self.bytes.saturating_sub(stored);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        if let Some(room) = &self.room.0 {
            let mut used = room.used.lock().unwrap_or_else(PoisonError::into_inner);
            *used = used.saturating_sub(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(limit: Option<u64>) -> (Room, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(folder.path()).unwrap();
        blobs.put_bytes(b"four").unwrap();
        (Room::count(limit, &blobs).unwrap(), folder)
    }

    #[test]
    fn what_is_on_its_way_counts_until_it_ends() {
        let (room, _folder) = room(Some(10));
        let mut one = room.none();
        one.at_least(5).unwrap();
        let mut two = room.none();
        assert_eq!(two.at_least(2), Err(NoRoom { limit: 10, used: 9 }));
        two.at_least(1).unwrap();
        assert_eq!(one.at_least(6), Err(NoRoom { limit: 10, used: 5 }), "its own bytes are not in its way");
        one.at_least(3).unwrap();
        drop(one);
        two.at_least(6).unwrap();
        two.keep(2);
        let mut three = room.none();
        assert_eq!(three.at_least(5), Err(NoRoom { limit: 10, used: 6 }));
        three.at_least(4).unwrap();
    }

    #[test]
    fn without_a_limit_nothing_is_counted() {
        let (room, _folder) = room(None);
        room.none().at_least(u64::MAX).unwrap();
    }
}
