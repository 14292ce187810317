//! `node`: runs a node in the foreground.

use tokio_util::sync::CancellationToken;

use super::devnet::process::start_time;
use crate::asked::Asked;
use crate::builders::MakeBuilders;
use crate::cli::{Global, NodeArgs};
use crate::compose::{compose, write_ready};
use crate::context::Context;
use crate::exit::Exit;
use crate::terminal;

/// Runs the command.
pub async fn run(global: &Global, args: &NodeArgs, builders: MakeBuilders) -> anyhow::Result<Exit> {
    let mut context = Context::load(global)?;
    if let Some(listen) = args.listen {
        context.config.node.listen = listen;
    }
    if args.upstream.is_some() {
        context.config.node.upstream = args.upstream.clone();
    }
    context.config.node.offline |= args.offline;
    for mirror in &args.source_mirror {
        context.config.source_mirrors.insert(mirror.prefix.clone(), mirror.replacement.clone());
    }
    if args.no_builder {
        context.config.builder.enabled = false;
    }
    let stop = CancellationToken::new();
    watch_signals(stop.clone())?;
    if args.exit_with_stdin {
        watch_stdin(stop.clone());
    }
    if let Some(process) = args.exit_with_process {
        tokio::spawn(stop_with(process, stop.clone()));
    }
    let node = compose(&context, builders).await?;
    terminal::note(&format!("Maven repository  http://{}/maven2/", node.address));
    terminal::note(&format!("pages and API     http://{}/", node.address));
    if let Some(address) = node.secure_address() {
        terminal::note(&format!("the same, TLS     https://{address}/"));
    }
    if let Some(url) = node.workers_url() {
        terminal::note(&format!("workers           {url}"));
    }
    for address in node.peer_addresses() {
        terminal::note(&format!("peers             {address}"));
    }
    terminal::note(&format!("rebuilds          {}", node.rebuilds().await));
    if let Some(path) = &args.ready_file {
        write_ready(path, &node)?;
    }
    node.run(stop).await?;
    Ok(Exit::Done)
}

/// Stops when standard input is closed.
pub(super) fn watch_stdin(stop: CancellationToken) {
    // A thread of its own: a blocked read of standard input cannot be cancelled.
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
        stop.cancel();
    });
}

/// Stops when the process is gone, and not for a later one with its id.
async fn stop_with(process: i32, stop: CancellationToken) {
    let start = start_time(process);
    while start.is_some() && start_time(process) == start {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    stop.cancel();
}

pub(super) fn watch_signals(stop: CancellationToken) -> anyhow::Result<()> {
    let mut asked = Asked::listen()?;
    tokio::spawn(async move {
        asked.wait().await;
        stop.cancel();
        asked.wait().await;
        // Whoever asks twice does not want to wait for downloads. What was promised is on disk at any moment.
        terminal::note("ended at once, as asked for a second time");
        std::process::exit(Exit::Failed.code().into());
    });
    Ok(())
}
