//! Files of the node by digest, on disk.
//!
//! A blob lives at `sha256/<first two hex digits>/<hex digits>` under the directory of the store and is found by
//! nothing but the SHA-256 of its bytes. Which repository path it is served under is the business of others.
//!
//! Invariants:
//! - **a name under `sha256/` exists only for complete bytes that were hashed on the way in**, were checked against
//!   what the caller expected ([`Expected`]) and were fsynced before the rename that made them visible, and the
//!   directory was fsynced after it: when `finish` returned, a power cut does not lose the blob;
//! - a writer that is dropped, or whose bytes are not the expected ones, leaves nothing behind; what a killed process
//!   left behind is removed when the store is opened;
//! - storing the same bytes twice is no error and leaves one file. The new copy replaces the old one, so that storing
//!   a blob again heals one that the disk has damaged;
//! - [`BlobStore::read_verified`] and [`BlobStore::verify`] hash what they read; a blob that is not what its name says
//!   is moved to `corrupt/` and reported, never returned. What lies there ends only where its owner says so
//!   ([`BlobStore::forget_corrupt`]).
//!
//! What is not here: SQLite, repository paths, eviction policy, the network. The lock that keeps two nodes out of one
//! data directory is the binary's.
//!
//! Everything is synchronous except [`AsyncBlobWriter`], which carries a network body to disk by way of tokio's
//! blocking threads without holding one while it waits for the network.

mod async_writer;
mod corrupt;
mod error;
mod expected;
mod store;
mod writer;

pub use async_writer::{AsyncBlobWriter, AsyncSealedBlob};
pub use corrupt::{Aside, CORRUPT_AGE_S, CORRUPT_FILES};
pub use error::BlobError;
pub use expected::{Expected, Mismatch};
pub use store::{BlobStore, MAX_READ_BYTES};
pub use writer::{BlobWriter, SealedBlob, StoredBlob};
