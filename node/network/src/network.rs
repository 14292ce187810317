//! The handle of a running network.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use libp2p::Multiaddr;
use libp2p::swarm::SwarmEvent;
use pyrsia_digest::Sha256;
use pyrsia_ledger::{AuthorityKey, NetworkId, PublicKey};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::MAX_CONFIGURED;
use crate::dial::Schedule;
use crate::driver::{Driver, Own};
use crate::hello::MAX_RECORDS;
use crate::name::keypair;
use crate::peer::{BlobSink, PeerInfo, Provider};
use crate::queue::{Inbox, Outbox};
use crate::record::Book;
use crate::remembered::{self, Remembered};
use crate::shared::{Inner, Shared, random};
use crate::table::Table;
use crate::{
    BlobError, CallError, Channel, Method, NetworkConfig, NetworkError, PeerName, address, blob, call, link, serve,
    swarm,
};

/// Commands that wait for the loop.
const COMMANDS: usize = 256;
/// How long listening may take to begin.
const LISTEN_TIME: Duration = Duration::from_secs(5);
/// How long new things to remember wait for more of them before the file is written.
const SAVE_PAUSE: Duration = Duration::from_millis(500);
/// How long tasks have for their end.
const SHUTDOWN_TIME: Duration = Duration::from_secs(5);

/// What a network is started with.
pub struct Start {
    /// The section `[network]`.
    pub config: NetworkConfig,
    /// The seed of the node key. Another one than the authority key's.
    pub node_key: [u8; 32],
    /// Peers of any other network are turned away.
    pub network: NetworkId,
    /// The keys of the committee, in its order.
    pub authorities: Vec<PublicKey>,
    /// This node's authority key. One that is not in the committee makes no difference.
    pub authority: Option<AuthorityKey>,
    /// What this node does for its peers.
    pub provider: Arc<dyn Provider>,
    /// The file of remembered peers. Its folder must exist; the file need not.
    pub remembered: PathBuf,
    /// Unix seconds.
    pub clock: Arc<dyn Fn() -> u64 + Send + Sync>,
}

/// A running network. Dropping it stops it without waiting; [`Network::shutdown`] waits.
pub struct Network {
    shared: Arc<Shared>,
    outboxes: HashMap<(usize, Channel), Arc<Outbox>>,
    inboxes: [Arc<Inbox>; 2],
    listening: watch::Receiver<Vec<Multiaddr>>,
    peers: watch::Receiver<Arc<[PeerInfo]>>,
}

fn parse(field: &'static str, texts: &[String]) -> Result<Vec<Multiaddr>, NetworkError> {
    if texts.len() > MAX_CONFIGURED {
        return Err(NetworkError::TooManyAddresses { field, count: texts.len(), limit: MAX_CONFIGURED });
    }
    let parsed = texts.iter().map(|text| {
        let address = address::dialable(text);
        address.ok_or_else(|| NetworkError::Address { field, address: text.chars().take(256).collect() })
    });
    parsed.collect()
}

impl Network {
    /// Starts a network: returns when it listens. Connections are made in the background, for ever; that nobody answers
    /// is no error.
    ///
    /// # Errors
    /// [`NetworkError`]: an address of the configuration makes no sense, or is taken.
    pub async fn start(start: Start) -> Result<Self, NetworkError> {
        let Start { config, node_key, network, authorities, authority, provider, remembered: path, clock } = start;
        let members = authorities.len();
        if members > MAX_RECORDS {
            return Err(NetworkError::Committee { members, limit: MAX_RECORDS });
        }
        let listen = parse("listen", &config.listen)?;
        let external = parse("external", &config.external)?;
        let bootstrap = parse("bootstrap", &config.bootstrap)?;

        let key = keypair(&node_key);
        let swarm = swarm::build(&key, config.max_peers)?;
        let control = swarm.behaviour().streams.new_control();
        let book = Book::new(network, authorities);
        let own = authority.and_then(|key| {
            let position = book.position_of(&key.public())?;
            Some(Own { key, position, signed_at: None })
        });
        let table = Table::new(usize::try_from(config.max_peers).unwrap_or(usize::MAX));
        let (commands, command_receiver) = mpsc::channel(COMMANDS);
        let shared = Arc::new(Shared {
            network,
            me: key.public().to_peer_id(),
            position: own.as_ref().map(|own| own.position),
            instance: random(),
            clock,
            inner: Mutex::new(Inner { table, book }),
            changed: watch::Sender::new(0),
            control,
            commands,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });

        let (mut driver, network) = Self::assemble(&shared, swarm, command_receiver, own, external);
        let old = load(path.clone()).await;
        driver.recall(old, bootstrap);
        // Streams are taken before there can be any: a protocol that nobody takes is refused in the negotiation.
        serve::start(&shared, &provider, &network.inboxes)?;
        driver.listen(listen).await?;
        driver.sign_own(Instant::now());
        network.spawn_links();
        let saved = driver.remembered.subscribe();
        shared.tasks.spawn(keep(path, saved, shared.stop.clone()));
        shared.tasks.spawn(driver.run());
        Ok(network)
    }

