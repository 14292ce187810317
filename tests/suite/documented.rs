//! Every command that a document shows is run, as it stands there, by a person's shell: the sections of the documents are
//! what these tests go through. A command that no test runs is found by the last one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pyrsia_tests::machines::Machines;
use pyrsia_tests::process::{self, Finished, until};
use pyrsia_tests::sources::{Sources, replace_in};
use pyrsia_tests::{engine, http, node, places};

use crate::documents::{DOCUMENTS, sections};
use crate::fixture::SELF_VERIFIED;

const OPERATING: &str = "docs/OPERATING.md";
/// A release as the documents have it.
const JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";
const START: Duration = Duration::from_secs(90);

/// The sections with commands, and where those are run.
const RUN: [(&str, &str); 20] = [
    // `dev_script` types all of these; `./dev test` is what runs this test.
    ("README.md", "Two commands"),
    ("README.md", "Verify"),
    ("README.md", "Rebuild something yourself"),
    (OPERATING, "Without any configuration"),
    (OPERATING, "Rebuilding"),
    (OPERATING, "Specifications of others"),
    (OPERATING, "A network on this machine"),
    (OPERATING, "A network of several machines"),
    (OPERATING, "Configuration"),
    (OPERATING, "Policies"),
    // In `policy_test`.
    (OPERATING, "Switching to verified"),
    // In `upkeep`.
    (OPERATING, "Examining the store"),
    (OPERATING, "Making room"),
    // In `store_import` and `store_export`.
    (OPERATING, "Bringing files in"),
    (OPERATING, "Serving a copy elsewhere"),
    // In `hosted`.
    (OPERATING, "Repositories of your own"),
    (OPERATING, "Verifying"),
    // In `workers`.
    (OPERATING, "Workers"),
    // In `provenance`.
    ("docs/PROVENANCE.md", "Checking it"),
    // In `infer_rebuilds`.
    ("docs/REBUILD.md", "9. From coordinates alone"),
];

/// The commands of a section.
#[track_caller]
pub fn commands(document: &str, heading: &str) -> Vec<String> {
    let found = sections(document).into_iter().find(|(name, lines)| name == heading && !lines.is_empty());
    found.unwrap_or_else(|| panic!("{document} has no commands under `{heading}`")).1
}

/// A person at a machine: a home, a folder to work in, the program on the path.
struct Person<'a> {
    home: tempfile::TempDir,
    machine: Option<(&'a Machines, String)>,
    environment: Vec<(String, String)>,
    node: Option<Child>,
}

impl<'a> Person<'a> {
    fn new(machine: Option<(&'a Machines, &str)>) -> Self {
        let home = places::scratch("person");
        std::fs::create_dir(home.path().join("bin")).expect("a folder");
        std::os::unix::fs::symlink(places::program(), home.path().join("bin/pyrsia-maven")).expect("a link");
        Person { home, machine: machine.map(|(all, name)| (all, name.to_owned())), environment: vec![], node: None }
    }

    fn folder(&self) -> &Path {
        self.home.path()
    }

    fn shell(&self, line: &str) -> Command {
        let mut command = match &self.machine {
            Some((machines, name)) => machines.shell(name, line),
            None => {
                let mut command = Command::new("sh");
                command.args(["-c", line]);
                command
            }
        };
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PYRSIA_") || name.to_string_lossy().starts_with("XDG_") {
                command.env_remove(name);
            }
        }
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .current_dir(self.folder())
            .env("HOME", self.folder())
            .env("PATH", format!("{}/bin:{path}", self.folder().display()))
            .env("PYRSIA_IMAGES", places::image_cache())
            .env("NO_COLOR", "1");
        for (name, value) in &self.environment {
            command.env(name, value);
        }
        command
    }

    fn type_in(&self, line: &str) -> Finished {
        let mut done = process::run(&mut self.shell(line), node::BUILD);
        done.line = format!("{} ({line})", done.line);
        done.log = Some(self.log());
        done
    }

    fn log(&self) -> PathBuf {
        self.folder().join("node.log")
    }

    /// A command that goes on until it is ended.
    fn leave_running(&mut self, line: &str) {
        self.end();
        let log = std::fs::File::options().create(true).append(true).open(self.log()).expect("a log");
        let mut command = self.shell(&format!("exec {line} --exit-with-stdin"));
        let child = command
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("a shell starts");
        self.node = Some(child);
        let serves = until(START, || (self.type_in("pyrsia-maven status").code == 0).then_some(()));
        assert!(serves.is_some(), "`{line}` does not serve:\n{}", process::tail_of(&self.log(), 40));
    }

    fn end(&mut self) {
        if let Some(mut child) = self.node.take() {
            drop(child.stdin.take());
            let code = process::wait(&mut child, Duration::from_secs(30));
            assert!(code == 0 || std::thread::panicking(), "the node ended with {code}");
        }
    }
}

