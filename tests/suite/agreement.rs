//! Four authorities agree, and a plain node gets the file from peers: with real containers, over real processes.
//!
//! One network is shared by the tests that only read; it has `greeting-lib` published. Tests that stop nodes have their own,
//! with scripted builders where containers are not the subject.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pyrsia_digest::{Md5, Sha1, Sha256};
use pyrsia_ledger::{Certificate, Genesis};
use pyrsia_tests::clients::{self, Maven, MavenUser};
use pyrsia_tests::devnet::Devnet;
use pyrsia_tests::node::{self, Node};
use pyrsia_tests::process::{self, Finished, until};
use pyrsia_tests::scripted::Scripted;
use pyrsia_tests::sources::{Sources, flip_bit};
use pyrsia_tests::{engine, http, places, sources};
use serde_json::{Value, json};

use crate::fixture::{LIB, LIB_JAR, Shared};

const DISPUTED: i32 = 12;

/// The shared network.
struct Agreed {
    net: Devnet,
    build: Finished,
}

fn shared() -> &'static Agreed {
    static AGREED: Shared<Agreed> = Shared::new();
    AGREED.get(agree)
}

fn agree() -> Agreed {
    engine::require();
    let sources = Sources::new(&places::run_folder().join("agreement-sources"));
    sources.add_sample("greeting-lib", "v1.0.0");
    sources.add_sample("unreproducible-lib", "v1.0.0");
    let copied = places::run_folder().join("copied-sources");
    copycat(&copied);
    let copied = format!("{COPIED_SCM}=file://{}/", copied.display());
    let net = Devnet::start("agreement", &["--source-mirror", &sources.mirror(), "--source-mirror", &copied]);
    net.grant("org.pyrsia.samples", &[&Sources::address("greeting-lib"), &Sources::address("unreproducible-lib")]);
    let build =
        net.cli_long(&["build", LIB, "--source", &Sources::address("greeting-lib"), "--tag", "v1.0.0", "--wait"]);
    let build = build.expect(0);
    Agreed { net, build }
}

fn verdict(net: &Devnet, release: &str) -> Value {
    net.cli(&["inspect", release, "--json"]).json()["verdict"].clone()
}

fn genesis(net: &Devnet) -> Genesis {
    let bytes = std::fs::read(net.data("node").join("network.json")).expect("a genesis");
    serde_json::from_slice(&bytes).expect("a genesis")
}

/// Maven with the plain node as its mirror, and the library in its local repository.
fn person_with_the_library(net: &Devnet) -> MavenUser {
    let user = MavenUser::new(&format!("{}/maven2/", net.plain().url), "central");
    let project = places::scratch("consumer");
    sources::copy_tree(&places::sample("consumer-maven"), project.path());
    user.run(&Maven::of_the_machine(), project.path(), &["-q", "package"]).expect(0);
    let class_path = [project.path().join("target/classes"), user.local_file(LIB_JAR)];
    let said = clients::java(&class_path, "org.pyrsia.samples.consumer.Main").expect(0);
    assert!(said.stdout.contains("Hello"), "{}", said.report());
    user
}

#[test]
fn four_authorities_publish_and_the_plain_node_verifies() {
    let agreed = shared();
    let said = agreed.build.output();
    assert!(!said.contains("no Byzantine tolerance"), "{said}");
    let verdict = verdict(&agreed.net, LIB);
    assert_eq!(verdict["verdict"], "published", "{verdict:#}");
    assert_eq!(verdict["self_verified"], false);
    assert_eq!((&verdict["threshold"], &verdict["committee_size"]), (&json!(3), &json!(4)));
    let jar = verdict["files"].as_array().and_then(|files| files.iter().find(|file| file["path"] == LIB_JAR));
    let jar = jar.unwrap_or_else(|| panic!("{LIB_JAR} is not in {verdict:#}"));
    assert!(jar["agreed_by"].as_array().is_some_and(|by| by.len() >= 3), "{jar:#}");

    let user = person_with_the_library(&agreed.net);
    let plain = agreed.net.plain();
    let verify = |arguments: &[&str]| {
        process::run(agreed.net.command(&plain, arguments).env("HOME", user.home()), Duration::from_secs(120))
    };
    verify(&["verify", LIB]).expect(0);
    let file = user.local_file(LIB_JAR);
    flip_bit(&file, 100);
    verify(&["verify", LIB]).expect(11);
    flip_bit(&file, 100);
    verify(&["verify", "--max-age", "3600", LIB]).expect(0);
    let served = agreed.net.artifact("node", LIB_JAR).expect(200);
    assert_eq!(served.header("x-pyrsia-provenance"), Some("verified"));
    assert_eq!(jar["sha256"], Sha256::of(&served.body).to_string());
}

