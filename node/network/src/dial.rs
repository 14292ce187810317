//! When to dial whom: for ever, with growing pauses. Pure: time and randomness are arguments.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::{Multiaddr, PeerId};

/// The pause after the first failure; doubled by each that follows.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The pause after a node said that it belongs elsewhere, or that it is ourselves.
pub(crate) const LONG_REST: Duration = Duration::from_secs(600);
/// Most targets. Members of the committee and addresses of the configuration and of the remembered peers are bounded
/// before they come here; this is the last line.
const MAX_TARGETS: usize = 256;

/// Somebody to be connected with.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// A member of the committee, by position.
    Member(usize),
    /// Whoever is at this address (bootstrap, remembered).
    Address(Multiaddr),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Waiting(Instant),
    Dialing,
    Connected,
}

#[derive(Debug)]
struct State {
    peer: Option<PeerId>,
    addresses: Vec<Multiaddr>,
    failures: u32,
    phase: Phase,
}

/// A dial that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dial {
    pub target: Target,
    /// Who has to answer; anybody may when there is none.
    pub peer: Option<PeerId>,
    pub addresses: Vec<Multiaddr>,
}

/// The schedule.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    targets: HashMap<Target, State>,
}

/// The pause after `failures` failures in a row; `random` is in 0..1 and spreads it by a fifth either way.
pub(crate) fn pause(failures: u32, random: f64) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(LONGEST_PAUSE).mul_f64(0.8 + 0.4 * random.clamp(0.0, 1.0))
}

impl Schedule {
    /// Adds an address, due at once.
    pub fn add_address(&mut self, address: Multiaddr, now: Instant) {
        let (_, peer) = crate::address::split(address.clone());
        let target = Target::Address(address.clone());
        if self.targets.len() < MAX_TARGETS && !self.targets.contains_key(&target) {
            let state = State { peer, addresses: vec![address], failures: 0, phase: Phase::Waiting(now) };
            self.targets.insert(target, state);
        }
    }

    /// Sets where a member is, due at once when that is new.
    pub fn set_member(&mut self, position: usize, peer: PeerId, addresses: Vec<Multiaddr>, now: Instant) {
        let room = self.targets.len() < MAX_TARGETS;
        match self.targets.get_mut(&Target::Member(position)) {
            Some(state) if state.peer == Some(peer) && state.addresses == addresses => {}
            Some(state) => {
                // A dial under way to the old address ends by itself, and its end is one more failure at most.
                if state.peer != Some(peer) || state.phase != Phase::Connected {
                    state.phase = Phase::Waiting(now);
                    state.failures = 0;
                }
                state.peer = Some(peer);
                state.addresses = addresses;
            }
            None if room => {
                let state = State { peer: Some(peer), addresses, failures: 0, phase: Phase::Waiting(now) };
                self.targets.insert(Target::Member(position), state);
            }
            None => {}
        }
    }

    /// The dials that are due; they count as under way from now on. Who is connected already is not dialled.
    pub fn due(&mut self, now: Instant, connected: impl Fn(&PeerId) -> bool) -> Vec<Dial> {
        let mut dials = Vec::new();
        for (target, state) in &mut self.targets {
            let Phase::Waiting(at) = state.phase else { continue };
            if at > now {
                continue;
            }
            if state.peer.is_some_and(|peer| connected(&peer)) {
                state.phase = Phase::Connected;
            } else if state.addresses.is_empty() {
                // A member that can only dial itself.
                state.phase = Phase::Waiting(now + LONG_REST);
            } else {
                state.phase = Phase::Dialing;
                dials.push(Dial {
                    target: target.clone(),
                    peer: match target {
                        Target::Member(_) => state.peer,
                        Target::Address(address) => crate::address::split(address.clone()).1,
                    },
                    addresses: state.addresses.clone(),
                });
            }
        }
        dials
    }

    /// When the next dial is due.
    pub fn next(&self) -> Option<Instant> {
        self.targets
            .values()
            .filter_map(|state| if let Phase::Waiting(at) = state.phase { Some(at) } else { None })
            .min()
    }

    /// A dial failed.
    pub fn failed(&mut self, target: &Target, now: Instant, random: f64) {
        if let Some(state) = self.targets.get_mut(target)
            && state.phase == Phase::Dialing
        {
            state.failures = state.failures.saturating_add(1);
            state.phase = Phase::Waiting(now + pause(state.failures, random));
        }
    }

    /// A dial reached this peer. Failures are forgotten only when it has greeted.
    pub fn reached(&mut self, target: &Target, peer: PeerId) {
        if let Some(state) = self.targets.get_mut(target) {
            state.peer = Some(peer);
            state.phase = Phase::Connected;
        }
    }

    /// The peer has greeted: everything works.
    pub fn greeted(&mut self, peer: &PeerId) {
        for state in self.targets.values_mut().filter(|state| state.peer == Some(*peer)) {
            state.failures = 0;
            if !matches!(state.phase, Phase::Dialing) {
                state.phase = Phase::Connected;
            }
        }
    }

