//! Extra fields: a list of (id, length, data).

use super::bytes::{slice, u16_at, u64_at};

const ZIP64: u16 = 0x0001;
const UNICODE_PATH: u16 = 0x7075;
const ASI_UNIX: u16 = 0x756e;
const EXTENDED_TIMESTAMP: u16 = 0x5455;
/// NTFS times and Info-ZIP's extended timestamp.
const TIMES: [u16; 2] = [0x000a, EXTENDED_TIMESTAMP];

/// Extra fields taken apart. What does not follow the format is kept as `rest`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Extra<'a> {
    fields: Vec<(u16, &'a [u8])>,
    rest: &'a [u8],
}

impl<'a> Extra<'a> {
    pub(crate) fn parse(mut bytes: &'a [u8]) -> Self {
        let mut fields = Vec::new();
        while let (Some(id), Some(len)) = (u16_at(bytes, 0), u16_at(bytes, 2)) {
            let Some(data) = slice(bytes, 4, usize::from(len)) else {
                break;
            };
            fields.push((id, data));
            bytes = &bytes[4 + data.len()..];
        }
        Self { fields, rest: bytes }
    }

    /// Replaces saturated header fields by those of the Zip64 field; `None` if they do not fit exactly.
    pub(crate) fn resolve<const N: usize>(&self, short: [u32; N]) -> Option<[u64; N]> {
        let mut long = short.map(u64::from);
        let saturated = short.iter().filter(|&&value| value == u32::MAX).count();
        let mut found = self.fields.iter().filter(|(id, _)| *id == ZIP64);
        let (first, second) = (found.next(), found.next());
        // A Zip64 field that replaces nothing is left behind by some writers that had reserved room for it.
        if saturated == 0 {
            return Some(long);
        }
        // Without the field the value would simply be 2^32-1, more than any size that is read here.
        let (Some((_, data)), None) = (first, second) else {
            return None;
        };
        if data.len() != saturated * 8 {
            return None;
        }
        let mut at = 0;
        for value in long.iter_mut().filter(|value| **value == u64::from(u32::MAX)) {
            *value = u64_at(data, at)?;
            at += 8;
        }
        Some(long)
    }

    /// True if a field gives the entry another name than its header does.
    pub(crate) fn renames(&self, name: &[u8]) -> bool {
        // Version (1 byte), CRC-32 of the header's name (4), the name in UTF-8.
        self.fields.iter().any(|(id, data)| *id == UNICODE_PATH && data.get(5..) != Some(name))
    }

    /// Bytes at the end that are no field.
    pub(crate) fn rest(&self) -> usize {
        self.rest.len()
    }

    /// True if a field makes a symbolic link of the entry.
    pub(crate) fn is_link(&self) -> bool {
        // CRC-32 (4 bytes), then the mode.
        let mode = |data| u16_at(data, 4).unwrap_or_default();
        self.fields.iter().any(|(id, data)| *id == ASI_UNIX && mode(data) & 0o170_000 == 0o120_000)
    }

    pub(crate) fn has_zip64(&self) -> bool {
        self.fields.iter().any(|(id, _)| *id == ZIP64)
    }

    pub(crate) fn times(&self) -> Vec<(u16, &'a [u8])> {
        self.fields.iter().copied().filter(|(id, _)| TIMES.contains(id)).collect()
    }

    /// The time of change in seconds since 1970 of Info-ZIP's extended timestamp.
    pub(crate) fn modified(&self) -> Option<i64> {
        let (_, data) = self.fields.iter().find(|(id, _)| *id == EXTENDED_TIMESTAMP)?;
        // Bit 0 of the first byte: the time of change is there, and is the first.
        let time = data.get(1..5).filter(|_| data[0] & 1 == 1)?;
        Some(i64::from(i32::from_le_bytes(time.try_into().ok()?)))
    }

    /// Fields other than times and Zip64 sizes.
    pub(crate) fn others(&self) -> (Vec<(u16, &'a [u8])>, &'a [u8]) {
        let skip = |id: u16| TIMES.contains(&id) || id == ZIP64;
        (self.fields.iter().copied().filter(|(id, _)| !skip(*id)).collect(), self.rest)
    }
}
