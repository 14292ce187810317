//! From a stream of bytes to a visible blob, in steps that cannot be taken in the wrong order:
//! [`BlobWriter`] (bytes arrive) -> [`SealedBlob`] (digests known, not visible) -> [`StoredBlob`].

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use pyrsia_digest::{KnownDigests, MultiHasher, NameHasher};
use tempfile::NamedTempFile;

use crate::store::BlobStore;
use crate::{BlobError, Expected};

/// A blob that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlob {
    /// Size and digests of the bytes, as computed while they were written.
    pub digests: KnownDigests,
    /// The file that holds them.
    pub path: PathBuf,
}

/// A blob that is being written to a temporary file of the store. Dropping it removes the file.
pub struct BlobWriter {
    store: BlobStore,
    file: BufWriter<NamedTempFile>,
    hasher: Hasher,
}

/// A second handle of a file that is being written.
pub(crate) struct Disk {
    file: File,
    path: PathBuf,
}

impl Disk {
    /// Waits until what was written so far is on the disk.
    pub(crate) fn sync(self) -> Result<(), BlobError> {
        self.file.sync_data().map_err(BlobError::io("fsync", self.path))
    }
}

/// What is computed while bytes come.
enum Hasher {
    All(Box<MultiHasher>),
    Name(NameHasher),
}

impl Hasher {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::All(hasher) => hasher.update(bytes),
            Self::Name(hasher) => hasher.update(bytes),
        }
    }

    fn finish(self) -> KnownDigests {
        match self {
            Self::All(hasher) => hasher.finish().into(),
            Self::Name(hasher) => hasher.finish(),
        }
    }
}

/// Complete bytes with known digests that nobody can see yet. Dropping it removes them.
pub struct SealedBlob {
    store: BlobStore,
    file: NamedTempFile,
    digests: KnownDigests,
}

impl BlobWriter {
    /// A writer that computes all digests.
    pub(crate) fn new(store: BlobStore, file: NamedTempFile) -> Self {
        Self::with(store, file, Hasher::All(Box::default()))
    }

    /// A writer that computes the SHA-256 alone.
    pub(crate) fn of_name(store: BlobStore, file: NamedTempFile) -> Self {
        Self::with(store, file, Hasher::Name(NameHasher::new()))
    }

    fn with(store: BlobStore, file: NamedTempFile, hasher: Hasher) -> Self {
        Self { store, file: BufWriter::with_capacity(64 * 1024, file), hasher }
    }

    /// Appends bytes.
    ///
    /// # Errors
    /// [`BlobError::Io`], after which the writer is of no further use.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), BlobError> {
        self.hasher.update(bytes);
        self.file.write_all(bytes).map_err(|source| BlobError::Io {
            action: "write to",
            path: self.file.get_ref().path().to_path_buf(),
            source,
        })
    }

    /// The file, for somebody who tells the disk to begin with what was written.
    pub(crate) fn disk(&self) -> Result<Disk, BlobError> {
        let file = self.file.get_ref();
        let handle = file.as_file().try_clone().map_err(BlobError::io("open again", file.path()))?;
        Ok(Disk { file: handle, path: file.path().to_owned() })
    }

    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        match &self.hasher {
            Hasher::All(hasher) => hasher.size(),
            Hasher::Name(hasher) => hasher.size(),
        }
    }

    /// Ends the stream. The digests are known then, and the caller may still decide against the bytes.
    ///
    /// # Errors
    /// [`BlobError::Io`] if the last bytes cannot be written.
    pub fn seal(self) -> Result<SealedBlob, BlobError> {
        let path = self.file.get_ref().path().to_path_buf();
        let file = self.file.into_inner().map_err(|e| BlobError::io("write to", path)(e.into_error()))?;
        Ok(SealedBlob { store: self.store, file, digests: self.hasher.finish() })
    }

    /// Seals and commits without expectations.
    ///
    /// # Errors
    /// [`BlobError::Io`]; nothing is visible then.
    pub fn finish(self) -> Result<StoredBlob, BlobError> {
        self.seal()?.commit()
    }

    /// Seals, checks and commits.
    ///
    /// # Errors
    /// [`BlobError::Unexpected`] or [`BlobError::Io`]; nothing is visible then.
    pub fn finish_expecting(self, expected: &Expected) -> Result<StoredBlob, BlobError> {
        let sealed = self.seal()?;
        expected.check(&sealed.digests)?;
        sealed.commit()
    }
}

impl Write for BlobWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = self.file.write(bytes)?;
        self.hasher.update(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.flush()
    }
}

impl SealedBlob {
    /// Size and digests of the bytes: all, unless the writer was one for the name alone.
    pub fn digests(&self) -> &KnownDigests {
        &self.digests
    }

    /// The temporary file, for a look at the bytes before the decision.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Makes the bytes durable and visible: fsync of the file, rename to its digest, fsync of the directory.
    ///
    /// # Errors
    /// [`BlobError::Io`]. If the error is about the last fsync the blob may be visible already; it is complete even so.
    pub fn commit(self) -> Result<StoredBlob, BlobError> {
        let path = self.store.path_of(&self.digests.sha256);
        self.file.as_file().sync_all().map_err(BlobError::io("fsync", self.file.path()))?;
        let folder = self.store.make_folder_of(&self.digests.sha256)?;
        self.file.persist(&path).map_err(|e| BlobError::io("rename a new blob to", &path)(e.error))?;
        self.store.written().fetch_add(self.digests.size, Ordering::Relaxed);
        crate::store::fsync_folder(&folder)?;
        Ok(StoredBlob { digests: self.digests, path })
    }
}
