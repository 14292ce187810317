//! What the rest of the node reads and submits through.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use maven_layout::Coordinates;
use pyrsia_digest::Sha256;
use pyrsia_ledger::{
    Block, Certificate, Checkpoint, EntryDigest, Genesis, NetworkId, PublicKey, Receipt, SignedEntry, State,
};
use pyrsia_store::{LeafRecord, LedgerStore, StoreError};
use tokio::sync::watch;

use crate::chain::{Chain, Step};
use crate::error::ReplicaError;
use crate::orderer::{Orderer, SubmitError};
use crate::outcomes::{Outcomes, SubmissionOutcome};
use crate::receipt::{self, ReceiptUnavailable, parse_certificate};
use crate::room::{PAUSE, insist};
use crate::signing::{Certified, Observed, Signing, SigningStatus};
use crate::sync::{self, BlocksAnswer, BlocksRequest};
use crate::word::Word;

/// What writer and readers share.
pub(crate) struct Inner {
    pub(crate) store: LedgerStore,
    pub(crate) signing: Signing,
    genesis: Genesis,
    network: NetworkId,
    chain: ArcSwap<Chain>,
    size: watch::Sender<u64>,
    certified: watch::Sender<Certified>,
    /// Counts this node's new words and certificates.
    said: watch::Sender<u64>,
    outcomes: Mutex<Outcomes>,
    orderer: OnceLock<Arc<dyn Orderer>>,
}

impl Inner {
    pub(crate) fn new(store: LedgerStore, genesis: Genesis, chain: Chain, signing: Signing) -> Self {
        Self {
            network: genesis.network_id(),
            size: watch::Sender::new(chain.frontier.size()),
            chain: ArcSwap::from_pointee(chain),
            certified: watch::Sender::new(signing.certified()),
            said: watch::Sender::new(0),
            outcomes: Mutex::default(),
            orderer: OnceLock::new(),
            store,
            signing,
            genesis,
        }
    }

    pub(crate) fn chain(&self) -> Arc<Chain> {
        self.chain.load_full()
    }

    /// The state first, then who waits for an entry, then who waits for anything: whoever is woken sees the new state.
    pub(crate) fn publish(&self, step: Step) {
        let size = step.chain.frontier.size();
        self.chain.store(Arc::new(step.chain));
        let mut outcomes = self.outcomes();
        for (digest, outcome) in step.outcomes {
            outcomes.tell(digest, outcome);
        }
        drop(outcomes);
        self.size.send_if_modified(|known| std::mem::replace(known, size) != size);
        self.announce();
    }

