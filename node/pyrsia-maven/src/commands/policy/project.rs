//! What a build of a Maven project needs, as far as POMs tell without Maven.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use maven_layout::bindings::{self, Bindings};
use maven_layout::pom::{ChosenProfiles, Lineage};
use maven_layout::{ArtifactRef, Coordinates, Extension, Pom};
use pyrsia_fetch::{FindConfig, find_maven};

use super::walk::{Brought, Key, Managed, Walk, Wanted, key};
use crate::client::Client;

/// Modules of a project.
const MAX_MODULES: usize = 1_000;
/// Largest POM of a project, in bytes.
const MAX_POM_BYTES: u64 = 8 << 20;

/// What can never be known from POMs alone.
const NEVER: [&str; 2] = [
    "plugins of other goals than the build's own, such as clean and site, and those that the command line names",
    "files that plugins fetch while they run, such as the test provider of surefire",
];

/// What a build needs.
pub struct Needed {
    /// The files.
    pub artifacts: BTreeSet<ArtifactRef>,
    /// What was not found out, in words.
    pub unknown: Vec<String>,
}

/// Reads the project's POMs here and those of everything else through the node.
pub async fn needed(folder: &Path, profiles: &[String], client: &Arc<Client>) -> anyhow::Result<Needed> {
    let mut unknown = BTreeSet::new();
    let profiles = ChosenProfiles::new(profiles.iter().map(String::as_str));
    let own = modules(folder, &profiles, &mut unknown)?;
    let modules: Vec<Coordinates> = own.keys().cloned().collect();
    let brought = tokio::task::spawn_blocking(brought).await??;
    unknown.insert(format!("whether another Maven builds it: plugins of its packaging are those of {}", brought.of));
    let mut walk = Walk::new(Arc::clone(client), own, brought, profiles);
    let mut artifacts = BTreeSet::new();
    for module in &modules {
        let Some(effective) = walk.effective(module).await? else { continue };
        let direct = effective.dependencies.iter().filter(|wanted| wanted.scope != "system").cloned();
        closure(&mut walk, direct.collect(), &effective.managed, &mut artifacts).await?;
        for (plugin, own) in &effective.plugins {
            let file = ArtifactRef { coordinates: plugin.clone(), classifier: None, extension: Extension::jar() };
            let main = Wanted { file, scope: "compile".to_owned(), optional: false, exclusions: Vec::new() };
            let wanted: Vec<_> = std::iter::once(main).chain(own.iter().cloned()).collect();
            // A plugin's dependencies are resolved apart from the project's, with the versions that its own POM prescribes.
            let managed = match walk.effective(plugin).await? {
                Some(of_plugin) => of_plugin.managed.clone(),
                None => Managed::new(),
            };
            closure(&mut walk, wanted, &managed, &mut artifacts).await?;
        }
    }
    unknown.extend(
        walk.profiles_of_nobody().map(|id| format!("what the profile {id} adds: no POM of the project has it")),
    );
    artifacts.extend(walk.poms());
    artifacts.retain(|artifact| !walk.is_own(&artifact.coordinates));
    unknown.extend(std::mem::take(&mut walk.unknown));
    let unknown = NEVER.into_iter().map(str::to_owned).chain(unknown).collect();
    Ok(Needed { artifacts, unknown })
}

/// What the Maven brings that this user would run: its own word, or the documented one where it has none.
fn brought() -> anyhow::Result<Brought> {
    let installed = find_maven(&FindConfig::from_variables(|name| std::env::var_os(name)))?;
    let documented = || (Bindings::documented(), format!("Maven {}", bindings::DOCUMENTED));
    let Some(installed) = installed else {
        let (bindings, of) = documented();
        return Ok(Brought { bindings, super_pom: None, of: format!("{of}, since there is none here") });
    };
    let name = format!("Maven {} in {}", installed.version.as_deref().unwrap_or("?"), installed.home.display());
    let (bindings, of) = match installed.bindings {
        Some(bindings) => (bindings, name),
        None => {
            let (bindings, of) = documented();
            (bindings, format!("{of}, since {name} does not tell its own"))
        }
    };
    Ok(Brought { bindings, super_pom: installed.super_pom.map(Arc::new), of })
}

