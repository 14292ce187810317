//! POMs, read through the node: what each says with what its parents and the bills of materials say that it imports.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use maven_layout::bindings::Bindings;
use maven_layout::pom::{BuildPlugin, ChosenProfiles, Dependency, Lineage};
use maven_layout::{ArtifactRef, Coordinates, Extension, Pom};
use tokio::task::JoinSet;

use crate::client::{CallError, Client};

/// POMs that are read for one project.
const MAX_POMS: usize = 10_000;
/// Parents of a POM.
const MAX_PARENTS: usize = 32;
/// Bills of materials that import each other.
const MAX_IMPORTS: usize = 8;
/// POMs that are asked for at a time.
const AT_A_TIME: usize = 8;

/// A file of a dependency, without its version.
pub type Key = (String, String, Option<String>, String);

/// The versions that a POM prescribes, by file.
pub type Managed = BTreeMap<Key, String>;

/// A dependency whose file is known.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The file.
    pub file: ArtifactRef,
    /// `compile`, `runtime`, `provided`, `test`, `system`.
    pub scope: String,
    /// Only those who ask for it get it.
    pub optional: bool,
    /// Groups and artifacts that are not wanted with it; `*` for any.
    pub exclusions: Vec<(String, String)>,
}

/// A POM with what it inherits and imports.
#[derive(Debug, Default)]
pub struct Effective {
    /// Its dependencies.
    pub dependencies: Vec<Wanted>,
    /// The versions that it prescribes.
    pub managed: Managed,
    /// Its plugins and extensions, with their own dependencies.
    pub plugins: Vec<(Coordinates, Vec<Wanted>)>,
    /// Where its artifact has moved.
    pub relocation: Option<Coordinates>,
}

/// What every build has from the Maven that does it.
#[derive(Debug)]
pub struct Brought {
    /// Plugins by packaging.
    pub bindings: Bindings,
    /// The parent of all parents.
    pub super_pom: Option<Arc<Pom>>,
    /// Which Maven it is, in words.
    pub of: String,
}

/// Reads POMs and remembers which, and what it could not find out.
pub struct Walk {
    client: Arc<Client>,
    /// The project's own POMs.
    own: BTreeMap<Coordinates, Arc<Pom>>,
    brought: Brought,
    /// The profiles that are active in the project's POMs and their parents, and those of them that some POM has.
    profiles: ChosenProfiles,
    found: BTreeSet<String>,
    read: BTreeMap<Coordinates, Option<Arc<Pom>>>,
    effective: BTreeMap<Coordinates, Arc<Effective>>,
    /// What was not found out, in words.
    pub unknown: BTreeSet<String>,
}

/// What became of asking for a POM: it, or in words why not.
type Asked = Result<Arc<Pom>, String>;

impl Walk {
    /// For a project with these POMs, which are not asked for.
    pub fn new(
        client: Arc<Client>,
        own: BTreeMap<Coordinates, Arc<Pom>>,
        brought: Brought,
        profiles: ChosenProfiles,
    ) -> Self {
        let (found, read, effective, unknown) = Default::default();
        Self { client, own, brought, profiles, found, read, effective, unknown }
    }

    /// The profiles that are to be active and that no POM of the project or of its parents has.
    pub fn profiles_of_nobody(&self) -> impl Iterator<Item = &str> {
        self.profiles.names().filter(|name| !self.found.contains(*name))
    }

    /// Whether a release is the project's own.
    pub fn is_own(&self, coordinates: &Coordinates) -> bool {
        self.own.contains_key(coordinates)
    }

    /// The POMs that were asked for.
    pub fn poms(&self) -> impl Iterator<Item = ArtifactRef> {
        let pom = |coordinates: &Coordinates| ArtifactRef {
            coordinates: coordinates.clone(),
            classifier: None,
            extension: Extension::pom(),
        };
        self.read.keys().map(pom)
    }

    /// Asks for several POMs at a time.
    pub async fn ahead(&mut self, wanted: impl IntoIterator<Item = Coordinates>) -> anyhow::Result<()> {
        let wanted: BTreeSet<_> = wanted.into_iter().collect();
        let mut wanted = wanted.into_iter().filter(|pom| !self.own.contains_key(pom) && !self.read.contains_key(pom));
        let mut asking = JoinSet::new();
        let mut answers = Vec::new();
        loop {
            while asking.len() < AT_A_TIME
                && let Some(coordinates) = wanted.next()
            {
                let client = Arc::clone(&self.client);
                asking.spawn(async move { (ask(&client, &coordinates).await, coordinates) });
            }
            match asking.join_next().await {
                Some(answer) => answers.push(answer?),
                None => break,
            }
        }
        for (asked, coordinates) in answers {
            self.keep(&coordinates, asked?);
        }
        Ok(())
    }

