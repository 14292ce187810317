//! `rebuild` of what Gradle builds. A run of Gradle is dear, so each of them says as much as it can.

use std::io::Write as _;
use std::path::Path;

use pyrsia_digest::Sha256;
use pyrsia_tests::sources::{Sources, replace_in};
use pyrsia_tests::{engine, places};

use crate::fixture::rebuild_of;

const RELEASE: &str = "org.pyrsia.samples:gradle-lib:1.0.0";
const DEPENDENCY: &str = "central\torg/apache/commons/commons-lang3/3.14.0/commons-lang3-3.14.0.jar\t200\t";

/// The same build as the project's own, by a line for the shell in which its wrapper stands for the tool.
const LINES: &str = "version = 2\ntool = \"gradle-wrapper\"\njdk = 17\n\
    commands = [\"test ! -e gradlew\", \"./gradlew clean assemble\"]\n";

/// Gives a project a wrapper of this Gradle.
fn wrap(tree: &Path, version: &str, more: &str) {
    let file = tree.join("gradle/wrapper/gradle-wrapper.properties");
    std::fs::create_dir_all(file.parent().expect("a folder above")).expect("a folder");
    let url = format!("https\\://files.example/gradle-{version}-bin.zip");
    std::fs::write(&file, format!("distributionUrl={url}\n{more}")).expect("a written file");
}

