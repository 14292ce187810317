//! Messages between authorities.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use futures_util::{AsyncReadExt as _, AsyncWriteExt as _};
use pyrsia_network::{Channel, NetworkConfig};
use support::raw::{Hello, Raw, Record, peer_id};
use support::{Setup, authority_key, nothing, now, within};

const CONSENSUS: &str = "/pyrsia-maven/link/consensus/1";

#[tokio::test(flavor = "multi_thread")]
async fn messages_go_both_ways_on_both_channels_with_the_senders_position() {
    let first = Setup::authority(0, 3).start().await;
    let second = Setup::authority(1, 3).bootstrap(first.address()).start().await;
    let third = Setup::authority(2, 3).bootstrap(first.address()).start().await;
    // Sent before there is any connection.
    first.send(2, Channel::Consensus, Bytes::from_static(b"0 to 2"));
    second.send(0, Channel::Cosignatures, Bytes::from_static(b"1 to 0"));
    third.send(1, Channel::Consensus, Bytes::from_static(b"2 to 1"));
    assert_eq!(within(third.receive(Channel::Consensus)).await, (0, Bytes::from_static(b"0 to 2")));
    assert_eq!(within(first.receive(Channel::Cosignatures)).await, (1, Bytes::from_static(b"1 to 0")));
    assert_eq!(within(second.receive(Channel::Consensus)).await, (2, Bytes::from_static(b"2 to 1")));
    // In order, and as long as a message may be.
    let long = Bytes::from(vec![9; 3 << 20]);
    for round in 0..20u8 {
        first.send(1, Channel::Consensus, Bytes::from(vec![round; 5]));
    }
    first.send(1, Channel::Consensus, long.clone());
    for round in 0..20u8 {
        assert_eq!(within(second.receive(Channel::Consensus)).await, (0, Bytes::from(vec![round; 5])));
    }
    assert_eq!(within(second.receive(Channel::Consensus)).await, (0, long));
    // To itself, to nobody, empty, and too long: nothing happens, above all no panic.
    first.send(0, Channel::Consensus, Bytes::from_static(b"x"));
    first.send(3, Channel::Consensus, Bytes::from_static(b"x"));
    first.send(1, Channel::Consensus, Bytes::new());
    first.send(1, Channel::Cosignatures, vec![0; Channel::Cosignatures.max_message() + 1].into());
    nothing(async { tokio::join!(second.receive(Channel::Consensus), second.receive(Channel::Cosignatures)) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn links_flow_again_after_a_restart_under_the_same_key_and_port() {
    let first = Setup::authority(0, 2).start().await;
    let address = first.address();
    let second = Setup::authority(1, 2).bootstrap(address.clone()).start().await;
    second.send(0, Channel::Consensus, Bytes::from_static(b"before"));
    first.send(1, Channel::Consensus, Bytes::from_static(b"before"));
    assert_eq!(within(first.receive(Channel::Consensus)).await.0, 1);
    assert_eq!(within(second.receive(Channel::Consensus)).await.0, 0);
    first.shutdown().await;
    second.misses(first.name()).await;
    second.send(0, Channel::Consensus, Bytes::from_static(b"while it was away"));
    let listen = vec![address.split("/p2p/").next().unwrap().to_owned()];
    let config = NetworkConfig { listen, ..NetworkConfig::default() };
    let again = Setup { config, ..Setup::authority(0, 2) }.start().await;
    assert_eq!(within(again.receive(Channel::Consensus)).await, (1, Bytes::from_static(b"while it was away")));
    again.send(1, Channel::Consensus, Bytes::from_static(b"after"));
    assert_eq!(within(second.receive(Channel::Consensus)).await, (0, Bytes::from_static(b"after")));
    // The first is shut down: it waits, it does not end.
    nothing(first.receive(Channel::Consensus)).await;
}

/// What came of an attempt to deliver a frame: whether the stream was taken.
async fn deliver(raw: &mut Raw, node: libp2p::PeerId, frame: &[u8]) -> bool {
    let mut stream = raw.open(node, CONSENSUS).await;
    let _ = stream.write_all(frame).await;
    let _ = stream.flush().await;
    let mut taken = [0];
    let taken = tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut taken)).await;
    // Keeps the stream open for as long as reading takes.
    tokio::time::sleep(Duration::from_millis(100)).await;
    matches!(taken, Ok(Ok(())))
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_are_taken_only_from_the_node_that_a_record_and_itself_name() {
    let node = Setup::authority(0, 3).start().await;
    let target = peer_id(node.name());
    let frame = b"\0\0\0\x05hello";

    // A stranger: greets, and is no authority.
    let mut stranger = Raw::start(200).await;
    stranger.dial(&node.address()).await;
    assert_eq!(stranger.hello(target, &Hello::default()).await.unwrap()[0], 0);
    assert!(!deliver(&mut stranger, target, frame).await);

    // An authority whose record names its own node.
    let mut member = Raw::start(201).await;
    member.dial(&node.address()).await;
    let own = Record::sign(&authority_key(1), &member.me, vec![], now());
    let answer = member.hello(target, &Hello { own: Some(own), ..Hello::default() }).await.unwrap();
    assert_eq!(answer[0], 0);
    assert!(deliver(&mut member, target, frame).await);
    assert_eq!(within(node.receive(Channel::Consensus)).await, (1, Bytes::from_static(b"hello")));

    // Another authority gives the stranger's and the member's node out as its own: neither speaks for it.
    let mut liar = Raw::start(202).await;
    liar.dial(&node.address()).await;
    let others = vec![Record::sign(&authority_key(2), &member.me, vec![], now())];
    assert_eq!(liar.hello(target, &Hello { others, ..Hello::default() }).await.unwrap()[0], 0);
    assert!(deliver(&mut member, target, frame).await);
    assert_eq!(within(node.receive(Channel::Consensus)).await.0, 1);
    let others = vec![Record::sign(&authority_key(2), &stranger.me, vec![], now() + 1)];
    assert_eq!(liar.hello(target, &Hello { others, ..Hello::default() }).await.unwrap()[0], 0);
    assert!(!deliver(&mut stranger, target, frame).await);

    // The member moves to another node: the old one does not speak for it any more.
    let mut moved = Raw::start(203).await;
    moved.dial(&node.address()).await;
    let own = Record::sign(&authority_key(1), &moved.me, vec![], now() + 5);
    assert_eq!(moved.hello(target, &Hello { own: Some(own), ..Hello::default() }).await.unwrap()[0], 0);
    assert!(!deliver(&mut member, target, frame).await);
    assert!(deliver(&mut moved, target, frame).await);
    assert_eq!(within(node.receive(Channel::Consensus)).await.0, 1);

    // Lengths out of bounds end the stream and deliver nothing.
    for head in [[0xff; 4], [0; 4], (24u32 * 1024 * 1024 + 1).to_be_bytes()] {
        let mut stream = moved.open(target, CONSENSUS).await;
        stream.read_exact(&mut [0]).await.unwrap();
        stream.write_all(&head).await.unwrap();
        stream.flush().await.unwrap();
        let ended = within(stream.read(&mut [0])).await;
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    }
    nothing(node.receive(Channel::Consensus)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_record_ends_the_connection_and_teaches_nothing() {
    let node = Setup::authority(0, 2).start().await;
    let target = peer_id(node.name());
    let goodbye = |why| Some(vec![1, why]);
    for (seed, forge) in [(210u8, 0), (211, 1), (212, 2), (213, 3)] {
        let mut raw = Raw::start(seed).await;
        raw.dial(&node.address()).await;
        let good = Record::sign(&authority_key(1), &raw.me, vec![], now());
        let mut hello = Hello::default();
        match forge {
            // Signed with another key than it names.
            0 => {
                let mut record = Record::sign(&authority_key(3), &raw.me, vec![], now());
                record.content.authority = authority_key(1).public().0;
                hello.own = Some(record);
            }
            // A field changed.
            1 => {
                let mut record = good;
                record.content.sequence += 1;
                hello.others = vec![record];
            }
            // Somebody else's record as its own.
            2 => {
                let other = Raw::start(214).await;
                hello.own = Some(Record::sign(&authority_key(1), &other.me, vec![], now()));
            }
            // More records than are allowed.
            _ => hello.others = vec![good; 65],
        }
        assert_eq!(raw.hello(target, &hello).await, goodbye(3), "{forge}");
    }
    assert!(node.peers().borrow().is_empty());
    // Who did so is not let in again soon: its next connection is closed at once.
    let mut raw = Raw::start(211).await;
    raw.dial(&node.address()).await;
    within(raw.closed()).await;
    // Another network, another version, and no greeting at all, each with its reason.
    let mut raw = Raw::start(220).await;
    raw.dial(&node.address()).await;
    assert_eq!(raw.hello(target, &Hello { network: [2; 32], ..Hello::default() }).await, goodbye(0));
    let mut raw = Raw::start(221).await;
    raw.dial(&node.address()).await;
    assert_eq!(raw.hello(target, &Hello { version: 2, ..Hello::default() }).await, goodbye(1));
    let mut raw = Raw::start(222).await;
    raw.dial(&node.address()).await;
    assert_eq!(raw.greet_with(target, b"what?").await, goodbye(3));
    // A key that is not of the committee makes a plain peer.
    let mut raw = Raw::start(223).await;
    raw.dial(&node.address()).await;
    let own = Some(Record::sign(&authority_key(9), &raw.me, vec![], now()));
    assert_eq!(raw.hello(target, &Hello { own, ..Hello::default() }).await.unwrap()[0], 0);
    let mut peers = node.peers();
    let peers = within(peers.wait_for(|peers| !peers.is_empty())).await.unwrap().clone();
    assert_eq!((peer_id(peers[0].name), peers[0].authority), (raw.me, None));
}
