//! The build files of a commit: the root, what it and its profiles lead to, and the parents of those.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use build_spec::{SourceError, Specification};
use maven_layout::{Pom, pom};

use crate::source::Budget;
use crate::source::expressions::{self, Chain, Given};
use crate::source::tree::{self, Entry, Kind, Module};

/// Build files that are read.
pub(crate) const MAX_POMS: usize = 2_000;
/// Levels of inheritance that are followed inside the tree.
pub(crate) const MAX_PARENTS: usize = 10;

/// Build files by path.
pub(crate) type Poms = BTreeMap<String, Pom>;

/// The commit that is read.
pub(crate) struct Commit<'a> {
    pub(crate) id: &'a str,
    pub(crate) entries: &'a [Entry],
    pub(crate) modules: &'a [Module],
    pub(crate) budget: &'a Budget,
}

impl Commit<'_> {
    pub(crate) fn unusable(&self, file: &str, problem: String) -> SourceError {
        SourceError::BuildFile { commit: self.id.to_owned(), file: file.to_owned(), problem }
    }

    /// An error if the work must stop.
    pub(crate) fn on_time(&self) -> Result<(), SourceError> {
        self.budget.exhausted().map_or(Ok(()), |reason| Err(SourceError::Local(reason.to_owned())))
    }

    fn text(&self, path: &str) -> Result<Option<String>, SourceError> {
        let Some(entry) = tree::find(self.entries, path) else { return Ok(None) };
        Ok(Some(String::from_utf8_lossy(&tree::content(self.modules, entry, self.id)?).into_owned()))
    }
}

/// How a build file came to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    /// By the root, or a module: it must be there.
    Plainly,
    /// By a profile or an expression, or as a parent: it may be missing.
    Perhaps,
}

