//! A repository server whose every answer a test decides: files with checksums, and everything that goes wrong.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use pyrsia_digest::{Md5, Sha1, Sha256, Sha512};

use crate::http;

/// What a path answers instead of its file.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// This status, without a body, with `Retry-After` when given, this many times; then as usual.
    Status {
        /// The status code.
        code: u16,
        /// Seconds for `Retry-After`.
        retry_after: Option<u32>,
        /// How often.
        times: usize,
    },
    /// The file, after this time.
    Delay(Duration),
    /// The file with one bit changed; its checksum files still speak of the original.
    FlipBit {
        /// The byte's index.
        at: usize,
    },
    /// The announced length, but only the first `keep` bytes; then the connection closes.
    Truncate {
        /// Bytes that are sent.
        keep: usize,
    },
}

/// When files that a test puts were changed last.
pub const MODIFIED: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

#[derive(Default)]
struct Content {
    /// Another repository, asked for what is not here.
    behind: Option<String>,
    /// What it has answered: files with their times, and absences.
    fetched: HashMap<String, Option<(Vec<u8>, String)>>,
    files: HashMap<String, Vec<u8>>,
    behaviours: HashMap<String, Behaviour>,
    requests: Vec<(String, String)>,
    /// The value of `Authorization` without which there is no answer.
    demanded: Option<String>,
    /// What every answer takes longer.
    far: Duration,
}

/// The server; it ends when dropped.
pub struct Upstream {
    address: SocketAddr,
    content: Arc<Mutex<Content>>,
    stop: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Starts a server without files.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback can be bound");
        let address = listener.local_addr().expect("a bound socket has an address");
        let content = Arc::new(Mutex::new(Content::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let acceptor = {
            let (content, stop) = (Arc::clone(&content), Arc::clone(&stop));
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    let content = Arc::clone(&content);
                    // A client that goes away is no fault of the server's.
                    std::thread::spawn(move || drop(serve(stream, &content)));
                }
            })
        };
        Upstream { address, content, stop, acceptor: Some(acceptor) }
    }

    /// Starts a server that asks `url` (`http://`, ending in a slash) once for whatever it does not have.
    pub fn in_front_of(url: &str) -> Self {
        let server = Self::start();
        server.content().behind = Some(url.to_owned());
        server
    }

    /// The repository's address, ending in a slash.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Puts a file; `.sha1 .md5 .sha256 .sha512` of it are answered too, unless put by themselves.
    pub fn put(&self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.content().files.insert(path.to_owned(), bytes.into());
    }

    /// Puts a minimal release: a POM and a JAR with these bytes.
    pub fn put_release(&self, group: &str, artifact: &str, version: &str, jar: impl Into<Vec<u8>>) {
        let folder = format!("{}/{artifact}/{version}", group.replace('.', "/"));
        self.put(&format!("{folder}/{artifact}-{version}.jar"), jar);
        self.put(
            &format!("{folder}/{artifact}-{version}.pom"),
            format!(
                "<project><modelVersion>4.0.0</modelVersion><groupId>{group}</groupId>\
                 <artifactId>{artifact}</artifactId><version>{version}</version></project>\n"
            ),
        );
    }

    /// Puts every file under a folder, under its path relative to it.
    pub fn put_tree(&self, folder: &Path) {
        let mut open = vec![folder.to_owned()];
        while let Some(next) = open.pop() {
            for entry in std::fs::read_dir(&next).expect("a readable folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    open.push(path);
                } else if let Ok(relative) = path.strip_prefix(folder) {
                    self.put(&relative.to_string_lossy(), std::fs::read(&path).expect("a readable file"));
                }
            }
        }
    }

    /// Removes a file.
    pub fn remove(&self, path: &str) {
        self.content().files.remove(path);
    }

    /// Sets what a path does from now on.
    pub fn behave(&self, path: &str, behaviour: Behaviour) {
        self.content().behaviours.insert(path.to_owned(), behaviour);
    }

    /// From now on it is this far away: every answer takes so much longer.
    pub fn move_away(&self, time: Duration) {
        self.content().far = time;
    }

    /// From now on nothing is answered without this value of `Authorization`.
    pub fn demand(&self, authorization: &str) {
        self.content().demanded = Some(authorization.to_owned());
    }

    /// Back to normal for a path.
    pub fn mend(&self, path: &str) {
        self.content().behaviours.remove(path);
    }

    /// How often a path was asked for with GET.
    pub fn gets(&self, path: &str) -> usize {
        let wanted = ("GET".to_owned(), path.to_owned());
        self.content().requests.iter().filter(|request| **request == wanted).count()
    }

    /// Every request so far: method and path.
    pub fn requests(&self) -> Vec<(String, String)> {
        self.content().requests.clone()
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn serve(mut stream: TcpStream, content: &Mutex<Content>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    let mut words = first.split_whitespace();
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(());
    };
    let mut authorization = None;
    let mut line = String::new();
    while reader.read_line(&mut line)? > 2 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("authorization")
        {
            authorization = Some(value.trim().to_owned());
        }
        line.clear();
    }
    let path = target.trim_start_matches('/').to_owned();
    let (mut file, behaviour, behind, far) = {
        let mut content = content.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        content.requests.push((method.to_owned(), path.clone()));
        if content.demanded.is_some() && content.demanded != authorization {
            let head = "HTTP/1.1 401 Who\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            return stream.write_all(head.as_bytes());
        }
        let own = lookup(&content.files, &path).map(|bytes| (bytes, MODIFIED.to_owned()));
        let known = own.map(Some).or_else(|| content.fetched.get(&path).cloned());
        let behind = content.behind.clone().filter(|_| known.is_none());
        (known.flatten(), take_behaviour(&mut content.behaviours, &path), behind, content.far)
    };
    std::thread::sleep(far);
    if let Some(url) = behind {
        let answer = http::try_get(&format!("{url}{path}"))?;
        file = match answer.status {
            200 => {
                let modified = answer.header("last-modified").unwrap_or(MODIFIED).to_owned();
                Some((answer.body, modified))
            }
            404 => None,
            // Not a word about the file: the client may ask again.
            status => {
                let head = format!("HTTP/1.1 {status} Passed\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                return stream.write_all(head.as_bytes());
            }
        };
        let mut content = content.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        content.fetched.insert(path.clone(), file.clone());
    }
    match behaviour {
        Some(Behaviour::Status { code, retry_after, .. }) => {
            let retry = retry_after.map_or(String::new(), |seconds| format!("Retry-After: {seconds}\r\n"));
            let head = format!("HTTP/1.1 {code} Scripted\r\n{retry}Content-Length: 0\r\nConnection: close\r\n\r\n");
            return stream.write_all(head.as_bytes());
        }
        Some(Behaviour::Delay(time)) => std::thread::sleep(time),
        Some(Behaviour::FlipBit { .. } | Behaviour::Truncate { .. }) | None => {}
    }
    let Some((mut bytes, modified)) = file else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    };
    let length = bytes.len();
    match behaviour {
        Some(Behaviour::FlipBit { at }) => bytes[at] ^= 1,
        Some(Behaviour::Truncate { keep }) => bytes.truncate(keep),
        _ => {}
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nLast-Modified: {modified}\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    if method != "HEAD" {
        stream.write_all(&bytes)?;
    }
    Ok(())
}

