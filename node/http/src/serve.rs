//! Connections: how many, how long, and how they end.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::{HeaderValue, Request, header};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinSet};
use tokio::time::{Instant, Sleep};

use crate::door::Door;
use crate::tls::Tls;

/// Bounds on connections.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at the same time. A further one takes the place of the one that has been idle for the longest time; while
    /// none is, it waits in the operating system's queue.
    pub connections: usize,
    /// Time for the head of a request to arrive, counted from the end of the one before.
    pub head: Duration,
    /// Time for running requests to finish after the shutdown began.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connections: 8192, head: Duration::from_secs(30), grace: Duration::from_secs(5) }
    }
}

/// Largest head of a request, in bytes.
const HEAD_BYTES: usize = 64 * 1024;
/// Requests of one HTTP/2 connection at the same time.
const STREAMS: u32 = 64;
/// A silent HTTP/2 connection is asked for a sign of life after this time, and has as long again to give it.
const ALIVE: Duration = Duration::from_secs(30);
/// Pause after the operating system refused to accept, e.g. because there are no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until `shutdown` is done, then lets running requests finish within the grace period.
///
/// Without `tls` it is plain HTTP/1.1; with it HTTP/2, or HTTP/1.1 for clients that do not ask for more.
///
/// The caller has checked the listener's address with [`check_bind`](crate::check_bind).
pub async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    door: Door,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) {
    let door = Arc::new(door);
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut seats: HashMap<Id, Seat> = HashMap::new();
    let most = limits.connections.max(1);
    tokio::pin!(shutdown);
    loop {
        let room = seats.len() < most || longest_idle(&seats).is_some();
        tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = connections.join_next_with_id(), if !connections.is_empty() => {
                let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                seats.remove(&id);
            }
            // Somebody may have nothing more to do by then. Until then further ones wait in the operating system's queue.
            () = tokio::time::sleep(ACCEPT_PAUSE), if !room => {}
            accepted = listener.accept(), if room => match accepted {
                Ok((stream, _)) => {
                    if seats.len() >= most && let Some(seat) = longest_idle(&seats).and_then(|id| seats.remove(&id)) {
                        seat.connection.abort();
                    }
                    let requests = Arc::new(Requests::default());
                    let (door, stopped) = (Arc::clone(&door), stopped.clone());
                    let connection = connection(stream, tls.clone(), door, Arc::clone(&requests), limits.head, stopped);
                    let connection = connections.spawn(connection);
                    seats.insert(connection.id(), Seat { connection, requests });
                }
                Err(error) => {
                    tracing::warn!(error.message = %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    let _ = stop.send(true);
    let finished = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(limits.grace, finished).await.is_err() {
        tracing::info!(http.connections = connections.len(), "connections cut at shutdown");
        connections.shutdown().await;
    }
}

/// A connection that is served.
struct Seat {
    connection: AbortHandle,
    requests: Arc<Requests>,
}

/// The connection on which nothing has been under way for the longest time: the one to end when there is no room.
fn longest_idle(seats: &HashMap<Id, Seat>) -> Option<Id> {
    let idle = seats.iter().filter_map(|(id, seat)| Some((seat.requests.idle_since()?, *id)));
    idle.min_by_key(|(since, _)| *since).map(|(_, id)| id)
}

async fn connection(
    stream: TcpStream,
    tls: Option<Tls>,
    door: Arc<Door>,
    requests: Arc<Requests>,
    head: Duration,
    stopped: watch::Receiver<bool>,
) {
    // Answers are written whole; waiting to fill a packet would only delay their end.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return http_1(stream, door, requests, head, stopped).await };
    match tls.accept(stream).await {
        Ok((stream, true)) => http_2(stream, door, requests, head, stopped).await,
        Ok((stream, false)) => http_1(stream, door, requests, head, stopped).await,
        Err(error) => tracing::debug!(error.message = %error, "a TLS handshake failed"),
    }
}

async fn http_1(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    door: Arc<Door>,
    requests: Arc<Requests>,
    head: Duration,
    stopped: watch::Receiver<bool>,
) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (door, running) = (Arc::clone(&door), Requests::begin(&requests));
        async move { Ok::<_, Infallible>(door.answer(request).await.map(|body| Answering { body, _running: running })) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Patient::new(stream, head)), service);
    until_done(connection, stopped, std::future::pending()).await;
}

async fn http_2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    door: Arc<Door>,
    requests: Arc<Requests>,
    head: Duration,
    stopped: watch::Receiver<bool>,
) {
    let idle = Arc::clone(&requests);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        // The guards compare with one Host, as HTTP/1 has it; here its place is `:authority`.
        let authority = request.uri().authority().map(|authority| HeaderValue::from_str(authority.as_str()));
        if let Some(Ok(host)) = authority {
            request.headers_mut().entry(header::HOST).or_insert(host);
        }
        let (door, running) = (Arc::clone(&door), Requests::begin(&requests));
        async move { Ok::<_, Infallible>(door.answer(request).await.map(|body| Answering { body, _running: running })) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES as u32)
        .keep_alive_interval(ALIVE)
        .keep_alive_timeout(ALIVE)
        .serve_connection(TokioIo::new(stream), service);
    // hyper ends an idle connection of HTTP/1 by itself. Here a client's library answers pings for as long as it lives.
    until_done(connection, stopped, async move { idle.none_for(head).await }).await;
}

/// A stream whose writing fails when the other side has taken nothing for some time: hyper itself waits for ever.
struct Patient<S> {
    stream: S,
    patience: Duration,
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, waiting: None }
    }

    fn moved<T>(&mut self, context: &mut Context<'_>, result: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if result.is_ready() {
            self.waiting = None;
            return result;
        }
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep(self.patience)));
        ready!(waiting.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.moved(context, result)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.moved(context, result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_flush(context);
        self.moved(context, result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.stream).poll_shutdown(context);
        self.moved(context, result)
    }
}

