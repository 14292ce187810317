//! What the values of a POM mean once its parents are known.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use super::{BuildPlugin, Dependency, Pom, PomError, Relocation, file_of_type, is_computed};
use crate::coordinates::{ArtifactRef, Coordinates};

/// Expressions inside the values of expressions.
const DEPTH_LIMIT: usize = 32;
/// Expressions that one value may take to resolve.
const EXPRESSION_LIMIT: usize = 1_000;
/// Longest resolved value, in bytes.
const LENGTH_LIMIT: usize = 64 * 1024;
/// Longest resolved part of a managed dependency's name, in bytes; no valid part is longer.
const PART_LIMIT: usize = 256;
/// Expressions that the names of all managed dependencies together may take.
const INDEX_LIMIT: usize = 100_000;

/// A dependency's group, artifact, type and classifier.
type Key<'a> = [Option<Cow<'a, str>>; 4];

/// A POM, its parent, the parent of that, and so on, as far as the caller has them.
///
/// Values are inherited and `${...}` is resolved as
/// [Maven does](https://maven.apache.org/ref/3.9.11/maven-model-builder/), from these documents alone: no profiles, no
/// `-D` options, no environment. So a value may be another one in a build that has those; whatever holds an expression
/// that these documents do not define is `None`, never a guess. What is defined here is good enough to fetch files ahead,
/// and not to decide what a release is.
#[derive(Debug, Clone)]
pub struct Lineage<'a> {
    poms: &'a [&'a Pom],
    /// Versions of the `dependencyManagement`, of two the nearest.
    managed: BTreeMap<Key<'a>, &'a str>,
    /// Versions of plugins, by group and artifact.
    plugins: BTreeMap<(&'a str, Option<&'a str>), &'a str>,
}

