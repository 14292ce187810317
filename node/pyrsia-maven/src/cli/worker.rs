//! `worker`: builds for an authority.

use std::path::PathBuf;

use clap::Args;

/// `worker`
#[derive(Debug, Args)]
pub struct WorkerArgs {
    /// Where the authority listens for workers; https, or http on this machine
    #[arg(long, value_name = "URL", env = "PYRSIA_AUTHORITY", hide_env_values = true)]
    pub authority: String,
    /// The file that holds this worker's token
    #[arg(long, value_name = "FILE")]
    pub token_file: PathBuf,
    /// Trust the certificates in FILE (PEM) and no others, as for one that the authority has made itself
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Builds at a time [default: one for each processor, as far as memory holds them]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub slots: Option<u16>,
    /// Keep so much of what builds were given, for the next ones
    #[arg(long, value_name = "GIB", default_value_t = 20)]
    pub cache_gib: u64,
    /// Stop when standard input is closed
    #[arg(long, hide = true)]
    pub exit_with_stdin: bool,
}
