//! The seam to the network between members.

use async_trait::async_trait;
use bytes::Bytes;

/// A message of another member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Position of the sender in the committee. The transport has authenticated it.
    pub from: usize,
    /// The message, at most [`crate::MAX_MESSAGE_BYTES`] long; longer ones are dropped.
    pub message: Bytes,
}

/// Carries messages between the members of one committee.
///
/// Consistency: none is asked for. Messages may be lost, doubled, reordered and delayed; consensus asks again for what it
/// misses. Security: the sender's position must be authenticated. Bounds: both directions have a bounded queue for each
/// member, which drops when it is full.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Sends `message` to the member at position `to`. Must not block: it is called from inside consensus.
    fn send(&self, to: usize, message: Bytes);

    /// The next message for this member. Waits for ever once the network is closed (an end of the stream would end
    /// consensus). Safe to cancel.
    async fn receive(&self) -> Incoming;
}
