//! The seams to the rest of the node.

use std::time::Duration;

use maven_layout::{Coordinates, FileName};
use pyrsia_api_types::{
    Accepted, BlockSubmission, Build, BuildAccepted, BuildEvents, BuildList, BuildSubmission, FileMatches,
    ImageApproval, ImageFetch, ImageFetched, Inspection, LogPage, NamespaceSubmission, PeerList, PublisherProof,
    ReleasePolicy, ServedReport, SpecificationApproval, Status, WithdrawalSubmission,
};
use pyrsia_digest::Sha256;
use pyrsia_repository::Policy;

use crate::solr::{SearchPage, SearchQuery};

/// Why a question or a call was not answered as asked. Texts are shown to people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    /// There is no such thing (404).
    #[error("{detail}")]
    NotFound {
        /// What there is not.
        detail: String,
        /// What to do next; may be empty.
        next: String,
    },
    /// The question makes no sense as put (400).
    #[error("{detail}")]
    Invalid {
        /// What is wrong with it.
        detail: String,
        /// What to do next; may be empty.
        next: String,
    },
    /// The rules of the network refuse it (409).
    #[error("{detail}")]
    Refused {
        /// The rule.
        detail: String,
        /// What to do next; may be empty.
        next: String,
    },
    /// Not possible at present (503).
    #[error("{detail}")]
    Unavailable {
        /// What is in the way.
        detail: String,
        /// What to do next; may be empty.
        next: String,
    },
    /// The node failed (500).
    #[error("{detail}")]
    Internal {
        /// What failed.
        detail: String,
    },
}

/// Questions that change nothing. Implementations answer from snapshots and do not block the runtime.
#[async_trait::async_trait]
pub trait NodeView: Send + Sync {
    /// What the node is doing.
    async fn status(&self) -> Result<Status, ViewError>;

    /// Builds, newest first, at most `max` after skipping `skip`.
    async fn builds(&self, skip: u64, max: u64) -> Result<BuildList, ViewError>;

    /// One build; [`ViewError::NotFound`] for an unknown identifier.
    async fn build(&self, id: &str) -> Result<Build, ViewError>;

    /// Events of a build with a sequence above `after`. Without any yet, waits up to `wait` for one.
    async fn build_events(&self, id: &str, after: u64, wait: Duration) -> Result<BuildEvents, ViewError>;

    /// The story of a release; a release that nobody has asked about is a story too, not an error.
    async fn inspect(&self, coordinates: &Coordinates) -> Result<Inspection, ViewError>;

    /// Files with this digest that standing verdicts name; none is an answer too.
    async fn files(&self, sha256: &Sha256, after: Option<&Coordinates>) -> Result<FileMatches, ViewError>;

    /// Releases that this node has files of, or of an artifact that is named, that the ledger knows; `by_release`: all
    /// versions, else the newest of each artifact. At most `max` after `skip`.
    async fn search(&self, query: &SearchQuery, by_release: bool, skip: u64, max: u64)
    -> Result<SearchPage, ViewError>;

    /// Leaves from `from` on, at most `max`. Beyond the end, waits up to `wait` for one.
    async fn log(&self, from: u64, max: u64, wait: Duration) -> Result<LogPage, ViewError>;

    /// The receipt's canonical text; [`ViewError::NotFound`] without a standing verdict.
    async fn receipt(&self, coordinates: &Coordinates) -> Result<String, ViewError>;

    /// DSSE envelopes with the provenance of the builds behind the standing verdict, one a line, of all authorities or
    /// of the one with this name or key; [`ViewError::NotFound`] without a verdict, and if none can be had.
    async fn provenance(&self, coordinates: &Coordinates, authority: Option<&str>) -> Result<String, ViewError>;

    /// The network document.
    async fn network(&self) -> Result<serde_json::Value, ViewError>;

    /// Peers.
    async fn peers(&self) -> Result<PeerList, ViewError>;

    /// What would become of a release's files, and of these further ones, under the node's policies or under this one.
    async fn policy(
        &self,
        coordinates: &Coordinates,
        more: &[FileName],
        instead: Option<Policy>,
    ) -> Result<ReleasePolicy, ViewError>;

    /// What was handed out and what was not, since the day of this time, with at most `max` lines.
    async fn served(&self, since: Option<u64>, max: usize) -> Result<ServedReport, ViewError>;

    /// The newest certified checkpoint as a signed note.
    async fn checkpoint(&self) -> Result<String, ViewError>;

    /// Hashes of complete tree nodes of one level (0: leaves), in order from an index on; fewer than `count` at the end.
    async fn tree_nodes(&self, level: u8, from: u64, count: u16) -> Result<Vec<Sha256>, ViewError>;

    /// Canonical bytes of leaves, in order from an index on; fewer than `count` at the end.
    async fn leaves(&self, from: u64, count: u16) -> Result<Vec<Vec<u8>>, ViewError>;
}

/// Calls that change something. The token has been checked.
#[async_trait::async_trait]
pub trait NodeControl: Send + Sync {
    /// Asks the network to rebuild a release.
    async fn submit_build(&self, submission: BuildSubmission) -> Result<BuildAccepted, ViewError>;

    /// Takes the publisher's signature over a native request that waits for it.
    async fn sign_build(&self, id: &str, proof: PublisherProof) -> Result<Accepted, ViewError>;

    /// Proposes a namespace, or approves the same proposal.
    async fn submit_namespace(&self, submission: NamespaceSubmission) -> Result<Accepted, ViewError>;

    /// Approves a builder image.
    async fn approve_image(&self, approval: ImageApproval) -> Result<Accepted, ViewError>;

    /// Gets a builder image from peers; answers within a minute, whether it is here by then or not.
    async fn fetch_image(&self, wanted: ImageFetch) -> Result<ImageFetched, ViewError>;

    /// Approves a specification that is not a structured one.
    async fn approve_specification(&self, approval: SpecificationApproval) -> Result<Accepted, ViewError>;

    /// Withdraws the verdict of a release.
    async fn withdraw(&self, submission: WithdrawalSubmission) -> Result<Accepted, ViewError>;

    /// Blocks a release.
    async fn block(&self, submission: BlockSubmission) -> Result<Accepted, ViewError>;
}
