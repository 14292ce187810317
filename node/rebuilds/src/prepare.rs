//! Everything that a build of a round needs before it can start.

use std::sync::Arc;

use async_trait::async_trait;
use build_spec::{
    Checkout, ExtraInput, Input, InputError, Inputs, Job, MAX_MANIFEST_BYTES, Mode, RepositoryId, RunId, Source,
    SourceError, SourceRequest, Specification,
};
use maven_layout::{Coordinates, RepoPath};
use pyrsia_blobs::BlobStore;
use pyrsia_ledger::{Inputs as InputsEntry, Mode as LedgerMode, Natives, Round};

use crate::check::{Mine, Native, native};
use crate::entries::Entries;
use crate::pom_chain::{PomChain, PomChainError, pom_chains};
use crate::steps::{StepError, Steps};

/// Sources that are kept resolved; the oldest make room.
const MAX_SOURCES: usize = 16;

/// A job, ready to run, with what is known about the release.
pub(crate) struct Prepared {
    pub(crate) job: Job,
    pub(crate) chain: Option<PomChain>,
    _folder: tempfile::TempDir,
}

/// Why a job could not be prepared.
pub(crate) enum PrepareError {
    Source(SourceError),
    Specification(String),
    Step(StepError),
}

/// The inputs of a record: native files as the ledger had them at the request, all else as ever.
pub(crate) struct InputsAt {
    pub(crate) inputs: Arc<dyn Inputs>,
    pub(crate) blobs: Arc<BlobStore>,
    pub(crate) entries: Arc<Entries>,
    pub(crate) natives: Natives,
}

#[async_trait]
impl Inputs for InputsAt {
    fn has(&self, repository: &RepositoryId) -> bool {
        self.inputs.has(repository)
    }

    async fn pinned(&self, input: &ExtraInput) -> Result<Input, InputError> {
        self.inputs.pinned(input).await
    }

    async fn get(&self, repository: &RepositoryId, path: &RepoPath) -> Result<Input, InputError> {
        let unavailable = |problem: String| InputError::Unavailable {
            repository: repository.to_string(),
            path: path.to_string(),
            problem,
        };
        let sha256 = match native(&self.natives, &self.entries.state(), path).map_err(unavailable)? {
            None => return self.inputs.get(repository, path).await,
            // As it was at the request: nobody has to cut it again.
            Some(Native { document: Some(document), .. }) => {
                return Ok(self.inputs.keep(&document).await?.already_cut());
            }
            Some(Native { mine: Mine::Absent, .. }) => return Ok(Input::Absent),
            Some(Native { mine: Mine::Found { sha256, .. }, .. }) => sha256,
        };
        if let Input::Found { file, digests, last_modified, cut } = self.inputs.get(repository, path).await?
            && digests.sha256 == sha256
        {
            return Ok(Input::Found { file, digests, last_modified, cut });
        }
        // Withdrawn since: it was there for this build all the same.
        let blobs = Arc::clone(&self.blobs);
        let held = tokio::task::spawn_blocking(move || {
            let digests = blobs.verify(&sha256).ok()?;
            Some(Input::found(blobs.get(&sha256)?, digests))
        });
        let held = held.await.map_err(|error| unavailable(error.to_string()))?;
        held.ok_or_else(|| unavailable(format!("the ledger had {sha256} at the request, which is not here")))
    }

    async fn keep(&self, document: &[u8]) -> Result<Input, InputError> {
        self.inputs.keep(document).await
    }
}

