//! What authorities say during a round.

use borsh::{BorshDeserialize, BorshSerialize};
use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};

use super::{EntryError, FailedBuild, MAX_TEXT_BYTES, RoundResult, check_rule, check_text};
use crate::RoundKey;
use crate::canonical::hex_array;

/// The recorder's word: this manifest let its own replay succeed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Inputs {
    /// The round.
    pub round: RoundKey,
    /// The attempt, from 0.
    pub attempt: u32,
    /// Merkle root over the manifest's lines.
    pub manifest_root: Sha256,
    /// SHA-256 of the blob that holds the manifest.
    pub manifest: Sha256,
    /// Lines of the manifest.
    pub lines: u32,
    /// Bytes of all inputs together.
    pub total_bytes: u64,
}

impl Inputs {
    pub(crate) fn check(&self) -> Result<(), EntryError> {
        check_rule("lines", "a manifest has at most 50000 lines", self.lines <= 50_000)
    }
}

/// Why the recorder could not make a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
pub enum RecordFailure {
    /// The build tool itself gave up. The only reason that can lead to the verdict `failed`.
    Build(FailedBuild),
    /// The repository or the commit could not be had.
    SourceUnavailable,
    /// The source is not what the request says it is: tag, coordinates, scm address.
    SourceMismatch,
    /// The specification could not be had or is not allowed.
    SpecificationUnavailable,
    /// The build wants something from the network that is not declared.
    NeedsNetwork,
    /// An input could not be had.
    InputsUnavailable,
    /// The build worked, its replay from the manifest did not.
    NotReplayable,
    /// A limit, or a fault of the engine.
    Engine,
}

/// The recorder's word: there will be no manifest in this attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct InputsFailed {
    /// The round.
    pub round: RoundKey,
    /// The attempt, from 0.
    pub attempt: u32,
    /// Why.
    pub failure: RecordFailure,
    /// Detail for people; recorded, never voted on.
    pub detail: String,
}

impl InputsFailed {
    pub(crate) fn check(&self) -> Result<(), EntryError> {
        check_text("detail", &self.detail, MAX_TEXT_BYTES)?;
        match &self.failure {
            RecordFailure::Build(failed) => failed.check(),
            _ => Ok(()),
        }
    }
}

/// An authority's word: its own sources contradict a line of the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct InputsRejected {
    /// The round.
    pub round: RoundKey,
    /// The attempt, from 0.
    pub attempt: u32,
    /// The manifest line, as text; shortened to the limit.
    pub line: String,
    /// Detail for people; recorded, never voted on.
    pub detail: String,
}

impl InputsRejected {
    pub(crate) fn check(&self) -> Result<(), EntryError> {
        check_text("line", &self.line, MAX_TEXT_BYTES)?;
        check_text("detail", &self.detail, MAX_TEXT_BYTES)
    }
}

/// Binds an authority to a result that it does not show yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Commitment {
    /// The round.
    pub round: RoundKey,
    /// The attempt, from 0.
    pub attempt: u32,
    /// [`super::commitment_hash`] of the result and a salt.
    pub hash: Sha256,
}

/// Shows a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Attestation {
    /// The round.
    pub round: RoundKey,
    /// The attempt, from 0.
    pub attempt: u32,
    /// The salt of the commitment; anything for a late result.
    #[serde(with = "hex_array")]
    pub salt: [u8; 32],
    /// The result.
    pub result: RoundResult,
}

/// The stages that can take too long.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, BorshSerialize, BorshDeserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum RoundStage {
    /// Waiting for the recorder.
    Record,
    /// Waiting for commitments.
    Commit,
    /// Waiting for results.
    Reveal,
}

/// A local clock's opinion that a stage takes too long. One is nothing; a quorum of them moves the round on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Timeout {
    /// The round.
    pub round: RoundKey,
    /// The attempt, from 0.
    pub attempt: u32,
    /// The stage.
    pub stage: RoundStage,
}
