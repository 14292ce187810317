//! The long steps of a round on this machine. Each ends in something that is on disk before it is said.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use build_spec::{
    BuildError, Builder, Built, Input, InputManifest, InputStatus, Inputs, Job, MAX_MANIFEST_BYTES, Mode, RunId,
    Source, SourceError, SourceRequest, Specification, ToolFailure,
};
use maven_layout::{Coordinates, Extension};
use pyrsia_blobs::BlobStore;
use pyrsia_ledger::{
    Attestation, EntryBody, FailedBuild, Inputs as InputsEntry, InputsFailed, InputsRejected, Mode as LedgerMode,
    RecordFailure, Round, RoundResult, VoidReason,
};
use tokio::sync::Mutex;

use crate::assess::{ReferenceFile, assess};
use crate::board::Board;
use crate::entries::Entries;
use crate::intake::Images;
use crate::pom_chain::{PomChain, PomChainError, pom_chain};
use crate::provenance;
use crate::result::{built_result, entry_text, failed_result, record_failure, source_failure};
use crate::run::{StoreBlobs, check_inputs};

/// Slot of what the recorder says.
pub const RECORDED: &str = "recorded";
/// Slot of a rejection.
pub const REJECTED: &str = "rejected";

/// Sources that are kept resolved; the oldest make room.
const MAX_SOURCES: usize = 16;

/// What the steps work with.
pub struct Steps {
    /// This authority's hand.
    pub entries: Arc<Entries>,
    /// Who builds.
    pub builder: Arc<dyn Builder>,
    /// Where inputs come from: this authority's own upstream and ledger.
    pub inputs: Arc<dyn Inputs>,
    /// Builder images.
    pub images: Arc<dyn Images>,
    /// Where files are kept.
    pub blobs: Arc<BlobStore>,
    /// Who watches.
    pub board: Arc<Board>,
    /// A folder for runs.
    pub work_dir: PathBuf,
    /// Sources that were resolved for open rounds.
    pub sources: Mutex<BTreeMap<pyrsia_ledger::RoundKey, Source>>,
}

/// A step that came to nothing.
#[derive(Debug)]
pub enum StepError {
    /// Trying again may help.
    Again(String),
    /// This authority has nothing to say about the round.
    Abstain(String),
}

/// A job, ready to run, with what is known about the release.
struct Prepared {
    job: Job,
    chain: Option<PomChain>,
    _folder: tempfile::TempDir,
}

/// Why a job could not be prepared.
enum PrepareError {
    Source(SourceError),
    Specification(String),
    Step(StepError),
}

impl Steps {
    /// Records the inputs and replays them; leaves what the recorder has to say on disk.
    pub async fn record(&self, id: &str, round: &Round) -> Result<(), StepError> {
        let prepared = match self.prepare(id, round).await {
            Ok(prepared) => prepared,
            Err(PrepareError::Source(SourceError::Local(text))) => return Err(StepError::Again(text)),
            Err(PrepareError::Source(error)) => {
                return self.say_failed(round, source_failure(&error), &error.to_string());
            }
            Err(PrepareError::Specification(text)) => {
                return self.say_failed(round, RecordFailure::SpecificationUnavailable, &text);
            }
            Err(PrepareError::Step(error)) => return Err(error),
        };
        self.board.stage(id, "recording");
        let failed = failed_result(&prepared.job, prepared.chain.as_ref());
        let recorded = match self.builder.record(&prepared.job, self.inputs.clone(), self.board.log(id)).await {
            Ok(recorded) => recorded,
            Err(error) => return self.record_failed(id, round, &error, failed),
        };
        if let Err(failure) = recorded.result {
            return self.record_failed(id, round, &failure.into(), failed);
        }
        let manifest = recorded.manifest;
        self.board.event(
            id,
            "record",
            &format!("{} inputs, {} bytes, root {}", manifest.len(), manifest.total_bytes(), manifest.root()),
        );
        // **The recorder speaks only after its own replay from the manifest worked.**
        let result = match self.replay_manifest(id, &prepared, &manifest).await {
            Ok(result) => result,
            Err(ReplayError::Build(error)) => return self.record_failed(id, round, &error, failed),
            Err(ReplayError::Step(error)) => return Err(error),
        };
        if let Err(text) = self.sayable(round, &result) {
            return self.say_failed(round, RecordFailure::Engine, &text);
        }
        let text = manifest.to_text();
        let stored = self.blobs.put_bytes(text.as_bytes()).map_err(|error| StepError::Again(error.to_string()))?;
        let body = EntryBody::Inputs(InputsEntry {
            round: round.key,
            attempt: round.attempt,
            manifest_root: manifest.root(),
            manifest: stored.digests.sha256,
            lines: u32::try_from(manifest.len()).unwrap_or(u32::MAX),
            total_bytes: manifest.total_bytes(),
        });
        // The manifest first: after a crash in between, the result is made again from this very manifest.
        self.keep(RECORDED, round, &body)?;
        self.keep_result(round, &result)
    }

