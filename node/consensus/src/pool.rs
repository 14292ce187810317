//! This member's entries that are not final yet.

use std::collections::{BTreeMap, HashMap};

use crate::types::{EntryName, MAX_PAYLOAD_BYTES, MAX_PAYLOAD_ENTRIES, Payload};

/// Entries in the order of their submission. An entry stays until it is final; being in a unit is not enough, because a
/// session's cut drops what is not ordered yet.
pub(crate) struct Pool {
    entries: BTreeMap<u64, (EntryName, Vec<u8>)>,
    numbers: HashMap<EntryName, u64>,
    next_number: u64,
    /// Entries below this number are in a unit of the present session.
    next_proposal: u64,
    limit: usize,
}

impl Pool {
    /// A pool of at most `limit` entries.
    pub(crate) fn new(limit: usize) -> Self {
        Self { entries: BTreeMap::new(), numbers: HashMap::new(), next_number: 0, next_proposal: 0, limit }
    }

    /// Number of entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// True when no other entry fits.
    pub(crate) fn is_full(&self) -> bool {
        self.len() >= self.limit
    }

    /// True when the entry is here.
    pub(crate) fn contains(&self, name: &EntryName) -> bool {
        self.numbers.contains_key(name)
    }

    /// Adds an entry behind all others; one that is here stays where it is.
    pub(crate) fn add(&mut self, name: EntryName, entry: Vec<u8>) {
        if self.contains(&name) {
            return;
        }
        self.entries.insert(self.next_number, (name, entry));
        self.numbers.insert(name, self.next_number);
        self.next_number += 1;
    }

    /// The next unit's data: entries that are in no unit of this session, from the oldest, as many as fit.
    pub(crate) fn propose(&mut self) -> Option<Payload> {
        let mut chosen = Vec::new();
        let mut bytes = 0;
        for (number, (_, entry)) in self.entries.range(self.next_proposal..) {
            if bytes + entry.len() > MAX_PAYLOAD_BYTES || chosen.len() == MAX_PAYLOAD_ENTRIES {
                break;
            }
            bytes += entry.len();
            chosen.push(entry.clone());
            self.next_proposal = number + 1;
        }
        (!chosen.is_empty()).then_some(Payload(chosen))
    }

    /// Forgets an entry that is final. False when it was not here.
    pub(crate) fn remove(&mut self, name: &EntryName) -> bool {
        match self.numbers.remove(name) {
            Some(number) => self.entries.remove(&number).is_some(),
            None => false,
        }
    }

    /// A session ended: what is left has to be proposed again.
    pub(crate) fn start_over(&mut self) {
        self.next_proposal = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(pool: &mut Pool, entry: &[u8]) -> EntryName {
        let name = EntryName::of(entry);
        pool.add(name, entry.to_vec());
        name
    }

    #[test]
    fn proposes_once_for_each_session_in_order() {
        let mut pool = Pool::new(10);
        add(&mut pool, b"a");
        let b = add(&mut pool, b"b");
        add(&mut pool, b"a");
        assert_eq!(pool.propose(), Some(Payload(vec![b"a".to_vec(), b"b".to_vec()])));
        assert_eq!(pool.propose(), None);
        add(&mut pool, b"c");
        assert_eq!(pool.propose(), Some(Payload(vec![b"c".to_vec()])));
        assert!(pool.remove(&b));
        assert!(!pool.remove(&b));
        pool.start_over();
        assert_eq!(pool.propose(), Some(Payload(vec![b"a".to_vec(), b"c".to_vec()])));
    }

    #[test]
    fn payloads_keep_the_limits() {
        let mut pool = Pool::new(10_000);
        for number in 0..3u8 {
            add(&mut pool, &vec![number; crate::types::MAX_ENTRY_BYTES]);
        }
        for number in 0..3000u32 {
            add(&mut pool, &number.to_le_bytes());
        }
        let mut total = 0;
        while let Some(payload) = pool.propose() {
            assert!(payload.is_within_limits());
            total += payload.0.len();
        }
        assert_eq!(total, 3003);
    }

    #[test]
    fn has_a_limit() {
        let mut pool = Pool::new(1);
        assert!(!pool.is_full());
        let a = add(&mut pool, b"a");
        assert!(pool.is_full());
        pool.remove(&a);
        assert!(!pool.is_full());
    }
}
