//! `served.db`: which release files were handed out, marked with what, and which were not and why; by days.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;

use crate::database::{Database, Schema, WholeCheck};
use crate::error::{Fault, StoreError};
use crate::ledger::MAX_ROWS;
use crate::values::{bound, collect, first, int, uint};

const SERVED: Schema = Schema {
    file_name: "served.db",
    application_id: 0x5059_5356, // "PYSV"
    // A power cut may cost the last counts, never the database.
    synchronous: "NORMAL",
    migrations: &[VERSION_1],
    whole_check: WholeCheck::UpTo(64 << 20),
};

const VERSION_1: &str = "
CREATE TABLE served (
    release  TEXT NOT NULL,           -- group:artifact:version
    name     TEXT NOT NULL,           -- of the file
    withheld INTEGER NOT NULL CHECK (withheld IN (0, 1)),
    outcome  TEXT NOT NULL,           -- provenance, or reason
    day      INTEGER NOT NULL,        -- since 1970, UTC
    times    INTEGER NOT NULL,
    last     INTEGER NOT NULL,
    PRIMARY KEY (release, name, withheld, outcome, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX served_by_day ON served (day);
";

/// Counts in memory before they are written in one transaction.
const PENDING: usize = 256;
/// Counts in memory while the disk does not keep up; beyond this, new ones are lost.
const MOST_PENDING: usize = 8 * 1024;
/// Rows that are kept: beyond this the oldest days go.
const MOST_ROWS: i64 = 500_000;
/// After so many writes it is looked whether there are too many rows.
const PRUNED: u64 = 64;
/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// One file with one outcome.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServedFile {
    /// The release, as `group:artifact:version`.
    pub release: String,
    /// The file's name.
    pub name: String,
    /// Withheld, not handed out.
    pub withheld: bool,
    /// The provenance, or the reason.
    pub outcome: &'static str,
}

/// Different files and requests with one outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedTotal {
    /// Withheld, not handed out.
    pub withheld: bool,
    /// The provenance, or the reason.
    pub outcome: String,
    /// Different files.
    pub files: u64,
    /// Requests.
    pub times: u64,
}

/// What was asked of one release with one outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedLine {
    /// The release, as `group:artifact:version`.
    pub release: String,
    /// Files, requests, and how it ended.
    pub total: ServedTotal,
    /// When it was asked for last, seconds since 1970.
    pub last: u64,
}

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedSummary {
    /// By outcome.
    pub totals: Vec<ServedTotal>,
    /// By release and outcome, in the order of the releases' names.
    pub lines: Vec<ServedLine>,
    /// Lines in all, of which `lines` may be the first ones.
    pub count: u64,
}

/// The counts. Clones share them.
#[derive(Clone)]
pub struct ServedStore {
    inner: Arc<Inner>,
}

struct Inner {
    db: Database,
    /// How often and when last, by file and day: what is not yet written.
    pending: Mutex<Counts>,
    writes: AtomicU64,
}

type Counts = HashMap<(ServedFile, u64), (u64, u64)>;

/// Adds to the counts, unless there are too many.
fn add(counts: &mut Counts, key: (ServedFile, u64), times: u64, last: u64) {
    let full = counts.len() >= MOST_PENDING && !counts.contains_key(&key);
    if !full {
        let (sum, latest) = counts.entry(key).or_default();
        *sum = sum.saturating_add(times);
        *latest = last.max(*latest);
    }
}

