//! Archives that two readers could understand in two ways, or that cost more than they should.

mod support;

use jar_compare::{ArchiveError, CompareError, Directory, Limits, compare, normalised_digest};
use support::{Parts, Raw, raw, zip};

fn refusal(bytes: &[u8]) -> ArchiveError {
    refusal_within(bytes, &Limits::default())
}

fn refusal_within(bytes: &[u8], limits: &Limits) -> ArchiveError {
    let good = zip(&[raw("a", "a")]);
    let Err(CompareError::Refused { reason, .. }) = compare(bytes, &good, limits) else { panic!("accepted") };
    assert_eq!(normalised_digest(bytes, limits), Err(reason.clone()));
    reason
}

macro_rules! refused {
    ($bytes:expr, $pattern:pat) => {
        let reason = refusal(&$bytes);
        assert!(matches!(reason, $pattern), "{reason:?}");
        assert!(!reason.to_string().is_empty());
    };
}

fn one(change: impl FnOnce(&mut Raw)) -> Vec<u8> {
    zip(&[raw("file", "some content that is not very long").with(change)])
}

#[test]
fn the_unchanged_archive_is_accepted() {
    assert!(normalised_digest(&one(|_| {}), &Limits::default()).is_ok());
    assert!(normalised_digest(&zip(&[]), &Limits::default()).is_ok());
}

#[test]
fn names() {
    for name in ["/etc/passwd", "../x", "a/../../x", "a\\b", "a\0.txt", "", "a//b", "./a", "C:/x", "a\nb", "a\u{1b}[0m"]
    {
        refused!(zip(&[raw(name, "x")]), ArchiveError::BadName { .. });
    }
    refused!(zip(&[raw("x", "x").with(|e| e.name = vec![0xff])]), ArchiveError::BadName { .. });
    refused!(zip(&[raw("a", "1"), raw("a", "2")]), ArchiveError::DuplicateName { .. });
    refused!(zip(&[raw("a", "1"), raw("a/", "").with(|e| e.level = None)]), ArchiveError::DuplicateName { .. });
    let unicode_path = [&[0x75, 0x70, 10, 0, 1, 0, 0, 0, 0][..], b"other"].concat();
    refused!(one(|e| e.extra = unicode_path.clone()), ArchiveError::Mismatch { .. });
    refused!(one(|e| e.local_extra = unicode_path.clone()), ArchiveError::Mismatch { .. });
}

#[test]
fn headers_that_disagree() {
    refused!(one(|e| e.local_name = Some(b"elif".to_vec())), ArchiveError::Mismatch { what: "name", .. });
    refused!(one(|e| e.local_crc = Some(1)), ArchiveError::Mismatch { what: "CRC-32", .. });
    refused!(one(|e| e.local_size = Some(1)), ArchiveError::Mismatch { what: "size", .. });
    refused!(one(|e| e.local_method = Some(0)), ArchiveError::Mismatch { what: "compression method", .. });
    refused!(one(|e| e.local_flags = Some(8)), ArchiveError::Mismatch { what: "flags", .. });
    refused!(one(|e| e.local_flags = Some(1)), ArchiveError::Mismatch { what: "flags", .. });
    let other = [0x01, 0, 4, 0, 0, 0, 0, 0];
    refused!(
        one(|e| {
            e.size = Some(u32::MAX);
            e.extra = other.to_vec();
        }),
        ArchiveError::Mismatch { what: "Zip64 extra field", .. }
    );
    refused!(
        one(|e| {
            e.level = None;
            e.size = Some(3);
        }),
        ArchiveError::Mismatch { what: "size of stored content", .. }
    );
}

#[test]
fn content_that_does_not_fit() {
    refused!(one(|e| e.crc = Some(7)), ArchiveError::Content { what: "CRC-32", .. });
    refused!(one(|e| e.size = Some(10)), ArchiveError::Content { what: "size", .. });
    refused!(one(|e| e.size = Some(1000)), ArchiveError::Content { what: "size", .. });
    // Stored bytes that are called deflated.
    refused!(
        one(|e| {
            e.level = None;
            e.method = Some(8);
        }),
        ArchiveError::Stream { .. } | ArchiveError::Content { .. }
    );
    // A deflate stream that ends before its declared length.
    let mut short = raw("file", "abc");
    short.level = None;
    short.method = Some(8);
    short.content = vec![0x03, 0x00, 0x41, 0x41];
    short.size = Some(0);
    refused!(zip(&[short]), ArchiveError::Stream { .. });
    refused!(zip(&[raw("x/", "content").with(|e| e.level = None)]), ArchiveError::FolderContent { .. });
}

