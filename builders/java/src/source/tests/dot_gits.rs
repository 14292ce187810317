//! The `.git` of a source: what git says of it, that it is the same from anywhere, and how much is fetched for it.

use build_spec::Newline;

use super::with_git::{World, as_checkout, commit, files, git, noise, unpacked, write};
use super::*;

/// A repository with three commits, tags on each of them, and a branch that goes on.
fn history(world: &World) -> (std::path::PathBuf, String) {
    let folder = world.repository("acme/lib");
    git(&folder, &["tag", "-a", "-m", "old release", "v0.9"]);
    write(&folder.join("src/a.txt"), b"one\ntwo\n");
    write(&folder.join("run.sh"), b"#!/bin/sh\n");
    write(&folder.join(".gitattributes"), b"* text=auto\n*.id ident\n");
    write(&folder.join("b.id"), b"$Id$\n");
    std::os::unix::fs::symlink("src/a.txt", folder.join("link")).unwrap();
    git(&folder, &["update-index", "--add", "--chmod=+x", "run.sh"]);
    commit(&folder, "second");
    git(&folder, &["update-index", "--chmod=+x", "run.sh"]);
    git(&folder, &["commit", "-q", "-m", "mode"]);
    git(&folder, &["tag", "between"]);
    write(&folder.join("src/a.txt"), b"one\ntwo\nthree\n");
    git(&folder, &["add", "src"]);
    git(&folder, &["commit", "-q", "-m", "third"]);
    let head = git(&folder, &["rev-parse", "HEAD"]).trim().to_owned();
    git(&folder, &["tag", "-a", "-m", "release", "v1"]);
    (folder, head)
}

#[tokio::test]
async fn git_finds_what_it_expects() {
    let world = World::new();
    let (folder, head) = history(&world);
    git(&folder, &["reset", "-q", "--hard"]);
    let all = git(&folder, &["log", "--format=%H"]);
    for newline in [Newline::Lf, Newline::Crlf] {
        for state in [GitState::Commit, GitState::History] {
            let source = world.resolve("acme/lib", Some("v1"), as_checkout(newline, state)).await.unwrap();
            let at = unpacked(&source);
            let ask = |arguments: &[&str]| git(at.path(), arguments).trim().to_owned();
            assert_eq!(ask(&["rev-parse", "HEAD"]), head);
            assert_eq!(ask(&["describe", "--tags"]), "v1");
            assert_eq!(ask(&["describe", "--exact-match"]), "v1", "it is annotated");
            assert_eq!(ask(&["status", "--porcelain", "--ignored"]), "", "{newline:?} {state:?}");
            assert_eq!(ask(&["remote", "get-url", "origin"]), "https://git.example/acme/lib");
            assert_eq!(ask(&["rev-parse", "--abbrev-ref", "HEAD"]), "HEAD", "no branch");
            ask(&["fsck", "--full", "--strict"]);
            let (log, tags) = (ask(&["log", "--format=%H"]), ask(&["tag"]));
            match state {
                GitState::History => {
                    assert_eq!((log.as_str(), tags.as_str()), (all.trim(), "between\nv0.9\nv1"));
                    assert_eq!(ask(&["describe", "--tags", "HEAD^"]), "between");
                    assert_eq!(ask(&["rev-parse", "--is-shallow-repository"]), "false");
                }
                _ => {
                    assert_eq!((log.as_str(), tags.as_str()), (head.as_str(), "v1"));
                    assert_eq!(ask(&["rev-parse", "--is-shallow-repository"]), "true");
                }
            }
            let script = files(at.path())["run.sh"].clone();
            let lines: &[u8] = if newline == Newline::Crlf { b"#!/bin/sh\r\n" } else { b"#!/bin/sh\n" };
            assert_eq!(script, (true, lines.to_vec()));
        }
    }
    // Without a tag there is a commit all the same.
    let request = SourceRequest {
        coordinates: vec!["org.acme:lib:1.0".parse().unwrap()],
        repository: maven_layout::scm::canonical("https://git.example/acme/lib").unwrap(),
        tag: None,
        commit: Some(head.clone()),
        checkout: as_checkout(Newline::Lf, GitState::History),
    };
    let source = resolve(&world.config, &request, Arc::new(NoLog)).await.unwrap();
    let at = unpacked(&source);
    assert_eq!(git(at.path(), &["rev-parse", "HEAD"]).trim(), head);
    assert!(git(at.path(), &["describe", "--tags"]).starts_with("between-1-g"));
}