/// The files that these need, directly and through others: of two versions of one file the nearer one, as
/// [Maven chooses](https://maven.apache.org/guides/introduction/introduction-to-dependency-mechanism.html); of the other one
/// the POM alone, which Maven reads all the same.
async fn closure(
    walk: &mut Walk,
    direct: Vec<Wanted>,
    managed: &Managed,
    artifacts: &mut BTreeSet<ArtifactRef>,
) -> anyhow::Result<()> {
    let mut chosen: BTreeSet<Key> = BTreeSet::new();
    let mut level: VecDeque<Wanted> = direct.into();
    while !level.is_empty() {
        walk.ahead(level.iter().map(|wanted| wanted.file.coordinates.clone())).await?;
        let mut next = VecDeque::new();
        for wanted in level {
            let is_new = chosen.insert(key(&wanted.file));
            let Some(effective) = walk.effective(&wanted.file.coordinates).await? else {
                artifacts.extend(is_new.then_some(wanted.file));
                continue;
            };
            if !is_new {
                continue;
            }
            if let Some(moved) = effective.relocation.clone().filter(|moved| *moved != wanted.file.coordinates) {
                let file = ArtifactRef { coordinates: moved, ..wanted.file };
                next.push_back(Wanted { file, ..wanted });
                continue;
            }
            for further in &effective.dependencies {
                let passed_on = matches!(further.scope.as_str(), "compile" | "runtime") && !further.optional;
                if passed_on && !is_excluded(&wanted.exclusions, &further.file) {
                    let mut further = further.clone();
                    // Whoever begins prescribes versions for all.
                    if let Some(version) = managed.get(&key(&further.file)).and_then(|version| version.parse().ok()) {
                        further.file.coordinates.version = version;
                    }
                    further.exclusions.extend(wanted.exclusions.iter().cloned());
                    next.push_back(further);
                }
            }
            artifacts.insert(wanted.file);
        }
        level = next;
    }
    Ok(())
}

fn is_excluded(exclusions: &[(String, String)], file: &ArtifactRef) -> bool {
    let matches = |pattern: &str, name: &str| pattern == "*" || pattern == name;
    let Coordinates { group, artifact, .. } = &file.coordinates;
    exclusions.iter().any(|(of, name)| matches(of, group.as_str()) && matches(name, artifact.as_str()))
}

/// The POMs of a project and of its modules, by what they declare.
fn modules(
    folder: &Path,
    profiles: &ChosenProfiles,
    unknown: &mut BTreeSet<String>,
) -> anyhow::Result<BTreeMap<Coordinates, Arc<Pom>>> {
    let mut poms: BTreeMap<PathBuf, Arc<Pom>> = BTreeMap::new();
    let mut open = vec![folder.join("pom.xml")];
    while let Some(file) = open.pop() {
        let place = std::fs::canonicalize(&file).with_context(|| format!("cannot read {}", file.display()))?;
        if poms.contains_key(&place) {
            continue;
        }
        ensure!(poms.len() < MAX_MODULES, "{} has more than {MAX_MODULES} modules", folder.display());
        let size = std::fs::metadata(&place).with_context(|| format!("cannot read {}", file.display()))?.len();
        ensure!(size <= MAX_POM_BYTES, "{} has {size} bytes: that is no POM", file.display());
        let bytes = std::fs::read(&place).with_context(|| format!("cannot read {}", file.display()))?;
        let pom = Pom::parse(&bytes).with_context(|| format!("{} is no POM", file.display()))?;
        let at = place.parent().unwrap_or(Path::new("/"));
        for module in &pom.with_profiles(profiles).modules {
            // A module is a folder, or the POM itself.
            let module = at.join(module);
            open.push(if module.is_dir() { module.join("pom.xml") } else { module });
        }
        let active: Vec<_> = pom.active_profiles(profiles).collect();
        for profile in pom.profiles.iter().filter(|profile| !active.contains(profile) && !profiles.is_off(profile)) {
            let id = profile.id.as_deref().unwrap_or("without a name");
            unknown.insert(format!("what the profile {id} of {} adds, if it is active", file.display()));
        }
        poms.insert(place, Arc::new(pom));
    }
    let mut own = BTreeMap::new();
    for (file, pom) in &poms {
        // Parts such as ${revision} stand in the POM itself or in a parent that lies beside it.
        let chain = parents(file, pom, &poms);
        let chain: Vec<_> = chain.iter().map(|pom| pom.with_profiles(profiles)).collect();
        let chain: Vec<&Pom> = chain.iter().map(AsRef::as_ref).collect();
        match Lineage::new(&chain).coordinates() {
            Some(coordinates) => {
                own.insert(coordinates, Arc::clone(pom));
            }
            None => {
                unknown.insert(format!("what {} needs: its coordinates cannot be told", file.display()));
            }
        }
    }
    ensure!(!own.is_empty(), "{} holds no POM whose coordinates can be told", folder.display());
    Ok(own)
}