#[test]
fn every_node_says_what_it_is_doing() {
    let agreed = shared();
    let status = agreed.net.cli(&["status"]).expect(0);
    assert!(status.stdout.contains("4 authorities, 3 must agree"), "{}", status.report());
    let peers = agreed.net.cli(&["peers"]).expect(0);
    for name in ["a1", "a2", "a3", "a4"] {
        let line = peers.stdout.lines().find(|line| line.contains(&format!("authority {name}")));
        assert!(line.is_some_and(|line| line.contains("connected")), "{}", peers.report());
    }
    let builds = agreed.net.cli(&["builds", "--json"]).expect(0).json();
    assert!(builds["builds"].as_array().is_some_and(|all| !all.is_empty()), "{builds:#}");
    // Each authority's own board tells of the round, whoever admitted it.
    for name in agreed.net.authorities() {
        let builds = agreed.net.operator(&name, &["builds", "--json"]).expect(0).json();
        let ours = builds["builds"]
            .as_array()
            .and_then(|all| all.iter().find(|build| build["coordinates"][0] == LIB))
            .and_then(|build| build["id"].as_str());
        let id = ours.unwrap_or_else(|| panic!("{name} does not know the library's build: {builds:#}"));
        let story = agreed.net.operator(&name, &["builds", id, "--follow"]).expect(0);
        assert!(story.stdout.contains("published"), "{}", story.report());
    }
    let table = agreed.net.status();
    assert_eq!(table["nodes"].as_array().map(Vec::len), Some(5), "{table:#}");
}

#[test]
fn the_log_is_the_same_everywhere_and_certified() {
    let agreed = shared();
    let (size, root) = agreed.net.same_log(8);
    let genesis = genesis(&agreed.net);
    for member in agreed.net.members() {
        let note = http::get(&format!("{}/log/checkpoint", member.url)).expect(200).text();
        let certificate: Certificate = note.parse().unwrap_or_else(|error| panic!("{}: {error}: {note}", member.name));
        let signers = certificate.verify(&genesis.network_id(), &genesis.committee());
        assert!(signers.is_ok(), "{}: {signers:?}", member.name);
        assert!(certificate.cosignatures.len() >= 3, "floor(2N/3)+1: {note}");
        assert_eq!((certificate.checkpoint.size, certificate.checkpoint.root.to_string()), (size, root.clone()));
        // The first tile of the lowest level, and the bundle of entries that it hashes.
        let width = size.min(256);
        let partial = if width == 256 { String::new() } else { format!(".p/{width}") };
        let tile = http::get(&format!("{}/log/tile/0/000{partial}", member.url)).expect(200).body;
        assert_eq!(tile.len() as u64, 32 * width, "{}", member.name);
    }
}

#[test]
fn what_does_not_reproduce_is_disputed_and_every_digest_is_on_record() {
    let agreed = shared();
    let release = "org.pyrsia.samples:unreproducible-lib:1.0.0";
    let address = Sources::address("unreproducible-lib");
    let build =
        agreed.net.cli_long(&["build", release, "--source", &address, "--tag", "v1.0.0", "--wait"]).expect(DISPUTED);
    assert!(build.output().contains("disputed"), "{}", build.report());
    agreed.net.cli(&["verify", release]).expect(DISPUTED);
    let verdict = verdict(&agreed.net, release);
    let jar = verdict["files"]
        .as_array()
        .and_then(|files| files.iter().find(|file| file["name"] == "unreproducible-lib-1.0.0.jar"));
    let jar = jar.unwrap_or_else(|| panic!("no jar in {verdict:#}"));
    let digests: BTreeSet<_> = jar["dissent"]
        .as_array()
        .map(|all| all.iter().filter_map(|one| one["sha256"].as_str().map(str::to_owned)).collect())
        .unwrap_or_default();
    assert!(digests.len() >= 2, "builders found different files: {jar:#}");
    assert_eq!(jar["dissent"].as_array().map(Vec::len), Some(4), "all of them are named: {jar:#}");
    let text = agreed.net.cli(&["inspect", release]).expect(0).stdout;
    for digest in &digests {
        assert!(text.contains(digest.as_str()), "inspect does not show {digest}:\n{text}");
    }
    let served =
        agreed.net.artifact("node", "org/pyrsia/samples/unreproducible-lib/1.0.0/unreproducible-lib-1.0.0.jar");
    assert_ne!(served.status, 200, "a disputed native file is not served");
}

