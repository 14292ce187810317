//! The Merkle tree of [RFC 6962](https://www.rfc-editor.org/rfc/rfc6962#section-2), over SHA-256.
//!
//! Three ways to a root: [`root`] over all leaf hashes, [`Frontier`] one leaf at a time in logarithmic memory, and
//! proofs made from stored nodes. A *node* is named by level and index: level 0 holds the leaf hashes, and node
//! `(level, index)` covers the leaves `index * 2^level ..` when all `2^level` of them exist. Only such complete nodes
//! are ever stored; the ragged right edge is computed.
//!
//! Invariants:
//! - leaves and inner nodes are hashed with different prefixes, so a node can never be shown as a leaf;
//! - proofs are verified for exact length: a proof with a hash too many or too few is refused;
//! - no input makes a function here panic or recurse deeper than 64.
//!
//! What is not here: storage, tiles, what a leaf means, signatures over roots.

mod frontier;
mod proof;
mod tree;

pub use frontier::Frontier;
pub use proof::{ProofError, consistency_proof, inclusion_proof, verify_consistency, verify_inclusion};
pub use tree::{empty_root, leaf_hash, node_hash, root};
