//! What stops a replica.

use pyrsia_ledger::GenesisError;
use pyrsia_store::StoreError;

/// Failures of the replica. All of them stop it: going on would mean a ledger that others do not have.
#[derive(Debug, thiserror::Error)]
pub enum ReplicaError {
    /// The database cannot be read or written.
    #[error("the ledger's database failed")]
    Store(#[from] StoreError),
    /// The genesis breaks its own rules.
    #[error("the genesis is not valid")]
    Genesis(#[from] GenesisError),
    /// The database belongs to another network.
    #[error("the database is of network {found}, the configuration of network {expected}")]
    OtherNetwork {
        /// Network id of the configuration.
        expected: String,
        /// Network id in the database.
        found: String,
    },
    /// What is stored is not what the rules make of the stored entries.
    #[error("block {height} is not what the rules make of its entries: {what} differs")]
    NotReproduced {
        /// Height of the block.
        height: u64,
        /// Which part of it.
        what: &'static str,
    },
    /// Something in the database does not decode.
    #[error("the database holds {what} that does not decode")]
    Undecodable {
        /// What it is.
        what: &'static str,
    },
    /// A batch came under the number of a stored one, with other content.
    #[error("batch {index} of session {session} was stored with other content: two histories were agreed on")]
    OtherBatch {
        /// Session of the batch.
        session: u64,
        /// Index of the batch.
        index: u64,
    },
    /// The network switched to rules that this program does not have. A newer program goes on from here.
    #[error("the network runs rules {rules}, this program knows rules up to {supported}: use a newer release")]
    RulesUnknown {
        /// Rules in force.
        rules: u32,
        /// Newest rules that this program has.
        supported: u32,
    },
    /// The runtime is shutting down.
    #[error("the runtime is shutting down")]
    ShuttingDown,
}
