//! Peers, as a document: pure.

use pyrsia_api_types::{Peer, PeerList};
use pyrsia_ledger::Authority;
use pyrsia_network::PeerInfo;

use super::NodeService;

impl NodeService {
    /// Connected peers.
    pub(super) fn connected(&self) -> usize {
        self.peers.as_ref().map_or(0, |peers| peers.network.peers().borrow().len())
    }

    /// The authorities, connected or not, then other peers.
    pub(super) fn peer_list(&self) -> PeerList {
        let state = self.replica.state();
        let connected = self.peers.as_ref().map(|peers| peers.network.peers().borrow().clone());
        let heads = self.peers.as_ref().map(|peers| peers.heads.sizes()).unwrap_or_default();
        let own = self.facts.name.as_deref().map(|name| Own {
            name,
            size: state.log_size(),
            id: self.peers.as_ref().map(|peers| peers.network.name().to_string()),
            addresses: self.peers.as_ref().map(|peers| peers.network.addresses()).unwrap_or_default(),
        });
        let size = |place: usize| heads.get(&place).copied();
        list(&state.committee().authorities, own.as_ref(), connected.as_deref().unwrap_or_default(), size)
    }
}

/// This node, where it is an authority.
struct Own<'a> {
    name: &'a str,
    size: u64,
    id: Option<String>,
    addresses: Vec<String>,
}

fn list(
    authorities: &[Authority],
    own: Option<&Own<'_>>,
    connected: &[PeerInfo],
    size: impl Fn(usize) -> Option<u64>,
) -> PeerList {
    let of_authority = |(place, authority): (usize, &Authority)| {
        let name = Some(authority.name.clone());
        if let Some(own) = own.filter(|own| own.name == authority.name) {
            let id = own.id.clone().unwrap_or_else(|| authority.name.clone());
            let addresses = own.addresses.clone();
            return Peer { id, addresses, authority: name, state: "self".to_owned(), log_size: Some(own.size) };
        }
        match connected.iter().find(|peer| peer.authority == Some(place)) {
            Some(peer) => Peer {
                id: peer.name.to_string(),
                addresses: vec![peer.address.clone()],
                authority: name,
                state: "connected".to_owned(),
                log_size: size(place),
            },
            None => Peer {
                id: authority.name.clone(),
                addresses: Vec::new(),
                authority: name,
                state: "unreachable".to_owned(),
                log_size: size(place),
            },
        }
    };
    let others = connected.iter().filter(|peer| peer.authority.is_none()).map(|peer| Peer {
        id: peer.name.to_string(),
        addresses: vec![peer.address.clone()],
        authority: None,
        state: "connected".to_owned(),
        log_size: None,
    });
    PeerList { peers: authorities.iter().enumerate().map(of_authority).chain(others).collect() }
}
