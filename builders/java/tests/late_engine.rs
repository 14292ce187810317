//! An engine that is not there, does not answer, appears later. The engine here is a socket with canned answers.
#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use build_spec::Builder as _;
use java_builder::{JavaBuilder, JavaBuilderConfig};
use pyrsia_digest::Sha256;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};

fn builder(folder: &Path) -> JavaBuilder {
    JavaBuilder::new(JavaBuilderConfig {
        engine: Some(folder.join("engine.sock").to_str().unwrap().to_owned()),
        runtime_dir: folder.join("run"),
        slots_dir: folder.join("slots"),
        temp_dir: Some(folder.to_owned()),
        ..JavaBuilderConfig::default()
    })
}

/// Answers as an engine that holds one container, which a killed process of this runtime folder left behind.
async fn engine(listener: UnixListener, owner: String, requests: Arc<Mutex<Vec<String>>>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(answer(stream, owner.clone(), requests.clone()));
    }
}

async fn answer(stream: UnixStream, owner: String, requests: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if stream.read_line(&mut first).await.unwrap_or(0) == 0 {
            return;
        }
        let mut line = String::new();
        while stream.read_line(&mut line).await.unwrap_or(0) > 2 {
            line.clear();
        }
        let mut words = first.split(' ');
        let (method, path) = (words.next().unwrap(), words.next().unwrap().split('?').next().unwrap().to_owned());
        let (status, body) = match (method, &path) {
            ("GET", path) if path.ends_with("/version") => {
                ("200 OK", r#"{"Version":"1","ApiVersion":"1.41","MinAPIVersion":"1.12"}"#.to_owned())
            }
            ("GET", path) if path.ends_with("/containers/json") => {
                let ours = format!(r#"{{"Id":"stale","Labels":{{"pyrsia.owner":"{owner}"}}}}"#);
                ("200 OK", format!(r#"[{ours},{{"Id":"other","Labels":{{"pyrsia.owner":"elsewhere"}}}}]"#))
            }
            ("DELETE", _) => ("204 No Content", String::new()),
            _ => ("404 Not Found", r#"{"message":"no such thing"}"#.to_owned()),
        };
        requests.lock().unwrap().push(format!("{method} {path}"));
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        let whole = if status.starts_with("204") { "HTTP/1.1 204 No Content\r\n\r\n".to_owned() } else { head + &body };
        if stream.write_all(whole.as_bytes()).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_appears_later_is_found_and_swept_at_the_first_contact() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("engine.sock");
    let builder = builder(folder.path());
    let reason = builder.available().await.unwrap_err();
    assert!(reason.contains("engine.sock"), "{reason}");

    // A socket that a dead engine left.
    drop(UnixListener::bind(&socket).unwrap());
    assert!(builder.available().await.is_err());
    std::fs::remove_file(&socket).unwrap();

    let runtime = folder.path().canonicalize().unwrap().join("run");
    let prefix = Sha256::of(runtime.as_os_str().as_bytes()).to_string();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let task = tokio::spawn(engine(
        UnixListener::bind(&socket).unwrap(),
        format!("{}-o-gone", &prefix[..12]),
        requests.clone(),
    ));
    builder.available().await.unwrap();
    let removals = || {
        let requests = requests.lock().unwrap();
        requests.iter().filter(|request| request.starts_with("DELETE")).cloned().collect::<Vec<_>>()
    };
    for _ in 0..100 {
        if !removals().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // Asking again costs one question, and nothing is swept twice.
    builder.available().await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let removed = removals();
    assert!(removed.len() == 1 && removed[0].ends_with("/containers/stale"), "{removed:?}");
    let lists = requests.lock().unwrap().iter().filter(|request| request.ends_with("/containers/json")).count();
    assert_eq!(lists, 1);

    // It goes away again, and the builder says so.
    task.abort();
    let _ = task.await;
    std::fs::remove_file(&socket).unwrap();
    assert!(builder.available().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_silent_is_given_up_after_two_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let _silent = UnixListener::bind(folder.path().join("engine.sock")).unwrap();
    let builder = builder(folder.path());
    let started = Instant::now();
    assert!(builder.available().await.is_err());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
