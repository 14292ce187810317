//! Paths inside a repository, and what the file at a path is.

use pyrsia_digest::ChecksumAlgorithm;

use crate::coordinates::Coordinates;
use crate::file_name::FileName;
use crate::metadata;
use crate::names::{ArtifactId, GroupId};
use crate::text::{text_order, text_type};
use crate::version::{self, Version};

/// Longest path, in bytes.
const LIMIT: usize = 1024;

/// Why a text is not a path inside a repository.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The text is longer than a path may be.
    #[error("path has {actual} bytes, at most {limit} are allowed")]
    TooLong {
        /// Bytes that were given.
        actual: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// A segment is empty: an empty path, a slash at either end, or two slashes in a row.
    #[error("path has an empty segment at byte {position}")]
    EmptySegment {
        /// Byte offset of the segment.
        position: usize,
    },
    /// A segment is `.` or `..`.
    #[error("path has a dot segment at byte {position}")]
    DotSegment {
        /// Byte offset of the segment.
        position: usize,
    },
    /// A character that has no place in a repository path: control characters, `\`, `%`, `?`, `#`.
    #[error("path holds the character {character:?} at byte {position}")]
    Character {
        /// The character.
        character: char,
        /// Byte offset of the character.
        position: usize,
    },
    /// A percent sign of the encoded form is not followed by two hexadecimal digits.
    #[error("path has a broken percent escape at byte {position}")]
    Escape {
        /// Byte offset of the percent sign in the encoded text.
        position: usize,
    },
    /// The encoded form hides a slash (`%2F`), which would be read as a separator by some and not by others.
    #[error("path has an encoded slash at byte {position}")]
    EncodedSlash {
        /// Byte offset of the percent sign in the encoded text.
        position: usize,
    },
    /// The decoded bytes are not UTF-8.
    #[error("path is not UTF-8 once decoded")]
    NotUtf8,
}

/// Whether the character may not stand in a path.
///
/// `%`, `?` and `#` would be harmless on disk; without them a path cannot change its meaning in a URL, however often
/// it is decoded. Format characters that reorder text are refused because paths are shown to people.
fn forbidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\\' | '%' | '?' | '#')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

pub(crate) fn check(text: &str) -> Result<(), PathError> {
    if text.len() > LIMIT {
        return Err(PathError::TooLong { actual: text.len(), limit: LIMIT });
    }
    if let Some((position, character)) = text.char_indices().find(|(_, c)| forbidden(*c)) {
        return Err(PathError::Character { character, position });
    }
    let mut position = 0;
    for segment in text.split('/') {
        match segment {
            "" => return Err(PathError::EmptySegment { position }),
            "." | ".." => return Err(PathError::DotSegment { position }),
            _ => position += segment.len() + 1,
        }
    }
    Ok(())
}

text_type! {
    /// A relative path inside a repository, segments separated by `/`, at most 1024 bytes of UTF-8.
    ///
    /// No segment is empty, `.` or `..`; no backslash, control character, `%`, `?` or `#`. So it never leaves the
    /// directory it is joined to. The text is not percent-encoded; see [`RepoPath::to_url_path`].
    RepoPath, PathError, check
}
text_order!(RepoPath);

/// What the file at a path is, by the repository layout alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathKind {
    /// A file of a release or of a snapshot.
    Artifact {
        /// The release. For a snapshot, its base version (`1.0-SNAPSHOT`).
        coordinates: Coordinates,
        /// The file's name; it begins with `artifact-version`, for a snapshot perhaps with a timestamped version.
        file_name: String,
    },
    /// A `maven-metadata.xml`.
    Metadata(MetadataLevel),
    /// The checksum file of another file.
    Checksum {
        /// The file that the checksum is of. It may itself be a [`PathKind::Signature`] or any other kind.
        of: RepoPath,
        /// The algorithm.
        algorithm: ChecksumAlgorithm,
    },
    /// The detached OpenPGP signature (`.asc`) of another file.
    Signature {
        /// The file that is signed.
        of: RepoPath,
    },
    /// Anything else: `archetype-catalog.xml`, `.meta/prefixes.txt`, a directory, a stray file.
    Other,
}

/// What a `maven-metadata.xml` describes.
///
/// A path alone does not always tell a group from an artifact: `a/b/maven-metadata.xml` is the plugin list of the
/// group `a.b`, the version list of `a:b`, or both in one document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataLevel {
    /// Only a group: the path has a single directory.
    Group(GroupId),
    /// A group or an artifact.
    GroupOrArtifact {
        /// The group, if it is one.
        as_group: GroupId,
        /// The group of the artifact, if it is one.
        group: GroupId,
        /// The artifact, if it is one.
        artifact: ArtifactId,
    },
    /// Only an artifact: its directory's name holds a dot, which no part of a group does.
    Artifact {
        /// The group.
        group: GroupId,
        /// The artifact.
        artifact: ArtifactId,
    },
    /// A snapshot version.
    Version(Coordinates),
}

