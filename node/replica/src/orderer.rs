//! The seam between what orders entries and what applies them.

use std::fmt;

use async_trait::async_trait;
use pyrsia_ledger::SignedEntry;

/// Takes entries of this node and brings them into an order on which all members agree. The batches come out of a
/// bounded channel that is given when the orderer is made.
///
/// Durability: when `submit` returns, an implementation that is durable (consensus) has stored the entry, and will go on
/// proposing it until it is ordered. Acceptance is another matter: an ordered entry can still be refused by the rules.
/// An entry may be ordered more than once.
#[async_trait]
pub trait Orderer: Send + Sync {
    /// Takes an entry.
    async fn submit(&self, entry: SignedEntry) -> Result<(), SubmitError>;
}

/// Entries that the authorities agreed on, in their agreed order.
///
/// `(session, index)` names a batch for ever: every member that is handed a batch under that pair is handed these
/// entries in this order, and may be handed it again after a restart. Batches of one session arrive with rising
/// `index`, sessions arrive with rising `session`; both may skip numbers (empty batches are never handed over).
#[derive(Clone, PartialEq, Eq)]
pub struct OrderedBatch {
    /// Number of the consensus session.
    pub session: u64,
    /// Position of the batch inside its session, counted from 0.
    pub index: u64,
    /// Serialised entries, unverified: neither that they decode nor that they are signed has been looked at.
    pub entries: Vec<Vec<u8>>,
}

impl fmt::Debug for OrderedBatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderedBatch")
            .field("session", &self.session)
            .field("index", &self.index)
            .field("entries", &self.entries.len())
            .finish()
    }
}

/// Why an entry was not taken for ordering.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The serialised entry is longer than the protocol allows, or empty.
    #[error("an entry of {bytes} bytes is not between 1 and {limit} bytes")]
    Size {
        /// Length of the serialised entry in bytes.
        bytes: usize,
        /// The limit in bytes.
        limit: usize,
    },
    /// So many entries wait for agreement that no other is taken; try again later.
    #[error("{pending} entries already wait for agreement")]
    Busy {
        /// Number of waiting entries.
        pending: usize,
    },
    /// The entry could not be made durable before it was taken.
    #[error("the entry could not be stored: {reason}")]
    Storage {
        /// What the operating system or the database said.
        reason: String,
    },
    /// This orderer takes no entries: it has stopped, failed, or sits a session out.
    #[error("ordering is not available: {reason}")]
    Unavailable {
        /// Which of these it is, in words.
        reason: String,
    },
}
