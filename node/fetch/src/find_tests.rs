use std::io::Write;

use super::*;

const SUPER: &str = r#"<project><modelVersion>4.0.0</modelVersion><repositories><repository><id>central</id>
    <url>https://central.invalid/maven2</url></repository></repositories></project>"#;

struct Machine {
    dir: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    fn write(&self, path: &str, content: &[u8]) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn settings(&self, path: &str, mirrors: &[(&str, &str, &str)]) {
        let mirror = |(id, of, url): &(&str, &str, &str)| {
            let blocked = if url.ends_with("/blocked") { "<blocked>true</blocked>" } else { "" };
            format!("<mirror><id>{id}</id><mirrorOf>{of}</mirrorOf><url>{url}</url>{blocked}</mirror>")
        };
        let mirrors: String = mirrors.iter().map(mirror).collect();
        self.write(path, format!("<settings><mirrors>{mirrors}</mirrors></settings>").as_bytes());
    }

    fn user(&self, mirrors: &[(&str, &str, &str)]) {
        self.settings("home/.m2/settings.xml", mirrors);
    }

    /// An installation with a super POM in a jar.
    fn maven(&self, home: &str, jar: &str, super_pom: &[u8]) {
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        let options = zip::write::SimpleFileOptions::default();
        zip.start_file("META-INF/MANIFEST.MF", options).unwrap();
        zip.start_file(SUPER_POM, options).unwrap();
        zip.write_all(super_pom).unwrap();
        let bytes = zip.finish().unwrap().into_inner();
        self.write(&format!("{home}/lib/{jar}"), &bytes);
        self.write(&format!("{home}/bin/mvn"), b"#!/bin/sh");
    }

    fn config(&self) -> FindConfig {
        FindConfig {
            user_settings: Some(self.path("home/.m2/settings.xml")),
            well_known: vec![self.path("maven")],
            ..FindConfig::default()
        }
    }

    fn find(&self) -> Result<FoundUpstream, FindError> {
        find_central(&self.config())
    }
}

