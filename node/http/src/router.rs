//! The table of routes.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::HttpBody;
use axum::extract::DefaultBodyLimit;
use axum::http::{Response, header};
use axum::routing::{any, get, post};
use pyrsia_repository::Files;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;

use crate::hosted::HostedRepository;
use crate::hot::HotAnswers;
use crate::served::Served;
use crate::view::{NodeControl, NodeView};
use crate::{api, log, maven, openapi, pages, policy, solr};

/// Largest body of a request, in bytes.
pub(crate) const BODY_LIMIT: usize = 256 * 1024;
/// Longest time for a request's body to arrive.
pub(crate) const BODY_TIME: Duration = Duration::from_secs(30);
/// Longest `wait` that is honoured.
pub(crate) const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// What the face is made of.
pub struct App {
    /// The Maven repository.
    pub files: Arc<dyn Files>,
    /// Questions.
    pub view: Arc<dyn NodeView>,
    /// Calls that change something.
    pub control: Arc<dyn NodeControl>,
    /// Private repositories.
    pub hosted: Vec<HostedRepository>,
    /// Is told what was handed out.
    pub served: Arc<dyn Served>,
}

#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) hot: Arc<HotAnswers>,
    pub(crate) view: Arc<dyn NodeView>,
    pub(crate) control: Arc<dyn NodeControl>,
}

/// What is compressed for clients that ask for it: pages and documents of more than a packet.
///
/// Never a file of the repository: JARs are compressed already, ranges and strong ETags are those of the bytes, and clients
/// compare what arrives with checksums.
#[derive(Clone, Copy)]
struct Texts;

/// Below this compressing is more work than sending, in bytes.
const PACKET: u64 = 1024;

impl Predicate for Texts {
    fn should_compress<B: HttpBody>(&self, response: &Response<B>) -> bool {
        let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_text = kind.starts_with("text/")
            || kind.split(';').next().is_some_and(|kind| kind.ends_with("json") || kind.ends_with("/xml"));
        is_text && response.body().size_hint().lower() > PACKET && !response.headers().contains_key(header::ETAG)
    }
}

/// All routes; the guards come before them.
pub(crate) fn routes(hot: Arc<HotAnswers>, view: Arc<dyn NodeView>, control: Arc<dyn NodeControl>) -> Router {
    let texts = Router::new()
        .route("/api/v1/status", get(api::status))
        .route("/api/v1/builds", get(api::builds).post(api::submit_build))
        .route("/api/v1/builds/{id}", get(api::build))
        .route("/api/v1/builds/{id}/events", get(api::build_events))
        .route("/api/v1/inspect/{gav}", get(api::inspect))
        .route("/api/v1/files/{sha256}", get(api::files))
        .route("/api/v1/log", get(api::log))
        .route("/api/v1/receipts/{gav}", get(api::receipt))
        .route("/api/v1/provenance/{gav}", get(api::provenance))
        .route("/api/v1/network", get(api::network))
        .route("/api/v1/peers", get(api::peers))
        .route("/api/v1/policy/{gav}", get(policy::policy))
        .route("/api/v1/served", get(policy::served))
        .route("/api/v1/openapi.json", get(openapi::document))
        .route("/api/v1/namespaces", post(api::submit_namespace))
        .route("/api/v1/builds/{id}/signature", post(api::sign_build))
        .route("/api/v1/specifications/approve", post(api::approve_specification))
        .route("/api/v1/images/approve", post(api::approve_image))
        .route("/api/v1/images/fetch", post(api::fetch_image))
        .route("/api/v1/withdrawals", post(api::withdraw))
        .route("/api/v1/blocks", post(api::block))
        .route("/solrsearch/select", get(solr::select))
        .route("/log/checkpoint", get(log::checkpoint))
        .route("/log/tile/{*tile}", get(log::tile))
        .route("/", get(pages::home))
        .route("/setup", get(pages::setup))
        .route("/release", get(pages::release))
        .route("/builds/{id}", get(pages::build))
        .route("/style.css", get(pages::style))
        .layer(CompressionLayer::new().compress_when(Texts));
    Router::new()
        .route("/maven2", any(maven::root))
        .route("/maven2/", any(maven::root))
        .route("/maven2/{*path}", any(maven::file))
        .merge(texts)
        .fallback(api::no_such_page)
        .method_not_allowed_fallback(api::wrong_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .with_state(Shared { hot, view, control })
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    #[test]
    fn texts_of_more_than_a_packet_are_compressed_and_files_are_not() {
        for (kind, size, is) in [
            ("text/html; charset=utf-8", 2_000, true),
            ("application/json", 2_000, true),
            ("application/problem+json", 2_000, true),
            ("application/xml; charset=UTF-8", 2_000, true),
            ("application/xml; charset=UTF-8", 1_000, false),
            ("application/octet-stream", 2_000, false),
        ] {
            let mut response = Response::new(Body::from(vec![b'x'; size]));
            response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
            assert_eq!(Texts.should_compress(&response), is, "{kind} {size}");
            response.headers_mut().insert(header::ETAG, header::HeaderValue::from_static("\"x\""));
            assert!(!Texts.should_compress(&response), "{kind} {size}");
        }
    }
}
