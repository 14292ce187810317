//! Who the members are, and their signatures under units.

use std::collections::HashSet;
use std::sync::Arc;

use aleph_bft::{Index, Keychain, MultiKeychain, NodeCount, NodeIndex, PartialMultisignature as _, SignatureSet};
use parity_scale_codec::{Decode, Encode};
use pyrsia_digest::Sha256;
use pyrsia_ledger::{ConsensusKey, Genesis, NetworkId, PublicKey, Signature};

use crate::error::ConsensusError;
use crate::types::MAX_MEMBERS;

const DOMAIN: &[u8] = b"pyrsia-maven/consensus/v1";

/// A committee and this node's place in it.
#[derive(Clone)]
pub struct Membership {
    members: Vec<PublicKey>,
    me: usize,
    key: ConsensusKey,
    prefix: Vec<u8>,
}

impl Membership {
    /// The committee with these consensus keys, in the committee's order, as seen by the holder of `key`.
    ///
    /// Errors: an empty or too large committee, a key that occurs twice or cannot verify anything, a `key` that is not
    /// a member's.
    pub fn new(network: &NetworkId, members: Vec<PublicKey>, key: ConsensusKey) -> Result<Self, ConsensusError> {
        let refused = |reason| Err(ConsensusError::Committee { members: members.len(), reason });
        if members.is_empty() {
            return refused("it is empty");
        }
        if members.len() > MAX_MEMBERS {
            return refused("it is too large");
        }
        if members.iter().collect::<HashSet<_>>().len() != members.len() {
            return refused("a key occurs twice");
        }
        if !members.iter().all(PublicKey::is_usable) {
            return refused("a key is not usable");
        }
        let public = key.public();
        let Some(me) = members.iter().position(|member| *member == public) else {
            return Err(ConsensusError::NotAMember { key: public.to_string() });
        };
        let mut list = Vec::with_capacity(32 * members.len());
        for member in &members {
            list.extend_from_slice(member.as_bytes());
        }
        // Every part has a fixed length, so no two (network, committee, message) have the same signed bytes.
        let prefix = [DOMAIN, network.as_bytes(), Sha256::of(&list).as_bytes()].concat();
        Ok(Self { members, me, key, prefix })
    }

    /// The committee of a network's beginning.
    pub fn of_genesis(genesis: &Genesis, key: ConsensusKey) -> Result<Self, ConsensusError> {
        let members = genesis.authorities.iter().map(|authority| authority.consensus_key).collect();
        Self::new(&genesis.network_id(), members, key)
    }

    /// Number of members.
    pub fn size(&self) -> usize {
        self.members.len()
    }

    /// This node's position in the committee, from 0.
    pub fn me(&self) -> usize {
        self.me
    }
}

/// An ed25519 signature in AlephBFT's encoding.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode)]
pub(crate) struct UnitSignature([u8; 64]);

/// [`Membership`] as AlephBFT asks for it.
#[derive(Clone)]
pub(crate) struct Keys(Arc<Membership>);

impl Keys {
    pub(crate) fn new(membership: Membership) -> Self {
        Self(Arc::new(membership))
    }

    fn signed_bytes(&self, message: &[u8]) -> Vec<u8> {
        [self.0.prefix.as_slice(), message].concat()
    }
}

impl Index for Keys {
    fn index(&self) -> NodeIndex {
        NodeIndex(self.0.me)
    }
}

impl Keychain for Keys {
    type Signature = UnitSignature;

    fn node_count(&self) -> NodeCount {
        NodeCount(self.0.members.len())
    }

    fn sign(&self, message: &[u8]) -> UnitSignature {
        UnitSignature(*self.0.key.sign(&self.signed_bytes(message)).as_bytes())
    }

    fn verify(&self, message: &[u8], signature: &UnitSignature, index: NodeIndex) -> bool {
        self.0
            .members
            .get(index.0)
            .is_some_and(|member| member.verify(&self.signed_bytes(message), &Signature(signature.0)))
    }
}

impl MultiKeychain for Keys {
    type PartialMultisignature = SignatureSet<UnitSignature>;

    fn bootstrap_multi(&self, signature: &UnitSignature, index: NodeIndex) -> Self::PartialMultisignature {
        SignatureSet::with_size(self.node_count()).add_signature(signature, index)
    }

    fn is_complete(&self, message: &[u8], partial: &Self::PartialMultisignature) -> bool {
        partial.size() == self.node_count()
            && partial.item_count() >= self.node_count().consensus_threshold().0
            && partial.iter().all(|(index, signature)| self.verify(message, signature, index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u8) -> ConsensusKey {
        ConsensusKey::from_seed(&[number; 32])
    }

    fn network(number: u8) -> NetworkId {
        NetworkId(Sha256::from_bytes([number; 32]))
    }

    fn members(count: u8) -> Vec<PublicKey> {
        (0..count).map(|number| key(number).public()).collect()
    }

    fn keys(of: u8, me: u8) -> Keys {
        Keys::new(Membership::new(&network(1), members(of), key(me)).unwrap())
    }

    #[test]
    fn committees_that_cannot_work_are_refused() {
        let new = |members| Membership::new(&network(1), members, key(0));
        assert!(matches!(new(Vec::new()), Err(ConsensusError::Committee { .. })));
        assert!(matches!(new(vec![key(0).public(); 2]), Err(ConsensusError::Committee { members: 2, .. })));
        assert!(matches!(new(vec![key(0).public(), PublicKey([0; 32])]), Err(ConsensusError::Committee { .. })));
        assert!(matches!(new(vec![key(1).public()]), Err(ConsensusError::NotAMember { .. })));
    }

    #[test]
    fn signatures_belong_to_a_member_a_network_and_a_committee() {
        let mine = keys(4, 1);
        let signature = mine.sign(b"unit");
        assert!(keys(4, 0).verify(b"unit", &signature, NodeIndex(1)));
        assert!(!mine.verify(b"other", &signature, NodeIndex(1)));
        assert!(!mine.verify(b"unit", &signature, NodeIndex(2)));
        assert!(!mine.verify(b"unit", &signature, NodeIndex(4)));
        assert!(!mine.verify(b"unit", &signature, NodeIndex(usize::MAX)));
        assert!(!keys(5, 0).verify(b"unit", &signature, NodeIndex(1)));
        let elsewhere = Keys::new(Membership::new(&network(2), members(4), key(0)).unwrap());
        assert!(!elsewhere.verify(b"unit", &signature, NodeIndex(1)));
    }

    #[test]
    fn a_multisignature_needs_its_size_a_quorum_and_valid_signatures() {
        let all: Vec<_> = (0..4).map(|me| keys(4, me)).collect();
        let set = |size: usize, signers: &[usize]| {
            signers.iter().fold(SignatureSet::with_size(NodeCount(size)), |set, signer| {
                set.add_signature(&all[*signer].sign(b"m"), NodeIndex(*signer))
            })
        };
        assert!(all[0].is_complete(b"m", &set(4, &[0, 1, 2])));
        assert!(!all[0].is_complete(b"m", &set(4, &[0, 1])));
        assert!(!all[0].is_complete(b"m", &set(5, &[0, 1, 2])));
        assert!(!all[0].is_complete(b"other", &set(4, &[0, 1, 2])));
        let forged = set(4, &[0, 1]).add_signature(&all[0].sign(b"m"), NodeIndex(2));
        assert!(!all[0].is_complete(b"m", &forged));
    }
}
