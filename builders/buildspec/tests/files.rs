//! Whole files: what they say, what is refused, and that neither chance nor malice makes the reader panic or hang.
#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

use buildspec::{Buildspec, CommandPrefix, Line, LineEnds, Origin, RefusalKind, Revision, Tool};
use proptest::prelude::*;

/// A file as the format's description has it.
const PLAIN: &str = r#"# what is rebuilt
groupId=org.acme
artifactId=widget-parent
display=${groupId}:${artifactId}
version=1.4.0.Final

gitRepo=https://git.example/acme/$(echo "${artifactId}" | sed -e "s/-parent//").git
gitTag=${artifactId}-$(echo ${version} | sed -e 's/.Final//')

tool=mvn-3.9.9   # see createdBy
jdk=17
newline=lf
umask=022
timezone="America/New_York"

command="mvn -Papache-release clean package -DskipTests \
    -Dmaven.javadoc.skip -Dgpg.skip"
buildinfo=target/${artifactId}-${version}.buildinfo

#diffoscope=${artifactId}-${version}.diffoscope
issue=
"#;

/// One that uses nearly everything.
const RICH: &str = r#"
export groupId='org.acme'
artifactId=widget
version=2.0.1-beta
tag=v${version%-*}
sourceDistribution=https://files.example/${artifactId}-${version}-source-release.zip
sourcePath=${artifactId}-${version}
sourceRmFiles="DEPENDENCIES LICENSE NOTICE"
tool=mvn
jdk=17.0.7
toolchains="8|11|17"
jdkForceAzul=true
newline=crlf
newlineGit=lf
locale=fr_FR
workdir=/home/runner/src/widget
os=linux ; arch=x86_64
MAVEN_OPTS='-Duser.country=US -Duser.language=en'
execBefore="find . -type d -exec chmod g+s {} \;"
execAfter="echo \"it's done\""
command="SHELL cd java && ./mvnw -Dx='a b' clean && ./mvnw package"
buildNumber=17
"#;

fn read(text: &str) -> Buildspec {
    Buildspec::parse(text).unwrap_or_else(|refusal| panic!("{refusal}"))
}

#[test]
fn the_usual_file() {
    let spec = read(PLAIN);
    assert_eq!(spec.coordinates.to_string(), "org.acme:widget-parent:1.4.0.Final");
    let Origin::Git { repository, revision } = &spec.origin else { panic!("{:?}", spec.origin) };
    assert_eq!(repository.as_str(), "https://git.example/acme/widget");
    assert_eq!(*revision, Revision::Tag("widget-parent-1.4.0".to_owned()));
    assert_eq!(spec.tool, Tool::Maven("3.9.9".to_owned()));
    assert_eq!((spec.jdk.major, &spec.jdk.exact), (17, &None));
    assert_eq!((spec.umask.as_deref(), spec.timezone.as_deref()), (Some("022"), Some("America/New_York")));
    assert_eq!((spec.newline, spec.newline_git), (LineEnds::Lf, None));
    let words = Line::parse(&spec.command).unwrap();
    assert_eq!(words.single().unwrap().words.len(), 7);
    assert_eq!(spec.issue, None);
    assert_eq!(spec.others["buildinfo"], "target/widget-parent-1.4.0.Final.buildinfo");
}

