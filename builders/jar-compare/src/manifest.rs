//! `META-INF/MANIFEST.MF`
//! ([format](https://docs.oracle.com/en/java/javase/17/docs/specs/jar/jar.html#jar-manifest)).

use std::collections::HashSet;

use crate::rules::{BUILD_METADATA_ATTRIBUTES, UNORDERED_VALUE_ATTRIBUTES};

/// Attributes in the order of the file.
pub(crate) type Attributes = Vec<(String, String)>;

/// A manifest taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) main: Attributes,
    /// Name and attributes (without `Name`) of the per-entry sections, in the order of the file.
    pub(crate) sections: Vec<(String, Attributes)>,
}

impl Manifest {
    /// `None` if the bytes are not a plain manifest (an attribute or section twice, a line without a colon):
    /// then nothing is normalised.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut blocks = blocks(bytes)?.into_iter();
        let main = blocks.next().unwrap_or_default();
        unique(main.iter().map(|(name, _)| name.to_ascii_lowercase()))?;
        let mut sections = Vec::new();
        for mut block in blocks {
            unique(block.iter().map(|(name, _)| name.to_ascii_lowercase()))?;
            let (first, name) = (!block.is_empty()).then(|| block.remove(0))?;
            if !first.eq_ignore_ascii_case("Name") {
                return None;
            }
            sections.push((name, block));
        }
        unique(sections.iter().map(|(name, _)| name.clone()))?;
        Some(Self { main, sections })
    }

    /// Takes out the digests of entries that belong to signatures, and sections that held nothing else.
    pub(crate) fn without_digests(mut self) -> Self {
        self.sections.retain_mut(|(_, attributes)| {
            attributes.retain(|(name, _)| !is_digest(name));
            !attributes.is_empty()
        });
        self
    }

    /// Everything that counts, in a fixed order and form.
    pub(crate) fn canonical(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut write = |section: &str, attributes: &Attributes| {
            let mut lines: Vec<(String, String)> = attributes
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), canonical_value(name, value)))
                .collect();
            lines.sort();
            out.extend_from_slice(format!("[{section}]\n").as_bytes());
            for (name, value) in lines {
                out.extend_from_slice(format!("{name}: {value}\n").as_bytes());
            }
        };
        write("", &self.main.iter().filter(|(name, _)| !is_build(name)).cloned().collect());
        let mut sections: Vec<_> = self.sections.iter().collect();
        sections.sort();
        for (name, attributes) in sections {
            write(name, attributes);
        }
        out
    }
}

/// True for attributes of [`BUILD_METADATA_ATTRIBUTES`].
pub(crate) fn is_build(name: &str) -> bool {
    BUILD_METADATA_ATTRIBUTES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// True for `SHA-256-Digest` and the like.
pub(crate) fn is_digest(name: &str) -> bool {
    name.to_ascii_lowercase().ends_with("-digest")
}

/// The value, its clauses sorted if their order means nothing.
pub(crate) fn canonical_value(name: &str, value: &str) -> String {
    if !UNORDERED_VALUE_ATTRIBUTES.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return value.to_owned();
    }
    let mut clauses = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (at, c) in value.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                clauses.push(value[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    clauses.push(value[start..].trim());
    clauses.sort_unstable();
    clauses.join(",")
}

/// Blocks of attributes between blank lines, continuation lines joined.
fn blocks(bytes: &[u8]) -> Option<Vec<Attributes>> {
    let mut logical: Vec<Vec<u8>> = Vec::new();
    for line in lines(bytes) {
        match (line.split_first(), logical.last_mut()) {
            // Lines are wrapped by bytes, so a character may be cut in two: join before decoding.
            (Some((b' ', rest)), Some(last)) if !last.is_empty() => last.extend_from_slice(rest),
            (Some((b' ', _)), _) => return None,
            _ => logical.push(line.to_vec()),
        }
    }
    let mut blocks = vec![Attributes::new()];
    let mut ended = false;
    for line in logical {
        let line = String::from_utf8(line).ok()?;
        if line.is_empty() {
            ended = true;
            continue;
        }
        let (name, value) = line.split_once(": ").or_else(|| line.strip_suffix(':').map(|name| (name, "")))?;
        if std::mem::take(&mut ended) {
            blocks.push(Attributes::new());
        }
        blocks.last_mut()?.push((name.to_owned(), value.to_owned()));
    }
    Some(blocks)
}

/// Lines that end with CRLF, LF or CR.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = rest.iter().position(|&byte| byte == b'\n' || byte == b'\r').unwrap_or(rest.len());
        let (line, after) = rest.split_at(end);
        rest = after.strip_prefix(b"\r\n").or_else(|| after.get(1..)).unwrap_or_default();
        Some(line)
    })
}

fn unique(names: impl Iterator<Item = String>) -> Option<()> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return None;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(text: &str) -> Option<Vec<u8>> {
        Manifest::parse(text.as_bytes()).map(|manifest| manifest.canonical())
    }

    #[test]
    fn sections_and_wrapping() {
        let parsed = Manifest::parse(
            b"Manifest-Version: 1.0\r\nLong: ab\r\n cd\r\nEmpty: \r\n\r\n\r\nName: a/B.class\r\nX: y\r\n\r\n",
        )
        .expect("parses");
        assert_eq!(parsed.main[1], ("Long".to_owned(), "abcd".to_owned()));
        assert_eq!(parsed.main[2], ("Empty".to_owned(), String::new()));
        assert_eq!(parsed.sections, [("a/B.class".to_owned(), vec![("X".to_owned(), "y".to_owned())])]);
    }

    #[test]
    fn equal_meaning_equal_canonical() {
        let table = [
            ("A: 1\nB: 2\n", "B: 2\r\nA: 1\r\n\r\n"),
            ("A: 1\nBuilt-By: x\n", "A: 1\nCreated-By: y\n"),
            ("A: 12\n", "A: 1\n 2\n"),
            ("a: 1\n", "A: 1\n"),
            ("Import-Package: a;v=\"[1,2)\",b\n", "Import-Package: b,a;v=\"[1,2)\"\n"),
            ("A: 1\n\nName: x\nC: 1\n\nName: y\nC: 2\n", "A: 1\n\nName: y\nC: 2\n\nName: x\nC: 1\n"),
        ];
        for (left, right) in table {
            assert_eq!(canonical(left), canonical(right), "{left:?} {right:?}");
            assert!(canonical(left).is_some());
        }
    }

    #[test]
    fn other_meaning_other_canonical() {
        let table = [
            ("A: 1\n", "A: 2\n"),
            ("Main-Class: a\n", "A: 1\n"),
            ("Class-Path: a b\n", "Class-Path: b a\n"),
            ("A: 1\n\nName: x\nBuilt-By: 1\n", "A: 1\n\nName: x\nBuilt-By: 2\n"),
            ("Bundle-ClassPath: a,b\n", "Bundle-ClassPath: b,a\n"),
        ];
        for (left, right) in table {
            assert_ne!(canonical(left), canonical(right), "{left:?} {right:?}");
        }
    }

    #[test]
    fn ambiguous_manifests_are_left_alone() {
        for text in
            ["A: 1\nA: 2\n", "A: 1\na: 2\n", "no colon\n", " x\n", "A: 1\n\nB: 2\n", "A: 1\n\nName: x\n\nName: x\n"]
        {
            assert_eq!(Manifest::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Manifest::parse(b"A: \xff\n"), None);
    }
}
