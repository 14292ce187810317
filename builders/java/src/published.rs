//! Metadata as it stood when an upstream release was published.
//!
//! A `maven-metadata.xml` lists what an artifact has *now*, so a build that asks for it would be another one with each
//! version that appears, and two authorities that record on different days would have different inputs. For an upstream
//! release it is therefore cut to the versions that upstream had published by then, and written anew in the one form
//! of [`metadata::write`], with the release's own time as its time: **who cuts later gets the same bytes.**
//!
//! When a version was published stands in no metadata; upstream's `Last-Modified` of its POM says it. Every listed version
//! is asked for, since an old line may have got a version later than a new one. Nothing is cut where upstream does not
//! tell when the release itself was published. A list of plugins (of a group) has neither versions nor times and stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use build_spec::{ExtraInput, Input, InputError, Inputs, RepositoryId, Withheld};
use futures_util::{StreamExt as _, TryStreamExt as _};
use maven_layout::metadata::{self, LastUpdated, Metadata};
use maven_layout::{ArtifactId, Coordinates, GroupId, MetadataLevel, PathKind, RepoPath, Version};
use tokio::sync::OnceCell;

/// Versions of one document that are looked at; the largest lists of known repositories have some two thousand.
const MAX_VERSIONS: usize = 5_000;
/// Versions of all documents of one build.
const MAX_LOOKUPS: usize = 20_000;
/// Questions at one time.
const PARALLEL: usize = 8;
/// Documents beyond this are not read.
const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;

/// Inputs with metadata cut to what had been published before some releases.
pub(crate) struct AsPublished {
    inputs: Arc<dyn Inputs>,
    releases: Vec<Coordinates>,
    withheld: Withheld,
    /// When they were published, in seconds since 1970, if upstream tells.
    time: OnceCell<Option<u64>>,
    lookups: AtomicUsize,
}

impl AsPublished {
    /// `releases`: what one build makes; `withheld`: versions that the build cannot get and so must not be told of.
    pub(crate) fn new(inputs: Arc<dyn Inputs>, releases: Vec<Coordinates>, withheld: Withheld) -> Self {
        Self { inputs, releases, withheld, time: OnceCell::new(), lookups: AtomicUsize::new(0) }
    }

    /// The latest time at which one of the releases was published.
    async fn time(&self) -> Result<Option<u64>, InputError> {
        let ask = || async {
            let mut latest = None;
            for release in &self.releases {
                let published = self.published(&RepositoryId::central(), &release.pom_path()).await?;
                latest = latest.max(published);
            }
            Ok(latest)
        };
        self.time.get_or_try_init(ask).await.copied()
    }

    async fn published(&self, repository: &RepositoryId, pom: &RepoPath) -> Result<Option<u64>, InputError> {
        match self.inputs.get(repository, pom).await? {
            Input::Found { last_modified, .. } => Ok(last_modified),
            Input::Absent => Ok(None),
        }
    }

    async fn cut(
        &self,
        repository: &RepositoryId,
        path: &RepoPath,
        list: Metadata,
        (group, artifact): (GroupId, ArtifactId),
        time: u64,
    ) -> Result<Input, InputError> {
        let refused = |problem: String| InputError::Withheld { path: path.to_string(), problem };
        let all = self.lookups.fetch_add(list.versions.len(), Ordering::Relaxed).saturating_add(list.versions.len());
        if list.versions.len() > MAX_VERSIONS || all > MAX_LOOKUPS {
            return Err(refused(format!(
                "it lists so many versions ({}) that it cannot be told which were published before the release",
                list.versions.len()
            )));
        }
        let of = |version: Version| Coordinates { group: group.clone(), artifact: artifact.clone(), version };
        let candidates: Vec<Coordinates> = list.versions.iter().cloned().map(of).collect();
        let questions = candidates.into_iter().map(|candidate| async move {
            let pom = candidate.pom_path();
            // A version that the build may not get is none that it may choose.
            if self.withheld.covers(&pom) || candidate.version.is_snapshot() {
                return Ok(None);
            }
            match self.inputs.get(repository, &pom).await? {
                Input::Absent => Ok(None),
                Input::Found { last_modified: Some(published), .. } => {
                    Ok((published <= time).then_some(candidate.version))
                }
                // It came from elsewhere, or upstream does not tell of this one alone: neither in the list nor out of it.
                Input::Found { last_modified: None, .. } => Err(InputError::Unavailable {
                    repository: repository.to_string(),
                    path: pom.to_string(),
                    problem: "it is not known here when upstream published it".to_owned(),
                }),
            }
        });
        let kept: Vec<Option<Version>> = futures_util::stream::iter(questions).buffered(PARALLEL).try_collect().await?;
        let kept: Vec<Version> = kept.into_iter().flatten().collect();
        let Some(cut) = as_of(list, group.clone(), artifact.clone(), kept, time) else { return Ok(Input::Absent) };
        match self.inputs.keep(metadata::write(&cut).as_bytes()).await? {
            kept @ Input::Found { .. } => Ok(kept.already_cut()),
            Input::Absent => Err(refused("the document that was made of it was not kept".to_owned())),
        }
    }
}