/// The requests of one connection.
struct Requests {
    begun: AtomicU64,
    running: AtomicU64,
    /// When the connection began.
    origin: Instant,
    /// When the last request ended, in milliseconds after it.
    ended: AtomicU64,
}

impl Default for Requests {
    fn default() -> Self {
        let (begun, running, ended) = Default::default();
        Self { begun, running, origin: Instant::now(), ended }
    }
}

/// A request whose answer has not been sent yet.
struct Running(Arc<Requests>);

/// The body of an answer, on its way.
struct Answering {
    body: Body,
    _running: Running,
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Requests {
    fn begin(requests: &Arc<Self>) -> Running {
        requests.begun.fetch_add(1, Ordering::Relaxed);
        requests.running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(requests))
    }

    /// Since when no request is under way; none: one is.
    fn idle_since(&self) -> Option<Instant> {
        let idle = self.running.load(Ordering::Relaxed) == 0;
        idle.then(|| self.origin + Duration::from_millis(self.ended.load(Ordering::Relaxed)))
    }

    /// Ends when no request began for this time, and at most for twice of it, and none is without an answer.
    async fn none_for(&self, time: Duration) {
        loop {
            let begun = self.begun.load(Ordering::Relaxed);
            tokio::time::sleep(time).await;
            if self.begun.load(Ordering::Relaxed) == begun && self.running.load(Ordering::Relaxed) == 0 {
                return;
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let ended = u64::try_from(self.0.origin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.ended.store(ended, Ordering::Relaxed);
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Serves a connection; once the server is stopping, or the connection is of no use, to the end of the requests that are
/// running.
async fn until_done(
    connection: impl GracefulConnection<Error = hyper::Error>,
    mut stopped: watch::Receiver<bool>,
    useless: impl Future<Output = ()>,
) {
    tokio::pin!(connection);
    let ending = async {
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => {}
            () = useless => {}
        }
    };
    let result = tokio::select! {
        result = &mut connection => result,
        () = ending => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(error.message = %error, "connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_of_no_use_when_nothing_is_asked_and_nothing_is_under_way() {
        let requests = Arc::new(Requests::default());
        let time = Duration::from_secs(30);
        let idle = {
            let requests = Arc::clone(&requests);
            tokio::spawn(async move { requests.none_for(time).await })
        };
        tokio::time::sleep(Duration::from_secs(20)).await;
        let running = Requests::begin(&requests);
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert!(!idle.is_finished());
        drop(running);
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert!(idle.is_finished());
    }
}
