//! Calls to the authority.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use build_spec::{ExtraInput, Input, InputError, Inputs, ManifestBlobs, RepositoryId};
use maven_layout::RepoPath;
use pyrsia_blobs::{BlobStore, Expected};
use pyrsia_digest::{KnownDigests, Sha256};
use pyrsia_workers::LeaseId;
use pyrsia_workers::messages::{
    Ask, FileRef, InputQuestion, InputReply, Leased, MAX_MESSAGE, MAX_ORDER, Outcome, Renewal,
};
use reqwest::{Body, Certificate, Method, RequestBuilder, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::client::{cause, said};
use crate::image_store::{ImagePeers, KnownImage};
use crate::known_nodes::is_this_machine;

/// Longest silence of the authority: while it gets an input from far away it says nothing.
const SILENCE: Duration = Duration::from_secs(10 * 60);
/// Longest time for work to come: longer than the authority keeps whoever asks waiting.
const TAKE: Duration = Duration::from_secs(45);
/// Longest time for a sign of life to arrive.
const RENEW: Duration = Duration::from_secs(10);
/// Idle connections are closed here before the authority closes them.
const IDLE: Duration = Duration::from_secs(15);
/// Tries for a call that may be made twice, and the pause after the first, which doubles.
const TRIES: u32 = 4;
const AGAIN: Duration = Duration::from_millis(500);
/// Largest description of an image and of a problem, in bytes.
const MAX_DESCRIPTION: usize = 64 << 10;

/// Why a call came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The lease is over.
    #[error("the authority has taken the build back")]
    Gone,
    /// It says no.
    #[error("the authority refuses ({status}): {detail}")]
    Refused {
        /// Status of the answer.
        status: u16,
        /// What it says.
        detail: String,
    },
    /// No answer, or half of one.
    #[error("the authority does not answer: {0}")]
    Silent(String),
    /// This machine failed.
    #[error("{0}")]
    Local(String),
}

impl LinkError {
    /// Whether asking again cannot help: the token or the version is wrong.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused { status: 400..=499, .. })
    }
}

/// The way to an authority.
pub struct Link {
    base: String,
    token: String,
    http: reqwest::Client,
}

impl Link {
    /// A link to the authority at this address; `ca`: PEM certificates that are trusted instead of the usual ones.
    ///
    /// # Errors
    /// For an address that is none, or that would show the token to whoever listens on the way.
    pub fn new(authority: &str, token: String, ca: Option<&[u8]>) -> anyhow::Result<Self> {
        let url: Url = authority.parse().with_context(|| format!("{authority:?} is no address"))?;
        anyhow::ensure!(matches!(url.scheme(), "http" | "https"), "{authority:?} is no address of HTTP or HTTPS");
        anyhow::ensure!(
            url.scheme() == "https" || is_this_machine(&url),
            "beyond loopback an authority is reached by https: plain HTTP would show the token to whoever listens"
        );
        let mut http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .read_timeout(SILENCE)
            .pool_idle_timeout(IDLE)
            // An authority sends nobody elsewhere, least of all with the token.
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        if let Some(pem) = ca {
            let all = Certificate::from_pem_bundle(pem).context("the certificates are not PEM")?;
            anyhow::ensure!(!all.is_empty(), "there is no certificate in PEM");
            http = http.tls_certs_only(all);
        }
        let http = http.build()?;
        Ok(Self { base: format!("{}/workers/v1", authority.trim_end_matches('/')), token, http })
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).bearer_auth(&self.token)
    }

    fn of(&self, method: Method, lease: LeaseId, path: &str) -> RequestBuilder {
        self.request(method, &format!("/leases/{lease}{path}"))
    }

    /// Asks for work, for as long as the authority keeps whoever asks waiting.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn take(&self, ask: &Ask) -> Result<Option<Leased>, LinkError> {
        let response = send(self.request(Method::POST, "/work").timeout(TAKE).json(ask)).await?;
        match response.status() {
            StatusCode::NO_CONTENT => Ok(None),
            _ => json(response, MAX_ORDER).await.map(Some),
        }
    }

    /// Gives a sign of life. One try.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn renew(&self, lease: LeaseId, renewal: &Renewal) -> Result<(), LinkError> {
        send(self.of(Method::POST, lease, "/renew").timeout(RENEW).json(renewal)).await.map(|_| ())
    }

    /// Hands in a result, for as long as the lease may last. A first try may have arrived: then the lease is gone.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn finish(&self, lease: LeaseId, outcome: &Outcome, lasts: Duration) -> Result<(), LinkError> {
        let end = Instant::now() + lasts;
        loop {
            match send(self.of(Method::POST, lease, "/result").timeout(lasts).json(outcome)).await {
                Err(LinkError::Silent(_)) if Instant::now() < end => tokio::time::sleep(AGAIN).await,
                other => return other.map(|_| ()),
            }
        }
    }

    /// Gives a build back. One try: without it the lease runs out.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn give_back(&self, lease: LeaseId) -> Result<(), LinkError> {
        send(self.of(Method::DELETE, lease, "").timeout(RENEW)).await.map(|_| ())
    }

    async fn input(&self, lease: LeaseId, question: &InputQuestion) -> Result<InputReply, LinkError> {
        let mut tries = Tries::new();
        loop {
            let reply = document(self.of(Method::POST, lease, "/inputs").json(question), MAX_MESSAGE).await;
            let Some(pause) = tries.pause(&reply) else { return reply };
            tokio::time::sleep(pause).await;
        }
    }

    /// Makes the store hold a file of a lease; what it holds already is hashed again.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn file(&self, lease: LeaseId, file: &FileRef, blobs: &BlobStore) -> Result<PathBuf, LinkError> {
        let FileRef { sha256, size } = *file;
        if blobs.has(&sha256) {
            let known = blobs.clone();
            let checked = tokio::task::spawn_blocking(move || known.check(&sha256)).await;
            if let (Ok(Ok(_)), Some(path)) = (checked, blobs.get(&sha256)) {
                return Ok(path);
            }
        }
        let path = format!("/files/{sha256}");
        let expected = Expected { size: Some(size), ..Expected::sha256(sha256) };
        let mut tries = Tries::new();
        loop {
            let came = fetch(self.of(Method::GET, lease, &path), size, expected.clone(), blobs).await;
            let Some(pause) = tries.pause(&came) else { return came };
            tokio::time::sleep(pause).await;
        }
    }

    /// Brings a file that a build has made.
    ///
    /// # Errors
    /// [`LinkError`].
    pub async fn upload(&self, lease: LeaseId, sha256: &Sha256, file: &Path) -> Result<(), LinkError> {
        let path = format!("/outputs/{sha256}");
        let mut tries = Tries::new();
        loop {
            let opened = tokio::fs::File::open(file).await;
            let opened = opened.map_err(|error| LinkError::Local(format!("{}: {error}", file.display())))?;
            let brought = send(self.of(Method::PUT, lease, &path).body(Body::from(opened))).await.map(|_| ());
            let Some(pause) = tries.pause(&brought) else { return brought };
            tokio::time::sleep(pause).await;
        }
    }
}

