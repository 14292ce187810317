use super::*;
use crate::test_ledger::TestLedger;

const VERIFIED: Policy = Policy::Verified { allow_equivalent: false };
const LENIENT: Policy = Policy::Verified { allow_equivalent: true };
const POLICIES: [Policy; 4] = [VERIFIED, LENIENT, Policy::PreferVerified, Policy::Mirror];
const JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";

fn at(path: &str, policy: Policy, ledger: &TestLedger) -> Decision {
    decide(&path.parse().unwrap(), &Policies::all(policy), ledger)
}

/// A decision in few words.
fn short(decision: &Decision) -> String {
    match decision {
        Decision::Absent => "absent".to_owned(),
        Decision::Prefixes => "prefixes".to_owned(),
        Decision::Archetypes { withheld: None } => "archetypes".to_owned(),
        Decision::Archetypes { withheld: Some(withheld) } => format!("own archetypes, or {}", withheld.reason.as_str()),
        Decision::Withhold(withheld) => format!("withhold {}", withheld.reason.as_str()),
        Decision::WithholdUnlessAbsent(withheld) => format!("probe {}", withheld.reason.as_str()),
        Decision::Exactly { provenance, ask_upstream, .. } => {
            format!("exactly {} {}", provenance.as_str(), if *ask_upstream { "upstream" } else { "store" })
        }
        Decision::FirstSeen { provenance } => format!("first {}", provenance.as_str()),
        Decision::Changing => "changing".to_owned(),
        Decision::Checksum { of, algorithm } => format!("{} of {of}", algorithm.extension()),
        Decision::Metadata(plan) => format!("metadata {}", if plan.ask_upstream { "upstream" } else { "ledger" }),
    }
}

#[test]
fn a_file_of_an_upstream_release_under_each_policy() {
    use FileState::{Different, Disputed, Equivalent, Failed, Identical, NotBuilt};
    let some = Some(&b"upstream's"[..]);
    for (facts, [verified, lenient, prefer, mirror]) in [
        (None, ["probe unverified", "probe unverified", "first unverified", "first unverified"]),
        (Some((Failed, None)), ["probe unverified", "probe unverified", "first unverified", "first unverified"]),
        (Some((Identical, some)), ["exactly verified upstream"; 4]),
        (
            Some((Equivalent, some)),
            [
                "withhold equivalent",
                "exactly equivalent upstream",
                "exactly equivalent upstream",
                "exactly equivalent upstream",
            ],
        ),
        (
            Some((Different, some)),
            ["withhold different", "withhold different", "exactly different upstream", "exactly different upstream"],
        ),
        (
            Some((NotBuilt, some)),
            [
                "withhold unverified",
                "withhold unverified",
                "exactly unverified upstream",
                "exactly unverified upstream",
            ],
        ),
        (Some((Different, None)), ["probe different", "probe different", "first different", "first different"]),
        (Some((Disputed, None)), ["probe disputed", "probe disputed", "first disputed", "first disputed"]),
        (
            Some((Disputed, some)),
            ["withhold disputed", "withhold disputed", "exactly disputed upstream", "exactly disputed upstream"],
        ),
    ] {
        let mut ledger = TestLedger::default();
        if let Some((state, content)) = facts {
            ledger = ledger.file("org.acme:lib:1.0", "lib-1.0.jar", state, content);
        }
        for (policy, expected) in POLICIES.into_iter().zip([verified, lenient, prefer, mirror]) {
            assert_eq!(short(&at(JAR, policy, &ledger)), expected, "{facts:?} under {policy:?}");
        }
    }
}

#[test]
fn a_native_file_comes_from_the_store_alone_under_every_policy() {
    use FileState::{Different, Disputed, Failed, Identical, Published};
    let some = Some(&b"built"[..]);
    for (facts, expected) in [
        (None, "absent"),
        (Some((Failed, None)), "absent"),
        (Some((Published, some)), "exactly verified store"),
        (Some((Published, None)), "withhold disputed"),
        (Some((Disputed, None)), "withhold disputed"),
        // A verdict from the time before the namespace was native.
        (Some((Identical, some)), "exactly verified store"),
    ] {
        let mut ledger = TestLedger::default().namespace("org.acme", true);
        if let Some((state, content)) = facts {
            ledger = ledger.file("org.acme:lib:1.0", "lib-1.0.jar", state, content);
        }
        for policy in POLICIES {
            assert_eq!(short(&at(JAR, policy, &ledger)), expected, "{facts:?} under {policy:?}");
        }
    }
    // A published file stays one when the namespace is no longer native, and is still never upstream's.
    let ledger = TestLedger::default().file("org.acme:lib:1.0", "lib-1.0.jar", Published, some);
    assert_eq!(short(&at(JAR, Policy::Mirror, &ledger)), "exactly verified store");
    let ledger =
        TestLedger::default().namespace("org.acme", true).file("org.acme:lib:1.0", "lib-1.0.jar", Different, None);
    assert_eq!(short(&at(JAR, VERIFIED, &ledger)), "withhold different");
}

