//! Who gets in, and what the requests of a client that is none of the usual ones come to.

use std::io::{Read as _, Write as _};
use std::process::Command;
use std::time::Duration;

use pyrsia_digest::FileDigests;
use pyrsia_tests::node::Node;
use pyrsia_tests::{http, places, process};

use super::{World, list};

const JAR: &str = "com/example/lib/1.0/lib-1.0.jar";
const LIST: &str = "releases/com/example/lib/maven-metadata.xml";

fn ask(world: &World, method: &str, path: &str, authorization: Option<&str>, body: &[u8]) -> http::Response {
    let headers: Vec<_> = authorization.map(|value| ("Authorization", value)).into_iter().collect();
    http::send(world.node.url(), method, &format!("/hosted/{path}"), &headers, body).expect("an answer")
}

#[test]
fn only_writers_write_and_only_where_they_may() {
    let world = World::quiet("hosted-writers");
    let jar = format!("releases/{JAR}");
    for (shown, status) in [
        (None, 401),
        (Some("Basic deployer".to_owned()), 401),
        (Some(world.basic("deployer").replace("Basic", "Bearer")), 401),
        (Some(format!("Bearer {}", "0".repeat(64))), 401),
        (Some(world.basic("narrow")), 403),
        // Readers, of the node or of another repository, are nobody on this listener.
        (Some(world.basic("ci")), 401),
        (Some(world.basic("team")), 401),
    ] {
        let answer = ask(&world, "PUT", &jar, shown.as_deref(), b"bytes").expect(status);
        assert_eq!(answer.header("www-authenticate").is_some_and(|value| value.starts_with("Basic ")), status == 401);
        assert_eq!(answer.json()["status"], status, "{shown:?}");
    }
    // The node's own token changes nothing here.
    let own = std::fs::read_to_string(world.node.data().join("keys/api.token")).expect("the token");
    ask(&world, "PUT", &jar, Some(&format!("Bearer {}", own.trim())), b"bytes").expect(401);
    // Somebody who reads the private one does not write there.
    ask(&world, "PUT", &format!("private/{JAR}"), Some(&world.basic("team")), b"bytes").expect(403);
    assert_eq!(world.files("releases", "entries").len() + world.files("private", "entries").len(), 0);

    world.put("deployer", &jar, b"bytes").expect(201);
    world.put("narrow", "releases/com/example/narrow/1/narrow-1.jar", b"bytes").expect(201);
    world.put("narrow", "releases/com/example/narrower/1/narrower-1.jar", b"bytes").expect(403);
    let bearer = format!("Bearer {}", world.token("deployer"));
    ask(&world, "PUT", "releases/com/example/lib/1.1/lib-1.1.jar", Some(&bearer), b"bytes").expect(201);
    for page in [("Origin", "https://attacker.example"), ("Sec-Fetch-Site", "cross-site")] {
        let basic = world.basic("deployer");
        let headers = [("Authorization", basic.as_str()), page];
        let target = "/hosted/releases/com/example/lib/2/lib-2.jar";
        http::send(world.node.url(), "PUT", target, &headers, b"x").expect("an answer").expect(403);
    }
    world.put("deployer", "releases/org/acme/lib/1.0/lib-1.0.jar", b"bytes").expect(403);
}

