//! Files by digest.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::time::Duration;

use bytes::Bytes;
use futures_util::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use pyrsia_digest::Sha256;
use pyrsia_network::{BlobError, BlobSink, Network, PeerName};
use support::raw::{Hello, Raw, peer_id};
use support::{Setup, within};

const BLOB: &str = "/pyrsia-maven/blob/1";

/// Keeps what came in memory.
#[derive(Default)]
struct Memory {
    declared: Option<u64>,
    content: Vec<u8>,
}

#[async_trait::async_trait]
impl BlobSink for Memory {
    async fn begin(&mut self, size: u64) -> std::io::Result<()> {
        assert_eq!(self.declared.replace(size), None, "there is one beginning");
        Ok(())
    }

    async fn piece(&mut self, piece: Bytes) -> std::io::Result<()> {
        self.content.extend_from_slice(&piece);
        Ok(())
    }

    async fn end(&mut self) -> std::io::Result<Sha256> {
        Ok(Sha256::of(&self.content))
    }
}

async fn fetch(node: &Network, from: PeerName, sha256: &Sha256, max: u64) -> Result<Vec<u8>, BlobError> {
    let mut memory = Memory::default();
    let size = within(node.blob(&from, sha256, max, &mut memory)).await?;
    assert_eq!((memory.declared, memory.content.len() as u64), (Some(size), size));
    Ok(memory.content)
}

/// A disk that is full after so many bytes.
struct Full(usize);

#[async_trait::async_trait]
impl BlobSink for Full {
    async fn begin(&mut self, _size: u64) -> std::io::Result<()> {
        Ok(())
    }

