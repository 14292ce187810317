//! Connections: how many, how long, and how they end.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
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
        Self { connections: 512, head: Duration::from_secs(30), grace: Duration::from_secs(5) }
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
                    let connection = connection(stream, tls.clone(), door.clone(), limits.head, stopped.clone());
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

async fn connection(stream: TcpStream, tls: Option<Tls>, door: Door, head: Duration, stopped: watch::Receiver<bool>) {
    // Answers are written whole; waiting to fill a packet would only delay their end.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return http_1(stream, door, head, stopped).await };
    match tls.accept(stream).await {
        Ok((stream, true)) => http_2(stream, door, stopped).await,
        Ok((stream, false)) => http_1(stream, door, head, stopped).await,
        Err(error) => tracing::debug!(error.message = %error, "a TLS handshake failed"),
    }
}

async fn http_1(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    door: Door,
    head: Duration,
    stopped: watch::Receiver<bool>,
) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let door = door.clone();
        async move { Ok::<_, Infallible>(door.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    until_done(connection, stopped).await;
}

async fn http_2(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    door: Door,
    stopped: watch::Receiver<bool>,
) {
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        // The guards compare with one Host, as HTTP/1 has it; here its place is `:authority`.
        let authority = request.uri().authority().map(|authority| HeaderValue::from_str(authority.as_str()));
        if let Some(Ok(host)) = authority {
            request.headers_mut().entry(header::HOST).or_insert(host);
        }
        let door = door.clone();
        async move { Ok::<_, Infallible>(door.answer(request).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES as u32)
        .keep_alive_interval(ALIVE)
        .keep_alive_timeout(ALIVE)
        .serve_connection(TokioIo::new(stream), service);
    until_done(connection, stopped).await;
}

/// Serves a connection; once the server is stopping, to the end of the requests that are running.
async fn until_done(connection: impl GracefulConnection<Error = hyper::Error>, mut stopped: watch::Receiver<bool>) {
    tokio::pin!(connection);
    let stopping = async { drop(stopped.wait_for(|stopped| *stopped).await) };
    let result = tokio::select! {
        result = &mut connection => result,
        () = stopping => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = result {
        tracing::debug!(error.message = %error, "connection ended early");
    }
}
