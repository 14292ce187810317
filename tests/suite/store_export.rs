//! `export`: a plain folder, complete enough for a real build, with nothing in it that the node would not serve.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use pyrsia_digest::{Md5, Sha1, Sha256, Sha512};
use pyrsia_tests::clients::{Maven, MavenUser};
use pyrsia_tests::node::{self, Node};
use pyrsia_tests::places;
use pyrsia_tests::process::{self, Finished};
use pyrsia_tests::upstream::Upstream;

use crate::documented::commands;
use crate::fixture;

fn export(data: &Path, to: &Path, more: &[&str]) -> Finished {
    let mut command = node::program();
    command.arg("--data-dir").arg(data).arg("--json").arg("export").arg(to).args(more);
    process::run(&mut command, Duration::from_secs(120))
}

/// Every file below a folder, by its path in it.
fn tree(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).expect("a readable folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("below").to_string_lossy().into_owned();
                found.insert(name, std::fs::read(&path).expect("a readable file"));
            }
        }
    }
    found
}

#[test]
fn the_folder_has_what_is_served_and_is_brought_up_to_date() {
    let upstream = Upstream::start();
    for (artifact, version) in [("lib", "1.0"), ("lib", "1.1"), ("other", "2.0")] {
        upstream.put_release("org.acme", artifact, version, format!("{artifact} {version}").into_bytes());
    }
    let folder = places::scratch("export");
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    let mut node = Node::start_at("export", &data, &["--no-builder", "--upstream", &upstream.url()]);
    let jar = |artifact: &str, version: &str| format!("org/acme/{artifact}/{version}/{artifact}-{version}.jar");
    for (artifact, version) in [("lib", "1.0"), ("lib", "1.1"), ("other", "2.0")] {
        node.artifact(&jar(artifact, version)).expect(200);
    }
    node.artifact("org/acme/lib/1.0/lib-1.0.pom").expect(200);
    let busy = export(&data, &out, &[]).expect(1);
    assert!(busy.stderr.contains("in use"), "{}", busy.report());
    assert_eq!(node.stop(), 0);

    let first = export(&data, &out, &["--only", "org.acme:lib"]).expect(0).json();
    assert_eq!((&first["written"], &first["documents"]), (&3.into(), &1.into()), "{first:#}");
    let whole = export(&data, &out, &[]).expect(0).json();
    assert_eq!((&whole["written"], &whole["unchanged"]), (&1.into(), &3.into()), "{whole:#}");
    let files = tree(&out);
    let bytes = &files[&jar("lib", "1.1")];
    assert_eq!(bytes, b"lib 1.1");
    for (extension, digest) in [
        ("md5", Md5::of(bytes).to_string()),
        ("sha1", Sha1::of(bytes).to_string()),
        ("sha256", Sha256::of(bytes).to_string()),
        ("sha512", Sha512::of(bytes).to_string()),
    ] {
        assert_eq!(files[&format!("{}.{extension}", jar("lib", "1.1"))], digest.as_bytes(), "{extension}");
    }
    let document = String::from_utf8(files["org/acme/lib/maven-metadata.xml"].clone()).expect("text");
    assert!(document.contains("<version>1.0</version>") && document.contains("<release>1.1</release>"), "{document}");
    assert_eq!(
        files["org/acme/lib/maven-metadata.xml.sha1"],
        Sha1::of(document.as_bytes()).to_string().as_bytes(),
        "the document and its checksum belong together"
    );
    assert!(files.keys().all(|name| name.starts_with("org/acme/")), "nothing else is left: {files:#?}");
    let mode = std::fs::metadata(out.join(jar("lib", "1.1"))).expect("the file").mode() & 0o777;
    assert_eq!(mode, 0o644, "a web server is another user");

    // A release that is blocked by now leaves the folder, and what was damaged there is mended.
    std::fs::write(out.join(jar("other", "2.0")), b"torn").expect("a written file");
    node.start_again();
    node.cli(&["block", "org.acme:lib:1.0", "--reason", "it steals"]).expect(0);
    assert_eq!(node.stop(), 0);
    let updated = export(&data, &out, &[]).expect(0).json();
    assert_eq!((&updated["written"], &updated["removed"]), (&1.into(), &2.into()), "{updated:#}");
    assert_eq!(updated["left_out"]["blocked"], 2, "{updated:#}");
    let files = tree(&out);
    assert_eq!(files[&jar("other", "2.0")], b"other 2.0");
    assert!(!files.keys().any(|name| name.contains("lib-1.0")), "{files:#?}");
    let document = String::from_utf8(files["org/acme/lib/maven-metadata.xml"].clone()).expect("text");
    assert!(!document.contains("1.0<"), "{document}");

    // Linked, they are the store's own files; nobody has rebuilt any of this.
    let linked = folder.path().join("linked");
    let done = export(&data, &linked, &["--link"]).expect(0).json();
    assert_eq!((&done["written"], &done["linked"]), (&2.into(), &2.into()), "{done:#}");
    assert_eq!(std::fs::metadata(linked.join(jar("lib", "1.1"))).expect("the file").nlink(), 2);
    let verified = export(&data, &folder.path().join("verified"), &["--verified"]).expect(0).json();
    assert_eq!((&verified["written"], &verified["left_out"]["unverified"]), (&0.into(), &2.into()), "{verified:#}");
    export(&data, &data.join("blobs"), &[]).expect(1);

    // The commands of the document.
    for line in commands("docs/OPERATING.md", "Serving a copy elsewhere") {
        let words: Vec<&str> = line.split_whitespace().skip_while(|word| *word != "export").skip(2).collect();
        export(&data, &folder.path().join("documented"), &words).expect(0);
    }
    assert_eq!(tree(&folder.path().join("documented")), tree(&linked));
}

