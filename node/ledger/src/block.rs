//! Blocks: what one non-empty ordered batch added to the log.

use borsh::{BorshDeserialize, BorshSerialize};
use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};

use crate::canonical::{self, DecodeError, encode, framed};

/// Longest canonical encoding of a block header, in bytes.
const MAX_BLOCK_BYTES: usize = 1024;

/// Header of a block. Blocks form a hash chain; there is none for an empty batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Block {
    /// Position in the chain, from 1.
    pub height: u64,
    /// Hash of the block before it; the network id for the first one.
    pub prev_hash: Sha256,
    /// Session of the ordering protocol.
    pub session: u64,
    /// First batch of the session that this block covers.
    pub batch_first: u64,
    /// Last batch of the session that this block covers.
    pub batch_last: u64,
    /// [`crate::Committee::hash`] of the committee that ordered the batch.
    pub committee_hash: Sha256,
    /// Merkle root over the applied entries of the block alone.
    pub entries_root: Sha256,
    /// Leaves of the log after this block.
    pub log_size: u64,
    /// Merkle root of the log after this block.
    pub log_root: Sha256,
}

impl Block {
    /// Hash of the header.
    pub fn hash(&self) -> Sha256 {
        Sha256::of(&framed(&[b"pyrsia-maven/block/v1", &encode(self)]))
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        encode(self)
    }

    /// Decodes canonical bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        canonical::decode(bytes, MAX_BLOCK_BYTES)
    }
}
