use std::io::Read as _;
use std::path::Path;

use build_spec::NoLog;
use maven_layout::Coordinates;

use super::*;
use crate::config::{Limits, SourceMirror};

mod checkouts;
mod dot_gits;
mod hostile;
mod siblings;
mod submodules;
mod with_git;

const POM: &str = "<project><modelVersion>4.0.0</modelVersion><groupId>org.acme</groupId><artifactId>parent</artifactId>\
    <version>1.0</version><packaging>pom</packaging><scm><url>https://git.example/acme/lib</url></scm>\
    <modules><module>core</module></modules><profiles><profile><modules><module>extra</module></modules></profile>\
    </profiles></project>";
const CORE: &str = "<project><parent><groupId>org.acme</groupId><artifactId>parent</artifactId><version>1.0</version>\
    </parent><artifactId>core</artifactId></project>";
const EXTRA: &str = "<project><parent><groupId>org.acme</groupId><artifactId>parent</artifactId><version>1.0</version>\
    </parent><artifactId>extra</artifactId></project>";
const COMPUTED: &str = "<project><groupId>org.acme</groupId><artifactId>computed</artifactId>\
    <version>${revision}</version></project>";

/// Settings whose source map leads `https://git.example/` to the repositories in a folder.
fn config(folder: &Path) -> JavaBuilderConfig {
    JavaBuilderConfig {
        temp_dir: Some(folder.join("temp")),
        source_mirrors: vec![SourceMirror {
            prefix: "https://git.example/".to_owned(),
            replacement: format!("file://{}/", folder.display()),
        }],
        ..JavaBuilderConfig::default()
    }
}

struct Made {
    folder: tempfile::TempDir,
    config: JavaBuilderConfig,
}

impl Made {
    /// A repository `lib` with these files (mode, path, content); tags `v1` (annotated) and `light`.
    fn new(files: &[(i32, &str, &[u8])]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let repository = git2::Repository::init_bare(folder.path().join("acme/lib")).unwrap();
        let tree = tree(&repository, files);
        let tree = repository.find_tree(tree).unwrap();
        let who = git2::Signature::new("a", "a@example.org", &git2::Time::new(1_600_000_000, 120)).unwrap();
        let commit = repository.commit(Some("refs/heads/main"), &who, &who, "one", &tree, &[]).unwrap();
        let object = repository.find_object(commit, None).unwrap();
        repository.tag("v1", &object, &who, "release", false).unwrap();
        repository.tag_lightweight("light", &object, false).unwrap();
        repository.reference("refs/heads/v2", commit, false, "a branch, not a tag").unwrap();
        let config = config(folder.path());
        Self { folder, config }
    }

    async fn resolve(&self, coordinates: &str, tag: Option<&str>, commit: Option<&str>) -> Result<Source, SourceError> {
        self.resolve_as(coordinates, tag, commit, None).await
    }

    async fn resolve_as(
        &self,
        coordinates: &str,
        tag: Option<&str>,
        commit: Option<&str>,
        checkout: Option<Checkout>,
    ) -> Result<Source, SourceError> {
        let request = SourceRequest {
            coordinates: vec![coordinates.parse().unwrap()],
            repository: maven_layout::scm::canonical("https://git.example/acme/lib").unwrap(),
            tag: tag.map(str::to_owned),
            commit: commit.map(str::to_owned),
            checkout,
        };
        resolve(&self.config, &request, Arc::new(NoLog)).await
    }

    fn files_left(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("temp")).unwrap().count()
    }
}

fn tree(repository: &git2::Repository, files: &[(i32, &str, &[u8])]) -> git2::Oid {
    let mut builder = repository.treebuilder(None).unwrap();
    let mut folders = std::collections::BTreeMap::<&str, Vec<(i32, &str, &[u8])>>::new();
    for (mode, path, content) in files {
        match path.split_once('/') {
            Some((folder, rest)) => folders.entry(folder).or_default().push((*mode, rest, content)),
            None if *mode == 0o160_000 => {
                let id = git2::Oid::from_str("1234567890123456789012345678901234567890").unwrap();
                builder.insert(path, id, *mode).unwrap();
            }
            None => {
                builder.insert(path, repository.blob(content).unwrap(), *mode).unwrap();
            }
        }
    }
    for (folder, files) in folders {
        builder.insert(folder, tree(repository, &files), 0o040_000).unwrap();
    }
    builder.write().unwrap()
}

