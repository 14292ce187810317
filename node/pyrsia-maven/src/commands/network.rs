//! `network show`, `config show`, `completions`.

use anyhow::Context as _;

use crate::cli::Global;
use crate::client::Client;
use crate::context::Context;
use crate::exit::Exit;
use crate::terminal;

/// `network show`: the node's network document, byte for byte.
pub async fn show(global: &Global) -> anyhow::Result<Exit> {
    let client = Client::new(&global.node, None)?;
    let bytes = client.find_bytes("/api/v1/network").await?.context("the node has no network document")?;
    let document: serde_json::Value = serde_json::from_slice(&bytes).context("the network document is no JSON")?;
    terminal::json(&document)?;
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
