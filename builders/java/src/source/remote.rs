//! Which tags a repository has, without cloning it.

use std::collections::BTreeMap;
use std::path::Path;

use build_spec::SourceError;
use git2::{Direction, RemoteCallbacks};
use maven_layout::CanonicalRepository;

use crate::config::JavaBuilderConfig;
use crate::source::clone::{ask_any, empty_repository};
use crate::source::{Budget, visit};

/// Bytes that a server may send: with 100 bytes for a reference, more than half a million of them.
const MAX_BYTES: u64 = 64 << 20;
/// Tags that are kept.
const MAX_TAGS: usize = 100_000;
/// A longer name is no release's.
const MAX_NAME: usize = 256;

/// A tag of a repository, as its server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteTag {
    /// Name below `refs/tags`.
    pub name: String,
    /// What it leads to, in full hexadecimal digits: a commit, if it is a release's tag.
    pub target: String,
}

/// Asks a repository for its tags, sorted by name. Names that are longer than 256 bytes are left out.
///
/// # Errors
/// As for a clone; also where there are more than 100,000 tags.
pub(crate) async fn tags(
    config: &JavaBuilderConfig,
    repository: &CanonicalRepository,
) -> Result<Vec<RemoteTag>, SourceError> {
    let visit = visit(config, repository, Some(MAX_BYTES)).await?;
    let (address, budget) = (visit.address.url.clone(), visit.budget.clone());
    let temp_dir = config.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
    let work = tokio::task::spawn_blocking(move || ask(&address, &temp_dir, &budget));
    let answer = match tokio::time::timeout(config.limits.clone_time(), work).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(join)) => Err(SourceError::Local(format!("the thread that asked for tags failed: {join}"))),
        Err(_) => {
            let problem = "asking for its tags takes longer than the limit allows".to_owned();
            Err(SourceError::Clone { repository: repository.to_string(), problem })
        }
    };
    drop(visit);
    answer
}

fn ask(url: &str, temp_dir: &Path, budget: &Budget) -> Result<Vec<RemoteTag>, SourceError> {
    let local = |error: std::io::Error| SourceError::Local(format!("{}: {error}", temp_dir.display()));
    std::fs::create_dir_all(temp_dir).map_err(local)?;
    let scratch = tempfile::Builder::new().prefix("tags-").tempdir_in(temp_dir).map_err(local)?;
    let repository = empty_repository(scratch.path())?;
    // Here this is no option of the call.
    let config = repository.config().and_then(|mut config| config.set_bool("http.followRedirects", false));
    config.map_err(|error| SourceError::Local(error.message().to_owned()))?;
    let tags = ask_any(url, budget, |url| list(&repository, url, budget))?;
    if tags.len() > MAX_TAGS {
        let problem = format!("it has more than {MAX_TAGS} tags");
        return Err(SourceError::Clone { repository: url.to_owned(), problem });
    }
    Ok(tags.into_iter().map(|(name, target)| RemoteTag { name, target }).collect())
}

fn list(repository: &git2::Repository, url: &str, budget: &Budget) -> Result<BTreeMap<String, String>, git2::Error> {
    let mut callbacks = RemoteCallbacks::new();
    callbacks.sideband_progress(|_| budget.exhausted().is_none());
    let mut remote = repository.remote_anonymous(url)?;
    let connection = remote.connect_auth(Direction::Fetch, Some(callbacks), budget.proxy_options())?;
    let mut tags = BTreeMap::new();
    for head in connection.list()? {
        let Some(name) = head.name().strip_prefix("refs/tags/").filter(|name| name.len() <= MAX_NAME) else { continue };
        // What an annotated tag leads to comes behind the tag itself, with this at the end of its name.
        let name = name.strip_suffix("^{}").unwrap_or(name);
        tags.insert(name.to_owned(), head.oid().to_string());
        if tags.len() > MAX_TAGS {
            break;
        }
    }
    Ok(tags)
}
