//! From failures to answers: the one place where errors become HTTP.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use pyrsia_api_types::Problem;
use pyrsia_repository::{RepositoryError, Withheld};

use crate::view::ViewError;

/// Policy for everything that is not a page of ours: a browser that shows it runs nothing of it.
pub(crate) const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox; default-src 'none'; frame-ancestors 'none'");
/// The type is the one that we say.
pub(crate) const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// The answer for a problem; `head` leaves out the body.
pub(crate) fn problem_response(problem: &Problem, head: bool) -> Response {
    let body = serde_json::to_vec(problem).unwrap_or_default();
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(if head { Body::empty() } else { Body::from(body) });
    *response.status_mut() = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(Problem::MEDIA_TYPE));
    headers.insert(header::CONTENT_LENGTH, length);
    // An answer such as "absent" or "not allowed" is about this moment and this client.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    response
}

/// An error of the API, with the path it is about.
pub(crate) struct ApiError(Box<Problem>);

impl ApiError {
    pub(crate) fn new(problem: Problem) -> Self {
        Self(Box::new(problem))
    }

    pub(crate) fn into_problem(self) -> Problem {
        *self.0
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        problem_response(&self.0, false)
    }
}

impl From<ViewError> for ApiError {
    fn from(error: ViewError) -> Self {
        let problem = |kind, status, title: &str, detail: String, next: String| {
            let problem = Problem::new(kind, status, title).detail(detail);
            if next.is_empty() { problem } else { problem.next(next) }
        };
        Self::new(match error {
            ViewError::NotFound { detail, next } => problem("not-found", 404, "There is no such thing.", detail, next),
            ViewError::Invalid { detail, next } => problem("invalid", 400, "The request makes no sense.", detail, next),
            ViewError::Refused { detail, next } => {
                problem("refused", 409, "The rules of the network refuse this.", detail, next)
            }
            ViewError::Unavailable { detail, next } => {
                problem("unavailable", 503, "This is not possible at present.", detail, next)
            }
            ViewError::Internal { detail } => {
                tracing::error!(http.detail = detail, "the node could not answer");
                problem("internal", 500, "The node failed.", detail, String::new())
            }
        })
    }
}

/// The problem for a withheld file.
pub(crate) fn withheld_problem(withheld: &Withheld) -> Problem {
    let mut problem = Problem::new("withheld", 403, format!("Withheld: {}", withheld.reason.as_str()))
        .detail(withheld.detail.clone())
        .next(withheld.next.clone());
    problem.reason = Some(withheld.reason.as_str().to_owned());
    problem.coordinates = withheld.coordinates.as_ref().map(ToString::to_string);
    problem
}

/// The problem for a failure of the repository. Never 404, and never an upstream's own status.
pub(crate) fn repository_problem(error: &RepositoryError) -> Problem {
    let problem = match error {
        RepositoryError::Upstream { timed_out: true, .. } => {
            Problem::new("upstream-timeout", 504, "Upstream did not answer in time.")
                .next("Try again; `pyrsia-maven status` shows which upstream this node asks.")
        }
        RepositoryError::Upstream { timed_out: false, .. } => {
            Problem::new("upstream-failed", 502, "Upstream could not deliver the file.")
                .next("Try again; `pyrsia-maven status` shows which upstream this node asks.")
        }
        RepositoryError::BytesMissing { .. } => {
            Problem::new("bytes-missing", 503, "The file is recorded, but its bytes cannot be had at present.")
                .next("Try again later; `pyrsia-maven peers` shows whom this node can ask.")
        }
        // Not 503: clients would try the same again at once, and again.
        RepositoryError::NoRoom { .. } => {
            tracing::error!(error.message = %error, "the disk is full");
            Problem::new("no-room", 507, "This node's disk is full: nothing further can be stored.")
                .next("Make room on the node's disk; it goes on by itself. What it has is served meanwhile.")
        }
        RepositoryError::Local { .. } | RepositoryError::Folder { .. } => {
            tracing::error!(error.message = %error, "cannot serve from the store");
            Problem::new("local", 500, "This node's store failed.")
                .next("See the log of the node; `pyrsia-maven doctor` checks what it needs.")
        }
    };
    problem.detail(error.to_string())
}
