//! XML of strangers: nothing that a document asks for is opened, fetched or expanded.

use std::time::{Duration, Instant};

use pyrsia_tests::process::resident_mib;
use pyrsia_tests::scripted::Scripted;
use pyrsia_tests::sources::Sources;
use pyrsia_tests::upstream::Upstream;

use crate::holes::mirror;

/// Time for any of these documents. They are read in well under a second; the machine may be busy.
const AT_ONCE: Duration = Duration::from_secs(5);
/// What a node may have more in memory afterwards, in MiB: the largest document and its tree, but no expansion.
const GROWTH: u64 = 96;
/// The exit code of the contract for a build without a source.
const NO_SOURCE: i32 = 22;

/// Entities that stand for ten of the one before, 3 GB in all; a single one of 1 MB that is named 3000 times; one that
/// stands for itself.
fn bombs() -> Vec<(&'static str, String)> {
    let mut laughs = "<!ENTITY a0 \"ha\">".to_owned();
    for at in 1..10 {
        laughs.push_str(&format!("<!ENTITY a{at} \"{}\">", format!("&a{};", at - 1).repeat(10)));
    }
    let long = format!("<!ENTITY a9 \"{}\">", "ha".repeat(500_000));
    vec![("laughs", laughs), ("quadratic", long), ("circle", "<!ENTITY a9 \"&b;\"><!ENTITY b \"&a9;\">".to_owned())]
}

/// Documents whose outermost element is `root`, each with its name, and whether whoever reads it has to refuse it.
fn evil(root: &str, secret: &str, elsewhere: &str) -> Vec<(String, Vec<u8>, bool)> {
    let inner = |text: &str| format!("<{root}><groupId>{text}</groupId><artifactId>lib</artifactId></{root}>");
    let mut all: Vec<(String, String)> = Vec::new();
    for (name, entities) in bombs() {
        let uses = if name == "quadratic" { "&a9;".repeat(3000) } else { "&a9;".to_owned() };
        all.push((name.to_owned(), format!("<!DOCTYPE x [{entities}]>{}", inner(&uses))));
    }
    for (name, address) in
        [("file", format!("file://{secret}")), ("path", secret.to_owned()), ("http", format!("{elsewhere}e"))]
    {
        all.push((
            format!("{name}-entity"),
            format!("<!DOCTYPE x [<!ENTITY e SYSTEM \"{address}\">]>{}", inner("&e;")),
        ));
        all.push((format!("{name}-public"), format!("<!DOCTYPE x PUBLIC \"-//X//Y\" \"{address}\">{}", inner("&e;"))));
        all.push((format!("{name}-dtd"), format!("<!DOCTYPE x SYSTEM \"{address}\">{}", inner("a"))));
        all.push((
            format!("{name}-parameter"),
            format!("<!DOCTYPE x [<!ENTITY % p SYSTEM \"{address}\"> %p; %all;]>{}", inner("&sent;")),
        ));
        // These need no document type, only a reader that is too helpful.
        all.push((
            format!("{name}-xinclude"),
            inner(&format!(
                "<xi:include xmlns:xi=\"http://www.w3.org/2001/XInclude\" parse=\"text\" href=\"{address}\"/>"
            )),
        ));
        let schema = format!(
            "<{root} xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:noNamespaceSchemaLocation=\"{address}\"/>"
        );
        let style = format!("<?xml-stylesheet type=\"text/xsl\" href=\"{address}\"?>");
        all.push((format!("{name}-schema"), style + &schema));
    }
    let mut documents: Vec<_> = all
        .into_iter()
        .map(|(name, text)| {
            let declares = text.contains("<!DOCTYPE");
            (name, text.into_bytes(), declares)
        })
        .collect();
    let declared = format!("<!DOCTYPE x [<!ENTITY e SYSTEM \"file://{secret}\">]>{}", inner("&e;"));
    // Written so that a look for the word in the bytes finds nothing.
    let wide = declared.encode_utf16().flat_map(u16::to_le_bytes);
    documents.push(("utf-16".to_owned(), [0xff, 0xfe].into_iter().chain(wide).collect(), true));
    let seven = declared.replace('<', "+ADw-").replace('>', "+AD4-");
    let seven = format!("<?xml version=\"1.0\" encoding=\"UTF-7\"?>{seven}");
    documents.push(("utf-7".to_owned(), seven.into_bytes(), true));
    // Not by what they name, but by their shape.
    documents.push(("deep".to_owned(), "<a>".repeat(1_000_000).into_bytes(), true));
    documents.push(("attributes".to_owned(), attributes(root).into_bytes(), true));
    documents.push(("open".to_owned(), format!("<{root}><!--{}", "-".repeat(2_000_000)).into_bytes(), true));
    documents
}

