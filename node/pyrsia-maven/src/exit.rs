//! Exit codes: a contract with scripts. Nothing else in the program names a number.

use std::process::ExitCode;

use serde::Serialize;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Exit {
    /// 0: done; for `verify`: every file is bit for bit what a quorum of builders produced.
    Done,
    /// 1: the operation failed; the message says why.
    Failed,
    /// 2: usage error.
    Usage,
    /// 10: the ledger has no verdict.
    Unknown,
    /// 11: the file is not what the ledger says it is.
    Mismatch,
    /// 12: the builders did not agree.
    Disputed,
    /// 13: the proof does not hold.
    BadProof,
    /// 14: equivalent, not identical.
    Equivalent,
    /// 15: withdrawn or blocked.
    Withdrawn,
    /// 16: no node or network could be reached.
    Unreachable,
    /// 17: upstream's file is not what the source makes.
    Different,
    /// 18: a network that tolerates no liar says so.
    SelfVerified,
    /// 19: the newest certified checkpoint is too old.
    Stale,
    /// 20: the build failed.
    BuildFailed,
    /// 21: the build asked for an undeclared input.
    Undeclared,
    /// 22: no source could be established.
    NoSource,
}

impl Exit {
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Unknown => 10,
            Self::Mismatch => 11,
            Self::Disputed => 12,
            Self::BadProof => 13,
            Self::Equivalent => 14,
            Self::Withdrawn => 15,
            Self::Unreachable => 16,
            Self::Different => 17,
            Self::SelfVerified => 18,
            Self::Stale => 19,
            Self::BuildFailed => 20,
            Self::Undeclared => 21,
            Self::NoSource => 22,
        }
    }

    /// The order in which one code is chosen for several files: the first present wins.
    const PRECEDENCE: [Self; 12] = [
        Self::BadProof,
        Self::Unreachable,
        Self::Mismatch,
        Self::Withdrawn,
        Self::Stale,
        Self::Disputed,
        Self::Different,
        Self::Equivalent,
        Self::BuildFailed,
        Self::Unknown,
        Self::SelfVerified,
        Self::Done,
    ];

    /// One code for several files.
    pub fn worst(codes: impl IntoIterator<Item = Self>) -> Self {
        let rank = |code: &Self| Self::PRECEDENCE.iter().position(|known| known == code).unwrap_or(0);
        codes.into_iter().min_by_key(rank).unwrap_or(Self::Done)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// An error that ends a command, with its code. The message says what happened, to what, and what to do next.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// The code.
    pub exit: Exit,
    /// The message.
    pub message: String,
    /// The kind of what happened in a word, where a document has a place for it.
    pub kind: Option<&'static str>,
}

impl CommandError {
    /// An error with a code other than 1.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), kind: None }
    }

    /// The same, of a kind that documents name.
    #[must_use]
    pub fn of_kind(self, kind: &'static str) -> Self {
        Self { kind: Some(kind), ..self }
    }
}

/// Any other error is code 1.
pub fn of(error: &anyhow::Error) -> Exit {
    error.downcast_ref::<CommandError>().map_or(Exit::Failed, |known| known.exit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_order_decides_between_several_files() {
        assert_eq!(Exit::worst([Exit::Done, Exit::SelfVerified]), Exit::SelfVerified);
        assert_eq!(Exit::worst([Exit::SelfVerified, Exit::Unknown, Exit::Equivalent]), Exit::Equivalent);
        assert_eq!(Exit::worst([Exit::Mismatch, Exit::BadProof]), Exit::BadProof);
        assert_eq!(Exit::worst([Exit::Withdrawn, Exit::Mismatch]), Exit::Mismatch);
        assert_eq!(Exit::worst([]), Exit::Done);
    }
}
