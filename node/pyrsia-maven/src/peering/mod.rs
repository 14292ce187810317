//! What joins the peer network to the rest of the node. `pyrsia-network` carries bytes; what they mean is decided here.
//!
//! - [`Bodies`](bodies): what is in a call that is not a ledger document of the replica;
//! - [`Fetcher`](fetcher::Fetcher): blobs, specifications and images from peers, verified by what names them;
//! - [`Given`](given::Given): what this node gives to peers, and what it does for them;
//! - [`follow`](follow::follow): the ledger, from peers, by certificates;
//! - [`cosign`](cosign::cosign): cosignatures between the authorities;
//! - [`Links`](links::Links): the ordering protocol's messages;
//! - [`Submitter`](submit::Submitter): entries of this node into the order, through another authority where this one's own
//!   orderer takes none.

pub mod bodies;
pub mod cosign;
pub mod fetcher;
pub mod follow;
pub mod given;
pub mod links;
pub mod remote_builds;
pub mod submit;
