//! Entries of a round. Each works on a copy of the round and stores it at the end, so a refusal changes nothing.

use std::sync::Arc;

use super::{Natives, Refusal, State};
use crate::{
    Attestation, AttestationRecord, BuildRequest, Commitment, Equivocation, Inputs, InputsFailed, InputsRejected, Leaf,
    Mode, Outcome, PublicKey, RecordFailure, Round, RoundKey, RoundResult, RoundState, Stage, Timeout, commitment_hash,
};

impl State {
    fn round_at(&self, key: &RoundKey, attempt: u32) -> Result<Round, Refusal> {
        let round = self.round(key).ok_or(Refusal::UnknownRound { round: *key })?;
        if round.attempt != attempt {
            return Err(Refusal::Attempt { named: attempt, present: round.attempt });
        }
        Ok(round.clone())
    }

    fn round_in(&self, key: &RoundKey, attempt: u32, stage: Stage) -> Result<Round, Refusal> {
        let round = self.round_at(key, attempt)?;
        if round.stage == stage { Ok(round) } else { Err(Refusal::Stage) }
    }

    pub(super) fn put_round(&mut self, mut round: Round) {
        let open = Arc::make_mut(&mut self.open);
        if round.stage.is_open() {
            open.insert(round.key);
        } else {
            open.remove(&round.key);
            // Nobody records or checks it any more; what it holds on to can go.
            round.natives = Natives::default();
        }
        Arc::make_mut(&mut self.rounds).insert(round.key, Arc::new(round));
    }

    pub(super) fn apply_inputs(&mut self, signer: PublicKey, inputs: &Inputs) -> Result<Vec<Leaf>, Refusal> {
        let mut round = self.recording(signer, &inputs.round, inputs.attempt)?;
        round.inputs = Some(inputs.clone());
        round.inputs_index = Some(self.log_size);
        round.enter(Stage::Committing);
        self.put_round(round);
        Ok(Vec::new())
    }

    pub(super) fn apply_inputs_failed(
        &mut self,
        signer: PublicKey,
        entry: &InputsFailed,
    ) -> Result<Vec<Leaf>, Refusal> {
        let mut round = self.recording(signer, &entry.round, entry.attempt)?;
        round.record_failures.insert(signer, entry.failure.clone());
        if let RecordFailure::Build(failed) = &entry.failure {
            let equal = round.record_failures.values().filter(|failure| match failure {
                RecordFailure::Build(other) => {
                    other.kind == failed.kind
                        && self.source_counts(&round.request, other.canonical_scm.as_ref(), other.mirrored_source)
                }
                _ => false,
            });
            if equal.count() >= round.committee.quorum() {
                return Ok(self.conclude_failed(round));
            }
        }
        round.next_attempt(self.constants.max_attempts);
        self.put_round(round);
        Ok(Vec::new())
    }

    fn recording(&self, signer: PublicKey, key: &RoundKey, attempt: u32) -> Result<Round, Refusal> {
        let round = self.round_in(key, attempt, Stage::Recording)?;
        let recorder = round.recorder();
        if signer == recorder { Ok(round) } else { Err(Refusal::NotRecorder { recorder }) }
    }

    pub(super) fn apply_inputs_rejected(
        &mut self,
        signer: PublicKey,
        entry: &InputsRejected,
    ) -> Result<Vec<Leaf>, Refusal> {
        let mut round = self.round_in(&entry.round, entry.attempt, Stage::Committing)?;
        if !round.rejections.insert(signer) {
            return Err(Refusal::Duplicate);
        }
        if round.rejections.len() > round.committee.faulty() {
            round.next_attempt(self.constants.max_attempts);
        }
        self.put_round(round);
        Ok(Vec::new())
    }

