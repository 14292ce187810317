//! The thin asynchronous part: carrying decisions out.

use std::sync::{Arc, Weak};
use std::time::Duration;

use maven_layout::{ChecksumAlgorithm, RepoPath, metadata};
use pyrsia_blobs::{BlobStore, Expected};
use pyrsia_digest::Sha256;
use pyrsia_fetch::Origin;
use pyrsia_store::{FileRecord, IndexStore};
use tokio::sync::Semaphore;

use crate::ahead::{self, ReadAhead, Reported};
use crate::answer::{Answer, Generated, Provenance, ServedFile, Withheld, WithheldReason};
use crate::archetypes::Archetypes;
use crate::decide::{self, Decision, MetadataPlan, decide};
use crate::error::RepositoryError;
use crate::ledger_view::{LedgerSource, LedgerView, ReleaseFacts};
use crate::listing::Listing;
use crate::local::{Known, Local};
use crate::policy::Policies;
use crate::remote::{FromPeers, Got, Remote};
use crate::render::{Rendered, render};
use crate::routing::Route;

/// Seconds since 1970.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Settings of a repository.
#[derive(Debug, Clone)]
pub struct RepositoryConfig {
    /// What may be handed out.
    pub policies: Policies,
    /// Seconds for which upstream's metadata and other changing files are not asked for again.
    pub metadata_ttl_s: u64,
    /// Seconds after that in which the copy at hand is still served, while upstream is asked in the background
    /// ([RFC 5861](https://www.rfc-editor.org/rfc/rfc5861), section 3).
    pub metadata_stale_s: u64,
    /// Seconds for which an absent file is not asked for again.
    pub absent_ttl_s: u64,
    /// Whether what a client will ask for next is fetched meanwhile, and how much of it.
    pub read_ahead: Option<ReadAhead>,
}

impl RepositoryConfig {
    /// The usual times with these policies; nothing is read ahead.
    pub fn new(policies: Policies) -> Self {
        Self { policies, metadata_ttl_s: 300, metadata_stale_s: 300, absent_ttl_s: 120, read_ahead: None }
    }
}

/// What a repository is made of.
pub struct Parts {
    /// What the network found.
    pub ledger: Arc<dyn LedgerSource>,
    /// The files.
    pub blobs: BlobStore,
    /// Which file lies at which path.
    pub index: IndexStore,
    /// Whom to ask, in this order.
    pub upstreams: Vec<Upstream>,
    /// Peers: asked before the origins, and **only for files whose SHA-256 is known already**.
    pub peers: Option<Arc<dyn Origin>>,
    /// The time.
    pub clock: Clock,
}

/// An origin, and what it is asked for.
#[derive(Clone)]
pub struct Upstream {
    /// The origin.
    pub origin: Arc<dyn Origin>,
    /// The groups.
    pub route: Route,
}

impl From<Arc<dyn Origin>> for Upstream {
    /// For every group.
    fn from(origin: Arc<dyn Origin>) -> Self {
        Self { origin, route: Route::default() }
    }
}

/// The repository. Clones share it.
#[derive(Clone)]
pub struct Repository {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) config: RepositoryConfig,
    pub(crate) ledger: Arc<dyn LedgerSource>,
    pub(crate) local: Local,
    pub(crate) remote: Remote,
    pub(crate) clock: Clock,
    ahead: Option<Reported>,
    pub(crate) archetypes: Archetypes,
    /// Listings are work for a core and the disk that others may want: one at a time.
    pub(crate) looking: Arc<Semaphore>,
}

/// A repository that does not live on account of this.
pub(crate) struct WeakRepository(Weak<Inner>);

impl WeakRepository {
    pub(crate) fn upgrade(&self) -> Option<Repository> {
        self.0.upgrade().map(|inner| Repository { inner })
    }
}

/// A file that is handed out again and again is noted as used once in this time, in seconds: files leave the store in the
/// order of their last use, which needs no more than this.
const USED_S: u64 = 60;

/// How long a client waits for a newer copy of what is here.
const PATIENCE: Duration = Duration::from_secs(5);

