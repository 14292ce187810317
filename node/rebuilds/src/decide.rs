//! What this authority should do next about one round: a function of the ledger, of what it has done, and of a clock
//! that it is given.

use pyrsia_ledger::{PublicKey, Round, RoundStage, Stage};

/// Times and limits, in seconds. An authority's own business: they decide when it gives up, never what counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the recorder to record.
    pub record_s: u64,
    /// For all to commit.
    pub commit_s: u64,
    /// For all to reveal.
    pub reveal_s: u64,
    /// Tries after a fault of the engine or of an upstream, before this authority abstains.
    pub tries: u32,
    /// Pause after the first failed try; doubles with each.
    pub retry_s: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self { record_s: 3600, commit_s: 3600, reveal_s: 300, tries: 3, retry_s: 5 }
    }
}

/// What this authority remembers about one attempt of one round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Local {
    /// The attempt.
    pub attempt: u32,
    /// The stage that was last seen, and when it was first seen (Unix seconds).
    pub entered: Option<(Stage, u64)>,
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
    /// No next try before this time.
    pub not_before: u64,
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
            self.not_before = 0;
            self.timing_out = false;
        }
    }

    /// Notes a failed try.
    pub fn failed_try(&mut self, now: u64, patience: &Patience) {
        let pause = patience.retry_s.saturating_mul(1 << self.tries.min(10));
        self.tries += 1;
        self.not_before = now.saturating_add(pause);
    }
}

/// Something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Record the inputs and replay them.
    Record,
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

/// The next thing to do, if there is one.
pub fn decide(round: &Round, me: &PublicKey, local: &Local, now: u64, patience: &Patience) -> Option<Action> {
    if !round.stage.is_open() || !round.committee.contains(me) {
        return None;
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
            _ => now.saturating_sub(since) >= limit,
        };
        (over && !local.timing_out && !round.timeouts.contains(me)).then_some(Action::Timeout(stage))
    };
    if local.running.is_some() {
        return timeout();
    }
    let may_try = local.tries < patience.tries && now >= local.not_before;
    let work = match round.stage {
        Stage::Recording if round.recorder() != *me => None,
        Stage::Recording if local.recorded => may_try.then_some(Action::SayRecorded),
        Stage::Recording => may_try.then_some(Action::Record),
        Stage::Committing if round.commitments.contains_key(me) || round.rejections.contains(me) => None,
        Stage::Committing if local.result => may_try.then_some(Action::Commit),
        Stage::Committing if local.rejected => may_try.then_some(Action::SayRejected),
        Stage::Committing => may_try.then_some(Action::Replay),
        Stage::Revealing if round.attestations.contains_key(me) || round.equivocations.contains_key(me) => None,
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
            let result = pyrsia_ledger::RoundResult::Void { reason: pyrsia_ledger::VoidReason::InputEqualsOutput };
            let me = self.keys[by].public();
            let attempt = self.round().attempt;
            let hash = commitment_hash(&self.state.network_id(), &self.key, attempt, &me, &[7; 32], &result);
            let commitment = pyrsia_ledger::Commitment { round: self.key, attempt, hash };
            self.say(by, EntryBody::Commitment(commitment));
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
        local.failed_try(10, &patience);
        let next = |local: &Local, now| decide(ledger.round(), &ledger.keys[0].public(), local, now, &patience);
        assert_eq!(next(&local, 10), None);
        assert_eq!(next(&local, 10 + patience.retry_s), Some(Action::Replay));
        for _ in 1..patience.tries {
            local.failed_try(20, &patience);
        }
        // Nobody else can go on for a committee of one, so it ends its own round instead of waiting for its clock.
        assert_eq!(next(&local, 21), Some(Action::Timeout(RoundStage::Commit)));
    }

    #[test]
    fn another_attempt_forgets_what_was_done_in_the_one_before() {
        let mut ledger = Ledger::of(4);
        ledger.record();
        let mut local = Local { result: true, tries: 2, running: Some(0), ..Local::default() };
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
        local.follow(ledger.round(), 9);
        let expected = Local { attempt: 1, running: Some(0), entered: Some((Stage::Recording, 9)), ..Local::default() };
        assert_eq!(local, expected);
    }
}
