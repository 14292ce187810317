//! What the repository answers.

use std::path::PathBuf;
use std::sync::Arc;

use maven_layout::{Coordinates, RepoPath};
use pyrsia_digest::{FileDigests, KnownDigests};

/// Answer to a request for a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A file of the store.
    File(ServedFile),
    /// A small document made by this node: metadata, a checksum.
    Generated(Generated),
    /// Definitely not there: the ledger does not know it and every origin said so.
    Absent,
    /// There, or thought to be there, and not handed out.
    Withheld(Withheld),
}

/// A file of the store, complete and verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedFile {
    /// The path asked for.
    pub path: RepoPath,
    /// Where the bytes lie on this machine.
    pub blob_path: PathBuf,
    /// Size and digests: all, or for a large file that came by its SHA-256 a moment ago, that one.
    pub digests: KnownDigests,
    /// When the file was last changed, in seconds since 1970: as upstream says, else when it was first seen.
    pub last_modified: u64,
    /// When the bytes were first seen at this path, in seconds since 1970.
    pub first_seen: u64,
    /// When the upstream that it came from says it was last changed, in seconds since 1970.
    pub upstream_modified: Option<u64>,
    /// What is known of its origin.
    pub provenance: Provenance,
    /// The bytes at this path will never change.
    pub immutable: bool,
    /// The bytes, if they had to be read to know that they are in order, and are few.
    pub bytes: Option<Arc<[u8]>>,
}

/// A document made by this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// The path asked for.
    pub path: RepoPath,
    /// The document.
    pub bytes: Arc<[u8]>,
    /// Size and digests of the document.
    pub digests: FileDigests,
    /// When the bytes changed last, in seconds since 1970, if that is known.
    pub last_modified: Option<u64>,
    /// What is known of its content's origin; `None` for checksums and the like.
    pub provenance: Option<Provenance>,
    /// The bytes at this path will never change.
    pub immutable: bool,
}

impl Generated {
    /// A document with its digests, which may change.
    pub fn new(path: RepoPath, bytes: Vec<u8>, last_modified: Option<u64>) -> Self {
        let digests = FileDigests::of(&bytes);
        Self { path, bytes: bytes.into(), digests, last_modified, provenance: None, immutable: false }
    }
}

/// What is known of the origin of a file: the value of `X-Pyrsia-Provenance`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Provenance {
    /// Bit for bit what a quorum made from the recorded source.
    Verified,
    /// What a quorum made, apart from named normalisers.
    Equivalent,
    /// A quorum found that the source makes something else.
    Different,
    /// The builders did not agree.
    Disputed,
    /// Bit for bit what was made from the source, in a network that tolerates no liar.
    SelfVerified,
    /// Nothing is known.
    Unverified,
    /// Uploaded to a repository of this node's operator: the ledger has nothing to do with it.
    Hosted,
}

impl Provenance {
    /// The header's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Equivalent => "equivalent",
            Self::Different => "different",
            Self::Disputed => "disputed",
            Self::SelfVerified => "self-verified",
            Self::Unverified => "unverified",
            Self::Hosted => "hosted",
        }
    }
}

/// A file that is not handed out, and why, in words for the person whose build just stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld {
    /// The closed reason.
    pub reason: WithheldReason,
    /// The release, when the path names one.
    pub coordinates: Option<Coordinates>,
    /// What happened.
    pub detail: String,
    /// What to do next.
    pub next: String,
}

/// Why a file is withheld.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WithheldReason {
    /// The network has blocked the release.
    Blocked,
    /// Policy `verified`, and nobody has rebuilt the file.
    Unverified,
    /// Policy `verified`, and the file is equivalent only.
    Equivalent,
    /// Policy `verified`, and the source makes something else.
    Different,
    /// The builders did not agree.
    Disputed,
    /// The bytes that are offered are not the ones that the ledger records.
    LedgerMismatch,
    /// The bytes that are offered are not the ones that were seen first.
    ChangedUpstream,
}

impl WithheldReason {
    /// The name of the reason in documents.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Unverified => "unverified",
            Self::Equivalent => "equivalent",
            Self::Different => "different",
            Self::Disputed => "disputed",
            Self::LedgerMismatch => "ledger-mismatch",
            Self::ChangedUpstream => "changed-upstream",
        }
    }
}