/// A client that has just got a document asks for its checksum next: until this many seconds after its time, a document
/// is not fetched again on account of its checksum, so that the two fit together.
const CHECKSUM_GRACE_S: u64 = 60;

#[async_trait::async_trait]
impl crate::Files for Repository {
    async fn get(&self, path: &RepoPath) -> Result<Answer, RepositoryError> {
        let ledger = self.inner.ledger.view();
        let answer = self.answer(path, ledger.as_ref()).await;
        // A download may take minutes, in which a release can be blocked, or its bytes be found to be others.
        let newest = self.inner.ledger.view();
        let answer =
            if newest.version() == ledger.version() { answer } else { self.answer(path, newest.as_ref()).await };
        if let (Some(ahead), Ok(Answer::File(file))) = (&self.inner.ahead, &answer)
            && (self.inner.clock)().saturating_sub(file.first_seen) < ahead::NEW_S
        {
            // Where so much is asked for that this cannot keep up, there is nothing to be gained.
            let _ = ahead.try_send(path.clone());
        }
        answer
    }

    async fn list(&self, folder: Option<&RepoPath>) -> Result<Listing, RepositoryError> {
        self.listing(folder).await
    }

    fn version(&self) -> u64 {
        self.inner.ledger.view().version()
    }

    fn doubt(&self, sha256: &Sha256) {
        self.inner.local.doubt(sha256);
    }

    fn used(&self, path: &RepoPath) {
        self.inner.local.touch(path, (self.inner.clock)());
    }
}

impl Repository {
    /// A repository over these parts. With read-ahead it must be made within a tokio runtime.
    pub fn new(config: RepositoryConfig, parts: Parts) -> Self {
        let Parts { ledger, blobs, index, upstreams, peers, clock } = parts;
        let local = Local::new(blobs, index);
        let remote = Remote::new(upstreams, peers, local.clone(), Arc::clone(&clock));
        let limits = config.read_ahead.clone();
        let (ahead, reported) = limits.is_some().then(ahead::channel).unzip();
        let looking = Arc::new(Semaphore::new(1));
        let archetypes = Archetypes::default();
        let inner =
            Arc::new(Inner { config, ledger, local, remote, clock: Arc::clone(&clock), ahead, archetypes, looking });
        if let (Some(limits), Some(reported)) = (limits, reported) {
            tokio::spawn(ahead::run(WeakRepository(Arc::downgrade(&inner)), clock, limits, reported));
        }
        Self { inner }
    }

    /// Gets a file that nobody has asked for yet. None if it is not to be had, not to be handed out, or one of many versions
    /// in time; also if it is here already, unless it is to be read.
    pub(crate) async fn ahead(&self, path: &RepoPath, to_be_read: bool) -> Option<Answer> {
        let ledger = self.inner.ledger.view();
        let decision = decide(path, &self.inner.config.policies, ledger.as_ref());
        if !matches!(decision, Decision::Exactly { .. } | Decision::FirstSeen { .. }) {
            return None;
        }
        if !to_be_read && self.inner.local.record(path).await.ok()?.is_some() {
            return None;
        }
        self.answer(path, ledger.as_ref())
            .await
            .inspect_err(|error| tracing::debug!(error.message = %error, "not read ahead"))
            .ok()
    }

    async fn answer(&self, path: &RepoPath, ledger: &dyn LedgerView) -> Result<Answer, RepositoryError> {
        match decide(path, &self.inner.config.policies, ledger) {
            Decision::Checksum { of, algorithm } => self.checksum(path, &of, algorithm, ledger).await,
            decision => self.carry_out(path, decision, ledger, 0).await,
        }
    }