    /// Checks the accepted manifest and replays it; leaves a result or a rejection on disk.
    pub async fn replay(&self, id: &str, round: &Round) -> Result<(), StepError> {
        let Some(accepted) = &round.inputs else {
            return Err(StepError::Abstain("the round has no manifest".to_owned()));
        };
        let manifest = self.manifest(accepted)?;
        let prepared = self.prepare(id, round).await.map_err(|error| match error {
            PrepareError::Source(error) => StepError::Again(error.to_string()),
            PrepareError::Specification(text) => StepError::Abstain(text),
            PrepareError::Step(error) => error,
        })?;
        // The recorder's own upstream gave it every line; all others ask theirs.
        if round.recorder() != self.entries.me()
            && let Some((line, detail)) = self.contradiction(&manifest, &prepared.job).await?
        {
            let body = EntryBody::InputsRejected(InputsRejected {
                round: round.key,
                attempt: round.attempt,
                line: entry_text(&line),
                detail: entry_text(&detail),
            });
            self.board.event(id, "entry", &format!("the manifest is contradicted: {line}: {detail}"));
            return self.keep(REJECTED, round, &body);
        }
        match self.replay_manifest(id, &prepared, &manifest).await {
            Ok(result) => {
                self.sayable(round, &result).map_err(StepError::Abstain)?;
                self.keep_result(round, &result)
            }
            Err(ReplayError::Step(error)) => Err(error),
            Err(ReplayError::Build(BuildError::ToolFailed(_))) => {
                let failed = failed_result(&prepared.job, prepared.chain.as_ref());
                self.keep_result(round, &RoundResult::Failed(failed))
            }
            Err(ReplayError::Build(error @ (BuildError::Engine(_) | BuildError::Limit(_)))) => {
                Err(StepError::Again(error.to_string()))
            }
            Err(ReplayError::Build(error)) => Err(StepError::Abstain(error.to_string())),
        }
    }

    /// Forgets the source of a round that is over.
    pub async fn forget(&self, round: &pyrsia_ledger::RoundKey) {
        if let Some(source) = self.sources.lock().await.remove(round) {
            let _ = std::fs::remove_file(&source.archive);
        }
    }

    fn record_failed(&self, id: &str, round: &Round, error: &BuildError, failed: FailedBuild) -> Result<(), StepError> {
        self.board.event(id, "record", &error.to_string());
        if let BuildError::ToolFailed(ToolFailure { log_tail, .. }) = error {
            for line in log_tail {
                self.board.event(id, "log", line);
            }
        }
        match error {
            BuildError::Engine(_) | BuildError::UpstreamFailed(_) => Err(StepError::Again(error.to_string())),
            _ => self.say_failed(round, record_failure(error, failed), &error.to_string()),
        }
    }

