use std::fs;

use pyrsia_digest::FileDigests;

use super::*;

fn path(text: &str) -> RepoPath {
    text.parse().unwrap()
}

fn record(path_text: &str, bytes: &[u8]) -> FileRecord {
    FileRecord {
        path: path(path_text),
        digests: FileDigests::of(bytes).into(),
        origin: "upstream".to_owned(),
        verified_by: "sha1".to_owned(),
        last_modified: Some(100),
        first_seen: 200,
        last_use: 200,
    }
}

fn store() -> (tempfile::TempDir, IndexStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = IndexStore::open(dir.path()).unwrap();
    assert!(store.began_empty());
    (dir, store)
}

const JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";

#[test]
fn files_come_back_as_they_went_in() {
    let (dir, store) = store();
    let mut other = record("archetype-catalog.xml", b"catalog");
    other.last_modified = None;
    store.put_file(record(JAR, b"jar")).unwrap();
    store.put_file(other.clone()).unwrap();
    drop(store);
    let store = IndexStore::open(dir.path()).unwrap();
    assert!(!store.began_empty());
    assert_eq!(store.file(&path(JAR)).unwrap(), Some(record(JAR, b"jar")));
    assert_eq!(store.file(&path("archetype-catalog.xml")).unwrap(), Some(other.clone()));
    assert_eq!(store.file(&path("none")).unwrap(), None);
    assert_eq!(store.files(None, 1).unwrap(), [other.clone()]);
    assert_eq!(store.files(Some(&other.path), 9).unwrap(), [record(JAR, b"jar")]);
    assert_eq!(store.totals().unwrap(), (2, 10));
    assert!(store.uses_blob(&Sha256::of(b"jar")).unwrap());
    store.remove_file(&path(JAR)).unwrap();
    assert!(!store.uses_blob(&Sha256::of(b"jar")).unwrap());
    assert_eq!(store.totals().unwrap(), (1, 7));
}

#[test]
fn pinned_bytes_stay_and_metadata_changes() {
    let (_dir, store) = store();
    assert_eq!(store.pin_file(record(JAR, b"first")).unwrap(), Pinned::New);
    let mut again = record(JAR, b"first");
    again.first_seen = 999;
    assert_eq!(store.pin_file(again).unwrap(), Pinned::Same(record(JAR, b"first")));
    assert_eq!(store.pin_file(record(JAR, b"second")).unwrap(), Pinned::Other(record(JAR, b"first")));
    assert_eq!(store.file(&path(JAR)).unwrap(), Some(record(JAR, b"first")));

    let metadata = "org/acme/lib/maven-metadata.xml";
    store.put_file(record(metadata, b"1.0")).unwrap();
    store.put_file(record(metadata, b"1.0 1.1")).unwrap();
    assert_eq!(store.file(&path(metadata)).unwrap(), Some(record(metadata, b"1.0 1.1")));
}

#[test]
fn versions_are_those_of_one_artifact_in_mavens_order() {
    let (_dir, store) = store();
    for version in ["1.10", "1.9", "1.10-rc1", "2.0-SNAPSHOT"] {
        for extension in ["jar", "pom"] {
            let path = format!("org/acme/lib/{version}/lib-{version}.{extension}");
            store.put_file(record(&path, path.as_bytes())).unwrap();
        }
    }
    store.put_file(record("org/acme/lib-extra/3.0/lib-extra-3.0.jar", b"x")).unwrap();
    store.put_file(record("org/acme/lib/maven-metadata.xml", b"x")).unwrap();
    let (group, artifact) = ("org.acme".parse().unwrap(), "lib".parse().unwrap());
    let versions = store.versions(&group, &artifact).unwrap();
    let versions: Vec<_> = versions.iter().map(|v| v.as_str()).collect();
    assert_eq!(versions, ["1.9", "1.10-rc1", "1.10", "2.0-SNAPSHOT"]);
    assert_eq!(store.versions(&group, &"none".parse().unwrap()).unwrap(), []);
}

#[test]
fn absence_ends() {
    let (_dir, store) = store();
    store.put_absent(&path(JAR), 0, 100).unwrap();
    store.put_absent(&path("other"), 0, 500).unwrap();
    assert_eq!(store.absent(&path(JAR)).unwrap(), Some(100));
    store.put_absent(&path("third"), 101, 600).unwrap();
    assert_eq!(store.absent(&path(JAR)).unwrap(), None, "what has ended is swept by the next");
    assert_eq!(store.absent(&path("other")).unwrap(), Some(500));
    store.put_file(record("other", b"here now")).unwrap();
    assert_eq!(store.absent(&path("other")).unwrap(), None);
    store.clear_absent().unwrap();
    assert_eq!(store.absent(&path("third")).unwrap(), None);
}

