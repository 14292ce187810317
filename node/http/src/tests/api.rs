use axum::http::StatusCode;
use pyrsia_api_types::{BuildAccepted, BuildEvents, FileMatches, Inspection, Status};
use pyrsia_digest::Sha256;

use crate::testing::{Face, SECRET};

#[tokio::test]
async fn documents() {
    let face = Face::new();
    let status = face.get("/api/v1/status").await;
    assert_eq!((status.status, status.header("content-type")), (StatusCode::OK, Some("application/json")));
    assert_eq!(status.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(status.header("cache-control"), Some("no-store"));
    serde_json::from_slice::<Status>(&status.body).unwrap();
    for gav in ["org.acme:lib:1.0", "org.acme%3Alib%3A1.0"] {
        let story = face.get(&format!("/api/v1/inspect/{gav}")).await;
        assert_eq!(serde_json::from_slice::<Inspection>(&story.body).unwrap().gav, "org.acme:lib:1.0");
    }
    let receipt = face.get("/api/v1/receipts/org.acme:lib:1.0").await;
    assert_eq!(receipt.text(), "receipt of org.acme:lib:1.0\n");
    assert_eq!(receipt.header("content-type"), Some("text/plain; charset=utf-8"));
    let provenance = face.get("/api/v1/provenance/org.acme:lib:1.0?authority=a1%20b").await;
    assert_eq!((provenance.text(), provenance.header("content-type")), ("{}\n", Some("application/jsonl")));
}

#[tokio::test]
async fn waits_and_windows_are_bounded() {
    let face = Face::new();
    for (uri, call) in [
        ("/api/v1/builds", "builds 0 50"),
        ("/api/v1/builds?skip=3&max=100000", "builds 3 500"),
        ("/api/v1/log?from=7&max=0&wait=1000000", "log 7 1 60"),
        ("/api/v1/log", "log 0 100 0"),
        ("/api/v1/builds/b1/events?after=4&wait=2", "events b1 4 2"),
        ("/api/v1/served", "served None 1000"),
        ("/api/v1/served?since=86400&max=1000000", "served Some(86400) 10000"),
        (
            "/api/v1/policy/a:b:1?files=b-1.war,b-1-x.jar",
            r#"policy a:b:1 [FileName("b-1.war"), FileName("b-1-x.jar")] None"#,
        ),
        (
            "/api/v1/policy/a:b:1?policy=verified&allow_equivalent=true",
            "policy a:b:1 [] Some(Verified { allow_equivalent: true })",
        ),
    ] {
        assert_eq!(face.get(uri).await.status, StatusCode::OK, "{uri}");
        assert_eq!(face.node.calls.lock().unwrap().pop().unwrap(), call);
    }
    for uri in ["/api/v1/log?from=-1", "/api/v1/builds?max=many", "/api/v1/log?from=99999999999999999999999"] {
        assert_eq!(face.get(uri).await.problem().status, 400, "{uri}");
    }
}

#[tokio::test]
async fn files_of_a_digest_come_a_part_at_a_time() {
    let face = Face::new();
    let digest = Sha256::of(b"x");
    for (after, next) in [("", None), ("?after=a:b:1%2B2", Some("a:b:1+2".to_owned()))] {
        let part = face.get(&format!("/api/v1/files/{digest}{after}")).await;
        assert_eq!(serde_json::from_slice::<FileMatches>(&part.body).unwrap().next, next);
    }
    assert_eq!(face.get(&format!("/api/v1/files/{digest}?after=nothing")).await.problem().status, 400);
}

#[tokio::test]
async fn failures_are_problems() {
    let face = Face::new();
    for (uri, status) in [
        ("/api/v1/builds/none", 404),
        ("/api/v1/network", 503),
        ("/api/v1/peers", 500),
        ("/api/v1/inspect/nonsense", 400),
        ("/api/v1/inspect/a:b:..", 400),
        ("/api/v1/receipts/%2e%2e:b:1", 400),
        ("/api/v1/provenance/a:b", 400),
        ("/api/v1/policy/a:b:1?files=%2e%2e", 400),
        ("/api/v1/policy/a:b:1?files=c-1.jar", 400),
        ("/api/v1/unknown", 404),
        ("/api/v2/status", 404),
        ("/api/v1/status/", 404),
    ] {
        assert_eq!(face.get(uri).await.problem().status, status, "{uri}");
    }
    assert_eq!(face.post("/api/v1/status", "{}").await.problem().status, 405);
    let head = face.ask("HEAD", "/api/v1/status", &[], "").await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
}

const CALLS: [(&str, &str, &str); 7] = [
    ("/api/v1/specifications/approve", r#"{"specification":"text"}"#, "specification text"),
    ("/api/v1/builds/b1/signature", r#"{"key":"aa","signature":"bb"}"#, "sign b1 aa"),
    ("/api/v1/builds", r#"{"coordinates":["a:b:1","a:c:1"]}"#, "build a:b:1 a:c:1"),
    ("/api/v1/namespaces", r#"{"group":"a","repositories":[]}"#, "namespace a"),
    ("/api/v1/images/approve", r#"{"image":"ff"}"#, "image ff"),
    ("/api/v1/withdrawals", r#"{"coordinates":"a:b:1","reason":"x"}"#, "withdraw a:b:1"),
    ("/api/v1/blocks", r#"{"coordinates":"a:b:1","reason":"x"}"#, "block a:b:1"),
];

#[tokio::test]
async fn calls_with_the_token_arrive() {
    let face = Face::new();
    for (uri, body, call) in CALLS {
        let answer = face.post(uri, body).await;
        assert_eq!(answer.status, StatusCode::ACCEPTED, "{uri}: {}", answer.text());
        assert_eq!(face.node.calls.lock().unwrap().pop().unwrap(), call);
    }
    let accepted = face.post(CALLS[2].0, CALLS[2].1).await;
    assert_eq!(serde_json::from_slice::<BuildAccepted>(&accepted.body).unwrap().id, "b1");
    let refused = face.post("/api/v1/blocks", r#"{"coordinates":"a:b:1","reason":"x","lift":true}"#).await;
    assert_eq!(refused.problem().status, 409);
}

#[tokio::test]
async fn calls_without_the_token_or_from_elsewhere_do_not() {
    let face = Face::new();
    let token = format!("Bearer {SECRET}");
    let json = ("content-type", "application/json");
    for (uri, body, _) in CALLS {
        for (headers, status) in [
            (vec![json], 401),
            (vec![json, ("authorization", "Bearer 0123456789abcdef0123456789abcdee")], 401),
            (vec![json, ("authorization", &token), ("host", "evil.example.org")], 421),
            (vec![json, ("authorization", &token), ("origin", "https://evil.example.org")], 403),
            (vec![json, ("authorization", &token), ("sec-fetch-site", "cross-site")], 403),
            (vec![("authorization", token.as_str())], 415),
            (vec![("authorization", &token), ("content-type", "text/plain")], 415),
            (vec![("authorization", &token), ("content-type", "application/x-www-form-urlencoded")], 415),
        ] {
            let answer = face.ask("POST", uri, &headers, body).await;
            assert_eq!(answer.problem().status, status, "{uri} {headers:?}");
            assert_eq!(answer.header("www-authenticate"), (status == 401).then_some("Bearer"));
        }
    }
    assert!(face.node.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn reading_is_guarded_too() {
    let face = Face::new();
    for uri in ["/", "/api/v1/status", "/maven2/a/b/1/b-1.jar", "/log/checkpoint", "/nowhere"] {
        assert_eq!(face.ask("GET", uri, &[("host", "rebound.example.org")], "").await.status.as_u16(), 421, "{uri}");
        let cross = face.ask("GET", uri, &[("origin", "http://localhost:3000")], "").await;
        assert_eq!(cross.status.as_u16(), 403, "{uri}");
        assert!(cross.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
        let preflight = [("origin", "http://localhost:3000"), ("access-control-request-method", "POST")];
        assert_eq!(face.ask("OPTIONS", uri, &preflight, "").await.status.as_u16(), 403, "{uri}");
    }
}

#[tokio::test]
async fn bodies_are_bounded_and_strict() {
    let face = Face::new();
    for (body, status) in [
        ("", 400),
        ("{", 400),
        (r#"{"coordinates":["a:b:1"],"extra":1}"#, 422),
        (r#"{"coordinates":"a:b:1"}"#, 422),
        (r#"{"coordinates":[]}"#, 400),
        (r#"{"coordinates":["a:b"]}"#, 400),
    ] {
        assert_eq!(face.post("/api/v1/builds", body).await.problem().status, status, "{body}");
    }
    let large = format!(r#"{{"coordinates":["a:b:1"],"specification":"{}"}}"#, "x".repeat(300_000));
    assert_eq!(face.post("/api/v1/builds", &large).await.problem().status, 413);
    assert!(face.node.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_log_is_there_in_tiles() {
    let face = Face::new();
    let checkpoint = face.get("/log/checkpoint").await;
    assert_eq!(checkpoint.text(), "origin\n3\nroot\n");
    let hashes = face.get("/log/tile/0/000.p/3").await;
    let expected: Vec<u8> = (0..3u8).flat_map(|index| *Sha256::of(&[index]).as_bytes()).collect();
    assert_eq!((hashes.status, &hashes.body[..]), (StatusCode::OK, &expected[..]));
    assert_eq!(face.get("/log/tile/entries/000.p/2").await.body, [0u8, 2, 0, 0, 0, 2, 1, 1][..]);
    for uri in
        ["/log/tile/0/000", "/log/tile/0/000.p/4", "/log/tile/1/000.p/1", "/log/tile/entries/001.p/1", "/log/tile/x"]
    {
        assert_eq!(face.get(uri).await.problem().status, 404, "{uri}");
    }
}

#[tokio::test]
async fn events_come_with_their_place() {
    let face = Face::new();
    let events = face.get("/api/v1/builds/b1/events").await;
    let events: BuildEvents = serde_json::from_slice(&events.body).unwrap();
    assert_eq!((events.next, events.events[0].sequence), (1, 1));
}

#[tokio::test]
async fn searches_are_answered_in_the_form_that_is_asked_for() {
    let face = Face::new();
    let (json, xml) = (face.get("/solrsearch/select?q=lib").await, face.get("/solrsearch/select?q=lib&wt=xml").await);
    assert_eq!(json.header("content-type"), Some("application/json"));
    assert_eq!(xml.header("content-type"), Some("application/xml; charset=UTF-8"));
    assert_eq!((xml.status, xml.header("x-content-type-options")), (StatusCode::OK, Some("nosniff")));
    assert!(xml.text().contains(r#"numFound="9" start="0"><doc><str name="id">org.acme:lib</str>"#), "{}", xml.text());
    for form in ["php", "XML", ""] {
        let problem = face.get(&format!("/solrsearch/select?q=lib&wt={form}")).await.problem();
        assert_eq!((problem.status, problem.kind.as_str()), (400, "/problems/invalid"), "{form}");
    }
}
