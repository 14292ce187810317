//! Requests to build a release.

use borsh::{BorshDeserialize, BorshSerialize};
use maven_layout::{CanonicalRepository, Coordinates};
use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};

use super::{EntryError, check_ascending, check_count, check_rule, check_text};
use crate::canonical::{encode, framed};
use crate::keys::Domain;
use crate::{CommitId, NetworkId, PublicKey, PublisherKey, RoundKey, Signature};

/// Most releases that one build may make.
pub const MAX_COORDINATES: usize = 64;
/// Longest coordinates in text form, in bytes.
pub const MAX_COORDINATES_BYTES: usize = 512;
/// Longest name of a tag, in bytes.
const MAX_TAG_BYTES: usize = 255;

/// The two kinds of release.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, BorshSerialize, BorshDeserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Published by rebuilding: the files served are those that the builders agree on.
    Native,
    /// Published elsewhere: rebuilt and compared with what is there.
    Upstream,
}

/// A maintainer's signature on a native request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct PublisherSignature {
    /// A publisher key of the namespace.
    pub key: PublicKey,
    /// Signature over (domain, network id, the request without `publisher` and with `reopening` 0).
    pub signature: Signature,
}

/// Asks for one build of one or more releases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct BuildRequest {
    /// The releases, ascending by their text, none twice; 1 to 64; no snapshots.
    #[borsh(
        serialize_with = "crate::canonical::text::write_list",
        deserialize_with = "crate::canonical::text::read_list"
    )]
    pub coordinates: Vec<Coordinates>,
    /// Native or upstream.
    pub mode: Mode,
    /// Where the source is.
    #[borsh(serialize_with = "crate::canonical::text::write", deserialize_with = "crate::canonical::text::read")]
    pub repository: CanonicalRepository,
    /// The tag under `refs/tags` that names the commit. Native requests must have one.
    pub tag: Option<String>,
    /// The commit to build.
    #[borsh(serialize_with = "crate::canonical::text::write", deserialize_with = "crate::canonical::text::read")]
    pub commit: CommitId,
    /// Digest of the specification's canonical text.
    pub specification: Sha256,
    /// Digest of the builder image.
    pub image: Sha256,
    /// Digest of the sandbox profile.
    pub profile: Sha256,
    /// Version of the comparator, from 1.
    pub comparator: u32,
    /// The publisher's signature: required for native requests, refused on upstream ones.
    pub publisher: Option<PublisherSignature>,
    /// How often a round with this key was opened before: 0, unless it was abandoned without any verdict.
    pub reopening: u32,
}

impl BuildRequest {
    /// The round that this request opens. Two requests that would make the same build have the same key.
    pub fn round_key(&self) -> RoundKey {
        let coordinates: Vec<String> = self.coordinates.iter().map(ToString::to_string).collect();
        RoundKey(Sha256::of(&framed(&[
            b"pyrsia-maven/round/v1",
            &encode(&coordinates),
            &encode(&self.mode),
            self.repository.to_string().as_bytes(),
            self.commit.as_str().as_bytes(),
            self.specification.as_bytes(),
            self.image.as_bytes(),
            self.profile.as_bytes(),
            &self.comparator.to_le_bytes(),
        ])))
    }

    /// Signs the request as a publisher, in place.
    pub fn sign_as_publisher(&mut self, network: &NetworkId, key: &PublisherKey) {
        let signature = key.sign(&self.publisher_message(network));
        self.publisher = Some(PublisherSignature { key: key.public(), signature });
    }

    /// Whether the publisher's signature is there and valid for this network.
    pub fn verify_publisher(&self, network: &NetworkId) -> bool {
        let message = self.publisher_message(network);
        self.publisher.as_ref().is_some_and(|publisher| publisher.key.verify(&message, &publisher.signature))
    }

    /// The signed bytes leave `reopening` out, so that an abandoned round needs no second signature of a maintainer.
    fn publisher_message(&self, network: &NetworkId) -> Vec<u8> {
        let signed = Self { publisher: None, reopening: 0, ..self.clone() };
        Domain::PublisherRequest.message(network, &encode(&signed))
    }

    pub(crate) fn check(&self) -> Result<(), EntryError> {
        check_count("coordinates", self.coordinates.len(), 1, MAX_COORDINATES)?;
        // By text, not by Maven's version order: the encoding must not depend on how versions compare.
        check_ascending("coordinates", &self.coordinates, ToString::to_string)?;
        for coordinates in &self.coordinates {
            check_text("coordinates", &coordinates.to_string(), MAX_COORDINATES_BYTES)?;
            let version = coordinates.version.to_string().to_ascii_uppercase();
            check_rule("coordinates", "a snapshot is no release", !version.ends_with("SNAPSHOT"))?;
        }
        check_text("repository", self.repository.as_ref(), super::MAX_TEXT_BYTES)?;
        if let Some(tag) = &self.tag {
            check_rule("tag", "a tag has a name", !tag.is_empty())?;
            check_text("tag", tag, MAX_TAG_BYTES)?;
        }
        check_rule("comparator", "versions start at 1", self.comparator > 0)?;
        match self.mode {
            Mode::Native => {
                check_rule("tag", "a native request names a tag", self.tag.is_some())?;
                check_rule("publisher", "a native request is signed by a publisher", self.publisher.is_some())
            }
            Mode::Upstream => {
                check_rule("publisher", "an upstream request carries no publisher signature", self.publisher.is_none())
            }
        }
    }
}
