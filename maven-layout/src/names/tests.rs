use proptest::prelude::*;

use super::*;

#[test]
fn ordinary_names_are_taken() {
    for group in ["junit", "org.example.tools", "a-b.c_d.E1"] {
        assert_eq!(group.parse::<GroupId>().unwrap().as_str(), group);
    }
    for artifact in ["tool", "tool-core_2.13", "a..b", ".hidden"] {
        assert!(artifact.parse::<ArtifactId>().is_ok(), "{artifact}");
    }
    for extension in ["jar", "tar.gz", "jar.asc"] {
        assert!(extension.parse::<Extension>().is_ok(), "{extension}");
    }
}

#[test]
fn what_could_leave_a_directory_is_refused() {
    for text in ["", ".", "..", "a/b", "a\\b", "a:b", "a@b", "a b", "a\0", "a\n", "${x}", "é", "a%2e"] {
        assert!(text.parse::<GroupId>().is_err(), "{text:?}");
        assert!(text.parse::<ArtifactId>().is_err(), "{text:?}");
        assert!(text.parse::<Classifier>().is_err(), "{text:?}");
        assert!(text.parse::<Extension>().is_err(), "{text:?}");
        assert!(text.parse::<crate::Version>().is_err(), "{text:?}");
    }
    for text in ["a..b", ".a", "a."] {
        assert_eq!(text.parse::<GroupId>(), Err(NameError::Dots { what: "group id" }));
    }
}

#[test]
fn errors_tell_where() {
    assert_eq!(
        "org/example".parse::<GroupId>(),
        Err(NameError::Character { what: "group id", character: '/', position: 3 })
    );
    let long = "a".repeat(201);
    assert_eq!(long.parse::<GroupId>(), Err(NameError::TooLong { what: "group id", actual: 201, limit: 200 }));
}

#[test]
fn groups_nest_by_whole_parts() {
    let group = |text: &str| text.parse::<GroupId>().unwrap();
    assert!(group("org.example.tools").is_within(&group("org.example")));
    assert!(group("org.example").is_within(&group("org.example")));
    assert!(!group("org.examples").is_within(&group("org.example")));
    assert!(!group("org").is_within(&group("org.example")));
    let outer: Vec<String> = group("a.b.c").ancestors().map(|g| g.to_string()).collect();
    assert_eq!(outer, ["a.b.c", "a.b", "a"]);
    assert_eq!(group("a.b.c").dir(), "a/b/c");
}

#[test]
fn reading_goes_through_the_same_check() {
    assert!(serde_json::from_str::<GroupId>("\"org.example\"").is_ok());
    assert!(serde_json::from_str::<GroupId>("\"../etc\"").is_err());
    let bytes = borsh::to_vec("../etc").unwrap();
    assert!(borsh::from_slice::<GroupId>(&bytes).is_err());
}

/// Whatever is taken comes back from each of its three forms, and stays one file or directory name.
fn survives<T>(text: &str) -> Result<(), TestCaseError>
where
    T: std::str::FromStr + ToString + serde::Serialize + serde::de::DeserializeOwned,
    T: borsh::BorshSerialize + borsh::BorshDeserialize + PartialEq + std::fmt::Debug,
{
    let Ok(name) = text.parse::<T>() else { return Ok(()) };
    prop_assert_eq!(name.to_string(), text);
    let json = serde_json::to_string(&name).unwrap();
    prop_assert_eq!(&serde_json::from_str::<T>(&json).unwrap(), &name);
    let bytes = borsh::to_vec(&name).unwrap();
    prop_assert_eq!(&borsh::from_slice::<T>(&bytes).unwrap(), &name);
    prop_assert!(text != "." && text != "..");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn printing_is_the_inverse_of_parsing(text in "[a-zA-Z0-9_.+~/-]{0,12}|[0-9]{14}|\\PC{0,6}") {
        survives::<GroupId>(&text)?;
        survives::<ArtifactId>(&text)?;
        survives::<Classifier>(&text)?;
        survives::<Extension>(&text)?;
        survives::<crate::Version>(&text)?;
        survives::<crate::FileName>(&text)?;
        survives::<crate::RepoPath>(&text)?;
        survives::<crate::metadata::LastUpdated>(&text)?;
        if let Ok(group) = text.parse::<GroupId>() {
            prop_assert!(group.dir().split('/').all(|part| !part.is_empty() && part != "." && part != ".."));
            prop_assert_eq!(group.dir().replace('/', "."), text);
        }
    }
}
