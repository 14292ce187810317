//! Both ends over a real socket, with a builder that needs no containers.

use super::*;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;

use async_trait::async_trait;
use build_spec::{
    BuildError, BuildLog, Builder, Built, BuiltFile, Checkout, Input, InputError, InputLine, InputManifest,
    InputStatus, Inputs, Job, ManifestBlobs, Mode, Phase, Recorded, RepositoryId, RunId, Source, SourceError,
    SourceRequest, Specification, ToolFailure,
};
use maven_layout::RepoPath;
use pyrsia_blobs::BlobStore;
use pyrsia_digest::{FileDigests, Sha256};
use pyrsia_http::{Limits, Token, WorkerDoor, WorkerImages, WorkerToken};
use pyrsia_rebuilds::{Images, OwnImage};
use pyrsia_workers::{Hub, HubConfig, OutputLimits, RemoteBuilder};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use crate::image_store::KnownImage;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const POM: &str = "org/acme/dep/1/dep-1.pom";
const NONE: &str = "org/acme/none/1/none-1.pom";

/// A builder that makes its JAR of the source's archive and of one input.
#[derive(Default)]
struct Simple {
    /// Builds wait while this is set.
    held: Option<watch::Receiver<bool>>,
    /// The tool fails.
    fails: bool,
}

#[async_trait]
impl Builder for Simple {
    async fn resolve(&self, _: &SourceRequest, _: Arc<dyn BuildLog>) -> Result<Source, SourceError> {
        Err(SourceError::Local("none".to_owned()))
    }

    fn max_input_bytes(&self) -> u64 {
        1 << 20
    }

    async fn record(&self, _: &Job, inputs: Arc<dyn Inputs>, log: Arc<dyn BuildLog>) -> Result<Recorded, BuildError> {
        let central = RepositoryId::central();
        let mut manifest = InputManifest::new();
        for path in [POM, NONE] {
            let path: RepoPath = path.parse().unwrap();
            let status = match inputs.get(&central, &path).await {
                Ok(Input::Found { file, digests, cut, .. }) => {
                    assert_eq!(std::fs::read(file).unwrap(), b"<project/>");
                    InputStatus::Found { size: digests.size, sha256: digests.sha256, cut }
                }
                Ok(Input::Absent) => InputStatus::Absent,
                Err(error) => return Err(BuildError::UpstreamFailed(error.to_string())),
            };
            manifest.insert(InputLine { repository: central.clone(), path, status })?;
        }
        log.line(Phase::Record, "recorded it");
        let failure = ToolFailure { exit_code: 7, log_tail: vec!["it broke".to_owned()] };
        Ok(Recorded { manifest, result: if self.fails { Err(failure) } else { Ok(Built::default()) } })
    }

    async fn replay(
        &self,
        job: &Job,
        manifest: &InputManifest,
        blobs: Arc<dyn ManifestBlobs>,
        log: Arc<dyn BuildLog>,
    ) -> Result<Built, BuildError> {
        log.line(Phase::Replay, "it begins");
        if let Some(mut held) = self.held.clone() {
            let _ = held.wait_for(|held| !held).await;
        }
        let asked = manifest.files();
        let mut jar = std::fs::read(&job.source.archive).unwrap();
        for sha256 in &asked {
            let file = blobs.blob(sha256).await.ok_or_else(|| BuildError::InputsUnavailable("gone".to_owned()))?;
            jar.extend(std::fs::read(file).unwrap());
        }
        let made = |name: &str, bytes: &[u8]| {
            let path = job.work_dir.join(name);
            std::fs::write(&path, bytes).unwrap();
            let (coordinates, name) = (job.coordinates[0].clone(), name.to_owned());
            BuiltFile { coordinates, name, path, digests: FileDigests::of(bytes) }
        };
        let files = vec![made("lib-1.jar", &jar), made("lib-1.pom", b"<project/>")];
        log.line(Phase::Replay, "it ends");
        Ok(Built { files, byproducts: None, reactor: BTreeSet::new(), asked })
    }

    async fn settle(&self) {}

    async fn available(&self) -> Result<(), String> {
        Ok(())
    }
}

struct AllImages;

#[async_trait]
impl Images for AllImages {
    async fn named(&self, _: &str) -> Result<Sha256, String> {
        Err("none".to_owned())
    }