#[test]
fn times_of_use_are_seen_at_once_and_survive() {
    let (dir, store) = store();
    store.put_file(record(JAR, b"jar")).unwrap();
    store.touch(&path(JAR), 300);
    store.touch(&path(JAR), 250);
    store.touch(&path("not/there"), 300);
    assert_eq!(store.file(&path(JAR)).unwrap().unwrap().last_use, 300);
    drop(store);
    let store = IndexStore::open(dir.path()).unwrap();
    assert_eq!(store.file(&path(JAR)).unwrap().unwrap().last_use, 300, "written when the store closes");
    for n in 0..TOUCHES as u64 {
        store.touch(&path(&format!("p/{n}")), n);
    }
    assert!(store.touched().is_empty(), "memory is bounded");
    store.touch(&path(JAR), 400);
    store.flush().unwrap();
    assert!(store.touched().is_empty());
    assert_eq!(store.file(&path(JAR)).unwrap().unwrap().last_use, 400);
}

#[test]
fn quarantine_keeps_the_first_sight() {
    let (_dir, store) = store();
    let evil = |seen_at| QuarantineRecord {
        path: path(JAR),
        sha256: Sha256::of(b"evil"),
        size: 4,
        origin: "upstream".to_owned(),
        reason: "changed upstream".to_owned(),
        seen_at,
    };
    let worse = QuarantineRecord { sha256: Sha256::of(b"worse"), ..evil(15) };
    for (record, new) in [(evil(10), true), (evil(20), false), (worse, true)] {
        assert_eq!(store.record_quarantine(record).unwrap(), Quarantined { new, forgotten: 0 });
    }
    let seen: Vec<_> = store.quarantined().unwrap().iter().map(|q| q.seen_at).collect();
    assert_eq!(seen, [15, 10]);
    assert_eq!(store.quarantined().unwrap()[1], evil(10));
}

#[test]
fn quarantine_ends_and_what_was_seen_first_goes_first() {
    const YEAR: u64 = 365 * 86_400;
    let (dir, store) = store();
    let evil = |number: u64| QuarantineRecord {
        path: path(JAR),
        sha256: Sha256::of(&number.to_le_bytes()),
        size: 4,
        origin: "upstream".to_owned(),
        reason: "changed upstream".to_owned(),
        seen_at: number,
    };
    // As an earlier version left them, that forgot none.
    let other = rusqlite::Connection::open(dir.path().join("index.db")).unwrap();
    other.execute_batch("BEGIN").unwrap();
    for number in 0..10_003u64 {
        let record = evil(number);
        other
            .execute(
                "INSERT INTO quarantine VALUES (?1, ?2, 4, 'upstream', 'changed', ?3)",
                (record.path.as_str(), record.sha256.as_bytes(), number as i64),
            )
            .unwrap();
    }
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(store.forget_quarantined(10_003, true).unwrap(), (3, 10_000));
    assert_eq!(store.record_quarantine(evil(10_003)).unwrap(), Quarantined { new: true, forgotten: 4 });
    assert_eq!(store.quarantined().unwrap()[0], evil(10_003));
    assert_eq!(store.forget_quarantined(10_003, false).unwrap(), (0, 10_000));
    // Those of 4 to 9,999 are older than a year then.
    assert_eq!(store.forget_quarantined(10_000 + YEAR, false).unwrap(), (9_996, 4));
    assert_eq!(store.quarantined().unwrap().len(), 4);
    let late = evil(20_000 + YEAR);
    assert_eq!(store.record_quarantine(late.clone()).unwrap(), Quarantined { new: true, forgotten: 4 });
    assert_eq!(store.quarantined().unwrap(), [late]);
    assert_eq!(store.forget_quarantined(0, true).unwrap(), (0, 1));
}

#[test]
fn a_damaged_index_is_begun_anew_and_a_deleted_one_too() {
    let (dir, store) = store();
    store.put_file(record(JAR, b"jar")).unwrap();
    drop(store);
    let file = dir.path().join("index.db");
    fs::write(&file, b"rotten".repeat(1000)).unwrap();
    let store = IndexStore::open(dir.path()).unwrap();
    assert!(store.began_empty());
    assert_eq!(store.totals().unwrap(), (0, 0));
    assert_eq!(fs::read(dir.path().join("index.db.damaged")).unwrap(), b"rotten".repeat(1000));
    store.put_file(record(JAR, b"jar")).unwrap();
    drop(store);
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(dir.path().join(format!("index.db{suffix}")));
    }
    assert!(IndexStore::open(dir.path()).unwrap().began_empty());
}

