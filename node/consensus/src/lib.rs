//! Agreement of the authorities on the order of entries, by AlephBFT.
//!
//! [`ConsensusOrderer`] takes entries from this member ([`pyrsia_replica::Orderer`]) and hands out
//! [`pyrsia_replica::OrderedBatch`]es, the same on every member. Work is divided into *sessions*; a session is cut
//! after an agreed number of batches or of bytes, whichever comes first, and the next one goes on.
//!
//! Sessions that this member did not take part in come to the ledger by another way (certified blocks from other nodes).
//! Whoever takes those says how far the ledger is ([`ConsensusOrderer::ledger_at`]), and this member goes on in the session
//! that the ledger is in: **never in a later one**, whose batches would leave a gap, and never in one in which it may have
//! signed units that it no longer has.
//!
//! Contract with whoever receives the batches:
//! - after a restart every batch of the session at the resume position is handed over **again**, from its first one:
//!   the receiver must be idempotent on `(session, index)` and should assert that the content is what it stored. A session
//!   whose backup lost what was written brings fewer, and is left (alone: for the next one) instead of using a number again;
//! - an entry may come in several batches: two members submitted it, or its submitter crashed between agreement and
//!   bookkeeping, or submitted it anew. The receiver decides what that means;
//! - bytes are not interpreted here beyond their length; the receiver verifies them.
//!
//! Invariants:
//! - **a unit is on disk (fdatasync) before any other member can see it**, and a session whose backup is gone is never
//!   entered again with the same key (see `backup`);
//! - cuts depend only on agreed batches, so that all members cut at the same place, long before AlephBFT's own last
//!   round, where it would drop the tail;
//! - **an idle network creates no units**: the gate is in the provider of data (see `core`);
//! - every queue has a bound, in messages or in bytes. The one unbounded channel, from agreement to delivery, is bounded
//!   by the length of a session;
//! - the end of a session that this crate did not ask for is a fault: it is reported, and this member sits the session
//!   out; a network of one takes nothing more.
//!
//! What is not here: networking (see [`Transport`]), entries' meaning, catching up (the replica takes certified
//! blocks), changes of the committee (the composition
//! root starts an orderer for each committee).

mod backup;
mod config;
mod core;
mod error;
mod frames;
mod gate;
mod journal;
mod keychain;
mod lifecycle;
mod network;
mod orderer;
mod pool;
mod router;
mod session;
mod supervisor;
pub mod testing;
mod transport;
mod types;
mod unit_writer;
mod wire;

pub use config::ConsensusConfig;
pub use error::ConsensusError;
pub use keychain::Membership;
pub use orderer::{ConsensusOrderer, Resume, Start};
pub use session::Cut;
pub use supervisor::{Condition, Status};
pub use transport::{Incoming, Transport};
pub use types::{MAX_ENTRY_BYTES, MAX_MEMBERS, MAX_MESSAGE_BYTES};
