use std::collections::BTreeMap;

use super::*;

/// POMs of an upstream, by coordinates.
#[derive(Default)]
struct World(BTreeMap<String, String>);

impl World {
    fn with(mut self, of: &str, packaging: &str, more: &str) -> Self {
        let [group, artifact, version] = of.split(':').collect::<Vec<_>>().try_into().unwrap();
        let text = format!(
            "<project><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version>
             <packaging>{packaging}</packaging>{more}</project>"
        );
        self.0.insert(of.to_owned(), text);
        self
    }

    /// Does all steps at once, as if upstream answered immediately. What was done, in order.
    fn run(&self, plan: &mut Plan, now: u64) -> Vec<String> {
        let mut done = Vec::new();
        while let Some(step) = plan.next(now) {
            let arrived = match &step {
                Step::Pom(of) => {
                    done.push(of.to_string());
                    match self.0.get(&of.to_string()) {
                        Some(text) => Arrived::Pom(Arc::new(Pom::parse(text.as_bytes()).unwrap()), text.len() as u64),
                        None => Arrived::Nothing,
                    }
                }
                Step::File(path) => {
                    done.push(path.file_name().to_owned());
                    Arrived::File(1_000)
                }
            };
            plan.arrived(step, arrived);
        }
        done
    }
}

fn plan() -> Plan {
    Plan::new(ReadAhead::default())
}

fn coordinates(of: &str) -> Coordinates {
    of.parse().unwrap()
}

/// A client gets the POM.
fn ask(plan: &mut Plan, of: &str, now: u64) {
    plan.asked(&coordinates(of).pom_path(), now);
}

fn dependency(of: &str, more: &str) -> String {
    let parts: Vec<&str> = of.split(':').collect();
    let version = parts.get(2).map(|version| format!("<version>{version}</version>")).unwrap_or_default();
    format!(
        "<dependency><groupId>{}</groupId><artifactId>{}</artifactId>{version}{more}</dependency>",
        parts[0], parts[1]
    )
}

fn dependencies(all: &[String]) -> String {
    format!("<dependencies>{}</dependencies>", all.concat())
}

#[test]
fn a_library_brings_its_parents_and_what_it_depends_on() {
    let parent = "<parent><groupId>g</groupId><artifactId>parent</artifactId><version>1</version></parent>";
    let managed = format!("<dependencyManagement>{}</dependencyManagement>", dependencies(&[dependency("g:b:2", "")]));
    let world = World::default()
        .with("g:a:1", "jar", &format!("{parent}{}", dependencies(&[dependency("g:b", ""), dependency("g:c:1", "")])))
        .with("g:parent:1", "pom", &managed)
        .with("g:b:2", "jar", "")
        .with("g:c:1", "jar", &dependencies(&[dependency("g:d:1", "<scope>test</scope>")]));
    let mut plan = plan();
    ask(&mut plan, "g:a:1", 10);
    assert_eq!(world.run(&mut plan, 10), ["g:a:1", "g:parent:1", "g:b:2", "g:c:1", "a-1.jar", "b-2.jar", "c-1.jar"]);
    // Never twice.
    ask(&mut plan, "g:a:1", 11);
    ask(&mut plan, "g:b:2", 11);
    assert!(world.run(&mut plan, 11).is_empty());
}

#[test]
fn what_is_not_followed_is_not_fetched() {
    let left_out = "<exclusions><exclusion><groupId>g</groupId><artifactId>x</artifactId></exclusion></exclusions>";
    let world = World::default()
        .with(
            "g:a:1",
            "jar",
            &dependencies(&[
                dependency("g:t:1", "<scope>test</scope>"),
                dependency("g:p:1", "<scope>provided</scope>"),
                dependency("g:o:1", "<optional>true</optional>"),
                dependency("g:r:[1,2)", ""),
                dependency("g:u:${unknown}", ""),
                dependency("g:b:1", left_out),
                dependency("org.apache.maven:maven-core:3", ""),
            ]),
        )
        .with("g:b:1", "bundle", &dependencies(&[dependency("g:x:1", ""), dependency("g:y:1", "<type>zip</type>")]));
    let mut plan = plan();
    ask(&mut plan, "g:a:1", 10);
    let done = world.run(&mut plan, 10);
    assert_eq!(done, ["g:a:1", "g:b:1", "org.apache.maven:maven-core:3", "g:y:1", "a-1.jar", "b-1.jar", "y-1.zip"]);
}

