use std::sync::Arc;

use pyrsia_digest::{FileDigests, Sha256};

use futures_util::future::join_all;
use maven_layout::ChecksumAlgorithm;

use super::*;
use crate::download::BY_CALLER;
use crate::test_server::{Reply, TestServer};
use crate::{ChecksumReport, ChecksumSource};

const JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";
const BYTES: &[u8] = b"the bytes of a jar";

struct Scene {
    server: TestServer,
    dir: tempfile::TempDir,
    blobs: BlobStore,
}

impl Scene {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(dir.path().join("blobs")).unwrap();
        Self { server: TestServer::start().await, dir, blobs }
    }

    fn origin(&self, config: HttpConfig) -> HttpOrigin {
        HttpOrigin::new("test", &self.server.url, config).unwrap()
    }

    async fn fetch_with(&self, config: HttpConfig, path: &str) -> Result<OriginAnswer, FetchError> {
        self.origin(config).fetch(&path.parse().unwrap(), &Expected::default(), &self.blobs).await
    }

    async fn fetch(&self, path: &str) -> Result<OriginAnswer, FetchError> {
        self.fetch_with(quick(), path).await
    }

    async fn fetch_expecting(&self, expected: Expected) -> Result<OriginAnswer, FetchError> {
        self.origin(quick()).fetch(&JAR.parse().unwrap(), &expected, &self.blobs).await
    }

    /// The file with all of its checksum files.
    fn publish(&self, path: &str, bytes: &'static [u8]) {
        self.server.on(path, [Reply::ok(bytes)]);
        self.publish_checksums(path, bytes);
    }

    fn publish_checksums(&self, path: &str, bytes: &[u8]) {
        for algorithm in ChecksumAlgorithm::ALL {
            let text = format!("{}  {path}\n", FileDigests::of(bytes).checksum(algorithm));
            self.server.on(&format!("{path}.{}", algorithm.extension()), [Reply::ok(text)]);
        }
    }

    #[track_caller]
    fn assert_nothing_stored(&self) {
        assert_eq!(self.blobs.digests().unwrap().count(), 0, "no blob may be visible");
        let temps = std::fs::read_dir(self.dir.path().join("blobs/tmp")).unwrap().count();
        assert_eq!(temps, 0, "no temporary file may be left");
    }
}

/// Short pauses, so that the tests are quick; the limits that a test is about it sets itself.
fn quick() -> HttpConfig {
    HttpConfig { min_backoff_ms: 1, max_backoff_ms: 5, idle_timeout_ms: 5_000, ..HttpConfig::default() }
}

fn found(answer: Result<OriginAnswer, FetchError>) -> (pyrsia_blobs::StoredBlob, Option<u64>, ChecksumReport) {
    match answer.unwrap() {
        OriginAnswer::Found { stored, last_modified, checksums } => (stored, last_modified, checksums),
        OriginAnswer::Absent => panic!("absent"),
    }
}

#[tokio::test]
async fn a_file_with_all_checksums() {
    let scene = Scene::new().await;
    scene.publish(JAR, BYTES);
    scene.server.on(JAR, [Reply::ok(BYTES).header("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")]);
    let (stored, last_modified, checksums) = found(scene.fetch(JAR).await);
    assert_eq!(stored.digests, FileDigests::of(BYTES));
    assert_eq!(std::fs::read(&stored.path).unwrap(), BYTES);
    assert_eq!(last_modified, Some(784_111_777));
    assert_eq!(checksums.to_string(), "sha1");
    assert!(checksums.missing.is_empty() && checksums.unreadable.is_empty() && !checksums.is_unverified());
    assert_eq!(scene.server.requests().len(), 2);
}

#[tokio::test]
async fn missing_checksums_are_allowed_and_reported() {
    let scene = Scene::new().await;
    scene.server.on(JAR, [Reply::ok(BYTES)]);
    scene.server.on(&format!("{JAR}.sha512"), [Reply::status(403)]);
    let (_, _, checksums) = found(scene.fetch(JAR).await);
    use ChecksumAlgorithm::{Md5, Sha1, Sha256, Sha512};
    assert_eq!(checksums.missing, [Sha1, Sha256, Sha512, Md5]);
    assert!(checksums.is_unverified());
    assert_eq!(checksums.to_string(), "");

    // The others are asked for only when the usual one is not there.
    scene.publish(JAR, BYTES);
    scene.server.on(&format!("{JAR}.sha1"), [Reply::status(404)]);
    assert_eq!(found(scene.fetch(JAR).await).2.to_string(), "sha256,sha512,md5");
    for missing in ["sha1", "sha256", "sha512"] {
        scene.server.on(&format!("{JAR}.{missing}"), [Reply::status(404)]);
    }
    let (_, _, checksums) = found(scene.fetch(JAR).await);
    assert_eq!(checksums.verified, [(Md5, ChecksumSource::File)]);
}

