//! The long steps of a round on this machine. Each ends in something that is on disk before it is said.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use build_spec::{
    BuildError, Builder, Built, Input, InputManifest, InputStatus, Inputs, Job, Mode, Source, SourceError, ToolFailure,
    Withheld,
};
use maven_layout::{Coordinates, Extension};
use pyrsia_blobs::BlobStore;
use pyrsia_ledger::{
    Attestation, EntryBody, FailedBuild, Inputs as InputsEntry, InputsFailed, InputsRejected, RecordFailure, Round,
    RoundResult, VoidReason,
};
use pyrsia_provenance::authority_builder;
use tokio::sync::Mutex;

use crate::assess::{ReferenceFile, assess};
use crate::board::Board;
use crate::check::{Checker, MAX_TOOL_BYTES, Rules};
use crate::entries::Entries;
use crate::intake::Images;
use crate::peers::PeerBlobs;
use crate::prepare::{InputsAt, PrepareError, Prepared};
use crate::provenance;
use crate::result::{built_result, entry_text, failed_result, record_failure, source_failure};
use crate::run::{StoreBlobs, check_inputs};

/// Slot of what the recorder says.
pub const RECORDED: &str = "recorded";
/// Slot of a rejection.
pub const REJECTED: &str = "rejected";

/// What the steps work with.
pub struct Steps {
    /// This authority's hand.
    pub entries: Arc<Entries>,
    /// Who builds.
    pub builder: Arc<dyn Builder>,
    /// Where inputs come from: this authority's own upstream and ledger.
    pub inputs: Arc<dyn Inputs>,
    /// The other nodes: what the ledger names by digest and is not here comes from them.
    pub peers: Arc<dyn PeerBlobs>,
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
    /// Trying again may help; so many times.
    Again(String),
    /// Others have to bring something first (a file, agreement, an engine): to be looked at again until the stage ends.
    Later(String),
    /// This authority has nothing to say about the round.
    Abstain(String),
}

