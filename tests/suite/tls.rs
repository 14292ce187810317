//! The listener with TLS: who gets in, over which protocol, and Maven behind it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pyrsia_tests::clients::{Maven, MavenUser};
use pyrsia_tests::node::Node;
use pyrsia_tests::places;
use pyrsia_tests::process::{self, Finished};
use pyrsia_tests::upstream::Upstream;
use tempfile::TempDir;

use crate::documented::commands;
use crate::fixture;

const JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";

/// A node with TLS for the reader `ci`, in front of an upstream.
pub struct Served {
    /// The node.
    pub node: Node,
    folder: TempDir,
    token: String,
}

/// Types a command of the document's section in a folder.
fn type_in(folder: &Path, number: usize) {
    let line = &commands("docs/OPERATING.md", "Serving other machines")[number];
    let mut command = Command::new("sh");
    command.current_dir(folder).args(["-c", line]);
    process::run(&mut command, Duration::from_secs(60)).expect(0);
}

impl Served {
    pub fn start(name: &str, upstream: &str) -> Self {
        Self::start_with(name, upstream, "")
    }

    /// The same with more about the reader.
    pub fn start_with(name: &str, upstream: &str, more: &str) -> Self {
        let folder = places::scratch(name);
        type_in(folder.path(), 0);
        let token = folder.path().join("ci-token");
        let config = folder.path().join("config.toml");
        let text = format!(
            "[tls]\nlisten = \"127.0.0.1:0\"\nnames = [\"maven.example\"]\n\
             [[readers]]\nname = \"ci\"\ntoken_file = \"{}\"\n{more}",
            token.display()
        );
        std::fs::write(&config, text).expect("a written configuration");
        let arguments = ["--no-builder", "--upstream", upstream, "--config", &config.to_string_lossy()];
        let node = Node::start(name, &arguments);
        let token = std::fs::read_to_string(token).expect("the token").trim().to_owned();
        Served { node, folder, token }
    }

    /// User name and token.
    pub fn reader(&self) -> String {
        format!("ci:{}", self.token)
    }

    pub fn certificate(&self) -> PathBuf {
        self.node.data().join("tls/certificate.pem")
    }

    /// curl's exit code, and `HTTP version, status` on standard output.
    pub fn curl(&self, more: &[&str], path: &str) -> Finished {
        let mut command = Command::new("curl");
        command.args(["-sS", "-m", "20", "-o"]).arg(self.folder.path().join("body"));
        command.args(["-w", "%{http_version} %{http_code}"]).args(more);
        command.arg(format!("{}{path}", self.node.tls_url()));
        process::run(&mut command, Duration::from_secs(30))
    }

    /// The body of the last answer.
    pub fn body(&self) -> Vec<u8> {
        std::fs::read(self.folder.path().join("body")).expect("the body")
    }
}

