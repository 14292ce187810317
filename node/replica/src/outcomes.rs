//! What became of recent entries, and who waits to hear it.

use std::collections::{HashMap, VecDeque};

use pyrsia_ledger::{DecodeError, EntryDigest, Refusal};
use tokio::sync::oneshot;

/// Outcomes that are remembered.
const MAX_RECENT: usize = 4096;
/// Waiting submitters.
const MAX_WAITING: usize = 8192;

/// What became of an ordered entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmissionOutcome {
    /// It is a leaf of the log.
    Accepted {
        /// Index of the leaf.
        index: u64,
    },
    /// The rules refused it. The same entry may be accepted later, when the state has changed.
    Refused(Refused),
}

/// Why an ordered entry is no leaf.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The bytes are no entry.
    #[error("the entry does not decode")]
    Undecodable(#[source] DecodeError),
    /// The rules do not allow it in the present state.
    #[error(transparent)]
    Rules(Refusal),
}

/// Bounded memory of outcomes; the oldest goes first.
#[derive(Default)]
pub(crate) struct Outcomes {
    recent: HashMap<EntryDigest, SubmissionOutcome>,
    order: VecDeque<EntryDigest>,
    waiting: HashMap<EntryDigest, Vec<oneshot::Sender<SubmissionOutcome>>>,
    waiters: usize,
    closed: bool,
}

impl Outcomes {
    /// The last outcome of an entry, if it is remembered.
    pub(crate) fn recent(&self, digest: &EntryDigest) -> Option<SubmissionOutcome> {
        self.recent.get(digest).cloned()
    }

    /// No outcome will come any more: sends everybody away.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.waiting.clear();
        self.waiters = 0;
    }

    /// Hears the next outcome of an entry. None when too many wait already, or none will come any more.
    pub(crate) fn wait(&mut self, digest: EntryDigest) -> Option<oneshot::Receiver<SubmissionOutcome>> {
        if self.closed {
            return None;
        }
        if self.waiters >= MAX_WAITING {
            self.forget_those_who_left();
            if self.waiters >= MAX_WAITING {
                return None;
            }
        }
        let (sender, receiver) = oneshot::channel();
        self.waiting.entry(digest).or_default().push(sender);
        self.waiters += 1;
        Some(receiver)
    }

    /// Notes an outcome and tells those who wait for it.
    pub(crate) fn tell(&mut self, digest: EntryDigest, outcome: SubmissionOutcome) {
        for waiter in self.waiting.remove(&digest).unwrap_or_default() {
            self.waiters -= 1;
            // Who has left does not want to know.
            let _ = waiter.send(outcome.clone());
        }
        if self.recent.insert(digest, outcome).is_none() {
            self.order.push_back(digest);
        }
        if self.order.len() > MAX_RECENT
            && let Some(oldest) = self.order.pop_front()
        {
            self.recent.remove(&oldest);
        }
    }

    fn forget_those_who_left(&mut self) {
        self.waiting.retain(|_, waiters| {
            waiters.retain(|waiter| !waiter.is_closed());
            !waiters.is_empty()
        });
        self.waiters = self.waiting.values().map(Vec::len).sum();
    }
}

#[cfg(test)]
mod tests {
    use pyrsia_digest::Sha256;

    use super::*;

    fn digest(number: u32) -> EntryDigest {
        EntryDigest(Sha256::of(&number.to_le_bytes()))
    }

    #[test]
    fn every_waiter_hears_the_next_outcome_once() {
        let mut outcomes = Outcomes::default();
        let mut first = outcomes.wait(digest(1)).unwrap();
        let mut second = outcomes.wait(digest(1)).unwrap();
        let mut other = outcomes.wait(digest(2)).unwrap();
        outcomes.tell(digest(1), SubmissionOutcome::Accepted { index: 7 });
        for waiter in [&mut first, &mut second] {
            assert_eq!(waiter.try_recv(), Ok(SubmissionOutcome::Accepted { index: 7 }));
        }
        assert!(other.try_recv().is_err());
        assert_eq!(outcomes.waiters, 1);
    }

    #[test]
    fn memory_is_bounded() {
        let mut outcomes = Outcomes::default();
        for number in 0..2 * MAX_RECENT as u32 {
            outcomes.tell(digest(number), SubmissionOutcome::Accepted { index: number.into() });
        }
        assert_eq!(outcomes.recent.len(), MAX_RECENT);
        assert_eq!(outcomes.recent(&digest(0)), None);
        let mut kept = Vec::new();
        for number in 0..MAX_WAITING as u32 {
            kept.push(outcomes.wait(digest(number)).unwrap());
        }
        assert!(outcomes.wait(digest(0)).is_none());
        kept.clear();
        assert!(outcomes.wait(digest(0)).is_some(), "room is made when waiters leave");
    }
}
