//! `rebuild` without a specification: the hints choose the first attempt, and each failure the next.

use std::path::Path;

use pyrsia_tests::node::{self, BUILD};
use pyrsia_tests::process::{self, Finished};
use pyrsia_tests::sources::{Sources, copy_tree, replace_in};
use pyrsia_tests::upstream::Upstream;
use pyrsia_tests::{engine, places};

use crate::documented::commands;
use crate::fixture::{LIB, central};
use crate::infer::zip;

const FOLDER: &str = "org/pyrsia/samples/greeting-lib/1.0.0";
const NAME: &str = "greeting-lib-1.0.0";
const JAVA: &str = "org/pyrsia/samples/greeting/Greeting.java";

/// The library without its specification, edited.
fn repository(name: &str, edit: &dyn Fn(&Path)) -> Sources {
    let sources = Sources::new(&places::run_folder().join(format!("infer-rebuilds-{name}")));
    sources.add_history(
        "greeting-lib",
        &[("v1.0.0", &|tree| {
            copy_tree(&places::sample("greeting-lib"), tree);
            std::fs::remove_file(tree.join("pyrsia.toml")).expect("the sample has a specification");
            edit(tree);
        })],
    );
    sources
}

/// `rebuild`, with a cache of its own: what the upstreams of these tests have of the release differs.
fn rebuild(sources: &Sources, upstream: &Upstream, out: &Path, more: &[&str]) -> Finished {
    engine::require();
    let data = out.join("data");
    let mut command = node::program();
    command.arg("--data-dir").arg(data).args(["rebuild", LIB, "--json", "--upstream", &upstream.url()]);
    command.args(["--source-mirror", &sources.mirror(), "--out"]).arg(out.join("files")).args(more);
    process::run(&mut command, BUILD)
}

/// Publishes what a build to this specification makes, with sources.
fn publish(sources: &Sources, upstream: &Upstream, specification: &str) {
    let folder = places::scratch("infer-publish");
    let file = folder.path().join("spec.toml");
    std::fs::write(&file, specification).expect("a written specification");
    let named = ["--source", &Sources::address("greeting-lib"), "--tag", "v1.0.0", "--no-reference", "--spec"];
    let file = file.to_string_lossy().into_owned();
    rebuild(sources, upstream, folder.path(), &[&named[..], &[file.as_str()][..]].concat()).expect(0);
    for extension in ["jar", "pom"] {
        let built = folder.path().join("files").join(format!("{NAME}.{extension}"));
        upstream.put(&format!("{FOLDER}/{NAME}.{extension}"), std::fs::read(built).expect("a built file"));
    }
    let source = std::fs::read_to_string(places::sample("greeting-lib").join("src/main/java").join(JAVA));
    let sources_jar = zip(&[(JAVA.to_owned(), source.expect("the sample's source"))]);
    upstream.put(&format!("{FOLDER}/{NAME}-sources.jar"), sources_jar);
}

#[test]
fn a_release_is_rebuilt_from_its_coordinates_alone() {
    let sources = repository("alone", &|_| {});
    let upstream = Upstream::in_front_of(&central().maven2());
    let specification = "version = 1\ntool = \"maven-3.8.8\"\njdk = 17\ngoals = [\"package\"]\numask = \"0002\"\n";
    publish(&sources, &upstream, specification);
    let out = places::scratch("infer-alone");
    let done = rebuild(&sources, &upstream, out.path(), &[]);
    let told = done.json();
    assert_eq!(told["verdict"], "identical", "{}", done.report());
    done.expect(0);
    assert_eq!((&told["inferred"]["acceptance"], &told["inferred"]["match_percent"]), (&"files".into(), &100.0.into()));
    assert_eq!((&told["spec"]["origin"], &told["source"]["tag"]), (&"inferred".into(), &"v1.0.0".into()));
    let attempts = told["attempts"].as_array().expect("attempts");
    let last = attempts.last().expect("an attempt");
    assert_eq!((&last["kept"], &last["verdict"]), (&true.into(), &"identical".into()), "{told:#}");
    let written = std::fs::read_to_string(out.path().join("files/specification.toml")).expect("a specification");
    assert!(written.contains("skipTests"), "{written}");
    let log = std::fs::read_to_string(out.path().join("files/build.log")).expect("a log");
    assert!(log.contains("Build-Jdk-Spec") && log.contains("attempt 1"), "{log}");
    as_documented(&sources, &upstream);
}

/// What the document says to type, by a person whose configuration has upstream and mirror.
fn as_documented(sources: &Sources, upstream: &Upstream) {
    let folder = places::scratch("infer-documented");
    let config = folder.path().join("config.toml");
    let (from, to) =
        sources.mirror().split_once('=').map(|(from, to)| (from.to_owned(), to.to_owned())).expect("a rule");
    let text = format!("[node]\nupstream = {:?}\n[source_mirrors]\n{from:?} = {to:?}\n", upstream.url());
    std::fs::write(&config, text).expect("a configuration");
    for line in commands("docs/REBUILD.md", "9. From coordinates alone") {
        let mut command = node::program();
        command.env("PYRSIA_CONFIG", &config).env("PYRSIA_DATA_DIR", folder.path().join("data"));
        command.args(line.split_whitespace().skip(1));
        let done = process::run(&mut command, BUILD).expect(0);
        assert!(done.stdout.contains("100.0 % of its 1 files"), "{}", done.report());
    }
}

/// A rule that fails, by a plugin that has a switch.
fn with_a_failing_rule(tree: &Path) {
    let plugin = "<plugin><groupId>org.apache.maven.plugins</groupId><artifactId>maven-enforcer-plugin</artifactId>\
         <version>3.5.0</version><executions><execution><goals><goal>enforce</goal></goals><configuration><rules>\
         <requireFilesExist><files><file>not-here.txt</file></files></requireFilesExist></rules></configuration>\
         </execution></executions></plugin></plugins>";
    replace_in(&tree.join("pom.xml"), "</plugins>", plugin);
}

#[test]
fn a_failure_is_read_and_chooses_the_next_attempt() {
    let sources = repository("failing", &with_a_failing_rule);
    let upstream = Upstream::in_front_of(&central().maven2());
    let specification = "version = 1\ntool = \"maven-3.9.11\"\njdk = 17\ngoals = [\"package\"]\n[properties]\n\"enforcer.skip\" = \"true\"\n";
    publish(&sources, &upstream, specification);
    let out = places::scratch("infer-failing");
    let one = rebuild(&sources, &upstream, &out.path().join("one"), &["--attempts", "1"]).expect(20);
    let told = one.json();
    assert_eq!((&told["verdict"], told["attempts"].as_array().map(Vec::len)), (&"failed".into(), Some(1)), "{told:#}");
    assert!(told["attempts"][0]["failure"].to_string().contains("enforcer"), "{told:#}");
    let done = rebuild(&sources, &upstream, &out.path().join("two"), &[]).expect(0);
    let told = done.json();
    let attempts = told["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 2, "{told:#}");
    assert_eq!((&attempts[0]["verdict"], &attempts[0]["kept"]), (&"failed".into(), &false.into()));
    assert_eq!((&attempts[1]["verdict"], &attempts[1]["kept"]), (&"identical".into(), &true.into()));
    assert!(attempts[1]["why"].to_string().contains("enforcer.skip"), "{told:#}");
}
