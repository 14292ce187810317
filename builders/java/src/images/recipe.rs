//! Recipes: data files that are part of the program.

use serde::Deserialize;

use crate::images::{ImageConfig, ImageError};

/// What an image is made from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Name, for example `jdk17`.
    pub name: String,
    /// Major version of the JDK in it.
    pub jdk: u32,
    /// Version of the Gradle among the packages, if it is.
    #[serde(default)]
    pub gradle: Option<String>,
    /// Debian suite.
    pub suite: String,
    /// Whether an index of the suite that is no longer valid is refused. Sid's are valid for a week only.
    #[serde(default = "yes")]
    pub check_valid_until: bool,
    /// Variant of `mmdebstrap`: how much of Debian is in it beside the packages.
    pub variant: String,
    /// Packages.
    pub packages: Vec<String>,
    /// Path patterns that are left out (`dpkg --path-exclude`).
    pub exclude: Vec<String>,
    /// Files that are removed at the end, because no two bakes give the same ones.
    pub remove: Vec<String>,
    /// Where the JDK lies in the image.
    pub java_home: String,
    /// Latest time that a file of the layer may have, seconds since 1970.
    pub source_date_epoch: u64,
}

/// What else the tool may have written about where packages came from: its versions have other names for it.
const FORGET_SOURCES: &str = "rm -f \"$1\"/etc/apt/sources.list.d/*";

const RECIPES: &[(&str, &str)] = &[
    ("jdk8", include_str!("../../images/jdk8.toml")),
    ("jdk11", include_str!("../../images/jdk11.toml")),
    ("jdk17", include_str!("../../images/jdk17.toml")),
    ("jdk21", include_str!("../../images/jdk21.toml")),
    ("jdk25", include_str!("../../images/jdk25.toml")),
    ("gradle", include_str!("../../images/gradle.toml")),
];

fn yes() -> bool {
    true
}

/// Reads all recipes of this program.
///
/// # Errors
/// [`ImageError::Recipe`]; a test keeps it from happening.
pub fn recipes() -> Result<Vec<Recipe>, ImageError> {
    let read = |(name, text): &(&str, &str)| {
        toml::from_str(text)
            .map_err(|error| ImageError::Recipe { name: (*name).to_owned(), problem: error.to_string() })
    };
    RECIPES.iter().map(read).collect()
}

/// The recipe of this name.
///
/// # Errors
/// [`ImageError::Recipe`].
pub fn recipe(name: &str) -> Result<Option<Recipe>, ImageError> {
    Ok(recipes()?.into_iter().find(|recipe| recipe.name == name))
}

impl Recipe {
    /// The configuration of the image that comes out.
    pub fn config(&self) -> ImageConfig {
        ImageConfig {
            name: self.name.clone(),
            jdk: self.jdk,
            os: "linux".to_owned(),
            architecture: architecture().to_owned(),
            java_home: self.java_home.clone(),
            gradle: self.gradle.clone(),
        }
    }

    /// The suites whose packages this image may have.
    pub(crate) fn suites(&self) -> [String; 3] {
        let suite = &self.suite;
        [suite.clone(), format!("{suite}-updates"), format!("{suite}-security")]
    }

    /// Arguments of `mmdebstrap`, suite, target and sources excepted. No mirror is named: the tool's default is used.
    ///
    /// `hooks` are run after the packages are there, before the ones of the recipe.
    pub(crate) fn arguments(&self, check_valid_until: bool, hooks: &[String]) -> Vec<String> {
        let mut arguments = vec![
            format!("--variant={}", self.variant),
            "--format=tar".to_owned(),
            format!("--include={}", self.packages.join(",")),
        ];
        arguments.extend(self.exclude.iter().map(|pattern| format!("--dpkgopt=path-exclude={pattern}")));
        if !(check_valid_until && self.check_valid_until) {
            arguments.push("--aptopt=Acquire::Check-Valid-Until \"false\"".to_owned());
        }
        arguments.extend(hooks.iter().map(|hook| format!("--customize-hook={hook}")));
        // The tool runs a hook as a shell line with the root folder as its first argument.
        arguments.push(format!("--customize-hook={FORGET_SOURCES}"));
        arguments.extend(self.remove.iter().map(|file| format!("--customize-hook=rm -f \"$1\"{file}")));
        arguments
    }
}

/// This machine's architecture as image configurations call it.
pub(crate) fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_recipe_is_valid_and_named_as_its_file() {
        let recipes = recipes().unwrap();
        assert_eq!(recipes.len(), RECIPES.len());
        for (recipe, (name, _)) in recipes.iter().zip(RECIPES) {
            assert_eq!(recipe.name, *name);
            assert!(recipe.java_home.contains(&recipe.jdk.to_string()), "{name}");
            assert!(recipe.packages.iter().any(|package| package == "socat"), "{name} has no forwarder");
            let has_gradle = recipe.packages.iter().any(|package| package == "gradle");
            assert_eq!(has_gradle, recipe.gradle.is_some(), "{name}");
            let plain = |file: &String| {
                file.starts_with('/') && file.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c))
            };
            assert!(recipe.remove.iter().all(plain), "{name}: the hook is a shell line");
            let arguments = recipe.arguments(true, &[]);
            let stale = arguments.iter().any(|argument| argument.contains("Valid-Until"));
            assert_eq!(stale, recipe.suite == "sid", "{name}: only sid's index may be an old one");
            for own in ["/etc/apt/sources.list", "/etc/apt/apt.conf.d/99mmdebstrap"] {
                assert!(recipe.remove.iter().any(|file| file == own), "{name}: {own} says where packages came from");
            }
            assert!(!arguments.iter().any(|argument| argument.contains("://")), "no mirror in the repository");
        }
    }
}
