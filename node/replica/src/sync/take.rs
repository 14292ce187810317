//! Taking blocks from another node.

use std::collections::HashSet;

use pyrsia_digest::Sha256;
use pyrsia_ledger::{Block, Certificate, CertificateError, CheckpointError, Committee, EntryDigest, NetworkId};
use pyrsia_merkle::leaf_hash;
use pyrsia_store::{BlockRecord, LedgerStore, StoreError};
use tokio::sync::oneshot;

use super::wire::BlocksAnswer;
use crate::chain::{Chain, Step, synced_digest};
use crate::error::ReplicaError;
use crate::orderer::OrderedBatch;
use crate::outcomes::SubmissionOutcome;
use crate::replica::Replica;
use crate::room::{PAUSE, insist};
use crate::signing::head_at;
use crate::word::{Head, blocks_network};

/// A piece of the ledger from another node, for [`Replica::run`].
#[derive(Debug)]
pub struct Piece {
    /// What the other node answered.
    pub answer: BlocksAnswer,
    /// Told what became of it.
    pub reply: oneshot::Sender<Result<Taken, PieceError>>,
}

/// What a piece that holds brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// Blocks that were new here.
    pub blocks: u64,
    /// Height of the last block here now.
    pub height: u64,
    /// Leaves of the log here now.
    pub log_size: u64,
    /// Session and index of the batch of the last block here: what consensus has to be told. None for an empty ledger.
    pub batch: Option<(u64, u64)>,
    /// Whether the answerer says that it has more: ask again at once.
    pub more: bool,
}

