//! Who may create a unit, and with what: the decisions of an orderer, without a runtime and without a clock.
//!
//! AlephBFT asks its provider of data before each unit, and waits for the answer. The *gate* uses that: while nobody knows
//! of an entry that is not final, the answer does not come, and so no unit is created anywhere. An entry becomes final
//! only if enough members create units, so a member that has work tells the others (a *hint*, every second), and they
//! open their gates for a few seconds. Without hints this would deadlock.
//!
//! Sessions below `active` are *draining*: finished here, but kept so that a member that lags can finish them. Sessions
//! above it have been started early, with a closed gate.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use pyrsia_replica::OrderedBatch;

use crate::pool::Pool;
use crate::session::{Cut, SessionOrder, Step};
use crate::types::{EntryName, Payload};
use crate::wire::Hint;

/// How long a hint keeps the gate open. Hints come every second, so that some may be lost.
const HINT_LEASE: Duration = Duration::from_secs(5);
/// Work of others that brings nothing for this long is thought not to end (its author may have been excluded).
const STALE_AFTER: Duration = Duration::from_secs(60);
/// One unit in this time for stale work, so that a stall heals all the same.
const STALE_PACE: Duration = Duration::from_secs(30);
/// Others' entries that are remembered at most.
const MAX_FOREIGN: usize = 4096;
/// A member that sits out believes others that they are in a session this far beyond the ledger's, not more: one of them may
/// lie, and would keep it out for ever.
const BELIEVED_AHEAD: u64 = 2;
/// How long a network of one waits for its backup to bring the batches that its ledger has. They come at once, or never.
const REDELIVERY: Duration = Duration::from_secs(2);
/// Bytes of agreed entries that the receiver has not taken, from which on nothing new is proposed.
const MAX_BACKLOG_BYTES: usize = 4 * 1024 * 1024;

/// The gate's answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Create a unit with this data.
    Propose(Payload),
    /// Create a unit without data.
    Empty,
    /// Create none; ask again when something changes, or at the given time.
    Wait(Option<Instant>),
    /// Create none, ever: the backup of the session ends before the ledger does.
    Short,
}

/// What the supervisor has to do, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Hand the batch over; then strike these entries of this member off the journal.
    Batch {
        /// The batch.
        batch: OrderedBatch,
        /// Entries of this member that became final.
        own: Vec<EntryName>,
    },
    /// Start this session, with a closed gate.
    StartEarly(u64),
    /// This session is finished, the next one is active.
    Finished(u64),
}

#[derive(Debug, Clone, Copy, Default)]
struct Peer {
    session: u64,
    working_until: Option<Instant>,
}

/// The state behind the gate. All times are arguments.
pub(crate) struct Core {
    me: usize,
    peers: Vec<Peer>,
    cut: Cut,
    active: u64,
    orders: BTreeMap<u64, SessionOrder>,
    /// Steps of sessions above `active`, which can be final here before the end of the active one is known.
    held: BTreeMap<u64, Vec<Step>>,
    pool: Pool,
    /// Others' entries in units of the active session, with the time they were first seen. Stale ones stay, so that
    /// seeing them again does not make them new.
    foreign: HashMap<EntryName, Instant>,
    foreign_reason_since: Option<Instant>,
    last_progress: Option<Instant>,
    last_stale_unit: Option<Instant>,
    backlog_bytes: usize,
    sitting_out: Option<SittingOut>,
    /// In a network of one: session and index of the last batch in the ledger, all of which the backup has to bring again.
    stored: Option<(u64, u64)>,
    /// Since when AlephBFT would make a unit and that batch has not come.
    short_since: Option<Instant>,
}

/// What is heard while this member takes no part.
#[derive(Debug)]
struct SittingOut {
    /// Members whose first word came.
    heard: Vec<bool>,
    newest: u64,
}

impl Core {
    /// Member `me` of `members`, whose next session is `active`.
    pub(crate) fn new(me: usize, members: usize, cut: Cut, max_pending: usize, active: u64) -> Self {
        Self {
            me,
            peers: vec![Peer::default(); members],
            cut,
            active,
            orders: BTreeMap::new(),
            held: BTreeMap::new(),
            pool: Pool::new(max_pending),
            foreign: HashMap::new(),
            foreign_reason_since: None,
            last_progress: None,
            last_stale_unit: None,
            backlog_bytes: 0,
            sitting_out: None,
            stored: None,
            short_since: None,
        }
    }

    /// In a network of one, whose units nobody else has: the ledger has this batch, so a backup without it has lost its end.
    /// Going on there would give the numbers of stored batches to others.
    pub(crate) fn expect(&mut self, session: u64, index: u64) {
        self.stored = Some((session, index));
    }

