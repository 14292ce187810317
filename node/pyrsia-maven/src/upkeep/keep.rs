//! A running node keeps within its limits by itself.

use std::sync::atomic::Ordering;
use std::time::Duration;

use pyrsia_blobs::BlobStore;
use pyrsia_replica::ReplicaHandle;
use pyrsia_store::IndexStore;

use super::collect::{self, Collected, Store};
use super::limits::{Limits, Need, Room};
use crate::config::StoreConfig;

/// How often files are looked at that are too old, while nothing else gives a reason to.
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
}

/// What the last rounds found, so that a node at rest looks at little.
#[derive(Debug, Default)]
struct Memory {
    /// Bytes of all blobs when they were counted last, and how many had been written by then.
    counted: Option<(u64, u64)>,
    /// When files were last looked at for their age.
    aged: Option<tokio::time::Instant>,
    /// Since when the limits cannot be kept to.
    missed: Option<tokio::time::Instant>,
}

impl Keeper {
    /// Looks after the store for ever.
    pub async fn run(self) {
        let limits = self.config.limits();
        if limits.is_none() {
            return std::future::pending().await;
        }
        let mut memory = Memory::default();
        let mut tick = tokio::time::interval(Duration::from_secs(self.config.check_s.max(1)));
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            if let Err(error) = self.round(&limits, &mut memory).await {
                tracing::warn!(error.message = format!("{error:#}"), "the store could not be kept within its limits");
            }
        }
    }

    async fn round(&self, limits: &Limits, memory: &mut Memory) -> anyhow::Result<()> {
        let now = tokio::time::Instant::now();
        let is_time = memory.aged.is_none_or(|aged| now.duration_since(aged) >= AGE);
        let of_age = limits.max_age_s.is_some() && is_time;
        let limits = Limits { max_age_s: limits.max_age_s.filter(|_| of_age), ..*limits };
        let need = self.need(&limits, memory, false).await?;
        let rests = memory.missed.is_some_and(|missed| now.duration_since(missed) < REST);
        if (need.has_room() || rests) && !of_age {
            return Ok(());
        }
        // Counted again before anything goes.
        let need = self.need(&limits, memory, true).await?;
        let mut total = Collected::default();
        if need.bytes > 0 {
            let of_documents = self.on_disk(|store, keeper| store.superseded(&keeper.named(), Some(FRESH))).await?;
            total.bytes = of_documents.bytes;
            total.removed = of_documents.removed;
        }
        loop {
            let (limits, gone, after) = (limits, total.bytes, total.after);
            let step =
                self.on_disk(move |store, keeper| store.step(&limits, &need, gone, after, &keeper.named())).await?;
            total.bytes = total.bytes.saturating_add(step.bytes);
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
        // Counted anew when it is asked for next, if anything was removed.
        memory.counted = memory.counted.filter(|_| total.removed == 0);
        if total.removed > 0 {
            tracing::info!(store.removed = total.removed, store.bytes = total.bytes, "files made room");
        }
        let missing = need.least.saturating_sub(total.bytes);
        if missing > 0 && memory.missed.is_none() {
            tracing::warn!(
                store.missing_bytes = missing,
                store.kept = total.kept,
                "the store is above its limits, and nothing further may be removed: what verdicts name and what is no file of \
                 the repository stays; raise the limits in [store], or set `remove_named`"
            );
        }
        memory.missed = (missing > 0).then_some(now);
        Ok(())
    }

    /// What has to go. What is stored is counted if it was not yet, or if it is to be known exactly; else it is at most what was
    /// counted and what was written since: the same bytes twice count twice, and what others remove is not taken off.
    async fn need(&self, limits: &Limits, memory: &mut Memory, exactly: bool) -> anyhow::Result<Need> {
        let stored = match (limits.max_bytes, memory.counted.filter(|_| !exactly)) {
            (None, _) => 0,
            (Some(_), Some((stored, then))) => stored.saturating_add(self.written().saturating_sub(then)),
            (Some(_), None) => {
                let written = self.written();
                let stored = self.on_disk(|store, _| store.measure()).await?.1;
                memory.counted = Some((stored, written));
                stored
            }
        };
        let free = self.on_disk(|store, _| store.free()).await?;
        Ok(Need::of(limits, Room { stored, free }, crate::clock::now(), true))
    }

    fn written(&self) -> u64 {
        self.blobs.written().load(Ordering::Relaxed)
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
            let in_use = Some((inputs, crate::clock::now().saturating_sub(BUILD_S)));
            let store = Store { blobs: &keeper.blobs, indexes: &keeper.indexes, in_use, dry: false };
            work(&store, &keeper)
        })
        .await?
    }
}
