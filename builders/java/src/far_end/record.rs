//! Record: ask the inputs, write down every answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use build_spec::{
    BuildError, BuildLimit, Input, InputError, InputLine, InputManifest, InputStatus, Inputs, RepositoryId, Withheld,
};
use maven_layout::RepoPath;
use tokio::sync::OnceCell;

use crate::far_end::{Answers, Held, Routes};

type Cells = HashMap<(RepositoryId, RepoPath), Arc<OnceCell<Held>>>;

/// The answers of a record. Each (repository, path) is asked of the inputs once, so that a file that changes
/// upstream during the build cannot be two things in it.
pub(crate) struct Recorder {
    inputs: Arc<dyn Inputs>,
    routes: Routes,
    withheld: Withheld,
    manifest: Mutex<InputManifest>,
    cells: Mutex<Cells>,
    /// Bytes of different files that may still be answered.
    left: AtomicU64,
}

impl Recorder {
    /// `max_bytes`: the sum of the sizes of all files that are answered, each counted once.
    pub(crate) fn new(inputs: Arc<dyn Inputs>, routes: Routes, withheld: Withheld, max_bytes: u64) -> Self {
        let (manifest, cells) = (Mutex::new(InputManifest::new()), Mutex::new(HashMap::new()));
        Self { inputs, routes, withheld, manifest, cells, left: AtomicU64::new(max_bytes) }
    }

    /// Everything that was asked so far.
    pub(crate) fn manifest(&self) -> InputManifest {
        self.manifest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write_down(&self, line: InputLine) -> Result<(), BuildError> {
        Ok(self.manifest.lock().unwrap_or_else(PoisonError::into_inner).insert(line)?)
    }

    async fn ask_inputs(&self, repository: &RepositoryId, path: &RepoPath) -> Result<Held, BuildError> {
        let (held, status) = if self.withheld.covers(path) {
            (Held::Absent, InputStatus::WithheldSelf)
        } else {
            match self.inputs.get(repository, path).await {
                Ok(Input::Found { file, digests, cut, .. }) => {
                    let status = InputStatus::Found { size: digests.size, sha256: digests.sha256, cut };
                    let size = digests.size;
                    self.left
                        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(size))
                        .map_err(|_| BuildError::Limit(BuildLimit::Disk))?;
                    (Held::File { file, size, known: digests.into() }, status)
                }
                Ok(Input::Absent) => (Held::Absent, InputStatus::Absent),
                Err(error) => return Err(not_had(error)),
            }
        };
        self.write_down(InputLine { repository: repository.clone(), path: path.clone(), status })?;
        Ok(held)
    }
}

/// A file that could not be had: for good, or because somebody else's server failed.
pub(crate) fn not_had(error: InputError) -> BuildError {
    match error {
        InputError::Unavailable { .. } => BuildError::UpstreamFailed(error.to_string()),
        InputError::UnknownRepository(id) => BuildError::InputsUnavailable(id),
        InputError::Withheld { .. } | InputError::Refused { .. } => BuildError::InputsUnavailable(error.to_string()),
    }
}

#[async_trait]
impl Answers for Recorder {
    fn routes(&self) -> &Routes {
        &self.routes
    }

    async fn ask(&self, repository: &RepositoryId, path: &RepoPath) -> Result<Held, BuildError> {
        let cell = {
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            if cells.len() > build_spec::MAX_MANIFEST_LINES {
                return Err(build_spec::ManifestError::TooLarge.into());
            }
            Arc::clone(cells.entry((repository.clone(), path.clone())).or_default())
        };
        cell.get_or_try_init(|| self.ask_inputs(repository, path)).await.cloned()
    }
}
