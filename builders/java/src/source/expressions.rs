//! What `${...}` in a build file may stand for.
//!
//! Maven decides it from active profiles, parents and its command line; which of those count is not known before the
//! build. So an expression has a *set* of possible values: everything that the files of the commit could make it. The
//! set is used to withhold files, where one value too many costs little and one too few would be a hole.

use std::collections::{BTreeMap, BTreeSet};

use maven_layout::Pom;

/// Values of one text; more than this is treated as unknown.
const MAX_VALUES: usize = 64;
/// Expressions in values of expressions.
const MAX_DEPTH: usize = 8;

/// Possible values of properties that are given to the tool and not in a build file, by name.
pub(crate) type Given = BTreeMap<String, BTreeSet<String>>;

/// The build files that one of them inherits from inside the tree, itself first.
pub(crate) struct Chain<'a> {
    pub(crate) poms: Vec<&'a Pom>,
    pub(crate) given: &'a Given,
    /// Every build file that was read, asked where the chain has no value (its parent may lie elsewhere).
    pub(crate) all: &'a [&'a Pom],
}

impl Chain<'_> {
    /// All values that the text may have; none if one of its expressions has no value in these files, or too many.
    pub(crate) fn expand(&self, text: &str) -> Option<BTreeSet<String>> {
        self.expand_to(text, 0)
    }

    fn expand_to(&self, text: &str, depth: usize) -> Option<BTreeSet<String>> {
        let Some(start) = text.find("${") else { return Some(BTreeSet::from([text.to_owned()])) };
        if depth > MAX_DEPTH {
            return None;
        }
        let (before, rest) = text.split_at(start);
        let end = rest.find('}')?;
        let (name, after) = (&rest[2..end], &rest[end + 1..]);
        let mut values = BTreeSet::new();
        for raw in self.raw(name) {
            values.extend(self.expand_to(&raw, depth + 1)?);
        }
        let tails = self.expand_to(after, depth)?;
        if values.is_empty() || values.len().saturating_mul(tails.len()) > MAX_VALUES {
            return None;
        }
        Some(values.iter().flat_map(|value| tails.iter().map(move |tail| format!("{before}{value}{tail}"))).collect())
    }

    /// The values of a name as they are written.
    fn raw(&self, name: &str) -> BTreeSet<String> {
        let mut found: BTreeSet<String> = self.given.get(name).cloned().unwrap_or_default();
        for pom in &self.poms {
            // A profile may be active or not; what the project itself says hides what its parents say.
            found.extend(pom.profiles.iter().filter_map(|profile| profile.properties.get(name)).cloned());
            if let Some(value) = pom.properties.get(name) {
                found.insert(value.clone());
                break;
            }
        }
        found.extend(self.own(name));
        if found.is_empty() {
            for pom in self.all {
                let in_profiles = pom.profiles.iter().filter_map(|profile| profile.properties.get(name));
                found.extend(pom.properties.get(name).into_iter().chain(in_profiles).cloned());
            }
        }
        found
    }

    /// Names that mean a part of the project itself.
    fn own(&self, name: &str) -> Option<String> {
        let pom = self.poms.first()?;
        let parent = pom.parent.as_ref();
        let short = name.strip_prefix("project.").or_else(|| name.strip_prefix("pom.")).unwrap_or(name);
        let value = match short {
            "version" => pom.effective_version(),
            "groupId" => pom.effective_group_id(),
            "artifactId" => pom.artifact_id.as_deref(),
            "parent.version" => parent?.version.as_deref(),
            "parent.groupId" => parent?.group_id.as_deref(),
            "parent.artifactId" => parent?.artifact_id.as_deref(),
            _ => None,
        };
        value.map(str::to_owned)
    }
}

