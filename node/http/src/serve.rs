//! Connections: how many, how long, and how they end.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::door::Door;
use crate::tls::Tls;

/// Bounds on connections.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at the same time; further ones wait in the operating system's queue.
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
    let slots = Arc::new(Semaphore::new(limits.connections.max(1)));
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        // The slot comes first: without one a connection is not even accepted.
        let accepted = async {
            let slot = Arc::clone(&slots).acquire_owned().await;
            (slot, listener.accept().await)
        };
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            (slot, accepted) = accepted => match (slot, accepted) {
                (Ok(slot), Ok((stream, _))) => {
                    let connection = connection(stream, tls.clone(), Arc::clone(&door), limits.head, stopped.clone());
                    connections.spawn(async move {
                        connection.await;
                        drop(slot);
                    });
                }
                (_, Err(error)) => {
                    tracing::warn!(error.message = %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                // The semaphore is never closed.
                (Err(_), _) => break,
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

async fn connection(
    stream: TcpStream,
    tls: Option<Tls>,
    door: Arc<Door>,
    head: Duration,
    stopped: watch::Receiver<bool>,
) {
    // Answers are written whole; waiting to fill a packet would only delay their end.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return http_1(stream, door, head, stopped).await };
    match tls.accept(stream).await {
        Ok((stream, true)) => http_2(stream, door, head, stopped).await,
        Ok((stream, false)) => http_1(stream, door, head, stopped).await,
        Err(error) => tracing::debug!(error.message = %error, "a TLS handshake failed"),
    }
}

async fn http_1(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    door: Arc<Door>,
    head: Duration,
    stopped: watch::Receiver<bool>,
) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let door = Arc::clone(&door);
        async move { Ok::<_, Infallible>(door.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    until_done(connection, stopped, std::future::pending()).await;
}

async fn http_2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    door: Arc<Door>,
    head: Duration,
    stopped: watch::Receiver<bool>,
) {
    let requests = Arc::new(Requests::default());
    let idle = Arc::clone(&requests);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        // The guards compare with one Host, as HTTP/1 has it; here its place is `:authority`.
        let authority = request.uri().authority().map(|authority| HeaderValue::from_str(authority.as_str()));
        if let Some(Ok(host)) = authority {
            request.headers_mut().entry(header::HOST).or_insert(host);
        }
        let (door, running) = (Arc::clone(&door), Requests::begin(&requests));
        async move {
            let answer = door.answer(request).await;
            drop(running);
            Ok::<_, Infallible>(answer)
        }
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

/// The requests of one connection.
#[derive(Default)]
struct Requests {
    begun: AtomicU64,
    running: AtomicU64,
}

/// A request that has no answer yet.
struct Running(Arc<Requests>);

impl Requests {
    fn begin(requests: &Arc<Self>) -> Running {
        requests.begun.fetch_add(1, Ordering::Relaxed);
        requests.running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(requests))
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
