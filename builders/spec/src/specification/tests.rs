use super::*;
use proptest::prelude::*;

const MINIMAL: &str = "version = 1\ntool = \"maven-3.6.3\"\njdk = 17\ngoals = [\"clean\", \"package\"]\n";

#[test]
fn minimal_form_gets_defaults() {
    let spec = Specification::from_toml(MINIMAL).unwrap();
    assert_eq!(spec.tool, Tool::Maven("3.6.3".to_owned()));
    assert_eq!(spec.umask_bits().unwrap(), 0o022);
    assert_eq!(spec.source_date_epoch, SourceDateEpoch::ByMode);
    assert_eq!(Specification::from_toml(&spec.to_toml()).unwrap(), spec);
}

fn distribution() -> SourceDistribution {
    let url = "https://files.example/a-1-src.zip".to_owned();
    SourceDistribution { url, sha256: Sha256::of(b"zip"), path: Some("a-1".to_owned()), remove: vec![] }
}

/// Every addition of version 2.
const SECOND: &str = r#"
version = 2
tool = "maven-3.9.9"
jdk = 17
commands = ["cd java", "./mvnw clean && mvn package -DskipTests"]
exec_before = ["find . -type d -exec chmod g+s {} \\;"]
exec_after = ["echo done"]
maven_opts = "-Duser.country=US -Xmx2g"
toolchains = [8, 17]
newline = "crlf"
newline_git = "lf"
os = "osx"
arch = "aarch64"

[source_distribution]
url = "https://files.example/a-1-src.zip"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
path = "a-1"
remove = ["NOTICE"]
"#;

#[test]
fn the_ledger_knows_old_specifications_by_the_digests_they_always_had() {
    // Computed before the format had a second version. They stand in ledgers.
    let known = "6d299b34875cb92aad59e8eef19892e3d9193d75fd42ba19205565c68973f564";
    assert_eq!(Specification::default_maven("3.9.9").digest().to_string(), known);
}

#[test]
fn the_second_version_reads_and_writes_every_field() {
    let spec = Specification::from_toml(SECOND).unwrap();
    assert_eq!(Specification::from_toml(&spec.to_toml()).unwrap(), spec);
    assert_eq!(spec.commands.len(), 2);
    assert_eq!(spec.checkout_newline(), Newline::Lf);
    assert_eq!(spec.addition(), Some("commands"));
    let first = SECOND.replace("version = 2", "version = 1");
    assert!(matches!(
        Specification::from_toml(&first),
        Err(SpecificationError::Field { field: "commands", problem }) if problem.contains("version = 2")
    ));
    let bare = Specification::from_toml(&MINIMAL.replace("version = 1", "version = 2")).unwrap();
    assert_ne!(bare.digest(), Specification::from_toml(MINIMAL).unwrap().digest());
    assert!(Specification::from_toml(&MINIMAL.replace("version = 1", "version = 3")).is_err());
}

#[test]
fn fields_of_the_second_version_are_checked() {
    for (name, from, to) in [
        ("goals", "commands =", "goals = [\"package\"]\ncommands ="),
        ("profiles", "commands =", "profiles = [\"x\"]\ncommands ="),
        ("properties", "[source_distribution]", "[properties]\nx = \"\"\n[source_distribution]"),
        ("commands", "package -DskipTests", "package | tee log"),
        ("commands", "package -DskipTests", "package '"),
        ("commands", "package -DskipTests", "package &"),
        ("commands", "&& mvn package", "&& gradle package"),
        ("exec_before", "chmod g+s {} \\\\;", "'"),
        ("exec_after", "echo done", "echo\\u0001"),
        ("exec_after", "echo done", ""),
        ("maven_opts", "-Xmx2g", "'-Dx=y z'"),
        ("maven_opts", "-Xmx2g", "Main"),
        ("maven_opts", "-Xmx2g", "-Dx=*"),
        ("toolchains", "[8, 17]", "[8, 8]"),
        ("toolchains", "[8, 17]", "[1]"),
        ("os", "osx", "a b"),
        ("arch", "aarch64", ""),
        ("source_distribution", "https://", "http://"),
        ("source_distribution", "a-1\"\nremove", "../a\"\nremove"),
        ("source_distribution", "NOTICE", "/etc/passwd"),
    ] {
        let toml = SECOND.replace(from, to);
        assert_ne!(toml, SECOND, "{from}");
        match Specification::from_toml(&toml) {
            Err(SpecificationError::Field { field, .. }) => assert_eq!(field, name, "{to}"),
            other => panic!("{to}: {other:?}"),
        }
    }
}