impl Steps {
    pub(crate) async fn prepare(&self, id: &str, round: &Round) -> Result<Prepared, PrepareError> {
        let request = &round.request;
        let abstain = |text: String| PrepareError::Step(StepError::Abstain(text));
        let again = |text: String| PrepareError::Step(StepError::Again(text));
        if request.profile != self.entries.profile().digest() {
            return Err(abstain("the request names a sandbox profile that this program does not have".to_owned()));
        }
        if request.comparator != jar_compare::COMPARATOR_VERSION {
            return Err(abstain("the request names a comparator that this program does not have".to_owned()));
        }
        // What is known already saves a second clone; else the specification in the commit decides.
        let known = self.entries.specification(&request.specification).map_err(again)?;
        let source = self.source(id, round, known.as_ref().map(Checkout::of)).await.map_err(PrepareError::Source)?;
        let specification = self.specification(round, &source).await?;
        let wanted = Checkout::of(&specification);
        let source = match source.checkout == wanted {
            true => source,
            false => self.source(id, round, Some(wanted)).await.map_err(PrepareError::Source)?,
        };
        self.images.ensure(&request.image).await.map_err(again)?;
        let mode = match request.mode {
            LedgerMode::Native => Mode::Native,
            LedgerMode::Upstream => Mode::Upstream,
        };
        let chain = match mode {
            Mode::Native => None,
            Mode::Upstream => Some(self.chain(&request.coordinates).await?),
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

    async fn chain(&self, releases: &[Coordinates]) -> Result<PomChain, PrepareError> {
        pom_chains(&*self.inputs, releases).await.map_err(|error| match error {
            PomChainError::Input(_) | PomChainError::Read(..) => {
                PrepareError::Step(StepError::Again(error.to_string()))
            }
            _ => PrepareError::Source(SourceError::Local(error.to_string())),
        })
    }

    /// Without a checkout that of the specification in the commit, or the default.
    async fn source(&self, id: &str, round: &Round, checkout: Option<Checkout>) -> Result<Source, SourceError> {
        if let Some(source) = self.sources.lock().await.get(&round.key)
            && source.archive.exists()
            && source.tag == round.request.tag
            && checkout.is_none_or(|wanted| source.checkout == wanted)
        {
            return Ok(source.clone());
        }
        let request = SourceRequest {
            coordinates: round.request.coordinates.clone(),
            repository: round.request.repository.clone(),
            tag: round.request.tag.clone(),
            commit: Some(round.request.commit.to_string()),
            checkout,
        };
        self.board.event(id, "source", &format!("{} at {}", request.repository, round.request.commit));
        let source = self.builder.resolve(&request, self.board.log(id)).await?;
        let mut sources = self.sources.lock().await;
        while sources.len() >= MAX_SOURCES {
            if let Some((_, evicted)) = sources.pop_first() {
                let _ = std::fs::remove_file(&evicted.archive);
            }
        }
        if let Some(other) = sources.insert(round.key, source.clone()) {
            // Of another checkout or tag, or it is gone already.
            let _ = std::fs::remove_file(&other.archive);
        }
        Ok(source)
    }

    /// **Native: the specification in the commit; upstream: a structured one, or one that a quorum has approved.**
    async fn specification(&self, round: &Round, source: &Source) -> Result<Specification, PrepareError> {
        let wanted = round.request.specification;
        let committed = source.specification.clone().filter(|committed| committed.digest() == wanted);
        if round.request.mode == LedgerMode::Native {
            return committed.ok_or_else(|| {
                PrepareError::Specification(format!("commit {} does not hold specification {wanted}", source.commit))
            });
        }
        let again = |text: String| PrepareError::Step(StepError::Again(text));
        let kept = match committed {
            Some(committed) => Some(committed),
            None => self.entries.specification(&wanted).map_err(again)?,
        };
        let specification = match kept {
            Some(kept) => kept,
            None => {
                let theirs = self.peers.specification(&wanted).await.filter(|theirs| theirs.digest() == wanted);
                let theirs = theirs.ok_or_else(|| {
                    let text = format!("specification {wanted} is not known here, and no peer has shown it");
                    PrepareError::Step(StepError::Later(text))
                })?;
                self.entries.keep_specification(&theirs).map_err(again)?;
                theirs
            }
        };
        match specification.structured() {
            Err(free) if !self.entries.state().is_specification_approved(&wanted) => {
                Err(PrepareError::Specification(free.to_string()))
            }
            _ => Ok(specification),
        }
    }

    /// The accepted manifest: from the store, else from peers. A sentence if its bytes are not what the entry says.
    pub(crate) async fn manifest(
        &self,
        accepted: &InputsEntry,
    ) -> Result<Result<build_spec::InputManifest, String>, StepError> {
        if !self.blobs.has(&accepted.manifest) {
            let missing = |text: String| StepError::Later(format!("the recorded inputs cannot be had yet: {text}"));
            self.peers.ensure(&accepted.manifest, MAX_MANIFEST_BYTES as u64).await.map_err(missing)?;
        }
        let bytes =
            self.blobs.read_verified(&accepted.manifest).map_err(|error| StepError::Later(error.to_string()))?;
        if bytes.len() > MAX_MANIFEST_BYTES {
            return Ok(Err("the manifest is too large".to_owned()));
        }
        let parsed = String::from_utf8(bytes).map_err(|error| error.to_string());
        let parsed = parsed.and_then(|text| build_spec::InputManifest::parse(&text).map_err(|error| error.to_string()));
        Ok(parsed.and_then(|manifest| {
            let described = manifest.root() == accepted.manifest_root
                && manifest.len() == accepted.lines as usize
                && manifest.total_bytes() == accepted.total_bytes;
            described
                .then_some(manifest)
                .ok_or_else(|| "the manifest is not the one that the entry describes".to_owned())
        }))
    }
}
