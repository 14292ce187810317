use super::*;
use std::collections::BTreeSet;
use std::path::Path;

use async_trait::async_trait;
use build_spec::{
    BuildLog, Builder, Built, ExtraInput, InputLine, InputManifest, Inputs, Job, ManifestBlobs, Phase, Recorded,
    Source, SourceError, SourceRequest,
};
use bytes::Bytes;
use maven_layout::RepoPath;
use pyrsia_digest::{FileDigests, KnownDigests};
use tokio::task::JoinHandle;

use crate::RemoteBuilder;
use crate::messages::{MadeFile, Replayed};

const POM: &str = "org/acme/dep/1/dep-1.pom";
const LIB: &str = "org.acme:lib:1";

/// The authority's own builder, which has no engine.
struct Here;

#[async_trait]
impl Builder for Here {
    async fn resolve(&self, _: &SourceRequest, _: Arc<dyn BuildLog>) -> Result<Source, SourceError> {
        Err(SourceError::Local("none".to_owned()))
    }

    fn max_input_bytes(&self) -> u64 {
        1 << 20
    }

    async fn record(&self, _: &Job, _: Arc<dyn Inputs>, _: Arc<dyn BuildLog>) -> Result<Recorded, BuildError> {
        Err(BuildError::Engine("none".to_owned()))
    }

    async fn replay(
        &self,
        _: &Job,
        _: &InputManifest,
        _: Arc<dyn ManifestBlobs>,
        _: Arc<dyn BuildLog>,
    ) -> Result<Built, BuildError> {
        Err(BuildError::Engine("none".to_owned()))
    }

    async fn settle(&self) {}

    async fn available(&self) -> Result<(), String> {
        Err("none".to_owned())
    }
}

#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl BuildLog for Heard {
    fn line(&self, _: Phase, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

/// One file that exists.
struct One(PathBuf);

#[async_trait]
impl Inputs for One {
    async fn get(&self, _: &RepositoryId, path: &RepoPath) -> Result<Input, InputError> {
        match path.as_str() {
            POM => Ok(Input::found(self.0.clone(), FileDigests::of(&std::fs::read(&self.0).unwrap()))),
            _ => Ok(Input::Absent),
        }
    }

    async fn pinned(&self, _: &ExtraInput) -> Result<Input, InputError> {
        Ok(Input::found(self.0.clone(), FileDigests::of(&std::fs::read(&self.0).unwrap())))
    }
}

#[async_trait]
impl ManifestBlobs for One {
    async fn blob(&self, _: &Sha256) -> Option<PathBuf> {
        Some(self.0.clone())
    }
}

struct World {
    hub: Arc<Hub>,
    builder: Arc<RemoteBuilder>,
    heard: Arc<Heard>,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let outputs = OutputLimits { bytes: 100, files: 3 };
        let (lease, longest) = (Duration::from_secs(30), Duration::from_secs(3600));
        let hub = Hub::new(HubConfig { lease, longest, outputs }).unwrap();
        let builder = Arc::new(RemoteBuilder::new(Arc::new(Here), hub.clone()));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("dep"), b"<project/>").unwrap();
        std::fs::write(folder.path().join("archive"), b"tar").unwrap();
        World { hub, builder, heard: Arc::default(), folder }
    }

    fn one(&self) -> Arc<One> {
        Arc::new(One(self.folder.path().join("dep")))
    }

    fn job(&self) -> Job {
        let job = crate::convert::tests::job();
        let work_dir = self.folder.path().join("job");
        std::fs::create_dir_all(&work_dir).unwrap();
        let source = Source { archive: self.folder.path().join("archive"), ..job.source };
        Job { source, work_dir, ..job }
    }

    fn record(&self) -> JoinHandle<Result<Recorded, BuildError>> {
        let (builder, job, inputs, log) = (self.builder.clone(), self.job(), self.one(), self.heard.clone());
        tokio::spawn(async move { builder.record(&job, inputs, log).await })
    }

    fn replay(&self) -> JoinHandle<Result<Built, BuildError>> {
        let (builder, job, blobs, log) = (self.builder.clone(), self.job(), self.one(), self.heard.clone());
        tokio::spawn(async move { builder.replay(&job, &manifest(), blobs, log).await })
    }

    async fn take(&self, token: &str) -> Leased {
        self.hub.take(token, &ask()).await.unwrap().expect("work")
    }

    async fn send(&self, lease: LeaseId, bytes: &[u8]) -> Result<FileRef, Refusal> {
        let file = FileRef { sha256: Sha256::of(bytes), size: bytes.len() as u64 };
        let mut upload = self.hub.receive("w", lease, file.sha256).await?;
        for piece in bytes.chunks(7) {
            upload.write(Bytes::copy_from_slice(piece)).await?;
        }
        upload.finish().await.map(|()| file)
    }

    fn said(&self, wanted: &str) -> bool {
        self.heard.0.lock().unwrap().iter().any(|line| line.contains(wanted))
    }
}

