//! `gc`: files that nobody has asked for lately make room.

use std::collections::BTreeSet;

use anyhow::Context as _;
use pyrsia_api_types::{CollectionReport, HostedCollection, SetAsideReport};
use pyrsia_blobs::BlobStore;
use pyrsia_replica::{Replica, ReplicaHandle};
use pyrsia_store::{IndexStore, LedgerStore};

use crate::cli::{GcArgs, Global};
use crate::compose::{self, INPUTS};
use crate::config::DAY;
use crate::context::Context;
use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::network_file::{FILE, Identity};
use crate::terminal;
use crate::upkeep::collect::{self, Store};
use crate::upkeep::limits::{Gone, Limits, Need, Room};
use crate::upkeep::strays;

const GIB: u64 = 1 << 30;

/// Runs the command, which needs the data directory for itself.
pub async fn run(global: &Global, args: &GcArgs) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    let _lock = context.data.lock()?;
    let limits = Limits {
        max_bytes: args.max_gib.map(|gib| gib.saturating_mul(GIB)),
        max_age_s: args.max_age_days.map(|days| days.saturating_mul(DAY)),
        min_free_bytes: args.min_free_gib.map(|gib| gib.saturating_mul(GIB)),
        remove_named: args.remove_named,
    };
    let (data, dry, strays) = (context.data.clone(), args.dry_run, args.strays);
    let report = tokio::task::spawn_blocking(move || collect(&data, limits, strays, dry)).await??;
    if global.json {
        terminal::json(&report)?;
        return Ok(Exit::Done);
    }
    let mebibytes = |bytes: u64| bytes / (1 << 20);
    let verb = if dry { "would be removed" } else { "removed" };
    terminal::line(&format!("{} files, {} MiB {verb}", report.removed, mebibytes(report.removed_bytes)));
    if report.freed_bytes < report.removed_bytes {
        let linked = mebibytes(report.removed_bytes - report.freed_bytes);
        terminal::line(&format!(
            "        {linked} MiB of that stay on the disk under another name, as in an exported folder"
        ));
    }
    terminal::line(&format!("{} files, {} MiB left", report.left, mebibytes(report.left_bytes)));
    if report.linked > 0 {
        terminal::line(&format!(
            "        {} of them, {} MiB, have another name too, as in an exported folder: removing them here frees nothing",
            report.linked,
            mebibytes(report.linked_bytes)
        ));
    }
    if report.vouched > 0 {
        let reason = "they are files of releases that the ledger has a verdict about";
        terminal::line(&format!("{} of them were old enough and stay: {reason}", report.vouched));
    }
    let aside = &report.set_aside;
    if aside.removed + aside.left > 0 {
        let (freed, rest) = (mebibytes(aside.removed_bytes), mebibytes(aside.left_bytes));
        let here = format!("set aside as damaged: {} files, {freed} MiB {verb}", aside.removed);
        terminal::line(&format!("{here}; {} files, {rest} MiB left", aside.left));
    }
    if aside.records_forgotten + aside.records_left > 0 {
        let verb = if dry { "would be forgotten" } else { "forgotten" };
        let here = format!("bytes that were not served: {} records {verb}", aside.records_forgotten);
        terminal::line(&format!("{here}, {} left", aside.records_left));
    }
    for HostedCollection { id, removed, removed_bytes, left, left_bytes } in &report.hosted {
        let (freed, rest) = (mebibytes(*removed_bytes), mebibytes(*left_bytes));
        let here = format!("hosted repository {id}: {removed} files, {freed} MiB that no path has any more {verb}");
        terminal::line(&format!("{here}; {left} files, {rest} MiB left"));
    }
    Ok(Exit::Done)
}

