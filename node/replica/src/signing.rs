//! This authority's word on checkpoints, and the others'.
//!
//! Every function here stores before it returns, and returns only what is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use pyrsia_ledger::{AuthorityKey, Block, Certificate, Checkpoint, Committee, NetworkId, PublicKey};
use pyrsia_store::{LedgerStore, StoreError};

use crate::chain::Chain;
use crate::receipt::parse_certificate;
use crate::replica::Clock;
use crate::word::{Head, Said, Word, time_of};

const META_TIME: &str = "cosigned-until";
const META_STOPPED: &str = "signing-stopped";
/// Where the evidence against a member is kept, by its key.
fn condemned_name(key: &PublicKey) -> String {
    format!("condemned/{key}")
}

/// The newest certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Certified {
    /// Leaves of the certified log; 0 also while there is no certificate.
    pub size: u64,
    /// When a quorum had said so, in seconds since 1970; 0 while there is no certificate.
    pub time: u64,
}

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
    /// Its author has signed another log before, and is not believed any more.
    Condemned,
    /// It contradicts what this node computed: these members condemned themselves, or this node is wrong.
    Contradicts {
        /// Members that have signed another log so far.
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
    newest: (u64, BTreeMap<PublicKey, Said>),
    /// Members that have signed another log than this node computed.
    condemned: BTreeSet<PublicKey>,
    certified: Certified,
}

