//! Looking for the commit: addresses, tags, and whether what a tag holds is the release.
//!
//! **A wrong commit is worse than none**: what the builder refuses, or the published files contradict, is named and left.

use std::sync::Arc;

use build_infer::{
    Acceptance, Address, Checkout, Evidence, Match, Refusal, Standing, addresses, judge, match_sources, ranked_tags,
    standing_of,
};
use build_spec::{BuildLog, Builder as _, Phase, Source, SourceError, SourceRequest};
use jar_compare::{Limits, Listing};
use maven_layout::pom::{Lineage, Pom};
use maven_layout::{CanonicalRepository, Coordinates};

use super::published::Published;
use super::session::Session;
use crate::exit::{CommandError, Exit};

/// Commits that are fetched and looked at.
const MAX_COMMITS: usize = 8;
/// Artifact ids that tags are looked for with.
const MAX_NAMES: usize = 4;

/// A commit that was accepted.
pub struct Found {
    /// The frozen source.
    pub source: Source,
    /// How its address came about.
    pub standing: Standing,
    /// What proves it.
    pub acceptance: Acceptance,
    /// Its files.
    pub checkout: Checkout,
    /// Why it was chosen.
    pub evidence: Vec<Evidence>,
    /// What was looked at before and not taken.
    pub refused: Vec<String>,
}

impl Found {
    /// Whether the published sources have CRLF where the commit has LF.
    pub fn is_crlf(&self) -> bool {
        matches!(&self.acceptance, Acceptance::Files(matched) if matched.is_crlf())
    }
}

/// Why no commit was accepted.
pub enum NotFound {
    /// Nothing that was looked at is the release's source.
    Refused(Vec<String>),
    /// This machine or upstream failed.
    Failed(anyhow::Error),
}

impl From<anyhow::Error> for NotFound {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<CommandError> for NotFound {
    fn from(error: CommandError) -> Self {
        Self::Failed(error.into())
    }
}

impl NotFound {
    /// As the error that ends a command.
    pub fn into_error(self, release: &Coordinates) -> anyhow::Error {
        match self {
            Self::Failed(error) => error,
            Self::Refused(refused) => CommandError::new(Exit::NoSource, failure(release, &refused)).into(),
        }
    }
}

/// What is said where there is no source.
pub fn failure(release: &Coordinates, refused: &[String]) -> String {
    let why = if refused.is_empty() { "its POMs name no git repository".to_owned() } else { refused.join("\n  ") };
    format!("no source of {release} could be established; name it with --source, --tag or --commit\n  {why}")
}

/// One search.
struct Search<'a> {
    session: &'a Session,
    release: &'a Coordinates,
    published: &'a Published,
    log: Arc<dyn BuildLog>,
    refused: Vec<String>,
    best: Option<Found>,
    commits: usize,
}

/// Looks for the commit of a release, in the repository that is given or in those that its POMs name.
pub async fn find(
    session: &Session,
    release: &Coordinates,
    published: &Published,
    given: Option<&CanonicalRepository>,
    log: Arc<dyn BuildLog>,
) -> Result<Found, NotFound> {
    let of_chain = addresses(&published.chain.poms, published.chain.repository.as_ref());
    let mut search = Search { session, release, published, log, refused: Vec::new(), best: None, commits: 0 };
    let candidates = match given {
        Some(given) => {
            let standing = standing_of(given, &of_chain);
            vec![Address { repository: given.clone(), standing, why: "the asker names it".to_owned() }]
        }
        None => {
            search.refused.extend(of_chain.refused.iter().cloned());
            of_chain.candidates
        }
    };
    for address in &candidates {
        search.look_in(address).await?;
        // A repository that has the release is not given up for one that is further away.
        if search.best.is_some() {
            break;
        }
    }
    match search.best {
        Some(mut found) => {
            found.refused = search.refused;
            Ok(found)
        }
        None => Err(NotFound::Refused(search.refused)),
    }
}

