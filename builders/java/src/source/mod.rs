//! From an address and a tag to a frozen tree: clone, resolve, check what the build files declare, write the tar.
//!
//! git is used as a transport and an object store only: nothing is checked out on a disk, no hook, filter, credential helper
//! or configuration of the user takes part. What a build gets is what a checkout would have made of the commit's tree and
//! of its submodules: line ends and `$Id$` as the commit's own `.gitattributes` say ([`attributes`], [`convert`]), and a
//! `.git` if the specification wants one ([`dot_git`]).

mod address;
mod archive;
mod attribute_file;
mod attributes;
mod build_files;
mod clone;
mod convert;
mod declared;
mod dot_git;
mod expressions;
mod frozen;
mod gather;
mod gradle;
mod lfs;
mod listing;
mod message;
mod mirror;
mod reactor;
mod remote;
mod siblings;
mod tags;
mod tree;
mod tunnel;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use build_spec::{
    BuildLog, Checkout, GitState, Phase, SPECIFICATION_FILE, Source, SourceError, SourceRequest, Specification,
    Submodule,
};
use maven_layout::CanonicalRepository;
use tokio::runtime::Handle;

pub use address::{FileAddress, check as check_address, file_address};
pub use archive::repository_of_archive;
pub use listing::{Listing, read_files};
pub use message::commit_with_message;
pub use mirror::{CloneAddress, clone_address};
pub use remote::RemoteTag;
pub(crate) use remote::tags;
pub use tunnel::Way;

use crate::config::{JavaBuilderConfig, bytes};

/// How long a git server may say nothing: it counts and packs before it sends.
const SILENCE: Duration = Duration::from_secs(120);

/// What clones and a tree may cost, and whether anybody still waits for them.
#[derive(Clone)]
pub(crate) struct Budget {
    /// What git has to go through.
    proxy: Option<String>,
    cancelled: Arc<AtomicBool>,
    deadline: Instant,
    transfer: u64,
    /// What came so far, of all clones together.
    received: Arc<AtomicU64>,
    tree_bytes: u64,
    tree_files: u64,
}

impl Budget {
    /// What the settings allow, from now on.
    fn new(config: &JavaBuilderConfig, proxy: Option<String>, cancelled: Arc<AtomicBool>) -> Self {
        let limits = &config.limits;
        Self {
            proxy,
            cancelled,
            deadline: Instant::now() + limits.clone_time(),
            transfer: bytes(limits.clone_mib),
            received: Arc::default(),
            tree_bytes: bytes(limits.source_mib),
            tree_files: limits.source_files,
        }
    }

    /// The same, on another way.
    fn through(&self, proxy: Option<String>) -> Self {
        Self { proxy, ..self.clone() }
    }

    /// What git is told to go through.
    fn proxy_options(&self) -> Option<git2::ProxyOptions<'static>> {
        self.proxy.as_ref().map(|url| {
            let mut proxy = git2::ProxyOptions::new();
            proxy.url(url);
            proxy
        })
    }

    /// Counts bytes that came.
    fn receive(&self, more: u64) {
        self.received.fetch_add(more, Ordering::Relaxed);
    }

    /// A sentence if the work must stop.
    fn exhausted(&self) -> Option<&'static str> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Some("nobody waits for it any more");
        }
        if self.received.load(Ordering::Relaxed) > self.transfer {
            return Some("it is larger than the limit of bytes for a clone allows");
        }
        (Instant::now() > self.deadline).then_some("it takes longer than the limit allows")
    }
}

/// The ways to servers that are open. However silent a server is, the thread that speaks with it ends when they close.
pub(crate) struct Ways {
    idle: Duration,
    /// Bytes that may come through each, where that is said.
    most: Option<u64>,
    cancelled: Arc<AtomicBool>,
    open: Mutex<Vec<tunnel::Tunnel>>,
}

