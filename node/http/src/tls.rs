//! TLS: a certificate of the operator's, or one that is made here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rcgen::{CertificateParams, DnType, KeyPair};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, version};
use tokio_rustls::server::TlsStream;

/// Time for a handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
const HTTP_2: &[u8] = b"h2";
const HTTP_1: &[u8] = b"http/1.1";

/// Whether a certificate was renewed is looked at no more often than this, and only when somebody connects.
const LOOK: Duration = Duration::from_secs(10);

/// What a listener needs to speak TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1. Clones share it.
#[derive(Clone)]
pub struct Tls {
    present: Arc<Mutex<TlsAcceptor>>,
    files: Option<Arc<Files>>,
}

/// The files that a certificate and its key come from.
struct Files {
    certificate: PathBuf,
    key: PathBuf,
    seen: tokio::sync::Mutex<(Instant, Stamps)>,
}

/// What tells a file from the one that was there before: its time and its size.
type Stamps = [Option<(SystemTime, u64)>; 2];

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The chain of certificates is not one.
    #[error("the certificate file holds no usable certificates in PEM: {0}")]
    Certificate(String),
    /// The key is not one.
    #[error("the key file holds no usable private key in PEM: {0}")]
    Key(String),
    /// A file cannot be read.
    #[error("cannot read {path}: {reason}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: String,
    },
    /// They do not belong together, or are of a kind that is not spoken.
    #[error("certificate and key cannot be used: {0}")]
    Together(String),
    /// None could be made.
    #[error("no certificate could be made for {names}: {reason}")]
    Generate {
        /// The names asked for.
        names: String,
        /// What the library says.
        reason: String,
    },
}

/// A certificate that signs itself, and its key; both PEM.
pub struct Generated {
    /// For clients to trust.
    pub certificate: String,
    /// For nobody else.
    pub key: String,
}

impl Tls {
    /// Takes a chain (the server's own certificate first) and the key of its first certificate, both PEM.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn new(chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Ok(Self { present: Arc::new(Mutex::new(acceptor(chain, key)?)), files: None })
    }

    /// The same from files, which are read again when they have changed: connections that begin afterwards get the new
    /// certificate. New files that cannot be used are reported in the log, and the certificate at hand stays. Blocking.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn from_files(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let stamps = [stamp(certificate), stamp(key)];
        let present = Arc::new(Mutex::new(read(certificate, key)?));
        let seen = tokio::sync::Mutex::new((Instant::now(), stamps));
        let files = Files { certificate: certificate.to_owned(), key: key.to_owned(), seen };
        Ok(Self { present, files: Some(Arc::new(files)) })
    }

    /// Makes a certificate for these names and addresses.
    ///
    /// # Errors
    /// [`TlsError::Generate`].
    pub fn generate(names: &[String]) -> Result<Generated, TlsError> {
        let failed = |error: rcgen::Error| TlsError::Generate { names: names.join(", "), reason: error.to_string() };
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = CertificateParams::new(names.to_vec()).map_err(failed)?;
        params.distinguished_name.push(DnType::CommonName, "pyrsia-maven");
        let certificate = params.self_signed(&key).map_err(failed)?;
        Ok(Generated { certificate: certificate.pem(), key: key.serialize_pem() })
    }

    /// The handshake; true if HTTP/2 was agreed upon.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<(TlsStream<TcpStream>, bool)> {
        self.look().await;
        let present = self.present.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let stream = tokio::time::timeout(HANDSHAKE, present.accept(stream)).await??;
        let http_2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
        Ok((stream, http_2))
    }

    /// Takes a renewed certificate, if it is time to look for one.
    async fn look(&self) {
        let Some(files) = &self.files else { return };
        // Whoever comes while somebody looks goes on with the certificate at hand.
        let Ok(mut seen) = files.seen.try_lock() else { return };
        if seen.0.elapsed() < LOOK {
            return;
        }
        seen.0 = Instant::now();
        let (here, known) = (Arc::clone(files), seen.1);
        let looked = tokio::task::spawn_blocking(move || {
            let stamps = [stamp(&here.certificate), stamp(&here.key)];
            (stamps, (stamps != known).then(|| read(&here.certificate, &here.key)))
        });
        let Ok((stamps, renewed)) = looked.await else { return };
        seen.1 = stamps;
        match renewed {
            Some(Ok(renewed)) => {
                *self.present.lock().unwrap_or_else(PoisonError::into_inner) = renewed;
                tracing::info!(file.path = %files.certificate.display(), "the certificate was renewed");
            }
            Some(Err(error)) => {
                tracing::error!(error.message = %error, "the new certificate cannot be used: the one at hand stays");
            }
            None => {}
        }
    }
}

