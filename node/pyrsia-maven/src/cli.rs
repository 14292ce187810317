//! The command line: names and flags are a contract with scripts.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod evidence;
mod hosted;
mod images;
mod membership;
mod policy;
mod worker;

pub use evidence::{CompareArgs, ProvenanceArgs, ReceiptArgs, SpecsArgs, VerifyArgs};
pub use hosted::{HostedCommand, HostedRemoveArgs};
pub use images::{ImageRef, ImagesCommand};
pub use membership::{AuthorityCommand, DevnetCommand, DevnetUpArgs, NetworkCommand, NetworkInitArgs, NetworkJoinArgs};
pub use policy::{AsPolicy, PolicyCommand, PolicyReportArgs, PolicyTestArgs};
pub use worker::WorkerArgs;

/// A Maven repository node that rebuilds releases from source and proves it.
#[derive(Debug, Parser)]
#[command(name = "pyrsia-maven", version, propagate_version = true, arg_required_else_help = true)]
pub struct Cli {
    /// Flags that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Configuration file [default: config.toml in the data directory]
    #[arg(long, global = true, value_name = "FILE", env = "PYRSIA_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// Data directory [default: $XDG_DATA_HOME/pyrsia-maven or ~/.local/share/pyrsia-maven]
    #[arg(long, global = true, value_name = "DIR", env = "PYRSIA_DATA_DIR", hide_env_values = true)]
    pub data_dir: Option<PathBuf>,
    /// Address of the node to ask
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "PYRSIA_NODE",
        default_value = "http://127.0.0.1:7888",
        hide_env_values = true
    )]
    pub node: String,
    /// Folder of builder images [default: images in the data directory]
    #[arg(long, global = true, value_name = "DIR", env = "PYRSIA_IMAGES", hide_env_values = true)]
    pub images: Option<PathBuf>,
    /// Print one JSON document on standard output
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a node: Maven repository at /maven2/, JSON API at /api/v1/, pages at /
    Node(NodeArgs),
    /// Run builds of an authority here, beside a container engine
    Worker(WorkerArgs),
    /// Ask the network to rebuild a release
    Build(BuildArgs),
    /// Rebuild a release here and now, without a network
    Rebuild(RebuildArgs),
    /// What a collection of build specifications has for a release, or how much of it can be used
    Specs(SpecsArgs),
    /// Find source and specification of a release, and show the evidence, without building
    Infer(InferArgs),
    /// Does this artifact match what the ledger says?
    Verify(VerifyArgs),
    /// Write the offline receipt of a release
    Receipt(ReceiptArgs),
    /// Write the signed provenance of a release, one DSSE envelope in a line
    Provenance(ProvenanceArgs),
    /// The story of a release: request, source, builders, digests, verdict
    Inspect(InspectArgs),
    /// The ledger itself
    Log(LogArgs),
    /// Typed comparison of two archives
    Compare(CompareArgs),
    /// What the node is doing
    Status,
    /// Builds of the node, or one of them
    Builds(BuildsArgs),
    /// Builder images
    #[command(subcommand)]
    Images(ImagesCommand),
    /// Who may publish which group, from which repositories
    #[command(subcommand)]
    Namespace(NamespaceCommand),
    /// Approve a build specification that is not on the list of structured ones
    Approve(ApproveArgs),
    /// Withdraw the verdict of a release: it becomes unknown again
    Withdraw(ReasonArgs),
    /// Withhold a release from every client
    Block(ReasonArgs),
    /// What would be served and withheld, and what was
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Private repositories: what is in them, and taking versions away
    #[command(subcommand)]
    Hosted(HostedCommand),
    /// The network that this node belongs to
    #[command(subcommand)]
    Network(NetworkCommand),
    /// What this data directory is as an authority
    #[command(subcommand)]
    Authority(AuthorityCommand),
    /// A network of several authorities and a plain node on this machine
    #[command(subcommand)]
    Devnet(DevnetCommand),
    /// Whom the node is connected to
    Peers,
    /// The configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Check what a node needs on this machine
    Doctor,
    /// Hash every file of the repository's store again; damaged ones are moved aside
    Fsck,
    /// Remove files of the repository's store that were not asked for lately, and what hosted repositories have removed
    Gc(GcArgs),
    /// Take files of a local Maven repository, or of a folder that mirrors one, into the store
    Import(ImportArgs),
    /// Write what this node would serve as a plain folder that any web server can serve
    Export(ExportArgs),
    /// Shell completions
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// `PREFIX=REPLACEMENT`, like git's insteadOf.
#[derive(Debug, Clone)]
pub struct SourceMirror {
    /// What a repository's address begins with.
    pub prefix: String,
    /// What takes its place.
    pub replacement: String,
}

