//! Searches, as tools ask Maven Central's service.

use pyrsia_digest::Sha1;
use pyrsia_tests::http;
use pyrsia_tests::node::Node;
use pyrsia_tests::upstream::Upstream;
use serde_json::{Value, json};

fn select(node: &Node, query: &str) -> Value {
    http::get(&format!("{}/solrsearch/select?{query}", node.url())).expect(200).json()
}

fn ids(answer: &Value) -> Vec<String> {
    let docs = answer["response"]["docs"].as_array().expect("docs");
    docs.iter().map(|doc| doc["id"].as_str().expect("an id").to_owned()).collect()
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

    let sha1 = Sha1::of(b"lib 1.10");
    let by_file = select(&node, &format!("q=1:%22{sha1}%22&rows=20&wt=json"));
    assert_eq!(ids(&by_file), ["org.acme:lib-core:1.10"]);
    assert_eq!(by_file["response"]["docs"][0]["v"], "1.10");
    for (query, expected) in [
        ("q=g:org.acme+AND+a:lib-core+AND+l:sources&core=gav", &["org.acme:lib-core:1.10"][..]),
        ("q=a:lib-core+AND+v:1.9&core=gav", &["org.acme:lib-core:1.9"]),
        ("q=g:com.example", &["com.example:tool"]),
        ("q=never", &[]),
        ("q=fc:org.acme.Main", &[]),
        ("q=g:org.acme+AND+a:lib-core+AND+p:war&core=gav", &[]),
    ] {
        assert_eq!(ids(&select(&node, query)), expected, "{query}");
    }
    for query in ["", "q=", "q=x:1", "q=lib*", "q=lib&wt=xml", "q=v:1.0", "q=lib&rows=-1", "q=%22"] {
        let problem = http::get(&format!("{}/solrsearch/select?{query}", node.url())).expect(400);
        assert_eq!(problem.header("content-type"), Some("application/problem+json"), "{query}");
    }
}
