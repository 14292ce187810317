//! The way in: the guards, then what is ready, then the routes.

use std::sync::Arc;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Request;
use axum::response::{IntoResponse as _, Response};
use axum::{BoxError, Router};
use tower::ServiceExt as _;

use crate::guard::{self, GuardConfig};
use crate::hosted::HostedFace;
use crate::hot::HotAnswers;
use crate::router::{App, routes};

/// The whole face of a node. Clones share it.
#[derive(Clone)]
pub struct Door {
    guard: Arc<GuardConfig>,
    hot: Arc<HotAnswers>,
    hosted: Arc<HostedFace>,
    routes: Router,
}

impl Door {
    /// The face of a node, behind these guards.
    pub fn new(app: App, guard: GuardConfig) -> Self {
        let hot = Arc::new(HotAnswers::new(app.files, app.served));
        let routes = routes(Arc::clone(&hot), app.view, app.control);
        Self { guard: Arc::new(guard), hot, hosted: Arc::new(HostedFace::new(app.hosted)), routes }
    }

    /// The same face behind other guards.
    pub fn behind(&self, guard: GuardConfig) -> Self {
        Self { guard: Arc::new(guard), ..self.clone() }
    }

    /// Tells [`Served`](crate::Served) what was handed out up to now, and not yet told.
    pub fn tell(&self) {
        self.hot.tell();
    }

    /// The answer to a request.
    pub(crate) async fn answer<B>(&self, request: Request<B>) -> Response
    where
        B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let (method, uri, headers) = (request.method(), request.uri(), request.headers());
        if HostedFace::is_below(uri.path()) {
            // Hosted repositories have credentials of their own, and look at them.
            return match guard::check_origin(method, uri, headers, &self.guard) {
                Ok(()) => self.hosted.answer(request.map(Body::new), &self.guard).await,
                Err(refusal) => guard::refused(refusal, request.map(Body::new)).await,
            };
        }
        if let Err(refusal) = guard::check(method, uri, headers, &self.guard) {
            return guard::refused(refusal, request.map(Body::new)).await;
        }
        // Most requests end here, so nothing that only routes need is made before.
        if let Some(ready) = self.hot.answer(method, uri.path(), headers) {
            return ready;
        }
        self.routes.clone().oneshot(request.map(Body::new)).await.into_response()
    }
}
