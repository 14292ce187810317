use super::*;
use crate::test_ledger::TestLedger;

fn plan(ask_upstream: bool, policy: Policy) -> MetadataPlan {
    let artifact = Some(("org.acme".parse().unwrap(), "lib".parse().unwrap()));
    MetadataPlan { artifact, ask_upstream, policy }
}

fn upstream(versions: &[&str]) -> Metadata {
    let versions = versions.iter().map(|version| version.parse().unwrap());
    Metadata::of_artifact("org.acme".parse().unwrap(), "lib".parse().unwrap(), versions, "20260101000000").unwrap()
}

/// Versions, latest and release of a rendered document, or its kind.
fn listed(rendered: &Rendered) -> String {
    let Rendered::Changed(bytes) = rendered else {
        return format!("{rendered:?}");
    };
    let document = metadata::parse(bytes).unwrap();
    let text = |versions: &[Version]| versions.iter().map(Version::as_str).collect::<Vec<_>>().join(" ");
    let one = |version: &Option<Version>| version.as_ref().map_or("-", |version| version.as_str()).to_owned();
    format!("{} | {} | {}", text(&document.versions), one(&document.latest), one(&document.release))
}

fn all(_: &ReleaseFacts) -> bool {
    true
}

const VERIFIED: Policy = Policy::Verified { allow_equivalent: false };

fn ledger() -> TestLedger {
    TestLedger::default()
        .file("org.acme:lib:1.0", "lib-1.0.jar", FileState::Identical, Some(b"1.0"))
        .file("org.acme:lib:1.1", "lib-1.1.jar", FileState::Equivalent, Some(b"1.1"))
        .file("org.acme:lib:1.2", "lib-1.2.jar", FileState::Different, Some(b"1.2"))
        .file("org.acme:other:9", "other-9.jar", FileState::Identical, Some(b"9"))
}

#[test]
fn the_policy_decides_which_of_upstreams_versions_are_listed() {
    let document = upstream(&["1.0", "1.1", "1.2", "1.3"]);
    for (policy, expected) in [
        (VERIFIED, "1.0 | 1.0 | 1.0"),
        (Policy::Verified { allow_equivalent: true }, "1.0 1.1 | 1.1 | 1.1"),
        (Policy::PreferVerified, "Verbatim"),
        (Policy::Mirror, "Verbatim"),
    ] {
        let rendered = render(&plan(true, policy), Some(&document), &ledger(), &all).unwrap();
        assert_eq!(listed(&rendered), expected, "{policy:?}");
    }
    let rendered = render(&plan(true, VERIFIED), Some(&upstream(&["3"])), &ledger(), &all).unwrap();
    assert_eq!(listed(&rendered), " | - | -");
}

#[test]
fn blocked_versions_are_listed_nowhere() {
    let ledger =
        ledger().block("org.acme:lib:1.3").file("org.acme:lib:2", "lib-2.jar", FileState::Published, Some(b"2"));
    let ledger = ledger.block("org.acme:lib:2");
    let document = upstream(&["1.0", "1.3"]);
    let rendered = render(&plan(true, Policy::Mirror), Some(&document), &ledger, &all).unwrap();
    assert_eq!(listed(&rendered), "1.0 | 1.0 | 1.0");
}

#[test]
fn native_versions_are_those_whose_bytes_are_here_in_mavens_order() {
    let mut ledger = TestLedger::default();
    for version in ["1.10", "1.9", "2.0-rc1", "2.0"] {
        let (gav, name) = (format!("org.acme:lib:{version}"), format!("lib-{version}.jar"));
        ledger = ledger.file(&gav, &name, FileState::Published, Some(version.as_bytes()));
    }
    ledger = ledger.file("org.acme:lib:3.0", "lib-3.0.jar", FileState::Failed, None);
    let rendered = render(&plan(false, VERIFIED), None, &ledger, &all).unwrap();
    assert_eq!(listed(&rendered), "1.9 1.10 2.0-rc1 2.0 | 2.0 | 2.0");
    let missing = |release: &ReleaseFacts| release.version.as_str() != "2.0";
    let rendered = render(&plan(false, VERIFIED), None, &ledger, &missing).unwrap();
    assert_eq!(listed(&rendered), "1.9 1.10 2.0-rc1 | 2.0-rc1 | 2.0-rc1");
    let none = |_: &ReleaseFacts| false;
    assert_eq!(render(&plan(false, VERIFIED), None, &ledger, &none).unwrap(), Rendered::Empty);
}

#[test]
fn published_versions_join_those_of_upstream() {
    let ledger = TestLedger::default().file("org.acme:lib:2", "lib-2.jar", FileState::Published, Some(b"2"));
    let rendered = render(&plan(true, Policy::Mirror), Some(&upstream(&["1"])), &ledger, &all).unwrap();
    assert_eq!(listed(&rendered), "1 2 | 2 | 2");
    let again = render(&plan(true, Policy::Mirror), Some(&upstream(&["1"])), &ledger, &all).unwrap();
    assert_eq!(rendered, again);
}

#[test]
fn a_document_about_something_else_is_refused() {
    let versions = ["1", "2"].map(|version| version.parse().unwrap());
    let other =
        Metadata::of_artifact("org.evil".parse().unwrap(), "lib".parse().unwrap(), versions, "20260101000000").unwrap();
    assert!(render(&plan(true, VERIFIED), Some(&other), &ledger(), &all).is_err());
}

#[test]
fn a_groups_plugin_list_passes_as_it_is() {
    let plugins = metadata::parse(
        b"<metadata><plugins><plugin><prefix>x</prefix><artifactId>x-plugin</artifactId></plugin></plugins></metadata>",
    )
    .unwrap();
    assert_eq!(render(&plan(true, VERIFIED), Some(&plugins), &ledger(), &all).unwrap(), Rendered::Verbatim);
    let group = MetadataPlan { artifact: None, ask_upstream: true, policy: VERIFIED };
    assert_eq!(render(&group, Some(&plugins), &ledger(), &all).unwrap(), Rendered::Verbatim);
    assert_eq!(render(&group, None, &ledger(), &all).unwrap(), Rendered::Empty);
}
