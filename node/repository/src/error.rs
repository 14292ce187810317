//! What can go wrong while answering.

use maven_layout::RepoPath;
use pyrsia_digest::Sha256;

/// Failures. None of them means "absent", and none may be told to a client as 404.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RepositoryError {
    /// No origin could say whether it has the file.
    #[error("cannot get {path} from upstream: {detail}")]
    Upstream {
        /// The path that was asked for.
        path: RepoPath,
        /// What the origins said, in one line.
        detail: String,
        /// It took too long, as opposed to being refused or broken.
        timed_out: bool,
    },
    /// The ledger records the bytes of this path, and they are nowhere to be had at present.
    #[error("the ledger records {path} with SHA-256 {sha256}, but no reachable place has these bytes")]
    BytesMissing {
        /// The path that was asked for.
        path: RepoPath,
        /// The digest that the ledger records.
        sha256: Sha256,
    },
    /// This machine's disk or database failed.
    #[error("cannot serve {path}: {detail}")]
    Local {
        /// The path that was asked for.
        path: RepoPath,
        /// The failure in one line.
        detail: String,
    },
}
