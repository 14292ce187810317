//! What can go wrong while answering.

use maven_layout::RepoPath;
use pyrsia_blobs::BlobError;
use pyrsia_digest::Sha256;
use pyrsia_store::StoreError;

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
    /// What lies in a folder cannot be told, because this machine's database failed.
    #[error("cannot look into {folder}: {detail}")]
    Folder {
        /// The folder.
        folder: String,
        /// The failure in one line.
        detail: String,
    },
    /// There is no room on this machine's disk. Nothing was stored; what is here is served as ever.
    #[error("cannot store {path}: {detail}")]
    NoRoom {
        /// The path that was asked for.
        path: RepoPath,
        /// The failure in one line.
        detail: String,
    },
}

impl RepositoryError {
    /// What an upstream has given cannot be used.
    pub(crate) fn upstream(path: &RepoPath, detail: String) -> Self {
        Self::Upstream { path: path.clone(), detail, timed_out: false }
    }

    /// A failure of this machine's own.
    pub(crate) fn local(path: &RepoPath, error: &dyn Failure) -> Self {
        let (path, detail) = (path.clone(), error.to_string());
        if error.is_no_room() { Self::NoRoom { path, detail } } else { Self::Local { path, detail } }
    }

    /// Turns the failure to write down what can be found out again into nothing, where there is no room for it.
    pub(crate) fn spare(result: Result<(), Self>) -> Result<(), Self> {
        match result {
            Err(error @ Self::NoRoom { .. }) => {
                tracing::warn!(error.message = %error, "the disk is full: what is served is not written down");
                Ok(())
            }
            other => other,
        }
    }
}

/// What fails on this machine.
pub(crate) trait Failure: std::fmt::Display {
    /// Whether the disk is full.
    fn is_no_room(&self) -> bool {
        false
    }
}

impl Failure for BlobError {
    fn is_no_room(&self) -> bool {
        self.is_disk_full()
    }
}

impl Failure for StoreError {
    fn is_no_room(&self) -> bool {
        matches!(self, Self::DiskFull { .. })
    }
}

impl Failure for tokio::task::JoinError {}
impl Failure for pyrsia_fetch::Interrupted {}
