//! Policies are explained before they are switched, and what they did is reported.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pyrsia_tests::node::Node;
use pyrsia_tests::places;
use pyrsia_tests::process;
use pyrsia_tests::upstream::Upstream;
use serde_json::{Value, json};

use crate::documented::commands;

/// Exit code for what nobody has rebuilt.
pub const UNKNOWN: i32 = 10;
const BLOCKED: i32 = 15;
/// A file of a release that has no verdict.
pub const JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";
const POM: &str = "org/acme/lib/1.0/lib-1.0.pom";

/// A node with this configuration.
fn node(name: &str, upstream: &Upstream, folder: &Path, config: &str) -> Node {
    let file = folder.join("config.toml");
    std::fs::write(&file, config).expect("a written file");
    Node::start(name, &["--no-builder", "--upstream", &upstream.url(), "--config", &file.to_string_lossy()])
}

/// Name, outcome and mark or reason of each file that `policy test` is about.
pub fn fates(test: &Value) -> BTreeMap<String, (String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let files = test["releases"].as_array().expect("releases").iter().flat_map(|release| {
        let files = release["files"].as_array().expect("files").iter();
        files.map(|file| {
            let why = if file["outcome"] == "withheld" { &file["reason"] } else { &file["provenance"] };
            (text(&file["path"]), (text(&file["outcome"]), text(why)))
        })
    });
    files.collect()
}

/// What becomes of one file.
pub fn fate<'a>(fates: &'a BTreeMap<String, (String, String)>, path: &str) -> (&'a str, &'a str) {
    let (outcome, why) = fates.get(path).unwrap_or_else(|| panic!("{path} is not in {fates:#?}"));
    (outcome, why)
}

#[test]
fn a_release_is_explained_under_every_policy_and_nobody_is_asked() {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "lib", "1.0", *b"a jar");
    let folder = places::scratch("policy-test");
    let node = node("policy-test", &upstream, folder.path(), "[policy.groups]\n\"org.strict.*\" = \"verified\"\n");
    let test = |code: i32, arguments: &[&str]| {
        let all = [&["policy", "test"], arguments, &["--json"]].concat();
        let answer = node.cli(&all).expect(code).json();
        assert_eq!(answer["exit_code"], code, "{answer:#}");
        answer
    };
    let gav = "org.acme:lib:1.0";
    let now = test(0, &[gav]);
    assert_eq!(fate(&fates(&now), JAR), ("served", "unverified"));
    assert_eq!(fate(&fates(&now), POM), ("served", "unverified"));
    let release = &now["releases"][0];
    assert_eq!((&release["policy"], &release["ground"]), (&json!("prefer-verified"), &json!("default")));
    assert_eq!(release["files"][0]["if_there"], true, "nobody was asked: {release:#}");
    for more in [&["--policy", "verified"][..], &["--policy", "verified", "--allow-equivalent"]] {
        let strict = test(UNKNOWN, &[&[gav], more].concat());
        assert_eq!(fate(&fates(&strict), JAR), ("withheld", "unverified"));
        assert_eq!(strict["releases"][0]["ground"], "asked");
        assert_eq!(strict["releases"][0]["files"][0]["next"].as_str().map(|next| next.contains("build")), Some(true));
    }
    test(0, &[gav, "--policy", "mirror"]);
    // Where the configuration says so already, that is what it says, and for how many releases it was asked.
    let both = test(UNKNOWN, &["org.strict:x:2", gav]);
    assert_eq!(both["releases"].as_array().map(Vec::len), Some(2));
    assert_eq!(fate(&fates(&both), "org/strict/x/2/x-2.jar"), ("withheld", "unverified"));
    let grounds: Vec<_> = both["releases"].as_array().into_iter().flatten().map(|one| &one["ground"]).collect();
    assert_eq!(grounds, ["default", "group org.strict"]);
    // A file by its name, and a release of which another file is the main one.
    let named = test(0, &["org.acme:lib:1.0:sources", "org.acme:web:1.0@war"]);
    assert!(fates(&named).contains_key("org/acme/lib/1.0/lib-1.0-sources.jar"), "{named:#}");
    assert!(fates(&named).contains_key("org/acme/web/1.0/web-1.0.war"), "{named:#}");
    assert_eq!(upstream.requests(), [], "explaining fetches nothing");

    node.cli(&["block", gav, "--reason", "it steals"]).expect(0);
    assert_eq!(fate(&fates(&test(BLOCKED, &[gav, "--policy", "mirror"])), JAR), ("withheld", "blocked"));
    let said = node.cli(&["policy", "test", gav]).expect(BLOCKED);
    assert!(said.stdout.contains("lib-1.0.jar: would be withheld (blocked): "), "{}", said.report());
    // What is known to be nowhere is not counted as withheld.
    node.artifact("org/strict/none/1/none-1.jar").expect(404);
    node.artifact("org/strict/none/1/none-1.pom").expect(404);
    assert_eq!(fate(&fates(&test(UNKNOWN, &["org.strict:none:1"])), "org/strict/none/1/none-1.jar"), ("absent", ""));
    node.cli(&["namespace", "grant", "org.own", "--repository", "https://git.example/own/lib.git"]).expect(0);
    assert_eq!(fate(&fates(&test(UNKNOWN, &["org.own:lib:1"])), "org/own/lib/1/lib-1.jar"), ("absent", ""));
    for wrong in [
        &["policy", "test"][..],
        &["policy", "test", gav, "--allow-equivalent"],
        &["policy", "test", "x"],
        &["policy", "test", "--policy", "mirror"],
    ] {
        node.cli(wrong).expect(2);
    }
}

