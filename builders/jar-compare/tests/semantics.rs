//! Changes that somebody would notice, each tried against the normalisers: none may hide it.

mod support;

use jar_compare::{Limits, Outcome, compare, normalised_digest};
use support::{BLOCK, Raw, SIGNATURE_LIST, raw, zip};

#[track_caller]
fn different(what: &str, left: &[u8], right: &[u8]) {
    let limits = Limits::default();
    let digest = |bytes: &[u8]| normalised_digest(bytes, &limits);
    for (a, b) in [(left, right), (right, left)] {
        match compare(a, b, &limits) {
            Ok(found) => assert_eq!(found.outcome, Outcome::Different, "{what} is hidden by {:?}", found.normalisers),
            // Whoever is refused is not equivalent to anything.
            Err(refused) => assert!(digest(a).is_err() || digest(b).is_err(), "{what}: {refused}"),
        }
    }
    assert!(digest(left).is_err() || digest(left) != digest(right), "{what}: the digests are the same");
}

fn with(name: &str, content: &str) -> Vec<u8> {
    zip(&[raw("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n"), raw(name, content)])
}

fn manifest(text: &str) -> Vec<u8> {
    zip(&[raw("META-INF/MANIFEST.MF", text), raw("a/B.class", "x")])
}

#[test]
fn attributes_of_the_manifest() {
    let attributes = [
        "Add-Exports",
        "Add-Opens",
        "Agent-Class",
        "Automatic-Module-Name",
        "Boot-Class-Path",
        "Bundle-Activator",
        "Bundle-ClassPath",
        "Bundle-SymbolicName",
        "Bundle-Version",
        "Can-Redefine-Classes",
        "Class-Path",
        "Enable-Native-Access",
        "Implementation-Version",
        "Launcher-Agent-Class",
        "Main-Class",
        "Multi-Release",
        "Permissions",
        "Premain-Class",
        "Sealed",
        "Specification-Version",
        "Start-Class",
    ];
    for name in attributes {
        let base = "Manifest-Version: 1.0\n";
        different(name, &manifest(&format!("{base}{name}: a\n")), &manifest(&format!("{base}{name}: b\n")));
        different(name, &manifest(&format!("{base}{name}: a\n")), &manifest(base));
        // The attributes that may differ in the main section may not in others.
        let section = |name: &str, value: &str| manifest(&format!("{base}\nName: a/\n{name}: {value}\n"));
        different(name, &section(name, "a"), &section(name, "b"));
    }
    for name in jar_compare::BUILD_METADATA_ATTRIBUTES {
        let section = |value: &str| manifest(&format!("A: 1\n\nName: a/\n{name}: {value}\n"));
        different(name, &section("a"), &section("b"));
    }
    different(
        "order of the class path",
        &manifest("Class-Path: a.jar b.jar\n"),
        &manifest("Class-Path: b.jar a.jar\n"),
    );
    different(
        "a package moved to another clause",
        &manifest("Import-Package: a;v=1,b\n"),
        &manifest("Import-Package: a,b;v=1\n"),
    );
    different(
        "what is inside quotes",
        &manifest("Import-Package: a;v=\"1,2\"\n"),
        &manifest("Import-Package: a;v=\"2,1\"\n"),
    );
}

#[test]
fn manifests_that_jvms_read_in_another_way() {
    // A JVM looks for the bytes `Multi-Release: true`.
    different(
        "a wrapped Multi-Release",
        &manifest("A: 1\nMulti-Release: true\n"),
        &manifest("A: 1\nMulti-Release: tr\n ue\n"),
    );
    different("a wrapped name", &manifest("A: 1\nMain-Class: a.B\n"), &manifest("A: 1\nMain-Cl\n ass: a.B\n"));
    different("a wrapped colon", &manifest("A: 1\nMain-Class: a.B\n"), &manifest("A: 1\nMain-Class:\n  a.B\n"));
    // Up to Java 8 that is one line.
    different("a carriage return", &manifest("A: 1\nMain-Class: a.B\n"), &manifest("A: 1\rMain-Class: a.B\n"));
    different("a last line without an end", &manifest("A: 1\nMain-Class: a.B\n"), &manifest("A: 1\nMain-Class: a.B"));
    different(
        "a blank line before the first attribute",
        &manifest("Main-Class: a.B\n"),
        &manifest("\nMain-Class: a.B\n"),
    );
    different("no space behind the colon", &manifest("A: 1\nB: \n"), &manifest("A: 1\nB:\n"));
    different(
        "an attribute twice",
        &manifest("Main-Class: a\nMain-Class: b\n"),
        &manifest("Main-Class: b\nMain-Class: a\n"),
    );
    different(
        "a section twice",
        &manifest("A: 1\n\nName: x\nB: 1\n\nName: x\nB: 2\n"),
        &manifest("A: 1\n\nName: x\nB: 2\n\nName: x\nB: 1\n"),
    );
    let entries = |names: [&str; 2]| zip(&[raw(names[0], "Main-Class: a\n"), raw(names[1], "Main-Class: b\n")]);
    let names = ["META-INF/MANIFEST.MF", "META-INF/manifest.mf"];
    different("two manifests", &entries(names), &entries([names[1], names[0]]));
}

