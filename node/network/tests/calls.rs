//! Calls and their limits.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use pyrsia_network::{CallError, Method, Refusal, node_id};
use support::raw::{Hello, Raw, peer_id};
use support::{Setup, within};

const CALL: &str = "/pyrsia-maven/call/1";

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_answered_and_the_provider_knows_who_called() {
    let first = Setup::authority(0, 2).start().await;
    let second = Setup::authority(1, 2).bootstrap(first.address()).start().await;
    let plain = Setup::plain(30, 2).bootstrap(first.address()).start().await;
    second.knows(&[0]).await;
    plain.knows(&[0, 1]).await;
    let who = Bytes::from_static(b"who");
    let answer = plain.call(&first.name(), Method::Blocks, who.clone()).await.unwrap();
    assert_eq!(answer, format!("{} None Blocks", plain.name()));
    let answer = second.call(&first.name(), Method::Sign, who.clone()).await.unwrap();
    assert_eq!(answer, format!("{} Some(1) Sign", second.name()));
    // And the other way, over a connection that the other side made.
    first.sees(&plain).await;
    let answer = first.call(&plain.name(), Method::Specification, who).await.unwrap();
    assert_eq!(answer, format!("{} Some(0) Specification", first.name()));
    // As long as may be, and empty.
    for method in Method::ALL {
        let limits = method.limits();
        let body = Bytes::from(vec![3; limits.request.min(limits.answer)]);
        assert_eq!(plain.call(&first.name(), method, body.clone()).await.unwrap(), body);
        let long = plain.call(&first.name(), method, Bytes::from_static(b"long")).await.unwrap();
        assert_eq!(long.len(), limits.answer);
        assert_eq!(plain.call(&first.name(), method, Bytes::new()).await.unwrap(), Bytes::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_limits_are_typed() {
    let first = Setup::authority(0, 1).start().await;
    let plain = Setup::plain(30, 1).bootstrap(first.address()).start().await;
    plain.knows(&[0]).await;
    let name = first.name();
    let call = |body: &'static [u8]| plain.call(&name, Method::Entry, Bytes::from_static(body));
    assert!(matches!(call(b"refuse").await, Err(CallError::Refused(Refusal::NotAllowed(why))) if why == "not you"));
    assert!(matches!(call(b"too long").await, Err(CallError::Refused(Refusal::Failed(_)))));
    let body = vec![0; Method::Entry.limits().request + 1].into();
    let error = plain.call(&first.name(), Method::Entry, body).await;
    assert!(matches!(error, Err(CallError::RequestTooLarge { actual: 65537, limit: 65536 })));
    // A name that nobody has is known at once.
    let before = Instant::now();
    let error = plain.call(&node_id(&[99; 32]), Method::Entry, Bytes::new()).await;
    assert!(matches!(error, Err(CallError::NotConnected)) && before.elapsed() < Duration::from_secs(1));
    first.shutdown().await;
    plain.misses(first.name()).await;
    plain.shutdown().await;
    let error = plain.call(&first.name(), Method::Entry, Bytes::new()).await;
    assert!(matches!(error, Err(CallError::NotConnected)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_is_served_up_to_the_limit_of_a_peer_and_the_rest_is_told_that_it_is_busy() {
    let first = Arc::new(Setup::authority(0, 1).start().await);
    let plain = Arc::new(Setup::plain(30, 1).bootstrap(first.address()).start().await);
    let other = Setup::plain(31, 1).bootstrap(first.address()).start().await;
    plain.knows(&[0]).await;
    other.knows(&[0]).await;
    let waiting: Vec<_> = (0..16)
        .map(|_| {
            let (plain, to) = (plain.clone(), first.name());
            tokio::spawn(async move { plain.call(&to, Method::Blocks, Bytes::from_static(b"wait")).await })
        })
        .collect();
    within(async {
        while first.answers.called.load(Ordering::SeqCst) < 16 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    let error = plain.call(&first.name(), Method::Blocks, Bytes::new()).await;
    assert!(matches!(error, Err(CallError::Refused(Refusal::Busy))), "{error:?}");
    // Others have places of their own.
    other.call(&first.name(), Method::Blocks, Bytes::new()).await.unwrap();
    first.answers.release.notify_waiters();
    for call in waiting {
        within(call).await.unwrap().unwrap();
    }
    plain.call(&first.name(), Method::Blocks, Bytes::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_frees_its_place() {
    let first = Setup::authority(0, 1).start().await;
    let plain = Setup::plain(30, 1).bootstrap(first.address()).start().await;
    plain.knows(&[0]).await;
    let name = first.name();
    for _ in 0..40 {
        let call = plain.call(&name, Method::Blocks, Bytes::from_static(b"never"));
        assert!(tokio::time::timeout(Duration::from_millis(20), call).await.is_err());
    }
    within(async {
        while plain.call(&first.name(), Method::Blocks, Bytes::new()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_caller_gets_refusals_and_one_that_did_not_greet_gets_nothing() {
    let node = Setup::authority(0, 1).start().await;
    let target = peer_id(node.name());
    let mut raw = Raw::start(200).await;
    raw.dial(&node.address()).await;
    // Not greeted yet: the call waits until it has.
    let mut early = raw.open(target, CALL).await;
    early.write_all(b"\x02\0\0\0\x03hey").await.unwrap();
    early.flush().await.unwrap();
    let mut byte = [0];
    assert!(tokio::time::timeout(Duration::from_millis(200), early.read_exact(&mut byte)).await.is_err());
    assert_eq!(raw.hello(target, &Hello::default()).await.unwrap()[0], 0);
    let mut answer = Vec::new();
    within(early.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"\xff\0\0\0\0\x03hey");
    // An unknown method, a length beyond the limit (of which nothing is read).
    for (head, status) in [(*b"\x63\0\0\0\0", 7), (*b"\x02\0\x01\0\x01", 6), (*b"\x02\xff\xff\xff\xff", 6)] {
        let mut stream = raw.open(target, CALL).await;
        stream.write_all(&head).await.unwrap();
        stream.flush().await.unwrap();
        let mut answer = Vec::new();
        within(stream.read_to_end(&mut answer)).await.unwrap();
        assert_eq!(answer, [255, status, 0, 0, 0, 0]);
    }
    assert_eq!(node.answers.called.load(Ordering::SeqCst), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_answers_are_errors_and_a_stream_that_is_dropped_unseen_is_tried_again() {
    let mut raw = Raw::start(200).await;
    raw.answer_hellos(Hello::default());
    let mut calls = raw.accept(CALL);
    let plain = Setup::plain(30, 1).bootstrap(raw.address.to_string()).start().await;
    let mut peers = plain.peers();
    within(peers.wait_for(|peers| !peers.is_empty())).await.unwrap();
    let name = plain.peers().borrow()[0].name;
    let answers: [&'static [u8]; 7] = [
        b"",                     // dropped: tried again
        b"\xff\0\0\0\x10\x01",   // longer than an answer of Entry may be
        b"\xff\x63\0\0\0\0",     // no such status
        b"\xff\0\0\0\0\x05four", // ends early
        b"\xff",                 // ends after it was taken: not tried again
        b"\x05\0\0\x02\x01",     // a text too long
        b"\x05\0\0\0\x03why",
    ];
    let script = tokio::spawn(async move {
        for answer in answers {
            let (_, mut stream) = calls.next().await.unwrap();
            stream.write_all(answer).await.unwrap();
            stream.close().await.unwrap();
        }
    });
    let call = || plain.call(&name, Method::Entry, Bytes::from_static(b"hey"));
    let results = [call().await, call().await, call().await, call().await, call().await, call().await];
    let [long, unknown, early, taken, text, why] = results;
    assert!(matches!(long, Err(CallError::AnswerTooLarge { actual: 4097, limit: 4096 })), "{long:?}");
    assert!(matches!(unknown, Err(CallError::Malformed)), "{unknown:?}");
    assert!(matches!(early, Err(CallError::Broken(_))), "{early:?}");
    assert!(matches!(taken, Err(CallError::Broken(_))), "{taken:?}");
    assert!(matches!(text, Err(CallError::AnswerTooLarge { limit: 512, .. })), "{text:?}");
    assert!(matches!(why, Err(CallError::Refused(Refusal::Failed(text))) if text == "why"));
    script.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_long_answers_gets_no_more_of_them_and_takes_none_from_others() {
    let first = Setup::authority(0, 2).start().await;
    let second = Setup::authority(1, 2).bootstrap(first.address()).start().await;
    second.knows(&[0]).await;
    let target = peer_id(first.name());
    let mut raw = Raw::start(200).await;
    raw.dial(&first.address()).await;
    assert_eq!(raw.hello(target, &Hello::default()).await.unwrap()[0], 0);
    let mut unread = Vec::new();
    let mut ask = async || {
        let mut stream = raw.open(target, CALL).await;
        stream.write_all(b"\x01\0\0\0\x04long").await.unwrap();
        stream.flush().await.unwrap();
        // That it was taken, and the status.
        let mut head = [0; 2];
        within(stream.read_exact(&mut head)).await.unwrap();
        assert_eq!(head[0], 255);
        unread.push(stream);
        head[1]
    };
    assert_eq!([ask().await, ask().await, ask().await], [0, 0, 5], "the third one failed, for lack of room");
    let long = second.call(&first.name(), Method::Blocks, Bytes::from_static(b"long")).await.unwrap();
    assert_eq!(long.len(), Method::Blocks.limits().answer);
}