#[test]
fn an_upstream_s_own_policy_applies_to_what_it_is_asked_for() {
    let (company, public) = (Upstream::start(), Upstream::start());
    for (artifact, group) in [("lib", "com.acme"), ("lib", "com.acme.open")] {
        company.put_release(group, artifact, "1.0", *b"ours");
        company.put(
            &format!("{}/{artifact}/maven-metadata.xml", group.replace('.', "/")),
            format!(
                "<metadata><groupId>{group}</groupId><artifactId>{artifact}</artifactId><versioning><versions>\
                 <version>1.0</version></versions></versioning></metadata>"
            ),
        );
    }
    public.put_release("org.other", "tool", "1.0", *b"a tool");
    let folder = places::scratch("upstream-policy");
    let config = |include: &str| {
        format!(
            "[policy.groups]\n\"com.acme.open\" = \"mirror\"\n\n[[upstreams]]\nid = \"company\"\nurl = \"{}\"\n{include}\
             policy = \"verified\"\n",
            company.url()
        )
    };
    let ours = "com/acme/lib/1.0/lib-1.0.jar";
    let tool = "org/other/tool/1.0/tool-1.0.jar";
    let mut node = node("upstream-policy", &public, folder.path(), &config("include = [\"com.acme.*\"]\n"));
    let withheld = node.artifact(ours).expect(403).json();
    assert_eq!(withheld["reason"], "unverified", "{withheld:#}");
    let metadata = node.artifact("com/acme/lib/maven-metadata.xml");
    assert!(!metadata.text().contains("<version>1.0"), "what cannot be served is not listed: {}", metadata.text());
    assert_eq!(node.artifact(tool).expect(200).body, b"a tool", "the other upstream has the default");
    // A rule for groups is more specific than any upstream.
    assert_eq!(node.artifact("com/acme/open/lib/1.0/lib-1.0.jar").expect(200).body, b"ours");
    let listed = node.artifact("com/acme/open/lib/maven-metadata.xml").expect(200).text();
    assert!(listed.contains("<version>1.0"), "{listed}");
    let status = node.cli(&["status"]).expect(0).stdout;
    assert!(status.lines().any(|line| line.contains("company: ") && line.contains("policy verified")), "{status}");
    let test = node.cli(&["policy", "test", "com.acme:lib:1.0"]).expect(UNKNOWN);
    assert!(test.stdout.contains("policy verified (upstream company)"), "{}", test.report());

    // Where it may be asked for anything, its policy is for anything: whose file it will be is not known before.
    std::fs::write(folder.path().join("config.toml"), config("")).expect("a written file");
    assert_eq!(node.stop(), 0);
    node.start_again();
    assert_eq!(node.artifact(tool).expect(403).json()["reason"], "unverified");
}

