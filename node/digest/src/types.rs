//! The newtypes. Text form: lower-case hexadecimal.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseDigestError {
    /// The text has another number of characters than the algorithm's hexadecimal form.
    #[error("{algorithm} digest must have {expected} hexadecimal characters, got {actual}")]
    Length {
        /// Name of the algorithm.
        algorithm: &'static str,
        /// Characters that the algorithm's form has.
        expected: usize,
        /// Characters (bytes of UTF-8) that were given.
        actual: usize,
    },
    /// A character is not a hexadecimal digit.
    #[error("{algorithm} digest holds a character that is not hexadecimal")]
    NotHex {
        /// Name of the algorithm.
        algorithm: &'static str,
    },
}

macro_rules! digest_type {
    ($name:ident, $len:literal, $label:literal, $doc:literal, |$bytes:ident| $of:expr) => {
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length of the digest in bytes.
            pub const LEN: usize = $len;

            /// Takes the raw bytes of a digest.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Hashes a message held in memory.
            pub fn of($bytes: &[u8]) -> Self {
                Self($of)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseDigestError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if text.len() != $len * 2 {
                    return Err(ParseDigestError::Length { algorithm: $label, expected: $len * 2, actual: text.len() });
                }
                let mut bytes = [0u8; $len];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseDigestError::NotHex { algorithm: $label })?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

digest_type!(
    Md5,
    16,
    "MD5",
    "MD5 ([RFC 1321](https://www.rfc-editor.org/rfc/rfc1321)): a checksum of old clients, never proof of anything.",
    |bytes| md5::Md5::digest(bytes).into()
);
digest_type!(
    Sha1,
    20,
    "SHA-1",
    "SHA-1 ([FIPS 180-4](https://csrc.nist.gov/pubs/fips/180-4/upd1/final)): Maven's checksum; never trusted from a peer.",
    |bytes| sha1::Sha1::digest(bytes).into()
);
digest_type!(
    Sha256,
    32,
    "SHA-256",
    "SHA-256 ([FIPS 180-4](https://csrc.nist.gov/pubs/fips/180-4/upd1/final)): names files and entries in this network.",
    |bytes| sha2::Sha256::digest(bytes).into()
);
digest_type!(
    Sha512,
    64,
    "SHA-512",
    "SHA-512 ([FIPS 180-4](https://csrc.nist.gov/pubs/fips/180-4/upd1/final)).",
    |bytes| sha2::Sha512::digest(bytes).into()
);
digest_type!(
    Blake3,
    32,
    "BLAKE3",
    "BLAKE3 ([specification](https://github.com/BLAKE3-team/BLAKE3-specs)): verified streaming between peers.",
    |bytes| *blake3::hash(bytes).as_bytes()
);

/// The checksum algorithms that a Maven repository offers beside each file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChecksumAlgorithm {
    /// `.md5`
    Md5,
    /// `.sha1`
    Sha1,
    /// `.sha256`
    Sha256,
    /// `.sha512`
    Sha512,
}

impl ChecksumAlgorithm {
    /// All of them, the weakest first.
    pub const ALL: [Self; 4] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512];

    /// The file name extension, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}
