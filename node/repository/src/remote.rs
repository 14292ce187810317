//! Files from origins: one download for each path at a time, complete and verified before it is recorded.

mod peers;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use maven_layout::{GroupId, RepoPath, metadata};
use pyrsia_blobs::{Expected, StoredBlob};
use pyrsia_digest::Sha256;
use pyrsia_fetch::{FetchError, Origin, OriginAnswer, SingleFlight};
use pyrsia_store::{FileRecord, Pinned, QuarantineRecord};

use crate::error::RepositoryError;
use crate::local::Local;
use crate::routing;
use crate::service::{Clock, Upstream};

pub(crate) use peers::FromPeers;

/// Paths whose time of refreshing is remembered; beyond it the memory begins anew.
const REMEMBERED: usize = 100_000;
/// Refreshes in the background at one time.
const LATER: usize = 256;
/// For how long a copy at hand is served without waiting for an upstream that has just failed, in seconds.
const FAILED_S: u64 = 30;
/// For how long upstream is not asked again for bytes in whose place it had others, in seconds.
const OTHERS_S: u64 = 60;
/// For how long an upstream that could not be spoken to is asked after the others, in seconds.
const UNREACHABLE_S: u64 = 30;
/// Between a stale document and its refreshing: who got the document asks for its checksum first.
const MOMENT: Duration = Duration::from_secs(2);

/// What came of asking for a release file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Got {
    /// The file; recorded in the index.
    File(Box<FileRecord>),
    /// Every origin says that there is no such file.
    Absent,
    /// The origins' bytes are not the expected ones; recorded as quarantined.
    OtherBytes,
}

type Outcome = Result<Got, RepositoryError>;
type Refreshed = Result<Option<FileRecord>, RepositoryError>;

/// The origins. Clones share them.
#[derive(Clone)]
pub(crate) struct Remote {
    task: Task,
    downloads: SingleFlight<(RepoPath, Option<Sha256>), Outcome>,
    refreshes: SingleFlight<RepoPath, Refreshed>,
    ask_peers: SingleFlight<(RepoPath, Sha256, bool), peers::Outcome>,
    /// What is about to be refreshed in the background.
    later: Arc<Mutex<HashSet<RepoPath>>>,
    /// Until when a document is not asked for again that could not be had.
    failed: Arc<Mutex<HashMap<RepoPath, u64>>>,
    /// Until when upstream is not asked again for bytes in whose place it had others.
    other: Arc<Mutex<HashMap<(RepoPath, Sha256), u64>>>,
}

/// What a download needs, on its own, because it runs on when its caller has gone.
#[derive(Clone)]
struct Task {
    upstreams: Arc<[Upstream]>,
    peers: Option<Arc<dyn Origin>>,
    local: Local,
    clock: Clock,
    refreshed_at: Arc<Mutex<HashMap<RepoPath, u64>>>,
    /// Until when an upstream is held to be unreachable, by its name.
    unreachable: Arc<Mutex<HashMap<String, u64>>>,
}

struct Found {
    origin: String,
    stored: StoredBlob,
    last_modified: Option<u64>,
    verified_by: String,
}

enum Asked {
    Found(Found),
    Absent,
    /// An origin has other bytes than expected; their digest.
    OtherBytes {
        origin: String,
        sha256: Option<Sha256>,
        detail: String,
    },
}

impl Remote {
    pub(crate) fn new(upstreams: Vec<Upstream>, peers: Option<Arc<dyn Origin>>, local: Local, clock: Clock) -> Self {
        Self {
            task: Task {
                upstreams: upstreams.into(),
                peers,
                local,
                clock,
                refreshed_at: Arc::default(),
                unreachable: Arc::default(),
            },
            downloads: SingleFlight::new(),
            refreshes: SingleFlight::new(),
            ask_peers: SingleFlight::new(),
            later: Arc::default(),
            failed: Arc::default(),
            other: Arc::default(),
        }
    }

