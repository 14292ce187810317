//! What the build files of a commit declare.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use build_spec::SourceError;
use git2::Repository;
use maven_layout::{CanonicalRepository, Coordinates, Pom, PomError, pom, scm};

use crate::source::Budget;
use crate::source::tree::{self, Entry, Kind};

/// Build files that are read.
const MAX_POMS: usize = 2_000;
/// Levels of inheritance that are followed inside the tree.
const MAX_PARENTS: usize = 10;

/// What was found.
pub(crate) struct Reactor {
    /// Every release with literal coordinates, sorted.
    pub(crate) releases: Vec<Coordinates>,
    /// The address that the first wanted release gives, its own or inherited inside the tree.
    pub(crate) declared_scm: Option<CanonicalRepository>,
    /// Sentences for people.
    pub(crate) evidence: Vec<String>,
}

/// Reads `pom.xml` and the modules that it names, and checks that each wanted release is declared.
///
/// Literal coordinates must be equal. Where one of them is computed (`${revision}`) the artifact id decides for now,
/// and the build's own POM has the last word: outputs are taken from the folder of the wanted coordinates alone.
pub(crate) fn read(
    entries: &[Entry],
    repository: &Repository,
    commit: &str,
    wanted: &[Coordinates],
    budget: &Budget,
) -> Result<Reactor, SourceError> {
    let mut poms = walk(entries, repository, commit, budget)?;
    let mut evidence = Vec::new();
    for coordinates in wanted {
        if declares(&poms, coordinates).is_none() {
            // Modules that only a profile names are not in the reactor that the root declares.
            add_outsiders(entries, repository, coordinates, budget, &mut poms)?;
        }
        match declares(&poms, coordinates) {
            Some((path, Match::Literal)) => {
                evidence.push(format!("{path} at commit {commit} declares exactly {coordinates}"));
            }
            Some((path, Match::Computed(what))) => evidence.push(format!(
                "{path} at commit {commit} computes its {what}; the POM that the build installs must say {coordinates}"
            )),
            None => {
                return Err(SourceError::Coordinates {
                    commit: commit.to_owned(),
                    declared: declared_text(&poms, coordinates),
                    wanted: coordinates.to_string(),
                });
            }
        }
    }
    let releases: BTreeSet<Coordinates> =
        poms.values().filter_map(|pom| pom.effective_coordinates().ok()).chain(wanted.iter().cloned()).collect();
    let declared_scm =
        wanted.first().and_then(|coordinates| declares(&poms, coordinates)).and_then(|(path, _)| scm_of(&poms, path));
    Ok(Reactor { releases: releases.into_iter().collect(), declared_scm, evidence })
}

