//! What must not be in the repository: package registries' host names, paths of one machine.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pyrsia_tests::places;
use pyrsia_tests::process::run;

/// Every file that is, or would be, committed, with its text; files that are not text are left out.
fn tracked() -> Vec<(String, String)> {
    let mut list = Command::new("git");
    list.current_dir(places::root()).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let names = run(&mut list, Duration::from_secs(30)).expect(0).stdout;
    let files: Vec<_> = names
        .split('\0')
        .filter(|name| !name.is_empty())
        .filter_map(|name| Some((name.to_owned(), std::fs::read_to_string(places::root().join(name)).ok()?)))
        .collect();
    assert!(files.len() > 50, "git lists only {} files", files.len());
    files
}

/// The names in pieces, so that this file is not the one that names them.
fn registry_hosts() -> Vec<String> {
    [
        &["repo", ".maven.apache.", "org"],
        &["repo1", ".maven.", "org"],
        &["central", ".sonatype.", "com"],
        &["plugins", ".gradle.", "org"],
        &["index", ".crates.", "io"],
        &["static", ".crates.", "io"],
        &["files", ".pythonhosted.", "org"],
        &["", "pypi.", "org"],
        &["registry", ".npmjs.", "org"],
        &["proxy", ".golang.", "org"],
        &["deb", ".debian.", "org"],
        &["snapshot", ".debian.", "org"],
        &["archive", ".ubuntu.", "com"],
        &["registry-1", ".docker.", "io"],
    ]
    .iter()
    .map(|pieces| pieces.concat())
    .collect()
}

fn offenders(files: &[(String, String)], forbidden: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in files {
        for (number, line) in text.lines().enumerate() {
            for word in forbidden {
                if line.contains(word.as_str()) {
                    found.push(format!("{name}:{}: {word}", number + 1));
                }
            }
        }
    }
    found
}

#[test]
fn no_registry_is_named() {
    // The lock file's word for the default registry is cargo's own.
    let files: Vec<_> = tracked().into_iter().filter(|(name, _)| name != "Cargo.lock").collect();
    let found = offenders(&files, &registry_hosts());
    assert!(found.is_empty(), "package registries are found at run time, never named:\n{}", found.join("\n"));
}

#[test]
fn no_path_of_one_machine_is_named() {
    let root = places::root().to_string_lossy().into_owned();
    // A checkout directly under / would make this test about every mention of a short word.
    assert!(Path::new(&root).components().count() > 2, "the checkout lies too near the root");
    let forbidden = [format!("{root}/"), ["/root", "/."].concat()];
    let found = offenders(&tracked(), &forbidden);
    assert!(found.is_empty(), "paths of one machine:\n{}", found.join("\n"));
}

#[test]
fn the_search_sees_what_it_looks_for() {
    let host = registry_hosts().remove(0);
    let files = [("a".to_owned(), format!("x\nsee {host}/y\n"))];
    assert_eq!(offenders(&files, &registry_hosts()).len(), 1);
}
