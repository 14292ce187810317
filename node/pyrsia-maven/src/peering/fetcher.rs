//! Getting from peers what is known by digest.
//!
//! **Nothing is asked for that has no SHA-256 (or a digest of ours over one), and nothing is kept whose bytes are others.**
//! Peers are asked one after the other, authorities first; one that gives other bytes is passed over for a while. No peer is
//! asked for more at a time than it serves; when all are busy, they are asked again after a pause, for as long as the file
//! is worth it: for a moment where upstream has it too.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable as _};
use build_spec::Specification;
use bytes::Bytes;
use maven_layout::RepoPath;
use pyrsia_blobs::{AsyncBlobWriter, AsyncSealedBlob, BlobStore, Expected, StoredBlob};
use pyrsia_digest::Sha256;
use pyrsia_fetch::{ChecksumReport, FetchError, Interrupted, Origin, OriginAnswer, SingleFlight};
use pyrsia_network::{BlobError, BlobSink, Method, Network, PeerInfo, PeerName};
use pyrsia_rebuilds::PeerBlobs;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use super::bodies::{Document, DocumentRequest};
use crate::image_store::{ImagePeers, KnownImage};

/// Largest file that is taken from a peer for a client, in bytes.
const MAX_FILE: u64 = 4 << 30;
/// Largest one that is taken from a peer that is no authority. The size is its own word, and takes disk until the end shows
/// that it lied.
const MAX_OF_STRANGER: u64 = 1 << 30;
/// Transfers at a time from one peer, which would refuse more, and from all that are no authorities.
const FROM_PEER: usize = 4;
const FROM_STRANGERS: usize = 8;
/// Pauses between attempts while everybody who may have a blob is busy, and their sum.
const PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(120);
/// The same for a file that can be had elsewhere.
const MOMENT: Duration = Duration::from_secs(2);
/// Peers that are asked for one thing.
const MAX_ASKED: usize = 8;
/// Of files of this size, in bytes, the digest that was asked for is the only one computed while they come; the four others
/// would take several times as long as the transfer.
const NAME_ALONE_FROM: u64 = 8 << 20;
/// For how long a peer that gave other bytes than asked for, or none in time, is passed over.
const DISTRUST: Duration = Duration::from_secs(600);
/// The same for one whose transfer broke off, which also happens to honest ones that are being restarted.
const BROKE_OFF: Duration = Duration::from_secs(5);

const BUSY: &str = "all that were asked are busy";

/// What became of asking: told to all who wait for the same blob.
#[derive(Clone)]
enum Came {
    Stored(StoredBlob),
    /// Nobody who was asked has it.
    Nobody,
    Failed(String),
    /// Nobody who was asked gave it, and somebody had no time.
    Busy,
}

/// Asks peers. Clones share what is under way.
#[derive(Clone)]
pub struct Fetcher {
    inner: Arc<Inner>,
}

struct Inner {
    network: Arc<Network>,
    blobs: BlobStore,
    /// By whether busy peers are waited for.
    downloads: SingleFlight<(Sha256, bool), Came>,
    /// Until when.
    distrusted: Mutex<BTreeMap<PeerName, Instant>>,
    places: Places,
}

/// Places of transfers.
struct Places {
    by_peer: Mutex<BTreeMap<PeerName, Arc<Semaphore>>>,
    strangers: Semaphore,
}

/// A place, with one among those of strangers if the peer is one.
type Place<'a> = (OwnedSemaphorePermit, Option<SemaphorePermit<'a>>);

impl Places {
    fn take(&self, peer: &Candidate) -> Option<Place<'_>> {
        let stranger = if peer.authority { None } else { Some(self.strangers.try_acquire().ok()?) };
        let mut by_peer = self.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
        // Those from whom something is on its way stay; nobody is remembered for having been there once.
        by_peer.retain(|_, places| places.available_permits() < FROM_PEER);
        let places = by_peer.entry(peer.name).or_insert_with(|| Arc::new(Semaphore::new(FROM_PEER)));
        Some((Arc::clone(places).try_acquire_owned().ok()?, stranger))
    }
}

/// A peer that is worth asking.
struct Candidate {
    name: PeerName,
    authority: bool,
}

