//! `/release`: the story of a release.

use pyrsia_api_types::{Inspection, SourceDocument, VerdictStory};

use super::markup::{Markup, encode};

pub(super) fn content(story: &Inspection) -> Markup {
    let mut page = Markup::default();
    if story.blocked {
        page.raw("<p class=\"warn\">This release is blocked: none of its files is handed out.</p>");
    }
    for moved in &story.moved_tag {
        page.raw("<p class=\"warn\">Its tag was moved: it was commit ").code(&moved.commit);
        page.raw(" when round ").code(&moved.round).raw(" was requested.</p>");
    }
    match &story.verdict {
        Some(verdict) => verdict_section(&mut page, verdict),
        None => {
            page.raw("<p>Nobody has rebuilt this release yet. ");
            page.code(&format!("pyrsia-maven build {}", story.gav)).raw(" asks the network to.</p>");
        }
    }
    if !story.builds.is_empty() {
        page.raw("<h2>Builds</h2><ul>");
        for id in &story.builds {
            page.raw("<li>").link(&format!("/builds/{}", encode(id)), id).raw("</li>");
        }
        page.raw("</ul>");
    }
    page
}

/// What was found, by whom, from what.
pub(super) fn verdict_section(page: &mut Markup, verdict: &VerdictStory) {
    page.raw("<p>Verdict: <strong>").text(&verdict.verdict).raw("</strong>");
    if verdict.self_verified {
        page.raw(" (self-verified: this network tolerates no liar)");
    }
    page.raw("</p><table>");
    source_rows(page, &verdict.source);
    page.row("Builder image", &verdict.image);
    page.row("Specification", &verdict.specification);
    if let Some(root) = &verdict.inputs_root {
        page.row("Inputs", root);
    }
    page.row("Agreement", &format!("{} of {} needed", verdict.threshold, verdict.committee_size));
    if let Some(index) = verdict.log_index {
        page.row("Log index", &index.to_string());
    }
    page.raw("</table><h2>Files</h2><table><tr><th>File</th><th>Verdict</th><th>SHA-256</th><th>Agreed by</th></tr>");
    for file in &verdict.files {
        page.raw("<tr><td>").text(&file.name).raw("</td><td>").text(&file.verdict);
        if !file.normalisers.is_empty() {
            page.raw("<br>").text(&file.normalisers.join(", "));
        }
        page.raw("</td><td>").code(file.sha256.as_deref().unwrap_or("none"));
        for dissent in &file.dissent {
            page.raw("<br>").text(&dissent.authority).raw(": ").code(dissent.sha256.as_deref().unwrap_or("none"));
        }
        page.raw("</td><td>")
            .text(&[&file.agreed_by[..], &file.agreed_later[..]].concat().join(", "))
            .raw("</td></tr>");
    }
    page.raw("</table>");
}

pub(super) fn source_rows(page: &mut Markup, source: &SourceDocument) {
    // Shown as text and never as a link: the address is whatever a POM said.
    for (name, value) in [("Repository", &source.repository), ("Tag", &source.tag), ("Commit", &source.commit)] {
        if let Some(value) = value {
            page.row(name, value);
        }
    }
}
