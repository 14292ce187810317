//! What can go wrong with the files of the store.

use std::io;
use std::path::PathBuf;

use pyrsia_digest::Sha256;

use crate::Mismatch;

/// The operating system's number for a part of a disk that cannot be read.
const EIO: i32 = 5;

/// Failures of the blob store.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The operating system refused an operation on a file or directory of the store.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: `create`, `fsync`, `rename`, ...
        action: &'static str,
        /// The file or directory concerned.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// The bytes written are not the ones that were expected; nothing was stored.
    #[error("the bytes are not the expected ones: {0}")]
    Unexpected(#[from] Mismatch),
    /// No blob has this digest.
    #[error("no blob {digest} in the store")]
    Missing {
        /// The digest asked for.
        digest: Sha256,
    },
    /// The file of this digest holds other bytes: the disk or somebody has changed it. It was taken out of the store.
    #[error("blob {digest} is damaged (its bytes have the SHA-256 {found}); moved to {}", moved_to.display())]
    Corrupt {
        /// The digest that the file's name claims.
        digest: Sha256,
        /// The digest of the bytes found.
        found: Sha256,
        /// Where the damaged file lies now.
        moved_to: PathBuf,
    },
    /// The blob is too large to be read into memory at once.
    #[error("blob {digest} has {size} bytes, more than the {limit} that are read into memory")]
    TooLarge {
        /// The digest asked for.
        digest: Sha256,
        /// Size of the blob in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A write that ran on another thread was cancelled or died, so this writer can take no more bytes.
    #[error("an earlier write to this blob was cancelled; start again with a new writer")]
    Interrupted,
}

impl BlobError {
    /// Whether the bytes are lost: not here, other ones, or on a part of the disk that cannot be read. Whoever can get them
    /// anew does.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::Corrupt { .. } => true,
            Self::Io { source, .. } => source.raw_os_error() == Some(EIO),
            _ => false,
        }
    }

    /// Builds the closure that `map_err` wants.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }

    /// True if the disk is full or a quota is used up: what the caller can tell the operator.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. }
            if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
    }
}
