use std::time::Instant;

use pyrsia_digest::FileDigests;

use super::*;

fn record(path: &str, bytes: &[u8]) -> FileRecord {
    FileRecord {
        path: path.parse().unwrap(),
        digests: FileDigests::of(bytes).into(),
        origin: "upstream".to_owned(),
        verified_by: "sha1".to_owned(),
        last_modified: None,
        first_seen: 200,
        last_use: 200,
    }
}

fn path(group: &str, artifact: &str, version: &str) -> String {
    format!("{}/{artifact}/{version}/{artifact}-{version}.jar", group.replace('.', "/"))
}

fn filter(group: &str, artifact: &str, words: &[&str]) -> ArtifactFilter {
    ArtifactFilter {
        group: (!group.is_empty()).then(|| group.parse().unwrap()),
        artifact: (!artifact.is_empty()).then(|| artifact.parse().unwrap()),
        words: words.iter().map(|word| (*word).to_owned()).collect(),
    }
}

fn found(store: &IndexStore, filter: &ArtifactFilter) -> Vec<String> {
    let found = store.artifacts(filter, 0, 100).unwrap();
    assert_eq!(found.total, found.items.len() as u64);
    found.items.iter().map(|(group, artifact)| format!("{group}:{artifact}")).collect()
}

fn filled() -> (tempfile::TempDir, IndexStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = IndexStore::open(dir.path()).unwrap();
    for (group, artifact) in
        [("org.acme", "lib-core"), ("org.acme", "lib-web"), ("com.example", "lib-core"), ("org.acme.deep", "tool")]
    {
        for version in ["1.0", "2.0"] {
            let path = path(group, artifact, version);
            store.put_file(record(&path, path.as_bytes())).unwrap();
        }
    }
    store.put_file(record("org/acme/lib-core/maven-metadata.xml", b"no file of a release")).unwrap();
    (dir, store)
}

#[test]
fn artifacts_are_found_by_name_and_by_words() {
    let (_dir, store) = filled();
    let all = ["com.example:lib-core", "org.acme:lib-core", "org.acme:lib-web", "org.acme.deep:tool"];
    let mut everything = found(&store, &filter("", "", &[]));
    everything.sort();
    let mut expected = all.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(everything, expected);
    assert_eq!(found(&store, &filter("org.acme", "", &[])), ["org.acme:lib-core", "org.acme:lib-web"]);
    assert_eq!(found(&store, &filter("", "lib-core", &[])), ["com.example:lib-core", "org.acme:lib-core"]);
    assert_eq!(found(&store, &filter("org.acme", "lib-core", &[])), ["org.acme:lib-core"]);
    assert_eq!(found(&store, &filter("", "", &["core"])).len(), 2);
    assert_eq!(found(&store, &filter("", "", &["LI", "exam"])), ["com.example:lib-core"]);
    assert_eq!(found(&store, &filter("", "", &["deep", "tool"])), ["org.acme.deep:tool"]);
    assert_eq!(found(&store, &filter("org.acme", "", &["web"])), ["org.acme:lib-web"]);
    for words in [&["nothing"][..], &["\""], &["a\" OR \"b"], &["*"], &["name:lib"], &["core", "NOT"], &["(", ")"]] {
        let answer = store.artifacts(&filter("", "", words), 0, 10).unwrap();
        assert!(answer.items.is_empty(), "{words:?}: {answer:?}");
    }
    let page = store.artifacts(&filter("", "", &["lib"]), 1, 1).unwrap();
    assert_eq!((page.total, page.items.len()), (3, 1));
}

#[test]
fn what_is_gone_is_not_found_and_totals_follow() {
    let (_dir, store) = filled();
    let before = store.totals().unwrap();
    let one = path("org.acme", "lib-web", "1.0");
    store.put_file(record(&one, b"changed")).unwrap();
    let bytes = before.1 + 7 - one.len() as u64;
    assert_eq!(store.totals().unwrap(), (before.0, bytes), "a row that is replaced counts once");
    for version in ["1.0", "2.0"] {
        assert_eq!(found(&store, &filter("org.acme", "lib-web", &[])).len(), 1);
        store.remove_file(&path("org.acme", "lib-web", version).parse().unwrap()).unwrap();
    }
    assert_eq!(found(&store, &filter("org.acme", "lib-web", &[])), [""; 0]);
    assert_eq!(found(&store, &filter("", "", &["web"])), [""; 0]);
    assert_eq!(store.totals().unwrap(), (before.0 - 2, bytes - 7 - one.len() as u64));
    store.put_file(record(&one, b"back")).unwrap();
    assert_eq!(found(&store, &filter("", "", &["web"])).len(), 1);
}