#[async_trait]
impl Inputs for AsPublished {
    fn has(&self, repository: &RepositoryId) -> bool {
        self.inputs.has(repository)
    }

    async fn get(&self, repository: &RepositoryId, path: &RepoPath) -> Result<Input, InputError> {
        let input = self.inputs.get(repository, path).await?;
        // What is cut already is what the ledger had at the request: versions of a native group have no time upstream.
        let (Some(about), Input::Found { file, digests, cut: false, .. }) = (artifact_of(path), &input) else {
            return Ok(input);
        };
        let Some(time) = self.time().await? else { return Ok(input) };
        let unavailable = |problem: String| InputError::Unavailable {
            repository: repository.to_string(),
            path: path.to_string(),
            problem,
        };
        if digests.size > MAX_DOCUMENT {
            return Err(unavailable(format!("it is larger than {MAX_DOCUMENT} bytes")));
        }
        let bytes = tokio::fs::read(file).await.map_err(|error| unavailable(error.to_string()))?;
        let list = metadata::parse(&bytes).map_err(|error| InputError::Withheld {
            path: path.to_string(),
            problem: format!("it cannot be read: {error}"),
        })?;
        if list.versions.is_empty() && list.latest.is_none() && list.release.is_none() {
            return Ok(input);
        }
        self.cut(repository, path, list, about, time).await
    }

    async fn pinned(&self, input: &ExtraInput) -> Result<Input, InputError> {
        self.inputs.pinned(input).await
    }

    async fn keep(&self, document: &[u8]) -> Result<Input, InputError> {
        self.inputs.keep(document).await
    }
}

/// Whose versions a path may list.
fn artifact_of(path: &RepoPath) -> Option<(GroupId, ArtifactId)> {
    match path.kind() {
        PathKind::Metadata(
            MetadataLevel::GroupOrArtifact { group, artifact, .. } | MetadataLevel::Artifact { group, artifact },
        ) => Some((group, artifact)),
        _ => None,
    }
}

/// The document with these versions only; none if nothing is left to tell.
fn as_of(list: Metadata, group: GroupId, artifact: ArtifactId, kept: Vec<Version>, time: u64) -> Option<Metadata> {
    let plugins = list.plugins;
    if kept.is_empty() {
        // The path of an artifact can be that of a group as well.
        return (!plugins.is_empty()).then(|| Metadata { group: list.group, plugins, ..Metadata::default() });
    }
    let stamp: LastUpdated = stamp(time).parse().ok()?;
    let cut = Metadata::of_artifact(group, artifact, kept, stamp.as_str()).ok()?;
    Some(Metadata { plugins, ..cut })
}

