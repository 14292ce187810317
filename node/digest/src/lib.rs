//! Digests of files and messages, as types.
//!
//! One newtype for each algorithm that a Maven repository or this network speaks (SHA-1, MD5, SHA-256,
//! SHA-512, BLAKE3), [`MultiHasher`], which computes all of them in one pass over the bytes, and [`NameHasher`], which computes
//! the SHA-256 alone: the others cost five times as much, and few ask for them.
//!
//! Invariants:
//! - a digest value has the length of its algorithm: there is no other way to make one;
//! - printed and serialised as lower-case hexadecimal; parsing accepts either case and nothing around it.
//!
//! What is not here: trees over digests (`pyrsia-merkle`), files, clocks.

mod collision;
mod hasher;
mod known;
mod types;

pub use collision::CollisionHasher;
pub use hasher::{FileDigests, MultiHasher};
pub use known::{KnownDigests, NameHasher, OtherDigests};
pub use types::{Blake3, ChecksumAlgorithm, Md5, ParseDigestError, Sha1, Sha256, Sha512};