impl ServedStore {
    /// Opens `served.db` in a directory, making both if needed. A damaged one is moved to `served.db.damaged`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, StoreError> {
        let (db, _) = Database::open_or_replace(dir.as_ref(), &SERVED)?;
        db.write(|db| prune(db, MOST_ROWS))?;
        Ok(Self { inner: Arc::new(Inner { db, pending: Mutex::default(), writes: AtomicU64::new(0) }) })
    }

    /// Counts requests for a file. Cheap: kept in memory and written a few hundred at a time, or by [`ServedStore::flush`].
    pub fn count(&self, file: ServedFile, times: u64, now: u64) {
        let mut pending = self.inner.pending();
        add(&mut pending, (file, now / DAY_S), times, now);
        if pending.len() < PENDING {
            return;
        }
        let batch = Arc::new(std::mem::take(&mut *pending));
        drop(pending);
        let (queued, prunes) = (Arc::clone(&batch), self.inner.is_pruned_now());
        let accepted = self.inner.db.try_write_later(move |db| write(db, &queued, prunes));
        if !accepted {
            // The disk has other things to do: next time.
            let mut pending = self.inner.pending();
            for ((file, day), (times, last)) in batch.iter() {
                add(&mut pending, (file.clone(), *day), *times, *last);
            }
        }
    }

    /// Writes the counts that are in memory.
    ///
    /// # Errors
    /// Errors of SQLite; so for all methods below.
    pub fn flush(&self) -> Result<(), StoreError> {
        self.inner.flush()
    }

    /// What was asked for since the day of this time, with at most `max` lines (and [`MAX_ROWS`]).
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn summary(&self, since: Option<u64>, max: usize) -> Result<ServedSummary, StoreError> {
        self.flush()?;
        let day = bound(since.unwrap_or(0) / DAY_S);
        self.inner.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT withheld, outcome, count(DISTINCT release || '/' || name), sum(times) FROM served
                 WHERE day >= ?1 GROUP BY withheld, outcome ORDER BY withheld, outcome",
            )?;
            let totals = collect(query.query([day])?, |row| {
                Ok(ServedTotal {
                    withheld: row.get(0)?,
                    outcome: row.get(1)?,
                    files: uint(row, 2)?,
                    times: uint(row, 3)?,
                })
            })?;
            let mut query = db.prepare_cached(
                "SELECT count(*) FROM (SELECT DISTINCT release, withheld, outcome FROM served WHERE day >= ?1)",
            )?;
            let count = first(query.query([day])?, |row| uint(row, 0))?.unwrap_or_default();
            let mut query = db.prepare_cached(
                "SELECT release, withheld, outcome, count(DISTINCT name), sum(times), max(last) FROM served
                 WHERE day >= ?1 GROUP BY release, withheld, outcome ORDER BY release, withheld, outcome LIMIT ?2",
            )?;
            let lines = collect(query.query((day, max.min(MAX_ROWS) as i64))?, |row| {
                let (withheld, outcome) = (row.get(1)?, row.get(2)?);
                let total = ServedTotal { withheld, outcome, files: uint(row, 3)?, times: uint(row, 4)? };
                Ok(ServedLine { release: row.get(0)?, total, last: uint(row, 5)? })
            })?;
            Ok(ServedSummary { totals, lines, count })
        })
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
}

impl Inner {
    fn pending(&self) -> MutexGuard<'_, Counts> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_pruned_now(&self) -> bool {
        self.writes.fetch_add(1, Ordering::Relaxed) % PRUNED == PRUNED - 1
    }

    fn flush(&self) -> Result<(), StoreError> {
        let batch = std::mem::take(&mut *self.pending());
        if batch.is_empty() {
            return Ok(());
        }
        let prunes = self.is_pruned_now();
        self.db.write(move |db| write(db, &batch, prunes))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            tracing::warn!(%error, "the last counts of what was served are lost");
        }
    }
}

fn write(db: &Connection, batch: &Counts, prunes: bool) -> Result<(), Fault> {
    let mut insert = db.prepare_cached(
        "INSERT INTO served (release, name, withheld, outcome, day, times, last) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT DO UPDATE SET times = times + excluded.times, last = max(last, excluded.last)",
    )?;
    for ((file, day), (times, last)) in batch {
        let (times, last) = (int(*times)?, int(*last)?);
        insert.execute((&file.release, &file.name, file.withheld, file.outcome, int(*day)?, times, last))?;
    }
    if prunes { prune(db, MOST_ROWS) } else { Ok(()) }
}

