//! Builds on other machines: an authority that builds nothing itself, and worker processes beside the engine.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pyrsia_tests::engine::{self, RuntimeFolder};
use pyrsia_tests::node::{BUILD, Node};
use pyrsia_tests::process::{self, until};
use pyrsia_tests::sources::{Sources, copy_tree, replace_in};
use pyrsia_tests::worker::Worker;
use pyrsia_tests::{http, node, places};
use serde_json::Value;
use tempfile::TempDir;

use crate::documented::commands;
use crate::fixture::{SELF_VERIFIED, build, grant};

const REPOSITORY: &str = "greeting-lib";
const VERSIONS: [&str; 4] = ["1.0.0", "1.0.1", "1.0.2", "1.0.3"];

fn release(version: &str) -> String {
    format!("org.pyrsia.samples:greeting-lib:{version}")
}

fn tag(version: &str) -> String {
    format!("v{version}")
}

/// One repository with a tag for each version.
fn several(sources: &Sources) {
    let first = |tree: &Path| copy_tree(&places::sample("greeting-lib"), tree);
    let then = |at: usize| {
        move |tree: &Path| {
            let version = |at: usize| format!("<version>{}</version>", VERSIONS[at]);
            replace_in(&tree.join("pom.xml"), &version(at - 1), &version(at));
        }
    };
    let (second, third, fourth) = (then(1), then(2), then(3));
    let tags = VERSIONS.map(tag);
    sources
        .add_history(REPOSITORY, &[(&tags[0], &first), (&tags[1], &second), (&tags[2], &third), (&tags[3], &fourth)]);
}

/// An authority with a listener for workers.
struct Authority {
    node: Node,
    token: PathBuf,
    runtime: RuntimeFolder,
    _folder: TempDir,
}

impl Authority {
    fn start(name: &str, section: &str) -> Self {
        let folder = places::scratch(name);
        let sources = Sources::new(&folder.path().join("sources"));
        several(&sources);
        // As the document has it.
        let mut made = Command::new("sh");
        made.current_dir(folder.path()).args(["-c", &commands("docs/OPERATING.md", "Workers")[0]]);
        process::run(&mut made, Duration::from_secs(60)).expect(0);
        let token = folder.path().join("worker-token");
        let runtime = RuntimeFolder::default();
        let config = runtime.configuration();
        let mut text = std::fs::read_to_string(&config).expect("a configuration");
        write!(
            text,
            "[workers]\nlisten = \"127.0.0.1:0\"\n{section}\n[[workers.tokens]]\nname = \"w\"\ntoken_file = {token:?}\n"
        )
        .expect("a text");
        std::fs::write(&config, text).expect("a written configuration");
        let node = Node::start(name, &["--source-mirror", &sources.mirror(), "--config", &config.to_string_lossy()]);
        Authority { node, token, runtime, _folder: folder }
    }

    fn worker(&self, name: &str, more: &[&str]) -> Worker {
        Worker::start(name, &self.node.workers_url(), &self.token, more)
    }

    /// Events of a build, as far as they are there, and whether it is over.
    fn events(&self, id: &str) -> (Vec<String>, bool) {
        let page = http::get(&format!("{}/api/v1/builds/{id}/events?after=0", self.node.url())).expect(200).json();
        let events = page["events"].as_array().expect("events").iter();
        let texts = events.map(|event: &Value| event["text"].as_str().expect("a text").to_owned());
        (texts.collect(), page["done"] == true)
    }
}

#[test]
fn builds_go_to_workers_and_survive_one_that_is_killed() {
    engine::require();
    let mut authority = Authority::start("workers", "lease_s = 15");
    grant(&authority.node, &[REPOSITORY]);
    let mut workers: Vec<Worker> = (1..=3).map(|number| authority.worker(&format!("worker-{number}"), &[])).collect();
    let address = Sources::address(REPOSITORY);
    let ids = VERSIONS.map(|version| {
        let asked = ["build", &release(version), "--source", &address, "--tag", &tag(version)];
        authority.node.cli_long(&asked).expect(0).stdout.trim().to_owned()
    });

    let busy = until(Duration::from_secs(300), || workers.iter().position(|worker| !worker.containers().is_empty()));
    let busy = busy.unwrap_or_else(|| panic!("no worker builds:\n{}", workers[0].said()));
    workers[busy].kill();
    // It comes back, as a container platform would have it, and removes what it has left behind.
    workers[busy].start_again();

    // Lines of a build tool are there while it still works.
    let of_the_tool = |line: &String| line.starts_with("[record] ") && !line.contains("worker");
    let live = until(BUILD, || {
        ids.iter().find(|id| {
            let (lines, done) = authority.events(id);
            !done && lines.iter().any(of_the_tool)
        })
    });
    assert!(live.is_some(), "no log was seen before its build was over");
    let followed = process::run(&mut authority.node.command(&["builds", &ids[3], "--follow"]), BUILD).expect(0);
    for part in ["builds it", "[record] ", "[replay] "] {
        assert!(followed.stderr.contains(part), "{part}: {}", followed.report());
    }

    for version in VERSIONS {
        build(&authority.node, &release(version), REPOSITORY, &tag(version)).expect(SELF_VERIFIED);
        let jar = format!("org/pyrsia/samples/greeting-lib/{version}/greeting-lib-{version}.jar");
        authority.node.artifact(&jar).expect(200);
    }
    let stories: Vec<String> = ids.iter().map(|id| authority.events(id).0.join("\n")).collect();
    let lost = stories.iter().filter(|story| story.contains("was lost; the build is queued again")).count();
    assert!(lost >= 1, "the killed worker's build was given to another one:\n{}", stories.join("\n---\n"));
    assert_eq!(authority.runtime.containers(), Vec::<String>::new(), "the authority itself has built nothing");

    for worker in &mut workers {
        assert_eq!(worker.stop(), 0, "{}", worker.said());
        let gone = until(Duration::from_secs(60), || worker.containers().is_empty().then_some(()));
        assert!(gone.is_some(), "containers are left: {:?}", worker.containers());
    }
    assert_eq!(authority.node.stop(), 0);
}

