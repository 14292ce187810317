//! What a caller knows about the bytes before they arrive.

use pyrsia_digest::{Blake3, FileDigests, KnownDigests, Md5, Sha1, Sha256, Sha512};

/// What is known of a file beforehand; every field that is set must hold. The default expects nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expected {
    /// Size in bytes.
    pub size: Option<u64>,
    /// MD5.
    pub md5: Option<Md5>,
    /// SHA-1.
    pub sha1: Option<Sha1>,
    /// SHA-256.
    pub sha256: Option<Sha256>,
    /// SHA-512.
    pub sha512: Option<Sha512>,
    /// BLAKE3.
    pub blake3: Option<Blake3>,
}

/// The first difference between what was expected and what came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {actual}, expected {expected}")]
pub struct Mismatch {
    /// `size`, `MD5`, `SHA-1`, `SHA-256`, `SHA-512` or `BLAKE3`.
    pub what: &'static str,
    /// What was expected, as text (bytes in decimal, digests in hexadecimal).
    pub expected: String,
    /// What came.
    pub actual: String,
}

impl Expected {
    /// Expects nothing but these SHA-256 bytes.
    pub fn sha256(digest: Sha256) -> Self {
        Self { sha256: Some(digest), ..Self::default() }
    }

    /// Expects all of these.
    pub fn exactly(digests: &FileDigests) -> Self {
        Self {
            size: Some(digests.size),
            md5: Some(digests.md5),
            sha1: Some(digests.sha1),
            sha256: Some(digests.sha256),
            sha512: Some(digests.sha512),
            blake3: Some(digests.blake3),
        }
    }

    /// True if a collision-resistant digest is among the expectations (SHA-256, SHA-512 or BLAKE3; SHA-1 and MD5 are
    /// not): only then may the bytes come from somebody who is not trusted.
    pub fn is_strong(&self) -> bool {
        self.sha256.is_some() || self.sha512.is_some() || self.blake3.is_some()
    }

    /// Compares, the size before all and then the strongest digest first. A digest that is expected and not known is a
    /// difference.
    ///
    /// # Errors
    /// The first difference.
    pub fn check(&self, actual: &KnownDigests) -> Result<(), Mismatch> {
        let others = actual.others.as_ref();
        differs("size", self.size, Some(actual.size))?;
        differs("SHA-512", self.sha512, others.map(|others| others.sha512))?;
        differs("SHA-256", self.sha256, Some(actual.sha256))?;
        differs("BLAKE3", self.blake3, others.map(|others| others.blake3))?;
        differs("SHA-1", self.sha1, others.map(|others| others.sha1))?;
        differs("MD5", self.md5, others.map(|others| others.md5))
    }
}

fn differs<T: PartialEq + ToString>(
    what: &'static str,
    expected: Option<T>,
    actual: Option<T>,
) -> Result<(), Mismatch> {
    if expected.is_none() || expected == actual {
        return Ok(());
    }
    let text = |value: Option<T>| value.map_or_else(|| "not known".to_owned(), |value| value.to_string());
    Err(Mismatch { what, expected: text(expected), actual: text(actual) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_single_expectation_is_checked() {
        let all = FileDigests::of(b"right");
        let right = KnownDigests::from(all.clone());
        let wrong = Expected::exactly(&FileDigests::of(b"wrong!"));
        assert_eq!(Expected::default().check(&right), Ok(()));
        assert_eq!(Expected::exactly(&all).check(&right), Ok(()));
        let one = [
            ("size", Expected { size: wrong.size, ..Expected::default() }),
            ("MD5", Expected { md5: wrong.md5, ..Expected::default() }),
            ("SHA-1", Expected { sha1: wrong.sha1, ..Expected::default() }),
            ("SHA-256", Expected { sha256: wrong.sha256, ..Expected::default() }),
            ("SHA-512", Expected { sha512: wrong.sha512, ..Expected::default() }),
            ("BLAKE3", Expected { blake3: wrong.blake3, ..Expected::default() }),
        ];
        for (what, expected) in one {
            assert_eq!(expected.check(&right).unwrap_err().what, what);
            // Right digests beside the wrong one do not help.
            let mut mixed = Expected::exactly(&all);
            match what {
                "size" => mixed.size = wrong.size,
                "MD5" => mixed.md5 = wrong.md5,
                "SHA-1" => mixed.sha1 = wrong.sha1,
                "SHA-256" => mixed.sha256 = wrong.sha256,
                "SHA-512" => mixed.sha512 = wrong.sha512,
                _ => mixed.blake3 = wrong.blake3,
            }
            assert_eq!(mixed.check(&right).unwrap_err().what, what);
        }
    }

    #[test]
    fn what_is_not_known_is_not_taken_for_right() {
        let all = FileDigests::of(b"right");
        let named = KnownDigests { others: None, ..KnownDigests::from(all.clone()) };
        let name = Expected { size: Some(all.size), ..Expected::sha256(all.sha256) };
        assert_eq!(name.check(&named), Ok(()));
        for (what, expected) in [
            ("MD5", Expected { md5: Some(all.md5), ..name.clone() }),
            ("SHA-1", Expected { sha1: Some(all.sha1), ..name.clone() }),
            ("SHA-512", Expected { sha512: Some(all.sha512), ..name.clone() }),
            ("BLAKE3", Expected { blake3: Some(all.blake3), ..name.clone() }),
        ] {
            let mismatch = expected.check(&named).unwrap_err();
            assert_eq!((mismatch.what, mismatch.actual.as_str()), (what, "not known"));
        }
    }

    #[test]
    fn sha1_and_md5_are_not_strong() {
        let all = Expected::exactly(&FileDigests::of(b"x"));
        assert!(all.is_strong());
        assert!(!Expected { sha256: None, sha512: None, blake3: None, ..all }.is_strong());
    }
}
