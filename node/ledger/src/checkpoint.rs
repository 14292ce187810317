//! Checkpoints of the log, their cosignatures, and certificates.
//!
//! Formats: [C2SP tlog-checkpoint](https://c2sp.org/tlog-checkpoint) without extension lines, and
//! [`cosignature/v1`](https://c2sp.org/tlog-cosignature). The origin holds the network id, so a cosignature of one
//! network says nothing in another.

use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};
use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};

use crate::genesis::MAX_AUTHORITIES;
use crate::note;
use crate::{AuthorityKey, Committee, NetworkId, PublicKey, Signature};

/// Longest text of a certificate, in bytes.
pub const MAX_CERTIFICATE_BYTES: usize = 32 * 1024;
/// Begins each origin.
const ORIGIN_PREFIX: &str = "pyrsia-maven/";

/// Why a text is not a checkpoint or a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The text is longer than [`MAX_CERTIFICATE_BYTES`].
    #[error("the text has {actual} bytes, at most {MAX_CERTIFICATE_BYTES} are allowed")]
    TooLong {
        /// Bytes that were given.
        actual: usize,
    },
    /// A line is missing or is not what belongs there.
    #[error("{part} is missing or malformed")]
    Malformed {
        /// Which part.
        part: &'static str,
    },
    /// The text can be read, but the same content has another, canonical text.
    #[error("not the canonical text")]
    NotCanonical,
}

/// Why a certificate is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It is of another network.
    #[error("the checkpoint's origin is {actual:?}, expected {expected:?}")]
    Origin {
        /// The origin in the checkpoint.
        actual: String,
        /// The origin of the network.
        expected: String,
    },
    /// A cosigner is no member of the committee.
    #[error("{name:?} is no member of the committee")]
    NotMember {
        /// The cosigner's name.
        name: String,
    },
    /// Cosigners are not in strictly ascending order of their names.
    #[error("cosigners are not in strictly ascending order")]
    Order,
    /// A cosignature does not verify.
    #[error("the cosignature of {name} does not verify")]
    Signature {
        /// The cosigner's name.
        name: String,
    },
    /// There are too few cosignatures.
    #[error("{actual} cosignatures, the committee needs {quorum}")]
    Quorum {
        /// Cosignatures that were given.
        actual: usize,
        /// Cosignatures that are needed.
        quorum: usize,
    },
}

/// The log at one size.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Checkpoint {
    /// `pyrsia-maven/<network id>`.
    pub origin: String,
    /// Leaves of the log.
    pub size: u64,
    /// Merkle root.
    pub root: Sha256,
}

/// One authority's signature over a checkpoint and a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Cosignature {
    /// Name of the authority.
    pub name: String,
    /// First bytes of the hash of name and key.
    pub key_id: [u8; 4],
    /// When it was made, by the authority's clock: seconds since 1970.
    pub time: u64,
    /// The signature.
    pub signature: Signature,
}

/// A checkpoint with cosignatures, ascending by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, BorshSerialize, BorshDeserialize)]
pub struct Certificate {
    /// What is certified.
    pub checkpoint: Checkpoint,
    /// By whom.
    pub cosignatures: Vec<Cosignature>,
}

/// A checkpoint that a quorum of a committee cosigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct VerifiedCheckpoint {
    /// Leaves of the log.
    pub size: u64,
    /// Merkle root.
    pub root: Sha256,
    /// A quorum said so then or later (seconds since 1970): of the cosignatures' times the q-th newest. Members that are
    /// down do not make it older, and fewer than q liars do not make it younger than the honest ones of a quorum say.
    pub quorum_time: u64,
    /// A member that is honest, if at most f lie, said so then or later: the (f+1)-th newest time.
    pub honest_time: u64,
}

impl Checkpoint {
    /// The checkpoint of a network's log.
    pub fn new(network: &NetworkId, size: u64, root: Sha256) -> Self {
        Self { origin: Self::origin_of(network), size, root }
    }

    /// The origin of a network's log.
    pub fn origin_of(network: &NetworkId) -> String {
        format!("{ORIGIN_PREFIX}{network}")
    }

    /// The note's text: three lines, each with its newline.
    pub fn to_text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, note::base64(self.root.as_bytes()))
    }

    /// Cosigns the checkpoint. `unix_seconds` is the caller's clock.
    pub fn cosign(&self, key: &AuthorityKey, name: &str, unix_seconds: u64) -> Cosignature {
        Cosignature {
            name: name.to_owned(),
            key_id: note::key_id(name, &key.public()),
            time: unix_seconds,
            signature: key.sign(&self.cosigned_message(unix_seconds)),
        }
    }

    /// Whether the cosignature is this key's, under the cosignature's name.
    pub fn verify_cosignature(&self, cosignature: &Cosignature, key: &PublicKey) -> bool {
        cosignature.key_id == note::key_id(&cosignature.name, key)
            && key.verify(&self.cosigned_message(cosignature.time), &cosignature.signature)
    }

    fn cosigned_message(&self, time: u64) -> Vec<u8> {
        format!("cosignature/v1\ntime {time}\n{}", self.to_text()).into_bytes()
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = |part| CheckpointError::Malformed { part };
        let mut lines = text.split('\n');
        let origin = lines.next().filter(|line| line.starts_with(ORIGIN_PREFIX)).ok_or(malformed("origin"))?;
        let size = lines.next().and_then(|line| line.parse().ok()).ok_or(malformed("size"))?;
        let root = lines.next().and_then(note::from_base64).and_then(|bytes| bytes.try_into().ok());
        let root = Sha256::from_bytes(root.ok_or(malformed("root"))?);
        let checkpoint = Self { origin: origin.to_owned(), size, root };
        if checkpoint.to_text() == text { Ok(checkpoint) } else { Err(CheckpointError::NotCanonical) }
    }
}

