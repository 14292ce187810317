//! The story of a release.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Where the source of a release comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct SourceDocument {
    /// Canonical repository address.
    pub repository: Option<String>,
    /// Commit in full.
    pub commit: Option<String>,
    /// Tag, when one was named.
    pub tag: Option<String>,
}

/// A builder whose value was not the agreed one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dissent {
    /// The authority's name, or its key when the name is unknown.
    pub authority: String,
    /// SHA-256 of the file it made; `null` when it made none.
    pub sha256: Option<String>,
}

/// What the ledger says about one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileStory {
    /// File name.
    pub name: String,
    /// Path in the repository.
    pub path: String,
    /// `published`, `identical`, `equivalent`, `different`, `disputed` or `failed`.
    pub verdict: String,
    /// SHA-256 of the file that is to be served.
    pub sha256: Option<String>,
    /// The comparison's outcome.
    pub comparison: Option<String>,
    /// Normalisers under which the files are equal.
    pub normalisers: Vec<String>,
    /// Names of the authorities whose agreement is the verdict.
    pub agreed_by: Vec<String>,
    /// Names of those that showed the same once it was decided: on record, not counted.
    #[serde(default)]
    pub agreed_later: Vec<String>,
    /// Those that found something else, before or after.
    pub dissent: Vec<Dissent>,
}

/// What the ledger says about one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerdictStory {
    /// The release.
    pub gav: String,
    /// The verdict in the ledger's words.
    pub verdict: String,
    /// The network tolerates no liar: the verdict is this machine's own.
    pub self_verified: bool,
    /// The round that found it.
    pub round: String,
    /// What was built.
    pub source: SourceDocument,
    /// Digest of the specification.
    pub specification: String,
    /// Digest of the builder image.
    pub image: String,
    /// Root of the input manifest.
    pub inputs_root: Option<String>,
    /// Digest of the output list.
    pub outputs_root: Option<String>,
    /// Equal results that were needed.
    pub threshold: u32,
    /// Authorities that were asked.
    pub committee_size: u32,
    /// The files.
    pub files: Vec<FileStory>,
    /// Position of the verdict in the log.
    pub log_index: Option<u64>,
    /// The signed provenance of each build that was attested, in the order of the authorities' names; see
    /// `/api/v1/provenance/{gav}`.
    #[serde(default)]
    pub provenance: Vec<AttestedProvenance>,
}

/// A provenance that an authority has attested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttestedProvenance {
    /// The authority's name.
    pub authority: String,
    /// Its public key (ed25519), in hexadecimal.
    pub key: String,
    /// The key id of its signatures in DSSE envelopes.
    pub key_id: String,
    /// SHA-256 of the envelope.
    pub sha256: String,
}

/// Another commit that a verdict's tag led to when another build was requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MovedTag {
    /// The commit in full.
    pub commit: String,
    /// The round of that build.
    pub round: String,
    /// Position of its request in the log.
    pub log_index: u64,
}

/// `GET /api/v1/inspect/{gav}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Inspection {
    /// The release.
    pub gav: String,
    /// What holds now; `null`: no verdict.
    pub verdict: Option<VerdictStory>,
    /// Blocked: withheld by the network.
    pub blocked: bool,
    /// An earlier verdict was withdrawn, and none stands.
    #[serde(default)]
    pub withdrawn: bool,
    /// The tag of the verdict's source was moved: where it led to in other builds, newest first, at most 20.
    #[serde(default)]
    pub moved_tag: Vec<MovedTag>,
    /// The namespace that owns the group: its prefix, when there is one.
    pub namespace: Option<String>,
    /// Builds of this release, newest first: identifiers for `/api/v1/builds/{id}`.
    pub builds: Vec<String>,
}

/// One file of a release that has a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FileMatch {
    /// The release.
    pub gav: String,
    /// File name in the release's folder.
    pub name: String,
}

/// `GET /api/v1/files/{sha256}`: the files with this digest that verdicts name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct FileMatches {
    /// The files, about 100 at most.
    pub files: Vec<FileMatch>,
    /// Not all verdicts were looked at: the question with `after` set to this goes on. `null`: these were all.
    #[serde(default)]
    pub next: Option<String>,
}
