//! `index.db`: what the node has and what it has seen. When it is gone, what the ledger names comes back by being asked for; what
//! was seen first at other paths is seen anew.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use maven_layout::{ArtifactId, GroupId, RepoPath, Version};
use pyrsia_digest::{FileDigests, Sha256};
use rusqlite::Connection;

use crate::database::Database;
use crate::error::{Fault, StoreError};
use crate::index_rows::{
    FILE_COLUMNS, INDEX, complete, file, insert, parsed, record, recount, supersede, write_touches,
};
use crate::index_types::{FileRecord, LastUse, Pinned, QuarantineRecord, Quarantined};
use crate::ledger::MAX_ROWS;
use crate::values::{bound, collect, first, int, optional_uint, sha256, uint};

/// Paths whose last use is remembered in memory before it is written in one transaction.
const TOUCHES: usize = 256;
/// Paths remembered as absent: beyond this the ones that end first are forgotten.
const MAX_ABSENT: i64 = 200_000;
/// Records of bytes that are not served: beyond this those that were seen first are forgotten.
const MAX_QUARANTINE: i64 = 10_000;
/// How long such a record is kept, in seconds.
const QUARANTINE_AGE_S: u64 = 365 * 86_400;
/// After so many of them it is looked whether there are too many.
const COUNT_ABSENT: u64 = 1_000;

/// The index. Clones share it.
#[derive(Clone)]
pub struct IndexStore {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) db: Database,
    began_empty: bool,
    touched: Mutex<HashMap<RepoPath, u64>>,
    recorded_absent: AtomicU64,
}

impl IndexStore {
    /// Opens `index.db` in a directory, making both if needed. A damaged index is moved to `index.db.damaged`, and an
    /// empty one takes its place: see [`IndexStore::began_empty`].
    ///
    /// # Errors
    /// [`StoreError::Foreign`], [`StoreError::TooNew`], [`StoreError::Io`], [`StoreError::Busy`],
    /// [`StoreError::Sqlite`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, StoreError> {
        let dir = dir.as_ref();
        let path = dir.join(INDEX.file_name);
        let is_new = !path.exists();
        let (db, replaced) = Database::open_or_replace(dir, &INDEX)?;
        let began_empty = is_new || replaced;
        let inner = Inner { db, began_empty, touched: Mutex::default(), recorded_absent: AtomicU64::new(0) };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// True if the index held nothing when it was opened, because it was new or damaged. What the ledger names finds its way back
    /// when it is asked for; which bytes of other files were seen first is forgotten.
    pub fn began_empty(&self) -> bool {
        self.inner.began_empty
    }

