//! What an examination of a node's store found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `fsck --json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
    /// Databases of paths that were not in order.
    #[serde(default)]
    pub indexes: Vec<DamagedIndex>,
    /// Private repositories.
    #[serde(default)]
    pub hosted: Vec<HostedReport>,
}

/// A database of paths that was not in order, and is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DamagedIndex {
    /// The database.
    pub file: String,
    /// What was wrong, and what was done.
    pub error: String,
}

/// What was found in a private repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostedReport {
    /// Its id.
    pub id: String,
    /// Files and documents that are in order.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those that are not. No other place has them.
    pub damaged: Vec<DamagedHosted>,
}

/// A file of a private repository that is not in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DamagedHosted {
    /// Its path in the repository.
    pub path: String,
    /// What is wrong with it.
    pub error: String,
}

/// `gc --json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CollectionReport {
    /// Files that were removed, or would be.
    pub removed: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Of those, the bytes that leave the disk: what has another name, as in an exported folder, does not.
    #[serde(default)]
    pub freed_bytes: u64,
    /// Files that are left.
    pub left: u64,
    /// Their bytes.
    pub left_bytes: u64,
    /// Of those, files that have another name too, as in an exported folder.
    #[serde(default)]
    pub linked: u64,
    /// Their bytes, which stay on the disk whatever is removed here.
    #[serde(default)]
    pub linked_bytes: u64,
    /// Of what is left, files that would have gone but belong to a release with a verdict.
    pub vouched: u64,
    /// What was set aside: damaged files, and records of bytes that were not served.
    #[serde(default)]
    pub set_aside: SetAsideReport,
    /// Private repositories, which lose nothing but bytes that no path has any more.
    #[serde(default)]
    pub hosted: Vec<HostedCollection>,
}

/// What became of what was set aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetAsideReport {
    /// Damaged files that were removed, or would be.
    pub removed: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Damaged files that are left.
    pub left: u64,
    /// Their bytes.
    pub left_bytes: u64,
    /// Records of bytes that were not served which are forgotten, or would be.
    pub records_forgotten: u64,
    /// Records that are left.
    pub records_left: u64,
}

/// What was removed from a private repository.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostedCollection {
    /// Its id.
    pub id: String,
    /// Files that were removed, or would be.
    pub removed: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Files that are left.
    pub left: u64,
    /// Their bytes.
    pub left_bytes: u64,
}

/// `hosted list --json`, and `GET /hosted/ID/` of who accepts `application/json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostedVersions {
    /// The repository's id.
    pub id: String,
    /// Its releases and builds of snapshots, in order.
    pub versions: Vec<HostedVersion>,
}

/// A release or a build of a snapshot in a private repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostedVersion {
    /// `group:artifact:version`; the version is `…-SNAPSHOT` for files whose names are of no build.
    pub gav: String,
    /// Its files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the newest of them was stored, in seconds since 1970.
    pub stored: u64,
    /// Who uploaded them.
    pub writers: Vec<String>,
}

/// `hosted remove --json`, and `DELETE /hosted/ID/GROUP/ARTIFACT/VERSION/`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HostedRemoval {
    /// The repository's id.
    pub id: String,
    /// `group:artifact:version`.
    pub gav: String,
    /// Files that were removed.
    pub files: u64,
    /// Their bytes, which `gc` frees.
    pub bytes: u64,
    /// Documents that were written anew, or removed with the last that they told.
    pub documents: Vec<String>,
}

/// A file whose bytes are not the ones of its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UnreadableBlob {
    /// Its name.
    pub sha256: String,
    /// What the operating system said.
    pub error: String,
}

/// A path that the index knows without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MissingFile {
    /// The repository path.
    pub path: String,
    /// SHA-256 of the bytes.
    pub sha256: String,
}

/// `import --json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportReport {
    /// Nothing was changed.
    pub dry_run: bool,
    /// Files that were taken, or would be.
    pub taken: ImportGroup,
    /// The same by what they were verified.
    pub taken_by: BTreeMap<String, ImportGroup>,
    /// Files that were here already.
    pub present: ImportGroup,
    /// Files that were not taken, by the reason.
    pub refused: BTreeMap<String, ImportGroup>,
    /// Files that could not be looked at: running it again may help.
    pub unchecked: ImportGroup,
    /// So many of those came in a row that the rest was not tried.
    pub gave_up: bool,
    /// What is no file of a release, by its kind.
    pub skipped: BTreeMap<String, u64>,
    /// The first ones that were refused or not looked at; without those that upstream does not have.
    pub named: Vec<ImportRefusal>,
}

/// Files that have something in common.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportGroup {
    /// How many.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A file that was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImportRefusal {
    /// Its repository path.
    pub path: String,
    /// The closed reason.
    pub reason: String,
    /// What more there is to say.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
}

/// `export --json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportReport {
    /// Files that were written.
    pub written: u64,
    /// Their bytes.
    pub written_bytes: u64,
    /// Of those, files that are links to the store's.
    pub linked: u64,
    /// Files that were there already.
    pub unchanged: u64,
    /// Files of earlier exports that were removed.
    pub removed: u64,
    /// Files that were left out, by the reason.
    pub left_out: BTreeMap<String, u64>,
    /// Documents that list versions.
    pub documents: u64,
}
