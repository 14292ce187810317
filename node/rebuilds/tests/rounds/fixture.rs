//! Four authorities in one process.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use build_spec::{
    BuildError, BuildLog, Builder, Built, BuiltFile, Input, InputError, InputLine, InputManifest, InputStatus, Inputs,
    Job, ManifestBlobs, Recorded, RepositoryId, SandboxProfile, Source, SourceError, SourceRequest, Specification,
};
use maven_layout::RepoPath;
use pyrsia_blobs::BlobStore;
use pyrsia_digest::{FileDigests, Sha256};
use pyrsia_ledger::{
    Authority, AuthorityKey, BuildRequest, ConsensusKey, Constants, EntryBody, Genesis, ImageProposal, Mode,
    NamespaceGrant, PublicKey, PublisherKey, Round, RoundKey, SignedEntry, State, Verdict,
};
use pyrsia_rebuilds::{Board, Entries, Images, Intake, OwnImage, Patience, PeerBlobs, Steps, Submission, Worker};
use pyrsia_replica::{OrderedBatch, Orderer, Replica, ReplicaHandle, SubmitError};
use pyrsia_store::LedgerStore;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub const RELEASE: &str = "org.acme:lib:1.0";
pub const REPOSITORY: &str = "https://git.example/acme/lib";
pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub const DEP: &str = "org/other/dep/1/dep-1.jar";
const LIST: &str = "org/other/dep/maven-metadata.xml";
const NOTHING: &str = "org/other/none/1/none-1.pom";
const JAR: &str = "lib-1.0.jar";
const POM: &str = "lib-1.0.pom";
pub const GOOD: &[u8] = b"the jar that its source makes";

/// Times that let a test end soon.
pub fn short() -> Patience {
    Patience { record_s: 3, commit_s: 8, straggler_s: 2, reveal_s: 3, tries: 2, retry_s: 1 }
}

fn pom() -> Vec<u8> {
    format!(
        "<project><groupId>org.acme</groupId><artifactId>lib</artifactId><version>1.0</version>\
         <scm><connection>scm:git:{REPOSITORY}.git</connection></scm></project>"
    )
    .into_bytes()
}

/// The list of versions as it was when so many had been published.
fn list(count: usize) -> Vec<u8> {
    let versions: String = (1..=count).map(|version| format!("<version>{version}</version>")).collect();
    format!(
        "<metadata><groupId>org.other</groupId><artifactId>dep</artifactId><versioning><release>{count}</release>\
         <versions>{versions}</versions></versioning></metadata>"
    )
    .into_bytes()
}

/// One order for all members, each of which gets every batch; who joins late gets all of them again.
#[derive(Default)]
pub struct SharedOrder(tokio::sync::Mutex<(Vec<OrderedBatch>, Vec<mpsc::Sender<OrderedBatch>>)>);

impl SharedOrder {
    async fn join(&self) -> mpsc::Receiver<OrderedBatch> {
        let (sender, receiver) = mpsc::channel(10_000);
        let mut order = self.0.lock().await;
        for batch in &order.0 {
            sender.send(batch.clone()).await.unwrap();
        }
        order.1.push(sender);
        receiver
    }
}

#[async_trait]
impl Orderer for SharedOrder {
    async fn submit(&self, entry: SignedEntry) -> Result<(), SubmitError> {
        let mut order = self.0.lock().await;
        let batch = OrderedBatch { session: 0, index: order.0.len() as u64, entries: vec![entry.to_bytes()] };
        order.0.push(batch.clone());
        for member in &order.1 {
            // A member that has stopped hears nothing more.
            let _ = member.send(batch.clone()).await;
        }
        Ok(())
    }
}

/// What all nodes hold, as the peer network would find it.
type Everybody = Arc<Mutex<Vec<(Arc<BlobStore>, Arc<Entries>)>>>;

struct Peers {
    own: Arc<BlobStore>,
    everybody: Everybody,
}

#[async_trait]
impl PeerBlobs for Peers {
    async fn ensure(&self, sha256: &Sha256, max_bytes: u64) -> Result<(), String> {
        let held = self.everybody.lock().unwrap().iter().find_map(|(blobs, _)| blobs.read_verified(sha256).ok());
        match held {
            Some(bytes) if bytes.len() as u64 <= max_bytes => {
                self.own.put_bytes(&bytes).map(drop).map_err(|error| error.to_string())
            }
            _ => Err("no peer has it".to_owned()),
        }
    }

    async fn specification(&self, digest: &Sha256) -> Option<Specification> {
        self.everybody.lock().unwrap().iter().find_map(|(_, entries)| entries.specification(digest).ok().flatten())
    }
}

