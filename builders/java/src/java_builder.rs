//! The builder as the rest of the product sees it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use build_spec::{
    BuildError, BuildLog, Builder, Built, Checkout, Input, InputLine, InputManifest, InputStatus, Inputs, Job,
    ManifestBlobs, Mode, Phase, PinnedInput, Recorded, RepositoryId, Source, SourceError, SourceRequest, Specification,
    Tool, Withheld,
};
use maven_layout::CanonicalRepository;
use pyrsia_digest::Sha256;
use tokio::sync::OnceCell;

use crate::config::{JavaBuilderConfig, bytes};
use crate::engine::Engine;
use crate::extra::Extra;
use crate::far_end::{Answers, Recorder, Replayer, Routes};
use crate::images::{ForeignImage, ImageConfig, LoadedImage, Room};
use crate::maven::Distribution;
use crate::published::AsPublished;
use crate::sandbox::{self, Plan, Runtime, Slots, local};
use crate::source::RemoteTag;
use crate::tool::{BuildTool, check_image};
use crate::{extra, far_end, source};

/// How often, and with which pause, the engine is asked whether the containers of dropped builds are gone.
const SETTLE_TRIES: usize = 50;
const SETTLE_PAUSE: Duration = Duration::from_millis(200);
/// How long an engine may take to say that it is there.
const ENGINE_ANSWERS: Duration = Duration::from_secs(2);

/// Rebuilds Maven and Gradle projects in containers.
///
/// Making one touches nothing, so it can be made before there is an engine. Each call looks for the engine anew: one
/// that is started later, or again, is found by the next. What killed processes left is swept at the first contact.
#[derive(Debug)]
pub struct JavaBuilder {
    config: JavaBuilderConfig,
    slots: Slots,
    on_this_machine: Arc<OnThisMachine>,
    foreign: Option<ForeignImage>,
}

/// What is made at the first contact with an engine that works; each part is tried again until it does.
#[derive(Debug, Default)]
struct OnThisMachine {
    runtime: OnceCell<Runtime>,
    swept: OnceCell<()>,
}

impl OnThisMachine {
    async fn runtime(&self, folder: &Path) -> Result<&Runtime, BuildError> {
        let open = || async { Runtime::open(folder).map_err(local("the runtime folder cannot be used")) };
        self.runtime.get_or_try_init(open).await
    }

    /// Removes, once, what killed processes left. Failing at that hinders no build.
    async fn sweep(&self, engine: &Engine) {
        let Some(runtime) = self.runtime.get() else { return };
        let swept = self.swept.get_or_try_init(|| async {
            let count = runtime.sweep(engine).await?;
            if count > 0 {
                tracing::info!(count, "removed containers of processes that are gone");
            }
            Ok::<_, crate::EngineError>(())
        });
        if let Err(error) = swept.await {
            tracing::warn!(error = %error.line(), "containers could not be swept");
        }
    }
}

impl JavaBuilder {
    /// A builder with these settings.
    pub fn new(config: JavaBuilderConfig) -> Self {
        let slots = Slots::new(config.slots_dir.clone(), config.builds_at_a_time());
        Self { config, slots, on_this_machine: Arc::default(), foreign: None }
    }

    /// Builds in this image instead of one that the job's digest names; jobs then have the digest of its reference. For a
    /// rebuild that somebody runs alone.
    #[must_use]
    pub fn in_foreign_image(self, image: ForeignImage) -> Self {
        Self { foreign: Some(image), ..self }
    }

    /// The settings.
    pub fn config(&self) -> &JavaBuilderConfig {
        &self.config
    }

    /// A connection to the container engine of the settings, for work on images.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`](crate::EngineError::Unreachable).
    pub async fn engine(&self) -> Result<Engine, crate::EngineError> {
        Engine::connect(self.config.engine.as_deref()).await
    }

    /// Which tags a repository has, by its server's own word, through the source map like a clone.
    ///
    /// # Errors
    /// As [`Builder::resolve`] has them for a repository that cannot be cloned.
    pub async fn tags(&self, repository: &CanonicalRepository) -> Result<Vec<RemoteTag>, SourceError> {
        source::tags(&self.config, repository).await
    }