    pub(super) fn apply_commitment(&mut self, signer: PublicKey, entry: &Commitment) -> Result<Vec<Leaf>, Refusal> {
        let mut round = self.round_at(&entry.round, entry.attempt)?;
        match (round.stage, round.commitments.get(&signer).copied()) {
            (Stage::Committing, None) => {
                round.commitments.insert(signer, entry.hash);
            }
            (Stage::Committing | Stage::Revealing, Some(first)) => {
                if first == entry.hash || round.has_equivocated(&signer) {
                    return Err(Refusal::Duplicate);
                }
                let evidence = Equivocation { attempt: round.attempt, first, second: entry.hash, index: self.log_size };
                round.equivocations.insert(signer, evidence);
            }
            _ => return Err(Refusal::Stage),
        }
        if round.stage == Stage::Committing && round.commitments.len() == round.committee.size() {
            self.close_commitments(&mut round);
        }
        Ok(self.proceed(round))
    }

    /// Ends the commitments. Late results count only beside f + 1 timely ones, so with fewer nothing can be decided.
    fn close_commitments(&self, round: &mut Round) {
        let timely = round.commitments.keys().filter(|key| !round.has_equivocated(key)).count();
        if timely > round.committee.faulty() {
            round.enter(Stage::Revealing);
        } else {
            round.next_attempt(self.constants.max_attempts);
        }
    }

    pub(super) fn apply_timeout(&mut self, signer: PublicKey, entry: &Timeout) -> Result<Vec<Leaf>, Refusal> {
        let mut round = self.round_at(&entry.round, entry.attempt)?;
        if round.stage.timeout_stage() != Some(entry.stage) {
            return Err(Refusal::Stage);
        }
        if !round.timeouts.insert(signer) {
            return Err(Refusal::Duplicate);
        }
        if round.timeouts.len() >= round.committee.quorum() {
            match round.stage {
                Stage::Recording => round.next_attempt(self.constants.max_attempts),
                Stage::Committing => self.close_commitments(&mut round),
                // `proceed` counts.
                Stage::Revealing | Stage::Closed(_) => {}
            }
        }
        Ok(self.proceed(round))
    }

    pub(super) fn apply_attestation(&mut self, signer: PublicKey, entry: &Attestation) -> Result<Vec<Leaf>, Refusal> {
        let mut round = self.round_at(&entry.round, entry.attempt)?;
        // A result that comes after an early verdict is put on record, so that no dissent is lost.
        let after_close = matches!(round.stage, Stage::Closed(RoundState::Decided(_))) && round.inputs.is_some();
        if round.stage != Stage::Revealing && !after_close {
            return Err(Refusal::Stage);
        }
        if round.attestations.contains_key(&signer) || round.has_equivocated(&signer) {
            return Err(Refusal::Duplicate);
        }
        fits_request(&round.request, &entry.result)?;
        let late = match round.commitments.get(&signer) {
            None => true,
            Some(committed) => {
                let hash =
                    commitment_hash(&self.network, &round.key, round.attempt, &signer, &entry.salt, &entry.result);
                if hash != *committed {
                    return Err(Refusal::CommitmentMismatch);
                }
                false
            }
        };
        let record =
            AttestationRecord { index: self.log_size, late, after_close, result: Arc::new(entry.result.clone()) };
        round.attestations.insert(signer, record);
        Ok(self.proceed(round))
    }

    /// Stores the round, after counting when it is time to.
    fn proceed(&mut self, round: Round) -> Vec<Leaf> {
        if round.stage == Stage::Revealing {
            return self.conclude(round);
        }
        self.put_round(round);
        Vec::new()
    }
}

/// Checks that a result speaks about the releases of the request and in its mode.
fn fits_request(request: &BuildRequest, result: &RoundResult) -> Result<(), Refusal> {
    let RoundResult::Built(built) = result else {
        return Ok(());
    };
    let native = request.mode == Mode::Native;
    for file in &built.files {
        if !request.coordinates.contains(&file.coordinates) {
            return Err(Refusal::Result { rule: "a file belongs to a release that was not requested" });
        }
        if (file.outcome == Outcome::Native) != native {
            return Err(Refusal::Result { rule: "outcomes are native for a native release, and only for it" });
        }
    }
    for coordinates in &request.coordinates {
        if !built.files.iter().any(|file| file.coordinates == *coordinates) {
            return Err(Refusal::Result { rule: "each requested release has a file" });
        }
    }
    if native && !built.pom_chain.is_empty() {
        return Err(Refusal::Result { rule: "a native release has no upstream POM" });
    }
    Ok(())
}
