//! Searches, as tools ask Maven Central's service.

use std::time::Duration;

use pyrsia_digest::Sha1;
use pyrsia_tests::http;
use pyrsia_tests::node::Node;
use pyrsia_tests::places;
use pyrsia_tests::process;
use pyrsia_tests::upstream::Upstream;
use serde_json::{Value, json};

fn select(node: &Node, query: &str) -> Value {
    http::get(&format!("{}/solrsearch/select?{query}", node.url())).expect(200).json()
}

fn ids(answer: &Value) -> Vec<String> {
    let docs = answer["response"]["docs"].as_array().expect("docs");
    docs.iter().map(|doc| doc["id"].as_str().expect("an id").to_owned()).collect()
}

/// A JAR of these entries.
fn jar(entries: &[&str]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for entry in entries {
        writer.start_file(*entry, zip::write::SimpleFileOptions::default()).expect("an entry");
    }
    writer.finish().expect("a JAR").into_inner()
}

/// Asks until there is an answer: classes are looked up in the background.
fn found_in_the_end(node: &Node, query: &str) -> Vec<String> {
    let begun = std::time::Instant::now();
    loop {
        let found = ids(&select(node, query));
        if !found.is_empty() || begun.elapsed() > std::time::Duration::from_secs(60) {
            return found;
        }
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
}

#[test]
fn classes_are_found_in_the_jars_that_are_here() {
    let upstream = Upstream::start();
    let classes = jar(&["org/acme/Main.class", "org/acme/Main$Inner.class", "module-info.class", "Bare.class"]);
    upstream.put_release("org.acme", "lib", "1.0", classes.clone());
    upstream.put_release("org.acme", "lib", "1.1", jar(&["org/acme/Main.class", "org/acme/New.class"]));
    upstream.put_release("com.example", "other", "1.0", jar(&["com/example/Main.class"]));
    upstream.put_release("com.example", "broken", "1.0", *b"no archive at all");
    upstream.put("org/acme/lib/1.0/lib-1.0-sources.jar", classes);
    let mut node = Node::start("search-classes", &["--no-builder", "--upstream", &upstream.url()]);
    let all = ["com/example/broken/1.0/broken-1.0", "org/acme/lib/1.0/lib-1.0", "org/acme/lib/1.1/lib-1.1"];
    for path in all.into_iter().chain(["org/acme/lib/1.0/lib-1.0-sources", "com/example/other/1.0/other-1.0"]) {
        node.artifact(&format!("{path}.jar")).expect(200);
    }
    assert_eq!(found_in_the_end(&node, "q=fc:com.example.Main&wt=json"), ["com.example:other:1.0"]);
    assert_eq!(found_in_the_end(&node, "q=c:New"), ["org.acme:lib:1.1"]);
    for (query, expected) in [
        ("q=c:main&rows=20&wt=json", &["com.example:other:1.0", "org.acme:lib:1.1", "org.acme:lib:1.0"][..]),
        ("q=fc:%22org.acme.Main%22", &["org.acme:lib:1.1", "org.acme:lib:1.0"]),
        ("q=fc:org.acme.Main+AND+v:1.0", &["org.acme:lib:1.0"]),
        ("q=c:Main+AND+g:com.example", &["com.example:other:1.0"]),
        ("q=c:Main+exam", &["com.example:other:1.0"]),
        ("q=c:Main&rows=1&start=1", &["org.acme:lib:1.1"]),
        ("q=fc:Bare", &["org.acme:lib:1.0"]),
        ("q=c:Inner", &[]),
        ("q=fc:org.acme.Mai", &[]),
    ] {
        assert_eq!(ids(&select(&node, query)), expected, "{query}");
    }
    let class = http::get(&format!("{}/solrsearch/select?q=c:Main%24Inner", node.url())).expect(400);
    assert!(class.text().contains("inner"), "{}", class.text());
    // What was noted can be lost, and what was noted is known after a restart.
    node.stop();
    node.start_again();
    assert_eq!(ids(&select(&node, "q=c:New")), ["org.acme:lib:1.1"]);
    node.stop();
    let database = node.data().join("classes.db");
    for file in ["classes.db-wal", "classes.db-shm"] {
        let _ = std::fs::remove_file(node.data().join(file));
    }
    std::fs::remove_file(&database).expect("the database");
    node.start_again();
    assert_eq!(found_in_the_end(&node, "q=c:New"), ["org.acme:lib:1.1"]);
}

#[test]
fn a_class_that_many_have_is_told_page_by_page() {
    const RELEASES: u64 = 230;
    let upstream = Upstream::start();
    let mut expected = Vec::new();
    for number in 0..RELEASES {
        let own = format!("org/acme/Own{number}.class");
        let (artifact, version) = (format!("lib{:02}", number % 20), format!("1.{}", number / 20));
        upstream.put_release("org.acme", &artifact, &version, jar(&["org/acme/Same.class", &own]));
        expected.push((artifact, number / 20, version));
    }
    expected.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    let node = Node::start("search-pages", &["--no-builder", "--upstream", &upstream.url()]);
    for (artifact, _, version) in &expected {
        node.artifact(&format!("org/acme/{artifact}/{version}/{artifact}-{version}.jar")).expect(200);
    }
    let all = process::until(Duration::from_secs(60), || {
        (select(&node, "q=c:Same&rows=0")["response"]["numFound"] == RELEASES).then_some(())
    });
    assert!(all.is_some(), "{:#}", select(&node, "q=c:Same&rows=1"));
    let expected: Vec<String> = expected.iter().map(|(artifact, _, of)| format!("org.acme:{artifact}:{of}")).collect();
    let pages = [0, 100, 200].map(|start| ids(&select(&node, &format!("q=c:Same&rows=100&start={start}"))));
    assert_eq!(pages.concat(), expected);
    assert!(ids(&select(&node, "q=c:Same&start=230")).is_empty());
    let narrow = select(&node, "q=c:Same+AND+a:lib07+AND+p:jar&rows=2&start=1");
    assert_eq!(ids(&narrow), ["org.acme:lib07:1.10", "org.acme:lib07:1.9"]);
    assert_eq!(narrow["response"]["numFound"], 12);
}

#[test]
fn what_the_policy_withholds_is_not_told() {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "lib", "1.0", jar(&["org/acme/Main.class"]));
    upstream.put_release("com.example", "tool", "1.0", *b"a tool");
    let folder = places::scratch("search-policy");
    let config = folder.path().join("config.toml");
    std::fs::write(&config, "[policy.groups]\n\"org.acme\" = \"verified\"\n").expect("a configuration");
    let (config, url) = (config.display().to_string(), upstream.url());
    let node = Node::start("search-policy", &["--config", &config, "--no-builder", "--upstream", &url]);
    // The node has it then, for a later rebuild to be compared with.
    node.artifact("org/acme/lib/1.0/lib-1.0.jar").expect(403);
    node.artifact("com/example/tool/1.0/tool-1.0.jar").expect(200);
    assert_eq!(ids(&select(&node, "q=tool")), ["com.example:tool"]);
    let sha1 = Sha1::of(&jar(&["org/acme/Main.class"]));
    for query in ["q=lib", "q=g:org.acme", "q=g:org.acme+AND+a:lib&core=gav", &format!("q=1:{sha1}"), "q=c:Main"] {
        assert!(ids(&select(&node, query)).is_empty(), "{query}");
    }
}

