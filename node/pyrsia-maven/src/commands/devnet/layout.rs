//! The folder of a development network.
//!
//! ```text
//! devnet.json      genesis, names and addresses
//! processes.json   what runs (see `process`)
//! a1 a2 .. node    data directories
//! images/          builder images of all authorities, unless the configuration names another folder
//! logs/NAME.log    what a node wrote to standard error
//! ready/NAME       ready files
//! ```

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use pyrsia_digest::Sha256;
use pyrsia_ledger::{Constants, Genesis};
use serde::{Deserialize, Serialize};

use crate::cli::DevnetUpArgs;
use crate::config::Config;
use crate::context::Context;
use crate::data_dir::{DataDir, write_atomically};
use crate::network_file::{self, AuthorityKeys};
use crate::upstream;

const FILE: &str = "devnet.json";
const PLAIN: &str = "node";
/// Says that a folder is being made into a devnet.
const MAKING: &str = "devnet.making";

/// A development network.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Devnet {
    /// Its genesis.
    pub genesis: Genesis,
    /// The authorities, in the committee's order.
    pub authorities: Vec<Member>,
    /// The plain node.
    pub plain: Member,
}

/// One node of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name, and that of its data directory.
    pub name: String,
    /// Address of its HTTP face.
    pub url: String,
}

impl Member {
    /// Its data directory.
    pub fn data_dir(&self, dir: &Path) -> PathBuf {
        dir.join(&self.name)
    }

    /// Where it writes its log.
    pub fn log_file(&self, dir: &Path) -> PathBuf {
        dir.join("logs").join(format!("{}.log", self.name))
    }

    /// What it writes once it serves.
    pub fn ready_file(&self, dir: &Path) -> PathBuf {
        dir.join("ready").join(&self.name)
    }
}

impl Devnet {
    /// Reads the network of a folder; none where there is none yet.
    pub fn read(dir: &Path) -> anyhow::Result<Option<Self>> {
        let path = dir.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let devnet: Self =
            serde_json::from_slice(&bytes).with_context(|| format!("{} describes no devnet", path.display()))?;
        devnet.genesis.check()?;
        Ok(Some(devnet))
    }

    /// The authorities, then the plain node.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.authorities.iter().chain([&self.plain])
    }
}

