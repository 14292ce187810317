//! `import`: whose word is needed before bytes of unknown origin may be served.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use pyrsia_digest::Sha1;
use pyrsia_tests::node::{self, Node};
use pyrsia_tests::places;
use pyrsia_tests::process::{self, Finished};
use pyrsia_tests::upstream::{Behaviour, Upstream};
use serde_json::Value;

use crate::documented::commands;

const JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";
const BUILD: &str = "org/acme/snap/2-SNAPSHOT/snap-2-20260101.101010-1.jar";

fn put(root: &Path, path: &str, bytes: &[u8]) {
    let file = root.join(path);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(file, bytes).expect("a written file");
}

fn import(data: &Path, root: &Path, more: &[&str]) -> Finished {
    let mut command = node::program();
    command.arg("--data-dir").arg(data).arg("--json").arg("import").arg(root).args(more);
    process::run(&mut command, Duration::from_secs(120))
}

fn files(report: &Value, group: &str) -> u64 {
    report[group]["files"].as_u64().unwrap_or_else(|| report["refused"][group]["files"].as_u64().unwrap_or(0))
}

/// A local repository as Maven leaves it, with one file of each kind.
fn local_repository(root: &Path) {
    put(root, JAR, b"the bytes of a jar");
    put(root, &format!("{JAR}.sha1"), Sha1::of(b"the bytes of a jar").to_string().as_bytes());
    put(root, "org/acme/lib/1.0/lib-1.0.pom", b"a changed pom");
    put(root, "org/acme/lib/1.0/_remote.repositories", b"lib-1.0.jar>central=");
    put(root, "org/acme/lib/1.0/lib-1.0-sources.jar.lastUpdated", b"never");
    put(root, "org/acme/lib/maven-metadata-central.xml", b"<metadata/>");
    put(root, "org/acme/lib/resolver-status.properties", b"x=y");
    put(root, "org/acme/own/1-SNAPSHOT/own-1-SNAPSHOT.jar", b"of this machine");
    put(root, "org/acme/own/1-SNAPSHOT/_remote.repositories", b"own-1-SNAPSHOT.jar>=");
    // What a client keeps of a snapshot: the build, and a copy of it.
    put(root, BUILD, b"a build");
    put(root, "org/acme/snap/2-SNAPSHOT/snap-2-SNAPSHOT.jar", b"a build");
    put(root, "org/acme/own/1.0/own-1.0.jar", b"installed by hand");
}

#[test]
fn only_what_upstream_says_it_has_is_taken() {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "lib", "1.0", *b"the bytes of a jar");
    upstream.put(BUILD, *b"a build");
    let folder = places::scratch("import");
    let (root, data) = (folder.path().join("m2"), folder.path().join("data"));
    local_repository(&root);
    // What leads out is not followed.
    put(folder.path(), "outside/1.0/outside-1.0.jar", b"somebody's secret");
    symlink(folder.path().join("outside"), root.join("outside")).expect("a link");
    symlink(folder.path().join("outside/1.0/outside-1.0.jar"), root.join("org/acme/lib/1.0/lib-1.0.war"))
        .expect("a link");
    let upstream_url = upstream.url();
    let asking = ["--upstream", &upstream_url];

    let dry = import(&data, &root, &["--upstream", &upstream_url, "--dry-run"]).expect(0).json();
    assert_eq!((files(&dry, "taken"), &dry["dry_run"]), (2, &Value::from(true)), "{dry:#}");
    let report = import(&data, &root, &asking).expect(0).json();
    assert_eq!(files(&report, "taken"), 2, "a dry run changed nothing: {report:#}");
    assert_eq!(report["taken_by"]["sha1 of central"]["files"], 2, "{report:#}");
    assert_eq!(files(&report, "upstream-mismatch"), 1, "{report:#}");
    let named = |reason: &str| -> Vec<&str> {
        let all = report["named"].as_array().expect("a list").iter();
        all.filter(|one| one["reason"] == reason).filter_map(|one| one["path"].as_str()).collect()
    };
    assert_eq!(named("upstream-mismatch"), ["org/acme/lib/1.0/lib-1.0.pom"], "{report:#}");
    assert_eq!(named("snapshot-installed-here"), ["org/acme/own/1-SNAPSHOT/own-1-SNAPSHOT.jar"], "{report:#}");
    assert_eq!(files(&report, "not-upstream"), 1, "{report:#}");
    for (kind, count) in [
        ("bookkeeping of clients", 4),
        ("checksums, which are made anew", 1),
        ("documents, which are fetched anew", 1),
        ("copies of builds of snapshots, which clients make anew", 1),
        ("snapshots installed on this machine, which no upstream has: deploy them to a hosted repository", 1),
        ("links", 2),
    ] {
        assert_eq!(report["skipped"][kind], count, "{kind}: {report:#}");
    }
    assert_eq!(upstream.gets(JAR), 0, "the file itself was not fetched: {:?}", upstream.requests());
    let asked = upstream.requests().len();
    let again = import(&data, &root, &asking).expect(0).json();
    assert_eq!((files(&again, "taken"), files(&again, "present")), (0, 2), "{again:#}");
    assert!(upstream.requests().len() - asked < asked, "what is here is not asked about again");
    // As many bytes and other ones are another file.
    put(&root, JAR, b"THE BYTES OF A JAR");
    std::fs::remove_file(root.join(format!("{JAR}.sha1"))).expect("the checksum is of the other one");
    let changed = import(&data, &root, &asking).expect(0).json();
    assert_eq!((files(&changed, "present"), files(&changed, "first-seen-mismatch")), (1, 1), "{changed:#}");

    let node = Node::start_at("imported", &data, &["--no-builder", "--upstream", &upstream_url]);
    assert_eq!(node.artifact(JAR).expect(200).body, b"the bytes of a jar");
    assert_eq!(node.artifact(BUILD).expect(200).body, b"a build");
    assert_eq!((upstream.gets(JAR), upstream.gets(BUILD)), (0, 0), "they were here");
    assert_ne!(node.artifact("org/acme/lib/1.0/lib-1.0.pom").expect(200).body, b"a changed pom");
    node.artifact("org/acme/own/1.0/own-1.0.jar").expect(404);
    node.artifact("org/acme/lib/1.0/lib-1.0.war").expect(404);
    let busy = import(&data, &root, &asking).expect(1);
    assert!(busy.stderr.contains("in use"), "{}", busy.report());
}

