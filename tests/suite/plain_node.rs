//! Unmodified clients with empty caches build real projects of several modules, with the plain node of a network as their only
//! repository. The sources are the ones that were published with the releases.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use pyrsia_tests::clients::{GradleUser, Maven, MavenUser, NOWHERE, unpack, unpack_jar};
use pyrsia_tests::devnet::Devnet;
use pyrsia_tests::http;
use pyrsia_tests::places;

use crate::fixture::central;

const ENFORCER: &str = "org/apache/maven/enforcer/enforcer/3.4.1/enforcer-3.4.1-source-release.zip";
const JXR: &str = "org/apache/maven/jxr/jxr/3.3.1/jxr-3.3.1-source-release.zip";

/// Where the clients get everything.
fn repository() -> String {
    static NET: OnceLock<Devnet> = OnceLock::new();
    let net = NET.get_or_init(|| Devnet::start("clients", &["--upstream", &central().maven2()]));
    format!("{}/maven2/", net.plain().url)
}

/// The published source of a project.
fn source(path: &str) -> tempfile::TempDir {
    let folder = places::scratch("project");
    let archive = http::get(&format!("{}{path}", repository())).expect(200).body;
    unpack(&archive, folder.path());
    folder
}

fn builds(maven: &Maven, path: &str, name: &str, modules: &[&str], arguments: &[&str]) {
    let (folder, user) = (source(path), MavenUser::new(&repository(), "*"));
    let project = folder.path().join(name);
    let arguments: Vec<&str> =
        ["-q", "package", "-DskipTests"].iter().chain(arguments).chain(&NOWHERE).copied().collect();
    user.run(maven, &project, &arguments).expect(0);
    for module in modules {
        let built = std::fs::read_dir(project.join(module).join("target")).expect("a built module").flatten();
        assert!(built.into_iter().any(|file| file.path().extension().is_some_and(|end| end == "jar")), "{module}");
    }
    // Maven notes of each file which repository it came from.
    let (mut open, mut noted) = (vec![user.repository()], 0);
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).expect("a local repository").flatten() {
            if entry.path().is_dir() {
                open.push(entry.path());
            } else if entry.file_name() == "_remote.repositories" {
                let text = std::fs::read_to_string(entry.path()).expect("a note");
                for line in text.lines().filter(|line| !line.starts_with('#')) {
                    assert!(line.ends_with(">under-test="), "{line} in {}", entry.path().display());
                    noted += 1;
                }
            }
        }
    }
    assert!(noted > 500, "only {noted} files came through the node");
}

#[test]
fn maven_of_the_machine_builds_a_project_of_four_modules() {
    let modules = ["enforcer-api", "enforcer-rules", "maven-enforcer-plugin", "maven-enforcer-extension"];
    builds(&Maven::of_the_machine(), ENFORCER, "enforcer-3.4.1", &modules, &[]);
}

#[test]
fn a_newer_maven_builds_a_project_of_two_modules() {
    let maven = Maven::newer(&repository());
    assert!(maven.version().contains("3.9."), "{}", maven.version());
    // Its published source has the line ends of another machine than the one that its formatter expects.
    builds(&maven, JXR, "jxr-3.3.1", &["maven-jxr", "maven-jxr-plugin"], &["-Dspotless.check.skip"]);
}

/// No published project of several modules has a build for a Gradle as old as Debian's, so two modules of a real one get one.
#[test]
fn gradle_builds_two_modules_of_a_real_project() {
    let folder = source(ENFORCER);
    let project = folder.path().join("enforcer-3.4.1");
    let write = |name: &str, text: &str| std::fs::write(project.join(name), text).expect("a build script");
    write("settings.gradle", "include 'enforcer-api', 'enforcer-rules'\n");
    write("build.gradle", GRADLE);
    let arguments: Vec<&str> = ["-q", "jar"].iter().chain(&NOWHERE).copied().collect();
    GradleUser::default().run(&project, &repository(), &arguments).expect(0);
    for (module, class) in [("enforcer-api", "api/EnforcerRule"), ("enforcer-rules", "BannedPlugins")] {
        let jar = project.join(module).join("build/libs").join(format!("{module}-3.4.1.jar"));
        let inside = unpack_jar(&jar);
        let found = class_named(inside.path(), class);
        assert!(found, "{} has no {class}", jar.display());
    }
}

/// Whether a class whose name ends so is below a folder.
fn class_named(folder: &Path, name: &str) -> bool {
    let wanted = Path::new(name).with_extension("class");
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for path in std::fs::read_dir(next).expect("a folder").flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                open.push(path);
            } else if path.ends_with(&wanted) {
                return true;
            }
        }
    }
    false
}

#[test]
fn what_is_nowhere_is_missing_at_once() {
    let user = MavenUser::new(&repository(), "*");
    let project = places::scratch("missing");
    let pom = "<project><modelVersion>4.0.0</modelVersion><parent><groupId>org.acme</groupId><artifactId>nowhere</artifactId>\
               <version>1</version><relativePath/></parent><artifactId>child</artifactId></project>";
    std::fs::write(project.path().join("pom.xml"), pom).expect("a POM");
    let done = user.run(&Maven::of_the_machine(), project.path(), &["-q", "validate"]).expect(1);
    assert!(done.output().contains("org.acme:nowhere:pom:1"), "{}", done.report());
    assert!(done.took < Duration::from_secs(60), "{}", done.report());
}

const GRADLE: &str = r"subprojects {
    apply plugin: 'java'
    version = '3.4.1'
    sourceCompatibility = 8
    targetCompatibility = 8
    repositories { maven { url project.property('repository') } }
    tasks.withType(JavaCompile) { options.encoding = 'UTF-8' }
    dependencies {
        compile 'org.apache.maven:maven-core:3.2.5', 'org.codehaus.plexus:plexus-utils:3.5.1'
        compile 'com.google.code.findbugs:jsr305:3.0.2', 'org.eclipse.sisu:org.eclipse.sisu.plexus:0.9.0.M2'
    }
}
project(':enforcer-rules') {
    dependencies {
        compile project(':enforcer-api'), 'org.eclipse.aether:aether-util:1.0.0.v20140518'
        compile 'org.apache.commons:commons-lang3:3.13.0', 'commons-codec:commons-codec:1.16.0'
        compile 'commons-io:commons-io:2.13.0', 'org.apache-extras.beanshell:bsh:2.0b6', 'javax.inject:javax.inject:1'
    }
}
";
