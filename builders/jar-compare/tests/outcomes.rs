//! Pairs of files and what the comparison says about them.

mod support;

use std::io::Write as _;

use jar_compare::{CompareError, Comparison, DifferenceKind, Limits, Normaliser, Outcome, compare, normalised_digest};
use support::{BLOCK, Parts, Raw, SIGNATURE_LIST, raw, zip};

fn run(left: &[u8], right: &[u8]) -> Comparison {
    compare(left, right, &Limits::default()).expect("neither file is refused")
}

/// Compares both ways round, and checks what holds for every result.
fn outcome(left: &[u8], right: &[u8]) -> (Outcome, Vec<&'static str>) {
    let there = run(left, right);
    let back = run(right, left);
    assert_eq!(there.outcome, back.outcome);
    assert_eq!(there.normalisers, back.normalisers);
    assert_eq!(there.normalised, back.normalised);
    let limits = Limits::default();
    let (l, r) = (
        normalised_digest(left, &limits).expect("not refused"),
        normalised_digest(right, &limits).expect("not refused"),
    );
    assert_eq!(l == r, there.outcome != Outcome::Different, "the digests and the outcome disagree");
    assert_eq!(there.normalised, (there.outcome == Outcome::Equivalent).then_some(r));
    assert_eq!(there.normalisers.is_empty(), there.outcome != Outcome::Equivalent);
    assert_eq!(there.differences.is_empty(), there.outcome == Outcome::Identical);
    (there.outcome, there.normalisers.iter().map(|normaliser| normaliser.as_str()).collect())
}

fn class_and_text() -> Vec<Raw> {
    vec![
        raw("META-INF/", "").with(|e| e.level = None),
        raw("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\nMain-Class: a.B\n"),
        raw("a/B.class", "not really a class but something that can be deflated, deflated, deflated"),
        raw("a/text.txt", "one\ntwo\n"),
    ]
}

fn manifest(text: &str) -> Vec<u8> {
    zip(&[raw("META-INF/MANIFEST.MF", text)])
}

const POM_PROPERTIES: &str = "META-INF/maven/g/a/pom.properties";

#[test]
fn every_normaliser_alone() {
    let base = class_and_text();
    let change = |f: fn(&mut Raw)| zip(&base.iter().cloned().map(|e| e.with(f)).collect::<Vec<_>>());
    let mut comment = Parts::of(&base);
    comment.comment = b"hello".to_vec();
    let mut zip64 = Parts::of(&base);
    zip64.zip64 = true;
    let mut signed = base.clone();
    signed.push(raw("META-INF/KEY.SF", SIGNATURE_LIST));
    signed.push(raw("META-INF/KEY.RSA", BLOCK));
    let mut other_order = base.clone();
    other_order.swap(2, 3);
    // The directory in the old order, the data in another one.
    let mut data_order = Parts::of(&other_order);
    data_order.directory = {
        let ordered = Parts::of(&other_order).directory;
        let cut = |name: &str| 46 + name.len();
        let (a, b) = (cut("META-INF/") + cut("META-INF/MANIFEST.MF"), cut("a/text.txt"));
        [&ordered[..a], &ordered[a + b..], &ordered[a..a + b]].concat()
    };
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("zip-entry-order", zip(&other_order)),
        ("zip-entry-order", data_order.join()),
        ("zip-times", change(|e| e.time += 1)),
        ("zip-times", change(|e| e.local_extra = vec![0x55, 0x54, 1, 0, 0])),
        ("zip-modes", change(|e| e.external = 0o100664 << 16)),
        ("zip-modes", change(|e| e.made_by = 0x0014)),
        ("zip-compression", change(|e| e.level = None)),
        ("zip-compression", change(|e| e.level = e.level.map(|_| 0))),
        ("zip-headers", change(|e| e.descriptor = true)),
        ("zip-headers", change(|e| e.flags = 0x0800)),
        ("zip-headers", change(|e| e.needed = 10)),
        ("zip-headers", zip64.join()),
        ("zip-extra-fields", change(|e| e.extra = vec![0xfe, 0xca, 0, 0])),
        ("zip-extra-fields", change(|e| e.local_extra = vec![0])),
        ("zip-comments", change(|e| e.comment = b"x".to_vec())),
        ("zip-comments", comment.join()),
        ("jar-signatures", zip(&signed)),
    ];
    let base = zip(&base);
    for (expected, other) in table {
        assert_eq!(outcome(&base, &other), (Outcome::Equivalent, vec![expected]));
    }
}

