//! What one node may ask another, and how much of it.

use std::time::Duration;

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// A kind of call. What the bodies mean is the business of the crates on both sides; this crate carries them.
///
/// Every method has to be idempotent: a call whose stream is lost before the peer's first byte is made again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Method {
    /// Blocks with their certificates from a height on. The peer may hold the answer back until there is one (a long
    /// poll).
    Blocks,
    /// One entry to be put before the authorities.
    Entry,
    /// A request to build a release.
    Build,
    /// A publisher's signature for a build that was asked for.
    Sign,
    /// What happened in a build. The peer may hold the answer back until something does.
    BuildEvents,
    /// A specification, or another document that its digest proves.
    Specification,
}

/// The limits of one method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most bytes of a request.
    pub request: usize,
    /// Most bytes of an answer.
    pub answer: usize,
    /// The time that the provider has. The caller waits 15 seconds longer, for the way there and back.
    pub time: Duration,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 6] =
        [Self::Blocks, Self::Entry, Self::Build, Self::Sign, Self::BuildEvents, Self::Specification];

    /// Its limits.
    ///
    /// | method        | request | answer  | time |
    /// |---------------|---------|---------|------|
    /// | Blocks        | 4 KiB   | 8 MiB   | 70 s |
    /// | Entry         | 64 KiB  | 4 KiB   | 30 s |
    /// | Build         | 64 KiB  | 64 KiB  | 30 s |
    /// | Sign          | 4 KiB   | 64 KiB  | 30 s |
    /// | BuildEvents   | 4 KiB   | 1 MiB   | 40 s |
    /// | Specification | 4 KiB   | 1 MiB   | 30 s |
    pub const fn limits(self) -> Limits {
        let (request, answer, seconds) = match self {
            Self::Blocks => (4 * KIB, 8 * MIB, 70),
            Self::Entry => (64 * KIB, 4 * KIB, 30),
            Self::Build => (64 * KIB, 64 * KIB, 30),
            Self::Sign => (4 * KIB, 64 * KIB, 30),
            Self::BuildEvents => (4 * KIB, MIB, 40),
            Self::Specification => (4 * KIB, MIB, 30),
        };
        Limits { request, answer, time: Duration::from_secs(seconds) }
    }

    /// Whether the provider may wait for something to happen before it answers.
    pub(crate) const fn may_be_held_back(self) -> bool {
        matches!(self, Self::Blocks | Self::BuildEvents)
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Blocks => 1,
            Self::Entry => 2,
            Self::Build => 3,
            Self::Sign => 4,
            Self::BuildEvents => 5,
            Self::Specification => 6,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.code() == code)
    }
}

/// A kind of message between authorities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// Messages of the ordering protocol and its work hints, at most 24 MiB each.
    Consensus,
    /// Cosignatures and what is needed to exchange them, at most 1 MiB each.
    Cosignatures,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 2] = [Self::Consensus, Self::Cosignatures];

    /// Most bytes of one message. Longer ones are dropped.
    pub const fn max_message(self) -> usize {
        match self {
            Self::Consensus => 24 * MIB,
            Self::Cosignatures => MIB,
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Consensus => 0,
            Self::Cosignatures => 1,
        }
    }

    /// Most messages waiting, in each direction for each member.
    pub(crate) const fn queue_messages(self) -> usize {
        2048
    }

    /// Most bytes waiting, in each direction for each member.
    pub(crate) const fn queue_bytes(self) -> usize {
        match self {
            Self::Consensus => 32 * MIB,
            Self::Cosignatures => 4 * MIB,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_its_own_code_and_zero_is_none() {
        for method in Method::ALL {
            assert_eq!(Method::from_code(method.code()), Some(method));
        }
        assert_eq!(Method::from_code(0), None);
        assert_eq!(Method::from_code(7), None);
    }

    #[test]
    fn a_queue_holds_the_longest_message() {
        for channel in Channel::ALL {
            assert!(channel.queue_bytes() >= channel.max_message());
        }
    }
}
