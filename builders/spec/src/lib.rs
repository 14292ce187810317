//! What a rebuild is, apart from who does it: the seam between the network and the builders of one ecosystem.
//!
//! A rebuild turns coordinates and a git commit into files. This crate holds the words for that:
//! the [`Specification`] (how to build), the [`SandboxProfile`] (in which surroundings), the [`InputManifest`]
//! (from which files, every one by SHA-256), the [`Source`], the [`Built`] outputs, and the traits that connect
//! them: [`Builder`] does the work, [`Inputs`] and [`ManifestBlobs`] hand it files.
//!
//! Invariants:
//! - a specification, a profile and a manifest have exactly one canonical form, and their digest is over that form;
//! - a manifest's lines are sorted and unique; every line that was found carries its size and SHA-256;
//! - nothing here touches a file, a clock, a socket or randomness: paths are carried, never opened.
//!
//! What is not here: Docker, git, Maven (`builders/java`), comparing (`builders/jar-compare`), voting (`node/ledger`).

mod additions;
mod commands;
mod converted;
mod extra;
mod gradle;
mod job;
mod manifest;
mod profile;
mod specification;
mod structured;
mod traits;
mod withheld;

pub use converted::{Archive, Converted, from_buildspec};
pub use gradle::distributed;
pub use job::{
    BuildError, BuildLimit, Built, BuiltFile, Checkout, Job, Mode, ObjectSignature, Recorded, RunId, Source,
    SourceError, SourceRequest, Submodule, TagObject, ToolFailure,
};
pub use manifest::{InputLine, InputManifest, InputStatus, MAX_MANIFEST_BYTES, MAX_MANIFEST_LINES, ManifestError};
pub use profile::SandboxProfile;
pub use specification::{
    ExtraInput, GitState, Newline, RemoteRepository, SPECIFICATION_FILE, SourceDateEpoch, SourceDistribution,
    Specification, SpecificationError, Tool,
};
pub use structured::NotStructured;
pub use traits::{
    BuildLog, Builder, Input, InputError, Inputs, ManifestBlobs, NoLog, Phase, PinnedInput, RepositoryId,
};
pub use withheld::Withheld;