    /// A POM; none where it cannot be had, which is noted.
    pub async fn pom(&mut self, coordinates: &Coordinates) -> anyhow::Result<Option<Arc<Pom>>> {
        if let Some(own) = self.own.get(coordinates) {
            return Ok(Some(Arc::clone(own)));
        }
        if !self.read.contains_key(coordinates) {
            let asked = ask(&self.client, coordinates).await?;
            self.keep(coordinates, asked);
        }
        Ok(self.read.get(coordinates).cloned().flatten())
    }

    fn keep(&mut self, coordinates: &Coordinates, asked: Asked) {
        if self.read.len() >= MAX_POMS {
            self.unknown.insert(format!("what more than {MAX_POMS} POMs say: there the search ends"));
            return;
        }
        let pom = match asked {
            Ok(pom) => Some(pom),
            Err(why) => {
                self.unknown.insert(format!("what {coordinates} needs: its POM {why}"));
                None
            }
        };
        self.read.insert(coordinates.clone(), pom);
    }

    /// A release's POM with its parents and imports; none where it cannot be had.
    pub async fn effective(&mut self, coordinates: &Coordinates) -> anyhow::Result<Option<Arc<Effective>>> {
        self.effective_at(coordinates, 0).await
    }

    async fn effective_at(
        &mut self,
        coordinates: &Coordinates,
        depth: usize,
    ) -> anyhow::Result<Option<Arc<Effective>>> {
        if let Some(known) = self.effective.get(coordinates) {
            return Ok(Some(Arc::clone(known)));
        }
        let Some(pom) = self.pom(coordinates).await? else { return Ok(None) };
        let mut chain = self.chain(coordinates, pom).await?;
        if self.is_own(coordinates) {
            let ids = chain.iter().flat_map(|pom| &pom.profiles).filter_map(|profile| profile.id.clone());
            self.found.extend(ids);
            // Profiles of a dependency are never named by who needs it.
            chain = chain.iter().map(|pom| Arc::new(pom.with_profiles(&self.profiles).into_owned())).collect();
            chain.extend(self.brought.super_pom.clone());
        }
        let poms: Vec<&Pom> = chain.iter().map(Arc::as_ref).collect();
        let lineage = Lineage::new(&poms);
        let mut managed = Managed::new();
        for dependency in poms.iter().flat_map(|pom| &pom.managed_dependencies) {
            if let Some(file) = lineage.file(dependency).filter(|_| !dependency.is_import()) {
                managed.entry(key(&file)).or_insert_with(|| file.coordinates.version.to_string());
            }
        }
        let imports: Vec<Coordinates> = lineage.imports().collect();
        if depth < MAX_IMPORTS {
            for import in imports {
                if let Some(imported) = Box::pin(self.effective_at(&import, depth + 1)).await? {
                    for (file, version) in &imported.managed {
                        managed.entry(file.clone()).or_insert_with(|| version.clone());
                    }
                }
            }
        } else if !imports.is_empty() {
            self.unknown.insert(format!("what {coordinates} imports: {MAX_IMPORTS} import each other"));
        }
        let mut made = Effective::default();
        for dependency in lineage.dependencies() {
            made.dependencies.extend(self.wanted(coordinates, &lineage, &managed, dependency));
        }
        let relocation = lineage.relocation(coordinates);
        made.relocation = relocation.unwrap_or_else(|error| {
            self.unknown.insert(format!("where {coordinates} has moved: {error}"));
            None
        });
        if self.is_own(coordinates) {
            made.plugins = self.plugins(coordinates, &lineage, &managed);
        }
        made.managed = managed;
        let made = Arc::new(made);
        self.effective.insert(coordinates.clone(), Arc::clone(&made));
        Ok(Some(made))
    }

    /// The POM and its parents, the nearest first.
    async fn chain(&mut self, of: &Coordinates, pom: Arc<Pom>) -> anyhow::Result<Vec<Arc<Pom>>> {
        let mut chain = vec![pom];
        while let Some(last) = chain.last()
            && chain.len() <= MAX_PARENTS
        {
            let parent = match last.parent_coordinates() {
                Ok(Some(parent)) => parent,
                Ok(None) => break,
                Err(error) => {
                    self.unknown.insert(format!("the parents of {of}: {error}"));
                    break;
                }
            };
            match self.pom(&parent).await? {
                Some(parent) => chain.push(parent),
                None => break,
            }
        }
        Ok(chain)
    }