#[test]
fn every_field() {
    let spec = read(RICH);
    let Origin::Distribution { url, path, remove } = &spec.origin else { panic!("{:?}", spec.origin) };
    assert_eq!(url, "https://files.example/widget-2.0.1-beta-source-release.zip");
    assert_eq!(path.as_deref(), Some("widget-2.0.1-beta"));
    assert_eq!(remove, &["DEPENDENCIES", "LICENSE", "NOTICE"]);
    assert_eq!(spec.tool, Tool::Maven("3.6.3".to_owned()), "what `mvn` means");
    assert_eq!((spec.jdk.major, spec.jdk.exact.as_deref()), (17, Some("17.0.7")));
    assert_eq!(spec.toolchains, [8, 11, 17]);
    assert!(spec.other_vendor);
    assert_eq!((spec.newline, spec.newline_git), (LineEnds::Crlf, Some(LineEnds::Lf)));
    assert_eq!((spec.os.as_deref(), spec.arch.as_deref()), (Some("linux"), Some("x86_64")));
    assert_eq!(spec.maven_opts.as_deref(), Some("-Duser.country=US -Duser.language=en"));
    assert_eq!(spec.exec_before.as_deref(), Some(r"find . -type d -exec chmod g+s {} \;"));
    assert_eq!(spec.exec_after.as_deref(), Some("echo \"it's done\""));
    assert_eq!(spec.prefix, Some(CommandPrefix::Shell));
    assert_eq!(spec.command, "cd java && ./mvnw -Dx='a b' clean && ./mvnw package");
    assert_eq!(spec.others["tag"], "v2.0.1");
    for text in [PLAIN, RICH] {
        assert_eq!(read(&read(text).to_string()), read(text));
    }
}

#[test]
fn commits_and_messages_name_a_commit_and_no_other_command_does() {
    let with = |tag: &str| Buildspec::parse(&format!("{PLAIN}gitTag={tag}\n"));
    let revision = |tag: &str| match with(tag).unwrap().origin {
        Origin::Git { revision, .. } => revision,
        other => panic!("{other:?}"),
    };
    let commit = "0123456789abcdef0123456789ABCDEF01234567";
    assert_eq!(revision(commit), Revision::Commit(commit.to_lowercase()));
    for tail in ["", " | head -1"] {
        let tag = format!("\"git log --all --pretty=format:%H --grep 'Version $version'{tail}\"");
        assert_eq!(revision(&tag), Revision::Message("Version 1.4.0.Final".to_owned()));
        assert_eq!(read(&with(&tag).unwrap().to_string()), with(&tag).unwrap());
    }
    for tag in ["\"git rev-parse HEAD\"", "\"git log --all --pretty=format:%H --grep '$(id)' ; id\"", "'a b'"] {
        assert!(
            matches!(with(tag), Err(refusal) if matches!(refusal.kind, RefusalKind::Field { field: "gitTag", .. } | RefusalKind::Substitution(_))),
            "{tag}"
        );
    }
}

#[test]
fn a_bad_field_is_named_with_its_line() {
    let with = |line: &str| Buildspec::parse(&format!("{PLAIN}{line}\n")).unwrap_err();
    let last = PLAIN.lines().count() + 1;
    for (line, field) in [
        ("groupId=../x", "groupId"),
        ("artifactId='a b'", "artifactId"),
        ("version=1/2", "version"),
        ("gitRepo=svn://x.example/y", "gitRepo"),
        ("tool=ant", "tool"),
        ("tool='mvn-3;id'", "tool"),
        ("jdk=seventeen", "jdk"),
        ("jdk=1.8", "jdk"),
        ("toolchains='8,11'", "toolchains"),
        ("newline=cr", "newline"),
        ("newlineGit=cr", "newlineGit"),
        ("command=\"mvn 'x\"", "command"),
        ("execBefore='a & b'", "execBefore"),
        ("execAfter='a << b'", "execAfter"),
        ("sourceDistribution=https://x.example/y.zip sourcePath=../y", "sourcePath"),
    ] {
        let refusal = with(line);
        assert!(matches!(refusal.kind, RefusalKind::Field { field: named, .. } if named == field), "{line}: {refusal}");
        assert_eq!(refusal.line, last, "{line}");
    }
    for name in ["groupId", "version", "gitRepo", "gitTag", "tool", "jdk", "newline", "command"] {
        let text: String =
            PLAIN.lines().filter(|line| !line.starts_with(&format!("{name}="))).collect::<Vec<_>>().join("\n");
        let refusal = Buildspec::parse(&text.replace("${groupId}", "").replace("${version}", "")).unwrap_err();
        let named = matches!(refusal.kind, RefusalKind::Missing(missing) if missing == name)
            || matches!(&refusal.kind, RefusalKind::Variable(missing) if missing == name);
        // What is left of the command when its first line is gone is none.
        assert!(named || matches!(refusal.kind, RefusalKind::Statement(_)), "{name}: {refusal}");
    }
}

