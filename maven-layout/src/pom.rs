//! The part of a POM that this product reads, literally as written.
//!
//! [POM reference](https://maven.apache.org/pom.html). A [`Pom`] is without inheritance, interpolation or profiles: what a
//! value *means* is the build tool's business, and [`is_computed`] says whether a value is plain or still holds an
//! expression. [`Lineage`] resolves what a POM and its parents tell by themselves, and leaves the rest unknown.

mod lineage;
mod parts;
mod profiles;
mod requirements;

use std::collections::BTreeMap;

use crate::coordinates::{CoordinateError, Coordinates};
use crate::xml::{self, Element, XmlError};

pub use lineage::Lineage;
pub use parts::{Build, BuildExtension, BuildPlugin, Dependency, Exclusion, Relocation, file_of_type};
pub use profiles::ChosenProfiles;
pub use requirements::Requirements;

/// Why a POM was not read, or does not say what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PomError {
    /// The document is not acceptable XML, or not a `<project>`.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// A coordinate is stated neither by the project nor by its `<parent>`.
    #[error("the POM states no {what}, and neither does its parent element")]
    Missing {
        /// `groupId`, `artifactId` or `version`.
        what: &'static str,
    },
    /// A coordinate holds an expression such as `${revision}`, so it is known only after a build.
    #[error("{what} of the POM is computed: {value:?}")]
    Computed {
        /// `groupId`, `artifactId` or `version`.
        what: &'static str,
        /// The value as written, at most 512 bytes.
        value: String,
    },
    /// The stated coordinates are not valid.
    #[error(transparent)]
    Coordinates(#[from] CoordinateError),
}

/// The `<parent>` of a POM, as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parent {
    /// `groupId`.
    pub group_id: Option<String>,
    /// `artifactId`.
    pub artifact_id: Option<String>,
    /// `version`.
    pub version: Option<String>,
    /// `relativePath`: `None` if absent (Maven then means `../pom.xml`), empty if the element is (no path at all).
    pub relative_path: Option<String>,
}

/// The `<scm>` of a POM, as written. Maven appends module paths to inherited addresses, see
/// [`crate::scm::canonical_with_modules`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scm {
    /// `connection`.
    pub connection: Option<String>,
    /// `developerConnection`.
    pub developer_connection: Option<String>,
    /// `url`.
    pub url: Option<String>,
    /// `tag`.
    pub tag: Option<String>,
}

/// A `<profile>` of a POM, as written; whether it is active is the build tool's business.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Profile {
    /// `id`.
    pub id: Option<String>,
    /// `activation/activeByDefault`: `true`, `false` or an expression.
    pub active_by_default: Option<String>,
    /// `properties`, by name; of two of one name the last.
    pub properties: BTreeMap<String, String>,
    /// `modules`, in document order.
    pub modules: Vec<String>,
    /// `dependencies`, in document order.
    pub dependencies: Vec<Dependency>,
    /// `dependencyManagement/dependencies`, in document order.
    pub managed_dependencies: Vec<Dependency>,
    /// `build`.
    pub build: Build,
}

/// What a POM says, as written: white space around values removed, empty elements as absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pom {
    /// `parent`.
    pub parent: Option<Parent>,
    /// `groupId` of the project itself.
    pub group_id: Option<String>,
    /// `artifactId`.
    pub artifact_id: Option<String>,
    /// `version` of the project itself.
    pub version: Option<String>,
    /// `packaging`; absent means `jar`.
    pub packaging: Option<String>,
    /// `name`.
    pub name: Option<String>,
    /// `url`.
    pub url: Option<String>,
    /// `scm`.
    pub scm: Option<Scm>,
    /// `properties`, by name; of two of one name the last.
    pub properties: BTreeMap<String, String>,
    /// `modules`, in document order.
    pub modules: Vec<String>,
    /// `distributionManagement/relocation`.
    pub relocation: Option<Relocation>,
    /// `dependencies`, in document order.
    pub dependencies: Vec<Dependency>,
    /// `dependencyManagement/dependencies`, in document order.
    pub managed_dependencies: Vec<Dependency>,
    /// `build`.
    pub build: Build,
    /// `profiles`, in document order.
    pub profiles: Vec<Profile>,
    /// What the project says it needs of the tools that build it.
    pub requirements: Requirements,
}

impl Pom {
    /// Reads a POM of at most 8 MiB.
    ///
    /// # Errors
    /// [`PomError::Xml`].
    pub fn parse(bytes: &[u8]) -> Result<Self, PomError> {
        let project = xml::parse(bytes, "project")?;
        let own = |name| project.text_of(name).map(str::to_owned);
        Ok(Self {
            parent: project.child("parent").map(Parent::from_element),
            group_id: own("groupId"),
            artifact_id: own("artifactId"),
            version: own("version"),
            packaging: own("packaging"),
            name: own("name"),
            url: own("url"),
            scm: project.child("scm").map(Scm::from_element),
            properties: properties(&project),
            modules: modules(&project),
            relocation: Relocation::inside(&project),
            dependencies: parts::dependencies(&project, &["dependencies"]),
            managed_dependencies: parts::dependencies(&project, &["dependencyManagement", "dependencies"]),
            build: Build::inside(&project),
            profiles: project
                .child("profiles")
                .map(|profiles| profiles.all("profile").map(Profile::from_element).collect())
                .unwrap_or_default(),
            requirements: Requirements::inside(&project),
        })
    }