fn usual() -> Vec<(i32, &'static str, &'static [u8])> {
    vec![
        (0o100_644, "pom.xml", POM.as_bytes()),
        (0o100_644, "core/pom.xml", CORE.as_bytes()),
        (0o100_644, "extra/pom.xml", EXTRA.as_bytes()),
        (0o100_755, "run.sh", b"#!/bin/sh\n"),
        (0o120_000, "core/link", b"../run.sh"),
    ]
}

fn listing(path: &Path) -> Vec<(String, u32, u64, Vec<u8>)> {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(bytes.len() % 10_240, 0);
    let mut archive = tar::Archive::new(bytes.as_slice());
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            let header = entry.header().clone();
            assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (1000, 1000));
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let name = entry.path().unwrap().display().to_string();
            (name, header.mode().unwrap(), header.mtime().unwrap(), content)
        })
        .collect()
}

#[tokio::test]
async fn the_tar_has_one_form() {
    let made = Made::new(&usual());
    let one = made.resolve("org.acme:core:1.0", Some("v1"), None).await.unwrap();
    let two = made.resolve("org.acme:core:1.0", Some("light"), None).await.unwrap();
    assert_eq!((one.tree, &one.commit), (two.tree, &two.commit));
    assert_eq!(one.tree, pyrsia_digest::Sha256::of(&std::fs::read(&one.archive).unwrap()));
    assert_eq!(one.commit_time, 1_600_000_000);
    assert!(one.evidence[0].starts_with("annotated tag v1"), "{:?}", one.evidence);
    assert!(two.evidence[0].starts_with("lightweight"), "{:?}", two.evidence);
    let shown: Vec<_> = listing(&one.archive).into_iter().map(|(name, mode, mtime, _)| (name, mode, mtime)).collect();
    let time = 1_600_000_000;
    let expected = [
        ("core", 0o755, time),
        ("core/link", 0o755, time),
        ("core/pom.xml", 0o644, time),
        ("extra", 0o755, time),
        ("extra/pom.xml", 0o644, time),
        ("pom.xml", 0o644, time),
        ("run.sh", 0o755, time),
    ];
    let shown: Vec<_> = shown.iter().map(|(name, mode, time)| (name.trim_end_matches('/'), *mode, *time)).collect();
    assert_eq!(shown, expected);
    // The two archives and nothing else: clones are gone.
    assert_eq!(made.files_left(), 2);
}

#[tokio::test]
async fn the_reactor_and_the_address_are_read() {
    let made = Made::new(&usual());
    let source = made.resolve("org.acme:core:1.0", Some("v1"), None).await.unwrap();
    let reactor: Vec<String> = source.reactor.iter().map(Coordinates::to_string).collect();
    // `extra` is a module of a profile only: whether it is active or not, it is a sibling.
    assert_eq!(reactor, ["org.acme:core:1.0", "org.acme:extra:1.0", "org.acme:parent:1.0"]);
    assert!(source.mirrored);
    let inherited = source.declared_scm.map(|address| address.to_string());
    assert!(inherited.is_some_and(|address| address.starts_with("https://git.example/acme/lib")));
    assert!(source.specification.is_none());
    // A module that only a profile names.
    assert!(made.resolve("org.acme:extra:1.0", Some("v1"), None).await.is_ok());
}

#[tokio::test]
async fn what_gradle_builds_is_checked_when_it_has_built() {
    let plain = [(0o100_644, "build.gradle", &b"group = 'org.acme'\n"[..])];
    // One that says nothing of the release is an example; one in the root is the build.
    let example = (0o100_644, "src/test/resources/pom.xml", &b"<project><artifactId>x</artifactId></project>"[..]);
    for files in [plain.to_vec(), [&plain[..], &[example]].concat()] {
        let made = Made::new(&files);
        let source = made.resolve("org.acme:core:1.0", Some("v1"), None).await.unwrap();
        let reactor: Vec<String> = source.reactor.iter().map(Coordinates::to_string).collect();
        assert_eq!(reactor, ["org.acme:core:1.0"]);
        assert!(
            source.evidence.iter().any(|text| text.contains("build.gradle at commit") && text.contains("must say"))
        );
    }
    let root = (
        0o100_644,
        "pom.xml",
        &b"<project><groupId>g</groupId><artifactId>x</artifactId><version>1</version></project>"[..],
    );
    let made = Made::new(&[&plain[..], &[root]].concat());
    let refused = made.resolve("org.acme:core:1.0", Some("v1"), None).await;
    assert!(matches!(refused, Err(SourceError::Coordinates { .. })), "{refused:?}");
}

