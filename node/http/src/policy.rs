//! `/api/v1/policy` and `/api/v1/served`: what a policy would do, and what was done.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use maven_layout::{FileName, RepoPath};
use pyrsia_api_types::{ReleasePolicy, ServedReport};
use pyrsia_repository::Policy;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::api::{Answered, coordinates, invalid, json, query};
use crate::openapi::{Asked, Usual};
use crate::problem::ApiError;
use crate::router::Shared;
use crate::served::is_counted;

/// Further files of a release that are asked about at a time.
const MAX_FILES: usize = 100;
/// Lines of the report of what was served.
const MAX_LINES: usize = 10_000;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Question {
    /// Decide under this policy instead: `verified`, `prefer-verified` or `mirror`.
    policy: Option<String>,
    /// With `policy=verified`: whether `equivalent` files are served too.
    allow_equivalent: Option<bool>,
    /// Further files of the release, their names separated by commas [at most 100].
    files: Option<String>,
}

/// What would become of a release's files. Nothing is fetched.
#[utoipa::path(
    get,
    path = "/api/v1/policy/{gav}",
    tag = "repository",
    params(("gav" = String, Path, description = "group:artifact:version"), Question),
    responses((status = 200, description = "Each file with what would become of it", body = ReleasePolicy), Asked, Usual)
)]
pub(crate) async fn policy(
    State(shared): State<Shared>,
    Path(gav): Path<String>,
    question: Result<Query<Question>, QueryRejection>,
) -> Answered {
    let coordinates = coordinates(&gav)?;
    let question = query(question)?;
    let instead = question.policy.as_deref().map(|name| named(name, question.allow_equivalent)).transpose()?;
    let files = question.files.iter().flat_map(|names| names.split(',')).filter(|name| !name.is_empty());
    let files: Vec<FileName> = files
        .take(MAX_FILES + 1)
        .map(|name| {
            let file: FileName = name.parse().map_err(|error| invalid(format!("no file name: {error}")))?;
            let path = format!("{}/{file}", coordinates.dir()).parse::<RepoPath>();
            match path.is_ok_and(|path| is_counted(&path)) {
                true => Ok(file),
                false => Err(invalid(format!("{coordinates} has no file of the name {file}"))),
            }
        })
        .collect::<Result<_, ApiError>>()?;
    if files.len() > MAX_FILES {
        return Err(invalid(format!("more than {MAX_FILES} files")));
    }
    json(StatusCode::OK, &shared.view.policy(&coordinates, &files, instead).await?)
}

fn named(name: &str, allow_equivalent: Option<bool>) -> Result<Policy, ApiError> {
    match name {
        "verified" => Ok(Policy::Verified { allow_equivalent: allow_equivalent.unwrap_or(false) }),
        "prefer-verified" => Ok(Policy::PreferVerified),
        "mirror" => Ok(Policy::Mirror),
        _ => Err(invalid("`policy` is none of verified, prefer-verified, mirror")),
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Since {
    /// Count from the beginning of the day of this time on, in seconds since 1970 (UTC).
    since: Option<u64>,
    /// At most so many lines for releases [default: 1000; at most 10000].
    max: Option<usize>,
}

/// What was served under which provenance, and what was withheld and why.
#[utoipa::path(
    get,
    path = "/api/v1/served",
    tag = "repository",
    params(Since),
    responses((status = 200, description = "Counts by provenance, by reason and by release", body = ServedReport), Asked, Usual)
)]
pub(crate) async fn served(State(shared): State<Shared>, since: Result<Query<Since>, QueryRejection>) -> Answered {
    let since = query(since)?;
    shared.hot.tell();
    json(StatusCode::OK, &shared.view.served(since.since, since.max.unwrap_or(1000).min(MAX_LINES)).await?)
}
