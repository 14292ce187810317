//! Finding each other: through one bootstrap, after restarts, and not at all across networks.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use pyrsia_network::{NetworkConfig, NetworkError, node_id};
use support::{Setup, network_id, nothing, within};

#[tokio::test(flavor = "multi_thread")]
async fn four_authorities_and_a_plain_node_find_each_other_through_one_bootstrap() {
    let first = Setup::authority(0, 4).start().await;
    let mut others = Vec::new();
    for position in 1..4 {
        others.push(Setup::authority(position, 4).bootstrap(first.address()).start().await);
    }
    let plain = Setup::plain(50, 4).bootstrap(first.address()).start().await;
    plain.knows(&[0, 1, 2, 3]).await;
    first.knows(&[1, 2, 3]).await;
    others[0].knows(&[0, 2, 3]).await;
    others[1].knows(&[0, 1, 3]).await;
    others[2].knows(&[0, 1, 2]).await;
    // What is told of them.
    let mut peers = plain.peers();
    let agents = peers.wait_for(|peers| peers.iter().all(|peer| peer.agent.starts_with("pyrsia-maven/")));
    let peers = within(agents).await.unwrap().clone();
    let of_first = peers.iter().find(|peer| peer.authority == Some(0)).unwrap();
    assert_eq!(of_first.name, first.name());
    assert_eq!(of_first.name, node_id(&[1; 32]));
    assert!(first.address().starts_with(&of_first.address));
    assert!(!of_first.inbound && of_first.connected_since > 0);
    let mut of_plain = first.peers();
    let of_plain = within(of_plain.wait_for(|peers| peers.iter().any(|peer| peer.name == plain.name()))).await.unwrap();
    let of_plain = of_plain.iter().find(|peer| peer.name == plain.name()).unwrap().clone();
    assert!(of_plain.inbound && of_plain.authority.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_node_finds_the_network_from_its_memory_when_the_bootstrap_is_dead() {
    let bootstrap = Setup::plain(60, 2).start().await;
    let authority = Setup::authority(1, 2).bootstrap(bootstrap.address()).start().await;
    let setup = Setup::plain(61, 2).bootstrap(bootstrap.address());
    let config = setup.config.clone();
    let node = setup.start().await;
    node.knows(&[1]).await;
    node.sees(&bootstrap).await;
    node.shutdown().await;
    let folder = node.folder;
    drop(node.network);
    bootstrap.shutdown().await;

    let again = Setup { folder, config, ..Setup::plain(61, 2) }.start().await;
    again.knows(&[1]).await;
    again.shutdown().await;
    let folder = again.folder;
    // And with a file that is damaged it starts all the same, knowing nobody.
    std::fs::write(folder.path().join("remembered"), "pyrsia-maven remembered peers 1\nrecord 00\npeer x\n\u{0}")
        .unwrap();
    let lost = Setup { folder, ..Setup::plain(61, 2) }.start().await;
    let mut peers = lost.peers();
    peers.borrow_and_update();
    nothing(peers.changed()).await;
    drop(authority);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_of_another_network_is_no_peer() {
    let node = Setup::authority(0, 1).start().await;
    let stranger = Setup { network: network_id(2), ..Setup::plain(70, 1) }.bootstrap(node.address()).start().await;
    let mut peers = stranger.peers();
    let mut here = node.peers();
    nothing(peers.wait_for(|peers| !peers.is_empty())).await;
    nothing(here.wait_for(|peers| !peers.is_empty())).await;
    // Nor is it one after the first pauses: it is left alone for long.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(node.peers().borrow().is_empty() && stranger.peers().borrow().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_authority_that_restarts_on_the_same_port_is_found_again() {
    let first = Setup::authority(0, 2).start().await;
    let address = first.address();
    let second = Setup::authority(1, 2).bootstrap(address.clone()).start().await;
    second.knows(&[0]).await;
    first.shutdown().await;
    second.misses(first.name()).await;
    let listen = vec![address.split("/p2p/").next().unwrap().to_owned()];
    let config = NetworkConfig { listen, ..NetworkConfig::default() };
    let again = Setup { config, ..Setup::authority(0, 2) }.start().await;
    assert_eq!(again.address(), address);
    second.knows(&[0]).await;
    again.knows(&[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_and_addresses_without_sense_are_errors_at_the_start() {
    let node = Setup::plain(1, 1).start().await;
    let taken = node.address().split("/p2p/").next().unwrap().to_owned();
    let start = |config: NetworkConfig| Setup { config, ..Setup::plain(2, 1) }.try_start();
    let error = start(NetworkConfig { listen: vec![taken], ..NetworkConfig::default() }).await.err().unwrap();
    assert!(matches!(error, NetworkError::Listen { .. }), "{error}");
    let error = start(NetworkConfig { bootstrap: vec!["example.org".into()], ..NetworkConfig::default() }).await;
    assert!(matches!(error.err(), Some(NetworkError::Address { field: "bootstrap", .. })));
    let error = start(NetworkConfig { listen: vec!["/dns4/localhost/tcp/0".into()], ..NetworkConfig::default() }).await;
    assert!(matches!(error.err(), Some(NetworkError::Address { field: "listen", .. })));
    // Nobody there is no error.
    let alone = Setup::plain(3, 1).bootstrap("/ip4/127.0.0.1/tcp/1").start().await;
    assert!(alone.peers().borrow().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_node_turns_strangers_away_and_lets_authorities_in() {
    let mut setup = Setup::authority(0, 2);
    setup.config.max_peers = 1;
    let node = setup.start().await;
    let inside = Setup::plain(80, 2).bootstrap(node.address()).start().await;
    inside.knows(&[0]).await;
    let outside = Setup::plain(81, 2).bootstrap(node.address()).start().await;
    let mut peers = outside.peers();
    nothing(peers.wait_for(|peers| !peers.is_empty())).await;
    let authority = Setup::authority(1, 2).bootstrap(node.address()).start().await;
    node.knows(&[1]).await;
    authority.knows(&[0]).await;
    node.sees(&inside).await;
}