#[tokio::test]
async fn headers_save_requests_and_are_checked() {
    let scene = Scene::new().await;
    scene.publish(JAR, BYTES);
    let sha1 = FileDigests::of(BYTES).sha1.to_string();
    scene.server.on(JAR, [Reply::ok(BYTES).header("x-checksum-sha1", sha1).header("x-checksum-md5", "junk")]);
    let (_, _, checksums) = found(scene.fetch(JAR).await);
    assert_eq!(checksums.verified[0], (ChecksumAlgorithm::Sha1, ChecksumSource::Header));
    assert_eq!(checksums.to_string(), "sha1");
    assert_eq!(scene.server.requests(), [JAR], "no checksum file is asked for");

    let scene = Scene::new().await;
    scene.publish(JAR, BYTES);
    let wrong = FileDigests::of(b"other").md5.to_string();
    scene.server.on(JAR, [Reply::ok(BYTES).header("x-checksum-md5", wrong)]);
    assert!(matches!(scene.fetch(JAR).await, Err(FetchError::Mismatch { by, .. }) if by.contains("x-checksum-md5")));
    scene.assert_nothing_stored();
}

#[tokio::test]
async fn a_wrong_checksum_is_tried_once_more_and_then_fails() {
    for extension in ["sha1", "sha256", "sha512"] {
        let scene = Scene::new().await;
        scene.publish(JAR, BYTES);
        scene.publish_checksums("other", b"other bytes");
        if extension != "sha1" {
            scene.server.on(&format!("{JAR}.sha1"), [Reply::status(404)]);
        }
        let name = format!("{JAR}.{extension}");
        let algorithm = ChecksumAlgorithm::ALL.into_iter().find(|a| a.extension() == extension).unwrap();
        scene.server.on(&name, [Reply::ok(FileDigests::of(b"other").checksum(algorithm))]);
        let error = scene.fetch(JAR).await.unwrap_err();
        assert!(matches!(&error, FetchError::Mismatch { by, .. } if by.contains(extension)), "{error}");
        assert!(!error.is_transient());
        assert_eq!(scene.server.count(JAR), 2);
        scene.assert_nothing_stored();
    }
    // The second time it is right: a mirror was being updated.
    let scene = Scene::new().await;
    scene.publish(JAR, BYTES);
    scene.server.on(JAR, [Reply::ok("the bytes of a jaR"), Reply::ok(BYTES)]);
    assert_eq!(found(scene.fetch(JAR).await).0.digests, FileDigests::of(BYTES));
    assert!(!scene.blobs.has(&Sha256::of(b"the bytes of a jaR")));
}

#[tokio::test]
async fn checksum_files_without_a_checksum() {
    let scene = Scene::new().await;
    scene.publish(JAR, BYTES);
    scene.server.on(&format!("{JAR}.sha1"), [Reply::ok("<html>it works</html>")]);
    scene.server.on(&format!("{JAR}.sha512"), [Reply::endless()]);
    let (_, _, checksums) = found(scene.fetch(JAR).await);
    assert_eq!(checksums.unreadable, [ChecksumAlgorithm::Sha1, ChecksumAlgorithm::Sha512]);
    assert_eq!(checksums.to_string(), "sha256,md5");

    // Somebody got it wrong long ago: the file is what there is.
    for malformed in ["nothing", "", &FileDigests::of(BYTES).checksum(ChecksumAlgorithm::Sha1)[..39]] {
        let scene = Scene::new().await;
        scene.server.on(JAR, [Reply::ok(BYTES)]);
        scene.server.on(&format!("{JAR}.sha1"), [Reply::ok(malformed.to_owned())]);
        let (stored, _, checksums) = found(scene.fetch(JAR).await);
        assert_eq!(stored.digests, FileDigests::of(BYTES));
        assert!(checksums.is_unverified() && checksums.malformed == [ChecksumAlgorithm::Sha1], "{malformed:?}");
    }

    // Where a page or a document comes for everything, the file is one too.
    for other in ["<html>log in</html>", "\n{\"error\": \"log in\"}"] {
        let scene = Scene::new().await;
        scene.server.on(JAR, [Reply::ok(BYTES)]);
        scene.server.on(&format!("{JAR}.sha1"), [Reply::ok(other)]);
        let error = scene.fetch(JAR).await.unwrap_err();
        assert!(matches!(error, FetchError::UnreadableChecksum { algorithm: ChecksumAlgorithm::Sha1, .. }), "{error}");
        scene.assert_nothing_stored();
    }
}

