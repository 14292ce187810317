//! Where somebody may write or read.

use maven_layout::{GroupId, NameError, PathError, RepoPath};

/// Paths that a credential is for: a folder with everything in it, or all.
///
/// Its text is `*`, a group (`com.example`, or `com.example.*`, which is the same: the group and all below it), or a folder
/// (`com/example/lib`, with a slash at its end or without).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathRule(Option<RepoPath>);

/// Why a text is not a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Neither `*` nor a group.
    #[error("{text:?}: expected `*`, a group such as `com.example.*`, or a folder such as `com/example/lib`: {source}")]
    Group {
        /// The text.
        text: String,
        /// What is wrong with the group.
        #[source]
        source: NameError,
    },
    /// Not a folder of a repository.
    #[error("{text:?} is no folder of a repository: {source}")]
    Folder {
        /// The text.
        text: String,
        /// What is wrong with it.
        #[source]
        source: PathError,
    },
}

impl PathRule {
    /// Every path.
    pub fn everything() -> Self {
        Self(None)
    }

    /// Whether the path lies there, by whole segments.
    pub fn covers(&self, path: &RepoPath) -> bool {
        let Some(folder) = &self.0 else { return true };
        path.as_str().strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl std::str::FromStr for PathRule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            return Ok(Self::everything());
        }
        let folder = if text.contains('/') {
            text.strip_suffix('/').unwrap_or(text).to_owned()
        } else {
            let group: Result<GroupId, _> = text.strip_suffix(".*").unwrap_or(text).parse();
            group.map_err(|source| RuleError::Group { text: text.to_owned(), source })?.dir()
        };
        let folder = folder.parse().map_err(|source| RuleError::Folder { text: text.to_owned(), source })?;
        Ok(Self(Some(folder)))
    }
}

impl std::fmt::Display for PathRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(folder) => write!(f, "{folder}/"),
            None => f.write_str("*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_segments_count() {
        for (rule, path, covered) in [
            ("*", "a", true),
            ("com.example", "com/example/lib/1/lib-1.jar", true),
            ("com.example.*", "com/example/maven-metadata.xml", true),
            ("com.example.*", "com/example/deep/lib/1/lib-1.jar", true),
            ("com.example", "com/examples/lib/1/lib-1.jar", false),
            ("com.example", "com/example", false),
            ("com.example", "org/com/example/lib", false),
            ("com/example/lib/", "com/example/lib/1/lib-1.jar", true),
            ("com/example/my.lib", "com/example/my.lib/1/my.lib-1.jar", true),
            ("com/example/my.lib", "com/example/my/lib/1/lib-1.jar", false),
        ] {
            let parsed: PathRule = rule.parse().unwrap();
            assert_eq!(parsed.covers(&path.parse().unwrap()), covered, "{rule} {path}");
            assert_eq!(parsed.to_string().parse::<PathRule>().unwrap(), parsed);
        }
    }

    #[test]
    fn what_is_no_folder_is_refused() {
        for bad in
            ["", "**", ".*", "com..example", "/", "/com/example", "com//example", "com/../example", "com/%2e", "*.x"]
        {
            assert!(bad.parse::<PathRule>().is_err(), "{bad:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_rule_covers_nothing_outside_of_its_folder(rule in "[a-c./*]{0,8}", path in "[a-c./]{1,12}") {
            if let (Ok(rule), Ok(path)) = (rule.parse::<PathRule>(), path.parse::<RepoPath>()) {
                let folder = rule.to_string();
                proptest::prop_assert_eq!(rule.covers(&path), folder == "*" || path.as_str().starts_with(&folder));
            }
        }
    }
}