fn acceptor(chain: &[u8], key: &[u8]) -> Result<TlsAcceptor, TlsError> {
    let chain = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| TlsError::Certificate(error.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::Certificate("it is empty".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| TlsError::Key(error.to_string()))?;
    let together = |error: tokio_rustls::rustls::Error| TlsError::Together(error.to_string());
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(together)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(together)?;
    config.alpn_protocols = vec![HTTP_2.to_vec(), HTTP_1.to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn read(certificate: &Path, key: &Path) -> Result<TlsAcceptor, TlsError> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| TlsError::Unreadable { path: path.to_owned(), reason: error.to_string() })
    };
    acceptor(&read(certificate)?, &read(key)?)
}

fn stamp(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_can_be_used_and_what_does_not_fit_is_refused() {
        let names = ["localhost", "127.0.0.1", "maven.example"].map(str::to_owned);
        let (one, other) = (Tls::generate(&names).unwrap(), Tls::generate(&names).unwrap());
        assert!(Tls::new(one.certificate.as_bytes(), one.key.as_bytes()).is_ok());
        let refused = |chain: &str, key: &str| Tls::new(chain.as_bytes(), key.as_bytes()).err().unwrap();
        assert!(matches!(refused(&one.certificate, &other.key), TlsError::Together(_)));
        assert!(matches!(refused("", &one.key), TlsError::Certificate(_)));
        assert!(matches!(refused(&one.key, &one.key), TlsError::Certificate(_)));
        assert!(matches!(refused(&one.certificate, ""), TlsError::Key(_)));
        assert!(matches!(refused(&one.certificate, &one.certificate), TlsError::Key(_)));
        assert!(matches!(Tls::generate(&["not a näme".to_owned()]), Err(TlsError::Generate { .. })));
    }

    #[tokio::test(start_paused = true)]
    async fn a_renewed_certificate_is_taken_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        let names = ["localhost".to_owned()];
        let write = |made: &Generated| {
            std::fs::write(&certificate, &made.certificate).unwrap();
            std::fs::write(&key, &made.key).unwrap();
        };
        write(&Tls::generate(&names).unwrap());
        let tls = Tls::from_files(&certificate, &key).unwrap();
        let present = || Arc::as_ptr(tls.present.lock().unwrap().config());
        let first = present();
        tokio::time::advance(LOOK).await;
        tls.look().await;
        assert_eq!(present(), first, "nothing has changed");
        // One of the two is there already: they do not belong together yet.
        let renewed = Tls::generate(&names).unwrap();
        std::fs::write(&certificate, format!("{}\n", renewed.certificate)).unwrap();
        tokio::time::advance(LOOK).await;
        tls.look().await;
        assert_eq!(present(), first);
        std::fs::remove_file(&key).unwrap();
        tokio::time::advance(LOOK).await;
        tls.look().await;
        assert_eq!(present(), first);
        write(&renewed);
        tls.look().await;
        assert_eq!(present(), first, "it is not looked at again and again");
        tokio::time::advance(LOOK).await;
        tls.look().await;
        assert_ne!(present(), first);
        assert!(Tls::from_files(&certificate, &folder.path().join("none")).is_err());
    }
}
