//! `infer --json`, and what `rebuild --json` says of how it found its way.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rebuild::{RebuildVerdict, SpecReport};

/// What `infer` found. The field names are a contract.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct InferReport {
    /// The release.
    pub gav: String,
    /// The source; `null` when none could be established.
    pub source: Option<InferredSource>,
    /// The specification that would be tried first; `null` without a source, or when nothing can be built with here.
    pub spec: Option<InferredSpec>,
    /// What would be tried after it if nothing were learnt from its failure.
    pub alternatives: Vec<InferredSpec>,
    /// Why each choice was made.
    pub evidence: Vec<ReasonReport>,
    /// Addresses, tags and commits that were looked at and not taken.
    pub refused: Vec<String>,
    /// JDKs, Mavens and settings that were wished and cannot be had here.
    pub skipped: Vec<String>,
    /// Why there is no source.
    pub failure: Option<String>,
}

/// A source that was found by inference.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct InferredSource {
    /// Canonical repository address.
    pub repository: String,
    /// The tag.
    pub tag: Option<String>,
    /// Commit in full.
    pub commit: String,
    /// How the address came about: `named`, `derived`, `given`, `guessed` or `stranger`.
    pub standing: String,
    /// What proves the commit: `files`, or weaker: `pom-only`, `declared-only`.
    pub acceptance: String,
    /// The same as a sentence.
    pub said: String,
    /// Per cent of the files of the published `-sources.jar` that are files of the commit; `null` where none was published.
    pub match_percent: Option<f64>,
    /// The numbers behind it.
    pub files: Option<SourceFiles>,
}

/// How the files of a `-sources.jar` and those of a commit compare.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct SourceFiles {
    /// Files with the same bytes.
    pub equal: u32,
    /// Files that are the same but for line ends.
    pub line_ends: u32,
    /// Files that the commit does not have.
    pub missing: u32,
    /// The first of them.
    pub missing_names: Vec<String>,
    /// Files that builds make, which do not count.
    pub generated: u32,
    /// The first of them.
    pub generated_names: Vec<String>,
}

/// A specification that would be tried.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct InferredSpec {
    /// Its digest.
    pub digest: String,
    /// `inferred`, or `source` where the commit brings its own.
    pub origin: String,
    /// Its text.
    pub toml: String,
    /// Why this one, in sentences.
    pub why: Vec<String>,
}

/// One reason for one choice.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ReasonReport {
    /// What was chosen: a field of the specification, or `repository`, `tag`, `commit`.
    pub about: String,
    /// What it speaks for.
    pub value: String,
    /// Where that was read.
    pub from: String,
}

/// One attempt of a rebuild that looks for its specification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptReport {
    /// From 1.
    pub number: u32,
    /// With which specification.
    pub spec: SpecReport,
    /// Why with this one, in sentences.
    pub why: Vec<String>,
    /// The headline of what came out.
    pub verdict: RebuildVerdict,
    /// Why nothing came out.
    pub failure: Option<String>,
    /// Whether this is the attempt that the report is about.
    pub kept: bool,
}
