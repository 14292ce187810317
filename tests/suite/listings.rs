//! Folders of the repository and its list of prefixes: complete where clients rely on it, and nothing in them that is not
//! served.

use pyrsia_tests::clients::GradleUser;
use pyrsia_tests::node::Node;
use pyrsia_tests::upstream::Upstream;
use pyrsia_tests::{http, places};

const JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";

fn metadata(artifact: &str, versions: &[&str]) -> String {
    let listed: String = versions.iter().map(|version| format!("<version>{version}</version>")).collect();
    format!(
        "<metadata><groupId>org.acme</groupId><artifactId>{artifact}</artifactId><versioning><versions>{listed}</versions>\
         <lastUpdated>20260101000000</lastUpdated></versioning></metadata>"
    )
}

/// The links of a page.
#[track_caller]
fn links(node: &Node, folder: &str) -> Vec<String> {
    let page = node.artifact(folder).expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.starts_with("sandbox")));
    let head = http::head(&format!("{}{folder}", node.maven2())).expect(200);
    assert_eq!(head.header("content-length"), page.header("content-length"));
    assert!(head.body.is_empty());
    let text = page.text();
    text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

#[test]
fn a_folder_shows_what_is_here_and_versions_as_the_document_has_them() {
    let upstream = Upstream::start();
    for (artifact, version) in [("lib", "1.0"), ("bare", "1.0"), ("bad", "1.0")] {
        upstream.put_release("org.acme", artifact, version, *b"a jar");
    }
    upstream.put("org/acme/lib/maven-metadata.xml", metadata("lib", &["0.9", "1.0", "2.0"]));
    let node = Node::start("listings", &["--no-builder", "--upstream", &upstream.url()]);
    assert_eq!(links(&node, ""), Vec::<String>::new());
    node.artifact("org/acme/lib/").expect(404);
    assert_eq!(upstream.requests(), [], "nobody is asked about a folder of which nothing is known");
    for artifact in ["lib", "bare", "bad"] {
        node.artifact(&format!("org/acme/{artifact}/1.0/{artifact}-1.0.jar")).expect(200);
    }
    node.artifact("org/acme/lib/1.0/lib-1.0.pom").expect(200);
    assert_eq!(links(&node, ""), ["org/"]);
    assert_eq!(links(&node, "org/acme/"), ["bad/", "bare/", "lib/"]);
    assert_eq!(links(&node, "org/acme/lib/"), ["0.9/", "1.0/", "2.0/"], "all that may be asked for, and no document");
    assert_eq!(links(&node, "org/acme/lib/1.0/"), ["lib-1.0.jar", "lib-1.0.pom"]);
    node.artifact("org/acme/lib/2.0/").expect(404);
    // Upstream has no document: a client that looks for the newest version would take the newest that happens to be here.
    node.artifact("org/acme/bare/").expect(404);
    assert_eq!(links(&node, "org/acme/bare/1.0/"), ["bare-1.0.jar"]);
    node.cli(&["block", "org.acme:bad:1.0", "--reason", "it steals"]).expect(0);
    assert_eq!(links(&node, "org/acme/"), ["bare/", "lib/"]);
    node.artifact("org/acme/bad/1.0/").expect(404);
    for hostile in ["..%2f..%2f/", "org/../", "org/%2e%2e/%2e%2e/", "%00/", "org//acme/"] {
        let status = node.artifact(hostile).status;
        assert!(matches!(status, 400 | 404), "{hostile}: {status}");
    }
    node.artifact(&format!("{JAR}/")).expect(404);
    // The whole is not known, so there is no list of it.
    node.artifact(".meta/prefixes.txt").expect(404);
}

