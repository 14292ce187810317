//! Which units of its own this member knows: those of its backup, and those that it has made since.
//!
//! A unit of this member that comes to be ordered and is neither is proof that this member signed things that it no longer
//! has: the end of its backup is lost although it was written (a disk that forgot, a directory that was restored), or its key
//! is used in a second place. AlephBFT notices that too, and then makes no more units, without a word to anybody but its log.

use std::sync::atomic::{AtomicU64, Ordering};

use aleph_bft::Round;

/// See the module's documentation. A member makes one unit in each round, without gaps.
pub(crate) struct OwnUnits {
    me: usize,
    /// The first round in which this member has made no unit.
    next: AtomicU64,
}

impl OwnUnits {
    /// Member `me`, with these encoded units in its backup.
    pub(crate) fn of_backup(me: usize, units: &[Vec<u8>]) -> Self {
        let own = units.iter().filter_map(|unit| coordinates(unit)).filter(|(_, creator)| *creator == me as u64);
        let next = own.map(|(round, _)| u64::from(round) + 1).max().unwrap_or(0);
        Self { me, next: AtomicU64::new(next) }
    }

    /// This member makes its next unit.
    pub(crate) fn make(&self) {
        self.next.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether this is a unit of this member that it does not know.
    pub(crate) fn is_unknown(&self, creator: usize, round: Round) -> bool {
        creator == self.me && u64::from(round) >= self.next.load(Ordering::SeqCst)
    }
}

/// Round and creator of an encoded unit, which begins with them: `u16`, `u64`, little endian.
fn coordinates(unit: &[u8]) -> Option<(Round, u64)> {
    let (round, rest) = unit.split_first_chunk::<2>()?;
    let (creator, _) = rest.split_first_chunk::<8>()?;
    Some((Round::from_le_bytes(*round), u64::from_le_bytes(*creator)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(round: u16, creator: u64) -> Vec<u8> {
        [&round.to_le_bytes()[..], &creator.to_le_bytes(), b"the rest of it"].concat()
    }

    #[test]
    fn units_of_the_backup_and_new_ones_are_known() {
        let own = OwnUnits::of_backup(2, &[unit(0, 2), unit(0, 1), unit(1, 2), unit(7, 1), b"short".to_vec()]);
        assert!(!own.is_unknown(2, 1));
        assert!(own.is_unknown(2, 2), "not in the backup, and not made since");
        assert!(!own.is_unknown(1, 9), "somebody else's");
        own.make();
        assert!(!own.is_unknown(2, 2));
        assert!(own.is_unknown(2, 3));
    }

    #[test]
    fn an_empty_backup_knows_nothing() {
        let own = OwnUnits::of_backup(0, &[]);
        assert!(own.is_unknown(0, 0));
        own.make();
        assert!(!own.is_unknown(0, 0));
    }
}
