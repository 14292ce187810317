//! Starting and stopping AlephBFT for one session.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aleph_bft::{
    DelayConfig, LocalIO, NodeCount, NodeIndex, Round, SpawnHandle, TaskHandle, Terminator, create_config, run_session,
};
use futures_channel::oneshot;
use futures_util::io::Cursor;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

use crate::config::ConsensusConfig;
use crate::gate::{Finalizer, Gate};
use crate::keychain::{Keys, Membership};
use crate::network::SessionNetwork;
use crate::unit_writer::BackupWriter;

/// Rounds beyond the cut that AlephBFT may still use, so that members that lag can finish a session. It ends by itself
/// at its last round and drops what is not ordered, which must never happen before the cut.
const ROUNDS_AFTER_CUT: u64 = 1000;
/// AlephBFT repeats the newest units this often on an idle network. See [`crate::network::Outlet`].
const REBROADCAST: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(75));

/// What one session runs on.
pub(crate) struct Parts {
    pub(crate) session: u64,
    /// Batches of a session.
    pub(crate) batches: u64,
    pub(crate) units: Vec<u8>,
    pub(crate) writer: BackupWriter,
    pub(crate) gate: Gate,
    pub(crate) finalizer: Finalizer,
    pub(crate) network: SessionNetwork,
}

/// A session that runs. Dropping it stops it at once; what it had said is on disk, and what it had not is not said.
pub(crate) struct Running {
    tasks: Spawner,
    /// AlephBFT takes the end of this channel for a request to stop.
    _exit: oneshot::Sender<()>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.abort_all();
    }
}

/// Starts AlephBFT. `ended` is called when it returns, which it does by itself only after a fault.
pub(crate) fn start(
    config: &ConsensusConfig,
    membership: &Membership,
    parts: Parts,
    tracker: &TaskTracker,
    ended: impl FnOnce() + Send + 'static,
) -> Option<Running> {
    let delay = config.unit_creation_delay();
    let max_round = Round::try_from(parts.batches + ROUNDS_AFTER_CUT).ok()?;
    let aleph_config = create_config(
        NodeCount(membership.size()),
        NodeIndex(membership.me()),
        parts.session,
        max_round,
        delays(delay),
        Duration::ZERO,
    )
    .ok()?;
    let local_io = LocalIO::new_with_unit_finalization_handler(
        parts.gate,
        parts.finalizer,
        parts.writer,
        Cursor::new(parts.units),
    );
    let (exit, exit_requested) = oneshot::channel();
    let tasks = Spawner::new(tracker.clone());
    let keys = Keys::new(membership.clone());
    let network = parts.network;
    let inner = tasks.clone();
    tasks.spawn("consensus/session", async move {
        run_session(aleph_config, local_io, network, keys, inner, Terminator::create_root(exit_requested, "consensus"))
            .await;
        ended();
    });
    Some(Running { tasks, _exit: exit })
}

/// The pace of everything but the rebroadcasts follows from the pace of units.
fn delays(unit_creation: Duration) -> DelayConfig {
    DelayConfig {
        tick_interval: Duration::from_millis(200),
        unit_rebroadcast_interval_min: REBROADCAST.0,
        unit_rebroadcast_interval_max: REBROADCAST.1,
        unit_creation_delay: Arc::new(move |_| unit_creation),
        coord_request_delay: Arc::new(|attempt| match attempt {
            0 => Duration::from_millis(50),
            1 => Duration::from_millis(200),
            _ => Duration::from_secs(1),
        }),
        coord_request_recipients: Arc::new(|attempt| if attempt <= 2 { 3 } else { 1 }),
        parent_request_delay: Arc::new(|_| Duration::from_secs(1)),
        parent_request_recipients: Arc::new(|_| 1),
        newest_request_delay: Arc::new(|_| Duration::from_secs(1)),
    }
}

/// Spawns AlephBFT's tasks on tokio, and can end them all.
#[derive(Clone)]
struct Spawner {
    tracker: TaskTracker,
    handles: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Spawner {
    fn new(tracker: TaskTracker) -> Self {
        Self { tracker, handles: Arc::default() }
    }

    fn remember(&self, handle: AbortHandle) {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner).push(handle);
    }

    fn abort_all(&self) {
        for handle in self.handles.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            handle.abort();
        }
    }
}

impl SpawnHandle for Spawner {
    fn spawn(&self, _name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.remember(self.tracker.spawn(task).abort_handle());
    }

    fn spawn_essential(&self, _name: &'static str, task: impl Future<Output = ()> + Send + 'static) -> TaskHandle {
        let handle = self.tracker.spawn(task);
        self.remember(handle.abort_handle());
        Box::pin(async move { handle.await.map_err(|_| ()) })
    }
}
