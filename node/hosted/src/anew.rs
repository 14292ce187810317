//! Documents that the disk has damaged, made anew from the files that are here.
//!
//! A `maven-metadata.xml` has no digest of its own, as it changes with every upload. That one is damaged is seen when it is no
//! document any more, or one about something else; it is looked at whenever it is handed out or merged into.

use maven_layout::metadata::{self, Plugin};
use maven_layout::{ArtifactRef, Coordinates, Metadata, MetadataLevel, Pom, RepoPath};

use crate::decide::{Accepts, check_document, owner};
use crate::error::HostedError;
use crate::store::Inner;

/// What the packaging of a plugin is called.
const PLUGIN: &str = "maven-plugin";

/// A document that is in order.
#[derive(Debug)]
pub(crate) struct Sound {
    pub(crate) bytes: Vec<u8>,
    /// When it was changed last, in seconds since 1970.
    pub(crate) modified: Option<u64>,
    pub(crate) says: Metadata,
}

/// Reads a document; else what is wrong with it.
pub(crate) fn read(path: &RepoPath, level: &MetadataLevel, bytes: &[u8]) -> Result<Metadata, String> {
    let says = metadata::parse(bytes).map_err(|error| error.to_string())?;
    // What the repository accepts may have been set anew since.
    check_document(path, level, &says, Accepts::Both).map_err(|refused| refused.to_string())?;
    Ok(says)
}

impl Inner {
    /// A document for somebody who reads it. Blocking.
    pub(crate) fn document_for_reader(
        &self,
        path: &RepoPath,
        level: &MetadataLevel,
    ) -> Result<Option<Sound>, HostedError> {
        let Some(held) = self.tree.document(path)? else { return Ok(None) };
        if let Ok(says) = read(path, level, &held.bytes) {
            return Ok(Some(Sound { bytes: held.bytes, modified: held.modified, says }));
        }
        let _changing = self.change();
        self.sound_document(path, level)
    }

    /// A document for somebody who changes entries, and nobody else does meanwhile. A damaged one is made anew first; none if
    /// there is nothing that it could tell. Blocking.
    pub(crate) fn sound_document(&self, path: &RepoPath, level: &MetadataLevel) -> Result<Option<Sound>, HostedError> {
        let Some(held) = self.tree.document(path)? else { return Ok(None) };
        let problem = match read(path, level, &held.bytes) {
            Ok(says) => return Ok(Some(Sound { bytes: held.bytes, modified: held.modified, says })),
            Err(problem) => problem,
        };
        let says = self.made_of_files(level)?;
        tracing::warn!(
            hosted.repository = %self.config.id, file.path = %path, error.message = problem,
            "a damaged document is made anew from the files that are here"
        );
        if says.is_empty() {
            self.tree.remove(path)?;
            return Ok(None);
        }
        let bytes = metadata::write(&says).into_bytes();
        self.tree.replace(path, &bytes)?;
        Ok(Some(Sound { bytes, modified: Some((self.clock)()), says }))
    }

    /// What the files that are here tell.
    fn made_of_files(&self, level: &MetadataLevel) -> Result<Metadata, HostedError> {
        Ok(match level {
            MetadataLevel::Version(snapshot) => {
                let here = self.tree.directly_in(&snapshot.dir())?;
                let files = here.iter().filter_map(ArtifactRef::from_path);
                Metadata::of_snapshot(snapshot, files.filter(|file| !self.gone.is(&file.coordinates)))
            }
            MetadataLevel::Artifact { group, artifact } => self.list_of(group, artifact)?,
            MetadataLevel::Group(group) => self.plugins_of(group)?,
            MetadataLevel::GroupOrArtifact { as_group, group, artifact } => {
                let (list, plugins) = (self.list_of(group, artifact)?, self.plugins_of(as_group)?);
                if list.is_empty() { plugins } else { Metadata { plugins: plugins.plugins, ..list } }
            }
        })
    }

    fn list_of(
        &self,
        group: &maven_layout::GroupId,
        artifact: &maven_layout::ArtifactId,
    ) -> Result<Metadata, HostedError> {
        let versions = self.versions_of(group, artifact)?;
        Ok(Metadata::of_versions(group, artifact, versions.into_iter().map(|of| of.version)))
    }

    /// The versions that have a file, without those that are being taken away.
    fn versions_of(
        &self,
        group: &maven_layout::GroupId,
        artifact: &maven_layout::ArtifactId,
    ) -> Result<Vec<Coordinates>, HostedError> {
        let mut found = Vec::new();
        for name in self.tree.folders_in(&format!("{}/{artifact}", group.dir()))? {
            let Ok(version) = name.parse() else { continue };
            let version = Coordinates::new(group.clone(), artifact.clone(), version);
            if self.gone.is(&version) {
                continue;
            }
            let files = self.tree.directly_in(&version.dir())?;
            let is_of = |path: &RepoPath| {
                owner(path).is_some_and(|of| Coordinates { version: of.version.base(), ..of } == version)
            };
            if files.iter().any(is_of) {
                found.push(version);
            }
        }
        Ok(found)
    }

    /// The plugins directly in a group, under the prefixes that Maven gives them by their names: what a plugin has chosen
    /// instead stands in its JAR alone, and comes back with its next release.
    fn plugins_of(&self, group: &maven_layout::GroupId) -> Result<Metadata, HostedError> {
        let mut plugins = std::collections::BTreeMap::new();
        for name in self.tree.folders_in(&group.dir())? {
            let Ok(artifact) = name.parse() else { continue };
            let newest = self.versions_of(group, &artifact)?.into_iter().max_by(|a, b| a.version.cmp(&b.version));
            let Some(pom) = newest.map(|newest| self.pom_of(&newest)).transpose()?.flatten() else { continue };
            let prefix = usual_prefix(artifact.as_str());
            if pom.effective_packaging() == PLUGIN && !prefix.is_empty() {
                plugins.insert(prefix, Plugin { name: pom.name, artifact });
            }
        }
        Ok(Metadata::of_plugins(plugins))
    }

    /// A POM of a version, if one is here that can be read.
    fn pom_of(&self, version: &Coordinates) -> Result<Option<Pom>, HostedError> {
        let here = self.tree.directly_in(&version.dir())?;
        let mut poms = here.iter().filter(|path| path.as_str().ends_with(".pom"));
        let Some(entry) = poms.next_back().map(|path| self.tree.entry(path)).transpose()?.flatten() else {
            return Ok(None);
        };
        if entry.digests.size > metadata::MAX_BYTES {
            return Ok(None);
        }
        let bytes = self.blobs.read_verified(&entry.digests.sha256)?;
        Ok(Pom::parse(&bytes).ok())
    }
}

/// The prefix of a plugin that has chosen none, as
/// [Maven makes it](https://maven.apache.org/guides/introduction/introduction-to-plugin-prefix-mapping.html).
fn usual_prefix(artifact: &str) -> String {
    if artifact == "maven-plugin-plugin" {
        return "plugin".to_owned();
    }
    without(&without(artifact, "maven"), "plugin")
}

/// A name without a word, wherever it stands, and without the hyphens around that.
fn without(name: &str, word: &str) -> String {
    let mut left = String::new();
    let mut rest = name;
    while let Some((before, after)) = rest.split_once(word) {
        left.push_str(before.strip_suffix('-').unwrap_or(before));
        rest = after.strip_prefix('-').unwrap_or(after);
    }
    left + rest
}

#[cfg(test)]
#[path = "anew_tests.rs"]
mod tests;