fn ask() -> Ask {
    Ask {
        instance: "i1".to_owned(),
        program: PROGRAM.to_owned(),
        profile: SandboxProfile::v1().digest(),
        images: BTreeSet::new(),
    }
}

fn line(path: &str, status: InputStatus) -> InputLine {
    InputLine { repository: RepositoryId::central(), path: path.parse().unwrap(), status }
}

fn manifest() -> InputManifest {
    let bytes = b"<project/>";
    let found = InputStatus::Found { size: bytes.len() as u64, sha256: Sha256::of(bytes), cut: false };
    let mut manifest = InputManifest::new();
    manifest.insert(line(POM, found)).unwrap();
    manifest.insert(line("org/acme/none/1/none-1.pom", InputStatus::Absent)).unwrap();
    manifest.insert(line("org/acme/lib/1/lib-1.jar", InputStatus::WithheldSelf)).unwrap();
    manifest
}

fn question(path: &str) -> InputQuestion {
    InputQuestion { repository: "central".to_owned(), path: path.parse().unwrap() }
}

async fn recorded(world: &World, manifest: &InputManifest) -> Result<Recorded, BuildError> {
    let record = world.record();
    let Leased { lease, order, .. } = world.take("w").await;
    assert_eq!(order.part, Part::Record);
    let InputReply::Found { file, .. } = world.hub.input("w", lease, &question(POM)).await.unwrap() else {
        panic!("it is there")
    };
    let at = world.hub.file("w", lease, &file.sha256).await.unwrap();
    assert_eq!(std::fs::read(at).unwrap(), b"<project/>");
    let none = world.hub.input("w", lease, &question("org/acme/none/1/none-1.pom")).await.unwrap();
    assert_eq!(none, InputReply::Absent);
    let manifest = world.send(lease, manifest.to_text().as_bytes()).await.unwrap();
    world.hub.finish("w", lease, Outcome::Recorded { manifest, failed: None }).await.unwrap();
    record.await.unwrap()
}

#[tokio::test]
async fn a_record_is_what_was_answered_here_and_nothing_else() {
    let world = World::new();
    assert_eq!(recorded(&world, &manifest()).await.unwrap().manifest, manifest());
    assert!(world.said("waiting for a worker") && world.said("worker w/i1 builds it"));
    let of_nobody = line("org/acme/lib2/1/lib2-1.jar", InputStatus::WithheldSelf);
    let never_asked = line("org/acme/other/1/other-1.pom", InputStatus::Absent);
    let other = InputStatus::Found { size: 1, sha256: Sha256::of(b"x"), cut: false };
    for added in [of_nobody, never_asked, line("org/acme/evil/1/evil-1.jar", other)] {
        let world = World::new();
        let mut claimed = manifest();
        claimed.insert(added).unwrap();
        let error = recorded(&world, &claimed).await.unwrap_err();
        assert!(matches!(&error, BuildError::Engine(text) if text.contains("not what was answered")), "{error}");
    }
}