impl std::str::FromStr for SourceMirror {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((prefix, replacement)) if !prefix.is_empty() && !replacement.is_empty() => {
                Ok(Self { prefix: prefix.to_owned(), replacement: replacement.to_owned() })
            }
            _ => Err("expected PREFIX=REPLACEMENT".to_owned()),
        }
    }
}

/// `node`
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// Address to listen at [default: 127.0.0.1:7888]
    #[arg(long, value_name = "ADDRESS", env = "PYRSIA_LISTEN", hide_env_values = true)]
    pub listen: Option<SocketAddr>,
    /// Maven Central or a mirror of it; `none` for no upstream [default: found as Maven finds it]
    #[arg(long, value_name = "URL", env = "PYRSIA_UPSTREAM", hide_env_values = true)]
    pub upstream: Option<String>,
    /// Ask no upstream: serve what the store, the ledger and peers have
    #[arg(long)]
    pub offline: bool,
    /// Clone sources whose address begins with PREFIX from REPLACEMENT
    #[arg(long, value_name = "PREFIX=REPLACEMENT")]
    pub source_mirror: Vec<SourceMirror>,
    /// Do not rebuild, only serve
    #[arg(long)]
    pub no_builder: bool,
    /// Write {"url", "pid"}, and "workers_url" if there is one, to FILE once the node serves
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
    /// Stop when standard input is closed
    #[arg(long, hide = true)]
    pub exit_with_stdin: bool,
    /// Stop when this process is gone
    #[arg(long, hide = true, value_name = "PID")]
    pub exit_with_process: Option<i32>,
}

/// `gc`
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("limits").required(true).multiple(true)))]
pub struct GcArgs {
    /// Remove the longest unused files until the store is no larger
    #[arg(long, value_name = "GIB", group = "limits")]
    pub max_gib: Option<u64>,
    /// Remove what was not asked for in so many days
    #[arg(long, value_name = "DAYS", group = "limits")]
    pub max_age_days: Option<u64>,
    /// Remove the longest unused files until so much is free on the disk
    #[arg(long, value_name = "GIB", group = "limits")]
    pub min_free_gib: Option<u64>,
    /// Remove what nothing names any more and was stored more than a week ago, as after an index was lost
    #[arg(long, group = "limits")]
    pub strays: bool,
    /// Remove also what a verdict of the ledger names; this node may be the last to have it
    #[arg(long)]
    pub remove_named: bool,
    /// Remove nothing, say what would be removed
    #[arg(long)]
    pub dry_run: bool,
}

/// `import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The folder, for example ~/.m2/repository
    pub dir: PathBuf,
    /// Take what the ledger and this node know nothing about without asking an upstream for its checksum
    #[arg(long)]
    pub trust: bool,
    /// Maven Central or a mirror of it, which is asked for checksums [default: as the node finds it]
    #[arg(long, value_name = "URL", env = "PYRSIA_UPSTREAM", hide_env_values = true, conflicts_with = "trust")]
    pub upstream: Option<String>,
    /// Change nothing, say what would be taken
    #[arg(long)]
    pub dry_run: bool,
}

