//! Members that were away, or have lost what they signed: catching up from others, and taking part again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use common::{config, cut};
use pyrsia_consensus::testing::MemoryNetwork;
use pyrsia_consensus::{Condition, ConsensusConfig, ConsensusOrderer, Cut, Membership, Resume, Start};
use pyrsia_digest::Sha256;
use pyrsia_ledger::{Authority, AuthorityKey, ConsensusKey, Constants, EntryBody, Genesis, ImageProposal, SignedEntry};
use pyrsia_replica::{
    CosignatureMail, Piece, Replica, ReplicaError, ReplicaHandle, SubmissionOutcome, SubmitError, Taken,
    exchange_cosignatures,
};
use pyrsia_store::LedgerStore;
use tempfile::TempDir;
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(120);
const BATCHES: u64 = 24;

fn key(n: u8) -> AuthorityKey {
    AuthorityKey::from_seed(&[n + 1; 32])
}

fn consensus_key(n: u8) -> ConsensusKey {
    ConsensusKey::from_seed(&[n + 101; 32])
}

fn genesis() -> Genesis {
    Genesis {
        name: "test".into(),
        nonce: [7; 32],
        authorities: (0..4)
            .map(|n| Authority {
                name: format!("authority-{n}"),
                authority_key: key(n).public(),
                consensus_key: consensus_key(n).public(),
            })
            .collect(),
        constants: Constants::default(),
    }
}

type Letter = (usize, Vec<u8>);

/// Cosignatures in memory.
struct Post {
    inboxes: Vec<mpsc::Sender<Letter>>,
    outlets: Vec<Mutex<mpsc::Receiver<Letter>>>,
}

struct Mail {
    me: usize,
    post: Arc<Post>,
}

#[async_trait]
impl CosignatureMail for Mail {
    fn send(&self, to: usize, message: Vec<u8>) {
        // A full queue loses the message.
        let _ = self.post.inboxes[to].try_send((self.me, message));
    }

    async fn receive(&self) -> (usize, Vec<u8>) {
        self.post.outlets[self.me].lock().await.recv().await.unwrap()
    }
}

struct Network {
    memory: MemoryNetwork,
    post: Arc<Post>,
    temp: TempDir,
}

struct Node {
    me: u8,
    handle: ReplicaHandle,
    orderer: Arc<ConsensusOrderer>,
    running: JoinHandle<Result<(), ReplicaError>>,
    exchange: JoinHandle<Result<(), ReplicaError>>,
    ahead: watch::Receiver<usize>,
    pieces: mpsc::Sender<Piece>,
}

impl Network {
    fn new() -> Self {
        let (inboxes, outlets) = (0..4)
            .map(|_| {
                let (inbox, outlet) = mpsc::channel(256);
                (inbox, Mutex::new(outlet))
            })
            .unzip();
        let temp = tempfile::tempdir().unwrap();
        Self { memory: MemoryNetwork::new(4), post: Arc::new(Post { inboxes, outlets }), temp }
    }

    fn dir(&self, me: u8) -> PathBuf {
        self.temp.path().join(me.to_string())
    }

    async fn start(&self, me: u8, founding: bool) -> Node {
        let dir = self.dir(me);
        let store = LedgerStore::open(&dir).unwrap();
        let (replica, handle) = Replica::open(store, genesis(), Some(key(me)), Arc::new(|| 1000)).unwrap();
        let resume = replica.cursor().unwrap();
        let resume = resume.map_or(Resume::default(), |(session, index)| Resume { session, after: Some(index) });
        let (batches, ordered) = mpsc::channel(16);
        let orderer = ConsensusOrderer::start(Start {
            config: ConsensusConfig { unit_creation_delay_ms: 20, ..config() },
            cut: Cut { batches: BATCHES, ..cut() },
            membership: Membership::of_genesis(&genesis(), consensus_key(me)).unwrap(),
            dir: dir.join("consensus"),
            transport: self.memory.transport(me.into()),
            batches,
            resume,
            founding,
        })
        .await
        .unwrap();
        let orderer = Arc::new(orderer);
        assert!(handle.set_orderer(Arc::clone(&orderer) as _));
        let (pieces, pieces_out) = mpsc::channel(1);
        let (ahead, ahead_out) = watch::channel(0);
        let mail = Arc::new(Mail { me: me.into(), post: Arc::clone(&self.post) });
        Node {
            me,
            running: tokio::spawn(replica.run(ordered, pieces_out)),
            exchange: tokio::spawn(exchange_cosignatures(handle.clone(), 4, me.into(), mail, ahead)),
            ahead: ahead_out,
            handle,
            orderer,
            pieces,
        }
    }
}