#[test]
fn the_commands_of_the_document_do_what_it_says() {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "lib", "1.0", *b"the bytes of a jar");
    let folder = places::scratch("import-documented");
    let (root, data) = (folder.path().join(".m2/repository"), folder.path().join("data"));
    put(&root, JAR, b"the bytes of a jar");
    let mut taken = Vec::new();
    for line in commands("docs/OPERATING.md", "Bringing files in") {
        let line = line.replace("~/.m2/repository", &root.to_string_lossy());
        let words: Vec<&str> = line.split_whitespace().skip_while(|word| *word != "import").skip(1).collect();
        let mut more = vec!["--upstream", "-"];
        let url = upstream.url();
        more[1] = &url;
        more.extend(&words[1..]);
        taken.push(files(&import(&data, Path::new(words[0]), &more).expect(0).json(), "taken"));
    }
    assert_eq!(taken, [1, 1], "the first one only looks");
}

#[test]
fn trust_takes_the_rest_but_never_what_the_ledger_or_this_node_knows_better() {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "seen", "1.0", *b"seen first");
    let folder = places::scratch("import-trust");
    let (root, data) = (folder.path().join("mirror"), folder.path().join("data"));
    put(&root, JAR, b"a jar");
    put(&root, "org/acme/torn/1.0/torn-1.0.jar", b"torn");
    put(&root, "org/acme/torn/1.0/torn-1.0.jar.sha1", Sha1::of(b"torn and the rest").to_string().as_bytes());
    put(&root, "org/acme/seen/1.0/seen-1.0.jar", b"other bytes");
    put(&root, "org/acme/bad/1.0/bad-1.0.jar", b"a blocked one");
    put(&root, "org/pyrsia/own/1.0/own-1.0.jar", b"of a native group");
    let mut node = Node::start_at("trust", &data, &["--no-builder", "--upstream", &upstream.url()]);
    node.artifact("org/acme/seen/1.0/seen-1.0.jar").expect(200);
    node.cli(&["block", "org.acme:bad:1.0", "--reason", "it steals"]).expect(0);
    node.cli(&["namespace", "grant", "org.pyrsia", "--repository", "https://git.example/acme/lib.git"]).expect(0);
    assert_eq!(node.stop(), 0);
    let report = import(&data, &root, &["--trust"]).expect(0).json();
    assert_eq!(files(&report, "taken"), 1, "{report:#}");
    for reason in ["damaged", "withheld", "native-group"] {
        assert_eq!(files(&report, reason), 1, "{reason}: {report:#}");
    }
    // Its size is another one, so it is not taken for the one that is here.
    assert_eq!(files(&report, "first-seen-mismatch"), 1, "{report:#}");
    let seen = upstream.requests().len();
    node.start_again();
    assert_eq!(node.artifact(JAR).expect(200).body, b"a jar");
    assert_eq!(upstream.requests().len(), seen, "nobody was asked");
    assert_eq!(node.artifact("org/acme/seen/1.0/seen-1.0.jar").expect(200).body, b"seen first");
}

#[test]
fn an_upstream_that_fails_leaves_files_for_the_next_time() {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "lib", "1.0", *b"the bytes of a jar");
    let folder = places::scratch("import-failing");
    let (root, data) = (folder.path().join("m2"), folder.path().join("data"));
    put(&root, JAR, b"the bytes of a jar");
    upstream.behave(JAR, Behaviour::Status { code: 403, retry_after: None, times: usize::MAX });
    let asking = ["--upstream", &upstream.url()];
    let report = import(&data, &root, &asking).expect(1).json();
    assert_eq!((files(&report, "unchecked"), files(&report, "taken")), (1, 0), "{report:#}");
    assert!(report["named"][0]["detail"].as_str().is_some_and(|detail| detail.contains("403")), "{report:#}");
    upstream.mend(JAR);
    assert_eq!(files(&import(&data, &root, &asking).expect(0).json(), "taken"), 1);
}

#[test]
fn a_file_larger_than_any_that_is_fetched_is_refused_unread() {
    let folder = places::scratch("import-large");
    let (root, data) = (folder.path().join("m2"), folder.path().join("data"));
    put(&root, JAR, b"");
    // No such amount is written.
    let sparse = std::fs::File::options().write(true).open(root.join(JAR)).expect("the file");
    sparse.set_len(5 << 40).expect("a sparse file");
    let report = import(&data, &root, &["--trust"]).expect(0).json();
    assert_eq!((files(&report, "too-large"), files(&report, "taken")), (1, 0), "{report:#}");
}
