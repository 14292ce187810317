use super::*;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

const JAR: &str = "com/example/lib/1.0/lib-1.0.jar";
const LIST: &str = "com/example/lib/maven-metadata.xml";

struct World {
    hosted: Hosted,
    now: Arc<AtomicU64>,
    folder: tempfile::TempDir,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::new(AtomicU64::new(1_700_000_000));
    let hosted = open(folder.path(), &now);
    World { hosted, now, folder }
}

fn open(folder: &Path, now: &Arc<AtomicU64>) -> Hosted {
    let config = HostedConfig { id: "all".parse().unwrap(), accepts: Accepts::Both, max_file: 1_000_000 };
    let now = Arc::clone(now);
    Hosted::open(config, folder, Arc::new(move || now.load(Ordering::SeqCst))).unwrap()
}

impl World {
    async fn put(&self, path: &str, bytes: &[u8]) -> Result<Stored, HostedError> {
        self.put_as("ci", path, bytes).await
    }

    async fn put_as(&self, writer: &str, path: &str, bytes: &[u8]) -> Result<Stored, HostedError> {
        let mut upload = self.hosted.begin(&path.parse().unwrap(), None).await?;
        for chunk in bytes.chunks(1000) {
            upload.write(Bytes::copy_from_slice(chunk)).await?;
        }
        upload.finish(writer).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.hosted.get(&path.parse().unwrap()).await.unwrap()
    }

    async fn text(&self, path: &str) -> String {
        let Answer::Generated(document) = self.get(path).await else { panic!("{path} is no document") };
        assert_eq!(document.digests, FileDigests::of(&document.bytes));
        String::from_utf8(document.bytes.to_vec()).unwrap()
    }

    fn left(&self) -> usize {
        let count = |name: &str| std::fs::read_dir(self.folder.path().join(name)).unwrap().count();
        count("tmp") + count("blobs/tmp")
    }
}