#[test]
fn bytes_that_belong_to_nothing() {
    let good = one(|_| {});
    refused!([&good[..], b"tail"].concat(), ArchiveError::NoEnd);
    refused!([b"#!/bin/sh\n", &good[..]].concat(), ArchiveError::Prefix { bytes: 10 });
    refused!(one(|e| e.after = b"hidden".to_vec()), ArchiveError::HiddenBytes { bytes: 6, .. });
    // A prefix that the offsets know about.
    let mut parts = Parts::of(&[raw("file", "x").with(|e| e.offset = Some(4))]);
    parts.data.splice(0..0, *b"PK\x03\x04");
    refused!(parts.join(), ArchiveError::Prefix { bytes: 4 });
    let mut parts = Parts::of(&[]);
    parts.data = b"PK\x03\x04 only bytes".to_vec();
    refused!(parts.join(), ArchiveError::Prefix { .. });
    let mut parts = Parts::of(&[raw("file", "x")]);
    parts.directory.extend(b"more");
    refused!(parts.join(), ArchiveError::Mismatch { .. });
    // Two archives in one: the second hides in the comment of the first.
    let mut parts = Parts::of(&[raw("file", "x")]);
    parts.comment = good.clone();
    refused!(parts.join(), ArchiveError::Prefix { .. });
}

#[test]
fn overlapping_entries() {
    let two = |change: fn(&mut Raw)| zip(&[raw("a", "x"), raw("b", "x").with(change)]);
    refused!(two(|e| e.offset = Some(0)), ArchiveError::Overlap { .. });
    refused!(two(|e| e.offset = Some(5)), ArchiveError::Overlap { .. } | ArchiveError::Malformed { .. });
    refused!(two(|e| e.offset = Some(1 << 30)), ArchiveError::Overlap { .. } | ArchiveError::HiddenBytes { .. });
    refused!(one(|e| e.compressed = Some(1000)), ArchiveError::Overlap { .. });
}

#[test]
fn unsupported_features() {
    for flags in [1, 1 << 6, 1 << 13] {
        refused!(one(|e| e.flags = flags), ArchiveError::Encrypted { .. });
    }
    for flags in [1 << 4, 1 << 5, 1 << 7, 1 << 12, 1 << 15] {
        refused!(one(|e| e.flags = flags), ArchiveError::Unsupported { .. });
    }
    for method in [1, 9, 12, 14, 93, 99] {
        refused!(one(|e| e.method = Some(method)), ArchiveError::Unsupported { .. });
    }
    refused!(one(|e| e.disk = 1), ArchiveError::MultiDisk);
}

/// One more than a header of two bytes can count: there have to be Zip64 records, and they have to be right.
#[test]
fn more_than_65535_entries() {
    let entries: Vec<Raw> = (0..65_536).map(|i| raw(&format!("{i:x}"), "").with(|e| e.level = None)).collect();
    let mut zip64 = Parts::of(&entries);
    zip64.zip64 = true;
    zip64.entries = entries.len() as u64;
    let good = zip64.join();
    assert!(normalised_digest(&good, &Limits::default()).is_ok());
    // The count of the end record alone wraps around to 0.
    let mut wrapped = Parts::of(&entries);
    wrapped.count = 0;
    refused!(wrapped.join(), ArchiveError::Mismatch { .. });
    let few = Limits { max_entries: 65_535, ..Limits::default() };
    assert_eq!(refusal_within(&good, &few), ArchiveError::TooManyEntries { entries: 65_536, limit: 65_535 });
}

#[test]
fn special_files_and_manifests() {
    for mode in [0o120_777, 0o060_644, 0o020_644, 0o010_644, 0o140_644, 0o040_755] {
        refused!(one(|e| e.external = mode << 16), ArchiveError::SpecialFile { .. });
    }
    refused!(one(|e| e.extra = vec![0]), ArchiveError::Malformed { what: "extra field", .. });
    refused!(one(|e| e.local_extra = vec![0, 0, 9, 0]), ArchiveError::Malformed { what: "extra field", .. });
    let link = vec![0x6e, 0x75, 6, 0, 0, 0, 0, 0, 0xff, 0xa1];
    refused!(one(|e| e.extra = link.clone()), ArchiveError::SpecialFile { .. });
    refused!(one(|e| e.local_extra = link.clone()), ArchiveError::SpecialFile { .. });
    let stored = |e: &mut Raw| {
        e.level = None;
        e.descriptor = true;
    };
    refused!(one(stored), ArchiveError::EndlessStored { .. });
    let two = [raw("META-INF/MANIFEST.MF", "A: 1\n"), raw("meta-inf/Manifest.MF", "A: 2\n")];
    refused!(zip(&two), ArchiveError::DuplicateName { .. });
}

