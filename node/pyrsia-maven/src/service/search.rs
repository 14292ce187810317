//! Searches: what the index has files of, and of an artifact that is named, what the ledger knows. Nothing is told that would
//! not be handed out.

use std::collections::{BTreeMap, BTreeSet};

use maven_layout::{ArtifactId, ArtifactRef, Coordinates, GroupId, RepoPath, Version};
use pyrsia_http::{ClassQuery, FoundRelease, SearchPage, SearchQuery};
use pyrsia_ledger::State;
use pyrsia_repository::{Fate, Policies, explain};
use pyrsia_store::{ArtifactFilter, COUNTED, ClassStore, IndexStore, StoreError};

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
            return self.of_files(query, skip, max);
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
    fn of_files(&self, query: &SearchQuery, skip: u64, max: u64) -> Result<SearchPage, StoreError> {
        let of_sha1 = match &query.sha1 {
            Some(sha1) => {
                let paths = self.index.by_sha1(sha1)?.into_iter().map(|file| file.path);
                Some(self.served(paths).filter(|of| names(query, of)).collect::<BTreeSet<_>>())
            }
            None => None,
        };
        let releases = match (&query.class, of_sha1) {
            (Some(class), Some(of_sha1)) => self.with_class(class, |of| of_sha1.contains(of))?,
            (Some(class), None) => self.with_class(class, |of| names(query, of))?,
            (None, of_sha1) => of_sha1.unwrap_or_default(),
        };
        let mut releases: Vec<Coordinates> = releases.into_iter().collect();
        releases.sort_by(|a, b| {
            (&a.group, &a.artifact).cmp(&(&b.group, &b.artifact)).then_with(|| b.version.cmp(&a.version))
        });
        if query.packaging.is_some() || query.classifier.is_some() {
            // Which ones fit is known only when all files of each are.
            let described = self.described(&releases)?;
            return Ok(part(described.into_iter().filter(|release| fits(query, release)).collect(), skip, max));
        }
        let total = releases.len() as u64;
        let begin = number(skip).min(releases.len());
        let end = begin.saturating_add(number(max)).min(releases.len());
        Ok(SearchPage { total, found: self.described(&releases[begin..end])? })
    }

    /// What is known of releases, of which those of one artifact stand together.
    fn described(&self, releases: &[Coordinates]) -> Result<Vec<FoundRelease>, StoreError> {
        let mut found = Vec::new();
        for of_artifact in releases.chunk_by(|a, b| (&a.group, &a.artifact) == (&b.group, &b.artifact)) {
            let Some(Coordinates { group, artifact, .. }) = of_artifact.first() else { continue };
            let known = self.releases_of(group, artifact)?;
            let count = known.len() as u64;
            let told = of_artifact.iter().filter_map(|of| known.get_key_value(&of.version));
            found.extend(told.map(|(version, known)| release(group, artifact, version, known, count)));
        }
        Ok(found)
    }

    /// The releases that are wanted of those with a class, until there are as many as are counted.
    fn with_class(
        &self,
        class: &ClassQuery,
        wanted: impl Fn(&Coordinates) -> bool,
    ) -> Result<BTreeSet<Coordinates>, StoreError> {
        let mut found = BTreeSet::new();
        for jar in self.classes.jars_with(&class.name, class.package.as_deref())? {
            let mut paths = self.index.paths_of(&jar)?;
            // A native file is in the index only once somebody has asked for it.
            let native = self.classes.places_of(&jar)?.into_iter();
            paths.extend(
                native.filter(|path| self.state.file_verdict(path).is_some_and(|file| file.sha256 == Some(jar))),
            );
            found.extend(self.served(paths).filter(&wanted));
            if found.len() as u64 >= COUNTED {
                break;
            }
        }
        Ok(found)
    }

    /// The releases of those of the files that would be handed out.
    fn served(&self, paths: impl IntoIterator<Item = RepoPath>) -> impl Iterator<Item = Coordinates> {
        let served = paths.into_iter().filter(|path| self.is_served(path));
        served.filter_map(|path| ArtifactRef::from_path(&path)).map(|file| file.coordinates)
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

fn number(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn part(found: Vec<FoundRelease>, skip: u64, max: u64) -> SearchPage {
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
        && query.version.as_ref().is_none_or(|version| *version == of.version)
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
