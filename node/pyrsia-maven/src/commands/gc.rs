//! `gc`: files that nobody has asked for lately make room.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use pyrsia_api_types::CollectionReport;
use pyrsia_blobs::BlobStore;
use pyrsia_digest::Sha256;
use pyrsia_replica::Replica;
use pyrsia_store::{IndexStore, LedgerStore};

use crate::cli::{GcArgs, Global};
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
    let index = IndexStore::open(data.root())?;
    let vouched = vouched(data)?;
    let mut report = CollectionReport::default();
    for digest in blobs.digests()? {
        if let Some(path) = blobs.get(&digest?) {
            report.left += 1;
            report.left_bytes = report.left_bytes.saturating_add(std::fs::metadata(path)?.len());
        }
    }
    let mut failed = None;
    index.by_last_use(|used| {
        let too_old = limits.since.is_some_and(|since| used.last_use < since);
        let too_much = limits.bytes.is_some_and(|bytes| report.left_bytes > bytes);
        if !too_old && !too_much {
            // Whatever follows was used later.
            return ControlFlow::Break(());
        }
        if !blobs.has(&used.sha256) {
            return ControlFlow::Continue(());
        }
        if vouched.contains(&used.sha256) {
            report.vouched += 1;
            return ControlFlow::Continue(());
        }
        // The path's record stays: which bytes were seen first is not forgotten with them.
        if !dry && let Err(error) = blobs.remove(&used.sha256) {
            failed = Some(error);
            return ControlFlow::Break(());
        }
        report.removed += 1;
        report.removed_bytes = report.removed_bytes.saturating_add(used.size);
        report.left = report.left.saturating_sub(1);
        report.left_bytes = report.left_bytes.saturating_sub(used.size);
        ControlFlow::Continue(())
    })?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(report),
    }
}

/// The files that verdicts name: this node may be the last to have them.
fn vouched(data: &DataDir) -> anyhow::Result<BTreeSet<Sha256>> {
    if !data.join(FILE).exists() {
        // It would be founded here and now. Without a network there is no verdict.
        return Ok(BTreeSet::new());
    }
    let genesis = Identity::load(data)?.genesis;
    let clock = std::sync::Arc::new(crate::clock::now);
    let (_replica, handle) = Replica::open(LedgerStore::open(data.root())?, genesis, None, clock)?;
    let state = handle.state();
    Ok(state.verdicts().flat_map(|verdict| &verdict.files).filter_map(|file| file.sha256).collect())
}
