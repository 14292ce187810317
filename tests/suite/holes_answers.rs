//! Holes that other repository servers had in what a browser, or a cache on the way, makes of an answer.

use pyrsia_tests::http;
use pyrsia_tests::upstream::Upstream;

use crate::tls::Served;

const JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";
const PAGE: &str = "<html><body><script>fetch('/api/v1/status')</script></body></html>";
const PICTURE: &str = "<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><script>alert(1)</script></svg>";

/// CVE-2024-36115 (Reposilite): an artifact that is a page ran on the server's origin, with the operator's token in reach.
#[test]
fn a_page_among_the_artifacts_is_sandboxed_over_every_protocol() {
    let upstream = Upstream::start();
    let files = [
        ("org/evil/page/1/page-1.html", PAGE),
        ("org/evil/page/1/page-1.HTM", PAGE),
        ("org/evil/page/1/page-1.xhtml", PAGE),
        ("org/evil/page/1/page-1.svg", PICTURE),
        ("org/evil/page/1/page-1.js", "alert(1)"),
        ("org/evil/page/1/page-1.xml", "<?xml-stylesheet href='page-1.xsl' type='text/xsl'?><a/>"),
        ("org/evil/page/1/page-1.pom", PICTURE),
        ("org/evil/page/1/page-1.jar", PAGE),
        ("org/evil/index.html", PAGE),
    ];
    for (path, text) in files {
        upstream.put(path, text);
    }
    let served = Served::start("holes-pages", &upstream.url());
    let certificate = served.certificate();
    let reader = served.reader();
    let check = |path: &str, how: &str, header: &dyn Fn(&str) -> Option<String>| {
        let policy = header("content-security-policy").unwrap_or_default();
        // Without any word that gives something back, such as `allow-scripts`.
        let sandboxed = policy.split(';').any(|directive| directive.trim() == "sandbox");
        assert!(sandboxed && policy.contains("default-src 'none'"), "{how} {path}: {policy:?}");
        assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"), "{how} {path}");
        let kind = header("content-type").unwrap_or_default();
        let active = ["html", "svg", "javascript"].iter().any(|word| kind.contains(word));
        assert!(!active, "{how} {path}: {kind}");
        assert_eq!(header("access-control-allow-origin"), None, "{how} {path}");
    };
    for (path, text) in files {
        let target = format!("/maven2/{path}");
        let tag = served.node.artifact(path).expect(200).header("etag").expect("an ETag").to_owned();
        for (method, more, status) in [
            ("GET", None, 200),
            ("HEAD", None, 200),
            ("GET", Some(("Range", "bytes=0-5")), 206),
            ("GET", Some(("Range", "bytes=0-1,4-5")), 206),
            ("GET", Some(("Range", "bytes=9999-")), 416),
            ("GET", Some(("If-None-Match", tag.as_str())), 304),
        ] {
            let answer = http::send(served.node.url(), method, &target, more.as_slice(), b"").expect("an answer");
            let answer = answer.expect(status);
            check(path, &format!("{method} {more:?}"), &|name| answer.header(name).map(str::to_owned));
        }
        for version in ["--http1.1", "--http2"] {
            let certificate = certificate.to_string_lossy();
            let more = ["--cacert", &*certificate, "-u", &reader, version, "-D", "-"];
            let said = served.curl(&more, &target).expect(0).stdout;
            assert!(said.ends_with(if version == "--http2" { "2 200" } else { "1.1 200" }), "{said}");
            let header = |wanted: &str| {
                let mut lines = said.lines().filter_map(|line| line.split_once(':'));
                lines.find(|(name, _)| name.eq_ignore_ascii_case(wanted)).map(|(_, value)| value.trim().to_owned())
            };
            check(path, version, &header);
            assert_eq!(served.body(), text.as_bytes(), "{version} {path}: byte for byte all the same");
        }
    }
    // Nor does a name that is no file's become part of a page.
    for path in ["%3Cscript%3Ealert(1)%3C/script%3E.jar", "a/%3Csvg%20onload=alert(1)%3E/1/x-1.jar"] {
        let answer = served.node.artifact(path);
        check(path, "missing", &|name| answer.header(name).map(str::to_owned));
    }
}

/// Other servers kept the 404 that a stranger got and gave it to everybody, or a member's file to strangers.
#[test]
fn what_a_stranger_is_told_is_kept_for_nobody_and_what_a_reader_gets_for_no_stranger() {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "lib", "1.0", *b"a jar");
    let served = Served::start("holes-strangers", &upstream.url());
    let certificate = served.certificate();
    let certificate = certificate.to_string_lossy();
    let reader = served.reader();
    let ask = |more: &[&str], path: &str| {
        let all = [&["--cacert", &*certificate, "-D", "-"], more].concat();
        served.curl(&all, &format!("/maven2/{path}")).expect(0).stdout
    };
    let value = |said: &str, name: &str| {
        let mut lines = said.lines().filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    };
    let known = ["-u", reader.as_str()];
    for _ in 0..3 {
        let said = ask(&[], JAR);
        assert!(said.ends_with(" 401"), "{said}");
        assert_eq!(value(&said, "cache-control").as_deref(), Some("no-store"), "no cache on the way keeps it: {said}");
        assert!(value(&said, "www-authenticate").is_some(), "{said}");
    }
    assert!(upstream.requests().is_empty(), "a stranger has the node ask nobody: {:?}", upstream.requests());
    // What a reader is told is missing is missing for this answer alone.
    let said = ask(&known, "org/acme/lib/2.0/lib-2.0.jar");
    assert!(said.ends_with(" 404") && value(&said, "cache-control").as_deref() == Some("no-store"), "{said}");
    // The file that strangers asked for is there for readers, now.
    for _ in 0..2 {
        let said = ask(&known, JAR);
        assert!(said.ends_with(" 200"), "{said}");
        assert_eq!(served.body(), b"a jar");
        // By RFC 9111, section 3.5, a shared cache keeps no answer to a request with credentials, unless one of these
        // words lets it.
        let lets = value(&said, "cache-control").unwrap_or_default();
        assert!(!["public", "s-maxage", "must-revalidate"].iter().any(|word| lets.contains(word)), "{said}");
        let tag = value(&said, "etag").expect("an ETag");
        for more in [
            vec![],
            vec!["-I"],
            vec!["-r", "0-1"],
            vec!["--http1.1"],
            vec!["-u", "ci:wrong"],
            vec!["-u", "other:a"],
            vec!["-H", "X-Forwarded-User: ci"],
        ] {
            let said = ask(&more, JAR);
            assert!(said.ends_with(" 401") && value(&said, "etag").is_none(), "{more:?}: {said}");
        }
        // A 304 would tell a stranger which bytes are here.
        assert!(ask(&["-H", &format!("If-None-Match: {tag}")], JAR).ends_with(" 401"));
    }
}
