//! From an address and a tag to a frozen tree: clone, resolve, check what the build files declare, write the tar.
//!
//! git is used as a transport and an object store only: nothing is checked out, no hook, filter, credential helper or
//! configuration of the user takes part, and what a build gets is the content of the commit's tree as it is stored
//! (no `eol` or `export` attribute is applied).

mod address;
mod archive;
mod build_files;
mod clone;
mod expressions;
mod listing;
mod message;
mod mirror;
mod reactor;
mod remote;
mod siblings;
mod tree;
mod tunnel;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use build_spec::{BuildLog, Phase, SPECIFICATION_FILE, Source, SourceError, SourceRequest, Specification};
use maven_layout::CanonicalRepository;

pub use archive::repository_of_archive;
pub use listing::{Listing, read_files};
pub use message::commit_with_message;
pub use mirror::{CloneAddress, clone_address};
pub use remote::RemoteTag;
pub(crate) use remote::tags;

use crate::config::{JavaBuilderConfig, bytes};

/// How long a git server may say nothing: it counts and packs before it sends.
const SILENCE: Duration = Duration::from_secs(120);

/// What a clone and a tree may cost, and whether anybody still waits for it.
pub(crate) struct Budget {
    /// What git has to go through.
    proxy: Option<String>,
    cancelled: Arc<AtomicBool>,
    deadline: Instant,
    transfer: u64,
    tree_bytes: u64,
    tree_files: u64,
}

impl Budget {
    /// What the settings allow, from now on.
    fn new(config: &JavaBuilderConfig, tunnel: Option<&tunnel::Tunnel>, cancelled: Arc<AtomicBool>) -> Self {
        let limits = &config.limits;
        Self {
            proxy: tunnel.map(|tunnel| tunnel.url().to_owned()),
            cancelled,
            deadline: Instant::now() + limits.clone_time(),
            transfer: bytes(limits.clone_mib),
            tree_bytes: bytes(limits.source_mib),
            tree_files: limits.source_files,
        }
    }

    /// A sentence if the work must stop.
    fn exhausted(&self) -> Option<&'static str> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Some("nobody waits for it any more");
        }
        (Instant::now() > self.deadline).then_some("it takes longer than the limit allows")
    }
}

/// Sets the flag when the future that holds it is dropped, so that the thread behind it stops.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The way to a server, if it is one. However silent the server is, the thread that speaks with it ends when this is dropped.
async fn open_tunnel(
    config: &JavaBuilderConfig,
    way: Option<tunnel::Way>,
    most: Option<u64>,
) -> Result<Option<tunnel::Tunnel>, SourceError> {
    let Some(way) = way else { return Ok(None) };
    let idle = SILENCE.min(config.limits.clone_time());
    let opened = tunnel::Tunnel::open(way, idle, most).await;
    opened.map(Some).map_err(|error| SourceError::Local(format!("no way to the git server: {error}")))
}

/// Does everything that [`build_spec::Builder::resolve`] promises.
pub(crate) async fn resolve(
    config: &JavaBuilderConfig,
    request: &SourceRequest,
    log: Arc<dyn BuildLog>,
) -> Result<Source, SourceError> {
    if request.tag.is_none() && request.commit.is_none() {
        return Err(SourceError::Revision {
            repository: request.repository.to_string(),
            wanted: "tag or commit".to_owned(),
            problem: "neither was given".to_owned(),
        });
    }
    let visit = visit(config, &request.repository, None).await?;
    let where_from = if visit.address.mirrored { " through the source map" } else { "" };
    log.line(Phase::Source, &format!("cloning {}{where_from}", request.repository));

    let limits = &config.limits;
    let temp_dir = config.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
    let (request, thread_log) = (request.clone(), Arc::clone(&log));
    let (address, budget) = (visit.address.clone(), Arc::clone(&visit.budget));
    let work = tokio::task::spawn_blocking(move || {
        resolve_blocking(&request, &address, &temp_dir, &budget, thread_log.as_ref())
    });
    let limit = limits.clone_time() + limits.clone_time() / 4;
    let source = match tokio::time::timeout(limit, work).await {
        Ok(Ok(source)) => source,
        Ok(Err(join)) => Err(SourceError::Local(format!("the clone's thread failed: {join}"))),
        Err(_) => Err(SourceError::Local("the clone takes longer than the limit allows".to_owned())),
    };
    drop(visit);
    source
}

