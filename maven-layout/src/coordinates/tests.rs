use proptest::prelude::*;

use super::*;
use crate::path::PathKind;

fn coordinates(text: &str) -> Coordinates {
    text.parse().unwrap()
}

#[test]
fn paths_follow_the_layout() {
    let release = coordinates("org.example.tools:tool:1.0");
    assert_eq!(release.dir().as_str(), "org/example/tools/tool/1.0");
    assert_eq!(release.artifact_dir().as_str(), "org/example/tools/tool");
    assert_eq!(release.pom_path().as_str(), "org/example/tools/tool/1.0/tool-1.0.pom");
    assert_eq!(release.metadata_path().as_str(), "org/example/tools/tool/maven-metadata.xml");
    let sources: Classifier = "sources".parse().unwrap();
    assert_eq!(release.file(Some(&sources), &Extension::jar()).as_str(), "tool-1.0-sources.jar");
}

#[test]
fn references() {
    let path = |text: &str| text.parse::<ArtifactRef>().unwrap().path().to_string();
    assert_eq!(path("a:b:1"), "a/b/1/b-1.jar");
    assert_eq!(path("a:b:1@pom"), "a/b/1/b-1.pom");
    assert_eq!(path("a:b:1:sources"), "a/b/1/b-1-sources.jar");
    assert_eq!(path("a:b:1:bin@tar.gz"), "a/b/1/b-1-bin.tar.gz");
    assert_eq!("a:b:1@jar".parse::<ArtifactRef>().unwrap().to_string(), "a:b:1");
    assert_eq!(ArtifactRef::from(coordinates("a:b:1")).to_string(), "a:b:1");
}

#[test]
fn wrong_number_of_parts() {
    for (text, actual) in [("a", 1), ("a:b", 2), ("a:b:1:jar:x", 5)] {
        assert!(matches!(text.parse::<Coordinates>(), Err(CoordinateError::Parts { actual: n, .. }) if n == actual));
        assert!(matches!(text.parse::<ArtifactRef>(), Err(CoordinateError::Parts { actual: n, .. }) if n == actual));
    }
    for text in ["a:b:", "::", "a:b:1:", "a:b:1@", "a:b:1@a@b", "a:b:../x"] {
        assert!(matches!(text.parse::<ArtifactRef>(), Err(CoordinateError::Name(_))), "{text}");
    }
}

#[test]
fn ordered_by_version_as_maven_does() {
    let mut list = ["a:b:1.10", "a:b:1.9", "a:b:1.9-rc1", "a:a:2"].map(coordinates);
    list.sort();
    assert_eq!(list.map(|c| c.to_string()), ["a:a:2", "a:b:1.9-rc1", "a:b:1.9", "a:b:1.10"]);
}

#[test]
fn the_longest_parts_make_a_valid_path() {
    let reference = ArtifactRef {
        coordinates: Coordinates::new(
            "g".repeat(200).parse().unwrap(),
            "a".repeat(150).parse().unwrap(),
            "1".repeat(100).parse().unwrap(),
        ),
        classifier: Some("c".repeat(100).parse().unwrap()),
        extension: "e".repeat(40).parse().unwrap(),
    };
    assert_eq!(reference.path().as_str().parse::<RepoPath>().unwrap(), reference.path());
    assert_eq!(reference.file_name().as_str().parse::<FileName>().unwrap(), reference.file_name());
    assert!(reference.path().checksum(crate::ChecksumAlgorithm::Sha512).is_ok());
}

fn reference() -> impl Strategy<Value = ArtifactRef> {
    (
        "[a-z][a-z0-9_-]{0,5}(\\.[a-z0-9_-]{1,5}){0,3}",
        "[a-zA-Z0-9][a-zA-Z0-9_.-]{0,10}",
        "[a-zA-Z0-9][a-zA-Z0-9_.+~-]{0,10}",
        proptest::option::of("[a-z][a-z0-9_+-]{0,8}"),
        prop_oneof![Just("jar"), Just("pom"), Just("tar.gz"), Just("module")],
    )
        .prop_map(|(group, artifact, version, classifier, extension)| ArtifactRef {
            coordinates: Coordinates::new(group.parse().unwrap(), artifact.parse().unwrap(), version.parse().unwrap()),
            classifier: classifier.map(|text| text.parse().unwrap()),
            extension: extension.parse().unwrap(),
        })
}

proptest! {
    #[test]
    fn printing_is_the_inverse_of_parsing(reference in reference()) {
        prop_assert_eq!(&reference.to_string().parse::<ArtifactRef>().unwrap(), &reference);
        let text = reference.coordinates.to_string();
        prop_assert_eq!(&text.parse::<Coordinates>().unwrap(), &reference.coordinates);
        let json = serde_json::to_string(&reference).unwrap();
        prop_assert_eq!(&serde_json::from_str::<ArtifactRef>(&json).unwrap(), &reference);
        let bytes = borsh::to_vec(&reference.coordinates).unwrap();
        prop_assert_eq!(&borsh::from_slice::<Coordinates>(&bytes).unwrap(), &reference.coordinates);
    }

    #[test]
    fn a_path_tells_its_release(reference in reference()) {
        let path = reference.path();
        prop_assert_eq!(&path.as_str().parse::<RepoPath>().unwrap(), &path);
        prop_assert_eq!(path.kind(), PathKind::Artifact {
            coordinates: reference.coordinates.clone(),
            file_name: reference.file_name().to_string(),
        });
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        let _ = text.parse::<Coordinates>();
        let _ = text.parse::<ArtifactRef>();
    }
}
