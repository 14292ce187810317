//! `/.meta/prefixes.txt`: which path prefixes a repository can serve.
//!
//! Read by [remote repository filtering](https://maven.apache.org/resolver/remote-repository-filtering.html) of Maven 4 and
//! 3.10. A client asks for nothing that no prefix covers, so a file that misses one hides artifacts from a build: it lists
//! exactly what can be served, or is not served at all.
//!
//! The file is UTF-8. Its first line is [`HEADER`]; of the others each is empty, a comment (`#…`), a prefix (`/…`) of whole
//! path segments, or `@ unsupported`. A client throws the whole file away if a line is anything else, if one is longer than
//! 250 characters, or if there are more than 100,000: so that is what [`Prefixes::parse`] refuses and what a [`Prefixes`]
//! never prints.

use std::collections::BTreeSet;
use std::fmt;

use crate::names::GroupId;
use crate::path::{PathError, RepoPath};

/// Where the file lies in a repository.
pub const PATH: &str = ".meta/prefixes.txt";
/// The first line, which tells the format.
pub const HEADER: &str = "## repository-prefixes/2.0";
/// The line with which a repository says that it has no such list.
const UNSUPPORTED: &str = "@ unsupported";

/// Largest file that is read, in bytes: more than the longest that is ever printed.
const SIZE_LIMIT: usize = 32 * 1024 * 1024;
/// Most lines after the first.
const LINE_LIMIT: usize = 100_000;
/// Longest line, in UTF-16 units, as Java counts; when printing in bytes, which are never fewer.
const LENGTH_LIMIT: usize = 250;

/// Why a list of prefixes was not read or cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PrefixesError {
    /// The file is larger than any that a client would take.
    #[error("the file has {actual} bytes, at most {limit} are read")]
    TooLarge {
        /// Bytes that were given.
        actual: usize,
        /// Bytes that are read.
        limit: usize,
    },
    /// The file is not UTF-8.
    #[error("byte {position} is not valid UTF-8")]
    NotUtf8 {
        /// Byte offset.
        position: usize,
    },
    /// The first line is another one than [`HEADER`], as that of a web page would be.
    #[error("the first line is not {HEADER:?}")]
    Header,
    /// The repository says that it has no list: nothing follows about what it serves.
    #[error("the repository says that it does not support prefixes")]
    Unsupported,
    /// There are more lines than a client reads, or as many prefixes even of one segment.
    #[error("there are more than {limit} lines")]
    TooManyLines {
        /// Lines that are read.
        limit: usize,
    },
    /// A line, or the first segment of a path, is longer than a client reads.
    #[error("line {line} has more than {limit} characters")]
    LongLine {
        /// The line's number, from 1; 0 when no file is read.
        line: usize,
        /// Characters that are read.
        limit: usize,
    },
    /// A line that is neither empty, nor a comment, nor begins with a slash.
    #[error("line {line} is no prefix")]
    NoPrefix {
        /// The line's number, from 1.
        line: usize,
    },
    /// A prefix that is no path of a repository.
    #[error("line {line} is no path: {source}")]
    Path {
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        source: PathError,
    },
}

/// What a repository can serve, as path prefixes. None of them lies inside another, and all of them fit into a file.
///
/// Printing gives the file; `parse(print(x)) = x`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prefixes(BTreeSet<RepoPath>);

impl Prefixes {
    /// Reads a file.
    ///
    /// # Errors
    /// See [`PrefixesError`]; a file that is refused says nothing, so nothing may be held back because of it.
    pub fn parse(bytes: &[u8]) -> Result<Self, PrefixesError> {
        if bytes.len() > SIZE_LIMIT {
            return Err(PrefixesError::TooLarge { actual: bytes.len(), limit: SIZE_LIMIT });
        }
        let text = std::str::from_utf8(bytes).map_err(|e| PrefixesError::NotUtf8 { position: e.valid_up_to() })?;
        let mut lines = text.lines().zip(1_usize..);
        if lines.next().map(|(line, _)| line) != Some(HEADER) {
            return Err(PrefixesError::Header);
        }
        let mut all = BTreeSet::new();
        for (line, number) in lines {
            if number > LINE_LIMIT + 1 {
                return Err(PrefixesError::TooManyLines { limit: LINE_LIMIT });
            }
            if line.len() > LENGTH_LIMIT && line.encode_utf16().count() > LENGTH_LIMIT {
                return Err(PrefixesError::LongLine { line: number, limit: LENGTH_LIMIT });
            }
            if line == UNSUPPORTED {
                return Err(PrefixesError::Unsupported);
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let path = line.strip_prefix('/').ok_or(PrefixesError::NoPrefix { line: number })?;
            let path = path.strip_suffix('/').unwrap_or(path);
            all.insert(path.parse().map_err(|source| PrefixesError::Path { line: number, source })?);
        }
        Self::fitted(all)
    }

    /// The union of these groups, each with everything below its directory.
    ///
    /// # Errors
    /// [`PrefixesError::TooManyLines`].
    pub fn of_groups<'a>(groups: impl IntoIterator<Item = &'a GroupId>) -> Result<Self, PrefixesError> {
        Self::fitted(groups.into_iter().map(|group| RepoPath::from_valid(group.dir())).collect())
    }

