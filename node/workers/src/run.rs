//! One lease while it is worked on: what its worker may have, and what it has brought.

use std::collections::btree_map::Entry;
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
    /// Bytes of different files after which nothing further is asked for.
    pub(crate) max_bytes: u64,
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
    /// Bytes of the files that were given as inputs.
    given_bytes: u64,
    files: BTreeMap<Sha256, PathBuf>,
    outputs: BTreeMap<Sha256, Output>,
    /// Bytes of all outputs, those on their way included.
    bytes: u64,
    /// Uploads that were begun.
    uploads: u64,
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

/// A file that comes or has come.
struct Output {
    /// The upload that brings it, the last one of those that have tried.
    upload: u64,
    bytes: u64,
    /// None while it is being received.
    digests: Option<FileDigests>,
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
    pub(crate) fn ask(&self, asked: &Asked) -> Result<(), Refusal> {
        let mut progress = self.progress();
        if progress.questions >= MAX_QUESTIONS {
            return Err(Refusal::TooMuch("questions about inputs"));
        }
        // The size of a file is known only once it is here: what is already on its way comes on top.
        if progress.given_bytes > asked.max_bytes {
            return Err(Refusal::TooMuch("bytes of inputs"));
        }
        progress.questions += 1;
        Ok(())
    }

    /// Notes what is said about an input; the first answer stays.
    pub(crate) fn give(&self, repository: &RepositoryId, path: &RepoPath, said: Said, file: Option<PathBuf>) -> Said {
        let mut progress = self.progress();
        if let (InputStatus::Found { sha256, size, .. }, Some(file)) = (said.status, file)
            && let Entry::Vacant(place) = progress.files.entry(sha256)
        {
            place.insert(file);
            progress.given_bytes = progress.given_bytes.saturating_add(size);
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
        let (number, former) = {
            let mut progress = self.progress();
            if progress.closed {
                return Err(NoLease.into());
            }
            if progress.outputs.len() >= self.limits.files && !progress.outputs.contains_key(&sha256) {
                return Err(Refusal::TooMuch("files"));
            }
            progress.uploads += 1;
            let number = progress.uploads;
            // Whoever sends a file again replaces it: the answer may have been lost, or the connection of the first try is
            // dead and nobody has noticed it here yet.
            let former = progress.outputs.insert(sha256, Output { upload: number, bytes: 0, digests: None });
            if let Some(former) = &former {
                progress.bytes = progress.bytes.saturating_sub(former.bytes);
            }
            (number, former)
        };
        // From here on dropping it makes room again.
        let run = Arc::clone(self);
        let mut upload = Upload { run, sha256, number, file: None, hasher: MultiHasher::new(), done: false };
        if let Some(former) = former {
            let _ = tokio::fs::remove_file(self.path_of(&sha256, former.upload)).await;
        }
        // Not its parents: the folder of a build that is over does not come back.
        match tokio::fs::create_dir(&self.folder).await {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        upload.file = Some(tokio::fs::File::create(self.path_of(&sha256, number)).await.map_err(failed)?);
        Ok(upload)
    }

    /// Each upload has a path of its own, so that one that was replaced cannot write into the file of the next.
    fn path_of(&self, sha256: &Sha256, upload: u64) -> PathBuf {
        self.folder.join(format!("{sha256}-{upload}"))
    }

    fn output(&self, file: &FileRef) -> Result<(PathBuf, FileDigests), String> {
        let progress = self.progress();
        let known = progress.outputs.get(&file.sha256);
        let known = known.and_then(|output| Some((output.upload, output.digests.clone()?)));
        let (upload, digests) = known.ok_or_else(|| format!("{} was not uploaded", file.sha256))?;
        if digests.size != file.size {
            return Err(format!("{} has another size", file.sha256));
        }
        Ok((self.path_of(&file.sha256, upload), digests))
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
        let (path, _) = self.output(file)?;
        let written = tokio::fs::read_to_string(&path).await.map_err(|error| error.to_string())?;
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
            let (path, digests) = self.output(&file)?;
            built.reactor.insert(file.sha256);
            built.files.push(BuiltFile { coordinates, name, path, digests });
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
    let is_output = !matches!(path.kind(), PathKind::Checksum { .. } | PathKind::Signature { .. });
    if path.file_name() == name && release.rest_of(name).is_some() && is_output {
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
    number: u64,
    file: Option<tokio::fs::File>,
    hasher: MultiHasher,
    done: bool,
}

impl Upload {
    /// What it brings, unless that is over or is being sent again.
    fn own<'a>(&self, progress: &'a mut Progress) -> Result<&'a mut Output, Refusal> {
        if progress.closed {
            return Err(NoLease.into());
        }
        let own = progress.outputs.get_mut(&self.sha256).filter(|output| output.upload == self.number);
        own.ok_or_else(|| Refusal::Bad(format!("{} is being sent again", self.sha256)))
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Refusal::NoLease`] when the lease is over, [`Refusal::Bad`] when the file is being sent again,
    /// [`Refusal::TooMuch`] when its files become too large together, [`Refusal::Local`].
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), Refusal> {
        {
            let mut progress = self.run.progress();
            let came = chunk.len() as u64;
            let bytes = progress.bytes.saturating_add(came);
            let own = self.own(&mut progress)?;
            if bytes > self.run.limits.bytes {
                return Err(Refusal::TooMuch("bytes"));
            }
            own.bytes = own.bytes.saturating_add(came);
            progress.bytes = bytes;
        }
        self.hasher.update(&chunk);
        let file = self.file.as_mut().ok_or_else(|| Refusal::Local("the file is not open".to_owned()))?;
        file.write_all(&chunk).await.map_err(failed)
    }

    /// Ends it, if it is the file that was announced.
    ///
    /// # Errors
    /// [`Refusal::NoLease`], [`Refusal::Bad`] if it is another one or is being sent again, [`Refusal::Local`].
    pub async fn finish(mut self) -> Result<(), Refusal> {
        if let Some(mut file) = self.file.take() {
            file.flush().await.map_err(failed)?;
        }
        let digests = std::mem::replace(&mut self.hasher, MultiHasher::new()).finish();
        if digests.sha256 != self.sha256 {
            return Err(Refusal::Bad(format!("{} came instead of {}", digests.sha256, self.sha256)));
        }
        self.own(&mut self.run.progress())?.digests = Some(digests);
        self.done = true;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if !self.done {
            let mut progress = self.run.progress();
            let is_own = |output: &Output| output.upload == self.number;
            if progress.outputs.get(&self.sha256).is_some_and(is_own)
                && let Some(Output { bytes, .. }) = progress.outputs.remove(&self.sha256)
            {
                progress.bytes = progress.bytes.saturating_sub(bytes);
            }
            drop(progress);
            let _ = std::fs::remove_file(self.run.path_of(&self.sha256, self.number));
        }
    }
}
