//! `gc`: files that nobody has asked for lately make room.

use std::collections::BTreeSet;

use pyrsia_api_types::CollectionReport;
use pyrsia_blobs::BlobStore;
use pyrsia_replica::{Replica, ReplicaHandle};
use pyrsia_store::{IndexStore, LedgerStore};

use crate::cli::{GcArgs, Global};
use crate::compose::INPUTS;
use crate::config::DAY;
use crate::context::Context;
use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::network_file::{FILE, Identity};
use crate::terminal;
use crate::upkeep::collect::{self, Store};
use crate::upkeep::limits::{Limits, Need, Room};

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
    let (data, dry) = (context.data.clone(), args.dry_run);
    let report = tokio::task::spawn_blocking(move || collect(&data, limits, dry)).await??;
    if global.json {
        terminal::json(&report)?;
        return Ok(Exit::Done);
    }
    let mebibytes = |bytes: u64| bytes / (1 << 20);
    let verb = if dry { "would be removed" } else { "removed" };
    terminal::line(&format!("{} files, {} MiB {verb}", report.removed, mebibytes(report.removed_bytes)));
    terminal::line(&format!("{} files, {} MiB left", report.left, mebibytes(report.left_bytes)));
    if report.vouched > 0 {
        let reason = "they are files of releases that the ledger has a verdict about";
        terminal::line(&format!("{} of them were old enough and stay: {reason}", report.vouched));
    }
    Ok(Exit::Done)
}

fn collect(data: &DataDir, limits: Limits, dry: bool) -> anyhow::Result<CollectionReport> {
    let blobs = BlobStore::open(data.join("blobs"))?;
    let indexes = open_indexes(data)?;
    let named = ledger_of(data)?.map_or_else(BTreeSet::new, |ledger| collect::named(&ledger.state()));
    let store = Store { blobs: &blobs, indexes: &indexes, in_use: None, dry };
    let (files, bytes) = store.measure()?;
    let free = store.free()?;
    let mut total = store.superseded(&named, None)?;
    let room = Room { stored: bytes.saturating_sub(total.bytes), free: free.saturating_add(total.bytes) };
    let need = Need::of(&limits, room, crate::clock::now(), false);
    let mut gone = 0u64;
    let mut after = None;
    loop {
        let step = store.step(&limits, &need, gone, after, &named)?;
        gone = gone.saturating_add(step.bytes);
        after = step.after;
        total.removed += step.removed;
        total.bytes = total.bytes.saturating_add(step.bytes);
        total.kept += step.kept;
        if step.done {
            break;
        }
    }
    Ok(CollectionReport {
        removed: total.removed,
        removed_bytes: total.bytes,
        left: files.saturating_sub(total.removed),
        left_bytes: bytes.saturating_sub(total.bytes),
        vouched: total.kept,
    })
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
