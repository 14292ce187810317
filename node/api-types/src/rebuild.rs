//! `rebuild --json`.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::infer::{AttemptReport, InferredSource};
use crate::inspect::SourceDocument;

/// The headline of a rebuild: the main artifact's and the POM's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum RebuildVerdict {
    /// Bit for bit the reference.
    Identical,
    /// The reference, apart from named normalisers.
    Equivalent,
    /// Not the reference.
    Different,
    /// Built, and nothing to compare with.
    Built,
    /// No result.
    Failed,
}

/// What `rebuild` found. The field names are a contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RebuildReport {
    /// The release.
    pub gav: String,
    /// The headline.
    pub verdict: RebuildVerdict,
    /// What was built.
    pub source: SourceDocument,
    /// How it was built.
    pub spec: SpecReport,
    /// Digest of the builder image.
    pub image_digest: Option<String>,
    /// An image of others as it was named; such a rebuild counts in no network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// What went in.
    pub manifest: ManifestSummary,
    /// What came out.
    pub outputs: Vec<OutputReport>,
    /// How long it took.
    pub timings: Timings,
    /// The provenance that was written.
    #[serde(default)]
    pub provenance: Option<WrittenProvenance>,
    /// What did not stop it but should be known: a tag that was moved.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// Why there is no result.
    #[serde(default)]
    pub failure: Option<String>,
    /// The kind of that in a word, where it was the build that gave none: `tool-failed`, `limit-memory`, `interfered` and the
    /// others that docs/REBUILD.md lists.
    #[serde(default)]
    pub failure_kind: Option<String>,
    /// How the source was found, where it was not named.
    #[serde(default)]
    pub inferred: Option<InferredSource>,
    /// Every attempt, where the specification was not named; empty otherwise.
    #[serde(default)]
    pub attempts: Vec<AttemptReport>,
}

/// The provenance of a rebuild.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WrittenProvenance {
    /// The file with the statement, unsigned.
    pub statement: String,
    /// The file with the DSSE envelope; `null`: there was no key to sign it with.
    pub envelope: Option<String>,
    /// The key id of its signature.
    pub key_id: Option<String>,
    /// The public key, in PEM.
    pub public_key: Option<String>,
}

/// `provenance --json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProvenanceReport {
    /// The release.
    pub gav: String,
    /// The verdict in the ledger's words.
    pub verdict: String,
    /// The envelopes, in the order of the lines that are written.
    pub envelopes: Vec<SignedProvenance>,
}

/// An envelope that one of the builders of a verdict signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SignedProvenance {
    /// The authority's public key (ed25519), in hexadecimal.
    pub key: String,
    /// The key id of the signature.
    pub key_id: String,
    /// The public key, in PEM.
    pub public_key: String,
    /// `builder.id` of the statement.
    pub builder: String,
    /// Its resolved dependencies.
    pub inputs: u64,
    /// Whether it is about the files that the verdict names.
    pub agrees: bool,
}

/// The specification that was used.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct SpecReport {
    /// SHA-256 of the specification's canonical text.
    pub digest: Option<String>,
    /// Where it came from: `given` (a file), `specs` (a collection), `source` (the commit), `inferred`.
    pub origin: String,
    /// Build tool and version.
    pub tool: Option<String>,
    /// JDK release.
    pub jdk: Option<String>,
    /// The command, as text.
    pub command: Option<String>,
}

/// The input manifest in three numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct ManifestSummary {
    /// Root; `null` when nothing was recorded.
    pub root: Option<String>,
    /// Lines.
    pub count: u64,
    /// Sizes of the inputs together.
    pub bytes: u64,
}

/// One output file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OutputReport {
    /// File name.
    pub name: String,
    /// Size of the rebuilt file; `null` when the build made none.
    pub size: Option<u64>,
    /// SHA-256 of the rebuilt file.
    pub sha256: Option<String>,
    /// SHA-512 of the rebuilt file.
    pub sha512: Option<String>,
    /// `identical`, `equivalent`, `different`, `not-built`, `extra` or `built`.
    pub outcome: String,
    /// Normalisers under which it is equal to the reference.
    pub normalisers: Vec<String>,
    /// What is different, a sentence in each line; may quote names from inside archives.
    pub explanation: Option<String>,
}

/// Durations in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize, ToSchema)]
pub struct Timings {
    /// Getting the source.
    pub clone_s: f64,
    /// Recording the inputs.
    pub record_s: f64,
    /// Building again from the record alone.
    pub replay_s: f64,
    /// Comparing with the reference.
    pub compare_s: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_names_are_the_contract() {
        let report = RebuildReport {
            gav: "a:b:1".into(),
            verdict: RebuildVerdict::Built,
            source: SourceDocument::default(),
            spec: SpecReport::default(),
            image_digest: None,
            image: None,
            manifest: ManifestSummary { root: Some("aa".into()), count: 2, bytes: 3 },
            outputs: vec![OutputReport {
                name: "b-1.jar".into(),
                size: Some(1),
                sha256: None,
                sha512: None,
                outcome: "built".into(),
                normalisers: vec![],
                explanation: None,
            }],
            timings: Timings { clone_s: 0.5, ..Timings::default() },
            provenance: None,
            warnings: vec![],
            failure: None,
            failure_kind: None,
            inferred: None,
            attempts: Vec::new(),
        };
        let value = serde_json::to_value(&report).unwrap();
        let keys = |value: &serde_json::Value| {
            let mut keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
            keys.sort();
            keys.join(" ")
        };
        assert_eq!(
            keys(&value),
            "attempts failure failure_kind gav image_digest inferred manifest outputs provenance source spec timings verdict \
             warnings"
        );
        assert_eq!(keys(&value["manifest"]), "bytes count root");
        assert_eq!(keys(&value["outputs"][0]), "explanation name normalisers outcome sha256 sha512 size");
        assert_eq!(keys(&value["timings"]), "clone_s compare_s record_s replay_s");
        assert_eq!(value["verdict"], "built");
        assert_eq!(serde_json::from_value::<RebuildReport>(value).unwrap(), report);
    }
}