#[tokio::test]
async fn a_checksum_that_cannot_be_had_fails_the_fetch() {
    let scene = Scene::new().await;
    scene.publish(JAR, BYTES);
    scene.server.on(&format!("{JAR}.sha1"), [Reply::status(500)]);
    let error = scene.fetch_with(HttpConfig { max_retries: 2, ..quick() }, JAR).await.unwrap_err();
    assert!(matches!(&error, FetchError::Checksum { .. }), "{error}");
    assert!(!error.is_transient());
    assert_eq!(scene.server.count(&format!("{JAR}.sha1")), 3);
    assert_eq!(scene.server.count(JAR), 1, "the file itself is not fetched again for it");
    scene.assert_nothing_stored();
}

#[tokio::test]
async fn what_the_caller_knows_is_enough_and_is_enforced() {
    let scene = Scene::new().await;
    scene.publish(JAR, BYTES);
    let (_, _, checksums) = found(scene.fetch_expecting(Expected::sha256(Sha256::of(BYTES))).await);
    assert!(checksums.expected && checksums.verified.is_empty());
    assert_eq!(checksums.to_string(), "expected");
    assert_eq!(scene.server.requests(), [JAR], "no checksum file is asked for");

    let scene = Scene::new().await;
    scene.publish(JAR, BYTES);
    let error = scene.fetch_expecting(Expected::sha256(Sha256::of(b"from the ledger"))).await.unwrap_err();
    assert!(matches!(&error, FetchError::Mismatch { by, .. } if by == BY_CALLER), "{error}");
    scene.assert_nothing_stored();

    // A size is cut off as soon as it is exceeded; a weak digest alone does not replace the origin's checksums.
    scene.server.on(JAR, [Reply::endless()]);
    let error = scene.fetch_expecting(Expected { size: Some(100), ..Expected::default() }).await.unwrap_err();
    assert!(matches!(error, FetchError::Mismatch { mismatch, .. } if mismatch.what == "size"));
    scene.publish(JAR, BYTES);
    let weak = Expected { sha1: Some(FileDigests::of(BYTES).sha1), ..Expected::default() };
    assert_eq!(found(scene.fetch_expecting(weak).await).2.to_string(), "sha1");
}

#[tokio::test]
async fn only_404_and_410_are_absent() {
    let scene = Scene::new().await;
    for status in [404, 410] {
        scene.server.on(JAR, [Reply::status(status)]);
        assert_eq!(scene.fetch(JAR).await.unwrap(), OriginAnswer::Absent);
    }
    for status in [204, 206, 304, 400, 406, 418, 451, 501, 505] {
        scene.server.on(JAR, [Reply::status(status)]);
        let error = scene.fetch(JAR).await.unwrap_err();
        assert!(matches!(error, FetchError::Status { status: s, .. } if s == status), "{error}");
    }
    for status in [401, 403, 407] {
        scene.server.on(JAR, [Reply::status(status)]);
        let error = scene.fetch(JAR).await.unwrap_err();
        assert!(matches!(error, FetchError::Denied { status: s, .. } if s == status), "{error}");
    }
    assert_eq!(scene.server.count(JAR), 14, "none of these is tried again");
    scene.assert_nothing_stored();
}

#[tokio::test]
async fn what_may_pass_is_tried_again_a_bounded_number_of_times() {
    let scene = Scene::new().await;
    scene.publish(JAR, BYTES);
    scene.server.on(JAR, [Reply::status(503), Reply::status(502), Reply::ok(BYTES)]);
    found(scene.fetch(JAR).await);
    assert_eq!(scene.server.count(JAR), 3);

    scene.server.on("always/bad", [Reply::status(500)]);
    let error = scene.fetch_with(HttpConfig { max_retries: 3, ..quick() }, "always/bad").await.unwrap_err();
    assert!(matches!(error, FetchError::Status { status: 500, .. }));
    assert_eq!(scene.server.count("always/bad"), 4);
}

