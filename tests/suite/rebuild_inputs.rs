//! `rebuild` with inputs that a specification names: further repositories.

use std::io::Write as _;

use pyrsia_tests::sources::{Sources, replace_in};
use pyrsia_tests::upstream::Upstream;
use pyrsia_tests::{engine, places};

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

#[test]
fn a_further_repository_is_asked_for_its_groups_and_an_unknown_one_is_refused_by_name() {
    engine::require();
    let sources = Sources::new(&places::run_folder().join("sources-second-repository"));
    sources.add_edited("greeting-lib", "greeting-lib", "v1.0.0", |tree| {
        let dependency = format!(
            "<dependencies><dependency><groupId>{GROUP}</groupId><artifactId>only-there</artifactId>\
             <version>1.0.0</version></dependency></dependencies></project>"
        );
        replace_in(&tree.join("pom.xml"), "</project>", &dependency);
    });
    let second = Upstream::start();
    second.put_release(GROUP, "only-there", "1.0.0", jar());
    let folder = places::scratch("second-repository");
    let write = |name: &str, text: String| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("a written file");
        file.to_string_lossy().into_owned()
    };
    let listed = format!("{SPECIFICATION}\n[[repositories]]\nid = \"second\"\ninclude = [\"{GROUP}\"]\n");
    let spec = write("spec.toml", listed);
    let config = write("config.toml", format!("[[upstreams]]\nid = \"second\"\nurl = \"{}\"\n", second.url()));
    let out = folder.path().join("out");

    let unknown = rebuild_of(&sources, SOURCE, &out, &["--no-reference", "--spec", &spec]).expect(21);
    assert!(unknown.output().contains("inputs-unavailable: second"), "{}", unknown.report());

    let arguments = ["--no-reference", "--spec", &spec, "--config", &config];
    rebuild_of(&sources, SOURCE, &out, &arguments).expect(0);
    let manifest = std::fs::read_to_string(out.join("manifest.txt")).expect("a manifest");
    for line in [
        format!("central\t{FILES}.pom\t404\t"),
        format!("second\t{FILES}.pom\t200\t"),
        format!("second\t{FILES}.jar\t200\t"),
    ] {
        assert!(manifest.contains(&line), "{line} in {manifest}");
    }
    let strangers: Vec<_> = second.requests().into_iter().filter(|(_, path)| !path.contains(FILES)).collect();
    assert!(strangers.is_empty(), "it is asked for its own group alone: {strangers:?}");
}
