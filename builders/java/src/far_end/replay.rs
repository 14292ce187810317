//! Replay: the manifest and blobs by digest, nothing else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use build_spec::{BuildError, InputManifest, InputStatus, ManifestBlobs, RepositoryId};
use maven_layout::RepoPath;
use pyrsia_digest::Sha256;

use crate::far_end::{Answers, Held, Known, Routes};

pub(crate) struct Replayer {
    manifest: InputManifest,
    blobs: Arc<dyn ManifestBlobs>,
    routes: Routes,
    asked: Mutex<BTreeSet<Sha256>>,
}

impl Replayer {
    pub(crate) fn new(manifest: InputManifest, blobs: Arc<dyn ManifestBlobs>, routes: Routes) -> Self {
        Self { manifest, blobs, routes, asked: Mutex::default() }
    }

    /// What was handed out so far.
    pub(crate) fn asked(&self) -> BTreeSet<Sha256> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Answers for Replayer {
    fn routes(&self) -> &Routes {
        &self.routes
    }

    async fn ask(&self, repository: &RepositoryId, path: &RepoPath) -> Result<Held, BuildError> {
        match self.manifest.get(repository, path) {
            None => Err(BuildError::Undeclared { repository: repository.to_string(), path: path.to_string() }),
            Some(InputStatus::Absent | InputStatus::WithheldSelf) => Ok(Held::Absent),
            Some(InputStatus::Found { size, sha256, .. }) => match self.blobs.blob(&sha256).await {
                Some(file) => {
                    self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(sha256);
                    Ok(Held::File { file, size, known: Known::Sha256(sha256) })
                }
                None => Err(BuildError::InputsUnavailable(format!("{path} (blob {sha256}) is not in the store"))),
            },
        }
    }
}
