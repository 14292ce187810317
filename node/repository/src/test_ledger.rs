//! A ledger as a table.

use std::collections::{BTreeMap, BTreeSet};

use maven_layout::{ArtifactId, Coordinates, GroupId, RepoPath, Version};
use pyrsia_digest::Sha256;
use pyrsia_store::Walk;

use crate::ledger_view::{FileFacts, FileState, LedgerView, ReleaseFacts};

#[derive(Default, Clone)]
pub(crate) struct TestLedger {
    files: BTreeMap<(Coordinates, String), FileFacts>,
    blocked: BTreeSet<Coordinates>,
    native: BTreeMap<GroupId, bool>,
    version: u64,
}

impl TestLedger {
    /// A file of a release with its state; the content stands for its digest.
    pub(crate) fn file(mut self, gav: &str, name: &str, state: FileState, content: Option<&[u8]>) -> Self {
        let facts = FileFacts { state, sha256: content.map(Sha256::of), self_verified: false };
        self.files.insert((gav.parse().unwrap(), name.to_owned()), facts);
        self
    }

    pub(crate) fn self_verified(mut self) -> Self {
        self.files.values_mut().for_each(|facts| facts.self_verified = true);
        self
    }

    /// Another view than the first one.
    pub(crate) fn later(mut self) -> Self {
        self.version += 1;
        self
    }

    pub(crate) fn block(mut self, gav: &str) -> Self {
        self.blocked.insert(gav.parse().unwrap());
        self
    }

    pub(crate) fn namespace(mut self, group: &str, native: bool) -> Self {
        self.native.insert(group.parse().unwrap(), native);
        self
    }
}

impl LedgerView for TestLedger {
    fn version(&self) -> u64 {
        self.version
    }

    fn file(&self, coordinates: &Coordinates, file_name: &str) -> Option<FileFacts> {
        self.files.get(&(coordinates.clone(), file_name.to_owned())).copied()
    }

    fn is_blocked(&self, coordinates: &Coordinates) -> bool {
        self.blocked.contains(coordinates)
    }

    fn is_native(&self, group: &GroupId) -> bool {
        let holding = self.native.iter().filter(|(outer, _)| group.is_within(outer));
        holding.max_by_key(|(outer, _)| outer.as_str().len()).is_some_and(|(_, native)| *native)
    }

    fn releases(&self, group: &GroupId, artifact: &ArtifactId) -> Vec<ReleaseFacts> {
        let mut releases: BTreeMap<Version, ReleaseFacts> = BTreeMap::new();
        for ((coordinates, name), facts) in &self.files {
            if coordinates.group == *group && coordinates.artifact == *artifact {
                let version = coordinates.version.clone();
                let release = releases.entry(version.clone()).or_insert(ReleaseFacts {
                    version,
                    state: facts.state,
                    files: Vec::new(),
                });
                release.files.push((name.clone(), *facts));
            }
        }
        releases.into_values().collect()
    }

    fn walk_below(&self, folder: Option<&RepoPath>, visit: &mut dyn FnMut(&RepoPath) -> Walk) {
        let named = self.files.iter().filter(|(_, facts)| facts.sha256.is_some());
        let paths = named.map(|((coordinates, name), _)| format!("{}/{name}", coordinates.dir()));
        for path in paths.filter(|path| is_below(path, folder)) {
            if visit(&path.parse().unwrap()) == Walk::Stop {
                return;
            }
        }
    }

    fn groups(&self, max: usize) -> Vec<GroupId> {
        let groups: BTreeSet<_> = self.files.keys().map(|(coordinates, _)| coordinates.group.clone()).collect();
        groups.into_iter().take(max).collect()
    }
}

/// Whether a path lies below a folder, or would if it were one; none: the whole repository.
fn is_below(path: &str, folder: Option<&RepoPath>) -> bool {
    let Some(folder) = folder else { return true };
    path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
}
