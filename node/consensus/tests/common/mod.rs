//! Members over the network in memory.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::path::Path;
use std::time::Duration;

use pyrsia_consensus::testing::MemoryNetwork;
use pyrsia_consensus::{ConsensusConfig, ConsensusOrderer, Cut, Membership, Resume, Start};
use pyrsia_digest::Sha256;
use pyrsia_ledger::{ConsensusKey, Constants, NetworkId};
use pyrsia_replica::OrderedBatch;
use tokio::sync::mpsc;

/// Longer than anything here takes, so that a hanging test fails.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Member {
    pub orderer: ConsensusOrderer,
    batches: mpsc::Receiver<OrderedBatch>,
}

pub fn config() -> ConsensusConfig {
    ConsensusConfig { unit_creation_delay_ms: 40, ..ConsensusConfig::default() }
}

pub fn cut() -> Cut {
    Cut::of(&Constants::default())
}

pub fn entry(number: u32) -> Vec<u8> {
    format!("entry {number}").into_bytes()
}

pub fn membership(members: u8, me: u8) -> Membership {
    let key = |number| ConsensusKey::from_seed(&[number; 32]);
    let keys = (0..members).map(|number| key(number).public()).collect();
    Membership::new(&NetworkId(Sha256::of(b"test")), keys, key(me)).unwrap()
}

impl Member {
    /// With a key that was never used, if the directory is empty.
    pub async fn start(
        members: u8,
        me: u8,
        network: &MemoryNetwork,
        dir: &Path,
        (config, cut): (ConsensusConfig, Cut),
        resume: Resume,
    ) -> Self {
        Self::start_as(members, me, network, dir, (config, cut), resume, true).await
    }

    pub async fn start_as(
        members: u8,
        me: u8,
        network: &MemoryNetwork,
        dir: &Path,
        (config, cut): (ConsensusConfig, Cut),
        resume: Resume,
        founding: bool,
    ) -> Self {
        let (sender, batches) = mpsc::channel(16);
        let start = Start {
            config,
            cut,
            membership: membership(members, me),
            dir: dir.to_owned(),
            transport: network.transport(me.into()),
            batches: sender,
            resume,
            founding,
        };
        Self { orderer: ConsensusOrderer::start(start).await.unwrap(), batches }
    }

    pub async fn next_batch(&mut self) -> OrderedBatch {
        tokio::time::timeout(PATIENCE, self.batches.recv()).await.expect("a batch in time").expect("the orderer runs")
    }

    pub fn batches_so_far(&mut self) -> Vec<OrderedBatch> {
        std::iter::from_fn(|| self.batches.try_recv().ok()).collect()
    }

    pub fn close_receiver(&mut self) {
        self.batches.close();
    }
}

/// Batches until they hold `count` entries.
pub async fn batches_of(member: &mut Member, count: usize) -> Vec<OrderedBatch> {
    let mut batches: Vec<OrderedBatch> = Vec::new();
    while batches.iter().map(|batch| batch.entries.len()).sum::<usize>() < count {
        batches.push(member.next_batch().await);
    }
    batches
}

pub async fn assert_idle(member: &mut Member, time: Duration) {
    tokio::time::sleep(time).await;
    assert_eq!(member.batches_so_far(), Vec::new());
}
