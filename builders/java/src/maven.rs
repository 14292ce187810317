//! Maven's own distributions, pinned, and what differs between them.
//!
//! A distribution is an input like any other (fetched through [`build_spec::Inputs`], one line of the manifest), with
//! one difference: what it must be is written here, so no upstream can hand a build another Maven.

use std::str::FromStr;

use build_spec::{BuildError, Specification, Tool};
use maven_layout::{Coordinates, RepoPath, Version};
use pyrsia_digest::{FileDigests, Sha1, Sha512};

/// The table.
const VERSIONS: &str = include_str!("maven/versions.txt");

/// The goal that puts what a build attached into the sandbox's local repository. It is part of how outputs are found, so a
/// change of it is a change of the builder, not of a specification.
const INSTALL_GOAL: &str = "org.apache.maven.plugins:maven-install-plugin:3.1.2:install";
/// The same for what is older than that plugin's `<prerequisites>` allow.
const OLD_INSTALL_GOAL: &str = "org.apache.maven.plugins:maven-install-plugin:2.5.2:install";
const INSTALL_GOAL_SINCE: &str = "3.6.3";
/// [`-ntp`](https://maven.apache.org/docs/3.6.1/release-notes.html), which keeps downloads out of the log.
const QUIET: &str = "-ntp";
const QUIET_SINCE: &str = "3.6.1";
/// Maven 4 [needs this JDK](https://maven.apache.org/docs/history.html).
const JDK_OF_4: u32 = 17;

/// A distribution of Maven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// Its version.
    pub version: &'static str,
    /// Where it lies in the default repository.
    pub path: RepoPath,
    /// What the file at that path must be.
    pub sha512: Sha512,
    /// The same file's SHA-1, which every repository publishes.
    pub sha1: Sha1,
    /// The plugin's newer version is what is built, so the build does not get it.
    without_newer_install: bool,
}

impl Distribution {
    /// The distribution of this version, if it is one of those that are pinned here.
    pub fn of(version: &str) -> Option<Self> {
        let (version, sha512, sha1) = rows().find(|(known, ..)| *known == version)?;
        let path = format!("org/apache/maven/apache-maven/{version}/apache-maven-{version}-bin.tar.gz");
        let path = RepoPath::from_str(&path).ok()?;
        let (sha512, sha1) = (sha512.parse().ok()?, sha1.parse().ok()?);
        Some(Self { version, path, sha512, sha1, without_newer_install: false })
    }

    /// The distribution that a specification asks for.
    ///
    /// # Errors
    /// [`BuildError::Unsupported`] for another tool, a version that is not pinned, and one that does not run on the JDK.
    pub fn wanted(specification: &Specification) -> Result<Self, BuildError> {
        let Tool::Maven(version) = &specification.tool else {
            return Err(BuildError::Unsupported(format!("this builder does not know {}", specification.tool)));
        };
        let Some(found) = Self::of(version) else {
            let known: Vec<_> = versions().collect();
            let problem = format!("Maven {version} is not pinned here; known are {}", known.join(", "));
            return Err(BuildError::Unsupported(problem));
        };
        match found.cannot_run_on(specification.jdk) {
            Some(problem) => Err(BuildError::Unsupported(problem)),
            None => Ok(found),
        }
    }

    /// Whether these are the digests of the pinned file.
    pub fn is(&self, digests: &FileDigests) -> bool {
        digests.sha512 == self.sha512
    }

    /// Why it does not even start on this JDK, if so.
    fn cannot_run_on(&self, jdk: u32) -> Option<String> {
        let too_old = self.is_since("4.0.0-alpha") && jdk < JDK_OF_4;
        too_old
            .then(|| format!("Maven {} needs JDK {JDK_OF_4} or later, the specification asks for {jdk}", self.version))
    }

    /// Options that are given besides those that every version knows, as words of a shell.
    pub(crate) fn options(&self) -> &'static str {
        if self.is_since(QUIET_SINCE) { QUIET } else { "" }
    }

    /// The goal behind those of the specification.
    pub(crate) fn install_goal(&self) -> &'static str {
        let newer = self.is_since(INSTALL_GOAL_SINCE) && !self.without_newer_install;
        if newer { INSTALL_GOAL } else { OLD_INSTALL_GOAL }
    }

    /// The same for a build of these releases, which gets none of them.
    pub(crate) fn building<'a>(mut self, releases: impl IntoIterator<Item = &'a Coordinates>) -> Self {
        let plugin = INSTALL_GOAL.trim_end_matches(":install");
        self.without_newer_install = releases.into_iter().any(|release| release.to_string() == plugin);
        self
    }

    fn is_since(&self, first: &str) -> bool {
        match (Version::from_str(self.version), Version::from_str(first)) {
            (Ok(own), Ok(first)) => own.compare_as_maven(&first).is_ge(),
            // The table's versions are valid: a test.
            _ => false,
        }
    }
}

/// Version, SHA-512 and SHA-1.
fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let lines = VERSIONS.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?, words.next()?, words.next()?))
    })
}

/// All versions that can be asked for, oldest first.
pub fn versions() -> impl Iterator<Item = &'static str> {
    rows().map(|(version, ..)| version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_table_is_well_formed_and_newer_than_the_one_before() {
        let lines = VERSIONS.lines().filter(|line| !line.starts_with('#')).count();
        assert_eq!(lines, versions().count());
        assert!(lines > 50, "{lines}");
        let mut before: Option<Distribution> = None;
        for version in versions() {
            let distribution = Distribution::of(version).unwrap_or_else(|| panic!("{version} has a bad row"));
            assert!(distribution.path.as_str().contains(version));
            assert!(!distribution.is(&FileDigests::of(b"something else")));
            if let Some(before) = before {
                assert!(distribution.is_since(before.version) && distribution.sha512 != before.sha512, "{version}");
            }
            before = Some(distribution);
        }
        assert_eq!(Distribution::of("3.6.4"), None);
        assert_eq!(Distribution::of("#"), None);
    }

    #[test]
    fn old_and_new_ones_are_called_in_their_own_way() {
        for (version, quiet, goal) in [
            ("3.0", false, OLD_INSTALL_GOAL),
            ("3.5.4", false, OLD_INSTALL_GOAL),
            ("3.6.1", true, OLD_INSTALL_GOAL),
            ("3.6.3", true, INSTALL_GOAL),
            ("3.9.9", true, INSTALL_GOAL),
            ("4.0.0-alpha-2", true, INSTALL_GOAL),
            ("4.0.0-rc-4", true, INSTALL_GOAL),
        ] {
            let found = Distribution::of(version).unwrap();
            assert_eq!((found.options() == QUIET, found.install_goal()), (quiet, goal), "{version}");
            let own = "org.apache.maven.plugins:maven-install-plugin:3.1.2".parse().unwrap();
            assert_eq!(found.building([&own]).install_goal(), OLD_INSTALL_GOAL, "{version}");
        }
    }

    #[test]
    fn what_does_not_run_is_refused_by_name() {
        let refusal = |version: &str, jdk| {
            let specification = Specification { jdk, ..Specification::default_maven(version) };
            match Distribution::wanted(&specification) {
                Ok(found) => found.version.to_owned(),
                Err(error) => error.to_string(),
            }
        };
        assert_eq!(refusal("3.0.5", 8), "3.0.5");
        assert_eq!(refusal("4.0.0-rc-4", 17), "4.0.0-rc-4");
        assert!(refusal("4.0.0-rc-4", 11).contains("needs JDK 17"));
        assert!(refusal("2.2.1", 8).contains("not pinned here; known are 3.0, 3.0.1"));
    }
}
