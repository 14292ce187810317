use proptest::prelude::*;

use super::*;

fn path(text: &str) -> RepoPath {
    text.parse().unwrap()
}

fn read(body: &str) -> Result<String, PrefixesError> {
    let all = Prefixes::parse(format!("{HEADER}\n{body}").as_bytes())?;
    Ok(all.iter().map(RepoPath::as_str).collect::<Vec<_>>().join(" "))
}

#[test]
fn lists_only_outermost_groups() {
    let groups: Vec<GroupId> = ["org.b.c", "org.b", "org.bb", "com.a"].iter().map(|g| g.parse().unwrap()).collect();
    assert_eq!(write(&groups), "## repository-prefixes/2.0\n/com/a\n/org/b\n/org/bb\n");
    assert_eq!(write([]), "## repository-prefixes/2.0\n");
    assert_eq!(Prefixes::of_groups(&groups).unwrap().to_string(), write(&groups));
}

#[test]
fn reads_what_clients_read() {
    assert_eq!(
        read("\n# ours\n/org/example\r\n/com/acme/tools/\n/org/example/inner\n").unwrap(),
        "com/acme/tools org/example"
    );
    assert_eq!(Prefixes::parse(HEADER.as_bytes()), Ok(Prefixes::default()));
    assert!(Prefixes::parse(HEADER.as_bytes()).unwrap().is_empty());
    assert_eq!(Prefixes::parse(b"").unwrap_err(), PrefixesError::Header);
    assert_eq!(Prefixes::parse(b"<html>\n/org\n").unwrap_err(), PrefixesError::Header);
    assert_eq!(Prefixes::parse(b"\xef\xbb\xbf## repository-prefixes/2.0\n").unwrap_err(), PrefixesError::Header);
    assert_eq!(
        Prefixes::parse(b"## repository-prefixes/2.0\n/\xff").unwrap_err(),
        PrefixesError::NotUtf8 { position: 28 }
    );
    assert_eq!(read("/a\n@ unsupported\n"), Err(PrefixesError::Unsupported));
    assert_eq!(read("/a\norg/example\n"), Err(PrefixesError::NoPrefix { line: 3 }));
    for (body, position) in [("/", 0), ("//a", 0), ("/a//b", 2)] {
        let source = PathError::EmptySegment { position };
        assert_eq!(read(body), Err(PrefixesError::Path { line: 2, source }), "{body}");
    }
    assert_eq!(read("/a/../b"), Err(PrefixesError::Path { line: 2, source: PathError::DotSegment { position: 2 } }));
}

#[test]
fn reading_has_limits() {
    assert!(read(&format!("/{}", "a".repeat(249))).is_ok());
    assert_eq!(read(&format!("/{}", "a".repeat(250))), Err(PrefixesError::LongLine { line: 2, limit: 250 }));
    // A character may be several bytes: what a client reads is read, and then cut to what may be printed.
    assert_eq!(read(&format!("/a/{}", "é".repeat(200))).unwrap(), "a");
    assert!(read(&"/a\n".repeat(100_000)).is_ok());
    assert_eq!(read(&"/a\n".repeat(100_001)), Err(PrefixesError::TooManyLines { limit: 100_000 }));
    let huge = vec![b'#'; SIZE_LIMIT + 1];
    assert_eq!(Prefixes::parse(&huge), Err(PrefixesError::TooLarge { actual: huge.len(), limit: SIZE_LIMIT }));
}

#[test]
fn paths_are_cut_and_covered() {
    let paths = ["org/example/tool/1/tool-1.jar", "org/maven-metadata.xml", "org/example/maven-metadata.xml", "x.xml"];
    let paths = paths.map(path);
    let lines = |depth| Prefixes::of_paths(&paths, depth).unwrap().to_string().replace(HEADER, "");
    assert_eq!(lines(2), "\n/org/example\n/org/maven-metadata.xml\n/x.xml\n");
    assert_eq!(lines(1), "\n/org\n/x.xml\n");
    assert_eq!(lines(0), lines(1));
    assert_eq!(lines(9).lines().count(), 5);
    let two = Prefixes::of_paths(&paths, 2).unwrap();
    assert!(two.covers(&path("org/example")) && two.covers(&path("org/example/a/b")) && two.covers(&path("x.xml")));
    assert!(!two.covers(&path("org/examples/a")) && !two.covers(&path("org")) && !two.covers(&path("com/a")));
    assert_eq!(two.cut(1).to_string().replace(HEADER, ""), "\n/org\n/x.xml\n");
}

#[test]
fn more_than_a_client_reads_is_cut_until_it_fits() {
    let many: Vec<RepoPath> = (0..LINE_LIMIT + 1).map(|n| path(&format!("a{}/b{n}/c", n % 7))).collect();
    let fitted = Prefixes::of_paths(&many, 5).unwrap();
    assert_eq!(fitted.iter().len(), 7);
    assert!(many.iter().all(|path| fitted.covers(path)));
    let flat: Vec<RepoPath> = (0..LINE_LIMIT + 1).map(|n| path(&format!("a{n}"))).collect();
    assert_eq!(Prefixes::of_paths(&flat, 5), Err(PrefixesError::TooManyLines { limit: LINE_LIMIT }));
    assert!(Prefixes::of_paths(&[path(&"a".repeat(300))], 5).is_err());
}

proptest! {
    #[test]
    fn the_union_is_exact(
        texts in proptest::collection::vec("[ab](/[a-c]{1,2}){0,4}", 0..12),
        more in proptest::collection::vec("[ab](/[a-c]{1,2}){0,4}", 0..12),
        depth in 0_usize..6,
    ) {
        let paths: Vec<RepoPath> = texts.iter().map(|text| path(text)).collect();
        let others: Vec<RepoPath> = more.iter().map(|text| path(text)).collect();
        let all = Prefixes::of_paths(&paths, depth).unwrap();
        prop_assert!(paths.iter().all(|path| all.covers(path)));
        for prefix in all.iter() {
            let begins = |path: &&RepoPath| path.as_str() == prefix.as_str() || path.as_str().starts_with(&format!("{prefix}/"));
            prop_assert!(paths.iter().any(|path| begins(&path)));
        }
        prop_assert_eq!(Prefixes::parse(all.to_string().as_bytes()), Ok(all.clone()));
        let others = Prefixes::of_paths(&others, depth).unwrap();
        let both = all.clone().union(others.clone()).unwrap();
        for path in texts.iter().chain(&more).map(|text| path(text)) {
            prop_assert_eq!(both.covers(&path), all.covers(&path) || others.covers(&path));
        }
        prop_assert_eq!(both, others.union(all).unwrap());
    }

    #[test]
    fn no_bytes_panic(
        body in prop_oneof!["[ -~/\n\r#@é]{0,60}".prop_map(String::into_bytes), proptest::collection::vec(any::<u8>(), 0..60)],
        head in any::<bool>(),
    ) {
        let bytes = if head { [HEADER.as_bytes(), b"\n", &body].concat() } else { body };
        if let Ok(all) = Prefixes::parse(&bytes) {
            prop_assert_eq!(Prefixes::parse(all.to_string().as_bytes()), Ok(all));
        }
    }
}
