//! The parts of a coordinate that are plain names: group, artifact, classifier, extension.
//!
//! The characters are those that Maven's model validation lets through
//! (`[A-Za-z0-9_\-.]+` for group and artifact), with `+` and `~` where releases in the wild have them. Lengths are
//! bounded so that any path built from valid parts is a valid [`crate::RepoPath`].

use crate::metadata;
use crate::path::RepoPath;
use crate::text::{text_order, text_type};

/// Longest group id, in bytes.
pub(crate) const GROUP_LIMIT: usize = 200;
/// Longest artifact id, in bytes.
pub(crate) const ARTIFACT_LIMIT: usize = 150;
/// Longest version, in bytes.
pub(crate) const VERSION_LIMIT: usize = 100;
/// Longest classifier, in bytes.
pub(crate) const CLASSIFIER_LIMIT: usize = 100;
/// Longest extension, in bytes.
pub(crate) const EXTENSION_LIMIT: usize = 40;

/// Why a text is not a valid name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is no text at all.
    #[error("{what} is empty")]
    Empty {
        /// Which kind of name was expected.
        what: &'static str,
    },
    /// The text is longer than this kind of name may be.
    #[error("{what} has {actual} bytes, at most {limit} are allowed")]
    TooLong {
        /// Which kind of name was expected.
        what: &'static str,
        /// Bytes that were given.
        actual: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// A character that has no place in this kind of name.
    #[error("{what} holds the character {character:?} at byte {position}")]
    Character {
        /// Which kind of name was expected.
        what: &'static str,
        /// The character.
        character: char,
        /// Byte offset of the character.
        position: usize,
    },
    /// Dots where a directory or file name could not be made of them: `a..b`, `.a`, `a.`, `.`, `..`.
    #[error("{what} has a misplaced dot")]
    Dots {
        /// Which kind of name was expected.
        what: &'static str,
    },
}

/// Where dots may stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dots {
    /// Every part between dots is a directory: none may be empty.
    Separate,
    /// The name is one directory or file: it must not be `.` or `..`.
    Inside,
}

pub(crate) fn check(what: &'static str, text: &str, limit: usize, extra: &[u8], dots: Dots) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { what });
    }
    if text.len() > limit {
        return Err(NameError::TooLong { what, actual: text.len(), limit });
    }
    let allowed = |c: char| {
        c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') || u8::try_from(c).is_ok_and(|b| extra.contains(&b))
    };
    if let Some((position, character)) = text.char_indices().find(|(_, c)| !allowed(*c)) {
        return Err(NameError::Character { what, character, position });
    }
    let misplaced = match dots {
        Dots::Separate => text.split('.').any(str::is_empty),
        Dots::Inside => text == "." || text == "..",
    };
    if misplaced { Err(NameError::Dots { what }) } else { Ok(()) }
}

fn check_group(text: &str) -> Result<(), NameError> {
    check("group id", text, GROUP_LIMIT, b"", Dots::Separate)
}

fn check_artifact(text: &str) -> Result<(), NameError> {
    check("artifact id", text, ARTIFACT_LIMIT, b"", Dots::Inside)
}

fn check_classifier(text: &str) -> Result<(), NameError> {
    check("classifier", text, CLASSIFIER_LIMIT, b"+~", Dots::Inside)
}

fn check_extension(text: &str) -> Result<(), NameError> {
    check("extension", text, EXTENSION_LIMIT, b"+~", Dots::Separate)
}

text_type! {
    /// A group id such as `org.example.tools`: at most 200 bytes of `[A-Za-z0-9_.-]`, no empty part between dots.
    GroupId, NameError, check_group
}
text_order!(GroupId);

text_type! {
    /// An artifact id such as `tool-core_2.13`: at most 150 bytes of `[A-Za-z0-9_.-]`, neither `.` nor `..`.
    ArtifactId, NameError, check_artifact
}
text_order!(ArtifactId);

text_type! {
    /// A classifier such as `sources`: at most 100 bytes of `[A-Za-z0-9_.+~-]`, neither `.` nor `..`.
    Classifier, NameError, check_classifier
}
text_order!(Classifier);

text_type! {
    /// A file extension without its leading dot, such as `jar` or `tar.gz`: at most 40 bytes of `[A-Za-z0-9_.+~-]`.
    Extension, NameError, check_extension
}
text_order!(Extension);

impl Extension {
    /// `jar`, what a coordinate without an extension means.
    pub fn jar() -> Self {
        Self("jar".to_owned())
    }

    /// `pom`.
    pub fn pom() -> Self {
        Self("pom".to_owned())
    }
}

impl GroupId {
    /// The directory of the group, without slashes at its ends: `org/example/tools`.
    pub fn dir(&self) -> String {
        self.0.replace('.', "/")
    }

    /// The path of the `maven-metadata.xml` that lists the plugin prefixes of this group.
    pub fn metadata_path(&self) -> RepoPath {
        RepoPath::from_valid(format!("{}/{}", self.dir(), metadata::FILE_NAME))
    }

    /// The group itself, then each enclosing group up to the first part: `a.b.c`, `a.b`, `a`.
    pub fn ancestors(&self) -> impl Iterator<Item = GroupId> + '_ {
        let mut next = Some(self.0.as_str());
        std::iter::from_fn(move || {
            let current = next?;
            next = current.rfind('.').map(|dot| &current[..dot]);
            Some(GroupId(current.to_owned()))
        })
    }

    /// Whether this group is `outer` or lies inside it, by whole parts: `a.bc` is not inside `a.b`.
    pub fn is_within(&self, outer: &GroupId) -> bool {
        self.0.strip_prefix(outer.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

#[cfg(test)]
mod tests;
