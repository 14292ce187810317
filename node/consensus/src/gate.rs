//! [`Core`] shared between tasks, and the two traits of AlephBFT that are thin covers over it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use aleph_bft::{DataProvider, OrderedUnit, UnitFinalizationHandler};
use async_trait::async_trait;
use tokio::sync::{Notify, mpsc};

use crate::core::{Core, Decision, Outcome};
use crate::types::{Payload, UnitHasher};

/// [`Core`] and the bells that ring when it changes.
pub(crate) struct Shared {
    core: Mutex<Core>,
    /// Rings when a gate may have opened.
    pub(crate) gates: Notify,
    /// Rings when the others may have to be told something.
    pub(crate) hints: Notify,
    /// Rings when a member that sits out has heard of a newer session.
    pub(crate) heard: Notify,
    /// Rings when the backup of the active session turns out to end before the ledger does.
    pub(crate) short: Notify,
}

impl Shared {
    pub(crate) fn new(core: Core) -> Arc<Self> {
        Arc::new(Self {
            core: Mutex::new(core),
            gates: Notify::new(),
            hints: Notify::new(),
            heard: Notify::new(),
            short: Notify::new(),
        })
    }

    /// The state, for reading and short computations.
    pub(crate) fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and rings both bells.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Core) -> T) -> T {
        let result = change(&mut self.core());
        self.gates.notify_waiters();
        self.hints.notify_one();
        result
    }
}

/// AlephBFT asks this before each unit of one session.
pub(crate) struct Gate {
    pub(crate) session: u64,
    pub(crate) shared: Arc<Shared>,
}

#[async_trait]
impl DataProvider for Gate {
    type Output = Payload;

    async fn get_data(&mut self) -> Option<Payload> {
        loop {
            // Listening starts before the state is read, so that no change falls between the two.
            let changed = self.shared.gates.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let decision = self.shared.core().decide(self.session, Instant::now());
            match decision {
                Decision::Propose(payload) => return Some(payload),
                Decision::Empty => return None,
                Decision::Wait(None) => changed.await,
                Decision::Short => {
                    self.shared.short.notify_one();
                    changed.await;
                }
                Decision::Wait(Some(until)) => {
                    // Either way the state is read again.
                    let _ = tokio::time::timeout_at(until.into(), changed).await;
                }
            }
        }
    }
}

/// AlephBFT hands the batches of one session to this, from inside consensus: it must neither block nor wait.
pub(crate) struct Finalizer {
    pub(crate) session: u64,
    pub(crate) shared: Arc<Shared>,
    /// Unbounded, but a session's batches are bounded by its cut, and proposals stop while the receiver lags.
    pub(crate) outcomes: mpsc::UnboundedSender<Outcome>,
}

impl UnitFinalizationHandler for Finalizer {
    type Data = Payload;
    type Hasher = UnitHasher;

    fn batch_finalized(&mut self, batch: Vec<OrderedUnit<Payload, UnitHasher>>) {
        let payloads = batch.into_iter().filter_map(|unit| unit.data).collect();
        self.shared.change(|core| {
            // Sent while the state is locked: outcomes of two sessions keep their order.
            for outcome in core.on_batch(self.session, payloads, Instant::now()) {
                // Without a receiver the orderer is being shut down.
                let _ = self.outcomes.send(outcome);
            }
        });
    }
}
