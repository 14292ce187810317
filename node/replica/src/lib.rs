//! The copy of the ledger that a node holds: applies ordered entries, persists, signs, publishes. No consensus inside.
//!
//! [`Replica`] takes [`OrderedBatch`]es, one at a time, and for each: drops entries that are in the log already, applies
//! the others by the ledger's rules, stores block, leaves and cursor in one transaction, signs the new checkpoint, stores
//! the signature, and only then publishes. [`ReplicaHandle`] is what the rest of the node reads and submits through.
//!
//! Invariants:
//! - **a signature is made only over what is on disk, and shown only when it is on disk itself**;
//! - nothing is published before it is stored; a crash between any two steps is made good by [`Replica::open`];
//! - **a batch is idempotent on `(session, index)`**: the same content again changes nothing, other content is fatal;
//! - opening replays every stored entry through the rules and compares each block with what is stored: a database that
//!   the rules do not reproduce is refused;
//! - refused entries are no leaves, but they are part of the batch's digest, so all members refuse the same ones;
//! - a full disk is waited out: no batch is passed over, and nothing is half stored;
//! - an authority that finds a quorum of others signing another log stops signing, says so, and stays stopped after a
//!   restart.
//!
//! - **nothing that another node gave is stored before a quorum's certificate of it was verified**, down to the number of
//!   the batch that each block came from (see `sync`); batches from consensus and blocks from others may come in any mix.
//!
//! What is not here: how batches are agreed on (`pyrsia-consensus`), the rules (`pyrsia-ledger`), SQL (`pyrsia-store`),
//! the network: blocks and cosignatures are documents and decisions here, sent by whoever is above.

mod chain;
mod cosigning;
mod error;
mod exchange;
mod handle;
mod memory;
mod orderer;
mod outcomes;
mod receipt;
mod replica;
mod room;
mod signing;
mod sync;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;
mod word;

pub use cosigning::{CosignatureMessage, Cosigning, MAX_COSIGNATURE_MESSAGE_BYTES};
pub use error::ReplicaError;
pub use exchange::{CosignatureMail, exchange_cosignatures};
pub use handle::ReplicaHandle;
pub use memory::InMemoryOrderer;
pub use orderer::{OrderedBatch, Orderer, SubmitError};
pub use outcomes::{Refused, SubmissionOutcome};
pub use receipt::ReceiptUnavailable;
pub use replica::{Clock, Replica};
pub use signing::{Certified, Observed, SigningStatus};
pub use sync::{BlocksAnswer, BlocksRequest, MAX_ANSWER_BYTES, Piece, PieceError, REQUEST_BYTES, SyncBlock, Taken};
pub use word::Word;
