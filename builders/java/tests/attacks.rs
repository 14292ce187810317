//! Hostile builds in real containers: what they try comes to nothing, and each way to misbehave has an outcome of its own.
//! Needs a container engine, and the repository that this machine's Maven uses.
//!
//! No build tool runs here. A specification may have the sandbox's shell run lines before the build; these run the scripts of
//! the folder `attacks`, which are files of the source, and then end the build.
#![allow(clippy::unwrap_used)] // A test that cannot go on fails.

mod support;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
    RemoveContainerOptionsBuilder, StartContainerOptions,
};
use build_spec::{
    BuildError, BuildLimit, Builder as _, Built, Checkout, GitState, Job, Mode, Newline, NoLog, RunId, SandboxProfile,
    Source, SourceError, SourceRequest, Specification,
};
use java_builder::{Engine, JavaBuilder, JavaBuilderConfig, Limits};
use support::{Kept, Upstream};

const POM: &str = "<project><modelVersion>4.0.0</modelVersion><groupId>org.example</groupId>\
    <artifactId>tiny</artifactId><version>1.0</version></project>";

/// What every hostile source here has in it.
const FILES: [(&str, &str); 9] = [
    ("pom.xml", POM),
    ("attempts.sh", include_str!("attacks/attempts.sh")),
    ("disk.sh", include_str!("attacks/disk.sh")),
    ("for-ever.sh", include_str!("attacks/for-ever.sh")),
    ("heap.sh", include_str!("attacks/heap.sh")),
    ("log.sh", include_str!("attacks/log.sh")),
    ("memory.sh", include_str!("attacks/memory.sh")),
    ("outputs.sh", include_str!("attacks/outputs.sh")),
    ("processes.sh", include_str!("attacks/processes.sh")),
];

/// How long what a build had may take to go away.
const GOES_WITHIN: Duration = Duration::from_secs(20);

struct World {
    engine: Engine,
    image: pyrsia_digest::Sha256,
    upstream: Arc<Upstream>,
    source: Source,
    /// Settings with one build slot and folders of their own.
    config: JavaBuilderConfig,
    folder: tempfile::TempDir,
    // Apart from the other folder, whose path may be too long for a socket.
    _runtime: tempfile::TempDir,
}

/// None without an engine.
async fn world() -> Option<World> {
    let engine = support::engine().await?;
    let image = support::image(&engine, "jdk17").await.digest;
    let folder = tempfile::tempdir().unwrap();
    let runtime = tempfile::Builder::new().prefix("pyrsia-a").rand_bytes(4).tempdir().unwrap();
    let config = hostile_source(folder.path(), runtime.path());
    let source = resolve(&JavaBuilder::new(config.clone()), GitState::None).await.unwrap();
    std::fs::create_dir(folder.path().join("work")).unwrap();
    Some(World { engine, image, upstream: Upstream::open(), source, config, folder, _runtime: runtime })
}

/// Makes the hostile repository; gives settings with which a builder finds it.
fn hostile_source(folder: &Path, runtime: &Path) -> JavaBuilderConfig {
    support::git_repository(&folder.join("acme/tiny"), &FILES);
    JavaBuilderConfig {
        runtime_dir: runtime.join("r"),
        slots_dir: folder.join("slots"),
        slots: Some(1),
        temp_dir: Some(folder.join("temp")),
        ..support::config(folder)
    }
}

async fn resolve(builder: &JavaBuilder, git: GitState) -> Result<Source, SourceError> {
    let request = SourceRequest {
        coordinates: vec!["org.example:tiny:1.0".parse().unwrap()],
        repository: maven_layout::scm::canonical("https://git.example/acme/tiny").unwrap(),
        tag: Some("v1.0".to_owned()),
        commit: None,
        checkout: Some(Checkout { newline: Newline::Lf, git }),
    };
    builder.resolve(&request, Arc::new(NoLog)).await
}

impl World {
    fn builder(&self, limits: Limits) -> JavaBuilder {
        JavaBuilder::new(JavaBuilderConfig { limits, ..self.config.clone() })
    }

