//! `import`: files of a local Maven repository, or of a mirror's folder, into the store.

mod walk;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use maven_layout::{ChecksumAlgorithm, RepoPath};
use pyrsia_api_types::{ImportGroup, ImportRefusal, ImportReport};
use pyrsia_blobs::{BlobStore, BlobWriter, SealedBlob};
use pyrsia_digest::{CollisionHasher, FileDigests, MultiHasher, NameHasher};
use pyrsia_fetch::{HttpConfig, MAX_CHECKSUM_BYTES, Offline, Origin, parse_checksum};
use pyrsia_repository::{
    Adoption, LedgerSource, Offered, Parts, Policies, Policy, Refusal, Repository, RepositoryConfig, RepositoryError,
};
use pyrsia_store::{FileRecord, IndexStore, Pinned};
use tokio::task::JoinSet;

use self::walk::{Found, Walk};
use super::gc::ledger_of;
use super::local_files;
use crate::cli::{Global, ImportArgs};
use crate::context::Context;
use crate::exit::Exit;
use crate::no_ledger::NoLedger;
use crate::terminal;
use crate::upstream;

/// Files that are looked at at the same time: most of the time passes waiting for upstream.
const AT_ONCE: usize = 8;
/// After so many files in a row that could not be looked at, the others are not tried: upstream is down.
const GIVE_UP: usize = 64;
/// Files that are not taken and are named one by one.
const NAMED: usize = 200;

/// Runs the command, which needs the data directory for itself. Exit 1 when something could not be looked at: then it is
/// to be run again, and begins where it was.
pub async fn run(global: &Global, args: &ImportArgs) -> anyhow::Result<Exit> {
    let context = Context::load(global)?;
    let root = args.dir.canonicalize().with_context(|| format!("cannot read the folder {}", args.dir.display()))?;
    anyhow::ensure!(root.is_dir(), "{} is no folder", root.display());
    let own = context.data.root();
    anyhow::ensure!(!root.starts_with(own), "{} lies in the data directory {}", root.display(), own.display());
    let _lock = context.data.lock()?;
    let importer = importer(&context, args).await?;
    let report = importer.everything(&root).await?;
    let exit = if report.unchecked.files == 0 { Exit::Done } else { Exit::Failed };
    if global.json {
        terminal::json(&report)?;
    } else {
        tell(&report);
    }
    Ok(exit)
}

fn tell(report: &ImportReport) {
    let mebibytes = |bytes: u64| bytes / (1 << 20);
    let verb = if report.dry_run { "would be taken" } else { "taken" };
    terminal::line(&format!("{} files, {} MiB {verb}", report.taken.files, mebibytes(report.taken.bytes)));
    for (by, group) in &report.taken_by {
        terminal::line(&format!("        {} by {by}", group.files));
    }
    terminal::line(&format!("{} files were here already", report.present.files));
    for (reason, group) in &report.refused {
        terminal::line(&format!("{} files not taken: {reason}", group.files));
    }
    for (kind, count) in &report.skipped {
        terminal::line(&format!("{count} passed over: {kind}"));
    }
    if report.unchecked.files > 0 {
        terminal::line(&format!(
            "{} files could not be looked at; run the command again for them",
            report.unchecked.files
        ));
    }
    if report.gave_up {
        terminal::line(&format!("{GIVE_UP} files in a row could not be looked at: the rest was not tried"));
    }
    for one in &report.named {
        terminal::line(&format!(
            "        {} {}{}",
            one.reason,
            one.path,
            one.detail.as_ref().map_or(String::new(), |detail| format!(": {detail}"))
        ));
    }
}

async fn importer(context: &Context, args: &ImportArgs) -> anyhow::Result<Arc<Importer>> {
    let data = &context.data;
    let ledger: Arc<dyn LedgerSource> = match ledger_of(data)? {
        Some(handle) => Arc::new(handle),
        None => Arc::new(NoLedger),
    };
    let upstreams = if args.trust {
        Vec::new()
    } else if context.config.node.offline {
        vec![(Arc::new(Offline) as Arc<dyn Origin>).into()]
    } else {
        let mut config = context.config.clone();
        if args.upstream.is_some() {
            config.node.upstream = args.upstream.clone();
        }
        upstream::find_all(&config).await?.into_iter().map(|found| found.asked).collect()
    };
    anyhow::ensure!(
        args.trust || !upstreams.is_empty(),
        "there is no upstream that could say which files are right; name one, or take them all with --trust"
    );
    let blobs = BlobStore::open(data.join("blobs"))?;
    let index = IndexStore::open(data.root())?;
    let parts = Parts {
        ledger,
        blobs: blobs.clone(),
        index: index.clone(),
        upstreams,
        peers: None,
        clock: Arc::new(crate::clock::now),
    };
    let repository = Repository::new(RepositoryConfig::new(Policies::all(Policy::Mirror)), parts);
    // What would not be fetched is not taken either.
    let max_file = HttpConfig::default().max_file_bytes;
    Ok(Arc::new(Importer { repository, blobs, index, trust: args.trust, dry: args.dry_run, max_file }))
}