fn refusal(result: Result<Stored, HostedError>) -> Refused {
    match result {
        Err(HostedError::Refused(refused)) => refused,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_file_is_stored_once_and_stays() {
    let world = world();
    assert!(matches!(world.get(JAR).await, Answer::Absent));
    assert_eq!(world.put(JAR, b"one").await.unwrap(), Stored::New);
    assert_eq!(world.put(JAR, b"one").await.unwrap(), Stored::Unchanged);
    let other = refusal(world.put(JAR, b"two").await);
    assert!(matches!(other, Refused::Immutable { held: Some(_), .. }), "{other}");
    let longer = world.hosted.begin(&JAR.parse().unwrap(), Some(4)).await.err().unwrap();
    assert!(matches!(longer, HostedError::Refused(Refused::Immutable { held: None, .. })), "{longer}");
    let Answer::File(file) = world.get(JAR).await else { panic!() };
    assert_eq!(std::fs::read(&file.blob_path).unwrap(), b"one");
    assert_eq!(
        (file.digests, file.last_modified, file.immutable),
        (FileDigests::of(b"one").into(), 1_700_000_000, true)
    );
    for algorithm in ChecksumAlgorithm::ALL {
        let path = format!("{JAR}.{}", algorithm.extension());
        assert_eq!(world.text(&path).await, FileDigests::of(b"one").checksum(algorithm));
    }
    let again = open(world.folder.path(), &world.now);
    assert!(matches!(again.get(&JAR.parse().unwrap()).await, Ok(Answer::File(_))), "after a restart too");
    assert_eq!(world.left(), 0);
}

#[tokio::test]
async fn what_is_too_large_or_breaks_off_leaves_nothing() {
    let world = world();
    let path: RepoPath = JAR.parse().unwrap();
    assert!(matches!(
        world.hosted.begin(&path, Some(1_000_001)).await.err(),
        Some(HostedError::Refused(Refused::TooLarge { limit: 1_000_000, .. }))
    ));
    let too_large = refusal(world.put(JAR, &vec![7; 1_000_001]).await);
    assert!(matches!(too_large, Refused::TooLarge { .. }), "{too_large}");
    let mut upload = world.hosted.begin(&path, Some(900_000)).await.unwrap();
    upload.write(Bytes::from(vec![7; 800_000])).await.unwrap();
    drop(upload);
    assert!(matches!(refusal(world.put(&format!("{JAR}.sha1"), &[b'a'; 5000]).await), Refused::TooLarge { .. }));
    assert!(matches!(world.get(JAR).await, Answer::Absent));
    assert_eq!(world.left(), 0);
    assert_eq!(world.hosted.inner.blobs.digests().unwrap().count(), 0);
    assert_eq!(world.put(JAR, &vec![7; 1_000_000]).await.unwrap(), Stored::New);
}

#[tokio::test]
async fn checksums_are_compared() {
    let world = world();
    let digests = FileDigests::of(b"one");
    let sha1 = format!("{JAR}.sha1");
    assert!(matches!(refusal(world.put(&sha1, b"00").await), Refused::Checksum { .. }));
    let none_yet = refusal(world.put(&sha1, digests.sha1.to_string().as_bytes()).await);
    assert!(matches!(none_yet, Refused::NothingToCheck { .. }), "{none_yet}");
    world.put(JAR, b"one").await.unwrap();
    for algorithm in ChecksumAlgorithm::ALL {
        let text = digests.checksum(algorithm).to_uppercase();
        for text in [text.clone(), format!("{text}  lib-1.0.jar\n"), format!("HASH(lib-1.0.jar)= {text}\n")] {
            let path = format!("{JAR}.{}", algorithm.extension());
            assert_eq!(world.put(&path, text.as_bytes()).await.unwrap(), Stored::Unchanged, "{text}");
        }
    }
    let wrong = refusal(world.put(&sha1, &[b'a'; 40]).await);
    assert!(matches!(wrong, Refused::Mismatch { taken_back: false, .. }), "a confirmed file stays: {wrong}");
    assert!(matches!(world.get(JAR).await, Answer::File(_)));
    let stored: Vec<_> = std::fs::read_dir(world.folder.path().join("entries/com/example/lib/1.0")).unwrap().collect();
    assert_eq!(stored.len(), 1, "no checksum is stored");
}

#[tokio::test]
async fn an_upload_that_was_damaged_on_its_way_can_be_repeated() {
    let world = world();
    let (right, sha1) = (FileDigests::of(b"right").sha1.to_string(), format!("{JAR}.sha1"));
    world.put(JAR, b"wrong").await.unwrap();
    let other = refusal(world.put_as("other", &sha1, right.as_bytes()).await);
    assert!(matches!(other, Refused::Mismatch { taken_back: false, .. }), "only its writer takes it back: {other}");
    let own = refusal(world.put(&sha1, right.as_bytes()).await);
    assert!(matches!(own, Refused::Mismatch { taken_back: true, .. }), "{own}");
    assert!(matches!(world.get(JAR).await, Answer::Absent));
    assert_eq!(world.put(JAR, b"right").await.unwrap(), Stored::New);
    assert_eq!(world.put(&sha1, right.as_bytes()).await.unwrap(), Stored::Unchanged);

    let read = "com/example/lib/2.0/lib-2.0.jar";
    world.put(read, b"wrong").await.unwrap();
    world.get(read).await;
    let late = refusal(world.put(&format!("{read}.sha1"), right.as_bytes()).await);
    assert!(matches!(late, Refused::Mismatch { taken_back: false, .. }), "somebody relies on it: {late}");

    let old = "com/example/lib/3.0/lib-3.0.jar";
    world.put(old, b"wrong").await.unwrap();
    world.now.fetch_add(3600, Ordering::SeqCst);
    let late = refusal(world.put(&format!("{old}.sha1"), right.as_bytes()).await);
    assert!(matches!(late, Refused::Mismatch { taken_back: false, .. }), "{late}");
}

fn list(versions: &[&str]) -> String {
    let versions: String = versions.iter().map(|version| format!("<version>{version}</version>")).collect();
    format!(
        "<metadata><groupId>com.example</groupId><artifactId>lib</artifactId><versioning><versions>{versions}</versions>\
         </versioning></metadata>"
    )
}

#[tokio::test]
async fn documents_are_merged() {
    let world = world();
    assert!(matches!(world.get(LIST).await, Answer::Absent));
    assert_eq!(world.put(LIST, list(&["1.0"]).as_bytes()).await.unwrap(), Stored::New);
    assert_eq!(world.put(LIST, list(&["1.1"]).as_bytes()).await.unwrap(), Stored::Changed);
    assert_eq!(world.put(LIST, list(&["1.0"]).as_bytes()).await.unwrap(), Stored::Unchanged);
    let text = world.text(LIST).await;
    assert!(text.contains("<version>1.0</version>") && text.contains("<version>1.1</version>"), "{text}");
    assert_eq!(world.text(&format!("{LIST}.sha1")).await, FileDigests::of(text.as_bytes()).sha1.to_string());
    // The client's checksum is the one of its own document.
    let theirs = FileDigests::of(list(&["1.1"]).as_bytes()).sha1.to_string();
    assert_eq!(world.put(&format!("{LIST}.sha1"), theirs.as_bytes()).await.unwrap(), Stored::Unchanged);
    assert!(matches!(refusal(world.put(LIST, b"<metadata>").await), Refused::Document { .. }));
    assert!(matches!(refusal(world.put(LIST, b"<html/>").await), Refused::Document { .. }));
    let other = list(&["9"]).replace("<artifactId>lib", "<artifactId>other");
    assert!(matches!(refusal(world.put(LIST, other.as_bytes()).await), Refused::OtherDocument { .. }));
    assert_eq!(world.text(LIST).await, text);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_documents_at_the_same_time_none_is_lost() {
    let world = Arc::new(world());
    let uploads: Vec<_> = (0..40)
        .map(|number| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.put(LIST, list(&[&format!("1.{number}")]).as_bytes()).await.unwrap() })
        })
        .collect();
    for upload in uploads {
        upload.await.unwrap();
    }
    let text = world.text(LIST).await;
    for number in 0..40 {
        assert!(text.contains(&format!("<version>1.{number}</version>")), "1.{number}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_different_bytes_at_the_same_time_one_wins() {
    let world = Arc::new(world());
    let uploads: Vec<_> = (0..8u8)
        .map(|number| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.put(JAR, &[number; 100]).await })
        })
        .collect();
    let mut stored = 0;
    for upload in uploads {
        match upload.await.unwrap() {
            Ok(Stored::New) => stored += 1,
            other => assert!(matches!(refusal(other), Refused::Immutable { .. })),
        }
    }
    assert_eq!(stored, 1);
}

#[tokio::test]
async fn damaged_bytes_are_not_served_and_come_back_by_the_same_upload() {
    let world = world();
    world.put(JAR, b"one").await.unwrap();
    let blob = world.hosted.inner.blobs.get(&Sha256::of(b"one")).unwrap();
    std::fs::write(&blob, b"0ne").unwrap();
    let again = World { hosted: open(world.folder.path(), &world.now), ..world };
    let path: RepoPath = JAR.parse().unwrap();
    for _ in 0..2 {
        let error = again.hosted.get(&path).await.unwrap_err().to_string();
        assert!(error.contains("upload the same file again"), "{error}");
    }
    let found = crate::examine(again.folder.path()).unwrap();
    assert_eq!((found.files, found.damaged.len()), (0, 1));
    assert_eq!(found.damaged[0].path, path);
    assert_eq!(again.put(JAR, b"one").await.unwrap(), Stored::Unchanged);
    assert!(matches!(again.get(JAR).await, Answer::File(_)));
    let found = crate::examine(again.folder.path()).unwrap();
    assert_eq!((found.files, found.bytes, found.damaged.len()), (1, 3, 0));
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(crate::examine(empty.path()).unwrap(), crate::Examination::default());
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0, "what is no repository is left alone");
}
