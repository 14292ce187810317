//! `network`, `authority`, `config show`, `completions`.

use anyhow::Context as _;
use pyrsia_ledger::{Authority, Constants};

use crate::cli::{Global, NetworkInitArgs, NetworkJoinArgs};
use crate::client::Client;
use crate::config::{Config, FILE_NAME};
use crate::context::Context;
use crate::data_dir::write_atomically;
use crate::exit::Exit;
use crate::network_file::{AuthorityKeys, Identity};
use crate::{network_file, terminal};

/// `network show`: the node's network document, byte for byte.
pub async fn show(global: &Global) -> anyhow::Result<Exit> {
    let client = Client::new(&global.node, None)?;
    let bytes = client.find_bytes("/api/v1/network").await?.context("the node has no network document")?;
    let document: serde_json::Value = serde_json::from_slice(&bytes).context("the network document is no JSON")?;
    terminal::json(&document)?;
    Ok(Exit::Done)
}

/// `network init`: the genesis of a new network, from what its authorities say of themselves.
pub fn init(args: &NetworkInitArgs) -> anyhow::Result<Exit> {
    let authorities = args.authority.iter().map(|path| {
        let shown = path.display();
        let bytes = std::fs::read(path).with_context(|| format!("cannot read {shown}"))?;
        serde_json::from_slice::<Authority>(&bytes)
            .with_context(|| format!("{shown} is not what `pyrsia-maven authority show` prints"))
    });
    let authorities = authorities.collect::<anyhow::Result<Vec<_>>>()?;
    let constants = Constants { mirrored_sources_count: args.mirrored_sources_count, ..Constants::default() };
    let genesis = network_file::genesis(&args.name, authorities, constants)?;
    match &args.output {
        Some(path) => write_atomically(path, &serde_json::to_vec_pretty(&genesis)?)?,
        None => terminal::json(&genesis)?,
    }
    let committee = genesis.committee();
    terminal::note(&format!(
        "network {} ({}): {} authorities, {} must agree; give the file to everybody who joins",
        genesis.network_id(),
        genesis.name,
        committee.size(),
        committee.quorum()
    ));
    Ok(Exit::Done)
}

/// `network join`: this data directory's node is part of the network from its next start on.
pub fn join(global: &Global, args: &NetworkJoinArgs) -> anyhow::Result<Exit> {
    let mut context = Context::load(global)?;
    let genesis = network_file::read(&args.file)?;
    let _lock = context.data.lock()?;
    network_file::join(&context.data, &genesis)?;
    let network = &mut context.config.network;
    let add = |list: &mut Vec<String>, more: &[String]| {
        let new = more.iter().filter(|address| !list.contains(address)).cloned().collect::<Vec<_>>();
        list.extend(new);
    };
    add(&mut network.bootstrap, &args.bootstrap);
    add(&mut network.listen, &args.listen_peers);
    let path = global.config.clone().unwrap_or_else(|| context.data.join(FILE_NAME));
    let section = format!("[network]\n{}", toml::to_string(network)?);
    if path.exists() {
        // A file that a person wrote is that person's.
        if Config::load(&path, true)?.network != *network {
            terminal::note(&format!("{} is there already; put this into it:\n\n{section}", path.display()));
        }
    } else {
        write_atomically(&path, section.as_bytes())?;
    }
    let role = match Identity::load(&context.data)?.authority {
        Some((_, name)) => format!("as its authority {name}"),
        None => "as a plain node".to_owned(),
    };
    terminal::note(&format!("joined network {} ({}) {role}", genesis.network_id(), genesis.name));
    Ok(Exit::Done)
}

/// `authority show`
pub fn authority(global: &Global, name: &str) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    context.data.create()?;
    terminal::json(&AuthorityKeys::load(&context.data)?.describe(name))?;
    Ok(Exit::Done)
}

/// `config show`
pub fn config(global: &Global) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    if global.json {
        terminal::json(&context.config)?;
    } else {
        terminal::line(context.config.to_toml()?.trim_end());
    }
    Ok(Exit::Done)
}

/// `completions SHELL`
pub fn completions(shell: clap_complete::Shell) -> Exit {
    use clap::CommandFactory as _;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut crate::cli::Cli::command(), "pyrsia-maven", &mut script);
    terminal::line(String::from_utf8_lossy(&script).trim_end());
    Exit::Done
}
