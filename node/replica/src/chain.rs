//! From batches to blocks: the synchronous core. No database, no clock, no keys.

use std::collections::HashSet;
use std::sync::Arc;

use pyrsia_digest::Sha256;
use pyrsia_ledger::{
    Block, Committee, CommitteeLeaf, EntryDigest, Genesis, GenesisError, Leaf, Refusal, SignedEntry, State,
};
use pyrsia_merkle::{Frontier, leaf_hash};
use pyrsia_store::{BlockRecord, LeafRecord};

use crate::error::ReplicaError;
use crate::orderer::OrderedBatch;
use crate::outcomes::{Refused, SubmissionOutcome};

/// The ledger after some block.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) state: Arc<State>,
    pub(crate) frontier: Frontier,
    /// The last block; none before the first.
    pub(crate) block: Option<Block>,
    /// The committee whose word the checkpoint at this size is: the one in office before the block, so that a committee
    /// that is replaced says who replaces it.
    pub(crate) certifying: Arc<Committee>,
    /// Every change of the committee, in order.
    pub(crate) handovers: Arc<Vec<CommitteeLeaf>>,
    /// The committee of the beginning.
    pub(crate) first: Arc<Committee>,
}

/// What a batch makes of a [`Chain`].
pub(crate) struct Step {
    /// The ledger after the batch; the old one when nothing was accepted.
    pub(crate) chain: Chain,
    /// What to store; none when nothing was accepted.
    pub(crate) record: Option<BlockRecord>,
    /// What became of each entry, in order.
    pub(crate) outcomes: Vec<(EntryDigest, SubmissionOutcome)>,
}

/// The name of a batch's content: equal for equal batches only.
pub(crate) fn batch_digest(batch: &OrderedBatch) -> Sha256 {
    let mut bytes = b"pyrsia-maven/batch/v1".to_vec();
    bytes.extend_from_slice(&batch.session.to_le_bytes());
    bytes.extend_from_slice(&batch.index.to_le_bytes());
    for entry in &batch.entries {
        bytes.extend_from_slice(&(entry.len() as u64).to_le_bytes());
        bytes.extend_from_slice(entry);
    }
    Sha256::of(&bytes)
}

/// What stands in the place of [`batch_digest`] for a batch that came with a block from another node: only the accepted
/// entries are known of it then.
pub(crate) fn synced_digest(session: u64, index: u64, accepted: &[Vec<u8>]) -> Sha256 {
    let batch = OrderedBatch { session, index, entries: accepted.to_vec() };
    Sha256::of(&[b"pyrsia-maven/synced-batch/v1".as_slice(), batch_digest(&batch).as_bytes()].concat())
}

/// Whether the accepted entries occur in the batch, in their order: whether the batch can have made their block.
pub(crate) fn is_made_of(accepted: &[Vec<u8>], batch: &OrderedBatch) -> bool {
    let mut rest = batch.entries.iter();
    accepted.iter().all(|entry| rest.any(|ordered| ordered == entry))
}

impl Chain {
    /// The ledger before its first block.
    pub(crate) fn new(genesis: &Genesis) -> Result<Self, GenesisError> {
        let state = State::new(genesis)?;
        let first = Arc::new(state.committee().clone());
        Ok(Self {
            certifying: Arc::clone(&first),
            first,
            state: Arc::new(state),
            frontier: Frontier::new(),
            block: None,
            handovers: Arc::default(),
        })
    }

    /// Height of the last block; 0 before the first, which has height 1.
    pub(crate) fn height(&self) -> u64 {
        self.block.as_ref().map_or(0, |block| block.height)
    }

    /// The committee with this hash, if it is or was in office.
    pub(crate) fn committee(&self, hash: &Sha256) -> Option<&Committee> {
        let later = self.handovers.iter().map(|leaf| &leaf.committee);
        std::iter::once(&*self.first).chain(later).find(|committee| committee.hash() == *hash)
    }

    fn prev_hash(&self) -> Sha256 {
        self.block.as_ref().map_or(self.state.network_id().0, Block::hash)
    }