#[test]
fn content_normalisers_alone() {
    let names = ["META-INF/MANIFEST.MF", POM_PROPERTIES, "META-INF/maven/g/a/pom.xml", "x/git.properties"];
    let [mf, pp, xml, git] = names;
    let table: Vec<(&str, &str, &str, &[&str])> = vec![
        (mf, "A: 1\nBuilt-By: me\n", "A: 1\nBuilt-By: you\n", &["manifest-build-attributes"]),
        (mf, "A: 1\n", "A: 1\nBuild-Jdk-Spec: 17\n", &["manifest-build-attributes"]),
        (mf, "A: 1\nB: 2\n", "B: 2\nA: 1\n", &["manifest-attribute-order"]),
        (
            mf,
            "A: 1\n\nName: x\nB: 1\n\nName: y\nB: 2\n",
            "A: 1\n\nName: y\nB: 2\n\nName: x\nB: 1\n",
            &["manifest-attribute-order"],
        ),
        (mf, "A: 1\n", "A: 1\r\n\r\n", &["manifest-format"]),
        (mf, "A: 12\n", "A: 1\n 2\n", &["manifest-format"]),
        (mf, "Import-Package: a,b\n", "Import-Package: b,a\n", &["manifest-value-order"]),
        (
            mf,
            "Created-By: 1\nA: 1\nB: 2\n",
            "B: 2\nA: 1\nCreated-By: 2\n",
            &["manifest-attribute-order", "manifest-build-attributes"],
        ),
        (pp, "#now\nversion=1\n", "#later\nversion=1\n", &["pom-properties-comment"]),
        (pp, "a=1\nversion=1\n", "version=1\na=1\n", &["pom-properties-order"]),
        (pp, "version=1\r\n", "version=1\n", &["pom-properties-format"]),
        (xml, "<project>\r\n</project>\r\n", "<project>\n</project>\n", &["xml-line-endings"]),
        (git, "#a\ngit.build.time=1\nk=v\n", "git.build.time=2\nk=v\n", &["git-properties-build"]),
    ];
    for (name, left, right, expected) in table {
        let (left, right) =
            (zip(&[raw(name, left).with(|e| e.level = None)]), zip(&[raw(name, right).with(|e| e.level = None)]));
        assert_eq!(outcome(&left, &right), (Outcome::Equivalent, expected.to_vec()), "{name}");
    }
}