#[test]
fn who_reads_what_depends_on_the_listener_and_on_the_repository() {
    let world = World::quiet("hosted-readers");
    for id in ["releases", "private"] {
        world.put("deployer", &format!("{id}/{JAR}"), b"bytes").expect(201);
    }
    world.get(&format!("releases/{JAR}")).expect(200);
    world.get(&format!("private/{JAR}")).expect(401);
    for name in ["team", "deployer", "narrow"] {
        assert_eq!(
            ask(&world, "GET", &format!("private/{JAR}"), Some(&world.basic(name)), b"").expect(200).body,
            b"bytes"
        );
    }
    ask(&world, "GET", "private/org/acme/x/1/x-1.jar", Some(&world.basic("team")), b"").expect(403);
    // What is hosted is in no other repository.
    world.node.artifact(JAR).expect(404);

    let certificate = world.node.data().join("tls/certificate.pem");
    let curl = |user: Option<&str>, path: &str, more: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "-m", "20", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", "--cacert"]);
        command.arg(&certificate).args(more);
        if let Some(name) = user {
            command.args(["-u", &format!("{name}:{}", world.token(name))]);
        }
        command.arg(format!("{}/hosted/{path}", world.node.tls_url()));
        process::run(&mut command, Duration::from_secs(30)).expect(0).stdout
    };
    for path in
        [format!("releases/{JAR}"), format!("releases/{JAR}.sha1"), "releases/".to_owned(), "nothing/x".to_owned()]
    {
        assert_eq!(curl(None, &path, &[]), "2 401", "{path}");
        assert_eq!(curl(Some("team"), &path, &[]), "2 401", "{path}");
    }
    for (user, path, expected) in [
        ("ci", format!("releases/{JAR}"), "2 200"),
        ("deployer", format!("releases/{JAR}"), "2 200"),
        ("ci", "nothing/x".to_owned(), "2 404"),
        ("ci", format!("private/{JAR}"), "2 401"),
        ("team", format!("private/{JAR}"), "2 200"),
    ] {
        assert_eq!(curl(Some(user), &path, &[]), expected, "{user} {path}");
    }
    let file = world.folder.path().join("large.jar");
    let bytes: Vec<u8> = (0..3_500_000u32).map(|n| (n % 251) as u8).collect();
    std::fs::write(&file, &bytes).expect("a written file");
    let upload = ["-T", &file.to_string_lossy()];
    let path = "releases/com/example/large/1/large-1.jar";
    assert_eq!(curl(Some("ci"), path, &upload), "2 403", "a reader reads");
    assert_eq!(curl(None, path, &upload), "2 401");
    assert_eq!(curl(Some("deployer"), path, &upload), "2 201", "over HTTP/2");
    assert_eq!(curl(Some("deployer"), path, &[&upload[..], &["--http1.1"]].concat()), "1.1 200", "the same again");
    assert!(world.get(path).expect(200).body == bytes);
}

#[test]
fn paths_lead_nowhere_else() {
    let world = World::quiet("hosted-paths");
    let before = world.files("releases", "");
    for path in [
        "../../x",
        "com/example/../../../../x",
        "com/example/%2e%2e/%2e%2e/x",
        "com/example/..%2f..%2fkeys%2fapi.token",
        "com/example/%00/x",
        "com/example//x",
        "com/example/lib/1.0/lib-1.0.jar/",
        "com/example/lib/1.0/lib-1.0.jar%5c..%5cx",
        "com/example/lib/1.0/.",
        "com/example/maven-metadata-local.xml",
        "com/example/lib/1.0/other-1.0.jar",
        &format!("com/example/{0}/1/{0}-1-{0}.jar", "a".repeat(140)),
    ] {
        let answer = world.put("deployer", &format!("releases/{path}"), b"x");
        assert!(matches!(answer.status, 400 | 403), "{path}: {} {}", answer.status, answer.text());
        let read = world.get(&format!("releases/{path}"));
        assert!(matches!(read.status, 400 | 404), "{path}: {}", read.status);
    }
    assert_eq!(world.files("releases", ""), before);
    // One file where another one needs a folder.
    world.put("deployer", "releases/com/example/a/1/a-1.jar", b"x").expect(201);
    let below = "releases/com/example/a/1/a-1.jar/2/a-1.jar-2.pom";
    assert_eq!(world.put("deployer", below, b"x").expect(409).json()["type"], "/problems/occupied");
    world.get(below).expect(404);
    for method in ["DELETE", "POST", "MKCOL", "OPTIONS"] {
        let answer = ask(&world, method, "releases/com/example/a/1/a-1.jar", Some(&world.basic("deployer")), b"");
        assert_eq!(answer.expect(405).header("allow"), Some("GET, HEAD, PUT"), "{method}");
    }
}

