//! **Every line of somebody else's manifest is checked against own sources before it is replayed.**
//!
//! [`Rules`] and [`judge`] decide, purely, about one line; [`Checker`] asks, a bounded number of lines at a time, and
//! makes this node hold what the lines name. The first contradiction in the manifest's order is the one that is said, so
//! honest authorities with the same upstream say the same.
//!
//! - Files of the build itself are withheld, and any other answer for them is a contradiction.
//! - Native files are what the ledger had published at the request's position ([`pyrsia_ledger::Natives`]).
//! - `maven-metadata.xml` may be an older or shorter list than the own one (see [`maven_layout::metadata::excess`]).
//! - Single files are those that the specification names, by digest, wherever they come from.
//! - The build tool's own distribution is what the builder has pinned, whatever the own upstream has.
//! - All else is what the own upstream has, by SHA-256 and size; a 404 is the own upstream's 404.
//!
//! What needs no source is looked at first, over the whole manifest, so that nothing is fetched for one that is wrong anyway.
//! An own upstream that fails is never a contradiction: this authority tries again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use build_spec::{
    Input, InputError, InputLine, InputManifest, InputStatus, Inputs, PinnedInput, RepositoryId, Specification,
    Withheld,
};
use maven_layout::metadata::{self, Metadata};
use maven_layout::{PathKind, RepoPath};
use pyrsia_blobs::BlobStore;
use pyrsia_digest::Sha256;
use pyrsia_ledger::{NativeFile, Natives, State};
use tokio::task::JoinSet;

use crate::peers::PeerBlobs;
use crate::steps::StepError;

/// Lines that cannot be checked before the rest is left for another try.
const MAX_FAILED: usize = 64;
/// Lines that are checked at the same time.
const PARALLEL: usize = 16;
/// Largest `maven-metadata.xml` that is compared by content, in bytes.
const MAX_METADATA_BYTES: u64 = 8 << 20;
/// Largest distribution of a build tool, in bytes.
pub(crate) const MAX_TOOL_BYTES: u64 = 512 << 20;

/// What an own source says about a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mine {
    /// Nothing is there.
    Absent,
    /// A file; the ledger knows no sizes.
    Found { size: Option<u64>, sha256: Sha256 },
}

/// What the ledger says about a path of a native group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Native {
    pub(crate) mine: Mine,
    /// The content, where it is a document that follows from the ledger.
    pub(crate) document: Option<Vec<u8>>,
}

/// What is to be done about a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// It is right whatever the sources say.
    Right,
    /// It is wrong whatever the sources say.
    Wrong(String),
    /// This is what the ledger says.
    Ledger(Native),
    /// The own upstream is to be asked.
    Upstream,
    /// The builder's pin decides.
    Pin,
    /// It has the digest that the specification names, whoever gives it.
    Named,
    /// This node cannot say.
    Unknown(String),
}

/// What a line is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// It agrees.
    Right,
    /// It is contradicted.
    Wrong(String),
    /// Two lists: their content decides.
    Lists,
}

/// What decides about a manifest besides the answers of sources.
pub(crate) struct Rules {
    own: Withheld,
    /// The single files of the specification.
    inputs: BTreeMap<RepoPath, Sha256>,
    repositories: BTreeSet<RepositoryId>,
    tool: Option<PinnedInput>,
    natives: Natives,
    present: Arc<State>,
}

impl Rules {
    /// The rules of a round: what its build must not get, its specification, the tool that its builder has
    /// pinned, the ledger's native files at its request, and the ledger now.
    pub(crate) fn new(
        own: Withheld,
        specification: &Specification,
        tool: Option<PinnedInput>,
        natives: Natives,
        present: Arc<State>,
    ) -> Self {
        let listed = specification.repositories.iter().filter_map(|repository| repository.id.parse().ok());
        let placed = specification.inputs.iter().filter_map(|input| Some((input.place().ok()?, input.sha256)));
        let inputs = placed.collect();
        let repositories = listed.chain([RepositoryId::central()]).collect();
        Self { own, inputs, repositories, tool, natives, present }
    }