impl Drop for Person<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// `org.acme:lib:1.0` in a repository that stands for `https://git.example/acme/lib.git`.
fn acme(folder: &Path) {
    Sources::new(&folder.join("acme")).add_edited("greeting-lib", "lib", "v1.0", |tree| {
        let pom = tree.join("pom.xml");
        for (from, to) in [
            ("<groupId>org.pyrsia.samples</groupId>", "<groupId>org.acme</groupId>"),
            ("<artifactId>greeting-lib</artifactId>", "<artifactId>lib</artifactId>"),
            ("<version>1.0.0</version>", "<version>1.0</version>"),
            ("https://samples.example/greeting-lib", "https://git.example/acme/lib"),
        ] {
            replace_in(&pom, from, to);
        }
        replace_in(&tree.join("pyrsia.toml"), "goals = [\"package\"]", "goals = [\"package\"]\numask = \"0002\"");
    });
}

#[test]
fn what_is_said_of_one_node_works() {
    engine::require();
    let mut person = Person::new(None);
    let git = person.folder().join("git");
    acme(&git);
    let config = person.folder().join("node.toml");
    let mirrors = format!("[source_mirrors]\n\"https://git.example/\" = \"file://{}/\"\n", git.display());
    std::fs::write(&config, mirrors).expect("a configuration");
    let (listen, own) = (format!("127.0.0.1:{}", http::free_port()), person.folder().join("own"));
    for (name, value) in [
        ("PYRSIA_CONFIG", config.to_string_lossy().into_owned()),
        ("PYRSIA_NODE", format!("http://{listen}")),
        ("PYRSIA_LISTEN", listen.clone()),
        ("PYRSIA_DATA_DIR", own.to_string_lossy().into_owned()),
    ] {
        person.environment.push((name.to_owned(), value));
    }
    // A specification that is not on the list.
    std::fs::write(person.folder().join("pyrsia.toml"), {
        let committed = std::fs::read_to_string(places::sample("greeting-lib").join("pyrsia.toml")).expect("a sample");
        committed.replace("\"package\"", "\"package\", \"source:jar-no-fork\"")
    })
    .expect("a specification");

    // What somebody else has written about it.
    let others = person.folder().join("specifications/content/org/acme/lib");
    std::fs::create_dir_all(&others).expect("a folder");
    let written = "groupId=org.acme\nartifactId=lib\nversion=1.0\ngitRepo=https://git.example/acme/${artifactId}.git\n\
        gitTag=v${version}\ntool=mvn-3.9.9\njdk=17\nnewline=lf\ncommand='mvn package -DskipTests'\n";
    std::fs::write(others.join("lib-1.0.buildspec"), written).expect("a specification");

    let headings = [
        "Without any configuration",
        "Rebuilding",
        "Specifications of others",
        "Configuration",
        "Verifying",
        "Policies",
    ];
    for heading in headings {
        if heading == "Verifying" {
            // What a build of the person's own would have left.
            let jar = http::get(&format!("http://{listen}/maven2/{JAR}")).expect(200).body;
            let local = person.folder().join(".m2/repository").join(JAR);
            std::fs::create_dir_all(local.parent().expect("a folder")).expect("a folder");
            std::fs::write(&local, &jar).expect("a file");
            std::fs::write(person.folder().join("lib-1.0.jar"), &jar).expect("a file");
        }
        for line in commands(OPERATING, heading) {
            if line.starts_with("pyrsia-maven node") {
                person.leave_running(&line);
                if line != "pyrsia-maven node" {
                    person.leave_running("pyrsia-maven node");
                }
            } else if line.ends_with("--follow") {
                let done = process::run(&mut person.shell(&format!("exec {line}")), Duration::from_secs(3));
                assert_eq!(done.code, -2, "it goes on\n{}", done.report());
                assert!(done.stdout.contains("org.acme:lib:1.0"), "{}", done.report());
            } else {
                let says_a_verdict = line.starts_with("pyrsia-maven verify") || line.contains("--wait");
                person.type_in(&line).expect(if says_a_verdict { SELF_VERIFIED } else { 0 });
            }
        }
    }
    // The last two took it out of service.
    person.type_in("pyrsia-maven verify org.acme:lib:1.0").expect(15);
}

