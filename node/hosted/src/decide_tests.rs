use super::*;

fn path(text: &str) -> RepoPath {
    text.parse().unwrap()
}

#[test]
fn paths_decide_what_is_taken() {
    use Accepts::{Both, Releases, Snapshots};
    const RELEASE: &str = "com/example/lib/1.0/lib-1.0.jar";
    const BUILD: &str = "com/example/lib/1.0-SNAPSHOT/lib-1.0-20261122.072715-2.jar";
    for (text, accepts, taken) in [
        (RELEASE, Releases, true),
        (RELEASE, Both, true),
        (RELEASE, Snapshots, false),
        (BUILD, Snapshots, true),
        (BUILD, Both, true),
        (BUILD, Releases, false),
        ("com/example/lib/1.0/lib-1.0-sources.jar", Releases, true),
        ("com/example/lib/1.0/lib-1.0.module", Releases, true),
        ("com/example/lib/1.0/lib-1.0.pom.asc", Releases, true),
        ("com/example/lib/1.0/lib-1.0.pom.asc.sha512", Releases, true),
        ("com/example/lib/1.0/lib-1.0.pom.asc", Snapshots, false),
        ("com/example/lib/1.0/lib-1.0.pom.sha1", Snapshots, false),
        ("com/example/lib/1.0-SNAPSHOT/lib-1.0-20261122.072715-2-sources.jar.md5", Snapshots, true),
        ("com/example/lib/1.0-SNAPSHOT/lib-1.0-20261122.072715-2.pom.asc", Snapshots, true),
        ("com/example/lib/1.0-SNAPSHOT/lib-1.0-SNAPSHOT.jar", Snapshots, true),
        ("com/example/lib/1.0-SNAPSHOT/lib-1.0-SNAPSHOT.jar", Both, true),
        ("com/example/lib/1.0-SNAPSHOT/lib-1.0-SNAPSHOT.jar", Releases, false),
        ("com/example/lib/1.0-SNAPSHOT/lib-1.0-SNAPSHOT-sources.jar.asc.md5", Snapshots, true),
        ("com/example/lib/1.0-SNAPSHOT/lib-1.0-20261122.072715-02.jar", Snapshots, false),
        ("com/example/lib/1.0-SNAPSHOT/lib-1.0.jar", Snapshots, false),
        ("com/example/lib/maven-metadata.xml", Releases, true),
        ("com/example/lib/maven-metadata.xml", Snapshots, true),
        ("com/example/maven-metadata.xml.sha1", Snapshots, true),
        ("com/example/lib/1.0-SNAPSHOT/maven-metadata.xml", Snapshots, true),
        ("com/example/lib/1.0-SNAPSHOT/maven-metadata.xml", Releases, false),
        ("com/example/lib/1.0-SNAPSHOT/maven-metadata.xml.md5", Releases, false),
        ("com/example/lib/maven-metadata.xml.asc", Both, false),
        ("com/example/lib/1.0/lib-1.0.jar.sha1.sha1", Both, false),
        ("com/example/lib/1.0/lib-1.0.jar.sha1.asc", Both, false),
        ("com/example/lib/1.0/other-1.0.jar", Both, false),
        ("com/example/lib/1.0/lib-2.0.jar", Both, false),
        ("archetype-catalog.xml", Both, false),
        (".meta/prefixes.txt", Both, false),
        ("com/example/lib/1.0", Both, false),
        ("index.html", Both, false),
    ] {
        assert_eq!(admit(&path(text), accepts).is_ok(), taken, "{text} {accepts}");
    }
    let long = format!("com/example/{0}/1.0/{0}-1.0-{1}.jar", "a".repeat(150), "b".repeat(100));
    assert!(matches!(admit(&path(&long), Both), Err(Refused::LongName { .. })));
}

#[test]
fn what_names_a_release_or_a_build_stays_and_belongs_to_it() {
    for (text, stays, of) in [
        ("com/example/lib/1.0/lib-1.0.jar", true, "com.example:lib:1.0"),
        ("com/example/lib/1.0/lib-1.0-SNAPSHOT.jar", true, "com.example:lib:1.0"),
        ("com/example/lib/1.0/lib-1.0.pom.asc", true, "com.example:lib:1.0"),
        (
            "com/example/lib/1.0-SNAPSHOT/lib-1.0-20261122.072715-2-sources.jar",
            true,
            "com.example:lib:1.0-20261122.072715-2",
        ),
        (
            "com/example/lib/1.0-SNAPSHOT/lib-1.0-20261122.072715-2.pom.asc",
            true,
            "com.example:lib:1.0-20261122.072715-2",
        ),
        ("com/example/lib/1.0-SNAPSHOT/lib-1.0-SNAPSHOT.jar", false, "com.example:lib:1.0-SNAPSHOT"),
        ("com/example/lib/1.0-SNAPSHOT/lib-1.0-SNAPSHOT-20261122.072715-2.jar", false, "com.example:lib:1.0-SNAPSHOT"),
        ("com/example/lib/1.0-SNAPSHOT/lib-1.0-SNAPSHOT.jar.asc", false, "com.example:lib:1.0-SNAPSHOT"),
    ] {
        assert_eq!(kind(&path(text)), Some(Kind::File { stays }), "{text}");
        assert_eq!(owner(&path(text)).unwrap().to_string(), of, "{text}");
    }
    for none in ["com/example/lib/maven-metadata.xml", "com/example/lib/1.0/lib-1.0.jar.sha1", "x"] {
        assert_eq!(owner(&path(none)), None, "{none}");
    }
}

