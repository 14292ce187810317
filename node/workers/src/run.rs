//! One lease while it is worked on: what its worker may have, and what it has brought.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use build_spec::{
    BuildError, BuildLog, Built, BuiltFile, ExtraInput, Input, InputError, InputLine, InputManifest, InputStatus,
    Inputs, MAX_MANIFEST_BYTES, MAX_MANIFEST_LINES, ManifestBlobs, Phase, Recorded, RepositoryId, Withheld,
};
use bytes::Bytes;
use maven_layout::{Coordinates, PathKind, RepoPath};
use pyrsia_digest::{FileDigests, MultiHasher, Sha256};
use tokio::io::AsyncWriteExt as _;

use crate::convert::text;
use crate::leases::{LeaseId, NoLease};
use crate::messages::{FileRef, MadeFile, Order, Outcome, Part, Renewal, Replayed};
use crate::refusal::Refusal;

/// Questions of one record: more than a manifest may have lines, since a builder asks for times too.
const MAX_QUESTIONS: usize = 2 * MAX_MANIFEST_LINES;
/// Digests in one list of a result.
const MAX_DIGESTS: usize = 2 * MAX_MANIFEST_LINES;

/// What a record asks.
pub(crate) struct Asked {
    /// Repositories, as the record of this job sees them.
    pub(crate) seen: Arc<dyn Inputs>,
    /// Where the single files of the specification come from.
    pub(crate) inputs: Arc<dyn Inputs>,
    /// Those single files, by their places in the source.
    pub(crate) pinned: BTreeMap<RepoPath, ExtraInput>,
}

impl Asked {
    /// The answer to a question: a single file is one that the specification names, and no other address is asked.
    pub(crate) async fn get(&self, repository: &RepositoryId, path: &RepoPath) -> Result<Input, InputError> {
        if *repository != RepositoryId::inputs() {
            return self.seen.get(repository, path).await;
        }
        match self.pinned.get(path) {
            Some(input) => self.inputs.pinned(input).await,
            None => Err(InputError::UnknownRepository(format!("{repository} {path}"))),
        }
    }
}

/// The files of a replay.
pub(crate) struct Replay {
    /// What its manifest names.
    pub(crate) inputs: BTreeSet<Sha256>,
    pub(crate) blobs: Arc<dyn ManifestBlobs>,
}

/// A build that somebody waits for.
pub(crate) struct Work {
    pub(crate) order: Order,
    pub(crate) log: Arc<dyn BuildLog>,
    /// What a record asks; none for a replay.
    pub(crate) asked: Option<Asked>,
    /// What the build must not get.
    pub(crate) withheld: Withheld,
    /// What a replay is answered from; none for a record.
    pub(crate) replay: Option<Replay>,
    /// The source's archive and, for a replay, the manifest.
    pub(crate) files: BTreeMap<Sha256, PathBuf>,
    /// The job's own folder.
    pub(crate) folder: PathBuf,
}

impl Work {
    pub(crate) fn phase(&self) -> Phase {
        match self.order.part {
            Part::Record => Phase::Record,
            Part::Replay => Phase::Replay,
        }
    }

    pub(crate) fn say(&self, sentence: &str) {
        self.log.line(self.phase(), sentence);
    }
}

/// What a build gave, checked.
#[derive(Debug)]
pub(crate) enum Finished {
    Recorded(Recorded),
    Replayed(Built),
}

/// How much one lease may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputLimits {
    /// Bytes of all files together.
    pub bytes: u64,
    /// Files.
    pub files: usize,
}

#[derive(Default)]
struct Progress {
    /// Lines of the log so far.
    logged: u64,
    given: BTreeMap<(RepositoryId, RepoPath), Said>,
    files: BTreeMap<Sha256, PathBuf>,
    /// None while it is being received.
    outputs: BTreeMap<Sha256, Option<BuiltOutput>>,
    bytes: u64,
    /// Questions that were asked, also those without an answer.
    questions: usize,
    /// The result is being looked at, or the lease is over: what is here stays as it is.
    closed: bool,
}

/// What was said about an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) status: InputStatus,
    pub(crate) last_modified: Option<u64>,
}

#[derive(Clone)]
struct BuiltOutput {
    path: PathBuf,
    digests: FileDigests,
}

