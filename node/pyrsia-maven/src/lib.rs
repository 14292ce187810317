//! The program: command line, configuration, and the composition of a node.
//!
//! One file per command in `commands/`, exit codes in [`exit`], the parts of a node put together in `compose` and
//! nowhere else.
//!
//! Invariants:
//! - a number that ends a process stands in [`exit`] only; errors of the libraries are translated once, here;
//! - results go to standard output, everything else to standard error; with `--json` standard output is one document;
//! - the command line believes no node: `verify` and `receipt` check proofs against a pinned network.
//!
//! What is not here: any rule of the ledger, of the repository or of a build.

mod asked;
pub mod builders;
mod checked_download;
mod cli;
mod client;
mod clock;
mod commands;
mod committee_pin;
mod compose;
mod config;
mod context;
mod data_dir;
pub mod exit;
mod image_store;
mod inference;
mod inputs;
mod known_nodes;
mod network_file;
mod no_ledger;
mod peering;
mod pinned;
mod service;
mod specs;
mod terminal;
mod upkeep;
mod upstream;
mod worker;

use builders::MakeBuilders;
use clap::Parser as _;
use cli::{AuthorityCommand, Cli, Command, ConfigCommand, NetworkCommand};
use exit::Exit;

/// The program, with containers to build in.
pub fn main() -> Exit {
    run(builders::docker)
}

/// Parses the command line, runs the command, says what went wrong. Nodes that it starts build with what `builders` makes.
pub fn run(builders: MakeBuilders) -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; a usage error is code 2 by the contract.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("PYRSIA_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(terminal::decorated())
        .init();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    // tokio's own variable stands.
    if std::env::var_os("TOKIO_WORKER_THREADS").is_none() {
        runtime.worker_threads(workers());
    }
    let runtime = match runtime.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal::note(&format!("error: cannot start: {error}"));
            return Exit::Failed;
        }
    };
    let result = runtime.block_on(dispatch(&cli, builders));
    // A blocked read of standard input must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(5));
    match result {
        Ok(exit) => exit,
        Err(error) => {
            let (exit, text) = (exit::of(&error), format!("{error:#}"));
            terminal::note(&format!("error: {}", terminal::plain_lines(&text)));
            if cli.global.json {
                // A script gets its one document also when nothing worked; standard output may be gone by now.
                let _ = terminal::json(&serde_json::json!({ "exit_code": exit.code(), "error": text }));
            }
            exit
        }
    }
}

/// Threads that carry on many things at once: half of the processor's cores. Hashing, files and databases have threads of
/// their own, and where the former are as many as the cores, they take turns with these in the middle of an answer.
fn workers() -> usize {
    std::thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2))
}

async fn dispatch(cli: &Cli, builders: MakeBuilders) -> anyhow::Result<Exit> {
    let global = &cli.global;
    match &cli.command {
        Command::Node(args) => commands::node::run(global, args, builders).await,
        Command::Worker(args) => commands::worker::run(global, args, builders).await,
        Command::Build(args) => commands::build::run(global, args).await,
        Command::Infer(args) => commands::infer::run(global, args).await,
        Command::Rebuild(args) => commands::rebuild::run(global, args).await,
        Command::Specs(args) => commands::specs::run(global, args).await,
        Command::Verify(args) => commands::verify::run(global, args).await,
        Command::Receipt(args) => commands::receipt::run(global, args).await,
        Command::Provenance(args) => commands::provenance::run(global, args).await,
        Command::Inspect(args) => commands::inspect::run(global, args).await,
        Command::Log(args) => commands::log::run(global, args).await,
        Command::Compare(args) => commands::compare::run(global, args),
        Command::Status => commands::status::run(global).await,
        Command::Builds(args) => commands::builds::run(global, args).await,
        Command::Images(command) => commands::images::run(global, command).await,
        Command::Namespace(command) => commands::governance::namespace(global, command).await,
        Command::Approve(args) => commands::governance::approve(global, args).await,
        Command::Withdraw(args) => commands::governance::withdraw(global, args).await,
        Command::Block(args) => commands::governance::block(global, args).await,
        Command::Policy(command) => commands::policy::run(global, command).await,
        Command::Hosted(command) => commands::hosted::run(global, command).await,
        Command::Network(NetworkCommand::Show) => commands::network::show(global).await,
        Command::Network(NetworkCommand::Init(args)) => commands::network::init(args),
        Command::Network(NetworkCommand::Join(args)) => commands::network::join(global, args),
        Command::Authority(AuthorityCommand::Show { name }) => commands::network::authority(global, name),
        Command::Devnet(command) => commands::devnet::run(global, command).await,
        Command::Peers => commands::peers::run(global).await,
        Command::Config(ConfigCommand::Show) => commands::network::config(global),
        Command::Doctor => commands::doctor::run(global).await,
        Command::Fsck => commands::fsck::run(global).await,
        Command::Gc(args) => commands::gc::run(global, args).await,
        Command::Import(args) => commands::import::run(global, args).await,
        Command::Export(args) => commands::export::run(global, args).await,
        Command::Completions { shell } => Ok(commands::network::completions(*shell)),
    }
}