#[test]
fn a_node_that_asks_nobody_knows_everything_that_it_has() {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "bare", "1.0", *b"a jar");
    let folder = places::scratch("listings-offline");
    let data = folder.path().join("data");
    let mut node = Node::start_at("listings-filled", &data, &["--no-builder", "--upstream", &upstream.url()]);
    node.artifact("org/acme/bare/1.0/bare-1.0.jar").expect(200);
    node.artifact("org/acme/bare/1.0/bare-1.0.pom").expect(200);
    assert_eq!(node.stop(), 0);
    let node = Node::start_at("listings-alone", &data, &["--no-builder", "--offline", "--upstream", &upstream.url()]);
    assert_eq!(links(&node, "org/acme/bare/"), ["1.0/"]);
    let prefixes = node.artifact(".meta/prefixes.txt").expect(200);
    assert_eq!(prefixes.text(), "## repository-prefixes/2.0\n/org/acme\n");
    node.artifact(".meta/prefixes.txt.sha1").expect(200);
}

#[test]
fn gradle_finds_the_newest_version_in_the_folder_where_there_is_no_document() {
    let upstream = Upstream::start();
    for version in ["1.0", "1.2", "2.0"] {
        upstream.put_release("org.acme", "bare", version, *b"a jar");
    }
    let folder = places::scratch("listings-gradle");
    let data = folder.path().join("data");
    let mut node = Node::start_at("listings-gradle", &data, &["--no-builder", "--upstream", &upstream.url()]);
    let work = folder.path().join("work");
    std::fs::create_dir(&work).expect("a folder");
    let script = "repositories { maven { url project.repository } }\nconfigurations { wanted }\n\
                  dependencies { wanted 'org.acme:bare:1.+' }\n\
                  task show { doLast { configurations.wanted.files.each { println it.name } } }\n";
    std::fs::write(work.join("build.gradle"), script).expect("a written file");
    for version in ["1.0", "1.2", "2.0"] {
        for extension in ["jar", "pom"] {
            node.artifact(&format!("org/acme/bare/{version}/bare-{version}.{extension}")).expect(200);
        }
    }
    // While others may have more, what happens to be here is no answer to the question for the newest.
    let asked = GradleUser::default().run(&work, &node.maven2(), &["-q", "show"]);
    assert_ne!(asked.code, 0, "{}", asked.report());
    assert!(asked.output().contains("Could not find any"), "{}", asked.report());
    assert_eq!(node.stop(), 0);
    let node = Node::start_at("listings-gradle-alone", &data, &["--no-builder", "--upstream", "none"]);
    let found = GradleUser::default().run(&work, &node.maven2(), &["-q", "show"]).expect(0);
    assert_eq!(found.stdout.trim(), "bare-1.2.jar", "{}", found.report());
}

#[test]
fn prefixes_are_told_where_every_upstream_has_its_groups() {
    let company = Upstream::start();
    company.put_release("com.example.tools", "lib", "1.0", *b"a jar");
    let folder = places::scratch("prefixes-config");
    let config = folder.path().join("config.toml");
    let upstreams = format!(
        "[[upstreams]]\nid = \"company\"\nurl = \"{}\"\ninclude = [\"com.example.*\", \"org.acme\"]\n",
        company.url()
    );
    std::fs::write(&config, upstreams).expect("a written file");
    let config = config.to_string_lossy().into_owned();
    let node = Node::start("prefixes", &["--no-builder", "--upstream", "none", "--config", &config]);
    let expected = "## repository-prefixes/2.0\n/com/example\n/org/acme\n";
    assert_eq!(node.artifact(".meta/prefixes.txt").expect(200).text(), expected);
    node.artifact("com/example/tools/lib/1.0/lib-1.0.jar").expect(200);
    assert_eq!(node.artifact(".meta/prefixes.txt").expect(200).text(), expected, "what comes is covered already");
    assert_eq!(company.gets(".meta/prefixes.txt"), 0, "an upstream's own list is never handed on");
    // With one that may have anything, nothing is known of the whole.
    let public = Upstream::start();
    let node = Node::start("prefixes-open", &["--no-builder", "--upstream", &public.url(), "--config", &config]);
    node.artifact(".meta/prefixes.txt").expect(404);
}
