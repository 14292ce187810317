use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use pyrsia_digest::FileDigests;
use pyrsia_fetch::{ChecksumReport, FetchError, OriginAnswer};

use super::*;
use crate::Files as _;
use crate::ledger_view::FileState;
use crate::policy::Policy;
use crate::test_ledger::TestLedger;

const JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";
const META: &str = "org/acme/lib/maven-metadata.xml";
const VERIFIED: Policy = Policy::Verified { allow_equivalent: false };

/// An upstream in memory. It keeps the contract of [`Origin`]: nothing enters the store that was not expected.
#[derive(Default)]
struct FakeOrigin {
    files: Mutex<HashMap<String, Vec<u8>>>,
    down: Mutex<Option<&'static str>>,
    asked: AtomicUsize,
    slow: bool,
    /// Answers with what names the file and no other digest.
    name_alone: bool,
    /// Has time only for who waits for it.
    busy: bool,
    /// How often somebody waited.
    waited: AtomicUsize,
    /// Its name, if there are several.
    name: Option<&'static str>,
}

impl FakeOrigin {
    fn put(&self, path: &str, bytes: &[u8]) {
        self.files.lock().unwrap().insert(path.to_owned(), bytes.to_vec());
    }

    fn take(&self, path: &str) {
        self.files.lock().unwrap().remove(path);
    }

