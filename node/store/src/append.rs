//! The transactions that move the ledger forward. Everything is checked against what is stored, inside them.

use pyrsia_digest::Sha256;
use rusqlite::Connection;

use crate::error::{Fault, StoreError};
use crate::ledger_types::{Appended, BlockRecord, Head};
use crate::values::{first, int, sha256, uint};

/// Stores a block and all that belongs to it.
pub(crate) fn append_block(db: &Connection, record: &BlockRecord) -> Result<Appended, Fault> {
    if append_batch(db, record.session, record.batch_index, &record.batch_digest)? == Appended::AlreadyStored {
        return Ok(Appended::AlreadyStored);
    }
    let head = head(db)?;
    check_follows(head.as_ref(), record)?;
    let log_size = head.map_or(0, |h| h.log_size) + record.leaves.len() as u64;
    db.prepare_cached(
        "INSERT INTO blocks (height, hash, bytes, session, batch_index, log_size, frontier)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute((
        int(record.height)?,
        record.block_hash.as_bytes(),
        &record.block_bytes,
        int(record.session)?,
        int(record.batch_index)?,
        int(log_size)?,
        &record.frontier_bytes,
    ))?;
    let mut insert = db.prepare_cached("INSERT INTO entries (height, bytes) VALUES (?1, ?2)")?;
    for entry in &record.entries {
        insert.execute((int(record.height)?, entry))?;
    }
    let mut insert = db.prepare_cached("INSERT INTO leaves (leaf_index, bytes, entry_digest) VALUES (?1, ?2, ?3)")?;
    let mut known = db.prepare_cached("SELECT 1 FROM leaves WHERE entry_digest = ?1")?;
    let mut settled = db.prepare_cached("DELETE FROM pending WHERE digest = ?1")?;
    for leaf in &record.leaves {
        if let Some(digest) = &leaf.entry_digest {
            if known.exists([digest.as_bytes()])? {
                return Err(StoreError::Conflict { what: format!("entry {digest}") }.into());
            }
            settled.execute([digest.as_bytes()])?;
        }
        insert.execute((int(leaf.index)?, &leaf.bytes, leaf.entry_digest.as_ref().map(Sha256::as_bytes)))?;
    }
    let mut insert = db.prepare_cached("INSERT INTO nodes (level, node_index, hash) VALUES (?1, ?2, ?3)")?;
    for (level, index, hash) in &record.nodes {
        insert.execute((i64::from(*level), int(*index)?, hash.as_bytes()))?;
    }
    Ok(Appended::Stored)
}

/// Moves the cursor over a batch.
pub(crate) fn append_batch(
    db: &Connection,
    session: u64,
    batch_index: u64,
    digest: &Sha256,
) -> Result<Appended, Fault> {
    match batch(db, session, batch_index)? {
        Some(stored) if stored == *digest => return Ok(Appended::AlreadyStored),
        Some(_) => {
            let what = format!("batch {batch_index} of session {session}");
            return Err(StoreError::Conflict { what }.into());
        }
        None => {}
    }
    if let Some(last) = cursor(db)?
        && (session, batch_index) <= last
    {
        return Err(StoreError::OutOfOrder {
            what: "batch",
            expected: format!("one after batch {} of session {}", last.1, last.0),
            found: format!("batch {batch_index} of session {session}"),
        }
        .into());
    }
    db.prepare_cached("INSERT INTO batches (session, batch_index, digest) VALUES (?1, ?2, ?3)")?.execute((
        int(session)?,
        int(batch_index)?,
        digest.as_bytes(),
    ))?;
    Ok(Appended::Stored)
}

fn check_follows(head: Option<&Head>, record: &BlockRecord) -> Result<(), Fault> {
    let follows = match head {
        Some(head) => record.height == head.height + 1,
        None => record.height <= 1,
    };
    if !follows {
        return Err(StoreError::OutOfOrder {
            what: "block height",
            expected: head.map_or("0 or 1".to_owned(), |h| (h.height + 1).to_string()),
            found: record.height.to_string(),
        }
        .into());
    }
    let size = head.map_or(0, |h| h.log_size);
    for (expected, leaf) in (size..).zip(&record.leaves) {
        if leaf.index != expected {
            return Err(StoreError::OutOfOrder {
                what: "leaf index",
                expected: expected.to_string(),
                found: leaf.index.to_string(),
            }
            .into());
        }
    }
    Ok(())
}

pub(crate) fn head(db: &Connection) -> Result<Option<Head>, Fault> {
    let mut query = db.prepare_cached(
        "SELECT height, hash, log_size, session, batch_index, frontier FROM blocks ORDER BY height DESC LIMIT 1",
    )?;
    first(query.query([])?, |row| {
        Ok(Head {
            height: uint(row, 0)?,
            block_hash: sha256(row, 1)?,
            log_size: uint(row, 2)?,
            session: uint(row, 3)?,
            batch_index: uint(row, 4)?,
            frontier_bytes: row.get(5)?,
        })
    })
}

pub(crate) fn batch(db: &Connection, session: u64, batch_index: u64) -> Result<Option<Sha256>, Fault> {
    let mut query = db.prepare_cached("SELECT digest FROM batches WHERE session = ?1 AND batch_index = ?2")?;
    first(query.query((int(session)?, int(batch_index)?))?, |row| sha256(row, 0))
}

pub(crate) fn cursor(db: &Connection) -> Result<Option<(u64, u64)>, Fault> {
    let mut query =
        db.prepare_cached("SELECT session, batch_index FROM batches ORDER BY session DESC, batch_index DESC LIMIT 1")?;
    first(query.query([])?, |row| Ok((uint(row, 0)?, uint(row, 1)?)))
}