    /// A job that runs these lines and no build tool.
    fn job(&self, run: &str, lines: &[&str]) -> Job {
        let exec_before = lines.iter().copied().chain(["exit 0"]).map(str::to_owned).collect();
        Job {
            run: RunId::new(run),
            coordinates: vec!["org.example:tiny:1.0".parse().unwrap()],
            mode: Mode::Native,
            source: self.source.clone(),
            specification: Specification { version: 2, exec_before, ..Specification::default_maven("3.9.9") },
            image: self.image,
            profile: SandboxProfile::v1(),
            work_dir: self.folder.path().join("work"),
        }
    }

    /// Records such a job; what came of it, and its log.
    async fn build(&self, run: &str, lines: &[&str], limits: Limits) -> (Result<Built, BuildError>, Vec<String>) {
        let log = Arc::new(Kept::default());
        let job = self.job(run, lines);
        let recorded = self.builder(limits).record(&job, self.upstream.clone(), log.clone()).await;
        (recorded.and_then(|recorded| recorded.result.map_err(BuildError::from)), log.lines())
    }

    /// Whether anything is left of a run: its container, its socket, files, its slot.
    async fn left_of(&self, run: &str) -> Vec<String> {
        let mut left = Vec::new();
        let label = format!("pyrsia.run={run}");
        let filters = HashMap::from([("label", vec![label.as_str()])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        for container in docker().await.list_containers(Some(options)).await.unwrap() {
            left.push(format!("container {:?}", container.names));
        }
        let mut folders = vec![self.folder.path().join("work"), self.config.temp_dir.clone().unwrap()];
        for owner in entries(&self.config.runtime_dir) {
            left.extend(
                entries(&owner).into_iter().filter(|path| path.is_dir()).map(|path| path.display().to_string()),
            );
        }
        folders.retain(|folder| folder.exists());
        for path in folders.iter().flat_map(|folder| entries(folder)) {
            if path != self.source.archive {
                left.push(path.display().to_string());
            }
        }
        let slot = self.config.slots_dir.join("slot-0");
        if slot.exists() && std::fs::File::open(&slot).unwrap().try_lock().is_err() {
            left.push("the build slot".to_owned());
        }
        left
    }

    /// Fails unless soon nothing is left of a run.
    async fn nothing_is_left_of(&self, run: &str) {
        let start = Instant::now();
        loop {
            let left = self.left_of(run).await;
            if left.is_empty() {
                return;
            }
            assert!(start.elapsed() < GOES_WITHIN, "{run} left behind: {left:#?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Removes what a build made, which is its caller's to keep.
    fn take_away(&self) {
        for path in entries(&self.folder.path().join("work")) {
            std::fs::remove_dir_all(path).unwrap();
        }
    }
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().path()).collect()
}

async fn docker() -> Docker {
    Docker::connect_with_unix_defaults().unwrap().negotiate_version().await.unwrap()
}

/// The words of a line behind a beginning, if it has that.
fn words<'a>(line: &'a str, beginning: &str) -> Option<Vec<&'a str>> {
    Some(line.strip_prefix(beginning)?.split(' ').filter(|word| !word.is_empty()).collect())
}

/// A container that is none of this program's, on the network that the engine gives to everybody.
struct Other {
    name: String,
    address: Option<String>,
    gateway: Option<String>,
}

impl Other {
    const PORT: u16 = 7777;

    async fn start(world: &World) -> Self {
        let (docker, name) = (docker().await, format!("pyrsia-test-other-{}", std::process::id()));
        let image = world.engine.image(&world.image).await.unwrap().unwrap().engine_id;
        let listen = format!("TCP-LISTEN:{},fork,reuseaddr", Self::PORT);
        let command = ["timeout", "300", "socat", &listen, "SYSTEM:echo reached"];
        let body = ContainerCreateBody {
            image: Some(image),
            entrypoint: Some(command.iter().map(|word| (*word).to_owned()).collect()),
            cmd: Some(Vec::new()),
            host_config: Some(HostConfig { auto_remove: Some(true), ..HostConfig::default() }),
            ..ContainerCreateBody::default()
        };
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        docker.create_container(Some(options), body).await.unwrap();
        if let Err(error) = docker.start_container(&name, None::<StartContainerOptions>).await {
            eprintln!("NOT TESTED: other containers; this engine has no network for them: {error}");
            return Self { name, address: None, gateway: None };
        }
        let inspected = docker.inspect_container(&name, None::<InspectContainerOptions>).await.unwrap();
        let networks = inspected.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let network = networks.into_values().find(|network| given(network.ip_address.clone()).is_some());
        let (address, gateway) = network.map(|network| (network.ip_address, network.gateway)).unwrap_or_default();
        let other = Self { name, address: given(address), gateway: given(gateway) };
        if let Some(address) = &other.address {
            let start = Instant::now();
            while tokio::net::TcpStream::connect((address.as_str(), Self::PORT)).await.is_err() {
                assert!(start.elapsed() < GOES_WITHIN, "{address} cannot be reached from outside a sandbox either");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        other
    }

    async fn stop(&self) {
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        let _ = docker().await.remove_container(&self.name, Some(options)).await;
    }
}

/// What the host offers to whoever can reach it, and what nobody in a sandbox may see.
struct Host {
    tcp: TcpListener,
    udp: UdpSocket,
    _socket: std::os::unix::net::UnixListener,
    name: String,
    secret: PathBuf,
    addresses: Vec<String>,
}

impl Host {
    fn open(folder: &Path, gateway: Option<&String>) -> Self {
        use std::os::linux::net::SocketAddrExt as _;
        let tcp = TcpListener::bind("0.0.0.0:0").unwrap();
        let udp = UdpSocket::bind(("0.0.0.0", tcp.local_addr().unwrap().port())).unwrap();
        tcp.set_nonblocking(true).unwrap();
        udp.set_nonblocking(true).unwrap();
        let name = format!("pyrsia-test-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        let secret = folder.join("secret");
        std::fs::write(&secret, "of the host").unwrap();
        let mut addresses = vec!["127.0.0.1".to_owned()];
        addresses.extend(gateway.cloned());
        addresses.extend(own_address().map(|address| address.to_string()));
        let socket = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
        Self { tcp, udp, _socket: socket, name, secret, addresses }
    }

    /// Fails if something came.
    fn nobody_came(&self) {
        let refused = |kind| kind == std::io::ErrorKind::WouldBlock;
        assert!(self.tcp.accept().is_err_and(|error| refused(error.kind())), "the host was reached by TCP");
        assert!(self.udp.recv(&mut [0; 9]).is_err_and(|error| refused(error.kind())), "the host was reached by UDP");
    }
}

/// The address by which this machine would leave for others; nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("198.51.100.1:9").ok()?;
    socket.local_addr().ok().as_ref().map(SocketAddr::ip)
}

/// How an attempt may fail; the others have to fail with one of [`DENIED`].
const REASONS: [(&str, &[&str]); 15] = [
    ("host-tcp-", &["Connection refused", "Network is unreachable"]),
    ("host-udp-", &["", "Network is unreachable"]),
    ("outside-ipv6", &["unreachable", "Cannot assign requested address", "not supported"]),
    ("outside", &["Network is unreachable"]),
    ("metadata-service", &["Network is unreachable"]),
    ("other-container", &["Network is unreachable"]),
    ("name-service", &[""]),
    ("host-abstract-socket", &["Connection refused"]),
    ("socket-/", &["No such file or directory"]),
    ("read-file-", &["No such file or directory", "Permission denied"]),
    ("read-memory-of-kernel", &[""]),
    ("remove-socket", &["Read-only file system", "busy", "Permission denied"]),
    ("write-limits", &[""]),
    ("write-anywhere-on-root", &[""]),
    ("become-root", &[""]),
];
const DENIED: &[&str] =
    &["Operation not permitted", "Permission denied", "Read-only file system", "must be superuser", "No such file"];

/// Why an attempt is not the failure that it should be; none if it is.
fn complaint(name: &str, outcome: &str) -> Option<String> {
    // Over the loopback interface a datagram is sent to nobody without an error.
    if name == "host-udp-1" {
        return None;
    }
    let Some(refused) = outcome.strip_prefix("refused (") else { return Some(format!("{name}: {outcome}")) };
    let (code, said) = refused.split_once("):").unwrap();
    let reasons =
        REASONS.iter().find(|(beginning, _)| name.starts_with(beginning)).map_or(DENIED, |(_, reasons)| *reasons);
    // 124: it hung; 126 and 127: what it needs is not in the image, so nothing was tried.
    let was_tried = !matches!(code, "124" | "126" | "127" | "137");
    let expected = was_tried && reasons.iter().any(|reason| said.contains(reason));
    (!expected).then(|| format!("{name}: {outcome}"))
}

/// What is mounted in a sandbox beside what the engine puts into each container.
const RAM_DISKS: [&str; 5] = ["/run/pyrsia", "/tmp", "/home/builder", "/var/maven/.m2/repository", "/var/maven/app"];

/// Why the mounts are not those that they should be.
fn mount_complaints(mounts: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<String> {
    let of_engine = [
        "/etc/hostname",
        "/etc/hosts",
        "/etc/resolv.conf",
        "/sbin/docker-init",
        "/usr/sbin/docker-init",
        "/run/podman-init",
    ];
    let mut complaints = Vec::new();
    for (place, options) in mounts {
        let below = |folder: &str| *place == folder || place.starts_with(&format!("{folder}/"));
        let fits = match *place {
            "/" | "/etc/passwd" | "/etc/group" => options.contains("ro"),
            "/run/pyrsia.sock" => true,
            place if RAM_DISKS.contains(&place) => options.contains("nosuid") && options.contains("nodev"),
            place if of_engine.contains(&place) => options.contains("ro"),
            _ => below("/proc") || below("/sys") || below("/dev"),
        };
        if !fits {
            complaints.push(format!("mounted: {place} {options:?}"));
        }
    }
    let needed = RAM_DISKS.iter().copied().chain(["/", "/run/pyrsia.sock", "/etc/passwd", "/etc/group"]);
    complaints.extend(needed.filter(|place| !mounts.contains_key(place)).map(|place| format!("not mounted: {place}")));
    complaints
}

/// All that may be in a list of which no more than this may be there.
const ONLY: [(&str, &[&str]); 9] = [
    ("interfaces", &["lo"]),
    ("routes", &[]),
    ("capabilities", &["0000000000000000"]),
    ("restrictions", &["NoNewPrivs=1", "Seccomp=2"]),
    ("account", &["uid=1000(builder)", "gid=1000(builder)", "groups=1000(builder)"]),
    ("sockets", &["/run/pyrsia.sock"]),
    ("disks", &[]),
    (
        "devices",
        &[
            "console", "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin",
            "stdout", "tty", "urandom", "zero",
        ],
    ),
    ("processes", &["docker-init", "catatonit", "sh", "bash", "socat", "sleep", "cat", "sort", "tr"]),
];
const ENVIRONMENT: &[&str] = &[
    "HOME",
    "HOSTNAME",
    "JAVA_HOME",
    "LANG",
    "LC_ALL",
    "LOGNAME",
    "MAVEN_OPTS",
    "MAVEN_SKIP_RC",
    "PATH",
    "PWD",
    "SOURCE_DATE_EPOCH",
    "TZ",
    "USER",
    "container",
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_build_tries_to_reach_is_not_there() {
    let Some(world) = world().await else { return };
    let other = Other::start(&world).await;
    let host = Host::open(world.folder.path(), other.gateway.as_ref());
    let line = format!(
        "HOST_ADDRESSES={} HOST_PORT={} HOST_NAME={} HOST_FILE={} OTHER_ADDRESS={} OTHER_PORT={} bash attempts.sh",
        host.addresses.join(","),
        host.tcp.local_addr().unwrap().port(),
        host.name,
        host.secret.display(),
        other.address.as_deref().unwrap_or_default(),
        Other::PORT,
    );
    let (built, log) = world.build("test-attempts", &[line.as_str(), "bash outputs.sh good"], Limits::default()).await;
    other.stop().await;
    host.nobody_came();
    assert_eq!(built.unwrap().files.len(), 2, "nothing that was tried has hindered the build");

    let attempts: Vec<(&str, &str)> =
        log.iter().filter_map(|line| line.strip_prefix("attempt ")?.split_once(": ")).collect();
    // Those that are listed in the script; of the host's addresses there is one at least, and each is tried in two ways.
    let expected = 36 + 2 * host.addresses.len() + usize::from(other.address.is_some());
    assert_eq!(attempts.len(), expected, "{attempts:#?}");
    let mut complaints: Vec<String> = attempts.iter().filter_map(|(name, outcome)| complaint(name, outcome)).collect();

    let mut mounts: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut seen = 0;
    for line in &log {
        if let Some(words) = words(line, "mount ")
            && let [place, options] = words.as_slice()
        {
            mounts.insert(*place, options.split(',').collect());
        }
        if let Some((request, answer)) = line.strip_prefix("far end ").and_then(|rest| rest.split_once(": ")) {
            seen += 1;
            let expected = if request.starts_with("GET ") { "HTTP/1.1 400 " } else { "HTTP/1.1 405 " };
            if !answer.starts_with(expected) {
                complaints.push(format!("{request}: {answer}"));
            }
        }
        let Some((name, found)) = line.strip_prefix("sees ").and_then(|rest| rest.split_once(':')) else { continue };
        seen += 1;
        let allowed = match name {
            "environment" => ENVIRONMENT,
            name => ONLY.iter().find(|(known, _)| *known == name).unwrap().1,
        };
        let too_much: Vec<&str> = found.split(' ').filter(|word| !word.is_empty() && !allowed.contains(word)).collect();
        if !too_much.is_empty() {
            complaints.push(format!("{name}: {too_much:?} in{found}"));
        }
    }
    assert_eq!(seen, 6 + ONLY.len() + 1, "requests and lists");
    complaints.extend(mount_complaints(&mounts));
    assert!(complaints.is_empty(), "{complaints:#?}");
    world.take_away();
    world.nothing_is_left_of("test-attempts").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_limit_ends_a_build_by_its_name() {
    let Some(world) = world().await else { return };
    let usual = Limits::default;
    let mut complaints = Vec::new();
    for (script, limits, expected) in [
        ("processes.sh", Limits { pids: 64, ..usual() }, BuildLimit::Processes),
        ("memory.sh", Limits { memory_mib: 96, disk_mib: 64, ..usual() }, BuildLimit::Memory),
        ("heap.sh", usual(), BuildLimit::Memory),
        ("disk.sh", Limits { disk_mib: 16, ..usual() }, BuildLimit::Disk),
        ("for-ever.sh", Limits { build_seconds: 8, ..usual() }, BuildLimit::Time),
        ("log.sh", Limits { log_mib: 1, ..usual() }, BuildLimit::Log),
        ("outputs.sh large", Limits { output_mib: 8, ..usual() }, BuildLimit::Outputs),
        ("outputs.sh many", Limits { output_files: 10, ..usual() }, BuildLimit::Outputs),
    ] {
        let start = Instant::now();
        let line = format!("bash {script}");
        let (built, log) = world.build("test-limits", &[line.as_str()], limits).await;
        eprintln!("{script}: {built:?} after {:?}", start.elapsed());
        match &built {
            Err(error @ BuildError::Limit(limit)) if *limit == expected => {
                assert!(!error.is_attestable());
                assert_eq!(error.to_string(), format!("the build ran into its limit of {expected}"));
            }
            other => complaints.push(format!("{script}: {other:?}")),
        }
        if start.elapsed() > Duration::from_secs(90) {
            complaints.push(format!("{script}: it took {:?}", start.elapsed()));
        }
        for words in log.iter().filter_map(|line| words(line, "disk ")) {
            let most = match words[0] {
                "/run/pyrsia:" => 256,
                // The engine's own size for it.
                "/dev/shm:" => 64,
                _ => 16,
            };
            if !words[1].parse::<u64>().is_ok_and(|took| took <= most) {
                complaints.push(format!("{words:?}: more than {most}"));
            }
        }
        world.nothing_is_left_of("test-limits").await;
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_are_files_of_the_release_or_none() {
    let Some(world) = world().await else { return };
    let start = Instant::now();
    let lines = ["bash outputs.sh special", "bash outputs.sh leaves-running"];
    let (built, _) = world.build("test-outputs", &lines, Limits::default()).await;
    let built = built.unwrap();
    let names: Vec<_> = built.files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["tiny-1.0-linked.jar", "tiny-1.0.jar", "tiny-1.0.pom"]);
    for file in &built.files[..2] {
        // What outlives the build has no say in what it made.
        assert_eq!(std::fs::read_to_string(&file.path).unwrap(), "built\n", "{}", file.name);
    }
    assert!(start.elapsed() < Duration::from_secs(60), "something that the build left running was waited for");
    world.take_away();
    world.nothing_is_left_of("test-outputs").await;

    let mut complaints = Vec::new();
    for (attack, expected) in [
        ("link", "made no main artifact of org.example:tiny:1.0"),
        ("folder-link", "made no POM of org.example:tiny:1.0"),
        ("line-in-name", "interfered"),
        ("unreadable", "cannot be collected"),
        ("no-place", "cannot be collected"),
        ("stream", "what is no tar"),
        ("killed", "its sandbox was killed"),
    ] {
        let line = format!("bash outputs.sh {attack}");
        let (built, _) = world.build("test-outputs", &[line.as_str()], Limits::default()).await;
        match built {
            // A fault of the engine would be tried again, and none of these says anything that others would find too.
            Err(error @ (BuildError::NoOutput(_) | BuildError::Interfered(_)))
                if error.to_string().contains(expected) && !error.is_attestable() => {}
            // An engine may not let a build have the stream.
            Err(BuildError::CommandFailed { exit_code: 9, .. }) if attack == "stream" => {}
            other => complaints.push(format!("{attack}: {other:?}")),
        }
        world.nothing_is_left_of("test-outputs").await;
    }
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_can_be_dropped_at_any_moment() {
    let Some(world) = world().await else { return };
    let builder = world.builder(Limits::default());

    // A source: before anything, while git works, and when the tar is about to be done.
    for milliseconds in [0, 1, 2, 4, 8, 16, 32, 64] {
        let limit = Duration::from_millis(milliseconds);
        if let Ok(source) = tokio::time::timeout(limit, resolve(&builder, GitState::History)).await {
            std::fs::remove_file(source.unwrap().archive).unwrap();
        }
    }
    world.nothing_is_left_of("no-run").await;

    // What is to be replayed.
    let good = world.job("test-dropped", &["bash outputs.sh good"]);
    let recorded = builder.record(&good, world.upstream.clone(), Arc::new(NoLog)).await.unwrap();
    recorded.result.unwrap();
    world.take_away();
    world.nothing_is_left_of("test-dropped").await;

    let job = world.job("test-dropped", &["bash for-ever.sh"]);
    for (turn, milliseconds) in [0, 5, 20, 60, 120, 250, 500, 1000, 2000, 4000].into_iter().enumerate() {
        let log = Arc::new(Kept::default());
        let limit = Duration::from_millis(milliseconds);
        let (manifest, files) = (&recorded.manifest, world.upstream.clone());
        let ended = if turn % 2 == 0 {
            tokio::time::timeout(limit, builder.record(&job, files, log.clone())).await.is_ok()
        } else {
            tokio::time::timeout(limit, builder.replay(&job, manifest, files, log.clone())).await.is_ok()
        };
        assert!(!ended, "it ended within {milliseconds} ms");
        // The slot of the one before was free at once.
        assert!(!log.lines().iter().any(|line| line.contains("build slot")), "{milliseconds} ms");
        world.nothing_is_left_of("test-dropped").await;
    }

    // While it waits for its turn.
    let slot = std::fs::File::open(world.config.slots_dir.join("slot-0")).unwrap();
    slot.lock().unwrap();
    let log = Arc::new(Kept::default());
    let waiting = builder.record(&job, world.upstream.clone(), log.clone());
    assert!(tokio::time::timeout(Duration::from_secs(2), waiting).await.is_err());
    assert!(log.lines().iter().any(|line| line.contains("build slot")));
    slot.unlock().unwrap();
    world.nothing_is_left_of("test-dropped").await;

    // When a node ends it waits until the engine has none of its containers any more.
    let build = builder.record(&job, world.upstream.clone(), Arc::new(NoLog));
    assert!(tokio::time::timeout(Duration::from_secs(3), build).await.is_err());
    builder.settle().await;
    let left = world.left_of("test-dropped").await;
    assert!(left.is_empty(), "{left:#?}");
}

/// Programs that git would start, had it anything to do with this repository.
fn arm(repository: &Path, mark: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let program = format!("touch {}", mark.display());
    let hooks = repository.join(".git/hooks");
    std::fs::create_dir_all(&hooks).unwrap();
    for hook in
        ["post-checkout", "post-merge", "post-update", "pre-receive", "reference-transaction", "post-index-change"]
    {
        std::fs::write(hooks.join(hook), format!("#!/bin/sh\n{program}\n")).unwrap();
        std::fs::set_permissions(hooks.join(hook), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let config = repository.join(".git/config");
    let mut text = std::fs::read_to_string(&config).unwrap();
    text.push_str(&format!(
        "[core]\n\tfsmonitor = {program}\n\tsshCommand = {program}\n\tgitProxy = {program}\n\tpager = {program}\n\
         [filter \"evil\"]\n\tsmudge = {program}\n\tclean = {program}\n\tprocess = {program}\n\trequired = true\n\
         [diff \"evil\"]\n\ttextconv = {program}\n[uploadpack]\n\tpackObjectsHook = {program}\n\
         [credential]\n\thelper = !{program}\n[alias]\n\tfetch = !{program}\n"
    ));
    std::fs::write(config, text).unwrap();
}

#[tokio::test]
async fn nothing_that_a_repository_brings_is_run_or_handed_on() {
    let folder = tempfile::tempdir().unwrap();
    let mark = folder.path().join("was-run");
    let config = JavaBuilderConfig { temp_dir: Some(folder.path().join("temp")), ..support::config(folder.path()) };
    let repository = folder.path().join("acme/tiny");
    let attributes = "* filter=evil diff=evil merge=evil\n";
    support::git_repository(&repository, &[("pom.xml", POM), (".gitattributes", attributes), ("a.txt", "as it is\n")]);
    arm(&repository, &mark);
    let builder = JavaBuilder::new(config);
    for git in [GitState::None, GitState::Commit, GitState::History] {
        let source = resolve(&builder, git).await.unwrap();
        let mut files = HashMap::new();
        let mut tar = tar::Archive::new(std::fs::File::open(&source.archive).unwrap());
        for entry in tar.entries().unwrap() {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().display().to_string();
            let mut content = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut content).unwrap();
            files.insert(name, content);
        }
        assert_eq!(files["a.txt"], b"as it is\n");
        assert!(!files.keys().any(|name| name.contains("hooks")), "{:?}", files.keys());
        assert_eq!(files.contains_key(".git/config"), git != GitState::None, "{:?}", files.keys());
        let config = files.get(".git/config").map(|bytes| String::from_utf8_lossy(bytes)).unwrap_or_default();
        assert!(!config.contains("was-run") && !config.contains("evil"), "{config}");
        assert!(!mark.exists(), "a program of the repository was run");
    }
}
