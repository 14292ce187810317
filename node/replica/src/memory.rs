//! An orderer without consensus, for tests and simulations.

use async_trait::async_trait;
use pyrsia_ledger::SignedEntry;
use tokio::sync::{Mutex, mpsc};

use crate::orderer::{OrderedBatch, Orderer, SubmitError};

/// Orders entries by their arrival, one for each batch, in memory. Nothing survives a restart.
pub struct InMemoryOrderer {
    session: u64,
    next: Mutex<u64>,
    batches: mpsc::Sender<OrderedBatch>,
}

impl InMemoryOrderer {
    /// Sends batches of `session` to `batches`, the first one with index `first`.
    pub fn new(session: u64, first: u64, batches: mpsc::Sender<OrderedBatch>) -> Self {
        Self { session, next: Mutex::new(first), batches }
    }

    /// An orderer that goes on behind what the ledger has stored (see [`crate::Replica::cursor`]), in a new session.
    pub fn resume(cursor: Option<(u64, u64)>, batches: mpsc::Sender<OrderedBatch>) -> Self {
        Self::new(cursor.map_or(0, |(session, _)| session + 1), 0, batches)
    }
}

#[async_trait]
impl Orderer for InMemoryOrderer {
    async fn submit(&self, entry: SignedEntry) -> Result<(), SubmitError> {
        let mut next = self.next.lock().await;
        let batch = OrderedBatch { session: self.session, index: *next, entries: vec![entry.to_bytes()] };
        self.batches
            .send(batch)
            .await
            .map_err(|_| SubmitError::Unavailable { reason: "nobody receives the ordered batches".to_owned() })?;
        *next += 1;
        Ok(())
    }
}
