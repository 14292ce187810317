//! What an authority rebuilds with.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use build_spec::{Builder, Inputs};
use pyrsia_blobs::BlobStore;
use pyrsia_rebuilds::{Board, Entries, Images, Intake, NoPeers, PeerBlobs, Steps, Worker, sweep};
use pyrsia_repository::Files;

use super::{DEFAULT_MAVEN, WORK, clock, java_config};
use crate::context::Context;
use crate::inputs::RepositoryInputs;
use crate::peering::fetcher::Fetcher;

/// What the rest of the node lends.
pub struct Parts<'a> {
    pub inputs: &'a Arc<dyn Files>,
    pub blobs: &'a BlobStore,
    pub board: &'a Arc<Board>,
    pub entries: &'a Arc<Entries>,
    pub fetcher: Option<Fetcher>,
}

/// Rounds that this machine works on at a time, when nothing else is said.
pub fn one_for_each_processor() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// What takes submissions and works on rounds.
pub struct Rebuilding {
    pub worker: Worker,
    pub intake: Arc<Intake>,
}

/// Puts it together. Whether the container engine answers is asked when there is something to build, not here: it may
/// come later, or go.
pub fn rebuilding(
    context: &Context,
    parts: Parts<'_>,
    builder: Arc<dyn Builder>,
    images: Arc<dyn Images>,
    parallel: usize,
) -> anyhow::Result<Rebuilding> {
    let Parts { inputs, blobs, board, entries, fetcher } = parts;
    let work_dir = context.data.join(WORK);
    sweep(&work_dir);
    std::fs::create_dir_all(&work_dir).with_context(|| format!("cannot create {}", work_dir.display()))?;
    let blobs = Arc::new(blobs.clone());
    // Others mean something else on each machine, so a network has none.
    let others = BTreeMap::new();
    let inputs: Arc<dyn Inputs> = Arc::new(RepositoryInputs {
        files: Some(inputs.clone()),
        others,
        routes: Vec::new(),
        blobs: blobs.clone(),
        java: java_config(context),
    });
    let peers: Arc<dyn PeerBlobs> = match fetcher {
        Some(fetcher) => Arc::new(fetcher),
        None => Arc::new(NoPeers),
    };
    let steps = Arc::new(Steps {
        entries: entries.clone(),
        builder: builder.clone(),
        inputs: inputs.clone(),
        images: images.clone(),
        peers: peers.clone(),
        blobs,
        board: board.clone(),
        work_dir,
        sources: tokio::sync::Mutex::default(),
    });
    let worker = Worker::new(steps, context.config.rounds, parallel, clock());
    let intake =
        Intake::new(builder.clone(), inputs, images.clone(), entries.clone(), board.clone(), DEFAULT_MAVEN.to_owned());
    Ok(Rebuilding { worker, intake })
}