/// What one authority's builder does.
#[derive(Clone)]
pub struct Script {
    /// The JAR that it makes.
    pub jar: Vec<u8>,
    /// What it puts into its record in place of upstream's file at [`DEP`].
    pub plant: Option<Vec<u8>>,
    /// Why it cannot work.
    pub unable: Option<String>,
    /// How long a replay takes.
    pub takes: Duration,
    /// Versions of the dependency that its upstream lists.
    pub versions: usize,
}

impl Default for Script {
    fn default() -> Self {
        Self { jar: GOOD.to_vec(), plant: None, unable: None, takes: Duration::ZERO, versions: 3 }
    }
}

pub fn makes(jar: &[u8]) -> Script {
    Script { jar: jar.to_vec(), ..Script::default() }
}

struct Scripted {
    script: Script,
    blobs: Arc<BlobStore>,
    folder: PathBuf,
    archives: AtomicU64,
}

impl Scripted {
    fn build(&self, job: &Job) -> Built {
        let file = |name: &str, bytes: &[u8]| {
            let path = job.work_dir.join(name);
            std::fs::write(&path, bytes).unwrap();
            let (coordinates, name) = (job.coordinates[0].clone(), name.to_owned());
            BuiltFile { coordinates, name, path, digests: FileDigests::of(bytes) }
        };
        Built { files: vec![file(JAR, &self.script.jar), file(POM, &pom())], ..Built::default() }
    }
}

#[async_trait]
impl Builder for Scripted {
    async fn resolve(&self, request: &SourceRequest, _log: Arc<dyn BuildLog>) -> Result<Source, SourceError> {
        let archive = self.folder.join(format!("{}.tar", self.archives.fetch_add(1, Ordering::SeqCst)));
        std::fs::write(&archive, b"tar").unwrap();
        let native = request.coordinates[0].group.to_string().starts_with("native");
        Ok(Source {
            repository: request.repository.clone(),
            mirrored: false,
            tag: request.tag.clone(),
            tag_object: None,
            commit: COMMIT.to_owned(),
            commit_tree: COMMIT.to_owned(),
            signature: None,
            submodules: vec![],
            checkout: request.checkout.unwrap_or_default(),
            commit_time: 0,
            tree: Sha256::of(b"tree"),
            archive,
            reactor: request.coordinates.clone(),
            declared_scm: None,
            specification: native.then(specification),
            evidence: vec![],
        })
    }

    fn max_input_bytes(&self) -> u64 {
        1 << 20
    }

    async fn record(
        &self,
        job: &Job,
        inputs: Arc<dyn Inputs>,
        _log: Arc<dyn BuildLog>,
    ) -> Result<Recorded, BuildError> {
        let mut manifest = InputManifest::new();
        let repository = RepositoryId::central();
        for path in [DEP, LIST, NOTHING] {
            let path: RepoPath = path.parse().unwrap();
            let status = match (&self.script.plant, path.as_str()) {
                (Some(planted), DEP) => {
                    self.blobs.put_bytes(planted).unwrap();
                    InputStatus::Found { size: planted.len() as u64, sha256: Sha256::of(planted), cut: false }
                }
                _ => match inputs.get(&repository, &path).await {
                    Ok(Input::Found { file, digests, .. }) => {
                        self.blobs.import_file(file).unwrap();
                        InputStatus::Found { size: digests.size, sha256: digests.sha256, cut: false }
                    }
                    Ok(Input::Absent) => InputStatus::Absent,
                    Err(error) => return Err(BuildError::InputsUnavailable(error.to_string())),
                },
            };
            manifest.insert(InputLine { repository: repository.clone(), path, status })?;
        }
        let path = format!("{}/{JAR}", job.coordinates[0].dir()).parse().unwrap();
        manifest.insert(InputLine { repository, path, status: InputStatus::WithheldSelf })?;
        Ok(Recorded { manifest, result: Ok(self.build(job)) })
    }

    async fn replay(
        &self,
        job: &Job,
        manifest: &InputManifest,
        blobs: Arc<dyn ManifestBlobs>,
        _log: Arc<dyn BuildLog>,
    ) -> Result<Built, BuildError> {
        for line in manifest.lines() {
            if let InputStatus::Found { sha256, .. } = line.status
                && blobs.blob(&sha256).await.is_none()
            {
                return Err(BuildError::InputsUnavailable(line.to_string()));
            }
        }
        tokio::time::sleep(self.script.takes).await;
        Ok(self.build(job))
    }

    async fn settle(&self) {}

    async fn available(&self) -> Result<(), String> {
        self.script.unable.clone().map_or(Ok(()), Err)
    }
}

/// An upstream in memory.
struct Upstream {
    files: BTreeMap<String, Vec<u8>>,
    folder: PathBuf,
}

