//! The node's HTTP face: the Maven repository at `/maven2/`, private ones at `/hosted/`, the JSON API at `/api/v1/`, the log
//! at `/log/`, pages at `/`.
//!
//! The only crate that knows axum. What it tells comes through three seams that the binary fills: [`Files`] (the
//! repository), [`NodeView`] (questions) and [`NodeControl`] (what changes something); [`Served`] is told what was handed out,
//! and uploads go to [`pyrsia_hosted::Hosted`]. A second face, [`WorkerDoor`], is for the workers of an authority: it leads to a
//! [`pyrsia_workers::Hub`] and to nothing else.
//!
//! Invariants:
//! - a request with a foreign `Host`, a cross-site `Origin` or `Sec-Fetch-Site` reaches no handler; no CORS header is ever
//!   sent, so a page of another site can neither read nor cause anything;
//! - every call that changes something needs the node's token, whatever it is and wherever it comes from; an upload to a hosted
//!   repository needs the token of a writer who may write just there;
//! - to workers nothing is answered without a worker's secret, not even what there is;
//! - the body of an upload is asked for when it is certain that its path may be written by whoever sends it;
//! - a repository path is decoded exactly once, into a [`maven_layout::RepoPath`], and what does not fit that type is refused:
//!   nothing else of a request ever becomes part of a file name;
//! - every answer with foreign bytes carries `Content-Security-Policy: sandbox` and `nosniff`; every page escapes all text;
//! - 404 is said only for [`Answer::Absent`](pyrsia_repository::Answer::Absent); failures are problem documents (RFC 9457);
//! - bodies, headers, connections and waits are bounded.
//!
//! What is not here: what to serve (`pyrsia-repository`), what is true (`pyrsia-ledger`), an HTTP client.

mod api;
mod bind;
mod conditional;
mod door;
mod entrance;
mod file_body;
mod guard;
mod hosted;
mod hot;
mod listing;
mod log;
mod maven;
mod openapi;
mod pages;
mod patient;
mod policy;
mod prepared;
mod problem;
mod requests;
mod router;
mod serve;
mod served;
mod shapes;
mod solr;
mod tile;
mod tls;
mod view;
mod workers;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use bind::{BindError, check_bind, listen};
pub use door::Door;
pub use entrance::Entrance;
pub use guard::{GuardConfig, Reader, Token, TokenError};
pub use hosted::{Holder, HostedRepository};
pub use pyrsia_repository::Files;
pub use router::App;
pub use serve::{Limits, serve};
pub use served::Served;
pub use solr::{ClassQuery, FoundRelease, QueryError, SearchPage, SearchQuery};
pub use tls::{Generated, Tls, TlsError};
pub use view::{NodeControl, NodeView, ViewError};
pub use workers::{WorkerDoor, WorkerImages, WorkerToken};
