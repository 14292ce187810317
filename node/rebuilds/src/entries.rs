//! This authority's hand: signs what it says, waits until it is in the ledger, remembers what it must not forget.

use std::sync::Arc;
use std::time::Duration;

use build_spec::{SandboxProfile, Specification};
use pyrsia_digest::Sha256;
use pyrsia_ledger::{AuthorityKey, EntryBody, NetworkId, PublicKey, RoundKey, RoundResult, SignedEntry, State};
use pyrsia_provenance::{Envelope, Statement};
use pyrsia_replica::{ReplicaHandle, SigningStatus, SubmissionOutcome};
use pyrsia_store::LedgerStore;

/// How long a submitter waits for the authorities to agree on the order.
const AGREEMENT: Duration = Duration::from_secs(120);

/// Why an entry is not in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSaid {
    /// The rules refuse it; saying it again is idle unless the ledger moves.
    #[error("{0}")]
    Refused(String),
    /// There is no agreement yet; it may still come.
    #[error("{0}")]
    Unsettled(String),
}

/// The authority of this node.
pub struct Entries {
    network: NetworkId,
    key: AuthorityKey,
    replica: ReplicaHandle,
    store: LedgerStore,
    profile: SandboxProfile,
}

impl Entries {
    /// An authority that signs with `key`.
    pub fn new(key: AuthorityKey, replica: ReplicaHandle, store: LedgerStore, profile: SandboxProfile) -> Arc<Self> {
        Arc::new(Self { network: replica.network_id(), key, replica, store, profile })
    }

    /// The network.
    pub fn network(&self) -> &NetworkId {
        &self.network
    }

    /// This authority.
    pub fn me(&self) -> PublicKey {
        self.key.public()
    }

    /// Signs what a replay left behind. Only what is attested afterwards counts.
    pub fn sign_provenance(&self, statement: &Statement) -> Envelope {
        Envelope::sign(statement, &[&self.key])
    }

    /// The sandbox profile that this authority builds in.
    pub fn profile(&self) -> &SandboxProfile {
        &self.profile
    }

    /// The ledger as this node has it.
    pub fn state(&self) -> Arc<State> {
        self.replica.state()
    }

    /// Is told whenever the ledger has grown.
    pub fn changes(&self) -> tokio::sync::watch::Receiver<u64> {
        self.replica.subscribe()
    }

    /// Whether a statement keeps to the limits of the ledger; found out before it is promised.
    pub fn sayable(&self, body: EntryBody) -> Result<(), String> {
        SignedEntry::sign(body, &self.network, &self.key).map(drop).map_err(|error| error.to_string())
    }

    /// Whether the ledger, as this node has it, would take a statement. The error is its reason.
    pub fn would_accept(&self, body: EntryBody) -> Result<(), String> {
        let kind = body.kind();
        let entry = SignedEntry::sign(body, &self.network, &self.key).map_err(|error| format!("{kind}: {error}"))?;
        let mut trial = State::clone(&self.state());
        trial.apply(&entry).map(drop).map_err(|refused| format!("{kind}: the ledger refused it: {refused}"))
    }

    /// Signs, submits, and waits until the ledger has taken or refused it. The error is the ledger's reason.
    pub async fn submit(&self, body: EntryBody) -> Result<(), String> {
        self.say(body).await.map_err(|error| error.to_string())
    }

    /// As [`Entries::submit`], telling a refusal from an agreement that is still to come.
    pub async fn say(&self, body: EntryBody) -> Result<(), NotSaid> {
        let kind = body.kind();
        // What it computes is not what a quorum computes: nothing that follows from it may be said.
        if let SigningStatus::Stopped { reason } = self.replica.signing_status() {
            return Err(NotSaid::Refused(format!("{kind}: this authority has stopped signing: {reason}")));
        }
        let entry = SignedEntry::sign(body, &self.network, &self.key)
            .map_err(|error| NotSaid::Refused(format!("{kind}: {error}")))?;
        match tokio::time::timeout(AGREEMENT, self.replica.submit_and_wait(entry)).await {
            Ok(Ok(SubmissionOutcome::Accepted { .. })) => Ok(()),
            Ok(Ok(SubmissionOutcome::Refused(refused))) => {
                Err(NotSaid::Refused(format!("{kind}: the ledger refused it: {refused}")))
            }
            Ok(Err(error)) => Err(NotSaid::Unsettled(format!("{kind}: {error}"))),
            // The entry is durable and goes on being proposed; whoever asked may ask again.
            Err(_) => Err(NotSaid::Unsettled(format!("{kind}: no agreement within {} s", AGREEMENT.as_secs()))),
        }
    }

    /// Keeps a specification under its digest.
    pub fn keep_specification(&self, specification: &Specification) -> Result<(), String> {
        let name = format!("specification/{}", specification.digest());
        self.put(&name, specification.to_toml().as_bytes())
    }

    /// The specification with this digest, if this node has it.
    pub fn specification(&self, digest: &Sha256) -> Result<Option<Specification>, String> {
        let Some(bytes) = self.get(&format!("specification/{digest}"))? else { return Ok(None) };
        let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
        let specification = Specification::from_toml(&text).map_err(|error| error.to_string())?;
        Ok((specification.digest() == *digest).then_some(specification))
    }

    /// Keeps result and salt: **on disk before the commitment is submitted**.
    pub fn keep_result(
        &self,
        round: &RoundKey,
        attempt: u32,
        salt: &[u8; 32],
        result: &RoundResult,
    ) -> Result<(), String> {
        let json = serde_json::to_vec(&(salt, result)).map_err(|error| error.to_string())?;
        self.put(&format!("result/{round}/{attempt}"), &json)
    }

    /// The result and salt of an attempt.
    pub fn result(&self, round: &RoundKey, attempt: u32) -> Result<Option<([u8; 32], RoundResult)>, String> {
        let Some(bytes) = self.get(&format!("result/{round}/{attempt}"))? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| error.to_string())
    }

    /// Keeps what this authority will say in an attempt, so that a restart says the same.
    pub fn keep_saying(&self, slot: &str, round: &RoundKey, attempt: u32, body: &EntryBody) -> Result<(), String> {
        let json = serde_json::to_vec(body).map_err(|error| error.to_string())?;
        self.put(&format!("{slot}/{round}/{attempt}"), &json)
    }

    /// What this authority has decided to say.
    pub fn saying(&self, slot: &str, round: &RoundKey, attempt: u32) -> Result<Option<EntryBody>, String> {
        let Some(bytes) = self.get(&format!("{slot}/{round}/{attempt}"))? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|error| error.to_string())
    }

    /// Drops what was kept for one attempt of a round that is over. Nothing of it can be said any more.
    pub fn forget(&self, round: &RoundKey, attempt: u32, slots: &[&str]) {
        for slot in slots.iter().chain(&["result"]) {
            if let Err(error) = self.store.delete_private(format!("{slot}/{round}/{attempt}").as_bytes()) {
                tracing::warn!(%error, %round, "what a round kept could not be dropped");
            }
        }
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<(), String> {
        // Write-once: what was kept first stays, also if a second try found something else.
        self.store.put_private(name.as_bytes(), bytes.to_vec()).map(drop).map_err(|error| error.to_string())
    }

    fn get(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        self.store.get_private(name.as_bytes()).map_err(|error| error.to_string())
    }
}
