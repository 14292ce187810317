//! Checksums that are computed when they are asked for, or a moment later.

use super::*;

#[tokio::test]
async fn checksums_that_nobody_has_computed_are_computed_when_they_are_asked_for() {
    let (w, peers) = with_these_peers(native_release(), FakeOrigin { name_alone: true, ..FakeOrigin::default() });
    peers.put(JAR, b"built");
    let all = FileDigests::of(b"built");
    let Answer::File(file) = w.get(JAR).await else { panic!("a file") };
    assert_eq!((file.digests.sha256, file.digests.size), (all.sha256, all.size));
    assert_eq!(file.digests.others, None, "the file does not wait for them");
    assert_eq!(w.bytes(&format!("{JAR}.sha256")).await, all.sha256.to_string().as_bytes());
    let asked = [format!("{JAR}.sha1"), format!("{JAR}.md5"), format!("{JAR}.sha512")];
    let [sha1, md5, sha512] = asked.each_ref().map(|path| w.bytes(path));
    let (sha1, md5, sha512) = tokio::join!(sha1, md5, sha512);
    assert_eq!(sha1, all.sha1.to_string().into_bytes());
    assert_eq!(md5, all.md5.to_string().into_bytes());
    assert_eq!(sha512, all.sha512.to_string().into_bytes());
    // They are known from then on, with the file itself too.
    let record = w.index.file(&JAR.parse().unwrap()).unwrap().unwrap();
    assert_eq!(record.digests, all);
    let Answer::File(file) = w.get(JAR).await else { panic!("a file") };
    assert_eq!(file.digests, all);
}

#[tokio::test]
async fn the_rest_of_the_digests_comes_by_itself_and_bytes_that_got_lost_meanwhile_are_said_to_be() {
    let (w, peers) = with_these_peers(native_release(), FakeOrigin { name_alone: true, ..FakeOrigin::default() });
    peers.put(JAR, b"built");
    let Answer::File(_) = w.get(JAR).await else { panic!("a file") };
    let known = async {
        while w.index.file(&JAR.parse().unwrap()).unwrap().unwrap().digests.others.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), known).await.expect("without anybody asking");

    let path = JAR.parse().unwrap();
    let gone = w.repository.inner.local.complete(&path, Sha256::of(b"never had")).await;
    assert!(matches!(gone, Err(RepositoryError::BytesMissing { .. })), "{gone:?}");
}

#[tokio::test]
async fn a_node_that_was_stopped_too_early_computes_the_rest_at_the_next_start() {
    let (w, _) = with_peers(native_release());
    let all = FileDigests::of(b"built");
    let path: RepoPath = JAR.parse().unwrap();
    w.blobs.put_bytes(b"built").unwrap();
    let record = FileRecord {
        path: path.clone(),
        digests: pyrsia_digest::KnownDigests { others: None, ..all.clone().into() },
        origin: "peers".to_owned(),
        verified_by: String::new(),
        last_modified: None,
        first_seen: 1,
        last_use: 1,
    };
    w.index.put_file(record).unwrap();
    let Answer::File(file) = w.get(JAR).await else { panic!("a file") };
    assert_eq!(file.digests, all);
    assert_eq!(w.index.file(&path).unwrap().unwrap().digests, all);
}
