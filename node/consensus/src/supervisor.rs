//! Which sessions run, and the way of their batches to the receiver.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pyrsia_replica::OrderedBatch;
use tokio::sync::{mpsc, watch};
use tokio_util::task::TaskTracker;

use crate::backup::{Dir, Opened};
use crate::config::ConsensusConfig;
use crate::core::{Outcome, batch_bytes};
use crate::error::ConsensusError;
use crate::gate::{Finalizer, Gate, Shared};
use crate::journal::Journal;
use crate::keychain::Membership;
use crate::lifecycle::{self, Parts, Running};
use crate::network::{Outlet, SessionNetwork};
use crate::orderer::Resume;
use crate::router::Router;
use crate::session::Cut;
use crate::types::EntryName;
use crate::unit_writer::PAUSE;

/// Own entries that wait longer than this are worth a warning: too few members are up, or this one was excluded because
/// its key was used twice.
const OVERDUE_AFTER: Duration = Duration::from_secs(60);

/// What an orderer is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It takes part.
    Running,
    /// It may have signed units in this session that it no longer has, and must not sign others; or it cannot write its
    /// units. It takes part again by itself when [`crate::ConsensusOrderer::ledger_at`] says that the ledger was caught up
    /// with a later session.
    SittingOut {
        /// Number of the session.
        session: u64,
        /// What is missing.
        reason: String,
    },
    /// It stopped because of a fault, and takes nothing more. Restarting is safe.
    Failed {
        /// What happened.
        reason: String,
    },
}

/// What an orderer is doing, for status pages and alarms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The session that it takes part in.
    pub session: u64,
    /// Batches of that session so far, empty ones included.
    pub batches: u64,
    /// Whether it works.
    pub condition: Condition,
    /// Entries of this member have waited for more than a minute, none of them becoming final.
    pub overdue: bool,
}

pub(crate) struct Supervisor {
    pub(crate) config: ConsensusConfig,
    pub(crate) cut: Cut,
    pub(crate) membership: Membership,
    pub(crate) dir: Arc<Dir>,
    pub(crate) journal: Arc<Mutex<Journal>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) router: Arc<Router>,
    pub(crate) outlet: Arc<Outlet>,
    pub(crate) tracker: TaskTracker,
    pub(crate) batches: mpsc::Sender<OrderedBatch>,
    pub(crate) outcomes: mpsc::UnboundedSender<Outcome>,
    pub(crate) ended: mpsc::UnboundedSender<u64>,
    pub(crate) ledger: watch::Receiver<Resume>,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) running: BTreeMap<u64, Running>,
    /// Sessions that must not be entered.
    pub(crate) lost: BTreeMap<u64, String>,
    pub(crate) disposal: Disposal,
}

impl Supervisor {
    /// Starts the active session. In a network of one, sessions whose backup is lost are left out: what this member
    /// signed there was seen by nobody else, but batches of it may be in the ledger, under numbers that must not come
    /// again with other content. So the next session, which has none, is begun.
    pub(crate) async fn start_active(&mut self) -> Result<(), ConsensusError> {
        loop {
            let session = self.shared.core().active();
            self.ensure_started(session).await?;
            let Some(reason) = self.lost.get(&session).cloned() else {
                self.shared.change(|core| core.sit_out(false));
                self.status.send_if_modified(|status| {
                    let sat_out = matches!(status.condition, Condition::SittingOut { .. });
                    if sat_out {
                        status.condition = Condition::Running;
                    }
                    sat_out
                });
                return Ok(());
            };
            if self.membership.size() > 1 {
                tracing::error!(consensus.session = session, reason, "sitting the consensus session out");
                self.shared.change(|core| core.sit_out(true));
                let condition = Condition::SittingOut { session, reason };
                self.status.send_modify(|status| status.condition = condition);
                return Ok(());
            }
            tracing::warn!(consensus.session = session, reason, "going on with the next consensus session");
            self.shared.change(|core| core.skip_active());
        }
    }

