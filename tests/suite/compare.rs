//! `compare` with the shipped program: what a person reads and what a program reads, as snapshots.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use pyrsia_tests::process::{self, Finished};
use pyrsia_tests::{node, places};

/// An archive with these entries, all of one time; the mode in octal.
fn archive(mode: u32, entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in entries {
        let method =
            if name.ends_with(".jar") { zip::CompressionMethod::Stored } else { zip::CompressionMethod::Deflated };
        let options = zip::write::SimpleFileOptions::default().compression_method(method).unix_permissions(mode);
        writer.start_file(*name, options).expect("a plain name");
        writer.write_all(content).expect("memory can be written");
    }
    writer.finish().expect("memory can be written").into_inner()
}

/// Compares two files in a folder of their own, so that nothing of the machine is in what is said.
fn compare(folder: &Path, left: &[u8], right: &[u8], more: &[&str]) -> Finished {
    std::fs::write(folder.join("rebuilt.jar"), left).expect("a written file");
    std::fs::write(folder.join("reference.jar"), right).expect("a written file");
    let mut command = node::program();
    command.args(["compare", "rebuilt.jar", "reference.jar"]).args(more).current_dir(folder);
    process::run(&mut command, Duration::from_secs(60))
}

/// A class with one method, made by the compiler of this machine for an old target.
fn class(folder: &Path, text: &str, debug: &str) -> Vec<u8> {
    let source = folder.join("Greeting.java");
    std::fs::write(&source, format!("class Greeting {{ String greet() {{\n return \"{text}\"; }} }}\n"))
        .expect("a file");
    let mut javac = std::process::Command::new("javac");
    javac.args(["--release", "8", "-Xlint:-options", debug, "-d"]).arg(folder).arg(&source);
    process::run(&mut javac, Duration::from_secs(120)).expect(0);
    std::fs::read(folder.join("Greeting.class")).expect("the class")
}

#[test]
fn differences_are_told_down_to_attribute_member_and_line() {
    let folder = places::scratch("compare");
    let (hello, goodbye) = (class(folder.path(), "hello", "-g"), class(folder.path(), "goodbye", "-g"));
    let side = |class: &[u8], agent: &str, notice: &[u8], encoding: &[u8], inner: &[u8]| {
        archive(
            0o644,
            &[
                ("META-INF/MANIFEST.MF", format!("Manifest-Version: 1.0\r\n{agent}\r\n").as_bytes()),
                ("Greeting.class", class),
                ("META-INF/NOTICE", notice),
                ("encoded.txt", encoding),
                ("lib/inner.jar", inner),
                ("doc.tar.gz", &[b"\x1f\x8b\x08\0", notice].concat()),
            ],
        )
    };
    let inner = |value: &str| archive(0o644, &[("settings.properties", format!("a=1\nb={value}\n").as_bytes())]);
    let left =
        side(&hello, "Main-Class: a.B\r\nBuilt-By: me\r\n", b"one\ntwo\nthree\n", "\u{e4}\n".as_bytes(), &inner("2"));
    let right =
        side(&goodbye, "Main-Class: a.C\r\nBuilt-By: you\r\n", b"one\r\n2\r\nthree\r\n", b"\xe4\n", &inner("3"));
    let done = compare(folder.path(), &left, &right, &[]).expect(17);
    insta::assert_snapshot!("compare-different", done.stdout);
    let done = compare(folder.path(), &left, &right, &["--json"]).expect(17);
    insta::assert_snapshot!("compare-different-json", done.stdout);
}

#[test]
fn debug_information_alone_is_said_to_be_that() {
    let folder = places::scratch("compare-debug");
    let (with, without) = (class(folder.path(), "hello", "-g"), class(folder.path(), "hello", "-g:none"));
    let jar = |class: &[u8]| archive(0o644, &[("Greeting.class", class)]);
    let done = compare(folder.path(), &jar(&with), &jar(&without), &[]).expect(17);
    insta::assert_snapshot!("compare-debug", done.stdout);
}

#[test]
fn what_was_normalised_has_a_name_and_a_version() {
    let folder = places::scratch("compare-equivalent");
    let side = |mode, by: &str, newline: &str| {
        let manifest = format!("Manifest-Version: 1.0\r\nBuilt-By: {by}\r\n\r\n");
        let properties = format!("#{by}{newline}version=1{newline}");
        let entries = [
            ("META-INF/MANIFEST.MF", manifest.as_bytes()),
            ("META-INF/maven/g/a/pom.properties", properties.as_bytes()),
            ("a.txt", b"a\n"),
        ];
        archive(mode, &entries)
    };
    let (left, right) = (side(0o644, "me", "\n"), side(0o664, "you", "\r\n"));
    let done = compare(folder.path(), &left, &right, &[]).expect(14);
    insta::assert_snapshot!("compare-equivalent", done.stdout);
    let done = compare(folder.path(), &left, &right, &["--json"]).expect(14);
    insta::assert_snapshot!("compare-equivalent-json", done.stdout);
    assert_eq!(compare(folder.path(), &left, &left, &[]).expect(0).stdout, "identical\n");
}

/// The committed corpus of `builders/jar-compare`: none of it is equivalent to a good archive, and each refusal has a reason.
#[test]
fn hostile_archives_are_refused_with_a_reason() {
    let folder = places::scratch("compare-hostile");
    let good = archive(0o644, &[("a", b"a")]);
    let corpus = places::root().join("builders/jar-compare/testdata/corpus");
    let mut said = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(corpus).expect("the corpus").flatten().map(|file| file.path()).collect();
    files.sort();
    for file in &files {
        let bytes = std::fs::read(file).expect("a readable file");
        let done = compare(folder.path(), &bytes, &good, &[]);
        assert!(matches!(done.code, 1 | 17), "{}", done.report());
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let reason = if done.code == 1 { done.stderr.trim().to_owned() } else { "compared".to_owned() };
        said.push(format!("{name}: {reason}"));
    }
    assert!(files.len() > 30);
    insta::assert_snapshot!("compare-hostile", said.join("\n"));
}