/// The way to a repository, as long as somebody waits for what comes through it.
struct Visit {
    address: CloneAddress,
    budget: Arc<Budget>,
    _guard: CancelOnDrop,
    _tunnel: Option<tunnel::Tunnel>,
}

/// Opens the way to where a repository is cloned from; at most so many bytes come through it, where that is said.
async fn visit(
    config: &JavaBuilderConfig,
    repository: &CanonicalRepository,
    most: Option<u64>,
) -> Result<Visit, SourceError> {
    let address = clone_address(repository, &config.source_mirrors);
    let way = address::check(&address, config.private_sources).await?;
    open(config, address, way, most).await
}

/// The same for an address that is checked, by this way if it is a server's.
async fn open(
    config: &JavaBuilderConfig,
    address: CloneAddress,
    way: Option<tunnel::Way>,
    most: Option<u64>,
) -> Result<Visit, SourceError> {
    let cancelled = Arc::new(AtomicBool::new(false));
    let guard = CancelOnDrop(Arc::clone(&cancelled));
    let tunnel = open_tunnel(config, way, most).await?;
    let budget = Budget::new(config, tunnel.as_ref(), cancelled);
    Ok(Visit { address, budget: Arc::new(budget), _guard: guard, _tunnel: tunnel })
}

fn resolve_blocking(
    request: &SourceRequest,
    address: &CloneAddress,
    temp_dir: &PathBuf,
    budget: &Budget,
    log: &dyn BuildLog,
) -> Result<Source, SourceError> {
    let local = |error: std::io::Error| SourceError::Local(format!("{}: {error}", temp_dir.display()));
    std::fs::create_dir_all(temp_dir).map_err(local)?;
    let scratch = tempfile::Builder::new().prefix("clone-").tempdir_in(temp_dir).map_err(local)?;
    let found = clone::fetch(request, address, scratch.path(), budget)?;
    let commit_id = found.commit.to_string();
    log.line(Phase::Source, &format!("{} is commit {commit_id}", found.wanted));

    let commit =
        found.repository.find_commit(found.commit).and_then(|commit| Ok((commit.time().seconds(), commit.tree()?)));
    let (commit_time, tree) = commit.map_err(|error| tree_error(&commit_id, error.message()))?;
    let entries = tree::entries(&found.repository, &tree, &commit_id, budget)?;
    let specification = specification(&entries, &found.repository, &commit_id)?;
    let commit = build_files::Commit { id: &commit_id, entries: &entries, repository: &found.repository, budget };
    let reactor = reactor::read(&commit, &request.coordinates, specification.as_ref())?;
    let archive = tempfile::Builder::new().prefix("source-").suffix(".tar").tempfile_in(temp_dir).map_err(local)?;
    let frozen = tree::write_tar(&entries, &found.repository, commit_time, &commit_id, archive, budget)?;
    log.line(Phase::Source, &format!("{} files, tree {}", entries.len(), frozen.digest));

    let mut evidence = found.evidence;
    evidence.extend(reactor.evidence);
    Ok(Source {
        repository: request.repository.clone(),
        mirrored: address.mirrored,
        tag: request.tag.clone(),
        commit: commit_id,
        commit_time,
        tree: frozen.digest,
        archive: frozen.path,
        reactor: reactor.releases,
        declared_scm: reactor.declared_scm,
        specification,
        evidence,
    })
}

fn specification(
    entries: &[tree::Entry],
    repository: &git2::Repository,
    commit: &str,
) -> Result<Option<Specification>, SourceError> {
    let Some(entry) = tree::find(entries, SPECIFICATION_FILE) else { return Ok(None) };
    let bad = |problem: String| SourceError::BuildFile {
        commit: commit.to_owned(),
        file: SPECIFICATION_FILE.to_owned(),
        problem,
    };
    let bytes = tree::content(repository, entry, commit)?;
    let text = String::from_utf8(bytes).map_err(|_| bad("it is not UTF-8".to_owned()))?;
    Specification::from_toml(&text).map(Some).map_err(|error| bad(error.to_string()))
}

fn tree_error(commit: &str, problem: &str) -> SourceError {
    SourceError::Tree { commit: commit.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests;
