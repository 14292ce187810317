//! Entries that a test wants this node to submit.

use std::path::PathBuf;
use std::time::Duration;

use pyrsia_ledger::SignedEntry;
use tokio::sync::mpsc;

/// Takes each file of the folder once, in the order of the names, and removes it.
pub fn watch(folder: PathBuf) -> mpsc::Receiver<SignedEntry> {
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(async move {
        loop {
            let mut files: Vec<_> =
                std::fs::read_dir(&folder).into_iter().flatten().flatten().map(|file| file.path()).collect();
            // Half-written ones have another ending.
            files.retain(|path| path.extension().is_some_and(|extension| extension == "entry"));
            files.sort();
            for path in files {
                let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let entry =
                    SignedEntry::from_bytes(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let _ = std::fs::remove_file(&path);
                if sender.send(entry).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    receiver
}
