//! Why an orderer cannot start.

use std::io;
use std::path::PathBuf;

/// Failures of [`crate::ConsensusOrderer::start`].
#[derive(Debug, thiserror::Error)]
pub enum ConsensusError {
    /// A value of the configuration is outside its range.
    #[error("consensus.{field} is {value}, but must be between {least} and {most}")]
    Config {
        /// Name of the field.
        field: &'static str,
        /// The value given.
        value: u64,
        /// The least value allowed.
        least: u64,
        /// The greatest value allowed.
        most: u64,
    },
    /// The committee is empty, too large, or names a key twice.
    #[error("the committee of {members} members is not usable: {reason}")]
    Committee {
        /// Number of members.
        members: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// The consensus key is not in the committee.
    #[error("this node's consensus key {key} is not a member's")]
    NotAMember {
        /// The public key in hexadecimal.
        key: String,
    },
    /// Another orderer works in this directory.
    #[error("another process works in {path}")]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A file of this crate cannot be read or written.
    #[error("cannot {action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A file of this crate holds something that it never writes.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// Whether a disk is full or a quota is used up: what passes by itself.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl ConsensusError {
    /// Whether there was no room for a file.
    pub(crate) fn is_disk_full(&self) -> bool {
        matches!(self, Self::Io { source, .. } if is_full(source))
    }
}

/// Adds the action and the path to an I/O error.
pub(crate) trait IoContext<T> {
    fn at(self, action: &'static str, path: &std::path::Path) -> Result<T, ConsensusError>;
}

impl<T> IoContext<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &std::path::Path) -> Result<T, ConsensusError> {
        self.map_err(|source| ConsensusError::Io { action, path: path.to_owned(), source })
    }
}
