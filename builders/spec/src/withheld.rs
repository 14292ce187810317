//! Which files a build must not get: those that it is to make.

use std::collections::{BTreeSet, HashSet};

use maven_layout::{Coordinates, RepoPath};

use crate::specification::{Specification, Tool};

/// The releases whose files a build must not get.
#[derive(Debug, Clone)]
pub struct Withheld {
    folders: HashSet<String>,
    /// Beginnings of paths, and the name of a folder somewhere below.
    groups: BTreeSet<(String, String)>,
}

impl Withheld {
    /// These releases and no others.
    pub fn new<'a>(releases: impl IntoIterator<Item = &'a Coordinates>) -> Self {
        let folders = releases.into_iter().map(|release| release.dir().as_str().to_owned()).collect();
        Self { folders, groups: BTreeSet::new() }
    }

    /// Those of a build: the wanted ones and their reactor. What else Gradle makes is known to Gradle alone; there it is
    /// everything in the groups of the wanted releases, and in groups below them, that has their version.
    pub fn of_build(wanted: &[Coordinates], reactor: &[Coordinates], specification: &Specification) -> Self {
        let mut withheld = Self::new(wanted.iter().chain(reactor));
        if matches!(specification.tool, Tool::Gradle(_)) {
            let group = |release: &Coordinates| format!("{}/", release.group.as_str().replace('.', "/"));
            withheld.groups.extend(wanted.iter().map(|release| (group(release), release.version.to_string())));
        }
        withheld
    }

    /// Whether the path lies in the folder of such a release.
    pub fn covers(&self, path: &RepoPath) -> bool {
        let text = path.as_str();
        let within = |(group, version): &(String, String)| {
            let folders = text.strip_prefix(group.as_str()).and_then(|rest| rest.rsplit_once('/'));
            // A folder of the group itself is an artifact's, whatever its name.
            folders.is_some_and(|(folders, _)| folders.split('/').skip(1).any(|folder| folder == version))
        };
        text.match_indices('/').any(|(at, _)| self.folders.contains(&text[..at])) || self.groups.iter().any(within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_that_gradle_alone_knows_are_those_of_group_and_version() {
        let wanted: [Coordinates; 1] = ["org.acme:core:1.0".parse().unwrap()];
        let maven = Specification::default_maven("3.9.9");
        let gradle = Specification { tool: Tool::Gradle("4.4.1".to_owned()), ..maven.clone() };
        for (path, by_maven, by_gradle) in [
            ("org/acme/core/1.0/core-1.0.jar", true, true),
            ("org/acme/api/1.0/api-1.0.pom", false, true),
            ("org/acme/plugins/more/1.0/more-1.0.jar", false, true),
            ("org/acme/api/1.1/api-1.1.pom", false, false),
            ("org/acme/api/maven-metadata.xml", false, false),
            ("org/acme/1.0/2.0/1.0-2.0.pom", false, false),
            ("org/acmes/api/1.0/api-1.0.pom", false, false),
            ("com/other/lib/1.0/lib-1.0.pom", false, false),
        ] {
            let covers = |specification: &Specification| {
                Withheld::of_build(&wanted, &[], specification).covers(&path.parse().unwrap())
            };
            assert_eq!((covers(&maven), covers(&gradle)), (by_maven, by_gradle), "{path}");
        }
    }
}