enum Match {
    Literal,
    Computed(&'static str),
}

type Poms = BTreeMap<String, Pom>;

/// An error if the work must stop.
fn on_time(budget: &Budget) -> Result<(), SourceError> {
    budget.exhausted().map_or(Ok(()), |reason| Err(SourceError::Local(reason.to_owned())))
}

fn walk(entries: &[Entry], repository: &Repository, commit: &str, budget: &Budget) -> Result<Poms, SourceError> {
    let unusable = |file: &str, problem: String| SourceError::BuildFile {
        commit: commit.to_owned(),
        file: file.to_owned(),
        problem,
    };
    let mut poms = Poms::new();
    let mut queue = VecDeque::from(["pom.xml".to_owned()]);
    // A module is queued once, however often and by whomever it is named: the queue is as bounded as what is read.
    let mut queued = BTreeSet::from(["pom.xml".to_owned()]);
    while let Some(path) = queue.pop_front() {
        on_time(budget)?;
        let Some(entry) = tree::find(entries, &path) else {
            let problem =
                if path == "pom.xml" { "there is none in the root" } else { "a module names it, but it is missing" };
            return Err(unusable(&path, problem.to_owned()));
        };
        let bytes = tree::content(repository, entry, commit)?;
        let pom = Pom::parse(&bytes).map_err(|error| unusable(&path, error.to_string()))?;
        for module in pom.modules.iter().filter(|module| !pom::is_computed(module)) {
            let Some(file) = module_path(entries, &path, module) else { continue };
            if !queued.insert(file.clone()) {
                continue;
            }
            if queued.len() > MAX_POMS {
                return Err(unusable(&path, format!("with it there are more than {MAX_POMS} modules")));
            }
            queue.push_back(file);
        }
        poms.insert(path, pom);
    }
    Ok(poms)
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
fn join(base: &str, relative: &str) -> Option<String> {
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

fn declares<'a>(poms: &'a Poms, wanted: &Coordinates) -> Option<(&'a str, Match)> {
    let mut computed = None;
    for (path, pom) in poms {
        match pom.effective_coordinates() {
            Ok(declared) if declared == *wanted => return Some((path, Match::Literal)),
            Err(PomError::Computed { what, .. }) if agrees_where_literal(pom, wanted) => {
                computed = computed.or(Some((path.as_str(), Match::Computed(what))));
            }
            _ => {}
        }
    }
    computed
}

fn agrees_where_literal(pom: &Pom, wanted: &Coordinates) -> bool {
    let agrees = |value: Option<&str>, wanted: &str| value.is_some_and(|v| pom::is_computed(v) || v == wanted);
    let artifact = pom.artifact_id.as_deref().is_some_and(|artifact| artifact == wanted.artifact.as_str());
    artifact
        && agrees(pom.effective_group_id(), wanted.group.as_str())
        && agrees(pom.effective_version(), wanted.version.as_str())
}

fn add_outsiders(
    entries: &[Entry],
    repository: &Repository,
    wanted: &Coordinates,
    budget: &Budget,
    poms: &mut Poms,
) -> Result<(), SourceError> {
    let candidates =
        entries.iter().filter(|entry| matches!(entry.kind, Kind::File { .. }) && entry.path.ends_with(b"/pom.xml"));
    for entry in candidates.take(MAX_POMS) {
        on_time(budget)?;
        let Ok(path) = String::from_utf8(entry.path.clone()) else { continue };
        let Ok(bytes) = tree::content(repository, entry, "") else { continue };
        let Ok(pom) = Pom::parse(&bytes) else { continue };
        if pom.effective_coordinates().is_ok_and(|declared| declared == *wanted) {
            poms.entry(path).or_insert(pom);
        }
    }
    Ok(())
}

/// What to show as declared: the release with the wanted artifact id, else the root.
fn declared_text(poms: &Poms, wanted: &Coordinates) -> String {
    let same = poms.values().find(|pom| pom.artifact_id.as_deref() == Some(wanted.artifact.as_str()));
    let Some(pom) = same.or_else(|| poms.get("pom.xml")) else { return "nothing".to_owned() };
    let shown = |value: Option<&str>| value.unwrap_or("?").chars().take(128).collect::<String>();
    format!(
        "{}:{}:{}",
        shown(pom.effective_group_id()),
        shown(pom.artifact_id.as_deref()),
        shown(pom.effective_version())
    )
}

/// The source address of a build file, own or inherited from a parent inside the tree.
fn scm_of(poms: &Poms, path: &str) -> Option<CanonicalRepository> {
    let mut path = path.to_owned();
    let mut suffixes: Vec<String> = Vec::new();
    for _ in 0..MAX_PARENTS {
        let pom = poms.get(&path)?;
        if let Some(addresses) = &pom.scm {
            let raw = [&addresses.connection, &addresses.developer_connection, &addresses.url];
            let inherited: Vec<&str> = suffixes.iter().rev().map(String::as_str).collect();
            return raw.into_iter().flatten().find_map(|raw| scm::canonical_with_modules(raw, &inherited).ok());
        }
        let parent = pom.parent.as_ref()?;
        let relative = parent.relative_path.as_deref().unwrap_or("../pom.xml");
        let above = join(&path, relative).filter(|_| !relative.is_empty())?;
        let above = if poms.contains_key(&above) { above } else { format!("{above}/pom.xml") };
        // Maven appends the artifact id of a module to the address that it inherits.
        suffixes.extend(pom.artifact_id.clone());
        path = above;
    }
    None
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