impl Fetcher {
    /// A fetcher into the node's store.
    pub fn new(network: Arc<Network>, blobs: BlobStore) -> Self {
        let places = Places { by_peer: Mutex::default(), strangers: Semaphore::new(FROM_STRANGERS) };
        let inner = Inner { network, blobs, downloads: SingleFlight::new(), distrusted: Mutex::default(), places };
        Self { inner: Arc::new(inner) }
    }

    async fn blob(&self, sha256: Sha256, max_bytes: u64, patient: bool) -> Came {
        let inner = Arc::clone(&self.inner);
        let patience = if patient { PATIENCE } else { MOMENT };
        let call = move || async move { inner.blob_into(sha256, max_bytes, &inner.blobs, patience).await };
        match self.inner.downloads.run((sha256, patient), call).await {
            Ok(came) => came,
            Err(Interrupted) => Came::Failed("the transfer was interrupted".to_owned()),
        }
    }

    /// A document that its own digest proves; the first one for which `check` finds it so.
    async fn document<T>(&self, request: DocumentRequest, check: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        for Candidate { name: peer, .. } in self.inner.candidates() {
            match self.inner.network.call(&peer, Method::Specification, Bytes::from(request.to_bytes())).await {
                Ok(answer) => match Document::from_bytes(&answer) {
                    Some(Document(Some(bytes))) => match check(&bytes) {
                        Some(found) => return Some(found),
                        None => self.inner.distrust(&peer, DISTRUST, "another document than asked for"),
                    },
                    Some(Document(None)) => {}
                    None => self.inner.distrust(&peer, DISTRUST, "an answer that does not decode"),
                },
                Err(error) => tracing::debug!(peer = %peer, %error, "a peer gave no document"),
            }
        }
        None
    }
}

impl Inner {
    /// Connected peers that are worth asking, authorities first.
    fn candidates(&self) -> Vec<Candidate> {
        let mut distrusted = self.distrusted.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        distrusted.retain(|_, until| now < *until);
        let peers = self.network.peers().borrow().clone();
        let mut peers: Vec<_> = peers.iter().filter(|peer| !distrusted.contains_key(&peer.name)).collect();
        peers.sort_by_key(|peer| (peer.authority.is_none(), peer.name));
        let candidate = |peer: &PeerInfo| Candidate { name: peer.name, authority: peer.authority.is_some() };
        peers.into_iter().take(MAX_ASKED).map(candidate).collect()
    }

    fn distrust(&self, peer: &PeerName, time: Duration, what: &str) {
        tracing::warn!(peer = %peer, what, seconds = time.as_secs(), "a peer is not asked again for a while");
        self.distrusted.lock().unwrap_or_else(PoisonError::into_inner).insert(*peer, Instant::now() + time);
    }

