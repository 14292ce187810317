//! What a listener leads to.

use std::future::Future;

use axum::http::Request;
use axum::response::Response;
use hyper::body::Incoming;

use crate::door::Door;

/// Answers the requests of a listener.
pub trait Entrance: Send + Sync + 'static {
    /// The answer to a request.
    fn answer(&self, request: Request<Incoming>) -> impl Future<Output = Response> + Send;
}

impl Entrance for Door {
    async fn answer(&self, request: Request<Incoming>) -> Response {
        Door::answer(self, request).await
    }
}
