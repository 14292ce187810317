//! The builds of a snapshot: which file a client asks for, and the document that tells it.

use std::collections::BTreeMap;

use super::{LastUpdated, Metadata, Plugin, Snapshot, SnapshotVersion};
use crate::coordinates::{ArtifactRef, Coordinates};
use crate::names::{Classifier, Extension};
use crate::version::Version;

impl Snapshot {
    /// The time of the build as `yyyyMMddHHmmss`; `None` if the timestamp is none.
    pub fn time(&self) -> Option<LastUpdated> {
        let (date, time) = self.timestamp.split_once('.')?;
        if (date.len(), time.len()) == (8, 6) { format!("{date}{time}").parse().ok() } else { None }
    }
}

impl Metadata {
    /// The plugin prefixes of a group, as Maven writes them: the document does not name its group.
    pub fn of_plugins(plugins: BTreeMap<String, Plugin>) -> Self {
        Self { plugins, ..Self::default() }
    }

    /// The builds of a snapshot, from the files that are there, in any order: of each file the newest build counts, and
    /// the newest of all is the one that the snapshot stands at.
    ///
    /// `snapshot` may name the snapshot (`1.0-SNAPSHOT`) or any of its builds. Files that are no build of it are passed
    /// over; without any, the result [is empty](Metadata::is_empty).
    pub fn of_snapshot(snapshot: &Coordinates, files: impl IntoIterator<Item = ArtifactRef>) -> Self {
        let base = snapshot.version.base();
        let mut newest: BTreeMap<(Extension, Option<Classifier>), (Snapshot, Version)> = BTreeMap::new();
        for ArtifactRef { coordinates, classifier, extension } in files {
            let same = coordinates.group == snapshot.group && coordinates.artifact == snapshot.artifact;
            let build = coordinates.version.snapshot_build().filter(|_| same && coordinates.version.base() == base);
            let Some(build) = build else { continue };
            let held = newest.get(&(extension.clone(), classifier.clone()));
            if held.is_none_or(|(held, _)| *held < build) {
                newest.insert((extension, classifier), (build, coordinates.version));
            }
        }
        let stands_at = newest.values().map(|(build, _)| build).max().cloned();
        let snapshot_versions = newest
            .into_iter()
            .map(|(file, (build, value))| (file, SnapshotVersion { value, updated: build.time() }))
            .collect();
        Self {
            group: Some(snapshot.group.clone()),
            artifact: Some(snapshot.artifact.clone()),
            version: Some(base),
            last_updated: stands_at.as_ref().and_then(Snapshot::time),
            snapshot: stands_at,
            snapshot_versions,
            ..Self::default()
        }
    }

    /// The version in the name of the file that a client asks for when it wants this file of the snapshot `base`.
    ///
    /// As [Maven resolves it](https://maven.apache.org/ref/3.9.11/maven-repository-metadata/repository-metadata.html):
    /// what the document says of this very file; if it lists no files at all, the build that the snapshot stands at;
    /// else the snapshot itself. A document that names a build of something else is not followed.
    pub fn snapshot_version(&self, base: &Version, classifier: Option<&Classifier>, extension: &Extension) -> Version {
        let key = (extension.clone(), classifier.cloned());
        let named = match self.snapshot_versions.get(&key) {
            Some(file) => Some(file.value.clone()),
            None if self.snapshot_versions.is_empty() => {
                self.snapshot.as_ref().and_then(|build| base.with_build(build))
            }
            None => None,
        };
        named.filter(|version| version.base() == *base).unwrap_or_else(|| base.clone())
    }

    /// The file that a client asks for when it wants `file`: for one of a snapshot, with the version that
    /// [`Metadata::snapshot_version`] tells; every other one as it is.
    pub fn resolve(&self, file: &ArtifactRef) -> ArtifactRef {
        let mut resolved = file.clone();
        if file.coordinates.version.as_str().ends_with("SNAPSHOT") {
            resolved.coordinates.version =
                self.snapshot_version(&file.coordinates.version, file.classifier.as_ref(), &file.extension);
        }
        resolved
    }
}
