//! Catching up: pieces that hold, pieces that do not, and batches that come a second way.

use std::sync::Arc;

use proptest::prelude::*;
use pyrsia_ledger::{
    Authority, AuthorityChange, AuthorityKey, Block, ConsensusKey, Constants, EntryBody, Genesis, ImageProposal,
    SignedEntry,
};
use pyrsia_store::LedgerStore;
use tempfile::TempDir;

use super::{BlocksAnswer, BlocksRequest, MAX_ANSWER_BYTES, PieceError};
use crate::word::Head;
use crate::{
    Certified, CosignatureMessage, Observed, OrderedBatch, Replica, ReplicaError, ReplicaHandle, SigningStatus, Word,
};

fn key(n: u8) -> AuthorityKey {
    AuthorityKey::from_seed(&[n + 1; 32])
}

fn authority(n: u8) -> Authority {
    Authority {
        name: format!("authority-{n}"),
        authority_key: key(n).public(),
        consensus_key: ConsensusKey::from_seed(&[n + 101; 32]).public(),
    }
}

fn genesis() -> Genesis {
    Genesis {
        name: "test".into(),
        nonce: [7; 32],
        authorities: (0..4).map(authority).collect(),
        constants: Constants::default(),
    }
}

struct Node {
    replica: Replica,
    handle: ReplicaHandle,
    dir: TempDir,
}

impl Node {
    /// A node with the key of a member, or without one.
    fn new(signer: Option<u8>) -> Self {
        Self::at(tempfile::tempdir().unwrap(), signer)
    }

    fn at(dir: TempDir, signer: Option<u8>) -> Self {
        let store = LedgerStore::open(dir.path()).unwrap();
        let (replica, handle) = Replica::open(store, genesis(), signer.map(key), Arc::new(|| 1000)).unwrap();
        Self { replica, handle, dir }
    }

    fn restarted(self, signer: Option<u8>) -> Self {
        let Self { replica, handle, dir } = self;
        drop((replica, handle));
        Self::at(dir, signer)
    }

    /// The members' words on the head as it is here.
    async fn certify(&self, members: &[u8], time: u64) {
        let head = Head::of(&self.handle.network_id(), self.handle.block().as_ref());
        for n in members {
            let word = Word::new(head.clone(), head.cosign(&key(*n), &authority(*n).name, time));
            assert_eq!(self.handle.observe(word).await.unwrap(), Observed::Agrees);
        }
    }

    async fn blocks(&self, from_height: u64, max_bytes: u32) -> BlocksAnswer {
        let request = BlocksRequest { from_height, max_bytes, newest_time: 0 };
        let answer = self.handle.blocks(request).await.unwrap();
        let bytes = answer.to_bytes();
        assert!(bytes.len() <= MAX_ANSWER_BYTES);
        assert_eq!(BlocksAnswer::from_bytes(&bytes).unwrap(), answer);
        answer
    }

    /// Takes pieces until there are no more, and returns how many it took.
    async fn follow(&mut self, source: &Node, max_bytes: u32) -> usize {
        for pieces in 0.. {
            let request = self.handle.wanted(max_bytes);
            let answer = source.handle.blocks(request).await.unwrap();
            if answer.is_empty() {
                return pieces;
            }
            self.replica.take(&answer).unwrap().unwrap();
        }
        unreachable!()
    }
}

fn entry(signer: u8, text: &str) -> SignedEntry {
    let digest = pyrsia_digest::Sha256::of(text.as_bytes());
    let body = EntryBody::ImageProposal(ImageProposal::allow(digest, text));
    SignedEntry::sign(body, &genesis().network_id(), &key(signer)).unwrap()
}

fn batch(session: u64, index: u64, entries: &[SignedEntry]) -> OrderedBatch {
    OrderedBatch { session, index, entries: entries.iter().map(SignedEntry::to_bytes).collect() }
}

