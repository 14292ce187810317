//! The public face: start, submit, stop.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use pyrsia_ledger::SignedEntry;
use pyrsia_replica::{OrderedBatch, Orderer, SubmitError};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

use crate::backup::Dir;
use crate::config::ConsensusConfig;
use crate::core::Core;
use crate::error::ConsensusError;
use crate::gate::Shared;
use crate::journal::Journal;
use crate::keychain::Membership;
use crate::network::Outlet;
use crate::router::Router;
use crate::session::Cut;
use crate::supervisor::{Condition, Disposal, Status, Supervisor, blocking};
use crate::transport::Transport;
use crate::types::{EntryName, MAX_ENTRY_BYTES, is_entry_size};

/// How often the others are told that there is work, and the newest unit is repeated.
const HINT_INTERVAL: Duration = Duration::from_secs(1);
/// How long a start waits for an orderer of this process that is being dropped.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// How far the ledger is, when an orderer is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Resume {
    /// The session of the last batch that the ledger has stored; 0 for an empty ledger.
    pub session: u64,
    /// Index of that batch; none when the ledger has no batch of `session`.
    pub after: Option<u64>,
}

/// What an orderer is started with.
pub struct Start {
    /// The section of the configuration.
    pub config: ConsensusConfig,
    /// Where sessions are cut, the same for all members: [`Cut::of`] the network's constants.
    pub cut: Cut,
    /// The committee, and this member's place and key.
    pub membership: Membership,
    /// The directory for files of this crate.
    pub dir: PathBuf,
    /// The network to the other members.
    pub transport: Arc<dyn Transport>,
    /// Where batches go. The receiver must store each one before it takes the next: sessions' backups are removed on the
    /// strength of that.
    pub batches: mpsc::Sender<OrderedBatch>,
    /// What the receiver has stored; all batches of that session come again.
    pub resume: Resume,
    /// **This member's consensus key has never signed anything**, so that an empty `dir` is a new one and not what is left
    /// of a lost one. Looked at only when `dir` is empty. A member that says so wrongly may sign two units for one round,
    /// for which the others exclude it; one that does not say so although it is true sits a session out. In a new network
    /// where nobody says so, nothing ever happens.
    ///
    /// Whoever makes the key can know: write a file beside it when the key is made, pass true while the file is there, and
    /// remove it when [`ConsensusOrderer::start`] has returned. A key that is restored from a copy must come without it.
    pub founding: bool,
}

/// Orders entries by AlephBFT. See the crate's documentation for the contract.
///
/// Dropping it stops everything at once, as a crash would: it can be started again on the same directory.
pub struct ConsensusOrderer {
    shared: Arc<Shared>,
    journal: Arc<Mutex<Journal>>,
    ledger: watch::Sender<Resume>,
    status: watch::Receiver<Status>,
    tasks: Vec<AbortHandle>,
    tracker: TaskTracker,
}

impl ConsensusOrderer {
    /// Starts taking part.
    ///
    /// A directory that is neither complete nor new (see [`Start::founding`]) makes a member of a larger network sit out
    /// until the ledger shows a later session than any that is known to be reached: [`Condition::SittingOut`]. So let the
    /// ledger catch up with other nodes **before** the start; afterwards [`ConsensusOrderer::ledger_at`].
    ///
    /// The first entry of a process takes about five seconds in a network of one, and when a member is down: AlephBFT
    /// waits that long for the others' word on this member's newest unit.
    ///
    /// Errors: configuration and committee that cannot work, a directory that another orderer uses, files that cannot
    /// be read or written. A lost backup is none.
    pub async fn start(start: Start) -> Result<Self, ConsensusError> {
        let Start { config, cut, membership, dir, transport, batches, resume, founding } = start;
        config.check()?;
        let dir = open_dir(&dir).await?;
        let journal = {
            let dir = Arc::clone(&dir);
            blocking(move || {
                dir.settle(founding, resume.session)?;
                dir.remove_sessions_before(resume.session)?;
                Journal::open(&dir)
            })
            .await?
        };
        let (me, size) = (membership.me(), membership.size());
        let mut core = Core::new(me, size, cut, config.max_pending, resume.session);
        if size == 1
            && let Some(index) = resume.after
        {
            core.expect(resume.session, index);
        }
        for (name, entry) in journal.pending() {
            core.submit(*name, entry.clone());
        }
        let shared = Shared::new(core);
        let journal = Arc::new(Mutex::new(journal));
        let (outcomes, outcomes_out) = mpsc::unbounded_channel();
        let (ended, ended_out) = mpsc::unbounded_channel();
        let (ledger, ledger_out) = watch::channel(resume);
        let (status, status_out) = watch::channel(Status {
            session: resume.session,
            batches: 0,
            condition: Condition::Running,
            overdue: false,
        });
        let tracker = TaskTracker::new();
        let router = Arc::new(Router::default());
        let outlet = Outlet::new(Arc::clone(&transport), me, size);
        let mut supervisor = Supervisor {
            config,
            cut,
            membership,
            dir,
            journal: Arc::clone(&journal),
            shared: Arc::clone(&shared),
            router: Arc::clone(&router),
            outlet: Arc::clone(&outlet),
            tracker: tracker.clone(),
            batches,
            outcomes,
            ended,
            ledger: ledger_out,
            status,
            running: BTreeMap::new(),
            lost: BTreeMap::new(),
            disposal: Disposal::default(),
        };
        supervisor.start_active().await?;
        let mut tasks = vec![tracker.spawn(supervisor.run(outcomes_out, ended_out)).abort_handle()];
        if size > 1 {
            let routed = Arc::clone(&shared);
            let routing = async move { router.run(&*transport, &routed).await };
            tasks.push(tracker.spawn(routing).abort_handle());
            tasks.push(tracker.spawn(tell_others(Arc::clone(&shared), outlet)).abort_handle());
        }
        Ok(Self { shared, journal, ledger, status: status_out, tasks, tracker })
    }

