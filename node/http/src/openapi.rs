//! `/api/v1/openapi.json`: the API as a document for programs, made from what stands beside the handlers.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use pyrsia_api_types::Problem;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, Ref, RefOr, ResponseBuilder, ResponsesBuilder};
use utoipa::{IntoResponses, Modify, OpenApi};

use crate::api::harden;
use crate::{api, openapi, policy};

/// The whole API.
#[derive(OpenApi)]
#[openapi(
    info(title = "pyrsia-maven", description = "The local API of a node. Everything else of a node is at /maven2/, /log/ and /."),
    paths(
        api::status,
        api::builds,
        api::submit_build,
        api::build,
        api::build_events,
        api::sign_build,
        api::inspect,
        api::files,
        api::log,
        api::receipt,
        api::provenance,
        api::network,
        api::peers,
        api::submit_namespace,
        api::approve_specification,
        api::approve_image,
        api::fetch_image,
        api::withdraw,
        api::block,
        policy::policy,
        policy::served,
        openapi::document
    ),
    components(schemas(Problem)),
    modifiers(&Token)
)]
pub(crate) struct Api;

/// Calls that change something show the node's token.
struct Token;

impl Modify for Token {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("keys/api.token")).build();
        api.components.get_or_insert_default().add_security_scheme("token", SecurityScheme::Http(scheme));
    }
}

/// This document.
#[utoipa::path(
    get,
    path = "/api/v1/openapi.json",
    tag = "node",
    responses((status = 200, description = "OpenAPI 3.1", body = serde_json::Value), Usual)
)]
pub(crate) async fn document() -> Response {
    static TEXT: OnceLock<String> = OnceLock::new();
    let text = TEXT.get_or_init(|| Api::openapi().to_json().unwrap_or_default());
    let mut response = text.as_str().into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    harden(&mut response);
    response
}

type Responses = BTreeMap<String, RefOr<utoipa::openapi::Response>>;

/// Problem documents, by status.
fn problems<const N: usize>(problems: [(u16, &str); N]) -> Responses {
    let content = || ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let responses = problems.into_iter().fold(ResponsesBuilder::new(), |responses, (status, text)| {
        let response = ResponseBuilder::new().description(text).content(Problem::MEDIA_TYPE, content());
        responses.response(status.to_string(), response.build())
    });
    responses.build().into()
}

/// What any question may be answered with.
pub(crate) struct Usual;

impl IntoResponses for Usual {
    fn responses() -> Responses {
        problems([
            (400, "No usable Host header, or a question that makes no sense"),
            (401, "The token, or a reader's name and token, is missing"),
            (403, "Another site's page asks"),
            (421, "The Host header names another server"),
            (500, "The node failed"),
            (503, "Not possible at present"),
        ])
    }
}

/// Of questions with parameters.
pub(crate) struct Asked;

impl IntoResponses for Asked {
    fn responses() -> Responses {
        problems([(400, "The question makes no sense as put")])
    }
}

/// Of questions about one thing.
pub(crate) struct Named;

impl IntoResponses for Named {
    fn responses() -> Responses {
        problems([(404, "There is no such thing")])
    }
}

/// Of calls that change something.
pub(crate) struct Called;

impl IntoResponses for Called {
    fn responses() -> Responses {
        problems([
            (408, "The body did not arrive in time"),
            (409, "The rules of the network refuse it"),
            (413, "The body is too large"),
            (415, "The body is not application/json"),
            (422, "The body is not the expected document"),
        ])
    }
}