impl Search<'_> {
    async fn look_in(&mut self, address: &Address) -> Result<(), NotFound> {
        let repository = &address.repository;
        let tags = match self.session.builder.tags(repository).await {
            Ok(tags) => tags,
            Err(SourceError::Local(text)) => return Err(CommandError::new(Exit::Failed, text).into()),
            Err(error) => {
                self.refuse(format!("{repository} ({}): {error}", address.why));
                return Ok(());
            }
        };
        let chain = &self.published.chain.poms;
        let mut names = vec![self.release.artifact.as_str()];
        names.extend(chain.iter().skip(1).map(|(parent, _)| parent.artifact.as_str()));
        names.truncate(MAX_NAMES);
        let stated = self.stated_tag();
        let told = tags.iter().map(|tag| (tag.name.as_str(), tag.target.as_str()));
        let ranked = ranked_tags(told, stated.as_deref(), &names, repository.name(), self.release.version.as_str());
        if ranked.is_empty() {
            self.refuse(format!(
                "{repository} ({}): none of its {} tags holds version {}",
                address.why,
                tags.len(),
                self.release.version
            ));
        }
        for candidate in ranked {
            if self.commits >= MAX_COMMITS {
                self.refuse(format!("{repository}: after {MAX_COMMITS} commits no further tags were looked at"));
                return Ok(());
            }
            self.commits += 1;
            let evidence = vec![
                Evidence::new("repository", repository.as_str(), &address.why),
                Evidence::new("tag", &candidate.tag, &candidate.why),
            ];
            if self.look_at(address, &candidate.tag, evidence).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether the tag's commit is so good that no other need be looked at.
    async fn look_at(&mut self, address: &Address, tag: &str, mut evidence: Vec<Evidence>) -> Result<bool, NotFound> {
        let request = SourceRequest {
            coordinates: vec![self.release.clone()],
            repository: address.repository.clone(),
            tag: Some(tag.to_owned()),
            commit: None,
            // What is found is checked out anew by a specification that wants it otherwise.
            checkout: None,
        };
        let place = format!("tag {tag} of {}", address.repository);
        let source = match self.session.builder.resolve(&request, self.log.clone()).await {
            Ok(source) => source,
            Err(SourceError::Local(text)) => return Err(CommandError::new(Exit::Failed, text).into()),
            Err(error) => {
                self.refuse(format!("{place}: {error}"));
                return Ok(false);
            }
        };
        let checkout = super::read_checkout(source.archive.clone(), self.release.clone()).await?;
        let (checkout, judged) = self.judge(address.standing, checkout).await?;
        match judged {
            Ok(acceptance) => {
                evidence.push(Evidence::new("commit", &source.commit, acceptance.to_string()));
                evidence.extend(source.evidence.iter().map(|text| Evidence::new("commit", &source.commit, text)));
                if let Some(declared) = source.declared_scm.as_ref().filter(|declared| **declared != address.repository)
                {
                    let text = format!("its own build file names another repository, {declared}");
                    evidence.push(Evidence::new("repository", address.repository.as_str(), text));
                }
                let done = is_whole(&acceptance);
                let found =
                    Found { source, standing: address.standing, acceptance, checkout, evidence, refused: Vec::new() };
                self.keep_the_better(found);
                Ok(done)
            }
            Err(refusal) => {
                // The archive is the caller's, and nobody will build from it.
                let _ = std::fs::remove_file(&source.archive);
                self.refuse(format!("{place}, commit {}: {refusal}", source.commit));
                Ok(false)
            }
        }
    }

    async fn judge(
        &self,
        standing: Standing,
        checkout: Checkout,
    ) -> anyhow::Result<(Checkout, Result<Acceptance, Refusal>)> {
        let (sources, pom) = (self.published.sources.clone(), self.published.pom.clone());
        let work = tokio::task::spawn_blocking(move || {
            let found: Option<Match> = match &sources {
                Some(bytes) => {
                    let listing = Listing::open(bytes, &Limits::default())?;
                    Some(match_sources(&listing, &checkout)?)
                }
                None => None,
            };
            let judged = judge(standing, found, &checkout, &pom);
            Ok::<_, jar_compare::ArchiveError>((checkout, judged))
        });
        Ok(work.await??)
    }

    /// The tag that the release's own POM, or a parent of the same version, states.
    fn stated_tag(&self) -> Option<String> {
        let chain = &self.published.chain.poms;
        let poms: Vec<&Pom> = chain.iter().map(|(_, pom)| pom).collect();
        let same = chain.iter().filter(|(release, _)| release.version == self.release.version);
        let tags = same.filter_map(|(_, pom)| pom.scm.as_ref()?.tag.as_deref());
        tags.filter_map(|tag| Lineage::new(&poms).resolve(tag)).find(|tag| tag != "HEAD")
    }

    fn keep_the_better(&mut self, found: Found) {
        let better = self.best.as_ref().is_none_or(|best| rank(&found.acceptance) > rank(&best.acceptance));
        let left = if better { self.best.replace(found) } else { Some(found) };
        if let Some(left) = left {
            let _ = std::fs::remove_file(&left.source.archive);
            let tag = left.source.tag.as_deref().unwrap_or_default();
            self.refuse(format!("tag {tag} of {}: another one is better proven", left.source.repository));
        }
    }

    fn refuse(&mut self, text: String) {
        self.log.line(Phase::Source, &format!("not taken: {text}"));
        self.refused.push(text);
    }
}

/// Stronger acceptances are greater.
fn rank(acceptance: &Acceptance) -> u32 {
    match acceptance {
        Acceptance::Files(found) => 2 + found.per_mille().unwrap_or_default(),
        Acceptance::Pom => 1,
        Acceptance::Declared => 0,
    }
}

/// Whether no other commit could be better proven.
fn is_whole(acceptance: &Acceptance) -> bool {
    match acceptance {
        Acceptance::Files(found) => found.missing.count == 0,
        Acceptance::Pom => true,
        Acceptance::Declared => false,
    }
}
