use super::*;
use crate::testing::{LIST, World, list, world};
use crate::upload::Stored;
use pyrsia_digest::FileDigests;
use pyrsia_repository::Answer;

const BUILDS: &str = "com/example/lib/2-SNAPSHOT/maven-metadata.xml";
const GROUP: &str = "com/example/maven-metadata.xml";

fn build(number: u32, extension: &str) -> String {
    format!("com/example/lib/2-SNAPSHOT/lib-2-20261122.07271{number}-{number}.{extension}")
}

impl World {
    /// Two releases, two builds of a snapshot and a plugin, without documents.
    async fn fill(&self) {
        for version in ["1.0", "1.10"] {
            self.put(&format!("com/example/lib/{version}/lib-{version}.jar"), version.as_bytes()).await.unwrap();
        }
        for (number, extension) in [(1, "jar"), (1, "pom"), (2, "jar")] {
            self.put(&build(number, extension), format!("{number} {extension}").as_bytes()).await.unwrap();
        }
        let pom = "<project><packaging>maven-plugin</packaging><name>Does it</name></project>";
        self.put("com/example/do-maven-plugin/1/do-maven-plugin-1.pom", pom.as_bytes()).await.unwrap();
    }

    /// What a disk does to a document.
    fn damage(&self, path: &str, bytes: &[u8]) {
        std::fs::write(self.folder.path().join("entries").join(path), bytes).unwrap();
    }
}

#[tokio::test]
async fn a_damaged_document_is_made_anew_from_the_files_and_says_so_in_an_examination() {
    let world = world();
    world.fill().await;
    let long = vec![b' '; 9 << 20];
    for damaged in [&b""[..], &b"\0\0\0\0"[..], &b"<metadata><versioning>"[..], &long[..]] {
        for path in [LIST, BUILDS, GROUP] {
            world.damage(path, damaged);
        }
        let found = crate::examine(world.folder.path()).unwrap();
        let paths: Vec<&str> = found.damaged.iter().map(|damage| damage.path.as_str()).collect();
        assert_eq!(paths, [BUILDS, LIST, GROUP]);
        assert!(found.damaged[0].problem.contains("made anew"), "{found:?}");

        let sum = world.text(&format!("{LIST}.sha1")).await;
        let text = world.text(LIST).await;
        assert_eq!(sum, FileDigests::of(text.as_bytes()).sha1.to_string(), "whatever is asked for first");
        let says = metadata::parse(text.as_bytes()).unwrap();
        let versions: Vec<&str> = says.versions.iter().map(maven_layout::Version::as_str).collect();
        assert_eq!(versions, ["1.0", "1.10", "2-SNAPSHOT"], "{text}");
        assert_eq!(says.release.unwrap().as_str(), "1.10");
        let text = world.text(BUILDS).await;
        assert!(text.contains("<buildNumber>2<") && text.contains("<value>2-20261122.072711-1<"), "{text}");
        let text = world.text(GROUP).await;
        assert!(text.contains("<prefix>do<") && text.contains("<artifactId>do-maven-plugin<"), "{text}");
        assert_eq!(crate::examine(world.folder.path()).unwrap().damaged, []);
    }
    // One about something else is no better.
    world.damage(LIST, list(&["9"]).replace("<artifactId>lib", "<artifactId>lob").as_bytes());
    assert!(world.text(LIST).await.contains("<version>1.10<"));
}

#[tokio::test]
async fn uploads_and_removals_go_on_with_a_damaged_document() {
    let world = world();
    world.fill().await;
    world.damage(LIST, b"<");
    assert_eq!(world.put(LIST, list(&["1.1"]).as_bytes()).await.unwrap(), Stored::Changed);
    let text = world.text(LIST).await;
    assert!(["1.0", "1.1", "1.10"].iter().all(|version| text.contains(&format!("<version>{version}<"))), "{text}");
    for path in [LIST, BUILDS] {
        world.damage(path, b"<");
    }
    world.hosted.remove(&"com.example:lib:1.10".parse().unwrap(), "ci").await.unwrap();
    let text = world.text(LIST).await;
    assert!(text.contains("<version>1.0<") && !text.contains("<version>1.10<"), "{text}");
    world.hosted.remove(&"com.example:lib:2-20261122.072712-2".parse().unwrap(), "ci").await.unwrap();
    let text = world.text(BUILDS).await;
    assert!(text.contains("<buildNumber>1<") && !text.contains("072712-2"), "{text}");
    // Who read the list before does not bring back what is gone.
    world.damage(LIST, b"<");
    world.put(LIST, list(&["1.10"]).as_bytes()).await.unwrap();
    assert!(!world.text(LIST).await.contains("<version>1.10<"));
}

#[tokio::test]
async fn a_document_about_nothing_that_is_here_is_none() {
    let world = world();
    world.put(LIST, list(&["1.0"]).as_bytes()).await.unwrap();
    world.damage(LIST, b"<");
    assert!(matches!(world.get(LIST).await, Answer::Absent));
    assert!(matches!(world.get(&format!("{LIST}.sha1")).await, Answer::Absent));
    assert_eq!(world.put(LIST, list(&["1.0"]).as_bytes()).await.unwrap(), Stored::New);
}

#[test]
fn prefixes_are_the_ones_that_maven_makes() {
    for (artifact, prefix) in [
        ("do-maven-plugin", "do"),
        ("maven-do-plugin", "do"),
        ("do-it-maven-plugin", "do-it"),
        ("maven-plugin-plugin", "plugin"),
        ("maven-plugin", ""),
        ("do", "do"),
    ] {
        assert_eq!(usual_prefix(artifact), prefix, "{artifact}");
    }
}