fn checked(at: &str, accepts: Accepts, body: &str) -> Result<(), Refused> {
    let at = path(at);
    let Kind::Document(level) = kind(&at).unwrap() else { panic!("{at} is no document") };
    let document = maven_layout::metadata::parse(format!("<metadata>{body}</metadata>").as_bytes()).unwrap();
    check_document(&at, &level, &document, accepts)
}

#[test]
fn documents_lie_where_they_belong() {
    use Accepts::{Both, Releases, Snapshots};
    const LIST: &str = "com/example/lib/maven-metadata.xml";
    const BUILDS: &str = "com/example/lib/1-SNAPSHOT/maven-metadata.xml";
    let lib = "<groupId>com.example</groupId><artifactId>lib</artifactId>";
    let listing =
        |version: &str| format!("{lib}<versioning><versions><version>{version}</version></versions></versioning>");
    let builds = |value: &str| {
        format!(
            "{lib}<version>1-SNAPSHOT</version><versioning><snapshotVersions><snapshotVersion><extension>jar</extension>\
             <value>{value}</value></snapshotVersion></snapshotVersions></versioning>"
        )
    };
    let plugins = "<plugins><plugin><prefix>x</prefix><artifactId>x-maven-plugin</artifactId></plugin></plugins>";
    for (at, accepts, body, taken) in [
        (LIST, Releases, listing("1.0"), true),
        (LIST, Releases, listing("1.0-SNAPSHOT"), false),
        (LIST, Snapshots, listing("1.0"), false),
        (LIST, Snapshots, listing("1.0-SNAPSHOT"), true),
        (LIST, Both, listing("1.0"), true),
        (LIST, Both, listing("1.0").replace("lib<", "other<"), false),
        (LIST, Both, listing("1.0").replace("com.example", "com.evil"), false),
        (LIST, Both, builds("1-20261122.072715-2"), false),
        (LIST, Both, plugins.to_owned(), true),
        (LIST, Both, "<groupId>com.example.lib</groupId>".to_owned() + plugins, true),
        (BUILDS, Snapshots, builds("1-20261122.072715-2"), true),
        (BUILDS, Snapshots, builds("2-20261122.072715-2"), false),
        (BUILDS, Snapshots, builds("1-20261122.072715-2").replace(">1-SNAPSHOT", ">2-SNAPSHOT"), false),
        (BUILDS, Snapshots, listing("1.0"), false),
        ("com/maven-metadata.xml", Both, plugins.to_owned(), true),
        ("com/maven-metadata.xml", Both, listing("1.0"), false),
        (
            "com/my.lib/maven-metadata.xml",
            Both,
            listing("1.0").replace("lib<", "my.lib<").replace(".example", ""),
            true,
        ),
        ("com/my.lib/maven-metadata.xml", Both, listing("1.0"), false),
    ] {
        assert_eq!(checked(at, accepts, &body).is_ok(), taken, "{at} {accepts} {body}");
    }
    let said = checked(LIST, Releases, &listing("2-SNAPSHOT")).unwrap_err().to_string();
    assert!(said.contains("2-SNAPSHOT") && said.contains("releases only"), "{said}");
}

proptest::proptest! {
    #[test]
    fn no_path_panics_and_what_is_taken_is_a_file_or_belongs_to_one(text in "[a-c1./-]{1,40}(-SNAPSHOT)?(\\.(jar|asc|sha1|xml))*") {
        if let Ok(path) = text.parse::<RepoPath>() {
            for accepts in [Accepts::Releases, Accepts::Snapshots, Accepts::Both] {
                if let Ok(Kind::Checksum { of, .. }) = admit(&path, accepts) {
                    let file = matches!(admit(&of, accepts), Ok(Kind::File { .. } | Kind::Document(_)));
                    proptest::prop_assert!(file, "{}", of);
                }
            }
        }
    }
}
