//! A build from the outside: what is asked for, what it is made from, what came out, what went wrong.

use std::collections::BTreeSet;
use std::path::PathBuf;

use maven_layout::{CanonicalRepository, Coordinates};
use pyrsia_digest::{FileDigests, Sha256};

use crate::manifest::{InputManifest, ManifestError};
use crate::profile::SandboxProfile;
use crate::specification::{GitState, Newline, Specification, SpecificationError};

/// Whether a release is published only by rebuilding, or is compared with what an upstream has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Published only by rebuilding.
    Native,
    /// Already on an upstream repository.
    Upstream,
}

/// A name for one run on one machine: `[a-z0-9-]`, at most 32 characters; containers are labelled with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RunId(String);

impl RunId {
    /// Takes letters, digits and dashes of the text, at most 32.
    pub fn new(text: &str) -> Self {
        let keep = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '-';
        Self(text.chars().filter(keep).take(32).collect())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a specification says about the source itself: two builds whose checkouts differ have different sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Checkout {
    /// Line ends of text files, as git would check them out.
    pub newline: Newline,
    /// What of `.git` is there.
    pub git: GitState,
}

impl Checkout {
    /// What this specification asks for.
    pub fn of(specification: &Specification) -> Self {
        // An archive has the line ends that it has; git did not check it out.
        let newline = match specification.source_distribution {
            Some(_) => Newline::default(),
            None => specification.checkout_newline(),
        };
        Self { newline, git: specification.git }
    }
}

/// Which source is wanted.
#[derive(Debug, Clone)]
pub struct SourceRequest {
    /// The releases that one build makes; the build file at the commit must declare each of them.
    pub coordinates: Vec<Coordinates>,
    /// The repository as the release names it (canonical); the builder's mirror map may lead elsewhere.
    pub repository: CanonicalRepository,
    /// Tag under `refs/tags`, without that prefix.
    pub tag: Option<String>,
    /// Full hexadecimal commit id; must be what the tag resolves to when both are given.
    pub commit: Option<String>,
    /// How it is checked out; none: as the specification in the commit says, or else the default one.
    pub checkout: Option<Checkout>,
}

/// A signature inside a commit or a tag. Nobody has checked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSignature {
    /// `openpgp`, `ssh` or `x509`.
    pub kind: &'static str,
    /// The armoured text; none if it is longer than 16 KiB.
    pub text: Option<String>,
}

/// An annotated tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagObject {
    /// Full hexadecimal id of the tag object.
    pub id: String,
    /// The name that it gives itself; it may differ from the one it is found under.
    pub name: String,
    /// `Name <address>`.
    pub tagger: Option<String>,
    /// When it was made, seconds since 1970.
    pub time: Option<i64>,
    /// Its signature, if it has one.
    pub signature: Option<ObjectSignature>,
}

/// A repository inside another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submodule {
    /// Where it lies, from the root of the source.
    pub path: String,
    /// Canonical address.
    pub repository: CanonicalRepository,
    /// Whether the bytes came through a mirror map instead of that address.
    pub mirrored: bool,
    /// Full hexadecimal id of the commit that the outer repository names.
    pub commit: String,
    /// Full hexadecimal id of that commit's tree.
    pub commit_tree: String,
}

/// A source, resolved, checked and frozen.
#[derive(Debug, Clone)]
pub struct Source {
    /// Canonical address.
    pub repository: CanonicalRepository,
    /// Whether the bytes, or those of a submodule, came through a mirror map instead of that address.
    pub mirrored: bool,
    /// The tag that was resolved.
    pub tag: Option<String>,
    /// What the tag is, if it is more than a name of the commit.
    pub tag_object: Option<TagObject>,
    /// Full hexadecimal commit id.
    pub commit: String,
    /// Full hexadecimal id of the commit's tree, as git computes it.
    pub commit_tree: String,
    /// The commit's own signature, if it has one.
    pub signature: Option<ObjectSignature>,
    /// Repositories inside it, sorted by path.
    pub submodules: Vec<Submodule>,
    /// How it was checked out.
    pub checkout: Checkout,
    /// Committer time, seconds since 1970.
    pub commit_time: i64,
    /// SHA-256 of the canonical tar of the tree.
    pub tree: Sha256,
    /// The canonical tar; the caller keeps it (or moves it into a store) as long as it builds from it.
    pub archive: PathBuf,
    /// The releases whose files the build must not get: the requested ones and every sibling in their reactor, modules
    /// of profiles included. A sibling whose coordinates are computed is here once for each value that they may have.
    pub reactor: Vec<Coordinates>,
    /// What the requested release's build file gives as its source, reduced to the canonical form.
    pub declared_scm: Option<CanonicalRepository>,
    /// The specification that lies in the commit, if there is one.
    pub specification: Option<Specification>,
    /// Sentences that say how commit and coordinates were established.
    pub evidence: Vec<String>,
}

