//! Membership: `network`, `authority`, `devnet`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::SourceMirror;

/// `network`
#[derive(Debug, Subcommand)]
pub enum NetworkCommand {
    /// The genesis of the node's network (what `verify --network` takes)
    Show,
    /// Write the genesis of a new network
    Init(NetworkInitArgs),
    /// Make this data directory's node part of a network
    Join(NetworkJoinArgs),
}

/// `network init`
#[derive(Debug, Args)]
pub struct NetworkInitArgs {
    /// Name of the network, for people
    #[arg(long)]
    pub name: String,
    /// What an authority's `authority show` printed; once for each, in the committee's order
    #[arg(long, required = true, value_name = "FILE")]
    pub authority: Vec<PathBuf>,
    /// Count results whose source was seen only through a mirror map (for development)
    #[arg(long)]
    pub mirrored_sources_count: bool,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `network join`
#[derive(Debug, Args)]
pub struct NetworkJoinArgs {
    /// The network's genesis (`network.json`)
    pub file: PathBuf,
    /// Address of a node that is part of it (multiaddress); may be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub bootstrap: Vec<String>,
    /// Address to listen at for peers (multiaddress); may be given several times
    #[arg(long, value_name = "ADDRESS")]
    pub listen_peers: Vec<String>,
}

/// `authority`
#[derive(Debug, Subcommand)]
pub enum AuthorityCommand {
    /// The public keys that `network init` takes; makes the keys on first use
    Show {
        /// Name of the authority in the network
        #[arg(long)]
        name: String,
    },
}

/// `devnet`
#[derive(Debug, Subcommand)]
pub enum DevnetCommand {
    /// Start it, and return once its nodes serve and know each other
    Up(DevnetUpArgs),
    /// End its processes
    Down {
        /// Folder of the network [default: devnet in the data directory]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// Also remove the folder, with ledgers, keys and files
        #[arg(long)]
        purge: bool,
    },
    /// What its nodes are doing
    Status {
        /// Folder of the network [default: devnet in the data directory]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

/// `devnet up`
#[derive(Debug, Args)]
pub struct DevnetUpArgs {
    /// Number of authorities of a new network
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub authorities: u8,
    /// Folder of the network [default: devnet in the data directory]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Address of the plain node [default: 127.0.0.1:7888]
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<SocketAddr>,
    /// Upstream of a new network's nodes; `none` for no upstream [default: found as Maven finds it]
    #[arg(long, value_name = "URL", env = "PYRSIA_UPSTREAM", hide_env_values = true)]
    pub upstream: Option<String>,
    /// Upstream of the plain node, where it is another
    #[arg(long, value_name = "URL")]
    pub plain_upstream: Option<String>,
    /// Clone sources whose address begins with PREFIX from REPLACEMENT
    #[arg(long, value_name = "PREFIX=REPLACEMENT")]
    pub source_mirror: Vec<SourceMirror>,
    /// The nodes stop when this process is gone
    #[arg(long, hide = true, value_name = "PID")]
    pub exit_with_process: Option<i32>,
}
