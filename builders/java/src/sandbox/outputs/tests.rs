use super::*;

const POM: &[u8] = b"<project><groupId>g</groupId><artifactId>a</artifactId><version>1</version></project>";

type Entries<'a> = &'a [(&'a str, &'a [u8])];

fn collected(entries: Entries<'_>, max_bytes: u64) -> Result<Built, BuildError> {
    raw(entries, max_bytes, tar::EntryType::Regular, &Hints::default())
}

fn raw(entries: Entries<'_>, max_bytes: u64, kind: tar::EntryType, hints: &Hints) -> Result<Built, BuildError> {
    with_limits(entries, max_bytes, 4, kind, hints)
}

fn with_limits(
    entries: Entries<'_>,
    max_bytes: u64,
    max_files: usize,
    kind: tar::EntryType,
    hints: &Hints,
) -> Result<Built, BuildError> {
    let work = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir_in(work.path()).unwrap();
    let archive = scratch.path().join("stdout.tar");
    let mut tar = tar::Builder::new(File::create(&archive).unwrap());
    for (name, content) in entries {
        let mut header = tar::Header::new_gnu();
        // Written as it is: the library would refuse the names that are tried here.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(if name.starts_with("g/") { kind } else { tar::EntryType::Regular });
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_cksum();
        tar.append(&header, *content).unwrap();
    }
    tar.into_inner().unwrap();
    let wanted = ["g:a:1".parse().unwrap()];
    let built = collect(scratch.path(), &archive, &wanted, max_bytes, max_files, vec!["last line".to_owned()], hints);
    if let Ok(built) = &built {
        for file in &built.files {
            assert_eq!(FileCheck::of(&file.path), FileCheck(file.digests.sha256, file.digests.size));
        }
    }
    built
}

#[derive(Debug, PartialEq)]
struct FileCheck(Sha256, u64);

impl FileCheck {
    fn of(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        Self(Sha256::of(&bytes), bytes.len() as u64)
    }
}

#[test]
fn files_are_sorted_and_checksums_are_left_out() {
    let digest = Sha256::of(b"x").to_string();
    let built = collected(
        &[
            ("status", b"0\n"),
            ("byproducts", digest.as_bytes()),
            ("g/a/1/a-1.pom", POM),
            ("g/a/1/a-1.jar", b"jar"),
            ("g/a/1/a-1.jar.sha512", b"00"),
            ("g/a/1/a-1.jar.asc", b"sig"),
        ],
        1000,
    )
    .unwrap();
    let names: Vec<_> = built.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["a-1.jar", "a-1.pom"]);
    assert_eq!(built.byproducts, Some(Sha256::of(b"x")));
    // Without a word about the other modules there are the files themselves.
    assert_eq!(built.reactor, [Sha256::of(POM), Sha256::of(b"jar")].into());
}

#[test]
fn what_a_hostile_build_may_hand_out_is_refused() {
    for name in ["g/a/1/../../../x", "/etc/passwd", "g/a/2/a-2.jar", "g/a/1/deep/er", "g/a/1/x\\y", "other"] {
        let error = collected(&[("status", b"0"), (name, b"x")], 1000).unwrap_err();
        assert!(matches!(error, BuildError::Interfered(_)), "{name}: {error}");
    }
    let twice: Entries<'_> =
        &[("status", b"0"), ("g/a/1/a-1.pom", POM), ("g/a/1/a-1.pom", POM), ("g/a/1/a-1.jar", b"")];
    assert!(matches!(collected(twice, 1000), Err(BuildError::Interfered(_))));
    let special: Entries<'_> = &[("status", b"0"), ("g/a/1/a-1.jar", b"")];
    for kind in [
        tar::EntryType::Symlink,
        tar::EntryType::Link,
        tar::EntryType::Directory,
        tar::EntryType::Block,
        tar::EntryType::Char,
        tar::EntryType::Fifo,
        tar::EntryType::GNUSparse,
        tar::EntryType::XHeader,
        tar::EntryType::XGlobalHeader,
        tar::EntryType::GNULongLink,
    ] {
        let error = raw(special, 1000, kind, &Hints::default()).unwrap_err();
        assert!(
            matches!(&error, BuildError::Interfered(text) if text.contains("no regular file")),
            "{kind:?}: {error}"
        );
        assert!(!error.is_attestable());
    }
    assert!(matches!(collected(&[("g/a/1/a-1.pom", POM)], 1000), Err(BuildError::Interfered(_))), "no status");
    // A name is shown without what would steer a terminal.
    let error = collected(&[("status", b"0"), ("g/\x1b[2J\n", b"x")], 1000).unwrap_err().to_string();
    assert!(!error.contains(char::is_control), "{error:?}");
}