#[test]
fn files_are_found_by_artifact_and_by_sha1() {
    let (_dir, store) = filled();
    let files = store.files_of(&"org.acme".parse().unwrap(), &"lib-core".parse().unwrap()).unwrap();
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|file| file.first_seen == 200));
    let (one, copy) = (path("org.acme", "lib-core", "1.0"), path("org.acme", "copy", "1.0"));
    let sha1 = FileDigests::of(one.as_bytes()).sha1;
    assert_eq!(store.by_sha1(&sha1).unwrap(), [record(&one, one.as_bytes())]);
    store.put_file(record(&copy, one.as_bytes())).unwrap();
    assert_eq!(store.by_sha1(&sha1).unwrap().len(), 2);
    assert_eq!(store.by_sha1(&FileDigests::of(b"none").sha1).unwrap(), []);
}

/// Releases in the index; how long looking up and searching takes in it. With `PYRSIA_INDEX_RELEASES=10000000` this takes
/// some minutes and ten gigabytes.
#[test]
#[ignore = "a measurement"]
fn an_index_of_many_releases() {
    let releases: u64 = std::env::var("PYRSIA_INDEX_RELEASES").map_or(200_000, |text| text.parse().unwrap());
    let kept = std::env::var_os("PYRSIA_INDEX_FOLDER");
    let temporary = tempfile::tempdir().unwrap();
    let folder = kept.map_or(temporary.path().to_owned(), std::path::PathBuf::from);
    let begun = Instant::now();
    let store = IndexStore::open(&folder).unwrap();
    // For the filling alone; what is measured afterwards has what every node has.
    store.inner.db.write(|db| Ok(db.pragma_update(None, "cache_size", -4_000_000)?)).unwrap();
    let place = |n: u64| {
        let artifact = n / 20;
        path(
            &format!("org.g{}.sub{}", artifact % 5_000, artifact % 7),
            &format!("part-{artifact}-lib"),
            &format!("1.{}", n % 20),
        )
    };
    for begin in (0..releases).step_by(50_000) {
        let batch: Vec<FileRecord> =
            (begin..releases.min(begin + 50_000)).map(|n| record(&place(n), &n.to_le_bytes())).collect();
        store.put_files(batch).unwrap();
    }
    println!("made: {:.1?}", begun.elapsed());
    drop(store);
    println!("size: {} MiB", std::fs::metadata(folder.join("index.db")).unwrap().len() >> 20);
    let begun = Instant::now();
    let store = IndexStore::open(&folder).unwrap();
    println!("start: {:.1?}", begun.elapsed());
    println!("totals: {:?} {:.2?}", store.totals().unwrap(), begun.elapsed());
    // A walk that visits them in no order of theirs.
    let mut times: Vec<_> = (0..20_000_u64)
        .map(|n| {
            let path: RepoPath = place(n.wrapping_mul(7_919_993) % releases).parse().unwrap();
            let begun = Instant::now();
            assert!(store.file(&path).unwrap().is_some());
            begun.elapsed()
        })
        .collect();
    times.sort();
    println!("look-up: median {:.1?}, p99 {:.1?}, longest {:.1?}", times[10_000], times[19_800], times[19_999]);
    let last = (releases - 1) / 20;
    let one = format!("part-{}-lib", last / 2);
    let group = format!("org.g{}.sub{}", (last / 2) % 5_000, (last / 2) % 7);
    for (what, filter) in [
        ("group and artifact", filter(&group, &one, &[])),
        ("group", filter(&group, "", &[])),
        ("artifact", filter("", &one, &[])),
        ("a rare word", filter("", "", &[&(last / 3).to_string()])),
        ("a word of all", filter("", "", &["lib"])),
        ("a rare word and one of all", filter("", "", &["part", &(last / 3).to_string()])),
        ("the beginning of many", filter("", "", &["g1"])),
        ("three", filter("", "", &["g1", "sub3", "part"])),
    ] {
        let mut times: Vec<_> = (0..20)
            .map(|_| {
                let begun = Instant::now();
                let found = store.artifacts(&filter, 0, 20).unwrap();
                assert!(!found.items.is_empty(), "{what}");
                begun.elapsed()
            })
            .collect();
        times.sort();
        println!("search, {what}: median {:.2?}, longest {:.2?}", times[10], times[19]);
    }
    let begun = Instant::now();
    assert_eq!(store.by_sha1(&FileDigests::of(&1_u64.to_le_bytes()).sha1).unwrap().len(), 1);
    println!("search, sha1: {:.2?}", begun.elapsed());
}
