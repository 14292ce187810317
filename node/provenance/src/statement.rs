//! Statements: what was made, from what, by whom.

use std::collections::BTreeMap;

use pyrsia_ledger::PublicKey;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `_type` of a statement.
pub const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// `predicateType` of a statement.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/provenance/v1";
/// Names what `externalParameters`, `internalParameters` and `resolvedDependencies` mean: a name and not an address to
/// fetch. Described in docs/PROVENANCE.md.
pub const BUILD_TYPE: &str = "https://pyrsia.io/buildtypes/maven-rebuild/v1";
/// Beginning of `builder.id`.
const BUILDER: &str = "https://pyrsia.io/builders/maven-rebuild/v1";

/// Digests by algorithm (`sha256`, `sha512`, `gitCommit`), in lower-case hexadecimal.
pub type DigestSet = BTreeMap<String, String>;

/// Something by name, address or digest
/// ([definition](https://github.com/in-toto/attestation/blob/main/spec/v1/resource_descriptor.md)).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceDescriptor {
    /// Its name, to tell it from others of the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it is identified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Its digests.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: DigestSet,
    /// Its media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// More about it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub annotations: Map<String, Value>,
}

impl ResourceDescriptor {
    /// Something with a name and one digest.
    pub fn new(name: impl Into<String>, algorithm: &str, digest: impl ToString) -> Self {
        let digest = DigestSet::from([(algorithm.to_owned(), digest.to_string())]);
        Self { name: Some(name.into()), digest, ..Self::default() }
    }
}

/// A statement with a provenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    /// What was made.
    pub subject: Vec<ResourceDescriptor>,
    predicate_type: String,
    /// How.
    pub predicate: Predicate,
}

/// The provenance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Predicate {
    /// What went in.
    pub build_definition: BuildDefinition,
    /// This run of it.
    pub run_details: RunDetails,
}

/// What went into a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// [`BUILD_TYPE`].
    pub build_type: String,
    /// What was asked for.
    pub external_parameters: Map<String, Value>,
    /// What the builder added to it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub internal_parameters: Map<String, Value>,
    /// Everything that was there to be read.
    #[serde(default)]
    pub resolved_dependencies: Vec<ResourceDescriptor>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunDetails {
    /// Who ran it.
    pub builder: BuilderIdentity,
    /// Which run it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<BuildMetadata>,
    /// What else it left or looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub byproducts: Vec<ResourceDescriptor>,
}

/// Who ran a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuilderIdentity {
    /// [`authority_builder`] or [`local_builder`].
    pub id: String,
    /// Versions of its parts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub version: BTreeMap<String, String>,
}

/// Which run it was. No times: two runs of one build say the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildMetadata {
    /// The run's name, unique for its builder.
    pub invocation_id: String,
}

/// `builder.id` of an authority of a network.
pub fn authority_builder(key: &PublicKey) -> String {
    format!("{BUILDER}/authority/{key}")
}

/// `builder.id` of the `rebuild` command.
pub fn local_builder() -> String {
    format!("{BUILDER}/local")
}

/// Why JSON is no statement with a provenance.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// It is not the JSON of one.
    #[error("{0}")]
    Json(String),
    /// It is a statement of another type.
    #[error("{member} is '{found}', not {expected}")]
    Type {
        /// The member that tells.
        member: &'static str,
        /// What it says.
        found: String,
        /// What is read here.
        expected: &'static str,
    },
    /// It is about nothing.
    #[error("it has no subject")]
    NoSubject,
    /// Something in it has a digest that is none, or a subject has none.
    #[error("the digest of '{0}' is missing or not in lower-case hexadecimal")]
    Digest(String),
}

impl Statement {
    /// A statement about what was made.
    pub fn new(subject: Vec<ResourceDescriptor>, predicate: Predicate) -> Self {
        Self { kind: STATEMENT_TYPE.to_owned(), subject, predicate_type: PREDICATE_TYPE.to_owned(), predicate }
    }

