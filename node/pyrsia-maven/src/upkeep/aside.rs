//! What was set aside ends: damaged files, and records of bytes that were not served.

use std::time::{SystemTime, UNIX_EPOCH};

use pyrsia_blobs::Aside;

use super::collect::Store;

/// What was forgotten of it, or would be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgotten {
    /// Damaged files.
    pub files: Aside,
    /// Records of bytes that were not served.
    pub records: u64,
    /// Those that are left.
    pub records_left: u64,
}

impl Store<'_> {
    /// Forgets what was set aside first, where it is too much or too old.
    pub fn forget_set_aside(&self, now: SystemTime) -> anyhow::Result<Forgotten> {
        let mut found = Forgotten { files: self.blobs.forget_corrupt(now, self.dry)?, ..Forgotten::default() };
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        for index in self.indexes {
            let (forgotten, left) = index.forget_quarantined(now, self.dry)?;
            found.records += forgotten;
            found.records_left += left;
        }
        if !self.dry && found.files.removed + found.records > 0 {
            tracing::info!(
                corrupt.removed = found.files.removed,
                corrupt.bytes = found.files.removed_bytes,
                quarantine.forgotten = found.records,
                "what was set aside first is forgotten"
            );
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pyrsia_blobs::BlobStore;
    use pyrsia_digest::Sha256;
    use pyrsia_store::{IndexStore, QuarantineRecord};

    use super::*;

    #[test]
    fn a_year_later_nothing_is_left_of_what_was_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(dir.path().join("blobs")).unwrap();
        let index = IndexStore::open(dir.path()).unwrap();
        let digest = blobs.put_bytes(b"bytes").unwrap().digests.sha256;
        std::fs::write(blobs.get(&digest).unwrap(), b"bites!").unwrap();
        blobs.check(&digest).unwrap_err();
        let now = SystemTime::now();
        let record = QuarantineRecord {
            path: "org/acme/lib/1/lib-1.jar".parse().unwrap(),
            sha256: Sha256::of(b"evil"),
            size: 4,
            origin: "central".to_owned(),
            reason: "changed".to_owned(),
            seen_at: now.duration_since(UNIX_EPOCH).unwrap().as_secs(),
        };
        index.record_quarantine(record).unwrap();
        let indexes = [index];
        let store = Store { blobs: &blobs, indexes: &indexes, in_use: None, stored_since: None, dry: false };
        let found = store.forget_set_aside(now).unwrap();
        assert_eq!((found.files.left, found.records_left, found.files.removed, found.records), (1, 1, 0, 0));
        let later = now + Duration::from_secs(366 * 86_400);
        let gone = Forgotten {
            files: Aside { removed: 1, removed_bytes: 6, ..Aside::default() },
            records: 1,
            records_left: 0,
        };
        let dry = Store { dry: true, ..store };
        assert_eq!(dry.forget_set_aside(later).unwrap(), gone);
        let store = Store { dry: false, ..dry };
        assert_eq!(store.forget_set_aside(later).unwrap(), gone);
        assert_eq!(store.forget_set_aside(later).unwrap(), Forgotten::default());
    }
}
