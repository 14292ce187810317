//! The tables of `ledger.db`.

use crate::database::{Schema, WholeCheck};

pub(crate) const LEDGER: Schema = Schema {
    file_name: "ledger.db",
    application_id: 0x5059_4c44, // "PYLD"
    synchronous: "FULL",
    migrations: &[VERSION_1, VERSION_2],
    whole_check: WholeCheck::Always,
};

const VERSION_1: &str = "
-- Every ordered batch that was dealt with, also one from which nothing was accepted.
CREATE TABLE batches (
    session      INTEGER NOT NULL,
    batch_index  INTEGER NOT NULL,
    digest       BLOB NOT NULL CHECK (length(digest) = 32),
    PRIMARY KEY (session, batch_index)
) STRICT, WITHOUT ROWID;

CREATE TABLE blocks (
    height       INTEGER PRIMARY KEY,
    hash         BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    bytes        BLOB NOT NULL,
    session      INTEGER NOT NULL,
    batch_index  INTEGER NOT NULL,
    log_size     INTEGER NOT NULL,   -- leaves in the log after this block
    frontier     BLOB NOT NULL       -- right edge of the tree after this block
) STRICT;

-- Accepted entries in the order in which they were applied.
CREATE TABLE entries (
    sequence     INTEGER PRIMARY KEY,
    height       INTEGER NOT NULL REFERENCES blocks (height),
    bytes        BLOB NOT NULL
) STRICT;
CREATE INDEX entries_by_height ON entries (height);

CREATE TABLE leaves (
    leaf_index   INTEGER PRIMARY KEY,
    bytes        BLOB NOT NULL,
    entry_digest BLOB CHECK (length(entry_digest) = 32)   -- of a leaf that is an entry
) STRICT;
CREATE UNIQUE INDEX leaves_by_entry ON leaves (entry_digest) WHERE entry_digest IS NOT NULL;

CREATE TABLE nodes (
    level        INTEGER NOT NULL,
    node_index   INTEGER NOT NULL,
    hash         BLOB NOT NULL CHECK (length(hash) = 32),
    PRIMARY KEY (level, node_index)
) STRICT, WITHOUT ROWID;

CREATE TABLE cosignatures (
    log_size     INTEGER NOT NULL,
    key          BLOB NOT NULL CHECK (length(key) = 32),
    bytes        BLOB NOT NULL,
    PRIMARY KEY (log_size, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE certificates (
    log_size     INTEGER PRIMARY KEY,
    bytes        BLOB NOT NULL
) STRICT;

CREATE TABLE meta (
    name         TEXT PRIMARY KEY,
    value        BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What must be on disk before others may hear of it: results and salts before their commitment.
CREATE TABLE private (
    key          BLOB PRIMARY KEY,
    value        BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- Entries of this node that no block holds yet.
CREATE TABLE pending (
    sequence     INTEGER PRIMARY KEY AUTOINCREMENT,
    digest       BLOB NOT NULL UNIQUE CHECK (length(digest) = 32),
    bytes        BLOB NOT NULL
) STRICT;
";

const VERSION_2: &str = "
-- What a quorum said about the block that ends at this size: who has it can hand the blocks before it to others.
CREATE TABLE block_certificates (
    log_size     INTEGER PRIMARY KEY,
    bytes        BLOB NOT NULL
) STRICT;
CREATE INDEX blocks_by_batch ON blocks (session, batch_index);
";