#[test]
fn counts() {
    let mut parts = Parts::of(&[raw("a", "a"), raw("b", "b")]);
    parts.count = 1;
    refused!(parts.join(), ArchiveError::Mismatch { .. });
    let mut parts = Parts::of(&[raw("a", "a")]);
    parts.count = 2;
    refused!(parts.join(), ArchiveError::Malformed { .. });
    // The end record says another number than the Zip64 one.
    let mut parts = Parts::of(&[raw("a", "a")]);
    parts.zip64 = true;
    let mut bytes = parts.join();
    let end = bytes.len() - 22;
    bytes[end + 8] = 9;
    bytes[end + 9] = 0;
    refused!(bytes, ArchiveError::Mismatch { what: "entry count", .. });
    let limits = Limits { max_entries: 1, ..Limits::default() };
    let two = zip(&[raw("a", "a"), raw("b", "b")]);
    assert_eq!(refusal_within(&two, &limits), ArchiveError::TooManyEntries { entries: 2, limit: 1 });
}

#[test]
fn sizes() {
    let zeros = vec![0u8; 1 << 21];
    let bomb = zip(&[raw("zeros", &zeros)]);
    refused!(bomb, ArchiveError::Ratio { .. });
    let small = Limits { max_entry_bytes: 10, ..Limits::default() };
    let reason = refusal_within(&zip(&[raw("x", "0123456789a")]), &small);
    assert!(matches!(reason, ArchiveError::EntryTooLarge { bytes: 11, .. }), "{reason:?}");
    let total = Limits { max_total_bytes: 15, ..Limits::default() };
    let two = zip(&[raw("a", "0123456789"), raw("b", "0123456789")]);
    assert_eq!(refusal_within(&two, &total), ArchiveError::TotalTooLarge { limit: 15 });
    // Nested archives share the budget.
    let nested = |time: u16| {
        let inner = zip(&[raw("deep", "0123456789".repeat(20)).with(|e| e.time = time)]);
        zip(&[raw("n.jar", inner).with(|e| e.level = None)])
    };
    let total = Limits { max_total_bytes: 300, ..Limits::default() };
    let reason = normalised_digest(&nested(1), &total);
    assert_eq!(reason, Err(ArchiveError::TotalTooLarge { limit: 300 }));
    assert!(compare(&nested(1), &nested(2), &total).is_err());
}

#[test]
fn a_declared_size_allocates_nothing() {
    // 200 MiB declared, stored as four bytes: refused by what the data is, not by running out of memory.
    let limits = Limits { max_ratio: u64::MAX, ..Limits::default() };
    let reason = refusal_within(&one(|e| e.size = Some(200 << 20)), &limits);
    assert!(matches!(reason, ArchiveError::Content { what: "size", .. }), "{reason:?}");
}

/// The names in a file, by its end and its central directory alone.
fn names_of(bytes: &[u8], limits: &Limits) -> Result<Vec<String>, ArchiveError> {
    let tail = &bytes[bytes.len().saturating_sub(Directory::TAIL)..];
    let directory = Directory::find(tail, bytes.len() as u64)?;
    let range = directory.range();
    let at = |at: u64| usize::try_from(at).expect("inside the bytes");
    let listed = &bytes[at(range.start)..at(range.end)];
    directory.names(listed, limits).map(|names| names.into_iter().map(str::to_owned).collect())
}

#[test]
fn the_names_in_a_large_archive_are_told_by_its_end() {
    let limits = Limits::default();
    let large = "x".repeat(3 * Directory::TAIL);
    let archive =
        zip(&[raw("a/B.class", &large).with(|entry| entry.level = None), raw("META-INF/", ""), raw("c", "c")]);
    assert!(archive.len() > 2 * Directory::TAIL);
    assert_eq!(names_of(&archive, &limits).unwrap(), ["a/B.class", "META-INF/", "c"]);
    let few = Limits { max_entries: 2, ..limits };
    assert!(matches!(names_of(&archive, &few), Err(ArchiveError::TooManyEntries { entries: 3, limit: 2 })));
    for cut in [0, 1, 21, 100, archive.len() - 1] {
        assert!(names_of(&archive[..cut], &limits).is_err(), "{cut}");
    }
    let mut prefixed = b"#!/bin/sh\n".to_vec();
    prefixed.extend_from_slice(&archive);
    assert!(matches!(names_of(&prefixed, &limits), Err(ArchiveError::Prefix { bytes: 10 })));
    assert!(names_of(b"", &limits).is_err() && Directory::find(&archive, 3).is_err());
}
