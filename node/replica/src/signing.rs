//! This authority's word on checkpoints, and the others'.
//!
//! Every function here stores before it returns, and returns only what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyrsia_digest::Sha256;
use pyrsia_ledger::{AuthorityKey, Block, Certificate, Checkpoint, Committee, Cosignature, NetworkId, PublicKey};
use pyrsia_store::{LedgerStore, StoreError};

use crate::chain::Chain;
use crate::replica::Clock;

const META_TIME: &str = "cosigned-until";
const META_STOPPED: &str = "signing-stopped";
/// (size, root) pairs of contradicting checkpoints that are remembered.
const MAX_CONTRADICTIONS: usize = 256;

/// Whether this node signs checkpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SigningStatus {
    /// It has no authority key, or the key is not in the committee.
    Observer,
    /// It signs.
    Signing,
    /// It has stopped signing, for good: a quorum of others signed another log than it computed.
    Stopped {
        /// Which checkpoints contradict each other.
        reason: String,
    },
}

/// What another authority's cosigned checkpoint means here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// It is not a member's valid signature over a checkpoint of this network.
    Invalid,
    /// It is about a log that is longer than the one here.
    Ahead,
    /// It is what this node computed; the cosignature is stored.
    Agrees,
    /// It contradicts what this node computed: these members condemned themselves, or this node is wrong.
    Contradicts {
        /// Members that signed the same other root for the same size.
        signers: Vec<PublicKey>,
    },
    /// A quorum of others contradicts this node, which has stopped signing.
    Stopped,
}

pub(crate) struct Signing {
    key: Option<AuthorityKey>,
    network: NetworkId,
    clock: Clock,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// No cosignature is made with an earlier time than the last one.
    last_time: u64,
    stopped: Option<String>,
    /// Newest cosignatures of the checkpoint of this size, by key. The database keeps the first of each.
    newest: (u64, BTreeMap<PublicKey, Cosignature>),
    contradictions: BTreeMap<(u64, Sha256), BTreeSet<PublicKey>>,
}

