//! The node behind its HTTP face: answers questions from snapshots, carries out what an operator asks for.

mod control;
mod story;
mod view;

use std::sync::Arc;
use std::time::Instant;

use pyrsia_http::ViewError;
use pyrsia_rebuilds::{Board, Entries, Intake};
use pyrsia_replica::ReplicaHandle;
use pyrsia_store::{IndexStore, LedgerStore};

/// What the service answers from.
pub struct NodeService {
    /// The ledger.
    pub replica: ReplicaHandle,
    /// Its database.
    pub store: LedgerStore,
    /// The coordinate index.
    pub index: IndexStore,
    /// Builds.
    pub board: Arc<Board>,
    /// This authority's hand.
    pub entries: Arc<Entries>,
    /// Takes submissions; none where this node does not rebuild, with the reason.
    pub intake: Result<Arc<Intake>, String>,
    /// `network.json` as a document.
    pub network: serde_json::Value,
    /// Fixed facts for `status`.
    pub facts: Facts,
    /// When the node started.
    pub started: Instant,
}

/// Facts that do not change while the node runs.
pub struct Facts {
    /// Address of the Maven repository.
    pub maven_url: String,
    /// Name of the default policy.
    pub policy: String,
    /// Upstream's address and how it was found.
    pub upstream: Option<(String, String)>,
    /// The data directory.
    pub data_dir: String,
    /// Name of this authority.
    pub name: String,
    /// What a person should look at.
    pub warnings: Vec<String>,
}

fn internal(error: impl std::fmt::Display) -> ViewError {
    ViewError::Internal { detail: error.to_string() }
}

fn invalid(error: impl std::fmt::Display) -> ViewError {
    ViewError::Invalid { detail: error.to_string(), next: String::new() }
}