impl Node {
    fn session(&self) -> u64 {
        self.orderer.status().borrow().session
    }

    async fn propose(&self, text: &str) {
        let body = EntryBody::ImageProposal(ImageProposal::allow(Sha256::of(text.as_bytes()), text));
        let entry = SignedEntry::sign(body, &genesis().network_id(), &key(self.me)).unwrap();
        let outcome = tokio::time::timeout(PATIENCE, self.handle.submit_and_wait(entry)).await.expect(text).unwrap();
        assert!(matches!(outcome, SubmissionOutcome::Accepted { .. }), "{text}: {outcome:?}");
    }

    /// What a node does while others are ahead: asks one for pieces, and tells consensus.
    async fn catch_up(&self, source: &Node) -> Option<Taken> {
        let mut last = None;
        loop {
            let answer = source.handle.blocks(self.handle.wanted(2000)).await.unwrap();
            if answer.blocks.is_empty() {
                return last;
            }
            let (reply, replied) = oneshot::channel();
            self.pieces.send(Piece { answer, reply }).await.unwrap();
            let taken = replied.await.unwrap().unwrap();
            let (session, index) = taken.batch.unwrap();
            self.orderer.ledger_at(Resume { session, after: Some(index) });
            last = Some(taken);
        }
    }

    async fn is_certified(&self) {
        let size = self.handle.state().log_size();
        let mut certified = self.handle.certified();
        let waiting = certified.wait_for(|certified| certified.size >= size);
        tokio::time::timeout(PATIENCE, waiting).await.expect("a certificate in time").unwrap();
    }

    async fn takes_part(&self) {
        let mut status = self.orderer.status();
        let waiting = status.wait_for(|status| status.condition == Condition::Running);
        tokio::time::timeout(PATIENCE, waiting).await.expect("takes part in time").unwrap();
    }

    async fn stop(self) {
        self.exchange.abort();
        self.orderer.shutdown().await;
        drop(self.pieces);
        self.running.await.unwrap().unwrap();
    }
}

/// Entries until the network has gone through that many more sessions.
async fn go_through(nodes: &[Node], sessions: u64, name: &str) {
    let goal = nodes[0].session() + sessions;
    for number in 0.. {
        if nodes.iter().all(|node| node.session() >= goal) {
            break;
        }
        nodes[number % nodes.len()].propose(&format!("{name} {number}")).await;
    }
    for node in nodes {
        node.is_certified().await;
    }
}

async fn started(network: &Network) -> Vec<Node> {
    let mut nodes = Vec::new();
    for me in 0..4 {
        nodes.push(network.start(me, true).await);
    }
    for node in &nodes {
        node.propose(&format!("first of {}", node.me)).await;
    }
    nodes
}

