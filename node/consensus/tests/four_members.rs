//! Four members over a network in memory.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use common::{Member, assert_idle, batches_of, config, cut, entry};
use pyrsia_consensus::testing::MemoryNetwork;
use pyrsia_consensus::{Condition, ConsensusConfig, Cut, Resume};
use pyrsia_replica::{OrderedBatch, SubmitError};
use tempfile::TempDir;

struct Network {
    memory: MemoryNetwork,
    temp: TempDir,
    config: (ConsensusConfig, Cut),
}

impl Network {
    fn new(config: ConsensusConfig) -> Self {
        Self::cut_at(config, cut())
    }

    fn cut_at(config: ConsensusConfig, cut: Cut) -> Self {
        let config = (config, cut);
        Self { memory: MemoryNetwork::new(4), temp: tempfile::tempdir().unwrap(), config }
    }

    fn dir(&self, me: u8) -> PathBuf {
        self.temp.path().join(me.to_string())
    }

    async fn member(&self, me: u8, resume: Resume) -> Member {
        Member::start(4, me, &self.memory, &self.dir(me), self.config.clone(), resume).await
    }

    async fn members(&self) -> Vec<Member> {
        let mut members = Vec::new();
        for me in 0..4 {
            members.push(self.member(me, Resume::default()).await);
        }
        members
    }
}

async fn stop(members: Vec<Member>) {
    for member in members {
        member.orderer.shutdown().await;
    }
}

