//! The databases of a node, and all the SQL there is.
//!
//! [`LedgerStore`] (`ledger.db`) is the truth: blocks, entries, leaves, tree nodes, signatures, the cursor, and the
//! secrets of a round that is under way. [`IndexStore`] (`index.db`) is derived: which file lies at which repository
//! path, where it came from, when it was last used. Deleting the index loses nothing that cannot be found again.
//! [`ServedStore`] (`served.db`) counts what was handed out; nothing depends on it. [`ClassStore`] (`classes.db`) says which
//! classes are in which JARs; it fills again by itself.
//!
//! Invariants:
//! - **a block is stored with its entries, leaves, tree nodes and the cursor in one transaction or not at all**, and
//!   is on the disk when `append_block` returns (WAL, `synchronous=FULL`);
//! - a batch is stored once: the same again changes nothing, another one under the same number is refused, and so is
//!   a block that does not follow the last one. The store enforces this however confused its caller is;
//! - the first own cosignature stored for a log size is the one that stays;
//! - each database has one writer, a thread behind a bounded channel, and a small pool of read-only connections.
//!   No connection and no transaction is visible outside, so none can cross an `.await`;
//! - entries, leaves and blocks are bytes here. What they mean is the ledger's business, and this crate depends on
//!   nothing of it;
//! - a damaged, foreign or too new database is a typed error that says so; nothing is overwritten. Only the index,
//!   being derived, is moved aside and begun anew.
//!
//! What is not here: file contents (`pyrsia-blobs`), the rules of the ledger, keys, the lock on the data directory.
//!
//! All methods are synchronous and may wait for the disk. Asynchronous code uses [`LedgerStore::run`] and
//! [`IndexStore::run`], which do the same on a blocking thread.

mod append;
mod classes;
mod database;
mod error;
mod index;
mod index_rows;
mod index_types;
mod index_walk;
mod ledger;
mod ledger_records;
mod ledger_schema;
mod ledger_types;
mod search;
mod served;
mod values;

pub use classes::{ClassName, ClassStore};
pub use error::StoreError;
pub use index::IndexStore;
pub use index_types::{FileRecord, LastUse, Pinned, QuarantineRecord, Quarantined};
pub use index_walk::Walk;
pub use ledger::{LedgerStore, MAX_ROWS};
pub use ledger_types::{Appended, BlockRecord, Head, KeyedBytes, LeafRecord, StoredBlock};
pub use search::{ArtifactFilter, COUNTED, Found, ReleaseFile};
pub use served::{ServedFile, ServedLine, ServedStore, ServedSummary, ServedTotal};
