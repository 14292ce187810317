//! Who is connected, and what is known about them. Pure: time is an argument.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::swarm::ConnectionId;

/// How long a connection may last without a greeting.
pub(crate) const GREETING_TIME: Duration = Duration::from_secs(15);
/// The shortest time between two announcements of news to one peer.
pub(crate) const TELL_PAUSE: Duration = Duration::from_secs(1);
/// Greetings that one peer may send in a minute.
const HELLOS_PER_MINUTE: u32 = 120;
/// Most connections with one peer. Two arise when both dial at once.
pub(crate) const MAX_CONNECTIONS: usize = 4;
/// Most bytes of the agent's text that are kept.
const MAX_AGENT_BYTES: usize = 64;

#[derive(Debug, Clone)]
pub(crate) struct Connection {
    pub id: ConnectionId,
    pub address: String,
    pub outbound: bool,
}

#[derive(Debug, Clone, Copy)]
struct Greeted {
    instance: u64,
    /// The member of the committee as which it presented itself, with a record that checked out.
    member: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    connections: Vec<Connection>,
    greeted: Option<Greeted>,
    agent: String,
    since: Instant,
    since_clock: u64,
    /// The version of the book that it was told last, and when.
    told: u64,
    told_at: Instant,
    /// Greetings of this node that are under way.
    greetings: u32,
    hellos: u32,
    hellos_since: Instant,
}

impl Entry {
    fn is_behind(&self, version: u64) -> bool {
        self.greeted.is_some() && self.told < version && self.greetings == 0
    }

    fn is_wanted(&self) -> bool {
        self.connections.iter().any(|connection| connection.outbound)
    }
}

/// What one entry looks like from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub peer: PeerId,
    pub address: String,
    pub outbound: bool,
    pub member: Option<usize>,
    pub agent: String,
    pub since_clock: u64,
}

/// What a greeting changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Greet {
    /// There is no connection with this peer any more.
    Gone,
    /// Welcome. `restarted`: it is another run of the node than the one that greeted before.
    Welcome {
        /// Whether it is another run of the node.
        restarted: bool,
    },
    /// All places are taken.
    Full,
}

/// The peers.
#[derive(Debug)]
pub(crate) struct Table {
    peers: HashMap<PeerId, Entry>,
    max_peers: usize,
}

impl Table {
    pub fn new(max_peers: usize) -> Self {
        Self { peers: HashMap::new(), max_peers }
    }

    /// A connection was made. False: one too many, to be closed.
    pub fn connected(&mut self, peer: PeerId, connection: Connection, now: Instant, clock: u64) -> bool {
        let entry = self.peers.entry(peer).or_insert_with(|| Entry {
            connections: Vec::new(),
            greeted: None,
            agent: String::new(),
            since: now,
            since_clock: clock,
            told: 0,
            told_at: now,
            greetings: 0,
            hellos: 0,
            hellos_since: now,
        });
        entry.connections.push(connection);
        entry.connections.len() <= MAX_CONNECTIONS
    }

    /// A connection is gone. True: it was the last one with this peer.
    pub fn closed(&mut self, peer: &PeerId, id: ConnectionId) -> bool {
        let Some(entry) = self.peers.get_mut(peer) else { return false };
        entry.connections.retain(|connection| connection.id != id);
        let last = entry.connections.is_empty();
        if last {
            self.peers.remove(peer);
        }
        last
    }

    pub fn is_connected(&self, peer: &PeerId) -> bool {
        self.peers.contains_key(peer)
    }

    pub fn is_greeted(&self, peer: &PeerId) -> bool {
        self.peers.get(peer).is_some_and(|entry| entry.greeted.is_some())
    }

    /// The member as which the peer presented itself.
    pub fn presented(&self, peer: &PeerId) -> Option<usize> {
        self.peers.get(peer)?.greeted?.member
    }

    /// All connections with the peer but the newest.
    pub fn older(&self, peer: &PeerId) -> Vec<ConnectionId> {
        let Some(entry) = self.peers.get(peer) else { return Vec::new() };
        entry.connections.split_last().map_or_else(Vec::new, |(_, older)| older.iter().map(|older| older.id).collect())
    }

