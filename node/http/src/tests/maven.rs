use axum::http::StatusCode;
use pyrsia_digest::{ChecksumAlgorithm, Sha256};
use pyrsia_repository::{Answer, Generated, RepositoryError, Withheld, WithheldReason};

use crate::testing::{DATE, Face};

const JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";
const URL: &str = "/maven2/org/acme/lib/1.0/lib-1.0.jar";

#[tokio::test]
async fn get_and_head_say_the_same() {
    let face = Face::new();
    let file = face.files.file(face.dir.path(), JAR, b"0123456789");
    let get = face.get(URL).await;
    assert_eq!((get.status, &get.body[..]), (StatusCode::OK, &b"0123456789"[..]));
    let etag = format!("\"{}\"", file.digests.sha256);
    let all = file.digests.all().unwrap();
    for (name, value) in [
        ("content-length", "10"),
        ("content-type", "application/java-archive"),
        ("etag", &etag),
        ("last-modified", "Tue, 14 Nov 2023 22:13:20 GMT"),
        ("accept-ranges", "bytes"),
        ("x-checksum-sha1", &all.sha1.to_string()),
        ("x-checksum-md5", &all.md5.to_string()),
        ("x-checksum-sha256", &all.sha256.to_string()),
        ("x-checksum-sha512", &all.sha512.to_string()),
        ("x-pyrsia-provenance", "verified"),
        ("content-security-policy", "sandbox; default-src 'none'; frame-ancestors 'none'"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(get.header(name), Some(value), "{name}");
    }
    assert!(get.headers.keys().all(|name| !name.as_str().starts_with("access-control")));
    let head = face.ask("HEAD", URL, &[], "").await;
    assert_eq!(head.status, StatusCode::OK);
    assert_eq!(head.headers, get.headers);
    assert!(head.body.is_empty());
}

#[tokio::test]
async fn checksums_that_are_not_known_are_left_out() {
    let face = Face::new();
    let mut file = face.files.file(face.dir.path(), JAR, b"0123456789");
    file.digests.others = None;
    face.files.set(JAR, Ok(Answer::File(file.clone())));
    let get = face.get(URL).await;
    assert_eq!(get.header("x-checksum-sha256"), Some(file.digests.sha256.to_string().as_str()));
    for name in ["x-checksum-sha1", "x-checksum-md5", "x-checksum-sha512"] {
        assert_eq!(get.header(name), None, "{name}");
    }
}

#[tokio::test]
async fn large_files_are_streamed_whole_and_in_part() {
    let face = Face::new();
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    face.files.file(face.dir.path(), JAR, &bytes);
    assert_eq!(face.get(URL).await.body, bytes);
    let part = face.ask("GET", URL, &[("range", "bytes=1000000-2000000")], "").await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.header("content-range"), Some("bytes 1000000-2000000/3000000"));
    assert_eq!(part.body, bytes[1_000_000..=2_000_000]);
}

