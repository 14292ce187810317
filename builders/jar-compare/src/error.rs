//! Why no comparison could be made.

use serde::{Deserialize, Serialize};

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The left file: what was built here.
    Rebuilt,
    /// The right file: what it is compared with.
    Reference,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Rebuilt => "rebuilt",
            Self::Reference => "reference",
        })
    }
}

/// Why two files were not compared.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CompareError {
    /// One of the files is an archive that is not read, because it is damaged, ambiguous or too large.
    #[error("the {side} file is refused: {reason}")]
    Refused {
        /// The file that is refused.
        side: Side,
        /// What is wrong with it: part of the sentence, and so no source of its own.
        reason: ArchiveError,
    },
}

/// Why an archive is not read. Except for [`ArchiveError::Stream`], [`ArchiveError::Content`] and the limits on
/// nested archives, all of it is found before anything is expanded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArchiveError {
    /// No end record closes the file exactly: it is cut off, or bytes follow the archive.
    #[error("no end-of-central-directory record ends exactly at the end of the file (cut off, or trailing bytes)")]
    NoEnd,
    /// A record that the format asks for is cut off or has another signature.
    #[error("{what} at byte {at} is cut off or malformed")]
    Malformed {
        /// Name of the record.
        what: &'static str,
        /// Byte offset at which it was expected.
        at: u64,
    },
    /// The archive is one part of several.
    #[error("the archive spans several disks")]
    MultiDisk,
    /// Two records that should say the same do not.
    #[error("{what} does not agree between the headers{}", in_entry(entry))]
    Mismatch {
        /// The field.
        what: &'static str,
        /// The entry, empty for the archive itself.
        entry: String,
    },
    /// Bytes stand before the first entry.
    #[error("{bytes} bytes stand before the first entry")]
    Prefix {
        /// How many.
        bytes: u64,
    },
    /// Bytes that belong to nothing stand between or behind the entries.
    #[error("{bytes} bytes that belong to no entry follow entry '{entry}'")]
    HiddenBytes {
        /// The entry before them.
        entry: String,
        /// How many.
        bytes: u64,
    },
    /// Two entries share bytes, or an entry reaches into the central directory.
    #[error("entry '{entry}' overlaps what follows it")]
    Overlap {
        /// The entry that reaches too far.
        entry: String,
    },
    /// A name occurs twice (a file and a folder of one name count as one, and manifests in any letter case).
    #[error("the name '{entry}' occurs twice")]
    DuplicateName {
        /// The name.
        entry: String,
    },
    /// A name leaves the archive, or means different things to different readers.
    #[error("the name '{entry}' is not allowed: {why}")]
    BadName {
        /// The name, with odd characters escaped.
        entry: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The entry is encrypted.
    #[error("entry '{entry}' is encrypted")]
    Encrypted {
        /// The entry.
        entry: String,
    },
    /// The entry is compressed by another method than 0 (stored) and 8 (deflated), or uses unknown flags.
    #[error("entry '{entry}' uses compression method {method}, flags {flags:#06x}, which are not supported")]
    Unsupported {
        /// The entry.
        entry: String,
        /// Method number of the format.
        method: u16,
        /// General purpose flags.
        flags: u16,
    },
    /// The entry is no file and no folder, but a link or a device, or a folder without a slash.
    #[error("entry '{entry}' is a link, or another special file")]
    SpecialFile {
        /// The entry.
        entry: String,
    },
    /// The entry is stored, and its size is only behind its data.
    #[error("entry '{entry}' is stored, and its size stands only behind it")]
    EndlessStored {
        /// The entry.
        entry: String,
    },
    /// A folder entry has content.
    #[error("the folder entry '{entry}' has content")]
    FolderContent {
        /// The entry.
        entry: String,
    },
    /// There are more entries than allowed.
    #[error("{entries} entries, at most {limit} are allowed")]
    TooManyEntries {
        /// Entries that the archive declares.
        entries: u64,
        /// The limit.
        limit: u64,
    },
    /// An entry is larger than allowed.
    #[error("entry '{entry}' expands to {bytes} bytes, at most {limit} are allowed")]
    EntryTooLarge {
        /// The entry.
        entry: String,
        /// Declared size in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// An entry expands by more than allowed.
    #[error("entry '{entry}' expands {compressed} to {bytes} bytes, a ratio above {limit}")]
    Ratio {
        /// The entry.
        entry: String,
        /// Compressed size in bytes.
        compressed: u64,
        /// Expanded size in bytes.
        bytes: u64,
        /// The largest ratio allowed.
        limit: u64,
    },
    /// All entries together, nested archives included, are larger than allowed.
    #[error("the entries expand to more than {limit} bytes altogether")]
    TotalTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The compressed data of an entry cannot be expanded, or does not end where the header says.
    #[error("the compressed data of entry '{entry}' is damaged")]
    Stream {
        /// The entry.
        entry: String,
    },
    /// The content of an entry has another size or CRC-32 than the header says.
    #[error("the content of entry '{entry}' does not fit its header: {what}")]
    Content {
        /// The entry.
        entry: String,
        /// Which field.
        what: &'static str,
    },
}

fn in_entry(entry: &str) -> String {
    if entry.is_empty() { String::new() } else { format!(" (entry '{entry}')") }
}