    fn assemble(
        shared: &Arc<Shared>,
        swarm: libp2p::Swarm<swarm::Behaviour>,
        commands: mpsc::Receiver<crate::shared::Command>,
        own: Option<Own>,
        external: Vec<Multiaddr>,
    ) -> (Driver, Self) {
        let (listening, listening_receiver) = watch::channel(Vec::new());
        let (peers, peers_receiver) = watch::channel(Arc::from([]));
        let members = crate::queue::lock(&shared.inner).book.members();
        let outbox = |channel: Channel| Arc::new(Outbox::new(channel.queue_messages(), channel.queue_bytes()));
        let others = (0..members).filter(|position| own.is_some() && Some(*position) != shared.position);
        let outboxes =
            others.flat_map(|position| Channel::ALL.map(|channel| ((position, channel), outbox(channel)))).collect();
        let inbox = |channel: Channel| Arc::new(Inbox::new(members, channel.queue_messages(), channel.queue_bytes()));
        let network = Self {
            shared: shared.clone(),
            outboxes,
            inboxes: Channel::ALL.map(inbox),
            listening: listening_receiver,
            peers: peers_receiver,
        };
        let driver = Driver {
            swarm,
            shared: shared.clone(),
            commands,
            schedule: Schedule::default(),
            dials: HashMap::new(),
            refused: HashMap::new(),
            admitted: HashSet::new(),
            own,
            external,
            listening,
            remembered: watch::Sender::new(Remembered::default()),
            peers,
            book_seen: 0,
        };
        (driver, network)
    }

    fn spawn_links(&self) {
        for ((position, channel), outbox) in &self.outboxes {
            self.shared.spawn(link::send(self.shared.clone(), *position, *channel, outbox.clone()));
        }
    }

    /// This node's name.
    pub fn name(&self) -> PeerName {
        PeerName(self.shared.me)
    }

    /// The addresses that this node listens on, each with `/p2p/<name>`.
    pub fn addresses(&self) -> Vec<String> {
        let listening = self.listening.borrow();
        listening.iter().map(|address| address::with_peer(address, &self.shared.me).to_string()).collect()
    }

    /// The connected peers that have greeted, ordered by name.
    pub fn peers(&self) -> watch::Receiver<Arc<[PeerInfo]>> {
        self.peers.clone()
    }

    /// Sends a message to the node of another member of the committee. Never blocks: the message waits in a bounded
    /// queue until there is a connection. It is dropped when it is empty or longer than the channel allows, when `to`
    /// is this node or no member, when this node is no authority, or when newer ones fill the queue.
    pub fn send(&self, to: usize, channel: Channel, message: Bytes) {
        if message.is_empty() || message.len() > channel.max_message() {
            tracing::debug!(to, ?channel, bytes = message.len(), "a message of this length is not sent");
            return;
        }
        if let Some(outbox) = self.outboxes.get(&(to, channel))
            && outbox.push(message) > 0
        {
            tracing::debug!(to, ?channel, "messages dropped: the queue is full");
        }
    }

    /// The next message of another member, with its position in the committee, which is authenticated. Members are
    /// heard in turn. Waits for ever when the network is shut down. Safe to cancel.
    pub async fn receive(&self, channel: Channel) -> (usize, Bytes) {
        self.inboxes[channel.index()].next().await
    }

