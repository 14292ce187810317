//! The central directory, the local headers, and whether they agree.

use std::collections::HashSet;

use super::bytes::{slice, u16_at, u32_at, u64_at};
use super::extra::Extra;
use super::{Entry, end, names};
use crate::error::ArchiveError;
use crate::limits::Limits;
use crate::rules::MANIFEST;

const CENTRAL: u32 = 0x0201_4b50;
const CENTRAL_LEN: usize = 46;
const LOCAL: u32 = 0x0403_4b50;
const LOCAL_LEN: usize = 30;
const DESCRIPTOR: u32 = 0x0807_4b50;

const ENCRYPTED: u16 = 1 | 1 << 6 | 1 << 13;
const DEFLATE_LEVEL: u16 = 1 << 1 | 1 << 2;
const HAS_DESCRIPTOR: u16 = 1 << 3;
const UTF8: u16 = 1 << 11;

/// Kinds of files in Unix modes.
const FILE_TYPE: u32 = 0o170_000;
const REGULAR: u32 = 0o100_000;
const FOLDER: u32 = 0o040_000;

/// Reads the structure of an archive; expands nothing.
pub(super) fn read<'a>(bytes: &'a [u8], limits: &Limits) -> Result<(Vec<Entry<'a>>, &'a [u8], bool), ArchiveError> {
    let end = end::read(bytes, 0)?;
    let place = |at: u64| {
        usize::try_from(at).map_err(|_| ArchiveError::Malformed { what: "central directory", at: end.directory_start })
    };
    let (start, stop) = (place(end.directory_start)?, place(end.directory_end)?);
    let mut entries = listed(bytes, start, stop, end.entries, limits)?;
    locals(bytes, &mut entries, start)?;
    Ok((entries, end.comment, end.zip64))
}

/// The entries of the central directory that lies there.
pub(super) fn listed<'a>(
    bytes: &'a [u8],
    start: usize,
    stop: usize,
    count: u64,
    limits: &Limits,
) -> Result<Vec<Entry<'a>>, ArchiveError> {
    if count > limits.max_entries {
        return Err(ArchiveError::TooManyEntries { entries: count, limit: limits.max_entries });
    }
    let mut at = start;
    let mut entries: Vec<Entry<'a>> = Vec::new();
    let mut seen = HashSet::new();
    let mut manifest = false;
    for _ in 0..count {
        let (entry, next) = central(bytes, at, stop)?;
        // JVMs find the manifest in any letter case.
        let twice = entry.name.eq_ignore_ascii_case(MANIFEST) && std::mem::replace(&mut manifest, true);
        if twice || !seen.insert(entry.name.strip_suffix('/').unwrap_or(entry.name)) {
            return Err(ArchiveError::DuplicateName { entry: entry.name.to_owned() });
        }
        check_sizes(&entry, limits)?;
        entries.push(entry);
        at = next;
    }
    if at != stop {
        return Err(ArchiveError::Mismatch { what: "size of the central directory", entry: String::new() });
    }
    Ok(entries)
}

