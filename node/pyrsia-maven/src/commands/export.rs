//! `export`: what this node would serve, as a plain folder for any web server.

mod documents;
mod target;

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::Context as _;
use maven_layout::{ArtifactId, Coordinates, GroupId, RepoPath};
use pyrsia_api_types::ExportReport;
use pyrsia_blobs::{BlobError, BlobStore};
use pyrsia_digest::Sha256;
use pyrsia_repository::{Decision, LedgerSource, LedgerView, Policies, Policy, decide, of_artifact};
use pyrsia_store::{FileRecord, IndexStore, MAX_ROWS, Walk};

use self::target::{Put, Target};
use super::gc::ledger_of;
use crate::cli::{ExportArgs, Global, Only};
use crate::compose::policies;
use crate::context::Context;
use crate::exit::Exit;
use crate::no_ledger::NoLedger;
use crate::{terminal, upstream};

/// Runs the command, which needs the data directory for itself.
pub async fn run(global: &Global, args: &ExportArgs) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    let _lock = context.data.lock()?;
    let target = Target::open(&args.dir, context.data.root())?;
    let policies = match args.verified {
        true => Policies::all(Policy::Verified { allow_equivalent: context.config.policy.allow_equivalent }),
        false => policies(&context.config, &upstream::find_all(&context.config).await?)?,
    };
    let (only, link, check) = (args.only.clone(), args.link, args.check);
    let data = context.data.clone();
    let work = move || {
        let ledger: Arc<dyn LedgerView> = match ledger_of(&data)? {
            Some(handle) => LedgerSource::view(&handle),
            None => Arc::new(NoLedger),
        };
        let blobs = BlobStore::open(data.join("blobs"))?;
        let index = IndexStore::open(data.root())?;
        let export = Export { blobs, index, ledger, policies, only, link, check };
        export.everything(target)
    };
    let report = tokio::task::spawn_blocking(work).await??;
    if global.json {
        terminal::json(&report)?;
        return Ok(Exit::Done);
    }
    let mebibytes = report.written_bytes / (1 << 20);
    terminal::line(&format!("{} files written, {mebibytes} MiB, {} of them links", report.written, report.linked));
    terminal::line(&format!("{} files unchanged, {} removed", report.unchanged, report.removed));
    terminal::line(&format!("{} documents that list versions", report.documents));
    for (reason, count) in &report.left_out {
        terminal::line(&format!("{count} files left out: {reason}"));
    }
    Ok(Exit::Done)
}

struct Export {
    blobs: BlobStore,
    index: IndexStore,
    ledger: Arc<dyn LedgerView>,
    policies: Policies,
    only: Option<Only>,
    link: bool,
    check: bool,
}

/// What documents are about, of what was exported or removed.
#[derive(Default)]
struct Seen {
    artifacts: BTreeSet<(GroupId, ArtifactId)>,
    snapshots: BTreeSet<Coordinates>,
}

impl Export {
    /// Writes what is to be there, removes what was and is not to be any more, then the lists of builds and of versions.
    fn everything(&self, mut target: Target) -> anyhow::Result<ExportReport> {
        let mut report = ExportReport::default();
        let mut seen = Seen::default();
        let mut after = None;
        loop {
            let page = self.index.files(after.as_ref(), MAX_ROWS)?;
            for record in &page {
                self.one(&record.path, Some(record), &mut target, &mut seen, &mut report)?;
            }
            match page.into_iter().next_back() {
                Some(last) => after = Some(last.path),
                None => break,
            }
        }
        // Files of the ledger that nobody has asked this node for have no record.
        let mut failed = None;
        self.ledger.walk_below(None, &mut |path| {
            let done = self.index.file(path).map_err(anyhow::Error::from).and_then(|known| match known {
                Some(_) => Ok(()),
                None => self.one(path, None, &mut target, &mut seen, &mut report),
            });
            match done {
                Ok(()) => Walk::Next,
                Err(error) => {
                    failed = Some(error);
                    Walk::Stop
                }
            }
        });
        if let Some(error) = failed {
            return Err(error);
        }
        for snapshot in &seen.snapshots {
            report.documents += documents::builds(&mut target, snapshot)?;
        }
        for (group, artifact) in &seen.artifacts {
            report.documents += documents::versions(&mut target, group, artifact)?;
        }
        let groups: BTreeSet<&GroupId> = seen.artifacts.iter().map(|(group, _)| group).collect();
        for group in groups {
            if let Some(bytes) = self.document_of(group)? {
                report.documents += documents::plugins(&mut target, group, &bytes)?;
            }
        }
        target.finish()?;
        Ok(report)
    }

