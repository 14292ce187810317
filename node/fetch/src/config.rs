//! The `[fetch]` section of the configuration.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Limits of an HTTP origin. All of them have defaults; unknown fields are refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Time to connect, TLS included.
    pub connect_timeout_ms: u64,
    /// Longest silence: until the answer's head, and between two pieces of its body.
    pub idle_timeout_ms: u64,
    /// Time for one file in all, waiting and retries included.
    pub total_timeout_ms: u64,
    /// Largest file in bytes.
    pub max_file_bytes: u64,
    /// Attempts after the first for what may pass: no connection, broken body, 408, 425, 429, 500, 502, 503, 504.
    pub max_retries: usize,
    /// First pause between two attempts; each further one is twice as long, with jitter.
    pub min_backoff_ms: u64,
    /// Longest pause between two attempts that the origin did not ask for.
    pub max_backoff_ms: u64,
    /// Longest `Retry-After` that is waited for; beyond it the fetch fails at once and says until when.
    pub max_retry_after_ms: u64,
    /// Requests to one origin at a time.
    pub max_concurrent: usize,
    /// Whether an origin that is not on this machine may be spoken to without TLS.
    pub allow_plain_http: bool,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            connect_timeout_ms: 10_000,
            idle_timeout_ms: 30_000,
            total_timeout_ms: 15 * 60_000,
            max_file_bytes: 4 * 1024 * 1024 * 1024,
            max_retries: 4,
            min_backoff_ms: 250,
            max_backoff_ms: 10_000,
            max_retry_after_ms: 60_000,
            max_concurrent: 16,
            allow_plain_http: false,
        }
    }
}

impl HttpConfig {
    pub(crate) fn connect_timeout(&self) -> Duration {
        Duration::from_millis(self.connect_timeout_ms)
    }

    pub(crate) fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }

    pub(crate) fn total_timeout(&self) -> Duration {
        Duration::from_millis(self.total_timeout_ms)
    }

    pub(crate) fn max_retry_after(&self) -> Duration {
        Duration::from_millis(self.max_retry_after_ms)
    }
}
