//! Holes that other repository servers had, replayed: paths out of the repository, archives that unpack themselves,
//! expressions. More of them in the files beside this one.

use std::io::{Cursor, Write as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pyrsia_tests::http::{self, Response};
use pyrsia_tests::node::{self, Node};
use pyrsia_tests::places;
use pyrsia_tests::process;
use pyrsia_tests::upstream::Upstream;

const JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";

/// A node in front of an upstream with one release.
pub fn mirror(name: &str) -> (Upstream, Node) {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "lib", "1.0", *b"a jar");
    let node = Node::start(name, &["--no-builder", "--upstream", &upstream.url()]);
    (upstream, node)
}

/// What only the node may know.
fn token(node: &Node) -> String {
    std::fs::read_to_string(node.data().join("keys/api.token")).expect("the token").trim().to_owned()
}

/// Fails if an answer shows a file of the machine.
#[track_caller]
fn shows_no_file(answer: &Response, token: &str, what: &str) {
    let text = answer.text();
    for secret in [token, "SQLite format 3", "root:x:0:0", "PRIVATE KEY"] {
        assert!(!text.contains(secret), "{what} shows {secret:?}");
    }
}

/// CVE-2024-4956 (Nexus 3) left the folder of static files, CVE-2024-36117 (Reposilite) that of artifacts, for the database
/// and its passwords. Here no part of a path becomes a part of a file's name, so every way out leads nowhere.
#[test]
fn no_path_leads_to_the_database_the_keys_or_the_machine() {
    let (upstream, node) = mirror("holes-paths");
    let token = token(&node);
    let files =
        ["index.db", "ledger.db", "keys/api.token", "keys/authority.key", "config.toml", "network.json", "lock"];
    for (file, present) in files.map(|file| (file, node.data().join(file).exists())) {
        // At least the first ones are really there to be taken.
        assert!(present || !matches!(file, "index.db" | "ledger.db" | "keys/api.token"), "{file} is not where it was");
    }
    let out = [
        "../",
        "..%2f",
        "..%2F",
        "%2e%2e/",
        "%2e%2e%2f",
        ".%2e/",
        "%252e%252e%252f",
        "..%252f",
        "%25252e%25252e%25252f",
        "..\\",
        "..%5c",
        "%2e%2e%5c",
        "..%255c",
        "..;/",
        "..%00/",
        "..%0d%0a/",
        "..%09/",
        ".../",
        "....//",
        // The dot, the slash and the backslash in too many bytes, as code points of their own, and as IIS wrote them.
        "%c0%ae%c0%ae/",
        "%c0%ae%c0%ae%c0%af",
        "%e0%80%ae%e0%80%ae%e0%80%af",
        "%f0%80%80%ae%f0%80%80%ae/",
        "..%c0%af",
        "..%c1%9c",
        "%ef%bc%8e%ef%bc%8e%ef%bc%8f",
        "%e2%80%a5/",
        "..%e2%88%95",
        "..%ef%bc%bc",
        "%u002e%u002e%u002f",
        "%uff0e%uff0e%u2215",
    ];
    let mut targets = vec![
        // As it was published for Nexus.
        "/%2F%2F%2F%2F%2F%2F%2F..%2F..%2F..%2F..%2F..%2F..%2F..%2Fetc%2Fpasswd".to_owned(),
        "//////../../../../etc/passwd".to_owned(),
        "/maven2/file:///etc/passwd".to_owned(),
        "/maven2/jar:file:///etc/passwd!/".to_owned(),
        format!("/maven2/{}", node.data().join("keys/api.token").display()),
        format!("/maven2/{}", node.data().join("keys/api.token").display().to_string().replace('/', "%2F")),
        format!("/maven2//{}", node.data().join("ledger.db").display()),
    ];
    for way in out {
        for root in ["/maven2/", "/maven2/org/acme/", "/log/tile/", "/builds/", "/api/v1/files/", "/"] {
            for times in [1, 2, 6] {
                targets.push(format!("{root}{}keys/api.token", way.repeat(times)));
            }
        }
        targets.extend(files.map(|file| format!("/maven2/{way}{file}")));
        targets.push(format!("/maven2/{}etc/passwd", way.repeat(12)));
    }
    for target in &targets {
        for method in ["GET", "HEAD"] {
            let answer = http::send(node.url(), method, target, &[], b"").expect("an answer");
            assert!(matches!(answer.status, 400 | 404), "{method} {target}: {}: {}", answer.status, answer.text());
            shows_no_file(&answer, &token, target);
            // Decoded once, twice or three times: it is no path, and nothing is looked for.
            let plain =
                target.replace("%25", "%").replace("%25", "%").replace("%2e", ".").replace("...", "").to_lowercase();
            let out = ["../", "..%2f", "..\\", "..%5c", "%c0", "%00"].iter().any(|way| plain.contains(way));
            let refused = answer.status == 400 || !out || !target.starts_with("/maven2/");
            assert!(refused, "{method} {target} was looked for");
        }
    }
    // What is left are names like `...` in a repository: they may be looked for upstream, as they are.
    for (_, path) in upstream.requests() {
        let out = path.split(['/', '\\']).any(|part| matches!(part, "" | "." | ".."));
        assert!(!out && !path.to_ascii_lowercase().contains("%2"), "upstream was asked for {path}");
    }
    assert_eq!(node.artifact(JAR).expect(200).body, b"a jar");
}

