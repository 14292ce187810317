//! `/builds/{id}`: one build.

use pyrsia_api_types::{Build, BuildEvents};

use super::markup::{Markup, encode};
use super::release::{source_rows, verdict_section};

/// Events shown; the API has them all.
const SHOWN_EVENTS: usize = 200;

pub(super) fn content(build: &Build, events: &BuildEvents) -> Markup {
    let mut page = Markup::default();
    page.raw("<p>Stage: <strong>").text(&build.stage).raw("</strong></p>");
    if let Some(failure) = &build.failure {
        page.raw("<p class=\"warn\">").text(failure).raw("</p>");
    }
    page.raw("<table>").row("Build", &build.id);
    source_rows(&mut page, &build.source);
    page.row("Attempt", &build.attempt.saturating_add(1).to_string());
    if let Some(recorder) = &build.recorder {
        page.row("Recorder", recorder);
    }
    page.raw("</table><p>");
    for gav in &build.coordinates {
        page.link(&format!("/release?gav={}", encode(gav)), gav).raw(" ");
    }
    page.raw("</p>");
    if !build.authorities.is_empty() {
        page.raw("<h2>Authorities</h2><table><tr><th>Name</th><th>Committed</th><th>Revealed</th></tr>");
        for authority in &build.authorities {
            page.raw("<tr><td>").text(&authority.name).raw("</td><td>");
            page.raw(if authority.committed { "yes" } else { "no" }).raw("</td><td>");
            page.text(authority.result.as_deref().unwrap_or(if authority.attested { "yes" } else { "no" }));
            page.raw("</td></tr>");
        }
        page.raw("</table>");
    }
    for verdict in &build.verdicts {
        page.raw("<h2>").text(&verdict.gav).raw("</h2>");
        verdict_section(&mut page, verdict);
    }
    page.raw("<h2>Events</h2><pre>");
    let skipped = events.events.len().saturating_sub(SHOWN_EVENTS);
    for event in events.events.iter().skip(skipped) {
        page.text(&event.kind).raw(": ").text(&event.text).raw("\n");
    }
    page.raw("</pre>");
    page
}
