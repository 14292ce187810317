//! A network in which nothing happens.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use pyrsia_network::Channel;
use support::{Setup, within};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Passes connections on and counts their bytes.
async fn counter(to: String) -> (String, Arc<AtomicU64>) {
    let count = Arc::new(AtomicU64::new(0));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("/ip4/127.0.0.1/tcp/{}", listener.local_addr().unwrap().port());
    let counted = count.clone();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(&to).await.unwrap();
            let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
            for (mut from, mut to) in [(near_read, far_write), (far_read, near_write)] {
                let counted = counted.clone();
                tokio::spawn(async move {
                    let mut buffer = [0; 4096];
                    while let Ok(length @ 1..) = from.read(&mut buffer).await {
                        counted.fetch_add(length as u64, Ordering::SeqCst);
                        let Ok(()) = to.write_all(&buffer[..length]).await else { break };
                    }
                });
            }
        }
    });
    (address, count)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_carries_next_to_nothing_between_its_pings() {
    let mut setup = Setup::authority(0, 2);
    setup.config.external = vec!["/ip4/127.0.0.1/tcp/1".into()];
    let first = setup.start().await;
    let port = first.address().split('/').nth(4).unwrap().to_owned();
    let (address, bytes) = counter(format!("127.0.0.1:{port}")).await;
    // Dials only, so that the counted connection is the only one.
    let mut setup = Setup::authority(1, 2).bootstrap(address);
    setup.config.listen.clear();
    let second = setup.start().await;
    second.knows(&[0]).await;
    first.knows(&[1]).await;
    // A link is in use, and stays open.
    first.send(1, Channel::Consensus, Bytes::from_static(b"x"));
    second.send(0, Channel::Consensus, Bytes::from_static(b"x"));
    within(first.receive(Channel::Consensus)).await;
    within(second.receive(Channel::Consensus)).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let before = bytes.load(Ordering::SeqCst);
    assert!(before > 0);
    tokio::time::sleep(Duration::from_secs(2)).await;
    // Not even a ping falls into this time; the multiplexer may have something to say of its own, 30 bytes a time. A
    // greeting or a message would be more.
    let since = bytes.load(Ordering::SeqCst) - before;
    assert!(since <= 120, "{since} bytes");
}
