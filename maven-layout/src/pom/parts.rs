//! What a POM says about other artifacts, as written.

use super::{CoordinateError, Coordinates, PomError, literal};
use crate::names::{Classifier, Extension};
use crate::xml::Element;

/// The group of a plugin that names none.
const PLUGIN_GROUP: &str = "org.apache.maven.plugins";

/// A `<dependency>`, of a project, of its `dependencyManagement` or of a plugin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dependency {
    /// `groupId`.
    pub group_id: Option<String>,
    /// `artifactId`.
    pub artifact_id: Option<String>,
    /// `version`; may be absent where a `dependencyManagement` has it. A range is possible: `[1.0,2.0)`.
    pub version: Option<String>,
    /// `type`; absent means `jar`. Not always the file's extension, see [`file_of_type`].
    pub kind: Option<String>,
    /// `classifier`.
    pub classifier: Option<String>,
    /// `scope`; absent means `compile`, and `import` is allowed in a `dependencyManagement` only.
    pub scope: Option<String>,
    /// `optional`: `true`, `false` or an expression.
    pub optional: Option<String>,
    /// `exclusions`, in document order.
    pub exclusions: Vec<Exclusion>,
}

/// An `<exclusion>` of a dependency. Either part may be `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exclusion {
    /// `groupId`.
    pub group_id: Option<String>,
    /// `artifactId`.
    pub artifact_id: Option<String>,
}

/// A `<plugin>` of a build or of its `pluginManagement`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildPlugin {
    /// `groupId`; absent means `org.apache.maven.plugins`.
    pub group_id: Option<String>,
    /// `artifactId`.
    pub artifact_id: Option<String>,
    /// `version`; may be absent where a parent or a `pluginManagement` has it.
    pub version: Option<String>,
    /// `extensions`: `true`, `false` or an expression.
    pub extensions: Option<String>,
    /// `dependencies`, in document order.
    pub dependencies: Vec<Dependency>,
}

/// An `<extension>` of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildExtension {
    /// `groupId`.
    pub group_id: Option<String>,
    /// `artifactId`.
    pub artifact_id: Option<String>,
    /// `version`.
    pub version: Option<String>,
}

/// The part of a `<build>` that names other artifacts; lists are in document order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Build {
    /// `plugins`.
    pub plugins: Vec<BuildPlugin>,
    /// `pluginManagement/plugins`: versions for plugins that are used elsewhere.
    pub managed_plugins: Vec<BuildPlugin>,
    /// `extensions`.
    pub extensions: Vec<BuildExtension>,
}

/// A `<relocation>`: the artifact has moved. [Guide](https://maven.apache.org/guides/mini/guide-relocation.html).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relocation {
    /// `groupId`; absent if it has not changed.
    pub group_id: Option<String>,
    /// `artifactId`; absent if it has not changed.
    pub artifact_id: Option<String>,
    /// `version`; absent if it has not changed.
    pub version: Option<String>,
    /// `message`, for people.
    pub message: Option<String>,
}

impl Dependency {
    pub(super) fn from_element(element: &Element) -> Self {
        let own = |name| element.text_of(name).map(str::to_owned);
        Self {
            group_id: own("groupId"),
            artifact_id: own("artifactId"),
            version: own("version"),
            kind: own("type"),
            classifier: own("classifier"),
            scope: own("scope"),
            optional: own("optional"),
            exclusions: list(element, &["exclusions"], "exclusion", |exclusion| Exclusion {
                group_id: exclusion.text_of("groupId").map(str::to_owned),
                artifact_id: exclusion.text_of("artifactId").map(str::to_owned),
            }),
        }
    }

    /// `type`, `jar` if absent.
    pub fn effective_kind(&self) -> &str {
        self.kind.as_deref().unwrap_or("jar")
    }

    /// Whether this entry of a `dependencyManagement` stands for that of another POM
    /// ([a bill of materials](https://maven.apache.org/guides/introduction/introduction-to-dependency-mechanism.html)).
    pub fn is_import(&self) -> bool {
        self.scope.as_deref() == Some("import") && self.kind.as_deref() == Some("pom")
    }
}