#[async_trait]
impl Inputs for Upstream {
    async fn get(&self, _repository: &RepositoryId, path: &RepoPath) -> Result<Input, InputError> {
        let Some(bytes) = self.files.get(path.as_str()) else { return Ok(Input::Absent) };
        let file = self.folder.join(path.as_str().replace('/', "_"));
        Ok(Input::found(file, FileDigests::of(bytes)))
    }
}

/// Every machine has made the same image.
struct OneImage {
    /// What making it again from its packages finds.
    again: Result<(), String>,
}

pub fn image() -> Sha256 {
    Sha256::of(b"image")
}

#[async_trait]
impl Images for OneImage {
    async fn named(&self, _name: &str) -> Result<Sha256, String> {
        Ok(image())
    }

    async fn ensure(&self, _image: &Sha256) -> Result<(), String> {
        Ok(())
    }

    async fn made(&self) -> Result<Vec<OwnImage>, String> {
        Ok(vec![OwnImage { image: image(), name: image_name() }])
    }

    async fn verify(&self, _image: &Sha256) -> Result<(), String> {
        self.again.clone()
    }
}

fn image_name() -> String {
    specification().image_name()
}

pub fn specification() -> Specification {
    Specification::default_maven("3.9.11")
}

fn clock() -> Arc<dyn Fn() -> u64 + Send + Sync> {
    Arc::new(|| std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs())
}

/// One authority.
pub struct Node {
    pub entries: Arc<Entries>,
    pub handle: ReplicaHandle,
    pub blobs: Arc<BlobStore>,
    pub board: Arc<Board>,
    everybody: Everybody,
    folder: tempfile::TempDir,
    stop: CancellationToken,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Node {
    pub fn state(&self) -> Arc<State> {
        self.handle.state()
    }

    pub fn me(&self) -> PublicKey {
        self.entries.me()
    }

    fn parts(&self, script: Script) -> (Arc<dyn Builder>, Arc<dyn Inputs>) {
        let folder = self.folder.path().to_owned();
        let files = BTreeMap::from([
            ("org/acme/lib/1.0/lib-1.0.jar".to_owned(), GOOD.to_vec()),
            ("org/acme/lib/1.0/lib-1.0.pom".to_owned(), pom()),
            (DEP.to_owned(), b"a dependency".to_vec()),
            (LIST.to_owned(), list(script.versions)),
        ]);
        let upstream = tempfile::tempdir_in(&folder).unwrap().keep();
        for (path, bytes) in &files {
            std::fs::write(upstream.join(path.replace('/', "_")), bytes).unwrap();
        }
        let builder =
            Scripted { script, blobs: self.blobs.clone(), folder: folder.clone(), archives: AtomicU64::new(0) };
        (Arc::new(builder), Arc::new(Upstream { files, folder: upstream }))
    }

    /// Starts to work on rounds.
    pub fn work(&self, script: Script, patience: Patience) {
        let (builder, inputs) = self.parts(script);
        let steps = Steps {
            entries: self.entries.clone(),
            builder,
            inputs,
            peers: Arc::new(Peers { own: self.blobs.clone(), everybody: self.everybody.clone() }),
            images: Arc::new(OneImage { again: Ok(()) }),
            blobs: self.blobs.clone(),
            board: self.board.clone(),
            work_dir: self.folder.path().join("work"),
            sources: tokio::sync::Mutex::default(),
        };
        let worker = Worker::new(Arc::new(steps), patience, 2, clock());
        tokio::spawn(worker.run(self.stop.clone()));
    }

    pub fn intake(&self) -> Arc<Intake> {
        self.intake_whose_image(Ok(()))
    }

    /// One whose image comes out in this way when it is made again.
    pub fn intake_whose_image(&self, again: Result<(), String>) -> Arc<Intake> {
        let (builder, inputs) = self.parts(Script::default());
        let (entries, board) = (self.entries.clone(), self.board.clone());
        Intake::new(builder, inputs, Arc::new(OneImage { again }), entries, board, "3.9.11".to_owned())
    }

    /// The build's story as people see it.
    pub fn story(&self, id: &str) -> String {
        let (events, ..) = self.board.events(id, 0).unwrap();
        events.into_iter().map(|event| format!("{}: {}\n", event.kind, event.text)).collect()
    }

    /// Waits until the ledger of this node satisfies a condition.
    pub async fn until<T>(&self, what: &str, condition: impl Fn(&State) -> Option<T>) -> T {
        let mut changes = self.handle.subscribe();
        let wait = async {
            loop {
                changes.borrow_and_update();
                if let Some(found) = condition(&self.state()) {
                    return found;
                }
                changes.changed().await.unwrap();
            }
        };
        match tokio::time::timeout(Duration::from_secs(30), wait).await {
            Ok(found) => found,
            Err(_) => panic!("{what}: {:?}", self.state().rounds().collect::<Vec<_>>()),
        }
    }

    pub async fn closed(&self, round: RoundKey) -> Round {
        let over = |state: &State| state.round(&round).filter(|round| !round.stage.is_open()).cloned();
        self.until("the round does not end", over).await
    }

    pub fn verdict(&self, release: &str) -> Verdict {
        self.state().verdict(&release.parse().unwrap()).expect("a verdict").clone()
    }
}

/// The network.
pub struct Net {
    pub nodes: Vec<Node>,
    genesis: Genesis,
    order: Arc<SharedOrder>,
    everybody: Everybody,
}

fn key(index: usize) -> AuthorityKey {
    AuthorityKey::from_seed(&[index as u8 + 1; 32])
}

impl Net {
    /// A network of four, of which the first so many have started.
    pub async fn of(started: usize) -> Self {
        let authorities = (0..4).map(|index| Authority {
            name: format!("authority-{index}"),
            authority_key: key(index).public(),
            consensus_key: ConsensusKey::from_seed(&[index as u8 + 101; 32]).public(),
        });
        let genesis = Genesis {
            name: "four".to_owned(),
            nonce: [0; 32],
            authorities: authorities.collect(),
            constants: Constants::default(),
        };
        let mut net = Self { nodes: Vec::new(), genesis, order: Arc::default(), everybody: Arc::default() };
        for _ in 0..started {
            net.join().await;
        }
        net
    }

