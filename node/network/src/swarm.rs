//! The libp2p swarm: which transports and behaviours, and their limits.

use std::error::Error;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use futures_util::io::BufReader;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{
    Multiaddr, PeerId, Swarm, SwarmBuilder, Transport, connection_limits, dns, identify, noise, ping, tcp, yamux,
};

use crate::NetworkError;
use crate::gather::Gather;

/// How often a connection without other use shows that it is alive.
const PING_INTERVAL: Duration = Duration::from_secs(60);
/// How long the answer may take before the connection counts as dead.
const PING_TIME: Duration = Duration::from_secs(20);
/// Handshakes and everything before a connection is usable.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);
/// Connections that are being made, in each direction.
const MAX_PENDING: u32 = 64;
/// Connections beyond the places for peers, for those who have not greeted yet.
const MAX_UNGREETED: u32 = 64;
/// Streams of one connection at a time. Bounds what a peer can make the multiplexer hold: 256 KiB for each until this
/// side reads, when the window grows with the rate of reading.
const MAX_STREAMS: usize = 96;

/// Bytes that are read ahead of the handshake and the multiplexer, for each connection.
const READ_AHEAD: usize = 64 * 1024;

#[derive(NetworkBehaviour)]
pub(crate) struct Behaviour {
    pub limits: connection_limits::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
    pub streams: libp2p_stream::Behaviour,
}

fn behaviour(key: &Keypair, max_peers: u32) -> Behaviour {
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(MAX_PENDING))
        .with_max_pending_outgoing(Some(MAX_PENDING))
        .with_max_established_incoming(Some(max_peers.saturating_mul(2).saturating_add(MAX_UNGREETED)))
        .with_max_established_outgoing(Some(256));
    // Greetings tell all that this protocol needs; identify gives the name of the program, once.
    let identify = identify::Config::new("/pyrsia-maven/1".to_owned(), key.public())
        .with_agent_version(concat!("pyrsia-maven/", env!("CARGO_PKG_VERSION")).to_owned())
        .with_interval(Duration::from_secs(30 * 24 * 3600))
        .with_push_listen_addr_updates(false)
        .with_hide_listen_addrs(true)
        .with_cache_size(0);
    Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIME)),
        streams: libp2p_stream::Behaviour::new(),
    }
}

fn muxer() -> yamux::Config {
    let mut config = yamux::Config::default();
    config.set_max_num_streams(MAX_STREAMS);
    config
}

/// TCP, noise, yamux: on the wire what the builder's own `with_tcp` makes.
///
/// Noise reads 8 KiB at a time, and yamux writes 16 KiB at a time. Reading ahead and [`Gather`] leave far
/// fewer calls to the kernel, which are much of what a large transfer costs.
fn transport(key: &Keypair) -> Result<Boxed<(PeerId, StreamMuxerBox)>, Box<dyn Error + Send + Sync>> {
    let noise = noise::Config::new(key)?;
    let tcp = tcp::tokio::Transport::new(tcp::Config::new());
    Ok(tcp
        .map(|stream, _| BufReader::with_capacity(READ_AHEAD, Gather::new(stream)))
        .upgrade(Version::V1Lazy)
        .authenticate(noise)
        .multiplex(muxer())
        .map(|(peer, streams), _| (peer, StreamMuxerBox::new(streams)))
        .boxed())
}

/// Builds the swarm. Needs the runtime.
pub(crate) fn build(key: &Keypair, max_peers: u32) -> Result<Swarm<Behaviour>, NetworkError> {
    let failed = |error: &dyn std::error::Error| NetworkError::Transport { detail: error.to_string() };
    let tcp = || {
        SwarmBuilder::with_existing_identity(key.clone())
            .with_tokio()
            .with_other_transport(transport)
            .map_err(|error| failed(&error))
    };
    let settings = |config: libp2p::swarm::Config| {
        // Connections stay: their number is bounded, and the next thing to be said needs them.
        config
            .with_idle_connection_timeout(Duration::from_secs(365 * 24 * 3600))
            .with_max_negotiating_inbound_streams(32)
    };
    // A machine without a usable resolver configuration still has addresses of numbers.
    macro_rules! finish {
        ($builder:expr) => {
            $builder
                .with_behaviour(|key| behaviour(key, max_peers))
                .map_err(|error| NetworkError::Transport { detail: error.to_string() })?
                .with_swarm_config(settings)
                .with_connection_timeout(HANDSHAKE_TIME)
                .build()
        };
    }
    Ok(match tcp()?.with_dns() {
        Ok(builder) => finish!(builder),
        Err(error) => {
            tracing::warn!(%error, "the system's name resolution cannot be used: the library's defaults are");
            let resolver = (dns::ResolverConfig::default(), dns::ResolverOpts::default());
            finish!(tcp()?.with_dns_config(resolver.0, resolver.1))
        }
    })
}

/// The socket address of an address to listen on.
pub(crate) fn socket_address(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    match (parts.next()?, parts.next()) {
        (Protocol::Tcp(port), None) => Some(SocketAddr::new(ip, port)),
        _ => None,
    }
}

/// Whether the port is free. The transport would share it with any other program of the same user that shares it too
/// (SO_REUSEPORT), and the two would get each other's connections: so this asks without sharing.
pub(crate) fn probe(address: SocketAddr) -> std::io::Result<()> {
    if address.port() == 0 {
        return Ok(());
    }
    TcpListener::bind(address).map(drop)
}
