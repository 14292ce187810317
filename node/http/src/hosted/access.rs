//! Who may do what in a hosted repository: pure decisions.

use axum::http::HeaderMap;
use maven_layout::RepoPath;
use pyrsia_hosted::PathRule;

use super::HostedRepository;
use crate::guard::{self, GuardConfig, Token};

/// Who has removed something, where it was the node's own token that was shown.
const OPERATOR: &str = "(the node's token)";

/// Somebody with a name and a token, and where the two are good for something.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The user name.
    pub name: String,
    /// The password.
    pub token: Token,
    /// Where.
    pub paths: Vec<PathRule>,
    /// Whether a writer may take versions away there, too.
    pub removes: bool,
}

impl Holder {
    fn covers(&self, path: &RepoPath) -> bool {
        self.paths.iter().any(|rule| rule.covers(path))
    }
}

/// Why somebody may not do what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denied {
    /// It is not said who asks, or nobody is known by what is said (401).
    Unknown,
    /// Reads, and does not write (403).
    ReadsOnly,
    /// Not there (403): somebody of this name, for these paths.
    Elsewhere {
        /// The name.
        name: String,
        /// The paths.
        paths: String,
    },
}

/// What a request's credentials are good for in one repository.
pub(crate) struct Access<'a> {
    writers: Vec<&'a Holder>,
    /// Those of the repository's own readers; none: it has none, and who reads the node reads it.
    readers: Option<Vec<&'a Holder>>,
    /// It reads what the node shows, on this listener.
    reads_node: bool,
    /// The node's own token.
    with_token: bool,
}

impl<'a> Access<'a> {
    /// Looks at the credentials. Every holder is compared with, so that the time tells nothing about names.
    pub(crate) fn of(headers: &HeaderMap, guard: &GuardConfig, repository: Option<&'a HostedRepository>) -> Self {
        let (basic, bearer) = (guard::basic(headers), guard::bearer(headers));
        let shown = |holder: &Holder| {
            let by_name = basic.as_ref().is_some_and(|(name, secret)| {
                holder.token.matches(secret) & (holder.name.as_bytes() == name.as_slice())
            });
            by_name | bearer.is_some_and(|secret| holder.token.matches(secret))
        };
        let among = |holders: &'a [Holder]| holders.iter().filter(|holder| shown(holder)).collect::<Vec<_>>();
        let reads_node = guard.readers.as_ref().is_none_or(|readers| guard::is_reader(headers, readers));
        Self {
            writers: repository.map(|repository| among(&repository.writers)).unwrap_or_default(),
            readers: repository.and_then(|repository| repository.readers.as_deref()).map(among),
            reads_node,
            with_token: guard::shows_token(headers, &guard.token),
        }
    }

    /// Whether there is anything to read for these credentials.
    pub(crate) fn enter(&self) -> Result<(), Denied> {
        let reads = match &self.readers {
            Some(readers) => !readers.is_empty(),
            None => self.reads_node,
        };
        if reads || self.with_token || !self.writers.is_empty() { Ok(()) } else { Err(Denied::Unknown) }
    }

    /// Whether a path may be read. A writer reads all of the repository: a build needs what others have published.
    pub(crate) fn read(&self, path: &RepoPath) -> Result<(), Denied> {
        self.enter()?;
        match &self.readers {
            Some(readers) if !self.with_token && self.writers.is_empty() => {
                if readers.iter().any(|reader| reader.covers(path)) { Ok(()) } else { Err(elsewhere(readers)) }
            }
            _ => Ok(()),
        }
    }

    /// Whether a path may be written, and by whom.
    pub(crate) fn write(&self, path: &RepoPath) -> Result<&'a str, Denied> {
        if let Some(writer) = self.writers.iter().find(|writer| writer.covers(path)) {
            return Ok(&writer.name);
        }
        if !self.writers.is_empty() {
            return Err(elsewhere(&self.writers));
        }
        Err(Denied::Unknown)
    }

    /// Whether a version may be taken away, and by whom: by who shows the node's own token, and by writers who may. `path` is one
    /// of its files.
    pub(crate) fn remove(&self, path: &RepoPath) -> Result<&'a str, Denied> {
        if self.with_token {
            return Ok(OPERATOR);
        }
        let removing: Vec<_> = self.writers.iter().filter(|writer| writer.removes).copied().collect();
        match removing.iter().find(|writer| writer.covers(path)) {
            Some(writer) => Ok(&writer.name),
            None if !removing.is_empty() => Err(elsewhere(&removing)),
            None if !self.writers.is_empty() || self.readers.as_ref().is_some_and(|readers| !readers.is_empty()) => {
                Err(Denied::ReadsOnly)
            }
            None => Err(Denied::Unknown),
        }
    }

    /// Whether it may be seen who uploaded what: names are half of what a writer shows.
    pub(crate) fn sees_writers(&self) -> bool {
        self.with_token || !self.writers.is_empty()
    }

    /// Whether somebody is known by the credentials who only reads.
    pub(crate) fn is_known_reader(&self, headers: &HeaderMap, guard: &GuardConfig) -> bool {
        let of_node = guard.readers.as_ref().is_some_and(|readers| guard::is_reader(headers, readers));
        of_node || self.readers.as_ref().is_some_and(|readers| !readers.is_empty())
    }
}

fn elsewhere(holders: &[&Holder]) -> Denied {
    let paths: Vec<String> = holders.iter().flat_map(|holder| &holder.paths).map(ToString::to_string).collect();
    Denied::Elsewhere {
        name: holders.first().map(|holder| holder.name.clone()).unwrap_or_default(),
        paths: paths.join(", "),
    }
}

#[cfg(test)]
#[path = "access_tests.rs"]
mod tests;
