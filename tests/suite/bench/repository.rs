//! Files that a node has, beside nginx serving the same ones: `wrk` asks both in turns.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use pyrsia_tests::measured::{self, Measured, Series};
use pyrsia_tests::node::Node;
use pyrsia_tests::places;
use pyrsia_tests::process::{self, run};

use super::alone;

/// Rounds, in each of which every server is measured once.
const ROUNDS: usize = 5;
/// Seconds of one measurement.
const SECONDS: u32 = 3;
/// Files beside those that are asked for one at a time, and how many of them are asked for.
const MANY: usize = 200_000;
const PICKED: usize = 10_000;
/// Of these so many in one folder: folders take more room on a disk than the files.
const IN_FOLDER: usize = 100;
/// The folder of all of them.
const GROUP: &str = "org/many";
/// Time in which they must have been brought in: each file is written and made durable.
const IMPORT: Duration = Duration::from_secs(3600);
/// Largest sum of the files of the machine's own repository.
const MIX_BYTES: u64 = 200 << 20;

/// Files that nginx keeps open: more than are asked for, and fewer than a process may have.
const OPEN: usize = 12_000;

/// What is asked for in one case.
struct Case {
    rate: &'static str,
    p99: &'static str,
    method: &'static str,
    /// Paths below `/maven2/`, asked for one after the other.
    paths: Vec<String>,
    /// The node is started anew before each measurement, so that nothing is in its memory.
    cold: bool,
}

pub fn repository() -> Vec<Measured> {
    let folder = places::scratch("bench-repository");
    let files = folder.path().join("files");
    let cases = make_files(&files.join("maven2"));
    let start = |name, workers, kept_open| Nginx::start(&folder.path().join(name), &files, workers, kept_open);
    let (one, two) = (start("one", 1, OPEN), start("two", 2, OPEN));
    // What is filled from keeps no files open: the node asks it once for more of them than a process may have.
    let upstream = start("upstream", 1, 0);
    let upstream = format!("{}/maven2/", upstream.url());
    let mut node = Node::start("bench-repository", &["--no-builder", "--upstream", &upstream]);
    let idle = resident(&node);
    import(&mut node, &files.join("maven2"));
    fill(&node, &files);
    let mut all = Vec::new();
    for case in &cases {
        let list = folder.path().join("paths");
        let targets: Vec<String> = case.paths.iter().map(|path| format!("/maven2/{path}")).collect();
        std::fs::write(&list, targets.join("\n")).expect("a written list");
        let mut asked: BTreeMap<&str, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
        for _ in 0..ROUNDS {
            if case.cold {
                assert_eq!(node.stop(), 0);
                node.start_again();
            }
            for (name, url) in [("own", node.url()), ("one", &one.url()), ("two", &two.url())] {
                let (rate, p99) = match case.method {
                    // `wrk` waits for the body that a HEAD's answer does not have.
                    "HEAD" => ab(&format!("{url}{}", targets[0])),
                    _ => wrk(url, &list),
                };
                let (rates, p99s) = asked.entry(name).or_default();
                rates.push(rate);
                p99s.push(p99);
            }
        }
        let mut take = |name| {
            let (rates, p99s) = asked.remove(name).expect("asked in every round");
            (Series::of(rates), Series::of(p99s))
        };
        let (own, one, two) = (take("own"), take("one"), take("two"));
        let peer = if one.0.median() >= two.0.median() { one } else { two };
        for (id, own, peer) in [(case.rate, own.0, peer.0), (case.p99, own.1, peer.1)] {
            let one = Measured { id, own, peer: Some(peer) };
            println!("{}", measured::line(&one));
            all.push(one);
        }
    }
    all.push(alone("repository-idle-memory", vec![idle]));
    all.push(alone("repository-memory", vec![resident(&node)]));
    all
}

