//! Are the bytes of a repository the ones that were uploaded?

use std::path::Path;

use maven_layout::RepoPath;
use pyrsia_blobs::BlobStore;

use crate::anew;
use crate::decide::{Kind, kind};
use crate::error::HostedError;
use crate::tree::Tree;

/// What an examination found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examination {
    /// Files and documents that are in order.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The others.
    pub damaged: Vec<Damage>,
}

/// A file or document that is not in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Its path.
    pub path: RepoPath,
    /// What is wrong.
    pub problem: String,
}

/// Hashes every file of the repository in a folder again, and reads every document. Blocking; no process has the repository
/// open. Damaged bytes are moved aside within the folder.
///
/// # Errors
/// [`HostedError`] if the folder cannot be read; not for single files.
pub fn examine(root: &Path) -> Result<Examination, HostedError> {
    let mut found = Examination::default();
    let Some(tree) = Tree::existing(root) else { return Ok(found) };
    let blobs = BlobStore::open(root.join("blobs"))?;
    tree.walk(|path| match size(&blobs, &tree, &path) {
        Ok(size) => {
            found.files += 1;
            found.bytes = found.bytes.saturating_add(size);
        }
        Err(problem) => found.damaged.push(Damage { path, problem }),
    })?;
    found.damaged.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// The size of a file that is in order, or what is wrong with it.
fn size(blobs: &BlobStore, tree: &Tree, path: &RepoPath) -> Result<u64, String> {
    let nothing = || "it cannot be read".to_owned();
    match kind(path) {
        Some(Kind::File { .. }) => {
            let entry = tree.entry(path).map_err(|error| error.to_string())?.ok_or_else(nothing)?;
            // All of them: the others are handed out as checksums, and nobody else would notice a digit that the disk changed.
            let found = blobs.verify(&entry.digests.sha256).map_err(|error| error.to_string())?;
            if found != entry.digests {
                return Err("its entry has other checksums than the bytes that it names".to_owned());
            }
            Ok(found.size)
        }
        Some(Kind::Document(level)) => {
            let document = tree.document(path).map_err(|error| error.to_string())?.ok_or_else(nothing)?;
            anew::read(path, &level, &document.bytes).map_err(|problem| {
                format!("{problem}; it is made anew from the files that are here when somebody asks for it")
            })?;
            Ok(document.bytes.len() as u64)
        }
        Some(Kind::Checksum { .. }) | None => Err("no upload puts a file there".to_owned()),
    }
}
