//! `maven-metadata.xml`: fresh, stale, merged.

use super::*;

#[tokio::test]
async fn upstreams_metadata_is_kept_for_a_while_and_served_stale_when_upstream_fails() {
    let w = world(Policy::PreferVerified, TestLedger::default());
    let (old, new) = (document(&["1.0"]), document(&["1.0", "2.0"]));
    w.origin.put(META, &old);
    assert_eq!(w.bytes(META).await, old);
    w.origin.put(META, &new);
    w.pass(299);
    assert_eq!(w.bytes(META).await, old);
    w.pass(1);
    // Just asked for, the checksum still fits the document that the client has.
    assert_eq!(w.bytes(&format!("{META}.sha1")).await, FileDigests::of(&old).sha1.to_string().into_bytes());
    w.pass(300);
    w.origin.down(Some("500"));
    assert_eq!(w.bytes(META).await, old);
    // For a moment nobody waits for an upstream that has just failed.
    let asked = w.origin.asked();
    assert_eq!((w.bytes(META).await, w.origin.asked()), (old.clone(), asked));
    w.origin.down(None);
    w.pass(30);
    assert_eq!(w.bytes(META).await, new);
    // What is no metadata at all counts as a failure, too.
    w.pass(1000);
    w.origin.put(META, b"<html>try later</html>");
    assert_eq!(w.bytes(META).await, new);
    w.origin.take(META);
    w.pass(30);
    assert_eq!(w.get(META).await, Answer::Absent);
}

