//! The cross-process tests. One file for each promise; [`chain`], [`rebuild`],
//! [`clients`], [`restart`], [`releases`], [`faults_machine`] and [`dev_script`] need a Docker engine; [`faults_machine`]
//! mounts a small file system too, and so does [`hosted`], which needs root.

mod agreement;
mod attacks;
mod bench;
mod chain;
mod clients;
mod command_line;
mod dev_script;
mod documented;
mod documents;
mod faults;
mod faults_machine;
mod fixture;
mod guards;
mod holes;
mod holes_answers;
mod holes_crowds;
mod holes_wire;
mod holes_xml;
mod hosted;
mod listings;
mod mirror;
mod more_clients;
mod plain_node;
mod policies;
mod policy_switch;
mod policy_test;
mod processes;
mod published;
mod read_ahead;
mod rebuild;
mod releases;
mod restart;
mod search;
mod specifications;
mod store_export;
mod store_import;
mod store_limits;
mod tls;
mod tracked_files;
mod upkeep;
mod upstreams;
mod versions;
mod workspace_rules;
