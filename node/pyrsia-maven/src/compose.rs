//! The composition root: the only place where the parts of a node are put together.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context as _;
use async_trait::async_trait;
use build_spec::{Builder, Inputs, SandboxProfile};
use bytes::Bytes;
use java_builder::{JavaBuilder, JavaBuilderConfig, SourceMirror};
use pyrsia_blobs::BlobStore;
use pyrsia_consensus::{ConsensusOrderer, Incoming, Membership, Resume, Transport};
use pyrsia_http::{App, GuardConfig, Router, Token, router};
use pyrsia_rebuilds::{Board, Entries, Intake, Patience, Steps, Worker, sweep};
use pyrsia_replica::Replica;
use pyrsia_repository::{
    Files, GroupPattern, LedgerSource, LedgerView, Parts, Policies, Policy, Repository, RepositoryConfig,
};
use pyrsia_store::{IndexStore, LedgerStore};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::PolicyName;
use crate::context::Context;
use crate::data_dir::{DataDir, DataDirLock};
use crate::image_store::ImageStore;
use crate::inputs::RepositoryInputs;
use crate::network_file::{self, AuthorityKeys};
use crate::no_ledger::NoLedger;
use crate::service::{Facts, NodeService};
use crate::upstream::{self, Upstream};

/// Maven of builds that name none.
pub const DEFAULT_MAVEN: &str = "3.9.11";

/// Folder of running builds and their sources; emptied at each start.
pub const WORK: &str = "work";

/// Ordered batches that wait for the replica.
const BATCHES: usize = 16;

/// How often the newest checkpoint is cosigned again, so that silence can be told from an eclipse.
const RECOSIGN: std::time::Duration = std::time::Duration::from_secs(3600);

/// A clock for everything that takes one.
type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

fn clock() -> Clock {
    Arc::new(crate::clock::now)
}

/// The builder of this machine, with the source mirrors of the configuration.
pub fn java_builder(context: &Context) -> JavaBuilder {
    JavaBuilder::new(java_config(context))
}

fn java_config(context: &Context) -> JavaBuilderConfig {
    let mut config = context.config.builder.java.clone();
    let mirrors = context.config.source_mirrors.iter();
    config.source_mirrors.extend(
        mirrors.map(|(prefix, replacement)| SourceMirror { prefix: prefix.clone(), replacement: replacement.clone() }),
    );
    // Below the work folder, which is swept at each start: a killed process leaves no sources for ever.
    config.temp_dir.get_or_insert_with(|| context.data.join(WORK));
    config
}

/// A repository without a ledger: the cache of `rebuild`.
pub struct LocalRepository {
    /// The repository.
    pub files: Arc<dyn Files>,
    /// Its blobs.
    pub blobs: Arc<BlobStore>,
}

struct Without;

impl LedgerSource for Without {
    fn view(&self) -> Arc<dyn LedgerView> {
        Arc::new(NoLedger)
    }
}

impl LocalRepository {
    /// Opens the cache in a directory that the caller has locked.
    pub async fn open(data: &DataDir, context: &Context) -> anyhow::Result<Self> {
        let blobs = BlobStore::open(data.join("blobs"))?;
        let upstream =
            upstream::find(context.config.node.upstream.as_deref(), Some(context.config.node.listen)).await?;
        let parts = Parts {
            ledger: Arc::new(Without),
            blobs: blobs.clone(),
            index: IndexStore::open(data.root())?,
            origins: upstream.into_iter().map(|upstream| upstream.origin).collect(),
            clock: clock(),
        };
        let files = Repository::new(RepositoryConfig::new(Policies::all(Policy::Mirror)), parts);
        Ok(Self { files: Arc::new(files), blobs: Arc::new(blobs) })
    }
}

/// The policies of the configuration.
fn policies(context: &Context) -> anyhow::Result<Policies> {
    let section = &context.config.policy;
    let policy = |name| match name {
        PolicyName::Verified => Policy::Verified { allow_equivalent: section.allow_equivalent },
        PolicyName::PreferVerified => Policy::PreferVerified,
        PolicyName::Mirror => Policy::Mirror,
    };
    let rules = section
        .groups
        .iter()
        .map(|(pattern, name)| Ok((pattern.parse::<GroupPattern>()?, policy(*name))))
        .collect::<anyhow::Result<Vec<_>>>()
        .context("[policy.groups]")?;
    Ok(Policies::new(policy(section.default), rules))
}

/// The only member of a committee has nobody to talk to.
struct Solitary;

#[async_trait]
impl Transport for Solitary {
    fn send(&self, _to: usize, _message: Bytes) {}

    async fn receive(&self) -> Incoming {
        std::future::pending().await
    }
}

