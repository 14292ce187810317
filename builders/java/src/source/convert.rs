//! What git does to the bytes of a file while it checks it out: line ends, and `$Id$`.
//!
//! The rules are those of [gitattributes](https://git-scm.com/docs/gitattributes) (`text`, `eol`, `ident`), in the
//! direction from the repository to the work folder; tests beside this compare whole checkouts with those of git itself.

use std::borrow::Cow;

use git2::Oid;

/// How lines end in the work folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Lines {
    /// As they are stored.
    #[default]
    Stored,
    /// With CRLF.
    Crlf,
    /// With CRLF, if the file looks like text and has no CR yet.
    CrlfIfText,
}

/// What happens to one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Conversion {
    pub(crate) lines: Lines,
    /// `$Id$` becomes `$Id: <the blob's id> $`.
    pub(crate) ident: bool,
}

impl Conversion {
    /// The bytes of the work folder for those of the blob.
    pub(crate) fn apply<'a>(&self, stored: &'a [u8], id: Oid) -> Cow<'a, [u8]> {
        // In this order, as git does it: the expanded keyword has no line end.
        let named = if self.ident { expand(stored, id) } else { Cow::Borrowed(stored) };
        let convert = match self.lines {
            Lines::Stored => false,
            Lines::Crlf => true,
            Lines::CrlfIfText => looks_like_text_without_cr(&named),
        };
        match convert.then(|| with_crlf(&named)).flatten() {
            Some(converted) => Cow::Owned(converted),
            None => named,
        }
    }
}

/// The text with a CR before each LF that has none; None if there is no such LF.
fn with_crlf(text: &[u8]) -> Option<Vec<u8>> {
    let bare = |at: usize| text[at] == b'\n' && (at == 0 || text[at - 1] != b'\r');
    let count = (0..text.len()).filter(|at| bare(*at)).count();
    if count == 0 {
        return None;
    }
    let mut converted = Vec::with_capacity(text.len() + count);
    for (at, byte) in text.iter().enumerate() {
        if bare(at) {
            converted.push(b'\r');
        }
        converted.push(*byte);
    }
    Some(converted)
}

/// What git takes for text when it has to guess: no NUL, no CR, and at most one unprintable byte for 128 printable ones.
fn looks_like_text_without_cr(bytes: &[u8]) -> bool {
    let (mut printable, mut unprintable) = (0usize, 0usize);
    for byte in bytes {
        match byte {
            b'\r' | 0 => return false,
            b'\n' => {}
            // Backspace, tab, form feed and escape stand in texts.
            8 | 9 | 12 | 27 => printable += 1,
            1..32 | 127 => unprintable += 1,
            _ => printable += 1,
        }
    }
    // An old end-of-file mark at the end counts for nothing.
    if bytes.last() == Some(&0x1a) {
        unprintable -= 1;
    }
    printable >> 7 >= unprintable
}

/// Expands each `$Id$`, and each `$Id: …$` that git may have written itself.
fn expand(text: &[u8], id: Oid) -> Cow<'_, [u8]> {
    let mut expanded = Vec::new();
    let mut rest = text;
    while let Some(at) = find(rest, b'$') {
        let (before, behind) = rest.split_at(at + 1);
        expanded.extend_from_slice(before);
        rest = behind;
        match keyword(rest) {
            Keyword::Ends(length) => {
                expanded.extend_from_slice(format!("Id: {id} $").as_bytes());
                rest = &rest[length..];
            }
            Keyword::None => {}
            Keyword::Unclosed => break,
        }
    }
    if expanded.is_empty() {
        return Cow::Borrowed(text);
    }
    expanded.extend_from_slice(rest);
    Cow::Owned(expanded)
}

enum Keyword {
    /// One that ends after this many bytes.
    Ends(usize),
    None,
    /// `Id:` and no dollar sign in the rest of the file.
    Unclosed,
}

/// Whether what follows a dollar sign is the rest of a keyword.
fn keyword(text: &[u8]) -> Keyword {
    if text.starts_with(b"Id$") {
        return Keyword::Ends(3);
    }
    let Some(value) = text.strip_prefix(b"Id:") else { return Keyword::None };
    let Some(end) = find(value, b'$') else { return Keyword::Unclosed };
    let value = &value[..end];
    // Over two lines, or with a space inside: somebody else's keyword.
    let inner = value.get(1..).unwrap_or_default();
    let foreign = find(inner, b' ').is_some_and(|space| space + 1 < inner.len());
    if value.contains(&b'\n') || foreign { Keyword::None } else { Keyword::Ends(3 + end + 1) }
}

fn find(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|byte| *byte == wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> Oid {
        Oid::from_str("0123456789012345678901234567890123456789").unwrap()
    }

    #[test]
    fn line_ends_are_added_once() {
        let crlf = Conversion { lines: Lines::Crlf, ident: false };
        for (stored, expected) in [("a\nb\n", "a\r\nb\r\n"), ("a\r\nb\n", "a\r\nb\r\n"), ("\n", "\r\n"), ("", "")] {
            assert_eq!(crlf.apply(stored.as_bytes(), id()), expected.as_bytes());
        }
        let guess = Conversion { lines: Lines::CrlfIfText, ident: false };
        for untouched in [&b"a\r\nb\n"[..], b"a\0\n", b"\x01\n", b"a\rb\n"] {
            assert_eq!(guess.apply(untouched, id()), untouched);
        }
        assert_eq!(guess.apply(b"a\n\x1a", id()).as_ref(), b"a\r\n\x1a");
        assert_eq!(Conversion::default().apply(b"a\n$Id$", id()).as_ref(), b"a\n$Id$");
    }

    #[test]
    fn keywords_of_others_are_left_alone() {
        let ident = Conversion { lines: Lines::Stored, ident: true };
        let full = format!("$Id: {} $", id());
        for (stored, expected) in [
            ("$Id$", full.as_str()),
            ("$Id: old $", &full),
            ("$Id: a.c 12 me $", "$Id: a.c 12 me $"),
            ("$Id: a\n$", "$Id: a\n$"),
            ("$Id: open", "$Id: open"),
            ("$Ide$", "$Ide$"),
            ("$", "$"),
        ] {
            assert_eq!(ident.apply(stored.as_bytes(), id()), expected.as_bytes(), "{stored}");
        }
    }
}
