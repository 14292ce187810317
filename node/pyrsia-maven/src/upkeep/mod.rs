//! The store's upkeep: what has to go ([`limits`], pure), what goes first ([`collect`]), and the loop of a running node
//! ([`keep`]). `gc` is the same with the node stopped. And which classes are in its JARs ([`classes`]), and
//! the end of what was set aside ([`aside`]).
//!
//! Invariants:
//! - nothing is removed but bytes that some path has or had: records, provenance and what a build has just made are no
//!   files of the repository yet, and stay. With the node stopped, whoever asks for it loses too what nothing names ([`strays`]);
//! - bytes that a standing verdict names stay, unless the operator says otherwise;
//! - a path's record outlives its bytes: what comes back has to be what was seen first.

pub mod aside;
pub mod classes;
pub mod collect;
pub mod disk;
pub mod gauge;
pub mod keep;
pub mod limits;
pub mod strays;
