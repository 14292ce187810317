//! A network body on its way to disk.

use bytes::{Bytes, BytesMut};
use pyrsia_digest::KnownDigests;
use tokio::task::JoinHandle;

use crate::writer::{BlobWriter, SealedBlob, StoredBlob};
use crate::{BlobError, BlobStore, Expected};

/// Bytes collected before they are hashed and written on a blocking thread; also, with the chunk at hand, all the
/// memory that one writer needs.
const BATCH_BYTES: usize = 512 * 1024;
/// So many bytes later the disk begins to write, so that a large file does not wait for all of it at the end.
const SYNC_BYTES: usize = 16 * 1024 * 1024;
/// Chunks smaller than this are copied together: each may be the only use of a buffer of several KiB.
const SMALL_CHUNK: usize = 4 * 1024;

/// A [`BlobWriter`] for asynchronous sources.
///
/// Chunks are collected and handed to one of tokio's blocking threads a batch at a time, so a slow source holds no
/// thread, and a fast one waits here until the disk has taken its bytes.
///
/// Cancel safety: if the future of a call is dropped before it ends, bytes may be lost, so the writer refuses all
/// further calls with [`BlobError::Interrupted`]. Dropping the writer removes its temporary file, at the latest when
/// the batch under way has been written.
pub struct AsyncBlobWriter {
    /// Absent while a batch is under way, hence also after a call that was cancelled or failed.
    writer: Option<BlobWriter>,
    /// Large chunks as they came: they are not copied.
    batch: Vec<Bytes>,
    /// Small ones that came since the last of them.
    small: BytesMut,
    batched: usize,
    size: u64,
    /// Bytes since the disk was last told to begin.
    unsynced: usize,
    /// The disk at work while further bytes come. Its error is this writer's: the kernel tells it once.
    syncing: Option<JoinHandle<Result<(), BlobError>>>,
}

impl AsyncBlobWriter {
    pub(crate) async fn start(
        store: BlobStore,
        open: fn(&BlobStore) -> Result<BlobWriter, BlobError>,
    ) -> Result<Self, BlobError> {
        let writer = blocking(move || open(&store)).await?;
        Ok(Self {
            writer: Some(writer),
            batch: Vec::new(),
            small: BytesMut::new(),
            batched: 0,
            size: 0,
            unsynced: 0,
            syncing: None,
        })
    }

    /// Appends a chunk.
    ///
    /// # Errors
    /// [`BlobError::Io`], perhaps of an earlier chunk; [`BlobError::Interrupted`].
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), BlobError> {
        if self.writer.is_none() {
            return Err(BlobError::Interrupted);
        }
        self.size = self.size.saturating_add(chunk.len() as u64);
        self.batched = self.batched.saturating_add(chunk.len());
        if chunk.len() < SMALL_CHUNK {
            self.small.extend_from_slice(&chunk);
        } else {
            self.gather_small();
            self.batch.push(chunk);
        }
        if self.batched < BATCH_BYTES {
            return Ok(());
        }
        self.gather_small();
        self.unsynced += std::mem::take(&mut self.batched);
        let batch = std::mem::take(&mut self.batch);
        let mut writer = self.writer.take().ok_or(BlobError::Interrupted)?;
        let writer = blocking(move || {
            write_all(&mut writer, &batch)?;
            Ok(writer)
        })
        .await?;
        if self.unsynced >= SYNC_BYTES {
            self.unsynced = 0;
            self.synced().await?;
            let disk = writer.disk()?;
            self.syncing = Some(tokio::task::spawn_blocking(move || disk.sync()));
        }
        self.writer = Some(writer);
        Ok(())
    }

    fn gather_small(&mut self) {
        if !self.small.is_empty() {
            self.batch.push(std::mem::take(&mut self.small).freeze());
        }
    }

    /// Waits for the disk, if it is at work.
    async fn synced(&mut self) -> Result<(), BlobError> {
        match self.syncing.take() {
            Some(syncing) => syncing.await.map_err(|_| BlobError::Interrupted)?,
            None => Ok(()),
        }
    }

    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends the stream: digests known, nothing visible yet.
    ///
    /// # Errors
    /// [`BlobError::Io`], [`BlobError::Interrupted`].
    pub async fn seal(mut self) -> Result<AsyncSealedBlob, BlobError> {
        self.gather_small();
        let batch = std::mem::take(&mut self.batch);
        let mut writer = self.writer.take().ok_or(BlobError::Interrupted)?;
        self.synced().await?;
        let sealed = blocking(move || {
            write_all(&mut writer, &batch)?;
            writer.seal()
        })
        .await?;
        Ok(AsyncSealedBlob(sealed))
    }

    /// Ends the stream and makes the blob visible.
    ///
    /// # Errors
    /// [`BlobError::Io`], [`BlobError::Interrupted`]; nothing is visible then.
    pub async fn finish(self) -> Result<StoredBlob, BlobError> {
        self.finish_expecting(Expected::default()).await
    }

    /// Ends the stream and makes the blob visible if it is the expected one.
    ///
    /// # Errors
    /// [`BlobError::Unexpected`], [`BlobError::Io`], [`BlobError::Interrupted`]; nothing is visible then.
    pub async fn finish_expecting(self, expected: Expected) -> Result<StoredBlob, BlobError> {
        let sealed = self.seal().await?;
        expected.check(sealed.digests())?;
        sealed.commit().await
    }
}

