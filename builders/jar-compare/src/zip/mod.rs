//! Strict reader of ZIP archives over bytes in memory.
//!
//! Strict means: every byte of the file belongs to exactly one record, local headers and central directory say the
//! same, names are unique and stay inside, and all of this is checked before anything is expanded.

mod bytes;
mod directory;
mod end;
mod extra;
mod inflate;
mod names;

pub(crate) use bytes::u32_at;
pub(crate) use extra::Extra;

use pyrsia_digest::Sha256;

use crate::error::ArchiveError;
use crate::limits::Limits;

/// Where the central directory of an archive lies: what is in a large archive is told without reading it.
///
/// Less is checked than by a comparison: neither the local headers nor what the entries hold is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    start: u64,
    end: u64,
    entries: u64,
}

impl Directory {
    /// So many of a file's last bytes are needed to find it.
    pub const TAIL: usize = end::TAIL;

    /// Finds it by the last bytes of a file of `size` bytes, [`Directory::TAIL`] of them or all.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn find(tail: &[u8], size: u64) -> Result<Self, ArchiveError> {
        let before = size.checked_sub(tail.len() as u64).ok_or(ArchiveError::NoEnd)?;
        let end = end::read(tail, before)?;
        Ok(Self { start: end.directory_start, end: end.directory_end, entries: end.entries })
    }

    /// The bytes of the file that hold it.
    pub fn range(&self) -> std::ops::Range<u64> {
        self.start..self.end
    }

    /// The names of all entries, in its order; `bytes` are those of the range.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn names<'a>(&self, bytes: &'a [u8], limits: &Limits) -> Result<Vec<&'a str>, ArchiveError> {
        let entries = directory::listed(bytes, 0, bytes.len(), self.entries, limits)?;
        Ok(entries.into_iter().map(|entry| entry.name).collect())
    }
}

/// What one entry's headers say.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    pub(crate) method: u16,
    pub(crate) crc: u32,
    /// Expanded size.
    pub(crate) size: u64,
    compressed: u64,
    offset: u64,
    /// The compressed bytes.
    pub(crate) data: &'a [u8],
    pub(crate) flags: u16,
    pub(crate) made_by: u16,
    pub(crate) needed: u16,
    pub(crate) time: u16,
    pub(crate) date: u16,
    pub(crate) internal: u16,
    pub(crate) external: u32,
    pub(crate) extra: Extra<'a>,
    pub(crate) comment: &'a [u8],
    pub(crate) local: Local<'a>,
}

/// What the local header says in its own way.
#[derive(Debug, Default)]
pub(crate) struct Local<'a> {
    /// Rank of the entry in the order of the data.
    pub(crate) position: usize,
    pub(crate) flags: u16,
    pub(crate) needed: u16,
    pub(crate) time: u16,
    pub(crate) date: u16,
    /// False if CRC or sizes are only in the data descriptor.
    pub(crate) known_sizes: bool,
    pub(crate) descriptor_len: usize,
    pub(crate) extra: Extra<'a>,
}

/// Summary of an entry's content, taken when the archive was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) digest: Sha256,
    pub(crate) archive: bool,
}

/// An archive whose structure and contents were checked.
pub(crate) struct Archive<'a> {
    /// In the order of the central directory.
    pub(crate) entries: Vec<Entry<'a>>,
    /// Of the entries, in the same order.
    pub(crate) contents: Vec<Content>,
    pub(crate) comment: &'a [u8],
    pub(crate) zip64: bool,
}

/// Bytes that may still be expanded for one file.
pub(crate) struct Budget {
    left: u64,
    limit: u64,
}

impl Budget {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { left: limits.max_total_bytes, limit: limits.max_total_bytes }
    }

    fn spend(&mut self, entries: &[Entry<'_>]) -> Result<(), ArchiveError> {
        let over = ArchiveError::TotalTooLarge { limit: self.limit };
        for entry in entries {
            self.left = self.left.checked_sub(entry.size).ok_or_else(|| over.clone())?;
        }
        Ok(())
    }
}

/// True if bytes begin as an archive does, well formed or not.
pub(crate) fn starts_as_archive(bytes: &[u8]) -> bool {
    // Local header, end record, Zip64 end record, spanning marker.
    matches!(u32_at(bytes, 0), Some(0x0403_4b50 | 0x0605_4b50 | 0x0606_4b50 | 0x0807_4b50))
}

/// True if a reader could take bytes for an archive: also if something stands in front of it.
pub(crate) fn is_archive(bytes: &[u8]) -> bool {
    starts_as_archive(bytes) || end::find(bytes).is_some()
}

impl<'a> Archive<'a> {
    /// Checks structure, names and declared sizes, then the content of every entry.
    pub(crate) fn open(bytes: &'a [u8], limits: &Limits, budget: &mut Budget) -> Result<Self, ArchiveError> {
        let (entries, comment, zip64) = directory::read(bytes, limits)?;
        budget.spend(&entries)?;
        let mut contents = Vec::with_capacity(entries.len());
        for entry in &entries {
            let content = inflate::expand(entry)?;
            contents.push(Content { digest: Sha256::of(&content), archive: starts_as_archive(&content) });
        }
        Ok(Self { entries, contents, comment, zip64 })
    }

    /// Expands the entry at this position of the central directory.
    pub(crate) fn content(&self, index: usize) -> Result<Vec<u8>, ArchiveError> {
        self.entries.get(index).map_or_else(|| Ok(Vec::new()), inflate::expand)
    }
}

/// A nested archive, opened if it can be.
pub(crate) enum Nested<'a> {
    /// It can be read.
    Open(Archive<'a>),
    /// It stays plain bytes, for the reason given.
    Opaque(String),
}

impl<'a> Nested<'a> {
    /// Opens an archive inside another one. What is refused is plain bytes; only the total size of the outermost
    /// file is an error, since nothing could be said about that file then.
    pub(crate) fn open(
        bytes: &'a [u8],
        depth: u32,
        limits: &Limits,
        budget: &mut Budget,
    ) -> Result<Self, ArchiveError> {
        if depth > limits.max_depth {
            return Ok(Self::Opaque("it is nested too deeply".to_owned()));
        }
        match Archive::open(bytes, limits, budget) {
            Ok(archive) => Ok(Self::Open(archive)),
            Err(error @ ArchiveError::TotalTooLarge { .. }) => Err(error),
            Err(error) => Ok(Self::Opaque(error.to_string())),
        }
    }
}
