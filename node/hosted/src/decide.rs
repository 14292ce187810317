//! What an upload is, and whether the repository takes it: pure functions.

use maven_layout::{ArtifactRef, ChecksumAlgorithm, Coordinates, Metadata, MetadataLevel, PathKind, RepoPath, Version};

use crate::error::Refused;

/// Longest name of a file or folder, in bytes: what file systems allow.
const LONGEST_NAME: usize = 255;

/// What a repository accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Accepts {
    /// Releases only.
    Releases,
    /// Snapshots only.
    Snapshots,
    /// Both.
    Both,
}

impl Accepts {
    fn takes(self, snapshot: bool) -> bool {
        match self {
            Self::Releases => !snapshot,
            Self::Snapshots => snapshot,
            Self::Both => true,
        }
    }
}

impl std::fmt::Display for Accepts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Releases => "releases",
            Self::Snapshots => "snapshots",
            Self::Both => "releases and snapshots",
        })
    }
}

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A file of a release or snapshot, or its signature.
    File {
        /// It never changes. Not so a file whose name says `SNAPSHOT` instead of a build, as sbt and Ivy publish.
        stays: bool,
    },
    /// A `maven-metadata.xml`.
    Document(MetadataLevel),
    /// A checksum of one of the others, which is computed and never stored.
    Checksum {
        /// The path of the other.
        of: RepoPath,
        /// That is a document.
        of_document: bool,
        /// The algorithm.
        algorithm: ChecksumAlgorithm,
    },
}

/// What lies at a path, if anything can.
pub(crate) fn kind(path: &RepoPath) -> Option<Kind> {
    match path.kind() {
        PathKind::Checksum { of, algorithm } => match kind(&of)? {
            Kind::File { .. } => Some(Kind::Checksum { of, of_document: false, algorithm }),
            Kind::Document(_) => Some(Kind::Checksum { of, of_document: true, algorithm }),
            Kind::Checksum { .. } => None,
        },
        PathKind::Metadata(level) => Some(Kind::Document(level)),
        PathKind::Artifact { .. } => Some(Kind::File { stays: !is_of_no_build(path) }),
        // A document that is merged has no signature that would stay right.
        PathKind::Signature { of } => {
            matches!(of.kind(), PathKind::Artifact { .. }).then(|| Kind::File { stays: !is_of_no_build(&of) })
        }
        PathKind::Other => None,
    }
}

/// Whether the file is one of a snapshot as a whole, and of none of its builds.
fn is_of_no_build(path: &RepoPath) -> bool {
    ArtifactRef::from_path(path).is_some_and(|file| {
        file.coordinates.version.is_snapshot() && file.coordinates.version.base() == file.coordinates.version
    })
}

/// The version that a file belongs to, for one of a snapshot's build that of the build; none for what is no file.
pub(crate) fn owner(path: &RepoPath) -> Option<Coordinates> {
    let of = match path.kind() {
        PathKind::Signature { of } => of,
        _ => path.clone(),
    };
    let PathKind::Artifact { coordinates, .. } = of.kind() else { return None };
    Some(ArtifactRef::from_path(&of).map_or(coordinates, |file| file.coordinates))
}

/// What an upload to this path would be.
///
/// # Errors
/// [`Refused`], by the path alone.
pub fn admit(path: &RepoPath, accepts: Accepts) -> Result<Kind, Refused> {
    let no_path = || Refused::Path { path: path.clone() };
    if path.segments().any(|name| name.len() > LONGEST_NAME) {
        return Err(Refused::LongName { path: path.clone(), limit: LONGEST_NAME });
    }
    let kind = kind(path).ok_or_else(no_path)?;
    match &kind {
        Kind::File { .. } => admit_file(path, accepts)?,
        Kind::Document(level) => admit_document(level, accepts)?,
        Kind::Checksum { of, .. } => {
            admit(of, accepts)?;
        }
    }
    Ok(kind)
}

