//! The coordinate index of a node that has seen very many releases.

use std::path::{Path, PathBuf};
use std::time::Instant;

use maven_layout::RepoPath;
use pyrsia_digest::{FileDigests, Sha1};
use pyrsia_store::{FileRecord, IndexStore};
use pyrsia_tests::measured::Measured;
use pyrsia_tests::node::Node;
use pyrsia_tests::{http, places};

use super::{alone, ms};

/// Releases in the index, each with one file, unless `PYRSIA_INDEX_RELEASES` says otherwise.
const RELEASES: u64 = 1_000_000;
/// Releases of an artifact.
const VERSIONS: u64 = 20;
/// Files that are recorded in one transaction.
const BATCH: u64 = 50_000;
/// Starts of the node.
const STARTS: usize = 5;
/// Rounds of look-ups, and look-ups of each.
const ROUNDS: usize = 5;
const LOOKUPS: u64 = 20_000;
/// Searches of each kind.
const SEARCHES: usize = 40;

fn group(artifact: u64) -> String {
    format!("org.g{}.sub{}", artifact % 5_000, artifact % 7)
}

fn path(release: u64) -> RepoPath {
    let (artifact, version) = (release / VERSIONS, release % VERSIONS);
    let name = format!("part-{artifact}-lib");
    let folder = group(artifact).replace('.', "/");
    format!("{folder}/{name}/1.{version}/{name}-1.{version}.jar").parse().expect("a path")
}

/// Makes the index hold so many releases, unless it does already. What has no bytes in the store is known all the same.
fn fill(data: &Path, releases: u64) {
    let index = IndexStore::open(data).expect("the index");
    let (known, _) = index.totals().expect("totals");
    let begun = Instant::now();
    for begin in (known..releases).step_by(usize::try_from(BATCH).expect("small")) {
        let record = |release: u64| FileRecord {
            path: path(release),
            digests: FileDigests::of(&release.to_le_bytes()).into(),
            origin: "central".to_owned(),
            verified_by: "sha1".to_owned(),
            last_modified: None,
            first_seen: 200,
            last_use: 200,
        };
        index.put_files((begin..releases.min(begin + BATCH)).map(record).collect()).expect("recorded");
    }
    println!("{releases} releases recorded in {:.0?}", begun.elapsed());
}

pub fn index() -> Vec<Measured> {
    let releases = std::env::var("PYRSIA_INDEX_RELEASES").map_or(RELEASES, |text| text.parse().expect("a number"));
    // To be used again: filling takes longer than measuring.
    let kept = std::env::var_os("PYRSIA_INDEX_FOLDER").map(PathBuf::from);
    let scratch = places::scratch("bench-index");
    let data = kept.unwrap_or_else(|| scratch.path().to_owned()).join("data");
    let arguments = ["--no-builder", "--upstream", "none"];
    let mut node = Node::start_at("bench-index", &data, &arguments);
    assert_eq!(node.stop(), 0);
    fill(&data, releases);
    let size = std::fs::metadata(data.join("index.db")).expect("the index").len();
    println!("index.db: {} MiB", size >> 20);

    let mut starts = Vec::new();
    for start in 0..=STARTS {
        let begun = Instant::now();
        node.start_again();
        // The first one after filling finds the log of that.
        if start > 0 {
            starts.push(ms(begun.elapsed()));
        }
        if start < STARTS {
            assert_eq!(node.stop(), 0);
        }
    }
    let mut measured = vec![alone("index-open", starts)];
    measured.extend(searches(&node, releases));
    assert_eq!(node.stop(), 0);
    measured.insert(1, alone("index-lookup-p99", lookups(&data, releases)));
    measured
}

/// The 99th percentiles of looking paths up in no order of theirs.
fn lookups(data: &Path, releases: u64) -> Vec<f64> {
    let index = IndexStore::open(data).expect("the index");
    (0..ROUNDS)
        .map(|round| {
            let mut times: Vec<f64> = (0..LOOKUPS)
                .map(|n| {
                    let path = path((n + LOOKUPS * round as u64).wrapping_mul(7_919_993) % releases);
                    let begun = Instant::now();
                    let found = index.file(&path).expect("an answer");
                    let took = ms(begun.elapsed());
                    assert!(found.is_some(), "{path}");
                    took
                })
                .collect();
            times.sort_by(f64::total_cmp);
            times[times.len() * 99 / 100]
        })
        .collect()
}

/// Searches of the running node, as tools ask for them.
fn searches(node: &Node, releases: u64) -> Vec<Measured> {
    let last = (releases - 1) / VERSIONS;
    let (middle, third) = (last / 2, last / 3);
    let sha1 = Sha1::of(&1_u64.to_le_bytes());
    [
        ("index-search-name", format!("g:{}+AND+a:part-{middle}-lib", group(middle)), true),
        ("index-search-word", format!("{third}"), true),
        ("index-search-common", "lib".to_owned(), true),
        ("index-search-words", "g1+sub3+part".to_owned(), true),
        ("index-search-letter", "p".to_owned(), true),
        ("index-search-none", "g:org.nobody+AND+lib".to_owned(), false),
        ("index-search-sha1", format!("1:{sha1}"), true),
    ]
    .map(|(id, query, some)| {
        let address = format!("{}/solrsearch/select?q={query}&rows=20&wt=json", node.url());
        let times = (0..SEARCHES).map(|_| {
            let begun = Instant::now();
            let answer = http::get(&address);
            let took = ms(begun.elapsed());
            let found = answer.expect(200).json()["response"]["numFound"].as_u64();
            assert_eq!(found.is_some_and(|found| found > 0), some, "{query}: {found:?}");
            took
        });
        alone(id, times.collect())
    })
    .into()
}
