use super::*;
use crate::testing::{JAR, LIST, World, list, world};
use crate::upload::Stored;
use crate::{Collected, collect};
use pyrsia_digest::FileDigests;
use pyrsia_repository::Answer;

const SNAPSHOT: &str = "com/example/lib/2-SNAPSHOT/maven-metadata.xml";
const LITERAL: &str = "com/example/lib/2-SNAPSHOT/lib-2-SNAPSHOT.jar";

fn build(number: u32, extension: &str) -> String {
    format!("com/example/lib/2-SNAPSHOT/lib-2-20261122.07271{number}-{number}.{extension}")
}

fn builds(numbers: &[u32]) -> String {
    let newest = numbers.last().unwrap();
    let files: String = ["jar", "pom"]
        .iter()
        .map(|extension| {
            format!(
                "<snapshotVersion><extension>{extension}</extension><value>2-20261122.07271{newest}-{newest}</value>\
                 <updated>2026112207271{newest}</updated></snapshotVersion>"
            )
        })
        .collect();
    format!(
        "<metadata><groupId>com.example</groupId><artifactId>lib</artifactId><version>2-SNAPSHOT</version><versioning>\
         <snapshot><timestamp>20261122.07271{newest}</timestamp><buildNumber>{newest}</buildNumber></snapshot>\
         <snapshotVersions>{files}</snapshotVersions></versioning></metadata>"
    )
}

async fn remove(world: &World, what: &str) -> Result<Removed, HostedError> {
    world.hosted.remove(&what.parse().unwrap(), "operator").await
}

async fn names(world: &World) -> Vec<String> {
    world.hosted.versions().await.unwrap().iter().map(|listed| listed.coordinates.to_string()).collect()
}

#[tokio::test]
async fn a_release_goes_with_its_files_and_out_of_the_list_and_stays_out() {
    let world = world();
    for version in ["1.0", "1.1"] {
        for end in [".jar", ".pom", ".jar.asc"] {
            let path = format!("com/example/lib/{version}/lib-{version}{end}");
            world.put(&path, path.as_bytes()).await.unwrap();
        }
    }
    let both = list(&["1.0", "1.1"]).replace("<versions>", "<latest>1.1</latest><release>1.1</release><versions>");
    world.put(LIST, both.as_bytes()).await.unwrap();
    let listed = world.hosted.versions().await.unwrap();
    assert_eq!(listed.len(), 2);
    assert_eq!((listed[0].files, listed[0].stored), (3, 1_700_000_000));
    assert_eq!(listed[0].writers, BTreeSet::from(["ci".to_owned()]));

    let removed = remove(&world, "com.example:lib:1.1").await.unwrap();
    assert_eq!((removed.files, removed.documents.len()), (3, 1));
    assert_eq!(names(&world).await, ["com.example:lib:1.0"]);
    assert!(matches!(world.get("com/example/lib/1.1/lib-1.1.jar").await, Answer::Absent));
    let text = world.text(LIST).await;
    assert!(
        !text.contains("1.1") && text.contains("<latest>1.0</latest>") && text.contains("<release>1.0</release>"),
        "{text}"
    );
    let again = remove(&world, "com.example:lib:1.1").await.unwrap_err();
    assert!(matches!(again, HostedError::Refused(Refused::NotHere { .. })), "{again}");

    // Somebody who read the list before it was removed adds to that.
    let theirs =
        list(&["1.0", "1.1", "1.2"]).replace("<versions>", "<latest>1.2</latest><release>1.1</release><versions>");
    world.put(LIST, theirs.as_bytes()).await.unwrap();
    let text = world.text(LIST).await;
    assert!(!text.contains("1.1<") && text.contains("<version>1.2</version>"), "{text}");

    // Uploaded again it is one like every other, with other bytes too.
    assert_eq!(world.put("com/example/lib/1.1/lib-1.1.jar", b"other").await.unwrap(), Stored::New);
    world.put(LIST, both.as_bytes()).await.unwrap();
    assert!(world.text(LIST).await.contains("<version>1.1</version>"));

    for version in ["1.0", "1.1", "1.2"] {
        remove(&world, &format!("com.example:lib:{version}")).await.unwrap();
    }
    assert!(matches!(world.get(LIST).await, Answer::Absent), "a list of nothing is none");
    assert_eq!(std::fs::read_dir(world.folder.path().join("entries")).unwrap().count(), 0);
    assert_eq!(world.put(JAR, b"one").await.unwrap(), Stored::New, "the folders come back");
    assert_eq!(world.left(), 0);
}

