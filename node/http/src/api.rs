//! `/api/v1`: one short function for each route.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, Path, Query, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use maven_layout::Coordinates;
use pyrsia_api_types::{
    Accepted, BlockSubmission, Build, BuildAccepted, BuildEvents, BuildList, BuildSubmission, FileMatches,
    ImageApproval, ImageFetch, ImageFetched, Inspection, LogPage, NamespaceSubmission, PeerList, Problem,
    PublisherProof, SpecificationApproval, Status, WithdrawalSubmission,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::openapi::{Asked, Called, Named, Usual};
use crate::problem::{ApiError, NOSNIFF, SANDBOX, problem_response};
use crate::router::{BODY_TIME, LONGEST_WAIT, Shared};

/// An answer, or a problem.
pub(crate) type Answered = Result<Response, ApiError>;

pub(crate) fn json<T: serde::Serialize>(status: StatusCode, document: &T) -> Answered {
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

pub(crate) fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, ApiError> {
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

/// What the node is doing.
#[utoipa::path(
    get,
    path = "/api/v1/status",
    tag = "node",
    responses((status = 200, description = "The node", body = Status), Usual)
)]
pub(crate) async fn status(State(shared): State<Shared>) -> Answered {
    json(StatusCode::OK, &shared.view.status().await?)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Window {
    /// So many of the newest are left out.
    skip: Option<u64>,
    /// At most so many [default: 50; at most 500].
    max: Option<u64>,
}

/// Builds, the newest first.
#[utoipa::path(
    get,
    path = "/api/v1/builds",
    tag = "builds",
    params(Window),
    responses((status = 200, description = "The builds", body = BuildList), Asked, Usual)
)]
pub(crate) async fn builds(State(shared): State<Shared>, window: Result<Query<Window>, QueryRejection>) -> Answered {
    let window = query(window)?;
    let max = window.max.unwrap_or(50).min(500);
    json(StatusCode::OK, &shared.view.builds(window.skip.unwrap_or(0), max).await?)
}

/// One build.
#[utoipa::path(
    get,
    path = "/api/v1/builds/{id}",
    tag = "builds",
    params(("id" = String, Path, description = "The build's identifier")),
    responses((status = 200, description = "The build", body = Build), Asked, Named, Usual)
)]
pub(crate) async fn build(State(shared): State<Shared>, Path(id): Path<String>) -> Answered {
    json(StatusCode::OK, &shared.view.build(&id).await?)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct After {
    /// The last event that is known already.
    after: Option<u64>,
    /// Seconds to wait for an event [at most 60].
    wait: Option<u64>,
}

/// What happened to a build; waits for something to happen.
#[utoipa::path(
    get,
    path = "/api/v1/builds/{id}/events",
    tag = "builds",
    params(("id" = String, Path, description = "The build's identifier"), After),
    responses((status = 200, description = "Events", body = BuildEvents), Asked, Named, Usual)
)]
pub(crate) async fn build_events(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    after: Result<Query<After>, QueryRejection>,
) -> Answered {
    let after = query(after)?;
    json(StatusCode::OK, &shared.view.build_events(&id, after.after.unwrap_or(0), wait(after.wait)).await?)
}

