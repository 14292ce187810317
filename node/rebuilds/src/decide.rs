//! What this authority should do next about one round: a function of the ledger, of what it has done, and of a clock
//! that it is given.

use pyrsia_ledger::{PublicKey, Round, RoundStage, RoundState, Stage};

use crate::patience::Patience;

/// What this authority remembers about one attempt of one round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Local {
    /// The attempt.
    pub attempt: u32,
    /// The stage that was last seen, and when it was first seen (Unix seconds).
    pub entered: Option<(Stage, u64)>,
    /// Since when a quorum has committed in the present stage.
    pub quorum_since: Option<u64>,
    /// A task is at work on this round, for this attempt.
    pub running: Option<u32>,
    /// A timeout of the present stage is on its way into the ledger.
    pub timing_out: bool,
    /// What the recorder has to say (`inputs` or `inputs-failed`) is on disk.
    pub recorded: bool,
    /// The manifest was contradicted by this authority's own sources; the rejection is on disk.
    pub rejected: bool,
    /// Result and salt are on disk.
    pub result: bool,
    /// Failed tries of the present step.
    pub tries: u32,
    /// How often the present step found that others have to bring something first.
    pub waits: u32,
    /// No next try before this time.
    pub not_before: u64,
    /// What the last failed try said.
    pub trouble: String,
}

impl Local {
    /// Follows the ledger to another attempt or stage.
    pub fn follow(&mut self, round: &Round, now: u64) {
        if self.attempt != round.attempt {
            *self = Self { attempt: round.attempt, running: self.running, ..Self::default() };
        }
        if self.entered.is_none_or(|(stage, _)| stage != round.stage) {
            self.entered = Some((round.stage, now));
            self.tries = 0;
            self.waits = 0;
            self.not_before = 0;
            self.timing_out = false;
            self.quorum_since = None;
        }
        if round.stage == Stage::Committing && round.commitments.len() >= round.committee.quorum() {
            self.quorum_since.get_or_insert(now);
        }
    }

    /// Notes that a step worked: the next one has all its tries.
    pub fn worked(&mut self) {
        self.tries = 0;
        self.waits = 0;
        self.not_before = 0;
        self.trouble.clear();
    }

    /// Notes a failed try.
    pub fn failed_try(&mut self, now: u64, patience: &Patience, trouble: &str) {
        self.not_before = now.saturating_add(patience.pause(self.tries));
        self.tries = self.tries.saturating_add(1);
        trouble.clone_into(&mut self.trouble);
    }

    /// Notes that others have to bring something first: no try is used up.
    pub fn wait(&mut self, now: u64, patience: &Patience, trouble: &str) {
        self.not_before = now.saturating_add(patience.wait(self.waits));
        self.waits = self.waits.saturating_add(1);
        trouble.clone_into(&mut self.trouble);
    }
}

/// Something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Record the inputs and replay them.
    Record,
    /// End the own turn to record, since all tries have failed: the next recorder need not wait for a clock.
    GiveUp,
    /// Say what the record gave (again, if it was said before and did not arrive).
    SayRecorded,
    /// Check the manifest against own sources and replay.
    Replay,
    /// Say that the manifest is contradicted.
    SayRejected,
    /// Commit to the result that is on disk.
    Commit,
    /// Show it.
    Reveal,
    /// Say that a stage takes too long.
    Timeout(RoundStage),
}

/// Whether a result that is on disk is still to be shown though the round is decided: **no dissent is lost** because
/// others were faster.
pub fn owes_result(round: &Round, me: &PublicKey, local: &Local) -> bool {
    matches!(round.stage, Stage::Closed(RoundState::Decided(_)))
        && round.inputs.is_some()
        && round.committee.contains(me)
        && !round.attestations.contains_key(me)
        && !round.has_equivocated(me)
        && local.result
}

