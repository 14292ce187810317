//! What an operator asks the network to decide. Every call needs the node's token.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Answer to a proposal that needs others (202): the entry that was submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// Digest of the entry that was submitted.
    pub entry: String,
    /// Whether it holds already (a network of one decides at once).
    #[serde(default)]
    pub effective: bool,
}

/// `POST /api/v1/namespaces`: who may publish under a group, or give the source of its upstream releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NamespaceSubmission {
    /// Group, matched at dot boundaries; the longest match wins.
    pub group: String,
    /// Canonical repositories.
    pub repositories: Vec<String>,
    /// Publisher keys, 64 hexadecimal digits each.
    #[serde(default)]
    pub publishers: Vec<String>,
    /// The power to publish natively: the group is then never asked upstream.
    #[serde(default)]
    pub native: bool,
    /// The power to give the source of upstream releases.
    #[serde(default)]
    pub upstream_source: bool,
}

/// `POST /api/v1/images/approve`: builds may run in this image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageApproval {
    /// The network's own digest of the image.
    pub image: String,
    /// What it is, in a few words.
    #[serde(default)]
    pub description: String,
    /// Approve it although the node's machine has not made it again from its packages.
    #[serde(default)]
    pub unverified: bool,
}

/// `POST /api/v1/images/fetch`: get a builder image from peers. Asked again until it is here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ImageFetch {
    /// The network's own digest of the image.
    pub image: String,
}

/// The answer to an [`ImageFetch`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ImageFetched {
    /// The network's own digest of the image.
    pub image: String,
    /// Whether it is here; else it is on its way.
    pub here: bool,
    /// Name of its recipe, once it is here.
    pub name: Option<String>,
    /// Size of its layer in bytes, once it is here.
    pub layer_bytes: Option<u64>,
}

/// `POST /api/v1/specifications/approve`: builds may follow this specification, although it is not a structured one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SpecificationApproval {
    /// The specification as TOML text.
    pub specification: String,
}

/// `POST /api/v1/withdrawals`: the verdict of a release no longer stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WithdrawalSubmission {
    /// The release.
    pub coordinates: String,
    /// Why, at most 512 bytes.
    pub reason: String,
}

/// `POST /api/v1/blocks`: withhold a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockSubmission {
    /// The release.
    pub coordinates: String,
    /// Why, at most 512 bytes.
    pub reason: String,
    /// `true` lifts an earlier block.
    #[serde(default)]
    pub lift: bool,
}
