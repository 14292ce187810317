//! How much has to go, and whether a file is one that goes. No clock, no files: both are asked with what was measured.

use pyrsia_store::LastUse;

/// What is to be left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of all blobs.
    pub max_bytes: Option<u64>,
    /// Seconds after its last use after which a file may go.
    pub max_age_s: Option<u64>,
    /// Bytes that are to be free on the disk.
    pub min_free_bytes: Option<u64>,
    /// Whether what a verdict names may go as well.
    pub remove_named: bool,
}

impl Limits {
    /// Whether there is nothing to keep to.
    pub fn is_none(&self) -> bool {
        self.max_bytes.is_none() && self.max_age_s.is_none() && self.min_free_bytes.is_none()
    }
}

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes of all blobs.
    pub stored: u64,
    /// Bytes that are free on the disk.
    pub free: u64,
}

/// Bytes that have to go on account of one limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// With what a running node goes beyond the limit.
    pub wanted: u64,
    /// What the limit asks for.
    pub least: u64,
}

/// What has to go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Need {
    /// From the store, of whatever was unused for the longest time.
    pub stored: Amount,
    /// From the disk, of the same. Bytes that have another name, as in an exported folder, leave the store and not the disk.
    pub disk: Amount,
    /// Besides, whatever was used last before this time, seconds since 1970.
    pub before: u64,
}

/// What is gone already, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gone {
    /// From the store.
    pub stored: u64,
    /// Of those, from the disk too.
    pub disk: u64,
}

impl Gone {
    /// Adds what else is gone.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self { stored: self.stored.saturating_add(more.stored), disk: self.disk.saturating_add(more.disk) }
    }
}

/// Part of a limit by which a running node goes below it once it is exceeded, so that it does not begin anew for each file.
const SLACK: u64 = 20;

impl Need {
    /// What has to go at this time. With `slack` somewhat more than the limits ask for, once they ask for something.
    pub fn of(limits: &Limits, room: Room, now: u64, slack: bool) -> Self {
        let amount = |least: u64, limit: u64| match (least, slack) {
            (0, _) | (_, false) => Amount { wanted: least, least },
            (_, true) => Amount { wanted: least.saturating_add(limit / SLACK), least },
        };
        let stored = limits.max_bytes.map(|limit| amount(room.stored.saturating_sub(limit), limit));
        let disk = limits.min_free_bytes.map(|limit| amount(limit.saturating_sub(room.free), limit));
        let before = limits.max_age_s.map_or(0, |age| now.saturating_sub(age));
        Self { stored: stored.unwrap_or_default(), disk: disk.unwrap_or_default(), before }
    }

    /// Whether nothing has to go on account of room.
    pub fn has_room(&self) -> bool {
        *self == Self { before: self.before, ..Self::default() }
    }

    /// Bytes by which a limit is still exceeded.
    pub fn missing(&self, gone: Gone) -> u64 {
        self.stored.least.saturating_sub(gone.stored).max(self.disk.least.saturating_sub(gone.disk))
    }
}

/// What is to be done about bytes, of which the longest unused are looked at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They go.
    Go,
    /// They would go, but a verdict names them, a build may be reading them, or it would make no room.
    Stay,
    /// They stay, and so does everything that was used later.
    Done,
}

/// What stands against removing bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Holds {
    /// A standing verdict names them.
    pub named: bool,
    /// A build may be reading them.
    pub in_use: bool,
    /// They have another name: they would stay on the disk.
    pub linked: bool,
}

/// Decides about bytes when so many are gone already.
pub fn fate(limits: &Limits, need: &Need, gone: Gone, used: &LastUse, holds: Holds) -> Fate {
    let too_old = used.last_use < need.before;
    let too_much = gone.stored < need.stored.wanted;
    let too_full = gone.disk < need.disk.wanted;
    if !too_old && !too_much && !too_full {
        return Fate::Done;
    }
    let in_vain = holds.linked && !too_old && !too_much;
    if holds.in_use || in_vain || (holds.named && !limits.remove_named) { Fate::Stay } else { Fate::Go }
}

#[cfg(test)]
mod tests {
    use pyrsia_digest::Sha256;

    use super::*;

    const GIB: u64 = 1 << 30;

    fn used(last_use: u64) -> LastUse {
        LastUse { sha256: Sha256::of(b"x"), size: 10, last_use }
    }