#[test]
fn what_was_served_and_what_was_withheld_is_reported() {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "lib", "1.0", *b"a jar");
    upstream.put_release("org.acme", "large", "1.0", vec![7; 3 << 20]);
    upstream.put_release("org.strict", "lib", "1.0", *b"a jar");
    let folder = places::scratch("served");
    let mut node = node("served", &upstream, folder.path(), "[policy.groups]\n\"org.strict.*\" = \"verified\"\n");
    let report =
        |node: &Node, more: &[&str]| node.cli(&[&["policy", "report", "--json"], more].concat()).expect(0).json();
    assert_eq!(report(&node, &[])["releases"], json!([]));
    for _ in 0..5 {
        node.artifact(JAR).expect(200);
        node.artifact("org/acme/large/1.0/large-1.0.jar").expect(200);
    }
    node.artifact(POM).expect(200);
    // What belongs to a file is no file of the release.
    node.artifact(&format!("{JAR}.sha1")).expect(200);
    node.artifact("org/strict/lib/1.0/lib-1.0.jar").expect(403);
    node.artifact("org/strict/lib/1.0/lib-1.0.jar").expect(403);
    let expected = |report: &Value| {
        assert_eq!(report["served"], json!([{ "outcome": "unverified", "files": 3, "times": 11 }]), "{report:#}");
        assert_eq!(report["withheld"], json!([{ "outcome": "unverified", "files": 1, "times": 2 }]), "{report:#}");
        let lines: Vec<_> = report["releases"].as_array().into_iter().flatten().collect();
        let short: Vec<_> = lines.iter().map(|line| (&line["gav"], &line["withheld"], &line["times"])).collect();
        let [a, b, c] = ["org.acme:large:1.0", "org.acme:lib:1.0", "org.strict:lib:1.0"].map(Value::from);
        assert_eq!(
            short,
            [(&a, &json!(false), &json!(5)), (&b, &json!(false), &json!(6)), (&c, &json!(true), &json!(2))]
        );
        assert!(lines.iter().all(|line| line["last"].as_u64() > Some(1_700_000_000)), "{report:#}");
    };
    expected(&report(&node, &[]));
    // It outlasts the node, also what was counted since the last question.
    node.artifact("org/strict/lib/1.0/lib-1.0.pom").expect(403);
    node.artifact(POM).expect(200);
    assert_eq!(node.stop(), 0);
    node.start_again();
    let after = report(&node, &["--since", "1d"]);
    assert_eq!((&after["served"][0]["times"], &after["withheld"][0]["times"]), (&json!(12), &json!(3)), "{after:#}");
    assert_eq!(report(&node, &["--since", "2199-01-01"])["served"], json!([]));
    let cut = report(&node, &["--max", "1"]);
    assert_eq!((cut["releases"].as_array().map(Vec::len), &cut["total"]), (Some(1), &json!(3)), "{cut:#}");
    let said = node.cli(&["policy", "report"]).expect(0).stdout;
    assert!(said.contains("served unverified: 3 files, 12 requests"), "{said}");
    assert!(said.contains("org.strict:lib:1.0 withheld unverified: 2 files, 3 requests, last 20"), "{said}");
    node.cli(&["policy", "report", "--since", "yesterday"]).expect(2);
}

