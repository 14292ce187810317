//! The note at the path of a file.

use pyrsia_digest::FileDigests;
use serde::{Deserialize, Serialize};

/// Which bytes a path has, since when and from whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Size and digests; the SHA-256 finds the bytes.
    pub(crate) digests: FileDigests,
    /// When they were stored, in seconds since 1970.
    pub(crate) stored: u64,
    /// Name of the writer.
    pub(crate) writer: String,
}