    /// Our own checksum of what we answer at the other path.
    async fn checksum(
        &self,
        path: &RepoPath,
        of: &RepoPath,
        algorithm: ChecksumAlgorithm,
        ledger: &dyn LedgerView,
    ) -> Result<Answer, RepositoryError> {
        let decision = decide(of, &self.inner.config.policies, ledger);
        let (text, last_modified, immutable) = match self.carry_out(of, decision, ledger, CHECKSUM_GRACE_S).await? {
            Answer::File(file) => {
                let text = match file.digests.checksum(algorithm) {
                    Some(known) => known,
                    None => self.inner.local.complete(of, file.digests.sha256).await?.checksum(algorithm),
                };
                (text, Some(file.last_modified), file.immutable)
            }
            Answer::Generated(document) => (document.digests.checksum(algorithm), document.last_modified, false),
            other => return Ok(other),
        };
        Ok(Answer::Generated(Generated { immutable, ..Generated::new(path.clone(), text.into_bytes(), last_modified) }))
    }

    async fn carry_out(
        &self,
        path: &RepoPath,
        decision: Decision,
        ledger: &dyn LedgerView,
        grace_s: u64,
    ) -> Result<Answer, RepositoryError> {
        match decision {
            // The caller has taken checksums apart, and those of checksums are absent.
            Decision::Absent | Decision::Checksum { .. } => Ok(Answer::Absent),
            Decision::Withhold(withheld) => Ok(Answer::Withheld(withheld)),
            Decision::WithholdUnlessAbsent(withheld) => self.withhold_unless_absent(path, withheld).await,
            Decision::Exactly { sha256, provenance, ask_upstream } => {
                self.exactly(path, sha256, provenance, ask_upstream).await
            }
            Decision::FirstSeen { provenance } => self.first_seen(path, provenance).await,
            Decision::Changing => match self.changing(path, grace_s).await? {
                Some(record) => self.serve(path, record, Provenance::Unverified, false),
                None => Ok(Answer::Absent),
            },
            Decision::Metadata(plan) => self.metadata(path, &plan, ledger, grace_s).await,
            Decision::Prefixes => self.prefixes(path).await,
            Decision::Archetypes { withheld } => self.archetypes(path, withheld, ledger, grace_s).await,
        }
    }

    pub(crate) async fn withhold_unless_absent(
        &self,
        path: &RepoPath,
        withheld: Withheld,
    ) -> Result<Answer, RepositoryError> {
        match self.known(path).await? {
            Known::Here(..) | Known::Lost(_) => return Ok(Answer::Withheld(withheld)),
            Known::Absent => return Ok(Answer::Absent),
            Known::Nothing => {}
        }
        // Withheld in any case: the question is only whether there is such a file. What comes is kept as the first bytes
        // seen, which a later rebuild is compared with. Where upstream fails, withholding is the answer that holds.
        match self.inner.remote.pin(path, None, self.inner.config.absent_ttl_s).await {
            Ok(Got::Absent) => Ok(Answer::Absent),
            Ok(_) | Err(RepositoryError::Upstream { .. } | RepositoryError::NoRoom { .. }) => {
                Ok(Answer::Withheld(withheld))
            }
            Err(error) => Err(error),
        }
    }

    /// The bytes that the ledger records.
    async fn exactly(
        &self,
        path: &RepoPath,
        sha256: Sha256,
        provenance: Provenance,
        ask_upstream: bool,
    ) -> Result<Answer, RepositoryError> {
        if let Known::Here(record, bytes) = self.known(path).await?
            && record.digests.sha256 == sha256
        {
            return self.serve_read(path, record, provenance, true, bytes);
        }
        if let Some(digests) = self.inner.local.intact(path, &sha256).await? {
            // The index is derived, and what the ledger says replaces what it says.
            let now = (self.inner.clock)();
            let record = FileRecord {
                path: path.clone(),
                digests,
                origin: "store".to_owned(),
                verified_by: "ledger".to_owned(),
                last_modified: None,
                first_seen: now,
                last_use: now,
            };
            RepositoryError::spare(self.inner.local.put(record.clone()).await)?;
            return self.serve(path, record, provenance, true);
        }
        let upstream = ask_upstream.then(|| self.inner.remote.replace(path, Expected::sha256(sha256)));
        match self.got_from_others(path, sha256, upstream).await? {
            Got::File(record) => self.serve(path, *record, provenance, true),
            // The ledger knows the file, so it is not absent, whatever upstream says today.
            Got::Absent => Err(RepositoryError::BytesMissing { path: path.clone(), sha256 }),
            Got::OtherBytes => Ok(Answer::Withheld(other_bytes(path, WithheldReason::LedgerMismatch))),
        }
    }

