//! A tag that leads to another commit than it once did is noticed.

use pyrsia_tests::scripted::Scripted;
use pyrsia_tests::sources::{Sources, replace_in};
use pyrsia_tests::{engine, places};

use crate::fixture::{LIB, rebuild_of};

#[test]
fn a_tag_that_was_moved_is_refused_until_its_commit_is_named() {
    let network = Scripted::start("moved-tag", 60);
    let first = network.publishable("greeting-lib");
    let address = Sources::address("greeting-lib");
    network.net.cli_long(&["build", LIB, "--source", &address, "--tag", "v1.0.0", "--wait"]).expect(0);
    let untouched = network.net.cli(&["inspect", LIB, "--json"]).expect(0).json();
    assert_eq!(untouched["moved_tag"], serde_json::json!([]), "{untouched:#}");

    let second = network.sources.add_edited("greeting-lib", "greeting-lib", "v1.0.0", |tree| {
        replace_in(&tree.join("pom.xml"), "<version>1.0.0</version>", "<version>1.0.1</version>");
    });
    assert_ne!(first.commit, second.commit);
    let next = "org.pyrsia.samples:greeting-lib:1.0.1";
    let mut arguments = vec!["build", next, "--source", &address, "--tag", "v1.0.0", "--wait"];
    let size = network.leaves().len();
    let refused = network.net.cli_long(&arguments).expect(22);
    let text = refused.output();
    assert!(text.contains("was moved") && text.contains("--commit"), "{}", refused.report());
    assert!(text.contains(&first.commit) && text.contains(&second.commit), "{}", refused.report());
    assert_eq!(network.leaves().len(), size, "nothing was asked of the network");

    arguments.extend(["--commit", &second.commit]);
    network.net.cli_long(&arguments).expect(0);
    for (release, other) in [(LIB, &second.commit), (next, &first.commit)] {
        let story = network.net.cli(&["inspect", release, "--json"]).expect(0).json();
        let moved = story["moved_tag"].as_array().expect("a list");
        assert_eq!(moved.len(), 1, "{story:#}");
        assert_eq!(moved[0]["commit"], other.as_str(), "{story:#}");
        let told = network.net.cli(&["inspect", release]).expect(0);
        assert!(told.stdout.contains("MOVED TAG") && told.stdout.contains(other.as_str()), "{}", told.report());
    }
}

#[test]
fn a_rebuild_says_that_a_tag_was_moved_since_the_last_one() {
    engine::require();
    let sources = Sources::new(&places::run_folder().join("sources-moved"));
    let out = places::scratch("moved");
    let rebuild = |version: &str| {
        let release = format!("org.pyrsia.samples:greeting-lib:{version}");
        let done = rebuild_of(&sources, (&release, "moved-lib", "v1.0.0"), out.path(), &["--no-reference"]);
        done.expect(0).json()["warnings"].clone()
    };
    let first = sources.add_edited("greeting-lib", "moved-lib", "v1.0.0", |_| {});
    assert_eq!(rebuild("1.0.0"), serde_json::json!([]));
    assert_eq!(rebuild("1.0.0"), serde_json::json!([]));
    let second = sources.add_edited("greeting-lib", "moved-lib", "v1.0.0", |tree| {
        replace_in(&tree.join("pom.xml"), "<version>1.0.0</version>", "<version>1.0.1</version>");
    });
    let warnings = rebuild("1.0.1");
    let text = warnings[0].as_str().unwrap_or_default();
    assert!(text.contains(&first.commit) && text.contains(&second.commit), "{warnings:#}");
    assert_eq!(rebuild("1.0.1"), serde_json::json!([]), "it is told once");
}
