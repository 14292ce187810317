//! What is on the disk, whatever happens.

use std::io::Read as _;
use std::time::Duration;

use pyrsia_tests::node;
use pyrsia_tests::places::SmallDisk;
use pyrsia_tests::process::{self, Finished};

use super::World;

const JAR: &str = "releases/com/example/lib/1.0/lib-1.0.jar";

fn begun(world: &World, path: &str, all: usize, sent: usize) -> std::net::TcpStream {
    let head = format!(
        "PUT /hosted/{path} HTTP/1.1\r\nHost: HOST\r\nAuthorization: {}\r\nContent-Length: {all}\r\n\r\n",
        world.basic("deployer")
    );
    world.open(&head, &vec![7; sent])
}

/// Waits until the node has written something of an upload.
fn arrives(world: &World, id: &str) {
    let found = process::until(Duration::from_secs(60), || {
        let files = world.files(id, "blobs/tmp");
        files.iter().any(|file| std::fs::metadata(file).is_ok_and(|file| file.len() > 0)).then_some(())
    });
    assert!(found.is_some(), "nothing arrives");
}

#[test]
fn an_upload_that_breaks_off_leaves_nothing() {
    let world = World::quiet("hosted-broken");
    let stream = begun(&world, JAR, 3_000_000, 2_000_000);
    arrives(&world, "releases");
    world.get(JAR).expect(404);
    drop(stream);
    let gone =
        process::until(Duration::from_secs(60), || world.files("releases", "blobs/tmp").is_empty().then_some(()));
    assert!(gone.is_some(), "{:?}", world.files("releases", "blobs/tmp"));
    world.get(JAR).expect(404);
    assert_eq!(world.files("releases", "entries").len() + world.files("releases", "blobs/sha256").len(), 0);
    world.put("deployer", JAR, b"another one").expect(201);
}

#[test]
fn a_node_that_is_killed_shows_no_part_of_a_file_and_all_of_those_that_it_took() {
    let mut world = World::quiet("hosted-killed");
    let list = "releases/com/example/lib/maven-metadata.xml";
    world.put("deployer", JAR, b"taken").expect(201);
    world.put("deployer", list, super::list("lib", &["1.0".to_owned()]).as_bytes()).expect(201);
    let next = "releases/com/example/lib/2.0/lib-2.0.jar";
    let mut stream = begun(&world, next, 3_000_000, 2_000_000);
    arrives(&world, "releases");
    world.node.kill();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert_eq!(answer, b"");
    assert_ne!(world.files("releases", "blobs/tmp").len(), 0, "the killed one had no time to tidy up");
    world.node.start_again();
    world.nothing_is_left("releases");
    world.get(next).expect(404);
    assert_eq!(world.get(JAR).expect(200).body, b"taken");
    assert!(world.get(list).expect(200).text().contains("<version>1.0</version>"));
    world.put("deployer", next, b"whole").expect(201);
    world.put("deployer", JAR, b"taken").expect(200);
    world.put("deployer", JAR, b"other").expect(409);
}

#[test]
fn killed_again_and_again_in_the_middle_of_uploads_a_node_keeps_what_it_took() {
    let mut world = World::quiet("hosted-killed-often");
    let mut taken: Vec<String> = Vec::new();
    for round in 0..5 {
        let begun = std::sync::Barrier::new(5);
        let world = &mut world;
        let basic = world.basic("deployer");
        let url = world.node.url().to_owned();
        let new = std::thread::scope(|scope| {
            let deployers: Vec<_> = (0..4)
                .map(|deployer| {
                    let (begun, basic, url) = (&begun, &basic, &url);
                    scope.spawn(move || {
                        let mut taken = Vec::new();
                        begun.wait();
                        for number in 0.. {
                            let version = format!("{round}.{deployer}.{number}");
                            let path = format!("/hosted/releases/com/example/lib/{version}/lib-{version}.jar");
                            let headers = [("Authorization", basic.as_str())];
                            let body = version.repeat(10_000);
                            match pyrsia_tests::http::send(url, "PUT", &path, &headers, body.as_bytes()) {
                                Ok(answer) => drop(answer.expect(201)),
                                Err(_) => return taken,
                            }
                            taken.push(version);
                        }
                        taken
                    })
                })
                .collect();
            begun.wait();
            // Not before something was taken, and in the middle of whatever comes then.
            let _ = process::until(Duration::from_secs(60), || {
                (world.files("releases", "entries").len() > taken.len() + 10).then_some(())
            });
            world.node.kill();
            deployers.into_iter().flat_map(|deployer| deployer.join().expect("a deployer")).collect::<Vec<_>>()
        });
        assert!(!new.is_empty());
        taken.extend(new);
        world.node.start_again();
        world.nothing_is_left("releases");
        for version in &taken {
            let path = format!("releases/com/example/lib/{version}/lib-{version}.jar");
            assert!(world.get(&path).expect(200).body == version.repeat(10_000).as_bytes(), "{version}");
        }
    }
    assert_eq!(world.node.stop(), 0);
    // Some may be there whose writer was not told.
    let found = fsck(&world).expect(0).json();
    let hosted = found["hosted"].as_array().expect("repositories");
    let releases = hosted.iter().find(|hosted| hosted["id"] == "releases").expect("the repository");
    assert!(releases["files"].as_u64().is_some_and(|files| files >= taken.len() as u64), "{found:#}");
}