    /// Gets a release file whose first bytes stay. `pinned` are those bytes, if they were seen before and got lost.
    pub(crate) async fn pin(&self, path: &RepoPath, pinned: Option<Sha256>, absent_ttl_s: u64) -> Outcome {
        if self.had_others(path, pinned) {
            return Ok(Got::OtherBytes);
        }
        let (task, of) = (self.task.clone(), path.clone());
        let call = move || async move { task.pin(&of, pinned, absent_ttl_s).await };
        let outcome = self.downloads.run((path.clone(), pinned), call).await.map_err(|_| interrupted(path))?;
        self.note(path, pinned, outcome)
    }

    /// Gets the file that the ledger records; it takes the place of whatever was at the path.
    pub(crate) async fn replace(&self, path: &RepoPath, expected: Expected) -> Outcome {
        let wanted = expected.sha256;
        if self.had_others(path, wanted) {
            return Ok(Got::OtherBytes);
        }
        let (task, of, key) = (self.task.clone(), path.clone(), (path.clone(), wanted));
        let call = move || async move { task.replace(&of, &expected).await };
        let outcome = self.downloads.run(key, call).await.map_err(|_| interrupted(path))?;
        self.note(path, wanted, outcome)
    }

    /// Whether upstream had other bytes a moment ago: it is not made to send them for every client that asks.
    fn had_others(&self, path: &RepoPath, wanted: Option<Sha256>) -> bool {
        let Some(wanted) = wanted else { return false };
        let other = self.other.lock().unwrap_or_else(PoisonError::into_inner);
        !other.is_empty() && other.get(&(path.clone(), wanted)).is_some_and(|until| (self.task.clock)() < *until)
    }

    fn note(&self, path: &RepoPath, wanted: Option<Sha256>, outcome: Outcome) -> Outcome {
        if let (Some(wanted), Ok(Got::OtherBytes)) = (wanted, &outcome) {
            remember(&self.other, (path.clone(), wanted), (self.task.clock)().saturating_add(OTHERS_S));
        }
        outcome
    }

    /// Whether upstream failed to give a document a moment ago.
    pub(crate) fn has_failed(&self, path: &RepoPath) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.get(path).is_some_and(|until| (self.task.clock)() < *until)
    }

    /// Notes that upstream could not give a document.
    pub(crate) fn note_failure(&self, path: &RepoPath) {
        remember(&self.failed, path.clone(), (self.task.clock)().saturating_add(FAILED_S));
    }

    /// The groups that upstreams may be asked for; none if one of them may be asked for any group.
    pub(crate) fn asked_for(&self) -> Option<Vec<GroupId>> {
        let asked = self.task.upstreams.iter().filter(|upstream| upstream.origin.may_have_more());
        let named: Option<Vec<Vec<GroupId>>> = asked.map(|upstream| upstream.route.named()).collect();
        named.map(|named| named.concat())
    }

    /// Whether some upstream that is asked for a path may have more than what is here.
    pub(crate) fn may_have_more(&self, path: &RepoPath) -> bool {
        self.task.origins(path).iter().any(|origin| origin.may_have_more())
    }

    /// Who may be asked for a path, in order.
    pub(crate) fn origins(&self, path: &RepoPath) -> Vec<&dyn Origin> {
        self.task.origins(path)
    }

    /// Gets the present bytes of a file that may change.
    pub(crate) async fn refresh(&self, path: &RepoPath, absent_ttl_s: u64) -> Refreshed {
        let (task, of) = (self.task.clone(), path.clone());
        let call = move || async move { task.refresh(&of, absent_ttl_s).await };
        self.refreshes.run(path.clone(), call).await.map_err(|_| interrupted(path))?
    }

    /// Gets the present bytes of a file that may change, in a moment and for whoever asks then. False if too many wait
    /// for that already.
    pub(crate) fn refresh_later(&self, path: &RepoPath, absent_ttl_s: u64) -> bool {
        let mut later = self.later.lock().unwrap_or_else(PoisonError::into_inner);
        if later.contains(path) {
            return true;
        }
        if later.len() >= LATER {
            return false;
        }
        later.insert(path.clone());
        let (here, path) = (self.clone(), path.clone());
        tokio::spawn(async move {
            tokio::time::sleep(MOMENT).await;
            if let Err(error) = here.refresh(&path, absent_ttl_s).await {
                tracing::info!(file.path = %path, error.message = %error, "a document was not refreshed in the background");
            }
            here.later.lock().unwrap_or_else(PoisonError::into_inner).remove(&path);
        });
        true
    }

    /// Seconds since the path was refreshed by this process.
    pub(crate) fn age(&self, path: &RepoPath) -> Option<u64> {
        let at = self.task.refreshed_at.lock().unwrap_or_else(PoisonError::into_inner).get(path).copied();
        at.map(|at| (self.task.clock)().saturating_sub(at))
    }
}

