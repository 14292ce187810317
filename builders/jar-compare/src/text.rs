//! Texts and bytes: how they are shown, and where they differ.

use std::borrow::Cow;

use crate::findings::Said;

/// Longest piece of a value that is shown, in characters.
pub(crate) const SHOWN: usize = 120;
/// Differing lines of a text that are shown.
const LINES: usize = 5;
/// Longer texts are told by their first difference alone, in bytes.
const MAX_LINED: usize = 16 << 20;

/// Makes text safe to print on one line: control and formatting characters are escaped, long text is cut.
pub(crate) fn escape(text: &str) -> String {
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN {
            shown.push('…');
            break;
        }
        let bidirectional = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || bidirectional || c == '\u{feff}' {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Bytes as text, if they are text: UTF-8 without NUL.
pub(crate) fn as_text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
}

const ASCII: &str = "ASCII";
const UTF_8: &str = "UTF-8";
const LATIN_1: &str = "ISO 8859-1 or the like";

/// A text, with the name of its encoding.
struct Decoded<'a> {
    encoding: &'static str,
    text: Cow<'a, str>,
}

/// Text in one of the encodings that files of releases have.
fn decode(bytes: &[u8]) -> Option<Decoded<'_>> {
    let utf16 = |encoding, read: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.get(2..)?.as_chunks::<2>();
        let text = char::decode_utf16(pairs.iter().map(|pair| read(*pair))).collect::<Result<String, _>>().ok()?;
        (rest.is_empty() && !text.contains('\0')).then_some(Decoded { encoding, text: text.into() })
    };
    match bytes {
        [0xef, 0xbb, 0xbf, rest @ ..] if as_text(rest).is_some() => {
            return Some(Decoded { encoding: "UTF-8 with a byte order mark", text: as_text(rest)?.into() });
        }
        [0xff, 0xfe, ..] => return utf16("UTF-16 (little-endian)", u16::from_le_bytes),
        [0xfe, 0xff, ..] => return utf16("UTF-16 (big-endian)", u16::from_be_bytes),
        _ => {}
    }
    if let Some(text) = as_text(bytes) {
        return Some(Decoded { encoding: if text.is_ascii() { ASCII } else { UTF_8 }, text: text.into() });
    }
    // Printable in ISO 8859-1, which is what texts are that are not UTF-8.
    let printable = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x0c | 0x20..=0x7e | 0xa0..);
    bytes.iter().all(printable).then(|| Decoded {
        encoding: LATIN_1,
        text: bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into(),
    })
}

/// CRLF to LF.
pub(crate) fn unix_lines(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (i, &byte) in bytes.iter().enumerate() {
        if byte != b'\r' || bytes.get(i + 1) != Some(&b'\n') {
            out.push(byte);
        }
    }
    out
}

/// Where two texts of different bytes differ; `None` if one of them is no text.
pub(crate) fn explain(left: &[u8], right: &[u8]) -> Option<Vec<Said>> {
    let (l, r) = (decode(left)?, decode(right)?);
    let mut said = Vec::new();
    // ASCII is UTF-8 and ISO 8859-1 too: no difference that anybody made.
    let is_plain = |encoding| matches!(encoding, ASCII | UTF_8 | LATIN_1);
    let compatible = [l.encoding, r.encoding].contains(&ASCII) && is_plain(l.encoding) && is_plain(r.encoding);
    if l.encoding != r.encoding && !compatible {
        let same = if l.text == r.text { "; the characters are the same" } else { "" };
        said.push(Said::at("encoding", format!("encoding: {} vs {}{same}", l.encoding, r.encoding)));
        if l.text == r.text {
            return Some(said);
        }
    }
    let (l, r) = (&*l.text, &*r.text);
    let ends = (line_ends(l), line_ends(r));
    if unix_lines(l.as_bytes()) == unix_lines(r.as_bytes()) {
        said.push(Said::at("line ends", format!("only line ends differ: {} vs {}", ends.0, ends.1)));
        return Some(said);
    }
    if ends.0 != ends.1 && ends.0 != "none" && ends.1 != "none" {
        said.push(Said::at("line ends", format!("line ends: {} vs {}", ends.0, ends.1)));
    }
    let before = said.len();
    if left.len().max(right.len()) > MAX_LINED {
        let same = l.lines().zip(r.lines()).take_while(|(a, b)| a == b).count();
        let (a, b) = (l.lines().nth(same), r.lines().nth(same));
        if a.is_some() || b.is_some() {
            said.push(pair(same + 1, a.unwrap_or_default(), b.unwrap_or_default()));
        }
    } else {
        lines(&l.lines().collect::<Vec<_>>(), &r.lines().collect::<Vec<_>>(), &mut said);
    }
    if said.len() == before {
        let end = |text: &str| if text.ends_with('\n') { "a newline" } else { "no newline" };
        said.push(Said::at("end of the file", format!("the end of the file: {} vs {}", end(l), end(r))));
    }
    Some(said)
}

