//! Coordinates of a release and references to one of its files.

use std::fmt;
use std::str::FromStr;

use crate::file_name::FileName;
use crate::names::{ArtifactId, Classifier, Extension, GroupId, NameError};
use crate::path::{PathKind, RepoPath, split_name};
use crate::text::text_codecs;
use crate::version::Version;

/// Why a text is not a coordinate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CoordinateError {
    /// The text has another number of parts between colons than this form of coordinate.
    #[error("expected {expected}, got {actual} part(s) between colons")]
    Parts {
        /// The expected form.
        expected: &'static str,
        /// Parts that were given.
        actual: usize,
    },
    /// One of the parts is not valid.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// A release: group, artifact and version. Text form `group:artifact:version`.
///
/// Ordered by group, artifact, then Maven's version order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Coordinates {
    /// The group id.
    pub group: GroupId,
    /// The artifact id.
    pub artifact: ArtifactId,
    /// The version. For a snapshot the base version (`1.0-SNAPSHOT`), or that of one build (`1.0-20261122.072715-2`).
    pub version: Version,
}

impl Coordinates {
    /// Puts the three parts together.
    pub fn new(group: GroupId, artifact: ArtifactId, version: Version) -> Self {
        Self { group, artifact, version }
    }

    /// The directory of the release: `org/example/tool/1.0`. All builds of a snapshot share that of the snapshot.
    pub fn dir(&self) -> RepoPath {
        RepoPath::from_valid(format!("{}/{}/{}", self.group.dir(), self.artifact, self.version.base()))
    }

    /// The directory of the artifact, the parent of all its versions: `org/example/tool`.
    pub fn artifact_dir(&self) -> RepoPath {
        RepoPath::from_valid(format!("{}/{}", self.group.dir(), self.artifact))
    }

    /// The name of one file of the release: `tool-1.0-sources.jar`.
    pub fn file(&self, classifier: Option<&Classifier>, extension: &Extension) -> FileName {
        FileName::from_valid(match classifier {
            Some(classifier) => format!("{}-{}-{classifier}.{extension}", self.artifact, self.version),
            None => format!("{}-{}.{extension}", self.artifact, self.version),
        })
    }

    /// What follows `artifact-version` in the name of a file of the release, beginning with `.` or `-`: `-sources.jar`. None for
    /// other names.
    pub fn rest_of<'a>(&self, name: &'a str) -> Option<&'a str> {
        let rest = name.strip_prefix(self.artifact.as_str())?.strip_prefix('-')?.strip_prefix(self.version.as_str())?;
        Some(rest).filter(|rest| rest.len() > 1 && rest.starts_with(['.', '-']))
    }

    /// The path of one file of the release: `org/example/tool/1.0/tool-1.0-sources.jar`.
    pub fn path(&self, classifier: Option<&Classifier>, extension: &Extension) -> RepoPath {
        self.dir().join(&self.file(classifier, extension))
    }

    /// The path of the release's POM: `org/example/tool/1.0/tool-1.0.pom`.
    pub fn pom_path(&self) -> RepoPath {
        self.path(None, &Extension::pom())
    }

    /// The path of the `maven-metadata.xml` that lists the builds of this snapshot; `None` if it is no snapshot.
    pub fn snapshot_metadata_path(&self) -> Option<RepoPath> {
        let snapshot = || RepoPath::from_valid(format!("{}/{}", self.dir(), crate::metadata::FILE_NAME));
        self.version.is_snapshot().then(snapshot)
    }

    /// The path of the `maven-metadata.xml` that lists the versions of this artifact.
    pub fn metadata_path(&self) -> RepoPath {
        RepoPath::from_valid(format!("{}/{}/{}", self.group.dir(), self.artifact, crate::metadata::FILE_NAME))
    }
}

impl fmt::Display for Coordinates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.group, self.artifact, self.version)
    }
}

impl fmt::Debug for Coordinates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Coordinates({self})")
    }
}

impl FromStr for Coordinates {
    type Err = CoordinateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split(':');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(group), Some(artifact), Some(version), None) => {
                Ok(Self { group: group.parse()?, artifact: artifact.parse()?, version: version.parse()? })
            }
            _ => Err(CoordinateError::Parts { expected: "group:artifact:version", actual: text.split(':').count() }),
        }
    }
}

