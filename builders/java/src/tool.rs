//! The build tool of a specification: a Maven that is fetched like any other input, or the Gradle of the image.

use build_spec::{BuildError, Specification, Tool};
use maven_layout::Coordinates;

use crate::images::ImageError;
use crate::maven::Distribution;

/// The task that publishes what a Gradle project makes; the sandbox's init script gives it to every project.
const PUBLICATION: &str = "pyrsiaPublication";

/// A build tool that this builder has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BuildTool {
    /// This distribution of Maven.
    Maven(Distribution),
    /// A Gradle.
    Gradle(Gradle),
}

/// A Gradle of the image, or of an input of the specification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gradle {
    version: String,
    /// Where its distribution lies, from the root of the source.
    distribution: Option<String>,
}

impl BuildTool {
    /// The tool that a specification asks for.
    ///
    /// # Errors
    /// [`BuildError::Unsupported`] for what is not pinned, what does not run on the JDK, and fields that mean nothing to it.
    pub(crate) fn wanted(specification: &Specification) -> Result<Self, BuildError> {
        match &specification.tool {
            Tool::Maven(_) => Distribution::wanted(specification).map(Self::Maven),
            Tool::Gradle(_) if !specification.toolchains.is_empty() => {
                Err(BuildError::Unsupported("toolchains are written down for Maven alone".to_owned()))
            }
            Tool::Gradle(version) => {
                let distribution = specification.gradle_distribution().map(|input| input.path.clone());
                Ok(Self::Gradle(Gradle { version: version.clone(), distribution }))
            }
        }
    }

    /// The tool as a build of these releases may have it, which gets none of them.
    pub(crate) fn building<'a>(self, releases: impl IntoIterator<Item = &'a Coordinates>) -> Self {
        match self {
            Self::Maven(distribution) => Self::Maven(distribution.building(releases)),
            Self::Gradle(gradle) => Self::Gradle(gradle),
        }
    }

    /// What a command calls it.
    pub(crate) fn command(&self) -> &'static str {
        match self {
            Self::Maven(_) => "mvn",
            Self::Gradle(_) => "gradle",
        }
    }

    /// The distribution, where it is an input.
    pub(crate) fn distribution(&self) -> Option<&Distribution> {
        match self {
            Self::Maven(distribution) => Some(distribution),
            Self::Gradle(_) => None,
        }
    }

    /// The version of Gradle; empty: another tool builds.
    pub(crate) fn gradle(&self) -> &str {
        match self {
            Self::Maven(_) => "",
            Self::Gradle(gradle) => &gradle.version,
        }
    }

    /// Where the distribution of Gradle lies, from the root of the source; empty: the image has it, or another tool builds.
    pub(crate) fn gradle_distribution(&self) -> &str {
        match self {
            Self::Maven(_) => "",
            Self::Gradle(gradle) => gradle.distribution.as_deref().unwrap_or_default(),
        }
    }

    /// Options that are given besides those that every version knows, as words of a shell.
    pub(crate) fn options(&self) -> &'static str {
        match self {
            Self::Maven(distribution) => distribution.options(),
            Self::Gradle(_) => "",
        }
    }

    /// The goal or task behind those of a specification's own lines, which shows what the build attached.
    pub(crate) fn last_goal(&self) -> &'static str {
        match self {
            Self::Maven(distribution) => distribution.install_goal(),
            Self::Gradle(_) => PUBLICATION,
        }
    }

    /// The tool's arguments as the specification has them, with the last goal or task.
    pub(crate) fn arguments(&self, specification: &Specification) -> Vec<String> {
        match self {
            Self::Maven(distribution) => maven_arguments(specification, distribution),
            Self::Gradle(_) => gradle_arguments(specification),
        }
    }
}

/// Whether there is an image with the tool and JDK of a specification.
///
/// # Errors
/// [`BuildError::Unsupported`], with what there is.
pub(crate) fn check_image(specification: &Specification) -> Result<(), BuildError> {
    let unusable = |error: ImageError| BuildError::Engine(error.to_string());
    let unsupported = |text: String| Err(BuildError::Unsupported(text));
    let recipe = crate::recipe(&specification.image_name()).map_err(unusable)?;
    match (&specification.tool, recipe) {
        (Tool::Maven(_), Some(_)) => Ok(()),
        (Tool::Gradle(_), Some(_)) if specification.gradle_distribution().is_some() => Ok(()),
        (Tool::Maven(_), None) => {
            unsupported(format!("there is no recipe for an image with JDK {}", specification.jdk))
        }
        (Tool::Gradle(version), Some(recipe)) if recipe.gradle.as_ref() == Some(version) => Ok(()),
        (Tool::Gradle(version), _) => {
            let all = crate::recipes().map_err(unusable)?;
            let there = all.iter().filter_map(|recipe| Some((recipe.gradle.as_ref()?, recipe.jdk)));
            let there: Vec<String> = there.map(|(gradle, jdk)| format!("{gradle} on JDK {jdk}")).collect();
            unsupported(format!(
                "there is no image with Gradle {version} on JDK {}, and no [[input]] is its distribution; known are {}",
                specification.jdk,
                there.join(", ")
            ))
        }
    }
}

