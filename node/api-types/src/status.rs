//! What a node is doing.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/v1/status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// Version of the program.
    pub version: String,
    /// `authority` or `node`.
    pub role: String,
    /// Name of the authority that this node is, if it is one.
    pub name: Option<String>,
    /// Seconds since the node started.
    pub uptime_s: u64,
    /// The network.
    pub network: NetworkStatus,
    /// The log.
    pub log: LogStatus,
    /// Builds.
    pub builds: BuildCounts,
    /// The Maven repository.
    pub repository: RepositoryStatus,
    /// Disk.
    pub storage: StorageStatus,
    /// Connected peers.
    pub peers: u64,
    /// What a person should look at; empty when all is well.
    pub warnings: Vec<String>,
}

/// The network a node belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NetworkStatus {
    /// Name in the network document.
    pub name: String,
    /// Network id.
    pub id: String,
    /// Authorities in the present committee.
    pub authorities: u32,
    /// Equal results that decide.
    pub threshold: u32,
    /// Liars tolerated; 0 means that verdicts are `self-verified` only.
    pub tolerates: u32,
    /// Authorities that this node reaches now, itself included if it is one. With fewer than `threshold` nothing is decided.
    #[serde(default)]
    pub reachable: u32,
}

/// The log as this node has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogStatus {
    /// Leaves.
    pub size: u64,
    /// Root of the tree.
    pub root: String,
    /// Height of the newest block; `null` before the first.
    pub height: Option<u64>,
    /// Oldest time among the cosignatures of the newest certified checkpoint.
    pub checkpoint_time: Option<u64>,
    /// That time is too long ago: this node may be cut off.
    pub stale: bool,
}

/// How many builds are in which state.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct BuildCounts {
    /// Rounds without a result yet.
    pub open: u64,
    /// Closed rounds.
    pub closed: u64,
    /// Running on this machine now.
    pub running_here: u64,
}

/// The Maven repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RepositoryStatus {
    /// Address to put into settings.xml.
    pub url: String,
    /// Default policy: `verified`, `prefer-verified` or `mirror`.
    pub policy: String,
    /// Upstreams, in the order in which they are asked.
    pub upstreams: Vec<UpstreamStatus>,
    /// Files set aside because upstream's bytes changed.
    pub quarantined: u64,
}

/// One upstream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpstreamStatus {
    /// Identifier.
    pub id: String,
    /// Address.
    pub url: String,
    /// How it was found: `settings.xml`, `Maven's super POM`, `configuration`.
    pub found: String,
    /// Its own policy, for groups that no rule names; `null`: the default.
    #[serde(default)]
    pub policy: Option<String>,
}

/// What lies on disk.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct StorageStatus {
    /// Files of the repository that are known, those too whose bytes were removed to make room.
    pub files: u64,
    /// Their sizes together.
    pub bytes: u64,
    /// Data directory.
    pub data_dir: String,
    /// Bytes of all stored files, at most: counted now and then, with what was stored since. `null`: not counted yet.
    #[serde(default)]
    pub stored_bytes: Option<u64>,
    /// Bytes that are free on the disk; `null` where that cannot be told.
    #[serde(default)]
    pub free_bytes: Option<u64>,
    /// By how many bytes the store is above its limits although everything was removed that may be.
    #[serde(default)]
    pub excess_bytes: u64,
    /// What the store is to keep to.
    #[serde(default)]
    pub limits: StorageLimits,
}

/// The limits of `[store]`; `null` where there is none.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct StorageLimits {
    /// Bytes of all stored files.
    pub max_bytes: Option<u64>,
    /// Days after which a file may go that nobody has asked for.
    pub max_age_days: Option<u64>,
    /// Bytes that are to be free on the disk.
    pub min_free_bytes: Option<u64>,
    /// Whether files that a verdict names may go as well.
    pub remove_named: bool,
}

/// One peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Peer {
    /// Peer id, or the authority's name in a network of one.
    pub id: String,
    /// Addresses.
    pub addresses: Vec<String>,
    /// Authority's name, when it is one.
    pub authority: Option<String>,
    /// `connected`, `dialing`, `unreachable`, `self`.
    pub state: String,
    /// Log size that it last told.
    pub log_size: Option<u64>,
}

/// `GET /api/v1/peers`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
pub struct PeerList {
    /// The peers.
    pub peers: Vec<Peer>,
}
