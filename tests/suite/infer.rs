//! `infer`: from coordinates to a commit that is the release's source, or to none.
//!
//! **A wrong commit is never taken**: tags lie here, forks differ in one file, copies have edited coordinates.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use pyrsia_tests::process::{self, Finished};
use pyrsia_tests::sources::{Edit, Sources};
use pyrsia_tests::upstream::{Behaviour, Upstream};
use pyrsia_tests::{node, places};
use serde_json::Value;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const LIB: &str = "org.example:lib:1.0.0";
const FOLDER: &str = "org/example/lib/1.0.0";
const SCM: &str = "scm:git:https://samples.example/lib.git";
/// Source files of the project.
const FILES: usize = 20;

fn pom(version: &str, scm: &str) -> String {
    format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>org.example</groupId><artifactId>lib</artifactId>\
         <version>{version}</version><scm><connection>{scm}</connection><tag>v{version}</tag></scm>\
         <properties><maven.compiler.release>8</maven.compiler.release></properties></project>\n"
    )
}

fn class(number: usize, text: &str) -> (String, String) {
    (format!("org/example/C{number}.java"), format!("package org.example;\n\nclass C{number} {{\n    // {text}\n}}\n"))
}

/// Writes a version of the project, `edited` of its files other than they were published.
fn write(tree: &Path, version: &str, edited: usize) {
    std::fs::write(tree.join("pom.xml"), pom(version, SCM)).expect("a written POM");
    for number in 0..FILES {
        let (name, content) = class(number, if number < edited { "edited" } else { "as published" });
        let file = tree.join("src/main/java").join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, content).expect("a written file");
    }
}

pub fn zip(files: &[(String, String)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(name.as_str(), SimpleFileOptions::default().unix_permissions(0o664)).expect("an entry");
        zip.write_all(content.as_bytes()).expect("its content");
    }
    zip.finish().expect("an archive").into_inner()
}

fn published() -> Vec<(String, String)> {
    let manifest = ("META-INF/MANIFEST.MF".to_owned(), "Manifest-Version: 1.0\r\n".to_owned());
    std::iter::once(manifest).chain((0..FILES).map(|number| class(number, "as published"))).collect()
}

/// An upstream that has the release, with sources.
fn upstream(scm: &str) -> Upstream {
    let upstream = Upstream::start();
    upstream.put(&format!("{FOLDER}/lib-1.0.0.pom"), pom("1.0.0", scm));
    let manifest =
        "Manifest-Version: 1.0\r\nCreated-By: Apache Maven 3.8.8\r\nBuilt-By: jane\r\nBuild-Jdk-Spec: 17\r\n";
    let jar = zip(&[("META-INF/MANIFEST.MF".to_owned(), manifest.to_owned()), ("a.txt".to_owned(), String::new())]);
    upstream.put(&format!("{FOLDER}/lib-1.0.0.jar"), jar);
    upstream.put(&format!("{FOLDER}/lib-1.0.0-sources.jar"), zip(&published()));
    upstream
}

fn repositories(name: &str) -> Sources {
    Sources::new(&places::run_folder().join(format!("infer-{name}")))
}

/// The command, with a data folder that nobody else has.
fn run(sources: &Sources, upstream: &Upstream, more: &[&str]) -> Finished {
    let data = places::scratch("infer-data");
    let mut command = node::program();
    command.arg("--data-dir").arg(data.path().join("data")).args(["infer", LIB, "--upstream", &upstream.url()]);
    command.args(["--source-mirror", &sources.mirror()]).args(more);
    process::run(&mut command, Duration::from_secs(120))
}

#[track_caller]
fn found(sources: &Sources, upstream: &Upstream, more: &[&str]) -> Value {
    let done = run(sources, upstream, &[&["--json"][..], more].concat()).expect(0);
    done.json()
}

#[track_caller]
fn nothing(sources: &Sources, upstream: &Upstream, more: &[&str]) -> Value {
    let told = run(sources, upstream, &[&["--json"][..], more].concat()).expect(22).json();
    assert_eq!((&told["source"], &told["spec"]), (&Value::Null, &Value::Null), "{told:#}");
    told
}

#[track_caller]
fn says(told: &Value, field: &str, text: &str) {
    assert!(told[field].to_string().contains(text), "{text} is not in {field}: {told:#}");
}