/// A node that is put together and serves once [`Node::run`] is called.
pub struct Node {
    /// Where it listens.
    pub address: std::net::SocketAddr,
    /// Whether and why it does not rebuild.
    pub builder: Result<(), String>,
    listener: TcpListener,
    router: Router,
    replica: Replica,
    batches: mpsc::Receiver<pyrsia_replica::OrderedBatch>,
    consensus: Arc<ConsensusOrderer>,
    handle: pyrsia_replica::ReplicaHandle,
    worker: Option<(Worker, Arc<dyn Builder>)>,
    _lock: DataDirLock,
}

/// What the worker needs to build.
struct Rebuilding {
    builder: Arc<dyn Builder>,
    worker: Worker,
    intake: Arc<Intake>,
}

/// Puts a node together.
pub async fn compose(context: &Context) -> anyhow::Result<Node> {
    let started = Instant::now();
    let data = &context.data;
    let lock = data.lock()?;
    let listen = context.config.node.listen;
    pyrsia_http::check_bind(listen, false, false)?;
    let keys = AuthorityKeys::load(data)?;
    let genesis = network_file::load_or_found(data, &keys)?;
    let me = genesis
        .authorities
        .iter()
        .find(|authority| authority.authority_key == keys.authority.public())
        .context("this data directory's authority key is not one of its network's authorities")?
        .name
        .clone();

    let store = LedgerStore::open(data.root())?;
    let (replica, handle) = Replica::open(store.clone(), genesis.clone(), Some(keys.authority.clone()), clock())?;
    let resume = match replica.cursor()? {
        Some((session, index)) => Resume { session, after: Some(index) },
        None => Resume::default(),
    };
    let (sender, batches) = mpsc::channel(BATCHES);
    let membership = Membership::of_genesis(&genesis, keys.consensus.clone())?;
    let consensus = ConsensusOrderer::start(pyrsia_consensus::Start {
        config: context.config.consensus.clone(),
        cut: pyrsia_consensus::Cut::of(&genesis.constants),
        membership,
        dir: data.join("consensus"),
        transport: Arc::new(Solitary),
        batches: sender,
        resume,
        // A lost directory costs a network of one a session number, whether this is true or not.
        founding: resume.after.is_none(),
    })
    .await?;
    let consensus = Arc::new(consensus);
    handle.set_orderer(consensus.clone());

    let blobs = BlobStore::open(data.join("blobs"))?;
    let index = IndexStore::open(data.root())?;
    let upstream = upstream::find(context.config.node.upstream.as_deref(), Some(listen)).await?;
    let policies = policies(context)?;
    let policy = policies.default_policy().as_str().to_owned();
    let repository = |policies| -> Arc<dyn Files> {
        let parts = Parts {
            ledger: Arc::new(handle.clone()),
            blobs: blobs.clone(),
            index: index.clone(),
            origins: upstream.iter().map(|upstream| Arc::clone(&upstream.origin)).collect(),
            clock: clock(),
        };
        Arc::new(Repository::new(RepositoryConfig::new(policies), parts))
    };
    let files = repository(policies);
    // What a build may read is no matter of what clients are served: under `verified`, nothing could ever become verified.
    let inputs = repository(Policies::all(Policy::Mirror));
    let blobs = Arc::new(blobs);
    let board = Board::new(clock());
    let entries = Entries::new(keys.authority, handle.clone(), store.clone(), SandboxProfile::v1());
    let rebuilding = rebuilding(context, &inputs, &blobs, &board, &entries).await;

    let listener = TcpListener::bind(listen).await.with_context(|| {
        format!("cannot listen at {listen}; stop what listens there, or name another address with --listen")
    })?;
    let address = listener.local_addr()?;
    let (worker, intake, builder) = match rebuilding {
        Ok(Rebuilding { builder, worker, intake }) => (Some((worker, builder)), Ok(intake), Ok(())),
        Err(reason) => (None, Err(reason.clone()), Err(reason)),
    };
    let service = Arc::new(NodeService {
        replica: handle.clone(),
        store,
        index,
        board,
        entries,
        intake,
        network: serde_json::to_value(&genesis)?,
        facts: facts(context, address, policy, upstream, me, &builder),
        started,
    });
    let app = App {
        files,
        view: service.clone(),
        control: service,
        guard: GuardConfig { hosts: context.config.node.allowed_hosts.clone(), token: Token::new(&data.api_token()?)? },
    };
    Ok(Node {
        address,
        builder,
        listener,
        router: router(app),
        replica,
        batches,
        consensus,
        handle,
        worker,
        _lock: lock,
    })
}

