//! What upstream's own POMs say about a release: its parents and its source.
//!
//! **The source of an upstream release is the repository that the release's own POM chain names**; nobody who asks
//! for a rebuild can put another one in its place.

use std::collections::BTreeMap;

use build_spec::{Input, InputError, Inputs, RepositoryId};
use maven_layout::pom::{Pom, is_computed};
use maven_layout::{CanonicalRepository, Coordinates, scm};
use pyrsia_digest::Sha256;

/// POMs that are followed upwards, the release's own included: Maven inherits scm from every parent.
pub const MAX_CHAIN: usize = 11;

/// Largest POM that is read, in bytes.
const MAX_POM: u64 = 8 << 20;

/// A release's POM and its parents.
#[derive(Debug, Clone, Default)]
pub struct PomChain {
    /// SHA-256 of each POM, the release's own first.
    pub digests: Vec<Sha256>,
    /// The repository that the nearest `<scm>` names, reduced to the canonical form.
    pub repository: Option<CanonicalRepository>,
    /// Sentences that say where it was read.
    pub evidence: Vec<String>,
    /// The POMs, in the same order as their digests.
    pub poms: Vec<(Coordinates, Pom)>,
}

/// Why a POM chain could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PomChainError {
    /// Upstream has no such release.
    #[error("upstream has no {0}")]
    NoRelease(Coordinates),
    /// A parent is missing.
    #[error("the parent {parent} of {child} is not on upstream")]
    NoParent {
        /// The POM that names it.
        child: Box<Coordinates>,
        /// The missing one.
        parent: Box<Coordinates>,
    },
    /// A POM could not be fetched.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A POM could not be read from disk.
    #[error("cannot read the POM of {0}: {1}")]
    Read(Coordinates, std::io::Error),
    /// A POM is not valid.
    #[error("the POM of {0} is not valid: {1}")]
    Pom(Coordinates, maven_layout::PomError),
}

/// The chains of all releases of one build as one: the first release's digests, and the repository that **each** release's own
/// chain names; none if one of them names another or none. A build of several releases must not lend the source of one
/// to another.
pub async fn pom_chains(inputs: &dyn Inputs, releases: &[Coordinates]) -> Result<PomChain, PomChainError> {
    let mut joined: Option<PomChain> = None;
    for release in releases {
        let chain = pom_chain(inputs, release).await?;
        joined = Some(match joined {
            None => chain,
            Some(mut all) => {
                if all.repository != chain.repository {
                    all.repository = None;
                }
                all.evidence.extend(chain.evidence);
                all
            }
        });
    }
    Ok(joined.unwrap_or_default())
}

/// Reads the chain through `inputs` (verified files of the node's own upstream).
pub async fn pom_chain(inputs: &dyn Inputs, release: &Coordinates) -> Result<PomChain, PomChainError> {
    let mut chain = PomChain::default();
    let mut values = Values::of(release);
    let mut next = Some(release.clone());
    let mut child: Option<Coordinates> = None;
    while let Some(coordinates) = next.take() {
        let input = inputs.get(&RepositoryId::central(), &coordinates.pom_path()).await?;
        let Input::Found { file, digests, .. } = input else {
            return Err(match child {
                None => PomChainError::NoRelease(coordinates),
                Some(child) => PomChainError::NoParent { child: Box::new(child), parent: Box::new(coordinates) },
            });
        };
        chain.digests.push(digests.sha256);
        let bytes = read(&coordinates, &file, digests.size)?;
        let pom = Pom::parse(&bytes).map_err(|error| PomChainError::Pom(coordinates.clone(), error))?;
        values.add(&pom);
        if chain.repository.is_none()
            && let Some((repository, raw)) = repository_of(&pom, release, &values)
        {
            chain.evidence.push(format!("the POM of {coordinates} names {raw}, that is {repository}"));
            chain.repository = Some(repository);
        }
        if chain.digests.len() < MAX_CHAIN {
            next = pom.parent_coordinates().map_err(|error| PomChainError::Pom(coordinates.clone(), error))?;
        }
        child = Some(coordinates.clone());
        chain.poms.push((coordinates, pom));
    }
    Ok(chain)
}

fn read(coordinates: &Coordinates, file: &std::path::Path, size: u64) -> Result<Vec<u8>, PomChainError> {
    if size > MAX_POM {
        let problem = std::io::Error::other(format!("larger than {MAX_POM} bytes"));
        return Err(PomChainError::Read(coordinates.clone(), problem));
    }
    std::fs::read(file).map_err(|error| PomChainError::Read(coordinates.clone(), error))
}

/// The first address of a POM that can be reduced; `connection` is what tools clone from, so it comes first.
pub fn repository_of(pom: &Pom, release: &Coordinates, values: &Values) -> Option<(CanonicalRepository, String)> {
    let scm = pom.scm.as_ref()?;
    [&scm.connection, &scm.developer_connection, &scm.url].into_iter().flatten().find_map(|raw| {
        let raw = values.fill(raw)?;
        let repository = scm::canonical_with_modules(&raw, &[release.artifact.as_str()]).ok()?;
        Some((repository, raw))
    })
}

/// Values of `${...}` expressions: the nearest POM wins, as in Maven's inheritance.
#[derive(Debug, Clone)]
pub struct Values(BTreeMap<String, String>);

