//! Why an entry is refused. A refused entry changes nothing and is no leaf.

use pyrsia_digest::Sha256;

use crate::{EntryError, PublicKey, RoundKey};

/// Why an entry is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The network switched to rules that this program does not have. It must stop signing.
    #[error("the network runs rules {rules}; this program knows rules up to {supported}")]
    RulesUnknown {
        /// Rules in force.
        rules: u32,
        /// Newest rules that this program has.
        supported: u32,
    },
    /// The content breaks its own limits.
    #[error(transparent)]
    Content(#[from] EntryError),
    /// The signer is no member of the committee.
    #[error("{signer} is no member of the committee")]
    NotAuthority {
        /// The signer.
        signer: PublicKey,
    },
    /// The signature does not verify for this network.
    #[error("the signature does not verify for this network")]
    Signature,
    /// Nobody asked for this round.
    #[error("there is no round {round}")]
    UnknownRound {
        /// The round.
        round: RoundKey,
    },
    /// The entry speaks about another attempt than the present one.
    #[error("the round is in attempt {present}, the entry speaks about attempt {named}")]
    Attempt {
        /// The attempt that the entry names.
        named: u32,
        /// The present attempt.
        present: u32,
    },
    /// The round is not in the stage that the entry belongs to.
    #[error("the round is not in the stage that this entry belongs to")]
    Stage,
    /// The signer has said this already.
    #[error("the signer has said this already")]
    Duplicate,
    /// It is another authority's turn to record.
    #[error("it is {recorder}'s turn to record")]
    NotRecorder {
        /// Whose turn it is.
        recorder: PublicKey,
    },
    /// The result and salt do not give the commitment.
    #[error("the result is not the one that was committed to")]
    CommitmentMismatch,
    /// The result does not fit the request.
    #[error("the result does not fit the request: {rule}")]
    Result {
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// The release is being built already.
    #[error("a round for {coordinates} is open")]
    ReleaseOpen {
        /// The release.
        coordinates: String,
    },
    /// The same key was decided already: only a changed key opens the release again.
    #[error("the round {round} is over; a release is opened again only with a changed key")]
    RoundOver {
        /// The round.
        round: RoundKey,
    },
    /// `reopening` is not the number of earlier openings.
    #[error("reopening must be {expected}")]
    Reopening {
        /// Earlier openings.
        expected: u32,
    },
    /// The authority has admitted as many open rounds as it may.
    #[error("the authority has {limit} rounds open, as many as it may")]
    TooManyRounds {
        /// The limit.
        limit: u32,
    },
    /// The authority has made as many pending proposals as it may.
    #[error("the authority has {limit} proposals pending, as many as it may")]
    TooManyProposals {
        /// The limit.
        limit: u32,
    },
    /// The image is not approved.
    #[error("the image {image} is not approved")]
    Image {
        /// The image.
        image: Sha256,
    },
    /// The namespace does not give the power that the request needs.
    #[error("the namespace of {coordinates} does not allow it: {rule}")]
    Namespace {
        /// The release.
        coordinates: String,
        /// What is missing.
        rule: &'static str,
    },
    /// The publisher's signature is missing or wrong.
    #[error("the publisher's signature is not valid")]
    Publisher,
    /// No such proposal is pending.
    #[error("no such proposal is pending")]
    UnknownProposal,
    /// The proposal does not fit the present state: a wrong serial, epoch or rules number, or no such verdict.
    #[error("the proposal does not fit the present state: {rule}")]
    Obsolete {
        /// The rule that it breaks.
        rule: &'static str,
    },
}
