//! A node of another make: speaks the wire formats by hand, and breaks them at will. The layouts are written out here
//! a second time, on purpose: a change of the crate's formats fails here.

use std::time::Duration;

use borsh::BorshSerialize;
use futures_util::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::identity::Keypair;
use libp2p::{Multiaddr, PeerId, Stream, StreamProtocol, SwarmBuilder, noise, tcp, yamux};
use libp2p_stream::{Control, IncomingStreams};
use pyrsia_ledger::AuthorityKey;

#[derive(Clone, BorshSerialize)]
pub struct Content {
    pub network: [u8; 32],
    pub authority: [u8; 32],
    pub peer: Vec<u8>,
    pub addresses: Vec<String>,
    pub sequence: u64,
}

#[derive(Clone, BorshSerialize)]
pub struct Record {
    pub content: Content,
    pub signature: [u8; 64],
}

impl Record {
    pub fn sign(key: &AuthorityKey, peer: &PeerId, addresses: Vec<String>, sequence: u64) -> Self {
        let (authority, peer) = (key.public().0, peer.to_bytes());
        let content = Content { network: [1; 32], authority, peer, addresses, sequence };
        let body = borsh::to_vec(&content).unwrap();
        let domain = b"pyrsia-maven/authority-record/v1";
        let mut signed = (domain.len() as u64).to_le_bytes().to_vec();
        signed.extend_from_slice(domain);
        signed.extend_from_slice(&(body.len() as u64).to_le_bytes());
        signed.extend_from_slice(&body);
        let signature = key.sign(&signed).0;
        Self { content, signature }
    }
}

#[derive(Clone, BorshSerialize)]
pub struct Hello {
    pub version: u32,
    pub network: [u8; 32],
    pub instance: u64,
    pub own: Option<Record>,
    pub others: Vec<Record>,
}

impl Default for Hello {
    fn default() -> Self {
        Self { version: 1, network: [1; 32], instance: 7, own: None, others: Vec::new() }
    }
}

pub struct Raw {
    pub me: PeerId,
    pub control: Control,
    hellos: Option<IncomingStreams>,
    swarm: tokio::task::JoinHandle<()>,
    pub address: Multiaddr,
    dial: tokio::sync::mpsc::Sender<Multiaddr>,
    /// Connections made, and closed.
    connected: tokio::sync::watch::Receiver<(u32, u32)>,
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.swarm.abort();
    }
}

impl Raw {
    pub async fn start(seed: u8) -> Self {
        let key = Keypair::ed25519_from_bytes([seed; 32]).unwrap();
        let me = key.public().to_peer_id();
        let mut swarm = SwarmBuilder::with_existing_identity(key)
            .with_tokio()
            .with_tcp(tcp::Config::new(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|_| libp2p_stream::Behaviour::new())
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(60)))
            .build();
        let mut control = swarm.behaviour().new_control();
        let hellos = Some(control.accept(StreamProtocol::new("/pyrsia-maven/hello/1")).unwrap());
        swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse().unwrap()).unwrap();
        let address = loop {
            if let libp2p::swarm::SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                break address;
            }
        };
        let connections = tokio::sync::watch::Sender::new((0, 0));
        let connected = connections.subscribe();
        let (dial, mut dials) = tokio::sync::mpsc::channel::<Multiaddr>(1);
        let swarm = tokio::spawn(async move {
            loop {
                tokio::select! {
                    event = swarm.select_next_some() => {
                        if let libp2p::swarm::SwarmEvent::ConnectionEstablished { .. } = event {
                            connections.send_modify(|connections| connections.0 += 1);
                        }
                        if let libp2p::swarm::SwarmEvent::ConnectionClosed { .. } = event {
                            connections.send_modify(|connections| connections.1 += 1);
                        }
                    }
                    Some(address) = dials.recv() => swarm.dial(address).unwrap(),
                }
            }
        });
        Self { me, control, hellos, swarm, address, dial, connected }
    }

    pub async fn dial(&mut self, address: &str) {
        self.dial.send(address.parse().unwrap()).await.unwrap();
        self.connected.wait_for(|connections| connections.0 > 0).await.unwrap();
    }

    /// Waits until a connection was closed.
    pub async fn closed(&mut self) {
        self.connected.wait_for(|connections| connections.1 > 0).await.unwrap();
    }

    pub fn accept(&mut self, protocol: &'static str) -> IncomingStreams {
        self.control.accept(StreamProtocol::new(protocol)).unwrap()
    }

    pub async fn open(&mut self, peer: PeerId, protocol: &'static str) -> Stream {
        for _ in 0..200 {
            if let Ok(stream) = self.control.open_stream(peer, StreamProtocol::new(protocol)).await {
                return stream;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no stream");
    }

    /// Greets, and returns the body of the answer; none when there was no answer.
    pub async fn hello(&mut self, peer: PeerId, hello: &Hello) -> Option<Vec<u8>> {
        let mut body = vec![0];
        hello.serialize(&mut body).unwrap();
        self.greet_with(peer, &body).await
    }

    pub async fn greet_with(&mut self, peer: PeerId, body: &[u8]) -> Option<Vec<u8>> {
        let mut stream = self.open(peer, "/pyrsia-maven/hello/1").await;
        stream.write_all(&(body.len() as u32).to_be_bytes()).await.ok()?;
        let _ = stream.write_all(body).await;
        let _ = stream.flush().await;
        let mut head = [0; 4];
        if let Err(error) = stream.read_exact(&mut head).await {
            eprintln!("no answer to the greeting: {error}");
            return None;
        }
        let mut answer = vec![0; u32::from_be_bytes(head) as usize];
        stream.read_exact(&mut answer).await.ok()?;
        Some(answer)
    }

    /// Answers every greeting with this one.
    pub fn answer_hellos(&mut self, hello: Hello) {
        let mut hellos = self.hellos.take().unwrap();
        let mut body = vec![0];
        hello.serialize(&mut body).unwrap();
        tokio::spawn(async move {
            while let Some((_, mut stream)) = hellos.next().await {
                let mut head = [0; 4];
                let Ok(()) = stream.read_exact(&mut head).await else { continue };
                let mut theirs = vec![0; u32::from_be_bytes(head) as usize];
                let Ok(()) = stream.read_exact(&mut theirs).await else { continue };
                let _ = stream.write_all(&(body.len() as u32).to_be_bytes()).await;
                let _ = stream.write_all(&body).await;
                let _ = stream.close().await;
            }
        });
    }
}

/// The peer id in a name.
pub fn peer_id(name: pyrsia_network::PeerName) -> PeerId {
    name.to_string().parse().unwrap()
}