/// Whether a task that was started in `attempt` has become idle: the round has gone on without it, or ended in a way that
/// takes no more results.
pub fn is_idle(round: &Round, attempt: u32) -> bool {
    let takes_results = round.stage.is_open() || matches!(round.stage, Stage::Closed(RoundState::Decided(_)));
    round.attempt != attempt || !takes_results
}

/// The next thing to do, if there is one.
pub fn decide(round: &Round, me: &PublicKey, local: &Local, now: u64, patience: &Patience) -> Option<Action> {
    if !round.committee.contains(me) {
        return None;
    }
    let may_try = local.tries < patience.tries && now >= local.not_before;
    if !round.stage.is_open() {
        let show = may_try && local.running.is_none() && owes_result(round, me, local);
        return show.then_some(Action::Reveal);
    }
    let timeout = || {
        let stage = round.stage.timeout_stage()?;
        let limit = match stage {
            RoundStage::Record => patience.record_s,
            RoundStage::Commit => patience.commit_s,
            RoundStage::Reveal => patience.reveal_s,
        };
        let (_, since) = local.entered?;
        // Nobody else can go on for a committee of one: it waits for its own work as long as that runs (the builder has
        // limits of its own) or waits for its turn, and gives up when its tries are used up.
        let over = match round.committee.size() {
            1 => local.running.is_none() && local.tries >= patience.tries,
            _ => {
                let stragglers =
                    local.quorum_since.is_some_and(|since| now.saturating_sub(since) >= patience.straggler_s);
                now.saturating_sub(since) >= limit || stragglers
            }
        };
        (over && !local.timing_out && !round.timeouts.contains(me)).then_some(Action::Timeout(stage))
    };
    if local.running.is_some() {
        return timeout();
    }
    let work = match round.stage {
        Stage::Recording if round.recorder() != *me => None,
        Stage::Recording if local.recorded => may_try.then_some(Action::SayRecorded),
        Stage::Recording if local.tries >= patience.tries => Some(Action::GiveUp),
        Stage::Recording => may_try.then_some(Action::Record),
        Stage::Committing if round.commitments.contains_key(me) || round.rejections.contains(me) => None,
        Stage::Committing if local.result => may_try.then_some(Action::Commit),
        Stage::Committing if local.rejected => may_try.then_some(Action::SayRejected),
        Stage::Committing => may_try.then_some(Action::Replay),
        Stage::Revealing if round.attestations.contains_key(me) || round.has_equivocated(me) => None,
        Stage::Revealing if local.result => may_try.then_some(Action::Reveal),
        // A late result still counts once enough timely ones equal it.
        Stage::Revealing if local.rejected => None,
        Stage::Revealing => may_try.then_some(Action::Replay),
        Stage::Closed(_) => None,
    };
    work.or_else(timeout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pyrsia_digest::Sha256;
    use pyrsia_ledger::{
        Authority, AuthorityKey, BuildRequest, ConsensusKey, Constants, EntryBody, Genesis, ImageProposal, Inputs,
        Mode, SignedEntry, State, commitment_hash,
    };

    /// A ledger of `n` authorities with one open round, driven by real entries.
    struct Ledger {
        state: State,
        keys: Vec<AuthorityKey>,
        key: pyrsia_ledger::RoundKey,
    }

    impl Ledger {
        fn of(n: u8) -> Self {
            let keys: Vec<AuthorityKey> = (0..n).map(|seed| AuthorityKey::from_seed(&[seed + 1; 32])).collect();
            let authorities = keys.iter().enumerate().map(|(index, key)| Authority {
                name: format!("a{index}"),
                authority_key: key.public(),
                consensus_key: ConsensusKey::from_seed(&[100 + index as u8; 32]).public(),
            });
            let genesis = Genesis {
                name: "test".to_owned(),
                nonce: [0; 32],
                authorities: authorities.collect(),
                constants: Constants { mirrored_sources_count: true, ..Constants::default() },
            };
            let request = BuildRequest {
                coordinates: vec!["org.acme:lib:1".parse().unwrap()],
                mode: Mode::Upstream,
                repository: "https://git.example/acme/lib".parse().unwrap(),
                tag: None,
                commit: "0123456789012345678901234567890123456789".parse().unwrap(),
                specification: Sha256::of(b"specification"),
                image: Sha256::of(b"image"),
                profile: Sha256::of(b"profile"),
                comparator: 1,
                publisher: None,
                reopening: 0,
            };
            let mut ledger = Self { state: State::new(&genesis).unwrap(), keys, key: request.round_key() };
            for by in 0..usize::from(n) {
                // The proposal holds as soon as a quorum has made it; later ones are refused.
                let _ = ledger.try_say(by, EntryBody::ImageProposal(ImageProposal::allow(Sha256::of(b"image"), "i")));
            }
            ledger.say(0, EntryBody::BuildRequest(request));
            ledger
        }

        fn try_say(&mut self, by: usize, body: EntryBody) -> Result<(), pyrsia_ledger::Refusal> {
            let entry = SignedEntry::sign(body, &self.state.network_id(), &self.keys[by]).unwrap();
            self.state.apply(&entry).map(drop)
        }

        fn say(&mut self, by: usize, body: EntryBody) {
            self.try_say(by, body).unwrap();
        }

        fn round(&self) -> &Round {
            self.state.round(&self.key).unwrap()
        }

        fn index_of(&self, key: &PublicKey) -> usize {
            self.keys.iter().position(|known| known.public() == *key).unwrap()
        }

        fn decide(&self, by: usize, local: &Local, now: u64) -> Option<Action> {
            let mut local = local.clone();
            local.follow(self.round(), 0);
            decide(self.round(), &self.keys[by].public(), &local, now, &Patience::default())
        }

        fn record(&mut self) {
            let by = self.index_of(&self.round().recorder());
            let inputs = Inputs {
                round: self.key,
                attempt: self.round().attempt,
                manifest_root: Sha256::of(b"root"),
                manifest: Sha256::of(b"manifest"),
                lines: 1,
                total_bytes: 1,
            };
            self.say(by, EntryBody::Inputs(inputs));
        }

        fn commit(&mut self, by: usize) {
            let result = Self::result(by);
            let me = self.keys[by].public();
            let attempt = self.round().attempt;
            let hash = commitment_hash(&self.state.network_id(), &self.key, attempt, &me, &[7; 32], &result);
            let commitment = pyrsia_ledger::Commitment { round: self.key, attempt, hash };
            self.say(by, EntryBody::Commitment(commitment));
        }

        fn reveal(&mut self, by: usize) {
            let attempt = self.round().attempt;
            let attestation =
                pyrsia_ledger::Attestation { round: self.key, attempt, salt: [7; 32], result: Self::result(by) };
            self.say(by, EntryBody::Attestation(attestation));
        }

        /// Authority 3 found something else than the others.
        fn result(by: usize) -> pyrsia_ledger::RoundResult {
            use pyrsia_ledger::{BuiltResult, FileResult, Outcome, RoundResult};
            let digest = Sha256::of(if by == 3 { b"other" } else { b"bytes" });
            let file = |name: &str| FileResult {
                coordinates: "org.acme:lib:1".parse().unwrap(),
                name: name.to_owned(),
                reference: Some(Sha256::of(b"bytes")),
                outcome: if by == 3 { Outcome::Different } else { Outcome::Identical },
                digest: Some(digest),
                normalised: None,
                normalisers: vec![],
            };
            RoundResult::Built(BuiltResult {
                files: vec![file("lib-1.jar"), file("lib-1.pom")],
                outputs_root: Sha256::of(b"outputs"),
                source_tree: Sha256::of(b"tree"),
                canonical_scm: Some("https://git.example/acme/lib".parse().unwrap()),
                pom_chain: vec![],
                byproducts: None,
                provenance: None,
                mirrored_source: false,
            })
        }
    }

    #[test]
    fn only_the_recorder_records_and_says_it_again_after_a_restart() {
        let ledger = Ledger::of(4);
        let recorder = ledger.index_of(&ledger.round().recorder());
        for by in 0..4 {
            let expected = (by == recorder).then_some(Action::Record);
            assert_eq!(ledger.decide(by, &Local::default(), 1), expected, "authority {by}");
        }
        let recorded = Local { recorded: true, ..Local::default() };
        assert_eq!(ledger.decide(recorder, &recorded, 1), Some(Action::SayRecorded));
    }

    #[test]
    fn a_silent_recorder_is_timed_out_by_the_others() {
        let ledger = Ledger::of(4);
        let recorder = ledger.index_of(&ledger.round().recorder());
        let other = (recorder + 1) % 4;
        let late = Patience::default().record_s;
        assert_eq!(ledger.decide(other, &Local::default(), late - 1), None);
        assert_eq!(ledger.decide(other, &Local::default(), late), Some(Action::Timeout(RoundStage::Record)));
    }

    #[test]
    fn replay_then_commit_then_wait_then_reveal() {
        let mut ledger = Ledger::of(4);
        ledger.record();
        assert_eq!(ledger.round().stage, Stage::Committing);
        let result = Local { result: true, ..Local::default() };
        assert_eq!(ledger.decide(1, &Local::default(), 1), Some(Action::Replay));
        assert_eq!(ledger.decide(1, &result, 1), Some(Action::Commit));
        ledger.commit(1);
        // **Nothing is shown before all commitments are final.**
        assert_eq!(ledger.decide(1, &result, 1), None);
        for by in [0, 2, 3] {
            ledger.commit(by);
        }
        assert_eq!(ledger.round().stage, Stage::Revealing);
        assert_eq!(ledger.decide(1, &result, 1), Some(Action::Reveal));
        assert_eq!(ledger.decide(1, &Local { rejected: true, ..Local::default() }, 1), None);
    }

    #[test]
    fn stragglers_are_not_waited_for_as_long_as_all_are() {
        let mut ledger = Ledger::of(4);
        ledger.record();
        let patience = Patience::default();
        let mut local = Local { result: true, ..Local::default() };
        ledger.commit(0);
        ledger.commit(1);
        local.follow(ledger.round(), 100);
        assert_eq!(local.quorum_since, None);
        ledger.commit(2);
        local.follow(ledger.round(), 200);
        local.follow(ledger.round(), 300);
        let next = |now| decide(ledger.round(), &ledger.keys[0].public(), &local, now, &patience);
        assert_eq!(next(200 + patience.straggler_s - 1), None);
        assert_eq!(next(200 + patience.straggler_s), Some(Action::Timeout(RoundStage::Commit)));
    }

    #[test]
    fn a_result_that_comes_after_the_verdict_is_shown_all_the_same() {
        let mut ledger = Ledger::of(4);
        ledger.record();
        (0..4).for_each(|by| ledger.commit(by));
        (0..3).for_each(|by| ledger.reveal(by));
        assert!(!ledger.round().stage.is_open());
        let result = Local { result: true, ..Local::default() };
        assert_eq!(ledger.decide(3, &result, 1), Some(Action::Reveal));
        assert_eq!(ledger.decide(3, &Local::default(), 1), None, "nothing is built for a round that is over");
        assert_eq!(ledger.decide(0, &result, 1), None);
        assert!(!is_idle(ledger.round(), 0), "a replay under way may end");
        ledger.reveal(3);
        assert_eq!(ledger.decide(3, &result, 1), None);
    }

    #[test]
    fn a_recorder_without_an_engine_gives_its_turn_away() {
        let ledger = Ledger::of(4);
        let recorder = ledger.index_of(&ledger.round().recorder());
        let patience = Patience::default();
        let mut local = Local::default();
        local.follow(ledger.round(), 0);
        let next = |local: &Local| decide(ledger.round(), &ledger.keys[recorder].public(), local, 500, &patience);
        for _ in 0..patience.tries {
            assert_eq!(next(&local), Some(Action::Record));
            local.failed_try(1, &patience, "no engine");
        }
        assert_eq!(next(&local), Some(Action::GiveUp));
        assert_eq!(local.trouble, "no engine");
        local.worked();
        local.recorded = true;
        assert_eq!(next(&local), Some(Action::SayRecorded));
    }

    #[test]
    fn waiting_for_others_uses_no_try_up() {
        let mut ledger = Ledger::of(4);
        ledger.record();
        let patience = Patience::default();
        let mut local = Local::default();
        local.follow(ledger.round(), 0);
        for _ in 0..20 {
            local.wait(10, &patience, "the manifest is at no peer");
        }
        let next = |now| decide(ledger.round(), &ledger.keys[1].public(), &local, now, &patience);
        assert_eq!(next(10 + patience.wait(19) - 1), None);
        assert_eq!(next(10 + patience.wait(19)), Some(Action::Replay));
        // It waits until its clock says that the stage takes too long; a task under way does not keep the clock.
        assert_eq!(next(10 + patience.commit_s), Some(Action::Replay));
        let waiting = Local { running: Some(0), ..local.clone() };
        let next = decide(ledger.round(), &ledger.keys[1].public(), &waiting, patience.commit_s, &patience);
        assert_eq!(next, Some(Action::Timeout(RoundStage::Commit)));
    }

    #[test]
    fn a_rejection_is_said_instead_of_a_commitment() {
        let mut ledger = Ledger::of(4);
        ledger.record();
        let rejected = Local { rejected: true, ..Local::default() };
        assert_eq!(ledger.decide(1, &rejected, 1), Some(Action::SayRejected));
    }

    #[test]
    fn a_running_task_is_not_started_twice_and_failed_tries_pause() {
        let mut ledger = Ledger::of(1);
        let running = Local { running: Some(0), ..Local::default() };
        assert_eq!(ledger.decide(0, &running, 1), None);
        ledger.record();
        let patience = Patience::default();
        let mut local = Local::default();
        local.follow(ledger.round(), 0);
        local.failed_try(10, &patience, "no engine");
        let next = |local: &Local, now| decide(ledger.round(), &ledger.keys[0].public(), local, now, &patience);
        assert_eq!(next(&local, 10), None);
        assert_eq!(next(&local, 10 + patience.retry_s), Some(Action::Replay));
        for _ in 1..patience.tries {
            local.failed_try(20, &patience, "no engine");
        }
        // Nobody else can go on for a committee of one, so it ends its own round instead of waiting for its clock.
        assert_eq!(next(&local, 21), Some(Action::Timeout(RoundStage::Commit)));
    }

    #[test]
    fn another_attempt_forgets_what_was_done_in_the_one_before() {
        let mut ledger = Ledger::of(4);
        ledger.record();
        let mut local = Local { result: true, tries: 2, running: Some(0), ..Local::default() };
        assert!(!is_idle(ledger.round(), 0));
        local.follow(ledger.round(), 5);
        assert!(local.result);
        for by in 0..3 {
            let timeout = pyrsia_ledger::Timeout {
                round: ledger.key,
                attempt: ledger.round().attempt,
                stage: RoundStage::Commit,
            };
            ledger.say(by, EntryBody::Timeout(timeout));
        }
        assert_eq!(ledger.round().attempt, 1);
        assert!(is_idle(ledger.round(), 0), "what was begun for the attempt before is of no use");
        local.follow(ledger.round(), 9);
        let expected = Local { attempt: 1, running: Some(0), entered: Some((Stage::Recording, 9)), ..Local::default() };
        assert_eq!(local, expected);
    }
}