impl Signing {
    pub(crate) fn open(
        store: &LedgerStore,
        key: Option<AuthorityKey>,
        network: NetworkId,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let last_time =
            store.get_meta(META_TIME)?.and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
        let stopped = store.get_meta(META_STOPPED)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        if let Some(reason) = &stopped {
            tracing::error!(reason, "this authority has stopped signing");
        }
        Ok(Self { key, network, clock, memory: Mutex::new(Memory { last_time, stopped, ..Memory::default() }) })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn status(&self, committee: &Committee) -> SigningStatus {
        if let Some(reason) = &self.memory().stopped {
            return SigningStatus::Stopped { reason: reason.clone() };
        }
        match &self.key {
            Some(key) if committee.contains(&key.public()) => SigningStatus::Signing,
            _ => SigningStatus::Observer,
        }
    }

    pub(crate) fn checkpoint(&self, chain: &Chain) -> Checkpoint {
        Checkpoint::new(&self.network, chain.frontier.size(), chain.frontier.root())
    }

    /// Signs the checkpoint of a stored chain, unless it is signed already, and makes the certificate if it is complete.
    pub(crate) fn sign_stored(&self, store: &LedgerStore, chain: &Chain) -> Result<(), StoreError> {
        let size = chain.frontier.size();
        let mut memory = self.memory();
        memory.load(store, size)?;
        if let Some((key, name)) = self.member(&memory, chain)
            && !memory.newest.1.contains_key(&key.public())
        {
            let cosignature = self.cosign(store, &mut memory, chain, key, &name)?;
            let stored = store.put_cosignature(size, *key.public().as_bytes(), cosignature.to_line().into_bytes())?;
            if let Some(stored) = parse(&stored) {
                memory.newest.1.insert(key.public(), stored);
            }
        }
        if store.certificate(size)?.is_none() {
            self.certify(store, &memory, chain)?;
        }
        Ok(())
    }

    /// Signs the checkpoint of a stored chain again, with the present time, and returns this node's cosignature. None
    /// when this node does not sign.
    pub(crate) fn refresh(&self, store: &LedgerStore, chain: &Chain) -> Result<Option<Cosignature>, StoreError> {
        let mut memory = self.memory();
        memory.load(store, chain.frontier.size())?;
        let Some((key, name)) = self.member(&memory, chain) else {
            return Ok(None);
        };
        let cosignature = self.cosign(store, &mut memory, chain, key, &name)?;
        memory.newest.1.insert(key.public(), cosignature.clone());
        self.certify(store, &memory, chain)?;
        Ok(Some(cosignature))
    }

    /// The key, and the name under which the committee knows it, if this node may sign now.
    fn member(&self, memory: &Memory, chain: &Chain) -> Option<(&AuthorityKey, String)> {
        let key = self.key.as_ref()?;
        if memory.stopped.is_some() {
            return None;
        }
        let member = chain.certifying.member(&key.public())?;
        Some((key, member.name.clone()))
    }

    fn cosign(
        &self,
        store: &LedgerStore,
        memory: &mut Memory,
        chain: &Chain,
        key: &AuthorityKey,
        name: &str,
    ) -> Result<Cosignature, StoreError> {
        let time = (self.clock)().max(memory.last_time);
        store.put_meta(META_TIME, time.to_le_bytes().to_vec())?;
        memory.last_time = time;
        Ok(self.checkpoint(chain).cosign(key, name, time))
    }

    /// Stores a certificate when enough members have signed.
    fn certify(&self, store: &LedgerStore, memory: &Memory, chain: &Chain) -> Result<(), StoreError> {
        let cosignatures = memory
            .newest
            .1
            .iter()
            .filter(|(key, _)| chain.certifying.contains(key))
            .map(|(_, cosignature)| cosignature.clone())
            .collect::<Vec<_>>();
        if cosignatures.len() < chain.certifying.quorum() {
            return Ok(());
        }
        let certificate = Certificate::new(self.checkpoint(chain), cosignatures);
        match certificate.verify(&self.network, &chain.certifying) {
            Ok(_) => store.put_certificate(chain.frontier.size(), certificate.to_text().into_bytes()),
            Err(error) => {
                tracing::error!(error = %error, "stored cosignatures do not make a certificate");
                Ok(())
            }
        }
    }

    /// Takes another authority's word on a checkpoint.
    pub(crate) fn observe(
        &self,
        store: &LedgerStore,
        chain: &Chain,
        checkpoint: &Checkpoint,
        cosignature: &Cosignature,
    ) -> Result<Observed, StoreError> {
        let committee = &chain.certifying;
        let Some(member) = committee.by_name(&cosignature.name) else {
            return Ok(Observed::Invalid);
        };
        let key = member.authority_key;
        if checkpoint.origin != Checkpoint::origin_of(&self.network)
            || !checkpoint.verify_cosignature(cosignature, &key)
        {
            return Ok(Observed::Invalid);
        }
        let size = checkpoint.size;
        if size > chain.frontier.size() {
            return Ok(Observed::Ahead);
        }
        let mut memory = self.memory();
        if root_at(store, size)? == Some(checkpoint.root) {
            store.put_cosignature(size, *key.as_bytes(), cosignature.to_line().into_bytes())?;
            if size == chain.frontier.size() {
                memory.load(store, size)?;
                let newest = memory.newest.1.entry(key).or_insert_with(|| cosignature.clone());
                if newest.time < cosignature.time {
                    *newest = cosignature.clone();
                }
                self.certify(store, &memory, chain)?;
            }
            return Ok(Observed::Agrees);
        }
        if self.key.as_ref().is_some_and(|own| own.public() == key) {
            // This node's own key under another log: it was used elsewhere.
            tracing::error!("this authority's key has signed another log");
        }
        if memory.contradictions.len() >= MAX_CONTRADICTIONS {
            memory.contradictions.pop_first();
        }
        let signers = memory.contradictions.entry((size, checkpoint.root)).or_default();
        signers.insert(key);
        let signers: Vec<_> = signers.iter().copied().collect();
        tracing::error!(log.size = size, signers = signers.len(), "another authority signed another log");
        let own = self.key.as_ref().map(AuthorityKey::public);
        let others = signers.iter().filter(|signer| Some(**signer) != own).count();
        if others < committee.quorum() {
            return Ok(Observed::Contradicts { signers });
        }
        let reason = format!(
            "{others} authorities signed root {} for size {size}, which is not what this node computed",
            checkpoint.root
        );
        store.put_meta(META_STOPPED, reason.clone().into_bytes())?;
        tracing::error!(reason, "this authority stops signing");
        memory.stopped = Some(reason);
        Ok(Observed::Stopped)
    }
}

impl Memory {
    /// Turns to the checkpoint of this size.
    fn load(&mut self, store: &LedgerStore, size: u64) -> Result<(), StoreError> {
        if self.newest.0 == size && !self.newest.1.is_empty() {
            return Ok(());
        }
        let stored = store.cosignatures(size)?;
        let parsed = stored.into_iter().filter_map(|(key, line)| Some((PublicKey(key), parse(&line)?))).collect();
        self.newest = (size, parsed);
        Ok(())
    }
}

fn parse(line: &[u8]) -> Option<Cosignature> {
    let line = std::str::from_utf8(line).ok()?;
    Cosignature::parse_line(line.strip_suffix('\n').unwrap_or(line)).ok()
}

/// The root that this node computed for a size at which a block ended. None for other sizes: nobody signs those.
fn root_at(store: &LedgerStore, size: u64) -> Result<Option<Sha256>, StoreError> {
    if size == 0 {
        return Ok(Some(pyrsia_merkle::empty_root()));
    }
    let block = store.block_covering(size)?;
    Ok(block
        .filter(|block| block.log_size == size)
        .and_then(|block| Block::from_bytes(&block.block_bytes).ok())
        .map(|block| block.log_root))
}
