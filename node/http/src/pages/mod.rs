//! Pages for people: server-rendered, without scripts.
//!
//! Invariant: text reaches a page only through [`Markup::text`] and attributes only through [`Markup::open`] and
//! [`Markup::link`], all of which escape; nothing else appends a value that is not a literal of this program.

mod build;
mod home;
mod markup;
mod release;
mod setup;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use pyrsia_api_types::Problem;
use serde::Deserialize;

use crate::api::coordinates;
use crate::problem::{ApiError, NOSNIFF};
use crate::router::Shared;

pub(crate) use markup::Markup;

const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
);
const STYLE: &str = "\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
nav a{margin-right:1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}
table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .75rem .25rem 0;border-bottom:1px solid #d8dee4;vertical-align:top}
code,pre{font:14px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}pre{background:#f6f8fa;padding:.75rem;overflow-x:auto}
.warn{border-left:4px solid #bf8700;padding-left:.75rem}
@media(prefers-color-scheme:dark){body{color:#e6edf3;background:#0d1117}pre{background:#161b22}a{color:#6cb6ff}th,td{border-color:#30363d}}
";

fn page(status: StatusCode, title: &str, content: Markup) -> Response {
    let mut page = Markup::default();
    page.raw("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    page.raw(
        "<meta name=\"viewport\" content=\"width=device-width\"><link rel=\"stylesheet\" href=\"/style.css\"><title>",
    );
    page.text(title).text(" - pyrsia-maven").raw("</title></head><body><nav>");
    page.link("/", "Node").link("/setup", "Use this repository").raw("</nav><h1>").text(title).raw("</h1>");
    page.append(content).raw("</body></html>\n");
    let mut response = (status, page.finish()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::CONTENT_SECURITY_POLICY, POLICY);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn problem_page(error: ApiError) -> Response {
    let mut content = Markup::default();
    let Problem { title, status, detail, next, .. } = error.into_problem();
    for line in [detail, next].into_iter().flatten() {
        content.raw("<p>").text(&line).raw("</p>");
    }
    page(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &title, content)
}

fn answer(result: Result<(String, Markup), ApiError>) -> Response {
    match result {
        Ok((title, content)) => page(StatusCode::OK, &title, content),
        Err(error) => problem_page(error),
    }
}

/// `/`
pub(crate) async fn home(State(shared): State<Shared>) -> Response {
    let content = async {
        let status = shared.view.status().await?;
        let builds = shared.view.builds(0, 20).await?;
        Ok(("This node".to_owned(), home::content(&status, &builds)))
    };
    answer(content.await)
}

/// `/setup`
pub(crate) async fn setup(headers: HeaderMap) -> Response {
    // The guard has checked that this is one of the node's own names.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1:7888");
    page(StatusCode::OK, "Use this repository", setup::content(&format!("http://{host}/maven2/")))
}

#[derive(Deserialize)]
pub(crate) struct Gav {
    gav: String,
}

/// `/release?gav=G:A:V`
pub(crate) async fn release(State(shared): State<Shared>, gav: Result<Query<Gav>, QueryRejection>) -> Response {
    let content = async {
        let Query(Gav { gav }) = gav.map_err(|rejection| {
            ApiError::new(Problem::new("invalid", 400, "Which release?").detail(rejection.body_text()))
        })?;
        let coordinates = coordinates(gav.trim())?;
        let story = shared.view.inspect(&coordinates).await?;
        Ok((coordinates.to_string(), release::content(&story)))
    };
    answer(content.await)
}

/// `/builds/{id}`
pub(crate) async fn build(State(shared): State<Shared>, Path(id): Path<String>) -> Response {
    let content = async {
        let build = shared.view.build(&id).await?;
        let events = shared.view.build_events(&id, 0, std::time::Duration::ZERO).await?;
        Ok((build.coordinates.join(", "), build::content(&build, &events)))
    };
    answer(content.await)
}

/// `/style.css`
pub(crate) async fn style() -> Response {
    let mut response = STYLE.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/css; charset=utf-8"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    response
}
