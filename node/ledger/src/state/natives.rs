//! What the ledger knew about native files at one position.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use maven_layout::{Coordinates, GroupId, PathKind, RepoPath};
use pyrsia_digest::Sha256;

use super::{Namespace, Standing, State};
use crate::VerdictState;

/// What the ledger says about the file at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NativeFile {
    /// The path belongs to no release of a native group.
    NotNative,
    /// No such file is published.
    Absent,
    /// This is the one that builders agreed on.
    Published(Sha256),
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
        let PathKind::Artifact { coordinates, file_name } = path.kind() else { return NativeFile::NotNative };
        if !granted(&self.namespaces, &coordinates.group).is_some_and(|namespace| namespace.native) {
            return NativeFile::NotNative;
        }
        let file = self.standing.get(&coordinates).and_then(|standing| standing.files.get(&file_name));
        match file.filter(|file| file.state == VerdictState::Published).and_then(|file| file.sha256) {
            Some(sha256) => NativeFile::Published(sha256),
            None => NativeFile::Absent,
        }
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
