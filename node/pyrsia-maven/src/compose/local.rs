//! A repository without a ledger: the cache of `rebuild`.

use std::sync::Arc;

use pyrsia_blobs::BlobStore;
use pyrsia_repository::{Files, Parts, Policies, Policy, Repository, RepositoryConfig};
use pyrsia_store::IndexStore;

use super::clock;
use crate::context::Context;
use crate::data_dir::DataDir;
use crate::no_ledger::NoLedger;
use crate::upstream::{self, Upstream};

/// The repository and its blobs.
pub struct LocalRepository {
    /// The repository.
    pub files: Arc<dyn Files>,
    /// Its blobs.
    pub blobs: Arc<BlobStore>,
}

impl LocalRepository {
    /// Opens the cache in a directory that the caller has locked.
    pub async fn open(data: &DataDir, context: &Context) -> anyhow::Result<Self> {
        let blobs = BlobStore::open(data.join("blobs"))?;
        let upstreams = upstream::find_all(&context.config).await?;
        let parts = Parts {
            ledger: Arc::new(NoLedger),
            blobs: blobs.clone(),
            index: IndexStore::open(data.root())?,
            upstreams: upstreams.into_iter().filter(Upstream::is_central).map(|found| found.asked).collect(),
            peers: None,
            clock: clock(),
        };
        let files = Repository::new(RepositoryConfig::new(Policies::all(Policy::Mirror)), parts);
        Ok(Self { files: Arc::new(files), blobs: Arc::new(blobs) })
    }
}
