//! A bare libp2p stream between two processes: what `./dev bench` compares transfers of blobs against.
//!
//! `raw_stream serve BYTES [FILE]` listens on loopback, prints its address and sends that many bytes (zeros, or of the
//! file) on each stream. `raw_stream fetch ADDRESS BYTES [FILE]` reads them and prints the seconds from opening the stream to the last
//! byte. With FILE it keeps them: SHA-256, written, fsync at the end. Transports are the network's own: TCP, noise, yamux.

use std::error::Error;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use futures_util::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, Stream, StreamProtocol, Swarm, SwarmBuilder, noise, tcp, yamux};
use libp2p_stream::Behaviour;
use sha2::Digest as _;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/raw-stream/1");
/// As large as the pieces of the blob protocol.
const PIECE: usize = 256 * 1024;

type Done<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Done<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", bytes] => serve(bytes.parse()?, None).await,
        ["serve", bytes, file] => serve(bytes.parse()?, Some(file.to_owned())).await,
        ["fetch", address, bytes] => fetch(address.parse()?, bytes.parse()?, None).await,
        ["fetch", address, bytes, file] => fetch(address.parse()?, bytes.parse()?, Some(file)).await,
        _ => Err("usage: raw_stream serve BYTES [FILE] | raw_stream fetch ADDRESS BYTES [FILE]".into()),
    }
}

fn swarm() -> Done<Swarm<Behaviour>> {
    Ok(SwarmBuilder::with_existing_identity(Keypair::generate_ed25519())
        .with_tokio()
        .with_tcp(tcp::Config::new(), noise::Config::new, yamux::Config::default)?
        .with_behaviour(|_| Behaviour::new())?
        .with_swarm_config(|config| config.with_idle_connection_timeout(Duration::from_secs(600)))
        .build())
}

async fn serve(bytes: u64, file: Option<String>) -> Done<()> {
    let mut swarm = swarm()?;
    let mut incoming = swarm.behaviour().new_control().accept(PROTOCOL)?;
    swarm.listen_on("/ip4/127.0.0.1/tcp/0".parse()?)?;
    tokio::spawn(async move {
        while let Some((_, stream)) = incoming.next().await {
            let file = file.clone();
            tokio::spawn(async move {
                if let Err(error) = send(stream, bytes, file).await {
                    eprintln!("not sent: {error}");
                }
            });
        }
    });
    // Ends with whoever started it.
    std::thread::spawn(|| {
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    loop {
        if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
            println!("{}", address.with(Protocol::P2p(*swarm.local_peer_id())));
        }
    }
}

async fn send(mut stream: Stream, bytes: u64, file: Option<String>) -> Done<()> {
    let mut file = file.map(std::fs::File::open).transpose()?;
    let mut piece = vec![0; PIECE];
    let mut left = bytes;
    while left > 0 {
        let length = PIECE.min(usize::try_from(left).unwrap_or(PIECE));
        if let Some(file) = &mut file {
            tokio::task::block_in_place(|| file.read_exact(&mut piece[..length]))?;
        }
        stream.write_all(&piece[..length]).await?;
        left -= length as u64;
    }
    Ok(stream.close().await?)
}

async fn fetch(address: Multiaddr, bytes: u64, keep: Option<&str>) -> Done<()> {
    let mut swarm = swarm()?;
    let mut control = swarm.behaviour().new_control();
    let Some(Protocol::P2p(peer)) = address.iter().last() else {
        return Err("an address with a peer id".into());
    };
    swarm.dial(address)?;
    while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionEstablished { .. }) {}
    tokio::spawn(async move {
        loop {
            swarm.select_next_some().await;
        }
    });
    let begun = Instant::now();
    let mut stream = control.open_stream(peer, PROTOCOL).await?;
    let mut kept = keep.map(std::fs::File::create).transpose()?;
    let mut hasher = sha2::Sha256::new();
    let mut piece = vec![0; PIECE];
    let mut received = 0;
    loop {
        let count = stream.read(&mut piece).await?;
        if count == 0 {
            break;
        }
        if let Some(file) = &mut kept {
            tokio::task::block_in_place(|| {
                hasher.update(&piece[..count]);
                file.write_all(&piece[..count])
            })?;
        }
        received += count as u64;
    }
    if received != bytes {
        return Err(format!("{received} of {bytes} bytes came").into());
    }
    if let Some(file) = kept {
        file.sync_all()?;
        eprintln!("{}", hex::encode(hasher.finalize()));
    }
    println!("{}", begun.elapsed().as_secs_f64());
    Ok(())
}
