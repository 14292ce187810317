//! The files of this machine: blobs and index, off the asynchronous threads, with one kind of error.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use maven_layout::RepoPath;
use pyrsia_blobs::{BlobError, BlobStore};
use pyrsia_digest::{FileDigests, KnownDigests, Sha256};
use pyrsia_fetch::SingleFlight;
use pyrsia_store::{FileRecord, IndexStore, Pinned, QuarantineRecord, StoreError};
use tokio::sync::Semaphore;

use crate::error::{Failure, RepositoryError};

/// Blobs remembered as hashed since the start; beyond it the memory begins anew.
const HASHED: usize = 100_000;
/// Files up to this size are read into memory to be examined, in bytes.
const FEW: u64 = 256 * 1024;

/// What this machine knows of a path.
pub(crate) enum Known {
    /// A file, whose bytes are here and in order.
    Here(FileRecord, Option<Arc<[u8]>>),
    /// A file, whose bytes were lost.
    Lost(FileRecord),
    /// The origins said lately that there is none.
    Absent,
    /// Nothing.
    Nothing,
}

/// Blob store and index. Clones share them.
#[derive(Clone)]
pub(crate) struct Local {
    blobs: BlobStore,
    index: IndexStore,
    /// Blobs whose bytes were hashed by this process: a disk that damages files is noticed at the first use of each.
    hashed: Arc<Mutex<HashSet<Sha256>>>,
    completing: Arc<SingleFlight<Sha256, Result<FileDigests, RepositoryError>>>,
    /// One blob at a time gets its missing digests: it is work for a core that others may want.
    turn: Arc<Semaphore>,
}

impl Local {
    pub(crate) fn new(blobs: BlobStore, index: IndexStore) -> Self {
        let (hashed, completing) = (Arc::default(), Arc::new(SingleFlight::new()));
        Self { blobs, index, hashed, completing, turn: Arc::new(Semaphore::new(1)) }
    }

    pub(crate) fn blobs(&self) -> &BlobStore {
        &self.blobs
    }

    pub(crate) fn index(&self) -> &IndexStore {
        &self.index
    }

    pub(crate) fn has(&self, sha256: &Sha256) -> bool {
        self.blobs.has(sha256)
    }

    pub(crate) fn blob_path(&self, sha256: &Sha256) -> Option<PathBuf> {
        self.blobs.get(sha256)
    }

    /// What is known here of a path: of its file, or of its absence at `now`.
    pub(crate) async fn known(&self, path: &RepoPath, now: u64) -> Result<Known, RepositoryError> {
        let (here, of) = (self.clone(), path.clone());
        // One turn on a blocking thread for all of it: this is what a request for a file that is here waits for.
        blocking(path, move || {
            let Some(record) = here.index.file(&of).map_err(|error| local(&of, &error))? else {
                let until = here.index.absent(&of).map_err(|error| local(&of, &error))?;
                return Ok(if until.is_some_and(|until| now < until) { Known::Absent } else { Known::Nothing });
            };
            let sha256 = record.digests.sha256;
            if !here.blobs.has(&sha256) {
                return Ok(Known::Lost(record));
            }
            if here.remembered(&sha256) {
                return Ok(Known::Here(record, None));
            }
            if record.digests.size <= FEW && record.digests.others.is_some() {
                // Read once, for this question and for the answer.
                return match here.blobs.read_verified(&sha256) {
                    Ok(bytes) => {
                        here.remember(sha256);
                        Ok(Known::Here(record, Some(bytes.into())))
                    }
                    Err(error) if error.is_loss() => Ok(Known::Lost(record)),
                    Err(error) => Err(local(&of, &error)),
                };
            }
            Ok(match here.examine(&of, &sha256, Some(&record.digests))? {
                Some(digests) => Known::Here(FileRecord { digests, ..record }, None),
                None => Known::Lost(record),
            })
        })
        .await?
    }

    /// Whether the blob is here with the bytes that its name says. The digests of a blob whose path is not in the index
    /// are computed; of others the record's are the same.
    pub(crate) async fn intact(
        &self,
        path: &RepoPath,
        sha256: &Sha256,
    ) -> Result<Option<KnownDigests>, RepositoryError> {
        if !self.blobs.has(sha256) {
            return Ok(None);
        }
        let known = self.record(path).await?.map(|record| record.digests).filter(|known| known.sha256 == *sha256);
        if self.remembered(sha256)
            && let Some(known) = known
        {
            return Ok(Some(known));
        }
        let (here, of, digest) = (self.clone(), path.clone(), *sha256);
        blocking(path, move || here.examine(&of, &digest, known.as_ref())).await?
    }

    /// Hashes a blob. Blocking.
    fn examine(
        &self,
        path: &RepoPath,
        sha256: &Sha256,
        known: Option<&KnownDigests>,
    ) -> Result<Option<KnownDigests>, RepositoryError> {
        let examined = match known {
            // The digest that names it says whether it is damaged; the others are known.
            Some(known) if known.others.is_some() => self.blobs.check(sha256).map(|_| known.clone()),
            _ => self.blobs.verify(sha256).map(KnownDigests::from),
        };
        match examined {
            Ok(digests) => {
                self.remember(*sha256);
                // A node that was stopped before it had computed them.
                if let (Some(KnownDigests { others: None, .. }), Some(all)) = (known, digests.all()) {
                    RepositoryError::spare(self.index.complete(all).map_err(|error| local(path, &error)))?;
                }
                Ok(Some(digests))
            }
            // The store has moved damaged bytes aside; then they are as good as never had.
            Err(error) if error.is_loss() => Ok(None),
            Err(error) => Err(local(path, &error)),
        }
    }

