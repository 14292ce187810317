//! Repositories without a ledger: the cache of `rebuild`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use build_spec::RepositoryId;
use pyrsia_blobs::BlobStore;
use pyrsia_repository::{Files, Parts, Policies, Policy, Repository, RepositoryConfig, Route};
use pyrsia_store::IndexStore;

use super::clock;
use crate::context::Context;
use crate::data_dir::DataDir;
use crate::no_ledger::NoLedger;
use crate::upstream::{self, Upstream};

/// The repositories and their blobs.
pub struct LocalRepository {
    /// The one of Maven Central.
    pub files: Arc<dyn Files>,
    /// Those of the other upstreams of the configuration, each by itself: a build asks for a file in one of them.
    pub others: BTreeMap<RepositoryId, Arc<dyn Files>>,
    /// What each of them is asked for.
    pub routes: Vec<(RepositoryId, Route)>,
    /// The blobs of all of them.
    pub blobs: Arc<BlobStore>,
}

impl LocalRepository {
    /// Opens the cache in a directory that the caller has locked.
    pub async fn open(data: &DataDir, context: &Context) -> anyhow::Result<Self> {
        let blobs = BlobStore::open(data.join("blobs"))?;
        let repository =
            |folder: &Path, upstreams: Vec<pyrsia_repository::Upstream>| -> anyhow::Result<Arc<dyn Files>> {
                let parts = Parts {
                    ledger: Arc::new(NoLedger),
                    blobs: blobs.clone(),
                    index: IndexStore::open(folder)?,
                    upstreams,
                    peers: None,
                    clock: clock(),
                };
                Ok(Arc::new(Repository::new(RepositoryConfig::new(Policies::all(Policy::Mirror)), parts)))
            };
        let found = upstream::find_all(&context.config).await?;
        let mut routes = Vec::new();
        for upstream in &found {
            routes.push((upstream.id.parse()?, upstream.asked.route.clone()));
        }
        let (central, listed): (Vec<Upstream>, Vec<Upstream>) = found.into_iter().partition(Upstream::is_central);
        let files = repository(data.root(), central.into_iter().map(|found| found.asked).collect())?;
        let mut others = BTreeMap::new();
        for found in listed {
            // An id may be the name of a folder that leads elsewhere.
            let folder = data.join(&format!("upstream-{}", found.id));
            others.insert(found.id.parse()?, repository(&folder, vec![found.asked])?);
        }
        Ok(Self { files, others, routes, blobs: Arc::new(blobs) })
    }
}
