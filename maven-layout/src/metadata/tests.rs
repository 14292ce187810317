use proptest::prelude::*;

use super::*;

fn version(text: &str) -> Version {
    text.parse().unwrap()
}

fn artifact(versions: &[&str], last_updated: &str) -> Metadata {
    let versions = versions.iter().map(|text| version(text));
    Metadata::of_artifact("org.example".parse().unwrap(), "tool".parse().unwrap(), versions, last_updated).unwrap()
}

#[test]
fn writes_the_version_list() {
    let metadata = artifact(&["1.10", "1.9", "2.0-SNAPSHOT", "1.9-rc1", "1.9"], "20261122072715");
    let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<metadata>
  <groupId>org.example</groupId>
  <artifactId>tool</artifactId>
  <versioning>
    <latest>2.0-SNAPSHOT</latest>
    <release>1.10</release>
    <versions>
      <version>1.9-rc1</version>
      <version>1.9</version>
      <version>1.10</version>
      <version>2.0-SNAPSHOT</version>
    </versions>
    <lastUpdated>20261122072715</lastUpdated>
  </versioning>
</metadata>
";
    assert_eq!(write(&metadata), expected);
    assert_eq!(parse(expected.as_bytes()), Ok(metadata));
}

#[test]
fn only_snapshots_have_no_release() {
    assert_eq!(artifact(&["1-SNAPSHOT"], "20261122072715").release, None);
    assert!(!artifact(&["1-SNAPSHOT"], "20261122072715").is_empty());
    assert!(artifact(&[], "20261122072715").is_empty());
}

#[test]
fn times_are_checked() {
    for text in ["", "2026112207271", "202611220727155", "2026-11-22 0727", "２０２６"] {
        assert_eq!(text.parse::<LastUpdated>(), Err(MetadataError::Time), "{text:?}");
    }
}

const SNAPSHOT: &str = "<metadata modelVersion=\"1.1.0\">
  <groupId>g</groupId><artifactId>a</artifactId><version>1-SNAPSHOT</version>
  <versioning>
    <snapshot><timestamp>20261122.072715</timestamp><buildNumber>2</buildNumber></snapshot>
    <lastUpdated>20261122072715</lastUpdated>
    <snapshotVersions>
      <snapshotVersion><extension>jar</extension><value>1-20261122.072715-2</value><updated>20261122072715</updated></snapshotVersion>
      <snapshotVersion><classifier>sources</classifier><extension>jar</extension><value>1-20261122.072715-2</value></snapshotVersion>
      <snapshotVersion><extension>../x</extension><value>1</value></snapshotVersion>
    </snapshotVersions>
  </versioning>
</metadata>";

#[test]
fn reads_snapshots() {
    let metadata = parse(SNAPSHOT.as_bytes()).unwrap();
    assert_eq!(metadata.snapshot, Some(Snapshot { timestamp: "20261122.072715".to_owned(), build_number: 2 }));
    assert_eq!(metadata.snapshot_versions.len(), 2);
    assert_eq!(parse(write(&metadata).as_bytes()).as_ref(), Ok(&metadata));
    let older = "<snapshotVersion><extension>jar</extension><value>1-20261121.072715-1</value>\
                 <updated>20261121072715</updated></snapshotVersion>";
    let before = SNAPSHOT.replace("<snapshotVersions>", &format!("<snapshotVersions>{older}"));
    let behind = SNAPSHOT.replace("</snapshotVersions>", &format!("{older}</snapshotVersions>"));
    for twice in [before, behind] {
        assert_eq!(
            parse(twice.as_bytes()).unwrap().snapshot_versions,
            metadata.snapshot_versions,
            "the later one counts"
        );
    }
    let odd = SNAPSHOT.replace("20261122.072715</timestamp>", "../../../etc/x</timestamp>");
    assert_eq!(parse(odd.as_bytes()).unwrap().snapshot, None);
}

fn file(text: &str) -> crate::ArtifactRef {
    text.parse().unwrap()
}

