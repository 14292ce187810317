//! TLS: a certificate of the operator's, or one that is made here.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, KeyPair};
use tokio::net::TcpStream;
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

/// What a listener needs to speak TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
#[derive(Clone)]
pub struct Tls(TlsAcceptor);

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The chain of certificates is not one.
    #[error("the certificate file holds no usable certificates in PEM: {0}")]
    Certificate(String),
    /// The key is not one.
    #[error("the key file holds no usable private key in PEM: {0}")]
    Key(String),
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
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
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
        let stream = tokio::time::timeout(HANDSHAKE, self.0.accept(stream)).await??;
        let http_2 = stream.get_ref().1.alpn_protocol() == Some(HTTP_2);
        Ok((stream, http_2))
    }
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
}