#[tokio::test]
async fn a_record_with_a_file_of_its_own_release_is_none() {
    let world = World::new();
    let mut job = world.job();
    job.source.reactor.push("org.acme:dep:1".parse().unwrap());
    let (builder, inputs, log) = (world.builder.clone(), world.one(), world.heard.clone());
    let record = tokio::spawn(async move { builder.record(&job, inputs, log).await });
    let lease = world.take("w").await.lease;
    world.hub.input("w", lease, &question(POM)).await.unwrap();
    world.hub.input("w", lease, &question("org/acme/none/1/none-1.pom")).await.unwrap();
    let manifest = world.send(lease, manifest().to_text().as_bytes()).await.unwrap();
    world.hub.finish("w", lease, Outcome::Recorded { manifest, failed: None }).await.unwrap();
    let error = record.await.unwrap().unwrap_err();
    assert!(matches!(&error, BuildError::InputIsOutput(path) if path == POM), "{error}");
}

#[tokio::test]
async fn a_single_file_is_one_that_the_specification_names() {
    let world = World::new();
    let mut job = world.job();
    let (url, path) = ("https://files.example/tool".to_owned(), "lib/tool.jar".to_owned());
    job.specification.inputs.push(ExtraInput { url, sha256: Sha256::of(b"<project/>"), path });
    let (builder, inputs, log) = (world.builder.clone(), world.one(), world.heard.clone());
    let _record = tokio::spawn(async move { builder.record(&job, inputs, log).await });
    let lease = world.take("w").await.lease;
    let ask = async |path: &str| {
        let question = InputQuestion { repository: "input".to_owned(), path: path.parse().unwrap() };
        world.hub.input("w", lease, &question).await.unwrap()
    };
    let InputReply::Found { file, .. } = ask("lib/tool.jar").await else { panic!("it is named") };
    assert!(world.hub.file("w", lease, &file.sha256).await.is_ok());
    assert!(matches!(ask("lib/other.jar").await, InputReply::UnknownRepository(_)));
}

/// Whatever is asked for is a file of 300 MiB.
struct Large;

#[async_trait]
impl Inputs for Large {
    async fn get(&self, _: &RepositoryId, path: &RepoPath) -> Result<Input, InputError> {
        let sha256 = Sha256::of(path.as_str().as_bytes());
        Ok(Input::found(PathBuf::from("/there"), KnownDigests { size: 300 << 20, sha256, others: None }))
    }
}

#[tokio::test]
async fn a_record_does_not_fill_the_store() {
    let world = World::new();
    let (builder, job, log) = (world.builder.clone(), world.job(), world.heard.clone());
    let _record = tokio::spawn(async move { builder.record(&job, Arc::new(Large), log).await });
    let lease = world.take("w").await.lease;
    let ask = async |path: &str| world.hub.input("w", lease, &question(path)).await;
    let first = ask(POM).await.unwrap();
    assert!(
        ask("org/acme/dep/1/dep-1.jar").await.is_ok(),
        "only now it is more than an input limit of 1 MiB and the tool"
    );
    assert_eq!(ask("org/acme/dep/2/dep-2.jar").await, Err(Refusal::TooMuch("bytes of inputs")));
    assert_eq!(ask(POM).await, Ok(first), "what is here costs nothing");
}

#[tokio::test]
async fn the_first_answer_stays() {
    let world = World::new();
    let _record = world.record();
    let lease = world.take("w").await.lease;
    let first = world.hub.input("w", lease, &question(POM)).await.unwrap();
    std::fs::write(world.folder.path().join("dep"), b"<project>2</project>").unwrap();
    assert_eq!(world.hub.input("w", lease, &question(POM)).await.unwrap(), first);
}

