use proptest::prelude::*;

use super::*;

/// The error in the words of `testdata/scm-v1.tsv`.
fn refusal(error: &ScmError) -> String {
    match error {
        ScmError::Empty => "empty".into(),
        ScmError::TooLong { .. } => "too long".into(),
        ScmError::Computed => "computed".into(),
        ScmError::Provider { name } => format!("provider {name}"),
        ScmError::Scheme { name } => format!("scheme {name}"),
        ScmError::Host => "host".into(),
        ScmError::Port => "port".into(),
        ScmError::Query => "query".into(),
        ScmError::Character { character } => format!("character {character}"),
        ScmError::DotSegment => "dot segment".into(),
        ScmError::NoRepository { .. } => "no repository".into(),
        ScmError::NotCanonical { .. } => "not canonical".into(),
    }
}

#[test]
fn test_vectors_of_version_1() {
    let mut seen = 0;
    for (number, line) in include_str!("../../testdata/scm-v1.tsv").lines().enumerate().skip(1) {
        let mut columns = line.split('\t');
        let (raw, expected) = (columns.next().unwrap(), columns.next().unwrap());
        let suffixes: Vec<&str> = columns.next().map(|c| c.split(',').collect()).unwrap_or_default();
        let actual = match canonical_with_modules(raw, &suffixes) {
            Ok(repository) => repository.to_string(),
            Err(error) => format!("!{}", refusal(&error)),
        };
        assert_eq!(actual, expected, "line {}: {raw:?} {suffixes:?}", number + 1);
        seen += 1;
    }
    assert_eq!(SCM_RULES_VERSION, 1);
    assert!(seen > 100, "only {seen} vectors");
}

#[test]
fn parses_only_the_canonical_form() {
    let repository: CanonicalRepository = "https://git.example.org:8443/org/repo".parse().unwrap();
    assert_eq!(repository.authority(), "git.example.org:8443");
    assert_eq!(repository.path(), "org/repo");
    assert_eq!(repository.name(), "repo");
    for other in ["http://git.example.org/org/repo", "https://git.example.org/org/repo.git", "git@git.example.org:a/b"]
    {
        assert!(matches!(other.parse::<CanonicalRepository>(), Err(ScmError::NotCanonical { .. })), "{other}");
    }
}

#[test]
fn long_addresses_are_refused() {
    let long = format!("https://git.example.org/{}", "a".repeat(3000));
    assert_eq!(canonical(&long), Err(ScmError::TooLong { actual: long.len(), limit: 2048 }));
    let long = format!("https://git.example.org/{}", "a".repeat(500));
    assert_eq!(canonical(&long), Err(ScmError::TooLong { actual: long.len(), limit: 400 }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn reducing_twice_changes_nothing(raw in address()) {
        if let Ok(once) = canonical(&raw) {
            prop_assert_eq!(canonical(once.as_str()), Ok(once.clone()));
            prop_assert_eq!(once.as_str().parse::<CanonicalRepository>(), Ok(once.clone()));
            prop_assert!(once.as_str().starts_with("https://"));
            prop_assert!(!once.as_str().contains('@') && !once.path().split('/').any(|s| matches!(s, "" | "." | "..")));
            prop_assert_eq!(format!("https://{}/{}", once.authority(), once.path()), once.to_string());
        }
    }

    #[test]
    fn no_text_panics(raw in "\\PC{0,80}", suffix in "\\PC{0,10}") {
        let _ = canonical_with_modules(&raw, &[&suffix]);
    }
}

/// Texts made of the pieces that the rules look at.
fn address() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("scm:"),
        Just("git:"),
        Just("git|"),
        Just("jgit:"),
        Just("https://"),
        Just("http://"),
        Just("ssh://"),
        Just("git://"),
        Just("//"),
        Just("/"),
        Just("git@"),
        Just("@"),
        Just(":"),
        Just("org"),
        Just("repo"),
        Just("git.example.org"),
        Just("github.com"),
        Just("www."),
        Just(".git"),
        Just("."),
        Just(".."),
        Just("-"),
        Just("tree"),
        Just("blob"),
        Just("#"),
        Just("?"),
        Just("[fetch=]"),
        Just("[push=]"),
        Just(":80"),
        Just(":8443"),
        Just(" "),
        Just("~"),
        Just("%"),
        Just("é"),
    ];
    prop_oneof![
        proptest::collection::vec(piece.clone(), 0..14).prop_map(|pieces| pieces.concat()),
        proptest::collection::vec(piece, 0..10)
            .prop_map(|pieces| format!("https://git.example.org/{}", pieces.concat())),
    ]
}