#[test]
fn what_an_installation_brings_is_read_from_its_jars() {
    let machine = Machine::new();
    assert!(crate::find_maven(&machine.config()).unwrap().is_none());
    machine.maven("maven", "maven-model-builder-3.9.9.jar", SUPER.as_bytes());
    assert!(crate::find_maven(&machine.config()).unwrap().is_none(), "a folder without Maven's core is none");
    let core = |entries: &[(&str, &str)]| {
        let mut zip = zip::ZipWriter::new(io::Cursor::new(Vec::new()));
        for (name, text) in entries {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        machine.write("maven/lib/maven-core-3.x.jar", &zip.finish().unwrap().into_inner());
    };
    core(&[]);
    let found = crate::find_maven(&machine.config()).unwrap().unwrap();
    assert!(found.bindings.is_none() && found.version.is_none() && found.super_pom.is_some(), "{found:?}");
    let properties = ("META-INF/maven/org.apache.maven/maven-core/pom.properties", "#\nversion=3.8.7\n");
    let place = maven_layout::bindings::PLACE;
    let bindings = "<component-set><components><component><role-hint>jar</role-hint><configuration><phases>\
                    <package>g:a:1:goal</package></phases></configuration></component></components></component-set>";
    core(&[properties, (place, bindings)]);
    let found = crate::find_maven(&machine.config()).unwrap().unwrap();
    assert_eq!(found.version.as_deref(), Some("3.8.7"));
    assert_eq!(found.bindings.unwrap().of("jar").unwrap().len(), 1);
    core(&[(place, "<broken")]);
    assert!(matches!(crate::find_maven(&machine.config()), Err(FindError::Xml { .. })));
}

#[test]
fn a_mirror_of_the_user_comes_first() {
    let machine = Machine::new();
    machine.maven("maven", "maven-model-builder-3.9.9.jar", SUPER.as_bytes());
    machine.settings("maven/conf/settings.xml", &[("global", "*", "https://global.invalid/")]);
    for of in ["central", "*", "external:*", "*,!other"] {
        machine.user(&[("none", "other", "https://other.invalid/"), ("mine", of, " https://mine.invalid/r ")]);
        let found = machine.find().unwrap();
        assert_eq!(found.url, "https://mine.invalid/r", "{of}");
        assert!(found.how.contains("`mine`") && found.how.contains("home/.m2/settings.xml"), "{}", found.how);
    }
    // Not of the central repository: the next place.
    for of in ["other", "*,!central", "external:http:*"] {
        machine.user(&[("mine", of, "https://mine.invalid/")]);
        let found = machine.find().unwrap();
        assert_eq!(found.url, "https://global.invalid/", "{of}");
        assert!(found.how.contains("maven/conf/settings.xml"), "{}", found.how);
    }
}

#[test]
fn settings_are_merged_as_maven_merges_them() {
    let machine = Machine::new();
    machine.maven("maven", "maven-model-builder-3.9.9.jar", SUPER.as_bytes());
    // An exact name beats a wildcard, wherever it stands.
    machine.user(&[("mine", "*", "https://mine.invalid/")]);
    machine.settings("maven/conf/settings.xml", &[("global", "central", "https://global.invalid/")]);
    assert_eq!(machine.find().unwrap().url, "https://global.invalid/");
    // The same id: the user's replaces the installation's.
    machine.user(&[("global", "*", "https://mine.invalid/")]);
    assert_eq!(machine.find().unwrap().url, "https://mine.invalid/");
}

#[test]
fn the_super_pom_is_next_and_the_configuration_last() {
    let machine = Machine::new();
    machine.maven("maven", "maven-model-builder-3.x.jar", SUPER.as_bytes());
    machine.settings("maven/conf/settings.xml", &[("blocker", "external:http:*", "http://0.0.0.0/blocked")]);
    let mut config = FindConfig { upstream: Some("https://configured.invalid/".to_owned()), ..machine.config() };
    let found = find_central(&config).unwrap();
    assert_eq!(found.url, "https://central.invalid/maven2");
    assert!(found.how.contains("maven-model-builder-3.x.jar"), "{}", found.how);

    config.well_known.clear();
    assert_eq!(find_central(&config).unwrap().url, "https://configured.invalid/");
    config.upstream = None;
    let error = find_central(&config).unwrap_err();
    assert!(matches!(error, FindError::NotFound { .. }));
    assert!(error.to_string().contains("set `upstream`") && error.to_string().contains(".m2"), "{error}");
    assert!(find_central(&FindConfig::default()).is_err());
}

#[test]
fn installations_are_found_by_variable_path_and_link() {
    let machine = Machine::new();
    let at = |host: &str| SUPER.replace("central.invalid", host).into_bytes();
    machine.maven("one", "maven-model-builder-3.8.7.jar", &at("one.invalid"));
    machine.maven("two", "maven-impl-4.0.0.jar", &at("two.invalid"));
    // As a distribution has it: bin/mvn -> etc/mvn -> the installation's own.
    std::fs::create_dir_all(machine.path("usr/bin")).unwrap();
    std::os::unix::fs::symlink(machine.path("two/bin/mvn"), machine.path("usr/mvn")).unwrap();
    std::os::unix::fs::symlink("../mvn", machine.path("usr/bin/mvn")).unwrap();
    let search_path = std::env::join_paths([machine.path("empty"), machine.path("usr/bin")]).unwrap();

    let config = FindConfig { search_path: Some(search_path.clone()), ..machine.config() };
    assert!(find_central(&config).unwrap().url.contains("two.invalid"));
    let variables = |name: &str| match name {
        "MAVEN_HOME" => Some(machine.path("one").into_os_string()),
        "PATH" => Some(search_path.clone()),
        "HOME" => Some(machine.path("home").into_os_string()),
        _ => None,
    };
    let mut config = FindConfig::from_variables(variables);
    config.well_known.clear();
    assert_eq!(config.user_settings, Some(machine.path("home/.m2/settings.xml")));
    assert!(find_central(&config).unwrap().url.contains("one.invalid"));
    // A variable that leads nowhere is passed over.
    config.maven_homes = vec![machine.path("gone")];
    assert!(find_central(&config).unwrap().url.contains("two.invalid"));
}

#[test]
fn what_forbids_or_is_broken_is_not_gone_around() {
    let machine = Machine::new();
    machine.maven("maven", "maven-model-builder-3.9.9.jar", SUPER.as_bytes());
    machine.user(&[("stop", "*", "https://mine.invalid/blocked")]);
    assert!(matches!(machine.find(), Err(FindError::Blocked { id, .. }) if id == "stop"));
    for url in ["${env.MIRROR}", "file:///srv/repo", "repo.invalid", ""] {
        machine.user(&[("mine", "*", url)]);
        assert!(matches!(machine.find(), Err(FindError::Address { .. })), "{url}");
    }
    machine.write("home/.m2/settings.xml", b"<settings><mirrors>");
    assert!(matches!(machine.find(), Err(FindError::Xml { path, .. }) if path.ends_with("settings.xml")));
    machine.write("home/.m2/settings.xml", &vec![b' '; MAX_XML_BYTES as usize + 1]);
    assert!(matches!(machine.find(), Err(FindError::TooLarge { .. })));
    machine.user(&[]);
    assert!(machine.find().is_ok());

    machine.write("maven/lib/maven-model-builder-3.9.9.jar", b"not a jar");
    assert!(matches!(machine.find(), Err(FindError::Jar { .. })));
    machine.maven("maven", "maven-model-builder-3.9.9.jar", b"<project>");
    assert!(matches!(machine.find(), Err(FindError::Xml { .. })));
    // Small in the jar, large outside of it.
    machine.maven("maven", "maven-model-builder-3.9.9.jar", &vec![b' '; 64 << 20]);
    assert!(matches!(machine.find(), Err(FindError::TooLarge { .. })));
    // Without the repository: as if there were no Maven.
    machine.maven("maven", "maven-model-builder-3.9.9.jar", b"<project/>");
    assert!(matches!(machine.find(), Err(FindError::NotFound { .. })));
}

/// This machine's configuration, if it has a Maven.
fn this_machine() -> Option<FoundUpstream> {
    match find_central(&FindConfig::from_variables(|name| std::env::var_os(name))) {
        Ok(found) => Some(found),
        Err(FindError::NotFound { tried }) => {
            assert!(!Path::new("/usr/share/maven/lib").is_dir(), "a Maven is there but was not recognised: {tried:?}");
            eprintln!("no Maven on this machine: nothing to find");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn the_maven_of_this_machine() {
    if let Some(found) = this_machine() {
        assert!(found.url.starts_with("http"), "{found:?}");
        assert!(!found.how.is_empty());
    }
}

#[tokio::test]
#[ignore = "speaks to the upstream of this machine's Maven"]
async fn the_upstream_of_this_machine_answers() {
    use crate::{HttpConfig, HttpOrigin, Origin, OriginAnswer};
    let Some(found) = this_machine() else { return };
    let origin = HttpOrigin::new("upstream", &found.url, HttpConfig::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let blobs = pyrsia_blobs::BlobStore::open(dir.path()).unwrap();
    let nothing = pyrsia_blobs::Expected::default();
    let files = [
        "junit/junit/4.13.2/junit-4.13.2.jar",
        "junit/junit/4.13.2/junit-4.13.2.pom",
        "junit/junit/maven-metadata.xml",
    ];
    for path in files {
        let answer = origin.fetch(&path.parse().unwrap(), &nothing, &blobs).await.unwrap();
        let OriginAnswer::Found { stored, last_modified, checksums } = answer else { panic!("{path} is absent") };
        println!("{path}: {} bytes, {last_modified:?}, {checksums:?}", stored.digests.size);
        assert!(!checksums.is_unverified());
        assert!(blobs.verify(&stored.digests.sha256).is_ok());
    }
    let absent = "org/acme/no-such-artifact/1/no-such-artifact-1.jar".parse().unwrap();
    assert_eq!(origin.fetch(&absent, &nothing, &blobs).await.unwrap(), OriginAnswer::Absent);
}