#[test]
fn what_is_said_of_switching_works() {
    let upstream = Upstream::start();
    upstream.put_release("org.acme", "lib", "1.0", *b"a jar");
    let folder = places::scratch("switching");
    let node = node("switching", &upstream, folder.path(), "");
    let home = places::scratch("switching-home");
    let local = home.path().join(".m2/repository").join(JAR);
    std::fs::create_dir_all(local.parent().expect("a folder")).expect("a folder");
    std::fs::write(&local, "a jar").expect("a file");
    std::fs::write(
        home.path().join("pom.xml"),
        format!(
            "<project><groupId>t</groupId><artifactId>t</artifactId><version>1</version><dependencies>{}</dependencies>\
             </project>",
            dependency("org.acme:lib:1.0", "")
        ),
    )
    .expect("a POM");
    std::os::unix::fs::symlink(places::program(), home.path().join("pyrsia-maven")).expect("a link");
    let said: Vec<_> = commands("docs/OPERATING.md", "Switching to verified")
        .into_iter()
        .map(|line| {
            let path = format!("{}:{}", home.path().display(), std::env::var("PATH").unwrap_or_default());
            let mut shell = Command::new("sh");
            shell.args(["-c", &line]).current_dir(home.path()).env("HOME", home.path()).env("PATH", path);
            shell.env("PYRSIA_NODE", node.url()).env("PYRSIA_DATA_DIR", node.data());
            let code = if line.contains("--policy verified") { UNKNOWN } else { 0 };
            process::run(&mut shell, Duration::from_secs(60)).expect(code).stdout
        })
        .collect();
    let [release, repository, project, report] = &said[..] else { panic!("{} commands", said.len()) };
    assert!(release.contains("lib-1.0.jar: would be withheld (unverified), if upstream has it"), "{release}");
    assert!(repository.contains("1 files would be served") && repository.contains("[policy.groups]"), "{repository}");
    assert!(project.contains("org.acme:lib:1.0 lib-1.0.pom: would be served, marked unverified"), "{project}");
    assert!(report.contains("org.acme:lib:1.0 served unverified"), "what reading the project asked for: {report}");
}

/// Puts a POM into a repository.
fn put_pom(upstream: &Upstream, gav: &str, more: &str) {
    let [group, artifact, version] = gav.split(':').collect::<Vec<_>>()[..] else { panic!("{gav}") };
    let path = format!("{}/{artifact}/{version}/{artifact}-{version}", group.replace('.', "/"));
    let own = format!("<groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>");
    upstream.put(&format!("{path}.pom"), format!("<project><modelVersion>4.0.0</modelVersion>{own}{more}</project>"));
    upstream.put(&format!("{path}.jar"), *b"a jar");
}

/// An element of a POM.
pub fn dependency(gav: &str, more: &str) -> String {
    let parts: Vec<&str> = gav.split(':').collect();
    let version = parts.get(2).map(|version| format!("<version>{version}</version>")).unwrap_or_default();
    format!(
        "<dependency><groupId>{}</groupId><artifactId>{}</artifactId>{version}{more}</dependency>",
        parts[0], parts[1]
    )
}

