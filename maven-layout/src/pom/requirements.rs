//! What a project says it needs of the tools that build it.

use crate::xml::Element;

/// Texts of one kind that are kept.
const MOST: usize = 32;

/// Demands on Maven and Java, as written: versions, ranges or expressions, in document order, at most 32 of each kind.
/// Nothing here says that a demand is in effect: it may stand in a `pluginManagement` or in an execution that is skipped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirements {
    /// `prerequisites/maven`, and `requireMavenVersion/version` of the
    /// [enforcer plugin](https://maven.apache.org/enforcer/enforcer-rules/requireMavenVersion.html).
    pub maven: Vec<String>,
    /// `requireJavaVersion/version` of the same plugin.
    pub java: Vec<String>,
    /// `release`, `target` and `source` of the compiler plugin.
    pub compiler: Vec<String>,
}

impl Requirements {
    pub(super) fn inside(project: &Element) -> Self {
        let mut found = Self::default();
        if let Some(maven) = project.child("prerequisites").and_then(|element| element.text_of("maven")) {
            found.maven.push(maven.to_owned());
        }
        if let Some(build) = project.child("build") {
            found.look_at(build, false);
        }
        found
    }

    /// Documents are nested a hundred levels deep at most.
    fn look_at(&mut self, element: &Element, in_compiler: bool) {
        let mut keep = |texts: fn(&mut Self) -> &mut Vec<String>, text: Option<&str>| {
            let texts = texts(self);
            if let Some(text) = text.filter(|_| texts.len() < MOST) {
                texts.push(text.to_owned());
            }
        };
        match element.name.as_str() {
            "requireMavenVersion" => keep(|found| &mut found.maven, element.text_of("version")),
            "requireJavaVersion" => keep(|found| &mut found.java, element.text_of("version")),
            "configuration" if in_compiler => {
                for name in ["release", "target", "source"] {
                    keep(|found| &mut found.compiler, element.text_of(name));
                }
            }
            _ => {}
        }
        let in_compiler = match element.name.as_str() {
            "plugin" => element.text_of("artifactId") == Some("maven-compiler-plugin"),
            _ => in_compiler,
        };
        for child in &element.children {
            self.look_at(child, in_compiler);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::Pom;

    #[test]
    fn demands_are_found_where_projects_put_them() {
        let pom = "<project><prerequisites><maven>3.0</maven></prerequisites><build><plugins>\
            <plugin><artifactId>maven-enforcer-plugin</artifactId><executions><execution><configuration><rules>\
            <requireMavenVersion><version>[3.6.3,)</version></requireMavenVersion>\
            <requireJavaVersion><version>[11,18)</version></requireJavaVersion></rules></configuration></execution>\
            </executions></plugin><plugin><artifactId>maven-compiler-plugin</artifactId>\
            <configuration><release>${java}</release></configuration></plugin>\
            <plugin><artifactId>other</artifactId><configuration><source>x</source></configuration></plugin>\
            </plugins></build></project>";
        let found = Pom::parse(pom.as_bytes()).unwrap().requirements;
        assert_eq!(found.maven, ["3.0", "[3.6.3,)"]);
        assert_eq!((found.java, found.compiler), (vec!["[11,18)".to_owned()], vec!["${java}".to_owned()]));
    }

    #[test]
    fn there_is_an_end() {
        let many = "<requireMavenVersion><version>1</version></requireMavenVersion>".repeat(1000);
        let pom = Pom::parse(format!("<project><build>{many}</build></project>").as_bytes()).unwrap();
        assert_eq!(pom.requirements.maven.len(), super::MOST);
    }
}
