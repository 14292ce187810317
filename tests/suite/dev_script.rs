//! `./dev up` and `./dev down`, as a person runs them: beside whatever else this checkout does, in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pyrsia_tests::node::BUILD;
use pyrsia_tests::process::{self, Finished};
use pyrsia_tests::{engine, http, places};

use crate::documented;
use crate::fixture::{LIB, LIB_JAR};

/// With a built binary and image, `up` is one start and one rebuild; without, it builds both.
const UP: Duration = Duration::from_secs(1500);

/// A place for the script: its work folder and a port.
struct Place {
    work: tempfile::TempDir,
    port: u16,
}

impl Place {
    fn new() -> Self {
        Place { work: places::scratch("dev"), port: http::free_port() }
    }

    fn dev(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(places::root().join("dev"));
        for (name, _) in std::env::vars_os() {
            // What cargo tells a test of its package is nothing to a person's shell, and makes another build of some crates.
            let name_text = name.to_string_lossy();
            let of_this_test = name_text.starts_with("CARGO_MANIFEST") || name_text.starts_with("CARGO_PKG");
            if of_this_test || name_text.starts_with("PYRSIA_") {
                command.env_remove(&name);
            }
        }
        command
            .args(arguments)
            .current_dir(places::root())
            .env("PYRSIA_DEV_WORK", self.work.path())
            .env("PYRSIA_DEV_PORT", self.port.to_string())
            .env("PYRSIA_IMAGE_CACHE", places::image_cache());
        // The script's own binary is built by the script, and must be the one that is there; another one is given to it.
        if !is_own_binary() {
            command.env("PYRSIA_DEV_BIN", places::program());
        }
        process::run(&mut command, UP)
    }

    /// Everything that runs with the work folder in its command line.
    fn processes(&self) -> Vec<String> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("processes can be listed").flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            if line.contains(&*self.work.path().to_string_lossy()) {
                found.push(line);
            }
        }
        found
    }

    fn runtime(&self) -> PathBuf {
        // The folder for sockets that the script gives its nodes.
        let config = std::fs::read_to_string(self.work.path().join("config.toml")).expect("the node's configuration");
        let line = config.lines().find_map(|line| line.strip_prefix("runtime_dir = ")).expect("a runtime folder");
        PathBuf::from(line.trim_matches('"'))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Whatever failed, nothing outlives the test.
        self.dev(&["down"]);
    }
}

fn is_own_binary() -> bool {
    places::program() == places::root().join("target/release/pyrsia-maven")
}

/// What makes a compiled file another one.
fn built(path: &Path) -> (std::time::SystemTime, u64) {
    let found = std::fs::metadata(path).expect("the program is there");
    (found.modified().expect("a time"), found.len())
}

/// The text between two others.
#[track_caller]
fn between<'a>(text: &'a str, from: &str, to: &str) -> &'a str {
    let rest = text.split_once(from).unwrap_or_else(|| panic!("no {from} in {text}")).1;
    rest.split_once(to).unwrap_or_else(|| panic!("no {to} after {from} in {text}")).0
}

#[test]
fn up_gives_what_it_prints_and_down_leaves_nothing() {
    engine::require();
    let place = Place::new();
    let before = built(&places::program());
    let up = place.dev(&["up", "--yes"]).expect(0);
    // The script has built the program only if it was not there: its selection of features is that of the tests.
    assert!(built(&places::program()) == before, "`./dev up` compiled the program again\n{}", up.report());

    // What it prints is pasted: the mirror serves the sample's rebuilt file, and the command verifies it.
    let mirror = between(&up.stdout, "<url>", "</url>");
    assert_eq!(mirror, format!("http://127.0.0.1:{}/maven2/", place.port));
    let jar = http::get(&format!("{mirror}{LIB_JAR}")).expect(200).body;
    let local = place.work.path().join("repository");
    let file = local.join(LIB_JAR);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(&file, &jar).expect("a file");
    assert!(up.stdout.contains(&format!("maven {{ url '{mirror}' }}")), "{}", up.report());
    let verify = up.stdout.lines().map(str::trim).find(|line| line.contains(" verify ")).expect("a command to paste");
    assert!(verify.ends_with(LIB), "{verify}");
    let mut pasted = Command::new("sh");
    pasted.args(["-c", verify]).current_dir(places::root()).env("HOME", place.work.path());
    let pasted = process::run(&mut pasted, Duration::from_secs(60)).expect(0);
    assert!(pasted.stdout.contains(LIB), "{}", pasted.report());

    // What the README says next, typed in a shell that knows the program and where this network is.
    std::fs::create_dir(place.work.path().join("bin")).expect("a folder");
    std::os::unix::fs::symlink(places::program(), place.work.path().join("bin/pyrsia-maven")).expect("a link");
    // `.dev` of a checkout is this place's work folder.
    std::os::unix::fs::symlink(place.work.path(), place.work.path().join(".dev")).expect("a link");
    let path = format!("{}/bin:{}", place.work.path().display(), std::env::var("PATH").unwrap_or_default());
    for heading in ["Verify", "Rebuild something yourself"] {
        for line in documented::commands("README.md", heading) {
            let mut typed = Command::new("sh");
            typed.args(["-c", &line]).current_dir(place.work.path()).env("PATH", &path);
            typed.env("HOME", place.work.path()).env("PYRSIA_DATA_DIR", place.work.path().join("user"));
            typed.env("PYRSIA_NODE", format!("http://127.0.0.1:{}", place.port));
            // The offline command hashes the file that Maven has.
            typed.env("PYRSIA_MAVEN_REPO", &local).env("PYRSIA_IMAGES", places::image_cache());
            process::run(&mut typed, BUILD).expect(0);
        }
    }

    // Again: nothing is made anew.
    let nodes = place.processes();
    assert_eq!(nodes.len(), 5, "four authorities and a plain node: {nodes:#?}");
    let again = place.dev(&["up", "--yes"]).expect(0);
    assert_eq!(place.processes(), nodes, "nodes were started again");
    assert!(again.took < Duration::from_secs(30), "{}", again.report());

    let runtime = place.runtime();
    for folder in std::fs::read_dir(&runtime).expect("a folder for sockets").flatten() {
        let containers = engine::containers_of(&folder.path());
        assert!(containers.is_empty(), "{containers:?}");
    }
    place.dev(&["down"]).expect(0);
    let left = place.processes();
    assert!(left.is_empty(), "{left:?}");
    assert!(!runtime.exists(), "{} is still there", runtime.display());
    let mounts = std::fs::read_to_string("/proc/mounts").expect("mounts can be listed");
    assert!(!mounts.contains(&*place.work.path().to_string_lossy()), "{mounts}");
    // With nothing to end, it ends.
    place.dev(&["down"]).expect(0);
}

#[test]
fn the_script_says_what_it_can_do_and_refuses_the_rest() {
    let place = Place::new();
    let help = place.dev(&["help"]).expect(0);
    for command in ["up", "down", "test", "check", "bench"] {
        assert!(help.stdout.lines().any(|line| line.trim_start().starts_with(command)), "{}", help.report());
    }
    place.dev(&["sideways"]).expect(2);
    place.dev(&["up", "--sideways"]).expect(2);
}
