//! Builds on other machines: an authority gives out builds by lease, worker processes beside container engines take them.
//!
//! Participants: an **authority**, which decides what is built, resolves sources, asks upstreams and signs what comes out; its
//! **workers**, each beside one container engine, which run the two parts of a build that need one (record, replay). An operator
//! trusts their workers as they trust their own machine: what a worker says came out of a build becomes the authority's own
//! claim, and nobody but the other authorities, who rebuild by themselves, would find out that it lied.
//!
//! - [`Leases`] is the queue: pure, synchronous, tested for what matters (no build is lost, none is on two live leases);
//! - [`Hub`] is the authority's end of the link, [`RemoteBuilder`] makes it a [`Builder`](build_spec::Builder): the rest of the
//!   authority does not know where builds run;
//! - [`messages`] is what goes over the link.
//!
//! The link is HTTP, on a listener of its own (`pyrsia-http`) with a secret for each worker, and not a protocol between peers:
//! listener, TLS, secrets and limits are there already, a container platform can balance, probe and restrict it, and the
//! network's own port stays closed to everything that builds strangers' code. All calls go from the worker to the authority; a
//! worker has no open port.
//!
//! Invariants:
//! - nothing that is said under a lease counts once that has run out, whenever it arrives; a file that is on its way then, or
//!   when the result is looked at, does not arrive;
//! - of a build a worker gets the files that it was told of in its order or in an answer, and no others (builder images are for
//!   every worker);
//! - what a worker sends is bounded in count and size, hashed on the way in, and lies in the job's own folder until its result
//!   was checked: files belong to the releases asked for, and **every line of a recorded manifest is an answer that this
//!   authority gave**, and none is a file of the release itself;
//! - what a record makes the authority fetch is bounded in count, and in size by the limit of its own builder with some room;
//! - a lost worker or a broken link is a fault of the engine: tried again, and never said of a build.
//!
//! What is not here: HTTP (`pyrsia-http`), the worker's own end and its container engine (`pyrsia-maven`, `java-builder`), rounds
//! (`pyrsia-rebuilds`), anything on disk that outlives the process: the ledger is the queue that does.

mod convert;
mod hub;
mod leases;
pub mod messages;
mod refusal;
mod remote;
mod run;

pub use convert::OrderError;
pub use hub::{Hub, HubConfig};
pub use leases::{Full, LeaseId, LeaseIdError, Leases, Lost, NoLease, Rules, TaskId, Turn};
pub use refusal::Refusal;
pub use remote::RemoteBuilder;
pub use run::{OutputLimits, Upload};