/// Refused: no member says it.
fn refused(text: &str) -> SignedEntry {
    entry(9, text)
}

/// Twelve batches in three sessions: with refused entries among them, wholly refused, and repeated ones.
fn history() -> Vec<OrderedBatch> {
    (0..12u64)
        .map(|n| {
            let text = format!("entry {n}");
            let entries = match n % 4 {
                0 => vec![entry(0, &text)],
                1 => vec![refused(&text), entry(1, &text), refused("x"), entry(2, &format!("{text} b"))],
                2 => vec![refused(&text)],
                _ => vec![entry(3, &text), entry(0, &format!("entry {}", n - 3))],
            };
            batch(n / 4, n, &entries)
        })
        .collect()
}

/// A node that has it all; certified after each of these batches.
async fn source(certified_after: &[usize]) -> Node {
    let mut node = Node::new(Some(0));
    for (number, batch) in history().iter().enumerate() {
        node.replica.process(batch).unwrap();
        if certified_after.contains(&number) {
            node.certify(&[1, 2], 2000).await;
        }
    }
    node
}

#[tokio::test]
async fn pieces_in_any_cut_give_the_same_ledger() {
    for certified in [&[11][..], &[0, 3, 4, 11], &[0, 1, 3, 4, 5, 7, 8, 9, 11]] {
        let source = source(certified).await;
        for max_bytes in [1, 600, 1500, u32::MAX] {
            let mut follower = Node::new(None);
            let pieces = follower.follow(&source, max_bytes).await;
            assert!(if max_bytes == 1 { pieces == 9 } else { pieces <= 9 }, "{pieces} pieces of {max_bytes} bytes");
            let follower = follower.restarted(None);
            assert_eq!(follower.handle.checkpoint(), source.handle.checkpoint());
            assert_eq!(follower.handle.block(), source.handle.block());
            let certificate = follower.handle.certificate().await.unwrap();
            assert_eq!(certificate, source.handle.certificate().await.unwrap());
            assert_eq!(*follower.handle.certified().borrow(), Certified { size: 12, time: 1000 });
            // Who followed can be followed.
            let mut second = Node::new(None);
            second.follow(&follower, max_bytes).await;
            assert_eq!(second.handle.block(), source.handle.block());
        }
    }
}

#[tokio::test]
async fn what_is_not_certified_is_not_given() {
    let source = source(&[4]).await;
    let answer = source.blocks(1, u32::MAX).await;
    assert_eq!((answer.blocks.len(), answer.head_height), (4, 9));
    assert!(answer.bridge.is_empty());
    assert!(source.blocks(5, u32::MAX).await.blocks.is_empty());
    assert!(source.blocks(100, u32::MAX).await.is_empty());
    assert!(source.blocks(u64::MAX, u32::MAX).await.is_empty());
    assert_eq!(source.blocks(0, 1).await.blocks.len(), 1, "the first height is 1");
}

#[tokio::test]
async fn a_tampered_piece_is_refused_and_changes_nothing() {
    let source = source(&[3, 11]).await;
    let mut certified = source.blocks(1, u32::MAX).await;
    certified.blocks.truncate(2);
    let whole = source.blocks(4, u32::MAX).await;
    assert!(matches!(
        Node::new(None).replica.take(&whole).unwrap(),
        Err(PieceError::NotNext { expected: 1, found: 4 })
    ));
    let small = source.blocks(1, 1).await;
    assert_eq!((small.blocks.len(), small.bridge.len()), (1, 2));
    for piece in [small, source.blocks(1, 1100).await] {
        let mut follower = Node::new(None);
        let before = follower.handle.checkpoint();
        let bytes = piece.to_bytes();
        // The height of the answerer's head is its word only, and nothing follows from it.
        for position in (0..bytes.len()).filter(|position| !(1..9).contains(position)) {
            let mut changed = bytes.clone();
            changed[position] ^= 1 << (position % 8);
            if let Ok(answer) = BlocksAnswer::from_bytes(&changed) {
                let taken = follower.replica.take(&answer).unwrap();
                assert!(taken.is_err(), "byte {position}");
                assert!(!matches!(taken, Err(PieceError::Contradicts { .. } | PieceError::NotReproduced { .. })));
            }
        }
        assert_eq!(follower.handle.checkpoint(), before);
        assert_eq!(follower.replica.cursor().unwrap(), None);
        assert_eq!(follower.handle.certificate().await.unwrap(), None);
        follower.replica.take(&piece).unwrap().unwrap();
    }
    assert!(matches!(Node::new(None).replica.take(&certified).unwrap(), Err(PieceError::OtherCertificate)));
}

