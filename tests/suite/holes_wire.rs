//! Bytes that no good client sends: requests inside requests, heads without an end, methods that nobody needs.

use std::time::{Duration, Instant};

use pyrsia_tests::http::{self, Response};
use pyrsia_tests::node::Node;

use crate::holes::mirror;

const JAR: &str = "/maven2/org/acme/lib/1.0/lib-1.0.jar";
/// Time for an answer to what is refused, and for the connection to close after it.
const AT_ONCE: Duration = Duration::from_secs(5);

#[track_caller]
fn exchange(node: &Node, what: &str, bytes: &[u8]) -> Vec<Response> {
    http::exchange(node.url(), bytes, AT_ONCE).unwrap_or_else(|error| panic!("{what}: {error}"))
}

fn statuses(answers: &[Response]) -> Vec<u16> {
    answers.iter().map(|answer| answer.status).collect()
}

/// What becomes of a request that can be read in two ways.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// 400, and the connection closes.
    Refused,
    /// It is answered once, and the connection closes: nobody has to agree on where it ends.
    Last,
    /// It is answered once; all of its body is its body, and what follows is the next request.
    Whole,
}

/// The request that is hidden in another one's body. An upstream that is asked for its path has seen it.
fn hidden(host: &str, at: usize) -> String {
    format!("GET /maven2/org/evil/s{at}/1/s{at}-1.jar HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

/// Requests with `{S}` for the hidden one, `{N}` and `{X}` for its length in decimal and hexadecimal digits, `{M}` for its
/// length and that of an empty chunked body. Each begins as GET or POST of a file that is there, with its Host.
const AMBIGUOUS: [(&str, Fate); 42] = [
    // Two lengths.
    ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{S}", Fate::Last),
    ("Content-Length: {M}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{S}", Fate::Last),
    ("Transfer-Encoding: chunked\r\nContent-Length: {M}\r\n\r\n0\r\n\r\n{S}", Fate::Last),
    ("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n{X}\r\n{S}\r\n0\r\n\r\n", Fate::Last),
    ("Content-Length: 0\r\nContent-Length: {N}\r\n\r\n{S}", Fate::Refused),
    ("Content-Length: {N}\r\nContent-Length: 0\r\n\r\n{S}", Fate::Refused),
    ("Content-Length: {N}\r\nContent-Length: {N}\r\n\r\n{S}", Fate::Whole),
    ("Content-Length: {N}, {N}\r\n\r\n{S}", Fate::Refused),
    ("Content-Length: 0, {N}\r\n\r\n{S}", Fate::Refused),
    // Numbers that some read and some do not.
    ("Content-Length: +{N}\r\n\r\n{S}", Fate::Refused),
    ("Content-Length: -1\r\n\r\n{S}", Fate::Refused),
    ("Content-Length: 0x{X}\r\n\r\n{S}", Fate::Refused),
    ("Content-Length: {N} 0\r\n\r\n{S}", Fate::Refused),
    ("Content-Length: {N}.0\r\n\r\n{S}", Fate::Refused),
    ("Content-Length: 18446744073709551617\r\n\r\n{S}", Fate::Refused),
    ("Content-Length:\r\n\r\n{S}", Fate::Refused),
    ("Content-Length : {N}\r\n\r\n{S}", Fate::Refused),
    ("Content-Length\t: {N}\r\n\r\n{S}", Fate::Refused),
    // Names and values for `chunked` that some read and some do not.
    ("Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{S}", Fate::Refused),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n{S}", Fate::Refused),
    ("Transfer-Encoding: identity, chunked\r\n\r\n{X}\r\n{S}\r\n0\r\n\r\n", Fate::Whole),
    ("Transfer-Encoding:  chunked\r\n\r\n{X}\r\n{S}\r\n0\r\n\r\n", Fate::Whole),
    ("Transfer-Encoding:\tchunked\t\r\n\r\n{X}\r\n{S}\r\n0\r\n\r\n", Fate::Whole),
    ("Transfer-Encoding: CHUNKED\r\n\r\n{X}\r\n{S}\r\n0\r\n\r\n", Fate::Whole),
    ("Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n{S}", Fate::Refused),
    ("Transfer-Encoding: \x0cchunked\r\n\r\n0\r\n\r\n{S}", Fate::Refused),
    ("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{S}", Fate::Refused),
    ("Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n{S}", Fate::Refused),
    ("Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n{S}", Fate::Refused),
    ("Transfer-Encoding:\r\n\r\n0\r\n\r\n{S}", Fate::Refused),
    ("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{S}", Fate::Refused),
    ("Content-Length: {N}\r\nTransfer-Encoding : chunked\r\n\r\n{S}", Fate::Refused),
    // Lines that go on, and lines that end in another way.
    ("Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n{S}", Fate::Refused),
    ("X-A: b\r\n\tTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{S}", Fate::Refused),
    (" Content-Length: {N}\r\n\r\n{S}", Fate::Refused),
    ("X-A: b\rContent-Length: {N}\r\n\r\n{S}", Fate::Refused),
    // RFC 9112, section 2.2, lets a line end in LF alone; then it does so for the length too.
    ("X-A: b\nContent-Length: {N}\r\n\r\n{S}", Fate::Whole),
    // Chunks.
    ("Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n{S}", Fate::Last),
    ("Transfer-Encoding: chunked\r\n\r\n5;a\nhello\r\n0\r\n\r\n{S}", Fate::Last),
    ("Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n{S}", Fate::Last),
    ("Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\nhello\r\n0\r\n\r\n{S}", Fate::Last),
    ("Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n{S}", Fate::Last),
];

#[test]
fn a_request_inside_a_request_is_never_answered() {
    let (upstream, node) = mirror("holes-smuggling");
    let host = node.url().trim_start_matches("http://").to_owned();
    // With this a connection that goes on is closed, so that nobody has to wait for silence.
    let end = format!("GET {JAR} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut at = 0;
    for method in ["GET", "POST", "PUT", "OPTIONS"] {
        for (template, fate) in AMBIGUOUS {
            at += 1;
            let inner = hidden(&host, at);
            let (length, framed) = (inner.len(), inner.len() + 5);
            let rest = template
                .replace("{N}", &length.to_string())
                .replace("{X}", &format!("{length:x}"))
                .replace("{M}", &framed.to_string())
                .replace("{S}", &inner);
            let request = format!("{method} {JAR} HTTP/1.1\r\nHost: {host}\r\n{rest}{end}");
            let what = format!("{method} {template:?}");
            let answers = exchange(&node, &what, request.as_bytes());
            let own = if method == "GET" { 200 } else { 405 };
            let expected = match fate {
                Fate::Refused => vec![400],
                Fate::Last => vec![own],
                Fate::Whole => vec![own, 200],
            };
            // A connection may close earlier than it has to.
            let seen = statuses(&answers);
            assert!(seen == expected || (fate != Fate::Refused && seen == [400]) || seen == [own], "{what}: {seen:?}");
            assert!(fate != Fate::Refused || seen == [400], "{what}: {seen:?}");
        }
    }
    // By its version: HTTP/1.0 knows no chunks, and 0.9 no heads.
    for request in [
        format!(
            "POST {JAR} HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{}",
            hidden(&host, 0)
        ),
        format!("GET {JAR}\r\n\r\n{}", hidden(&host, 0)),
        format!("GET {JAR} HTTP/1.9\r\nHost: {host}\r\n\r\n{}", hidden(&host, 0)),
        format!("GET {JAR} HTTP/1.1 \r\nHost: {host}\r\n\r\n{}", hidden(&host, 0)),
        format!("GET  {JAR} HTTP/1.1\r\nHost: {host}\r\n\r\n{}", hidden(&host, 0)),
    ] {
        assert_eq!(statuses(&exchange(&node, &request, request.as_bytes())), [400], "{request:?}");
    }
    let seen: Vec<_> = upstream.requests().into_iter().filter(|(_, path)| path.contains("evil")).collect();
    assert!(seen.is_empty(), "these were taken for requests: {seen:?}");
    // The same bytes after an honest request are one: this test would see it.
    let honest = format!("GET {JAR} HTTP/1.1\r\nHost: {host}\r\n\r\n{}{end}", hidden(&host, 0));
    assert_eq!(statuses(&exchange(&node, "honest", honest.as_bytes())), [200, 404, 200]);
    assert_eq!(upstream.gets("org/evil/s0/1/s0-1.jar"), 1);
}

#[test]
fn a_request_for_two_hosts_is_for_none() {
    let (_upstream, node) = mirror("holes-hosts");
    let host = node.url().trim_start_matches("http://").to_owned();
    for head in [
        format!("GET {JAR} HTTP/1.1\r\nHost: {host}\r\nHost: {host}\r\n"),
        format!("GET {JAR} HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n"),
        format!("GET {JAR} HTTP/1.1\r\n"),
        format!("GET {JAR} HTTP/1.1\r\nHost: {host}, evil.example\r\n"),
        format!("GET {JAR} HTTP/1.1\r\nHost: {host}@evil.example\r\n"),
        format!("GET {JAR} HTTP/1.1\r\nHost: evil.example#{host}\r\n"),
        format!("GET http://evil.example{JAR} HTTP/1.1\r\nHost: {host}\r\n"),
        format!("GET http://{host}{JAR} HTTP/1.1\r\nHost: evil.example\r\n"),
        format!("GET http://{host}@evil.example{JAR} HTTP/1.1\r\nHost: {host}\r\n"),
    ] {
        let seen = statuses(&exchange(&node, &head, format!("{head}Connection: close\r\n\r\n").as_bytes()));
        assert!(matches!(seen[..], [400 | 421]), "{head:?}: {seen:?}");
    }
    // What a proxy says of the first client's request decides nothing.
    let forwarded =
        "X-Forwarded-Host: evil.example\r\nX-Original-URL: /api/v1/status\r\nX-Rewrite-URL: /api/v1/status\r\n";
    let head = format!("GET {JAR} HTTP/1.1\r\nHost: {host}\r\n{forwarded}Connection: close\r\n\r\n");
    let answers = exchange(&node, "forwarded", head.as_bytes());
    assert_eq!((statuses(&answers), answers[0].text()), (vec![200], "a jar".to_owned()));
}

#[test]
fn what_is_too_long_too_deep_or_no_text_is_refused_at_once() {
    let (upstream, node) = mirror("holes-limits");
    let host = node.url().trim_start_matches("http://").to_owned();
    let get = |path: &[u8], headers: &[u8]| {
        let host = format!("Host: {host}\r\nConnection: close\r\n");
        [b"GET /maven2/", path, b" HTTP/1.1\r\n", host.as_bytes(), headers, b"\r\n"].concat()
    };
    let many = |count: usize| (0..count).map(|at| format!("X-{at}: a\r\n")).collect::<String>().into_bytes();
    let long = |bytes: usize| [b"X-A: ", &*vec![b'a'; bytes], b"\r\n"].concat();
    let cookies = "Cookie: a=b\r\n".repeat(5000);
    for (what, request, allowed) in [
        ("a header of 300 KB", get(b"x", &long(300_000)), &[431][..]),
        ("a header of 10 MB", get(b"x", &long(10_000_000)), &[431]),
        ("a header without an end", get(b"x", &long(300_000)[..299_990]), &[431]),
        ("a name of 300 KB", get(b"x", &[&*vec![b'a'; 300_000], b": a\r\n"].concat()), &[431, 400]),
        ("200 headers", get(b"x", &many(200)), &[431]),
        ("50000 headers", get(b"x", &many(50_000)), &[431]),
        ("one header 5000 times", get(b"x", cookies.as_bytes()), &[431]),
        ("a path of 70 KB", get(&[b'a'; 70_000], b""), &[414, 431]),
        ("a path of 10 MB", get(&vec![b'a'; 10_000_000], b""), &[414, 431]),
        ("a method of 300 KB", [vec![b'A'; 300_000], get(b"x", b"")].concat(), &[400, 431]),
        ("empty lines without an end", b"\r\n".repeat(500_000), &[400, 431]),
        ("a path of 1025 bytes", get(&[b'a'; 1025], b""), &[400]),
        ("a path of 5000 folders", get(&b"a/".repeat(5000), b""), &[400]),
        ("a path of 2000 escaped letters", get(&b"%61".repeat(2000), b""), &[400]),
        ("NUL in a path", get(b"a\0b", b""), &[400]),
        ("NUL in a path, escaped", get(b"a%00b", b""), &[400]),
        ("NUL in a header", get(b"x", b"X-A: a\0b\r\n"), &[400]),
        ("NUL in a name", get(b"x", b"X\0A: b\r\n"), &[400]),
        ("a control byte in a path", get(b"a\x01b", b""), &[400]),
        ("a line in a path, escaped", get(b"a%0d%0aX-A:%20b", b""), &[400]),
        ("an escape character in a path", get(b"a%1b[2Jb", b""), &[400]),
        ("DEL in a path", get(b"a%7fb", b""), &[400]),
        ("a letter of C1 in a path", get(b"a%c2%85b", b""), &[400]),
        ("text that turns around", get(b"a%e2%80%aeraj.b", b""), &[400]),
        ("a dot in two bytes", get(b"%c0%ae%c0%ae/x", b""), &[400]),
        ("a slash in two bytes", get(b"a%c0%afb", b""), &[400]),
        ("a slash in four bytes", get(b"a%f0%80%80%afb", b""), &[400]),
        ("half of a pair", get(b"a%ed%a0%80b", b""), &[400]),
        ("beyond Unicode", get(b"a%f4%90%80%80b", b""), &[400]),
        ("half of a letter", get(b"a%c3", b""), &[400]),
        ("half of an escape", get(b"a%4", b""), &[400]),
        ("no escape", get(b"a%zzb", b""), &[400]),
        ("letters that are not escaped", get(b"a\xc0\xaeb", b""), &[400]),
        ("an endless range", get(b"x", b"Range: bytes=0-99999999999999999999999999999999\r\n"), &[404]),
        ("TLS", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", &[0u8; 300][..]].concat(), &[400]),
        ("noise", (0..=255).cycle().take(4096).collect(), &[400]),
    ] {
        let begun = Instant::now();
        let seen = statuses(&exchange(&node, what, &request));
        assert!(matches!(seen[..], [status] if allowed.contains(&status)), "{what}: {seen:?}, not {allowed:?}");
        assert!(begun.elapsed() < AT_ONCE, "{what} took {:?}", begun.elapsed());
    }
    for (method, path) in upstream.requests() {
        assert_eq!((method.as_str(), path.as_str()), ("GET", "x"), "nothing of it went on to upstream");
    }
    // As long as it may be, and as deep: it is looked for.
    let deep = "a/".repeat(500);
    node.artifact(&format!("{deep}x.jar")).expect(404);
    assert_eq!(upstream.gets(&format!("{deep}x.jar")), 1);
    node.artifact("org/acme/lib/1.0/lib-1.0.jar").expect(200);
}

#[test]
fn methods_that_change_something_are_refused_with_a_reason() {
    let (upstream, node) = mirror("holes-methods");
    let host = node.url().trim_start_matches("http://").to_owned();
    let targets = [
        "/maven2",
        "/maven2/",
        JAR,
        "/maven2/org/acme/new/1/new-1.jar",
        "/api/v1/status",
        "/api/v1/builds",
        "/api/v1/none",
    ];
    let targets =
        targets.iter().chain(&["/log/checkpoint", "/log/tile/0/000", "/", "/setup", "/style.css", "/nowhere"]);
    let body = b"these bytes are no jar";
    for target in targets {
        for method in [
            "TRACE", "CONNECT", "PUT", "DELETE", "PATCH", "OPTIONS", "POST", "PROPFIND", "MKCOL", "MOVE", "PURGE",
            "get",
        ] {
            let target = if method == "CONNECT" { host.as_str() } else { target };
            let headers = [
                ("Cookie", "session=secret-of-the-client"),
                ("Destination", "/maven2/org/acme/new/1/new-1.jar"),
                // Methods within a method are none.
                ("X-HTTP-Method-Override", "GET"),
                ("Access-Control-Request-Method", "PUT"),
                ("Content-Length", "22"),
            ];
            // Sent as it is: the client would add a length for some of them only.
            let head: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            let head = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{head}\r\n");
            let what = format!("{method} {target}");
            let answers = exchange(&node, &what, &[head.as_bytes(), body].concat());
            let [answer] = &answers[..] else { panic!("{what}: {} answers", answers.len()) };
            assert!(matches!(answer.status, 400 | 401 | 404 | 405 | 501), "{what}: {}", answer.status);
            let kind = answer.header("content-type").unwrap_or_default();
            assert!(kind.starts_with("application/problem+json"), "{what}: {kind:?}");
            assert_eq!(answer.json()["status"], answer.status, "{what}");
            let cors = answer.headers.iter().find(|(name, _)| name.starts_with("access-control"));
            assert!(cors.is_none(), "{what}: {cors:?}");
            assert!(!answer.text().contains("secret-of-the-client"), "{what} sends back what it got");
            // RFC 9110, section 15.5.6.
            assert!(answer.status != 405 || answer.header("allow").is_some(), "{what}: a 405 says what is allowed");
        }
    }
    assert!(upstream.requests().is_empty(), "{:?}", upstream.requests());
    node.artifact("org/acme/new/1/new-1.jar").expect(404);
    // The server as a whole is no resource that takes anything either.
    let star =
        exchange(&node, "*", format!("OPTIONS * HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n").as_bytes());
    assert!(matches!(statuses(&star)[..], [400 | 404 | 405]), "{:?}", statuses(&star));
    // The method's name is what it is, in capitals; and a token that is right makes no method right.
    node.artifact("org/acme/lib/1.0/lib-1.0.jar").expect(200);
}