#[test]
fn a_bill_of_materials_says_the_version() {
    let import = dependency("g:bom:1", "<type>pom</type><scope>import</scope>");
    let managed = |all: &[String]| format!("<dependencyManagement>{}</dependencyManagement>", dependencies(all));
    let world = World::default()
        .with("g:a:1", "jar", &format!("{}{}", managed(&[import]), dependencies(&[dependency("g:b", "")])))
        .with("g:bom:1", "pom", &managed(&[dependency("g:inner:1", "<type>pom</type><scope>import</scope>")]))
        .with(
            "g:inner:1",
            "pom",
            &format!("<properties><v>7</v></properties>{}", managed(&[dependency("g:b:${v}", "")])),
        )
        .with("g:b:7", "jar", "");
    let mut plan = plan();
    ask(&mut plan, "g:a:1", 10);
    assert_eq!(world.run(&mut plan, 10), ["g:a:1", "g:bom:1", "g:inner:1", "g:b:7", "a-1.jar", "b-7.jar"]);
}

#[test]
fn the_parent_of_a_project_brings_plugins_and_what_tests_need() {
    let plugin = |name: &str| format!("<plugin><artifactId>{name}</artifactId><version>3</version></plugin>");
    let build = format!(
        "<build><pluginManagement><plugins>{}{}</plugins></pluginManagement><plugins>{}</plugins></build>",
        plugin("maven-compiler-plugin"),
        plugin("maven-site-plugin"),
        plugin("maven-enforcer-plugin")
    );
    let test = dependencies(&[dependency("g:junit:4", "<scope>test</scope>")]);
    let with = |packaging| World::default().with("g:parent:1", packaging, &format!("{build}{test}"));
    let mut parent = plan();
    ask(&mut parent, "g:parent:1", 10);
    let mut done = with("pom").run(&mut parent, 10);
    done.sort();
    let plugins = "org.apache.maven.plugins";
    let expected = [
        "g:junit:4",
        "g:parent:1",
        "junit-4.jar",
        "maven-compiler-plugin-3.jar",
        "maven-enforcer-plugin-3.jar",
        &format!("{plugins}:maven-compiler-plugin:3"),
        &format!("{plugins}:maven-enforcer-plugin:3"),
    ];
    assert_eq!(done, expected);
    // A parent to which another POM led is a library's.
    let mut library = plan();
    let of_library = "<parent><groupId>g</groupId><artifactId>parent</artifactId><version>1</version></parent>";
    let world = with("pom").with("g:lib:1", "jar", of_library);
    ask(&mut library, "g:lib:1", 10);
    assert_eq!(world.run(&mut library, 10), ["g:lib:1", "g:parent:1", "lib-1.jar"]);
    ask(&mut library, "g:parent:1", 10);
    assert!(world.run(&mut library, 10).is_empty());
}

#[test]
fn of_two_versions_the_second_waits_until_a_client_reads_its_pom() {
    let world = World::default()
        .with("g:a:1", "jar", &dependencies(&[dependency("g:x:1", ""), dependency("g:b:1", "")]))
        .with("g:b:1", "jar", &dependencies(&[dependency("g:x:2", "")]))
        .with("g:x:1", "jar", "")
        .with("g:x:2", "jar", "");
    let mut plan = plan();
    ask(&mut plan, "g:a:1", 10);
    let done = world.run(&mut plan, 10);
    assert!(done.contains(&"x-1.jar".to_owned()) && !done.contains(&"x-2.jar".to_owned()), "{done:?}");
    assert!(done.contains(&"g:x:2".to_owned()));
    ask(&mut plan, "g:x:2", 10);
    assert_eq!(world.run(&mut plan, 10), ["x-2.jar"]);
}

#[test]
fn what_nobody_asks_for_is_bounded() {
    let many: Vec<String> = (0..50).map(|n| dependency(&format!("g:d{n}:1"), "")).collect();
    let world = World::default().with("g:a:1", "jar", &dependencies(&many));
    let mut plan = Plan::new(ReadAhead { files: 10, ..ReadAhead::default() });
    ask(&mut plan, "g:a:1", 10);
    let files = |done: &[String]| done.iter().filter(|name| name.ends_with(".jar")).count();
    assert_eq!(files(&world.run(&mut plan, 10)), 10);
    // Three of them were useful, so three more may come.
    for n in 0..3 {
        plan.asked(&coordinates(&format!("g:d{n}:1")).path(None, &"jar".parse().unwrap()), 10);
    }
    assert_eq!(files(&world.run(&mut plan, 10)), 3);
    let mut plan = Plan::new(ReadAhead { bytes: 5_000, ..ReadAhead::default() });
    ask(&mut plan, "g:a:1", 10);
    assert_eq!(files(&world.run(&mut plan, 10)), 5);
}