#[test]
fn contents() {
    for (what, name, left, right) in [
        ("a class", "a/B.class", "one", "two"),
        ("a service", "META-INF/services/x.Y", "a.B\n", "a.C\n"),
        ("a service's comment", "META-INF/services/x.Y", "a.B\n", "#a.B\n"),
        ("line ends of a resource", "a.txt", "a\n", "a\r\n"),
        ("line ends of other XML", "a.xml", "<?xml?>\n", "<?xml?>\r\n"),
        ("properties that a program reads", "a.properties", "#1\na=1\n", "#2\na=1\n"),
        ("order of properties", "a.properties", "a=1\nb=2\n", "b=2\na=1\n"),
        ("pom.properties in another place", "a/pom.properties", "#1\na=1\n", "#2\na=1\n"),
        ("a value of pom.properties", "META-INF/maven/g/a/pom.properties", "version=1\n", "version=1 \n"),
        ("a key twice", "META-INF/maven/g/a/pom.properties", "a=1\na=2\n", "a=2\na=1\n"),
        ("an escaped key", "META-INF/maven/g/a/pom.properties", "a\\=b=1\n", "a=b=1\n"),
        ("a continued line", "META-INF/maven/g/a/pom.properties", "a=1\\\nb=2\n", "a=1\\\n\nb=2\n"),
        ("a dependency", "META-INF/maven/g/a/pom.xml", "<a> </a>", "<a></a>"),
        ("a lone carriage return", "META-INF/maven/g/a/pom.xml", "<a>\r\r\n</a>", "<a>\r\n</a>"),
        ("the commit", "git.properties", "git.commit.id=1\n", "git.commit.id=2\n"),
        ("a dirty tree", "git.properties", "git.dirty=true\n", "git.dirty=false\n"),
        ("an index", "META-INF/INDEX.LIST", "a\nb\n", "b\na\n"),
        ("dependencies", "META-INF/DEPENDENCIES", "a\nb\n", "b\na\n"),
        ("a notice", "META-INF/NOTICE", "2024\n", "2025\n"),
        ("what is called a signature", "META-INF/K.SF", "payload", "other"),
        ("a module", "module-info.class", "a", "b"),
    ] {
        different(what, &with(name, left), &with(name, right));
        different(what, &with(name, left), &zip(&[raw("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\n")]));
    }
}

#[test]
fn signatures_that_are_none() {
    let jar = |list: &[u8], block: &[u8]| {
        zip(&[raw("META-INF/MANIFEST.MF", "A: 1\n"), raw("META-INF/K.SF", list), raw("META-INF/K.RSA", block)])
    };
    let unsigned = zip(&[raw("META-INF/MANIFEST.MF", "A: 1\n")]);
    for (what, list, block) in [
        ("a payload for a list", &b"payload"[..], BLOCK),
        ("a payload for a block", SIGNATURE_LIST, &b"payload"[..]),
        ("a payload behind a block", SIGNATURE_LIST, &[BLOCK, b"payload"].concat()[..]),
        ("an empty block", SIGNATURE_LIST, b""),
        ("another content type", SIGNATURE_LIST, b"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01"),
    ] {
        different(what, &jar(list, block), &unsigned);
        different(what, &jar(list, block), &jar(SIGNATURE_LIST, BLOCK));
    }
    let digests = |name: &str, value: &str| {
        let text = format!("A: 1\n\nName: x\n{name}: {value}\n");
        zip(&[raw("META-INF/MANIFEST.MF", text), raw("META-INF/K.SF", SIGNATURE_LIST), raw("META-INF/K.RSA", BLOCK)])
    };
    different("an attribute that is called like a digest", &digests("X-Digest", "a"), &digests("X-Digest", "b"));
    // Signatures count in META-INF itself only.
    let deep = |list: &[u8]| zip(&[raw("META-INF/x/K.SF", list), raw("META-INF/x/K.RSA", BLOCK)]);
    different("files deeper down", &deep(SIGNATURE_LIST), &deep(b"Signature-Version: 2.0\n"));
}

