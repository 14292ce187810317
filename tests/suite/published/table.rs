//! docs/REBUILDS.md.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Mutex;

use pyrsia_tests::places;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Published, Release, Way, rebuild, side_by_side, verdict};

/// What a rebuild came to.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Outcome {
    verdict: String,
    /// Of the whole command, and of its replay, in seconds.
    took: f64,
    replay: Option<f64>,
    /// Files of the release that are identical, and all that were compared.
    identical: usize,
    files: usize,
    /// Why it is not identical.
    reason: String,
}

/// Rebuilds everything, in both ways, and gives the document. With `PYRSIA_REBUILDS` (parts of coordinates, separated by commas)
/// only some, and no document.
///
/// Each outcome is kept in `.dev/rebuilds`; with `PYRSIA_REBUILDS_RESUME` those that are there are taken as they are, so that a
/// run that was broken off can go on.
pub fn rebuild_all(published: &Published) -> Option<String> {
    let wanted = std::env::var("PYRSIA_REBUILDS").ok();
    let is_wanted = |release: &Release| {
        wanted.as_ref().is_none_or(|wanted| wanted.split(',').any(|part| release.coordinates.contains(part)))
    };
    let releases: Vec<Release> = Release::all().into_iter().filter(is_wanted).collect();
    let kept = places::root().join(".dev/rebuilds");
    std::fs::create_dir_all(&kept).expect("a folder for the outcomes");
    let resumed = std::env::var_os("PYRSIA_REBUILDS_RESUME").is_some();
    let outcomes: Mutex<BTreeMap<(String, Way), Outcome>> = Mutex::default();
    let work = releases.iter().flat_map(|release| [(release, Way::Recipe), (release, Way::Coordinates)]).collect();
    side_by_side(work, |(release, way), place| {
        let file: PathBuf = kept.join(format!("{}-{way:?}.json", release.coordinates.replace(':', "_")));
        let before = std::fs::read(&file).ok().filter(|_| resumed);
        let outcome = before.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_else(|| {
            published.add(release);
            let done = rebuild(published, release, way, place);
            let outcome = Outcome::of(&done.json(), done.took.as_secs_f64());
            std::fs::write(&file, serde_json::to_vec_pretty(&outcome).expect("plain data")).expect("a kept outcome");
            outcome
        });
        println!("{} {way:?}: {} in {:.0} s {}", release.coordinates, outcome.verdict, outcome.took, outcome.reason);
        outcomes.lock().expect("nobody panicked with it").insert((release.coordinates.clone(), way), outcome);
    });
    let outcomes = outcomes.into_inner().expect("nobody panicked with it");
    wanted.is_none().then(|| document(&releases, &outcomes))
}

impl Outcome {
    fn of(report: &Value, took: f64) -> Self {
        let empty = Vec::new();
        let outputs = report["outputs"].as_array().unwrap_or(&empty);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let is_headline = |output: &&Value| {
            let name = text(&output["name"]);
            // The verdict is the main artifact's and the POM's.
            let classified = ["-sources.jar", "-javadoc.jar", "-tests.jar", "-site.xml", "-source-release.zip"];
            !classified.iter().any(|rest| name.ends_with(rest))
        };
        let said = outputs.iter().filter(is_headline).filter(|output| output["outcome"] != "identical").map(|output| {
            let normalisers: Vec<String> =
                output["normalisers"].as_array().unwrap_or(&empty).iter().map(&text).collect();
            let explanation = match &output["explanation"] {
                Value::String(words) => words.clone(),
                Value::Null => String::new(),
                other => other.to_string(),
            };
            format!("{}: {} {} {explanation}", text(&output["name"]), text(&output["outcome"]), normalisers.join(", "))
        });
        let mut reason: Vec<String> = said.collect();
        reason.extend(report["failure"].as_str().map(telling));
        Self {
            verdict: verdict(report),
            took,
            replay: report["timings"]["replay_s"].as_f64(),
            identical: outputs.iter().filter(|output| output["outcome"] == "identical").count(),
            files: outputs.iter().filter(|output| output["outcome"] != "extra").count(),
            reason: short(&reason.join("; ")),
        }
    }
}

