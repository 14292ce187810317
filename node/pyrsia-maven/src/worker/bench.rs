//! One build at the worker: everything that its order names is brought here, built, and what came out is brought back.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use build_spec::{BuildError, BuildLog, Builder, Built, InputManifest, InputStatus, Job, MAX_MANIFEST_BYTES, Recorded};
use pyrsia_digest::Sha256;
use pyrsia_rebuilds::Images;
use pyrsia_workers::LeaseId;
use pyrsia_workers::messages::{Failure, FileRef, Leased, MadeFile, Outcome, Replayed};

use super::cache::Cache;
use super::link::{FromAuthority, Link};

/// The name of a record's manifest in the folder of its build.
const MANIFEST: &str = "manifest.txt";

/// What builds are made with here.
pub struct Bench {
    /// To the authority.
    pub link: Arc<Link>,
    /// Who builds.
    pub builder: Arc<dyn Builder>,
    /// Builder images.
    pub images: Arc<dyn Images>,
    /// Files that builds need.
    pub cache: Cache,
    /// An existing folder for running builds.
    pub work_dir: PathBuf,
}

impl Bench {
    /// Runs what was leased to its end, while the caller holds the cache. Dropping it drops the build.
    pub async fn build(&self, leased: &Leased, log: Arc<dyn BuildLog>) -> Outcome {
        let made = self.made(leased, log).await;
        made.unwrap_or_else(|fault| Outcome::Failed(Failure::Engine(fault)))
    }

    /// An error says what went wrong here, and nothing about the build.
    async fn made(&self, leased: &Leased, log: Arc<dyn BuildLog>) -> Result<Outcome, String> {
        let Leased { lease, order, .. } = leased;
        let blobs = self.cache.blobs();
        let archive = self.file(*lease, &order.source.archive).await?;
        self.images.ensure(&order.image).await?;
        let folder = tempfile::tempdir_in(&self.work_dir).map_err(|error| error.to_string())?;
        let job = order.job(archive, folder.path().to_owned()).map_err(|error| error.to_string())?;
        let from = |sizes: BTreeMap<Sha256, u64>| {
            let (link, blobs, trouble) = (Arc::clone(&self.link), blobs.clone(), OnceLock::new());
            let repositories = order.repositories.clone();
            Arc::new(FromAuthority { link, lease: *lease, blobs, repositories, sizes, trouble })
        };
        match &order.manifest {
            None => {
                let from = from(BTreeMap::new());
                let recorded = self.builder.record(&job, from.clone(), log).await;
                let is_whole = matches!(&recorded, Ok(Recorded { result: Ok(_), .. }));
                blameless(is_whole, &from)?;
                match recorded {
                    Ok(recorded) => self.bring_record(*lease, &job, recorded).await,
                    Err(error) => failed(error),
                }
            }
            Some(named) => {
                if named.size > MAX_MANIFEST_BYTES as u64 {
                    return Err("the manifest is too large".to_owned());
                }
                let text = tokio::fs::read_to_string(self.file(*lease, named).await?).await;
                let text = text.map_err(|error| error.to_string())?;
                let manifest = InputManifest::parse(&text).map_err(|error| error.to_string())?;
                let from = from(sizes(&manifest));
                let built = self.builder.replay(&job, &manifest, from.clone(), log).await;
                blameless(built.is_ok(), &from)?;
                match built {
                    Ok(built) => self.bring_files(*lease, built).await,
                    Err(error) => failed(error),
                }
            }
        }
    }

    async fn file(&self, lease: LeaseId, file: &FileRef) -> Result<PathBuf, String> {
        self.link.file(lease, file, self.cache.blobs()).await.map_err(|error| error.to_string())
    }

    async fn bring_record(&self, lease: LeaseId, job: &Job, recorded: Recorded) -> Result<Outcome, String> {
        let text = recorded.manifest.to_text().into_bytes();
        let manifest = FileRef { sha256: Sha256::of(&text), size: text.len() as u64 };
        let path = job.work_dir.join(MANIFEST);
        tokio::fs::write(&path, text).await.map_err(|error| error.to_string())?;
        self.link.upload(lease, &manifest.sha256, &path).await.map_err(|error| error.to_string())?;
        Ok(Outcome::Recorded { manifest, failed: recorded.result.err().map(Into::into) })
    }

    async fn bring_files(&self, lease: LeaseId, built: Built) -> Result<Outcome, String> {
        let Built { files, byproducts, reactor, asked } = built;
        let mut brought = std::collections::BTreeSet::new();
        let mut made = Vec::new();
        for file in files {
            let sha256 = file.digests.sha256;
            if brought.insert(sha256) {
                self.link.upload(lease, &sha256, &file.path).await.map_err(|error| error.to_string())?;
            }
            let content = FileRef { sha256, size: file.digests.size };
            made.push(MadeFile { coordinates: file.coordinates, name: file.name, file: content });
        }
        Ok(Outcome::Replayed(Replayed { files: made, byproducts, reactor, asked }))
    }
}

fn failed(error: BuildError) -> Result<Outcome, String> {
    Ok(Outcome::Failed(error.into()))
}

/// **What a build did while its link was broken says nothing about it**, unless it came to its end all the same.
fn blameless(is_whole: bool, from: &FromAuthority) -> Result<(), String> {
    match from.trouble() {
        Some(trouble) if !is_whole => Err(trouble.to_owned()),
        _ => Ok(()),
    }
}

fn sizes(manifest: &InputManifest) -> BTreeMap<Sha256, u64> {
    let found = manifest.lines().filter_map(|line| match line.status {
        InputStatus::Found { sha256, size, .. } => Some((sha256, size)),
        InputStatus::Absent | InputStatus::WithheldSelf => None,
    });
    found.collect()
}