impl BuildPlugin {
    fn from_element(element: &Element) -> Self {
        let own = |name| element.text_of(name).map(str::to_owned);
        Self {
            group_id: own("groupId"),
            artifact_id: own("artifactId"),
            version: own("version"),
            extensions: own("extensions"),
            dependencies: dependencies(element, &["dependencies"]),
        }
    }

    /// `groupId`, `org.apache.maven.plugins` if absent.
    pub fn effective_group_id(&self) -> &str {
        self.group_id.as_deref().unwrap_or(PLUGIN_GROUP)
    }
}

impl Build {
    /// What the `<build>` inside `element` says.
    pub(super) fn inside(element: &Element) -> Self {
        let Some(build) = element.child("build") else {
            return Self::default();
        };
        Self {
            plugins: list(build, &["plugins"], "plugin", BuildPlugin::from_element),
            managed_plugins: list(build, &["pluginManagement", "plugins"], "plugin", BuildPlugin::from_element),
            extensions: list(build, &["extensions"], "extension", |extension| {
                let own = |name| extension.text_of(name).map(str::to_owned);
                BuildExtension { group_id: own("groupId"), artifact_id: own("artifactId"), version: own("version") }
            }),
        }
    }
}

impl Relocation {
    pub(super) fn inside(project: &Element) -> Option<Self> {
        let element = project.child("distributionManagement")?.child("relocation")?;
        let own = |name| element.text_of(name).map(str::to_owned);
        Some(Self {
            group_id: own("groupId"),
            artifact_id: own("artifactId"),
            version: own("version"),
            message: own("message"),
        })
    }

    /// Where the release `of` has moved: a part that is not stated has not changed.
    ///
    /// The result may be `of` itself, and a chain of relocations may be a circle: whoever follows one has to count.
    ///
    /// # Errors
    /// [`PomError::Computed`] if a part holds an expression, [`PomError::Coordinates`].
    pub fn target(&self, of: &Coordinates) -> Result<Coordinates, PomError> {
        let part = |what, stated: &Option<String>, old: &str| {
            literal(what, Some(stated.as_deref().unwrap_or(old))).map(str::to_owned)
        };
        Ok(Coordinates {
            group: part("groupId", &self.group_id, of.group.as_str())?.parse().map_err(CoordinateError::from)?,
            artifact: part("artifactId", &self.artifact_id, of.artifact.as_str())?
                .parse()
                .map_err(CoordinateError::from)?,
            version: part("version", &self.version, of.version.as_str())?.parse().map_err(CoordinateError::from)?,
        })
    }
}

/// The file that a dependency of this type, or a project of this packaging, has: its classifier and extension.
///
/// By [Maven's own artifact handlers](https://maven.apache.org/ref/3.9.11/maven-core/artifact-handlers.html); a type that
/// they do not know is its own extension, and `None` if it cannot be one. A stated classifier comes before this one. A
/// build's extensions may define other types (`bundle` is a JAR to those who load the plugin): that is not known here.
pub fn file_of_type(kind: &str) -> Option<(Option<Classifier>, Extension)> {
    let (classifier, extension) = match kind {
        "maven-plugin" | "ejb" => (None, "jar"),
        "test-jar" => (Some("tests"), "jar"),
        "ejb-client" => (Some("client"), "jar"),
        "java-source" => (Some("sources"), "jar"),
        "javadoc" => (Some("javadoc"), "jar"),
        other => (None, other),
    };
    Some((classifier.map(str::parse).transpose().ok()?, extension.parse().ok()?))
}

pub(super) fn dependencies(element: &Element, way: &[&str]) -> Vec<Dependency> {
    list(element, way, "dependency", Dependency::from_element)
}

/// The elements `name` inside the first element of each name on the way.
fn list<T>(element: &Element, way: &[&str], name: &str, read: impl Fn(&Element) -> T) -> Vec<T> {
    let inner = way.iter().try_fold(element, |inner, name| inner.child(name));
    inner.map(|inner| inner.all(name).map(read).collect()).unwrap_or_default()
}
