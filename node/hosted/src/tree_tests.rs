use super::*;
use pyrsia_digest::FileDigests;

fn entry(bytes: &[u8]) -> Entry {
    Entry { digests: FileDigests::of(bytes), stored: 7, writer: "ci".to_owned() }
}

fn path(text: &str) -> RepoPath {
    text.parse().unwrap()
}

#[test]
fn entries_are_there_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let tree = Tree::open(folder.path()).unwrap();
    let jar = path("a/b/1/b-1.jar");
    assert_eq!(tree.entry(&jar).unwrap(), None);
    tree.create(&jar, &entry(b"one")).unwrap();
    assert_eq!(tree.entry(&jar).unwrap(), Some(entry(b"one")));
    let again = tree.create(&jar, &entry(b"two")).unwrap_err();
    assert!(matches!(again, HostedError::Refused(Refused::Occupied { .. })), "{again}");
    assert_eq!(tree.entry(&jar).unwrap(), Some(entry(b"one")), "the first stays");

    let list = path("a/b/maven-metadata.xml");
    for text in ["one", "two"] {
        tree.replace(&list, text.as_bytes()).unwrap();
        assert_eq!(tree.document(&list).unwrap().unwrap().bytes, text.as_bytes());
    }
    let mut seen = Vec::new();
    tree.walk(|path| seen.push(path.to_string())).unwrap();
    seen.sort();
    assert_eq!(seen, ["a/b/1/b-1.jar", "a/b/maven-metadata.xml"]);
    tree.remove(&jar).unwrap();
    assert_eq!(tree.entry(&jar).unwrap(), None);
    assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn what_a_killed_process_left_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    Tree::open(folder.path()).unwrap();
    fs::write(folder.path().join("tmp/half"), "{").unwrap();
    let tree = Tree::open(folder.path()).unwrap();
    assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    let mut seen = 0;
    tree.walk(|_| seen += 1).unwrap();
    assert_eq!(seen, 0);
}

#[test]
fn files_and_folders_in_each_other_s_way_are_a_refusal_and_never_absent_ones_found() {
    let folder = tempfile::tempdir().unwrap();
    let tree = Tree::open(folder.path()).unwrap();
    let (file, below) = (path("a/b/1/b-1.jar"), path("a/b/1/b-1.jar/2/b-1.jar-2.pom"));
    tree.create(&file, &entry(b"one")).unwrap();
    assert_eq!(tree.entry(&below).unwrap(), None);
    assert!(matches!(tree.create(&below, &entry(b"")), Err(HostedError::Refused(Refused::Occupied { .. }))));
    let folder_of = path("a/b/1");
    assert_eq!(tree.entry(&folder_of).unwrap(), None);
    for result in [tree.create(&folder_of, &entry(b"")), tree.replace(&folder_of, b"")] {
        assert!(matches!(result, Err(HostedError::Refused(Refused::Occupied { .. }))), "{result:?}");
    }
    assert_eq!(tree.entry(&path(&"x".repeat(300))).unwrap(), None);
}

#[test]
fn a_damaged_entry_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let tree = Tree::open(folder.path()).unwrap();
    let jar = path("a/b/1/b-1.jar");
    tree.create(&jar, &entry(b"one")).unwrap();
    fs::write(folder.path().join("entries/a/b/1/b-1.jar"), "{").unwrap();
    assert!(matches!(tree.entry(&jar), Err(HostedError::Entry { .. })));
}
