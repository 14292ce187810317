//! A single file name inside a repository directory.

use crate::path::{self, PathError};
use crate::text::{text_order, text_type};

/// Longest file name, in bytes: artifact, version, classifier, extension at their limits, and room for `.asc.sha512`.
const LIMIT: usize = 420;

fn check(text: &str) -> Result<(), PathError> {
    if text.len() > LIMIT {
        return Err(PathError::TooLong { actual: text.len(), limit: LIMIT });
    }
    if let Some(position) = text.find('/') {
        return Err(PathError::Character { character: '/', position });
    }
    path::check(text)
}

text_type! {
    /// One segment of a [`crate::RepoPath`]: never empty, `.` or `..`, without any separator; at most 420 bytes.
    FileName, PathError, check
}
text_order!(FileName);

impl FileName {
    /// Takes a text that was put together from valid parts.
    pub(crate) fn from_valid(text: String) -> Self {
        debug_assert!(check(&text).is_ok(), "{text:?}");
        Self(text)
    }
}
