//! Which plugins a build has by its packaging alone, and in which versions
//! ([reference](https://maven.apache.org/ref/3.9.11/maven-core/default-bindings.html)).

use std::collections::{BTreeMap, BTreeSet};

use crate::coordinates::Coordinates;
use crate::xml::{self, Element, XmlError};

/// Where a Maven 3 up to 3.9 has them, in its `maven-core`. Later ones have them in code.
pub const PLACE: &str = "META-INF/plexus/default-bindings.xml";

/// The Maven whose bindings [`Bindings::documented`] are.
pub const DOCUMENTED: &str = "4.0.0-beta-3";

const GROUP: &str = "org.apache.maven.plugins";

/// Plugins of every packaging but `pom`, then what each adds, by
/// [the reference](https://maven.apache.org/ref/4.0.0-beta-3/maven-core/default-bindings.html).
const ALWAYS: [(&str, &str); 2] = [("maven-install-plugin", "3.1.1"), ("maven-deploy-plugin", "3.1.1")];
const RESOURCES: (&str, &str) = ("maven-resources-plugin", "3.3.1");
const JAVA: [(&str, &str); 3] = [RESOURCES, ("maven-compiler-plugin", "3.13.0"), ("maven-surefire-plugin", "3.2.5")];
const JAR: (&str, &str) = ("maven-jar-plugin", "3.4.1");

/// Plugins by packaging.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bindings {
    by_packaging: BTreeMap<String, BTreeSet<Coordinates>>,
}

impl Bindings {
    /// Reads the document of a Maven 3. What is no plugin in it is passed over.
    ///
    /// # Errors
    /// [`XmlError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let set = xml::parse(bytes, "component-set")?;
        let mut bindings = Self::default();
        for component in set.child("components").into_iter().flat_map(|components| components.all("component")) {
            let (Some(packaging), Some(configuration)) =
                (component.text_of("role-hint"), component.child("configuration"))
            else {
                continue;
            };
            let lifecycles = configuration.child("lifecycles").into_iter().flat_map(|all| all.all("lifecycle"));
            let default = lifecycles.filter(|lifecycle| lifecycle.text_of("id") == Some("default"));
            // Older ones have the phases of the default lifecycle alone.
            let phases = default.filter_map(|lifecycle| lifecycle.child("phases")).chain(configuration.child("phases"));
            let plugins: BTreeSet<Coordinates> = phases.flat_map(|phases| &phases.children).flat_map(bound).collect();
            if !plugins.is_empty() {
                bindings.by_packaging.insert(packaging.to_owned(), plugins);
            }
        }
        Ok(bindings)
    }

    /// Those of Maven [`DOCUMENTED`], for a Maven that does not tell its own.
    pub fn documented() -> Self {
        let by_packaging = [
            ("pom", of(&[&ALWAYS])),
            ("jar", java(&[JAR])),
            ("ejb", java(&[("maven-ejb-plugin", "3.2.1")])),
            ("maven-plugin", java(&[JAR, ("maven-plugin-plugin", "3.12.0")])),
            ("war", java(&[("maven-war-plugin", "3.4.0")])),
            ("ear", of(&[&ALWAYS, &[RESOURCES, ("maven-ear-plugin", "3.3.0")]])),
            ("rar", java(&[("maven-rar-plugin", "3.0.0")])),
        ];
        Self { by_packaging: by_packaging.map(|(packaging, plugins)| (packaging.to_owned(), plugins)).into() }
    }

    /// The plugins of a packaging; none where it is not known, as one that an extension brings.
    pub fn of(&self, packaging: &str) -> Option<&BTreeSet<Coordinates>> {
        self.by_packaging.get(packaging)
    }
}

fn java(own: &[(&str, &str)]) -> BTreeSet<Coordinates> {
    of(&[&ALWAYS, &JAVA, own])
}

fn of(plugins: &[&[(&str, &str)]]) -> BTreeSet<Coordinates> {
    let plugins = plugins.iter().copied().flatten();
    plugins.filter_map(|(name, version)| format!("{GROUP}:{name}:{version}").parse().ok()).collect()
}

/// The plugins in a phase: `group:artifact:version:goal`, several with commas between them.
fn bound(phase: &Element) -> Vec<Coordinates> {
    let goals = phase.text.split(',').map(str::trim);
    goals.filter_map(|goal| goal.rsplit_once(':')?.0.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(bindings: &Bindings, packaging: &str) -> Vec<String> {
        bindings.of(packaging).into_iter().flatten().map(ToString::to_string).collect()
    }

    #[test]
    fn the_plugins_of_a_packaging_are_read() {
        let document = "<component-set><components>\
            <component><role>x</role><role-hint>jar</role-hint><configuration><lifecycles><lifecycle><id>default</id><phases>\
            <compile>\n  org.a:compiler:1:compile </compile><test-compile>org.a:compiler:1:testCompile</test-compile>\
            <package>org.a:jar:2:jar,\n org.a:more:3:add</package><broken>nothing</broken></phases></lifecycle>\
            <lifecycle><id>clean</id><phases><clean>org.a:clean:1:clean</clean></phases></lifecycle></lifecycles>\
            </configuration></component>\
            <component><role-hint>old</role-hint><configuration><phases><package>org.a:jar:1:jar</package></phases>\
            </configuration></component><component><role-hint>empty</role-hint></component></components></component-set>";
        let bindings = Bindings::parse(document.as_bytes()).unwrap();
        assert_eq!(names(&bindings, "jar"), ["org.a:compiler:1", "org.a:jar:2", "org.a:more:3"]);
        assert_eq!(names(&bindings, "old"), ["org.a:jar:1"]);
        assert!(bindings.of("empty").is_none() && bindings.of("bundle").is_none());
        assert!(Bindings::parse(b"<project/>").is_err());
    }

    #[test]
    fn the_documented_ones_are_whole() {
        let bindings = Bindings::documented();
        assert_eq!(names(&bindings, "pom").len(), 2);
        assert_eq!(names(&bindings, "jar").len(), 6);
        assert!(names(&bindings, "maven-plugin").contains(&format!("{GROUP}:maven-plugin-plugin:3.12.0")));
        for packaging in ["ejb", "war", "ear", "rar"] {
            assert!(names(&bindings, packaging).iter().any(|name| name.contains(packaging)), "{packaging}");
        }
    }
}
