//! A node in front of one upstream: absence, faults, single flight, and that nothing is seen before it is verified.

use std::time::Duration;

use pyrsia_digest::{Md5, Sha1, Sha256, Sha512};
use pyrsia_tests::http;
use pyrsia_tests::node::Node;
use pyrsia_tests::upstream::{Behaviour, MODIFIED, Upstream};

const JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";

/// A node in front of an upstream with `org.acme:lib:1.0`.
fn mirror(name: &str) -> (Upstream, Node) {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "lib", "1.0", *b"these are the bytes of a jar");
    let node = Node::start(name, &["--no-builder", "--upstream", &upstream.url()]);
    (upstream, node)
}

#[test]
fn a_file_comes_with_every_checksum_and_says_what_is_known_of_it() {
    let (upstream, node) = mirror("file");
    let answer = node.artifact(JAR).expect(200);
    let bytes = b"these are the bytes of a jar";
    assert_eq!(answer.body, bytes);
    let digests = [
        ("sha1", Sha1::of(bytes).to_string()),
        ("md5", Md5::of(bytes).to_string()),
        ("sha256", Sha256::of(bytes).to_string()),
        ("sha512", Sha512::of(bytes).to_string()),
    ];
    let head = http::head(&format!("{}{JAR}", node.maven2())).expect(200);
    assert!(head.body.is_empty());
    for (name, digest) in &digests {
        let header = format!("x-checksum-{name}");
        assert_eq!(answer.header(&header), Some(digest.as_str()), "{header} of GET");
        assert_eq!(head.header(&header), Some(digest.as_str()), "{header} of HEAD");
        assert_eq!(node.artifact(&format!("{JAR}.{name}")).expect(200).text().trim(), digest, ".{name}");
    }
    assert_eq!(head.header("content-length"), Some("28"));
    assert_eq!(head.header("last-modified"), Some(MODIFIED), "upstream's own time: a mirror makes nothing younger");
    assert_eq!(answer.header("x-pyrsia-provenance"), Some("unverified"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    assert!(answer.header("content-security-policy").is_some_and(|policy| policy.contains("sandbox")));
    let tag = answer.header("etag").expect("an ETag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "a strong quoted ETag: {tag}");
    let target = format!("/maven2/{JAR}");
    let again = http::send(node.url(), "GET", &target, &[("If-None-Match", &tag)], b"").expect("an answer");
    assert_eq!(again.status, 304);
    let part = http::send(node.url(), "GET", &target, &[("Range", "bytes=6-8")], b"").expect("an answer").expect(206);
    assert_eq!(part.body, b"are");
    assert_eq!(upstream.gets(JAR), 1, "one request upstream for all of this");
}

#[test]
fn only_what_is_absent_is_absent() {
    let (upstream, node) = mirror("absent");
    node.artifact("org/acme/lib/1.0/lib-1.0-sources.jar").expect(404);
    node.artifact("org/acme/lib/9.9/lib-9.9.pom").expect(404);
    // A server in trouble is not a server without the file: 404 would send clients elsewhere, or break their caches.
    upstream.put_release("org.acme", "lib", "2.0", *b"two");
    for code in [500, 503, 429] {
        let path = "org/acme/lib/2.0/lib-2.0.jar";
        upstream.behave(path, Behaviour::Status { code, retry_after: None, times: 1000 });
        let answer = node.artifact(path);
        assert!(answer.status >= 500, "upstream says {code}, the node says {}", answer.status);
        upstream.mend(path);
    }
    assert_eq!(node.artifact("org/acme/lib/2.0/lib-2.0.jar").expect(200).body, b"two");
}

#[test]
fn a_busy_upstream_is_waited_for() {
    let (upstream, node) = mirror("busy");
    upstream.behave(JAR, Behaviour::Status { code: 429, retry_after: Some(1), times: 1 });
    node.artifact(JAR).expect(200);
    assert_eq!(upstream.gets(JAR), 2);
}

#[test]
fn an_upstream_that_is_gone_is_an_error_and_what_is_stored_goes_on() {
    let (upstream, node) = mirror("gone");
    node.artifact(JAR).expect(200);
    drop(upstream);
    let answer = node.artifact("org/acme/lib/1.0/lib-1.0.pom");
    assert!(answer.status >= 500, "{}", answer.status);
    node.artifact(JAR).expect(200);
}

#[test]
fn twenty_clients_make_one_request() {
    let (upstream, node) = mirror("flight");
    upstream.behave(JAR, Behaviour::Delay(Duration::from_millis(500)));
    let url = format!("{}{JAR}", node.maven2());
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let url = url.clone();
            std::thread::spawn(move || http::get(&url))
        })
        .collect();
    for client in clients {
        let answer = client.join().expect("a client does not panic").expect(200);
        assert_eq!(answer.body, b"these are the bytes of a jar");
    }
    assert_eq!(upstream.gets(JAR), 1);
}

#[test]
fn bytes_that_fail_their_checksum_are_never_seen() {
    let (upstream, node) = mirror("corrupt");
    for behaviour in [Behaviour::FlipBit { at: 7 }, Behaviour::Truncate { keep: 5 }] {
        upstream.behave(JAR, behaviour.clone());
        let answer = http::send(node.url(), "GET", &format!("/maven2/{JAR}"), &[], b"");
        // Headers may be out before the last byte is in; then the answer has to break off.
        if let Ok(answer) = answer {
            assert!(answer.status >= 500, "{behaviour:?}: {}: {}", answer.status, answer.text());
        }
        let sum = node.artifact(&format!("{JAR}.sha1"));
        assert!(sum.status >= 500, "{behaviour:?}: the checksum of bytes that nobody may see: {}", sum.status);
    }
    upstream.mend(JAR);
    assert_eq!(node.artifact(JAR).expect(200).body, b"these are the bytes of a jar");
}

#[test]
fn a_release_does_not_change_under_its_name() {
    let (upstream, mut node) = mirror("changed");
    let first = node.artifact(JAR).expect(200).body;
    upstream.put(JAR, *b"someone else's bytes for the jar");
    assert_eq!(node.artifact(JAR).expect(200).body, first);
    assert_eq!(node.stop(), 0);
    node.start_again();
    assert_eq!(node.artifact(JAR).expect(200).body, first, "also after a restart");
}

#[test]
fn metadata_and_its_checksum_belong_together() {
    let (upstream, node) = mirror("metadata");
    let path = "org/acme/lib/maven-metadata.xml";
    upstream.put(
        path,
        "<metadata><groupId>org.acme</groupId><artifactId>lib</artifactId><versioning><release>1.0</release>\
         <versions><version>1.0</version></versions><lastUpdated>20260101000000</lastUpdated></versioning></metadata>",
    );
    let metadata = node.artifact(path).expect(200);
    assert!(metadata.text().contains("<version>1.0</version>"), "{}", metadata.text());
    let sum = node.artifact(&format!("{path}.sha1")).expect(200).text();
    assert_eq!(sum.trim(), Sha1::of(&metadata.body).to_string());
}

#[test]
fn names_that_lead_out_of_the_repository_lead_nowhere() {
    let (upstream, node) = mirror("traversal");
    for target in [
        "/maven2/%2F%2F%2F..%2F..%2F..%2F..%2Fetc%2Fpasswd",
        "/maven2/../../../../etc/passwd",
        "/maven2/org/acme/%2e%2e/%2e%2e/%2e%2e/ledger.db",
        "/maven2/..%5c..%5cindex.db",
        "/maven2/org//acme/lib-1.0.jar",
        "/maven2/org/acme/lib%00.jar",
        "/maven2/./org/acme/lib/1.0/lib-1.0.jar",
    ] {
        let answer = http::send(node.url(), "GET", target, &[], b"").expect("an answer");
        assert!(matches!(answer.status, 400 | 404), "{target}: {}: {}", answer.status, answer.text());
    }
    let asked = upstream.requests();
    assert!(asked.is_empty(), "the upstream was asked for {asked:?}");
}

#[test]
fn the_store_survives_and_the_index_can_be_lost() {
    let (upstream, mut node) = mirror("index");
    let first = node.artifact(JAR).expect(200).body;
    assert_eq!(node.stop(), 0);
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(node.data().join(name));
    }
    node.start_again();
    assert_eq!(node.artifact(JAR).expect(200).body, first);
    drop(upstream);
}

#[test]
fn a_mirror_says_that_it_does_not_rebuild() {
    let (_upstream, node) = mirror("mirror-only");
    let status = node.cli(&["status"]).expect(0);
    assert!(
        status.output().contains("no Byzantine tolerance") || status.output().contains("1 of 1"),
        "{}",
        status.report()
    );
    let json = node.cli(&["status", "--json"]).expect(0).json();
    assert_eq!(json["network"]["authorities"], 1);
    assert_eq!(json["network"]["tolerates"], 0);
}
