//! The far end of the one socket that leads out of a sandbox: an HTTP/1.1 server that answers file requests.
//!
//! Participants: a build tool in the sandbox, which knows one Maven repository at `http://127.0.0.1:PORT/`; the
//! forwarder in the image; this server, on a Unix socket. Goals: in a record every answer is written down; in a
//! replay every answer comes from that record, and a request that is not in it ends the build. Non-goals: uploads,
//! conditional requests, ranges, listing.
//!
//! A path is asked of each repository of the specification whose patterns fit, in order, until one has it; each of
//! those questions is a line of the manifest. Checksum files are computed and are no lines.

mod answers;
mod record;
mod replay;
mod server;

use std::path::PathBuf;

use build_spec::{BuildError, Inputs, RepositoryId, Specification};
use maven_layout::{ChecksumAlgorithm, RepoPath};
use pyrsia_digest::{FileDigests, KnownDigests};

pub(crate) use answers::{Answers, digests, hash};
pub(crate) use record::{Recorder, not_had};
pub(crate) use replay::Replayer;
pub(crate) use server::FarEnd;

/// What one repository has at a path.
#[derive(Debug, Clone)]
pub(crate) enum Held {
    /// This file.
    File { file: PathBuf, size: u64, known: Known },
    /// Nothing.
    Absent,
}

/// How much is known of a file's digests.
#[derive(Debug, Clone)]
pub(crate) enum Known {
    /// Everything; the file was verified.
    All(Box<FileDigests>),
    /// The SHA-256 of the manifest; the content is checked against it when it is read.
    Sha256(pyrsia_digest::Sha256),
}

impl From<KnownDigests> for Known {
    fn from(digests: KnownDigests) -> Self {
        digests.all().map_or(Self::Sha256(digests.sha256), |all| Self::All(Box::new(all)))
    }
}

/// The repositories that a specification lets a build ask, in order: the default one first, unless it is listed.
#[derive(Debug, Clone)]
pub(crate) struct Routes {
    routes: Vec<(RepositoryId, Vec<String>)>,
}

impl Routes {
    pub(crate) fn of(specification: &Specification) -> Result<Self, BuildError> {
        let is_listed = specification.repositories.iter().any(|listed| listed.id == RepositoryId::central().as_str());
        let mut routes = if is_listed { Vec::new() } else { vec![(RepositoryId::central(), Vec::new())] };
        for repository in &specification.repositories {
            let id = repository.id.parse().map_err(|_| BuildError::InputsUnavailable(repository.id.clone()))?;
            let patterns = repository.include.iter().map(|group| format!("{}/", group.replace('.', "/"))).collect();
            routes.push((id, patterns));
        }
        Ok(Self { routes })
    }

    /// The first repository that is none of those that a source of inputs has.
    pub(crate) fn missing(&self, inputs: &dyn Inputs) -> Option<&RepositoryId> {
        self.routes.iter().map(|(id, _)| id).find(|id| !inputs.has(id))
    }

    pub(crate) fn for_path<'a>(&'a self, path: &'a RepoPath) -> impl Iterator<Item = &'a RepositoryId> {
        self.routes.iter().filter_map(move |(id, patterns)| {
            let fits = patterns.is_empty() || patterns.iter().any(|pattern| path.as_str().starts_with(pattern));
            fits.then_some(id)
        })
    }
}

/// A request, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    File(RepoPath),
    Checksum(RepoPath, ChecksumAlgorithm),
}

impl Wanted {
    pub(crate) fn of(path: RepoPath) -> Self {
        match path.kind() {
            maven_layout::PathKind::Checksum { of, algorithm } => Self::Checksum(of, algorithm),
            _ => Self::File(path),
        }
    }

    pub(crate) fn file(&self) -> &RepoPath {
        match self {
            Self::File(path) | Self::Checksum(path, _) => path,
        }
    }
}

/// A snapshot is refused by name: its content changes under one name, so it can be no input.
pub(crate) fn is_snapshot(path: &RepoPath) -> bool {
    path.segments().any(|segment| segment.ends_with("-SNAPSHOT"))
}

#[cfg(test)]
mod tests;
