//! The clients that are neither Maven nor Gradle: Ivy, coursier, sbt, Leiningen. Each has a home folder of its own, keeps
//! everything in it, and reaches nothing but the node.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{CLIENT, Maven, MavenUser, NOWHERE, trusting};
use crate::process::{Finished, run};
use crate::{http, places};

/// As on Central: the standalone JAR needs nothing beside itself.
const IVY: &str = "org/apache/ivy/ivy/2.5.3/ivy-2.5.3.jar";
/// The launcher; it fetches sbt and Scala from the repositories that it is told.
const SBT_LAUNCHER: &str = "org/scala-sbt/sbt-launch/1.10.11/sbt-launch-1.10.11.jar";
/// The sbt that the launcher fetches.
const SBT: &str = "1.10.11";
/// The command line of coursier, whose class path Maven puts together.
const COURSIER: &str = "io.get-coursier:coursier-cli_2.13:2.1.24";

/// The home of somebody who uses one of these clients.
pub struct User {
    home: TempDir,
}

impl User {
    fn new(client: &str) -> Self {
        User { home: places::scratch(client) }
    }

    /// Java with this user's home and nowhere to go but to the node.
    fn java(&self) -> Command {
        let mut command = Command::new("java");
        // Java takes the home folder from the system's list of users, whatever HOME says.
        let home = format!("-Duser.home={}", self.home.path().display());
        command.env("HOME", self.home.path()).arg(home).args(NOWHERE);
        command
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).expect("a written file");
        path
    }

    fn fetch(&self, repository: &str, path: &str) -> PathBuf {
        let file = self.home.path().join("client.jar");
        std::fs::write(&file, http::get(&format!("{repository}{path}")).expect(200).body).expect("a written JAR");
        file
    }
}

/// Ivy, run by its own command line.
pub struct Ivy {
    user: User,
    jar: PathBuf,
    settings: PathBuf,
}

impl Ivy {
    /// Ivy from a repository (its address ends in a slash), which is also the only one that it asks. Checksums have to be
    /// there and to be right.
    pub fn new(repository: &str) -> Self {
        let user = User::new("ivy");
        let jar = user.fetch(repository, IVY);
        let cache = user.home.path().join("cache");
        let settings = format!(
            "<ivysettings><settings defaultResolver=\"node\"/><caches defaultCacheDir=\"{}\"/><resolvers>\
             <ibiblio name=\"node\" m2compatible=\"true\" root=\"{repository}\" checksums=\"sha1,md5\"/>\
             </resolvers></ivysettings>",
            cache.display()
        );
        let settings = user.write("ivysettings.xml", &settings);
        Ivy { user, jar, settings }
    }

    /// Resolves what these `<dependency>` elements say.
    pub fn resolve(&self, dependencies: &str) -> Finished {
        let module = format!(
            "<ivy-module version=\"2.0\" xmlns:m=\"http://ant.apache.org/ivy/maven\"><info organisation=\"t\" \
             module=\"t\"/><configurations><conf name=\"default\"/></configurations>\
             <dependencies>{dependencies}</dependencies></ivy-module>"
        );
        let module = self.user.write("ivy.xml", &module);
        let mut command = self.user.java();
        command.arg("-jar").arg(&self.jar).arg("-settings").arg(&self.settings).arg("-ivy").arg(module);
        run(&mut command, CLIENT)
    }

    /// The cache.
    pub fn cache(&self) -> PathBuf {
        self.user.home.path().join("cache")
    }
}

/// coursier's command line.
pub struct Coursier {
    user: User,
    repository: String,
}

impl Coursier {
    /// coursier from a repository, which is also the only one that it asks.
    pub fn new(repository: &str) -> Self {
        let user = User::new("coursier");
        let [group, artifact, version] = COURSIER.split(':').collect::<Vec<_>>()[..] else {
            unreachable!("three words");
        };
        let project = format!(
            "<project><modelVersion>4.0.0</modelVersion><groupId>t</groupId><artifactId>t</artifactId>\
             <version>1</version><packaging>pom</packaging><dependencies><dependency><groupId>{group}</groupId>\
             <artifactId>{artifact}</artifactId><version>{version}</version></dependency></dependencies></project>"
        );
        user.write("pom.xml", &project);
        let maven = MavenUser::new(repository, "*");
        let goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
        let to = format!("-DoutputDirectory={}", user.home.path().join("lib").display());
        maven.run(&Maven::of_the_machine(), user.home.path(), &["-q", goal, &to]).expect(0);
        Coursier { user, repository: repository.to_owned() }
    }

