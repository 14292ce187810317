//! Specifications that others have written: collections of them, as a folder and as a git repository, and what of them is
//! refused.

use std::io::Write as _;
use std::path::Path;

use pyrsia_digest::Sha256;
use pyrsia_tests::node::{self, Node};
use pyrsia_tests::process::Finished;
use pyrsia_tests::sources::{Sources, git};
use pyrsia_tests::{engine, places};

use crate::fixture::{LIB, keys, rebuild_with};

/// A file as people write them, for the library of the samples.
const PLAIN: &str = r#"groupId=org.pyrsia.samples
artifactId=greeting-lib
display=${groupId}:${artifactId}
version=1.0.0

gitRepo=https://samples.example/$(echo "${artifactId}" | tr '.' '-').git
gitTag=v${version}

tool=mvn-3.9.9
jdk=17
newline=lf
umask=022
timezone="Europe/Paris"

command="mvn -ntp clean package -DskipTests -Dgpg.skip"
buildinfo=target/${artifactId}-${version}.buildinfo
issue=
"#;

/// The same build by two calls, after a line for the shell.
const CHAIN: &str = "execBefore=\"echo built in \\$TZ > note.txt && cat note.txt\"\n\
    command=\"SHELL mvn clean && mvn package -DskipTests\"\n";

fn write(folder: &Path, path: &str, text: &str) {
    let file = folder.join(path);
    std::fs::create_dir_all(file.parent().expect("a folder above")).expect("a folder");
    std::fs::write(file, text).expect("a written file");
}

fn specs(arguments: &[&str]) -> Finished {
    let data = places::run_folder().join("specs-data").to_string_lossy().into_owned();
    node::cli(&[&["--data-dir", &data, "specs"][..], arguments].concat())
}

#[test]
fn a_collection_says_what_it_has_and_what_of_it_is_refused() {
    let folder = places::scratch("collection");
    let collection = folder.path().to_string_lossy().into_owned();
    write(folder.path(), "content/org/pyrsia/samples/greeting-lib/greeting-lib-1.0.0.buildspec", PLAIN);
    write(
        folder.path(),
        "content/org/pyrsia/samples/greeting-lib/greeting-lib-2.0.0.buildspec",
        &format!("{}{CHAIN}", PLAIN.replace("=1.0.0", "=2.0.0")),
    );
    for (name, line) in [
        ("executed", "gitTag=$(curl https://evil.example/)"),
        ("statement", "touch /tmp/it-ran"),
        ("sbt", "tool=sbt"),
        ("jdk", "jdk=12"),
    ] {
        write(folder.path(), &format!("content/org/other/{name}-1.0.0.buildspec"), &format!("{PLAIN}{line}\n"));
    }
    write(folder.path(), "content/org/other/not-read.buildinfo", "tool=sbt");

    let counted = specs(&[&collection, "--json"]).expect(0).json();
    for (name, number) in [("files", 6), ("read", 4), ("usable", 2), ("structured", 1)] {
        assert_eq!(counted[name], number, "{name} of {counted:#}");
    }
    let kinds: Vec<String> = keys(&counted["refused"]).into_iter().collect();
    assert_eq!(kinds, ["unread, statement", "unread, substitution", "unusable, jdk", "unusable, tool"]);
    let text = specs(&[&collection]).expect(0).stdout;
    assert!(text.contains("line 18: `touch /tmp/it-ran` is no assignment"), "{text}");
    assert!(!Path::new("/tmp/it-ran").exists(), "nothing is executed");

    // What is shown of one release can be given to `--spec` as it is.
    let shown = specs(&[&collection, LIB]).expect(0);
    assert!(
        shown.stdout.contains("# tag v1.0.0") && shown.stdout.contains("timezone = \"Europe/Paris\""),
        "{}",
        shown.report()
    );
    write(folder.path(), "mine.toml", &shown.stdout);
    write(folder.path(), "again/org/pyrsia/samples/greeting-lib/greeting-lib-1.0.0.toml", &shown.stdout);
    let first = specs(&[&collection, LIB, "--json"]).expect(0).json();
    let again = specs(&[&folder.path().join("again").to_string_lossy(), LIB, "--json"]).expect(0).json();
    assert_eq!(first["digest"], again["digest"], "the same specification in either form");
    assert_eq!(first["structured"], true);

    specs(&[&collection, "org.pyrsia.samples:greeting-lib:3.0.0"]).expect(22);
    specs(&["/no/such/folder", LIB]).expect(1);
    specs(&["ssh://git.example/x"]).expect(1);
    // A file of the release's own group that is refused is said by name, and no other is taken instead.
    write(folder.path(), "content/org/pyrsia/samples/greeting-app-4.0.0.buildspec", "version=`id`");
    let refused = specs(&[&collection, "org.pyrsia.samples:greeting-app:4.0.0"]).expect(22);
    assert!(refused.stderr.contains("line 1: ``id`` would have to be executed"), "{}", refused.report());
}

