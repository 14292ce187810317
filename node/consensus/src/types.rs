//! What AlephBFT is instantiated with: the data of a unit, the hash, and the limits that keep memory bounded.

use parity_scale_codec::{Decode, Encode};
use pyrsia_digest::Sha256;

/// The longest entry in bytes (protocol: entries are at most 16 KiB).
pub const MAX_ENTRY_BYTES: usize = 16 * 1024;
/// The most bytes of entries in one unit.
pub(crate) const MAX_PAYLOAD_BYTES: usize = 32 * 1024;
/// The most entries in one unit.
pub(crate) const MAX_PAYLOAD_ENTRIES: usize = 1024;
/// The largest committee.
pub const MAX_MEMBERS: usize = 64;
/// The longest message between two members, in bytes. Alerts about a member that signed two units for one round carry
/// all of its units of the session, so this is larger than a session's payload.
pub const MAX_MESSAGE_BYTES: usize = 24 * 1024 * 1024;

/// The name of an entry here: SHA-256 of its bytes.
pub(crate) type EntryName = Sha256;

/// The data of one unit: entries in the order of their submission.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Encode, Decode)]
pub(crate) struct Payload(pub(crate) Vec<Vec<u8>>);

impl Payload {
    /// True when the payload keeps every limit. Nothing else is passed on to AlephBFT, whose memory is bounded by
    /// nothing else.
    pub(crate) fn is_within_limits(&self) -> bool {
        !self.0.is_empty()
            && self.0.len() <= MAX_PAYLOAD_ENTRIES
            && self.0.iter().all(|entry| is_entry_size(entry.len()))
            && self.bytes() <= MAX_PAYLOAD_BYTES
    }

    /// Bytes of all entries together.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }
}

/// True for the length of an entry that may be ordered.
pub(crate) fn is_entry_size(bytes: usize) -> bool {
    (1..=MAX_ENTRY_BYTES).contains(&bytes)
}

/// SHA-256 as AlephBFT's hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct UnitHasher;

impl aleph_bft::Hasher for UnitHasher {
    type Hash = [u8; 32];

    fn hash(bytes: &[u8]) -> Self::Hash {
        *Sha256::of(bytes).as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_a_payload() {
        assert!(Payload(vec![vec![1; MAX_ENTRY_BYTES]; 2]).is_within_limits());
        assert!(!Payload(vec![vec![1; MAX_ENTRY_BYTES]; 3]).is_within_limits());
        assert!(!Payload(vec![vec![1; MAX_ENTRY_BYTES + 1]]).is_within_limits());
        assert!(!Payload(vec![Vec::new()]).is_within_limits());
        assert!(!Payload(Vec::new()).is_within_limits());
        assert!(!Payload(vec![vec![1]; MAX_PAYLOAD_ENTRIES + 1]).is_within_limits());
    }
}