#[tokio::test]
async fn only_tags_are_tags_and_contradictions_are_refused() {
    let made = Made::new(&usual());
    let commit = made.resolve("org.acme:core:1.0", Some("v1"), None).await.unwrap().commit;
    assert!(made.resolve("org.acme:core:1.0", Some("v1"), Some(&commit)).await.is_ok());
    assert!(made.resolve("org.acme:core:1.0", None, Some(&commit)).await.is_ok());
    let other = "a".repeat(40);
    for (tag, commit) in [
        (Some("v1"), Some(other.as_str())),
        (None, Some(other.as_str())),
        (None, Some("abc")),
        (Some("v1"), Some(&commit[..12])),
        (Some("../heads/main"), None),
        (None, None),
    ] {
        let error = made.resolve("org.acme:core:1.0", tag, commit).await.unwrap_err();
        assert!(matches!(error, SourceError::Revision { .. }), "{tag:?} {commit:?}: {error}");
    }
    // A branch of that name, and no tag at all.
    for tag in ["v2", "v3"] {
        let error = made.resolve("org.acme:core:1.0", Some(tag), None).await.unwrap_err();
        assert!(matches!(error, SourceError::Revision { .. } | SourceError::Clone { .. }), "{tag}: {error}");
    }
}

#[tokio::test]
async fn coordinates_must_be_declared() {
    let made = Made::new(&usual());
    let error = made.resolve("org.acme:core:1.1", Some("v1"), None).await.unwrap_err();
    match error {
        SourceError::Coordinates { declared, wanted, .. } => {
            assert_eq!((declared.as_str(), wanted.as_str()), ("org.acme:core:1.0", "org.acme:core:1.1"));
        }
        other => panic!("{other}"),
    }
    assert!(made.resolve("com.google:core:1.0", Some("v1"), None).await.is_err());

    let computed = Made::new(&[(0o100_644, "pom.xml", COMPUTED.as_bytes())]);
    let source = computed.resolve("org.acme:computed:7", Some("v1"), None).await.unwrap();
    assert!(source.evidence.iter().any(|line| line.contains("computes its version")));
    assert!(computed.resolve("org.other:computed:7", Some("v1"), None).await.is_err());
}

#[tokio::test]
async fn a_tree_that_cannot_be_frozen_is_refused_by_name() {
    for (file, word) in [
        ((0o160_000, "sub", b"".as_slice()), "submodule"),
        ((0o120_000, "link", b"../../etc/passwd".as_slice()), "leads out"),
        ((0o120_000, "link", b"/etc/passwd".as_slice()), "leads out"),
    ] {
        let mut files = usual();
        files.push(file);
        let made = Made::new(&files);
        let error = made.resolve("org.acme:core:1.0", Some("v1"), None).await.unwrap_err();
        assert!(matches!(&error, SourceError::Tree { problem, .. } if problem.contains(word)), "{error}");
        assert_eq!(made.files_left(), 0);
    }
}

