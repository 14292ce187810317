//! Questions.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use maven_layout::{Coordinates, FileName};
use pyrsia_api_types::{
    Build, BuildCounts, BuildEvent, BuildEvents, BuildList, FileMatch, FileMatches, Inspection, LogPage, LogStatus,
    MovedTag, NetworkStatus, PeerList, ReleasePolicy, RepositoryStatus, ServedReport, Status, StorageLimits,
    StorageStatus,
};
use pyrsia_digest::Sha256;
use pyrsia_http::{NodeView, SearchPage, SearchQuery, ViewError};
use pyrsia_ledger::{RoundState, Stage, State, Verdict};
use pyrsia_network::PeerName;
use pyrsia_rebuilds::BoardBuild;
use pyrsia_replica::ReceiptUnavailable;
use pyrsia_repository::Policy;

use super::search::Search;
use super::{Builds, NodeService, internal, story};
use crate::config::StoreConfig;
use crate::peering::remote_builds::RemoteBuilds;
use crate::upkeep::disk;

/// How long a receipt waits for the certificate of a verdict that has just been logged.
const CERTIFIED: Duration = Duration::from_secs(10);
/// How long one answer about a build waits for this node's ledger to have what an authority has.
const LEDGER_LAG: Duration = Duration::from_secs(2);
/// A checkpoint that is older than this many seconds is called stale (it is renewed hourly).
const STALE_S: u64 = 2 * 3600;

/// Verdicts that one question about a digest looks at: some milliseconds.
const LOOKS: usize = 20_000;
/// Files after which an answer to it ends.
const MATCHES: usize = 100;

/// Other commits that a verdict's tag led to, shown by [`NodeView::inspect`].
const MAX_MOVED: usize = 20;

fn moved_tag(state: &State, verdict: &Verdict) -> Vec<MovedTag> {
    let Some(tag) = &verdict.tag else { return Vec::new() };
    let rounds = pyrsia_rebuilds::moved_tag::elsewhere(state, &verdict.repository, tag, &verdict.commit);
    let told = rounds.into_iter().take(MAX_MOVED).map(|round| MovedTag {
        commit: round.request.commit.to_string(),
        round: round.key.to_string(),
        log_index: round.index,
    });
    told.collect()
}