#[test]
fn no_path_in_a_native_group_asks_upstream() {
    let ledger = TestLedger::default().namespace("org.acme", true).namespace("org.acme.open", false).file(
        "org.acme:lib:1.0",
        "lib-1.0.jar",
        FileState::Published,
        Some(b"built"),
    );
    for (path, expected) in [
        ("org/acme/lib/1.0/lib-1.0-sources.jar", "absent"),
        ("org/acme/lib/1.0/lib-1.0.jar.asc", "absent"),
        ("org/acme/lib/2.0/lib-2.0.jar", "absent"),
        ("org/acme/deep/er/lib/1.0/lib-1.0.pom", "absent"),
        ("org/acme/lib/1.0-SNAPSHOT/lib-1.0-SNAPSHOT.jar", "absent"),
        ("org/acme/lib/1.0-SNAPSHOT/maven-metadata.xml", "absent"),
        ("org/acme/lib/1.0/stray.txt", "absent"),
        ("org/acme/lib/stray.txt", "absent"),
        ("org/acme/maven-metadata.xml.asc", "absent"),
        // The group's own list of plugins, or the versions of org:acme: either way not upstream's.
        ("org/acme/maven-metadata.xml", "metadata ledger"),
        ("org/acme/lib/maven-metadata.xml", "metadata ledger"),
        ("org/acme/my.lib/maven-metadata.xml", "metadata ledger"),
        // Neighbours, and what the longer namespace leaves open.
        ("org/acmeevil/lib/1.0/lib-1.0.jar", "first unverified"),
        ("org/acme/open/lib/1.0/lib-1.0.jar", "first unverified"),
        ("org/acmeevil/lib/maven-metadata.xml", "metadata upstream"),
        ("org/maven-metadata.xml", "metadata upstream"),
    ] {
        assert_eq!(short(&at(path, Policy::Mirror, &ledger)), expected, "{path}");
    }
    let ledger = TestLedger::default().namespace("acme", true);
    assert_eq!(short(&at("acme/maven-metadata.xml", Policy::Mirror, &ledger)), "absent");
}

#[test]
fn a_blocked_release_is_withheld_whole_under_every_policy() {
    let ledger = TestLedger::default()
        .file("org.acme:lib:1.0", "lib-1.0.jar", FileState::Identical, Some(b"x"))
        .block("org.acme:lib:1.0");
    for policy in POLICIES {
        for path in [JAR, "org/acme/lib/1.0/lib-1.0.pom", "org/acme/lib/1.0/lib-1.0.jar.asc"] {
            assert_eq!(short(&at(path, policy, &ledger)), "withhold blocked", "{path}");
        }
        assert_ne!(short(&at("org/acme/lib/1.1/lib-1.1.jar", policy, &ledger)), "withhold blocked");
    }
}

#[test]
fn without_a_quorum_good_verdicts_are_called_by_another_name() {
    let ledger = TestLedger::default()
        .file("org.acme:lib:1.0", "lib-1.0.jar", FileState::Identical, Some(b"x"))
        .file("org.acme:lib:1.0", "lib-1.0.pom", FileState::Different, Some(b"y"))
        .self_verified();
    assert_eq!(short(&at(JAR, VERIFIED, &ledger)), "exactly self-verified upstream");
    let pom = at("org/acme/lib/1.0/lib-1.0.pom", Policy::PreferVerified, &ledger);
    assert_eq!(short(&pom), "exactly different upstream");
}

#[test]
fn other_paths() {
    let ledger = TestLedger::default();
    for (path, prefer, verified) in [
        ("org/acme/lib/1.0/lib-1.0.jar.sha1", "sha1 of org/acme/lib/1.0/lib-1.0.jar", None),
        ("org/acme/lib/1.0/lib-1.0.jar.asc.md5", "md5 of org/acme/lib/1.0/lib-1.0.jar.asc", None),
        ("org/acme/lib/maven-metadata.xml.sha512", "sha512 of org/acme/lib/maven-metadata.xml", None),
        ("org/acme/lib/1.0/lib-1.0.jar.sha1.sha1", "absent", None),
        ("org/acme/lib/1.0/lib-1.0.jar.asc", "first unverified", Some("probe unverified")),
        ("org/acme/lib/1.0-SNAPSHOT/lib-1.0-SNAPSHOT.jar", "changing", Some("probe unverified")),
        ("org/acme/lib/1.0-SNAPSHOT/lib-1.0-20260101.101010-1.jar", "first unverified", Some("probe unverified")),
        ("org/acme/lib/1.0-SNAPSHOT/maven-metadata.xml", "changing", Some("probe unverified")),
        ("archetype-catalog.xml", "archetypes", Some("own archetypes, or unverified")),
        (".index/nexus-maven-repository-index.gz", "changing", Some("probe unverified")),
        (".meta/prefixes.txt", "prefixes", None),
        ("org/acme/lib/1.0", "absent", None),
        ("org/acme/lib/1.0-rc1", "absent", None),
        ("org/acme/lib", "absent", None),
        ("org", "absent", None),
        (".hidden", "absent", None),
    ] {
        assert_eq!(short(&at(path, Policy::PreferVerified, &ledger)), prefer, "{path}");
        assert_eq!(short(&at(path, VERIFIED, &ledger)), verified.unwrap_or(prefer), "{path} verified");
    }
}

#[test]
fn the_words_name_the_file_and_the_next_step() {
    let Decision::WithholdUnlessAbsent(withheld) = at(JAR, VERIFIED, &TestLedger::default()) else {
        panic!("not withheld")
    };
    assert!(withheld.detail.contains("lib-1.0.jar of org.acme:lib:1.0"), "{}", withheld.detail);
    assert!(withheld.next.contains("pyrsia-maven build org.acme:lib:1.0"), "{}", withheld.next);
}
