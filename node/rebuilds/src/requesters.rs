//! How much is prepared at a time, and for whom: what peers ask for takes none of this machine's own places.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Requests that are prepared at the same time, for this machine's user and for peers each; further ones wait.
const PREPARING: usize = 2;
/// Requests that wait or are prepared, of each kind; further ones are refused.
const MAX_WAITING: usize = 64;
/// Unfinished builds that one peer may have asked for; further ones are refused.
const MAX_OF_PEER: usize = 8;

/// Why a request has to come later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// For everybody.
    #[error("{MAX_WAITING} requests are being prepared already; try again later")]
    Full,
    /// For this peer.
    #[error("{MAX_OF_PEER} builds that this node has asked for are not finished; try again when one is")]
    OfPeer,
}

/// The places.
#[derive(Debug)]
pub(crate) struct Requesters {
    own: Lane,
    peers: Lane,
    /// The builds that each peer has asked for, and that were unfinished at its last request.
    by_peer: Mutex<BTreeMap<String, Vec<String>>>,
}

#[derive(Debug)]
struct Lane {
    preparing: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

/// A place among those who wait; given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    preparing: Arc<Semaphore>,
    _waiting: OwnedSemaphorePermit,
}

impl Place {
    /// Waits for its turn. None only when the process ends.
    pub(crate) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.preparing).acquire_owned().await.ok()
    }
}

impl Lane {
    fn new() -> Self {
        Self { preparing: Arc::new(Semaphore::new(PREPARING)), waiting: Arc::new(Semaphore::new(MAX_WAITING)) }
    }
}

impl Requesters {
    pub(crate) fn new() -> Self {
        Self { own: Lane::new(), peers: Lane::new(), by_peer: Mutex::default() }
    }

    /// A place for the build `id`; `peer`: who asks, if it is another node. `is_open`: whether a build is unfinished.
    pub(crate) fn admit(&self, id: &str, peer: Option<&str>, is_open: impl Fn(&str) -> bool) -> Result<Place, Busy> {
        let lane = if peer.is_some() { &self.peers } else { &self.own };
        let waiting = Arc::clone(&lane.waiting).try_acquire_owned().map_err(|_| Busy::Full)?;
        if let Some(peer) = peer {
            let mut by_peer = self.by_peer.lock().unwrap_or_else(PoisonError::into_inner);
            // Of all peers, so that those who have left are forgotten.
            by_peer.retain(|_, builds| {
                builds.retain(|build| is_open(build));
                !builds.is_empty()
            });
            let builds = by_peer.entry(peer.to_owned()).or_default();
            if builds.len() >= MAX_OF_PEER {
                return Err(Busy::OfPeer);
            }
            builds.push(id.to_owned());
        }
        Ok(Place { preparing: Arc::clone(&lane.preparing), _waiting: waiting })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_has_so_many_unfinished_builds_and_others_are_not_kept_waiting_by_them() {
        let requesters = Requesters::new();
        for n in 0..MAX_OF_PEER {
            requesters.admit(&format!("a{n}"), Some("a"), |_| true).unwrap();
        }
        assert_eq!(requesters.admit("a8", Some("a"), |_| true).unwrap_err(), Busy::OfPeer);
        requesters.admit("b0", Some("b"), |_| true).unwrap();
        requesters.admit("a8", Some("a"), |build| build != "a3").unwrap();
        assert_eq!(requesters.admit("a9", Some("a"), |_| true).unwrap_err(), Busy::OfPeer);
        requesters.admit("c0", Some("c"), |_| false).unwrap();
        assert_eq!(requesters.by_peer.lock().unwrap().len(), 1, "finished ones are forgotten");
    }

    #[tokio::test]
    async fn peers_take_no_place_of_this_machine() {
        let requesters = Requesters::new();
        let peer = |n: usize| format!("p{}", n / MAX_OF_PEER);
        let places: Vec<_> =
            (0..MAX_WAITING).map(|n| requesters.admit(&format!("x{n}"), Some(&peer(n)), |_| true).unwrap()).collect();
        assert_eq!(requesters.admit("y", Some("other"), |_| true).unwrap_err(), Busy::Full);
        let _turns = (places[0].turn().await, places[1].turn().await);
        let own = requesters.admit("own", None, |_| true).unwrap();
        assert!(own.turn().await.is_some());
        drop(places);
        assert!(requesters.admit("y", Some("other"), |_| true).is_ok());
    }
}