    fn wanted(
        &mut self,
        of: &Coordinates,
        lineage: &Lineage<'_>,
        managed: &Managed,
        dependency: &Dependency,
    ) -> Option<Wanted> {
        let text = |text: &Option<String>| text.as_deref().and_then(|text| lineage.resolve(text)).unwrap_or_default();
        let file = lineage.file(dependency).or_else(|| {
            // A version that a bill of materials has.
            let with = |version: &str| Dependency { version: Some(version.to_owned()), ..dependency.clone() };
            let (group, artifact) = (text(&dependency.group_id), text(&dependency.artifact_id));
            let any = lineage.file(&with("0"))?;
            let (_, _, classifier, extension) = key(&any);
            let version = managed.get(&(group, artifact, classifier, extension))?;
            lineage.file(&with(version)).filter(|_| dependency.version.is_none())
        });
        let Some(file) = file else {
            let version = dependency.version.as_deref().unwrap_or("a version that no POM states");
            let (group, artifact) = (text(&dependency.group_id), text(&dependency.artifact_id));
            self.unknown.insert(format!("which file {of} means by {group}:{artifact} of {version}"));
            return None;
        };
        let exclusions = dependency.exclusions.iter();
        Some(Wanted {
            file,
            scope: dependency.scope.as_deref().and_then(|scope| lineage.resolve(scope)).unwrap_or("compile".to_owned()),
            optional: text(&dependency.optional) == "true",
            exclusions: exclusions.map(|excluded| (text(&excluded.group_id), text(&excluded.artifact_id))).collect(),
        })
    }

    fn plugins(
        &mut self,
        of: &Coordinates,
        lineage: &Lineage<'_>,
        managed: &Managed,
    ) -> Vec<(Coordinates, Vec<Wanted>)> {
        let mut found: BTreeMap<(String, Option<String>), (Coordinates, Vec<Wanted>)> = BTreeMap::new();
        let bound = self.bound(of, lineage);
        let by_packaging: Vec<BuildPlugin> = bound
            .iter()
            .map(|plugin| BuildPlugin {
                group_id: Some(plugin.group.to_string()),
                artifact_id: Some(plugin.artifact.to_string()),
                ..BuildPlugin::default()
            })
            .collect();
        let mut plugins: Vec<&BuildPlugin> = lineage.poms().flat_map(|pom| &pom.build.plugins).collect();
        plugins.extend(&by_packaging);
        for plugin in plugins {
            let name = (plugin.effective_group_id().to_owned(), plugin.artifact_id.clone());
            if found.contains_key(&name) {
                continue;
            }
            let is_bound = |bound: &&Coordinates| {
                (bound.group.as_str(), Some(bound.artifact.as_str())) == (name.0.as_str(), name.1.as_deref())
            };
            // What no POM states the Maven does that builds it.
            match lineage.plugin(plugin).or_else(|| bound.iter().find(is_bound).cloned()) {
                Some(coordinates) => {
                    let managed_here = lineage.poms().flat_map(|pom| &pom.build.managed_plugins);
                    let same = |other: &&BuildPlugin| {
                        (other.effective_group_id(), &other.artifact_id) == (name.0.as_str(), &name.1)
                    };
                    let own = plugin.dependencies.iter().chain(managed_here.filter(same).flat_map(|p| &p.dependencies));
                    let own = own.filter_map(|dependency| self.wanted(of, lineage, managed, dependency)).collect();
                    found.insert(name, (coordinates, own));
                }
                None => {
                    let artifact = plugin.artifact_id.as_deref().unwrap_or_default();
                    self.unknown.insert(format!("{}:{artifact} of {of}: its POMs state no version", name.0));
                }
            }
        }
        for extension in lineage.poms().flat_map(|pom| &pom.build.extensions) {
            let as_plugin = BuildPlugin {
                group_id: extension.group_id.clone(),
                artifact_id: extension.artifact_id.clone(),
                version: extension.version.clone(),
                ..BuildPlugin::default()
            };
            if let Some(coordinates) = lineage.plugin(&as_plugin) {
                let name = (coordinates.group.to_string(), extension.artifact_id.clone());
                found.entry(name).or_insert((coordinates, Vec::new()));
            }
        }
        found.into_values().collect()
    }
}

impl Walk {
    /// The plugins that a project has by its packaging.
    fn bound(&mut self, of: &Coordinates, lineage: &Lineage<'_>) -> Vec<Coordinates> {
        let packaging = lineage.resolve("${project.packaging}").unwrap_or_default();
        match self.brought.bindings.of(&packaging) {
            Some(bound) => bound.iter().cloned().collect(),
            None => {
                self.unknown.insert(format!("which plugins {of} has by its packaging {packaging}"));
                Vec::new()
            }
        }
    }
}

/// What a file is, apart from its version.
pub fn key(file: &ArtifactRef) -> Key {
    let Coordinates { group, artifact, .. } = &file.coordinates;
    let classifier = file.classifier.as_ref().map(ToString::to_string);
    (group.to_string(), artifact.to_string(), classifier, file.extension.to_string())
}

async fn ask(client: &Client, coordinates: &Coordinates) -> anyhow::Result<Asked> {
    let path = coordinates.pom_path();
    let answer = client.find_bytes(&format!("/maven2/{}", path.to_url_path())).await;
    Ok(match answer {
        Ok(Some(bytes)) => Pom::parse(&bytes).map(Arc::new).map_err(|error| format!("cannot be read: {error}")),
        Ok(None) => Err("does not exist".to_owned()),
        Err(CallError::Refused(refused)) => Err(format!("cannot be had: {}", refused.detail)),
        Err(error) => return Err(error.into()),
    })
}
