//! The tree against known vectors and against its own definition.
#![allow(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use pyrsia_digest::Sha256;
use pyrsia_merkle::{
    Frontier, ProofError, consistency_proof, empty_root, inclusion_proof, leaf_hash, node_hash, root,
    verify_consistency, verify_inclusion,
};

/// Leaves and roots of the test data that implementations of RFC 6962 share.
const LEAVES: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];
const ROOTS: [&str; 9] = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

struct Tree {
    frontier: Frontier,
    leaves: Vec<Sha256>,
    nodes: BTreeMap<(u8, u64), Sha256>,
}

impl Tree {
    fn of(count: u64) -> Self {
        let mut tree = Tree { frontier: Frontier::new(), leaves: Vec::new(), nodes: BTreeMap::new() };
        for n in 0..count {
            tree.push(leaf_hash(&n.to_be_bytes()));
        }
        tree
    }

    fn push(&mut self, leaf: Sha256) {
        let nodes = &mut self.nodes;
        self.frontier.push(leaf, &mut |level, index, hash| {
            assert!(nodes.insert((level, index), hash).is_none(), "node ({level}, {index}) was reported twice");
        });
        self.leaves.push(leaf);
    }

    fn node(&self, level: u8, index: u64) -> Result<Sha256, String> {
        self.nodes.get(&(level, index)).copied().ok_or(format!("({level}, {index}) is not complete"))
    }

    fn root_at(&self, size: u64) -> Sha256 {
        root(&self.leaves[..size as usize])
    }
}

#[test]
fn roots_of_the_shared_vectors() {
    let mut tree = Tree::of(0);
    assert_eq!(tree.frontier.root(), empty_root());
    for (size, expected) in ROOTS.iter().enumerate() {
        assert_eq!(root(&tree.leaves).to_string(), *expected, "size {size}");
        assert_eq!(tree.frontier.root().to_string(), *expected, "frontier of size {size}");
        if let Some(leaf) = LEAVES.get(size) {
            tree.push(leaf_hash(leaf));
        }
    }
}

#[test]
fn every_proof_of_every_small_tree() {
    let tree = Tree::of(40);
    for size in 0..=40u64 {
        let root = tree.root_at(size);
        for index in 0..size {
            let proof = inclusion_proof(size, index, &mut |level, index| tree.node(level, index)).unwrap();
            let leaf = tree.leaves[index as usize];
            assert_eq!(verify_inclusion(&root, size, index, &leaf, &proof), Ok(()));
            // Another position, another leaf, a longer and a shorter proof are refused.
            assert!(verify_inclusion(&root, size, (index + 1) % size, &leaf, &proof).is_err() || size == 1);
            assert_eq!(verify_inclusion(&root, size, index, &leaf_hash(b"x"), &proof), Err(ProofError::Root));
            let mut longer = proof.clone();
            longer.push(leaf);
            assert!(matches!(verify_inclusion(&root, size, index, &leaf, &longer), Err(ProofError::Length { .. })));
            if let Some((_, shorter)) = proof.split_last() {
                assert!(verify_inclusion(&root, size, index, &leaf, shorter).is_err());
            }
        }
        for old in 0..=size {
            let proof = consistency_proof(old, size, &mut |level, index| tree.node(level, index)).unwrap();
            let old_root = tree.root_at(old);
            assert_eq!(verify_consistency(&old_root, old, &root, size, &proof), Ok(()), "{old} -> {size}");
            assert!(verify_consistency(&leaf_hash(b"x"), old, &root, size, &proof).is_err());
            if old > 0 {
                assert!(verify_consistency(&old_root, old, &leaf_hash(b"x"), size, &proof).is_err());
            }
        }
    }
}

#[test]
fn positions_outside_are_refused() {
    let leaf = leaf_hash(b"a");
    assert_eq!(verify_inclusion(&leaf, 1, 1, &leaf, &[]), Err(ProofError::OutOfRange { index: 1, size: 1 }));
    assert_eq!(verify_inclusion(&empty_root(), 0, 0, &leaf, &[]), Err(ProofError::OutOfRange { index: 0, size: 0 }));
    assert_eq!(verify_consistency(&leaf, 2, &leaf, 1, &[]), Err(ProofError::OutOfRange { index: 2, size: 1 }));
    // The largest tree there can be: no overflow, and the depth is bounded.
    assert!(matches!(
        verify_inclusion(&leaf, u64::MAX, u64::MAX - 1, &leaf, &[]),
        Err(ProofError::Length { expected, .. }) if expected <= 64
    ));
}

#[test]
fn a_node_cannot_be_shown_as_a_leaf() {
    let (left, right) = (leaf_hash(b"l"), leaf_hash(b"r"));
    let mut both = left.as_bytes().to_vec();
    both.extend_from_slice(right.as_bytes());
    assert_ne!(leaf_hash(&both), node_hash(&left, &right));
}

#[test]
fn a_frontier_with_other_peaks_than_its_size_has_is_not_read() {
    let frontier = Tree::of(5).frontier;
    let mut bytes = borsh::to_vec(&frontier).unwrap();
    assert_eq!(borsh::from_slice::<Frontier>(&bytes).unwrap(), frontier);
    bytes[0] = 7;
    assert!(borsh::from_slice::<Frontier>(&bytes).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn larger_trees(size in 1u64..700, at in 0.0..1.0f64, from in 0.0..1.0f64, flip in 0usize..4096) {
        let tree = Tree::of(size);
        let root = tree.frontier.root();
        prop_assert_eq!(root, tree.root_at(size));
        let index = ((size as f64) * at) as u64;
        let leaf = tree.leaves[index as usize];
        let mut proof = inclusion_proof(size, index, &mut |level, index| tree.node(level, index)).unwrap();
        prop_assert_eq!(verify_inclusion(&root, size, index, &leaf, &proof), Ok(()));
        let old = ((size as f64) * from) as u64;
        let grown = consistency_proof(old, size, &mut |level, index| tree.node(level, index)).unwrap();
        prop_assert_eq!(verify_consistency(&tree.root_at(old), old, &root, size, &grown), Ok(()));
        if !proof.is_empty() {
            // Any flipped bit of the proof refuses it.
            let bit = flip % (proof.len() * 256);
            let mut bytes = *proof[bit / 256].as_bytes();
            bytes[bit % 256 / 8] ^= 1 << (bit % 8);
            proof[bit / 256] = Sha256::from_bytes(bytes);
            prop_assert_eq!(verify_inclusion(&root, size, index, &leaf, &proof), Err(ProofError::Root));
        }
    }

    #[test]
    fn no_input_panics(a in any::<u64>(), b in any::<u64>(), count in 0usize..70) {
        let hash = leaf_hash(b"");
        let proof = vec![hash; count];
        let _ = verify_inclusion(&hash, a, b, &hash, &proof);
        let _ = verify_consistency(&hash, a, &hash, b, &proof);
    }
}
