//! All digests of a file in one pass.

use sha2::Digest as _;

use crate::{Blake3, ChecksumAlgorithm, Md5, Sha1, Sha256, Sha512};

/// Size and every digest of one file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FileDigests {
    /// Length in bytes.
    pub size: u64,
    /// MD5 of the content.
    pub md5: Md5,
    /// SHA-1 of the content.
    pub sha1: Sha1,
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// SHA-512 of the content.
    pub sha512: Sha512,
    /// BLAKE3 of the content.
    pub blake3: Blake3,
}

impl FileDigests {
    /// Digests of bytes held in memory.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = MultiHasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The text that the checksum file of this algorithm holds (hexadecimal, no newline).
    pub fn checksum(&self, algorithm: ChecksumAlgorithm) -> String {
        match algorithm {
            ChecksumAlgorithm::Md5 => self.md5.to_string(),
            ChecksumAlgorithm::Sha1 => self.sha1.to_string(),
            ChecksumAlgorithm::Sha256 => self.sha256.to_string(),
            ChecksumAlgorithm::Sha512 => self.sha512.to_string(),
        }
    }
}

/// Computes every digest of a stream in one pass.
#[derive(Default)]
pub struct MultiHasher {
    size: u64,
    md5: md5::Md5,
    sha1: sha1::Sha1,
    sha256: sha2::Sha256,
    sha512: sha2::Sha512,
    blake3: blake3::Hasher,
}

impl MultiHasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Feeds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        // A stream of 2^64 bytes cannot occur; saturating keeps the function total.
        self.size = self.size.saturating_add(bytes.len() as u64);
        self.md5.update(bytes);
        self.sha1.update(bytes);
        self.sha256.update(bytes);
        self.sha512.update(bytes);
        self.blake3.update(bytes);
    }

    /// Bytes seen so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digests of all bytes seen.
    pub fn finish(self) -> FileDigests {
        FileDigests {
            size: self.size,
            md5: Md5::from_bytes(self.md5.finalize().into()),
            sha1: Sha1::from_bytes(self.sha1.finalize().into()),
            sha256: Sha256::from_bytes(self.sha256.finalize().into()),
            sha512: Sha512::from_bytes(self.sha512.finalize().into()),
            blake3: Blake3::from_bytes(*self.blake3.finalize().as_bytes()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_for_abc() {
        let d = FileDigests::of(b"abc");
        assert_eq!(d.size, 3);
        assert_eq!(d.md5.to_string(), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(d.sha1.to_string(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(d.sha256.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(d.sha512.to_string().starts_with("ddaf35a193617abacc417349ae204131"));
        assert_eq!(d.blake3.to_string(), "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
    }

    proptest::proptest! {
        #[test]
        fn pieces_do_not_matter(bytes: Vec<u8>, cut in 0usize..1000) {
            let cut = cut.min(bytes.len());
            let mut h = MultiHasher::new();
            h.update(&bytes[..cut]);
            h.update(&bytes[cut..]);
            proptest::prop_assert_eq!(h.finish(), FileDigests::of(&bytes));
        }

        #[test]
        fn text_form_round_trips(bytes: Vec<u8>) {
            let d = Sha512::of(&bytes);
            proptest::prop_assert_eq!(d.to_string().parse::<Sha512>(), Ok(d));
            proptest::prop_assert_eq!(d.to_string().to_uppercase().parse::<Sha512>(), Ok(d));
        }

        #[test]
        fn no_text_panics(text: String) {
            let _ = text.parse::<Sha1>();
        }
    }
}