#[test]
fn what_only_some_readers_see() {
    let base = || vec![raw("META-INF/MANIFEST.MF", "A: 1\n"), raw("a", "x"), raw("b", "x")];
    let changed = |change: fn(&mut Vec<Raw>)| {
        let mut entries = base();
        change(&mut entries);
        zip(&entries)
    };
    let plain = zip(&base());
    different("a manifest that streams do not see", &plain, &changed(|entries| entries.rotate_left(1)));
    different("a link", &plain, &changed(|entries| entries[1].external = 0o120_777 << 16));
    different("a device", &plain, &changed(|entries| entries[1].external = 0o060_644 << 16));
    different("a folder without a slash", &plain, &changed(|entries| entries[1].external = 0o040_755 << 16));
    different(
        "a name in an extra field",
        &plain,
        &changed(|entries| {
            entries[1].extra = [&[0x75, 0x70, 6, 0, 1, 0, 0, 0, 0][..], b"b"].concat();
        }),
    );
    different(
        "an entry between others",
        &plain,
        &changed(|entries| {
            entries[1].after = support::Parts::of(&[raw("evil", "x")]).data;
        }),
    );
    different("a folder more", &plain, &changed(|entries| entries.push(raw("d/", "").with(|e| e.level = None))));
    different("an entry moved", &plain, &changed(|entries| entries[1].name = b"c".to_vec()));
    different(
        "contents swapped",
        &changed(|entries| entries[1].content = b"y".to_vec()),
        &changed(|entries| {
            entries[2].content = b"y".to_vec();
        }),
    );
    different("letter case", &plain, &changed(|entries| entries[1].name = b"A".to_vec()));
    let nested = |level| zip(&[raw("lib/n.jar", zip(&base())).with(|entry| entry.level = level)]);
    different("a nested archive that cannot be read in place", &nested(None), &nested(Some(6)));
    // It is not opened here, but may be elsewhere.
    let opaque = |level| zip(&[raw("lib/n.jar", "PK\x03\x04 is no archive").with(|entry| entry.level = level)]);
    different("something like a nested archive that cannot be read in place", &opaque(None), &opaque(Some(6)));
    let inner = |content: &str| zip(&[raw("lib/n.war", zip(&[raw("lib/m.jar", zip(&[raw("a/B.class", content)]))]))]);
    different("a class two archives deep", &inner("one"), &inner("two"));
}

/// Everything else about those archives may change.
#[test]
fn what_nobody_sees_is_still_normalised() {
    let entries = |time: u16, umask: u32, manifest: &str| {
        let mut entries = vec![
            raw("META-INF/MANIFEST.MF", manifest),
            raw("a", "x"),
            raw("b", "x"),
            raw("lib/n.jar", zip(&[raw("c", "x").with(|entry| entry.time = time)])).with(|entry| entry.level = None),
        ];
        entries.iter_mut().for_each(|entry| {
            entry.time = time;
            entry.external = (0o100_666 & !umask) << 16;
        });
        entries
    };
    let left = zip(&entries(1, 0o022, "Manifest-Version: 1.0\nBuilt-By: a\nMulti-Release: true\n"));
    let mut other = entries(2, 0o002, "Manifest-Version: 1.0\r\nMulti-Release: true\r\nCreated-By: b\r\n\r\n");
    other[1..].reverse();
    let found = compare(&left, &zip(&other), &Limits::default()).expect("neither is refused");
    assert_eq!(found.outcome, Outcome::Equivalent, "{found:#?}");
}
