//! The harness of the cross-process tests: it runs the built `pyrsia-maven` program as its users do.
//!
//! Everything here starts real processes, listens on loopback with ports that the system picks, and works in folders of
//! its own under the target folder.
//!
//! Invariants:
//! - What a test starts ends with the test, also when it panics: owners end their processes in `Drop`, by process id, and
//!   a node also ends by itself when its standard input closes, so that none outlives a killed test run.
//! - A failing test shows what the program said: output of commands, the last lines of logs; its folder is kept.
//! - Nothing here asks an address outside this machine, but [`direct`], which compares with what a node's upstream serves.
//!   The program under test does, where the test is about that.
//!
//! It is NOT a library for anything else, and it links none of the program's crates but digests: what is tested is the
//! program's outer face.

pub mod clients;
pub mod devnet;
pub mod direct;
pub mod engine;
pub mod http;
pub mod machines;
pub mod measured;
pub mod node;
pub mod places;
pub mod process;
pub mod registry;
pub mod scripted;
pub mod sources;
pub mod upstream;
pub mod verifier;
pub mod worker;
