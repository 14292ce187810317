use proptest::prelude::*;

use super::*;

const POM: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://example.org/POM/4.0.0">
  <!-- <groupId>commented</groupId> -->
  <parent>
    <groupId>org.example</groupId>
    <artifactId>parent</artifactId>
    <version>7</version>
    <relativePath/>
  </parent>
  <artifactId>tool<!-- inner --></artifactId>
  <packaging>bundle</packaging>
  <name>Tools &amp; <![CDATA[<more>]]>&#33;</name>
  <dependencies><dependency><groupId>other</groupId><version>9</version></dependency></dependencies>
  <scm>
    <connection>scm:git:https://git.example.org/org/tool.git</connection>
    <developerConnection/>
    <url>
      https://git.example.org/org/tool
    </url>
    <tag>v7</tag>
  </scm>
  <properties><a.b>1</a.b><empty/></properties>
  <modules><module>core</module><module>../side</module></modules>
</project>"#;

#[test]
fn reads_the_subset() {
    let pom = Pom::parse(POM.as_bytes()).unwrap();
    assert_eq!(pom.group_id, None);
    assert_eq!(pom.effective_coordinates().unwrap().to_string(), "org.example:tool:7");
    assert_eq!(pom.parent_coordinates().unwrap().unwrap().to_string(), "org.example:parent:7");
    assert_eq!(pom.parent.unwrap().relative_path.as_deref(), Some(""));
    assert_eq!(pom.packaging.as_deref(), Some("bundle"));
    assert_eq!(pom.name.as_deref(), Some("Tools & <more>!"));
    let scm = pom.scm.unwrap();
    assert_eq!(scm.connection.as_deref(), Some("scm:git:https://git.example.org/org/tool.git"));
    assert_eq!(scm.developer_connection, None);
    assert_eq!(scm.url.as_deref(), Some("https://git.example.org/org/tool"));
    assert_eq!(scm.tag.as_deref(), Some("v7"));
    assert_eq!(pom.properties.get("a.b").map(String::as_str), Some("1"));
    assert_eq!(pom.properties.get("empty").map(String::as_str), Some(""));
    assert_eq!(pom.modules, ["core", "../side"]);
}

#[test]
fn computed_and_missing_coordinates_are_told_apart() {
    let parse = |body: &str| Pom::parse(format!("<project>{body}</project>").as_bytes()).unwrap();
    let pom = parse("<groupId>g</groupId><artifactId>a</artifactId><version>1-${revision}</version>");
    assert!(pom.has_computed_coordinates());
    assert_eq!(
        pom.effective_coordinates(),
        Err(PomError::Computed { what: "version", value: "1-${revision}".to_owned() })
    );
    let pom = parse("<groupId>g</groupId><version>1</version>");
    assert!(!pom.has_computed_coordinates());
    assert_eq!(pom.effective_coordinates(), Err(PomError::Missing { what: "artifactId" }));
    assert_eq!(pom.effective_packaging(), "jar");
    assert_eq!(pom.parent_coordinates(), Ok(None));
    let pom = parse("<groupId>../g</groupId><artifactId>a</artifactId><version>1</version>");
    assert!(matches!(pom.effective_coordinates(), Err(PomError::Coordinates(_))));
    let pom = parse("<parent><groupId>g</groupId></parent><artifactId>a</artifactId><version>1</version>");
    assert_eq!(pom.effective_coordinates().unwrap().to_string(), "g:a:1");
    assert_eq!(pom.parent_coordinates(), Err(PomError::Missing { what: "artifactId" }));
}

#[test]
fn own_coordinates_come_before_the_parents() {
    let pom = Pom::parse(
        b"<project><parent><groupId>p</groupId><artifactId>p</artifactId><version>1</version></parent>\
          <groupId>own</groupId><artifactId>a</artifactId><version>2</version></project>",
    )
    .unwrap();
    assert_eq!(pom.effective_coordinates().unwrap().to_string(), "own:a:2");
}

#[test]
fn profiles_are_read_apart_from_the_project() {
    let pom = Pom::parse(
        b"<project><properties><a>1</a></properties><modules><module>m</module></modules><profiles><profile>\
          <id>x</id><properties><a>2</a></properties><modules><module>n</module></modules></profile><profile/>\
          </profiles></project>",
    )
    .unwrap();
    assert_eq!((pom.properties["a"].as_str(), pom.modules.as_slice()), ("1", ["m".to_owned()].as_slice()));
    assert_eq!(pom.profiles.len(), 2);
    assert_eq!(pom.profiles[0].id.as_deref(), Some("x"));
    assert_eq!(pom.profiles[0].properties["a"], "2");
    assert_eq!(pom.profiles[0].modules, ["n"]);
    assert_eq!(pom.profiles[1], Profile::default());
}

#[test]
fn only_direct_children_count() {
    let pom = Pom::parse(b"<project><build><artifactId>x</artifactId></build></project>").unwrap();
    assert_eq!(pom.artifact_id, None);
}

proptest! {
    #[test]
    fn values_survive_escaping(name in "[^\\p{C}\\s]{1,20}") {
        let escaped = name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let pom = Pom::parse(format!("<project><name>\n  {escaped} </name></project>").as_bytes()).unwrap();
        prop_assert_eq!(pom.name, Some(name));
    }
}