#[test]
fn a_project_is_read_with_parents_imports_dependencies_and_plugins() {
    let upstream = Upstream::start();
    let all = |of: &[String]| format!("<dependencies>{}</dependencies>", of.concat());
    let managed = |of: &[String]| format!("<dependencyManagement>{}</dependencyManagement>", all(of));
    put_pom(&upstream, "org.p:parent:1", "<packaging>pom</packaging><properties><near>1</near></properties>");
    put_pom(&upstream, "org.b:bom:1", &managed(&[dependency("org.d:managed:7", "")]));
    let further = [
        dependency("org.d:deep:2", ""),
        dependency("org.d:tested:1", "<scope>test</scope>"),
        dependency("org.d:optional:1", "<optional>true</optional>"),
        dependency("org.d:excluded:1", ""),
        dependency("org.d:managed:1", ""),
    ];
    put_pom(&upstream, "org.d:direct:1", &all(&further));
    put_pom(&upstream, "org.d:deep:1", "");
    put_pom(&upstream, "org.d:deep:2", &all(&[dependency("org.d:of-the-farther:1", "")]));
    put_pom(&upstream, "org.d:managed:7", "");
    put_pom(&upstream, "org.pl:plugin:1", &all(&[dependency("org.pl:needed:1", "<scope>runtime</scope>")]));
    put_pom(&upstream, "org.pl:needed:1", "");
    put_pom(&upstream, "org.pl:own:1", "");
    put_pom(
        &upstream,
        "org.d:old:1",
        "<distributionManagement><relocation><artifactId>moved</artifactId></relocation></distributionManagement>",
    );
    put_pom(&upstream, "org.d:moved:1", "");
    let project = places::scratch("policy-project");
    std::fs::create_dir(project.path().join("app")).expect("a folder");
    let parent = |gav: &str, path: &str| {
        let parts: Vec<&str> = gav.split(':').collect();
        format!(
            "<parent><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version>\
             <relativePath>{path}</relativePath></parent>",
            parts[0], parts[1], parts[2]
        )
    };
    let import = dependency("org.b:bom:1", "<type>pom</type><scope>import</scope>");
    std::fs::write(
        project.path().join("pom.xml"),
        format!(
            "<project><modelVersion>4.0.0</modelVersion>{}<groupId>org.own</groupId><artifactId>root</artifactId>\
             <version>1</version><packaging>pom</packaging><modules><module>app</module></modules>{}\
             <profiles><profile><id>release</id>{}</profile></profiles></project>",
            parent("org.p:parent:1", ""),
            managed(&[import]),
            all(&[dependency("org.d:of-release:1", "")])
        ),
    )
    .expect("a POM");
    let exclusions = "<exclusions><exclusion><groupId>org.d</groupId><artifactId>excluded</artifactId></exclusion>\
                      </exclusions>";
    let direct = [
        dependency("org.d:direct:1", exclusions),
        dependency("org.d:deep:${near}", ""),
        dependency("org.d:managed", "<scope>test</scope>"),
        dependency("org.d:old:1", ""),
        dependency("org.d:gone:1", "<scope>provided</scope>"),
        dependency("org.d:range:[1,2)", ""),
    ];
    std::fs::write(
        project.path().join("app/pom.xml"),
        format!(
            "<project><modelVersion>4.0.0</modelVersion>{}<artifactId>app</artifactId>{}<build><plugins>\
             <plugin><groupId>org.pl</groupId><artifactId>plugin</artifactId><version>1</version>{}</plugin>\
             <plugin><artifactId>maven-jar-plugin</artifactId></plugin></plugins></build></project>",
            parent("org.own:root:1", "../pom.xml"),
            all(&direct),
            all(&[dependency("org.pl:own:1", "")])
        ),
    )
    .expect("a POM");
    let folder = places::scratch("policy-project-config");
    let node = node("policy-project", &upstream, folder.path(), "");
    let folder = project.path().to_string_lossy().into_owned();
    for plugin in ["maven-jar-plugin:7", "maven-build-plugin:8", "maven-pom-plugin:9"] {
        put_pom(&upstream, &format!("org.apache.maven.plugins:{plugin}"), "");
    }
    put_pom(&upstream, "org.d:of-release:1", "");
    // A Maven of its own, whose plugins nothing but this test knows.
    let maven = places::scratch("policy-project-maven");
    maven_home(maven.path());
    let run = |arguments: &[&str], code: i32| {
        let mut command = node.command(&[&["policy", "test"], arguments].concat());
        process::run(command.env("MAVEN_HOME", maven.path()), Duration::from_secs(60)).expect(code)
    };
    let test = run(&["--project", &folder, "--json"], 0).json();
    let files: BTreeSet<String> =
        fates(&test).into_keys().map(|path| path.rsplit('/').next().unwrap_or_default().to_owned()).collect();
    let both = |name: &str| [format!("{name}.pom"), format!("{name}.jar")];
    let poms = ["parent-1.pom", "bom-1.pom", "deep-2.pom", "old-1.pom"].map(str::to_owned);
    let expected: BTreeSet<String> =
        ["direct-1", "deep-1", "managed-7", "moved-1", "gone-1", "plugin-1", "needed-1", "own-1"]
            .iter()
            .chain(&["maven-jar-plugin-7", "maven-build-plugin-8", "maven-pom-plugin-9"])
            .collect::<Vec<_>>()
            .iter()
            .flat_map(|name| both(name))
            .chain(poms)
            .collect();
    assert_eq!(files, expected);
    let unknown = test["unknown"].to_string();
    for wanted in ["profile release", "org.d:range of [1,2)", "Maven 3.77 in", "org.d:gone:1", "surefire"] {
        assert!(unknown.contains(wanted), "{wanted}: {unknown}");
    }
    // Nothing of it is verified, so there is nothing to suggest; and all of it would be missed.
    assert_eq!(test["suggestion"], "[policy.groups]\n");
    let strict = run(&["--project", &folder, "--policy", "verified"], UNKNOWN);
    assert!(strict.stdout.contains("0 files would be served, 25 withheld"), "{}", strict.report());
    assert!(strict.stdout.contains("group org.pl: served none; withheld 6 unverified"), "{}", strict.report());
    let released = run(&["--project", &folder, "-P", "release,nobody's", "--json"], 0).json();
    let with = fates(&released);
    assert!(with.contains_key("org/d/of-release/1/of-release-1.jar"), "{with:#?}");
    assert_eq!(with.len(), files.len() + 2);
    let unknown = released["unknown"].to_string();
    assert!(unknown.contains("the profile nobody's adds: no POM") && !unknown.contains("profile release"), "{unknown}");
    run(&["--repo", &folder, "-P", "release"], 2);
    run(&["--project", &format!("{folder}/none")], 1);
}

