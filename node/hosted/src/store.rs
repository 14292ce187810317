//! A repository: requests answered, uploads carried out.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use maven_layout::{ChecksumAlgorithm, MetadataLevel, RepoPath, metadata};
use pyrsia_blobs::{BlobError, BlobStore, SealedBlob};
use pyrsia_digest::{FileDigests, Sha256};
use pyrsia_repository::{Answer, Generated, Provenance, RepositoryError, ServedFile};

use crate::decide::{Accepts, Kind, admit, check_document, kind};
use crate::entry::Entry;
use crate::error::{HostedError, Refused};
use crate::fresh::Fresh;
use crate::id::RepositoryId;
use crate::tree::Tree;
use crate::upload::{Stored, Upload};

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
}

/// A hosted repository. Clones share it.
#[derive(Clone)]
pub struct Hosted {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: HostedConfig,
    pub(crate) blobs: BlobStore,
    tree: Tree,
    fresh: Fresh,
    /// Who changes entries holds it: what is compared is what is changed.
    changing: Mutex<()>,
    /// Blobs whose bytes were hashed by this process: a disk that damages files is noticed at the first use of each.
    hashed: Mutex<HashSet<Sha256>>,
    clock: Clock,
}

impl Hosted {
    /// Opens the repository in a folder, which is made if needed, and removes what was never finished there.
    ///
    /// # Errors
    /// [`HostedError`] if the folder cannot be used.
    pub fn open(config: HostedConfig, root: &Path, clock: Clock) -> Result<Self, HostedError> {
        std::fs::create_dir_all(root).map_err(HostedError::io("create", root))?;
        let blobs = BlobStore::open(root.join("blobs"))?;
        let tree = Tree::open(root)?;
        let (fresh, changing, hashed) = Default::default();
        Ok(Self { inner: Arc::new(Inner { config, blobs, tree, fresh, changing, hashed, clock }) })
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

    /// Begins an upload of so many bytes, if the client says how many: after this its body may be asked for.
    ///
    /// # Errors
    /// [`HostedError::Refused`] for what is refused whatever its bytes are, and failures of the disk.
    pub async fn begin(&self, path: &RepoPath, length: Option<u64>) -> Result<Upload, HostedError> {
        let kind = admit(path, self.inner.config.accepts)?;
        Upload::begin(Arc::clone(&self.inner), path.clone(), kind, length).await
    }
}

impl Inner {
    /// Blocking.
    fn answer(&self, path: &RepoPath) -> Result<Answer, HostedError> {
        match kind(path) {
            None => Ok(Answer::Absent),
            Some(Kind::File) => self.file(path),
            Some(Kind::Document(_)) => Ok(match self.tree.document(path)? {
                Some(found) => Answer::Generated(Generated {
                    provenance: Some(Provenance::Hosted),
                    ..Generated::new(path.clone(), found.bytes, found.modified)
                }),
                None => Answer::Absent,
            }),
            Some(Kind::Checksum { of, of_document, algorithm }) => self.checksum(path, &of, of_document, algorithm),
        }
    }