#[tokio::test]
async fn names_and_paths_that_no_file_system_takes_are_refused() {
    let deep = vec!["d".repeat(250); 17].join("/");
    for (path, fits) in [("n".repeat(255), true), ("n".repeat(256), false), (deep, false)] {
        let mut files = usual();
        files.push((0o100_644, &path, b"x"));
        let made = Made::new(&files);
        match made.resolve("org.acme:core:1.0", Some("v1"), None).await {
            Ok(source) => assert!(fits && source.archive.exists()),
            Err(SourceError::Tree { problem, .. }) => assert!(!fits && problem.contains("too long"), "{problem}"),
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test]
async fn large_objects_are_refused_by_their_headers() {
    let zeroes = vec![0; 8 * 1024 * 1024 + 1];
    for (mode, path, word) in [(0o100_644, "pom.xml", "too large"), (0o120_000, "link", "too long")] {
        let mut files = usual();
        files.retain(|(_, other, _)| *other != path);
        files.push((mode, path, &zeroes));
        let made = Made::new(&files);
        let error = made.resolve("org.acme:core:1.0", Some("v1"), None).await.unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(made.files_left(), 0);
    }
}

#[tokio::test]
async fn modules_are_queued_once_and_counted() {
    let pom = |modules: &str| {
        format!(
            "<project><groupId>org.acme</groupId><artifactId>parent</artifactId><version>1.0</version>\
             <packaging>pom</packaging><modules>{modules}</modules></project>"
        )
    };
    let same = pom(&"<module>core</module>".repeat(3_000));
    let many = pom(&(0..3_000).map(|number| format!("<module>m{number}</module>")).collect::<String>());
    for (text, fits) in [(same, true), (many, false)] {
        let mut files = usual();
        files.retain(|(_, path, _)| *path != "pom.xml");
        files.push((0o100_644, "pom.xml", text.as_bytes()));
        match Made::new(&files).resolve("org.acme:core:1.0", Some("v1"), None).await {
            Ok(_) => assert!(fits),
            Err(error) => assert!(!fits && error.to_string().contains("modules"), "{error}"),
        }
    }
}

#[tokio::test]
async fn limits_hold() {
    let mut made = Made::new(&usual());
    made.config.limits = Limits { source_files: 3, ..Limits::default() };
    assert!(matches!(made.resolve("org.acme:core:1.0", Some("v1"), None).await, Err(SourceError::Tree { .. })));
    made.config.limits = Limits { source_mib: 0, ..Limits::default() };
    assert!(matches!(made.resolve("org.acme:core:1.0", Some("v1"), None).await, Err(SourceError::Tree { .. })));
    made.config.limits = Limits { clone_seconds: 0, ..Limits::default() };
    assert!(made.resolve("org.acme:core:1.0", Some("v1"), None).await.is_err());
}

#[tokio::test]
async fn without_a_map_only_https_is_cloned() {
    let mut made = Made::new(&usual());
    made.config.source_mirrors.clear();
    let error = made.resolve("org.acme:core:1.0", Some("v1"), None).await.unwrap_err();
    // The reserved name does not resolve; nothing was cloned either way.
    assert!(matches!(error, SourceError::Clone { .. } | SourceError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn the_specification_of_the_commit_is_read() {
    let toml = build_spec::Specification::default_maven("3.9.9").to_toml();
    let mut files = usual();
    files.push((0o100_644, "pyrsia.toml", toml.as_bytes()));
    let source = Made::new(&files).resolve("org.acme:core:1.0", Some("v1"), None).await.unwrap();
    assert_eq!(source.specification, Some(build_spec::Specification::default_maven("3.9.9")));
    files.pop();
    files.push((0o100_644, "pyrsia.toml", b"nonsense = 1"));
    let error = Made::new(&files).resolve("org.acme:core:1.0", Some("v1"), None).await.unwrap_err();
    assert!(matches!(error, SourceError::BuildFile { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_says_nothing_holds_no_thread() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut made = Made::new(&usual());
    made.config.source_mirrors[0].replacement = format!("https://{}/", listener.local_addr().unwrap());
    made.config.limits = Limits { clone_seconds: 3600, ..Limits::default() };
    // Who waits gives up once git has come through to the server.
    tokio::select! {
        answer = made.resolve("org.acme:core:1.0", Some("v1"), None) => panic!("{answer:?}"),
        _ = listener.accept() => {}
    }
    // The thread's folder goes with the thread.
    for _ in 0..200 {
        if made.files_left() == 0 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("the thread still waits for the server");
}

#[tokio::test]
async fn files_of_a_collection_are_read_where_it_lies() {
    let made = Made::new(&[
        (0o100_644, "content/org/acme/lib-1.0.buildspec", b"one"),
        (0o100_644, "content/org/acme/lib-1.0.buildinfo", b"other"),
        (0o100_644, "content/org/acme/long-1.0.buildspec", &[b'x'; 100]),
        (0o120_000, "content/org/acme/link-1.0.buildspec", b"lib-1.0.buildspec"),
        (0o100_644, "top-1.0.buildspec", b"two"),
    ]);
    // A bare repository whose HEAD is the branch that was committed to.
    let path = made.folder.path().join("acme/lib");
    git2::Repository::open_bare(&path).unwrap().set_head("refs/heads/main").unwrap();
    let address = format!("file://{}", path.display());
    let listing = read_files(&made.config, &address, 50, |path| path.ends_with(".buildspec")).await.unwrap();
    let expected = [("content/org/acme/lib-1.0.buildspec", "one"), ("top-1.0.buildspec", "two")];
    let files: Vec<_> =
        listing.files.iter().map(|(path, content)| (path.as_str(), std::str::from_utf8(content).unwrap())).collect();
    assert_eq!(files, expected);
    assert_eq!(listing.commit.len(), 40);
    for address in ["file:///nowhere/at/all", &format!("file://{}/refs", path.display())] {
        let error = read_files(&made.config, address, 50, |_| true).await.unwrap_err();
        assert!(matches!(error, SourceError::Clone { .. }), "{address}: {error}");
    }
    let error = read_files(&made.config, "ssh://git.example/x", 50, |_| true).await.unwrap_err();
    assert!(matches!(error, SourceError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn a_commit_is_found_by_its_message() {
    let made = Made::new(&[(0o100_644, "pom.xml", POM.as_bytes())]);
    let repository = git2::Repository::open_bare(made.folder.path().join("acme/lib")).unwrap();
    let first = repository.find_reference("refs/heads/main").unwrap().peel_to_commit().unwrap();
    let mut parent = first.clone();
    let mut ids = Vec::new();
    for (at, message) in ["Version 1.0", "Version 1.0 again", "Version 1.1"].into_iter().enumerate() {
        let who = git2::Signature::new("a", "a@example.org", &git2::Time::new(1_700_000_000 + at as i64, 0)).unwrap();
        let tree = first.tree().unwrap();
        let id = repository.commit(Some("refs/heads/main"), &who, &who, message, &tree, &[&parent]).unwrap();
        parent = repository.find_commit(id).unwrap();
        ids.push(id.to_string());
    }
    let address = maven_layout::scm::canonical("https://git.example/acme/lib").unwrap();
    let find = async |message: &str| commit_with_message(&made.config, &address, message).await.unwrap();
    assert_eq!(find("Version 1.0").await.as_ref(), Some(&ids[1]), "the newest one");
    assert_eq!(find("one").await, Some(first.id().to_string()));
    assert_eq!(find("Version 2").await, None);
    assert_eq!(made.files_left(), 0);
    let other = maven_layout::scm::canonical("https://git.example/acme/none").unwrap();
    assert!(matches!(commit_with_message(&made.config, &other, "x").await, Err(SourceError::Clone { .. })));
}

#[tokio::test]
async fn the_tags_of_a_repository_are_told_without_a_clone() {
    let made = Made::new(&usual());
    let commit = made.resolve("org.acme:core:1.0", Some("light"), None).await.unwrap().commit;
    let address = |name: &str| maven_layout::scm::canonical(&format!("https://git.example/acme/{name}")).unwrap();
    let told = tags(&made.config, &address("lib")).await.unwrap();
    // The annotated one leads to the commit, not to the tag's own object; a branch is none.
    let expected = ["light", "v1"].map(|name| RemoteTag { name: name.to_owned(), target: commit.clone() });
    assert_eq!(told, expected);
    let error = tags(&made.config, &address("none")).await.unwrap_err();
    assert!(matches!(error, SourceError::Clone { .. }), "{error}");
    let own = JavaBuilderConfig { source_mirrors: Vec::new(), ..made.config.clone() };
    let local = maven_layout::scm::canonical("https://127.0.0.1/acme/lib").unwrap();
    assert!(matches!(tags(&own, &local).await, Err(SourceError::Refused { .. })));
    let left: Vec<_> = std::fs::read_dir(made.folder.path().join("temp")).unwrap().flatten().collect();
    assert!(left.iter().all(|entry| !entry.file_name().to_string_lossy().starts_with("tags-")), "{left:?}");
}
