//! Configuration: one TOML file, typed sections, unknown fields refused.
//!
//! Precedence: flag, `PYRSIA_*`, file, default. The first two are merged by the argument parser ([`crate::cli`]),
//! which then overwrites what stands here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use java_builder::JavaBuilderConfig;
use pyrsia_consensus::ConsensusConfig;
use pyrsia_fetch::HttpConfig;
use pyrsia_hosted::Accepts;
use pyrsia_network::NetworkConfig;
use pyrsia_rebuilds::Patience;
use pyrsia_repository::ReadAhead;
use serde::{Deserialize, Serialize};

use crate::upkeep::limits::Limits;

/// Seconds of a day.
pub const DAY: u64 = 24 * 60 * 60;

/// Where the file lies when `--config` is not given.
pub const FILE_NAME: &str = "config.toml";

/// The whole configuration.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folders and git repositories of build specifications, which `rebuild` looks into, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub specs: Vec<String>,
    /// The node itself.
    pub node: NodeConfig,
    /// Further Maven repositories, in the order in which they are asked.
    pub upstreams: Vec<UpstreamConfig>,
    /// Getting what clients will ask for next.
    pub read_ahead: ReadAheadConfig,
    /// The second listener, which speaks TLS.
    pub tls: TlsConfig,
    /// Who may read through it; none: everybody on loopback, and beyond it only those whom `hosted` names.
    pub readers: Vec<ReaderConfig>,
    /// Private repositories, which people upload to.
    pub hosted: Vec<HostedConfig>,
    /// What is served under which provenance.
    pub policy: PolicyConfig,
    /// How large the store may become.
    pub store: StoreConfig,
    /// Where sources are cloned from: `"https://host/path/" = "file:///mirror/"`; the longest prefix wins.
    pub source_mirrors: BTreeMap<String, String>,
    /// Rebuilding.
    pub builder: BuilderConfig,
    /// Rebuilding on other machines.
    pub workers: WorkersConfig,
    /// Agreeing on the order of entries.
    pub consensus: ConsensusConfig,
    /// Peers.
    pub network: NetworkConfig,
    /// How long this authority waits for the others.
    pub rounds: Patience,
}

/// Section `[node]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeConfig {
    /// Address of the HTTP face. Only loopback is allowed as long as there is no TLS and authentication.
    pub listen: SocketAddr,
    /// Host names, beside loopback's, that clients may use in the `Host` header.
    pub allowed_hosts: Vec<String>,
    /// Maven Central or a mirror of it; `none` for no upstream; nothing: found as the user's Maven finds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<String>,
    /// Ask no upstream for anything.
    pub offline: bool,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7888)),
            allowed_hosts: Vec::new(),
            upstream: None,
            offline: false,
        }
    }
}

/// One `[[upstreams]]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamConfig {
    /// A name for logs and records. `central` stands for Maven Central, which else is the last one.
    pub id: String,
    /// Address; left out for `central` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Groups that it is asked for; a group that is named here is asked of no upstream that names it less precisely. None: all.
    #[serde(default)]
    pub include: Vec<String>,
    /// Groups that it is never asked for.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// The policy for what it is asked for, where no rule names the group; none: the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<PolicyName>,
    /// User name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The environment variable that holds the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    /// The file whose first line is the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// Limits and times.
    #[serde(default)]
    pub http: HttpConfig,
}

/// Section `[read_ahead]`: while a client walks from POM to POM, the node fetches what it will ask for next.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReadAheadConfig {
    /// Whether it does.
    pub enabled: bool,
    /// Downloads at one time.
    pub at_once: usize,
    /// Files that were fetched and that nobody has asked for; then it waits until some are.
    pub max_files: usize,
    /// Their bytes.
    pub max_bytes: u64,
    /// Seconds after the last client that asked for something new; then the rest is dropped.
    pub pause_s: u64,
}

impl Default for ReadAheadConfig {
    fn default() -> Self {
        let ReadAhead { at_once, files, bytes, pause_s } = ReadAhead::default();
        Self { enabled: true, at_once, max_files: files, max_bytes: bytes, pause_s }
    }
}

impl ReadAheadConfig {
    /// As the repository takes it.
    pub fn limits(&self) -> Option<ReadAhead> {
        let Self { enabled, at_once, max_files: files, max_bytes: bytes, pause_s } = *self;
        (enabled && at_once > 0).then_some(ReadAhead { at_once, files, bytes, pause_s })
    }
}

/// Section `[tls]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// Address to listen at; none: no TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// Host names and addresses under which clients reach it.
    pub names: Vec<String>,
    /// The server's certificate and those between it and a root, PEM; none: one that signs itself is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Its key, PEM.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

/// One `[[readers]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReaderConfig {
    /// User name.
    pub name: String,
    /// The file that holds the token, which is the password.
    pub token_file: PathBuf,
    /// Groups whose files are all that this reader gets; none: everything that the node shows.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// One `[[hosted]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostedConfig {
    /// Its name: it is served under `/hosted/ID/`.
    pub id: String,
    /// What is uploaded to it.
    pub accept: Accepts,
    /// Largest file, in bytes.
    #[serde(default = "default_max_file")]
    pub max_file: u64,
    /// Bytes of all stored files together; none: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Who may upload.
    #[serde(default)]
    pub writers: Vec<HolderConfig>,
    /// Who may read, beside the writers; none: whoever reads everything else that the listener serves.
    #[serde(default)]
    pub readers: Vec<HolderConfig>,
}

