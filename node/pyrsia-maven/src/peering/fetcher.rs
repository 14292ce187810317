//! Getting from peers what is known by digest.
//!
//! **Nothing is asked for that has no SHA-256 (or a digest of ours over one), and nothing is kept whose bytes are others.**
//! Peers are asked one after the other, authorities first; one that gives other bytes is passed over for a while.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use build_spec::Specification;
use bytes::Bytes;
use maven_layout::RepoPath;
use pyrsia_blobs::{AsyncBlobWriter, AsyncSealedBlob, BlobStore, Expected, StoredBlob};
use pyrsia_digest::Sha256;
use pyrsia_fetch::{ChecksumReport, FetchError, Interrupted, Origin, OriginAnswer, SingleFlight};
use pyrsia_network::{BlobError, BlobSink, Method, Network, PeerName};
use pyrsia_rebuilds::PeerBlobs;

use super::bodies::{Document, DocumentRequest};
use crate::image_store::{ImagePeers, KnownImage, MAX_LAYER};

/// Largest file that is taken from a peer for a client, in bytes.
const MAX_FILE: u64 = 4 << 30;
/// Peers that are asked for one thing.
const MAX_ASKED: usize = 8;
/// Of files of this size, in bytes, the digest that was asked for is the only one computed while they come; the four others
/// would take several times as long as the transfer.
const NAME_ALONE_FROM: u64 = 8 << 20;
/// For how long a peer that gave other bytes than asked for, or none in time, is passed over.
const DISTRUST: Duration = Duration::from_secs(600);

/// What became of asking: told to all who wait for the same blob.
#[derive(Clone)]
enum Came {
    Stored(StoredBlob),
    /// Nobody who was asked has it.
    Nobody,
    Failed(String),
}

/// Asks peers. Clones share what is under way.
#[derive(Clone)]
pub struct Fetcher {
    inner: Arc<Inner>,
}

struct Inner {
    network: Arc<Network>,
    blobs: BlobStore,
    downloads: SingleFlight<Sha256, Came>,
    distrusted: Mutex<BTreeMap<PeerName, Instant>>,
}

impl Fetcher {
    /// A fetcher into the node's store.
    pub fn new(network: Arc<Network>, blobs: BlobStore) -> Self {
        let inner = Inner { network, blobs, downloads: SingleFlight::new(), distrusted: Mutex::default() };
        Self { inner: Arc::new(inner) }
    }

    async fn blob(&self, sha256: Sha256, max_bytes: u64) -> Came {
        let inner = Arc::clone(&self.inner);
        let call = move || async move { inner.blob_into(sha256, max_bytes, &inner.blobs).await };
        match self.inner.downloads.run(sha256, call).await {
            Ok(came) => came,
            Err(Interrupted) => Came::Failed("the transfer was interrupted".to_owned()),
        }
    }

    /// A document that its own digest proves; the first one for which `check` finds it so.
    async fn document<T>(&self, request: DocumentRequest, check: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        for peer in self.inner.candidates() {
            match self.inner.network.call(&peer, Method::Specification, Bytes::from(request.to_bytes())).await {
                Ok(answer) => match Document::from_bytes(&answer) {
                    Some(Document(Some(bytes))) => match check(&bytes) {
                        Some(found) => return Some(found),
                        None => self.inner.distrust(&peer, "another document than asked for"),
                    },
                    Some(Document(None)) => {}
                    None => self.inner.distrust(&peer, "an answer that does not decode"),
                },
                Err(error) => tracing::debug!(peer = %peer, %error, "a peer gave no document"),
            }
        }
        None
    }
}

impl Inner {
    /// Connected peers that are worth asking, authorities first.
    fn candidates(&self) -> Vec<PeerName> {
        let mut distrusted = self.distrusted.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        distrusted.retain(|_, since| now.duration_since(*since) < DISTRUST);
        let peers = self.network.peers().borrow().clone();
        let mut peers: Vec<_> = peers.iter().filter(|peer| !distrusted.contains_key(&peer.name)).collect();
        peers.sort_by_key(|peer| (peer.authority.is_none(), peer.name));
        peers.into_iter().take(MAX_ASKED).map(|peer| peer.name).collect()
    }

    fn distrust(&self, peer: &PeerName, what: &str) {
        tracing::warn!(peer = %peer, what, "a peer is not asked again for a while");
        self.distrusted.lock().unwrap_or_else(PoisonError::into_inner).insert(*peer, Instant::now());
    }

    async fn blob_into(&self, sha256: Sha256, max_bytes: u64, blobs: &BlobStore) -> Came {
        let mut failures = Vec::new();
        for peer in self.candidates() {
            match self.blob_of(&peer, sha256, max_bytes, blobs).await {
                Ok(Some(stored)) => return Came::Stored(stored),
                Ok(None) => {}
                Err(error) => failures.push(format!("{peer}: {error:#}")),
            }
        }
        if failures.is_empty() { Came::Nobody } else { Came::Failed(failures.join("; ")) }
    }

