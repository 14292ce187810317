//! A growing tree, of which only the right edge is kept.

use std::io;

use borsh::{BorshDeserialize, BorshSerialize};
use pyrsia_digest::Sha256;

use crate::tree::{empty_root, node_hash};

/// The complete subtrees of a tree, the largest first: one for each bit of its size.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize)]
pub struct Frontier {
    size: u64,
    peaks: Vec<Sha256>,
}

impl Frontier {
    /// The tree without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf, and reports each node that it completes as (level, index, hash), level 0 first.
    pub fn push(&mut self, leaf_hash: Sha256, completed: &mut impl FnMut(u8, u64, Sha256)) {
        let mut hash = leaf_hash;
        let mut index = self.size;
        let mut level = 0;
        completed(level, index, hash);
        // Each trailing one bit of the size is a complete subtree that the new one joins.
        while index & 1 == 1 {
            let Some(left) = self.peaks.pop() else { break };
            hash = node_hash(&left, &hash);
            index >>= 1;
            level += 1;
            completed(level, index, hash);
        }
        self.peaks.push(hash);
        self.size += 1;
    }

    /// Root of the tree as it stands.
    pub fn root(&self) -> Sha256 {
        let mut peaks = self.peaks.iter().rev();
        let Some(last) = peaks.next() else {
            return empty_root();
        };
        peaks.fold(*last, |right, left| node_hash(left, &right))
    }
}

impl BorshDeserialize for Frontier {
    fn deserialize_reader<R: io::Read>(reader: &mut R) -> io::Result<Self> {
        let size = u64::deserialize_reader(reader)?;
        let peaks = Vec::<Sha256>::deserialize_reader(reader)?;
        if peaks.len() != size.count_ones() as usize {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "number of peaks does not fit the size"));
        }
        Ok(Self { size, peaks })
    }
}