    fn say_failed(&self, round: &Round, failure: RecordFailure, detail: &str) -> Result<(), StepError> {
        let body = EntryBody::InputsFailed(InputsFailed {
            round: round.key,
            attempt: round.attempt,
            failure,
            detail: entry_text(detail),
        });
        self.keep(RECORDED, round, &body)
    }

    fn keep(&self, slot: &str, round: &Round, body: &EntryBody) -> Result<(), StepError> {
        self.entries.keep_saying(slot, &round.key, round.attempt, body).map_err(StepError::Again)
    }

    /// Whether the result fits into an attestation: a commitment to one that does not could never be kept.
    fn sayable(&self, round: &Round, result: &RoundResult) -> Result<(), String> {
        self.entries.sayable(EntryBody::Attestation(Attestation {
            round: round.key,
            attempt: round.attempt,
            salt: [0; 32],
            result: result.clone(),
        }))
    }

    fn keep_result(&self, round: &Round, result: &RoundResult) -> Result<(), StepError> {
        let mut salt = [0u8; 32];
        getrandom::fill(&mut salt).map_err(|error| StepError::Again(error.to_string()))?;
        self.entries.keep_result(&round.key, round.attempt, &salt, result).map_err(StepError::Again)
    }

    fn manifest(&self, accepted: &InputsEntry) -> Result<InputManifest, StepError> {
        let bytes =
            self.blobs.read_verified(&accepted.manifest).map_err(|error| StepError::Again(error.to_string()))?;
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Err(StepError::Abstain("the manifest is too large".to_owned()));
        }
        let text = String::from_utf8(bytes).map_err(|error| StepError::Abstain(error.to_string()))?;
        let manifest = InputManifest::parse(&text).map_err(|error| StepError::Abstain(error.to_string()))?;
        if manifest.root() != accepted.manifest_root || manifest.len() != accepted.lines as usize {
            return Err(StepError::Abstain("the manifest is not the one that the entry describes".to_owned()));
        }
        Ok(manifest)
    }

    /// The first line that this authority's own sources contradict.
    async fn contradiction(&self, manifest: &InputManifest, job: &Job) -> Result<Option<(String, String)>, StepError> {
        let inputs = self.builder.seen_by(job, self.inputs.clone());
        for line in manifest.lines() {
            let mine = match inputs.get(&line.repository, &line.path).await {
                Ok(mine) => mine,
                Err(error) => return Err(StepError::Again(error.to_string())),
            };
            let detail = match (&line.status, &mine) {
                (InputStatus::WithheldSelf, _) if is_own(job, line.path.as_str()) => None,
                (InputStatus::WithheldSelf, _) => Some("withheld, though it is no file of this build".to_owned()),
                (InputStatus::Absent, Input::Absent) => None,
                (InputStatus::Absent, Input::Found { .. }) => Some("it is there".to_owned()),
                (InputStatus::Found { .. }, Input::Absent) => Some("it is not there".to_owned()),
                (InputStatus::Found { sha256, .. }, Input::Found { digests, .. }) => {
                    (*sha256 != digests.sha256).then(|| format!("it has SHA-256 {}", digests.sha256))
                }
            };
            if let Some(detail) = detail {
                return Ok(Some((line.to_string().replace('\t', " "), detail)));
            }
        }
        Ok(None)
    }

    async fn replay_manifest(
        &self,
        id: &str,
        prepared: &Prepared,
        manifest: &InputManifest,
    ) -> Result<RoundResult, ReplayError> {
        self.board.stage(id, "replaying");
        let job = &prepared.job;
        let blobs = Arc::new(StoreBlobs(self.blobs.clone()));
        let built = self.builder.replay(job, manifest, blobs, self.board.log(id)).await?;
        let references = match job.mode {
            Mode::Native => Vec::new(),
            Mode::Upstream => references(&*self.inputs, &job.coordinates, &built).await?,
        };
        if check_inputs(manifest, &built, &references).is_err() {
            let made = built
                .files
                .iter()
                .map(|file| &file.digests.sha256)
                .chain(&built.reactor)
                .any(|made| manifest_has(manifest, made));
            let reason = if made { VoidReason::InputEqualsOutput } else { VoidReason::InputEqualsReference };
            self.board.event(id, "replay", "an input of the build is its own result; the round is void");
            return Ok(RoundResult::Void { reason });
        }
        let files = built.clone();
        let (mode, files_of) = (job.mode, references);
        let assessment = tokio::task::spawn_blocking(move || assess(mode, &files, &files_of))
            .await
            .map_err(|error| StepError::Again(error.to_string()))?
            .map_err(|error| StepError::Again(error.to_string()))?;
        for file in &built.files {
            self.blobs.import_file(&file.path).map_err(|error| StepError::Again(error.to_string()))?;
        }
        let statement = provenance::statement(job, manifest, &assessment, &format!("authority:{}", self.entries.me()));
        let provenance = self
            .blobs
            .put_bytes(statement.to_string().as_bytes())
            .map_err(|error| StepError::Again(error.to_string()))?;
        for file in &assessment.files {
            let digest = file.built.as_ref().map(|built| built.sha256.to_string()).unwrap_or_default();
            self.board.event(id, "replay", &format!("{} {} {digest}", file.name, file.outcome.as_str()));
            for sentence in file.explanation.iter().take(10) {
                self.board.event(id, "replay", &format!("  {sentence}"));
            }
        }
        let digest = Some(provenance.digests.sha256);
        Ok(built_result(job, &assessment, prepared.chain.as_ref(), built.byproducts, digest))
    }

    async fn prepare(&self, id: &str, round: &Round) -> Result<Prepared, PrepareError> {
        let request = &round.request;
        let abstain = |text: String| PrepareError::Step(StepError::Abstain(text));
        let again = |text: String| PrepareError::Step(StepError::Again(text));
        if request.profile != self.entries.profile().digest() {
            return Err(abstain("the request names a sandbox profile that this program does not have".to_owned()));
        }
        if request.comparator != jar_compare::COMPARATOR_VERSION {
            return Err(abstain("the request names a comparator that this program does not have".to_owned()));
        }
        let source = self.source(id, round).await.map_err(PrepareError::Source)?;
        let specification = self.specification(round, &source)?;
        self.images.ensure(&request.image).await.map_err(again)?;
        let mode = match request.mode {
            LedgerMode::Native => Mode::Native,
            LedgerMode::Upstream => Mode::Upstream,
        };
        let chain = match mode {
            Mode::Native => None,
            Mode::Upstream => Some(self.chain(&request.coordinates[0]).await?),
        };
        std::fs::create_dir_all(&self.work_dir).map_err(|error| again(error.to_string()))?;
        let folder = tempfile::tempdir_in(&self.work_dir).map_err(|error| again(error.to_string()))?;
        let job = Job {
            run: RunId::new(&format!("{}-{}", &round.key.to_string()[..12], round.attempt)),
            coordinates: request.coordinates.clone(),
            mode,
            source,
            specification,
            image: request.image,
            profile: self.entries.profile().clone(),
            work_dir: folder.path().to_owned(),
        };
        Ok(Prepared { job, chain, _folder: folder })
    }

    async fn chain(&self, release: &Coordinates) -> Result<PomChain, PrepareError> {
        pom_chain(&*self.inputs, release).await.map_err(|error| match error {
            PomChainError::Input(_) | PomChainError::Read(..) => {
                PrepareError::Step(StepError::Again(error.to_string()))
            }
            _ => PrepareError::Source(SourceError::Local(error.to_string())),
        })
    }

    async fn source(&self, id: &str, round: &Round) -> Result<Source, SourceError> {
        if let Some(source) = self.sources.lock().await.get(&round.key)
            && source.archive.exists()
            && source.tag == round.request.tag
        {
            return Ok(source.clone());
        }
        let request = SourceRequest {
            coordinates: round.request.coordinates.clone(),
            repository: round.request.repository.clone(),
            tag: round.request.tag.clone(),
            commit: Some(round.request.commit.to_string()),
        };
        self.board.event(id, "source", &format!("{} at {}", request.repository, round.request.commit));
        let source = self.builder.resolve(&request, self.board.log(id)).await?;
        let mut sources = self.sources.lock().await;
        while sources.len() >= MAX_SOURCES {
            if let Some((_, evicted)) = sources.pop_first() {
                let _ = std::fs::remove_file(&evicted.archive);
            }
        }
        sources.insert(round.key, source.clone());
        Ok(source)
    }

    /// **Native: the specification in the commit; upstream: a structured one, or one that a quorum has approved.**
    fn specification(&self, round: &Round, source: &Source) -> Result<Specification, PrepareError> {
        let wanted = round.request.specification;
        let committed = source.specification.clone().filter(|committed| committed.digest() == wanted);
        match round.request.mode {
            LedgerMode::Native => committed.ok_or_else(|| {
                PrepareError::Specification(format!("commit {} does not hold specification {wanted}", source.commit))
            }),
            LedgerMode::Upstream => {
                let kept =
                    self.entries.specification(&wanted).map_err(|text| PrepareError::Step(StepError::Again(text)))?;
                let specification = committed
                    .or(kept)
                    .ok_or_else(|| PrepareError::Specification(format!("specification {wanted} is not known here")))?;
                let approved = self.entries.state().is_specification_approved(&wanted);
                match specification.structured() {
                    Err(free) if !approved => Err(PrepareError::Specification(free.to_string())),
                    _ => Ok(specification),
                }
            }
        }
    }
}

