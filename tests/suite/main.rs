//! The cross-process tests. One file for each promise; [`chain`], [`rebuild`],
//! [`clients`], [`restart`], [`releases`] and [`dev_script`] need a Docker engine.

mod agreement;
mod attacks;
mod bench;
mod chain;
mod clients;
mod command_line;
mod dev_script;
mod documented;
mod documents;
mod fixture;
mod guards;
mod mirror;
mod plain_node;
mod policies;
mod processes;
mod rebuild;
mod releases;
mod restart;
mod tracked_files;
mod workspace_rules;