/// The log's certificate alone would allow this: the same entries, under other numbers.
#[tokio::test]
async fn a_liar_cannot_move_a_node_to_another_batch_number() {
    let source = source(&[11]).await;
    let mut piece = source.blocks(1, u32::MAX).await;
    let last = piece.blocks.len() - 1;
    piece.blocks[last].block.session = 1 << 60;
    let mut follower = Node::new(None);
    assert_eq!(follower.replica.take(&piece).unwrap(), Err(PieceError::OtherCertificate));
    piece.block_certificate = None;
    assert_eq!(follower.replica.take(&piece).unwrap(), Err(PieceError::NoCertificate));
    assert_eq!(follower.replica.cursor().unwrap(), None);
}

#[tokio::test]
async fn a_crash_between_the_blocks_of_a_piece_is_made_good() {
    let source = source(&[11]).await;
    let piece = source.blocks(1, u32::MAX).await;
    for stored in 0..=piece.blocks.len() {
        let follower = Node::new(Some(3));
        let chain = follower.replica.inner.chain();
        let prepared = follower.replica.prepare(&chain, &piece, 0).unwrap().unwrap();
        for record in prepared.records.into_iter().take(stored) {
            follower.handle.store().append_block(record).unwrap();
        }
        let mut follower = follower.restarted(Some(3));
        assert_eq!(follower.handle.block().map_or(0, |block| block.height), stored as u64);
        // Either the whole piece again, or what is asked for now.
        if stored % 2 == 0 {
            let taken = follower.replica.take(&piece).unwrap().unwrap();
            assert_eq!(taken.blocks, (piece.blocks.len() - stored) as u64);
        } else {
            follower.follow(&source, 1).await;
        }
        assert_eq!(follower.handle.block(), source.handle.block());
        assert_eq!(follower.handle.word().await.unwrap().unwrap().log, source.handle.checkpoint());
        assert_eq!(follower.handle.certified().borrow().size, 12);
    }
}

#[tokio::test]
async fn batches_and_pieces_may_come_in_any_mix() {
    let source = source(&[0, 4, 7, 11]).await;
    let history = history();
    // After `by_piece` blocks from others, consensus hands over everything from the first batch of some session.
    for max_bytes in [1, 800, u32::MAX] {
        for from in [0, 4, 8] {
            let mut node = Node::new(Some(1));
            for batch in &history[..from] {
                node.replica.process(batch).unwrap();
            }
            let mut rest = history[from..].iter();
            loop {
                let answer = source.handle.blocks(node.handle.wanted(max_bytes)).await.unwrap();
                node.replica.take(&answer).unwrap().unwrap();
                let Some(batch) = rest.next() else { break };
                node.replica.process(batch).unwrap();
            }
            assert_eq!(node.handle.block(), source.handle.block());
            assert_eq!(node.handle.checkpoint(), source.handle.checkpoint());
            // Once more, as after a restart.
            let mut node = node.restarted(Some(1));
            for batch in &history[8..] {
                node.replica.process(batch).unwrap();
            }
            assert_eq!(node.handle.checkpoint(), source.handle.checkpoint());
        }
    }
}

