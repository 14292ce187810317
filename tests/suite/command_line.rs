//! The command line is a contract: what `--help` prints and what `--json` contains are snapshots.

use std::collections::BTreeSet;
use std::time::Duration;

use pyrsia_tests::{node, places, process};

/// The commands that a help text lists.
fn commands_of(help: &str) -> Vec<String> {
    help.lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

#[test]
fn help_is_a_contract() {
    let mut open: Vec<Vec<String>> = vec![vec![]];
    let mut seen = BTreeSet::new();
    while let Some(command) = open.pop() {
        let mut arguments = command.clone();
        arguments.push("--help".to_owned());
        let help = node::cli(&arguments).expect(0).stdout;
        for name in commands_of(&help) {
            let mut below = command.clone();
            below.push(name);
            open.push(below);
        }
        let name = if command.is_empty() { "all".to_owned() } else { command.join("-") };
        insta::assert_snapshot!(format!("help-{name}"), help);
        seen.insert(name);
    }
    for name in [
        "node",
        "build",
        "rebuild",
        "verify",
        "receipt",
        "inspect",
        "log",
        "compare",
        "status",
        "builds",
        "network-show",
    ] {
        assert!(seen.contains(name), "{name} is no command");
    }
}

#[test]
fn wrong_usage_is_2() {
    for arguments in
        [&["nonsense"][..], &["verify", "--no-such-flag"], &["verify", "not-coordinates"], &["receipt"], &[]]
    {
        node::cli(arguments).expect(2);
    }
}

#[test]
fn the_version_is_the_workspaces() {
    let done = node::cli(&["--version"]).expect(0);
    assert_eq!(done.stdout.trim(), format!("pyrsia-maven {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_misspelt_setting_is_refused_by_name() {
    let folder = places::scratch("config");
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "[node]\nlistne = \"127.0.0.1:1\"\n").expect("a written file");
    let done = process::run(
        node::program().arg("--data-dir").arg(folder.path()).arg("--config").arg(&file).arg("node"),
        Duration::from_secs(30),
    )
    .expect(1);
    assert!(done.stderr.contains("listne") && done.stderr.contains("config.toml"), "{}", done.report());
}

#[test]
fn errors_keep_standard_output_clean_for_json() {
    let done = node::cli(&["--json", "--node", "http://127.0.0.1:1", "status"]).expect(16);
    assert!(
        done.stdout.is_empty() || serde_json::from_str::<serde_json::Value>(&done.stdout).is_ok(),
        "{}",
        done.report()
    );
    assert!(!done.stderr.is_empty());
    assert!(!done.output().contains('\u{1b}'), "no colours off a terminal");
}

#[test]
fn the_configuration_shows_where_flags_win() {
    let folder = places::scratch("precedence");
    let file = folder.path().join("config.toml");
    std::fs::write(&file, "[node]\nlisten = \"127.0.0.1:7001\"\n").expect("a written file");
    let done = process::run(
        node::program().arg("--data-dir").arg(folder.path()).arg("--config").arg(&file).args(["config", "show"]),
        Duration::from_secs(30),
    )
    .expect(0);
    assert!(done.stdout.contains("127.0.0.1:7001"), "{}", done.report());
}

#[test]
fn completions_are_made_for_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        assert!(node::cli(&["completions", shell]).expect(0).stdout.contains("pyrsia-maven"));
    }
}

#[test]
fn compare_tells_identical_from_different() {
    let folder = places::scratch("compare");
    let make = |name: &str, content: &str| {
        let tree = folder.path().join(format!("{name}.d"));
        std::fs::create_dir_all(&tree).expect("a folder");
        std::fs::write(tree.join("a.txt"), content).expect("a file");
        let archive = folder.path().join(name);
        let mut jar = std::process::Command::new("jar");
        jar.arg("--create").arg("--file").arg(&archive).args(["--date=2026-01-01T00:00:00Z", "-C"]).arg(&tree).arg(".");
        process::run(&mut jar, Duration::from_secs(60)).expect(0);
        archive.to_string_lossy().into_owned()
    };
    let (one, same, other) = (make("one.jar", "a"), make("same.jar", "a"), make("other.jar", "b"));
    node::cli(&["compare", &one, &same]).expect(0);
    let done = node::cli(&["compare", &one, &other]).expect(17);
    assert!(done.stdout.contains("a.txt"), "the difference has a name: {}", done.report());
}

/// Offline `verify` with vectors of the ledger: a network that has replaced its committee.
#[test]
fn a_replaced_committee_is_not_believed_by_who_has_seen_the_newer_one() {
    let folder = places::scratch("pin");
    let vectors = places::root().join("node/ledger/vectors");
    let jar = folder.path().join("lib-1.0.jar");
    std::fs::write(&jar, "jar").expect("a file");
    let verify = |receipt: &str| {
        let mut command = node::program();
        command.arg("--data-dir").arg(folder.path().join("data")).args(["verify", "org.acme:lib:1.0", "--file"]);
        command.arg(&jar).arg("--receipt").arg(vectors.join(receipt));
        command.arg("--network").arg(vectors.join("genesis.json"));
        process::run(&mut command, Duration::from_secs(30))
    };
    // Who knows the genesis alone cannot tell.
    verify("receipt-of-replaced-committee.txt").expect(0);
    verify("receipt.txt").expect(0);
    let refused = verify("receipt-of-replaced-committee.txt").expect(13);
    assert!(refused.output().contains("committee of epoch 1"), "{}", refused.report());
    verify("receipt.txt").expect(0);
}
