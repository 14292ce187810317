//! The decision: what to do about a path.

use maven_layout::{
    ArtifactId, ChecksumAlgorithm, Coordinates, GroupId, MetadataLevel, PathKind, RepoPath, archetypes, prefixes,
};
use pyrsia_digest::Sha256;

use crate::answer::{Provenance, Withheld, WithheldReason};
use crate::ledger_view::{FileFacts, FileState, LedgerView};
use crate::policy::{Policies, Policy};
use crate::routing::group_around;

/// What to do about a path. Carried out by [`Repository`](crate::Repository).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Nothing is there, and nobody needs to be asked.
    Absent,
    /// Not handed out.
    Withhold(Withheld),
    /// Not handed out, but absent if upstream says so: a client that probes for a file that does not exist learns that.
    WithholdUnlessAbsent(Withheld),
    /// These bytes and no others. They come from the store, or if `ask_upstream` from upstream.
    Exactly {
        /// The digest that the ledger records.
        sha256: Sha256,
        /// How the file is marked.
        provenance: Provenance,
        /// Whether origins may be asked.
        ask_upstream: bool,
    },
    /// A release file that the ledger has no digest for: the first bytes seen, now and for ever.
    FirstSeen {
        /// How the file is marked.
        provenance: Provenance,
    },
    /// A file of upstream that may change (snapshots, catalogues): kept for a short time, stale when upstream fails.
    Changing,
    /// A checksum of the answer to another path.
    Checksum {
        /// The file it is of.
        of: RepoPath,
        /// Which checksum.
        algorithm: ChecksumAlgorithm,
    },
    /// A `maven-metadata.xml`.
    Metadata(MetadataPlan),
    /// The list of what can be served, if that is known.
    Prefixes,
    /// The catalogue of archetypes: upstream's, unless that is withheld, with the native ones.
    Archetypes {
        /// What is said of it where there are no native ones.
        withheld: Option<Withheld>,
    },
}

/// How to make a `maven-metadata.xml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataPlan {
    /// The artifact whose versions the document lists, unless it can only be a group's.
    pub artifact: Option<(GroupId, ArtifactId)>,
    /// Whether upstream's document is a part of it.
    pub ask_upstream: bool,
    /// The policy under which versions are listed.
    pub policy: Policy,
}

/// Decides about a path. What was seen before at the path plays no part: it decides only where the bytes come from.
pub fn decide(path: &RepoPath, policies: &Policies, ledger: &dyn LedgerView) -> Decision {
    match path.kind() {
        PathKind::Checksum { of, algorithm } => match of.kind() {
            // Nobody publishes checksums of checksums; without this rule the chain could be as long as a path.
            PathKind::Checksum { .. } => Decision::Absent,
            _ => Decision::Checksum { of, algorithm },
        },
        PathKind::Artifact { coordinates, file_name } => artifact(&coordinates, &file_name, policies, ledger),
        PathKind::Signature { of } => match of.kind() {
            // A signature is one more file of the release.
            PathKind::Artifact { coordinates, .. } => artifact(&coordinates, path.file_name(), policies, ledger),
            _ => other(path, policies, ledger),
        },
        PathKind::Metadata(level) => metadata(level, policies, ledger),
        PathKind::Other => other(path, policies, ledger),
    }
}

