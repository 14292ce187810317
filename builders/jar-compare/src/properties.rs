//! `.properties` files, as far as a comparison needs them
//! ([format](https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/util/Properties.html#load(java.io.Reader))).
//!
//! Keys and values keep their escapes: equal text is enough here, and unequal text is shown as it is written.

use std::collections::BTreeMap;

use crate::findings::Said;
use crate::text::{escape, versus};

/// A properties file taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Properties {
    pub(crate) comments: Vec<String>,
    /// In the order of the file.
    pub(crate) pairs: Vec<(String, String)>,
}

impl Properties {
    /// `None` if the bytes are no text, a key occurs twice, or a line is continued: then nothing is normalised.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = crate::text::as_text(bytes)?;
        let (mut comments, mut pairs) = (Vec::new(), BTreeMap::new());
        let mut order = Vec::new();
        for line in text.split(['\n', '\r']) {
            let line = line.trim_start_matches([' ', '\t', '\u{c}']);
            if line.is_empty() {
                continue;
            }
            if line.starts_with(['#', '!']) {
                comments.push(line.to_owned());
                continue;
            }
            if (line.len() - line.trim_end_matches('\\').len()) % 2 == 1 {
                return None;
            }
            let (key, value) = split(line);
            if pairs.insert(key.to_owned(), ()).is_some() {
                return None;
            }
            order.push((key.to_owned(), value.to_owned()));
        }
        Some(Self { comments, pairs: order })
    }

    /// The pairs sorted by key, one a line, without those of the given keys.
    pub(crate) fn canonical(&self, without: &[&str]) -> Vec<u8> {
        let mut pairs: Vec<_> = self.pairs.iter().filter(|(key, _)| !without.contains(&key.as_str())).collect();
        pairs.sort();
        let lines: Vec<String> = pairs.into_iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        lines.concat().into_bytes()
    }

    /// What differs, key by key; at most `limit` sentences.
    pub(crate) fn explain(&self, other: &Self, limit: usize) -> Vec<Said> {
        let left: BTreeMap<_, _> = self.pairs.iter().cloned().collect();
        let right: BTreeMap<_, _> = other.pairs.iter().cloned().collect();
        let mut out = Vec::new();
        let mut say = |key: &str, text: String| out.push(Said::at(&format!("key {}", escape(key)), text));
        for (key, value) in &left {
            match right.get(key) {
                Some(there) if there == value => {}
                Some(there) => say(key, format!("key {}: {}", escape(key), versus(value, there))),
                None => say(key, format!("key {} is in the rebuilt file only", escape(key))),
            }
        }
        for key in right.keys().filter(|key| !left.contains_key(*key)) {
            say(key, format!("key {} is in the reference only", escape(key)));
        }
        let more = out.len().saturating_sub(limit);
        out.truncate(limit);
        if more > 0 {
            out.push(Said::from(format!("and {more} further keys differ")));
        }
        out
    }
}

/// Splits at the first `=`, `:` or white space that is not escaped.
fn split(line: &str) -> (&str, &str) {
    let mut escaped = false;
    let mut end = line.len();
    for (at, c) in line.char_indices() {
        if !escaped && matches!(c, '=' | ':' | ' ' | '\t' | '\u{c}') {
            end = at;
            break;
        }
        escaped = c == '\\' && !escaped;
    }
    let (key, rest) = line.split_at(end);
    let rest = rest.trim_start_matches([' ', '\t', '\u{c}']);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches([' ', '\t', '\u{c}']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_values() {
        let parsed = Properties::parse(b"#c\r\n! d\r\n\r\n a = b \r\nc:d\r\ne f=g\r\nh\\:i=j\r\nk").expect("parses");
        let pairs: Vec<_> = parsed.pairs.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(pairs, [("a", "b "), ("c", "d"), ("e", "f=g"), ("h\\:i", "j"), ("k", "")]);
        assert_eq!(parsed.comments, ["#c", "! d"]);
    }

    #[test]
    fn odd_files_are_left_alone() {
        assert_eq!(Properties::parse(b"a=1\na=2\n"), None, "a key twice");
        assert_eq!(Properties::parse(b"a=1\\\n 2\n"), None, "a continued line");
        assert!(Properties::parse(b"a=1\\\\\nb=2\n").is_some(), "an escaped backslash continues nothing");
        assert_eq!(Properties::parse(b"a=\xff"), None, "no UTF-8");
    }

    #[test]
    fn explanations_name_the_key() {
        let left = Properties::parse(b"a=1\nb=2\nc=3\n").expect("parses");
        let right = Properties::parse(b"a=1\nb=9\nd=4\n").expect("parses");
        let said = |limit| left.explain(&right, limit).into_iter().map(|one| one.text).collect::<Vec<_>>();
        assert_eq!(
            said(10),
            ["key b: '2' vs '9'", "key c is in the rebuilt file only", "key d is in the reference only"]
        );
        assert_eq!(said(1), ["key b: '2' vs '9'", "and 2 further keys differ"]);
    }
}