#[test]
fn a_release_is_rebuilt_as_a_collection_says() {
    engine::require();
    let sources = Sources::new(&places::run_folder().join("specs-sources"));
    let lib = sources.add_sample("greeting-lib", "v1.0.0");
    let folder = places::scratch("specs");
    let tree = folder.path().join("collection");
    write(&tree, "content/org/pyrsia/samples/greeting-lib/greeting-lib-1.0.0.buildspec", PLAIN);
    let out = |name: &str| folder.path().join(name);
    let jar = |name: &str| std::fs::read(out(name).join("greeting-lib-1.0.0.jar")).expect("a JAR");

    // A folder: repository, tag and specification come from the file.
    let at = tree.to_string_lossy().into_owned();
    let done = rebuild_with(&sources, LIB, &out("folder"), &["--no-reference", "--specs", &at]).expect(0).json();
    assert_eq!((&done["spec"]["origin"], &done["spec"]["tool"]), (&"specs".into(), &"maven-3.9.9".into()), "{done:#}");
    assert_eq!(done["source"]["tag"], "v1.0.0");
    let kept = std::fs::read_to_string(out("folder").join("specification.toml")).expect("the specification");
    assert!(kept.starts_with("version = 1\n") && kept.contains("Europe/Paris"), "{kept}");

    // A git repository, by the configuration; the file says more than the first form can.
    write(&tree, "content/org/pyrsia/samples/greeting-lib/greeting-lib-1.0.0.buildspec", &format!("{PLAIN}{CHAIN}"));
    git(&tree, &["init", "-q"]);
    git(&tree, &["add", "-A"]);
    git(&tree, &["commit", "-q", "-m", "specifications"]);
    let config = folder.path().join("config.toml");
    std::fs::write(&config, format!("specs = [\"file://{at}/.git\"]\n")).expect("a configuration");
    let config = config.to_string_lossy().into_owned();
    let done = rebuild_with(&sources, LIB, &out("git"), &["--no-reference", "--config", &config]).expect(0).json();
    assert_eq!(done["spec"]["command"], "mvn clean && mvn package -DskipTests", "{done:#}");
    let kept = std::fs::read_to_string(out("git").join("specification.toml")).expect("the specification");
    assert!(kept.starts_with("version = 2\n"), "{kept}");
    let log = std::fs::read_to_string(out("git").join("build.log")).expect("a log");
    assert!(log.contains("built in Europe/Paris") && log.contains("greeting-lib-1.0.0.buildspec in file://"), "{log}");
    assert!(jar("git") == jar("folder"), "two calls of the tool make what one makes");

    // A file by itself, which is for another release.
    let file = tree.join("content/org/pyrsia/samples/greeting-lib/greeting-lib-1.0.0.buildspec");
    let file = file.to_string_lossy().into_owned();
    let other = "org.pyrsia.samples:greeting-lib:1.0.1";
    let done = rebuild_with(&sources, other, &out("other"), &["--no-reference", "--spec", &file]).expect(1);
    assert!(done.output().contains("is for org.pyrsia.samples:greeting-lib:1.0.0"), "{}", done.report());
    let done = rebuild_with(&sources, other, &out("none"), &["--no-reference", "--specs", &at]).expect(22);
    assert!(done.output().contains("no specification of org.pyrsia.samples:greeting-lib:1.0.1"), "{}", done.report());

    // The commit by its message, as for projects that tag nothing.
    let by_message = |text: &str| {
        let line = format!("gitTag=\"git log --all --pretty=format:%H --grep '{text}'\"\n");
        write(&tree, "content/org/pyrsia/samples/greeting-lib/greeting-lib-1.0.0.buildspec", &format!("{PLAIN}{line}"));
    };
    by_message("greeting-lib v$version");
    let done = rebuild_with(&sources, LIB, &out("message"), &["--no-reference", "--specs", &at]).expect(0).json();
    assert_eq!(done["source"]["commit"], lib.commit, "{done:#}");
    assert!(jar("message") == jar("folder"), "the same commit");
    by_message("no such words");
    let done = rebuild_with(&sources, LIB, &out("message"), &["--no-reference", "--specs", &at]).expect(22);
    let failure = done.json()["failure"].as_str().unwrap_or_default().to_owned();
    assert!(failure.contains("\"no such words\" in its message"), "{}", done.report());

    // A line that fails is said by name.
    write(
        &tree,
        "content/org/pyrsia/samples/greeting-lib/greeting-lib-1.0.0.buildspec",
        &format!("{PLAIN}{CHAIN}execBefore='echo so it goes && exit 7'\n"),
    );
    let done = rebuild_with(&sources, LIB, &out("fails"), &["--no-reference", "--specs", &at]).expect(20);
    assert!(
        done.output().contains("exec_before, line 2 of the specification ended with exit code 7"),
        "{}",
        done.report()
    );
}

