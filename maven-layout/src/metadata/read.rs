//! From bytes to [`Metadata`].

use super::{LastUpdated, Metadata, MetadataError, Plugin, Snapshot, SnapshotVersion, sorted_versions};
use crate::names::{Classifier, Extension};
use crate::version::split_timestamp;
use crate::xml::{self, Element};

/// Reads a `maven-metadata.xml` of any level, at most 8 MiB.
///
/// A version, snapshot file or plugin whose name is not valid is left out: no path could be made of it, and one odd
/// entry must not hide all others. So is a time that is none.
///
/// # Errors
/// [`MetadataError::Xml`]; [`MetadataError::Name`] if the group, artifact or version that the document is about is not
/// valid.
pub fn parse(bytes: &[u8]) -> Result<Metadata, MetadataError> {
    let root = xml::parse(bytes, "metadata")?;
    let mut metadata = Metadata {
        group: root.text_of("groupId").map(str::parse).transpose()?,
        artifact: root.text_of("artifactId").map(str::parse).transpose()?,
        version: root.text_of("version").map(str::parse).transpose()?,
        ..Metadata::default()
    };
    if let Some(versioning) = root.child("versioning") {
        read_versioning(versioning, &mut metadata);
    }
    for plugin in root.child("plugins").into_iter().flat_map(|plugins| plugins.all("plugin")) {
        if let (Some(prefix), Some(artifact)) = (plugin.text_of("prefix"), parsed(plugin, "artifactId")) {
            metadata
                .plugins
                .entry(prefix.to_owned())
                .or_insert(Plugin { name: plugin.text_of("name").map(str::to_owned), artifact });
        }
    }
    Ok(metadata)
}

fn parsed<T: std::str::FromStr>(element: &Element, name: &str) -> Option<T> {
    element.text_of(name)?.parse().ok()
}

fn read_versioning(versioning: &Element, metadata: &mut Metadata) {
    metadata.latest = parsed(versioning, "latest");
    metadata.release = parsed(versioning, "release");
    metadata.last_updated = parsed(versioning, "lastUpdated");
    metadata.versions = sorted_versions(
        versioning
            .child("versions")
            .into_iter()
            .flat_map(|versions| versions.all("version"))
            .filter_map(|version| version.text.parse().ok()),
    );
    metadata.snapshot = versioning.child("snapshot").and_then(read_snapshot);
    let files = versioning.child("snapshotVersions").into_iter().flat_map(|files| files.all("snapshotVersion"));
    for file in files {
        let Some((key, value)) = read_snapshot_version(file) else {
            continue;
        };
        // Of one file said twice the later build counts, as it does when two documents are merged.
        match metadata.snapshot_versions.get(&key) {
            Some(held) if (&held.updated, &held.value) >= (&value.updated, &value.value) => {}
            _ => {
                metadata.snapshot_versions.insert(key, value);
            }
        }
    }
}

fn read_snapshot(snapshot: &Element) -> Option<Snapshot> {
    let timestamp = snapshot.text_of("timestamp")?;
    let build_number = parsed(snapshot, "buildNumber")?;
    // The text is later put into file names, so it has to be exactly a timestamp.
    let whole = format!("{timestamp}-{build_number}");
    let valid = split_timestamp(&whole).is_some_and(|(_, tail)| tail.is_empty()) && timestamp.len() == 15;
    valid.then(|| Snapshot { timestamp: timestamp.to_owned(), build_number })
}

type SnapshotFile = ((Extension, Option<Classifier>), SnapshotVersion);

fn read_snapshot_version(file: &Element) -> Option<SnapshotFile> {
    let classifier = match file.text_of("classifier") {
        Some(text) => Some(text.parse().ok()?),
        None => None,
    };
    let updated: Option<LastUpdated> = parsed(file, "updated");
    Some(((parsed(file, "extension")?, classifier), SnapshotVersion { value: parsed(file, "value")?, updated }))
}