    /// Whether the active session's backup has not brought what the ledger has of it.
    pub(crate) fn is_short(&self) -> bool {
        self.stored.is_some_and(|(session, index)| session == self.active && self.active_batches() <= index)
    }

    /// This member takes no part in the active session, or takes part again.
    pub(crate) fn sit_out(&mut self, sits_out: bool) {
        if !sits_out {
            self.sitting_out = None;
        } else if self.sitting_out.is_none() {
            self.sitting_out = Some(SittingOut { heard: vec![false; self.peers.len()], newest: self.active });
        }
    }

    /// While this member sits out: the newest session that another one was in when it was first heard.
    pub(crate) fn newest_heard(&self) -> Option<u64> {
        self.sitting_out.as_ref().map(|sitting| sitting.newest)
    }

    /// The ledger has batches of `session`, which came from elsewhere: leaves all sessions before it for good.
    pub(crate) fn jump(&mut self, session: u64, now: Instant) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        if session > self.active {
            self.active = session;
            self.held = self.held.split_off(&session);
            self.turn_to_active();
            self.take_held(now, &mut outcomes);
        }
        outcomes
    }

    /// The session that this member takes part in.
    pub(crate) fn active(&self) -> u64 {
        self.active
    }

    /// Batches of the active session so far.
    pub(crate) fn active_batches(&self) -> u64 {
        self.orders.get(&self.active).map_or(0, SessionOrder::next_index)
    }

    /// The active session cannot be run (its backup is lost): go on with the next one. Only for a network of one, and
    /// before the session has brought anything.
    pub(crate) fn skip_active(&mut self) {
        self.active += 1;
    }

    /// True when the entry waits already.
    pub(crate) fn is_pending(&self, name: &EntryName) -> bool {
        self.pool.contains(name)
    }

    /// The number of waiting entries, when no other fits.
    pub(crate) fn full(&self) -> Option<usize> {
        self.pool.is_full().then(|| self.pool.len())
    }

    /// Number of this member's entries that are not final.
    pub(crate) fn pending(&self) -> usize {
        self.pool.len()
    }

    /// Takes an entry of this member. One that was ordered before is ordered again: it may have been refused then, and
    /// be acceptable now.
    pub(crate) fn submit(&mut self, name: EntryName, entry: Vec<u8>) {
        self.pool.add(name, entry);
    }

    /// A unit of another member with this data passed by.
    pub(crate) fn saw(&mut self, session: u64, payload: &Payload, now: Instant) {
        if session != self.active {
            return;
        }
        let order = self.orders.get(&session);
        for entry in &payload.0 {
            let name = EntryName::of(entry);
            let is_final = order.is_some_and(|order| order.contains(&name));
            if !is_final && self.foreign.len() < MAX_FOREIGN {
                self.foreign.entry(name).or_insert(now);
            }
        }
    }

    /// A hint of member `from` came. True when [`Core::newest_heard`] has changed.
    pub(crate) fn hint(&mut self, from: usize, hint: Hint, now: Instant) -> bool {
        if from == self.me {
            return false;
        }
        if let Some(peer) = self.peers.get_mut(from) {
            peer.session = hint.session;
            peer.working_until = hint.working.then_some(now + HINT_LEASE);
        }
        let Some(sitting) = &mut self.sitting_out else {
            return false;
        };
        let is_first = sitting.heard.get_mut(from).is_some_and(|heard| !std::mem::replace(heard, true));
        let believed = hint.session.min(self.active.saturating_add(BELIEVED_AHEAD));
        let is_newer = is_first && believed > sitting.newest;
        if is_newer {
            sitting.newest = believed;
        }
        is_newer
    }

    /// What to tell the others.
    pub(crate) fn own_hint(&self, now: Instant) -> Hint {
        let has_reason = self.pool.len() > 0 || self.has_fresh_foreign(now) || self.is_behind();
        // Who sits out does not keep the others awake with what it cannot propose.
        Hint { session: self.active, working: has_reason && self.sitting_out.is_none() }
    }

    /// True while units may be created for any reason.
    pub(crate) fn is_awake(&self, now: Instant) -> bool {
        self.sitting_out.is_none() && (self.own_hint(now).working || self.is_hinted(now, u64::MAX))
    }

    /// May session `session` create a unit?
    pub(crate) fn decide(&mut self, session: u64, now: Instant) -> Decision {
        if session > self.active {
            return Decision::Wait(None);
        }
        if session < self.active {
            return if self.is_hinted(now, session) { Decision::Empty } else { Decision::Wait(None) };
        }
        if self.is_short() {
            let until = *self.short_since.get_or_insert(now) + REDELIVERY;
            return if now < until { Decision::Wait(Some(until)) } else { Decision::Short };
        }
        if self.backlog_bytes < MAX_BACKLOG_BYTES
            && let Some(payload) = self.pool.propose()
        {
            return Decision::Propose(payload);
        }
        if self.pool.len() > 0 && self.backlog_bytes < MAX_BACKLOG_BYTES {
            return Decision::Empty;
        }
        self.decide_for_others(now)
    }

    fn decide_for_others(&mut self, now: Instant) -> Decision {
        if !(self.has_fresh_foreign(now) || self.is_behind() || self.is_hinted(now, u64::MAX)) {
            self.foreign_reason_since = None;
            return Decision::Wait(None);
        }
        let since = *self.foreign_reason_since.get_or_insert(now);
        let since = self.last_progress.map_or(since, |progress| progress.max(since));
        if now.saturating_duration_since(since) < STALE_AFTER {
            return Decision::Empty;
        }
        let next = self.last_stale_unit.map_or(now, |last| last + STALE_PACE);
        if now < next {
            return Decision::Wait(Some(next));
        }
        self.last_stale_unit = Some(now);
        Decision::Empty
    }

    /// AlephBFT agreed on the next batch of `session`.
    pub(crate) fn on_batch(&mut self, session: u64, payloads: Vec<Payload>, now: Instant) -> Vec<Outcome> {
        let cut = self.cut;
        let order = self.orders.entry(session).or_insert_with(|| SessionOrder::new(session, cut));
        let step = order.on_batch(payloads);
        let mut outcomes = Vec::new();
        if session < self.active || step == Step::default() {
            return outcomes;
        }
        if session > self.active {
            self.held.entry(session).or_default().push(step);
            return outcomes;
        }
        self.take(step, now, &mut outcomes);
        self.take_held(now, &mut outcomes);
        outcomes
    }

    /// Takes what was final in a session before it became the active one.
    fn take_held(&mut self, now: Instant, outcomes: &mut Vec<Outcome>) {
        while let Some(steps) = self.held.remove(&self.active) {
            let of = self.active;
            for step in steps {
                self.take(step, now, outcomes);
            }
            if self.active == of {
                break;
            }
        }
    }

    fn take(&mut self, step: Step, now: Instant, outcomes: &mut Vec<Outcome>) {
        let mut own = Vec::new();
        for name in step.names {
            self.foreign.remove(&name);
            if self.pool.remove(&name) {
                own.push(name);
            }
        }
        let last = step.batches.len().saturating_sub(1);
        for (number, batch) in step.batches.into_iter().enumerate() {
            self.last_progress = Some(now);
            self.backlog_bytes += batch_bytes(&batch);
            // Struck off the journal when all of them have been handed over.
            let own = if number == last { std::mem::take(&mut own) } else { Vec::new() };
            outcomes.push(Outcome::Batch { batch, own });
        }
        if step.near_cut {
            outcomes.push(Outcome::StartEarly(self.active + 1));
        }
        if step.cut {
            outcomes.push(Outcome::Finished(self.active));
            self.active += 1;
            self.turn_to_active();
        }
    }

    fn turn_to_active(&mut self) {
        self.pool.start_over();
        self.foreign.clear();
        // A finished session's order is still needed: AlephBFT goes on there for the sake of others.
        let oldest = self.active.saturating_sub(1);
        self.orders = self.orders.split_off(&oldest);
    }

    /// The receiver took a batch.
    pub(crate) fn delivered(&mut self, batch: usize) {
        self.backlog_bytes = self.backlog_bytes.saturating_sub(batch);
    }

    fn has_fresh_foreign(&self, now: Instant) -> bool {
        self.foreign.values().any(|since| now.saturating_duration_since(*since) < STALE_AFTER)
    }

    /// True when a member that works at `session` or before it has said so recently.
    fn is_hinted(&self, now: Instant, session: u64) -> bool {
        self.peers.iter().any(|peer| peer.session <= session && peer.working_until.is_some_and(|until| now < until))
    }

    /// True when so many members are in later sessions that one of them is honest.
    fn is_behind(&self) -> bool {
        let tolerated = self.peers.len().saturating_sub(1) / 3;
        let ahead = self.peers.iter().filter(|peer| peer.session > self.active).count();
        ahead > tolerated
    }
}

