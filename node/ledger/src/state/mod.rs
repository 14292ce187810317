//! The state of the ledger: what all applied entries amount to.

mod below;
mod conclude;
mod governance;
mod natives;
mod queries;
mod refusal;
mod requests;
mod rounds;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use below::Beyond;
use maven_layout::Coordinates;
pub use natives::{NativeFile, Natives};
use pyrsia_digest::Sha256;
pub use queries::ImageRecord;
pub use refusal::Refusal;

use crate::{
    Committee, Constants, EntryBody, FileVerdict, Genesis, GenesisError, Leaf, NamespaceGrant, NetworkId, PublicKey,
    ReleaseBlock, Round, RoundKey, SignedEntry, Subject, Verdict,
};

/// The newest rules that this program has.
pub const RULES_SUPPORTED: u32 = 1;

/// A namespace in force.
pub type Namespace = NamespaceGrant;

/// What an applied entry added to the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Index of the first leaf.
    pub first_index: u64,
    /// The entry, then what was derived from it.
    pub leaves: Vec<Leaf>,
}

/// What stands about a release. The headline and each file keep the strongest verdict that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standing {
    verdict: Arc<Verdict>,
    files: BTreeMap<String, FileVerdict>,
}

/// A proposal without a quorum yet.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pending {
    proposer: PublicKey,
    /// `None` for a free specification.
    body: Option<Arc<EntryBody>>,
    votes: BTreeSet<PublicKey>,
}

/// The state after some number of leaves.
///
/// Cloning copies a few pointers; the next change after a clone copies the maps that it touches. Closed rounds stay in
/// memory with their results: the state grows by decisions of quorums, by about the size of the entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    network: NetworkId,
    constants: Arc<Constants>,
    committee: Arc<Committee>,
    rules: u32,
    log_size: u64,
    rounds: Arc<BTreeMap<RoundKey, Arc<Round>>>,
    open: Arc<BTreeSet<RoundKey>>,
    /// The latest round of each release.
    latest: Arc<BTreeMap<Coordinates, RoundKey>>,
    standing: Arc<BTreeMap<Coordinates, Arc<Standing>>>,
    /// First published digest of each native file. Nothing ever removes one, not even a withdrawal.
    finals: Arc<BTreeMap<Coordinates, BTreeMap<String, Sha256>>>,
    /// By text of the group.
    namespaces: Arc<BTreeMap<String, Arc<Namespace>>>,
    images: Arc<BTreeMap<Sha256, ImageRecord>>,
    specifications: Arc<BTreeSet<Sha256>>,
    blocks: Arc<BTreeMap<Coordinates, ReleaseBlock>>,
    pending: Arc<BTreeMap<Subject, Pending>>,
}

impl State {
    /// The state before the first entry.
    pub fn new(genesis: &Genesis) -> Result<Self, GenesisError> {
        genesis.check()?;
        Ok(Self {
            network: genesis.network_id(),
            constants: Arc::new(genesis.constants.clone()),
            committee: Arc::new(genesis.committee()),
            rules: 1,
            log_size: 0,
            rounds: Arc::default(),
            open: Arc::default(),
            latest: Arc::default(),
            standing: Arc::default(),
            finals: Arc::default(),
            namespaces: Arc::default(),
            images: Arc::default(),
            specifications: Arc::default(),
            blocks: Arc::default(),
            pending: Arc::default(),
        })
    }

    /// Applies the next entry in order. On refusal nothing has changed.
    ///
    /// The function of state and entry alone: equal states applying equal entries stay equal, on every machine.
    pub fn apply(&mut self, entry: &SignedEntry) -> Result<Applied, Refusal> {
        if self.rules > RULES_SUPPORTED {
            return Err(Refusal::RulesUnknown { rules: self.rules, supported: RULES_SUPPORTED });
        }
        entry.check()?;
        let signer = entry.signer;
        if !self.committee.contains(&signer) {
            return Err(Refusal::NotAuthority { signer });
        }
        if !entry.verify(&self.network) {
            return Err(Refusal::Signature);
        }
        let first_index = self.log_size;
        // Each of these checks everything before it changes anything.
        let derived = match &entry.body {
            EntryBody::BuildRequest(body) => self.apply_request(signer, body),
            EntryBody::Inputs(body) => self.apply_inputs(signer, body),
            EntryBody::InputsFailed(body) => self.apply_inputs_failed(signer, body),
            EntryBody::InputsRejected(body) => self.apply_inputs_rejected(signer, body),
            EntryBody::Commitment(body) => self.apply_commitment(signer, body),
            EntryBody::Attestation(body) => self.apply_attestation(signer, body),
            EntryBody::Timeout(body) => self.apply_timeout(signer, body),
            EntryBody::Approval(body) => self.apply_approval(signer, body),
            EntryBody::NamespaceGrant(_)
            | EntryBody::ImageProposal(_)
            | EntryBody::Withdrawal(_)
            | EntryBody::Block(_)
            | EntryBody::AuthorityChange(_)
            | EntryBody::RulesChange(_) => self.apply_proposal(signer, &entry.body),
        }?;
        let mut leaves = vec![Leaf::Entry(entry.clone())];
        leaves.extend(derived);
        self.log_size += leaves.len() as u64;
        Ok(Applied { first_index, leaves })
    }

    /// Index of the `n`th leaf derived from the entry that is being applied.
    fn derived_index(&self, n: usize) -> u64 {
        self.log_size + 1 + n as u64
    }
}
