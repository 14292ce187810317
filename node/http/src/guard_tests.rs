use super::*;

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn config() -> GuardConfig {
    GuardConfig { hosts: vec!["maven.example.org".to_owned()], token: Token::new(SECRET).unwrap(), readers: None }
}

fn ask(method: Method, uri: &str, headers: &[(&str, &str)]) -> Result<(), Refusal> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(axum::http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    check(&method, &uri.parse().unwrap(), &map, &config())
}

#[test]
fn hosts() {
    for (host, expected) in [
        ("localhost", Ok(())),
        ("LOCALHOST:7888", Ok(())),
        ("localhost.", Ok(())),
        ("127.0.0.1:7888", Ok(())),
        ("127.9.9.9", Ok(())),
        ("[::1]:7888", Ok(())),
        ("[::1]", Ok(())),
        ("maven.example.org:80", Ok(())),
        ("evil.example.org", Err(Refusal::ForeignHost)),
        ("localhost.evil.example.org", Err(Refusal::ForeignHost)),
        ("127.0.0.1.evil.example.org", Err(Refusal::ForeignHost)),
        ("192.168.1.5", Err(Refusal::ForeignHost)),
        ("0.0.0.0", Err(Refusal::ForeignHost)),
        ("[::ffff:8.8.8.8]", Err(Refusal::ForeignHost)),
        ("localhost:80:80", Err(Refusal::NoHost)),
        ("localhost:port", Err(Refusal::NoHost)),
        ("localhost:99999", Err(Refusal::NoHost)),
        ("user@localhost", Err(Refusal::ForeignHost)),
        ("[::1", Err(Refusal::NoHost)),
        ("", Err(Refusal::NoHost)),
        (".", Err(Refusal::NoHost)),
    ] {
        assert_eq!(ask(Method::GET, "/", &[("host", host)]), expected, "{host:?}");
    }
    assert_eq!(ask(Method::GET, "/", &[]), Err(Refusal::NoHost));
    assert_eq!(ask(Method::GET, "/", &[("host", "localhost"), ("host", "localhost")]), Err(Refusal::NoHost));
    assert_eq!(ask(Method::GET, "http://evil.example.org/", &[("host", "localhost")]), Err(Refusal::NoHost));
    assert_eq!(ask(Method::GET, "http://localhost/", &[("host", "localhost")]), Ok(()));
}

#[test]
fn origins() {
    for (origin, fine) in [
        ("http://localhost:7888", true),
        ("https://localhost:7888", true),
        ("http://localhost:3000", false),
        ("http://localhost", false),
        ("http://evil.example.org", false),
        ("null", false),
        ("", false),
        ("localhost:7888", false),
    ] {
        for uri in ["/", "/api/v1/status", "/maven2/a.jar"] {
            let expected = if fine { Ok(()) } else { Err(Refusal::CrossSite) };
            assert_eq!(
                ask(Method::GET, uri, &[("host", "localhost:7888"), ("origin", origin)]),
                expected,
                "{origin:?}"
            );
        }
    }
}

