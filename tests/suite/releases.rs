//! Releases that other people published: rebuilt by four authorities in containers, from the source that was published with
//! them, and compared with the JARs that Maven Central has.
//!
//! Each release's `source-release.zip` is unpacked into a git repository with the release's tag, which stands in the place
//! that its own POM names. Between the authorities and Maven Central stands one server of the test, which alters one JAR.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use pyrsia_tests::clients::{Maven, MavenUser, jar_tool, unpack};
use pyrsia_tests::devnet::Devnet;
use pyrsia_tests::node::BUILD;
use pyrsia_tests::process::{self, until};
use pyrsia_tests::sources::git;
use pyrsia_tests::upstream::Upstream;
use pyrsia_tests::{engine, http, places};
use serde_json::Value;

use crate::fixture::{Shared, central};

/// Where the POMs of all of them say that their sources are.
const SCM: &str = "https://gitbox.apache.org/repos/asf/";
/// What the releases were made with; none of it needs anybody's approval.
const SPECIFICATION: &str = r#"version = 1
tool = "maven-3.6.3"
jdk = 17
goals = ["clean", "package"]
profiles = ["apache-release"]
umask = "0002"
[properties]
skipTests = ""
"maven.javadoc.skip" = ""
"gpg.skip" = ""
"#;
const DIFFERENT: i32 = 17;

/// A release and the name of its repository.
struct Published {
    group: &'static str,
    artifact: &'static str,
    version: &'static str,
    repository: &'static str,
}

const SHARED: &str = "org.apache.maven.shared";
const IDENTICAL: [Published; 3] = [
    Published { group: "org.apache.maven", artifact: "maven-archiver", version: "3.6.1", repository: "maven-archiver" },
    Published { group: SHARED, artifact: "maven-filtering", version: "3.3.1", repository: "maven-filtering" },
    Published { group: SHARED, artifact: "maven-shared-utils", version: "3.4.2", repository: "maven-shared-utils" },
];
/// The one whose JAR the upstream of this network has altered.
const ALTERED: Published =
    Published { group: SHARED, artifact: "file-management", version: "3.1.0", repository: "maven-file-management" };

impl Published {
    fn gav(&self) -> String {
        format!("{}:{}:{}", self.group, self.artifact, self.version)
    }

    fn tag(&self) -> String {
        format!("{}-{}", self.artifact, self.version)
    }

    fn file(&self, rest: &str) -> String {
        let folder = format!("{}/{}/{}", self.group.replace('.', "/"), self.artifact, self.version);
        format!("{folder}/{}-{}{rest}", self.artifact, self.version)
    }
}

/// The network after all of them were built.
struct Rebuilt {
    net: Devnet,
    // What the network asks lives as long as the network.
    _upstream: Upstream,
    most_containers: usize,
}

fn shared() -> &'static Rebuilt {
    static REBUILT: Shared<Rebuilt> = Shared::new();
    REBUILT.get(rebuild_all)
}

fn rebuild_all() -> Rebuilt {
    engine::require();
    // One cache for everybody, so that Maven Central is asked for each file once.
    let central = central();
    let upstream = Upstream::in_front_of(&central.maven2());
    let sources = places::run_folder().join("release-sources");
    for release in IDENTICAL.iter().chain([&ALTERED]) {
        source_of(release, &upstream, &sources);
    }
    upstream.put(&ALTERED.file(".jar"), altered(&central.artifact(&ALTERED.file(".jar")).expect(200).body));

    let mirror = format!("{SCM}=file://{}/", sources.display());
    let net = Devnet::start("releases", &["--upstream", &upstream.url(), "--source-mirror", &mirror]);
    let specification = sources.join("specification.toml");
    std::fs::write(&specification, SPECIFICATION).expect("a specification");
    let arguments = |release: &Published| {
        ["build", &release.gav(), "--tag", &release.tag(), "--spec", &specification.to_string_lossy()]
            .map(str::to_owned)
    };
    // All are asked for at once; they share the places for containers.
    for release in IDENTICAL.iter().chain([&ALTERED]) {
        net.cli(&arguments(release)).expect(0);
    }
    let runtimes = net.runtime_dirs();
    let (done, most) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                most.fetch_max(engine::running_of(&runtimes), Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for (release, code) in IDENTICAL.iter().map(|release| (release, 0)).chain([(&ALTERED, DIFFERENT)]) {
                let waited: Vec<String> = arguments(release).into_iter().chain(["--wait".to_owned()]).collect();
                // As long as several builds.
                process::run(&mut net.command(&net.plain(), &waited), 2 * BUILD).expect(code);
            }
        }));
        done.store(true, Ordering::SeqCst);
        if let Err(panic) = outcome {
            std::panic::resume_unwind(panic);
        }
    });
    Rebuilt { net, _upstream: upstream, most_containers: most.into_inner() }
}

/// A bare repository with the published source under the release's tag.
fn source_of(release: &Published, upstream: &Upstream, sources: &Path) {
    let folder = places::scratch("source-release");
    let url = format!("{}{}", upstream.url(), release.file("-source-release.zip"));
    unpack(&http::get(&url).expect(200).body, folder.path());
    let tree = folder.path().join(release.tag());
    git(&tree, &["init", "-q"]);
    git(&tree, &["add", "-A", "-f"]);
    git(&tree, &["commit", "-q", "-m", &release.tag()]);
    git(&tree, &["tag", &release.tag()]);
    let bare = sources.join(format!("{}.git", release.repository));
    git(&tree, &["clone", "-q", "--bare", ".", &bare.to_string_lossy()]);
}