/// The build files of a commit, each read once.
pub(crate) struct Tree<'a> {
    commit: &'a Commit<'a>,
    given: Given,
    other_root: bool,
    read: BTreeMap<String, Option<Pom>>,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(commit: &'a Commit<'a>, specification: Option<&Specification>) -> Result<Self, SourceError> {
        let mut given = Given::new();
        let mut other_root = false;
        for file in [".mvn/maven.config", ".mvn/jvm.config"] {
            if let Some(text) = commit.text(file)? {
                other_root |= expressions::read_config(&text, &mut given);
            }
        }
        if let Some(specification) = specification {
            for (name, value) in specification.stated_properties() {
                given.entry(name).or_default().insert(value);
            }
            other_root |= specification.builds_elsewhere();
        }
        Ok(Self { commit, given, other_root, read: BTreeMap::new() })
    }

    /// A build file that was read.
    pub(crate) fn get(&self, path: &str) -> Option<&Pom> {
        self.read.get(path)?.as_ref()
    }

    /// The build file and those of its parents that lie in the tree and were read.
    pub(crate) fn chain<'t>(&'t self, path: &str, all: &'t [&'t Pom]) -> Chain<'t> {
        let mut poms = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(path) = next.take() {
            let Some(pom) = self.get(&path).filter(|_| poms.len() <= MAX_PARENTS) else { break };
            poms.push(pom);
            next = self.parent_path(&path, pom);
        }
        Chain { poms, given: &self.given, all }
    }

    /// Every build file that was read.
    pub(crate) fn all(&self) -> Vec<&Pom> {
        self.read.values().flatten().collect()
    }

    fn parent_path(&self, path: &str, pom: &Pom) -> Option<String> {
        let relative = pom.parent.as_ref()?.relative_path.as_deref().unwrap_or("../pom.xml");
        if relative.is_empty() || pom::is_computed(relative) {
            return None;
        }
        module_path(self.commit.entries, path, relative)
    }

    fn load(&mut self, path: &str, named: Named) -> Result<(), SourceError> {
        if self.read.contains_key(path) {
            return Ok(());
        }
        self.commit.on_time()?;
        if self.read.len() >= MAX_POMS {
            return Err(self.commit.unusable(path, format!("with it there are more than {MAX_POMS} modules")));
        }
        let commit = self.commit;
        let missing =
            if path == "pom.xml" { "there is none in the root" } else { "a module names it, but it is missing" };
        let pom = match tree::find(commit.entries, path) {
            None => Err(commit.unusable(path, missing.to_owned())),
            Some(entry) => tree::content(commit.modules, entry, commit.id)
                .and_then(|bytes| Pom::parse(&bytes).map_err(|error| commit.unusable(path, error.to_string()))),
        };
        let pom = match (pom, named) {
            (Ok(pom), _) => Some(pom),
            // What Maven cannot read, it cannot build either.
            (Err(SourceError::BuildFile { .. }), Named::Perhaps) => None,
            (Err(error), _) => return Err(error),
        };
        self.read.insert(path.to_owned(), pom);
        Ok(())
    }

    /// Reads the root, every module that it could lead to, and their parents; gives the paths of root and modules.
    pub(crate) fn walk(&mut self) -> Result<BTreeSet<String>, SourceError> {
        let mut queue = VecDeque::from(self.beginnings());
        // A module is queued once, however often and by whomever it is named: the queue is as bounded as what is read.
        let mut queued: BTreeSet<String> = queue.iter().map(|(path, _)| path.clone()).collect();
        let mut everything = self.other_root;
        while let Some((path, named)) = queue.pop_front() {
            self.load(&path, named)?;
            self.load_parents(&path)?;
            let Some(pom) = self.get(&path) else { continue };
            let all = self.all();
            let chain = self.chain(&path, &all);
            let mut modules: Vec<(String, Named)> = Vec::new();
            let in_profiles = pom.profiles.iter().flat_map(|profile| &profile.modules);
            let plain = pom.modules.iter().map(|module| (module, Named::Plainly));
            for (module, named) in plain.chain(in_profiles.map(|module| (module, Named::Perhaps))) {
                match chain.expand(module) {
                    Some(names) if pom::is_computed(module) => {
                        modules.extend(names.into_iter().map(|name| (name, Named::Perhaps)));
                    }
                    Some(_) => modules.push((module.clone(), named)),
                    None => everything = true,
                }
            }
            for (module, named) in modules {
                let Some(file) = module_path(self.commit.entries, &path, &module) else { continue };
                if !queued.insert(file.clone()) {
                    continue;
                }
                if queued.len() > MAX_POMS {
                    let problem = format!("with it there are more than {MAX_POMS} modules");
                    return Err(self.commit.unusable(&path, problem));
                }
                queue.push_back((file, named));
            }
            if everything && queue.is_empty() {
                everything = false;
                // Which files are modules cannot be told, so all of them may be.
                for path in build_files(self.commit) {
                    if queued.insert(path.clone()) {
                        queue.push_back((path, Named::Perhaps));
                    }
                }
            }
        }
        queued.retain(|path| self.get(path).is_some());
        Ok(queued)
    }

    /// The root. Where there is none, the command says where the build begins, and every build file may be part of it.
    fn beginnings(&self) -> Vec<(String, Named)> {
        let root = "pom.xml".to_owned();
        let all = build_files(self.commit);
        if all.is_empty() || all.contains(&root) {
            return vec![(root, Named::Plainly)];
        }
        all.into_iter().map(|path| (path, Named::Perhaps)).collect()
    }

    fn load_parents(&mut self, path: &str) -> Result<(), SourceError> {
        let mut path = path.to_owned();
        for _ in 0..MAX_PARENTS {
            let Some(above) = self.get(&path).and_then(|pom| self.parent_path(&path, pom)) else { break };
            if tree::find(self.commit.entries, &above).is_none() {
                break;
            }
            self.load(&above, Named::Perhaps)?;
            path = above;
        }
        Ok(())
    }
}

/// The paths of all `pom.xml` of the commit.
pub(crate) fn build_files(commit: &Commit<'_>) -> Vec<String> {
    let files = commit.entries.iter().filter(|entry| {
        matches!(entry.kind, Kind::File { .. }) && (entry.path == b"pom.xml" || entry.path.ends_with(b"/pom.xml"))
    });
    files.filter_map(|entry| String::from_utf8(entry.path.clone()).ok()).collect()
}

/// The build file that a `<module>` of the build file at `path` means; none if it leads out of the tree.
fn module_path(entries: &[Entry], path: &str, module: &str) -> Option<String> {
    let joined = join(path, &module.replace('\\', "/"))?;
    let is_file = tree::find(entries, &joined).is_some_and(|entry| matches!(entry.kind, Kind::File { .. }));
    match (is_file, joined.is_empty()) {
        (true, _) => Some(joined),
        (false, true) => Some("pom.xml".to_owned()),
        (false, false) => Some(format!("{joined}/pom.xml")),
    }
}

/// A path relative to the folder of the file at `base`, in its shortest form.
pub(crate) fn join(base: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = base.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::join;

    #[test]
    fn module_paths_stay_in_the_tree() {
        assert_eq!(join("pom.xml", "core").as_deref(), Some("core"));
        assert_eq!(join("a/pom.xml", "../b/./c").as_deref(), Some("b/c"));
        assert_eq!(join("a/pom.xml", "..").as_deref(), Some(""));
        assert_eq!(join("pom.xml", "../other"), None);
    }
}