#[tokio::test]
async fn retry_after_is_honoured_by_everybody() {
    let scene = Scene::new().await;
    scene.publish(JAR, BYTES);
    scene.publish("other", b"other");
    scene.server.on(JAR, [Reply::status(429).header("retry-after", "1"), Reply::ok(BYTES)]);
    let origin = Arc::new(scene.origin(quick()));
    let (first, second, blobs) = (Arc::clone(&origin), Arc::clone(&origin), scene.blobs.clone());
    let other_blobs = scene.blobs.clone();
    let first = tokio::spawn(async move { first.fetch(&JAR.parse().unwrap(), &Expected::default(), &blobs).await });
    while scene.server.count(JAR) == 0 || origin.pause.lock().unwrap().is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let other = second.fetch(&"other".parse().unwrap(), &Expected::default(), &other_blobs).await;
    found(other);
    found(first.await.unwrap());
    let asked = scene.server.times(JAR);
    assert!(asked[1] - asked[0] >= Duration::from_millis(990), "{:?}", asked[1] - asked[0]);
    let other = scene.server.times("other");
    assert!(other[0] - asked[0] >= Duration::from_millis(990), "another file waits too");
}

#[tokio::test]
async fn a_retry_after_beyond_the_limit_fails_at_once_and_so_does_the_next() {
    let scene = Scene::new().await;
    scene.server.on(JAR, [Reply::status(429).header("retry-after", "3600")]);
    let origin = scene.origin(quick());
    for _ in 0..2 {
        let error = origin.fetch(&JAR.parse().unwrap(), &Expected::default(), &scene.blobs).await.unwrap_err();
        assert!(matches!(&error, FetchError::Throttled { .. }), "{error}");
        // It is believed for half an hour at most.
        let wait = error.retry_after().unwrap();
        assert!(wait > Duration::from_secs(1700) && wait <= Duration::from_secs(1800), "{wait:?}");
        assert!(error.to_string().contains("try again in"), "{error}");
    }
    assert_eq!(scene.server.count(JAR), 1, "the origin is left alone");
}

#[tokio::test]
async fn a_body_that_breaks_off_is_fetched_again() {
    let scene = Scene::new().await;
    scene.publish(JAR, BYTES);
    scene.server.on(JAR, [Reply::cut_off(&BYTES[..5], BYTES.len() as u64), Reply::ok(BYTES)]);
    assert_eq!(found(scene.fetch(JAR).await).0.digests, FileDigests::of(BYTES));

    let scene = Scene::new().await;
    scene.server.on(JAR, [Reply::cut_off(&BYTES[..5], BYTES.len() as u64)]);
    let error = scene.fetch_with(HttpConfig { max_retries: 1, ..quick() }, JAR).await.unwrap_err();
    assert!(matches!(error, FetchError::Truncated { received: 0..=5, .. }), "{error}");
    assert_eq!(scene.server.count(JAR), 2);
    scene.assert_nothing_stored();
}

#[tokio::test]
async fn silence_ends_before_and_within_the_body() {
    let config = || HttpConfig { idle_timeout_ms: 100, max_retries: 0, ..quick() };
    let scene = Scene::new().await;
    scene.server.on(JAR, [Reply::stalled(b"the beginning")]);
    let error = scene.fetch_with(config(), JAR).await.unwrap_err();
    assert!(matches!(error, FetchError::Idle { .. }), "{error}");
    scene.server.on(JAR, [Reply::ok(BYTES).after(Duration::from_secs(60))]);
    let error = scene.fetch_with(config(), JAR).await.unwrap_err();
    assert!(matches!(error, FetchError::Idle { .. }), "{error}");
    scene.assert_nothing_stored();
}

