//! What all tasks of one network share.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::{Control, OpenStreamError};
use pyrsia_ledger::NetworkId;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::hello::{Hello, VERSION};
use crate::queue::lock;
use crate::record::Book;
use crate::table::Table;

/// How long opening a stream may take.
pub(crate) const OPEN_TIME: Duration = Duration::from_secs(10);
/// How long a caller waits for a connection with a peer that is known but not connected.
pub(crate) const CONNECT_TIME: Duration = Duration::from_secs(5);

/// Unix seconds.
pub(crate) type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// What tasks ask of the loop that owns the swarm.
#[derive(Debug)]
pub(crate) enum Command {
    /// Close all connections with the peer; do not dial it for `rest`; refuse its own connections as long if `refuse`.
    Disconnect { peer: PeerId, rest: Duration, refuse: bool },
    /// Close all connections with the peer but the newest.
    CloseOlder(PeerId),
    /// Dial the peer now if it is known.
    Hurry(PeerId),
    /// The peer has greeted.
    Greeted(PeerId),
}

/// Peers and records, under one lock that is never held across an await.
#[derive(Debug)]
pub(crate) struct Inner {
    pub table: Table,
    pub book: Book,
}

impl Inner {
    /// The position of the member whose node this is: the newest record of the member names it, and it presented such a
    /// record itself. A record alone would let a member give out another's node as its own.
    pub fn member(&self, peer: &PeerId) -> Option<usize> {
        self.table.presented(peer).filter(|position| self.book.peer(*position).as_ref() == Some(peer))
    }
}

pub(crate) struct Shared {
    pub network: NetworkId,
    pub me: PeerId,
    /// This node's position in the committee.
    pub position: Option<usize>,
    pub instance: u64,
    pub clock: Clock,
    pub inner: Mutex<Inner>,
    /// Rung whenever `inner` changed.
    pub changed: watch::Sender<u64>,
    pub control: Control,
    pub commands: mpsc::Sender<Command>,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
}

impl Shared {
    /// Runs a task until it ends or the network is shut down.
    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            stop.run_until_cancelled_owned(task).await;
        });
    }

    pub fn poke(&self) {
        self.changed.send_modify(|changes| *changes = changes.wrapping_add(1));
    }

    pub fn member(&self, peer: &PeerId) -> Option<usize> {
        lock(&self.inner).member(peer)
    }

    /// Asks the loop for something. Waits while the loop is behind, so it is for tasks only.
    pub async fn command(&self, command: Command) {
        // An error says that the loop is gone, and all that it was to do with it.
        let _ = self.commands.send(command).await;
    }

    /// Waits until a look at peers and records brings something.
    pub async fn until<T>(&self, mut look: impl FnMut(&Inner) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            if let Some(found) = look(&lock(&self.inner)) {
                return found;
            }
            // The sender lives in self.
            let _ = changed.changed().await;
        }
    }

    /// Waits until the peer has greeted, for at most `time`.
    pub async fn greeted(&self, peer: &PeerId, time: Duration) -> bool {
        timeout(time, self.until(|inner| inner.table.is_greeted(peer).then_some(()))).await.is_ok()
    }

    /// Sees to a connection with a greeted peer: dials explicitly when it is known but not connected, because the
    /// stream protocol drops dials of its own.
    pub async fn connected(&self, peer: &PeerId) -> bool {
        let (greeted, known) = {
            let inner = lock(&self.inner);
            (inner.table.is_greeted(peer), inner.table.is_connected(peer) || inner.book.names(peer))
        };
        if greeted || !known || self.stop.is_cancelled() {
            return greeted && !self.stop.is_cancelled();
        }
        self.command(Command::Hurry(*peer)).await;
        self.greeted(peer, CONNECT_TIME).await
    }

    /// Opens a stream to a connected peer.
    pub async fn open(&self, peer: PeerId, protocol: StreamProtocol) -> io::Result<Stream> {
        if !lock(&self.inner).table.is_connected(&peer) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        match timeout(OPEN_TIME, self.control.clone().open_stream(peer, protocol)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(OpenStreamError::Io(error))) => Err(error),
            Ok(Err(error)) => Err(io::Error::new(io::ErrorKind::Unsupported, error.to_string())),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// This node's greeting, which tells the peer of all records known now.
    pub fn hello(&self, peer: &PeerId) -> Hello {
        let mut inner = lock(&self.inner);
        let version = inner.book.version();
        inner.table.telling(peer, version, Instant::now().into_std());
        // Its own record only while it names this node: another that uses the key may have a newer one.
        let own_position = self.position.filter(|position| inner.book.peer(*position) == Some(self.me));
        let own = own_position.and_then(|position| inner.book.get(position).cloned());
        let others = inner.book.all().filter(|(position, _)| Some(*position) != own_position);
        let others = others.map(|(_, record)| record.clone()).collect();
        Hello { version: VERSION, network: *self.network.as_bytes(), instance: self.instance, own, others }
    }
}

/// 64 bits that differ from one call to the next and that nobody can guess: the standard library's random hash keys.
/// For spreading pauses and telling runs apart; no secret is made of it.
pub(crate) fn random() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _};
    std::hash::RandomState::new().build_hasher().finish()
}

/// The same, in 0..1.
pub(crate) fn random_fraction() -> f64 {
    f64::from((random() >> 32) as u32) / (f64::from(u32::MAX) + 1.0)
}
