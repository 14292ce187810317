//! Peers: libp2p lives only here.
