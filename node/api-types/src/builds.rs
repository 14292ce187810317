//! Build requests and their progress.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::inspect::{SourceDocument, VerdictStory};

/// How a release came, or is to come, into the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum BuildMode {
    /// Published only by rebuilding.
    Native,
    /// Already on an upstream repository: rebuilt and compared.
    Upstream,
}

/// A maintainer's signature over a native request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PublisherProof {
    /// Public key: 64 hexadecimal digits.
    pub key: String,
    /// Ed25519 signature over the request as protocol.md defines it: 128 hexadecimal digits.
    pub signature: String,
}

/// `POST /api/v1/builds`: please rebuild this.
///
/// What is left out is inferred by the node (source from the release's own POM chain, commit from the tag, specification
/// from the source). A native request waits for the publisher's signature, which is posted by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BuildSubmission {
    /// Releases of one build, `group:artifact:version` each; at least one, the first names the build.
    pub coordinates: Vec<String>,
    /// Native or upstream; `null`: native when the group has a native namespace.
    #[serde(default)]
    pub mode: Option<BuildMode>,
    /// Canonical repository address, `https://host/path`.
    #[serde(default)]
    pub source: Option<String>,
    /// Tag under `refs/tags`.
    #[serde(default)]
    pub tag: Option<String>,
    /// Commit, in full hexadecimal form.
    #[serde(default)]
    pub commit: Option<String>,
    /// The specification as TOML text.
    #[serde(default)]
    pub specification: Option<String>,
}

/// Answer to a submission (202).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BuildAccepted {
    /// Identifier for `/api/v1/builds/{id}`: the round's key when it is known, else the node's own job name.
    pub id: String,
    /// `true` when this very build was known already and nothing new was started.
    #[serde(default)]
    pub existing: bool,
}

/// What one authority has said in a round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuthorityProgress {
    /// Name in the network document.
    pub name: String,
    /// Authority key.
    pub key: String,
    /// Has committed to a result.
    pub committed: bool,
    /// Has revealed a result.
    pub attested: bool,
    /// One line about the revealed result: `built`, or the kind of failure.
    pub result: Option<String>,
}

/// One build: `GET /api/v1/builds/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Build {
    /// Identifier.
    pub id: String,
    /// The round's key, once the request is in the log.
    pub round: Option<String>,
    /// Releases of the build.
    pub coordinates: Vec<String>,
    /// Native or upstream.
    pub mode: BuildMode,
    /// Where the source comes from.
    pub source: SourceDocument,
    /// Digest of the specification.
    pub specification: Option<String>,
    /// Digest of the builder image.
    pub image: Option<String>,
    /// Where the round is: `preparing`, `awaiting-signature`, `requested`, `recording`, `replaying`, `revealing`, `closed`, `rejected`.
    pub stage: String,
    /// Turns taken so far, from 0.
    pub attempt: u32,
    /// Position of the request in the log.
    pub request_index: Option<u64>,
    /// Name of the present recorder.
    pub recorder: Option<String>,
    /// Root of the input manifest, once recorded.
    pub inputs_root: Option<String>,
    /// What each authority has said.
    pub authorities: Vec<AuthorityProgress>,
    /// How many equal results decide.
    pub threshold: u32,
    /// Verdicts, one for each release, once closed.
    pub verdicts: Vec<VerdictStory>,
    /// Why there will be no verdict: the failure or refusal in one line.
    pub failure: Option<String>,
    /// The class of that failure: `build`, `input`, `source`, `refused`, `internal`.
    #[serde(default)]
    pub failure_kind: Option<String>,
    /// The request that the publisher has to sign, while the stage is `awaiting-signature`.
    #[serde(default)]
    pub to_sign: Option<serde_json::Value>,
    /// No further event will come.
    pub done: bool,
}

/// `GET /api/v1/builds`: newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct BuildList {
    /// The builds.
    pub builds: Vec<Build>,
    /// How many there are in all.
    pub total: u64,
}

/// One thing that happened to a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BuildEvent {
    /// Position in this build's story, from 1.
    pub sequence: u64,
    /// Local time at which this node saw it.
    pub time: u64,
    /// Closed name: `request`, `inputs`, `commitment`, `attestation`, `verdict`, `log`, ...
    pub kind: String,
    /// One line of text; may come from a build tool, so a terminal must not interpret it.
    pub text: String,
}

/// `GET /api/v1/builds/{id}/events?after=N&wait=SECONDS`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BuildEvents {
    /// The build.
    pub id: String,
    /// Events with a sequence above `after`, in order.
    pub events: Vec<BuildEvent>,
    /// Pass this as `after` next time.
    pub next: u64,
    /// Nothing further will come.
    pub done: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_submission_names_only_the_release() {
        let submission: BuildSubmission = serde_json::from_str(r#"{"coordinates":["a:b:1"]}"#).unwrap();
        assert_eq!(submission.coordinates, ["a:b:1"]);
        assert_eq!(submission.mode, None);
    }

    #[test]
    fn a_misspelt_field_is_refused_and_not_ignored() {
        let error = serde_json::from_str::<BuildSubmission>(r#"{"coordinates":["a:b:1"],"comit":"x"}"#).unwrap_err();
        assert!(error.to_string().contains("comit"), "{error}");
        assert!(serde_json::from_str::<BuildSubmission>(r#"{"coordinates":["a:b:1"],"mode":"Native"}"#).is_err());
    }
}