    /// The bytes of a group's document as it was seen last.
    fn document_of(&self, group: &GroupId) -> anyhow::Result<Option<Vec<u8>>> {
        if self.ledger.is_native(group) {
            return Ok(None);
        }
        let Some(record) = self.index.file(&group.metadata_path())? else { return Ok(None) };
        match self.blobs.read_verified(&record.digests.sha256) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_loss() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn one(
        &self,
        path: &RepoPath,
        record: Option<&FileRecord>,
        target: &mut Target,
        seen: &mut Seen,
        report: &mut ExportReport,
    ) -> anyhow::Result<()> {
        let Some((release, _)) = of_artifact(path) else {
            return Ok(());
        };
        if self.only.as_ref().is_some_and(|only| !only.holds(&release)) {
            return Ok(());
        }
        seen.artifacts.insert((release.group.clone(), release.artifact.clone()));
        if release.version.is_snapshot() {
            seen.snapshots.insert(release);
        }
        let served = match self.served(path, record) {
            Ok(sha256) => self.put(path, &sha256, record, target).with_context(|| format!("cannot export {path}"))?,
            Err(reason) => Err(reason),
        };
        match served {
            Ok(Put::Written { bytes, linked }) => {
                report.written += 1;
                report.written_bytes = report.written_bytes.saturating_add(bytes);
                report.linked += u64::from(linked);
            }
            Ok(Put::Unchanged) => report.unchanged += 1,
            Err(reason) => {
                *report.left_out.entry(reason.to_owned()).or_default() += 1;
                // An earlier export may have written it.
                report.removed += u64::from(target.remove(path)?);
            }
        }
        Ok(())
    }

    /// The bytes that this node would serve at a path by itself, or why it would not.
    fn served(&self, path: &RepoPath, record: Option<&FileRecord>) -> Result<Sha256, &'static str> {
        match decide(path, &self.policies, self.ledger.as_ref()) {
            Decision::Exactly { sha256, .. } => Ok(sha256),
            // Of a snapshot without builds: as it was seen last.
            Decision::FirstSeen { .. } | Decision::Changing => {
                record.map(|record| record.digests.sha256).ok_or("their bytes are not here")
            }
            Decision::Withhold(withheld) | Decision::WithholdUnlessAbsent(withheld) => Err(withheld.reason.as_str()),
            Decision::Absent => Err("no verdict names them, and their group is native"),
            Decision::Checksum { .. } | Decision::Metadata(_) | Decision::Prefixes | Decision::Archetypes { .. } => {
                Err("they are no files of a release")
            }
        }
    }

    fn put(
        &self,
        path: &RepoPath,
        sha256: &Sha256,
        record: Option<&FileRecord>,
        target: &mut Target,
    ) -> anyhow::Result<Result<Put, &'static str>> {
        const NOT_HERE: &str = "their bytes are not here";
        let Some(size) = self.blobs.size(sha256) else { return Ok(Err(NOT_HERE)) };
        if target.has(path, sha256, size, self.check)? {
            return Ok(Ok(Put::Unchanged));
        }
        // Hashed before anybody sees it; a damaged one is moved aside and counts as not here.
        let digests = match self.blobs.verify(sha256) {
            Ok(digests) => digests,
            Err(BlobError::Missing { .. } | BlobError::Corrupt { .. }) => return Ok(Err(NOT_HERE)),
            Err(error) if error.is_loss() => return Ok(Err(NOT_HERE)),
            Err(error) => return Err(error.into()),
        };
        let Some(blob) = self.blobs.get(sha256) else { return Ok(Err(NOT_HERE)) };
        let modified = record.map(|record| record.last_modified.unwrap_or(record.first_seen));
        Ok(Ok(target.put(path, &blob, &digests, modified, self.link)?))
    }
}
