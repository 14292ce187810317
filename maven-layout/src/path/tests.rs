use std::path::{Component, Path};

use proptest::prelude::*;

use super::*;

fn path(text: &str) -> RepoPath {
    text.parse().unwrap()
}

#[test]
fn what_leaves_the_repository_is_refused() {
    for text in [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../b",
        "a/./b",
        "a/..",
        "a\\b",
        "..\\a",
        "a\0b",
        "a\nb",
        "a\u{7f}b",
        "a\u{85}b",
        "a%2e%2e",
        "a?b",
        "a#b",
        "a\u{202e}b",
        "\u{feff}a",
    ] {
        assert!(text.parse::<RepoPath>().is_err(), "{text:?}");
    }
    assert!("a".repeat(1025).parse::<RepoPath>().is_err());
    for text in ["a", "a/b", "...", "..a/b..", "a b", "é/ü", ".meta/prefixes.txt"] {
        assert!(text.parse::<RepoPath>().is_ok(), "{text:?}");
    }
}

#[test]
fn requests_known_to_have_broken_servers() {
    for encoded in [
        "%2F%2F%2F..%2F..%2F..%2Fetc%2Fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "..%2f..%2fetc",
        "a/%2E%2E/b",
        "a/..%5c..%5cb",
        "%252e%252e/%252e%252e/etc",
        "a%00.jar",
        "a/b;/../c",
        "%c0%ae%c0%ae/etc",
        "//etc/passwd",
        "a/%",
        "a/%2",
        "a/%zz",
        "a/%+1",
        "%ff",
    ] {
        assert!(RepoPath::from_url_path(encoded).is_err(), "{encoded}");
    }
    assert_eq!(RepoPath::from_url_path("a%2fb"), Err(PathError::EncodedSlash { position: 1 }));
    assert_eq!(RepoPath::from_url_path("a%2"), Err(PathError::Escape { position: 1 }));
    assert_eq!(RepoPath::from_url_path("%ff"), Err(PathError::NotUtf8));
    assert_eq!(RepoPath::from_url_path(&"a".repeat(4000)), Err(PathError::TooLong { actual: 4000, limit: 3072 }));
}

#[test]
fn url_paths_are_decoded_once() {
    assert_eq!(RepoPath::from_url_path("org/a%2Bb/1.0%2bx").unwrap().as_str(), "org/a+b/1.0+x");
    assert_eq!(RepoPath::from_url_path("a+b").unwrap().as_str(), "a+b");
    assert_eq!(path("a b/é").to_url_path(), "a%20b/%C3%A9");
}

fn artifact(coordinates: &str, file_name: &str) -> PathKind {
    PathKind::Artifact { coordinates: coordinates.parse().unwrap(), file_name: file_name.to_owned() }
}

#[test]
fn artifacts() {
    for (text, coordinates) in [
        ("org/example/tool/1.0/tool-1.0.jar", "org.example:tool:1.0"),
        ("org/example/tool/1.0/tool-1.0-sources.jar", "org.example:tool:1.0"),
        ("junit/junit/4.12/junit-4.12.pom", "junit:junit:4.12"),
        ("a/b/1-SNAPSHOT/b-1-SNAPSHOT.jar", "a:b:1-SNAPSHOT"),
        ("a/b/1-SNAPSHOT/b-1-20261122.072715-2.jar", "a:b:1-SNAPSHOT"),
        ("a/b/1-SNAPSHOT/b-1-20261122.072715-12-sources.tar.gz", "a:b:1-SNAPSHOT"),
        ("a/b_2.13/1/b_2.13-1.jar", "a:b_2.13:1"),
    ] {
        assert_eq!(path(text).kind(), artifact(coordinates, path(text).file_name()), "{text}");
    }
    for text in [
        "archetype-catalog.xml",
        ".meta/prefixes.txt",
        "org/example/tool/1.0/other-1.0.jar",
        "a/b/1/b-1",
        "a/b/1/b-1.",
        "a/b/1/b-1-.jar",
        "a/b/1/b-1-x",
        "a/b/1/b-2.jar",
        "a/b/1/b-10.jar",
        "a.b/c/1/c-1.jar",
        "b/1/b-1.jar",
        "a/b/1-SNAPSHOT/b-1-2026.072715-2.jar",
        "a/b/1-SNAPSHOT/b-1-20261122.072715-2",
        "a/b/1/x/b-1.jar",
    ] {
        assert_eq!(path(text).kind(), PathKind::Other, "{text}");
    }
}