    /// Says whether this builder could build to a specification, the engine aside. What a foreign image has is not known.
    ///
    /// # Errors
    /// [`BuildError::Unsupported`] or [`BuildError::Specification`], with what is missing.
    pub fn check(&self, specification: &Specification) -> Result<(), BuildError> {
        usable(specification)?;
        if self.foreign.is_some() { Ok(()) } else { check_image(specification) }
    }

    async fn connect(&self) -> Result<(Engine, &Runtime), BuildError> {
        let engine = self.engine().await.map_err(|error| BuildError::Engine(error.line()))?;
        let runtime = self.on_this_machine.runtime(&self.config.runtime_dir).await?;
        self.on_this_machine.sweep(&engine).await;
        Ok((engine, runtime))
    }

    /// What the container of a job is made of.
    async fn room(&self, engine: &Engine, job: &Job) -> Result<Room, BuildError> {
        if let Some(ForeignImage { reference, engine_id, java_home }) = &self.foreign {
            if reference.digest() != job.image {
                return Err(BuildError::Engine(format!("the build wants image {}, not {reference}", job.image)));
            }
            if !job.specification.toolchains.is_empty() {
                let text = format!("which JDKs {reference} has for the specification's toolchains is not known");
                return Err(BuildError::Unsupported(text));
            }
            let (engine_id, java_home) = (engine_id.clone(), java_home.clone());
            return Ok(Room { engine_id, java_home, toolchains: Vec::new(), is_foreign: true });
        }
        let image = engine.image(&job.image).await.map_err(|error| BuildError::Engine(error.line()))?;
        let Some(LoadedImage { config, engine_id, .. }) = image else {
            return Err(BuildError::Engine(format!("image {} is not loaded into the container engine", job.image)));
        };
        if config.jdk != job.specification.jdk {
            return Err(BuildError::Unsupported(format!(
                "image {} has JDK {}, the specification asks for JDK {}",
                job.image, config.jdk, job.specification.jdk
            )));
        }
        if let Tool::Gradle(version) = &job.specification.tool
            && job.specification.gradle_distribution().is_none()
            && config.gradle.as_ref() != Some(version)
        {
            let there = config.gradle.as_deref().map_or_else(|| "no Gradle".to_owned(), |own| format!("Gradle {own}"));
            let text = format!("image {} has {there}, the specification asks for Gradle {version}", job.image);
            return Err(BuildError::Unsupported(text));
        }
        let toolchains = toolchains(&config, &job.specification)?;
        Ok(Room { engine_id, java_home: config.java_home, toolchains, is_foreign: false })
    }

    async fn build(
        &self,
        job: &Job,
        phase: Phase,
        tool: Option<PathBuf>,
        extras: Vec<Extra>,
        answers: Arc<dyn Answers>,
        log: Arc<dyn BuildLog>,
    ) -> Result<Built, BuildError> {
        if job.source.checkout != Checkout::of(&job.specification) {
            let problem = "the source was checked out in another way than the specification asks for";
            return Err(BuildError::Engine(problem.to_owned()));
        }
        let (engine, runtime) = self.connect().await?;
        let room = self.room(&engine, job).await?;
        let packed = extra::packed(extras, &job.source.archive, job.source.commit_time, &job.work_dir).await?;
        let inputs = packed.as_ref().map(|file| file.path().to_owned());
        let waiting = || log.line(phase, "waiting for a free build slot");
        let _slot = self.slots.acquire(waiting).await.map_err(local("the build slots cannot be used"))?;
        let plan = Plan { job, phase, room, tool, inputs, answers };
        sandbox::run(&engine, runtime, &self.config.limits, plan, Arc::clone(&log)).await
    }
}

/// The JDKs of the image that a specification wants to be found.
fn toolchains(image: &ImageConfig, specification: &Specification) -> Result<Vec<(u32, String)>, BuildError> {
    let there = image.jdks();
    let find = |wanted: &u32| {
        there.iter().find(|(major, _)| major == wanted).cloned().ok_or_else(|| {
            let text =
                format!("image {} has no JDK {wanted}, which the specification's toolchains ask for", image.name);
            BuildError::Unsupported(text)
        })
    };
    specification.toolchains.iter().map(find).collect()
}

