//! What the build files of a commit say that its build makes beside the wanted release.

use super::*;

/// What is withheld for a wanted release of a repository with these files.
async fn withheld(files: &[(&str, &str)], wanted: &str) -> Result<Vec<String>, SourceError> {
    let files: Vec<(i32, &str, &[u8])> = files.iter().map(|(path, text)| (0o100_644, *path, text.as_bytes())).collect();
    let source = Made::new(&files).resolve(wanted, Some("v1"), None).await?;
    Ok(source.reactor.iter().map(Coordinates::to_string).collect())
}

const FRIENDLY: &str = "<project><groupId>org.acme</groupId><artifactId>parent</artifactId><version>${revision}${sha1}</version>\
    <packaging>pom</packaging><properties><revision>1.0</revision><sha1/></properties>\
    <modules><module>core</module></modules>\
    <profiles><profile><id>it</id><modules><module>extra</module><module>gone</module></modules></profile></profiles></project>";
const CHILD: &str = "<project><parent><groupId>org.acme</groupId><artifactId>parent</artifactId>\
    <version>${revision}${sha1}</version></parent><artifactId>NAME</artifactId></project>";

#[tokio::test]
async fn siblings_at_computed_versions_are_known_in_and_out_of_profiles() {
    let (core, extra) = (CHILD.replace("NAME", "core"), CHILD.replace("NAME", "extra"));
    let mut files = vec![("pom.xml", FRIENDLY), ("core/pom.xml", &*core), ("extra/pom.xml", &*extra)];
    let all = ["org.acme:core:1.0", "org.acme:extra:1.0", "org.acme:parent:1.0"];
    assert_eq!(withheld(&files, "org.acme:core:1.0").await.unwrap(), all);
    // The version of the release may come from a command line that nobody has written down.
    let known = withheld(&files, "org.acme:core:7").await.unwrap();
    assert!(
        known.contains(&"org.acme:extra:7".to_owned()) && known.contains(&"org.acme:parent:7".to_owned()),
        "{known:?}"
    );
    // What the tree gives the tool counts as well.
    files.push((".mvn/maven.config", "-Drevision=2.0\n-Dsha1=-b\n"));
    let known = withheld(&files, "org.acme:core:2.0").await.unwrap();
    for version in ["1.0", "1.0-b", "2.0", "2.0-b"] {
        assert!(known.contains(&format!("org.acme:extra:{version}")), "{version} in {known:?}");
    }
}

#[tokio::test]
async fn a_version_that_nothing_in_the_tree_tells_is_taken_for_the_releases_own() {
    let root = "<project><parent><groupId>org.far</groupId><artifactId>away</artifactId><version>3</version></parent>\
        <artifactId>parent</artifactId><groupId>org.acme</groupId><version>${git.version}</version>\
        <modules><module>core</module></modules></project>";
    let core = "<project><parent><groupId>${far.group}</groupId><artifactId>parent</artifactId><version>${x}</version></parent>\
        <artifactId>core</artifactId></project>";
    let known = withheld(&[("pom.xml", root), ("core/pom.xml", core)], "org.acme:parent:4.2").await.unwrap();
    assert_eq!(known, ["org.acme:core:4.2", "org.acme:parent:4.2"]);
}

#[tokio::test]
async fn artifact_ids_have_all_their_values_and_an_unknown_one_is_refused() {
    let root = |scala: &str| {
        format!(
            "<project><groupId>org.acme</groupId><artifactId>parent</artifactId><version>1</version>\
             <modules><module>core</module></modules>{scala}</project>"
        )
    };
    let core = "<project><parent><groupId>org.acme</groupId><artifactId>parent</artifactId><version>1</version></parent>\
        <artifactId>core_${scala}</artifactId></project>";
    let told = root(
        "<properties><scala>2.12</scala></properties><profiles><profile><properties><scala>2.13</scala>\
        </properties></profile></profiles>",
    );
    let known = withheld(&[("pom.xml", &told), ("core/pom.xml", core)], "org.acme:parent:1").await.unwrap();
    assert_eq!(known, ["org.acme:core_2.12:1", "org.acme:core_2.13:1", "org.acme:parent:1"]);
    let untold = withheld(&[("pom.xml", &root("")), ("core/pom.xml", core)], "org.acme:parent:1").await.unwrap_err();
    assert!(
        matches!(&untold, SourceError::BuildFile { file, problem, .. }
        if file == "core/pom.xml" && problem.contains("core_${scala}")),
        "{untold}"
    );
}