#[test]
fn a_full_disk_takes_nothing_says_so_and_keeps_what_is_there() {
    let disk = SmallDisk::mount(24);
    let world = World::start_at("hosted-full", "none", Some(&disk.path().join("data")));
    world.put("deployer", JAR, b"taken").expect(201);
    disk.fill();
    let next = "releases/com/example/lib/2.0/lib-2.0.jar";
    let list = "releases/com/example/lib/maven-metadata.xml";
    let document = super::list("lib", &["1.0".to_owned()]);
    for (path, body) in [(next, &vec![7; 3_000_000][..]), (list, document.as_bytes())] {
        let refused = world.put("deployer", path, body).expect(507).json();
        assert_eq!(refused["type"], "/problems/disk-full", "{refused:#}");
        world.get(path).expect(404);
    }
    assert_eq!(world.get(JAR).expect(200).body, b"taken");
    world.nothing_is_left("releases");
    disk.free();
    world.put("deployer", next, &vec![7; 3_000_000]).expect(201);
    world.put("deployer", list, document.as_bytes()).expect(201);
    drop((world, disk));
}

#[test]
fn a_repository_with_a_limit_is_full_after_a_restart_too() {
    let mut world = World::quiet("hosted-limit");
    let jar = |number: u8| format!("private/com/example/lib/{number}/lib-{number}.jar");
    for number in 0..4 {
        world.put("deployer", &jar(number), &vec![number; 3_999_999]).expect(201);
    }
    for _ in 0..2 {
        let refused = world.put("deployer", &jar(4), &[4; 5]).expect(507).json();
        assert_eq!(refused["type"], "/problems/repository-full", "{refused:#}");
        world.put("deployer", &jar(0), &vec![0; 3_999_999]).expect(200);
        // A client that waits to be asked is not asked.
        let head = format!(
            "PUT /hosted/{} HTTP/1.1\r\nHost: HOST\r\nAuthorization: {}\r\nContent-Length: 5\r\n\
             Expect: 100-continue\r\nConnection: close\r\n\r\n",
            jar(4),
            world.basic("deployer")
        );
        let mut answer = String::new();
        world.open(&head, b"").read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 507"), "{answer}");
        assert_eq!(world.node.stop(), 0);
        world.node.start_again();
    }
    world.put("deployer", &jar(4), &[4; 4]).expect(201);
    world.nothing_is_left("private");
}

#[test]
fn a_list_that_the_disk_has_damaged_is_named_and_made_anew() {
    let mut world = World::quiet("hosted-damaged-list");
    let list = "releases/com/example/lib/maven-metadata.xml";
    world.put("deployer", JAR, b"bytes").expect(201);
    world.put("deployer", list, super::list("lib", &["1.0".to_owned()]).as_bytes()).expect(201);
    assert_eq!(world.node.stop(), 0);
    let entry = world.node.data().join("hosted/releases/entries/com/example/lib/maven-metadata.xml");
    std::fs::write(&entry, vec![0; 300]).expect("a damaged document");
    let found = fsck(&world).expect(1).json();
    let releases = found["hosted"].as_array().and_then(|all| all.iter().find(|hosted| hosted["id"] == "releases"));
    let damaged = &releases.expect("the repository")["damaged"];
    assert_eq!(damaged[0]["path"], "com/example/lib/maven-metadata.xml", "{found:#}");
    assert!(damaged[0]["error"].as_str().is_some_and(|error| error.contains("made anew")), "{found:#}");
    world.node.start_again();
    assert!(world.get(list).expect(200).text().contains("<version>1.0</version>"));
    world.put("deployer", list, super::list("lib", &["2.0".to_owned()]).as_bytes()).expect(200);
    assert_eq!(world.node.stop(), 0);
    fsck(&world).expect(0);
}

fn fsck(world: &World) -> Finished {
    let mut command = node::program();
    command.arg("--data-dir").arg(world.node.data()).args(["fsck", "--json"]);
    process::run(&mut command, Duration::from_secs(120))
}

#[test]
fn gc_leaves_it_alone_and_fsck_finds_what_the_disk_has_changed() {
    let mut world = World::quiet("hosted-upkeep");
    world.put("deployer", JAR, b"the bytes").expect(201);
    world.put("deployer", "releases/com/example/lib/1.0/lib-1.0.pom", b"others").expect(201);
    assert_eq!(world.node.stop(), 0);
    let mut command = node::program();
    command.arg("--data-dir").arg(world.node.data()).args(["gc", "--max-gib", "0", "--max-age-days", "0", "--json"]);
    let done = process::run(&mut command, Duration::from_secs(60)).expect(0).json();
    assert_eq!((&done["removed"], &done["left"]), (&0.into(), &0.into()), "{done:#}");
    let fine = fsck(&world).expect(0).json();
    assert_eq!((&fine["blobs"], fine["hosted"].as_array().map(Vec::len)), (&0.into(), Some(3)), "{fine:#}");
    world.node.start_again();
    assert_eq!(world.get(JAR).expect(200).body, b"the bytes");
    assert_eq!(world.node.stop(), 0);

    let blobs = world.files("releases", "blobs/sha256");
    let blob = blobs.iter().find(|blob| std::fs::read(blob).expect("a blob") == b"the bytes").expect("the blob");
    std::fs::write(blob, b"the bites").expect("a changed blob");
    let found = fsck(&world).expect(1).json();
    let releases = found["hosted"].as_array().and_then(|all| all.iter().find(|hosted| hosted["id"] == "releases"));
    let releases = releases.expect("the repository");
    assert_eq!(releases["damaged"][0]["path"], "com/example/lib/1.0/lib-1.0.jar", "{found:#}");
    assert_eq!(releases["files"], 1, "{found:#}");
    world.node.start_again();
    let lost = world.get(JAR).expect(500).json();
    assert!(lost["detail"].as_str().is_some_and(|detail| detail.contains("upload the same file again")), "{lost:#}");
    world.put("deployer", JAR, b"the bites").expect(409);
    world.put("deployer", JAR, b"the bytes").expect(200);
    assert_eq!(world.get(JAR).expect(200).body, b"the bytes");
}
