//! Connections: how many, how long, and how they end.

use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinSet};

use crate::entrance::Entrance;
use crate::patient::Patient;
use crate::requests::Requests;
use crate::tls::Tls;

/// Bounds on connections.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at the same time. A further one takes the place of the one that has been idle for the longest time; while
    /// none is, it waits in the operating system's queue.
    pub connections: usize,
    /// Connections of one address at the same time. A further one takes the place of the one of that address that has been
    /// idle for the longest time; while none is, it is closed.
    pub per_client: usize,
    /// Time for the head of a request to arrive, counted from the end of the one before.
    pub head: Duration,
    /// Time for requests to find their answers after the shutdown began.
    pub grace: Duration,
    /// Time for answers that are on their way to be sent to their end then. A client that takes nothing for as long as a
    /// head may take is let go earlier.
    pub downloads: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let (head, grace) = (Duration::from_secs(30), Duration::from_secs(5));
        Self { connections: 8192, per_client: 8192, head, grace, downloads: Duration::from_secs(60) }
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

/// Serves until `shutdown` is done, then lets running requests finish, each for as long as [`Limits`] says.
///
/// Without `tls` it is plain HTTP/1.1; with it HTTP/2, or HTTP/1.1 for clients that do not ask for more.
///
/// The caller has checked the listener's address with [`check_bind`](crate::check_bind).
pub async fn serve<E: Entrance>(
    listener: TcpListener,
    tls: Option<Tls>,
    door: E,
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
        let room = seats.len() < most || longest_idle(seats.iter()).is_some();
        tokio::select! {
            () = &mut shutdown => break,
            Some(ended) = connections.join_next_with_id(), if !connections.is_empty() => {
                let id = ended.map_or_else(|error| error.id(), |(id, ())| id);
                seats.remove(&id);
            }
            // Somebody may have nothing more to do by then. Until then further ones wait in the operating system's queue.
            () = tokio::time::sleep(ACCEPT_PAUSE), if !room => {}
            accepted = listener.accept(), if room => match accepted {
                Ok((stream, from)) => {
                    let client = client(from);
                    let of_client = || seats.iter().filter(|(_, seat)| seat.client == client);
                    let ends = if limits.per_client < most && of_client().count() >= limits.per_client.max(1) {
                        // Whoever has so many and uses them all gets no more.
                        let Some(idle) = longest_idle(of_client()) else { continue };
                        Some(idle)
                    } else {
                        (seats.len() >= most).then(|| longest_idle(seats.iter())).flatten()
                    };
                    if let Some(seat) = ends.and_then(|id| seats.remove(&id)) {
                        seat.connection.abort();
                    }
                    let requests = Arc::new(Requests::default());
                    let (door, stopped) = (Arc::clone(&door), stopped.clone());
                    let connection = connection(stream, tls.clone(), door, Arc::clone(&requests), limits.head, stopped);
                    let connection = connections.spawn(connection);
                    seats.insert(connection.id(), Seat { connection, requests, client });
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
    if !ended(&mut connections, limits.grace).await {
        for seat in seats.values().filter(|seat| !seat.requests.may_be_sending(limits.head)) {
            seat.connection.abort();
        }
        if !ended(&mut connections, limits.downloads.saturating_sub(limits.grace)).await {
            tracing::info!(http.connections = connections.len(), "connections cut at shutdown");
            connections.shutdown().await;
        }
    }
}

/// Whether all connections end within this time.
async fn ended(connections: &mut JoinSet<()>, time: Duration) -> bool {
    let finished = async { while connections.join_next().await.is_some() {} };
    tokio::time::timeout(time, finished).await.is_ok()
}

/// Whose connection it is: its address, of IPv6 the network, in which one machine may have as many as it likes.
fn client(from: SocketAddr) -> IpAddr {
    match from.ip().to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        address => address,
    }
}

/// A connection that is served.
struct Seat {
    connection: AbortHandle,
    requests: Arc<Requests>,
    client: IpAddr,
}

/// The connection on which nothing has been under way for the longest time: the one to end when there is no room.
fn longest_idle<'a>(seats: impl Iterator<Item = (&'a Id, &'a Seat)>) -> Option<Id> {
    let idle = seats.filter_map(|(id, seat)| Some((seat.requests.idle_since()?, *id)));
    idle.min_by_key(|(since, _)| *since).map(|(_, id)| id)
}

async fn connection<E: Entrance>(
    stream: TcpStream,
    tls: Option<Tls>,
    door: Arc<E>,
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

async fn http_1<E: Entrance>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    door: Arc<E>,
    requests: Arc<Requests>,
    head: Duration,
    stopped: watch::Receiver<bool>,
) {
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let (door, running) = (Arc::clone(&door), Requests::begin(&requests));
        async move { Ok::<_, Infallible>(door.answer(request).await.map(|body| running.answer(body, false))) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Patient::new(stream, head)), service);
    until_done(connection, stopped, std::future::pending()).await;
}