/// `export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The folder; made if it is not there
    pub dir: PathBuf,
    /// Only a group, with those below it, an artifact, or a version
    #[arg(long, value_name = "G[:A[:V]]")]
    pub only: Option<Only>,
    /// Only files whose verdict is `published` or `identical` (and `equivalent`, if the configuration allows it)
    #[arg(long)]
    pub verified: bool,
    /// Link files to those of the store where both are on one file system, instead of copying them
    #[arg(long)]
    pub link: bool,
    /// Hash what is in the folder already, and write anew what is damaged
    #[arg(long)]
    pub check: bool,
}

/// What is exported: a group with those below it, an artifact, or a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Only {
    /// The group.
    pub group: maven_layout::GroupId,
    /// The artifact, if it is one.
    pub artifact: Option<maven_layout::ArtifactId>,
    /// Its version, if it is one.
    pub version: Option<maven_layout::Version>,
}

impl std::str::FromStr for Only {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.splitn(3, ':');
        let group = parts.next().unwrap_or_default().parse().map_err(|error| format!("{error}"))?;
        let artifact = parts.next().map(str::parse).transpose().map_err(|error| format!("{error}"))?;
        let version = parts.next().map(str::parse).transpose().map_err(|error| format!("{error}"))?;
        Ok(Self { group, artifact, version })
    }
}

impl Only {
    /// Whether a release belongs to it.
    pub fn holds(&self, release: &maven_layout::Coordinates) -> bool {
        match &self.artifact {
            None => release.group.is_within(&self.group),
            Some(artifact) => {
                release.group == self.group
                    && release.artifact == *artifact
                    && self.version.as_ref().is_none_or(|version| release.version == *version)
            }
        }
    }
}

/// How a source is named; shared by `build` and `rebuild`.
#[derive(Debug, Clone, Args)]
pub struct SourceArgs {
    /// Repository, as the release names it [default: what its POM names]
    #[arg(long, value_name = "URL")]
    pub source: Option<String>,
    /// Tag of the release [default: tried by the usual patterns]
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
    /// Commit, in full
    #[arg(long, value_name = "COMMIT")]
    pub commit: Option<String>,
    /// Build specification (TOML, or a .buildspec file) [default: pyrsia.toml at the commit, else Maven's ordinary
    /// build; `rebuild` infers one]
    #[arg(long, value_name = "FILE", conflicts_with = "specs")]
    pub spec: Option<PathBuf>,
    /// Take specification, source and tag from this folder or git repository of specifications
    #[arg(long, value_name = "DIR|URL")]
    pub specs: Vec<String>,
}

/// `build`
#[derive(Debug, Args)]
pub struct BuildArgs {
    /// groupId:artifactId:version
    pub coordinates: maven_layout::Coordinates,
    /// Source and specification.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Show progress up to the verdict, and exit as `verify` would
    #[arg(long)]
    pub wait: bool,
    /// With --wait: exit 0 for a verdict of a network that tolerates no liar
    #[arg(long)]
    pub accept_self: bool,
    /// With --wait: exit 0 for `equivalent`
    #[arg(long)]
    pub allow_equivalent: bool,
}

/// `rebuild`
#[derive(Debug, Args)]
pub struct RebuildArgs {
    /// groupId:artifactId:version
    pub coordinates: maven_layout::Coordinates,
    /// Source and specification.
    #[command(flatten)]
    pub source: SourceArgs,
    /// Clone sources whose address begins with PREFIX from REPLACEMENT
    #[arg(long, value_name = "PREFIX=REPLACEMENT")]
    pub source_mirror: Vec<SourceMirror>,
    /// Build in this image instead of one of `images`; the container engine gets it from its registry if it does not hold it
    #[arg(long, value_name = "NAME@sha256:DIGEST")]
    pub image: Option<java_builder::ImageReference>,
    /// Write files, provenance, manifest and log to DIR
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Compare with this file or address instead of the upstream's
    #[arg(long, value_name = "FILE|URL", conflicts_with = "no_reference")]
    pub reference: Option<String>,
    /// Compare with nothing
    #[arg(long)]
    pub no_reference: bool,
    /// Without a specification: try at most so many, each chosen by what was wrong with the one before
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    pub attempts: u32,
    /// Without a specification: begin no further attempt after this time
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    pub attempt_minutes: u64,
    /// Maven Central or a mirror of it [default: found as Maven finds it]
    #[arg(long, value_name = "URL", env = "PYRSIA_UPSTREAM", hide_env_values = true)]
    pub upstream: Option<String>,
    /// Sign the provenance with the key in FILE: an ed25519 seed, 64 hexadecimal digits, readable by its owner alone
    /// [default: the data directory's authority key, if it has one]
    #[arg(long, value_name = "FILE")]
    pub key: Option<PathBuf>,
}