/// Why a piece was not taken. Nothing has changed, but for [`PieceError::Contradicts`] and
/// [`PieceError::NotReproduced`], after which this node signs nothing more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PieceError {
    /// The blocks do not begin at or before the next one.
    #[error("the piece begins with block {found}, the next one here is {expected}")]
    NotNext {
        /// Height of the next block here.
        expected: u64,
        /// Height of the first block of the piece.
        found: u64,
    },
    /// The blocks are no chain of blocks.
    #[error("block {height} of the piece is not one: {what} is wrong")]
    Broken {
        /// Height that the block claims.
        height: u64,
        /// Which part of it.
        what: &'static str,
    },
    /// There are blocks, and a certificate is missing.
    #[error("the piece has no certificate")]
    NoCertificate,
    /// A certificate does not parse.
    #[error("a certificate of the piece is none")]
    CertificateText(#[source] CheckpointError),
    /// The certificates are about something else than the last block.
    #[error("the certificates are not about the last block of the piece")]
    OtherCertificate,
    /// The blocks are not of the committee in office.
    #[error("the blocks are of another committee than the one in office")]
    Committee,
    /// A certificate is not by a quorum of the committee in office.
    #[error("no quorum has certified the piece")]
    Certificate(#[source] CertificateError),
    /// A quorum certified another block than the one that this node has: there are two histories.
    #[error("a quorum certified another block {height} than the one here")]
    Contradicts {
        /// Height of the first block that differs.
        height: u64,
    },
    /// A quorum certified a block that the rules of this program do not make of its entries.
    #[error("a quorum certified block {height}, but this program's rules make another: {what} differs")]
    NotReproduced {
        /// Height of the block.
        height: u64,
        /// Which part of it.
        what: &'static str,
    },
}

enum Fault {
    Store(StoreError),
    Piece(PieceError),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<PieceError> for Fault {
    fn from(error: PieceError) -> Self {
        Self::Piece(error)
    }
}

/// An authentic piece.
struct Authentic<'a> {
    /// Blocks at the beginning that are stored already.
    stored: usize,
    committee: &'a Committee,
    log: Certificate,
    block: Option<Certificate>,
}

/// What a piece makes of the ledger; nothing of it is stored.
pub(crate) struct Prepared {
    pub(crate) chain: Chain,
    pub(crate) records: Vec<BlockRecord>,
    outcomes: Vec<(EntryDigest, SubmissionOutcome)>,
}

impl Replica {
    /// Takes a piece. When this returns `Ok(Ok(_))`, it is stored, signed and published. Blocking.
    ///
    /// Errors: the outer ones are failures of this node, which has to stop; the inner ones are the piece's.
    pub fn take(&mut self, answer: &BlocksAnswer) -> Result<Result<Taken, PieceError>, ReplicaError> {
        let chain = self.inner.chain();
        let store = &self.inner.store;
        if answer.is_empty() {
            return Ok(Ok(taken(&chain, 0, answer)));
        }
        let authentic = match authenticate(store, &chain, answer) {
            Ok(authentic) => authentic,
            Err(Fault::Store(error)) => return Err(error.into()),
            Err(Fault::Piece(error)) => return self.refuse(error),
        };
        let prepared = match self.prepare(&chain, answer, authentic.stored)? {
            Ok(prepared) => prepared,
            Err(error) => return self.refuse(error),
        };
        let blocks = prepared.records.len() as u64;
        for record in prepared.records {
            insist(PAUSE, || store.append_block(record.clone()))?;
        }
        let signing = &self.inner.signing;
        if authentic.log.checkpoint.size <= prepared.chain.frontier.size() {
            insist(PAUSE, || signing.adopt(store, authentic.committee, &authentic.log, authentic.block.as_ref()))?;
        }
        insist(PAUSE, || signing.sign_stored(store, &prepared.chain))?;
        let taken = taken(&prepared.chain, blocks, answer);
        self.publish(Step { chain: prepared.chain, record: None, outcomes: prepared.outcomes });
        Ok(Ok(taken))
    }

    fn refuse(&self, error: PieceError) -> Result<Result<Taken, PieceError>, ReplicaError> {
        if matches!(error, PieceError::Contradicts { .. } | PieceError::NotReproduced { .. }) {
            self.inner.signing.stop(&self.inner.store, error.to_string())?;
        }
        Ok(Err(error))
    }

    /// Applies what is new in an authentic piece, on a copy. Outer errors: the database's, and
    /// [`ReplicaError::RulesUnknown`], which is true now that a quorum has certified it.
    pub(crate) fn prepare(
        &self,
        chain: &Chain,
        answer: &BlocksAnswer,
        stored: usize,
    ) -> Result<Result<Prepared, PieceError>, ReplicaError> {
        let store = &self.inner.store;
        let mut prepared = Prepared { chain: chain.clone(), records: Vec::new(), outcomes: Vec::new() };
        let mut cursor = store.cursor()?;
        let mut seen: HashSet<Sha256> = HashSet::new();
        for piece in answer.blocks.iter().skip(stored) {
            let differs = |what| PieceError::NotReproduced { height: piece.block.height, what };
            let (session, index) = (piece.block.session, piece.block.batch_first);
            if cursor.is_some_and(|last| (session, index) <= last) {
                return Ok(Err(differs("the batch, from which nothing was accepted here,")));
            }
            cursor = Some((session, index));
            let batch = OrderedBatch { session, index, entries: piece.entries.clone() };
            let step = prepared.chain.step(&batch, |digest| {
                if seen.contains(&digest.0) { Ok(Some(0)) } else { Ok(store.leaf_of_entry(&digest.0)?) }
            })?;
            let Some(mut record) = step.record.filter(|record| record.entries == piece.entries) else {
                return Ok(Err(differs("the set of accepted entries")));
            };
            if record.block_bytes != piece.block.to_bytes() {
                return Ok(Err(differs("the block")));
            }
            record.batch_digest = synced_digest(session, index, &record.entries);
            seen.extend(record.entries.iter().map(|entry| Sha256::of(entry)));
            prepared.outcomes.extend(step.outcomes);
            prepared.records.push(record);
            prepared.chain = step.chain;
        }
        Ok(Ok(prepared))
    }
}

fn taken(chain: &Chain, blocks: u64, answer: &BlocksAnswer) -> Taken {
    Taken {
        blocks,
        height: chain.height(),
        log_size: chain.frontier.size(),
        batch: chain.block.as_ref().map(|block| (block.session, block.batch_last)),
        more: blocks > 0 && answer.head_height > chain.height(),
    }
}

/// Checks hashes and signatures of a piece against the ledger here.
fn authenticate<'a>(store: &LedgerStore, chain: &'a Chain, answer: &BlocksAnswer) -> Result<Authentic<'a>, Fault> {
    let network = chain.state.network_id();
    let log = parse(answer.certificate.as_deref())?.ok_or(PieceError::NoCertificate)?;
    let block = parse(answer.block_certificate.as_deref())?;
    let Some(first) = answer.blocks.first().map(|first| &first.block) else {
        return fresher(store, chain, answer, log, block);
    };
    let next = chain.height() + 1;
    if first.height == 0 || first.height > next {
        return Err(PieceError::NotNext { expected: next, found: first.height }.into());
    }
    let base = header(store, first.height - 1)?;
    let office = match header(store, first.height)? {
        Some(own) => own.committee_hash,
        None => chain.state.committee().hash(),
    };
    let last = linked(answer)?;

    // The first place where this node has another history, if it has.
    let prev_hash = base.as_ref().map_or(network.0, Block::hash);
    let mut fork = (first.prev_hash != prev_hash).then_some(first.height - 1);
    let mut stored = 0;
    let headers = answer.blocks.iter().map(|block| &block.block).chain(&answer.bridge);
    for theirs in headers.take_while(|header| header.height < next) {
        stored += 1;
        let own = header(store, theirs.height)?;
        if fork.is_none() && own.as_ref() != Some(theirs) {
            fork = Some(theirs.height);
        }
    }
    // At a fork too: a committee that has been replaced contradicts nothing.
    if first.committee_hash != office {
        return Err(PieceError::Committee.into());
    }
    let committee = chain.committee(&first.committee_hash).ok_or(PieceError::Committee)?;

    let block = block.ok_or(PieceError::NoCertificate)?;
    certified(&network, committee, &Head::of(&network, Some(last)), &log, Some(&block))?;
    match fork {
        Some(height) => Err(PieceError::Contradicts { height }.into()),
        None => Ok(Authentic { stored: stored.min(answer.blocks.len()), committee, log, block: Some(block) }),
    }
}

