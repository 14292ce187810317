//! `policy report`: what was served under which provenance, and what was withheld.

use pyrsia_api_types::{ServedCount, ServedReport};

use crate::cli::{Global, PolicyReportArgs};
use crate::client::Client;
use crate::exit::Exit;
use crate::terminal::{self, line, plain};

/// Runs the command.
pub async fn run(global: &Global, args: &PolicyReportArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&global.node, None)?;
    let mut path = format!("/api/v1/served?max={}", args.max);
    if let Some(since) = args.since {
        path.push_str(&format!("&since={}", since.at(crate::clock::now())));
    }
    let report: ServedReport = client.get(&path).await?;
    if global.json {
        terminal::json(&report)?;
        return Ok(Exit::Done);
    }
    let count = |word: &str, count: &ServedCount| {
        line(&format!("{word} {}: {} files, {} requests", plain(&count.outcome), count.files, count.times));
    };
    report.served.iter().for_each(|served| count("served", served));
    report.withheld.iter().for_each(|withheld| count("withheld", withheld));
    for release in &report.releases {
        let word = if release.withheld { "withheld" } else { "served" };
        line(&format!(
            "{} {word} {}: {} files, {} requests, last {}",
            plain(&release.gav),
            plain(&release.outcome),
            release.files,
            release.times,
            terminal::time(release.last)
        ));
    }
    if report.releases.is_empty() {
        terminal::note("no file of a release was asked for in this time");
    }
    let shown = report.releases.len() as u64;
    if report.total > shown {
        terminal::note(&format!("{} further lines; --max shows more", report.total - shown));
    }
    Ok(Exit::Done)
}
