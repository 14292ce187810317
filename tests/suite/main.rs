//! The cross-process tests. One file for each promise; [`chain`], [`rebuild`],
//! [`clients`] and [`restart`] need a Docker engine.

mod bench;
mod chain;
mod clients;
mod command_line;
mod documents;
mod fixture;
mod guards;
mod mirror;
mod policies;
mod processes;
mod rebuild;
mod restart;
mod tracked_files;
mod workspace_rules;