fn facts(
    context: &Context,
    address: std::net::SocketAddr,
    policy: String,
    upstream: Option<Upstream>,
    name: String,
    builder: &Result<(), String>,
) -> Facts {
    let mut warnings = Vec::new();
    if upstream.is_none() {
        warnings.push("no upstream: only what is in the store and in the ledger can be served".to_owned());
    }
    if let Err(reason) = builder {
        warnings.push(format!("this node serves but does not rebuild: {reason}"));
    }
    Facts {
        maven_url: format!("http://{address}/maven2/"),
        policy,
        upstream: upstream.map(|upstream| (upstream.url, upstream.found)),
        data_dir: context.data.root().display().to_string(),
        name,
        warnings,
    }
}

/// What rebuilding needs, or why this node does not rebuild.
async fn rebuilding(
    context: &Context,
    files: &Arc<dyn Files>,
    blobs: &Arc<BlobStore>,
    board: &Arc<Board>,
    entries: &Arc<Entries>,
) -> Result<Rebuilding, String> {
    if !context.config.builder.enabled {
        return Err("switched off ([builder] enabled = false, or --no-builder)".to_owned());
    }
    let work = context.data.join(WORK);
    sweep(&work);
    std::fs::create_dir_all(&work).map_err(|error| format!("cannot create {}: {error}", work.display()))?;
    let builder: Arc<dyn Builder> = Arc::new(java_builder(context));
    builder.available().await?;
    let engine = context.config.builder.java.engine.clone();
    let images = ImageStore::open(&context.images_dir(), engine).map_err(|error| format!("{error:#}"))?;
    let inputs: Arc<dyn Inputs> = Arc::new(RepositoryInputs { files: files.clone(), blobs: blobs.clone() });
    let work_dir = context.data.join(WORK);
    let steps = Arc::new(Steps {
        entries: entries.clone(),
        builder: builder.clone(),
        inputs: inputs.clone(),
        images: images.clone(),
        blobs: blobs.clone(),
        board: board.clone(),
        work_dir,
        sources: tokio::sync::Mutex::default(),
    });
    let parallel = std::thread::available_parallelism().map_or(1, usize::from);
    let worker = Worker::new(steps, Patience::default(), parallel, clock());
    let intake = Intake::new(builder.clone(), inputs, images, entries.clone(), board.clone(), DEFAULT_MAVEN.to_owned());
    Ok(Rebuilding { builder, worker, intake })
}

impl Node {
    /// Serves until `stop` is cancelled or a part fails. Returns when everything has ended.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let tasks = TaskTracker::new();
        let replica = tokio::spawn(self.replica.run(self.batches, mpsc::channel(1).1));
        let (builder, mut worker) = match self.worker {
            Some((worker, builder)) => (Some(builder), tokio::spawn(worker.run(stop.clone()))),
            None => (None, tokio::spawn(std::future::pending())),
        };
        tasks.spawn(recosign(self.handle, stop.clone()));
        let shutdown = stop.clone();
        let mut face =
            tokio::spawn(pyrsia_http::serve(self.listener, self.router, pyrsia_http::Limits::default(), async move {
                shutdown.cancelled().await
            }));
        let failed = tokio::select! {
            () = stop.cancelled() => None,
            _ = &mut face => Some(anyhow::anyhow!("the HTTP server ended by itself")),
            _ = &mut worker => Some(anyhow::anyhow!("the rebuilding worker ended by itself")),
            ended = replica => Some(match ended {
                Ok(Ok(())) => anyhow::anyhow!("the ledger ended by itself"),
                Ok(Err(error)) => anyhow::Error::new(error).context("the ledger failed"),
                Err(error) => anyhow::Error::new(error).context("the ledger failed"),
            }),
        };
        stop.cancel();
        tasks.close();
        tasks.wait().await;
        if let Some(builder) = builder {
            if !worker.is_finished() {
                let _ = worker.await;
            }
            builder.settle().await;
        }
        if !face.is_finished() {
            let _ = face.await;
        }
        if let Ok(consensus) = Arc::try_unwrap(self.consensus) {
            consensus.shutdown().await;
        }
        match failed {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

async fn recosign(handle: pyrsia_replica::ReplicaHandle, stop: CancellationToken) {
    let mut tick = tokio::time::interval(RECOSIGN);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {
                if handle.state().log_size() > 0
                    && let Err(error) = handle.refresh().await
                {
                    tracing::warn!(%error, "the newest checkpoint could not be cosigned again");
                }
            }
        }
    }
}

/// Says where the node serves, in one step: who waits for the file never sees half of it.
pub fn write_ready(path: &Path, address: std::net::SocketAddr) -> anyhow::Result<()> {
    let document = serde_json::json!({ "url": format!("http://{address}"), "pid": std::process::id() });
    crate::data_dir::write_atomically(path, document.to_string().as_bytes())
}