    /// Whether a path belongs to a release of this build or of its reactor.
    fn is_own(&self, path: &RepoPath) -> bool {
        self.own.covers(path)
    }

    /// What is to be done about a line.
    pub(crate) fn ask(&self, line: &InputLine) -> Ask {
        let wrong = |text: &str| Ask::Wrong(text.to_owned());
        if line.repository == RepositoryId::inputs() {
            return match (self.inputs.get(&line.path), line.status) {
                (Some(named), InputStatus::Found { sha256, cut: false, .. }) if *named == sha256 => Ask::Named,
                _ => wrong("it is no file that the specification names"),
            };
        }
        if !self.repositories.contains(&line.repository) {
            return wrong("the specification names no such repository");
        }
        match (&line.status, self.is_own(&line.path)) {
            (InputStatus::WithheldSelf, true) => return Ask::Right,
            (InputStatus::WithheldSelf, false) => return wrong("withheld, though it is no file of this build"),
            (_, true) => return wrong("it is a file of this build, which is withheld"),
            (_, false) => {}
        }
        if line.path.segments().any(|segment| segment.ends_with("-SNAPSHOT")) {
            return wrong("a snapshot is not one file");
        }
        if self.pin(line).is_some() {
            return match line.status {
                InputStatus::Found { size, .. } if size > MAX_TOOL_BYTES => {
                    wrong("it is larger than a build tool may be")
                }
                _ => Ask::Pin,
            };
        }
        match native(&self.natives, &self.present, &line.path) {
            Ok(Some(native)) => Ask::Ledger(native),
            Ok(None) => Ask::Upstream,
            Err(text) => Ask::Unknown(text),
        }
    }

    /// The pin of a line that names the build tool's file.
    fn pin(&self, line: &InputLine) -> Option<&PinnedInput> {
        let found = matches!(line.status, InputStatus::Found { .. }) && line.repository == RepositoryId::central();
        self.tool.as_ref().filter(|tool| found && tool.path == line.path)
    }

    /// **The decision about a line, from the own source's answer.**
    pub(crate) fn judge(&self, line: &InputLine, mine: &Mine) -> Found {
        let wrong = |text: String| Found::Wrong(text);
        match (&line.status, mine) {
            // Decided by `ask`.
            (InputStatus::WithheldSelf, _) => Found::Right,
            (InputStatus::Absent, Mine::Absent) => Found::Right,
            (InputStatus::Absent, Mine::Found { .. }) => wrong("it is there".to_owned()),
            (InputStatus::Found { .. }, Mine::Absent) => wrong("it is not there".to_owned()),
            (InputStatus::Found { size, sha256, .. }, Mine::Found { size: known, sha256: own }) => {
                if sha256 == own {
                    return match known {
                        Some(known) if known != size => wrong(format!("it has {known} bytes")),
                        _ => Found::Right,
                    };
                }
                match line.path.kind() {
                    PathKind::Metadata(_) if *size <= MAX_METADATA_BYTES => Found::Lists,
                    PathKind::Metadata(_) => wrong("it is larger than metadata may be".to_owned()),
                    _ => wrong(format!("it has SHA-256 {own}")),
                }
            }
        }
    }
}

/// What the ledger had published at a path when the request was logged; none for what was not native. A sentence where
/// that says nothing: a group that has become native since is not asked upstream any more.
pub(crate) fn native(natives: &Natives, present: &State, path: &RepoPath) -> Result<Option<Native>, String> {
    let known = |mine: Mine| Ok(Some(Native { mine, document: None }));
    match natives.file(path) {
        NativeFile::Published(sha256) => known(Mine::Found { size: None, sha256 }),
        NativeFile::Absent => known(Mine::Absent),
        NativeFile::List { group, artifact, versions } => {
            let document = metadata::write(&Metadata::of_versions(&group, &artifact, versions)).into_bytes();
            let mine = Mine::Found { size: Some(document.len() as u64), sha256: Sha256::of(&document) };
            Ok(Some(Native { mine, document: Some(document) }))
        }
        NativeFile::NotNative => match present.natives().file(path) {
            NativeFile::NotNative => Ok(None),
            _ => Err(format!("{path} has become native since the request, and is not asked upstream any more")),
        },
    }
}