fn attributes(root: &str) -> String {
    let mut text = format!("<{root}");
    for at in 0..100_000 {
        text.push_str(&format!(" a{at}=\"\""));
    }
    format!("{text}></{root}>")
}

/// `maven-metadata.xml` is read, to be merged: what declares a document type is an error that says so, and no 404, which
/// would send clients elsewhere. What declares none holds no file's text in place of its reference.
#[test]
fn metadata_of_strangers_opens_fetches_and_expands_nothing() {
    let (upstream, node) = mirror("holes-metadata");
    let elsewhere = Upstream::start();
    elsewhere.put("e", "<!ENTITY % all \"<!ENTITY sent 'fetched-from-elsewhere'>\">");
    let secret = node.data().join("keys/api.token");
    let token = std::fs::read_to_string(&secret).expect("the token").trim().to_owned();
    let documents = evil("metadata", &secret.to_string_lossy(), &elsewhere.url());
    for (name, bytes, _) in &documents {
        upstream.put(&format!("org/evil/{name}/maven-metadata.xml"), bytes.clone());
    }
    let before = resident_mib(node.pid());
    for (name, _, refused) in &documents {
        for path in ["maven-metadata.xml", "maven-metadata.xml.sha1"] {
            let begun = Instant::now();
            let answer = node.artifact(&format!("org/evil/{name}/{path}"));
            let took = begun.elapsed();
            assert!(took < AT_ONCE, "{name} took {took:?}");
            if *refused {
                assert!((500..600).contains(&answer.status), "{name}: {}: {}", answer.status, answer.text());
                let kind = answer.header("content-type").unwrap_or_default();
                assert!(kind.starts_with("application/problem+json"), "{name}: {kind}");
                assert!(answer.body.len() < 4096, "{name}: an error is not as long as what is wrong");
            }
            let text = answer.text();
            for word in [&token, "fetched-from-elsewhere", "hahahaha"] {
                assert!(!text.contains(word), "{name} {path} shows {word}");
            }
        }
    }
    assert!(elsewhere.requests().is_empty(), "somebody was asked: {:?}", elsewhere.requests());
    let after = resident_mib(node.pid());
    println!("memory: {before} MiB before, {after} MiB after {} documents", documents.len());
    assert!(after < before + GROWTH, "{before} MiB before, {after} MiB after");
}

/// A POM that is served is not read: its bytes are the client's business, and stay what they are.
#[test]
fn poms_of_strangers_are_passed_on_byte_for_byte() {
    let (upstream, node) = mirror("holes-poms");
    let elsewhere = Upstream::start();
    let secret = node.data().join("keys/api.token");
    let documents = evil("project", &secret.to_string_lossy(), &elsewhere.url());
    let before = resident_mib(node.pid());
    for (name, bytes, _) in &documents {
        let path = format!("org/evil/{name}/1/{name}-1.pom");
        upstream.put(&path, bytes.clone());
        let begun = Instant::now();
        assert!(node.artifact(&path).expect(200).body == *bytes, "{name} was changed");
        assert!(begun.elapsed() < AT_ONCE, "{name} took {:?}", begun.elapsed());
    }
    assert!(elsewhere.requests().is_empty(), "somebody was asked: {:?}", elsewhere.requests());
    let after = resident_mib(node.pid());
    assert!(after < before + GROWTH, "{before} MiB before, {after} MiB after");
}

/// Where a POM is read, to find the source of a release, each of them is a reason not to build it.
#[test]
fn a_release_with_such_a_pom_has_no_source() {
    let network = Scripted::without_image("holes-build", 60);
    let elsewhere = Upstream::start();
    let secret = network.net.data("node").join("keys/api.token");
    let token = std::fs::read_to_string(&secret).expect("the token").trim().to_owned();
    for (name, bytes, refused) in evil("project", &secret.to_string_lossy(), &elsewhere.url()) {
        if !refused || !["laughs", "file-entity", "http-dtd", "utf-16"].contains(&name.as_str()) {
            continue;
        }
        network.upstream.put(&format!("org/evil/{name}/1/{name}-1.pom"), bytes);
        network.upstream.put(&format!("org/evil/{name}/1/{name}-1.jar"), *b"a jar");
        let release = format!("org.evil:{name}:1");
        let source = Sources::address("greeting-lib");
        let done = network.net.cli_long(&["build", &release, "--source", &source, "--tag", "v1.0.0", "--wait"]);
        let said = done.expect(NO_SOURCE).output();
        assert!(said.contains("document type") || said.contains("encoding"), "{said}");
        assert!(!said.contains(&token) && !said.contains("hahahaha"), "{said}");
    }
    assert!(elsewhere.requests().is_empty(), "somebody was asked: {:?}", elsewhere.requests());
}
