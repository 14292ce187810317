//! The provenance of a replay, in the words of docs/PROVENANCE.md. Pure.

use std::collections::BTreeMap;

use build_spec::{InputLine, InputManifest, InputStatus, Job, Mode, ObjectSignature, RepositoryId, Source, Submodule};
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
    let source = source(&job.source);
    let submodules = job.source.submodules.iter().map(submodule);
    let image = ResourceDescriptor {
        uri: image.map(|name| format!("oci:{name}")),
        ..ResourceDescriptor::new("builder-image", "sha256", job.image)
    };
    let inputs = manifest.lines().filter_map(|line| match line.status {
        InputStatus::Found { sha256, .. } => Some(ResourceDescriptor {
            uri: address(job, &line),
            ..ResourceDescriptor::new(format!("{}:{}", line.repository, line.path), "sha256", sha256)
        }),
        InputStatus::Absent | InputStatus::WithheldSelf => None,
    });
    [source, image].into_iter().chain(submodules).chain(inputs).collect()
}

/// Where a single file of the specification comes from.
fn address(job: &Job, line: &InputLine) -> Option<String> {
    let inputs = job.specification.inputs.iter().filter(|_| line.repository == RepositoryId::inputs());
    inputs.into_iter().find(|input| input.path == line.path.as_str()).map(|input| input.url.clone())
}

/// The commit with its tree, what its tag is, and the signatures of both, which nobody has checked.
fn source(source: &Source) -> ResourceDescriptor {
    let mut annotations = members([("treeSha256", json!(source.tree)), ("mirrored", json!(source.mirrored))]);
    if let Some(signature) = &source.signature {
        annotations.insert("commitSignature".to_owned(), signature_of(signature));
    }
    if let Some(tag) = &source.tag_object {
        let told = json!({
            "digest": { "gitTag": tag.id },
            "name": tag.name,
            "tagger": tag.tagger,
            "time": tag.time,
            "signature": tag.signature.as_ref().map(signature_of),
        });
        annotations.insert("tag".to_owned(), told);
    }
    ResourceDescriptor {
        uri: Some(format!("git+{}@{}", source.repository, source.commit)),
        digest: git_digests(&source.commit, &source.commit_tree),
        annotations,
        ..ResourceDescriptor::default()
    }
}

fn submodule(submodule: &Submodule) -> ResourceDescriptor {
    ResourceDescriptor {
        uri: Some(format!("git+{}@{}", submodule.repository, submodule.commit)),
        digest: git_digests(&submodule.commit, &submodule.commit_tree),
        annotations: members([("submodule", json!(submodule.path)), ("mirrored", json!(submodule.mirrored))]),
        ..ResourceDescriptor::default()
    }
}

fn git_digests(commit: &str, tree: &str) -> DigestSet {
    DigestSet::from([("gitCommit".to_owned(), commit.to_owned()), ("gitTree".to_owned(), tree.to_owned())])
}

fn signature_of(signature: &ObjectSignature) -> Value {
    json!({ "kind": signature.kind, "text": signature.text })
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

#[cfg(test)]
mod tests {
    use pyrsia_digest::Sha256;

    use super::*;

    #[test]
    fn sources_are_told_with_tags_signatures_and_submodules() {
        let repository = maven_layout::scm::canonical("https://git.example/acme/lib").unwrap();
        let signature = ObjectSignature { kind: "ssh", text: Some("armour".to_owned()) };
        let tag = build_spec::TagObject {
            id: "3".repeat(40),
            name: "v1".to_owned(),
            tagger: Some("A <a@example.org>".to_owned()),
            time: Some(5),
            signature: Some(signature.clone()),
        };
        let told = source(&Source {
            repository: repository.clone(),
            mirrored: false,
            tag: Some("v1".to_owned()),
            tag_object: Some(tag),
            commit: "1".repeat(40),
            commit_tree: "2".repeat(40),
            signature: Some(signature),
            submodules: vec![],
            checkout: build_spec::Checkout::default(),
            commit_time: 0,
            tree: Sha256::of(b""),
            archive: "a".into(),
            reactor: vec![],
            declared_scm: None,
            specification: None,
            evidence: vec![],
        });
        let told = json!(told);
        assert_eq!(told["uri"], format!("git+https://git.example/acme/lib@{}", "1".repeat(40)));
        assert_eq!(told["digest"], json!({ "gitCommit": "1".repeat(40), "gitTree": "2".repeat(40) }));
        assert_eq!(told["annotations"]["tag"]["digest"]["gitTag"], "3".repeat(40));
        assert_eq!(told["annotations"]["tag"]["signature"], json!({ "kind": "ssh", "text": "armour" }));
        assert_eq!(told["annotations"]["commitSignature"]["kind"], "ssh");
        let inner = submodule(&Submodule {
            path: "lib/x".to_owned(),
            repository,
            mirrored: false,
            commit: "4".repeat(40),
            commit_tree: "5".repeat(40),
        });
        let inner = json!(inner);
        assert_eq!(inner["annotations"]["submodule"], "lib/x");
        assert_eq!(inner["digest"]["gitCommit"], "4".repeat(40));
    }
}