#[test]
fn a_snapshot_leads_to_the_build_of_each_file() {
    let metadata = parse(SNAPSHOT.as_bytes()).unwrap();
    let path = |text: &str| metadata.resolve(&file(text)).path().to_string();
    assert_eq!(path("g:a:1-SNAPSHOT"), "g/a/1-SNAPSHOT/a-1-20261122.072715-2.jar");
    assert_eq!(path("g:a:1-SNAPSHOT:sources"), "g/a/1-SNAPSHOT/a-1-20261122.072715-2-sources.jar");
    assert_eq!(path("g:a:1-SNAPSHOT@pom"), "g/a/1-SNAPSHOT/a-1-SNAPSHOT.pom", "the list does not have it");
    assert_eq!(path("g:a:1"), "g/a/1/a-1.jar");
    let old = Metadata { snapshot_versions: BTreeMap::new(), ..metadata.clone() };
    assert_eq!(old.resolve(&file("g:a:1-SNAPSHOT@pom")), file("g:a:1-20261122.072715-2@pom"));
    assert_eq!(metadata.resolve(&file("g:a:2-SNAPSHOT")), file("g:a:2-SNAPSHOT"), "of another snapshot");
    assert_eq!(Metadata::default().resolve(&file("g:a:2-SNAPSHOT")), file("g:a:2-SNAPSHOT"));
}

#[test]
fn a_snapshots_document_is_made_of_its_files() {
    let files = [
        "g:a:1-20261122.072715-2",
        "g:a:1-20261121.072715-1",
        "g:a:1-20261121.072715-1:sources",
        "g:a:2-20261123.072715-3",
        "g:b:1-20261123.072715-3",
        "g:a:1-SNAPSHOT@pom",
    ];
    let of = "g:a:1-SNAPSHOT".parse().unwrap();
    let metadata = Metadata::of_snapshot(&of, files.map(file));
    assert_eq!(metadata.snapshot, Some(Snapshot { timestamp: "20261122.072715".to_owned(), build_number: 2 }));
    assert_eq!(metadata.last_updated, Some("20261122072715".parse().unwrap()));
    assert_eq!(metadata.snapshot_versions.len(), 2);
    assert_eq!(metadata.resolve(&file("g:a:1-SNAPSHOT:sources")), file("g:a:1-20261121.072715-1:sources"));
    assert_eq!(parse(write(&metadata).as_bytes()), Ok(metadata));
    assert!(Metadata::of_snapshot(&of, []).is_empty());
    assert_eq!(Snapshot { timestamp: "1.2".to_owned(), build_number: 2 }.time(), None);
}

#[test]
fn an_odd_entry_does_not_hide_the_others() {
    let metadata = parse(
        b"<metadata><versioning><versions><version>1</version><version>../2</version><version>a b</version>\
          <version/></versions><lastUpdated>yesterday</lastUpdated></versioning></metadata>",
    )
    .unwrap();
    assert_eq!(metadata.versions, [version("1")]);
    assert_eq!(metadata.last_updated, None);
    assert!(matches!(parse(b"<metadata><groupId>../x</groupId></metadata>"), Err(MetadataError::Name(_))));
    assert!(matches!(parse(b"<project/>"), Err(MetadataError::Xml(XmlError::Root { .. }))));
}

#[test]
fn merges_groups() {
    let plugins = |prefix: &str, artifact: &str| {
        let text = format!(
            "<metadata><plugins><plugin><name>n</name><prefix>{prefix}</prefix><artifactId>{artifact}</artifactId></plugin>\
             </plugins></metadata>"
        );
        parse(text.as_bytes()).unwrap()
    };
    let merged = merge(plugins("x", "first"), plugins("x", "second")).unwrap();
    assert_eq!(merged.plugins["x"].artifact.as_str(), "first");
    assert_eq!(merge(plugins("x", "a"), plugins("b", "c")).unwrap().plugins.len(), 2);
}

#[test]
fn merges_versions() {
    let merged = merge(artifact(&["1", "3"], "20261122072715"), artifact(&["2"], "20261122072716")).unwrap();
    assert_eq!(merged, artifact(&["1", "2", "3"], "20261122072716"));
    let other = Metadata { group: Some("other".parse().unwrap()), ..Metadata::default() };
    assert_eq!(
        merge(artifact(&["1"], "20261122072715"), other),
        Err(MetadataError::Mismatch { what: "group", left: "org.example".into(), right: "other".into() })
    );
}

#[test]
fn merges_snapshots_by_the_newer_build() {
    let older = parse(SNAPSHOT.as_bytes()).unwrap();
    let newer = parse(SNAPSHOT.replace("072715", "082715").replace(">2<", ">3<").as_bytes()).unwrap();
    let merged = merge(older.clone(), newer.clone()).unwrap();
    assert_eq!(merged, merge(newer.clone(), older).unwrap());
    assert_eq!(merged, newer);
}