struct Importer {
    repository: Repository,
    blobs: BlobStore,
    index: IndexStore,
    trust: bool,
    dry: bool,
    /// Largest file, in bytes.
    max_file: u64,
}

/// What became of a file.
enum Outcome {
    Taken {
        by: String,
    },
    Present,
    Refused(Refusal),
    /// It could not be looked at, with the reason.
    Unchecked(String),
}

/// A file that was looked at.
enum ReadFile {
    /// Bytes that were read, and where they are until it is decided about them; nowhere in a dry run.
    Whole(Box<(Offered, Option<SealedBlob>)>),
    /// Nobody needs to be asked about it.
    Refused(Refusal),
}

impl Importer {
    async fn everything(self: Arc<Self>, root: &Path) -> anyhow::Result<ImportReport> {
        let mut report = ImportReport { dry_run: self.dry, ..ImportReport::default() };
        let mut walk = Walk::new(root);
        let mut under_way: JoinSet<(Found, anyhow::Result<Outcome>)> = JoinSet::new();
        let mut in_a_row = 0;
        loop {
            report.gave_up |= in_a_row >= GIVE_UP;
            let has_place = under_way.len() < AT_ONCE && !report.gave_up;
            let found = if has_place { walk.next(&mut |kind, path| skip(&mut report, kind, path))? } else { None };
            match found {
                Some(found) => {
                    let importer = Arc::clone(&self);
                    under_way.spawn(async move {
                        let outcome = importer.one(&found).await;
                        (found, outcome)
                    });
                }
                None => match under_way.join_next().await {
                    Some(done) => {
                        let (found, outcome) = done?;
                        let outcome = outcome?;
                        in_a_row = if matches!(outcome, Outcome::Unchecked(_)) { in_a_row + 1 } else { 0 };
                        count(&mut report, &found, outcome);
                    }
                    None => return Ok(report),
                },
            }
        }
    }

    /// An error ends the import: this machine's disk or database failed.
    async fn one(self: &Arc<Self>, found: &Found) -> anyhow::Result<Outcome> {
        let of = found.clone();
        if self.on_disk(move |here| here.is_present(&of)).await? {
            return Ok(Outcome::Present);
        }
        let of = found.clone();
        let (offered, sealed) = match self.on_disk(move |here| here.read(&of)).await? {
            Ok(ReadFile::Whole(whole)) => *whole,
            Ok(ReadFile::Refused(refusal)) => return Ok(Outcome::Refused(refusal)),
            Err(problem) => return Ok(Outcome::Unchecked(problem)),
        };
        let (origin, verified_by, last_modified) = match self.repository.adopt(&offered, self.trust).await {
            Ok(Adoption::Take { origin, verified_by, last_modified }) => (origin, verified_by, last_modified),
            Ok(Adoption::Refuse(refusal)) => return Ok(Outcome::Refused(refusal)),
            Err(error @ RepositoryError::Upstream { .. }) => return Ok(Outcome::Unchecked(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        let by = match verified_by.as_str() {
            "" => "the operator's trust".to_owned(),
            "ledger" => "the ledger".to_owned(),
            "first-seen" => "what was seen first".to_owned(),
            checksums => format!("{checksums} of {origin}"),
        };
        let Some(sealed) = sealed else { return Ok(Outcome::Taken { by }) };
        let now = crate::clock::now();
        let record = FileRecord {
            path: found.path.clone(),
            digests: offered.digests.into(),
            origin,
            verified_by,
            last_modified,
            first_seen: now,
            last_use: now,
        };
        self.on_disk(move |here| here.keep(sealed, record, by)).await
    }

    /// Stores the bytes, then their record.
    fn keep(&self, sealed: SealedBlob, record: FileRecord, by: String) -> anyhow::Result<Outcome> {
        let by_ledger = record.verified_by == "ledger";
        sealed.commit()?;
        if by_ledger {
            // What the ledger says replaces what was seen first.
            self.index.put_file(record)?;
            return Ok(Outcome::Taken { by });
        }
        Ok(match self.index.pin_file(record)? {
            Pinned::New | Pinned::Same(_) => Outcome::Taken { by },
            Pinned::Other(_) => Outcome::Refused(Refusal::FirstSeen),
        })
    }

    /// Whether the path has these bytes in the store: they were taken before, or fetched.
    fn is_present(&self, found: &Found) -> anyhow::Result<bool> {
        let Some(record) = self.index.file(&found.path)? else { return Ok(false) };
        let sha256 = record.digests.sha256;
        let Some(size) = self.blobs.size(&sha256) else { return Ok(false) };
        let Ok(file) = local_files::open(&found.file) else { return Ok(false) };
        if file.metadata().ok().map(|file| file.len()) != Some(size) {
            return Ok(false);
        }
        let mut hasher = NameHasher::new();
        // What cannot be read is told when it is to be taken.
        let read = each_chunk(file.take(size.saturating_add(1)), |chunk| {
            hasher.update(chunk);
            Ok(())
        })?;
        Ok(read.is_ok() && hasher.finish().sha256 == sha256)
    }

    /// Reads a file once, into a temporary file of the store. The inner error is the file's.
    fn read(&self, found: &Found) -> anyhow::Result<Result<ReadFile, String>> {
        let opened = local_files::open(&found.file).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (size, file) = match opened {
            Ok(opened) => opened,
            Err(error) => return Ok(Err(format!("cannot open it: {error}"))),
        };
        if size > self.max_file {
            return Ok(Ok(ReadFile::Refused(Refusal::TooLarge)));
        }
        let mut writer: Option<BlobWriter> = if self.dry { None } else { Some(self.blobs.writer()?) };
        let (mut all, mut collision) = (MultiHasher::new(), CollisionHasher::default());
        let read = each_chunk(file.take(size.saturating_add(1)), |chunk| {
            collision.update(chunk);
            match &mut writer {
                Some(writer) => writer.write(chunk)?,
                None => all.update(chunk),
            }
            Ok(())
        })?;
        if let Err(error) = read {
            return Ok(Err(format!("cannot read it: {error}")));
        }
        let sealed = writer.map(BlobWriter::seal).transpose()?;
        let digests = match &sealed {
            Some(sealed) => sealed.digests().all().context("a writer of all digests has them all")?,
            None => all.finish(),
        };
        if digests.size != size {
            return Ok(Err("it changed while it was read".to_owned()));
        }
        if contradicted(&found.file, &digests) {
            return Ok(Ok(ReadFile::Refused(Refusal::Damaged)));
        }
        let offered = Offered { path: found.path.clone(), digests, collides: collision.finish().is_none() };
        Ok(Ok(ReadFile::Whole(Box::new((offered, sealed)))))
    }

    async fn on_disk<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Self) -> anyhow::Result<T> + Send + 'static,
    ) -> anyhow::Result<T> {
        let here = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&here)).await?
    }
}

