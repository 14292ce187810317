//! The loop that owns the swarm. It decides nothing by itself: the schedule, the table and the book do.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use libp2p::core::ConnectedPoint;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, DialError, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, identify, ping};
use pyrsia_ledger::AuthorityKey;
use tokio::sync::{mpsc, watch};

use crate::address;
use crate::dial::{Dial, LONG_REST, Schedule, Target};
use crate::queue::lock;
use crate::record::{AuthorityRecord, MAX_ADDRESSES};
use crate::remembered::Remembered;
use crate::shared::{Command, Shared, random_fraction};
use crate::swarm::{Behaviour, BehaviourEvent};
use crate::table::Connection;
use crate::{PeerInfo, PeerName};

/// Most peers whose connections are refused at a time.
const MAX_REFUSED: usize = 1024;
/// The shortest time between two own records, should another node use the same key.
const SIGN_PAUSE: Duration = Duration::from_secs(60);

/// This node's own record: what it is made of, and when it was signed last.
pub(crate) struct Own {
    pub key: AuthorityKey,
    pub position: usize,
    pub signed_at: Option<Instant>,
}

pub(crate) struct Driver {
    pub swarm: Swarm<Behaviour>,
    pub shared: Arc<Shared>,
    pub commands: mpsc::Receiver<Command>,
    pub schedule: Schedule,
    pub dials: HashMap<ConnectionId, Target>,
    /// Peers that misbehaved, and until when they are refused.
    pub refused: HashMap<PeerId, Instant>,
    /// The nodes that the newest records name.
    pub admitted: HashSet<PeerId>,
    pub own: Option<Own>,
    pub external: Vec<Multiaddr>,
    /// The addresses that it listens on.
    pub listening: watch::Sender<Vec<Multiaddr>>,
    pub remembered: watch::Sender<Remembered>,
    pub peers: watch::Sender<Arc<[PeerInfo]>>,
    /// The version of the book that was acted upon last.
    pub book_seen: u64,
}