/// Says which lines stand for which, once equal lines at both ends are left away.
fn lines(left: &[&str], right: &[&str], said: &mut Vec<Said>) {
    let before = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let (l, r) = (left.get(before..).unwrap_or_default(), right.get(before..).unwrap_or_default());
    let after = l.iter().rev().zip(r.iter().rev()).take_while(|(a, b)| a == b).count();
    let (l, r) = (l.get(..l.len() - after).unwrap_or_default(), r.get(..r.len() - after).unwrap_or_default());
    let first = before + 1;
    let range =
        |len: usize| if len == 1 { format!("line {first}") } else { format!("lines {first} to {}", before + len) };
    match (l, r) {
        ([], []) => {}
        ([a, ..], [b, ..]) if l.len() == r.len() => {
            if is_permutation(l, r) {
                let text = format!("{}: the same lines in another order, {}", range(l.len()), versus(a, b));
                said.push(Said::at(&range(l.len()), text));
                return;
            }
            let differing: Vec<_> = l.iter().zip(r).enumerate().filter(|(_, (a, b))| a != b).collect();
            said.extend(differing.iter().take(LINES).map(|(index, (a, b))| pair(first + index, a, b)));
            if differing.len() > LINES {
                said.push(Said::from(format!("and {} further lines differ", differing.len() - LINES)));
            }
        }
        ([a, ..], [b, ..]) => {
            let place = range(l.len());
            let there = range(r.len());
            let text = format!("{place} of the rebuilt file stand for {there} of the reference: {}", versus(a, b));
            said.push(Said::at(&place, text));
        }
        ([a, ..], []) => {
            let place = range(l.len());
            said.push(Said::at(&place, format!("{place} in the rebuilt file only: '{}'", escape(a))));
        }
        ([], [b, ..]) => {
            let place = range(r.len());
            said.push(Said::at(&place, format!("{place} in the reference only: '{}'", escape(b))));
        }
    }
}

fn pair(number: usize, a: &str, b: &str) -> Said {
    let place = format!("line {number}");
    Said::at(&place, format!("{place}: {}", versus(a, b)))
}

fn is_permutation(left: &[&str], right: &[&str]) -> bool {
    let (mut left, mut right) = (left.to_vec(), right.to_vec());
    left.sort_unstable();
    right.sort_unstable();
    left.len() > 1 && left == right
}

/// Two different values side by side, in a form that shows the difference.
pub(crate) fn versus(a: &str, b: &str) -> String {
    let (a, b) = from_difference(a, b);
    format!("'{}' vs '{}'", escape(&a), escape(&b))
}

/// Both values, or, where they differ only far behind, from shortly before the difference; no more than is shown.
fn from_difference(a: &str, b: &str) -> (String, String) {
    let same = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count();
    let skip = if same < SHOWN / 2 { 0 } else { same - 20 };
    let mark = if skip == 0 { "" } else { "…" };
    let cut = |line: &str| format!("{mark}{}", line.chars().skip(skip).take(SHOWN + 1).collect::<String>());
    (cut(a), cut(b))
}

fn line_ends(text: &str) -> &'static str {
    let crlf = text.matches("\r\n").count();
    match (crlf, text.matches('\n').count() - crlf) {
        (0, 0) => "none",
        (0, _) => "LF",
        (_, 0) => "CRLF",
        _ => "mixed",
    }
}

/// Sizes and first differing offset of two byte strings.
pub(crate) fn explain_bytes(left: &[u8], right: &[u8]) -> String {
    let at = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    if left.len() == right.len() {
        return format!("{} bytes each, the first difference is at byte {at}", left.len());
    }
    format!("{} vs {} bytes, the first difference is at byte {at}", left.len(), right.len())
}