/// A failure without what its log says beside the errors, which would stand in front of them: the tool's banner, warnings.
fn telling(failure: &str) -> String {
    let (sentence, log) = failure.split_once('\n').unwrap_or((failure, ""));
    // Those without words only keep the others apart.
    let says = |line: &&str| line.split_once("ERROR").is_some_and(|(_, text)| text.contains(char::is_alphanumeric));
    let errors: Vec<&str> = log.lines().filter(says).collect();
    if errors.is_empty() { failure.to_owned() } else { format!("{sentence} {}", errors.join(" ")) }
}

/// One line of a table.
fn short(reason: &str) -> String {
    let line: String = reason.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "/");
    match line.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn document(releases: &[Release], outcomes: &BTreeMap<(String, Way), Outcome>) -> String {
    let mut text = String::from(
        "# Rebuilds of published releases\n\nWritten by `./dev rebuilds`, which rebuilds everything below with the real \
         program; do not edit. The sources are those that were published beside each release (`source-release.zip`), committed to a \
         repository of the test's own under the release's tag; the JARs and POMs that they are compared with are Maven Central's. \
         Nothing but loopback is reachable in the containers.\n\n",
    );
    let share = |way: Way, verdict: &str| {
        let all = outcomes.iter().filter(|((_, other), outcome)| *other == way && outcome.verdict == verdict);
        all.count()
    };
    let _ = writeln!(
        text,
        "| {} releases | identical | equivalent | different | failed |\n|---|---|---|---|---|",
        releases.len()
    );
    for (way, name) in [(Way::Recipe, "with a recipe"), (Way::Coordinates, "from coordinates alone")] {
        let counts = ["identical", "equivalent", "different", "failed"].map(|verdict| share(way, verdict).to_string());
        let _ = writeln!(text, "| {name} | {} |", counts.join(" | "));
    }
    text.push_str(
        "\nThese are shares of this sample, chosen because their sources can be had here, and not of the world's releases. The verdict \
         is that of the main artifact and the POM; \"files\" counts all that was published and is built (also sources, javadoc, \
         site descriptors). A recipe is a JDK, a Maven, a profile and, of releases that were made on Windows, line ends (`sample-projects/releases.toml`). Seconds are those of the \
         whole command, one at a time for each core of one machine, most inputs in a cache nearby.\n\n\
         | release | JDK | recipe | files | s (replay) | coordinates alone | files | s (replay) | why it is not identical |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for release in releases {
        let of = |way| &outcomes[&(release.coordinates.clone(), way)];
        let cells = |outcome: &Outcome| {
            let replay = outcome.replay.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds:.0}"));
            let Outcome { verdict, identical, files, took, .. } = outcome;
            let verdict = if verdict == "identical" { verdict.clone() } else { format!("**{verdict}**") };
            format!("{verdict} | {identical}/{files} | {took:.0} ({replay})")
        };
        let (recipe, alone) = (of(Way::Recipe), of(Way::Coordinates));
        let reason = match (recipe.reason.as_str(), alone.reason.as_str()) {
            (one, other) if one == other => one.to_owned(),
            (one, "") => format!("recipe: {one}"),
            ("", other) => format!("alone: {other}"),
            (one, other) => format!("recipe: {one}; alone: {other}"),
        };
        let (recipe, alone) = (cells(recipe), cells(alone));
        let _ = writeln!(text, "| `{}` | {} | {recipe} | {alone} | {reason} |", release.coordinates, release.jdk);
    }
    text
}

#[test]
fn a_failure_is_told_by_its_errors() {
    let maven = "the build tool ended with exit code 1\nApache Maven 3.9.11\n[INFO] Scanning\n[ERROR] No such goal\n\
        [ERROR] \n[WARNING] old\n[ERROR] To see more";
    assert_eq!(telling(maven), "the build tool ended with exit code 1 [ERROR] No such goal [ERROR] To see more");
    let other = "the build tool ended with exit code 1\nkilled";
    assert_eq!(telling(other), other);
}
