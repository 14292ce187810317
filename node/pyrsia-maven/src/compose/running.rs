//! A node that is put together, while it runs and until all of it has ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use pyrsia_http::Door;
use pyrsia_ledger::SignedEntry;
use pyrsia_rebuilds::{Intake, Watcher, Worker};
use pyrsia_replica::{OrderedBatch, Replica, ReplicaHandle, SigningStatus};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::BATCHES;
use super::peers::{Joined, Taking};
use super::secure::Secure;
use super::workers::Workers;
use crate::data_dir::DataDirLock;
use crate::peering::{cosign, follow};
use crate::service::{Builds, NodeService, Tally};
use crate::upkeep::classes::Cataloguer;
use crate::upkeep::keep::Keeper;

/// How often the newest checkpoint is cosigned again, so that silence can be told from an eclipse.
const RECOSIGN: Duration = Duration::from_secs(3600);

/// How often own images are looked at that are not decided about (less than a build waits for it), and how soon again when
/// saying so failed, as it does while the network is starting.
const APPROVE: Duration = Duration::from_secs(15);
const APPROVE_AGAIN: Duration = Duration::from_secs(2);

/// How often a node that follows looks whether two histories were certified.
const LOOK: Duration = Duration::from_secs(2);

/// How often it is written what was served.
const COUNT: Duration = Duration::from_secs(60);

/// A node that is put together and serves once [`Node::run`] is called.
pub struct Node {
    /// Where it listens.
    pub address: SocketAddr,
    pub(super) service: Arc<NodeService>,
    pub(super) listener: TcpListener,
    pub(super) door: Door,
    pub(super) secure: Option<(Secure, Door)>,
    pub(super) workers: Option<Workers>,
    pub(super) replica: Replica,
    pub(super) batches: mpsc::Receiver<OrderedBatch>,
    pub(super) taking: Option<Taking>,
    pub(super) network: Option<Joined>,
    pub(super) handle: ReplicaHandle,
    pub(super) worker: Option<Worker>,
    pub(super) injected: Option<mpsc::Receiver<SignedEntry>>,
    pub(super) keeper: Keeper,
    pub(super) cataloguer: Cataloguer,
    pub(super) _lock: DataDirLock,
}

impl Node {
    /// What it does about builds, in a few words.
    pub async fn rebuilds(&self) -> String {
        match &self.service.builds {
            Builds::Here { builder, .. } => match builder.available().await {
                Ok(()) => "yes".to_owned(),
                Err(reason) => format!("not at present, a plain mirror: {reason}"),
            },
            Builds::There(_) => "no, authorities do on its behalf".to_owned(),
            Builds::Nowhere(reason) => format!("no, a plain mirror: {reason}"),
        }
    }

    /// Where it listens with TLS, if it does.
    pub fn secure_address(&self) -> Option<SocketAddr> {
        self.secure.as_ref().map(|(secure, _)| secure.address)
    }

    /// Where its workers find it, if it has any.
    pub fn workers_url(&self) -> Option<String> {
        self.workers.as_ref().map(Workers::url)
    }

    /// Addresses at which peers reach it.
    pub fn peer_addresses(&self) -> Vec<String> {
        self.network.as_ref().map(|joined| joined.network.addresses()).unwrap_or_default()
    }

