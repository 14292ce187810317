//! The node behind its HTTP face: answers questions from snapshots, carries out what an operator asks for.

mod condition;
mod control;
mod peers;
mod policy;
mod provenance;
mod search;
mod story;
mod view;

use std::sync::Arc;
use std::time::Instant;

use build_spec::Builder;
use pyrsia_api_types::UpstreamStatus;
use pyrsia_blobs::BlobStore;
use pyrsia_http::ViewError;
use pyrsia_network::Network;
use pyrsia_rebuilds::{Board, Entries, Intake};
use pyrsia_replica::ReplicaHandle;
use pyrsia_repository::Policies;
use pyrsia_store::{ClassStore, IndexStore, LedgerStore};

pub use policy::Tally;

use crate::config::StoreConfig;
use crate::image_store::ImageStore;
use crate::peering::cosign::Heads;
use crate::peering::fetcher::Fetcher;
use crate::peering::remote_builds::RemoteBuilds;
use crate::peering::submit::Submitter;
use crate::upkeep::gauge::Gauge;

/// What the service answers from.
pub struct NodeService {
    /// The ledger.
    pub replica: ReplicaHandle,
    /// Its database.
    pub store: LedgerStore,
    /// Files by digest.
    pub blobs: BlobStore,
    /// Gets from peers what the ledger names by digest; none without peers.
    pub fetcher: Option<Fetcher>,
    /// The coordinate index.
    pub index: IndexStore,
    /// Which classes are in which JARs.
    pub classes: ClassStore,
    /// What clients are served.
    pub policies: Policies,
    /// What they were served.
    pub served: Tally,
    /// Builds.
    pub board: Arc<Board>,
    /// This authority's hand; none where this node is no authority.
    pub entries: Option<Arc<Entries>>,
    /// Who takes submissions.
    pub builds: Builds,
    /// Builder images as files; none where this program keeps none.
    pub images: Option<Arc<ImageStore>>,
    /// Peers; none in a network of one that listens to nobody.
    pub peers: Option<Peers>,
    /// This authority's part in the ordering protocol; none at a plain node.
    pub ordering: Option<Arc<Submitter>>,
    /// How full the store is.
    pub gauge: Gauge,
    /// What it is to keep to.
    pub limits: StoreConfig,
    /// `network.json` as a document.
    pub network: serde_json::Value,
    /// Fixed facts for `status`.
    pub facts: Facts,
    /// When the node started.
    pub started: Instant,
}

/// Who takes submissions of builds.
pub enum Builds {
    /// This node, as an authority that rebuilds.
    Here {
        /// Takes them.
        intake: Arc<Intake>,
        /// Who builds; asked now and then whether it can.
        builder: Arc<dyn Builder>,
    },
    /// Authorities, on behalf of this node.
    There(RemoteBuilds),
    /// Nobody, with the reason.
    Nowhere(String),
}

/// The peer network as the face sees it.
pub struct Peers {
    /// The network.
    pub network: Arc<Network>,
    /// Log sizes that authorities have shown, by their place in the committee.
    pub heads: Heads,
}

/// Facts that do not change while the node runs.
pub struct Facts {
    /// Address of the Maven repository.
    pub maven_url: String,
    /// Name of the default policy.
    pub policy: String,
    /// The upstreams in the order in which they are asked.
    pub upstreams: Vec<UpstreamStatus>,
    /// The data directory.
    pub data_dir: String,
    /// Name of this authority, if it is one.
    pub name: Option<String>,
    /// What a person should look at.
    pub warnings: Vec<String>,
}

fn internal(error: impl std::fmt::Display) -> ViewError {
    ViewError::Internal { detail: error.to_string() }
}

fn invalid(error: impl std::fmt::Display) -> ViewError {
    ViewError::Invalid { detail: error.to_string(), next: String::new() }
}
