//! `worker`: takes builds of an authority and runs them here.

use std::sync::Arc;

use anyhow::Context as _;
use pyrsia_blobs::BlobStore;
use pyrsia_http::Token;
use tokio_util::sync::CancellationToken;

use super::node::{watch_signals, watch_stdin};
use crate::builders::{Builders, MakeBuilders, Surroundings};
use crate::cli::{Global, WorkerArgs};
use crate::compose::{WORK, java_config};
use crate::context::Context;
use crate::exit::Exit;
use crate::terminal;
use crate::worker::{Bench, Cache, Link, Worker, instance};

/// Folder of what builds were given.
const CACHE: &str = "worker-inputs";

/// Runs the command.
pub async fn run(global: &Global, args: &WorkerArgs, make_builders: MakeBuilders) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    let data = &context.data;
    let _lock = data.lock()?;
    let about = || format!("{}", args.token_file.display());
    let token = std::fs::read_to_string(&args.token_file).with_context(about)?.trim().to_owned();
    Token::new(&token).with_context(about)?;
    let ca = args.ca.as_ref().map(|file| std::fs::read(file).with_context(|| format!("{}", file.display())));
    let link = Arc::new(Link::new(&args.authority, token, ca.transpose()?.as_deref())?);

    let work_dir = data.join(WORK);
    pyrsia_rebuilds::sweep(&work_dir);
    std::fs::create_dir_all(&work_dir).with_context(|| format!("cannot create {}", work_dir.display()))?;
    let java = java_config(&context);
    let slots = args.slots.map_or_else(|| java.builds_at_a_time(), usize::from);
    let surroundings = Surroundings { data_dir: data.root().to_owned(), images_dir: context.images_dir(), java };
    let Builders { builder, images, image_store, .. } = make_builders(surroundings)?;
    if let Some(store) = &image_store {
        store.set_peers(link.clone());
    }
    let cache = Cache::new(BlobStore::open(data.join(CACHE))?, args.cache_gib.saturating_mul(1 << 30));
    let bench = Bench { link: link.clone(), builder, images, cache, work_dir };
    let worker = Worker { link, bench, images: image_store, instance: instance()? };

    let stop = CancellationToken::new();
    watch_signals(stop.clone())?;
    if args.exit_with_stdin {
        watch_stdin(stop.clone());
    }
    terminal::note(&format!("worker {} of {}: {slots} builds at a time", worker.instance, args.authority));
    worker.run(slots, stop).await?;
    Ok(Exit::Done)
}
