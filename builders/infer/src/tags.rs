//! Which tags of a repository may be a release's, the likeliest first. A tag is a candidate and nothing more.

use std::collections::BTreeSet;

/// Tags that are tried.
const MOST: usize = 8;
/// Endings of a version that a tag may leave out, or have where the version does not.
const EMPTY_ENDINGS: [&str; 6] = [".final", "-final", ".ga", ".release", "-release", "-jre"];

/// Rank, length, tag, target, and why: in this order they are compared.
type Ranked<'a> = (usize, usize, &'a str, &'a str, String);

/// A tag that may be the release's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagCandidate {
    /// Its name below `refs/tags`.
    pub tag: String,
    /// What speaks for it.
    pub why: String,
}

/// Forms that tags of releases have, the commonest first (their shares among public rebuild recipes: 36 %, 22 %, 20 %,
/// 4 %, 1.5 %, 1.3 %, 1 %, 0.7 %, then rare ones). `names` are artifact ids, the release's own first; `repository` is the
/// last part of the address.
pub fn usual_tags(names: &[&str], repository: &str, version: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let lower = version.to_ascii_lowercase();
    let short = EMPTY_ENDINGS.iter().find(|ending| lower.ends_with(**ending) && lower.len() > ending.len());
    let short = short.map(|ending| &version[..version.len() - ending.len()]);
    for v in std::iter::once(version).chain(short) {
        tags.extend(names.iter().map(|a| format!("{a}-{v}")));
        tags.extend([v.to_owned(), format!("v{v}"), format!("release-{v}")]);
        tags.extend(names.iter().map(|a| format!("rel/{a}-{v}")));
        tags.extend([format!("{repository}-{v}"), format!("v_{v}"), format!("rel/{v}"), format!("r{v}")]);
        tags.extend([format!("rel/{repository}-{v}"), format!("releases/{v}"), format!("{v}-RELEASE")]);
        tags.extend([format!("{v}.Final"), format!("{v}.RELEASE"), format!("release/{v}"), format!("V{v}")]);
    }
    let mut seen = BTreeSet::new();
    tags.retain(|tag| seen.insert(tag.clone()));
    tags
}

/// Orders the tags that a repository has (name and target, as its server tells them): the one that the POM states, those
/// of a usual form, those that hold the version in another form. Of several on one commit the first stays; at most 8.
pub fn ranked_tags<'a>(
    tags: impl IntoIterator<Item = (&'a str, &'a str)>,
    stated: Option<&str>,
    names: &[&str],
    repository: &str,
    version: &str,
) -> Vec<TagCandidate> {
    let tags: Vec<(&str, &str)> = tags.into_iter().collect();
    let usual = usual_tags(names, repository, version);
    let mut ranked: Vec<Ranked<'_>> = Vec::new();
    for &(tag, target) in &tags {
        let (rank, why) = if stated == Some(tag) {
            (0, "the release's POM states it".to_owned())
        } else if let Some(at) = usual.iter().position(|form| form == tag) {
            (1 + at, "it has a usual form".to_owned())
        } else if let Some(part) = holds_version(tag, version, names, repository) {
            // Behind everything that has a usual form; who names the artifact is before who does not.
            let named = names.iter().chain([&repository]).any(|name| contains_ignoring_case(tag, name));
            (1 + usual.len() + usize::from(!named), format!("it holds the version as {part}"))
        } else {
            continue;
        };
        ranked.push((rank, tag.len(), tag, target, why));
    }
    ranked.sort();
    let mut targets = BTreeSet::new();
    ranked.retain(|(_, _, _, target, _)| targets.insert(*target));
    ranked.truncate(MOST);
    ranked.into_iter().map(|(_, _, tag, _, why)| TagCandidate { tag: tag.to_owned(), why }).collect()
}

fn contains_ignoring_case(text: &str, part: &str) -> bool {
    !part.is_empty() && text.to_ascii_lowercase().contains(&part.to_ascii_lowercase())
}

/// The form in which the tag holds this version and no longer one: `1.2` is not in `11.2`, `1.2.3` or `1.2-rc1`.
fn holds_version(tag: &str, version: &str, names: &[&str], repository: &str) -> Option<String> {
    let (tag, version) = (tag.to_ascii_lowercase(), version.to_ascii_lowercase());
    let mut forms = vec![version.clone()];
    let short = EMPTY_ENDINGS.iter().find_map(|ending| version.strip_suffix(ending));
    forms.extend(short.filter(|short| !short.is_empty()).map(str::to_owned));
    for form in forms.clone() {
        forms.push(form.replace('.', "_"));
        forms.push(form.replace('.', "-"));
    }
    forms.into_iter().find(|form| {
        tag.match_indices(form.as_str())
            .any(|(at, _)| begins_there(&tag[..at], form) && ends_there(&tag[at + form.len()..], names, repository))
    })
}

