//! `status`: what the node is doing.

use pyrsia_api_types::{Status, StorageLimits, StorageStatus};

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
    line(&format!("store     {}", fullness(&status.storage)));
    line(&format!("          {}", limits(&status.storage.limits)));
    for warning in &status.warnings {
        line(&format!("warning   {}", plain(warning)));
    }
    Ok(Exit::Done)
}

/// How full the store and its disk are.
fn fullness(storage: &StorageStatus) -> String {
    let stored = storage
        .stored_bytes
        .map_or_else(|| "not counted yet".to_owned(), |bytes| format!("{} stored", mebibytes(bytes)));
    match storage.free_bytes {
        Some(free) => format!("{stored}, {} free on the disk", mebibytes(free)),
        None => stored,
    }
}

fn limits(limits: &StorageLimits) -> String {
    let parts: Vec<String> = [
        limits.max_bytes.map(|bytes| format!("at most {}", mebibytes(bytes))),
        limits.min_free_bytes.map(|bytes| format!("{} to be free", mebibytes(bytes))),
        limits.max_age_days.map(|days| format!("files for {days} days after their last use")),
    ]
    .into_iter()
    .flatten()
    .collect();
    match (parts.is_empty(), limits.remove_named) {
        (true, _) => "no limits".to_owned(),
        (false, true) => format!("limits: {}; what verdicts name may go too", parts.join(", ")),
        (false, false) => format!("limits: {}", parts.join(", ")),
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_said_as_they_are_configured() {
        assert_eq!(limits(&StorageLimits::default()), "no limits");
        let some = StorageLimits { max_bytes: Some(5 << 30), max_age_days: Some(7), ..StorageLimits::default() };
        assert_eq!(limits(&some), "limits: at most 5120 MiB, files for 7 days after their last use");
        let all = StorageLimits { min_free_bytes: Some(1 << 20), remove_named: true, ..some };
        assert!(limits(&all).contains("1 MiB to be free") && limits(&all).ends_with("may go too"));
        let storage = StorageStatus { free_bytes: Some(3 << 20), ..StorageStatus::default() };
        assert_eq!(fullness(&storage), "not counted yet, 3 MiB free on the disk");
    }
}
