//! The command line's side of the local API.

use std::ops::ControlFlow;
use std::time::Duration;

use pyrsia_api_types::Problem;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::exit::{CommandError, Exit};

/// Largest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 << 20;

/// A node to ask.
pub struct Client {
    base: String,
    token: Option<String>,
    http: reqwest::Client,
}

/// A node's refusal, with what it said.
#[derive(Debug)]
pub struct Refused {
    /// Status of the answer.
    pub status: StatusCode,
    /// The problem's text.
    pub detail: String,
    /// What to do next, if the node knows it.
    pub next: Option<String>,
}

/// How a call can go wrong.
#[derive(Debug)]
pub enum CallError {
    /// No answer.
    Unreachable(CommandError),
    /// An answer that says no.
    Refused(Refused),
}

impl From<CallError> for anyhow::Error {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unreachable(error) => error.into(),
            CallError::Refused(refused) => {
                let next = refused.next.filter(|next| !next.is_empty()).map(|next| format!("\nnext: {next}"));
                let next = next.unwrap_or_default();
                let said = format!("the node refused ({}): {}{next}", refused.status, refused.detail);
                CommandError::new(Exit::Failed, said).into()
            }
        }
    }
}

/// What the body of a refusal says, and what to do next, if it says that.
pub fn said(body: &[u8]) -> (String, Option<String>) {
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) => (problem.detail.unwrap_or(problem.title), problem.next),
        Err(_) => (String::from_utf8_lossy(body).chars().take(300).collect(), None),
    }
}

/// The innermost cause of a call that came to nothing: the outer ones repeat the address.
pub fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

impl Client {
    /// A client for the node at `base`; `token` is sent with calls that change state.
    pub fn new(base: &str, token: Option<String>) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .read_timeout(Duration::from_secs(90))
            // The node is this machine or one that the user names: never through a proxy meant for the world.
            .no_proxy()
            .build()?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), token, http })
    }

    /// The address.
    pub fn base(&self) -> &str {
        &self.base
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, CallError> {
        let response = request.send().await.map_err(|error| self.unreachable(&error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status();
        let text = self.read(response).await?;
        let (detail, next) = said(&text);
        Err(CallError::Refused(Refused { status, detail, next }))
    }

    fn unreachable(&self, error: &reqwest::Error) -> CallError {
        let cause = cause(error);
        CallError::Unreachable(CommandError::new(
            Exit::Unreachable,
            format!(
                "no node answers at {} ({cause}); start one with `pyrsia-maven node`, or name another with --node",
                self.base
            ),
        ))
    }

    async fn read(&self, mut response: Response) -> Result<Vec<u8>, CallError> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            bytes.extend_from_slice(&chunk);
            if bytes.len() > MAX_ANSWER {
                return Err(CallError::Refused(Refused {
                    status: StatusCode::BAD_GATEWAY,
                    detail: format!("the answer is larger than {MAX_ANSWER} bytes"),
                    next: None,
                }));
            }
        }
        Ok(bytes)
    }

    async fn json<T: DeserializeOwned>(&self, response: Response) -> Result<T, CallError> {
        let bytes = self.read(response).await?;
        serde_json::from_slice(&bytes).map_err(|error| {
            CallError::Refused(Refused {
                status: StatusCode::BAD_GATEWAY,
                detail: format!("the answer is not what this program understands: {error}"),
                next: None,
            })
        })
    }

    /// `GET path`, JSON.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        let response = self.send(self.request(Method::GET, path)).await?;
        self.json(response).await
    }

    /// `GET path`, JSON; a 404 is no error.
    pub async fn find<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, CallError> {
        match self.get(path).await {
            Err(CallError::Refused(refused)) if refused.status == StatusCode::NOT_FOUND => Ok(None),
            other => other.map(Some),
        }
    }

    /// `GET path`, bytes; a 404 is no error.
    pub async fn find_bytes(&self, path: &str) -> Result<Option<Vec<u8>>, CallError> {
        match self.send(self.request(Method::GET, path)).await {
            Err(CallError::Refused(refused)) if refused.status == StatusCode::NOT_FOUND => Ok(None),
            Err(error) => Err(error),
            Ok(response) => self.read(response).await.map(Some),
        }
    }

    /// `GET path`, streamed to `sink` piece by piece, until it has enough; a 404 is no error.
    pub async fn stream(
        &self,
        path: &str,
        mut sink: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<Option<()>, CallError> {
        let mut response = match self.send(self.request(Method::GET, path)).await {
            Err(CallError::Refused(refused)) if refused.status == StatusCode::NOT_FOUND => return Ok(None),
            other => other?,
        };
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            if sink(&chunk).is_break() {
                break;
            }
        }
        Ok(Some(()))
    }

    fn as_operator(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// `GET path` with the token, JSON: what is not for everybody.
    pub async fn get_as_operator<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        let request = self.as_operator(self.request(Method::GET, path)).header("accept", "application/json");
        let response = self.send(request).await?;
        self.json(response).await
    }

    /// `DELETE path` with the token.
    pub async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, CallError> {
        let response = self.send(self.as_operator(self.request(Method::DELETE, path))).await?;
        self.json(response).await
    }

    /// `POST path` with the token.
    pub async fn post<B: Serialize + Sync, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, CallError> {
        let request = self.as_operator(self.request(Method::POST, path).json(body));
        let response = self.send(request).await?;
        self.json(response).await
    }
}