impl Steps {
    /// Records the inputs and replays them; leaves what the recorder has to say on disk.
    pub async fn record(&self, id: &str, round: &Round) -> Result<(), StepError> {
        self.builder.available().await.map_err(StepError::Again)?;
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
        let inputs = Arc::new(InputsAt {
            inputs: self.inputs.clone(),
            blobs: self.blobs.clone(),
            entries: self.entries.clone(),
            natives: round.natives.clone(),
        });
        let recorded = match self.builder.record(&prepared.job, inputs, self.board.log(id)).await {
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
        let result = match self.replay_manifest(id, round, &prepared, &manifest).await {
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
        // An engine that comes back within the stage is in time; until then this authority has nothing to say.
        self.builder.available().await.map_err(StepError::Later)?;
        let mine = round.recorder() == self.entries.me();
        let manifest = match self.manifest(accepted).await? {
            Ok(manifest) => manifest,
            Err(text) if mine => return Err(StepError::Abstain(text)),
            // Everybody who has these bytes finds the same.
            Err(text) => return self.reject(id, round, &format!("manifest {}", accepted.manifest), &text),
        };
        // The limit of a record here, beside which the tool comes.
        let limit = self.builder.max_input_bytes().saturating_add(MAX_TOOL_BYTES);
        if manifest.total_bytes() > limit {
            let text = format!("the inputs have {} bytes, and {limit} are taken here", manifest.total_bytes());
            return Err(StepError::Abstain(text));
        }
        let prepared = self.prepare(id, round).await.map_err(|error| match error {
            PrepareError::Source(error) => StepError::Again(error.to_string()),
            PrepareError::Specification(text) => StepError::Abstain(text),
            PrepareError::Step(error) => error,
        })?;
        // The recorder's own upstream gave it every line; all others ask theirs.
        if !mine && let Some((line, detail)) = self.checker(round, &prepared.job).contradiction(&manifest).await? {
            return self.reject(id, round, &line.to_string().replace('\t', " "), &detail);
        }
        match self.replay_manifest(id, round, &prepared, &manifest).await {
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

    fn checker(&self, round: &Round, job: &Job) -> Arc<Checker> {
        Arc::new(Checker {
            rules: Rules::new(
                Withheld::of_build(&job.coordinates, &job.source.reactor, &job.specification),
                &job.specification,
                self.builder.tool(&job.specification),
                round.natives.clone(),
                self.entries.state(),
            ),
            // As a record of this job would have seen them: metadata is cut in the same way.
            inputs: self.builder.seen_by(job, self.inputs.clone()),
            blobs: self.blobs.clone(),
            peers: self.peers.clone(),
        })
    }

    fn reject(&self, id: &str, round: &Round, line: &str, detail: &str) -> Result<(), StepError> {
        let body = EntryBody::InputsRejected(InputsRejected {
            round: round.key,
            attempt: round.attempt,
            line: entry_text(line),
            detail: entry_text(detail),
        });
        self.board.event(id, "entry", &format!("own sources contradict the recorded inputs: {line}: {detail}"));
        self.keep(REJECTED, round, &body)
    }

    /// Ends this authority's turn to record, after its last try: the next one need not wait for a clock.
    pub fn give_up(&self, round: &Round, trouble: &str) -> Result<(), StepError> {
        self.say_failed(round, RecordFailure::Engine, trouble)
    }

    /// **An authority speaks for a round only when it holds all of the round's files**: the manifest, what it names, and
    /// what it is about to commit to. (The source's archive is no file of the round: it can be made again from the
    /// commit, and its digest is part of the result.)
    pub async fn holds(&self, round: &Round, result: &RoundResult) -> Result<(), StepError> {
        let Some(accepted) = &round.inputs else {
            return Err(StepError::Abstain("the round has no manifest".to_owned()));
        };
        let manifest = self.manifest(accepted).await?.map_err(StepError::Abstain)?;
        let (blobs, result) = (self.blobs.clone(), result.clone());
        let missing = tokio::task::spawn_blocking(move || {
            let inputs = manifest.lines().filter_map(|line| match line.status {
                InputStatus::Found { sha256, size, .. } => Some((sha256, size)),
                InputStatus::Absent | InputStatus::WithheldSelf => None,
            });
            let inputs: Vec<_> = inputs.filter(|(sha256, _)| !blobs.has(sha256)).collect();
            let made = match &result {
                RoundResult::Built(built) => {
                    let files = built.files.iter().filter_map(|file| file.digest);
                    files.chain(built.provenance).find(|sha256| !blobs.has(sha256))
                }
                RoundResult::Failed(_) | RoundResult::Void { .. } => None,
            };
            (inputs, made)
        });
        let (inputs, made) = missing.await.map_err(|error| StepError::Again(error.to_string()))?;
        if let Some(lost) = made {
            return Err(StepError::Abstain(format!("{lost}, which this authority built, is no longer in its store")));
        }
        for (sha256, size) in inputs {
            self.peers.ensure(&sha256, size).await.map_err(StepError::Later)?;
        }
        Ok(())
    }

    /// Forgets the source of a round that is over, and what was kept to be said in it.
    pub async fn forget(&self, round: &Round) {
        if let Some(source) = self.sources.lock().await.remove(&round.key) {
            let _ = std::fs::remove_file(&source.archive);
        }
        let (entries, key) = (self.entries.clone(), round.key);
        let attempts = round.first_attempt..=round.attempt;
        let work =
            move || attempts.into_iter().for_each(|attempt| entries.forget(&key, attempt, &[RECORDED, REJECTED]));
        if let Err(error) = tokio::task::spawn_blocking(work).await {
            tracing::warn!(%error, "what a round kept could not be dropped");
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

    async fn replay_manifest(
        &self,
        id: &str,
        round: &Round,
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
                .any(|made| built.asked.contains(made));
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
        let run = provenance::Run {
            builder: authority_builder(&self.entries.me()),
            invocation: Some(format!("{}/{}/{}", self.entries.network(), round.key, round.attempt)),
            image: None,
        };
        let statement = provenance::statement(job, manifest, &assessment, run);
        let provenance = self
            .blobs
            .put_bytes(self.entries.sign_provenance(&statement).to_json().as_bytes())
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
