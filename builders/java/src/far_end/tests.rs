use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use build_spec::{
    BuildError, Input, InputError, InputManifest, InputStatus, Inputs, ManifestBlobs, RemoteRepository, RepositoryId,
    Specification, Withheld,
};
use maven_layout::RepoPath;
use pyrsia_digest::{FileDigests, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::*;

const POM: &str = "org/acme/a/1/a-1.pom";

/// Repositories in memory; files lie in a folder.
struct Fake {
    dir: tempfile::TempDir,
    files: HashMap<(&'static str, &'static str), Vec<u8>>,
    calls: AtomicUsize,
}

impl Fake {
    fn new(files: &[(&'static str, &'static str, &[u8])]) -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        for (_, _, content) in files {
            std::fs::write(dir.path().join(Sha256::of(content).to_string()), content).unwrap();
        }
        let files = files.iter().map(|(id, path, content)| ((*id, *path), content.to_vec())).collect();
        Arc::new(Self { dir, files, calls: AtomicUsize::new(0) })
    }
}

#[async_trait]
impl Inputs for Fake {
    async fn get(&self, repository: &RepositoryId, path: &RepoPath) -> Result<Input, InputError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if path.as_str().contains("broken") {
            return Err(InputError::Unavailable {
                repository: repository.to_string(),
                path: path.to_string(),
                problem: "down".to_owned(),
            });
        }
        Ok(match self.files.get(&(repository.as_str(), path.as_str())) {
            Some(content) => {
                Input::found(self.dir.path().join(Sha256::of(content).to_string()), FileDigests::of(content))
            }
            None => Input::Absent,
        })
    }
}

#[async_trait]
impl ManifestBlobs for Fake {
    async fn blob(&self, sha256: &Sha256) -> Option<std::path::PathBuf> {
        let file = self.dir.path().join(sha256.to_string());
        file.exists().then_some(file)
    }
}

fn specification() -> Specification {
    let mut specification = Specification::default_maven("3.9.9");
    specification.repositories =
        vec![RemoteRepository { id: "second".to_owned(), include: vec!["org.second".to_owned()] }];
    specification
}

fn recorder(inputs: &Arc<Fake>) -> Arc<Recorder> {
    limited_recorder(inputs, u64::MAX)
}

fn limited_recorder(inputs: &Arc<Fake>, max_bytes: u64) -> Arc<Recorder> {
    let withheld = Withheld::new(&["org.acme:self:1".parse().unwrap()]);
    Arc::new(Recorder::new(inputs.clone(), Routes::of(&specification()).unwrap(), withheld, max_bytes))
}

fn replayer(manifest: InputManifest, blobs: &Arc<Fake>) -> Arc<Replayer> {
    Arc::new(Replayer::new(manifest, blobs.clone(), Routes::of(&specification()).unwrap()))
}

/// Sends requests over one connection, one after the other; gives status and body of each.
async fn ask(socket: &Path, requests: &[(&str, &str)]) -> Vec<(u16, Vec<u8>)> {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let mut answers = Vec::new();
    for (method, path) in requests {
        let head = format!("{method} /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut got = Vec::new();
        let end = loop {
            if let Some(at) = got.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            assert_ne!(stream.read_buf(&mut got).await.unwrap(), 0, "the connection was closed");
        };
        let head = String::from_utf8(got[..end].to_vec()).unwrap().to_ascii_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length =
            head.split("content-length: ").nth(1).map_or(0, |rest| rest.split('\r').next().unwrap().parse().unwrap());
        let length = if *method == "HEAD" { 0 } else { length };
        while got.len() < end + length {
            assert_ne!(stream.read_buf(&mut got).await.unwrap(), 0, "the body broke off");
        }
        answers.push((status, got.split_off(end)));
    }
    answers
}

async fn with_server(
    answers: Arc<dyn Answers>,
    requests: &[(&str, &str)],
) -> (Vec<(u16, Vec<u8>)>, Option<BuildError>) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let far_end = FarEnd::start(&socket, answers).unwrap();
    let got = ask(&socket, requests).await;
    (got, far_end.reason())
}

