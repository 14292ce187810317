//! What an authority and a worker tell each other: JSON documents, all of them small, and how large they may be.

use std::collections::BTreeSet;

use maven_layout::{CanonicalRepository, Coordinates, RepoPath};
use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};

use crate::leases::LeaseId;

/// Both ends are the same program: what the sandbox does to a build is part of what it makes.
pub const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// Largest document that is no result, in bytes.
pub const MAX_MESSAGE: usize = 1 << 20;
/// Largest result: two lists of as many digests as a manifest may have lines, and more.
pub const MAX_RESULT: usize = 16 << 20;
/// Largest order; its source may have many siblings.
pub const MAX_ORDER: usize = 16 << 20;
/// Images that a worker names.
pub const MAX_IMAGES: usize = 256;
/// Lines of a log in one piece, and characters of a line.
pub const MAX_LINES: usize = 500;
/// Longest line of a log, in characters.
pub const MAX_LINE: usize = 4_096;
/// Longest name that a worker gives itself, in characters.
pub const MAX_NAME: usize = 64;

/// A worker asks for work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// Which process it is of those that have the same token: letters, digits, dots and dashes.
    pub instance: String,
    /// Its version: that of the authority.
    pub program: String,
    /// Digest of the sandbox profile that it has.
    pub profile: Sha256,
    /// Builder images that it need not get first.
    pub images: BTreeSet<Sha256>,
}

/// A file, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRef {
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// Length in bytes.
    pub size: u64,
}

/// Work, on a lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leased {
    /// The lease.
    pub lease: LeaseId,
    /// How long it lasts, in milliseconds; renewing it begins this time anew.
    pub lease_ms: u64,
    /// What is to be done.
    pub order: Order,
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// Record the inputs.
    Record,
    /// Replay from the manifest.
    Replay,
}

/// Whether the release is on an upstream repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OrderMode {
    /// Published only by rebuilding.
    Native,
    /// Already on an upstream repository.
    Upstream,
}

/// A build to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// Which part of it.
    pub part: Part,
    /// Name of the run.
    pub run: String,
    /// The releases whose files are wanted.
    pub coordinates: Vec<Coordinates>,
    /// Native or upstream.
    pub mode: OrderMode,
    /// What it is built from.
    pub source: OrderSource,
    /// The specification, as TOML.
    pub specification: String,
    /// The builder image.
    pub image: Sha256,
    /// Digest of the sandbox profile.
    pub profile: Sha256,
    /// The repositories of the specification that a record may ask beside the default one.
    pub repositories: Vec<String>,
    /// The inputs of a replay: their manifest, a file that can be asked for.
    pub manifest: Option<FileRef>,
}

/// What a builder needs of a source. The authority has resolved, checked and frozen it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrderSource {
    /// Canonical address.
    pub repository: CanonicalRepository,
    /// The tag that was resolved.
    pub tag: Option<String>,
    /// Full hexadecimal commit id.
    pub commit: String,
    /// Full hexadecimal id of the commit's tree.
    pub commit_tree: String,
    /// Committer time, seconds since 1970.
    pub commit_time: i64,
    /// SHA-256 and length of the canonical tar of the tree, a file that can be asked for.
    pub archive: FileRef,
    /// The releases whose files the build must not get.
    pub reactor: Vec<Coordinates>,
}

/// A sign of life, with what was logged since the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renewal {
    /// Number of the first of these lines, counted from 0 over the lease: a piece that is sent twice is shown once.
    pub first: u64,
    /// Lines of the log.
    pub lines: Vec<String>,
}

/// A recording build asks for an input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputQuestion {
    /// Id of the repository; that of a manifest's single files for one that the specification names by its address.
    pub repository: String,
    /// Path in it; of a single file the place in the source.
    pub path: RepoPath,
}

/// What the authority says to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum InputReply {
    /// The file, which can be asked for.
    Found {
        /// The file.
        file: FileRef,
        /// Seconds since 1970, if its upstream says when it was last changed.
        last_modified: Option<u64>,
        /// Whether it is metadata that was cut already.
        cut: bool,
    },
    /// There is no such file.
    Absent,
    /// The repository did not answer.
    Unavailable(String),
    /// It is withheld.
    Withheld(String),
    /// There is no such repository.
    UnknownRepository(String),
    /// A single file may not be had from its address, is not there, or is another one.
    Refused {
        /// The address.
        url: String,
        /// Why.
        problem: String,
    },
}

/// How a part of a build ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// The inputs were recorded.
    Recorded {
        /// Their manifest, which was uploaded.
        manifest: FileRef,
        /// How the build tool failed; none: it did not. What it made is not sent: only a replay's files count.
        failed: Option<ToolFailed>,
    },
    /// It was replayed.
    Replayed(Replayed),
    /// It gave no result.
    Failed(Failure),
}

/// What a replay made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replayed {
    /// Its files, which were uploaded.
    pub files: Vec<MadeFile>,
    /// Digest over by-products.
    pub byproducts: Option<Sha256>,
    /// Every file that any module attached.
    pub reactor: BTreeSet<Sha256>,
    /// Every file that it was handed.
    pub asked: BTreeSet<Sha256>,
}

/// A file that a build made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeFile {
    /// The release it belongs to.
    pub coordinates: Coordinates,
    /// Its name.
    pub name: String,
    /// Its content.
    pub file: FileRef,
}

/// A build tool's own non-zero exit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolFailed {
    /// Its exit code.
    pub exit_code: i64,
    /// The last lines of its log.
    pub log_tail: Vec<String>,
}

/// Why a build gave no result: [`build_spec::BuildError`] on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "each is the variant of that name")]
pub enum Failure {
    ToolFailed(ToolFailed),
    CommandFailed { place: String, exit_code: i64, log_tail: Vec<String> },
    NoOutput(String),
    Interfered(String),
    Undeclared { repository: String, path: String },
    NeedsNetwork(String),
    UpstreamFailed(String),
    InputsUnavailable(String),
    Snapshot(String),
    InputIsOutput(String),
    Unsupported(String),
    ManifestTooLarge,
    ManifestContradiction { repository: String, path: String },
    Limit(LimitReached),
    Engine(String),
}

/// The limit that a build ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each is the variant of that name")]
pub enum LimitReached {
    Time,
    Memory,
    Disk,
    Processes,
    Log,
    Outputs,
}