#[test]
fn fetch_metadata() {
    let host = ("host", "localhost");
    for (site, fine) in
        [("same-origin", true), ("none", true), ("same-site", false), ("cross-site", false), ("x", false)]
    {
        let expected = if fine { Ok(()) } else { Err(Refusal::CrossSite) };
        for uri in ["/", "/api/v1/status", "/maven2/a.jar"] {
            assert_eq!(ask(Method::GET, uri, &[host, ("sec-fetch-site", site)]), expected, "{site} {uri}");
        }
    }
    // A link on another site may lead to a page, and to nothing else.
    let link = [host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
    assert_eq!(ask(Method::GET, "/", &link), Ok(()));
    assert_eq!(ask(Method::GET, "/api/v1/status", &link), Err(Refusal::CrossSite));
    assert_eq!(ask(Method::POST, "/", &link), Err(Refusal::CrossSite));
    let frame = [host, ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")];
    assert_eq!(ask(Method::GET, "/", &frame), Err(Refusal::CrossSite));
}

#[test]
fn tokens() {
    let host = ("host", "localhost");
    let right = format!("Bearer {SECRET}");
    let longer = format!("Bearer {SECRET}0");
    for (value, fine) in [
        (right.as_str(), true),
        (&right.replace("Bearer", "bearer"), true),
        (&longer, false),
        (&right[..right.len() - 1], false),
        (&right.to_uppercase().replace("BEARER", "Bearer"), false),
        (SECRET, false),
        ("Bearer ", false),
        ("Bearer", false),
        ("", false),
        (&right.replace("Bearer", "Basic"), false),
    ] {
        let expected = if fine { Ok(()) } else { Err(Refusal::NoToken) };
        assert_eq!(ask(Method::POST, "/api/v1/builds", &[host, ("authorization", value)]), expected, "{value:?}");
    }
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::OPTIONS] {
        assert_eq!(ask(method, "/api/v1/status", &[host]), Err(Refusal::NoToken));
    }
    let twice = [host, ("authorization", right.as_str()), ("authorization", right.as_str())];
    assert_eq!(ask(Method::POST, "/api/v1/builds", &twice), Err(Refusal::NoToken));
    assert_eq!(ask(Method::GET, "/api/v1/builds", &[host]), Ok(()));
    assert_eq!(ask(Method::PUT, "/maven2/a.jar", &[host]), Ok(()), "answered with 405 by its handler");
}

#[test]
fn weak_tokens_are_refused_and_none_is_printed() {
    for secret in ["", "short", "0123456789abcdef 123456789abcdef0", "0123456789abcdef0123456789abcde\u{e9}"] {
        assert!(Token::new(secret).is_err(), "{secret:?}");
    }
    let token = Token::new(&format!("  {SECRET}\n")).unwrap();
    assert!(token.matches(SECRET.as_bytes()));
    assert!(!format!("{token:?} {:?}", config()).contains("0123"));
}

proptest::proptest! {
    #[test]
    fn no_host_panics_and_only_ours_pass(host in "[ -~]{0,40}") {
        let ours = ask(Method::GET, "/", &[("host", &host)]).is_ok();
        let name = host_name(&host).unwrap_or_default().to_ascii_lowercase();
        let expected = name == "localhost"
            || name == "maven.example.org"
            || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        proptest::prop_assert_eq!(ours, expected);
    }
}

#[test]
fn readers_say_who_they_are() {
    let reader = |name: &str, secret: &str| Reader {
        name: name.to_owned(),
        token: Token::new(secret).unwrap(),
        groups: Vec::new(),
    };
    let (ci, dev) = ("c".repeat(32), "d".repeat(32));
    let config = GuardConfig { readers: Some(vec![reader("ci", &ci), reader("dev", &dev)]), ..config() };
    let asked = |method: Method, uri: &str, authorization: Option<String>| {
        let mut headers = HeaderMap::new();
        headers.append(header::HOST, "localhost".parse().unwrap());
        if let Some(value) = authorization {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        check(&method, &uri.parse().unwrap(), &headers, &config)
    };
    let basic = |text: String| Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text)));
    for uri in ["/", "/maven2/a/b/1/b-1.jar", "/api/v1/status", "/log/checkpoint"] {
        assert_eq!(asked(Method::GET, uri, basic(format!("ci:{ci}"))), Ok(()), "{uri}");
        assert_eq!(asked(Method::HEAD, uri, basic(format!("dev:{dev}"))), Ok(()), "{uri}");
        assert_eq!(asked(Method::GET, uri, Some(format!("Bearer {SECRET}"))), Ok(()), "the node's own token");
        for wrong in [
            None,
            basic(format!("ci:{dev}")),
            basic(format!("CI:{ci}")),
            basic(format!(":{ci}")),
            basic(ci.clone()),
            basic(String::new()),
            Some("Basic !".to_owned()),
            Some(format!("Bearer {ci}")),
            Some(ci.clone()),
        ] {
            assert_eq!(asked(Method::GET, uri, wrong.clone()), Err(Refusal::NoReader), "{uri} {wrong:?}");
        }
    }
    assert_eq!(asked(Method::POST, "/api/v1/builds", basic(format!("ci:{ci}"))), Err(Refusal::NoToken), "readers read");
    assert_eq!(asked(Method::POST, "/api/v1/builds", Some(format!("Bearer {SECRET}"))), Ok(()));
}

#[test]
fn a_reader_of_some_groups_gets_their_files_and_nothing_else() {
    let secret = "s".repeat(32);
    let groups = ["com.example.*", "org.acme"].map(|group| group.parse().unwrap()).to_vec();
    let reader = Reader { name: "partner".to_owned(), token: Token::new(&secret).unwrap(), groups };
    let config = GuardConfig { readers: Some(vec![reader]), ..config() };
    let shown = base64::engine::general_purpose::STANDARD.encode(format!("partner:{secret}"));
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, "localhost".parse().unwrap());
    headers.insert(header::AUTHORIZATION, format!("Basic {shown}").parse().unwrap());
    let asked = |path: &str| check(&Method::GET, &path.parse().unwrap(), &headers, &config);
    for path in [
        "/maven2/com/example/lib/1.0/lib-1.0.jar",
        "/maven2/com/example/deep/er/maven-metadata.xml",
        "/maven2/c%6Fm/example/lib/1.0/lib-1.0.jar",
        "/maven2/com/example/lib/",
        "/maven2/org/acme/x/1/x-1.pom",
    ] {
        assert_eq!(asked(path), Ok(()), "{path}");
    }
    for path in [
        "/maven2/com/examples/lib/1.0/lib-1.0.jar",
        "/maven2/org/other/lib/1.0/lib-1.0.jar",
        "/maven2/com/example/../../org/other/lib/1.0/lib-1.0.jar",
        "/maven2/com/example/%2e%2e/%2e%2e/org/other/lib/1.0/lib-1.0.jar",
        "/maven2//com/example/lib/1.0/lib-1.0.jar",
        "/maven2/com/example",
        "/maven2/archetype-catalog.xml",
        "/maven2/",
        "/",
        "/api/v1/status",
        "/log/checkpoint",
    ] {
        assert_eq!(asked(path), Err(Refusal::NotForReader), "{path}");
    }
}
