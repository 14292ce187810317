//! What can be read from the state.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Bound;

use maven_layout::{ArtifactId, Coordinates, GroupId, PathKind, RepoPath, Version};
use pyrsia_digest::Sha256;
use serde::Serialize;

use super::natives::granted;
use super::{Namespace, RULES_SUPPORTED, State};
use crate::{
    Committee, Constants, EntryBody, FileVerdict, NetworkId, PublicKey, ReleaseBlock, Round, RoundKey, Subject, Verdict,
};

/// A builder image that a quorum decided about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageRecord {
    /// Name for people.
    pub name: String,
    /// Serial of the decision in force.
    pub serial: u32,
    /// Whether requests may name it.
    pub allowed: bool,
}

/// A place in the order of coordinates, in which groups and artifacts are ordered as texts.
pub(super) trait Place {
    /// The version is `None` for the place before all versions: there is no least version in Maven's order.
    fn parts(&self) -> (&str, &str, Option<&Version>);
}

/// Before the first version of an artifact; neither part needs to be a valid name.
pub(super) struct At<'a> {
    pub(super) group: &'a str,
    pub(super) artifact: &'a str,
}

impl Place for At<'_> {
    fn parts(&self) -> (&str, &str, Option<&Version>) {
        (self.group, self.artifact, None)
    }
}

impl Place for Coordinates {
    fn parts(&self) -> (&str, &str, Option<&Version>) {
        (self.group.as_str(), self.artifact.as_str(), Some(&self.version))
    }
}

impl PartialEq for dyn Place + '_ {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for dyn Place + '_ {}

impl PartialOrd for dyn Place + '_ {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for dyn Place + '_ {
    fn cmp(&self, other: &Self) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl<'a> Borrow<dyn Place + 'a> for Coordinates {
    fn borrow(&self) -> &(dyn Place + 'a) {
        self
    }
}

impl State {
    /// The network.
    pub fn network_id(&self) -> NetworkId {
        self.network
    }

    /// The constants of the genesis.
    pub fn constants(&self) -> &Constants {
        &self.constants
    }

    /// The committee in office.
    pub fn committee(&self) -> &Committee {
        &self.committee
    }

    /// Leaves of the log so far.
    pub fn log_size(&self) -> u64 {
        self.log_size
    }

    /// Number of the rules in force.
    pub fn rules(&self) -> u32 {
        self.rules
    }

    /// Whether the network runs rules that this program does not have. It must then stop signing and say so.
    pub fn is_halted(&self) -> bool {
        self.rules > RULES_SUPPORTED
    }

    /// One round.
    pub fn round(&self, key: &RoundKey) -> Option<&Round> {
        self.rounds.get(key).map(AsRef::as_ref)
    }

    /// All rounds, by key.
    pub fn rounds(&self) -> impl Iterator<Item = &Round> {
        self.rounds.values().map(AsRef::as_ref)
    }

    /// The rounds that are not over, by key.
    pub fn open_rounds(&self) -> impl Iterator<Item = &Round> {
        self.open.iter().filter_map(|key| self.round(key))
    }

    /// The latest round of a release.
    pub fn latest_round(&self, coordinates: &Coordinates) -> Option<&Round> {
        self.latest.get(coordinates).and_then(|key| self.round(key))
    }

    /// The strongest verdict on a release that was found and not withdrawn.
    pub fn verdict(&self, coordinates: &Coordinates) -> Option<&Verdict> {
        self.standing.get(coordinates).map(|standing| standing.verdict.as_ref())
    }

    /// All standing verdicts, by coordinates.
    pub fn verdicts(&self) -> impl Iterator<Item = &Verdict> {
        self.standing.values().map(|standing| standing.verdict.as_ref())
    }

    /// The standing verdicts on the releases of an artifact, by version; as cheap among millions as among a few.
    pub fn verdicts_of<'a>(
        &'a self,
        group: &'a GroupId,
        artifact: &'a ArtifactId,
    ) -> impl Iterator<Item = &'a Verdict> + 'a {
        let begin = At { group: group.as_str(), artifact: artifact.as_str() };
        let from: &dyn Place = &begin;
        self.standing
            .range::<dyn Place + '_, _>((Bound::Included(from), Bound::Unbounded))
            .take_while(move |(of, _)| of.group == *group && of.artifact == *artifact)
            .map(|(_, standing)| standing.verdict.as_ref())
    }

    /// The strongest verdict on the file at a path that was found and not withdrawn.
    pub fn file_verdict(&self, path: &RepoPath) -> Option<&FileVerdict> {
        match path.kind() {
            PathKind::Artifact { coordinates, file_name } => {
                self.standing.get(&coordinates).and_then(|standing| standing.files.get(&file_name))
            }
            _ => None,
        }
    }

    /// The first published digest of a native file. It survives a withdrawal: the path never gets other bytes.
    pub fn final_digest(&self, coordinates: &Coordinates, name: &str) -> Option<Sha256> {
        self.finals.get(coordinates).and_then(|files| files.get(name)).copied()
    }

    /// The grant in force for a group: the longest one on a dot boundary.
    pub fn namespace_for(&self, group: &GroupId) -> Option<&Namespace> {
        granted(&self.namespaces, group)
    }

    /// Whether releases of this group are native. Such a group is never asked upstream.
    pub fn is_native(&self, group: &GroupId) -> bool {
        self.namespace_for(group).is_some_and(|namespace| namespace.native)
    }

    /// All grants in force, by group.
    pub fn namespaces(&self) -> impl Iterator<Item = &Namespace> {
        self.namespaces.values().map(AsRef::as_ref)
    }

    /// Whether a release is withheld.
    pub fn is_blocked(&self, coordinates: &Coordinates) -> bool {
        self.blocks.get(coordinates).is_some_and(|block| block.blocked)
    }

    /// The latest decision to withhold a release or not.
    pub fn block(&self, coordinates: &Coordinates) -> Option<&ReleaseBlock> {
        self.blocks.get(coordinates)
    }

    /// The images that requests may name.
    pub fn approved_images(&self) -> impl Iterator<Item = Sha256> + '_ {
        self.images.iter().filter(|(_, record)| record.allowed).map(|(image, _)| *image)
    }

    /// The decision about an image.
    pub fn image(&self, image: &Sha256) -> Option<&ImageRecord> {
        self.images.get(image)
    }

    /// Whether requests may name this image.
    pub fn is_image_approved(&self, image: &Sha256) -> bool {
        self.image(image).is_some_and(|record| record.allowed)
    }

    /// Whether a quorum approved this free specification. Structured ones need no approval.
    pub fn is_specification_approved(&self, specification: &Sha256) -> bool {
        self.specifications.contains(specification)
    }

    /// Proposals without a quorum yet: subject, content (none for a specification), and who approved.
    pub fn pending(&self) -> impl Iterator<Item = (Subject, Option<&EntryBody>, Vec<PublicKey>)> {
        self.pending
            .iter()
            .map(|(subject, pending)| (*subject, pending.body.as_deref(), pending.votes.iter().copied().collect()))
    }
}