#[test]
fn a_path_that_is_none_is_damage_not_a_panic() {
    let (dir, store) = store();
    store.put_file(record(JAR, b"jar")).unwrap();
    let other = rusqlite::Connection::open(dir.path().join("index.db")).unwrap();
    other.execute("UPDATE files SET path = '../../etc/passwd'", []).unwrap();
    assert!(matches!(store.files(None, 10), Err(StoreError::Corrupt { .. })));
    other.execute("UPDATE files SET path = 'a', size = -1", []).unwrap();
    assert!(matches!(store.file(&path("a")), Err(StoreError::Corrupt { .. })));
}

#[test]
fn digests_that_nobody_needed_yet_are_completed_under_every_path() {
    let (dir, store) = store();
    let named = |path: &str| {
        let mut named = record(path, b"jar");
        named.digests.others = None;
        named
    };
    store.pin_file(named(JAR)).unwrap();
    store.put_file(named(COPY)).unwrap();
    store.put_file(record("archetype-catalog.xml", b"catalog")).unwrap();
    drop(store);
    let store = IndexStore::open(dir.path()).unwrap();
    assert_eq!(store.file(&path(JAR)).unwrap(), Some(named(JAR)));
    assert_eq!(store.pin_file(record(JAR, b"jar")).unwrap(), Pinned::Same(named(JAR)));
    store.complete(FileDigests::of(b"jar")).unwrap();
    store.complete(FileDigests::of(b"unknown")).unwrap();
    for known in [record(JAR, b"jar"), record(COPY, b"jar"), record("archetype-catalog.xml", b"catalog")] {
        assert_eq!(store.file(&known.path).unwrap(), Some(known));
    }
}

/// An index of an earlier schema, with a file of a release, a copy of it, a document and what else the schema has.
fn of_schema(version: usize) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let db = rusqlite::Connection::open(dir.path().join(INDEX.file_name)).unwrap();
    for step in &INDEX.migrations[..version] {
        db.execute_batch(step).unwrap();
    }
    db.pragma_update(None, "application_id", INDEX.application_id).unwrap();
    db.pragma_update(None, "user_version", version as i64).unwrap();
    let all = FileDigests::of(b"jar");
    for (path, of) in [(JAR, Some(["org.acme", "lib", "1.0"])), (COPY, Some(["org.acme", "lib", "1.0"])), (META, None)]
    {
        let of = of.map_or([None; 3], |of| of.map(Some));
        db.execute(
            "INSERT INTO files VALUES (?1, ?7, ?8, ?9, 3, ?2, ?3, ?4, ?5, ?6, 'upstream', 'sha1', 100, 200, 200)",
            (
                path,
                all.md5.as_bytes(),
                all.sha1.as_bytes(),
                all.sha256.as_bytes(),
                all.sha512.as_bytes(),
                all.blake3.as_bytes(),
                of[0],
                of[1],
                of[2],
            ),
        )
        .unwrap();
    }
    db.execute("INSERT INTO absent VALUES ('a/b', 5)", []).unwrap();
    db.execute(
        "INSERT INTO quarantine VALUES ('a/c', ?1, 4, 'upstream', 'changed', 10)",
        [Sha256::of(b"evil").as_bytes()],
    )
    .unwrap();
    if version >= 3 {
        db.execute("INSERT INTO superseded VALUES (?1, 7)", [Sha256::of(b"gone").as_bytes()]).unwrap();
    }
    dir
}

const COPY: &str = "org/acme/lib/1.0/lib-1.0-copy.jar";
const META: &str = "org/acme/lib/maven-metadata.xml";