#[tokio::test(start_paused = true)]
async fn a_lost_workers_build_is_built_by_another_and_its_late_result_is_refused() {
    let world = World::new();
    let replay = world.replay();
    let lost = world.take("w").await.lease;
    world.hub.renew("w", lost, &Renewal { first: 0, lines: vec!["one".to_owned()] }).unwrap();
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert!(world.said("worker w/i1 was lost"), "nobody had to ask for it");
    let other = world.take("v").await.lease;
    assert_ne!(lost, other);
    let late = Outcome::Failed(BuildError::NoOutput("late".to_owned()).into());
    assert_eq!(world.hub.finish("w", lost, late.clone()).await, Err(NoLease.into()));
    assert_eq!(world.hub.finish("w", other, late.clone()).await, Err(NoLease.into()), "somebody else's");
    world.hub.finish("v", other, late).await.unwrap();
    assert!(matches!(replay.await.unwrap(), Err(BuildError::NoOutput(_))));
}

#[tokio::test(start_paused = true)]
async fn a_build_that_workers_die_of_is_an_engine_fault() {
    let world = World::new();
    let replay = world.replay();
    for _ in 0..LOSSES {
        world.take("w").await;
        tokio::time::sleep(Duration::from_secs(32)).await;
    }
    let error = replay.await.unwrap().unwrap_err();
    assert!(matches!(&error, BuildError::Engine(text) if text.contains("3 workers were lost")), "{error}");
    assert_eq!(world.hub.take("w", &ask()).await, Ok(None));
}

#[tokio::test(start_paused = true)]
async fn without_workers_nothing_waits_for_ever() {
    let world = World::new();
    assert!(world.hub.available().is_ok(), "they may be on their way back");
    tokio::time::sleep(ATTENDED).await;
    assert!(world.hub.available().unwrap_err().contains("pyrsia-maven worker"));
    let error = world.replay().await.unwrap().unwrap_err();
    assert!(matches!(&error, BuildError::Engine(text) if text.contains("15 minutes")), "{error}");
}

#[tokio::test]
async fn a_replay_is_made_of_uploaded_files_of_its_release() {
    let world = World::new();
    let replay = world.replay();
    let Leased { lease, order, .. } = world.take("w").await;
    let named = order.manifest.expect("a replay");
    let text = std::fs::read(world.hub.file("w", lease, &named.sha256).await.unwrap()).unwrap();
    assert_eq!(text, manifest().to_text().as_bytes());
    assert!(world.hub.file("w", lease, &order.source.archive.sha256).await.is_ok());
    assert!(world.hub.file("w", lease, &Sha256::of(b"<project/>")).await.is_ok());
    let strange = Sha256::of(b"a secret");
    assert_eq!(world.hub.file("w", lease, &strange).await, Err(Refusal::NoFile(strange)));
    assert!(matches!(world.hub.input("w", lease, &question(POM)).await, Err(Refusal::Bad(_))));

    let mut upload = world.hub.receive("w", lease, Sha256::of(b"jar")).await.unwrap();
    upload.write(Bytes::from_static(b"other")).await.unwrap();
    assert!(matches!(upload.finish().await, Err(Refusal::Bad(_))), "other bytes than announced");
    let large = world.send(lease, &[7; 101]).await;
    assert_eq!(large, Err(Refusal::TooMuch("bytes")));
    let jar = world.send(lease, b"jar").await.unwrap();
    assert_eq!(world.send(lease, b"jar").await, Ok(jar), "the answer may have been lost");
    let pom = world.send(lease, b"pom").await.unwrap();
    world.send(lease, b"more").await.unwrap();
    assert_eq!(world.send(lease, b"and more").await, Err(Refusal::TooMuch("files")));

    let made = |name: &str, file| MadeFile { coordinates: LIB.parse().unwrap(), name: name.to_owned(), file };
    let files = vec![made("lib-1.pom", pom), made("lib-1.jar", jar)];
    let asked = [Sha256::of(b"<project/>")].into();
    let replayed = Replayed { files, byproducts: None, reactor: BTreeSet::new(), asked };
    world.hub.finish("w", lease, Outcome::Replayed(replayed)).await.unwrap();
    let built = replay.await.unwrap().unwrap();
    let names: Vec<_> = built.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["lib-1.jar", "lib-1.pom"]);
    assert_eq!(std::fs::read(&built.files[0].path).unwrap(), b"jar");
    assert!(built.reactor.contains(&Sha256::of(b"jar")));
}