#[tokio::test]
async fn the_same_commit_gives_the_same_bytes_from_anywhere() {
    let mut world = World::new();
    let (folder, _) = history(&world);
    let mut digests = std::collections::BTreeMap::<_, std::collections::BTreeSet<String>>::new();
    let mut look = async |world: &World, states: &[GitState]| {
        for state in states {
            let source = world.resolve("acme/lib", Some("v1"), as_checkout(Newline::Lf, *state)).await.unwrap();
            digests.entry(format!("{state:?}")).or_default().insert(source.tree.to_string());
        }
    };
    let both = [GitState::Commit, GitState::History];
    look(&world, &both).await;
    look(&world, &both).await;
    // Packed in another way, with other branches, with what came later, and with other names for the same commit.
    git(&folder, &["gc", "-q", "--aggressive", "--prune=now"]);
    look(&world, &both).await;
    git(&folder, &["tag", "latest", "v1"]);
    git(&folder, &["tag", "-a", "-m", "again", "again", "v1"]);
    write(&folder.join("later.txt"), b"later\n");
    commit(&folder, "later");
    git(&folder, &["tag", "v2"]);
    git(&folder, &["branch", "-q", "side", "between"]);
    look(&world, &both).await;
    // By another transport, which leaves the history out.
    let server = world.serve();
    look(&world, &both).await;
    drop(server);
    assert_eq!(digests.len(), 2);
    assert!(digests.values().all(|found| found.len() == 1), "{digests:?}");
}

#[tokio::test]
async fn a_tag_that_is_too_large_to_be_read_is_left_out_of_the_history() {
    let world = World::new();
    let (folder, _) = history(&world);
    let repository = git2::Repository::open(&folder).unwrap();
    let old = git(&folder, &["rev-parse", "between"]);
    let who = "A <a@example.org> 1767225600 +0000";
    for (name, length) in [("large", 5 << 20), ("usual", 5)] {
        let message = "x".repeat(length);
        let content = format!("object {}\ntype commit\ntag {name}\ntagger {who}\n\n{message}\n", old.trim());
        let object = repository.odb().unwrap().write(git2::ObjectType::Tag, content.as_bytes()).unwrap();
        repository.reference(&format!("refs/tags/{name}"), object, false, "a tag").unwrap();
    }
    let source = world.resolve("acme/lib", Some("v1"), as_checkout(Newline::Lf, GitState::History)).await.unwrap();
    assert_eq!(git(unpacked(&source).path(), &["tag"]).trim(), "between\nusual\nv0.9\nv1");
}

#[tokio::test]
async fn a_history_that_has_an_end_elsewhere_is_refused() {
    let world = World::new();
    let (folder, _) = history(&world);
    let shallow = world.folder.path().join("acme/cut");
    let from = format!("file://{}", folder.display());
    git(world.folder.path(), &["clone", "-q", "--bare", "--depth=1", "--branch=v1", &from, &shallow.to_string_lossy()]);
    let source = world.resolve("acme/cut", Some("v1"), as_checkout(Newline::Lf, GitState::Commit)).await.unwrap();
    let whole = world.resolve("acme/lib", Some("v1"), as_checkout(Newline::Lf, GitState::None)).await.unwrap();
    assert_eq!(source.commit, whole.commit);
    let error = world.resolve("acme/cut", Some("v1"), as_checkout(Newline::Lf, GitState::History)).await.unwrap_err();
    assert!(error.to_string().contains("missing"), "{error}");
}

#[tokio::test]
async fn the_history_is_left_out_where_the_transport_can_do_that() {
    let mut world = World::new();
    let folder = world.repository("acme/lib");
    write(&folder.join("large.bin"), &noise(7, 3 * 1024 * 1024));
    commit(&folder, "large");
    std::fs::remove_file(folder.join("large.bin")).unwrap();
    commit(&folder, "small");
    git(&folder, &["tag", "v1"]);
    let sub = world.repository("acme/sub");
    write(&sub.join("large.bin"), &noise(8, 3 * 1024 * 1024));
    commit(&sub, "large");
    std::fs::remove_file(sub.join("large.bin")).unwrap();
    commit(&sub, "small");
    git(&folder, &["submodule", "add", "-q", &format!("file://{}", sub.display()), "sub"]);
    git(&folder, &["config", "-f", ".gitmodules", "submodule.sub.url", "../sub"]);
    commit(&folder, "with a submodule");
    git(&folder, &["tag", "v2"]);
    // Neither history fits into a megabyte.
    world.config.limits = Limits { clone_mib: 1, ..Limits::default() };
    let over = |error: SourceError| assert!(error.to_string().contains("limit of bytes"), "{error}");
    over(world.resolve("acme/lib", Some("v1"), None).await.unwrap_err());
    let server = world.serve();
    for tag in ["v1", "v2"] {
        world.resolve("acme/lib", Some(tag), as_checkout(Newline::Lf, GitState::Commit)).await.unwrap();
    }
    over(world.resolve("acme/lib", Some("v1"), as_checkout(Newline::Lf, GitState::History)).await.unwrap_err());
    drop(server);
    assert_eq!(std::fs::read_dir(world.folder.path().join("temp")).unwrap().count(), 2, "the two archives alone");
}

