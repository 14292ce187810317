//! The ledger from peers, by certificates.
//!
//! A plain node asks one peer at a time for what comes after its own last block, and is answered when there is something
//! (a long poll): one message a minute on an idle network. An authority has the ledger from consensus, and asks only when
//! it starts, and while others show a longer log than its own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use pyrsia_consensus::{Condition, Resume};
use pyrsia_network::{Method, Network, PeerName};
use pyrsia_replica::{BlocksAnswer, Piece, PieceError, ReplicaHandle, Taken};
use tokio::sync::{mpsc, oneshot, watch};

use super::submit::Submitter;

/// Bytes of blocks in one answer.
const STEP_BYTES: u32 = 2 << 20;
/// For how long a peer is passed over that did not answer, or whose answer did not hold.
const PASSED_OVER: Duration = Duration::from_secs(30);
/// Pause before asking anybody again after nobody could be asked, or nothing new came.
const PAUSE: Duration = Duration::from_secs(1);

/// What following works with.
pub struct Parts {
    /// The network.
    pub network: Arc<Network>,
    /// The ledger.
    pub replica: ReplicaHandle,
    /// Where pieces go.
    pub pieces: mpsc::Sender<Piece>,
    /// This authority's part in the order of entries; none at a plain node.
    pub submitter: Option<Arc<Submitter>>,
    /// How many authorities show a longer log, at an authority.
    pub ahead: watch::Receiver<usize>,
}

/// What one question brought.
enum Answered {
    /// The ledger grew, or its certificate is fresher.
    More(Taken),
    /// There is nothing new.
    Nothing,
    /// The peer is not worth asking again for a while.
    Useless(String),
}

/// After this a peer that had nothing is as good as a new one.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// Follows for ever.
pub async fn follow(mut parts: Parts) {
    let mut passed_over: BTreeMap<PeerName, Instant> = BTreeMap::new();
    // When each peer had nothing to tell: the next question goes to another one, so that none that is stuck or silent can
    // keep this node where it is.
    let mut had_nothing: BTreeMap<PeerName, Instant> = BTreeMap::new();
    loop {
        passed_over.retain(|_, since| since.elapsed() < PASSED_OVER);
        had_nothing.retain(|_, since| since.elapsed() < FORGOTTEN);
        let Some(peer) = next(&parts.network, &passed_over, &had_nothing) else {
            // Somebody may connect sooner; whoever is passed over comes back by itself.
            let mut peers = parts.network.peers();
            peers.mark_unchanged();
            let _ = tokio::time::timeout(PAUSE, peers.changed()).await;
            continue;
        };
        let asked = Instant::now();
        match ask(&parts, &peer).await {
            Answered::More(taken) => {
                let consensus = parts.submitter.as_ref().and_then(|submitter| submitter.own.get());
                if let (Some(consensus), Some((session, index))) = (consensus, taken.batch) {
                    consensus.ledger_at(Resume { session, after: Some(index) });
                }
                if taken.more {
                    continue;
                }
                // A fresher certificate and no block: nothing that has to be followed at once.
                if taken.blocks == 0 {
                    had_nothing.insert(peer, Instant::now());
                    tokio::time::sleep(PAUSE.saturating_sub(asked.elapsed())).await;
                }
            }
            Answered::Nothing => {
                had_nothing.insert(peer, Instant::now());
                // A long poll has taken its time; any other answer must not come again at once.
                tokio::time::sleep(PAUSE.saturating_sub(asked.elapsed())).await;
            }
            Answered::Useless(reason) => {
                tracing::info!(peer = %peer, reason, "a peer did not help to follow the ledger");
                passed_over.insert(peer, Instant::now());
                continue;
            }
        }
        if let Some(submitter) = &parts.submitter {
            until_behind(submitter, &mut parts.ahead).await;
        }
    }
}

/// Waits until an authority has a reason to ask: it does not take part in the order of entries (yet, or in this session),
/// or others show a longer log than its own.
async fn until_behind(submitter: &Submitter, ahead: &mut watch::Receiver<usize>) {
    loop {
        let own = submitter.own.get();
        let takes_part = own.is_some_and(|own| own.status().borrow().condition == Condition::Running);
        // Its own network of messages has ended: nothing is left to follow for.
        let Ok(is_behind) = ahead.has_changed().map(|_| *ahead.borrow_and_update() > 0) else {
            return std::future::pending().await;
        };
        if is_behind || !takes_part {
            return;
        }
        match own {
            Some(own) => {
                let mut status = own.status();
                status.mark_unchanged();
                tokio::select! {
                    _ = ahead.changed() => {}
                    _ = status.changed() => {}
                }
            }
            None => return,
        }
    }
}

/// Whom to ask: an authority if one is connected, since its ledger is the newest, and the one whose last empty answer is
/// the oldest.
fn next(
    network: &Network,
    passed_over: &BTreeMap<PeerName, Instant>,
    had_nothing: &BTreeMap<PeerName, Instant>,
) -> Option<PeerName> {
    let peers = network.peers().borrow().clone();
    let usable = peers.iter().filter(|peer| !passed_over.contains_key(&peer.name));
    usable.min_by_key(|peer| (peer.authority.is_none(), had_nothing.get(&peer.name).copied())).map(|peer| peer.name)
}

async fn ask(parts: &Parts, peer: &PeerName) -> Answered {
    let request = parts.replica.wanted(STEP_BYTES);
    let answer = match parts.network.call(peer, Method::Blocks, Bytes::from(request.to_bytes())).await {
        Ok(answer) => answer,
        Err(error) => return Answered::Useless(error.to_string()),
    };
    let answer = match BlocksAnswer::from_bytes(&answer) {
        Ok(answer) => answer,
        Err(error) => return Answered::Useless(format!("its answer does not decode: {error}")),
    };
    if answer.is_empty() {
        return Answered::Nothing;
    }
    let (reply, replied) = oneshot::channel();
    if parts.pieces.send(Piece { answer, reply }).await.is_err() {
        return Answered::Nothing;
    }
    match replied.await {
        Ok(Ok(taken)) => Answered::More(taken),
        Ok(Err(error)) => {
            if matches!(error, PieceError::Contradicts { .. } | PieceError::NotReproduced { .. }) {
                tracing::error!(%error, "a quorum has certified another ledger than this node's");
            }
            Answered::Useless(format!("its answer does not hold: {error}"))
        }
        Err(_) => Answered::Nothing,
    }
}
