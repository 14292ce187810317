//! Removing what has to go, the longest unused first, in steps of bounded size.

use std::collections::{BTreeSet, BinaryHeap};
use std::fs::Metadata;
use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use pyrsia_blobs::BlobStore;
use pyrsia_digest::Sha256;
use pyrsia_ledger::{RoundResult, State};
use pyrsia_store::{IndexStore, LastUse, StoreError};

use super::limits::{Fate, Gone, Holds, Limits, Need, fate};

/// Files that one step holds in memory and decides about.
const STEP: usize = 10_000;

/// What a step works with. Everything here blocks.
pub struct Store<'a> {
    /// The bytes.
    pub blobs: &'a BlobStore,
    /// The index of what clients are served, and the one of what builds read: bytes were last used when either says so.
    pub indexes: &'a [IndexStore],
    /// What builds read, and since when somebody may still be reading it, seconds since 1970.
    pub in_use: Option<(&'a IndexStore, u64)>,
    /// What was stored since then, seconds since 1970, counts as used when it was: its path may not say so yet, or have got it back.
    pub stored_since: Option<u64>,
    /// Remove nothing, say what would be removed.
    pub dry: bool,
}

/// What a step came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Files that were removed, or would be.
    pub removed: u64,
    /// Their bytes.
    pub gone: Gone,
    /// Files that would have gone but stay.
    pub kept: u64,
    /// Those of them that stay because a standing verdict names them.
    pub vouched: u64,
    /// Those of the removed that have another name, as in an exported folder.
    pub linked: u64,
    /// There is nothing further to look at.
    pub done: bool,
    /// Behind which last use and digest the next step goes on.
    pub after: Option<(u64, Sha256)>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Measured {
    /// All blobs.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Those of them that have another name, as in an exported folder.
    pub linked: u64,
    /// Their bytes, which removing them would not free.
    pub linked_bytes: u64,
}

/// What standing verdicts rest on: their files, the manifest of inputs, and the provenance of each build. This node may be
/// the last to have it.
pub fn named(state: &State) -> BTreeSet<Sha256> {
    let files = state.verdicts().flat_map(|verdict| &verdict.files).filter_map(|file| file.sha256);
    let rounds = state.verdicts().filter_map(|verdict| state.round(&verdict.round));
    let records = rounds.flat_map(|round| {
        let results = round.attestations.values().filter_map(|shown| match &*shown.result {
            RoundResult::Built(built) => built.provenance,
            RoundResult::Failed(_) | RoundResult::Void { .. } => None,
        });
        round.inputs.iter().map(|inputs| inputs.manifest).chain(results)
    });
    files.chain(records).collect()
}