#[test]
fn every_earlier_schema_is_brought_forward_with_all_that_it_has() {
    for version in 1..INDEX.migrations.len() {
        let dir = of_schema(version);
        let store = IndexStore::open(dir.path()).unwrap();
        assert!(!store.began_empty(), "{version}");
        for place in [JAR, COPY, META] {
            assert_eq!(store.file(&path(place)).unwrap(), Some(record(place, b"jar")), "{version}");
        }
        assert_eq!(store.absent(&path("a/b")).unwrap(), Some(5));
        assert_eq!(store.quarantined().unwrap().len(), 1);
        assert_eq!(store.superseded().unwrap().len(), usize::from(version >= 3));
        // What the newest schema adds is made from what there is.
        assert_eq!(store.totals().unwrap(), (3, 9));
        let filter = crate::ArtifactFilter { words: vec!["lib".to_owned()], ..crate::ArtifactFilter::default() };
        assert_eq!(store.artifacts(&filter, 0, 10).unwrap().total, 1, "{version}");
        assert_eq!(store.by_sha1(&FileDigests::of(b"jar").sha1).unwrap().len(), 3);
        store.remove_file(&path(COPY)).unwrap();
        assert_eq!(store.totals().unwrap(), (2, 6));
        drop(store);
        assert!(!IndexStore::open(dir.path()).unwrap().began_empty(), "{version}");
    }
    let dir = of_schema(1);
    let db = rusqlite::Connection::open(dir.path().join(INDEX.file_name)).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    drop(db);
    assert!(matches!(IndexStore::open(dir.path()), Err(StoreError::TooNew { found: 99, .. })));
}

#[test]
fn damage_that_was_found_in_use_is_looked_for_at_the_next_start() {
    let (dir, store) = store();
    store.put_file(record(JAR, b"jar")).unwrap();
    let suspicion = dir.path().join("index.db.suspect");
    let other = rusqlite::Connection::open(dir.path().join("index.db")).unwrap();
    other.execute("UPDATE files SET size = -1", []).unwrap();
    assert!(!suspicion.exists());
    assert!(matches!(store.file(&path(JAR)), Err(StoreError::Corrupt { .. })));
    assert!(suspicion.exists());
    drop(store);
    // Nothing is wrong with its pages, so it stays.
    assert!(!IndexStore::open(dir.path()).unwrap().began_empty());
    assert!(!suspicion.exists());
}

#[test]
fn an_examination_finds_damage_and_counts_that_are_wrong() {
    let (dir, store) = store();
    for (path, bytes) in [(JAR, b"jar".as_slice()), (META, b"document"), ("org/acme/web/1/web-1.jar", b"x")] {
        store.put_file(record(path, bytes)).unwrap();
    }
    assert!(!store.examine().unwrap());
    let totals = store.totals().unwrap();
    let other = rusqlite::Connection::open(dir.path().join("index.db")).unwrap();
    other
        .execute_batch(
            "UPDATE totals SET files = 70, bytes = 3; UPDATE artifacts SET files = 0 WHERE artifact_id = 'lib';
             INSERT INTO artifacts (group_id, artifact_id, files) VALUES ('org.ghost', 'gone', 3);
             DELETE FROM artifacts WHERE artifact_id = 'web';",
        )
        .unwrap();
    drop(other);
    assert!(store.examine().unwrap());
    assert_eq!(store.totals().unwrap(), totals);
    let all = store.artifacts(&crate::ArtifactFilter::default(), 0, 10).unwrap();
    let names: Vec<String> = all.items.iter().map(|(_, artifact)| artifact.to_string()).collect();
    assert_eq!(names, ["lib", "web"]);
    assert!(!store.examine().unwrap(), "once is enough");

    // Beyond the size that is looked at when it is opened, damage would be found in use alone.
    for begin in 0..40u64 {
        let names = (0..500u64).map(|n| record(&format!("a/b/{begin}/b-{begin}-{n}.jar"), &n.to_le_bytes()));
        store.put_files(names.collect()).unwrap();
    }
    drop(store);
    let file = dir.path().join("index.db");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 20_000].fill(0xa5);
    let store = IndexStore::open(dir.path()).unwrap();
    fs::write(&file, bytes).unwrap();
    assert!(matches!(store.examine(), Err(StoreError::Corrupt { .. })));
    assert!(dir.path().join("index.db.suspect").exists());
    drop(store);
    assert!(IndexStore::open(dir.path()).unwrap().began_empty());
    assert!(!dir.path().join("index.db.suspect").exists() && dir.path().join("index.db.damaged").exists());
}

