//! SHA-1 where nothing better is known of a file, and nothing is known of where its bytes come from.

use sha1_checked::Digest as _;

use crate::Sha1;

/// Computes a SHA-1 and looks whether the bytes were made to have that of other bytes
/// ([Stevens 2013](https://marc-stevens.nl/research/papers/C13-S.pdf), as git does).
///
/// Nobody can make other bytes for the SHA-1 of a given file. But who makes two files at once can make them equal under
/// SHA-1, publish one, and hand out the other. Such files are found by what the known attacks leave in them.
#[derive(Debug, Clone)]
pub struct CollisionHasher(sha1_checked::Sha1);

impl Default for CollisionHasher {
    fn default() -> Self {
        Self(sha1_checked::Sha1::new())
    }
}

impl CollisionHasher {
    /// Feeds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The SHA-1 of all bytes; `None` if there are other bytes with the same one.
    pub fn finish(self) -> Option<Sha1> {
        let found = self.0.try_finalize();
        let bytes: [u8; 20] = (*found.hash()).into();
        (!found.has_collision()).then(|| Sha1::from_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_bytes_have_their_ordinary_sha_1() {
        for bytes in [b"".as_slice(), b"abc", &[7; 100_000]] {
            let mut hasher = CollisionHasher::default();
            bytes.chunks(999).for_each(|chunk| hasher.update(chunk));
            assert_eq!(hasher.finish(), Some(Sha1::of(bytes)));
        }
    }

    /// The first 320 bytes of one of the two published documents with the same SHA-1 (shattered.io), in which the collision
    /// is complete: whatever follows.
    const SHATTERED: &str = "\
255044462d312e330a25e2e3cfd30a0a0a312030206f626a0a3c3c2f57696474682032203020522f4865696768742033203020522f54797065203420\
3020522f537562747970652035203020522f46696c7465722036203020522f436f6c6f7253706163652037203020522f4c656e677468203820302052\
2f42697473506572436f6d706f6e656e7420383e3e0a73747265616d0affd8fffe00245348412d3120697320646561642121212121852fec09233975\
9c39b1a1c63c4c97e1fffe017f46dc93a6b67e013b029aaa1db2560b45ca67d688c7f84b8c4c791fe02b3df614f86db1690901c56b45c1530afedfb7\
6038e972722fe7ad728f0e4904e046c230570fe9d41398abe12ef5bc942be33542a4802d98b5d70f2a332ec37fac3514e74ddc0f2cc1a874cd0c7830\
5a21566461309789606bd0bf3f98cda8044629a1";

    #[test]
    fn bytes_that_were_made_to_collide_are_found() {
        let bytes = hex::decode(SHATTERED).unwrap();
        assert_eq!(bytes.len(), 320);
        let mut hasher = CollisionHasher::default();
        hasher.update(&bytes);
        hasher.update(b"and any end");
        assert_eq!(hasher.finish(), None);
    }
}