#[test]
fn a_pause_ends_it() {
    let world = World::default().with("g:a:1", "jar", &dependencies(&[dependency("g:b:1", "")]));
    let mut plan = plan();
    ask(&mut plan, "g:a:1", 10);
    assert!(!plan.is_empty());
    assert_eq!(plan.next(10 + ReadAhead::default().pause_s + 1), None);
    assert!(plan.is_empty());
    // What arrives late is of no use, and nothing waits for it.
    plan.arrived(Step::File(coordinates("g:b:1").pom_path()), Arrived::Nothing);
    ask(&mut plan, "g:a:1", 100);
    assert_eq!(world.run(&mut plan, 100).len(), 4);
}

#[test]
fn circles_and_other_nonsense_end() {
    let parent =
        |of: &str| format!("<parent><groupId>g</groupId><artifactId>{of}</artifactId><version>1</version></parent>");
    let import = |of: &str| {
        let import = dependency(&format!("g:{of}:1"), "<type>pom</type><scope>import</scope>");
        format!("<dependencyManagement>{}</dependencyManagement>", dependencies(&[import]))
    };
    let world = World::default()
        .with("g:a:1", "jar", &format!("{}{}", parent("b"), import("b")))
        .with("g:b:1", "pom", &format!("{}{}", parent("a"), import("a")))
        .with("g:own:1", "jar", &dependencies(&[dependency("g:own:1", ""), dependency("g:back:1", "")]))
        .with("g:back:1", "jar", &dependencies(&[dependency("g:own:1", "")]))
        .with("g:lost:1", "jar", &parent("nowhere"));
    for of in ["g:a:1", "g:own:1", "g:lost:1", "g:nowhere:1"] {
        let mut plan = plan();
        ask(&mut plan, of, 10);
        assert!(world.run(&mut plan, 10).len() < 10);
    }
    let mut plan = plan();
    for path in ["archetype-catalog.xml", "g/a/maven-metadata.xml", "g/a/1/a-1.jar", "g/a/1/a-1-x.pom"] {
        plan.asked(&RepoPath::from_url_path(path).unwrap(), 10);
    }
    assert_eq!(plan.next(10), None);
}

#[test]
fn a_pom_made_to_cost_much_costs_little() {
    let many = |count: usize, what: &dyn Fn(usize) -> String| (0..count).map(what).collect::<Vec<_>>();
    let exclusions: String =
        many(10_000, &|n| format!("<exclusion><groupId>g</groupId><artifactId>x{n}</artifactId></exclusion>")).concat();
    let with_exclusions = dependency("g:b:1", &format!("<exclusions>{exclusions}</exclusions>"));
    let world = World::default().with("g:a:1", "jar", &dependencies(&[with_exclusions])).with(
        "g:b:1",
        "jar",
        &dependencies(&many(10_000, &|n| dependency(&format!("g:d{n}:1"), ""))),
    );
    let mut plan = plan();
    ask(&mut plan, "g:a:1", 10);
    assert!(world.run(&mut plan, 10).len() < 1_000);
    // The same large bill of materials again and again, by way of others.
    let import = |n: usize| dependency(&format!("g:bom{n}:1"), "<type>pom</type><scope>import</scope>");
    let managed = |all: &[String]| format!("<dependencyManagement>{}</dependencyManagement>", dependencies(all));
    let large = managed(&many(15_000, &|n| dependency(&format!("g:m{n}:1"), "")));
    let parent = "<parent><groupId>g</groupId><artifactId>large</artifactId><version>1</version></parent>";
    let mut world = World::default().with("g:large:1", "pom", &large).with(
        "g:a:1",
        "jar",
        &format!("{}{}", managed(&many(20, &import)), dependencies(&[dependency("g:never:1", "")])),
    );
    for n in 0..20 {
        world = world.with(&format!("g:bom{n}:1"), "pom", parent);
    }
    let mut plan = Plan::new(ReadAhead::default());
    ask(&mut plan, "g:a:1", 10);
    let done = world.run(&mut plan, 10);
    assert!(done.contains(&"g:large:1".to_owned()) && !done.contains(&"g:never:1".to_owned()), "{done:?}");
}