    /// `groupId` as Maven inherits it: the project's own, else the parent's.
    pub fn effective_group_id(&self) -> Option<&str> {
        self.group_id.as_deref().or_else(|| self.parent.as_ref()?.group_id.as_deref())
    }

    /// `version` as Maven inherits it: the project's own, else the parent's.
    pub fn effective_version(&self) -> Option<&str> {
        self.version.as_deref().or_else(|| self.parent.as_ref()?.version.as_deref())
    }

    /// `packaging`, `jar` if absent.
    pub fn effective_packaging(&self) -> &str {
        self.packaging.as_deref().unwrap_or("jar")
    }

    /// The coordinates that the POM states without being interpreted.
    ///
    /// # Errors
    /// [`PomError::Missing`], [`PomError::Computed`] if one of them holds `${`, [`PomError::Coordinates`].
    pub fn effective_coordinates(&self) -> Result<Coordinates, PomError> {
        Ok(Coordinates {
            group: literal("groupId", self.effective_group_id())?.parse().map_err(CoordinateError::from)?,
            artifact: literal("artifactId", self.artifact_id.as_deref())?.parse().map_err(CoordinateError::from)?,
            version: literal("version", self.effective_version())?.parse().map_err(CoordinateError::from)?,
        })
    }

    /// Whether one of the three coordinates holds an expression, so that only a build can tell its value.
    pub fn has_computed_coordinates(&self) -> bool {
        [self.effective_group_id(), self.artifact_id.as_deref(), self.effective_version()]
            .into_iter()
            .flatten()
            .any(is_computed)
    }

    /// The coordinates of the parent, if there is one.
    ///
    /// # Errors
    /// As [`Pom::effective_coordinates`].
    pub fn parent_coordinates(&self) -> Result<Option<Coordinates>, PomError> {
        let Some(parent) = &self.parent else {
            return Ok(None);
        };
        Ok(Some(Coordinates {
            group: literal("groupId", parent.group_id.as_deref())?.parse().map_err(CoordinateError::from)?,
            artifact: literal("artifactId", parent.artifact_id.as_deref())?.parse().map_err(CoordinateError::from)?,
            version: literal("version", parent.version.as_deref())?.parse().map_err(CoordinateError::from)?,
        }))
    }
}

fn properties(element: &Element) -> BTreeMap<String, String> {
    element
        .child("properties")
        .map(|properties| properties.children.iter().map(|p| (p.name.clone(), p.text.clone())).collect())
        .unwrap_or_default()
}

fn modules(element: &Element) -> Vec<String> {
    element
        .child("modules")
        .map(|modules| modules.all("module").map(|module| module.text.clone()).collect())
        .unwrap_or_default()
}

/// Whether a value holds a Maven expression.
pub fn is_computed(value: &str) -> bool {
    value.contains("${")
}

fn literal<'a>(what: &'static str, value: Option<&'a str>) -> Result<&'a str, PomError> {
    match value {
        None => Err(PomError::Missing { what }),
        Some(value) if is_computed(value) => Err(PomError::Computed { what, value: value.chars().take(128).collect() }),
        Some(value) => Ok(value),
    }
}

impl Parent {
    fn from_element(element: &Element) -> Self {
        let own = |name| element.text_of(name).map(str::to_owned);
        Self {
            group_id: own("groupId"),
            artifact_id: own("artifactId"),
            version: own("version"),
            relative_path: element.child("relativePath").map(|path| path.text.clone()),
        }
    }
}

impl Profile {
    fn from_element(element: &Element) -> Self {
        Self {
            id: element.text_of("id").map(str::to_owned),
            active_by_default: element
                .child("activation")
                .and_then(|activation| activation.text_of("activeByDefault"))
                .map(str::to_owned),
            properties: properties(element),
            modules: modules(element),
            dependencies: parts::dependencies(element, &["dependencies"]),
            managed_dependencies: parts::dependencies(element, &["dependencyManagement", "dependencies"]),
            build: Build::inside(element),
        }
    }
}

impl Scm {
    fn from_element(element: &Element) -> Self {
        let own = |name| element.text_of(name).map(str::to_owned);
        Self {
            connection: own("connection"),
            developer_connection: own("developerConnection"),
            url: own("url"),
            tag: own("tag"),
        }
    }
}

#[cfg(test)]
mod tests;