/// A [`SealedBlob`] of an [`AsyncBlobWriter`]. Dropping it removes the bytes.
pub struct AsyncSealedBlob(SealedBlob);

impl AsyncSealedBlob {
    /// Size and digests of the bytes.
    pub fn digests(&self) -> &KnownDigests {
        self.0.digests()
    }

    /// Makes the bytes durable and visible.
    ///
    /// # Errors
    /// [`BlobError::Io`], [`BlobError::Interrupted`].
    pub async fn commit(self) -> Result<StoredBlob, BlobError> {
        blocking(move || self.0.commit()).await
    }

    /// The same bytes for a caller that commits on a blocking thread of its own, together with other work.
    pub fn into_sealed(self) -> SealedBlob {
        self.0
    }
}

fn write_all(writer: &mut BlobWriter, batch: &[Bytes]) -> Result<(), BlobError> {
    batch.iter().try_for_each(|chunk| writer.write(chunk))
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // The runtime is shutting down, or the closure panicked.
        Err(_) => Err(BlobError::Interrupted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pyrsia_digest::FileDigests;

    fn files_in(folder: std::path::PathBuf) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[tokio::test]
    async fn chunks_of_any_size_become_the_blob() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(dir.path()).unwrap();
        let mut writer = store.async_writer().await.unwrap();
        let mut all = Vec::new();
        for size in [0usize, 1, 400_000, 200_000, 2_000_000, 3] {
            let chunk: Vec<u8> = (0..size).map(|i| (i * 7 + size) as u8).collect();
            all.extend_from_slice(&chunk);
            writer.write(chunk.into()).await.unwrap();
        }
        assert_eq!(writer.size(), all.len() as u64);
        let digests = FileDigests::of(&all);
        let stored = writer.finish_expecting(Expected::exactly(&digests)).await.unwrap();
        assert_eq!(std::fs::read(&stored.path).unwrap(), all);

        let mut writer = store.async_writer_of_name().await.unwrap();
        for chunk in all.chunks(3_000) {
            writer.write(Bytes::copy_from_slice(chunk)).await.unwrap();
        }
        let again = writer.finish_expecting(Expected::sha256(digests.sha256)).await.unwrap();
        assert_eq!((again.path, again.digests.size, again.digests.others), (stored.path, digests.size, None));
        assert_eq!(store.verify(&digests.sha256).unwrap(), digests);
        assert_eq!(files_in(dir.path().join("tmp")), 0);
    }

    #[tokio::test]
    async fn the_disk_works_while_a_large_file_comes_and_its_bytes_are_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(dir.path()).unwrap();
        let mut writer = store.async_writer_of_name().await.unwrap();
        let mut hasher = pyrsia_digest::NameHasher::new();
        let mut worked = false;
        for number in 0..40u8 {
            let chunk = vec![number; 1 << 20];
            hasher.update(&chunk);
            writer.write(chunk.into()).await.unwrap();
            worked |= writer.syncing.is_some();
        }
        assert!(worked, "before the end");
        let expected = hasher.finish();
        assert_eq!(writer.finish().await.unwrap().digests, expected);
        assert_eq!(store.check(&expected.sha256).unwrap(), 40 << 20);
    }

    #[tokio::test]
    async fn a_fault_of_the_disk_is_the_writer_s() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(dir.path()).unwrap();
        let mut writer = store.async_writer().await.unwrap();
        writer.write(Bytes::from_static(b"x")).await.unwrap();
        let fault = BlobError::io("fsync", dir.path())(std::io::ErrorKind::StorageFull.into());
        writer.syncing = Some(tokio::spawn(std::future::ready(Err(fault))));
        assert!(matches!(writer.finish().await, Err(BlobError::Io { action: "fsync", .. })));
        assert_eq!(files_in(dir.path().join("tmp")), 0);
        assert_eq!(store.digests().unwrap().count(), 0);
    }

    #[tokio::test]
    async fn unexpected_bytes_and_dropped_writers_leave_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(dir.path()).unwrap();
        let mut writer = store.async_writer().await.unwrap();
        writer.write(Bytes::from_static(b"evil")).await.unwrap();
        let expected = Expected::sha256(pyrsia_digest::Sha256::of(b"good"));
        assert!(matches!(writer.finish_expecting(expected).await, Err(BlobError::Unexpected(_))));

        let mut writer = store.async_writer().await.unwrap();
        writer.write(vec![1; 2 * BATCH_BYTES].into()).await.unwrap();
        drop(writer);
        assert_eq!(files_in(dir.path().join("tmp")), 0);
        assert_eq!(store.digests().unwrap().count(), 0);
    }

    #[tokio::test(flavor = "current_thread")]
    async fn a_cancelled_write_spoils_the_writer() {
        let dir = tempfile::tempdir().unwrap();
        let store = BlobStore::open(dir.path()).unwrap();
        let mut writer = store.async_writer().await.unwrap();
        // Polled once: the batch is on its way to a blocking thread and the future is dropped.
        let write = writer.write(vec![1; 2 * BATCH_BYTES].into());
        tokio::select! {
            biased;
            _ = write => panic!("the blocking thread cannot have answered within one poll"),
            () = std::future::ready(()) => {}
        }
        assert!(matches!(writer.write(Bytes::from_static(b"x")).await, Err(BlobError::Interrupted)));
        assert!(matches!(writer.finish().await, Err(BlobError::Interrupted)));
    }
}