impl Store<'_> {
    /// Counts all blobs.
    pub fn measure(&self) -> anyhow::Result<Measured> {
        let mut found = Measured::default();
        for digest in self.blobs.digests()? {
            let Some(file) = self.blobs.metadata(&digest?) else { continue };
            found.files += 1;
            found.bytes = found.bytes.saturating_add(file.len());
            if is_linked(&file) {
                found.linked += 1;
                found.linked_bytes = found.linked_bytes.saturating_add(file.len());
            }
        }
        Ok(found)
    }

    /// Bytes that are free on the disk.
    pub fn free(&self) -> anyhow::Result<u64> {
        Ok(super::disk::free(self.blobs.root())?)
    }

    /// Removes bytes that paths had and have no more, in none of the indexes, and forgets them. While a node runs, those that were
    /// stored less than `fresh` ago may be about to become a path's again, and stay.
    pub fn superseded(&self, named: &BTreeSet<Sha256>, fresh: Option<Duration>) -> anyhow::Result<Collected> {
        let mut collected = Collected { done: true, ..Collected::default() };
        let mut all = BTreeSet::new();
        for index in self.indexes {
            all.extend(index.superseded()?);
        }
        let mut forgotten = Vec::new();
        for (sha256, _) in all {
            let used = self.indexes.iter().map(|index| index.uses_blob(&sha256)).collect::<Result<Vec<_>, _>>()?;
            if used.contains(&true) || named.contains(&sha256) {
                continue;
            }
            let stored = self.blobs.metadata(&sha256);
            let age = stored.as_ref().and_then(|file| file.modified().ok()).and_then(|time| time.elapsed().ok());
            if fresh.is_some_and(|fresh| stored.is_some() && age.is_none_or(|age| age < fresh)) {
                collected.kept += 1;
                continue;
            }
            if let Some(file) = stored {
                self.remove(&sha256, &file, &mut collected)?;
            }
            forgotten.push(sha256);
        }
        if !self.dry {
            self.indexes.iter().try_for_each(|index| index.forget_superseded(forgotten.clone()))?;
        }
        Ok(collected)
    }

    /// One step: the longest unused files behind `after` that are here, until `need` is met with what `gone` says is gone
    /// already.
    pub fn step(
        &self,
        limits: &Limits,
        need: &Need,
        gone: Gone,
        after: Option<(u64, Sha256)>,
        named: &BTreeSet<Sha256>,
    ) -> anyhow::Result<Collected> {
        let mut collected = Collected { after, ..Collected::default() };
        let oldest = self.longest_unused(after)?;
        let whole = oldest.len() < STEP;
        for used in oldest {
            let gone = gone.and(collected.gone);
            let Some(file) = self.blobs.metadata(&used.sha256) else { continue };
            let holds = Holds {
                named: named.contains(&used.sha256),
                in_use: self.is_in_use(&used.sha256)?,
                linked: is_linked(&file),
            };
            match fate(limits, need, gone, &used, holds) {
                Fate::Go => self.remove(&used.sha256, &file, &mut collected)?,
                Fate::Stay => {
                    collected.kept += 1;
                    collected.vouched += u64::from(holds.named && !limits.remove_named);
                }
                Fate::Done => {
                    collected.done = true;
                    return Ok(collected);
                }
            }
            collected.after = Some((used.last_use, used.sha256));
        }
        collected.done = whole;
        Ok(collected)
    }

    fn is_in_use(&self, sha256: &Sha256) -> Result<bool, StoreError> {
        let Some((inputs, since)) = self.in_use else { return Ok(false) };
        Ok(inputs.last_use_of(sha256)?.is_some_and(|last_use| last_use >= since))
    }

    pub(super) fn remove(&self, sha256: &Sha256, file: &Metadata, collected: &mut Collected) -> anyhow::Result<()> {
        if !self.dry {
            // A reader that has it open keeps its bytes; the path's record stays.
            self.blobs.remove(sha256)?;
        }
        collected.removed += 1;
        collected.linked += u64::from(is_linked(file));
        let disk = if is_linked(file) { 0 } else { file.len() };
        collected.gone = collected.gone.and(Gone { stored: file.len(), disk });
        Ok(())
    }

    /// When a file was stored, if that was lately.
    fn stored_lately(&self, file: &Metadata) -> u64 {
        let stored = u64::try_from(file.mtime()).unwrap_or(0);
        if self.stored_since.is_some_and(|since| stored >= since) { stored } else { 0 }
    }

    /// At most [`STEP`] files that are here, the longest unused ones behind `after`, in order.
    fn longest_unused(&self, after: Option<(u64, Sha256)>) -> Result<Vec<LastUse>, StoreError> {
        let mut oldest: BinaryHeap<(u64, Sha256, u64)> = BinaryHeap::new();
        let mut held: BTreeSet<Sha256> = BTreeSet::new();
        for (at, index) in self.indexes.iter().enumerate() {
            let mut failed = None;
            // Bytes that were stored a moment ago may be passed over here; they are the last to go anyway.
            index.by_last_use(after.map_or(0, |(last_use, _)| last_use), |used| {
                // What is used in the other index too was used no earlier than this one says.
                let newest = oldest.peek().map(|(last_use, ..)| *last_use);
                if oldest.len() >= STEP && newest.is_some_and(|newest| used.last_use > newest) {
                    return ControlFlow::Break(());
                }
                if held.contains(&used.sha256) {
                    return ControlFlow::Continue(());
                }
                let Some(file) = self.blobs.metadata(&used.sha256) else { return ControlFlow::Continue(()) };
                let others = self.indexes.iter().enumerate().filter(|(other, _)| *other != at);
                let mut last_use = used.last_use.max(self.stored_lately(&file));
                for (_, other) in others {
                    match other.last_use_of(&used.sha256) {
                        Ok(known) => last_use = last_use.max(known.unwrap_or(0)),
                        Err(error) => {
                            failed = Some(error);
                            return ControlFlow::Break(());
                        }
                    }
                }
                if after.is_some_and(|after| (last_use, used.sha256) <= after) {
                    return ControlFlow::Continue(());
                }
                held.insert(used.sha256);
                oldest.push((last_use, used.sha256, used.size));
                if oldest.len() > STEP
                    && let Some((_, sha256, _)) = oldest.pop()
                {
                    held.remove(&sha256);
                }
                ControlFlow::Continue(())
            })?;
            if let Some(error) = failed {
                return Err(error);
            }
        }
        let sorted = oldest.into_sorted_vec().into_iter();
        Ok(sorted.map(|(last_use, sha256, size)| LastUse { sha256, size, last_use }).collect())
    }
}

