//! What goes into and comes out of the ledger's database.

use pyrsia_digest::Sha256;

/// Everything that one block adds, stored in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRecord {
    /// The block's canonical bytes.
    pub block_bytes: Vec<u8>,
    /// Its hash.
    pub block_hash: Sha256,
    /// Its height: one more than the last block's; the first block's is 0 or 1, as the ledger counts.
    pub height: u64,
    /// Session of the batch that it was made from.
    pub session: u64,
    /// Number of that batch in the session.
    pub batch_index: u64,
    /// Digest of the whole batch, refused entries included: tells a batch delivered twice from two batches.
    pub batch_digest: Sha256,
    /// The accepted entries in order.
    pub entries: Vec<Vec<u8>>,
    /// The leaves that it adds to the log, in order.
    pub leaves: Vec<LeafRecord>,
    /// The tree nodes that became complete: (level, index in the level, hash). Level 0 are the leaf hashes.
    pub nodes: Vec<(u8, u64, Sha256)>,
    /// The right edge of the tree after this block.
    pub frontier_bytes: Vec<u8>,
}

/// A leaf of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafRecord {
    /// Its place in the log, from 0.
    pub index: u64,
    /// Its bytes, as they are hashed.
    pub bytes: Vec<u8>,
    /// Digest of the entry, for a leaf that is one. No two leaves have the same.
    pub entry_digest: Option<Sha256>,
}

/// What [`crate::LedgerStore::append_block`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    /// The batch is on the disk now.
    Stored,
    /// The same batch was there before; nothing has changed.
    AlreadyStored,
}

/// The last block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Height of the block.
    pub height: u64,
    /// Hash of the block.
    pub block_hash: Sha256,
    /// Leaves in the log.
    pub log_size: u64,
    /// Session of the block's batch. Later batches may have brought nothing: see [`crate::LedgerStore::cursor`].
    pub session: u64,
    /// Number of the block's batch in its session.
    pub batch_index: u64,
    /// Right edge of the tree.
    pub frontier_bytes: Vec<u8>,
}

/// A stored block with its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlock {
    /// Height.
    pub height: u64,
    /// Hash.
    pub block_hash: Sha256,
    /// Canonical bytes.
    pub block_bytes: Vec<u8>,
    /// Session of its batch.
    pub session: u64,
    /// Number of its batch in the session.
    pub batch_index: u64,
    /// Leaves in the log after it.
    pub log_size: u64,
    /// Its entries in order.
    pub entries: Vec<Vec<u8>>,
}

/// A public key and what it signed: its cosignature.
pub type KeyedBytes = ([u8; 32], Vec<u8>);
