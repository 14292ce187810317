//! The rules between the crates, checked over `cargo metadata` and the sources.
//!
//! `dependencies.txt` beside this file is the whole list of what each crate may depend on directly: a new dependency is
//! a line in a review, never an accident.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};
use pyrsia_tests::places;

/// Libraries with a crate of their own: nobody else may touch them.
const OWNED: [(&str, &str); 6] = [
    ("aleph-bft", "pyrsia-consensus"),
    ("axum", "pyrsia-http"),
    ("bollard", "java-builder"),
    ("git2", "java-builder"),
    ("rusqlite", "pyrsia-store"),
    ("libp2p", "pyrsia-network"),
];

/// Crates without a runtime, files, clock, randomness or logs.
const PURE: [&str; 10] = [
    "maven-layout",
    "pyrsia-digest",
    "pyrsia-merkle",
    "pyrsia-ledger",
    "pyrsia-provenance",
    "pyrsia-api-types",
    "build-infer",
    "build-spec",
    "buildspec",
    "jar-compare",
];

/// What a pure crate may not depend on directly, but for its tests.
const IMPURE: [&str; 9] = ["tokio", "tracing", "log", "getrandom", "rand", "reqwest", "hyper", "tempfile", "rusqlite"];

fn metadata() -> Metadata {
    MetadataCommand::new()
        .manifest_path(places::root().join("Cargo.toml"))
        .other_options(["--locked".to_owned(), "--offline".to_owned()])
        .exec()
        .unwrap_or_else(|error| panic!("cargo metadata: {error}"))
}

fn members(metadata: &Metadata) -> Vec<&Package> {
    metadata.workspace_packages()
}

fn folder(package: &Package) -> PathBuf {
    package.manifest_path.parent().map(|path| path.as_std_path().to_owned()).unwrap_or_default()
}

#[test]
fn each_owned_library_belongs_to_one_crate() {
    let metadata = metadata();
    for (library, owner) in OWNED {
        let users: Vec<_> = members(&metadata)
            .into_iter()
            .filter(|package| package.dependencies.iter().any(|dependency| dependency.name == library))
            .map(|package| package.name.to_string())
            .collect();
        // The network crate comes with the network.
        let expected: &[&str] = if library == "libp2p" && users.is_empty() { &[] } else { &[owner] };
        assert_eq!(users, expected, "who depends on {library}");
    }
}

#[test]
fn the_http_client_is_in_the_fetcher_and_the_command_line_only() {
    let metadata = metadata();
    let mut users: Vec<_> = members(&metadata)
        .into_iter()
        .filter(|package| package.dependencies.iter().any(|dependency| dependency.name == "reqwest"))
        .map(|package| package.name.to_string())
        .collect();
    users.sort();
    assert_eq!(users, ["pyrsia-fetch", "pyrsia-maven"]);
}

#[test]
fn pure_crates_depend_on_nothing_impure() {
    let metadata = metadata();
    for name in PURE {
        let package = members(&metadata).into_iter().find(|package| package.name.as_str() == name);
        let package = package.unwrap_or_else(|| panic!("there is no crate {name}"));
        for dependency in &package.dependencies {
            let impure = dependency.kind != DependencyKind::Development && IMPURE.contains(&dependency.name.as_str());
            assert!(!impure, "{name} is pure and may not depend on {}", dependency.name);
        }
    }
}

#[test]
fn pure_crates_use_no_impure_part_of_the_standard_library() {
    let metadata = metadata();
    let forbidden = [
        "std::fs",
        "std::env",
        "std::net",
        "std::process",
        "std::thread",
        "SystemTime",
        "Instant",
        "println!",
        "eprintln!",
    ];
    for package in members(&metadata) {
        if !PURE.contains(&package.name.as_str()) {
            continue;
        }
        for (file, text) in sources(&folder(package).join("src")) {
            if file.to_string_lossy().ends_with("tests.rs") {
                continue;
            }
            for line in before_tests(&text).lines().filter(|line| !line.trim_start().starts_with("//")) {
                let found = forbidden.iter().find(|word| line.contains(**word));
                assert!(found.is_none(), "{}: {line}", file.display());
            }
        }
    }
}

#[test]
fn a_receipt_is_verified_without_a_runtime() {
    let metadata = metadata();
    let reached = reached_from(&metadata, "pyrsia-ledger");
    for library in ["tokio", "tracing", "reqwest", "rusqlite", "hyper", "getrandom"] {
        assert!(!reached.contains(library), "pyrsia-ledger reaches {library}");
    }
    assert!(reached.contains("ed25519-dalek"), "the walk over the dependencies works");
}

#[test]
fn the_decision_layers_do_not_know_each_other() {
    let metadata = metadata();
    for (name, stranger) in [
        ("pyrsia-rebuilds", "java-builder"),
        ("java-builder", "pyrsia-rebuilds"),
        ("java-builder", "pyrsia-ledger"),
        ("pyrsia-replica", "pyrsia-consensus"),
        ("pyrsia-repository", "pyrsia-http"),
        ("pyrsia-repository", "pyrsia-hosted"),
        ("pyrsia-hosted", "pyrsia-http"),
        ("pyrsia-hosted", "pyrsia-network"),
        ("pyrsia-http", "pyrsia-store"),
        ("pyrsia-http", "pyrsia-replica"),
    ] {
        let reached = direct(&metadata, name);
        assert!(!reached.contains(stranger), "{name} may not depend on {stranger}");
    }
}