    /// The next authority starts, without working on rounds.
    pub async fn join(&mut self) {
        let folder = tempfile::tempdir().unwrap();
        let store = LedgerStore::open(folder.path()).unwrap();
        let own = key(self.nodes.len());
        let (replica, handle) = Replica::open(store.clone(), self.genesis.clone(), Some(own.clone()), clock()).unwrap();
        handle.set_orderer(self.order.clone());
        let (_, pieces) = tokio::sync::mpsc::channel(1);
        tokio::spawn(replica.run(self.order.join().await, pieces));
        let blobs = Arc::new(BlobStore::open(folder.path().join("blobs")).unwrap());
        let entries = Entries::new(own, handle.clone(), store, SandboxProfile::v1());
        self.everybody.lock().unwrap().push((blobs.clone(), entries.clone()));
        let (board, everybody) = (Board::new(clock()), self.everybody.clone());
        self.nodes.push(Node { entries, handle, blobs, board, everybody, folder, stop: CancellationToken::new() });
    }

    pub async fn say(&self, by: usize, body: EntryBody) {
        self.nodes[by].entries.submit(body).await.unwrap();
    }

    pub async fn approve(&self, body: EntryBody) {
        for by in 0..3 {
            self.say(by, body.clone()).await;
        }
    }

    /// The image is approved, the specification lies with the first node, the round is open; nobody works yet. The number
    /// of whose turn it is.
    pub async fn open(&self, mode: Mode) -> (RoundKey, usize) {
        self.approve(EntryBody::ImageProposal(ImageProposal::allow(image(), image_name()))).await;
        self.nodes[0].entries.keep_specification(&specification()).unwrap();
        let release = match mode {
            Mode::Upstream => RELEASE,
            Mode::Native => NATIVE,
        };
        let mut request = BuildRequest {
            coordinates: vec![release.parse().unwrap()],
            mode,
            repository: REPOSITORY.parse().unwrap(),
            tag: Some("v1.0".to_owned()),
            commit: COMMIT.parse().unwrap(),
            specification: specification().digest(),
            image: image(),
            profile: SandboxProfile::v1().digest(),
            comparator: jar_compare::COMPARATOR_VERSION,
            publisher: None,
            reopening: 0,
        };
        if mode == Mode::Native {
            let publisher = PublisherKey::from_seed(&[200; 32]);
            self.approve(EntryBody::NamespaceGrant(NamespaceGrant {
                group: "native.acme".parse().unwrap(),
                serial: 1,
                repositories: vec![REPOSITORY.parse().unwrap()],
                publishers: vec![publisher.public()],
                native: true,
                upstream_source: false,
            }))
            .await;
            request.sign_as_publisher(&self.genesis.network_id(), &publisher);
        }
        let key = request.round_key();
        self.say(0, EntryBody::BuildRequest(request)).await;
        let recorder = self.nodes[0].state().round(&key).unwrap().recorder();
        (key, (0..4).find(|index| self::key(*index).public() == recorder).unwrap())
    }
}

pub const NATIVE: &str = "native.acme:lib:1.0";

pub fn submission() -> Submission {
    Submission {
        coordinates: vec![RELEASE.parse().unwrap()],
        mode: None,
        repository: None,
        tag: Some("v1.0".to_owned()),
        commit: None,
        specification: Some(specification()),
    }
}
