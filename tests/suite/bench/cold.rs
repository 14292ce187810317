//! Whole builds of published projects, with an empty local repository: through a node that has nothing, beside the same
//! Maven that asks Maven Central itself; and through one that has everything, beside nginx with the same files.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pyrsia_tests::clients::{Maven, MavenUser, unpack};
use pyrsia_tests::measured::{Measured, Series};
use pyrsia_tests::node::Node;
use pyrsia_tests::upstream::Upstream;
use pyrsia_tests::{http, places};

use super::repository::Nginx;
use crate::fixture::central;

/// Builds on either side, in turns.
const ROUNDS: usize = 2;
/// What a far repository takes longer for each answer.
const FAR: Duration = Duration::from_millis(40);
const SHARED: &str = "org/apache/maven/shared";

/// The projects: line, folder of the release, artifact, version.
const PROJECTS: [(&str, &str, &str, &str); 3] = [
    ("cold-archiver", "org/apache/maven", "maven-archiver", "3.6.1"),
    ("cold-filtering", SHARED, "maven-filtering", "3.3.1"),
    ("cold-shared-utils", SHARED, "maven-shared-utils", "3.4.2"),
];

/// Seconds for a build of a project by somebody with an empty local repository.
fn build(project: &Path, url: &str) -> f64 {
    let user = MavenUser::new(url, "central");
    let tree = places::scratch("cold-project");
    let mut copy = std::process::Command::new("cp");
    copy.arg("-a").arg(project.join(".")).arg(tree.path());
    pyrsia_tests::process::run(&mut copy, Duration::from_secs(60)).expect(0);
    let begun = Instant::now();
    let done = user.run(&Maven::of_the_machine(), tree.path(), &["-q", "-DskipTests", "-Drat.skip", "compile"]);
    done.expect(0);
    begun.elapsed().as_secs_f64()
}

/// A node without a file, in front of an upstream or of Maven Central.
fn empty(upstream: Option<&str>) -> Node {
    let mut arguments = vec!["--no-builder"];
    arguments.extend(upstream.iter().flat_map(|url| ["--upstream", url]));
    Node::start("bench-cold", &arguments)
}

pub fn builds() -> Vec<Measured> {
    let central = central();
    let status = central.cli(&["status", "--json"]).expect(0).json();
    let upstreams = status["repository"]["upstreams"].as_array().cloned().unwrap_or_default();
    let own = upstreams.iter().find(|upstream| upstream["id"] == "central").expect("Maven Central");
    let direct = own["url"].as_str().expect("its address");
    let folder = places::scratch("cold");
    let mut all = Vec::new();
    let mut last = None;
    for (id, group, artifact, version) in PROJECTS {
        let archive =
            format!("{}{group}/{artifact}/{version}/{artifact}-{version}-source-release.zip", central.maven2());
        unpack(&http::get(&archive).expect(200).body, folder.path());
        let project = folder.path().join(format!("{artifact}-{version}"));
        let (mut through, mut beside) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            beside.push(build(&project, direct));
            let node = empty(None);
            through.push(build(&project, &node.maven2()));
        }
        all.push(Measured { id, own: Series::of(through), peer: Some(Series::of(beside)) });
        last = Some(project);
    }
    let project = last.expect("a project");
    all.push(far(&project, &central.maven2()));
    all.push(warm(&project, folder.path().join("export")));
    all
}

/// From a repository that is far away.
fn far(project: &Path, behind: &str) -> Measured {
    let upstream = Upstream::in_front_of(behind);
    // So that what is behind it takes no part.
    build(project, &empty(Some(&upstream.url())).maven2());
    build(project, &upstream.url());
    upstream.move_away(FAR);
    let beside = build(project, &upstream.url());
    let through = build(project, &empty(Some(&upstream.url())).maven2());
    Measured { id: "cold-far", own: Series::of(vec![through]), peer: Some(Series::of(vec![beside])) }
}

/// From a node that has everything.
fn warm(project: &Path, export: PathBuf) -> Measured {
    let mut node = empty(None);
    build(project, &node.maven2());
    assert_eq!(node.stop(), 0);
    node.cli_long(&["export", &export.join("maven2").to_string_lossy()]).expect(0);
    node.start_again();
    let nginx = Nginx::start(&export.join("nginx"), &export, 1, 4_000);
    let beside_url = format!("{}/maven2/", nginx.url());
    let (mut through, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        through.push(build(project, &node.maven2()));
        beside.push(build(project, &beside_url));
    }
    Measured { id: "warm-build", own: Series::of(through), peer: Some(Series::of(beside)) }
}
