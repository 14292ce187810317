//! A small HTTP server on a free port of 127.0.0.1 whose answers a test writes down beforehand.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::time::Sleep;

/// One answer.
#[derive(Clone)]
pub(crate) struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Kind,
    wait: Duration,
}

#[derive(Clone)]
enum Kind {
    Whole(Bytes),
    /// So many bytes are announced, but the connection ends after these.
    CutOff(Bytes, u64),
    /// These, and then silence for ever.
    Stalled(Bytes),
    /// Pieces without end.
    Endless,
}

impl Reply {
    pub(crate) fn ok(body: impl Into<Bytes>) -> Self {
        Self { status: 200, headers: Vec::new(), body: Kind::Whole(body.into()), wait: Duration::ZERO }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::ok("an explanation that is no file") }
    }

    pub(crate) fn cut_off(body: &'static [u8], announced: u64) -> Self {
        Self { body: Kind::CutOff(Bytes::from_static(body), announced), ..Self::ok("") }
    }

    pub(crate) fn stalled(body: &'static [u8]) -> Self {
        Self { body: Kind::Stalled(Bytes::from_static(body)), ..Self::ok("") }
    }

    pub(crate) fn endless() -> Self {
        Self { body: Kind::Endless, ..Self::ok("") }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn after(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

#[derive(Default)]
struct State {
    /// Answers by path, used up from the front; the last one stays.
    replies: HashMap<String, Vec<Reply>>,
    requests: Vec<(String, Instant, Option<String>)>,
    under_way: usize,
    most_under_way: usize,
}

/// The server; it stops with the test's runtime.
pub(crate) struct TestServer {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/repo", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                let service = service_fn(move |request| answer(Arc::clone(&state), request));
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        Self { url, state }
    }

    /// Answers of a path below `/repo/`; without any it is 404.
    pub(crate) fn on(&self, path: &str, replies: impl IntoIterator<Item = Reply>) {
        self.state.lock().unwrap().replies.insert(format!("/repo/{path}"), replies.into_iter().collect());
    }

    /// The paths below `/repo/` that were asked for, in order.
    pub(crate) fn requests(&self) -> Vec<String> {
        let strip = |path: &String| path.strip_prefix("/repo/").unwrap_or(path).to_owned();
        self.state.lock().unwrap().requests.iter().map(|(path, ..)| strip(path)).collect()
    }

    pub(crate) fn count(&self, path: &str) -> usize {
        self.requests().iter().filter(|p| *p == path).count()
    }

    /// When each request for a path came.
    pub(crate) fn times(&self, path: &str) -> Vec<Instant> {
        let path = format!("/repo/{path}");
        self.state.lock().unwrap().requests.iter().filter(|(p, ..)| *p == path).map(|(_, at, _)| *at).collect()
    }

    /// The Authorization headers that came.
    pub(crate) fn authorizations(&self) -> Vec<Option<String>> {
        self.state.lock().unwrap().requests.iter().map(|(.., authorization)| authorization.clone()).collect()
    }

    /// Most requests that were being answered at the same time.
    pub(crate) fn most_under_way(&self) -> usize {
        self.state.lock().unwrap().most_under_way
    }
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, std::io::Error>>, Infallible> {
    let path = request.uri().path().to_owned();
    let reply = {
        let mut state = state.lock().unwrap();
        let authorization = request.headers().get("authorization").map(|v| v.to_str().unwrap().to_owned());
        state.requests.push((path.clone(), Instant::now(), authorization));
        state.under_way += 1;
        state.most_under_way = state.most_under_way.max(state.under_way);
        match state.replies.get_mut(&path) {
            None => Reply::status(404),
            Some(replies) if replies.len() > 1 => replies.remove(0),
            Some(replies) => replies[0].clone(),
        }
    };
    tokio::time::sleep(reply.wait).await;
    state.lock().unwrap().under_way -= 1;
    let mut response = Response::builder().status(reply.status);
    for (name, value) in &reply.headers {
        response = response.header(*name, value);
    }
    let body = match reply.body {
        Kind::Whole(bytes) => Full::new(bytes).map_err(|never| match never {}).boxed(),
        Kind::CutOff(bytes, announced) => {
            response = response.header("content-length", announced);
            Pieces { first: Some(bytes), then: Then::Break(sleeping(20)) }.boxed()
        }
        Kind::Stalled(bytes) => Pieces { first: Some(bytes), then: Then::Silence(sleeping(3_600_000)) }.boxed(),
        Kind::Endless => Pieces { first: None, then: Then::More }.boxed(),
    };
    Ok(response.body(body).unwrap())
}

struct Pieces {
    first: Option<Bytes>,
    then: Then,
}

enum Then {
    /// Breaks off after a moment, when the first piece is on its way.
    Break(Pin<Box<Sleep>>),
    Silence(Pin<Box<Sleep>>),
    More,
}

fn sleeping(ms: u64) -> Pin<Box<Sleep>> {
    Box::pin(tokio::time::sleep(Duration::from_millis(ms)))
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        match &mut self.then {
            Then::Break(moment) => moment
                .as_mut()
                .poll(context)
                .map(|()| Some(Err(std::io::Error::other("the server breaks off on purpose")))),
            Then::Silence(sleep) => sleep.as_mut().poll(context).map(|()| None),
            Then::More => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&[7; 16 * 1024]))))),
        }
    }
}
