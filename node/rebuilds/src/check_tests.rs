use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use maven_layout::Coordinates;
use pyrsia_digest::FileDigests;
use pyrsia_ledger::{Authority, AuthorityKey, ConsensusKey, Constants, Genesis};

use super::*;

fn state() -> Arc<State> {
    let genesis = Genesis {
        name: "test".to_owned(),
        nonce: [0; 32],
        authorities: vec![Authority {
            name: "a".to_owned(),
            authority_key: AuthorityKey::from_seed(&[1; 32]).public(),
            consensus_key: ConsensusKey::from_seed(&[2; 32]).public(),
        }],
        constants: Constants::default(),
    };
    Arc::new(State::new(&genesis).unwrap())
}

fn rules() -> Rules {
    let own: Coordinates = "org.acme:lib:1".parse().unwrap();
    let tool = PinnedInput { path: TOOL.parse().unwrap(), sha512: FileDigests::of(b"maven").sha512 };
    Rules::new(Withheld::new([&own]), &Specification::default_maven("3.9.11"), Some(tool), Natives::default(), state())
}

fn line(path: &str, status: InputStatus) -> InputLine {
    InputLine { repository: RepositoryId::central(), path: path.parse().unwrap(), status }
}

fn found(bytes: &[u8]) -> InputStatus {
    InputStatus::Found { size: bytes.len() as u64, sha256: Sha256::of(bytes), cut: false }
}

fn mine(bytes: &[u8]) -> Mine {
    Mine::Found { size: Some(bytes.len() as u64), sha256: Sha256::of(bytes) }
}

const JAR: &str = "org/other/dep/1/dep-1.jar";
const LIST: &str = "org/other/dep/maven-metadata.xml";
const OWN: &str = "org/acme/lib/1/lib-1.jar";
const TOOL: &str = "org/apache/maven/apache-maven/3.9.11/apache-maven-3.9.11-bin.tar.gz";

#[test]
fn a_line_is_right_only_if_own_sources_say_the_same() {
    let short = Mine::Found { size: Some(1), sha256: Sha256::of(b"same") };
    let unknown_size = Mine::Found { size: None, sha256: Sha256::of(b"same") };
    for (path, status, answer, expected) in [
        (JAR, found(b"same"), mine(b"same"), Ok(())),
        (JAR, found(b"same"), unknown_size, Ok(())),
        (JAR, found(b"planted"), mine(b"same"), Err("it has SHA-256")),
        (JAR, found(b"same"), short, Err("it has 1 bytes")),
        (JAR, found(b"same"), Mine::Absent, Err("it is not there")),
        (JAR, InputStatus::Absent, Mine::Absent, Ok(())),
        (JAR, InputStatus::Absent, mine(b"same"), Err("it is there")),
        (LIST, found(b"list"), Mine::Absent, Err("it is not there")),
        (LIST, InputStatus::Absent, mine(b"list"), Err("it is there")),
    ] {
        let judged = rules().judge(&line(path, status), &answer);
        match expected {
            Ok(()) => assert_eq!(judged, Found::Right, "{path} {status:?}"),
            Err(text) => {
                assert!(matches!(&judged, Found::Wrong(said) if said.contains(text)), "{path} {status:?}: {judged:?}");
            }
        }
    }
    assert_eq!(rules().judge(&line(LIST, found(b"older")), &mine(b"newer")), Found::Lists);
    let huge = InputStatus::Found { size: MAX_METADATA_BYTES + 1, sha256: Sha256::of(b"huge"), cut: false };
    assert!(matches!(rules().judge(&line(LIST, huge), &mine(b"list")), Found::Wrong(_)));
}

#[test]
fn some_lines_are_decided_without_asking() {
    let rules = rules();
    assert_eq!(rules.ask(&line(OWN, InputStatus::WithheldSelf)), Ask::Right);
    assert_eq!(rules.ask(&line(JAR, found(b"x"))), Ask::Upstream);
    assert_eq!(rules.ask(&line(TOOL, found(b"x"))), Ask::Pin);
    assert_eq!(rules.ask(&line(TOOL, InputStatus::Absent)), Ask::Upstream);
    let elsewhere = InputLine { repository: "elsewhere".parse().unwrap(), ..line(JAR, found(b"x")) };
    for wrong in [
        line(JAR, InputStatus::WithheldSelf),
        line(OWN, found(b"the published jar")),
        line(OWN, InputStatus::Absent),
        line(TOOL, InputStatus::Found { size: MAX_TOOL_BYTES + 1, sha256: Sha256::of(b"maven"), cut: false }),
        line("org/other/dep/1-SNAPSHOT/maven-metadata.xml", found(b"x")),
        elsewhere,
    ] {
        assert!(matches!(rules.ask(&wrong), Ask::Wrong(_)), "{wrong}");
    }
}