/// Whether a file has another name, as in a folder that it was exported to.
fn is_linked(file: &Metadata) -> bool {
    file.nlink() > 1
}

#[cfg(test)]
mod tests {
    use pyrsia_digest::FileDigests;
    use pyrsia_store::FileRecord;

    use super::super::limits::Amount;
    use super::*;

    struct Place {
        blobs: BlobStore,
        indexes: Vec<IndexStore>,
        _dir: tempfile::TempDir,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let blobs = BlobStore::open(dir.path().join("blobs")).unwrap();
            let indexes = ["a", "b"].map(|name| IndexStore::open(dir.path().join(name)).unwrap()).into();
            Self { blobs, indexes, _dir: dir }
        }

        fn put(&self, index: usize, name: &str, last_use: u64) -> Sha256 {
            let bytes = format!("{name:*>10}");
            self.blobs.put_bytes(bytes.as_bytes()).unwrap();
            let digests = FileDigests::of(bytes.as_bytes());
            let record = FileRecord {
                path: format!("org/acme/{name}/1/{name}-1.jar").parse().unwrap(),
                digests: digests.clone().into(),
                origin: "x".to_owned(),
                verified_by: String::new(),
                last_modified: None,
                first_seen: last_use,
                last_use,
            };
            self.indexes[index].put_file(record).unwrap();
            digests.sha256
        }

