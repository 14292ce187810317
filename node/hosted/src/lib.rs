//! Private Maven repositories that people upload to.
//!
//! Three layers: [`admit`] and [`check_document`] are pure functions that say what an upload to a path would be and why it is
//! refused; `tree` is what lies on disk; [`Hosted`] is the thin asynchronous part that carries an upload to the disk and
//! answers a request.
//!
//! On disk, below the folder of one repository:
//! ```text
//! blobs/     the bytes of the files, by SHA-256 (a store of its own, see `pyrsia-blobs`)
//! entries/   at each path: for a file the note that names its bytes, for a maven-metadata.xml the document itself
//! gone/      notes about versions that were removed, so that no list of somebody who read them before brings them back
//! tmp/       entries that are being written; emptied when the repository is opened
//! ```
//! So there is one step in which a file begins to exist: its entry gets its name, when bytes and entry are on the disk
//! whole. A plain tree with a note of the digests beside each file would have two such steps, and something to repair after
//! a crash between them.
//!
//! Invariants:
//! - **a path has an entry only when all bytes that it names are on the disk**: a killed process or a power cut leaves no part of
//!   a file visible, and whoever was told that an upload succeeded finds it again;
//! - **the bytes of a file that somebody has read never change**, and no file is replaced by an upload: files of a snapshot are
//!   uploaded under the names of their builds. The exception is a file that says `SNAPSHOT` in its name instead, as sbt and
//!   Ivy publish: it is always the last one that was uploaded, whole;
//! - what is removed is a version as a whole, by whoever has that right, and the documents stop telling of it first;
//! - no checksum is stored: every one that is handed out was computed here from the bytes that are here;
//! - uploads only ever add to a `maven-metadata.xml`, one after the other; one that the disk has made unreadable
//!   is made anew from the files that are here, and never handed out;
//! - nothing of a request becomes part of a file name but a [`RepoPath`](maven_layout::RepoPath) that is a path of the layout.
//!
//! What is not here: who may do what (`pyrsia-http` compares credentials, with [`PathRule`]s), HTTP, peers, the ledger.

mod anew;
mod change;
mod decide;
mod entry;
mod error;
mod examine;
mod fresh;
mod garbage;
mod gone;
mod id;
mod room;
mod rule;
mod store;
#[cfg(test)]
mod testing;
mod tree;
mod upload;
mod versions;

pub use decide::{Accepts, Kind, admit, check_document};
pub use error::{HostedError, Refused};
pub use examine::{Damage, Examination, examine};
pub use garbage::{Collected, collect};
pub use id::{IdError, RepositoryId};
pub use rule::{PathRule, RuleError};
pub use store::{Clock, Hosted, HostedConfig};
pub use upload::{Stored, Upload};
pub use versions::{Listed, Removed};