/// An upstream in memory.
struct Upstream {
    folder: tempfile::TempDir,
    files: BTreeMap<String, Vec<u8>>,
    fails: Option<String>,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Upstream {
    fn with(files: &[(&str, &[u8])]) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            files: files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.to_vec())).collect(),
            fails: None,
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl Inputs for Upstream {
    async fn get(&self, repository: &RepositoryId, path: &RepoPath) -> Result<Input, InputError> {
        self.most.fetch_max(self.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(2)).await;
        self.now.fetch_sub(1, Ordering::SeqCst);
        if self.fails.as_deref() == Some(path.as_str()) {
            let (repository, path) = (repository.to_string(), path.to_string());
            return Err(InputError::Unavailable { repository, path, problem: "503".to_owned() });
        }
        let Some(bytes) = self.files.get(path.as_str()) else { return Ok(Input::Absent) };
        let file = self.folder.path().join(path.as_str().replace('/', "_"));
        std::fs::write(&file, bytes).unwrap();
        Ok(Input::found(file, FileDigests::of(bytes)))
    }
}

/// Peers that hold some blobs.
struct Peers {
    blobs: Arc<BlobStore>,
    hold: Vec<Vec<u8>>,
    asked: Mutex<Vec<Sha256>>,
}

#[async_trait]
impl PeerBlobs for Peers {
    async fn ensure(&self, sha256: &Sha256, max_bytes: u64) -> Result<(), String> {
        self.asked.lock().unwrap().push(*sha256);
        let held = self.hold.iter().find(|bytes| Sha256::of(bytes) == *sha256 && bytes.len() as u64 <= max_bytes);
        let held = held.ok_or("no peer has it")?;
        self.blobs.put_bytes(held).map(drop).map_err(|error| error.to_string())
    }

    async fn specification(&self, _digest: &Sha256) -> Option<Specification> {
        None
    }
}

struct Fixture {
    checker: Arc<Checker>,
    upstream: Arc<Upstream>,
    peers: Arc<Peers>,
    _folder: tempfile::TempDir,
}

fn fixture(upstream: Upstream, hold: &[&[u8]]) -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Arc::new(BlobStore::open(folder.path()).unwrap());
    let hold = hold.iter().map(|bytes| bytes.to_vec()).collect();
    let peers = Arc::new(Peers { blobs: blobs.clone(), hold, asked: Mutex::default() });
    let upstream = Arc::new(upstream);
    let checker = Arc::new(Checker { rules: rules(), inputs: upstream.clone(), blobs, peers: peers.clone() });
    Fixture { checker, upstream, peers, _folder: folder }
}

