//! Searches: what the index has files of, and of an artifact that is named, what the ledger knows. Nothing is told that would
//! not be handed out.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use maven_layout::{ArtifactId, ArtifactRef, Coordinates, GroupId, RepoPath, Version};
use pyrsia_digest::Sha256;
use pyrsia_http::{ClassQuery, FoundRelease, SearchPage, SearchQuery};
use pyrsia_ledger::State;
use pyrsia_repository::{Fate, Policies, explain};
use pyrsia_store::{ArtifactFilter, ClassStore, IndexStore, StoreError};

/// Artifacts that one search looks into.
const ARTIFACTS: u64 = 500;
/// Of these so many at a time.
const STEP: u64 = 50;

/// Extensions that are no file of their own but belong to one.
const COMPANIONS: [&str; 2] = [".asc", ".sigstore.json"];

/// What a search looks into.
pub struct Search<'a> {
    /// The files that are here.
    pub index: &'a IndexStore,
    /// The classes in them.
    pub classes: &'a ClassStore,
    /// The ledger.
    pub state: &'a State,
    /// What clients are served.
    pub policies: &'a Policies,
}

/// What is known of a release.
#[derive(Debug, Default)]
struct Known {
    files: BTreeSet<String>,
    first_seen: Option<u64>,
}

impl Search<'_> {
    /// The part of the results after `skip`, at most `max`. Blocking.
    pub fn page(&self, query: &SearchQuery, by_release: bool, skip: u64, max: u64) -> Result<SearchPage, StoreError> {
        if query.class.is_some() || query.sha1.is_some() {
            return Ok(part(self.of_files(query)?, skip, max));
        }
        let words = query.words.clone();
        let filter = ArtifactFilter { group: query.group.clone(), artifact: query.artifact.clone(), words };
        let narrowed = query.version.is_some() || query.packaging.is_some() || query.classifier.is_some();
        if !by_release && !narrowed && (filter.group.is_none() || filter.artifact.is_none()) {
            // One result for each artifact: the index can skip them.
            let artifacts = self.index.artifacts(&filter, skip, max)?;
            let mut found = Vec::new();
            for (group, artifact) in &artifacts.items {
                found.extend(self.newest(query, group, artifact)?);
            }
            return Ok(SearchPage { total: artifacts.total, found });
        }
        let mut found = Vec::new();
        for begin in (0..ARTIFACTS).step_by(usize::try_from(STEP).unwrap_or(1)) {
            let mut artifacts = self.index.artifacts(&filter, begin, STEP)?.items;
            let last = artifacts.len() as u64 != STEP;
            if let (true, 0, Some(group), Some(artifact)) =
                (artifacts.is_empty(), begin, &filter.group, &filter.artifact)
            {
                // No file of it is here; the ledger may know it all the same.
                artifacts.push((group.clone(), artifact.clone()));
            }
            for (group, artifact) in &artifacts {
                if by_release {
                    let known = self.releases_of(group, artifact)?;
                    let count = known.len() as u64;
                    let releases =
                        known.iter().rev().map(|(version, known)| release(group, artifact, version, known, count));
                    found.extend(releases.filter(|release| fits(query, release)));
                } else {
                    found.extend(self.newest(query, group, artifact)?);
                }
            }
            if last {
                break;
            }
        }
        Ok(part(found, skip, max))
    }

    /// The releases that have a file with a class or a SHA-1, by artifact, the newest first.
    fn of_files(&self, query: &SearchQuery) -> Result<Vec<FoundRelease>, StoreError> {
        let mut releases: Option<BTreeSet<Coordinates>> = None;
        if let Some(sha1) = &query.sha1 {
            releases = Some(self.served(self.index.by_sha1(sha1)?.into_iter().map(|file| file.path)));
        }
        if let Some(class) = &query.class {
            let with_class = self.with_class(class)?;
            releases = Some(match releases {
                Some(releases) => releases.intersection(&with_class).cloned().collect(),
                None => with_class,
            });
        }
        let mut found = Vec::new();
        let mut artifacts: BTreeMap<(GroupId, ArtifactId), BTreeSet<Version>> = BTreeMap::new();
        for of in releases.into_iter().flatten().filter(|of| names(query, of)) {
            artifacts.entry((of.group, of.artifact)).or_default().insert(of.version);
        }
        for ((group, artifact), versions) in &artifacts {
            let known = self.releases_of(group, artifact)?;
            let count = known.len() as u64;
            let with_file = versions.iter().rev().filter_map(|version| known.get_key_value(version));
            let releases = with_file.map(|(version, known)| release(group, artifact, version, known, count));
            found.extend(releases.filter(|release| fits(query, release)));
        }
        Ok(found)
    }

    fn with_class(&self, class: &ClassQuery) -> Result<BTreeSet<Coordinates>, StoreError> {
        let jars = self.classes.jars_with(&class.name, class.package.as_deref())?;
        let mut paths: Vec<RepoPath> = Vec::new();
        for jar in &jars {
            paths.extend(self.index.paths_of(jar)?);
        }
        // A native file is in the index only once somebody has asked for it.
        let jars: HashSet<Sha256> = jars.into_iter().collect();
        for verdict in self.state.verdicts().filter(|_| !jars.is_empty()) {
            let named = verdict.files.iter().filter(|file| file.sha256.is_some_and(|sha256| jars.contains(&sha256)));
            paths.extend(named.filter_map(|file| path_of(&verdict.coordinates, &file.name)));
        }
        Ok(self.served(paths))
    }

    /// The releases of those of the files that would be handed out.
    fn served(&self, paths: impl IntoIterator<Item = RepoPath>) -> BTreeSet<Coordinates> {
        let served = paths.into_iter().filter(|path| self.is_served(path));
        served.filter_map(|path| ArtifactRef::from_path(&path)).map(|file| file.coordinates).collect()
    }

    fn is_served(&self, path: &RepoPath) -> bool {
        matches!(explain(path, self.policies, self.state).fate, Fate::Served(_))
    }

    /// The newest release of an artifact that fits.
    fn newest(
        &self,
        query: &SearchQuery,
        group: &GroupId,
        artifact: &ArtifactId,
    ) -> Result<Option<FoundRelease>, StoreError> {
        let known = self.releases_of(group, artifact)?;
        let count = known.len() as u64;
        let mut releases = known.iter().rev().map(|(version, known)| release(group, artifact, version, known, count));
        Ok(releases.find(|release| fits(query, release)))
    }

    /// The releases of an artifact with what is known of each.
    fn releases_of(&self, group: &GroupId, artifact: &ArtifactId) -> Result<BTreeMap<Version, Known>, StoreError> {
        let mut releases: BTreeMap<Version, Known> = BTreeMap::new();
        for file in self.index.files_of(group, artifact)? {
            if !self.is_served(&file.path) {
                continue;
            }
            let Some(named) = ArtifactRef::from_path(&file.path) else { continue };
            let rest = rest_of(artifact, &named.coordinates.version, file.path.file_name());
            let known = releases.entry(named.coordinates.version).or_default();
            known.first_seen = Some(known.first_seen.map_or(file.first_seen, |seen| seen.min(file.first_seen)));
            known.files.extend(rest);
        }
        for verdict in self.state.verdicts_of(group, artifact) {
            let version = &verdict.coordinates.version;
            let named = verdict.files.iter().filter(|file| file.sha256.is_some());
            let served = named
                .filter(|file| path_of(&verdict.coordinates, &file.name).is_some_and(|path| self.is_served(&path)));
            let files: Vec<String> = served.filter_map(|file| rest_of(artifact, version, &file.name)).collect();
            releases.entry(version.clone()).or_default().files.extend(files);
        }
        // Whatever may be here of them, blocked releases are not told.
        releases.retain(|version, known| {
            let of = Coordinates::new(group.clone(), artifact.clone(), version.clone());
            !known.files.is_empty() && !self.state.is_blocked(&of)
        });
        Ok(releases)
    }
}

fn path_of(of: &Coordinates, name: &str) -> Option<RepoPath> {
    format!("{}/{name}", of.dir()).parse().ok()
}

fn part(found: Vec<FoundRelease>, skip: u64, max: u64) -> SearchPage {
    let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let total = found.len() as u64;
    SearchPage { total, found: found.into_iter().skip(number(skip)).take(number(max)).collect() }
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
    let name = format!("{} {}", of.group, of.artifact).to_lowercase();
    let beginning =
        |word: &String| name.split(|c: char| !c.is_alphanumeric()).any(|part| part.starts_with(word.as_str()));
    query.group.as_ref().is_none_or(|group| *group == of.group)
        && query.artifact.as_ref().is_none_or(|artifact| *artifact == of.artifact)
        && query.words.iter().all(beginning)
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