impl Task {
    async fn pin(&self, path: &RepoPath, pinned: Option<Sha256>, absent_ttl_s: u64) -> Outcome {
        let expected = pinned.map(Expected::sha256).unwrap_or_default();
        match self.ask_in_order(path, &expected).await? {
            Asked::Absent => {
                if pinned.is_none() {
                    self.note_absent(path, absent_ttl_s).await?;
                }
                Ok(Got::Absent)
            }
            Asked::OtherBytes { origin, sha256, detail } => {
                self.set_aside(path, sha256, 0, origin, detail).await?;
                Ok(Got::OtherBytes)
            }
            Asked::Found(found) => {
                let record = self.record(path, &found);
                let (sha256, size) = (record.digests.sha256, record.digests.size);
                match self.local.pin(record.clone()).await? {
                    Pinned::New => Ok(Got::File(Box::new(record))),
                    Pinned::Same(known) => Ok(Got::File(Box::new(known))),
                    Pinned::Other(known) => {
                        let detail = format!("first seen were {}", known.digests.sha256);
                        self.set_aside(path, Some(sha256), size, found.origin, detail).await?;
                        Ok(if self.local.has(&known.digests.sha256) {
                            Got::File(Box::new(known))
                        } else {
                            Got::OtherBytes
                        })
                    }
                }
            }
        }
    }

    async fn replace(&self, path: &RepoPath, expected: &Expected) -> Outcome {
        match self.ask_in_order(path, expected).await? {
            Asked::Absent => Ok(Got::Absent),
            Asked::OtherBytes { origin, sha256, detail } => {
                self.set_aside(path, sha256, 0, origin, detail).await?;
                Ok(Got::OtherBytes)
            }
            Asked::Found(found) => {
                let record = self.record(path, &found);
                self.local.put(record.clone()).await?;
                Ok(Got::File(Box::new(record)))
            }
        }
    }

    async fn refresh(&self, path: &RepoPath, absent_ttl_s: u64) -> Refreshed {
        if self.upstreams.is_empty() {
            // Nobody says that what is here is not there any more.
            return self.local.record(path).await;
        }
        let found = if path.file_name() == metadata::FILE_NAME {
            self.merged(path).await?
        } else {
            match self.ask_in_order(path, &Expected::default()).await? {
                Asked::Found(found) => Some(self.record(path, &found)),
                // Nothing was expected, so nothing can be other than expected.
                Asked::Absent | Asked::OtherBytes { .. } => None,
            }
        };
        let Some(record) = found else {
            self.local.forget(path).await?;
            self.note_absent(path, absent_ttl_s).await?;
            return Ok(None);
        };
        let record = match self.local.record(path).await? {
            Some(known) if known.digests == record.digests => known,
            _ => {
                self.local.put(record.clone()).await?;
                record
            }
        };
        remember(&self.refreshed_at, path.clone(), (self.clock)());
        Ok(Some(record))
    }

