//! Bytes that no entry names any more: of what was removed, taken back or replaced, and of uploads that ended in between.

use std::collections::BTreeSet;
use std::path::Path;

use pyrsia_blobs::BlobStore;

use crate::decide::{Kind, kind};
use crate::error::HostedError;
use crate::tree::Tree;

/// What was collected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Collected {
    /// Files that were removed, or would be.
    pub removed: u64,
    /// Their bytes.
    pub removed_bytes: u64,
    /// Files that are left.
    pub left: u64,
    /// Their bytes.
    pub left_bytes: u64,
}

/// Removes the bytes that no entry of the repository in a folder names; with `dry` it only says how many. Blocking; no process
/// has the repository open.
///
/// # Errors
/// [`HostedError`]. Nothing is removed unless every entry could be read: what one that is damaged names is not known.
pub fn collect(root: &Path, dry: bool) -> Result<Collected, HostedError> {
    let mut collected = Collected::default();
    let Some(tree) = Tree::existing(root) else { return Ok(collected) };
    let blobs = BlobStore::open(root.join("blobs"))?;
    let mut named = BTreeSet::new();
    let mut failed = None;
    tree.walk(|path| {
        if !matches!(kind(&path), Some(Kind::File { .. })) {
            return;
        }
        match tree.entry(&path) {
            Ok(entry) => named.extend(entry.map(|entry| entry.digests.sha256)),
            Err(error) => failed = Some(error),
        }
    })?;
    if let Some(error) = failed {
        return Err(error);
    }
    for digest in blobs.digests()? {
        let digest = digest?;
        let size = blobs.size(&digest).unwrap_or(0);
        if named.contains(&digest) {
            collected.left += 1;
            collected.left_bytes = collected.left_bytes.saturating_add(size);
            continue;
        }
        if !dry {
            blobs.remove(&digest)?;
        }
        collected.removed += 1;
        collected.removed_bytes = collected.removed_bytes.saturating_add(size);
    }
    Ok(collected)
}