/// A build to run.
#[derive(Debug, Clone)]
pub struct Job {
    /// Name of the run.
    pub run: RunId,
    /// The releases whose files are wanted.
    pub coordinates: Vec<Coordinates>,
    /// Native or upstream.
    pub mode: Mode,
    /// The source.
    pub source: Source,
    /// How to build.
    pub specification: Specification,
    /// The builder image, by our digest.
    pub image: Sha256,
    /// The surroundings.
    pub profile: SandboxProfile,
    /// An existing folder of the caller's into which outputs are written.
    pub work_dir: PathBuf,
}

/// What a record gave.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// Every request and its answer.
    pub manifest: InputManifest,
    /// What this run made, or how its tool failed; only a replay's outcome counts.
    pub result: Result<Built, ToolFailure>,
}

/// A build tool's own non-zero exit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the build tool ended with exit code {exit_code}")]
pub struct ToolFailure {
    /// The tool's exit code.
    pub exit_code: i64,
    /// The last lines of its log, oldest first, at most 40.
    pub log_tail: Vec<String>,
}

/// One file that a build attached.
#[derive(Debug, Clone)]
pub struct BuiltFile {
    /// The release it belongs to.
    pub coordinates: Coordinates,
    /// Its name in the release's folder of a Maven repository.
    pub name: String,
    /// Where it lies below the job's work folder.
    pub path: PathBuf,
    /// Its digests.
    pub digests: FileDigests,
}

/// What a build made.
#[derive(Debug, Clone, Default)]
pub struct Built {
    /// The files, sorted by coordinates and name.
    pub files: Vec<BuiltFile>,
    /// Digest over compiled test classes or other by-products: shows that work was done, never decides.
    pub byproducts: Option<Sha256>,
    /// SHA-256 of every file that any module of the reactor attached, the wanted releases' own included: none of them may
    /// have been an input.
    pub reactor: BTreeSet<Sha256>,
    /// SHA-256 of every file that a replay handed to the build. A manifest may name more: whoever recorded it could have
    /// added lines that no build asks for.
    pub asked: BTreeSet<Sha256>,
}

/// No source could be established (exit code 22).
#[derive(Debug, Clone, thiserror::Error)]
pub enum SourceError {
    /// The address may not be cloned from.
    #[error("{repository} cannot be used as a source: {problem}")]
    Refused {
        /// The address.
        repository: String,
        /// Why.
        problem: String,
    },
    /// The clone failed.
    #[error("{repository} could not be cloned: {problem}")]
    Clone {
        /// The address that was cloned.
        repository: String,
        /// What git said.
        problem: String,
    },
    /// There is no such tag or commit, or they contradict each other.
    #[error("{repository} has no {wanted}: {problem}")]
    Revision {
        /// The address.
        repository: String,
        /// `tag X` or `commit X`.
        wanted: String,
        /// Details.
        problem: String,
    },
    /// The build files at the commit declare something else.
    #[error("commit {commit} declares {declared}, not {wanted}: it is not this release's source")]
    Coordinates {
        /// The commit.
        commit: String,
        /// What its build files declare.
        declared: String,
        /// What was asked for.
        wanted: String,
    },
    /// The build file or specification at the commit cannot be read.
    #[error("{file} at commit {commit} cannot be used: {problem}")]
    BuildFile {
        /// The commit.
        commit: String,
        /// Path in the tree.
        file: String,
        /// Why.
        problem: String,
    },
    /// The tree holds something that is not taken (escaping links, hostile submodules, missing LFS files), or is too large.
    #[error("the tree of commit {commit} cannot be used: {problem}")]
    Tree {
        /// The commit.
        commit: String,
        /// Why.
        problem: String,
    },
    /// This machine failed (disk, memory).
    #[error("{0}")]
    Local(String),
}

