//! Hashes of leaves, nodes and whole trees.

use pyrsia_digest::Sha256;
use sha2::Digest as _;

/// Hash of a leaf: `SHA-256(0x00 || bytes)`.
pub fn leaf_hash(bytes: &[u8]) -> Sha256 {
    let mut hasher = sha2::Sha256::new();
    hasher.update([0]);
    hasher.update(bytes);
    Sha256::from_bytes(hasher.finalize().into())
}

/// Hash of an inner node: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &Sha256, right: &Sha256) -> Sha256 {
    let mut hasher = sha2::Sha256::new();
    hasher.update([1]);
    hasher.update(left.as_bytes());
    hasher.update(right.as_bytes());
    Sha256::from_bytes(hasher.finalize().into())
}

/// Root of the tree without leaves: the hash of nothing.
pub fn empty_root() -> Sha256 {
    Sha256::of(b"")
}

/// Root over leaf hashes (made by [`leaf_hash`]).
pub fn root(leaf_hashes: &[Sha256]) -> Sha256 {
    match leaf_hashes {
        [] => empty_root(),
        [single] => *single,
        many => {
            let (left, right) = many.split_at(split(many.len() as u64) as usize);
            node_hash(&root(left), &root(right))
        }
    }
}

/// The largest power of two below `size`. `size` must be at least 2.
pub(crate) fn split(size: u64) -> u64 {
    debug_assert!(size >= 2);
    1 << (63 - (size - 1).leading_zeros())
}
