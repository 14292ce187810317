//! A round: one build of one request by a committee.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pyrsia_digest::Sha256;
use serde::Serialize;

use crate::{
    BuildRequest, Committee, Inputs, Natives, PublicKey, RecordFailure, RoundKey, RoundResult, RoundStage,
    VerdictState, VoidReason,
};

/// How a round ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RoundState {
    /// With verdicts; the weakest of their headlines.
    Decided(VerdictState),
    /// Without any: the build was fed its own result.
    Void(VoidReason),
    /// Without any: the source of the results, the image or the grant does not count (any more).
    NotEligible,
    /// Without any: too many attempts came to nothing. The only end after which the same key may be opened again.
    Abandoned,
}

/// Where a round stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The recorder makes the input manifest.
    Recording,
    /// Authorities check the manifest, replay, and commit to a result.
    Committing,
    /// Authorities show their results.
    Revealing,
    /// Over.
    Closed(RoundState),
}

impl Stage {
    /// Whether the round is not over.
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Closed(_))
    }

    /// The stage as timeouts name it; `None` when closed.
    pub fn timeout_stage(self) -> Option<RoundStage> {
        match self {
            Self::Recording => Some(RoundStage::Record),
            Self::Committing => Some(RoundStage::Commit),
            Self::Revealing => Some(RoundStage::Reveal),
            Self::Closed(_) => None,
        }
    }
}

/// A result that an authority showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AttestationRecord {
    /// Log index of the entry.
    pub index: u64,
    /// Whether no timely commitment stands behind it.
    pub late: bool,
    /// Whether it came only after the round was decided: recorded, never counted.
    pub after_close: bool,
    /// The result.
    #[serde(serialize_with = "through_arc")]
    pub result: Arc<RoundResult>,
}

fn through_arc<S: serde::Serializer>(result: &Arc<RoundResult>, serializer: S) -> Result<S::Ok, S::Error> {
    result.as_ref().serialize(serializer)
}

/// Evidence against an authority: two different commitments for one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Equivocation {
    /// The attempt.
    pub attempt: u32,
    /// The commitment that came first.
    pub first: Sha256,
    /// The other one.
    pub second: Sha256,
    /// Log index of the entry with the other one.
    pub index: u64,
}

/// One round. Entries for another attempt than `attempt` are refused, so nothing said earlier can be replayed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Round {
    /// Its key.
    pub key: RoundKey,
    /// What is built.
    pub request: BuildRequest,
    /// Log index of the (latest) request.
    pub index: u64,
    /// The authority that admitted the request.
    pub admitted_by: PublicKey,
    /// The committee that the round belongs to.
    #[serde(skip)]
    pub committee: Arc<Committee>,
    /// The native files as the ledger had them at the request; empty when the round is over.
    #[serde(skip)]
    pub natives: Natives,
    /// The attempt, from 0; never goes back.
    pub attempt: u32,
    /// The first attempt of the present opening.
    pub first_attempt: u32,
    /// Where it stands.
    pub stage: Stage,
    /// The accepted manifest.
    pub inputs: Option<Inputs>,
    /// Log index at which the accepted manifest was logged.
    pub inputs_index: Option<u64>,
    /// Why recorders failed, by recorder, over all attempts of the present opening.
    pub record_failures: BTreeMap<PublicKey, RecordFailure>,
    /// Who rejected the manifest.
    pub rejections: BTreeSet<PublicKey>,
    /// Who thinks that the present stage takes too long.
    pub timeouts: BTreeSet<PublicKey>,
    /// Timely commitments.
    pub commitments: BTreeMap<PublicKey, Sha256>,
    /// Results shown.
    pub attestations: BTreeMap<PublicKey, AttestationRecord>,
    /// Evidence, by authority; the latest. Whoever is in here for the present attempt has no vote in it.
    pub equivocations: BTreeMap<PublicKey, Equivocation>,
}

impl Round {
    pub(crate) fn open(
        key: RoundKey,
        request: BuildRequest,
        index: u64,
        admitted_by: PublicKey,
        committee: Arc<Committee>,
        natives: Natives,
        attempt: u32,
    ) -> Self {
        Self {
            key,
            request,
            index,
            admitted_by,
            committee,
            natives,
            attempt,
            first_attempt: attempt,
            stage: Stage::Recording,
            inputs: None,
            inputs_index: None,
            record_failures: BTreeMap::new(),
            rejections: BTreeSet::new(),
            timeouts: BTreeSet::new(),
            commitments: BTreeMap::new(),
            attestations: BTreeMap::new(),
            equivocations: BTreeMap::new(),
        }
    }

    /// Whose turn it is to record: `committee[(index + attempt) mod N]`.
    pub fn recorder(&self) -> PublicKey {
        let size = self.committee.size() as u64;
        let turn = (self.index % size + u64::from(self.attempt) % size) % size;
        self.committee.authorities[turn as usize].authority_key
    }

    /// Members that can still show a result: neither shown nor caught equivocating.
    pub fn outstanding(&self) -> impl Iterator<Item = PublicKey> + '_ {
        self.committee
            .authorities
            .iter()
            .map(|authority| authority.authority_key)
            .filter(|key| !self.attestations.contains_key(key) && !self.has_equivocated(key))
    }

    /// Whether there is evidence against this authority in the present attempt.
    pub fn has_equivocated(&self, key: &PublicKey) -> bool {
        self.equivocations.get(key).is_some_and(|evidence| evidence.attempt == self.attempt)
    }

    /// Starts the next attempt, or abandons the round after the last one.
    pub(crate) fn next_attempt(&mut self, max_attempts: u32) {
        // Every member gets its turn to record, however small the constant is.
        let max_attempts = max_attempts.max(self.committee.size() as u32);
        let attempt = self.attempt.saturating_add(1);
        if attempt - self.first_attempt >= max_attempts {
            self.stage = Stage::Closed(RoundState::Abandoned);
            return;
        }
        self.attempt = attempt;
        self.enter(Stage::Recording);
        self.inputs = None;
        self.inputs_index = None;
        self.rejections.clear();
        self.commitments.clear();
        self.attestations.clear();
    }

    /// Enters a stage: clocks start anew.
    pub(crate) fn enter(&mut self, stage: Stage) {
        self.stage = stage;
        self.timeouts.clear();
    }

    /// Starts again under a new committee. Does not use up an attempt of the opening.
    pub(crate) fn restart(&mut self, committee: Arc<Committee>) {
        self.committee = committee;
        self.first_attempt = self.attempt.saturating_add(1);
        self.record_failures.clear();
        self.next_attempt(u32::MAX);
    }
}