fn take_behaviour(behaviours: &mut HashMap<String, Behaviour>, path: &str) -> Option<Behaviour> {
    let behaviour = behaviours.get_mut(path)?;
    if let Behaviour::Status { times, .. } = behaviour {
        if *times == 0 {
            behaviours.remove(path);
            return None;
        }
        *times -= 1;
    }
    Some(behaviour.clone())
}

fn lookup(files: &HashMap<String, Vec<u8>>, path: &str) -> Option<Vec<u8>> {
    if let Some(bytes) = files.get(path) {
        return Some(bytes.clone());
    }
    let (of, extension) = path.rsplit_once('.')?;
    let bytes = files.get(of)?;
    let digest = match extension {
        "md5" => Md5::of(bytes).to_string(),
        "sha1" => Sha1::of(bytes).to_string(),
        "sha256" => Sha256::of(bytes).to_string(),
        "sha512" => Sha512::of(bytes).to_string(),
        _ => return None,
    };
    Some(digest.into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_checksums_and_absence() {
        let server = Upstream::start();
        server.put("a/b.jar", *b"hello");
        let url = server.url();
        assert_eq!(http::get(&format!("{url}a/b.jar")).expect(200).body, b"hello");
        assert_eq!(http::get(&format!("{url}a/b.jar.sha1")).text(), "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d");
        http::get(&format!("{url}a/c.jar")).expect(404);
        assert_eq!((server.gets("a/b.jar"), server.requests().len()), (1, 3));
    }

    #[test]
    fn scripted_faults() {
        let server = Upstream::start();
        server.put("x", *b"abc");
        let url = format!("{}x", server.url());
        server.behave("x", Behaviour::Status { code: 429, retry_after: Some(1), times: 1 });
        assert_eq!(http::get(&url).expect(429).header("retry-after"), Some("1"));
        assert_eq!(http::get(&url).expect(200).body, b"abc");
        server.behave("x", Behaviour::FlipBit { at: 0 });
        assert_eq!(http::get(&url).body, b"`bc");
        server.behave("x", Behaviour::Truncate { keep: 1 });
        assert!(http::send(&server.url(), "GET", "/x", &[], b"").is_err());
    }

    #[test]
    fn another_repository_is_asked_once_for_what_is_not_here() {
        let behind = Upstream::start();
        behind.put("a/x.jar", *b"theirs");
        behind.put("a/y.jar", *b"theirs");
        let server = Upstream::in_front_of(&behind.url());
        server.put("a/y.jar", *b"altered");
        for _ in 0..2 {
            assert_eq!(http::get(&format!("{}a/x.jar", server.url())).expect(200).body, b"theirs");
            assert_eq!(http::get(&format!("{}a/y.jar", server.url())).expect(200).body, b"altered");
            http::get(&format!("{}a/z.jar", server.url())).expect(404);
        }
        assert_eq!((behind.gets("a/x.jar"), behind.gets("a/y.jar"), behind.gets("a/z.jar")), (1, 0, 1));
        let sum = http::get(&format!("{}a/y.jar.sha1", server.url())).expect(200).text();
        assert_eq!(sum, Sha1::of(b"altered").to_string());
    }
}
