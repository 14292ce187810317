//! `/hosted/ID/`: private repositories, which people upload to.

mod access;
mod manage;
mod problems;
pub(crate) mod receive;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, Request, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use maven_layout::RepoPath;
use pyrsia_hosted::{Hosted, Stored};
use pyrsia_repository::Answer;
use tokio::sync::Semaphore;

use access::{Access, Denied};
use receive::NotReceived;

use crate::guard::GuardConfig;
use crate::hot;
use crate::maven::{absent_saying, answer_of, broken};
use crate::prepared::Prepared;
use crate::problem::{NOSNIFF, SANDBOX, problem_response, repository_problem, withheld_problem};

pub use access::Holder;

/// Where the repositories begin.
const PREFIX: &str = "/hosted/";
/// Uploads at a time: each has up to 2 MiB in memory, and a file on the disk.
const UPLOADS: usize = 64;
/// How long one more waits for its turn.
const TURN: Duration = Duration::from_secs(30);

/// A private repository, and who may do what there.
pub struct HostedRepository {
    /// The repository.
    pub repository: Hosted,
    /// Who may upload.
    pub writers: Vec<Holder>,
    /// Who may read, beside the writers; none: whoever may read everything else that the listener serves.
    pub readers: Option<Vec<Holder>>,
}

/// All private repositories.
pub(crate) struct HostedFace {
    repositories: BTreeMap<String, HostedRepository>,
    uploads: Arc<Semaphore>,
    /// One list or removal at a time: each may look through a whole repository.
    managing: Semaphore,
}

impl HostedFace {
    pub(crate) fn new(repositories: Vec<HostedRepository>) -> Self {
        let named = repositories.into_iter().map(|hosted| (hosted.repository.id().to_string(), hosted));
        Self { repositories: named.collect(), uploads: Arc::new(Semaphore::new(UPLOADS)), managing: Semaphore::new(1) }
    }

    /// Whether a path of a URL belongs to them.
    pub(crate) fn is_below(path: &str) -> bool {
        path.starts_with(PREFIX) || path == "/hosted"
    }

    /// The answer to a request. Its origin has been checked; who may do what is decided here.
    pub(crate) async fn answer(&self, request: Request<Body>, guard: &GuardConfig) -> Response {
        let (parts, body) = request.into_parts();
        let body = receive::stream(body);
        let head = parts.method == Method::HEAD;
        let url = parts.uri.path();
        let below = url.strip_prefix(PREFIX).unwrap_or_default();
        let (id, encoded) = below.split_once('/').unwrap_or((below, ""));
        let hosted = self.repositories.get(id);
        let access = Access::of(&parts.headers, guard, hosted);
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        let writes = parts.method == Method::PUT;
        let removes = parts.method == Method::DELETE && encoded.ends_with('/');
        let lists = reads && encoded.is_empty() && manage::wants_list(&parts.headers);
        let refuse = |problem| {
            tracing::debug!(http.path = url, "a request to a hosted repository is refused");
            problems::respond(problem, url, head)
        };
        let refused = match (access.enter(), hosted) {
            (Err(denied), _) => problems::denied(&denied, writes),
            (Ok(()), None) => problems::no_repository(id),
            (Ok(()), Some(hosted)) if removes || lists => match self.manage(hosted, &access, encoded, head).await {
                Ok(response) => return response,
                Err(problem) => *problem,
            },
            (Ok(()), Some(_)) if !reads && !writes => problems::wrong_method(),
            (Ok(()), Some(hosted)) if reads && encoded.is_empty() => return root(hosted, head),
            (Ok(()), Some(hosted)) => match RepoPath::from_url_path(encoded.strip_suffix('/').unwrap_or(encoded)) {
                Err(error) => problems::bad_path(error.to_string()),
                Ok(path) if reads => match access.read(&path) {
                    Ok(()) if encoded.ends_with('/') => return absent(&path, hosted, head),
                    Ok(()) => return read(hosted, &path, &parts).await,
                    Err(denied) => problems::denied(&denied, false),
                },
                Ok(_) if encoded.ends_with('/') => problems::bad_path("a folder is not uploaded".to_owned()),
                Ok(path) => match access.write(&path) {
                    Ok(writer) => return self.upload(hosted, &path, writer, &parts, body).await,
                    Err(Denied::Unknown) if access.is_known_reader(&parts.headers, guard) => {
                        problems::denied(&Denied::ReadsOnly, true)
                    }
                    Err(denied) => problems::denied(&denied, true),
                },
            },
        };
        if !receive::waits(&parts.headers) {
            receive::pass_over(body);
        }
        refuse(refused)
    }

    /// A list, or a removal where a path says of what.
    async fn manage(
        &self,
        hosted: &HostedRepository,
        access: &Access<'_>,
        encoded: &str,
        head: bool,
    ) -> Result<Response, Box<pyrsia_api_types::Problem>> {
        // Before anything is waited for: who may not remove is told so at once, and holds up nobody who may.
        let removal = if encoded.is_empty() { None } else { Some(manage::removal(access, encoded)?) };
        let Ok(Ok(_turn)) = tokio::time::timeout(TURN, self.managing.acquire()).await else {
            return Err(Box::new(problems::busy()));
        };
        if let Some(removal) = removal {
            return manage::remove(hosted, &removal).await;
        }
        let mut response = manage::list(hosted, access).await?;
        if head {
            *response.body_mut() = Body::empty();
        }
        Ok(response)
    }

