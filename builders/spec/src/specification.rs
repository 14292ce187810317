//! The specification of a build: TOML for people, one canonical digest for the ledger.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};

use crate::traits::INPUTS;

/// Name of the file, in the root of a native release's commit, that holds its specification.
pub const SPECIFICATION_FILE: &str = "pyrsia.toml";

const MAX_TOML_BYTES: usize = 64 * 1024;
pub(crate) const MAX_LIST: usize = 64;
pub(crate) const MAX_TEXT: usize = 512;

/// Why a text is no specification. The message names the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecificationError {
    /// Not TOML, an unknown field, or a field of another type.
    #[error("the specification is not valid: {0}")]
    Toml(String),
    /// A field holds a value that is not allowed.
    #[error("specification field `{field}`: {problem}")]
    Field {
        /// Name of the field as in the TOML.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// The build tool and its exact version. Text form: `maven-3.9.9`, `gradle-4.4.1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize)]
pub enum Tool {
    /// Apache Maven of this version, from its own distribution by pinned digest.
    Maven(String),
    /// Gradle of this version.
    Gradle(String),
}

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Maven(version) => write!(f, "maven-{version}"),
            Self::Gradle(version) => write!(f, "gradle-{version}"),
        }
    }
}

impl FromStr for Tool {
    type Err = SpecificationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, version) = text.split_once('-').unwrap_or((text, ""));
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
        let valid = !version.is_empty() && version.len() <= 32 && version.chars().all(plain);
        match name {
            "maven" if valid => Ok(Self::Maven(version.to_owned())),
            "gradle" if valid => Ok(Self::Gradle(version.to_owned())),
            _ => Err(field("tool", format!("expected `maven-VERSION` or `gradle-VERSION`, got `{text}`"))),
        }
    }
}

impl Serialize for Tool {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Tool {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// Line ends of the checked-out sources and of `line.separator`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Newline {
    /// `\n`
    #[default]
    Lf,
    /// `\r\n`
    Crlf,
}

/// What of `.git` the build may see.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Default, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum GitState {
    /// No `.git` at all.
    #[default]
    None,
    /// The one commit, made deterministically.
    Commit,
    /// The history up to the commit.
    History,
}

/// The value of `SOURCE_DATE_EPOCH` in the build's environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, BorshSerialize, BorshDeserialize)]
pub enum SourceDateEpoch {
    /// The commit's committer time for native builds, unset for upstream ones (Maven's archiver falls back to it).
    #[default]
    ByMode,
    /// Not set.
    Unset,
    /// Seconds since 1970.
    At(i64),
}

impl Serialize for SourceDateEpoch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::ByMode => serializer.serialize_str("by-mode"),
            Self::Unset => serializer.serialize_str("unset"),
            Self::At(seconds) => serializer.serialize_i64(*seconds),
        }
    }
}

impl<'de> Deserialize<'de> for SourceDateEpoch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Word(String),
            Seconds(i64),
        }
        match <Form as Deserialize>::deserialize(deserializer)? {
            Form::Word(word) if word == "by-mode" => Ok(Self::ByMode),
            Form::Word(word) if word == "unset" => Ok(Self::Unset),
            Form::Seconds(seconds) => Ok(Self::At(seconds)),
            Form::Word(word) => Err(serde::de::Error::custom(format!(
                "source_date_epoch is `by-mode`, `unset` or seconds since 1970, got `{word}`"
            ))),
        }
    }
}

/// A repository beside Maven Central that the build may ask, by the id that the network knows it by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoteRepository {
    /// The id.
    pub id: String,
    /// Group prefixes that are asked there; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub include: Vec<String>,
}

/// A single file that the build may fetch, pinned by digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtraInput {
    /// Where it comes from (https).
    pub url: String,
    /// What it must be.
    pub sha256: Sha256,
    /// Where the build finds it, below the work directory.
    pub path: String,
}

/// A source archive, pinned by digest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceDistribution {
    /// Where it comes from (https); a zip, or a tar compressed with gzip.
    pub url: String,
    /// What it must be.
    pub sha256: Sha256,
    /// The folder in it that is built; none is its root.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Files that are left out, relative to that folder.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// How a release is built. Every field takes part in the digest.
