use proptest::prelude::*;

use super::*;

fn pom(body: &str) -> Pom {
    Pom::parse(format!("<project>{body}</project>").as_bytes()).unwrap()
}

const PARENT: &str = "<groupId>org.example</groupId><artifactId>parent</artifactId><version>7</version>
  <properties><lib.version>1.2</lib.version><own>${project.artifactId}-${lib.version}</own><shared>parent</shared></properties>
  <dependencies><dependency><groupId>org.example</groupId><artifactId>everywhere</artifactId><version>3</version></dependency></dependencies>
  <dependencyManagement><dependencies>
    <dependency><groupId>${project.groupId}</groupId><artifactId>lib</artifactId><version>${lib.version}</version></dependency>
    <dependency><groupId>org.example</groupId><artifactId>lib</artifactId><version>${lib.version}</version><type>test-jar</type></dependency>
    <dependency><groupId>org.example</groupId><artifactId>bom</artifactId><version>9</version><type>pom</type><scope>import</scope></dependency>
  </dependencies></dependencyManagement>
  <build><pluginManagement><plugins>
    <plugin><artifactId>maven-jar-plugin</artifactId><version>3.4.1</version></plugin>
  </plugins></pluginManagement></build>";

const CHILD: &str = "<parent><groupId>org.example</groupId><artifactId>parent</artifactId><version>7</version></parent>
  <artifactId>tool</artifactId>
  <properties><shared>child</shared></properties>
  <dependencies>
    <dependency><groupId>org.example</groupId><artifactId>lib</artifactId></dependency>
    <dependency><groupId>org.example</groupId><artifactId>lib</artifactId><type>test-jar</type><scope>test</scope><optional>true</optional></dependency>
    <dependency><groupId>org.example</groupId><artifactId>other</artifactId><version>${project.version}</version><classifier>natives</classifier>
      <exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions></dependency>
    <dependency><groupId>org.example</groupId><artifactId>of-the-bom</artifactId></dependency>
    <dependency><groupId>org.example</groupId><artifactId>range</artifactId><version>[1,2)</version></dependency>
  </dependencies>
  <build>
    <extensions><extension><groupId>org.example</groupId><artifactId>wagon</artifactId><version>1</version></extension></extensions>
    <plugins>
      <plugin><artifactId>maven-jar-plugin</artifactId><extensions>true</extensions>
        <dependencies><dependency><groupId>g</groupId><artifactId>a</artifactId><version>1</version></dependency></dependencies></plugin>
      <plugin><groupId>org.example</groupId><artifactId>unversioned</artifactId></plugin>
    </plugins>
  </build>
  <distributionManagement><relocation><groupId>org.moved</groupId><message>m</message></relocation></distributionManagement>";

#[test]
fn values_are_resolved_from_the_pom_and_its_parents() {
    let (child, parent) = (pom(CHILD), pom(PARENT));
    let poms = [&child, &parent];
    let lineage = Lineage::new(&poms);
    let value = |text: &str| lineage.resolve(text);
    assert_eq!(lineage.coordinates().unwrap().to_string(), "org.example:tool:7");
    assert_eq!(value("plain").as_deref(), Some("plain"));
    assert_eq!(value("a ${own} b").as_deref(), Some("a tool-1.2 b"), "in the child's words");
    assert_eq!(value("${shared}").as_deref(), Some("child"));
    for (name, expected) in [
        ("project.version", "7"),
        ("pom.groupId", "org.example"),
        ("artifactId", "tool"),
        ("project.packaging", "jar"),
        ("project.parent.artifactId", "parent"),
    ] {
        assert_eq!(value(&format!("${{{name}}}")).as_deref(), Some(expected), "{name}");
    }
    for unknown in ["${env.HOME}", "${project.basedir}", "x${", "${}", "${a${b}}", "${project.lib.version}"] {
        assert_eq!(value(unknown), None, "{unknown}");
    }
    assert_eq!(Lineage::new(&[]).resolve("${version}"), None);
    assert_eq!(Lineage::new(&[]).resolve("1").as_deref(), Some("1"));
}

#[test]
fn a_property_hides_what_has_no_prefix() {
    let own =
        pom("<version>1</version><properties><version>2</version><project.version>3</project.version></properties>");
    let poms = [&own];
    assert_eq!(Lineage::new(&poms).resolve("${version} ${project.version}").as_deref(), Some("2 1"));
}

#[test]
fn circles_and_explosions_end() {
    let circle = pom("<version>${a}</version><properties><a>${b}</a><b>${a}</b><c>${c}x</c></properties>");
    let poms = [&circle];
    for text in ["${a}", "${c}", "${project.version}"] {
        assert_eq!(Lineage::new(&poms).resolve(text), None, "{text}");
    }
    for seed in ["", "x"] {
        let mut body = format!("<p0>{seed}</p0>");
        for n in 1..31 {
            body.push_str(&format!("<p{n}>${{p{0}}}${{p{0}}}</p{n}>", n - 1));
        }
        let explosion = pom(&format!("<properties>{body}</properties>"));
        let poms = [&explosion];
        assert_eq!(Lineage::new(&poms).resolve("${p30}"), None);
        assert_eq!(Lineage::new(&poms).resolve("${p5}"), Some(seed.repeat(32)));
    }
    let long = pom(&format!("<properties><long>{}</long></properties>", "x".repeat(60_000)));
    let poms = [&long];
    assert!(Lineage::new(&poms).resolve("${long}").is_some());
    assert_eq!(Lineage::new(&poms).resolve("${long}${long}"), None);
}