#[tokio::test]
async fn a_file_that_is_sent_again_replaces_what_is_still_on_its_way() {
    let world = World::new();
    let replay = world.replay();
    let lease = world.take("w").await.lease;
    let bytes = [7u8; 60];
    // Its connection is dead, which nobody has noticed here.
    let mut first = world.hub.receive("w", lease, Sha256::of(&bytes)).await.unwrap();
    first.write(Bytes::copy_from_slice(&bytes[..50])).await.unwrap();
    let file = world.send(lease, &bytes).await.expect("what came of the first try takes no room");
    assert!(matches!(first.write(Bytes::copy_from_slice(&bytes[50..])).await, Err(Refusal::Bad(_))));
    assert!(matches!(first.finish().await, Err(Refusal::Bad(_))));
    let pom = MadeFile { coordinates: LIB.parse().unwrap(), name: "lib-1.pom".to_owned(), file };
    let replayed = Replayed { files: vec![pom], byproducts: None, reactor: BTreeSet::new(), asked: BTreeSet::new() };
    world.hub.finish("w", lease, Outcome::Replayed(replayed)).await.unwrap();
    let built = replay.await.unwrap().unwrap();
    assert_eq!(std::fs::read(&built.files[0].path).unwrap(), bytes);
    let folder = world.folder.path().join("job").join(lease.to_string());
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1, "nothing of the first try is left");
}

#[tokio::test]
async fn results_that_cannot_be_are_faults_of_the_worker() {
    let jar = FileRef { sha256: Sha256::of(b"jar"), size: 3 };
    let made = |release: &str, name: &str, file| MadeFile {
        coordinates: release.parse().unwrap(),
        name: name.to_owned(),
        file,
    };
    let result = |files| Replayed { files, byproducts: None, reactor: BTreeSet::new(), asked: BTreeSet::new() };
    let pom = made(LIB, "lib-1.pom", jar);
    for (replayed, wanted) in [
        (result(vec![]), "no POM"),
        (result(vec![made("org.acme:other:1", "other-1.pom", jar)]), "not asked for"),
        (result(vec![made(LIB, "../lib-1.pom", jar)]), "no file"),
        (result(vec![made(LIB, "other-1.pom", jar)]), "no file of"),
        (result(vec![made(LIB, "lib-1.jar.sha1", jar)]), "no file of"),
        (result(vec![pom.clone(), pom.clone()]), "twice"),
        (result(vec![made(LIB, "lib-1.pom", FileRef { size: 4, ..jar })]), "size"),
        (result(vec![made(LIB, "lib-1.pom", FileRef { sha256: Sha256::of(b"x"), size: 1 })]), "not uploaded"),
        (Replayed { asked: [Sha256::of(b"x")].into(), ..result(vec![pom]) }, "not in the manifest"),
    ] {
        let world = World::new();
        let replay = world.replay();
        let lease = world.take("w").await.lease;
        world.send(lease, b"jar").await.unwrap();
        world.hub.finish("w", lease, Outcome::Replayed(replayed)).await.unwrap();
        let error = replay.await.unwrap().unwrap_err();
        assert!(matches!(&error, BuildError::Engine(text) if text.contains(wanted)), "{wanted}: {error}");
    }
    let world = World::new();
    let replay = world.replay();
    let lease = world.take("w").await.lease;
    let manifest = world.send(lease, b"m").await.unwrap();
    world.hub.finish("w", lease, Outcome::Recorded { manifest, failed: None }).await.unwrap();
    assert!(matches!(replay.await.unwrap(), Err(BuildError::Engine(_))));
}

