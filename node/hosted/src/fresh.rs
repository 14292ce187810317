//! Files that were uploaded a moment ago and that nobody relies on yet.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use maven_layout::RepoPath;

use crate::entry::Entry;

/// How long, in seconds.
const FRESH_S: u64 = 600;
/// Most files that are remembered; of a further one it is not known that it is fresh, so it stays.
const MOST: usize = 4096;

/// The files that may still be taken back: uploaded lately, not confirmed by a checksum, and read by nobody.
#[derive(Debug, Default)]
pub(crate) struct Fresh(Mutex<HashMap<RepoPath, Uploaded>>);

#[derive(Debug)]
struct Uploaded {
    writer: String,
    until: u64,
    /// What the path had before, if its file may change.
    before: Option<Entry>,
}

impl Fresh {
    /// Notes an upload, before anybody can see it: who reads it settles it, and a note that comes later would undo that.
    pub(crate) fn note(&self, path: &RepoPath, writer: &str, now: u64, before: Option<Entry>) {
        let mut files = self.lock();
        if files.len() >= MOST {
            files.retain(|_, uploaded| now < uploaded.until);
        }
        if files.len() < MOST {
            let uploaded = Uploaded { writer: writer.to_owned(), until: now.saturating_add(FRESH_S), before };
            files.insert(path.clone(), uploaded);
        } else {
            files.remove(path);
        }
    }

    /// From now on the file stays: its checksum was right, somebody reads it, or somebody else was told that it is stored.
    pub(crate) fn settle(&self, path: &RepoPath) {
        self.lock().remove(path);
    }

    /// The same, unless it is this writer who was told so.
    pub(crate) fn settle_for(&self, path: &RepoPath, writer: &str) {
        let mut files = self.lock();
        if files.get(path).is_some_and(|uploaded| uploaded.writer != writer) {
            files.remove(path);
        }
    }

    /// What the file of this path replaced a moment ago.
    pub(crate) fn before(&self, path: &RepoPath) -> Option<Entry> {
        self.lock().get(path)?.before.clone()
    }

    /// Runs `remove` if the file may be taken back by its writer, while nobody can begin to read it; whether it did. `remove`
    /// gets what the path had before.
    pub(crate) fn take_back<E>(
        &self,
        path: &RepoPath,
        writer: &str,
        now: u64,
        remove: impl FnOnce(Option<&Entry>) -> Result<(), E>,
    ) -> Result<bool, E> {
        let mut files = self.lock();
        let noted = files.get(path).filter(|uploaded| uploaded.writer == writer && now < uploaded.until);
        let Some(uploaded) = noted else { return Ok(false) };
        remove(uploaded.before.as_ref())?;
        files.remove(path);
        Ok(true)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RepoPath, Uploaded>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(fresh: &Fresh, path: &RepoPath, writer: &str, now: u64) -> bool {
        fresh.take_back(path, writer, now, |_| Ok::<_, ()>(())).unwrap()
    }

    #[test]
    fn only_what_is_new_unread_and_ones_own_is_taken_back() {
        let path: RepoPath = "a/b/1/b-1.jar".parse().unwrap();
        let fresh = Fresh::default();
        assert!(!taken(&fresh, &path, "ci", 0));
        fresh.note(&path, "ci", 100, None);
        assert!(!taken(&fresh, &path, "other", 101));
        assert!(!taken(&fresh, &path, "ci", 100 + FRESH_S));
        assert!(taken(&fresh, &path, "ci", 99 + FRESH_S));
        assert!(!taken(&fresh, &path, "ci", 101), "once");
        fresh.note(&path, "ci", 100, None);
        fresh.settle(&path);
        assert!(!taken(&fresh, &path, "ci", 101));
        fresh.note(&path, "ci", 100, None);
        fresh.settle_for(&path, "ci");
        assert!(taken(&fresh, &path, "ci", 101), "it is its own");
        fresh.note(&path, "ci", 100, None);
        fresh.settle_for(&path, "other");
        assert!(!taken(&fresh, &path, "ci", 101), "somebody else was told that it is stored");
        fresh.note(&path, "ci", 100, None);
        assert_eq!(fresh.take_back(&path, "ci", 101, |_| Err("disk")), Err("disk"));
        assert!(taken(&fresh, &path, "ci", 101), "it was not removed");
    }

    #[test]
    fn the_memory_is_bounded() {
        let fresh = Fresh::default();
        let path = |number: usize| -> RepoPath { format!("a/b/{number}/b-{number}.jar").parse().unwrap() };
        (0..MOST + 10).for_each(|number| fresh.note(&path(number), "ci", 0, None));
        assert_eq!(fresh.lock().len(), MOST);
        assert!(!taken(&fresh, &path(MOST + 5), "ci", 1), "what is not remembered stays");
        fresh.note(&path(MOST), "ci", FRESH_S, None);
        assert_eq!(fresh.lock().len(), 1, "what is old makes room");
    }
}