/// A lease that is worked on.
pub(crate) struct Run {
    pub(crate) work: Arc<Work>,
    pub(crate) worker: String,
    folder: PathBuf,
    limits: OutputLimits,
    progress: Mutex<Progress>,
}

impl Run {
    pub(crate) fn new(work: Arc<Work>, lease: LeaseId, worker: String, limits: OutputLimits) -> Self {
        let folder = work.folder.join(lease.to_string());
        let limits = match work.order.part {
            // Nothing but its manifest is wanted of a record.
            Part::Record => OutputLimits { bytes: MAX_MANIFEST_BYTES as u64, files: 1 },
            Part::Replay => limits,
        };
        let progress = Progress { files: work.files.clone(), ..Progress::default() };
        Self { work, worker, folder, limits, progress: Mutex::new(progress) }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        // Each use leaves it whole.
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows the lines that were not shown before.
    pub(crate) fn log(&self, renewal: &Renewal) {
        let fresh = {
            let mut progress = self.progress();
            let known = progress.logged.saturating_sub(renewal.first);
            let end = renewal.first.saturating_add(renewal.lines.len() as u64);
            progress.logged = progress.logged.max(end);
            usize::try_from(known).unwrap_or(usize::MAX)
        };
        for line in renewal.lines.iter().skip(fresh) {
            self.work.say(&text(line));
        }
    }

    /// What was said about an input before: it is said again, so that a file that changes upstream is one thing in a build.
    pub(crate) fn known(&self, repository: &RepositoryId, path: &RepoPath) -> Option<Said> {
        self.progress().given.get(&(repository.clone(), path.clone())).copied()
    }

    /// Counts a question, before anybody is asked for its sake.
    pub(crate) fn ask(&self) -> Result<(), Refusal> {
        let mut progress = self.progress();
        if progress.questions >= MAX_QUESTIONS {
            return Err(Refusal::TooMuch("questions about inputs"));
        }
        progress.questions += 1;
        Ok(())
    }

    /// Notes what is said about an input; the first answer stays.
    pub(crate) fn give(&self, repository: &RepositoryId, path: &RepoPath, said: Said, file: Option<PathBuf>) -> Said {
        let mut progress = self.progress();
        if let (InputStatus::Found { sha256, .. }, Some(file)) = (said.status, file) {
            progress.files.entry(sha256).or_insert(file);
        }
        *progress.given.entry((repository.clone(), path.clone())).or_insert(said)
    }

    /// A file that this worker may have: what belongs to the order, and what it was told of.
    pub(crate) async fn file(&self, sha256: &Sha256) -> Option<PathBuf> {
        let known = self.progress().files.get(sha256).cloned();
        if known.is_some() {
            return known;
        }
        let replay = self.work.replay.as_ref().filter(|replay| replay.inputs.contains(sha256))?;
        let file = replay.blobs.blob(sha256).await?;
        self.progress().files.insert(*sha256, file.clone());
        Some(file)
    }

    /// Begins to take a file of this digest.
    pub(crate) async fn receive(self: &Arc<Self>, sha256: Sha256) -> Result<Upload, Refusal> {
        {
            let mut progress = self.progress();
            if progress.closed {
                return Err(NoLease.into());
            }
            match progress.outputs.get(&sha256) {
                Some(None) => return Err(Refusal::Bad(format!("{sha256} is being received already"))),
                Some(Some(_)) => {}
                None if progress.outputs.len() >= self.limits.files => return Err(Refusal::TooMuch("files")),
                None => {}
            }
            // Whoever sends a file again (the answer may have been lost) replaces it.
            if let Some(Some(known)) = progress.outputs.insert(sha256, None) {
                progress.bytes = progress.bytes.saturating_sub(known.digests.size);
            }
        }
        // From here on dropping it makes room again.
        let mut upload =
            Upload { run: Arc::clone(self), sha256, file: None, hasher: MultiHasher::new(), size: 0, done: false };
        // Not its parents: the folder of a build that is over does not come back.
        match tokio::fs::create_dir(&self.folder).await {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        upload.file = Some(tokio::fs::File::create(self.path_of(&sha256)).await.map_err(failed)?);
        Ok(upload)
    }

    fn path_of(&self, sha256: &Sha256) -> PathBuf {
        self.folder.join(sha256.to_string())
    }

    fn output(&self, file: &FileRef) -> Result<BuiltOutput, String> {
        let known = self.progress().outputs.get(&file.sha256).cloned().flatten();
        let known = known.ok_or_else(|| format!("{} was not uploaded", file.sha256))?;
        if known.digests.size == file.size { Ok(known) } else { Err(format!("{} has another size", file.sha256)) }
    }

    /// Nothing comes in any more: a file that is sent once more while the result is looked at would not be the one that was
    /// hashed.
    pub(crate) fn close(&self) {
        self.progress().closed = true;
    }

    /// What the worker says came out, checked as far as it can be without building: files are those that were uploaded, and
    /// belong to the releases that were asked for; a manifest says what this authority has answered. Anything else is a
    /// fault of the worker and says nothing about the build.
    pub(crate) async fn check(&self, outcome: Outcome) -> Result<Finished, BuildError> {
        self.close();
        let checked = match (outcome, self.work.order.part) {
            (Outcome::Failed(failure), _) => return Err(failure.into()),
            (Outcome::Recorded { manifest, failed }, Part::Record) => {
                let manifest = self.recorded(&manifest).await;
                // Each replay would refuse it.
                if let Some(own) = manifest.as_ref().ok().and_then(|manifest| self.own(manifest)) {
                    return Err(BuildError::InputIsOutput(own));
                }
                let result = failed.map_or(Ok(Built::default()), |failed| Err(failed.into()));
                manifest.map(|manifest| Finished::Recorded(Recorded { manifest, result }))
            }
            (Outcome::Replayed(replayed), Part::Replay) => self.replayed(replayed).map(Finished::Replayed),
            _ => Err("it is the result of another part of the build".to_owned()),
        };
        let cannot = |why: String| format!("the result of worker {} cannot be used: {}", self.worker, text(&why));
        checked.map_err(|why| BuildError::Engine(cannot(why)))
    }

    async fn recorded(&self, file: &FileRef) -> Result<InputManifest, String> {
        let output = self.output(file)?;
        let written = tokio::fs::read_to_string(&output.path).await.map_err(|error| error.to_string())?;
        let manifest = InputManifest::parse(&written).map_err(|error| error.to_string())?;
        let progress = self.progress();
        for line in manifest.lines() {
            let said = match line.status {
                InputStatus::WithheldSelf => self.work.withheld.covers(&line.path),
                status => {
                    let given = progress.given.get(&(line.repository.clone(), line.path.clone()));
                    given.is_some_and(|given| given.status == status)
                }
            };
            if !said {
                return Err(format!("{} of {} is not what was answered", line.path, line.repository));
            }
        }
        Ok(manifest)
    }

    /// A file that the manifest has and the build must not get. It may have been answered: a builder asks for times of its
    /// own release.
    fn own(&self, manifest: &InputManifest) -> Option<String> {
        let is_own = |line: &InputLine| {
            line.repository != RepositoryId::inputs()
                && matches!(line.status, InputStatus::Found { .. })
                && self.work.withheld.covers(&line.path)
        };
        manifest.lines().find(is_own).map(|line| line.path.to_string())
    }

    fn replayed(&self, replayed: Replayed) -> Result<Built, String> {
        let Replayed { files, byproducts, reactor, asked } = replayed;
        if !self.work.replay.as_ref().is_some_and(|replay| asked.is_subset(&replay.inputs)) {
            return Err("it names inputs that are not in the manifest".to_owned());
        }
        if reactor.len() > MAX_DIGESTS || files.len() > self.limits.files {
            return Err("it has too many files".to_owned());
        }
        let mut built = Built { files: Vec::new(), byproducts, reactor, asked };
        for MadeFile { coordinates, name, file } in files {
            belongs(&self.work.order.coordinates, &coordinates, &name)?;
            let output = self.output(&file)?;
            built.reactor.insert(file.sha256);
            built.files.push(BuiltFile { coordinates, name, path: output.path, digests: output.digests });
        }
        built.files.sort_by(|a, b| (&a.coordinates, &a.name).cmp(&(&b.coordinates, &b.name)));
        let same = |pair: &[BuiltFile]| pair[0].coordinates == pair[1].coordinates && pair[0].name == pair[1].name;
        if built.files.windows(2).any(same) {
            return Err("it has one file twice".to_owned());
        }
        if let Some(without) = self.work.order.coordinates.iter().find(|release| {
            let pom = format!("{}-{}.pom", release.artifact, release.version);
            !built.files.iter().any(|file| file.coordinates == **release && file.name == pom)
        }) {
            return Err(format!("{without} has no POM"));
        }
        Ok(built)
    }

    /// Removes what was uploaded, when nothing will become of it. Best effort: the job's folder goes with its owner.
    pub(crate) fn discard(&self) {
        self.close();
        remove(&self.folder);
    }
}

/// Whether a name is one of a file of a wanted release.
fn belongs(wanted: &[Coordinates], release: &Coordinates, name: &str) -> Result<(), String> {
    if !wanted.contains(release) {
        return Err(format!("{release} was not asked for"));
    }
    let path: RepoPath =
        format!("{}/{name}", release.dir()).parse().map_err(|_| format!("{name:?} is no file name"))?;
    let rest = name
        .strip_prefix(release.artifact.as_str())
        .and_then(|rest| rest.strip_prefix('-'))
        .and_then(|rest| rest.strip_prefix(release.version.as_str()));
    let named = rest.is_some_and(|rest| rest.len() > 1 && rest.starts_with(['.', '-']));
    let is_output = !matches!(path.kind(), PathKind::Checksum { .. } | PathKind::Signature { .. });
    if path.file_name() == name && named && is_output {
        Ok(())
    } else {
        Err(format!("{name:?} is no file of {release}"))
    }
}

fn remove(folder: &Path) {
    if let Err(error) = std::fs::remove_dir_all(folder)
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %folder.display(), %error, "what a worker had sent could not be removed");
    }
}