#[tokio::test]
async fn a_build_of_a_snapshot_goes_alone_and_the_one_before_it_is_the_newest_again() {
    let world = world();
    for number in [1, 2] {
        for extension in ["jar", "pom"] {
            world.put(&build(number, extension), build(number, extension).as_bytes()).await.unwrap();
        }
        world.put(SNAPSHOT, builds(&[number]).as_bytes()).await.unwrap();
    }
    world.put(LIST, list(&["2-SNAPSHOT"]).as_bytes()).await.unwrap();
    assert_eq!(names(&world).await, ["com.example:lib:2-20261122.072711-1", "com.example:lib:2-20261122.072712-2"]);
    let none = remove(&world, "com.example:lib:2-20261122.072713-3").await.unwrap_err();
    assert!(matches!(none, HostedError::Refused(Refused::NotHere { .. })), "{none}");

    let removed = remove(&world, "com.example:lib:2-20261122.072712-2").await.unwrap();
    assert_eq!((removed.files, removed.documents.len()), (2, 1));
    let text = world.text(SNAPSHOT).await;
    assert!(!text.contains("072712"), "{text}");
    assert_eq!(text.matches("<value>2-20261122.072711-1</value>").count(), 2, "{text}");
    assert!(text.contains("<buildNumber>1</buildNumber>"), "{text}");
    assert!(world.text(LIST).await.contains("2-SNAPSHOT"));
    world.put(SNAPSHOT, builds(&[2]).as_bytes()).await.unwrap();
    let text = world.text(SNAPSHOT).await;
    assert!(!text.contains("072712") && text.contains("<buildNumber>1</buildNumber>"), "it stays out: {text}");

    remove(&world, "com.example:lib:2-20261122.072711-1").await.unwrap();
    for gone in [SNAPSHOT, LIST, &build(1, "jar")] {
        assert!(matches!(world.get(gone).await, Answer::Absent), "{gone}");
    }

    // The whole snapshot with files of builds and of none.
    world.put(&build(3, "jar"), b"three").await.unwrap();
    world.put(LITERAL, b"literal").await.unwrap();
    world.put(SNAPSHOT, builds(&[3]).as_bytes()).await.unwrap();
    world.put(LIST, list(&["1.0", "2-SNAPSHOT"]).as_bytes()).await.unwrap();
    assert_eq!(remove(&world, "com.example:lib:2-SNAPSHOT").await.unwrap().files, 2);
    assert!(!world.text(LIST).await.contains("2-SNAPSHOT"));
    assert_eq!(names(&world).await, Vec::<String>::new());
}

#[tokio::test]
async fn the_prefix_of_a_plugin_goes_with_its_last_version() {
    let world = world();
    let group = "com/example/maven-metadata.xml";
    let plugin = |name: &str| format!("<plugin><prefix>{name}</prefix><artifactId>{name}</artifactId></plugin>");
    world
        .put(group, format!("<metadata><plugins>{}{}</plugins></metadata>", plugin("lib"), plugin("other")).as_bytes())
        .await
        .unwrap();
    world.put(LIST, list(&["1.0", "1.1"]).as_bytes()).await.unwrap();
    remove(&world, "com.example:lib:1.0").await.unwrap();
    assert!(world.text(group).await.contains("<prefix>lib</prefix>"));
    remove(&world, "com.example:lib:1.1").await.unwrap();
    let text = world.text(group).await;
    assert!(!text.contains("<prefix>lib</prefix>") && text.contains("<prefix>other</prefix>"), "{text}");
}

