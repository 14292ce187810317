//! Cosignatures between the authorities, over the peer network.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pyrsia_network::{Channel, Network};
use pyrsia_replica::{CosignatureMail, CosignatureMessage, ReplicaError, ReplicaHandle, exchange_cosignatures};
use tokio::sync::watch;

/// Log sizes that authorities have shown, by their place in the committee: for people, not for decisions.
#[derive(Clone, Default)]
pub struct Heads(Arc<Mutex<BTreeMap<usize, u64>>>);

impl Heads {
    fn saw(&self, place: usize, size: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(place, size);
    }

    /// What was shown last.
    pub fn sizes(&self) -> BTreeMap<usize, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the exchange works with.
pub struct Parts {
    /// The network.
    pub network: Arc<Network>,
    /// The ledger.
    pub replica: ReplicaHandle,
    /// This authority's place in the committee, and the committee's size.
    pub place: (usize, usize),
    /// Where the others' log sizes are noted.
    pub heads: Heads,
    /// Told how many authorities show a longer log.
    pub ahead: watch::Sender<usize>,
    /// How often the newest checkpoint is cosigned again.
    pub refresh: Duration,
}

struct Mail {
    network: Arc<Network>,
    heads: Heads,
}

#[async_trait]
impl CosignatureMail for Mail {
    fn send(&self, to: usize, message: Vec<u8>) {
        self.network.send(to, Channel::Cosignatures, Bytes::from(message));
    }

    async fn receive(&self) -> (usize, Vec<u8>) {
        let (from, message) = self.network.receive(Channel::Cosignatures).await;
        // Read twice, which is cheap: what the replica makes of it is its own business.
        if let Ok(message) = CosignatureMessage::from_bytes(&message) {
            self.heads.saw(from, message.word.log.size);
        }
        (from, message.to_vec())
    }
}

/// Exchanges cosignatures for ever, and cosigns the newest checkpoint again at times, so that silence can be told from an
/// eclipse. Ends only with a failure of the ledger, after which the node has to stop.
pub async fn cosign(parts: Parts) -> ReplicaError {
    let Parts { network, replica, place: (me, members), heads, ahead, refresh } = parts;
    let mail = Arc::new(Mail { network, heads });
    let exchange = exchange_cosignatures(replica.clone(), members, me, mail, ahead);
    tokio::select! {
        Err(error) = exchange => error,
        () = refresh_again(replica, refresh) => ReplicaError::ShuttingDown,
    }
}

/// Cosigns the newest checkpoint again and again.
pub async fn refresh_again(replica: ReplicaHandle, every: Duration) {
    let mut tick = tokio::time::interval(every);
    loop {
        tick.tick().await;
        if replica.state().log_size() > 0
            && let Err(error) = replica.refresh().await
        {
            tracing::warn!(%error, "the newest checkpoint could not be cosigned again");
        }
    }
}