/// Changes a text at random places, reproducibly.
fn mutated(text: &str, seed: u64) -> String {
    const PIECES: &[&str] = &[
        "$",
        "${",
        "}",
        "$(",
        ")",
        "`",
        "'",
        "\"",
        "\\",
        "\n",
        "#",
        "%",
        "//",
        "*",
        "[",
        "]",
        "|",
        "&&",
        ";",
        "=",
        "é",
        "\0",
        "version",
        "echo ",
        "sed s/a/b/",
        "tr a-z A-Z",
        "cut -d",
        "$version",
        "((",
        ":-",
        "SHELL ",
    ];
    // A generator of Marsaglia's kind: no randomness but the seed.
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % below.max(1) as u64) as usize
    };
    let mut chars: Vec<char> = text.chars().collect();
    for _ in 0..=next(8) {
        let at = next(chars.len() + 1).min(chars.len());
        match next(4) {
            0 if at < chars.len() => drop(chars.remove(at)),
            1 => {
                let end = (at + next(40)).min(chars.len());
                let part: Vec<char> = chars[at..end].to_vec();
                let to = next(chars.len() + 1);
                chars.splice(to..to, part);
            }
            2 => chars.truncate(at.max(chars.len() / 2)),
            _ => drop(chars.splice(at..at, PIECES[next(PIECES.len())].chars())),
        }
    }
    chars.into_iter().collect()
}

#[test]
fn changed_files_are_read_or_refused_and_what_is_read_is_printed_alike() {
    let mut read = 0;
    for seed in 0..20_000 {
        let text = mutated(if seed % 2 == 0 { PLAIN } else { RICH }, seed);
        if let Ok(spec) = Buildspec::parse(&text) {
            read += 1;
            assert_eq!(Buildspec::parse(&spec.to_string()).as_ref(), Ok(&spec), "seed {seed}: {text}");
        }
    }
    assert!(read > 1000, "only {read} of the changed files were still specifications");
}

proptest! {
    #[test]
    fn no_text_panics(text in ".{0,400}") {
        let _ = Buildspec::parse(&text);
        let _ = Line::parse(&text);
    }

    #[test]
    fn no_shell_text_panics(text in r#"([a-z$`'"\\ \n;&|(){}\[\]<>=#%/*?!:^,.-]|x=|\$\(echo |\$\{x){0,60}"#) {
        let _ = Buildspec::parse(&text);
        let _ = Line::parse(&text);
    }

    #[test]
    fn quoting_keeps_any_value(value in "[ -~é]{0,80}") {
        let text = format!("{PLAIN}note='{}'\n", value.replace('\'', "'\\''"));
        let spec = Buildspec::parse(&text).unwrap();
        prop_assert_eq!(&spec.others["note"], &value);
        prop_assert_eq!(Buildspec::parse(&spec.to_string()).unwrap(), spec);
    }

    #[test]
    fn a_rewritten_line_reads_as_one_with_the_tool_at_its_end(text in r#"([a-z$'" ;|()=-]|&&|mvn |\./mvnw ){0,30}"#) {
        if let Ok(line) = Line::parse(&text) && line.last_tool() == Some("mvn") {
            let rewritten = Line::parse(&line.rewritten("mvn", "goal")).unwrap();
            let last = rewritten.commands().last().unwrap();
            prop_assert_eq!(last.words.last().unwrap().text.as_str(), "goal");
            prop_assert_eq!(rewritten.last_tool(), Some("mvn"));
        }
    }
}