impl MetadataLevel {
    /// The path of the document.
    pub fn path(&self) -> RepoPath {
        match self {
            Self::Group(group) | Self::GroupOrArtifact { as_group: group, .. } => group.metadata_path(),
            Self::Artifact { group, artifact } => {
                RepoPath::from_valid(format!("{}/{artifact}/{}", group.dir(), metadata::FILE_NAME))
            }
            Self::Version(coordinates) => {
                RepoPath::from_valid(format!("{}/{}", coordinates.dir(), metadata::FILE_NAME))
            }
        }
    }
}

impl RepoPath {
    /// Takes a text that was put together from valid parts.
    pub(crate) fn from_valid(text: String) -> Self {
        debug_assert!(check(&text).is_ok(), "{text:?}");
        Self(text)
    }

    /// Reads the path of a request: percent-encoded UTF-8, without the leading slash.
    ///
    /// It is decoded exactly once; what is still a percent sign afterwards is refused.
    ///
    /// # Errors
    /// See [`PathError`].
    pub fn from_url_path(encoded: &str) -> Result<Self, PathError> {
        // Three encoded bytes are at least one decoded byte: what is longer cannot become a valid path.
        if encoded.len() > 3 * LIMIT {
            return Err(PathError::TooLong { actual: encoded.len(), limit: 3 * LIMIT });
        }
        let mut decoded = Vec::with_capacity(encoded.len());
        let bytes = encoded.as_bytes();
        let mut position = 0;
        while let Some(&byte) = bytes.get(position) {
            if byte != b'%' {
                decoded.push(byte);
                position += 1;
                continue;
            }
            let digit =
                |offset: usize| bytes.get(position + offset).and_then(|b| char::from(*b).to_digit(16)).map(|d| d as u8);
            match (digit(1), digit(2)) {
                (Some(high), Some(low)) => match high << 4 | low {
                    b'/' => return Err(PathError::EncodedSlash { position }),
                    byte => decoded.push(byte),
                },
                _ => return Err(PathError::Escape { position }),
            }
            position += 3;
        }
        String::from_utf8(decoded).map_err(|_| PathError::NotUtf8)?.try_into()
    }

    /// The percent-encoded form for a URL: everything but unreserved characters, `/`, `+` and `~` is escaped.
    pub fn to_url_path(&self) -> String {
        const HEX: &[u8; 16] = b"0123456789ABCDEF";
        let mut out = String::with_capacity(self.0.len());
        for &byte in self.0.as_bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-' | b'+' | b'~') {
                out.push(char::from(byte));
            } else {
                out.push('%');
                out.push(char::from(HEX[usize::from(byte >> 4)]));
                out.push(char::from(HEX[usize::from(byte & 15)]));
            }
        }
        out
    }

    /// The segments, at least one.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The last segment.
    pub fn file_name(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.0.as_str(), |(_, name)| name)
    }

    /// The path without its last segment, if there is more than one.
    pub fn parent(&self) -> Option<RepoPath> {
        self.0.rsplit_once('/').map(|(parent, _)| Self(parent.to_owned()))
    }

    /// The file `name` in this directory.
    ///
    /// A path made by [`Coordinates`] leaves room for any file name of the same release; joined to any other path the
    /// result may be longer than `parse` accepts, see [`RepoPath::try_join`].
    pub(crate) fn join(&self, name: &FileName) -> RepoPath {
        Self(format!("{}/{name}", self.0))
    }

    /// The file `name` in this directory.
    ///
    /// # Errors
    /// [`PathError::TooLong`].
    pub fn try_join(&self, name: &FileName) -> Result<RepoPath, PathError> {
        format!("{}/{name}", self.0).try_into()
    }

    /// The path of this file's checksum file.
    ///
    /// # Errors
    /// [`PathError::TooLong`].
    pub fn checksum(&self, algorithm: ChecksumAlgorithm) -> Result<RepoPath, PathError> {
        format!("{}.{}", self.0, algorithm.extension()).try_into()
    }

    /// The path of this file's detached OpenPGP signature.
    ///
    /// # Errors
    /// [`PathError::TooLong`].
    pub fn signature(&self) -> Result<RepoPath, PathError> {
        format!("{}.asc", self.0).try_into()
    }

    /// The paths that belong to this file: its checksums, its signature, and the signature's checksums. Those that would
    /// be too long are left out.
    pub fn companions(&self) -> Vec<RepoPath> {
        let checksums = |of: &RepoPath| ChecksumAlgorithm::ALL.map(|algorithm| of.checksum(algorithm));
        let signature = self.signature();
        let of_signature: Vec<_> = signature.iter().flat_map(checksums).collect();
        checksums(self).into_iter().chain([signature]).chain(of_signature).flatten().collect()
    }

    /// What the file at this path is. Checksums and signatures are taken apart one layer at a time.
    pub fn kind(&self) -> PathKind {
        for algorithm in ChecksumAlgorithm::ALL {
            if let Some(of) = self.without_suffix(algorithm.extension()) {
                return PathKind::Checksum { of, algorithm };
            }
        }
        if let Some(of) = self.without_suffix("asc") {
            return PathKind::Signature { of };
        }
        let Some((directory, file_name)) = self.0.rsplit_once('/') else {
            return PathKind::Other;
        };
        if file_name == metadata::FILE_NAME {
            return metadata_level(directory).map_or(PathKind::Other, PathKind::Metadata);
        }
        match coordinates_of_directory(directory) {
            Some(coordinates) if belongs(&coordinates, file_name) => {
                PathKind::Artifact { coordinates, file_name: file_name.to_owned() }
            }
            _ => PathKind::Other,
        }
    }

    /// The path without `.suffix`, if it ends so and a file name remains.
    fn without_suffix(&self, suffix: &str) -> Option<RepoPath> {
        self.0.strip_suffix(suffix)?.strip_suffix('.')?.parse().ok()
    }
}

