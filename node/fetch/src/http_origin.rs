//! A Maven repository at a URL.

use std::error::Error as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use maven_layout::RepoPath;
use pyrsia_blobs::{BlobStore, Expected};
use reqwest::header::{CONTENT_ENCODING, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, Response, redirect};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until, timeout};
use url::Url;

use crate::address::{base_address, follow, shown};
use crate::origin::{Described, Origin, OriginAnswer};
use crate::retry::parse_retry_after;
use crate::{FetchError, HttpConfig};

/// A Maven repository that is spoken to over HTTP.
///
/// TLS certificates are checked against the system's roots; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others. Proxies
/// are taken from the usual variables (`HTTPS_PROXY`, `NO_PROXY`, ...).
pub struct HttpOrigin {
    pub(crate) id: String,
    base: Url,
    pub(crate) config: HttpConfig,
    client: Client,
    permits: Semaphore,
    /// Until when the origin wants to be left alone.
    pause: Mutex<Option<Instant>>,
}

/// A body under way.
pub(crate) struct Answer<'a> {
    pub(crate) url: String,
    pub(crate) response: Response,
    _permit: SemaphorePermit<'a>,
}

impl HttpOrigin {
    /// A repository under `base_url`, which may hold a user name and a password.
    ///
    /// # Errors
    /// [`FetchError::Address`], [`FetchError::Client`].
    pub fn new(id: impl Into<String>, base_url: &str, config: HttpConfig) -> Result<Self, FetchError> {
        let base = base_address(base_url, config.allow_plain_http)?;
        let client = Client::builder()
            .user_agent(concat!("pyrsia-maven/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(config.connect_timeout())
            .redirect(redirect::Policy::custom(follow))
            .referer(false)
            .build()
            .map_err(|e| FetchError::Client { reason: causes(&e) })?;
        let permits = Semaphore::new(config.max_concurrent.clamp(1, Semaphore::MAX_PERMITS));
        Ok(Self { id: id.into(), base, config, client, permits, pause: Mutex::new(None) })
    }

    /// The address of the repository without credentials, ending in a slash.
    pub fn base_url(&self) -> String {
        shown(&self.base)
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    fn shown_address(&self, path: &str) -> String {
        format!("{}{path}", self.base_url())
    }

    /// Sends one request and looks at the head of the answer; `None` is 404 or 410.
    pub(crate) async fn get(&self, path: &str) -> Result<Option<Answer<'_>>, FetchError> {
        self.send(Method::GET, path).await
    }

    /// [`HttpOrigin::get`] without a body.
    pub(crate) async fn head(&self, path: &str) -> Result<Option<Answer<'_>>, FetchError> {
        self.send(Method::HEAD, path).await
    }

    async fn send(&self, method: Method, path: &str) -> Result<Option<Answer<'_>>, FetchError> {
        let url = self.shown_address(path);
        // The semaphore is never closed; were it, the request would just not be counted.
        let closed = |_| FetchError::Client { reason: "the client is shutting down".to_owned() };
        let permit = self.permits.acquire().await.map_err(closed)?;
        self.wait_for_pause(&url).await?;
        let idle = self.config.idle_timeout();
        let sent = timeout(idle, self.client.request(method, self.address(path)).send()).await;
        let response = match sent {
            Err(_) => return Err(FetchError::Idle { url, idle }),
            Ok(Err(error)) if error.is_redirect() => {
                return Err(FetchError::Redirect { url, reason: causes(&error.without_url()) });
            }
            Ok(Err(error)) if error.is_builder() => {
                return Err(FetchError::Address { url, reason: causes(&error.without_url()) });
            }
            Ok(Err(error)) => {
                return Err(FetchError::Connect { url, reason: causes(&error.without_url()) });
            }
            Ok(Ok(response)) => response,
        };
        let status = response.status().as_u16();
        match status {
            200 => {}
            404 | 410 => return Ok(None),
            401 | 403 | 407 => return Err(FetchError::Denied { url, status }),
            _ => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
                let retry_after =
                    text(response.headers(), RETRY_AFTER.as_str()).and_then(|t| parse_retry_after(t, now));
                let error = match status {
                    429 => FetchError::Throttled { url, retry_after },
                    _ => FetchError::Status { url, status, retry_after },
                };
                if let (true, Some(wait)) = (error.is_transient(), retry_after) {
                    self.pause_for(wait);
                }
                return Err(error);
            }
        }
        match text(response.headers(), CONTENT_ENCODING.as_str()) {
            Some(encoding) if !encoding.eq_ignore_ascii_case("identity") => {
                Err(FetchError::Encoded { url, encoding: encoding.to_owned() })
            }
            _ => Ok(Some(Answer { url, response, _permit: permit })),
        }
    }

    pub(crate) async fn chunk(&self, answer: &mut Answer<'_>, received: u64) -> Result<Option<Bytes>, FetchError> {
        let idle = self.config.idle_timeout();
        let url = || answer.url.clone();
        match timeout(idle, answer.response.chunk()).await {
            Err(_) => Err(FetchError::Idle { url: url(), idle }),
            Ok(Err(e)) => Err(FetchError::Truncated { url: url(), received, reason: causes(&e.without_url()) }),
            Ok(Ok(chunk)) => Ok(chunk),
        }
    }

    pub(crate) async fn retrying<T, F: Future<Output = Result<T, FetchError>>>(
        &self,
        attempt: impl FnMut() -> F,
    ) -> Result<T, FetchError> {
        let longest = self.config.max_retry_after();
        let pauses = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(self.config.min_backoff_ms))
            .with_max_delay(Duration::from_millis(self.config.max_backoff_ms))
            .with_max_times(self.config.max_retries)
            .with_jitter();
        attempt
            .retry(pauses)
            .sleep(tokio::time::sleep)
            .when(FetchError::is_transient)
            // No pause left, or one that is too long: the error stands.
            .adjust(|error, pause| match (pause, error.retry_after()) {
                (Some(_), Some(asked)) if asked > longest => None,
                (Some(pause), Some(asked)) => Some(pause.max(asked)),
                (pause, _) => pause,
            })
            .notify(|error, pause| {
                tracing::debug!(origin.id = self.id, error = %error, pause_ms = pause.as_millis(), "will retry");
            })
            .await
    }

    fn pause_for(&self, wait: Duration) {
        // Bounded by `parse_retry_after`, so the sum exists.
        let until = Instant::now() + wait;
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        *pause = Some(pause.map_or(until, |earlier| earlier.max(until)));
    }

    async fn wait_for_pause(&self, url: &str) -> Result<(), FetchError> {
        let until = *self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(until) = until else { return Ok(()) };
        let left = until.saturating_duration_since(Instant::now());
        if left > self.config.max_retry_after() {
            return Err(FetchError::Throttled { url: url.to_owned(), retry_after: Some(left) });
        }
        sleep_until(until).await;
        Ok(())
    }
}

#[async_trait]
impl Origin for HttpOrigin {
    fn id(&self) -> &str {
        &self.id
    }

    async fn fetch(&self, path: &RepoPath, expected: &Expected, blobs: &BlobStore) -> Result<OriginAnswer, FetchError> {
        let total = self.config.total_timeout();
        timeout(total, self.fetch_verified(path, expected, blobs))
            .await
            .unwrap_or_else(|_| Err(FetchError::Timeout { url: self.shown_address(&path.to_url_path()), total }))
    }

    async fn describe(&self, path: &RepoPath) -> Result<Described, FetchError> {
        let total = self.config.total_timeout();
        timeout(total, self.described(path))
            .await
            .unwrap_or_else(|_| Err(FetchError::Timeout { url: self.shown_address(&path.to_url_path()), total }))
    }
}

/// A header's value, if there is one and it is text.
pub(crate) fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// An error with its causes: the reason for a failed connection is at the end of the chain.
fn causes(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
#[path = "http_origin_tests.rs"]
mod tests;