#[async_trait]
impl NodeView for NodeService {
    async fn status(&self) -> Result<Status, ViewError> {
        let state = self.replica.state();
        let committee = state.committee();
        let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        let checkpoint = self.replica.certificate().await.map_err(internal)?;
        // A quorum said so then or later: neither a member that is down nor one that lies about the time moves it.
        let certified = *self.replica.certified().borrow();
        let time = checkpoint.as_ref().map(|_| certified.time);
        let is_old = |time| crate::clock::now().saturating_sub(time) > STALE_S;
        let stale = time.map_or(state.log_size() > 0, is_old);
        let head = self.store.run(|store| store.head()).await.map_err(internal)?;
        let (files, bytes) = self.index.run(|index| index.totals()).await.map_err(internal)?;
        let quarantined = self.index.run(|index| index.quarantined()).await.map_err(internal)?;
        let open = state.open_rounds().count() as u64;
        let running = self.board.list().iter().filter(|build| matches!(build.stage, "recording" | "replaying")).count();
        Ok(Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            role: if self.facts.name.is_some() { "authority" } else { "node" }.to_owned(),
            name: self.facts.name.clone(),
            uptime_s: self.started.elapsed().as_secs(),
            network: NetworkStatus {
                name: self.replica.genesis().name.clone(),
                id: self.replica.network_id().to_string(),
                authorities: count(committee.size()),
                threshold: count(committee.quorum()),
                tolerates: count(committee.faulty()),
                reachable: count(self.reachable_authorities()),
            },
            log: LogStatus {
                size: state.log_size(),
                root: checkpoint
                    .map_or_else(|| pyrsia_merkle::empty_root().to_string(), |found| found.checkpoint.root.to_string()),
                height: head.map(|head| head.height),
                checkpoint_time: time,
                stale,
            },
            builds: BuildCounts { open, closed: state.rounds().count() as u64 - open, running_here: running as u64 },
            repository: RepositoryStatus {
                url: self.facts.maven_url.clone(),
                policy: self.facts.policy.clone(),
                upstreams: self.facts.upstreams.clone(),
                quarantined: quarantined.len() as u64,
            },
            storage: self.storage(files, bytes).await,
            peers: self.connected() as u64,
            warnings: self.warnings(stale).await,
        })
    }

    async fn builds(&self, skip: u64, max: u64) -> Result<BuildList, ViewError> {
        let all = self.all_builds();
        let total = all.len() as u64;
        let take = usize::try_from(max).unwrap_or(usize::MAX);
        let state = self.replica.state();
        let page = all.into_iter().skip(usize::try_from(skip).unwrap_or(usize::MAX)).take(take);
        Ok(BuildList { builds: page.map(|build| story::build(&build, &state)).collect(), total })
    }

    async fn build(&self, id: &str) -> Result<Build, ViewError> {
        match self.remote(id) {
            Some((remote, holder)) => {
                let answer = remote.look(&holder, id, None, Duration::ZERO).await?;
                Ok(story::confirmed(answer.build, &self.replica.state()))
            }
            None => Ok(story::build(&self.find_build(id)?, &self.replica.state())),
        }
    }

    async fn build_events(&self, id: &str, after: u64, wait: Duration) -> Result<BuildEvents, ViewError> {
        if let Some((remote, holder)) = self.remote(id) {
            let answer = remote.look(&holder, id, Some(after), wait).await?;
            let mut events = answer.events.ok_or_else(|| ViewError::Unavailable {
                detail: "the authority told no events".to_owned(),
                next: String::new(),
            })?;
            // Over is what this node's own ledger says is over.
            let build = story::confirmed(answer.build, &self.replica.state());
            if events.done && !build.done {
                events.done = false;
                self.ledger_moves(wait.min(LEDGER_LAG)).await;
            }
            return Ok(events);
        }
        let build = self.find_build(id)?;
        let deadline = tokio::time::Instant::now() + wait;
        let mut changes = self.board.changes();
        loop {
            changes.mark_unchanged();
            // A build from before the last start is known from the ledger alone: it has no events.
            let (events, next, done) = self.board.events(&build.id, after).unwrap_or((Vec::new(), after, build.done));
            if !events.is_empty() || done || tokio::time::Instant::now() >= deadline {
                let events = events
                    .into_iter()
                    .map(|event| BuildEvent {
                        sequence: event.sequence,
                        time: event.time,
                        kind: event.kind.to_owned(),
                        text: event.text,
                    })
                    .collect();
                return Ok(BuildEvents { id: build.id, events, next, done });
            }
            let _ = tokio::time::timeout_at(deadline, changes.changed()).await;
        }
    }

    async fn inspect(&self, coordinates: &Coordinates) -> Result<Inspection, ViewError> {
        let state = self.replica.state();
        let verdict = state.verdict(coordinates);
        let decided = state.rounds().any(|round| {
            matches!(round.stage, Stage::Closed(RoundState::Decided(_)))
                && round.request.coordinates.contains(coordinates)
        });
        let namespace = state.namespace_for(&coordinates.group).map(|namespace| {
            let word = if namespace.native { "native" } else { "upstream" };
            let repositories: Vec<String> = namespace.repositories.iter().map(ToString::to_string).collect();
            format!("{} ({word}) from {}", namespace.group, repositories.join(", "))
        });
        let builds = self.all_builds().into_iter().filter(|build| build.coordinates.contains(coordinates));
        Ok(Inspection {
            gav: coordinates.to_string(),
            verdict: verdict.map(|verdict| story::verdict(verdict, &state)),
            blocked: state.is_blocked(coordinates),
            withdrawn: verdict.is_none() && decided,
            moved_tag: verdict.map(|verdict| moved_tag(&state, verdict)).unwrap_or_default(),
            namespace,
            builds: builds.map(|build| build.id).collect(),
        })
    }

    async fn files(&self, sha256: &Sha256, after: Option<&Coordinates>) -> Result<FileMatches, ViewError> {
        Ok(files_in(&self.replica.state(), sha256, after, LOOKS))
    }

    async fn search(
        &self,
        query: &SearchQuery,
        by_release: bool,
        skip: u64,
        max: u64,
    ) -> Result<SearchPage, ViewError> {
        let (state, query) = (self.replica.state(), query.clone());
        let (classes, policies) = (self.classes.clone(), self.policies.clone());
        let found = self.index.run(move |index| {
            let search = Search { index, classes: &classes, state: &state, policies: &policies };
            search.page(&query, by_release, skip, max)
        });
        found.await.map_err(internal)
    }

    async fn log(&self, from: u64, max: u64, wait: Duration) -> Result<LogPage, ViewError> {
        let mut changes = self.replica.subscribe();
        let deadline = tokio::time::Instant::now() + wait;
        while *changes.borrow_and_update() <= from {
            if !matches!(tokio::time::timeout_at(deadline, changes.changed()).await, Ok(Ok(()))) {
                break;
            }
        }
        let max = usize::try_from(max).unwrap_or(usize::MAX).min(1000);
        let records = self.store.run(move |store| store.leaves(from, max)).await.map_err(internal)?;
        let state = self.replica.state();
        let leaves: Vec<_> =
            records.iter().map(|record| story::leaf(record.index, &record.bytes, state.committee())).collect();
        let next = leaves.last().map_or(from, |leaf| leaf.index + 1);
        Ok(LogPage { from, leaves, next, size: state.log_size().max(next) })
    }

    async fn receipt(&self, coordinates: &Coordinates) -> Result<String, ViewError> {
        if self.replica.state().verdict(coordinates).is_none() {
            return Err(ViewError::NotFound {
                detail: format!("the ledger has no standing verdict for {coordinates}"),
                next: format!("pyrsia-maven build {coordinates} --wait"),
            });
        }
        let deadline = tokio::time::Instant::now() + CERTIFIED;
        let mut certified = self.replica.certified();
        loop {
            certified.mark_unchanged();
            match self.replica.receipt(coordinates).await {
                Ok(receipt) => return Ok(receipt.to_text()),
                // Cosignatures follow an entry by fractions of a second, as long as a quorum is up.
                Err(ReceiptUnavailable::NotCertified { .. }) if tokio::time::Instant::now() < deadline => {
                    let _ = tokio::time::timeout_at(deadline, certified.changed()).await;
                }
                Err(error) => {
                    return Err(ViewError::Unavailable {
                        detail: error.to_string(),
                        next: "try again once the newest checkpoint is certified".to_owned(),
                    });
                }
            }
        }
    }

    async fn provenance(&self, coordinates: &Coordinates, authority: Option<&str>) -> Result<String, ViewError> {
        self.envelopes(coordinates, authority).await
    }

    async fn network(&self) -> Result<serde_json::Value, ViewError> {
        Ok(self.network.clone())
    }

    async fn peers(&self) -> Result<PeerList, ViewError> {
        Ok(self.peer_list())
    }

    async fn policy(
        &self,
        coordinates: &Coordinates,
        more: &[FileName],
        instead: Option<Policy>,
    ) -> Result<ReleasePolicy, ViewError> {
        self.release_policy(coordinates, more, instead).await
    }

    async fn served(&self, since: Option<u64>, max: usize) -> Result<ServedReport, ViewError> {
        self.served_report(since, max).await
    }

    async fn checkpoint(&self) -> Result<String, ViewError> {
        match self.replica.certificate().await.map_err(internal)? {
            Some(certificate) => Ok(certificate.to_text()),
            None => Err(ViewError::NotFound { detail: "the ledger is empty".to_owned(), next: String::new() }),
        }
    }

    async fn tree_nodes(&self, level: u8, from: u64, count: u16) -> Result<Vec<Sha256>, ViewError> {
        self.store.run(move |store| store.nodes(level, from, count.into())).await.map_err(internal)
    }

    async fn leaves(&self, from: u64, count: u16) -> Result<Vec<Vec<u8>>, ViewError> {
        let records = self.store.run(move |store| store.leaves(from, count.into())).await.map_err(internal)?;
        Ok(records.into_iter().map(|record| record.bytes).collect())
    }
}

