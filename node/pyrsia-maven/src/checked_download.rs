//! Downloads from addresses that somebody else chose and that were looked at first.
//!
//! A specification must not make this machine ask its own network. So a client asks no other host than the one that was looked
//! at, at the addresses that it had then, goes nowhere by itself and through no proxy, and what comes is bounded in size and
//! time. Which addresses may be asked at all is decided where git sources are cloned (`java_builder::source`).

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use java_builder::source::Way;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use reqwest::{Client, Response};
use tokio::io::AsyncWriteExt as _;

/// Until a connection stands.
const CONNECT: Duration = Duration::from_secs(20);
/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(120);

/// Why a download broke off.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// There is more than may come.
    #[error("it is larger than {} MiB", .0 / (1024 * 1024))]
    TooLarge(u64),
    /// The server, or the way to it.
    #[error(transparent)]
    Server(reqwest::Error),
    /// The file.
    #[error(transparent)]
    Local(#[from] io::Error),
}

/// A client for the host that was looked at, for so many seconds in all. Without one (an address of the operator's own map
/// that is not https) names mean what they mean to this machine.
///
/// # Errors
/// TLS cannot be set up.
pub fn client(way: Option<Way>, seconds: u64) -> reqwest::Result<Client> {
    let mut client = Client::builder()
        // A proxy would look names up by itself: git sources are cloned without one, too.
        .no_proxy()
        .redirect(Policy::none())
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE)
        .timeout(Duration::from_secs(seconds));
    if let Some(way) = way {
        client = client.https_only(true).dns_resolver(Checked(Arc::new(way)));
    }
    client.build()
}

/// Writes an answer into a file, at most so many bytes.
///
/// # Errors
/// [`Broken`]; what has come by then lies in the file.
pub async fn write(mut answer: Response, most: u64, into: &Path) -> Result<(), Broken> {
    let mut file = tokio::fs::File::create(into).await?;
    let mut written = 0u64;
    while let Some(chunk) = answer.chunk().await.map_err(|error| Broken::Server(error.without_url()))? {
        written = written.saturating_add(chunk.len() as u64);
        if written > most {
            return Err(Broken::TooLarge(most));
        }
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    Ok(())
}

/// Knows the one host that was looked at, by the addresses that it had then.
#[derive(Clone)]
struct Checked(Arc<Way>);

impl Checked {
    fn addresses(&self, name: &str) -> Option<Vec<SocketAddr>> {
        name.eq_ignore_ascii_case(&self.0.host).then(|| self.0.addresses.clone())
    }
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let found = match self.addresses(name.as_str()) {
            Some(addresses) => Ok(Box::new(addresses.into_iter()) as Addrs),
            None => Err(format!("{} was not looked at", name.as_str()).into()),
        };
        Box::pin(std::future::ready(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_means_what_it_meant_when_it_was_looked_at() {
        let address: SocketAddr = "192.0.2.1:443".parse().unwrap();
        let way = Way { host: "files.example".to_owned(), port: 443, addresses: vec![address] };
        let checked = Checked(Arc::new(way));
        assert_eq!(checked.addresses("Files.example"), Some(vec![address]));
        for other in ["files.example.", "other.example", "localhost"] {
            assert_eq!(checked.addresses(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn what_was_looked_at_is_asked_over_tls_alone_and_nobody_else_is() {
        let way =
            || Way { host: "files.example".to_owned(), port: 443, addresses: vec!["127.0.0.1:1".parse().unwrap()] };
        for url in ["http://files.example/a", "https://other.example/a"] {
            let error = client(Some(way()), 5).unwrap().get(url).send().await.unwrap_err();
            assert!(error.is_builder() || format!("{error:?}").contains("was not looked at"), "{url}: {error:?}");
        }
    }

    #[tokio::test]
    async fn no_more_is_written_than_may_come() {
        let folder = tempfile::tempdir().unwrap();
        let into = folder.path().join("a");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let serve = async {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                // An answer without a question is none.
                tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await.unwrap();
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\n12345")
                    .await
                    .unwrap();
                // Held open until the client has what it wants: a reset could overtake the bytes.
                let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut Vec::new()).await;
            }
        };
        let fetch = async {
            let answer = async || client(None, 5).unwrap().get(&url).send().await.unwrap();
            write(answer().await, 5, &into).await.unwrap();
            assert_eq!(std::fs::read(&into).unwrap(), b"12345");
            assert!(matches!(write(answer().await, 4, &into).await, Err(Broken::TooLarge(4))));
        };
        tokio::select! {
            () = serve => {}
            () = fetch => {}
        }
    }
}
