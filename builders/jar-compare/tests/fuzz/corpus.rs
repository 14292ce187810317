//! Archives that ordinary readers make something of, and what becomes of each here.

use crate::support::{BLOCK, Parts, Raw, SIGNATURE_LIST, raw, zip};

/// One archive.
pub(crate) struct Case {
    /// File name.
    pub(crate) name: &'static str,
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    /// `accepted`, or the name of the refusal.
    pub(crate) verdict: &'static str,
}

fn one(change: impl FnOnce(&mut Raw)) -> Vec<u8> {
    zip(&[raw("file", "some content").with(|entry| entry.level = None).with(change)])
}

fn join(entries: &[Raw], change: impl FnOnce(&mut Parts)) -> Vec<u8> {
    let mut parts = Parts::of(entries);
    change(&mut parts);
    parts.join()
}

/// The corpus.
pub(crate) fn all() -> Vec<Case> {
    let file = || raw("file", "some content").with(|entry| entry.level = None);
    let ordinary = || {
        vec![
            raw("META-INF/", "").with(|entry| entry.level = None),
            raw("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\r\nBuilt-By: me\r\nMain-Class: a.B\r\n\r\n"),
            raw("META-INF/maven/g/a/pom.properties", "#now\nversion=1\n"),
            raw("META-INF/maven/g/a/pom.xml", "<project>\n</project>\n"),
            raw("a/text.txt", "one\ntwo\n"),
        ]
    };
    let mut signed = ordinary();
    signed.push(raw("META-INF/K.SF", SIGNATURE_LIST));
    signed.push(raw("META-INF/K.RSA", BLOCK));
    let nested = |depth: usize| {
        (0..depth)
            .fold(zip(&[raw("deep", "x")]), |inner, _| zip(&[raw("n.jar", inner).with(|entry| entry.level = None)]))
    };
    let zeros = vec![0u8; 2 << 20];
    let bomb = zip(&[raw("zeros", &zeros)]);
    let unicode_path = [&[0x75, 0x70, 9, 0, 1, 0, 0, 0, 0][..], b"evil"].concat();
    let link = vec![0x6e, 0x75, 6, 0, 0, 0, 0, 0, 0xff, 0xa1];
    let case = |name, verdict, bytes| Case { name, bytes, verdict };
    vec![
        case("ordinary.jar", "accepted", zip(&ordinary())),
        case("signed.jar", "accepted", zip(&signed)),
        case("empty.zip", "accepted", zip(&[])),
        case("streamed.zip", "accepted", zip(&[raw("file", "x").with(|entry| entry.descriptor = true)])),
        case("zip64.zip", "accepted", join(&[file()], |parts| parts.zip64 = true)),
        case("nested-6.jar", "accepted", nested(6)),
        case("nested-bomb.jar", "accepted", zip(&[raw("b.jar", &bomb).with(|entry| entry.level = None)])),
        case("bomb.zip", "Ratio", bomb),
        case(
            "declares-4-gib.zip",
            "EntryTooLarge",
            one(|entry| {
                entry.level = Some(6);
                entry.size = Some(0xffff_fffe);
                entry.local_size = Some(0xffff_fffe);
            }),
        ),
        case("overlapping.zip", "Overlap", zip(&[file(), raw("b", "x").with(|entry| entry.offset = Some(0))])),
        case("name-up.zip", "BadName", zip(&[raw("../up", "x")])),
        case("name-up-inside.zip", "BadName", zip(&[raw("a/../../up", "x")])),
        case("name-absolute.zip", "BadName", zip(&[raw("/etc/passwd", "x")])),
        case("name-drive.zip", "BadName", zip(&[raw("C:/x", "x")])),
        case("name-nul.zip", "BadName", zip(&[raw("a\0.txt", "x")])),
        case("name-backslash.zip", "BadName", zip(&[raw("..\\up", "x")])),
        case("name-not-utf8.zip", "BadName", one(|entry| entry.name = vec![0xff])),
        case("name-twice.zip", "DuplicateName", zip(&[file(), file()])),
        case("name-file-and-folder.zip", "DuplicateName", zip(&[file(), raw("file/", "").with(|e| e.level = None)])),
        case(
            "two-manifests.jar",
            "DuplicateName",
            zip(&[raw("META-INF/MANIFEST.MF", "A: 1\n"), raw("META-INF/Manifest.mf", "A: 2\n")]),
        ),
        case("name-other-in-local.zip", "Mismatch", one(|entry| entry.local_name = Some(b"evil".to_vec()))),
        case("name-other-in-extra.zip", "Mismatch", one(|entry| entry.extra = unicode_path)),
        case("extra-cut.zip", "Malformed", one(|entry| entry.extra = b"up\x09\x80\x01\0\0\0\0evil".to_vec())),
        case("size-other-in-local.zip", "Mismatch", one(|entry| entry.local_size = Some(4))),
        case("crc-other-in-local.zip", "Mismatch", one(|entry| entry.local_crc = Some(4))),
        case("method-other-in-local.zip", "Mismatch", one(|entry| entry.local_method = Some(8))),
        case("flags-other-in-local.zip", "Mismatch", one(|entry| entry.local_flags = Some(8))),
        case(
            "crc-wrong.zip",
            "Content",
            one(|entry| {
                entry.crc = Some(4);
                entry.local_crc = Some(4);
            }),
        ),
        case("prefix.zip", "Prefix", [b"#!/bin/sh\n", &one(|_| {})[..]].concat()),
        case("trailing.zip", "NoEnd", [&one(|_| {})[..], b"tail"].concat()),
        case("hidden-between.zip", "HiddenBytes", zip(&[file().with(|e| e.after = b"hidden".to_vec()), raw("b", "x")])),
        // An entry that only who reads it as a stream sees.
        case(
            "hidden-entry.zip",
            "HiddenBytes",
            zip(&[file().with(|entry| entry.after = Parts::of(&[raw("evil", "x")]).data), raw("b", "x")]),
        ),
        case("archive-in-comment.zip", "Prefix", join(&[file()], |parts| parts.comment = one(|_| {}))),
        case("fewer-in-end.zip", "Mismatch", join(&[file(), raw("b", "x")], |parts| parts.count = 1)),
        case("more-in-end.zip", "Malformed", join(&[file()], |parts| parts.count = 2)),
        case("encrypted.zip", "Encrypted", one(|entry| entry.flags = 1)),
        case("bzip2.zip", "Unsupported", one(|entry| entry.method = Some(12))),
        case("second-disk.zip", "MultiDisk", one(|entry| entry.disk = 1)),
        case("folder-with-content.zip", "FolderContent", zip(&[raw("d/", "x").with(|entry| entry.level = None)])),
        case("link.zip", "SpecialFile", one(|entry| entry.external = 0o120_777 << 16)),
        case("link-in-extra.zip", "SpecialFile", one(|entry| entry.local_extra = link)),
        case("stored-without-size.zip", "EndlessStored", one(|entry| entry.descriptor = true)),
        case("cut.zip", "NoEnd", one(|_| {})[..40].to_vec()),
    ]
}
