use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use base64::Engine as _;
use futures_util::stream;
use pyrsia_digest::FileDigests;
use pyrsia_hosted::{Accepts, Hosted, HostedConfig, PathRule};

use crate::door::Door;
use crate::guard::{GuardConfig, Reader, Token};
use crate::hosted::{Holder, HostedRepository};
use crate::router::App;
use crate::testing::{Answered, Face, SECRET, TableFiles, TableNode, TableServed};

const JAR: &str = "/hosted/releases/com/acme/lib/1.0/lib-1.0.jar";
const WRITER: &str = "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww";
const MAX: u64 = 3_000_000;
/// Of the repository.
const LIMIT: u64 = 20_000_000;

fn basic(name: &str, secret: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{name}:{secret}")))
}

/// A face with the repository `releases`, into which `w` writes below `com.acme`.
fn face(readers: Option<Vec<Reader>>) -> Face {
    let (files, node, dir) =
        (Arc::new(TableFiles::default()), Arc::new(TableNode::default()), tempfile::tempdir().unwrap());
    let config = HostedConfig {
        id: "releases".parse().unwrap(),
        accepts: Accepts::Releases,
        max_file: MAX,
        max_bytes: Some(LIMIT),
    };
    let repository = Hosted::open(config, &dir.path().join("releases"), Arc::new(|| 1_700_000_000)).unwrap();
    let paths: Vec<PathRule> = vec!["com.acme".parse().unwrap()];
    let writers = vec![Holder { name: "w".to_owned(), token: Token::new(WRITER).unwrap(), paths, removes: false }];
    let hosted = vec![HostedRepository { repository, writers, readers: None }];
    let guard = GuardConfig { hosts: vec![], token: Token::new(SECRET).unwrap(), readers };
    let served = Arc::new(TableServed::default());
    let app = App { files: files.clone(), view: node.clone(), control: node.clone(), hosted, served: served.clone() };
    let door = Door::new(app, guard);
    Face { files, node, served, door, dir }
}

async fn put(face: &Face, path: &str, body: impl Into<Body>) -> Answered {
    let request = Request::put(path).header("host", "localhost").header("authorization", basic("w", WRITER));
    let response = face.door.answer(request.body(body.into()).unwrap()).await;
    let (parts, body) = response.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    Answered { status: parts.status, headers: parts.headers, body }
}

