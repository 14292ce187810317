//! Policies, by group.

use maven_layout::{GroupId, RepoPath};

use crate::routing::{Route, chosen_for};

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

    /// The higher, the less is handed out.
    fn strictness(self) -> u8 {
        match self {
            Self::Mirror => 0,
            Self::PreferVerified => 1,
            Self::Verified { allow_equivalent: true } => 2,
            Self::Verified { allow_equivalent: false } => 3,
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

/// An upstream as far as policies are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamPolicy {
    /// Its name.
    pub id: String,
    /// The groups that it is asked for.
    pub route: Route,
    /// Its policy; none: the default.
    pub policy: Option<Policy>,
}

/// Which line of the configuration a policy comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ground {
    /// The rule for groups with this pattern.
    Group(GroupPattern),
    /// The upstream of this name.
    Upstream(String),
    /// The default.
    Default,
}

/// The policies of all groups.
///
/// **A rule for groups comes first. Where none names the group, the policies of the upstreams decide that may be asked for
/// it, of several the strictest; one without a policy counts with the default.** So the policy of a path is known before
/// anybody is asked, is the same for files and for the documents that list them, and does not depend on which of several
/// upstreams answered first, or on what an index remembers: nothing of an upstream is ever handed out under a laxer policy
/// than its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    default: Policy,
    rules: Vec<(GroupPattern, Policy)>,
    upstreams: Vec<UpstreamPolicy>,
}

impl Policies {
    /// One policy for everything.
    pub fn all(policy: Policy) -> Self {
        Self::new(policy, Vec::new())
    }

    /// A default and rules for groups.
    pub fn new(default: Policy, rules: Vec<(GroupPattern, Policy)>) -> Self {
        Self { default, rules, upstreams: Vec::new() }
    }

    /// The same with the upstreams, all of them.
    #[must_use]
    pub fn with_upstreams(mut self, upstreams: Vec<UpstreamPolicy>) -> Self {
        self.upstreams = upstreams;
        self
    }

    /// The policy where neither a rule nor an upstream has one.
    pub fn default_policy(&self) -> Policy {
        self.default
    }

    /// The policy for a group.
    pub fn of(&self, group: &GroupId) -> Policy {
        self.explained(Some(group)).0
    }

    /// The policy of a group, or of what belongs to none, and where it comes from. Of the rules the longest match counts, of
    /// two equal ones the later.
    pub fn explained(&self, group: Option<&GroupId>) -> (Policy, Ground) {
        let among = group.map(std::slice::from_ref).unwrap_or_default();
        let ruled = group.and_then(|group| self.ruled(group));
        ruled.or_else(|| self.of_upstreams(among)).unwrap_or((self.default, Ground::Default))
    }

    /// The policy of a document of this group's that may also be the document of another group, whose upstreams are asked for
    /// it then.
    pub(crate) fn of_either(&self, group: &GroupId, other: &GroupId) -> Policy {
        let ruled = self.ruled(group).or_else(|| self.of_upstreams(&[other.clone(), group.clone()]));
        ruled.map_or(self.default, |(policy, _)| policy)
    }

    fn ruled(&self, group: &GroupId) -> Option<(Policy, Ground)> {
        let matching =
            self.rules.iter().filter_map(|(pattern, policy)| Some((pattern.matches(group)?, pattern, policy)));
        let longest = matching.max_by_key(|(length, ..)| *length);
        longest.map(|(_, pattern, policy)| (*policy, Ground::Group(pattern.clone())))
    }

