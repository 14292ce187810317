//! Where files come from.

use async_trait::async_trait;
use maven_layout::{ChecksumAlgorithm, RepoPath};
use pyrsia_blobs::{BlobStore, Expected, StoredBlob};

use crate::{ChecksumReport, FetchError};

/// Somebody who has files of a repository: an upstream, a peer, a fake in a test.
///
/// Contract: [`Origin::fetch`] puts the file into the store only when its bytes are complete and verified, by
/// `expected` and by whatever else the origin knows. It may be called for many paths at once; that it is called once
/// for a path is the caller's business ([`crate::SingleFlight`]). Dropping the future leaves nothing behind.
#[async_trait]
pub trait Origin: Send + Sync {
    /// A short name for people, logs and records; stable between runs.
    fn id(&self) -> &str;

    /// Gets a file. `expected` is what the caller knows of it, from the ledger for instance.
    ///
    /// # Errors
    /// [`FetchError`]. That the origin does not have the file is no error.
    async fn fetch(&self, path: &RepoPath, expected: &Expected, blobs: &BlobStore) -> Result<OriginAnswer, FetchError>;

    /// [`Origin::fetch`], for a caller who can get the file elsewhere: an origin that would have to wait until somebody has
    /// time waits for a moment only.
    ///
    /// # Errors
    /// As [`Origin::fetch`]; [`FetchError::Busy`] when nobody has time.
    async fn fetch_soon(
        &self,
        path: &RepoPath,
        expected: &Expected,
        blobs: &BlobStore,
    ) -> Result<OriginAnswer, FetchError> {
        self.fetch(path, expected, blobs).await
    }

    /// What the origin says of a file, without its bytes. Most have nothing to say.
    ///
    /// # Errors
    /// [`FetchError`]. That the origin does not have the file is no error.
    async fn describe(&self, _path: &RepoPath) -> Result<Described, FetchError> {
        Ok(Described::File { checksums: Vec::new(), last_modified: None })
    }

    /// Whether it may have files that are not here. What is here is all there is if this is false for every origin.
    fn may_have_more(&self) -> bool {
        true
    }
}

/// Stands for all origins while none may be asked. **It knows nothing, so nothing is absent on its account.**
pub struct Offline;

#[async_trait]
impl Origin for Offline {
    fn id(&self) -> &str {
        "offline"
    }

    async fn fetch(&self, path: &RepoPath, _: &Expected, _: &BlobStore) -> Result<OriginAnswer, FetchError> {
        Err(FetchError::Offline { path: path.to_string() })
    }

    async fn describe(&self, path: &RepoPath) -> Result<Described, FetchError> {
        Err(FetchError::Offline { path: path.to_string() })
    }

    fn may_have_more(&self) -> bool {
        false
    }
}

/// What an origin says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Described {
    /// It has the file.
    File {
        /// Its checksums in lower-case hexadecimal, the ones that it has told.
        checksums: Vec<(ChecksumAlgorithm, String)>,
        /// When the origin says it was changed, seconds since 1970.
        last_modified: Option<u64>,
    },
    /// The origin says that it has no such file.
    Absent,
}

/// What an origin has at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one for each download, and nearly always the large one")]
pub enum OriginAnswer {
    /// The file; it is in the store now.
    Found {
        /// Its digests and where its bytes are.
        stored: StoredBlob,
        /// When the origin says it was changed, seconds since 1970.
        last_modified: Option<u64>,
        /// What its bytes were verified against.
        checksums: ChecksumReport,
    },
    /// The origin says that it has no such file.
    Absent,
}
