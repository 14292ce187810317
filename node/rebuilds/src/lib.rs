//! Rebuilding as an authority's work: from a request to what this authority says in the ledger.
//!
//! - [`decide`] says what to do next about a round; [`Steps`] does it (record, check, replay, compare); [`Worker`] is the
//!   loop between the two; [`Intake`] turns a wish into a request; [`Board`] shows people what goes on;
//! - [`PeerBlobs`] brings what the ledger names by digest and this node does not hold; [`Unable`] takes the place of a
//!   builder where there is none.
//! - [`assess`] and [`record_and_replay`] serve the `rebuild` command too, which has no ledger.
//!
//! Invariants:
//! - **no line of somebody else's manifest is replayed before own sources have confirmed it**;
//! - an authority commits only while it holds every file of the round;
//! - only a replay's outputs are ever compared, attested or published, never a record's;
//! - result and salt are on disk before a commitment is submitted, and are never replaced;
//! - a result is shown only in the revealing stage, when all commitments are final;
//! - an input that equals an output or the reference voids the build;
//! - what a watcher sees (the board) decides nothing.
//!
//! What is not here: containers and git (`builders/java`), the rules of what counts (`pyrsia-ledger`), ordering
//! (`pyrsia-consensus`), HTTP.

mod assess;
mod board;
mod check;
mod decide;
mod entries;
mod image_approval;
mod intake;
pub mod moved_tag;
mod patience;
mod peers;
mod pom_chain;
mod prepare;
pub mod provenance;
mod requesters;
mod result;
mod run;
mod source;
mod steps;
mod story;
mod unable;
mod watcher;
mod worker;

pub use assess::{AssessError, AssessedFile, Assessment, FileOutcome, MAX_COMPARED_BYTES, ReferenceFile, assess};
pub use board::{Board, BoardBuild, Event, FailureKind, describe};
pub use decide::{Action, Local, decide};
pub use entries::{Entries, NotSaid};
pub use intake::{Images, Intake, OwnImage, Submission, SubmissionError};
pub use patience::{Patience, PatienceError};
pub use peers::{NoPeers, PeerBlobs};
pub use pom_chain::{MAX_CHAIN, PomChain, PomChainError, pom_chain, pom_chains};
pub use requesters::Busy;
pub use result::{failure_kind, outputs_root};
pub use run::{Rebuilt, StoreBlobs, check_inputs, record_and_replay};
pub use source::resolve;
pub use steps::{StepError, Steps, references, sweep};
pub use unable::Unable;
pub use watcher::Watcher;
pub use worker::Worker;
