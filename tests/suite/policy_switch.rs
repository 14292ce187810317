//! Switching to `verified` in a network with verdicts: what is explained beforehand is what happens then, and builds go on.

use std::collections::BTreeSet;
use std::time::Duration;

use pyrsia_tests::clients::{Maven, MavenUser};
use pyrsia_tests::node::Node;
use pyrsia_tests::places;
use pyrsia_tests::process::until;
use pyrsia_tests::scripted::Scripted;
use pyrsia_tests::sources::{Sources, replace_in};
use serde_json::json;

use crate::fixture::{self, LIB, LIB_JAR, Shared};
use crate::policy_test::{JAR, UNKNOWN, dependency, fate, fates};

const DIFFERENT: i32 = 17;
/// A release that upstream has with the POM of its source and another JAR.
const ALTERED: &str = "org.acme:altered:1.0.0";

/// A network that has published the library, and found of another release that upstream has its POM and not its JAR.
fn shared() -> &'static Scripted {
    static NETWORK: Shared<Scripted> = Shared::new();
    NETWORK.get(|| {
        let network = Scripted::start("policies", 60);
        network.publishable("greeting-lib");
        let build = |release: &str, repository: &str| {
            let address = Sources::address(repository);
            network.net.cli_long(&["build", release, "--source", &address, "--tag", "v1.0.0", "--wait"])
        };
        build(LIB, "greeting-lib").expect(0);
        let mut pom = String::new();
        network.sources.add_edited("greeting-lib", "altered", "v1.0.0", |tree| {
            let file = tree.join("pom.xml");
            for (from, to) in [
                ("<groupId>org.pyrsia.samples</groupId>", "<groupId>org.acme</groupId>"),
                ("<artifactId>greeting-lib</artifactId>", "<artifactId>altered</artifactId>"),
                ("samples.example/greeting-lib", "samples.example/altered"),
            ] {
                replace_in(&file, from, to);
            }
            pom = std::fs::read_to_string(file).expect("a POM");
        });
        network.upstream.put_release(
            "org.acme",
            "altered",
            "1.0.0",
            *b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        );
        network.upstream.put("org/acme/altered/1.0.0/altered-1.0.0.pom", pom.clone());
        network.script_all(&json!({ "pom": pom }));
        build(ALTERED, "altered").expect(DIFFERENT);
        network
    })
}

/// A plain node of the network with an upstream of its own.
struct Plain {
    node: Node,
    /// What joining has written.
    joined: String,
}

impl Plain {
    fn start(name: &str, upstream: &str) -> Self {
        let net = &shared().net;
        let peers = net.operator("a2", &["peers", "--json"]).expect(0).json();
        let own = peers["peers"].as_array().and_then(|all| all.iter().find(|peer| peer["state"] == "self"));
        let address = own.and_then(|own| own["addresses"][0].as_str()).expect("an address of the authority").to_owned();
        let genesis = net.data("node").join("network.json");
        let node = Node::start_joined(name, &genesis, &address, &["--upstream", upstream]);
        follows(&node);
        let joined = std::fs::read_to_string(node.data().join("config.toml")).expect("a configuration");
        Plain { node, joined }
    }

    /// Puts these lines into the configuration, in the place of those before, and restarts the node.
    fn configure(&mut self, lines: &str) {
        let text = format!("{}\n{lines}", self.joined);
        std::fs::write(self.node.data().join("config.toml"), text).expect("a written file");
        assert_eq!(self.node.stop(), 0);
        self.node.start_again();
        follows(&self.node);
    }
}

/// Waits until a node has the ledger.
fn follows(node: &Node) {
    let known = until(Duration::from_secs(60), || {
        let story = node.cli(&["inspect", ALTERED, "--json"]);
        (story.code == 0).then_some(())
    });
    assert!(known.is_some(), "the node does not follow");
}