    /// The strictest policy of those that may be asked; none where all have the default.
    fn of_upstreams(&self, groups: &[GroupId]) -> Option<(Policy, Ground)> {
        if self.upstreams.iter().all(|upstream| upstream.policy.is_none()) {
            return None;
        }
        let asked = chosen_for(groups, self.upstreams.iter().map(|upstream| &upstream.route));
        let asked = asked.into_iter().filter_map(|at| self.upstreams.get(at));
        let policies = asked.map(|upstream| match upstream.policy {
            Some(policy) => (policy, Ground::Upstream(upstream.id.clone())),
            None => (self.default, Ground::Default),
        });
        policies.max_by_key(|(policy, _)| policy.strictness())
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

    fn upstream(id: &str, include: &[&str], policy: Option<Policy>) -> UpstreamPolicy {
        let include = include.iter().map(|text| text.parse().unwrap()).collect();
        UpstreamPolicy { id: id.to_owned(), route: Route::new(include, Vec::new()), policy }
    }

    #[test]
    fn rules_come_before_upstreams_and_those_before_the_default() {
        let verified = Policy::Verified { allow_equivalent: false };
        let rules = vec![("com.acme.open".parse().unwrap(), Policy::Mirror)];
        let policies = Policies::new(Policy::PreferVerified, rules).with_upstreams(vec![
            upstream("company", &["com.acme"], Some(verified)),
            upstream("partner", &["com.partner"], None),
            upstream("central", &[], Some(Policy::Mirror)),
        ]);
        let of = |text: &str| policies.explained(Some(&group(text)));
        assert_eq!(of("com.acme.lib"), (verified, Ground::Upstream("company".to_owned())));
        assert_eq!(of("com.acme.open.x"), (Policy::Mirror, Ground::Group("com.acme.open".parse().unwrap())));
        assert_eq!(of("com.partner"), (Policy::PreferVerified, Ground::Default));
        assert_eq!(of("org.other"), (Policy::Mirror, Ground::Upstream("central".to_owned())));
        assert_eq!(policies.explained(None), (Policy::Mirror, Ground::Upstream("central".to_owned())));
        assert_eq!(policies.default_policy(), Policy::PreferVerified);
    }

    #[test]
    fn of_several_upstreams_that_may_have_a_file_the_strictest_counts_in_any_order() {
        let (strict, lenient) =
            (Policy::Verified { allow_equivalent: false }, Policy::Verified { allow_equivalent: true });
        let of = |policies: [Option<Policy>; 2], default| {
            let upstreams = policies.into_iter().enumerate().map(|(at, policy)| upstream(&at.to_string(), &[], policy));
            Policies::all(default).with_upstreams(upstreams.collect()).of(&group("org.acme"))
        };
        for pair in [[Some(Policy::Mirror), Some(strict)], [Some(strict), Some(lenient)], [None, Some(strict)]] {
            assert_eq!(of(pair, Policy::PreferVerified), strict, "{pair:?}");
            assert_eq!(of([pair[1], pair[0]], Policy::PreferVerified), strict, "{pair:?}");
        }
        // One without a policy has the default, which may be the stricter one.
        assert_eq!(of([None, Some(Policy::Mirror)], strict), strict);
        assert_eq!(of([Some(Policy::Mirror), Some(Policy::Mirror)], strict), Policy::Mirror);
        assert_eq!(of([None, None], lenient), lenient);
    }

    #[test]
    fn a_document_that_is_asked_for_as_another_group_s_has_the_policy_of_who_is_asked() {
        let strict = Policy::Verified { allow_equivalent: false };
        let upstreams =
            || vec![upstream("company", &["com.acme.lib"], Some(strict)), upstream("all", &[], Some(Policy::Mirror))];
        let of = |rules| {
            let policies = Policies::new(Policy::PreferVerified, rules).with_upstreams(upstreams());
            policies.of_either(&group("com.acme"), &group("com.acme.lib"))
        };
        assert_eq!(of(Vec::new()), strict, "com/acme/lib/maven-metadata.xml comes from the company's");
        assert_eq!(of(vec![("com.acme".parse().unwrap(), Policy::PreferVerified)]), Policy::PreferVerified);
    }

    #[test]
    fn patterns_are_groups() {
        for bad in ["", "**", "org..acme", "*.acme", "org/acme", "org.*.acme"] {
            assert!(bad.parse::<GroupPattern>().is_err(), "{bad:?}");
        }
        assert_eq!("org.acme.*".parse::<GroupPattern>().unwrap().to_string(), "org.acme");
    }
}