    /// The union of these files, each path cut behind its first `depth` segments (0 is taken as 1).
    ///
    /// Exact as far as the depth reaches: every path is covered, and every prefix is the beginning of one of the paths.
    ///
    /// # Errors
    /// [`PrefixesError::TooManyLines`], [`PrefixesError::LongLine`].
    pub fn of_paths<'a>(paths: impl IntoIterator<Item = &'a RepoPath>, depth: usize) -> Result<Self, PrefixesError> {
        Self::fitted(paths.into_iter().map(|path| first_segments(path, depth)).collect())
    }

    /// What this and another repository can serve together.
    ///
    /// # Errors
    /// [`PrefixesError::TooManyLines`].
    pub fn union(self, other: Self) -> Result<Self, PrefixesError> {
        let mut all = self.0;
        all.extend(other.0);
        Self::fitted(all)
    }

    /// The same with every prefix cut behind its first `depth` segments (0 is taken as 1): fewer lines that cover more.
    pub fn cut(self, depth: usize) -> Self {
        Self(outermost(self.0.iter().map(|path| first_segments(path, depth)).collect()))
    }

    /// Whether the path is one of the prefixes or lies below one.
    pub fn covers(&self, path: &RepoPath) -> bool {
        std::iter::successors(Some(path.clone()), RepoPath::parent).any(|path| self.0.contains(&path))
    }

    /// The prefixes, sorted.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &RepoPath> {
        self.0.iter()
    }

    /// Whether there is no prefix: the repository has nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Makes lines short and few enough for a file. What is cut covers more, never less.
    fn fitted(all: BTreeSet<RepoPath>) -> Result<Self, PrefixesError> {
        let mut fitting = BTreeSet::new();
        for path in all {
            fitting.insert(shortened(path).ok_or(PrefixesError::LongLine { line: 0, limit: LENGTH_LIMIT })?);
        }
        let mut fitting = Self(outermost(fitting));
        while fitting.0.len() > LINE_LIMIT {
            let deepest = fitting.0.iter().map(|path| path.segments().count()).max().unwrap_or_default();
            if deepest <= 1 {
                return Err(PrefixesError::TooManyLines { limit: LINE_LIMIT });
            }
            fitting = fitting.cut(deepest - 1);
        }
        Ok(fitting)
    }
}

impl fmt::Display for Prefixes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        self.0.iter().try_for_each(|path| writeln!(f, "/{path}"))
    }
}

/// The beginning of a path, at least one segment.
fn first_segments(path: &RepoPath, depth: usize) -> RepoPath {
    let end = path.as_str().match_indices('/').nth(depth.max(1) - 1).map(|(end, _)| end);
    end.and_then(|end| path.as_str().get(..end))
        .map_or_else(|| path.clone(), |start| RepoPath::from_valid(start.to_owned()))
}

/// The longest beginning of a path, by whole segments, that fits into a line behind its slash.
fn shortened(path: RepoPath) -> Option<RepoPath> {
    std::iter::successors(Some(path), RepoPath::parent).find(|path| path.as_str().len() < LENGTH_LIMIT)
}

/// Drops what lies inside another one.
fn outermost(all: BTreeSet<RepoPath>) -> BTreeSet<RepoPath> {
    let inside =
        |path: &RepoPath| std::iter::successors(path.parent(), RepoPath::parent).any(|outer| all.contains(&outer));
    all.iter().filter(|path| !inside(path)).cloned().collect()
}

/// Writes the file for a set of groups: one line `/dir` for each group that lies inside no other listed group, sorted.
///
/// The lines are never cut; [`Prefixes::of_groups`] keeps to what clients read.
pub fn write<'a>(groups: impl IntoIterator<Item = &'a GroupId>) -> String {
    let all = groups.into_iter().map(|group| RepoPath::from_valid(group.dir())).collect();
    Prefixes(outermost(all)).to_string()
}

#[cfg(test)]
mod tests;
