//! Files and specifications that the ledger names by digest and that this node does not hold.

use async_trait::async_trait;
use build_spec::Specification;
use pyrsia_digest::Sha256;

/// The other nodes, as a round needs them.
///
/// Contract: what is asked for is known by its digest from the ledger or from a manifest that the ledger names, and
/// nothing is believed but bytes of that digest. Calls may run at the same time and for the same digest, and end in
/// bounded time; an error says what was tried, and trying again later may help.
#[async_trait]
pub trait PeerBlobs: Send + Sync {
    /// Makes the blob store hold this blob, verified. A blob longer than `max_bytes` is not taken.
    async fn ensure(&self, sha256: &Sha256, max_bytes: u64) -> Result<(), String>;

    /// The specification with this digest, if a peer has it. The caller computes the digest again.
    async fn specification(&self, digest: &Sha256) -> Option<Specification>;
}

/// A network without others.
pub struct NoPeers;

#[async_trait]
impl PeerBlobs for NoPeers {
    async fn ensure(&self, sha256: &Sha256, _max_bytes: u64) -> Result<(), String> {
        Err(format!("this node does not hold {sha256} and has no peers to ask"))
    }

    async fn specification(&self, _digest: &Sha256) -> Option<Specification> {
        None
    }
}