impl Ways {
    /// Opens one more, if it leads over the network; gives what git has to go through.
    async fn open(&self, way: Option<tunnel::Way>) -> Result<Option<String>, SourceError> {
        let Some(way) = way else { return Ok(None) };
        let opened = tunnel::Tunnel::open(way, self.idle, self.most).await;
        let tunnel = opened.map_err(|error| SourceError::Local(format!("no way to the git server: {error}")))?;
        let url = tunnel.url().to_owned();
        self.list().push(tunnel);
        if self.cancelled.load(Ordering::Relaxed) {
            self.list().clear();
        }
        Ok(Some(url))
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<tunnel::Tunnel>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sets the flag and closes the ways when the future that holds it is dropped, so that the thread behind it stops.
struct CancelOnDrop(Arc<Ways>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancelled.store(true, Ordering::Relaxed);
        self.0.list().clear();
    }
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
    let resolving = Resolving {
        config: config.clone(),
        request: request.clone(),
        address: visit.address.clone(),
        ways: Arc::clone(&visit.ways.0),
        budget: visit.budget.clone(),
        runtime: Handle::current(),
        log: Arc::clone(&log),
    };
    let work = tokio::task::spawn_blocking(move || resolving.run());
    let limit = limits.clone_time() + limits.clone_time() / 4;
    let source = match tokio::time::timeout(limit, work).await {
        // Kept only now: the thread may be done when nobody waits any more.
        Ok(Ok(Ok((source, archive)))) => match archive.keep() {
            Ok(_) => Ok(source),
            Err(error) => Err(SourceError::Local(format!("the source cannot be kept: {}", error.error))),
        },
        Ok(Ok(Err(error))) => Err(error),
        Ok(Err(join)) => Err(SourceError::Local(format!("the clone's thread failed: {join}"))),
        Err(_) => Err(SourceError::Local("the clone takes longer than the limit allows".to_owned())),
    };
    drop(visit);
    source
}

/// The way to a repository, as long as somebody waits for what comes through it.
struct Visit {
    address: CloneAddress,
    budget: Budget,
    ways: CancelOnDrop,
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
    let idle = SILENCE.min(config.limits.clone_time());
    let ways = Arc::new(Ways { idle, most, cancelled: Arc::clone(&cancelled), open: Mutex::default() });
    let guard = CancelOnDrop(Arc::clone(&ways));
    let budget = Budget::new(config, ways.open(way).await?, cancelled);
    Ok(Visit { address, budget, ways: guard })
}

/// What the thread needs that speaks with git.
struct Resolving {
    config: JavaBuilderConfig,
    request: SourceRequest,
    address: CloneAddress,
    ways: Arc<Ways>,
    budget: Budget,
    runtime: Handle,
    log: Arc<dyn BuildLog>,
}

impl Resolving {
    /// The source, and its archive, which goes unless it is kept.
    fn run(&self) -> Result<(Source, tempfile::TempPath), SourceError> {
        let (request, budget, log) = (&self.request, &self.budget, self.log.as_ref());
        let temp_dir = self.config.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
        let local = |error: std::io::Error| SourceError::Local(format!("{}: {error}", temp_dir.display()));
        std::fs::create_dir_all(&temp_dir).map_err(local)?;
        let scratch = tempfile::Builder::new().prefix("clone-").tempdir_in(&temp_dir).map_err(local)?;
        let folder = |name: &str| {
            let folder = scratch.path().join(name);
            std::fs::create_dir(&folder).map(|()| folder).map_err(local)
        };
        let reach = |checkout: Checkout| match checkout.git {
            GitState::None | GitState::Commit => clone::Reach::Commit,
            GitState::History => clone::Reach::History,
        };
        let first = request.checkout.map_or(clone::Reach::Commit, reach);
        let found = clone::fetch(request, &self.address, &folder("root")?, first, budget)?;
        let commit_id = found.commit.to_string();
        log.line(Phase::Source, &format!("{} is commit {commit_id}", found.wanted));
        tags::check_size(&found.repository, found.commit)?;

        let mut listing = tree::Listing { commit: &commit_id, budget, entries: Vec::new() };
        let links = {
            let tree = found.repository.find_commit(found.commit).and_then(|commit| commit.tree());
            let tree = tree.map_err(|error| tree_error(&commit_id, error.message()))?;
            listing.add(&found.repository, 0, &tree, &[])?
        };
        let mut root = tree::Module {
            repository: found.repository,
            commit: found.commit,
            address: request.repository.clone(),
            mirrored: self.address.mirrored,
            path: Vec::new(),
            name: String::new(),
            parent: None,
        };
        let specification = specification(&listing.entries, std::slice::from_ref(&root), &commit_id)?;
        let checkout = request.checkout.or_else(|| specification.as_ref().map(Checkout::of)).unwrap_or_default();
        if reach(checkout) != first {
            // Only the commit itself said that its history is wanted.
            log.line(Phase::Source, "fetching the history");
            let again = clone::fetch(request, &self.address, &folder("history")?, reach(checkout), budget)?;
            if (again.commit, again.tag) != (found.commit, found.tag) {
                return Err(SourceError::Revision {
                    repository: request.repository.to_string(),
                    wanted: found.wanted,
                    problem: "it moved while it was fetched; try again".to_owned(),
                });
            }
            root.repository = again.repository;
        }
        let gathering = gather::Gathering {
            config: &self.config,
            runtime: &self.runtime,
            ways: &self.ways,
            scratch: scratch.path(),
            budget,
            reach: reach(checkout),
            commit: &commit_id,
            log,
        };
        let modules = gathering.run(root, links, &mut listing)?;
        let mut entries = listing.sorted()?;
        let pointers = attributes::apply(&modules, &mut entries, checkout.newline, &commit_id, budget)?;
        let commit = build_files::Commit { id: &commit_id, entries: &entries, modules: &modules, budget };
        let reactor = reactor::read(&commit, &request.coordinates, specification.as_ref())?;
        let made = dot_git::make(&dot_git::Plan {
            modules: &modules,
            checkout,
            tag: request.tag.as_deref().zip(found.tag),
            commit: &commit_id,
            scratch: &folder("git")?,
            budget,
        })?;
        let described = Described::read(&modules, found.tag, &commit_id)?;
        let archive =
            tempfile::Builder::new().prefix("source-").suffix(".tar").tempfile_in(&temp_dir).map_err(local)?;
        let content = frozen::Content { modules: &modules, entries: &entries, made: &made };
        let frozen = frozen::write_tar(&content, described.commit_time, &commit_id, archive, budget)?;
        log.line(Phase::Source, &format!("{} files, tree {}", entries.len(), frozen.digest));

        let mut evidence = found.evidence;
        evidence.extend(described.evidence(request.tag.as_deref()));
        evidence.extend(pointers);
        evidence.extend(reactor.evidence);
        let source = Source {
            repository: request.repository.clone(),
            mirrored: modules.iter().any(|module| module.mirrored),
            tag: request.tag.clone(),
            tag_object: described.tag_object,
            commit: commit_id,
            commit_tree: described.commit_tree,
            signature: described.signature,
            submodules: described.submodules,
            checkout,
            commit_time: described.commit_time,
            tree: frozen.digest,
            archive: frozen.path.to_path_buf(),
            reactor: reactor.releases,
            declared_scm: reactor.declared_scm,
            specification,
            evidence,
        };
        Ok((source, frozen.path))
    }
}

/// What is kept about the commits beside their content.
struct Described {
    commit_time: i64,
    commit_tree: String,
    signature: Option<build_spec::ObjectSignature>,
    tag_object: Option<build_spec::TagObject>,
    submodules: Vec<Submodule>,
}

impl Described {
    fn read(modules: &[tree::Module], tag: Option<git2::Oid>, commit: &str) -> Result<Self, SourceError> {
        let failed = |error: git2::Error| tree_error(commit, error.message());
        let root = &modules[0];
        let head = root.repository.find_commit(root.commit).map_err(failed)?;
        let mut submodules = Vec::new();
        for module in &modules[1..] {
            let tree = module.repository.find_commit(module.commit).map_err(failed)?.tree_id();
            submodules.push(Submodule {
                path: String::from_utf8_lossy(&module.path).into_owned(),
                repository: module.address.clone(),
                mirrored: module.mirrored,
                commit: module.commit.to_string(),
                commit_tree: tree.to_string(),
            });
        }
        submodules.sort_by(|a, b| a.path.cmp(&b.path));
        let tag_object = match tag {
            Some(tag) => tags::tag_object(&root.repository, tag, commit)?,
            None => None,
        };
        Ok(Self {
            commit_time: head.time().seconds(),
            commit_tree: head.tree_id().to_string(),
            signature: tags::commit_signature(&head)?,
            tag_object,
            submodules,
        })
    }

