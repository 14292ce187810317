//! The composition root: the only place where the parts of a node are put together.
//!
//! What a node is follows from its data directory: an authority if its keys are in the network's genesis, else a plain
//! node, which follows the ledger and serves. The same parts either way; an authority has a few more.

mod hosted;
mod local;
mod peers;
mod policies;
mod rebuilding;
mod running;
mod secure;
mod workers;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use build_spec::SandboxProfile;
use java_builder::{JavaBuilder, JavaBuilderConfig, SourceMirror};
use pyrsia_api_types::UpstreamStatus;
use pyrsia_blobs::BlobStore;
use pyrsia_fetch::{Offline, Origin};
use pyrsia_http::{App, Door, GuardConfig, Token};
use pyrsia_rebuilds::{Board, Entries, Unable};
use pyrsia_replica::Replica;
use pyrsia_repository::{Files, Parts, Policies, Policy, Repository, RepositoryConfig};
use pyrsia_store::{ClassStore, IndexStore, LedgerStore, ServedStore};
use tokio::sync::mpsc;

pub use hosted::{FOLDER as HOSTED, folders as hosted_folders, open_one};
pub use local::LocalRepository;
pub use policies::policies;
pub use running::Node;

use crate::builders::{Builders, MakeBuilders, Surroundings};
use crate::context::Context;
use crate::image_store::ImageStore;
use crate::network_file::Identity;
use crate::peering::remote_builds::RemoteBuilds;
use crate::service::{Builds, Facts, NodeService, Peers, Tally};
use crate::upkeep::classes::Cataloguer;
use crate::upkeep::gauge::Gauge;
use crate::upkeep::keep::Keeper;
use crate::upstream::{self, Upstream};

/// Maven of builds that name none.
pub const DEFAULT_MAVEN: &str = "3.9.11";

/// Folder of the index of what builds read.
pub const INPUTS: &str = "inputs";

/// Folder of running builds and their sources; emptied at each start.
pub const WORK: &str = "work";

/// Ordered batches, and pieces of the ledger from peers, that wait for the replica.
const BATCHES: usize = 16;

/// A clock for everything that takes one.
type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

fn clock() -> Clock {
    Arc::new(crate::clock::now)
}

/// The builder of this machine, with the source mirrors of the configuration.
pub fn java_builder(context: &Context) -> JavaBuilder {
    JavaBuilder::new(java_config(context))
}

/// Its settings.
pub fn java_config(context: &Context) -> JavaBuilderConfig {
    let mut config = context.config.builder.java.clone();
    let mirrors = context.config.source_mirrors.iter();
    config.source_mirrors.extend(
        mirrors.map(|(prefix, replacement)| SourceMirror { prefix: prefix.clone(), replacement: replacement.clone() }),
    );
    // Below the work folder, which is swept at each start: a killed process leaves no sources for ever.
    config.temp_dir.get_or_insert_with(|| context.data.join(WORK));
    config
}

