//! What holds for all inputs.

mod support;

use jar_compare::{Limits, Outcome, compare, normalised_digest};
use proptest::prelude::*;
use support::{BLOCK, Raw, SIGNATURE_LIST, raw, zip};

fn small() -> Limits {
    Limits { max_entry_bytes: 1 << 20, max_total_bytes: 4 << 20, ..Limits::default() }
}

/// Entries with distinct names, some of them with rules of their own.
fn entries() -> impl Strategy<Value = Vec<Raw>> {
    let names = prop::sample::subsequence(
        vec![
            "META-INF/MANIFEST.MF",
            "META-INF/K.SF",
            "META-INF/K.RSA",
            "META-INF/maven/g/a/pom.properties",
            "META-INF/maven/g/a/pom.xml",
            "git.properties",
            "a.txt",
            "a.class",
            "n.jar",
        ],
        1..6,
    );
    let content = prop_oneof![
        "(Built-By|A|B|Import-Package|X-Digest): [ab,]{0,3}\r?\n(C: [ab]\n)?(\nName: x\nSHA-256-Digest: [ab]\n)?",
        "(#[ab]\n)?(k=[ab]\r?\n)?(git.build.time=[ab]\n)?",
        "[ab\r\n]{0,6}",
        Just("\u{0}".to_owned()),
        Just(String::from_utf8_lossy(SIGNATURE_LIST).into_owned()),
    ];
    (names, prop::collection::vec((content, 0u16..2, prop::option::of(0u32..2)), 9)).prop_map(|(names, contents)| {
        let entry = |(name, (content, time, level)): (&&str, (String, u16, Option<u32>))| {
            raw(name, content).with(|e| {
                if *name == "META-INF/K.RSA" {
                    e.content = BLOCK.to_vec();
                }
                e.time = time;
                e.level = level;
            })
        };
        names.iter().zip(contents).map(entry).collect()
    })
}

/// Archives of which some hold another archive.
fn archive() -> impl Strategy<Value = Vec<u8>> {
    (entries(), prop::option::of(entries())).prop_map(|(mut list, inner)| {
        if let (Some(inner), Some(entry)) = (inner, list.iter_mut().find(|e| e.name == b"n.jar")) {
            entry.content = zip(&inner);
        }
        zip(&list)
    })
}

/// The outcome both ways round is the same, and fits the digests.
fn check_pair(left: &[u8], right: &[u8]) -> Result<Outcome, TestCaseError> {
    let (there, back) = (compare(left, right, &small()), compare(right, left, &small()));
    let (Ok(there), Ok(back)) = (there, back) else {
        return Err(TestCaseError::fail("a well-formed archive is refused"));
    };
    prop_assert_eq!(there.outcome, back.outcome);
    prop_assert_eq!(&there.normalisers, &back.normalisers);
    let (l, r) = (normalised_digest(left, &small()), normalised_digest(right, &small()));
    prop_assert_eq!(l == r, there.outcome != Outcome::Different);
    let whole = there.differences.iter().all(|d| d.explanation != "the normalised contents differ");
    prop_assert!(whole, "an unexplained difference: {:?}", there);
    Ok(there.outcome)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_file_is_identical_to_itself(bytes: Vec<u8>, archive in archive()) {
        prop_assert_eq!(compare(&bytes, &bytes, &small()).map(|c| c.outcome), Ok(Outcome::Identical));
        prop_assert_eq!(compare(&archive, &archive, &small()).map(|c| c.outcome), Ok(Outcome::Identical));
    }

    #[test]
    fn outcome_is_symmetric_and_fits_the_digest(left in archive(), right in archive()) {
        check_pair(&left, &right)?;
    }

    #[test]
    fn a_change_of_one_entry_is_judged_the_same_both_ways(list in entries(), other in entries()) {
        let mut changed = list.clone();
        if let Some(other) = other.iter().find(|e| e.name == changed[0].name) {
            changed[0].content = other.content.clone();
        }
        check_pair(&zip(&list), &zip(&changed))?;
    }

    #[test]
    fn permuted_entries_are_equivalent(list in entries().prop_shuffle(), rotate in 1usize..5) {
        // Whether the manifest comes first is no order like another.
        let list: Vec<Raw> = list.into_iter().filter(|e| e.name != b"META-INF/MANIFEST.MF").collect();
        prop_assume!(!list.is_empty());
        let mut permuted = list.clone();
        permuted.rotate_left(rotate % list.len());
        let (left, right) = (zip(&list), zip(&permuted));
        let found = compare(&left, &right, &small()).map_err(|e| TestCaseError::fail(e.to_string()))?;
        // Signature files do not count, so moving only them leaves the order of the others as it is.
        let names: Vec<_> = found.normalisers.iter().map(|n| n.as_str()).collect();
        if left == right {
            prop_assert_eq!(found.outcome, Outcome::Identical);
        } else {
            prop_assert_eq!(found.outcome, Outcome::Equivalent);
            prop_assert!(names == ["zip-entry-order"] || names == ["zip-headers"], "{:?}", names);
        }
        check_pair(&left, &right)?;
    }

    #[test]
    fn no_bytes_panic(bytes: Vec<u8>, archive in archive()) {
        let _ = compare(&bytes, &archive, &small());
        let _ = compare(&[b"PK\x03\x04", &bytes[..]].concat(), &archive, &small());
    }

    #[test]
    fn no_damaged_archive_panics(archive in archive(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), cut: prop::sample::Index) {
        let mut bytes = archive.clone();
        for (at, with) in changes {
            let at = at.index(bytes.len());
            bytes[at] = with;
        }
        let _ = compare(&bytes, &archive, &small());
        let _ = compare(&archive, &bytes, &small());
        bytes.truncate(cut.index(archive.len()));
        let _ = compare(&bytes, &archive, &small());
    }
}
