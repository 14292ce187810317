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
fn what_came_is_told_in_its_order_and_bytes_have_paths() {
    let (_dir, store) = filled();
    let (first, files) = store.came_after(0, 3).unwrap();
    assert_eq!(files.len(), 3);
    let (last, rest) = store.came_after(first, 100).unwrap();
    assert_eq!(rest.len(), 5, "the document is of no release");
    assert!(files.iter().all(|file| !rest.contains(file)));
    assert_eq!(store.came_after(last, 100).unwrap(), (last, Vec::new()));
    store.put_file(record("org/acme/new/1/new-1.jar", b"new")).unwrap();
    let (newest, new) = store.came_after(last, 100).unwrap();
    assert_eq!((new.len(), new[0].1), (1, FileDigests::of(b"new").sha256));
    assert!(newest > last);
    // Its number is given again.
    let document: RepoPath = "org/acme/new/maven-metadata.xml".parse().unwrap();
    store.put_file(record(document.as_str(), b"a document")).unwrap();
    assert_eq!(store.came_after(newest, 100).unwrap(), (newest, Vec::new()));
    store.remove_file(&document).unwrap();
    store.put_file(record("org/acme/newer/1/newer-1.jar", b"newer")).unwrap();
    assert_eq!(store.came_after(newest, 100).unwrap().1.len(), 1);
    // Another index than the one that was looked through.
    assert_eq!(store.came_after(newest + 1000, 100).unwrap().1.len(), 10);
    assert_eq!(store.paths_of(&new[0].1).unwrap(), [new[0].0.clone()]);
    assert!(store.paths_of(&FileDigests::of(b"none").sha256).unwrap().is_empty());
}

#[test]
fn a_snapshot_that_is_replaced_comes_again_and_the_same_bytes_do_not() {
    let (_dir, store) = filled();
    let place = "org/acme/lib-web/3-SNAPSHOT/lib-web-3-SNAPSHOT.jar";
    store.put_file(record(place, b"first")).unwrap();
    store.put_file(record("org/acme/later/1/later-1.jar", b"later")).unwrap();
    let (seen, _) = store.came_after(0, 100).unwrap();
    let before = store.totals().unwrap();
    store.put_file(record(place, b"first")).unwrap();
    store.put_file(record("org/acme/lib-core/maven-metadata.xml", b"another document")).unwrap();
    assert_eq!(store.came_after(seen, 100).unwrap(), (seen, Vec::new()));
    for bytes in [&b"second"[..], b"third"] {
        store.put_file(record(place, bytes)).unwrap();
    }
    let (newest, came) = store.came_after(seen, 100).unwrap();
    assert_eq!(came, [(place.parse().unwrap(), FileDigests::of(b"third").sha256)], "as it is now, once");
    assert!(newest > seen);
    assert_eq!(store.came_after(newest, 100).unwrap(), (newest, Vec::new()));
    // It is the same file for everybody else.
    assert_eq!(store.file(&place.parse().unwrap()).unwrap(), Some(record(place, b"third")));
    assert_eq!(store.totals().unwrap().0, before.0);
    assert_eq!(found(&store, &filter("org.acme", "lib-web", &[])), ["org.acme:lib-web"]);
    assert!(!store.examine().unwrap(), "every count is right");
    assert!(store.paths_of(&FileDigests::of(b"first").sha256).unwrap().is_empty());
    // What came later is behind it.
    store.put_file(record("org/acme/last/1/last-1.jar", b"last")).unwrap();
    assert_eq!(store.came_after(newest, 100).unwrap().1.len(), 1);
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