/// The limit that a build ran into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BuildLimit {
    /// Wall-clock time.
    #[error("time")]
    Time,
    /// Memory.
    #[error("memory")]
    Memory,
    /// Disk (tmpfs) space.
    #[error("disk")]
    Disk,
    /// Processes and threads.
    #[error("processes")]
    Processes,
    /// Length of the log.
    #[error("log")]
    Log,
    /// Output size or count.
    #[error("outputs")]
    Outputs,
}

/// Why a build gave no outputs.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BuildError {
    /// The build tool ended with a non-zero exit code: the only failure that may be attested (exit code 20).
    #[error(transparent)]
    ToolFailed(#[from] ToolFailure),
    /// A line that the specification has the shell run failed, and not because the tool did: it says as much about the
    /// sandbox as about the source, so it is not attestable (exit code 20).
    #[error("{place} of the specification ended with exit code {exit_code}")]
    CommandFailed {
        /// Which line of which field.
        place: String,
        /// The line's exit code.
        exit_code: i64,
        /// The last lines of the log, oldest first, at most 40.
        log_tail: Vec<String>,
    },
    /// The tool ended well but a requested release has no main artifact or POM (exit code 20).
    #[error("the build made no {0}")]
    NoOutput(String),
    /// The build did something to the sandbox or to what comes out of it, so that there is nothing to judge: no fault of
    /// this machine, so trying again does not help; not attestable (exit code 20).
    #[error("the build interfered with its own outputs: {0}")]
    Interfered(String),
    /// A replay asked for something that is not in the manifest (exit code 21).
    #[error("the build asked for an undeclared input: {repository} {path}")]
    Undeclared {
        /// The repository.
        repository: String,
        /// The path.
        path: String,
    },
    /// The build wanted a host of the network (exit code 21).
    #[error("needs-network: {0}")]
    NeedsNetwork(String),
    /// A repository failed while inputs were recorded (an error of its server, no answer in time, after tries): says
    /// nothing about the build, and trying again may help; not attestable (exit code 1).
    #[error("upstream failed while the inputs were recorded; try again later: {0}")]
    UpstreamFailed(String),
    /// A repository or file that the build needs is not there (exit code 21).
    #[error("inputs-unavailable: {0}")]
    InputsUnavailable(String),
    /// A SNAPSHOT was asked for: it is not one file (exit code 21).
    #[error("the build asks for a SNAPSHOT, which is not one file: {0}")]
    Snapshot(String),
    /// An input is equal to an output or to the reference: the round is void.
    #[error("input {0} is a file that this build is supposed to make")]
    InputIsOutput(String),
    /// The specification asks for something that this builder cannot do.
    #[error("{0}")]
    Unsupported(String),
    /// The specification is not valid.
    #[error(transparent)]
    Specification(#[from] SpecificationError),
    /// The manifest grew past its limits or contradicts itself.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A limit of the sandbox was reached; not attestable.
    #[error("the build ran into its limit of {0}")]
    Limit(BuildLimit),
    /// The engine or this machine failed; trying again may help; not attestable.
    #[error("the container engine failed: {0}")]
    Engine(String),
}

impl BuildLimit {
    /// The word in documents: `limit-` and what was too little.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Time => "limit-time",
            Self::Memory => "limit-memory",
            Self::Disk => "limit-disk",
            Self::Processes => "limit-processes",
            Self::Log => "limit-log",
            Self::Outputs => "limit-outputs",
        }
    }
}

impl BuildError {
    /// A word for the kind of it, which scripts may rely on.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::ToolFailed(_) => "tool-failed",
            Self::CommandFailed { .. } => "command-failed",
            Self::NoOutput(_) => "no-output",
            Self::Interfered(_) => "interfered",
            Self::Undeclared { .. } => "undeclared",
            Self::NeedsNetwork(_) => "needs-network",
            Self::UpstreamFailed(_) => "upstream-failed",
            Self::InputsUnavailable(_) => "inputs-unavailable",
            Self::Snapshot(_) => "snapshot",
            Self::InputIsOutput(_) => "input-is-output",
            Self::Unsupported(_) => "unsupported",
            Self::Specification(_) => "specification",
            Self::Manifest(_) => "manifest",
            Self::Limit(limit) => limit.word(),
            Self::Engine(_) => "engine",
        }
    }

    /// Whether every builder would find the same, so that it may be attested as the round's result.
    pub fn is_attestable(&self) -> bool {
        matches!(self, Self::ToolFailed(_))
    }
}
