//! What the build files of a commit declare.

use build_spec::{SourceError, Specification};
use maven_layout::{CanonicalRepository, Coordinates, Pom, PomError, pom, scm};

use crate::source::build_files::{Commit, MAX_PARENTS, MAX_POMS, Poms, Tree, build_files, join};
use crate::source::{gradle, siblings, tree};

/// What was found.
pub(crate) struct Reactor {
    /// Every release that the build may make, sorted: the wanted ones and their siblings.
    pub(crate) releases: Vec<Coordinates>,
    /// The address that the first wanted release gives, its own or inherited inside the tree.
    pub(crate) declared_scm: Option<CanonicalRepository>,
    /// Sentences for people.
    pub(crate) evidence: Vec<String>,
}

/// Reads `pom.xml` and the modules that it and its profiles name, and checks that each wanted release is declared.
///
/// Literal coordinates must be equal. Where one of them is computed (`${revision}`) the artifact id decides for now,
/// and the build's own POM has the last word: outputs are taken from the folder of the wanted coordinates alone.
pub(crate) fn read(
    commit: &Commit<'_>,
    wanted: &[Coordinates],
    specification: Option<&Specification>,
) -> Result<Reactor, SourceError> {
    let script = gradle::script(commit);
    if let Some(script) = script.filter(|_| build_files(commit).is_empty()) {
        return Ok(of_gradle(commit, script, wanted));
    }
    let mut tree = Tree::new(commit, specification)?;
    let reactor = tree.walk()?;
    let mut poms: Poms = reactor.iter().filter_map(|path| Some((path.clone(), tree.get(path)?.clone()))).collect();
    let mut evidence = Vec::new();
    for coordinates in wanted {
        if declares(&poms, coordinates).is_none() {
            // The build may be told to begin somewhere else than in the root.
            add_outsiders(commit, coordinates, &mut poms)?;
        }
        match declares(&poms, coordinates) {
            Some((path, Match::Literal)) => {
                evidence.push(format!("{path} at commit {} declares exactly {coordinates}", commit.id));
            }
            Some((path, Match::Computed(what))) => evidence.push(format!(
                "{path} at commit {} computes its {what}; the POM that the build installs must say {coordinates}",
                commit.id
            )),
            None => {
                return match script {
                    // Its `pom.xml` files are examples, or what tests read.
                    Some(script) => Ok(of_gradle(commit, script, wanted)),
                    None => Err(SourceError::Coordinates {
                        commit: commit.id.to_owned(),
                        declared: declared_text(&poms, coordinates),
                        wanted: coordinates.to_string(),
                    }),
                };
            }
        }
    }
    let releases = siblings::releases(&tree, &poms, wanted, &mut evidence)
        .map_err(|(file, problem)| commit.unusable(&file, problem))?;
    let declared_scm =
        wanted.first().and_then(|coordinates| declares(&poms, coordinates)).and_then(|(path, _)| scm_of(&poms, path));
    Ok(Reactor { releases: releases.into_iter().collect(), declared_scm, evidence })
}

/// A source whose script says nothing that could be read here.
fn of_gradle(commit: &Commit<'_>, script: &str, wanted: &[Coordinates]) -> Reactor {
    let computes = |coordinates: &Coordinates| {
        let id = commit.id;
        format!("{script} at commit {id} computes its coordinates; the POM that the build makes must say {coordinates}")
    };
    let mut releases = wanted.to_vec();
    releases.sort();
    releases.dedup();
    Reactor { releases, declared_scm: None, evidence: wanted.iter().map(computes).collect() }
}

enum Match {
    Literal,
    Computed(&'static str),
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

fn add_outsiders(commit: &Commit<'_>, wanted: &Coordinates, poms: &mut Poms) -> Result<(), SourceError> {
    for path in build_files(commit).into_iter().take(MAX_POMS) {
        commit.on_time()?;
        let Some(entry) = tree::find(commit.entries, &path) else { continue };
        let Ok(bytes) = tree::content(commit.modules, entry, commit.id) else { continue };
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
