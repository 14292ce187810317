//! The ordering protocol's messages over the peer network.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use pyrsia_consensus::{Incoming, Transport};
use pyrsia_network::{Channel, Network};

/// [`Transport`] between the authorities.
pub struct Links(pub Arc<Network>);

#[async_trait]
impl Transport for Links {
    fn send(&self, to: usize, message: Bytes) {
        self.0.send(to, Channel::Consensus, message);
    }

    async fn receive(&self) -> Incoming {
        let (from, message) = self.0.receive(Channel::Consensus).await;
        Incoming { from, message }
    }
}

/// The only member of a committee has nobody to talk to.
pub struct Solitary;

#[async_trait]
impl Transport for Solitary {
    fn send(&self, _to: usize, _message: Bytes) {}

    async fn receive(&self) -> Incoming {
        std::future::pending().await
    }
}
