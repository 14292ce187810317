//! Build slots: how many containers run at once, over all processes of this machine.
//!
//! A slot is a lock on one of N files in a folder that all processes share; the kernel frees it when its holder ends,
//! however it ends.

use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::sandbox::locks;

/// How often a waiting build looks again.
const PAUSE: Duration = Duration::from_millis(200);

/// The slots of this machine.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    dir: PathBuf,
    count: usize,
}

/// A slot that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    _lock: File,
}

impl Slots {
    /// So many slots, which lie here.
    pub(crate) fn new(dir: PathBuf, count: usize) -> Self {
        Self { dir, count: count.max(1) }
    }

    /// Waits for a free slot. `waiting` is called once if there is none at once.
    pub(crate) async fn acquire(&self, waiting: impl FnOnce()) -> io::Result<Slot> {
        locks::folder(&self.dir, 0o1777)?;
        let mut waiting = Some(waiting);
        loop {
            if let Some(slot) = self.try_acquire()? {
                return Ok(slot);
            }
            if let Some(tell) = waiting.take() {
                tell();
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn try_acquire(&self) -> io::Result<Option<Slot>> {
        for number in 0..self.count {
            let file = self.dir.join(format!("slot-{number}"));
            // Another account must be able to lock it too.
            let lock = locks::file(&file, 0o666)?;
            match lock.try_lock() {
                Ok(()) => return Ok(Some(Slot { _lock: lock })),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_more_than_the_slots_are_held_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let slots = Slots::new(dir.path().join("slots"), 2);
        let first = slots.acquire(|| ()).await.unwrap();
        let _second = slots.acquire(|| ()).await.unwrap();
        assert!(slots.try_acquire().unwrap().is_none());
        // Another instance, as in another process: the lock is on the open file, not on the process.
        let other = Slots::new(dir.path().join("slots"), 2);
        assert!(other.try_acquire().unwrap().is_none());
        let mut told = false;
        let waiting = tokio::time::timeout(PAUSE * 2, other.acquire(|| told = true)).await;
        assert!(waiting.is_err() && told);
        drop(first);
        assert!(other.try_acquire().unwrap().is_some());
    }
}
