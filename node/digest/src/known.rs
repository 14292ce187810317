//! What is known of a file while it is not worth hashing it five times.

use sha2::Digest as _;

use crate::{Blake3, ChecksumAlgorithm, FileDigests, Md5, Sha1, Sha256, Sha512};

/// Size and SHA-256 of a file, which name it everywhere here, and its other digests once somebody has computed them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDigests {
    /// Length in bytes.
    pub size: u64,
    /// SHA-256 of the content.
    pub sha256: Sha256,
    /// The others; none while nobody has needed them.
    pub others: Option<OtherDigests>,
}

/// The digests that do not name a file here: Maven's clients ask for some of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherDigests {
    /// MD5 of the content.
    pub md5: Md5,
    /// SHA-1 of the content.
    pub sha1: Sha1,
    /// SHA-512 of the content.
    pub sha512: Sha512,
    /// BLAKE3 of the content.
    pub blake3: Blake3,
}

impl KnownDigests {
    /// All digests, if all are known.
    pub fn all(&self) -> Option<FileDigests> {
        let OtherDigests { md5, sha1, sha512, blake3 } = self.others.clone()?;
        Some(FileDigests { size: self.size, md5, sha1, sha256: self.sha256, sha512, blake3 })
    }

    /// The text that the checksum file of this algorithm holds, if the digest is known.
    pub fn checksum(&self, algorithm: ChecksumAlgorithm) -> Option<String> {
        let others = self.others.as_ref();
        match algorithm {
            ChecksumAlgorithm::Sha256 => Some(self.sha256.to_string()),
            ChecksumAlgorithm::Md5 => others.map(|others| others.md5.to_string()),
            ChecksumAlgorithm::Sha1 => others.map(|others| others.sha1.to_string()),
            ChecksumAlgorithm::Sha512 => others.map(|others| others.sha512.to_string()),
        }
    }
}

impl From<FileDigests> for KnownDigests {
    fn from(all: FileDigests) -> Self {
        let FileDigests { size, md5, sha1, sha256, sha512, blake3 } = all;
        Self { size, sha256, others: Some(OtherDigests { md5, sha1, sha512, blake3 }) }
    }
}

/// Equal if all are known, and are these.
impl PartialEq<FileDigests> for KnownDigests {
    fn eq(&self, other: &FileDigests) -> bool {
        self.all().as_ref() == Some(other)
    }
}

impl PartialEq<KnownDigests> for FileDigests {
    fn eq(&self, other: &KnownDigests) -> bool {
        other == self
    }
}

/// Computes of a stream what names it, and nothing else: several times as fast as [`crate::MultiHasher`].
#[derive(Default)]
pub struct NameHasher {
    size: u64,
    sha256: sha2::Sha256,
}

impl NameHasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Feeds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.size = self.size.saturating_add(bytes.len() as u64);
        self.sha256.update(bytes);
    }

    /// Bytes seen so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Size and SHA-256 of all bytes seen.
    pub fn finish(self) -> KnownDigests {
        KnownDigests { size: self.size, sha256: Sha256::from_bytes(self.sha256.finalize().into()), others: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_what_was_computed() {
        let all = FileDigests::of(b"abc");
        let known = KnownDigests::from(all.clone());
        assert_eq!(known.all(), Some(all.clone()));
        assert_eq!(known, all);
        let mut hasher = NameHasher::new();
        hasher.update(b"a");
        hasher.update(b"bc");
        let named = hasher.finish();
        assert_eq!((named.size, named.sha256, named.all()), (3, all.sha256, None));
        assert_ne!(named, all);
        for algorithm in ChecksumAlgorithm::ALL {
            assert_eq!(known.checksum(algorithm), Some(all.checksum(algorithm)));
            let expected = (algorithm == ChecksumAlgorithm::Sha256).then(|| all.checksum(algorithm));
            assert_eq!(named.checksum(algorithm), expected);
        }
    }
}
