//! How much is done at a time for one peer, and for all of them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use crate::queue::lock;

/// A bounded number of places: some for each peer, and so many in all. Members of the committee have their own places
/// and take none of the common ones: strangers cannot crowd them out.
#[derive(Debug)]
pub(crate) struct Slots<K> {
    per_peer: usize,
    total: usize,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K> {
    by_peer: HashMap<K, usize>,
    common: usize,
}

/// A place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot<K: Eq + Hash + Copy> {
    slots: Arc<Slots<K>>,
    peer: K,
    common: bool,
}

impl<K: Eq + Hash + Copy> Slots<K> {
    pub fn new(per_peer: usize, total: usize) -> Arc<Self> {
        Arc::new(Self { per_peer, total, taken: Mutex::new(Taken { by_peer: HashMap::new(), common: 0 }) })
    }

    /// A place for this peer, if there is one.
    pub fn take(self: &Arc<Self>, peer: K, member: bool) -> Option<Slot<K>> {
        let mut taken = lock(&self.taken);
        let of_peer = taken.by_peer.get(&peer).copied().unwrap_or(0);
        if of_peer >= self.per_peer || (!member && taken.common >= self.total) {
            return None;
        }
        taken.by_peer.insert(peer, of_peer + 1);
        if !member {
            taken.common += 1;
        }
        Some(Slot { slots: self.clone(), peer, common: !member })
    }
}

impl<K: Eq + Hash + Copy> Drop for Slot<K> {
    fn drop(&mut self) {
        let mut taken = lock(&self.slots.taken);
        if self.common {
            taken.common -= 1;
        }
        match taken.by_peer.get_mut(&self.peer) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                taken.by_peer.remove(&self.peer);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_for_each_peer_and_in_all_and_come_back() {
        let slots = Slots::new(2, 3);
        let (a, b) = (slots.take('a', false), slots.take('a', false));
        assert!(a.is_some() && b.is_some() && slots.take('a', false).is_none());
        let c = slots.take('b', false);
        assert!(c.is_some() && slots.take('c', false).is_none());
        drop(a);
        assert!(slots.take('c', false).is_some());
        drop((b, c));
        assert!(lock(&slots.taken).by_peer.is_empty() && lock(&slots.taken).common == 0);
    }

    #[test]
    fn members_have_places_of_their_own() {
        let slots = Slots::new(2, 1);
        let _stranger = slots.take('a', false).unwrap();
        assert!(slots.take('b', false).is_none());
        let _first = slots.take('m', true).unwrap();
        let _second = slots.take('m', true).unwrap();
        assert!(slots.take('m', true).is_none());
    }
}