/// The files with a digest among so many verdicts behind a release.
fn files_in(state: &State, sha256: &Sha256, after: Option<&Coordinates>, looks: usize) -> FileMatches {
    let mut found = FileMatches::default();
    for (seen, verdict) in state.verdicts_after(after).enumerate() {
        let hits = verdict.files.iter().filter(|file| file.sha256 == Some(*sha256));
        let gav = || verdict.coordinates.to_string();
        found.files.extend(hits.map(|file| FileMatch { gav: gav(), name: file.name.clone() }));
        // A part that ends just before the end says so in the next one.
        if seen + 1 >= looks || found.files.len() >= MATCHES {
            found.next = Some(gav());
            break;
        }
    }
    found
}

impl NodeService {
    /// Builds on the board, then those that only the ledger remembers (from before the last start), newest first.
    fn all_builds(&self) -> Vec<BoardBuild> {
        let mut builds = self.board.list();
        let state = self.replica.state();
        let mut older: Vec<_> =
            state.rounds().filter(|round| !builds.iter().any(|build| build.round == Some(round.key))).collect();
        older.sort_by_key(|round| std::cmp::Reverse(round.index));
        let older: Vec<BoardBuild> = older.into_iter().map(BoardBuild::of_round).collect();
        builds.extend(older);
        builds
    }

