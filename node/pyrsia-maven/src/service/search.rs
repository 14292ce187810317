//! Searches: what the index has files of, and of an artifact that is named, what the ledger knows.

use std::collections::{BTreeMap, BTreeSet};

use maven_layout::{ArtifactId, ArtifactRef, Coordinates, GroupId, Version};
use pyrsia_http::{FoundRelease, SearchPage, SearchQuery};
use pyrsia_ledger::State;
use pyrsia_store::{ArtifactFilter, IndexStore, StoreError};

/// Artifacts that one search looks into.
const ARTIFACTS: u64 = 500;
/// Of these so many at a time.
const STEP: u64 = 50;

/// Extensions that are no file of their own but belong to one.
const COMPANIONS: [&str; 2] = [".asc", ".sigstore.json"];

/// What is known of a release.
#[derive(Debug, Default)]
struct Known {
    files: BTreeSet<String>,
    first_seen: Option<u64>,
}

/// The part of a search's results after `skip`, at most `max`. Blocking.
pub fn search(
    index: &IndexStore,
    state: &State,
    query: &SearchQuery,
    by_release: bool,
    skip: u64,
    max: u64,
) -> Result<SearchPage, StoreError> {
    if query.class.is_some() {
        // No class is known to the index.
        return Ok(SearchPage::default());
    }
    if let Some(sha1) = &query.sha1 {
        let files = index.by_sha1(sha1)?;
        let of = files.iter().filter_map(|file| ArtifactRef::from_path(&file.path)).map(|file| file.coordinates);
        let releases: BTreeSet<Coordinates> = of.filter(|of| names(query, of)).collect();
        let mut found = Vec::new();
        for of in releases {
            let known = releases_of(index, state, &of.group, &of.artifact)?;
            let release = known.get(&of.version).map(|known| release(&of.group, &of.artifact, &of.version, known, 1));
            found.extend(release.filter(|release| fits(query, release)));
        }
        return Ok(page(found, skip, max));
    }
    let words = query.words.clone();
    let filter = ArtifactFilter { group: query.group.clone(), artifact: query.artifact.clone(), words };
    let narrowed = query.version.is_some() || query.packaging.is_some() || query.classifier.is_some();
    if !by_release && !narrowed && (filter.group.is_none() || filter.artifact.is_none()) {
        // One result for each artifact: the index can skip them.
        let artifacts = index.artifacts(&filter, skip, max)?;
        let mut found = Vec::new();
        for (group, artifact) in &artifacts.items {
            found.extend(newest(index, state, query, group, artifact)?);
        }
        return Ok(SearchPage { total: artifacts.total, found });
    }
    let mut found = Vec::new();
    for begin in (0..ARTIFACTS).step_by(usize::try_from(STEP).unwrap_or(1)) {
        let mut artifacts = index.artifacts(&filter, begin, STEP)?.items;
        let last = artifacts.len() as u64 != STEP;
        if let (true, 0, Some(group), Some(artifact)) = (artifacts.is_empty(), begin, &filter.group, &filter.artifact) {
            // No file of it is here; the ledger may know it all the same.
            artifacts.push((group.clone(), artifact.clone()));
        }
        for (group, artifact) in &artifacts {
            if by_release {
                let known = releases_of(index, state, group, artifact)?;
                let count = known.len() as u64;
                let releases =
                    known.iter().rev().map(|(version, known)| release(group, artifact, version, known, count));
                found.extend(releases.filter(|release| fits(query, release)));
            } else {
                found.extend(newest(index, state, query, group, artifact)?);
            }
        }
        if last {
            break;
        }
    }
    Ok(page(found, skip, max))
}

fn page(found: Vec<FoundRelease>, skip: u64, max: u64) -> SearchPage {
    let part = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let total = found.len() as u64;
    SearchPage { total, found: found.into_iter().skip(part(skip)).take(part(max)).collect() }
}

/// The newest release of an artifact that fits.
fn newest(
    index: &IndexStore,
    state: &State,
    query: &SearchQuery,
    group: &GroupId,
    artifact: &ArtifactId,
) -> Result<Option<FoundRelease>, StoreError> {
    let known = releases_of(index, state, group, artifact)?;
    let count = known.len() as u64;
    let mut releases = known.iter().rev().map(|(version, known)| release(group, artifact, version, known, count));
    Ok(releases.find(|release| fits(query, release)))
}

/// The releases of an artifact with what is known of each.
fn releases_of(
    index: &IndexStore,
    state: &State,
    group: &GroupId,
    artifact: &ArtifactId,
) -> Result<BTreeMap<Version, Known>, StoreError> {
    let mut releases: BTreeMap<Version, Known> = BTreeMap::new();
    for file in index.files_of(group, artifact)? {
        let Some(named) = ArtifactRef::from_path(&file.path) else { continue };
        let rest = rest_of(artifact, &named.coordinates.version, file.path.file_name());
        let known = releases.entry(named.coordinates.version).or_default();
        known.first_seen = Some(known.first_seen.map_or(file.first_seen, |seen| seen.min(file.first_seen)));
        known.files.extend(rest);
    }
    for verdict in state.verdicts_of(group, artifact) {
        let version = &verdict.coordinates.version;
        let known = releases.entry(version.clone()).or_default();
        let named = verdict.files.iter().filter(|file| file.sha256.is_some());
        known.files.extend(named.filter_map(|file| rest_of(artifact, version, &file.name)));
    }
    releases.retain(|version, known| {
        let of = Coordinates::new(group.clone(), artifact.clone(), version.clone());
        !known.files.is_empty() && !state.is_blocked(&of)
    });
    Ok(releases)
}

/// What follows the version in a file's name.
fn rest_of(artifact: &ArtifactId, version: &Version, name: &str) -> Option<String> {
    let rest = name.strip_prefix(artifact.as_str())?.strip_prefix('-')?.strip_prefix(version.as_str())?;
    (!COMPANIONS.iter().any(|companion| rest.ends_with(companion))).then(|| rest.to_owned())
}

fn release(group: &GroupId, artifact: &ArtifactId, version: &Version, known: &Known, versions: u64) -> FoundRelease {
    let main = |rest: &&String| rest.starts_with('.') && *rest != ".pom" && *rest != ".module";
    let packaging = known.files.iter().find(main).map_or("pom", |rest| &rest[1..]);
    FoundRelease {
        coordinates: Coordinates::new(group.clone(), artifact.clone(), version.clone()),
        versions,
        packaging: packaging.to_owned(),
        first_seen: known.first_seen.unwrap_or_default(),
        files: known.files.iter().cloned().collect(),
    }
}

fn names(query: &SearchQuery, of: &Coordinates) -> bool {
    query.group.as_ref().is_none_or(|group| *group == of.group)
        && query.artifact.as_ref().is_none_or(|artifact| *artifact == of.artifact)
}

fn fits(query: &SearchQuery, release: &FoundRelease) -> bool {
    let classified = |classifier: &str| {
        let beginning = format!("-{classifier}.");
        release.files.iter().any(|rest| rest.starts_with(&beginning))
    };
    query.version.as_ref().is_none_or(|version| *version == release.coordinates.version)
        && query.packaging.as_ref().is_none_or(|packaging| *packaging == release.packaging)
        && query.classifier.as_ref().is_none_or(|classifier| classified(classifier.as_str()))
}