fn maven_arguments(specification: &Specification, maven: &Distribution) -> Vec<String> {
    let mut arguments = Vec::new();
    if !specification.profiles.is_empty() {
        arguments.push(format!("-P{}", specification.profiles.join(",")));
    }
    if !specification.modules.is_empty() {
        arguments.extend(["-pl".to_owned(), specification.modules.join(","), "-am".to_owned()]);
    }
    arguments.extend(properties("-D", specification));
    if let Some(timestamp) = &specification.output_timestamp {
        arguments.push(format!("-Dproject.build.outputTimestamp={timestamp}"));
    }
    arguments.extend(specification.goals.iter().cloned());
    arguments.push(maven.install_goal().to_owned());
    arguments
}

/// Tasks of the named projects, or of every project that has them.
fn gradle_arguments(specification: &Specification) -> Vec<String> {
    let mut arguments: Vec<String> = properties("-P", specification).collect();
    for task in specification.goals.iter().map(String::as_str).chain([PUBLICATION]) {
        if specification.modules.is_empty() || task.starts_with(':') {
            arguments.push(task.to_owned());
        } else {
            let within = |project: &String| format!("{}:{task}", project.trim_end_matches(':'));
            arguments.extend(specification.modules.iter().map(within));
        }
    }
    arguments
}

fn properties<'a>(option: &'a str, specification: &'a Specification) -> impl Iterator<Item = String> + 'a {
    specification.properties.iter().map(move |(name, value)| match value.as_str() {
        "" => format!("{option}{name}"),
        value => format!("{option}{name}={value}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradle(version: &str) -> Specification {
        let mut specification = Specification::default_maven("");
        specification.tool = Tool::Gradle(version.to_owned());
        specification.goals = vec!["clean".to_owned(), "assemble".to_owned()];
        specification.properties.clear();
        specification
    }

    #[test]
    fn arguments_of_maven_follow_the_specification() {
        let mut specification = Specification::default_maven("3.9.9");
        specification.profiles = vec!["apache-release".to_owned(), "!x".to_owned()];
        specification.modules = vec!["core".to_owned(), ":api".to_owned()];
        specification.properties.insert("a".to_owned(), "b c".to_owned());
        let tool = BuildTool::wanted(&specification).unwrap();
        assert_eq!(
            tool.arguments(&specification),
            [
                "-Papache-release,!x",
                "-pl",
                "core,:api",
                "-am",
                "-Da=b c",
                "-Dgpg.skip",
                "-Dmaven.javadoc.skip",
                "-DskipTests",
                "clean",
                "package",
                tool.last_goal()
            ]
        );
    }

    #[test]
    fn tasks_of_gradle_are_those_of_the_named_projects() {
        let mut specification = gradle("4.4.1");
        specification.properties.insert("release".to_owned(), String::new());
        specification.properties.insert("who".to_owned(), "a b".to_owned());
        let tool = BuildTool::wanted(&specification).unwrap();
        assert_eq!(tool.arguments(&specification), ["-Prelease", "-Pwho=a b", "clean", "assemble", PUBLICATION]);
        specification.properties.clear();
        specification.modules = vec![":".to_owned(), ":core:api".to_owned()];
        specification.goals = vec!["jar".to_owned(), ":docs:x".to_owned()];
        let expected = [":jar", ":core:api:jar", ":docs:x", ":pyrsiaPublication", ":core:api:pyrsiaPublication"];
        assert_eq!(tool.arguments(&specification), expected);
    }

    #[test]
    fn what_there_is_no_image_with_is_refused_by_name() {
        assert!(check_image(&gradle("4.4.1")).is_ok());
        let refusal = |specification: Specification| check_image(&specification).unwrap_err().to_string();
        let text = refusal(gradle("8.5"));
        assert!(
            text.contains(
                "no image with Gradle 8.5 on JDK 17, and no [[input]] is its distribution; known are 4.4.1 on JDK 17"
            ),
            "{text}"
        );
        assert!(refusal(Specification { jdk: 11, ..gradle("4.4.1") }).contains("Gradle 4.4.1 on JDK 11"));
        let toolchains = Specification { version: 2, toolchains: vec![17], ..gradle("4.4.1") };
        assert!(matches!(BuildTool::wanted(&toolchains), Err(BuildError::Unsupported(_))));
    }
}