    async fn ensure(&self, _: &Sha256) -> Result<(), String> {
        Ok(())
    }

    async fn made(&self) -> Result<Vec<OwnImage>, String> {
        Ok(Vec::new())
    }

    async fn verify(&self, _: &Sha256) -> Result<(), String> {
        Ok(())
    }
}

/// What the authority has: one input, one image.
struct There(PathBuf);

#[async_trait]
impl Inputs for There {
    async fn get(&self, _: &RepositoryId, path: &RepoPath) -> Result<Input, InputError> {
        match path.as_str() {
            POM => Ok(Input::found(self.0.join("dep"), FileDigests::of(b"<project/>"))),
            _ => Ok(Input::Absent),
        }
    }
}

#[async_trait]
impl ManifestBlobs for There {
    async fn blob(&self, _: &Sha256) -> Option<PathBuf> {
        Some(self.0.join("dep")).filter(|file| file.exists())
    }
}

impl WorkerImages for There {
    fn describe(&self, image: &Sha256) -> Option<Vec<u8>> {
        let known = known_image();
        (known.digest == *image).then(|| serde_json::to_vec(&known).unwrap())
    }

    fn layer(&self, layer: &Sha256) -> Option<PathBuf> {
        (known_image().layer == *layer).then(|| self.0.join("layer"))
    }
}

