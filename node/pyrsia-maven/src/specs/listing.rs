//! The files of a collection: a folder, or a git repository.

use std::path::Path;

use anyhow::{Context as _, bail};
use java_builder::source::read_files;

use super::MAX_FILE;
use super::collection::{BUILDSPEC, File, is_of_version};
use crate::compose;
use crate::context::Context;

/// Entries of a folder that are looked at.
const MAX_ENTRIES: usize = 500_000;
/// Folders in folders.
const MAX_DEPTH: usize = 64;
/// All contents that are kept, in bytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// The files that may be about a release of this version.
pub(super) async fn of_version(context: &Context, address: &str, version: &str) -> anyhow::Result<Vec<File>> {
    let version = version.to_owned();
    files(context, address, move |path| is_of_version(path, &version)).await
}

/// Every `.buildspec` file.
pub async fn everything(context: &Context, address: &str) -> anyhow::Result<Vec<File>> {
    files(context, address, |path| path.ends_with(BUILDSPEC)).await
}

async fn files(
    context: &Context,
    address: &str,
    wanted: impl Fn(&str) -> bool + Send + 'static,
) -> anyhow::Result<Vec<File>> {
    if address.contains("://") {
        let listing = read_files(&compose::java_config(context), address, MAX_FILE, wanted).await?;
        return Ok(listing.files);
    }
    let root = Path::new(address).to_owned();
    tokio::task::spawn_blocking(move || folder(&root, &wanted)).await?
}

/// Links are not followed, and what a version control keeps beside the files is no part of them.
fn folder(root: &Path, wanted: &dyn Fn(&str) -> bool) -> anyhow::Result<Vec<File>> {
    let mut open = vec![(root.to_owned(), String::new(), 0)];
    let (mut files, mut entries, mut bytes) = (Vec::new(), 0, 0);
    while let Some((folder, prefix, depth)) = open.pop() {
        let list = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in list {
            let entry = entry.with_context(|| format!("cannot read {}", folder.display()))?;
            entries += 1;
            if entries > MAX_ENTRIES || depth > MAX_DEPTH {
                bail!("{} has too many files, or too many folders in folders", root.display());
            }
            let name = entry.file_name();
            // A name that is no text is nobody's specification.
            let Some(name) = name.to_str() else { continue };
            let kind = entry.file_type()?;
            let path = format!("{prefix}{name}");
            if kind.is_dir() && name != ".git" {
                open.push((entry.path(), format!("{path}/"), depth + 1));
            } else if kind.is_file() && wanted(&path) && entry.metadata()?.len() <= MAX_FILE as u64 {
                let content =
                    std::fs::read(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
                bytes += content.len();
                if bytes > MAX_BYTES {
                    bail!("the specifications in {} are too large together", root.display());
                }
                files.push((path, content));
            }
        }
    }
    files.sort();
    Ok(files)
}
