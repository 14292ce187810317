//! One session's view of the network, as AlephBFT asks for it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use aleph_bft::{Network, NetworkData, Recipient, SignatureSet};
use async_trait::async_trait;
use bytes::Bytes;
use parity_scale_codec::{DecodeAll as _, Encode as _};

use crate::gate::Shared;
use crate::keychain::UnitSignature;
use crate::router::Inbox;
use crate::transport::Transport;
use crate::types::{MAX_MESSAGE_BYTES, Payload, UnitHasher};
use crate::wire::Envelope;

/// AlephBFT's messages.
pub(crate) type Message = NetworkData<UnitHasher, Payload, UnitSignature, SignatureSet<UnitSignature>>;

/// Sends to all other members, and remembers the last such message.
///
/// AlephBFT repeats its newest unit rarely (it would do so for ever on an idle network). While there is work, the hints'
/// task repeats it every second instead, which is what heals a partition.
pub(crate) struct Outlet {
    transport: Arc<dyn Transport>,
    me: usize,
    members: usize,
    last_for_all: Mutex<Option<Bytes>>,
}

impl Outlet {
    pub(crate) fn new(transport: Arc<dyn Transport>, me: usize, members: usize) -> Arc<Self> {
        Arc::new(Self { transport, me, members, last_for_all: Mutex::new(None) })
    }

    /// Sends one message to all others.
    pub(crate) fn send_to_all(&self, message: &Bytes) {
        for member in (0..self.members).filter(|member| *member != self.me) {
            self.transport.send(member, message.clone());
        }
    }

    /// Sends the last message that AlephBFT had for all others once more.
    pub(crate) fn repeat_last(&self) {
        let last = self.last().clone();
        if let Some(message) = last {
            self.send_to_all(&message);
        }
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<Bytes>> {
        self.last_for_all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The network of one session.
pub(crate) struct SessionNetwork {
    pub(crate) session: u64,
    pub(crate) outlet: Arc<Outlet>,
    pub(crate) inbox: Inbox,
    pub(crate) shared: Arc<Shared>,
}

#[async_trait]
impl Network<Message> for SessionNetwork {
    fn send(&self, data: Message, recipient: Recipient) {
        let message = Envelope::Session { session: self.session, message: Bytes::from(data.encode()) }.to_bytes();
        if message.len() > MAX_MESSAGE_BYTES {
            tracing::warn!(
                consensus.session = self.session,
                bytes = message.len(),
                "a consensus message is too long to be sent"
            );
            return;
        }
        match recipient {
            Recipient::Everyone => {
                self.outlet.send_to_all(&message);
                *self.outlet.last() = Some(message);
            }
            Recipient::Node(index) if index.0 < self.outlet.members && index.0 != self.outlet.me => {
                self.outlet.transport.send(index.0, message);
            }
            Recipient::Node(_) => {}
        }
    }

    async fn next_event(&mut self) -> Option<Message> {
        loop {
            let bytes = self.inbox.receive().await;
            // Trailing bytes and wrong content alike: not AlephBFT's.
            let Ok(message) = Message::decode_all(&mut &bytes[..]) else {
                tracing::debug!(consensus.session = self.session, "dropped a consensus message that does not decode");
                continue;
            };
            let payloads = message.included_data();
            if !payloads.iter().all(Payload::is_within_limits) {
                tracing::warn!(
                    consensus.session = self.session,
                    "dropped a consensus message whose data breaks the limits"
                );
                continue;
            }
            if !payloads.is_empty() {
                let now = Instant::now();
                self.shared.change(|core| {
                    for payload in &payloads {
                        core.saw(self.session, payload, now);
                    }
                });
            }
            return Some(message);
        }
    }
}
