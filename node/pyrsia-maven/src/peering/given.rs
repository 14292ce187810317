//! What this node gives to peers and does for them.
//!
//! Blobs are given to whoever knows their SHA-256; the ledger to everybody; an authority takes entries from authorities, and
//! builds from anybody (the rules of the ledger decide whether such a request counts, and how many may be open).

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pyrsia_api_types::{Build, BuildEvent, BuildEvents, BuildSubmission};
use pyrsia_blobs::BlobStore;
use pyrsia_digest::Sha256;
use pyrsia_http::{NodeControl as _, NodeView as _, ViewError};
use pyrsia_ledger::{Committee, NetworkId, SignedEntry, Stage};
use pyrsia_network::{BlobFile, Method, Peer, Provider, Refusal};
use pyrsia_replica::{BlocksRequest, ReplicaHandle};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bodies::{BuildAnswer, BuildRequest, Document, DocumentRequest, SignRequest};
use super::submit::Submitter;
use crate::image_store::ImageStore;
use crate::service::{Builds, NodeService};

/// How long a question for blocks waits for one, at most: below the time of the call.
const LONG_POLL: Duration = Duration::from_secs(60);
/// Bytes of events in one answer, and about how many each costs beside its text: below the answer's limit.
const MAX_PAGE: usize = 512 << 10;
const EVENT_OVERHEAD: usize = 128;
/// Kinds of events that tell what a build does or made.
const SECRET: [&str; 3] = ["log", "record", "replay"];
/// How long a question about a build waits for an event, at most.
const EVENTS: Duration = Duration::from_secs(30);

/// The provider. Peers may ask before the node is put together: then it is busy.
pub struct Given {
    replica: ReplicaHandle,
    blobs: BlobStore,
    images: OnceLock<Arc<ImageStore>>,
    orderer: OnceLock<Arc<Submitter>>,
    service: OnceLock<Arc<NodeService>>,
}

impl Given {
    /// Gives from this ledger and these blobs.
    pub fn new(replica: ReplicaHandle, blobs: BlobStore) -> Self {
        let (images, orderer, service) = Default::default();
        Self { replica, blobs, images, orderer, service }
    }

    /// Also gives these images. The first call counts, here and below.
    pub fn set_images(&self, images: Arc<ImageStore>) {
        let _ = self.images.set(images);
    }

    /// Takes entries of other authorities for this orderer.
    pub fn set_orderer(&self, orderer: Arc<Submitter>) {
        let _ = self.orderer.set(orderer);
    }

    /// Takes builds on behalf of peers.
    pub fn set_service(&self, service: Arc<NodeService>) {
        let _ = self.service.set(service);
    }

    fn authority(&self) -> Result<&Arc<NodeService>, Refusal> {
        let service = self.service.get().ok_or(Refusal::Busy)?;
        match service.builds {
            Builds::Here { .. } => Ok(service),
            Builds::There(_) | Builds::Nowhere(_) => {
                Err(Refusal::NotAllowed("this node rebuilds nothing itself".to_owned()))
            }
        }
    }

    async fn blocks(&self, body: &[u8]) -> Result<Bytes, Refusal> {
        let request = BlocksRequest::from_bytes(body).map_err(|error| Refusal::Malformed(error.to_string()))?;
        let deadline = tokio::time::Instant::now() + LONG_POLL;
        let mut certified = self.replica.certified();
        loop {
            certified.mark_unchanged();
            let answer = self.replica.blocks(request).await.map_err(failed)?;
            // Who wants no bytes only wants to know how far this node is.
            let is_asked_to_wait = request.max_bytes > 0;
            if !answer.is_empty() || !is_asked_to_wait || tokio::time::Instant::now() >= deadline {
                return Ok(Bytes::from(answer.to_bytes()));
            }
            let _ = tokio::time::timeout_at(deadline, certified.changed()).await;
        }
    }