    fn evidence(&self, tag: Option<&str>) -> Vec<String> {
        let mut evidence = Vec::new();
        if let Some(object) = &self.tag_object {
            if tag != Some(object.name.as_str()) {
                evidence.push(format!("the tag object {} calls itself {:?}", object.id, object.name));
            }
            if let Some(signature) = &object.signature {
                evidence.push(format!("the tag has an {} signature, which was not checked", signature.kind));
            }
        }
        let submodules = self.submodules.iter();
        evidence.extend(
            submodules.map(|sub| format!("submodule {} is commit {} of {}", sub.path, sub.commit, sub.repository)),
        );
        evidence
    }
}

fn specification(
    entries: &[tree::Entry],
    modules: &[tree::Module],
    commit: &str,
) -> Result<Option<Specification>, SourceError> {
    let entry = entries.iter().find(|entry| entry.path == SPECIFICATION_FILE.as_bytes());
    let Some(entry) = entry else { return Ok(None) };
    let bad = |problem: String| SourceError::BuildFile {
        commit: commit.to_owned(),
        file: SPECIFICATION_FILE.to_owned(),
        problem,
    };
    let bytes = tree::content(modules, entry, commit)?;
    let text = String::from_utf8(bytes).map_err(|_| bad("it is not UTF-8".to_owned()))?;
    Specification::from_toml(&text).map(Some).map_err(|error| bad(error.to_string()))
}

fn tree_error(commit: &str, problem: &str) -> SourceError {
    SourceError::Tree { commit: commit.to_owned(), problem: problem.to_owned() }
}

#[cfg(test)]
mod tests;