    /// The authority that builds on behalf of this node.
    fn remote(&self, id: &str) -> Option<(&RemoteBuilds, PeerName)> {
        let Builds::There(remote) = &self.builds else { return None };
        remote.holder(id).map(|holder| (remote, holder))
    }

    async fn storage(&self, files: u64, bytes: u64) -> StorageStatus {
        let StoreConfig { max_bytes, max_age_days, min_free_bytes, remove_named, .. } = self.limits;
        let data = PathBuf::from(&self.facts.data_dir);
        let free = tokio::task::spawn_blocking(move || disk::free(&data).ok()).await;
        StorageStatus {
            files,
            bytes,
            data_dir: self.facts.data_dir.clone(),
            stored_bytes: self.gauge.stored(),
            free_bytes: free.ok().flatten(),
            excess_bytes: self.gauge.excess(),
            limits: StorageLimits { max_bytes, max_age_days, min_free_bytes, remove_named },
        }
    }

    /// Waits for the ledger to grow, at most so long.
    async fn ledger_moves(&self, wait: Duration) {
        let mut changes = self.replica.subscribe();
        changes.mark_unchanged();
        let _ = tokio::time::timeout(wait, changes.changed()).await;
    }

    fn find_build(&self, id: &str) -> Result<BoardBuild, ViewError> {
        let by_round = || {
            let mut all = self.all_builds().into_iter();
            all.find(|build| {
                build.id == id || (id.len() >= 8 && build.round.is_some_and(|key| key.to_string().starts_with(id)))
            })
        };
        self.board.find(id).or_else(by_round).ok_or_else(|| ViewError::NotFound {
            detail: format!("this node knows no build {id}"),
            next: "pyrsia-maven builds".to_owned(),
        })
    }
}
