//! `devnet`: several authorities and one plain node on this machine, each a process with its own data directory and keys.
//!
//! What the network is lies in its folder ([`layout`]), so that `up` after `down` goes on with the same ledger. Processes are
//! known by id and start time ([`process`]): nothing else is ever ended.

mod layout;
pub mod process;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use pyrsia_api_types::{PeerList, Status};
use serde::Serialize;

use self::layout::{Devnet, Member};
use self::process::Processes;
use crate::cli::{DevnetCommand, DevnetUpArgs, Global};
use crate::client::Client;
use crate::context::Context;
use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::{known_nodes, terminal};

/// How long the nodes may take to serve and to find each other.
const START: Duration = Duration::from_secs(120);
/// How long a node may take to end.
const STOP: Duration = Duration::from_secs(40);
/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(100);

/// Runs the command.
pub async fn run(global: &Global, command: &DevnetCommand) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    match command {
        DevnetCommand::Up(args) => up(global, &context, args).await,
        DevnetCommand::Down { dir, purge } => down(&context, &folder(&context, dir.as_deref())?, *purge).await,
        DevnetCommand::Status { dir } => status(global, &folder(&context, dir.as_deref())?).await,
    }
}

fn folder(context: &Context, named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let folder = named.map_or_else(|| context.data.join("devnet"), Path::to_path_buf);
    std::path::absolute(&folder).with_context(|| format!("{} is no path", folder.display()))
}

async fn up(global: &Global, context: &Context, args: &DevnetUpArgs) -> anyhow::Result<Exit> {
    let dir = folder(context, args.dir.as_deref())?;
    let devnet = match Devnet::read(&dir)? {
        Some(devnet) => devnet,
        None => {
            let devnet = layout::create(&dir, context, args).await?;
            terminal::note(&format!(
                "made network {} with {} authorities in {}",
                devnet.genesis.network_id(),
                devnet.genesis.authorities.len(),
                dir.display()
            ));
            devnet
        }
    };
    let mut processes = Processes::read(&dir)?;
    for member in devnet.members() {
        if processes.is_running(&member.name) {
            continue;
        }
        processes.start(&dir, member, args.exit_with_process)?;
    }
    let started = Instant::now();
    for member in devnet.members() {
        wait_until_it_serves(&dir, member, &processes, started).await?;
    }
    let plain = &devnet.plain;
    wait_until_they_are_connected(&devnet, started).await?;
    // Whoever starts the network operates all of it: commands find each node by its address alone.
    for member in devnet.members() {
        let token = DataDir::new(&member.data_dir(&dir))?.api_token()?;
        known_nodes::remember(&context.data, &member.url, &token, &devnet.genesis)?;
    }
    if global.json {
        terminal::json(&documents(&dir, &devnet, &processes).await)?;
    } else {
        for member in devnet.members() {
            terminal::line(&format!("{:<6} {}", member.name, member.url));
        }
        terminal::line(&format!("ready: Maven repository {}/maven2/", plain.url));
    }
    Ok(Exit::Done)
}

async fn wait_until_it_serves(
    dir: &Path,
    member: &Member,
    processes: &Processes,
    started: Instant,
) -> anyhow::Result<()> {
    let client = Client::new(&member.url, None)?;
    loop {
        if member.ready_file(dir).exists() && client.get::<Status>("/api/v1/status").await.is_ok() {
            return Ok(());
        }
        let log = member.log_file(dir);
        ensure!(
            processes.is_running(&member.name),
            "{} ended at its start; the end of {}:\n{}",
            member.name,
            log.display(),
            layout::last_lines(&log, 15)
        );
        ensure!(
            started.elapsed() < START,
            "{} does not serve after {} s; see {}",
            member.name,
            START.as_secs(),
            log.display()
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// Ready is when every node is connected to every authority.
async fn wait_until_they_are_connected(devnet: &Devnet, started: Instant) -> anyhow::Result<()> {
    for member in devnet.members() {
        let client = Client::new(&member.url, None)?;
        loop {
            let peers: PeerList = client.get("/api/v1/peers").await?;
            let known = |peer: &&pyrsia_api_types::Peer| {
                peer.authority.is_some() && matches!(peer.state.as_str(), "connected" | "self")
            };
            let connected = peers.peers.iter().filter(known).count();
            if connected >= devnet.genesis.authorities.len() {
                break;
            }
            ensure!(
                started.elapsed() < START,
                "{} is connected to {connected} of {} authorities after {} s",
                member.name,
                devnet.genesis.authorities.len(),
                START.as_secs()
            );
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}

async fn down(context: &Context, dir: &Path, purge: bool) -> anyhow::Result<Exit> {
    let devnet = Devnet::read(dir)?;
    if let Some(devnet) = &devnet {
        for member in devnet.members() {
            known_nodes::forget(&context.data, &member.url)?;
        }
    }
    let mut processes = Processes::read(dir)?;
    let running = processes.stop_all(dir, STOP).await?;
    if let Some(devnet) = &devnet {
        layout::remove_runtime_dirs(dir, devnet)?;
    }
    terminal::note(&format!("{running} processes ended"));
    if purge && dir.exists() {
        let Some(devnet) = &devnet else {
            anyhow::bail!("{} holds no devnet; nothing was removed", dir.display());
        };
        layout::remove(dir, devnet)?;
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Document {
    dir: String,
    network: String,
    nodes: Vec<NodeDocument>,
}

#[derive(Serialize)]
struct NodeDocument {
    name: String,
    role: &'static str,
    url: String,
    data_dir: String,
    pid: Option<i32>,
    peers: Option<u64>,
    log_size: Option<u64>,
    log_root: Option<String>,
}

async fn documents(dir: &Path, devnet: &Devnet, processes: &Processes) -> Document {
    let mut nodes = Vec::new();
    for member in devnet.members() {
        let status = match Client::new(&member.url, None) {
            Ok(client) if processes.is_running(&member.name) => client.get::<Status>("/api/v1/status").await.ok(),
            _ => None,
        };
        nodes.push(NodeDocument {
            name: member.name.clone(),
            role: if member.name == devnet.plain.name { "node" } else { "authority" },
            url: member.url.clone(),
            data_dir: member.data_dir(dir).display().to_string(),
            pid: processes.pid(&member.name),
            peers: status.as_ref().map(|status| status.peers),
            log_size: status.as_ref().map(|status| status.log.size),
            log_root: status.map(|status| status.log.root),
        });
    }
    Document { dir: dir.display().to_string(), network: devnet.genesis.network_id().to_string(), nodes }
}

async fn status(global: &Global, dir: &Path) -> anyhow::Result<Exit> {
    let Some(devnet) = Devnet::read(dir)? else {
        anyhow::bail!("{} holds no devnet; make one with `pyrsia-maven devnet up`", dir.display());
    };
    let processes = Processes::read(dir)?;
    let document = documents(dir, &devnet, &processes).await;
    if global.json {
        terminal::json(&document)?;
        return Ok(Exit::Done);
    }
    for node in &document.nodes {
        let state = match (node.pid, node.log_size, &node.log_root, node.peers) {
            (Some(_), Some(size), Some(root), Some(peers)) => {
                format!("{peers} peers, log {size}, root {}", root.get(..12).unwrap_or(root))
            }
            (Some(pid), ..) => format!("process {pid} does not answer"),
            (None, ..) => "not running".to_owned(),
        };
        terminal::line(&format!("{:<6} {:<28} {}", node.name, node.url, terminal::plain(&state)));
    }
    Ok(Exit::Done)
}
