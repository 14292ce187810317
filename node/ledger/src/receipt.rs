//! Receipts: proof for a third party that a quorum logged a verdict.
//!
//! A receipt proves that a quorum of the committee in office had this verdict in its log by the time of its
//! cosignatures. It does NOT prove that the verdict still stands, nor that the source is benign. Committees that were
//! replaced can still sign: whoever verifies regularly pins the newest committee it has seen ([`Pin`]).

use maven_layout::RepoPath;
use pyrsia_digest::Sha256;
use pyrsia_merkle::{ProofError, verify_inclusion};
use serde::{Deserialize, Serialize};

use crate::genesis::check_authorities;
use crate::{Certificate, CertificateError, CheckpointError, Committee, CommitteeLeaf, Genesis, GenesisError, Leaf};
use crate::{FileVerdict, NetworkId, Verdict};

/// Longest text of a receipt, in bytes.
pub const MAX_RECEIPT_BYTES: usize = 4 * 1024 * 1024;

/// Why a receipt is not accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The text is longer than [`MAX_RECEIPT_BYTES`].
    #[error("the receipt has {actual} bytes, at most {MAX_RECEIPT_BYTES} are allowed")]
    TooLong {
        /// Bytes that were given.
        actual: usize,
    },
    /// A line is missing or is not what belongs there.
    #[error("line {line}: {part} is missing or malformed")]
    Malformed {
        /// Number of the line, from 1.
        line: usize,
        /// What belongs there.
        part: &'static str,
    },
    /// The text can be read, but the same receipt has another, canonical text.
    #[error("not the canonical text of the receipt")]
    NotCanonical,
    /// A checkpoint in it cannot be read.
    #[error("a checkpoint cannot be read")]
    Checkpoint(#[from] CheckpointError),
    /// It is of another network.
    #[error("the receipt is of network {actual}, expected {expected}")]
    Network {
        /// Network of the receipt.
        actual: NetworkId,
        /// Network of the verifier.
        expected: NetworkId,
    },
    /// The verifier's genesis is not valid, or a committee that is handed over to is not.
    #[error("a committee is not valid")]
    Committee(#[from] GenesisError),
    /// The output list is not the one that the verdict names.
    #[error("the output list is not the one that the verdict names")]
    Outputs,
    /// A hand-over does not follow from the one before.
    #[error("hand-over {number} does not follow: {rule}")]
    Handover {
        /// Number of the hand-over, from 1.
        number: usize,
        /// What does not fit.
        rule: &'static str,
    },
    /// A leaf is not proven to be in the log.
    #[error("a leaf is not proven to be in the log")]
    Proof(#[from] ProofError),
    /// A certificate is not accepted.
    #[error("a certificate is not accepted")]
    Certificate(#[from] CertificateError),
    /// A certificate has more cosignatures than the quorum.
    #[error("a certificate has {actual} cosignatures, a receipt holds exactly {quorum}")]
    NotExactlyQuorum {
        /// Cosignatures that were given.
        actual: usize,
        /// The quorum.
        quorum: usize,
    },
    /// The receipt does not reach the committee that the verifier has pinned.
    #[error("the receipt does not pass through the committee of epoch {epoch} that was seen before")]
    Pinned {
        /// Epoch of the pinned committee.
        epoch: u32,
    },
}

/// The old committee's word that another one is in office.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handover {
    /// The leaf that names the new committee.
    pub leaf: CommitteeLeaf,
    /// Inclusion proof of the leaf in the certificate's tree.
    pub proof: Vec<Sha256>,
    /// By exactly a quorum of the old committee.
    pub certificate: Certificate,
}

/// The newest committee that a verifier has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Its epoch.
    pub epoch: u32,
    /// [`Committee::hash`].
    pub committee_hash: Sha256,
}

/// A receipt. Its text form is [`Receipt::to_text`]; there is no other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The network.
    pub network: NetworkId,
    /// The verdict: leaf and output list.
    pub verdict: Verdict,
    /// Inclusion proof of the verdict's leaf in the certificate's tree.
    pub proof: Vec<Sha256>,
    /// One for each change of the committee from genesis to the certificate, in order.
    pub handovers: Vec<Handover>,
    /// By exactly a quorum of the last committee.
    pub certificate: Certificate,
}

/// What a receipt proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerifiedReceipt {
    /// The verdict.
    pub verdict: Verdict,
    /// Index of its leaf.
    pub index: u64,
    /// Leaves of the log that it was proven to be in.
    pub log_size: u64,
    /// Root of that log.
    pub log_root: Sha256,
    /// A quorum had logged the verdict by this time, in seconds since 1970: the latest of its cosignatures' times but f, since
    /// so many may lie.
    pub time: u64,
    /// The committee that certified it: to be pinned.
    pub pin: Pin,
}

