//! Profiles that a command line names (`-P`), put into the POM that has them.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::{Pom, Profile};

/// Which profiles are named, and which are not to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChosenProfiles {
    on: BTreeSet<String>,
    off: BTreeSet<String>,
}

impl ChosenProfiles {
    /// Takes the values of `-P`: names with commas between them, `!name` or `-name` for one that is not to be active. A question
    /// mark says that nobody need have it.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Self {
        let mut chosen = Self::default();
        for name in values.into_iter().flat_map(|value| value.split(',')).map(str::trim) {
            let (set, name) = match name.strip_prefix(['!', '-']) {
                Some(name) => (&mut chosen.off, name),
                None => (&mut chosen.on, name.strip_prefix('+').unwrap_or(name)),
            };
            let name = name.strip_prefix('?').unwrap_or(name);
            if !name.is_empty() {
                set.insert(name.to_owned());
            }
        }
        chosen
    }

    /// The names that are to be active.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.on.iter().map(String::as_str)
    }

    fn is_on(&self, profile: &Profile) -> bool {
        profile.id.as_ref().is_some_and(|id| self.on.contains(id) && !self.off.contains(id))
    }

    /// Whether it is decided that a profile is not active.
    pub fn is_off(&self, profile: &Profile) -> bool {
        profile.id.as_ref().is_some_and(|id| self.off.contains(id))
    }
}

impl Pom {
    /// The profiles that are active for these names: those that are named, else those that are active by default
    /// ([as Maven chooses](https://maven.apache.org/guides/introduction/introduction-to-profiles.html)). What depends on the
    /// machine or on properties is not known here.
    pub fn active_profiles<'a>(&'a self, chosen: &'a ChosenProfiles) -> impl Iterator<Item = &'a Profile> {
        let any = self.profiles.iter().any(|profile| chosen.is_on(profile));
        self.profiles.iter().filter(move |profile| match any {
            true => chosen.is_on(profile),
            false => profile.active_by_default.as_deref() == Some("true") && !chosen.is_off(profile),
        })
    }

    /// The POM with what its active profiles say, which comes before what it says itself.
    pub fn with_profiles(&self, chosen: &ChosenProfiles) -> Cow<'_, Self> {
        let mut active = self.active_profiles(chosen).peekable();
        if active.peek().is_none() {
            return Cow::Borrowed(self);
        }
        let mut pom = self.clone();
        for profile in active {
            let properties = profile.properties.iter().map(|(name, value)| (name.clone(), value.clone()));
            pom.properties.extend(properties);
            pom.modules.extend(profile.modules.iter().cloned());
            before(&mut pom.dependencies, &profile.dependencies);
            before(&mut pom.managed_dependencies, &profile.managed_dependencies);
            before(&mut pom.build.plugins, &profile.build.plugins);
            before(&mut pom.build.managed_plugins, &profile.build.managed_plugins);
            before(&mut pom.build.extensions, &profile.build.extensions);
        }
        Cow::Owned(pom)
    }
}

fn before<T: Clone>(all: &mut Vec<T>, first: &[T]) {
    all.splice(0..0, first.iter().cloned());
}

#[cfg(test)]
mod tests {
    use super::*;

    const POM: &str = "<project><properties><v>1</v></properties><modules><module>a</module></modules>\
        <dependencies><dependency><groupId>g</groupId><artifactId>own</artifactId></dependency></dependencies><profiles>\
        <profile><id>usual</id><activation><activeByDefault>true</activeByDefault></activation>\
          <properties><v>2</v></properties></profile>\
        <profile><id>ci</id><modules><module>b</module></modules><properties><v>3</v></properties><dependencies><dependency>\
          <groupId>g</groupId><artifactId>more</artifactId></dependency></dependencies></profile></profiles></project>";

    #[test]
    fn profiles_that_are_named_come_before_those_by_default() {
        let pom = Pom::parse(POM.as_bytes()).unwrap();
        let with = |values: &[&str]| pom.with_profiles(&ChosenProfiles::new(values.iter().copied())).into_owned();
        let version = |pom: &Pom| pom.properties["v"].clone();
        assert_eq!(version(&with(&[])), "2");
        assert_eq!(version(&with(&["!usual"])), "1");
        assert_eq!(version(&with(&["unknown"])), "2");
        for values in [&["ci"][..], &["+ci"], &["?ci"], &["x,ci"], &["x", " ci "]] {
            let pom = with(values);
            assert_eq!(version(&pom), "3", "{values:?}");
            assert_eq!(pom.modules, ["a", "b"]);
            let names: Vec<_> = pom.dependencies.iter().filter_map(|of| of.artifact_id.as_deref()).collect();
            assert_eq!(names, ["more", "own"]);
        }
        assert_eq!(version(&with(&["ci,usual"])), "3");
        assert_eq!(version(&with(&["ci", "-ci"])), "2", "who says both means no");
        assert!(matches!(pom.with_profiles(&ChosenProfiles::new(["!usual"])), Cow::Borrowed(_)));
    }
}