fn manifest(lines: impl IntoIterator<Item = InputLine>) -> InputManifest {
    let mut manifest = InputManifest::new();
    lines.into_iter().for_each(|line| manifest.insert(line).unwrap());
    manifest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_contradiction_of_many_lines_is_said_and_lines_are_asked_side_by_side() {
    let path = |number: usize| format!("org/other/dep/{number:04}/dep-{number:04}.jar");
    let files: Vec<(String, Vec<u8>)> = (0..400).map(|number| (path(number), vec![number as u8; 10])).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
    let planted = [123, 124, 130, 399];
    let lines = (0..400).map(|number| {
        let bytes = if planted.contains(&number) { vec![1; 11] } else { vec![number as u8; 10] };
        line(&path(number), found(&bytes))
    });
    let fixture = fixture(Upstream::with(&files), &[]);
    let (wrong, _) = fixture.checker.contradiction(&manifest(lines)).await.unwrap().unwrap();
    assert_eq!(wrong.path.as_str(), path(123));
    let most = fixture.upstream.most.load(Ordering::SeqCst);
    assert!((2..=PARALLEL).contains(&most), "{most} at once");
}

#[tokio::test]
async fn a_checked_manifest_is_held() {
    let older = b"<metadata><groupId>org.other</groupId><artifactId>dep</artifactId><versioning><versions>\
        <version>1</version></versions></versioning></metadata>";
    let newer = String::from_utf8(older.to_vec()).unwrap().replace("</versions>", "<version>2</version></versions>");
    let files: [(&str, &[u8]); 2] = [(JAR, b"dep"), (LIST, newer.as_bytes())];
    let lines = || [line(JAR, found(b"dep")), line(LIST, found(older)), line(TOOL, found(b"maven"))];
    let fixture = fixture(Upstream::with(&files), &[older, b"maven"]);
    assert!(matches!(fixture.checker.clone().contradiction(&manifest(lines())).await, Ok(None)));
    for bytes in [b"dep".as_slice(), older, b"maven"] {
        assert!(fixture.checker.blobs.has(&Sha256::of(bytes)));
    }
    assert!(
        !fixture.peers.asked.lock().unwrap().contains(&Sha256::of(b"dep")),
        "upstream's file is not asked of peers"
    );
    // A list that says more than the own one is contradicted, whoever has its bytes.
    let longer = newer.replace("</versions>", "<version>3</version></versions>");
    let fixture = self::fixture(Upstream::with(&files), &[longer.as_bytes()]);
    let (_, detail) =
        fixture.checker.contradiction(&manifest([line(LIST, found(longer.as_bytes()))])).await.unwrap().unwrap();
    assert!(detail.contains("version 3"), "{detail}");
}

#[tokio::test]
async fn a_failing_upstream_contradicts_nothing() {
    let files: [(&str, &[u8]); 2] = [("a/a/1/a-1.jar", b"a"), (JAR, b"dep")];
    let fails = |path: &str| Upstream { fails: Some(path.to_owned()), ..Upstream::with(&files) };
    let lines = || manifest([line("a/a/1/a-1.jar", found(b"planted")), line(JAR, found(b"dep"))]);
    let before = fixture(fails("a/a/1/a-1.jar"), &[]);
    assert!(matches!(before.checker.contradiction(&lines()).await, Err(StepError::Again(_))));
    // What comes before the failing line is certain.
    let after = fixture(fails(JAR), &[]);
    assert!(matches!(after.checker.contradiction(&lines()).await, Ok(Some(_))));
}

#[tokio::test]
async fn what_no_peer_has_is_waited_for() {
    let files: [(&str, &[u8]); 1] = [(LIST, b"<metadata/>")];
    let fixture = fixture(Upstream::with(&files), &[]);
    let lines = manifest([line(LIST, found(b"<metadata></metadata>"))]);
    assert!(matches!(fixture.checker.contradiction(&lines).await, Err(StepError::Later(_))));
}

#[tokio::test]
async fn the_pin_decides_about_the_build_tool_whatever_the_own_upstream_has() {
    for (upstream, claimed, expected) in [
        (None, b"maven".as_slice(), None),
        (Some(b"another".as_slice()), b"maven", None),
        (Some(b"altered"), b"altered", Some("it is not the pinned build tool")),
    ] {
        let files: Vec<(&str, &[u8])> = upstream.map(|bytes| (TOOL, bytes)).into_iter().collect();
        let fixture = fixture(Upstream::with(&files), &[claimed]);
        let found = fixture.checker.contradiction(&manifest([line(TOOL, found(claimed))])).await.unwrap();
        match (found, expected) {
            (None, None) => {}
            (Some((_, detail)), Some(text)) => assert!(detail.contains(text), "{detail}"),
            (found, _) => panic!("{found:?}"),
        }
    }
}

#[tokio::test]
async fn nothing_is_fetched_for_a_manifest_that_is_wrong_without_asking() {
    let fixture = fixture(Upstream::with(&[(JAR, b"dep")]), &[]);
    let lines = manifest([line(JAR, found(b"dep")), line("z/z/1/z-1.jar", InputStatus::WithheldSelf)]);
    let (wrong, _) = fixture.checker.contradiction(&lines).await.unwrap().unwrap();
    assert_eq!(wrong.path.as_str(), "z/z/1/z-1.jar");
    assert_eq!(fixture.upstream.most.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_wrong_line_is_found_behind_one_that_nobody_can_look_at() {
    let fixture = fixture(Upstream::with(&[(JAR, b"dep"), (LIST, b"<metadata/>")]), &[]);
    let hidden = line(LIST, found(b"a list that nobody gives"));
    let lines = manifest([hidden, line(JAR, found(b"planted"))]);
    let (wrong, _) = fixture.checker.contradiction(&lines).await.unwrap().unwrap();
    assert_eq!(wrong.path.as_str(), JAR);
}

#[test]
fn a_single_file_is_right_by_the_digest_that_the_specification_names() {
    let own: Coordinates = "org.acme:lib:1".parse().unwrap();
    let mut specification = Specification::default_maven("3.9.11");
    let url = "https://files.example/a.zip".to_owned();
    specification.inputs =
        vec![build_spec::ExtraInput { url, sha256: Sha256::of(b"zip"), path: "lib/a.zip".to_owned() }];
    let rules = Rules::new(Withheld::new([&own]), &specification, None, Natives::default(), state());
    let input =
        |path: &str, status: InputStatus| InputLine { repository: RepositoryId::inputs(), ..line(path, status) };
    assert_eq!(rules.ask(&input("lib/a.zip", found(b"zip"))), Ask::Named);
    for wrong in [
        input("lib/a.zip", found(b"other")),
        input("lib/b.zip", found(b"zip")),
        input("lib/a.zip", InputStatus::Absent),
        input("org/acme/lib/1/lib-1.jar", InputStatus::WithheldSelf),
    ] {
        assert!(matches!(rules.ask(&wrong), Ask::Wrong(_)), "{wrong:?}");
    }
}
