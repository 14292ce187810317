//! The builder as the rest of the product sees it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use build_spec::{
    BuildError, BuildLog, Builder, Built, Input, InputError, InputLine, InputManifest, InputStatus, Inputs, Job,
    ManifestBlobs, Phase, Recorded, RepositoryId, Source, SourceError, SourceRequest, Tool,
};
use tokio::sync::OnceCell;

use crate::config::{JavaBuilderConfig, bytes};
use crate::engine::Engine;
use crate::far_end::{Answers, Recorder, Replayer, Routes, Withheld};
use crate::maven::{self, Distribution};
use crate::sandbox::{self, Plan, Runtime, Slots, local};
use crate::{far_end, source};

/// How often, and with which pause, the engine is asked whether the containers of dropped builds are gone.
const SETTLE_TRIES: usize = 50;
const SETTLE_PAUSE: Duration = Duration::from_millis(200);

/// Rebuilds Maven projects in containers.
///
/// Making one touches nothing; the engine is contacted, and what killed processes left is swept, by the first call
/// that needs it. A restarted engine is found again by the next call.
#[derive(Debug)]
pub struct JavaBuilder {
    config: JavaBuilderConfig,
    slots: Slots,
    runtime: OnceCell<Runtime>,
}

impl JavaBuilder {
    /// A builder with these settings.
    pub fn new(config: JavaBuilderConfig) -> Self {
        let slots = Slots::new(config.slots_dir.clone(), config.slots);
        Self { config, slots, runtime: OnceCell::new() }
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

    async fn connect(&self) -> Result<(Engine, &Runtime), BuildError> {
        let engine = self.engine().await.map_err(|error| BuildError::Engine(error.line()))?;
        let open = || async {
            let runtime =
                Runtime::open(&self.config.runtime_dir).map_err(local("the runtime folder cannot be used"))?;
            match runtime.sweep(&engine).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "removed containers of processes that are gone"),
                Err(error) => tracing::warn!(error = %error.line(), "containers could not be swept"),
            }
            Ok::<_, BuildError>(runtime)
        };
        let runtime = self.runtime.get_or_try_init(open).await?;
        Ok((engine, runtime))
    }

    async fn build(
        &self,
        job: &Job,
        phase: Phase,
        tool: PathBuf,
        answers: Arc<dyn Answers>,
        log: Arc<dyn BuildLog>,
    ) -> Result<Built, BuildError> {
        let (engine, runtime) = self.connect().await?;
        let image = engine.image(&job.image).await.map_err(|error| BuildError::Engine(error.line()))?;
        let Some(image) = image else {
            return Err(BuildError::Engine(format!("image {} is not loaded into the container engine", job.image)));
        };
        if image.config.jdk != job.specification.jdk {
            return Err(BuildError::Unsupported(format!(
                "image {} has JDK {}, the specification asks for JDK {}",
                job.image, image.config.jdk, job.specification.jdk
            )));
        }
        let waiting = || log.line(phase, "waiting for a free build slot");
        let _slot = self.slots.acquire(waiting).await.map_err(local("the build slots cannot be used"))?;
        let plan = Plan { job, phase, image, tool, answers };
        sandbox::run(&engine, runtime, &self.config.limits, plan, Arc::clone(&log)).await
    }
}

/// Which distribution the job asks for.
fn distribution(job: &Job) -> Result<Distribution, BuildError> {
    sandbox::check(&job.specification)?;
    let Tool::Maven(version) = &job.specification.tool else {
        return Err(BuildError::Unsupported(format!("this builder does not know {}", job.specification.tool)));
    };
    Distribution::of(version).ok_or_else(|| {
        let known: Vec<_> = maven::versions().collect();
        BuildError::Unsupported(format!("Maven {version} is not pinned here; known are {}", known.join(", ")))
    })
}

/// A build must not have been given what it was to make.
fn check_inputs_are_not_outputs(manifest: &InputManifest, built: &Built) -> Result<(), BuildError> {
    let mut inputs = std::collections::HashMap::new();
    for line in manifest.lines() {
        if let InputStatus::Found { sha256, .. } = line.status {
            inputs.entry(sha256).or_insert(line.path);
        }
    }
    let same = built.files.iter().find_map(|file| inputs.get(&file.digests.sha256));
    match same {
        Some(path) => Err(BuildError::InputIsOutput(path.to_string())),
        None => Ok(()),
    }
}