fn central(bytes: &[u8], at: usize, limit: usize) -> Result<(Entry<'_>, usize), ArchiveError> {
    let cut = || ArchiveError::Malformed { what: "central directory entry", at: at as u64 };
    let header = slice(bytes, at, CENTRAL_LEN).ok_or_else(cut)?;
    let half = |offset| u16_at(header, offset).ok_or_else(cut);
    let word = |offset| u32_at(header, offset).ok_or_else(cut);
    if word(0)? != CENTRAL {
        return Err(cut());
    }
    let (name_len, extra_len, comment_len) = (usize::from(half(28)?), usize::from(half(30)?), usize::from(half(32)?));
    let name_at = at + CENTRAL_LEN;
    let extra_at = name_at + name_len;
    let comment_at = extra_at + extra_len;
    let next = comment_at + comment_len;
    if next > limit {
        return Err(cut());
    }
    let raw = slice(bytes, name_at, name_len).ok_or_else(cut)?;
    let name = names::check(raw)?;
    let extra = Extra::parse(slice(bytes, extra_at, extra_len).ok_or_else(cut)?);
    let comment = slice(bytes, comment_at, comment_len).ok_or_else(cut)?;
    let mismatch = |what| ArchiveError::Mismatch { what, entry: name.to_owned() };
    // Readers stop there, skip it, or refuse it.
    if extra.rest() > 0 {
        return Err(ArchiveError::Malformed { what: "extra field", at: extra_at as u64 });
    }
    if extra.renames(raw) {
        return Err(mismatch("name in the extra field"));
    }
    if half(34)? != 0 {
        return Err(ArchiveError::MultiDisk);
    }
    let [size, compressed, offset] =
        extra.resolve([word(24)?, word(20)?, word(42)?]).ok_or_else(|| mismatch("Zip64 extra field"))?;
    let (flags, method) = (half(8)?, half(10)?);
    if flags & ENCRYPTED != 0 {
        return Err(ArchiveError::Encrypted { entry: name.to_owned() });
    }
    if !matches!(method, 0 | 8) || flags & !(DEFLATE_LEVEL | HAS_DESCRIPTOR | UTF8) != 0 {
        return Err(ArchiveError::Unsupported { entry: name.to_owned(), method, flags });
    }
    if method == 0 && size != compressed {
        return Err(mismatch("size of stored content"));
    }
    let kind = word(38)? >> 16 & FILE_TYPE;
    let expected: &[u32] = if name.ends_with('/') { &[0, REGULAR, FOLDER] } else { &[0, REGULAR] };
    if !expected.contains(&kind) || extra.is_link() {
        return Err(ArchiveError::SpecialFile { entry: name.to_owned() });
    }
    if name.ends_with('/') && size != 0 {
        return Err(ArchiveError::FolderContent { entry: name.to_owned() });
    }
    let entry = Entry {
        name,
        method,
        crc: word(16)?,
        size,
        compressed,
        offset,
        data: &[],
        flags,
        made_by: half(4)?,
        needed: half(6)?,
        time: half(12)?,
        date: half(14)?,
        internal: half(36)?,
        external: word(38)?,
        extra,
        comment,
        local: Default::default(),
    };
    Ok((entry, next))
}

fn check_sizes(entry: &Entry<'_>, limits: &Limits) -> Result<(), ArchiveError> {
    let name = || entry.name.to_owned();
    if entry.size > limits.max_entry_bytes {
        return Err(ArchiveError::EntryTooLarge { entry: name(), bytes: entry.size, limit: limits.max_entry_bytes });
    }
    if entry.size > limits.ratio_floor && entry.size > entry.compressed.saturating_mul(limits.max_ratio) {
        return Err(ArchiveError::Ratio {
            entry: name(),
            compressed: entry.compressed,
            bytes: entry.size,
            limit: limits.max_ratio,
        });
    }
    Ok(())
}

/// Reads the local headers in the order of their offsets: they must fill the file up to the central directory.
fn locals<'a>(bytes: &'a [u8], entries: &mut [Entry<'a>], directory_start: usize) -> Result<(), ArchiveError> {
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|&i| entries[i].offset);
    let first = order.first().map_or(directory_start as u64, |&i| entries[i].offset);
    if first != 0 {
        return Err(ArchiveError::Prefix { bytes: first });
    }
    for (position, &i) in order.iter().enumerate() {
        let stop = order.get(position + 1).map_or(directory_start as u64, |&next| entries[next].offset);
        let entry = &mut entries[i];
        let overlap = || ArchiveError::Overlap { entry: entry.name.to_owned() };
        let stop = usize::try_from(stop).ok().filter(|&stop| stop <= directory_start).ok_or_else(overlap)?;
        let start = usize::try_from(entry.offset).ok().filter(|&start| start < stop).ok_or_else(overlap)?;
        local(&bytes[start..stop], entry)?;
        entry.local.position = position;
    }
    Ok(())
}

