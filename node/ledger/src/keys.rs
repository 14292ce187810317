//! Keys and signatures: ed25519 ([RFC 8032](https://www.rfc-editor.org/rfc/rfc8032)), always verified strictly.
//!
//! Three kinds of secret key are three types, so that one cannot be used where another is meant. Seeds come from the
//! caller: this crate has no randomness. The secret bytes are overwritten when a key is dropped.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::NetworkId;
use crate::canonical::framed;

/// Why a text is not a key or a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected} hexadecimal characters")]
pub struct KeyError {
    /// Characters that the text form has.
    pub expected: usize,
}

/// What a signature is for. No two uses share a prefix of the signed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Domain {
    Entry,
    PublisherRequest,
}

impl Domain {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Entry => "pyrsia-maven/entry/v1",
            Self::PublisherRequest => "pyrsia-maven/publisher-request/v1",
        }
    }

    pub(crate) fn message(self, network: &NetworkId, content: &[u8]) -> Vec<u8> {
        framed(&[self.as_str().as_bytes(), network.as_bytes(), content])
    }
}

macro_rules! hex_bytes {
    ($name:ident, $len:literal, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// The raw bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
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
            type Err = KeyError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| KeyError { expected: $len * 2 })?;
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

hex_bytes!(PublicKey, 32, "An ed25519 public key. Any 32 bytes: whether they are a key shows when they verify.");
hex_bytes!(Signature, 64, "An ed25519 signature.");

impl PublicKey {
    /// Whether `signature` is this key's over `message`, by the strict equation (which also refuses small-order keys).
    pub fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok())
    }

    /// Whether these bytes are a usable key: a point on the curve of large order, encoded canonically.
    pub fn is_usable(&self) -> bool {
        VerifyingKey::from_bytes(&self.0).is_ok_and(|key| !key.is_weak() && key.to_bytes() == self.0)
    }
}

macro_rules! secret_key {
    ($name:ident, $doc:literal) => {
        #[doc = $doc]
        #[derive(Clone)]
        pub struct $name(SigningKey);

        impl $name {
            /// Makes the key from its 32 secret bytes. The caller overwrites its own copy.
            pub fn from_seed(seed: &[u8; 32]) -> Self {
                Self(SigningKey::from_bytes(seed))
            }

            /// The public half.
            pub fn public(&self) -> PublicKey {
                PublicKey(self.0.verifying_key().to_bytes())
            }

            /// Signs bytes as they are. The caller has put a domain and the network id into them.
            pub fn sign(&self, message: &[u8]) -> Signature {
                Signature(self.0.sign(message).to_bytes())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // Never the secret half.
                write!(f, concat!(stringify!($name), "({})"), self.public())
            }
        }
    };
}

secret_key!(AuthorityKey, "Signs entries and checkpoints.");
secret_key!(ConsensusKey, "Signs units of the ordering protocol.");
secret_key!(PublisherKey, "A maintainer's key: signs requests to publish into a namespace.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_8032_vector() {
        // RFC 8032, section 7.1, TEST 2.
        let mut seed = [0; 32];
        hex::decode_to_slice("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", &mut seed).unwrap();
        let key = AuthorityKey::from_seed(&seed);
        assert_eq!(key.public().to_string(), "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let signature = key.sign(&[0x72]);
        assert!(signature.to_string().starts_with("92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"));
        assert!(key.public().verify(&[0x72], &signature));
        assert!(!key.public().verify(&[0x73], &signature));
    }

    #[test]
    fn small_order_key_verifies_nothing() {
        // The neutral element: under the permissive equation it "signs" every message with S = 0.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        assert!(!PublicKey(neutral).verify(b"anything", &Signature(signature)));
        assert!(!PublicKey(neutral).is_usable());
    }

    #[test]
    fn debug_shows_the_public_half_only() {
        let key = PublisherKey::from_seed(&[7; 32]);
        assert_eq!(format!("{key:?}"), format!("PublisherKey({})", key.public()));
    }

    #[test]
    fn text_form_is_strict_in_length() {
        assert!("00".parse::<PublicKey>().is_err());
        let key = PublisherKey::from_seed(&[7; 32]).public();
        assert_eq!(key.to_string().parse(), Ok(key));
    }
}