#[tokio::test]
async fn a_batch_that_cannot_have_made_a_synced_block_is_fatal() {
    let source = source(&[11]).await;
    let mut node = Node::new(Some(1));
    node.follow(&source, u32::MAX).await;
    let history = history();
    node.replica.process(&history[1]).unwrap();
    for wrong in [
        batch(0, 1, &[]),
        batch(0, 1, &[entry(1, "entry 1")]),
        batch(0, 1, &[entry(2, "entry 1 b"), entry(1, "entry 1")]),
    ] {
        assert!(matches!(node.replica.process(&wrong), Err(ReplicaError::OtherBatch { session: 0, index: 1 })));
    }
    // Nothing is known of a batch that made no block, but that it made none.
    node.replica.process(&batch(0, 2, &[refused("whatever")])).unwrap();
    node.replica.process(&batch(7, 0, &[entry(1, "new")])).unwrap();
    assert!(matches!(node.replica.process(&batch(6, 0, &[])), Err(ReplicaError::OtherBatch { session: 6, .. })));
}

#[tokio::test]
async fn a_quorum_for_another_history_stops_signing_and_fewer_do_not() {
    let other = |certified: &'static [u8]| async move {
        let mut other = Node::new(None);
        other.replica.process(&batch(0, 0, &[entry(2, "another history")])).unwrap();
        other.replica.process(&batch(0, 1, &[entry(2, "and on")])).unwrap();
        other.certify(certified, 2000).await;
        other
    };
    let mut node = Node::new(Some(0));
    node.replica.process(&history()[0]).unwrap();
    let quorum = other(&[1, 2, 3]).await;
    let mut piece = quorum.blocks(1, u32::MAX).await;
    for text in [&mut piece.certificate, &mut piece.block_certificate] {
        let certificate: pyrsia_ledger::Certificate = text.as_ref().unwrap().parse().unwrap();
        *text = Some(certificate.truncated(2).to_text());
    }
    assert!(matches!(node.replica.take(&piece).unwrap(), Err(PieceError::Certificate(_))));
    assert_eq!(node.handle.signing_status(), SigningStatus::Signing);
    let before = node.handle.checkpoint();
    // What follows on the other history says the same as its first block.
    for from in [2, 1] {
        let piece = quorum.blocks(from, u32::MAX).await;
        assert_eq!(node.replica.take(&piece).unwrap(), Err(PieceError::Contradicts { height: 1 }));
        assert!(matches!(node.handle.signing_status(), SigningStatus::Stopped { .. }));
    }
    assert_eq!(node.handle.checkpoint(), before);
}

#[tokio::test]
async fn a_certified_block_that_the_rules_do_not_make_stops_signing() {
    let source = source(&[11]).await;
    let mut piece = source.blocks(1, u32::MAX).await;
    piece.blocks.truncate(1);
    // A quorum certifies a block that holds a refused entry.
    piece.blocks[0].entries = vec![refused("x").to_bytes()];
    piece.blocks[0].block.entries_root = pyrsia_merkle::root(&[pyrsia_merkle::leaf_hash(&piece.blocks[0].entries[0])]);
    let head = Head::of(&source.handle.network_id(), Some(&piece.blocks[0].block));
    let said: Vec<_> = [1, 2, 3].map(|n| head.cosign(&key(n), &authority(n).name, 1)).to_vec();
    let certificate = |checkpoint, cosignatures| pyrsia_ledger::Certificate::new(checkpoint, cosignatures).to_text();
    let logs = said.iter().map(|said| said.log.clone()).collect();
    piece.certificate = Some(certificate(head.log, logs));
    let blocks = said.iter().filter_map(|said| said.block.clone()).collect();
    piece.block_certificate = Some(certificate(head.block.unwrap(), blocks));
    let mut node = Node::new(Some(0));
    assert!(matches!(node.replica.take(&piece).unwrap(), Err(PieceError::NotReproduced { height: 1, .. })));
    assert!(matches!(node.handle.signing_status(), SigningStatus::Stopped { .. }));
    assert_eq!(node.handle.block(), None);
}