    /// What this orderer is doing; changes can be awaited.
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Says that the ledger has stored everything up to this batch, which came from other nodes. If that is beyond the
    /// session that this member takes part in, it leaves that one and enters the later one, from whose first batch on
    /// everything is then handed over; a member that sits out takes part again if it may. Does not wait; what has become of
    /// it shows in [`ConsensusOrderer::status`]. Positions that were passed already mean nothing.
    pub fn ledger_at(&self, resume: Resume) {
        self.ledger.send_if_modified(|known| {
            let is_newer = resume.session > known.session;
            if is_newer {
                *known = resume;
            }
            is_newer
        });
    }

    /// Number of this member's entries that are not final.
    pub fn pending(&self) -> usize {
        self.shared.core().pending()
    }

    /// This member's entries that are not final, as they were submitted, in their order.
    pub async fn pending_entries(&self) -> Vec<Vec<u8>> {
        let journal = Arc::clone(&self.journal);
        let read = tokio::task::spawn_blocking(move || {
            let journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
            journal.pending().map(|(_, entry)| entry.clone()).collect()
        });
        // Cancelled at the end of the runtime only.
        read.await.unwrap_or_default()
    }

    /// Takes a serialised entry. When this returns, the entry is on disk and will be proposed until it is final, across
    /// restarts too; entries submitted one after the other by one task are ordered in that order within a session. An
    /// entry that waits already is taken once; one that was ordered before is ordered again.
    pub async fn submit_bytes(&self, entry: Vec<u8>) -> Result<(), SubmitError> {
        if !is_entry_size(entry.len()) {
            return Err(SubmitError::Size { bytes: entry.len(), limit: MAX_ENTRY_BYTES });
        }
        self.check_condition()?;
        let name = EntryName::of(&entry);
        {
            let core = self.shared.core();
            if core.is_pending(&name) {
                return Ok(());
            }
            if let Some(pending) = core.full() {
                return Err(SubmitError::Busy { pending });
            }
        }
        let (shared, journal) = (Arc::clone(&self.shared), Arc::clone(&self.journal));
        // In one piece, so that a caller that gives up leaves no entry on disk that is not proposed.
        let stored = tokio::task::spawn_blocking(move || {
            let mut journal = journal.lock().unwrap_or_else(PoisonError::into_inner);
            journal.add(name, &entry)?;
            shared.change(|core| core.submit(name, entry));
            Ok::<(), std::io::Error>(())
        })
        .await;
        match stored {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(SubmitError::Storage { reason: error.to_string() }),
            Err(error) => Err(SubmitError::Unavailable { reason: error.to_string() }),
        }
    }

    fn check_condition(&self) -> Result<(), SubmitError> {
        let reason = match &self.status.borrow().condition {
            Condition::Running => return Ok(()),
            Condition::SittingOut { session, reason } => {
                format!("sitting out consensus session {session}: {reason}")
            }
            Condition::Failed { reason } => reason.clone(),
        };
        Err(SubmitError::Unavailable { reason })
    }

    /// Stops and waits until nothing of it runs any more. Then the channel of batches is closed, the directory is free,
    /// and entries are refused.
    pub async fn shutdown(&self) {
        for task in &self.tasks {
            task.abort();
        }
        self.tracker.close();
        self.tracker.wait().await;
        self.journal.lock().unwrap_or_else(PoisonError::into_inner).close();
    }
}

impl Drop for ConsensusOrderer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

#[async_trait]
impl Orderer for ConsensusOrderer {
    async fn submit(&self, entry: SignedEntry) -> Result<(), SubmitError> {
        self.submit_bytes(entry.to_bytes()).await
    }
}

async fn open_dir(path: &Path) -> Result<Arc<Dir>, ConsensusError> {
    let start = Instant::now();
    loop {
        let path = path.to_owned();
        match blocking(move || Dir::open(&path)).await {
            Err(ConsensusError::Locked { .. }) if start.elapsed() < LOCK_PATIENCE => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            result => return result,
        }
    }
}

/// Tells the other members about work, while there is some.
async fn tell_others(shared: Arc<Shared>, outlet: Arc<Outlet>) {
    let mut said = None;
    let mut tick = Instant::now() + HINT_INTERVAL;
    loop {
        let now = Instant::now();
        let (hint, is_awake) = {
            let core = shared.core();
            (core.own_hint(now), core.is_awake(now))
        };
        let is_due = now >= tick;
        if said != Some(hint) || (is_due && hint.working) {
            outlet.send_to_all(&crate::wire::Envelope::Hint(hint).to_bytes());
            said = Some(hint);
        }
        if is_due && is_awake {
            outlet.repeat_last();
        }
        if is_due {
            tick = now + HINT_INTERVAL;
        }
        let changed = shared.hints.notified();
        if is_awake {
            // Either way the state is read again.
            let _ = tokio::time::timeout_at(tick.into(), changed).await;
        } else {
            changed.await;
        }
    }
}