/// A project that needs a library and, for its build, what every build of Maven's needs.
fn project(folder: &Path) {
    std::fs::create_dir_all(folder.join("src/main/java")).expect("a folder");
    let pom = "<project><modelVersion>4.0.0</modelVersion><groupId>org.acme</groupId><artifactId>app</artifactId>\
               <version>1</version><properties><maven.compiler.source>8</maven.compiler.source>\
               <maven.compiler.target>8</maven.compiler.target>\
               <project.build.sourceEncoding>UTF-8</project.build.sourceEncoding></properties>\
               <dependencies><dependency><groupId>org.acme</groupId><artifactId>lib</artifactId><version>[1.0,2.0)</version>\
               </dependency></dependencies></project>";
    std::fs::write(folder.join("pom.xml"), pom).expect("a written file");
    std::fs::write(folder.join("src/main/java/App.java"), "public class App {}\n").expect("a written file");
}

/// A JAR with nothing in it but its manifest.
fn empty_jar() -> Vec<u8> {
    let folder = places::scratch("empty-jar");
    std::fs::write(folder.path().join("there.txt"), "there\n").expect("a written file");
    pyrsia_tests::clients::jar_tool(folder.path(), &["--create", "--file", "empty.jar", "there.txt"]);
    std::fs::read(folder.path().join("empty.jar")).expect("the jar")
}

#[test]
fn maven_builds_from_the_folder_alone_with_an_empty_local_repository() {
    let upstream = Upstream::in_front_of(&fixture::central().maven2());
    upstream.put_release("org.acme", "lib", "1.5", empty_jar());
    upstream.put(
        "org/acme/lib/maven-metadata.xml",
        "<metadata><groupId>org.acme</groupId><artifactId>lib</artifactId><versioning><release>1.5</release>\
         <versions><version>1.5</version></versions><lastUpdated>20260101000000</lastUpdated></versioning></metadata>",
    );
    let folder = places::scratch("export-maven");
    let (data, out) = (folder.path().join("data"), folder.path().join("out"));
    let mut node = Node::start_at("export-maven", &data, &["--no-builder", "--upstream", &upstream.url()]);
    let maven = Maven::of_the_machine();
    let work = folder.path().join("app");
    project(&work);
    MavenUser::new(&node.maven2(), "*").run(&maven, &work, &["package"]).expect(0);
    assert_eq!(node.stop(), 0);
    let report = export(&data, &out, &[]).expect(0).json();
    assert!(report["written"].as_u64() > Some(50), "{report:#}");

    std::fs::remove_dir_all(work.join("target")).expect("the first build's output");
    let user = MavenUser::new(&format!("file://{}", out.display()), "*");
    user.run(&maven, &work, &["package"]).expect(0);
    assert!(work.join("target/app-1.jar").is_file());
    user.local_file("org/acme/lib/1.5/lib-1.5.jar");
    // By its prefix, which is in the document of the plugins' group.
    let plugins = out.join("org/apache/maven/plugins/maven-metadata.xml");
    assert!(!plugins.exists() || std::fs::read_to_string(plugins).expect("text").contains("<prefix>"));
}

