//! The authority's end: builds that wait for workers, and what workers say about them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use build_spec::{BuildError, Input, InputError, InputStatus, RepositoryId, SandboxProfile};
use pyrsia_digest::Sha256;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use crate::leases::{LeaseId, Leases, NoLease, Rules, TaskId, Turn};
use crate::messages::{
    Ask, FileRef, InputQuestion, InputReply, Leased, MAX_IMAGES, MAX_LINES, MAX_NAME, Outcome, PROGRAM, Part, Renewal,
};
use crate::refusal::Refusal;
use crate::run::{Finished, OutputLimits, Run, Said, Upload, Work};

/// How long a worker that asks for work is kept waiting: shorter than whatever stands in between waits for an answer.
const WAIT: Duration = Duration::from_secs(20);
/// How often somebody looks for leases that have run out.
const LOOK: Duration = Duration::from_secs(1);
/// A worker that was heard of so lately is there: it asks again at once when it has waited.
const ATTENDED: Duration = Duration::from_secs(60);
/// How long a build waits while no worker is heard of, as when all of them are being replaced.
const FORGOTTEN: Duration = Duration::from_secs(15 * 60);
/// Workers that may be lost with one build.
const LOSSES: u32 = 3;
/// Builds at a time, waiting ones included.
const MAX_TASKS: usize = 1024;

/// What the operator decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HubConfig {
    /// How long a lease lasts that is not renewed.
    pub lease: Duration,
    /// How long one lasts at most.
    pub longest: Duration,
    /// What one build may bring.
    pub outputs: OutputLimits,
}

struct Waiting {
    work: Arc<Work>,
    done: oneshot::Sender<Result<Finished, BuildError>>,
}

struct Inner {
    leases: Leases,
    waiting: BTreeMap<TaskId, Waiting>,
    runs: BTreeMap<LeaseId, Arc<Run>>,
}

/// Where builds wait for workers. Nothing of it is on disk: what is to be built stands in the ledger, and is submitted again
/// when the authority starts again.
pub struct Hub {
    inner: Mutex<Inner>,
    config: HubConfig,
    profile: Sha256,
    changed: watch::Sender<()>,
    origin: Instant,
}

