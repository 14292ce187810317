//! What the rest of the node sees of peers, and what it provides to them.

use std::io;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use pyrsia_digest::Sha256;

use crate::{Method, PeerName, Refusal};

/// Who is calling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its name, proven by the handshake.
    pub name: PeerName,
    /// Its position in the committee, if it is the node of that authority: both the authority's key and the node
    /// itself have said so.
    pub authority: Option<usize>,
}

/// A connected peer that has greeted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerInfo {
    /// Its name.
    pub name: PeerName,
    /// The address of the oldest connection with it.
    pub address: String,
    /// Its position in the committee, if it is the node of that authority.
    pub authority: Option<usize>,
    /// Who made that connection: true when the peer did.
    pub inbound: bool,
    /// Unix seconds, by this node's clock.
    pub connected_since: u64,
    /// What it calls its program; its own claim, at most 64 bytes without control characters. Empty until known.
    pub agent: String,
}

/// A file to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobFile {
    /// Where it is. It must not change any more.
    pub path: PathBuf,
    /// Its length in bytes.
    pub size: u64,
}

/// Where the bytes of a transfer go. **It hashes them**, since it is where they are kept; the network compares.
#[async_trait]
pub trait BlobSink: Send {
    /// The content follows: `size` bytes, by the peer's word, and no more than the caller wanted.
    async fn begin(&mut self, size: u64) -> io::Result<()>;

    /// The next bytes.
    async fn piece(&mut self, piece: Bytes) -> io::Result<()>;

    /// All have come: the SHA-256 of them together.
    async fn end(&mut self) -> io::Result<Sha256>;
}

/// What this node does for its peers. Dropped in the middle when the peer goes away, the time is over, or the network
/// is shut down.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// Answers a call. The request is within the limits of its method; the answer has to be too.
    async fn call(&self, from: &Peer, method: Method, body: Bytes) -> Result<Bytes, Refusal>;

    /// Where the bytes with this digest are, if they may be given to anybody.
    async fn blob(&self, sha256: &Sha256) -> Option<BlobFile>;
}
