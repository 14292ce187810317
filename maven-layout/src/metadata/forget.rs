//! What a document no longer tells when a version is gone.

use super::Metadata;
use crate::names::ArtifactId;
use crate::version::Version;

impl Metadata {
    /// Takes a version out of the list of an artifact's versions; whether the document was about it at all.
    ///
    /// Where it was `latest` or `release`, the greatest of those that are left is, if there is one. Nothing else changes.
    pub fn forget_version(&mut self, version: &Version) -> bool {
        let about = |said: &Option<Version>| said.as_ref() == Some(version);
        let of_builds = self.snapshot.is_some() || !self.snapshot_versions.is_empty();
        let listed = self.versions.len();
        self.versions.retain(|listed| listed != version);
        let mut changed = self.versions.len() < listed;
        if about(&self.latest) {
            self.latest = self.versions.last().cloned();
            changed = true;
        }
        if about(&self.release) {
            self.release = self.versions.iter().rev().find(|version| !version.is_snapshot()).cloned();
            changed = true;
        }
        // A left-over of what was deployed last, see `merge`.
        if !of_builds && about(&self.version) {
            self.version = None;
            changed = true;
        }
        changed
    }

    /// Takes the plugin prefixes of an artifact out of its group's document; whether there were any.
    pub fn forget_plugins_of(&mut self, artifact: &ArtifactId) -> bool {
        let listed = self.plugins.len();
        self.plugins.retain(|_, plugin| plugin.artifact != *artifact);
        self.plugins.len() < listed
    }
}