#[tokio::test]
async fn endless_bodies_end_by_size_or_by_time() {
    let scene = Scene::new().await;
    scene.server.on(JAR, [Reply::endless()]);
    let error = scene.fetch_with(HttpConfig { max_file_bytes: 3_000_000, ..quick() }, JAR).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { limit: 3_000_000, .. }), "{error}");
    scene.server.on(JAR, [Reply::ok(vec![0u8; 1001])]);
    let error = scene.fetch_with(HttpConfig { max_file_bytes: 1000, ..quick() }, JAR).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLarge { .. }), "announced by its length");
    assert_eq!(scene.server.count(JAR), 2, "too large is not tried again");
    scene.assert_nothing_stored();

    scene.server.on(JAR, [Reply::stalled(b"slow")]);
    let error = scene.fetch_with(HttpConfig { total_timeout_ms: 200, ..quick() }, JAR).await.unwrap_err();
    assert!(matches!(error, FetchError::Timeout { .. }), "{error}");
    // The blocking thread that held the writer when the future was dropped may still be closing it.
    for _ in 0..100 {
        if std::fs::read_dir(scene.dir.path().join("blobs/tmp")).unwrap().count() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    scene.assert_nothing_stored();
}

#[tokio::test]
async fn an_encoded_body_is_not_the_file() {
    let scene = Scene::new().await;
    scene.server.on(JAR, [Reply::ok("...").header("content-encoding", "gzip")]);
    assert!(matches!(scene.fetch(JAR).await, Err(FetchError::Encoded { encoding, .. }) if encoding == "gzip"));
    scene.publish("other", b"x");
    scene.server.on("other", [Reply::ok("x").header("content-encoding", "identity")]);
    found(scene.fetch("other").await);
}

#[tokio::test]
async fn redirects_are_followed_within_limits() {
    let scene = Scene::new().await;
    scene.publish(JAR, BYTES);
    scene.server.on(JAR, [Reply::status(302).header("location", "/repo/elsewhere")]);
    scene.server.on("elsewhere", [Reply::ok(BYTES)]);
    found(scene.fetch(JAR).await);
    scene.server.on("loop", [Reply::status(301).header("location", "/repo/loop")]);
    let error = scene.fetch("loop").await.unwrap_err();
    assert!(matches!(error, FetchError::Redirect { .. }), "{error}");
    assert!(error.to_string().contains("more than 5 redirects"), "{error}");
    scene.server.on("file", [Reply::status(302).header("location", "file:///etc/hostname")]);
    assert!(scene.fetch("file").await.is_err());
}

#[tokio::test]
async fn nobody_there() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let scene = Scene::new().await;
    let config = HttpConfig { max_retries: 1, ..quick() };
    let origin = HttpOrigin::new("gone", &format!("http://user:geheim@127.0.0.1:{port}/r"), config).unwrap();
    let error = origin.fetch(&JAR.parse().unwrap(), &Expected::default(), &scene.blobs).await.unwrap_err();
    assert!(matches!(error, FetchError::Connect { .. }), "{error}");
    assert!(error.is_transient());
    assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
}

#[tokio::test]
async fn credentials_are_sent_and_not_shown() {
    let scene = Scene::new().await;
    scene.publish(JAR, BYTES);
    let url = scene.server.url.replace("http://", "http://user:geheim@");
    let origin = HttpOrigin::new("private", &url, quick()).unwrap();
    assert_eq!(origin.base_url(), format!("{}/", scene.server.url));
    found(origin.fetch(&JAR.parse().unwrap(), &Expected::default(), &scene.blobs).await);
    let sent = scene.server.authorizations();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|a| a.as_deref() == Some("Basic dXNlcjpnZWhlaW0=")), "{sent:?}");
    scene.server.on(JAR, [Reply::status(401)]);
    let error = origin.fetch(&JAR.parse().unwrap(), &Expected::default(), &scene.blobs).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("geheim"), "{error:?}");
}

#[tokio::test]
async fn paths_are_encoded_and_checksums_have_none() {
    let scene = Scene::new().await;
    let path = "org/acme/a b/é/x+y.txt";
    scene.server.on("org/acme/a%20b/%C3%A9/x+y.txt", [Reply::ok("x")]);
    found(scene.fetch(path).await);
    scene.publish(JAR, BYTES);
    let before = scene.server.requests().len();
    found(scene.fetch(&format!("{JAR}.sha1")).await);
    assert_eq!(scene.server.requests().len(), before + 1);
}