/// One `[[hosted.writers]]` or `[[hosted.readers]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HolderConfig {
    /// User name.
    pub name: String,
    /// The file that holds the token, which is the password.
    pub token_file: PathBuf,
    /// Groups or folders; none: everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<String>>,
    /// Whether a writer may also take versions away there.
    #[serde(default)]
    pub may_remove: bool,
}

fn default_max_file() -> u64 {
    1 << 30
}

/// Section `[policy]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// For groups that no pattern names.
    pub default: PolicyName,
    /// Whether `verified` also serves files whose verdict is `equivalent`.
    pub allow_equivalent: bool,
    /// `"org.acme.*" = "verified"`: the longest matching pattern wins.
    pub groups: BTreeMap<String, PolicyName>,
}

impl Default for PolicyConfig {
    fn default() -> Self {
        Self { default: PolicyName::PreferVerified, allow_equivalent: false, groups: BTreeMap::new() }
    }
}

/// A policy by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyName {
    /// Only files with a good verdict.
    Verified,
    /// Everything, marked with its provenance; blocked releases are withheld.
    PreferVerified,
    /// A plain cache.
    Mirror,
}

impl PolicyName {
    /// The name as the file has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::PreferVerified => "prefer-verified",
            Self::Mirror => "mirror",
        }
    }
}

/// Section `[store]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreConfig {
    /// Bytes of all stored files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Days after which a file may go that nobody has asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_days: Option<u64>,
    /// Bytes that are to be free on the disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_free_bytes: Option<u64>,
    /// Whether files that a verdict names may go as well.
    pub remove_named: bool,
    /// How often the node looks, in seconds.
    pub check_s: u64,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self { max_bytes: None, max_age_days: None, min_free_bytes: None, remove_named: false, check_s: 60 }
    }
}

impl StoreConfig {
    /// The limits, if there are any.
    pub fn limits(&self) -> Limits {
        Limits {
            max_bytes: self.max_bytes,
            max_age_s: self.max_age_days.map(|days| days.saturating_mul(DAY)),
            min_free_bytes: self.min_free_bytes,
            remove_named: self.remove_named,
        }
    }
}

/// Section `[builder]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BuilderConfig {
    /// Whether this node rebuilds when it can.
    pub enabled: bool,
    /// Where builder images are kept; nothing: `images` in the data directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// Engine, limits and folders of the Java builder.
    pub java: JavaBuilderConfig,
}

impl Default for BuilderConfig {
    fn default() -> Self {
        Self { enabled: true, images: None, java: JavaBuilderConfig::default() }
    }
}

/// Section `[workers]`: an authority that has a listener for workers has them build, and builds nothing itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WorkersConfig {
    /// Address to listen at; none: this machine builds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
    /// Speak TLS, with the certificate of `[tls]`, on loopback too; beyond it that is so in any case.
    pub tls: bool,
    /// Seconds after which the build of a worker that gives no sign of life goes to another one.
    pub lease_s: u64,
    /// Rounds that are worked on at the same time.
    pub builds: usize,
    /// Who may take builds.
    pub tokens: Vec<WorkerTokenConfig>,
}

impl Default for WorkersConfig {
    fn default() -> Self {
        Self { listen: None, tls: false, lease_s: 30, builds: 16, tokens: Vec::new() }
    }
}

/// One `[[workers.tokens]]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkerTokenConfig {
    /// A name for logs.
    pub name: String,
    /// The file that holds the token. Several processes may share one.
    pub token_file: PathBuf,
}

impl Config {
    /// Reads `path`; a missing file is the default only where it was not named by the user.
    pub fn load(path: &Path, named_by_user: bool) -> anyhow::Result<Self> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named_by_user => {
                return Ok(Self::default());
            }
            Err(error) => {
                return Err(error).with_context(|| format!("cannot read the configuration file {}", path.display()));
            }
        };
        toml::from_str(&text).with_context(|| format!("the configuration file {} is not valid", path.display()))
    }

    /// The TOML form.
    pub fn to_toml(&self) -> anyhow::Result<String> {
        Ok(toml::to_string(self)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_field_is_refused_by_name() {
        let error = toml::from_str::<Config>("[node]\nlistne = \"127.0.0.1:1\"\n").unwrap_err().to_string();
        assert!(error.contains("listne"), "{error}");
    }

    #[test]
    fn the_default_round_trips() {
        let config = Config::default();
        assert_eq!(toml::from_str::<Config>(&config.to_toml().unwrap()).unwrap(), config);
        assert_eq!(toml::from_str::<Config>("").unwrap(), config);
    }

    #[test]
    fn a_missing_file_is_an_error_only_when_it_was_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.toml");
        assert_eq!(Config::load(&path, false).unwrap(), Config::default());
        assert!(Config::load(&path, true).is_err());
    }
}
