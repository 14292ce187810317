//! What a repository holds, version by version, and how one is taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use maven_layout::{ArtifactRef, Coordinates, Metadata, RepoPath, metadata};

use crate::decide::{Kind, kind, owner};
use crate::error::{HostedError, Refused};
use crate::store::{Hosted, Inner};

/// A release, or a build of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which one; `1.0-SNAPSHOT` for files that are of no build.
    pub coordinates: Coordinates,
    /// Its files, signatures included.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the newest of them was stored, in seconds since 1970.
    pub stored: u64,
    /// Who uploaded them.
    pub writers: BTreeSet<String>,
}

/// What was taken away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// Files.
    pub files: u64,
    /// Their bytes, which `gc` frees.
    pub bytes: u64,
    /// Documents that were written anew, or went with the last that they told.
    pub documents: Vec<RepoPath>,
}

impl Hosted {
    /// All versions, in order. Takes as long as reading an entry of each file.
    ///
    /// # Errors
    /// [`HostedError`] if the folder or an entry cannot be read.
    pub async fn versions(&self) -> Result<Vec<Listed>, HostedError> {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || inner.versions()).await.map_err(|_| HostedError::Stopping)?
    }

    /// Takes a version away: a release, a build of a snapshot (`1.0-20261122.072715-2`), or a snapshot with all of its
    /// builds. No document tells of it any more before its first file goes; a call that was interrupted can be repeated. The
    /// bytes stay until [`collect`](crate::collect).
    ///
    /// # Errors
    /// [`Refused::NotHere`] if neither a file nor a document is about it; failures of the disk.
    pub async fn remove(&self, version: &Coordinates, by: &str) -> Result<Removed, HostedError> {
        let (inner, version, by) = (Arc::clone(&self.inner), version.clone(), by.to_owned());
        let removed = tokio::task::spawn_blocking(move || inner.remove(&version, &by));
        removed.await.map_err(|_| HostedError::Stopping)?
    }
}

impl Inner {
    fn versions(&self) -> Result<Vec<Listed>, HostedError> {
        let mut found = BTreeMap::new();
        let mut failed = None;
        self.tree.walk(|path| {
            let Some(of) = owner(&path) else { return };
            match self.tree.entry(&path) {
                // Taken away since.
                Ok(None) => {}
                Ok(Some(entry)) => {
                    let listed = found.entry(of).or_insert_with_key(|coordinates: &Coordinates| Listed {
                        coordinates: coordinates.clone(),
                        files: 0,
                        bytes: 0,
                        stored: 0,
                        writers: BTreeSet::new(),
                    });
                    listed.files += 1;
                    listed.bytes = listed.bytes.saturating_add(entry.digests.size);
                    listed.stored = listed.stored.max(entry.stored);
                    listed.writers.insert(entry.writer);
                }
                Err(error) => failed = Some(error),
            }
        })?;
        failed.map_or_else(|| Ok(found.into_values().collect()), Err)
    }

    /// Blocking.
    fn remove(&self, version: &Coordinates, by: &str) -> Result<Removed, HostedError> {
        let whole = version.version.base() == version.version;
        let _changing = self.change();
        let here = self.tree.directly_in(&version.dir())?;
        let (going, staying): (Vec<_>, Vec<_>) = here
            .into_iter()
            .filter_map(|path| owner(&path).map(|of| (of, path)))
            .partition(|(of, _)| whole || of.version == version.version);
        let last = staying.is_empty() && (whole || !going.is_empty());
        let base = Coordinates { version: version.version.base(), ..version.clone() };
        let changed = self.documents_without(version, &base, whole, last, &staying)?;
        if going.is_empty() && changed.is_empty() {
            return Err(Refused::NotHere { what: version.to_string(), repository: self.config.id.to_string() }.into());
        }
        // First of all, so that nobody who read the documents before puts it back.
        let mut gone: BTreeSet<&Coordinates> = going.iter().map(|(of, _)| of).collect();
        gone.insert(version);
        gone.extend(last.then_some(&base));
        gone.into_iter().try_for_each(|gone| self.gone.note(gone))?;
        let mut removed = Removed { files: 0, bytes: 0, documents: Vec::new() };
        for (path, document) in changed {
            match document {
                Some(document) => self.tree.replace(&path, metadata::write(&document).as_bytes())?,
                None => self.tree.remove(&path)?,
            }
            removed.documents.push(path);
        }
        for (_, path) in &going {
            // A damaged one goes too: what it says is not needed.
            let size = self.tree.entry(path).ok().flatten().map_or(0, |entry| entry.digests.size);
            self.fresh.settle(path);
            self.tree.remove(path)?;
            removed.files += 1;
            removed.bytes = removed.bytes.saturating_add(size);
        }
        tracing::info!(
            hosted.repository = %self.config.id, hosted.by = by, hosted.version = %version, hosted.files = removed.files,
            "a version was removed"
        );
        Ok(removed)
    }

    /// The documents that tell of a version, without it: none instead of one that would tell nothing any more.
    fn documents_without(
        &self,
        version: &Coordinates,
        base: &Coordinates,
        whole: bool,
        last: bool,
        staying: &[(Coordinates, RepoPath)],
    ) -> Result<Vec<(RepoPath, Option<Metadata>)>, HostedError> {
        let mut changed = Vec::new();
        if let Some(path) = base.snapshot_metadata_path()
            && self.tree.document(&path)?.is_some()
        {
            if whole || last {
                changed.push((path, None));
            } else if let Some(ours) = self.says(&path)? {
                let build = version.version.snapshot_build();
                let told = ours.snapshot_versions.values().any(|file| file.value == version.version)
                    || (build.is_some() && ours.snapshot == build);
                if told {
                    let files = staying.iter().filter_map(|(_, path)| ArtifactRef::from_path(path));
                    let rest = Metadata::of_snapshot(base, files);
                    changed.push((path, (!rest.is_empty()).then_some(rest)));
                }
            }
        }
        if !last {
            return Ok(changed);
        }
        let path = base.metadata_path();
        // Without a list it is not known.
        let mut versions_left = true;
        if let Some(mut list) = self.says(&path)?
            && list.forget_version(&base.version)
        {
            versions_left = !list.versions.is_empty();
            changed.push((path, (!list.is_empty()).then_some(list)));
        }
        // The prefix of a plugin goes with its last version.
        let of_group = base.group.metadata_path();
        if !versions_left
            && let Some(mut plugins) = self.says(&of_group)?
            && plugins.forget_plugins_of(&base.artifact)
        {
            changed.push((of_group, (!plugins.is_empty()).then_some(plugins)));
        }
        Ok(changed)
    }

    /// What the document at a path says, if there is one.
    fn says(&self, path: &RepoPath) -> Result<Option<Metadata>, HostedError> {
        let Some(Kind::Document(level)) = kind(path) else { return Ok(None) };
        Ok(self.sound_document(path, &level)?.map(|sound| sound.says))
    }
}

#[cfg(test)]
#[path = "versions_tests.rs"]
mod tests;
