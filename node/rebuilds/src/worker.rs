//! The loop of an authority that rebuilds: watches the ledger, does what [`decide`] says, says what the steps found.
//!
//! Thin on purpose: what to do is decided in `decide.rs`, how is in `steps.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use pyrsia_ledger::{
    Attestation, Commitment, EntryBody, PublicKey, Round, RoundKey, RoundStage, Stage, Timeout, commitment_hash,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::decide::{Action, Local, decide, is_idle, owes_result};
use crate::entries::NotSaid;
use crate::patience::Patience;
use crate::result::entry_text;
use crate::steps::{RECORDED, REJECTED, StepError, Steps};
use crate::story::Told;
use crate::watcher::tell;

/// How often clocks are looked at when nothing else happens.
const TICK: Duration = Duration::from_secs(1);

/// Rebuilds for an authority.
pub struct Worker {
    steps: Arc<Steps>,
    me: PublicKey,
    patience: Patience,
    parallel: usize,
    clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    /// Open rounds, and decided ones in which this authority still has something to show.
    rounds: BTreeMap<RoundKey, Followed>,
}

/// A round that is followed.
#[derive(Default)]
struct Followed {
    local: Local,
    told: Option<Told>,
    /// Ends the running task.
    stop: CancellationToken,
}

/// A task's end.
struct Finished {
    round: RoundKey,
    attempt: u32,
    action: Action,
    /// None: it was stopped, since the round has gone on without it.
    result: Option<Result<(), StepError>>,
}

/// What tasks need from the loop.
struct Loop {
    done: mpsc::Sender<Finished>,
    tasks: TaskTracker,
    cancel: CancellationToken,
}

impl Worker {
    /// A worker that runs at most `parallel` builds at a time; `clock` gives Unix seconds.
    pub fn new(
        steps: Arc<Steps>,
        patience: Patience,
        parallel: usize,
        clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    ) -> Self {
        let me = steps.entries.me();
        Self { steps, me, patience, parallel: parallel.max(1), clock, rounds: BTreeMap::new() }
    }

    /// Runs until it is cancelled. Running builds are dropped then, which ends their containers.
    pub async fn run(mut self, cancel: CancellationToken) {
        let (done, mut finished) = mpsc::channel::<Finished>(64);
        let mut changes = self.steps.entries.changes();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let context = Loop { done, tasks: TaskTracker::new(), cancel };
        self.owed();
        loop {
            self.look(&context);
            tokio::select! {
                () = context.cancel.cancelled() => break,
                Some(end) = finished.recv() => self.finish(end),
                changed = changes.changed() => if changed.is_err() { break },
                _ = tick.tick() => {}
            }
        }
        context.tasks.close();
        context.tasks.wait().await;
    }

    /// After a start: rounds that were decided before this authority had shown what it committed to.
    fn owed(&mut self) {
        let state = self.steps.entries.state();
        let owed = state.rounds().filter(|round| {
            !round.stage.is_open()
                && round.commitments.contains_key(&self.me)
                && !round.attestations.contains_key(&self.me)
        });
        for round in owed {
            self.rounds.insert(round.key, Followed { told: Some(Told::of(round)), ..Followed::default() });
        }
    }

    fn look(&mut self, context: &Loop) {
        let now = (self.clock)();
        let state = self.steps.entries.state();
        let mut running = self.rounds.values().filter(|followed| followed.local.running.is_some()).count();
        // A round may have come and gone between two looks.
        for key in self.steps.board.unfinished() {
            if let Some(round) = state.round(&key).filter(|round| !round.stage.is_open())
                && !self.rounds.contains_key(&key)
            {
                self.steps.board.close_round(&state, round);
            }
        }
        let mut keys: BTreeSet<RoundKey> = state.open_rounds().map(|round| round.key).collect();
        keys.extend(self.rounds.keys());
        for key in keys {
            let mut followed = self.rounds.remove(&key).unwrap_or_default();
            let Some(round) = state.round(&key) else { continue };
            tell(&self.steps.board, &state, round, &mut followed.told);
            let Followed { local, stop, .. } = &mut followed;
            local.follow(round, now);
            self.remember(round, local);
            if local.running.is_some_and(|attempt| is_idle(round, attempt)) {
                stop.cancel();
            }
            let action = decide(round, &self.me, local, now, &self.patience);
            if let Some(action) = action {
                let heavy = matches!(action, Action::Record | Action::Replay);
                if !heavy || running < self.parallel {
                    running += usize::from(heavy);
                    match action {
                        Action::Timeout(_) => local.timing_out = true,
                        _ => {
                            local.running = Some(round.attempt);
                            *stop = context.cancel.child_token();
                        }
                    }
                    self.spawn(context, action, Arc::new(round.clone()), &followed);
                }
            }
            let owes = owes_result(round, &self.me, &followed.local) && followed.local.tries < self.patience.tries;
            if round.stage.is_open() || followed.local.running.is_some() || owes {
                self.rounds.insert(key, followed);
            } else {
                let (steps, round) = (Arc::clone(&self.steps), round.clone());
                context.tasks.spawn(async move { steps.forget(&round).await });
            }
        }
    }

    /// What is on disk decides over what was in memory: a restart goes on where the last process stopped.
    fn remember(&self, round: &Round, local: &mut Local) {
        let entries = &self.steps.entries;
        let known = |slot: &str| matches!(entries.saying(slot, &round.key, round.attempt), Ok(Some(_)));
        local.recorded = local.recorded || (round.stage == Stage::Recording && known(RECORDED));
        local.rejected = local.rejected || known(REJECTED);
        local.result = local.result || matches!(entries.result(&round.key, round.attempt), Ok(Some(_)));
    }

