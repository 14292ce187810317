//! A node in front of several repositories: who is asked for what, in which order, and who never.

use std::path::Path;

use pyrsia_tests::clients::{Maven, MavenUser};
use pyrsia_tests::node::Node;
use pyrsia_tests::places;
use pyrsia_tests::upstream::{Behaviour, Upstream};

use crate::fixture;

const OURS: &str = "com/acme/lib/1.0/lib-1.0.jar";
const METADATA: &str = "com/acme/lib/maven-metadata.xml";

fn metadata(versions: &[&str]) -> String {
    let listed: String = versions.iter().map(|version| format!("<version>{version}</version>")).collect();
    format!(
        "<metadata><groupId>com.acme</groupId><artifactId>lib</artifactId><versioning><versions>{listed}</versions>\
         <lastUpdated>20260101000000</lastUpdated></versioning></metadata>"
    )
}

/// The company's repository has `com.acme:lib:1.0`; somebody has put 9.9 of that name into the public one.
fn confusion() -> (Upstream, Upstream) {
    let (company, public) = (Upstream::start(), Upstream::start());
    company.put_release("com.acme", "lib", "1.0", *b"ours");
    company.put(METADATA, metadata(&["1.0"]));
    public.put_release("com.acme", "lib", "9.9", *b"theirs");
    public.put_release("com.acme", "lib", "1.0", *b"theirs too");
    public.put(METADATA, metadata(&["1.0", "9.9"]));
    public.put_release("org.other", "tool", "1.0", *b"a tool");
    (company, public)
}

/// The arguments of a node whose Maven Central is `public`, with this in its configuration.
fn arguments(folder: &Path, public: &str, more: &str) -> Vec<String> {
    let config = folder.join("config.toml");
    std::fs::write(&config, more).expect("a written file");
    let config = config.to_string_lossy().into_owned();
    ["--no-builder", "--upstream", public, "--config", &config].map(str::to_owned).to_vec()
}

fn company_first(company: &Upstream) -> String {
    format!("[[upstreams]]\nid = \"company\"\nurl = \"{}\"\ninclude = [\"com.acme.*\"]\n", company.url())
}

#[test]
fn a_group_that_one_repository_owns_is_never_asked_for_in_another() {
    let (company, public) = confusion();
    let folder = places::scratch("confusion-config");
    let node = Node::start("confusion", &arguments(folder.path(), &public.url(), &company_first(&company)));
    assert_eq!(node.artifact(OURS).expect(200).body, b"ours");
    node.artifact("com/acme/lib/9.9/lib-9.9.jar").expect(404);
    let listed = node.artifact(METADATA).expect(200).text();
    assert!(listed.contains("1.0") && !listed.contains("9.9"), "{listed}");
    assert_eq!(node.artifact("org/other/tool/1.0/tool-1.0.jar").expect(200).body, b"a tool");
    let asked = |upstream: &Upstream, beginning: &str| {
        upstream.requests().iter().filter(|(_, path)| path.starts_with(beginning)).count()
    };
    assert_eq!(asked(&public, "com/acme"), 0, "{:?}", public.requests());
    assert_eq!(asked(&company, "org/other"), 0, "who names groups is asked for nothing else");

    // The company's server in trouble is no reason to look elsewhere, nor to say that there is nothing.
    company
        .behave("com/acme/lib/2.0/lib-2.0.jar", Behaviour::Status { code: 500, retry_after: None, times: usize::MAX });
    let answer = node.artifact("com/acme/lib/2.0/lib-2.0.jar");
    assert!(matches!(answer.status, 502 | 504), "{}", answer.status);
    assert_eq!(asked(&public, "com/acme"), 0);

    let status = node.cli(&["status"]).expect(0).stdout;
    assert!(status.contains(&format!("company: {}", company.url())), "{status}");
}

#[test]
fn maven_resolves_a_range_to_what_the_owner_has() {
    let (company, _) = confusion();
    let folder = places::scratch("range-config");
    // Everything else is the real Maven Central, where nobody has the group; with the impostor in front of it.
    let impostor = Upstream::in_front_of(&fixture::central().maven2());
    impostor.put_release("com.acme", "lib", "9.9", *b"theirs");
    impostor.put(METADATA, metadata(&["9.9"]));
    let node = Node::start("range", &arguments(folder.path(), &impostor.url(), &company_first(&company)));
    let user = MavenUser::new(&node.maven2(), "central");
    let project = places::scratch("range-project");
    std::fs::write(
        project.path().join("pom.xml"),
        "<project><modelVersion>4.0.0</modelVersion><groupId>t</groupId><artifactId>t</artifactId><version>1</version>\
         <packaging>pom</packaging><dependencies><dependency><groupId>com.acme</groupId><artifactId>lib</artifactId>\
         <version>[1.0,)</version></dependency></dependencies></project>",
    )
    .expect("a written project");
    let goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:resolve";
    user.run(&Maven::of_the_machine(), project.path(), &[goal]).expect(0);
    let jar = std::fs::read(user.local_file(OURS)).expect("the resolved jar");
    assert_eq!(jar, b"ours");
    assert!(!user.repository().join("com/acme/lib/9.9").exists());
}