///
/// Borsh writes the fields of version 1 alone, as every version of this program has hashed them; [`Specification::digest`]
/// adds the others.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Specification {
    /// Version of this format: 1, or 2 if a field of version 2 is used.
    pub version: u32,
    /// Build tool and version.
    pub tool: Tool,
    /// Major version of the JDK: 8, 11, 17, 21, 25.
    pub jdk: u32,
    /// Phases or goals, in order; none if there are commands.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub goals: Vec<String>,
    /// Profiles to activate (`!name` deactivates).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub profiles: Vec<String>,
    /// Modules to build (`-pl`, with `-am`); none means the whole reactor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub modules: Vec<String>,
    /// User properties; an empty value is passed as `-Dname`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Properties of the JVM itself (`-D` on the `java` command line, before the tool's own).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub system_properties: BTreeMap<String, String>,
    /// File mode mask, octal digits.
    #[serde(default = "default_umask")]
    pub umask: String,
    /// Line ends.
    #[serde(default)]
    pub newline: Newline,
    /// IANA time zone.
    #[serde(default = "default_timezone")]
    pub timezone: String,
    /// POSIX locale without the encoding (UTF-8 is always added).
    #[serde(default = "default_locale")]
    pub locale: String,
    /// Where the source lies in the sandbox.
    #[serde(default = "default_workdir")]
    pub workdir: String,
    /// `user.name` as the JVM sees it; none leaves the sandbox profile's account name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// `SOURCE_DATE_EPOCH`.
    #[serde(default)]
    pub source_date_epoch: SourceDateEpoch,
    /// `project.build.outputTimestamp` given on the command line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_timestamp: Option<String>,
    /// What of `.git` the build sees.
    #[serde(default)]
    pub git: GitState,
    /// Repositories beside the default one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub repositories: Vec<RemoteRepository>,
    /// Single files.
    #[serde(default, rename = "input", skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<ExtraInput>,
    /// Version 2. Lines of a shell that stand in the place of goals, profiles, modules and properties; the last one ends
    /// with a call of the tool. They are run one after the other in one shell, as long as they end well.
    #[borsh(skip)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<String>,
    /// Version 2. Lines of a shell that are run before the build.
    #[borsh(skip)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exec_before: Vec<String>,
    /// Version 2. Lines of a shell that are run after the build.
    #[borsh(skip)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exec_after: Vec<String>,
    /// Version 2. Options of the JVM that the tool runs on, separated by spaces.
    #[borsh(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maven_opts: Option<String>,
    /// Version 2. Major versions of the JDKs that the build finds in its `toolchains.xml`.
    #[borsh(skip)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub toolchains: Vec<u32>,
    /// Version 2. Line ends of the checked-out sources; none: as `newline`, which then is about `line.separator` alone.
    #[borsh(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newline_git: Option<Newline>,
    /// Version 2. Operating system that the release was built on, where that is known to matter. Nothing follows from it.
    #[borsh(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Version 2. Processor architecture that the release was built on, likewise.
    #[borsh(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arch: Option<String>,
    /// Version 2. An archive that is built instead of a commit.
    #[borsh(skip)]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_distribution: Option<SourceDistribution>,
}

fn default_umask() -> String {
    "0022".to_owned()
}
fn default_timezone() -> String {
    "UTC".to_owned()
}
fn default_locale() -> String {
    "en_US".to_owned()
}
fn default_workdir() -> String {
    "/var/maven/app".to_owned()
}

pub(crate) fn field(field: &'static str, problem: impl Into<String>) -> SpecificationError {
    SpecificationError::Field { field, problem: problem.into() }
}

impl Specification {
    /// The specification that is used where none is given: Maven of the given version on JDK 17, `clean package`
    /// without running tests (tests prove the source, not the artifact, and are the commonest cause of failure).
    pub fn default_maven(version: &str) -> Self {
        let properties = ["skipTests", "maven.javadoc.skip", "gpg.skip"];
        Self {
            version: 1,
            tool: Tool::Maven(version.to_owned()),
            jdk: 17,
            goals: vec!["clean".to_owned(), "package".to_owned()],
            profiles: Vec::new(),
            modules: Vec::new(),
            properties: properties.into_iter().map(|name| (name.to_owned(), String::new())).collect(),
            system_properties: BTreeMap::new(),
            umask: default_umask(),
            newline: Newline::Lf,
            timezone: default_timezone(),
            locale: default_locale(),
            workdir: default_workdir(),
            user_name: None,
            source_date_epoch: SourceDateEpoch::ByMode,
            output_timestamp: None,
            git: GitState::None,
            repositories: Vec::new(),
            inputs: Vec::new(),
            commands: Vec::new(),
            exec_before: Vec::new(),
            exec_after: Vec::new(),
            maven_opts: None,
            toolchains: Vec::new(),
            newline_git: None,
            os: None,
            arch: None,
            source_distribution: None,
        }
    }

    /// Reads the TOML form and checks every field.
    pub fn from_toml(text: &str) -> Result<Self, SpecificationError> {
        if text.len() > MAX_TOML_BYTES {
            return Err(SpecificationError::Toml(format!("longer than {MAX_TOML_BYTES} bytes")));
        }
        let specification: Self = toml::from_str(text).map_err(|error| SpecificationError::Toml(error.to_string()))?;
        specification.check()?;
        Ok(specification)
    }

