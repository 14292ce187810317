//! What proves where a release comes from, and what it is compared with: `specs`, `verify`, `receipt`, `provenance`, `compare`.

use std::path::PathBuf;

use clap::Args;

/// `specs`
#[derive(Debug, Args)]
pub struct SpecsArgs {
    /// Folder, or git repository at file:// or https://, of TOML or .buildspec files
    #[arg(value_name = "DIR|URL")]
    pub collection: String,
    /// groupId:artifactId:version [default: count the .buildspec files that can be used]
    #[arg(value_name = "G:A:V")]
    pub coordinates: Option<maven_layout::Coordinates>,
}

/// `verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// groupId:artifactId:version[:classifier][@extension]
    #[arg(value_name = "G:A:V[:CLASSIFIER][@EXT]")]
    pub artifacts: Vec<maven_layout::ArtifactRef>,
    /// Verify this file (of the one artifact that is named, or of whichever release it belongs to)
    #[arg(long, value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Read artifacts from standard input, one in a line
    #[arg(long)]
    pub stdin: bool,
    /// Verify every artifact of a local repository
    #[arg(long, value_name = "DIR")]
    pub repo: Option<PathBuf>,
    /// Local Maven repository in which the artifacts are looked up [default: ~/.m2/repository]
    #[arg(long, value_name = "DIR", env = "PYRSIA_MAVEN_REPO", hide_env_values = true)]
    pub maven_repo: Option<PathBuf>,
    /// Verify offline with this receipt
    #[arg(long, value_name = "FILE", requires = "network")]
    pub receipt: Option<PathBuf>,
    /// The network to trust: a network.json, or with a running node a network id
    #[arg(long, value_name = "FILE|ID")]
    pub network: Option<String>,
    /// Exit 0 for a verdict of a network that tolerates no liar
    #[arg(long)]
    pub accept_self: bool,
    /// Exit 0 for `equivalent`
    #[arg(long)]
    pub allow_equivalent: bool,
    /// Exit 19 if the newest certified checkpoint is older than this many seconds
    #[arg(long, value_name = "SECONDS")]
    pub max_age: Option<u64>,
}

/// `receipt`
#[derive(Debug, Args)]
pub struct ReceiptArgs {
    /// groupId:artifactId:version
    pub coordinates: maven_layout::Coordinates,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `provenance`
#[derive(Debug, Args)]
pub struct ProvenanceArgs {
    /// groupId:artifactId:version
    pub coordinates: maven_layout::Coordinates,
    /// Write to FILE instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Of this authority only, by its name or its key
    #[arg(long, value_name = "NAME")]
    pub authority: Option<String>,
}

/// `compare`
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The rebuilt archive
    pub left: PathBuf,
    /// The reference
    pub right: PathBuf,
}
