//! Fetching a commit and establishing which one it is.

use std::path::Path;

use build_spec::{SourceError, SourceRequest};
use git2::{AutotagOption, Config, ConfigLevel, FetchOptions, Oid, RemoteCallbacks, RemoteRedirect, Repository};

use crate::source::{Budget, CloneAddress, tags};

/// A commit that is in the local object store.
pub(crate) struct Found {
    pub(crate) repository: Repository,
    pub(crate) commit: Oid,
    /// What `refs/tags/TAG` holds: the commit, or a tag object.
    pub(crate) tag: Option<Oid>,
    /// `tag X` or `commit X`.
    pub(crate) wanted: String,
    pub(crate) evidence: Vec<String>,
}

/// How much of a repository is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The one commit, where the transport can do that.
    Commit,
    /// Everything that leads to it, and all tags.
    History,
}

const ALL_TAGS: &str = "+refs/tags/*:refs/tags/*";

/// All branches and tags.
fn everything() -> [String; 2] {
    ["+refs/heads/*:refs/remotes/origin/*".to_owned(), ALL_TAGS.to_owned()]
}

/// Fetches what is needed for the tag (or, without one, all branches and tags) and finds the commit.
pub(crate) fn fetch(
    request: &SourceRequest,
    address: &CloneAddress,
    dir: &Path,
    reach: Reach,
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
    let refspecs: Vec<String> = match (&request.tag, reach) {
        (Some(tag), Reach::Commit) => vec![format!("+refs/tags/{tag}:refs/tags/{tag}")],
        (Some(_), Reach::History) => vec![ALL_TAGS.to_owned()],
        (None, _) => everything().to_vec(),
    };
    // Without a tag all branches are needed, to see that one of them leads to the commit.
    let shallow = request.tag.is_some() && reach == Reach::Commit;
    fetch_any(address, &repository, &refspecs, shallow, budget)?;

    let resolved = match &request.tag {
        Some(tag) => Some(resolve_tag(request, &repository, tag)?),
        None => None,
    };
    match (resolved, commit) {
        (Some((_, at_tag)), Some(commit)) if at_tag != commit => Err(revision(
            request,
            &format!("commit {commit} under tag {}", request.tag.as_deref().unwrap_or_default()),
            &format!("the tag is commit {at_tag}"),
        )),
        (Some((tag, at_tag)), _) => {
            let wanted = format!("tag {}", request.tag.as_deref().unwrap_or_default());
            let kind = if tag == at_tag { "lightweight" } else { "annotated" };
            let evidence = vec![format!("{kind} {wanted} of {} resolves to commit {at_tag}", request.repository)];
            Ok(Found { repository, commit: at_tag, tag: Some(tag), wanted, evidence })
        }
        (None, Some(commit)) => {
            let wanted = format!("commit {commit}");
            if repository.odb().is_ok_and(|odb| odb.exists(commit)) {
                tags::check_size(&repository, commit)?;
            }
            repository
                .find_commit(commit)
                .map_err(|_| revision(request, &wanted, "no branch or tag of the repository leads to it"))?;
            let evidence = vec![format!("{wanted} is reachable from a branch or tag of {}", request.repository)];
            Ok(Found { repository, commit, tag: None, wanted, evidence })
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
        // Else the user's own file of attributes would be looked for.
        config.set_str("core.attributesFile", "/dev/null")?;
        repository.set_config(&config)?;
        Ok(repository)
    };
    make().map_err(|error| SourceError::Local(format!("no repository can be made in {}: {error}", dir.display())))
}

/// Fetches the commit that an outer repository names. Like git, it takes any commit that the server hands out: the outer
/// commit says which one it is.
pub(crate) fn fetch_commit(
    address: &CloneAddress,
    commit: Oid,
    dir: &Path,
    reach: Reach,
    budget: &Budget,
) -> Result<Repository, SourceError> {
    const FETCHED: &str = "refs/heads/fetched";
    let is_there = |repository: &Repository| {
        tags::check_size(repository, commit).is_ok() && repository.find_commit(commit).is_ok()
    };
    let repository = empty_repository(dir)?;
    // Not every server hands out a commit by its id, and the transport of files never does.
    let alone = reach == Reach::Commit
        && knows_depth(&address.url)
        && fetch_any(address, &repository, &[format!("{commit}:{FETCHED}")], true, budget).is_ok()
        && is_there(&repository);
    if !alone {
        fetch_any(address, &repository, &everything(), false, budget)?;
    }
    if !is_there(&repository) {
        return Err(SourceError::Revision {
            repository: address.url.clone(),
            wanted: format!("commit {commit}"),
            problem: "no branch or tag of the repository leads to it".to_owned(),
        });
    }
    Ok(repository)
}

/// Whether a transport can leave the history out: that of files cannot.
fn knows_depth(url: &str) -> bool {
    !url.starts_with("file://") && url.contains("://")
}

/// Asks the server of an address. Some hosts know a repository only with `.git` at the end, and redirects are not
/// followed, so both are tried.
pub(crate) fn ask_any<T>(
    url: &str,
    budget: &Budget,
    ask: impl Fn(&str) -> Result<T, git2::Error>,
) -> Result<T, SourceError> {
    let error = match ask(url) {
        Ok(answer) => return Ok(answer),
        Err(error) => error,
    };
    if budget.exhausted().is_none()
        && !url.ends_with(".git")
        && let Ok(answer) = ask(&format!("{}.git", url.trim_end_matches('/')))
    {
        return Ok(answer);
    }
    Err(failed(url, budget, &error))
}

fn failed(url: &str, budget: &Budget, error: &git2::Error) -> SourceError {
    let problem = budget.exhausted().map_or_else(|| error.message().to_owned(), str::to_owned);
    SourceError::Clone { repository: url.to_owned(), problem }
}

fn fetch_any(
    address: &CloneAddress,
    repository: &Repository,
    refspecs: &[String],
    shallow: bool,
    budget: &Budget,
) -> Result<(), SourceError> {
    let depth = if shallow && knows_depth(&address.url) { 1 } else { 0 };
    ask_any(&address.url, budget, |url| fetch_once(repository, url, refspecs, depth, budget))
}

/// Fetches all branches and tags with their history.
pub(crate) fn fetch_all(address: &CloneAddress, dir: &Path, budget: &Budget) -> Result<Repository, SourceError> {
    let repository = empty_repository(dir)?;
    fetch_any(address, &repository, &everything(), false, budget)?;
    Ok(repository)
}

/// Fetches what the default branch is at, without its history, into a repository whose HEAD is there.
pub(crate) fn fetch_head(address: &CloneAddress, dir: &Path, budget: &Budget) -> Result<Repository, SourceError> {
    const FETCHED: &str = "refs/heads/fetched";
    let repository = empty_repository(dir)?;
    let fetched = fetch_once(&repository, &address.url, &[format!("+HEAD:{FETCHED}")], 1, budget)
        .and_then(|()| repository.set_head(FETCHED));
    fetched.map(|()| repository).map_err(|error| failed(&address.url, budget, &error))
}

fn fetch_once(
    repository: &Repository,
    url: &str,
    refspecs: &[String],
    depth: i32,
    budget: &Budget,
) -> Result<(), git2::Error> {
    let mut callbacks = RemoteCallbacks::new();
    // Of all repositories of a source together: a submodule gets what is left.
    let mut before = 0;
    callbacks.transfer_progress(move |progress| {
        let now = progress.received_bytes() as u64;
        budget.receive(now.saturating_sub(before));
        before = now;
        budget.exhausted().is_none()
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
    if let Some(proxy) = budget.proxy_options() {
        options.proxy_options(proxy);
    }
    repository.remote_anonymous(url)?.fetch(refspecs, Some(&mut options), None)
}

/// What the tag holds, and the commit that it leads to.
fn resolve_tag(request: &SourceRequest, repository: &Repository, tag: &str) -> Result<(Oid, Oid), SourceError> {
    let wanted = format!("tag {tag}");
    let missing = |_| revision(request, &wanted, "there is no such tag under refs/tags");
    let reference = repository.find_reference(&format!("refs/tags/{tag}")).map_err(missing)?;
    let no_commit = || revision(request, &wanted, "the tag does not lead to a commit");
    let target = reference.target().ok_or_else(no_commit)?;
    let (_, last) = tags::chain(repository, target)?;
    let commit = repository.find_commit(last).map_err(|_| no_commit())?;
    Ok((target, commit.id()))
}
