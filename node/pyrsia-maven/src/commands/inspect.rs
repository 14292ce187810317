//! `inspect`: the story of a release.

use pyrsia_api_types::{Inspection, VerdictStory};

use super::judge::hint;
use crate::cli::{Global, InspectArgs};
use crate::client::Client;
use crate::exit::Exit;
use crate::terminal::{self, line, plain};

/// Runs the command.
pub async fn run(global: &Global, args: &InspectArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&global.node, None)?;
    let story: Inspection = client.get(&format!("/api/v1/inspect/{}", args.coordinates)).await?;
    let exit = if story.verdict.is_some() { Exit::Done } else { Exit::Unknown };
    if global.json {
        terminal::json(&story)?;
        return Ok(exit);
    }
    line(&plain(&story.gav));
    if story.blocked {
        line("  BLOCKED: withheld from every client");
    }
    if story.withdrawn {
        line("  WITHDRAWN: an earlier verdict no longer stands");
    }
    for moved in &story.moved_tag {
        let (commit, round) = (plain(&moved.commit), plain(&moved.round));
        line(&format!("  MOVED TAG: it was commit {commit} when round {round} was requested"));
    }
    if let Some(namespace) = &story.namespace {
        line(&format!("  namespace {}", plain(namespace)));
    }
    match &story.verdict {
        Some(verdict) => {
            tell(verdict);
            tell_provenance(verdict);
        }
        None => {
            line("  no verdict");
            terminal::note(&hint(&args.coordinates));
        }
    }
    for build in &story.builds {
        line(&format!("  build {}", plain(build)));
    }
    Ok(exit)
}

/// Where the signed provenance is.
fn tell_provenance(verdict: &VerdictStory) {
    if verdict.provenance.is_empty() {
        return;
    }
    line(&format!("  provenance signed by each of them: pyrsia-maven provenance {}", plain(&verdict.gav)));
    for one in &verdict.provenance {
        line(&format!("    {} {}", plain(&one.authority), plain(&one.sha256)));
    }
}

/// Prints a verdict; shared with `builds`.
pub fn tell(verdict: &VerdictStory) {
    let quality = match (verdict.self_verified, verdict.committee_size) {
        (true, 1) => " (self-verified: 1 of 1, this machine; no Byzantine tolerance)".to_owned(),
        (true, size) => format!(" (self-verified: {size} authorities; no Byzantine tolerance)"),
        (false, size) => format!(" ({} of {size} had to agree)", verdict.threshold),
    };
    line(&format!("  verdict {}{quality}", plain(&verdict.verdict)));
    let source = &verdict.source;
    let none = || "-".to_owned();
    line(&format!("  source  {}", plain(&source.repository.clone().unwrap_or_else(none))));
    line(&format!("          tag {}", plain(&source.tag.clone().unwrap_or_else(none))));
    line(&format!("          commit {}", plain(&source.commit.clone().unwrap_or_else(none))));
    line(&format!("  built by specification {}", plain(&verdict.specification)));
    line(&format!("          in image      {}", plain(&verdict.image)));
    if let Some(root) = &verdict.inputs_root {
        line(&format!("          from inputs   {}", plain(root)));
    }
    line(&format!("  round   {}", plain(&verdict.round)));
    for file in &verdict.files {
        let digest = file.sha256.clone().unwrap_or_else(none);
        line(&format!("  {} {} {}", plain(&file.name), plain(&file.verdict), plain(&digest)));
        if !file.normalisers.is_empty() {
            line(&format!("    after {}", plain(&file.normalisers.join(", "))));
        }
        line(&format!("    found by {}", plain(&file.agreed_by.join(", "))));
        if !file.agreed_later.is_empty() {
            line(&format!("    and later by {}", plain(&file.agreed_later.join(", "))));
        }
        for dissent in &file.dissent {
            let digest = dissent.sha256.clone().unwrap_or_else(|| "no such file".to_owned());
            line(&format!("    but {} found {}", plain(&dissent.authority), plain(&digest)));
        }
    }
}
