//! Why an upload is refused, and what can go wrong.

use std::io;

use maven_layout::metadata::MetadataError;
use maven_layout::{ChecksumAlgorithm, RepoPath};
use pyrsia_blobs::BlobError;
use pyrsia_digest::Sha256;

use crate::decide::Accepts;

/// Why an upload is refused: the rules of the repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not a path under which a file is uploaded.
    #[error("{path} is no file of a release or snapshot, no signature or checksum of one, and no maven-metadata.xml")]
    Path {
        /// The path.
        path: RepoPath,
    },
    /// A part of the path is longer than file systems allow.
    #[error("{path} has a name with more than {limit} bytes in it")]
    LongName {
        /// The path.
        path: RepoPath,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// A snapshot for a repository of releases, or the other way round.
    #[error("{what} is a {}, and this repository accepts {accepts} only", if *snapshot { "snapshot" } else { "release" })]
    OtherKind {
        /// Coordinates or path.
        what: String,
        /// What it is.
        snapshot: bool,
        /// What the repository accepts.
        accepts: Accepts,
    },
    /// A file of a snapshot with the name of neither a build nor the snapshot.
    #[error(
        "{path} does not say which build of the snapshot it is: files of snapshots have a time and a number in their names, \
         or the name of the snapshot as it is"
    )]
    NoBuild {
        /// The path.
        path: RepoPath,
    },
    /// Larger than the repository takes.
    #[error("{path} is larger than {limit} bytes, the most that is taken")]
    TooLarge {
        /// The path.
        path: RepoPath,
        /// Bytes that are taken.
        limit: u64,
    },
    /// More than the repository takes altogether.
    #[error(
        "{path} does not fit: {used} of the {limit} bytes that this repository may have are in use, with what is being \
         uploaded and what was removed or replaced and not collected yet"
    )]
    Full {
        /// The path.
        path: RepoPath,
        /// Bytes of all files that are taken.
        limit: u64,
        /// Bytes in use, without this upload.
        used: u64,
    },
    /// Other bytes than the path has.
    #[error("{path} is here already, with other bytes ({}); what was published never changes", held.as_ref().map_or_else(|| "of another size".to_owned(), |held| format!("SHA-256 {held}")))]
    Immutable {
        /// The path.
        path: RepoPath,
        /// What is here, if the digests were compared.
        held: Option<Sha256>,
    },
    /// A file lies where a folder would have to be, or the other way round.
    #[error(
        "{path} cannot be stored: something lies in its way, a file where it needs a folder or a folder where it would be"
    )]
    Occupied {
        /// The path.
        path: RepoPath,
    },
    /// A `maven-metadata.xml` that is none.
    #[error("{path} is not stored: {source}")]
    Document {
        /// The path.
        path: RepoPath,
        /// What is wrong with it.
        #[source]
        source: MetadataError,
    },
    /// A `maven-metadata.xml` about something else than lies there.
    #[error("{path} is not stored: it says that it is about {says}")]
    OtherDocument {
        /// The path.
        path: RepoPath,
        /// What it is about.
        says: String,
    },
    /// A checksum file that holds none.
    #[error("{path} is no {} checksum in hexadecimal", algorithm.extension())]
    Checksum {
        /// The path.
        path: RepoPath,
        /// The algorithm.
        algorithm: ChecksumAlgorithm,
    },
    /// A checksum of something that is not here.
    #[error("{path} is a checksum of a file that is not here: the file comes first")]
    NothingToCheck {
        /// The path of the checksum.
        path: RepoPath,
    },
    /// A checksum that is not the one of the bytes that are here.
    #[error("the bytes of {path} that arrived here have the checksum {held}, and not {shown}")]
    Mismatch {
        /// The path of the file.
        path: RepoPath,
        /// What the upload says.
        shown: String,
        /// What is right.
        held: String,
        /// The file was taken back, so that it can be uploaded again (one that replaced another is that one again); else it
        /// stays.
        taken_back: bool,
        /// No upload replaces it.
        stays: bool,
    },
    /// Nothing of this version is here.
    #[error("there is nothing of {what} in the repository {repository}")]
    NotHere {
        /// The version.
        what: String,
        /// The repository.
        repository: String,
    },
}

/// Why an upload or an opening failed.
#[derive(Debug, thiserror::Error)]
pub enum HostedError {
    /// The rules of the repository refuse it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The bytes could not be stored.
    #[error(transparent)]
    Blob(#[from] BlobError),
    /// The operating system refused something.
    #[error("cannot {action} {place}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// To what.
        place: String,
        /// What it said.
        #[source]
        source: io::Error,
    },
    /// An entry that cannot be read.
    #[error("the entry of {path} is damaged: {detail}")]
    Entry {
        /// The path.
        path: RepoPath,
        /// What is wrong.
        detail: String,
    },
    /// The node is stopping.
    #[error("the upload was interrupted because the node is stopping")]
    Stopping,
}

impl HostedError {
    /// True if the disk is full or a quota is used up.
    pub fn is_disk_full(&self) -> bool {
        match self {
            Self::Blob(error) => error.is_disk_full(),
            Self::Io { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }

    pub(crate) fn io(action: &'static str, place: impl AsRef<std::path::Path>) -> impl FnOnce(io::Error) -> Self {
        let place = place.as_ref().display().to_string();
        move |source| Self::Io { action, place, source }
    }
}