    /// One `maven-metadata.xml` of all origins: the only one's bytes as they are, else a document that tells what all tell.
    ///
    /// A failing origin fails the whole, because a document without its versions would hide them.
    async fn merged(&self, path: &RepoPath) -> Refreshed {
        let mut documents = Vec::new();
        for origin in self.origins(path) {
            match self.ask(origin, path, &Expected::default()).await {
                Ok(Asked::Found(found)) => {
                    let digests = &found.stored.digests;
                    if digests.size > metadata::MAX_BYTES {
                        self.local.discard(path, digests.sha256).await?;
                        let detail = format!("{}: a document of {} bytes", found.origin, digests.size);
                        return Err(upstream(path, detail, false));
                    }
                    // Parsed before it is recorded: a checksum that fits proves only that the garbage arrived intact.
                    let bytes = self.local.read(path, &found.stored.digests.sha256).await?;
                    let document = metadata::parse(&bytes)
                        .map_err(|error| upstream(path, format!("{}: {error}", found.origin), false))?;
                    documents.push((found, document));
                }
                Ok(Asked::Absent | Asked::OtherBytes { .. }) => {}
                Err(error) => return Err(failed(path, &[error])),
            }
        }
        let mut documents = documents.into_iter();
        let Some((first, mut merged)) = documents.next() else {
            return Ok(None);
        };
        let mut record = self.record(path, &first);
        let mut alone = true;
        for (found, document) in documents {
            merged = metadata::merge(merged, document)
                .map_err(|error| upstream(path, format!("{}: {error}", found.origin), false))?;
            record.origin = format!("{},{}", record.origin, found.origin);
            record.last_modified = record.last_modified.max(found.last_modified);
            alone = false;
        }
        if !alone {
            record.digests = self.local.store(path, metadata::write(&merged).into_bytes()).await?;
        }
        Ok(Some(record))
    }

    /// Who may be asked for a path, in order.
    fn origins(&self, path: &RepoPath) -> Vec<&dyn Origin> {
        let chosen = routing::chosen(path, self.upstreams.iter().map(|upstream| &upstream.route));
        chosen.into_iter().filter_map(|at| self.upstreams.get(at)).map(|upstream| upstream.origin.as_ref()).collect()
    }

    /// The first origin that has the file. Absent only if all say so.
    ///
    /// One that could not be spoken to a moment ago is asked last: whoever asks for a file that another one has does not wait
    /// again until all attempts have failed. What comes of it is the same.
    async fn ask_in_order(&self, path: &RepoPath, expected: &Expected) -> Result<Asked, RepositoryError> {
        let mut failures = Vec::new();
        let mut other_bytes = None;
        let mut origins = self.origins(path);
        if origins.len() > 1 {
            origins.sort_by_key(|origin| self.is_unreachable(origin.id()));
        }
        for origin in origins {
            match self.ask(origin, path, expected).await {
                Ok(found @ Asked::Found(_)) => return Ok(found),
                Ok(Asked::Absent) => {}
                Ok(other @ Asked::OtherBytes { .. }) => other_bytes = Some(other),
                Err(error) => {
                    if error.is_unreachable() {
                        let until = (self.clock)().saturating_add(UNREACHABLE_S);
                        remember(&self.unreachable, origin.id().to_owned(), until);
                    }
                    failures.push(error);
                }
            }
        }
        match (other_bytes, failures.is_empty()) {
            (Some(other), true) => Ok(other),
            (None, true) => Ok(Asked::Absent),
            // Whoever failed may have the right ones.
            (_, false) => Err(failed(path, &failures)),
        }
    }

    fn is_unreachable(&self, id: &str) -> bool {
        let unreachable = self.unreachable.lock().unwrap_or_else(PoisonError::into_inner);
        unreachable.get(id).is_some_and(|until| (self.clock)() < *until)
    }

