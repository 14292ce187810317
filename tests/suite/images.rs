//! Builder images: made again from their packages, carried as files, and those of others.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use pyrsia_digest::Sha256;
use pyrsia_tests::node::{self, BUILD};
use pyrsia_tests::process::{self, Finished};
use pyrsia_tests::registry::Registry;
use pyrsia_tests::sources::Sources;
use pyrsia_tests::{engine, places};
use serde_json::{Value, json};

use crate::fixture::rebuild;

/// `images ...` with this folder of images.
fn images(folder: &Path, arguments: &[&str]) -> Finished {
    let mut command = node::program();
    command.arg("--data-dir").arg(places::run_folder().join("images-data")).arg("--images").arg(folder);
    command.args(["--json", "images"]).args(arguments);
    process::run(&mut command, BUILD)
}

/// The image that the tests build in, as `images list` has it; made if it is not there.
fn jdk17() -> Value {
    images(&places::image_cache(), &["build", "jdk17"]).expect(0).json()
}

#[test]
fn an_image_is_made_again_from_its_packages_and_equal() {
    let image = jdk17();
    let cache = places::image_cache();
    let remade = images(&cache, &["verify", "jdk17"]).expect(0).json();
    assert_eq!(remade["equal"], true, "{remade:#}");
    assert_eq!(remade["image"], image["digest"]);
    assert_eq!(remade["layer"], image["layer"], "the same bytes");
    assert!(remade["packages"].as_u64().is_some_and(|count| count > 100), "{remade:#}");
    assert!(remade["suites"].as_array().is_some_and(|suites| suites.contains(&json!("bookworm"))), "{remade:#}");
    let listed = images(&cache, &["list"]).expect(0).json();
    let listed = listed.as_array().and_then(|all| all.iter().find(|known| known["digest"] == image["digest"]));
    let listed = listed.expect("it is listed");
    assert_eq!((&listed["own"], &listed["verified"]), (&json!(true), &json!(true)), "{listed:#}");
}

