//! A network of one member, restarted and damaged.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::{Member, assert_idle, batches_of, config, cut, entry};
use pyrsia_consensus::testing::MemoryNetwork;
use pyrsia_consensus::{Condition, ConsensusConfig, Cut, Resume};
use pyrsia_replica::{OrderedBatch, SubmitError};

async fn start(dir: &Path, config: ConsensusConfig, resume: Resume) -> Member {
    Member::start(1, 0, &MemoryNetwork::new(1), dir, (config, cut()), resume).await
}

fn entries(batches: &[OrderedBatch]) -> Vec<Vec<u8>> {
    batches.iter().flat_map(|batch| batch.entries.clone()).collect()
}

fn backup_of(dir: &Path, session: u64) -> PathBuf {
    let mut found = fs::read_dir(dir.join("backups"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.file_stem().unwrap().to_str() == Some(&session.to_string()));
    let path = found.next().unwrap();
    assert!(found.next().is_none());
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_in_the_middle_repeats_the_same_batches_and_loses_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let all: Vec<_> = (0..100).map(entry).collect();

    let mut member = start(temp.path(), config(), Resume::default()).await;
    for entry in &all[..60] {
        member.orderer.submit_bytes(entry.clone()).await.unwrap();
    }
    // The first ones become final, then the process "crashes" with others on their way.
    let mut before = vec![member.next_batch().await];
    for entry in &all[60..70] {
        member.orderer.submit_bytes(entry.clone()).await.unwrap();
    }
    before.extend(member.batches_so_far());
    let stored = before.last().unwrap();
    let resume = Resume { session: stored.session, after: Some(stored.index) };
    drop(member);

    let mut member = start(temp.path(), config(), resume).await;
    for entry in &all[70..] {
        member.orderer.submit_bytes(entry.clone()).await.unwrap();
    }
    let mut after = Vec::new();
    while !entries(&after).contains(&all[99]) {
        after.push(member.next_batch().await);
    }
    assert_eq!(after[..before.len()], before, "the session is replayed with the same content");
    // What was on its way at the crash may have been proposed twice, and comes again then.
    let mut got = entries(&after);
    let mut seen = HashSet::new();
    got.retain(|entry| seen.insert(entry.clone()));
    assert_eq!(got, all, "in the order of submission, none lost");
    assert!(entries(&after).len() <= 110, "only those ten can come again");
    assert_eq!(member.orderer.pending(), 0);
    member.orderer.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_of_the_backup_costs_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let mut member = start(temp.path(), config(), Resume::default()).await;
    for number in 0..3 {
        member.orderer.submit_bytes(entry(number)).await.unwrap();
    }
    let before = batches_of(&mut member, 3).await;
    member.orderer.shutdown().await;
    let path = backup_of(temp.path(), 0);
    // Another unit, whose write had not ended: nothing had followed from it.
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(&[200, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    fs::write(&path, bytes).unwrap();

    let stored = before.last().unwrap();
    let resume = Resume { session: 0, after: Some(stored.index) };
    let mut member = start(temp.path(), config(), resume).await;
    member.orderer.submit_bytes(entry(3)).await.unwrap();
    let after = batches_of(&mut member, 4).await;
    assert_eq!(after[..before.len()], before);
    assert_eq!(entries(&after), (0..4).map(entry).collect::<Vec<_>>());
    member.orderer.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_ends_before_the_ledger_ends_the_session_and_the_next_one_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let mut member = start(temp.path(), config(), Resume::default()).await;
    for number in 0..3 {
        member.orderer.submit_bytes(entry(number)).await.unwrap();
        batches_of(&mut member, 1).await;
    }
    member.orderer.submit_bytes(entry(3)).await.unwrap();
    let last = member.next_batch().await;
    member.orderer.shutdown().await;
    // A disk that forgot what it had said was written.
    let path = backup_of(temp.path(), 0);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();

    let mut member = start(temp.path(), config(), Resume { session: 0, after: Some(last.index) }).await;
    member.orderer.submit_bytes(entry(4)).await.unwrap();
    let next = loop {
        let batch = member.next_batch().await;
        if batch.session != 0 {
            break batch;
        }
        assert!(batch.index <= last.index, "the number of a batch is not used again");
    };
    assert_eq!((next.session, entries(std::slice::from_ref(&next))), (1, vec![entry(4)]));
    member.orderer.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_backup_ends_the_session_and_the_next_one_goes_on() {
    let temp = tempfile::tempdir().unwrap();
    let mut member = start(temp.path(), config(), Resume::default()).await;
    member.orderer.submit_bytes(entry(0)).await.unwrap();
    let before = batches_of(&mut member, 1).await;
    member.orderer.shutdown().await;
    fs::remove_file(backup_of(temp.path(), 0)).unwrap();

    let resume = Resume { session: 0, after: Some(before[0].index) };
    let mut last = None;
    for restart in 1..3u32 {
        // Started twice: the decision is the same, and the second session has a backup.
        let mut member = start(temp.path(), config(), resume).await;
        assert_eq!(member.orderer.status().borrow().condition, Condition::Running);
        member.orderer.submit_bytes(entry(restart)).await.unwrap();
        let after = batches_of(&mut member, restart as usize).await;
        assert!(after.iter().all(|batch| batch.session == 1));
        assert_eq!(entries(&after), (1..=restart).map(entry).collect::<Vec<_>>());
        last = after.into_iter().last();
        member.orderer.shutdown().await;
    }
    assert_eq!(last.unwrap().session, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_directory_never_reuses_the_number_of_a_stored_batch() {
    let temp = tempfile::tempdir().unwrap();
    let resume = Resume { session: 4, after: Some(17) };
    let parts = (config(), cut());
    let mut member = Member::start_as(1, 0, &MemoryNetwork::new(1), temp.path(), parts, resume, false).await;
    member.orderer.submit_bytes(entry(0)).await.unwrap();
    assert_eq!(member.next_batch().await.session, 5);
    member.orderer.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_follow_each_other_without_loss() {
    let temp = tempfile::tempdir().unwrap();
    let config = ConsensusConfig { unit_creation_delay_ms: 5, ..ConsensusConfig::default() };
    let parts = (config, Cut { batches: 100, ..cut() });
    let network = MemoryNetwork::new(1);
    let mut member = Member::start(1, 0, &network, temp.path(), parts.clone(), Resume::default()).await;
    let all: Vec<_> = (0..60).map(entry).collect();
    let mut got = Vec::new();
    for entry in &all {
        member.orderer.submit_bytes(entry.clone()).await.unwrap();
        got.push(member.next_batch().await);
    }
    assert_eq!(entries(&got), all);
    assert!(got.last().unwrap().session >= 2, "{:?}", got.last());
    assert!(got.iter().all(|batch| batch.index < 100));
    assert!(got.is_sorted_by_key(|batch| (batch.session, batch.index)));

    // A restart in a later session repeats that session only.
    let stored = got.last().unwrap().clone();
    member.orderer.shutdown().await;
    let resume = Resume { session: stored.session, after: Some(stored.index) };
    let mut member = Member::start(1, 0, &network, temp.path(), parts, resume).await;
    member.orderer.submit_bytes(entry(500)).await.unwrap();
    let of_session: Vec<_> = got.iter().filter(|batch| batch.session == stored.session).cloned().collect();
    let after = batches_of(&mut member, of_session.len() + 1).await;
    assert_eq!(after[..of_session.len()], of_session);
    member.orderer.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_become_final_in_less_than_half_a_second_and_idle_writes_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let mut member = start(temp.path(), ConsensusConfig::default(), Resume::default()).await;
    member.orderer.submit_bytes(entry(0)).await.unwrap();
    member.next_batch().await;
    let begin = std::time::Instant::now();
    for number in 1..6 {
        member.orderer.submit_bytes(entry(number)).await.unwrap();
        member.next_batch().await;
    }
    let each = begin.elapsed() / 5;
    // A generous bound: the machine that runs this may be busy.
    assert!(each < Duration::from_secs(1), "{each:?}");

    tokio::time::sleep(Duration::from_secs(1)).await;
    let size = || fs::metadata(backup_of(temp.path(), 0)).unwrap().len();
    let stored = size();
    assert_idle(&mut member, Duration::from_secs(10)).await;
    assert_eq!(size(), stored, "no unit was created");
    member.orderer.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_ordered_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let config = ConsensusConfig { max_pending: 2, ..config() };
    let member = start(temp.path(), config, Resume::default()).await;
    for size in [0, pyrsia_consensus::MAX_ENTRY_BYTES + 1] {
        assert!(matches!(member.orderer.submit_bytes(vec![0; size]).await, Err(SubmitError::Size { .. })));
    }
    // Nothing becomes final in the first seconds.
    for number in [0, 1, 1] {
        member.orderer.submit_bytes(entry(number)).await.unwrap();
    }
    assert_eq!(member.orderer.submit_bytes(entry(2)).await, Err(SubmitError::Busy { pending: 2 }));
    member.orderer.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_goes_away_is_a_fault() {
    let temp = tempfile::tempdir().unwrap();
    let mut member = start(temp.path(), config(), Resume::default()).await;
    member.close_receiver();
    member.orderer.submit_bytes(entry(0)).await.unwrap();
    let mut status = member.orderer.status();
    status.wait_for(|status| matches!(status.condition, Condition::Failed { .. })).await.unwrap();
    assert!(matches!(member.orderer.submit_bytes(entry(1)).await, Err(SubmitError::Unavailable { .. })));
    member.orderer.shutdown().await;
}
