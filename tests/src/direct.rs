//! What a node's upstream serves to somebody who asks it without the node.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use pyrsia_digest::Sha256;

use crate::clients::caches::Files;
use crate::node::Node;
use crate::places;
use crate::process::run;

/// How long a few hundred small files may take.
const LIMIT: Duration = Duration::from_secs(300);

/// A repository that is asked for each file once in a test run.
pub struct Direct {
    url: String,
    folder: PathBuf,
    /// Paths that were asked for.
    asked: Mutex<BTreeSet<String>>,
}

impl Direct {
    /// The Maven Central of a node, at the address that the node has found and tells.
    pub fn central_of(node: &Node) -> Self {
        let status = node.cli(&["status", "--json"]).expect(0).json();
        let upstreams = status["repository"]["upstreams"].as_array().cloned().unwrap_or_default();
        let central = upstreams.iter().find(|upstream| upstream["id"] == "central");
        let url = central.and_then(|upstream| upstream["url"].as_str()).expect("a node in front of Maven Central");
        Direct { url: url.to_owned(), folder: places::run_folder().join("direct"), asked: Mutex::new(BTreeSet::new()) }
    }

    /// The digests of what the repository serves under these paths.
    pub fn digests(&self, paths: &[&str]) -> BTreeMap<String, Sha256> {
        {
            let mut asked = self.asked.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let new: Vec<_> = paths.iter().filter(|path| asked.insert((**path).to_owned())).collect();
            self.download(&new);
        }
        let digest = |path: &&str| {
            let bytes = std::fs::read(self.folder.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
            ((*path).to_owned(), Sha256::of(&bytes))
        };
        paths.iter().map(digest).collect()
    }

    fn download(&self, paths: &[&&str]) {
        if paths.is_empty() {
            return;
        }
        let mut config = String::new();
        for path in paths {
            let file = self.folder.join(path);
            let _ = writeln!(config, "url = \"{}{path}\"\noutput = \"{}\"", self.url, file.display());
        }
        let folder = places::scratch("curl");
        let file = folder.path().join("config");
        std::fs::write(&file, config).expect("a written list");
        let mut curl = Command::new("curl");
        curl.args(["-sSf", "--parallel", "--parallel-max", "8", "--retry", "3", "--create-dirs", "--config"]);
        run(curl.arg(file), LIMIT).expect(0);
    }
}

/// Fails the test unless each file has the digest that `served` has for its path.
#[track_caller]
pub fn compare(files: &Files, served: &BTreeMap<String, Sha256>) {
    let different: Vec<_> = files
        .iter()
        .filter(|(path, file)| {
            let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            served.get(*path) != Some(&Sha256::of(&bytes))
        })
        .map(|(path, file)| format!("{path} ({})", file.display()))
        .collect();
    assert!(different.is_empty(), "other bytes than the repository serves:\n{}", different.join("\n"));
}