/// A second plain node, which joins by the genesis and one address, as anybody would; it has no upstream.
struct Joined {
    node: Node,
}

fn join(net: &Devnet, authority: &str, more: &[String]) -> Joined {
    let network = net.data("node").join("network.json");
    let peers = net.operator(authority, &["peers", "--json"]).expect(0).json();
    let own = peers["peers"].as_array().and_then(|all| all.iter().find(|peer| peer["state"] == "self"));
    let address = own.and_then(|own| own["addresses"][0].as_str()).expect("an address of the authority").to_owned();
    let plain = ["--upstream", "none"].map(str::to_owned);
    let node = Node::start_joined("joined", &network, &address, &[&plain[..], more].concat());
    Joined { node }
}

#[test]
fn whoever_joins_has_the_ledger_the_files_and_the_image_from_peers_alone() {
    let agreed = shared();
    // The shared folder of images is nothing to it.
    let images = places::scratch("joined-images");
    let images = ["--images".to_owned(), images.path().to_string_lossy().into_owned()];
    let joined = join(&agreed.net, "a2", &images);
    let (size, root) = agreed.net.same_log(8);
    let caught_up = until(Duration::from_secs(60), || {
        let status = joined.node.cli(&["status", "--json"]).expect(0).json();
        (status["log"]["size"].as_u64() >= Some(size) && status["log"]["root"] == root.as_str()).then_some(status)
    });
    let status = caught_up.unwrap_or_else(|| panic!("{}", joined.node.cli(&["status"]).report()));
    assert_eq!(status["role"], "node");
    assert_eq!(status["repository"]["upstreams"], json!([]), "{status:#}");
    let metadata = joined.node.artifact("org/pyrsia/samples/greeting-lib/maven-metadata.xml").expect(200).text();
    assert!(metadata.contains("<version>1.0.0</version>"), "{metadata}");
    let jar = joined.node.artifact(LIB_JAR).expect(200);
    assert_eq!(jar.header("x-pyrsia-provenance"), Some("verified"));
    joined.node.cli(&["verify", LIB]).expect(0);
    // The image that the authorities built in, by its digest, for a rebuild here.
    let image = verdict(&agreed.net, LIB)["image"].as_str().expect("an image").to_owned();
    let fetched = joined.node.cli_long(&["images", "fetch", &image]).expect(0);
    let own = [&images[..], &["images".to_owned(), "list".to_owned(), "--json".to_owned()]].concat();
    assert!(fetched.stdout.contains(&image), "{}", fetched.report());
    let own = joined.node.cli(&own).expect(0).json();
    assert_eq!(own[0]["digest"], image.as_str(), "{own:#}");
}

#[test]
fn a_receipt_holds_with_all_nodes_stopped() {
    let network = Scripted::start("receipt-net", 60);
    network.publishable("greeting-lib");
    let address = Sources::address("greeting-lib");
    network.net.cli_long(&["build", LIB, "--source", &address, "--tag", "v1.0.0", "--wait"]).expect(0);
    let folder = places::scratch("receipt-net");
    let receipt = folder.path().join("lib.receipt");
    let genesis = folder.path().join("network.json");
    let jar = folder.path().join("lib.jar");
    network.net.cli(&["receipt", LIB, "-o", &receipt.to_string_lossy()]).expect(0);
    std::fs::write(&genesis, network.net.cli(&["network", "show", "--json"]).expect(0).stdout).expect("a written file");
    std::fs::write(&jar, network.net.artifact("node", LIB_JAR).expect(200).body).expect("a written file");
    network.net.down().expect(0);
    let offline = |more: &[&str]| {
        let mut command = node::program();
        command.arg("--data-dir").arg(folder.path().join("none")).args(["--node", "http://127.0.0.1:1", "verify", LIB]);
        command.arg("--receipt").arg(&receipt).arg("--network").arg(&genesis).arg("--file").arg(&jar).args(more);
        process::run(&mut command, Duration::from_secs(60))
    };
    offline(&[]).expect(0);
    flip_bit(&jar, 50);
    offline(&[]).expect(11);
    flip_bit(&jar, 50);
    let length = std::fs::metadata(&receipt).expect("the receipt").len() as usize;
    for at in (0..length).step_by((length / 10).max(1)) {
        flip_bit(&receipt, at);
        offline(&[]).expect(13);
        flip_bit(&receipt, at);
    }
    // The same ledger goes on where it was.
    network.net.up().expect(0);
    network.net.cli(&["verify", LIB]).expect(0);
}