fn known_image() -> KnownImage {
    let config = java_builder::recipe("jdk17").unwrap().unwrap().config();
    let layer = Sha256::of(b"layer");
    KnownImage { digest: config.digest(&layer), layer, layer_bytes: 5, config, lock: None }
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl BuildLog for Heard {
    fn line(&self, _: Phase, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

struct World {
    folder: tempfile::TempDir,
    address: String,
    remote: Arc<RemoteBuilder>,
    heard: Arc<Heard>,
    _serving: AbortOnDropHandle<()>,
}

impl World {
    async fn new(lease: Duration) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in [("dep", &b"<project/>"[..]), ("archive", b"tar"), ("layer", b"layer")] {
            std::fs::write(folder.path().join(name), bytes).unwrap();
        }
        let outputs = OutputLimits { bytes: 1 << 20, files: 10 };
        let hub = Hub::new(HubConfig { lease, longest: Duration::from_secs(600), outputs }).unwrap();
        let tokens = vec![WorkerToken { name: "w".to_owned(), token: Token::new(TOKEN).unwrap() }];
        let door = WorkerDoor::new(hub.clone(), Arc::new(There(folder.path().to_owned())), tokens);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let serving = pyrsia_http::serve(listener, None, door, Limits::default(), std::future::pending());
        let remote = Arc::new(RemoteBuilder::new(Arc::new(Simple::default()), hub));
        let serving = AbortOnDropHandle::new(tokio::spawn(serving));
        World { folder, address, remote, heard: Arc::default(), _serving: serving }
    }

    fn job(&self, name: &str) -> Job {
        let specification = Specification::default_maven("3.9.11");
        let work_dir = self.folder.path().join(name);
        std::fs::create_dir_all(&work_dir).unwrap();
        Job {
            run: RunId::new("r"),
            coordinates: vec!["org.acme:lib:1".parse().unwrap()],
            mode: Mode::Native,
            source: Source {
                repository: "https://git.example/acme/lib".parse().unwrap(),
                mirrored: false,
                tag: None,
                tag_object: None,
                commit: "0".repeat(40),
                commit_tree: "0".repeat(40),
                signature: None,
                submodules: Vec::new(),
                checkout: Checkout::of(&specification),
                commit_time: 0,
                tree: Sha256::of(b"tar"),
                archive: self.folder.path().join("archive"),
                reactor: Vec::new(),
                declared_scm: None,
                specification: None,
                evidence: Vec::new(),
            },
            specification,
            image: known_image().digest,
            profile: SandboxProfile::v1(),
            work_dir,
        }
    }

    async fn record(&self) -> Result<Recorded, BuildError> {
        let there = Arc::new(There(self.folder.path().to_owned()));
        self.remote.record(&self.job("record"), there, self.heard.clone()).await
    }

    fn replay(&self, manifest: InputManifest) -> JoinHandle<Result<Built, BuildError>> {
        let there = Arc::new(There(self.folder.path().to_owned()));
        let (remote, job, log) = (self.remote.clone(), self.job("replay"), self.heard.clone());
        tokio::spawn(async move { remote.replay(&job, &manifest, there, log).await })
    }

    fn link(&self, token: &str) -> Arc<Link> {
        Arc::new(Link::new(&self.address, token.to_owned(), None).unwrap())
    }

    fn worker(&self, name: &str, builder: Simple) -> Worker {
        let at = self.folder.path().join(name);
        let work_dir = at.join("work");
        std::fs::create_dir_all(&work_dir).unwrap();
        let link = self.link(TOKEN);
        let cache = Cache::new(BlobStore::open(at.join("blobs")).unwrap(), 1 << 20);
        let bench =
            Bench { link: link.clone(), builder: Arc::new(builder), images: Arc::new(AllImages), cache, work_dir };
        Worker { link, bench, images: None, instance: name.to_owned() }
    }

    /// A worker that runs until its handle is dropped.
    fn start(&self, name: &str, builder: Simple) -> (AbortOnDropHandle<anyhow::Result<()>>, CancellationToken) {
        let stop = CancellationToken::new();
        let running = tokio::spawn(self.worker(name, builder).run(1, stop.clone()));
        (AbortOnDropHandle::new(running), stop)
    }

    async fn until_said(&self, wanted: &str) {
        let said = async {
            while !self.heard.0.lock().unwrap().iter().any(|line| line.contains(wanted)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), said).await.unwrap_or_else(|_| panic!("nobody said {wanted}"));
    }
}

fn jar_of(built: &Built) -> Vec<u8> {
    std::fs::read(&built.files[0].path).unwrap()
}

fn manifest() -> InputManifest {
    let found = InputStatus::Found { size: 10, sha256: Sha256::of(b"<project/>"), cut: false };
    let mut manifest = InputManifest::new();
    for (path, status) in [(POM, found), (NONE, InputStatus::Absent)] {
        let line = InputLine { repository: RepositoryId::central(), path: path.parse().unwrap(), status };
        manifest.insert(line).unwrap();
    }
    manifest
}

#[tokio::test]
async fn a_build_goes_to_a_worker_and_comes_back() {
    let world = World::new(Duration::from_secs(30)).await;
    let (_worker, _) = world.start("one", Simple::default());
    let recorded = world.record().await.unwrap();
    assert_eq!(recorded.manifest, manifest());
    assert!(recorded.result.is_ok());
    let built = world.replay(recorded.manifest).await.unwrap().unwrap();
    let names: Vec<_> = built.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["lib-1.jar", "lib-1.pom"]);
    assert_eq!(jar_of(&built), b"tar<project/>");
    assert_eq!(built.files[0].digests, FileDigests::of(b"tar<project/>"));
    assert_eq!(built.asked, [Sha256::of(b"<project/>")].into());
    let heard = world.heard.0.lock().unwrap().clone();
    for wanted in ["worker w/one builds it", "recorded it", "it begins", "it ends"] {
        assert!(heard.iter().any(|line| line == wanted), "{wanted}: {heard:?}");
    }
}

#[tokio::test]
async fn a_tool_that_fails_is_a_finding_and_its_inputs_are_known() {
    let world = World::new(Duration::from_secs(30)).await;
    let (_worker, _) = world.start("one", Simple { fails: true, ..Simple::default() });
    let recorded = world.record().await.unwrap();
    assert_eq!(recorded.manifest, manifest());
    let failure = recorded.result.unwrap_err();
    assert_eq!((failure.exit_code, failure.log_tail), (7, vec!["it broke".to_owned()]));
}

#[tokio::test]
async fn a_worker_that_vanishes_in_mid_build_is_replaced() {
    let world = World::new(Duration::from_secs(3)).await;
    let (hold, held) = watch::channel(true);
    let (first, _) = world.start("first", Simple { held: Some(held), ..Simple::default() });
    let replay = world.replay(manifest());
    // Its log comes while it builds, and it keeps its lease for longer than one lasts.
    world.until_said("it begins").await;
    tokio::time::sleep(Duration::from_millis(3_500)).await;
    assert!(!world.heard.0.lock().unwrap().iter().any(|line| line.contains("lost")));
    drop(first);
    let (_second, _) = world.start("second", Simple::default());
    assert_eq!(jar_of(&replay.await.unwrap().unwrap()), b"tar<project/>");
    world.until_said("worker w/first was lost").await;
    world.until_said("worker w/second builds it").await;
    drop(hold);
}

#[tokio::test]
async fn a_worker_that_is_stopped_gives_its_build_back() {
    let world = World::new(Duration::from_secs(600)).await;
    let (hold, held) = watch::channel(true);
    let (first, stop) = world.start("first", Simple { held: Some(held), ..Simple::default() });
    let replay = world.replay(manifest());
    world.until_said("it begins").await;
    stop.cancel();
    first.await.unwrap().unwrap();
    world.until_said("worker w/first has given it back").await;
    let left = std::fs::read_dir(world.folder.path().join("first/work")).unwrap().count();
    assert_eq!(left, 0, "nothing of its build is left");
    let (_second, _) = world.start("second", Simple::default());
    assert!(replay.await.unwrap().is_ok());
    drop(hold);
}

#[tokio::test]
async fn a_build_that_nobody_wants_any_more_is_dropped() {
    let world = World::new(Duration::from_secs(3)).await;
    let (hold, held) = watch::channel(true);
    let (_worker, _) = world.start("one", Simple { held: Some(held.clone()), ..Simple::default() });
    let replay = world.replay(manifest());
    world.until_said("it begins").await;
    replay.abort();
    let free = async {
        // The builder's own end of the channel, this one, and that of the build.
        while hold.receiver_count() > 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), free).await.expect("the build is dropped");
    hold.send_replace(false);
    assert!(world.replay(manifest()).await.unwrap().is_ok(), "and the worker takes the next one");
}