    /// Serves until `stop` is cancelled or a part fails. Returns when everything has ended.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let tasks = TaskTracker::new();
        let (pieces, pieces_out) = mpsc::channel(BATCHES);
        let replica = tokio::spawn(self.replica.run(self.batches, pieces_out));
        let builder = match &self.service.builds {
            Builds::Here { builder, .. } => Some(builder.clone()),
            Builds::There(_) | Builds::Nowhere(_) => None,
        };
        if self.worker.is_none() {
            // The worker tells its board about rounds; without one, somebody else does.
            let watcher = Watcher::new(self.service.board.clone(), self.handle.clone());
            tasks.spawn(until(stop.clone(), watcher.run()));
        }
        let mut worker = match self.worker {
            Some(worker) => tokio::spawn(worker.run(stop.clone())),
            None => tokio::spawn(std::future::pending()),
        };
        if let Builds::Here { intake, .. } = &self.service.builds
            && self.handle.genesis().authorities.len() > 1
        {
            tasks.spawn(until(stop.clone(), approve_own_images(intake.clone())));
        }
        let is_plain = self.taking.is_none();
        let submitter = self.taking.as_ref().map(|taking| taking.submitter.clone());
        let place = self.taking.as_ref().map(Taking::place);
        let mut cosigning = tokio::spawn(std::future::pending());
        let mut part = match self.taking {
            Some(taking) => tokio::spawn(taking.part()),
            None => tokio::spawn(std::future::pending()),
        };
        // Either sender is dropped where there is nothing to send: the replica goes on with the other.
        match &self.network {
            Some(joined) => {
                let (ahead, is_ahead) = watch::channel(0);
                let parts = follow::Parts {
                    network: joined.network.clone(),
                    replica: self.handle.clone(),
                    pieces,
                    submitter: submitter.clone(),
                    ahead: is_ahead,
                };
                tasks.spawn(until(stop.clone(), follow::follow(parts)));
                if let Some(place) = place {
                    let parts = cosign::Parts {
                        network: joined.network.clone(),
                        replica: self.handle.clone(),
                        place,
                        heads: joined.heads.clone(),
                        ahead,
                        refresh: RECOSIGN,
                    };
                    cosigning = tokio::spawn(cosign::cosign(parts));
                }
            }
            None => {
                tasks.spawn(until(stop.clone(), cosign::refresh_again(self.handle.clone(), RECOSIGN)));
            }
        }
        if let Some(injected) = self.injected {
            tasks.spawn(until(stop.clone(), submit(self.handle.clone(), injected)));
        }
        tasks.spawn(until(stop.clone(), self.keeper.run()));
        tasks.spawn(until(stop.clone(), self.cataloguer.run()));
        let (counted, tally) = (self.door.clone(), self.service.served.clone());
        tasks.spawn(until(stop.clone(), {
            let (counted, tally) = (counted.clone(), tally.clone());
            async move {
                loop {
                    tokio::time::sleep(COUNT).await;
                    write_counts(&counted, &tally).await;
                }
            }
        }));
        let connections = connections();
        let face = |listener, tls: Option<pyrsia_http::Tls>, door| {
            // All of this machine's clients have one address; of others, one may not have all there is.
            let per_client = if tls.is_some() { (connections / 4).max(16) } else { connections };
            let limits = pyrsia_http::Limits { connections, per_client, ..pyrsia_http::Limits::default() };
            let shutdown = stop.clone();
            let stopped = async move { shutdown.cancelled().await };
            tokio::spawn(pyrsia_http::serve(listener, tls, door, limits, stopped))
        };
        let mut workers = match self.workers {
            Some(workers) => {
                let shutdown = stop.clone();
                tokio::spawn(workers.serve(async move { shutdown.cancelled().await }))
            }
            None => tokio::spawn(until(stop.clone(), std::future::pending())),
        };
        let mut secure = match self.secure {
            Some((secure, door)) => face(secure.listener, Some(secure.tls), door),
            None => tokio::spawn(until(stop.clone(), std::future::pending())),
        };
        let mut face = face(self.listener, None, self.door);
        let failed = tokio::select! {
            // Looked at first: what ends because of it has not failed.
            biased;
            () = stop.cancelled() => None,
            Err(error) = started(&mut part) => Some(error.context("consensus did not start")),
            // An authority that signs for itself alone looks well and is not.
            ended = &mut cosigning => Some(match ended {
                Ok(error) => anyhow::Error::new(error).context("cosignatures cannot be exchanged"),
                Err(error) => anyhow::Error::new(error).context("cosignatures cannot be exchanged"),
            }),
            reason = contradicted(&self.handle), if is_plain => Some(anyhow::anyhow!(
                "a quorum has certified another history than this node followed ({reason}): nothing that it says can be \
                 relied on; compare the network's file with what its operators say, and begin with an empty data directory"
            )),
            _ = &mut face => Some(anyhow::anyhow!("the HTTP server ended by itself")),
            _ = &mut secure => Some(anyhow::anyhow!("the HTTPS server ended by itself")),
            _ = &mut workers => Some(anyhow::anyhow!("the server for workers ended by itself")),
            _ = &mut worker => Some(anyhow::anyhow!("the rebuilding worker ended by itself")),
            ended = replica => Some(match ended {
                Ok(Ok(())) => anyhow::anyhow!("the ledger ended by itself"),
                Ok(Err(error)) => anyhow::Error::new(error).context("the ledger failed"),
                Err(error) => anyhow::Error::new(error).context("the ledger failed"),
            }),
        };
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        if let Some(builder) = builder {
            if !worker.is_finished() {
                let _ = worker.await;
            }
            builder.settle().await;
        }
        for face in [face, secure, workers] {
            if !face.is_finished() {
                let _ = face.await;
            }
        }
        write_counts(&counted, &tally).await;
        part.abort();
        cosigning.abort();
        if let Some(consensus) = submitter.as_ref().and_then(|submitter| submitter.own.get()) {
            consensus.shutdown().await;
        }
        if let Some(joined) = self.network {
            joined.network.shutdown().await;
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

/// Whether taking part could not begin; waits for ever once it has.
async fn started<T>(part: &mut tokio::task::JoinHandle<anyhow::Result<T>>) -> anyhow::Result<()> {
    match part.await {
        Ok(Ok(_)) => std::future::pending().await,
        Ok(Err(error)) => Err(error),
        Err(error) => Err(error.into()),
    }
}

/// Returns when two histories were certified, with the reason. A node that follows has nothing but certificates to go by.
async fn contradicted(handle: &ReplicaHandle) -> String {
    loop {
        if let SigningStatus::Stopped { reason } = handle.signing_status() {
            return reason;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Writes what was served. Failing is no reason to stop serving.
async fn write_counts(door: &Door, tally: &Tally) {
    door.tell();
    if let Err(error) = tally.store.run(|store| store.flush()).await {
        tracing::warn!(%error, "what was served is not counted");
    }
}

/// Runs `work` until the node stops.
async fn until(stop: CancellationToken, work: impl Future<Output = ()>) {
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

/// Approves the images that this node has made, and those that its operator makes later. Says nothing twice. A network of
/// one decides about an image when a build needs it.
async fn approve_own_images(intake: Arc<Intake>) {
    loop {
        let pause = match intake.approve_own_images().await {
            Ok(()) => APPROVE,
            Err(reason) => {
                tracing::info!(reason, "an own builder image is not approved yet");
                APPROVE_AGAIN
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// Submits entries from outside.
async fn submit(handle: ReplicaHandle, mut entries: mpsc::Receiver<SignedEntry>) {
    while let Some(entry) = entries.recv().await {
        if let Err(error) = handle.submit(entry).await {
            tracing::warn!(%error, "an entry was not taken");
        }
    }
    std::future::pending().await
}

/// Connections at a time that a listener may have: with another listener, peers and files, all of them fit into what the
/// operating system gives a process, which is raised as far as this account may.
fn connections() -> usize {
    let most = pyrsia_http::Limits::default().connections;
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return most.min(256) };
    let files = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    usize::try_from(files / 8 * 3).map_or(most, |share| share.clamp(16, most))
}
