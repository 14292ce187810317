//! `/`: the node at a glance.

use pyrsia_api_types::{Build, BuildList, Status};

use super::markup::{Markup, encode};

pub(super) fn content(status: &Status, builds: &BuildList) -> Markup {
    let mut page = Markup::default();
    for warning in &status.warnings {
        page.raw("<p class=\"warn\">").text(warning).raw("</p>");
    }
    page.raw("<form action=\"/release\"><label>Release <input name=\"gav\" size=\"40\" placeholder=\"org.acme:lib:1.0\"></label> <button>Show</button></form>");
    let network = &status.network;
    page.raw("<table>");
    page.row("Network", &format!("{} ({})", network.name, network.id));
    page.row(
        "Role",
        &match &status.name {
            Some(name) => format!("{} {name}", status.role),
            None => status.role.clone(),
        },
    );
    page.row("Agreement", &agreement(network.threshold, network.authorities, network.tolerates));
    page.row("Log", &format!("{} leaves{}", status.log.size, if status.log.stale { ", stale" } else { "" }));
    page.row("Repository", &format!("{} (policy {})", status.repository.url, status.repository.policy));
    for upstream in &status.repository.upstreams {
        page.row("Upstream", &format!("{} ({})", upstream.url, upstream.found));
    }
    page.row("Store", &format!("{} files, {} MiB", status.storage.files, status.storage.bytes / (1024 * 1024)));
    page.row("Version", &status.version);
    page.raw("</table><h2>Recent builds</h2>");
    if builds.builds.is_empty() {
        page.raw("<p>None yet. ").code("pyrsia-maven build GROUP:ARTIFACT:VERSION").raw(" asks for one.</p>");
        return page;
    }
    page.raw("<table><tr><th>Release</th><th>State</th><th>Build</th></tr>");
    for build in &builds.builds {
        row(&mut page, build);
    }
    page.raw("</table>");
    page
}

fn row(page: &mut Markup, build: &Build) {
    page.raw("<tr><td>");
    for gav in &build.coordinates {
        page.link(&format!("/release?gav={}", encode(gav)), gav).raw("<br>");
    }
    let state = match build.verdicts.first() {
        Some(verdict) => verdict.verdict.as_str(),
        None => build.failure.as_deref().unwrap_or(&build.stage),
    };
    let short: String = build.id.chars().take(12).collect();
    page.raw("</td><td>").text(state).raw("</td><td>");
    page.link(&format!("/builds/{}", encode(&build.id)), &short).raw("</td></tr>");
}

/// The sentence about what an agreement in this network is worth.
pub(super) fn agreement(threshold: u32, authorities: u32, tolerates: u32) -> String {
    match (authorities, tolerates) {
        (1, _) => "1 of 1 (this machine); no Byzantine tolerance".to_owned(),
        (_, 0) => format!("{threshold} of {authorities}; no Byzantine tolerance"),
        _ => format!("{threshold} of {authorities}; tolerates {tolerates} liar(s)"),
    }
}