#[tokio::test]
async fn requests_at_a_time_are_bounded() {
    let scene = Scene::new().await;
    let wait = Duration::from_millis(20);
    let paths: Vec<String> = (0..12).map(|n| format!("org/acme/f{n}.sha1")).collect();
    for path in &paths {
        scene.server.on(path, [Reply::ok("x").after(wait)]);
    }
    let origin = scene.origin(HttpConfig { max_concurrent: 3, ..quick() });
    let fetches = paths
        .iter()
        .map(|path| async { origin.fetch(&path.parse().unwrap(), &Expected::default(), &scene.blobs).await });
    join_all(fetches).await.into_iter().for_each(|answer| drop(found(answer)));
    assert!((2..=3).contains(&scene.server.most_under_way()), "{}", scene.server.most_under_way());
}

#[test]
fn addresses() {
    let open = |url: &str, allow_plain_http: bool| {
        HttpOrigin::new("x", url, HttpConfig { allow_plain_http, ..HttpConfig::default() })
    };
    for (url, base) in [
        ("https://repo.invalid/maven2", "https://repo.invalid/maven2/"),
        (" https://repo.invalid ", "https://repo.invalid/"),
        ("http://localhost:8081/a/", "http://localhost:8081/a/"),
        ("http://[::1]/a", "http://[::1]/a/"),
    ] {
        assert_eq!(open(url, false).unwrap().base_url(), base);
    }
    for url in ["http://repo.invalid/", "http://10.0.0.1/", "http://localhost.repo.invalid/"] {
        let error = open(url, false).err().unwrap();
        assert!(error.to_string().contains("plain http"), "{error}");
        open(url, true).unwrap();
    }
    for url in ["", "repo.invalid", "ftp://repo.invalid/", "file:///srv/repo", "https://repo.invalid/?a=b", "https://"]
    {
        assert!(matches!(open(url, true), Err(FetchError::Address { .. })), "{url}");
    }
    let error = open("ftp://user:geheim@repo.invalid/?token=geheim", true).err().unwrap();
    assert!(!format!("{error:?}").contains("geheim"), "{error:?}");
}

#[test]
fn the_configuration_refuses_what_it_does_not_know() {
    let known: HttpConfig = serde_json::from_str(r#"{"max_retries": 1}"#).unwrap();
    assert_eq!(known, HttpConfig { max_retries: 1, ..HttpConfig::default() });
    assert!(serde_json::from_str::<HttpConfig>(r#"{"max_retrys": 1}"#).is_err());
}

#[tokio::test]
async fn a_file_is_described_without_its_bytes() {
    let scene = Scene::new().await;
    let digests = FileDigests::of(BYTES);
    let sha1 = (ChecksumAlgorithm::Sha1, digests.checksum(ChecksumAlgorithm::Sha1));
    let origin = scene.origin(quick());
    let described = async |path: &str| origin.describe(&path.parse().unwrap()).await;
    // By its checksum files, up to the first one.
    scene.publish(JAR, BYTES);
    let expected = Described::File { checksums: vec![sha1.clone()], last_modified: None };
    assert_eq!(described(JAR).await.unwrap(), expected);
    // By headers, and then no file is asked for. MD5 alone says nothing.
    let headed = "org/acme/lib/1.0/headed.jar";
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    scene.server.on(headed, [Reply::ok(BYTES).header("x-checksum-sha1", sha1.1.clone()).header("last-modified", date)]);
    let expected = Described::File { checksums: vec![sha1.clone()], last_modified: Some(784_111_777) };
    assert_eq!(described(headed).await.unwrap(), expected);
    let weak = "org/acme/lib/1.0/weak.jar";
    let md5 = (ChecksumAlgorithm::Md5, digests.checksum(ChecksumAlgorithm::Md5));
    scene.server.on(weak, [Reply::ok(BYTES).header("x-checksum-md5", md5.1.clone())]);
    scene.server.on(&format!("{weak}.sha256"), [Reply::ok(digests.checksum(ChecksumAlgorithm::Sha256))]);
    let sha256 = (ChecksumAlgorithm::Sha256, digests.checksum(ChecksumAlgorithm::Sha256));
    let expected = Described::File { checksums: vec![md5, sha256], last_modified: None };
    assert_eq!(described(weak).await.unwrap(), expected);
    assert_eq!(described("org/acme/lib/1.0/absent.jar").await.unwrap(), Described::Absent);
    let down = "org/acme/lib/1.0/down.jar";
    scene.server.on(down, [Reply::status(403)]);
    assert!(matches!(described(down).await, Err(FetchError::Denied { .. })));
    scene.assert_nothing_stored();
}