    /// Calls a peer and waits for its answer, for at most the time of the method and 15 seconds.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn call(&self, to: &PeerName, method: Method, body: Bytes) -> Result<Bytes, CallError> {
        let calling = call::call(&self.shared, to.0, method, body);
        let stopped = || Err(CallError::NotConnected);
        self.shared.stop.run_until_cancelled(calling).await.unwrap_or_else(stopped)
    }

    /// Fetches a file of at most `max_bytes` from a peer into a sink. Returns its length. What the sink got counts only
    /// when this succeeds: then it was all, and its digest is the wanted one.
    ///
    /// # Errors
    /// [`BlobError`].
    pub async fn blob(
        &self,
        from: &PeerName,
        sha256: &Sha256,
        max_bytes: u64,
        sink: &mut dyn BlobSink,
    ) -> Result<u64, BlobError> {
        let fetching = blob::fetch(&self.shared, from.0, sha256, max_bytes, sink);
        let stopped = || Err(BlobError::NotConnected);
        self.shared.stop.run_until_cancelled(fetching).await.unwrap_or_else(stopped)
    }

    /// Ends all connections and tasks, writes what is to be remembered, and frees the ports.
    pub async fn shutdown(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        if tokio::time::timeout(SHUTDOWN_TIME, self.shared.tasks.wait()).await.is_err() {
            tracing::warn!("tasks of the peer network are still running");
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}

async fn load(path: PathBuf) -> Remembered {
    tokio::task::spawn_blocking(move || remembered::load(&path)).await.unwrap_or_default()
}

/// Writes what is to be remembered whenever it changed, and once more at the end.
async fn keep(path: PathBuf, mut saved: watch::Receiver<Remembered>, stop: CancellationToken) {
    saved.mark_changed();
    loop {
        let going_on = matches!(stop.run_until_cancelled(saved.changed()).await, Some(Ok(())));
        if going_on {
            stop.run_until_cancelled(tokio::time::sleep(SAVE_PAUSE)).await;
        } else if !saved.has_changed().unwrap_or(false) {
            return;
        }
        let (path, remembered) = (path.clone(), saved.borrow_and_update().clone());
        let shown = path.display().to_string();
        match tokio::task::spawn_blocking(move || remembered::save(&path, &remembered)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(path = shown, %error, "remembered peers cannot be written"),
            Err(error) => tracing::warn!(%error, "remembered peers were not written"),
        }
        if !going_on {
            return;
        }
    }
}

impl Driver {
    /// Takes in what was remembered and what is configured.
    fn recall(&mut self, old: Remembered, bootstrap: Vec<Multiaddr>) {
        let now = Instant::now();
        {
            let mut inner = crate::queue::lock(&self.shared.inner);
            for record in old.records {
                if let Ok(verified) = inner.book.verify(record) {
                    inner.book.take(verified);
                }
            }
        }
        let me = self.shared.me;
        for address in bootstrap.into_iter().chain(old.peers.iter().cloned()) {
            if address::split(address.clone()).1 != Some(me) {
                self.schedule.add_address(address, now);
            }
        }
        self.remembered.send_modify(|remembered| remembered.peers = old.peers);
    }

    /// Listens on every address, and waits until it does.
    async fn listen(&mut self, addresses: Vec<Multiaddr>) -> Result<(), NetworkError> {
        let mut waiting = HashMap::new();
        for address in addresses {
            let text = address.to_string();
            let Some(socket) = swarm::socket_address(&address) else {
                return Err(NetworkError::Address { field: "listen", address: text });
            };
            let failed = |source| NetworkError::Listen { address: text.clone(), source };
            swarm::probe(socket).map_err(failed)?;
            let listening = self.swarm.listen_on(address);
            let id = listening.map_err(|error| failed(std::io::Error::other(error.to_string())))?;
            waiting.insert(id, text);
        }
        let deadline = tokio::time::Instant::now() + LISTEN_TIME;
        while let Some(text) = waiting.values().next().cloned() {
            let event = tokio::time::timeout_at(deadline, self.swarm.select_next_some()).await;
            let failed = |source| NetworkError::Listen { address: text.clone(), source };
            let event = event.map_err(|_| failed(std::io::ErrorKind::TimedOut.into()))?;
            match &event {
                SwarmEvent::NewListenAddr { listener_id, .. } => {
                    waiting.remove(listener_id);
                }
                SwarmEvent::ListenerClosed { listener_id, reason: Err(error), .. }
                    if waiting.contains_key(listener_id) =>
                {
                    return Err(failed(std::io::Error::new(error.kind(), error.to_string())));
                }
                _ => {}
            }
            self.event(event);
        }
        Ok(())
    }
}