#[test]
fn checksums_and_signatures_are_taken_apart_a_layer_at_a_time() {
    let jar = path("a/b/1/b-1.jar");
    for algorithm in ChecksumAlgorithm::ALL {
        let checksum = jar.checksum(algorithm).unwrap();
        assert_eq!(checksum.kind(), PathKind::Checksum { of: jar.clone(), algorithm });
    }
    let signature = path("a/b/1/b-1.jar.asc");
    assert_eq!(signature.kind(), PathKind::Signature { of: jar });
    assert_eq!(
        path("a/b/1/b-1.jar.asc.sha1").kind(),
        PathKind::Checksum { of: signature, algorithm: ChecksumAlgorithm::Sha1 }
    );
    assert_eq!(path("a/.sha1").kind(), PathKind::Other);
    assert_eq!(path("a/b/..sha1").kind(), PathKind::Other);
    assert_eq!(path("a/b/...sha1").kind(), PathKind::Other);
}

#[test]
fn metadata_levels() {
    let level = |text: &str| match path(text).kind() {
        PathKind::Metadata(level) => level,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(level("a/maven-metadata.xml"), MetadataLevel::Group("a".parse().unwrap()));
    assert_eq!(
        level("a/b/c/maven-metadata.xml"),
        MetadataLevel::GroupOrArtifact {
            as_group: "a.b.c".parse().unwrap(),
            group: "a.b".parse().unwrap(),
            artifact: "c".parse().unwrap(),
        }
    );
    assert_eq!(
        level("a/b/c_2.13/maven-metadata.xml"),
        MetadataLevel::Artifact { group: "a.b".parse().unwrap(), artifact: "c_2.13".parse().unwrap() }
    );
    assert_eq!(level("a/b/1-SNAPSHOT/maven-metadata.xml"), MetadataLevel::Version("a:b:1-SNAPSHOT".parse().unwrap()));
    assert_eq!(path("maven-metadata.xml").kind(), PathKind::Other);
    assert_eq!(path("a.b/c.d/maven-metadata.xml").kind(), PathKind::Other);
    assert!(matches!(path("a/b/maven-metadata.xml.sha1").kind(), PathKind::Checksum { .. }));
}

#[test]
fn joining() {
    let name: FileName = "x.jar".parse().unwrap();
    assert_eq!(path("a/b").try_join(&name).unwrap(), path("a/b/x.jar"));
    assert!(matches!(path(&"a".repeat(1022)).try_join(&name), Err(PathError::TooLong { .. })));
    assert_eq!(path("a/b/c").parent(), Some(path("a/b")));
    assert_eq!(path("a").parent(), None);
    assert_eq!(path("a/b/c").segments().collect::<Vec<_>>(), ["a", "b", "c"]);
    for text in ["", ".", "..", "a/b", "a\\b"] {
        assert!(text.parse::<FileName>().is_err(), "{text:?}");
    }
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("/".to_owned()),
        Just(".".to_owned()),
        Just("..".to_owned()),
        Just("%2e".to_owned()),
        Just("%2f".to_owned()),
        Just("%5C".to_owned()),
        Just("%00".to_owned()),
        Just("%25".to_owned()),
        Just("\\".to_owned()),
        Just("-".to_owned()),
        Just("a".to_owned()),
        Just("1".to_owned()),
        Just("-SNAPSHOT".to_owned()),
        Just("maven-metadata.xml".to_owned()),
        Just(".sha1".to_owned()),
        Just(".asc".to_owned()),
        Just(".jar".to_owned()),
        "\\PC{0,3}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn no_path_escapes(pieces in proptest::collection::vec(piece(), 0..16)) {
        let text = pieces.concat();
        for parsed in [text.parse::<RepoPath>(), RepoPath::from_url_path(&text)].into_iter().flatten() {
            let joined = Path::new("root").join(parsed.as_str());
            prop_assert!(joined.components().all(|part| matches!(part, Component::Normal(_))));
            prop_assert_eq!(joined.components().count(), 1 + parsed.segments().count());
            prop_assert_eq!(&parsed.to_string().parse::<RepoPath>().unwrap(), &parsed);
            prop_assert_eq!(&RepoPath::from_url_path(&parsed.to_url_path()).unwrap(), &parsed);
            match parsed.kind() {
                PathKind::Checksum { of, algorithm } => prop_assert_eq!(of.checksum(algorithm).unwrap(), parsed),
                PathKind::Signature { of } => prop_assert_eq!(format!("{of}.asc"), parsed.to_string()),
                PathKind::Artifact { coordinates, file_name } => {
                    let dir = coordinates.dir();
                    prop_assert_eq!(format!("{dir}/{file_name}"), parsed.to_string());
                }
                PathKind::Metadata(level) => prop_assert_eq!(level.path(), parsed),
                PathKind::Other => {}
            }
        }
    }
}
