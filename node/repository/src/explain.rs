//! What would be served, without serving it: [`decide()`] in words.

use maven_layout::{Coordinates, Extension, RepoPath};
use pyrsia_digest::Sha256;

use crate::answer::{Provenance, Withheld};
use crate::decide::{Decision, decide};
use crate::ledger_view::{FileState, LedgerView};
use crate::policy::Policies;

/// What would become of a request for a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The file would be handed out, marked so; `None` for documents and checksums, which are made here.
    Served(Option<Provenance>),
    /// It would not, and this is what the client would be told.
    Withheld(Withheld),
    /// There is no such file, and nobody would be asked.
    Absent,
}

/// What would become of a request, and on what it depends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// What would become of it.
    pub fate: Fate,
    /// Only if there is such a file: upstream alone knows.
    pub if_there: bool,
    /// The only bytes that would be handed out.
    pub sha256: Option<Sha256>,
}

/// Explains a path. Nobody is asked, nothing is fetched.
pub fn explain(path: &RepoPath, policies: &Policies, ledger: &dyn LedgerView) -> Explanation {
    let of = |fate, if_there| Explanation { fate, if_there, sha256: None };
    match decide(path, policies, ledger) {
        Decision::Absent => of(Fate::Absent, false),
        Decision::Withhold(withheld) => of(Fate::Withheld(withheld), false),
        Decision::WithholdUnlessAbsent(withheld) => of(Fate::Withheld(withheld), true),
        Decision::Exactly { sha256, provenance, .. } => {
            Explanation { fate: Fate::Served(Some(provenance)), if_there: false, sha256: Some(sha256) }
        }
        Decision::FirstSeen { provenance } => of(Fate::Served(Some(provenance)), true),
        Decision::Changing => of(Fate::Served(Some(Provenance::Unverified)), true),
        // A checksum of ours has the fate of its file; each turn shortens the path.
        Decision::Checksum { of: file, .. } => match explain(&file, policies, ledger) {
            Explanation { fate: Fate::Served(_), if_there, .. } => of(Fate::Served(None), if_there),
            other => other,
        },
        Decision::Metadata(plan) => of(Fate::Served(None), plan.ask_upstream),
        Decision::Prefixes | Decision::Archetypes { withheld: None } => of(Fate::Served(None), true),
        Decision::Archetypes { withheld: Some(withheld) } => of(Fate::Withheld(withheld), true),
    }
}