    fn spawn(&self, context: &Loop, action: Action, round: Arc<Round>, followed: &Followed) {
        let (steps, trouble) = (Arc::clone(&self.steps), followed.local.trouble.clone());
        let (done, cancel) = (context.done.clone(), context.cancel.clone());
        let stop = match action {
            Action::Timeout(_) => cancel.clone(),
            _ => followed.stop.clone(),
        };
        context.tasks.spawn(async move {
            let acting = {
                let round = Arc::clone(&round);
                tokio::spawn(async move { act(&steps, action, &round, &trouble).await })
            };
            let result = tokio::select! {
                () = stop.cancelled() => None,
                // A step that panics must not keep its place: it has come to nothing, like any other.
                result = AbortOnDropHandle::new(acting) => {
                    Some(result.unwrap_or_else(|error| Err(StepError::Again(format!("a step broke: {error}")))))
                }
            };
            if cancel.is_cancelled() {
                return;
            }
            // The receiver lives as long as the loop, which ends only when this process ends.
            let _ = done.send(Finished { round: round.key, attempt: round.attempt, action, result }).await;
        });
    }

    fn finish(&mut self, end: Finished) {
        let now = (self.clock)();
        let patience = self.patience;
        let Some(Followed { local, .. }) = self.rounds.get_mut(&end.round) else { return };
        match end.action {
            // It says nothing about the other work of the stage, neither when it is said nor when it comes too late.
            Action::Timeout(_) => {
                local.timing_out = false;
                return;
            }
            _ if local.running == Some(end.attempt) => local.running = None,
            _ => {}
        }
        let (Some(result), true) = (end.result, local.attempt == end.attempt) else { return };
        let alone = self.steps.entries.state().round(&end.round).is_some_and(|round| round.committee.size() == 1);
        let text = match result {
            Ok(()) => {
                local.worked();
                return;
            }
            // Nobody brings anything to a committee of one, and nobody should wait for a recorder that waits.
            Err(StepError::Again(text) | StepError::Later(text)) if alone || end.action == Action::Record => {
                local.failed_try(now, &patience, &text);
                format!("try {} of {} failed: {text}", local.tries, patience.tries)
            }
            Err(StepError::Again(text)) => {
                local.failed_try(now, &patience, &text);
                match local.tries >= patience.tries {
                    true => format!("try {} failed, this authority abstains: {text}", local.tries),
                    false => format!("try {} of {} failed: {text}", local.tries, patience.tries),
                }
            }
            Err(StepError::Later(text)) => {
                local.wait(now, &patience, &text);
                format!("waiting: {text}")
            }
            Err(StepError::Abstain(text)) => {
                local.tries = patience.tries;
                local.trouble.clone_from(&text);
                format!("this authority abstains: {text}")
            }
        };
        tracing::warn!(round = %end.round, action = ?end.action, %text, "a step of a round came to nothing");
        let id = self.steps.board.of_round(&end.round, &[]);
        self.steps.board.event(&id, "log", &entry_text(&text));
    }
}

async fn act(steps: &Steps, action: Action, round: &Round, trouble: &str) -> Result<(), StepError> {
    let id = steps.board.of_round(&round.key, &round.request.coordinates);
    let entries = &steps.entries;
    let body = match action {
        Action::Record => return steps.record(&id, round).await,
        Action::Replay => return steps.replay(&id, round).await,
        Action::GiveUp => return steps.give_up(round, trouble),
        Action::SayRecorded => said(entries.saying(RECORDED, &round.key, round.attempt))?,
        Action::SayRejected => said(entries.saying(REJECTED, &round.key, round.attempt))?,
        Action::Commit => {
            let (salt, result) = said(entries.result(&round.key, round.attempt))?;
            steps.holds(round, &result).await?;
            let me = entries.me();
            let hash = commitment_hash(entries.network(), &round.key, round.attempt, &me, &salt, &result);
            EntryBody::Commitment(Commitment { round: round.key, attempt: round.attempt, hash })
        }
        Action::Reveal => {
            let (salt, result) = said(entries.result(&round.key, round.attempt))?;
            EntryBody::Attestation(Attestation { round: round.key, attempt: round.attempt, salt, result })
        }
        Action::Timeout(stage) => {
            steps.board.event(&id, "log", &format!("this authority gives up waiting ({})", stage_name(stage)));
            EntryBody::Timeout(Timeout { round: round.key, attempt: round.attempt, stage })
        }
    };
    entries.say(body).await.map_err(|error| match error {
        NotSaid::Refused(text) => StepError::Again(text),
        // Saying is no work that can fail: it is said until the round has gone on.
        NotSaid::Unsettled(text) => StepError::Later(text),
    })?;
    if round.stage.is_open() && !matches!(action, Action::Timeout(_)) {
        steps.board.stage(&id, "waiting");
    }
    Ok(())
}

fn said<T>(kept: Result<Option<T>, String>) -> Result<T, StepError> {
    kept.map_err(StepError::Again)?.ok_or_else(|| StepError::Again("what was to be said is not on disk".to_owned()))
}

const fn stage_name(stage: RoundStage) -> &'static str {
    match stage {
        RoundStage::Record => "record",
        RoundStage::Commit => "commit",
        RoundStage::Reveal => "reveal",
    }
}
