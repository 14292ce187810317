//! What a client that got a POM asks for next: a guess from the documents alone, see [`Lineage`].

use std::collections::BTreeSet;
use std::sync::Arc;

use maven_layout::pom::{BuildPlugin, Dependency, Lineage, Pom, file_of_type};
use maven_layout::{ArtifactRef, Coordinates, Extension};

/// Plugins that Maven runs for a JAR without being told, up to `package`: the project states at most their versions
/// ([bindings](https://maven.apache.org/ref/3.9.11/maven-core/default-bindings.html)).
const BOUND: [&str; 4] =
    ["maven-resources-plugin", "maven-compiler-plugin", "maven-surefire-plugin", "maven-jar-plugin"];
/// Dependencies of one POM, and plugins of one build, that are followed; nobody has as many.
const FOLLOWED: usize = 400;
/// Exclusions that are kept on the way down; what is excluded beyond them is fetched in vain.
const EXCLUSIONS: usize = 200;
/// Of this group there is little that Maven does not have itself.
const MAVENS_OWN: &str = "org.apache.maven";

/// Why a POM was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A project that is built here has it as its parent, so its plugins run and its tests may.
    Parent,
    /// Something depends on it.
    Library,
}

/// Dependencies that are left out, as (group, artifact); `*` is any.
pub(super) type Excluded = Arc<BTreeSet<(String, String)>>;

/// A release that will be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Next {
    /// Its POM is asked for, and its file unless it has none.
    pub(super) of: Coordinates,
    /// The file.
    pub(super) file: Option<ArtifactRef>,
    /// What is left out of its dependencies.
    pub(super) excluded: Excluded,
    /// It is a plugin.
    pub(super) runs: bool,
}

/// A POM with its parents, and the bills of materials that these import, with theirs. The nearest first.
pub(super) struct Family<'a> {
    pub(super) own: Lineage<'a>,
    pub(super) imported: Vec<Lineage<'a>>,
}

impl Family<'_> {
    /// What will be asked for, in the order in which it is named.
    pub(super) fn expect(&self, pom: &Pom, role: Role, excluded: &Excluded) -> Vec<Next> {
        let mut next: Vec<Next> = self
            .own
            .dependencies()
            .filter(|dependency| is_followed(dependency, role))
            .filter_map(|dependency| self.dependency(dependency, excluded))
            .take(FOLLOWED)
            .collect();
        if role == Role::Parent {
            next.extend(self.plugins(pom));
        }
        next
    }

    fn dependency(&self, dependency: &Dependency, excluded: &Excluded) -> Option<Next> {
        let file = self.file(dependency)?;
        let of = &file.coordinates;
        if leaves_out(excluded, of.group.as_str(), of.artifact.as_str()) {
            return None;
        }
        let part = |part: &Option<String>| self.own.resolve(part.as_deref().unwrap_or("*"));
        let mut excluded = Arc::clone(excluded);
        for exclusion in dependency.exclusions.iter().take(EXCLUSIONS) {
            if let Some(pattern) = part(&exclusion.group_id).zip(part(&exclusion.artifact_id))
                && excluded.len() < EXCLUSIONS
            {
                Arc::make_mut(&mut excluded).insert(pattern);
            }
        }
        Some(Next { of: of.clone(), excluded, file: is_asked_for(of).then_some(file), runs: false })
    }

    fn file(&self, dependency: &Dependency) -> Option<ArtifactRef> {
        if let Some(file) = self.own.file(dependency) {
            return Some(file);
        }
        // The version may stand in a bill of materials, which knows nothing of what is written in this POM.
        let plain = |text: &Option<String>| self.own.resolve(text.as_deref()?);
        let plain = Dependency {
            group_id: plain(&dependency.group_id),
            artifact_id: plain(&dependency.artifact_id),
            version: None,
            kind: plain(&dependency.kind),
            classifier: plain(&dependency.classifier),
            ..Dependency::default()
        };
        if dependency.version.is_some() {
            return None;
        }
        self.imported.iter().find_map(|imported| imported.file(&plain))
    }

    /// The plugins of a build that inherits from this POM.
    fn plugins(&self, pom: &Pom) -> Vec<Next> {
        let bound = BOUND.map(|name| BuildPlugin { artifact_id: Some(name.to_owned()), ..BuildPlugin::default() });
        let plugins = pom.build.plugins.iter().chain(&bound);
        let releases = plugins.filter_map(|plugin| self.own.plugin(plugin)).take(FOLLOWED);
        releases
            .map(|of| Next { file: main_file(&of, "maven-plugin"), of, excluded: Excluded::default(), runs: true })
            .collect()
    }
}

/// The file of a release with this packaging; none for one that is a POM only.
pub(super) fn main_file(of: &Coordinates, packaging: &str) -> Option<ArtifactRef> {
    if packaging == "pom" {
        return None;
    }
    // A packaging that only an extension of the build knows (`bundle`, `eclipse-plugin`) makes a JAR in most cases.
    let known = matches!(packaging, "war" | "ear" | "rar" | "zip" | "aar");
    let (_, extension) = file_of_type(if known { packaging } else { "jar" })?;
    is_asked_for(of).then(|| file(of, extension))
}

fn file(of: &Coordinates, extension: Extension) -> ArtifactRef {
    ArtifactRef { coordinates: of.clone(), classifier: None, extension }
}

/// A plugin that depends on Maven gets the Maven that runs it: of these only the POMs are read.
fn is_asked_for(of: &Coordinates) -> bool {
    of.group.as_str() != MAVENS_OWN
}

fn is_followed(dependency: &Dependency, role: Role) -> bool {
    let scope = dependency.scope.as_deref().unwrap_or("compile");
    match role {
        Role::Parent => scope != "system",
        Role::Library => matches!(scope, "compile" | "runtime") && dependency.optional.as_deref() != Some("true"),
    }
}

fn leaves_out(excluded: &Excluded, group: &str, artifact: &str) -> bool {
    let is = |pattern: &str, name: &str| pattern == "*" || pattern == name;
    excluded
        .iter()
        .any(|(excluded_group, excluded_artifact)| is(excluded_group, group) && is(excluded_artifact, artifact))
}