#[test]
fn digest_covers_every_field() {
    let base = Specification::from_toml(MINIMAL).unwrap();
    let changes: Vec<fn(&mut Specification)> = vec![
        |s| s.jdk = 21,
        |s| s.tool = Tool::Maven("3.8.8".to_owned()),
        |s| s.goals.push("verify".to_owned()),
        |s| s.profiles.push("x".to_owned()),
        |s| s.modules.push("x".to_owned()),
        |s| drop(s.properties.insert("x".to_owned(), String::new())),
        |s| drop(s.system_properties.insert("x".to_owned(), String::new())),
        |s| s.umask = "0002".to_owned(),
        |s| s.newline = Newline::Crlf,
        |s| s.timezone = "Europe/Paris".to_owned(),
        |s| s.locale = "de_DE".to_owned(),
        |s| s.workdir = "/var/maven/other".to_owned(),
        |s| s.user_name = Some("x".to_owned()),
        |s| s.source_date_epoch = SourceDateEpoch::At(0),
        |s| s.output_timestamp = Some("0".to_owned()),
        |s| s.git = GitState::Commit,
        |s| s.repositories.push(RemoteRepository { id: "x".to_owned(), include: vec![] }),
        |s| s.version = 2,
        |s| s.commands.push("mvn package".to_owned()),
        |s| s.exec_before.push("mvn package".to_owned()),
        |s| s.exec_after.push("mvn package".to_owned()),
        |s| s.maven_opts = Some("-Dx=y".to_owned()),
        |s| s.toolchains.push(8),
        |s| s.newline_git = Some(Newline::Lf),
        |s| s.newline_git = Some(Newline::Crlf),
        |s| s.os = Some("x".to_owned()),
        |s| s.arch = Some("x".to_owned()),
        |s| s.source_distribution = Some(distribution()),
    ];
    let mut seen = std::collections::BTreeSet::from([base.digest()]);
    for change in changes {
        let mut spec = base.clone();
        change(&mut spec);
        assert!(seen.insert(spec.digest()), "a change left the digest as it was");
    }
}

#[test]
fn hostile_fields_are_refused() {
    for (name, line) in [
        ("goals", "goals = [\"package; rm -rf /\"]"),
        ("goals", "goals = [\"-Dx=y\"]"),
        ("goals", "goals = []"),
        ("workdir", "goals = [\"package\"]\nworkdir = \"/var/../etc\""),
        ("workdir", "goals = [\"package\"]\nworkdir = \"/etc\""),
        ("umask", "goals = [\"package\"]\numask = \"9\""),
        ("timezone", "goals = [\"package\"]\ntimezone = \"$(id)\""),
    ] {
        let toml = format!("version = 1\ntool = \"maven-3.6.3\"\njdk = 17\n{line}\n");
        match Specification::from_toml(&toml) {
            Err(SpecificationError::Field { field, .. }) => assert_eq!(field, name),
            other => panic!("{line}: {other:?}"),
        }
    }
    assert!(matches!(Specification::from_toml(&format!("{MINIMAL}unknown = 1\n")), Err(SpecificationError::Toml(_))));
}

proptest! {
    #[test]
    fn no_text_panics(text: String) {
        let _ = Specification::from_toml(&text);
    }

    #[test]
    fn toml_round_trips(umask in 0u32..=0o777, key in "[a-z.]{1,20}", value in "[ -~]{0,40}") {
        let mut spec = Specification::from_toml(MINIMAL).unwrap();
        spec.umask = format!("{umask:04o}");
        spec.properties.insert(key, value);
        prop_assert_eq!(Specification::from_toml(&spec.to_toml()).unwrap(), spec);
    }
}
