//! Checksum files and headers: what to ask for, what they say, whether the bytes agree.

use std::fmt;

use maven_layout::{ChecksumAlgorithm, PathKind, RepoPath};
use pyrsia_blobs::Mismatch;
use pyrsia_digest::KnownDigests;

/// Largest checksum file, in bytes.
pub const MAX_CHECKSUM_BYTES: u64 = 4096;

/// What a file's bytes were verified against.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChecksumReport {
    /// A strong digest that the caller knew beforehand (SHA-256, SHA-512 or BLAKE3) matched, so the origin was not
    /// asked.
    pub expected: bool,
    /// Checksums of the origin that matched.
    pub verified: Vec<(ChecksumAlgorithm, ChecksumSource)>,
    /// Checksum files that the origin does not have.
    pub missing: Vec<ChecksumAlgorithm>,
    /// Checksum files that are none at all (a page, say), beside others that matched.
    pub unreadable: Vec<ChecksumAlgorithm>,
    /// Checksum files that were meant as one and hold none: cut off, or of another algorithm. Old releases have such.
    pub malformed: Vec<ChecksumAlgorithm>,
}

/// Where a checksum of the origin was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumSource {
    /// An `X-Checksum-*` header of the answer itself.
    Header,
    /// The checksum file beside the file.
    File,
}

impl ChecksumReport {
    /// True if there was nothing to verify the bytes against.
    pub fn is_unverified(&self) -> bool {
        !self.expected && self.verified.is_empty()
    }
}

/// `expected`, `sha1,sha512`, or nothing: what goes into a record.
impl fmt::Display for ChecksumReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if self.expected {
            f.write_str("expected")?;
            separator = ",";
        }
        for (algorithm, _) in &self.verified {
            write!(f, "{separator}{}", algorithm.extension())?;
            separator = ",";
        }
        Ok(())
    }
}

/// What the origin says of one algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Claim {
    Says(String),
    Missing,
    Unreadable,
    Malformed,
}

/// Which checksum file is asked for beside a file, and which ones when it says nothing.
///
/// SHA-1 is the one that repositories have for every file and close at hand. It comes from the same server as the bytes, so a
/// stronger one would prove no more: it shows what got damaged on the way. What must not be forged is known by SHA-256, of the
/// bytes that were seen first.
pub(crate) fn wanted(path: &RepoPath) -> Option<(ChecksumAlgorithm, &'static [ChecksumAlgorithm])> {
    use ChecksumAlgorithm::{Md5, Sha1, Sha256, Sha512};
    match path.kind() {
        // A checksum has none of its own.
        PathKind::Checksum { .. } => None,
        // Small files for which repositories seldom have more.
        PathKind::Metadata(_) | PathKind::Signature { .. } => Some((Sha1, &[Md5])),
        PathKind::Artifact { .. } | PathKind::Other => Some((Sha1, &[Sha256, Sha512, Md5])),
    }
}

/// The response header in which some servers state a checksum.
pub(crate) fn header(algorithm: ChecksumAlgorithm) -> &'static str {
    match algorithm {
        ChecksumAlgorithm::Md5 => "x-checksum-md5",
        ChecksumAlgorithm::Sha1 => "x-checksum-sha1",
        ChecksumAlgorithm::Sha256 => "x-checksum-sha256",
        ChecksumAlgorithm::Sha512 => "x-checksum-sha512",
    }
}

