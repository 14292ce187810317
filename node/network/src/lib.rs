//! Peers: libp2p lives only here.

mod address;
mod blob;
mod call;
mod config;
mod dial;
mod driver;
mod error;
mod frame;
mod greet;
mod hello;
mod link;
mod method;
mod name;
mod network;
mod peer;
mod queue;
mod record;
mod remembered;
mod serve;
mod shared;
mod slots;
mod swarm;
mod table;

pub use config::NetworkConfig;
pub use error::{BlobError, CallError, NetworkError, Refusal};
pub use method::{Channel, Limits, Method};
pub use name::{PeerName, PeerNameError, node_id};
pub use network::{Network, Start};
pub use peer::{BlobFile, Peer, PeerInfo, Provider};