fn admit_file(path: &RepoPath, accepts: Accepts) -> Result<(), Refused> {
    let of = match path.kind() {
        PathKind::Signature { of } => of,
        _ => path.clone(),
    };
    let PathKind::Artifact { coordinates, .. } = of.kind() else {
        return Err(Refused::Path { path: path.clone() });
    };
    let snapshot = coordinates.version.is_snapshot();
    if !accepts.takes(snapshot) {
        return Err(other_kind(&coordinates, accepts));
    }
    let build = ArtifactRef::from_path(&of).and_then(|file| file.coordinates.version.snapshot_build());
    if snapshot && build.is_none() && !is_of_no_build(&of) {
        return Err(Refused::NoBuild { path: path.clone() });
    }
    Ok(())
}

fn admit_document(level: &MetadataLevel, accepts: Accepts) -> Result<(), Refused> {
    match level {
        MetadataLevel::Version(snapshot) if !accepts.takes(true) => Err(other_kind(snapshot, accepts)),
        _ => Ok(()),
    }
}

fn other_kind(coordinates: &Coordinates, accepts: Accepts) -> Refused {
    Refused::OtherKind { what: coordinates.to_string(), snapshot: coordinates.version.is_snapshot(), accepts }
}

/// Whether a `maven-metadata.xml` fits to its path and to the repository.
///
/// # Errors
/// [`Refused::OtherDocument`], [`Refused::OtherKind`].
pub fn check_document(
    path: &RepoPath,
    level: &MetadataLevel,
    document: &Metadata,
    accepts: Accepts,
) -> Result<(), Refused> {
    let about = (document.group.as_ref(), document.artifact.as_ref());
    let fits = match level {
        MetadataLevel::Version(snapshot) => {
            about.0.is_none_or(|group| *group == snapshot.group)
                && about.1.is_none_or(|artifact| *artifact == snapshot.artifact)
                && document.version.as_ref().is_none_or(|version| *version == snapshot.version)
                && document.snapshot_versions.values().all(|file| file.value.base() == snapshot.version)
                && document.versions.is_empty()
        }
        MetadataLevel::Artifact { group, artifact } => is_of(about, group, artifact) && no_builds(document),
        MetadataLevel::Group(group) => is_of_group(about, group) && no_builds(document),
        MetadataLevel::GroupOrArtifact { as_group, group, artifact } => {
            (is_of_group(about, as_group) || is_of(about, group, artifact)) && no_builds(document)
        }
    };
    if !fits {
        return Err(Refused::OtherDocument { path: path.clone(), says: says(document) });
    }
    // A list of versions that cannot be here would send clients to files that are not.
    let listed = document.versions.iter().chain(&document.latest).chain(&document.release);
    let other = listed.filter(|_| !matches!(level, MetadataLevel::Version(_)));
    match other.into_iter().find(|version| !accepts.takes(version.is_snapshot())) {
        Some(version) => {
            let what = format!("{version}, which {path} lists,");
            Err(Refused::OtherKind { what, snapshot: version.is_snapshot(), accepts })
        }
        None => Ok(()),
    }
}

type About<'a> = (Option<&'a maven_layout::GroupId>, Option<&'a maven_layout::ArtifactId>);

fn is_of(about: About<'_>, group: &maven_layout::GroupId, artifact: &maven_layout::ArtifactId) -> bool {
    about.0.is_none_or(|said| said == group) && about.1.is_none_or(|said| said == artifact)
}

fn is_of_group(about: About<'_>, group: &maven_layout::GroupId) -> bool {
    about.0.is_none_or(|said| said == group) && about.1.is_none()
}

fn no_builds(document: &Metadata) -> bool {
    document.snapshot.is_none() && document.snapshot_versions.is_empty()
}

fn says(document: &Metadata) -> String {
    let parts = [
        document.group.as_ref().map(ToString::to_string),
        document.artifact.as_ref().map(ToString::to_string),
        document.version.as_ref().map(Version::to_string),
    ];
    let said: Vec<String> = parts.into_iter().flatten().collect();
    if said.is_empty() { "something else".to_owned() } else { said.join(":") }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