/// Asks the own sources about lines.
pub(crate) struct Checker {
    pub(crate) rules: Rules,
    pub(crate) inputs: Arc<dyn Inputs>,
    pub(crate) blobs: Arc<BlobStore>,
    pub(crate) peers: Arc<dyn PeerBlobs>,
}

/// A contradicted line, and how.
pub(crate) type Contradiction = (InputLine, String);

impl Checker {
    /// The first line that own sources contradict. Without one, this node holds every file of the manifest.
    pub(crate) async fn contradiction(
        self: Arc<Self>,
        manifest: &InputManifest,
    ) -> Result<Option<Contradiction>, StepError> {
        let wrong = |line: InputLine| match self.rules.ask(&line) {
            Ask::Wrong(text) => Some((line, text)),
            _ => None,
        };
        if let Some(contradiction) = manifest.lines().find_map(wrong) {
            return Ok(Some(contradiction));
        }
        let mut tasks = JoinSet::new();
        let mut lines = manifest.lines().enumerate();
        let mut first: Option<(usize, Contradiction)> = None;
        let mut failed: Vec<StepError> = Vec::new();
        loop {
            while tasks.len() < PARALLEL && first.is_none() && failed.len() < MAX_FAILED {
                let Some((at, line)) = lines.next() else { break };
                let checker = Arc::clone(&self);
                tasks
                    .spawn(async move { (at, checker.check(&line).await.map(|found| found.map(|text| (line, text)))) });
            }
            // Lines before the one that ended the loop are all under way or done, so the least of them is the first of all.
            let Some(done) = tasks.join_next().await else { break };
            let (at, outcome) = done.map_err(|error| StepError::Again(error.to_string()))?;
            match outcome {
                Ok(None) => {}
                Ok(Some(contradiction)) => {
                    if first.as_ref().is_none_or(|(known, _)| at < *known) {
                        first = Some((at, contradiction));
                    }
                }
                // Whoever made the manifest must not be able to hide a wrong line behind one that nobody can look at.
                Err(error) => failed.push(error),
            }
        }
        match (first, failed.into_iter().next()) {
            (Some((_, contradiction)), _) => Ok(Some(contradiction)),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(None),
        }
    }

    async fn check(&self, line: &InputLine) -> Result<Option<String>, StepError> {
        let (mine, file) = match self.rules.ask(line) {
            Ask::Right => return Ok(None),
            Ask::Wrong(text) => return Ok(Some(text)),
            Ask::Unknown(text) => return Err(StepError::Abstain(text)),
            Ask::Pin => return self.pinned(line).await,
            Ask::Named => return self.named(line).await,
            Ask::Ledger(native) => return self.as_ledger(line, native).await,
            Ask::Upstream => match self.inputs.get(&line.repository, &line.path).await {
                Ok(Input::Absent) => (Mine::Absent, None),
                Ok(Input::Found { file, digests, .. }) => {
                    (Mine::Found { size: Some(digests.size), sha256: digests.sha256 }, Some(file))
                }
                // It is one of the specification's, and this node has no such source.
                Err(error @ InputError::UnknownRepository(_)) => return Err(StepError::Abstain(error.to_string())),
                Err(error) => return Err(StepError::Again(error.to_string())),
            },
        };
        let InputStatus::Found { size, sha256, .. } = line.status else {
            return Ok(match self.rules.judge(line, &mine) {
                Found::Wrong(text) => Some(text),
                Found::Right | Found::Lists => None,
            });
        };
        match self.rules.judge(line, &mine) {
            Found::Wrong(text) => Ok(Some(text)),
            Found::Right => self.hold(line, file, sha256, size).await,
            Found::Lists => {
                let found = self.hold(line, None, sha256, size).await?;
                let Some(own) = file.filter(|_| found.is_none()) else { return Ok(found) };
                let blobs = Arc::clone(&self.blobs);
                let work = move || {
                    let claimed = blobs.read_verified(&sha256).map_err(|error| error.to_string())?;
                    let own = std::fs::read(own).map_err(|error| error.to_string())?;
                    metadata::excess(&claimed, &own).map_err(|error| format!("own metadata cannot be read: {error}"))
                };
                blocking(work).await
            }
        }
    }

