//! `/api/v1`: one short function for each route.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use maven_layout::Coordinates;
use pyrsia_api_types::{
    BlockSubmission, BuildSubmission, ImageApproval, ImageFetch, NamespaceSubmission, Problem, PublisherProof,
    SpecificationApproval, WithdrawalSubmission,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::problem::{ApiError, NOSNIFF, SANDBOX, problem_response};
use crate::router::{BODY_TIME, LONGEST_WAIT, Shared};

/// An answer, or a problem.
pub(crate) type Answered = Result<Response, ApiError>;

fn json<T: serde::Serialize>(status: StatusCode, document: &T) -> Answered {
    let mut response = (status, Json(document)).into_response();
    harden(&mut response);
    Ok(response)
}

pub(crate) fn text(body: String) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    harden(&mut response);
    response
}

pub(crate) fn harden(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::CONTENT_SECURITY_POLICY, SANDBOX);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, NOSNIFF);
}

pub(crate) fn invalid(detail: impl Into<String>) -> ApiError {
    ApiError::new(Problem::new("invalid", 400, "The request makes no sense.").detail(detail))
}

pub(crate) fn coordinates(text: &str) -> Result<Coordinates, ApiError> {
    text.parse().map_err(|error| {
        let shown: String = text.chars().take(200).collect();
        let problem = invalid(format!("{shown:?} is not group:artifact:version: {error}")).into_problem();
        ApiError::new(problem.next("Write it as org.acme:lib:1.0."))
    })
}

fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
    query.map(|Query(query)| query).map_err(|rejection| invalid(rejection.body_text()))
}

fn wait(seconds: Option<u64>) -> Duration {
    Duration::from_secs(seconds.unwrap_or(0)).min(LONGEST_WAIT)
}

/// A JSON body: of the right media type (a form of another site cannot send it), not too long, and in time.
pub(crate) struct Body<T>(T);

impl<T: DeserializeOwned> FromRequest<Shared> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &Shared) -> Result<Self, ApiError> {
        match tokio::time::timeout(BODY_TIME, Json::<T>::from_request(request, state)).await {
            Ok(Ok(Json(document))) => Ok(Self(document)),
            Ok(Err(rejection)) => Err(body_problem(&rejection)),
            Err(_) => Err(ApiError::new(Problem::new("timeout", 408, "The request's body did not arrive in time."))),
        }
    }
}

fn body_problem(rejection: &JsonRejection) -> ApiError {
    let status = rejection.status().as_u16();
    ApiError::new(
        Problem::new("invalid", status, "The body is not the expected document.").detail(rejection.body_text()),
    )
}

pub(crate) async fn status(State(shared): State<Shared>) -> Answered {
    json(StatusCode::OK, &shared.view.status().await?)
}

#[derive(Deserialize)]
pub(crate) struct Window {
    skip: Option<u64>,
    max: Option<u64>,
}

pub(crate) async fn builds(State(shared): State<Shared>, window: Result<Query<Window>, QueryRejection>) -> Answered {
    let window = query(window)?;
    let max = window.max.unwrap_or(50).min(500);
    json(StatusCode::OK, &shared.view.builds(window.skip.unwrap_or(0), max).await?)
}

pub(crate) async fn build(State(shared): State<Shared>, Path(id): Path<String>) -> Answered {
    json(StatusCode::OK, &shared.view.build(&id).await?)
}

#[derive(Deserialize)]
pub(crate) struct After {
    after: Option<u64>,
    wait: Option<u64>,
}

pub(crate) async fn build_events(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    after: Result<Query<After>, QueryRejection>,
) -> Answered {
    let after = query(after)?;
    json(StatusCode::OK, &shared.view.build_events(&id, after.after.unwrap_or(0), wait(after.wait)).await?)
}

pub(crate) async fn inspect(State(shared): State<Shared>, Path(gav): Path<String>) -> Answered {
    json(StatusCode::OK, &shared.view.inspect(&coordinates(&gav)?).await?)
}

