//! The order of versions is Maven's: the same pairs are asked of `maven-layout` and of Maven's own class.

use std::process::Command;
use std::time::Duration;

use pyrsia_tests::places;
use pyrsia_tests::process::run;

use crate::fixture;

/// Maven's class, in the release that the builder image and [`pyrsia_tests::clients::Maven::newer`] have.
const MAVEN_ARTIFACT: &str = "org/apache/maven/maven-artifact/3.9.9/maven-artifact-3.9.9.jar";
/// Pairs to compare. Another thousand costs some milliseconds.
const PAIRS: &str = "150000";
/// Where the generator of pairs begins. With the same seed a difference is found again.
const SEED: &str = "20261122";
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn versions_are_ordered_as_mavens_own_class_orders_them() {
    let folder = places::scratch("versions");
    let jar = folder.path().join("maven-artifact.jar");
    let body = fixture::central().artifact(MAVEN_ARTIFACT).expect(200).body;
    std::fs::write(&jar, body).expect("a written jar");

    let ours = run(Command::new(places::example("version_pairs")).args([PAIRS, SEED]), LIMIT).expect(0).stdout;
    let pairs = folder.path().join("pairs.tsv");
    std::fs::write(&pairs, &ours).expect("written pairs");

    // The program reads its standard input, which commands of the harness do not have.
    let mut java = Command::new("sh");
    java.args(["-c", "exec java -cp \"$1\" \"$2\" < \"$3\"", "sh"])
        .arg(&jar)
        .arg(places::root().join("tests/java/CompareVersions.java"))
        .arg(&pairs);
    let theirs = run(&mut java, LIMIT).expect(0).stdout;

    assert_eq!(ours.lines().count().to_string(), PAIRS);
    assert_eq!(theirs.lines().count(), ours.lines().count(), "one answer to each pair");
    let different: Vec<_> = ours
        .lines()
        .zip(theirs.lines())
        .filter(|(pair, answer)| pair.rsplit('\t').next() != Some(*answer))
        .map(|(pair, answer)| format!("{pair}, and Maven says {answer}"))
        .collect();
    assert!(different.is_empty(), "{} pairs differ, among them\n{}", different.len(), head(&different));
}

fn head(lines: &[String]) -> String {
    lines.iter().take(20).cloned().collect::<Vec<_>>().join("\n")
}