    async fn entry(&self, from: &Peer, body: &[u8]) -> Result<Bytes, Refusal> {
        let Some(position) = from.authority else {
            return Err(Refusal::NotAllowed("entries are taken from authorities".to_owned()));
        };
        let entry = SignedEntry::from_bytes(body).map_err(|error| Refusal::Malformed(error.to_string()))?;
        let state = self.replica.state();
        if !is_own_word(&entry, position, state.committee(), &state.network_id()) {
            return Err(Refusal::NotAllowed(
                "the entry is not the word of the authority that hands it over".to_owned(),
            ));
        }
        // Only this authority's own orderer: an entry that travels on and on would never arrive.
        let orderer = self.orderer.get().and_then(|submitter| submitter.own.get()).ok_or(Refusal::Busy)?;
        orderer.submit_bytes(body.to_vec()).await.map_err(failed)?;
        Ok(Bytes::new())
    }

    fn document(&self, body: &[u8]) -> Result<Bytes, Refusal> {
        let request = DocumentRequest::from_bytes(body).ok_or_else(|| Refusal::Malformed("a document".to_owned()))?;
        let found = match request {
            DocumentRequest::Specification(digest) => {
                let entries = self.service.get().and_then(|service| service.entries.as_ref());
                let known =
                    entries.map(|entries| entries.specification(&digest)).transpose().map_err(Refusal::Failed)?;
                known.flatten().map(|specification| specification.to_toml().into_bytes())
            }
            DocumentRequest::Image(digest) => {
                let known = self.images.get().map(|images| images.by_digest(&digest)).transpose();
                let known = known.map_err(|error| Refusal::Failed(format!("{error:#}")))?;
                known.flatten().map(|image| serde_json::to_vec(&image)).transpose().map_err(failed)?
            }
        };
        Ok(Bytes::from(Document(found).to_bytes()))
    }

    /// Whether what this authority found may be told: before all have committed, another one could copy it.
    fn is_shown(&self, build: &Build) -> bool {
        let round = build.round.as_ref().and_then(|key| key.parse().ok());
        let state = self.replica.state();
        let stage = round.and_then(|key| state.round(&key)).map(|round| round.stage);
        !matches!(stage, Some(Stage::Recording | Stage::Committing))
    }

    async fn build_events(&self, body: &[u8]) -> Result<Bytes, Refusal> {
        let request: BuildRequest = parse(body)?;
        let service = self.authority()?;
        let wait = Duration::from_secs(request.wait_s).min(EVENTS);
        let events = match request.after {
            Some(after) => Some(service.build_events(&request.id, after, wait).await.map_err(refusal)?),
            None => None,
        };
        // After the events, so that a build that is done in them is done here.
        let build = service.build(&request.id).await.map_err(refusal)?;
        let is_public = self.is_shown(&build);
        answer(&BuildAnswer { build, events: events.map(|events| page(events, is_public)) })
    }
}

#[async_trait]
impl Provider for Given {
    async fn call(&self, from: &Peer, method: Method, body: Bytes) -> Result<Bytes, Refusal> {
        match method {
            Method::Blocks => self.blocks(&body).await,
            Method::Entry => self.entry(from, &body).await,
            Method::Specification => self.document(&body),
            Method::Build => {
                let submission: BuildSubmission = parse(&body)?;
                let peer = from.name.to_string();
                answer(&self.authority()?.take_build(submission, Some(&peer)).await.map_err(refusal)?)
            }
            Method::Sign => {
                let SignRequest { id, proof } = parse(&body)?;
                answer(&self.authority()?.sign_build(&id, proof).await.map_err(refusal)?)
            }
            Method::BuildEvents => self.build_events(&body).await,
        }
    }

    async fn blob(&self, sha256: &Sha256) -> Option<BlobFile> {
        let path = self.blobs.get(sha256).or_else(|| self.images.get()?.blobs().get(sha256))?;
        let size = tokio::fs::metadata(&path).await.ok()?.len();
        Some(BlobFile { path, size })
    }
}

/// Whether an entry is signed by the authority that hands it over. An authority speaks for itself alone: nobody can fill this
/// one's queue with what it has not signed.
fn is_own_word(entry: &SignedEntry, position: usize, committee: &Committee, network: &NetworkId) -> bool {
    let author = committee.authorities.get(position).map(|author| author.authority_key);
    author == Some(entry.signer) && entry.verify(network)
}

