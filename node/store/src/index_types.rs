//! What the index remembers.

use maven_layout::RepoPath;
use pyrsia_digest::{KnownDigests, Sha256};

/// A file that the node has, under its repository path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRecord {
    /// Where it is served.
    pub path: RepoPath,
    /// Size and digests; the SHA-256 names its blob. Those that were not computed yet are set by
    /// [`crate::IndexStore::complete`].
    pub digests: KnownDigests,
    /// Which origin it came from, by the origin's id; for a file made by a build, as the caller names it.
    pub origin: String,
    /// By what its bytes were verified when they arrived, in the caller's words (`sha1,sha512`, `ledger`, ...); empty
    /// if by nothing.
    pub verified_by: String,
    /// `Last-Modified` of the origin, seconds since 1970.
    pub last_modified: Option<u64>,
    /// When these bytes were first stored under the path, seconds since 1970.
    pub first_seen: u64,
    /// When they were last served, seconds since 1970; may lag by what was not yet written.
    pub last_use: u64,
}

/// When bytes were last asked for, under whatever path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastUse {
    /// Their digest.
    pub sha256: Sha256,
    /// Their size in bytes.
    pub size: u64,
    /// Seconds since 1970.
    pub last_use: u64,
}

/// What [`crate::IndexStore::pin_file`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pinned {
    /// The path had no file; it has this one now.
    New,
    /// The path has a file with the same SHA-256; its record stays as it was.
    Same(FileRecord),
    /// The path has another file, which stays.
    Other(FileRecord),
}

/// What [`crate::IndexStore::record_quarantine`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarantined {
    /// It was not recorded before.
    pub new: bool,
    /// Records that were forgotten for it, those of the first sight first.
    pub forgotten: u64,
}

/// Bytes that an origin delivered in place of those already known for a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarantineRecord {
    /// The path asked for.
    pub path: RepoPath,
    /// SHA-256 of the bytes that are not served.
    pub sha256: Sha256,
    /// Their size in bytes.
    pub size: u64,
    /// Who delivered them, by the origin's id.
    pub origin: String,
    /// Why they are not served, for the operator.
    pub reason: String,
    /// When they were first seen, seconds since 1970.
    pub seen_at: u64,
}