/// A POM of the project with its parents, as far as they lie in the project.
fn parents<'a>(file: &Path, pom: &'a Arc<Pom>, poms: &'a BTreeMap<PathBuf, Arc<Pom>>) -> Vec<&'a Arc<Pom>> {
    let (mut chain, mut at) = (vec![pom], file.to_owned());
    while let Some(parent) = chain.last().and_then(|last| last.parent.as_ref())
        && chain.len() <= poms.len()
    {
        let relative =
            at.parent().unwrap_or(Path::new("/")).join(parent.relative_path.as_deref().unwrap_or("../pom.xml"));
        let relative = if relative.is_dir() { relative.join("pom.xml") } else { relative };
        let found = std::fs::canonicalize(relative).ok().and_then(|place| Some((poms.get(&place)?, place)));
        let Some((found, place)) = found else { break };
        chain.push(found);
        at = place;
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_found_by_what_they_declare() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let file = folder.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        write(
            "pom.xml",
            "<project><groupId>org.acme</groupId><artifactId>all</artifactId><version>${revision}</version>\
             <properties><revision>1.0</revision></properties><packaging>pom</packaging>\
             <modules><module>a</module><module>b/pom.xml</module></modules></project>",
        );
        let child = |name: &str, more: &str| {
            format!(
                "<project><parent><groupId>org.acme</groupId><artifactId>all</artifactId><version>${{revision}}</version>\
                 </parent><artifactId>{name}</artifactId>{more}</project>"
            )
        };
        write(
            "a/pom.xml",
            &child("a", "<profiles><profile><id>ci</id><modules><module>../c</module></modules></profile></profiles>"),
        );
        write("b/pom.xml", &child("b", "<modules><module>../a</module></modules>"));
        let mut unknown = BTreeSet::new();
        let none = ChosenProfiles::default();
        let own = modules(folder.path(), &none, &mut unknown).unwrap();
        let names: Vec<_> = own.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["org.acme:a:1.0", "org.acme:all:1.0", "org.acme:b:1.0"]);
        assert!(unknown.iter().any(|text| text.contains("profile ci")), "{unknown:?}");
        write("c/pom.xml", &child("c", ""));
        let mut unknown = BTreeSet::new();
        let own = modules(folder.path(), &ChosenProfiles::new(["ci"]), &mut unknown).unwrap();
        assert!(own.contains_key(&"org.acme:c:1.0".parse::<Coordinates>().unwrap()), "{own:?}");
        assert!(unknown.is_empty(), "what is active is known: {unknown:?}");
        std::fs::remove_file(folder.path().join("a/pom.xml")).unwrap();
        assert!(modules(folder.path(), &none, &mut unknown).is_err(), "a module that is not there is no project");
    }

    #[test]
    fn exclusions_take_stars() {
        let file: ArtifactRef = "org.acme:lib:1.0".parse().unwrap();
        let excluded = |of: &str, name: &str| is_excluded(&[(of.to_owned(), name.to_owned())], &file);
        assert!(excluded("org.acme", "lib") && excluded("*", "*") && excluded("org.acme", "*"));
        assert!(!excluded("org.acme", "other") && !excluded("org", "lib"));
    }
}