#[test]
fn repositories_are_asked_in_the_order_of_the_specification() {
    let list = |ids: &[&str]| {
        let mut specification = specification();
        let listed = ids.iter().map(|id| RemoteRepository { id: (*id).to_owned(), include: vec![] });
        specification.repositories = listed.collect();
        let routes = Routes::of(&specification).unwrap();
        routes.for_path(&POM.parse().unwrap()).map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(list(&[]), ["central"]);
    assert_eq!(list(&["a", "b"]), ["central", "a", "b"]);
    assert_eq!(list(&["a", "central", "b"]), ["a", "central", "b"]);
}

#[tokio::test]
async fn a_record_writes_down_files_and_absences_and_no_checksums() {
    let inputs = Fake::new(&[("central", POM, b"<project/>"), ("second", "org/second/b/1/b-1.jar", b"jar")]);
    let recorder = recorder(&inputs);
    let sha1 = FileDigests::of(b"<project/>").sha1.to_string();
    let (got, reason) = with_server(
        recorder.clone(),
        &[
            ("GET", POM),
            ("GET", &format!("{POM}.sha1")),
            ("HEAD", POM),
            ("GET", "org/acme/none/1/none-1.jar"),
            ("GET", "org/acme/none/1/none-1.jar.md5"),
            ("GET", "org/second/b/1/b-1.jar"),
            ("PUT", POM),
            ("GET", "../etc/passwd"),
            ("GET", "a%2fb"),
            ("GET", "org/second/b/"),
        ],
    )
    .await;
    assert!(reason.is_none());
    let statuses: Vec<u16> = got.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 200, 200, 404, 404, 200, 405, 400, 400, 404]);
    assert_eq!(got[0].1, b"<project/>");
    assert_eq!(got[1].1, sha1.as_bytes());
    let lines: Vec<String> = recorder.manifest().lines().map(|line| line.to_string()).collect();
    let found = |content: &[u8]| format!("200\t{}\t{}", content.len(), Sha256::of(content));
    assert_eq!(
        lines,
        [
            format!("central\t{POM}\t{}", found(b"<project/>")),
            "central\torg/acme/none/1/none-1.jar\t404\t-\t-".to_owned(),
            "central\torg/second/b/1/b-1.jar\t404\t-\t-".to_owned(),
            format!("second\torg/second/b/1/b-1.jar\t{}", found(b"jar")),
        ]
    );
    // Four questions, each asked once.
    assert_eq!(inputs.calls.load(Ordering::Relaxed), 4);
}

