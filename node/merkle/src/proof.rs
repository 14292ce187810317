//! Proofs that a leaf is in a tree, and that a tree grew out of another.

use pyrsia_digest::Sha256;

use crate::tree::{node_hash, split};

/// Why a proof was not made or not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The leaf, or the older tree, lies outside the tree.
    #[error("{index} lies outside a tree of {size} leaves")]
    OutOfRange {
        /// Index of the leaf, or size of the older tree.
        index: u64,
        /// Leaves of the tree.
        size: u64,
    },
    /// The proof has another number of hashes than a proof for this position has.
    #[error("the proof has {actual} hashes, its position needs {expected}")]
    Length {
        /// Hashes that were given.
        actual: usize,
        /// Hashes that are needed.
        expected: usize,
    },
    /// The hashes do not lead to the root.
    #[error("the proof leads to another root")]
    Root,
}

/// Hashes of an inclusion proof of leaf `index` in the tree of the first `size` leaves, the deepest first.
///
/// `node` returns stored complete nodes by (level, index). Errors of `node` are passed on; an `index` outside the tree
/// gives an empty proof, which verifies for nothing.
pub fn inclusion_proof<E>(
    size: u64,
    index: u64,
    node: &mut impl FnMut(u8, u64) -> Result<Sha256, E>,
) -> Result<Vec<Sha256>, E> {
    if index >= size {
        return Ok(Vec::new());
    }
    path(size, index).into_iter().map(|(start, len)| subtree(start, len, node)).collect()
}

/// Subtrees (first leaf, leaves) whose hashes make up an inclusion proof, the deepest first.
fn path(size: u64, index: u64) -> Vec<(u64, u64)> {
    let (mut start, mut len, mut siblings) = (0, size, Vec::new());
    while len > 1 {
        let left = split(len);
        if index - start < left {
            siblings.push((start + left, len - left));
            len = left;
        } else {
            siblings.push((start, left));
            start += left;
            len -= left;
        }
    }
    siblings.reverse();
    siblings
}

/// Hash of the subtree over `len` leaves from `start`; `start` is a multiple of the power of two at or above `len`.
fn subtree<E>(start: u64, len: u64, node: &mut impl FnMut(u8, u64) -> Result<Sha256, E>) -> Result<Sha256, E> {
    if len.is_power_of_two() {
        let level = len.trailing_zeros() as u8;
        return node(level, start >> level);
    }
    let left = split(len);
    Ok(node_hash(&subtree(start, left, node)?, &subtree(start + left, len - left, node)?))
}

/// Checks that `leaf_hash` is leaf `index` of the tree with `size` leaves and this `root`.
pub fn verify_inclusion(
    root: &Sha256,
    size: u64,
    index: u64,
    leaf_hash: &Sha256,
    proof: &[Sha256],
) -> Result<(), ProofError> {
    if index >= size {
        return Err(ProofError::OutOfRange { index, size });
    }
    let siblings = path(size, index);
    if siblings.len() != proof.len() {
        return Err(ProofError::Length { actual: proof.len(), expected: siblings.len() });
    }
    let computed = siblings.iter().zip(proof).fold(*leaf_hash, |hash, ((start, _), sibling)| {
        if *start > index { node_hash(&hash, sibling) } else { node_hash(sibling, &hash) }
    });
    if computed == *root { Ok(()) } else { Err(ProofError::Root) }
}

/// Hashes of a proof that the tree of the first `old_size` leaves is the beginning of the tree of `new_size` leaves.
///
/// Empty when the sizes are equal, when the old tree has no leaf, and when `old_size` lies outside.
pub fn consistency_proof<E>(
    old_size: u64,
    new_size: u64,
    node: &mut impl FnMut(u8, u64) -> Result<Sha256, E>,
) -> Result<Vec<Sha256>, E> {
    if old_size == 0 || old_size >= new_size {
        return Ok(Vec::new());
    }
    consistency_path(old_size, new_size).into_iter().map(|(start, len)| subtree(start, len, node)).collect()
}

/// Subtrees of a consistency proof in the order of RFC 6962, section 2.1.2. `0 < old_size < new_size`.
fn consistency_path(old_size: u64, new_size: u64) -> Vec<(u64, u64)> {
    let (mut start, mut old, mut len) = (0, old_size, new_size);
    let mut subtrees = Vec::new();
    // Whether the part of the old tree below this point is a complete tree that the verifier knows as its old root.
    let mut known = true;
    while old < len {
        let left = split(len);
        if old <= left {
            subtrees.push((start + left, len - left));
            len = left;
        } else {
            subtrees.push((start, left));
            start += left;
            old -= left;
            len -= left;
            known = false;
        }
    }
    if !known {
        subtrees.push((start, len));
    }
    subtrees.reverse();
    subtrees
}

/// Checks that the tree with `old_size` leaves and `old_root` is the beginning of the one with `new_size` and
/// `new_root`.
pub fn verify_consistency(
    old_root: &Sha256,
    old_size: u64,
    new_root: &Sha256,
    new_size: u64,
    proof: &[Sha256],
) -> Result<(), ProofError> {
    if old_size > new_size {
        return Err(ProofError::OutOfRange { index: old_size, size: new_size });
    }
    if old_size == 0 || old_size == new_size {
        if !proof.is_empty() {
            return Err(ProofError::Length { actual: proof.len(), expected: 0 });
        }
        let expected = if old_size == 0 { &crate::empty_root() } else { new_root };
        return if old_root == expected { Ok(()) } else { Err(ProofError::Root) };
    }
    let subtrees = consistency_path(old_size, new_size);
    if subtrees.len() != proof.len() {
        return Err(ProofError::Length { actual: proof.len(), expected: subtrees.len() });
    }
    // The deepest subtree both trees share: given, unless it is the whole old tree.
    let mut steps = subtrees.iter().zip(proof);
    let shared = if old_size.is_power_of_two() {
        *old_root
    } else {
        match steps.next() {
            Some((_, hash)) => *hash,
            None => return Err(ProofError::Root),
        }
    };
    let (mut old, mut new) = (shared, shared);
    for ((start, _), hash) in steps {
        if *start < old_size {
            old = node_hash(hash, &old);
            new = node_hash(hash, &new);
        } else {
            new = node_hash(&new, hash);
        }
    }
    if old == *old_root && new == *new_root { Ok(()) } else { Err(ProofError::Root) }
}
