//! Entries of this node into the agreed order.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use pyrsia_consensus::ConsensusOrderer;
use pyrsia_ledger::SignedEntry;
use pyrsia_network::{CallError, Method, Network};
use pyrsia_replica::{Orderer, SubmitError};

/// Gives entries to this authority's orderer, and while that takes none (it sits a session out), to another authority.
pub struct Submitter {
    /// This authority's own.
    pub own: OnceLock<Arc<ConsensusOrderer>>,
    /// The way to the others; none in a network of one.
    pub network: Option<Arc<Network>>,
}

#[async_trait]
impl Orderer for Submitter {
    async fn submit(&self, entry: SignedEntry) -> Result<(), SubmitError> {
        let bytes = Bytes::from(entry.to_bytes());
        let own = match self.own.get() {
            Some(own) => own.submit(entry).await,
            None => Err(SubmitError::Unavailable { reason: "this authority does not take part yet".to_owned() }),
        };
        match (own, &self.network) {
            (Err(SubmitError::Unavailable { reason }), Some(network)) => elsewhere(network, bytes, reason).await,
            (result, _) => result,
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