impl Driver {
    /// Runs until the network is shut down.
    pub async fn run(mut self) {
        let stop = self.shared.stop.clone();
        let mut changed = self.shared.changed.subscribe();
        loop {
            self.act();
            let wake = self.next_wake();
            tokio::select! {
                () = stop.cancelled() => break,
                event = self.swarm.select_next_some() => self.event(event),
                Some(command) = self.commands.recv() => self.command(command),
                _ = changed.changed() => {}
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
    }

    fn next_wake(&self) -> Instant {
        let far = Instant::now() + Duration::from_secs(3600);
        let table = {
            let inner = lock(&self.shared.inner);
            inner.table.next(inner.book.version())
        };
        [table, self.schedule.next()].into_iter().flatten().min().unwrap_or(far)
    }

    /// Does everything that is due.
    fn act(&mut self) {
        let now = Instant::now();
        self.follow_book(now);
        let (overdue, to_tell) = {
            let mut inner = lock(&self.shared.inner);
            (inner.table.overdue(now), inner.table.to_tell(inner.book.version(), now))
        };
        for peer in overdue {
            tracing::debug!(%peer, "no greeting in time");
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        for peer in to_tell {
            self.greet(peer);
        }
        let swarm = &self.swarm;
        for dial in self.schedule.due(now, |peer| swarm.is_connected(peer)) {
            self.dial(dial, now);
        }
        self.publish();
    }

    /// Acts upon new records: where to dial, whom to let in, what to remember.
    fn follow_book(&mut self, now: Instant) {
        let inner = lock(&self.shared.inner);
        if inner.book.version() == self.book_seen {
            return;
        }
        self.book_seen = inner.book.version();
        let mut named = HashSet::new();
        for (position, record) in inner.book.all() {
            let Some(peer) = inner.book.peer(position) else { continue };
            if peer == self.shared.me {
                continue;
            }
            named.insert(peer);
            let addresses = record.content.addresses.iter().filter_map(|text| address::dialable(text)).collect();
            self.schedule.set_member(position, peer, addresses, now);
        }
        let records: Vec<AuthorityRecord> = inner.book.all().map(|(_, record)| record.clone()).collect();
        drop(inner);
        // Authorities are let in whatever the limits say, but only those of the newest records.
        let limits = &mut self.swarm.behaviour_mut().limits;
        self.admitted.difference(&named).for_each(|peer| limits.remove_peer_id(peer));
        named.difference(&self.admitted).for_each(|peer| limits.bypass_peer_id(peer));
        self.admitted = named;
        self.remembered.send_if_modified(|remembered| {
            let changed = remembered.records != records;
            remembered.records = records;
            changed
        });
        self.sign_own(now);
    }

    /// Signs the own record anew if the newest one is not it.
    pub fn sign_own(&mut self, now: Instant) {
        let Some(own) = &mut self.own else { return };
        let addresses = address::published(&self.external, &self.listening.borrow(), MAX_ADDRESSES);
        let mut inner = lock(&self.shared.inner);
        let me = self.shared.me.to_bytes();
        let known = inner.book.get(own.position).map(|record| &record.content);
        if known.is_some_and(|known| known.peer == me && known.addresses == addresses) {
            return;
        }
        let foreign = known.is_some_and(|known| known.peer != me);
        if foreign && own.signed_at.is_some() {
            tracing::warn!("another node says that it has this node's authority key: stop one of the two");
            if own.signed_at.is_some_and(|at| now - at < SIGN_PAUSE) {
                return;
            }
        }
        let after = known.map_or(0, |known| known.sequence.saturating_add(1));
        let sequence = (self.shared.clock)().max(after);
        let record = AuthorityRecord::sign(&own.key, &self.shared.network, &self.shared.me, &addresses, sequence);
        own.signed_at = Some(now);
        match inner.book.verify(record) {
            Ok(verified) => {
                inner.book.take(verified);
            }
            Err(error) => tracing::error!(%error, "this node's own record does not check out"),
        }
        drop(inner);
        self.shared.poke();
    }

    fn dial(&mut self, dial: Dial, now: Instant) {
        let Dial { target, peer, addresses } = dial;
        let options = match (peer, addresses) {
            (Some(peer), addresses) => DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(addresses)
                // From a port of its own: two nodes that dial each other from the ports they listen on would collide.
                .allocate_new_port()
                .build(),
            (None, mut addresses) => match addresses.pop() {
                Some(address) => DialOpts::unknown_peer_id().address(address).allocate_new_port().build(),
                None => return self.schedule.rest_target(&target, now + LONG_REST),
            },
        };
        let id = options.connection_id();
        match self.swarm.dial(options) {
            Ok(()) => {
                self.dials.insert(id, target);
            }
            Err(error) => self.dial_failed(&target, &error, now),
        }
    }

    fn dial_failed(&mut self, target: &Target, error: &DialError, now: Instant) {
        tracing::debug!(?target, %error, "dial failed");
        match error {
            DialError::LocalPeerId { .. } => self.schedule.rest_target(target, now + LONG_REST),
            _ => self.schedule.failed(target, now, random_fraction()),
        }
    }

    fn command(&mut self, command: Command) {
        let now = Instant::now();
        match command {
            Command::Disconnect { peer, rest, refuse } => {
                if refuse {
                    self.refused.retain(|_, until| *until > now);
                    if self.refused.len() < MAX_REFUSED {
                        self.refused.insert(peer, now + LONG_REST);
                    }
                }
                if !rest.is_zero() {
                    self.schedule.rest(&peer, now + rest);
                }
                let _ = self.swarm.disconnect_peer_id(peer);
            }
            Command::CloseOlder(peer) => {
                let older = lock(&self.shared.inner).table.older(&peer);
                for connection in older {
                    self.swarm.close_connection(connection);
                }
            }
            Command::Hurry(peer) => self.schedule.hurry(&peer, now),
            Command::Greeted(peer) => self.schedule.greeted(&peer),
        }
    }

    pub fn event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        let now = Instant::now();
        match event {
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, endpoint, .. } => {
                self.established(peer_id, connection_id, &endpoint, now);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                tracing::debug!(peer = %peer_id, ?cause, "connection closed");
                if lock(&self.shared.inner).table.closed(&peer_id, connection_id) {
                    self.schedule.lost(&peer_id, now, random_fraction());
                }
                self.shared.poke();
            }
            SwarmEvent::OutgoingConnectionError { connection_id, error, .. } => {
                if let Some(target) = self.dials.remove(&connection_id) {
                    self.dial_failed(&target, &error, now);
                }
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                tracing::info!(%address, "listening for peers");
                self.listening.send_modify(|listening| listening.push(address));
                self.sign_own(now);
            }
            SwarmEvent::ExpiredListenAddr { address, .. } => {
                self.listening.send_modify(|listening| listening.retain(|known| *known != address));
                self.sign_own(now);
            }
            SwarmEvent::ListenerClosed { addresses, reason, .. } => {
                tracing::error!(?addresses, ?reason, "no longer listening");
                self.listening.send_modify(|listening| listening.retain(|known| !addresses.contains(known)));
                self.sign_own(now);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. })) => {
                lock(&self.shared.inner).table.set_agent(&peer_id, &info.agent_version);
                self.shared.poke();
            }
            // A program without ping is none of ours, but no dead connection either.
            SwarmEvent::Behaviour(BehaviourEvent::Ping(ping::Event { peer, connection, result: Err(error) }))
                if !matches!(error, ping::Failure::Unsupported) =>
            {
                tracing::debug!(%peer, %error, "a connection is dead");
                self.swarm.close_connection(connection);
            }
            _ => {}
        }
    }

    fn established(&mut self, peer: PeerId, id: ConnectionId, endpoint: &ConnectedPoint, now: Instant) {
        let remote = endpoint.get_remote_address();
        let outbound = endpoint.is_dialer();
        if let Some(target) = self.dials.remove(&id) {
            self.schedule.reached(&target, peer);
            // The addresses of members are in their records.
            if matches!(target, Target::Address(_)) {
                let address = address::with_peer(remote, &peer);
                self.remembered.send_if_modified(|remembered| remembered.reached(address));
            }
        }
        let connection = Connection { id, address: remote.to_string(), outbound };
        let clock = (self.shared.clock)();
        let fits = lock(&self.shared.inner).table.connected(peer, connection, now, clock);
        self.shared.poke();
        if !fits {
            self.swarm.close_connection(id);
        } else if self.refused.get(&peer).is_some_and(|until| *until > now) {
            let _ = self.swarm.disconnect_peer_id(peer);
        } else if outbound {
            self.greet(peer);
        }
    }

    fn greet(&self, peer: PeerId) {
        lock(&self.shared.inner).table.begin(&peer);
        self.shared.spawn(crate::greet::greet(self.shared.clone(), peer));
    }

    /// Publishes the list of peers if it changed.
    fn publish(&self) {
        let inner = lock(&self.shared.inner);
        let rows = inner.table.rows();
        let infos = rows.into_iter().map(|row| PeerInfo {
            name: PeerName(row.peer),
            address: row.address,
            // As the records stand now.
            authority: row.member.and(inner.member(&row.peer)),
            inbound: !row.outbound,
            connected_since: row.since_clock,
            agent: row.agent,
        });
        let infos: Arc<[PeerInfo]> = infos.collect();
        drop(inner);
        self.peers.send_if_modified(|known| {
            let changed = *known != infos;
            if changed {
                *known = infos;
            }
            changed
        });
    }
}