    fn file(&self, path: &RepoPath) -> Result<Answer, HostedError> {
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
            immutable: true,
            bytes: None,
        }))
    }

    fn checksum(
        &self,
        path: &RepoPath,
        of: &RepoPath,
        of_document: bool,
        algorithm: ChecksumAlgorithm,
    ) -> Result<Answer, HostedError> {
        let (text, modified, immutable) = if of_document {
            let Some(found) = self.tree.document(of)? else { return Ok(Answer::Absent) };
            (FileDigests::of(&found.bytes).checksum(algorithm), found.modified, false)
        } else {
            let Some(entry) = self.entry_for_reader(of)? else { return Ok(Answer::Absent) };
            (entry.digests.checksum(algorithm), Some(entry.stored), true)
        };
        Ok(Answer::Generated(Generated { immutable, ..Generated::new(path.clone(), text.into_bytes(), modified) }))
    }

    /// The entry for somebody who relies on it from now on. Settled first: a file that is taken back meanwhile is not found.
    fn entry_for_reader(&self, path: &RepoPath) -> Result<Option<Entry>, HostedError> {
        self.fresh.settle(path);
        self.tree.entry(path)
    }

    /// The size of the file at a path, if there is one. Blocking.
    pub(crate) fn size_of(&self, path: &RepoPath) -> Result<Option<u64>, HostedError> {
        Ok(self.tree.entry(path)?.map(|entry| entry.digests.size))
    }

    /// Gives a path these bytes. Blocking.
    pub(crate) fn commit(&self, path: &RepoPath, sealed: SealedBlob, writer: &str) -> Result<Stored, HostedError> {
        let digests = sealed.digests().all().ok_or(HostedError::Stopping)?;
        let _changing = self.change();
        match self.tree.entry(path)? {
            Some(held) if held.digests == digests => {
                if !self.blobs.has(&digests.sha256) {
                    // They were damaged or lost, and come back.
                    sealed.commit()?;
                }
                Ok(Stored::Unchanged)
            }
            Some(held) => Err(Refused::Immutable { path: path.clone(), held: Some(held.digests.sha256) }.into()),
            None => {
                let sha256 = digests.sha256;
                sealed.commit()?;
                let now = (self.clock)();
                self.tree.create(path, &Entry { digests, stored: now, writer: writer.to_owned() })?;
                self.remember(sha256);
                self.fresh.note(path, writer, now);
                tracing::info!(
                    hosted.repository = %self.config.id, hosted.writer = writer, file.path = %path, file.sha256 = %sha256,
                    "a file was uploaded"
                );
                Ok(Stored::New)
            }
        }
    }

    /// Merges a document into the one that is there. Blocking.
    pub(crate) fn merge(
        &self,
        path: &RepoPath,
        level: &MetadataLevel,
        bytes: &[u8],
        writer: &str,
    ) -> Result<Stored, HostedError> {
        let wrong = |source| Refused::Document { path: path.clone(), source };
        let theirs = metadata::parse(bytes).map_err(wrong)?;
        check_document(path, level, &theirs, self.config.accepts)?;
        let _changing = self.change();
        let held = self.tree.document(path)?;
        let merged = match &held {
            Some(held) => {
                let ours = metadata::parse(&held.bytes)
                    .map_err(|error| HostedError::Entry { path: path.clone(), detail: error.to_string() })?;
                metadata::merge(ours, theirs).map_err(wrong)?
            }
            None => theirs,
        };
        let merged = metadata::write(&merged);
        if merged.len() as u64 > metadata::MAX_BYTES {
            return Err(Refused::TooLarge { path: path.clone(), limit: metadata::MAX_BYTES }.into());
        }
        match held {
            Some(held) if held.bytes == merged.as_bytes() => Ok(Stored::Unchanged),
            held => {
                self.tree.replace(path, merged.as_bytes())?;
                tracing::info!(
                    hosted.repository = %self.config.id, hosted.writer = writer, file.path = %path, "a document was merged"
                );
                Ok(if held.is_some() { Stored::Changed } else { Stored::New })
            }
        }
    }

    /// Compares what a checksum file says with what is here. Blocking.
    ///
    /// A checksum of a document is the one of the client's own document, which was merged into another: it is taken when it
    /// looks like one.
    pub(crate) fn compare(
        &self,
        path: &RepoPath,
        of: &RepoPath,
        of_document: bool,
        algorithm: ChecksumAlgorithm,
        bytes: &[u8],
        writer: &str,
    ) -> Result<Stored, HostedError> {
        let shown = checksum_in(bytes, algorithm).ok_or_else(|| Refused::Checksum { path: path.clone(), algorithm })?;
        let nothing = || HostedError::from(Refused::NothingToCheck { path: path.clone() });
        let _changing = self.change();
        if of_document {
            return self.tree.document(of)?.map(|_| Stored::Unchanged).ok_or_else(nothing);
        }
        let entry = self.tree.entry(of)?.ok_or_else(nothing)?;
        let held = entry.digests.checksum(algorithm);
        if held == shown {
            self.fresh.settle(of);
            return Ok(Stored::Unchanged);
        }
        let taken_back = self.fresh.take_back(of, writer, (self.clock)(), || self.tree.remove(of))?;
        tracing::warn!(
            hosted.repository = %self.config.id, hosted.writer = writer, file.path = %of, hosted.taken_back = taken_back,
            "an upload is not what its checksum says"
        );
        Err(Refused::Mismatch { path: of.clone(), shown, held, taken_back }.into())
    }

    fn change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn was_hashed(&self, sha256: &Sha256) -> bool {
        self.hashed.lock().unwrap_or_else(PoisonError::into_inner).contains(sha256)
    }

    fn remember(&self, sha256: Sha256) {
        let mut hashed = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
        if hashed.len() >= HASHED {
            hashed.clear();
        }
        hashed.insert(sha256);
    }
}

/// The checksum in a checksum file, in lower case: its first word, or behind the file's name (`SHA1 (a.jar) = …`) its last.
fn checksum_in(bytes: &[u8], algorithm: ChecksumAlgorithm) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let digits = match algorithm {
        ChecksumAlgorithm::Md5 => 32,
        ChecksumAlgorithm::Sha1 => 40,
        ChecksumAlgorithm::Sha256 => 64,
        ChecksumAlgorithm::Sha512 => 128,
    };
    let is_one = |word: &&str| word.len() == digits && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    let mut words = text.split_whitespace();
    let first = words.next().filter(is_one);
    first.or_else(|| words.next_back().filter(is_one)).map(str::to_ascii_lowercase)
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
