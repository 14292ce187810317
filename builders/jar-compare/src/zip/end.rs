//! The end record, and the Zip64 records before it.
//!
//! Trap: readers look for the end record in different ways (from the end, by signature; or by the length of the
//! comment). Here the last signature in the file must be the record, and its comment must end with the file.

use super::bytes::{slice, u16_at, u32_at, u64_at};
use crate::error::ArchiveError;

const END: u32 = 0x0605_4b50;
const END_LEN: usize = 22;
const LOCATOR: u32 = 0x0706_4b50;
const LOCATOR_LEN: usize = 20;
const END64: u32 = 0x0606_4b50;
const END64_LEN: usize = 56;

/// In so many of the last bytes of a file all of these records are.
pub(crate) const TAIL: usize = END64_LEN + LOCATOR_LEN + END_LEN + u16::MAX as usize;

/// Where the central directory is.
pub(crate) struct End<'a> {
    pub(crate) entries: u64,
    pub(crate) directory_start: u64,
    pub(crate) directory_end: u64,
    pub(crate) zip64: bool,
    pub(crate) comment: &'a [u8],
}

/// Position of the last end record signature that can be one, if its comment ends with the file.
pub(crate) fn find(bytes: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(END_LEN)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    let at = (first..=last).rev().find(|&at| u32_at(bytes, at) == Some(END))?;
    (usize::from(u16_at(bytes, at + 20)?) == last - at).then_some(at)
}

/// Reads them from the end of a file; `before` bytes of it stand before these.
pub(crate) fn read(bytes: &[u8], before: u64) -> Result<End<'_>, ArchiveError> {
    let at = find(bytes).ok_or(ArchiveError::NoEnd)?;
    let cut = || ArchiveError::Malformed { what: "end-of-central-directory record", at: at as u64 };
    let half = |offset| u16_at(bytes, at + offset).ok_or_else(cut);
    let word = |offset| u32_at(bytes, at + offset).ok_or_else(cut);
    let (disk, directory_disk, here, total) = (half(4)?, half(6)?, half(8)?, half(10)?);
    let (size, offset) = (word(12)?, word(16)?);
    let comment = &bytes[at + END_LEN..];

    let locator = at.checked_sub(LOCATOR_LEN).filter(|&p| u32_at(bytes, p) == Some(LOCATOR));
    let (entries, size, offset, end) = if let Some(locator) = locator {
        let end64 = read_end64(bytes, locator, before)?;
        agree16("entry count", here, end64.entries)?;
        agree16("entry count", total, end64.entries)?;
        agree32("size of the central directory", size, end64.size)?;
        agree32("offset of the central directory", offset, end64.offset)?;
        let disks = [disk, directory_disk];
        if disks.iter().any(|&d| d != 0 && d != u16::MAX) {
            return Err(ArchiveError::MultiDisk);
        }
        (end64.entries, end64.size, end64.offset, end64.at)
    } else {
        if disk != 0 || directory_disk != 0 || here != total {
            return Err(ArchiveError::MultiDisk);
        }
        (u64::from(total), u64::from(size), u64::from(offset), at)
    };
    let end = before + end as u64;
    match offset.checked_add(size) {
        Some(stop) if stop == end => {
            Ok(End { entries, directory_start: offset, directory_end: end, zip64: locator.is_some(), comment })
        }
        // Offsets that are too small by the same amount everywhere: something was put in front.
        Some(stop) if stop < end => Err(ArchiveError::Prefix { bytes: end - stop }),
        _ => Err(ArchiveError::Malformed { what: "central directory", at: offset }),
    }
}

struct End64 {
    at: usize,
    entries: u64,
    size: u64,
    offset: u64,
}

fn read_end64(bytes: &[u8], locator: usize, before: u64) -> Result<End64, ArchiveError> {
    let cut = || ArchiveError::Malformed { what: "Zip64 end record", at: locator as u64 };
    let disk = u32_at(bytes, locator + 4).ok_or_else(cut)?;
    let declared = u64_at(bytes, locator + 8).ok_or_else(cut)?;
    let disks = u32_at(bytes, locator + 16).ok_or_else(cut)?;
    // The record has a fixed length here (no extensible data), so it stands right before the locator.
    let at = locator.checked_sub(END64_LEN).ok_or_else(cut)?;
    if declared != before + at as u64 {
        return Err(ArchiveError::Mismatch { what: "offset of the Zip64 end record", entry: String::new() });
    }
    let record = slice(bytes, at, END64_LEN).ok_or_else(cut)?;
    let word = |offset| u32_at(record, offset).ok_or_else(cut);
    let long = |offset| u64_at(record, offset).ok_or_else(cut);
    if word(0)? != END64 || long(4)? != (END64_LEN - 12) as u64 {
        return Err(cut());
    }
    let (here, entries) = (long(24)?, long(32)?);
    if disk != 0 || disks > 1 || word(16)? != 0 || word(20)? != 0 || here != entries {
        return Err(ArchiveError::MultiDisk);
    }
    Ok(End64 { at, entries, size: long(40)?, offset: long(48)? })
}

fn agree16(what: &'static str, short: u16, long: u64) -> Result<(), ArchiveError> {
    if short == u16::MAX || u64::from(short) == long {
        return Ok(());
    }
    Err(ArchiveError::Mismatch { what, entry: String::new() })
}

fn agree32(what: &'static str, short: u32, long: u64) -> Result<(), ArchiveError> {
    if short == u32::MAX || u64::from(short) == long {
        return Ok(());
    }
    Err(ArchiveError::Mismatch { what, entry: String::new() })
}