async fn http_2<E: Entrance>(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    door: Arc<E>,
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
        async move { Ok::<_, Infallible>(door.answer(request).await.map(|body| running.answer(body, true))) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES as u32)
        .keep_alive_interval(ALIVE)
        .keep_alive_timeout(ALIVE)
        .serve_connection(TokioIo::new(stream), service);
    // hyper ends an idle connection of HTTP/1 by itself. Here a client's library answers pings for as long as it lives, and
    // may leave no room for an answer: then the connection is told to end, and is cut when nothing moves after that either.
    let (useless, still) = (idle.still_for(head), idle.still_for(head * 2));
    tokio::select! {
        () = until_done(connection, stopped, useless) => {}
        () = still => {}
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
    use std::time::Instant;

    use super::*;
    use crate::testing::Face;

    const HEAD: Duration = Duration::from_millis(200);

    /// A connection of HTTP/2 to the face, with so much room for answers; and when it was let go.
    async fn ask(face: &Face, window: u32, paths: &[&str]) -> (Vec<Option<usize>>, Duration) {
        let (here, there) = tokio::io::duplex(1 << 20);
        let (_stop, stopped) = watch::channel(false);
        let begun = Instant::now();
        let serving = tokio::spawn(http_2(there, Arc::new(face.door.clone()), Arc::default(), HEAD, stopped));
        let (mut client, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(window)
            .handshake(TokioIo::new(here))
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let mut answers = Vec::new();
        for path in paths {
            let request = Request::builder().uri(format!("http://localhost{path}")).body(String::new()).unwrap();
            let Ok(answer) = client.send_request(request).await else {
                answers.push(None);
                continue;
            };
            let body = axum::body::Body::new(answer.into_body());
            answers.push(axum::body::to_bytes(body, usize::MAX).await.ok().map(|bytes| bytes.len()));
        }
        tokio::time::timeout(Duration::from_secs(20), serving).await.expect("it is let go").unwrap();
        connection.abort();
        (answers, begun.elapsed())
    }

    #[tokio::test]
    async fn connections_of_http_2_on_which_nothing_moves_are_let_go() {
        let face = Face::new();
        face.files.file(face.dir.path(), "org/acme/lib/1.0/lib-1.0.jar", &vec![7; 3_000_000]);
        let path = "/maven2/org/acme/lib/1.0/lib-1.0.jar";
        let (answers, took) = ask(&face, 1 << 16, &[path, path]).await;
        assert_eq!(answers, [Some(3_000_000); 2], "whoever takes answers gets them");
        assert!(took >= HEAD, "{took:?}");
        let (answers, took) = ask(&face, 1 << 16, &[]).await;
        assert!(answers.is_empty() && took >= HEAD, "{took:?}");
        let (answers, took) = ask(&face, 0, &[path]).await;
        assert_eq!(answers, [None], "there was no room for a byte of it");
        assert!(took >= HEAD * 2, "{took:?}");
    }
}
