//! What a policy serves, withholds, has served and has withheld.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/v1/policy/{gav}`: what would become of a release's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReleasePolicy {
    /// The release.
    pub gav: String,
    /// The policy that it was decided under: `verified`, `prefer-verified` or `mirror`.
    pub policy: String,
    /// Whether that policy also serves what is `equivalent`; `false` for policies that serve everything anyway.
    pub allow_equivalent: bool,
    /// Where the policy comes from: `asked`, `group PATTERN`, `upstream ID` or `default`.
    pub ground: String,
    /// The files.
    pub files: Vec<FilePolicy>,
}

/// What would become of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilePolicy {
    /// File name.
    pub name: String,
    /// Path in the repository.
    pub path: String,
    /// `served`, `withheld` or `absent`.
    pub outcome: String,
    /// What a served file is marked with: `verified`, `equivalent`, `different`, `disputed`, `self-verified`, `unverified`.
    pub provenance: Option<String>,
    /// Why a file is withheld: `blocked`, `unverified`, `equivalent`, `different`, `disputed`.
    pub reason: Option<String>,
    /// What a client would be told of a withheld file.
    pub detail: Option<String>,
    /// What to do about that.
    pub next: Option<String>,
    /// SHA-256 of the only bytes that would be served.
    pub sha256: Option<String>,
    /// Only upstream knows whether there is such a file, and it was not asked.
    pub if_there: bool,
}

/// `policy test --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PolicyTest {
    /// The exit code of the command.
    pub exit_code: i32,
    /// What would become of the files, release by release.
    pub releases: Vec<ReleasePolicy>,
    /// The files of each group.
    pub groups: Vec<GroupPolicy>,
    /// Lines of `[policy.groups]` that withhold none of these files; `null` where the question was about another policy.
    pub suggestion: Option<String>,
    /// What could not be found out, in words.
    pub unknown: Vec<String>,
}

/// The files of a group, counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupPolicy {
    /// The group.
    pub group: String,
    /// The policy that its files were decided under.
    pub policy: String,
    /// Files that would be served, by what they are marked with.
    pub served: std::collections::BTreeMap<String, u64>,
    /// Files that would be withheld, by the reason.
    pub withheld: std::collections::BTreeMap<String, u64>,
    /// Whether `verified` would serve all of them.
    pub verifiable: bool,
}

/// `GET /api/v1/served`: what was served under which provenance, and what was withheld.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServedReport {
    /// Counted from the beginning of the day of this time on (UTC); `null`: all that is remembered.
    pub since: Option<u64>,
    /// What was served, by provenance.
    pub served: Vec<ServedCount>,
    /// What was withheld, by reason.
    pub withheld: Vec<ServedCount>,
    /// The releases in the order of their coordinates, one entry for each provenance or reason.
    pub releases: Vec<ServedRelease>,
    /// How many entries there are in all; more than `releases` has if there are too many.
    pub total: u64,
}

/// Files and requests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServedCount {
    /// The provenance, or the reason.
    pub outcome: String,
    /// Different files.
    pub files: u64,
    /// Requests.
    pub times: u64,
}

/// What was asked of one release with one outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServedRelease {
    /// The release.
    pub gav: String,
    /// Withheld, not served.
    pub withheld: bool,
    /// The provenance, or the reason.
    pub outcome: String,
    /// Different files.
    pub files: u64,
    /// Requests.
    pub times: u64,
    /// When it was asked for last.
    pub last: u64,
}
