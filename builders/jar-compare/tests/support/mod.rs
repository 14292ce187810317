//! Archives written byte by byte, so that every field can be set, and set wrong.
#![allow(dead_code)] // each test file uses its own part

use std::io::Write as _;

/// A list of signatures as signers write it.
pub const SIGNATURE_LIST: &[u8] = b"Signature-Version: 1.0\r\nSHA-256-Digest-Manifest: x\r\n\r\n";
/// The beginning of a block of a signature, complete in itself: PKCS #7 `SignedData` of nothing.
pub const BLOCK: &[u8] = b"\x30\x0b\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02";

/// One entry. The `Option`s replace what would be right.
#[derive(Clone, Debug)]
pub struct Raw {
    pub name: Vec<u8>,
    pub local_name: Option<Vec<u8>>,
    pub content: Vec<u8>,
    pub level: Option<u32>,
    pub method: Option<u16>,
    pub local_method: Option<u16>,
    pub flags: u16,
    pub local_flags: Option<u16>,
    pub descriptor: bool,
    pub made_by: u16,
    pub needed: u16,
    pub time: u16,
    pub date: u16,
    pub internal: u16,
    pub external: u32,
    pub extra: Vec<u8>,
    pub local_extra: Vec<u8>,
    pub comment: Vec<u8>,
    pub crc: Option<u32>,
    pub local_crc: Option<u32>,
    pub size: Option<u32>,
    pub local_size: Option<u32>,
    pub compressed: Option<u32>,
    pub offset: Option<u32>,
    pub disk: u16,
    pub after: Vec<u8>,
}

/// An ordinary deflated entry.
pub fn raw(name: &str, content: impl AsRef<[u8]>) -> Raw {
    Raw {
        name: name.as_bytes().to_vec(),
        local_name: None,
        content: content.as_ref().to_vec(),
        level: Some(6),
        method: None,
        local_method: None,
        flags: 0,
        local_flags: None,
        descriptor: false,
        made_by: 0x0314,
        needed: 20,
        time: 0x6000,
        date: 0x5821,
        internal: 0,
        external: 0o100644 << 16,
        extra: vec![],
        local_extra: vec![],
        comment: vec![],
        crc: None,
        local_crc: None,
        size: None,
        local_size: None,
        compressed: None,
        offset: None,
        disk: 0,
        after: vec![],
    }
}

impl Raw {
    /// The entry with a change.
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// An archive of these entries.
pub fn zip(entries: &[Raw]) -> Vec<u8> {
    Parts::of(entries).join()
}

/// The parts of an archive, to be changed before they are joined.
pub struct Parts {
    pub data: Vec<u8>,
    pub directory: Vec<u8>,
    pub count: u16,
    /// What Zip64 records count.
    pub entries: u64,
    pub comment: Vec<u8>,
    pub zip64: bool,
}

impl Parts {
    pub fn of(entries: &[Raw]) -> Self {
        let (mut data, mut directory) = (Vec::new(), Vec::new());
        for entry in entries {
            let offset = data.len() as u32;
            let packed = match entry.level {
                Some(level) => {
                    let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::new(level));
                    encoder.write_all(&entry.content).expect("writing to a vector");
                    encoder.finish().expect("writing to a vector")
                }
                None => entry.content.clone(),
            };
            let mut crc = flate2::Crc::new();
            crc.update(&entry.content);
            let crc = entry.crc.unwrap_or(crc.sum());
            let method = entry.method.unwrap_or(if entry.level.is_some() { 8 } else { 0 });
            let flags = entry.flags | if entry.descriptor { 8 } else { 0 };
            let compressed = entry.compressed.unwrap_or(packed.len() as u32);
            let size = entry.size.unwrap_or(entry.content.len() as u32);
            let known = |value: u32| if entry.descriptor { 0 } else { value };
            let local_name = entry.local_name.as_ref().unwrap_or(&entry.name);

            data.extend(0x0403_4b50_u32.to_le_bytes());
            for half in [entry.needed, entry.local_flags.unwrap_or(flags), entry.local_method.unwrap_or(method)] {
                data.extend(half.to_le_bytes());
            }
            data.extend(entry.time.to_le_bytes());
            data.extend(entry.date.to_le_bytes());
            data.extend(entry.local_crc.unwrap_or(known(crc)).to_le_bytes());
            data.extend(known(compressed).to_le_bytes());
            data.extend(entry.local_size.unwrap_or(known(size)).to_le_bytes());
            data.extend((local_name.len() as u16).to_le_bytes());
            data.extend((entry.local_extra.len() as u16).to_le_bytes());
            data.extend(local_name);
            data.extend(&entry.local_extra);
            data.extend(&packed);
            if entry.descriptor {
                for word in [0x0807_4b50, crc, compressed, size] {
                    data.extend(word.to_le_bytes());
                }
            }
            data.extend(&entry.after);

            directory.extend(0x0201_4b50_u32.to_le_bytes());
            for half in [entry.made_by, entry.needed, flags, method, entry.time, entry.date] {
                directory.extend(half.to_le_bytes());
            }
            for word in [crc, compressed, size] {
                directory.extend(word.to_le_bytes());
            }
            let lens = [entry.name.len(), entry.extra.len(), entry.comment.len()].map(|len| len as u16);
            for half in [lens[0], lens[1], lens[2], entry.disk, entry.internal] {
                directory.extend(half.to_le_bytes());
            }
            directory.extend(entry.external.to_le_bytes());
            directory.extend(entry.offset.unwrap_or(offset).to_le_bytes());
            directory.extend(&entry.name);
            directory.extend(&entry.extra);
            directory.extend(&entry.comment);
        }
        Self {
            data,
            directory,
            count: entries.len() as u16,
            entries: entries.len() as u64,
            comment: vec![],
            zip64: false,
        }
    }

    pub fn join(self) -> Vec<u8> {
        let (start, len) = (self.data.len() as u32, self.directory.len() as u32);
        let mut bytes = self.data;
        bytes.extend(self.directory);
        if self.zip64 {
            let at = bytes.len() as u64;
            bytes.extend(0x0606_4b50_u32.to_le_bytes());
            bytes.extend(44u64.to_le_bytes());
            bytes.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
            for long in [self.entries, self.entries, u64::from(len), u64::from(start)] {
                bytes.extend(long.to_le_bytes());
            }
            bytes.extend(0x0706_4b50_u32.to_le_bytes());
            bytes.extend(0u32.to_le_bytes());
            bytes.extend(at.to_le_bytes());
            bytes.extend(1u32.to_le_bytes());
        }
        let count = if self.zip64 { u16::MAX } else { self.count };
        bytes.extend(0x0605_4b50_u32.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(count.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(len.to_le_bytes());
        bytes.extend(start.to_le_bytes());
        bytes.extend((self.comment.len() as u16).to_le_bytes());
        bytes.extend(self.comment);
        bytes
    }
}