    /// `fetch` of these: the files that it names.
    pub fn fetch(&self, arguments: &[&str]) -> Finished {
        let mut command = self.user.java();
        command
            .env("COURSIER_CACHE", self.cache())
            .env_remove("COURSIER_REPOSITORIES")
            .arg("-cp")
            .arg(self.user.home.path().join("lib/*"))
            .args(["coursier.cli.Coursier", "fetch", "--no-default", "-r", &self.repository])
            .args(arguments);
        run(&mut command, CLIENT)
    }

    /// The cache.
    pub fn cache(&self) -> PathBuf {
        self.user.home.path().join("cache")
    }
}

/// sbt, which begins as a launcher.
pub struct Sbt {
    user: User,
    launcher: PathBuf,
}

impl Sbt {
    /// sbt from a repository, which is also the only one that it and its builds ask, whatever the builds say.
    pub fn new(repository: &str) -> Self {
        let user = User::new("sbt");
        let launcher = user.fetch(repository, SBT_LAUNCHER);
        user.write("repositories", &format!("[repositories]\n  node: {repository}\n"));
        Sbt { user, launcher }
    }

    /// Runs a command in a project's folder.
    pub fn run(&self, project: &Path, command: &str) -> Finished {
        let home = self.user.home.path();
        std::fs::create_dir_all(project.join("project")).expect("a written folder");
        std::fs::write(project.join("project/build.properties"), format!("sbt.version={SBT}\n"))
            .expect("a written file");
        let mut java = self.user.java();
        java.current_dir(project).env_remove("COURSIER_CACHE");
        for (name, place) in
            [("boot.directory", "boot"), ("global.base", "global"), ("ivy.home", "ivy"), ("coursier.home", "coursier")]
        {
            java.arg(format!("-Dsbt.{name}={}", home.join(place).display()));
        }
        java.arg(format!("-Dsbt.repository.config={}", home.join("repositories").display()))
            .args(["-Dsbt.override.build.repos=true", "-Dsbt.server.autostart=false"])
            .args(["-Dsbt.color=false", "-Dsbt.supershell=false"])
            .arg("-jar")
            .arg(&self.launcher)
            .arg(command);
        run(&mut java, CLIENT)
    }

    /// The cache of what builds and sbt itself resolved; the launcher keeps what it starts elsewhere, under other names.
    pub fn cache(&self) -> PathBuf {
        self.user.home.path().join("coursier/cache")
    }
}

/// The machine's Leiningen. It refuses plain HTTP, so it is given the node's certificate.
pub struct Leiningen {
    user: User,
    url: String,
    trust: [String; 2],
}

impl Leiningen {
    /// Leiningen in front of a node's listener with TLS (`https://HOST:PORT`), whose certificate is the only one trusted.
    pub fn new(url: &str, certificate: &Path) -> Self {
        let user = User::new("leiningen");
        let trust = trusting(certificate, user.home.path());
        Leiningen { user, url: url.to_owned(), trust }
    }

    /// `deps` of a project with this vector of dependencies; checksums have to be right.
    pub fn deps(&self, dependencies: &str) -> Finished {
        let home = self.user.home.path();
        let node = format!("{{:name \"node\" :url \"{}/maven2/\" :checksum :fail}}", self.url);
        // Without the profiles that everybody has: they want nREPL, which is not on Maven Central.
        let project = format!(
            "(defproject t \"1\" :dependencies {dependencies} :local-repo \"{}\" :profiles {{:bare {{}}}}\n\
             :repositories ^:replace [[\"node\" {node}]] :plugin-repositories ^:replace [[\"node\" {node}]]\n\
             :mirrors {{#\".*\" {node}}})\n",
            self.repository().display()
        );
        self.user.write("project.clj", &project);
        let options = format!("-Duser.home={} {}", home.display(), self.trust.join(" "));
        let mut command = Command::new("lein");
        command
            .current_dir(home)
            .env("HOME", home)
            .env("LEIN_HOME", home.join(".lein"))
            .env("LEIN_JVM_OPTS", options)
            .env("http_proxy", "http://127.0.0.1:9")
            .env("https_proxy", "http://127.0.0.1:9")
            .env("http_no_proxy", "127.0.0.1|localhost")
            .args(["with-profile", "bare", "deps"]);
        run(&mut command, CLIENT)
    }

    /// The local repository, laid out as Maven's.
    pub fn repository(&self) -> PathBuf {
        self.user.home.path().join("repository")
    }
}
