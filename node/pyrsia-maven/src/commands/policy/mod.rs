//! `policy`: what would be served and withheld, and what was.

mod project;
mod report;
mod suggest;
mod test;
mod walk;

use crate::cli::{Global, PolicyCommand};
use crate::exit::Exit;

/// Runs the command.
pub async fn run(global: &Global, command: &PolicyCommand) -> anyhow::Result<Exit> {
    match command {
        PolicyCommand::Test(args) => test::run(global, args).await,
        PolicyCommand::Report(args) => report::run(global, args).await,
    }
}