/// A piece without blocks: fresher certificates of a log that this node has.
fn fresher<'a>(
    store: &LedgerStore,
    chain: &'a Chain,
    answer: &BlocksAnswer,
    log: Certificate,
    block: Option<Certificate>,
) -> Result<Authentic<'a>, Fault> {
    if let Some(header) = answer.bridge.first() {
        return Err(PieceError::Broken { height: header.height, what: "its place without blocks" }.into());
    }
    let size = log.checkpoint.size;
    if size > chain.frontier.size() {
        return Err(PieceError::OtherCertificate.into());
    }
    let network = chain.state.network_id();
    let (head, committee) = head_at(store, &network, chain, size)?;
    if head.as_ref().is_none_or(|head| head.log != log.checkpoint) {
        if log.verify(&network, committee).is_ok() {
            let height = store.block_covering(size)?.map_or(0, |block| block.height);
            return Err(PieceError::Contradicts { height }.into());
        }
        return Err(PieceError::OtherCertificate.into());
    }
    if let Some(head) = head {
        certified(&network, committee, &head, &log, block.as_ref())?;
    }
    Ok(Authentic { stored: 0, committee, log, block })
}

/// Checks that blocks and headers are a chain whose blocks hold their entries, and returns the last header.
fn linked(answer: &BlocksAnswer) -> Result<&Block, Fault> {
    let headers = answer.blocks.iter().map(|block| &block.block).chain(&answer.bridge);
    let mut before: Option<&Block> = None;
    for header in headers {
        let broken = |what| PieceError::Broken { height: header.height, what };
        if header.batch_first != header.batch_last {
            return Err(broken("the range of batches").into());
        }
        if let Some(before) = before {
            let wrong = if Some(header.height) != before.height.checked_add(1) {
                Some("the height")
            } else if header.prev_hash != before.hash() {
                Some("the hash of the block before")
            } else if (header.session, header.batch_first) <= (before.session, before.batch_last) {
                Some("the number of the batch")
            } else if header.committee_hash != before.committee_hash {
                Some("the committee")
            } else {
                None
            };
            if let Some(what) = wrong {
                return Err(broken(what).into());
            }
        }
        before = Some(header);
    }
    for block in &answer.blocks {
        let hashes: Vec<_> = block.entries.iter().map(|entry| leaf_hash(entry)).collect();
        if hashes.is_empty() || pyrsia_merkle::root(&hashes) != block.block.entries_root {
            return Err(PieceError::Broken { height: block.block.height, what: "the root of the entries" }.into());
        }
    }
    before.ok_or_else(|| PieceError::NoCertificate.into())
}

fn certified(
    network: &NetworkId,
    committee: &Committee,
    head: &Head,
    log: &Certificate,
    block: Option<&Certificate>,
) -> Result<(), PieceError> {
    let is_about_head =
        log.checkpoint == head.log && block.is_none_or(|block| head.block.as_ref() == Some(&block.checkpoint));
    if !is_about_head {
        return Err(PieceError::OtherCertificate);
    }
    log.verify(network, committee).map_err(PieceError::Certificate)?;
    if let Some(block) = block {
        block.verify(&blocks_network(network), committee).map_err(PieceError::Certificate)?;
    }
    Ok(())
}

fn parse(text: Option<&str>) -> Result<Option<Certificate>, PieceError> {
    text.map(str::parse).transpose().map_err(PieceError::CertificateText)
}

/// The header of a stored block. None for height 0 and for heights that were not reached.
fn header(store: &LedgerStore, height: u64) -> Result<Option<Block>, StoreError> {
    let found = if height == 0 { Vec::new() } else { store.block_headers(height, 1)? };
    Ok(found.first().and_then(|(_, bytes)| Block::from_bytes(bytes).ok()).filter(|block| block.height == height))
}
