//! What the tags of repositories were when `rebuild` last saw them on this machine: there is no ledger that it could ask.

use std::path::PathBuf;

use anyhow::Context as _;
use build_spec::Source;
use pyrsia_digest::Sha256;
use serde::{Deserialize, Serialize};

use crate::data_dir::{DataDir, write_atomically};

/// Bytes of one note.
const MAX_NOTE: u64 = 16 * 1024;

#[derive(Serialize, Deserialize, PartialEq, Eq)]
struct Seen {
    repository: String,
    tag: String,
    commit: String,
    /// The tag object, of an annotated tag.
    object: Option<String>,
}

/// Notes what the source's tag is; a sentence if it was something else before.
///
/// # Errors
/// The data folder cannot be written.
pub fn note(cache: &DataDir, source: &Source) -> anyhow::Result<Option<String>> {
    let Some(tag) = &source.tag else { return Ok(None) };
    let seen = Seen {
        repository: source.repository.to_string(),
        tag: tag.clone(),
        commit: source.commit.clone(),
        object: source.tag_object.as_ref().map(|object| object.id.clone()),
    };
    let folder = cache.root().join("tags");
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let name = Sha256::of(format!("{}\n{tag}", seen.repository).as_bytes());
    let file: PathBuf = folder.join(format!("{name}.json"));
    // A note that cannot be read is none: it is only written by this function.
    let before = match std::fs::metadata(&file) {
        Ok(meta) if meta.len() <= MAX_NOTE => std::fs::read(&file).ok(),
        _ => None,
    };
    let before: Option<Seen> = before.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if before.as_ref() != Some(&seen) {
        write_atomically(&file, &serde_json::to_vec_pretty(&seen)?)?;
    }
    let before = before.filter(|before| before.repository == seen.repository && before.tag == seen.tag);
    Ok(before.filter(|before| before.commit != seen.commit || before.object != seen.object).map(|before| {
        let what = |seen: &Seen| match &seen.object {
            Some(object) => format!("commit {} (tag object {object})", seen.commit),
            None => format!("commit {}", seen.commit),
        };
        let (repository, was, is) = (&seen.repository, what(&before), what(&seen));
        format!("tag {tag} of {repository} was moved: it was {was} at the last rebuild on this machine, and is {is}")
    }))
}
