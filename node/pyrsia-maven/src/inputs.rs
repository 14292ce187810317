//! Where the files of a record come from: this node's own repository (ledger, store, upstream).

use std::sync::Arc;

use async_trait::async_trait;
use build_spec::{Input, InputError, Inputs, RepositoryId};
use maven_layout::RepoPath;
use pyrsia_blobs::BlobStore;
use pyrsia_repository::{Answer, Files};

/// Inputs from the node's repository.
pub struct RepositoryInputs {
    /// The repository.
    pub files: Arc<dyn Files>,
    /// Where generated documents are put, since an input is always a file.
    pub blobs: Arc<BlobStore>,
}

/// Inputs of a run that has no upstream: nothing is there.
pub struct NoInputs;

#[async_trait]
impl Inputs for NoInputs {
    async fn get(&self, repository: &RepositoryId, _path: &RepoPath) -> Result<Input, InputError> {
        Err(InputError::UnknownRepository(format!("{repository} (no upstream was found; name one with --upstream)")))
    }
}

#[async_trait]
impl Inputs for RepositoryInputs {
    async fn get(&self, repository: &RepositoryId, path: &RepoPath) -> Result<Input, InputError> {
        if *repository != RepositoryId::central() {
            return Err(InputError::UnknownRepository(repository.to_string()));
        }
        let unavailable = |problem: String| InputError::Unavailable {
            repository: repository.to_string(),
            path: path.to_string(),
            problem,
        };
        match self.files.get(path).await {
            Ok(Answer::File(file)) => Ok(Input::Found {
                file: file.blob_path,
                digests: file.digests,
                last_modified: file.upstream_modified,
                cut: false,
            }),
            Ok(Answer::Generated(document)) => {
                let stored = self.blobs.put_bytes(&document.bytes).map_err(|error| unavailable(error.to_string()))?;
                Ok(Input::found(stored.path, stored.digests))
            }
            Ok(Answer::Absent) => Ok(Input::Absent),
            Ok(Answer::Withheld(withheld)) => {
                Err(InputError::Withheld { path: path.to_string(), problem: withheld.detail })
            }
            Err(error) => Err(unavailable(error.to_string())),
        }
    }

    async fn keep(&self, document: &[u8]) -> Result<Input, InputError> {
        let stored = self.blobs.put_bytes(document).map_err(|error| InputError::Unavailable {
            repository: "the store".to_owned(),
            path: "a derived document".to_owned(),
            problem: error.to_string(),
        })?;
        Ok(Input::found(stored.path, stored.digests))
    }
}
