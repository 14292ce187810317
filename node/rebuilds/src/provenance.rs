//! The provenance of a build as an [in-toto Statement v1](https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md)
//! with a [SLSA provenance v1](https://slsa.dev/spec/v1.0/provenance) predicate.

use build_spec::{InputManifest, InputStatus, Job};
use serde_json::{Value, json};

use crate::assess::Assessment;

/// Names what `externalParameters` and `resolvedDependencies` mean; described in docs/OPERATING.md.
pub const BUILD_TYPE: &str = "https://pyrsia.io/buildtypes/maven-rebuild/v1";

/// The statement about what a replay made. Deterministic: no time, no host name.
pub fn statement(job: &Job, manifest: &InputManifest, assessment: &Assessment, builder_id: &str) -> Value {
    let subjects: Vec<Value> = assessment
        .files
        .iter()
        .filter_map(|file| {
            let digests = file.built.as_ref()?;
            Some(json!({
                "name": file.name,
                "digest": { "sha256": digests.sha256, "sha512": digests.sha512 },
            }))
        })
        .collect();
    let source = json!({
        "uri": format!("git+{}@{}", job.source.repository, job.source.commit),
        "digest": { "gitCommit": job.source.commit },
        "annotations": { "tree-sha256": job.source.tree },
    });
    let image = json!({ "name": "builder-image", "digest": { "sha256": job.image } });
    let inputs = manifest.lines().filter_map(|line| match line.status {
        InputStatus::Found { sha256, .. } => Some(json!({
            "name": format!("{}:{}", line.repository, line.path),
            "digest": { "sha256": sha256 },
        })),
        InputStatus::Absent | InputStatus::WithheldSelf => None,
    });
    let dependencies: Vec<Value> = [source, image].into_iter().chain(inputs).collect();
    let coordinates: Vec<String> = job.coordinates.iter().map(ToString::to_string).collect();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "coordinates": coordinates,
                    "repository": job.source.repository.to_string(),
                    "tag": job.source.tag,
                    "specification": job.specification,
                },
                "internalParameters": {
                    "specificationDigest": job.specification.digest(),
                    "sandboxProfile": job.profile.digest(),
                    "inputManifestRoot": manifest.root(),
                },
                "resolvedDependencies": dependencies,
            },
            "runDetails": { "builder": { "id": builder_id } },
        },
    })
}
