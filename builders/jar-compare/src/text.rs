//! Texts and bytes: how they are shown, and where they first differ.

/// Longest piece of a value that is shown, in characters.
const SHOWN: usize = 120;

/// Makes text safe to print on one line: control and formatting characters are escaped, long text is cut.
pub(crate) fn escape(text: &str) -> String {
    let mut shown = String::new();
    for (count, c) in text.chars().enumerate() {
        if count == SHOWN {
            shown.push('…');
            break;
        }
        let bidirectional = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if c.is_control() || bidirectional {
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

/// Where two texts first differ.
pub(crate) fn explain(left: &str, right: &str) -> String {
    if unix_lines(left.as_bytes()) == unix_lines(right.as_bytes()) {
        return format!("only line ends differ: {} vs {}", line_ends(left), line_ends(right));
    }
    let (mut l, mut r) = (left.lines(), right.lines());
    let mut number = 0u64;
    loop {
        number += 1;
        match (l.next(), r.next()) {
            (Some(a), Some(b)) if a == b => {}
            (Some(a), Some(b)) => {
                return format!("line {number}: {}", versus(a, b));
            }
            (Some(a), None) => {
                return format!("the rebuilt file goes on at line {number}: '{}'", escape(a));
            }
            (None, Some(b)) => {
                return format!("the reference goes on at line {number}: '{}'", escape(b));
            }
            (None, None) => {
                let end = |text: &str| {
                    if text.ends_with('\n') { "a newline" } else { "no newline" }
                };
                return format!("the end of the file: {} vs {}", end(left), end(right));
            }
        }
    }
}

/// Two different values side by side, in a form that shows the difference.
pub(crate) fn versus(a: &str, b: &str) -> String {
    let (a, b) = from_difference(a, b);
    format!("'{}' vs '{}'", escape(&a), escape(&b))
}

/// Both values whole, or, where they differ only far behind, from shortly before the difference.
fn from_difference(a: &str, b: &str) -> (String, String) {
    let same = a.chars().zip(b.chars()).take_while(|(x, y)| x == y).count();
    if same < SHOWN / 2 {
        return (a.to_owned(), b.to_owned());
    }
    let cut = |line: &str| format!("…{}", line.chars().skip(same - 20).collect::<String>());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn explanations() {
        let table = [
            ("a\nb\n", "a\nc\n", "line 2: 'b' vs 'c'"),
            ("a\r\nb\r\n", "a\nb\n", "only line ends differ: CRLF vs LF"),
            ("a\nb\n", "a\n", "the rebuilt file goes on at line 2: 'b'"),
            ("a\n", "a\nb\n", "the reference goes on at line 2: 'b'"),
            ("a\n", "a", "the end of the file: a newline vs no newline"),
            ("a\u{1b}[31m", "a", "line 1: 'a\\u{1b}[31m' vs 'a'"),
        ];
        for (left, right, expected) in table {
            assert_eq!(explain(left, right), expected);
        }
        assert_eq!(explain_bytes(b"abc", b"abd"), "3 bytes each, the first difference is at byte 2");
        assert_eq!(explain_bytes(b"abc", b"ab"), "3 vs 2 bytes, the first difference is at byte 2");
    }

    #[test]
    fn a_difference_far_behind_is_shown() {
        let line = "x".repeat(500);
        let text = explain(&format!("{line}a"), &format!("{line}b"));
        assert!(text.contains("xa'") && text.contains("xb'"), "{text}");
    }

    #[test]
    fn long_text_is_cut() {
        assert!(escape(&"ä".repeat(1000)).chars().count() <= SHOWN + 1);
    }
}