#[test]
fn a_client_that_waits_is_asked_for_its_body_only_when_it_is_wanted() {
    let world = World::quiet("hosted-continue");
    world.put("deployer", &format!("releases/{JAR}"), b"here").expect(201);
    let refused = |authorization: &str, path: &str, length: u64, status: u16| {
        let head = format!(
            "PUT /hosted/{path} HTTP/1.1\r\nHost: HOST\r\nAuthorization: {authorization}\r\nExpect: 100-continue\r\n\
             Content-Length: {length}\r\nConnection: close\r\n\r\n"
        );
        let mut answer = Vec::new();
        world.open(&head, b"").read_to_end(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{path}: {answer}");
        assert!(!answer.contains("100 Continue"), "{answer}");
        answer.into_owned()
    };
    let deployer = world.basic("deployer");
    let new = "releases/com/example/lib/2.0/lib-2.0.jar";
    refused("Basic eDp5", new, 1000, 401);
    refused(&world.basic("narrow"), new, 1000, 403);
    refused(&deployer, "releases/com/example/lib/stray", 1000, 400);
    refused(&deployer, "releases/com/example/lib/2-SNAPSHOT/lib-2-20261122.072715-1.jar", 1000, 409);
    refused(&deployer, "snapshots/com/example/lib/2.0/lib-2.0.jar", 1000, 409);
    let large = refused(&deployer, new, 4_000_001, 413);
    assert!(large.contains("4000000 bytes"), "{large}");
    let other = refused(&deployer, &format!("releases/{JAR}"), 5, 409);
    let (status, _) = other.split_once("\r\n").expect("a status line");
    assert!(status.contains("never changes"), "the status line says why: {status}");
    refused(&deployer, "nothing/com/example/lib/2.0/lib-2.0.jar", 5, 404);

    let head = format!(
        "PUT /hosted/{new} HTTP/1.1\r\nHost: HOST\r\nAuthorization: {deployer}\r\nExpect: 100-continue\r\n\
         Content-Length: 5\r\nConnection: close\r\n\r\n"
    );
    let mut stream = world.open(&head, b"");
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).expect("the node asks");
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"bytes").expect("a sent body");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
    assert_eq!(world.get(new).expect(200).body, b"bytes");
}

#[test]
fn the_limit_holds_for_a_body_without_a_length_and_a_client_that_does_not_wait_gets_the_reason() {
    let world = World::quiet("hosted-limit");
    let path = "releases/com/example/lib/1/lib-1.jar";
    let head = format!(
        "PUT /hosted/{path} HTTP/1.1\r\nHost: HOST\r\nAuthorization: {}\r\nTransfer-Encoding: chunked\r\n\
         Connection: close\r\n\r\n",
        world.basic("deployer")
    );
    let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    for (size, status) in [(4_000_001, 413), (4_000_000, 201)] {
        let body = [chunk(&vec![7; size]), b"0\r\n\r\n".to_vec()].concat();
        let mut answer = String::new();
        world.open(&head, &body).read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{size}: {answer}");
        assert_eq!(world.get(path).status, if status == 201 { 200 } else { 404 });
        world.nothing_is_left("releases");
    }
    // All of a large body is sent before anybody looks for an answer.
    let body = vec![7; 20_000_000];
    let answer = ask(&world, "PUT", "releases/com/example/lib/2/lib-2.jar", Some("Basic eDp5"), &body);
    assert_eq!(answer.expect(401).json()["type"], "/problems/credentials-required");
    let answer = world.put("deployer", "releases/com/example/lib/2/lib-2.jar", &body);
    assert_eq!(answer.expect(413).json()["type"], "/problems/too-large");
}

#[test]
fn a_client_that_waited_and_was_asked_gets_the_reason_too() {
    let world = World::quiet("hosted-asked");
    let path = "releases/com/example/lib/1/lib-1.jar";
    let head = format!(
        "PUT /hosted/{path} HTTP/1.1\r\nHost: HOST\r\nAuthorization: {}\r\nTransfer-Encoding: chunked\r\n\
         Expect: 100-continue\r\nConnection: close\r\n\r\n",
        world.basic("deployer")
    );
    let mut stream = world.open(&head, b"");
    let mut asked = [0; 25];
    stream.read_exact(&mut asked).expect("the node asks");
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    // More than the sockets between the two hold, and more than is taken.
    let chunk = [format!("{:x}\r\n", 1_000_000).as_bytes(), &vec![7; 1_000_000], b"\r\n"].concat();
    for _ in 0..20 {
        stream.write_all(&chunk).expect("all of the body is taken");
    }
    stream.write_all(b"0\r\n\r\n").expect("its end too");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    world.get(path).expect(404);
    world.nothing_is_left("releases");
}

