//! Which origins may be asked for a path.
//!
//! **A group that an origin's patterns name is asked of no origin that names it less precisely.** A company's own group is
//! never looked for in public, whoever has put a release of that name there
//! ([dependency confusion](https://maven.apache.org/resolver/remote-repository-filtering.html)).

use maven_layout::{GroupId, MetadataLevel, PathKind, RepoPath};

use crate::policy::GroupPattern;

/// The groups that an origin may be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    include: Vec<GroupPattern>,
    exclude: Vec<GroupPattern>,
}

impl Default for Route {
    fn default() -> Self {
        Self::new(Vec::new(), Vec::new())
    }
}

impl Route {
    /// The groups that some pattern of `include` names (without one: all) and none of `exclude`.
    pub fn new(mut include: Vec<GroupPattern>, exclude: Vec<GroupPattern>) -> Self {
        if include.is_empty() {
            include.push(GroupPattern::everything());
        }
        Self { include, exclude }
    }

    /// The groups that the patterns name, or none if they name no group but `*`.
    pub(crate) fn named(&self) -> Option<Vec<GroupId>> {
        self.include.iter().map(|pattern| pattern.group().cloned()).collect()
    }

    /// How precisely the patterns name what the path may belong to; `None` where the origin is not to be asked.
    fn precision(&self, groups: &[GroupId]) -> Option<usize> {
        let named = |pattern: &GroupPattern| groups.iter().filter_map(|group| pattern.matches(group)).max();
        if self.exclude.iter().any(|pattern| pattern.is_everything() || named(pattern).is_some()) {
            return None;
        }
        let everything = |pattern: &GroupPattern| pattern.is_everything().then_some(0);
        self.include.iter().filter_map(|pattern| named(pattern).or_else(|| everything(pattern))).max()
    }
}

/// The positions of the routes that are to be asked for a path, in their order.
pub fn chosen<'a>(path: &RepoPath, routes: impl Iterator<Item = &'a Route>) -> Vec<usize> {
    chosen_for(&groups_of(path), routes)
}

/// The positions of the routes that are to be asked for what may belong to these groups, in their order.
pub(crate) fn chosen_for<'a>(groups: &[GroupId], routes: impl Iterator<Item = &'a Route>) -> Vec<usize> {
    let found: Vec<Option<usize>> = routes.map(|route| route.precision(groups)).collect();
    let best = found.iter().flatten().max();
    found
        .iter()
        .enumerate()
        .filter(|(_, precision)| precision.is_some() && precision.as_ref() == best)
        .map(|(at, _)| at)
        .collect()
}

/// The groups that a path may belong to: one, two for a document that may be a group's or an artifact's, or none.
fn groups_of(path: &RepoPath) -> Vec<GroupId> {
    match path.kind() {
        PathKind::Artifact { coordinates, .. } => vec![coordinates.group],
        // What belongs to a file is asked for where the file is; each turn shortens the path.
        PathKind::Checksum { of, .. } | PathKind::Signature { of } => groups_of(&of),
        PathKind::Metadata(level) => groups_of_level(level),
        PathKind::Other => group_around(path).into_iter().collect(),
    }
}

fn groups_of_level(level: MetadataLevel) -> Vec<GroupId> {
    match level {
        MetadataLevel::Group(group) | MetadataLevel::Artifact { group, .. } => vec![group],
        MetadataLevel::GroupOrArtifact { as_group, group, .. } => vec![as_group, group],
        MetadataLevel::Version(coordinates) => vec![coordinates.group],
    }
}

/// The longest beginning of the path's folders that reads as a group.
pub(crate) fn group_around(path: &RepoPath) -> Option<GroupId> {
    let mut folders: Vec<&str> = path.segments().take_while(|segment| !segment.contains('.')).collect();
    while !folders.is_empty() {
        if let Ok(group) = folders.join(".").parse() {
            return Some(group);
        }
        folders.pop();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(include: &[&str], exclude: &[&str]) -> Route {
        let patterns = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Route::new(patterns(include), patterns(exclude))
    }

    fn asked(path: &str, routes: &[Route]) -> Vec<usize> {
        chosen(&path.parse().unwrap(), routes.iter())
    }

    const JAR: &str = "com/acme/lib/1.0/lib-1.0.jar";

    #[test]
    fn a_group_that_is_named_is_looked_for_nowhere_else() {
        let routes = [route(&["com.acme.*"], &[]), route(&[], &[]), route(&["com.acme.lib", "org.other"], &[])];
        for beside in ["", ".sha1", ".asc", ".asc.sha1", ".asc.md5.asc"] {
            assert_eq!(asked(&format!("{JAR}{beside}"), &routes), [0], "{beside}");
        }
        assert_eq!(asked("com/acme/lib/core/1.0/core-1.0.pom", &routes), [2], "the most precise name");
        assert_eq!(asked("org/apache/x/1/x-1.jar", &routes), [1]);
        assert_eq!(asked("com/acmeevil/x/1/x-1.jar", &routes), [1], "names end at dots");
        assert_eq!(asked("org/other/x/1/x-1.jar", &routes), [2]);
        assert_eq!(asked("archetype-catalog.xml", &routes), [1]);
    }

    #[test]
    fn all_that_name_it_alike_are_asked_in_their_order() {
        let routes = [route(&["com.acme"], &[]), route(&["com.acme.*"], &[]), route(&["*"], &[])];
        assert_eq!(asked(JAR, &routes), [0, 1]);
        assert_eq!(asked("org/x/y/1/y-1.jar", &routes), [2]);
        assert_eq!(asked(JAR, &[Route::default(), Route::default()]), [0, 1]);
    }

    #[test]
    fn what_is_excluded_is_not_asked_even_if_nobody_is_left() {
        let routes = [route(&["com.acme"], &["com.acme.secret"]), route(&[], &["com.acme"])];
        assert_eq!(asked("com/acme/secret/1.0/secret-1.0.jar", &routes), [0], "an artifact, not the group");
        assert!(asked("com/acme/secret/lib/1.0/lib-1.0.jar", &routes).is_empty());
        assert!(asked("org/x/y/1/y-1.jar", &[route(&[], &["*"])]).is_empty());
        assert!(asked("archetype-catalog.xml", &[route(&["com.acme"], &[])]).is_empty());
    }

    #[test]
    fn a_document_that_may_be_a_group_s_is_never_asked_where_that_group_must_not_be() {
        let routes = [route(&["com.acme.lib.*"], &[]), route(&[], &[])];
        assert_eq!(asked("com/acme/lib/maven-metadata.xml", &routes), [0]);
        assert_eq!(asked("com/acme/lib/maven-metadata.xml.sha1", &routes), [0]);
        assert_eq!(asked("com/acme/maven-metadata.xml", &routes), [1]);
        let routes = [route(&[], &["com.acme.lib"])];
        assert!(asked("com/acme/lib/maven-metadata.xml", &routes).is_empty());
    }

    #[test]
    fn an_owner_alone_is_asked_for_all_that_is_below() {
        for depth in 1..=4 {
            let group = ["a", "b", "c", "d"][..depth].join(".");
            for below in depth..=5 {
                let folders = ["a", "b", "c", "d", "e"][..below].join("/");
                let routes = [route(&[], &[]), route(&[&group], &[])];
                assert_eq!(asked(&format!("{folders}/art/1.0/art-1.0.jar"), &routes), [1], "{group} {folders}");
            }
        }
    }
}
