//! The beginning of a network and its committees.

use borsh::{BorshDeserialize, BorshSerialize};
use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};

use crate::canonical::{encode, framed, hex_array};
use crate::{NetworkId, PublicKey};

/// Most authorities that a committee may have.
pub const MAX_AUTHORITIES: usize = 64;
/// Longest name of an authority or a network, in bytes.
pub const MAX_NAME_BYTES: usize = 64;

/// Why a genesis or a committee is not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenesisError {
    /// A committee has no authority, or too many.
    #[error("{actual} authorities; a committee has 1 to {MAX_AUTHORITIES}")]
    CommitteeSize {
        /// Authorities that were given.
        actual: usize,
    },
    /// A name is empty, too long, or holds a character other than ASCII letters, digits, `-`, `_` and `.`.
    #[error("{name:?} is not a name: 1 to {MAX_NAME_BYTES} ASCII letters, digits, '-', '_' or '.'")]
    Name {
        /// The name that was given.
        name: String,
    },
    /// Two authorities share a name.
    #[error("two authorities are called {name}")]
    NameTwice {
        /// The shared name.
        name: String,
    },
    /// A key appears twice in a committee, be it as authority or as consensus key.
    #[error("the key {key} is used twice")]
    KeyTwice {
        /// The shared key.
        key: PublicKey,
    },
    /// A key is not a usable ed25519 key.
    #[error("{key} is not a usable ed25519 key")]
    Key {
        /// The key that was given.
        key: PublicKey,
    },
    /// A constant lies outside its range.
    #[error("the constant {name} lies outside {min}..={max}")]
    Constant {
        /// Name of the constant.
        name: &'static str,
        /// Smallest allowed value.
        min: u32,
        /// Largest allowed value.
        max: u32,
    },
}

/// One member of a committee.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(deny_unknown_fields)]
pub struct Authority {
    /// Name, unique in its committee; appears in cosignatures.
    pub name: String,
    /// Key that signs entries and checkpoints.
    pub authority_key: PublicKey,
    /// Key that signs units of the ordering protocol.
    pub consensus_key: PublicKey,
}

/// Numbers and switches that all members of a network share and that never change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(deny_unknown_fields)]
pub struct Constants {
    /// Whether a result counts whose source was seen only through a mirror map (development networks).
    pub mirrored_sources_count: bool,
    /// Most rounds open at a time that one authority admitted (1 to 65536).
    pub max_open_rounds_per_authority: u32,
    /// Most proposals pending at a time that one authority made (1 to 65536).
    pub max_open_proposals_per_authority: u32,
    /// Attempts of one opening of a round before it is abandoned (1 to 1000).
    pub max_attempts: u32,
    /// A session of the ordering protocol is cut after this many batches, empty ones included (4 to 20000).
    pub session_batches: u32,
    /// A session of the ordering protocol is cut by the batch with which its entries reach this many bytes (1 KiB to
    /// 16 MiB).
    pub session_bytes: u32,
}

impl Default for Constants {
    fn default() -> Self {
        Self {
            mirrored_sources_count: false,
            max_open_rounds_per_authority: 64,
            max_open_proposals_per_authority: 64,
            max_attempts: 8,
            session_batches: 500,
            session_bytes: 8 * 1024 * 1024,
        }
    }
}

/// The part of `network.json` that never changes and whose hash is the [`NetworkId`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// Name of the network, for people.
    pub name: String,
    /// Random bytes that make two networks with the same members different networks.
    #[serde(with = "hex_array")]
    pub nonce: [u8; 32],
    /// The first committee, in order.
    pub authorities: Vec<Authority>,
    /// The constants.
    pub constants: Constants,
}

impl Genesis {
    /// The hash of the canonical bytes.
    pub fn network_id(&self) -> NetworkId {
        NetworkId(Sha256::of(&framed(&[b"pyrsia-maven/network/v1", &encode(self)])))
    }

    /// Checks names, keys and constants.
    pub fn check(&self) -> Result<(), GenesisError> {
        check_name(&self.name)?;
        check_authorities(&self.authorities)?;
        let constants = &self.constants;
        check_constant("max_open_rounds_per_authority", constants.max_open_rounds_per_authority, 1, 65_536)?;
        check_constant("max_open_proposals_per_authority", constants.max_open_proposals_per_authority, 1, 65_536)?;
        check_constant("max_attempts", constants.max_attempts, 1, 1000)?;
        check_constant("session_batches", constants.session_batches, 4, 20_000)?;
        check_constant("session_bytes", constants.session_bytes, 1024, 16 * 1024 * 1024)
    }

    /// The first committee.
    pub fn committee(&self) -> Committee {
        Committee { epoch: 0, authorities: self.authorities.clone() }
    }
}

fn check_constant(name: &'static str, value: u32, min: u32, max: u32) -> Result<(), GenesisError> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(GenesisError::Constant { name, min, max }) }
}

fn check_name(name: &str) -> Result<(), GenesisError> {
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len());
    if fits && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        Ok(())
    } else {
        Err(GenesisError::Name { name: name.chars().take(MAX_NAME_BYTES).collect() })
    }
}

