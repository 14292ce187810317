//! The seams: who builds, and where the files of a build come from.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use async_trait::async_trait;
use maven_layout::RepoPath;
use pyrsia_digest::{KnownDigests, Sha256, Sha512};

use crate::job::{BuildError, Built, Job, Recorded, Source, SourceError, SourceRequest};
use crate::manifest::InputManifest;
use crate::specification::{ExtraInput, Specification};

/// See [`RepositoryId::inputs`].
pub(crate) const INPUTS: &str = "input";

/// The id of a repository that a build asks: `central`, or one that the specification lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryId(String);

impl RepositoryId {
    /// Maven's default repository.
    pub fn central() -> Self {
        Self("central".to_owned())
    }

    /// Stands in a manifest for the single files that a specification names, whose paths are those in the source. No
    /// repository has this id.
    pub fn inputs() -> Self {
        Self(INPUTS.to_owned())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepositoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is no repository id: 1 to 64 of `A-Z a-z 0-9 . _ -`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a repository id has 1 to 64 letters, digits, dots, dashes and underscores")]
pub struct RepositoryIdError;

impl FromStr for RepositoryId {
    type Err = RepositoryIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if text.is_empty() || text.len() > 64 || !text.chars().all(plain) {
            return Err(RepositoryIdError);
        }
        Ok(Self(text.to_owned()))
    }
}

/// What a repository answered.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "one at a time is held, and most are files")]
pub enum Input {
    /// The file lies here, immutable, with these digests (they have been verified).
    Found {
        /// A file that nobody changes or removes while the build runs.
        file: PathBuf,
        /// Its digests, as far as somebody has needed them.
        digests: KnownDigests,
        /// When the upstream that it came from says it was last changed, in seconds since 1970: for a release, when it was
        /// published. None for what has no upstream, or none that says.
        last_modified: Option<u64>,
        /// Whether it is metadata that was cut to what had been published before the release that is built.
        cut: bool,
    },
    /// The repository says that there is no such file.
    Absent,
}

impl Input {
    /// A file of which no time is known.
    pub fn found(file: PathBuf, digests: impl Into<KnownDigests>) -> Self {
        Self::Found { file, digests: digests.into(), last_modified: None, cut: false }
    }

    /// The same, marked as metadata that was cut already.
    pub fn already_cut(self) -> Self {
        match self {
            Self::Found { file, digests, last_modified, .. } => Self::Found { file, digests, last_modified, cut: true },
            Self::Absent => Self::Absent,
        }
    }
}

/// An input could not be had, which is neither "found" nor "absent".
#[derive(Debug, Clone, thiserror::Error)]
pub enum InputError {
    /// The network or the repository failed; trying again may help.
    #[error("repository {repository} did not answer for {path}: {problem}")]
    Unavailable {
        /// The repository.
        repository: String,
        /// The path in it.
        path: String,
        /// What happened.
        problem: String,
    },
    /// This node's policy or the ledger refuses the file.
    #[error("{path} is withheld: {problem}")]
    Withheld {
        /// The path.
        path: String,
        /// Why.
        problem: String,
    },
    /// The specification names no such repository.
    #[error("inputs-unavailable: {0}")]
    UnknownRepository(String),
    /// A file that a specification names by its address may not be had from there, is not there, or is another one.
    #[error("{url}: {problem}")]
    Refused {
        /// The address.
        url: String,
        /// Why.
        problem: String,
    },
}

/// Where the files of a *record* come from: the node's store, the ledger's native files, upstream.
///
/// Contract: may be called from many tasks at once for the same path and answers all alike; a `Found` file is
/// verified before it is returned and stays readable until the build has ended.
#[async_trait]
pub trait Inputs: Send + Sync {
    /// Whether this source knows the repository. Asking one that it does not know is [`InputError::UnknownRepository`].
    fn has(&self, repository: &RepositoryId) -> bool {
        let _ = repository;
        true
    }

    /// Asks one repository for one path.
    async fn get(&self, repository: &RepositoryId, path: &RepoPath) -> Result<Input, InputError>;

    /// The file that a specification names by address and digest, got from there unless it is here already, and kept so
    /// that replays find it by digest (see [`ManifestBlobs`]).
    async fn pinned(&self, input: &ExtraInput) -> Result<Input, InputError> {
        Err(InputError::Refused {
            url: input.url.clone(),
            problem: "this source of inputs gets no files by their addresses".to_owned(),
        })
    }

