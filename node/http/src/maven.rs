//! `/maven2`: the repository as Maven, Gradle and others see it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use bytes::Bytes;
use maven_layout::RepoPath;
use pyrsia_api_types::Problem;
use pyrsia_repository::{Answer, ServedFile};

use crate::file_body::{self, BodyError};
use crate::hot::{HotAnswers, SMALL, respond};
use crate::listing;
use crate::prepared::Prepared;
use crate::problem::{NOSNIFF, SANDBOX, problem_response, repository_problem, withheld_problem};
use crate::router::Shared;
use crate::served::{Uses, is_counted};

/// Where the repository begins.
pub(crate) const PREFIX: &str = "/maven2/";

/// `/maven2/` itself.
pub(crate) async fn root(State(shared): State<Shared>, method: Method) -> Response {
    if let Some(refusal) = refuse_writing(&method, PREFIX) {
        return refusal;
    }
    listing::folder(shared.hot.files(), None, method == Method::HEAD).await
}

/// A file of the repository.
pub(crate) async fn file(State(shared): State<Shared>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    // The path as it was sent: decoding is RepoPath's business, and happens once.
    let encoded = uri.path();
    if let Some(refusal) = refuse_writing(&method, encoded) {
        return refusal;
    }
    let head = method == Method::HEAD;
    let encoded = encoded.strip_prefix(PREFIX).unwrap_or(encoded);
    let (encoded, folder) = encoded.strip_suffix('/').map_or((encoded, false), |folder| (folder, true));
    let path = match RepoPath::from_url_path(encoded) {
        Ok(path) => path,
        Err(error) => {
            let problem = Problem::new("bad-path", 400, "This is not a path of a Maven repository.");
            return problem_response(&problem.detail(error.to_string()), head);
        }
    };
    let hot = &shared.hot;
    if folder {
        return listing::folder(hot.files(), Some(&path), head).await;
    }
    // Before the file is asked for: what the ledger says next is not yet in the answer.
    let version = hot.files().version();
    let mut answer = hot.files().get(&path).await;
    if let Ok(Answer::File(file)) = &answer {
        match stored(hot, version, &method, &uri, &headers, file).await {
            Ok(response) => return response,
            // Taken away since it was looked for, or damaged since it was hashed: it is lost, and is got again.
            Err(error) => {
                tracing::warn!(error.message = %error, file.path = %path, "a stored file is not what it was: looking again");
                hot.files().doubt(&file.digests.sha256);
                answer = hot.files().get(&path).await;
            }
        }
    }
    match answer {
        Ok(Answer::File(file)) => {
            stored(hot, version, &method, &uri, &headers, &file).await.unwrap_or_else(|error| broken(&error, &path))
        }
        Ok(Answer::Generated(document)) => {
            let prepared = Prepared::of_document(&document);
            let bytes = Bytes::from_owner(Arc::clone(&document.bytes));
            let response = respond(&prepared, &bytes, &method, &headers);
            if document.immutable {
                hot.keep_file(uri.path(), &path, version, prepared, bytes, None);
            }
            response
        }
        Ok(Answer::Absent) => {
            hot.keep_absent(uri.path(), &path, version);
            absent(&path, head)
        }
        Ok(Answer::Withheld(withheld)) => {
            if is_counted(&path) {
                hot.served().withheld(&path, withheld.reason);
            }
            problem_response(&withheld_problem(&withheld).instance(uri.path()), head)
        }
        Err(error) => problem_response(&repository_problem(&error).instance(uri.path()), head),
    }
}

/// Releases do not get in by upload: the answer says how they do.
fn refuse_writing(method: &Method, path: &str) -> Option<Response> {
    if matches!(*method, Method::GET | Method::HEAD) {
        return None;
    }
    let problem = Problem::new("read-only", 405, "Nothing is uploaded to this repository.")
        .detail("A release gets in when the network has rebuilt it from its tagged source.")
        .next("pyrsia-maven build GROUP:ARTIFACT:VERSION --source URL --tag TAG")
        .instance(path);
    let mut response = problem_response(&problem, false);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    Some(response)
}

/// The answer for a file that does not exist. No problem document: recent Mavens (3.9.16, 4.0.0-rc-4) take any of those for a
/// failed transfer, and then a POM that is missing breaks the build.
pub(crate) fn absent(path: &RepoPath, head: bool) -> Response {
    let text =
        format!("{path} does not exist: the ledger does not know it, and no repository that this node asks has it.\n");
    absent_saying(text, head)
}

/// The same in other words.
pub(crate) fn absent_saying(text: String, head: bool) -> Response {
    let length = HeaderValue::from(text.len());
    let mut response = Response::new(if head { Body::empty() } else { Body::from(text) });
    *response.status_mut() = StatusCode::NOT_FOUND;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CONTENT_LENGTH, length);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    response
}

async fn stored(
    hot: &HotAnswers,
    version: u64,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    file: &ServedFile,
) -> Result<Response, BodyError> {
    let uses = Uses::of(file, hot.served());
    let (response, small) = answer_of(method, headers, file).await?;
    count(uses.as_deref(), method);
    if let Some((prepared, bytes)) = small
        && file.immutable
        // The checksums that are still computed are to be in the answer that stays.
        && file.digests.others.is_some()
    {
        hot.keep_file(uri.path(), &file.path, version, prepared, bytes, uses);
    }
    Ok(response)
}

/// The answer that a stored file is; of a small one its parts too, for more answers of the kind.
pub(crate) async fn answer_of(
    method: &Method,
    headers: &HeaderMap,
    file: &ServedFile,
) -> Result<(Response, Option<(Prepared, Bytes)>), BodyError> {
    let prepared = Prepared::of_file(file);
    if file.digests.size > SMALL {
        let (mut response, wanted) = prepared.begin(method, headers);
        *response.body_mut() = file_body::stream(file, wanted).await?;
        return Ok((response, None));
    }
    let bytes = match &file.bytes {
        Some(read) => Bytes::from_owner(Arc::clone(read)),
        None => file_body::load(file).await?,
    };
    let response = respond(&prepared, &bytes, method, headers);
    Ok((response, Some((prepared, bytes))))
}

/// Counts a request that is answered with the file.
fn count(uses: Option<&Uses>, method: &Method) {
    if let Some(uses) = uses
        && *method == Method::GET
    {
        uses.add();
    }
}

pub(crate) fn broken(error: &BodyError, path: &RepoPath) -> Response {
    tracing::error!(error.message = %error, file.path = %path, "a stored file cannot be served");
    let problem = Problem::new("local", 500, "This node's store failed.")
        .detail(format!("{path}: {error}"))
        .next("See the log of the node; `pyrsia-maven doctor` checks what it needs.");
    problem_response(&problem, false)
}
