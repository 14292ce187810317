//! Networks of the scripted program: everything is the shipped program's, but what a build makes stands in a script.

use std::path::PathBuf;
use std::time::Duration;

use pyrsia_ledger::{AuthorityKey, EntryBody, Genesis, Leaf, NetworkId, SignedEntry};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::devnet::Devnet;
use crate::places;
use crate::process::until;
use crate::sources::{Repository, Sources};
use crate::upstream::Upstream;

/// The image that scripted builders say they build in.
const IMAGE: &[u8] = b"an image that nothing runs in";

/// A network of scripted authorities, with an upstream and sources of its own.
pub struct Scripted {
    /// The network.
    pub net: Devnet,
    /// Its upstream.
    pub upstream: Upstream,
    /// The repositories that it clones from.
    pub sources: Sources,
    scripts: TempDir,
}

impl Scripted {
    /// Starts four authorities that wait so many seconds for each other in each stage, and a plain node without any
    /// upstream. The image is approved.
    pub fn start(name: &str, patience_s: u32) -> Self {
        let scripted = Self::without_image(name, patience_s);
        for authority in scripted.net.authorities() {
            scripted.net.operator(&authority, &["images", "approve", &Self::image(), "--unverified"]).expect(0);
        }
        scripted
    }

    /// The same, and nobody has approved the image yet.
    pub fn without_image(name: &str, patience_s: u32) -> Self {
        let scripts = places::scratch("scripts");
        let upstream = Upstream::start();
        let sources = Sources::new(&scripts.path().join("sources"));
        let rounds = format!(
            "[rounds]\nrecord_s = {patience_s}\ncommit_s = {patience_s}\nstraggler_s = {patience_s}\n\
             reveal_s = {patience_s}\nretry_s = 1\n"
        );
        let config = scripts.path().join("config.toml");
        std::fs::write(&config, rounds).expect("a written configuration");
        let net = Devnet::start_as(
            name,
            places::scripted_program(),
            &[("PYRSIA_SCRIPT", &scripts.path().to_string_lossy()), ("PYRSIA_CONFIG", &config.to_string_lossy())],
            &["--upstream", &upstream.url(), "--plain-upstream", "none", "--source-mirror", &sources.mirror()],
        );
        Scripted { net, upstream, sources, scripts }
    }

    /// The image's digest.
    pub fn image() -> String {
        pyrsia_digest::Sha256::of(IMAGE).to_string()
    }

    /// What an authority's builder does from now on.
    pub fn script(&self, authority: &str, script: &Value) {
        let file = self.scripts.path().join(format!("{authority}.json"));
        let half = file.with_extension("half");
        std::fs::write(&half, script.to_string()).expect("a written script");
        std::fs::rename(half, file).expect("a written script");
    }

    /// What all builders do from now on.
    pub fn script_all(&self, script: &Value) {
        for authority in self.net.authorities() {
            self.script(&authority, script);
        }
    }

    /// The authorities whose builders are held at this step now.
    pub fn held(&self, step: &str) -> Vec<String> {
        let held = |name: &String| std::fs::read_to_string(self.held_file(name)).is_ok_and(|text| text == step);
        self.net.authorities().into_iter().filter(held).collect()
    }

    /// Waits until an authority's builder is held at this step; none named: until anybody's is. Returns its name.
    #[track_caller]
    pub fn wait_held(&self, step: &str, authority: Option<&str>) -> String {
        let found = until(Duration::from_secs(60), || {
            self.held(step).into_iter().find(|name| authority.is_none_or(|wanted| wanted == name))
        });
        found.unwrap_or_else(|| panic!("no builder is held at {step}: {:#?}", self.net.members()))
    }

    /// Kills an authority as a power cut would. What its builder was held at is forgotten.
    pub fn kill(&self, authority: &str) {
        self.net.kill(authority);
        let _ = std::fs::remove_file(self.held_file(authority));
    }

    fn held_file(&self, authority: &str) -> PathBuf {
        self.scripts.path().join(format!("{authority}.held"))
    }

    /// A repository of the library, and every operator's word that the person may publish its group from it.
    pub fn publishable(&self, repository: &str) -> Repository {
        let made = self.sources.add_sample(repository, "v1.0.0");
        self.net.grant("org.pyrsia.samples", &[&Sources::address(repository)]);
        made
    }

    /// An authority submits this statement as it is, signed with its own key.
    pub fn say(&self, authority: &str, body: EntryBody) {
        self.submit(authority, &SignedEntry::sign(body, &self.network(), &self.key(authority)).expect("a valid entry"));
    }

    /// An authority submits this entry, whoever signed it.
    pub fn submit(&self, authority: &str, entry: &SignedEntry) {
        let folder = self.scripts.path().join(format!("{authority}.entries"));
        std::fs::create_dir_all(&folder).expect("a folder for entries");
        let half = folder.join("next.half");
        std::fs::write(&half, entry.to_bytes()).expect("a written entry");
        std::fs::rename(&half, folder.join(format!("{}.entry", entry.digest()))).expect("a written entry");
    }

    /// An authority's key.
    pub fn key(&self, authority: &str) -> AuthorityKey {
        let text = std::fs::read_to_string(self.net.data(authority).join("keys/authority.key")).expect("a key");
        let seed: pyrsia_digest::Sha256 = text.trim().parse().expect("32 bytes");
        AuthorityKey::from_seed(seed.as_bytes())
    }

    /// The network.
    pub fn network(&self) -> NetworkId {
        let bytes = std::fs::read(self.net.data("node").join("network.json")).expect("a genesis");
        serde_json::from_slice::<Genesis>(&bytes).expect("a genesis").network_id()
    }

    /// The leaves of the plain node's log.
    pub fn leaves(&self) -> Vec<Value> {
        let page = self.net.cli(&["log", "--json"]).expect(0).json();
        page["leaves"].as_array().expect("leaves").clone()
    }

    /// The entries of the plain node's log in order, with the name of who signed each.
    pub fn entries(&self) -> Vec<(String, SignedEntry)> {
        let decode = |leaf: &Value| {
            let hex = leaf["bytes"].as_str().expect("a leaf's bytes");
            let bytes: Vec<u8> = (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal digits"))
                .collect();
            match Leaf::from_bytes(&bytes).expect("a canonical leaf") {
                Leaf::Entry(entry) => Some((leaf["signer"].as_str().unwrap_or_default().to_owned(), entry)),
                Leaf::Verdict(_) | Leaf::Committee(_) => None,
            }
        };
        self.leaves().iter().filter_map(decode).collect()
    }

    /// Waits until an entry is in the plain node's log for which `found` says something.
    #[track_caller]
    pub fn wait_for<T>(&self, what: &str, found: impl Fn(&str, &SignedEntry) -> Option<T>) -> T {
        let waited =
            until(Duration::from_secs(90), || self.entries().iter().find_map(|(signer, entry)| found(signer, entry)));
        waited.unwrap_or_else(|| panic!("{what} is not in the log: {:#?}", self.leaves()))
    }
}

/// A script of a builder that asks for these files.
pub fn asks(paths: &[&str]) -> Value {
    json!({ "inputs": paths })
}