    /// Remembers what was heard of newer sessions while sitting out because a directory was lost: this member may have
    /// been in them too.
    async fn remember_heard(&mut self) -> Result<(), ConsensusError> {
        let (active, heard) = {
            let core = self.shared.core();
            (core.active(), core.newest_heard())
        };
        let Some(heard) = heard.filter(|_| self.dir.not_before() > active) else {
            return Ok(());
        };
        with_room(&self.dir, move |dir| dir.sit_out_until_after(heard)).await
    }

    /// The ledger has batches up to here, by whatever way they came.
    async fn on_ledger(&mut self, resume: Resume) -> Result<(), ConsensusError> {
        let session = resume.session;
        if session <= self.shared.core().active() {
            return Ok(());
        }
        self.remember_heard().await?;
        tracing::info!(consensus.session = session, "the ledger is in a later session: entering it");
        let outcomes = self.outcomes.clone();
        self.shared.change(|core| {
            for outcome in core.jump(session, Instant::now()) {
                // The receiver is this supervisor's own.
                let _ = outcomes.send(outcome);
            }
        });
        for old in self.running.keys().copied().collect::<BTreeSet<_>>() {
            if old < session {
                self.router.close(old);
                self.running.remove(&old);
            }
        }
        self.lost.retain(|lost, _| *lost >= session);
        self.start_active().await?;
        let dir = Arc::clone(&self.dir);
        blocking(move || dir.remove_sessions_before(session)).await?;
        self.publish_progress();
        Ok(())
    }

    async fn ensure_started(&mut self, session: u64) -> Result<(), ConsensusError> {
        if self.running.contains_key(&session) || self.lost.contains_key(&session) {
            return Ok(());
        }
        let opened = with_room(&self.dir, move |dir| dir.open_session(session)).await?;
        let (units, writer) = match opened {
            Opened::Ready { units, writer } => (units, writer),
            Opened::Lost { reason } => {
                self.lost.insert(session, reason);
                return Ok(());
            }
        };
        tracing::info!(consensus.session = session, stored_units = units.len(), "starting a consensus session");
        let shared = Arc::clone(&self.shared);
        let parts = Parts {
            session,
            batches: self.cut.batches,
            units: units.concat(),
            writer,
            gate: Gate { session, shared: Arc::clone(&shared) },
            finalizer: Finalizer { session, shared: Arc::clone(&shared), outcomes: self.outcomes.clone() },
            network: SessionNetwork {
                session,
                outlet: Arc::clone(&self.outlet),
                inbox: self.router.open(session),
                shared,
            },
        };
        let ended = self.ended.clone();
        let running = lifecycle::start(&self.config, &self.membership, parts, &self.tracker, move || {
            // Without a receiver the orderer is being shut down.
            let _ = ended.send(session);
        });
        match running {
            Some(running) => {
                self.running.insert(session, running);
            }
            None => self.fail("AlephBFT refused its configuration".to_owned()),
        }
        Ok(())
    }