    async fn ask(&self, origin: &dyn Origin, path: &RepoPath, expected: &Expected) -> Result<Asked, FetchError> {
        match origin.fetch(path, expected, self.local.blobs()).await {
            Ok(answer) => Ok(self.judge(origin, answer, expected)),
            Err(FetchError::Mismatch { mismatch, .. })
                if expected.sha256.is_some_and(|sha256| sha256.to_string() == mismatch.expected) =>
            {
                let detail = format!("expected another file: {mismatch}");
                let sha256 = mismatch.actual.parse().ok();
                Ok(Asked::OtherBytes { origin: origin.id().to_owned(), sha256, detail })
            }
            Err(error) => Err(error),
        }
    }

    /// What an origin's answer is worth. It promises to give what was expected, and the rest of this crate relies on it: so it
    /// is looked at here as well.
    fn judge(&self, origin: &dyn Origin, answer: OriginAnswer, expected: &Expected) -> Asked {
        let OriginAnswer::Found { stored, last_modified, checksums } = answer else { return Asked::Absent };
        let (origin, sha256) = (origin.id().to_owned(), stored.digests.sha256);
        if let Err(mismatch) = expected.check(&stored.digests) {
            let detail = format!("expected another file: {mismatch}");
            return Asked::OtherBytes { origin, sha256: Some(sha256), detail };
        }
        self.local.remember(sha256);
        Asked::Found(Found { origin, stored, last_modified, verified_by: checksums.to_string() })
    }

    fn record(&self, path: &RepoPath, found: &Found) -> FileRecord {
        let now = (self.clock)();
        FileRecord {
            path: path.clone(),
            digests: found.stored.digests.clone(),
            origin: found.origin.clone(),
            verified_by: found.verified_by.clone(),
            last_modified: found.last_modified,
            first_seen: now,
            last_use: now,
        }
    }

    async fn note_absent(&self, path: &RepoPath, ttl_s: u64) -> Result<(), RepositoryError> {
        let now = (self.clock)();
        RepositoryError::spare(self.local.put_absent(path, now, now.saturating_add(ttl_s)).await)
    }

    async fn set_aside(
        &self,
        path: &RepoPath,
        sha256: Option<Sha256>,
        size: u64,
        origin: String,
        reason: String,
    ) -> Result<(), RepositoryError> {
        let Some(sha256) = sha256 else { return Ok(()) };
        let seen_at = (self.clock)();
        self.local.quarantine(QuarantineRecord { path: path.clone(), sha256, size, origin, reason, seen_at }).await
    }
}

/// Notes a time, and begins anew before there are too many.
fn remember<K: std::hash::Hash + Eq>(times: &Mutex<HashMap<K, u64>>, key: K, time: u64) {
    let mut times = times.lock().unwrap_or_else(PoisonError::into_inner);
    if times.len() >= REMEMBERED {
        times.clear();
    }
    times.insert(key, time);
}

fn failed(path: &RepoPath, failures: &[FetchError]) -> RepositoryError {
    // Of an upstream that failed as well nothing could be stored either.
    if let Some(FetchError::Store(error)) = failures.iter().find(|error| matches!(error, FetchError::Store(_))) {
        return RepositoryError::local(path, error);
    }
    let timed_out = failures.iter().all(|error| matches!(error, FetchError::Idle { .. } | FetchError::Timeout { .. }));
    let detail: Vec<String> = failures.iter().map(ToString::to_string).collect();
    upstream(path, detail.join("; "), timed_out)
}

fn upstream(path: &RepoPath, detail: String, timed_out: bool) -> RepositoryError {
    RepositoryError::Upstream { path: path.clone(), detail, timed_out }
}

fn interrupted(path: &RepoPath) -> RepositoryError {
    RepositoryError::Local { path: path.clone(), detail: "the download was interrupted".to_owned() }
}