/// A replay that gave no result.
enum ReplayError {
    Build(BuildError),
    Step(StepError),
}

impl From<BuildError> for ReplayError {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl From<StepError> for ReplayError {
    fn from(error: StepError) -> Self {
        Self::Step(error)
    }
}

fn manifest_has(manifest: &InputManifest, digest: &pyrsia_digest::Sha256) -> bool {
    manifest.lines().any(|line| matches!(line.status, InputStatus::Found { sha256, .. } if sha256 == *digest))
}

/// Whether a path belongs to a release of this build or of its reactor.
fn is_own(job: &Job, path: &str) -> bool {
    let inside = |release: &Coordinates| path.starts_with(&format!("{}/", release.dir()));
    job.coordinates.iter().chain(&job.source.reactor).any(inside)
}

/// Upstream's files of the releases: every name that was built, and the companions that releases usually have.
pub async fn references(
    inputs: &dyn Inputs,
    releases: &[Coordinates],
    built: &Built,
) -> Result<Vec<ReferenceFile>, StepError> {
    let mut names: std::collections::BTreeSet<(Coordinates, String)> =
        built.files.iter().map(|file| (file.coordinates.clone(), file.name.clone())).collect();
    for release in releases {
        names.insert((release.clone(), release.file(None, &Extension::pom()).to_string()));
        names.insert((release.clone(), release.file(None, &Extension::jar()).to_string()));
        for companion in ["sources", "javadoc", "tests", "test-sources"] {
            let name = format!("{}-{}-{companion}.jar", release.artifact, release.version);
            names.insert((release.clone(), name));
        }
    }
    let mut references = Vec::new();
    for (coordinates, name) in names {
        let Ok(path) = format!("{}/{name}", coordinates.dir()).parse() else { continue };
        match inputs.get(&build_spec::RepositoryId::central(), &path).await {
            Ok(Input::Found { file, digests, .. }) => {
                references.push(ReferenceFile { coordinates, name, path: file, sha256: digests.sha256 });
            }
            Ok(Input::Absent) => {}
            Err(error) => return Err(StepError::Again(error.to_string())),
        }
    }
    Ok(references)
}

/// Removes what earlier runs of this process left in the work folder.
pub fn sweep(work_dir: &Path) {
    if let Err(error) = std::fs::remove_dir_all(work_dir)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %work_dir.display(), %error, "cannot clean the work folder");
    }
}