    async fn upload(
        &self,
        hosted: &HostedRepository,
        path: &RepoPath,
        writer: &str,
        parts: &Parts,
        mut body: axum::body::BodyDataStream,
    ) -> Response {
        let mut asked = false;
        match self.take(hosted, path, writer, parts, &mut body, &mut asked).await {
            Ok(stored) => {
                let status = if stored == Stored::New { StatusCode::CREATED } else { StatusCode::OK };
                let mut response = Response::new(Body::empty());
                *response.status_mut() = status;
                response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(0));
                response
            }
            Err(problem) => {
                tracing::info!(
                    http.path = parts.uri.path(),
                    hosted.writer = writer,
                    http.status = problem.status,
                    "an upload was refused"
                );
                // Of a client that waited and was asked, the rest is on its way as it is of one that never waits.
                if asked || !receive::waits(&parts.headers) {
                    receive::pass_over(body);
                }
                problems::respond(*problem, parts.uri.path(), false)
            }
        }
    }

    /// Everything that can refuse the upload comes before the first look at its body, which is what has the client send it.
    async fn take(
        &self,
        hosted: &HostedRepository,
        path: &RepoPath,
        writer: &str,
        parts: &Parts,
        body: &mut axum::body::BodyDataStream,
        asked: &mut bool,
    ) -> Result<Stored, Box<pyrsia_api_types::Problem>> {
        let headers = &parts.headers;
        if headers.contains_key(header::CONTENT_RANGE) || headers.contains_key(header::CONTENT_ENCODING) {
            return Err(Box::new(problems::not_whole()));
        }
        let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let Ok(Ok(_turn)) = tokio::time::timeout(TURN, self.uploads.acquire()).await else {
            return Err(Box::new(problems::busy()));
        };
        let upload = hosted.repository.begin(path, length).await;
        let mut upload = upload.map_err(|error| Box::new(problems::failed(&error, path)))?;
        *asked = true;
        let received = receive::receive(body, &mut upload).await;
        received.map_err(|error| Box::new(problems::not_received(&error, path)))?;
        let finished = upload.finish(writer).await.map_err(NotReceived::from);
        finished.map_err(|error| Box::new(problems::not_received(&error, path)))
    }
}

/// `/hosted/ID/` itself.
fn root(hosted: &HostedRepository, head: bool) -> Response {
    let text = format!("This is the Maven repository {:?} of this node.\n", hosted.repository.id().as_str());
    let length = HeaderValue::from(text.len());
    let mut response = Response::new(if head { Body::empty() } else { Body::from(text) });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CONTENT_LENGTH, length);
    headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    response
}

fn absent(path: &RepoPath, hosted: &HostedRepository, head: bool) -> Response {
    absent_saying(format!("{path} does not exist in the repository {}.\n", hosted.repository.id()), head)
}

async fn read(hosted: &HostedRepository, path: &RepoPath, parts: &Parts) -> Response {
    let (method, headers) = (&parts.method, &parts.headers);
    let head = *method == Method::HEAD;
    let url = parts.uri.path();
    match hosted.repository.get(path).await {
        Ok(Answer::File(file)) => match answer_of(method, headers, &file).await {
            Ok((response, _)) => response,
            Err(error) => {
                // Whoever asks next is told what helps, and who uploads it again is not told that it is here.
                hosted.repository.doubt(&file.digests.sha256);
                broken(&error, path)
            }
        },
        Ok(Answer::Generated(document)) => {
            let bytes = Bytes::from_owner(Arc::clone(&document.bytes));
            hot::respond(&Prepared::of_document(&document), &bytes, method, headers)
        }
        Ok(Answer::Absent) => absent(path, hosted, head),
        Ok(Answer::Withheld(withheld)) => problem_response(&withheld_problem(&withheld).instance(url), head),
        Err(error) => problem_response(&repository_problem(&error).instance(url), head),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guard::Token;
    use pyrsia_hosted::{Accepts, HostedConfig};

    #[tokio::test(start_paused = true)]
    async fn who_may_not_remove_is_told_so_without_waiting_for_those_who_do() {
        let secret = "s".repeat(32);
        let folder = tempfile::tempdir().unwrap();
        let config = HostedConfig {
            id: "releases".parse().unwrap(),
            accepts: Accepts::Releases,
            max_file: 1_000,
            max_bytes: None,
        };
        let repository = Hosted::open(config, folder.path(), Arc::new(|| 0)).unwrap();
        let face = HostedFace::new(vec![HostedRepository { repository, writers: Vec::new(), readers: None }]);
        let guard = GuardConfig { hosts: vec![], token: Token::new(&secret).unwrap(), readers: None };
        let turn = face.managing.acquire().await.unwrap();
        let known = format!("Bearer {secret}");
        for (shown, path, status, waited) in [
            (None, "com/acme/lib/1.0/", 401, false),
            (Some(&known), "com/acme/", 400, false),
            (Some(&known), "com/acme/lib/1.0/", 503, true),
        ] {
            let mut request = Request::delete(format!("/hosted/releases/{path}"));
            if let Some(shown) = shown {
                request = request.header(header::AUTHORIZATION, shown);
            }
            let begun = tokio::time::Instant::now();
            let answer = face.answer(request.body(Body::empty()).unwrap(), &guard).await;
            assert_eq!((answer.status().as_u16(), begun.elapsed() >= TURN), (status, waited), "{shown:?} {path}");
        }
        drop(turn);
    }
}