/// Puts a node together.
pub async fn compose(context: &Context, make_builders: MakeBuilders) -> anyhow::Result<Node> {
    let started = Instant::now();
    let data = &context.data;
    let lock = data.lock()?;
    let listen = context.config.node.listen;
    pyrsia_http::check_bind(listen, false, false)?;
    let Identity { genesis, authority } = Identity::load(data)?;
    let (keys, name) = authority.map_or((None, None), |(keys, name)| (Some(keys), Some(name)));

    let store = LedgerStore::open(data.root())?;
    let signer = keys.as_ref().map(|keys| keys.authority.clone());
    let (replica, handle) = Replica::open(store.clone(), genesis.clone(), signer.clone(), clock())?;
    let blobs = BlobStore::open(data.join("blobs"))?;
    let index = IndexStore::open(data.root())?;
    // Of its own: what a build gets from Maven Central is never what a client gets that asks another upstream first.
    let index_of_inputs = IndexStore::open(data.join(INPUTS))?;
    // The upstreams may be others than before.
    index.clear_absent()?;

    let network = peers::network(context, &genesis, signer.clone(), &handle, &blobs).await?;
    let (sender, batches) = mpsc::channel(BATCHES);
    let links = network.as_ref().map(|joined| joined.network.clone());
    let taking = keys.as_ref().map(|keys| peers::Taking::new(context, keys, &handle, sender, links)).transpose()?;
    if let Some(taking) = &taking {
        handle.set_orderer(taking.submitter.clone());
    }

    let upstreams = upstream::find_all(&context.config).await?;
    let asked = |wanted: fn(&Upstream) -> bool| -> Vec<_> {
        if context.config.node.offline {
            let offline: Arc<dyn Origin> = Arc::new(Offline);
            return vec![offline.into()];
        }
        upstreams.iter().filter(|found| wanted(found)).map(|found| found.asked.clone()).collect()
    };
    let gauge = Gauge::new(blobs.clone());
    let keeper = Keeper {
        blobs: blobs.clone(),
        indexes: [index.clone(), index_of_inputs.clone()],
        replica: handle.clone(),
        config: context.config.store.clone(),
        gauge: gauge.clone(),
    };
    let classes = ClassStore::open(data.root())?;
    let cataloguer =
        Cataloguer { blobs: blobs.clone(), index: index.clone(), classes: classes.clone(), replica: handle.clone() };
    let policies = policies(&context.config, &upstreams)?;
    let policy = policies.default_policy().as_str().to_owned();
    let repository = |index: &IndexStore, policies, upstreams, peers: Option<Arc<dyn Origin>>| -> Arc<dyn Files> {
        let parts = Parts {
            ledger: Arc::new(handle.clone()),
            blobs: blobs.clone(),
            index: index.clone(),
            upstreams,
            peers,
            clock: clock(),
        };
        let read_ahead = context.config.read_ahead.limits();
        Arc::new(Repository::new(RepositoryConfig { read_ahead, ..RepositoryConfig::new(policies) }, parts))
    };
    let from_peers = network.as_ref().map(|joined| -> Arc<dyn Origin> { Arc::new(joined.fetcher.clone()) });
    let files = repository(&index, policies.clone(), asked(|_| true), from_peers.clone());
    // What a build may read is no matter of what clients are served: under `verified`, nothing could ever become verified.
    // And it is Maven Central alone, whatever else clients are served from: all authorities are to see the same inputs.
    let inputs = repository(&index_of_inputs, Policies::all(Policy::Mirror), asked(Upstream::is_central), from_peers);
    let board = Board::new(clock());
    let entries = signer.map(|key| Entries::new(key, handle.clone(), store.clone(), SandboxProfile::v1()));

    let surroundings =
        Surroundings { data_dir: data.root().to_owned(), images_dir: context.images_dir(), java: java_config(context) };
    let mut worker = None;
    let mut for_workers = None;
    let mut injected = None;
    let mut images = None;
    let fetcher = network.as_ref().map(|joined| joined.fetcher.clone());
    let parts = |entries| rebuilding::Parts { inputs: &inputs, blobs: &blobs, board: &board, entries, fetcher };
    let builds = match (&entries, &network) {
        (Some(entries), _) if context.config.builder.enabled => {
            let mut builders = make_builders(surroundings)?;
            injected = builders.entries.take();
            images = builders.image_store.clone();
            let mut parallel = rebuilding::one_for_each_processor();
            if let Some(opened) = workers::workers(&context.config, data, &mut builders)? {
                parallel = context.config.workers.builds;
                for_workers = Some(opened);
            }
            let Builders { builder, images, .. } = builders;
            let made = rebuilding::rebuilding(context, parts(entries), builder.clone(), images, parallel)?;
            worker = Some(made.worker);
            Builds::Here { intake: made.intake, builder }
        }
        (Some(entries), joined) => {
            let reason = "switched off ([builder] enabled = false, or --no-builder)".to_owned();
            if joined.is_some() {
                // It has turns all the same, and gives them away instead of letting the others wait.
                let unable = Arc::new(Unable(reason.clone()));
                let parallel = rebuilding::one_for_each_processor();
                worker =
                    Some(rebuilding::rebuilding(context, parts(entries), unable.clone(), unable, parallel)?.worker);
            }
            Builds::Nowhere(reason)
        }
        (None, Some(joined)) => Builds::There(RemoteBuilds::new(joined.network.clone())),
        (None, None) => Builds::Nowhere("it is a plain node without peers".to_owned()),
    };
    anyhow::ensure!(
        for_workers.is_some() || context.config.workers.listen.is_none(),
        "there is a `listen` in [workers], and this node is no authority that rebuilds"
    );
    if images.is_none() && entries.is_none() {
        images = Some(ImageStore::open(&context.images_dir(), None)?);
    }
    if let (Some(joined), Some(images)) = (&network, &images) {
        images.set_peers(Arc::new(joined.fetcher.clone()));
        joined.given.set_images(images.clone());
    }

    let listener = pyrsia_http::listen(listen).with_context(|| {
        format!("cannot listen at {listen}; stop what listens there, or name another address with --listen")
    })?;
    let address = listener.local_addr()?;
    let served = Tally { store: ServedStore::open(data.root())?, clock: clock() };
    let service = Arc::new(NodeService {
        replica: handle.clone(),
        store,
        blobs: blobs.clone(),
        fetcher: network.as_ref().map(|joined| joined.fetcher.clone()),
        index,
        classes,
        policies,
        served: served.clone(),
        board,
        entries,
        builds,
        images,
        peers: network.as_ref().map(|joined| Peers { network: joined.network.clone(), heads: joined.heads.clone() }),
        ordering: taking.as_ref().map(|taking| taking.submitter.clone()),
        gauge,
        limits: context.config.store.clone(),
        network: serde_json::to_value(&genesis)?,
        facts: facts(context, address, policy, upstreams, name),
        started,
    });
    if let Some(joined) = &network {
        joined.given.set_service(service.clone());
        if let Some(taking) = &taking {
            joined.given.set_orderer(taking.submitter.clone());
        }
    }
    let token = Token::new(&data.api_token()?)?;
    let secure = secure::secure(&context.config, data, &token).await?;
    let guard = GuardConfig { hosts: context.config.node.allowed_hosts.clone(), token, readers: None };
    let (view, control) = (service.clone(), service.clone());
    let hosted = hosted::open(&context.config.hosted, data)?;
    let door = Door::new(App { files, view, control, hosted, served: Arc::new(served) }, guard);
    let secure = secure.map(|(listener, guard)| (listener, door.behind(guard)));
    Ok(Node {
        address,
        service,
        listener,
        door,
        secure,
        workers: for_workers,
        replica,
        batches,
        taking,
        network,
        handle,
        worker,
        injected,
        keeper,
        cataloguer,
        _lock: lock,
    })
}