fn begins_there(before: &str, form: &str) -> bool {
    let mut back = before.chars().rev();
    match back.next() {
        None => true,
        Some(c) if c.is_ascii_digit() => false,
        // A digit and the same separator in front: this is the end of a longer version.
        Some(c) if matches!(c, '.' | '_' | '-') && (c == '.' || form.contains(c)) => {
            !back.next().is_some_and(|c| c.is_ascii_digit())
        }
        Some(_) => true,
    }
}

fn ends_there(after: &str, names: &[&str], repository: &str) -> bool {
    let name = after.strip_prefix(['-', '_', '/', '.', '@']).unwrap_or(after);
    let is_name = !name.is_empty() && names.iter().chain([&repository]).any(|known| known.eq_ignore_ascii_case(name));
    after.is_empty() || EMPTY_ENDINGS.contains(&after) || after == "-java" || (name != after && is_name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ranked(tags: &[&str], stated: Option<&str>, version: &str) -> Vec<String> {
        let tags: Vec<(String, String)> = tags.iter().map(|tag| ((*tag).to_owned(), format!("c-{tag}"))).collect();
        let tags = tags.iter().map(|(tag, target)| (tag.as_str(), target.as_str()));
        ranked_tags(tags, stated, &["lib", "acme-parent"], "acme", version).into_iter().map(|found| found.tag).collect()
    }

    #[test]
    fn the_stated_tag_then_usual_forms_then_others() {
        let tags = ["nightly", "1.2", "v1.2", "lib-1.2", "acme-parent-1.2", "Release_1_2", "odd-1.2-acme"];
        let expected = ["v1.2", "lib-1.2", "acme-parent-1.2", "1.2", "odd-1.2-acme", "Release_1_2"];
        assert_eq!(ranked(&tags, Some("v1.2"), "1.2"), expected);
        // A tag that the POM states and the repository does not have is none.
        assert_eq!(ranked(&["1.2"], Some("lib-1.2"), "1.2"), ["1.2"]);
    }

    #[test]
    fn another_version_is_not_taken_for_this_one() {
        for other in ["11.2", "1.2.3", "v1.2-rc1", "v1.2-SNAPSHOT", "2.1.2", "v1.20", "2_1_2", "v1.2.1", "1.2-beta"] {
            assert_eq!(ranked(&[other], None, "1.2"), Vec::<String>::new(), "{other}");
        }
        for same in ["V1.2", "rel_1.2", "acme/1.2", "lib@1.2", "1.2/lib", "release-v1-2", "acme2-1.2"] {
            assert_eq!(ranked(&[same], None, "1.2"), [same]);
        }
    }

    #[test]
    fn endings_that_say_nothing_may_be_missing() {
        assert_eq!(ranked(&["v1.2"], None, "1.2.Final"), ["v1.2"]);
        assert_eq!(ranked(&["1.2.RELEASE"], None, "1.2"), ["1.2.RELEASE"]);
        assert_eq!(ranked(&["v33.0.0"], None, "33.0.0-jre"), ["v33.0.0"]);
        assert!(usual_tags(&["a"], "r", "1.Final").contains(&"a-1".to_owned()));
    }

    #[test]
    fn tags_of_one_commit_are_tried_once() {
        let tags = [("lib-1.2", "one"), ("v1.2", "one"), ("1.2", "two")];
        let found = ranked_tags(tags, None, &["lib"], "acme", "1.2");
        assert_eq!(found.iter().map(|found| found.tag.as_str()).collect::<Vec<_>>(), ["lib-1.2", "1.2"]);
    }

    proptest! {
        #[test]
        fn any_list_is_ordered_within_bounds(
            tags in proptest::collection::vec("[a-zäV0-9._/-]{0,12}", 0..60),
            version in "[0-9]{1,2}(\\.[0-9a-zA-Zä]{1,3}){0,3}",
        ) {
            let found = ranked(&tags.iter().map(String::as_str).collect::<Vec<_>>(), None, &version);
            prop_assert!(found.len() <= MOST);
            prop_assert!(found.iter().all(|tag| tags.contains(tag)));
        }
    }
}
