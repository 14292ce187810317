use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// Rows of `testdata/version-order.tsv`: what Maven's own class said of generated pairs.
fn table() -> impl Iterator<Item = (&'static str, Ordering, &'static str)> {
    include_str!("../../testdata/version-order.tsv").lines().skip(1).map(|line| {
        let columns: Vec<&str> = line.split('\t').collect();
        let ordering = match columns[1] {
            "<" => Ordering::Less,
            "=" => Ordering::Equal,
            ">" => Ordering::Greater,
            other => panic!("{other:?} in {line:?}"),
        };
        (columns[0], ordering, columns[2])
    })
}

#[test]
fn compares_as_maven_itself() {
    let mut rows = 0;
    for (left, expected, right) in table() {
        assert_eq!(compare(left, right), expected, "{left} and {right}");
        assert_eq!(compare(right, left), expected.reverse(), "{right} and {left}");
        rows += 1;
    }
    assert_eq!(rows, 800);
}

#[test]
fn the_lawful_order_follows_maven() {
    let (mut asked, mut departures) = (0, Vec::new());
    for (left, expected, right) in table() {
        let (Ok(left), Ok(right)) = (left.parse::<Version>(), right.parse::<Version>()) else {
            continue;
        };
        if expected.is_ne() {
            asked += 1;
            if left.cmp(&right) != expected {
                departures.push((left, right));
            }
        }
    }
    assert!(asked > 400, "{asked}");
    // A pair that is ranked otherwise has to lie on a cycle of Maven's, closed by a version without the qualifiers.
    for (left, right) in departures {
        let (low, high) = if left.compare_as_maven(&right).is_lt() { (left, right) } else { (right, left) };
        let cycle = closers(&low)
            .chain(closers(&high))
            .any(|third| compare(high.as_str(), &third).is_le() && compare(&third, low.as_str()).is_le());
        assert!(cycle, "{low} < {high} without a cycle");
    }
}

/// Beginnings of a version up to each separator: candidates to close a cycle with.
fn closers(version: &Version) -> impl Iterator<Item = String> {
    let text = version.as_str().to_owned();
    (1..=text.len()).filter_map(move |end| text.get(..end).map(str::to_owned))
}

#[test]
fn mavens_comparison_has_cycles_and_ours_has_none() {
    assert_eq!(compare("1", "1.a.1"), Ordering::Less);
    assert_eq!(compare("1.a.1", "1-alpha"), Ordering::Less);
    assert_eq!(compare("1-alpha", "1"), Ordering::Less);
    let sorted = sorted(["1", "1.a.1", "1-alpha"].map(|text| text.parse().unwrap()));
    assert_eq!(sorted.iter().map(Version::as_str).collect::<Vec<_>>(), ["1-alpha", "1", "1.a.1"]);
}

#[test]
fn the_documented_order() {
    // The examples of the version order specification, in words of our own: qualifiers, then separators.
    let ascending = [
        "1-alpha-1",
        "1-beta",
        "1-milestone",
        "1-rc",
        "1-snapshot",
        "1",
        "1-sp",
        "1-foo",
        "1-1",
        "1.0.1",
        "1.1",
        "1.10",
        "2",
        "99999999999999999999999",
    ];
    for (at, left) in ascending.iter().enumerate() {
        for right in &ascending[at + 1..] {
            assert_eq!(compare(left, right), Ordering::Less, "{left} {right}");
            let (left, right): (Version, Version) = (left.parse().unwrap(), right.parse().unwrap());
            assert!(left < right, "{left} {right}");
        }
    }
    for same in ["1.0", "1.0.0", "1-0", "1.ga", "1-final", "1.RELEASE", "01", "1-", "1."] {
        assert_eq!(compare("1", same), Ordering::Equal, "{same}");
    }
}

#[test]
fn zeros_keep_their_width() {
    // Maven strips the zeros before a number, but none from a number that is nothing but zeros.
    for (left, right) in [("9.1", "0000000000.1"), ("999999999999.1", "0000000000000000000.1")] {
        assert_eq!(compare(left, right), Ordering::Less, "{left} {right}");
    }
    assert_eq!(compare("0000000000", "0"), Ordering::Equal, "zeros at the end are nothing");
    assert_eq!(compare("1.00000000001", "1.1"), Ordering::Equal);
}

#[test]
fn texts_beyond_ascii_are_ranked_by_utf_16_units() {
    assert_eq!(compare("1.\u{663}", "1.3"), Ordering::Equal, "an Arabic three is a three");
    assert_eq!(compare("1-\u{1f600}", "1-\u{e000}"), Ordering::Less, "a surrogate is below the private use area");
    assert_eq!(compare("1.\u{1d7d9}", "1.1"), Ordering::Less, "digits beyond the basic plane are letters");
}

