//! Fetching a commit and establishing which one it is.

use std::path::Path;

use build_spec::{SourceError, SourceRequest};
use git2::{
    AutotagOption, Config, ConfigLevel, FetchOptions, Oid, ProxyOptions, RemoteCallbacks, RemoteRedirect, Repository,
};

use crate::source::{Budget, CloneAddress};

/// A commit that is in the local object store.
pub(crate) struct Found {
    pub(crate) repository: Repository,
    pub(crate) commit: Oid,
    /// `tag X` or `commit X`.
    pub(crate) wanted: String,
    pub(crate) evidence: Vec<String>,
}

/// Fetches what is needed for the tag (or, without one, all branches and tags) and finds the commit.
pub(crate) fn fetch(
    request: &SourceRequest,
    address: &CloneAddress,
    dir: &Path,
    budget: &Budget,
) -> Result<Found, SourceError> {
    let commit = request.commit.as_deref().map(|text| full_commit(request, text)).transpose()?;
    if let Some(tag) = &request.tag {
        let name = format!("refs/tags/{tag}");
        if !git2::Reference::is_valid_name(&name) {
            return Err(revision(request, &format!("tag {tag}"), "that is no valid tag name"));
        }
    }
    let repository = empty_repository(dir)?;
    fetch_any(request, address, &repository, budget)?;

    let resolved = match &request.tag {
        Some(tag) => Some(resolve_tag(request, &repository, tag)?),
        None => None,
    };
    match (resolved, commit) {
        (Some((at_tag, _)), Some(commit)) if at_tag != commit => Err(revision(
            request,
            &format!("commit {commit} under tag {}", request.tag.as_deref().unwrap_or_default()),
            &format!("the tag is commit {at_tag}"),
        )),
        (Some((at_tag, kind)), _) => {
            let wanted = format!("tag {}", request.tag.as_deref().unwrap_or_default());
            let evidence = vec![format!("{kind} {wanted} of {} resolves to commit {at_tag}", request.repository)];
            Ok(Found { repository, commit: at_tag, wanted, evidence })
        }
        (None, Some(commit)) => {
            let wanted = format!("commit {commit}");
            repository
                .find_commit(commit)
                .map_err(|_| revision(request, &wanted, "no branch or tag of the repository leads to it"))?;
            let evidence = vec![format!("{wanted} is reachable from a branch or tag of {}", request.repository)];
            Ok(Found { repository, commit, wanted, evidence })
        }
        (None, None) => Err(revision(request, "tag or commit", "neither was given")),
    }
}

fn revision(request: &SourceRequest, wanted: &str, problem: &str) -> SourceError {
    SourceError::Revision {
        repository: request.repository.to_string(),
        wanted: wanted.to_owned(),
        problem: problem.to_owned(),
    }
}

fn full_commit(request: &SourceRequest, text: &str) -> Result<Oid, SourceError> {
    let full = text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
    let oid = if full { Oid::from_str(text).ok() } else { None };
    oid.ok_or_else(|| revision(request, &format!("commit {text}"), "a full commit id has 40 hexadecimal digits"))
}

/// A repository that knows no configuration but its own file: nothing of the user's takes part.
pub(crate) fn empty_repository(dir: &Path) -> Result<Repository, SourceError> {
    let make = || -> Result<Repository, git2::Error> {
        let repository = Repository::init_bare(dir)?;
        let mut config = Config::new()?;
        config.add_file(&dir.join("config"), ConfigLevel::Local, true)?;
        repository.set_config(&config)?;
        Ok(repository)
    };
    make().map_err(|error| SourceError::Local(format!("no repository can be made in {}: {error}", dir.display())))
}