/// The names of a release's files: those that its verdict names, without one the POM and the main JAR.
pub fn names(coordinates: &Coordinates, ledger: &dyn LedgerView) -> Vec<String> {
    let releases = ledger.releases(&coordinates.group, &coordinates.artifact);
    let release = releases.into_iter().find(|release| release.version == coordinates.version);
    let named = release.map(|release| release.files).unwrap_or_default();
    // A build that failed says nothing about which files there are.
    if named.iter().any(|(_, facts)| facts.state != FileState::Failed) {
        return named.into_iter().map(|(name, _)| name).collect();
    }
    let usual = [Extension::pom(), Extension::jar()];
    usual.iter().map(|extension| coordinates.file(None, extension).to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::WithheldReason;
    use crate::policy::Policy;
    use crate::test_ledger::TestLedger;

    const VERIFIED: Policy = Policy::Verified { allow_equivalent: false };

    fn at(path: &str, policy: Policy, ledger: &TestLedger) -> (String, bool) {
        let explained = explain(&path.parse().unwrap(), &Policies::all(policy), ledger);
        let fate = match explained.fate {
            Fate::Served(provenance) => provenance.map_or("made here", Provenance::as_str).to_owned(),
            Fate::Withheld(withheld) => format!("withheld {}", withheld.reason.as_str()),
            Fate::Absent => "absent".to_owned(),
        };
        (fate, explained.if_there)
    }

    /// A build that made the tagged POM and another JAR than upstream's.
    fn other_jar() -> TestLedger {
        TestLedger::default().file("org.acme:lib:1.0", "lib-1.0.jar", FileState::Different, Some(b"jar")).file(
            "org.acme:lib:1.0",
            "lib-1.0.pom",
            FileState::Identical,
            Some(b"pom"),
        )
    }

    #[test]
    fn a_pom_that_equals_the_tagged_blob_is_verified_whatever_became_of_the_jar() {
        let ledger = other_jar();
        let pom = "org/acme/lib/1.0/lib-1.0.pom";
        assert_eq!(at(pom, VERIFIED, &ledger), ("verified".to_owned(), false));
        assert_eq!(at(&format!("{pom}.sha1"), VERIFIED, &ledger), ("made here".to_owned(), false));
        let jar = "org/acme/lib/1.0/lib-1.0.jar";
        assert_eq!(at(jar, VERIFIED, &ledger), ("withheld different".to_owned(), false));
        assert_eq!(at(&format!("{jar}.sha1"), VERIFIED, &ledger), ("withheld different".to_owned(), false));
        assert_eq!(at(jar, Policy::PreferVerified, &ledger), ("different".to_owned(), false));
        let edited = TestLedger::default().file("org.acme:lib:1.0", "lib-1.0.pom", FileState::Different, Some(b"pom"));
        assert_eq!(at(pom, VERIFIED, &edited), ("withheld different".to_owned(), false));
    }

    #[test]
    fn what_only_upstream_knows_is_said_so() {
        let ledger = TestLedger::default().namespace("com.ours", true);
        let jar = "org/acme/lib/1.0/lib-1.0.jar";
        assert_eq!(at(jar, VERIFIED, &ledger), ("withheld unverified".to_owned(), true));
        assert_eq!(at(jar, Policy::Mirror, &ledger), ("unverified".to_owned(), true));
        assert_eq!(at("com/ours/lib/1.0/lib-1.0.jar", Policy::Mirror, &ledger), ("absent".to_owned(), false));
        assert_eq!(at("org/acme/lib/maven-metadata.xml", VERIFIED, &ledger), ("made here".to_owned(), true));
    }

    #[test]
    fn what_is_explained_is_what_is_decided() {
        let ledger = other_jar().block("org.acme:lib:2.0");
        let policies = Policies::all(VERIFIED);
        for name in ["1.0/lib-1.0.jar", "1.0/lib-1.0.pom", "2.0/lib-2.0.jar", "3.0/lib-3.0.jar"] {
            let path: RepoPath = format!("org/acme/lib/{name}").parse().unwrap();
            let reason = |withheld: Withheld| Some(withheld.reason);
            let decided = match decide(&path, &policies, &ledger) {
                Decision::Withhold(withheld) | Decision::WithholdUnlessAbsent(withheld) => reason(withheld),
                _ => None,
            };
            let explained = match explain(&path, &policies, &ledger).fate {
                Fate::Withheld(withheld) => reason(withheld),
                _ => None,
            };
            assert_eq!(explained, decided, "{path}");
            assert_eq!(decided == Some(WithheldReason::Blocked), name.starts_with('2'), "{path}");
        }
    }

    #[test]
    fn the_verdict_says_which_files_a_release_has() {
        let names = |gav: &str, ledger: &TestLedger| super::names(&gav.parse().unwrap(), ledger);
        assert_eq!(names("org.acme:lib:1.0", &other_jar()), ["lib-1.0.jar", "lib-1.0.pom"]);
        assert_eq!(names("org.acme:lib:1.1", &other_jar()), ["lib-1.1.pom", "lib-1.1.jar"]);
        let failed = TestLedger::default().file("org.acme:lib:1.0", "lib-1.0.jar", FileState::Failed, None);
        assert_eq!(names("org.acme:lib:1.0", &failed), ["lib-1.0.pom", "lib-1.0.jar"]);
    }
}
