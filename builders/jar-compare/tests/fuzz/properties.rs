//! What holds for every input.

use std::collections::BTreeMap;
use std::io::{Cursor, Read as _};

use jar_compare::{Limits, Outcome, compare, normalised_digest};

use crate::support::{Raw, raw, zip};

fn limits() -> Limits {
    Limits { max_entry_bytes: 1 << 22, max_total_bytes: 1 << 24, ..Limits::default() }
}

/// Comparing a file with another one, both ways round.
fn both_ways(left: &[u8], right: &[u8]) -> Option<Outcome> {
    let (there, back) = (compare(left, right, &limits()), compare(right, left, &limits()));
    let (Ok(there), Ok(back)) = (&there, &back) else {
        assert_eq!(there.is_ok(), back.is_ok(), "refused in one direction only: {there:?} {back:?}");
        return None;
    };
    assert_eq!((there.outcome, &there.normalisers), (back.outcome, &back.normalisers));
    let told = serde_json::to_string(there).expect("it can be written");
    assert!(told.len() < 1 << 20, "{} bytes are said", told.len());
    if let (Ok(l), Ok(r)) = (normalised_digest(left, &limits()), normalised_digest(right, &limits())) {
        assert_eq!(l == r, there.outcome != Outcome::Different, "{there:?}");
        let whole = there.differences.iter().all(|one| one.explanation != "the normalised contents differ");
        assert!(whole, "a difference that nobody explains: {there:?}");
    }
    Some(there.outcome)
}

/// An archive, or something like it.
pub(crate) fn archive(bytes: &[u8]) {
    let plain = zip(&[raw("META-INF/MANIFEST.MF", "A: 1\n"), raw("a/text.txt", "one\ntwo\n")]);
    both_ways(bytes, &plain);
    let is_archive = bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06");
    if !is_archive || normalised_digest(bytes, &limits()).is_err() {
        return;
    }
    let by_directory = by_directory(bytes);
    let by_stream = by_stream(bytes);
    if let Some(by_stream) = by_stream {
        let names = |entries: &[Raw]| -> BTreeMap<Vec<u8>, Vec<u8>> {
            entries.iter().map(|entry| (entry.name.clone(), entry.content.clone())).collect()
        };
        assert_eq!(names(&by_stream), names(&by_directory), "a stream is read in another way than the directory");
    }
    let again = zip(&by_directory);
    let outcome = both_ways(bytes, &again);
    assert!(outcome.is_some_and(|outcome| outcome != Outcome::Different), "another reader finds something else in it");
}

/// The entries, in the order of the data, as the other implementation finds them through the directory.
fn by_directory(bytes: &[u8]) -> Vec<Raw> {
    let mut archive = ::zip::ZipArchive::new(Cursor::new(bytes)).expect("the other implementation reads it");
    let mut entries: Vec<(u64, Raw)> = (0..archive.len())
        .map(|index| {
            let mut file = archive.by_index(index).expect("the other implementation reads it");
            let entry = entry(&mut file);
            (file.header_start(), entry)
        })
        .collect();
    entries.sort_by_key(|(start, _)| *start);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

/// The same without the directory; none if sizes stand only behind the data, which that reader does not do.
fn by_stream(bytes: &[u8]) -> Option<Vec<Raw>> {
    let mut rest = bytes;
    let mut entries = Vec::new();
    loop {
        match ::zip::read::read_zipfile_from_stream(&mut rest) {
            Ok(Some(mut file)) => entries.push(entry(&mut file)),
            Ok(None) => return Some(entries),
            Err(_) => return None,
        }
    }
}

fn entry<R: std::io::Read>(file: &mut ::zip::read::ZipFile<'_, R>) -> Raw {
    let mut content = Vec::new();
    file.read_to_end(&mut content).expect("the other implementation reads it");
    let mut entry = raw("", content);
    entry.name = file.name_raw().to_vec();
    entry.level = (file.compression() != ::zip::CompressionMethod::Stored).then_some(6);
    entry
}

/// Two contents under each name that has a rule, and as files of their own.
pub(crate) fn content(bytes: &[u8]) {
    let others: [&[u8]; 3] = [b"A: 1\n", b"version=1\n", b"\xca\xfe\xba\xbe"];
    for other in others {
        both_ways(bytes, other);
    }
    for name in [
        "META-INF/MANIFEST.MF",
        "META-INF/maven/g/a/pom.properties",
        "META-INF/maven/g/a/pom.xml",
        "git.properties",
        "a.txt",
    ] {
        let one = zip(&[raw(name, bytes)]);
        for other in others {
            assert!(both_ways(&one, &zip(&[raw(name, other)])).is_some());
        }
        // The same with CRLF is the same or not, but never unexplained.
        let crlf = String::from_utf8_lossy(bytes).replace('\n', "\r\n");
        both_ways(&one, &zip(&[raw(name, crlf)]));
    }
}
