//! Why a worker is refused.

use pyrsia_digest::Sha256;

use crate::leases::NoLease;
use crate::messages::PROGRAM;

/// Why a worker does not get what it wants.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Its lease is over.
    #[error(transparent)]
    NoLease(#[from] NoLease),
    /// It is another program than the authority.
    #[error("this worker is {theirs}, and the authority is {PROGRAM}: both have to be the same")]
    OtherProgram {
        /// What it says.
        theirs: String,
    },
    /// It was not told of such a file, or the file is gone.
    #[error("there is no {0} for this lease")]
    NoFile(Sha256),
    /// It brings or asks for more than it may.
    #[error("too many {0}")]
    TooMuch(&'static str),
    /// What it says makes no sense.
    #[error("{0}")]
    Bad(String),
    /// The authority's own machine failed.
    #[error("{0}")]
    Local(String),
}
