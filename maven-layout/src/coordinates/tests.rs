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
fn metadata_of_three_levels() {
    let snapshot = coordinates("org.example:tool:1.1-SNAPSHOT");
    let levels = [snapshot.group.metadata_path(), snapshot.metadata_path(), snapshot.snapshot_metadata_path().unwrap()];
    assert_eq!(
        levels.each_ref().map(RepoPath::as_str),
        [
            "org/example/maven-metadata.xml",
            "org/example/tool/maven-metadata.xml",
            "org/example/tool/1.1-SNAPSHOT/maven-metadata.xml",
        ]
    );
    for path in levels {
        let PathKind::Metadata(level) = path.kind() else { panic!("{path}") };
        assert_eq!(level.path(), path);
    }
    assert_eq!(coordinates("org.example:tool:1.1").snapshot_metadata_path(), None);
    let build = coordinates("org.example:tool:1.1-20261122.072715-2");
    assert_eq!(build.snapshot_metadata_path(), snapshot.snapshot_metadata_path());
}

#[test]
fn builds_lie_in_the_directory_of_their_snapshot() {
    let path = "a/b/1.1-SNAPSHOT/b-1.1-20261122.072715-2-bin.tar.gz";
    let reference: ArtifactRef = "a:b:1.1-20261122.072715-2:bin@tar.gz".parse().unwrap();
    assert_eq!(reference.path().as_str(), path);
    assert_eq!(ArtifactRef::from_path(&path.parse().unwrap()), Some(reference));
    // Not a directory that Maven ever looks into.
    let odd: RepoPath = "a/b/1.1-20261122.072715-2/b-1.1-20261122.072715-2.jar".parse().unwrap();
    assert_eq!((odd.kind(), ArtifactRef::from_path(&odd)), (PathKind::Other, None));
}

#[test]
fn from_a_path_to_the_file() {
    let file = |path: &str| ArtifactRef::from_path(&path.parse().unwrap()).map(|file| file.to_string());
    for (path, expected) in [
        ("a/b/1/b-1.jar", "a:b:1"),
        ("a/b/1/b-1.tar.gz", "a:b:1@tar.gz"),
        ("a/b/1/b-1-sources.jar", "a:b:1:sources"),
        ("a/b/1/b-1-bin.tar.bz2", "a:b:1:bin@tar.bz2"),
        ("a/b/1/b-1-linux-1.2.jar", "a:b:1:linux-1.2"),
        ("a/b/1/b-1-x.tar", "a:b:1:x@tar"),
        ("a/b/1-SNAPSHOT/b-1-SNAPSHOT.pom", "a:b:1-SNAPSHOT@pom"),
    ] {
        assert_eq!(file(path).as_deref(), Some(expected), "{path}");
    }
    for none in
        ["a/b/1/b-1.jar.sha1", "a/b/1/b-1.jar.asc", "a/b/maven-metadata.xml", "a/b/1/b-1-é.jar", "a/b/1/c-1.jar"]
    {
        assert_eq!(file(none), None, "{none}");
    }
}

#[test]
fn what_belongs_to_a_file() {
    let paths = "a:b:1".parse::<ArtifactRef>().unwrap().paths();
    let names: Vec<_> = paths.iter().map(RepoPath::file_name).collect();
    let mut expected = Vec::new();
    for of in ["b-1.jar", "b-1.jar.asc"] {
        expected.push(of.to_owned());
        expected.extend(crate::ChecksumAlgorithm::ALL.map(|algorithm| format!("{of}.{}", algorithm.extension())));
    }
    expected.sort();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    assert_eq!(names[0], "b-1.jar");
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
    fn a_path_tells_its_file(reference in reference(), build in proptest::option::of(1_u32..)) {
        let mut reference = reference;
        if let (Some(build_number), Ok(base)) = (build, format!("{}-SNAPSHOT", reference.coordinates.version).parse::<Version>()) {
            let build = crate::metadata::Snapshot { timestamp: "20261122.072715".to_owned(), build_number };
            let version = base.with_build(&build).unwrap();
            prop_assert_eq!(version.base(), base);
            prop_assert_eq!(version.snapshot_build(), Some(build));
            reference.coordinates.version = version;
        }
        prop_assert_eq!(ArtifactRef::from_path(&reference.path()), Some(reference.clone()));
        for path in &reference.paths()[1..] {
            let belongs = matches!(path.kind(), PathKind::Checksum { .. } | PathKind::Signature { .. });
            prop_assert!(belongs, "{}", path);
            prop_assert_eq!(&path.as_str().parse::<RepoPath>().unwrap(), path);
        }
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}") {
        let _ = text.parse::<Coordinates>();
        let _ = text.parse::<ArtifactRef>();
    }
}