fn sources(name: &str, edit: impl FnOnce(&Path)) -> Sources {
    engine::require();
    let sources = Sources::new(&places::run_folder().join(format!("sources-{name}")));
    sources.add_edited("gradle-lib", "gradle-lib", "v1.0.0", edit);
    sources
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn a_gradle_project_is_rebuilt_from_its_record_and_twice_to_the_same_bytes() {
    let sources = sources("gradle", |tree| wrap(tree, "4.4.1", ""));
    let folder = places::scratch("gradle");
    let source = (RELEASE, "gradle-lib", "v1.0.0");
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let done = rebuild_of(&sources, source, &first, &["--no-reference"]).expect(0);
    let report = done.json();
    assert_eq!((&report["verdict"], &report["spec"]["tool"]), (&"built".into(), &"gradle-4.4.1".into()), "{report:#}");
    let manifest = read(&first, "manifest.txt");
    assert!(manifest.contains(DEPENDENCY), "{manifest}");
    assert!(!manifest.contains("apache-maven"), "the tool is part of the image: {manifest}");
    // Its coordinates are those of the POM that the build made, with what the script adds to it.
    let pom = read(&first, "gradle-lib-1.0.0.pom");
    assert!(pom.contains("<artifactId>gradle-lib</artifactId>") && pom.contains("Word library"), "{pom}");
    let log = read(&first, "build.log");
    assert!(log.contains("must say org.pyrsia.samples:gradle-lib:1.0.0") && log.contains("BUILD SUCCESSFUL"), "{log}");

    let lines = folder.path().join("lines.toml");
    std::fs::write(&lines, LINES).expect("a written specification");
    let arguments = ["--no-reference", "--spec", &lines.to_string_lossy()];
    let again = rebuild_of(&sources, source, &second, &arguments).expect(0).json();
    assert_eq!(again["spec"]["tool"], "gradle-4.4.1", "what the wrapper names is in the image: {again:#}");
    assert_eq!(again["spec"]["command"], "test ! -e gradlew && ./gradlew clean assemble", "{again:#}");
    let digest = |folder: &Path, name: &str| Sha256::of(&std::fs::read(folder.join(name)).expect("an output"));
    for name in ["gradle-lib-1.0.0.jar", "gradle-lib-1.0.0.pom"] {
        assert_eq!(digest(&first, name), digest(&second, name), "{name}");
    }
    assert_eq!(report["manifest"]["root"], again["manifest"]["root"], "the same was asked for");
}

#[test]
fn what_gradle_asks_for_anew_fails_the_replay_by_name() {
    let sources = sources("gradle-undeclared", |tree| {
        // Another address at each build: a time of day.
        let task = "task askAnew {\n    doLast {\n        def now = System.nanoTime()\n        try {\n            \
             new URL(\"http://127.0.0.1:8081/org/example/undeclared/${now}/undeclared-${now}.pom\").text\n        \
             } catch (IOException ignored) {\n        }\n    }\n}\nassemble.dependsOn askAnew\n\npublishing {";
        replace_in(&tree.join("build.gradle"), "publishing {", task);
    });
    let out = places::scratch("gradle-undeclared");
    let done = rebuild_of(&sources, (RELEASE, "gradle-lib", "v1.0.0"), out.path(), &["--no-reference"]).expect(21);
    assert!(done.output().contains("org/example/undeclared/"), "{}", done.report());
}

/// None of these runs anything.
#[test]
fn a_gradle_that_is_not_there_is_refused_by_name() {
    let sources = sources("gradle-refused", |tree| {
        std::fs::remove_file(tree.join("pyrsia.toml")).expect("the sample has a specification");
    });
    let folder = places::scratch("gradle-refused");
    let source = (RELEASE, "gradle-lib", "v1.0.0");
    let refused = |text: &str| {
        let file = folder.path().join("spec.toml");
        std::fs::write(&file, text).expect("a written specification");
        let arguments = ["--no-reference", "--spec", &file.to_string_lossy()];
        rebuild_of(&sources, source, &folder.path().join("out"), &arguments).expect(1).output()
    };
    let said = refused(LINES);
    assert!(said.contains("the source has no gradle/wrapper/gradle-wrapper.properties"), "{said}");
    let said = refused(&LINES.replace("wrapper", "8.5"));
    assert!(
        said.contains(
            "no image with Gradle 8.5 on JDK 17, and no [[input]] is its distribution; known are 4.4.1 on JDK 17"
        ),
        "{said}"
    );
    let said = refused(&LINES.replace("wrapper", "4.4.1").replace("jdk = 17", "jdk = 21"));
    assert!(said.contains("no image with Gradle 4.4.1 on JDK 21"), "{said}");
    let none = rebuild_of(&sources, source, &folder.path().join("out"), &["--no-reference"]).expect(1).output();
    assert!(none.contains("Gradle builds this source (build.gradle)") && none.contains("--spec"), "{none}");
}

/// A Gradle that makes what it is asked for out of nothing.
const NO_GRADLE: &str = "#!/bin/sh\nset -e\nfor word in \"$@\"; do\n    case $word in -Dmaven.repo.local=*) \
    repository=${word#*=} ;; esac\ndone\nto=$repository/org/pyrsia/samples/gradle-lib/1.0.0\nmkdir -p \"$to\"\n\
    echo \"$*\" > \"$to/gradle-lib-1.0.0.jar\"\n\
    echo '<project><groupId>org.pyrsia.samples</groupId><artifactId>gradle-lib</artifactId><version>1.0.0</version></project>' \
    > \"$to/gradle-lib-1.0.0.pom\"\n";

#[test]
fn the_distribution_of_a_wrapper_is_an_input_by_the_digest_that_the_wrapper_states() {
    let folder = places::scratch("gradle-wrapper");
    let name = "gradle-9.9.9-bin.zip";
    let file = folder.path().join(name);
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&file).expect("a new file"));
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("gradle-9.9.9/bin/gradle", options.unix_permissions(0o755)).expect("an entry");
    zip.write_all(NO_GRADLE.as_bytes()).expect("its bytes");
    zip.start_file("gradle-9.9.9/lib/gradle-launcher-9.9.9.jar", options).expect("an entry");
    zip.finish().expect("a whole zip");
    let sha256 = Sha256::of(&std::fs::read(&file).expect("the zip"));
    let mirror = format!("https://files.example/=file://{}/", folder.path().display());
    let lines = folder.path().join("lines.toml");
    std::fs::write(&lines, LINES).expect("a written specification");
    let arguments = ["--no-reference", "--spec", &lines.to_string_lossy(), "--source-mirror", &mirror];
    let out = folder.path().join("out");
    let run = |sources: &Sources| rebuild_of(sources, (RELEASE, "gradle-lib", "v1.0.0"), &out, &arguments);

    let unstated = run(&sources("gradle-unstated", |tree| wrap(tree, "9.9.9", ""))).expect(1).output();
    assert!(unstated.contains("no image has Gradle 9.9.9") && unstated.contains("distributionSha256Sum"), "{unstated}");
    let other = format!("distributionSha256Sum={}\n", Sha256::of(b"another"));
    let other = run(&sources("gradle-other", |tree| wrap(tree, "9.9.9", &other))).expect(21).output();
    assert!(other.contains(&format!("it is {sha256}, not")), "{other}");

    let stated = format!("distributionSha256Sum={sha256}\n");
    let done = run(&sources("gradle-stated", |tree| wrap(tree, "9.9.9", &stated))).expect(0).json();
    assert_eq!(done["spec"]["tool"], "gradle-9.9.9", "{done:#}");
    let line = format!("input\tgradle/wrapper/{name}\t200\t");
    assert!(read(&out, "manifest.txt").contains(&line) && read(&out, "specification.toml").contains("[[input]]"));
    let called = read(&out, "gradle-lib-1.0.0.jar");
    assert!(called.contains("--no-daemon") && called.ends_with("clean assemble pyrsiaPublication\n"), "{called}");
}