#[test]
fn known_readers_get_in_over_either_protocol_and_nobody_else() {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "lib", "1.0", *b"a jar");
    let served = Served::start("tls", &upstream.url());
    let certificate = served.certificate();
    let trusted: &[&str] = &["--cacert", &certificate.to_string_lossy()];
    let reader = served.reader();
    let jar = format!("/maven2/{JAR}");
    let ask = |more: &[&str], path: &str| served.curl(&[trusted, more].concat(), path).expect(0).stdout;
    assert_eq!(ask(&["-u", &reader], &jar), "2 200", "HTTP/2 where the client can");
    assert_eq!(std::fs::read(served.folder.path().join("body")).expect("the body"), b"a jar");
    assert_eq!(ask(&["-u", &reader, "--http1.1"], &jar), "1.1 200");
    assert_eq!(ask(&["-u", &reader, "--tls-max", "1.2"], &jar), "2 200");
    for path in [&jar, "/", "/api/v1/status", "/log/checkpoint"] {
        assert_eq!(ask(&[], path), "2 401", "{path}");
        assert_eq!(ask(&["-u", "ci:wrong"], path), "2 401", "{path}");
    }
    // A reader reads; what changes something is for the node's own token.
    let post = ["-X", "POST", "-u", &reader, "-d", "{}"];
    assert_eq!(ask(&post, "/api/v1/blocks"), "2 401");
    // Another name than the node has, and the name that the certificate is for.
    assert_eq!(ask(&["-u", &reader, "-H", "Host: evil.example"], &jar), "2 421");
    assert_eq!(ask(&["-u", &reader, "-H", "Host: maven.example"], &jar), "2 200");
    // Who does not trust the certificate gets nothing, nor does plain HTTP, nor a protocol that is too old.
    served.curl(&["-u", &reader], &jar).expect(60);
    assert_ne!(served.curl(&[trusted, &["--tls-max", "1.1"]].concat(), &jar).code, 0);
    let plain = served.node.tls_url().replace("https://", "http://");
    let mut command = Command::new("curl");
    command.args(["-sS", "-m", "20", &plain]);
    assert_ne!(process::run(&mut command, Duration::from_secs(30)).code, 0);
    // The first listener is as it was.
    assert_eq!(served.node.artifact(JAR).expect(200).body, b"a jar");
}

#[test]
fn readers_of_some_groups_get_those_and_files_are_never_compressed() {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "lib", "1.0", *b"a jar");
    upstream.put_release("com.example", "lib", "1.0", vec![b'x'; 20_000]);
    let served = Served::start_with("tls-groups", &upstream.url(), "groups = [\"com.example.*\"]\n");
    let certificate = served.certificate();
    let reader = served.reader();
    let ask = |more: &[&str], path: &str| {
        let trusted: &[&str] = &["--cacert", &certificate.to_string_lossy(), "-u", &reader];
        served.curl(&[trusted, more].concat(), path).expect(0).stdout
    };
    let theirs = "/maven2/com/example/lib/1.0/lib-1.0.jar";
    assert_eq!(ask(&["-H", "Accept-Encoding: gzip"], theirs), "2 200");
    assert_eq!(served.body(), vec![b'x'; 20_000], "as it is");
    let jar = format!("/maven2/{JAR}");
    for path in [&jar, "/maven2/com/%65xample/../../org/acme/lib/1.0/lib-1.0.jar", "/", "/api/v1/status"] {
        assert_eq!(ask(&["--path-as-is"], path), "2 403", "{path}");
    }
    // Whoever it may be has the first listener for the rest; a page is as compressed as it was asked for.
    let page = |encoding: &str| {
        let headers = [("Accept-Encoding", encoding)];
        pyrsia_tests::http::send(served.node.url(), "GET", "/setup", &headers, b"").expect("an answer").expect(200)
    };
    let (plain, compressed) = (page("identity"), page("gzip"));
    assert_eq!((plain.header("content-encoding"), compressed.header("content-encoding")), (None, Some("gzip")));
    assert_eq!(compressed.header("vary").map(str::to_ascii_lowercase).as_deref(), Some("accept-encoding"));
    assert!(compressed.body.len() < plain.body.len() && compressed.body.starts_with(&[0x1f, 0x8b]));
}