#[test]
fn what_was_served_is_found_as_the_service_would_tell_it() {
    let upstream = Upstream::start();
    for version in ["1.9", "1.10", "2.0-beta1"] {
        upstream.put_release("org.acme", "lib-core", version, format!("lib {version}"));
    }
    upstream.put("org/acme/lib-core/1.10/lib-core-1.10-sources.jar", *b"its sources");
    upstream.put_release("com.example", "tool", "1.0", *b"a tool");
    upstream.put_release("com.example", "never", "1.0", *b"never asked for");
    let node = Node::start("search", &["--no-builder", "--upstream", &upstream.url()]);
    for version in ["1.9", "1.10", "2.0-beta1"] {
        for extension in ["pom", "jar"] {
            node.artifact(&format!("org/acme/lib-core/{version}/lib-core-{version}.{extension}")).expect(200);
        }
    }
    node.artifact("org/acme/lib-core/1.10/lib-core-1.10-sources.jar").expect(200);
    node.artifact("com/example/tool/1.0/tool-1.0.jar").expect(200);

    let found = select(&node, "q=g:org.acme%20AND%20a:%22lib-core%22&core=gav&rows=2&wt=json");
    assert_eq!(ids(&found), ["org.acme:lib-core:2.0-beta1", "org.acme:lib-core:1.10"]);
    assert_eq!(found["response"]["numFound"], 3);
    assert_eq!(found["responseHeader"]["status"], 0);
    let release = &found["response"]["docs"][1];
    assert_eq!(release["v"], "1.10");
    assert_eq!(release["p"], "jar");
    assert_eq!(release["ec"], json!(["-sources.jar", ".jar", ".pom"]));
    assert!(release["timestamp"].as_u64().expect("a time in milliseconds") > 1_700_000_000_000);
    assert_eq!(ids(&select(&node, "q=g:org.acme+AND+a:lib-core&core=gav&start=2")), ["org.acme:lib-core:1.9"]);

    let artifacts = select(&node, "q=lib");
    assert_eq!(ids(&artifacts), ["org.acme:lib-core"]);
    let newest = &artifacts["response"]["docs"][0];
    assert_eq!((&newest["latestVersion"], &newest["versionCount"]), (&json!("2.0-beta1"), &json!(3)));

    let xml = http::get(&format!("{}/solrsearch/select?q=a:lib-core&core=gav&rows=1&wt=xml", node.url())).expect(200);
    assert_eq!(xml.header("content-type"), Some("application/xml; charset=UTF-8"));
    let xml = xml.text();
    assert!(xml.contains(r#"<result name="response" numFound="3" start="0"><doc>"#), "{xml}");
    assert!(xml.contains(r#"<str name="id">org.acme:lib-core:2.0-beta1</str>"#), "{xml}");

    let sha1 = Sha1::of(b"lib 1.10");
    let by_file = select(&node, &format!("q=1:%22{sha1}%22&rows=20&wt=json"));
    assert_eq!(ids(&by_file), ["org.acme:lib-core:1.10"]);
    assert_eq!(by_file["response"]["docs"][0]["v"], "1.10");
    for (query, expected) in [
        ("q=g:org.acme+AND+a:lib-core+AND+l:sources&core=gav", &["org.acme:lib-core:1.10"][..]),
        ("q=a:lib-core+AND+v:1.9&core=gav", &["org.acme:lib-core:1.9"]),
        ("q=g:com.example", &["com.example:tool"]),
        ("q=never", &[]),
        ("q=g:org.acme+AND+a:lib-core+AND+p:war&core=gav", &[]),
    ] {
        assert_eq!(ids(&select(&node, query)), expected, "{query}");
    }
    for query in ["", "q=", "q=x:1", "q=lib*", "q=lib&wt=php", "q=v:1.0", "q=lib&rows=-1", "q=%22"] {
        let problem = http::get(&format!("{}/solrsearch/select?{query}", node.url())).expect(400);
        assert_eq!(problem.header("content-type"), Some("application/problem+json"), "{query}");
    }
}
