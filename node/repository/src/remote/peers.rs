//! Files from peers: they owe nothing, and may have no time.

use maven_layout::RepoPath;
use pyrsia_blobs::Expected;
use pyrsia_digest::Sha256;
use pyrsia_fetch::{FetchError, OriginAnswer};
use pyrsia_store::FileRecord;

use super::{Asked, Remote, Task, interrupted};
use crate::error::RepositoryError;

/// What came of asking peers.
#[derive(Debug, Clone)]
pub(crate) enum FromPeers {
    /// The file; recorded in the index.
    File(Box<FileRecord>),
    /// No peer gives it, for whatever reason.
    Nobody,
    /// Those who may have it had no time.
    Busy,
}

pub(super) type Outcome = Result<FromPeers, RepositoryError>;

impl Remote {
    /// Whether there is anybody to ask for what the ledger names.
    pub(crate) fn has_peers(&self) -> bool {
        self.task.peers.is_some()
    }

    /// Gets the bytes with this digest from peers. While all of them are busy they are waited for, if the caller is patient:
    /// nobody else has the file.
    pub(crate) async fn ask_peers(&self, path: &RepoPath, sha256: Sha256, patient: bool) -> Outcome {
        if self.task.peers.is_none() {
            return Ok(FromPeers::Nobody);
        }
        let (task, of) = (self.task.clone(), path.clone());
        let call = move || async move { task.ask_peers(&of, sha256, patient).await };
        self.ask_peers.run((path.clone(), sha256, patient), call).await.map_err(|_| interrupted(path))?
    }
}

impl Task {
    async fn ask_peers(&self, path: &RepoPath, sha256: Sha256, patient: bool) -> Outcome {
        let Some(peers) = &self.peers else { return Ok(FromPeers::Nobody) };
        let (expected, blobs) = (Expected::sha256(sha256), self.local.blobs());
        let answer = if patient {
            peers.fetch(path, &expected, blobs).await
        } else {
            peers.fetch_soon(path, &expected, blobs).await
        };
        let error = match answer {
            Ok(OriginAnswer::Absent) => return Ok(FromPeers::Nobody),
            Ok(found) => match self.judge(peers.as_ref(), found, &expected) {
                Asked::Found(found) => {
                    let record = self.record(path, &found);
                    self.local.put(record.clone()).await?;
                    if record.digests.others.is_none() {
                        self.complete_later(path.clone(), sha256);
                    }
                    return Ok(FromPeers::File(Box::new(record)));
                }
                Asked::Absent | Asked::OtherBytes { .. } => return Ok(FromPeers::Nobody),
            },
            Err(FetchError::Busy { .. }) => return Ok(FromPeers::Busy),
            Err(error) => error,
        };
        tracing::info!(file.path = %path, %error, "no peer gave a file that the ledger names");
        Ok(FromPeers::Nobody)
    }

    /// Computes what a client may ask for next, while it gets the file.
    fn complete_later(&self, path: RepoPath, sha256: Sha256) {
        let local = self.local.clone();
        tokio::spawn(async move {
            if let Err(error) = local.complete(&path, sha256).await {
                tracing::warn!(file.path = %path, %error, "the checksums of a file were not computed");
            }
        });
    }
}