/// Until this process holds no file of a folder open any more.
async fn until_closed(folder: &Path) {
    let is_open = || {
        let files = fs::read_dir("/proc/self/fd").unwrap().flatten();
        files.filter_map(|file| fs::read_link(file.path()).ok()).any(|file| file.starts_with(folder))
    };
    tokio::time::timeout(PATIENCE, async {
        while is_open() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("closed in time");
}

async fn agree(nodes: Vec<Node>) {
    let size = nodes.iter().map(|node| node.handle.state().log_size()).max().unwrap();
    for node in &nodes {
        let mut sizes = node.handle.subscribe();
        tokio::time::timeout(PATIENCE, sizes.wait_for(|now| *now >= size)).await.unwrap().unwrap();
    }
    for node in &nodes {
        assert_eq!(node.handle.block(), nodes[0].handle.block());
        node.is_certified().await;
    }
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_was_away_for_some_sessions_catches_up_and_takes_part_in_the_present_one() {
    let network = Network::new();
    let mut nodes = started(&network).await;
    nodes.pop().unwrap().stop().await;
    // Nobody keeps messages for who is away: with them it could go through the sessions by itself.
    network.memory.set_cut_off(3, true);
    go_through(&nodes, 3, "while away").await;
    network.memory.set_cut_off(3, false);

    let fourth = network.start(3, false).await;
    // The others are ahead, and say so.
    nodes[0].propose("a sign of life").await;
    let mut ahead = fourth.ahead.clone();
    tokio::time::timeout(PATIENCE, ahead.wait_for(|ahead| *ahead > 0)).await.unwrap().unwrap();
    nodes[1].is_certified().await;
    fourth.catch_up(&nodes[1]).await.unwrap();
    fourth.takes_part().await;
    fourth.propose("back again").await;
    nodes.push(fourth);
    // Three of four suffice, with the one that came back.
    nodes.remove(0).stop().await;
    nodes[2].propose("needed").await;
    agree(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_what_it_signed_sits_out_until_a_session_that_it_cannot_have_been_in() {
    let network = Network::new();
    let mut nodes = started(&network).await;
    nodes.pop().unwrap().stop().await;
    fs::remove_dir_all(network.dir(3).join("consensus")).unwrap();

    let fourth = network.start(3, false).await;
    let lost_in = nodes[0].session();
    assert!(matches!(fourth.orderer.status().borrow().condition, Condition::SittingOut { .. }));
    assert!(matches!(fourth.orderer.submit_bytes(vec![1]).await, Err(SubmitError::Unavailable { .. })));
    // Blocks of the session that it has lost come from the others, and change nothing about that.
    nodes[0].propose("without the fourth").await;
    nodes[0].is_certified().await;
    fourth.catch_up(&nodes[0]).await;
    assert!(matches!(fourth.orderer.status().borrow().condition, Condition::SittingOut { .. }));
    for round in 0.. {
        assert!(round < 10, "sits out for ever");
        go_through(&nodes, 1, &format!("round {round}")).await;
        nodes[0].propose(&format!("in the new session, round {round}")).await;
        nodes[0].is_certified().await;
        fourth.catch_up(&nodes[0]).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        if fourth.orderer.status().borrow().condition == Condition::Running {
            break;
        }
    }
    assert!(fourth.session() > lost_in);
    fourth.propose("back again").await;
    nodes.push(fourth);
    agree(nodes).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_everything_but_its_keys_follows_first() {
    let network = Network::new();
    let mut nodes = started(&network).await;
    go_through(&nodes, 1, "before").await;
    nodes.pop().unwrap().stop().await;
    // A database that is still being closed would take the files of the next one in its place for its own.
    until_closed(&network.dir(3)).await;
    fs::remove_dir_all(network.dir(3)).unwrap();

    // The ledger first, then consensus: what is caught up with is what was lost.
    let store = LedgerStore::open(network.dir(3)).unwrap();
    let (mut replica, handle) = Replica::open(store, genesis(), Some(key(3)), Arc::new(|| 1000)).unwrap();
    loop {
        let answer = nodes[0].handle.blocks(handle.wanted(u32::MAX)).await.unwrap();
        if answer.is_empty() {
            break;
        }
        replica = tokio::task::spawn_blocking(move || {
            replica.take(&answer).unwrap().unwrap();
            replica
        })
        .await
        .unwrap();
    }
    drop((replica, handle));
    let fourth = network.start(3, false).await;
    assert_eq!(fourth.handle.checkpoint(), nodes[0].handle.checkpoint());
    let condition = fourth.orderer.status().borrow().condition.clone();
    let Condition::SittingOut { session, .. } = condition else { panic!("{condition:?}") };
    assert_eq!(session, nodes[0].handle.block().unwrap().session);
    nodes.push(fourth);
    agree(nodes).await;
}