/// The library's sources in a zip, below a folder, with a file that is not in the repository.
fn packed(file: &Path, more: &str) {
    let sample = places::sample("greeting-lib");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(file).expect("a new file"));
    let options = zip::write::SimpleFileOptions::default();
    let mut open = vec![sample.clone()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of the sample").flatten() {
            if entry.path().is_dir() {
                open.push(entry.path());
                continue;
            }
            let name = entry.path().strip_prefix(&sample).expect("below it").display().to_string();
            zip.start_file(format!("greeting-lib-1.0.0/{name}"), options).expect("an entry");
            zip.write_all(&std::fs::read(entry.path()).expect("a file")).expect("its bytes");
        }
    }
    zip.start_file("greeting-lib-1.0.0/src/main/resources/DEPENDENCIES", options).expect("an entry");
    zip.write_all(more.as_bytes()).expect("its bytes");
    zip.finish().expect("a whole zip");
}

#[test]
fn a_source_archive_is_built_as_a_commit_would_be() {
    engine::require();
    let sources = Sources::new(&places::run_folder().join("archive-sources"));
    sources.add_sample("greeting-lib", "v1.0.0");
    let folder = places::scratch("archive");
    let zip = folder.path().join("greeting-lib-1.0.0-source-release.zip");
    packed(&zip, "made by the release plugin");
    let plain = folder.path().join("git.buildspec").to_string_lossy().into_owned();
    write(folder.path(), "git.buildspec", PLAIN);
    let file = folder.path().join("archive.buildspec").to_string_lossy().into_owned();
    let distribution = "sourceDistribution=https://files.example/${artifactId}-${version}-source-release.zip\n\
        sourcePath=${artifactId}-${version}\nsourceRmFiles=\"src/main/resources/DEPENDENCIES LICENSE\"\n";
    write(folder.path(), "archive.buildspec", &format!("{PLAIN}{distribution}"));
    let mirror = format!("https://files.example/=file://{}/", folder.path().display());
    let out = |name: &str| folder.path().join(name);
    let jar = |name: &str| std::fs::read(out(name).join("greeting-lib-1.0.0.jar")).expect("a JAR");
    let run = |spec: &str, name: &str, more: &[&str]| {
        let arguments = [&["--no-reference", "--spec", spec, "--source-mirror", &mirror][..], more].concat();
        rebuild_with(&sources, LIB, &out(name), &arguments)
    };

    run(&plain, "git", &[]).expect(0);
    let done = run(&file, "archive", &[]).expect(0).json();
    assert!(jar("archive") == jar("git"), "the same sources make the same file");
    assert_eq!(done["source"]["repository"], "https://files.example/greeting-lib-1.0.0-source-release.zip", "{done:#}");
    let digest = Sha256::of(&std::fs::read(&zip).expect("the zip")).to_string();
    let kept = std::fs::read_to_string(out("archive").join("specification.toml")).expect("the specification");
    assert!(kept.contains(&digest) && kept.contains("[source_distribution]"), "{kept}");

    // Now that its digest is stated, another archive at the address is not taken.
    let pinned = out("archive").join("specification.toml").to_string_lossy().into_owned();
    run(&pinned, "pinned", &[]).expect(0);
    assert!(jar("pinned") == jar("git"), "the same archive");
    packed(&zip, "something else");
    let done = run(&pinned, "other", &[]).expect(22);
    assert!(done.output().contains(&format!("not {digest}")), "{}", done.report());
    std::fs::write(&zip, "no archive").expect("a file");
    let done = run(&file, "none", &[]).expect(22);
    assert!(done.output().contains("neither a zip nor a tar"), "{}", done.report());
    let done = run(&file, "named", &["--tag", "v1.0.0"]).expect(1);
    assert!(done.output().contains("no repository, tag or commit to name"), "{}", done.report());
    // A network builds commits.
    let node = Node::start::<&str>("archives", &["--offline"]);
    let done = node.cli(&["approve", "--spec", &pinned]).expect(1);
    assert!(done.output().contains("a network builds commits"), "{}", done.report());
}

#[test]
fn a_specification_with_lines_for_a_shell_is_approved_by_its_own_digest() {
    let folder = places::scratch("approved");
    write(folder.path(), "chain.buildspec", &format!("{PLAIN}{CHAIN}"));
    let file = folder.path().join("chain.buildspec").to_string_lossy().into_owned();
    write(folder.path(), "x/org/pyrsia/samples/greeting-lib-1.0.0.buildspec", &format!("{PLAIN}{CHAIN}"));
    let shown = specs(&[&folder.path().join("x").to_string_lossy(), LIB, "--json"]).expect(0).json();
    assert_eq!(shown["structured"], false);
    let node = Node::start::<&str>("approving", &["--offline"]);
    let approved = node.cli(&["approve", "--spec", &file]).expect(0);
    let digest = shown["digest"].as_str().expect("a digest");
    assert!(approved.output().contains(digest), "{}", approved.report());
}