fn artifact(coordinates: &Coordinates, file_name: &str, policies: &Policies, ledger: &dyn LedgerView) -> Decision {
    if ledger.is_blocked(coordinates) {
        return Decision::Withhold(blocked(coordinates));
    }
    let native = ledger.is_native(&coordinates.group);
    let policy = policies.of(&coordinates.group);
    let facts = match ledger.file(coordinates, file_name) {
        // A failed build says nothing about the bytes of any file.
        Some(FileFacts { state: FileState::Failed, .. }) | None => {
            return match (native, policy) {
                (true, _) => Decision::Absent,
                (false, Policy::Verified { .. }) => {
                    Decision::WithholdUnlessAbsent(withheld(WithheldReason::Unverified, coordinates, file_name))
                }
                // A build of a snapshot has its time in its name in place of the version, and never changes.
                (false, _) if coordinates.version.is_snapshot() && file_name.contains(coordinates.version.as_str()) => {
                    Decision::Changing
                }
                (false, _) => Decision::FirstSeen { provenance: Provenance::Unverified },
            };
        }
        Some(facts) => facts,
    };
    if let Some(reason) = refused_by(policy, facts.state) {
        let withheld = withheld(reason, coordinates, file_name);
        // Without a digest the file may be one that the source makes and upstream never had.
        return match facts.sha256 {
            None if !native => Decision::WithholdUnlessAbsent(withheld),
            _ => Decision::Withhold(withheld),
        };
    }
    let provenance = provenance(facts);
    match facts.sha256 {
        Some(sha256) => {
            let ask_upstream = !native && facts.state != FileState::Published;
            Decision::Exactly { sha256, provenance, ask_upstream }
        }
        // The builders did not agree, so there are no bytes to hand out as the release's.
        None if native || facts.state == FileState::Published => {
            Decision::Withhold(withheld(WithheldReason::Disputed, coordinates, file_name))
        }
        None => Decision::FirstSeen { provenance },
    }
}

/// Why a policy refuses a file in this state, if it does.
fn refused_by(policy: Policy, state: FileState) -> Option<WithheldReason> {
    let Policy::Verified { allow_equivalent } = policy else {
        return None;
    };
    match state {
        FileState::Published | FileState::Identical => None,
        FileState::Equivalent if allow_equivalent => None,
        FileState::Equivalent => Some(WithheldReason::Equivalent),
        FileState::Different => Some(WithheldReason::Different),
        FileState::Disputed => Some(WithheldReason::Disputed),
        FileState::NotBuilt | FileState::Failed => Some(WithheldReason::Unverified),
    }
}

fn provenance(facts: FileFacts) -> Provenance {
    match facts.state {
        FileState::Published | FileState::Identical if facts.self_verified => Provenance::SelfVerified,
        FileState::Published | FileState::Identical => Provenance::Verified,
        // The weaker findings keep their names without a quorum: hiding a difference would be worse.
        FileState::Equivalent => Provenance::Equivalent,
        FileState::Different => Provenance::Different,
        FileState::Disputed => Provenance::Disputed,
        FileState::NotBuilt | FileState::Failed => Provenance::Unverified,
    }
}

fn metadata(level: MetadataLevel, policies: &Policies, ledger: &dyn LedgerView) -> Decision {
    let plan = |group: &GroupId, artifact: Option<(GroupId, ArtifactId)>, ask_upstream| {
        Decision::Metadata(MetadataPlan { artifact, ask_upstream, policy: policies.of(group) })
    };
    match level {
        MetadataLevel::Group(group) if ledger.is_native(&group) => Decision::Absent,
        MetadataLevel::Group(group) => plan(&group, None, true),
        MetadataLevel::Artifact { group, artifact } => {
            let ask_upstream = !ledger.is_native(&group);
            plan(&group.clone(), Some((group, artifact)), ask_upstream)
        }
        MetadataLevel::GroupOrArtifact { as_group, group, artifact } => {
            let ask_upstream = !ledger.is_native(&group) && !ledger.is_native(&as_group);
            let policy = policies.of_either(&group, &as_group);
            Decision::Metadata(MetadataPlan { artifact: Some((group, artifact)), ask_upstream, policy })
        }
        MetadataLevel::Version(coordinates) => {
            let name = maven_layout::metadata::FILE_NAME;
            match policies.of(&coordinates.group) {
                _ if ledger.is_blocked(&coordinates) => Decision::Withhold(blocked(&coordinates)),
                _ if ledger.is_native(&coordinates.group) => Decision::Absent,
                Policy::Verified { .. } => {
                    Decision::WithholdUnlessAbsent(withheld(WithheldReason::Unverified, &coordinates, name))
                }
                Policy::PreferVerified | Policy::Mirror => Decision::Changing,
            }
        }
    }
}