    /// The first bytes seen.
    async fn first_seen(&self, path: &RepoPath, provenance: Provenance) -> Result<Answer, RepositoryError> {
        match self.known(path).await? {
            Known::Here(record, bytes) => return self.serve_read(path, record, provenance, true, bytes),
            Known::Lost(record) => return self.again(path, record.digests.sha256, provenance).await,
            Known::Absent => return Ok(Answer::Absent),
            Known::Nothing => {}
        }
        match self.inner.remote.pin(path, None, self.inner.config.absent_ttl_s).await? {
            Got::File(record) => self.serve(path, *record, provenance, true),
            Got::Absent => Ok(Answer::Absent),
            Got::OtherBytes => Ok(Answer::Withheld(other_bytes(path, WithheldReason::ChangedUpstream))),
        }
    }

    /// The bytes with this digest: from peers, else from upstream if it is asked. Peers that are busy are waited for only
    /// where nobody else has the bytes.
    async fn got_from_others(
        &self,
        path: &RepoPath,
        sha256: Sha256,
        upstream: Option<impl Future<Output = Result<Got, RepositoryError>>>,
    ) -> Result<Got, RepositoryError> {
        let remote = &self.inner.remote;
        let patient = upstream.is_none() || !remote.may_have_more(path);
        let busy = match remote.ask_peers(path, sha256, patient).await? {
            FromPeers::File(record) => return Ok(Got::File(record)),
            FromPeers::Nobody => false,
            FromPeers::Busy => !patient,
        };
        let got = match upstream {
            Some(upstream) => upstream.await,
            None => Ok(Got::Absent),
        };
        if busy
            && !matches!(got, Ok(Got::File(_)))
            && let FromPeers::File(record) = remote.ask_peers(path, sha256, true).await?
        {
            return Ok(Got::File(record));
        }
        got
    }

    /// The first bytes seen, which were lost here.
    async fn again(&self, path: &RepoPath, sha256: Sha256, provenance: Provenance) -> Result<Answer, RepositoryError> {
        let upstream = self.inner.remote.pin(path, Some(sha256), self.inner.config.absent_ttl_s);
        match self.got_from_others(path, sha256, Some(upstream)).await? {
            Got::File(record) => self.serve(path, *record, provenance, true),
            Got::Absent => Err(RepositoryError::BytesMissing { path: path.clone(), sha256 }),
            Got::OtherBytes => Ok(Answer::Withheld(other_bytes(path, WithheldReason::ChangedUpstream))),
        }
    }

    /// The present bytes of a file that may change: fresh, or a little older while it is fetched anew, or stale when
    /// upstream fails.
    pub(crate) async fn changing(&self, path: &RepoPath, grace_s: u64) -> Result<Option<FileRecord>, RepositoryError> {
        let RepositoryConfig { metadata_ttl_s, metadata_stale_s, absent_ttl_s, .. } = self.inner.config;
        let ttl = metadata_ttl_s.saturating_add(grace_s);
        let remote = &self.inner.remote;
        let age = remote.age(path).unwrap_or(u64::MAX);
        let record = match self.known(path).await? {
            Known::Here(record, _) => record,
            Known::Absent => return Ok(None),
            Known::Lost(_) | Known::Nothing => return remote.refresh(path, absent_ttl_s).await,
        };
        if age < ttl {
            return Ok(Some(record));
        }
        let in_background = age < ttl.saturating_add(metadata_stale_s) || remote.has_failed(path);
        if in_background && remote.refresh_later(path, absent_ttl_s) {
            return Ok(Some(record));
        }
        // With a copy at hand nobody waits through all attempts; the download goes on for those who ask later.
        let failure = match tokio::time::timeout(PATIENCE, remote.refresh(path, absent_ttl_s)).await {
            Ok(Err(error @ (RepositoryError::Upstream { .. } | RepositoryError::NoRoom { .. }))) => error.to_string(),
            Ok(refreshed) => return refreshed,
            Err(_) => format!("it did not answer within {} s", PATIENCE.as_secs()),
        };
        tracing::warn!(file.path = %path, error.message = failure, "upstream failed: serving the copy at hand");
        remote.note_failure(path);
        Ok(Some(record))
    }

