//! Entries: everything that an authority can say.

mod governance;
mod request;
mod result;
mod round;

use borsh::{BorshDeserialize, BorshSerialize};
pub use governance::{
    Approval, AuthorityChange, ImageProposal, NamespaceGrant, ReleaseBlock, RulesChange, Subject, Withdrawal,
};
use pyrsia_digest::Sha256;
pub use request::{BuildRequest, Mode, PublisherSignature};
pub(crate) use result::is_headline;
pub use result::{
    BuiltResult, FailedBuild, FailureKind, FileResult, Outcome, RoundResult, VoidReason, commitment_hash,
};
pub use round::{Attestation, Commitment, Inputs, InputsFailed, InputsRejected, RecordFailure, RoundStage, Timeout};
use serde::{Deserialize, Serialize};

use crate::canonical::{self, DecodeError, encode, framed};
use crate::keys::Domain;
use crate::{AuthorityKey, EntryDigest, NetworkId, ProposalId, PublicKey, Signature};

/// Longest signed entry, in bytes.
pub const MAX_ENTRY_BYTES: usize = 16 * 1024;
/// Longest free text, in bytes of UTF-8.
pub const MAX_TEXT_BYTES: usize = 512;

/// Which limit of its own a value breaks, whatever the state of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EntryError {
    /// The signed entry is longer than [`MAX_ENTRY_BYTES`].
    #[error("the entry has {actual} bytes, at most {MAX_ENTRY_BYTES} are allowed")]
    TooLong {
        /// Bytes of the entry.
        actual: usize,
    },
    /// A text is too long or holds control characters.
    #[error("{field} is longer than {limit} bytes or holds control characters")]
    Text {
        /// Name of the field.
        field: &'static str,
        /// Most bytes allowed.
        limit: usize,
    },
    /// A list is empty or too long.
    #[error("{field} has {actual} elements, {min} to {max} are allowed")]
    Count {
        /// Name of the field.
        field: &'static str,
        /// Elements that were given.
        actual: usize,
        /// Fewest allowed.
        min: usize,
        /// Most allowed.
        max: usize,
    },
    /// A list is not in ascending order, or holds something twice.
    #[error("{field} is not in strictly ascending order")]
    Order {
        /// Name of the field.
        field: &'static str,
    },
    /// Fields contradict each other or the limits of their kind.
    #[error("{field}: {rule}")]
    Rule {
        /// Name of the field.
        field: &'static str,
        /// The rule that it breaks.
        rule: &'static str,
    },
}

/// What an entry says. The order of the variants is part of the encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum EntryBody {
    /// Opens a round (admitted by the signing authority).
    BuildRequest(BuildRequest),
    /// The recorder's manifest.
    Inputs(Inputs),
    /// The recorder could not make a manifest.
    InputsFailed(InputsFailed),
    /// An authority's own sources contradict the manifest.
    InputsRejected(InputsRejected),
    /// The hash of a result, before anybody reveals.
    Commitment(Commitment),
    /// A result.
    Attestation(Attestation),
    /// The opinion that a stage takes too long.
    Timeout(Timeout),
    /// The approval of a proposal, or of a free specification.
    Approval(Approval),
    /// Proposal: who may publish into a group, and where its source lies.
    NamespaceGrant(NamespaceGrant),
    /// Proposal: allow or disallow a builder image.
    ImageProposal(ImageProposal),
    /// Proposal: a verdict stands no more.
    Withdrawal(Withdrawal),
    /// Proposal: withhold a release, or stop withholding it.
    Block(ReleaseBlock),
    /// Proposal: the next committee.
    AuthorityChange(AuthorityChange),
    /// Proposal: the next set of rules.
    RulesChange(RulesChange),
}

impl EntryBody {
    /// Checks the limits that hold whatever the state is.
    pub fn check(&self) -> Result<(), EntryError> {
        match self {
            Self::BuildRequest(body) => body.check(),
            Self::Inputs(body) => body.check(),
            Self::InputsFailed(body) => body.check(),
            Self::InputsRejected(body) => body.check(),
            Self::Attestation(body) => body.result.check(),
            Self::Commitment(_) | Self::Timeout(_) | Self::Approval(_) => Ok(()),
            Self::NamespaceGrant(body) => body.check(),
            Self::ImageProposal(body) => body.check(),
            Self::Withdrawal(body) => body.check(),
            Self::Block(body) => body.check(),
            Self::AuthorityChange(body) => body.check(),
            Self::RulesChange(_) => Ok(()),
        }
    }