    async fn piece(&mut self, piece: Bytes) -> std::io::Result<()> {
        self.0 = self.0.checked_sub(piece.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(())
    }

    async fn end(&mut self) -> std::io::Result<Sha256> {
        panic!("not all has come")
    }
}

/// Bytes that do not repeat.
fn content(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_comes_whole_whatever_its_size_and_what_is_not_there_is_said_to_be_so() {
    let mut setup = Setup::authority(0, 1);
    let sizes = [0, 1, 256 * 1024 - 1, 256 * 1024, 256 * 1024 + 1, 3_000_001];
    let files: Vec<Vec<u8>> = sizes.into_iter().map(content).collect();
    for (name, file) in files.iter().enumerate() {
        setup.blob(&name.to_string(), file, Sha256::of(file), file.len() as u64);
    }
    // Files that are not what the provider says: another length, other bytes, gone.
    let (long, other, gone) = (Sha256::of(b"long"), Sha256::of(b"other"), Sha256::of(b"gone"));
    setup.blob("long", b"longer", long, 4);
    setup.blob("other", b"bytes", other, 5);
    setup.blob("gone", b"gone", gone, 4);
    std::fs::remove_file(setup.folder.path().join("gone")).unwrap();
    let first = setup.start().await;
    let plain = Setup::plain(30, 1).bootstrap(first.address()).start().await;
    plain.knows(&[0]).await;
    let from = first.name();
    for file in &files {
        let size = file.len() as u64;
        assert_eq!(&fetch(&plain, from, &Sha256::of(file), size).await.unwrap(), file);
        if size > 0 {
            let error = fetch(&plain, from, &Sha256::of(file), size - 1).await;
            assert!(matches!(error, Err(BlobError::TooLarge { actual, limit }) if actual == size && limit == size - 1));
        }
    }
    for missing in [long, gone, Sha256::of(b"never heard of")] {
        assert!(matches!(fetch(&plain, from, &missing, 100).await, Err(BlobError::NotFound)));
    }
    assert!(matches!(fetch(&plain, from, &other, 100).await, Err(BlobError::WrongDigest)));
    let large = Sha256::of(&files[5]);
    let full = within(plain.blob(&from, &large, 4_000_000, &mut Full(1_000_000))).await;
    assert!(matches!(full, Err(BlobError::Write(error)) if error.kind() == std::io::ErrorKind::StorageFull));
    assert_eq!(fetch(&plain, from, &large, 4_000_000).await.unwrap(), files[5], "the connection is none the worse");
    let nobody = pyrsia_network::node_id(&[99; 32]);
    assert!(matches!(fetch(&plain, nobody, &other, 100).await, Err(BlobError::NotConnected)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_before_the_size_other_bytes_and_nonsense_are_errors() {
    let mut raw = Raw::start(200).await;
    raw.answer_hellos(Hello::default());
    let mut asked = raw.accept(BLOB);
    let plain = Setup::plain(30, 1).bootstrap(raw.address.to_string()).start().await;
    let mut peers = plain.peers();
    within(peers.wait_for(|peers| !peers.is_empty())).await.unwrap();
    let name = plain.peers().borrow()[0].name;
    let digest = Sha256::of(b"hello");
    let answers: [&'static [u8]; 8] = [
        b"\0\0\0\0\0\0\0\0\x05hell",           // a clean end, too early
        b"\0\0\0\0\0\0\0\0\x05",               // the same without a byte
        b"\0\0\0\0\0\0\0\0\x05hellO",          // other bytes
        b"\0\xff\xff\xff\xff\xff\xff\xff\xff", // more than anybody wants
        b"\x02",                               // busy
        b"\x07",                               // no such answer
        b"",                                   // dropped: asked again
        b"\0\0\0\0\0\0\0\0\x05hello",
    ];
    let script = tokio::spawn(async move {
        for answer in answers {
            let (_, mut stream) = asked.next().await.unwrap();
            let mut request = [0; 32];
            stream.read_exact(&mut request).await.unwrap();
            assert_eq!(&request, Sha256::of(b"hello").as_bytes());
            stream.write_all(answer).await.unwrap();
            stream.close().await.unwrap();
        }
    });
    let get = || fetch(&plain, name, &digest, 1000);
    assert!(matches!(get().await, Err(BlobError::Truncated { received: 4, size: 5, .. })));
    assert!(matches!(get().await, Err(BlobError::Truncated { received: 0, size: 5, .. })));
    assert!(matches!(get().await, Err(BlobError::WrongDigest)));
    assert!(matches!(get().await, Err(BlobError::TooLarge { actual: u64::MAX, limit: 1000 })));
    assert!(matches!(get().await, Err(BlobError::Busy)));
    assert!(matches!(get().await, Err(BlobError::Malformed)));
    assert_eq!(get().await.unwrap(), b"hello");
    script.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_has_four_transfers_at_a_time() {
    let mut setup = Setup::authority(0, 1);
    // Longer than any buffer on the way, so that a transfer that is not read stays.
    let file = content(6 << 20);
    let digest = Sha256::of(&file);
    setup.blob("long", &file, digest, file.len() as u64);
    let node = setup.start().await;
    let target = peer_id(node.name());
    let mut raw = Raw::start(200).await;
    raw.dial(&node.address()).await;
    raw.hello(target, &Hello::default()).await.unwrap();
    let mut streams = Vec::new();
    for _ in 0..4 {
        let mut stream = raw.open(target, BLOB).await;
        stream.write_all(digest.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut head = [9; 9];
        within(stream.read_exact(&mut head)).await.unwrap();
        assert_eq!(head[0], 0);
        streams.push(stream);
    }
    let mut fifth = raw.open(target, BLOB).await;
    let _ = fifth.write_all(digest.as_bytes()).await;
    let _ = fifth.flush().await;
    let mut status = [9];
    within(fifth.read_exact(&mut status)).await.unwrap();
    assert_eq!(status, [2]);
    // A transfer that is given up frees its place.
    drop(streams.pop());
    let again = async {
        loop {
            let mut stream = raw.open(target, BLOB).await;
            let _ = stream.write_all(digest.as_bytes()).await;
            let _ = stream.flush().await;
            let mut status = [9];
            if stream.read_exact(&mut status).await.is_ok() && status == [0] {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(again).await;
}
