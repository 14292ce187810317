//! Real nodes on loopback.
#![allow(dead_code)]

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pyrsia_digest::Sha256;
use pyrsia_ledger::{AuthorityKey, NetworkId, PublicKey};
use pyrsia_network::{BlobFile, Method, Network, NetworkConfig, NetworkError, Peer, Provider, Refusal, Start};
use tempfile::TempDir;
use tokio::sync::Notify;

pub mod raw;

pub fn network_id(byte: u8) -> NetworkId {
    NetworkId(Sha256::from_bytes([byte; 32]))
}

pub fn authority_key(position: usize) -> AuthorityKey {
    AuthorityKey::from_seed(&[100 + position as u8; 32])
}

pub fn authorities(members: usize) -> Vec<PublicKey> {
    (0..members).map(|position| authority_key(position).public()).collect()
}

/// Answers by the first word of the body.
#[derive(Default)]
pub struct Answers {
    pub blobs: HashMap<Sha256, BlobFile>,
    pub called: AtomicUsize,
    pub release: Notify,
}

#[async_trait]
impl Provider for Answers {
    async fn call(&self, from: &Peer, method: Method, body: Bytes) -> Result<Bytes, Refusal> {
        self.called.fetch_add(1, Ordering::SeqCst);
        match body.as_ref() {
            b"who" => Ok(format!("{} {:?} {method:?}", from.name, from.authority).into()),
            b"refuse" => Err(Refusal::NotAllowed("not you".into())),
            b"long" => Ok(vec![7; method.limits().answer].into()),
            b"too long" => Ok(vec![0; method.limits().answer + 1].into()),
            b"wait" => {
                self.release.notified().await;
                Ok(Bytes::new())
            }
            b"never" => std::future::pending().await,
            _ => Ok(body),
        }
    }

    async fn blob(&self, sha256: &Sha256) -> Option<BlobFile> {
        self.blobs.get(sha256).cloned()
    }
}

/// How a node is started, and its folder.
pub struct Setup {
    pub folder: TempDir,
    pub network: NetworkId,
    pub members: usize,
    pub seed: u8,
    pub position: Option<usize>,
    pub config: NetworkConfig,
    pub answers: Answers,
}

impl Setup {
    /// An authority of a committee.
    pub fn authority(position: usize, members: usize) -> Self {
        Self { position: Some(position), ..Self::plain(position as u8 + 1, members) }
    }

    /// A node that is no authority.
    pub fn plain(seed: u8, members: usize) -> Self {
        let config = NetworkConfig { listen: vec!["/ip4/127.0.0.1/tcp/0".into()], ..NetworkConfig::default() };
        let folder = tempfile::tempdir().unwrap();
        Self { folder, network: network_id(1), members, seed, position: None, config, answers: Answers::default() }
    }

    pub fn bootstrap(mut self, address: impl Into<String>) -> Self {
        self.config.bootstrap.push(address.into());
        self
    }

    /// Puts a file into the folder and provides it under this digest.
    pub fn blob(&mut self, name: &str, content: &[u8], sha256: Sha256, size: u64) {
        let path = self.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        self.answers.blobs.insert(sha256, BlobFile { path, size });
    }

    pub fn remembered(&self) -> PathBuf {
        self.folder.path().join("remembered")
    }

    pub async fn start(self) -> Node {
        self.try_start().await.unwrap()
    }

    pub async fn try_start(self) -> Result<Node, NetworkError> {
        let answers = Arc::new(self.answers);
        let network = Network::start(Start {
            config: self.config.clone(),
            node_key: [self.seed; 32],
            network: self.network,
            authorities: authorities(self.members),
            authority: self.position.map(authority_key),
            provider: answers.clone(),
            remembered: self.folder.path().join("remembered"),
            clock: Arc::new(now),
        })
        .await?;
        Ok(Node { network, answers, folder: self.folder })
    }
}

pub fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// A running node.
pub struct Node {
    pub network: Network,
    pub answers: Arc<Answers>,
    pub folder: TempDir,
}

impl std::ops::Deref for Node {
    type Target = Network;

    fn deref(&self) -> &Network {
        &self.network
    }
}

impl Node {
    pub fn address(&self) -> String {
        self.addresses()[0].clone()
    }

    /// Waits until exactly these authorities are connected.
    pub async fn knows(&self, authorities: &[usize]) {
        let mut peers = self.peers();
        let known = peers.wait_for(|peers| {
            let mut known: Vec<usize> = peers.iter().filter_map(|peer| peer.authority).collect();
            known.sort_unstable();
            known == authorities
        });
        within(known).await.unwrap();
    }

    /// Waits until this peer is connected.
    pub async fn sees(&self, other: &Network) {
        let name = other.name();
        let mut peers = self.peers();
        within(peers.wait_for(|peers| peers.iter().any(|peer| peer.name == name))).await.unwrap();
    }

    /// Waits until this peer is gone.
    pub async fn misses(&self, name: pyrsia_network::PeerName) {
        let mut peers = self.peers();
        within(peers.wait_for(|peers| peers.iter().all(|peer| peer.name != name))).await.unwrap();
    }
}

/// Nothing here takes longer than this, on a busy machine.
pub async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), work).await.expect("took too long")
}

/// Nothing happens for a short while.
pub async fn nothing<T: std::fmt::Debug>(work: impl Future<Output = T>) {
    let came = tokio::time::timeout(Duration::from_millis(400), work).await;
    assert!(came.is_err(), "{came:?}");
}