#[tokio::test]
async fn own_files_are_withheld_without_asking() {
    let path = "org/acme/self/1/self-1.jar";
    let inputs = Fake::new(&[("central", path, b"published")]);
    let recorder = recorder(&inputs);
    let requests = [("GET", path), ("GET", "org/acme/self/1/self-1.jar.sha1"), ("GET", "org/acme/self/1/deeper/x")];
    let (got, reason) = with_server(recorder.clone(), &requests).await;
    assert!(reason.is_none());
    assert!(got.iter().all(|(status, _)| *status == 404));
    assert_eq!(inputs.calls.load(Ordering::Relaxed), 0);
    assert!(recorder.manifest().lines().all(|line| line.status == InputStatus::WithheldSelf));
    // Another version, and metadata of the artifact, are not the release.
    let (got, _) = with_server(recorder, &[("GET", "org/acme/self/2/self-2.jar")]).await;
    assert_eq!(got[0].0, 404);
    assert_eq!(inputs.calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn listings_are_nobodys_input() {
    let inputs = Fake::new(&[("central", ".meta/prefixes.txt", b"## repository-prefixes/2.0\n")]);
    let recorder = recorder(&inputs);
    let wanted = [("GET", ""), ("GET", "org/acme/"), ("GET", ".meta/prefixes.txt"), ("HEAD", ".meta/prefixes.txt")];
    let (got, reason) = with_server(recorder.clone(), &wanted).await;
    assert!(got.iter().all(|(status, _)| *status == 404) && reason.is_none(), "{got:?} {reason:?}");
    assert_eq!(recorder.manifest().len(), 0);
}

#[tokio::test]
async fn snapshots_and_failing_inputs_end_the_build_by_name() {
    let inputs = Fake::new(&[]);
    let (_, reason) = with_server(recorder(&inputs), &[("GET", "a/b/1-SNAPSHOT/maven-metadata.xml")]).await;
    assert!(matches!(reason, Some(BuildError::Snapshot(path)) if path.contains("1-SNAPSHOT")));
    let (got, reason) = with_server(recorder(&inputs), &[("GET", "a/broken/1/broken-1.jar"), ("GET", POM)]).await;
    assert_eq!(got[0].0, 500);
    assert!(matches!(reason, Some(BuildError::UpstreamFailed(text)) if text.contains("broken-1.jar")));
}

#[test]
fn an_upstream_that_fails_is_told_from_a_file_that_is_not_there() {
    let unavailable = InputError::Unavailable {
        repository: "central".to_owned(),
        path: POM.to_owned(),
        problem: "503 after 4 tries".to_owned(),
    };
    let error = not_had(unavailable);
    assert!(matches!(error, BuildError::UpstreamFailed(_)));
    let text = error.to_string();
    assert!(text.contains("upstream failed") && text.contains("try again") && text.contains("503"), "{text}");
    assert!(!error.is_attestable());
    let withheld = InputError::Withheld { path: POM.to_owned(), problem: "blocked".to_owned() };
    assert!(matches!(not_had(withheld), BuildError::InputsUnavailable(_)));
    assert!(matches!(not_had(InputError::UnknownRepository("x".to_owned())), BuildError::InputsUnavailable(_)));
}

#[tokio::test]
async fn the_sum_of_the_answers_is_limited() {
    let (first, second) = ("a/b/1/b-1.jar", "a/c/1/c-1.jar");
    let inputs = Fake::new(&[("central", first, b"123456"), ("central", second, b"12345")]);
    // The same file again costs nothing.
    let requests = [("GET", first), ("GET", first), ("GET", second)];
    let (got, reason) = with_server(limited_recorder(&inputs, 11), &requests).await;
    assert!(reason.is_none() && got.iter().all(|(status, _)| *status == 200));
    let recorder = limited_recorder(&inputs, 10);
    let (got, reason) = with_server(recorder.clone(), &requests).await;
    assert_eq!(got.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 200, 500]);
    assert!(matches!(reason, Some(BuildError::Limit(build_spec::BuildLimit::Disk))));
    assert_eq!(recorder.manifest().len(), 1);
}

#[tokio::test]
async fn a_replay_knows_the_manifest_and_nothing_else() {
    let inputs = Fake::new(&[("central", POM, b"<project/>"), ("second", "org/second/b/1/b-1.jar", b"jar")]);
    let recorder = recorder(&inputs);
    let requests = [("GET", POM), ("GET", "org/second/b/1/b-1.jar"), ("GET", "org/acme/self/1/self-1.jar")];
    let (recorded, _) = with_server(recorder.clone(), &requests).await;
    let calls = inputs.calls.load(Ordering::Relaxed);
    let (replayed, reason) = with_server(replayer(recorder.manifest(), &inputs), &requests).await;
    assert_eq!(replayed, recorded);
    assert!(reason.is_none());
    assert_eq!(inputs.calls.load(Ordering::Relaxed), calls, "a replay must not ask the inputs");

    let (got, reason) = with_server(
        replayer(recorder.manifest(), &inputs),
        &[("GET", &format!("{POM}.sha512")), ("GET", "x/y/1/y-1.jar")],
    )
    .await;
    assert_eq!(got[0].1, FileDigests::of(b"<project/>").sha512.to_string().as_bytes());
    assert!(matches!(reason, Some(BuildError::Undeclared { repository, path })
        if repository == "central" && path == "x/y/1/y-1.jar"));
}

#[tokio::test]
async fn a_blob_that_is_damaged_or_gone_is_not_served() {
    let inputs = Fake::new(&[("central", POM, b"<project/>")]);
    let recorder = recorder(&inputs);
    with_server(recorder.clone(), &[("GET", POM)]).await;
    let blob = inputs.dir.path().join(Sha256::of(b"<project/>").to_string());
    std::fs::write(&blob, b"<projeXt/>").unwrap();
    let (got, reason) = with_server(replayer(recorder.manifest(), &inputs), &[("GET", POM)]).await;
    assert_eq!(got[0].0, 500);
    assert!(matches!(reason, Some(BuildError::InputsUnavailable(_))));
    std::fs::remove_file(&blob).unwrap();
    let (_, reason) = with_server(replayer(recorder.manifest(), &inputs), &[("GET", POM)]).await;
    assert!(matches!(reason, Some(BuildError::InputsUnavailable(text)) if text.contains("not in the store")));
}

#[tokio::test]
async fn a_large_file_is_streamed_whole() {
    let large: Vec<u8> = (0..9_000_000u32).map(|number| (number % 251) as u8).collect();
    let path = "org/acme/big/1/big-1.jar";
    let inputs = Fake::new(&[("central", path, &large)]);
    let recorder = recorder(&inputs);
    let (got, _) = with_server(recorder.clone(), &[("GET", path), ("HEAD", path)]).await;
    assert!(got[0] == (200, large.clone()) && got[1] == (200, Vec::new()));
    let (got, _) = with_server(replayer(recorder.manifest(), &inputs), &[("GET", path)]).await;
    assert!(got[0] == (200, large));
}

#[tokio::test]
async fn many_connections_get_one_answer() {
    let inputs = Fake::new(&[("central", POM, b"<project/>")]);
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let _far_end = FarEnd::start(&socket, recorder(&inputs)).unwrap();
    let clients = (0..150).map(|_| {
        let socket = socket.clone();
        tokio::spawn(async move { ask(&socket, &[("GET", POM)]).await })
    });
    for client in clients.collect::<Vec<_>>() {
        assert_eq!(client.await.unwrap()[0], (200, b"<project/>".to_vec()));
    }
    assert_eq!(inputs.calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_request_that_does_not_end_is_cut_off() {
    let inputs = Fake::new(&[("central", POM, b"<project/>")]);
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let far_end = FarEnd::start(&socket, recorder(&inputs)).unwrap();
    let many = [&b"X-Many: "[..], &[b'x'; 4000], b"\r\n"].concat();
    let requests: [(&[u8], &[u8]); 2] = [(b"GET /x HTTP/1.1\r\n", &many), (b"GET /", &[b'x'; 4000])];
    for (beginning, piece) in requests {
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        stream.write_all(beginning).await.unwrap();
        let mut sent = 0;
        while stream.write_all(piece).await.is_ok() {
            sent += piece.len();
            assert!(sent < 64 * 1024 * 1024, "{sent} bytes of one request were taken");
        }
    }
    assert!(far_end.reason().is_none());
    assert_eq!(ask(&socket, &[("GET", POM)]).await[0].0, 200, "others are answered as before");
}
