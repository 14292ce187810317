//! Damaged files that were moved aside: kept for whoever wants to look, and not for ever.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::BlobError;
use crate::store::{BlobStore, names_in};

/// Damaged files that are kept.
pub const CORRUPT_FILES: usize = 100;
/// How long one of them is kept, in seconds.
pub const CORRUPT_AGE_S: u64 = 90 * 86_400;

/// What became of the damaged files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Aside {
    /// Those that were removed, or would be.
    pub removed: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Those that are left.
    pub left: u64,
    /// Their bytes.
    pub left_bytes: u64,
}

struct Damaged {
    /// When it was moved aside, in seconds since 1970.
    since: u64,
    path: PathBuf,
    size: u64,
}

impl BlobStore {
    /// Removes those damaged files that were moved aside first, until [`CORRUPT_FILES`] are left, and those that were before
    /// [`CORRUPT_AGE_S`]; with `dry` it only says which. Nobody does so unless this is called: for a store whose files no other
    /// place has, they are the last that is left of them.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn forget_corrupt(&self, now: SystemTime, dry: bool) -> Result<Aside, BlobError> {
        let mut damaged = Vec::new();
        for path in names_in(&self.root().join("corrupt"))? {
            match fs::symlink_metadata(&path) {
                // Renaming changes this time and leaves alone the one of the bytes.
                Ok(file) if file.is_file() => {
                    damaged.push(Damaged { since: u64::try_from(file.ctime()).unwrap_or(0), path, size: file.len() });
                }
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(BlobError::io("look at", path)(error)),
            }
        }
        damaged.sort_by(|a, b| (a.since, &a.path).cmp(&(b.since, &b.path)));
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let times: Vec<u64> = damaged.iter().map(|file| file.since).collect();
        let going = going(&times, now);
        let mut found = Aside::default();
        for (at, file) in damaged.iter().enumerate() {
            if at >= going {
                found.left += 1;
                found.left_bytes = found.left_bytes.saturating_add(file.size);
                continue;
            }
            if !dry {
                match fs::remove_file(&file.path) {
                    Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                        return Err(BlobError::io("remove", &file.path)(error));
                    }
                    _ => tracing::info!(file.path = %file.path.display(), "a damaged file is kept no longer"),
                }
            }
            found.removed += 1;
            found.removed_bytes = found.removed_bytes.saturating_add(file.size);
        }
        Ok(found)
    }
}

/// How many of files that were moved aside at these times, in order, go.
fn going(times: &[u64], now: u64) -> usize {
    let too_many = times.len().saturating_sub(CORRUPT_FILES);
    let too_old = times.partition_point(|time| now.saturating_sub(*time) > CORRUPT_AGE_S);
    too_many.max(too_old)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_is_too_much_or_too_old_goes() {
        assert_eq!(going(&[], 0), 0);
        let now = 10 * CORRUPT_AGE_S;
        assert_eq!(going(&[now - CORRUPT_AGE_S, now], now), 0);
        assert_eq!(going(&[0, now - CORRUPT_AGE_S - 1, now], now), 2);
        assert_eq!(going(&[now + 1; 3], now), 0, "a clock that went back");
        assert_eq!(going(&vec![now; CORRUPT_FILES + 5], now), 5);
    }

    #[test]
    fn damaged_files_end() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(dir.path()).unwrap();
        for number in 0..CORRUPT_FILES + 2 {
            let digest = store.put_bytes(format!("number {number:3}").as_bytes()).unwrap().digests.sha256;
            std::fs::write(store.get(&digest).unwrap(), b"damaged").unwrap();
            assert!(matches!(store.check(&digest), Err(BlobError::Corrupt { .. })));
        }
        let now = SystemTime::now();
        let expected = Aside { removed: 2, removed_bytes: 14, left: 100, left_bytes: 700 };
        assert_eq!(store.forget_corrupt(now, true).unwrap(), expected);
        assert_eq!(store.forget_corrupt(now, false).unwrap(), expected);
        let rest = Aside { removed: 0, removed_bytes: 0, ..expected };
        assert_eq!(store.forget_corrupt(now, false).unwrap(), rest);
        let later = now + Duration::from_secs(CORRUPT_AGE_S + 3600);
        assert_eq!(store.forget_corrupt(later, false).unwrap().left, 0);
    }
}
