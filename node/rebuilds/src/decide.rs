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
    /// A task is at work on this round.
    pub running: bool,
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
        // An authority that has given up says so at once where nobody else can go on for it.
        let gave_up = local.tries >= patience.tries && round.committee.size() == 1;
        let late = now.saturating_sub(since) >= limit;
        ((late || gave_up) && !round.timeouts.contains(me)).then_some(Action::Timeout(stage))
    };
    if local.running {
        return timeout();
    }
    let may_try = local.tries < patience.tries && now >= local.not_before;
    let work = match round.stage {
        Stage::Recording if round.recorder() != *me => None,
        Stage::Recording if local.recorded => Some(Action::SayRecorded),
        Stage::Recording => may_try.then_some(Action::Record),
        Stage::Committing if round.commitments.contains_key(me) || round.rejections.contains(me) => None,
        Stage::Committing if local.result => Some(Action::Commit),
        Stage::Committing if local.rejected => Some(Action::SayRejected),
        Stage::Committing => may_try.then_some(Action::Replay),
        Stage::Revealing if round.attestations.contains_key(me) || round.equivocations.contains_key(me) => None,
        Stage::Revealing if local.result => Some(Action::Reveal),
        // A late result still counts once enough timely ones equal it.
        Stage::Revealing if local.rejected => None,
        Stage::Revealing => may_try.then_some(Action::Replay),
        Stage::Closed(_) => None,
    };
    work.or_else(timeout)
}
