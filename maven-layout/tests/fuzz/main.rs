//! Fuzzing on stable Rust: documents and texts of `testdata/corpus`, changed at random and read.
//!
//! A plain `cargo test` reads some thousand changed inputs of each kind, in a few seconds, the same ones every time.
//! For a longer run or another one:
//!
//! - `MAVEN_LAYOUT_FUZZ_CASES`: inputs of each kind (10,000);
//! - `MAVEN_LAYOUT_FUZZ_SEED`: where the generator begins (1).
//!
//! `MAVEN_LAYOUT_FUZZ_CASES=2000000 MAVEN_LAYOUT_FUZZ_SEED=7 cargo test --release -p maven-layout --test fuzz`
//!
//! An input that breaks a promise is shown with its number and seed. The promises: nothing panics; what is read, printed
//! and read again is the same; no path leads out; what is printed is at most a small multiple of what was read.

mod mutate;
mod printed;
mod properties;

use std::panic::{AssertUnwindSafe, catch_unwind};

use mutate::Mutator;

/// Inputs of each kind in a plain run.
const CASES: u64 = 10_000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Reads the corpus as it is, then changed; `check` panics where a promise is broken.
fn run(corpus: &[&[u8]], check: fn(&[u8])) {
    let seed = number("MAVEN_LAYOUT_FUZZ_SEED", 1);
    let mut mutator = Mutator::new(corpus, seed);
    let originals = corpus.iter().map(|original| original.to_vec());
    let cases = number("MAVEN_LAYOUT_FUZZ_CASES", CASES);
    let changed = (0..cases).map(|_| mutator.next());
    for (case, input) in originals.chain(changed).enumerate() {
        if catch_unwind(AssertUnwindSafe(|| check(&input))).is_err() {
            panic!("case {case} of seed {seed}, {} bytes: {}", input.len(), input.escape_ascii());
        }
    }
}

/// Each line of a file is an input.
fn run_lines(file: &str, check: fn(&str)) {
    let lines: Vec<&[u8]> = file.lines().map(str::as_bytes).collect();
    let seed = number("MAVEN_LAYOUT_FUZZ_SEED", 1);
    let mut mutator = Mutator::new(&lines, seed);
    // A line is read so much faster than a document that there may be more of them.
    let cases = number("MAVEN_LAYOUT_FUZZ_CASES", CASES).saturating_mul(4);
    let originals = lines.iter().map(|line| line.to_vec());
    for (case, input) in originals.chain((0..cases).map(|_| mutator.next())).enumerate() {
        let text = String::from_utf8_lossy(&input);
        if catch_unwind(|| check(&text)).is_err() {
            panic!("case {case} of seed {seed}: {text:?}");
        }
    }
}

#[test]
fn poms() {
    let corpus: [&[u8]; 3] = [
        include_bytes!("../../testdata/corpus/pom-library.xml"),
        include_bytes!("../../testdata/corpus/pom-relocated.xml"),
        include_bytes!("../../testdata/corpus/pom-latin.xml"),
    ];
    run(&corpus, properties::pom);
}

#[test]
fn metadata() {
    let corpus: [&[u8]; 3] = [
        include_bytes!("../../testdata/corpus/metadata-group.xml"),
        include_bytes!("../../testdata/corpus/metadata-artifact.xml"),
        include_bytes!("../../testdata/corpus/metadata-snapshot.xml"),
    ];
    run(&corpus, properties::metadata);
}

#[test]
fn settings_and_super_poms() {
    let corpus: [&[u8]; 2] =
        [include_bytes!("../../testdata/corpus/settings.xml"), include_bytes!("../../testdata/corpus/super-pom.xml")];
    run(&corpus, properties::settings);
}

#[test]
fn prefixes() {
    run(&[include_bytes!("../../testdata/corpus/prefixes.txt")], properties::prefixes);
}

#[test]
fn paths() {
    run_lines(include_str!("../../testdata/corpus/paths.txt"), properties::path);
}

#[test]
fn versions() {
    run_lines(include_str!("../../testdata/corpus/versions.txt"), properties::version);
}

#[test]
fn coordinates() {
    run_lines(include_str!("../../testdata/corpus/coordinates.txt"), properties::coordinates);
}

#[test]
fn addresses() {
    run_lines(include_str!("../../testdata/corpus/addresses.txt"), properties::address);
}

/// A corpus of which nothing can be read any more would make everything else here pass.
#[test]
fn most_of_what_is_read_is_still_read_after_a_change() {
    let corpus: [&[u8]; 1] = [include_bytes!("../../testdata/corpus/pom-library.xml")];
    let mut mutator = Mutator::new(&corpus, 1);
    let read = (0..1000).filter(|_| maven_layout::Pom::parse(&mutator.next()).is_ok()).count();
    assert!((300..1000).contains(&read), "{read} of 1000 changed POMs are read");
}