text_codecs!(Coordinates);

/// One file of a release. Text form `group:artifact:version[:classifier][@extension]`; without an extension, `jar`.
///
/// Printing leaves `@jar` out, so that every reference has one text form.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactRef {
    /// The release.
    pub coordinates: Coordinates,
    /// The classifier, if the file has one.
    pub classifier: Option<Classifier>,
    /// The extension, without its leading dot.
    pub extension: Extension,
}

impl ArtifactRef {
    /// The path of the file.
    pub fn path(&self) -> RepoPath {
        self.coordinates.path(self.classifier.as_ref(), &self.extension)
    }

    /// The path of the file and of all that belongs to it, see [`RepoPath::companions`].
    pub fn paths(&self) -> Vec<RepoPath> {
        let path = self.path();
        let companions = path.companions();
        std::iter::once(path).chain(companions).collect()
    }

    /// The file that lies at a path; [`ArtifactRef::path`] leads back to exactly this path.
    ///
    /// `None` for everything but a file of a release or snapshot: metadata, checksums, signatures, and names that no
    /// coordinate has. For a build of a snapshot the version is the timestamped one of the file's name.
    ///
    /// A path does not say where a classifier with dots ends: the extension is taken to begin at the last dot, or before
    /// `.tar` where that is followed by one more part (`bin.tar.gz`).
    pub fn from_path(path: &RepoPath) -> Option<Self> {
        let PathKind::Artifact { coordinates, file_name } = path.kind() else {
            return None;
        };
        let (version, tail) = split_name(&coordinates, &file_name)?;
        let (classifier, extension) = match tail.strip_prefix('-') {
            None => (None, tail.strip_prefix('.')?),
            Some(tail) => split_classifier(tail).map(|(classifier, extension)| (Some(classifier), extension))?,
        };
        let reference = Self {
            coordinates: Coordinates { version: version.parse().ok()?, ..coordinates },
            classifier: classifier.map(str::parse).transpose().ok()?,
            extension: extension.parse().ok()?,
        };
        (reference.path() == *path).then_some(reference)
    }

    /// The name of the file.
    pub fn file_name(&self) -> FileName {
        self.coordinates.file(self.classifier.as_ref(), &self.extension)
    }
}

/// Splits `bin.tar.gz` into `bin` and `tar.gz`.
fn split_classifier(tail: &str) -> Option<(&str, &str)> {
    let (before, last) = tail.rsplit_once('.')?;
    match before.strip_suffix(".tar").filter(|classifier| !classifier.is_empty()) {
        Some(classifier) => tail.get(classifier.len() + 1..).map(|extension| (classifier, extension)),
        None => Some((before, last)),
    }
}

impl From<Coordinates> for ArtifactRef {
    /// The main JAR of the release.
    fn from(coordinates: Coordinates) -> Self {
        Self { coordinates, classifier: None, extension: Extension::jar() }
    }
}

impl fmt::Display for ArtifactRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.coordinates)?;
        if let Some(classifier) = &self.classifier {
            write!(f, ":{classifier}")?;
        }
        if self.extension != Extension::jar() {
            write!(f, "@{}", self.extension)?;
        }
        Ok(())
    }
}

impl fmt::Debug for ArtifactRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArtifactRef({self})")
    }
}

impl FromStr for ArtifactRef {
    type Err = CoordinateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (rest, extension) = match text.split_once('@') {
            Some((rest, extension)) => (rest, extension.parse()?),
            None => (text, Extension::jar()),
        };
        let mut parts = rest.split(':');
        match (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(group), Some(artifact), Some(version), classifier, None) => Ok(Self {
                coordinates: Coordinates {
                    group: group.parse()?,
                    artifact: artifact.parse()?,
                    version: version.parse()?,
                },
                classifier: classifier.map(str::parse).transpose()?,
                extension,
            }),
            _ => Err(CoordinateError::Parts {
                expected: "group:artifact:version[:classifier][@extension]",
                actual: rest.split(':').count(),
            }),
        }
    }
}

text_codecs!(ArtifactRef);

#[cfg(test)]
mod tests;
