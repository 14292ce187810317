//! The fewest lines of `[policy.groups]` that make `verified` of as many groups as possible and withhold nothing.

use std::collections::BTreeMap;

use maven_layout::GroupId;

/// What is known of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// `verified` would serve all of its files.
    pub verifiable: bool,
    /// Its policy at present.
    pub policy: String,
}

/// The word for the policy.
const VERIFIED: &str = "verified";
/// Fewest parts of a pattern that names more than one group: `org` is nobody's.
const FEWEST_PARTS: usize = 2;

/// Pattern and policy of each line.
type Lines = BTreeMap<GroupId, String>;

/// The lines. A pattern is as short as it can be, so that it also holds for groups of the same people that were not looked at;
/// a group inside of it that cannot be verified has a line of its own that leaves it as it is.
pub fn lines(groups: &BTreeMap<GroupId, Known>) -> Lines {
    // What is `verified` already stays so, whatever it withholds.
    let mut lines = Lines::new();
    let open = || groups.iter().filter(|(_, known)| known.policy != VERIFIED);
    let bad: Vec<(&GroupId, &Known)> = open().filter(|(_, known)| !known.verifiable).collect();
    for (group, _) in open().filter(|(_, known)| known.verifiable) {
        if policy_of(group, &lines) == Some(VERIFIED) {
            continue;
        }
        let excepted = longest(group, &lines).map_or(0, |(pattern, _)| pattern.as_str().len());
        let mut patterns = beginnings(group).filter(|pattern| pattern.as_str().len() > excepted);
        match patterns.find(|pattern| !bad.iter().any(|(bad, _)| bad.is_within(pattern))) {
            Some(pattern) => lines.insert(pattern, VERIFIED.to_owned()),
            None => {
                let inside = bad.iter().filter(|(bad, _)| bad.is_within(group));
                lines.extend(inside.map(|(bad, known)| ((*bad).clone(), known.policy.clone())));
                lines.insert(group.clone(), VERIFIED.to_owned())
            }
        };
    }
    lines
}

/// The lines as TOML.
pub fn toml(lines: &Lines, allow_equivalent: bool) -> String {
    let mut text = String::new();
    if allow_equivalent {
        text.push_str("[policy]\nallow_equivalent = true\n\n");
    }
    text.push_str("[policy.groups]\n");
    for (pattern, policy) in lines {
        text.push_str(&format!("\"{pattern}.*\" = \"{policy}\"\n"));
    }
    text
}

fn longest<'a>(group: &GroupId, lines: &'a Lines) -> Option<(&'a GroupId, &'a String)> {
    lines.iter().filter(|(pattern, _)| group.is_within(pattern)).max_by_key(|(pattern, _)| pattern.as_str().len())
}

fn policy_of<'a>(group: &GroupId, lines: &'a Lines) -> Option<&'a str> {
    longest(group, lines).map(|(_, policy)| policy.as_str())
}

/// The group and the groups that hold it, the shortest first.
fn beginnings(group: &GroupId) -> impl Iterator<Item = GroupId> {
    let text = group.as_str();
    let ends = text.match_indices('.').map(|(at, _)| at).chain([text.len()]);
    ends.filter_map(move |end| text.get(..end)?.parse::<GroupId>().ok())
        .filter(move |beginning| beginning == group || beginning.as_str().split('.').count() >= FEWEST_PARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(of: &[(&str, bool)]) -> BTreeMap<GroupId, Known> {
        let known = |verifiable| Known { verifiable, policy: "prefer-verified".to_owned() };
        of.iter().map(|(group, verifiable)| (group.parse().unwrap(), known(*verifiable))).collect()
    }

    fn shown(of: &[(&str, bool)]) -> Vec<String> {
        lines(&groups(of)).into_iter().map(|(pattern, policy)| format!("{pattern} {policy}")).collect()
    }

    #[test]
    fn a_pattern_is_as_short_as_nothing_withheld_lets_it_be() {
        assert_eq!(shown(&[("org.acme.a", true), ("org.acme.b.c", true)]), ["org.acme verified"]);
        assert_eq!(shown(&[("org.acme.a", true), ("org.acme.b", false)]), ["org.acme.a verified"]);
        assert_eq!(shown(&[("junit", true), ("org.acme.b", false)]), ["junit verified"]);
        assert_eq!(shown(&[("junit", false)]), [] as [&str; 0]);
        assert_eq!(shown(&[]), [] as [&str; 0]);
    }

    #[test]
    fn a_group_inside_that_cannot_be_verified_is_left_as_it_is() {
        let inside = [("org.acme", true), ("org.acme.b", false), ("org.acme.b.c", true), ("org.acme.d", true)];
        assert_eq!(shown(&inside), ["org.acme verified", "org.acme.b prefer-verified", "org.acme.b.c verified"]);
    }

    #[test]
    fn what_is_verified_already_needs_no_line_and_is_no_obstacle() {
        let mut all = groups(&[("org.acme.a", true), ("org.acme.b", false), ("org.acme.c", true)]);
        all.values_mut().take(2).for_each(|known| known.policy = VERIFIED.to_owned());
        assert_eq!(lines(&all).keys().map(GroupId::as_str).collect::<Vec<_>>(), ["org.acme"]);
    }

    #[test]
    fn of_any_groups_all_that_can_be_verified_are_and_no_other() {
        // Every set of groups over a small tree, with every answer.
        let names = ["a", "a.b", "a.b.c", "a.b.d", "a.e", "f.g.h"];
        for chosen in 0..3usize.pow(names.len() as u32) {
            let mut rest = chosen;
            let mut of = Vec::new();
            for name in names {
                match rest % 3 {
                    0 => {}
                    answer => of.push((name, answer == 1)),
                }
                rest /= 3;
            }
            let lines = lines(&groups(&of));
            for (group, verifiable) in &of {
                let policy = policy_of(&group.parse().unwrap(), &lines);
                assert_eq!(policy == Some(VERIFIED), *verifiable, "{of:?} {lines:?}");
            }
        }
    }

    #[test]
    fn the_text_is_a_configuration() {
        let text = toml(&lines(&groups(&[("org.acme.a", true)])), true);
        let config: crate::config::Config = toml::from_str(&text).unwrap();
        assert!(config.policy.allow_equivalent);
        assert_eq!(config.policy.groups.keys().collect::<Vec<_>>(), ["org.acme.*"]);
    }
}