#[test]
fn an_image_that_is_not_finished_leaves_nothing_behind() {
    let folder = places::scratch("unfinished");
    let mut command = node::program();
    command.arg("--data-dir").arg(places::run_folder().join("images-data")).arg("--images").arg(folder.path());
    command.args(["images", "build", "jdk17"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    let here = folder.path().to_str().expect("text");
    // The tool has begun when something runs that knows the folder, but for the command itself.
    let works = || process::mentioning(here).into_iter().any(|id| id != child.id());
    process::until(BUILD, || (works() || !process::is_running(child.id())).then_some(()));
    assert!(process::is_running(child.id()), "it ended before it had begun");
    // In the midst of packages that are unpacked, with `/proc` and `/sys` mounted, if the mirror is quick.
    std::thread::sleep(Duration::from_secs(10));
    process::terminate(child.id());
    assert_eq!(process::wait(&mut child, Duration::from_secs(60)), 1);
    let mounts = std::fs::read_to_string("/proc/self/mounts").expect("what is mounted");
    assert!(!mounts.contains(here), "{mounts}");
    process::until(Duration::from_secs(30), || process::mentioning(here).is_empty().then_some(()));
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).expect("the folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["blobs"], "neither a tree nor an image");
}

#[test]
fn an_image_is_carried_as_a_file() {
    let image = jdk17();
    let digest = image["digest"].as_str().expect("a digest").to_owned();
    let folder = places::scratch("carried");
    let file = folder.path().join("jdk17.tar");
    let written = images(&places::image_cache(), &["export", "jdk17", "--out", &file.to_string_lossy()]).expect(0);
    let size = std::fs::metadata(&file).expect("the file").len();
    assert_eq!(written.json()["bytes"], size);
    assert!(Some(size) > image["layer_bytes"].as_u64(), "the layer, and what it was made of");

    let other = folder.path().join("images");
    let taken = images(&other, &["import", &file.to_string_lossy()]).expect(0).json();
    assert_eq!((&taken["digest"], &taken["own"], &taken["verified"]), (&json!(digest), &json!(false), &json!(false)));
    let listed = images(&other, &["list"]).expect(0).json();
    assert_eq!(listed, json!([taken]));
    // It is no image of this machine's own, so a name does not find it, but its digest does.
    let unknown = images(&other, &["verify", "jdk17"]).expect(1);
    assert!(unknown.output().contains("images build jdk17"), "{}", unknown.report());

    let half = std::fs::File::options().write(true).open(&file).expect("the file");
    half.set_len(size / 2).expect("half a file");
    let third = folder.path().join("third");
    images(&third, &["import", &file.to_string_lossy()]).expect(1);
    assert_eq!(images(&third, &["list"]).expect(0).json(), json!([]));
}

/// The file of a blob in the images' folder.
fn blob(digest: &str) -> PathBuf {
    let file = place(&places::image_cache(), &digest.parse().expect("a digest"));
    assert!(file.is_file(), "there is no blob {digest}");
    file
}

/// A blob by its place in a folder of images.
fn place(folder: &Path, digest: &Sha256) -> PathBuf {
    let name = digest.to_string();
    folder.join("blobs/sha256").join(&name[..2]).join(name)
}

fn put(folder: &Path, bytes: &[u8]) -> Sha256 {
    let digest = Sha256::of(bytes);
    let place = place(folder, &digest);
    std::fs::create_dir_all(place.parent().expect("a folder")).expect("a folder");
    std::fs::write(place, bytes).expect("a written blob");
    digest
}

#[test]
fn an_index_that_was_altered_is_found_out() {
    let mut image = jdk17();
    let folder = places::scratch("altered");
    let lock = std::fs::read(blob(image["lock"].as_str().expect("a lock"))).expect("the lock");
    let mut lock: Value = serde_json::from_slice(&lock).expect("JSON");
    // What the image was made of, without copying it.
    let files = [&lock["suites"], &lock["packages"]].into_iter().flat_map(|list| list.as_array().into_iter().flatten());
    let files = files.flat_map(|of| [&of["release"], &of["packages"], &of["file"]]);
    let digests = files.filter_map(|file| file["sha256"].as_str()).chain(image["layer"].as_str());
    for digest in digests {
        let link = place(folder.path(), &digest.parse().expect("a digest"));
        std::fs::create_dir_all(link.parent().expect("a folder")).expect("a folder");
        if link.exists() {
            continue;
        }
        std::os::unix::fs::symlink(blob(digest), link).expect("a link");
    }
    // Another version of a package in the index, which the archive has not signed.
    let suites = lock["suites"].as_array_mut().expect("suites");
    let main = suites.iter_mut().find(|suite| suite["suite"] == "bookworm").expect("the suite");
    let index = std::fs::read_to_string(blob(main["packages"]["sha256"].as_str().expect("a digest"))).expect("text");
    let altered = index.replacen("\nPackage: socat\nVersion: ", "\nPackage: socat\nVersion: 9", 1);
    assert_ne!(index, altered, "there is no socat in the index");
    main["packages"] = json!({ "sha256": put(folder.path(), altered.as_bytes()), "bytes": altered.len() });
    image["lock"] = json!(put(folder.path(), lock.to_string().as_bytes()));
    for ours in ["own", "verified"] {
        image.as_object_mut().expect("an object").remove(ours);
    }
    std::fs::write(folder.path().join("jdk17.json"), image.to_string()).expect("a written description");
    let refused = images(folder.path(), &["verify", "jdk17"]).expect(1);
    let said = refused.output();
    assert!(said.contains("mmdebstrap ended") && said.contains("Hash Sum mismatch"), "{}", refused.report());
    assert_eq!(images(folder.path(), &["list"]).expect(0).json()[0]["verified"], false);
}

#[test]
fn a_rebuild_alone_may_run_in_an_image_of_any_registry_by_digest() {
    engine::require();
    let image = jdk17();
    let layer = image["layer"].as_str().expect("a layer").to_owned();
    let digest: Sha256 = layer.parse().expect("a digest");
    let settings = |home: &str| json!({ "Env": [format!("JAVA_HOME={home}"), "PATH=/usr/bin:/bin"], "Entrypoint": ["/bin/false"] });
    let home = image["config"]["java_home"].as_str().expect("where its JDK lies");
    let registry = Registry::start(blob(&layer), &digest, &settings(home));
    let sources = Sources::new(&places::run_folder().join("foreign-sources"));
    sources.add_sample("greeting-lib", "v1.0.0");
    let out = places::scratch("foreign");
    let in_image = |image: &str| rebuild(&sources, out.path(), &["--no-reference", "--image", image]);

    let reference = registry.reference();
    let report = in_image(&reference).expect(0).json();
    assert_eq!(report["image"], reference.as_str(), "{report:#}");
    let statement = std::fs::read(out.path().join("provenance.json")).expect("the statement");
    let statement: Value = serde_json::from_slice(&statement).expect("JSON");
    let dependencies = &statement["predicate"]["buildDefinition"]["resolvedDependencies"];
    assert_eq!(dependencies[1]["uri"], format!("oci:{reference}"), "{dependencies:#}");
    // What the engine holds needs no registry, and its id will do.
    in_image(&registry.engine_id()).expect(0);
    drop(registry);
    in_image(&reference).expect(0);
    remove(&report);

    // Nobody has this one, and nothing was made of the wrong one in the meantime.
    let absent = reference.replace(&reference[reference.len() - 64..], &"0".repeat(64));
    let refused = in_image(&absent).expect(1);
    assert!(refused.output().contains("not in the container engine"), "{}", refused.report());
    let refused = in_image(&format!("sha256:{}", "0".repeat(64))).expect(1);
    assert!(refused.output().contains("an id leads to no registry"), "{}", refused.report());
    let refused = in_image("maven:3.9").expect(2);
    assert!(refused.output().contains("by its digest"), "{}", refused.report());

    let homeless = Registry::start(blob(&layer), &digest, &json!({ "Env": [] }));
    let refused = in_image(&homeless.reference()).expect(1);
    assert!(refused.output().contains("JAVA_HOME"), "{}", refused.report());
    remove(&json!({ "image": homeless.engine_id() }));
}

/// Removes an image that a test has put into the engine.
fn remove(report: &Value) {
    let name = report["image"].as_str().expect("a name");
    let done = process::until(Duration::from_secs(30), || {
        let answer = engine::request("DELETE", &format!("/images/{name}?force=1"), b"")?;
        matches!(answer.status, 200 | 404).then_some(())
    });
    assert!(done.is_some(), "{name} is still there");
}