/// Bytes of a batch's entries.
pub(crate) fn batch_bytes(batch: &OrderedBatch) -> usize {
    batch.entries.iter().map(Vec::len).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUT: Cut = Cut { batches: 4, bytes: 10_000 };

    fn core(members: usize) -> (Core, Instant) {
        (Core::new(0, members, CUT, 100, 0), Instant::now())
    }

    fn submit(core: &mut Core, entry: &[u8]) {
        core.submit(EntryName::of(entry), entry.to_vec());
    }

    fn payload(entry: &[u8]) -> Payload {
        Payload(vec![entry.to_vec()])
    }

    const WORKING: Hint = Hint { session: 0, working: true };
    const DONE: Hint = Hint { session: 0, working: false };

    #[test]
    fn idle_means_no_unit() {
        let (mut core, now) = core(4);
        assert_eq!(core.decide(0, now), Decision::Wait(None));
        assert!(!core.is_awake(now));
        assert_eq!(core.own_hint(now), DONE);
    }

    #[test]
    fn own_work_is_proposed_once_and_keeps_the_gate_open_until_it_is_final() {
        let (mut core, now) = core(4);
        submit(&mut core, b"a");
        assert_eq!(core.decide(0, now), Decision::Propose(payload(b"a")));
        assert_eq!(core.decide(0, now), Decision::Empty);
        assert_eq!(core.own_hint(now), WORKING);
        let outcomes = core.on_batch(0, vec![payload(b"a")], now);
        assert!(matches!(&outcomes[..], [Outcome::Batch { own, .. }] if own.len() == 1));
        assert_eq!(core.decide(0, now), Decision::Wait(None));
        assert_eq!(core.own_hint(now), DONE);
        submit(&mut core, b"a");
        assert_eq!(core.decide(0, now), Decision::Propose(payload(b"a")), "submitted anew");
    }

    #[test]
    fn a_backup_that_ends_before_the_ledger_is_waited_for_and_then_given_up() {
        let (mut core, now) = core(1);
        core.expect(0, 1);
        submit(&mut core, b"a");
        core.on_batch(0, vec![payload(b"x")], now);
        assert_eq!(core.decide(0, now), Decision::Wait(Some(now + REDELIVERY)));
        assert_eq!(core.decide(0, now + REDELIVERY), Decision::Short);
        assert!(core.is_short());
        // The batch comes after all: nothing is lost.
        core.on_batch(0, vec![payload(b"y")], now);
        assert!(!core.is_short());
        assert_eq!(core.decide(0, now + REDELIVERY), Decision::Propose(payload(b"a")));
    }

    #[test]
    fn work_of_others_opens_the_gate_by_hint_and_by_sight() {
        let (mut core, now) = core(4);
        core.hint(2, WORKING, now);
        assert_eq!(core.decide(0, now), Decision::Empty);
        assert_eq!(core.own_hint(now), DONE, "a hint is no reason for a hint: they would never end");
        assert_eq!(core.decide(0, now + HINT_LEASE), Decision::Wait(None));
        core.saw(0, &payload(b"x"), now);
        assert_eq!(core.decide(0, now), Decision::Empty);
        assert_eq!(core.own_hint(now), WORKING);
        core.on_batch(0, vec![payload(b"x")], now);
        core.saw(0, &payload(b"x"), now);
        core.hint(2, DONE, now);
        assert_eq!(core.decide(0, now), Decision::Wait(None));
    }

    #[test]
    fn work_that_never_ends_slows_down_but_does_not_stop() {
        let (mut core, start) = core(4);
        core.saw(0, &payload(b"x"), start);
        assert_eq!(core.decide(0, start), Decision::Empty);
        let mut units = 0;
        for second in 0..300 {
            let now = start + Duration::from_secs(second);
            core.hint(1, WORKING, now);
            core.saw(0, &payload(b"x"), now);
            if second >= 60 && core.decide(0, now) == Decision::Empty {
                units += 1;
            }
        }
        assert_eq!(units, 8);
        assert_eq!(core.own_hint(start + Duration::from_secs(60)), DONE);
    }

    #[test]
    fn the_cut_moves_on_and_proposes_again() {
        let (mut core, now) = core(4);
        submit(&mut core, b"a");
        assert!(matches!(core.decide(0, now), Decision::Propose(_)));
        assert_eq!(core.decide(1, now), Decision::Wait(None));
        let mut outcomes = Vec::new();
        for _ in 0..4 {
            outcomes.extend(core.on_batch(0, Vec::new(), now));
        }
        assert_eq!(outcomes, vec![Outcome::StartEarly(1), Outcome::Finished(0)]);
        assert_eq!(core.on_batch(0, vec![payload(b"a")], now), vec![], "after the cut");
        assert_eq!(core.decide(0, now), Decision::Wait(None));
        assert_eq!(core.decide(1, now), Decision::Propose(payload(b"a")));
    }

    #[test]
    fn a_finished_session_creates_units_for_members_that_lag() {
        let (mut core, now) = core(4);
        for _ in 0..4 {
            core.on_batch(0, Vec::new(), now);
        }
        core.hint(3, WORKING, now);
        assert_eq!(core.decide(0, now), Decision::Empty);
        core.hint(3, Hint { session: 1, working: true }, now);
        assert_eq!(core.decide(0, now), Decision::Wait(None));
        assert_eq!(core.decide(1, now), Decision::Empty);
    }

    #[test]
    fn one_member_alone_cannot_claim_that_we_are_behind() {
        let (mut core, now) = core(4);
        let ahead = Hint { session: 9, working: false };
        core.hint(1, ahead, now);
        assert_eq!(core.decide(0, now), Decision::Wait(None));
        core.hint(2, ahead, now);
        assert_eq!(core.decide(0, now), Decision::Empty);
        assert!(core.own_hint(now).working);
    }

    #[test]
    fn batches_of_the_next_session_wait_for_the_end_of_this_one() {
        let (mut core, now) = core(4);
        assert_eq!(core.on_batch(1, vec![payload(b"b")], now), vec![]);
        assert_eq!(core.on_batch(0, vec![payload(b"a")], now).len(), 1);
        core.on_batch(0, Vec::new(), now);
        core.on_batch(0, Vec::new(), now);
        let outcomes = core.on_batch(0, Vec::new(), now);
        let [Outcome::Finished(0), Outcome::Batch { batch, .. }] = &outcomes[..] else {
            panic!("{outcomes:?}");
        };
        assert_eq!((batch.session, batch.index), (1, 0));
        assert_eq!(core.active(), 1);
        assert_eq!(core.active_batches(), 1);
    }

    #[test]
    fn a_receiver_that_lags_stops_proposals() {
        let (mut core, now) = core(1);
        core.cut.bytes = u64::MAX;
        core.cut.batches = u64::MAX;
        let mut bytes = 0;
        for number in 0..400u32 {
            let mut entry = vec![0; 16 * 1024];
            entry[..4].copy_from_slice(&number.to_le_bytes());
            for outcome in core.on_batch(0, vec![payload(&entry)], now) {
                if let Outcome::Batch { batch, .. } = outcome {
                    bytes += batch_bytes(&batch);
                }
            }
        }
        submit(&mut core, b"a");
        assert_eq!(core.decide(0, now), Decision::Wait(None));
        core.delivered(bytes);
        assert_eq!(core.decide(0, now), Decision::Propose(payload(b"a")));
    }

    #[test]
    fn a_jump_leaves_old_sessions_and_takes_what_the_new_one_has_brought_already() {
        let (mut core, now) = core(4);
        submit(&mut core, b"a");
        assert_eq!(core.decide(0, now), Decision::Propose(payload(b"a")));
        core.on_batch(1, vec![payload(b"dropped")], now);
        assert_eq!(core.on_batch(2, vec![payload(b"b")], now), vec![]);
        let outcomes = core.jump(2, now);
        assert!(matches!(&outcomes[..], [Outcome::Batch { batch, .. }] if (batch.session, batch.index) == (2, 0)));
        assert_eq!((core.active(), core.active_batches()), (2, 1));
        assert_eq!(core.decide(2, now), Decision::Propose(payload(b"a")), "proposed again");
        assert_eq!(
            core.on_batch(0, vec![payload(b"a")], now),
            vec![],
            "what the old one still brings is not handed over"
        );
        assert_eq!(core.jump(1, now), vec![], "never back");
        assert_eq!(core.active(), 2);
    }

    #[test]
    fn who_sits_out_wakes_nobody_and_remembers_the_first_word_of_each() {
        let (mut core, now) = core(4);
        submit(&mut core, b"a");
        core.sit_out(true);
        for peer in 1..4 {
            core.hint(peer, Hint { session: 1, working: true }, now);
        }
        assert_eq!(core.newest_heard(), Some(1));
        assert!(!core.hint(1, Hint { session: 2, working: true }, now), "a later word of the same member");
        assert_eq!(core.own_hint(now), DONE);
        assert!(!core.is_awake(now));
        core.sit_out(false);
        assert_eq!(core.newest_heard(), None);
        core.sit_out(true);
        assert!(core.hint(3, Hint { session: u64::MAX, working: false }, now));
        assert_eq!(core.newest_heard(), Some(BELIEVED_AHEAD), "a liar is believed so far");
    }
}