fn other(path: &RepoPath, policies: &Policies, ledger: &dyn LedgerView) -> Decision {
    // The list of what a repository can serve is never another repository's list.
    if path.as_str() == prefixes::PATH {
        return Decision::Prefixes;
    }
    if path.as_str() == archetypes::FILE_NAME {
        let withheld = match policies.explained(None).0 {
            Policy::Verified { .. } => Some(of_no_release(path)),
            Policy::PreferVerified | Policy::Mirror => None,
        };
        return Decision::Archetypes { withheld };
    }
    if looks_like_a_folder(path.file_name()) {
        return Decision::Absent;
    }
    let group = group_around(path);
    if group.as_ref().is_some_and(|group| ledger.is_native(group)) {
        return Decision::Absent;
    }
    match policies.explained(group.as_ref()).0 {
        Policy::Verified { .. } => Decision::WithholdUnlessAbsent(of_no_release(path)),
        Policy::PreferVerified | Policy::Mirror => Decision::Changing,
    }
}

fn of_no_release(path: &RepoPath) -> Withheld {
    Withheld {
        reason: WithheldReason::Unverified,
        coordinates: None,
        detail: format!("{path} belongs to no release, so nobody can verify it, and the policy here is `verified`."),
        next: "Ask the operator of this node whether the policy `prefer-verified` fits.".to_owned(),
    }
}

/// A name without an extension, or with what follows the dot in a version. Upstream's page about a folder is no file of
/// the repository.
fn looks_like_a_folder(name: &str) -> bool {
    let Some((stem, extension)) = name.rsplit_once('.') else {
        return true;
    };
    stem.is_empty()
        || !extension.bytes().all(|byte| byte.is_ascii_alphanumeric())
        || !extension.bytes().any(|byte| byte.is_ascii_alphabetic())
}

fn blocked(coordinates: &Coordinates) -> Withheld {
    Withheld {
        reason: WithheldReason::Blocked,
        detail: format!("{coordinates} is blocked by the network: none of its files is handed out."),
        next: format!("Use another version. `pyrsia-maven inspect {coordinates}` shows the entry."),
        coordinates: Some(coordinates.clone()),
    }
}

/// The words for a withheld file.
pub(crate) fn withheld(reason: WithheldReason, coordinates: &Coordinates, file_name: &str) -> Withheld {
    let inspect = format!("`pyrsia-maven inspect {coordinates}` shows what the builders found.");
    let (detail, next) = match reason {
        WithheldReason::Blocked => return blocked(coordinates),
        WithheldReason::Unverified => (
            format!(
                "{file_name} of {coordinates} has not been rebuilt from source, and the policy here is `verified`."
            ),
            format!("`pyrsia-maven build {coordinates}` asks the network to rebuild it."),
        ),
        WithheldReason::Equivalent => (
            format!(
                "{file_name} of {coordinates} is equivalent to what its source makes, not identical, and the policy here is `verified`."
            ),
            "Set `allow_equivalent = true` in [policy] to accept such files.".to_owned(),
        ),
        WithheldReason::Different => (
            format!("{file_name} of {coordinates} is not what its source makes, and the policy here is `verified`."),
            inspect,
        ),
        WithheldReason::Disputed => {
            (format!("The builders of {coordinates} did not agree on {file_name}: no bytes stand for it."), inspect)
        }
        WithheldReason::LedgerMismatch => (
            format!(
                "The bytes that upstream offers for {file_name} of {coordinates} are not the ones that the ledger records; they were set aside."
            ),
            inspect,
        ),
        WithheldReason::ChangedUpstream => (
            format!(
                "The bytes that upstream offers for {file_name} of {coordinates} are not the ones that this node saw first; they were set aside."
            ),
            "The operator of this node finds both digests under the quarantined files.".to_owned(),
        ),
    };
    Withheld { reason, coordinates: Some(coordinates.clone()), detail, next }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