    fn down(&self, how: Option<&'static str>) {
        *self.down.lock().unwrap() = how;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl Origin for FakeOrigin {
    fn id(&self) -> &str {
        self.name.unwrap_or("fake")
    }

    async fn fetch_soon(
        &self,
        path: &RepoPath,
        expected: &Expected,
        blobs: &BlobStore,
    ) -> Result<OriginAnswer, FetchError> {
        if self.busy {
            return Err(FetchError::Busy { path: path.to_string() });
        }
        self.fetch(path, expected, blobs).await
    }

    async fn fetch(&self, path: &RepoPath, expected: &Expected, blobs: &BlobStore) -> Result<OriginAnswer, FetchError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.busy {
            self.waited.fetch_add(1, Ordering::SeqCst);
        }
        if self.slow {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let url = format!("fake/{path}");
        let down = *self.down.lock().unwrap();
        match down {
            Some("429") => {
                return Err(FetchError::Throttled { url, retry_after: None });
            }
            Some("idle") => {
                return Err(FetchError::Idle { url, idle: Duration::from_secs(1) });
            }
            Some(_) => {
                return Err(FetchError::Status { url, status: 500, retry_after: None });
            }
            None => {}
        }
        let bytes = self.files.lock().unwrap().get(path.as_str()).cloned();
        let Some(bytes) = bytes else {
            return Ok(OriginAnswer::Absent);
        };
        if let Err(mismatch) = expected.check(&FileDigests::of(&bytes).into()) {
            return Err(FetchError::Mismatch { url, by: "the caller".to_owned(), mismatch });
        }
        let mut stored = blobs.put_bytes(&bytes)?;
        if self.name_alone {
            stored.digests.others = None;
        }
        Ok(OriginAnswer::Found { stored, last_modified: None, checksums: ChecksumReport::default() })
    }
}

struct Ledger(Mutex<Arc<TestLedger>>);

impl LedgerSource for Ledger {
    fn view(&self) -> Arc<dyn LedgerView> {
        self.0.lock().unwrap().clone()
    }
}

struct World {
    repository: Repository,
    origin: Arc<FakeOrigin>,
    ledger: Arc<Ledger>,
    blobs: BlobStore,
    index: IndexStore,
    now: Arc<AtomicU64>,
    _dir: tempfile::TempDir,
}

fn world(policy: Policy, ledger: TestLedger) -> World {
    world_with(policy, ledger, FakeOrigin::default(), vec![])
}

fn world_with(policy: Policy, ledger: TestLedger, origin: FakeOrigin, more: Vec<Arc<dyn Origin>>) -> World {
    world_of(policy, ledger, origin, more, None)
}

fn world_of(
    policy: Policy,
    ledger: TestLedger,
    origin: FakeOrigin,
    more: Vec<Arc<dyn Origin>>,
    peers: Option<Arc<dyn Origin>>,
) -> World {
    let dir = tempfile::tempdir().unwrap();
    let blobs = BlobStore::open(dir.path().join("blobs")).unwrap();
    let index = IndexStore::open(dir.path()).unwrap();
    let origin = Arc::new(origin);
    let ledger = Arc::new(Ledger(Mutex::new(Arc::new(ledger))));
    let now = Arc::new(AtomicU64::new(1_000_000));
    let time = now.clone();
    let mut origins: Vec<Arc<dyn Origin>> = vec![origin.clone()];
    origins.extend(more);
    let upstreams = origins.into_iter().map(Upstream::from).collect();
    let repository = Repository::new(
        RepositoryConfig::new(Policies::all(policy)),
        Parts {
            ledger: ledger.clone(),
            blobs: blobs.clone(),
            index: index.clone(),
            upstreams,
            peers,
            clock: Arc::new(move || time.load(Ordering::SeqCst)),
        },
    );
    World { repository, origin, ledger, blobs, index, now, _dir: dir }
}

impl World {
    async fn try_get(&self, path: &str) -> Result<Answer, RepositoryError> {
        self.repository.get(&path.parse().unwrap()).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.try_get(path).await.unwrap()
    }

    /// The bytes that a client would get.
    async fn bytes(&self, path: &str) -> Vec<u8> {
        match self.get(path).await {
            Answer::File(file) => {
                let bytes = std::fs::read(&file.blob_path).unwrap();
                assert_eq!(FileDigests::of(&bytes), file.digests);
                bytes
            }
            Answer::Generated(document) => {
                assert_eq!(FileDigests::of(&document.bytes), document.digests);
                document.bytes.to_vec()
            }
            other => panic!("{path}: {other:?}"),
        }
    }

    async fn reason(&self, path: &str) -> WithheldReason {
        match self.get(path).await {
            Answer::Withheld(withheld) => withheld.reason,
            other => panic!("{path}: {other:?}"),
        }
    }

    fn pass(&self, seconds: u64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }

    fn set_ledger(&self, ledger: TestLedger) {
        *self.ledger.0.lock().unwrap() = Arc::new(ledger);
    }
}

fn identical(content: &[u8]) -> TestLedger {
    TestLedger::default().file("org.acme:lib:1.0", "lib-1.0.jar", FileState::Identical, Some(content))
}

#[tokio::test]
async fn the_first_bytes_seen_stay_and_are_asked_for_once() {
    let w = world(Policy::PreferVerified, TestLedger::default());
    w.origin.put(JAR, b"first");
    assert_eq!(w.bytes(JAR).await, b"first");
    w.origin.put(JAR, b"second");
    w.pass(1_000_000);
    assert_eq!(w.bytes(JAR).await, b"first");
    assert_eq!(w.bytes(&format!("{JAR}.sha1")).await, FileDigests::of(b"first").sha1.to_string().as_bytes());
    assert_eq!(w.origin.asked(), 1);
    // The bytes get lost; upstream's new ones do not take their place.
    w.blobs.remove(&Sha256::of(b"first")).unwrap();
    assert_eq!(w.reason(JAR).await, WithheldReason::ChangedUpstream);
    let aside = w.index.quarantined().unwrap();
    assert_eq!((aside.len(), aside[0].sha256), (1, Sha256::of(b"second")));
    // Upstream is not made to send them for every client that asks.
    let asked = w.origin.asked();
    assert_eq!(w.reason(JAR).await, WithheldReason::ChangedUpstream);
    assert_eq!(w.origin.asked(), asked);
    w.origin.put(JAR, b"first");
    w.pass(120);
    assert_eq!(w.bytes(JAR).await, b"first");
}

#[tokio::test]
async fn bytes_that_contradict_the_ledger_are_served_under_no_policy() {
    for policy in [VERIFIED, Policy::PreferVerified, Policy::Mirror] {
        let w = world(policy, identical(b"right"));
        w.origin.put(JAR, b"wrong");
        assert_eq!(w.reason(JAR).await, WithheldReason::LedgerMismatch);
        assert_eq!(w.reason(&format!("{JAR}.sha256")).await, WithheldReason::LedgerMismatch);
        assert_eq!(w.index.quarantined().unwrap()[0].sha256, Sha256::of(b"wrong"));
        w.origin.put(JAR, b"right");
        w.pass(120);
        assert_eq!(w.bytes(JAR).await, b"right");

        // The same when they were seen before the ledger spoke.
        let w = world(Policy::Mirror, TestLedger::default());
        w.origin.put(JAR, b"wrong");
        assert_eq!(w.bytes(JAR).await, b"wrong");
        w.set_ledger(identical(b"right"));
        assert_eq!(w.reason(JAR).await, WithheldReason::LedgerMismatch);
        w.origin.put(JAR, b"right");
        w.pass(120);
        assert_eq!(w.bytes(JAR).await, b"right");
    }
}

#[tokio::test]
async fn an_origin_that_breaks_its_promise_is_found_out() {
    struct Liar;
    #[async_trait::async_trait]
    impl Origin for Liar {
        fn id(&self) -> &str {
            "liar"
        }
        async fn fetch(&self, _: &RepoPath, _: &Expected, blobs: &BlobStore) -> Result<OriginAnswer, FetchError> {
            let stored = blobs.put_bytes(b"lie")?;
            Ok(OriginAnswer::Found { stored, last_modified: None, checksums: ChecksumReport::default() })
        }
    }
    let w = world_with(Policy::Mirror, identical(b"right"), FakeOrigin::default(), vec![Arc::new(Liar)]);
    assert_eq!(w.reason(JAR).await, WithheldReason::LedgerMismatch);
}

#[tokio::test]
async fn damaged_bytes_on_disk_are_fetched_again_and_never_served() {
    for ledger in [TestLedger::default(), identical(b"right")] {
        let w = world(Policy::PreferVerified, ledger);
        let stored = w.blobs.put_bytes(b"right").unwrap();
        let now = 1;
        let record = FileRecord {
            path: JAR.parse().unwrap(),
            digests: stored.digests.clone(),
            origin: "fake".to_owned(),
            verified_by: String::new(),
            last_modified: None,
            first_seen: now,
            last_use: now,
        };
        w.index.put_file(record).unwrap();
        std::fs::remove_file(&stored.path).unwrap();
        std::fs::write(&stored.path, b"rotten").unwrap();
        assert!(matches!(w.try_get(JAR).await, Err(RepositoryError::BytesMissing { .. })));
        w.origin.put(JAR, b"right");
        assert_eq!(w.bytes(JAR).await, b"right");
    }
}

#[tokio::test]
async fn absent_only_when_upstream_says_so_and_the_ledger_does_not_know_it() {
    let w = world(Policy::PreferVerified, TestLedger::default());
    for (how, timed_out) in [("429", false), ("500", false), ("idle", true)] {
        w.origin.down(Some(how));
        match w.try_get(JAR).await {
            Err(RepositoryError::Upstream { timed_out: found, .. }) => assert_eq!(found, timed_out, "{how}"),
            other => panic!("{how}: {other:?}"),
        }
    }
    w.origin.down(None);
    assert_eq!(w.get(JAR).await, Answer::Absent);
    assert_eq!(w.get(&format!("{JAR}.sha1")).await, Answer::Absent);
    // Remembered for a short time, also while upstream fails.
    let asked = w.origin.asked();
    w.origin.down(Some("500"));
    assert_eq!(w.get(JAR).await, Answer::Absent);
    assert_eq!(w.origin.asked(), asked);
    w.pass(120);
    assert!(w.try_get(JAR).await.is_err());
    w.origin.down(None);
    w.origin.put(JAR, b"new");
    assert_eq!(w.bytes(JAR).await, b"new");

    let w = world(Policy::PreferVerified, identical(b"right"));
    assert!(matches!(w.try_get(JAR).await, Err(RepositoryError::BytesMissing { .. })));
}

#[tokio::test]
async fn one_failing_origin_keeps_a_file_from_being_absent() {
    let down = FakeOrigin::default();
    down.down(Some("500"));
    let w = world_with(Policy::Mirror, TestLedger::default(), FakeOrigin::default(), vec![Arc::new(down)]);
    assert!(matches!(w.try_get(JAR).await, Err(RepositoryError::Upstream { .. })));
    w.origin.put(JAR, b"here");
    assert_eq!(w.bytes(JAR).await, b"here");
}

#[tokio::test]
async fn verified_withholds_what_exists_and_admits_what_does_not() {
    let w = world(VERIFIED, TestLedger::default());
    w.origin.put(JAR, b"unknown");
    assert_eq!(w.reason(JAR).await, WithheldReason::Unverified);
    assert_eq!(w.reason(&format!("{JAR}.sha1")).await, WithheldReason::Unverified);
    assert_eq!(w.get("org/acme/lib/1.0/lib-1.0-javadoc.jar").await, Answer::Absent);
    w.origin.down(Some("500"));
    assert_eq!(w.reason("org/acme/lib/1.0/lib-1.0.pom").await, WithheldReason::Unverified);
    // Once rebuilt it is served, from the bytes that were seen.
    w.set_ledger(identical(b"unknown"));
    let Answer::File(file) = w.get(JAR).await else { panic!("not served") };
    assert_eq!(file.provenance, Provenance::Verified);
}

#[tokio::test]
async fn native_files_and_documents_come_from_the_store() {
    let native = || TestLedger::default().namespace("org.acme", true);
    let published = |ledger: TestLedger, version: &str, content: &[u8]| {
        let (gav, jar, pom) =
            (format!("org.acme:lib:{version}"), format!("lib-{version}.jar"), format!("lib-{version}.pom"));
        ledger.file(&gav, &jar, FileState::Published, Some(content)).file(
            &gav,
            &pom,
            FileState::Published,
            Some(b"pom"),
        )
    };
    let w = world(Policy::Mirror, published(published(native(), "1.0", b"built"), "2.0", b"not here"));
    // What upstream offers under the group's name plays no part.
    for path in [JAR, META, "org/acme/lib/3.0/lib-3.0.jar"] {
        w.origin.put(path, b"hijacked");
    }
    assert!(matches!(w.try_get(JAR).await, Err(RepositoryError::BytesMissing { .. })));
    assert_eq!(w.get(META).await, Answer::Absent);
    w.blobs.put_bytes(b"built").unwrap();
    w.blobs.put_bytes(b"pom").unwrap();
    assert_eq!(w.bytes(JAR).await, b"built");
    assert_eq!(w.bytes("org/acme/lib/1.0/lib-1.0.pom").await, b"pom");
    assert_eq!(w.get("org/acme/lib/3.0/lib-3.0.jar").await, Answer::Absent);
    let document = metadata::parse(&w.bytes(META).await).unwrap();
    assert_eq!(document.versions, ["1.0".parse().unwrap()], "2.0 has no bytes here");
    for algorithm in ChecksumAlgorithm::ALL {
        for (path, bytes) in [(JAR, b"built".to_vec()), (META, w.bytes(META).await)] {
            let text = w.bytes(&format!("{path}.{}", algorithm.extension())).await;
            assert_eq!(text, FileDigests::of(&bytes).checksum(algorithm).into_bytes());
        }
    }
    assert_eq!(w.origin.asked(), 0);
}

fn document(versions: &[&str]) -> Vec<u8> {
    let versions = versions.iter().map(|version| version.parse().unwrap());
    let document = metadata::Metadata::of_artifact(
        "org.acme".parse().unwrap(),
        "lib".parse().unwrap(),
        versions,
        "20260101000000",
    );
    metadata::write(&document.unwrap()).into_bytes()
}

#[tokio::test]
async fn many_clients_cause_one_download() {
    let origin = FakeOrigin { slow: true, ..FakeOrigin::default() };
    let w = world_with(Policy::Mirror, TestLedger::default(), origin, vec![]);
    w.origin.put(JAR, b"once");
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let repository = w.repository.clone();
        clients.spawn(async move { repository.get(&JAR.parse().unwrap()).await.unwrap() });
    }
    while let Some(answer) = clients.join_next().await {
        assert!(matches!(answer.unwrap(), Answer::File(_)));
    }
    assert_eq!(w.origin.asked(), 1);
}

#[tokio::test]
async fn a_snapshot_changes_and_a_timestamped_one_does_not() {
    let w = world(Policy::Mirror, TestLedger::default());
    let (moving, fixed) =
        ("org/acme/lib/1-SNAPSHOT/lib-1-SNAPSHOT.jar", "org/acme/lib/1-SNAPSHOT/lib-1-20260101.101010-1.jar");
    for path in [moving, fixed] {
        w.origin.put(path, b"one");
        assert_eq!(w.bytes(path).await, b"one");
        w.origin.put(path, b"two");
    }
    w.pass(10_000);
    assert_eq!(w.bytes(moving).await, b"two");
    assert_eq!(w.bytes(fixed).await, b"one");
}

fn with_peers(ledger: TestLedger) -> (World, Arc<FakeOrigin>) {
    with_these_peers(ledger, FakeOrigin::default())
}

fn with_these_peers(ledger: TestLedger, peers: FakeOrigin) -> (World, Arc<FakeOrigin>) {
    let peers = Arc::new(peers);
    let asked: Arc<dyn Origin> = peers.clone();
    (world_of(Policy::PreferVerified, ledger, FakeOrigin::default(), vec![], Some(asked)), peers)
}

fn native_release() -> TestLedger {
    TestLedger::default().namespace("org.acme", true).file(
        "org.acme:lib:1.0",
        "lib-1.0.jar",
        FileState::Published,
        Some(b"built"),
    )
}

#[path = "service_document_tests.rs"]
mod documents;

#[path = "service_digest_tests.rs"]
mod digests;

#[path = "service_peer_tests.rs"]
mod peers;
