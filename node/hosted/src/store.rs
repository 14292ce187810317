//! A repository: requests answered, uploads carried out.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use maven_layout::{ChecksumAlgorithm, RepoPath};
use pyrsia_blobs::{BlobError, BlobStore};
use pyrsia_digest::{FileDigests, Sha256};
use pyrsia_repository::{Answer, Generated, Provenance, RepositoryError, ServedFile};

use crate::decide::{Accepts, Kind, admit, kind};
use crate::entry::Entry;
use crate::error::HostedError;
use crate::fresh::Fresh;
use crate::gone::Gone;
use crate::id::RepositoryId;
use crate::room::Room;
use crate::tree::{Tree, sync};
use crate::upload::Upload;

/// Blobs remembered as hashed since the start; beyond it the memory begins anew.
const HASHED: usize = 100_000;

/// Seconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What a repository is.
#[derive(Debug, Clone)]
pub struct HostedConfig {
    /// Its name.
    pub id: RepositoryId,
    /// What it accepts.
    pub accepts: Accepts,
    /// Largest file, in bytes.
    pub max_file: u64,
    /// Most bytes of all stored files together, of those too that were removed or replaced and not collected yet; none: no limit.
    pub max_bytes: Option<u64>,
}

/// A hosted repository. Clones share it.
#[derive(Clone)]
pub struct Hosted {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: HostedConfig,
    pub(crate) blobs: BlobStore,
    pub(crate) tree: Tree,
    /// How much more is taken.
    pub(crate) room: Room,
    pub(crate) fresh: Fresh,
    /// What was taken away, see `gone`.
    pub(crate) gone: Gone,
    /// Who changes entries holds it: what is compared is what is changed.
    pub(crate) changing: Mutex<()>,
    /// Blobs whose bytes were hashed by this process: a disk that damages files is noticed at the first use of each.
    hashed: Mutex<HashSet<Sha256>>,
    pub(crate) clock: Clock,
}

impl Hosted {
    /// Opens the repository in a folder, which is made if needed, and removes what was never finished there.
    ///
    /// # Errors
    /// [`HostedError`] if the folder cannot be used.
    pub fn open(config: HostedConfig, root: &Path, clock: Clock) -> Result<Self, HostedError> {
        make_durably(root)?;
        let blobs = BlobStore::open(root.join("blobs"))?;
        let room = Room::count(config.max_bytes, &blobs)?;
        let tree = Tree::open(root)?;
        let gone = Gone::open(root)?;
        let (fresh, changing, hashed) = Default::default();
        Ok(Self { inner: Arc::new(Inner { config, blobs, tree, room, fresh, gone, changing, hashed, clock }) })
    }

    /// Its name.
    pub fn id(&self) -> &RepositoryId {
        &self.inner.config.id
    }

    /// What to answer to a request for a path.
    ///
    /// # Errors
    /// [`RepositoryError::Local`]; never for a file that is merely absent.
    pub async fn get(&self, path: &RepoPath) -> Result<Answer, RepositoryError> {
        let (inner, of) = (Arc::clone(&self.inner), path.clone());
        let found = tokio::task::spawn_blocking(move || inner.answer(&of)).await;
        let found = found.map_err(|_| HostedError::Stopping).and_then(|answer| answer);
        found.map_err(|error| {
            let detail = if matches!(&error, HostedError::Blob(lost) if lost.is_loss()) {
                // No other place has them.
                format!("{error}; upload the same file again, or restore the repository's folder from a backup")
            } else {
                error.to_string()
            };
            RepositoryError::Local { path: path.clone(), detail }
        })
    }

    /// Says that the bytes of a file turned out not to be what they should: they are hashed before they are handed out again, and
    /// an upload of the right ones puts these in their place.
    pub fn doubt(&self, sha256: &Sha256) {
        self.inner.hashed.lock().unwrap_or_else(PoisonError::into_inner).remove(sha256);
    }

