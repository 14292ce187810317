//! Leaves of the log: applied entries, and what `apply` derived from them.

use borsh::{BorshDeserialize, BorshSerialize};
use maven_layout::{CanonicalRepository, Coordinates};
use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};

use crate::canonical::{self, DecodeError, encode};
use crate::{CommitId, Committee, Mode, RoundKey, SignedEntry, VerdictState};

/// Longest leaf, in bytes: the limit of the tile format's entry bundles.
pub const MAX_LEAF_BYTES: usize = 65_535;

/// A verdict without its output list. See [`crate::Verdict`] for the fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct VerdictLeaf {
    /// The release.
    #[borsh(serialize_with = "crate::canonical::text::write", deserialize_with = "crate::canonical::text::read")]
    pub coordinates: Coordinates,
    /// The round.
    pub round: RoundKey,
    /// Index of this leaf.
    pub index: u64,
    /// Native or upstream.
    pub mode: Mode,
    /// The headline.
    pub state: VerdictState,
    /// Where the source is.
    #[borsh(serialize_with = "crate::canonical::text::write", deserialize_with = "crate::canonical::text::read")]
    pub repository: CanonicalRepository,
    /// The commit.
    #[borsh(serialize_with = "crate::canonical::text::write", deserialize_with = "crate::canonical::text::read")]
    pub commit: CommitId,
    /// The tag.
    pub tag: Option<String>,
    /// Digest of the specification.
    pub specification: Sha256,
    /// Digest of the builder image.
    pub image: Sha256,
    /// Merkle root of the input manifest.
    pub inputs_root: Option<Sha256>,
    /// [`crate::verdict::outputs_root`] of the output list.
    pub outputs_root: Sha256,
    /// SHA-256 of the source tree.
    pub source_tree: Option<Sha256>,
    /// Authorities that had to agree.
    pub threshold: u32,
    /// Members of the committee.
    pub committee_size: u32,
}

/// A committee that took office. The old committee's certificate over a tree with this leaf hands over to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct CommitteeLeaf {
    /// Index of this leaf.
    pub index: u64,
    /// [`Committee::hash`] of the committee before.
    pub previous: Sha256,
    /// The new committee.
    pub committee: Committee,
}

/// A leaf of the log. The order of the variants is part of the encoding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(tag = "leaf", rename_all = "kebab-case")]
pub enum Leaf {
    /// An entry that was applied.
    Entry(SignedEntry),
    /// Derived: a verdict, right after the entry that completed it.
    Verdict(VerdictLeaf),
    /// Derived: a new committee, right after the entry that completed its approval.
    Committee(CommitteeLeaf),
}

impl Leaf {
    /// The canonical bytes: what is hashed into the tree.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes canonical bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let leaf: Self = canonical::decode(bytes, MAX_LEAF_BYTES)?;
        if let Self::Entry(entry) = &leaf {
            entry.check()?;
        }
        Ok(leaf)
    }

    /// The leaf's hash in the tree.
    pub fn hash(&self) -> Sha256 {
        pyrsia_merkle::leaf_hash(&self.to_bytes())
    }
}