#[test]
fn the_source_is_found_and_every_choice_has_its_evidence() {
    let sources = repositories("found");
    let commits = sources.add_history(
        "lib",
        &[
            ("v0.9.0", &|tree| write(tree, "0.9.0", 3)),
            ("v1.0.0", &|tree| {
                write(tree, "1.0.0", 0);
                std::fs::write(tree.join(".sdkmanrc"), "java=17.0.9-tem\nmaven=3.9.9\n").expect("a written file");
            }),
            ("v1.0.0-rc1", &|tree| write(tree, "1.0.0", 1)),
        ],
    );
    let upstream = upstream(SCM);
    let told = found(&sources, &upstream, &[]);
    let source = &told["source"];
    assert_eq!(source["commit"], commits[1].as_str(), "{told:#}");
    assert_eq!((&source["tag"], &source["standing"]), (&"v1.0.0".into(), &"named".into()));
    assert_eq!((&source["acceptance"], &source["match_percent"]), (&"files".into(), &100.0.into()));
    assert_eq!(source["files"]["equal"], FILES);
    let spec = told["spec"]["toml"].as_str().expect("a specification");
    for line in ["tool = \"maven-3.8.8\"", "jdk = 17", "umask = \"0002\"", "user_name = \"jane\""] {
        assert!(spec.contains(line), "{line} is not in {spec}");
    }
    for evidence in ["Build-Jdk-Spec of META-INF/MANIFEST.MF", ".sdkmanrc", "most files have mode 0664", "states it"] {
        says(&told, "evidence", evidence);
    }
    assert!(told["alternatives"].as_array().is_some_and(|others| !others.is_empty()), "{told:#}");
    let text = run(&sources, &upstream, &[]).expect(0).stdout;
    for part in [commits[1].as_str(), "100.0 % of its 20 files", "tool = \"maven-3.8.8\"", "Build-Jdk-Spec"] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn a_tag_that_lies_is_not_believed() {
    let sources = repositories("liar");
    let upstream = upstream(SCM);
    // One tag declares the release over other files, one another release; the true one has an unusual name.
    let lies: [(&str, Edit<'_>); 2] =
        [("v1.0.0", &|tree| write(tree, "1.0.0", 5)), ("lib-1.0.0", &|tree| write(tree, "2.0.0", 0))];
    let truth: (&str, Edit<'_>) = ("Release_1_0_0", &|tree| write(tree, "1.0.0", 0));
    let commits = sources.add_history("lib", &[lies[0], lies[1], truth]);
    let told = found(&sources, &upstream, &[]);
    assert_eq!(told["source"]["commit"], commits[2].as_str(), "{told:#}");
    says(&told, "refused", "75.0 %");
    says(&told, "refused", "org.example:lib:2.0.0");
    sources.add_history("lib", &lies);
    let told = nothing(&sources, &upstream, &[]);
    says(&told, "failure", "C0.java");
}

#[test]
fn of_two_commits_that_would_do_the_better_proven_one_is_taken() {
    let sources = repositories("better");
    let upstream = upstream(SCM);
    let commits = sources
        .add_history("lib", &[("v1.0.0", &|tree| write(tree, "1.0.0", 1)), ("1.0.0", &|tree| write(tree, "1.0.0", 0))]);
    let told = found(&sources, &upstream, &[]);
    assert_eq!(told["source"]["commit"], commits[1].as_str(), "{told:#}");
    says(&told, "refused", "better proven");
    // By itself it is enough, and what is missing is told.
    let commits = sources.add_history("lib", &[("v1.0.0", &|tree| write(tree, "1.0.0", 1))]);
    let told = found(&sources, &upstream, &[]);
    assert_eq!(
        (&told["source"]["commit"], &told["source"]["match_percent"]),
        (&commits[0].as_str().into(), &95.0.into())
    );
    assert_eq!(told["source"]["files"]["missing_names"][0], "org/example/C0.java");
}

#[test]
fn forks_and_copies_with_edited_coordinates_are_refused() {
    let sources = repositories("forks");
    let upstream = upstream(SCM);
    let fork = ["--source", "https://samples.example/fork.git"];
    // Enough for the release's own repository, and not for one that it does not name.
    sources.add_history("fork", &[("v1.0.0", &|tree| write(tree, "1.0.0", 1))]);
    let told = nothing(&sources, &upstream, &fork);
    says(&told, "failure", "do not name this repository");
    // The same commit elsewhere is the same source, and it is said that its own POM names another place.
    let whole = sources.add_history("fork", &[("v1.0.0", &|tree| write(tree, "1.0.0", 0))]);
    let told = found(&sources, &upstream, &fork);
    assert_eq!(
        (&told["source"]["commit"], &told["source"]["standing"]),
        (&whole[0].as_str().into(), &"stranger".into())
    );
    says(&told, "evidence", "its own build file names another repository");
    // Another project, renamed.
    sources.add_history(
        "fork",
        &[("v1.0.0", &|tree| {
            std::fs::write(tree.join("pom.xml"), pom("1.0.0", SCM)).expect("a written POM");
            std::fs::write(tree.join("Evil.java"), "class Evil {}\n").expect("a written file");
        })],
    );
    nothing(&sources, &upstream, &fork);
    // A copy proves nothing where no sources were published.
    sources.add_history("fork", &[("v1.0.0", &|tree| write(tree, "1.0.0", 0))]);
    upstream.remove(&format!("{FOLDER}/lib-1.0.0-sources.jar"));
    let told = nothing(&sources, &upstream, &fork);
    says(&told, "failure", "no published sources");
}

#[test]
fn without_published_sources_the_proof_is_weaker_by_name() {
    let sources = repositories("weaker");
    let upstream = upstream(SCM);
    sources.add_history("lib", &[("v1.0.0", &|tree| write(tree, "1.0.0", 5))]);
    upstream.remove(&format!("{FOLDER}/lib-1.0.0-sources.jar"));
    let told = found(&sources, &upstream, &[]);
    assert_eq!((&told["source"]["acceptance"], &told["source"]["match_percent"]), (&"pom-only".into(), &Value::Null));
    says(&told, "evidence", "weaker");
    upstream.put(&format!("{FOLDER}/lib-1.0.0.pom"), pom("1.0.0", SCM).replace("<scm>", "<name>flattened</name><scm>"));
    let told = found(&sources, &upstream, &[]);
    assert_eq!(told["source"]["acceptance"], "declared-only", "{told:#}");
    // A version that is computed is nobody's exact coordinates.
    sources.add_history(
        "lib",
        &[("v1.0.0", &|tree| {
            let computed = pom("${revision}", SCM).replace("<properties>", "<properties><revision>1.0.0</revision>");
            std::fs::write(tree.join("pom.xml"), computed).expect("a written POM");
        })],
    );
    let told = nothing(&sources, &upstream, &[]);
    says(&told, "failure", "in so many words");
}

#[test]
fn line_ends_and_generated_files_are_told_apart() {
    let sources = repositories("crlf");
    let upstream = upstream(SCM);
    sources.add_history("lib", &[("v1.0.0", &|tree| write(tree, "1.0.0", 0))]);
    let mut files: Vec<(String, String)> =
        published().into_iter().map(|(name, content)| (name, content.replace('\n', "\r\n"))).collect();
    files.push(("org/example/P.java".to_owned(), "// Generated by the protocol buffer compiler.\n".to_owned()));
    upstream.put(&format!("{FOLDER}/lib-1.0.0-sources.jar"), zip(&files));
    let told = found(&sources, &upstream, &[]);
    let matched = &told["source"]["files"];
    assert_eq!((&matched["equal"], &matched["line_ends"]), (&0.into(), &FILES.into()), "{told:#}");
    assert_eq!(matched["generated"], 2, "the manifest and the generated class: {told:#}");
    assert_eq!(told["source"]["match_percent"], 100.0);
    says(&told, "evidence", "crlf");
    let spec = told["spec"]["toml"].as_str().expect("a specification");
    assert!(spec.contains("newline = \"crlf\""), "{told:#}");
}

#[test]
fn malformed_addresses_lead_to_the_repository_and_other_systems_are_named() {
    let sources = repositories("malformed");
    sources.add_history("lib", &[("v1.0.0", &|tree| write(tree, "1.0.0", 0))]);
    for scm in
        ["scm:git:https//samples.example/lib.git", "https://samples.example/lib/tree/main/module", "${project.url}"]
    {
        let upstream = upstream(scm);
        let page = "<url>https://samples.example/lib</url><scm>";
        upstream.put(&format!("{FOLDER}/lib-1.0.0.pom"), pom("1.0.0", scm).replace("<scm>", page));
        let told = found(&sources, &upstream, &[]);
        assert_eq!(told["source"]["repository"], "https://samples.example/lib", "{scm}: {told:#}");
    }
    let told = nothing(&sources, &upstream("scm:svn:https://svn.example/lib"), &[]);
    says(&told, "failure", "svn");
}

#[test]
fn the_address_is_inherited_from_parents_with_their_properties() {
    let sources = repositories("inherited");
    sources.add_history("lib", &[("v1.0.0", &|tree| write(tree, "1.0.0", 0))]);
    let upstream = upstream(SCM);
    let parent = |artifact: &str| {
        format!(
            "<parent><groupId>org.example</groupId><artifactId>{artifact}</artifactId><version>7</version></parent>"
        )
    };
    let head = "<project><modelVersion>4.0.0</modelVersion>";
    upstream.put(
        &format!("{FOLDER}/lib-1.0.0.pom"),
        format!("{head}{}<artifactId>lib</artifactId><version>1.0.0</version></project>", parent("p0")),
    );
    for level in 0..9 {
        let scm = "<scm><connection>scm:git:https://${host}/lib.git</connection></scm>\
                   <properties><host>samples.example</host></properties>";
        let (above, scm) = if level < 8 { (parent(&format!("p{}", level + 1)), "") } else { (String::new(), scm) };
        upstream.put(
            &format!("org/example/p{level}/7/p{level}-7.pom"),
            format!("{head}<groupId>org.example</groupId>{above}<artifactId>p{level}</artifactId><version>7</version>{scm}</project>"),
        );
    }
    let told = found(&sources, &upstream, &[]);
    assert_eq!(told["source"]["repository"], "https://samples.example/lib", "{told:#}");
    says(&told, "evidence", "the nearest <scm>");
}

#[test]
fn what_is_not_there_is_22_and_what_fails_is_1() {
    let sources = repositories("nothing");
    let upstream = upstream(SCM);
    // The repository is not there, then has no tag of this version.
    says(&nothing(&sources, &upstream, &[]), "failure", "could not be cloned");
    sources.add_history("lib", &[("v0.9.0", &|tree| write(tree, "0.9.0", 0))]);
    says(&nothing(&sources, &upstream, &[]), "failure", "none of its 1 tags");
    let path = format!("{FOLDER}/lib-1.0.0.pom");
    upstream.behave(&path, Behaviour::Status { code: 503, retry_after: None, times: usize::MAX });
    let failed = run(&sources, &upstream, &["--json"]).expect(1);
    assert!(failed.json()["error"].as_str().is_some_and(|text| text.contains("try again")), "{}", failed.report());
    upstream.mend(&path);
    upstream.remove(&path);
    let absent = run(&sources, &upstream, &[]).expect(22);
    assert!(absent.stderr.contains("upstream has no"), "{}", absent.report());
}

#[test]
fn hostile_archives_and_repositories_end_in_a_word() {
    let sources = repositories("hostile");
    let upstream = upstream(SCM);
    sources.add_history(
        "lib",
        &[("v1.0.0", &|tree| {
            write(tree, "1.0.0", 0);
            std::fs::create_dir_all(tree.join(".github/workflows")).expect("a folder");
            let file = tree.join(".github/workflows/release.yml");
            std::fs::write(file, "java-version: [8".repeat(3000)).expect("a written file");
            std::fs::write(tree.join(".sdkmanrc"), "maven=$(touch /tmp/x)\njava=\u{1b}[31m99\n")
                .expect("a written file");
        })],
    );
    // Something stands in front of the archive: two readers could take it for two archives.
    let mut prefixed = b"#!/bin/sh\n".to_vec();
    prefixed.extend(zip(&published()));
    upstream.put(&format!("{FOLDER}/lib-1.0.0-sources.jar"), prefixed);
    upstream.put(&format!("{FOLDER}/lib-1.0.0.jar"), b"not an archive".to_vec());
    let told = found(&sources, &upstream, &[]);
    assert_eq!(told["source"]["acceptance"], "pom-only", "{told:#}");
    says(&told, "skipped", "proves nothing");
    says(&told, "skipped", "gives no hints");
    assert!(!told["spec"].to_string().contains("touch"), "{told:#}");
}
