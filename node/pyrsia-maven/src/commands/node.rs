//! `node`: runs a node in the foreground.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::cli::{Global, NodeArgs};
use crate::compose::{compose, write_ready};
use crate::context::Context;
use crate::exit::Exit;
use crate::terminal;

/// Runs the command.
pub async fn run(global: &Global, args: &NodeArgs) -> anyhow::Result<Exit> {
    let mut context = Context::load(global)?;
    if let Some(listen) = args.listen {
        context.config.node.listen = listen;
    }
    if args.upstream.is_some() {
        context.config.node.upstream = args.upstream.clone();
    }
    for mirror in &args.source_mirror {
        context.config.source_mirrors.insert(mirror.prefix.clone(), mirror.replacement.clone());
    }
    if args.no_builder {
        context.config.builder.enabled = false;
    }
    let stop = CancellationToken::new();
    watch_signals(stop.clone())?;
    if args.exit_with_stdin {
        let stop = stop.clone();
        // A thread of its own: a blocked read of standard input cannot be cancelled.
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            stop.cancel();
        });
    }
    let node = compose(&context).await?;
    terminal::note(&format!("Maven repository  http://{}/maven2/", node.address));
    terminal::note(&format!("pages and API     http://{}/", node.address));
    match &node.builder {
        Ok(()) => terminal::note("rebuilds          yes"),
        Err(reason) => terminal::note(&format!("rebuilds          no, a plain mirror: {reason}")),
    }
    if let Some(path) = &args.ready_file {
        write_ready(path, node.address)?;
    }
    node.run(stop).await?;
    Ok(Exit::Done)
}

fn watch_signals(stop: CancellationToken) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.cancel();
    });
    Ok(())
}
