//! The ledger of a command that has none: `rebuild` works without a network.

use std::sync::Arc;

use maven_layout::{ArtifactId, Coordinates, GroupId, RepoPath};
use pyrsia_repository::{FileFacts, LedgerSource, LedgerView, ReleaseFacts};
use pyrsia_store::Walk;

/// Knows nothing, so everything is what upstream says.
pub struct NoLedger;

impl LedgerSource for NoLedger {
    fn view(&self) -> Arc<dyn LedgerView> {
        Arc::new(NoLedger)
    }
}

impl LedgerView for NoLedger {
    fn version(&self) -> u64 {
        0
    }

    fn file(&self, _coordinates: &Coordinates, _file_name: &str) -> Option<FileFacts> {
        None
    }

    fn is_blocked(&self, _coordinates: &Coordinates) -> bool {
        false
    }

    fn is_native(&self, _group: &GroupId) -> bool {
        false
    }

    fn releases(&self, _group: &GroupId, _artifact: &ArtifactId) -> Vec<ReleaseFacts> {
        Vec::new()
    }
    fn walk_below(&self, _folder: Option<&RepoPath>, _visit: &mut dyn FnMut(&RepoPath) -> Walk) {}

    fn groups(&self, _max: usize) -> Vec<GroupId> {
        Vec::new()
    }
}
