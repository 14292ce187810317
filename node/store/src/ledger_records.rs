//! What `ledger.db` keeps beside the log: signatures, named values, secrets, entries on their way.

use pyrsia_digest::Sha256;

use crate::ledger::rows;
use crate::ledger_types::KeyedBytes;
use crate::values::{bound, collect, first, int, sha256, uint};
use crate::{LedgerStore, MAX_ROWS, StoreError};

impl LedgerStore {
    /// Stores a cosignature of the checkpoint of this size, unless the key has one there: returns the one that is
    /// stored now, which is the only one that may be shown to others.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn put_cosignature(&self, log_size: u64, key: [u8; 32], bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        self.db.write(move |db| {
            db.prepare_cached("INSERT OR IGNORE INTO cosignatures (log_size, key, bytes) VALUES (?1, ?2, ?3)")?
                .execute((int(log_size)?, key, &bytes))?;
            let mut query = db.prepare_cached("SELECT bytes FROM cosignatures WHERE log_size = ?1 AND key = ?2")?;
            Ok(query.query_row((int(log_size)?, key), |row| row.get(0))?)
        })
    }

    /// All cosignatures of the checkpoint of this size, by key.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn cosignatures(&self, log_size: u64) -> Result<Vec<KeyedBytes>, StoreError> {
        self.db.read(|db| {
            let mut query =
                db.prepare_cached("SELECT key, bytes FROM cosignatures WHERE log_size = ?1 ORDER BY key LIMIT ?2")?;
            collect(query.query((int(log_size)?, rows(MAX_ROWS)))?, |row| Ok((row.get(0)?, row.get(1)?)))
        })
    }

    /// Stores or replaces the certificate of the checkpoint of this size.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn put_certificate(&self, log_size: u64, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.db.write(move |db| {
            db.prepare_cached("INSERT OR REPLACE INTO certificates (log_size, bytes) VALUES (?1, ?2)")?
                .execute((int(log_size)?, bytes))?;
            Ok(())
        })
    }

    /// Stores or replaces, in one transaction, the certificate of the checkpoint of this size and, if there is one, that
    /// of the block that ends there.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn put_certificates(
        &self,
        log_size: u64,
        checkpoint: Vec<u8>,
        block: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        self.db.write(move |db| {
            db.prepare_cached("INSERT OR REPLACE INTO certificates (log_size, bytes) VALUES (?1, ?2)")?
                .execute((int(log_size)?, checkpoint))?;
            if let Some(block) = block {
                db.prepare_cached("INSERT OR REPLACE INTO block_certificates (log_size, bytes) VALUES (?1, ?2)")?
                    .execute((int(log_size)?, block))?;
            }
            Ok(())
        })
    }

    /// The certificate of the largest block that ends at `log_size` or before it, with the size.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn block_certificate_at_or_before(&self, log_size: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        self.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT log_size, bytes FROM block_certificates WHERE log_size <= ?1 ORDER BY log_size DESC LIMIT 1",
            )?;
            first(query.query([bound(log_size)])?, |row| Ok((uint(row, 0)?, row.get(1)?)))
        })
    }

    /// The certificate of the smallest block that ends at `log_size` or after it, with the size.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn block_certificate_at_or_after(&self, log_size: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        self.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT log_size, bytes FROM block_certificates WHERE log_size >= ?1 ORDER BY log_size LIMIT 1",
            )?;
            first(query.query([bound(log_size)])?, |row| Ok((uint(row, 0)?, row.get(1)?)))
        })
    }

    /// The certificate of the checkpoint of exactly this size.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn certificate(&self, log_size: u64) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.certificate_at_or_after(log_size)?.filter(|(size, _)| *size == log_size).map(|(_, bytes)| bytes))
    }

    /// The certificate of the smallest checkpoint of at least this size, with its size: the first that proves it.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn certificate_at_or_after(&self, log_size: u64) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        self.db.read(|db| {
            let mut query = db.prepare_cached(
                "SELECT log_size, bytes FROM certificates WHERE log_size >= ?1 ORDER BY log_size LIMIT 1",
            )?;
            first(query.query([bound(log_size)])?, |row| Ok((uint(row, 0)?, row.get(1)?)))
        })
    }

    /// The certificate of the largest checkpoint, with its size.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn latest_certificate(&self) -> Result<Option<(u64, Vec<u8>)>, StoreError> {
        self.db.read(|db| {
            let mut query =
                db.prepare_cached("SELECT log_size, bytes FROM certificates ORDER BY log_size DESC LIMIT 1")?;
            first(query.query([])?, |row| Ok((uint(row, 0)?, row.get(1)?)))
        })
    }

    /// Stores or replaces a named value.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn put_meta(&self, name: &str, value: Vec<u8>) -> Result<(), StoreError> {
        let name = name.to_owned();
        self.db.write(move |db| {
            db.prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?.execute((name, value))?;
            Ok(())
        })
    }

    /// A named value.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn get_meta(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.read(|db| {
            let mut query = db.prepare_cached("SELECT value FROM meta WHERE name = ?1")?;
            first(query.query([name])?, |row| Ok(row.get(0)?))
        })
    }

    /// Stores a secret, on the disk when this returns, unless the key has one: returns the one that is stored now. So
    /// a node that starts again commits to the result that it committed to before.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn put_private(&self, key: &[u8], value: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let key = key.to_vec();
        self.db.write(move |db| {
            db.prepare_cached("INSERT OR IGNORE INTO private (key, value) VALUES (?1, ?2)")?.execute((&key, &value))?;
            let mut query = db.prepare_cached("SELECT value FROM private WHERE key = ?1")?;
            Ok(query.query_row([&key], |row| row.get(0))?)
        })
    }

    /// A secret.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn get_private(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.read(|db| {
            let mut query = db.prepare_cached("SELECT value FROM private WHERE key = ?1")?;
            first(query.query([key])?, |row| Ok(row.get(0)?))
        })
    }

    /// Forgets a secret that is no longer needed.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn delete_private(&self, key: &[u8]) -> Result<(), StoreError> {
        let key = key.to_vec();
        self.db.write(move |db| {
            db.prepare_cached("DELETE FROM private WHERE key = ?1")?.execute([&key])?;
            Ok(())
        })
    }

    /// Remembers an entry until a block holds it. One that is in the log or pending already changes nothing.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn put_pending(&self, digest: Sha256, bytes: Vec<u8>) -> Result<(), StoreError> {
        self.db.write(move |db| {
            db.prepare_cached(
                "INSERT OR IGNORE INTO pending (digest, bytes) SELECT ?1, ?2
                 WHERE NOT EXISTS (SELECT 1 FROM leaves WHERE entry_digest = ?1)",
            )?
            .execute((digest.as_bytes(), bytes))?;
            Ok(())
        })
    }

    /// Entries that no block holds yet, the oldest first, at most [`MAX_ROWS`].
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn pending_entries(&self) -> Result<Vec<(Sha256, Vec<u8>)>, StoreError> {
        self.db.read(|db| {
            let mut query = db.prepare_cached("SELECT digest, bytes FROM pending ORDER BY sequence LIMIT ?1")?;
            collect(query.query([rows(MAX_ROWS)])?, |row| Ok((sha256(row, 0)?, row.get(1)?)))
        })
    }

    /// Forgets a pending entry, e.g. one that was refused.
    ///
    /// # Errors
    /// Errors of SQLite.
    pub fn delete_pending(&self, digest: Sha256) -> Result<(), StoreError> {
        self.db.write(move |db| {
            db.prepare_cached("DELETE FROM pending WHERE digest = ?1")?.execute([digest.as_bytes()])?;
            Ok(())
        })
    }
}
