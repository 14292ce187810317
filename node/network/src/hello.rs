//! What two nodes say to each other first.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::record::AuthorityRecord;

/// The version of everything in this crate that goes over a wire.
pub(crate) const VERSION: u32 = 1;
/// Most records of others in a hello.
pub(crate) const MAX_RECORDS: usize = 64;
/// Most bytes of the frame.
pub(crate) const MAX_HELLO_BYTES: usize = 128 * 1024;

/// A node introduces itself.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) struct Hello {
    pub version: u32,
    pub network: [u8; 32],
    /// Differs from one start of the node to the next: shows a restart under the same name.
    pub instance: u64,
    /// The sender's record, when it is an authority.
    pub own: Option<AuthorityRecord>,
    /// The records of others that it knows.
    pub others: Vec<AuthorityRecord>,
}

/// Why a node wants nothing to do with another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, thiserror::Error)]
pub(crate) enum Goodbye {
    #[error("it belongs to another network")]
    OtherNetwork,
    #[error("it speaks another version of the protocol")]
    OtherVersion,
    #[error("it has no room for another peer")]
    Full,
    #[error("a record was forged, or the greeting broke its rules")]
    Misbehaved,
}

/// The body of a frame on the hello stream.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub(crate) enum Greeting {
    Hello(Box<Hello>),
    Goodbye(Goodbye),
}

impl Greeting {
    pub fn encode(&self) -> Vec<u8> {
        borsh::to_vec(self).expect("writing into memory does not fail")
    }

    /// Decodes strictly; `None` for anything else. The version is looked at first, so that later versions can be told
    /// that they are later.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.len() > MAX_HELLO_BYTES {
            return None;
        }
        if let [0, a, b, c, d, ..] = *bytes
            && u32::from_le_bytes([a, b, c, d]) != VERSION
        {
            let version = u32::from_le_bytes([a, b, c, d]);
            let network = [0; 32];
            return Some(Self::Hello(Box::new(Hello { version, network, instance: 0, own: None, others: Vec::new() })));
        }
        let greeting = Self::try_from_slice(bytes).ok()?;
        match &greeting {
            Self::Hello(hello) if hello.others.len() > MAX_RECORDS => None,
            // One value, one encoding.
            _ => (greeting.encode() == bytes).then_some(greeting),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::PeerId;
    use proptest::prelude::*;
    use pyrsia_ledger::{AuthorityKey, NetworkId};

    fn hello(records: usize) -> Greeting {
        let network = NetworkId(pyrsia_digest::Sha256::from_bytes([1; 32]));
        let peer: PeerId = crate::node_id(&[9; 32]).0;
        let key = AuthorityKey::from_seed(&[1; 32]);
        let record = AuthorityRecord::sign(&key, &network, &peer, &["/ip4/192.0.2.1/tcp/1".into()], 5);
        let others = vec![record.clone(); records];
        Greeting::Hello(Box::new(Hello { version: VERSION, network: [1; 32], instance: 7, own: Some(record), others }))
    }

    #[test]
    fn a_greeting_survives_its_encoding_and_nothing_may_follow_it() {
        for greeting in [hello(3), hello(0), Greeting::Goodbye(Goodbye::Full)] {
            let mut bytes = greeting.encode();
            assert_eq!(Greeting::decode(&bytes), Some(greeting));
            bytes.push(0);
            assert_eq!(Greeting::decode(&bytes), None);
        }
    }

    #[test]
    fn more_records_than_allowed_are_refused_and_the_most_allowed_fit() {
        assert!(Greeting::decode(&hello(MAX_RECORDS).encode()).is_some());
        assert!(Greeting::decode(&hello(MAX_RECORDS + 1).encode()).is_none());
        // The longest that limits allow for each field.
        let record = 32 + 32 + (4 + crate::record::MAX_PEER_BYTES) + 4 + 8 * (4 + 128) + 8 + 64;
        assert!(1 + 4 + 32 + 8 + 1 + record + 4 + MAX_RECORDS * record <= MAX_HELLO_BYTES);
    }

    #[test]
    fn a_later_version_is_recognised_whatever_follows() {
        let Some(Greeting::Hello(hello)) = Greeting::decode(&[0, 2, 0, 0, 0, 9, 9, 9]) else { panic!("no hello") };
        assert_eq!(hello.version, 2);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..2048)) {
            let _ = Greeting::decode(&bytes);
        }

        #[test]
        fn damaged_greetings_never_panic_and_never_decode_to_the_same(at in 0usize..400, flip in 1u8..) {
            let greeting = hello(2);
            let mut bytes = greeting.encode();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert_ne!(Greeting::decode(&bytes), Some(greeting));
        }
    }
}