impl VerifiedReceipt {
    /// The verdict on the file at a path.
    pub fn file(&self, path: &RepoPath) -> Option<&FileVerdict> {
        (path.parent()? == self.verdict.coordinates.dir()).then(|| self.verdict.file(path.file_name()))?
    }
}

impl Receipt {
    /// Verifies against the network's genesis alone.
    pub fn verify(&self, genesis: &Genesis) -> Result<VerifiedReceipt, ReceiptError> {
        self.verify_pinned(genesis, None)
    }

    /// Verifies, and refuses a receipt that does not pass through the newest committee seen before.
    pub fn verify_pinned(&self, genesis: &Genesis, pin: Option<&Pin>) -> Result<VerifiedReceipt, ReceiptError> {
        genesis.check()?;
        let network = genesis.network_id();
        if self.network != network {
            return Err(ReceiptError::Network { actual: self.network, expected: network });
        }
        let mut committee = genesis.committee();
        let mut pinned = pin.is_none_or(|pin| is_pinned(pin, &committee));
        let mut last_index = None;
        for (position, handover) in self.handovers.iter().enumerate() {
            let number = position + 1;
            let refuse = |rule| Err(ReceiptError::Handover { number, rule });
            let leaf = &handover.leaf;
            if leaf.previous != committee.hash() {
                return refuse("it names another committee before it");
            }
            if committee.epoch.checked_add(1) != Some(leaf.committee.epoch) {
                return refuse("its epoch is not the next one");
            }
            if last_index.is_some_and(|last| leaf.index <= last) {
                return refuse("it comes before the one before it");
            }
            check_authorities(&leaf.committee.authorities)?;
            let bytes = Leaf::Committee(leaf.clone());
            check_leaf(&network, &committee, &handover.certificate, leaf.index, &bytes, &handover.proof)?;
            last_index = Some(leaf.index);
            committee = leaf.committee.clone();
            pinned |= pin.is_some_and(|pin| is_pinned(pin, &committee));
        }
        if let Some(pin) = pin.filter(|_| !pinned) {
            return Err(ReceiptError::Pinned { epoch: pin.epoch });
        }
        if last_index.is_some_and(|last| self.certificate.checkpoint.size <= last) {
            return Err(ReceiptError::Handover {
                number: self.handovers.len(),
                rule: "the last certificate is of a log that does not reach it",
            });
        }
        let leaf = self.verdict.leaf();
        // `leaf` copies the root; the list must be what it says.
        if Verdict::from_leaf(&leaf, self.verdict.files.clone()).as_ref() != Some(&self.verdict) {
            return Err(ReceiptError::Outputs);
        }
        let bytes = Leaf::Verdict(leaf);
        let time = check_leaf(&network, &committee, &self.certificate, self.verdict.index, &bytes, &self.proof)?;
        Ok(VerifiedReceipt {
            verdict: self.verdict.clone(),
            index: self.verdict.index,
            log_size: self.certificate.checkpoint.size,
            log_root: self.certificate.checkpoint.root,
            time,
            pin: Pin { epoch: committee.epoch, committee_hash: committee.hash() },
        })
    }

    /// The canonical text.
    pub fn to_text(&self) -> String {
        crate::receipt_text::print(self)
    }

    /// Reads a text. Only the canonical text of a receipt is accepted; whether it proves anything, `verify` says.
    pub fn parse(text: &str) -> Result<Self, ReceiptError> {
        if text.len() > MAX_RECEIPT_BYTES {
            return Err(ReceiptError::TooLong { actual: text.len() });
        }
        let receipt = crate::receipt_text::parse(text)?;
        if receipt.to_text() == text { Ok(receipt) } else { Err(ReceiptError::NotCanonical) }
    }
}

fn is_pinned(pin: &Pin, committee: &Committee) -> bool {
    pin.epoch == committee.epoch && pin.committee_hash == committee.hash()
}

/// Checks the certificate, its number of cosignatures and the inclusion of a leaf; returns its time.
fn check_leaf(
    network: &NetworkId,
    committee: &Committee,
    certificate: &Certificate,
    index: u64,
    leaf: &Leaf,
    proof: &[Sha256],
) -> Result<u64, ReceiptError> {
    let verified = certificate.verify(network, committee)?;
    let (actual, quorum) = (certificate.cosignatures.len(), committee.quorum());
    if actual != quorum {
        return Err(ReceiptError::NotExactlyQuorum { actual, quorum });
    }
    verify_inclusion(&verified.root, verified.size, index, &leaf.hash(), proof)?;
    Ok(verified.honest_time)
}
