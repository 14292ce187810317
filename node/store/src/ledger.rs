//! `ledger.db`.

use std::path::Path;
use std::sync::Arc;

use pyrsia_digest::Sha256;
use rusqlite::Row;

use crate::StoreError;
use crate::append;
use crate::database::Database;
use crate::error::Fault;
use crate::ledger_schema::LEDGER;
use crate::ledger_types::{Appended, BlockRecord, Head, LeafRecord, StoredBlock};
use crate::values::{bound, collect, first, int, optional_sha256, sha256, uint};

/// Most rows that one call returns; ask again from where the last answer ended.
pub const MAX_ROWS: usize = 4096;

/// The ledger's database. Clones share it; the last one to go waits for the writes that are queued.
#[derive(Clone)]
pub struct LedgerStore {
    pub(crate) db: Arc<Database>,
}

impl LedgerStore {
    /// Opens `ledger.db` in a directory, making both if needed.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`], [`StoreError::Foreign`], [`StoreError::TooNew`]: the file is left as it is.
    /// [`StoreError::Io`], [`StoreError::Busy`], [`StoreError::Sqlite`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, StoreError> {
        Ok(Self { db: Arc::new(Database::open(dir.as_ref(), &LEDGER)?) })
    }

    /// Runs synchronous calls on a blocking thread, for asynchronous callers.
    ///
    /// # Errors
    /// Those of `work`; [`StoreError::Stopped`] when the runtime is shutting down. A write that was queued before the
    /// returned future was dropped is carried out all the same.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || work(&store)).await.map_err(|_| StoreError::Stopped)?
    }

    /// Stores a block with its batch, entries, leaves, tree nodes and frontier in one transaction, on the disk when
    /// this returns. Entries among the leaves are no longer pending.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if another batch is stored under its number or an entry is in the log already,
    /// [`StoreError::OutOfOrder`] if it does not follow the last block, errors of SQLite. Nothing is stored then.
    pub fn append_block(&self, record: BlockRecord) -> Result<Appended, StoreError> {
        self.db.write(move |db| append::append_block(db, &record))
    }

    /// Moves the cursor over a batch from which nothing was accepted.
    ///
    /// # Errors
    /// As [`LedgerStore::append_block`].
    pub fn append_empty_batch(&self, session: u64, index: u64, digest: Sha256) -> Result<Appended, StoreError> {
        self.db.write(move |db| append::append_batch(db, session, index, &digest))
    }

    /// Digest of a batch that was dealt with, also of one that made no block.
    ///
    /// # Errors
    /// Errors of SQLite; so for all queries below.
    pub fn batch(&self, session: u64, index: u64) -> Result<Option<Sha256>, StoreError> {
        self.db.read(|db| append::batch(db, session, index))
    }

    /// Session and number of the last batch that was dealt with.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn cursor(&self) -> Result<Option<(u64, u64)>, StoreError> {
        self.db.read(append::cursor)
    }

    /// The last block.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn head(&self) -> Result<Option<Head>, StoreError> {
        self.db.read(append::head)
    }

    /// Blocks with their entries from a height on, in order: what a node replays when it starts. At most `max` and
    /// [`MAX_ROWS`] blocks.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn blocks(&self, from_height: u64, max: usize) -> Result<Vec<StoredBlock>, StoreError> {
        self.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT height, hash, bytes, session, batch_index, log_size FROM blocks
                 WHERE height >= ?1 ORDER BY height LIMIT ?2",
            )?;
            let mut entries = db.prepare_cached("SELECT bytes FROM entries WHERE height = ?1 ORDER BY sequence")?;
            collect(query.query((bound(from_height), rows(max)))?, |row| {
                let height = uint(row, 0)?;
                Ok(StoredBlock {
                    height,
                    block_hash: sha256(row, 1)?,
                    block_bytes: row.get(2)?,
                    session: uint(row, 3)?,
                    batch_index: uint(row, 4)?,
                    log_size: uint(row, 5)?,
                    entries: collect(entries.query([int(height)?])?, |row| Ok(row.get(0)?))?,
                })
            })
        })
    }

    /// The headers of blocks from a height on, in order, without their entries: (log size after it, canonical bytes). At
    /// most `max` and [`MAX_ROWS`].
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn block_headers(&self, from_height: u64, max: usize) -> Result<Vec<(u64, Vec<u8>)>, StoreError> {
        self.db.read(|db| {
            let mut query =
                db.prepare_cached("SELECT log_size, bytes FROM blocks WHERE height >= ?1 ORDER BY height LIMIT ?2")?;
            collect(query.query((bound(from_height), rows(max)))?, |row| Ok((uint(row, 0)?, row.get(1)?)))
        })
    }

    /// The block that a batch made; none if it made none or was not dealt with.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn block_of_batch(&self, session: u64, index: u64) -> Result<Option<StoredBlock>, StoreError> {
        let height = self.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT height FROM blocks WHERE session = ?1 AND batch_index = ?2 ORDER BY height LIMIT 1",
            )?;
            first(query.query((int(session)?, int(index)?))?, |row| uint(row, 0))
        })?;
        match height {
            Some(height) => Ok(self.blocks(height, 1)?.pop()),
            None => Ok(None),
        }
    }

    /// The batch that was dealt with next after this number, be it stored or not: session, number, digest.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn batch_after(&self, session: u64, index: u64) -> Result<Option<(u64, u64, Sha256)>, StoreError> {
        self.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT session, batch_index, digest FROM batches WHERE (session, batch_index) > (?1, ?2)
                 ORDER BY session, batch_index LIMIT 1",
            )?;
            first(query.query((bound(session), bound(index)))?, |row| {
                Ok((uint(row, 0)?, uint(row, 1)?, sha256(row, 2)?))
            })
        })
    }

    /// The block after which the log had at least this many leaves: the one that holds leaf `log_size - 1`.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn block_covering(&self, log_size: u64) -> Result<Option<StoredBlock>, StoreError> {
        let height = self.db.read(|db| {
            let mut query = db.prepare_cached("SELECT min(height) FROM blocks WHERE log_size >= ?1")?;
            let height: Option<i64> = query.query_row([bound(log_size)], |row| row.get(0))?;
            Ok(height)
        })?;
        let Some(height) = height.and_then(|h| u64::try_from(h).ok()) else {
            return Ok(None);
        };
        Ok(self.blocks(height, 1)?.pop())
    }

    /// Leaves in order from an index on, at most `max` and [`MAX_ROWS`].
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn leaves(&self, from: u64, max: usize) -> Result<Vec<LeafRecord>, StoreError> {
        self.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT leaf_index, bytes, entry_digest FROM leaves
                 WHERE leaf_index >= ?1 ORDER BY leaf_index LIMIT ?2",
            )?;
            collect(query.query((bound(from), rows(max)))?, leaf)
        })
    }

    /// One leaf.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn leaf(&self, index: u64) -> Result<Option<LeafRecord>, StoreError> {
        self.db.read(|db| {
            let mut query =
                db.prepare_cached("SELECT leaf_index, bytes, entry_digest FROM leaves WHERE leaf_index = ?1")?;
            first(query.query([int(index)?])?, leaf)
        })
    }

    /// Index of the leaf that is this entry.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn leaf_of_entry(&self, entry_digest: &Sha256) -> Result<Option<u64>, StoreError> {
        self.db.read(|db| {
            let mut query = db.prepare_cached("SELECT leaf_index FROM leaves WHERE entry_digest = ?1")?;
            first(query.query([entry_digest.as_bytes()])?, |row| uint(row, 0))
        })
    }

    /// A complete node of the log's tree.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn node(&self, level: u8, index: u64) -> Result<Option<Sha256>, StoreError> {
        self.db.read(|db| {
            let mut query = db.prepare_cached("SELECT hash FROM nodes WHERE level = ?1 AND node_index = ?2")?;
            first(query.query((i64::from(level), int(index)?))?, |row| sha256(row, 0))
        })
    }

    /// Complete nodes of one level in order, from an index on, at most `max` and [`MAX_ROWS`]: a row of a tile.
    ///
    /// # Errors
    /// Errors of SQLite; [`StoreError::Corrupt`] if one is missing in between.
    pub fn nodes(&self, level: u8, from: u64, max: usize) -> Result<Vec<Sha256>, StoreError> {
        self.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT node_index, hash FROM nodes WHERE level = ?1 AND node_index >= ?2 ORDER BY node_index LIMIT ?3",
            )?;
            let mut expected = from;
            collect(query.query((i64::from(level), bound(from), rows(max)))?, |row| {
                if uint(row, 0)? != expected {
                    return Err(Fault::Corrupt(format!("tree node {expected} of level {level} is missing")));
                }
                expected += 1;
                sha256(row, 1)
            })
        })
    }

    /// The file of the database.
    pub fn path(&self) -> &Path {
        self.db.path()
    }
}

fn leaf(row: &Row<'_>) -> Result<LeafRecord, Fault> {
    Ok(LeafRecord { index: uint(row, 0)?, bytes: row.get(1)?, entry_digest: optional_sha256(row, 2)? })
}

/// A row limit as SQLite takes it.
pub(crate) fn rows(max: usize) -> i64 {
    max.min(MAX_ROWS) as i64
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