/// Seconds since 1970 as `yyyyMMddHHmmss` in UTC.
fn stamp(time: u64) -> String {
    let (days, seconds) = (time / 86_400, time % 86_400);
    // Years that begin with March, so that the day that some have more is their last.
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = (year_of_era + era * 400 + u64::from(month <= 2)).min(9999);
    format!("{year:04}{month:02}{day:02}{:02}{:02}{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use pyrsia_digest::FileDigests;
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    /// An upstream that grows: POMs with their times, and one list that always tells all of them.
    struct Growing {
        folder: tempfile::TempDir,
        poms: Mutex<BTreeMap<String, Option<u64>>>,
        asked: AtomicUsize,
        broken: Mutex<Option<String>>,
    }

    const LIST: &str = "org/dep/lib/maven-metadata.xml";

    impl Growing {
        fn new(poms: &[(&str, Option<u64>)]) -> Arc<Self> {
            let poms = poms.iter().map(|(pom, time)| ((*pom).to_owned(), *time)).collect();
            Arc::new(Self {
                folder: tempfile::tempdir().unwrap(),
                poms: Mutex::new(poms),
                asked: AtomicUsize::new(0),
                broken: Mutex::default(),
            })
        }

        fn publish(&self, version: &str, time: u64) {
            self.poms.lock().unwrap().insert(format!("org.dep:lib:{version}"), Some(time));
        }

        fn write(&self, bytes: &[u8]) -> Input {
            let digests = FileDigests::of(bytes);
            let file = self.folder.path().join(digests.sha256.to_string());
            std::fs::write(&file, bytes).unwrap();
            Input::found(file, digests)
        }
    }

    #[async_trait]
    impl Inputs for Growing {
        async fn get(&self, repository: &RepositoryId, path: &RepoPath) -> Result<Input, InputError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.broken.lock().unwrap().as_deref() == Some(path.as_str()) {
                return Err(InputError::Unavailable {
                    repository: repository.to_string(),
                    path: path.to_string(),
                    problem: "503".to_owned(),
                });
            }
            let poms = self.poms.lock().unwrap().clone();
            if path.as_str() == LIST {
                let versions: Vec<Version> =
                    poms.keys().filter_map(|pom| pom.strip_prefix("org.dep:lib:")?.parse().ok()).collect();
                // What upstream writes differs from our own form, and changes with each deployment.
                let mut text = "<metadata><groupId>org.dep</groupId><artifactId>lib</artifactId><versioning>\
                     <lastUpdated>20300101000000</lastUpdated><versions>"
                    .to_owned();
                for version in versions.iter().rev() {
                    text.push_str(&format!("<version>{version}</version>"));
                }
                return Ok(self.write(format!("{text}</versions></versioning></metadata>").as_bytes()));
            }
            let pom = poms.iter().find(|(pom, _)| pom.parse::<Coordinates>().unwrap().pom_path() == *path);
            Ok(match pom {
                Some((_, time)) => match self.write(b"<project/>") {
                    Input::Found { file, digests, .. } => {
                        Input::Found { file, digests, last_modified: *time, cut: false }
                    }
                    Input::Absent => Input::Absent,
                },
                None => Input::Absent,
            })
        }

        async fn keep(&self, document: &[u8]) -> Result<Input, InputError> {
            Ok(self.write(document))
        }
    }

    fn seen(upstream: &Arc<Growing>) -> AsPublished {
        let release: Coordinates = "org.acme:app:1".parse().unwrap();
        let withheld = Withheld::new([&release, &"org.dep:lib:0.9".parse().unwrap()]);
        AsPublished::new(upstream.clone(), vec![release], withheld)
    }

    async fn list(inputs: &dyn Inputs) -> (String, bool) {
        match inputs.get(&RepositoryId::central(), &LIST.parse().unwrap()).await.unwrap() {
            Input::Found { file, digests, cut, .. } => {
                let bytes = std::fs::read(file).unwrap();
                assert_eq!(FileDigests::of(&bytes), digests);
                (String::from_utf8(bytes).unwrap(), cut)
            }
            Input::Absent => ("absent".to_owned(), false),
        }
    }

    /// A ledger in front of an upstream, which gives a list that it has cut itself.
    struct Ledger(Arc<Growing>);

    #[async_trait]
    impl Inputs for Ledger {
        async fn get(&self, repository: &RepositoryId, path: &RepoPath) -> Result<Input, InputError> {
            let answer = self.0.get(repository, path).await?;
            Ok(if path.as_str() == LIST { answer.already_cut() } else { answer })
        }
    }

    #[tokio::test]
    async fn a_list_of_the_ledger_is_not_cut_again() {
        let poms = [("org.acme:app:1", Some(1000)), ("org.dep:lib:1.0", None), ("org.dep:lib:2.0", None)];
        let release: Coordinates = "org.acme:app:1".parse().unwrap();
        let withheld = Withheld::new([&release]);
        let ledger = Arc::new(Ledger(Growing::new(&poms)));
        let (told, cut) = list(&AsPublished::new(ledger, vec![release], withheld)).await;
        assert!(cut && told.contains("1.0") && told.contains("2.0"), "{told}");
    }

    #[tokio::test]
    async fn a_version_of_unknown_time_leaves_the_question_open() {
        let poms = [("org.acme:app:1", Some(1000)), ("org.dep:lib:1.0", Some(500)), ("org.dep:lib:1.2", None)];
        let inputs = seen(&Growing::new(&poms));
        let answer = inputs.get(&RepositoryId::central(), &LIST.parse().unwrap()).await;
        assert!(matches!(answer, Err(InputError::Unavailable { path, .. }) if path.contains("1.2")));
    }

    #[tokio::test]
    async fn who_records_later_gets_the_same_bytes() {
        let upstream = Growing::new(&[
            ("org.acme:app:1", Some(1000)),
            ("org.dep:lib:0.9", Some(1)),
            ("org.dep:lib:1.0", Some(500)),
            ("org.dep:lib:2.0", Some(1000)),
            ("org.dep:lib:1.1", Some(1001)),
        ]);
        let (early, cut) = list(&seen(&upstream)).await;
        assert!(cut);
        let told = metadata::parse(early.as_bytes()).unwrap();
        let versions: Vec<&str> = told.versions.iter().map(Version::as_str).collect();
        // Not 1.1, which came later to an older line; not 0.9, which the build could not get.
        assert_eq!(versions, ["1.0", "2.0"]);
        assert_eq!(told.last_updated.unwrap().as_str(), "19700101001640");
        assert_eq!((told.latest.unwrap().as_str(), told.release.unwrap().as_str()), ("2.0", "2.0"));
        upstream.publish("3.0", 2000);
        upstream.publish("1.9", 2001);
        assert_eq!(list(&seen(&upstream)).await, (early, true));
    }

    #[tokio::test]
    async fn a_list_that_had_nothing_yet_is_absent_and_without_times_nothing_is_cut() {
        let upstream = Growing::new(&[("org.acme:app:1", Some(1000)), ("org.dep:lib:1.0", Some(1001))]);
        assert_eq!(list(&seen(&upstream)).await.0, "absent");
        let upstream = Growing::new(&[("org.acme:app:1", None), ("org.dep:lib:1.0", Some(1001))]);
        let (text, cut) = list(&seen(&upstream)).await;
        assert!(!cut && text.contains("20300101000000"));
    }

    #[tokio::test]
    async fn an_upstream_that_fails_is_no_missing_version() {
        let upstream = Growing::new(&[("org.acme:app:1", Some(1000)), ("org.dep:lib:1.0", Some(1))]);
        *upstream.broken.lock().unwrap() = Some("org/dep/lib/1.0/lib-1.0.pom".to_owned());
        let answer = seen(&upstream).get(&RepositoryId::central(), &LIST.parse().unwrap()).await;
        assert!(matches!(answer, Err(InputError::Unavailable { .. })));
    }

    #[tokio::test]
    async fn other_files_cost_one_question_and_long_lists_are_refused() {
        let upstream = Growing::new(&[("org.acme:app:1", Some(1000))]);
        let inputs = seen(&upstream);
        inputs.get(&RepositoryId::central(), &"org/dep/lib/1.0/lib-1.0.pom".parse().unwrap()).await.unwrap();
        assert_eq!(upstream.asked.load(Ordering::Relaxed), 1);
        for number in 0..=MAX_VERSIONS {
            upstream.publish(&number.to_string(), 1);
        }
        let answer = inputs.get(&RepositoryId::central(), &LIST.parse().unwrap()).await;
        assert!(matches!(answer, Err(InputError::Withheld { .. })));
    }

    #[test]
    fn times_are_written_as_maven_does() {
        for (time, text) in [
            (0, "19700101000000"),
            (951_782_399, "20000228235959"),
            (951_782_400, "20000229000000"),
            (1_709_210_096, "20240229123456"),
            (4_107_542_400, "21000301000000"),
        ] {
            assert_eq!(stamp(time), text);
        }
        assert_eq!(stamp(u64::MAX / 2).len(), 14);
    }

    #[test]
    fn a_list_of_plugins_stays() {
        let list = metadata::parse(
            b"<metadata><plugins><plugin><prefix>p</prefix><artifactId>p-plugin</artifactId></plugin></plugins></metadata>",
        )
        .unwrap();
        let (group, artifact): (GroupId, ArtifactId) = ("g".parse().unwrap(), "a".parse().unwrap());
        let cut = as_of(list, group, artifact, vec!["1".parse().unwrap()], 5).unwrap();
        assert_eq!((cut.plugins.len(), cut.versions.len()), (1, 1));
    }
}
