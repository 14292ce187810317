//! Finding a commit by what its message says, where nobody has tagged it.

use build_spec::SourceError;
use git2::{Repository, Sort};
use maven_layout::CanonicalRepository;

use crate::config::JavaBuilderConfig;
use crate::source::{Budget, clone, visit};

/// The newest commit (by the committer's time) of any branch or tag whose message holds this text; none: there is none.
/// What it declares is checked when it is resolved, as that of any commit that somebody names.
///
/// # Errors
/// See [`SourceError`]; the address and the limits are those of a source.
pub async fn commit_with_message(
    config: &JavaBuilderConfig,
    repository: &CanonicalRepository,
    message: &str,
) -> Result<Option<String>, SourceError> {
    let visit = visit(config, repository, None).await?;
    let (address, budget) = (visit.address.clone(), visit.budget.clone());
    let temp_dir = config.temp_dir.clone().unwrap_or_else(std::env::temp_dir);
    let message = message.to_owned();
    let work = tokio::task::spawn_blocking(move || {
        let local = |error: std::io::Error| SourceError::Local(format!("{}: {error}", temp_dir.display()));
        std::fs::create_dir_all(&temp_dir).map_err(local)?;
        let scratch = tempfile::Builder::new().prefix("clone-").tempdir_in(&temp_dir).map_err(local)?;
        let fetched = clone::fetch_all(&address, scratch.path(), &budget)?;
        let problem = |error: git2::Error| SourceError::Clone {
            repository: address.url.clone(),
            problem: error.message().to_owned(),
        };
        newest(&fetched, &message, &budget).map_err(problem)?
    });
    let found = work.await.map_err(|error| SourceError::Local(format!("the thread of a clone failed: {error}")))?;
    drop(visit);
    found
}

fn newest(
    repository: &Repository,
    message: &str,
    budget: &Budget,
) -> Result<Result<Option<String>, SourceError>, git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.set_sorting(Sort::TIME)?;
    for reference in repository.references()? {
        // A tag of something else than a commit leads to none.
        if let Ok(commit) = reference?.peel_to_commit() {
            walk.push(commit.id())?;
        }
    }
    for id in walk {
        if let Some(reason) = budget.exhausted() {
            return Ok(Err(SourceError::Local(reason.to_owned())));
        }
        let commit = repository.find_commit(id?)?;
        if String::from_utf8_lossy(commit.message_bytes()).contains(message) {
            return Ok(Ok(Some(commit.id().to_string())));
        }
    }
    Ok(Ok(None))
}