#[test]
fn direct_dependencies_are_the_listed_ones() {
    let metadata = metadata();
    let listed = include_str!("dependencies.txt");
    let mut expected = BTreeMap::new();
    for line in listed.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, words) = line.split_once(':').unwrap_or_else(|| panic!("dependencies.txt: {line}"));
        expected.insert(name.to_owned(), words.trim().to_owned());
    }
    let mut actual = BTreeMap::new();
    for package in members(&metadata) {
        for (kind, suffix) in [
            (DependencyKind::Normal, ""),
            (DependencyKind::Development, " (tests)"),
            (DependencyKind::Build, " (build)"),
        ] {
            let names: BTreeSet<_> = package
                .dependencies
                .iter()
                .filter(|dependency| dependency.kind == kind)
                .map(|dependency| dependency.name.as_str())
                .collect();
            if !names.is_empty() {
                let names: Vec<_> = names.into_iter().collect();
                actual.insert(format!("{}{suffix}", package.name), names.join(" "));
            }
        }
    }
    if std::env::var_os("UPDATE_DEPENDENCIES").is_some() {
        let head: Vec<_> = listed.lines().take_while(|line| line.starts_with('#')).collect();
        let body: Vec<_> = actual.iter().map(|(name, names)| format!("{name}: {names}")).collect();
        let file = places::root().join("tests/suite/dependencies.txt");
        std::fs::write(file, format!("{}\n{}\n", head.join("\n"), body.join("\n"))).expect("a written list");
        return;
    }
    assert_eq!(actual, expected, "left: Cargo.toml files, right: tests/suite/dependencies.txt");
}

#[test]
fn every_crate_says_what_it_is_for() {
    let metadata = metadata();
    for package in members(&metadata) {
        let source = folder(package).join("src/lib.rs");
        let text = std::fs::read_to_string(&source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
        let words = text.lines().take_while(|line| line.starts_with("//!")).count();
        assert!(words >= 3, "{} opens with what it is for and what it is not", source.display());
    }
}

#[test]
fn files_stay_readable() {
    let metadata = metadata();
    for package in members(&metadata) {
        for (file, text) in sources(&folder(package).join("src")) {
            let lines = before_tests(&text).lines().count();
            // Tests that lie beside their module in a file of their own.
            let tests = file.file_stem().is_some_and(|name| name.to_string_lossy().ends_with("tests"));
            assert!(tests || lines <= 500, "{} has {lines} lines before its tests", file.display());
        }
    }
    let main = std::fs::read_to_string(places::root().join("node/pyrsia-maven/src/main.rs")).expect("main.rs");
    assert!(main.lines().count() < 50, "main.rs stays under 50 lines");
}

#[test]
fn the_toolchain_is_pinned_once() {
    let toolchain = std::fs::read_to_string(places::root().join("rust-toolchain.toml")).expect("rust-toolchain.toml");
    let metadata = metadata();
    for package in members(&metadata) {
        let version = package.rust_version.as_ref().unwrap_or_else(|| panic!("{} has no rust-version", package.name));
        let wanted = format!("channel = \"{}.{}.", version.major, version.minor);
        assert!(toolchain.contains(&wanted), "{} says {version}", package.name);
    }
}

fn direct(metadata: &Metadata, name: &str) -> BTreeSet<String> {
    members(metadata)
        .into_iter()
        .filter(|package| package.name.as_str() == name)
        .flat_map(|package| package.dependencies.iter())
        .filter(|dependency| dependency.kind == DependencyKind::Normal)
        .map(|dependency| dependency.name.clone())
        .collect()
}

/// Names of everything that a crate's normal dependencies reach.
fn reached_from(metadata: &Metadata, name: &str) -> BTreeSet<String> {
    let resolve = metadata.resolve.as_ref().expect("metadata without --no-deps is resolved");
    let names: BTreeMap<_, _> = metadata.packages.iter().map(|package| (&package.id, package)).collect();
    let mut open: Vec<_> =
        metadata.packages.iter().filter(|package| package.name.as_str() == name).map(|package| &package.id).collect();
    let mut reached = BTreeSet::new();
    let mut seen = BTreeSet::new();
    while let Some(id) = open.pop() {
        if !seen.insert(id) {
            continue;
        }
        let Some(node) = resolve.nodes.iter().find(|node| &node.id == id) else {
            continue;
        };
        for dependency in &node.deps {
            let normal =
                dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal && kind.target.is_none());
            if normal {
                reached.insert(names[&dependency.pkg].name.to_string());
                open.push(&dependency.pkg);
            }
        }
    }
    reached
}

fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && let Ok(text) = std::fs::read_to_string(&path)
            {
                files.push((path, text));
            }
        }
    }
    files
}

fn before_tests(text: &str) -> &str {
    text.find("#[cfg(test)]").map_or(text, |at| &text[..at])
}