    /// Works until a fault.
    pub(crate) async fn run(
        mut self,
        mut outcomes: mpsc::UnboundedReceiver<Outcome>,
        mut ended: mpsc::UnboundedReceiver<u64>,
    ) {
        let mut overdue = tokio::time::interval(OVERDUE_AFTER);
        overdue.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut own_progress = true;
        loop {
            tokio::select! {
                outcome = outcomes.recv() => {
                    let Some(outcome) = outcome else { return };
                    own_progress |= matches!(&outcome, Outcome::Batch { own, .. } if !own.is_empty());
                    if let Err(reason) = self.handle(outcome).await {
                        self.fail(reason);
                    }
                }
                session = ended.recv() => {
                    if let Err(error) = self.on_ended(session.unwrap_or_default()).await {
                        self.fail(chain(&error));
                    }
                }
                Ok(()) = self.ledger.changed() => {
                    let resume = *self.ledger.borrow_and_update();
                    if let Err(error) = self.on_ledger(resume).await {
                        self.fail(chain(&error));
                    }
                }
                () = self.shared.heard.notified() => {
                    if let Err(error) = self.remember_heard().await {
                        self.fail(chain(&error));
                    }
                }
                () = self.shared.short.notified() => {
                    if let Err(error) = self.on_short().await {
                        self.fail(chain(&error));
                    }
                }
                _ = overdue.tick() => {
                    let waiting = self.shared.core().pending();
                    let is_overdue = waiting > 0 && !own_progress;
                    if is_overdue {
                        tracing::warn!(pending = waiting, "entries of this member do not become final");
                    }
                    self.status.send_if_modified(|status| {
                        std::mem::replace(&mut status.overdue, is_overdue) != is_overdue
                    });
                    // Entries that came during this period get a whole one.
                    own_progress = waiting == 0;
                }
            }
            if matches!(self.status.borrow().condition, Condition::Failed { .. }) {
                return;
            }
        }
    }

    async fn handle(&mut self, outcome: Outcome) -> Result<(), String> {
        match outcome {
            Outcome::Batch { batch, own } => {
                let bytes = batch_bytes(&batch);
                self.batches
                    .send(batch)
                    .await
                    .map_err(|_| "nobody receives the ordered batches any more".to_owned())?;
                self.disposal.sent += 1;
                self.shared.change(|core| core.delivered(bytes));
                self.strike_off(own).await;
            }
            Outcome::StartEarly(session) => {
                // The ledger may have overtaken it meanwhile.
                if session >= self.shared.core().active() {
                    self.ensure_started(session).await.map_err(|error| chain(&error))?;
                }
            }
            Outcome::Finished(session) => self.on_finished(session).await.map_err(|error| chain(&error))?,
        }
        self.publish_progress();
        Ok(())
    }

    /// AlephBFT has ended a session by itself. It does so when a unit cannot be written, and when the others have units of
    /// this member that its backup lacks: going on would sign others in their place.
    async fn on_ended(&mut self, session: u64) -> Result<(), ConsensusError> {
        if self.running.remove(&session).is_none() {
            return Ok(());
        }
        self.router.close(session);
        let reason = match self.dir.take_trouble() {
            Some(trouble) => format!("its units cannot be written: {trouble}"),
            None => "the others may have units of this member that its backup lacks".to_owned(),
        };
        if self.membership.size() == 1 {
            self.fail(format!("consensus session {session} ended by itself; {reason}"));
            return Ok(());
        }
        tracing::error!(consensus.session = session, reason, "a consensus session ended by itself");
        if session >= self.shared.core().active() {
            self.lost.insert(session, reason);
            self.start_active().await?;
        }
        Ok(())
    }

    /// The active session's backup ends before the ledger does, in a network of one: the session is left as a lost one.
    async fn on_short(&mut self) -> Result<(), ConsensusError> {
        let session = {
            let core = self.shared.core();
            if !core.is_short() {
                return Ok(());
            }
            core.active()
        };
        self.router.close(session);
        self.running.remove(&session);
        self.lost.insert(session, "its backup ends before the ledger does".to_owned());
        self.start_active().await?;
        self.publish_progress();
        Ok(())
    }

    async fn on_finished(&mut self, session: u64) -> Result<(), ConsensusError> {
        tracing::info!(consensus.session = session, "finished a consensus session");
        // The finished session goes on for the sake of members that lag, until the next one is finished.
        let keep_from = if self.membership.size() == 1 { session + 1 } else { session };
        for old in self.running.keys().copied().collect::<BTreeSet<_>>() {
            if old < keep_from {
                self.router.close(old);
                self.running.remove(&old);
            }
        }
        self.start_active().await?;
        self.disposal.finished.push_back((session, self.disposal.sent));
        if let Some(before) = self.disposal.due(session, self.batches.max_capacity() as u64) {
            let dir = Arc::clone(&self.dir);
            blocking(move || dir.remove_sessions_before(before)).await?;
        }
        Ok(())
    }