#[test]
fn repositories_are_asked_in_their_order_and_absence_takes_all_of_them() {
    let (first, second) = (Upstream::start(), Upstream::start());
    first.put_release("org.acme", "a", "1.0", *b"first");
    second.put_release("org.acme", "a", "1.0", *b"second");
    second.put_release("org.acme", "b", "1.0", *b"only there");
    let folder = places::scratch("order-config");
    let more = format!("[[upstreams]]\nid = \"first\"\nurl = \"{}\"\nexclude = [\"org.secret\"]\n", first.url());
    let node = Node::start("order", &arguments(folder.path(), &second.url(), &more));
    assert_eq!(node.artifact("org/acme/a/1.0/a-1.0.jar").expect(200).body, b"first");
    assert_eq!(second.gets("org/acme/a/1.0/a-1.0.jar"), 0);
    assert_eq!(node.artifact("org/acme/b/1.0/b-1.0.jar").expect(200).body, b"only there");
    let absent = "org/acme/c/1.0/c-1.0.jar";
    node.artifact(absent).expect(404);
    assert_eq!((first.gets(absent), second.gets(absent)), (1, 1));
    // One that fails leaves it open whether it has the file.
    let open = "org/acme/d/1.0/d-1.0.jar";
    first.behave(open, Behaviour::Status { code: 503, retry_after: None, times: usize::MAX });
    assert!(matches!(node.artifact(open).status, 502 | 504));
    let excluded = "org/secret/x/1.0/x-1.0.jar";
    node.artifact(excluded).expect(404);
    assert_eq!((first.gets(excluded), second.gets(excluded)), (0, 1));
}

#[test]
fn a_repository_that_wants_a_password_gets_it_and_nobody_else_does() {
    let company = Upstream::start();
    company.put_release("com.acme", "lib", "1.0", *b"ours");
    company.demand("Basic cmVhZGVyOnA6c3M=");
    let public = Upstream::start();
    public.put_release("org.other", "tool", "1.0", *b"a tool");
    public.demand("Basic nothing");
    let folder = places::scratch("password-config");
    let password = folder.path().join("password");
    std::fs::write(&password, "p:ss\n").expect("a written password");
    let more =
        format!("{}username = \"reader\"\npassword_file = \"{}\"\n", company_first(&company), password.display());
    let node = Node::start("password", &arguments(folder.path(), &public.url(), &more));
    assert_eq!(node.artifact(OURS).expect(200).body, b"ours");
    // The other one says 401, whatever it would have said to these credentials: a fault, not an absence.
    let refused = node.artifact("org/other/tool/1.0/tool-1.0.jar").expect(502);
    assert!(!refused.text().contains("p:ss") && !refused.text().contains("reader"), "{}", refused.text());
    let status = node.cli(&["status", "--json"]).expect(0).stdout;
    assert!(!status.contains("p:ss") && !status.contains("reader"), "{status}");
}

#[test]
fn offline_serves_what_is_there_and_calls_nothing_absent() {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "a", "1.0", *b"seen");
    upstream.put_release("org.acme", "b", "1.0", *b"never seen");
    let listed = metadata(&["1.0"]).replace("com.acme", "org.acme");
    upstream.put("org/acme/a/maven-metadata.xml", listed.clone());
    let folder = places::scratch("offline");
    let data = folder.path().join("data");
    let online = Node::start_at("before", &data, &["--no-builder", "--upstream", &upstream.url()]);
    online.artifact("org/acme/a/1.0/a-1.0.jar").expect(200);
    online.artifact("org/acme/a/maven-metadata.xml").expect(200);
    drop(online);
    let before = upstream.requests().len();
    let node = Node::start_at("offline", &data, &["--no-builder", "--offline", "--upstream", &upstream.url()]);
    assert_eq!(node.artifact("org/acme/a/1.0/a-1.0.jar").expect(200).body, b"seen");
    assert_eq!(node.artifact("org/acme/a/maven-metadata.xml").expect(200).text(), listed);
    let missing = node.artifact("org/acme/b/1.0/b-1.0.jar").expect(502);
    assert!(missing.text().contains("offline"), "{}", missing.text());
    assert_eq!(upstream.requests().len(), before, "nobody was asked");
    let status = node.cli(&["status"]).expect(0).stdout;
    assert!(status.contains("offline"), "{status}");
}

#[test]
fn what_a_build_reads_is_not_what_clients_are_served() {
    pyrsia_tests::engine::require();
    let (company, public) = confusion();
    let pom = "com/acme/lib/1.0/lib-1.0.pom";
    company.put(pom, "<project>ours</project>");
    let folder = places::scratch("inputs-config");
    let config = folder.path().join("config.toml");
    std::fs::write(&config, company_first(&company)).expect("a written file");
    // With a builder: whoever asks it for a build makes it read what Maven Central has under these names.
    let node = Node::start("inputs", &["--upstream", &public.url(), "--config", &config.to_string_lossy()]);
    let source = ["--source", "https://git.example.org/acme/lib", "--tag", "v1.0"];
    let build = [&["build", "com.acme:lib:1.0", "--wait"][..], &source].concat();
    assert_ne!(node.cli_long(&build).code, 0, "there is no such source");
    assert!(public.gets(pom) > 0, "it has read the POM: {:?}", public.requests());
    assert_eq!(company.requests(), []);
    assert_eq!(node.artifact(pom).expect(200).text(), "<project>ours</project>");
    assert_eq!(node.artifact(OURS).expect(200).body, b"ours");
}
