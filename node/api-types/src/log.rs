//! The ledger itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One leaf of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogLeaf {
    /// Position in the log, from 0.
    pub index: u64,
    /// Kind of entry (`build-request`, `inputs`, ..., `verdict`).
    pub kind: String,
    /// Digest of the entry; `null` for derived leaves.
    pub entry: Option<String>,
    /// Key that signed it; `null` for derived leaves.
    pub signer: Option<String>,
    /// One line for people.
    pub summary: String,
    /// The content as JSON, for people and scripts; the bytes are what is signed and hashed.
    pub content: serde_json::Value,
    /// The leaf's canonical bytes in hexadecimal: hash them as RFC 6962 says and the proof can be checked.
    pub bytes: String,
}

/// `GET /api/v1/log?from=N&max=M&wait=SECONDS`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LogPage {
    /// Position of the first leaf asked for.
    pub from: u64,
    /// Leaves, in order, without gaps.
    pub leaves: Vec<LogLeaf>,
    /// Pass this as `from` next time.
    pub next: u64,
    /// Leaves in the log now.
    pub size: u64,
}
