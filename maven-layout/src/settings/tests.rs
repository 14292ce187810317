use super::*;

fn mirrors(patterns: &[&str]) -> Settings {
    let mirrors = patterns
        .iter()
        .enumerate()
        .map(|(at, pattern)| Mirror { id: at.to_string(), mirror_of: (*pattern).to_owned(), ..Mirror::default() })
        .collect();
    Settings { mirrors, ..Settings::default() }
}

#[test]
fn reads_what_matters() {
    let settings = parse(
        br#"<?xml version="1.0"?>
<settings xmlns="http://example.org/settings">
  <localRepository>${user.home}/repository</localRepository>
  <servers><server><id>x</id><password>secret</password></server></servers>
  <mirrors>
    <mirror><id>one</id><name>One</name><mirrorOf>other</mirrorOf><url>https://one.example.org/</url></mirror>
    <mirror><id>two</id><mirrorOf> central </mirrorOf><url>https://two.example.org/</url><blocked>true</blocked></mirror>
  </mirrors>
</settings>"#,
    )
    .unwrap();
    assert_eq!(settings.local_repository.as_deref(), Some("${user.home}/repository"));
    assert_eq!(settings.mirrors.len(), 2);
    let mirror = settings.mirror_of_central().unwrap();
    assert_eq!((mirror.id.as_str(), mirror.url.as_str(), mirror.blocked), ("two", "https://two.example.org/", true));
    assert_eq!(parse(b"<settings/>"), Ok(Settings::default()));
}

#[test]
fn chooses_the_mirror_as_maven_does() {
    let chosen = |patterns: &[&str]| mirrors(patterns).mirror_of_central().map(|mirror| mirror.id.clone());
    assert_eq!(chosen(&["*"]).as_deref(), Some("0"));
    assert_eq!(chosen(&["*", "central"]).as_deref(), Some("1"));
    assert_eq!(chosen(&["external:*"]).as_deref(), Some("0"));
    assert_eq!(chosen(&["other, central"]).as_deref(), Some("0"));
    assert_eq!(chosen(&["*,!other"]).as_deref(), Some("0"));
    for none in ["*,!central", "!central,*", "external:http:*", "other", "", "Central", "external:*,!central"] {
        assert_eq!(chosen(&[none]), None, "{none}");
    }
}
