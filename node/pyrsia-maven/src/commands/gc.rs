//! `gc`: files that nobody has asked for lately make room.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;

use pyrsia_api_types::CollectionReport;
use pyrsia_blobs::BlobStore;
use pyrsia_digest::Sha256;
use pyrsia_replica::Replica;
use pyrsia_store::{IndexStore, LastUse, LedgerStore};

use crate::cli::{GcArgs, Global};
use crate::compose::INPUTS;
use crate::context::Context;
use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::network_file::{FILE, Identity};
use crate::terminal;

const DAY: u64 = 24 * 60 * 60;
const GIB: u64 = 1 << 30;

/// What is to be left.
#[derive(Debug, Clone, Copy)]
struct Limits {
    /// Bytes of all blobs.
    bytes: Option<u64>,
    /// Seconds since 1970: what was used before may go.
    since: Option<u64>,
}

/// Runs the command, which needs the data directory for itself.
pub async fn run(global: &Global, args: &GcArgs) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    let _lock = context.data.lock()?;
    let limits = Limits {
        bytes: args.max_gib.map(|gib| gib.saturating_mul(GIB)),
        since: args.max_age_days.map(|days| crate::clock::now().saturating_sub(days.saturating_mul(DAY))),
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
    let vouched = vouched(data)?;
    let mut report = CollectionReport::default();
    for digest in blobs.digests()? {
        if let Some(path) = blobs.get(&digest?) {
            report.left += 1;
            report.left_bytes = report.left_bytes.saturating_add(std::fs::metadata(path)?.len());
        }
    }
    let remove = |report: &mut CollectionReport, sha256: &Sha256, size: u64| -> anyhow::Result<()> {
        if !dry {
            blobs.remove(sha256)?;
        }
        report.removed += 1;
        report.removed_bytes = report.removed_bytes.saturating_add(size);
        report.left = report.left.saturating_sub(1);
        report.left_bytes = report.left_bytes.saturating_sub(size);
        Ok(())
    };
    for (sha256, size) in superseded(&indexes)? {
        if blobs.has(&sha256) && !vouched.contains(&sha256) {
            remove(&mut report, &sha256, size)?;
        }
    }
    if !dry {
        indexes.iter().try_for_each(IndexStore::forget_superseded)?;
    }
    for used in by_last_use(&indexes)? {
        let too_old = limits.since.is_some_and(|since| used.last_use < since);
        let too_much = limits.bytes.is_some_and(|bytes| report.left_bytes > bytes);
        if !too_old && !too_much {
            // Whatever follows was used later.
            break;
        }
        if !blobs.has(&used.sha256) {
            continue;
        }
        if vouched.contains(&used.sha256) {
            report.vouched += 1;
            continue;
        }
        // The path's record stays: which bytes were seen first is not forgotten with them.
        remove(&mut report, &used.sha256, used.size)?;
    }
    Ok(report)
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

/// Bytes that paths had and have no more, in none of the indexes.
fn superseded(indexes: &[IndexStore]) -> anyhow::Result<Vec<(Sha256, u64)>> {
    let mut all = BTreeMap::new();
    for index in indexes {
        all.extend(index.superseded()?);
    }
    let mut free = Vec::new();
    for (sha256, size) in all {
        if !indexes.iter().map(|index| index.uses_blob(&sha256)).collect::<Result<Vec<_>, _>>()?.contains(&true) {
            free.push((sha256, size));
        }
    }
    Ok(free)
}

/// Bytes in the order of their last use in any of the indexes.
fn by_last_use(indexes: &[IndexStore]) -> anyhow::Result<Vec<LastUse>> {
    let mut latest: BTreeMap<Sha256, LastUse> = BTreeMap::new();
    for index in indexes {
        index.by_last_use(|used| {
            let known = latest.entry(used.sha256).or_insert_with(|| used.clone());
            known.last_use = known.last_use.max(used.last_use);
            ControlFlow::Continue(())
        })?;
    }
    let mut all: Vec<_> = latest.into_values().collect();
    all.sort_by_key(|used| (used.last_use, used.sha256));
    Ok(all)
}

/// The files that verdicts name: this node may be the last to have them.
fn vouched(data: &DataDir) -> anyhow::Result<BTreeSet<Sha256>> {
    if !data.join(FILE).exists() {
        // Without a network there is no verdict; without its description what the ledger vouches for cannot be known.
        anyhow::ensure!(
            !data.join("ledger.db").exists(),
            "there is a ledger and no {FILE}, which says what it is of: put {FILE} back first"
        );
        return Ok(BTreeSet::new());
    }
    let genesis = Identity::load(data)?.genesis;
    let clock = std::sync::Arc::new(crate::clock::now);
    let (_replica, handle) = Replica::open(LedgerStore::open(data.root())?, genesis, None, clock)?;
    let state = handle.state();
    Ok(state.verdicts().flat_map(|verdict| &verdict.files).filter_map(|file| file.sha256).collect())
}