/// Checks the members of a committee: 1 to 64 of them, distinct names, distinct usable keys.
pub(crate) fn check_authorities(authorities: &[Authority]) -> Result<(), GenesisError> {
    if authorities.is_empty() || authorities.len() > MAX_AUTHORITIES {
        return Err(GenesisError::CommitteeSize { actual: authorities.len() });
    }
    let mut names = std::collections::BTreeSet::new();
    let mut keys = std::collections::BTreeSet::new();
    for authority in authorities {
        check_name(&authority.name)?;
        if !names.insert(&authority.name) {
            return Err(GenesisError::NameTwice { name: authority.name.clone() });
        }
        for key in [authority.authority_key, authority.consensus_key] {
            if !key.is_usable() {
                return Err(GenesisError::Key { key });
            }
            if !keys.insert(key) {
                return Err(GenesisError::KeyTwice { key });
            }
        }
    }
    Ok(())
}

/// The authorities of one epoch. N of them tolerate `f = floor((N-1)/3)` liars; a quorum is `N - f`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Committee {
    /// Number of changes since genesis.
    pub epoch: u32,
    /// The members, in order: the order decides whose turn it is to record.
    pub authorities: Vec<Authority>,
}

impl Committee {
    /// N, the number of members.
    pub fn size(&self) -> usize {
        self.authorities.len()
    }

    /// f, the number of members that may lie without any harm.
    pub fn faulty(&self) -> usize {
        self.size().saturating_sub(1) / 3
    }

    /// q = N - f, the number of members that decide.
    pub fn quorum(&self) -> usize {
        self.size() - self.faulty()
    }

    /// The member with this authority key.
    pub fn member(&self, key: &PublicKey) -> Option<&Authority> {
        self.authorities.iter().find(|authority| authority.authority_key == *key)
    }

    /// The member with this name.
    pub fn by_name(&self, name: &str) -> Option<&Authority> {
        self.authorities.iter().find(|authority| authority.name == name)
    }

    /// The position of the member with this authority key.
    pub fn index_of(&self, key: &PublicKey) -> Option<usize> {
        self.authorities.iter().position(|authority| authority.authority_key == *key)
    }

    /// Whether the key is a member's authority key.
    pub fn contains(&self, key: &PublicKey) -> bool {
        self.member(key).is_some()
    }

    /// Hash of epoch and members.
    pub fn hash(&self) -> Sha256 {
        Sha256::of(&framed(&[b"pyrsia-maven/committee/v1", &encode(self)]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::AuthorityKey;

    fn authority(name: &str, seed: u8) -> Authority {
        Authority {
            name: name.to_owned(),
            authority_key: AuthorityKey::from_seed(&[seed; 32]).public(),
            consensus_key: AuthorityKey::from_seed(&[seed + 100; 32]).public(),
        }
    }

    fn genesis(authorities: Vec<Authority>) -> Genesis {
        Genesis { name: "test".into(), nonce: [1; 32], authorities, constants: Constants::default() }
    }

    #[test]
    fn quorums() {
        for (n, f, q) in [(1, 0, 1), (2, 0, 2), (3, 0, 3), (4, 1, 3), (5, 1, 4), (6, 1, 5), (7, 2, 5), (10, 3, 7)] {
            let committee = Committee { epoch: 0, authorities: vec![authority("a", 1); n] };
            assert_eq!((committee.faulty(), committee.quorum()), (f, q), "N = {n}");
        }
    }

    #[test]
    fn the_id_covers_every_part() {
        let base = genesis(vec![authority("a", 1)]);
        let mut others = vec![base.clone(), base.clone(), base.clone(), base.clone()];
        others[0].name = "other".into();
        others[1].nonce[31] = 2;
        others[2].authorities[0] = authority("a", 2);
        others[3].constants.mirrored_sources_count = true;
        for other in others {
            assert_ne!(base.network_id(), other.network_id());
        }
    }

    #[test]
    fn refusals() {
        assert_eq!(genesis(vec![]).check(), Err(GenesisError::CommitteeSize { actual: 0 }));
        let twice = genesis(vec![authority("a", 1), authority("a", 2)]);
        assert_eq!(twice.check(), Err(GenesisError::NameTwice { name: "a".into() }));
        let shared = genesis(vec![authority("a", 1), authority("b", 1)]);
        assert!(matches!(shared.check(), Err(GenesisError::KeyTwice { .. })));
        // A space would end the name inside a signature line.
        assert!(matches!(genesis(vec![authority("a b", 1)]).check(), Err(GenesisError::Name { .. })));
        let mut weak = genesis(vec![authority("a", 1)]);
        weak.authorities[0].consensus_key = PublicKey([0; 32]);
        assert!(matches!(weak.check(), Err(GenesisError::Key { .. })));
        let mut zero = genesis(vec![authority("a", 1)]);
        zero.constants.max_attempts = 0;
        assert!(matches!(zero.check(), Err(GenesisError::Constant { name: "max_attempts", .. })));
        let mut short = genesis(vec![authority("a", 1)]);
        short.constants.session_batches = 3;
        assert!(matches!(short.check(), Err(GenesisError::Constant { name: "session_batches", min: 4, .. })));
        assert_eq!(genesis(vec![authority("a", 1)]).check(), Ok(()));
    }
}
