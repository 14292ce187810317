//! Releases that other people published, rebuilt by `rebuild` alone: the quickest in every run of the tests, all of them, with a
//! recipe and from coordinates alone, by `./dev rebuilds`, which writes docs/REBUILDS.md.

mod sources;
mod table;

use std::path::Path;
use std::sync::Mutex;

use pyrsia_tests::node::{self, BUILD};
use pyrsia_tests::process::{self, Finished};
use pyrsia_tests::{engine, places};
use serde::Deserialize;
use serde_json::Value;

use self::sources::Published;
use crate::fixture::{Shared, central};

/// What is rebuilt.
const LIST: &str = "sample-projects/releases.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    release: Vec<Release>,
}

/// A release and its recipe.
#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Release {
    coordinates: String,
    repository: String,
    tag: String,
    jdk: u32,
    maven: String,
    profile: String,
    /// `crlf`: made on Windows.
    newline: Option<String>,
    /// Properties that switch checks off which need a network.
    #[serde(default)]
    skip: Vec<String>,
    /// The verdict that the tests expect of the recipe.
    ci: Option<String>,
}

impl Release {
    fn all() -> Vec<Self> {
        let text = std::fs::read_to_string(places::root().join(LIST)).expect("the list of releases");
        toml::from_str::<List>(&text).expect("a list of releases").release
    }

    /// Group, artifact and version.
    fn parts(&self) -> [&str; 3] {
        let parts: Vec<&str> = self.coordinates.split(':').collect();
        parts.try_into().unwrap_or_else(|_| panic!("{} are no coordinates", self.coordinates))
    }

    /// Path of one of its files in a repository.
    fn file(&self, rest: &str) -> String {
        let [group, artifact, version] = self.parts();
        format!("{}/{artifact}/{version}/{artifact}-{version}{rest}", group.replace('.', "/"))
    }

    fn main_artifact(&self) -> String {
        let [_, artifact, version] = self.parts();
        format!("{artifact}-{version}.jar")
    }

    /// The recipe as a specification: what the release was made with, and none of it needs anybody's approval.
    fn specification(&self) -> String {
        let Self { jdk, maven, profile, .. } = self;
        let newline = self.newline.as_ref().map(|newline| format!("newline = \"{newline}\"\n")).unwrap_or_default();
        let skip: String = self.skip.iter().map(|name| format!("\"{name}\" = \"\"\n")).collect();
        format!(
            "version = 1\ntool = \"maven-{maven}\"\njdk = {jdk}\ngoals = [\"clean\", \"package\"]\n\
             profiles = [\"{profile}\"]\n{newline}[properties]\nskipTests = \"\"\n\"maven.javadoc.skip\" = \"\"\n\"gpg.skip\" = \"\"\n{skip}"
        )
    }
}

/// How the source and the specification get to the rebuild.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// Repository, tag and specification are given.
    Recipe,
    /// Only the coordinates are; the place where the repository is cloned from is mapped.
    Coordinates,
}

/// Rebuilds one release with the real program. Each `place` has its own store, and one rebuild at a time.
fn rebuild(published: &Published, release: &Release, way: Way, place: usize) -> Finished {
    let out = places::scratch("published-out");
    let mut command = node::program();
    command.arg("--data-dir").arg(places::run_folder().join(format!("published-{place}")));
    command.args(["rebuild", &release.coordinates, "--json", "--upstream", &central().maven2()]);
    command.args(["--source-mirror", &published.mirror_of(release), "--out"]).arg(out.path().join("out"));
    if way == Way::Recipe {
        let specification = out.path().join("recipe.toml");
        std::fs::write(&specification, release.specification()).expect("a specification");
        command.args(["--source", &release.repository, "--tag", &release.tag, "--spec"]).arg(&specification);
    }
    process::run(&mut command, 2 * BUILD)
}

/// Runs `work` for each of `items`, as many at a time as the machine has places for builds.
fn side_by_side<T: Send>(items: Vec<T>, work: impl Fn(T, usize) + Sync) {
    let places = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let items = Mutex::new(items.into_iter().collect::<std::collections::VecDeque<T>>());
    std::thread::scope(|scope| {
        for place in 0..places {
            let (items, work) = (&items, &work);
            scope.spawn(move || {
                while let Some(item) = { items.lock().expect("nobody panicked with it").pop_front() } {
                    work(item, place);
                }
            });
        }
    });
}

fn published() -> &'static Published {
    static PUBLISHED: Shared<Published> = Shared::new();
    PUBLISHED.get(|| {
        engine::require();
        Published::new(&places::run_folder().join("published-sources"))
    })
}

/// The verdict, or what became of it.
fn verdict(report: &Value) -> String {
    report["verdict"].as_str().unwrap_or("failed").to_owned()
}

#[test]
fn published_releases_come_out_as_they_did_before() {
    let releases: Vec<Release> = Release::all().into_iter().filter(|release| release.ci.is_some()).collect();
    assert!(!releases.is_empty(), "no release is expected to come out in any way");
    let other = Mutex::new(Vec::new());
    side_by_side(releases, |release, place| {
        published().add(&release);
        let done = rebuild(published(), &release, Way::Recipe, place);
        let found = verdict(&done.json());
        if Some(&found) != release.ci.as_ref() {
            other.lock().expect("nobody panicked with it").push(format!(
                "{} is {found}: {}",
                release.coordinates,
                done.report()
            ));
        }
    });
    let other = other.into_inner().expect("nobody panicked with it");
    assert!(other.is_empty(), "{}", other.join("\n\n"));
}

#[test]
fn a_release_that_was_made_on_windows_is_only_equivalent_to_what_is_built_otherwise() {
    let made_there = |release: &Release| release.newline.is_some() && release.ci.is_some();
    let release = Release::all().into_iter().find(made_there).expect("one that every run rebuilds");
    let release = Release { newline: None, ..release };
    published().add(&release);
    // A place of its own: the others build at the same time.
    let report = rebuild(published(), &release, Way::Recipe, usize::MAX).expect(14).json();
    assert_eq!(verdict(&report), "equivalent", "{report:#}");
    let outputs = report["outputs"].as_array().expect("outputs");
    let jar = outputs.iter().find(|output| output["name"] == release.main_artifact()).expect("its JAR");
    assert_eq!(jar["normalisers"][0], "pom-properties-format", "{jar:#}");
    assert!(jar["explanation"].to_string().contains("pom.properties: line ends or spacing differ"), "{jar:#}");
}

#[test]
#[ignore = "`./dev rebuilds`: rebuilds all of them and writes docs/REBUILDS.md"]
fn rebuilds_everything() {
    let document = table::rebuild_all(published());
    if let Some(document) = document {
        std::fs::write(Path::new(places::root()).join("docs/REBUILDS.md"), document).expect("a written document");
    }
}
