//! The builder of an authority that has workers: they do what needs a container engine, it does the rest itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use build_spec::{
    BuildError, BuildLog, Builder, Built, Checkout, InputManifest, Inputs, Job, ManifestBlobs, PinnedInput, Recorded,
    RepositoryId, Source, SourceError, SourceRequest, Specification, Withheld,
};
use pyrsia_digest::Sha256;

use crate::hub::Hub;
use crate::messages::{FileRef, Order};
use crate::run::{Asked, Finished, Replay, Work};

/// The manifest of a replay, in the job's folder.
const MANIFEST: &str = "manifest.txt";
/// Bytes of inputs that the worker's builder does not count: the build tool, and files that it asks the times of.
const UNCOUNTED: u64 = 512 << 20;

/// Builds by workers.
///
/// Sources are resolved here, and so are the questions of a record: a worker gets the frozen source and asks for inputs one by
/// one, so that the network and the ledger are seen from one place, and a worker needs no way to either.
pub struct RemoteBuilder {
    here: Arc<dyn Builder>,
    hub: Arc<Hub>,
}

impl RemoteBuilder {
    /// `here`: the builder of this machine, for what needs no engine.
    pub fn new(here: Arc<dyn Builder>, hub: Arc<Hub>) -> Self {
        Self { here, hub }
    }

    async fn work(
        &self,
        job: &Job,
        asked: Option<Asked>,
        replay: Option<(&InputManifest, Arc<dyn ManifestBlobs>)>,
        log: Arc<dyn BuildLog>,
    ) -> Result<Work, BuildError> {
        if job.source.checkout != Checkout::of(&job.specification) {
            let problem = "the source was checked out in another way than the specification asks for";
            return Err(BuildError::Engine(problem.to_owned()));
        }
        let failed = |error: std::io::Error| BuildError::Engine(format!("the build cannot be given out: {error}"));
        let archive = tokio::fs::metadata(&job.source.archive).await.map_err(failed)?.len();
        let mut files = BTreeMap::from([(job.source.tree, job.source.archive.clone())]);
        let mut manifest = None;
        let mut answers = None;
        if let Some((named, blobs)) = replay {
            let text = named.to_text().into_bytes();
            let file = FileRef { sha256: Sha256::of(&text), size: text.len() as u64 };
            let path = job.work_dir.join(MANIFEST);
            tokio::fs::write(&path, text).await.map_err(failed)?;
            files.insert(file.sha256, path);
            manifest = Some(file);
            answers = Some(Replay { inputs: named.files(), blobs });
        }
        let specification = &job.specification;
        let known = |id: &String| {
            let has = |id: RepositoryId| asked.as_ref().is_some_and(|asked| asked.inputs.has(&id));
            id.parse().is_ok_and(has)
        };
        let repositories = specification.repositories.iter().map(|repository| repository.id.clone()).filter(known);
        let order = Order::of(job, archive, repositories.collect(), manifest);
        let withheld = Withheld::of_build(&job.coordinates, &job.source.reactor, specification);
        Ok(Work { order, log, asked, withheld, replay: answers, files, folder: job.work_dir.clone() })
    }
}

#[async_trait]
impl Builder for RemoteBuilder {
    async fn resolve(&self, request: &SourceRequest, log: Arc<dyn BuildLog>) -> Result<Source, SourceError> {
        self.here.resolve(request, log).await
    }

    fn seen_by(&self, job: &Job, inputs: Arc<dyn Inputs>) -> Arc<dyn Inputs> {
        self.here.seen_by(job, inputs)
    }

    fn tool(&self, specification: &Specification) -> Option<PinnedInput> {
        self.here.tool(specification)
    }

    fn max_input_bytes(&self) -> u64 {
        self.here.max_input_bytes()
    }

    async fn record(&self, job: &Job, inputs: Arc<dyn Inputs>, log: Arc<dyn BuildLog>) -> Result<Recorded, BuildError> {
        // As the worker's builder would show them to the build: metadata is cut before it leaves, and once more there, which
        // changes nothing. So each line of the manifest is an answer that was given from here.
        let seen = self.here.seen_by(job, inputs.clone());
        let mut pinned = BTreeMap::new();
        for input in &job.specification.inputs {
            pinned.insert(input.place()?, input.clone());
        }
        let max_bytes = self.here.max_input_bytes().saturating_add(UNCOUNTED);
        let work = self.work(job, Some(Asked { seen, inputs, pinned, max_bytes }), None, log).await?;
        match self.hub.build(work).await? {
            Finished::Recorded(recorded) => Ok(recorded),
            Finished::Replayed(_) => Err(BuildError::Engine("a record became a replay".to_owned())),
        }
    }

    async fn replay(
        &self,
        job: &Job,
        manifest: &InputManifest,
        blobs: Arc<dyn ManifestBlobs>,
        log: Arc<dyn BuildLog>,
    ) -> Result<Built, BuildError> {
        let work = self.work(job, None, Some((manifest, blobs)), log).await?;
        match self.hub.build(work).await? {
            Finished::Replayed(built) => Ok(built),
            Finished::Recorded(_) => Err(BuildError::Engine("a replay became a record".to_owned())),
        }
    }

    /// A worker whose lease is gone drops its build by itself.
    async fn settle(&self) {
        self.here.settle().await;
    }

    async fn available(&self) -> Result<(), String> {
        self.hub.available()
    }
}