impl Signing {
    pub(crate) fn open(
        store: &LedgerStore,
        chain: &Chain,
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
        let certified = match store.latest_certificate()? {
            None => Certified::default(),
            Some((size, bytes)) => {
                let (_, committee) = head_at(store, &network, chain, size)?;
                let time = parse_certificate(&bytes).map_or(0, |certificate| time_of(&certificate, committee));
                Certified { size, time }
            }
        };
        let mut condemned = BTreeSet::new();
        for member in &chain.state.committee().authorities {
            if store.get_meta(&condemned_name(&member.authority_key))?.is_some() {
                condemned.insert(member.authority_key);
            }
        }
        let memory = Memory { last_time, stopped, certified, condemned, ..Memory::default() };
        Ok(Self { key, network, clock, memory: Mutex::new(memory) })
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

    /// Members that have signed another log than this node computed.
    pub(crate) fn condemned(&self) -> Vec<PublicKey> {
        self.memory().condemned.iter().copied().collect()
    }

    pub(crate) fn checkpoint(&self, chain: &Chain) -> Checkpoint {
        self.head(chain).log
    }

    fn head(&self, chain: &Chain) -> Head {
        Head::of(&self.network, chain.block.as_ref())
    }

    pub(crate) fn certified(&self) -> Certified {
        self.memory().certified
    }

    /// This node's newest word on a chain's head; none if it has none there, or has stopped signing.
    pub(crate) fn own(&self, store: &LedgerStore, chain: &Chain) -> Result<Option<Word>, StoreError> {
        let mut memory = self.memory();
        memory.load(store, chain.frontier.size())?;
        let Some((key, _)) = self.member(&memory, chain) else {
            return Ok(None);
        };
        let said = memory.newest.1.get(&key.public()).cloned();
        Ok(said.map(|said| Word::new(self.head(chain), said)))
    }

    /// Signs the head of a stored chain, unless it is signed already, and makes the certificate if it is complete.
    pub(crate) fn sign_stored(&self, store: &LedgerStore, chain: &Chain) -> Result<(), StoreError> {
        let size = chain.frontier.size();
        let head = self.head(chain);
        let mut memory = self.memory();
        memory.load(store, size)?;
        if let Some((key, name)) = self.member(&memory, chain)
            && !memory.newest.1.contains_key(&key.public())
        {
            let said = self.cosign(store, &mut memory, &head, key, &name)?;
            let stored = store.put_cosignature(size, *key.public().as_bytes(), said.to_bytes())?;
            if let Some(stored) = Said::from_bytes(&stored) {
                memory.newest.1.insert(key.public(), stored);
            }
        }
        if store.certificate(size)?.is_none() {
            let said = memory.newest.1.clone();
            self.certify(store, &mut memory, &head, &chain.certifying, &said)?;
        }
        Ok(())
    }

    /// Signs the head of a stored chain again, with the present time, and returns this node's word. None when this node
    /// does not sign.
    pub(crate) fn refresh(&self, store: &LedgerStore, chain: &Chain) -> Result<Option<Word>, StoreError> {
        let head = self.head(chain);
        let mut memory = self.memory();
        memory.load(store, chain.frontier.size())?;
        let Some((key, name)) = self.member(&memory, chain) else {
            return Ok(None);
        };
        let said = self.cosign(store, &mut memory, &head, key, &name)?;
        memory.newest.1.insert(key.public(), said.clone());
        let all = memory.newest.1.clone();
        self.certify(store, &mut memory, &head, &chain.certifying, &all)?;
        Ok(Some(Word::new(head, said)))
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
        head: &Head,
        key: &AuthorityKey,
        name: &str,
    ) -> Result<Said, StoreError> {
        let time = (self.clock)().max(memory.last_time);
        store.put_meta(META_TIME, time.to_le_bytes().to_vec())?;
        memory.last_time = time;
        Ok(head.cosign(key, name, time))
    }

    /// Stores certificates when enough members have signed.
    fn certify(
        &self,
        store: &LedgerStore,
        memory: &mut Memory,
        head: &Head,
        committee: &Committee,
        said: &BTreeMap<PublicKey, Said>,
    ) -> Result<(), StoreError> {
        let said: Vec<_> = said.iter().filter(|(key, _)| committee.contains(key)).map(|(_, said)| said).collect();
        if said.len() < committee.quorum() {
            return Ok(());
        }
        let log = Certificate::new(head.log.clone(), said.iter().map(|said| said.log.clone()).collect());
        let block = head
            .block
            .clone()
            .map(|block| Certificate::new(block, said.iter().filter_map(|said| said.block.clone()).collect()));
        if !head.is_certified_by(&self.network, committee, &log, block.as_ref()) {
            tracing::error!(log.size = head.log.size, "stored cosignatures do not make a certificate");
            return Ok(());
        }
        Self::keep(store, memory, committee, &log, block.as_ref())
    }

    /// Stores verified certificates, unless fresher ones are stored.
    fn keep(
        store: &LedgerStore,
        memory: &mut Memory,
        committee: &Committee,
        log: &Certificate,
        block: Option<&Certificate>,
    ) -> Result<(), StoreError> {
        let size = log.checkpoint.size;
        let time = time_of(log, committee);
        let stored = store.certificate(size)?.and_then(|bytes| parse_certificate(&bytes));
        if stored.is_none_or(|stored| time_of(&stored, committee) < time) {
            let text = |certificate: &Certificate| certificate.to_text().into_bytes();
            store.put_certificates(size, text(log), block.map(text))?;
        }
        memory.certified = memory.certified.max(Certified { size, time });
        Ok(())
    }

    /// Takes certificates that another node gave and that were verified for a stored size.
    pub(crate) fn adopt(
        &self,
        store: &LedgerStore,
        committee: &Committee,
        log: &Certificate,
        block: Option<&Certificate>,
    ) -> Result<(), StoreError> {
        Self::keep(store, &mut self.memory(), committee, log, block)
    }

    /// Takes another authority's word on a head of the log.
    pub(crate) fn observe(&self, store: &LedgerStore, chain: &Chain, word: &Word) -> Result<Observed, StoreError> {
        let size = word.log.size;
        let (head, committee) = if size > chain.frontier.size() {
            (None, chain.state.committee())
        } else {
            head_at(store, &self.network, chain, size)?
        };
        let member = committee.by_name(&word.cosignature.name);
        let Some(key) = member.map(|member| member.authority_key).filter(|key| word.is_by(&self.network, key)) else {
            return Ok(Observed::Invalid);
        };
        if size > chain.frontier.size() {
            return Ok(Observed::Ahead);
        }
        let mut memory = self.memory();
        if memory.condemned.contains(&key) {
            return Ok(Observed::Condemned);
        }
        let Some(head) = head.filter(|head| *head == word.head()) else {
            return self.contradicted(store, &mut memory, committee, word, key);
        };
        store.put_cosignature(size, *key.as_bytes(), word.said().to_bytes())?;
        let said = if size == chain.frontier.size() {
            memory.load(store, size)?;
            let newest = memory.newest.1.entry(key).or_insert_with(|| word.said());
            if newest.log.time < word.cosignature.time {
                *newest = word.said();
            }
            memory.newest.1.clone()
        } else {
            stored_words(store, size)?
        };
        self.certify(store, &mut memory, &head, committee, &said)?;
        Ok(Observed::Agrees)
    }

    fn contradicted(
        &self,
        store: &LedgerStore,
        memory: &mut Memory,
        committee: &Committee,
        word: &Word,
        key: PublicKey,
    ) -> Result<Observed, StoreError> {
        let size = word.log.size;
        let own = self.key.as_ref().map(AuthorityKey::public);
        if own == Some(key) {
            // This node's own key under another log: it was used elsewhere.
            tracing::error!("this authority's key has signed another log");
        }
        // A member that signs two logs is believed no more, and the node goes on: the evidence is kept, so that a restart
        // forgets nothing.
        let evidence = Certificate::new(word.log.clone(), vec![word.cosignature.clone()]).to_text();
        store.put_meta(&condemned_name(&key), evidence.into_bytes())?;
        memory.condemned.insert(key);
        let signers: Vec<_> = memory.condemned.iter().copied().collect();
        tracing::error!(log.size = size, authority = word.cosignature.name, "an authority signed another log");
        let others = signers.iter().filter(|signer| Some(**signer) != own).count();
        if others < committee.quorum() {
            return Ok(Observed::Contradicts { signers });
        }
        let root = &word.log.root;
        let reason = format!(
            "{others} authorities signed other logs than this node computed, the last one {root} for size {size}"
        );
        stop(store, memory, reason)?;
        Ok(Observed::Stopped)
    }

    /// Stops signing, for good.
    pub(crate) fn stop(&self, store: &LedgerStore, reason: String) -> Result<(), StoreError> {
        stop(store, &mut self.memory(), reason)
    }
}

fn stop(store: &LedgerStore, memory: &mut Memory, reason: String) -> Result<(), StoreError> {
    store.put_meta(META_STOPPED, reason.clone().into_bytes())?;
    tracing::error!(reason, "this authority stops signing");
    memory.stopped = Some(reason);
    Ok(())
}

impl Memory {
    /// Turns to the head of this size.
    fn load(&mut self, store: &LedgerStore, size: u64) -> Result<(), StoreError> {
        if self.newest.0 != size || self.newest.1.is_empty() {
            self.newest = (size, stored_words(store, size)?);
        }
        Ok(())
    }
}

fn stored_words(store: &LedgerStore, size: u64) -> Result<BTreeMap<PublicKey, Said>, StoreError> {
    let stored = store.cosignatures(size)?;
    Ok(stored.into_iter().filter_map(|(key, bytes)| Some((PublicKey(key), Said::from_bytes(&bytes)?))).collect())
}

/// What this node computed for a size that its log has reached, and the committee whose word it is. No head for a size at
/// which no block ended: honest members sign none of those.
pub(crate) fn head_at<'a>(
    store: &LedgerStore,
    network: &NetworkId,
    chain: &'a Chain,
    size: u64,
) -> Result<(Option<Head>, &'a Committee), StoreError> {
    if size == 0 {
        return Ok((Some(Head::of(network, None)), &chain.first));
    }
    let stored = store.block_covering(size)?;
    let Some(block) = stored.and_then(|stored| Block::from_bytes(&stored.block_bytes).ok()) else {
        return Ok((None, &chain.certifying));
    };
    let committee = chain.committee(&block.committee_hash).unwrap_or(&chain.certifying);
    Ok(((block.log_size == size).then(|| Head::of(network, Some(&block))), committee))
}
