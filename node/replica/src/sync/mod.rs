//! Catching up from other nodes: certified blocks, without consensus.
//!
//! A node asks another for the blocks after its last one ([`BlocksRequest`]) and gets as many as fit, with certificates of
//! the last of them, or of a later one and the headers up to it ([`BlocksAnswer`]). Taking a piece has three parts:
//! 1. **authentic**: the blocks follow the own last one by hash, hold their entries, and lead to a block that a quorum of
//!    the committee in office certified. Nothing but hashes and signatures is looked at; who gives anything else can be
//!    dropped, and nothing has changed;
//! 2. **reproduced**: the rules make the same blocks of the entries. If not, a quorum computes another ledger than this
//!    program, and it stops signing;
//! 3. stored block by block, certified, signed, published.
//!
//! A piece goes no further than the block that changes the committee: the committee that is replaced certifies who
//! replaces it.
//!
//! `vectors/` of this crate holds test vectors of these documents and of cosignature messages.

mod serve;
mod take;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use serve::answer;
pub use take::{Piece, PieceError, Taken};
pub use wire::{BlocksAnswer, BlocksRequest, MAX_ANSWER_BYTES, REQUEST_BYTES, SyncBlock};
pub(crate) use wire::{decode, encode};