impl Hub {
    /// A hub without work.
    ///
    /// # Errors
    /// If the operating system gives no random number.
    pub fn new(config: HubConfig) -> std::io::Result<Arc<Self>> {
        let mut epoch = [0u8; 8];
        getrandom::fill(&mut epoch).map_err(|error| std::io::Error::other(error.to_string()))?;
        let rules = Rules {
            lease_ms: millis(config.lease),
            longest_ms: millis(config.longest),
            losses: LOSSES,
            tasks: MAX_TASKS,
            attended_ms: millis(ATTENDED),
        };
        let leases = Leases::new(rules, u64::from_le_bytes(epoch), 0);
        let inner = Inner { leases, waiting: BTreeMap::new(), runs: BTreeMap::new() };
        Ok(Arc::new(Self {
            inner: Mutex::new(inner),
            config,
            profile: SandboxProfile::v1().digest(),
            changed: watch::Sender::new(()),
            origin: Instant::now(),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every use leaves it whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> u64 {
        millis(self.origin.elapsed())
    }

    /// Whether a worker would take a build; the text says what to do.
    pub(crate) fn available(&self) -> Result<(), String> {
        if self.lock().leases.is_attended(self.now()) {
            return Ok(());
        }
        Err("no worker has asked for work lately; start one with `pyrsia-maven worker`".to_owned())
    }

    /// Has a worker build this. Dropping the future takes the build back.
    pub(crate) async fn build(self: &Arc<Self>, work: Work) -> Result<Finished, BuildError> {
        let (done, mut result) = oneshot::channel();
        let work = Arc::new(work);
        work.say("waiting for a worker");
        let queued = self.queue(Arc::clone(&work), done)?;
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                result = &mut result => {
                    return result.unwrap_or_else(|_| Err(BuildError::Engine("the build was dropped".to_owned())));
                }
                _ = tick.tick() => {
                    self.sweep();
                    if self.lock().leases.is_forgotten(queued.task, millis(FORGOTTEN), self.now()) {
                        let minutes = FORGOTTEN.as_secs() / 60;
                        return Err(BuildError::Engine(format!("no worker has asked for work for {minutes} minutes")));
                    }
                }
            }
        }
    }

    fn queue(
        self: &Arc<Self>,
        work: Arc<Work>,
        done: oneshot::Sender<Result<Finished, BuildError>>,
    ) -> Result<Queued, BuildError> {
        let task = {
            let (mut inner, now) = (self.lock(), self.now());
            let turn = match work.order.part {
                Part::Replay => Turn::Early,
                Part::Record => Turn::Usual,
            };
            let submitted = inner.leases.submit(work.order.image, turn, now);
            let task = submitted.map_err(|full| BuildError::Engine(full.to_string()))?;
            inner.waiting.insert(task, Waiting { work, done });
            task
        };
        self.changed.send_replace(());
        Ok(Queued { hub: Arc::clone(self), task })
    }

    /// Gives out again what was lost.
    fn sweep(&self) {
        let mut told = Vec::new();
        {
            let mut inner = self.lock();
            for lost in inner.leases.expire(self.now()) {
                let Some(run) = inner.runs.remove(&lost.lease) else { continue };
                let waiting = if lost.given_up { inner.waiting.remove(&lost.task) } else { None };
                told.push((run, lost, waiting));
            }
        }
        if told.is_empty() {
            return;
        }
        for (run, lost, given_up) in told {
            tracing::warn!(worker = lost.worker, lease = %lost.lease, "a worker was lost");
            let next = if lost.given_up { "with this build no other is tried" } else { "the build is queued again" };
            run.work.say(&format!("worker {} was lost; {next}", lost.worker));
            run.discard();
            if let Some(Waiting { done, .. }) = given_up {
                let _ = done.send(Err(BuildError::Engine(format!("{LOSSES} workers were lost with this build"))));
            }
        }
        self.changed.send_replace(());
    }

    /// Work for a worker, waited for a while. `token`: under which name it has shown its secret.
    ///
    /// # Errors
    /// [`Refusal::OtherProgram`], [`Refusal::Bad`], [`Refusal::TooMuch`].
    pub async fn take(&self, token: &str, ask: &Ask) -> Result<Option<Leased>, Refusal> {
        if ask.program != PROGRAM || ask.profile != self.profile {
            return Err(Refusal::OtherProgram { theirs: ask.program.chars().take(MAX_NAME).collect() });
        }
        if ask.images.len() > MAX_IMAGES {
            return Err(Refusal::TooMuch("images"));
        }
        let worker = worker_name(token, &ask.instance)?;
        let mut changed = self.changed.subscribe();
        let until = Instant::now() + WAIT;
        loop {
            self.sweep();
            if let Some(leased) = self.lease(&worker, ask) {
                return Ok(Some(leased));
            }
            let next = until.min(Instant::now() + LOOK);
            if Instant::now() >= until {
                return Ok(None);
            }
            // The sender lives as long as this hub.
            let _ = tokio::time::timeout_at(next, changed.changed()).await;
        }
    }

    fn lease(&self, worker: &str, ask: &Ask) -> Option<Leased> {
        let (lease, run) = {
            let (mut inner, now) = (self.lock(), self.now());
            let (lease, task) = inner.leases.take(worker, &ask.images, now)?;
            let work = Arc::clone(&inner.waiting.get(&task)?.work);
            let run = Arc::new(Run::new(work, lease, worker.to_owned(), self.config.outputs));
            inner.runs.insert(lease, Arc::clone(&run));
            (lease, run)
        };
        run.work.say(&format!("worker {worker} builds it"));
        Some(Leased { lease, lease_ms: millis(self.config.lease), order: run.work.order.clone() })
    }

    /// The run of a lease that is still worth something, if it is one of this token.
    fn run(&self, token: &str, lease: LeaseId) -> Result<Arc<Run>, Refusal> {
        let (inner, now) = (self.lock(), self.now());
        let run = inner.runs.get(&lease).filter(|run| is_of(&run.worker, token)).ok_or(NoLease)?;
        inner.leases.check(lease, &run.worker, now)?;
        Ok(Arc::clone(run))
    }

    /// A sign of life, with a piece of the log.
    ///
    /// # Errors
    /// [`Refusal::NoLease`]: the worker is to drop the build. [`Refusal::TooMuch`].
    pub fn renew(&self, token: &str, lease: LeaseId, renewal: &Renewal) -> Result<(), Refusal> {
        if renewal.lines.len() > MAX_LINES {
            return Err(Refusal::TooMuch("lines"));
        }
        let run = self.run(token, lease)?;
        self.lock().leases.renew(lease, &run.worker, self.now())?;
        run.log(renewal);
        Ok(())
    }

    /// What a record asks for.
    ///
    /// # Errors
    /// [`Refusal::NoLease`], [`Refusal::Bad`] for a replay, [`Refusal::TooMuch`].
    pub async fn input(&self, token: &str, lease: LeaseId, question: &InputQuestion) -> Result<InputReply, Refusal> {
        let run = self.run(token, lease)?;
        let asked = run.work.asked.as_ref();
        let asked = asked.ok_or_else(|| Refusal::Bad("a replay has its manifest and asks for nothing".to_owned()))?;
        let repository: RepositoryId =
            question.repository.parse().map_err(|_| Refusal::Bad("this is no id of a repository".to_owned()))?;
        let path = &question.path;
        let said = match run.known(&repository, path) {
            Some(known) => known,
            None => {
                run.ask(asked)?;
                match asked.get(&repository, path).await {
                    Ok(Input::Found { file, digests, last_modified, cut }) => {
                        let status = InputStatus::Found { size: digests.size, sha256: digests.sha256, cut };
                        run.give(&repository, path, Said { status, last_modified }, Some(file))
                    }
                    Ok(Input::Absent) => {
                        run.give(&repository, path, Said { status: InputStatus::Absent, last_modified: None }, None)
                    }
                    Err(InputError::Unavailable { problem, .. }) => return Ok(InputReply::Unavailable(problem)),
                    Err(InputError::Withheld { problem, .. }) => return Ok(InputReply::Withheld(problem)),
                    Err(InputError::UnknownRepository(id)) => return Ok(InputReply::UnknownRepository(id)),
                    Err(InputError::Refused { url, problem }) => return Ok(InputReply::Refused { url, problem }),
                }
            }
        };
        Ok(match said.status {
            InputStatus::Found { size, sha256, cut } => {
                InputReply::Found { file: FileRef { sha256, size }, last_modified: said.last_modified, cut }
            }
            InputStatus::Absent | InputStatus::WithheldSelf => InputReply::Absent,
        })
    }

    /// Where a file lies that a worker may have.
    ///
    /// # Errors
    /// [`Refusal::NoLease`], [`Refusal::NoFile`].
    pub async fn file(&self, token: &str, lease: LeaseId, sha256: &Sha256) -> Result<PathBuf, Refusal> {
        self.run(token, lease)?.file(sha256).await.ok_or(Refusal::NoFile(*sha256))
    }

    /// Begins to take a file that a build has made.
    ///
    /// # Errors
    /// [`Refusal::NoLease`], [`Refusal::TooMuch`], [`Refusal::Bad`], [`Refusal::Local`].
    pub async fn receive(&self, token: &str, lease: LeaseId, sha256: Sha256) -> Result<Upload, Refusal> {
        self.run(token, lease)?.receive(sha256).await
    }

    /// Takes the result of a lease, which ends with it.
    ///
    /// # Errors
    /// [`Refusal::NoLease`]: it comes too late, and is thrown away.
    pub async fn finish(&self, token: &str, lease: LeaseId, outcome: Outcome) -> Result<(), Refusal> {
        let run = self.run(token, lease)?;
        let result = run.check(outcome).await;
        let waiting = {
            let mut inner = self.lock();
            let task = inner.leases.finish(lease, &run.worker, self.now())?;
            inner.runs.remove(&lease);
            inner.waiting.remove(&task)
        };
        if let Err(BuildError::Engine(problem)) = &result {
            tracing::warn!(worker = run.worker, problem, "a worker could not build");
        }
        // Whoever waited for it may have gone.
        if let Some(Waiting { done, .. }) = waiting {
            let _ = done.send(result);
        }
        Ok(())
    }

    /// Takes a build back that its worker cannot go on with, as when it is being stopped.
    ///
    /// # Errors
    /// [`Refusal::NoLease`].
    pub fn give_back(&self, token: &str, lease: LeaseId) -> Result<(), Refusal> {
        let run = self.run(token, lease)?;
        {
            let mut inner = self.lock();
            inner.leases.give_back(lease, &run.worker, self.now())?;
            inner.runs.remove(&lease);
        }
        run.work.say(&format!("worker {} has given it back; the build is queued again", run.worker));
        run.discard();
        self.changed.send_replace(());
        Ok(())
    }
}

/// A build that waits or is being built; dropping it takes it back.
struct Queued {
    hub: Arc<Hub>,
    task: TaskId,
}

impl Drop for Queued {
    fn drop(&mut self) {
        let mut inner = self.hub.lock();
        inner.waiting.remove(&self.task);
        // Its worker learns of it when it renews.
        if let Some(run) = inner.leases.withdraw(self.task).and_then(|lease| inner.runs.remove(&lease)) {
            run.close();
        }
    }
}

/// `TOKEN/INSTANCE`: the processes that share a token are different workers.
fn worker_name(token: &str, instance: &str) -> Result<String, Refusal> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if instance.is_empty() || instance.len() > MAX_NAME || !instance.chars().all(plain) {
        let text = format!("an instance has 1 to {MAX_NAME} letters, digits, dots and dashes");
        return Err(Refusal::Bad(text));
    }
    Ok(format!("{token}/{instance}"))
}

fn is_of(worker: &str, token: &str) -> bool {
    // No instance has a slash.
    worker.rsplit_once('/').is_some_and(|(name, _)| name == token)
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
