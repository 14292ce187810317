//! A registry of container images with one image, as far as an engine that pulls by digest asks.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use pyrsia_digest::Sha256;
use serde_json::{Value, json};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
const CONFIG: &str = "application/vnd.docker.container.image.v1+json";
const LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";
/// The image's name in it.
const NAME: &str = "acme/builder";

/// First byte of a greeting by TLS.
const TLS: u8 = 0x16;

/// What a path has: its content type, and where the bytes are.
enum Object {
    Bytes(&'static str, Vec<u8>),
    File(PathBuf),
}

/// The registry; it ends when dropped.
pub struct Registry {
    address: SocketAddr,
    manifest: Sha256,
    config: Sha256,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Registry {
    /// Serves an image of one layer, which is a file with this SHA-256, and this `config` (variables and so on).
    pub fn start(layer: PathBuf, digest: &Sha256, settings: &Value) -> Self {
        let config = json!({
            "created": "2026-01-01T00:00:00Z",
            "architecture": "amd64",
            "os": "linux",
            "config": settings,
            "rootfs": { "type": "layers", "diff_ids": [format!("sha256:{digest}")] },
            "history": [{ "created": "2026-01-01T00:00:00Z", "created_by": "a test" }],
        });
        let config = config.to_string().into_bytes();
        let config_digest = Sha256::of(&config);
        let size = std::fs::metadata(&layer).expect("the layer").len();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": { "mediaType": CONFIG, "size": config.len(), "digest": format!("sha256:{config_digest}") },
            "layers": [{ "mediaType": LAYER, "size": size, "digest": format!("sha256:{digest}") }],
        });
        let manifest = manifest.to_string().into_bytes();
        let manifest_digest = Sha256::of(&manifest);
        let objects = HashMap::from([
            ("/v2/".to_owned(), Object::Bytes("application/json", b"{}".to_vec())),
            (format!("/v2/{NAME}/manifests/sha256:{manifest_digest}"), Object::Bytes(MANIFEST, manifest)),
            (format!("/v2/{NAME}/blobs/sha256:{config_digest}"), Object::Bytes("application/octet-stream", config)),
            (format!("/v2/{NAME}/blobs/sha256:{digest}"), Object::File(layer)),
        ]);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (stop, objects) = (Arc::clone(&stop), Arc::new(objects));
            move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    let objects = Arc::clone(&objects);
                    // Whether a client hangs up is its own matter.
                    std::thread::spawn(move || answer(stream, &objects).ok());
                }
            }
        });
        Registry { address, manifest: manifest_digest, config: config_digest, stop, thread: Some(thread) }
    }

    /// How the image is named.
    pub fn reference(&self) -> String {
        format!("{}/{NAME}@sha256:{}", self.address, self.manifest)
    }

    /// What an engine that holds it calls it.
    pub fn engine_id(&self) -> String {
        format!("sha256:{}", self.config)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// One request, one answer.
fn answer(mut stream: TcpStream, objects: &HashMap<String, Object>) -> io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut lines = BufReader::new(stream.try_clone()?.take(1 << 16));
    // An engine tries TLS first, and goes on without it only where it is answered in plain words.
    if lines.fill_buf()?.first() == Some(&TLS) {
        return stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    }
    let mut first = String::new();
    lines.read_line(&mut first)?;
    let mut line = String::new();
    while lines.read_line(&mut line)? > 2 {
        line.clear();
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let head = |status: &str, kind: &str, length: u64| {
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nConnection: close\r\n\
             Docker-Distribution-Api-Version: registry/2.0\r\n\r\n"
        )
    };
    match objects.get(path) {
        None => stream.write_all(head("404 Not Found", "application/json", 0).as_bytes()),
        Some(Object::Bytes(kind, bytes)) => {
            stream.write_all(head("200 OK", kind, bytes.len() as u64).as_bytes())?;
            if method == "GET" { stream.write_all(bytes) } else { Ok(()) }
        }
        Some(Object::File(file)) => {
            let mut file = File::open(file)?;
            let length = file.metadata()?.len();
            stream.write_all(head("200 OK", "application/octet-stream", length).as_bytes())?;
            if method == "GET" { io::copy(&mut file, &mut stream).map(drop) } else { Ok(()) }
        }
    }
}