#[test]
fn dependencies_lead_to_files() {
    let (child, parent) = (pom(CHILD), pom(PARENT));
    let poms = [&child, &parent];
    let lineage = Lineage::new(&poms);
    let files: Vec<_> = lineage
        .dependencies()
        .map(|dependency| lineage.file(dependency).map(|file| file.path().to_string()).unwrap_or_default())
        .collect();
    let expected = [
        "org/example/lib/1.2/lib-1.2.jar",
        "org/example/lib/1.2/lib-1.2-tests.jar",
        "org/example/other/7/other-7-natives.jar",
        "",
        "",
        "org/example/everywhere/3/everywhere-3.jar",
    ];
    assert_eq!(files, expected);
    assert_eq!(lineage.imports().map(|bom| bom.to_string()).collect::<Vec<_>>(), ["org.example:bom:9"]);
    let third = &child.dependencies[2];
    assert_eq!(third.exclusions.len(), 1);
    assert_eq!(child.dependencies[1].scope.as_deref(), Some("test"));
    assert_eq!(child.dependencies[1].optional.as_deref(), Some("true"));
    assert!(parent.managed_dependencies[2].is_import() && !parent.managed_dependencies[0].is_import());
}

#[test]
fn plugins_and_extensions() {
    let (child, parent) = (pom(CHILD), pom(PARENT));
    let poms = [&child, &parent];
    let lineage = Lineage::new(&poms);
    let [jar, unversioned] = child.build.plugins.as_slice() else { panic!("two plugins") };
    assert_eq!(lineage.plugin(jar).unwrap().to_string(), "org.apache.maven.plugins:maven-jar-plugin:3.4.1");
    assert_eq!((jar.extensions.as_deref(), jar.dependencies.len()), (Some("true"), 1));
    assert_eq!(lineage.plugin(unversioned), None);
    assert_eq!(child.build.extensions[0].artifact_id.as_deref(), Some("wagon"));
}

#[test]
fn relocations() {
    let child = pom(CHILD);
    let poms = [&child];
    let lineage = Lineage::new(&poms);
    let of: Coordinates = "org.example:tool:7".parse().unwrap();
    assert_eq!(lineage.relocation(&of).unwrap().unwrap().to_string(), "org.moved:tool:7");
    assert_eq!(child.relocation.as_ref().unwrap().message.as_deref(), Some("m"));
    let moved = |body: &str| {
        let pom = pom(&format!(
            "<version>7</version><properties><v>8</v></properties><distributionManagement><relocation>{body}</relocation>\
             </distributionManagement>"
        ));
        Lineage::new(&[&pom]).relocation(&of).map(|to| to.map(|to| to.to_string()))
    };
    assert_eq!(moved("").unwrap().as_deref(), Some("org.example:tool:7"), "to itself");
    assert_eq!(moved("<version>${v}</version>").unwrap().as_deref(), Some("org.example:tool:8"));
    assert!(matches!(moved("<version>${w}</version>"), Err(PomError::Computed { what: "version", .. })));
    assert!(matches!(moved("<artifactId>../x</artifactId>"), Err(PomError::Coordinates(_))));
    let parent = pom(PARENT);
    assert_eq!(Lineage::new(&[&parent, &child]).relocation(&of), Ok(None), "a parent's is its own");
}

#[test]
fn types_and_their_files() {
    let file = |kind: &str| {
        file_of_type(kind)
            .map(|(classifier, extension)| (classifier.map(|text| text.to_string()), extension.to_string()))
    };
    assert_eq!(file("jar"), Some((None, "jar".to_owned())));
    assert_eq!(file("maven-plugin"), Some((None, "jar".to_owned())));
    assert_eq!(file("test-jar"), Some((Some("tests".to_owned()), "jar".to_owned())));
    assert_eq!(file("tar.gz"), Some((None, "tar.gz".to_owned())));
    for none in ["", "../x", "a b", "${packaging}"] {
        assert_eq!(file(none), None, "{none}");
    }
}

#[test]
fn many_managed_dependencies_cost_little() {
    let entry = "<dependency><groupId>${g}</groupId><artifactId>a</artifactId><version>1</version></dependency>";
    let body = format!(
        "<properties><g>{}</g></properties><dependencyManagement><dependencies>{}</dependencies></dependencyManagement>\
         <dependencies>{}</dependencies>",
        "g".repeat(60_000),
        entry.repeat(20_000),
        entry.replace("<version>1</version>", "").repeat(20_000)
    );
    let own = pom(&body);
    let poms = [&own];
    let lineage = Lineage::new(&poms);
    assert_eq!(own.dependencies.iter().filter_map(|dependency| lineage.file(dependency)).count(), 0);
}

proptest! {
    #[test]
    fn resolving_ends(
        values in proptest::collection::vec("(\\$\\{[abc]\\}|[xy]|\\$|\\{|\\}|\\$\\{project\\.version\\}){0,4}", 3),
        text in "(\\$\\{[abcd]\\}|[xy]|\\}){0,4}",
    ) {
        let properties = "abc".chars().zip(&values).map(|(name, value)| format!("<{name}>{value}</{name}>"));
        let own = pom(&format!("<version>1</version><properties>{}</properties>", properties.collect::<String>()));
        let poms = [&own];
        if let Some(resolved) = Lineage::new(&poms).resolve(&text) {
            prop_assert!(resolved.len() <= 64 * 1024);
            if !is_computed(&text) {
                prop_assert_eq!(resolved, text);
            }
        } else {
            prop_assert!(is_computed(&text));
        }
    }
}
