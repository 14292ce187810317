//! The section `[network]` of the configuration.

use serde::{Deserialize, Serialize};

/// Most entries in each of the address lists.
pub(crate) const MAX_CONFIGURED: usize = 64;

/// How this node takes part in the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkConfig {
    /// Multiaddrs to listen on, such as `/ip4/0.0.0.0/tcp/4001`. Port 0 takes a free one. Empty: this node only dials.
    pub listen: Vec<String>,
    /// Multiaddrs under which others reach this node, where they differ from `listen` (a forwarded port, a DNS name).
    pub external: Vec<String>,
    /// Multiaddrs of nodes to begin with, with or without `/p2p/<name>`. One that answers is enough: it knows the
    /// others.
    pub bootstrap: Vec<String>,
    /// Most peers at a time. Authorities of the committee and nodes that this one
    /// dials itself do not count; authorities are never turned away for lack of room.
    pub max_peers: u32,
}

impl Default for NetworkConfig {
    fn default() -> Self {
        Self { listen: Vec::new(), external: Vec::new(), bootstrap: Vec::new(), max_peers: 64 }
    }
}