    /// Runs synchronous calls on a blocking thread, for asynchronous callers.
    ///
    /// # Errors
    /// Those of `work`; [`StoreError::Stopped`] when the runtime is shutting down.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || work(&store)).await.map_err(|_| StoreError::Stopped)?
    }

    /// The file at a path.
    ///
    /// # Errors
    /// Errors of SQLite; so for all methods below.
    pub fn file(&self, path: &RepoPath) -> Result<Option<FileRecord>, StoreError> {
        let found = self.inner.db.read(|db| file(db, path))?;
        Ok(found.map(|mut record| {
            // What is not yet written counts too.
            if let Some(used) = self.touched().get(path) {
                record.last_use = record.last_use.max(*used);
            }
            record
        }))
    }

    /// Stores or replaces the file at a path. It is not absent any more. For files that may change, such as metadata.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn put_file(&self, record: FileRecord) -> Result<(), StoreError> {
        self.inner.db.write(move |db| insert(db, &record))
    }

    /// Stores or replaces many files in one transaction.
    ///
    /// # Errors
    /// Errors of SQLite; then none of them is stored.
    pub fn put_files(&self, records: Vec<FileRecord>) -> Result<(), StoreError> {
        self.inner.db.write(move |db| records.iter().try_for_each(|record| insert(db, record)))
    }

    /// Stores the file at a path unless the path has one: for files of a release, whose first seen bytes stay.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn pin_file(&self, record: FileRecord) -> Result<Pinned, StoreError> {
        self.inner.db.write(move |db| {
            Ok(match file(db, &record.path)? {
                None => {
                    insert(db, &record)?;
                    Pinned::New
                }
                Some(known) if known.digests.sha256 == record.digests.sha256 => Pinned::Same(known),
                Some(known) => Pinned::Other(known),
            })
        })
    }

    /// Records the digests of bytes of which the SHA-256 alone was known, under every path that has them.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn complete(&self, digests: FileDigests) -> Result<(), StoreError> {
        self.inner.db.write(move |db| complete(db, &digests))
    }

    /// Forgets the file at a path.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn remove_file(&self, path: &RepoPath) -> Result<(), StoreError> {
        let path = path.clone();
        self.inner.db.write(move |db| {
            supersede(db, &path, None)?;
            db.prepare_cached("DELETE FROM files WHERE path = ?1")?.execute([path.as_str()])?;
            Ok(())
        })
    }

    /// Notes that a file was served. Cheap: kept in memory and written a few hundred at a time.
    pub fn touch(&self, path: &RepoPath, now: u64) {
        let mut touched = self.touched();
        let used = touched.entry(path.clone()).or_default();
        *used = now.max(*used);
        if touched.len() >= TOUCHES {
            let batch = std::mem::take(&mut *touched);
            drop(touched);
            // A full queue loses some times of use, which only order the eviction of files.
            self.inner.db.try_write_later(move |db| write_touches(db, &batch));
        }
    }

    /// Writes the times of use that are in memory.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn flush(&self) -> Result<(), StoreError> {
        let batch = std::mem::take(&mut *self.touched());
        self.inner.db.write(move |db| write_touches(db, &batch))
    }

    /// Files in the order of their paths, after `after`, at most `max` and [`MAX_ROWS`].
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn files(&self, after: Option<&RepoPath>, max: usize) -> Result<Vec<FileRecord>, StoreError> {
        self.inner.db.read(|db| {
            let mut query =
                db.prepare_cached(&format!("SELECT {FILE_COLUMNS} FROM files WHERE path > ?1 ORDER BY path LIMIT ?2"))?;
            collect(query.query((after.map_or("", |p| p.as_str()), max.min(MAX_ROWS) as i64))?, record)
        })
    }

    /// Shows bytes in the order of their last use under any path, the longest unused first, from those last used at `from` (seconds
    /// since 1970) until `visit` has seen enough. A writer waits for no visitor.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn by_last_use(&self, from: u64, mut visit: impl FnMut(LastUse) -> ControlFlow<()>) -> Result<(), StoreError> {
        self.flush()?;
        self.inner.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT sha256, max(size), max(last_use) AS used FROM files GROUP BY sha256 HAVING used >= ?1
                 ORDER BY used, sha256",
            )?;
            let mut rows = query.query([bound(from)])?;
            while let Some(row) = rows.next()? {
                let used = LastUse { sha256: sha256(row, 0)?, size: uint(row, 1)?, last_use: uint(row, 2)? };
                if visit(used).is_break() {
                    break;
                }
            }
            Ok(())
        })
    }

    /// Bytes that some path had and no path has now, with their sizes.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn superseded(&self) -> Result<Vec<(Sha256, u64)>, StoreError> {
        self.inner.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT sha256, size FROM superseded WHERE NOT EXISTS (SELECT 1 FROM files WHERE files.sha256 = superseded.sha256)",
            )?;
            collect(query.query([])?, |row| Ok((sha256(row, 0)?, uint(row, 1)?)))
        })
    }

    /// Forgets that these bytes were superseded, after they were removed.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn forget_superseded(&self, removed: Vec<Sha256>) -> Result<(), StoreError> {
        self.inner.db.write(move |db| {
            let mut forget = db.prepare_cached("DELETE FROM superseded WHERE sha256 = ?1")?;
            for sha256 in &removed {
                forget.execute([sha256.as_bytes()])?;
            }
            Ok(())
        })
    }

    /// Number of files and the sum of their sizes in bytes; bytes under two paths count twice.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn totals(&self) -> Result<(u64, u64), StoreError> {
        self.inner.db.read(|db| {
            let mut query = db.prepare_cached("SELECT files, bytes FROM totals")?;
            let found = first(query.query([])?, |row| Ok((uint(row, 0)?, uint(row, 1)?)))?;
            Ok(found.unwrap_or_default())
        })
    }

    /// Looks at every page of the database and counts every file anew; true if a count was wrong, which is put right then. Takes
    /// seconds for each gigabyte.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], after which the next [`IndexStore::open`] begins a new one; errors of SQLite.
    pub fn examine(&self) -> Result<bool, StoreError> {
        self.flush()?;
        self.inner.db.check()?;
        self.inner.db.write(|db| recount(db))
    }

    /// True if some path has this blob: it must not be evicted on account of another path.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn uses_blob(&self, digest: &Sha256) -> Result<bool, StoreError> {
        self.inner.db.read(|db| {
            Ok(db.prepare_cached("SELECT 1 FROM files WHERE sha256 = ?1 LIMIT 1")?.exists([digest.as_bytes()])?)
        })
    }

    /// The versions of an artifact of which some file is here, in Maven's order, at most [`MAX_ROWS`].
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn versions(&self, group: &GroupId, artifact: &ArtifactId) -> Result<Vec<Version>, StoreError> {
        self.inner.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT DISTINCT version FROM files WHERE group_id = ?1 AND artifact_id = ?2 LIMIT ?3",
            )?;
            let mut versions: Vec<Version> =
                collect(query.query((group.as_str(), artifact.as_str(), MAX_ROWS as i64))?, |row| parsed(row, 0))?;
            versions.sort();
            Ok(versions)
        })
    }

    /// Until when a path is held to be absent at its origins, seconds since 1970; the caller compares with its clock.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn absent(&self, path: &RepoPath) -> Result<Option<u64>, StoreError> {
        self.inner.db.read(|db| {
            let mut query = db.prepare_cached("SELECT until FROM absent WHERE path = ?1")?;
            first(query.query([path.as_str()])?, |row| uint(row, 0))
        })
    }

    /// Holds a path to be absent until a time, seconds since 1970. What ended before `now` is forgotten.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn put_absent(&self, path: &RepoPath, now: u64, until: u64) -> Result<(), StoreError> {
        let path = path.clone();
        let recorded = self.inner.recorded_absent.fetch_add(1, Ordering::Relaxed);
        self.inner.db.write(move |db| {
            db.prepare_cached("DELETE FROM absent WHERE until < ?1")?.execute([bound(now)])?;
            db.prepare_cached("INSERT OR REPLACE INTO absent (path, until) VALUES (?1, ?2)")?
                .execute((path.as_str(), int(until)?))?;
            // Counting all of them takes longer than everything else here.
            if recorded.is_multiple_of(COUNT_ABSENT) {
                db.prepare_cached(
                    "DELETE FROM absent WHERE path IN
                     (SELECT path FROM absent ORDER BY until LIMIT max(0, (SELECT count(*) FROM absent) - ?1))",
                )?
                .execute([MAX_ABSENT])?;
            }
            Ok(())
        })
    }

    /// Forgets that any path is absent, e.g. after the origins were changed.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn clear_absent(&self) -> Result<(), StoreError> {
        self.inner.db.write(|db| {
            db.execute("DELETE FROM absent", [])?;
            Ok(())
        })
    }

    /// Records bytes that are not served. Of more than 10,000 records those of the first sight make room, and so do those that
    /// are older than a year.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn record_quarantine(&self, record: QuarantineRecord) -> Result<Quarantined, StoreError> {
        self.inner.db.write(move |db| {
            let changed = db
                .prepare_cached(
                    "INSERT OR IGNORE INTO quarantine (path, sha256, size, origin, reason, seen_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                )?
                .execute((
                    record.path.as_str(),
                    record.sha256.as_bytes(),
                    int(record.size)?,
                    &record.origin,
                    &record.reason,
                    int(record.seen_at)?,
                ))?;
            let forgotten = if changed > 0 { forget_quarantine(db, record.seen_at)? } else { 0 };
            Ok(Quarantined { new: changed > 0, forgotten })
        })
    }

    /// Forgets the records that are too many or too old at this time, seconds since 1970; with `dry` it only counts. Gives how
    /// many go, and how many are left.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn forget_quarantined(&self, now: u64, dry: bool) -> Result<(u64, u64), StoreError> {
        let count = move |db: &Connection| -> Result<(u64, u64), Fault> {
            let mut query = db.prepare_cached("SELECT count(*), sum(seen_at < ?1) FROM quarantine")?;
            let limit = bound(now.saturating_sub(QUARANTINE_AGE_S));
            let (all, old) =
                first(query.query([limit])?, |row| Ok((uint(row, 0)?, optional_uint(row, 1)?)))?.unwrap_or_default();
            let going = old.unwrap_or_default().max(all.saturating_sub(MAX_QUARANTINE.unsigned_abs()));
            Ok((going, all - going))
        };
        if dry {
            return self.inner.db.read(count);
        }
        self.inner.db.write(move |db| {
            let counted = count(db)?;
            if counted.0 > 0 {
                forget_quarantine(db, now)?;
            }
            Ok(counted)
        })
    }

    /// What is in quarantine, the latest first, at most [`MAX_ROWS`].
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn quarantined(&self) -> Result<Vec<QuarantineRecord>, StoreError> {
        self.inner.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT path, sha256, size, origin, reason, seen_at FROM quarantine
                 ORDER BY seen_at DESC, path LIMIT ?1",
            )?;
            collect(query.query([MAX_ROWS as i64])?, |row| {
                Ok(QuarantineRecord {
                    path: parsed(row, 0)?,
                    sha256: sha256(row, 1)?,
                    size: uint(row, 2)?,
                    origin: row.get(3)?,
                    reason: row.get(4)?,
                    seen_at: uint(row, 5)?,
                })
            })
        })
    }

    pub(crate) fn db(&self) -> &Database {
        &self.inner.db
    }

    fn touched(&self) -> std::sync::MutexGuard<'_, HashMap<RepoPath, u64>> {
        self.inner.touched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Forgets what is too old at this time and then, of what is too much, what was seen first; how many records.
fn forget_quarantine(db: &Connection, now: u64) -> Result<u64, Fault> {
    let old = db
        .prepare_cached("DELETE FROM quarantine WHERE seen_at < ?1")?
        .execute([bound(now.saturating_sub(QUARANTINE_AGE_S))])?;
    let many = db
        .prepare_cached(
            "DELETE FROM quarantine WHERE (path, sha256) IN
             (SELECT path, sha256 FROM quarantine ORDER BY seen_at, path, sha256
              LIMIT max(0, (SELECT count(*) FROM quarantine) - ?1))",
        )?
        .execute([MAX_QUARANTINE])?;
    Ok((old + many) as u64)
}

impl Drop for Inner {
    fn drop(&mut self) {
        let batch = std::mem::take(&mut *self.touched.lock().unwrap_or_else(PoisonError::into_inner));
        if !batch.is_empty() {
            self.db.try_write_later(move |db| write_touches(db, &batch));
        }
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
