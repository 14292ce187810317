//! The clients that people use: Maven 3.8.7 and Gradle from the machine, other Mavens that come through the node; each with
//! empty caches. [`others`] has those that are neither, [`caches`] what they keep.

pub mod caches;
pub mod others;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tempfile::TempDir;

use crate::process::{Finished, run};
use crate::{http, places};

/// How long a client may take that downloads its plugins through a cold node.
const CLIENT: Duration = Duration::from_secs(600);
/// The newer Maven, as it lies on Central; the recipe for the builder pins the same release.
const NEWER_MAVEN: &str = "3.9.9";

/// Proxies that lead nowhere: a Java program with these reaches the node, and nothing beside it.
pub const NOWHERE: [&str; 6] = [
    "-Dhttp.proxyHost=127.0.0.1",
    "-Dhttp.proxyPort=9",
    "-Dhttps.proxyHost=127.0.0.1",
    "-Dhttps.proxyPort=9",
    "-Dhttp.nonProxyHosts=127.0.0.1|localhost",
    "-Dhttps.nonProxyHosts=127.0.0.1|localhost",
];

/// A Maven installation.
#[derive(Clone, Debug)]
pub struct Maven {
    program: PathBuf,
}

impl Maven {
    /// The machine's Maven.
    pub fn of_the_machine() -> Self {
        Maven { program: PathBuf::from("mvn") }
    }

    /// Maven 3.9 from a repository, see [`Maven::released`].
    pub fn newer(repository: &str) -> Self {
        Self::released(NEWER_MAVEN, repository)
    }

    /// A release, fetched from a repository (its address ends in a slash) and unpacked once in a test run.
    pub fn released(version: &str, repository: &str) -> Self {
        // Each release has a place of its own: who waits for one does not wait for the others.
        static UNPACKED: Mutex<BTreeMap<String, Arc<OnceLock<PathBuf>>>> = Mutex::new(BTreeMap::new());
        let place = {
            let mut unpacked = UNPACKED.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            Arc::clone(unpacked.entry(version.to_owned()).or_default())
        };
        let home = place.get_or_init(|| {
            let name = format!("apache-maven-{version}");
            let path = format!("org/apache/maven/apache-maven/{version}/{name}-bin.tar.gz");
            let archive = places::run_folder().join(format!("{name}.tar.gz"));
            std::fs::write(&archive, http::get(&format!("{repository}{path}")).expect(200).body)
                .expect("a written archive");
            let mut tar = Command::new("tar");
            tar.arg("-xzf").arg(&archive).arg("-C").arg(places::run_folder());
            run(&mut tar, Duration::from_secs(60)).expect(0);
            places::run_folder().join(name)
        });
        Maven { program: home.join("bin/mvn") }
    }

    /// What the installation says of its version.
    pub fn version(&self) -> String {
        let done = run(Command::new(&self.program).arg("--version"), Duration::from_secs(60)).expect(0);
        done.stdout.lines().next().unwrap_or_default().to_owned()
    }
}

/// An empty local repository and a settings.xml.
pub struct MavenUser {
    folder: TempDir,
}

impl MavenUser {
    /// Settings that mirror `mirror_of` (`central` or `*`) to `url`.
    pub fn new(url: &str, mirror_of: &str) -> Self {
        let user = MavenUser { folder: places::scratch("maven-user") };
        user.set_mirror(url, mirror_of);
        user
    }

    /// The same for a user whose mirror has moved.
    pub fn set_mirror(&self, url: &str, mirror_of: &str) {
        let settings = format!(
            "<settings><mirrors><mirror><id>under-test</id><mirrorOf>{mirror_of}</mirrorOf>\
             <url>{url}</url></mirror></mirrors></settings>\n"
        );
        std::fs::write(self.folder.path().join("settings.xml"), settings).expect("written settings");
    }

    /// The home folder; Maven and the program find their defaults below it.
    pub fn home(&self) -> &Path {
        self.folder.path()
    }

    /// The local repository, where a person's is.
    pub fn repository(&self) -> PathBuf {
        self.folder.path().join(".m2/repository")
    }

    /// A file of the local repository.
    #[track_caller]
    pub fn local_file(&self, path: &str) -> PathBuf {
        let file = self.repository().join(path);
        assert!(file.is_file(), "{} is missing", file.display());
        file
    }