/// What the build of a job must not get.
fn withheld(job: &Job) -> Withheld {
    Withheld::of_build(&job.coordinates, &job.source.reactor, &job.specification)
}

/// The tool of a specification that this builder can build to.
fn usable(specification: &Specification) -> Result<BuildTool, BuildError> {
    specification.check()?;
    BuildTool::wanted(specification)
}

/// The tool of a job; its source is the one that its specification builds.
fn tool_of(job: &Job) -> Result<BuildTool, BuildError> {
    if let Some(wanted) = &job.specification.source_distribution {
        let address = maven_layout::scm::canonical(&wanted.url);
        if !address.is_ok_and(|address| address == job.source.repository) {
            let (source, wanted) = (&job.source.repository, &wanted.url);
            let problem = format!("the specification builds the archive {wanted}, and the source is {source}");
            return Err(BuildError::Unsupported(problem));
        }
    }
    usable(&job.specification)
}

/// A distribution out of the inputs of a record, and the line that says so.
async fn recorded(distribution: &Distribution, inputs: &dyn Inputs) -> Result<(PathBuf, InputLine), BuildError> {
    let central = RepositoryId::central();
    match inputs.get(&central, &distribution.path).await {
        Ok(Input::Found { file, digests, .. }) => {
            let all = match digests.all() {
                Some(all) => all,
                None => far_end::hash(file.clone(), digests.size, digests.sha256)
                    .await
                    .map_err(BuildError::InputsUnavailable)?,
            };
            if !distribution.is(&all) {
                let problem = format!("{} is not the pinned distribution", distribution.path);
                return Err(BuildError::InputsUnavailable(problem));
            }
            let status = InputStatus::Found { size: digests.size, sha256: digests.sha256, cut: false };
            Ok((file, InputLine { repository: central, path: distribution.path.clone(), status }))
        }
        Ok(Input::Absent) => Err(BuildError::InputsUnavailable(distribution.path.to_string())),
        Err(error) => Err(far_end::not_had(error)),
    }
}

/// The distribution that a manifest names.
async fn replayed(
    distribution: &Distribution,
    manifest: &InputManifest,
    blobs: &dyn ManifestBlobs,
) -> Result<PathBuf, BuildError> {
    let central = RepositoryId::central();
    let Some(InputStatus::Found { size, sha256, .. }) = manifest.get(&central, &distribution.path) else {
        return Err(BuildError::Undeclared { repository: central.to_string(), path: distribution.path.to_string() });
    };
    let Some(tool) = blobs.blob(&sha256).await else {
        return Err(BuildError::InputsUnavailable(format!("{} is not in the store", distribution.path)));
    };
    let digests = far_end::hash(tool.clone(), size, sha256).await.map_err(BuildError::InputsUnavailable)?;
    if !distribution.is(&digests) {
        let problem = format!("{} in the manifest is not the pinned distribution", distribution.path);
        return Err(BuildError::InputsUnavailable(problem));
    }
    Ok(tool)
}

#[async_trait]
impl Builder for JavaBuilder {
    async fn resolve(&self, request: &SourceRequest, log: Arc<dyn BuildLog>) -> Result<Source, SourceError> {
        source::resolve(&self.config, request, log).await
    }

    fn seen_by(&self, job: &Job, inputs: Arc<dyn Inputs>) -> Arc<dyn Inputs> {
        match job.mode {
            Mode::Native => inputs,
            Mode::Upstream => Arc::new(AsPublished::new(inputs, job.coordinates.clone(), withheld(job))),
        }
    }

    fn tool(&self, specification: &Specification) -> Option<PinnedInput> {
        let Tool::Maven(version) = &specification.tool else { return None };
        Distribution::of(version).map(|pinned| PinnedInput { path: pinned.path, sha512: pinned.sha512 })
    }

    fn max_input_bytes(&self) -> u64 {
        bytes(self.config.limits.input_mib)
    }