fn failed(error: io::Error) -> Refusal {
    Refusal::Local(error.to_string())
}

/// A file on its way in. Dropping it leaves nothing of it.
pub struct Upload {
    run: Arc<Run>,
    sha256: Sha256,
    file: Option<tokio::fs::File>,
    hasher: MultiHasher,
    size: u64,
    done: bool,
}

impl Upload {
    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Refusal::NoLease`] when the lease is over, [`Refusal::TooMuch`] when its files become too large together,
    /// [`Refusal::Local`].
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), Refusal> {
        {
            let mut progress = self.run.progress();
            if progress.closed {
                return Err(NoLease.into());
            }
            let bytes = progress.bytes.saturating_add(chunk.len() as u64);
            if bytes > self.run.limits.bytes {
                return Err(Refusal::TooMuch("bytes"));
            }
            progress.bytes = bytes;
        }
        self.size = self.size.saturating_add(chunk.len() as u64);
        self.hasher.update(&chunk);
        let file = self.file.as_mut().ok_or_else(|| Refusal::Local("the file is not open".to_owned()))?;
        file.write_all(&chunk).await.map_err(failed)
    }

    /// Ends it, if it is the file that was announced.
    ///
    /// # Errors
    /// [`Refusal::NoLease`], [`Refusal::Bad`] if it is another one, [`Refusal::Local`].
    pub async fn finish(mut self) -> Result<(), Refusal> {
        if let Some(mut file) = self.file.take() {
            file.flush().await.map_err(failed)?;
        }
        let digests = std::mem::replace(&mut self.hasher, MultiHasher::new()).finish();
        if digests.sha256 != self.sha256 {
            return Err(Refusal::Bad(format!("{} came instead of {}", digests.sha256, self.sha256)));
        }
        let path = self.run.path_of(&self.sha256);
        {
            let mut progress = self.run.progress();
            if progress.closed {
                return Err(NoLease.into());
            }
            progress.outputs.insert(self.sha256, Some(BuiltOutput { path, digests }));
        }
        self.done = true;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.done {
            let mut progress = self.run.progress();
            progress.outputs.remove(&self.sha256);
            progress.bytes = progress.bytes.saturating_sub(self.size);
            drop(progress);
            let _ = std::fs::remove_file(self.run.path_of(&self.sha256));
        }
    }
}
