//! Where the files of a record come from: this node's own repository (ledger, store, upstream), and the further upstreams of
//! the configuration where no network has to agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use build_spec::{ExtraInput, Input, InputError, Inputs, RepositoryId};
use java_builder::JavaBuilderConfig;
use maven_layout::RepoPath;
use pyrsia_blobs::BlobStore;
use pyrsia_repository::{Answer, Files, Route, chosen};

use crate::pinned;

/// Inputs from the node's repository, and from others by their ids.
pub struct RepositoryInputs {
    /// The repository that stands for the default one; none: no upstream was found.
    pub files: Option<Arc<dyn Files>>,
    /// What a specification may list beside it.
    pub others: BTreeMap<RepositoryId, Arc<dyn Files>>,
    /// What each of them is asked for by the configuration. One that is not here is asked for everything.
    pub routes: Vec<(RepositoryId, Route)>,
    /// Where generated documents are put, since an input is always a file.
    pub blobs: Arc<BlobStore>,
    /// How single files are got: the source map and the limits of sources hold for them.
    pub java: JavaBuilderConfig,
}

impl RepositoryInputs {
    fn find(&self, repository: &RepositoryId) -> Result<&Arc<dyn Files>, InputError> {
        if *repository != RepositoryId::central() {
            return self.others.get(repository).ok_or_else(|| InputError::UnknownRepository(repository.to_string()));
        }
        self.files.as_ref().ok_or_else(|| {
            InputError::UnknownRepository(format!("{repository} (no upstream was found; name one with --upstream)"))
        })
    }
}

/// Whether a repository is asked for a path: a group that one of them names is asked of none that names it less precisely,
/// in builds as elsewhere.
fn is_asked(routes: &[(RepositoryId, Route)], repository: &RepositoryId, path: &RepoPath) -> bool {
    let Some(own) = routes.iter().position(|(id, _)| id == repository) else { return true };
    chosen(path, routes.iter().map(|(_, route)| route)).contains(&own)
}

#[async_trait]
impl Inputs for RepositoryInputs {
    fn has(&self, repository: &RepositoryId) -> bool {
        // Without the default one the first question says what to do.
        *repository == RepositoryId::central() || self.others.contains_key(repository)
    }

    async fn get(&self, repository: &RepositoryId, path: &RepoPath) -> Result<Input, InputError> {
        let files = self.find(repository)?;
        if !is_asked(&self.routes, repository, path) {
            return Ok(Input::Absent);
        }
        let unavailable = |problem: String| InputError::Unavailable {
            repository: repository.to_string(),
            path: path.to_string(),
            problem,
        };
        match files.get(path).await {
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

    async fn pinned(&self, input: &ExtraInput) -> Result<Input, InputError> {
        pinned::get(&self.java, input, &self.blobs).await
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_that_one_repository_names_is_asked_there_alone() {
        let id = |text: &str| text.parse::<RepositoryId>().unwrap();
        let company = Route::new(vec!["com.acme.*".parse().unwrap()], Vec::new());
        let routes = [(id("company"), company), (id("central"), Route::default()), (id("more"), Route::default())];
        for (path, asked) in [
            ("com/acme/lib/1/lib-1.pom", ["company"].as_slice()),
            ("org/other/lib/1/lib-1.pom", &["central", "more", "unlisted"]),
        ] {
            let path: RepoPath = path.parse().unwrap();
            for repository in ["company", "central", "more"] {
                assert_eq!(
                    is_asked(&routes, &id(repository), &path),
                    asked.contains(&repository),
                    "{repository} {path}"
                );
            }
        }
        assert!(is_asked(&routes, &id("unlisted"), &"com/acme/lib/1/lib-1.pom".parse().unwrap()));
    }
}
