//! What an archive tells about how it was made: for who looks for hints, not for differences.

use crate::error::ArchiveError;
use crate::limits::Limits;
use crate::manifest::Manifest;
use crate::zip::{Archive, Budget};

/// A time as the headers of an archive have it: local, in an unknown zone, with even seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime {
    /// Year, from 1980.
    pub year: u16,
    /// Month; not checked, 0 to 15.
    pub month: u8,
    /// Day of the month; not checked, 0 to 31.
    pub day: u8,
    /// Hour; not checked, 0 to 31.
    pub hour: u8,
    /// Minute; not checked, 0 to 63.
    pub minute: u8,
    /// Second, even; not checked, 0 to 62.
    pub second: u8,
}

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its name; that of a folder ends in a slash.
    pub name: &'a str,
    /// Bytes of its content.
    pub size: u64,
    /// Type and permissions as Unix has them (`st_mode`), if the archive was made as on Unix and says so.
    pub unix_mode: Option<u16>,
    /// When it was changed, by the central directory.
    pub modified: LocalTime,
    /// The same in seconds since 1970, if an extended timestamp says so.
    pub unix_time: Option<i64>,
}

/// An archive that was read strictly, as [`crate::compare`] reads it.
pub struct Listing<'a>(Archive<'a>);

impl<'a> Listing<'a> {
    /// Reads the archive and checks every entry's content.
    ///
    /// # Errors
    /// What [`crate::compare`] refuses.
    pub fn open(bytes: &'a [u8], limits: &Limits) -> Result<Self, ArchiveError> {
        Archive::open(bytes, limits, &mut Budget::new(limits)).map(Self)
    }

    /// The entries, in the order of the central directory.
    pub fn entries(&self) -> impl Iterator<Item = Listed<'a>> + '_ {
        self.0.entries.iter().map(|entry| {
            let (date, time) = (entry.date, entry.time);
            Listed {
                name: entry.name,
                size: entry.size,
                // System 3 is Unix; a mode without a type was left out by the writer.
                unix_mode: Some((entry.external >> 16) as u16)
                    .filter(|mode| entry.made_by >> 8 == 3 && mode & 0o170_000 != 0),
                modified: LocalTime {
                    year: 1980 + (date >> 9),
                    month: (date >> 5 & 15) as u8,
                    day: (date & 31) as u8,
                    hour: (time >> 11) as u8,
                    minute: (time >> 5 & 63) as u8,
                    second: (time & 31) as u8 * 2,
                },
                unix_time: entry.extra.modified(),
            }
        })
    }

    /// The content of the entry at this position of [`Listing::entries`]; nothing if there is none.
    ///
    /// # Errors
    /// The content was checked when the archive was opened, so none are expected.
    pub fn content(&self, index: usize) -> Result<Vec<u8>, ArchiveError> {
        self.0.content(index)
    }

    /// The content of the entry of this name.
    ///
    /// # Errors
    /// As [`Listing::content`].
    pub fn find(&self, name: &str) -> Result<Option<Vec<u8>>, ArchiveError> {
        let index = self.0.entries.iter().position(|entry| entry.name == name);
        index.map(|index| self.0.content(index)).transpose()
    }
}

/// Name and value of each attribute in the main section of a `META-INF/MANIFEST.MF`, in the order of the file. None if
/// the bytes are no plain manifest.
pub fn main_attributes(manifest: &[u8]) -> Option<Vec<(String, String)>> {
    Manifest::parse(manifest).map(|manifest| manifest.main)
}

/// The major version that a class file says it has
/// ([format](https://docs.oracle.com/javase/specs/jvms/se17/html/jvms-4.html#jvms-4.1)); none if it is no class file.
pub fn class_major(class: &[u8]) -> Option<u16> {
    let head: [u8; 8] = class.get(..8)?.try_into().ok()?;
    (head[..4] == [0xca, 0xfe, 0xba, 0xbe]).then(|| u16::from_be_bytes([head[6], head[7]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    use zip::write::SimpleFileOptions;
    use zip::{CompressionMethod, DateTime, ZipWriter};

    #[test]
    fn an_archive_tells_names_modes_times_and_contents() {
        let time = DateTime::from_date_and_time(2021, 3, 4, 5, 6, 8).unwrap();
        let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, mode, content) in [("a.txt", 0o664, "one"), ("b/c.txt", 0o755, "two")] {
            let options = SimpleFileOptions::default()
                .compression_method(CompressionMethod::Deflated)
                .unix_permissions(mode)
                .last_modified_time(time);
            zip.start_file(name, options).unwrap();
            zip.write_all(content.as_bytes()).unwrap();
        }
        let bytes = zip.finish().unwrap().into_inner();
        let listing = Listing::open(&bytes, &Limits::default()).unwrap();
        let entries: Vec<Listed<'_>> = listing.entries().collect();
        assert_eq!(entries.iter().map(|entry| entry.name).collect::<Vec<_>>(), ["a.txt", "b/c.txt"]);
        assert_eq!(entries[0].unix_mode, Some(0o100_664));
        let expected = LocalTime { year: 2021, month: 3, day: 4, hour: 5, minute: 6, second: 8 };
        assert_eq!((entries[1].modified, entries[1].unix_time), (expected, None));
        assert_eq!(listing.content(1).unwrap(), b"two");
        assert_eq!(listing.find("a.txt").unwrap().as_deref(), Some(&b"one"[..]));
        assert_eq!(listing.find("none").unwrap(), None);
        assert!(Listing::open(&bytes[1..], &Limits::default()).is_err());
    }

    #[test]
    fn classes_and_manifests() {
        assert_eq!(class_major(&[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52, 9]), Some(52));
        assert_eq!(class_major(&[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0]), None);
        assert_eq!(class_major(b"not a class"), None);
        let main = main_attributes(b"A: 1\r\nB: 2\r\n 3\r\n\r\nName: x\r\nC: 1\r\n").unwrap();
        assert_eq!(main, [("A".to_owned(), "1".to_owned()), ("B".to_owned(), "23".to_owned())]);
        assert_eq!(main_attributes(b"no colon"), None);
    }
}