    async fn metadata(
        &self,
        path: &RepoPath,
        plan: &MetadataPlan,
        ledger: &dyn LedgerView,
        grace_s: u64,
    ) -> Result<Answer, RepositoryError> {
        let record = if plan.ask_upstream { self.changing(path, grace_s).await? } else { None };
        let parsed = match &record {
            Some(record) => {
                let bytes = self.inner.local.read(path, &record.digests.sha256).await?;
                Some(metadata::parse(&bytes).map_err(|error| unreadable(path, &error))?)
            }
            None => None,
        };
        let servable = |release: &ReleaseFacts| {
            let mut digests = release.files.iter().filter_map(|(_, facts)| facts.sha256);
            // What the ledger names can be had from a peer when a client asks for it.
            self.inner.remote.has_peers() || digests.all(|sha256| self.inner.local.has(&sha256))
        };
        let rendered = render(plan, parsed.as_ref(), ledger, &servable).map_err(|error| unreadable(path, &error))?;
        match (rendered, record) {
            (Rendered::Verbatim, Some(record)) => self.serve(path, record, Provenance::Unverified, false),
            // Without a date: it changes with the ledger as well as with upstream's document.
            (Rendered::Changed(bytes), _) => Ok(Answer::Generated(Generated::new(path.clone(), bytes, None))),
            (Rendered::Empty | Rendered::Verbatim, _) => Ok(Answer::Absent),
        }
    }

    async fn known(&self, path: &RepoPath) -> Result<Known, RepositoryError> {
        self.inner.local.known(path, (self.inner.clock)()).await
    }

    pub(crate) fn serve(
        &self,
        path: &RepoPath,
        record: FileRecord,
        provenance: Provenance,
        immutable: bool,
    ) -> Result<Answer, RepositoryError> {
        self.serve_read(path, record, provenance, immutable, None)
    }

    fn serve_read(
        &self,
        path: &RepoPath,
        record: FileRecord,
        provenance: Provenance,
        immutable: bool,
        bytes: Option<Arc<[u8]>>,
    ) -> Result<Answer, RepositoryError> {
        let sha256 = record.digests.sha256;
        let Some(blob_path) = self.inner.local.blob_path(&sha256) else {
            return Err(RepositoryError::BytesMissing { path: path.clone(), sha256 });
        };
        let now = (self.inner.clock)();
        if now.saturating_sub(record.last_use) >= USED_S {
            self.inner.local.touch(path, now);
        }
        Ok(Answer::File(ServedFile {
            path: path.clone(),
            blob_path,
            digests: record.digests,
            last_modified: record.last_modified.unwrap_or(record.first_seen),
            first_seen: record.first_seen,
            upstream_modified: record.last_modified,
            provenance,
            immutable,
            bytes,
        }))
    }
}

fn other_bytes(path: &RepoPath, reason: WithheldReason) -> Withheld {
    match path.kind() {
        maven_layout::PathKind::Artifact { coordinates, file_name } => {
            decide::withheld(reason, &coordinates, &file_name)
        }
        _ => Withheld {
            reason,
            coordinates: None,
            detail: format!(
                "The bytes that upstream offers for {path} are not the expected ones; they were set aside."
            ),
            next: "The operator of this node finds both digests under the quarantined files.".to_owned(),
        },
    }
}

fn unreadable(path: &RepoPath, error: &metadata::MetadataError) -> RepositoryError {
    RepositoryError::upstream(path, format!("its document cannot be used: {error}"))
}

#[cfg(test)]
#[path = "service_tests.rs"]
mod tests;
