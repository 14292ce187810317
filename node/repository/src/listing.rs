//! What a folder of the repository shows, and what a list of prefixes says.
//!
//! Only what this node would hand out by itself is shown: a file that is here and that the policy serves, and what the
//! ledger names. `maven-metadata.xml` is left out, because a client that finds one in a listing takes it for a broken
//! repository, and so are checksums, which every file has.
//!
//! **A list of versions is complete or is not there.** Gradle and coursier read the folder of an artifact when it has no
//! `maven-metadata.xml`, and take the newest version in it. Where an upstream may know more of them than are here, they come
//! from the document that this node serves; where there is none, no version is shown.

use std::collections::BTreeSet;

use maven_layout::prefixes::{Prefixes, PrefixesError};
use maven_layout::{GroupId, PathKind, RepoPath, metadata};
use pyrsia_blobs::BlobStore;
use pyrsia_digest::Sha256;
use pyrsia_store::{IndexStore, StoreError, Walk};

use crate::decide::{Decision, decide};
use crate::ledger_view::LedgerView;
use crate::policy::Policies;

/// Most entries of a listing.
pub const MAX_ENTRIES: usize = 5_000;
/// Files that are looked at for one listing: in a folder with many that are withheld it ends before its last entry.
const MAX_LOOKS: usize = 20_000;
/// Groups of a list of prefixes; a client reads no longer one.
const MAX_GROUPS: usize = 100_000;

/// The direct children of a folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// Their names, those of folders with a slash at the end.
    pub entries: BTreeSet<String>,
    /// There are more.
    pub truncated: bool,
}

/// A listing before its versions are looked at.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) listing: Listing,
    /// Folders that are versions of the artifact that the folder is.
    pub(crate) versions: BTreeSet<String>,
    /// The folder is one of an artifact.
    pub(crate) of_artifact: bool,
}

/// What decides about the files of a listing.
pub(crate) struct Eyes<'a> {
    pub(crate) policies: &'a Policies,
    pub(crate) ledger: &'a dyn LedgerView,
    pub(crate) blobs: &'a BlobStore,
    /// What the ledger names can be had from others.
    pub(crate) has_peers: bool,
}

impl Eyes<'_> {
    /// Whether the file at a path would be handed out without asking an upstream; `known` are the bytes of its record.
    fn shows(&self, path: &RepoPath, known: Option<&Sha256>) -> bool {
        match decide(path, self.policies, self.ledger) {
            Decision::Exactly { sha256, .. } => self.has_peers || self.blobs.has(&sha256),
            Decision::FirstSeen { .. } | Decision::Changing => known.is_some_and(|sha256| self.blobs.has(sha256)),
            _ => false,
        }
    }

    /// The children of a folder (none: of the repository) that are shown. Blocking.
    pub(crate) fn gather(&self, folder: Option<&RepoPath>, index: &IndexStore) -> Result<Gathered, StoreError> {
        let begin = folder.map_or(0, |folder| folder.as_str().len() + 1);
        let mut found = Gathered::default();
        let mut looks = 0;
        index.walk_below(folder, |path, sha256| {
            looks += 1;
            if looks > MAX_LOOKS || found.is_full() {
                found.listing.truncated = true;
                return Walk::Stop;
            }
            if path.file_name() == metadata::FILE_NAME {
                found.of_artifact |= path.parent().as_ref() == folder;
                return Walk::Next;
            }
            if !self.shows(path, Some(sha256)) {
                return Walk::Next;
            }
            found.add(path, begin, folder)
        })?;
        let mut looks = 0;
        self.ledger.walk_below(folder, &mut |path| {
            looks += 1;
            if looks > MAX_LOOKS || found.is_full() {
                found.listing.truncated = true;
                return Walk::Stop;
            }
            if self.shows(path, None) { found.add(path, begin, folder) } else { Walk::Next }
        });
        Ok(found)
    }
}

impl Gathered {
    fn is_full(&self) -> bool {
        self.listing.entries.len() >= MAX_ENTRIES
    }

    /// Adds the child of the folder that a file is, or lies in.
    fn add(&mut self, path: &RepoPath, begin: usize, folder: Option<&RepoPath>) -> Walk {
        let Some(rest) = path.as_str().get(begin..) else { return Walk::Next };
        let Some((child, _)) = rest.split_once('/') else {
            self.listing.entries.insert(rest.to_owned());
            return Walk::Next;
        };
        let name = format!("{child}/");
        if is_version(path, folder) {
            self.of_artifact = true;
            self.versions.insert(name.clone());
        }
        self.listing.entries.insert(name);
        Walk::PastFolder(begin + child.len())
    }

    /// Puts the versions of a document in the place of those of which files are here.
    pub(crate) fn set_versions<'a>(&mut self, versions: impl IntoIterator<Item = &'a maven_layout::Version>) {
        self.listing.entries.retain(|entry| !self.versions.contains(entry));
        for version in versions {
            if self.is_full() {
                self.listing.truncated = true;
                return;
            }
            self.listing.entries.insert(format!("{version}/"));
        }
    }
}

/// Whether a file is one of a release whose artifact's folder is this one.
fn is_version(path: &RepoPath, folder: Option<&RepoPath>) -> bool {
    match path.kind() {
        PathKind::Artifact { coordinates, .. } => folder == Some(&coordinates.artifact_dir()),
        PathKind::Signature { of } => is_version(&of, folder),
        _ => false,
    }
}

/// The list of what can be served: the groups that upstreams are asked for, those of the ledger, and what is here. Blocking.
pub(crate) fn prefixes(
    asked: &[GroupId],
    ledger: &dyn LedgerView,
    index: &IndexStore,
) -> Result<Option<Prefixes>, StoreError> {
    let mut groups: BTreeSet<GroupId> = asked.iter().cloned().collect();
    groups.extend(ledger.groups(MAX_GROUPS + 1));
    groups.extend(index.groups(MAX_GROUPS + 1)?);
    let mut strays = Vec::new();
    let mut after = None;
    loop {
        let page = index.of_no_release(after.as_ref())?;
        // Whole, as a rule: they are few and of no group that the lines above cover.
        strays.extend(page.iter().map(|path| path.parent().unwrap_or_else(|| path.clone())));
        strays.dedup();
        match page.into_iter().next_back() {
            Some(last) if strays.len() <= MAX_GROUPS => after = Some(last),
            Some(_) => return Ok(None),
            None => break,
        }
    }
    let all = || -> Result<Prefixes, PrefixesError> {
        Prefixes::of_groups(&groups)?.union(Prefixes::of_paths(&strays, usize::MAX)?)
    };
    // More than a client reads is no list at all.
    Ok(all().ok())
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
