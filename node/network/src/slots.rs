//! How much is done at a time for one peer, and for all of them.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use crate::queue::lock;

/// A bounded number of places: one that every peer has for itself, and further ones that peers share, up to so many for
/// each. Members of the committee share none: strangers cannot crowd them out. How many peers there are is bounded
/// elsewhere, so nothing grows without end.
#[derive(Debug)]
pub(crate) struct Slots<K> {
    per_peer: usize,
    shared: usize,
    taken: Mutex<Taken<K>>,
}

#[derive(Debug)]
struct Taken<K> {
    by_peer: HashMap<(K, bool), usize>,
    shared: usize,
}

/// A place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot<K: Eq + Hash + Copy> {
    slots: Arc<Slots<K>>,
    peer: (K, bool),
}

impl<K: Eq + Hash + Copy> Slots<K> {
    /// At most `per_peer` places for each, of which all but the first are among the `shared` ones.
    pub fn new(per_peer: usize, shared: usize) -> Arc<Self> {
        Arc::new(Self { per_peer, shared, taken: Mutex::new(Taken { by_peer: HashMap::new(), shared: 0 }) })
    }

    /// A place for this peer, if there is one.
    pub fn take(self: &Arc<Self>, peer: K, member: bool) -> Option<Slot<K>> {
        let mut taken = lock(&self.taken);
        let of_peer = taken.by_peer.get(&(peer, member)).copied().unwrap_or(0);
        let shares = !member && of_peer > 0;
        if of_peer >= self.per_peer || (shares && taken.shared >= self.shared) {
            return None;
        }
        taken.by_peer.insert((peer, member), of_peer + 1);
        taken.shared += usize::from(shares);
        Some(Slot { slots: self.clone(), peer: (peer, member) })
    }
}

impl<K: Eq + Hash + Copy> Drop for Slot<K> {
    fn drop(&mut self) {
        let mut taken = lock(&self.slots.taken);
        match taken.by_peer.get_mut(&self.peer) {
            Some(count) if *count > 1 => {
                *count -= 1;
                // Whichever is given back, the peer's own place is the last one that it keeps.
                taken.shared -= usize::from(!self.peer.1);
            }
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
        let slots = Slots::new(3, 2);
        let of_a: Vec<_> = (0..4).map_while(|_| slots.take('a', false)).collect();
        assert_eq!(of_a.len(), 3);
        let own = slots.take('b', false);
        assert!(own.is_some(), "however many others have taken, the first place is there");
        assert!(slots.take('b', false).is_none());
        drop(of_a);
        let second = slots.take('b', false);
        assert!(second.is_some());
        drop((own, second));
        assert!(lock(&slots.taken).by_peer.is_empty() && lock(&slots.taken).shared == 0);
    }

    #[test]
    fn a_place_that_is_given_back_is_a_shared_one_while_the_peer_has_others() {
        let slots = Slots::new(2, 1);
        let (own, _second) = (slots.take('a', false), slots.take('a', false).unwrap());
        assert!(slots.take('b', false).is_some_and(|_own| slots.take('b', false).is_none()));
        drop(own);
        let _own = slots.take('b', false).unwrap();
        assert!(slots.take('b', false).is_some());
    }

    #[test]
    fn members_have_places_of_their_own() {
        let slots = Slots::new(2, 1);
        let _strangers = [slots.take('a', false).unwrap(), slots.take('a', false).unwrap()];
        let _first = slots.take('m', true).unwrap();
        let _second = slots.take('m', true).unwrap();
        assert!(slots.take('m', true).is_none());
    }
}