/// The name of a format that holds other files, or an index of them, and that is not looked into.
pub(crate) fn unopened(bytes: &[u8]) -> Option<&'static str> {
    let starts = [
        (&b"\x1f\x8b"[..], "gzip"),
        (b"BZh", "bzip2"),
        (b"\xfd7zXZ\0", "xz"),
        (b"\x28\xb5\x2f\xfd", "Zstandard"),
        (b"7z\xbc\xaf\x27\x1c", "7z"),
        (b"Rar!\x1a\x07", "RAR"),
        (b"\xba\xbe\x1f\x15", "Jandex index"),
    ];
    let found = starts.into_iter().find(|(start, _)| bytes.starts_with(start)).map(|(_, name)| name);
    found.or_else(|| bytes.get(257..).is_some_and(|header| header.starts_with(b"ustar")).then_some("tar"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(left: &[u8], right: &[u8]) -> Vec<String> {
        explain(left, right).expect("both are texts").into_iter().map(|one| one.text).collect()
    }

    #[test]
    fn explanations() {
        let table: [(&str, &str, &[&str]); 14] = [
            ("a\nb\n", "a\nc\n", &["line 2: 'b' vs 'c'"]),
            ("a\r\nb\r\n", "a\nb\n", &["only line ends differ: CRLF vs LF"]),
            ("a\r\nb\r\n", "a\nc\n", &["line ends: CRLF vs LF", "line 2: 'b' vs 'c'"]),
            ("a\nb\n", "a\n", &["line 2 in the rebuilt file only: 'b'"]),
            ("a\n", "a\nb\nc\n", &["lines 2 to 3 in the reference only: 'b'"]),
            ("a\nx\nz\n", "a\nz\n", &["line 2 in the rebuilt file only: 'x'"]),
            ("a\n", "a", &["the end of the file: a newline vs no newline"]),
            ("a\r\nb", "a\nb\n", &["line ends: CRLF vs LF", "the end of the file: no newline vs a newline"]),
            ("a\u{1b}[31m", "a", &["line 1: 'a\\u{1b}[31m' vs 'a'"]),
            ("a\nb\nc\nd", "a\nc\nb\nd", &["lines 2 to 3: the same lines in another order, 'b' vs 'c'"]),
            (
                "a\nb\nc",
                "a\nd\nb2\nc",
                &["line 2 of the rebuilt file stand for lines 2 to 3 of the reference: 'b' vs 'd'"],
            ),
            ("1\n2\n3\n", "4\n2\n5\n", &["line 1: '1' vs '4'", "line 3: '3' vs '5'"]),
            ("ä\n", "a\n", &["line 1: 'ä' vs 'a'"]),
            (
                "1\n2\n3\n4\n5\n6\n7\n",
                "a\nb\nc\nd\ne\nf\ng\n",
                &[
                    "line 1: '1' vs 'a'",
                    "line 2: '2' vs 'b'",
                    "line 3: '3' vs 'c'",
                    "line 4: '4' vs 'd'",
                    "line 5: '5' vs 'e'",
                    "and 2 further lines differ",
                ],
            ),
        ];
        for (left, right, expected) in table {
            assert_eq!(said(left.as_bytes(), right.as_bytes()), expected);
        }
        assert_eq!(explain_bytes(b"abc", b"abd"), "3 bytes each, the first difference is at byte 2");
        assert_eq!(explain_bytes(b"abc", b"ab"), "3 vs 2 bytes, the first difference is at byte 2");
    }

    #[test]
    fn encodings() {
        let utf16: Vec<u8> = [0xfeff_u16].into_iter().chain("ä\n".encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let same = "; the characters are the same";
        let table: [(&[u8], &[u8], String); 5] = [
            ("ä\n".as_bytes(), b"\xe4\n", format!("encoding: UTF-8 vs ISO 8859-1 or the like{same}")),
            (&utf16, "ä\n".as_bytes(), format!("encoding: UTF-16 (little-endian) vs UTF-8{same}")),
            (b"\xef\xbb\xbfa", b"a", format!("encoding: UTF-8 with a byte order mark vs ASCII{same}")),
            ("ä\n".as_bytes(), b"\xe5\n", "encoding: UTF-8 vs ISO 8859-1 or the like".to_owned()),
            (b"\xe4\n", b"a\n", "line 1: 'ä' vs 'a'".to_owned()),
        ];
        for (left, right, expected) in table {
            assert_eq!(said(left, right)[0], expected);
        }
        for bytes in [&b"a\0"[..], b"\xff\xfea", b"\x01\xff", b"\xff\xfe\0\xd8"] {
            assert!(explain(bytes, b"a").is_none(), "{bytes:?} is no text");
        }
    }

    #[test]
    fn a_difference_far_behind_is_shown() {
        let line = "x".repeat(500);
        let text = &said(format!("{line}a").as_bytes(), format!("{line}b").as_bytes())[0];
        assert!(text.contains("xa'") && text.contains("xb'"), "{text}");
    }

    #[test]
    fn long_text_is_cut() {
        assert!(escape(&"ä".repeat(1000)).chars().count() <= SHOWN + 1);
        let lines = |last: &str| format!("{}{last}\n", "x\n".repeat(MAX_LINED / 2));
        let number = MAX_LINED / 2 + 1;
        assert_eq!(said(lines("a").as_bytes(), lines("b").as_bytes()), [format!("line {number}: 'a' vs 'b'")]);
        let (ended, open) = (lines("a"), lines("a").trim_end().to_owned());
        assert_eq!(said(ended.as_bytes(), open.as_bytes()), ["the end of the file: a newline vs no newline"]);
    }

    #[test]
    fn files_that_hold_others_have_a_name() {
        assert_eq!(unopened(b"\x1f\x8b\x08"), Some("gzip"));
        assert_eq!(unopened(&[&[b'a'; 257][..], b"ustar\0"].concat()), Some("tar"));
        assert_eq!(unopened(b"PK"), None);
    }
}