/// A zip whose names lead out of wherever it is unpacked.
fn slip(absolute: &Path) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let absolute = absolute.to_string_lossy();
    for name in ["../slipped", "../../../slipped", "..\\..\\slipped", "a/../../slipped", &absolute] {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).expect("an entry");
        archive.write_all(b"slipped out").expect("its bytes");
    }
    archive.finish().expect("an archive").into_inner()
}

/// CVE-2024-36116 (Reposilite) unpacked a javadoc archive for its viewer. Here a served archive is bytes and nothing else;
/// only `compare` looks into one, in memory.
#[test]
fn an_archive_with_names_that_lead_out_is_passed_on_and_never_unpacked() {
    let upstream = Upstream::start();
    let folder = places::scratch("holes-slip");
    let absolute = folder.path().join("slipped");
    let archive = slip(&absolute);
    let paths = ["javadoc.jar", "sources.jar", "bin.zip"].map(|end| format!("org/evil/slip/1/slip-1-{end}"));
    for path in &paths {
        upstream.put(path, archive.clone());
    }
    let data = folder.path().join("deep/er/data");
    let node = Node::start_at("holes-slip", &data, &["--no-builder", "--upstream", &upstream.url()]);
    for path in &paths {
        assert_eq!(node.artifact(path).expect(200).body, archive, "{path}");
        // A viewer's address, as there was one.
        for inside in ["/raw/index.html", "!/slipped", "/../slipped"] {
            assert_ne!(node.artifact(&format!("{path}{inside}")).status, 200);
        }
    }
    let work = folder.path().join("deep/work");
    std::fs::create_dir_all(&work).expect("a folder");
    for name in ["left.jar", "right.jar"] {
        std::fs::write(work.join(name), &archive).expect("a written archive");
    }
    let compared = process::run(
        node::program().args(["compare", "left.jar", "right.jar"]).current_dir(&work),
        Duration::from_secs(30),
    );
    // Equal, or refused for its names: the text says which, the folder shows what else it did.
    assert!(matches!(compared.code, 0 | 1), "{}", compared.report());
    let found =
        process::run(Command::new("find").arg(folder.path()).args(["-name", "*slipped*"]), Duration::from_secs(30));
    assert_eq!(found.expect(0).stdout, "", "nothing was unpacked");
}

/// CVE-2020-10199 (Nexus 3) evaluated what it was about to complain of. 51317 is what would come out.
#[test]
fn expressions_stay_the_text_that_they_are() {
    let (_upstream, node) = mirror("holes-expressions");
    let bearer = format!("Bearer {}", token(&node));
    let expressions = [
        "${7331*7}",
        "$\\A{7331*7}",
        "#{7331*7}",
        "%{7331*7}",
        "{{7331*7}}",
        "<%=7331*7%>",
        "*{7331*7}",
        "${{7331*7}}",
        "$(expr 7331 \\* 7)",
        "`expr 7331 \\* 7`",
        "${jndi:ldap://127.0.0.1:1/51317}",
        "{7331*7:d}{0}{}%d%s%n",
    ];
    for expression in expressions {
        let encoded: String = expression.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let raw = expression.replace(' ', "+");
        let mut answers = Vec::new();
        for text in [&encoded, &raw] {
            for target in [
                format!("/maven2/org/acme/{text}/1/x-1.jar"),
                format!("/maven2/{JAR}?x={text}"),
                format!("/api/v1/inspect/org.acme:{text}:1"),
                format!("/api/v1/builds?skip={text}"),
                format!("/api/v1/log?from={text}"),
                format!("/api/v1/files/{text}"),
                format!("/builds/{text}"),
                format!("/{text}"),
            ] {
                answers.push(http::send(node.url(), "GET", &target, &[], b"").expect("an answer"));
            }
        }
        for name in
            ["User-Agent", "Accept", "Referer", "X-Forwarded-For", "Range", "If-None-Match", "Authorization", "Cookie"]
        {
            let target = format!("/maven2/{JAR}");
            answers.push(http::send(node.url(), "GET", &target, &[(name, expression)], b"").expect("an answer"));
        }
        let text = serde_json::to_string(expression).expect("a JSON text");
        for (path, body) in [
            ("builds", format!("{{\"coordinates\":[{text}]}}")),
            ("builds", format!("{{\"coordinates\":[\"org.acme:lib:1.0\"],\"source\":{text},\"tag\":{text}}}")),
            ("blocks", format!("{{\"coordinates\":{text},\"reason\":{text}}}")),
            ("withdrawals", format!("{{\"coordinates\":{text},\"reason\":{text}}}")),
            ("namespaces", format!("{{\"group\":{text},\"repositories\":[{text}]}}")),
            ("images/fetch", format!("{{\"image\":{text},\"digest\":{text},{text}:1}}")),
        ] {
            let headers = [("Authorization", bearer.as_str()), ("Content-Type", "application/json")];
            let answer = http::send(node.url(), "POST", &format!("/api/v1/{path}"), &headers, body.as_bytes());
            let answer = answer.expect("an answer");
            assert!((400..500).contains(&answer.status) || answer.status == 503, "{path} {body}: {}", answer.text());
            answers.push(answer);
        }
        for answer in &answers {
            let head = format!("{:?}", answer.headers);
            // The one that holds the number itself may be repeated.
            let text = format!("{head}{}", answer.text()).replace("1/51317", "");
            assert!(!text.contains("51317"), "{expression} was evaluated: {} {text}", answer.status);
        }
    }
    let log = std::fs::read_to_string(node.log()).expect("the log").replace("1/51317", "");
    assert!(!log.contains("51317"), "nor in the log: {log}");
    node.artifact(JAR).expect(200);
}