/// Adds what is not looked at.
fn skip(report: &mut ImportReport, kind: &str, path: Option<&RepoPath>) {
    *report.skipped.entry(kind.to_owned()).or_default() += 1;
    if let Some(path) = path.filter(|_| report.named.len() < NAMED) {
        let reason = "snapshot-installed-here".to_owned();
        report.named.push(ImportRefusal { path: path.to_string(), reason, detail: None });
    }
}

/// Adds what became of a file.
fn count(report: &mut ImportReport, found: &Found, outcome: Outcome) {
    let mut name = |reason: &str, detail: Option<String>| {
        if report.named.len() < NAMED {
            report.named.push(ImportRefusal { path: found.path.to_string(), reason: reason.to_owned(), detail });
        }
    };
    let group = match outcome {
        Outcome::Taken { by } => {
            add(report.taken_by.entry(by).or_default(), found.size);
            &mut report.taken
        }
        Outcome::Present => &mut report.present,
        Outcome::Refused(refusal) => {
            // What upstream does not have is most of many local repositories, and no finding.
            if refusal != Refusal::Absent {
                name(refusal.as_str(), None);
            }
            report.refused.entry(refusal.as_str().to_owned()).or_default()
        }
        Outcome::Unchecked(problem) => {
            name("unchecked", Some(problem));
            &mut report.unchecked
        }
    };
    add(group, found.size);
}

fn add(group: &mut ImportGroup, size: u64) {
    group.files += 1;
    group.bytes = group.bytes.saturating_add(size);
}

/// Reads to the end. The inner error is the source's, the outer one that of whoever takes it.
fn each_chunk(
    mut from: impl Read,
    mut take: impl FnMut(&[u8]) -> anyhow::Result<()>,
) -> anyhow::Result<std::io::Result<()>> {
    let mut buffer = vec![0u8; 256 * 1024];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) => return Ok(Ok(())),
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Ok(Err(error)),
        };
        take(buffer.get(..count).unwrap_or_default())?;
    }
}

/// Whether a checksum file that lies beside a file says that it is another one. One that says nothing says nothing.
fn contradicted(file: &Path, digests: &FileDigests) -> bool {
    ChecksumAlgorithm::ALL.into_iter().any(|algorithm| {
        let mut name = file.as_os_str().to_owned();
        name.push(format!(".{}", algorithm.extension()));
        let Ok(beside) = local_files::open(Path::new(&name)) else { return false };
        let mut bytes = Vec::new();
        let read = beside.take(MAX_CHECKSUM_BYTES).read_to_end(&mut bytes).is_ok();
        read && parse_checksum(algorithm, &bytes).is_some_and(|says| says != digests.checksum(algorithm))
    })
}