#[tokio::test]
async fn ranges_and_conditions() {
    let face = Face::new();
    let file = face.files.file(face.dir.path(), JAR, b"0123456789");
    let etag = format!("\"{}\"", file.digests.sha256);
    let part = face.ask("GET", URL, &[("range", "bytes=2-4")], "").await;
    assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &b"234"[..]));
    assert_eq!((part.header("content-range"), part.header("content-length")), (Some("bytes 2-4/10"), Some("3")));

    let beyond = face.ask("GET", URL, &[("range", "bytes=10-")], "").await;
    assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
    assert_eq!((beyond.header("content-range"), beyond.body.len()), (Some("bytes */10"), 0));

    let resumed = [("range", "bytes=2-4"), ("if-range", "\"another\"")];
    assert_eq!(face.ask("GET", URL, &resumed, "").await.status, StatusCode::OK);

    for method in ["GET", "HEAD"] {
        for condition in [("if-none-match", etag.as_str()), ("if-modified-since", "Tue, 14 Nov 2023 22:13:20 GMT")] {
            let same = face.ask(method, URL, &[condition], "").await;
            assert_eq!((same.status, same.body.len()), (StatusCode::NOT_MODIFIED, 0), "{method} {condition:?}");
            assert_eq!(same.header("etag"), Some(etag.as_str()));
            assert_eq!(same.header("content-length"), Some("10"));
        }
        let changed = face.ask(method, URL, &[("if-none-match", "\"another\"")], "").await;
        assert_eq!(changed.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn small_documents() {
    let face = Face::new();
    let path = format!("{JAR}.sha1");
    let text = b"a9993e364706816aba3e25717850c26c9cd0d89d".to_vec();
    face.files.set(&path, Ok(Answer::Generated(Generated::new(path.parse().unwrap(), text.clone(), Some(DATE)))));
    let get = face.get(&format!("{URL}.sha1")).await;
    assert_eq!((get.status, &get.body[..]), (StatusCode::OK, &text[..]));
    assert_eq!(get.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(get.header("x-pyrsia-provenance"), None);
    let head = face.ask("HEAD", &format!("{URL}.sha1"), &[], "").await;
    assert_eq!((&head.headers, head.body.len()), (&get.headers, 0));
    let part = face.ask("GET", &format!("{URL}.sha1"), &[("range", "bytes=-2")], "").await;
    assert_eq!((part.status, &part.body[..]), (StatusCode::PARTIAL_CONTENT, &b"9d"[..]));
}

#[tokio::test]
async fn each_failure_has_its_status_and_only_absence_is_404() {
    let face = Face::new();
    let path = || JAR.parse().unwrap();
    let upstream = |timed_out| RepositoryError::Upstream { path: path(), detail: "429".to_owned(), timed_out };
    let sha256 = Sha256::of(b"x");
    for (error, status, kind) in [
        (upstream(false), 502, "/problems/upstream-failed"),
        (upstream(true), 504, "/problems/upstream-timeout"),
        (RepositoryError::BytesMissing { path: path(), sha256 }, 503, "/problems/bytes-missing"),
        (RepositoryError::Local { path: path(), detail: "disk".to_owned() }, 500, "/problems/local"),
    ] {
        face.files.set(JAR, Err(error));
        let answer = face.get(URL).await;
        assert_eq!(answer.status.as_u16(), status);
        let problem = answer.problem();
        assert_eq!(problem.kind, kind);
        assert!(problem.next.is_some() && problem.detail.unwrap().contains(JAR));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let head = face.ask("HEAD", URL, &[], "").await;
        assert_eq!((head.status, &head.headers, head.body.len()), (answer.status, &answer.headers, 0));
    }
    face.files.set(JAR, Ok(Answer::Absent));
    assert_eq!(face.get(URL).await.status, StatusCode::NOT_FOUND);
    face.files.set(
        JAR,
        Ok(Answer::Withheld(Withheld {
            reason: WithheldReason::Different,
            coordinates: Some("org.acme:lib:1.0".parse().unwrap()),
            detail: "why".to_owned(),
            next: "what".to_owned(),
        })),
    );
    let withheld = face.get(URL).await;
    assert_eq!(withheld.status, StatusCode::FORBIDDEN);
    let problem = withheld.problem();
    assert_eq!(problem.reason.as_deref(), Some("different"));
    assert_eq!(problem.coordinates.as_deref(), Some("org.acme:lib:1.0"));
    assert_eq!((problem.detail.as_deref(), problem.next.as_deref()), (Some("why"), Some("what")));
}

#[tokio::test]
async fn damaged_files_are_not_served() {
    let face = Face::new();
    let file = face.files.file(face.dir.path(), JAR, b"0123456789");
    std::fs::write(&file.blob_path, b"9876543210").unwrap();
    assert_eq!(face.get(URL).await.status, StatusCode::INTERNAL_SERVER_ERROR);
    std::fs::remove_file(&file.blob_path).unwrap();
    let gone = face.get(URL).await;
    assert_eq!(gone.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(gone.header("etag"), None);
    let large = vec![7u8; 1_000_000];
    let file = face.files.file(face.dir.path(), JAR, &large);
    std::fs::write(&file.blob_path, &large[1..]).unwrap();
    assert_eq!(face.get(URL).await.status, StatusCode::INTERNAL_SERVER_ERROR);
}

#[tokio::test]
async fn nothing_is_uploaded() {
    let face = Face::new();
    for method in ["PUT", "POST", "DELETE", "PATCH", "OPTIONS", "MKCOL"] {
        for url in [URL, "/maven2/"] {
            let answer = face.ask(method, url, &[], "bytes").await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
            assert!(answer.problem().next.unwrap().contains("pyrsia-maven build"));
        }
    }
    assert!(face.files.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn hostile_paths_reach_nothing() {
    let face = Face::new();
    for path in [
        "/%2F%2F%2F%2F%2F%2F%2F..%2F..%2F..%2F..%2F..%2F..%2F..%2Fetc%2Fpasswd",
        "%2F%2F%2F..%2F..%2Fetc%2Fpasswd",
        "..%2f..%2fetc/passwd",
        "../../etc/passwd",
        "org/../../etc/passwd",
        "org/%2e%2e/%2e%2e/etc/passwd",
        "org/.%2e/etc/passwd",
        "org/./acme",
        "org/%252e%252e/etc/passwd",
        "org/..%5c..%5cetc",
        "org\\..\\etc",
        "org//acme/lib.jar",
        "/etc/passwd",
        "org/acme%00.jar",
        "org/acme%0d%0aset-cookie:x",
        "org/%ff%fe",
        "org/%zz",
        "org/%",
        "org/acme%3fx",
        "C:%5cwindows",
    ] {
        // Not every one of these is a URI; what the parser of the server refuses never gets here.
        let url = format!("/maven2/{path}");
        if url.parse::<axum::http::Uri>().is_err() {
            continue;
        }
        for method in ["GET", "HEAD"] {
            assert_eq!(face.ask(method, &url, &[], "").await.status, StatusCode::BAD_REQUEST, "{method} {path}");
        }
    }
    // Beside the prefix there is nothing at all.
    for url in ["/%2F%2F..%2F..%2Fetc%2Fpasswd", "/maven2%2F..%2Fetc", "//maven2/org/a.jar", "/maven2/../api/v1/status"]
    {
        let status = face.get(url).await.status;
        assert!(status == StatusCode::NOT_FOUND || status == StatusCode::BAD_REQUEST, "{url}: {status}");
    }
    let long = format!("/maven2/{}", "a".repeat(5000));
    assert_eq!(face.get(&long).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(*face.files.asked.lock().unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_path_is_decoded_exactly_once() {
    let face = Face::new();
    face.get("/maven2/org/acme/lib/1.0%2Bb/lib-1.0+b.jar?x=../y#z").await;
    face.get("/maven2/org/acme/").await;
    assert_eq!(*face.files.asked.lock().unwrap(), ["org/acme/lib/1.0+b/lib-1.0+b.jar"]);
    assert_eq!(face.get("/maven2/org/acme/").await.status, StatusCode::NOT_FOUND);
    assert_eq!(face.get("/maven2/").await.status, StatusCode::OK);
}

#[tokio::test]
async fn all_checksums_have_a_media_type_of_their_own() {
    let face = Face::new();
    for algorithm in ChecksumAlgorithm::ALL {
        let path = format!("{JAR}.{}", algorithm.extension());
        face.files.set(&path, Ok(Answer::Generated(Generated::new(path.parse().unwrap(), b"00".to_vec(), None))));
        let answer = face.get(&format!("/maven2/{path}")).await;
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"));
        assert_eq!(answer.header("last-modified"), None);
    }
}

#[tokio::test]
async fn several_ranges_come_as_parts() {
    for size in [5_000u32, 5_000_000] {
        let face = Face::new();
        let bytes: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
        let file = face.files.file(face.dir.path(), JAR, &bytes);
        for _ in 0..2 {
            let answer = face.ask("GET", URL, &[("range", "bytes=4000-4003, 0-0, -2")], "").await;
            assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
            let boundary = file.digests.sha256.to_string();
            assert_eq!(
                answer.header("content-type"),
                Some(format!("multipart/byteranges; boundary={boundary}").as_str())
            );
            let mut expected = Vec::new();
            for range in [4000..4004, 0..1, size - 2..size] {
                let head = format!(
                    "\r\n--{boundary}\r\ncontent-type: application/java-archive\r\n\
                     content-range: bytes {}-{}/{size}\r\n\r\n",
                    range.start,
                    range.end - 1
                );
                expected.extend_from_slice(head.as_bytes());
                expected.extend_from_slice(&bytes[range.start as usize..range.end as usize]);
            }
            expected.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
            assert!(answer.body == expected, "{}", String::from_utf8_lossy(&answer.body));
            assert_eq!(answer.header("content-length"), Some(expected.len().to_string().as_str()));
        }
    }
}

#[tokio::test]
async fn a_download_of_other_bytes_is_not_continued() {
    let face = Face::new();
    face.files.file(face.dir.path(), JAR, b"0123456789");
    let old = face.get(URL).await.header("etag").unwrap().to_owned();
    face.files.file(face.dir.path(), JAR, b"abcdefghij");
    let answer = face.ask("GET", URL, &[("range", "bytes=5-"), ("if-match", &old)], "").await;
    assert_eq!((answer.status, &answer.body[..]), (StatusCode::PRECONDITION_FAILED, &b""[..]));
    assert_eq!(face.get(URL).await.body, &b"abcdefghij"[..]);
}

#[tokio::test]
async fn answers_that_stay_are_asked_for_once_until_the_ledger_says_something_else() {
    let face = Face::new();
    face.files.file(face.dir.path(), JAR, b"0123456789");
    let asked = || face.files.asked.lock().unwrap().len();
    for _ in 0..3 {
        assert_eq!(face.get(URL).await.body, &b"0123456789"[..]);
        assert!(face.ask("HEAD", URL, &[], "").await.body.is_empty());
        assert_eq!(face.ask("GET", URL, &[("range", "bytes=1-2")], "").await.body, &b"12"[..]);
        face.get("/maven2/org/acme/none/1.0/none-1.0.jar").await;
    }
    assert_eq!(asked(), 2);
    face.files.file(face.dir.path(), JAR, b"abc");
    assert_eq!(face.get(URL).await.body, &b"abc"[..]);
    assert_eq!(asked(), 3);
    // What may change is asked for each time.
    let mut file = face.files.file(face.dir.path(), JAR, b"changing");
    file.immutable = false;
    face.files.set(JAR, Ok(Answer::File(file)));
    for _ in 0..3 {
        assert_eq!(face.get(URL).await.body, &b"changing"[..]);
    }
    assert_eq!(asked(), 6);
    // Who may not ask does not get what is ready either.
    let foreign = face.ask("GET", URL, &[("host", "attacker.example")], "").await;
    assert_eq!(foreign.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn what_is_handed_out_and_what_is_not_is_told_whichever_way_it_went() {
    let face = Face::new();
    let told = || std::mem::take(&mut *face.served.told.lock().unwrap());
    face.files.file(face.dir.path(), JAR, b"0123456789");
    // Only what may be kept is answered from memory; a large file never is.
    let large = "org/acme/lib/1.0/lib-1.0-large.jar";
    face.files.file(face.dir.path(), large, &vec![0; 3 << 20]);
    let count = |times| (JAR.to_owned(), "verified", times);
    for _ in 0..5 {
        face.get(URL).await;
    }
    face.ask("HEAD", URL, &[], "").await;
    face.get(&format!("{URL}.sha1")).await;
    assert_eq!(told(), [], "nobody is told at once");
    face.get(&format!("/maven2/{large}")).await;
    face.get(&format!("/maven2/{large}")).await;
    assert_eq!(told(), [(large.to_owned(), "verified", 1), (large.to_owned(), "verified", 1)]);
    face.get("/api/v1/served").await;
    assert_eq!(told(), [count(5)]);
    // The ledger says something else: the file is asked for again, and what was counted before is told as it was.
    face.get(URL).await;
    let withheld = Withheld {
        reason: WithheldReason::Blocked,
        coordinates: None,
        detail: "blocked".to_owned(),
        next: "another".to_owned(),
    };
    face.files.set(JAR, Ok(Answer::Withheld(withheld)));
    face.get(URL).await;
    face.get(&format!("{URL}.sha1")).await;
    face.get("/api/v1/served").await;
    assert_eq!(told(), [(JAR.to_owned(), "blocked", 0), count(1)]);
}
