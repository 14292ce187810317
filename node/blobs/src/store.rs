//! The directory.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use pyrsia_digest::{FileDigests, MultiHasher, NameHasher, Sha256};
use tempfile::NamedTempFile;

use crate::writer::BlobWriter;
use crate::{AsyncBlobWriter, BlobError, StoredBlob};

/// Largest blob, in bytes, that [`BlobStore::read_verified`] reads into memory.
pub const MAX_READ_BYTES: u64 = 256 * 1024 * 1024;

const TEMP_PREFIX: &str = "incoming-";

/// A directory of blobs. Clones share it.
#[derive(Debug, Clone)]
pub struct BlobStore {
    root: Arc<Path>,
    written: Arc<AtomicU64>,
}

impl BlobStore {
    /// Opens a directory, making it if needed, and removes what interrupted writers left there.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn open(dir: impl AsRef<Path>) -> Result<Self, BlobError> {
        let root = dir.as_ref();
        let new = !root.exists();
        let folders = (0..=u8::MAX).map(|byte| format!("sha256/{byte:02x}"));
        for folder in ["tmp", "corrupt"].map(str::to_owned).into_iter().chain(folders) {
            let folder = root.join(folder);
            fs::create_dir_all(&folder).map_err(BlobError::io("create", &folder))?;
        }
        fsync_folder(&root.join("sha256"))?;
        fsync_folder(root)?;
        if let (true, Some(parent)) = (new, root.parent().filter(|p| !p.as_os_str().is_empty())) {
            fsync_folder(parent)?;
        }
        let store = Self { root: Arc::from(root), written: Arc::default() };
        store.sweep()?;
        Ok(store)
    }

    /// Starts a new blob in a temporary file of the same file system.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn writer(&self) -> Result<BlobWriter, BlobError> {
        Ok(BlobWriter::new(self.clone(), self.temporary_file()?))
    }

    /// The same for a large file that is known by its SHA-256: no other digest is computed on the way, which takes several
    /// times as long ([`BlobStore::verify`] computes them later).
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn writer_of_name(&self) -> Result<BlobWriter, BlobError> {
        Ok(BlobWriter::of_name(self.clone(), self.temporary_file()?))
    }

    fn temporary_file(&self) -> Result<NamedTempFile, BlobError> {
        let folder = self.root.join("tmp");
        let file = tempfile::Builder::new()
            .prefix(TEMP_PREFIX)
            .tempfile_in(&folder)
            .map_err(BlobError::io("create a temporary file in", &folder))?;
        // The lock tells a sweep, which only another store over the same directory could run, that it is in use.
        // A file system without locks does not matter: the directory has one node.
        let _ = file.as_file().try_lock();
        Ok(file)
    }

    /// Starts a new blob whose bytes come from an asynchronous source.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub async fn async_writer(&self) -> Result<AsyncBlobWriter, BlobError> {
        AsyncBlobWriter::start(self.clone(), BlobStore::writer).await
    }

    /// The asynchronous form of [`BlobStore::writer_of_name`].
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub async fn async_writer_of_name(&self) -> Result<AsyncBlobWriter, BlobError> {
        AsyncBlobWriter::start(self.clone(), BlobStore::writer_of_name).await
    }

    /// The file of a blob, if the store has it. It is not hashed again: see [`BlobStore::verify`].
    pub fn get(&self, digest: &Sha256) -> Option<PathBuf> {
        let path = self.path_of(digest);
        path.is_file().then_some(path)
    }

    /// True if the store has the blob.
    pub fn has(&self, digest: &Sha256) -> bool {
        self.get(digest).is_some()
    }

    /// What the file system says of a blob's file, if the store has it. It was modified when it was stored last.
    pub fn metadata(&self, digest: &Sha256) -> Option<fs::Metadata> {
        fs::metadata(self.path_of(digest)).ok().filter(fs::Metadata::is_file)
    }

    /// Size of a blob in bytes, if the store has it.
    pub fn size(&self, digest: &Sha256) -> Option<u64> {
        self.metadata(digest).map(|file| file.len())
    }

    /// Bytes that were stored since the store was opened, those of blobs that were there already included: while it stays as it
    /// is, nothing was added.
    pub fn written(&self) -> &AtomicU64 {
        &self.written
    }

    /// Stores bytes held in memory.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn put_bytes(&self, bytes: &[u8]) -> Result<StoredBlob, BlobError> {
        let mut writer = self.writer()?;
        writer.write(bytes)?;
        writer.finish()
    }

    /// Stores a copy of a file. The file itself is left alone, and what others do to it later does not matter.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn import_file(&self, path: impl AsRef<Path>) -> Result<StoredBlob, BlobError> {
        let path = path.as_ref();
        let mut file = File::open(path).map_err(BlobError::io("open", path))?;
        let mut writer = self.writer()?;
        for_each_chunk(&mut file, path, |chunk| writer.write(chunk))?;
        writer.finish()
    }

    /// Reads a blob into memory and hashes it on the way.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::TooLarge`] above [`MAX_READ_BYTES`], [`BlobError::Corrupt`] (the damaged
    /// file has been moved aside, so that the blob can be fetched again), [`BlobError::Io`].
    pub fn read_verified(&self, digest: &Sha256) -> Result<Vec<u8>, BlobError> {
        let (mut file, path) = self.open_blob(digest)?;
        let size = file.metadata().map_err(BlobError::io("read the size of", &path))?.len();
        if size > MAX_READ_BYTES {
            return Err(BlobError::TooLarge { digest: *digest, size, limit: MAX_READ_BYTES });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // One byte more than measured: a file that grows meanwhile is damaged, and is found out by its digest.
        file.by_ref().take(size.saturating_add(1)).read_to_end(&mut bytes).map_err(BlobError::io("read", &path))?;
        let found = Sha256::of(&bytes);
        if found != *digest {
            return Err(self.move_aside(digest, found, &path));
        }
        Ok(bytes)
    }

    /// Hashes a blob of any size again and returns all of its digests.
    ///
    /// # Errors
    /// [`BlobError::Missing`], [`BlobError::Corrupt`] (the damaged file has been moved aside), [`BlobError::Io`].
    pub fn verify(&self, digest: &Sha256) -> Result<FileDigests, BlobError> {
        let mut hasher = MultiHasher::new();
        let path = self.read_through(digest, |chunk| hasher.update(chunk))?;
        let digests = hasher.finish();
        if digests.sha256 != *digest {
            return Err(self.move_aside(digest, digests.sha256, &path));
        }
        Ok(digests)
    }

    /// Hashes a blob of any size again, by nothing but SHA-256, and returns its size in bytes: several times as fast as
    /// [`BlobStore::verify`].
    ///
    /// # Errors
    /// Those of [`BlobStore::verify`].
    pub fn check(&self, digest: &Sha256) -> Result<u64, BlobError> {
        let mut hasher = NameHasher::new();
        let path = self.read_through(digest, |chunk| hasher.update(chunk))?;
        let found = hasher.finish();
        if found.sha256 != *digest {
            return Err(self.move_aside(digest, found.sha256, &path));
        }
        Ok(found.size)
    }

    fn read_through(&self, digest: &Sha256, mut take: impl FnMut(&[u8])) -> Result<PathBuf, BlobError> {
        let (mut file, path) = self.open_blob(digest)?;
        for_each_chunk(&mut file, &path, |chunk| {
            take(chunk);
            Ok(())
        })?;
        Ok(path)
    }

    /// Removes a blob. One that is not there is no error; a reader that has it open keeps its bytes.
    ///
    /// # Errors
    /// [`BlobError::Io`].
    pub fn remove(&self, digest: &Sha256) -> Result<(), BlobError> {
        let path = self.path_of(digest);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(BlobError::io("remove", path)(e)),
            _ => Ok(()),
        }
    }

    /// The digests of all blobs in the store, in order, folder by folder as the iterator advances: what the index is
    /// rebuilt from. Names that are no digest, which this store never makes, are passed over.
    ///
    /// # Errors
    /// [`BlobError::Io`] if the list of folders cannot be read; for one folder, as an item.
    pub fn digests(&self) -> Result<impl Iterator<Item = Result<Sha256, BlobError>> + use<>, BlobError> {
        let folders = names_in(&self.root.join("sha256"))?;
        let folders = folders.into_iter().filter(|folder| folder.is_dir());
        Ok(folders.flat_map(|folder| match names_in(&folder) {
            Err(e) => vec![Err(e)],
            Ok(files) => {
                let name = |path: PathBuf| path.file_name()?.to_str()?.parse::<Sha256>().ok();
                files.into_iter().filter_map(name).map(Ok).collect()
            }
        }))
    }

    /// The directory that the store was opened with.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path_of(&self, digest: &Sha256) -> PathBuf {
        let hex = digest.to_string();
        self.root.join("sha256").join(&hex[..2]).join(hex)
    }

    /// Makes sure that the folder of a digest exists durably.
    pub(crate) fn make_folder_of(&self, digest: &Sha256) -> Result<PathBuf, BlobError> {
        let parent = self.root.join("sha256");
        let folder = parent.join(&digest.to_string()[..2]);
        match fs::create_dir(&folder) {
            // Removed since the store was opened, which makes all of them: two writers that do not wait for each other would
            // not know whether the other one's folder is durable yet.
            Ok(()) => fsync_folder(&parent)?,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(BlobError::io("create", &folder)(e)),
        }
        Ok(folder)
    }

    fn open_blob(&self, digest: &Sha256) -> Result<(File, PathBuf), BlobError> {
        let path = self.path_of(digest);
        match File::open(&path) {
            Ok(file) => Ok((file, path)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Err(BlobError::Missing { digest: *digest }),
            Err(e) => Err(BlobError::io("open", path)(e)),
        }
    }

    /// Takes a damaged file out of the store; a later one of the same name replaces an earlier one.
    fn move_aside(&self, digest: &Sha256, found: Sha256, path: &Path) -> BlobError {
        let moved_to = self.root.join("corrupt").join(digest.to_string());
        tracing::error!(blob.digest = %digest, blob.found = %found, "damaged blob moved aside");
        match fs::rename(path, &moved_to) {
            // Somebody else who read it has moved it already.
            Err(e) if e.kind() != io::ErrorKind::NotFound => BlobError::io("move aside", path)(e),
            _ => BlobError::Corrupt { digest: *digest, found, moved_to },
        }
    }

    fn sweep(&self) -> Result<(), BlobError> {
        for path in names_in(&self.root.join("tmp"))? {
            let ours = path.file_name().and_then(|n| n.to_str()).is_some_and(|n| n.starts_with(TEMP_PREFIX));
            if !ours {
                continue;
            }
            let in_use = match File::open(&path) {
                Ok(file) => matches!(file.try_lock(), Err(TryLockError::WouldBlock)),
                Err(_) => false,
            };
            if in_use {
                continue;
            }
            match fs::remove_file(&path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(BlobError::io("remove", path)(e));
                }
                _ => tracing::debug!(file.path = %path.display(), "removed an unfinished blob"),
            }
        }
        Ok(())
    }
}

/// Makes renames and creations in a directory durable.
pub(crate) fn fsync_folder(folder: &Path) -> Result<(), BlobError> {
    File::open(folder).and_then(|f| f.sync_all()).map_err(BlobError::io("fsync", folder))
}

pub(crate) fn names_in(folder: &Path) -> Result<Vec<PathBuf>, BlobError> {
    let read = || -> io::Result<Vec<PathBuf>> {
        let mut paths = fs::read_dir(folder)?.map(|e| Ok(e?.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    };
    read().map_err(BlobError::io("list", folder))
}

fn for_each_chunk(
    file: &mut File,
    path: &Path,
    mut take: impl FnMut(&[u8]) -> Result<(), BlobError>,
) -> Result<(), BlobError> {
    let mut buffer = vec![0u8; 256 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(n) => take(&buffer[..n])?,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(BlobError::io("read", path)(e)),
        }
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
