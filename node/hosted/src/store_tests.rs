use super::*;
use crate::error::Refused;
use crate::testing::{JAR, LIST, World, list, open, open_limited, refusal, world};
use crate::upload::Stored;
use std::sync::atomic::Ordering;

use bytes::Bytes;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_somebody_read_the_moment_it_was_there_stays() {
    let world = Arc::new(world());
    for number in 0..40 {
        let jar = format!("com/example/lib/{number}/lib-{number}.jar");
        let path: RepoPath = jar.parse().unwrap();
        let (inner, done) = (Arc::clone(&world.hosted.inner), Arc::new(std::sync::atomic::AtomicBool::new(false)));
        let stop = Arc::clone(&done);
        let reader = std::thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                if let Ok(Answer::File(_)) = inner.answer(&path) {
                    return true;
                }
            }
            false
        });
        world.put(&jar, b"wrong").await.unwrap();
        done.store(true, Ordering::SeqCst);
        if !reader.join().unwrap() {
            continue;
        }
        let late = refusal(world.put(&format!("{jar}.sha1"), &[b'a'; 40]).await);
        assert!(matches!(late, Refused::Mismatch { taken_back: false, .. }), "{number}: somebody has read it: {late}");
    }
}

#[tokio::test]
async fn what_another_writer_was_told_is_stored_is_not_taken_back() {
    let world = world();
    world.put_as("one", JAR, b"bytes").await.unwrap();
    assert_eq!(world.put_as("two", JAR, b"bytes").await.unwrap(), Stored::Unchanged);
    let wrong = refusal(world.put_as("one", &format!("{JAR}.sha1"), &[b'a'; 40]).await);
    assert!(matches!(wrong, Refused::Mismatch { taken_back: false, .. }), "{wrong}");
    assert!(matches!(world.get(JAR).await, Answer::File(_)));
}

#[tokio::test]
async fn what_is_refused_for_its_place_leaves_no_bytes() {
    let world = world();
    // A path that could be a folder of an artifact too.
    let file = "com/example/lib/1/lib-1.jar";
    world.put(file, b"one").await.unwrap();
    let blobs = || world.hosted.inner.blobs.digests().unwrap().count();
    assert_eq!(blobs(), 1);
    for (at, bytes) in
        [(format!("{file}/2/lib-1.jar-2.pom"), &b"below a file"[..]), (format!("{file}/3/lib-1.jar-3.jar"), b"too")]
    {
        let refused = refusal(world.put(&at, bytes).await);
        assert!(matches!(refused, Refused::Occupied { .. }), "{refused}");
    }
    assert_eq!(blobs(), 1);
    assert_eq!(world.left(), 0);
}

#[tokio::test]
async fn an_upload_of_the_same_bytes_heals_what_the_disk_has_changed_unnoticed() {
    let world = world();
    world.put(JAR, b"one").await.unwrap();
    let blob = world.hosted.inner.blobs.get(&Sha256::of(b"one")).unwrap();
    std::fs::write(&blob, b"0ne").unwrap();
    let again = World { hosted: open(world.folder.path(), &world.now), ..world };
    assert_eq!(again.put(JAR, b"one").await.unwrap(), Stored::Unchanged);
    assert!(matches!(again.get(JAR).await, Answer::File(_)), "whoever is told that it is stored finds it");

    // The same for a digit of a checksum in its entry.
    let entry = again.folder.path().join("entries").join(JAR);
    let sha1 = FileDigests::of(b"one").sha1.to_string();
    let text = std::fs::read_to_string(&entry).unwrap();
    std::fs::write(&entry, text.replace(&sha1, &"0".repeat(40))).unwrap();
    let found = crate::examine(again.folder.path()).unwrap();
    assert_eq!((found.files, found.damaged.len()), (0, 1), "{found:?}");
    assert_eq!(again.put(JAR, b"one").await.unwrap(), Stored::Unchanged);
    assert_eq!(again.text(&format!("{JAR}.sha1")).await, sha1);
    assert_eq!(crate::examine(again.folder.path()).unwrap().damaged, []);
}

#[tokio::test]
async fn a_repository_with_a_limit_counts_what_it_has_and_what_is_on_its_way() {
    let world = world();
    let limited = |world: World, limit| World { hosted: open_limited(world.folder.path(), &world.now, limit), ..world };
    let world = limited(world, Some(1_000));
    let jar = |version: u32| format!("com/example/lib/{version}/lib-{version}.jar");
    let is_full = |result| assert!(matches!(refusal(result), Refused::Full { limit: 1_000, .. }));
    world.put(&jar(1), &[1; 400]).await.unwrap();
    let path: RepoPath = jar(2).parse().unwrap();
    let mut under_way = world.hosted.begin(&path, Some(500)).await.unwrap();
    is_full(world.put(&jar(3), &[3; 101]).await);
    let told = world.hosted.begin(&jar(3).parse().unwrap(), Some(101)).await.err().unwrap().to_string();
    assert!(told.contains("900 of the 1000 bytes"), "{told}");
    // The same bytes again need no room, under another path neither, and documents do not count.
    assert_eq!(world.put(&jar(1), &[1; 400]).await.unwrap(), Stored::Unchanged);
    assert_eq!(world.put(&jar(4), &[4; 100]).await.unwrap(), Stored::New);
    assert_eq!(world.put(LIST, list(&["1", "4"]).as_bytes()).await.unwrap(), Stored::New);
    under_way.write(Bytes::from(vec![2; 500])).await.unwrap();
    let longer = under_way.write(Bytes::from_static(b"x")).await.unwrap_err();
    assert!(matches!(longer, HostedError::Refused(Refused::Full { .. })), "{longer}");
    drop(under_way);
    assert_eq!(world.put(&jar(2), &[1; 400]).await.unwrap(), Stored::New, "bytes that are here");
    assert_eq!(world.put(&jar(3), &[3; 500]).await.unwrap(), Stored::New, "what broke off is free again");

    let world = limited(world, Some(1_000));
    is_full(world.put(&jar(5), b"5").await);
    let lost = world.hosted.inner.blobs.get(&Sha256::of(&[3; 500])).unwrap();
    std::fs::write(lost, b"damaged").unwrap();
    assert_eq!(world.put(&jar(3), &[3; 500]).await.unwrap(), Stored::Unchanged, "it comes back, full or not");
    assert!(matches!(world.get(&jar(3)).await, Answer::File(_)));
    let path = |text: String| text.parse::<RepoPath>().unwrap();
    let Some(removed) = maven_layout::ArtifactRef::from_path(&path(jar(3))) else { panic!() };
    world.hosted.remove(&removed.coordinates, "ci").await.unwrap();
    is_full(world.put(&jar(5), b"5").await);
    let folder = world.folder;
    drop(world.hosted);
    crate::collect(folder.path(), false).unwrap();
    let world = World { hosted: open_limited(folder.path(), &world.now, Some(1_000)), now: world.now, folder };
    assert_eq!(world.put(&jar(5), &[5; 500]).await.unwrap(), Stored::New);
}