/// Reads one local header with its data and data descriptor from exactly the bytes up to the next entry.
fn local<'a>(bytes: &'a [u8], entry: &mut Entry<'a>) -> Result<(), ArchiveError> {
    let at = entry.offset;
    let cut = || ArchiveError::Malformed { what: "local header", at };
    let name = entry.name;
    let mismatch = |what| ArchiveError::Mismatch { what, entry: name.to_owned() };
    let half = |offset| u16_at(bytes, offset).ok_or_else(cut);
    let word = |offset| u32_at(bytes, offset).ok_or_else(cut);
    if word(0)? != LOCAL {
        return Err(cut());
    }
    let (name_len, extra_len) = (usize::from(half(26)?), usize::from(half(28)?));
    if slice(bytes, LOCAL_LEN, name_len).ok_or_else(cut)? != name.as_bytes() {
        return Err(mismatch("name"));
    }
    let extra = Extra::parse(slice(bytes, LOCAL_LEN + name_len, extra_len).ok_or_else(cut)?);
    // Less than a field's header is padding that aligns the data.
    if extra.rest() >= 4 {
        return Err(ArchiveError::Malformed { what: "extra field", at });
    }
    if extra.renames(name.as_bytes()) {
        return Err(mismatch("name in the extra field"));
    }
    let flags = half(6)?;
    // The level bits say nothing about the content, nor does the UTF-8 bit for names in ASCII.
    let loose = if name.is_ascii() { DEFLATE_LEVEL | UTF8 } else { DEFLATE_LEVEL };
    if (flags ^ entry.flags) & !loose != 0 {
        return Err(mismatch("flags"));
    }
    if half(8)? != entry.method {
        return Err(mismatch("compression method"));
    }
    let described = flags & HAS_DESCRIPTOR != 0;
    if extra.is_link() {
        return Err(ArchiveError::SpecialFile { entry: name.to_owned() });
    }
    let crc = word(14)?;
    if crc != entry.crc && !(described && crc == 0) {
        return Err(mismatch("CRC-32"));
    }
    let [size, compressed] = extra.resolve([word(22)?, word(18)?]).ok_or_else(|| mismatch("Zip64 extra field"))?;
    let fits = |local: u64, central: u64| local == central || (described && local == 0);
    if !fits(size, entry.size) || !fits(compressed, entry.compressed) {
        return Err(mismatch("size"));
    }
    // Who reads it as a stream has to guess where it ends.
    if entry.method == 0 && size != entry.size {
        return Err(ArchiveError::EndlessStored { entry: name.to_owned() });
    }

    let data_at = LOCAL_LEN + name_len + extra_len;
    let overlap = || ArchiveError::Overlap { entry: name.to_owned() };
    let len = usize::try_from(entry.compressed).map_err(|_| overlap())?;
    entry.data = slice(bytes, data_at, len).ok_or_else(overlap)?;
    let after = &bytes[data_at + len..];
    let fits = if described { is_descriptor(after, entry) } else { after.is_empty() };
    if !fits {
        return Err(ArchiveError::HiddenBytes { entry: name.to_owned(), bytes: after.len() as u64 });
    }
    entry.local.flags = flags;
    entry.local.needed = half(4)?;
    entry.local.time = half(10)?;
    entry.local.date = half(12)?;
    entry.local.known_sizes = crc == entry.crc && size == entry.size && compressed == entry.compressed;
    entry.local.descriptor_len = after.len();
    entry.local.extra = extra;
    Ok(())
}

/// True if the bytes are a data descriptor of this entry: with or without signature, sizes of 4 or 8 bytes.
fn is_descriptor(bytes: &[u8], entry: &Entry<'_>) -> bool {
    let fields = match bytes.len() {
        16 | 24 if u32_at(bytes, 0) == Some(DESCRIPTOR) => &bytes[4..],
        12 | 20 => bytes,
        _ => return false,
    };
    let sizes = if fields.len() == 12 {
        (u32_at(fields, 4).map(u64::from), u32_at(fields, 8).map(u64::from))
    } else {
        (u64_at(fields, 4), u64_at(fields, 12))
    };
    u32_at(fields, 0) == Some(entry.crc) && sizes == (Some(entry.compressed), Some(entry.size))
}
