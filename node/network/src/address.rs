//! Which addresses this node uses.

use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};

/// An address that this node dials: a host, a TCP port, and perhaps the name of the node there. Everything else
/// (relays, other transports) is refused before it reaches the transport.
pub(crate) fn dialable(text: &str) -> Option<Multiaddr> {
    let address: Multiaddr = text.parse().ok()?;
    let mut parts = address.iter();
    let host = matches!(
        parts.next()?,
        Protocol::Ip4(_) | Protocol::Ip6(_) | Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_)
    );
    let tcp = matches!(parts.next()?, Protocol::Tcp(_));
    let end = match parts.next() {
        None => true,
        Some(Protocol::P2p(_)) => parts.next().is_none(),
        Some(_) => false,
    };
    (host && tcp && end).then_some(address)
}

/// Takes the node's name off an address.
pub(crate) fn split(mut address: Multiaddr) -> (Multiaddr, Option<PeerId>) {
    if let Some(Protocol::P2p(peer)) = address.iter().last() {
        address.pop();
        return (address, Some(peer));
    }
    (address, None)
}

/// The address with the node's name.
pub(crate) fn with_peer(address: &Multiaddr, peer: &PeerId) -> Multiaddr {
    split(address.clone()).0.with(Protocol::P2p(*peer))
}

fn is_loopback(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => ip.is_loopback(),
        Some(Protocol::Ip6(ip)) => ip.is_loopback(),
        _ => false,
    }
}

/// What to tell others: external addresses first, and loopback only when there is nothing else (a network on one
/// machine).
pub(crate) fn published(external: &[Multiaddr], listening: &[Multiaddr], most: usize) -> Vec<String> {
    let (loopback, other): (Vec<_>, Vec<_>) = listening.iter().partition(|address| is_loopback(address));
    let mut chosen: Vec<String> = Vec::new();
    let mut add = |address: &Multiaddr| {
        let text = split(address.clone()).0.to_string();
        let usable = text.len() <= crate::record::MAX_ADDRESS_BYTES && dialable(&text).is_some();
        if usable && chosen.len() < most && !chosen.contains(&text) {
            chosen.push(text);
        }
    };
    external.iter().chain(other.iter().copied()).for_each(&mut add);
    if external.is_empty() && other.is_empty() {
        loopback.into_iter().for_each(&mut add);
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_with_a_tcp_port_is_dialable_and_nothing_else() {
        for good in ["/ip4/192.0.2.1/tcp/1", "/ip6/::1/tcp/1", "/dns4/example.org/tcp/4001"] {
            assert!(dialable(good).is_some(), "{good}");
            let named = format!("{good}/p2p/{}", crate::node_id(&[1; 32]));
            assert!(dialable(&named).is_some(), "{named}");
            let (address, peer) = split(named.parse().unwrap());
            assert_eq!((address.to_string(), peer), (good.into(), Some(crate::node_id(&[1; 32]).0)));
        }
        for bad in ["", "/", "/ip4/192.0.2.1", "/ip4/192.0.2.1/udp/1/quic-v1", "/memory/1", "/ip4/192.0.2.1/tcp/1/ws"] {
            assert!(dialable(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn loopback_is_told_only_when_there_is_nothing_else() {
        let loopback: Multiaddr = "/ip4/127.0.0.1/tcp/1".parse().unwrap();
        let lan: Multiaddr = "/ip4/192.0.2.1/tcp/1".parse().unwrap();
        let outside: Multiaddr = "/dns4/example.org/tcp/1".parse().unwrap();
        assert_eq!(published(&[], std::slice::from_ref(&loopback), 8), ["/ip4/127.0.0.1/tcp/1"]);
        assert_eq!(published(&[], &[loopback.clone(), lan.clone()], 8), ["/ip4/192.0.2.1/tcp/1"]);
        let both = published(std::slice::from_ref(&outside), &[loopback, lan.clone(), lan], 8);
        assert_eq!(both, ["/dns4/example.org/tcp/1", "/ip4/192.0.2.1/tcp/1"]);
    }
}