#[tokio::test]
async fn where_modules_cannot_be_told_every_build_file_may_be_one() {
    let root = |module: &str| {
        format!(
            "<project><groupId>org.acme</groupId><artifactId>parent</artifactId><version>1</version>\
             <properties><dir>co</dir></properties><modules>{module}</modules></project>"
        )
    };
    let other = "<project><groupId>org.acme</groupId><artifactId>other</artifactId><version>1</version></project>";
    let told = root("<module>${dir}re</module>");
    let files = [("pom.xml", &*told), ("core/pom.xml", other), ("it/pom.xml", "no build file")];
    assert_eq!(withheld(&files, "org.acme:parent:1").await.unwrap(), ["org.acme:other:1", "org.acme:parent:1"]);
    let untold = root("<module>${some.module}</module>");
    let files = [("pom.xml", &*untold), ("core/pom.xml", other), ("it/pom.xml", "no build file")];
    assert_eq!(withheld(&files, "org.acme:parent:1").await.unwrap(), ["org.acme:other:1", "org.acme:parent:1"]);
    // A separate project beside a reactor that is known is none of it.
    let none = root("");
    let files = [("pom.xml", &*none), ("core/pom.xml", other)];
    assert_eq!(withheld(&files, "org.acme:parent:1").await.unwrap(), ["org.acme:parent:1"]);
    let files = [("pom.xml", &*none), ("core/pom.xml", other), (".mvn/maven.config", "-f\ncore/pom.xml\n")];
    assert_eq!(withheld(&files, "org.acme:parent:1").await.unwrap(), ["org.acme:other:1", "org.acme:parent:1"]);
}

#[tokio::test]
async fn without_a_build_file_in_the_root_every_one_of_the_tree_may_be_the_build() {
    let other = "<project><groupId>org.acme</groupId><artifactId>tool</artifactId><version>1.0</version></project>";
    let made = Made::new(&[
        (0o100_644, "java/pom.xml", POM.as_bytes()),
        (0o100_644, "java/core/pom.xml", CORE.as_bytes()),
        (0o100_644, "java/extra/pom.xml", EXTRA.as_bytes()),
        (0o100_644, "tools/pom.xml", other.as_bytes()),
    ]);
    let source = made.resolve("org.acme:core:1.0", Some("v1"), None).await.unwrap();
    let reactor: Vec<String> = source.reactor.iter().map(ToString::to_string).collect();
    let all = ["org.acme:core:1.0", "org.acme:extra:1.0", "org.acme:parent:1.0", "org.acme:tool:1.0"];
    assert_eq!(reactor, all, "nothing that the build could make is given to it");
    let error = made.resolve("org.acme:none:1.0", Some("v1"), None).await.unwrap_err();
    assert!(matches!(error, SourceError::Coordinates { .. }), "{error}");
    let none = Made::new(&[(0o100_644, "README", b"none")]);
    let error = none.resolve("org.acme:core:1.0", Some("v1"), None).await.unwrap_err();
    assert!(matches!(error, SourceError::BuildFile { .. }), "{error}");
}

#[tokio::test]
async fn what_the_commands_of_a_commit_say_counts_for_its_siblings() {
    let parent = "<project><groupId>org.acme</groupId><artifactId>parent</artifactId><version>1.0</version>\
        <packaging>pom</packaging><modules><module>named</module></modules></project>";
    let named = "<project><groupId>org.acme</groupId><artifactId>${name}</artifactId><version>1.0</version></project>";
    let apart = "<project><groupId>org.acme</groupId><artifactId>apart</artifactId><version>1.0</version></project>";
    let specification = "version = 2\ntool = \"maven-3.9.9\"\njdk = 17\n\
        commands = [\"mvn -f apart/pom.xml package\", \"mvn package -Dname=by-command\"]\n";
    let made = Made::new(&[
        (0o100_644, "pom.xml", parent.as_bytes()),
        (0o100_644, "named/pom.xml", named.as_bytes()),
        (0o100_644, "apart/pom.xml", apart.as_bytes()),
        (0o100_644, "pyrsia.toml", specification.as_bytes()),
    ]);
    let source = made.resolve("org.acme:parent:1.0", Some("v1"), None).await.unwrap();
    let reactor: Vec<String> = source.reactor.iter().map(ToString::to_string).collect();
    assert_eq!(reactor, ["org.acme:apart:1.0", "org.acme:by-command:1.0", "org.acme:parent:1.0"]);
}