#[test]
fn a_row_that_belongs_elsewhere_by_now_counts_there() {
    let (dir, store) = store();
    store.put_file(record(JAR, b"jar")).unwrap();
    // As an earlier program may have understood the path.
    let other = rusqlite::Connection::open(dir.path().join("index.db")).unwrap();
    other.execute("UPDATE files SET group_id = 'org', artifact_id = 'acme', version = 'lib'", []).unwrap();
    let names = |store: &IndexStore| {
        let all = store.artifacts(&crate::ArtifactFilter::default(), 0, 10).unwrap();
        all.items.iter().map(|(group, artifact)| format!("{group}:{artifact}")).collect::<Vec<_>>()
    };
    assert_eq!(names(&store), ["org:acme"]);
    store.put_file(record(JAR, b"jar")).unwrap();
    assert_eq!(names(&store), ["org.acme:lib"]);
    other.execute("UPDATE files SET group_id = NULL, artifact_id = NULL, version = NULL", []).unwrap();
    assert!(names(&store).is_empty());
    assert_eq!(store.of_no_release(None).unwrap(), [path(JAR)]);
    store.remove_file(&path(JAR)).unwrap();
    assert!(!store.examine().unwrap());
}

#[test]
fn many_absent_paths_are_forgotten_in_time() {
    let (_dir, store) = store();
    let count = |store: &IndexStore| {
        let counted = store.inner.db.read(|db| Ok(db.query_row("SELECT count(*) FROM absent", [], |r| r.get(0))?));
        let count: i64 = counted.unwrap();
        count
    };
    let many = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) INSERT INTO absent SELECT 'x/' || i, i \
         FROM n",
        MAX_ABSENT + 5_000
    );
    store.inner.db.write(move |db| Ok(db.execute_batch(&many)?)).unwrap();
    store.put_absent(&path("a"), 0, 1 << 40).unwrap();
    assert_eq!(count(&store), MAX_ABSENT, "the first one after a start looks");
    for n in 0..COUNT_ABSENT {
        store.put_absent(&path(&format!("b/{n}")), 0, 1 << 40).unwrap();
    }
    assert_eq!(count(&store), MAX_ABSENT, "those that end first are gone");
    assert_eq!(store.absent(&path("a")).unwrap(), Some(1 << 40));
}

#[test]
fn the_longest_unused_bytes_come_first_and_the_last_use_of_any_path_counts() {
    let (_dir, store) = store();
    let used = |path: &str, bytes: &[u8], last_use: u64| store.put_file(FileRecord { last_use, ..record(path, bytes) });
    used("a/a/1/a-1.jar", b"one", 10).unwrap();
    used("a/b/1/b-1.jar", b"one", 50).unwrap();
    used("a/c/1/c-1.jar", b"two!", 20).unwrap();
    used("a/d/1/d-1.jar", b"three", 20).unwrap();
    store.touch(&path("a/c/1/c-1.jar"), 60);
    let expected = [(b"three".as_slice(), 20), (b"one", 50), (b"two!", 60)].map(|(bytes, last_use)| LastUse {
        sha256: Sha256::of(bytes),
        size: bytes.len() as u64,
        last_use,
    });
    let seen = |from, most: usize| {
        let mut seen = Vec::new();
        let visit = |used| {
            seen.push(used);
            if seen.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        store.by_last_use(from, visit).unwrap();
        seen
    };
    assert_eq!(seen(0, 10), expected);
    assert_eq!(seen(0, 2), expected[..2]);
    assert_eq!(seen(21, 10), expected[1..]);
}

#[test]
fn bytes_that_no_path_has_any_more_are_known() {
    let dir = tempfile::tempdir().unwrap();
    let store = IndexStore::open(dir.path()).unwrap();
    for (path, bytes) in [("a/b/1/b-1.jar", b"one"), ("a/b/1/b-1.jar", b"two"), ("a/c/1/c-1.jar", b"two")] {
        store.put_file(record(path, bytes)).unwrap();
    }
    assert_eq!(store.superseded().unwrap(), [(Sha256::of(b"one"), 3)]);
    store.remove_file(&path("a/b/1/b-1.jar")).unwrap();
    assert_eq!(store.superseded().unwrap().len(), 1, "another path has them");
    store.remove_file(&path("a/c/1/c-1.jar")).unwrap();
    assert_eq!(store.superseded().unwrap().len(), 2);
    store.put_file(record("a/d/1/d-1.jar", b"one")).unwrap();
    assert_eq!(store.superseded().unwrap(), [(Sha256::of(b"two"), 3)]);
    store.forget_superseded(vec![Sha256::of(b"one")]).unwrap();
    assert_eq!(store.superseded().unwrap().len(), 1);
    store.forget_superseded(vec![Sha256::of(b"two")]).unwrap();
    assert_eq!(store.superseded().unwrap(), []);
}
