//! The commits inside a commit: submodules, each fetched from its own address.

use std::path::{Path, PathBuf};
use std::time::Duration;

use build_spec::{BuildLog, Phase, SourceError};
use maven_layout::CanonicalRepository;
use tokio::runtime::Handle;

use crate::config::JavaBuilderConfig;
use crate::source::clone::{self, Reach};
use crate::source::declared::{self, Declared};
use crate::source::tree::{Entry, Kind, Link, Listing, Module, size};
use crate::source::{Budget, CloneAddress, Ways, address, clone_address, tree_error};

/// Submodules of one source, those of submodules included.
const MAX_MODULES: usize = 64;
/// Submodules in submodules.
const MAX_LEVELS: usize = 5;
/// How long a name server may take.
const LOOK_UP: Duration = Duration::from_secs(60);

/// What is needed to fetch one more repository. Used on a thread that may wait.
pub(crate) struct Gathering<'a> {
    pub(crate) config: &'a JavaBuilderConfig,
    pub(crate) runtime: &'a Handle,
    pub(crate) ways: &'a Ways,
    /// A folder for the clones.
    pub(crate) scratch: &'a Path,
    pub(crate) budget: &'a Budget,
    pub(crate) reach: Reach,
    pub(crate) commit: &'a str,
    pub(crate) log: &'a dyn BuildLog,
}

impl Gathering<'_> {
    /// Fetches the submodules at these places of the release's repository, and theirs; adds their trees to the listing.
    pub(crate) fn run(
        &self,
        root: Module,
        links: Vec<Link>,
        listing: &mut Listing<'_>,
    ) -> Result<Vec<Module>, SourceError> {
        let mut modules = vec![root];
        let mut open = vec![(0, 0, links)];
        while let Some((outer, level, links)) = open.pop() {
            if links.is_empty() {
                continue;
            }
            let declared = self.declared(&modules[outer], outer, &listing.entries)?;
            for link in links {
                let shown = String::from_utf8_lossy(&link.path).into_owned();
                if modules.len() > MAX_MODULES || level >= MAX_LEVELS {
                    let problem = format!(
                        "with the submodule {shown} there are more than {MAX_MODULES} of them, or more than {MAX_LEVELS} in one another"
                    );
                    return Err(tree_error(self.commit, &problem));
                }
                let module = self.fetch(&modules[outer], outer, &declared, &link, modules.len())?;
                let tree = module.repository.find_commit(module.commit).and_then(|commit| commit.tree());
                let tree = tree.map_err(|error| self.failed(&shown, error.message()))?;
                let number = modules.len();
                let inner = listing.add(&module.repository, number, &tree, &link.path)?;
                drop(tree);
                modules.push(module);
                open.push((number, level + 1, inner));
            }
        }
        Ok(modules)
    }

    fn failed(&self, path: &str, problem: &str) -> SourceError {
        tree_error(self.commit, &format!("its submodule {path} cannot be used: {problem}"))
    }

    /// What the `.gitmodules` of a repository says.
    fn declared(&self, module: &Module, number: usize, entries: &[Entry]) -> Result<Vec<Declared>, SourceError> {
        let mut file = module.path.clone();
        if !file.is_empty() {
            file.push(b'/');
        }
        file.extend_from_slice(b".gitmodules");
        let shown = String::from_utf8_lossy(&file).into_owned();
        let unusable = |problem: String| tree_error(self.commit, &format!("its {shown} cannot be used: {problem}"));
        let entry = entries.iter().find(|entry| entry.module == number && entry.path == file);
        let Some(entry) = entry else { return Err(unusable("there is none, but there are submodules".to_owned())) };
        if !matches!(entry.kind, Kind::File { .. }) {
            return Err(unusable("it is no regular file".to_owned()));
        }
        let length = size(&module.repository, entry.id).map_err(|error| unusable(error.message().to_owned()))?;
        if length > declared::MAX_FILE {
            return Err(unusable("it is too large".to_owned()));
        }
        let blob = module.repository.find_blob(entry.id).map_err(|error| unusable(error.message().to_owned()))?;
        declared::read(blob.content(), self.scratch).map_err(unusable)
    }

    fn fetch(
        &self,
        outer: &Module,
        parent: usize,
        declared: &[Declared],
        link: &Link,
        number: usize,
    ) -> Result<Module, SourceError> {
        let shown = String::from_utf8_lossy(&link.path).into_owned();
        let inner = link.path.strip_prefix(outer.path.as_slice()).unwrap_or(&link.path);
        let inner = inner.strip_prefix(b"/").unwrap_or(inner);
        let found = declared.iter().find(|declared| declared.path.as_bytes() == inner);
        let Some(found) = found else { return Err(self.failed(&shown, "its .gitmodules does not name it")) };
        let repository =
            declared::address(&found.url, &outer.address).map_err(|problem| self.failed(&shown, &problem))?;
        let address = clone_address(&repository, &self.config.source_mirrors);
        let source = if address.mirrored { " through the source map" } else { "" };
        self.log.line(Phase::Source, &format!("cloning submodule {shown}: {repository}{source}"));
        let budget = self.way(&address).map_err(|error| self.inside(&shown, &repository, error))?;
        let folder = self.folder(number)?;
        let fetched = clone::fetch_commit(&address, link.commit, &folder, self.reach, &budget);
        Ok(Module {
            repository: fetched.map_err(|error| self.inside(&shown, &repository, error))?,
            commit: link.commit,
            address: repository,
            mirrored: address.mirrored,
            path: link.path.clone(),
            name: found.name.clone(),
            parent: Some(parent),
        })
    }

    /// An error of a submodule, which says whose it is.
    fn inside(&self, path: &str, repository: &CanonicalRepository, error: SourceError) -> SourceError {
        match error {
            SourceError::Local(_) => error,
            SourceError::Refused { problem, .. } => self.failed(path, &format!("{repository} is refused: {problem}")),
            SourceError::Clone { problem, .. } => {
                SourceError::Clone { repository: format!("{repository} (submodule {path})"), problem }
            }
            error => self.failed(path, &error.to_string()),
        }
    }

    /// Checks an address and opens the way to it.
    fn way(&self, to: &CloneAddress) -> Result<Budget, SourceError> {
        self.runtime.block_on(async {
            let checked = tokio::time::timeout(LOOK_UP, address::check(to, self.config.private_sources)).await;
            let way = checked.map_err(|_| SourceError::Clone {
                repository: to.url.clone(),
                problem: "its host could not be looked up in time".to_owned(),
            })??;
            Ok(self.budget.through(self.ways.open(way).await?))
        })
    }

    fn folder(&self, number: usize) -> Result<PathBuf, SourceError> {
        let folder = self.scratch.join(format!("module-{number}"));
        std::fs::create_dir(&folder).map_err(|error| SourceError::Local(format!("{}: {error}", folder.display())))?;
        Ok(folder)
    }
}