#[test]
fn what_is_explained_is_what_happens_and_a_pom_of_the_tag_is_verified_without_its_jar() {
    let mut plain = Plain::start("explained", &shared().upstream.url());
    let (jar, pom) = ("org/acme/altered/1.0.0/altered-1.0.0.jar", "org/acme/altered/1.0.0/altered-1.0.0.pom");
    shared().upstream.put_release("org.acme", "lib", "1.0", *b"a jar");
    let releases = [LIB, ALTERED, "org.acme:lib:1.0"];
    let expected = |policy: &str| match policy {
        "verified" => {
            [("served", "verified"), ("served", "verified"), ("withheld", "different"), ("withheld", "unverified")]
        }
        _ => [("served", "verified"), ("served", "verified"), ("served", "different"), ("served", "unverified")],
    };
    // Each policy is explained by a node that has another one.
    for policy in ["mirror", "verified", "prefer-verified"] {
        let arguments = [&["policy", "test", "--json", "--policy", policy], &releases[..]].concat();
        let code = if policy == "verified" { DIFFERENT } else { 0 };
        let explained = fates(&plain.node.cli(&arguments).expect(code).json());
        let said = [LIB_JAR, pom, jar, JAR].map(|path| fate(&explained, path));
        assert_eq!(said, expected(policy), "{policy}");

        plain.configure(&format!("[policy]\ndefault = \"{policy}\"\n"));
        for (path, (outcome, why)) in &explained {
            let answer = plain.node.artifact(path);
            if outcome == "served" {
                let answer = answer.expect(200);
                assert_eq!(answer.header("x-pyrsia-provenance"), Some(why.as_str()), "{path} under {policy}");
            } else {
                assert_eq!(answer.expect(403).json()["reason"], why.as_str(), "{path} under {policy}");
            }
        }
    }
    let report = plain.node.cli(&["policy", "report", "--json"]).expect(0).json();
    let words = |of: &str| -> BTreeSet<String> {
        let counts = report[of].as_array().expect("counts").iter();
        counts.map(|count| count["outcome"].as_str().unwrap_or_default().to_owned()).collect()
    };
    assert_eq!(words("served"), ["different", "unverified", "verified"].map(str::to_owned).into());
    assert_eq!(words("withheld"), ["different", "unverified"].map(str::to_owned).into());
}

#[test]
fn a_real_build_goes_on_under_the_lines_that_are_suggested() {
    let mut plain = Plain::start("suggested", &fixture::central().maven2());
    let project = places::scratch("suggested-project");
    let plugin = |artifact: &str, version: &str| {
        format!(
            "<plugin><groupId>org.apache.maven.plugins</groupId><artifactId>{artifact}</artifactId>\
             <version>{version}</version></plugin>"
        )
    };
    std::fs::write(
        project.path().join("pom.xml"),
        format!(
            "<project><modelVersion>4.0.0</modelVersion><groupId>org.example</groupId><artifactId>consumer</artifactId>\
             <version>1</version><dependencies>{}</dependencies><build><plugins>{}{}{}{}</plugins></build></project>",
            dependency(LIB, ""),
            plugin("maven-resources-plugin", "3.3.1"),
            plugin("maven-compiler-plugin", "3.11.0"),
            plugin("maven-surefire-plugin", "3.2.5"),
            plugin("maven-jar-plugin", "3.4.2"),
        ),
    )
    .expect("a project");
    let builds = |node: &Node| {
        let user = MavenUser::new(&node.maven2(), "*");
        user.run(&Maven::of_the_machine(), project.path(), &["-q", "package"]).expect(0);
        user.local_file(LIB_JAR);
        user
    };
    let user = builds(&plain.node);
    let repository = user.repository().to_string_lossy().into_owned();
    let of_the_build = plain.node.cli(&["policy", "test", "--repo", &repository, "--json"]).expect(0).json();
    let needed = fates(&of_the_build);
    assert!(needed.len() > 150, "a plain build needs much more than {} files", needed.len());
    assert_eq!(fate(&needed, LIB_JAR), ("served", "verified"));
    let strict = plain.node.cli(&["policy", "test", "--repo", &repository, "--policy", "verified"]).expect(UNKNOWN);
    assert!(
        strict.stdout.contains("maven-jar-plugin-3.4.2.jar: would be withheld (unverified)"),
        "{}",
        strict.report()
    );

    // What the POMs tell without Maven: of the files that Maven asked for, all but those that only Maven can know of.
    let folder = project.path().to_string_lossy().into_owned();
    let read = plain.node.cli(&["policy", "test", "--project", &folder, "--json"]).expect(0).json();
    let told = fates(&read);
    let missed: Vec<_> = needed.keys().filter(|path| !told.contains_key(*path)).collect();
    assert!(missed.len() * 10 < needed.len(), "{} of {} were not told: {missed:#?}", missed.len(), needed.len());

    // Both ways lead to the same line.
    let suggestion = of_the_build["suggestion"].as_str().expect("a suggestion");
    assert_eq!(suggestion, "[policy.groups]\n\"org.pyrsia.*\" = \"verified\"\n");
    assert_eq!(read["suggestion"], suggestion);
    plain.configure(suggestion);
    plain.node.cli(&["policy", "test", "--repo", &repository]).expect(0);
    builds(&plain.node);
    assert_eq!(plain.node.artifact("org/pyrsia/other/1/other-1.jar").status, 404);
    let report = plain.node.cli(&["policy", "report", "--json"]).expect(0).json();
    assert_eq!(report["withheld"], json!([]), "nothing was withheld from either build: {report:#}");
    let times = |outcome: &str| {
        let counts = report["served"].as_array().expect("counts");
        counts.iter().find(|count| count["outcome"] == outcome).map(|count| count["times"].clone())
    };
    // The library's POM and JAR by either build, and its POM by the command that read the project.
    assert_eq!(times("verified"), Some(json!(5)), "{report:#}");
    assert!(times("unverified").and_then(|times| times.as_u64()) > Some(300), "{report:#}");
}