#[test]
fn snapshots_that_were_served_are_exported_with_the_document_of_what_is_there() {
    let upstream = Upstream::start();
    let folder = "org/acme/snap/2-SNAPSHOT";
    let file = |build: &str, rest: &str| format!("{folder}/snap-2-{build}{rest}");
    for (build, rest) in [("20260101.101010-1", ".jar"), ("20260102.101010-2", ".jar"), ("20260102.101010-2", ".pom")] {
        upstream.put(&file(build, rest), format!("{build}{rest}").into_bytes());
    }
    // An old repository's, without builds.
    upstream.put("org/acme/old/1-SNAPSHOT/old-1-SNAPSHOT.jar", *b"as of today");
    upstream.put_release("org.acme", "snap", "1.0", *b"a release");
    let place = places::scratch("export-snapshots");
    let (data, out) = (place.path().join("data"), place.path().join("out"));
    let mut node = Node::start_at("export-snapshots", &data, &["--no-builder", "--upstream", &upstream.url()]);
    for path in [
        file("20260101.101010-1", ".jar"),
        file("20260102.101010-2", ".pom"),
        "org/acme/old/1-SNAPSHOT/old-1-SNAPSHOT.jar".to_owned(),
        "org/acme/snap/1.0/snap-1.0.jar".to_owned(),
    ] {
        node.artifact(&path).expect(200);
    }
    assert_eq!(node.stop(), 0);
    let report = export(&data, &out, &[]).expect(0).json();
    assert_eq!((&report["written"], &report["documents"]), (&4.into(), &3.into()), "{report:#}");
    let files = tree(&out);
    let text = |path: &str| String::from_utf8(files[path].clone()).expect("text");
    assert_eq!(text(&file("20260101.101010-1", ".jar")), "20260101.101010-1.jar");
    // Each file stands at the newest build that is there, not at the newest one that upstream has.
    let document = text(&format!("{folder}/maven-metadata.xml"));
    for words in
        ["<value>2-20260101.101010-1</value>", "<value>2-20260102.101010-2</value>", "<buildNumber>2</buildNumber>"]
    {
        assert!(document.contains(words), "{words}: {document}");
    }
    let versions = text("org/acme/snap/maven-metadata.xml");
    for words in ["<version>1.0</version>", "<version>2-SNAPSHOT</version>", "<release>1.0</release>"] {
        assert!(versions.contains(words), "{words}: {versions}");
    }
    assert!(!files.contains_key("org/acme/old/1-SNAPSHOT/maven-metadata.xml"), "it has no builds: {files:#?}");
    assert!(text("org/acme/old/maven-metadata.xml").contains("<version>1-SNAPSHOT</version>"));

    // A build that is gone leaves the document too.
    let blob = data.join("blobs/sha256");
    let hex = Sha256::of(b"20260101.101010-1.jar").to_string();
    std::fs::remove_file(blob.join(&hex[..2]).join(&hex)).expect("the blob");
    let report = export(&data, &out, &[]).expect(0).json();
    assert_eq!(report["removed"], 1, "{report:#}");
    let document = std::fs::read_to_string(out.join(folder).join("maven-metadata.xml")).expect("the document");
    assert!(!document.contains("20260101") && document.contains("2-20260102.101010-2"), "{document}");
    // Nobody has rebuilt a snapshot.
    let verified = export(&data, &place.path().join("verified"), &["--verified"]).expect(0).json();
    assert_eq!(verified["written"], 0, "{verified:#}");
}

#[test]
fn damage_that_keeps_the_size_is_found_by_a_check_and_never_linked_again() {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "lib", "1.0", *b"the right bytes");
    let folder = places::scratch("export-check");
    let (data, out, linked) = (folder.path().join("data"), folder.path().join("out"), folder.path().join("linked"));
    let jar = "org/acme/lib/1.0/lib-1.0.jar";
    let mut node = Node::start_at("export-check", &data, &["--no-builder", "--upstream", &upstream.url()]);
    node.artifact(jar).expect(200);
    assert_eq!(node.stop(), 0);
    export(&data, &out, &[]).expect(0);
    export(&data, &linked, &["--link"]).expect(0);
    std::fs::write(out.join(jar), b"the WRONG bytes").expect("damage");
    assert_eq!(export(&data, &out, &[]).expect(0).json()["unchanged"], 1, "size and checksum file say nothing");
    assert_eq!(export(&data, &out, &["--check"]).expect(0).json()["written"], 1);
    assert_eq!(std::fs::read(out.join(jar)).expect("the file"), b"the right bytes");
    // A link is the store's own file: its damage is the store's.
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(linked.join(jar), std::fs::Permissions::from_mode(0o644)).expect("root or the owner");
    std::fs::write(linked.join(jar), b"the WRONG bytes").expect("damage");
    let checked = export(&data, &linked, &["--link", "--check"]).expect(0).json();
    assert_eq!(
        (&checked["removed"], &checked["left_out"]["their bytes are not here"]),
        (&1.into(), &1.into()),
        "{checked:#}"
    );
    node.start_again();
    assert_eq!(node.artifact(jar).expect(200).body, b"the right bytes", "fetched again");
}
