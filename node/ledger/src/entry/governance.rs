//! Proposals and approvals. A proposal takes effect at the entry with which a quorum of approvals is reached; an
//! authority that proposes approves.
//!
//! Things that can change more than once carry a serial number, so that old approvals cannot bring an old state back.

use borsh::{BorshDeserialize, BorshSerialize};
use maven_layout::{CanonicalRepository, Coordinates, GroupId};
use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};

use super::request::MAX_COORDINATES_BYTES;
use super::{EntryError, MAX_TEXT_BYTES, check_ascending, check_count, check_rule, check_text};
use crate::genesis::check_authorities;
use crate::{Authority, ProposalId, PublicKey, RoundKey};

/// Most repositories or publisher keys of one namespace.
const MAX_GRANTED: usize = 32;

/// What is approved.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, BorshSerialize, BorshDeserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// A proposal that is on the ledger.
    Proposal(ProposalId),
    /// A free (not structured) specification, by the digest of its canonical text.
    Specification(Sha256),
}

/// An authority's approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Approval {
    /// What is approved.
    pub subject: Subject,
}

/// Who may publish into a group, and where its source lies. The longest grant on a dot boundary holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct NamespaceGrant {
    /// The group; all groups below it belong to it.
    #[borsh(serialize_with = "crate::canonical::text::write", deserialize_with = "crate::canonical::text::read")]
    pub group: GroupId,
    /// One more than the serial of the grant in force for exactly this group; 1 for the first.
    pub serial: u32,
    /// Repositories of the group's source; ascending by text.
    #[borsh(
        serialize_with = "crate::canonical::text::write_list",
        deserialize_with = "crate::canonical::text::read_list"
    )]
    pub repositories: Vec<CanonicalRepository>,
    /// Keys that may sign native requests; ascending.
    pub publishers: Vec<PublicKey>,
    /// Power 1: releases of the group are native, published by rebuilding.
    pub native: bool,
    /// Power 2: the repositories are the source of upstream releases, whatever their POMs say.
    pub upstream_source: bool,
}

impl NamespaceGrant {
    pub(crate) fn check(&self) -> Result<(), EntryError> {
        check_rule("serial", "serials start at 1", self.serial > 0)?;
        check_text("group", self.group.as_ref(), MAX_TEXT_BYTES)?;
        check_count("repositories", self.repositories.len(), 0, MAX_GRANTED)?;
        check_ascending("repositories", &self.repositories, ToString::to_string)?;
        for repository in &self.repositories {
            check_text("repositories", repository.as_ref(), MAX_TEXT_BYTES)?;
        }
        check_count("publishers", self.publishers.len(), 0, MAX_GRANTED)?;
        check_ascending("publishers", &self.publishers, |key| *key)?;
        let needs_source = self.native || self.upstream_source;
        check_rule("repositories", "a power needs a repository", !needs_source || !self.repositories.is_empty())?;
        check_rule("publishers", "a native namespace has publishers", self.native != self.publishers.is_empty())
    }
}

/// Allows or disallows a builder image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct ImageProposal {
    /// The image: digest of layer tars and canonical configuration.
    pub image: Sha256,
    /// Name for people.
    pub name: String,
    /// One more than the serial in force for this image; 1 for the first.
    pub serial: u32,
    /// Whether requests may name it.
    pub allowed: bool,
}

impl ImageProposal {
    /// The first proposal to allow an image.
    pub fn allow(image: Sha256, name: impl Into<String>) -> Self {
        Self { image, name: name.into(), serial: 1, allowed: true }
    }

    pub(crate) fn check(&self) -> Result<(), EntryError> {
        check_rule("serial", "serials start at 1", self.serial > 0)?;
        check_text("name", &self.name, MAX_TEXT_BYTES)
    }
}

/// Takes a verdict back: the release is unknown again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Withdrawal {
    /// The release.
    #[borsh(serialize_with = "crate::canonical::text::write", deserialize_with = "crate::canonical::text::read")]
    pub coordinates: Coordinates,
    /// The round whose verdict is withdrawn.
    pub round: RoundKey,
    /// Reason for people.
    pub reason: String,
}

impl Withdrawal {
    pub(crate) fn check(&self) -> Result<(), EntryError> {
        check_text("coordinates", &self.coordinates.to_string(), MAX_COORDINATES_BYTES)?;
        check_text("reason", &self.reason, MAX_TEXT_BYTES)
    }
}

/// Withholds a release, whatever its verdict, or stops withholding it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct ReleaseBlock {
    /// The release.
    #[borsh(serialize_with = "crate::canonical::text::write", deserialize_with = "crate::canonical::text::read")]
    pub coordinates: Coordinates,
    /// Whether it is withheld from now on.
    pub blocked: bool,
    /// One more than the serial in force for this release; 1 for the first.
    pub serial: u32,
    /// Reason for people.
    pub reason: String,
}

impl ReleaseBlock {
    pub(crate) fn check(&self) -> Result<(), EntryError> {
        check_rule("serial", "serials start at 1", self.serial > 0)?;
        check_text("coordinates", &self.coordinates.to_string(), MAX_COORDINATES_BYTES)?;
        check_text("reason", &self.reason, MAX_TEXT_BYTES)
    }
}

/// The next committee, complete. Rounds that are open restart under it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct AuthorityChange {
    /// One more than the present epoch.
    pub epoch: u32,
    /// The members, in order.
    pub authorities: Vec<Authority>,
}

impl AuthorityChange {
    pub(crate) fn check(&self) -> Result<(), EntryError> {
        check_authorities(&self.authorities)
            .map_err(|_| EntryError::Rule { field: "authorities", rule: "names and keys are valid and distinct" })
    }
}

/// Switches to the next set of rules at its own position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct RulesChange {
    /// One more than the rules in force.
    pub rules: u32,
}