fn facts(
    context: &Context,
    address: SocketAddr,
    policy: String,
    upstreams: Vec<Upstream>,
    name: Option<String>,
) -> Facts {
    let mut warnings = Vec::new();
    if context.config.node.offline {
        warnings.push("offline: no upstream is asked for what is not in the store".to_owned());
    } else if upstreams.is_empty() {
        warnings.push("no upstream: only what is in the store and in the ledger can be served".to_owned());
    }
    Facts {
        maven_url: format!("http://{address}/maven2/"),
        policy,
        upstreams: upstreams
            .into_iter()
            .map(|Upstream { id, url, found, policy, .. }| {
                let policy = policy.map(|name| name.as_str().to_owned());
                UpstreamStatus { id, url, found, policy }
            })
            .collect(),
        data_dir: context.data.root().display().to_string(),
        name,
        warnings,
    }
}

/// Says where the node serves, in one step: who waits for the file never sees half of it.
pub fn write_ready(path: &Path, node: &Node) -> anyhow::Result<()> {
    let mut document = serde_json::json!({ "url": format!("http://{}", node.address), "pid": std::process::id() });
    if let Some(secure) = node.secure_address() {
        document["tls_url"] = format!("https://{secure}").into();
    }
    if let Some(workers) = node.workers_url() {
        document["workers_url"] = workers.into();
    }
    crate::data_dir::write_atomically(path, document.to_string().as_bytes())
}
