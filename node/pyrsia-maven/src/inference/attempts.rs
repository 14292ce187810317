//! Building: once with a specification that is named, or along a plan until the result is as good as it can be.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use build_infer::{Candidate, Outcome, Plan, Reference, is_telling};
use build_spec::{
    BuildError, BuildLog, Builder as _, Checkout, Job, Mode, Phase, RunId, SandboxProfile, Source, SourceError,
    SourceRequest, Specification, Tool, ToolFailure,
};
use jar_compare::{Limits, Listing};
use java_builder::{WRAPPER_PROPERTIES, with_wrapper};
use maven_layout::{Coordinates, Extension};
use pyrsia_rebuilds::{
    Assessment, FileOutcome, MAX_COMPARED_BYTES, Rebuilt, ReferenceFile, StoreBlobs, assess, check_inputs,
    record_and_replay, references,
};

use super::session::Session;
use crate::cli::RebuildArgs;
use crate::exit::{CommandError, Exit};
use crate::image_store::ImageStore;
use crate::terminal;

/// Telling lines of a log that are kept for the choice of the next attempt.
const MAX_LINES: usize = 2_000;

/// The log of a run: into a file, and to the terminal.
pub struct RunLog {
    file: Mutex<File>,
    show: bool,
    telling: Mutex<VecDeque<String>>,
}

impl RunLog {
    /// Writes into this file; `show`: to the terminal as well.
    pub fn create(path: &Path, show: bool) -> anyhow::Result<Arc<Self>> {
        let file = File::create(path).context("cannot write the log")?;
        Ok(Arc::new(Self { file: Mutex::new(file), show, telling: Mutex::default() }))
    }

    /// The lines since the last call that may say why a build failed.
    fn take_telling(&self) -> Vec<String> {
        std::mem::take(&mut *self.telling.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl BuildLog for RunLog {
    fn line(&self, phase: Phase, line: &str) {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk must not end the build; its result says more than its log.
        let _ = writeln!(file, "[{phase}] {line}");
        if self.show {
            terminal::note(&terminal::plain(&format!("[{phase}] {line}")));
        }
        if is_telling(line) {
            let mut telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
            if telling.len() >= MAX_LINES {
                telling.pop_front();
            }
            telling.push_back(line.to_owned());
        }
    }
}

/// What is built, the same in each attempt.
pub struct Task<'a> {
    /// What is worked with.
    pub session: &'a Session,
    /// The flags.
    pub args: &'a RebuildArgs,
    /// The source.
    pub source: Source,
    /// Native or upstream.
    pub mode: Mode,
    /// Where the log goes.
    pub log: Arc<RunLog>,
}

/// What one attempt made.
pub struct Made {
    /// What was built.
    pub job: Job,
    /// Inputs and outputs.
    pub rebuilt: Rebuilt,
    /// How the outputs compare.
    pub assessment: Assessment,
    /// How long comparing took.
    pub compare: Duration,
    references: Vec<ReferenceFile>,
    folder: PathBuf,
}

/// One attempt, for the report.
pub struct Tried {
    /// With which specification, and why.
    pub candidate: Candidate,
    /// The headline, or why there is none.
    pub result: Result<FileOutcome, String>,
    /// Whether its outputs are the result.
    pub kept: bool,
}

/// An attempt without a result.
struct Failure {
    error: anyhow::Error,
    /// Whether another specification could do better.
    another_may_help: bool,
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self { error, another_may_help: false }
    }
}

impl Task<'_> {
    fn release(&self) -> &Coordinates {
        &self.args.coordinates
    }

    /// Builds with one specification.
    ///
    /// # Errors
    /// With the exit code of the command.
    pub async fn once(&self, specification: Specification) -> anyhow::Result<Made> {
        self.attempt(1, specification).await.map_err(|failure| failure.error)
    }

