//! What to serve for a path of the Maven repository.
//!
//! Four parts: [`decide()`] is a pure function from (path, policy, what the ledger says, what was seen before) to a
//! [`Decision`]; [`render`](render()) makes the `maven-metadata.xml` documents, pure as well; [`Repository`] is the thin
//! asynchronous part that carries a decision out with the blob store, the index and the origins; [`ReadAhead`] gets what
//! clients will ask for next.
//!
//! Invariants:
//! - bytes whose digest differs from the one that the ledger records for their path are never served, under any policy;
//! - a group with a native namespace is never asked upstream: its files come from the store, by the verdict's digest;
//! - a group that an upstream's patterns name is asked of no upstream that names it less precisely ([`Route`]);
//! - "absent" is said only when the ledger does not know the file and every origin that may have it said so itself; a failing upstream is an
//!   error, never an absence;
//! - the first bytes seen for a release file are the ones that go on being served; other bytes are set aside;
//! - nothing is answered before it is complete and verified; a checksum is always computed by us from those bytes.
//!
//! What is not here: an HTTP server, an HTTP client, SQL; the decision what is *true* (that is the ledger's).

mod adopt;
mod ahead;
mod answer;
mod archetypes;
mod content_type;
mod decide;
mod error;
mod explain;
mod folders;
mod ledger_view;
mod listing;
mod local;
mod policy;
mod remote;
mod render;
mod routing;
mod service;
#[cfg(test)]
mod test_ledger;

pub use adopt::{Adoption, IMPORT, Offered, Refusal, is_fixed, of_artifact};
pub use ahead::ReadAhead;
pub use answer::{Answer, Generated, Provenance, ServedFile, Withheld, WithheldReason};
pub use content_type::content_type;
pub use decide::{Decision, MetadataPlan, decide};
pub use error::RepositoryError;
pub use explain::{Explanation, Fate, explain, names};
pub use ledger_view::{FileFacts, FileState, LedgerSource, LedgerView, ReleaseFacts};
pub use listing::{Listing, MAX_ENTRIES};
pub use policy::{Ground, GroupPattern, PatternError, Policies, Policy, UpstreamPolicy};
pub use render::{Rendered, render};
pub use routing::{Route, chosen};
pub use service::{Clock, Parts, Repository, RepositoryConfig, Upstream};

/// Where a repository's answers come from: [`Repository`], or a table in a test.
#[async_trait::async_trait]
pub trait Files: Send + Sync {
    /// What to answer for a path.
    ///
    /// # Errors
    /// [`RepositoryError`]; never for a file that is merely absent.
    async fn get(&self, path: &maven_layout::RepoPath) -> Result<Answer, RepositoryError>;

    /// What a folder shows, without the slash at its end; none: the whole repository. Without an entry the folder is absent.
    ///
    /// # Errors
    /// [`RepositoryError`].
    async fn list(&self, _folder: Option<&maven_layout::RepoPath>) -> Result<Listing, RepositoryError> {
        Ok(Listing::default())
    }

    /// Changes whenever the ledger does. Between two calls that give the same number, an [`Answer`] that is immutable
    /// stays as it was.
    fn version(&self) -> u64;

    /// Says that the bytes of a file turned out not to be what they should: before they are handed out again they are hashed, and
    /// got anew if they are damaged.
    fn doubt(&self, _sha256: &pyrsia_digest::Sha256) {}

    /// Notes that a file was handed out again without [`Files::get`].
    fn used(&self, path: &maven_layout::RepoPath);
}