#[test]
fn real_differences_and_how_they_are_told() {
    let git = "git.properties";
    let table: Vec<(&str, &str, &str, DifferenceKind, &str)> = vec![
        ("META-INF/MANIFEST.MF", "A: 1\n", "A: 2\n", DifferenceKind::Manifest, "attribute A: '1' vs '2'"),
        (
            "META-INF/MANIFEST.MF",
            "A: 1\nB: 2\n",
            "A: 1\n",
            DifferenceKind::Manifest,
            "attribute B is in the rebuilt file only",
        ),
        (
            "META-INF/MANIFEST.MF",
            "A: 1\n",
            "A: 1\n\nName: x\nS: 2\n",
            DifferenceKind::Manifest,
            "section x: attribute S is in the reference only",
        ),
        (
            "META-INF/MANIFEST.MF",
            "A: 1\n",
            "A: 1\n\nName: x\n",
            DifferenceKind::Manifest,
            "section x: in one file only",
        ),
        (
            "META-INF/MANIFEST.MF",
            "A: 1\n\nName: x\nSHA-256-Digest: a\n",
            "A: 1\n\nName: x\nSHA-256-Digest: b\n",
            DifferenceKind::Manifest,
            "section x: attribute SHA-256-Digest: 'a' vs 'b'",
        ),
        (POM_PROPERTIES, "version=1\n", "version=2\n", DifferenceKind::Properties, "key version: '1' vs '2'"),
        ("a.properties", "k=1\n", "k=2\n", DifferenceKind::Properties, "key k: '1' vs '2'"),
        ("a.properties", "#1\nk=1\n", "#2\nk=1\n", DifferenceKind::Text, "line 1: '#1' vs '#2'"),
        (git, "git.commit.id=1\n", "git.commit.id=2\n", DifferenceKind::Properties, "key git.commit.id: '1' vs '2'"),
        ("a.txt", "a\nb\n", "a\nc\n", DifferenceKind::Text, "line 2: 'b' vs 'c'"),
        ("a.txt", "a\r\n", "a\n", DifferenceKind::Text, "only line ends differ: CRLF vs LF"),
        ("a.bin", "a\0", "b\0", DifferenceKind::Binary, "2 bytes each, the first difference is at byte 0"),
        ("META-INF/maven/g/a/pom.xml", "<a/>", "<b/>", DifferenceKind::Text, "line 1: '<a/>' vs '<b/>'"),
    ];
    for (name, left, right, kind, text) in table {
        let (left, right) = (zip(&[raw(name, left)]), zip(&[raw(name, right)]));
        assert_eq!(outcome(&left, &right).0, Outcome::Different, "{name}: {text}");
        let found = run(&left, &right);
        let first = &found.differences[0];
        assert_eq!((first.path.as_str(), first.kind, first.explanation.as_str()), (name, kind, text));
        assert_eq!(first.normaliser, None);
    }
}

#[test]
fn missing_entries() {
    let (both, one) = (zip(&[raw("a", "1"), raw("b", "2")]), zip(&[raw("a", "1")]));
    assert_eq!(outcome(&both, &one).0, Outcome::Different);
    let first = |l: &[u8], r: &[u8]| run(l, r).differences[0].kind;
    assert_eq!(first(&both, &one), DifferenceKind::OnlyInRebuilt);
    assert_eq!(first(&one, &both), DifferenceKind::OnlyInReference);
    // Nothing but a folder entry is a difference too: class loaders see it.
    let folder = zip(&[raw("x/", "").with(|e| e.level = None), raw("a", "1")]);
    assert_eq!(outcome(&folder, &one).0, Outcome::Different);
}

#[test]
fn signatures() {
    let digests = "A: 1\n\nName: x\nSHA-256-Digest: abc\n\nName: y\nK: 1\nSHA-256-Digest: d\n";
    let plain = "A: 1\n\nName: y\nK: 1\n";
    let signed = |number: &str, manifest: &str| {
        zip(&[
            raw("META-INF/MANIFEST.MF", manifest),
            raw("META-INF/K.SF", [b"X: ", number.as_bytes(), b"\r\n", SIGNATURE_LIST].concat()),
            raw("META-INF/K.EC", BLOCK),
            raw("x", "x"),
        ])
    };
    let unsigned = |text: &str| zip(&[raw("META-INF/MANIFEST.MF", text), raw("x", "x")]);
    let equivalent = (Outcome::Equivalent, vec!["jar-signatures"]);
    assert_eq!(outcome(&signed("1", digests), &unsigned(plain)), equivalent);
    assert_eq!(outcome(&signed("1", plain), &unsigned(plain)), equivalent);
    assert_eq!(outcome(&signed("1", digests), &signed("2", digests)), equivalent);
    // Without a signature, digests are attributes like any other.
    assert_eq!(outcome(&signed("1", digests), &unsigned(digests)).0, Outcome::Different);
    assert_eq!(outcome(&unsigned(plain), &unsigned(digests)).0, Outcome::Different);
    // A lone .SF file is no signature.
    let lone = zip(&[raw("META-INF/MANIFEST.MF", plain), raw("x", "x"), raw("META-INF/K.SF", SIGNATURE_LIST)]);
    assert_eq!(outcome(&lone, &unsigned(plain)).0, Outcome::Different);
    assert_eq!(outcome(&lone, &signed("1", plain)).0, Outcome::Different);
}

