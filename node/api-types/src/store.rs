//! What an examination of a node's store found.

use serde::{Deserialize, Serialize};

/// `fsck --json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreReport {
    /// Files that are what their names say.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that are not, and were moved aside.
    pub damaged: Vec<DamagedBlob>,
    /// Files that the disk does not give; they are fetched again like damaged ones.
    pub unreadable: Vec<UnreadableBlob>,
    /// Paths whose file is not in the store.
    pub missing: Vec<MissingFile>,
}

/// `gc --json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectionReport {
    /// Files that were removed, or would be.
    pub removed: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Files that are left.
    pub left: u64,
    /// Their bytes.
    pub left_bytes: u64,
    /// Of those, files that would have gone but belong to a release with a verdict.
    pub vouched: u64,
}

/// A file whose bytes are not the ones of its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedBlob {
    /// Its name.
    pub sha256: String,
    /// SHA-256 of what it held.
    pub found: String,
    /// Where it is now.
    pub moved_to: String,
    /// Repository paths that it was served under.
    pub paths: Vec<String>,
}

/// A file that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadableBlob {
    /// Its name.
    pub sha256: String,
    /// What the operating system said.
    pub error: String,
}

/// A path that the index knows without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingFile {
    /// The repository path.
    pub path: String,
    /// SHA-256 of the bytes.
    pub sha256: String,
}