#[test]
fn a_renewed_certificate_is_shown_without_a_restart() {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "lib", "1.0", *b"a jar");
    // Certificates to take: those that two nodes have made.
    let made = ["one", "two"].map(|name| Served::start(&format!("tls-made-{name}"), &upstream.url()));
    let folder = places::scratch("tls-renewed");
    let [certificate, key] = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
    let renew = |from: &Served| {
        for (name, to) in [("key.pem", &key), ("certificate.pem", &certificate)] {
            std::fs::copy(from.node.data().join("tls").join(name), to).expect("a copied file");
        }
    };
    renew(&made[0]);
    let config = folder.path().join("config.toml");
    let text = format!(
        "[tls]\nlisten = \"127.0.0.1:0\"\ncertificate = \"{}\"\nkey = \"{}\"\n",
        certificate.display(),
        key.display()
    );
    std::fs::write(&config, text).expect("a written configuration");
    let arguments = ["--no-builder", "--upstream", &upstream.url(), "--config", &config.to_string_lossy()];
    let node = Node::start("tls-renewed", &arguments);
    let trusts = |made: &Served| {
        let mut command = Command::new("curl");
        command.args(["-sS", "-m", "20", "-o", "/dev/null", "--cacert"]).arg(made.certificate());
        command.arg(format!("{}/maven2/{JAR}", node.tls_url()));
        process::run(&mut command, Duration::from_secs(30)).code == 0
    };
    assert!(trusts(&made[0]) && !trusts(&made[1]));
    renew(&made[1]);
    let taken = process::until(Duration::from_secs(60), || trusts(&made[1]).then_some(()));
    assert!(taken.is_some() && !trusts(&made[0]));
}

#[test]
fn silent_and_broken_handshakes_do_not_keep_others_out() {
    use std::io::{Read as _, Write as _};
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "lib", "1.0", *b"a jar");
    let served = Served::start("tls-silent", &upstream.url());
    let address = served.node.tls_url().replace("https://", "");
    let connect = || std::net::TcpStream::connect(&address).expect("a connection");
    let silent: Vec<_> = (0..50).map(|_| connect()).collect();
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0x16, 3, 1, 255, 255, 1], &[0; 4096]] {
        let mut stream = connect();
        let _ = stream.write_all(garbage);
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time limit");
        // The connection ends: with an alert, or at once.
        let mut answer = Vec::new();
        let _ = stream.take(10_000).read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP"), "nothing is answered in the clear");
    }
    let certificate = served.certificate();
    let reader = served.reader();
    let more = ["--cacert", &certificate.to_string_lossy(), "-u", &reader];
    assert_eq!(served.curl(&more, &format!("/maven2/{JAR}")).expect(0).stdout, "2 200");
    drop(silent);
}

#[test]
fn maven_resolves_over_tls_as_a_reader() {
    let served = Served::start("tls-maven", &fixture::central().maven2());
    std::fs::copy(served.certificate(), served.folder.path().join("certificate.pem")).expect("a copy");
    type_in(served.folder.path(), 1);
    let store = served.folder.path().join("truststore.p12");
    let trust = [
        format!("-Djavax.net.ssl.trustStore={}", store.display()),
        "-Djavax.net.ssl.trustStorePassword=changeit".to_owned(),
    ];
    let url = served.node.tls_url().replace("127.0.0.1", "localhost");
    let resolves = |password: &str| {
        let user = MavenUser::new("unused", "central");
        let settings = format!(
            "<settings><servers><server><id>pyrsia</id><username>ci</username><password>{password}</password></server>\
             </servers><mirrors><mirror><id>pyrsia</id><mirrorOf>central</mirrorOf><url>{url}/maven2/</url></mirror>\
             </mirrors></settings>"
        );
        std::fs::write(user.home().join("settings.xml"), settings).expect("written settings");
        let project = places::scratch("tls-project");
        std::fs::write(
            project.path().join("pom.xml"),
            "<project><modelVersion>4.0.0</modelVersion><groupId>t</groupId><artifactId>t</artifactId>\
             <version>1</version><packaging>pom</packaging><dependencies><dependency><groupId>commons-io</groupId>\
             <artifactId>commons-io</artifactId><version>2.11.0</version></dependency></dependencies></project>",
        )
        .expect("a written project");
        let goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:resolve";
        let done = user.run(&Maven::of_the_machine(), project.path(), &[goal, &trust[0], &trust[1]]);
        (done, user)
    };
    let (done, user) = resolves(&served.token);
    done.expect(0);
    user.local_file("commons-io/commons-io/2.11.0/commons-io-2.11.0.jar");
    let (refused, _) = resolves("wrong");
    assert_ne!(refused.code, 0);
    assert!(refused.report().contains("401"), "{}", refused.report());
}
