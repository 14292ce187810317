//! What comes from peers, and what of it is believed; and the order of those who are asked.

use super::*;

#[tokio::test]
async fn a_native_file_comes_ask_peers_alone() {
    let (w, peers) = with_peers(native_release());
    w.origin.put(JAR, b"hijacked");
    peers.put(JAR, b"built");
    let document = metadata::parse(&w.bytes(META).await).unwrap();
    assert_eq!(document.versions, ["1.0".parse().unwrap()], "what peers may have can be served");
    assert_eq!(w.bytes(JAR).await, b"built");
    assert_eq!(w.bytes(JAR).await, b"built");
    assert_eq!((peers.asked(), w.origin.asked()), (1, 0), "asked once, and never upstream");
}

#[tokio::test]
async fn other_bytes_of_a_peer_are_never_served() {
    let (w, peers) = with_peers(native_release());
    peers.put(JAR, b"planted");
    assert!(matches!(w.try_get(JAR).await, Err(RepositoryError::BytesMissing { .. })));
    peers.down(Some("500"));
    assert!(matches!(w.try_get(JAR).await, Err(RepositoryError::BytesMissing { .. })), "a failing peer is no absence");
    peers.down(None);
    peers.put(JAR, b"built");
    assert_eq!(w.bytes(JAR).await, b"built");
}

#[tokio::test]
async fn who_is_busy_is_waited_for_only_where_nobody_else_has_the_file() {
    let busy = || FakeOrigin { busy: true, ..FakeOrigin::default() };
    let (w, peers) = with_these_peers(identical(b"same"), busy());
    w.origin.put(JAR, b"same");
    peers.put(JAR, b"same");
    assert_eq!(w.bytes(JAR).await, b"same");
    assert_eq!((peers.asked(), w.origin.asked()), (0, 1), "upstream has it too");

    let waited = |peers: &FakeOrigin| peers.waited.load(Ordering::SeqCst);
    let (w, peers) = with_these_peers(identical(b"same"), busy());
    w.origin.down(Some("500"));
    peers.put(JAR, b"same");
    assert_eq!(w.bytes(JAR).await, b"same");
    assert_eq!((waited(&peers), w.origin.asked()), (1, 1), "upstream failed, so there is nobody else");
    let (w, peers) = with_these_peers(identical(b"same"), busy());
    w.origin.put(JAR, b"other");
    peers.put(JAR, b"same");
    assert_eq!(w.bytes(JAR).await, b"same", "upstream has other bytes");
    assert_eq!(waited(&peers), 1);

    let (w, peers) = with_these_peers(native_release(), busy());
    peers.put(JAR, b"built");
    assert_eq!(w.bytes(JAR).await, b"built");
    assert_eq!((waited(&peers), w.origin.asked()), (1, 0), "a native file is nowhere else");
}

#[tokio::test]
async fn an_upstream_that_cannot_be_spoken_to_is_asked_after_the_others_for_a_while() {
    let second = Arc::new(FakeOrigin { name: Some("second"), ..FakeOrigin::default() });
    let more: Arc<dyn Origin> = second.clone();
    let w = world_with(Policy::Mirror, TestLedger::default(), FakeOrigin::default(), vec![more]);
    let jar = |version: &str| format!("org/acme/lib/{version}/lib-{version}.jar");
    for version in ["1", "2", "3", "5", "6"] {
        second.put(&jar(version), b"of the second");
    }
    w.origin.down(Some("idle"));
    assert_eq!(w.bytes(&jar("1")).await, b"of the second");
    assert_eq!(w.bytes(&jar("2")).await, b"of the second");
    assert_eq!(w.origin.asked(), 1, "it is not gone through all its attempts for every file");
    // What only the first may have still fails, and is not absent.
    assert!(matches!(w.try_get(&jar("4")).await, Err(RepositoryError::Upstream { .. })));
    assert_eq!(w.origin.asked(), 2);
    w.origin.down(None);
    w.origin.put(&jar("3"), b"of the first");
    w.pass(31);
    assert_eq!(w.bytes(&jar("3")).await, b"of the first", "the order is as it was");
    // A failure that is about one file says nothing about the upstream.
    w.origin.down(Some("500"));
    assert_eq!(w.bytes(&jar("5")).await, b"of the second");
    assert_eq!(w.bytes(&jar("6")).await, b"of the second");
    assert_eq!(w.origin.asked(), 5);
}

#[tokio::test]
async fn peers_are_not_asked_for_what_nobody_knows_the_digest_of() {
    let (w, peers) = with_peers(TestLedger::default());
    peers.put(JAR, b"from a peer");
    peers.put(META, b"from a peer");
    assert_eq!(w.get(JAR).await, Answer::Absent);
    assert_eq!(w.get(META).await, Answer::Absent);
    assert_eq!(peers.asked(), 0);
}

#[tokio::test]
async fn what_was_first_seen_upstream_can_come_back_ask_peers() {
    let (w, peers) = with_peers(TestLedger::default());
    w.origin.put(JAR, b"first seen");
    assert_eq!(w.bytes(JAR).await, b"first seen");
    let sha256 = Sha256::of(b"first seen");
    std::fs::remove_file(w.blobs.get(&sha256).unwrap()).unwrap();
    w.origin.take(JAR);
    peers.put(JAR, b"first seen");
    assert_eq!(w.bytes(JAR).await, b"first seen");
}
