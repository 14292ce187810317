//! One file for each command.

pub mod build;
pub mod builds;
pub mod compare;
pub mod devnet;
pub mod doctor;
pub mod export;
pub mod fsck;
pub mod gc;
pub mod governance;
pub mod hosted;
pub mod images;
pub mod import;
pub mod inspect;
pub mod judge;
pub mod local_files;
pub mod log;
pub mod network;
pub mod node;
pub mod peers;
pub mod policy;
pub mod provenance;
pub mod rebuild;
pub mod receipt;
pub mod specs;
pub mod status;
pub mod verify;