#[test]
fn same_rank_is_not_same_version() {
    let (short, long): (Version, Version) = ("1".parse().unwrap(), "1.0".parse().unwrap());
    assert_eq!(short.compare_as_maven(&long), Ordering::Equal);
    assert_ne!(short, long);
    assert_ne!(short.cmp(&long), Ordering::Equal);
}

#[test]
fn snapshots() {
    let base = |text: &str| text.parse::<Version>().unwrap().base().to_string();
    assert_eq!(base("1.0-20261122.072715-2"), "1.0-SNAPSHOT");
    assert_eq!(base("1.0-rc-20261122.072715-12"), "1.0-rc-SNAPSHOT");
    for same in
        ["1.0", "1.0-SNAPSHOT", "1.0-20261122", "1.0-20261122.072715-2x", "20261122.072715-2", "-20261122.072715-2"]
    {
        assert_eq!(base(same), same);
    }
    let snapshot = |text: &str| text.parse::<Version>().unwrap().is_snapshot();
    assert!(snapshot("1-SNAPSHOT") && snapshot("1.0-20261122.072715-2"));
    assert!(!snapshot("1.0") && !snapshot("1-snapshots"));
}

#[test]
fn builds_of_a_snapshot() {
    let version = |text: &str| text.parse::<Version>().unwrap();
    let build = |timestamp: &str, build_number| Snapshot { timestamp: timestamp.to_owned(), build_number };
    let second = build("20261122.072715", 2);
    assert_eq!(version("1.1-SNAPSHOT").with_build(&second), Some(version("1.1-20261122.072715-2")));
    assert_eq!(version("1.1-20261122.072715-2").snapshot_build(), Some(second.clone()));
    for none in ["1.1", "SNAPSHOT", "-SNAPSHOT", "1.1-20261122.072715-2"] {
        assert_eq!(version(none).with_build(&second), None, "{none}");
    }
    for timestamp in ["", "2026", "../x", "20261122.072715-3", "1-20261122.072715"] {
        assert_eq!(version("1-SNAPSHOT").with_build(&build(timestamp, 2)), None, "{timestamp}");
    }
    assert_eq!(version("1.1-20261122.072715-02").snapshot_build(), None);
    assert_eq!(version("1.1-20261122.072715-99999999999").snapshot_build(), None);
}

#[test]
fn very_long_texts_do_not_overflow_the_stack() {
    let deep = "1-".repeat(200_000);
    assert_eq!(compare(&deep, "1"), Ordering::Greater);
    assert_eq!(compare(&deep, &deep), Ordering::Equal);
    assert_eq!(compare(&"-".repeat(200_000), ""), Ordering::Equal);
}

fn version_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("0"),
        Just("1"),
        Just("2"),
        Just("10"),
        Just("0000000000"),
        Just("9999999999"),
        Just("0000000000000000000"),
        Just("."),
        Just("-"),
        Just("a"),
        Just("alpha"),
        Just("rc"),
        Just("SNAPSHOT"),
        Just("final"),
        Just("sp"),
        Just("x"),
        Just("+"),
        Just("_"),
    ];
    proptest::collection::vec(piece, 1..8)
        .prop_map(|pieces| pieces.concat())
        .prop_filter("valid", |text| check(text).is_ok())
}

fn version() -> impl Strategy<Value = Version> {
    version_text().prop_map(|text| text.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn the_order_is_lawful(a in version(), b in version(), c in version()) {
        prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
        prop_assert_eq!(a.cmp(&b).is_eq(), a == b);
        if a <= b && b <= c {
            prop_assert!(a <= c, "{} {} {}", a, b, c);
        }
        // Ranking, before the text decides between equals, is a preorder too.
        let [a, b, c] = [&a, &b, &c].map(|version| Comparable::parse(version.as_str()));
        if a.cmp_lawfully(&b).is_eq() {
            prop_assert_eq!(a.cmp_lawfully(&c), b.cmp_lawfully(&c));
        }
    }

    #[test]
    fn sorting_keeps_every_version(versions in proptest::collection::vec(version(), 0..60)) {
        let set: BTreeSet<Version> = versions.iter().cloned().collect();
        let texts: BTreeSet<String> = versions.iter().map(Version::to_string).collect();
        let sorted = sorted(versions);
        prop_assert_eq!(set.len(), texts.len());
        prop_assert!(sorted.iter().eq(set.iter()));
    }

    #[test]
    fn comparing_is_antisymmetric_on_any_text(a in "\\PC{0,20}", b in "\\PC{0,20}") {
        prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        prop_assert_eq!(compare(&a, &a), Ordering::Equal);
    }

    #[test]
    fn printing_is_the_inverse_of_parsing(version in version()) {
        prop_assert_eq!(&version.to_string().parse::<Version>().unwrap(), &version);
        let json = serde_json::to_string(&version).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Version>(&json).unwrap(), &version);
        let bytes = borsh::to_vec(&version).unwrap();
        prop_assert_eq!(&borsh::from_slice::<Version>(&bytes).unwrap(), &version);
    }
}
