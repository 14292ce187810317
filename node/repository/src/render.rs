//! The `maven-metadata.xml` documents that this node makes.

use std::collections::BTreeSet;

use maven_layout::metadata::{self, Metadata, MetadataError};
use maven_layout::{ArtifactId, Coordinates, GroupId, Version};

use crate::decide::MetadataPlan;
use crate::ledger_view::{FileState, LedgerView, ReleaseFacts};
use crate::policy::Policy;

/// What became of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rendered {
    /// Upstream's document, unchanged byte for byte: all that it lists may be served, and there is nothing to add.
    Verbatim,
    /// Another document.
    Changed(Vec<u8>),
    /// There is nothing to tell.
    Empty,
}

/// Makes the document that lists what can be served.
///
/// `upstream` is upstream's document, if there is one. `servable` says of a release that the ledger publishes whether its
/// bytes are at hand. The result is a function of the arguments: no clock, so every node with the same ledger makes the
/// same bytes.
///
/// # Errors
/// [`MetadataError`] if upstream's document is about something else than the path says.
pub fn render(
    plan: &MetadataPlan,
    upstream: Option<&Metadata>,
    ledger: &dyn LedgerView,
    servable: &dyn Fn(&ReleaseFacts) -> bool,
) -> Result<Rendered, MetadataError> {
    let Some((group, artifact)) = &plan.artifact else {
        return Ok(if upstream.is_some() { Rendered::Verbatim } else { Rendered::Empty });
    };
    let releases = ledger.releases(group, artifact);
    let published = published(group, artifact, &releases, ledger, servable);
    let Some(upstream) = upstream else {
        if published.is_empty() {
            return Ok(Rendered::Empty);
        }
        return Ok(Rendered::Changed(metadata::write(&Metadata::of_versions(group, artifact, published)).into_bytes()));
    };
    let may_list = |version: &Version| {
        let coordinates = Coordinates::new(group.clone(), artifact.clone(), version.clone());
        !ledger.is_blocked(&coordinates) && listed_under(plan.policy, version, &releases)
    };
    let kept: Vec<Version> = upstream.versions.iter().filter(|version| may_list(version)).cloned().collect();
    let known: BTreeSet<&Version> = upstream.versions.iter().collect();
    let named = [&upstream.latest, &upstream.release];
    let all_kept = kept.len() == upstream.versions.len() && named.into_iter().flatten().all(may_list);
    if all_kept && published.iter().all(|version| known.contains(version)) {
        return Ok(Rendered::Verbatim);
    }
    let listed = Metadata::of_versions(group, artifact, kept.into_iter().chain(published));
    let rest = Metadata { versions: Vec::new(), latest: None, release: None, ..upstream.clone() };
    Ok(Rendered::Changed(metadata::write(&metadata::merge(listed, rest)?).into_bytes()))
}

/// Versions that the ledger publishes and that can be served from here.
fn published(
    group: &GroupId,
    artifact: &ArtifactId,
    releases: &[ReleaseFacts],
    ledger: &dyn LedgerView,
    servable: &dyn Fn(&ReleaseFacts) -> bool,
) -> Vec<Version> {
    let blocked =
        |version: &Version| ledger.is_blocked(&Coordinates::new(group.clone(), artifact.clone(), version.clone()));
    releases
        .iter()
        .filter(|release| release.state == FileState::Published && !blocked(&release.version) && servable(release))
        .map(|release| release.version.clone())
        .collect()
}

/// Whether the policy lists this version of upstream.
fn listed_under(policy: Policy, version: &Version, releases: &[ReleaseFacts]) -> bool {
    let Policy::Verified { allow_equivalent } = policy else {
        return true;
    };
    releases.iter().any(|release| {
        release.version == *version
            && match release.state {
                FileState::Published | FileState::Identical => true,
                FileState::Equivalent => allow_equivalent,
                FileState::Different | FileState::Disputed | FileState::NotBuilt | FileState::Failed => false,
            }
    })
}

#[cfg(test)]
#[path = "render_tests.rs"]
mod tests;
