//! `META-INF/MANIFEST.MF`
//! ([format](https://docs.oracle.com/en/java/javase/17/docs/specs/jar/jar.html#jar-manifest)).

use std::collections::HashSet;

use crate::rules::{BUILD_METADATA_ATTRIBUTES, UNORDERED_VALUE_ATTRIBUTES};

/// Longest line before it is joined with others, in bytes, with its end: what all JVMs read.
const MAX_LINE: usize = 510;

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
    /// `None` if the bytes are not a plain manifest, of which every JVM reads the same: an attribute or section twice, a
    /// line without a colon and a space, a name with other characters or wrapped, a line that is too long, not ended, or
    /// ended by a carriage return alone, or `Multi-Release`, which JVMs look for in the bytes, wrapped. Then nothing is
    /// normalised.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        if !bytes.is_empty() && !bytes.ends_with(b"\n") {
            return None;
        }
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

/// True for `SHA-256-Digest` and the like: what signers write, and no attribute of anybody else.
pub(crate) fn is_digest(name: &str) -> bool {
    let algorithms = ["md5", "sha", "sha1", "sha-1", "sha-224", "sha-256", "sha-384", "sha-512"];
    let name = name.to_ascii_lowercase();
    name.strip_suffix("-digest").is_some_and(|algorithm| algorithms.contains(&algorithm))
}

/// The value, its clauses sorted if their order means nothing.
pub(crate) fn canonical_value(name: &str, value: &str) -> String {
    if !UNORDERED_VALUE_ATTRIBUTES.iter().any(|known| known.eq_ignore_ascii_case(name)) {
        return value.to_owned();
    }
    let mut clauses = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in value.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ',' if !quoted => {
                clauses.push(value[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    clauses.push(value[start..].trim());
    if quoted || clauses.contains(&"") {
        // Not what the format allows: nobody knows what is a clause here.
        return value.to_owned();
    }
    clauses.sort_unstable();
    clauses.join(",")
}

/// Blocks of attributes between blank lines, continuation lines joined.
fn blocks(bytes: &[u8]) -> Option<Vec<Attributes>> {
    let mut logical: Vec<Vec<u8>> = Vec::new();
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // A carriage return alone ends a line for newer JVMs only.
        if line.len() > MAX_LINE || line.contains(&b'\r') {
            return None;
        }
        match (line.split_first(), logical.last_mut()) {
            (Some((b' ', _)), Some(last))
                if last.get(..13).is_some_and(|name| name.eq_ignore_ascii_case(b"Multi-Release")) =>
            {
                return None;
            }
            // Lines are wrapped by bytes, so a character may be cut in two: join before decoding.
            (Some((b' ', rest)), Some(last)) if !last.is_empty() => last.extend_from_slice(rest),
            (Some((b' ', _)), _) => return None,
            // Values are wrapped, names are not: JVMs refuse such a line.
            (Some(_), _) if !line.windows(2).any(|pair| pair == b": ") => return None,
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
        let (name, value) = line.split_once(": ")?;
        if !is_name(name) {
            return None;
        }
        if std::mem::take(&mut ended) {
            blocks.push(Attributes::new());
        }
        blocks.last_mut()?.push((name.to_owned(), value.to_owned()));
    }
    Some(blocks)
}

/// Letters, digits, `-` and `_`, beginning with a letter or digit, at most 70.
fn is_name(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=70).contains(&name.len()) && name.bytes().all(good) && !name.starts_with(['-', '_'])
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
            ("Automatic-Module-Name: a\n", "Automatic-Module-Name: b\n"),
            ("Multi-Release: true\n", "Multi-Release: false\n"),
            ("Multi-Release: true\n", "Multi-Release: true \n"),
            ("Import-Package: a;v=\"\\\",\",b\n", "Import-Package: b,a;v=\"\\\"\",\n"),
            ("Import-Package: \"a,b\n", "Import-Package: b,\"a\n"),
        ];
        for (left, right) in table {
            assert_ne!(canonical(left), canonical(right), "{left:?} {right:?}");
        }
    }

    #[test]
    fn ambiguous_manifests_are_left_alone() {
        for text in [
            "A: 1\nA: 2\n",
            "A: 1\na: 2\n",
            "no colon\n",
            " x\n",
            "A: 1\n\nB: 2\n",
            "A: 1\n\nName: x\n\nName: x\n",
            "A: 1",
            "A:1\n",
            "A:\n",
            "A B: 1\n",
            "-A: 1\n",
            "\nA: 1\n",
            "Multi-Release: tr\n ue\n",
            "Main-Cl\n ass: a\n",
            "A:\n  1\n",
            "A: 1\n\nNa\n me: x\n",
            "A: 1\rB: 2\n",
            "A: 1\r",
        ] {
            assert_eq!(Manifest::parse(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(Manifest::parse(b"A: \xff\n"), None);
        assert_eq!(Manifest::parse(format!("A: {}\n", "x".repeat(600)).as_bytes()), None);
    }

    #[test]
    fn digests_are_those_of_signers() {
        for name in ["SHA-256-Digest", "SHA1-Digest", "md5-digest", "SHA-Digest"] {
            assert!(is_digest(name), "{name}");
        }
        for name in ["X-Digest", "Digest", "-Digest", "SHA-256-Digest-Manifest", "My-SHA-256-Digest"] {
            assert!(!is_digest(name), "{name}");
        }
    }
}
