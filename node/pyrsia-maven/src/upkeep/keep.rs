//! A running node keeps within its limits by itself.

use std::time::Duration;

use pyrsia_blobs::BlobStore;
use pyrsia_replica::ReplicaHandle;
use pyrsia_store::IndexStore;

use super::collect::{self, Collected, Store};
use super::gauge::Gauge;
use super::limits::{Limits, Need, Room};
use crate::config::StoreConfig;

/// How often files are looked at that are too old, or were set aside, while nothing else gives a reason to.
const AGE: Duration = Duration::from_secs(3600);
/// Until it is tried again to keep within limits that were not to be kept to: each time all files are looked at.
const REST: Duration = Duration::from_secs(600);
/// For so long a build may be reading what it has read once, in seconds: longer than one may take.
const BUILD_S: u64 = 2 * 3600;
/// Pause between two steps: others get to the disk and the index.
const BETWEEN: Duration = Duration::from_millis(200);
/// Bytes without a path that are younger may be on their way to one.
const FRESH: Duration = Duration::from_secs(600);

/// What the loop works with.
#[derive(Clone)]
pub struct Keeper {
    /// The bytes.
    pub blobs: BlobStore,
    /// The index of what clients are served, and that of what builds read.
    pub indexes: [IndexStore; 2],
    /// What the verdicts name.
    pub replica: ReplicaHandle,
    /// The limits.
    pub config: StoreConfig,
    /// Where it is told how full the store is.
    pub gauge: Gauge,
}

/// What the last rounds found, so that a node at rest looks at little.
#[derive(Debug, Default)]
struct Memory {
    /// When files were last looked at for their age.
    aged: Option<tokio::time::Instant>,
    /// Since when the limits cannot be kept to.
    missed: Option<tokio::time::Instant>,
}

impl Keeper {
    /// Looks after the store for ever.
    pub async fn run(self) {
        let limits = self.config.limits();
        if limits.max_bytes.is_some() {
            tokio::join!(self.forget_now_and_then(), self.keep(&limits));
            return;
        }
        // Nothing here depends on how much there is, but people ask.
        tokio::join!(self.forget_now_and_then(), self.count_now_and_then(), self.keep(&limits));
    }

    /// Whatever the limits are: what was set aside ends.
    async fn forget_now_and_then(&self) {
        loop {
            let forgotten = self.on_disk(|store, _| store.forget_set_aside(std::time::SystemTime::now())).await;
            if let Err(error) = forgotten {
                tracing::warn!(error.message = format!("{error:#}"), "what was set aside could not be looked through");
            }
            tokio::time::sleep(AGE).await;
        }
    }

    async fn count_now_and_then(&self) {
        loop {
            if let Err(error) = self.count().await {
                tracing::warn!(error.message = format!("{error:#}"), "the store could not be counted");
            }
            tokio::time::sleep(AGE).await;
        }
    }

    async fn keep(&self, limits: &Limits) {
        if limits.is_none() {
            return;
        }
        let mut memory = Memory::default();
        let mut tick = tokio::time::interval(Duration::from_secs(self.config.check_s.max(1)));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if let Err(error) = self.round(limits, &mut memory).await {
                tracing::warn!(error.message = format!("{error:#}"), "the store could not be kept within its limits");
            }
        }
    }

    async fn round(&self, limits: &Limits, memory: &mut Memory) -> anyhow::Result<()> {
        let now = tokio::time::Instant::now();
        let is_time = memory.aged.is_none_or(|aged| now.duration_since(aged) >= AGE);
        let of_age = limits.max_age_s.is_some() && is_time;
        let limits = Limits { max_age_s: limits.max_age_s.filter(|_| of_age), ..*limits };
        let need = self.need(&limits, false).await?;
        if need.has_room() {
            self.gauge.exceed(0);
        }
        let rests = memory.missed.is_some_and(|missed| now.duration_since(missed) < REST);
        if (need.has_room() || rests) && !of_age {
            return Ok(());
        }
        // Counted again before anything goes.
        let need = self.need(&limits, true).await?;
        let mut total = Collected::default();
        if !need.has_room() {
            let of_documents = self.on_disk(|store, keeper| store.superseded(&keeper.named(), Some(FRESH))).await?;
            total.gone = of_documents.gone;
            total.removed = of_documents.removed;
        }
        loop {
            let (limits, gone, after) = (limits, total.gone, total.after);
            let step =
                self.on_disk(move |store, keeper| store.step(&limits, &need, gone, after, &keeper.named())).await?;
            total.gone = total.gone.and(step.gone);
            total.removed += step.removed;
            total.kept += step.kept;
            total.after = step.after;
            if step.done {
                break;
            }
            tokio::time::sleep(BETWEEN).await;
        }
        if of_age {
            memory.aged = Some(now);
        }
        self.gauge.take_off(total.gone.stored);
        if total.removed > 0 {
            tracing::info!(store.removed = total.removed, store.bytes = total.gone.stored, "files made room");
        }
        let missing = need.missing(total.gone);
        if missing > 0 && memory.missed.is_none() {
            tracing::warn!(
                store.missing_bytes = missing,
                store.kept = total.kept,
                "the store is above its limits, and nothing further may be removed: what verdicts name and what is no file of \
                 the repository stays, and files that an exported folder has too make no room on the disk; raise the limits \
                 in [store], or set `remove_named`"
            );
        }
        memory.missed = (missing > 0).then_some(now);
        self.gauge.exceed(missing);
        Ok(())
    }

    /// What has to go. What is stored is counted if it was not yet, or if it is to be known exactly.
    async fn need(&self, limits: &Limits, exactly: bool) -> anyhow::Result<Need> {
        let stored = match (limits.max_bytes, self.gauge.stored().filter(|_| !exactly)) {
            (None, _) => 0,
            (Some(_), Some(stored)) => stored,
            (Some(_), None) => self.count().await?,
        };
        let free = self.on_disk(|store, _| store.free()).await?;
        Ok(Need::of(limits, Room { stored, free }, crate::clock::now(), true))
    }

    /// Counts the bytes of all blobs.
    async fn count(&self) -> anyhow::Result<u64> {
        let written = self.gauge.written();
        let stored = self.on_disk(|store, _| store.measure()).await?.bytes;
        self.gauge.count(stored, written);
        Ok(stored)
    }

    fn named(&self) -> std::collections::BTreeSet<pyrsia_digest::Sha256> {
        collect::named(&self.replica.state())
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store<'_>, &Self) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let keeper = self.clone();
        tokio::task::spawn_blocking(move || {
            let [_, inputs] = &keeper.indexes;
            let now = crate::clock::now();
            let store = Store {
                blobs: &keeper.blobs,
                indexes: &keeper.indexes,
                in_use: Some((inputs, now.saturating_sub(BUILD_S))),
                stored_since: Some(now.saturating_sub(FRESH.as_secs())),
                dry: false,
            };
            work(&store, &keeper)
        })
        .await?
    }
}