/// An installation of Maven as far as it says what it brings: a super POM with a version, and the plugins of packagings.
fn maven_home(folder: &Path) {
    let jar = |name: &str, entries: &[(&str, &str)]| {
        let lib = folder.join("lib");
        std::fs::create_dir_all(&lib).expect("a folder");
        let mut writer = zip::ZipWriter::new(std::fs::File::create(lib.join(name)).expect("a file"));
        for (entry, text) in entries {
            writer.start_file(*entry, zip::write::SimpleFileOptions::default()).expect("an entry");
            std::io::Write::write_all(&mut writer, text.as_bytes()).expect("written");
        }
        writer.finish().expect("a JAR");
    };
    let component = |packaging: &str, plugins: &str| {
        format!(
            "<component><role-hint>{packaging}</role-hint><configuration><lifecycles><lifecycle><id>default</id><phases>\
             <package>{plugins}</package></phases></lifecycle></lifecycles></configuration></component>"
        )
    };
    let of = |name: &str, version: &str| format!("org.apache.maven.plugins:{name}:{version}:goal");
    let bindings = format!(
        "<component-set><components>{}{}</components></component-set>",
        component("jar", &[of("maven-jar-plugin", "7"), of("maven-build-plugin", "1")].join(",")),
        component("pom", &of("maven-pom-plugin", "9"))
    );
    let properties = "version=3.77\n";
    let core = [
        ("META-INF/plexus/default-bindings.xml", bindings.as_str()),
        ("META-INF/maven/org.apache.maven/maven-core/pom.properties", properties),
    ];
    jar("maven-core-3.77.jar", &core);
    let super_pom = "<project><build><pluginManagement><plugins><plugin><artifactId>maven-build-plugin</artifactId>\
                     <version>8</version></plugin></plugins></pluginManagement></build></project>";
    jar("maven-model-builder-3.77.jar", &[("org/apache/maven/model/pom-4.0.0.xml", super_pom)]);
}
