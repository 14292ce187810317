//! `fsck`: are the stored files what their names say?

use std::collections::BTreeMap;

use pyrsia_api_types::{DamagedBlob, MissingFile, StoreReport};
use pyrsia_blobs::{BlobError, BlobStore};
use pyrsia_digest::Sha256;
use pyrsia_store::{IndexStore, MAX_ROWS};

use crate::cli::Global;
use crate::context::Context;
use crate::exit::Exit;
use crate::terminal;

/// Runs the command, which needs the data directory for itself. Exit 1 when something is damaged.
pub async fn run(global: &Global) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    let _lock = context.data.lock()?;
    let (blobs, root) = (context.data.join("blobs"), context.data.root().to_owned());
    let examined = tokio::task::spawn_blocking(move || examine(&BlobStore::open(blobs)?, &IndexStore::open(root)?));
    let report = examined.await??;
    let exit = if report.damaged.is_empty() { Exit::Done } else { Exit::Failed };
    if global.json {
        terminal::json(&report)?;
        return Ok(exit);
    }
    for blob in &report.damaged {
        terminal::line(&format!("DAMAGED {} (it holds {}), moved to {}", blob.sha256, blob.found, blob.moved_to));
        for path in &blob.paths {
            terminal::line(&format!("        {path}"));
        }
    }
    let mebibytes = report.bytes / (1024 * 1024);
    terminal::line(&format!("{} files, {mebibytes} MiB, {} damaged", report.blobs, report.damaged.len()));
    if !report.missing.is_empty() {
        terminal::line(&format!(
            "{} paths are known whose files are not here (`--json` lists them)",
            report.missing.len()
        ));
    }
    if !(report.damaged.is_empty() && report.missing.is_empty()) {
        terminal::line("What is damaged or not here is fetched again when somebody asks for it.");
    }
    Ok(exit)
}

/// Hashes every blob, which moves damaged ones aside, and looks what the index has that is not here.
fn examine(blobs: &BlobStore, index: &IndexStore) -> anyhow::Result<StoreReport> {
    let mut report = StoreReport { blobs: 0, bytes: 0, damaged: Vec::new(), missing: Vec::new() };
    let mut damaged: BTreeMap<Sha256, DamagedBlob> = BTreeMap::new();
    for digest in blobs.digests()? {
        let digest = digest?;
        match blobs.check(&digest) {
            Ok(size) => {
                report.blobs += 1;
                report.bytes = report.bytes.saturating_add(size);
            }
            Err(BlobError::Corrupt { digest, found, moved_to }) => {
                let (sha256, found, moved_to) = (digest.to_string(), found.to_string(), moved_to.display().to_string());
                damaged.insert(digest, DamagedBlob { sha256, found, moved_to, paths: Vec::new() });
            }
            Err(error) => return Err(error.into()),
        }
    }
    let mut after = None;
    loop {
        let page = index.files(after.as_ref(), MAX_ROWS)?;
        for record in &page {
            let sha256 = record.digests.sha256;
            if let Some(damaged) = damaged.get_mut(&sha256) {
                damaged.paths.push(record.path.to_string());
            } else if !blobs.has(&sha256) {
                report.missing.push(MissingFile { path: record.path.to_string(), sha256: sha256.to_string() });
            }
        }
        match page.into_iter().next_back() {
            Some(last) => after = Some(last.path),
            None => break,
        }
    }
    report.damaged = damaged.into_values().collect();
    Ok(report)
}
