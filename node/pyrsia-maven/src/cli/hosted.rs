//! `hosted`: the private repositories of a node.

use clap::{Args, Subcommand};
use pyrsia_hosted::RepositoryId;

/// `hosted`
#[derive(Debug, Subcommand)]
pub enum HostedCommand {
    /// The releases and builds of snapshots in a repository
    List {
        /// Its id, as in the configuration
        #[arg(value_name = "REPO")]
        repository: RepositoryId,
    },
    /// Take a release, a snapshot or a build of one out of a repository
    Remove(HostedRemoveArgs),
}

/// `hosted remove`
#[derive(Debug, Args)]
pub struct HostedRemoveArgs {
    /// The repository's id, as in the configuration
    #[arg(value_name = "REPO")]
    pub repository: RepositoryId,
    /// groupId:artifactId:version; 1.0-SNAPSHOT with all of its builds, 1.0-20261122.072715-2 alone
    #[arg(value_name = "G:A:V")]
    pub version: maven_layout::Coordinates,
}