    #[test]
    fn without_limits_nothing_goes() {
        let limits = Limits::default();
        assert!(limits.is_none());
        let need = Need::of(&limits, Room { stored: u64::MAX, free: 0 }, u64::MAX, true);
        assert_eq!(need, Need::default());
        assert_eq!(fate(&limits, &need, gone(0), &used(0), Holds::default()), Fate::Done);
    }

    fn gone(bytes: u64) -> Gone {
        Gone { stored: bytes, disk: bytes }
    }

    #[test]
    fn each_limit_has_its_need() {
        let limits = Limits { max_bytes: Some(10 * GIB), min_free_bytes: Some(2 * GIB), ..Limits::default() };
        let need = |stored, free, slack| {
            let need = Need::of(&limits, Room { stored, free }, 0, slack);
            (need.stored.wanted, need.disk.wanted)
        };
        assert_eq!(need(10 * GIB, 2 * GIB, true), (0, 0), "exactly at the limits");
        assert_eq!(need(11 * GIB, 2 * GIB, false), (GIB, 0));
        assert_eq!(need(11 * GIB, 0, false), (GIB, 2 * GIB));
        assert_eq!(need(11 * GIB, 2 * GIB, true), (GIB + GIB / 2, 0), "a little below the limit");
        assert_eq!(need(0, 0, true), (0, 2 * GIB + 2 * GIB / 20));
        let both = Need::of(&limits, Room { stored: 11 * GIB, free: 0 }, 0, true);
        assert_eq!(both.missing(Gone::default()), 2 * GIB);
        assert_eq!(both.missing(Gone { stored: 2 * GIB, disk: 2 * GIB - 1 }), 1);
        assert_eq!(both.missing(Gone { stored: 0, disk: 3 * GIB }), GIB);
    }

    #[test]
    fn age_and_room_are_two_reasons() {
        let limits = Limits { max_age_s: Some(100), max_bytes: Some(0), ..Limits::default() };
        let need = Need::of(&limits, Room { stored: 25, free: 0 }, 1_000, false);
        assert_eq!(need, Need { stored: Amount { wanted: 25, least: 25 }, disk: Amount::default(), before: 900 });
        let fate = |bytes, last_use| fate(&limits, &need, gone(bytes), &used(last_use), Holds::default());
        assert_eq!(fate(25, 899), Fate::Go, "too old, though there is room");
        assert_eq!(fate(25, 900), Fate::Done);
        assert_eq!(fate(24, 900), Fate::Go, "not too old, but too much");
    }

    #[test]
    fn what_a_verdict_names_or_a_build_reads_stays() {
        let mut limits = Limits { max_bytes: Some(0), ..Limits::default() };
        let need = Need { stored: Amount { wanted: 100, least: 100 }, ..Need::default() };
        let (named, in_use) = (Holds { named: true, ..Holds::default() }, Holds { in_use: true, ..Holds::default() });
        let fate = |limits: &Limits, holds| fate(limits, &need, gone(0), &used(5), holds);
        assert_eq!(fate(&limits, named), Fate::Stay);
        assert_eq!(fate(&limits, in_use), Fate::Stay);
        assert_eq!(fate(&limits, Holds::default()), Fate::Go);
        limits.remove_named = true;
        assert_eq!(fate(&limits, named), Fate::Go);
        assert_eq!(fate(&limits, Holds { in_use: true, ..named }), Fate::Stay, "a build is not told away");
    }

    #[test]
    fn what_would_make_no_room_stays() {
        let limits = Limits::default();
        let linked = Holds { linked: true, ..Holds::default() };
        let amount = Amount { wanted: 100, least: 100 };
        let disk = Need { disk: amount, ..Need::default() };
        assert_eq!(fate(&limits, &disk, gone(0), &used(5), linked), Fate::Stay);
        assert_eq!(fate(&limits, &disk, Gone { stored: 500, disk: 99 }, &used(5), Holds::default()), Fate::Go);
        assert_eq!(fate(&limits, &disk, Gone { stored: 0, disk: 100 }, &used(5), Holds::default()), Fate::Done);
        for need in [Need { stored: amount, ..disk }, Need { before: 6, ..disk }] {
            assert_eq!(
                fate(&limits, &need, gone(0), &used(5), linked),
                Fate::Go,
                "the store is to be smaller all the same"
            );
        }
    }
}