    /// Wakes those who wait for a certificate or for this node's word. After the state is published: a certificate is
    /// never announced for a log that cannot be read yet.
    pub(crate) fn announce(&self) {
        let newest = self.signing.certified();
        self.certified.send_if_modified(|known| {
            let is_newer = *known < newest;
            *known = newest.max(*known);
            is_newer
        });
        self.said.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(crate) fn outcomes(&self) -> MutexGuard<'_, Outcomes> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A view of the ledger; cheap to clone. Everything that it shows is stored, and signed if this node signs.
#[derive(Clone)]
pub struct ReplicaHandle {
    inner: Arc<Inner>,
}

impl ReplicaHandle {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// The network.
    pub fn network_id(&self) -> NetworkId {
        self.inner.network
    }

    /// The network's genesis.
    pub fn genesis(&self) -> &Genesis {
        &self.inner.genesis
    }

    /// A snapshot of the ledger's state.
    pub fn state(&self) -> Arc<State> {
        Arc::clone(&self.inner.chain.load().state)
    }

    /// Number of leaves in the log; changes can be awaited. The state is at least as new as the number seen.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.inner.size.subscribe()
    }

    /// The last block; none before the first.
    pub fn block(&self) -> Option<Block> {
        self.inner.chain.load().block.clone()
    }

    /// The checkpoint of the log as it stands, unsigned. See [`ReplicaHandle::certificate`].
    pub fn checkpoint(&self) -> Checkpoint {
        self.inner.signing.checkpoint(&self.inner.chain())
    }

    /// The certificate of the longest log that has one. None while a quorum has signed nothing.
    pub async fn certificate(&self) -> Result<Option<Certificate>, ReplicaError> {
        let stored = self.inner.store.run(LedgerStore::latest_certificate).await?;
        stored
            .map(|(_, bytes)| parse_certificate(&bytes).ok_or(ReplicaError::Undecodable { what: "a certificate" }))
            .transpose()
    }

    /// Cosigns the log as it stands again, with the present time (never an earlier one than before), so that silence can
    /// be told from an eclipse. In a network of one, [`ReplicaHandle::certificate`] is fresh afterwards; in a larger one
    /// [`crate::exchange_cosignatures`] tells the other authorities. None when this node does not sign.
    pub async fn refresh(&self) -> Result<Option<Word>, ReplicaError> {
        let inner = Arc::clone(&self.inner);
        let refreshed = self
            .inner
            .store
            .run(move |store| {
                let word = inner.signing.refresh(store, &inner.chain())?;
                inner.announce();
                Ok(word)
            })
            .await?;
        Ok(refreshed)
    }

    /// This node's newest word on the log as it stands. None when it does not sign.
    pub async fn word(&self) -> Result<Option<Word>, ReplicaError> {
        let inner = Arc::clone(&self.inner);
        Ok(self.inner.store.run(move |store| inner.signing.own(store, &inner.chain())).await?)
    }

    /// Takes another authority's word on the log.
    pub async fn observe(&self, word: Word) -> Result<Observed, ReplicaError> {
        let inner = Arc::clone(&self.inner);
        let observed = self
            .inner
            .store
            .run(move |store| {
                let observed = insist(PAUSE, || inner.signing.observe(store, &inner.chain(), &word))?;
                inner.announce();
                Ok(observed)
            })
            .await?;
        Ok(observed)
    }

    /// Size and time of the newest certificate; changes can be awaited. Whoever is woken finds the certificate, and the
    /// blocks up to it in [`ReplicaHandle::blocks`].
    pub fn certified(&self) -> watch::Receiver<Certified> {
        self.inner.certified.subscribe()
    }

    /// Changes, perhaps needlessly, whenever [`ReplicaHandle::word`] or [`ReplicaHandle::certified`] may have.
    pub(crate) fn said(&self) -> watch::Receiver<u64> {
        self.inner.said.subscribe()
    }

    /// Blocks for another node, with the proof that a quorum has them; empty when nothing is certified that is newer
    /// than what the request says. Wait for [`ReplicaHandle::certified`] then, and ask again.
    pub async fn blocks(&self, request: BlocksRequest) -> Result<BlocksAnswer, ReplicaError> {
        let inner = Arc::clone(&self.inner);
        Ok(self.inner.store.run(move |store| sync::answer(store, &inner.chain(), &request)).await?)
    }

    /// What to ask other nodes for.
    pub fn wanted(&self, max_bytes: u32) -> BlocksRequest {
        let chain = self.inner.chain();
        let certified = self.inner.signing.certified();
        let is_certified = certified.size == chain.frontier.size();
        BlocksRequest {
            from_height: chain.height() + 1,
            max_bytes,
            newest_time: if is_certified { certified.time } else { 0 },
        }
    }

    /// Whether this node signs checkpoints.
    pub fn signing_status(&self) -> SigningStatus {
        self.inner.signing.status(self.inner.chain.load().state.committee())
    }

    /// Authorities that have signed another log than this node computed, and are not believed any more. The evidence is kept.
    pub fn condemned(&self) -> Vec<PublicKey> {
        self.inner.signing.condemned()
    }

    /// The receipt for the standing verdict on a release.
    pub async fn receipt(&self, coordinates: &Coordinates) -> Result<Receipt, ReceiptUnavailable> {
        let inner = Arc::clone(&self.inner);
        let coordinates = coordinates.clone();
        // Two results: the database's way of running work knows its own errors only.
        self.inner.store.run(move |store| Ok(receipt::build(store, &inner.chain(), &coordinates))).await?
    }

    /// Leaves of the log from an index on, in order; at most `max`, and at most as many as the database gives at once.
    pub async fn log(&self, from: u64, max: usize) -> Result<Vec<LeafRecord>, ReplicaError> {
        Ok(self.inner.store.run(move |store| store.leaves(from, max)).await?)
    }

    /// Complete nodes of one level of the log's tree, from an index on: a row of a tile.
    pub async fn tree_nodes(&self, level: u8, from: u64, max: usize) -> Result<Vec<Sha256>, ReplicaError> {
        Ok(self.inner.store.run(move |store| store.nodes(level, from, max)).await?)
    }

    /// The database, for what has no method here. Not for writing blocks.
    pub fn store(&self) -> &LedgerStore {
        &self.inner.store
    }

    /// Says which orderer takes this node's entries. Once; false when it was said before.
    pub fn set_orderer(&self, orderer: Arc<dyn Orderer>) -> bool {
        self.inner.orderer.set(orderer).is_ok()
    }

    /// Gives an entry to the orderer. What becomes of it shows in the log, or in [`ReplicaHandle::outcome`].
    pub async fn submit(&self, entry: SignedEntry) -> Result<(), SubmitError> {
        match self.inner.orderer.get() {
            Some(orderer) => orderer.submit(entry).await,
            None => {
                Err(SubmitError::Unavailable { reason: "this node has no orderer: it follows the ledger".to_owned() })
            }
        }
    }

    /// Gives an entry to the orderer, and waits until it is a leaf of the log or refused by the rules; for ever, if the
    /// authorities do not agree: set a time limit outside. Giving up waiting does not take the entry back.
    ///
    /// An entry that is in the log already is not submitted again.
    pub async fn submit_and_wait(&self, entry: SignedEntry) -> Result<SubmissionOutcome, SubmitError> {
        let digest = entry.digest();
        // Waiting starts before the log is looked at, so that the entry cannot slip in between.
        let waiting = self.inner.outcomes().wait(digest);
        let waiting = waiting.ok_or_else(|| SubmitError::Unavailable {
            reason: "the replica has stopped, or too many submissions wait for their outcome".to_owned(),
        })?;
        if let Some(index) = self.leaf_of(&digest).await.map_err(storage)? {
            return Ok(SubmissionOutcome::Accepted { index });
        }
        self.submit(entry).await?;
        waiting.await.map_err(|_| SubmitError::Unavailable { reason: "the replica has stopped".to_owned() })
    }

    /// Index of the leaf that an entry is.
    pub async fn leaf_of(&self, digest: &EntryDigest) -> Result<Option<u64>, StoreError> {
        let digest = digest.0;
        self.inner.store.run(move |store| store.leaf_of_entry(&digest)).await
    }

    /// The last outcome of an entry that was ordered recently (some thousands are remembered, none across restarts).
    pub fn outcome(&self, digest: &EntryDigest) -> Option<SubmissionOutcome> {
        self.inner.outcomes().recent(digest)
    }
}

fn storage(error: StoreError) -> SubmitError {
    SubmitError::Storage { reason: error.to_string() }
}