fn listing(versions: &[&str], more: &str) -> String {
    let versions: String = versions.iter().map(|version| format!("<version>{version}</version>")).collect();
    format!(
        "<metadata><groupId>g</groupId><artifactId>a</artifactId><versioning>{more}<versions>{versions}</versions>\
         </versioning></metadata>"
    )
}

#[test]
fn an_older_list_is_vouched_for_and_a_longer_one_is_not() {
    let own =
        listing(&["1", "2", "3"], "<latest>3</latest><release>3</release><lastUpdated>20261122072715</lastUpdated>");
    let says = |claimed: &str| excess(claimed.as_bytes(), own.as_bytes()).unwrap();
    for vouched in [
        own.clone(),
        listing(&["1", "2"], "<latest>2</latest><release>2</release><lastUpdated>20250101000000</lastUpdated>"),
        listing(&["1"], "<release>3</release>"),
        listing(&[], ""),
    ] {
        assert_eq!(says(&vouched), None, "{vouched}");
    }
    for (claimed, about) in [
        (listing(&["1", "4"], ""), "version 4"),
        (listing(&["1"], "<release>2</release>"), "release is 2"),
        (listing(&["1"], "<latest>9</latest>"), "latest is 9"),
        (listing(&["1", "../2"], ""), "<version>../2"),
        (listing(&["1"], "<release>a b</release>"), "<release>a b"),
        (
            listing(&["1"], "<snapshot><timestamp>20261122.072715</timestamp><buildNumber>2</buildNumber></snapshot>"),
            "snapshot",
        ),
        (own.replace(">g<", ">h<"), "group h"),
        (own.replace("<artifactId>a</artifactId>", ""), "no artifact"),
        (own.replace("</metadata>", "<extra>x</extra></metadata>"), "<extra>x"),
        (
            own.replace("</metadata>", "<versioning><versions><version>9</version></versions></versioning></metadata>"),
            "<versioning>",
        ),
        (own.replace("</metadata>", ""), "cannot be read"),
    ] {
        let found = says(&claimed);
        assert!(found.as_deref().is_some_and(|text| text.contains(about)), "{claimed}: {found:?}");
    }
    assert!(
        excess(own.as_bytes(), b"no xml").is_err(),
        "an own document that cannot be read says nothing about others"
    );
}

#[test]
fn what_is_odd_in_the_own_document_too_is_vouched_for() {
    let own = listing(&["1", "2", "a b"], "");
    assert_eq!(excess(listing(&["1", "a b"], "").as_bytes(), own.as_bytes()).unwrap(), None);
}

#[test]
fn plugin_prefixes_may_be_missing_and_never_lead_elsewhere() {
    let plugins = |list: &[(&str, &str)]| {
        let list: String = list
            .iter()
            .map(|(prefix, artifact)| {
                format!("<plugin><prefix>{prefix}</prefix><artifactId>{artifact}</artifactId></plugin>")
            })
            .collect();
        format!("<metadata><plugins>{list}</plugins></metadata>")
    };
    let own = plugins(&[("x", "x-plugin"), ("y", "y-plugin")]);
    let says = |claimed: String| excess(claimed.as_bytes(), own.as_bytes()).unwrap();
    assert_eq!(says(plugins(&[("y", "y-plugin")])), None);
    assert!(says(plugins(&[("x", "evil")])).unwrap().contains("evil"));
    assert!(says(plugins(&[("z", "y-plugin")])).unwrap().contains("prefix z"));
    assert!(says(plugins(&[("x", "../evil")])).is_some());
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let version =
        || "[0-9]{1,2}(\\.[0-9]{1,2}){0,2}(-rc1|-SNAPSHOT)?".prop_map(|text| text.parse::<Version>().unwrap());
    let time = "[0-9]{14}".prop_map(|text| text.parse::<LastUpdated>().unwrap());
    let plugin = ("[^\\p{C}\\s]{1,8}", proptest::option::of("[^\\p{C}\\s]{1,8}"), "[a-z]{1,5}");
    let about = (
        proptest::option::of(Just("org.example".parse::<GroupId>().unwrap())),
        proptest::option::of(Just("tool".parse::<ArtifactId>().unwrap())),
        proptest::option::of(Just(self::version("1-SNAPSHOT"))),
        proptest::option::of(
            ("[0-9]{8}\\.[0-9]{6}", 1_u32..).prop_map(|(timestamp, build_number)| Snapshot { timestamp, build_number }),
        ),
    );
    (
        about,
        proptest::collection::vec(version(), 0..8),
        proptest::option::of(time),
        proptest::collection::vec(plugin, 0..4),
        proptest::collection::vec((proptest::option::of("[a-z]{1,4}"), "[a-z]{1,3}", version()), 0..4),
    )
        .prop_map(|((group, artifact, version, snapshot), versions, last_updated, plugins, files)| {
            let versions = sorted_versions(versions);
            Metadata {
                group,
                artifact,
                version,
                snapshot,
                latest: versions.last().cloned(),
                release: versions.iter().rev().find(|version| !version.is_snapshot()).cloned(),
                versions,
                plugins: plugins
                    .into_iter()
                    .map(|(prefix, name, artifact)| (prefix, Plugin { name, artifact: artifact.parse().unwrap() }))
                    .collect(),
                snapshot_versions: files
                    .into_iter()
                    .map(|(classifier, extension, value)| {
                        let classifier = classifier.map(|text| text.parse().unwrap());
                        let updated = last_updated.clone();
                        ((extension.parse().unwrap(), classifier), SnapshotVersion { value, updated })
                    })
                    .collect(),
                last_updated,
            }
        })
}