    /// Whether a line is what the ledger says, to the byte.
    async fn as_ledger(&self, line: &InputLine, native: Native) -> Result<Option<String>, StepError> {
        let judged = match (self.rules.judge(line, &native.mine), native.mine) {
            (Found::Lists, Mine::Found { sha256, .. }) => Found::Wrong(format!("it has SHA-256 {sha256}")),
            (judged, _) => judged,
        };
        match (judged, line.status) {
            (Found::Wrong(text), _) => Ok(Some(text)),
            (_, InputStatus::Found { size, sha256, .. }) => {
                if let Some(document) = native.document {
                    let blobs = Arc::clone(&self.blobs);
                    blocking(move || blobs.put_bytes(&document).map(drop).map_err(|error| error.to_string())).await?;
                }
                self.hold(line, None, sha256, size).await
            }
            _ => Ok(None),
        }
    }

    /// Makes the store hold a file of the specification. A sentence if its size is another.
    async fn named(&self, line: &InputLine) -> Result<Option<String>, StepError> {
        let InputStatus::Found { size, sha256, .. } = line.status else { return Ok(None) };
        self.hold(line, None, sha256, size).await
    }

    /// Whether the build tool's file is the pinned one.
    async fn pinned(&self, line: &InputLine) -> Result<Option<String>, StepError> {
        let (Some(pin), InputStatus::Found { size, sha256, .. }) = (self.rules.pin(line), line.status) else {
            return Ok(None);
        };
        if let Some(text) = self.hold(line, None, sha256, size).await? {
            return Ok(Some(text));
        }
        let (blobs, pin) = (Arc::clone(&self.blobs), pin.sha512);
        blocking(move || {
            let digests = blobs.verify(&sha256).map_err(|error| error.to_string())?;
            Ok((digests.sha512 != pin).then(|| format!("it is not the pinned build tool, which has SHA-512 {pin}")))
        })
        .await
    }

    /// Makes the store hold the file of a line: from the own source, else from peers. A sentence if its size is another.
    async fn hold(
        &self,
        line: &InputLine,
        file: Option<PathBuf>,
        sha256: Sha256,
        size: u64,
    ) -> Result<Option<String>, StepError> {
        if !self.blobs.has(&sha256) {
            let file = match file {
                Some(file) => Some(file),
                // A native file: this node's own repository knows where it is.
                None => match self.inputs.get(&line.repository, &line.path).await {
                    Ok(Input::Found { file, digests, .. }) if digests.sha256 == sha256 => Some(file),
                    _ => None,
                },
            };
            if let Some(file) = file {
                let blobs = Arc::clone(&self.blobs);
                blocking(move || blobs.import_file(&file).map(drop).map_err(|error| error.to_string())).await?;
            }
        }
        if !self.blobs.has(&sha256) {
            let missing = |text: String| StepError::Later(format!("{}: {text}", line.path));
            self.peers.ensure(&sha256, size).await.map_err(missing)?;
        }
        let Some(held) = self.blobs.get(&sha256) else {
            return Err(StepError::Later(format!("{} ({sha256}) is not in the store", line.path)));
        };
        let held = blocking(move || std::fs::metadata(held).map(|file| file.len()).map_err(|error| error.to_string()));
        let held = held.await?;
        Ok((held != size).then(|| format!("it has {held} bytes")))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, StepError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(|error| StepError::Again(error.to_string()))?;
    done.map_err(StepError::Again)
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