/// A tar that the library did not write.
fn collected_bytes(bytes: &[u8]) -> Result<Built, BuildError> {
    let work = tempfile::tempdir().unwrap();
    let archive = work.path().join("stdout.tar");
    std::fs::write(&archive, bytes).unwrap();
    let wanted = ["g:a:1".parse().unwrap()];
    collect(work.path(), &archive, &wanted, 100_000, 4, Vec::new(), &Hints::default())
}

#[test]
fn what_is_no_tar_is_the_builds_doing() {
    for bytes in [&b""[..], b"garbage", &[0; 512], &[0xff; 2048]] {
        let error = collected_bytes(bytes).unwrap_err();
        assert!(matches!(error, BuildError::Interfered(_)), "{error}");
    }
    // One that breaks off within a file.
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(3000);
    tar.append_data(&mut header, "g/a/1/a-1.jar", &[7; 3000][..]).unwrap();
    let whole = tar.into_inner().unwrap();
    let error = collected_bytes(&whole[..1024]).unwrap_err();
    assert!(matches!(error, BuildError::Interfered(_)), "{error}");
}

#[test]
fn names_that_a_header_does_not_hold_are_read_up_to_a_length() {
    let long = |length: usize| {
        let mut tar = tar::Builder::new(Vec::new());
        let classifier = format!("g/a/1/a-1-{}.jar", "c".repeat(length));
        let entries: [(&str, &[u8]); 4] =
            [("status", b"0"), ("g/a/1/a-1.pom", POM), ("g/a/1/a-1.jar", b"jar"), (&classifier, b"long")];
        for (name, content) in entries {
            let mut header = tar::Header::new_gnu();
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, name, content).unwrap();
        }
        collected_bytes(&tar.into_inner().unwrap())
    };
    let built = long(200).unwrap();
    assert_eq!(built.files.len(), 3);
    assert!(built.files[0].name.len() > 200, "{}", built.files[0].name);
    for length in [300, 2_000, 50_000] {
        assert!(matches!(long(length), Err(BuildError::Interfered(_))), "{length}");
    }
}

#[test]
fn a_limit_that_the_kernel_held_the_build_to_has_the_last_word() {
    let with = |status: &[u8], limits: &[u8]| {
        collected(&[("status", status), ("limits", limits), ("g/a/1/a-1.pom", POM), ("g/a/1/a-1.jar", b"x")], 1000)
    };
    for status in [&b"0"[..], b"1", b"137"] {
        assert!(matches!(with(status, b"memory\n"), Err(BuildError::Limit(BuildLimit::Memory))));
        assert!(matches!(with(status, b"processes\n"), Err(BuildError::Limit(BuildLimit::Processes))));
    }
    assert!(with(b"0", b"").is_ok() && with(b"0", b"unheard-of\n").is_ok());
}

#[test]
fn files_without_a_place_in_the_layout_are_left_out() {
    let mut entries: Vec<(&str, &[u8])> = vec![("status", b"0"), ("g/a/1/a-1.pom", POM), ("g/a/1/a-1.jar", b"jar")];
    for name in ["g/a/1/evil.txt", "g/a/1/a-10.jar", "g/a/1/a-1", "g/a/1/a-1.", "g/a/1/a-2.jar", "g/a/1/b-1.jar"] {
        entries.push((name, b"x"));
    }
    entries.push(("g/a/1/a-1-sources.jar", b"sources"));
    let built = collected(&entries, 1000).unwrap();
    let names: Vec<_> = built.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["a-1-sources.jar", "a-1.jar", "a-1.pom"]);
}

#[test]
fn one_release_has_a_limit_of_its_own() {
    let made = |count: usize| {
        let names: Vec<String> = (2..count).map(|number| format!("g/a/1/a-1-{number}.jar")).collect();
        let mut many: Vec<(&str, &[u8])> = vec![("status", b"0"), ("g/a/1/a-1.pom", POM), ("g/a/1/a-1.jar", b"jar")];
        many.extend(names.iter().map(|name| (name.as_str(), b"x".as_slice())));
        with_limits(&many, 10_000, 5_000, tar::EntryType::Regular, &Hints::default())
    };
    assert_eq!(made(MAX_RELEASE_FILES).unwrap().files.len(), MAX_RELEASE_FILES);
    assert!(matches!(made(MAX_RELEASE_FILES + 1), Err(BuildError::Limit(BuildLimit::Outputs))));
}

