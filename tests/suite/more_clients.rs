//! Further unmodified clients with empty caches: what they keep is byte for byte what they get without the node.
//!
//! All of them ask one node in front of Maven Central, as Maven finds it on this machine, and of a small repository whose
//! every file is known. Files of Central are compared with a download that goes to Central itself.

mod mavens;
mod others;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use pyrsia_digest::Sha256;
use pyrsia_tests::clients::caches::Files;
use pyrsia_tests::direct::{self, Direct};
use pyrsia_tests::node::Node;
use pyrsia_tests::process::Finished;
use pyrsia_tests::upstream::{Behaviour, Upstream};
use pyrsia_tests::{http, places};

use crate::fixture::{self, Shared};

/// The group of the small repository, as a folder.
const OWN: &str = "org/pyrsia/more";
/// How soon a client has to be told that something is nowhere. It takes seconds; a client that tries again takes minutes.
const AT_ONCE: Duration = Duration::from_secs(60);

/// The node and what is behind it.
struct World {
    own: Upstream,
    node: Node,
    direct: Direct,
}

fn world() -> &'static World {
    static WORLD: Shared<World> = Shared::new();
    WORLD.get(|| {
        let own = own_repository();
        let config = places::run_folder().join("more-clients.toml");
        let text = format!(
            "[tls]\nlisten = \"127.0.0.1:0\"\nnames = [\"maven.example\"]\n\
             [policy.groups]\n\"org.pyrsia.more.withheld.*\" = \"verified\"\n\
             [[upstreams]]\nid = \"own\"\nurl = \"{}\"\ninclude = [\"org.pyrsia.more.*\"]\n",
            own.url()
        );
        std::fs::write(&config, text).expect("a written configuration");
        let central = fixture::central();
        let arguments = ["--no-builder", "--upstream", &central.maven2(), "--config", &config.to_string_lossy()];
        World { node: Node::start("more-clients", &arguments), direct: Direct::central_of(central), own }
    })
}

impl World {
    fn url(&self) -> String {
        self.node.maven2()
    }

    fn certificate(&self) -> PathBuf {
        self.node.data().join("tls/certificate.pem")
    }

    /// Fails the test unless these files of a client's cache are what is served without the node, and all of `expected`
    /// are among them.
    #[track_caller]
    fn same(&self, files: &Files, expected: &[&str]) {
        let missing: Vec<_> = expected.iter().filter(|path| !files.contains_key(**path)).collect();
        assert!(missing.is_empty(), "{missing:?} are not among {:?}", files.keys().collect::<Vec<_>>());
        let (own, central): (Vec<&str>, Vec<&str>) =
            files.keys().map(String::as_str).partition(|path| path.starts_with(OWN));
        let mut served: BTreeMap<String, Sha256> = self.direct.digests(&central);
        for path in own {
            let body = http::get(&format!("{}{path}", self.own.url())).expect(200).body;
            served.insert(path.to_owned(), Sha256::of(&body));
        }
        direct::compare(files, &served);
    }
}

/// An archive without files, which compilers open like any other: its end alone, with a comment.
fn archive(comment: &str) -> Vec<u8> {
    let length = u16::try_from(comment.len()).expect("a short comment").to_le_bytes();
    [&b"PK\x05\x06"[..], &[0; 16], &length, comment.as_bytes()].concat()
}

/// Releases 1.0, 1.1 and 2.0 of `dynamic`, a snapshot, a parent with a parent, a POM that arrives damaged, a JAR without a
/// POM, and something that the node's policy withholds.
fn own_repository() -> Upstream {
    let own = Upstream::start();
    for version in ["1.0", "1.1", "2.0"] {
        own.put_release("org.pyrsia.more", "dynamic", version, archive(version));
    }
    own.put(&format!("{OWN}/parent/1/parent-1.pom"), parent("parent", "grandparent"));
    own.put(&format!("{OWN}/grandparent/1/grandparent-1.pom"), parent("grandparent", ""));
    own.put(&format!("{OWN}/damaged/1/damaged-1.pom"), parent("damaged", ""));
    own.behave(&format!("{OWN}/damaged/1/damaged-1.pom"), Behaviour::FlipBit { at: 0 });
    own.put(&format!("{OWN}/bare/1/bare-1.jar"), archive("no POM"));
    own.put(
        &format!("{OWN}/dynamic/maven-metadata.xml"),
        "<metadata><groupId>org.pyrsia.more</groupId><artifactId>dynamic</artifactId><versioning><latest>2.0</latest>\
         <release>2.0</release><versions><version>1.0</version><version>1.1</version><version>2.0</version></versions>\
         <lastUpdated>20260101000000</lastUpdated></versioning></metadata>",
    );
    publish_snapshot(&own, 1);
    own.put_release("org.pyrsia.more.withheld", "parent", "1", *b"nobody rebuilt this");
    own
}

/// The POM of a parent, with or without one of its own.
fn parent(artifact: &str, above: &str) -> String {
    let coordinates =
        |artifact| format!("<groupId>org.pyrsia.more</groupId><artifactId>{artifact}</artifactId><version>1</version>");
    let above = match above {
        "" => String::new(),
        artifact => format!("<parent>{}</parent>", coordinates(artifact)),
    };
    let own = coordinates(artifact);
    format!("<project><modelVersion>4.0.0</modelVersion>{above}{own}<packaging>pom</packaging></project>")
}

/// Where a file of a build of `changing` 1.0-SNAPSHOT lies; `rest` is what follows the version in its name.
fn snapshot(build: u32, rest: &str) -> String {
    format!("{OWN}/changing/1.0-SNAPSHOT/changing-1.0-20260101.00000{build}-{build}{rest}")
}

/// Puts a build of `changing` 1.0-SNAPSHOT as a deployment would: files under their timestamp, then the metadata.
fn publish_snapshot(to: &Upstream, build: u32) {
    to.put(&snapshot(build, ".jar"), archive(&format!("build {build}")));
    to.put(&snapshot(build, "-extra.zip"), archive(&format!("more of build {build}")));
    to.put(
        &snapshot(build, ".pom"),
        "<project><modelVersion>4.0.0</modelVersion><groupId>org.pyrsia.more</groupId><artifactId>changing</artifactId>\
         <version>1.0-SNAPSHOT</version></project>",
    );
    let file = |classifier: &str, extension: &str| {
        format!(
            "<snapshotVersion>{classifier}<extension>{extension}</extension>\
             <value>1.0-20260101.00000{build}-{build}</value><updated>2026010100000{build}</updated></snapshotVersion>"
        )
    };
    let files = file("", "jar") + &file("", "pom") + &file("<classifier>extra</classifier>", "zip");
    to.put(
        &format!("{OWN}/changing/1.0-SNAPSHOT/maven-metadata.xml"),
        format!(
            "<metadata modelVersion=\"1.1.0\"><groupId>org.pyrsia.more</groupId><artifactId>changing</artifactId>\
             <version>1.0-SNAPSHOT</version><versioning><snapshot><timestamp>20260101.00000{build}</timestamp>\
             <buildNumber>{build}</buildNumber></snapshot><lastUpdated>2026010100000{build}</lastUpdated>\
             <snapshotVersions>{files}</snapshotVersions></versioning></metadata>"
        ),
    );
}

/// Fails the test unless the client ended with an error that names what is nowhere, at once.
#[track_caller]
fn missing_at_once(done: &Finished, name: &str) {
    assert!(!matches!(done.code, 0 | -2), "{}", done.report());
    assert!(done.output().contains(name), "{}", done.report());
    assert!(done.took < AT_ONCE, "{}", done.report());
}