#[tokio::test]
async fn a_dropped_build_is_taken_back_and_a_given_back_one_waits_again() {
    let world = World::new();
    let replay = world.replay();
    let lease = world.take("w").await.lease;
    world.send(lease, b"jar").await.unwrap();
    let folder = world.folder.path().join("job").join(lease.to_string());
    assert!(folder.exists());
    assert_eq!(world.hub.give_back("v", lease), Err(NoLease.into()), "somebody else's");
    world.hub.give_back("w", lease).unwrap();
    assert!(!folder.exists() && world.said("given it back"));
    let lease = world.take("v").await.lease;
    replay.abort();
    assert!(replay.await.unwrap_err().is_cancelled());
    let renewal = Renewal { first: 0, lines: Vec::new() };
    assert_eq!(world.hub.renew("v", lease, &renewal), Err(NoLease.into()));
}

#[tokio::test]
async fn a_file_that_is_on_its_way_when_the_lease_ends_does_not_arrive() {
    let world = World::new();
    let _replay = world.replay();
    let lease = world.take("w").await.lease;
    let mut whole = world.hub.receive("w", lease, Sha256::of(b"jar")).await.unwrap();
    whole.write(Bytes::from_static(b"jar")).await.unwrap();
    let mut begun = world.hub.receive("w", lease, Sha256::of(b"pom")).await.unwrap();
    world.hub.give_back("w", lease).unwrap();
    assert_eq!(begun.write(Bytes::from_static(b"pom")).await, Err(NoLease.into()));
    assert_eq!(whole.finish().await, Err(NoLease.into()));
}

#[tokio::test]
async fn a_log_is_shown_once_and_in_bounds() {
    let world = World::new();
    let _replay = world.replay();
    let lease = world.take("w").await.lease;
    let piece = |first, lines: &[&str]| Renewal { first, lines: lines.iter().map(|line| (*line).to_owned()).collect() };
    world.hub.renew("w", lease, &piece(0, &["a", "b"])).unwrap();
    world.hub.renew("w", lease, &piece(0, &["a", "b", "c\u{1b}[2J"])).unwrap();
    world.hub.renew("w", lease, &piece(3, &[])).unwrap();
    world.hub.renew("w", lease, &piece(9, &["after a gap"])).unwrap();
    let heard = world.heard.0.lock().unwrap().clone();
    assert_eq!(heard[2..], ["a", "b", "c[2J", "after a gap"]);
    let many = Renewal { first: 10, lines: vec![String::new(); MAX_LINES + 1] };
    assert_eq!(world.hub.renew("w", lease, &many), Err(Refusal::TooMuch("lines")));
}

#[tokio::test]
async fn another_program_gets_no_work() {
    let world = World::new();
    let _replay = world.replay();
    let refused = |ask: Ask| {
        let hub = world.hub.clone();
        async move { hub.take("w", &ask).await.unwrap_err() }
    };
    assert!(matches!(refused(Ask { program: "9.9".to_owned(), ..ask() }).await, Refusal::OtherProgram { .. }));
    assert!(matches!(refused(Ask { profile: Sha256::of(b"x"), ..ask() }).await, Refusal::OtherProgram { .. }));
    for bad in ["", "a/b", "a b", &"x".repeat(65)] {
        assert!(matches!(refused(Ask { instance: bad.to_owned(), ..ask() }).await, Refusal::Bad(_)), "{bad}");
    }
    let images = (0..=MAX_IMAGES).map(|n| Sha256::of(n.to_string().as_bytes())).collect();
    assert_eq!(refused(Ask { images, ..ask() }).await, Refusal::TooMuch("images"));
}

#[test]
fn the_folder_of_a_lease_is_below_that_of_its_job() {
    let lease: LeaseId = "0000000000000001-1".parse().unwrap();
    assert_eq!(Path::new("/job").join(lease.to_string()), Path::new("/job/0000000000000001-1"));
}
