//! The bytes of a source are those of a checkout by git.

use build_spec::Newline;

use super::with_git::{World, as_checkout, commit, files, git, noise, unpacked, write};
use super::*;

/// Lines about extensions; each is a kind of file.
const KINDS: &str = "[attr]mine text eol=crlf\n\
    *.txt text\n*.crlf text eol=crlf\n*.lf text eol=lf\n*.bin binary\n*.neg -text\n*.gcrlf text=auto eol=crlf\n\
    *.glf text=auto eol=lf\n*.guess text=auto\n*.ecrlf eol=crlf\n*.elf eol=lf\n*.odd text=odd eol=odd\n*.old crlf\n\
    *.oldneg -crlf\n*.oldin crlf=input\n*.oldboth -crlf text\n*.id ident\n*.noid -ident\n*.both ident eol=crlf\n\
    *.mine mine\n*.unset !text !eol\n*.in text=input eol=crlf\n*.exp export-ignore\n*.subst export-subst\n\
    *.lfs filter=lfs -text\n*.unk filter=unknown\n*.utf working-tree-encoding=UTF-8 text eol=crlf\n\
    \"with space.*\" text eol=crlf\n/rooted.one eol=crlf\nfixed/** -text\nfixed/but/*.txt text eol=crlf\n";

fn contents() -> Vec<Vec<u8>> {
    let mut contents: Vec<Vec<u8>> = [
        &b"one\ntwo\n"[..],
        b"one\r\ntwo\r\n",
        b"one\r\ntwo\n",
        b"one\rtwo\n",
        b"no end",
        b"",
        b"\n",
        b"a\0b\n",
        b"\x01\x02\n",
        b"end of file\n\x1a",
        b"$Id$\n$Id: 0123 $\n$Id: of somebody else $\n$Id:$ $Id: $\n$Identity$ $ $Id",
        b"$Id: over\ntwo$\n$Id$\r\n",
        b"$Format:%H$\n",
        b"\xef\xbb\xbfmark\n\xff\xfe\n",
        b"\x7f del\n",
    ]
    .into_iter()
    .map(<[u8]>::to_vec)
    .collect();
    // Just enough and just too little printable text around one byte that is none.
    for length in [127, 128, 255, 256] {
        contents.push([&b"\x03\n"[..], &vec![b'x'; length], b"\n"].concat());
    }
    for seed in 0..4 {
        contents.push(noise(seed, 200));
        contents.push(noise(seed, 3_000).iter().map(|byte| b"ab \n\t\r\x0c$Id"[usize::from(*byte) % 10]).collect());
    }
    contents
}

#[tokio::test]
async fn checkouts_are_those_of_git() {
    let extensions: Vec<&str> =
        KINDS.lines().filter_map(|line| line.strip_prefix("*.")?.split(' ').next()).chain(["other"]).collect();
    let tops = ["", "* text=auto\n", "* text=auto eol=lf\n", "* text\n*.other -text\n", "* eol=crlf\n", "* -text\n"];
    let mut compared = 0;
    for top in tops {
        let attributes = format!("{top}{KINDS}");
        let nested = "*.txt -text\n*.neg text eol=crlf\n*.bin text eol=crlf\n*.mine !eol\n";
        let mut all: Vec<(String, Vec<u8>)> = vec![
            ("pom.xml".to_owned(), with_git::LIB.as_bytes().to_vec()),
            (".gitattributes".to_owned(), attributes.into_bytes()),
            // Files before and behind it in every order.
            ("z/.gitattributes".to_owned(), nested.as_bytes().to_vec()),
            ("z/+/.gitattributes".to_owned(), b"*.txt text eol=crlf\n".to_vec()),
        ];
        for (number, content) in contents().into_iter().enumerate() {
            for extension in &extensions {
                all.push((format!("a/{number}.{extension}"), content.clone()));
                all.push((format!("z/!{number}.{extension}"), content.clone()));
            }
            for name in ["rooted.one", "a/rooted.one", "a/with space.x", "fixed/a.crlf", "fixed/but/a.txt", "z/+/a.txt"]
            {
                if number < 2 {
                    all.push((name.replace('.', &format!("{number}.")), content.clone()));
                }
            }
        }
        all.push(("rooted.one".to_owned(), b"one\n".to_vec()));
        all.push(("a/rooted.one".to_owned(), b"one\n".to_vec()));
        all.push(("a/with space.x".to_owned(), b"one\n".to_vec()));
        let mut tree: Vec<(i32, &str, &[u8])> =
            all.iter().map(|(path, content)| (0o100_644, path.as_str(), content.as_slice())).collect();
        tree.push((0o120_000, "link.txt", b"a/0.txt"));
        tree.push((0o100_755, "run.txt", b"#!/bin/sh\n"));
        let made = Made::new(&tree);
        for newline in [Newline::Lf, Newline::Crlf] {
            let checkout = as_checkout(newline, GitState::None);
            let source = made.resolve_as("org.acme:lib:1.0", Some("v1"), None, checkout).await.unwrap();
            assert_eq!(source.checkout.newline, newline);
            let ours = unpacked(&source);
            let theirs = tempfile::tempdir().unwrap();
            let origin = made.folder.path().join("acme/lib");
            git(theirs.path(), &["clone", "-q", "--no-checkout", &origin.to_string_lossy(), "."]);
            let autocrlf = if newline == Newline::Crlf { "true" } else { "false" };
            git(theirs.path(), &["config", "core.autocrlf", autocrlf]);
            git(theirs.path(), &["checkout", "-q", "v1"]);
            let (ours, theirs) = (files(ours.path()), files(theirs.path()));
            assert_eq!(ours.keys().collect::<Vec<_>>(), theirs.keys().collect::<Vec<_>>());
            for (path, file) in &theirs {
                let show = |(_, bytes): &(bool, Vec<u8>)| String::from_utf8_lossy(bytes).escape_debug().to_string();
                assert_eq!(&ours[path], file, "{top:?} {newline:?} {path}: {} / {}", show(&ours[path]), show(file));
                compared += 1;
            }
        }
    }
    assert!(compared > 10_000, "{compared}");
}