    pub fn set_agent(&mut self, peer: &PeerId, agent: &str) {
        if let Some(entry) = self.peers.get_mut(peer) {
            let printable = agent.chars().filter(|c| !c.is_control());
            entry.agent = printable.take(MAX_AGENT_BYTES / 4).collect();
        }
    }

    /// Whether the peer may greet (again) now.
    pub fn may_greet(&mut self, peer: &PeerId, now: Instant) -> bool {
        // Its stream can be here before the event of its connection.
        let Some(entry) = self.peers.get_mut(peer) else { return true };
        if now - entry.hellos_since >= Duration::from_secs(60) {
            (entry.hellos, entry.hellos_since) = (0, now);
        }
        entry.hellos += 1;
        entry.hellos <= HELLOS_PER_MINUTE
    }

    /// The peer has greeted, and everything in its greeting checked out. `member` was verified; `entitled` says that it
    /// needs no place of the common ones. Neither do those that this node dialled: it wants them.
    pub fn greet(&mut self, peer: &PeerId, instance: u64, member: Option<usize>, entitled: bool) -> Greet {
        let others = self.peers.iter().filter(|(other, entry)| {
            *other != peer && !entry.is_wanted() && entry.greeted.is_some_and(|greeted| greeted.member.is_none())
        });
        let full = others.count() >= self.max_peers;
        let Some(entry) = self.peers.get_mut(peer) else { return Greet::Gone };
        if full && !entitled && !entry.is_wanted() {
            return Greet::Full;
        }
        let before = entry.greeted.replace(Greeted { instance, member });
        let restarted = before.is_some_and(|before| before.instance != instance);
        if restarted {
            entry.told = 0;
        }
        Greet::Welcome { restarted }
    }

    /// The version of the book that a greeting to the peer will hold: it is told with it.
    pub fn telling(&mut self, peer: &PeerId, version: u64, now: Instant) {
        if let Some(entry) = self.peers.get_mut(peer) {
            (entry.told, entry.told_at) = (version, now);
        }
    }

