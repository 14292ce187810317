//! What one authority says about the head of the log, in one piece: the log and the block that it ends with.
//!
//! A checkpoint covers the leaves, and nothing about the blocks: which session and batch brought them, and where one ends.
//! A node that takes blocks from others needs that certified too, or a single liar could move it to a batch number that
//! never was. So each authority also cosigns the newest block, as the checkpoint of a second "log" whose size is the
//! height and whose root is the block's hash, under a network id of its own: neither can stand for the other.

use borsh::{BorshDeserialize, BorshSerialize};
use pyrsia_digest::Sha256;
use pyrsia_ledger::{AuthorityKey, Block, Certificate, Checkpoint, Committee, Cosignature, NetworkId, PublicKey};

const BLOCKS: &[u8] = b"pyrsia-maven/certified-blocks/v1";

/// A head of the log, cosigned by one authority.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Word {
    /// The log.
    pub log: Checkpoint,
    /// The authority's cosignature of the log.
    pub cosignature: Cosignature,
    /// The block that the log ends with, and its cosignature. None for the empty log.
    pub block: Option<(Checkpoint, Cosignature)>,
}

/// What the words of honest members at one size are about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) log: Checkpoint,
    pub(crate) block: Option<Checkpoint>,
}

/// The id under which blocks are certified.
pub(crate) fn blocks_network(network: &NetworkId) -> NetworkId {
    NetworkId(Sha256::of(&[BLOCKS, network.as_bytes()].concat()))
}

impl Head {
    /// The head with this last block; none for the empty log.
    pub(crate) fn of(network: &NetworkId, block: Option<&Block>) -> Self {
        match block {
            None => Self { log: Checkpoint::new(network, 0, pyrsia_merkle::empty_root()), block: None },
            Some(block) => Self {
                log: Checkpoint::new(network, block.log_size, block.log_root),
                block: Some(Checkpoint::new(&blocks_network(network), block.height, block.hash())),
            },
        }
    }

    pub(crate) fn cosign(&self, key: &AuthorityKey, name: &str, time: u64) -> Said {
        Said {
            log: self.log.cosign(key, name, time),
            block: self.block.as_ref().map(|block| block.cosign(key, name, time)),
        }
    }

    /// Checks a pair of certificates of this head: about the same, and each by a quorum.
    pub(crate) fn is_certified_by(
        &self,
        network: &NetworkId,
        committee: &Committee,
        log: &Certificate,
        block: Option<&Certificate>,
    ) -> bool {
        let block_holds = match (block, &self.block) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(block), Some(expected)) => {
                block.checkpoint == *expected && block.verify(&blocks_network(network), committee).is_ok()
            }
        };
        block_holds && log.checkpoint == self.log && log.verify(network, committee).is_ok()
    }
}

impl Word {
    pub(crate) fn new(head: Head, said: Said) -> Self {
        Self { log: head.log, cosignature: said.log, block: head.block.zip(said.block) }
    }

    /// Whether all of it is this key's signature, and of the shape that honest members send.
    pub(crate) fn is_by(&self, network: &NetworkId, key: &PublicKey) -> bool {
        let holds = |checkpoint: &Checkpoint, cosignature: &Cosignature, network: &NetworkId| {
            checkpoint.origin == Checkpoint::origin_of(network)
                && cosignature.name == self.cosignature.name
                && checkpoint.verify_cosignature(cosignature, key)
        };
        (self.log.size == 0) == self.block.is_none()
            && holds(&self.log, &self.cosignature, network)
            && self
                .block
                .as_ref()
                .is_none_or(|(block, cosignature)| holds(block, cosignature, &blocks_network(network)))
    }

    pub(crate) fn head(&self) -> Head {
        Head { log: self.log.clone(), block: self.block.as_ref().map(|(block, _)| block.clone()) }
    }

    pub(crate) fn said(&self) -> Said {
        Said { log: self.cosignature.clone(), block: self.block.as_ref().map(|(_, cosignature)| cosignature.clone()) }
    }
}

/// The signatures of a [`Word`], as the database keeps them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said {
    pub(crate) log: Cosignature,
    pub(crate) block: Option<Cosignature>,
}

impl Said {
    /// One line for the log, a second one for the block.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let block = self.block.as_ref().map(Cosignature::to_line).unwrap_or_default();
        (self.log.to_line() + &block).into_bytes()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut lines = std::str::from_utf8(bytes).ok()?.lines();
        let log = Cosignature::parse_line(lines.next()?).ok()?;
        let block = lines.next().map(Cosignature::parse_line).transpose().ok()?;
        lines.next().is_none().then_some(Self { log, block })
    }
}

/// The time at which, or later, a quorum said so: the quorum's oldest word among the newest ones.
pub(crate) fn time_of(certificate: &Certificate, committee: &Committee) -> u64 {
    let mut times: Vec<u64> = certificate.cosignatures.iter().map(|cosignature| cosignature.time).collect();
    times.sort_unstable_by(|a, b| b.cmp(a));
    times.get(committee.quorum().saturating_sub(1)).copied().unwrap_or(0)
}