fn group_of_directory(directory: &str) -> Option<GroupId> {
    // A dot inside a directory name would read as a separator once the slashes became dots.
    if directory.contains('.') { None } else { directory.replace('/', ".").parse().ok() }
}

fn coordinates_of_directory(directory: &str) -> Option<Coordinates> {
    let (rest, version) = directory.rsplit_once('/')?;
    let (group, artifact) = rest.rsplit_once('/')?;
    let version: Version = version.parse().ok()?;
    // The builds of a snapshot lie in the directory of the snapshot, never in one of their own.
    if version.base() != version {
        return None;
    }
    Some(Coordinates { group: group_of_directory(group)?, artifact: artifact.parse().ok()?, version })
}

fn metadata_level(directory: &str) -> Option<MetadataLevel> {
    if let Some(coordinates) = coordinates_of_directory(directory)
        && coordinates.version.is_snapshot()
    {
        return Some(MetadataLevel::Version(coordinates));
    }
    let as_group = group_of_directory(directory);
    let as_artifact = directory
        .rsplit_once('/')
        .and_then(|(group, artifact)| Some((group_of_directory(group)?, artifact.parse::<ArtifactId>().ok()?)));
    match (as_group, as_artifact) {
        (Some(as_group), Some((group, artifact))) => Some(MetadataLevel::GroupOrArtifact { as_group, group, artifact }),
        (Some(group), None) => Some(MetadataLevel::Group(group)),
        (None, Some((group, artifact))) => Some(MetadataLevel::Artifact { group, artifact }),
        (None, None) => None,
    }
}

/// Whether a file of this name is a file of the release: `artifact-version`, then `.extension` or `-classifier.ext`.
fn belongs(coordinates: &Coordinates, file_name: &str) -> bool {
    split_name(coordinates, file_name).is_some()
}

/// Splits a file's name behind its artifact: into the version that it carries, and what follows.
pub(crate) fn split_name<'a>(coordinates: &Coordinates, file_name: &'a str) -> Option<(&'a str, &'a str)> {
    let rest = file_name.strip_prefix(coordinates.artifact.as_str())?.strip_prefix('-')?;
    let tail_is_well_formed = |tail: &str| {
        let dotted = tail.strip_prefix('.').is_some_and(|extension| !extension.is_empty());
        let classified = tail.strip_prefix('-').is_some_and(|tail| {
            tail.split_once('.').is_some_and(|(classifier, extension)| !classifier.is_empty() && !extension.is_empty())
        });
        dotted || classified
    };
    let plain = rest.strip_prefix(coordinates.version.as_str());
    let tail = plain
        .filter(|tail| tail_is_well_formed(tail))
        .or_else(|| snapshot_tail(&coordinates.version, rest).filter(|tail| tail_is_well_formed(tail)))?;
    rest.split_at_checked(rest.len() - tail.len())
}

/// What follows a timestamped version of this snapshot: for `1.0-SNAPSHOT` and `1.0-20261122.072715-2.jar`, `.jar`.
fn snapshot_tail<'a>(version: &Version, rest: &'a str) -> Option<&'a str> {
    let base = version.as_str().strip_suffix("SNAPSHOT")?;
    version::split_timestamp(rest.strip_prefix(base)?).map(|(_, tail)| tail)
}

#[cfg(test)]
mod tests;
