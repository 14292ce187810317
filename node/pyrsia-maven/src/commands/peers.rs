//! `peers`: whom the node is connected to.

use pyrsia_api_types::PeerList;

use crate::cli::Global;
use crate::client::Client;
use crate::exit::Exit;
use crate::terminal::{self, line, plain};

/// Runs the command.
pub async fn run(global: &Global) -> anyhow::Result<Exit> {
    let client = Client::new(&global.node, None)?;
    let list: PeerList = client.get("/api/v1/peers").await?;
    if global.json {
        terminal::json(&list)?;
        return Ok(Exit::Done);
    }
    if list.peers.is_empty() {
        line("no peers");
    }
    for peer in &list.peers {
        let name = peer.authority.as_ref().map_or_else(|| "node".to_owned(), |name| format!("authority {name}"));
        let size = peer.log_size.map_or_else(String::new, |size| format!("  log {size}"));
        line(&plain(&format!("{name:<16} {:<11} {}{size}  {}", peer.state, peer.id, peer.addresses.join(" "))));
    }
    Ok(Exit::Done)
}