    /// Applies the entries of a batch in order. `leaf_of` finds the leaf that an entry is already.
    ///
    /// Errors: those of `leaf_of`; [`ReplicaError::RulesUnknown`] when the network switches to rules that this program
    /// does not have. The whole batch is left to the program that has them: refusing its entries would make another
    /// ledger than the others'.
    pub(crate) fn step(
        &self,
        batch: &OrderedBatch,
        leaf_of: impl Fn(&EntryDigest) -> Result<Option<u64>, ReplicaError>,
    ) -> Result<Step, ReplicaError> {
        let mut state = State::clone(&self.state);
        let mut accepted: Vec<(EntryDigest, Vec<u8>)> = Vec::new();
        let mut leaves: Vec<(Leaf, Option<EntryDigest>)> = Vec::new();
        let mut in_batch = HashSet::new();
        let mut outcomes = Vec::new();
        for bytes in &batch.entries {
            // The digest of an entry is that of its canonical bytes, and only canonical bytes decode.
            let digest = EntryDigest(Sha256::of(bytes));
            if in_batch.contains(&digest) {
                continue;
            }
            if let Some(index) = leaf_of(&digest)? {
                outcomes.push((digest, SubmissionOutcome::Accepted { index }));
                continue;
            }
            let entry = match SignedEntry::from_bytes(bytes) {
                Ok(entry) => entry,
                Err(error) => {
                    outcomes.push((digest, SubmissionOutcome::Refused(Refused::Undecodable(error))));
                    continue;
                }
            };
            match state.apply(&entry) {
                Ok(applied) => {
                    in_batch.insert(digest);
                    accepted.push((digest, bytes.clone()));
                    outcomes.push((digest, SubmissionOutcome::Accepted { index: applied.first_index }));
                    let mut name = Some(digest);
                    leaves.extend(applied.leaves.into_iter().map(|leaf| (leaf, name.take())));
                }
                Err(Refusal::RulesUnknown { rules, supported }) => {
                    return Err(ReplicaError::RulesUnknown { rules, supported });
                }
                Err(refusal) => {
                    outcomes.push((digest, SubmissionOutcome::Refused(Refused::Rules(refusal))));
                }
            }
        }
        if accepted.is_empty() {
            return Ok(Step { chain: self.clone(), record: None, outcomes });
        }
        let (chain, record) = self.extend(batch, state, accepted, leaves);
        Ok(Step { chain, record: Some(record), outcomes })
    }

    fn extend(
        &self,
        batch: &OrderedBatch,
        state: State,
        accepted: Vec<(EntryDigest, Vec<u8>)>,
        leaves: Vec<(Leaf, Option<EntryDigest>)>,
    ) -> (Self, BlockRecord) {
        let mut frontier = self.frontier.clone();
        let mut nodes = Vec::new();
        let mut records = Vec::new();
        let mut handovers = Arc::clone(&self.handovers);
        for (leaf, name) in leaves {
            let bytes = leaf.to_bytes();
            let index = frontier.size();
            frontier.push(leaf_hash(&bytes), &mut |level, position, hash| {
                nodes.push((level, position, hash));
            });
            records.push(LeafRecord { index, bytes, entry_digest: name.map(|digest| digest.0) });
            if let Leaf::Committee(leaf) = leaf {
                Arc::make_mut(&mut handovers).push(leaf);
            }
        }
        let certifying = Arc::new(self.state.committee().clone());
        let entry_hashes: Vec<_> = accepted.iter().map(|(_, bytes)| leaf_hash(bytes)).collect();
        let block = Block {
            height: self.height() + 1,
            prev_hash: self.prev_hash(),
            session: batch.session,
            batch_first: batch.index,
            batch_last: batch.index,
            committee_hash: certifying.hash(),
            entries_root: pyrsia_merkle::root(&entry_hashes),
            log_size: frontier.size(),
            log_root: frontier.root(),
        };
        let record = BlockRecord {
            block_bytes: block.to_bytes(),
            block_hash: block.hash(),
            height: block.height,
            session: batch.session,
            batch_index: batch.index,
            batch_digest: batch_digest(batch),
            entries: accepted.into_iter().map(|(_, bytes)| bytes).collect(),
            leaves: records,
            nodes,
            frontier_bytes: borsh::to_vec(&frontier).expect("writing to a vector does not fail"),
        };
        let first = Arc::clone(&self.first);
        let chain = Self { state: Arc::new(state), frontier, block: Some(block), certifying, handovers, first };
        (chain, record)
    }
}
