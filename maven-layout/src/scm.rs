//! Source addresses, reduced to one form.
//!
//! POMs name their repository in many ways, malformed ones included. Members of the network attest the reduced form
//! and compare it as a string, so the reduction is one pure function whose result may not differ between two nodes:
//! [`canonical`], rules version [`SCM_RULES_VERSION`], test vectors in `testdata/scm-v1.tsv`. **Changing what it
//! returns for any input needs a new version.**
//!
//! The rules, in this order:
//! 1. white space around the text is dropped; a text longer than 2048 bytes or with `${` in it is refused;
//! 2. of `[fetch=]a[push=]b` the first address counts;
//! 3. `scm:` and the provider `git` or `jgit` (before `:` or `|`) are dropped, however often they are repeated; any
//!    other provider is refused by name; a missing provider (`scm:https://…`, `scm:git@host:…`) is tolerated;
//! 4. `http`, `https`, `ssh`, `git` and those behind `git+` become `https`; other schemes are refused by name;
//!    `user@host:path`, `//host/path` and `host.name/path` are understood too, and a "port" that is no number is the
//!    beginning of the path (`ssh://git@host:org/repo`);
//! 5. user info is dropped; the host is put into lower case, without trailing dot, and without `www.` at the forges
//!    of rule 8; the port is dropped if it is the scheme's own or the scheme is `ssh` or `git`;
//! 6. `#…` is dropped, `?…` refused; empty path segments are dropped, `.` and `..` refused;
//! 7. the path ends at its first segment that ends in `.git`, which is dropped; else before `/-/`, or before `/tree/`,
//!    `/blob/` or `/raw/` if two segments stand before it;
//! 8. at `github.com`, `bitbucket.org` and `codeberg.org` a repository is exactly two segments: more are dropped.
//!
//! The case of the path is kept.

mod reduce;

use crate::text::{text_order, text_type};

/// Version of the rules of [`canonical`]. Part of what the members of a network agree on.
pub const SCM_RULES_VERSION: u32 = 1;

/// Why an address was not reduced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScmError {
    /// There is no address.
    #[error("the source address is empty")]
    Empty,
    /// The address is longer than any honest one.
    #[error("the source address has {actual} bytes, at most {limit} are read")]
    TooLong {
        /// Bytes that were given, or bytes of the reduced form.
        actual: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// The address holds an expression such as `${project.artifactId}`.
    #[error("the source address is computed, it holds an expression")]
    Computed,
    /// The sources are kept by another system than git.
    #[error("sources kept in {name:?} are not supported, only git is")]
    Provider {
        /// The SCM provider's id, such as `svn`; at most 32 bytes.
        name: String,
    },
    /// The address has a scheme that does not lead to a public git repository.
    #[error("a source address with the scheme {name:?} is not supported")]
    Scheme {
        /// The scheme, such as `file`; at most 32 bytes.
        name: String,
    },
    /// No valid host name can be made out.
    #[error("the source address names no valid host")]
    Host,
    /// The port is not a number from 1 to 65535.
    #[error("the source address has an invalid port")]
    Port,
    /// The address has a query: the repository is chosen by a web page's parameters.
    #[error("the source address has a query")]
    Query,
    /// A character that has no place in a repository's path.
    #[error("the source address holds the character {character:?}")]
    Character {
        /// The character.
        character: char,
    },
    /// A segment of the path is `.` or `..`.
    #[error("the source address has a dot segment")]
    DotSegment,
    /// The path does not reach down to a repository.
    #[error("the source address names no repository on {host}")]
    NoRepository {
        /// The host.
        host: String,
    },
    /// A text that ought to be a reduced address can be reduced further.
    #[error("{given:?} is not in canonical form, which is {canonical:?}")]
    NotCanonical {
        /// The text, at most 64 bytes.
        given: String,
        /// The canonical form.
        canonical: String,
    },
}

fn check(text: &str) -> Result<(), ScmError> {
    let canonical = reduce::reduce(text, &[])?;
    if canonical == text {
        Ok(())
    } else {
        Err(ScmError::NotCanonical { given: text.chars().take(16).collect(), canonical })
    }
}

text_type! {
    /// The address of a git repository in its one form, `https://host[:port]/path`, at most 400 bytes.
    ///
    /// Parsing accepts only this form; any other address goes through [`canonical`].
    CanonicalRepository, ScmError, check
}
text_order!(CanonicalRepository);

impl CanonicalRepository {
    /// The host in lower case, with its port if that is not 443.
    pub fn authority(&self) -> &str {
        self.split().0
    }

    /// The path without slashes at its ends: `org/repo`.
    pub fn path(&self) -> &str {
        self.split().1
    }

    /// The last segment of the path, by which release tags are often named.
    pub fn name(&self) -> &str {
        self.path().rsplit('/').next().unwrap_or_default()
    }

    fn split(&self) -> (&str, &str) {
        self.as_str().strip_prefix("https://").and_then(|rest| rest.split_once('/')).unwrap_or_default()
    }
}

/// Reduces a source address, as a POM states it, to its one form.
///
/// # Errors
/// See [`ScmError`]; Subversion and other systems are refused as [`ScmError::Provider`].
pub fn canonical(raw: &str) -> Result<CanonicalRepository, ScmError> {
    canonical_with_modules(raw, &[])
}

/// As [`canonical`], for an address to which the build tool has appended directory names.
///
/// Maven appends the artifact id (or directory) of each generation to an inherited address, so a flattened POM says
/// `https://host/org/repo/parent/module`. `module_suffixes` are the names that it appends, the outermost first. They
/// are dropped from the end of the path if all of them stand there and a repository remains; an address that says by
/// `.git` or a web page's path where its repository ends is not touched. Only the caller knows that something was
/// appended: a repository may well be called like its module.
///
/// # Errors
/// See [`ScmError`].
pub fn canonical_with_modules(raw: &str, module_suffixes: &[&str]) -> Result<CanonicalRepository, ScmError> {
    reduce::reduce(raw, module_suffixes).map(CanonicalRepository)
}

#[cfg(test)]
mod tests;