    async fn blob_of(
        &self,
        peer: &PeerName,
        sha256: Sha256,
        max_bytes: u64,
        blobs: &BlobStore,
    ) -> anyhow::Result<Option<StoredBlob>> {
        let mut incoming = Incoming { blobs, writer: None, sealed: None };
        match self.network.blob(peer, &sha256, max_bytes, &mut incoming).await {
            Ok(_) => {}
            Err(BlobError::NotFound) => return Ok(None),
            Err(error) => {
                // Busy, or gone for the moment, is no reason, and what is too large is so by the word of somebody else; whoever
                // lies or dawdles costs the next file as much.
                let excused = matches!(
                    error,
                    BlobError::Busy | BlobError::NotConnected | BlobError::Write(_) | BlobError::TooLarge { .. }
                );
                if !excused {
                    self.distrust(peer, &error.to_string());
                }
                return Err(error.into());
            }
        }
        let sealed = incoming.sealed.context("a transfer ended before its bytes did")?;
        // The network has compared. It is looked at here as well, since a blob is visible under the name that it has.
        Expected::sha256(sha256).check(sealed.digests())?;
        Ok(Some(sealed.commit().await?))
    }
}

/// The bytes of a transfer on their way into the store, where nobody sees them before it has ended well.
struct Incoming<'a> {
    blobs: &'a BlobStore,
    writer: Option<AsyncBlobWriter>,
    sealed: Option<AsyncSealedBlob>,
}

#[async_trait]
impl BlobSink for Incoming<'_> {
    async fn begin(&mut self, size: u64) -> io::Result<()> {
        let writer = if size < NAME_ALONE_FROM {
            self.blobs.async_writer().await
        } else {
            self.blobs.async_writer_of_name().await
        };
        self.writer = Some(writer.map_err(io::Error::other)?);
        Ok(())
    }

    async fn piece(&mut self, piece: Bytes) -> io::Result<()> {
        let writer = self.writer.as_mut().ok_or(io::ErrorKind::InvalidInput)?;
        writer.write(piece).await.map_err(io::Error::other)
    }

    async fn end(&mut self) -> io::Result<Sha256> {
        let writer = self.writer.take().ok_or(io::ErrorKind::InvalidInput)?;
        let sealed = writer.seal().await.map_err(io::Error::other)?;
        let sha256 = sealed.digests().sha256;
        self.sealed = Some(sealed);
        Ok(sha256)
    }
}

#[async_trait]
impl Origin for Fetcher {
    fn id(&self) -> &str {
        "peers"
    }

    async fn fetch(&self, path: &RepoPath, expected: &Expected, blobs: &BlobStore) -> Result<OriginAnswer, FetchError> {
        // Without a digest that cannot be forged, a peer's word is worth nothing.
        let Some(sha256) = expected.sha256 else { return Ok(OriginAnswer::Absent) };
        debug_assert_eq!(blobs.root(), self.inner.blobs.root());
        match self.blob(sha256, expected.size.unwrap_or(MAX_FILE)).await {
            Came::Stored(stored) => {
                Ok(OriginAnswer::Found { stored, last_modified: None, checksums: ChecksumReport::default() })
            }
            Came::Nobody => Ok(OriginAnswer::Absent),
            Came::Failed(reason) => Err(FetchError::Connect { url: format!("peers/{path}"), reason }),
        }
    }
}

#[async_trait]
impl PeerBlobs for Fetcher {
    async fn ensure(&self, sha256: &Sha256, max_bytes: u64) -> Result<(), String> {
        if self.inner.blobs.has(sha256) {
            return Ok(());
        }
        match self.blob(*sha256, max_bytes).await {
            Came::Stored(_) => Ok(()),
            Came::Nobody => Err(format!("no connected peer has {sha256}")),
            Came::Failed(reason) => Err(format!("no peer gave {sha256}: {reason}")),
        }
    }

    async fn specification(&self, digest: &Sha256) -> Option<Specification> {
        let check = |bytes: &[u8]| {
            let specification = Specification::from_toml(std::str::from_utf8(bytes).ok()?).ok()?;
            (specification.digest() == *digest).then_some(specification)
        };
        self.document(DocumentRequest::Specification(*digest), check).await
    }
}

#[async_trait]
impl ImagePeers for Fetcher {
    async fn describe(&self, image: &Sha256) -> Option<KnownImage> {
        let check = |bytes: &[u8]| {
            let known: KnownImage = serde_json::from_slice(bytes).ok()?;
            (known.digest == *image && known.config.digest(&known.layer) == *image).then_some(known)
        };
        self.document(DocumentRequest::Image(*image), check).await
    }

    async fn layer(&self, image: &KnownImage, blobs: &BlobStore) -> anyhow::Result<()> {
        if blobs.has(&image.layer) {
            return Ok(());
        }
        // The description's size is a peer's word; the digest is what proves the layer.
        match self.inner.blob_into(image.layer, MAX_LAYER, blobs).await {
            Came::Stored(_) => Ok(()),
            Came::Nobody => bail!("no connected peer has the layer of image {}", image.digest),
            Came::Failed(reason) => Err(anyhow::anyhow!(reason))
                .with_context(|| format!("no peer gave the layer of image {}", image.digest)),
        }
    }
}