#[test]
fn a_file_stays_when_the_node_it_first_came_from_is_gone() {
    let network = Scripted::start("gone", 60);
    network.publishable("greeting-lib");
    let address = Sources::address("greeting-lib");
    network.net.cli_long(&["build", LIB, "--source", &address, "--tag", "v1.0.0", "--wait"]).expect(0);
    let first = network.net.artifact("node", LIB_JAR).expect(200).body;
    for name in ["a1", "a2", "a3"] {
        network.net.kill(name);
    }
    // The plain node has it now; it also gives it to others.
    let joined = join(&network.net, "a4", &[]);
    let same = until(Duration::from_secs(60), || {
        let answer = joined.node.artifact(LIB_JAR);
        (answer.status == 200).then_some(answer.body)
    });
    assert_eq!(same.as_deref(), Some(&first[..]));
}

#[test]
fn nodes_are_killed_and_come_back_to_the_same_log() {
    let network = Scripted::start("killed", 60);
    network.publishable("greeting-lib");
    let address = Sources::address("greeting-lib");
    let id = network.net.cli(&["build", LIB, "--source", &address, "--tag", "v1.0.0"]).expect(0).stdout;
    // One at a time, each at another moment; then all at once.
    for name in ["a4", "a1", "node"] {
        network.net.kill(name);
        std::thread::sleep(Duration::from_millis(700));
        network.net.up().expect(0);
    }
    let done = until(Duration::from_secs(120), || (network.net.cli(&["verify", LIB]).code == 0).then_some(()));
    assert!(done.is_some(), "the build {id} came to nothing: {}", network.net.cli(&["verify", LIB]).report());
    let before = network.net.settled_log(8);
    for member in network.net.members() {
        network.net.kill(&member.name);
    }
    network.net.up().expect(0);
    assert_eq!(network.net.same_log(8), before);
    // And it goes on.
    network.sources.add_edited("greeting-lib", "greeting-lib", "v1.0.1", |tree| {
        sources::replace_in(&tree.join("pom.xml"), "<version>1.0.0</version>", "<version>1.0.1</version>");
    });
    let next = "org.pyrsia.samples:greeting-lib:1.0.1";
    network.net.cli_long(&["build", next, "--source", &address, "--tag", "v1.0.1", "--wait"]).expect(0);
}

#[test]
fn an_authority_with_an_empty_disk_catches_up() {
    let network = Scripted::start("empty", 60);
    network.publishable("greeting-lib");
    let address = Sources::address("greeting-lib");
    network.net.cli_long(&["build", LIB, "--source", &address, "--tag", "v1.0.0", "--wait"]).expect(0);
    let (size, root) = network.net.settled_log(8);
    network.net.kill("a4");
    keep_only(&network.net.data("a4"), &["keys", "network.json", "config.toml"]);
    network.net.up().expect(0);
    let caught_up = network.net.same_log(size);
    assert_eq!(caught_up, (size, root), "nothing was written for it");
    // It signed things in this session that it no longer has: it must not sign others.
    let status = network.net.operator("a4", &["status"]).expect(0);
    assert!(status.stdout.contains("sits consensus session"), "{}", status.report());
    // It is an authority all the same: it replays, and what it says reaches the ledger through the others.
    network.sources.add_edited("greeting-lib", "greeting-lib", "v1.0.1", |tree| {
        sources::replace_in(&tree.join("pom.xml"), "<version>1.0.0</version>", "<version>1.0.1</version>");
    });
    let next = "org.pyrsia.samples:greeting-lib:1.0.1";
    network.net.cli_long(&["build", next, "--source", &address, "--tag", "v1.0.1", "--wait"]).expect(0);
    let spoke = until(Duration::from_secs(60), || {
        let jar = verdict(&network.net, next)["files"][0].clone();
        let named = |list: &str| jar[list].as_array().is_some_and(|by| by.contains(&json!("a4")));
        (named("agreed_by") || named("agreed_later")).then_some(())
    });
    assert!(spoke.is_some(), "nothing of a4's is in the ledger: {:#}", verdict(&network.net, next));
    network.net.same_log(size + 8);
}