/// Makes a network: keys, genesis, a configuration for each node. The last file written is the one that [`Devnet::read`]
/// looks for, so a half-made folder is none.
pub async fn create(dir: &Path, context: &Context, args: &DevnetUpArgs) -> anyhow::Result<Devnet> {
    let listen = args.listen.unwrap_or(context.config.node.listen);
    ensure!(listen.ip().is_loopback(), "a devnet listens on loopback only, not at {listen}");
    let making = dir.join(MAKING);
    let empty = !dir.exists() || std::fs::read_dir(dir)?.next().is_none() || making.exists();
    ensure!(empty, "{} is neither empty nor a devnet", dir.display());
    std::fs::create_dir_all(dir).with_context(|| format!("cannot create {}", dir.display()))?;
    std::fs::write(&making, b"").with_context(|| format!("cannot write {}", making.display()))?;
    for folder in ["logs", "ready"] {
        std::fs::create_dir_all(dir.join(folder)).with_context(|| format!("cannot create {}", dir.display()))?;
    }
    let names: Vec<String> = (1..=args.authorities).map(|number| format!("a{number}")).collect();
    let mut described = Vec::new();
    for name in &names {
        let data = data_dir(dir, name)?;
        described.push(AuthorityKeys::load(&data)?.describe(name));
    }
    // Whoever makes a network on this machine also writes its mirror map.
    let constants = Constants { mirrored_sources_count: true, ..Constants::default() };
    let genesis = network_file::genesis("devnet", described, constants)?;

    // Held until all are known, so that no two are the same.
    let mut held = Vec::new();
    let mut addresses = BTreeMap::new();
    for name in names.iter().map(String::as_str).chain([PLAIN]) {
        addresses.insert(name.to_owned(), (free_address(&mut held)?, free_address(&mut held)?));
    }
    let http = |name: &str| if name == PLAIN && listen.port() != 0 { listen } else { addresses[name].0 };
    let multiaddress = |address: SocketAddr| format!("/ip4/{}/tcp/{}", address.ip(), address.port());
    let mut bootstrap = Vec::new();
    for name in &names {
        let node = pyrsia_network::node_id(&data_dir(dir, name)?.secret("node.key")?);
        bootstrap.push(format!("{}/p2p/{node}", multiaddress(addresses[name].1)));
    }
    let upstream = match &args.upstream {
        Some(upstream) => Some(upstream.clone()),
        // Asked once here: an authority whose upstream were the plain node would compare the network with itself.
        None => upstream::address(upstream::Own::at(listen)).await?,
    };
    for name in names.iter().map(String::as_str).chain([PLAIN]) {
        let data = data_dir(dir, name)?;
        network_file::join(&data, &genesis)?;
        let mut config = Config { rounds: context.config.rounds, ..Config::default() };
        config.node.listen = http(name);
        config.node.upstream = Some(upstream.clone().unwrap_or_else(|| upstream::NONE.to_owned()));
        config.network.listen = vec![multiaddress(addresses[name].1)];
        config.network.bootstrap = bootstrap.clone();
        config.builder = context.config.builder.clone();
        // Of its own for each node: what a killed node left there is told by this folder's path.
        config.builder.java.runtime_dir = runtime_dir(dir, name, &context.config.builder.java.runtime_dir);
        config.builder.images = Some(context.config.builder.images.clone().unwrap_or_else(|| dir.join("images")));
        config.source_mirrors = context.config.source_mirrors.clone();
        for mirror in &args.source_mirror {
            config.source_mirrors.insert(mirror.prefix.clone(), mirror.replacement.clone());
        }
        if name == PLAIN {
            // It knows one address, as anybody who joins; the others it learns.
            config.network.bootstrap.truncate(1);
            config.builder.enabled = false;
            config.builder.images = None;
            if args.plain_upstream.is_some() {
                config.node.upstream = args.plain_upstream.clone();
            }
        }
        write_atomically(&data.join(crate::config::FILE_NAME), config.to_toml()?.as_bytes())?;
    }
    let member = |name: &str| Member { name: name.to_owned(), url: format!("http://{}", http(name)) };
    let devnet = Devnet { genesis, authorities: names.iter().map(|name| member(name)).collect(), plain: member(PLAIN) };
    write_atomically(&dir.join(FILE), &serde_json::to_vec_pretty(&devnet)?)?;
    std::fs::remove_file(&making)?;
    Ok(devnet)
}

fn data_dir(dir: &Path, name: &str) -> anyhow::Result<DataDir> {
    let data = DataDir::new(&dir.join(name))?;
    data.create()?;
    Ok(data)
}

/// The folder for a node's sockets: short, since a socket's path is.
fn runtime_dir(dir: &Path, name: &str, base: &Path) -> PathBuf {
    base.join(runtime_name(dir, name))
}

fn runtime_name(dir: &Path, name: &str) -> String {
    let digest = Sha256::of(dir.as_os_str().as_encoded_bytes()).to_string();
    format!("{}-{name}", &digest[..10])
}

/// Removes everything of a devnet from its folder, and the folder if nothing else is in it.
pub fn remove(dir: &Path, devnet: &Devnet) -> anyhow::Result<()> {
    let names = devnet.members().map(|member| member.name.as_str());
    for name in names.chain(["images", "logs", "ready", super::process::FILE, FILE]) {
        let path = dir.join(name);
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    if std::fs::read_dir(dir)?.next().is_none() {
        std::fs::remove_dir(dir)?;
    }
    Ok(())
}

/// Removes what the nodes' builds left in the folders for their sockets. Only when no node runs.
pub fn remove_runtime_dirs(dir: &Path, devnet: &Devnet) -> anyhow::Result<()> {
    for member in &devnet.authorities {
        let config = Config::load(&member.data_dir(dir).join(crate::config::FILE_NAME), true)?;
        let folder = config.builder.java.runtime_dir;
        // One that somebody has configured since is theirs.
        if folder.file_name() != Some(runtime_name(dir, &member.name).as_ref()) {
            continue;
        }
        match std::fs::remove_dir_all(&folder) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot remove {}", folder.display())),
        }
    }
    Ok(())
}

/// An address that nothing listens at. It is written down, so that a restarted node is where the others look for it.
fn free_address(held: &mut Vec<TcpListener>) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on this machine")?;
    let address = listener.local_addr()?;
    held.push(listener);
    Ok(address)
}

/// The end of a file that a program wrote, fit for a terminal.
pub fn last_lines(path: &Path, count: usize) -> String {
    let text = std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    crate::terminal::plain_lines(&lines[lines.len().saturating_sub(count)..].join("\n"))
}