    /// Goes through a plan until a build is identical (or there is nothing to compare it with), and keeps the best. `tried`
    /// has every attempt, also when none of them gave a result.
    ///
    /// # Errors
    /// Why the first attempt failed, if all did; a fault of this machine or of upstream at once.
    pub async fn along(&self, plan: &mut Plan, tried: &mut Vec<Tried>) -> anyhow::Result<Made> {
        let start = Instant::now();
        let limit = Duration::from_secs(self.args.attempt_minutes.saturating_mul(60));
        let mut best: Option<(FileOutcome, usize, Made)> = None;
        let mut first_error = None;
        let mut candidate = plan.first();
        while let Some(next) = candidate.take() {
            let number = tried.len() + 1;
            self.log.take_telling();
            self.log.line(Phase::Record, &format!("attempt {number}: {}", next.why.join("; ")));
            let attempt = self.attempt(number, next.specification.clone()).await;
            let goes_on = number < self.args.attempts as usize && start.elapsed() < limit;
            match attempt {
                Ok(made) => {
                    let headline = made.assessment.headline(self.release());
                    tried.push(Tried { candidate: next, result: Ok(headline), kept: false });
                    let good = matches!(headline, FileOutcome::Identical | FileOutcome::Built);
                    if !good && goes_on {
                        candidate = self.after_difference(plan, &made);
                    }
                    let better = best.as_ref().is_none_or(|(known, ..)| headline < *known);
                    let left =
                        if better { best.replace((headline, number, made)) } else { Some((headline, number, made)) };
                    if let Some((_, _, left)) = left {
                        // Its files would only take room.
                        let _ = std::fs::remove_dir_all(&left.folder);
                    }
                }
                Err(failure) => {
                    let text = format!("{:#}", failure.error);
                    tried.push(Tried { candidate: next, result: Err(text), kept: false });
                    if !failure.another_may_help {
                        first_error = Some(failure.error);
                        break;
                    }
                    first_error = first_error.or(Some(failure.error));
                    if goes_on {
                        candidate = plan.next(&Outcome::Failed { log: &self.log.take_telling() });
                    }
                }
            }
        }
        match (best, first_error) {
            (Some((_, number, made)), _) => {
                if let Some(kept) = tried.get_mut(number - 1) {
                    kept.kept = true;
                }
                Ok(made)
            }
            (None, Some(error)) => Err(error),
            (None, None) => bail!("nothing can be built with here: {}", plan.skipped().join("; ")),
        }
    }

    async fn attempt(&self, number: usize, specification: Specification) -> Result<Made, Failure> {
        let properties = match specification.tool {
            Tool::Gradle(_) => wrapper_properties(self.source.archive.clone()).await?,
            Tool::Maven(_) => None,
        };
        let specification = with_wrapper(&specification, properties.as_deref())
            .map_err(|error| Failure { another_may_help: another_may_help(&error), error: build_error(error) })?;
        let image = match &self.args.image {
            Some(reference) => Ok(reference.digest()),
            None => image(self.session, &specification).await,
        };
        let image = image.map_err(|error| Failure { error, another_may_help: true })?;
        let source = self.checked_out(&specification).await?;
        let folder = self.session.work.path().join(format!("attempt-{number}"));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let job = Job {
            run: RunId::new(&format!("rebuild-{}-{number}", std::process::id())),
            coordinates: vec![self.release().clone()],
            mode: self.mode,
            source,
            specification,
            image,
            profile: SandboxProfile::v1(),
            work_dir: folder.clone(),
        };
        let (inputs, log) = (self.session.inputs.clone(), self.log.clone() as Arc<dyn BuildLog>);
        let blobs = Arc::new(StoreBlobs(self.session.local.blobs.clone()));
        let builder = &*self.session.builder;
        let rebuilt = record_and_replay(builder, &job, inputs, blobs, log)
            .await
            .map_err(|error| Failure { another_may_help: another_may_help(&error), error: build_error(error) })?;
        let start = Instant::now();
        let references = self.reference_files(&rebuilt).await?;
        check_inputs(&rebuilt.manifest, &rebuilt.built, &references).map_err(build_error)?;
        let assessment = assess(job.mode, &rebuilt.built, &references).map_err(anyhow::Error::from)?;
        Ok(Made { job, rebuilt, assessment, compare: start.elapsed(), references, folder })
    }

    /// The source as a specification wants it checked out; got once more if that is another way than it was.
    async fn checked_out(&self, specification: &Specification) -> Result<Source, Failure> {
        let checkout = Checkout::of(specification);
        if self.source.checkout == checkout {
            return Ok(self.source.clone());
        }
        let request = SourceRequest {
            coordinates: vec![self.release().clone()],
            repository: self.source.repository.clone(),
            tag: self.source.tag.clone(),
            commit: Some(self.source.commit.clone()),
            checkout: Some(checkout),
        };
        let source = self.session.builder.resolve(&request, self.log.clone()).await;
        source.map_err(|error| {
            // A tree that cannot be had in this way may be had in another.
            let another_may_help = matches!(error, SourceError::Tree { .. });
            let exit = if matches!(error, SourceError::Local(_)) { Exit::Failed } else { Exit::NoSource };
            Failure { error: CommandError::new(exit, error.to_string()).into(), another_may_help }
        })
    }

    fn after_difference(&self, plan: &mut Plan, made: &Made) -> Option<Candidate> {
        let name = self.release().file(None, &Extension::jar()).to_string();
        let built = made.rebuilt.built.files.iter().find(|file| file.name == name);
        let reference = made.references.iter().find(|file| file.name == name);
        let built = built.and_then(|file| told_by(&file.path));
        let reference = reference.and_then(|file| told_by(&file.path));
        let missing = made.assessment.files.iter().filter(|file| file.outcome == FileOutcome::NotBuilt);
        let not_built: Vec<String> = missing.map(|file| file.name.clone()).collect();
        plan.next(&Outcome::Different { built: built.as_ref(), reference: reference.as_ref(), not_built: &not_built })
    }