    /// The name of this content as a proposal: what an [`Approval`] refers to. `None` for what is not a proposal.
    pub fn proposal_id(&self) -> Option<ProposalId> {
        match self {
            Self::NamespaceGrant(_)
            | Self::ImageProposal(_)
            | Self::Withdrawal(_)
            | Self::Block(_)
            | Self::AuthorityChange(_)
            | Self::RulesChange(_) => {
                Some(ProposalId(Sha256::of(&framed(&[b"pyrsia-maven/proposal/v1", &encode(self)]))))
            }
            _ => None,
        }
    }

    /// The kind, as in the table of entries.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BuildRequest(_) => "build-request",
            Self::Inputs(_) => "inputs",
            Self::InputsFailed(_) => "inputs-failed",
            Self::InputsRejected(_) => "inputs-rejected",
            Self::Commitment(_) => "commitment",
            Self::Attestation(_) => "attestation",
            Self::Timeout(_) => "timeout",
            Self::Approval(_) => "approval",
            Self::NamespaceGrant(_) => "namespace",
            Self::ImageProposal(_) => "image",
            Self::Withdrawal(_) => "withdrawal",
            Self::Block(_) => "block",
            Self::AuthorityChange(_) => "authority-change",
            Self::RulesChange(_) => "rules",
        }
    }
}

/// A statement and its authority's signature over (domain, network id, statement).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct SignedEntry {
    /// What is said.
    pub body: EntryBody,
    /// Authority key of the one who says it.
    pub signer: PublicKey,
    /// Signature by `signer`.
    pub signature: Signature,
}

impl SignedEntry {
    /// Signs a statement for one network. Fails if the statement breaks its own limits.
    pub fn sign(body: EntryBody, network: &NetworkId, key: &AuthorityKey) -> Result<Self, EntryError> {
        body.check()?;
        let signature = key.sign(&Domain::Entry.message(network, &encode(&body)));
        let entry = Self { body, signer: key.public(), signature };
        entry.check()?;
        Ok(entry)
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes canonical bytes and checks the limits of the content. The signature is not checked here, since that
    /// needs the network id: see [`SignedEntry::verify`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let entry: Self = canonical::decode(bytes, MAX_ENTRY_BYTES)?;
        entry.body.check()?;
        Ok(entry)
    }

    /// The name of this entry.
    pub fn digest(&self) -> EntryDigest {
        EntryDigest(Sha256::of(&self.to_bytes()))
    }

    /// Whether the signature is the signer's, for this network.
    pub fn verify(&self, network: &NetworkId) -> bool {
        self.signer.verify(&Domain::Entry.message(network, &encode(&self.body)), &self.signature)
    }

    /// Checks the limits of content and length.
    pub fn check(&self) -> Result<(), EntryError> {
        self.body.check()?;
        let actual = self.to_bytes().len();
        if actual > MAX_ENTRY_BYTES { Err(EntryError::TooLong { actual }) } else { Ok(()) }
    }
}

/// A text within its limit and without control characters (they would let a reason draw on a terminal).
pub(crate) fn check_text(field: &'static str, text: &str, limit: usize) -> Result<(), EntryError> {
    if text.len() > limit || text.chars().any(char::is_control) {
        return Err(EntryError::Text { field, limit });
    }
    Ok(())
}

pub(crate) fn check_count(field: &'static str, actual: usize, min: usize, max: usize) -> Result<(), EntryError> {
    if (min..=max).contains(&actual) { Ok(()) } else { Err(EntryError::Count { field, actual, min, max }) }
}

/// Strictly ascending by a key.
pub(crate) fn check_ascending<T, K: Ord>(
    field: &'static str,
    items: &[T],
    key: impl Fn(&T) -> K,
) -> Result<(), EntryError> {
    if items.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])) { Ok(()) } else { Err(EntryError::Order { field }) }
}

pub(crate) fn check_rule(field: &'static str, rule: &'static str, holds: bool) -> Result<(), EntryError> {
    if holds { Ok(()) } else { Err(EntryError::Rule { field, rule }) }
}