        fn store(&self) -> Store<'_> {
            Store { blobs: &self.blobs, indexes: &self.indexes, in_use: None, stored_since: None, dry: false }
        }
    }

    fn need(bytes: u64) -> Need {
        Need { stored: Amount { wanted: bytes, least: 0 }, ..Need::default() }
    }

    const NONE: Gone = Gone { stored: 0, disk: 0 };
    const ROOM: Limits = Limits { max_bytes: Some(0), max_age_s: None, min_free_bytes: None, remove_named: false };

    #[test]
    fn the_longest_unused_goes_first_whichever_index_says_so() {
        let place = Place::new();
        let early = place.put(0, "early", 10);
        let both = place.put(0, "both", 5);
        // The same bytes, read by a build a moment ago.
        place.put(1, "both", 50);
        let input = place.put(1, "input", 20);
        let kept = place.put(0, "kept", 1);
        let late = place.put(0, "late", 40);
        let unknown = place.blobs.put_bytes(b"a record of a build").unwrap().digests.sha256;
        let store = place.store();
        let all = Measured { files: 6, bytes: 5 * 10 + 19, linked: 0, linked_bytes: 0 };
        assert_eq!(store.measure().unwrap(), all);
        let named = BTreeSet::from([kept]);
        let step = store.step(&ROOM, &need(20), NONE, None, &named).unwrap();
        assert_eq!((step.removed, step.gone.stored, step.kept, step.done), (2, 20, 1, true));
        assert_eq!(step.vouched, 1);
        assert!(!place.blobs.has(&early) && !place.blobs.has(&input));
        for stays in [both, kept, late, unknown] {
            assert!(place.blobs.has(&stays));
        }
        // The record stays, so that what comes back has to be the same.
        assert!(place.indexes[0].uses_blob(&early).unwrap());
        // Everything: what no path has is no file of the repository.
        let store = Store { in_use: Some((&place.indexes[1], 50)), ..store };
        let step = store.step(&ROOM, &need(u64::MAX), NONE, None, &named).unwrap();
        assert_eq!((step.removed, step.kept, step.done), (1, 2, true), "one is named, one is in use");
        assert!(place.blobs.has(&unknown) && place.blobs.has(&both) && !place.blobs.has(&late));
    }

    #[test]
    fn what_no_path_has_any_more_goes_unless_it_came_a_moment_ago() {
        let place = Place::new();
        let first = place.put(0, "doc", 10);
        // Other bytes at the same path.
        let path: maven_layout::RepoPath = "org/acme/doc/1/doc-1.jar".parse().unwrap();
        place.indexes[0].remove_file(&path).unwrap();
        let kept = place.put(0, "kept", 10);
        let store = place.store();
        let fresh = store.superseded(&BTreeSet::new(), Some(Duration::from_secs(600))).unwrap();
        assert_eq!((fresh.removed, fresh.kept), (0, 1));
        assert!(place.blobs.has(&first), "somebody may be about to record it");
        assert_eq!(store.superseded(&BTreeSet::from([first]), None).unwrap().removed, 0, "a verdict names it");
        assert_eq!(store.superseded(&BTreeSet::new(), None).unwrap().removed, 1);
        assert!(!place.blobs.has(&first) && place.blobs.has(&kept));
        assert_eq!(store.superseded(&BTreeSet::new(), None).unwrap().removed, 0);
    }

    #[test]
    fn a_step_goes_on_where_the_last_one_ended_and_a_dry_one_removes_nothing() {
        let place = Place::new();
        let all: Vec<Sha256> = (0..5).map(|n| place.put(0, &format!("f{n}"), 10 + n)).collect();
        let dry = Store { dry: true, ..place.store() };
        let first = dry.step(&ROOM, &need(20), NONE, None, &BTreeSet::new()).unwrap();
        assert_eq!((first.removed, first.after), (2, Some((11, all[1]))));
        let next = dry.step(&ROOM, &need(30), first.gone, first.after, &BTreeSet::new()).unwrap();
        assert_eq!((next.removed, next.after), (1, Some((12, all[2]))));
        assert!(all.iter().all(|sha256| place.blobs.has(sha256)));
    }

    #[test]
    fn what_came_back_a_moment_ago_was_used_a_moment_ago() {
        let place = Place::new();
        let [back, other] = ["back", "other"].map(|name| place.put(0, name, 10));
        let earlier = place.put(0, "earlier", 1_000);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        let old = std::fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
        for sha256 in [other, earlier] {
            std::fs::File::open(place.blobs.get(&sha256).unwrap()).unwrap().set_times(old).unwrap();
        }
        let store = Store { stored_since: Some(now - 600), ..place.store() };
        let step = store.step(&ROOM, &need(20), NONE, None, &BTreeSet::new()).unwrap();
        assert_eq!(step.removed, 2);
        assert!(place.blobs.has(&back), "its path says that it was used long ago");
        assert!(!place.blobs.has(&other) && !place.blobs.has(&earlier));
    }

    #[test]
    fn removing_what_has_another_name_frees_nothing() {
        let place = Place::new();
        let [linked, alone] = ["linked", "alone"].map(|name| place.put(0, name, 10));
        std::fs::hard_link(place.blobs.get(&linked).unwrap(), place._dir.path().join("exported")).unwrap();
        let all = place.store().measure().unwrap();
        assert_eq!((all.files, all.linked, all.linked_bytes), (2, 1, 10));
        let disk = Need { disk: Amount { wanted: 1 << 40, least: 1 }, ..Need::default() };
        let step = place.store().step(&ROOM, &disk, NONE, None, &BTreeSet::new()).unwrap();
        assert_eq!((step.removed, step.kept, step.gone), (1, 1, Gone { stored: 10, disk: 10 }));
        assert_eq!(step.vouched, 0, "no verdict names it");
        assert!(place.blobs.has(&linked) && !place.blobs.has(&alone));
        let step = place.store().step(&ROOM, &need(5), NONE, None, &BTreeSet::new()).unwrap();
        assert_eq!((step.removed, step.gone), (1, Gone { stored: 10, disk: 0 }), "the store is smaller all the same");
        assert_eq!(step.linked, 1);
    }
}