    /// Writes the TOML form.
    pub fn to_toml(&self) -> String {
        // Every field is a string, a number, a list or a map with string keys: TOML can hold all of them.
        toml::to_string(self).expect("a specification has a TOML form")
    }

    /// Checks every field against its limits; [`Self::from_toml`] has done it already.
    pub fn check(&self) -> Result<(), SpecificationError> {
        match (self.version, self.addition()) {
            (1, Some(addition)) => return Err(field(addition, "this field needs `version = 2`")),
            (1 | 2, _) => {}
            (other, _) => return Err(field("version", format!("this program knows versions 1 and 2, got {other}"))),
        }
        if ![8, 11, 17, 21, 25].contains(&self.jdk) {
            return Err(field("jdk", format!("one of 8, 11, 17, 21, 25, got {}", self.jdk)));
        }
        if self.goals.is_empty() && self.commands.is_empty() {
            return Err(field("goals", "at least one phase or goal is needed"));
        }
        self.check_commands()?;
        self.check_gradle()?;
        list("goals", &self.goals, |c| c.is_ascii_alphanumeric() || ".:_@-".contains(c))?;
        list("profiles", &self.profiles, |c| c.is_ascii_alphanumeric() || "._!+-".contains(c))?;
        list("modules", &self.modules, |c| c.is_ascii_alphanumeric() || "._/:!-".contains(c))?;
        map("properties", &self.properties)?;
        map("system_properties", &self.system_properties)?;
        self.umask_bits()?;
        text("timezone", &self.timezone, |c| c.is_ascii_alphanumeric() || "/_+-".contains(c))?;
        text("locale", &self.locale, |c| c.is_ascii_alphanumeric() || c == '_')?;
        text("workdir", &self.workdir, |c| c.is_ascii_alphanumeric() || "/._-".contains(c))?;
        let inside = ["/var/", "/home/", "/Users/"].iter().any(|top| self.workdir.starts_with(top));
        if !inside || self.workdir.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) {
            return Err(field("workdir", "an absolute path below /var, /home or /Users without `.` or `..`"));
        }
        if let Some(name) = &self.user_name {
            text("user_name", name, |c| c.is_ascii_graphic() || c == ' ')?;
        }
        if let Some(time) = &self.output_timestamp {
            text("output_timestamp", time, |c| c.is_ascii_alphanumeric() || ":+.-".contains(c))?;
        }
        if self.repositories.len() > MAX_LIST {
            return Err(field("repositories", format!("at most {MAX_LIST} entries")));
        }
        self.check_inputs()?;
        for repository in &self.repositories {
            text("repositories", &repository.id, |c| c.is_ascii_alphanumeric() || "._-".contains(c))?;
            if repository.id == INPUTS {
                return Err(field("repositories", format!("`{INPUTS}` is what manifests call single files")));
            }
            list("repositories", &repository.include, |c| c.is_ascii_alphanumeric() || "._-".contains(c))?;
        }
        Ok(())
    }

    /// The umask as a number.
    pub fn umask_bits(&self) -> Result<u32, SpecificationError> {
        let digits = self.umask.len() >= 3 && self.umask.len() <= 4;
        match u32::from_str_radix(&self.umask, 8) {
            Ok(bits) if digits && bits <= 0o777 && !self.umask.starts_with('+') => Ok(bits),
            _ => Err(field("umask", format!("three or four octal digits, got `{}`", self.umask))),
        }
    }
}

pub(crate) fn text(name: &'static str, value: &str, allowed: impl Fn(char) -> bool) -> Result<(), SpecificationError> {
    if value.is_empty() || value.len() > MAX_TEXT {
        return Err(field(name, format!("1 to {MAX_TEXT} characters")));
    }
    // A leading dash would be read as an option by the tool.
    if value.starts_with('-') {
        return Err(field(name, format!("`{value}` must not begin with a dash")));
    }
    match value.chars().find(|c| !allowed(*c)) {
        Some(c) => Err(field(name, format!("character {c:?} is not allowed in `{}`", value.escape_debug()))),
        None => Ok(()),
    }
}

fn list(name: &'static str, values: &[String], allowed: impl Fn(char) -> bool) -> Result<(), SpecificationError> {
    if values.len() > MAX_LIST {
        return Err(field(name, format!("at most {MAX_LIST} entries")));
    }
    values.iter().try_for_each(|value| text(name, value, &allowed))
}

fn map(name: &'static str, values: &BTreeMap<String, String>) -> Result<(), SpecificationError> {
    if values.len() > MAX_LIST {
        return Err(field(name, format!("at most {MAX_LIST} entries")));
    }
    for (key, value) in values {
        text(name, key, |c| c.is_ascii_alphanumeric() || "._-".contains(c))?;
        if value.len() > MAX_TEXT || value.chars().any(char::is_control) {
            return Err(field(name, format!("value of `{key}`: at most {MAX_TEXT} bytes, no control characters")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