/// Takes whole days away, the oldest first, until there are few enough rows. Today's stay: a report that lacks some of a
/// day's files would say that they had not been served.
fn prune(db: &Connection, most: i64) -> Result<(), Fault> {
    loop {
        let rows: i64 = db.query_row("SELECT count(*) FROM served", [], |row| row.get(0))?;
        let days: i64 = db.query_row("SELECT count(DISTINCT day) FROM served", [], |row| row.get(0))?;
        if rows <= most || days <= 1 {
            return Ok(());
        }
        db.execute("DELETE FROM served WHERE day = (SELECT min(day) FROM served)", [])?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(release: &str, name: &str, outcome: &'static str) -> ServedFile {
        ServedFile { release: release.to_owned(), name: name.to_owned(), withheld: false, outcome }
    }

    fn counts(summary: &ServedSummary) -> Vec<(&str, u64, u64)> {
        summary.totals.iter().map(|total| (total.outcome.as_str(), total.files, total.times)).collect()
    }

    #[test]
    fn files_and_requests_are_counted_by_outcome_and_release() {
        let dir = tempfile::tempdir().unwrap();
        let store = ServedStore::open(dir.path()).unwrap();
        let now = 100 * DAY_S;
        store.count(file("a:b:1", "b-1.jar", "verified"), 1, now);
        store.count(file("a:b:1", "b-1.jar", "verified"), 41, now + 5);
        store.count(file("a:b:1", "b-1.pom", "verified"), 1, now);
        store.count(file("a:b:1", "b-1-sources.jar", "unverified"), 2, now);
        store.count(ServedFile { withheld: true, ..file("a:c:1", "c-1.jar", "unverified") }, 3, now);
        let summary = store.summary(None, 100).unwrap();
        assert_eq!(counts(&summary), [("unverified", 1, 2), ("verified", 2, 43), ("unverified", 1, 3)]);
        let lines: Vec<_> =
            summary.lines.iter().map(|line| (line.release.as_str(), line.total.times, line.last)).collect();
        assert_eq!(lines, [("a:b:1", 2, now), ("a:b:1", 43, now + 5), ("a:c:1", 3, now)]);
        let one = store.summary(None, 1).unwrap();
        assert_eq!((one.lines.len(), one.count), (1, 3));
    }

    #[test]
    fn days_are_kept_apart_and_outlast_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let store = ServedStore::open(dir.path()).unwrap();
        for (day, times) in [(10, 1), (11, 10), (12, 100)] {
            store.count(file("a:b:1", "b-1.jar", "verified"), times, day * DAY_S + 7);
        }
        drop(store);
        let store = ServedStore::open(dir.path()).unwrap();
        assert_eq!(counts(&store.summary(None, 10).unwrap()), [("verified", 1, 111)]);
        assert_eq!(counts(&store.summary(Some(11 * DAY_S + 80_000), 10).unwrap()), [("verified", 1, 110)]);
        assert_eq!(counts(&store.summary(Some(13 * DAY_S), 10).unwrap()), []);
    }

    #[test]
    fn damaged_counts_are_moved_aside() {
        let dir = tempfile::tempdir().unwrap();
        drop(ServedStore::open(dir.path()).unwrap());
        std::fs::write(dir.path().join("served.db"), "no database at all, whoever wrote it").unwrap();
        let store = ServedStore::open(dir.path()).unwrap();
        assert_eq!(store.summary(None, 10).unwrap().count, 0);
        assert!(dir.path().join("served.db.damaged").exists());
    }

    #[test]
    fn memory_and_rows_have_a_bound() {
        let dir = tempfile::tempdir().unwrap();
        let store = ServedStore::open(dir.path()).unwrap();
        for number in 0..1000u64 {
            store.count(file(&format!("a:b:{number}"), "b.jar", "verified"), 1, (number / 100) * DAY_S);
            assert!(store.inner.pending().len() <= PENDING);
        }
        store.flush().unwrap();
        store.inner.db.write(|db| prune(db, 250)).unwrap();
        let summary = store.summary(None, 10).unwrap();
        assert_eq!(summary.count, 200, "whole days, the oldest first");
        store.inner.db.write(|db| prune(db, 1)).unwrap();
        assert_eq!(store.summary(None, 10).unwrap().count, 100, "the last day stays");
        let mut full = Counts::new();
        for number in 0..MOST_PENDING + 9 {
            add(&mut full, (file("a:b:1", &number.to_string(), "verified"), 1), 1, 1);
        }
        assert_eq!(full.len(), MOST_PENDING);
    }
}
