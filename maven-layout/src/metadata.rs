//! `maven-metadata.xml` at its three levels, read, merged and written.
//!
//! One document type serves a group (plugin prefixes), an artifact (its versions) and a snapshot version (its builds):
//! [reference](https://maven.apache.org/ref/3.9.11/maven-repository-metadata/repository-metadata.html). A directory
//! can be a group and an artifact at once, so a [`Metadata`] holds all three and any of them may be empty.
//!
//! Writing is a function of the value alone: sorted, the same bytes everywhere, no clock.

mod excess;
mod forget;
mod read;
mod snapshots;
mod write;

use std::collections::BTreeMap;

use crate::names::{ArtifactId, Classifier, Extension, GroupId, NameError};
use crate::text::{text_order, text_type};
use crate::version::{self, Version};
use crate::xml::XmlError;

pub use excess::excess;
pub use read::parse;
pub use write::write;

/// The name of the file, at every level.
pub const FILE_NAME: &str = "maven-metadata.xml";
/// Largest document that is read, in bytes.
pub const MAX_BYTES: u64 = crate::xml::SIZE_LIMIT as u64;

/// Why a `maven-metadata.xml` was not read or merged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// The document is not acceptable XML, or not `<metadata>`.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// The group, artifact or version that it says it is about is not a valid name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// A time is not fourteen digits.
    #[error("a time is not of the form yyyyMMddHHmmss")]
    Time,
    /// Two documents to be merged say that they are about different things.
    #[error("cannot merge metadata of {what} {left} with that of {right}")]
    Mismatch {
        /// `group`, `artifact` or `version`.
        what: &'static str,
        /// What the one is about.
        left: String,
        /// What the other is about.
        right: String,
    },
}

fn check_time(text: &str) -> Result<(), MetadataError> {
    if text.len() == 14 && text.bytes().all(|byte| byte.is_ascii_digit()) { Ok(()) } else { Err(MetadataError::Time) }
}

text_type! {
    /// A time in UTC as `yyyyMMddHHmmss`: fourteen digits, ordered by time. That they are a date is not checked.
    LastUpdated, MetadataError, check_time
}
text_order!(LastUpdated);

/// The build that a snapshot stands at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Snapshot {
    /// `yyyyMMdd.HHmmss` in UTC.
    pub timestamp: String,
    /// Counts the builds of the snapshot, from 1.
    pub build_number: u32,
}

/// The newest build of one file of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotVersion {
    /// The timestamped version, `1.0-20261122.072715-2`.
    pub value: Version,
    /// When it was deployed.
    pub updated: Option<LastUpdated>,
}

/// A plugin of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugin {
    /// A name for people.
    pub name: Option<String>,
    /// The artifact id.
    pub artifact: ArtifactId,
}

/// The content of a `maven-metadata.xml`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The group, if stated.
    pub group: Option<GroupId>,
    /// The artifact, if stated.
    pub artifact: Option<ArtifactId>,
    /// The snapshot version, if stated.
    pub version: Option<Version>,
    /// `latest`.
    pub latest: Option<Version>,
    /// `release`: the latest that is no snapshot.
    pub release: Option<Version>,
    /// The versions, without duplicates, in the order of [`Version`]. [`sorted_versions`] makes such a list.
    pub versions: Vec<Version>,
    /// When the list last changed.
    pub last_updated: Option<LastUpdated>,
    /// The build that the snapshot stands at.
    pub snapshot: Option<Snapshot>,
    /// The newest build of each file of the snapshot, by extension and classifier.
    pub snapshot_versions: BTreeMap<(Extension, Option<Classifier>), SnapshotVersion>,
    /// The plugins of the group, by prefix.
    pub plugins: BTreeMap<String, Plugin>,
}