    async fn reference_files(&self, rebuilt: &Rebuilt) -> anyhow::Result<Vec<ReferenceFile>> {
        if self.args.no_reference {
            return Ok(Vec::new());
        }
        let coordinates = self.release().clone();
        let Some(given) = &self.args.reference else {
            let inputs = &*self.session.inputs;
            let found = references(inputs, std::slice::from_ref(&coordinates), &rebuilt.built).await;
            let found = found.map_err(|error| anyhow::anyhow!("the reference could not be had: {error:?}"))?;
            if found.is_empty() {
                bail!("upstream has no {coordinates} to compare with; use --no-reference or --reference");
            }
            return Ok(found);
        };
        let stem = format!("{}-{}.", coordinates.artifact, coordinates.version);
        let built = rebuilt.built.files.iter().filter(|file| file.name.starts_with(&stem));
        let extension = given.rsplit_once('.').map_or("jar", |(_, extension)| extension);
        let name = built
            .map(|file| file.name.clone())
            .find(|name| name.ends_with(&format!(".{extension}")))
            .unwrap_or_else(|| format!("{stem}{extension}"));
        let path = if given.starts_with("https://") || given.starts_with("http://") {
            let path = self.session.work.path().join("reference");
            let bytes = reqwest::get(given).await?.error_for_status()?.bytes().await?;
            std::fs::write(&path, &bytes)?;
            path
        } else {
            given.into()
        };
        let sha256 = crate::commands::local_files::digests(&path)?.sha256;
        Ok(vec![ReferenceFile { coordinates, name, path, sha256 }])
    }
}

/// What the wrapper of a source says, if Gradle has one there.
async fn wrapper_properties(archive: PathBuf) -> anyhow::Result<Option<String>> {
    let shown = archive.display().to_string();
    let read = move || super::checkout::read_text(&archive, WRAPPER_PROPERTIES);
    tokio::task::spawn_blocking(read).await?.with_context(|| format!("cannot read {shown}"))
}

/// The hints in a JAR on disk, if it can be read.
fn told_by(path: &Path) -> Option<Reference> {
    let size = std::fs::metadata(path).ok()?.len();
    if size > MAX_COMPARED_BYTES {
        return None;
    }
    let bytes = std::fs::read(path).ok()?;
    Listing::open(&bytes, &Limits::default()).ok().map(|listing| Reference::read(&listing))
}

/// The image for a specification, made now if it is not there: a maintainer's first try should need one command.
async fn image(session: &Session, specification: &Specification) -> anyhow::Result<pyrsia_digest::Sha256> {
    // Before minutes are spent on an image that would not help.
    session.builder.check(specification).map_err(build_error)?;
    let context = &session.context;
    let store = ImageStore::open(&context.images_dir(), context.config.builder.java.engine.clone())?;
    let name = specification.image_name();
    let image = match store.find(&name)? {
        Some(image) => image,
        None => {
            terminal::note(&format!("making builder image {name} (once; about a minute)"));
            store.build(&name, &|_| {}).await?
        }
    };
    store.load(&image).await?;
    Ok(image.digest)
}

/// Whether another specification could build what this one did not. Faults of this machine, of upstream and of the limits
/// say nothing about the specification.
fn another_may_help(error: &BuildError) -> bool {
    matches!(
        error,
        BuildError::ToolFailed(_)
            | BuildError::CommandFailed { .. }
            | BuildError::NoOutput(_)
            | BuildError::Undeclared { .. }
            | BuildError::NeedsNetwork(_)
            | BuildError::InputsUnavailable(_)
            | BuildError::Snapshot(_)
            | BuildError::Unsupported(_)
    )
}

/// A build error with its exit code.
fn build_error(error: BuildError) -> anyhow::Error {
    use pyrsia_rebuilds::FailureKind;
    let exit = match pyrsia_rebuilds::failure_kind(&error) {
        FailureKind::Build => Exit::BuildFailed,
        FailureKind::Input => Exit::Undeclared,
        FailureKind::Source => Exit::NoSource,
        FailureKind::Refused | FailureKind::Internal => Exit::Failed,
    };
    let text = match &error {
        BuildError::ToolFailed(ToolFailure { log_tail, .. }) | BuildError::CommandFailed { log_tail, .. } => {
            format!("{error}\n{}", log_tail.join("\n"))
        }
        _ => error.to_string(),
    };
    CommandError::new(exit, text).of_kind(error.word()).into()
}
