//! The ledger of the network: what authorities may say, what follows from it, and how a third party checks it.
//!
//! A pure crate. [`SignedEntry`] is one statement of an authority; [`State::apply`] takes ordered entries and derives
//! verdicts from them; [`Certificate`] and [`Receipt`] let anybody verify the outcome with the [`Genesis`] alone.
//! `docs/PROTOCOL.md` is the prose of the rules and formats, `vectors/` holds test vectors.
//!
//! Invariants:
//! - **one byte string for each value**: decoding re-encodes and compares, so non-canonical bytes are refused;
//! - **every signature covers a domain, the network id and the whole statement**, and is checked with the strict
//!   verification equation (no small-order keys, no malleable encodings);
//! - **`apply` is a function of the state and the entry alone**; a refused entry leaves the state as it was and is no
//!   leaf of the log;
//! - what one authority can make the state hold without a quorum is bounded by the constants of the genesis;
//! - nothing read from outside can panic, and every list has a limit that is checked before it is used.
//!
//! What is not here: clocks, network, files, randomness, blobs, local policy, the ordering of entries, and the
//! judgement whether an attestation is true. Those belong to the crates around this one.

pub mod block;
mod canonical;
pub mod checkpoint;
pub mod count;
pub mod entry;
pub mod genesis;
pub mod ids;
pub mod keys;
pub mod leaf;
mod note;
pub mod receipt;
mod receipt_text;
pub mod round;
pub mod state;
pub mod verdict;

pub use block::Block;
pub use canonical::DecodeError;
pub use checkpoint::{Certificate, CertificateError, Checkpoint, CheckpointError, Cosignature, VerifiedCheckpoint};
pub use entry::{
    Approval, Attestation, AuthorityChange, BuildRequest, BuiltResult, Commitment, EntryBody, EntryError, FailedBuild,
    FailureKind, FileResult, ImageProposal, Inputs, InputsFailed, InputsRejected, MAX_ENTRY_BYTES, MAX_TEXT_BYTES,
    Mode, NamespaceGrant, Outcome, PublisherSignature, RecordFailure, ReleaseBlock, RoundResult, RoundStage,
    RulesChange, SignedEntry, Subject, Timeout, VoidReason, Withdrawal, commitment_hash,
};
pub use genesis::{Authority, Committee, Constants, Genesis, GenesisError};
pub use ids::{CommitId, CommitIdError, EntryDigest, NetworkId, ProposalId, RoundKey};
pub use keys::{AuthorityKey, ConsensusKey, KeyError, PublicKey, PublisherKey, Signature};
pub use leaf::{CommitteeLeaf, Leaf, VerdictLeaf};
pub use receipt::{Handover, Pin, Receipt, ReceiptError, VerifiedReceipt};
pub use round::{AttestationRecord, Equivocation, Round, RoundState, Stage};
pub use state::{Applied, Beyond, Namespace, NativeFile, Natives, RULES_SUPPORTED, Refusal, State};
pub use verdict::{FileVerdict, Verdict, VerdictState};