    async fn record(&self, job: &Job, inputs: Arc<dyn Inputs>, log: Arc<dyn BuildLog>) -> Result<Recorded, BuildError> {
        let (build_tool, routes) = (tool_of(job)?, Routes::of(&job.specification)?);
        if let Some(missing) = routes.missing(&*inputs) {
            return Err(BuildError::InputsUnavailable(missing.to_string()));
        }
        let (tool, line) = match build_tool.distribution() {
            Some(distribution) => {
                let (tool, line) = recorded(distribution, &*inputs).await?;
                (Some(tool), Some(line))
            }
            None => (None, None),
        };
        let mut left = self.max_input_bytes();
        let (extras, extra_lines) = extra::recorded(&job.specification, &*inputs, &mut left, &*log).await?;
        let inputs = self.seen_by(job, inputs);
        let withheld = withheld(job);
        let recorder = Arc::new(Recorder::new(inputs, routes, withheld, left));
        let answers: Arc<dyn Answers> = recorder.clone();
        let result = match self.build(job, Phase::Record, tool, extras, answers, log).await {
            Ok(built) => Ok(built),
            // The tool's own failure is a result: others must be able to find the same one from the same inputs.
            Err(BuildError::ToolFailed(failure)) => Err(failure),
            Err(error) => return Err(error),
        };
        let mut manifest = recorder.manifest();
        for line in line.into_iter().chain(extra_lines) {
            manifest.insert(line)?;
        }
        // Whether an input is equal to an output is for the caller to find, from the replay.
        Ok(Recorded { manifest, result })
    }

    async fn replay(
        &self,
        job: &Job,
        manifest: &InputManifest,
        blobs: Arc<dyn ManifestBlobs>,
        log: Arc<dyn BuildLog>,
    ) -> Result<Built, BuildError> {
        let tool = match tool_of(job)?.distribution() {
            Some(distribution) => Some(replayed(distribution, manifest, &*blobs).await?),
            None => None,
        };
        let extras = extra::replayed(&job.specification, manifest, &*blobs).await?;
        let placed: Vec<Sha256> = extras.iter().map(|extra| extra.sha256).collect();
        let withheld = withheld(job);
        // The path of a single file is one in the source, and says nothing about a release.
        let own = manifest
            .lines()
            .filter(|line| line.repository != RepositoryId::inputs())
            .find(|line| matches!(line.status, InputStatus::Found { .. }) && withheld.covers(&line.path));
        if let Some(line) = own {
            return Err(BuildError::InputIsOutput(line.path.to_string()));
        }
        let answers = Arc::new(Replayer::new(manifest.clone(), blobs, Routes::of(&job.specification)?));
        // Whether an output is equal to an input is again for the caller: it is a result that can be attested.
        let mut built = self.build(job, Phase::Replay, tool, extras, answers.clone(), log).await?;
        built.asked = answers.asked();
        built.asked.extend(placed);
        Ok(built)
    }

    async fn available(&self) -> Result<(), String> {
        let engine = Engine::connect_within(self.config.engine.as_deref(), ENGINE_ANSWERS).await;
        let engine = engine.map_err(|error| error.line())?;
        self.on_this_machine.runtime(&self.config.runtime_dir).await.map_err(|error| error.to_string())?;
        if !self.on_this_machine.swept.initialized() {
            // The first contact. However much there is to remove, who asks does not wait for it.
            let on_this_machine = Arc::clone(&self.on_this_machine);
            tokio::spawn(async move { on_this_machine.sweep(&engine).await });
        }
        Ok(())
    }

    async fn settle(&self) {
        let Some(runtime) = self.on_this_machine.runtime.get() else { return };
        let Ok(engine) = self.engine().await else { return };
        let own = |list: Vec<(String, String)>| list.into_iter().filter(|(_, owner)| owner == runtime.owner());
        for _ in 0..SETTLE_TRIES {
            let left: Vec<String> = match engine.containers().await {
                Ok(list) => own(list).map(|(id, _)| id).collect(),
                Err(error) => {
                    tracing::warn!(error = %error.line(), "containers could not be listed");
                    return;
                }
            };
            if left.is_empty() {
                return;
            }
            for id in left {
                // The guard of the dropped build may be faster; either way the list says when it is gone.
                let _ = engine.remove_container(&id).await;
            }
            tokio::time::sleep(SETTLE_PAUSE).await;
        }
    }
}