proptest! {
    #[test]
    fn reading_is_the_inverse_of_writing(metadata in metadata()) {
        let text = write(&metadata);
        prop_assert_eq!(parse(text.as_bytes()), Ok(metadata));
    }

    #[test]
    fn merging_is_a_union(a in metadata(), b in metadata(), c in metadata()) {
        let merge = |x: &Metadata, y: &Metadata| merge(x.clone(), y.clone()).unwrap();
        prop_assert_eq!(merge(&a, &a), a.clone());
        prop_assert_eq!(merge(&a, &Metadata::default()), a.clone());
        prop_assert_eq!(merge(&merge(&a, &b), &c), merge(&a, &merge(&b, &c)));
        let (mut ab, mut ba) = (merge(&a, &b), merge(&b, &a));
        ab.plugins.clear();
        ba.plugins.clear();
        prop_assert_eq!(ab, ba);
    }
}

#[test]
fn a_version_left_over_in_a_list_of_versions_hinders_no_merge() {
    let list = |version: &str| {
        let text = format!(
            "<metadata><groupId>a</groupId><artifactId>b</artifactId><version>{version}</version>\
             <versioning><versions><version>{version}</version></versions></versioning></metadata>"
        );
        parse(text.as_bytes()).unwrap()
    };
    let merged = merge(list("2.0"), list("1.0")).unwrap();
    assert_eq!(merged.version, Some("2.0".parse().unwrap()));
    assert_eq!(merged.versions.len(), 2);
    let builds = |version: &str| {
        let text = format!(
            "<metadata><groupId>a</groupId><artifactId>b</artifactId><version>{version}</version><versioning><snapshot>\
             <timestamp>20260101.101010</timestamp><buildNumber>1</buildNumber></snapshot></versioning></metadata>"
        );
        parse(text.as_bytes()).unwrap()
    };
    assert!(merge(builds("1-SNAPSHOT"), builds("2-SNAPSHOT")).is_err());
    assert!(merge(builds("1-SNAPSHOT"), builds("1-SNAPSHOT")).is_ok());
}

#[test]
fn a_version_that_is_gone_is_told_no_more() {
    let mut list = artifact(&["1.0", "1.1", "2.0-SNAPSHOT"], "20261122072715");
    list.version = Some(version("1.1"));
    let before = list.clone();
    assert!(!list.forget_version(&version("3.0")));
    assert_eq!(list, before);
    assert!(list.forget_version(&version("1.1")));
    assert_eq!((list.release.clone(), list.version.clone()), (Some(version("1.0")), None));
    assert_eq!(list.latest, Some(version("2.0-SNAPSHOT")));
    assert!(list.forget_version(&version("2.0-SNAPSHOT")));
    assert_eq!(list.latest, Some(version("1.0")));
    assert!(list.forget_version(&version("1.0")));
    assert!(list.is_empty());
    let plugin = Plugin { name: None, artifact: "tool".parse().unwrap() };
    let mut group = Metadata::of_plugins(BTreeMap::from([("tool".to_owned(), plugin)]));
    assert!(!group.forget_plugins_of(&"other".parse().unwrap()) && group.forget_plugins_of(&"tool".parse().unwrap()));
    assert!(group.is_empty());
}
