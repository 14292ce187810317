//! Opening the ledger, and taking batches one after the other.

use std::sync::Arc;

use pyrsia_ledger::{AuthorityKey, EntryDigest, Genesis};
use pyrsia_store::{LedgerStore, StoreError};
use tokio::sync::mpsc;

use crate::chain::{Chain, Step, batch_digest, is_made_of, synced_digest};
use crate::error::ReplicaError;
use crate::handle::{Inner, ReplicaHandle};
use crate::orderer::OrderedBatch;
use crate::outcomes::SubmissionOutcome;
use crate::room::{PAUSE, insist};
use crate::signing::Signing;
use crate::sync::Piece;

/// Seconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

const META_NETWORK: &str = "network-id";
/// Blocks that are read at once when the ledger is replayed.
const REPLAY_BLOCKS: usize = 256;

/// The writing half. There is one for each database.
pub struct Replica {
    pub(crate) inner: Arc<Inner>,
}

impl Replica {
    /// Opens the ledger: replays what is stored, checks it block by block, and makes good what a crash left undone (a
    /// block that is stored and not signed).
    ///
    /// `signer` is this node's authority key; whether it may sign, and under which name, the committee says. `clock`
    /// gives the time of cosignatures, which never goes back.
    ///
    /// Blocking, for a time that grows with the ledger.
    pub fn open(
        store: LedgerStore,
        genesis: Genesis,
        signer: Option<AuthorityKey>,
        clock: Clock,
    ) -> Result<(Self, ReplicaHandle), ReplicaError> {
        let network = genesis.network_id();
        match store.get_meta(META_NETWORK)? {
            None => store.put_meta(META_NETWORK, network.as_bytes().to_vec())?,
            Some(found) if found == network.as_bytes() => {}
            Some(found) => {
                return Err(ReplicaError::OtherNetwork {
                    expected: network.to_string(),
                    found: found.iter().map(|byte| format!("{byte:02x}")).collect(),
                });
            }
        }
        let chain = replay(&store, &genesis)?;
        let signing = Signing::open(&store, &chain, signer, network, clock)?;
        signing.sign_stored(&store, &chain)?;
        let inner = Arc::new(Inner::new(store, genesis, chain, signing));
        let handle = ReplicaHandle::new(Arc::clone(&inner));
        Ok((Self { inner }, handle))
    }

    /// Session and index of the last batch that is stored: where an orderer has to go on.
    pub fn cursor(&self) -> Result<Option<(u64, u64)>, ReplicaError> {
        Ok(self.inner.store.cursor()?)
    }

    /// Takes batches of this node's own consensus and pieces from other nodes, in whatever mix they come, until both
    /// channels are closed, or until a failure, after which the node has to stop. A node without consensus drops the
    /// sender of `batches` at once; one without peers that of `pieces`.
    pub async fn run(
        mut self,
        mut batches: mpsc::Receiver<OrderedBatch>,
        mut pieces: mpsc::Receiver<Piece>,
    ) -> Result<(), ReplicaError> {
        loop {
            let work = tokio::select! {
                Some(batch) = batches.recv() => tokio::task::spawn_blocking(move || {
                    let result = self.process(&batch);
                    (self, result)
                }),
                Some(Piece { answer, reply }) = pieces.recv() => tokio::task::spawn_blocking(move || {
                    let result = self.take(&answer).map(|taken| {
                        // Who has left does not want to know.
                        let _ = reply.send(taken);
                    });
                    (self, result)
                }),
                else => return Ok(()),
            };
            let (back, result) = work.await.map_err(|_| ReplicaError::ShuttingDown)?;
            result?;
            self = back;
        }
    }

    /// Takes one batch. When this returns, the batch is stored, signed and published. Blocking.
    pub fn process(&mut self, batch: &OrderedBatch) -> Result<(), ReplicaError> {
        match self.known(batch)? {
            Known::No => {}
            // Came again after a restart; what was left undone then, `open` has made good.
            Known::Stored => return Ok(()),
            Known::Synced => return self.tell_outcomes(batch),
        }
        let mut step = self.apply(batch)?;
        self.persist(batch, &mut step)?;
        self.sign(&step)?;
        self.publish(step);
        Ok(())
    }

    /// Whether the ledger has this batch already.
    ///
    /// Of a batch that came with a block from another node, a quorum has certified number and accepted entries; the
    /// refused ones were never seen here. So it is the same batch if those entries occur in it in their order. One that
    /// made no block at all leaves nothing: it lies between others, the next of which came from another node (had the next
    /// one come from this node's consensus, so would this one have, before it).
    fn known(&self, batch: &OrderedBatch) -> Result<Known, ReplicaError> {
        let store = &self.inner.store;
        let (session, index) = (batch.session, batch.index);
        let other = || ReplicaError::OtherBatch { session, index };
        match store.batch(session, index)? {
            Some(digest) if digest == batch_digest(batch) => Ok(Known::Stored),
            Some(digest) => match self.synced(session, index, digest)? {
                Some(accepted) if is_made_of(&accepted, batch) => Ok(Known::Synced),
                _ => Err(other()),
            },
            None => match store.batch_after(session, index)? {
                None => Ok(Known::No),
                Some((later, at, digest)) => {
                    let synced = self.synced(later, at, digest)?;
                    synced.map(|_| Known::Synced).ok_or_else(other)
                }
            },
        }
    }

