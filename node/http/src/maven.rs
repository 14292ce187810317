//! `/maven2`: the repository as Maven, Gradle and others see it.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::Response;
use maven_layout::{ChecksumAlgorithm, RepoPath};
use pyrsia_api_types::Problem;
use pyrsia_digest::KnownDigests;
use pyrsia_repository::{Answer, Generated, Provenance, ServedFile, content_type};

use crate::conditional::{self, Selection, Version};
use crate::file_body::BodyError;
use crate::problem::{NOSNIFF, SANDBOX, problem_response, repository_problem, withheld_problem};
use crate::router::Shared;

const PREFIX: &str = "/maven2/";
const PROVENANCE: HeaderName = HeaderName::from_static("x-pyrsia-provenance");
const CHECKSUMS: [(HeaderName, ChecksumAlgorithm); 4] = [
    (HeaderName::from_static("x-checksum-md5"), ChecksumAlgorithm::Md5),
    (HeaderName::from_static("x-checksum-sha1"), ChecksumAlgorithm::Sha1),
    (HeaderName::from_static("x-checksum-sha256"), ChecksumAlgorithm::Sha256),
    (HeaderName::from_static("x-checksum-sha512"), ChecksumAlgorithm::Sha512),
];

/// `/maven2/` itself.
pub(crate) async fn root(method: Method) -> Response {
    if let Some(refusal) = refuse_writing(&method, PREFIX) {
        return refusal;
    }
    let text = "This is a Maven repository. `/setup` on this server shows how to use it.\n";
    let mut response = Response::new(Body::from(text));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    response
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
    if folder {
        return absent(&path, head);
    }
    match shared.files.get(&path).await {
        Ok(Answer::File(file)) => stored(&shared, &method, &headers, &file).await,
        Ok(Answer::Generated(document)) => generated(&method, &headers, &document),
        Ok(Answer::Absent) => absent(&path, head),
        Ok(Answer::Withheld(withheld)) => problem_response(&withheld_problem(&withheld).instance(uri.path()), head),
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

fn absent(path: &RepoPath, head: bool) -> Response {
    let problem = Problem::new("absent", 404, "This file does not exist.")
        .detail(format!("{path}: the ledger does not know it, and no repository that this node asks has it."));
    problem_response(&problem, head)
}

async fn stored(shared: &Shared, method: &Method, headers: &HeaderMap, file: &ServedFile) -> Response {
    let common = Common {
        path: &file.path,
        digests: file.digests.clone(),
        // Upstream's own time where it told one: a node that stands between another one and upstream must not make
        // releases look younger.
        last_modified: Some(file.upstream_modified.unwrap_or(file.last_modified)),
        provenance: Some(file.provenance),
        changing: !file.immutable,
    };
    let (selection, mut response) = begin(method, headers, &common);
    let range = match selection {
        _ if *method == Method::HEAD => None,
        Selection::All => Some((0, file.digests.size)),
        Selection::Part { start, length } => Some((start, length)),
        Selection::NotModified | Selection::Unsatisfiable => None,
    };
    if let Some((start, length)) = range {
        match shared.bodies.body(file, start, length).await {
            Ok(body) => *response.body_mut() = body,
            Err(error) => return broken(&error, &file.path),
        }
    }
    response
}

fn broken(error: &BodyError, path: &RepoPath) -> Response {
    tracing::error!(error.message = %error, file.path = %path, "a stored file cannot be served");
    let problem = Problem::new("local", 500, "This node's store failed.")
        .detail(format!("{path}: {error}"))
        .next("See the log of the node; `pyrsia-maven doctor` checks what it needs.");
    problem_response(&problem, false)
}

fn generated(method: &Method, headers: &HeaderMap, document: &Generated) -> Response {
    let common = Common {
        path: &document.path,
        digests: document.digests.clone().into(),
        last_modified: document.last_modified,
        provenance: document.provenance,
        changing: true,
    };
    let (selection, mut response) = begin(method, headers, &common);
    let bytes = match selection {
        _ if *method == Method::HEAD => &[][..],
        Selection::All => &document.bytes[..],
        Selection::Part { start, length } => {
            let start = usize::try_from(start).unwrap_or(usize::MAX).min(document.bytes.len());
            let end = start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX)).min(document.bytes.len());
            &document.bytes[start..end]
        }
        Selection::NotModified | Selection::Unsatisfiable => &[],
    };
    if !bytes.is_empty() {
        *response.body_mut() = Body::from(bytes.to_vec());
    }
    response
}

struct Common<'a> {
    path: &'a RepoPath,
    digests: KnownDigests,
    last_modified: Option<u64>,
    provenance: Option<Provenance>,
    changing: bool,
}

/// Status and headers, the same for GET and HEAD; the body is the caller's.
fn begin(method: &Method, request: &HeaderMap, common: &Common<'_>) -> (Selection, Response) {
    let size = common.digests.size;
    let etag = format!("\"{}\"", common.digests.sha256);
    let selection =
        conditional::select(method, request, Version { etag: &etag, last_modified: common.last_modified, size });
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    // Digests, dates and numbers are visible ASCII, so no value is ever left out.
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put(header::ETAG, &etag);
    put(header::ACCEPT_RANGES, "bytes");
    if let Some(date) = common.last_modified.and_then(conditional::http_date) {
        put(header::LAST_MODIFIED, &date);
    }
    // What is not known yet is left out: clients then ask for the checksum file.
    for (name, algorithm) in CHECKSUMS {
        if let Some(text) = common.digests.checksum(algorithm) {
            put(name, &text);
        }
    }
    if let Some(provenance) = common.provenance {
        put(PROVENANCE, provenance.as_str());
    }
    if common.changing {
        put(header::CACHE_CONTROL, "no-cache");
    }
    headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(common.path)));
    let (status, length) = match selection {
        Selection::All => (StatusCode::OK, size),
        Selection::Part { start, length } => {
            // `length` is at least 1 and the part lies inside the file.
            if let Ok(value) = HeaderValue::from_str(&format!("bytes {start}-{}/{size}", start + (length - 1))) {
                headers.insert(header::CONTENT_RANGE, value);
            }
            (StatusCode::PARTIAL_CONTENT, length)
        }
        Selection::NotModified => {
            headers.remove(header::CONTENT_TYPE);
            // The length that a 200 would have: the only one allowed here, and without it axum would add 0.
            (StatusCode::NOT_MODIFIED, size)
        }
        Selection::Unsatisfiable => {
            if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
                headers.insert(header::CONTENT_RANGE, value);
            }
            (StatusCode::RANGE_NOT_SATISFIABLE, 0)
        }
    };
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    *response.status_mut() = status;
    (selection, response)
}
