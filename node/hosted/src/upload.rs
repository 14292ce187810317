//! An upload on its way.

use std::sync::Arc;

use bytes::Bytes;
use maven_layout::RepoPath;
use pyrsia_blobs::AsyncBlobWriter;

use crate::decide::Kind;
use crate::error::{HostedError, Refused};
use crate::room::{NoRoom, Reserved};
use crate::store::Inner;

/// Largest `maven-metadata.xml` that is taken, in bytes.
const DOCUMENT_BYTES: u64 = 2 * 1024 * 1024;
/// Largest checksum file, in bytes: a SHA-512 with a long name behind it.
const CHECKSUM_BYTES: u64 = 4 * 1024;

/// What an upload did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// There was nothing at the path.
    New,
    /// A document has been added to, or a file that is of no build was replaced.
    Changed,
    /// The path had these bytes already, or a checksum was right.
    Unchanged,
}

/// An upload that was begun. Dropping it leaves nothing behind.
pub struct Upload {
    inner: Arc<Inner>,
    path: RepoPath,
    kind: Kind,
    limit: u64,
    size: u64,
    bytes: Arriving,
}

enum Arriving {
    /// To the disk, into room that is kept for them; no room for what is here already, which is the same bytes or refused.
    File { writer: Box<AsyncBlobWriter>, room: Option<Reserved> },
    /// To memory: these are few.
    Few(Vec<u8>),
}

impl Upload {
    pub(crate) async fn begin(
        inner: Arc<Inner>,
        path: RepoPath,
        kind: Kind,
        length: Option<u64>,
    ) -> Result<Self, HostedError> {
        let limit = match kind {
            Kind::File { .. } => inner.config.max_file,
            Kind::Document(_) => DOCUMENT_BYTES.min(inner.config.max_file),
            Kind::Checksum { .. } => CHECKSUM_BYTES,
        };
        if length.is_some_and(|length| length > limit) {
            return Err(Refused::TooLarge { path, limit }.into());
        }
        let bytes = if let Kind::File { stays } = kind {
            let (of, here) = (path.clone(), Arc::clone(&inner));
            let held = tokio::task::spawn_blocking(move || here.size_of(&of)).await;
            let held = held.map_err(|_| HostedError::Stopping)??;
            // Whether the bytes are the same ones is known when they have come; that they are not, perhaps now.
            if stays && held.is_some_and(|held| length.is_some_and(|length| length != held)) {
                return Err(Refused::Immutable { path, held: None }.into());
            }
            let mut room = (!stays || held.is_none()).then(|| inner.room.none());
            if let (Some(room), Some(length)) = (&mut room, length) {
                room.at_least(length).map_err(|none| full(&path, none))?;
            }
            Arriving::File { writer: Box::new(inner.blobs.async_writer().await?), room }
        } else {
            Arriving::Few(Vec::new())
        };
        Ok(Self { inner, path, kind, limit, size: 0, bytes })
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`Refused::TooLarge`], and failures of the disk; the upload is of no further use then.
    pub async fn write(&mut self, chunk: Bytes) -> Result<(), HostedError> {
        self.size = self.size.saturating_add(chunk.len() as u64);
        if self.size > self.limit {
            return Err(Refused::TooLarge { path: self.path.clone(), limit: self.limit }.into());
        }
        match &mut self.bytes {
            Arriving::File { writer, room } => {
                if let Some(room) = room {
                    room.at_least(self.size).map_err(|none| full(&self.path, none))?;
                }
                writer.write(chunk).await?;
            }
            Arriving::Few(bytes) => bytes.extend_from_slice(&chunk),
        }
        Ok(())
    }

    /// Ends the upload: all bytes have come. What is stored is on the disk when this returns, and is stored also when nobody
    /// waits for it any more.
    ///
    /// # Errors
    /// [`HostedError`]; nothing has changed then, but for [`Refused::Mismatch`].
    pub async fn finish(self, writer: &str) -> Result<Stored, HostedError> {
        let Self { inner, path, kind, bytes, .. } = self;
        let writer = writer.to_owned();
        let sealed = match bytes {
            Arriving::File { writer, room } => {
                let room = room.unwrap_or_else(|| inner.room.none());
                Ok((writer.seal().await?.into_sealed(), room))
            }
            Arriving::Few(bytes) => Err(bytes),
        };
        let work = move || match (sealed, kind) {
            (Ok((sealed, room)), kind) => {
                inner.commit(&path, kind == Kind::File { stays: true }, sealed, room, &writer)
            }
            (Err(bytes), Kind::Checksum { of, of_document, algorithm }) => {
                inner.compare(&path, &of, of_document, algorithm, &bytes, &writer)
            }
            (Err(bytes), Kind::Document(level)) => inner.merge(&path, &level, &bytes, &writer),
            // A file's bytes never come into memory.
            (Err(_), Kind::File { .. }) => Err(HostedError::Stopping),
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| HostedError::Stopping)?
    }
}

/// The upload is more than the repository takes altogether.
pub(crate) fn full(path: &RepoPath, none: NoRoom) -> HostedError {
    Refused::Full { path: path.clone(), limit: none.limit, used: none.used }.into()
}
