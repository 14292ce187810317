//! The way to one git server, which ends when nobody waits for it or nothing comes through it.
//!
//! libgit2 runs on a thread of its own and has no limit for a server that takes a connection and then says nothing (its
//! settings for that are unsafe functions). So it is given this as its proxy: a listener on loopback
//! that takes `CONNECT` for that one host and goes to the addresses that were checked, not to what the name means a moment
//! later. When it is dropped, every connection is closed, and the thread behind it ends with an error. TLS goes through
//! it untouched, end to end.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

/// Connections at one time; git uses one or two.
const MAX_CONNECTIONS: usize = 8;
/// Bytes of a request's head.
const MAX_HEAD: usize = 8 * 1024;
/// Time until a connection must stand.
const CONNECT: Duration = Duration::from_secs(20);

/// A server, by name and by the addresses that may be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// As in the address: a name, or an IP address, in brackets if it is one of version 6.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Those that were looked at.
    pub addresses: Vec<SocketAddr>,
}

/// The listener; dropping it closes everything.
pub(crate) struct Tunnel {
    url: String,
    task: JoinHandle<()>,
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Tunnel {
    /// Listens on a port of loopback. A connection through which nothing comes for `idle` is closed, and so are all when
    /// `most` bytes have come from the server, if that is limited.
    pub(crate) async fn open(way: Way, idle: Duration, most: Option<u64>) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        Ok(Self {
            url,
            task: tokio::spawn(accept(
                listener,
                Arc::new(way),
                idle,
                Arc::new(AtomicU64::new(most.unwrap_or(u64::MAX))),
            )),
        })
    }

    /// Where it listens.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

async fn accept(listener: TcpListener, way: Arc<Way>, idle: Duration, left: Arc<AtomicU64>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        if connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                let (way, left) = (Arc::clone(&way), Arc::clone(&left));
                connections.spawn(async move {
                    if let Err(error) = serve(stream, &way, idle, &left).await {
                        tracing::debug!(host = %way.host, error = %error, "a connection to a git server ended");
                    }
                });
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn serve(mut near: TcpStream, way: &Way, idle: Duration, left: &AtomicU64) -> io::Result<()> {
    let head = timeout(CONNECT, head(&mut near)).await??;
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    if !target.eq_ignore_ascii_case(&format!("{}:{}", way.host, way.port)) {
        return near.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
    }
    let mut far = match timeout(CONNECT, TcpStream::connect(&*way.addresses)).await {
        Ok(Ok(far)) => far,
        Ok(Err(_)) | Err(_) => {
            return near.write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        }
    };
    near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    carry(&mut near, &mut far, idle, left).await
}

/// The head of a request, byte by byte: nothing behind it may be taken.
async fn head(near: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= MAX_HEAD {
            return Err(io::ErrorKind::InvalidData.into());
        }
        head.push(near.read_u8().await?);
    }
    String::from_utf8(head).map_err(|_| io::ErrorKind::InvalidData.into())
}

/// Bytes in both directions until one side ends, or neither says anything for too long.
async fn carry(near: &mut TcpStream, far: &mut TcpStream, idle: Duration, left: &AtomicU64) -> io::Result<()> {
    let (mut up, mut down) = (vec![0; 1 << 14], vec![0; 1 << 16]);
    loop {
        // Writing counts as well: a side that does not read holds the other up.
        let step = async {
            tokio::select! {
                read = near.read(&mut up) => {
                    let read = read?;
                    far.write_all(&up[..read]).await?;
                    Ok::<_, io::Error>(read)
                }
                read = far.read(&mut down) => {
                    let read = read?;
                    let taken = |left: u64| left.checked_sub(read as u64);
                    if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_err() {
                        return Err(io::Error::other("the server sends more than the limit allows"));
                    }
                    near.write_all(&down[..read]).await?;
                    Ok(read)
                }
            }
        };
        if timeout(idle, step).await?? == 0 {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(tunnel: &Tunnel, target: &str) -> TcpStream {
        let mut near = TcpStream::connect(tunnel.url().strip_prefix("http://").unwrap()).await.unwrap();
        near.write_all(format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n").as_bytes()).await.unwrap();
        near
    }

    /// A server that sends back what it gets.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await
                });
            }
        });
        address
    }

    fn way(address: SocketAddr) -> Way {
        Way { host: "git.example".to_owned(), port: 443, addresses: vec![address] }
    }

    #[tokio::test]
    async fn it_leads_to_one_host_only_and_goes_to_the_address_that_was_checked() {
        let tunnel = Tunnel::open(way(echo().await), Duration::from_secs(20), None).await.unwrap();
        let mut near = ask(&tunnel, "git.example:443").await;
        let answer = head(&mut near).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        near.write_all(b"hello").await.unwrap();
        let mut back = [0; 5];
        near.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"hello");
        for other in ["git.example:22", "other.example:443", "git.example"] {
            let mut near = ask(&tunnel, other).await;
            assert!(head(&mut near).await.unwrap().starts_with("HTTP/1.1 403 "), "{other}");
        }
    }

    #[tokio::test]
    async fn silence_and_dropping_close_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let silent = way(listener.local_addr().unwrap());
        let tunnel = Tunnel::open(silent.clone(), Duration::from_millis(200), None).await.unwrap();
        let mut near = ask(&tunnel, "git.example:443").await;
        head(&mut near).await.unwrap();
        let ended = timeout(Duration::from_secs(10), near.read_u8()).await.expect("it is closed");
        assert!(ended.is_err());

        let tunnel = Tunnel::open(silent, Duration::from_secs(600), None).await.unwrap();
        let mut near = ask(&tunnel, "git.example:443").await;
        head(&mut near).await.unwrap();
        drop(tunnel);
        let ended = timeout(Duration::from_secs(10), near.read_u8()).await.expect("it is closed");
        assert!(ended.is_err());
    }

    #[tokio::test]
    async fn a_server_without_end_is_cut_off() {
        let tunnel = Tunnel::open(way(echo().await), Duration::from_secs(20), Some(100)).await.unwrap();
        let mut near = ask(&tunnel, "git.example:443").await;
        head(&mut near).await.unwrap();
        near.write_all(&[7; 60]).await.unwrap();
        let mut back = [0; 60];
        near.read_exact(&mut back).await.unwrap();
        // The second connection has what the first one left.
        let mut near = ask(&tunnel, "git.example:443").await;
        head(&mut near).await.unwrap();
        near.write_all(&[7; 60]).await.unwrap();
        assert!(near.read_u8().await.is_err());
    }
}
