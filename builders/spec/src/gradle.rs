//! What is different where Gradle builds: no profiles, projects in the place of modules, and an image that has the tool.

use crate::specification::{ExtraInput, Specification, SpecificationError, Tool, field};

/// The JDK in the image whose name says nothing about one.
const IMAGE_JDK: u32 = 17;

impl Specification {
    /// The recipe of the image that a build needs: one with its JDK, and with the tool too where that is no input.
    pub fn image_name(&self) -> String {
        match (&self.tool, self.jdk) {
            (Tool::Maven(_), jdk) => format!("jdk{jdk}"),
            (Tool::Gradle(_), jdk) if self.gradle_distribution().is_some() => format!("jdk{jdk}"),
            (Tool::Gradle(_), IMAGE_JDK) => "gradle".to_owned(),
            (Tool::Gradle(_), jdk) => format!("gradle{jdk}"),
        }
    }

    /// The input that is the distribution of the wanted Gradle, by the name that they all have.
    pub fn gradle_distribution(&self) -> Option<&ExtraInput> {
        let Tool::Gradle(wanted) = &self.tool else { return None };
        self.inputs.iter().find(|input| distributed(&input.url) == Some(wanted))
    }

    /// Checks the fields that are about Maven alone.
    pub(crate) fn check_gradle(&self) -> Result<(), SpecificationError> {
        if !matches!(self.tool, Tool::Gradle(_)) {
            return Ok(());
        }
        for (name, given) in
            [("profiles", !self.profiles.is_empty()), ("output_timestamp", self.output_timestamp.is_some())]
        {
            if given {
                return Err(field(name, "Gradle has nothing of the kind"));
            }
        }
        if let Some(module) = self.modules.iter().find(|module| !module.starts_with(':')) {
            return Err(field("modules", format!("the path of a project begins with a colon, got `{module}`")));
        }
        Ok(())
    }
}

/// The version of Gradle whose distribution lies at an address (`.../gradle-VERSION-bin.zip`).
pub fn distributed(url: &str) -> Option<&str> {
    let name = url.rsplit('/').next()?.strip_prefix("gradle-")?;
    name.strip_suffix("-bin.zip").or_else(|| name.strip_suffix("-all.zip")).filter(|version| !version.is_empty())
}

#[cfg(test)]
mod tests {
    use pyrsia_digest::Sha256;

    use super::*;

    fn gradle() -> Specification {
        let mut specification = Specification::default_maven("");
        specification.tool = Tool::Gradle("4.4.1".to_owned());
        specification.goals = vec!["assemble".to_owned()];
        specification.properties.clear();
        specification
    }

    #[test]
    fn an_image_is_named_by_tool_and_jdk() {
        assert_eq!(Specification::default_maven("3.9.9").image_name(), "jdk17");
        assert_eq!(gradle().image_name(), "gradle");
        assert_eq!(Specification { jdk: 11, ..gradle() }.image_name(), "gradle11");
        let input = |version: &str| {
            let url = format!("https://files.example/gradle-{version}.zip");
            vec![ExtraInput { url, sha256: Sha256::of(b"zip"), path: "gradle.zip".to_owned() }]
        };
        let own = Specification { inputs: input("4.4.1-bin"), jdk: 8, ..gradle() };
        assert_eq!((own.image_name().as_str(), own.gradle_distribution()), ("jdk8", own.inputs.first()));
        for other in ["4.4.2-bin", "4.4.1", "4.4.1-src", "-bin"] {
            assert_eq!(Specification { inputs: input(other), ..gradle() }.gradle_distribution(), None, "{other}");
        }
    }

    #[test]
    fn what_gradle_does_not_have_is_refused_by_field() {
        assert_eq!(gradle().check(), Ok(()));
        assert_eq!(gradle().structured(), Ok(()));
        assert_eq!(Specification { modules: vec![":core".to_owned()], ..gradle() }.check(), Ok(()));
        let one = || vec!["x".to_owned()];
        for (name, specification) in [
            ("profiles", Specification { profiles: one(), ..gradle() }),
            ("modules", Specification { modules: one(), ..gradle() }),
            ("output_timestamp", Specification { output_timestamp: Some("0".to_owned()), ..gradle() }),
        ] {
            match specification.check() {
                Err(SpecificationError::Field { field, .. }) => assert_eq!(field, name),
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}