#[tokio::test]
async fn what_was_uploaded_is_served_like_every_other_file() {
    let face = face(None);
    assert_eq!(face.get(JAR).await.status, StatusCode::NOT_FOUND);
    for size in [10usize, 2_500_000] {
        let path = format!("/hosted/releases/com/acme/lib/{size}/lib-{size}.jar");
        let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        let digests = FileDigests::of(&bytes);
        assert_eq!(put(&face, &path, bytes.clone()).await.status, StatusCode::CREATED);
        assert_eq!(put(&face, &path, bytes.clone()).await.status, StatusCode::OK);
        let get = face.get(&path).await;
        assert_eq!((get.status, &get.body[..]), (StatusCode::OK, &bytes[..]));
        let etag = format!("\"{}\"", digests.sha256);
        for (name, value) in [
            ("etag", etag.as_str()),
            ("content-type", "application/java-archive"),
            ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
            ("x-checksum-sha1", &digests.sha1.to_string()),
            ("x-checksum-md5", &digests.md5.to_string()),
            ("x-checksum-sha256", &digests.sha256.to_string()),
            ("x-checksum-sha512", &digests.sha512.to_string()),
            ("x-pyrsia-provenance", "hosted"),
            ("content-security-policy", "sandbox; default-src 'none'; frame-ancestors 'none'"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(get.header(name), Some(value), "{name}");
        }
        let head = face.ask("HEAD", &path, &[], "").await;
        assert_eq!((head.status, head.headers, head.body.len()), (StatusCode::OK, get.headers, 0));
        let part = face.ask("GET", &path, &[("range", "bytes=2-4")], "").await;
        assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &bytes[2..5]));
        assert_eq!(face.ask("GET", &path, &[("if-none-match", &etag)], "").await.status, StatusCode::NOT_MODIFIED);
        assert_eq!(face.get(&format!("{path}.sha1")).await.text(), digests.sha1.to_string());
    }
    assert!(face.files.asked.lock().unwrap().is_empty(), "the other repository has nothing to do with it");
    assert_eq!(face.get("/maven2/com/acme/lib/10/lib-10.jar").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn refusals_say_why() {
    let face = face(None);
    put(&face, JAR, "one").await;
    let writer = basic("w", WRITER);
    let ask = |method: &'static str, path: &'static str, headers: Vec<(&'static str, &'static str)>| {
        let (face, writer) = (&face, &writer);
        async move {
            let mut all = vec![("authorization", writer.as_str())];
            all.extend(headers);
            face.ask(method, path, &all, "").await
        }
    };
    for (answer, status, kind) in [
        (put(&face, JAR, "two").await, 409, "immutable"),
        (put(&face, "/hosted/releases/com/acme/lib/1-SNAPSHOT/lib-1-SNAPSHOT.jar", "x").await, 409, "snapshot"),
        (put(&face, "/hosted/releases/com/other/lib/1.0/lib-1.0.jar", "x").await, 403, "other-paths"),
        (put(&face, "/hosted/releases/com/acme/stray.txt", "x").await, 400, "bad-path"),
        (put(&face, "/hosted/releases/com/acme/lib/1.0/", "x").await, 400, "bad-path"),
        (put(&face, "/hosted/releases/com/acme/../../../x", "x").await, 400, "bad-path"),
        (put(&face, "/hosted/releases/com/acme/%2e%2e/x", "x").await, 400, "bad-path"),
        (put(&face, "/hosted/releases/com/acme/..%2f..%2fx", "x").await, 400, "bad-path"),
        (put(&face, "/hosted/releases/", "x").await, 400, "bad-path"),
        (put(&face, "/hosted/others/com/acme/lib/1.0/lib-1.0.jar", "x").await, 404, "not-found"),
        (put(&face, "/hosted/..", "x").await, 404, "not-found"),
        (put(&face, &format!("{JAR}.sha1"), "f".repeat(40)).await, 422, "mismatch"),
        (put(&face, &format!("{JAR}.sha1"), "hello").await, 400, "bad-checksum"),
        (put(&face, "/hosted/releases/com/acme/lib/maven-metadata.xml", "<x/>").await, 400, "bad-document"),
        (put(&face, "/hosted/releases/com/acme/lib/2/lib-2.jar", vec![0; MAX as usize + 1]).await, 413, "too-large"),
        (ask("PUT", JAR, vec![("content-range", "bytes 0-1/3")]).await, 400, "not-whole"),
        (ask("PUT", JAR, vec![("content-encoding", "gzip")]).await, 400, "not-whole"),
        (ask("PUT", JAR, vec![("content-length", "3000001")]).await, 413, "too-large"),
        (ask("DELETE", JAR, vec![]).await, 405, "wrong-method"),
        (ask("POST", JAR, vec![]).await, 405, "wrong-method"),
        (face.ask("PUT", JAR, &[], "one").await, 401, "credentials-required"),
        (face.ask("PUT", JAR, &[("authorization", &basic("w", SECRET))], "one").await, 401, "credentials-required"),
        (
            face.ask("PUT", JAR, &[("authorization", &format!("Bearer {SECRET}"))], "").await,
            401,
            "credentials-required",
        ),
        (
            face.ask("PUT", JAR, &[("authorization", &writer), ("origin", "http://evil.example")], "").await,
            403,
            "cross-site",
        ),
        (face.ask("PUT", JAR, &[("authorization", &writer), ("host", "evil.example")], "").await, 421, "foreign-host"),
    ] {
        let problem = answer.problem();
        assert_eq!(
            (problem.status, problem.kind.as_str()),
            (status, format!("/problems/{kind}").as_str()),
            "{problem:?}"
        );
        assert_eq!(answer.header("www-authenticate").is_some(), status == 401);
    }
    // The first upload was not confirmed by a checksum: a wrong one took it back.
    assert_eq!(face.get(JAR).await.status, StatusCode::NOT_FOUND);
    assert_eq!(put(&face, JAR, "two").await.status, StatusCode::CREATED);
    let elsewhere = put(&face, "/maven2/com/acme/lib/1.0/lib-1.0.jar", "x").await;
    assert_eq!(elsewhere.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(elsewhere.problem().next.unwrap().contains("pyrsia-maven build"));
}

#[tokio::test]
async fn a_full_repository_says_so_and_takes_what_it_has() {
    let face = face(None);
    let jar = |number: u64| format!("/hosted/releases/com/acme/lib/{number}/lib-{number}.jar");
    let bytes = |number: u64| vec![number as u8; MAX as usize];
    for number in 0..LIMIT / MAX {
        assert_eq!(put(&face, &jar(number), bytes(number)).await.status, StatusCode::CREATED);
    }
    let full = put(&face, &jar(9), bytes(9)).await.problem();
    assert_eq!((full.status, full.kind.as_str()), (507, "/problems/repository-full"), "{full:?}");
    assert!(full.detail.unwrap().contains("18000000 of the 20000000 bytes"));
    assert_eq!(face.get(&jar(9)).await.status, StatusCode::NOT_FOUND);
    assert_eq!(put(&face, &jar(0), bytes(0)).await.status, StatusCode::OK);
    assert_eq!(put(&face, &jar(9), vec![9; (LIMIT % MAX) as usize]).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn what_the_disk_damages_after_its_first_use_comes_back_with_the_same_upload() {
    let face = face(None);
    put(&face, JAR, "one").await;
    assert_eq!(face.get(JAR).await.body, "one");
    let hex = FileDigests::of(b"one").sha256.to_string();
    let blob = face.dir.path().join("releases/blobs/sha256").join(&hex[..2]).join(&hex);
    std::fs::write(blob, b"0ne").unwrap();
    assert_eq!(face.get(JAR).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(face.get(JAR).await.text().contains("upload the same file again"));
    assert_eq!(put(&face, JAR, "one").await.status, StatusCode::OK);
    assert_eq!(face.get(JAR).await.body, "one");
}

#[tokio::test]
async fn versions_are_listed_and_removed_by_those_who_may() {
    let face = face(None);
    put(&face, JAR, "one").await;
    let json = ("accept", "application/json");
    let token = format!("Bearer {SECRET}");
    let operator = ("authorization", token.as_str());
    let listed = |answer: &Answered| serde_json::from_slice::<pyrsia_api_types::HostedVersions>(&answer.body).unwrap();
    let open = face.ask("GET", "/hosted/releases/", &[json], "").await;
    assert_eq!(open.header("cache-control"), Some("no-store"));
    let open = listed(&open);
    assert_eq!((open.id.as_str(), open.versions.len()), ("releases", 1));
    assert_eq!((open.versions[0].gav.as_str(), open.versions[0].bytes), ("com.acme:lib:1.0", 3));
    assert!(open.versions[0].writers.is_empty(), "names of writers are for writers");
    let own = listed(&face.ask("GET", "/hosted/releases/", &[json, operator], "").await);
    assert_eq!(own.versions[0].writers, ["w"]);
    let head = face.ask("HEAD", "/hosted/releases/", &[json], "").await;
    assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));

    let folder = "/hosted/releases/com/acme/lib/1.0/";
    let writer = basic("w", WRITER);
    for (path, headers, status, kind) in [
        (folder, vec![], 401, "credentials-required"),
        (folder, vec![("authorization", writer.as_str())], 403, "no-removal"),
        (folder, vec![operator, ("origin", "http://evil.example")], 403, "cross-site"),
        (JAR, vec![operator], 405, "wrong-method"),
        ("/hosted/releases/", vec![operator], 405, "wrong-method"),
        ("/hosted/releases/com/acme/", vec![operator], 400, "bad-path"),
        ("/hosted/releases/com/acme/../lib/", vec![operator], 400, "bad-path"),
        ("/hosted/releases/com/acme/lib/2.0/", vec![operator], 404, "not-found"),
        ("/hosted/nothing/com/acme/lib/1.0/", vec![operator], 404, "not-found"),
    ] {
        let answer = face.ask("DELETE", path, &headers, "").await;
        let problem = answer.problem();
        let expected = (status, format!("/problems/{kind}"));
        assert_eq!((problem.status, problem.kind.clone()), expected, "{path} {problem:?}");
    }
    assert_eq!(face.get(JAR).await.body, "one");
    let removed = face.ask("DELETE", folder, &[operator], "").await;
    assert_eq!(removed.status, StatusCode::OK, "{}", removed.text());
    let removed: pyrsia_api_types::HostedRemoval = serde_json::from_slice(&removed.body).unwrap();
    assert_eq!((removed.gav.as_str(), removed.files, removed.bytes), ("com.acme:lib:1.0", 1, 3));
    assert_eq!(face.get(JAR).await.status, StatusCode::NOT_FOUND);
    assert!(listed(&face.ask("GET", "/hosted/releases/", &[json], "").await).versions.is_empty());
}

#[tokio::test]
async fn beyond_an_open_listener_nothing_is_shown_without_credentials() {
    let readers =
        vec![Reader { name: "r".to_owned(), token: Token::new(&"r".repeat(32)).unwrap(), groups: Vec::new() }];
    let face = face(Some(readers));
    put(&face, JAR, "one").await;
    let (reader, writer) = (basic("r", &"r".repeat(32)), basic("w", WRITER));
    for path in [JAR, "/hosted/releases/", "/hosted/none/", "/hosted", "/hosted/", &format!("{JAR}.sha1")] {
        for headers in [&[][..], &[("authorization", "Basic eDp5")]] {
            let answer = face.ask("GET", path, headers, "").await;
            assert_eq!(
                (answer.status, answer.header("cache-control")),
                (StatusCode::UNAUTHORIZED, Some("no-store")),
                "{path}"
            );
        }
    }
    for shown in [&reader, &writer] {
        assert_eq!(face.ask("GET", JAR, &[("authorization", shown)], "").await.body, "one");
    }
    assert_eq!(face.ask("PUT", JAR, &[("authorization", &reader)], "one").await.problem().kind, "/problems/reads-only");
    // A writer is no reader of what is not hosted.
    let other = face.ask("GET", "/maven2/com/acme/lib/1.0/lib-1.0.jar", &[("authorization", &writer)], "").await;
    assert_eq!(other.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_coming_is_not_waited_for_and_leaves_nothing() {
    let face = face(None);
    let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"half"))]);
    let body = Body::from_stream(futures_util::StreamExt::chain(first, stream::pending()));
    let late = tokio::time::timeout(Duration::from_secs(3600), put(&face, JAR, body)).await.expect("an answer");
    assert_eq!(late.problem().kind, "/problems/late");
    let broken = stream::iter([Ok(Bytes::from_static(b"half")), Err(std::io::Error::other("gone"))]);
    assert_eq!(put(&face, JAR, Body::from_stream(broken)).await.problem().kind, "/problems/broken");
    assert_eq!(face.get(JAR).await.status, StatusCode::NOT_FOUND);
    let left = std::fs::read_dir(face.dir.path().join("releases/blobs/tmp")).unwrap().count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn uploads_at_the_same_time_do_not_hinder_each_other() {
    let face = Arc::new(face(None));
    let uploads: Vec<_> = (0..100)
        .map(|number| {
            let face = Arc::clone(&face);
            tokio::spawn(async move {
                let path = format!("/hosted/releases/com/acme/lib/{number}/lib-{number}.jar");
                put(&face, &path, vec![number as u8; 100_000]).await.status
            })
        })
        .collect();
    for upload in uploads {
        assert_eq!(upload.await.unwrap(), StatusCode::CREATED);
    }
}
