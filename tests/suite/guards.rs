//! The local API's guards: a web page that the user happens to visit must not reach the node.

use std::os::unix::fs::PermissionsExt;

use pyrsia_tests::http;
use pyrsia_tests::node::{self, Node};
use pyrsia_tests::process;

fn quiet(name: &str) -> Node {
    Node::start(name, &["--no-builder", "--upstream", "none"])
}

fn token(node: &Node) -> String {
    let text = std::fs::read_to_string(node.data().join("keys/api.token")).expect("the token's file");
    text.trim().to_owned()
}

const REQUEST: &[u8] = br#"{"coordinates":["org.acme:lib:1.0"]}"#;

fn post(node: &Node, headers: &[(&str, &str)]) -> http::Response {
    let mut all = vec![("Content-Type", "application/json")];
    all.extend_from_slice(headers);
    http::send(node.url(), "POST", "/api/v1/builds", &all, REQUEST).expect("an answer")
}

#[test]
fn foreign_host_names_are_refused() {
    let node = quiet("host");
    let port = node.url().rsplit(':').next().expect("a port");
    for host in ["attacker.example", "attacker.example:7888", "169.254.1.1", ""] {
        for target in ["/api/v1/status", "/maven2/org/acme/lib/1.0/lib-1.0.jar", "/log/checkpoint", "/"] {
            let answer = http::send(node.url(), "GET", target, &[("Host", host)], b"").expect("an answer");
            assert!(matches!(answer.status, 400 | 403 | 421), "{host:?} {target}: {}", answer.status);
        }
    }
    for host in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
        http::send(node.url(), "GET", "/api/v1/status", &[("Host", &host)], b"").expect("an answer").expect(200);
    }
}

#[test]
fn other_web_pages_are_refused() {
    let node = quiet("origin");
    let token = format!("Bearer {}", token(&node));
    for header in [
        ("Origin", "https://attacker.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let answer = post(&node, &[("Authorization", &token), header]);
        assert_eq!(answer.status, 403, "{header:?}: {}", answer.text());
        assert!(answer.header("access-control-allow-origin").is_none());
    }
    let read = http::send(node.url(), "GET", "/api/v1/status", &[("Origin", "https://attacker.example")], b"");
    let read = read.expect("an answer");
    assert!(read.header("access-control-allow-origin").is_none(), "no CORS, ever");
    let preflight = http::send(
        node.url(),
        "OPTIONS",
        "/api/v1/builds",
        &[("Origin", "https://attacker.example"), ("Access-Control-Request-Method", "POST")],
        b"",
    )
    .expect("an answer");
    assert!(preflight.status >= 400 && preflight.header("access-control-allow-origin").is_none());
}

#[test]
fn changes_need_the_token() {
    let node = quiet("token");
    for headers in [&[][..], &[("Authorization", "Bearer 0000")], &[("Authorization", "Bearer ")]] {
        let answer = post(&node, headers);
        assert!(matches!(answer.status, 401 | 403), "{headers:?}: {}: {}", answer.status, answer.text());
        assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/problem+json")));
    }
    let token = format!("Bearer {}", token(&node));
    let answer = post(&node, &[("Authorization", &token)]);
    assert!(!matches!(answer.status, 401 | 403), "with the token: {}: {}", answer.status, answer.text());
}

#[test]
fn the_token_and_the_keys_are_the_owners() {
    let node = quiet("keys");
    let keys = node.data().join("keys");
    let mut seen = 0;
    for entry in std::fs::read_dir(&keys).expect("the folder of keys").flatten() {
        let mode = entry.metadata().expect("its mode").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
        seen += 1;
    }
    assert!(seen >= 2, "keys and token");
}

#[test]
fn pages_cannot_run_what_they_show() {
    let node = quiet("pages");
    let page = http::get(&format!("{}/", node.url())).expect(200);
    assert!(page.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
    let policy = page.header("content-security-policy").expect("a policy");
    assert!(!policy.contains("unsafe-inline") || !policy.contains("script-src"), "{policy}");
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
}

#[test]
fn the_world_is_not_listened_to() {
    let folder = pyrsia_tests::places::scratch("beyond");
    let done = process::run(
        node::program().arg("--data-dir").arg(folder.path()).args([
            "node",
            "--listen",
            "0.0.0.0:0",
            "--upstream",
            "none",
        ]),
        std::time::Duration::from_secs(30),
    );
    assert!(matches!(done.code, 1 | 2), "{}", done.report());
    assert!(done.stderr.contains("0.0.0.0"), "{}", done.report());
}