#[tokio::test]
async fn a_file_that_names_no_build_is_the_last_that_was_uploaded() {
    let world = world();
    let sha1 = |bytes: &[u8]| FileDigests::of(bytes).sha1.to_string();
    let checksum = format!("{LITERAL}.sha1");
    let read = async || match world.get(LITERAL).await {
        Answer::File(file) => (std::fs::read(&file.blob_path).unwrap(), file.immutable),
        other => panic!("{other:?}"),
    };
    assert_eq!(world.put(LITERAL, b"one").await.unwrap(), Stored::New);
    assert_eq!(world.put(&checksum, sha1(b"one").as_bytes()).await.unwrap(), Stored::Unchanged);
    // Another length too.
    let upload = world.hosted.begin(&LITERAL.parse().unwrap(), Some(6)).await.unwrap();
    drop(upload);
    assert_eq!(world.put(LITERAL, b"second").await.unwrap(), Stored::Changed);
    assert_eq!(world.put(&checksum, sha1(b"second").as_bytes()).await.unwrap(), Stored::Unchanged);
    assert_eq!(read().await, (b"second".to_vec(), false));
    assert_eq!(world.text(&checksum).await, sha1(b"second"));

    // One that was damaged on its way is not what is served, and neither is nothing.
    world.put(LITERAL, b"damaged").await.unwrap();
    let refused = crate::testing::refusal(world.put(&checksum, sha1(b"third").as_bytes()).await);
    assert!(matches!(refused, Refused::Mismatch { taken_back: true, .. }), "{refused}");
    assert_eq!(read().await.0, b"second");

    // Somebody else's upload between a file and its checksum.
    world.put_as("one", LITERAL, b"theirs").await.unwrap();
    world.put_as("two", LITERAL, b"ours").await.unwrap();
    assert_eq!(world.put_as("one", &checksum, sha1(b"theirs").as_bytes()).await.unwrap(), Stored::Unchanged);
    assert_eq!(world.put_as("two", &checksum, sha1(b"ours").as_bytes()).await.unwrap(), Stored::Unchanged);
    assert_eq!(read().await.0, b"ours");

    // Builds stay what they are.
    world.put(&build(1, "jar"), b"one").await.unwrap();
    let other = crate::testing::refusal(world.put(&build(1, "jar"), b"two").await);
    assert!(matches!(other, Refused::Immutable { .. }), "{other}");
}

#[tokio::test]
async fn bytes_that_no_entry_names_are_garbage_and_no_others_are() {
    let world = world();
    world.put(JAR, b"same").await.unwrap();
    world.put("com/example/lib/2.0/lib-2.0.jar", b"same").await.unwrap();
    world.put("com/example/lib/2.0/lib-2.0.pom", b"of 2.0 alone").await.unwrap();
    world.put(LITERAL, b"replaced").await.unwrap();
    world.put(LITERAL, b"now").await.unwrap();
    world.put("com/example/lib/3.0/lib-3.0.jar", b"damaged on its way").await.unwrap();
    let _ = world.put("com/example/lib/3.0/lib-3.0.jar.sha1", &[b'a'; 40]).await;
    remove(&world, "com.example:lib:2.0").await.unwrap();
    let root = world.folder.path();
    let expected = Collected { removed: 3, removed_bytes: 12 + 8 + 18, left: 2, left_bytes: 7 };
    assert_eq!(collect(root, true).unwrap(), expected);
    assert_eq!(collect(root, false).unwrap(), expected);
    assert_eq!(collect(root, false).unwrap(), Collected { left: 2, left_bytes: 7, ..Collected::default() });
    assert!(matches!(world.get(JAR).await, Answer::File(_)) && matches!(world.get(LITERAL).await, Answer::File(_)));

    world.put("com/example/lib/4.0/lib-4.0.jar", b"four").await.unwrap();
    std::fs::write(root.join("entries").join(JAR), "{").unwrap();
    assert!(matches!(collect(root, false), Err(HostedError::Entry { .. })), "what it names is not known");
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(collect(empty.path(), false).unwrap(), Collected::default());
    assert_eq!(std::fs::read_dir(empty.path()).unwrap().count(), 0);
}
