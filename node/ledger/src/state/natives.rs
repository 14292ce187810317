//! What the ledger knew about native files at one position.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use maven_layout::{ArtifactId, Coordinates, GroupId, MetadataLevel, PathKind, RepoPath, Version};
use pyrsia_digest::Sha256;

use super::{Namespace, Standing, State};
use crate::VerdictState;

/// What the ledger says about the file at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NativeFile {
    /// The path belongs to no native group.
    NotNative,
    /// No such file is published.
    Absent,
    /// This is the one that builders agreed on.
    Published(Sha256),
    /// The list of an artifact's published versions, of which there is one at least.
    List {
        /// The group.
        group: GroupId,
        /// The artifact.
        artifact: ArtifactId,
        /// In no order.
        versions: Vec<Version>,
    },
}

/// The native files as they were after some number of leaves; cheap to keep, since it shares what has not changed since.
///
/// **A round is recorded and checked by the ledger at the position of its request**, so that honest authorities that look
/// earlier and later say the same. Each open round keeps this for its members.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Natives {
    namespaces: Arc<BTreeMap<String, Arc<Namespace>>>,
    standing: Arc<BTreeMap<Coordinates, Arc<Standing>>>,
}

impl Natives {
    /// What is known about the file at a path.
    pub fn file(&self, path: &RepoPath) -> NativeFile {
        match path.kind() {
            PathKind::Artifact { coordinates, .. } if !self.is_native(&coordinates.group) => NativeFile::NotNative,
            PathKind::Artifact { coordinates, file_name } => {
                let file = self.standing.get(&coordinates).and_then(|standing| standing.files.get(&file_name));
                match file.filter(|file| file.state == VerdictState::Published).and_then(|file| file.sha256) {
                    Some(sha256) => NativeFile::Published(sha256),
                    None => NativeFile::Absent,
                }
            }
            // The ledger is the signature of what it publishes.
            PathKind::Signature { of } => match self.file(&of) {
                NativeFile::NotNative => NativeFile::NotNative,
                _ => NativeFile::Absent,
            },
            PathKind::Metadata(level) => self.list(level),
            PathKind::Checksum { .. } | PathKind::Other => NativeFile::NotNative,
        }
    }

    fn list(&self, level: MetadataLevel) -> NativeFile {
        let (group, artifact) = match level {
            MetadataLevel::Group(group) if self.is_native(&group) => return NativeFile::Absent,
            MetadataLevel::Version(coordinates) if self.is_native(&coordinates.group) => return NativeFile::Absent,
            MetadataLevel::Artifact { group, artifact } if self.is_native(&group) => (group, artifact),
            MetadataLevel::GroupOrArtifact { as_group, group, artifact }
                if self.is_native(&group) || self.is_native(&as_group) =>
            {
                (group, artifact)
            }
            _ => return NativeFile::NotNative,
        };
        let published = |standing: &Standing| standing.verdict.state == VerdictState::Published;
        let of_artifact = |coordinates: &Coordinates| coordinates.group == group && coordinates.artifact == artifact;
        let releases = self.standing.iter().filter(|(known, standing)| of_artifact(known) && published(standing));
        let versions: Vec<Version> = releases.map(|(known, _)| known.version.clone()).collect();
        if versions.is_empty() { NativeFile::Absent } else { NativeFile::List { group, artifact, versions } }
    }

    fn is_native(&self, group: &GroupId) -> bool {
        granted(&self.namespaces, group).is_some_and(|namespace| namespace.native)
    }
}

impl fmt::Debug for Natives {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Natives({} namespaces, {} releases)", self.namespaces.len(), self.standing.len())
    }
}

impl State {
    /// The native files of this state.
    pub fn natives(&self) -> Natives {
        Natives { namespaces: Arc::clone(&self.namespaces), standing: Arc::clone(&self.standing) }
    }
}

/// The grant for a group: the longest one on a dot boundary.
pub(super) fn granted<'a>(namespaces: &'a BTreeMap<String, Arc<Namespace>>, group: &GroupId) -> Option<&'a Namespace> {
    let text = group.to_string();
    let mut prefix = text.as_str();
    loop {
        if let Some(namespace) = namespaces.get(prefix) {
            return Some(namespace);
        }
        prefix = prefix.rsplit_once('.')?.0;
    }
}