/// The JAR with one file more.
fn altered(original: &[u8]) -> Vec<u8> {
    let folder = places::scratch("altered");
    std::fs::write(folder.path().join("altered.jar"), original).expect("a file");
    std::fs::write(folder.path().join("planted.txt"), "what no source has").expect("a file");
    jar_tool(folder.path(), &["--update", "--file", "altered.jar", "planted.txt"]);
    std::fs::read(folder.path().join("altered.jar")).expect("a file")
}

/// The verdict, once the last authority has said what it found: a quorum is faster than all.
fn verdict(release: &Published) -> Value {
    let ask = || shared().net.cli(&["inspect", &release.gav(), "--json"]).expect(0).json()["verdict"].clone();
    let whole = until(BUILD, || Some(ask()).filter(|verdict| file(verdict, &release.file(".jar")).1 == 4));
    whole.unwrap_or_else(|| panic!("somebody is silent about {}: {:#}", release.gav(), ask()))
}

/// The outcome of a file, and how many authorities agree on it.
fn file<'a>(verdict: &'a Value, name: &str) -> (&'a str, usize) {
    let files = verdict["files"].as_array().expect("files");
    let found = files.iter().find(|file| file["path"] == name).unwrap_or_else(|| panic!("no {name} in {verdict:#}"));
    let agree = ["agreed_by", "agreed_later"].map(|list| found[list].as_array().map_or(0, Vec::len));
    (found["comparison"].as_str().unwrap_or_default(), agree.iter().sum())
}

#[test]
fn four_authorities_find_published_releases_identical() {
    let rebuilt = shared();
    for release in &IDENTICAL {
        let verdict = verdict(release);
        assert_eq!(verdict["verdict"], "identical", "{verdict:#}");
        for rest in [".jar", ".pom"] {
            let (state, agree) = file(&verdict, &release.file(rest));
            assert_eq!((state, agree), ("identical", 4), "{verdict:#}");
            let served = rebuilt.net.artifact("node", &release.file(rest)).expect(200);
            assert_eq!(served.header("x-pyrsia-provenance"), Some("verified"));
        }
    }
    // Not everything that was published is what the source makes, and the node says so of each file.
    let sources = IDENTICAL[0].file("-sources.jar");
    assert_eq!(file(&verdict(&IDENTICAL[0]), &sources).0, "equivalent");
    let served = rebuilt.net.artifact("node", &sources).expect(200);
    assert_eq!(served.header("x-pyrsia-provenance"), Some("equivalent"));
    let javadoc = rebuilt.net.artifact("node", &IDENTICAL[1].file("-javadoc.jar")).expect(200);
    assert_eq!(javadoc.header("x-pyrsia-provenance"), Some("unverified"));
}

#[test]
fn what_maven_got_through_the_plain_node_is_verified() {
    let rebuilt = shared();
    let plain = rebuilt.net.plain();
    let user = MavenUser::new(&format!("{}/maven2/", plain.url), "*");
    let project = places::scratch("consumer");
    let dependency = |release: &Published| {
        format!(
            "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version><exclusions><exclusion>\
             <groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>",
            release.group, release.artifact, release.version
        )
    };
    let pom = std::fs::read_to_string(places::sample("greeting-lib").join("pom.xml")).expect("a POM");
    let wanted: String = IDENTICAL.iter().chain([&ALTERED]).map(dependency).collect();
    let pom = pom.replace("<build>", &format!("<dependencies>{wanted}</dependencies><build>"));
    std::fs::write(project.path().join("pom.xml"), pom).expect("a POM");
    let source = project.path().join("src/main/java");
    std::fs::create_dir_all(&source).expect("a folder");
    std::fs::write(source.join("One.java"), "class One {}").expect("a class");
    user.run(&Maven::of_the_machine(), project.path(), &["-q", "compile"]).expect(0);
    let verify = |release: &Published| {
        user.local_file(&release.file(".jar"));
        let mut command = rebuilt.net.command(&plain, &["verify", &release.gav()]);
        process::run(command.env("HOME", user.home()), Duration::from_secs(60))
    };
    for release in &IDENTICAL {
        let done = verify(release).expect(0);
        assert!(done.stdout.contains("bit for bit"), "{}", done.report());
    }
    // The altered one is what the upstream has, so Maven takes it; the source says otherwise.
    let done = verify(&ALTERED).expect(DIFFERENT);
    assert!(done.stdout.contains(&ALTERED.gav()), "{}", done.report());
}

#[test]
fn an_altered_jar_is_different_for_all_and_marked() {
    let rebuilt = shared();
    let verdict = verdict(&ALTERED);
    assert_eq!(verdict["verdict"], "different", "{verdict:#}");
    assert_eq!(file(&verdict, &ALTERED.file(".jar")), ("different", 4), "{verdict:#}");
    assert_eq!(file(&verdict, &ALTERED.file(".pom")).0, "identical", "{verdict:#}");
    let served = rebuilt.net.artifact("node", &ALTERED.file(".jar")).expect(200);
    assert_eq!(served.header("x-pyrsia-provenance"), Some("different"));
}

#[test]
fn no_more_containers_run_than_there_are_processors() {
    let rebuilt = shared();
    let processors = std::thread::available_parallelism().expect("a number of processors").get();
    let most = rebuilt.most_containers;
    // There was more to do than places all the time.
    assert!((processors.min(2)..=processors).contains(&most), "{most} containers at once, {processors} processors");
}