    /// Keeps a document that a builder has derived from inputs, so that replays find it by digest (see
    /// [`ManifestBlobs`]). Sources that never tell `last_modified` are never asked.
    async fn keep(&self, document: &[u8]) -> Result<Input, InputError> {
        Err(InputError::Unavailable {
            repository: "none".to_owned(),
            path: format!("a document of {} bytes", document.len()),
            problem: "this source of inputs keeps no documents".to_owned(),
        })
    }
}

/// Where the files of a *replay* come from: blobs by digest, and nothing else.
#[async_trait]
pub trait ManifestBlobs: Send + Sync {
    /// The file with this digest, or none if this node does not hold it.
    async fn blob(&self, sha256: &Sha256) -> Option<PathBuf>;
}

/// The part of a build that is going on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Clone, resolve the tag, check the coordinates.
    Source,
    /// First run, with a recording endpoint.
    Record,
    /// Run from the manifest alone.
    Replay,
    /// Comparing outputs.
    Compare,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Record => "record",
            Self::Replay => "replay",
            Self::Compare => "compare",
        })
    }
}

/// Where a build's log goes. Implementations bound what they keep; calls never block for long.
pub trait BuildLog: Send + Sync {
    /// A line that the build (or the builder about it) wrote, without its newline, lossily decoded.
    fn line(&self, phase: Phase, line: &str);
}

/// Drops everything.
pub struct NoLog;

impl BuildLog for NoLog {
    fn line(&self, _phase: Phase, _line: &str) {}
}

/// A file that a builder knows by a digest of its own, whatever any repository says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedInput {
    /// Where it lies in the default repository.
    pub path: RepoPath,
    /// What it has to be.
    pub sha512: Sha512,
}

/// One ecosystem's builder.
///
/// Contract: calls may run at the same time; dropping the returned future cancels the work and leaves no
/// container, mount, process or file behind; only a build tool's own non-zero exit is [`BuildError::ToolFailed`].
#[async_trait]
pub trait Builder: Send + Sync {
    /// Finds the commit, checks that its build file declares exactly the coordinates, freezes the tree.
    async fn resolve(&self, request: &SourceRequest, log: Arc<dyn BuildLog>) -> Result<Source, SourceError>;

    /// The inputs as a record of this job would see them: those that are given, with metadata cut to what had been
    /// published before an upstream release. Who checks another's manifest compares its lines with these. Files of the
    /// release itself are still answered.
    fn seen_by(&self, job: &Job, inputs: Arc<dyn Inputs>) -> Arc<dyn Inputs> {
        let _ = job;
        inputs
    }

    /// The distribution of the build tool that a specification asks for, which a record takes from the default repository
    /// like any input. None: the tool is no input, or is not known.
    fn tool(&self, specification: &Specification) -> Option<PinnedInput> {
        let _ = specification;
        None
    }

    /// Most bytes that the inputs of one build may have together. A record ends at it, and a manifest that names more is
    /// not replayed.
    fn max_input_bytes(&self) -> u64;

    /// Runs the build with an endpoint that asks `inputs` (as [`Builder::seen_by`] shows them) and writes down every answer. A tool that fails still
    /// leaves a manifest (in [`Recorded`]), so that others can find the same failure. Whether an input is also an output
    /// is for the caller to find, after the replay.
    async fn record(&self, job: &Job, inputs: Arc<dyn Inputs>, log: Arc<dyn BuildLog>) -> Result<Recorded, BuildError>;

    /// Runs the build in a new sandbox that is answered from the manifest alone.
    async fn replay(
        &self,
        job: &Job,
        manifest: &InputManifest,
        blobs: Arc<dyn ManifestBlobs>,
        log: Arc<dyn BuildLog>,
    ) -> Result<Built, BuildError>;

    /// Waits, in bounded time, until what dropped builds left is gone: called before the process ends.
    async fn settle(&self);

    /// Whether the builder can work now; the text says what is missing and what to do. Answers within two seconds
    /// or little more, and anew each time: what was missing may have come.
    async fn available(&self) -> Result<(), String>;
}