    /// The accepted entries of a stored batch that came with a block from another node; none if it did not.
    fn synced(
        &self,
        session: u64,
        index: u64,
        digest: pyrsia_digest::Sha256,
    ) -> Result<Option<Vec<Vec<u8>>>, ReplicaError> {
        let block = self.inner.store.block_of_batch(session, index)?;
        Ok(block.map(|block| block.entries).filter(|accepted| synced_digest(session, index, accepted) == digest))
    }

    /// Tells those who wait for entries of a batch whose block came from another node. Why an entry was refused then is
    /// not known any more; if it would be refused now as well, that is the reason given.
    fn tell_outcomes(&self, batch: &OrderedBatch) -> Result<(), ReplicaError> {
        let chain = self.inner.chain();
        let size = chain.frontier.size();
        let Ok(step) = self.apply(batch) else {
            return Ok(());
        };
        let mut outcomes = step.outcomes;
        outcomes.retain(|(_, outcome)| !matches!(outcome, SubmissionOutcome::Accepted { index } if *index >= size));
        self.inner.publish(Step { chain: Chain::clone(&chain), record: None, outcomes });
        Ok(())
    }

    pub(crate) fn apply(&self, batch: &OrderedBatch) -> Result<Step, ReplicaError> {
        let store = &self.inner.store;
        self.inner.chain().step(batch, |digest| Ok(store.leaf_of_entry(&digest.0)?))
    }

    /// One transaction: block, entries, leaves, nodes, cursor.
    pub(crate) fn persist(&self, batch: &OrderedBatch, step: &mut Step) -> Result<(), ReplicaError> {
        let store = &self.inner.store;
        let stored = match step.record.take() {
            Some(record) => insist(PAUSE, || store.append_block(record.clone())),
            None => {
                let digest = batch_digest(batch);
                insist(PAUSE, || store.append_empty_batch(batch.session, batch.index, digest))
            }
        };
        match stored {
            Ok(_) => Ok(()),
            Err(StoreError::Conflict { .. }) => {
                Err(ReplicaError::OtherBatch { session: batch.session, index: batch.index })
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn sign(&self, step: &Step) -> Result<(), ReplicaError> {
        Ok(insist(PAUSE, || self.inner.signing.sign_stored(&self.inner.store, &step.chain))?)
    }

    pub(crate) fn publish(&self, step: Step) {
        for (digest, outcome) in &step.outcomes {
            log_outcome(digest, outcome);
        }
        self.inner.publish(step);
    }
}

/// See [`Replica::known`].
enum Known {
    No,
    Stored,
    Synced,
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.inner.outcomes().close();
    }
}

fn log_outcome(digest: &EntryDigest, outcome: &SubmissionOutcome) {
    match outcome {
        SubmissionOutcome::Accepted { index } => {
            tracing::debug!(entry.digest = %digest, log.index = index, "an entry is in the log");
        }
        SubmissionOutcome::Refused(refused) => {
            tracing::info!(entry.digest = %digest, reason = %refused, "the rules refused an entry");
        }
    }
}

/// The ledger that the stored entries make, compared with the stored blocks.
fn replay(store: &LedgerStore, genesis: &Genesis) -> Result<Chain, ReplicaError> {
    let mut chain = Chain::new(genesis)?;
    loop {
        let blocks = store.blocks(chain.height() + 1, REPLAY_BLOCKS)?;
        if blocks.is_empty() {
            break;
        }
        for stored in blocks {
            let height = chain.height() + 1;
            let differs = |what| ReplicaError::NotReproduced { height, what };
            if stored.height != height {
                return Err(differs("the height"));
            }
            let batch = OrderedBatch { session: stored.session, index: stored.batch_index, entries: stored.entries };
            let entries = batch.entries.len();
            let step = chain.step(&batch, |_| Ok(None))?;
            let record = step.record.ok_or_else(|| differs("the set of accepted entries"))?;
            if record.entries.len() != entries {
                return Err(differs("the set of accepted entries"));
            }
            if record.block_bytes != stored.block_bytes {
                return Err(differs("the block"));
            }
            if record.block_hash != stored.block_hash || step.chain.frontier.size() != stored.log_size {
                return Err(differs("the hash or the size"));
            }
            chain = step.chain;
        }
    }
    if let Some(head) = store.head()? {
        let frontier = borsh::from_slice::<pyrsia_merkle::Frontier>(&head.frontier_bytes)
            .map_err(|_| ReplicaError::Undecodable { what: "an edge of the tree" })?;
        if head.height != chain.height() || frontier != chain.frontier {
            return Err(ReplicaError::NotReproduced { height: head.height, what: "the edge of the tree" });
        }
    }
    Ok(chain)
}
