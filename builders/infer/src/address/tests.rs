use maven_layout::Coordinates;
use proptest::prelude::*;

use super::*;

fn chain(poms: &[(&str, &str)]) -> Vec<(Coordinates, Pom)> {
    let make = |(gav, body): &(&str, &str)| {
        let release: Coordinates = gav.parse().unwrap();
        let (g, a, v) = (&release.group, &release.artifact, &release.version);
        let text = format!(
            "<project><groupId>{g}</groupId><artifactId>{a}</artifactId><version>{v}</version>{body}</project>"
        );
        let pom = Pom::parse(text.as_bytes()).unwrap();
        (release, pom)
    };
    poms.iter().map(make).collect()
}

fn of(poms: &[(&str, &str)]) -> Vec<String> {
    let found = addresses(&chain(poms), None);
    found.candidates.iter().map(|address| format!("{} {:?}", address.repository, address.standing)).collect()
}

fn first(scm: &str) -> String {
    let scm = format!("<scm><connection>{scm}</connection></scm>");
    of(&[("org.acme:lib:1", &scm)]).into_iter().next().unwrap_or_default()
}

#[test]
fn the_common_malformed_forms_lead_to_the_repository() {
    for raw in [
        "scm:git:https://github.com/acme/lib.git",
        "scm:git:git://github.com/acme/lib.git",
        "scm:git:git@github.com:acme/lib.git",
        "scm:git:git@github.com/acme/lib.git",
        "scm:git:ssh://git@github.com:acme/lib.git",
        "scm:git:http://github.com/acme/lib/",
        "scm:git@github.com:acme/lib",
        "scm:https://github.com/acme/lib",
        "https://github.com/acme/lib/tree/master/module",
        "scm:git:https//github.com/acme/lib.git",
        "scm:git:https:/github.com/acme/lib.git",
        "scm:git:https:github.com/acme/lib.git",
        "scm:git:http:///github.com/acme/lib.git",
        "scm:git: https://github.com/acme/ lib.git",
        "\"scm:git:https://github.com/acme/lib.git\";",
        "scm:github:acme/lib",
    ] {
        assert_eq!(first(raw), "https://github.com/acme/lib Derived", "{raw}");
    }
    assert_eq!(
        first("https://git-wip-us.apache.org/repos/asf?p=acme-lib.git;a=summary"),
        "https://git-wip-us.apache.org/repos/asf/acme-lib Derived"
    );
}

#[test]
fn other_systems_are_refused_by_name() {
    let poms = chain(&[("org.acme:lib:1", "<scm><connection>scm:svn:https://svn.example/lib</connection></scm>")]);
    let found = addresses(&poms, None);
    assert!(found.candidates.is_empty(), "{found:?}");
    assert!(found.refused[0].contains("\"svn\"") && found.refused[0].contains("org.acme:lib:1"), "{found:?}");
}

#[test]
fn expressions_are_filled_from_the_chain_and_may_quote_each_other() {
    let scm = "<scm><connection>scm:git:${project.scm.url}</connection><url>https://git.example/${org}/${project.artifactId}</url></scm>";
    let parent = "<properties><org>acme</org></properties>";
    // The artifact's name may be the repository's, or the module's, which Maven has appended.
    let found = of(&[("org.acme:lib:1", scm), ("org.acme:parent:1", parent)]);
    assert_eq!(found, ["https://git.example/acme/lib Derived", "https://git.example/acme Derived"]);
    let page = "<url>https://github.com/acme/lib</url><scm><url>${project.url}</url></scm>";
    assert_eq!(of(&[("org.acme:lib:1", page)])[0], "https://github.com/acme/lib Derived");
    let circle = "<scm><url>${project.scm.connection}</url><connection>${project.scm.url}</connection></scm>";
    assert!(of(&[("org.acme:lib:1", circle)]).is_empty());
}

#[test]
fn what_maven_appends_to_inherited_addresses_is_undone() {
    // A flattened POM: two generations were appended to the root's address.
    let scm = "<scm><url>https://git.example/group/project/parent/lib</url></scm>";
    let found = of(&[("org.acme:lib:1", scm), ("org.acme:parent:1", ""), ("org.acme:project:1", "")]);
    assert!(found.contains(&"https://git.example/group/project Derived".to_owned()), "{found:?}");
    assert!(found.contains(&"https://git.example/group/project/parent Derived".to_owned()), "{found:?}");
    assert!(found.contains(&"https://git.example/group/project/parent/lib Derived".to_owned()), "{found:?}");
}

#[test]
fn what_is_only_guessed_says_so() {
    let organisation = "<scm><url>https://github.com/acme</url></scm>";
    assert_eq!(of(&[("org.acme:lib:1", organisation)]), ["https://github.com/acme/lib Guessed"]);
    let page = "<url>https://acme.github.io/lib-docs/</url>";
    assert_eq!(of(&[("org.acme:lib:1", page)])[0], "https://github.com/acme/lib-docs Guessed");
    let dead = "<scm><connection>scm:git:https://git-wip-us.apache.org/repos/asf/lib.git</connection></scm>";
    let found = of(&[("org.acme:lib:1", dead)]);
    assert!(found.contains(&"https://gitbox.apache.org/repos/asf/lib Guessed".to_owned()), "{found:?}");
}

#[test]
fn the_networks_own_answer_comes_first_and_a_given_address_is_weighed() {
    let scm = "<scm><connection>scm:git:https://github.com/acme/lib.git</connection></scm>";
    let poms = chain(&[("org.acme:lib:1", scm)]);
    let named = scm::canonical("https://github.com/acme/lib").unwrap();
    let found = addresses(&poms, Some(&named));
    assert_eq!((&found.candidates[0].repository, found.candidates[0].standing), (&named, Standing::Named));
    let fork = scm::canonical("https://github.com/mallory/lib").unwrap();
    assert_eq!(standing_of(&named, &found), Standing::Named);
    assert_eq!(standing_of(&fork, &found), Standing::Stranger);
    assert_eq!(standing_of(&fork, &Addresses::default()), Standing::Given);
    assert!(!Standing::Stranger.is_named() && !Standing::Guessed.is_named());
}

proptest! {
    #[test]
    fn no_text_panics_and_lists_are_bounded(raw in "\\PC{0,200}", url in "(scm:|git:|https?:|/|\\$\\{[a-z.]{0,12}\\}|[a-z.?=]){0,20}") {
        let text = |raw: &str| raw.replace(['<', '>', '&'], "");
        let scm = format!("<url>{}</url><scm><connection>{}</connection><url>{}</url></scm>", text(&url), text(&raw), text(&url));
        if Pom::parse(format!("<project>{scm}</project>").as_bytes()).is_ok() {
            let found = addresses(&chain(&[("org.acme:lib:1", &scm), ("org.acme:parent:1", &scm)]), None);
            prop_assert!(found.candidates.len() <= MOST && found.refused.len() <= MOST_REFUSED);
        }
    }
}