fn collect(data: &DataDir, limits: Limits, strays: bool, dry: bool) -> anyhow::Result<CollectionReport> {
    let blobs = BlobStore::open(data.join("blobs"))?;
    let indexes = open_indexes(data)?;
    let ledger = ledger_of(data)?.map(|ledger| ledger.state());
    let named = ledger.as_ref().map_or_else(BTreeSet::new, |state| collect::named(state));
    let store = Store { blobs: &blobs, indexes: &indexes, in_use: None, stored_since: None, dry };
    let all = store.measure()?;
    let free = store.free()?;
    let mut total = store.superseded(&named, None)?;
    if strays {
        let of_ledger = ledger.as_ref().map(|state| strays::of_ledger(state, &blobs)).transpose()?.unwrap_or_default();
        let found = store.strays(&of_ledger, std::time::SystemTime::now())?;
        total.removed += found.removed;
        total.linked += found.linked;
        total.gone = total.gone.and(found.gone);
    }
    let room = Room { stored: all.bytes.saturating_sub(total.gone.stored), free: free.saturating_add(total.gone.disk) };
    let need = Need::of(&limits, room, crate::clock::now(), false);
    let mut gone = Gone::default();
    let mut after = None;
    loop {
        let step = store.step(&limits, &need, gone, after, &named)?;
        gone = gone.and(step.gone);
        after = step.after;
        total.removed += step.removed;
        total.linked += step.linked;
        total.gone = total.gone.and(step.gone);
        total.vouched += step.vouched;
        if step.done {
            break;
        }
    }
    let aside = store.forget_set_aside(std::time::SystemTime::now())?;
    Ok(CollectionReport {
        removed: total.removed,
        removed_bytes: total.gone.stored,
        freed_bytes: total.gone.disk,
        left: all.files.saturating_sub(total.removed),
        left_bytes: all.bytes.saturating_sub(total.gone.stored),
        linked: all.linked.saturating_sub(total.linked),
        linked_bytes: all.linked_bytes.saturating_sub(total.gone.stored.saturating_sub(total.gone.disk)),
        vouched: total.vouched,
        set_aside: SetAsideReport {
            removed: aside.files.removed,
            removed_bytes: aside.files.removed_bytes,
            left: aside.files.left,
            left_bytes: aside.files.left_bytes,
            records_forgotten: aside.records,
            records_left: aside.records_left,
        },
        hosted: hosted(data, dry)?,
    })
}

/// Nothing of the private repositories is too old or too much: what goes is what was removed or replaced there before.
fn hosted(data: &DataDir, dry: bool) -> anyhow::Result<Vec<HostedCollection>> {
    let folders = compose::hosted_folders(data)?.into_iter();
    let collect = |(id, folder): (pyrsia_hosted::RepositoryId, std::path::PathBuf)| {
        let found = pyrsia_hosted::collect(&folder, dry);
        let found = found.with_context(|| format!("nothing of the hosted repository {id} was removed; see `fsck`"))?;
        let pyrsia_hosted::Collected { removed, removed_bytes, left, left_bytes } = found;
        Ok(HostedCollection { id: id.to_string(), removed, removed_bytes, left, left_bytes })
    };
    folders.map(collect).collect()
}

/// The index of what clients are served, and the one of what builds read.
pub(super) fn open_indexes(data: &DataDir) -> anyhow::Result<Vec<IndexStore>> {
    let mut indexes = vec![IndexStore::open(data.root())?];
    let of_inputs = data.join(INPUTS);
    if of_inputs.is_dir() {
        indexes.push(IndexStore::open(of_inputs)?);
    }
    Ok(indexes)
}

/// The ledger of the data directory, replayed; none if there is none. The caller holds the lock.
pub(super) fn ledger_of(data: &DataDir) -> anyhow::Result<Option<ReplicaHandle>> {
    if !data.join(FILE).exists() {
        // Without a network there is no verdict; without its description what the ledger vouches for cannot be known.
        anyhow::ensure!(
            !data.join("ledger.db").exists(),
            "there is a ledger and no {FILE}, which says what it is of: put {FILE} back first"
        );
        return Ok(None);
    }
    let genesis = Identity::load(data)?.genesis;
    let clock = std::sync::Arc::new(crate::clock::now);
    let (_replica, handle) = Replica::open(LedgerStore::open(data.root())?, genesis, None, clock)?;
    Ok(Some(handle))
}