/// Some hosts know a repository only with `.git` at the end, and redirects are not followed, so both are tried.
fn fetch_any(
    request: &SourceRequest,
    address: &CloneAddress,
    repository: &Repository,
    budget: &Budget,
) -> Result<(), SourceError> {
    let refspecs: Vec<String> = match &request.tag {
        Some(tag) => vec![format!("+refs/tags/{tag}:refs/tags/{tag}")],
        None => vec!["+refs/heads/*:refs/remotes/origin/*".to_owned(), "+refs/tags/*:refs/tags/*".to_owned()],
    };
    let depth = if request.tag.is_some() && address.url.starts_with("https://") { 1 } else { 0 };
    let first = fetch_once(repository, &address.url, &refspecs, depth, budget);
    let Err(error) = first else { return Ok(()) };
    let with_suffix = format!("{}.git", address.url.trim_end_matches('/'));
    if budget.exhausted().is_none()
        && !address.url.ends_with(".git")
        && fetch_once(repository, &with_suffix, &refspecs, depth, budget).is_ok()
    {
        return Ok(());
    }
    let problem = match budget.exhausted() {
        Some(reason) => reason.to_owned(),
        None => error.message().to_owned(),
    };
    Err(SourceError::Clone { repository: address.url.clone(), problem })
}

/// Fetches all branches and tags with their history.
pub(crate) fn fetch_all(
    request: &SourceRequest,
    address: &CloneAddress,
    dir: &Path,
    budget: &Budget,
) -> Result<Repository, SourceError> {
    let repository = empty_repository(dir)?;
    fetch_any(request, address, &repository, budget)?;
    Ok(repository)
}

/// Fetches what the default branch is at, without its history, into a repository whose HEAD is there.
pub(crate) fn fetch_head(address: &CloneAddress, dir: &Path, budget: &Budget) -> Result<Repository, SourceError> {
    const FETCHED: &str = "refs/heads/fetched";
    let repository = empty_repository(dir)?;
    let fetched = fetch_once(&repository, &address.url, &[format!("+HEAD:{FETCHED}")], 1, budget)
        .and_then(|()| repository.set_head(FETCHED));
    match fetched {
        Ok(()) => Ok(repository),
        Err(error) => {
            let problem = budget.exhausted().map_or_else(|| error.message().to_owned(), str::to_owned);
            Err(SourceError::Clone { repository: address.url.clone(), problem })
        }
    }
}

fn fetch_once(
    repository: &Repository,
    url: &str,
    refspecs: &[String],
    depth: i32,
    budget: &Budget,
) -> Result<(), git2::Error> {
    let mut callbacks = RemoteCallbacks::new();
    callbacks.transfer_progress(|progress| {
        budget.exhausted().is_none() && progress.received_bytes() as u64 <= budget.transfer
    });
    callbacks.sideband_progress(|_| budget.exhausted().is_none());
    let mut options = FetchOptions::new();
    options
        .remote_callbacks(callbacks)
        .download_tags(AutotagOption::None)
        .update_fetchhead(false)
        .follow_redirects(RemoteRedirect::None);
    if depth > 0 {
        options.depth(depth);
    }
    if let Some(url) = &budget.proxy {
        let mut proxy = ProxyOptions::new();
        proxy.url(url);
        options.proxy_options(proxy);
    }
    repository.remote_anonymous(url)?.fetch(refspecs, Some(&mut options), None)
}

fn resolve_tag(
    request: &SourceRequest,
    repository: &Repository,
    tag: &str,
) -> Result<(Oid, &'static str), SourceError> {
    let wanted = format!("tag {tag}");
    let missing = |_| revision(request, &wanted, "there is no such tag under refs/tags");
    let reference = repository.find_reference(&format!("refs/tags/{tag}")).map_err(missing)?;
    let annotated = reference.target().is_some_and(|id| repository.find_tag(id).is_ok());
    let kind = if annotated { "annotated" } else { "lightweight" };
    let commit =
        reference.peel_to_commit().map_err(|_| revision(request, &wanted, "the tag does not lead to a commit"))?;
    Ok((commit.id(), kind))
}
