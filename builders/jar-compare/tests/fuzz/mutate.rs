//! Random archives and contents, and random changes of them.

use crate::support::{BLOCK, Parts, Raw, SIGNATURE_LIST, raw, zip};

/// Values at which fields of headers mean something else.
const VALUES: [u32; 12] = [0, 1, 8, 20, 45, 99, 0xff, 0x7fff, 0xffff, 0x1_0000, 0x7fff_ffff, 0xffff_ffff];
const NAMES: [&str; 16] = [
    "META-INF/",
    "META-INF/MANIFEST.MF",
    "meta-inf/manifest.mf",
    "META-INF/K.SF",
    "META-INF/K.RSA",
    "META-INF/maven/g/a/pom.properties",
    "META-INF/maven/g/a/pom.xml",
    "git.properties",
    "a/B.class",
    "a/text.txt",
    "a/text.txt/",
    "lib/n.jar",
    "../up",
    "/root",
    "a\\b",
    "ä/…",
];
const CONTENTS: [&[u8]; 14] = [
    b"",
    b"Manifest-Version: 1.0\nMain-Class: a.B\n",
    b"Manifest-Version: 1.0\r\nBuilt-By: x\r\n\r\nName: a\r\nSHA-256-Digest: x\r\n\r\n",
    b"Multi-Release: tr\n ue\n",
    SIGNATURE_LIST,
    BLOCK,
    b"#comment\nversion=1\ngit.build.time=2\n",
    b"<project>\r\n</project>\r\n",
    b"one\ntwo\nthree\n",
    b"one\r\nthree\r\ntwo\r\n",
    b"\xff\xfea\0b\0",
    b"\xe4\n",
    b"\xca\xfe\xba\xbe\0\0\0\x3d\0\x02\x01\0\x01A\0\x21\0\0\0\0\0\0\0\0\0\0\0\0",
    b"PK\x03\x04 is no archive",
];

/// Gives one input after the other.
pub(crate) struct Mutator<'a> {
    seeds: &'a [&'a [u8]],
    state: u64,
}

impl<'a> Mutator<'a> {
    pub(crate) fn new(seeds: &'a [&'a [u8]], seed: u64) -> Self {
        Self { seeds, state: seed }
    }

    /// An archive of the corpus with a few changed bytes.
    pub(crate) fn changed(&mut self) -> Vec<u8> {
        let mut bytes = self.seeds[self.below(self.seeds.len())].to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len() + 1);
            match self.below(8) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.below(256) as u8),
                2 => {
                    let other = self.seeds[self.below(self.seeds.len())];
                    let end = (at + self.below(64)).min(other.len());
                    bytes.splice(at..at, other[at.min(end)..end].iter().copied());
                }
                3 => drop(bytes.drain(at..(at + self.below(32)).min(bytes.len()).max(at))),
                4 | 5 => {
                    let value = self.value().to_le_bytes();
                    let len = [2, 4][self.below(2)];
                    bytes.iter_mut().skip(at).zip(&value[..len]).for_each(|(byte, with)| *byte = *with);
                }
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
            }
        }
        bytes
    }

    /// An archive whose headers mostly say what they should.
    pub(crate) fn built(&mut self) -> Vec<u8> {
        let mut parts = Parts::of(&self.entries(2));
        match self.below(24) {
            0 => parts.zip64 = true,
            1 => parts.count = parts.count.wrapping_add(1),
            2 => parts.comment = b"PK\x05\x06 in a comment".to_vec(),
            3 => parts.data.extend(b"hidden"),
            4 => parts.data.splice(0..0, *b"#!/bin/sh\n").for_each(drop),
            _ => {}
        }
        parts.join()
    }

    /// Something that an entry may hold.
    pub(crate) fn content(&mut self) -> Vec<u8> {
        let mut bytes = CONTENTS[self.below(CONTENTS.len())].to_vec();
        for _ in 0..self.below(3) {
            let at = self.below(bytes.len() + 1);
            match self.below(4) {
                0 => bytes.insert(at, b"\r\n \0:=#\xff\xe4"[self.below(9)]),
                1 => bytes.truncate(at),
                2 => {
                    let other = CONTENTS[self.below(CONTENTS.len())];
                    bytes.splice(at..at, other.iter().copied());
                }
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte ^= 1 << self.below(8);
                    }
                }
            }
        }
        bytes
    }

    fn entries(&mut self, depth: usize) -> Vec<Raw> {
        (0..=self.below(4)).map(|_| self.entry(depth)).collect()
    }

    fn entry(&mut self, depth: usize) -> Raw {
        // Names that are allowed, for the most part.
        let name = if self.below(8) > 0 { NAMES[self.below(12)] } else { NAMES[self.below(NAMES.len())] };
        let content = match self.below(8) {
            0 if depth > 0 => zip(&self.entries(depth - 1)),
            _ => self.content(),
        };
        let content = if name.ends_with('/') { Vec::new() } else { content };
        let mut entry = raw(name, content);
        entry.level = [None, Some(0), Some(6)][self.below(3)];
        entry.descriptor = entry.level.is_some() && self.below(4) == 0;
        if self.below(3) > 0 {
            return entry;
        }
        let value = self.value();
        match self.below(18) {
            0 => entry.local_name = Some(NAMES[self.below(NAMES.len())].into()),
            1 => entry.method = Some(value as u16),
            2 => entry.local_method = Some(value as u16),
            3 => entry.flags = value as u16,
            4 => entry.local_flags = Some(value as u16),
            5 => entry.descriptor = true,
            6 => entry.made_by = value as u16,
            7 => entry.external = [0o120_777, 0o100_755, 0o040_755, 0o060_644, value][self.below(5)] << 16,
            8 => {
                entry.extra = [&b"\x75\x70\x08\0\x01\0\0\0\0xyz"[..], b"\x01\0\x08\0\0\0\0\0\0\0\0\0", b"\x55"]
                    [self.below(3)]
                .to_vec()
            }
            9 => entry.local_extra = [&b"\x6e\x75\x06\0\0\0\0\0\xff\xa1"[..], b"\xfe\xca\0\0"][self.below(2)].to_vec(),
            10 => entry.comment = b"PK\x05\x06".to_vec(),
            11 => entry.crc = Some(value),
            12 => entry.local_crc = Some(value),
            13 => entry.size = Some(value),
            14 => entry.local_size = Some(value),
            15 => entry.compressed = Some(value),
            16 => entry.offset = Some(value),
            _ => entry.after = b"PK\x07\x08".to_vec(),
        }
        entry
    }

    fn value(&mut self) -> u32 {
        VALUES[self.below(VALUES.len())]
    }

    /// splitmix64.
    fn below(&mut self, limit: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit.max(1) as u64) as usize
    }
}
