//! `/solrsearch/select`: a search as [Maven Central's service](https://central.sonatype.org/search/rest-api-guide/) answers
//! it, so that its clients (IDEs, scanners that know a file by its SHA-1) can ask this node instead.
//!
//! What is found is what this node has or its ledger names, not what upstream has.

mod query;
mod xml;

use std::time::Instant;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::header;
use axum::response::IntoResponse as _;
use maven_layout::Coordinates;
use pyrsia_api_types::Problem;
use serde::{Deserialize, Serialize};

use crate::api::{Answered, harden, invalid};
use crate::problem::ApiError;
use crate::router::Shared;
use crate::view::ViewError;

pub use query::{ClassQuery, QueryError, SearchQuery};

/// Results of one answer: as many as the service gives.
const ROWS: u64 = 200;
const USUAL_ROWS: u64 = 20;

/// A part of what a search has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SearchPage {
    /// How many there are; of a thousand or more, at least so many.
    pub total: u64,
    /// The part that was asked for.
    pub found: Vec<FoundRelease>,
}

/// A release, or the newest of an artifact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRelease {
    /// The release.
    pub coordinates: Coordinates,
    /// How many versions of the artifact there are.
    pub versions: u64,
    /// The extension of the main file, `pom` without one.
    pub packaging: String,
    /// When it was first seen, seconds since 1970.
    pub first_seen: u64,
    /// What follows the version in the names of its files: `.jar`, `-sources.jar`.
    pub files: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct Asked {
    q: Option<String>,
    core: Option<String>,
    rows: Option<u64>,
    start: Option<u64>,
    wt: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    response_header: Header,
    response: Response,
    spellcheck: Spelling,
}

#[derive(Serialize)]
struct Header {
    status: u8,
    #[serde(rename = "QTime")]
    milliseconds: u64,
    params: Params,
}

#[derive(Serialize)]
struct Params {
    q: String,
    core: String,
    rows: String,
    start: String,
    wt: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    num_found: u64,
    start: u64,
    docs: Vec<Document>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    id: String,
    g: String,
    a: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    v: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    latest_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repository_id: Option<&'static str>,
    p: String,
    timestamp: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    version_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Vec<String>>,
    ec: Vec<String>,
}

#[derive(Serialize)]
struct Spelling {
    suggestions: [u8; 0],
}

pub(crate) async fn select(State(shared): State<Shared>, asked: Result<Query<Asked>, QueryRejection>) -> Answered {
    let begun = Instant::now();
    let Query(asked) = asked.map_err(|rejection| invalid(rejection.body_text()))?;
    let form = match asked.wt.as_deref() {
        None | Some("json") => "json",
        Some("xml") => "xml",
        Some(_) => {
            let problem = Problem::new("invalid", 400, "Searches are answered in JSON and in XML.");
            return Err(ApiError::new(problem.next("Ask with wt=json or wt=xml.")));
        }
    };
    let text = asked.q.unwrap_or_default();
    let query: SearchQuery = text.parse().map_err(|error: QueryError| {
        let problem = Problem::new("invalid", 400, "The search is not understood.").detail(error.to_string());
        ApiError::new(problem.next("Write it as q=g:org.acme AND a:lib, with core=gav for all versions."))
    })?;
    // Who knows a file or a class wants to know the releases that have it.
    let by_release = asked.core.as_deref() == Some("gav") || query.sha1.is_some() || query.class.is_some();
    let (start, rows) = (asked.start.unwrap_or(0), asked.rows.unwrap_or(USUAL_ROWS).min(ROWS));
    let page = shared.view.search(&query, by_release, start, rows).await?;
    let params = Params {
        q: text,
        core: asked.core.unwrap_or_default(),
        rows: rows.to_string(),
        start: start.to_string(),
        wt: form,
        version: "2.2",
    };
    let docs = page.found.into_iter().map(|found| document(found, by_release)).collect();
    let answer = Answer {
        response_header: Header {
            status: 0,
            milliseconds: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
            params,
        },
        response: Response { num_found: page.total, start, docs },
        spellcheck: Spelling { suggestions: [] },
    };
    let mut response = if form == "xml" {
        let text = xml::write(&answer).map_err(|error| ViewError::Internal { detail: error.to_string() })?;
        ([(header::CONTENT_TYPE, "application/xml; charset=UTF-8")], text).into_response()
    } else {
        Json(answer).into_response()
    };
    harden(&mut response);
    Ok(response)
}

fn document(found: FoundRelease, by_release: bool) -> Document {
    let FoundRelease { coordinates, versions, packaging, first_seen, files } = found;
    let Coordinates { group, artifact, version } = &coordinates;
    let of_artifact = format!("{group}:{artifact}");
    Document {
        id: if by_release { coordinates.to_string() } else { of_artifact },
        g: group.to_string(),
        a: artifact.to_string(),
        v: by_release.then(|| version.to_string()),
        latest_version: (!by_release).then(|| version.to_string()),
        repository_id: (!by_release).then_some("central"),
        p: packaging,
        timestamp: first_seen.saturating_mul(1_000),
        version_count: (!by_release).then_some(versions),
        text: (!by_release)
            .then(|| [group.to_string(), artifact.to_string()].into_iter().chain(files.clone()).collect()),
        ec: files,
    }
}