#[tokio::test(start_paused = true)]
async fn a_document_that_is_a_little_old_is_served_at_once_and_fetched_in_the_background() {
    let w = world(Policy::PreferVerified, TestLedger::default());
    let (old, new) = (document(&["1.0"]), document(&["1.0", "2.0"]));
    w.origin.put(META, &old);
    assert_eq!(w.bytes(META).await, old);
    w.origin.put(META, &new);
    w.pass(300);
    for _ in 0..3 {
        assert_eq!(w.bytes(META).await, old, "nobody waits");
    }
    assert_eq!(w.origin.asked(), 1);
    // Its checksum comes next, and belongs to it.
    w.pass(1);
    assert_eq!(w.bytes(&format!("{META}.sha1")).await, FileDigests::of(&old).sha1.to_string().into_bytes());
    tokio::time::sleep(Duration::from_secs(3)).await;
    while w.origin.asked() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    while w.bytes(META).await == old {}
    assert_eq!((w.bytes(META).await, w.origin.asked()), (new, 2));
    // Too old to be shown unasked.
    w.pass(600);
    w.origin.put(META, &old);
    assert_eq!(w.bytes(META).await, old);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_long_for_a_newer_copy_of_what_is_here() {
    let w = world_with(Policy::Mirror, TestLedger::default(), FakeOrigin::default(), vec![Arc::new(Silent)]);
    let old = document(&["1.0"]);
    let record = FileRecord {
        path: META.parse().unwrap(),
        digests: w.blobs.put_bytes(&old).unwrap().digests,
        origin: "upstream".to_owned(),
        verified_by: String::new(),
        last_modified: None,
        first_seen: 1,
        last_use: 1,
    };
    w.index.put_file(record).unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(w.bytes(META).await, old);
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(w.bytes(META).await, old);
    assert_eq!(began.elapsed().as_secs(), 5, "and the next ones not at all");
}

/// Never answers.
struct Silent;

#[async_trait::async_trait]
impl Origin for Silent {
    fn id(&self) -> &str {
        "silent"
    }

    async fn fetch(&self, _: &RepoPath, _: &Expected, _: &BlobStore) -> Result<OriginAnswer, FetchError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn without_upstreams_what_is_here_stays_and_is_served() {
    let w = world(Policy::Mirror, TestLedger::default());
    w.origin.put(META, &document(&["1.0"]));
    let document = w.bytes(META).await;
    let (ledger, now) = (w.ledger.clone(), w.now.clone());
    let parts = Parts {
        ledger,
        blobs: w.blobs.clone(),
        index: w.index.clone(),
        upstreams: vec![],
        peers: None,
        clock: Arc::new(move || now.load(Ordering::SeqCst)),
    };
    let alone = Repository::new(RepositoryConfig::new(Policies::all(Policy::Mirror)), parts);
    for _ in 0..2 {
        let Answer::File(file) = alone.get(&META.parse().unwrap()).await.unwrap() else { panic!("a file") };
        assert_eq!(std::fs::read(file.blob_path).unwrap(), document);
    }
}

#[tokio::test]
async fn a_release_that_is_blocked_during_its_download_is_withheld() {
    let origin = FakeOrigin { slow: true, ..FakeOrigin::default() };
    let w = world_with(Policy::Mirror, TestLedger::default(), origin, vec![]);
    w.origin.put(JAR, b"bytes");
    let repository = w.repository.clone();
    let client = tokio::spawn(async move { repository.get(&JAR.parse().unwrap()).await.unwrap() });
    while w.origin.asked() == 0 {
        tokio::task::yield_now().await;
    }
    w.set_ledger(TestLedger::default().block("org.acme:lib:1.0").later());
    assert!(matches!(client.await.unwrap(), Answer::Withheld(_)));
}

#[tokio::test]
async fn a_failing_upstream_may_have_the_right_bytes() {
    let second = FakeOrigin::default();
    second.down(Some("500"));
    let w = world_with(Policy::Mirror, identical(b"right"), FakeOrigin::default(), vec![Arc::new(second)]);
    w.origin.put(JAR, b"wrong");
    assert!(matches!(w.try_get(JAR).await, Err(RepositoryError::Upstream { .. })));
}

#[tokio::test]
async fn metadata_under_verified_lists_only_what_is_served() {
    let w = world(VERIFIED, identical(b"x"));
    w.origin.put(META, &document(&["1.0", "2.0"]));
    assert_eq!(metadata::parse(&w.bytes(META).await).unwrap().versions, ["1.0".parse().unwrap()]);
}

#[tokio::test]
async fn documents_of_several_origins_are_merged_with_one_checksum() {
    let second = FakeOrigin::default();
    second.put(META, &document(&["2.0"]));
    let w = world_with(Policy::Mirror, TestLedger::default(), FakeOrigin::default(), vec![Arc::new(second)]);
    w.origin.put(META, &document(&["1.0"]));
    let merged = w.bytes(META).await;
    let versions = metadata::parse(&merged).unwrap().versions;
    assert_eq!(versions, ["1.0".parse().unwrap(), "2.0".parse().unwrap()]);
    assert_eq!(w.bytes(&format!("{META}.md5")).await, FileDigests::of(&merged).md5.to_string().into_bytes());
}

const CATALOGUE: &str = "archetype-catalog.xml";

fn archetype_pom(version: &str, packaging: &str) -> Vec<u8> {
    format!(
        "<project><groupId>org.acme</groupId><artifactId>start</artifactId><version>{version}</version>\
         <packaging>{packaging}</packaging></project>"
    )
    .into_bytes()
}

/// A ledger with native releases of these packagings, by their versions.
fn natives(w: &World, releases: &[(&str, &str)]) -> TestLedger {
    releases.iter().fold(TestLedger::default().namespace("org.acme", true), |ledger, (version, packaging)| {
        let pom = archetype_pom(version, packaging);
        w.blobs.put_bytes(&pom).unwrap();
        let (gav, name) = (format!("org.acme:start:{version}"), format!("start-{version}.pom"));
        ledger.file(&gav, &name, FileState::Published, Some(pom.as_slice()))
    })
}

#[tokio::test]
async fn native_archetypes_are_in_the_catalogue_whatever_upstream_has() {
    let w = world(Policy::PreferVerified, TestLedger::default());
    assert_eq!(w.get(CATALOGUE).await, Answer::Absent);
    let native = natives(&w, &[("1.0", "maven-archetype"), ("2.0", "jar"), ("3.0", "maven-archetype")]);
    w.set_ledger(native.clone().block("org.acme:start:3.0").later());
    let text = async |w: &World| String::from_utf8(w.bytes(CATALOGUE).await).unwrap();
    let alone = text(&w).await;
    assert!(alone.matches("<archetype>").count() == 1 && alone.contains("<version>1.0</version>"), "{alone}");

    let theirs = "<archetype-catalog>\n<archetypes>\n<archetype><groupId>com.theirs</groupId></archetype>\n\
                  <archetype><groupId>org.acme</groupId><version>66</version></archetype></archetypes>\n\
                  </archetype-catalog>";
    w.pass(121);
    w.origin.put(CATALOGUE, theirs.as_bytes());
    let merged = text(&w).await;
    assert!(merged.contains("com.theirs") && merged.contains("<version>1.0</version>"), "{merged}");
    assert!(!merged.contains("66"), "nobody else speaks for a native group: {merged}");
    let checksum = w.bytes(&format!("{CATALOGUE}.sha1")).await;
    assert_eq!(checksum, FileDigests::of(merged.as_bytes()).sha1.to_string().into_bytes());
    // It follows the ledger at once, and upstream as every document does.
    w.set_ledger(native.later().later());
    assert!(text(&w).await.contains("<version>3.0</version>"));
    w.set_ledger(TestLedger::default());
    assert_eq!(text(&w).await, theirs, "without native ones it is upstream's own");
    w.origin.put(CATALOGUE, b"<html>it works</html>");
    w.set_ledger(natives(&w, &[("1.0", "maven-archetype")]).later());
    w.pass(10_000);
    assert!(matches!(w.try_get(CATALOGUE).await, Err(RepositoryError::Upstream { .. })));
}

#[tokio::test]
async fn under_verified_the_catalogue_has_the_native_archetypes_alone() {
    let w = world(VERIFIED, TestLedger::default());
    w.origin.put(CATALOGUE, b"<archetype-catalog><archetypes/></archetype-catalog>");
    assert_eq!(w.reason(CATALOGUE).await, WithheldReason::Unverified);
    let asked = w.origin.asked();
    w.set_ledger(natives(&w, &[("1.0", "maven-archetype")]).later());
    let text = String::from_utf8(w.bytes(CATALOGUE).await).unwrap();
    assert!(text.contains("<version>1.0</version>"), "{text}");
    assert_eq!(w.origin.asked(), asked);
}
