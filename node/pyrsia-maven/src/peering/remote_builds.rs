//! Builds that an authority does on behalf of this node, which takes no part in rounds.
//!
//! The authority resolves the source, and admits the request into the ledger; this node remembers which authority it was
//! and hands questions on. What the build came to, this node says from its own copy of the ledger alone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use pyrsia_api_types::{Accepted, BuildAccepted, BuildSubmission, PublisherProof};
use pyrsia_http::ViewError;
use pyrsia_network::{CallError, Method, Network, PeerName, Refusal};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bodies::{BuildAnswer, BuildRequest, SignRequest};

/// Builds that are remembered; the oldest make room.
const REMEMBERED: usize = 1000;

/// Asks authorities to build.
pub struct RemoteBuilds {
    network: Arc<Network>,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    by_id: BTreeMap<String, PeerName>,
    order: VecDeque<String>,
}

impl RemoteBuilds {
    /// Over this network.
    pub fn new(network: Arc<Network>) -> Self {
        Self { network, known: Mutex::default() }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The authority that has this build.
    pub fn holder(&self, id: &str) -> Option<PeerName> {
        self.known().by_id.get(id).cloned()
    }

    /// The first authority that takes the submission.
    pub async fn submit(&self, submission: &BuildSubmission) -> Result<BuildAccepted, ViewError> {
        let peers = self.network.peers().borrow().clone();
        let mut last = ViewError::Unavailable {
            detail: "this node is not connected to any authority".to_owned(),
            next: "pyrsia-maven peers".to_owned(),
        };
        for peer in peers.iter().filter(|peer| peer.authority.is_some()) {
            match self.call::<_, BuildAccepted>(&peer.name, Method::Build, submission).await {
                Ok(accepted) => {
                    let mut known = self.known();
                    if known.by_id.insert(accepted.id.clone(), peer.name).is_none() {
                        known.order.push_back(accepted.id.clone());
                    }
                    if known.order.len() > REMEMBERED
                        && let Some(oldest) = known.order.pop_front()
                    {
                        known.by_id.remove(&oldest);
                    }
                    return Ok(accepted);
                }
                // What one authority finds wrong with it, the next one would too.
                Err(refused @ ViewError::Invalid { .. }) => return Err(refused),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Hands the publisher's signature on.
    pub async fn sign(&self, holder: &PeerName, id: &str, proof: PublisherProof) -> Result<Accepted, ViewError> {
        self.call(holder, Method::Sign, &SignRequest { id: id.to_owned(), proof }).await
    }

    /// What the authority says of a build; with `after`, its later events too.
    pub async fn look(
        &self,
        holder: &PeerName,
        id: &str,
        after: Option<u64>,
        wait: Duration,
    ) -> Result<BuildAnswer, ViewError> {
        let request = BuildRequest { id: id.to_owned(), after, wait_s: wait.as_secs() };
        self.call(holder, Method::BuildEvents, &request).await
    }

    async fn call<B: Serialize + Sync, A: DeserializeOwned>(
        &self,
        to: &PeerName,
        method: Method,
        body: &B,
    ) -> Result<A, ViewError> {
        let body = serde_json::to_vec(body).map_err(|error| ViewError::Internal { detail: error.to_string() })?;
        let answer = self.network.call(to, method, Bytes::from(body)).await.map_err(|error| match error {
            CallError::Refused(Refusal::Malformed(text)) => ViewError::Invalid { detail: text, next: String::new() },
            CallError::Refused(Refusal::NotAllowed(text)) => ViewError::Refused { detail: text, next: String::new() },
            CallError::Refused(Refusal::Failed(text)) => {
                ViewError::Unavailable { detail: format!("authority {to}: {text}"), next: String::new() }
            }
            error => ViewError::Unavailable {
                detail: format!("authority {to} did not answer: {error}"),
                next: "pyrsia-maven peers".to_owned(),
            },
        })?;
        serde_json::from_slice(&answer).map_err(|error| ViewError::Unavailable {
            detail: format!("authority {to} gave an answer that cannot be read: {error}"),
            next: String::new(),
        })
    }
}
