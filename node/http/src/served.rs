//! Who is told what was handed out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use maven_layout::{PathKind, RepoPath};
use pyrsia_repository::{Provenance, ServedFile, WithheldReason};

/// Is told which files of releases were handed out and which were not, not at once and not necessarily one by one.
pub trait Served: Send + Sync {
    /// So many requests for a file were answered with it.
    fn handed_out(&self, path: &RepoPath, provenance: Provenance, times: u64);

    /// A request for a file was refused.
    fn withheld(&self, path: &RepoPath, reason: WithheldReason);
}

/// Files of releases are counted; their checksums, signatures and the documents beside them are not.
pub(crate) fn is_counted(path: &RepoPath) -> bool {
    matches!(path.kind(), PathKind::Artifact { .. })
}

/// Counts the requests that are answered with one file from memory: one addition each. What was counted is told now and
/// then, and when the file leaves the memory.
pub(crate) struct Uses {
    served: Arc<dyn Served>,
    path: RepoPath,
    provenance: Provenance,
    times: AtomicU64,
}

impl Uses {
    /// For a file that is counted.
    pub(crate) fn of(file: &ServedFile, served: &Arc<dyn Served>) -> Option<Box<Self>> {
        is_counted(&file.path).then(|| {
            let (served, path) = (Arc::clone(served), file.path.clone());
            Box::new(Self { served, path, provenance: file.provenance, times: AtomicU64::new(0) })
        })
    }

    /// Counts one.
    pub(crate) fn add(&self) {
        self.times.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells what was counted since the last time.
    pub(crate) fn tell(&self) {
        let times = self.times.swap(0, Ordering::Relaxed);
        if times > 0 {
            self.served.handed_out(&self.path, self.provenance, times);
        }
    }
}

impl Drop for Uses {
    fn drop(&mut self) {
        self.tell();
    }
}