/// As many events as fit into an answer; **without what a build of this authority said or made, while that is secret**.
fn page(mut events: BuildEvents, is_public: bool) -> BuildEvents {
    let mut bytes = 0;
    let fits = |event: &BuildEvent| {
        bytes += event.text.len() + event.kind.len() + EVENT_OVERHEAD;
        bytes <= MAX_PAGE
    };
    let all = events.events.len();
    events.events = events.events.into_iter().take_while(fits).collect();
    if events.events.len() < all {
        events.next = events.events.last().map_or(events.next, |event| event.sequence);
        events.done = false;
    }
    if !is_public {
        events.events.retain(|event| !SECRET.contains(&event.kind.as_str()));
    }
    events
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::Malformed(error.to_string()))
}

fn answer<T: Serialize>(document: &T) -> Result<Bytes, Refusal> {
    serde_json::to_vec(document).map(Bytes::from).map_err(failed)
}

fn failed(error: impl std::fmt::Display) -> Refusal {
    Refusal::Failed(error.to_string())
}

fn refusal(error: ViewError) -> Refusal {
    let text = error.to_string();
    match error {
        ViewError::NotFound { .. } => Refusal::NotFound,
        ViewError::Invalid { .. } => Refusal::Malformed(text),
        ViewError::Refused { .. } => Refusal::NotAllowed(text),
        ViewError::Unavailable { .. } | ViewError::Internal { .. } => Refusal::Failed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(count: u64, length: usize) -> BuildEvents {
        let kinds = ["stage", "replay", "entry", "log"];
        let event = |sequence| BuildEvent {
            sequence,
            time: 0,
            kind: kinds[sequence as usize % kinds.len()].to_owned(),
            text: "x".repeat(length),
        };
        BuildEvents { id: "b1".to_owned(), events: (1..=count).map(event).collect(), next: count, done: true }
    }

    #[test]
    fn what_was_made_is_not_told_before_all_have_committed() {
        let told = page(events(8, 10), false);
        assert!(told.events.iter().all(|event| event.kind == "stage" || event.kind == "entry"), "{told:?}");
        assert_eq!((told.next, told.done), (8, true), "the story goes on behind what was left out");
        assert_eq!(page(events(8, 10), true).events.len(), 8);
    }

    #[test]
    fn an_authority_hands_over_its_own_entries_alone() {
        use pyrsia_ledger::{Authority, AuthorityKey, ConsensusKey, EntryBody, ImageProposal};
        let keys = [1, 2].map(|n| AuthorityKey::from_seed(&[n; 32]));
        let authority = |key: &AuthorityKey| Authority {
            name: key.public().to_string(),
            authority_key: key.public(),
            consensus_key: ConsensusKey::from_seed(&[9; 32]).public(),
        };
        let committee = Committee { epoch: 0, authorities: keys.iter().map(authority).collect() };
        let networks = ["11", "22"].map(|byte| byte.repeat(32).parse::<NetworkId>().unwrap());
        let body = EntryBody::ImageProposal(ImageProposal::allow(Sha256::of(b"image"), "image"));
        let entry = SignedEntry::sign(body, &networks[0], &keys[0]).unwrap();
        assert!(is_own_word(&entry, 0, &committee, &networks[0]));
        assert!(!is_own_word(&entry, 1, &committee, &networks[0]), "somebody else's");
        assert!(!is_own_word(&entry, 2, &committee, &networks[0]), "nobody's");
        assert!(!is_own_word(&entry, 0, &committee, &networks[1]), "of another network");
        let forged = SignedEntry { signer: keys[1].public(), ..entry };
        assert!(!is_own_word(&forged, 1, &committee, &networks[0]), "a signature of another key");
    }

    #[test]
    fn a_long_story_comes_in_pages() {
        let told = page(events(4000, 1000), true);
        assert!(!told.done && told.next < 4000 && told.events.last().map(|event| event.sequence) == Some(told.next));
        assert!(serde_json::to_vec(&told).unwrap().len() < Method::BuildEvents.limits().answer);
    }
}
