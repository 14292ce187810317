//! What archives record about their entries, aspect by aspect: one summary each, not one difference per entry.

use std::fmt::Write as _;

use crate::findings::Findings;
use crate::model::{DifferenceKind, Normaliser};
use crate::text::escape;
use crate::zip::{Archive, Content, Entry};

/// An aspect of an entry: when two entries differ in it, and how that is told.
struct Aspect {
    normaliser: Normaliser,
    noun: &'static str,
    differs: fn(&Side<'_>, &Side<'_>) -> bool,
    show: fn(&Entry<'_>) -> String,
}

/// An entry with the summary of its content.
struct Side<'a> {
    entry: &'a Entry<'a>,
    content: Content,
}

const ASPECTS: &[Aspect] = &[
    Aspect {
        normaliser: Normaliser::ZipTimes,
        noun: "times",
        differs: |a, b| times(a.entry) != times(b.entry),
        show: |entry| show_time(entry.date, entry.time),
    },
    Aspect {
        normaliser: Normaliser::ZipModes,
        noun: "modes",
        differs: |a, b| modes(a.entry) != modes(b.entry),
        show: show_mode,
    },
    Aspect {
        normaliser: Normaliser::ZipCompression,
        noun: "compressed forms",
        differs: |a, b| {
            let same_content = a.content.digest == b.content.digest;
            a.entry.method != b.entry.method || (same_content && a.entry.data != b.entry.data)
        },
        show: |entry| match entry.method {
            0 => format!("stored, {} bytes", entry.data.len()),
            _ => format!("deflated, {} bytes", entry.data.len()),
        },
    },
    Aspect {
        normaliser: Normaliser::ZipExtraFields,
        noun: "extra fields",
        differs: |a, b| extras(a.entry) != extras(b.entry),
        show: |entry| {
            let bytes = |fields: Vec<(u16, &[u8])>| fields.iter().map(|(_, data)| data.len() + 4).sum::<usize>();
            format!("{} bytes", bytes(entry.extra.others().0) + bytes(entry.local.extra.others().0))
        },
    },
    Aspect {
        normaliser: Normaliser::ZipComments,
        noun: "comments",
        differs: |a, b| a.entry.comment != b.entry.comment,
        show: |entry| format!("'{}'", escape(&String::from_utf8_lossy(entry.comment))),
    },
    Aspect {
        normaliser: Normaliser::ZipHeaders,
        noun: "header forms",
        differs: |a, b| headers(a.entry) != headers(b.entry),
        show: |entry| {
            let descriptor = if entry.local.descriptor_len > 0 { " with data descriptor" } else { "" };
            format!("version {} flags {:#06x}{descriptor}", entry.needed, entry.flags)
        },
    },
];

type Fields<'a> = Vec<(u16, &'a [u8])>;

fn times<'a>(entry: &'a Entry<'_>) -> ([u16; 4], Fields<'a>, Fields<'a>) {
    let fields = [entry.date, entry.time, entry.local.date, entry.local.time];
    (fields, entry.extra.times(), entry.local.extra.times())
}

fn modes(entry: &Entry<'_>) -> (u16, u16, u32) {
    // The upper byte says how the external attributes are to be read.
    (entry.made_by >> 8, entry.internal, entry.external)
}

fn extras<'a>(entry: &'a Entry<'_>) -> [(Fields<'a>, &'a [u8]); 2] {
    [entry.extra.others(), entry.local.extra.others()]
}

fn headers(entry: &Entry<'_>) -> ([u16; 5], bool, usize, bool, bool) {
    let local = &entry.local;
    let fields = [entry.flags, local.flags, entry.needed, local.needed, entry.made_by & 0xff];
    (fields, local.known_sizes, local.descriptor_len, entry.extra.has_zip64(), local.extra.has_zip64())
}

/// Records the differing aspects of the entries that both archives have (given as pairs of positions in the order
/// of the left archive), and of the archives themselves.
pub(crate) fn compare(
    path: &str,
    left: &Archive<'_>,
    right: &Archive<'_>,
    pairs: &[(usize, usize)],
    findings: &mut Findings,
) {
    let kind = DifferenceKind::ArchiveMetadata;
    for aspect in ASPECTS {
        let mut count = 0usize;
        let mut first = None;
        for &(l, r) in pairs {
            let a = Side { entry: &left.entries[l], content: left.contents[l] };
            let b = Side { entry: &right.entries[r], content: right.contents[r] };
            if (aspect.differs)(&a, &b) {
                count += 1;
                first.get_or_insert((l, r));
            }
        }
        let Some((l, r)) = first else { continue };
        let (a, b) = ((aspect.show)(&left.entries[l]), (aspect.show)(&right.entries[r]));
        let mut text = format!("{} differ in {count} of {} entries", aspect.noun, pairs.len());
        let name = escape(left.entries[l].name);
        let _ = if a == b {
            write!(text, ", first entry {name}")
        } else {
            write!(text, ", first entry {name}: {a} vs {b}")
        };
        findings.remove(aspect.normaliser, path, kind, text);
    }
    order(path, left, right, pairs, findings);
    if left.comment != right.comment {
        let show = |comment| escape(&String::from_utf8_lossy(comment));
        let text = format!("comment of the archive: '{}' vs '{}'", show(left.comment), show(right.comment));
        findings.remove(Normaliser::ZipComments, path, kind, text);
    }
    if left.zip64 != right.zip64 {
        findings.remove(Normaliser::ZipHeaders, path, kind, "one of the archives has a Zip64 end record");
    }
}

/// The order in the central directory and that of the data.
fn order(path: &str, left: &Archive<'_>, right: &Archive<'_>, pairs: &[(usize, usize)], findings: &mut Findings) {
    // Pairs come in the order of the left directory; the right one agrees if its positions rise.
    let directory = pairs.windows(2).find(|two| two[0].1 > two[1].1).map(|two| two[1].0);
    let mut data: Vec<(usize, usize, usize)> =
        pairs.iter().map(|&(l, r)| (left.entries[l].local.position, right.entries[r].local.position, l)).collect();
    data.sort_unstable();
    let data = data.windows(2).find(|two| two[0].1 > two[1].1).map(|two| two[1].2);
    let text = match (directory, data) {
        (Some(l), _) => {
            let name = escape(left.entries[l].name);
            format!("entries are in another order: {name} comes earlier in the reference")
        }
        (None, Some(l)) => {
            format!("the data of {} stands at another place of the order", escape(left.entries[l].name))
        }
        (None, None) => return,
    };
    findings.remove(Normaliser::ZipEntryOrder, path, DifferenceKind::ArchiveMetadata, text);
}

fn show_time(date: u16, time: u16) -> String {
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02}",
        1980 + u32::from(date >> 9),
        date >> 5 & 15,
        date & 31,
        time >> 11,
        time >> 5 & 63,
        u32::from(time & 31) * 2
    )
}

fn show_mode(entry: &Entry<'_>) -> String {
    if entry.made_by >> 8 == 3 {
        return format!("{:04o}", entry.external >> 16 & 0o7777);
    }
    format!("{:#010x} (system {})", entry.external, entry.made_by >> 8)
}
