//! Files of a git repository that is no source of a build: a collection of specifications.

use std::path::Path;

use build_spec::SourceError;
use git2::{ObjectType, Repository, RepositoryOpenFlags};

use crate::config::JavaBuilderConfig;
use crate::source::{Budget, CloneAddress, address, clone, open, tree_error};

/// Entries of a repository that are looked at.
const MAX_ENTRIES: usize = 500_000;
/// Folders in folders.
const MAX_DEPTH: usize = 64;
/// All contents that are kept, in bytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Files of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The commit that the repository's default branch was at, in full.
    pub commit: String,
    /// Path and content of each file, sorted by path.
    pub files: Vec<(String, Vec<u8>)>,
}

/// Reads those files of a repository's default branch whose paths are wanted and that are at most `max_file` bytes.
/// Links are no files. A `file://` repository is read where it lies; any other is cloned, without its history.
///
/// The address is the operator's own, so it may lead to any host; the limits of clones hold.
///
/// # Errors
/// See [`SourceError`].
pub async fn read_files(
    config: &JavaBuilderConfig,
    address: &str,
    max_file: usize,
    wanted: impl Fn(&str) -> bool + Send + 'static,
) -> Result<Listing, SourceError> {
    let address = CloneAddress { url: address.to_owned(), mirrored: true };
    let local = address.url.strip_prefix("file://").map(str::to_owned);
    let way = if local.is_some() { None } else { address::check(&address, true).await? };
    if way.is_none() && local.is_none() {
        let problem = "a collection of specifications is a folder, or a repository at file:// or https://".to_owned();
        return Err(SourceError::Refused { repository: address.url, problem });
    }
    let visit = open(config, address, way, None).await?;
    let (address, budget) = (visit.address.clone(), visit.budget.clone());
    let temp_dir = config.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
    let work = tokio::task::spawn_blocking(move || match local {
        Some(path) => {
            // As it is: no folder above it, nothing of the environment.
            let flags = RepositoryOpenFlags::NO_SEARCH;
            let opened = Repository::open_ext(&path, flags, std::iter::empty::<&Path>());
            read(&opened.map_err(|error| failed(&address, &error))?, &address, max_file, &wanted, &budget)
        }
        None => {
            let local = |error: std::io::Error| SourceError::Local(format!("{}: {error}", temp_dir.display()));
            std::fs::create_dir_all(&temp_dir).map_err(local)?;
            let scratch = tempfile::Builder::new().prefix("specs-").tempdir_in(&temp_dir).map_err(local)?;
            let repository = clone::fetch_head(&address, scratch.path(), &budget)?;
            read(&repository, &address, max_file, &wanted, &budget)
        }
    });
    let result = work.await.map_err(|error| SourceError::Local(format!("the thread of a clone failed: {error}")))?;
    drop(visit);
    result
}

fn failed(address: &CloneAddress, error: &git2::Error) -> SourceError {
    SourceError::Clone { repository: address.url.clone(), problem: error.message().to_owned() }
}

fn read(
    repository: &Repository,
    address: &CloneAddress,
    max_file: usize,
    wanted: &dyn Fn(&str) -> bool,
    budget: &Budget,
) -> Result<Listing, SourceError> {
    let commit = repository.head().and_then(|head| head.peel_to_commit()).map_err(|error| failed(address, &error))?;
    let id = commit.id().to_string();
    let broken = |error: git2::Error| tree_error(&id, error.message());
    let mut open = vec![(String::new(), commit.tree().map_err(broken)?, 0)];
    let (mut files, mut entries, mut bytes) = (Vec::new(), 0, 0);
    while let Some((prefix, tree, depth)) = open.pop() {
        for entry in &tree {
            entries += 1;
            if entries > MAX_ENTRIES || depth > MAX_DEPTH {
                return Err(tree_error(&id, "it has too many files, or too many folders in folders"));
            }
            if let Some(reason) = budget.exhausted() {
                return Err(SourceError::Local(reason.to_owned()));
            }
            // A name that is no text is nobody's specification.
            let Ok(name) = entry.name() else { continue };
            let path = format!("{prefix}{name}");
            match entry.kind() {
                Some(ObjectType::Tree) => {
                    let tree = repository.find_tree(entry.id()).map_err(broken)?;
                    open.push((format!("{path}/"), tree, depth + 1));
                }
                Some(ObjectType::Blob) if entry.filemode_raw() != 0o120_000 && wanted(&path) => {
                    let blob = repository.find_blob(entry.id()).map_err(broken)?;
                    if blob.size() > max_file {
                        continue;
                    }
                    bytes += blob.size();
                    if bytes > MAX_BYTES {
                        return Err(tree_error(&id, "its specifications are too large together"));
                    }
                    files.push((path, blob.content().to_vec()));
                }
                _ => {}
            }
        }
    }
    files.sort();
    Ok(Listing { commit: id, files })
}
