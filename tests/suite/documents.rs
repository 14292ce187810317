//! The documents say only what the program does: their commands parse, their links lead somewhere.

use std::path::Path;

use pyrsia_tests::measured::LINES;
use pyrsia_tests::{node, places};

/// The documents that speak to users.
pub const DOCUMENTS: [&str; 8] = [
    "README.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "docs/OPERATING.md",
    "docs/ARCHITECTURE.md",
    "docs/PROTOCOL.md",
    "docs/PROVENANCE.md",
    "docs/REBUILD.md",
];

fn text(document: &str) -> String {
    std::fs::read_to_string(places::root().join(document)).unwrap_or_else(|error| panic!("{document}: {error}"))
}

/// The sections of a document, by heading: the commands in each.
pub fn sections(document: &str) -> Vec<(String, Vec<String>)> {
    let text = text(document);
    let mut sections = Vec::new();
    for section in format!("\n{text}").split("\n## ").skip(1) {
        // A heading of a lower level may follow; what it names belongs to it alone.
        for part in section.split("\n### ") {
            let (heading, body) = part.split_once('\n').unwrap_or((part, ""));
            sections.push((heading.trim().to_owned(), shell_lines(body)));
        }
    }
    sections
}

/// The lines of every fenced `sh` block, continued lines joined, comments left out.
fn shell_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut inside = false;
    let mut open = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            inside = !inside && line.trim() == "```sh";
            continue;
        }
        if !inside {
            continue;
        }
        let line = line.trim();
        if let Some(start) = line.strip_suffix('\\') {
            open.push_str(start);
            continue;
        }
        open.push_str(line);
        let whole = std::mem::take(&mut open);
        if !whole.is_empty() && !whole.starts_with('#') {
            lines.push(whole);
        }
    }
    lines
}

/// Checks `pyrsia-maven WORDS...` against the help of the command that it names.
fn check_program_line(document: &str, line: &str, words: &[&str]) {
    let mut command: Vec<&str> = Vec::new();
    let mut help = node::cli(&["--help"]).expect(0).stdout;
    for word in words.iter().take_while(|word| !word.starts_with('-')) {
        let listed = help.lines().any(|shown| shown.split_whitespace().next() == Some(word));
        if !(listed && help.contains("Commands:")) {
            break;
        }
        command.push(word);
        let mut arguments = command.clone();
        arguments.push("--help");
        help = node::cli(&arguments).expect(0).stdout;
    }
    assert!(!command.is_empty(), "{document}: `{line}` names no command");
    for flag in words.iter().filter(|word| word.starts_with('-')) {
        let flag = flag.split('=').next().unwrap_or(flag);
        let known = help
            .split(|letter: char| letter.is_whitespace() || matches!(letter, ',' | '[' | ']'))
            .any(|shown| shown == flag);
        assert!(known, "{document}: `{line}` uses {flag}, which `{} --help` does not know", command.join(" "));
    }
}

#[test]
fn every_command_in_the_documents_is_one_that_the_program_knows() {
    let dev = std::fs::read_to_string(places::root().join("dev")).expect("./dev is there");
    let mut checked = 0;
    for document in DOCUMENTS {
        for line in shell_lines(&text(document)) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let program = words[0].rsplit('/').next().unwrap_or(words[0]);
            match program {
                "dev" => {
                    let command = words.get(1).unwrap_or_else(|| panic!("{document}: `{line}` has no command"));
                    assert!(dev.contains(&format!("\n    {command}) ")), "{document}: `{line}`: no such command");
                }
                "pyrsia-maven" => check_program_line(document, &line, &words[1..]),
                _ => continue,
            }
            checked += 1;
        }
    }
    assert!(checked >= 6, "only {checked} commands were found in the documents");
}

#[test]
fn links_between_documents_lead_somewhere() {
    for document in DOCUMENTS {
        let text = text(document);
        let folder = places::root().join(document).parent().map(Path::to_owned).unwrap_or_default();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or(target);
            if file.is_empty() || file.contains("://") {
                continue;
            }
            assert!(folder.join(file).exists(), "{document} links to {target}, which is not there");
        }
    }
}

#[test]
fn the_exit_codes_are_documented() {
    let operating = text("docs/OPERATING.md");
    for code in [0, 1, 2, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22] {
        assert!(operating.contains(&format!("| {code} |")), "exit code {code} is missing");
    }
}

#[test]
fn shell_blocks_are_read() {
    let lines =
        shell_lines("```sh\n# no\npyrsia-maven a \\\n  --b\n```\ntext\n```toml\nx = 1\n```\n```sh\n./dev up\n```\n");
    assert_eq!(lines, ["pyrsia-maven a --b", "./dev up"]);
}

#[test]
fn the_configuration_in_the_documents_is_accepted() {
    let text = text("docs/OPERATING.md");
    let block = text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a toml block");
    let folder = places::scratch("documented");
    let file = folder.path().join("config.toml");
    std::fs::write(&file, block).expect("a written file");
    let mut command = node::program();
    command.arg("--data-dir").arg(folder.path()).arg("--config").arg(&file).args(["config", "show"]);
    let shown = pyrsia_tests::process::run(&mut command, std::time::Duration::from_secs(30)).expect(0).stdout;
    assert!(shown.contains("https://mirror.example/maven2/"), "{shown}");
}

#[test]
fn the_benchmarks_document_has_what_a_benchmark_measures() {
    let text = text("docs/BENCHMARKS.md");
    for line in &LINES {
        let rows: Vec<_> = text.lines().filter(|row| row.starts_with(&format!("| `{}` |", line.id))).collect();
        let [row] = rows[..] else { panic!("{} has {} rows; run `./dev bench`", line.id, rows.len()) };
        assert!(!row.contains("not measured"), "{row}");
        assert!(text.contains(&format!("- `{}`: {}\n", line.id, line.meaning)), "{}: run `./dev bench`", line.id);
        assert!(line.peer.is_none_or(|peer| text.contains(peer)), "{}: run `./dev bench`", line.id);
    }
    let rows = text.lines().filter(|row| row.starts_with("| `")).count();
    assert_eq!(rows, LINES.len(), "no line is of an older benchmark");
}
