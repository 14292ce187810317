//! What decisions need to know from the ledger, and nothing more.

use std::sync::Arc;

use maven_layout::{ArtifactId, Coordinates, GroupId, RepoPath, Version};
use pyrsia_digest::Sha256;
use pyrsia_ledger::{Beyond, FileVerdict, Outcome, State, Verdict, VerdictState};
use pyrsia_replica::ReplicaHandle;
use pyrsia_store::Walk;

/// State of a file or a release in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileState {
    /// Native: the agreed bytes.
    Published,
    /// Upstream's file is bit for bit what the source makes.
    Identical,
    /// Upstream's file is what the source makes, apart from named normalisers.
    Equivalent,
    /// Upstream's file is not what the source makes.
    Different,
    /// Upstream has it, and the build that was agreed on does not make it: nothing is known of its origin.
    NotBuilt,
    /// No value reached the quorum.
    Disputed,
    /// The build failed.
    Failed,
}

/// What the ledger says about one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// Its state.
    pub state: FileState,
    /// The digest that is to be served: the published one, or upstream's as the attestations saw it.
    pub sha256: Option<Sha256>,
    /// The committee that found it tolerated no liar, so the verdict is nobody's but its own.
    pub self_verified: bool,
}

/// What the ledger says about one release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReleaseFacts {
    /// Its version.
    pub version: Version,
    /// Its state.
    pub state: FileState,
    /// Names of its files with what is known of each.
    pub files: Vec<(String, FileFacts)>,
}

/// A consistent view of the ledger at one moment.
pub trait LedgerView: Send + Sync {
    /// Another number for every view that says something else.
    fn version(&self) -> u64;

    /// What stands about a file of a release; `None` when there is no verdict that names it.
    fn file(&self, coordinates: &Coordinates, file_name: &str) -> Option<FileFacts>;

    /// Whether the release is blocked.
    fn is_blocked(&self, coordinates: &Coordinates) -> bool;

    /// Whether the longest namespace that holds the group may publish natively.
    fn is_native(&self, group: &GroupId) -> bool;

    /// The releases of an artifact that have a standing verdict, in any order.
    fn releases(&self, group: &GroupId, artifact: &ArtifactId) -> Vec<ReleaseFacts>;

    /// Shows the files below a folder (none: all) of which a standing verdict names the bytes, release by release. A folder that
    /// is passed over costs a step or two, however many files are in it; a file of it may be shown once more.
    fn walk_below(&self, folder: Option<&RepoPath>, visit: &mut dyn FnMut(&RepoPath) -> Walk);

    /// The groups of which a standing verdict names some file, at most `max`.
    fn groups(&self, max: usize) -> Vec<GroupId>;
}

/// Something that has the newest view at any time.
pub trait LedgerSource: Send + Sync {
    /// The newest view.
    fn view(&self) -> Arc<dyn LedgerView>;
}

impl LedgerSource for ReplicaHandle {
    fn view(&self) -> Arc<dyn LedgerView> {
        self.state()
    }
}

impl LedgerView for State {
    fn version(&self) -> u64 {
        // Whatever an entry changes, it stands in the log.
        self.log_size()
    }

    fn file(&self, coordinates: &Coordinates, file_name: &str) -> Option<FileFacts> {
        let path: RepoPath = format!("{}/{file_name}", coordinates.dir()).parse().ok()?;
        let file = self.file_verdict(&path)?;
        let self_verified = self.verdict(coordinates).is_none_or(Verdict::is_self_verified);
        Some(facts(file, self_verified))
    }

    fn is_blocked(&self, coordinates: &Coordinates) -> bool {
        State::is_blocked(self, coordinates)
    }

    fn is_native(&self, group: &GroupId) -> bool {
        State::is_native(self, group)
    }

    fn releases(&self, group: &GroupId, artifact: &ArtifactId) -> Vec<ReleaseFacts> {
        self.verdicts_of(group, artifact)
            .map(|verdict| ReleaseFacts {
                version: verdict.coordinates.version.clone(),
                state: verdict.state.into(),
                files: verdict
                    .files
                    .iter()
                    .map(|file| (file.name.clone(), facts(file, verdict.is_self_verified())))
                    .collect(),
            })
            .collect()
    }

    fn walk_below(&self, folder: Option<&RepoPath>, visit: &mut dyn FnMut(&RepoPath) -> Walk) {
        self.verdicts_below(folder, |verdict| {
            let release = verdict.coordinates.dir();
            for file in verdict.files.iter().filter(|file| file.sha256.is_some()) {
                let Ok(path) = format!("{release}/{}", file.name).parse::<RepoPath>() else { continue };
                match visit(&path) {
                    Walk::Next => {}
                    Walk::PastFolder(length) => return Beyond::Folder(length),
                    Walk::Stop => return Beyond::Stop,
                }
            }
            Beyond::Release
        });
    }

    fn groups(&self, max: usize) -> Vec<GroupId> {
        self.groups_with_verdicts().take(max).cloned().collect()
    }
}

fn facts(file: &FileVerdict, self_verified: bool) -> FileFacts {
    let state = match file.outcome {
        Some(Outcome::NotBuilt) if file.state == VerdictState::Different => FileState::NotBuilt,
        _ => file.state.into(),
    };
    FileFacts { state, sha256: file.sha256, self_verified }
}

impl From<VerdictState> for FileState {
    fn from(state: VerdictState) -> Self {
        match state {
            VerdictState::Published => Self::Published,
            VerdictState::Identical => Self::Identical,
            VerdictState::Equivalent => Self::Equivalent,
            VerdictState::Different => Self::Different,
            VerdictState::Disputed => Self::Disputed,
            VerdictState::Failed => Self::Failed,
        }
    }
}
