//! What is withheld, and how a client is told: 403 with the reason, never 404, never other bytes.

use pyrsia_tests::http::Response;
use pyrsia_tests::node::Node;
use pyrsia_tests::places;
use pyrsia_tests::upstream::Upstream;

const JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";

fn upstream() -> Upstream {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "lib", "1.0", *b"a jar");
    upstream.put(
        "org/acme/lib/maven-metadata.xml",
        "<metadata><groupId>org.acme</groupId><artifactId>lib</artifactId><versioning><release>1.0</release>\
         <versions><version>1.0</version></versions><lastUpdated>20260101000000</lastUpdated></versioning></metadata>",
    );
    upstream
}

#[track_caller]
fn withheld(answer: Response, reason: &str) {
    let answer = answer.expect(403);
    let kind = answer.header("content-type").unwrap_or_default();
    assert!(kind.starts_with("application/problem+json"), "{kind}");
    let problem = answer.json();
    assert_eq!((&problem["status"], &problem["reason"]), (&403.into(), &reason.into()), "{problem:#}");
    for field in ["type", "title", "detail", "next"] {
        assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "no {field} in {problem:#}");
    }
    assert_eq!(answer.header("x-checksum-sha1"), None, "nothing of the withheld file is given away");
}

#[test]
fn the_policy_verified_withholds_what_nobody_rebuilt() {
    let upstream = upstream();
    let folder = places::scratch("verified-config");
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "[policy.groups]\n\"org.acme.*\" = \"verified\"\n").expect("a written file");
    let arguments = ["--no-builder", "--upstream", &upstream.url(), "--config", &config.to_string_lossy()];
    let node = Node::start("verified", &arguments);
    withheld(node.artifact(JAR), "unverified");
    withheld(node.artifact(&format!("{JAR}.sha1")), "unverified");
    node.artifact("org/acme/lib/1.0/lib-1.0-sources.jar").expect(404);
    let metadata = node.artifact("org/acme/lib/maven-metadata.xml");
    assert!(!metadata.text().contains("1.0</"), "only versions that can be served are listed: {}", metadata.text());
    // Another group is as ever.
    upstream.put_release("org.other", "lib", "1.0", *b"b jar");
    node.artifact("org/other/lib/1.0/lib-1.0.jar").expect(200);
}

#[test]
fn a_blocked_release_is_withheld_also_from_the_store() {
    let upstream = upstream();
    let node = Node::start("blocked", &["--no-builder", "--upstream", &upstream.url()]);
    node.artifact(JAR).expect(200);
    node.cli(&["block", "org.acme:lib:1.0", "--reason", "it steals"]).expect(0);
    withheld(node.artifact(JAR), "blocked");
    withheld(node.artifact(&format!("{JAR}.sha1")), "blocked");
    let metadata = node.artifact("org/acme/lib/maven-metadata.xml");
    assert!(!metadata.text().contains("<version>1.0</version>"), "{}", metadata.text());
    let none = node.folder().join("none").to_string_lossy().into_owned();
    node.cli(&["verify", "--maven-repo", &none, "org.acme:lib:1.0"]).expect(15);
}

#[test]
fn a_native_group_is_never_asked_upstream() {
    let upstream = upstream();
    let node = Node::start("native", &["--no-builder", "--upstream", &upstream.url()]);
    node.cli(&["namespace", "grant", "org.acme", "--repository", "https://git.example/acme/lib.git"]).expect(0);
    node.artifact(JAR).expect(404);
    node.artifact("org/acme/lib/maven-metadata.xml").expect(404);
    node.artifact("org/acme/deeper/thing/1/thing-1.pom").expect(404);
    let asked: Vec<_> = upstream.requests().into_iter().filter(|(_, path)| path.starts_with("org/acme")).collect();
    assert_eq!(asked, [], "whoever registers the group upstream must not be believed");
}

#[test]
fn changed_bytes_of_a_release_are_set_aside() {
    let upstream = upstream();
    let mut node = Node::start("quarantine", &["--no-builder", "--upstream", &upstream.url()]);
    let first = node.artifact(JAR).expect(200).body;
    upstream.put(JAR, *b"other bytes");
    assert_eq!(node.stop(), 0);
    // The stored bytes are gone, what they were is not forgotten.
    std::fs::remove_dir_all(node.data().join("blobs/sha256")).expect("the blobs");
    node.start_again();
    let answer = node.artifact(JAR);
    assert!(answer.status != 200 || answer.body == first, "other bytes under the same name: {}", answer.text());
    upstream.put(JAR, first.clone());
    // A running node does not ask again at once for what had changed.
    assert_eq!(node.stop(), 0);
    node.start_again();
    assert_eq!(node.artifact(JAR).expect(200).body, first);
}