    async fn blob_into(&self, sha256: Sha256, max_bytes: u64, blobs: &BlobStore, patience: Duration) -> Came {
        let asking = || async {
            match self.ask_all(sha256, max_bytes, blobs).await {
                Came::Busy => Err(()),
                came => Ok(came),
            }
        };
        let pauses = ExponentialBuilder::default()
            .with_min_delay(PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_total_delay(Some(patience))
            .with_jitter()
            .without_max_times();
        asking.retry(pauses).await.unwrap_or(Came::Busy)
    }

    /// Asks each once.
    async fn ask_all(&self, sha256: Sha256, max_bytes: u64, blobs: &BlobStore) -> Came {
        let (mut failures, mut busy) = (Vec::new(), false);
        for peer in self.candidates() {
            let Some(place) = self.places.take(&peer) else {
                busy = true;
                continue;
            };
            let max_bytes = if peer.authority { max_bytes } else { max_bytes.min(MAX_OF_STRANGER) };
            match self.blob_of(&peer.name, sha256, max_bytes, blobs).await {
                Ok(Some(stored)) => return Came::Stored(stored),
                Ok(None) => {}
                Err(error) if matches!(error.downcast_ref(), Some(BlobError::Busy)) => busy = true,
                Err(error) => failures.push(format!("{}: {error:#}", peer.name)),
            }
            drop(place);
        }
        match (busy, failures.is_empty()) {
            (true, _) => Came::Busy,
            (false, true) => Came::Nobody,
            (false, false) => Came::Failed(failures.join("; ")),
        }
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
                // Whoever lies or dawdles costs the next file as much. To be busy or gone for the moment is no reason, and what is
                // too large is so by the word of somebody else.
                let passed_over = match error {
                    BlobError::WrongDigest | BlobError::Malformed | BlobError::TooSlow => Some(DISTRUST),
                    BlobError::Truncated { .. } => Some(BROKE_OFF),
                    BlobError::NotFound
                    | BlobError::Busy
                    | BlobError::NotConnected
                    | BlobError::Write(_)
                    | BlobError::TooLarge { .. } => None,
                };
                if let Some(time) = passed_over {
                    self.distrust(peer, time, &error.to_string());
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
        self.file(path, expected, blobs, true).await
    }

    async fn fetch_soon(
        &self,
        path: &RepoPath,
        expected: &Expected,
        blobs: &BlobStore,
    ) -> Result<OriginAnswer, FetchError> {
        self.file(path, expected, blobs, false).await
    }
}

impl Fetcher {
    async fn file(
        &self,
        path: &RepoPath,
        expected: &Expected,
        blobs: &BlobStore,
        patient: bool,
    ) -> Result<OriginAnswer, FetchError> {
        // Without a digest that cannot be forged, a peer's word is worth nothing.
        let Some(sha256) = expected.sha256 else { return Ok(OriginAnswer::Absent) };
        debug_assert_eq!(blobs.root(), self.inner.blobs.root());
        match self.blob(sha256, expected.size.unwrap_or(MAX_FILE), patient).await {
            Came::Stored(stored) => {
                Ok(OriginAnswer::Found { stored, last_modified: None, checksums: ChecksumReport::default() })
            }
            Came::Nobody => Ok(OriginAnswer::Absent),
            Came::Failed(reason) => Err(FetchError::Connect { url: format!("peers/{path}"), reason }),
            Came::Busy => Err(FetchError::Busy { path: path.to_string() }),
        }
    }
}

#[async_trait]
impl PeerBlobs for Fetcher {
    async fn ensure(&self, sha256: &Sha256, max_bytes: u64) -> Result<(), String> {
        if self.inner.blobs.has(sha256) {
            return Ok(());
        }
        match self.blob(*sha256, max_bytes, true).await {
            Came::Stored(_) => Ok(()),
            Came::Nobody => Err(format!("no connected peer has {sha256}")),
            Came::Failed(reason) => Err(format!("no peer gave {sha256}: {reason}")),
            Came::Busy => Err(format!("no peer gave {sha256}: {BUSY}")),
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

    async fn file(&self, sha256: &Sha256, max_bytes: u64, blobs: &BlobStore) -> anyhow::Result<()> {
        if blobs.has(sha256) {
            return Ok(());
        }
        match self.inner.blob_into(*sha256, max_bytes, blobs, PATIENCE).await {
            Came::Stored(_) => Ok(()),
            Came::Nobody => bail!("no connected peer has {sha256}"),
            Came::Failed(reason) => bail!("no peer gave {sha256}: {reason}"),
            Came::Busy => bail!("no peer gave {sha256}: {BUSY}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_peer_is_asked_for_more_than_it_serves_and_strangers_together_for_little() {
        let places = Places { by_peer: Mutex::default(), strangers: Semaphore::new(FROM_STRANGERS) };
        let peer = |seed, authority| Candidate { name: pyrsia_network::node_id(&[seed; 32]), authority };
        let all_of = |peer: &Candidate| (0..100).map_while(|_| places.take(peer)).collect::<Vec<_>>();
        let authority = all_of(&peer(1, true));
        assert_eq!(authority.len(), FROM_PEER);
        let strangers: Vec<_> = (10..20).flat_map(|seed| all_of(&peer(seed, false))).collect();
        assert_eq!(strangers.len(), FROM_STRANGERS);
        assert_eq!(all_of(&peer(2, true)).len(), FROM_PEER, "authorities share nothing with them");
        assert!(places.take(&peer(1, true)).is_none());
        drop((authority, strangers));
        assert!(places.take(&peer(1, true)).is_some() && places.take(&peer(10, false)).is_some());
        assert_eq!(places.by_peer.lock().unwrap().len(), 1, "the others are forgotten");
    }
}
