//! The loop of an authority that rebuilds: watches the ledger, does what [`decide`] says, says what the steps found.
//!
//! Thin on purpose: what to do is decided in `decide.rs`, how is in `steps.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pyrsia_ledger::{
    Attestation, Commitment, EntryBody, PublicKey, Round, RoundKey, RoundStage, Stage, State, Timeout, commitment_hash,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::decide::{Action, Local, Patience, decide};
use crate::result::entry_text;
use crate::steps::{RECORDED, REJECTED, StepError, Steps};

/// How often clocks are looked at when nothing else happens.
const TICK: Duration = Duration::from_secs(1);

/// Rebuilds for an authority.
pub struct Worker {
    steps: Arc<Steps>,
    me: PublicKey,
    patience: Patience,
    parallel: usize,
    clock: Arc<dyn Fn() -> u64 + Send + Sync>,
    rounds: BTreeMap<RoundKey, Local>,
    announced: BTreeMap<RoundKey, Stage>,
}

/// A task's end.
struct Finished {
    round: RoundKey,
    attempt: u32,
    action: Action,
    result: Result<(), StepError>,
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
        Self {
            steps,
            me,
            patience,
            parallel: parallel.max(1),
            clock,
            rounds: BTreeMap::new(),
            announced: BTreeMap::new(),
        }
    }

    /// Runs until it is cancelled. Running builds are dropped then, which ends their containers.
    pub async fn run(mut self, cancel: CancellationToken) {
        let (done, mut finished) = mpsc::channel::<Finished>(64);
        let mut changes = self.steps.entries.changes();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let tasks = tokio_util::task::TaskTracker::new();
        loop {
            self.look(&done, &tasks, &cancel);
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(end) = finished.recv() => self.finish(end),
                changed = changes.changed() => if changed.is_err() { break },
                _ = tick.tick() => {}
            }
        }
        tasks.close();
        tasks.wait().await;
    }

    fn look(
        &mut self,
        done: &mpsc::Sender<Finished>,
        tasks: &tokio_util::task::TaskTracker,
        cancel: &CancellationToken,
    ) {
        let now = (self.clock)();
        let state = self.steps.entries.state();
        self.announce(&state);
        let mut running = self.rounds.values().filter(|local| local.running.is_some()).count();
        let open: Vec<Arc<Round>> = state.open_rounds().cloned().map(Arc::new).collect();
        self.rounds.retain(|key, local| local.running.is_some() || open.iter().any(|round| round.key == *key));
        for round in open {
            let mut local = self.rounds.remove(&round.key).unwrap_or_default();
            local.follow(&round, now);
            self.remember(&round, &mut local);
            if let Some(action) = decide(&round, &self.me, &local, now, &self.patience) {
                let heavy = matches!(action, Action::Record | Action::Replay);
                if !heavy || running < self.parallel {
                    running += usize::from(heavy);
                    match action {
                        Action::Timeout(_) => local.timing_out = true,
                        _ => local.running = Some(round.attempt),
                    }
                    self.spawn(action, round.clone(), done.clone(), tasks, cancel.clone());
                }
            }
            self.rounds.insert(round.key, local);
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

    fn spawn(
        &self,
        action: Action,
        round: Arc<Round>,
        done: mpsc::Sender<Finished>,
        tasks: &tokio_util::task::TaskTracker,
        cancel: CancellationToken,
    ) {
        let steps = Arc::clone(&self.steps);
        tasks.spawn(async move {
            let end = Finished { round: round.key, attempt: round.attempt, action, result: Ok(()) };
            let result = tokio::select! {
                () = cancel.cancelled() => return,
                result = act(&steps, action, &round) => result,
            };
            // The receiver lives as long as the loop, which ends only when this process ends.
            let _ = done.send(Finished { result, ..end }).await;
        });
    }

    fn finish(&mut self, end: Finished) {
        let now = (self.clock)();
        let Some(local) = self.rounds.get_mut(&end.round) else { return };
        match end.action {
            Action::Timeout(_) => local.timing_out = false,
            _ if local.running == Some(end.attempt) => local.running = None,
            _ => {}
        }
        if local.attempt != end.attempt {
            return;
        }
        let text = match end.result {
            Ok(()) => {
                // An entry that was said and accepted shows in the ledger; one that was not is said again, later.
                local.not_before = now.saturating_add(1);
                return;
            }
            Err(StepError::Again(text)) => {
                local.failed_try(now, &self.patience);
                format!("try {} of {} failed: {text}", local.tries, self.patience.tries)
            }
            Err(StepError::Abstain(text)) => {
                local.tries = self.patience.tries;
                format!("this authority abstains: {text}")
            }
        };
        tracing::warn!(round = %end.round, action = ?end.action, %text, "a step of a round came to nothing");
        let id = self.steps.board.of_round(&end.round, &[]);
        self.steps.board.event(&id, "log", &entry_text(&text));
    }

    /// Tells watchers about rounds that moved.
    fn announce(&mut self, state: &State) {
        let board = &self.steps.board;
        for round in state.rounds() {
            let before = self.announced.insert(round.key, round.stage);
            if before == Some(round.stage) || (before.is_none() && !round.stage.is_open()) {
                continue;
            }
            let id = board.of_round(&round.key, &round.request.coordinates);
            match round.stage {
                Stage::Recording if round.attempt > round.first_attempt => {
                    board.event(&id, "entry", &format!("attempt {} begins", round.attempt));
                }
                Stage::Recording => {}
                Stage::Committing => board.event(&id, "entry", "the input manifest is in the ledger"),
                Stage::Revealing => board.event(&id, "entry", "all commitments are in; results are shown"),
                Stage::Closed(_) => {
                    board.close_round(state, round);
                    let (steps, key) = (Arc::clone(&self.steps), round.key);
                    tokio::spawn(async move { steps.forget(&key).await });
                }
            }
        }
    }
}

async fn act(steps: &Steps, action: Action, round: &Round) -> Result<(), StepError> {
    let id = steps.board.of_round(&round.key, &round.request.coordinates);
    let entries = &steps.entries;
    let body = match action {
        Action::Record => return steps.record(&id, round).await,
        Action::Replay => return steps.replay(&id, round).await,
        Action::SayRecorded => said(entries.saying(RECORDED, &round.key, round.attempt))?,
        Action::SayRejected => said(entries.saying(REJECTED, &round.key, round.attempt))?,
        Action::Commit => {
            let (salt, result) = said(entries.result(&round.key, round.attempt))?;
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
    let kind = body.kind();
    entries.submit(body).await.map_err(StepError::Again)?;
    steps.board.event(&id, "entry", &format!("this authority's {kind} is in the ledger"));
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