impl Metadata {
    /// The list of an artifact's versions, given in any order; the greatest are `latest` and `release`.
    pub fn of_versions(group: &GroupId, artifact: &ArtifactId, versions: impl IntoIterator<Item = Version>) -> Self {
        let versions = sorted_versions(versions);
        Self {
            group: Some(group.clone()),
            artifact: Some(artifact.clone()),
            latest: versions.last().cloned(),
            release: versions.iter().rev().find(|version| !version.is_snapshot()).cloned(),
            versions,
            ..Self::default()
        }
    }
}

/// Sorts as [`Version`] does and drops duplicates. Each version is taken apart only once.
pub fn sorted_versions(versions: impl IntoIterator<Item = Version>) -> Vec<Version> {
    version::sorted(versions)
}

impl Metadata {
    /// The version list of an artifact: `latest` is the greatest version, `release` the greatest that is no snapshot.
    ///
    /// # Errors
    /// [`MetadataError::Time`] if `last_updated` is not `yyyyMMddHHmmss`.
    pub fn of_artifact(
        group: GroupId,
        artifact: ArtifactId,
        versions: impl IntoIterator<Item = Version>,
        last_updated: &str,
    ) -> Result<Self, MetadataError> {
        let versions = sorted_versions(versions);
        Ok(Self {
            group: Some(group),
            artifact: Some(artifact),
            latest: versions.last().cloned(),
            release: versions.iter().rev().find(|version| !version.is_snapshot()).cloned(),
            versions,
            last_updated: Some(last_updated.parse()?),
            ..Self::default()
        })
    }

    /// Whether there is nothing to tell: such a document is better not served.
    pub fn is_empty(&self) -> bool {
        self.versions.is_empty()
            && self.latest.is_none()
            && self.release.is_none()
            && self.snapshot.is_none()
            && self.snapshot_versions.is_empty()
            && self.plugins.is_empty()
    }
}

/// One document that tells what both tell. Versions and plugins are united, of everything else the greater or later
/// value counts; where both claim a plugin prefix, `first` does.
///
/// The version that a document is about is one thing with snapshots; in a list of versions it is a left-over of what was
/// deployed last, and the greater one stays.
///
/// # Errors
/// [`MetadataError::Mismatch`] if both state a group, artifact or snapshot version, and not the same.
pub fn merge(first: Metadata, second: Metadata) -> Result<Metadata, MetadataError> {
    let about_builds = |document: &Metadata| document.snapshot.is_some() || !document.snapshot_versions.is_empty();
    let version = if about_builds(&first) || about_builds(&second) {
        same("version", first.version, second.version)?
    } else {
        first.version.max(second.version)
    };
    let mut snapshot_versions = first.snapshot_versions;
    for (file, theirs) in second.snapshot_versions {
        match snapshot_versions.get(&file) {
            Some(ours) if (&ours.updated, &ours.value) >= (&theirs.updated, &theirs.value) => {}
            _ => {
                snapshot_versions.insert(file, theirs);
            }
        }
    }
    let mut plugins = second.plugins;
    plugins.extend(first.plugins);
    Ok(Metadata {
        group: same("group", first.group, second.group)?,
        artifact: same("artifact", first.artifact, second.artifact)?,
        version,
        latest: first.latest.max(second.latest),
        release: first.release.max(second.release),
        versions: sorted_versions(first.versions.into_iter().chain(second.versions)),
        last_updated: first.last_updated.max(second.last_updated),
        snapshot: first.snapshot.max(second.snapshot),
        snapshot_versions,
        plugins,
    })
}

fn same<T: PartialEq + std::fmt::Display>(
    what: &'static str,
    first: Option<T>,
    second: Option<T>,
) -> Result<Option<T>, MetadataError> {
    match (first, second) {
        (Some(left), Some(right)) if left != right => {
            Err(MetadataError::Mismatch { what, left: left.to_string(), right: right.to_string() })
        }
        (first, second) => Ok(first.or(second)),
    }
}

#[cfg(test)]
mod tests;
