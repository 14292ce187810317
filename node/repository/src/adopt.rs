//! Files from a folder of somebody's: may they become files of this repository?
//!
//! The bytes came from anywhere, so their word counts for nothing; a checksum that lies beside them proves that they are whole
//! and no more. They are taken if the ledger names them, if they were the first ones seen here, or if **the upstream that the
//! node would have got the file from says that it has these bytes**: that is what the node itself would have stored. With
//! `trust` the operator takes that upon himself; what the ledger or this node knows better holds all the same.

use maven_layout::{ChecksumAlgorithm, Coordinates, PathKind, RepoPath};
use pyrsia_digest::FileDigests;
use pyrsia_fetch::Described;

use crate::decide::{Decision, decide};
use crate::error::RepositoryError;
use crate::policy::{Policies, Policy};
use crate::service::Repository;

/// The origin of files that were taken from a folder.
pub const IMPORT: &str = "import";

/// A file that may become the one at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The path.
    pub path: RepoPath,
    /// Size and digests of its bytes.
    pub digests: FileDigests,
    /// Its bytes were made to have the SHA-1 of others.
    pub collides: bool,
}

/// What is to be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adoption {
    /// It is taken.
    Take {
        /// Who vouches for it: an upstream's id, or [`IMPORT`].
        origin: String,
        /// By what its bytes were verified; empty if by nothing.
        verified_by: String,
        /// When upstream says it was changed last, seconds since 1970.
        last_modified: Option<u64>,
    },
    /// It is not.
    Refuse(Refusal),
}

/// Why a file is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// The ledger names other bytes.
    Ledger,
    /// The release is blocked, or its builders did not agree.
    Withheld,
    /// The group is native, and no verdict names the file.
    Native,
    /// This node saw other bytes first.
    FirstSeen,
    /// Upstream has other bytes.
    Upstream,
    /// Upstream does not have the file.
    Absent,
    /// Upstream has no checksum that says anything about bytes of unknown origin.
    NoChecksum,
    /// Only a SHA-1 speaks for the bytes, and they were made to have it.
    Collision,
    /// A checksum that lies beside it says that its bytes are others.
    Damaged,
    /// It is larger than any file that is fetched.
    TooLarge,
    /// It is no file of a release or of a build of a snapshot.
    NoRelease,
}

impl Refusal {
    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ledger => "ledger-mismatch",
            Self::Withheld => "withheld",
            Self::Native => "native-group",
            Self::FirstSeen => "first-seen-mismatch",
            Self::Upstream => "upstream-mismatch",
            Self::Absent => "not-upstream",
            Self::NoChecksum => "no-checksum",
            Self::Collision => "sha1-collision",
            Self::Damaged => "damaged",
            Self::TooLarge => "too-large",
            Self::NoRelease => "no-release",
        }
    }
}

impl Repository {
    /// Whether a file may become the one at its path.
    ///
    /// # Errors
    /// [`RepositoryError::Upstream`] if no upstream could say, and this machine's own failures.
    pub async fn adopt(&self, offered: &Offered, trust: bool) -> Result<Adoption, RepositoryError> {
        let path = &offered.path;
        let sha256 = offered.digests.sha256;
        let of_ledger = |verified_by: &str| Adoption::Take {
            origin: IMPORT.to_owned(),
            verified_by: verified_by.to_owned(),
            last_modified: None,
        };
        if !is_fixed(path) {
            return Ok(Adoption::Refuse(Refusal::NoRelease));
        }
        // What clients are served is another question than what the file is.
        match decide(path, &Policies::all(Policy::Mirror), self.inner.ledger.view().as_ref()) {
            Decision::Exactly { sha256: named, .. } if named == sha256 => return Ok(of_ledger("ledger")),
            Decision::Exactly { .. } => return Ok(Adoption::Refuse(Refusal::Ledger)),
            Decision::Withhold(_) | Decision::WithholdUnlessAbsent(_) => {
                return Ok(Adoption::Refuse(Refusal::Withheld));
            }
            Decision::Absent => return Ok(Adoption::Refuse(Refusal::Native)),
            Decision::FirstSeen { .. } => {}
            Decision::Changing
            | Decision::Checksum { .. }
            | Decision::Metadata(_)
            | Decision::Prefixes
            | Decision::Archetypes { .. } => {
                return Ok(Adoption::Refuse(Refusal::NoRelease));
            }
        }
        match self.inner.local.record(path).await? {
            Some(seen) if seen.digests.sha256 == sha256 => return Ok(of_ledger("first-seen")),
            Some(_) => return Ok(Adoption::Refuse(Refusal::FirstSeen)),
            None => {}
        }
        if trust {
            return Ok(of_ledger(""));
        }
        self.as_upstream_has_it(offered).await
    }

    /// What the first upstream says that has the file. Absent only if all say so, as when the file is fetched.
    async fn as_upstream_has_it(&self, offered: &Offered) -> Result<Adoption, RepositoryError> {
        let mut failures = Vec::new();
        for origin in self.inner.remote.origins(&offered.path) {
            match origin.describe(&offered.path).await {
                Ok(Described::File { checksums, last_modified }) => {
                    let origin = origin.id().to_owned();
                    return Ok(match weigh(&checksums, offered) {
                        Ok(verified_by) => Adoption::Take { origin, verified_by, last_modified },
                        Err(refusal) => Adoption::Refuse(refusal),
                    });
                }
                Ok(Described::Absent) => {}
                Err(error) => failures.push(error.to_string()),
            }
        }
        if failures.is_empty() {
            return Ok(Adoption::Refuse(Refusal::Absent));
        }
        let (path, detail) = (offered.path.clone(), failures.join("; "));
        Err(RepositoryError::Upstream { path, detail, timed_out: false })
    }
}

/// Compares a file with what an upstream says of its own: by what it was verified, or why it is refused.
fn weigh(checksums: &[(ChecksumAlgorithm, String)], offered: &Offered) -> Result<String, Refusal> {
    let mut by = Vec::new();
    let mut strong = false;
    for (algorithm, says) in checksums {
        if offered.digests.checksum(*algorithm) != *says {
            return Err(Refusal::Upstream);
        }
        match algorithm {
            // Anybody makes two files with one MD5.
            ChecksumAlgorithm::Md5 => continue,
            ChecksumAlgorithm::Sha1 => {}
            ChecksumAlgorithm::Sha256 | ChecksumAlgorithm::Sha512 => strong = true,
        }
        by.push(algorithm.extension());
    }
    match (by.is_empty(), strong) {
        (true, _) => Err(Refusal::NoChecksum),
        (false, false) if offered.collides => Err(Refusal::Collision),
        (false, _) => Ok(by.join(",")),
    }
}

/// Whether the bytes at a path never change: a file of a release or of one build of a snapshot, which has its time in its name, or
/// the signature of one.
pub fn is_fixed(path: &RepoPath) -> bool {
    of_artifact(path).is_some_and(|(coordinates, file_name)| {
        !coordinates.version.is_snapshot() || !file_name.contains(coordinates.version.as_str())
    })
}

/// The release, or snapshot, that a file or the signature of one belongs to, with the name of what it is or signs.
pub fn of_artifact(path: &RepoPath) -> Option<(Coordinates, String)> {
    match path.kind() {
        PathKind::Artifact { coordinates, file_name } => Some((coordinates, file_name)),
        PathKind::Signature { of } => match of.kind() {
            PathKind::Artifact { coordinates, file_name } => Some((coordinates, file_name)),
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
#[path = "adopt_tests.rs"]
mod tests;