fn keep_only(folder: &Path, names: &[&str]) {
    let all: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a data directory").flatten().map(|entry| entry.path()).collect();
    for path in all {
        let keep = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| names.contains(&name));
        match (keep, path.is_dir()) {
            (true, _) => {}
            (false, true) => std::fs::remove_dir_all(&path).expect("a removed folder"),
            (false, false) => std::fs::remove_file(&path).expect("a removed file"),
        }
    }
}

#[test]
fn a_large_file_comes_by_its_name_alone_and_has_its_other_checksums_when_they_are_asked_for() {
    let network = Scripted::start("large", 60);
    network.publishable("greeting-lib");
    network.script_all(&json!({ "padding": 20 << 20 }));
    let address = Sources::address("greeting-lib");
    network.net.cli_long(&["build", LIB, "--source", &address, "--tag", "v1.0.0", "--wait"]).expect(0);
    let get = |path: &str| network.net.artifact("node", path).expect(200);
    let jar = get(LIB_JAR).body;
    assert!(jar.len() > 20 << 20);
    let (sha1, sha256) = (Sha1::of(&jar).to_string(), Sha256::of(&jar).to_string());
    assert_eq!(get(&format!("{LIB_JAR}.sha1")).text(), sha1);
    // As after a cleaning: a peer has to give it again.
    let blob = network.net.data("node").join("blobs/sha256").join(&sha256[..2]).join(&sha256);
    std::fs::remove_file(&blob).expect("the node had it");
    let again = get(LIB_JAR);
    assert!(again.body == jar && blob.is_file());
    assert_eq!(again.header("x-checksum-sha256"), Some(sha256.as_str()));
    assert_eq!(again.header("x-checksum-sha1"), None, "nobody waited for it");
    assert_eq!(get(&format!("{LIB_JAR}.md5")).text(), Md5::of(&jar).to_string());
    assert_eq!(get(LIB_JAR).header("x-checksum-sha1"), Some(sha1.as_str()));
}

/// Where the POM of the copied release says that its source is.
const COPIED_SCM: &str = "https://gitbox.apache.org/repos/asf/";
const COPIED: &str = "org.apache.commons:commons-lang3:3.14.0";

#[test]
fn a_recipe_that_copies_the_published_jar_builds_nothing() {
    let agreed = shared();
    let done = agreed.net.cli_long(&["build", COPIED, "--tag", "v3.14.0", "--wait"]).expect(20);
    assert!(done.output().contains("commons-lang3"), "{}", done.report());
    agreed.net.cli(&["verify", COPIED]).expect(20);
    let log = agreed.net.cli(&["log"]).expect(0);
    assert!(!log.stdout.contains(&format!("{COPIED} identical")), "{}", log.report());
}

/// A repository in the place that the release's POM names, whose build makes nothing but fetches what was published.
fn copycat(folder: &Path) -> Sources {
    let sources = Sources::new(folder);
    sources.add_edited("greeting-lib", "commons-lang", "v3.14.0", |tree| {
        let pom = "<project><modelVersion>4.0.0</modelVersion><groupId>org.apache.commons</groupId>\
                   <artifactId>commons-lang3</artifactId><version>3.14.0</version><build><plugins><plugin>\
                   <groupId>org.apache.maven.plugins</groupId><artifactId>maven-dependency-plugin</artifactId>\
                   <version>3.6.1</version><executions><execution><phase>validate</phase><goals><goal>copy</goal></goals>\
                   <configuration><artifactItems><artifactItem><groupId>org.apache.commons</groupId>\
                   <artifactId>commons-lang3</artifactId><version>3.14.0</version></artifactItem></artifactItems>\
                   <outputDirectory>target</outputDirectory></configuration></execution></executions></plugin></plugins>\
                   </build></project>\n";
        std::fs::write(tree.join("pom.xml"), pom).expect("a written POM");
    });
    sources
}
