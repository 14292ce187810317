//! Entries of this node into the agreed order.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pyrsia_consensus::{Condition, ConsensusOrderer};
use pyrsia_ledger::SignedEntry;
use pyrsia_network::{CallError, Method, Network};
use pyrsia_replica::{Orderer, SubmitError};
use tokio::sync::SetOnce;

use crate::upkeep::disk;

/// Gives entries to this authority's orderer, and while that takes none (it sits a session out), to another authority.
pub struct Submitter {
    /// This authority's own.
    pub own: SetOnce<Arc<ConsensusOrderer>>,
    /// The way to the others; none in a network of one.
    pub network: Option<Arc<Network>>,
    /// Where the ledger lies.
    pub data: PathBuf,
}

/// Bytes that are to be free before an entry is taken: for units, journal and ledger. What is begun has to be written to its
/// end, and an authority that cannot write its units has to stop; so on a full disk nothing is begun.
const ROOM: u64 = 4 << 20;
/// How long an entry waits for a node that has just started and reads its consensus files, where there is nobody else to take it.
const BEGINNING: Duration = Duration::from_secs(20);

#[async_trait]
impl Orderer for Submitter {
    async fn submit(&self, entry: SignedEntry) -> Result<(), SubmitError> {
        let bytes = Bytes::from(entry.to_bytes());
        let begun = match (self.own.get(), &self.network) {
            (None, None) => tokio::time::timeout(BEGINNING, self.own.wait()).await.ok(),
            (begun, _) => begun,
        };
        let own = match begun {
            Some(_) if !self.has_room() => Err(SubmitError::Storage {
                reason: format!("No space left on the disk of {}: make room and try again", self.data.display()),
            }),
            Some(own) => own.submit(entry).await,
            None => Err(SubmitError::Unavailable { reason: "this authority does not take part yet".to_owned() }),
        };
        match (own, &self.network) {
            (Err(SubmitError::Unavailable { reason }), Some(network)) => elsewhere(network, bytes, reason).await,
            (result, _) => result,
        }
    }
}

impl Submitter {
    /// Whether there is room for what follows from an entry; true where that cannot be told.
    fn has_room(&self) -> bool {
        disk::free(&self.data).map_or(true, |free| free >= ROOM)
    }

    /// Hands what this authority has submitted to the others when its own orderer stops taking part: it waits there for the
    /// next session, or for a restart, and rounds do not. Ordered twice it counts once. Runs until the orderer is dropped.
    pub async fn hand_over(self: Arc<Self>) {
        let (Some(network), Some(own)) = (&self.network, self.own.get()) else { return };
        let mut status = own.status();
        let mut took_part = true;
        loop {
            let takes_part = matches!(status.borrow_and_update().condition, Condition::Running);
            if took_part && !takes_part {
                // What cannot be handed over now is said again by whoever said it.
                for entry in own.pending_entries().await {
                    if let Err(error) = elsewhere(network, Bytes::from(entry), "nobody is connected".to_owned()).await {
                        tracing::warn!(%error, "an entry that waits here could not be handed over");
                    }
                }
            }
            took_part = takes_part;
            if status.changed().await.is_err() {
                return;
            }
        }
    }
}

/// The first authority that takes the entry. Each of them signs nothing about it: the entry carries its author's signature.
async fn elsewhere(network: &Network, entry: Bytes, mut reason: String) -> Result<(), SubmitError> {
    let peers = network.peers().borrow().clone();
    for peer in peers.iter().filter(|peer| peer.authority.is_some()) {
        match network.call(&peer.name, Method::Entry, entry.clone()).await {
            Ok(_) => return Ok(()),
            Err(CallError::Refused(refusal)) => reason = format!("{}: {refusal}", peer.name),
            Err(error) => tracing::debug!(peer = %peer.name, %error, "an authority did not take an entry"),
        }
    }
    Err(SubmitError::Unavailable { reason })
}
