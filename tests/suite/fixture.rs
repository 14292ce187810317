//! What the chain's tests share: a node that has published the library, and `rebuild` beside it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock};

use pyrsia_tests::node::{self, BUILD, Node};
use pyrsia_tests::process::{self, Finished};
use pyrsia_tests::sources::{Repository, Sources};
use pyrsia_tests::{engine, places};
use serde_json::Value;

/// The release that the shared node has published.
pub const LIB: &str = "org.pyrsia.samples:greeting-lib:1.0.0";
/// Its JAR.
pub const LIB_JAR: &str = "org/pyrsia/samples/greeting-lib/1.0.0/greeting-lib-1.0.0.jar";
/// Exit code of everything that a network of one says.
pub const SELF_VERIFIED: i32 = 18;

/// A node that has published the library.
pub struct Chain {
    /// The node.
    pub node: Node,
    /// The repositories it clones from.
    pub sources: Sources,
    /// The library's.
    pub lib: Repository,
    /// What `build --wait` said.
    pub build: Finished,
}

/// Something that is dear to make and that several tests share: made once, and if that fails, it fails once.
pub struct Shared<T>(OnceLock<Option<T>>);

impl<T> Shared<T> {
    /// Nothing yet.
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// What `make` made for whoever came first.
    #[track_caller]
    pub fn get(&self, make: fn() -> T) -> &T {
        let made = self.0.get_or_init(|| std::panic::catch_unwind(make).ok());
        made.as_ref().expect("what is shared could not be made; the first failure above says why")
    }
}

/// The shared node.
pub fn shared() -> &'static Chain {
    static CHAIN: Shared<Chain> = Shared::new();
    CHAIN.get(publish_the_library)
}

fn publish_the_library() -> Chain {
    engine::require();
    let sources = Sources::new(&places::run_folder().join("chain-sources"));
    let lib = sources.add_sample("greeting-lib", "v1.0.0");
    let node = Node::start("chain", &["--source-mirror", &sources.mirror()]);
    grant(&node, &["greeting-lib", "greeting-app"]);
    let build = build(&node, LIB, "greeting-lib", "v1.0.0").expect(SELF_VERIFIED);
    Chain { node, sources, lib, build }
}

/// A cache in front of Maven Central for all networks of this run, so that it is asked for each file once. It ends with the
/// run.
pub fn central() -> &'static Node {
    static CENTRAL: OnceLock<Node> = OnceLock::new();
    CENTRAL.get_or_init(|| Node::start::<&str>("central", &[]))
}

/// Lets this node's publisher publish `org.pyrsia.samples` from these repositories.
pub fn grant(node: &Node, repositories: &[&str]) {
    let mut arguments = vec!["namespace".to_owned(), "grant".to_owned(), "org.pyrsia.samples".to_owned()];
    for repository in repositories {
        arguments.extend(["--repository".to_owned(), Sources::address(repository)]);
    }
    node.cli(&arguments).expect(0);
}

/// `build --wait`.
pub fn build(node: &Node, release: &str, repository: &str, tag: &str) -> Finished {
    node.cli_long(&["build", release, "--source", &Sources::address(repository), "--tag", tag, "--wait"])
}

/// `rebuild` of the library without a node; the outputs go to `out`.
pub fn rebuild(sources: &Sources, out: &Path, more: &[&str]) -> Finished {
    rebuild_of(sources, (LIB, "greeting-lib", "v1.0.0"), out, more)
}

/// `rebuild` of a release from a repository's tag, with a data folder that all tests of a run use.
pub fn rebuild_of(
    sources: &Sources,
    (release, repository, tag): (&str, &str, &str),
    out: &Path,
    more: &[&str],
) -> Finished {
    let address = Sources::address(repository);
    rebuild_with(sources, release, out, &[&["--tag", tag, "--source", &address][..], more].concat())
}

/// `rebuild` of a release with these arguments, with the same data folder.
pub fn rebuild_with(sources: &Sources, release: &str, out: &Path, more: &[&str]) -> Finished {
    let (mut command, _one) = rebuild_command(sources, release, out, more);
    process::run(&mut command, BUILD)
}

/// The same, not run yet: one at a time holds the folder.
pub fn rebuild_command(
    sources: &Sources,
    release: &str,
    out: &Path,
    more: &[&str],
) -> (Command, MutexGuard<'static, ()>) {
    static ONE: Mutex<()> = Mutex::new(());
    let one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    engine::require();
    let mut command = node::program();
    command.arg("--data-dir").arg(rebuild_data()).args(["rebuild", release]);
    command.args(["--source-mirror", &sources.mirror(), "--json", "--out"]).arg(out).args(more);
    (command, one)
}

/// The data folder of those commands.
pub fn rebuild_data() -> PathBuf {
    places::run_folder().join("rebuild-data")
}

/// The names in a JSON object.
pub fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().map(|object| object.keys().cloned().collect()).unwrap_or_default()
}
