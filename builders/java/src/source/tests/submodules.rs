//! Repositories in repositories.

use build_spec::Newline;

use super::with_git::{World, as_checkout, commit, files, git, unpacked, write};
use super::*;

/// `acme/lib` with `acme/inner` at `modules/inner`, in which `other/deep` lies at `deep`.
fn nested(world: &World) -> (String, String, String) {
    let deep = world.repository("other/deep");
    write(&deep.join("deep.txt"), b"deep\n");
    let deep_commit = commit(&deep, "deep");
    let inner = world.repository("acme/inner");
    write(&inner.join("inner.txt"), b"inner\n");
    write(&inner.join(".gitattributes"), b"inner.txt eol=crlf\n");
    git(&inner, &["submodule", "add", "-q", &format!("file://{}", deep.display()), "deep"]);
    git(&inner, &["config", "-f", ".gitmodules", "submodule.deep.url", "git@git.example:other/deep.git"]);
    let inner_commit = commit(&inner, "inner");
    // Its branch goes on: what counts is what the outer commit names.
    write(&inner.join("inner.txt"), b"later\n");
    commit(&inner, "later");
    let lib = world.repository("acme/lib");
    git(&lib, &["submodule", "add", "-q", &format!("file://{}", inner.display()), "modules/inner"]);
    git(&lib.join("modules/inner"), &["checkout", "-q", &inner_commit]);
    git(&lib, &["config", "-f", ".gitmodules", "submodule.modules/inner.url", "../inner.git"]);
    let lib_commit = commit(&lib, "lib");
    git(&lib, &["tag", "v1"]);
    (lib_commit, inner_commit, deep_commit)
}

#[tokio::test]
async fn submodules_are_in_the_tree_and_on_record() {
    let world = World::new();
    let (lib, inner, deep) = nested(&world);
    let source = world.resolve("acme/lib", Some("v1"), None).await.unwrap();
    assert_eq!(source.commit, lib);
    let found = files(unpacked(&source).path());
    assert_eq!(found["modules/inner/deep/deep.txt"].1, b"deep\n");
    assert_eq!(found["modules/inner/inner.txt"].1, b"inner\r\n", "its own attributes, its own commit");
    assert!(!found.keys().any(|path| path.contains(".git/")));
    let listed: Vec<_> = source
        .submodules
        .iter()
        .map(|module| (module.path.as_str(), module.repository.as_str(), module.commit.as_str(), module.mirrored))
        .collect();
    let expected = [
        ("modules/inner", "https://git.example/acme/inner", inner.as_str(), true),
        ("modules/inner/deep", "https://git.example/other/deep", deep.as_str(), true),
    ];
    assert_eq!(listed, expected);
    let tree = git(&world.folder.path().join("other/deep"), &["rev-parse", &format!("{deep}^{{tree}}")]);
    assert_eq!(source.submodules[1].commit_tree, tree.trim());
    assert!(source.evidence.iter().any(|line| line.contains(&deep)), "{:?}", source.evidence);
    // The archives alone are left.
    assert_eq!(std::fs::read_dir(world.folder.path().join("temp")).unwrap().count(), 1);
}

#[tokio::test]
async fn submodules_have_a_git_of_their_own_where_there_is_one() {
    let world = World::new();
    let (_, inner, deep) = nested(&world);
    for state in [GitState::Commit, GitState::History] {
        let source = world.resolve("acme/lib", Some("v1"), as_checkout(Newline::Lf, state)).await.unwrap();
        let folder = unpacked(&source);
        let at = |path: &str| folder.path().join(path);
        assert_eq!(git(folder.path(), &["status", "--porcelain"]), "");
        for (path, commit, origin) in [
            ("modules/inner", &inner, "https://git.example/acme/inner"),
            ("modules/inner/deep", &deep, "https://git.example/other/deep"),
        ] {
            assert_eq!(git(&at(path), &["rev-parse", "HEAD"]).trim(), commit);
            assert_eq!(git(&at(path), &["remote", "get-url", "origin"]).trim(), origin);
            assert_eq!(git(&at(path), &["rev-parse", "--show-toplevel"]).trim(), at(path).to_string_lossy());
            assert_eq!(git(&at(path), &["status", "--porcelain"]), "");
            git(&at(path), &["fsck", "--full", "--strict"]);
        }
        let status = git(folder.path(), &["submodule", "status", "--recursive"]);
        assert!(status.lines().count() == 2 && status.lines().all(|line| line.starts_with(' ')), "{status}");
    }
}