#[tokio::test]
async fn a_file_that_does_not_come_is_no_finding_about_the_build() {
    let world = World::new(Duration::from_secs(30)).await;
    let (_worker, _) = world.start("one", Simple::default());
    std::fs::remove_file(world.folder.path().join("dep")).unwrap();
    let error = world.replay(manifest()).await.unwrap().unwrap_err();
    assert!(matches!(error, BuildError::Engine(_)), "{error}");
}

#[tokio::test]
async fn who_does_not_know_the_token_gets_nothing() {
    let world = World::new(Duration::from_secs(30)).await;
    let _replay = world.replay(manifest());
    let stranger = world.link(&"x".repeat(32));
    let mut worker = world.worker("one", Simple::default());
    let ask = worker.ask();
    let refused = stranger.take(&ask).await.unwrap_err();
    assert!(matches!(&refused, LinkError::Refused { status: 401, .. }) && refused.is_final(), "{refused}");
    worker.link = stranger;
    let ended = tokio::time::timeout(Duration::from_secs(20), worker.run(2, CancellationToken::new())).await;
    assert!(ended.unwrap().unwrap_err().to_string().contains("[[workers.tokens]]"));
    let other = Ask { program: "0.0.0".to_owned(), ..ask };
    assert!(matches!(world.link(TOKEN).take(&other).await, Err(LinkError::Refused { status: 409, .. })));
}

#[tokio::test]
async fn a_builder_image_comes_from_the_authority() {
    let world = World::new(Duration::from_secs(30)).await;
    let folder = tempfile::tempdir().unwrap();
    let store = ImageStore::open(folder.path(), None).unwrap();
    store.set_peers(world.link(TOKEN));
    let known = known_image();
    assert_eq!(store.find_or_fetch(&known.digest).await.unwrap(), known);
    assert_eq!(store.blobs().read_verified(&known.layer).unwrap(), b"layer");
    assert!(!store.is_own(&known));
    assert!(store.find_or_fetch(&Sha256::of(b"another")).await.is_err());
    // A layer that is not what its name says is not kept.
    let other = tempfile::tempdir().unwrap();
    let store = ImageStore::open(other.path(), None).unwrap();
    store.set_peers(world.link(TOKEN));
    std::fs::write(world.folder.path().join("layer"), b"other").unwrap();
    assert!(store.find_or_fetch(&known.digest).await.is_err());
    assert!(store.list().unwrap().is_empty());
}
