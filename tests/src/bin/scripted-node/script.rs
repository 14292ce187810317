//! What a node's builder is told to do.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

/// Where a node's script lies.
#[derive(Debug, Clone)]
pub struct Place {
    folder: PathBuf,
    /// The node's name.
    pub name: String,
}

/// A script. Every field has the honest value as its default.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Script {
    /// Paths that a build asks for.
    pub inputs: Vec<String>,
    /// This builder's outputs are others than everybody else's.
    pub lies: bool,
    /// A record writes down other bytes for the first input than it was given.
    pub plants: bool,
    /// A record never ends.
    pub silent_recorder: bool,
    /// A replay never ends.
    pub silent_replayer: bool,
    /// The build tool fails with this exit code.
    pub fails: Option<i64>,
    /// Seconds that a replay takes.
    pub replay_s: u64,
    /// The POM of each release: as if it were the one of the commit.
    pub pom: Option<String>,
    /// Bytes without meaning that each JAR has beside its content.
    pub padding: usize,
    /// The step with this name (`record` or `replay`) stops at its beginning until the script no longer says so.
    pub hold: Option<String>,
}

/// How often a held step reads its script again.
const LOOK: Duration = Duration::from_millis(50);

impl Place {
    /// Of the node with this data directory.
    pub fn of(data_dir: &Path) -> Self {
        let folder = std::env::var_os("PYRSIA_SCRIPT").map(PathBuf::from).unwrap_or_default();
        let name = data_dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self { folder, name }
    }

    /// The script as it stands now. One that cannot be read is a fault of the test, and ends the node.
    pub fn read(&self) -> Script {
        let path = self.folder.join(format!("{}.json", self.name));
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display())),
            Err(_) => Script::default(),
        }
    }

    /// The script of a step that begins now: held here as long as the script says so. `NAME.held` names the held step
    /// while that lasts, so that a test knows where the node is.
    pub async fn begin(&self, step: &str) -> Script {
        let held = self.folder.join(format!("{}.held", self.name));
        loop {
            let script = self.read();
            if script.hold.as_deref() != Some(step) {
                let _ = std::fs::remove_file(&held);
                return script;
            }
            std::fs::write(&held, step).unwrap_or_else(|error| panic!("{}: {error}", held.display()));
            tokio::time::sleep(LOOK).await;
        }
    }

    /// The folder of entries to submit.
    pub fn entries(&self) -> PathBuf {
        self.folder.join(format!("{}.entries", self.name))
    }
}