fn make_files(root: &Path) -> Vec<Case> {
    let put = |path: &str, bytes: &[u8]| {
        let file = root.join(path);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a made folder");
        std::fs::write(file, bytes).expect("a written file");
    };
    let noise = |seed: usize, size: usize| -> Vec<u8> {
        // Different bytes for each file: equal ones would be one file for the node.
        let mut state = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut bytes = Vec::with_capacity(size + 8);
        while bytes.len() < size {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        bytes.truncate(size);
        bytes
    };
    let pom = "org/acme/one/1.0/one-1.0.pom";
    put(pom, &noise(1, 2048));
    let sum = format!("{pom}.sha1");
    put(&sum, pyrsia_digest::Sha1::of(&noise(1, 2048)).to_string().as_bytes());
    let (mid, large) = ("org/acme/one/1.0/one-1.0.jar", "org/acme/large/1.0/large-1.0.jar");
    put(mid, &noise(2, 1 << 20));
    put(large, &noise(3, 50 << 20));
    // Neither POMs nor JARs, into which a node looks by itself while others are measured.
    let many = |n: usize| {
        let (artifact, file) = (n / IN_FOLDER, n % IN_FOLDER);
        format!("{GROUP}/a{artifact}/1.0/a{artifact}-1.0-f{file}.txt")
    };
    for number in 0..MANY {
        put(&many(number), &noise(number + 10, 4096));
    }
    let picked = picked(MANY, PICKED).into_iter().map(many).collect();
    let case = |rate, p99, method, paths| Case { rate, p99, method, paths, cold: false };
    let absent = "org/acme/one/1.0/one-1.0-none.jar".to_owned();
    vec![
        case("repository-2k", "repository-2k-p99", "GET", vec![pom.to_owned()]),
        case("repository-sha1", "repository-sha1-p99", "GET", vec![sum]),
        case("repository-404", "repository-404-p99", "GET", vec![absent]),
        case("repository-head", "repository-head-p99", "HEAD", vec![mid.to_owned()]),
        case("repository-1m", "repository-1m-p99", "GET", vec![mid.to_owned()]),
        case("repository-50m", "repository-50m-p99", "GET", vec![large.to_owned()]),
        case("repository-mix", "repository-mix-p99", "GET", mix(root)),
        Case { cold: true, ..case("repository-random", "repository-random-p99", "GET", picked) },
    ]
}

/// So many of the numbers below `all`, each once, in no order of theirs, and the same ones in every run.
fn picked(all: usize, wanted: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..all).collect();
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    for at in 0..wanted {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let left = (all - at) as u64;
        numbers.swap(at, at + (state % left) as usize);
    }
    numbers.truncate(wanted);
    numbers
}

#[test]
fn what_is_picked_are_different_files_from_everywhere() {
    let numbers = picked(MANY, PICKED);
    let different: std::collections::BTreeSet<usize> = numbers.iter().copied().collect();
    assert_eq!((numbers.len(), different.len()), (PICKED, PICKED));
    for tenth in 0..10 {
        let begin = tenth * MANY / 10;
        let of = different.range(begin..begin + MANY / 10).count();
        assert!((PICKED / 20..PICKED / 5).contains(&of), "{of} of the tenth {tenth}");
    }
    assert_eq!(numbers, picked(MANY, PICKED));
}

/// The repository that Debian's Java packages install, as far as it fits.
fn mix(root: &Path) -> Vec<String> {
    let from = Path::new("/usr/share/maven-repo");
    let mut found = Vec::new();
    collect(from, &mut found);
    found.sort();
    let mut sum = 0;
    let mut paths = Vec::new();
    for file in found {
        let path = file.strip_prefix(from).expect("below it").to_string_lossy().into_owned();
        let Ok(bytes) = std::fs::read(&file) else { continue };
        // What changes is never only served.
        if path.contains("maven-metadata") || path.contains("SNAPSHOT") || path.contains("/debian/") {
            continue;
        }
        sum += bytes.len() as u64;
        if sum > MIX_BYTES {
            break;
        }
        let to = root.join(&path);
        std::fs::create_dir_all(to.parent().expect("a folder")).expect("a made folder");
        std::fs::write(to, bytes).expect("a written file");
        paths.push(path);
    }
    assert!(paths.len() > 100, "{} has {} files", from.display(), paths.len());
    paths
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        // Follows links: most of the JARs there are some.
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => collect(&path, found),
            Ok(metadata) if metadata.is_file() => found.push(path),
            _ => {}
        }
    }
}

/// Brings the files into the node, which is stopped meanwhile: asking for so many of them one by one takes longer.
fn import(node: &mut Node, files: &Path) {
    assert_eq!(node.stop(), 0);
    let mut command = pyrsia_tests::node::program();
    command.arg("--data-dir").arg(node.data()).arg("import").arg(files).args(["--trust", "--json"]);
    let report = run(&mut command, IMPORT).expect(0).json();
    assert!(report["taken"]["files"].as_u64() >= Some(MANY as u64), "{report:#}");
    node.start_again();
}