/// The story of a release.
#[utoipa::path(
    get,
    path = "/api/v1/inspect/{gav}",
    tag = "ledger",
    params(("gav" = String, Path, description = "group:artifact:version")),
    responses((status = 200, description = "The story; a release that nobody asked about has one too", body = Inspection), Asked, Usual)
)]
pub(crate) async fn inspect(State(shared): State<Shared>, Path(gav): Path<String>) -> Answered {
    json(StatusCode::OK, &shared.view.inspect(&coordinates(&gav)?).await?)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Behind {
    /// What the last part said is `next` [default: from the beginning].
    after: Option<String>,
}

/// The files with a digest that verdicts name, a part of all verdicts at a time.
#[utoipa::path(
    get,
    path = "/api/v1/files/{sha256}",
    tag = "ledger",
    params(("sha256" = String, Path, description = "SHA-256 in hexadecimal"), Behind),
    responses((status = 200, description = "The files in this part, perhaps none", body = FileMatches), Asked, Usual)
)]
pub(crate) async fn files(
    State(shared): State<Shared>,
    Path(sha256): Path<String>,
    after: Result<Query<Behind>, QueryRejection>,
) -> Answered {
    let digest = sha256.parse().map_err(|error| invalid(format!("no SHA-256: {error}")))?;
    let after = query(after)?.after.map(|after| coordinates(&after)).transpose()?;
    json(StatusCode::OK, &shared.view.files(&digest, after.as_ref()).await?)
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Start {
    /// The first leaf.
    from: Option<u64>,
    /// At most so many [default: 100; at most 1000].
    max: Option<u64>,
    /// Seconds to wait for a leaf beyond the end [at most 60].
    wait: Option<u64>,
}

/// Leaves of the ledger; waits for one beyond the end.
#[utoipa::path(
    get,
    path = "/api/v1/log",
    tag = "ledger",
    params(Start),
    responses((status = 200, description = "Leaves", body = LogPage), Asked, Usual)
)]
pub(crate) async fn log(State(shared): State<Shared>, from: Result<Query<Start>, QueryRejection>) -> Answered {
    let from = query(from)?;
    let max = from.max.unwrap_or(100).clamp(1, 1000);
    json(StatusCode::OK, &shared.view.log(from.from.unwrap_or(0), max, wait(from.wait)).await?)
}

/// The receipt of a release, as text.
#[utoipa::path(
    get,
    path = "/api/v1/receipts/{gav}",
    tag = "ledger",
    params(("gav" = String, Path, description = "group:artifact:version")),
    responses((status = 200, description = "The receipt", body = String, content_type = "text/plain"), Asked, Named, Usual)
)]
pub(crate) async fn receipt(State(shared): State<Shared>, Path(gav): Path<String>) -> Answered {
    Ok(text(shared.view.receipt(&coordinates(&gav)?).await?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct By {
    /// Of this authority only, by its name or its key.
    authority: Option<String>,
}

/// The signed provenance of a release: a DSSE envelope with an in-toto statement, one in a line for each authority.
#[utoipa::path(
    get,
    path = "/api/v1/provenance/{gav}",
    tag = "ledger",
    params(("gav" = String, Path, description = "group:artifact:version"), By),
    responses((status = 200, description = "The envelopes, one in a line", body = String, content_type = "application/jsonl"), Asked, Named, Usual)
)]
pub(crate) async fn provenance(
    State(shared): State<Shared>,
    Path(gav): Path<String>,
    by: Result<Query<By>, QueryRejection>,
) -> Answered {
    let by = query(by)?;
    let mut response = text(shared.view.provenance(&coordinates(&gav)?, by.authority.as_deref()).await?);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
    Ok(response)
}

/// The network's document.
#[utoipa::path(
    get,
    path = "/api/v1/network",
    tag = "node",
    responses((status = 200, description = "The genesis of the network", body = serde_json::Value), Usual)
)]
pub(crate) async fn network(State(shared): State<Shared>) -> Answered {
    json(StatusCode::OK, &shared.view.network().await?)
}

/// Whom the node is connected to.
#[utoipa::path(
    get,
    path = "/api/v1/peers",
    tag = "node",
    responses((status = 200, description = "The peers", body = PeerList), Usual)
)]
pub(crate) async fn peers(State(shared): State<Shared>) -> Answered {
    json(StatusCode::OK, &shared.view.peers().await?)
}