/// Stopping is no loss: the build goes to another worker at once, long before its lease would have run out.
#[test]
fn a_worker_that_is_stopped_gives_its_build_back() {
    engine::require();
    let authority = Authority::start("workers-stopped", "lease_s = 3600");
    grant(&authority.node, &[REPOSITORY]);
    let mut first = authority.worker("worker-first", &[]);
    let asked = ["build", &release(VERSIONS[0]), "--source", &Sources::address(REPOSITORY), "--tag", &tag(VERSIONS[0])];
    let id = authority.node.cli_long(&asked).expect(0).stdout.trim().to_owned();
    let running = until(Duration::from_secs(300), || Some(()).filter(|()| !first.containers().is_empty()));
    assert!(running.is_some(), "no container was seen:\n{}", first.said());
    assert_eq!(first.stop(), 0, "{}", first.said());
    assert_eq!(first.containers(), Vec::<String>::new());
    assert!(authority.events(&id).0.iter().any(|line| line.contains("has given it back")));
    let _second = authority.worker("worker-second", &[]);
    build(&authority.node, &release(VERSIONS[0]), REPOSITORY, &tag(VERSIONS[0])).expect(SELF_VERIFIED);
}

#[test]
fn workers_come_in_by_tls_and_with_their_token_only() {
    engine::require();
    let authority = Authority::start("workers-tls", "tls = true");
    assert!(authority.node.workers_url().starts_with("https://"));
    let certificate = authority.node.data().join("tls/certificate.pem").to_string_lossy().into_owned();
    let waits_for = |worker: &Worker, what: &str| {
        let seen = until(Duration::from_secs(90), || worker.said().contains(what).then_some(()));
        assert!(seen.is_some(), "{what}:\n{}", worker.said());
    };
    // The document's own command, with the files and the address of this test.
    let line = commands("docs/OPERATING.md", "Workers").remove(1);
    let words: Vec<&str> = line.split_whitespace().collect();
    let flags =
        ["--authority", "https://authority.example:7890", "--token-file", "worker-token", "--ca", "certificate.pem"];
    assert_eq!(words, [&["pyrsia-maven", "worker"][..], &flags].concat());
    let known = authority.worker("worker-known", &["--ca", &certificate]);
    // Nobody has vouched for the certificate.
    let doubtful = authority.worker("worker-doubtful", &[]);
    let other = authority.node.folder().join("other-token");
    process::private_file(&other, &"f".repeat(32));
    let mut stranger = Worker::start("worker-stranger", &authority.node.workers_url(), &other, &["--ca", &certificate]);
    assert_eq!(stranger.wait(), 1, "{}", stranger.said());
    assert!(stranger.said().contains("[[workers.tokens]]"), "{}", stranger.said());
    waits_for(&known, "waiting for builds");
    waits_for(&doubtful, "waiting for the authority");
}

/// The text of a file of the recipes for workers.
fn recipe(name: &str) -> String {
    let file = places::root().join("deploy/worker").join(name);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// No parser of YAML is at hand: what the program would have to understand of it is tried.
#[test]
fn the_recipes_for_workers_say_what_the_program_knows() {
    let manifest = recipe("kubernetes.yaml");
    let help = node::cli(&["worker", "--help"]).expect(0).stdout;
    let worker = manifest.split("- name: worker\n").nth(1).and_then(|rest| rest.split("securityContext:").next());
    let worker = worker.expect("the worker's container and its arguments");
    let flags: Vec<&str> = worker.lines().filter_map(|line| line.trim().strip_prefix("- \"--")).collect();
    assert!(flags.len() >= 5, "{flags:?}");
    for flag in flags {
        let name = flag.split('=').next().unwrap_or(flag);
        assert!(help.contains(&format!("--{name} ")), "`worker` has no --{name}");
    }
    let config = manifest.split("config.toml: |\n").nth(1).and_then(|rest| rest.split("---").next());
    let folder = places::scratch("worker-recipe");
    let file = folder.path().join("config.toml");
    std::fs::write(&file, config.expect("a configuration")).expect("a written file");
    let mut command = node::program();
    command.arg("--data-dir").arg(folder.path()).arg("--config").arg(&file).args(["config", "show"]);
    let shown = process::run(&mut command, Duration::from_secs(30)).expect(0).stdout;
    // Both containers see the same folder.
    for path in ["/run/pyrsia/docker.sock", "/run/pyrsia/builds"] {
        assert!(shown.contains(path), "{shown}");
    }
    assert_eq!(manifest.matches("mountPath: /run/pyrsia\n").count(), 2);
    assert!(manifest.contains("--host=unix:///run/pyrsia/docker.sock"));
    assert!(!manifest.contains('\t'), "YAML has no tabs");

    let containerfile = recipe("Containerfile");
    let last = containerfile.lines().last().unwrap_or_default();
    assert_eq!(last, "ENTRYPOINT [\"pyrsia-maven\", \"worker\"]");
    // The account of the image is the one of the manifest, and the group of the engine's socket.
    for named in ["runAsUser: 10001", "--group=10001", "fsGroup: 10001"] {
        assert!(manifest.contains(named), "{named}");
    }
    assert!(containerfile.contains("USER 10001:10001"));
}