impl Cosignature {
    /// The signature line, with its newline.
    pub fn to_line(&self) -> String {
        let mut blob = self.key_id.to_vec();
        blob.extend_from_slice(&self.time.to_be_bytes());
        blob.extend_from_slice(self.signature.as_bytes());
        note::signature_line(&self.name, &blob)
    }

    /// Reads a signature line, without its newline.
    pub fn parse_line(line: &str) -> Result<Self, CheckpointError> {
        let malformed = CheckpointError::Malformed { part: "cosignature" };
        let (name, blob) = note::parse_signature_line(line).ok_or(malformed.clone())?;
        let blob: [u8; 76] = blob.try_into().map_err(|_| malformed)?;
        let (mut key_id, mut time, mut signature) = ([0; 4], [0; 8], [0; 64]);
        key_id.copy_from_slice(&blob[..4]);
        time.copy_from_slice(&blob[4..12]);
        signature.copy_from_slice(&blob[12..]);
        Ok(Self { name: name.to_owned(), key_id, time: u64::from_be_bytes(time), signature: Signature(signature) })
    }
}

impl Certificate {
    /// Puts cosignatures in order; of several by one name the latest stays.
    pub fn new(checkpoint: Checkpoint, mut cosignatures: Vec<Cosignature>) -> Self {
        cosignatures.sort_by(|a, b| a.name.cmp(&b.name).then(b.time.cmp(&a.time)));
        cosignatures.dedup_by(|later, first| later.name == first.name);
        Self { checkpoint, cosignatures }
    }

    /// The signed note.
    pub fn to_text(&self) -> String {
        let mut text = self.checkpoint.to_text();
        text.push('\n');
        for cosignature in &self.cosignatures {
            text.push_str(&cosignature.to_line());
        }
        text
    }

    /// Keeps the first `count` cosignatures by name: a receipt holds exactly a quorum.
    pub fn truncated(&self, count: usize) -> Self {
        let mut shorter = self.clone();
        shorter.cosignatures.truncate(count);
        shorter
    }

    /// Checks origin, membership, order, number and every signature. One bad cosignature refuses the certificate.
    pub fn verify(&self, network: &NetworkId, committee: &Committee) -> Result<VerifiedCheckpoint, CertificateError> {
        let expected = Checkpoint::origin_of(network);
        if self.checkpoint.origin != expected {
            return Err(CertificateError::Origin { actual: self.checkpoint.origin.clone(), expected });
        }
        if !self.cosignatures.windows(2).all(|pair| pair[0].name < pair[1].name) {
            return Err(CertificateError::Order);
        }
        let (actual, quorum) = (self.cosignatures.len(), committee.quorum());
        if actual < quorum {
            return Err(CertificateError::Quorum { actual, quorum });
        }
        let mut times = Vec::with_capacity(self.cosignatures.len());
        for cosignature in &self.cosignatures {
            let name = &cosignature.name;
            let member = committee.by_name(name).ok_or_else(|| CertificateError::NotMember { name: name.clone() })?;
            if !self.checkpoint.verify_cosignature(cosignature, &member.authority_key) {
                return Err(CertificateError::Signature { name: name.clone() });
            }
            times.push(cosignature.time);
        }
        times.sort_unstable_by(|a, b| b.cmp(a));
        // There are at least as many times as the quorum, and the quorum is more than the number of liars.
        let at = |place: usize| times.get(place).copied().unwrap_or_default();
        Ok(VerifiedCheckpoint {
            size: self.checkpoint.size,
            root: self.checkpoint.root,
            quorum_time: at(quorum - 1),
            honest_time: at(committee.faulty()),
        })
    }
}

impl FromStr for Certificate {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() > MAX_CERTIFICATE_BYTES {
            return Err(CheckpointError::TooLong { actual: text.len() });
        }
        let end = text.find("\n\n").ok_or(CheckpointError::Malformed { part: "empty line" })?;
        let checkpoint = text[..=end].parse()?;
        let mut cosignatures = Vec::new();
        for line in text[end + 2..].lines() {
            if cosignatures.len() == MAX_AUTHORITIES {
                return Err(CheckpointError::Malformed { part: "number of cosignatures" });
            }
            cosignatures.push(Cosignature::parse_line(line)?);
        }
        let certificate = Self { checkpoint, cosignatures };
        if certificate.to_text() == text { Ok(certificate) } else { Err(CheckpointError::NotCanonical) }
    }
}
