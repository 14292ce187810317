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

/// What has to go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Need {
    /// Bytes, of whatever was unused for the longest time.
    pub bytes: u64,
    /// Of those, the ones that the limits ask for.
    pub least: u64,
    /// Besides, whatever was used last before this time, seconds since 1970.
    pub before: u64,
}

/// Part of a limit by which a running node goes below it once it is exceeded, so that it does not begin anew for each file.
const SLACK: u64 = 20;

impl Need {
    /// What has to go at this time. With `slack` somewhat more than the limits ask for, once they ask for something.
    pub fn of(limits: &Limits, room: Room, now: u64, slack: bool) -> Self {
        let stored = limits.max_bytes.map_or((0, 0), |limit| (room.stored.saturating_sub(limit), limit));
        let free = limits.min_free_bytes.map_or((0, 0), |limit| (limit.saturating_sub(room.free), limit));
        let more = |(excess, limit): (u64, u64)| match (excess, slack) {
            (0, _) | (_, false) => excess,
            (excess, true) => excess.saturating_add(limit / SLACK),
        };
        let before = limits.max_age_s.map_or(0, |age| now.saturating_sub(age));
        Self { bytes: more(stored).max(more(free)), least: stored.0.max(free.0), before }
    }

    /// Whether nothing has to go on account of room.
    pub fn has_room(&self) -> bool {
        self.bytes == 0
    }
}

/// What is to be done about bytes, of which the longest unused are looked at first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// They go.
    Go,
    /// They would go, but a verdict names them or a build may be reading them.
    Stay,
    /// They stay, and so does everything that was used later.
    Done,
}

/// Decides about bytes when `gone` bytes are gone already. `named`: a standing verdict names them. `in_use`: a build may be
/// reading them.
pub fn fate(limits: &Limits, need: &Need, gone: u64, used: &LastUse, named: bool, in_use: bool) -> Fate {
    let too_old = used.last_use < need.before;
    let too_much = gone < need.bytes;
    if !too_old && !too_much {
        return Fate::Done;
    }
    if in_use || (named && !limits.remove_named) { Fate::Stay } else { Fate::Go }
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
        assert_eq!(fate(&limits, &need, 0, &used(0), false, false), Fate::Done);
    }

    #[test]
    fn the_larger_of_two_needs_counts() {
        let limits = Limits { max_bytes: Some(10 * GIB), min_free_bytes: Some(2 * GIB), ..Limits::default() };
        let need = |stored, free, slack| Need::of(&limits, Room { stored, free }, 0, slack).bytes;
        assert_eq!(need(10 * GIB, 2 * GIB, true), 0, "exactly at the limits");
        assert_eq!(need(11 * GIB, 2 * GIB, false), GIB);
        assert_eq!(need(11 * GIB, 0, false), 2 * GIB);
        assert_eq!(need(11 * GIB, 2 * GIB, true), GIB + GIB / 2, "a little below the limit");
        assert_eq!(need(0, 0, true), 2 * GIB + 2 * GIB / 20);
    }

    #[test]
    fn age_and_room_are_two_reasons() {
        let limits = Limits { max_age_s: Some(100), max_bytes: Some(0), ..Limits::default() };
        let need = Need::of(&limits, Room { stored: 25, free: 0 }, 1_000, false);
        assert_eq!(need, Need { bytes: 25, least: 25, before: 900 });
        assert_eq!(fate(&limits, &need, 25, &used(899), false, false), Fate::Go, "too old, though there is room");
        assert_eq!(fate(&limits, &need, 25, &used(900), false, false), Fate::Done);
        assert_eq!(fate(&limits, &need, 24, &used(900), false, false), Fate::Go, "not too old, but too much");
    }

    #[test]
    fn what_a_verdict_names_or_a_build_reads_stays() {
        let mut limits = Limits { max_bytes: Some(0), ..Limits::default() };
        let need = Need { bytes: 100, least: 100, before: 0 };
        assert_eq!(fate(&limits, &need, 0, &used(5), true, false), Fate::Stay);
        assert_eq!(fate(&limits, &need, 0, &used(5), false, true), Fate::Stay);
        assert_eq!(fate(&limits, &need, 0, &used(5), false, false), Fate::Go);
        limits.remove_named = true;
        assert_eq!(fate(&limits, &need, 0, &used(5), true, false), Fate::Go);
        assert_eq!(fate(&limits, &need, 0, &used(5), true, true), Fate::Stay, "a build is not told away");
    }
}