    /// Begins an upload of so many bytes, if the client says how many: after this its body may be asked for.
    ///
    /// # Errors
    /// [`HostedError::Refused`] for what is refused whatever its bytes are, and failures of the disk.
    pub async fn begin(&self, path: &RepoPath, length: Option<u64>) -> Result<Upload, HostedError> {
        let kind = admit(path, self.inner.config.accepts)?;
        Upload::begin(Arc::clone(&self.inner), path.clone(), kind, length).await
    }
}

/// Makes a folder with those around it: what is uploaded into a new repository survives a power cut only if its name does.
fn make_durably(root: &Path) -> Result<(), HostedError> {
    std::fs::create_dir_all(root).map_err(HostedError::io("create", root))?;
    // The data directory itself is older than this.
    root.ancestors().skip(1).take(2).filter(|outer| !outer.as_os_str().is_empty()).try_for_each(sync)
}

impl Inner {
    /// Blocking.
    pub(crate) fn answer(&self, path: &RepoPath) -> Result<Answer, HostedError> {
        match kind(path) {
            None => Ok(Answer::Absent),
            Some(Kind::File { stays }) => self.file(path, stays),
            Some(Kind::Document(level)) => Ok(match self.document_for_reader(path, &level)? {
                Some(found) => Answer::Generated(Generated {
                    provenance: Some(Provenance::Hosted),
                    ..Generated::new(path.clone(), found.bytes, found.modified)
                }),
                None => Answer::Absent,
            }),
            Some(Kind::Checksum { of, algorithm, .. }) => self.checksum(path, &of, algorithm),
        }
    }

    fn file(&self, path: &RepoPath, stays: bool) -> Result<Answer, HostedError> {
        let Some(entry) = self.entry_for_reader(path)? else { return Ok(Answer::Absent) };
        let sha256 = entry.digests.sha256;
        if !self.was_hashed(&sha256) {
            self.blobs.check(&sha256)?;
            self.remember(sha256);
        }
        Ok(Answer::File(ServedFile {
            path: path.clone(),
            blob_path: self.blobs.get(&sha256).ok_or(BlobError::Missing { digest: sha256 })?,
            digests: entry.digests.into(),
            last_modified: entry.stored,
            first_seen: entry.stored,
            upstream_modified: None,
            provenance: Provenance::Hosted,
            immutable: stays,
            bytes: None,
        }))
    }

    fn checksum(&self, path: &RepoPath, of: &RepoPath, algorithm: ChecksumAlgorithm) -> Result<Answer, HostedError> {
        let (text, modified, immutable) = if let Some(Kind::Document(level)) = kind(of) {
            let Some(found) = self.document_for_reader(of, &level)? else { return Ok(Answer::Absent) };
            (FileDigests::of(&found.bytes).checksum(algorithm), found.modified, false)
        } else {
            let Some(entry) = self.entry_for_reader(of)? else { return Ok(Answer::Absent) };
            (entry.digests.checksum(algorithm), Some(entry.stored), kind(of) == Some(Kind::File { stays: true }))
        };
        Ok(Answer::Generated(Generated { immutable, ..Generated::new(path.clone(), text.into_bytes(), modified) }))
    }

    /// The entry for somebody who relies on it from now on. Settled first: a file that is taken back meanwhile is not found.
    fn entry_for_reader(&self, path: &RepoPath) -> Result<Option<Entry>, HostedError> {
        self.fresh.settle(path);
        self.tree.entry(path)
    }

    pub(crate) fn was_hashed(&self, sha256: &Sha256) -> bool {
        self.hashed.lock().unwrap_or_else(PoisonError::into_inner).contains(sha256)
    }

    pub(crate) fn remember(&self, sha256: Sha256) {
        let mut hashed = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
        if hashed.len() >= HASHED {
            hashed.clear();
        }
        hashed.insert(sha256);
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