async fn ordered_by_all(members: &mut [Member], count: usize) -> Vec<OrderedBatch> {
    let mut first = None;
    for member in members {
        let batches = batches_of(member, count).await;
        assert_eq!(first.get_or_insert_with(|| batches.clone()), &batches);
    }
    first.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn all_agree_on_one_order_and_then_are_silent() {
    let network = Network::new(config());
    let mut members = network.members().await;
    for number in 0..80 {
        let submitter = &members[number as usize % 4].orderer;
        submitter.submit_bytes(entry(number)).await.unwrap();
    }
    let batches = ordered_by_all(&mut members, 80).await;
    let mut entries: Vec<_> = batches.iter().flat_map(|batch| batch.entries.clone()).collect();
    entries.sort();
    let mut expected: Vec<_> = (0..80).map(entry).collect();
    expected.sort();
    assert_eq!(entries, expected);

    // A hint's lease, and then nothing.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let sent = network.memory.messages_sent();
    for member in &mut members {
        assert_eq!(member.orderer.pending(), 0);
        assert_idle(member, Duration::from_millis(2500)).await;
    }
    assert_eq!(network.memory.messages_sent(), sent, "nobody says anything");

    // And they wake up again.
    members[2].orderer.submit_bytes(entry(100)).await.unwrap();
    ordered_by_all(&mut members, 1).await;
    stop(members).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_of_four_go_on_and_the_fourth_catches_up_after_its_restart() {
    let network = Network::new(config());
    let mut members = network.members().await;
    members[0].orderer.submit_bytes(entry(0)).await.unwrap();
    let before = ordered_by_all(&mut members, 1).await;

    members.pop().unwrap().orderer.shutdown().await;
    for number in 1..10 {
        let submitter = &members[number as usize % 3].orderer;
        submitter.submit_bytes(entry(number)).await.unwrap();
    }
    let meanwhile = ordered_by_all(&mut members, 9).await;

    let stored = before.last().unwrap();
    let resume = Resume { session: stored.session, after: Some(stored.index) };
    let mut fourth = network.member(3, resume).await;
    members[0].orderer.submit_bytes(entry(10)).await.unwrap();
    let last = ordered_by_all(&mut members, 1).await;
    let expected = [before, meanwhile, last].concat();
    assert_eq!(batches_of(&mut fourth, 11).await, expected);
    members.push(fourth);
    stop(members).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_heals_soon() {
    let network = Network::new(config());
    let mut members = network.members().await;
    members[0].orderer.submit_bytes(entry(0)).await.unwrap();
    ordered_by_all(&mut members, 1).await;

    for member in [2, 3] {
        network.memory.set_cut_off(member, true);
    }
    members[0].orderer.submit_bytes(entry(1)).await.unwrap();
    members[3].orderer.submit_bytes(entry(2)).await.unwrap();
    for member in &mut members {
        assert_idle(member, Duration::from_millis(700)).await;
    }
    for member in [2, 3] {
        network.memory.set_cut_off(member, false);
    }
    let begin = std::time::Instant::now();
    ordered_by_all(&mut members, 2).await;
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    stop(members).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_cut_at_the_same_place_by_all() {
    let network =
        Network::cut_at(ConsensusConfig { unit_creation_delay_ms: 20, ..config() }, Cut { batches: 30, ..cut() });
    let mut members = network.members().await;
    let mut sessions = 0;
    for number in 0..24 {
        let submitter = &members[number as usize % 4].orderer;
        submitter.submit_bytes(entry(number)).await.unwrap();
        let batches = ordered_by_all(&mut members, 1).await;
        sessions = batches[0].session;
    }
    assert!(sessions >= 2, "{sessions}");
    stop(members).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_less_than_it_signed_sits_the_session_out() {
    let network = Network::new(config());
    let mut members = network.members().await;
    let mut last = 0;
    for number in 0..3 {
        members[3].orderer.submit_bytes(entry(number)).await.unwrap();
        last = ordered_by_all(&mut members, 1).await[0].index;
    }
    members.pop().unwrap().orderer.shutdown().await;
    // A disk that forgot what it had said was written.
    let backup = fs::read_dir(network.dir(3).join("backups")).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&backup).unwrap();
    fs::write(&backup, &bytes[..bytes.len() / 2]).unwrap();

    let fourth = network.member(3, Resume { session: 0, after: Some(last) }).await;
    let mut status = fourth.orderer.status();
    let sits_out = status.wait_for(|status| matches!(status.condition, Condition::SittingOut { session: 0, .. }));
    tokio::time::timeout(Duration::from_secs(30), sits_out).await.unwrap().unwrap();
    assert!(matches!(fourth.orderer.submit_bytes(entry(7)).await, Err(SubmitError::Unavailable { .. })));
    members[0].orderer.submit_bytes(entry(8)).await.unwrap();
    ordered_by_all(&mut members, 1).await;
    // Caught up with a later session from elsewhere, it takes part again.
    fourth.orderer.ledger_at(Resume { session: 1, after: Some(0) });
    status.wait_for(|status| status.condition == Condition::Running && status.session == 1).await.unwrap();
    members.push(fourth);
    stop(members).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_its_backup_sits_the_session_out() {
    let network = Network::new(config());
    let mut members = network.members().await;
    members[3].orderer.submit_bytes(entry(0)).await.unwrap();
    let batches = ordered_by_all(&mut members, 1).await;
    members.pop().unwrap().orderer.shutdown().await;
    fs::remove_dir_all(network.dir(3).join("backups")).unwrap();

    let resume = Resume { session: 0, after: Some(batches[0].index) };
    let mut fourth = network.member(3, resume).await;
    assert!(matches!(fourth.orderer.status().borrow().condition, Condition::SittingOut { session: 0, .. }));
    assert!(matches!(fourth.orderer.submit_bytes(entry(1)).await, Err(SubmitError::Unavailable { .. })));
    members[0].orderer.submit_bytes(entry(2)).await.unwrap();
    ordered_by_all(&mut members, 1).await;
    assert_idle(&mut fourth, Duration::from_secs(1)).await;
    // Caught up with a later session from elsewhere, it takes part again: at once, and so after a restart.
    let later = Resume { session: 1, after: Some(0) };
    fourth.orderer.ledger_at(later);
    let mut status = fourth.orderer.status();
    status.wait_for(|status| status.condition == Condition::Running && status.session == 1).await.unwrap();
    fourth.orderer.submit_bytes(entry(3)).await.unwrap();
    fourth.orderer.shutdown().await;
    let fourth = network.member(3, later).await;
    assert_eq!(fourth.orderer.status().borrow().condition, Condition::Running);
    members.push(fourth);
    stop(members).await;
}