    /// Runs Maven in a project's folder, in batch mode; checksum faults are errors.
    pub fn run(&self, maven: &Maven, project: &Path, arguments: &[&str]) -> Finished {
        let mut command = Command::new(&maven.program);
        command
            .current_dir(project)
            .env_remove("MAVEN_OPTS")
            .env_remove("MAVEN_ARGS")
            .env("HOME", self.folder.path())
            .args(["-B", "-C", "-s"])
            .arg(self.folder.path().join("settings.xml"))
            .arg(format!("-Dmaven.repo.local={}", self.repository().display()))
            .args(arguments);
        run(&mut command, CLIENT)
    }
}

/// An empty Gradle home.
pub struct GradleUser {
    home: TempDir,
}

impl Default for GradleUser {
    fn default() -> Self {
        GradleUser { home: places::scratch("gradle-user") }
    }
}

/// Debian builds Gradle 4.4.1 against a Maven resolver that finds its transport at run time, and does not put that on its
/// class path: without this no publication to an address works.
const TRANSPORT: &str = r"gradle.taskGraph.whenReady {
    def add = URLClassLoader.getDeclaredMethod('addURL', URL)
    add.accessible = true
    def jar = new File('/usr/share/java/maven-resolver-transport-wagon.jar')
    add.invoke(org.gradle.api.publish.maven.plugins.MavenPublishPlugin.classLoader, jar.toURI().toURL())
}
";

impl GradleUser {
    /// Somebody who publishes.
    pub fn publisher() -> Self {
        let user = Self::default();
        std::fs::write(user.home.path().join("init.gradle"), TRANSPORT).expect("a written script");
        user
    }

    /// The home folder, where the cache is.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Runs Gradle in a project's folder without leaving a daemon; `repository` is passed as `-Prepository=`.
    pub fn run(&self, project: &Path, repository: &str, arguments: &[&str]) -> Finished {
        let mut command = Command::new("gradle");
        command
            .current_dir(project)
            .env("GRADLE_USER_HOME", self.home.path())
            .env("HOME", self.home.path())
            .env("GRADLE_OPTS", "--add-opens java.base/java.net=ALL-UNNAMED")
            .args(["--no-daemon", "--stacktrace"])
            .arg(format!("-Prepository={repository}"))
            .args(arguments);
        run(&mut command, CLIENT)
    }
}

/// Runs a Java program.
pub fn java(class_path: &[PathBuf], main: &str) -> Finished {
    let joined = std::env::join_paths(class_path).expect("paths without colons");
    run(Command::new("java").arg("-cp").arg(joined).arg(main), Duration::from_secs(60))
}

/// The options of a Java program that trusts this certificate and no other; the store for it is put into a folder.
pub fn trusting(certificate: &Path, folder: &Path) -> [String; 2] {
    let store = folder.join("trust.p12");
    let mut import = Command::new("keytool");
    import.args(["-importcert", "-noprompt", "-alias", "node", "-storepass", "changeit", "-file"]);
    run(import.arg(certificate).arg("-keystore").arg(&store), Duration::from_secs(60)).expect(0);
    let store = format!("-Djavax.net.ssl.trustStore={}", store.display());
    [store, "-Djavax.net.ssl.trustStorePassword=changeit".to_owned()]
}

/// Unpacks a JAR with the JDK's own tool.
pub fn unpack_jar(jar: &Path) -> TempDir {
    let folder = places::scratch("jar");
    jar_tool(folder.path(), &["--extract", "--file", &jar.to_string_lossy()]);
    folder
}

/// Unpacks the bytes of a zip into a folder.
pub fn unpack(archive: &[u8], folder: &Path) {
    let file = places::scratch("zip");
    let path = file.path().join("archive.zip");
    std::fs::write(&path, archive).expect("a written archive");
    jar_tool(folder, &["--extract", "--file", &path.to_string_lossy()]);
}

/// Runs the JDK's `jar` in a folder.
pub fn jar_tool(folder: &Path, arguments: &[&str]) {
    run(Command::new("jar").current_dir(folder).args(arguments), Duration::from_secs(60)).expect(0);
}