/// A builder image comes from the authority as it comes from a peer elsewhere: checked against its digest.
#[async_trait]
impl ImagePeers for Link {
    async fn describe(&self, image: &Sha256) -> Option<KnownImage> {
        let path = format!("/images/{image}");
        let mut tries = Tries::new();
        loop {
            let described = document(self.request(Method::GET, &path), MAX_DESCRIPTION).await;
            let Some(pause) = tries.pause(&described) else {
                return described.inspect_err(|error| tracing::warn!(%image, %error, "an image is not described")).ok();
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn file(&self, sha256: &Sha256, max_bytes: u64, blobs: &BlobStore) -> anyhow::Result<()> {
        if blobs.has(sha256) {
            return Ok(());
        }
        let path = format!("/layers/{sha256}");
        let expected = Expected::sha256(*sha256);
        let mut tries = Tries::new();
        loop {
            let came = fetch(self.request(Method::GET, &path), max_bytes, expected.clone(), blobs).await;
            let Some(pause) = tries.pause(&came) else { return came.map(|_| ()).map_err(anyhow::Error::from) };
            tokio::time::sleep(pause).await;
        }
    }
}

/// The files of one build, as its builder asks for them.
///
/// A broken link must not become a finding about the build: what went wrong with it is kept, for [`FromAuthority::trouble`].
pub struct FromAuthority {
    /// The link.
    pub link: Arc<Link>,
    /// The lease.
    pub lease: LeaseId,
    /// Where files are kept.
    pub blobs: BlobStore,
    /// Repositories that a record may ask beside the default one.
    pub repositories: Vec<String>,
    /// Sizes of the files that a replay may ask for.
    pub sizes: BTreeMap<Sha256, u64>,
    /// What went wrong.
    pub trouble: OnceLock<String>,
}

impl FromAuthority {
    /// What went wrong with the link first.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.get().map(String::as_str)
    }

    fn note(&self, error: &LinkError) -> String {
        let text = error.to_string();
        // The first one is the cause.
        let _ = self.trouble.set(text.clone());
        text
    }
}

#[async_trait]
impl Inputs for FromAuthority {
    fn has(&self, repository: &RepositoryId) -> bool {
        *repository == RepositoryId::central() || self.repositories.iter().any(|known| known == repository.as_str())
    }

    /// The authority gets it: it knows the address from the specification, as this worker does.
    async fn pinned(&self, input: &ExtraInput) -> Result<Input, InputError> {
        let place = input
            .place()
            .map_err(|error| InputError::Refused { url: input.url.clone(), problem: error.to_string() })?;
        self.get(&RepositoryId::inputs(), &place).await
    }

    async fn get(&self, repository: &RepositoryId, path: &RepoPath) -> Result<Input, InputError> {
        let unavailable = |problem: String| InputError::Unavailable {
            repository: repository.to_string(),
            path: path.to_string(),
            problem,
        };
        let question = InputQuestion { repository: repository.to_string(), path: path.clone() };
        match self.link.input(self.lease, &question).await.map_err(|error| unavailable(self.note(&error)))? {
            InputReply::Found { file, last_modified, cut } => {
                let came = self.link.file(self.lease, &file, &self.blobs).await;
                let came = came.map_err(|error| unavailable(self.note(&error)))?;
                let digests = KnownDigests { size: file.size, sha256: file.sha256, others: None };
                Ok(Input::Found { file: came, digests, last_modified, cut })
            }
            InputReply::Absent => Ok(Input::Absent),
            InputReply::Unavailable(problem) => Err(unavailable(problem)),
            InputReply::Withheld(problem) => Err(InputError::Withheld { path: path.to_string(), problem }),
            InputReply::UnknownRepository(id) => Err(InputError::UnknownRepository(id)),
            InputReply::Refused { url, problem } => Err(InputError::Refused { url, problem }),
        }
    }
}

#[async_trait]
impl ManifestBlobs for FromAuthority {
    async fn blob(&self, sha256: &Sha256) -> Option<PathBuf> {
        let size = *self.sizes.get(sha256)?;
        let came = self.link.file(self.lease, &FileRef { sha256: *sha256, size }, &self.blobs).await;
        came.inspect_err(|error| drop(self.note(error))).ok()
    }
}

/// The tries of a call that may be made twice.
struct Tries {
    left: u32,
    pause: Duration,
}

impl Tries {
    fn new() -> Self {
        Self { left: TRIES - 1, pause: AGAIN }
    }

    /// How long to wait before the next try; none: the result stands.
    fn pause<T>(&mut self, result: &Result<T, LinkError>) -> Option<Duration> {
        if !matches!(result, Err(LinkError::Silent(_))) {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        let pause = self.pause;
        self.pause *= 2;
        Some(pause)
    }
}

async fn document<T: DeserializeOwned>(request: RequestBuilder, most: usize) -> Result<T, LinkError> {
    json(send(request).await?, most).await
}

/// Puts a file into the store, if it is the expected one.
async fn fetch(
    request: RequestBuilder,
    most: u64,
    expected: Expected,
    blobs: &BlobStore,
) -> Result<PathBuf, LinkError> {
    let local = |error: pyrsia_blobs::BlobError| LinkError::Local(error.to_string());
    let mut response = send(request).await?;
    let mut writer = blobs.async_writer_of_name().await.map_err(local)?;
    while let Some(chunk) = response.chunk().await.map_err(|error| silent(&error))? {
        if writer.size().saturating_add(chunk.len() as u64) > most {
            return Err(LinkError::Local(format!("more than {most} bytes came, which is not the file asked for")));
        }
        writer.write(chunk).await.map_err(local)?;
    }
    match writer.finish_expecting(expected).await {
        Ok(stored) => Ok(stored.path),
        // Cut on the way, or damaged there: another try may bring it.
        Err(error @ pyrsia_blobs::BlobError::Unexpected(_)) => Err(LinkError::Silent(error.to_string())),
        Err(error) => Err(local(error)),
    }
}

async fn send(request: RequestBuilder) -> Result<Response, LinkError> {
    let response = request.send().await.map_err(|error| silent(&error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    if status == StatusCode::GONE {
        return Err(LinkError::Gone);
    }
    let text = bounded(response, MAX_DESCRIPTION).await.unwrap_or_default();
    let (detail, _) = said(&text);
    match status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT {
        true => Err(LinkError::Silent(format!("{status}: {detail}"))),
        false => Err(LinkError::Refused { status: status.as_u16(), detail }),
    }
}

async fn json<T: DeserializeOwned>(response: Response, most: usize) -> Result<T, LinkError> {
    let bytes = bounded(response, most).await?;
    let wrong = |error| LinkError::Refused { status: 502, detail: format!("the answer is not understood: {error}") };
    serde_json::from_slice(&bytes).map_err(wrong)
}

async fn bounded(mut response: Response, most: usize) -> Result<Vec<u8>, LinkError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| silent(&error))? {
        bytes.extend_from_slice(&chunk);
        if bytes.len() > most {
            let detail = format!("the answer has more than {most} bytes");
            return Err(LinkError::Refused { status: 502, detail });
        }
    }
    Ok(bytes)
}

fn silent(error: &reqwest::Error) -> LinkError {
    LinkError::Silent(cause(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_in_the_open_to_this_machine_only() {
        let link = |address: &str| Link::new(address, "t".to_owned(), None);
        for fine in ["http://127.0.0.1:7890", "http://localhost:1/", "http://[::1]:1", "https://authority.example"] {
            assert!(link(fine).is_ok(), "{fine}");
        }
        for bad in
            ["http://authority.example", "http://10.0.0.1", "http://localhost.example", "ftp://127.0.0.1", "x", ""]
        {
            assert!(link(bad).is_err(), "{bad}");
        }
        assert!(Link::new("https://a.example", "t".to_owned(), Some(b"no certificate")).is_err());
    }

    #[test]
    fn what_cannot_help_is_told_from_what_may() {
        let refused = |status| LinkError::Refused { status, detail: String::new() };
        assert!(refused(401).is_final() && refused(409).is_final());
        assert!(!refused(502).is_final() && !LinkError::Gone.is_final());
        assert!(!LinkError::Silent(String::new()).is_final());
    }
}