#[test]
fn nested_archives() {
    let inner = |time: u16, text: &str| zip(&[raw("deep.txt", text).with(|e| e.time = time)]);
    let outer = |inner: Vec<u8>| zip(&[raw("lib/a.jar", inner).with(|e| e.level = None)]);
    let (one, other) = (outer(inner(1, "x\n")), outer(inner(2, "x\n")));
    assert_eq!(outcome(&one, &other), (Outcome::Equivalent, vec!["zip-times"]));
    assert_eq!(run(&one, &other).differences[0].path, "lib/a.jar");

    let (one, other) = (outer(inner(1, "x\n")), outer(inner(1, "y\n")));
    assert_eq!(outcome(&one, &other).0, Outcome::Different);
    assert_eq!(run(&one, &other).differences[0].path, "lib/a.jar!/deep.txt");

    // A nested archive that is refused is bytes: equal ones are no obstacle, others a difference that says why.
    let hostile = |text: &str| zip(&[raw("../x", text)]);
    let with = |time: u16, bytes: Vec<u8>| {
        zip(&[raw("t.zip", bytes).with(|e| e.level = None), raw("a", "a").with(|e| e.time = time)])
    };
    let (one, other) = (with(1, hostile("x")), with(2, hostile("x")));
    assert_eq!(outcome(&one, &other), (Outcome::Equivalent, vec!["zip-times"]));
    let (one, other) = (with(1, hostile("x")), with(1, hostile("y")));
    assert_eq!(outcome(&one, &other).0, Outcome::Different);
    let first = &run(&one, &other).differences[0];
    assert_eq!(first.kind, DifferenceKind::Archive);
    assert!(first.explanation.contains("'../x' is not allowed"), "{}", first.explanation);
}

#[test]
fn nesting_ends_at_the_limit() {
    let limits = Limits { max_depth: 2, ..Limits::default() };
    let wrap = |bytes: Vec<u8>| zip(&[raw("n.jar", bytes).with(|e| e.level = None)]);
    let leaf = |time: u16| zip(&[raw("x", "x").with(|e| e.time = time)]);
    let (mut left, mut right) = (leaf(1), leaf(2));
    let mut outcomes = Vec::new();
    for _ in 0..4 {
        outcomes.push(compare(&left, &right, &limits).unwrap().outcome);
        (left, right) = (wrap(left), wrap(right));
    }
    use Outcome::{Different, Equivalent};
    assert_eq!(outcomes, [Equivalent, Equivalent, Equivalent, Different]);
}

#[test]
fn files_that_are_no_archives() {
    let pom = "<?xml version=\"1.0\"?>\n<project>\n</project>\n";
    let crlf = pom.replace('\n', "\r\n");
    assert_eq!(outcome(pom.as_bytes(), pom.as_bytes()).0, Outcome::Identical);
    assert_eq!(outcome(pom.as_bytes(), crlf.as_bytes()), (Outcome::Equivalent, vec!["xml-line-endings"]));
    assert_eq!(outcome(pom.as_bytes(), b"<project/>").0, Outcome::Different);
    assert_eq!(outcome(b"a\r\n", b"a\n").0, Outcome::Different);
    assert_eq!(outcome(b"", b"a").0, Outcome::Different);
    let found = run(pom.as_bytes(), &zip(&[raw("a", "a")]));
    assert_eq!((found.outcome, found.differences[0].kind), (Outcome::Different, DifferenceKind::FileType));
}

