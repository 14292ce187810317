//! Files of the store that nothing names any more, as after an index was lost.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use build_spec::{InputManifest, InputStatus};
use pyrsia_blobs::{BlobError, BlobStore};
use pyrsia_digest::Sha256;
use pyrsia_ledger::{Round, RoundResult, State};

use super::collect::{Collected, Store};

/// What is younger may be on its way to a path, or to the ledger: longer than a build takes and is waited for.
const YOUNG: Duration = Duration::from_secs(7 * 86_400);

/// Every digest that the ledger names, and every one that the recorded inputs of its builds name: what authorities and others ask
/// this node for.
pub fn of_ledger(state: &State, blobs: &BlobStore) -> anyhow::Result<BTreeSet<Sha256>> {
    let mut named = BTreeSet::new();
    for verdict in state.verdicts() {
        for file in &verdict.files {
            named.extend([file.sha256, file.rebuilt, file.normalised].into_iter().flatten());
            named.extend(file.dissent.iter().filter_map(|(_, sha256)| *sha256));
        }
    }
    for round in state.rounds() {
        of_round(round, &mut named);
        if let Some(inputs) = &round.inputs {
            match blobs.read_verified(&inputs.manifest) {
                Ok(bytes) => named.extend(of_manifest(&bytes)),
                // Without it nobody knows what the build read; whoever asks for a file of it asks others.
                Err(error) if error.is_loss() => {}
                Err(BlobError::TooLarge { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(named)
}

fn of_round(round: &Round, named: &mut BTreeSet<Sha256>) {
    let request = &round.request;
    named.extend([request.specification, request.image, request.profile]);
    named.extend(round.inputs.as_ref().map(|inputs| inputs.manifest));
    for record in round.attestations.values() {
        let RoundResult::Built(built) = record.result.as_ref() else { continue };
        named.extend(built.files.iter().flat_map(|file| [file.reference, file.digest, file.normalised]).flatten());
        named.extend(built.pom_chain.iter().copied());
        named.extend([built.byproducts, built.provenance].into_iter().flatten());
    }
}

fn of_manifest(bytes: &[u8]) -> Vec<Sha256> {
    let parsed = std::str::from_utf8(bytes).ok().and_then(|text| InputManifest::parse(text).ok());
    let lines = parsed.iter().flat_map(InputManifest::lines);
    lines
        .filter_map(|line| match line.status {
            InputStatus::Found { sha256, .. } => Some(sha256),
            InputStatus::Absent | InputStatus::WithheldSelf => None,
        })
        .collect()
}

impl Store<'_> {
    /// Removes files that no path of the indexes has, that `named` does not name, and that were stored more than a week ago.
    pub fn strays(&self, named: &BTreeSet<Sha256>, now: SystemTime) -> anyhow::Result<Collected> {
        let mut collected = Collected { done: true, ..Collected::default() };
        // What a path had goes by itself, and is not to be counted twice where nothing is removed.
        let mut superseded = BTreeSet::new();
        for index in self.indexes {
            superseded.extend(index.superseded()?.into_iter().map(|(sha256, _)| sha256));
        }
        for digest in self.blobs.digests()? {
            let digest = digest?;
            let Some(file) = self.blobs.metadata(&digest) else { continue };
            let age = file.modified().ok().and_then(|stored| now.duration_since(stored).ok());
            let mut used = named.contains(&digest) || superseded.contains(&digest) || age.is_none_or(|age| age < YOUNG);
            for index in self.indexes {
                used = used || index.uses_blob(&digest)?;
            }
            if !used {
                self.remove(&digest, &file, &mut collected)?;
            }
        }
        Ok(collected)
    }
}

#[cfg(test)]
mod tests {
    use pyrsia_digest::FileDigests;
    use pyrsia_store::{FileRecord, IndexStore};

    use super::*;

    #[test]
    fn what_a_path_the_ledger_or_the_last_week_has_stays() {
        let dir = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(dir.path().join("blobs")).unwrap();
        let index = IndexStore::open(dir.path()).unwrap();
        let [path, ledger, stray] = [&b"of a path"[..], b"of the ledger", b"of nobody"]
            .map(|bytes| blobs.put_bytes(bytes).unwrap().digests.sha256);
        let record = FileRecord {
            path: "org/acme/lib/1/lib-1.jar".parse().unwrap(),
            digests: FileDigests::of(b"of a path").into(),
            origin: "x".to_owned(),
            verified_by: String::new(),
            last_modified: None,
            first_seen: 1,
            last_use: 1,
        };
        index.put_file(record.clone()).unwrap();
        // Other bytes that this path had are no stray.
        let had = blobs.put_bytes(b"of a path before").unwrap().digests.sha256;
        let before = FileDigests::of(b"of a path before").into();
        index.put_file(FileRecord { digests: before, ..record.clone() }).unwrap();
        index.put_file(record).unwrap();
        let indexes = [index];
        let store = Store { blobs: &blobs, indexes: &indexes, in_use: None, stored_since: None, dry: false };
        let named = BTreeSet::from([ledger]);
        assert_eq!(store.strays(&named, SystemTime::now()).unwrap().removed, 0, "it came a moment ago");
        let later = SystemTime::now() + 2 * YOUNG;
        let dry = Store { dry: true, ..store };
        assert_eq!(dry.strays(&named, later).unwrap().removed, 1);
        let store = Store { dry: false, ..dry };
        assert_eq!(store.strays(&named, later).unwrap().removed, 1);
        assert!(blobs.has(&path) && blobs.has(&ledger) && blobs.has(&had) && !blobs.has(&stray));
    }

    #[test]
    fn the_inputs_of_a_build_are_named_by_its_manifest_and_garbage_names_nothing() {
        assert_eq!(of_manifest(b"\xff\xfe"), []);
        assert_eq!(of_manifest(b"no manifest"), []);
    }
}