/// Asks the node once for every other file: an import takes files of releases alone.
fn fill(node: &Node, files: &Path) {
    let mut all = Vec::new();
    collect(files, &mut all);
    let paths: Vec<String> = all
        .iter()
        .map(|file| format!("/{}", file.strip_prefix(files).expect("below it").display()))
        .filter(|path| !path.ends_with(".sha1") && !path.starts_with(&format!("/maven2/{GROUP}/")))
        .collect();
    let authority = node.url().trim_start_matches("http://");
    std::thread::scope(|scope| {
        for part in paths.chunks(paths.len().div_ceil(8)) {
            scope.spawn(move || {
                for path in part {
                    let answer = pyrsia_tests::http::send(&format!("http://{authority}"), "GET", path, &[], b"");
                    answer.expect("an answer").expect(200);
                }
            });
        }
    });
}

/// Requests per second and the 99th percentile of their times in ms.
fn wrk(url: &str, list: &Path) -> (f64, f64) {
    let script = list.with_extension("lua");
    let text = format!(
        "local requests, at = {{}}, 0\n\
         function init(args)\n\
           for path in io.lines('{}') do requests[#requests + 1] = wrk.format('GET', path) end\n\
         end\n\
         function request() at = at % #requests + 1; return requests[at] end\n\
         function done(summary, latency)\n\
           io.write(string.format('RESULT %f %f %d\\n', summary.requests / summary.duration * 1e6, \
         latency:percentile(99) / 1e3, summary.errors.read + summary.errors.write + summary.errors.timeout))\n\
         end\n",
        list.display()
    );
    std::fs::write(&script, text).expect("a written script");
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c32", "--timeout", "30s", &format!("-d{SECONDS}s"), "-s"]).arg(&script).arg(url);
    let done = run(&mut command, Duration::from_secs(60)).expect(0);
    let line = done.stdout.lines().find_map(|line| line.strip_prefix("RESULT ")).expect("a result");
    let figures: Vec<f64> = line.split(' ').map(|figure| figure.parse().expect("a number")).collect();
    assert_eq!(figures[2], 0.0, "failed requests\n{}", done.report());
    (figures[0], figures[1])
}

/// The same of HEAD for one address.
fn ab(url: &str) -> (f64, f64) {
    let mut command = Command::new("ab");
    command.args(["-i", "-k", "-c", "32", "-n", "100000", "-q", url]);
    let done = run(&mut command, Duration::from_secs(60)).expect(0);
    let number = |before: &str| -> f64 {
        let line = done.stdout.lines().find_map(|line| line.trim().strip_prefix(before)).expect("a line of the report");
        line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
    };
    assert_eq!(number("Failed requests:"), 0.0, "{}", done.report());
    (number("Requests per second:"), number("99%"))
}

/// Resident memory in MiB.
pub(super) fn resident(node: &Node) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", node.pid())).expect("a running node");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its memory");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib / 1024.0
}

/// A static file server; it ends when dropped.
pub(super) struct Nginx {
    child: Child,
    port: u16,
}

impl Nginx {
    /// Files that are open stay open, up to `kept_open` of them.
    pub(super) fn start(own: &Path, root: &Path, workers: usize, kept_open: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        drop(listener);
        std::fs::create_dir_all(own).expect("a made folder");
        let mut text = format!(
            "worker_processes {workers};\ndaemon off;\npid {0}/pid;\nerror_log {0}/error.log;\n\
             events {{ worker_connections 1024; }}\nhttp {{\naccess_log off;\nsendfile on;\ntcp_nopush on;\n\
             keepalive_requests 100000000;\n{1}\n\
             types {{ application/java-archive jar; text/xml pom xml; }}\n",
            own.display(),
            match kept_open {
                0 => "open_file_cache off;".to_owned(),
                most => format!("open_file_cache max={most} inactive=600s; open_file_cache_valid 600s;"),
            }
        );
        for kind in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
            let _ = writeln!(text, "{kind}_temp_path {}/{kind};", own.display());
        }
        let _ = write!(text, "server {{ listen 127.0.0.1:{port}; root {}; }}\n}}\n", root.display());
        let config = own.join("nginx.conf");
        std::fs::write(&config, text).expect("a written configuration");
        // A root that another account's workers cannot enter would make every answer a 403.
        let user = if is_root() { "user root;" } else { "" };
        let child = Command::new("nginx")
            .arg("-p")
            .arg(own)
            .arg("-c")
            .arg(&config)
            .args(["-g", user])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is installed");
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "nginx does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { child, port }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Asked to end, it ends its workers; killed, it would leave them.
        process::end(&mut self.child, Duration::from_secs(10));
    }
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}