/// Asks the network to rebuild releases.
#[utoipa::path(
    post,
    path = "/api/v1/builds",
    tag = "builds",
    request_body = BuildSubmission,
    security(("token" = [])),
    responses((status = 202, description = "Taken", body = BuildAccepted), Called, Usual)
)]
pub(crate) async fn submit_build(State(shared): State<Shared>, Body(submission): Body<BuildSubmission>) -> Answered {
    if submission.coordinates.is_empty() {
        return Err(invalid("`coordinates` is empty: name at least one release."));
    }
    for gav in &submission.coordinates {
        coordinates(gav)?;
    }
    json(StatusCode::ACCEPTED, &shared.control.submit_build(submission).await?)
}

/// The publisher's signature over a request that waits for it.
#[utoipa::path(
    post,
    path = "/api/v1/builds/{id}/signature",
    tag = "builds",
    params(("id" = String, Path, description = "The build's identifier")),
    request_body = PublisherProof,
    security(("token" = [])),
    responses((status = 202, description = "Taken", body = Accepted), Called, Named, Usual)
)]
pub(crate) async fn sign_build(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    Body(proof): Body<PublisherProof>,
) -> Answered {
    json(StatusCode::ACCEPTED, &shared.control.sign_build(&id, proof).await?)
}

/// Approves a specification that is not a structured one.
#[utoipa::path(
    post,
    path = "/api/v1/specifications/approve",
    tag = "governance",
    request_body = SpecificationApproval,
    security(("token" = [])),
    responses((status = 202, description = "Taken", body = Accepted), Called, Usual)
)]
pub(crate) async fn approve_specification(
    State(shared): State<Shared>,
    Body(approval): Body<SpecificationApproval>,
) -> Answered {
    json(StatusCode::ACCEPTED, &shared.control.approve_specification(approval).await?)
}

/// Proposes a namespace, or approves the same proposal.
#[utoipa::path(
    post,
    path = "/api/v1/namespaces",
    tag = "governance",
    request_body = NamespaceSubmission,
    security(("token" = [])),
    responses((status = 202, description = "Taken", body = Accepted), Called, Usual)
)]
pub(crate) async fn submit_namespace(
    State(shared): State<Shared>,
    Body(submission): Body<NamespaceSubmission>,
) -> Answered {
    json(StatusCode::ACCEPTED, &shared.control.submit_namespace(submission).await?)
}

/// Approves a builder image.
#[utoipa::path(
    post,
    path = "/api/v1/images/approve",
    tag = "governance",
    request_body = ImageApproval,
    security(("token" = [])),
    responses((status = 202, description = "Taken", body = Accepted), Called, Usual)
)]
pub(crate) async fn approve_image(State(shared): State<Shared>, Body(approval): Body<ImageApproval>) -> Answered {
    json(StatusCode::ACCEPTED, &shared.control.approve_image(approval).await?)
}

/// Gets a builder image from peers.
#[utoipa::path(
    post,
    path = "/api/v1/images/fetch",
    tag = "builds",
    request_body = ImageFetch,
    security(("token" = [])),
    responses((status = 200, description = "Whether it is here by now", body = ImageFetched), Called, Usual)
)]
pub(crate) async fn fetch_image(State(shared): State<Shared>, Body(wanted): Body<ImageFetch>) -> Answered {
    json(StatusCode::OK, &shared.control.fetch_image(wanted).await?)
}

/// Withdraws the verdict of a release.
#[utoipa::path(
    post,
    path = "/api/v1/withdrawals",
    tag = "governance",
    request_body = WithdrawalSubmission,
    security(("token" = [])),
    responses((status = 202, description = "Taken", body = Accepted), Called, Usual)
)]
pub(crate) async fn withdraw(State(shared): State<Shared>, Body(submission): Body<WithdrawalSubmission>) -> Answered {
    coordinates(&submission.coordinates)?;
    json(StatusCode::ACCEPTED, &shared.control.withdraw(submission).await?)
}

/// Blocks a release, or lifts a block.
#[utoipa::path(
    post,
    path = "/api/v1/blocks",
    tag = "governance",
    request_body = BlockSubmission,
    security(("token" = [])),
    responses((status = 202, description = "Taken", body = Accepted), Called, Usual)
)]
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
