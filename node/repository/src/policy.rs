//! Policies, by group.

use maven_layout::{GroupId, RepoPath};

/// What may be handed out.
///
/// A blocked release is withheld under every policy, and so are bytes that contradict the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Only files that the network made from source: `published` and `identical`.
    Verified {
        /// `equivalent` ones too.
        allow_equivalent: bool,
    },
    /// Everything that upstream has, each file marked.
    PreferVerified,
    /// A cache of upstream.
    Mirror,
}

impl Policy {
    /// The name in configuration and status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Verified { .. } => "verified",
            Self::PreferVerified => "prefer-verified",
            Self::Mirror => "mirror",
        }
    }
}

/// Groups that a rule is for: one group with everything below it (at dot boundaries), or `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupPattern(Option<GroupId>);

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("group pattern {pattern:?}: expected `*`, a group, or a group followed by `.*`: {source}")]
pub struct PatternError {
    /// The text.
    pub pattern: String,
    /// What is wrong with the group.
    #[source]
    pub source: maven_layout::NameError,
}

impl std::str::FromStr for GroupPattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "*" {
            return Ok(Self(None));
        }
        let group = text.strip_suffix(".*").unwrap_or(text).parse();
        group.map(|group| Self(Some(group))).map_err(|source| PatternError { pattern: text.to_owned(), source })
    }
}

impl std::fmt::Display for GroupPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.as_ref().map_or("*", |group| group.as_str()))
    }
}

impl GroupPattern {
    /// `*`.
    pub(crate) fn everything() -> Self {
        Self(None)
    }

    pub(crate) fn group(&self) -> Option<&GroupId> {
        self.0.as_ref()
    }

    pub(crate) fn is_everything(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a path lies in the folder of such a group.
    pub fn covers(&self, path: &RepoPath) -> bool {
        let Some(group) = &self.0 else { return true };
        let mut segments = path.segments();
        group.as_str().split('.').all(|part| segments.next() == Some(part)) && segments.next().is_some()
    }

    /// How specific the match is: the pattern's length, or `None` without a match.
    pub(crate) fn matches(&self, group: &GroupId) -> Option<usize> {
        match &self.0 {
            None => Some(0),
            Some(outer) => group.is_within(outer).then(|| outer.as_str().len()),
        }
    }
}

/// The policies of all groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    default: Policy,
    rules: Vec<(GroupPattern, Policy)>,
}

impl Policies {
    /// One policy for everything.
    pub fn all(policy: Policy) -> Self {
        Self { default: policy, rules: Vec::new() }
    }

    /// A default and rules for groups.
    pub fn new(default: Policy, rules: Vec<(GroupPattern, Policy)>) -> Self {
        Self { default, rules }
    }

    /// The policy of groups without a rule, and of paths without a group.
    pub fn default_policy(&self) -> Policy {
        self.default
    }

    /// The policy for a group: the longest match, of two equal ones the later.
    pub fn of(&self, group: &GroupId) -> Policy {
        self.rules
            .iter()
            .filter_map(|(pattern, policy)| Some((pattern.matches(group)?, *policy)))
            .max_by_key(|(length, _)| *length)
            .map_or(self.default, |(_, policy)| policy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(text: &str) -> GroupId {
        text.parse().unwrap()
    }

    #[test]
    fn a_pattern_covers_the_folders_of_its_groups() {
        let pattern: GroupPattern = "org.acme.*".parse().unwrap();
        for (path, covered) in [
            ("org/acme/lib/1.0/lib-1.0.jar", true),
            ("org/acme/deep/lib/maven-metadata.xml", true),
            ("org/acme", false),
            ("org/acmes/lib/1.0/lib-1.0.jar", false),
            ("org/other/acme/x", false),
            ("archetype-catalog.xml", false),
        ] {
            assert_eq!(pattern.covers(&RepoPath::from_url_path(path).unwrap()), covered, "{path}");
        }
        assert!(GroupPattern::everything().covers(&RepoPath::from_url_path("archetype-catalog.xml").unwrap()));
    }

    #[test]
    fn the_longest_match_at_a_dot_boundary_wins() {
        let verified = Policy::Verified { allow_equivalent: true };
        let rules = [("org.acme.deep", Policy::PreferVerified), ("org.acme.*", verified), ("*", Policy::Mirror)];
        let rules = rules.map(|(pattern, policy)| (pattern.parse().unwrap(), policy)).to_vec();
        let policies = Policies::new(Policy::PreferVerified, rules);
        assert_eq!(policies.of(&group("org.acme")), verified);
        assert_eq!(policies.of(&group("org.acme.x")), verified);
        assert_eq!(policies.of(&group("org.acme.deep.er")), Policy::PreferVerified);
        assert_eq!(policies.of(&group("org.acmeevil")), Policy::Mirror);
        assert_eq!(policies.default_policy(), Policy::PreferVerified);
    }

    #[test]
    fn patterns_are_groups() {
        for bad in ["", "**", "org..acme", "*.acme", "org/acme", "org.*.acme"] {
            assert!(bad.parse::<GroupPattern>().is_err(), "{bad:?}");
        }
        assert_eq!("org.acme.*".parse::<GroupPattern>().unwrap().to_string(), "org.acme");
    }
}