#[test]
fn a_listener_can_be_for_a_hosted_repository_alone() {
    let folder = places::scratch("hosted-alone");
    let token = "t".repeat(40);
    std::fs::write(folder.path().join("token"), &token).expect("a token");
    let text = format!(
        "[tls]\nlisten = \"0.0.0.0:0\"\n[[hosted]]\nid = \"releases\"\naccept = \"releases\"\n[[hosted.writers]]\n\
         name = \"deployer\"\ntoken_file = {:?}\n",
        folder.path().join("token")
    );
    let config = folder.path().join("config.toml");
    std::fs::write(&config, text).expect("a written configuration");
    let arguments = ["--no-builder", "--upstream", "none", "--config", &config.to_string_lossy()];
    let node = Node::start("hosted-alone", &arguments);
    let url = node.tls_url().replace("0.0.0.0", "127.0.0.1");
    let certificate = node.data().join("tls/certificate.pem");
    let curl = |path: &str, more: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "-m", "20", "-o", "/dev/null", "-w", "%{http_code}", "--cacert"]).arg(&certificate);
        command.args(more).arg(format!("{url}{path}"));
        process::run(&mut command, Duration::from_secs(30)).expect(0).stdout
    };
    let user = format!("deployer:{token}");
    let known = ["-u", user.as_str()];
    let jar = format!("/hosted/releases/{JAR}");
    let file = folder.path().join("token").to_string_lossy().into_owned();
    assert_eq!(curl(&jar, &[&known[..], &["-T", &file]].concat()), "201");
    assert_eq!(curl(&jar, &known), "200");
    assert_eq!(curl(&jar, &[]), "401");
    for path in ["/maven2/org/acme/a/1/a-1.jar", "/api/v1/status", "/", "/hosted/other/x"] {
        assert_eq!(curl(path, &[]), "401", "{path}");
        assert_eq!(curl(path, &known), "401", "{path}: a writer is no reader of the node");
    }
}

#[test]
fn of_many_who_deploy_at_the_same_time_none_loses_a_version() {
    let world = World::quiet("hosted-parallel");
    std::thread::scope(|scope| {
        for deployer in 0..8 {
            let world = &world;
            scope.spawn(move || {
                for number in 0..8 {
                    let version = format!("{deployer}.{number}");
                    let jar = format!("releases/com/example/lib/{version}/lib-{version}.jar");
                    world.put("deployer", &jar, version.as_bytes()).expect(201);
                    let document = list("lib", &[version]);
                    let answer = world.put("deployer", LIST, document.as_bytes());
                    assert!(matches!(answer.status, 200 | 201), "{}", answer.text());
                    // The checksum of the document that was sent, not of the one that it became a part of.
                    let sha1 = FileDigests::of(document.as_bytes()).sha1.to_string();
                    world.put("deployer", &format!("{LIST}.sha1"), sha1.as_bytes()).expect(200);
                }
            });
        }
    });
    let document = world.get(LIST).expect(200);
    for version in (0..8).flat_map(|deployer| (0..8).map(move |number| format!("{deployer}.{number}"))) {
        assert!(document.text().contains(&format!("<version>{version}</version>")), "{version}: {}", document.text());
    }
    let digests = FileDigests::of(&document.body);
    assert_eq!(world.get(&format!("{LIST}.sha1")).expect(200).text(), digests.sha1.to_string());
    assert_eq!(world.get(&format!("{LIST}.sha512")).expect(200).text(), digests.sha512.to_string());
    assert_eq!(document.header("x-checksum-sha1"), Some(digests.sha1.to_string().as_str()));
    assert_eq!(
        world.put("deployer", LIST, b"<metadata><versioning>").expect(400).json()["type"],
        "/problems/bad-document"
    );
    let bomb = b"<!DOCTYPE m [<!ENTITY a \"b\">]><metadata><groupId>&a;</groupId></metadata>";
    world.put("deployer", LIST, bomb).expect(400);
    assert_eq!(world.get(LIST).body, document.body);
}

#[test]
fn elsewhere_nothing_is_uploaded() {
    let world = World::quiet("hosted-elsewhere");
    let basic = world.basic("deployer");
    let headers = [("Authorization", basic.as_str())];
    let answer = http::send(world.node.url(), "PUT", &format!("/maven2/{JAR}"), &headers, b"x").expect("an answer");
    assert!(answer.expect(405).json()["next"].as_str().is_some_and(|next| next.contains("pyrsia-maven build")));
    for target in ["/", "/hosted.jar", "/hostedx/releases/x"] {
        let answer = http::send(world.node.url(), "PUT", target, &headers, b"x").expect("an answer");
        assert!(matches!(answer.status, 404 | 405), "{target}: {}", answer.status);
    }
}