    /// The last connection with the peer is gone.
    pub fn lost(&mut self, peer: &PeerId, now: Instant, random: f64) {
        for state in self.targets.values_mut() {
            if state.peer == Some(*peer) && state.phase == Phase::Connected {
                state.failures = state.failures.saturating_add(1);
                state.phase = Phase::Waiting(now + pause(state.failures, random));
            }
        }
    }

    /// The peer is not to be dialled before `until`.
    pub fn rest(&mut self, peer: &PeerId, until: Instant) {
        for state in self.targets.values_mut().filter(|state| state.peer == Some(*peer)) {
            state.phase = Phase::Waiting(until);
        }
    }

    /// The target is not to be dialled before `until`.
    pub fn rest_target(&mut self, target: &Target, until: Instant) {
        if let Some(state) = self.targets.get_mut(target) {
            state.phase = Phase::Waiting(until);
        }
    }

    /// Somebody wants the peer now. Not after a long rest was imposed on it.
    pub fn hurry(&mut self, peer: &PeerId, now: Instant) {
        for state in self.targets.values_mut().filter(|state| state.peer == Some(*peer)) {
            if let Phase::Waiting(at) = state.phase
                && at > now
                && at <= now + LONGEST_PAUSE.mul_f64(1.2)
            {
                state.phase = Phase::Waiting(now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Multiaddr {
        format!("/ip4/192.0.2.1/tcp/{port}").parse().unwrap()
    }

    fn peer(byte: u8) -> PeerId {
        crate::node_id(&[byte; 32]).0
    }

    #[test]
    fn pauses_grow_from_one_second_to_sixty_and_are_spread_by_a_fifth() {
        let seconds: Vec<u64> = (1..=9).map(|failures| pause(failures, 0.5).as_secs_f64().round() as u64).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(pause(u32::MAX, 0.0), Duration::from_secs(48));
        assert_eq!(pause(7, 1.0), Duration::from_secs(72));
    }

    #[test]
    fn a_dead_address_is_dialled_for_ever_and_never_twice_at_a_time() {
        let start = Instant::now();
        let mut schedule = Schedule::default();
        schedule.add_address(address(1), start);
        schedule.add_address(address(1), start);
        let mut now = start;
        for round in 1..20 {
            let dials = schedule.due(now, |_| false);
            assert_eq!(dials.len(), 1, "round {round}");
            assert_eq!(schedule.due(now + Duration::from_secs(1000), |_| false), []);
            schedule.failed(&dials[0].target, now, 0.5);
            now = schedule.next().unwrap();
            assert!(now - start >= pause(round, 0.5));
        }
    }

    #[test]
    fn who_is_connected_is_not_dialled_and_a_lost_peer_is_dialled_again() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.set_member(2, peer(1), vec![address(1)], now);
        assert_eq!(schedule.due(now, |_| true), []);
        assert_eq!(schedule.next(), None);
        schedule.lost(&peer(1), now, 0.5);
        assert_eq!(schedule.due(now, |_| false), []);
        let due = schedule.due(now + Duration::from_secs(1), |_| false);
        assert_eq!(due[0], Dial { target: Target::Member(2), peer: Some(peer(1)), addresses: vec![address(1)] });
    }

    #[test]
    fn a_connection_that_never_greets_does_not_reset_the_pauses() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.add_address(address(1), now);
        let target = Target::Address(address(1));
        let mut at = now;
        for _ in 0..8 {
            assert_eq!(schedule.due(at, |_| false).len(), 1);
            schedule.reached(&target, peer(1));
            schedule.lost(&peer(1), at, 0.5);
            at = schedule.next().unwrap();
        }
        assert!(at - now > Duration::from_secs(120));
        schedule.due(at, |_| false);
        schedule.reached(&target, peer(1));
        schedule.greeted(&peer(1));
        schedule.lost(&peer(1), at, 0.5);
        assert_eq!(schedule.next(), Some(at + Duration::from_secs(1)));
    }

    #[test]
    fn a_member_that_moved_is_dialled_at_once_and_one_that_is_connected_is_left_alone() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.set_member(0, peer(1), vec![address(1)], now);
        let target = schedule.due(now, |_| false).remove(0).target;
        schedule.failed(&target, now, 0.5);
        schedule.set_member(0, peer(1), vec![address(2)], now);
        assert_eq!(schedule.due(now, |_| false)[0].addresses, [address(2)]);
        schedule.reached(&target, peer(1));
        schedule.set_member(0, peer(1), vec![address(3)], now);
        assert_eq!(schedule.due(now, |_| false), []);
    }

    #[test]
    fn a_rest_is_kept_even_when_somebody_is_in_a_hurry() {
        let now = Instant::now();
        let mut schedule = Schedule::default();
        schedule.set_member(0, peer(1), vec![address(1)], now);
        let target = schedule.due(now, |_| false).remove(0).target;
        schedule.failed(&target, now, 0.5);
        schedule.hurry(&peer(1), now);
        assert_eq!(schedule.due(now, |_| false).len(), 1);
        schedule.rest(&peer(1), now + LONG_REST);
        schedule.hurry(&peer(1), now);
        assert_eq!(schedule.due(now + Duration::from_secs(599), |_| false), []);
        assert_eq!(schedule.due(now + LONG_REST, |_| false).len(), 1);
    }
}
