//! What an operator sees of a repository, and takes out of it.

use pyrsia_tests::process::Finished;
use pyrsia_tests::{http, process};

use super::{OPERATING, SECTION, World, list};
use crate::documented::commands;

const JAR: &str = "releases/com/example/lib/1.0/lib-1.0.jar";
const LIST: &str = "releases/com/example/lib/maven-metadata.xml";

impl World {
    /// A command on this node's data directory with the node's configuration; the node is asked if it runs.
    fn run(&self, words: &[&str]) -> Finished {
        let config = self.folder.path().join("config.toml");
        let config = config.to_string_lossy();
        self.node.cli(&[words, &["--config", &config]].concat())
    }

    /// A command of the document, with more words behind it.
    fn typed(&self, number: usize, more: &[&str]) -> Finished {
        let lines = commands(OPERATING, SECTION);
        let lines: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix("pyrsia-maven ")).collect();
        let words: Vec<&str> = lines[number].split_whitespace().collect();
        self.run(&[&words[..], more].concat())
    }

    fn fill(&self) {
        for version in ["1.0", "1.1"] {
            for extension in ["jar", "pom"] {
                let path = format!("releases/com/example/lib/{version}/lib-{version}.{extension}");
                self.put("deployer", &path, format!("{version} {extension}").as_bytes()).expect(201);
            }
        }
        self.put("deployer", LIST, list("lib", &["1.0".to_owned(), "1.1".to_owned()]).as_bytes()).expect(201);
    }
}

fn gavs(listed: &serde_json::Value) -> Vec<&str> {
    let versions = listed["versions"].as_array().expect("versions");
    versions.iter().map(|version| version["gav"].as_str().expect("coordinates")).collect()
}

#[test]
fn versions_are_listed_and_removed_with_the_node_running_and_stopped() {
    let mut world = World::quiet("hosted-manage");
    for running in [true, false] {
        world.fill();
        if !running {
            assert_eq!(world.node.stop(), 0);
        }
        let listed = world.typed(0, &["--json"]).expect(0).json();
        assert_eq!(gavs(&listed), ["com.example:lib:1.0", "com.example:lib:1.1"], "{listed:#}");
        let first = &listed["versions"][0];
        assert_eq!((&first["files"], &first["writers"][0]), (&2.into(), &"deployer".into()), "{listed:#}");
        let text = world.typed(0, &[]).expect(0).stdout;
        assert!(text.contains("com.example:lib:1.1  2 files"), "{text}");

        let removed = world.typed(1, &["--json"]).expect(0).json();
        assert_eq!((&removed["gav"], &removed["files"]), (&"com.example:lib:1.0".into(), &2.into()), "{removed:#}");
        assert_eq!(removed["documents"][0], "com/example/lib/maven-metadata.xml", "{removed:#}");
        let again = world.typed(1, &[]).expect(1);
        assert!(again.stderr.contains("nothing of com.example:lib:1.0"), "{}", again.report());
        let listed = world.typed(0, &["--json"]).expect(0).json();
        assert_eq!(gavs(&listed), ["com.example:lib:1.1"], "{listed:#}");
        let other = world.run(&["hosted", "list", "nothing"]).expect(1);
        assert!(other.stderr.contains("nothing"), "{}", other.report());
        world.run(&["hosted", "remove", "releases", "com.example"]).expect(2);
        world.run(&["hosted", "list", "../releases"]).expect(2);
        if !running {
            // Two times two files, of which the second time's are the same bytes.
            let gc = ["gc", "--max-gib", "1000", "--json"];
            for (more, removed) in [(&["--dry-run"][..], 2), (&[], 2), (&[], 0)] {
                let report = world.run(&[&gc[..], more].concat()).expect(0).json();
                let of = |id: &str| {
                    let all = report["hosted"].as_array().and_then(|all| all.iter().find(|hosted| hosted["id"] == id));
                    all.expect("the repository").clone()
                };
                assert_eq!(
                    (&of("releases")["removed"], &of("releases")["left"]),
                    (&removed.into(), &2.into()),
                    "{report:#}"
                );
                assert_eq!(of("private")["left"], 0, "{report:#}");
            }
            world.node.start_again();
        }
        world.get(JAR).expect(404);
        let text = world.get(LIST).expect(200).text();
        assert!(!text.contains("<version>1.0<") && text.contains("<version>1.1<"), "{text}");
        assert_eq!(world.get("releases/com/example/lib/1.1/lib-1.1.jar").expect(200).body, b"1.1 jar");
        // Whoever read the list before adds to that; the release can be published again, with other bytes.
        // A version that was removed before would be left out as well.
        let later = if running { "1.2" } else { "1.3" };
        world.put("deployer", LIST, list("lib", &["1.0".to_owned(), later.to_owned()]).as_bytes()).expect(200);
        assert!(!world.get(LIST).expect(200).text().contains("<version>1.0<"));
        world.run(&["hosted", "remove", "releases", "com.example:lib:1.1"]).expect(0);
        world.run(&["hosted", "remove", "releases", &format!("com.example:lib:{later}")]).expect(0);
        world.get(LIST).expect(404);
    }
    assert_eq!(world.node.stop(), 0);
    let nobody = process::run(
        pyrsia_tests::node::program().arg("--data-dir").arg(world.node.data()).args(["hosted", "list", "releases"]),
        std::time::Duration::from_secs(60),
    );
    assert!(nobody.expect(1).stderr.contains("[[hosted]]"));
}

#[test]
fn only_who_has_the_right_removes() {
    let world = World::quiet("hosted-removers");
    world.fill();
    let folder = "/hosted/releases/com/example/lib/1.0/";
    let delete = |authorization: Option<&str>, path: &str| {
        let headers: Vec<_> = authorization.map(|value| ("Authorization", value)).into_iter().collect();
        http::send(world.node.url(), "DELETE", path, &headers, b"").expect("an answer")
    };
    for (shown, status) in [
        (None, 401),
        (Some(world.basic("ci")), 401),
        (Some(world.basic("team")), 401),
        // A writer without the right, and one who has it elsewhere.
        (Some(world.basic("deployer")), 403),
        (Some(world.basic("narrow")), 403),
    ] {
        delete(shown.as_deref(), folder).expect(status);
    }
    assert_eq!(world.get(JAR).expect(200).body, b"1.0 jar");
    let narrow = world.basic("narrow");
    world.put("narrow", "releases/com/example/narrow/1/narrow-1.jar", b"bytes").expect(201);
    let answer = delete(Some(&narrow), "/hosted/releases/com/example/narrow/1/").expect(200).json();
    assert_eq!((&answer["gav"], &answer["files"]), (&"com.example:narrow:1".into(), &1.into()), "{answer:#}");
    let own = std::fs::read_to_string(world.node.data().join("keys/api.token")).expect("the token");
    delete(Some(&format!("Bearer {}", own.trim())), folder).expect(200);
    world.get(JAR).expect(404);
}