/// `infer`
#[derive(Debug, Args)]
pub struct InferArgs {
    /// groupId:artifactId:version
    pub coordinates: maven_layout::Coordinates,
    /// Repository to look in [default: what the release's POM and its parents name]
    #[arg(long, value_name = "URL")]
    pub source: Option<String>,
    /// Clone sources whose address begins with PREFIX from REPLACEMENT
    #[arg(long, value_name = "PREFIX=REPLACEMENT")]
    pub source_mirror: Vec<SourceMirror>,
    /// Maven Central or a mirror of it [default: found as Maven finds it]
    #[arg(long, value_name = "URL", env = "PYRSIA_UPSTREAM", hide_env_values = true)]
    pub upstream: Option<String>,
}

/// `inspect`
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// groupId:artifactId:version
    pub coordinates: maven_layout::Coordinates,
}

/// `log`
#[derive(Debug, Args)]
pub struct LogArgs {
    /// First leaf to show
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub from: u64,
    /// Go on as the ledger grows
    #[arg(long)]
    pub follow: bool,
}

/// `builds`
#[derive(Debug, Args)]
pub struct BuildsArgs {
    /// One build, by id
    pub id: Option<String>,
    /// Show its log as it grows, up to the end
    #[arg(long, requires = "id")]
    pub follow: bool,
}

/// `namespace`
#[derive(Debug, Subcommand)]
pub enum NamespaceCommand {
    /// Let a publisher publish a group (and those below it) from a repository
    Grant {
        /// groupId
        group: maven_layout::GroupId,
        /// Repository that sources may come from; may be given several times
        #[arg(long, required = true, value_name = "URL")]
        repository: Vec<String>,
        /// Public key of the publisher [default: the key of this data directory]
        #[arg(long, value_name = "KEY")]
        publisher: Vec<String>,
    },
}

/// `approve`
#[derive(Debug, Args)]
pub struct ApproveArgs {
    /// The specification (TOML, or a .buildspec file)
    #[arg(long, value_name = "FILE")]
    pub spec: PathBuf,
}

/// `withdraw`, `block`
#[derive(Debug, Args)]
pub struct ReasonArgs {
    /// groupId:artifactId:version
    pub coordinates: maven_layout::Coordinates,
    /// Why; goes into the ledger
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
}

/// `config`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// The configuration as it is in effect
    Show,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_parser_is_consistent() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_group_holds_those_below_it_and_an_artifact_itself() {
        let holds = |only: &str, release: &str| only.parse::<Only>().unwrap().holds(&release.parse().unwrap());
        assert!(holds("org.acme", "org.acme:lib:1") && holds("org.acme", "org.acme.deep:lib:1"));
        assert!(!holds("org.acme", "org.acmeevil:lib:1"));
        assert!(holds("org.acme:lib", "org.acme:lib:1") && !holds("org.acme:lib", "org.acme.deep:lib:1"));
        assert!(holds("org.acme:lib:1", "org.acme:lib:1") && !holds("org.acme:lib:1", "org.acme:lib:1.0"));
        for bad in ["", "org..acme", "org.acme:", "org.acme:li/b", "org.acme:lib:"] {
            assert!(bad.parse::<Only>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_receipt_needs_a_network() {
        assert!(Cli::try_parse_from(["pyrsia-maven", "verify", "--receipt", "r"]).is_err());
        assert!(Cli::try_parse_from(["pyrsia-maven", "verify", "--receipt", "r", "--network", "n"]).is_ok());
    }
}
