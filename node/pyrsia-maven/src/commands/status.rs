//! `status`: what the node is doing.

use pyrsia_api_types::Status;

use crate::cli::Global;
use crate::client::Client;
use crate::exit::Exit;
use crate::terminal::{self, line, plain};

/// Runs the command.
pub async fn run(global: &Global) -> anyhow::Result<Exit> {
    let client = Client::new(&global.node, None)?;
    let status: Status = client.get("/api/v1/status").await?;
    if global.json {
        terminal::json(&status)?;
        return Ok(Exit::Done);
    }
    line(&format!("node      {} ({}), up {} s", client.base(), plain(&status.role), status.uptime_s));
    line(&format!("maven     {}  policy {}", plain(&status.repository.url), plain(&status.repository.policy)));
    for upstream in &status.repository.upstreams {
        let name = if upstream.id == "central" { String::new() } else { format!("{}: ", plain(&upstream.id)) };
        let policy = upstream.policy.as_ref().map(|policy| format!("  policy {}", plain(policy))).unwrap_or_default();
        line(&format!("upstream  {name}{} (found in {}){policy}", plain(&upstream.url), plain(&upstream.found)));
    }
    if status.repository.upstreams.is_empty() {
        line("upstream  none");
    }
    let network = &status.network;
    line(&format!("network   {} {}", plain(&network.name), plain(&network.id)));
    line(&match network.tolerates {
        0 => format!(
            "          {} authorities, {} must agree; no Byzantine tolerance",
            network.authorities, network.threshold
        ),
        liars => format!(
            "          {} authorities, {} must agree; tolerates {liars} that lie or fail",
            network.authorities, network.threshold
        ),
    });
    line(&format!("ledger    {} leaves, root {}", status.log.size, plain(&status.log.root)));
    let age = status.log.checkpoint_time.map_or_else(|| "none yet".to_owned(), terminal::time);
    line(&format!("          checkpoint of {age}{}", if status.log.stale { " (STALE)" } else { "" }));
    let builds = &status.builds;
    line(&format!("builds    {} open, {} closed, {} running here", builds.open, builds.closed, builds.running_here));
    line(&format!(
        "files     {} ({} bytes) in {}",
        status.storage.files,
        status.storage.bytes,
        plain(&status.storage.data_dir)
    ));
    for warning in &status.warnings {
        line(&format!("warning   {}", plain(warning)));
    }
    Ok(Exit::Done)
}
