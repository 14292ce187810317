//! `fsck`: are the stored files what their names say?

use std::collections::BTreeMap;

use maven_layout::metadata;
use pyrsia_api_types::{
    DamagedBlob, DamagedHosted, DamagedIndex, HostedReport, MissingFile, StoreReport, UnreadableBlob,
};
use pyrsia_blobs::{BlobError, BlobStore};
use pyrsia_digest::Sha256;
use pyrsia_store::{IndexStore, MAX_ROWS, StoreError};

use crate::cli::Global;
use crate::commands::gc::open_indexes;
use crate::compose::{self, INPUTS};
use crate::context::Context;
use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::terminal;

/// Runs the command, which needs the data directory for itself. Exit 1 when something is damaged.
pub async fn run(global: &Global) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    let _lock = context.data.lock()?;
    let data = context.data.clone();
    let examined = tokio::task::spawn_blocking(move || {
        let indexes = indexes(&data)?;
        let mut report = examine(&BlobStore::open(data.join("blobs"))?, &open_indexes(&data)?)?;
        report.indexes = indexes;
        report.hosted = hosted(&data)?;
        anyhow::Ok(report)
    });
    let report = examined.await??;
    let in_order = report.hosted.iter().all(|hosted| hosted.damaged.is_empty());
    let in_order = in_order && report.damaged.is_empty() && report.unreadable.is_empty() && report.indexes.is_empty();
    let exit = if in_order { Exit::Done } else { Exit::Failed };
    if global.json {
        terminal::json(&report)?;
        return Ok(exit);
    }
    for index in &report.indexes {
        terminal::line(&format!("DAMAGED {}: {}", index.file, index.error));
    }
    for blob in &report.damaged {
        terminal::line(&format!("DAMAGED {} (it holds {}), moved to {}", blob.sha256, blob.found, blob.moved_to));
        for path in &blob.paths {
            terminal::line(&format!("        {path}"));
        }
    }
    for blob in &report.unreadable {
        terminal::line(&format!("UNREADABLE {}: {}", blob.sha256, blob.error));
    }
    let mebibytes = report.bytes / (1024 * 1024);
    terminal::line(&format!(
        "{} files, {mebibytes} MiB, {} damaged",
        report.blobs,
        report.damaged.len() + report.unreadable.len()
    ));
    if !report.missing.is_empty() {
        terminal::line(&format!(
            "{} paths are known whose files are not here (`--json` lists them)",
            report.missing.len()
        ));
    }
    if !(report.damaged.is_empty() && report.missing.is_empty()) {
        terminal::line("What is damaged or not here is fetched again when somebody asks for it.");
    }
    report.hosted.iter().for_each(tell);
    Ok(exit)
}

fn tell(hosted: &HostedReport) {
    let HostedReport { id, files, bytes, damaged } = hosted;
    for file in damaged {
        terminal::line(&format!("DAMAGED {} in the hosted repository {id}: {}", file.path, file.error));
    }
    let mebibytes = bytes / (1024 * 1024);
    terminal::line(&format!("hosted repository {id}: {files} files, {mebibytes} MiB, {} damaged", damaged.len()));
    // The node makes documents anew by itself.
    if damaged.iter().any(|file| file.path.rsplit('/').next() != Some(metadata::FILE_NAME)) {
        terminal::line("No other place has them: upload the same files again, or restore them from a backup.");
    }
}

/// Looks at every page of the indexes, and counts again what they count. A damaged one is moved aside, and an empty one takes its
/// place.
fn indexes(data: &DataDir) -> anyhow::Result<Vec<DamagedIndex>> {
    let mut damaged = Vec::new();
    for folder in [data.root().to_owned(), data.join(INPUTS)] {
        if !folder.is_dir() {
            continue;
        }
        let file = folder.join("index.db").display().to_string();
        let existed = folder.join("index.db").exists();
        let index = IndexStore::open(&folder)?;
        let error = match index.examine() {
            // A start looks at small ones by itself.
            Ok(false) if existed && index.began_empty() => {
                "its pages are damaged; moved aside, an empty one is begun".to_owned()
            }
            Ok(false) => continue,
            Ok(true) => "its counts were wrong, and are right now".to_owned(),
            Err(StoreError::Corrupt { detail, .. }) => {
                drop(index);
                // Opened anew, it is found to be damaged, and moved aside.
                IndexStore::open(&folder)?;
                format!("{detail}; moved aside, an empty one is begun")
            }
            Err(error) => return Err(error.into()),
        };
        damaged.push(DamagedIndex { file, error });
    }
    Ok(damaged)
}

/// Examines the private repositories, those too that the configuration has no more.
fn hosted(data: &DataDir) -> anyhow::Result<Vec<HostedReport>> {
    let mut reports = Vec::new();
    for (id, folder) in compose::hosted_folders(data)? {
        let found = pyrsia_hosted::examine(&folder)?;
        let damaged = found.damaged.into_iter();
        let damaged =
            damaged.map(|damage| DamagedHosted { path: damage.path.to_string(), error: damage.problem }).collect();
        reports.push(HostedReport { id: id.to_string(), files: found.files, bytes: found.bytes, damaged });
    }
    Ok(reports)
}

/// Hashes every blob, which moves damaged ones aside, and looks what the index has that is not here.
fn examine(blobs: &BlobStore, indexes: &[IndexStore]) -> anyhow::Result<StoreReport> {
    let mut report = StoreReport::default();
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
            // A bad sector ends neither the examination nor what is told of the others.
            Err(error) => {
                report.unreadable.push(UnreadableBlob { sha256: digest.to_string(), error: error.to_string() });
            }
        }
    }
    let mut missing = BTreeMap::new();
    for index in indexes {
        look_up(index, blobs, &mut damaged, &mut missing)?;
    }
    report.missing = missing.into_iter().map(|(path, sha256)| MissingFile { path, sha256 }).collect();
    report.damaged = damaged.into_values().collect();
    Ok(report)
}

/// Names the paths of damaged bytes, and of bytes that are not here.
fn look_up(
    index: &IndexStore,
    blobs: &BlobStore,
    damaged: &mut BTreeMap<Sha256, DamagedBlob>,
    missing: &mut BTreeMap<String, String>,
) -> anyhow::Result<()> {
    let mut after = None;
    loop {
        let page = index.files(after.as_ref(), MAX_ROWS)?;
        for record in &page {
            let sha256 = record.digests.sha256;
            let path = record.path.to_string();
            if let Some(damaged) = damaged.get_mut(&sha256) {
                if !damaged.paths.contains(&path) {
                    damaged.paths.push(path);
                }
            } else if !blobs.has(&sha256) {
                missing.insert(path, sha256.to_string());
            }
        }
        match page.into_iter().next_back() {
            Some(last) => after = Some(last.path),
            None => return Ok(()),
        }
    }
}
