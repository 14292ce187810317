//! The provenance of a replay, in the words of docs/PROVENANCE.md. Pure.

use std::collections::BTreeMap;

use build_spec::{InputManifest, InputStatus, Job, Mode};
use pyrsia_digest::Sha256;
use pyrsia_provenance::{
    BUILD_TYPE, BuildDefinition, BuildMetadata, BuilderIdentity, DigestSet, Predicate, ResourceDescriptor, RunDetails,
    Statement,
};
use serde_json::{Map, Value, json};

use crate::assess::Assessment;

/// Who ran a replay, and which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// `builder.id`: [`pyrsia_provenance::authority_builder`] or [`pyrsia_provenance::local_builder`].
    pub builder: String,
    /// The round and its attempt, where there is one.
    pub invocation: Option<String>,
    /// How an image of others was named.
    pub image: Option<String>,
}

/// The statement about what a replay made. Deterministic: no time, no host name.
pub fn statement(job: &Job, manifest: &InputManifest, assessment: &Assessment, run: Run) -> Statement {
    let subject = assessment.files.iter().filter_map(|file| {
        let digests = file.built.as_ref()?;
        let digest = DigestSet::from([
            ("sha256".to_owned(), digests.sha256.to_string()),
            ("sha512".to_owned(), digests.sha512.to_string()),
        ]);
        Some(ResourceDescriptor { name: Some(file.name.clone()), digest, ..ResourceDescriptor::default() })
    });
    let predicate = Predicate {
        build_definition: BuildDefinition {
            build_type: BUILD_TYPE.to_owned(),
            external_parameters: asked(job),
            internal_parameters: members([
                ("comparator", json!(jar_compare::COMPARATOR_VERSION)),
                ("inputManifestRoot", json!(manifest.root())),
                ("sandboxProfile", json!(job.profile.digest())),
                ("specificationDigest", json!(job.specification.digest())),
            ]),
            resolved_dependencies: dependencies(job, manifest, run.image.as_deref()),
        },
        run_details: RunDetails {
            builder: BuilderIdentity {
                id: run.builder,
                version: BTreeMap::from([("pyrsia-maven".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]),
            },
            metadata: run.invocation.map(|invocation_id| BuildMetadata { invocation_id }),
            byproducts: byproducts(manifest, assessment),
        },
    };
    Statement::new(subject.collect(), predicate)
}

fn members<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// What whoever asked for the build had to say.
fn asked(job: &Job) -> Map<String, Value> {
    let coordinates: Vec<String> = job.coordinates.iter().map(ToString::to_string).collect();
    let mode = match job.mode {
        Mode::Native => "native",
        Mode::Upstream => "upstream",
    };
    let mut asked = members([
        ("coordinates", json!(coordinates)),
        ("mode", json!(mode)),
        ("repository", json!(job.source.repository.to_string())),
        ("specification", json!(job.specification)),
    ]);
    if let Some(tag) = &job.source.tag {
        asked.insert("tag".to_owned(), json!(tag));
    }
    asked
}

/// Everything that was there to be read: the source, the image, and each file of the manifest.
fn dependencies(job: &Job, manifest: &InputManifest, image: Option<&str>) -> Vec<ResourceDescriptor> {
    let source = ResourceDescriptor {
        uri: Some(format!("git+{}@{}", job.source.repository, job.source.commit)),
        digest: DigestSet::from([("gitCommit".to_owned(), job.source.commit.clone())]),
        annotations: members([("treeSha256", json!(job.source.tree)), ("mirrored", json!(job.source.mirrored))]),
        ..ResourceDescriptor::default()
    };
    let image = ResourceDescriptor {
        uri: image.map(|name| format!("oci:{name}")),
        ..ResourceDescriptor::new("builder-image", "sha256", job.image)
    };
    let inputs = manifest.lines().filter_map(|line| match line.status {
        InputStatus::Found { sha256, .. } => {
            Some(ResourceDescriptor::new(format!("{}:{}", line.repository, line.path), "sha256", sha256))
        }
        InputStatus::Absent | InputStatus::WithheldSelf => None,
    });
    [source, image].into_iter().chain(inputs).collect()
}

/// The manifest as a file, and what the outputs were compared with.
fn byproducts(manifest: &InputManifest, assessment: &Assessment) -> Vec<ResourceDescriptor> {
    let text = ResourceDescriptor {
        media_type: Some("text/plain".to_owned()),
        ..ResourceDescriptor::new("input-manifest", "sha256", Sha256::of(manifest.to_text().as_bytes()))
    };
    let references = assessment.files.iter().filter_map(|file| {
        let annotations =
            members([("outcome", json!(file.outcome.as_str())), ("normalisers", json!(file.normalisers))]);
        Some(ResourceDescriptor {
            annotations,
            ..ResourceDescriptor::new(format!("reference:{}", file.name), "sha256", file.reference?)
        })
    });
    std::iter::once(text).chain(references).collect()
}
