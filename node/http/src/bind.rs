//! Where the face may listen.

use std::io;
use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpSocket};

/// Connections that the operating system keeps until they are accepted; it may keep fewer. Of who comes beyond them it says
/// nothing, and they try again after a second.
const WAITING: u32 = 4096;

const AUTHENTICATION: &str = "authentication";

/// Why an address is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "refusing to listen on {address}: beyond loopback the face needs {missing}. {}",
    if *missing == AUTHENTICATION {
        "Name who may read in [[readers]], or in a [[hosted]] repository of your own; or listen on 127.0.0.1"
    } else {
        "Listen on 127.0.0.1 and name a second address in [tls], put a proxy with TLS and authentication in front of it, or \
         reach it through an SSH tunnel"
    }
)]
pub struct BindError {
    /// The address asked for.
    pub address: SocketAddr,
    /// What is missing: `TLS`, `authentication`, `TLS and authentication`.
    pub missing: &'static str,
}

/// Whether the face may listen at an address, given what protects it.
///
/// # Errors
/// [`BindError`] for an address beyond loopback (the unspecified address is one) without both TLS and authentication.
pub fn check_bind(address: SocketAddr, tls: bool, authentication: bool) -> Result<(), BindError> {
    let missing = match (tls, authentication) {
        _ if address.ip().to_canonical().is_loopback() => return Ok(()),
        (true, true) => return Ok(()),
        (false, true) => "TLS",
        (true, false) => AUTHENTICATION,
        (false, false) => "TLS and authentication",
    };
    Err(BindError { address, missing })
}

/// Listens.
///
/// # Errors
/// Those of the operating system.
pub fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(WAITING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_goes_unprotected() {
        for (address, tls, authentication, fine) in [
            ("127.0.0.1:0", false, false, true),
            ("127.3.2.1:80", false, false, true),
            ("[::1]:80", false, false, true),
            ("[::ffff:127.0.0.1]:80", false, false, true),
            ("0.0.0.0:80", false, false, false),
            ("[::]:80", false, false, false),
            ("192.168.1.5:80", true, false, false),
            ("192.168.1.5:80", false, true, false),
            ("192.168.1.5:80", true, true, true),
        ] {
            assert_eq!(check_bind(address.parse().unwrap(), tls, authentication).is_ok(), fine, "{address}");
        }
    }
}