#[test]
fn what_is_said_of_a_network_on_one_machine_works() {
    // A machine of its own: the commands use the addresses that are used when nothing is said.
    let machines = Machines::new(&["one"]);
    let person = Person::new(Some((&machines, "one")));
    let mut lines = commands(OPERATING, "A network on this machine");
    assert_eq!(lines.pop().as_deref(), Some("pyrsia-maven devnet down"), "the last one ends what the first began");
    let outcome = std::panic::catch_unwind(|| {
        for line in &lines {
            let done = person.type_in(line).expect(0);
            if line.ends_with("peers") {
                assert_eq!(done.stdout.matches("authority").count(), 4, "{}", done.report());
            }
        }
    });
    let down = person.type_in("pyrsia-maven devnet down");
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    down.expect(0);
}

#[test]
fn what_is_said_of_a_network_of_several_machines_works() {
    const AUTHORITIES: [&str; 4] = ["alpha", "beta", "gamma", "delta"];
    let machines = Machines::new(&["alpha", "beta", "gamma", "delta", "reader"]);
    let mut people: Vec<Person> =
        AUTHORITIES.iter().chain(&["reader"]).map(|name| Person::new(Some((&machines, name)))).collect();
    let give = |people: &[Person], from: usize, to: usize, file: &str| {
        std::fs::copy(people[from].folder().join(file), people[to].folder().join(file)).expect("a file to hand over");
    };
    for line in commands(OPERATING, "A network of several machines") {
        if line.contains("authority show") {
            for (at, name) in AUTHORITIES.iter().enumerate() {
                people[at].type_in(&line.replace("alpha", name)).expect(0);
                if at > 0 {
                    give(&people, at, 0, &format!("{name}.json"));
                }
            }
        } else if line.contains("network init") {
            people[0].type_in(&line).expect(0);
            (1..people.len()).for_each(|at| give(&people, 0, at, "network.json"));
        } else if line.contains("network join") {
            for (at, person) in people.iter().enumerate() {
                // One names another one, not itself.
                let line = if at == 1 { line.replace("beta.example", "alpha.example") } else { line.clone() };
                person.type_in(&line).expect(0);
            }
        } else if line == "pyrsia-maven node" {
            people.iter_mut().for_each(|person| person.leave_running(&line));
            for person in &people {
                let peers = || person.type_in("pyrsia-maven status --json").json()["peers"].as_u64();
                let met = until(START, || (peers() == Some(4)).then_some(()));
                assert!(met.is_some(), "{:?} peers\n{}", peers(), process::tail_of(&person.log(), 40));
            }
        } else {
            // What a quorum decides: the third word puts it in force.
            let key = pyrsia_ledger::PublisherKey::from_seed(&[0x5a; 32]).public().to_string();
            let said = people[..3].iter().map(|person| person.type_in(&line.replace("KEY", &key)).expect(0));
            let said: Vec<Finished> = said.collect();
            let last = said.last().expect("three authorities");
            assert!(last.stdout.contains("in force"), "{}", last.report());
        }
    }
    let root = |person: &Person| {
        let status = person.type_in("pyrsia-maven status --json").expect(0).json();
        (status["log"]["size"].clone(), status["log"]["root"].clone())
    };
    let same = until(START, || {
        let roots: Vec<_> = people.iter().map(root).collect();
        (roots[0].0.as_u64() > Some(0) && roots.iter().all(|other| *other == roots[0])).then_some(())
    });
    assert!(same.is_some(), "{:?}", people.iter().map(root).collect::<Vec<_>>());
}

#[test]
fn no_command_in_a_document_is_left_out() {
    let run: BTreeSet<(String, String)> = RUN.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let mut shown = BTreeSet::new();
    for document in DOCUMENTS {
        for (heading, lines) in sections(document) {
            if lines.iter().any(|line| line.starts_with("pyrsia-maven") || line.starts_with("./dev")) {
                shown.insert((document.to_owned(), heading));
            }
        }
    }
    assert_eq!(shown, run, "sections of documents with commands, and those that are run");
}
