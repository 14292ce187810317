//! One rebuild from start to end: record, replay from the record alone, assess.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use build_spec::{
    BuildError, BuildLog, Builder, Built, InputManifest, InputStatus, Inputs, Job, ManifestBlobs, Recorded,
};
use pyrsia_blobs::BlobStore;
use pyrsia_digest::Sha256;

use crate::assess::ReferenceFile;

/// Blobs of a replay, straight from the store.
pub struct StoreBlobs(pub Arc<BlobStore>);

#[async_trait]
impl ManifestBlobs for StoreBlobs {
    async fn blob(&self, sha256: &Sha256) -> Option<PathBuf> {
        self.0.get(sha256)
    }
}

/// What a record and its replay gave.
#[derive(Debug)]
pub struct Rebuilt {
    /// The inputs, frozen.
    pub manifest: InputManifest,
    /// What the replay made.
    pub built: Built,
    /// Time of the record.
    pub record: Duration,
    /// Time of the replay.
    pub replay: Duration,
}

/// Records, then replays from the manifest alone. Only the replay's outputs are returned.
pub async fn record_and_replay(
    builder: &dyn Builder,
    job: &Job,
    inputs: Arc<dyn Inputs>,
    blobs: Arc<dyn ManifestBlobs>,
    log: Arc<dyn BuildLog>,
) -> Result<Rebuilt, BuildError> {
    let start = Instant::now();
    let Recorded { manifest, result } = builder.record(job, inputs, log.clone()).await?;
    result?;
    let record = start.elapsed();
    let start = Instant::now();
    let built = builder.replay(job, &manifest, blobs, log).await?;
    Ok(Rebuilt { manifest, built, record, replay: start.elapsed() })
}

/// **An input that equals an output or a reference voids the build**: it could have been copied instead of made. Of the
/// manifest's lines those count that the replay asked for: a recorder that names more must not be able to void a round.
pub fn check_inputs(manifest: &InputManifest, built: &Built, references: &[ReferenceFile]) -> Result<(), BuildError> {
    let mut made = built.reactor.clone();
    made.extend(built.files.iter().map(|file| file.digests.sha256));
    made.extend(references.iter().map(|file| file.sha256));
    for line in manifest.lines() {
        if let InputStatus::Found { sha256, .. } = line.status
            && made.contains(&sha256)
            && built.asked.contains(&sha256)
        {
            return Err(BuildError::InputIsOutput(format!("{}:{}", line.repository, line.path)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    use build_spec::{BuiltFile, InputLine, RepositoryId};
    use pyrsia_digest::FileDigests;

    #[test]
    fn an_input_equal_to_an_output_voids_the_build() {
        let bytes = b"the published jar, hidden in a plugin's dependency";
        let mut manifest = InputManifest::new();
        manifest
            .insert(InputLine {
                repository: RepositoryId::central(),
                path: "org/evil/copy/1/copy-1.jar".parse().unwrap(),
                status: InputStatus::Found { size: bytes.len() as u64, sha256: Sha256::of(bytes), cut: false },
            })
            .unwrap();
        let built = Built {
            files: vec![BuiltFile {
                coordinates: "org.acme:lib:1".parse().unwrap(),
                name: "lib-1.jar".to_owned(),
                path: PathBuf::new(),
                digests: FileDigests::of(bytes),
            }],
            asked: [Sha256::of(bytes)].into(),
            ..Built::default()
        };
        assert!(matches!(check_inputs(&manifest, &built, &[]), Err(BuildError::InputIsOutput(_))));
        let unused = Built { asked: [].into(), ..built.clone() };
        assert!(check_inputs(&manifest, &unused, &[]).is_ok(), "no build asked for what the recorder has added");
        assert!(check_inputs(&manifest, &Built::default(), &[]).is_ok());
        // What a sibling attached is as good a copy as what was asked for.
        let made = BTreeSet::from([Sha256::of(bytes)]);
        let sibling = Built { reactor: made.clone(), asked: made, ..Built::default() };
        assert!(matches!(check_inputs(&manifest, &sibling, &[]), Err(BuildError::InputIsOutput(_))));
    }
}