#[tokio::test]
async fn fresher_certificates_of_the_same_log_reach_followers() {
    let source = source(&[11]).await;
    let mut follower = Node::new(None);
    follower.follow(&source, u32::MAX).await;
    let wanted = follower.handle.wanted(1000);
    assert_eq!((wanted.from_height, wanted.newest_time), (10, 1000));
    assert!(source.handle.blocks(wanted).await.unwrap().is_empty());
    let mut certified = follower.handle.certified();
    certified.mark_unchanged();
    source.certify(&[1, 2, 3], 5000).await;
    let answer = source.handle.blocks(wanted).await.unwrap();
    assert!(answer.blocks.is_empty());
    assert_eq!(follower.replica.take(&answer).unwrap().unwrap().blocks, 0);
    assert!(certified.has_changed().unwrap());
    assert_eq!(*certified.borrow(), Certified { size: 12, time: 5000 });
    // An older one does not come back.
    follower.replica.take(&source.blocks(1, 1).await).unwrap().unwrap();
    assert_eq!(follower.handle.certified().borrow().time, 5000);
}

#[tokio::test]
async fn a_piece_ends_with_the_block_that_changes_the_committee() {
    let mut source = Node::new(Some(0));
    let change = |n: u8| {
        let authorities = [0, 1, 2, 4].map(authority).to_vec();
        let body = EntryBody::AuthorityChange(AuthorityChange { epoch: 1, authorities });
        SignedEntry::sign(body, &genesis().network_id(), &key(n)).unwrap()
    };
    source.replica.process(&batch(0, 0, &[change(0), change(1), change(2)])).unwrap();
    let head = Head::of(&source.handle.network_id(), source.handle.block().as_ref());
    source.replica.process(&batch(1, 0, &[entry(4, "by the new member")])).unwrap();
    source.certify(&[1, 4], 2000).await;
    let mut follower = Node::new(None);
    assert_eq!(follower.follow(&source, u32::MAX).await, 0, "the new committee cannot introduce itself");
    // The old committee's words may come later than the next block.
    for n in [1, 2] {
        let word = Word::new(head.clone(), head.cosign(&key(n), &authority(n).name, 2000));
        assert_eq!(source.handle.observe(word).await.unwrap(), Observed::Agrees);
    }
    assert_eq!(follower.follow(&source, u32::MAX).await, 2);
    assert_eq!(follower.handle.checkpoint(), source.handle.checkpoint());
}

#[test]
fn a_header_has_the_length_that_the_bounds_count_with() {
    let zero = pyrsia_digest::Sha256::of(b"");
    let block = Block {
        height: 1,
        prev_hash: zero,
        session: 0,
        batch_first: 0,
        batch_last: 0,
        committee_hash: zero,
        entries_root: zero,
        log_size: 1,
        log_root: zero,
    };
    assert_eq!(block.to_bytes().len(), super::wire::HEADER_BYTES);
}

proptest! {
    #[test]
    fn anything_can_be_decoded_without_harm(mut bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        for first in [0, 1, 2] {
            if let Some(format) = bytes.first_mut() {
                *format = first;
            }
            if let Ok(request) = BlocksRequest::from_bytes(&bytes) {
                prop_assert_eq!(request.to_bytes(), bytes.clone());
            }
            if let Ok(answer) = BlocksAnswer::from_bytes(&bytes) {
                prop_assert_eq!(answer.to_bytes(), bytes.clone());
            }
            if let Ok(message) = CosignatureMessage::from_bytes(&bytes) {
                prop_assert_eq!(message.to_bytes(), bytes.clone());
            }
        }
    }

    #[test]
    fn counts_that_lie_are_refused(count in 1..u32::MAX, rest in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut bytes = vec![1];
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(&rest);
        prop_assert!(BlocksAnswer::from_bytes(&bytes).is_err());
    }
}