#[tokio::test]
async fn submodules_that_cannot_be_had_are_named() {
    let world = World::new();
    nested(&world);
    // Its commit is gone, then the whole repository.
    let deep = world.folder.path().join("other/deep");
    git(&deep, &["checkout", "-q", "--orphan", "new"]);
    git(&deep, &["commit", "-q", "-m", "other"]);
    git(&deep, &["branch", "-q", "-D", "main"]);
    let error = world.resolve("acme/lib", Some("v1"), None).await.unwrap_err().to_string();
    assert!(error.contains("modules/inner/deep") && error.contains("no branch or tag"), "{error}");
    std::fs::remove_dir_all(&deep).unwrap();
    let error = world.resolve("acme/lib", Some("v1"), None).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, SourceError::Clone { .. }) && text.contains("modules/inner/deep"), "{text}");
}

#[tokio::test]
async fn hostile_submodules_are_refused_by_name() {
    let entry = |path: &str, url: &str| format!("[submodule \"sub\"]\n\tpath = {path}\n\turl = {url}\n");
    let outside = tempfile::tempdir().unwrap();
    let outside = format!("file://{}", outside.path().display());
    for (modules, word) in [
        (entry("sub", &outside), "no address"),
        (entry("sub", "/etc"), "no address"),
        (entry("sub", "ext::sh -c touch% /tmp/owned"), "no address"),
        (entry("sub", "--upload-pack=touch"), "no address"),
        (entry("sub", "../../../x"), "no address"),
        (entry("sub", "https://127.0.0.1/x/y"), "127.0.0.1"),
        (entry("sub", "https://user@10.0.0.1/x/y"), "10.0.0.1"),
        (entry("../sub", "https://git.example/x/y"), "no path"),
        (entry("/sub", "https://git.example/x/y"), "no path"),
        (entry("sub/.git/hooks", "https://git.example/x/y"), "no path"),
        (entry("elsewhere", "https://git.example/x/y"), "does not name it"),
        ("[include]\n\tpath = /etc/passwd\n".to_owned(), "includes"),
        ("[submodule \"../../x\"]\n\tpath = sub\n\turl = https://git.example/x/y\n".to_owned(), "no name"),
    ] {
        let mut files = usual();
        files.push((0o160_000, "sub", b""));
        files.push((0o100_644, ".gitmodules", modules.as_bytes()));
        let made = Made::new(&files);
        let error = made.resolve("org.acme:core:1.0", Some("v1"), None).await.unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, SourceError::Tree { .. }) && text.contains(word), "{modules}: {text}");
        assert_eq!(made.files_left(), 0);
    }
    // A link in the place of the file.
    let mut files = usual();
    files.push((0o160_000, "sub", b""));
    files.push((0o120_000, ".gitmodules", b"pom.xml"));
    let error = Made::new(&files).resolve("org.acme:core:1.0", Some("v1"), None).await.unwrap_err().to_string();
    assert!(error.contains("no regular file"), "{error}");
}

#[tokio::test]
async fn submodules_in_submodules_have_an_end() {
    let world = World::new();
    let mut inner = world.repository("acme/m0");
    for level in 1..=6 {
        let outer = world.repository(&format!("acme/m{level}"));
        git(&outer, &["submodule", "add", "-q", &format!("file://{}", inner.display()), "in"]);
        let url = format!("https://git.example/acme/m{}", level - 1);
        git(&outer, &["config", "-f", ".gitmodules", "submodule.in.url", &url]);
        commit(&outer, "more");
        git(&outer, &["tag", "v1"]);
        inner = outer;
    }
    assert_eq!(world.resolve("acme/m5", Some("v1"), None).await.unwrap().submodules.len(), 5);
    let error = world.resolve("acme/m6", Some("v1"), None).await.unwrap_err().to_string();
    assert!(error.contains("in/in/in/in/in/in") && error.contains("in one another"), "{error}");
}

#[tokio::test]
async fn a_submodule_inside_what_another_one_has_gets_no_git() {
    let world = World::new();
    let inner = world.repository("acme/inner");
    let lib = world.repository("acme/lib");
    for name in ["a", "a/refs"] {
        let path = name.replace('/', "-");
        let url = format!("file://{}", inner.display());
        git(&lib, &["submodule", "add", "-q", "--name", &path, &url, &path]);
    }
    // git itself would not make these.
    let modules: String = [("a", "a"), ("a/refs", "a-refs")]
        .map(|(name, path)| format!("[submodule \"{name}\"]\n\tpath = {path}\n\turl = ../inner\n"))
        .concat();
    write(&lib.join(".gitmodules"), modules.as_bytes());
    commit(&lib, "two");
    git(&lib, &["tag", "v1"]);
    assert_eq!(world.resolve("acme/lib", Some("v1"), None).await.unwrap().submodules.len(), 2);
    let error = world.resolve("acme/lib", Some("v1"), as_checkout(Newline::Lf, GitState::Commit)).await.unwrap_err();
    assert!(error.to_string().contains("a/refs"), "{error}");
}
