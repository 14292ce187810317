//! The HTTP side: accept, parse, answer, remember the first thing that ends the build.

use std::convert::Infallible;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use build_spec::BuildError;
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{ALLOW, CONTENT_LENGTH};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use maven_layout::RepoPath;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::io::ReaderStream;

use crate::far_end::answers::{self, Answers, Reply};

/// Connections at one time; more wait in the socket's queue.
const MAX_CONNECTIONS: usize = 64;

type Body = BoxBody<Bytes, io::Error>;

/// The server of one build; dropping it closes the socket and every connection.
pub(crate) struct FarEnd {
    task: JoinHandle<()>,
    stopped: watch::Receiver<Option<BuildError>>,
}

impl Drop for FarEnd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl FarEnd {
    /// Listens on a socket that any account may connect to: who may reach it is decided by the folder that it lies
    /// in, and in the sandbox by the mount.
    pub(crate) fn start(socket: &Path, answers: Arc<dyn Answers>) -> io::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o666))?;
        let (stop, stopped) = watch::channel(None);
        let task = tokio::spawn(accept(listener, answers, stop));
        Ok(Self { task, stopped })
    }

    /// Waits for something that ends the build; never returns if nothing does.
    pub(crate) async fn stopped(&self) -> BuildError {
        let mut stopped = self.stopped.clone();
        loop {
            if let Some(error) = self.reason() {
                return error;
            }
            if stopped.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// What has ended the build so far.
    pub(crate) fn reason(&self) -> Option<BuildError> {
        self.stopped.borrow().clone()
    }
}

async fn accept(listener: UnixListener, answers: Arc<dyn Answers>, stop: watch::Sender<Option<BuildError>>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // The semaphore lives as long as this loop, so it is never closed.
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        while connections.try_join_next().is_some() {}
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(error = %error, "a connection of a build was not accepted");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                continue;
            }
        };
        let (answers, stop) = (Arc::clone(&answers), stop.clone());
        connections.spawn(async move {
            serve(stream, answers, stop).await;
            drop(slot);
        });
    }
}

async fn serve(stream: UnixStream, answers: Arc<dyn Answers>, stop: watch::Sender<Option<BuildError>>) {
    let service = hyper::service::service_fn(|request| {
        let (answers, stop) = (Arc::clone(&answers), stop.clone());
        async move { Ok::<_, Infallible>(respond(request, answers.as_ref(), &stop).await) }
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.keep_alive(true).half_close(true).writev(true).max_headers(64);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        // The forwarder cuts connections when the build ends; that is no event of its own.
        tracing::debug!(error = %error, "a connection of a build ended early");
    }
}

async fn respond(
    request: Request<Incoming>,
    answers: &dyn Answers,
    stop: &watch::Sender<Option<BuildError>>,
) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut response = status(StatusCode::METHOD_NOT_ALLOWED);
        response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let wanted = request.uri().path().trim_start_matches('/');
    // No repository lists its folders here, nor what it has at all: who looks for versions in this way finds none, and the
    // list of prefixes, which only saves clients requests, is another one every day.
    if wanted.is_empty() || wanted.ends_with('/') || wanted == maven_layout::prefixes::PATH {
        return status(StatusCode::NOT_FOUND);
    }
    let Ok(path) = RepoPath::from_url_path(wanted) else {
        return status(StatusCode::BAD_REQUEST);
    };
    match answers::answer(answers, path).await {
        Ok(reply) => send(reply, request.method() == Method::HEAD).await,
        Err(error) => {
            stop.send_if_modified(|first| {
                let is_first = first.is_none();
                if is_first {
                    *first = Some(error);
                }
                is_first
            });
            status(StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

async fn send(reply: Reply, head_only: bool) -> Response<Body> {
    let (size, body) = match reply {
        Reply::NotFound => return status(StatusCode::NOT_FOUND),
        Reply::Bytes(bytes) => (bytes.len() as u64, full(if head_only { Bytes::new() } else { bytes })),
        Reply::File { size, .. } if head_only => (size, full(Bytes::new())),
        Reply::File { file, size } => match tokio::fs::File::open(&file).await {
            Ok(file) => {
                let frames = ReaderStream::with_capacity(file, 1 << 17).map_ok(Frame::data);
                (size, StreamBody::new(frames).boxed())
            }
            Err(_) => return status(StatusCode::INTERNAL_SERVER_ERROR),
        },
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_LENGTH, size.into());
    response
}

fn status(code: StatusCode) -> Response<Body> {
    let mut response = Response::new(full(Bytes::new()));
    *response.status_mut() = code;
    response
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}