    /// A greeting of this node's begins; until it ends, there is no other.
    pub fn begin(&mut self, peer: &PeerId) {
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.greetings += 1;
        }
    }

    /// It ended.
    pub fn end(&mut self, peer: &PeerId) {
        if let Some(entry) = self.peers.get_mut(peer) {
            entry.greetings = entry.greetings.saturating_sub(1);
        }
    }

    /// The peers that are to be told of the newest book now.
    pub fn to_tell(&self, version: u64, now: Instant) -> Vec<PeerId> {
        let old = self.peers.iter().filter(|(_, entry)| entry.is_behind(version));
        old.filter(|(_, entry)| now - entry.told_at >= TELL_PAUSE).map(|(peer, _)| *peer).collect()
    }

    /// The peers that should have greeted by now. Each is named once in a while: ending its connections takes a moment.
    pub fn overdue(&mut self, now: Instant) -> Vec<PeerId> {
        let silent = self.peers.iter_mut().filter(|(_, entry)| entry.greeted.is_none());
        let overdue = silent.filter(|(_, entry)| now - entry.since >= GREETING_TIME);
        let name = overdue.map(|(peer, entry)| {
            entry.since = now;
            *peer
        });
        name.collect()
    }

    /// When `overdue` or `to_tell` will have something new.
    pub fn next(&self, version: u64) -> Option<Instant> {
        let times = self.peers.values().filter_map(|entry| match entry.greeted {
            None => Some(entry.since + GREETING_TIME),
            Some(_) if entry.is_behind(version) => Some(entry.told_at + TELL_PAUSE),
            Some(_) => None,
        });
        times.min()
    }

    /// Everybody who has greeted, ordered by name.
    pub fn rows(&self) -> Vec<Row> {
        let greeted = self.peers.iter().filter_map(|(peer, entry)| {
            let (greeted, connection) = (entry.greeted?, entry.connections.first()?);
            Some(Row {
                peer: *peer,
                address: connection.address.clone(),
                outbound: connection.outbound,
                member: greeted.member,
                agent: entry.agent.clone(),
                since_clock: entry.since_clock,
            })
        });
        let mut rows: Vec<Row> = greeted.collect();
        rows.sort_by_key(|row| row.peer);
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(byte: u8) -> PeerId {
        crate::node_id(&[byte; 32]).0
    }

    fn connection(id: usize) -> Connection {
        Connection { id: ConnectionId::new_unchecked(id), address: "a".into(), outbound: false }
    }

    #[test]
    fn places_are_for_those_who_are_no_members_and_a_second_greeting_takes_no_second_place() {
        let now = Instant::now();
        let mut table = Table::new(1);
        for byte in 1..=3 {
            assert!(table.connected(peer(byte), connection(byte.into()), now, 5));
        }
        assert_eq!(table.greet(&peer(1), 1, None, false), Greet::Welcome { restarted: false });
        assert_eq!(table.greet(&peer(1), 1, None, false), Greet::Welcome { restarted: false });
        assert_eq!(table.greet(&peer(2), 1, None, false), Greet::Full);
        assert_eq!(table.greet(&peer(3), 1, Some(0), true), Greet::Welcome { restarted: false });
        assert_eq!(table.greet(&peer(4), 1, Some(0), true), Greet::Gone);
        assert_eq!((table.rows().len(), table.presented(&peer(3))), (2, Some(0)));
        assert!(table.closed(&peer(1), ConnectionId::new_unchecked(1)));
        assert_eq!(table.greet(&peer(2), 1, None, false), Greet::Welcome { restarted: false });
    }

    #[test]
    fn another_run_under_the_same_name_is_noticed_and_its_old_connections_are_named() {
        let now = Instant::now();
        let mut table = Table::new(9);
        table.connected(peer(1), connection(1), now, 0);
        table.greet(&peer(1), 1, None, false);
        table.telling(&peer(1), 7, now);
        table.connected(peer(1), connection(2), now, 0);
        assert_eq!(table.greet(&peer(1), 2, None, false), Greet::Welcome { restarted: true });
        assert_eq!(table.older(&peer(1)), [ConnectionId::new_unchecked(1)]);
        assert_eq!(table.to_tell(1, now + TELL_PAUSE), [peer(1)]);
        assert!(!table.closed(&peer(1), ConnectionId::new_unchecked(1)));
        assert!(table.closed(&peer(1), ConnectionId::new_unchecked(2)));
    }

    #[test]
    fn who_does_not_greet_is_overdue_and_who_does_is_told_the_news_once() {
        let now = Instant::now();
        let mut table = Table::new(9);
        table.connected(peer(1), connection(1), now, 0);
        assert_eq!(table.next(1), Some(now + GREETING_TIME));
        assert_eq!((table.overdue(now), table.overdue(now + GREETING_TIME)), (vec![], vec![peer(1)]));
        table.greet(&peer(1), 1, None, false);
        table.telling(&peer(1), 1, now);
        assert_eq!(table.overdue(now + GREETING_TIME), []);
        assert_eq!((table.to_tell(1, now + TELL_PAUSE), table.next(1)), (vec![], None));
        assert_eq!((table.to_tell(2, now), table.next(2)), (vec![], Some(now + TELL_PAUSE)));
        table.begin(&peer(1));
        assert_eq!((table.to_tell(2, now + TELL_PAUSE), table.next(2)), (vec![], None));
        table.end(&peer(1));
        assert_eq!(table.to_tell(2, now + TELL_PAUSE), [peer(1)]);
    }

    #[test]
    fn too_many_connections_and_too_many_greetings_are_refused() {
        let now = Instant::now();
        let mut table = Table::new(9);
        let kept = (0..5).filter(|id| table.connected(peer(1), connection(*id), now, 0)).count();
        assert_eq!(kept, MAX_CONNECTIONS);
        let greeted = (0..1000).filter(|_| table.may_greet(&peer(1), now)).count();
        assert_eq!(greeted, HELLOS_PER_MINUTE as usize);
        assert!(table.may_greet(&peer(1), now + Duration::from_secs(60)));
    }

    #[test]
    fn an_agent_is_cut_and_has_no_control_characters() {
        let mut table = Table::new(9);
        table.connected(peer(1), connection(1), Instant::now(), 0);
        table.greet(&peer(1), 1, None, false);
        table.set_agent(&peer(1), &format!("a\x1b[31m\n{}", "é".repeat(100)));
        let agent = &table.rows()[0].agent;
        assert!(agent.starts_with("a[31mé") && agent.len() <= MAX_AGENT_BYTES, "{agent}");
    }
}
