//! From AlephBFT's batches of one session to ordered batches, and where the session is cut.
//!
//! Everything here depends on agreed data only: every member that is given the same batches computes the same result,
//! and computes it again after a restart.

use std::collections::HashSet;

use pyrsia_replica::OrderedBatch;

use crate::types::{EntryName, Payload, is_entry_size};

/// Most bytes of entries in an ordered batch. AlephBFT's batches have no bound below a session's; what a node hands to
/// another has one, and a block is made of one ordered batch.
pub(crate) const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// Where sessions are cut. The same for all members of a network: see [`pyrsia_ledger::Constants`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// A session is cut after this many batches, empty ones included.
    pub batches: u64,
    /// A session is cut by the batch with which its entries reach this many bytes.
    pub bytes: u64,
}

impl Cut {
    /// The cut of a network.
    pub fn of(constants: &pyrsia_ledger::Constants) -> Self {
        Self { batches: constants.session_batches.into(), bytes: constants.session_bytes.into() }
    }
}

/// What one batch of AlephBFT brought.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// The batches to hand over; none when nothing is in it, more than one when it is longer than [`MAX_BATCH_BYTES`].
    pub(crate) batches: Vec<OrderedBatch>,
    /// Names of the entries in the batches.
    pub(crate) names: Vec<EntryName>,
    /// The session comes near to its cut: time to start the next one (its start may take five seconds). Said once.
    pub(crate) near_cut: bool,
    /// This was the session's last batch. Said once.
    pub(crate) cut: bool,
}

/// The order of one session.
pub(crate) struct SessionOrder {
    session: u64,
    limits: Cut,
    next_index: u64,
    bytes: u64,
    seen: HashSet<EntryName>,
    near_cut: bool,
    cut: bool,
}

impl SessionOrder {
    pub(crate) fn new(session: u64, limits: Cut) -> Self {
        Self { session, limits, next_index: 0, bytes: 0, seen: HashSet::new(), near_cut: false, cut: false }
    }

    /// True when the entry has been ordered in this session.
    pub(crate) fn contains(&self, name: &EntryName) -> bool {
        self.seen.contains(name)
    }

    /// Index of the next batch.
    pub(crate) fn next_index(&self) -> u64 {
        self.next_index
    }

    /// Takes AlephBFT's next batch. Batches after the cut belong to no session and are dropped; their entries are
    /// proposed again in the next session.
    pub(crate) fn on_batch(&mut self, payloads: Vec<Payload>) -> Step {
        if self.cut {
            return Step::default();
        }
        let mut step = Step::default();
        let mut bytes = 0;
        for entry in payloads.into_iter().flat_map(|payload| payload.0) {
            // Cannot come from an honest member, and honest members pass no such unit on; counted as nothing.
            if !is_entry_size(entry.len()) {
                continue;
            }
            let name = EntryName::of(&entry);
            step.names.push(name);
            self.seen.insert(name);
            self.bytes = self.bytes.saturating_add(entry.len() as u64);
            bytes += entry.len();
            match step.batches.last_mut() {
                Some(batch) if bytes <= MAX_BATCH_BYTES => batch.entries.push(entry),
                _ => {
                    bytes = entry.len();
                    let index = self.next_index + step.batches.len() as u64;
                    step.batches.push(OrderedBatch { session: self.session, index, entries: vec![entry] });
                }
            }
        }
        self.next_index += step.batches.len().max(1) as u64;
        self.cut = self.next_index >= self.limits.batches || self.bytes >= self.limits.bytes;
        step.cut = self.cut;
        if !self.near_cut {
            self.near_cut =
                self.cut || self.next_index >= self.limits.batches / 4 * 3 || self.bytes >= self.limits.bytes / 4 * 3;
            step.near_cut = self.near_cut;
        }
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUT: Cut = Cut { batches: 8, bytes: 100 };

    fn payload(entries: &[&[u8]]) -> Payload {
        Payload(entries.iter().map(|entry| entry.to_vec()).collect())
    }

    #[test]
    fn empty_batches_count_and_are_not_handed_over() {
        let mut order = SessionOrder::new(2, CUT);
        assert_eq!(order.on_batch(Vec::new()), Step::default());
        let step = order.on_batch(vec![payload(&[b"a"]), payload(&[b"b", b"c"])]);
        assert_eq!(
            step.batches,
            [OrderedBatch { session: 2, index: 1, entries: vec![b"a".to_vec(), b"b".to_vec(), b"c".to_vec()] }]
        );
    }

    #[test]
    fn a_repeated_entry_is_ordered_again() {
        let mut order = SessionOrder::new(0, CUT);
        order.on_batch(vec![payload(&[b"a"])]);
        let step = order.on_batch(vec![payload(&[b"a", b"b"])]);
        assert_eq!(step.batches[0].entries, vec![b"a".to_vec(), b"b".to_vec()]);
        assert_eq!(step.names, vec![EntryName::of(b"a"), EntryName::of(b"b")]);
        assert!(order.contains(&EntryName::of(b"b")));
    }

    #[test]
    fn cut_by_the_number_of_batches() {
        let mut order = SessionOrder::new(0, CUT);
        let steps: Vec<_> = (0..10).map(|_| order.on_batch(Vec::new())).collect();
        let near: Vec<_> = steps.iter().map(|step| step.near_cut).collect();
        let cut: Vec<_> = steps.iter().map(|step| step.cut).collect();
        assert_eq!(near, (0..10).map(|index| index == 5).collect::<Vec<_>>());
        assert_eq!(cut, (0..10).map(|index| index == 7).collect::<Vec<_>>());
        assert_eq!(order.on_batch(vec![payload(&[b"late"])]), Step::default());
    }

    #[test]
    fn cut_by_bytes_keeps_the_batch_that_reaches_them() {
        let mut order = SessionOrder::new(0, CUT);
        let step = order.on_batch(vec![payload(&[&[1; 60], &[2; 60]])]);
        assert!(step.cut && step.near_cut);
        assert_eq!(step.batches[0].entries.len(), 2);
    }

    #[test]
    fn a_long_batch_becomes_several_that_fit_a_block() {
        let mut order = SessionOrder::new(0, Cut { batches: 100, bytes: u64::MAX });
        let payloads: Vec<_> = (0..80u8).map(|n| payload(&[&[n; 16 * 1024], &[n; 16 * 1024]])).collect();
        let step = order.on_batch(payloads.clone());
        let indices: Vec<_> = step.batches.iter().map(|batch| batch.index).collect();
        assert_eq!(indices, [0, 1, 2]);
        assert!(step.batches.iter().all(|batch| batch.entries.iter().map(Vec::len).sum::<usize>() <= MAX_BATCH_BYTES));
        let entries: Vec<_> = step.batches.into_iter().flat_map(|batch| batch.entries).collect();
        assert_eq!(entries, payloads.into_iter().flat_map(|payload| payload.0).collect::<Vec<_>>());
        assert_eq!(order.on_batch(vec![payload(&[b"a"])]).batches[0].index, 3);
    }
}