#[async_trait]
impl Builder for JavaBuilder {
    async fn resolve(&self, request: &SourceRequest, log: Arc<dyn BuildLog>) -> Result<Source, SourceError> {
        source::resolve(&self.config, request, log).await
    }

    async fn record(&self, job: &Job, inputs: Arc<dyn Inputs>, log: Arc<dyn BuildLog>) -> Result<Recorded, BuildError> {
        let distribution = distribution(job)?;
        let central = RepositoryId::central();
        let (tool, line) = match inputs.get(&central, &distribution.path).await {
            Ok(Input::Found { file, digests }) if distribution.is(&digests) => {
                let status = InputStatus::Found { size: digests.size, sha256: digests.sha256 };
                (file, InputLine { repository: central, path: distribution.path.clone(), status })
            }
            Ok(Input::Found { .. }) => {
                let problem = format!("{} is not the pinned distribution", distribution.path);
                return Err(BuildError::InputsUnavailable(problem));
            }
            Ok(Input::Absent) => return Err(BuildError::InputsUnavailable(distribution.path.to_string())),
            Err(InputError::UnknownRepository(id)) => return Err(BuildError::InputsUnavailable(id)),
            Err(error) => return Err(BuildError::InputsUnavailable(error.to_string())),
        };
        let withheld = Withheld::new(job.coordinates.iter().chain(&job.source.reactor));
        let max_bytes = bytes(self.config.limits.input_mib);
        let recorder = Arc::new(Recorder::new(inputs, Routes::of(&job.specification)?, withheld, max_bytes));
        let answers: Arc<dyn Answers> = recorder.clone();
        let result = match self.build(job, Phase::Record, tool, answers, log).await {
            Ok(built) => Ok(built),
            // The tool's own failure is a result: others must be able to find the same one from the same inputs.
            Err(BuildError::ToolFailed(failure)) => Err(failure),
            Err(error) => return Err(error),
        };
        let mut manifest = recorder.manifest();
        manifest.insert(line)?;
        if let Ok(built) = &result {
            check_inputs_are_not_outputs(&manifest, built)?;
        }
        Ok(Recorded { manifest, result })
    }

    async fn replay(
        &self,
        job: &Job,
        manifest: &InputManifest,
        blobs: Arc<dyn ManifestBlobs>,
        log: Arc<dyn BuildLog>,
    ) -> Result<Built, BuildError> {
        let distribution = distribution(job)?;
        let central = RepositoryId::central();
        let Some(InputStatus::Found { size, sha256 }) = manifest.get(&central, &distribution.path) else {
            return Err(BuildError::Undeclared {
                repository: central.to_string(),
                path: distribution.path.to_string(),
            });
        };
        let withheld = Withheld::new(job.coordinates.iter().chain(&job.source.reactor));
        let own = manifest
            .lines()
            .find(|line| matches!(line.status, InputStatus::Found { .. }) && withheld.covers(&line.path));
        if let Some(line) = own {
            return Err(BuildError::InputIsOutput(line.path.to_string()));
        }
        let Some(tool) = blobs.blob(&sha256).await else {
            return Err(BuildError::InputsUnavailable(format!("{} is not in the store", distribution.path)));
        };
        let digests = far_end::hash(tool.clone(), size, sha256).await.map_err(BuildError::InputsUnavailable)?;
        if !distribution.is(&digests) {
            let problem = format!("{} in the manifest is not the pinned distribution", distribution.path);
            return Err(BuildError::InputsUnavailable(problem));
        }
        let answers = Replayer::new(manifest.clone(), blobs, Routes::of(&job.specification)?);
        // Whether an output is equal to an input is for the caller to find: it is a result that can be attested.
        self.build(job, Phase::Replay, tool, Arc::new(answers), log).await
    }

    async fn available(&self) -> Result<(), String> {
        self.connect().await.map(drop).map_err(|error| error.to_string())
    }

    async fn settle(&self) {
        let Some(runtime) = self.runtime.get() else { return };
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
