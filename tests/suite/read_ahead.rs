//! What clients will ask for next is fetched while they read: what is guessed, what is not, and that it costs nobody
//! anything but a download.

use std::time::Duration;

use pyrsia_tests::node::Node;
use pyrsia_tests::places;
use pyrsia_tests::process::until;
use pyrsia_tests::upstream::{Behaviour, Upstream};

const APP: &str = "org/acme/app/1.0/app-1.0.pom";
const LIB_JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";
const DEEP_JAR: &str = "org/acme/deep/3.0/deep-3.0.jar";
const LIMIT: Duration = Duration::from_secs(20);

fn pom(artifact: &str, version: &str, more: &str) -> String {
    format!(
        "<project><modelVersion>4.0.0</modelVersion><groupId>org.acme</groupId><artifactId>{artifact}</artifactId>\
         <version>{version}</version>{more}</project>"
    )
}

fn dependency(artifact: &str, version: &str) -> String {
    format!(
        "<dependency><groupId>org.acme</groupId><artifactId>{artifact}</artifactId>{}</dependency>",
        if version.is_empty() { String::new() } else { format!("<version>{version}</version>") }
    )
}

/// `app` needs `lib`, whose version its parent has, and `lib` needs `deep`.
fn upstream() -> Upstream {
    let upstream = Upstream::start();
    for (artifact, version) in [("app", "1.0"), ("lib", "1.0"), ("deep", "3.0"), ("other", "1.0")] {
        upstream.put_release("org.acme", artifact, version, format!("the bytes of {artifact}"));
    }
    let parent = "<parent><groupId>org.acme</groupId><artifactId>parent</artifactId><version>7</version></parent>";
    let needs = |what: String| format!("<dependencies>{what}</dependencies>");
    upstream.put(APP, pom("app", "1.0", &format!("{parent}{}", needs(dependency("lib", "")))));
    upstream.put("org/acme/lib/1.0/lib-1.0.pom", pom("lib", "1.0", &needs(dependency("deep", "3.0"))));
    let managed = format!("<dependencyManagement>{}</dependencyManagement>", needs(dependency("lib", "1.0")));
    upstream.put("org/acme/parent/7/parent-7.pom", pom("parent", "7", &format!("<packaging>pom</packaging>{managed}")));
    upstream
}

#[track_caller]
fn asked(upstream: &Upstream, path: &str) {
    let asked = until(LIMIT, || (upstream.gets(path) > 0).then_some(()));
    assert!(asked.is_some(), "{path} was not fetched: {:?}", upstream.requests());
}

#[test]
fn one_pom_brings_what_is_asked_for_next_and_nothing_twice() {
    let upstream = upstream();
    let node = Node::start("read-ahead", &["--no-builder", "--upstream", &upstream.url()]);
    node.artifact(APP).expect(200);
    for path in ["org/acme/parent/7/parent-7.pom", "org/acme/lib/1.0/lib-1.0.pom", LIB_JAR, DEEP_JAR] {
        asked(&upstream, path);
    }
    // The same file as if it had been asked for, and from here.
    assert_eq!(node.artifact(LIB_JAR).expect(200).body, b"the bytes of lib");
    assert_eq!(node.artifact("org/acme/app/1.0/app-1.0.jar").expect(200).body, b"the bytes of app");
    upstream.remove(DEEP_JAR);
    let deep =
        until(LIMIT, || Some(node.artifact(DEEP_JAR)).filter(|answer| answer.status == 200)).expect("it is here");
    assert_eq!(deep.body, b"the bytes of deep");
    assert!(deep.header("x-checksum-sha1").is_some() && deep.header("x-pyrsia-provenance") == Some("unverified"));
    for path in [APP, "org/acme/parent/7/parent-7.pom", "org/acme/lib/1.0/lib-1.0.pom", LIB_JAR, DEEP_JAR] {
        assert_eq!(upstream.gets(path), 1, "{path}");
    }
    assert!(!upstream.requests().iter().any(|(_, path)| path.contains("/other/")));
}

#[test]
fn a_guess_that_fails_is_no_fault_of_the_clients() {
    let upstream = upstream();
    // What it says of itself is not what it sends.
    upstream.behave(LIB_JAR, Behaviour::FlipBit { at: 0 });
    upstream.put("org/acme/deep/3.0/deep-3.0.pom", *b"<project><!DOCTYPE x>");
    upstream.remove("org/acme/parent/7/parent-7.pom");
    let app = format!("<dependencies>{}{}</dependencies>", dependency("lib", "1.0"), dependency("deep", "3.0"));
    upstream.put(APP, pom("app", "1.0", &app));
    let node = Node::start("read-ahead-fails", &["--no-builder", "--upstream", &upstream.url()]);
    node.artifact(APP).expect(200);
    asked(&upstream, LIB_JAR);
    asked(&upstream, DEEP_JAR);
    // Never a wrong byte, and as soon as upstream is in order, the right ones.
    assert_ne!(node.artifact(LIB_JAR).status, 200);
    upstream.mend(LIB_JAR);
    assert_eq!(node.artifact(LIB_JAR).expect(200).body, b"the bytes of lib");
    assert_eq!(node.artifact(DEEP_JAR).expect(200).body, b"the bytes of deep");
}

#[test]
fn nothing_is_fetched_that_would_not_be_handed_out_or_when_switched_off() {
    for (name, config) in [
        ("off", "[read_ahead]\nenabled = false\n"),
        ("withheld", "[policy.groups]\n\"org.acme.*\" = \"verified\"\n"),
        ("excluded", "[[upstreams]]\nid = \"central\"\nexclude = [\"org.acme.*\"]\n"),
    ] {
        let upstream = upstream();
        upstream.put_release("org.free", "tool", "1.0", *b"a tool");
        let tool = "org/free/tool/1.0/tool-1.0.pom";
        let needs = format!("<dependencies>{}</dependencies>", dependency("lib", "1.0"));
        upstream.put(tool, pom("tool", "1.0", &needs).replacen("org.acme", "org.free", 1));
        let folder = places::scratch("read-ahead-config");
        let file = folder.path().join("config.toml");
        std::fs::write(&file, config).expect("a written file");
        let file = file.to_string_lossy().into_owned();
        let arguments = ["--no-builder", "--upstream", &upstream.url(), "--config", &file].map(str::to_owned);
        let node = Node::start(&format!("read-ahead-{name}"), &arguments);
        node.artifact(tool).expect(200);
        // Its own JAR is fetched ahead where anything is; so by then the rest was thought about.
        match name {
            "off" => std::thread::sleep(Duration::from_millis(500)),
            _ => asked(&upstream, "org/free/tool/1.0/tool-1.0.jar"),
        }
        let fetched = upstream.requests();
        assert!(!fetched.iter().any(|(_, path)| path.contains("org/acme/")), "{name}: {fetched:?}");
    }
}