impl<'a> Lineage<'a> {
    /// The POM first, then its parents, the nearest first. That they are each other's parents is not checked.
    pub fn new(poms: &'a [&'a Pom]) -> Self {
        let mut lineage = Self { poms, managed: BTreeMap::new(), plugins: BTreeMap::new() };
        let expressions = Cell::new(INDEX_LIMIT);
        for managed in poms.iter().flat_map(|pom| &pom.managed_dependencies).filter(|managed| !managed.is_import()) {
            if let Some(version) = &managed.version {
                let key = lineage.resolved_key(managed, &expressions);
                lineage.managed.entry(key).or_insert(version);
            }
        }
        let plugins = poms.iter().flat_map(|pom| &pom.build.managed_plugins);
        for plugin in plugins.chain(poms.iter().flat_map(|pom| &pom.build.plugins)) {
            if let Some(version) = &plugin.version {
                lineage.plugins.entry(plugin_key(plugin)).or_insert(version);
            }
        }
        lineage
    }

    /// The POM, then its parents, the nearest first.
    pub fn poms(&self) -> impl Iterator<Item = &'a Pom> + use<'a> {
        self.poms.iter().copied()
    }

    /// The text with every expression replaced; `None` if one is unknown, refers to itself, or takes too much.
    ///
    /// An expression is looked up first as a part of the project (`project.version`, `pom.version`), then among the
    /// properties of the POM and of its parents, then as a part of the project without a prefix (`version`). At most 32
    /// expressions deep, 1,000 of them, 64 KiB of text.
    pub fn resolve(&self, text: &str) -> Option<String> {
        let expressions = Cell::new(EXPRESSION_LIMIT);
        let mut out = String::new();
        let budget = Budget { expressions: &expressions, bytes: Cell::new(LENGTH_LIMIT) };
        self.expand(text, &mut out, 0, &budget).then_some(out)
    }

    /// Appends the resolved text. A circle of expressions ends at the limit of depth.
    fn expand(&self, text: &str, out: &mut String, depth: usize, budget: &Budget<'_>) -> bool {
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("${") {
            let Some((name, after)) = behind.split_once('}') else {
                return false;
            };
            let Some(value) = self.raw(name) else {
                return false;
            };
            if depth >= DEPTH_LIMIT || !budget.expression() || !budget.text(before, out) {
                return false;
            }
            if !self.expand(value, out, depth + 1, budget) {
                return false;
            }
            rest = after;
        }
        budget.text(rest, out)
    }

    /// The value of an expression, as written.
    fn raw(&self, name: &str) -> Option<&'a str> {
        let prefixed = name.strip_prefix("project.").or_else(|| name.strip_prefix("pom."));
        prefixed
            .and_then(|part| self.part(part))
            .or_else(|| self.poms.iter().find_map(|pom| pom.properties.get(name)).map(String::as_str))
            .or_else(|| self.part(name))
    }

    /// A part of the project itself.
    fn part(&self, name: &str) -> Option<&'a str> {
        let pom = self.poms.first()?;
        let parent = pom.parent.as_ref();
        match name {
            "groupId" => pom.effective_group_id(),
            "artifactId" => pom.artifact_id.as_deref(),
            "version" => pom.effective_version(),
            "packaging" => Some(pom.effective_packaging()),
            "name" => pom.name.as_deref(),
            "parent.groupId" => parent?.group_id.as_deref(),
            "parent.artifactId" => parent?.artifact_id.as_deref(),
            "parent.version" => parent?.version.as_deref(),
            _ => None,
        }
    }

    /// The coordinates of the POM, resolved; `None` if a part is missing, unknown or not valid.
    pub fn coordinates(&self) -> Option<Coordinates> {
        let pom = self.poms.first()?;
        self.assemble(pom.effective_group_id()?, pom.artifact_id.as_deref()?, pom.effective_version()?)
    }

    /// Where the POM says that its artifact has moved, resolved. Relocations are not inherited.
    ///
    /// # Errors
    /// As [`Relocation::target`]; [`PomError::Computed`] if a part cannot be resolved.
    pub fn relocation(&self, of: &Coordinates) -> Result<Option<Coordinates>, PomError> {
        let Some(relocation) = self.poms.first().and_then(|pom| pom.relocation.as_ref()) else {
            return Ok(None);
        };
        // What cannot be resolved stays as it is, so that the error shows it.
        let known =
            |value: &Option<String>| value.as_ref().map(|text| self.resolve(text).unwrap_or_else(|| text.clone()));
        let resolved = Relocation {
            group_id: known(&relocation.group_id),
            artifact_id: known(&relocation.artifact_id),
            version: known(&relocation.version),
            message: None,
        };
        resolved.target(of).map(Some)
    }

    /// The dependencies of the POM and those it inherits, its own first; of two of one file only the first.
    pub fn dependencies(&self) -> impl Iterator<Item = &'a Dependency> {
        let mut seen = BTreeSet::new();
        self.poms.iter().flat_map(|pom| &pom.dependencies).filter(move |dependency| seen.insert(key(dependency)))
    }

    /// The bills of materials that the `dependencyManagement` of the POM and of its parents imports.
    pub fn imports(&self) -> impl Iterator<Item = Coordinates> {
        let managed = self.poms.iter().flat_map(|pom| &pom.managed_dependencies);
        managed.filter(|dependency| dependency.is_import()).filter_map(|import| {
            self.assemble(import.group_id.as_deref()?, import.artifact_id.as_deref()?, import.version.as_deref()?)
        })
    }

    /// The file that a dependency of this POM means, with the version that it states, else that which the
    /// `dependencyManagement` of the POM or of a parent has. `None` if a part is unknown (a version that a bill of
    /// materials has), not valid, or a range.
    pub fn file(&self, dependency: &Dependency) -> Option<ArtifactRef> {
        let version = dependency.version.as_deref().or_else(|| self.managed_version(dependency))?;
        let coordinates =
            self.assemble(dependency.group_id.as_deref()?, dependency.artifact_id.as_deref()?, version)?;
        let (by_type, extension) = file_of_type(&self.resolve(dependency.effective_kind())?)?;
        let classifier = match &dependency.classifier {
            Some(text) => Some(self.resolve(text)?.parse().ok()?),
            None => by_type,
        };
        Some(ArtifactRef { coordinates, classifier, extension })
    }

    fn managed_version(&self, dependency: &Dependency) -> Option<&'a str> {
        self.managed.get(&self.resolved_key(dependency, &Cell::new(EXPRESSION_LIMIT))).copied()
    }

    /// The key with what can be resolved resolved.
    fn resolved_key<'d>(&self, dependency: &'d Dependency, expressions: &Cell<usize>) -> Key<'d> {
        key(dependency).map(|part| {
            let text = part?;
            if is_computed(text) {
                let mut out = String::new();
                let budget = Budget { expressions, bytes: Cell::new(PART_LIMIT) };
                if self.expand(text, &mut out, 0, &budget) {
                    return Some(Cow::Owned(out));
                }
            }
            Some(Cow::Borrowed(text))
        })
    }

    /// The plugin's release, with the version that it states, else that of the `pluginManagement` of the POM or of a
    /// parent, else that with which a parent uses it. `None` as for [`Lineage::file`]; also where Maven would take the
    /// version from its own defaults.
    pub fn plugin(&self, plugin: &BuildPlugin) -> Option<Coordinates> {
        let version = plugin.version.as_deref().or_else(|| self.plugins.get(&plugin_key(plugin)).copied())?;
        self.assemble(plugin.effective_group_id(), plugin.artifact_id.as_deref()?, version)
    }

    fn assemble(&self, group: &str, artifact: &str, version: &str) -> Option<Coordinates> {
        let part = |text: &str| if is_computed(text) { self.resolve(text) } else { Some(text.to_owned()) };
        Some(Coordinates {
            group: part(group)?.parse().ok()?,
            artifact: part(artifact)?.parse().ok()?,
            version: part(version)?.parse().ok()?,
        })
    }
}

/// What makes two dependencies one: [group, artifact, type and
/// classifier](https://maven.apache.org/guides/introduction/introduction-to-dependency-mechanism.html).
fn key(dependency: &Dependency) -> [Option<&str>; 4] {
    [
        dependency.group_id.as_deref(),
        dependency.artifact_id.as_deref(),
        Some(dependency.effective_kind()),
        dependency.classifier.as_deref(),
    ]
}

fn plugin_key(plugin: &BuildPlugin) -> (&str, Option<&str>) {
    (plugin.effective_group_id(), plugin.artifact_id.as_deref())
}

/// What is left of the limits while one value is resolved.
struct Budget<'a> {
    expressions: &'a Cell<usize>,
    bytes: Cell<usize>,
}

impl Budget<'_> {
    fn expression(&self) -> bool {
        take(self.expressions, 1)
    }

    fn text(&self, text: &str, out: &mut String) -> bool {
        let fits = take(&self.bytes, text.len());
        if fits {
            out.push_str(text);
        }
        fits
    }
}

fn take(left: &Cell<usize>, amount: usize) -> bool {
    let rest = left.get().checked_sub(amount);
    left.set(rest.unwrap_or_default());
    rest.is_some()
}

#[cfg(test)]
mod tests;