/// Finds the checksum in the text of a checksum file, as lower-case hexadecimal: alone, before a file name, or after
/// one (`file: ab...`, `SHA1(file)= ab...`). A word of another length is not one.
pub fn parse(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Option<String> {
    let digits = match algorithm {
        ChecksumAlgorithm::Md5 => 32,
        ChecksumAlgorithm::Sha1 => 40,
        ChecksumAlgorithm::Sha256 => 64,
        ChecksumAlgorithm::Sha512 => 128,
    };
    let text = std::str::from_utf8(bytes).ok()?;
    text.trim_start_matches('\u{feff}')
        .split(|c: char| c.is_whitespace() || c == '=' || c == '\0')
        .find(|word| word.len() == digits && word.bytes().all(|b| b.is_ascii_hexdigit()))
        .map(str::to_ascii_lowercase)
}

/// What a checksum file says. A page or a JSON document in its place is told apart from a checksum that somebody got wrong:
/// where these come for everything, the file is one too.
pub(crate) fn read(algorithm: ChecksumAlgorithm, bytes: &[u8]) -> Claim {
    match parse(algorithm, bytes) {
        Some(says) => Claim::Says(says),
        None if bytes.contains(&b'<') || is_json(bytes) || std::str::from_utf8(bytes).is_err() => Claim::Unreadable,
        None => Claim::Malformed,
    }
}

fn is_json(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first().is_some_and(|first| matches!(first, b'{' | b'['))
}

/// Compares the bytes with one claim.
pub(crate) fn check(algorithm: ChecksumAlgorithm, says: &str, digests: &KnownDigests) -> Result<(), Mismatch> {
    let actual = digests.checksum(algorithm);
    if actual.as_deref() == Some(says) {
        return Ok(());
    }
    let what = match algorithm {
        ChecksumAlgorithm::Md5 => "MD5",
        ChecksumAlgorithm::Sha1 => "SHA-1",
        ChecksumAlgorithm::Sha256 => "SHA-256",
        ChecksumAlgorithm::Sha512 => "SHA-512",
    };
    Err(Mismatch { what, expected: says.to_owned(), actual: actual.unwrap_or_else(|| "not known".to_owned()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use pyrsia_digest::FileDigests;

    const SHA1: &str = "a9993e364706816aba3e25717850c26c9cd0d89d";

    #[test]
    fn the_forms_that_repositories_have() {
        for text in [
            SHA1.to_owned(),
            format!("{SHA1}\n"),
            format!("{SHA1}\r\n"),
            format!("\u{feff}{SHA1}"),
            SHA1.to_uppercase(),
            format!("{SHA1}  lib-1.0.jar\n"),
            format!("{SHA1} *lib-1.0.jar"),
            format!("lib-1.0.jar: {SHA1}"),
            format!("SHA1(lib-1.0.jar)= {SHA1}\n"),
            format!("SHA1 (lib-1.0.jar) = {SHA1}"),
        ] {
            assert_eq!(parse(ChecksumAlgorithm::Sha1, text.as_bytes()).as_deref(), Some(SHA1), "{text:?}");
            assert_eq!(parse(ChecksumAlgorithm::Sha256, text.as_bytes()), None, "{text:?}");
        }
        for text in ["", "<html>404</html>", &SHA1[1..], &format!("{SHA1}0"), &SHA1.replace('a', "g")] {
            assert_eq!(parse(ChecksumAlgorithm::Sha1, text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse(ChecksumAlgorithm::Sha1, &[0xff, 0xfe]), None);
    }

    #[test]
    fn only_equal_digests_pass() {
        let digests = FileDigests::of(b"abc");
        let known = KnownDigests::from(digests.clone());
        for algorithm in ChecksumAlgorithm::ALL {
            assert_eq!(check(algorithm, &digests.checksum(algorithm), &known), Ok(()));
            assert!(check(algorithm, &FileDigests::of(b"abd").checksum(algorithm), &known).is_err());
        }
        let named = KnownDigests { others: None, ..known };
        assert!(check(ChecksumAlgorithm::Sha1, &digests.checksum(ChecksumAlgorithm::Sha1), &named).is_err());
    }

    #[test]
    fn what_is_asked_for() {
        let others = |path: &str| wanted(&path.parse().unwrap()).map(|(_, others)| others.len());
        assert_eq!(others("g/a/1.0/a-1.0.jar"), Some(3));
        assert_eq!(others("g/a/1.0/a-1.0.jar.sha1"), None);
        assert_eq!(others("g/a/1.0/a-1.0.jar.asc"), Some(1));
        assert_eq!(others("g/a/maven-metadata.xml"), Some(1));
    }

    proptest::proptest! {
        #[test]
        fn no_file_panics(bytes: Vec<u8>) {
            for algorithm in ChecksumAlgorithm::ALL {
                let _ = parse(algorithm, &bytes);
            }
        }
    }
}
