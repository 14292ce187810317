//! Fuzzing on stable Rust: archives of `testdata/corpus`, changed at random and compared.
//!
//! A plain `cargo test` reads some thousand changed archives, in a few seconds, the same ones every time. For a longer run or
//! another one:
//!
//! - `JAR_COMPARE_FUZZ_CASES`: inputs of each kind (4,000);
//! - `JAR_COMPARE_FUZZ_SEED`: where the generator begins (1).
//!
//! `JAR_COMPARE_FUZZ_CASES=1000000 JAR_COMPARE_FUZZ_SEED=7 cargo test --release -p jar-compare --test fuzz`
//!
//! An input that breaks a promise is shown with its number and seed. The promises: nothing panics; both ways round the
//! outcome is the same, and it fits the digests; **an archive that is accepted is read by another implementation, from its
//! directory and as a stream, with the same names and contents**; what is said is bounded.
//!
//! `UPDATE_CORPUS=1` writes the corpus anew from `corpus.rs`.

mod corpus;
mod mutate;
mod properties;
#[path = "../support/mod.rs"]
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use jar_compare::{Limits, normalised_digest};
use mutate::Mutator;

/// Inputs of each kind in a plain run.
const CASES: u64 = 4_000;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/corpus")
}

/// The files of the corpus, by name.
fn files() -> Vec<(String, Vec<u8>)> {
    let read = std::fs::read_dir(folder()).expect("the corpus is there");
    let mut files: Vec<_> = read
        .map(|entry| {
            let path = entry.expect("a readable folder").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (name, std::fs::read(path).expect("a readable file"))
        })
        .collect();
    files.sort();
    files
}

/// Looks at `count` inputs; `check` panics where a promise is broken.
fn run(inputs: impl Iterator<Item = Vec<u8>>, check: fn(&[u8])) {
    let seed = number("JAR_COMPARE_FUZZ_SEED", 1);
    for (case, input) in inputs.enumerate() {
        if catch_unwind(AssertUnwindSafe(|| check(&input))).is_err() {
            panic!("case {case} of seed {seed}, {} bytes: {}", input.len(), input.escape_ascii());
        }
    }
}

#[test]
fn each_archive_of_the_corpus_is_judged_as_it_says() {
    let made = corpus::all();
    if std::env::var_os("UPDATE_CORPUS").is_some() {
        for (name, bytes) in files() {
            drop(bytes);
            std::fs::remove_file(folder().join(name)).expect("a removed file");
        }
        for case in &made {
            std::fs::write(folder().join(case.name), &case.bytes).expect("a written file");
        }
    }
    let files = files();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    let mut expected: Vec<&str> = made.iter().map(|case| case.name).collect();
    expected.sort_unstable();
    assert_eq!(names, expected, "UPDATE_CORPUS=1 writes the corpus anew");
    for case in &made {
        let (_, bytes) = files.iter().find(|(name, _)| name == case.name).expect("it is there");
        for bytes in [bytes, &case.bytes] {
            let found = match normalised_digest(bytes, &Limits::default()) {
                Ok(_) => "accepted".to_owned(),
                Err(refused) => format!("{refused:?}").split([' ', '{']).next().unwrap_or_default().to_owned(),
            };
            assert_eq!(found, case.verdict, "{}", case.name);
        }
        properties::archive(bytes);
    }
}

#[test]
fn changed_archives() {
    let files = files();
    let seeds: Vec<&[u8]> =
        files.iter().map(|(_, bytes)| bytes.as_slice()).filter(|bytes| bytes.len() < 8192).collect();
    let mut mutator = Mutator::new(&seeds, number("JAR_COMPARE_FUZZ_SEED", 1));
    run((0..number("JAR_COMPARE_FUZZ_CASES", CASES)).map(|_| mutator.changed()), properties::archive);
}

#[test]
fn archives_with_headers_that_say_anything() {
    let mut mutator = Mutator::new(&[], number("JAR_COMPARE_FUZZ_SEED", 1));
    run((0..number("JAR_COMPARE_FUZZ_CASES", CASES)).map(|_| mutator.built()), properties::archive);
}

#[test]
fn contents_of_every_kind() {
    let mut mutator = Mutator::new(&[], number("JAR_COMPARE_FUZZ_SEED", 1));
    run((0..number("JAR_COMPARE_FUZZ_CASES", CASES)).map(|_| mutator.content()), properties::content);
}

/// Changes after which nothing can be read any more would make everything else here pass.
#[test]
fn many_changed_archives_are_still_accepted() {
    let mut mutator = Mutator::new(&[], 1);
    let accepted = (0..1000).filter(|_| normalised_digest(&mutator.built(), &Limits::default()).is_ok()).count();
    assert!((200..950).contains(&accepted), "{accepted} of 1000 are accepted");
}