pub(crate) async fn files(State(shared): State<Shared>, Path(sha256): Path<String>) -> Answered {
    let digest = sha256.parse().map_err(|error| invalid(format!("no SHA-256: {error}")))?;
    json(StatusCode::OK, &shared.view.files(&digest).await?)
}

#[derive(Deserialize)]
pub(crate) struct Start {
    from: Option<u64>,
    max: Option<u64>,
    wait: Option<u64>,
}

pub(crate) async fn log(State(shared): State<Shared>, from: Result<Query<Start>, QueryRejection>) -> Answered {
    let from = query(from)?;
    let max = from.max.unwrap_or(100).clamp(1, 1000);
    json(StatusCode::OK, &shared.view.log(from.from.unwrap_or(0), max, wait(from.wait)).await?)
}

pub(crate) async fn receipt(State(shared): State<Shared>, Path(gav): Path<String>) -> Answered {
    Ok(text(shared.view.receipt(&coordinates(&gav)?).await?))
}

pub(crate) async fn network(State(shared): State<Shared>) -> Answered {
    json(StatusCode::OK, &shared.view.network().await?)
}

pub(crate) async fn peers(State(shared): State<Shared>) -> Answered {
    json(StatusCode::OK, &shared.view.peers().await?)
}

pub(crate) async fn submit_build(State(shared): State<Shared>, Body(submission): Body<BuildSubmission>) -> Answered {
    if submission.coordinates.is_empty() {
        return Err(invalid("`coordinates` is empty: name at least one release."));
    }
    for gav in &submission.coordinates {
        coordinates(gav)?;
    }
    json(StatusCode::ACCEPTED, &shared.control.submit_build(submission).await?)
}

pub(crate) async fn sign_build(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Body(proof): Body<PublisherProof>,
) -> Answered {
    json(StatusCode::ACCEPTED, &shared.control.sign_build(&id, proof).await?)
}

pub(crate) async fn approve_specification(
    State(shared): State<Shared>,
    Body(approval): Body<SpecificationApproval>,
) -> Answered {
    json(StatusCode::ACCEPTED, &shared.control.approve_specification(approval).await?)
}

pub(crate) async fn submit_namespace(
    State(shared): State<Shared>,
    Body(submission): Body<NamespaceSubmission>,
) -> Answered {
    json(StatusCode::ACCEPTED, &shared.control.submit_namespace(submission).await?)
}

pub(crate) async fn approve_image(State(shared): State<Shared>, Body(approval): Body<ImageApproval>) -> Answered {
    json(StatusCode::ACCEPTED, &shared.control.approve_image(approval).await?)
}

pub(crate) async fn fetch_image(State(shared): State<Shared>, Body(wanted): Body<ImageFetch>) -> Answered {
    json(StatusCode::OK, &shared.control.fetch_image(wanted).await?)
}

pub(crate) async fn withdraw(State(shared): State<Shared>, Body(submission): Body<WithdrawalSubmission>) -> Answered {
    coordinates(&submission.coordinates)?;
    json(StatusCode::ACCEPTED, &shared.control.withdraw(submission).await?)
}

pub(crate) async fn block(State(shared): State<Shared>, Body(submission): Body<BlockSubmission>) -> Answered {
    coordinates(&submission.coordinates)?;
    json(StatusCode::ACCEPTED, &shared.control.block(submission).await?)
}

pub(crate) async fn no_such_page(method: Method) -> Response {
    let problem = Problem::new("not-found", 404, "There is nothing at this address.")
        .next("The repository is at /maven2/, the API at /api/v1/, pages at /.");
    problem_response(&problem, method == Method::HEAD)
}

pub(crate) async fn wrong_method(method: Method, uri: Uri) -> Response {
    let problem = Problem::new("method-not-allowed", 405, "This address does not take that method.")
        .detail(format!("{method} {}", uri.path()));
    problem_response(&problem, method == Method::HEAD)
}