#[test]
fn limits_of_size_and_count() {
    let large: Entries<'_> = &[("status", b"0"), ("g/a/1/a-1.jar", &[0; 2000])];
    assert!(matches!(collected(large, 1000), Err(BuildError::Limit(BuildLimit::Outputs))));
    let names: Vec<String> = (0..5).map(|number| format!("g/a/1/a-1-{number}.jar")).collect();
    let mut many: Vec<(&str, &[u8])> = vec![("status", b"0")];
    many.extend(names.iter().map(|name| (name.as_str(), b"x".as_slice())));
    assert!(matches!(collected(&many, 1000), Err(BuildError::Limit(BuildLimit::Outputs))));
}

#[test]
fn a_release_needs_its_pom_and_main_artifact() {
    let missing = |entries: Entries<'_>| match collected(entries, 1000) {
        Err(BuildError::NoOutput(what)) => what,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing(&[("status", b"0"), ("g/a/1/a-1.jar", b"x")]), "POM of g:a:1");
    assert_eq!(missing(&[("status", b"0"), ("g/a/1/a-1.pom", POM)]), "main artifact of g:a:1");
    assert_eq!(
        missing(&[("status", b"0"), ("g/a/1/a-1.pom", POM), ("g/a/1/a-1-sources.jar", b"x")]),
        "main artifact of g:a:1"
    );
    let parent = b"<project><artifactId>a</artifactId><packaging>pom</packaging></project>";
    assert!(collected(&[("status", b"0"), ("g/a/1/a-1.pom", parent)], 1000).is_ok());
}

#[test]
fn why_a_build_failed() {
    let failed = |free: &[u8], hints: Hints| {
        raw(&[("status", b"1\n"), ("free", free)], 1000, tar::EntryType::Regular, &hints).unwrap_err()
    };
    let plain = failed(b"Available\n50000\n", Hints::default());
    assert!(
        matches!(&plain, BuildError::ToolFailed(failure) if failure.exit_code == 1 && failure.log_tail == ["last line"])
    );
    assert!(plain.is_attestable());
    assert!(matches!(failed(b"Available\n12\n", Hints::default()), BuildError::Limit(BuildLimit::Disk)));
    let full = Hints { disk_full: true, ..Hints::default() };
    assert!(matches!(failed(b"50000\n", full), BuildError::Limit(BuildLimit::Disk)));
    let heap = Hints { out_of_memory: true, ..Hints::default() };
    assert!(matches!(failed(b"50000\n", heap), BuildError::Limit(BuildLimit::Memory)));
    let threads = Hints { out_of_processes: true, ..Hints::default() };
    assert!(matches!(failed(b"50000\n", threads), BuildError::Limit(BuildLimit::Processes)));
    let host = Hints { unknown_host: Some("nodejs.org".to_owned()), ..Hints::default() };
    assert!(matches!(failed(b"50000\n", host), BuildError::NeedsNetwork(host) if host == "nodejs.org"));
}

#[test]
fn what_other_modules_attached_is_known_by_digest() {
    let sibling = format!("{}\n{}\n", Sha256::of(b"sibling"), Sha256::of(b"jar"));
    let entries: Entries<'_> =
        &[("status", b"0\n"), ("reactor", sibling.as_bytes()), ("g/a/1/a-1.pom", POM), ("g/a/1/a-1.jar", b"jar")];
    let built = collected(entries, 1000).unwrap();
    assert_eq!(built.reactor, [Sha256::of(b"sibling"), Sha256::of(POM), Sha256::of(b"jar")].into());
    let nonsense: Entries<'_> =
        &[("status", b"0\n"), ("reactor", b"x\n"), ("g/a/1/a-1.pom", POM), ("g/a/1/a-1.jar", b"")];
    assert!(matches!(collected(nonsense, 1000), Err(BuildError::Interfered(_))));
}

#[test]
fn a_line_that_fails_is_not_the_failure_of_the_tool() {
    let failed = |step: &[u8], ended: &[u8]| {
        collected(&[("status", b"3\n"), ("step", step), ("ended", ended), ("free", b"99999\n")], 100).unwrap_err()
    };
    let error = failed(b"exec_before 2\n", b"");
    assert!(matches!(&error, BuildError::CommandFailed { place, exit_code: 3, .. } if place == "exec_before, line 2"));
    assert!(!error.is_attestable());
    assert!(matches!(failed(b"exec_after 1\n", b"0\n"), BuildError::CommandFailed { .. }), "the tool had ended well");
    assert!(failed(b"commands 1\n", b"3\n").is_attestable());
    assert!(failed(b"", b"").is_attestable(), "there were no lines");
    assert!(failed(b"rubbish 1\n", b"").is_attestable());
}
