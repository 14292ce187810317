//! Why a file could not be had.

use std::time::Duration;

use maven_layout::ChecksumAlgorithm;
use pyrsia_blobs::{BlobError, Mismatch};

/// Failures of a fetch. Addresses in them carry no user name or password.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address of the origin cannot be used.
    #[error("`{url}` cannot be an upstream: {reason}")]
    Address {
        /// The address as configured, without credentials.
        url: String,
        /// What is wrong with it and what would be right.
        reason: String,
    },
    /// The HTTP client cannot be set up, e.g. because the system has no root certificates.
    #[error("cannot set up the HTTP client: {reason}")]
    Client {
        /// What the client's library says.
        reason: String,
    },
    /// Nobody is asked: the node is offline.
    #[error("{path} is not here, and this node is offline: it asks no upstream")]
    Offline {
        /// The file's path.
        path: String,
    },
    /// No connection: name not resolved, refused, TLS failed.
    #[error("cannot connect for {url}: {reason}")]
    Connect {
        /// The file's address.
        url: String,
        /// What the client's library says, causes included.
        reason: String,
    },
    /// The origin was silent for too long.
    #[error("{url} sent nothing for {} ms", idle.as_millis())]
    Idle {
        /// The file's address.
        url: String,
        /// The limit that was reached.
        idle: Duration,
    },
    /// The file did not arrive in the time that one file may take.
    #[error("{url} did not arrive within {} ms; raise `total_timeout_ms` for slow lines", total.as_millis())]
    Timeout {
        /// The file's address.
        url: String,
        /// The limit that was reached.
        total: Duration,
    },
    /// The connection broke before the body was complete.
    #[error("{url} broke off after {received} bytes: {reason}")]
    Truncated {
        /// The file's address.
        url: String,
        /// Bytes that had arrived.
        received: u64,
        /// What the client's library says.
        reason: String,
    },
    /// The origin asks us to slow down.
    #[error("{url} asks to wait{}: too many requests", wait(retry_after))]
    Throttled {
        /// The file's address.
        url: String,
        /// How long, if it says so.
        retry_after: Option<Duration>,
    },
    /// The origin wants credentials, or others than the configured.
    #[error("{url} answered {status}: check the credentials in the upstream's address, or ask who runs it")]
    Denied {
        /// The file's address.
        url: String,
        /// 401, 403 or 407.
        status: u16,
    },
    /// Another answer that is neither the file nor its absence.
    #[error("{url} answered {status}{}", wait(retry_after))]
    Status {
        /// The file's address.
        url: String,
        /// The HTTP status.
        status: u16,
        /// How long to wait, if the answer says so.
        retry_after: Option<Duration>,
    },
    /// Too many redirects, or one that we do not follow.
    #[error("{url}: {reason}")]
    Redirect {
        /// The file's address.
        url: String,
        /// Which rule was broken.
        reason: String,
    },
    /// The answer's body is encoded although no encoding was asked for, so its bytes are not the file's.
    #[error(
        "{url} came with the content encoding `{encoding}`, which was not asked for: a proxy on the way changes files"
    )]
    Encoded {
        /// The file's address.
        url: String,
        /// The encoding.
        encoding: String,
    },
    /// The file is larger than allowed.
    #[error("{url} is larger than the {limit} bytes allowed by `max_file_bytes`")]
    TooLarge {
        /// The file's address.
        url: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The bytes are not those that a checksum describes, on two attempts. Nothing was stored.
    #[error("{url} is not what {by} says: {mismatch}")]
    Mismatch {
        /// The file's address.
        url: String,
        /// Whose word it is: the caller's, the answer's headers', a checksum file's.
        by: String,
        /// The difference.
        mismatch: Mismatch,
    },
    /// The only checksum files that the origin has hold no checksum. Nothing was stored.
    #[error("the checksum file {url}.{} holds no checksum", algorithm.extension())]
    UnreadableChecksum {
        /// The address of the file that it should describe.
        url: String,
        /// The algorithm, hence the checksum file.
        algorithm: ChecksumAlgorithm,
    },
    /// A checksum file could not be had, so the bytes cannot be verified. Nothing was stored.
    #[error("cannot verify: {source}")]
    Checksum {
        /// Why not.
        #[source]
        source: Box<FetchError>,
    },
    /// Everybody who may have the file has no time at present.
    #[error("cannot get {path} at present: all that were asked are busy")]
    Busy {
        /// The file's path.
        path: String,
    },
    /// The bytes cannot be stored.
    #[error(transparent)]
    Store(#[from] BlobError),
}

fn wait(retry_after: &Option<Duration>) -> String {
    retry_after.map(|d| format!(" (try again in {} s)", d.as_secs().max(1))).unwrap_or_default()
}

impl FetchError {
    /// True if the same request may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Idle { .. } | Self::Truncated { .. } | Self::Throttled { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 425 | 500 | 502 | 503 | 504),
            _ => false,
        }
    }

    /// True if it was the origin that could not be spoken to, rather than this file that could not be had.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::Idle { .. } | Self::Timeout { .. } | Self::Throttled { .. } => true,
            Self::Checksum { source } => source.is_unreachable(),
            _ => false,
        }
    }

    /// How long the origin asks us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { retry_after, .. } | Self::Status { retry_after, .. } => *retry_after,
            Self::Checksum { source } => source.retry_after(),
            _ => None,
        }
    }
}