/// The properties of a `.mvn/maven.config` or `.mvn/jvm.config`, and whether it names another build file than the root's.
///
/// Maven 3.9 takes a line as one argument, older versions split at white space; both readings count.
pub(crate) fn read_config(text: &str, given: &mut Given) -> bool {
    let mut other_file = false;
    let lines = text.lines().map(str::trim);
    let words = text.split_whitespace();
    let mut define_next = false;
    for word in lines.chain(words) {
        let definition = match std::mem::take(&mut define_next) {
            true => Some(word),
            false => word.strip_prefix("-D").or_else(|| word.strip_prefix("--define=")),
        };
        if matches!(word, "-D" | "--define") {
            define_next = true;
        } else if let Some((name, value)) = definition.and_then(|definition| definition.split_once('=')) {
            let value = value.trim_matches('"');
            given.entry(name.trim().to_owned()).or_default().insert(value.to_owned());
        } else if word.starts_with("-f") || word.starts_with("--file") {
            other_file = true;
        }
    }
    other_file
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pom(body: &str) -> Pom {
        Pom::parse(format!("<project>{body}</project>").as_bytes()).unwrap()
    }

    fn set(values: &[&str]) -> Option<BTreeSet<String>> {
        Some(values.iter().map(|value| (*value).to_owned()).collect())
    }

    #[test]
    fn an_expression_has_every_value_that_the_files_allow() {
        let child = pom("<parent><version>${revision}</version></parent><artifactId>a_${scala}</artifactId>\
             <profiles><profile><properties><scala>2.13</scala></properties></profile></profiles>");
        let parent = pom("<version>${revision}</version><properties><revision>1.${sub}${changelist}</revision>\
             <sub>2</sub><changelist/><scala>2.12</scala></properties>");
        let stranger = pom("<properties><only.here>x</only.here><scala>3</scala></properties>");
        let mut given = Given::new();
        assert!(!read_config("-Dchangelist=-rc1\n-T 2\n", &mut given));
        let all = [&child, &parent, &stranger];
        let chain = Chain { poms: vec![&child, &parent], given: &given, all: &all };
        assert_eq!(chain.expand("plain"), set(&["plain"]));
        assert_eq!(chain.expand("${revision}"), set(&["1.2", "1.2-rc1"]));
        assert_eq!(chain.expand("${project.version}-${pom.artifactId}").map(|all| all.len()), Some(4));
        assert_eq!(chain.expand("a_${scala}"), set(&["a_2.12", "a_2.13"]));
        assert_eq!(chain.expand("${only.here}"), set(&["x"]));
        assert_eq!(chain.expand("${nowhere}"), None);
        assert_eq!(chain.expand("${unclosed"), None);
    }

    #[test]
    fn circles_and_products_end() {
        let circle = pom("<artifactId>${artifactId}</artifactId><properties><a>${b}</a><b>${a}</b></properties>");
        let given = Given::new();
        let chain = Chain { poms: vec![&circle], given: &given, all: &[] };
        assert_eq!(chain.expand("${a}"), None);
        assert_eq!(chain.expand("${artifactId}"), None);
        let mut many = Given::new();
        for number in 0..20 {
            many.entry("n".to_owned()).or_default().insert(number.to_string());
        }
        let chain = Chain { poms: vec![&circle], given: &many, all: &[] };
        assert_eq!(chain.expand("${n}").map(|all| all.len()), Some(20));
        assert_eq!(chain.expand("${n}${n}${n}${n}"), None);
    }

    #[test]
    fn configuration_files_are_read_in_both_ways() {
        let mut given = Given::new();
        assert!(!read_config("-Drevision=1.0 -Dsha1=abc\n-D\nx=y\n--define=z=1\n", &mut given));
        assert!(given["revision"].contains("1.0") && given["revision"].contains("1.0 -Dsha1=abc"));
        assert!(given["sha1"].contains("abc") && given["x"].contains("y") && given["z"].contains("1"));
        assert!(read_config("-f other/pom.xml", &mut given));
        assert!(read_config("--file=other/pom.xml", &mut given));
    }
}