    /// All digests of a blob. They are computed, and recorded for every path that has the blob. Ends even when nobody waits
    /// for it any more.
    pub(crate) async fn complete(&self, path: &RepoPath, sha256: Sha256) -> Result<FileDigests, RepositoryError> {
        let (here, of) = (self.clone(), path.clone());
        let call = move || async move {
            let turn = here.turn.acquire().await;
            let blobs = here.blobs.clone();
            let verified = blocking(&of, move || blobs.verify(&sha256)).await?;
            drop(turn);
            let digests = match verified {
                Ok(digests) => digests,
                Err(BlobError::Corrupt { .. } | BlobError::Missing { .. }) => {
                    return Err(RepositoryError::BytesMissing { path: of, sha256 });
                }
                Err(error) => return Err(local(&of, &error)),
            };
            let all = digests.clone();
            RepositoryError::spare(here.run(&of, move |index| index.complete(all)).await)?;
            Ok(digests)
        };
        self.completing.run(sha256, call).await.map_err(|error| local(path, &error))?
    }

    /// Notes that the bytes of a blob were hashed on their way in.
    pub(crate) fn remember(&self, sha256: Sha256) {
        let mut hashed = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
        if hashed.len() >= HASHED {
            hashed.clear();
        }
        hashed.insert(sha256);
    }

    /// Forgets that the bytes of a blob were in order.
    pub(crate) fn doubt(&self, sha256: &Sha256) {
        self.hashed.lock().unwrap_or_else(PoisonError::into_inner).remove(sha256);
    }

    fn remembered(&self, sha256: &Sha256) -> bool {
        self.hashed.lock().unwrap_or_else(PoisonError::into_inner).contains(sha256)
    }

    pub(crate) async fn read(&self, path: &RepoPath, sha256: &Sha256) -> Result<Vec<u8>, RepositoryError> {
        let (blobs, digest) = (self.blobs.clone(), *sha256);
        blocking(path, move || blobs.read_verified(&digest)).await?.map_err(|error| local(path, &error))
    }

    pub(crate) async fn store(&self, path: &RepoPath, bytes: Vec<u8>) -> Result<KnownDigests, RepositoryError> {
        let blobs = self.blobs.clone();
        let stored = blocking(path, move || blobs.put_bytes(&bytes)).await?.map_err(|error| local(path, &error))?;
        self.remember(stored.digests.sha256);
        Ok(stored.digests)
    }

    pub(crate) async fn record(&self, path: &RepoPath) -> Result<Option<FileRecord>, RepositoryError> {
        let of = path.clone();
        self.run(path, move |index| index.file(&of)).await
    }

    pub(crate) async fn put(&self, record: FileRecord) -> Result<(), RepositoryError> {
        let path = record.path.clone();
        self.run(&path, move |index| index.put_file(record)).await
    }

    pub(crate) async fn pin(&self, record: FileRecord) -> Result<Pinned, RepositoryError> {
        let path = record.path.clone();
        self.run(&path, move |index| index.pin_file(record)).await
    }

    /// Upstream has taken a file back that may change.
    pub(crate) async fn forget(&self, path: &RepoPath) -> Result<(), RepositoryError> {
        let of = path.clone();
        self.run(path, move |index| index.remove_file(&of)).await
    }

    pub(crate) async fn put_absent(&self, path: &RepoPath, now: u64, until: u64) -> Result<(), RepositoryError> {
        let of = path.clone();
        self.run(path, move |index| index.put_absent(&of, now, until)).await
    }

    /// Records bytes that are not served, and says so aloud the first time.
    pub(crate) async fn quarantine(&self, record: QuarantineRecord) -> Result<(), RepositoryError> {
        let path = record.path.clone();
        let (sha256, origin, reason) = (record.sha256, record.origin.clone(), record.reason.clone());
        let recorded = self.run(&path, move |index| index.record_quarantine(record)).await?;
        if recorded.new {
            tracing::error!(
                file.path = %path, file.sha256 = %sha256, origin.id = origin, file.reason = reason,
                "bytes set aside: they are not those of this path"
            );
        }
        if recorded.forgotten > 0 {
            tracing::warn!(
                quarantine.forgotten = recorded.forgotten,
                "records of bytes that were set aside are forgotten, those that were seen first"
            );
        }
        Ok(())
    }

    /// Removes bytes that were stored and are of no use, unless a path has them.
    pub(crate) async fn discard(&self, path: &RepoPath, sha256: Sha256) -> Result<(), RepositoryError> {
        if !self.run(path, move |index| index.uses_blob(&sha256)).await? {
            let blobs = self.blobs.clone();
            blocking(path, move || blobs.remove(&sha256)).await?.map_err(|error| local(path, &error))?;
        }
        Ok(())
    }

    pub(crate) fn touch(&self, path: &RepoPath, now: u64) {
        self.index.touch(path, now);
    }

    async fn run<T: Send + 'static>(
        &self,
        path: &RepoPath,
        work: impl FnOnce(&IndexStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, RepositoryError> {
        self.index.run(work).await.map_err(|error| local(path, &error))
    }
}

async fn blocking<T: Send + 'static>(
    path: &RepoPath,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, RepositoryError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| local(path, &error))
}

fn local(path: &RepoPath, error: &dyn Failure) -> RepositoryError {
    RepositoryError::local(path, error)
}