    /// Strikes final entries of this member off the journal. Not doing so costs a repetition after a restart.
    async fn strike_off(&self, own: Vec<EntryName>) {
        if own.is_empty() {
            return;
        }
        let journal = Arc::clone(&self.journal);
        let struck =
            tokio::task::spawn_blocking(move || journal.lock().unwrap_or_else(PoisonError::into_inner).remove(&own))
                .await;
        if let Ok(Err(error)) = struck {
            tracing::warn!(error = %error, "could not strike final entries off the journal");
        }
    }

    fn publish_progress(&self) {
        let (session, batches) = {
            let core = self.shared.core();
            (core.active(), core.active_batches())
        };
        self.status.send_modify(|status| {
            status.session = session;
            status.batches = batches;
        });
    }

    fn fail(&mut self, reason: String) {
        tracing::error!(reason, "consensus stopped");
        self.running.clear();
        self.status.send_modify(|status| status.condition = Condition::Failed { reason });
    }
}

/// When backups of finished sessions may go.
///
/// The receiver stores a batch before it takes the next one, and the channel holds `capacity` of them. So once more than
/// `capacity + 1` batches were sent after the end of a session, all of the session's are stored, and a restart will not
/// ask for it.
#[derive(Default)]
pub(crate) struct Disposal {
    sent: u64,
    finished: VecDeque<(u64, u64)>,
}

impl Disposal {
    /// The session before which everything can be removed, now that `last` is finished (and perhaps still running).
    fn due(&mut self, last: u64, capacity: u64) -> Option<u64> {
        let mut before = None;
        while let Some((session, sent_then)) = self.finished.front().copied() {
            if session >= last || self.sent - sent_then <= capacity + 1 {
                break;
            }
            self.finished.pop_front();
            before = Some(session + 1);
        }
        before
    }
}

/// Does something that is safe to repeat, again and again while there is no room on the disk for it: see `backup`.
async fn with_room<T: Send + 'static>(
    dir: &Arc<Dir>,
    work: impl Fn(&Arc<Dir>) -> Result<T, ConsensusError> + Clone + Send + 'static,
) -> Result<T, ConsensusError> {
    let mut waited = false;
    loop {
        let (dir, work) = (Arc::clone(dir), work.clone());
        match blocking(move || work(&dir)).await {
            Err(error) if error.is_disk_full() => {
                if !std::mem::replace(&mut waited, true) {
                    tracing::error!(error = %chain(&error), "consensus waits for room on the disk");
                }
                tokio::time::sleep(PAUSE).await;
            }
            done => {
                if waited {
                    // As loud as what it ends.
                    tracing::warn!("consensus goes on: there is room on the disk");
                }
                return done;
            }
        }
    }
}

/// Runs file operations where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ConsensusError> + Send + 'static,
) -> Result<T, ConsensusError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        // A panic in there is a bug of this crate, and goes on as one; cancellation happens at the end of the runtime.
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => std::future::pending().await,
        },
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backups_go_when_the_receiver_must_have_stored_them() {
        let mut disposal = Disposal::default();
        let mut due = Vec::new();
        for session in 0..5 {
            disposal.sent += 3;
            disposal.finished.push_back((session, disposal.sent));
            due.push(disposal.due(session, 4));
        }
        // Six batches after the end of session 0 are more than 4 + 1.
        assert_eq!(due, vec![None, None, Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn a_session_that_may_still_run_is_kept() {
        let mut disposal = Disposal::default();
        disposal.finished.push_back((0, 0));
        disposal.sent = 100;
        assert_eq!(disposal.due(0, 4), None);
    }
}
