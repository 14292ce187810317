//! Errors as documents.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An error as [RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) writes it (`application/problem+json`).
///
/// `next`, `reason` and `coordinates` are extension members. Maven 3.9 and later shows `title` and `detail` to its user,
/// so they say what happened, to what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Which kind of problem: a relative reference such as `/problems/withheld`, stable across releases.
    #[serde(rename = "type", default = "about_blank")]
    pub kind: String,
    /// One line for the kind of problem.
    pub title: String,
    /// The HTTP status that came with it.
    pub status: u16,
    /// What happened this time, to what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The path that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// What to do next: a command or a setting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
    /// For withheld files: the closed name of the reason (`blocked`, `different`, `unverified`, ...).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The release concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<String>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

impl Problem {
    /// The media type of the document.
    pub const MEDIA_TYPE: &'static str = "application/problem+json";

    /// A problem of a kind (`withheld` becomes `/problems/withheld`).
    pub fn new(kind: &str, status: u16, title: impl Into<String>) -> Self {
        Self {
            kind: format!("/problems/{kind}"),
            title: title.into(),
            status,
            detail: None,
            instance: None,
            next: None,
            reason: None,
            coordinates: None,
        }
    }

    /// Adds what happened.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Adds the path that was asked for.
    #[must_use]
    pub fn instance(mut self, instance: impl Into<String>) -> Self {
        self.instance = Some(instance.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_the_members_of_the_rfc() {
        let text = serde_json::to_string(&Problem::new("withheld", 403, "withheld").detail("blocked")).unwrap();
        assert_eq!(text, r#"{"type":"/problems/withheld","title":"withheld","status":403,"detail":"blocked"}"#);
    }

    #[test]
    fn a_problem_without_type_reads_as_about_blank() {
        let problem: Problem = serde_json::from_str(r#"{"title":"x","status":500,"extra":1}"#).unwrap();
        assert_eq!(problem.kind, "about:blank");
    }
}
