//! Which specifications need no approval: those that can only ask a build tool for its ordinary phases.
//!
//! A free specification (a goal of any plugin, any property) could make a build copy the published file instead of
//! compiling it, so the ledger takes it only when a quorum has approved its digest. This list is the other way:
//! nothing on it names a file, a URL, a class or a command.

use crate::specification::{Specification, Tool};

/// The first thing that makes a specification need a quorum's approval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{field}` holds `{value}`, which is not on the list of structured specifications; a quorum must approve this one"
)]
pub struct NotStructured {
    /// The field.
    pub field: &'static str,
    /// The value in it.
    pub value: String,
}

const PHASES: &[&str] = &["clean", "validate", "compile", "test-compile", "package", "verify"];
const TASKS: &[&str] = &["clean", "assemble", "jar"];

/// Properties that switch checks off or fix what a build would otherwise take from its surroundings.
const PROPERTIES: &[&str] = &[
    "animal.sniffer.skip",
    "checkstyle.skip",
    "cpd.skip",
    "cyclonedx.skip",
    "enforcer.skip",
    "findbugs.skip",
    "gpg.skip",
    "invoker.skip",
    "jacoco.skip",
    "japicmp.skip",
    "license.skip",
    "maven.javadoc.skip",
    "maven.site.skip",
    "maven.test.skip",
    "pgpverify.skip",
    "pmd.skip",
    "rat.skip",
    "revapi.skip",
    "skipITs",
    "skipTests",
    "spotbugs.skip",
    "spotless.check.skip",
];

impl Specification {
    /// Says whether the specification keeps to phases, profiles and listed properties.
    pub fn structured(&self) -> Result<(), NotStructured> {
        let not = |field, value: &str| Err(NotStructured { field, value: value.to_owned() });
        let phases = match self.tool {
            Tool::Maven(_) => PHASES,
            Tool::Gradle(_) => TASKS,
        };
        if let Some(goal) = self.goals.iter().find(|goal| !phases.contains(&goal.as_str())) {
            return not("goals", goal);
        }
        for (name, value) in &self.properties {
            if !PROPERTIES.contains(&name.as_str()) || !matches!(value.as_str(), "" | "true" | "false") {
                return not("properties", &format!("{name}={value}"));
            }
        }
        let lines =
            [("commands", &self.commands), ("exec_before", &self.exec_before), ("exec_after", &self.exec_after)];
        if let Some((name, line)) = lines.into_iter().find_map(|(name, lines)| Some((name, lines.first()?))) {
            return not(name, line);
        }
        if let Some(options) = &self.maven_opts {
            return not("maven_opts", options);
        }
        if let Some(distribution) = &self.source_distribution {
            return not("source_distribution", &distribution.url);
        }
        if let Some(name) = self.system_properties.keys().next() {
            return not("system_properties", name);
        }
        if let Some(repository) = self.repositories.first() {
            return not("repositories", &repository.id);
        }
        match self.inputs.first() {
            Some(input) => not("input", &input.url),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_structured_and_a_plugin_goal_is_not() {
        let mut spec = Specification::default_maven("3.9.9");
        assert_eq!(spec.structured(), Ok(()));
        spec.goals.push("dependency:get".to_owned());
        assert_eq!(spec.structured().unwrap_err().field, "goals");
    }

    #[test]
    fn what_a_shell_or_the_jvm_is_told_needs_approval() {
        type Change = fn(&mut Specification);
        let changes: [(&str, Change); 4] = [
            ("commands", |spec| spec.commands = vec!["mvn package".to_owned()]),
            ("exec_before", |spec| spec.exec_before = vec!["true".to_owned()]),
            ("exec_after", |spec| spec.exec_after = vec!["true".to_owned()]),
            ("maven_opts", |spec| spec.maven_opts = Some("-javaagent:x.jar".to_owned())),
        ];
        for (field, change) in changes {
            let mut spec = Specification::default_maven("3.9.9");
            spec.version = 2;
            change(&mut spec);
            assert_eq!(spec.structured().unwrap_err().field, field);
        }
        let mut spec = Specification::default_maven("3.9.9");
        spec.version = 2;
        spec.toolchains = vec![8, 17];
        spec.os = Some("osx".to_owned());
        assert_eq!(spec.structured(), Ok(()));
    }

    #[test]
    fn a_property_may_not_carry_a_value_of_its_own() {
        let mut spec = Specification::default_maven("3.9.9");
        spec.properties.insert("rat.skip".to_owned(), "/etc/passwd".to_owned());
        assert_eq!(spec.structured().unwrap_err().field, "properties");
        spec.properties.remove("rat.skip");
        spec.properties.insert("maven.compiler.executable".to_owned(), String::new());
        assert_eq!(spec.structured().unwrap_err().field, "properties");
    }
}
