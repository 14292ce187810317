//! Getting files from elsewhere: the HTTP client of the node.
//!
//! [`HttpOrigin`] is a Maven repository at a URL, [`Origin`] the seam that peers implement too, [`SingleFlight`] turns
//! many callers who want the same file into one download, [`find_central`] learns from the Maven installation of this
//! machine which upstream its user would talk to.
//!
//! Invariants:
//! - **a blob becomes visible only after every checksum that is known of it has matched**: what the caller expects,
//!   what the answer's `X-Checksum-*` headers say, and the checksum files that lie beside the file. A mismatch is
//!   tried once more from the start and then is an error; a checksum that the origin does not have is reported;
//! - only 404 and 410 mean [`OriginAnswer::Absent`]. Everything else that is not the file is a typed error;
//! - 429 and 5xx are answered by waiting (`Retry-After`, else growing pauses with jitter), for all requests to that
//!   origin; they are never handed on to a client as they are;
//! - everything is bounded: bytes of a file and of a checksum, the time to connect, between two chunks and in all,
//!   requests at a time, attempts, redirects. A redirect never leads from https to http;
//! - a plain-http address is refused unless it is loopback or the configuration allows it; passwords in an address
//!   never reach an error or a log;
//! - **no host name of any repository stands in this source.**
//!
//! What is not here: what to serve and whether to trust it (`pyrsia-repository`), merging of metadata, libp2p.

mod address;
mod checksum;
mod config;
mod describe;
mod download;
mod error;
mod find;
mod flight;
mod http_origin;
mod installed;
mod origin;
mod retry;
#[cfg(test)]
mod test_server;

pub use checksum::{ChecksumReport, ChecksumSource, MAX_CHECKSUM_BYTES, parse as parse_checksum};
pub use config::HttpConfig;
pub use error::FetchError;
pub use find::{FindConfig, FindError, FoundUpstream, find_central};
pub use flight::{Interrupted, SingleFlight};
pub use http_origin::HttpOrigin;
pub use installed::{InstalledMaven, find_maven};
pub use origin::{Described, Offline, Origin, OriginAnswer};