#[tokio::test]
async fn an_encoding_of_the_work_folder_is_refused_by_name() {
    let world = World::new();
    let folder = world.repository("acme/lib");
    write(&folder.join(".gitattributes"), b"*.rc text working-tree-encoding=UTF-16\n");
    write(&folder.join("a.txt"), b"x");
    commit(&folder, "second");
    git(&folder, &["tag", "v1"]);
    assert!(world.resolve("acme/lib", Some("v1"), None).await.is_ok(), "no file has it");
    write(&folder.join("sub/a.rc"), &[0xff, 0xfe, b'x', 0, b'\n', 0]);
    commit(&folder, "third");
    git(&folder, &["tag", "v2"]);
    let error = world.resolve("acme/lib", Some("v2"), None).await.unwrap_err().to_string();
    assert!(error.contains("sub/a.rc") && error.contains("working-tree-encoding"), "{error}");
}

const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n\
    oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n";

#[tokio::test]
async fn pointers_of_lfs_are_refused_where_an_artifact_comes_from() {
    let attributes = (0o100_644, ".gitattributes", &b"*.bin filter=lfs diff=lfs merge=lfs -text\n"[..]);
    let mut files = usual();
    files.push(attributes);
    files.push((0o100_644, "core/src/test/resources/a.bin", POINTER));
    // Content that was committed all the same, and a text that only looks like a pointer.
    files.push((0o100_644, "core/src/main/resources/real.bin", b"\0\x01\x02"));
    files.push((0o100_644, "core/src/main/resources/pointer.txt", POINTER));
    let source = Made::new(&files).resolve("org.acme:core:1.0", Some("v1"), None).await.unwrap();
    let told = |line: &&String| line.contains("core/src/test/resources/a.bin") && line.contains("git LFS");
    assert_eq!(source.evidence.iter().filter(told).count(), 1, "{:?}", source.evidence);

    files.push((0o100_644, "core/src/main/resources/a.bin", POINTER));
    let error = Made::new(&files).resolve("org.acme:core:1.0", Some("v1"), None).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, SourceError::Tree { .. }), "{text}");
    assert!(text.contains("core/src/main/resources/a.bin") && text.contains("git LFS"), "{text}");
}

#[tokio::test]
async fn the_specification_in_the_commit_says_how_it_is_checked_out() {
    let mut specification = Specification::default_maven("3.9.9");
    specification.newline = Newline::Crlf;
    let text = specification.to_toml();
    let mut files = usual();
    files.push((0o100_644, "pyrsia.toml", text.as_bytes()));
    let made = Made::new(&files);
    let crlf = made.resolve("org.acme:core:1.0", Some("v1"), None).await.unwrap();
    assert_eq!(crlf.checkout, Checkout::of(&specification));
    let listed = listing(&crlf.archive);
    let script = listed.iter().find(|(name, ..)| name == "run.sh").unwrap();
    assert_eq!(script.3, b"#!/bin/sh\r\n");
    // Whoever asks for another one gets it, and another digest.
    let lf = made.resolve_as("org.acme:core:1.0", Some("v1"), None, as_checkout(Newline::Lf, GitState::None)).await;
    let lf = lf.unwrap();
    assert_eq!((lf.checkout, &lf.commit), (Checkout::default(), &crlf.commit));
    assert_ne!(lf.tree, crlf.tree);
}
