//! What an operator may set. Nothing in here changes what a build makes, only whether and where it runs.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

/// Settings of a [`JavaBuilder`](crate::JavaBuilder); every field has a default.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JavaBuilderConfig {
    /// Socket of the container engine (`/path` or `unix:///path`); none: the engine's own default.
    pub engine: Option<String>,
    /// Folder for sockets and locks, created if missing. Must be short (a socket's path has at most 108 bytes) and
    /// visible to the engine under the same path.
    pub runtime_dir: PathBuf,
    /// Folder of the build-slot locks: one for all nodes of this machine. It must belong to the account of the node or
    /// to root; for nodes of several accounts root makes it, with mode 1777.
    pub slots_dir: PathBuf,
    /// Builds that may run at the same time on this machine; none: one per processor, as far as the machine's memory holds
    /// what the processes of each may take.
    pub slots: Option<usize>,
    /// Folder for clones and source archives; none: the system's folder for temporary files.
    pub temp_dir: Option<PathBuf>,
    /// Where sources are cloned from instead of their own address; the longest prefix that fits wins.
    pub source_mirrors: Vec<SourceMirror>,
    /// Clone from addresses that are not on the public internet. Only for networks that a person runs for
    /// themselves; mirrors are not affected.
    pub private_sources: bool,
    /// Limits of clones and sandboxes.
    pub limits: Limits,
}

impl Default for JavaBuilderConfig {
    fn default() -> Self {
        let temp = std::env::temp_dir();
        Self {
            engine: None,
            runtime_dir: temp.join("pyrsia-maven"),
            slots_dir: temp.join("pyrsia-maven-slots"),
            slots: None,
            temp_dir: None,
            source_mirrors: Vec::new(),
            private_sources: false,
            limits: Limits::default(),
        }
    }
}

impl JavaBuilderConfig {
    /// Builds that may run at the same time on this machine.
    pub fn builds_at_a_time(&self) -> usize {
        let by_itself = || {
            let processors = std::thread::available_parallelism().map_or(1, usize::from);
            let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
            let held = memory_mib(&meminfo).map_or(usize::MAX, |memory| held(memory, self.limits.memory_mib));
            processors.min(held)
        };
        self.slots.unwrap_or_else(by_itself).max(1)
    }
}

/// All memory of the machine, in MiB, if this text of the kernel's says so.
fn memory_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024)
}

/// How many builds fit into this memory, each of which takes so much.
fn held(memory: u64, each: u64) -> usize {
    usize::try_from(memory / each.max(1)).unwrap_or(usize::MAX)
}

/// One rule of the source map, like git's `insteadOf`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceMirror {
    /// Beginning of a canonical repository address, for example `https://host/group/`.
    pub prefix: String,
    /// What is put in its place; `file://`, `http://` and `git://` are allowed here.
    pub replacement: String,
}

/// Limits; running into one is never attested as a build's result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Memory of a build's processes, MiB, at least 1. What lies on its RAM disks comes on top.
    #[serde(deserialize_with = "at_least_one")]
    pub memory_mib: u64,
    /// Each RAM disk of a build (work folder, local repository, home, `/tmp`), MiB, at least 1.
    #[serde(deserialize_with = "at_least_one")]
    pub disk_mib: u64,
    /// Processes and threads, at least 1.
    #[serde(deserialize_with = "at_least_one")]
    pub pids: u64,
    /// Time on each processor that the sandbox profile shows, percent, 1 to 100.
    #[serde(deserialize_with = "percent")]
    pub cpu_percent: u64,
    /// Wall-clock time of one build, seconds.
    pub build_seconds: u64,
    /// Wall-clock time of these clones, seconds.
    pub clone_seconds: u64,
    /// Bytes that the clones of a source and its submodules may transfer together, MiB.
    pub clone_mib: u64,
    /// Size of a source tree, MiB.
    pub source_mib: u64,
    /// Files of a source tree.
    pub source_files: u64,
    /// Everything that a build may be given while its inputs are recorded, MiB.
    pub input_mib: u64,
    /// Log of one build, MiB.
    pub log_mib: u64,
    /// All outputs of one build, MiB.
    pub output_mib: u64,
    /// Files among the outputs.
    pub output_files: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_mib: 3072,
            disk_mib: 3072,
            pids: 2048,
            cpu_percent: 100,
            build_seconds: 45 * 60,
            clone_seconds: 10 * 60,
            clone_mib: 8192,
            source_mib: 1024,
            source_files: 200_000,
            input_mib: 8192,
            log_mib: 64,
            output_mib: 1024,
            output_files: 5_000,
        }
    }
}

impl Limits {
    pub(crate) fn build_time(&self) -> Duration {
        Duration::from_secs(self.build_seconds)
    }

    pub(crate) fn clone_time(&self) -> Duration {
        Duration::from_secs(self.clone_seconds)
    }
}

/// To an engine 0 means that there is no limit, and nobody who writes it wants that.
fn at_least_one<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    match u64::deserialize(input)? {
        0 => Err(serde::de::Error::custom("0 would mean no limit; the least is 1")),
        value => Ok(value),
    }
}

fn percent<'de, D: Deserializer<'de>>(input: D) -> Result<u64, D::Error> {
    let value = u64::deserialize(input)?;
    if (1..=100).contains(&value) {
        return Ok(value);
    }
    Err(serde::de::Error::custom("a percentage is between 1 and 100"))
}

/// MiB as bytes.
pub(crate) fn bytes(mib: u64) -> u64 {
    mib.saturating_mul(1024 * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_builds_run_than_memory_holds_unless_somebody_says_so() {
        let meminfo = "MemFree:        1 kB\nMemTotal:       16777216 kB\nMemAvailable:   2 kB\n";
        assert_eq!(memory_mib(meminfo), Some(16 * 1024));
        assert_eq!(memory_mib("MemFree: 1 kB\n"), None);
        assert_eq!((held(16 * 1024, 3072), held(2048, 3072), held(1, 0)), (5, 0, 1));
        let with = |slots| JavaBuilderConfig { slots, ..JavaBuilderConfig::default() };
        assert_eq!((with(Some(7)).builds_at_a_time(), with(Some(0)).builds_at_a_time()), (7, 1));
        let mut huge = with(None);
        huge.limits.memory_mib = u64::MAX;
        assert_eq!(huge.builds_at_a_time(), 1, "one there always is");
    }

    #[test]
    fn an_empty_section_gives_the_defaults_and_a_typo_is_refused() {
        let config: JavaBuilderConfig = serde_json::from_str("{}").unwrap();
        assert_eq!(config, JavaBuilderConfig::default());
        assert!(serde_json::from_str::<JavaBuilderConfig>(r#"{"runtime-dir": "/x"}"#).is_err());
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<JavaBuilderConfig>(&text).unwrap(), config);
    }

    #[test]
    fn what_an_engine_would_take_for_no_limit_is_refused() {
        for field in ["memory_mib", "disk_mib", "pids", "cpu_percent"] {
            let with = |value: &str| serde_json::from_str::<Limits>(&format!("{{\"{field}\": {value}}}"));
            assert!(with("0").is_err() && with("-1").is_err(), "{field}");
            assert!(with("1").is_ok(), "{field}");
        }
        assert!(serde_json::from_str::<Limits>(r#"{"cpu_percent": 101}"#).is_err());
    }
}