#[test]
fn differences_are_bounded_and_counted() {
    let entries = |text: &str| zip(&(0..20).map(|i| raw(&format!("f{i}"), text)).collect::<Vec<_>>());
    let limits = Limits { max_differences: 3, ..Limits::default() };
    let found = compare(&entries("a"), &entries("b"), &limits).unwrap();
    assert_eq!((found.differences.len(), found.omitted), (3, 17));
}

#[test]
fn a_metadata_difference_is_one_sentence() {
    let entries = |mode: u32| zip(&["a", "b", "c"].map(|name| raw(name, name).with(|e| e.external = mode << 16)));
    let found = run(&entries(0o100644), &entries(0o100664));
    let texts: Vec<&str> = found.differences.iter().map(|d| d.explanation.as_str()).collect();
    assert_eq!(texts, ["modes differ in 3 of 3 entries, first entry a: 0644 vs 0664"]);
    assert_eq!(found.differences[0].normaliser, Some(Normaliser::ZipModes));
}

#[test]
fn the_serialised_form_is_stable() {
    let found = run(&manifest("A: 1\nBuilt-By: a\n"), &manifest("A: 1\nBuilt-By: b\n"));
    let json = serde_json::to_value(&found).unwrap();
    assert_eq!(json["outcome"], "equivalent");
    assert_eq!(json["normalisers"], serde_json::json!(["manifest-build-attributes"]));
    assert_eq!(json["differences"][0]["kind"], "manifest");
    assert_eq!(serde_json::from_value::<Comparison>(json).unwrap(), found);
    for normaliser in Normaliser::ALL {
        assert_eq!(normaliser.as_str().parse(), Ok(*normaliser));
        assert_eq!(serde_json::to_value(normaliser).unwrap(), normaliser.as_str());
    }
    assert!(Normaliser::ALL.is_sorted_by_key(|n| n.as_str()), "sorted as values means sorted by name");
}

/// The digest is on the ledger: if this test fails, the rules have changed and the version must rise.
#[test]
fn the_normalised_digest_of_version_2() {
    assert_eq!(jar_compare::COMPARATOR_VERSION, 2);
    let digest = normalised_digest(&zip(&class_and_text()), &Limits::default()).unwrap();
    assert_eq!(digest.to_string(), "f4dcd2bd8c33b20fd5c40b7f8f44c4cd779ae0e6493174874bbce1d99c1fdfe0");
}

/// Archives of a common writer, plain and streamed.
#[test]
fn archives_of_another_writer() {
    let options = zip::write::SimpleFileOptions::default();
    let write = |order: [&str; 3]| {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for name in order {
            writer.start_file(name, options).unwrap();
            writer.write_all(name.repeat(100).as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    let stream = |order: [&str; 3]| {
        let mut writer = zip::ZipWriter::new_stream(Vec::new());
        for name in order {
            writer.start_file(name, options.large_file(true)).unwrap();
            writer.write_all(name.repeat(100).as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    let order = ["a", "b", "ü"];
    assert_eq!(outcome(&write(order), &write(["ü", "b", "a"])), (Outcome::Equivalent, vec!["zip-entry-order"]));
    assert_eq!(outcome(&write(order), &write(order)).0, Outcome::Identical);
    assert_eq!(outcome(&write(order), &stream(order)), (Outcome::Equivalent, vec!["zip-headers"]));
}

#[test]
fn the_refused_side_is_named() {
    let (good, bad) = (zip(&[raw("a", "a")]), zip(&[raw("/a", "a")]));
    let side = |l: &[u8], r: &[u8]| match compare(l, r, &Limits::default()) {
        Err(CompareError::Refused { side, .. }) => side.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(side(&bad, &good), "rebuilt");
    assert_eq!(side(&good, &bad), "reference");
    assert_eq!(run(&bad, &bad).outcome, Outcome::Identical, "equal bytes are identical whatever they are");
}