    /// The JSON, in one form: the same statement makes the same bytes.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings, lists and maps with texts as keys always serialise.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a statement. Members that are not known are ignored, as the format asks for.
    pub fn from_json(json: &[u8]) -> Result<Self, StatementError> {
        let statement: Self = serde_json::from_slice(json).map_err(|error| StatementError::Json(error.to_string()))?;
        let types = [
            ("_type", &statement.kind, STATEMENT_TYPE),
            ("predicateType", &statement.predicate_type, PREDICATE_TYPE),
            ("buildType", &statement.predicate.build_definition.build_type, BUILD_TYPE),
        ];
        for (member, found, expected) in types {
            if found != expected {
                let found = found.chars().take(200).collect();
                return Err(StatementError::Type { member, found, expected });
            }
        }
        if statement.subject.is_empty() {
            return Err(StatementError::NoSubject);
        }
        let definition = &statement.predicate.build_definition;
        let rest = definition.resolved_dependencies.iter().chain(&statement.predicate.run_details.byproducts);
        let good = |digest: &String| {
            !digest.is_empty() && digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let bad = statement.subject.iter().find(|subject| subject.digest.is_empty());
        let bad = bad.or_else(|| rest.chain(&statement.subject).find(|one| !one.digest.values().all(good)));
        match bad {
            Some(bad) => Err(StatementError::Digest(bad.name.clone().unwrap_or_default())),
            None => Ok(statement),
        }
    }

    /// Whether a file of this name and SHA-256 is among what was made.
    pub fn is_about(&self, name: &str, sha256: &pyrsia_digest::Sha256) -> bool {
        let sha256 = sha256.to_string();
        let hit =
            |one: &&ResourceDescriptor| one.name.as_deref() == Some(name) && one.digest.get("sha256") == Some(&sha256);
        self.subject.iter().any(|one| hit(&one))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use pyrsia_digest::Sha256;

    pub(crate) fn statement() -> Statement {
        let external = Map::from_iter([("tag".to_owned(), Value::from("v1"))]);
        Statement::new(
            vec![ResourceDescriptor::new("lib-1.jar", "sha256", Sha256::of(b"jar"))],
            Predicate {
                build_definition: BuildDefinition {
                    build_type: BUILD_TYPE.to_owned(),
                    external_parameters: external,
                    internal_parameters: Map::new(),
                    resolved_dependencies: vec![ResourceDescriptor::new("central:a", "sha256", Sha256::of(b"a"))],
                },
                run_details: RunDetails {
                    builder: BuilderIdentity { id: local_builder(), version: BTreeMap::new() },
                    metadata: Some(BuildMetadata { invocation_id: "one".to_owned() }),
                    byproducts: vec![],
                },
            },
        )
    }

    #[test]
    fn a_statement_is_read_as_it_was_written() {
        let json = statement().to_json();
        assert_eq!(Statement::from_json(&json), Ok(statement()));
        let value: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(value["_type"], STATEMENT_TYPE);
        assert_eq!(value["predicateType"], PREDICATE_TYPE);
        assert_eq!(value["predicate"]["buildDefinition"]["buildType"], BUILD_TYPE);
        assert_eq!(value["predicate"]["runDetails"]["metadata"]["invocationId"], "one");
        assert!(statement().is_about("lib-1.jar", &Sha256::of(b"jar")));
        assert!(!statement().is_about("lib-1.jar", &Sha256::of(b"other")));
        assert!(!statement().is_about("lib-2.jar", &Sha256::of(b"jar")));
    }

    #[test]
    fn what_is_no_statement_of_ours_is_refused_by_name() {
        let with = |change: fn(&mut Value)| {
            let mut value: Value = serde_json::from_slice(&statement().to_json()).unwrap();
            change(&mut value);
            Statement::from_json(value.to_string().as_bytes()).map(drop)
        };
        assert_eq!(with(|_| {}), Ok(()));
        assert_eq!(with(|value| value["more"] = 1.into()), Ok(()), "members that are not known are ignored");
        for member in ["_type", "predicateType"] {
            let mut value: Value = serde_json::from_slice(&statement().to_json()).unwrap();
            value[member] = "other".into();
            let refused = Statement::from_json(value.to_string().as_bytes());
            assert!(matches!(refused, Err(StatementError::Type { member: named, .. }) if named == member));
        }
        let other = with(|value| value["predicate"]["buildDefinition"]["buildType"] = "other".into());
        assert!(matches!(other, Err(StatementError::Type { member: "buildType", .. })));
        assert_eq!(with(|value| value["subject"] = Value::Array(vec![])), Err(StatementError::NoSubject));
        for digest in [serde_json::json!({}), serde_json::json!({"sha256": "XY"}), serde_json::json!({"sha256": ""})] {
            let mut value: Value = serde_json::from_slice(&statement().to_json()).unwrap();
            value["subject"][0]["digest"] = digest;
            let refused = Statement::from_json(value.to_string().as_bytes());
            assert_eq!(refused, Err(StatementError::Digest("lib-1.jar".to_owned())));
        }
        assert!(matches!(Statement::from_json(b"[]"), Err(StatementError::Json(_))));
    }
}
