//! `rebuild` with inputs that a specification names: further repositories, and single files.

use std::io::Write as _;

use pyrsia_digest::Sha256;
use pyrsia_tests::sources::{Sources, replace_in};
use pyrsia_tests::upstream::Upstream;
use pyrsia_tests::{clients, engine, places};
use serde_json::Value;

use crate::fixture::{LIB, rebuild_of};

const SPECIFICATION: &str = "version = 1\ntool = \"maven-3.6.3\"\njdk = 17\ngoals = [\"package\"]\n";
const SOURCE: (&str, &str, &str) = (LIB, "greeting-lib", "v1.0.0");

const GROUP: &str = "org.pyrsia.samples.second";
const FILES: &str = "org/pyrsia/samples/second/only-there/1.0.0/only-there-1.0.0";

/// A JAR with one entry.
fn jar() -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("there.txt", zip::write::SimpleFileOptions::default()).expect("an entry");
    zip.write_all(b"only there\n").expect("its bytes");
    zip.finish().expect("a whole zip").into_inner()
}

/// Where a file goes, so that it comes out in the JAR.
const PLACE: &str = "src/main/resources/notes/added.txt";
const NOTE: &[u8] = b"from elsewhere\n";

/// One build with both: each costs a minute.
#[test]
fn what_a_specification_names_is_an_input_and_what_cannot_be_had_is_refused_by_name() {
    engine::require();
    let sources = Sources::new(&places::run_folder().join("sources-inputs"));
    sources.add_edited("greeting-lib", "greeting-lib", "v1.0.0", |tree| {
        let dependency = format!(
            "<dependencies><dependency><groupId>{GROUP}</groupId><artifactId>only-there</artifactId>\
             <version>1.0.0</version></dependency></dependencies></project>"
        );
        replace_in(&tree.join("pom.xml"), "</project>", &dependency);
    });
    let second = Upstream::start();
    second.put_release(GROUP, "only-there", "1.0.0", jar());
    let folder = places::scratch("inputs");
    let write = |name: &str, text: &[u8]| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("a written file");
        file.to_string_lossy().into_owned()
    };
    let url = "https://files.example/note.txt";
    write("note.txt", NOTE);
    let mirror = format!("https://files.example/=file://{}/", folder.path().display());
    let config = format!("[[upstreams]]\nid = \"second\"\nurl = \"{}\"\n", second.url());
    let config = write("config.toml", config.as_bytes());
    let repository = format!("\n[[repositories]]\nid = \"second\"\ninclude = [\"{GROUP}\"]\n");
    let input = |path: &str, content: &[u8]| {
        let sha256 = Sha256::of(content);
        format!("\n[[input]]\nurl = \"{url}\"\nsha256 = \"{sha256}\"\npath = \"{path}\"\n")
    };
    let out = folder.path().join("out");
    let run = |more: &str, arguments: &[&str]| {
        let spec = write("spec.toml", format!("{SPECIFICATION}{more}").as_bytes());
        let own = ["--no-reference", "--spec", &spec, "--source-mirror", &mirror];
        rebuild_of(&sources, SOURCE, &out, &[&own[..], arguments].concat())
    };

    // None of these runs anything.
    for (more, code, said) in [
        (repository.clone(), 21, "inputs-unavailable: second".to_owned()),
        (input(PLACE, b"other"), 21, format!("{url}: it is {}, not {}", Sha256::of(NOTE), Sha256::of(b"other"))),
        (input("pom.xml", NOTE), 1, "the input pom.xml cannot be placed: the source has another file there".to_owned()),
        (input("../x", NOTE), 1, "must lie below the work directory".to_owned()),
    ] {
        let refused = run(&more, &[]).expect(code);
        assert!(refused.output().contains(&said), "{said}: {}", refused.report());
    }

    run(&format!("{repository}{}", input(PLACE, NOTE)), &["--config", &config]).expect(0);
    let manifest = std::fs::read_to_string(out.join("manifest.txt")).expect("a manifest");
    let note = Sha256::of(NOTE).to_string();
    for line in [
        format!("central\t{FILES}.pom\t404\t"),
        format!("second\t{FILES}.pom\t200\t"),
        format!("second\t{FILES}.jar\t200\t"),
        format!("input\t{PLACE}\t200\t{}\t{note}\n", NOTE.len()),
    ] {
        assert!(manifest.contains(&line), "{line} in {manifest}");
    }
    let strangers: Vec<_> = second.requests().into_iter().filter(|(_, path)| !path.contains(FILES)).collect();
    assert!(strangers.is_empty(), "it is asked for its own group alone: {strangers:?}");
    let unpacked = clients::unpack_jar(&out.join("greeting-lib-1.0.0.jar"));
    assert_eq!(std::fs::read(unpacked.path().join("notes/added.txt")).expect("the file is in the JAR"), NOTE);
    let statement = std::fs::read(out.join("provenance.json")).expect("a statement");
    let statement: Value = serde_json::from_slice(&statement).expect("JSON");
    let dependencies = statement["predicate"]["buildDefinition"]["resolvedDependencies"].as_array().expect("a list");
    let found = dependencies.iter().find(|found| found["uri"] == url).expect("the address is named");
    assert_eq!((&found["name"], &found["digest"]["sha256"]), (&format!("input:{PLACE}").into(), &note.into()));
}