impl Values {
    /// The project's own values, which Maven resolves against the release and not against a parent.
    pub fn of(release: &Coordinates) -> Self {
        let mut values = BTreeMap::new();
        for prefix in ["project.", "pom.", ""] {
            values.insert(format!("{prefix}groupId"), release.group.to_string());
            values.insert(format!("{prefix}artifactId"), release.artifact.to_string());
            values.insert(format!("{prefix}version"), release.version.to_string());
        }
        Self(values)
    }

    /// Adds a POM's properties where nothing nearer has set them.
    pub fn add(&mut self, pom: &Pom) {
        for (name, value) in &pom.properties {
            self.0.entry(name.clone()).or_insert_with(|| value.clone());
        }
    }

    /// Replaces all expressions; none if one is unknown or they do not end.
    pub fn fill(&self, text: &str) -> Option<String> {
        let mut text = text.to_owned();
        for _ in 0..16 {
            if !is_computed(&text) {
                return Some(text);
            }
            let start = text.find("${")?;
            let end = start + text[start..].find('}')?;
            let value = self.0.get(&text[start + 2..end])?;
            if text.len() + value.len() > 4096 {
                return None;
            }
            text.replace_range(start..=end, value);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use maven_layout::RepoPath;
    use pyrsia_digest::FileDigests;

    struct Files(tempfile::TempDir);

    impl Files {
        fn with(files: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            for (gav, body) in files {
                let coordinates: Coordinates = gav.parse().unwrap();
                let path = folder.path().join(coordinates.pom_path().as_str());
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                let (g, a, v) = (&coordinates.group, &coordinates.artifact, &coordinates.version);
                let pom = format!(
                    "<project><groupId>{g}</groupId><artifactId>{a}</artifactId><version>{v}</version>{body}</project>"
                );
                std::fs::write(path, pom).unwrap();
            }
            Self(folder)
        }
    }

    #[async_trait]
    impl Inputs for Files {
        async fn get(&self, _repository: &RepositoryId, path: &RepoPath) -> Result<Input, InputError> {
            let file = self.0.path().join(path.as_str());
            Ok(match std::fs::read(&file) {
                Ok(bytes) => Input::found(file, FileDigests::of(&bytes)),
                Err(_) => Input::Absent,
            })
        }
    }

    const PARENT: &str =
        "<parent><groupId>org.acme</groupId><artifactId>parent</artifactId><version>1</version></parent>";

    #[tokio::test]
    async fn the_nearest_scm_wins_and_expressions_are_the_releases_own() {
        let scm = "<scm><connection>scm:git:https://git.example/${base}/${project.artifactId}.git</connection></scm>";
        let properties = "<properties><base>acme</base></properties>";
        let files = Files::with(&[("org.acme:lib:1", PARENT), ("org.acme:parent:1", &format!("{scm}{properties}"))]);
        let chain = pom_chain(&files, &"org.acme:lib:1".parse().unwrap()).await.unwrap();
        assert_eq!(chain.digests.len(), 2);
        assert_eq!(chain.repository.unwrap().to_string(), "https://git.example/acme/lib");
    }

    #[tokio::test]
    async fn a_missing_parent_is_named() {
        let files = Files::with(&[("org.acme:lib:1", PARENT)]);
        let error = pom_chain(&files, &"org.acme:lib:1".parse().unwrap()).await.unwrap_err();
        assert!(error.to_string().contains("org.acme:parent:1"), "{error}");
        let error = pom_chain(&files, &"org.acme:none:1".parse().unwrap()).await.unwrap_err();
        assert!(matches!(error, PomChainError::NoRelease(_)));
    }

    #[tokio::test]
    async fn parents_in_a_circle_end() {
        let circle = PARENT.replace("parent</artifactId>", "lib</artifactId>");
        let files = Files::with(&[("org.acme:lib:1", &circle)]);
        let chain = pom_chain(&files, &"org.acme:lib:1".parse().unwrap()).await.unwrap();
        assert_eq!(chain.digests.len(), MAX_CHAIN);
    }

    #[test]
    fn expressions_that_feed_themselves_end() {
        let mut values = Values::of(&"a:b:1".parse().unwrap());
        values.0.insert("x".to_owned(), "${x}${x}".to_owned());
        assert_eq!(values.fill("${x}"), None);
        assert_eq!(values.fill("${unknown}"), None);
        assert_eq!(values.fill("${project.version}-x").as_deref(), Some("1-x"));
    }

    #[tokio::test]
    async fn one_release_lends_its_source_to_no_other() {
        let scm = |name: &str| format!("<scm><connection>scm:git:https://git.example/{name}.git</connection></scm>");
        let (evil, acme) = (scm("evil/fork"), scm("acme/lib"));
        let files = Files::with(&[("aa.evil:x:1", &evil), ("org.acme:lib:1", &acme), ("org.acme:two:1", &acme)]);
        let named = async |releases: &[&str]| {
            let releases: Vec<Coordinates> = releases.iter().map(|release| release.parse().unwrap()).collect();
            pom_chains(&files, &releases).await.unwrap().repository.map(|repository| repository.to_string())
        };
        assert_eq!(named(&["aa.evil:x:1", "org.acme:lib:1"]).await, None);
        assert_eq!(named(&["org.acme:lib:1", "org.acme:two:1"]).await.as_deref(), Some("https://git.example/acme/lib"));
    }
}
