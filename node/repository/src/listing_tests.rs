use pyrsia_digest::FileDigests;
use pyrsia_store::FileRecord;

use super::*;
use crate::ledger_view::FileState;
use crate::policy::Policy;
use crate::test_ledger::TestLedger;

struct Place {
    blobs: BlobStore,
    index: IndexStore,
    _dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let blobs = BlobStore::open(dir.path().join("blobs")).unwrap();
        Self { blobs, index: IndexStore::open(dir.path()).unwrap(), _dir: dir }
    }

    /// A file whose bytes are its path.
    fn file(&self, path: &str) -> Sha256 {
        let digests = FileDigests::of(path.as_bytes());
        self.blobs.put_bytes(path.as_bytes()).unwrap();
        let record = FileRecord {
            path: path.parse().unwrap(),
            digests: digests.clone().into(),
            origin: "somewhere".to_owned(),
            verified_by: String::new(),
            last_modified: None,
            first_seen: 1,
            last_use: 1,
        };
        self.index.put_file(record).unwrap();
        digests.sha256
    }

    fn gather(&self, folder: &str, policy: Policy, ledger: &TestLedger) -> Gathered {
        let policies = Policies::all(policy);
        let eyes = Eyes { policies: &policies, ledger, blobs: &self.blobs, has_peers: false };
        let folder: Option<RepoPath> = (!folder.is_empty()).then(|| folder.parse().unwrap());
        eyes.gather(folder.as_ref(), &self.index).unwrap()
    }

    fn entries(&self, folder: &str, policy: Policy, ledger: &TestLedger) -> Vec<String> {
        self.gather(folder, policy, ledger).listing.entries.into_iter().collect()
    }
}

const JAR: &str = "org/acme/lib/1.0/lib-1.0.jar";

#[test]
fn what_is_here_is_shown_and_nothing_that_is_withheld_lost_or_a_document() {
    let place = Place::new();
    place.file(JAR);
    place.file("org/acme/lib/1.0/lib-1.0.jar.asc");
    place.file("org/acme/lib/2.0/lib-2.0.jar");
    place.file("org/acme/lib/maven-metadata.xml");
    place.file("org/acme/deep/er/1/er-1.pom");
    place.file("org/acme/blocked/1/blocked-1.pom");
    let lost = place.file("org/acme/lost/1/lost-1.pom");
    place.blobs.remove(&lost).unwrap();
    place.file("org/other/x/1/x-1.pom");
    let ledger = TestLedger::default().block("org.acme:blocked:1");
    let at = |folder: &str| place.entries(folder, Policy::PreferVerified, &ledger);
    assert_eq!(at(""), ["org/"]);
    assert_eq!(at("org"), ["acme/", "other/"]);
    assert_eq!(at("org/acme"), ["deep/", "lib/"], "neither the blocked one nor the one whose bytes are gone");
    assert_eq!(at("org/acme/lib"), ["1.0/", "2.0/"], "no document: a listing with one is refused by clients");
    assert_eq!(at("org/acme/lib/1.0"), ["lib-1.0.jar", "lib-1.0.jar.asc"]);
    assert_eq!(at("org/acme/blocked"), Vec::<String>::new());
    assert_eq!(at("org/acm"), Vec::<String>::new(), "a folder is no beginning of a name");
    assert_eq!(at(JAR), Vec::<String>::new());
    // Under `verified` nothing of this is handed out, so nothing is shown.
    let verified = Policy::Verified { allow_equivalent: false };
    assert_eq!(place.entries("", verified, &ledger), Vec::<String>::new());
}

#[test]
fn what_the_ledger_names_is_shown_where_its_bytes_are() {
    let place = Place::new();
    place.blobs.put_bytes(b"built").unwrap();
    let ledger = TestLedger::default()
        .namespace("org.acme", true)
        .file("org.acme:lib:1.0", "lib-1.0.jar", FileState::Published, Some(b"built"))
        .file("org.acme:lib:2.0", "lib-2.0.jar", FileState::Published, Some(b"elsewhere"));
    let verified = Policy::Verified { allow_equivalent: false };
    assert_eq!(place.entries("org/acme/lib", verified, &ledger), ["1.0/"]);
    // A squatter's file from before the group was native is no file of the group.
    place.file("org/acme/lib/3.0/lib-3.0.jar");
    assert_eq!(place.entries("org/acme/lib", Policy::Mirror, &ledger), ["1.0/"]);
}

#[test]
fn versions_are_told_from_folders_and_replaced_as_a_whole() {
    let place = Place::new();
    place.file("org/acme/lib/1.0/lib-1.0.jar");
    place.file("org/acme/lib/core/1.0/core-1.0.jar");
    let mut found = place.gather("org/acme/lib", Policy::Mirror, &TestLedger::default());
    assert!(found.of_artifact);
    assert_eq!(found.versions.iter().collect::<Vec<_>>(), ["1.0/"]);
    let versions = ["0.9", "1.1"].map(|version| version.parse().unwrap());
    found.set_versions(&versions);
    assert_eq!(found.listing.entries.into_iter().collect::<Vec<_>>(), ["0.9/", "1.1/", "core/"]);
    assert!(!place.gather("org/acme", Policy::Mirror, &TestLedger::default()).of_artifact);
}

#[test]
fn a_listing_ends() {
    let place = Place::new();
    for number in 0..20 {
        place.file(&format!("org/acme/lib/{number}/lib-{number}.jar"));
    }
    let mut found = place.gather("org/acme/lib", Policy::Mirror, &TestLedger::default());
    assert_eq!((found.listing.entries.len(), found.listing.truncated), (20, false));
    let versions: Vec<maven_layout::Version> = (0..=MAX_ENTRIES).map(|n| n.to_string().parse().unwrap()).collect();
    found.set_versions(&versions);
    assert_eq!((found.listing.entries.len(), found.listing.truncated), (MAX_ENTRIES, true));
}

#[test]
fn prefixes_cover_what_is_asked_for_what_is_here_and_what_the_ledger_names() {
    let place = Place::new();
    place.file(JAR);
    place.file("org/plugins/maven-metadata.xml");
    place.file("archetype-catalog.xml");
    let ledger = TestLedger::default().file("net.native:x:1", "x-1.jar", FileState::Published, Some(b"x"));
    let asked = ["com.example".parse().unwrap()];
    let list = prefixes(&asked, &ledger, &place.index).unwrap().unwrap().to_string();
    let expected =
        "## repository-prefixes/2.0\n/archetype-catalog.xml\n/com/example\n/net/native\n/org/acme\n/org/plugins\n";
    assert_eq!(list, expected);
    let nothing = Place::new();
    let list = prefixes(&[], &TestLedger::default(), &nothing.index).unwrap().unwrap();
    assert_eq!(list.to_string(), "## repository-prefixes/2.0\n", "there is nothing, and that is known");
}
