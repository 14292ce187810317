//! `rebuild` of what Gradle builds. A run of Gradle is dear, so each of them says as much as it can.

use std::path::Path;

use pyrsia_digest::Sha256;
use pyrsia_tests::sources::{Sources, replace_in};
use pyrsia_tests::{engine, places};

use crate::fixture::rebuild_of;

const RELEASE: &str = "org.pyrsia.samples:gradle-lib:1.0.0";
const DEPENDENCY: &str = "central\torg/apache/commons/commons-lang3/3.14.0/commons-lang3-3.14.0.jar\t200\t";

/// The same build as the project's own, by a line for the shell in which its wrapper stands for the tool.
const LINES: &str = "version = 2\ntool = \"gradle-4.4.1\"\njdk = 17\n\
    commands = [\"test ! -e gradlew\", \"./gradlew clean assemble\"]\n";

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
    let sources = sources("gradle", |_| {});
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
    let said = refused(&LINES.replace("4.4.1", "8.5"));
    assert!(said.contains("no image with Gradle 8.5 on JDK 17; known are 4.4.1 on JDK 17"), "{said}");
    let said = refused(&LINES.replace("jdk = 17", "jdk = 21"));
    assert!(said.contains("no image with Gradle 4.4.1 on JDK 21"), "{said}");
    let none = rebuild_of(&sources, source, &folder.path().join("out"), &["--no-reference"]).expect(1).output();
    assert!(none.contains("Gradle builds this source (build.gradle)") && none.contains("--spec"), "{none}");
}
