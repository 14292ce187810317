//! Getting from peers what is known by digest.
//!
//! **Nothing is asked for that has no SHA-256 (or a digest of ours over one), and nothing is kept whose bytes are others.**
//! Peers are asked one after the other, authorities first; one that gives other bytes is passed over for a while.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use build_spec::Specification;
use bytes::{Bytes, BytesMut};
use maven_layout::RepoPath;
use pyrsia_blobs::{AsyncBlobWriter, BlobStore, Expected, StoredBlob};
use pyrsia_digest::Sha256;
use pyrsia_fetch::{ChecksumReport, FetchError, Interrupted, Origin, OriginAnswer, SingleFlight};
use pyrsia_network::{BlobError, Method, Network, PeerName};
use pyrsia_rebuilds::PeerBlobs;
use tokio::io::AsyncReadExt as _;

use super::bodies::{Document, DocumentRequest};
use crate::image_store::{ImagePeers, KnownImage, MAX_LAYER};

/// Largest file that is taken from a peer for a client, in bytes.
const MAX_FILE: u64 = 4 << 30;
/// Peers that are asked for one thing.
const MAX_ASKED: usize = 8;
/// Bytes between the network and the disk.
const PIPE_BYTES: usize = 1 << 20;
/// A transfer may take this long, and a second more for each so many bytes that came.
const GRACE: Duration = Duration::from_secs(20);
const MIN_RATE: u64 = 64 << 10;
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
        let (mut sink, source) = tokio::io::duplex(PIPE_BYTES);
        let transfer = async move { self.network.blob(peer, &sha256, max_bytes, &mut sink).await };
        // Whichever side fails drops its end of the pipe, which ends the other.
        let (transferred, written) = tokio::join!(transfer, pump(source, blobs));
        match transferred {
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
                if matches!(written, Err(Pumped::TooSlow)) {
                    self.distrust(peer, "too slow a transfer");
                }
                // A full disk shows as a broken transfer; the disk's own words say more.
                return Err(match written {
                    Err(pumped) => pumped.into(),
                    Ok(_) => error.into(),
                });
            }
        }
        // Hashed again by the store, which is the only way into it.
        Ok(Some(written?.finish_expecting(Expected::sha256(sha256)).await?))
    }
}

/// Why bytes were not written to the end.
#[derive(Debug, thiserror::Error)]
enum Pumped {
    #[error("less than {MIN_RATE} bytes a second came")]
    TooSlow,
    #[error(transparent)]
    Blobs(#[from] pyrsia_blobs::BlobError),
    #[error(transparent)]
    Pipe(#[from] std::io::Error),
}

/// Writes what comes into a temporary file of the store. **Whoever sends demands no trust in the size that it declares: it
/// has to keep a pace**, so that a slow peer costs seconds and not the time of a file that it invents.
async fn pump(mut source: tokio::io::DuplexStream, blobs: &BlobStore) -> Result<AsyncBlobWriter, Pumped> {
    let mut writer = blobs.async_writer().await?;
    let begun = Instant::now();
    loop {
        let mut chunk = BytesMut::with_capacity(PIPE_BYTES / 4);
        let allowed = GRACE + Duration::from_secs(writer.size() / MIN_RATE);
        let left = allowed.saturating_sub(begun.elapsed());
        let read = tokio::time::timeout(left, source.read_buf(&mut chunk)).await.map_err(|_| Pumped::TooSlow)?;
        if read? == 0 {
            return Ok(writer);
        }
        writer.write(chunk.freeze()).await?;
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