#[tokio::test]
async fn all_clones_of_a_source_share_one_limit() {
    let mut world = World::new();
    let sub = world.repository("acme/sub");
    write(&sub.join("large.bin"), &noise(9, 700 * 1024));
    commit(&sub, "large");
    let folder = world.repository("acme/lib");
    write(&folder.join("large.bin"), &noise(10, 700 * 1024));
    git(&folder, &["submodule", "add", "-q", &format!("file://{}", sub.display()), "sub"]);
    git(&folder, &["config", "-f", ".gitmodules", "submodule.sub.url", "../sub"]);
    commit(&folder, "with a submodule");
    git(&folder, &["tag", "v1"]);
    world.config.limits = Limits { clone_mib: 2, ..Limits::default() };
    world.resolve("acme/lib", Some("v1"), None).await.unwrap();
    world.config.limits = Limits { clone_mib: 1, ..Limits::default() };
    let error = world.resolve("acme/lib", Some("v1"), None).await.unwrap_err();
    assert!(error.to_string().contains("limit of bytes"), "{error}");
}

#[tokio::test]
async fn tags_and_commits_are_on_record_with_their_signatures() {
    let world = World::new();
    let (folder, head) = history(&world);
    let source = world.resolve("acme/lib", Some("v1"), None).await.unwrap();
    assert_eq!(source.commit_tree, git(&folder, &["rev-parse", "HEAD^{tree}"]).trim());
    let tag = source.tag_object.unwrap();
    assert_eq!(tag.id, git(&folder, &["rev-parse", "v1"]).trim());
    assert_eq!(
        (tag.name.as_str(), tag.tagger.as_deref(), tag.time),
        ("v1", Some("A <a@example.org>"), Some(1_767_225_600))
    );
    assert_eq!((tag.signature, source.signature), (None, None));
    assert_eq!(world.resolve("acme/lib", Some("between"), None).await.unwrap().tag_object, None);

    // Signed tag and commit, as git writes them, under another name than their own.
    let armour = "-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ==\n-----END SSH SIGNATURE-----";
    let repository = git2::Repository::open(&folder).unwrap();
    let tree = git(&folder, &["rev-parse", "HEAD^{tree}"]);
    let who = "A <a@example.org> 1767225600 +0000";
    let content = format!("tree {}\nparent {head}\nauthor {who}\ncommitter {who}\n\nsigned\n", tree.trim());
    let signed = repository.commit_signed(&content, armour, None).unwrap();
    let content = format!("object {signed}\ntype commit\ntag v1.0-rc\ntagger {who}\n\nrelease\n{armour}\n");
    let object = repository.odb().unwrap().write(git2::ObjectType::Tag, content.as_bytes()).unwrap();
    repository.reference("refs/tags/signed", object, false, "a tag").unwrap();
    let source = world.resolve("acme/lib", Some("signed"), None).await.unwrap();
    let expected = build_spec::ObjectSignature { kind: "ssh", text: Some(armour.to_owned()) };
    assert_eq!(source.signature.as_ref(), Some(&expected));
    assert_eq!(source.tag_object.unwrap().signature, Some(expected));
    assert!(source.evidence.iter().any(|line| line.contains("calls itself \"v1.0-rc\"")), "{:?}", source.evidence);

    // A line of the message that looks like one of the header is no signature.
    git(&folder, &["commit", "-q", "--allow-empty", "-m", &format!("said\n\ngpgsig {armour}")]);
    git(&folder, &["tag", "said"]);
    assert_eq!(world.resolve("acme/lib", Some("said"), None).await.unwrap().signature, None);
}
