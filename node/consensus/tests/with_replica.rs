//! Consensus and replica together: what a node does, from a submitted entry to a certificate, and across a crash.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use common::{config, cut};
use pyrsia_consensus::testing::MemoryNetwork;
use pyrsia_consensus::{ConsensusOrderer, Membership, Resume, Start};
use pyrsia_digest::Sha256;
use pyrsia_ledger::{Authority, AuthorityKey, ConsensusKey, Constants, EntryBody, Genesis, ImageProposal, SignedEntry};
use pyrsia_replica::{Replica, ReplicaError, ReplicaHandle, SubmissionOutcome};
use pyrsia_store::LedgerStore;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

fn key(n: u8) -> AuthorityKey {
    AuthorityKey::from_seed(&[n + 1; 32])
}

fn consensus_key(n: u8) -> ConsensusKey {
    ConsensusKey::from_seed(&[n + 101; 32])
}

fn genesis(members: u8) -> Genesis {
    Genesis {
        name: "test".into(),
        nonce: [7; 32],
        authorities: (0..members)
            .map(|n| Authority {
                name: format!("authority-{n}"),
                authority_key: key(n).public(),
                consensus_key: consensus_key(n).public(),
            })
            .collect(),
        constants: Constants::default(),
    }
}

struct Node {
    handle: ReplicaHandle,
    orderer: Arc<ConsensusOrderer>,
    running: JoinHandle<Result<(), ReplicaError>>,
}

impl Node {
    async fn start(members: u8, me: u8, network: &MemoryNetwork, dir: &Path) -> Self {
        let store = LedgerStore::open(dir).unwrap();
        let (replica, handle) = Replica::open(store, genesis(members), Some(key(me)), Arc::new(|| 1000)).unwrap();
        let resume = replica
            .cursor()
            .unwrap()
            .map_or(Resume::default(), |(session, index)| Resume { session, after: Some(index) });
        let (batches, ordered) = mpsc::channel(16);
        let orderer = ConsensusOrderer::start(Start {
            config: config(),
            cut: cut(),
            membership: Membership::of_genesis(&genesis(members), consensus_key(me)).unwrap(),
            dir: dir.join("consensus"),
            transport: network.transport(me.into()),
            batches,
            resume,
            founding: true,
        })
        .await
        .unwrap();
        let orderer = Arc::new(orderer);
        assert!(handle.set_orderer(Arc::clone(&orderer) as _));
        Self { handle, orderer, running: tokio::spawn(replica.run(ordered, mpsc::channel(1).1)) }
    }

    async fn propose(&self, members: u8, n: u8, text: &str) -> SubmissionOutcome {
        let body = EntryBody::ImageProposal(ImageProposal::allow(Sha256::of(text.as_bytes()), text));
        let entry = SignedEntry::sign(body, &genesis(members).network_id(), &key(n)).unwrap();
        tokio::time::timeout(Duration::from_secs(60), self.handle.submit_and_wait(entry)).await.unwrap().unwrap()
    }

    async fn has(&self, size: u64) {
        let mut sizes = self.handle.subscribe();
        tokio::time::timeout(Duration::from_secs(60), sizes.wait_for(|now| *now >= size)).await.unwrap().unwrap();
    }

    async fn stop(self) {
        self.orderer.shutdown().await;
        self.running.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_of_one_across_restarts() {
    let temp = tempfile::tempdir().unwrap();
    let mut expected = None;
    for restart in 0..3u64 {
        let network = MemoryNetwork::new(1);
        let node = Node::start(1, 0, &network, temp.path()).await;
        if let Some(expected) = expected {
            assert_eq!(node.handle.checkpoint(), expected);
        }
        for number in 0..3 {
            let outcome = node.propose(1, 0, &format!("{restart} {number}")).await;
            let index = restart * 3 + number;
            assert_eq!(outcome, SubmissionOutcome::Accepted { index });
        }
        // The same again: in the log already. Something like it: refused by the rules, and said so.
        let again = node.propose(1, 0, &format!("{restart} 0")).await;
        assert_eq!(again, SubmissionOutcome::Accepted { index: restart * 3 });
        let refused = node.propose(1, 1, "stranger").await;
        assert!(matches!(refused, SubmissionOutcome::Refused(_)));
        let refused = node.propose(1, 1, "stranger").await;
        assert!(matches!(refused, SubmissionOutcome::Refused(_)), "judged anew");
        let certificate = node.handle.certificate().await.unwrap().unwrap();
        assert_eq!(certificate.checkpoint, node.handle.checkpoint());
        expected = Some(certificate.checkpoint);
        if restart == 0 {
            // As a crash would.
            node.running.abort();
            drop(node.orderer);
            drop(node.handle);
            assert!(node.running.await.is_err());
        } else {
            node.stop().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn four_members_have_one_log() {
    let temp = tempfile::tempdir().unwrap();
    let network = MemoryNetwork::new(4);
    let mut nodes = Vec::new();
    for me in 0..4 {
        nodes.push(Node::start(4, me, &network, &temp.path().join(me.to_string())).await);
    }
    for (n, node) in nodes.iter().enumerate() {
        node.propose(4, n as u8, &format!("by {n}")).await;
    }
    for node in &nodes {
        node.has(4).await;
        assert_eq!(node.handle.checkpoint(), nodes[0].handle.checkpoint());
        assert_eq!(node.handle.block(), nodes[0].handle.block());
    }
    for node in nodes {
        node.stop().await;
    }
}
