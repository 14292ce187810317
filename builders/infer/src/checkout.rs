//! What a commit's files tell: which contents it has, what its build files declare, and what they say about tools.

use std::collections::{BTreeMap, HashSet};

use build_spec::Tool;
use maven_layout::{Coordinates, Pom};
use pyrsia_digest::Sha256;

use crate::pick::java_major;

/// Largest file whose text is kept for hints, in bytes.
const MAX_TEXT: usize = 64 * 1024;
/// Files whose text is kept.
const MAX_TEXTS: usize = 64;
/// Lines of one that are read.
const MAX_LINES: usize = 4096;
/// Build files that are parsed.
const MAX_POMS: usize = 2_000;

/// Files whose texts are read for hints.
const HINTS: [&str; 11] = [
    ".sdkmanrc",
    ".java-version",
    ".tool-versions",
    ".mvn/wrapper/maven-wrapper.properties",
    ".mvn/toolchains.xml",
    "jitpack.yml",
    ".travis.yml",
    ".gitlab-ci.yml",
    "Jenkinsfile",
    "azure-pipelines.yml",
    ".circleci/config.yml",
];
/// Folder of GitHub's workflows.
const WORKFLOWS: &str = ".github/workflows/";

/// A commit's files, taken in one after the other.
#[derive(Debug)]
pub struct Checkout {
    release: Coordinates,
    /// Base name and content.
    files: HashSet<(Box<str>, Sha256)>,
    /// Base name and content with line ends made one.
    unix: HashSet<(Box<str>, Sha256)>,
    /// Contents of XML documents with line ends made one.
    documents: HashSet<Sha256>,
    declared: Vec<String>,
    poms: usize,
    root: Option<Pom>,
    gradle: Option<String>,
    texts: BTreeMap<String, String>,
}

impl Checkout {
    /// A commit without files that is to be the source of this release.
    pub fn new(release: Coordinates) -> Self {
        Self {
            release,
            files: HashSet::new(),
            unix: HashSet::new(),
            documents: HashSet::new(),
            declared: Vec::new(),
            poms: 0,
            root: None,
            gradle: None,
            texts: BTreeMap::new(),
        }
    }

    /// Takes in a regular file by its path from the root.
    pub fn add(&mut self, path: &str, content: &[u8]) {
        let name = base_name(path);
        let (digest, unix) = (Sha256::of(content), Sha256::of(&unix_lines(content)));
        self.files.insert((name.into(), digest));
        self.unix.insert((name.into(), unix));
        if name.ends_with(".xml") || name.ends_with(".pom") {
            self.documents.insert(unix);
        }
        if name == "pom.xml" && self.poms < MAX_POMS {
            self.poms += 1;
            if let Ok(pom) = Pom::parse(content) {
                if pom.effective_coordinates().is_ok_and(|declared| declared == self.release) {
                    self.declared.push(path.to_owned());
                }
                if path == "pom.xml" {
                    self.root = Some(pom);
                }
            }
        }
        if matches!(path, "build.gradle" | "build.gradle.kts" | "settings.gradle" | "settings.gradle.kts") {
            self.gradle.get_or_insert_with(|| path.to_owned());
        }
        let workflow =
            path.strip_prefix(WORKFLOWS).is_some_and(|name| name.ends_with(".yml") || name.ends_with(".yaml"));
        if (workflow || HINTS.contains(&path)) && content.len() <= MAX_TEXT && self.texts.len() < MAX_TEXTS {
            self.texts.insert(path.to_owned(), String::from_utf8_lossy(content).into_owned());
        }
    }

    /// Whether a file of this base name has these bytes.
    pub(crate) fn has(&self, name: &str, content: &[u8]) -> bool {
        self.files.contains(&key(name, content))
    }

    /// Whether a file of this base name has these bytes once all line ends are made one.
    pub(crate) fn has_but_for_line_ends(&self, name: &str, content: &[u8]) -> bool {
        self.unix.contains(&key(name, &unix_lines(content)))
    }

    /// Whether a published POM is a document of the commit, line ends aside.
    pub fn has_pom(&self, published: &[u8]) -> bool {
        !published.is_empty() && self.documents.contains(&Sha256::of(&unix_lines(published)))
    }

    /// The build files that declare exactly the release, in so many words.
    pub fn declared(&self) -> &[String] {
        &self.declared
    }

    /// The script of Gradle in the root of a commit without a `pom.xml` anywhere: no specification is inferred for it.
    pub fn gradle_script(&self) -> Option<&str> {
        self.gradle.as_deref().filter(|_| self.poms == 0)
    }

    /// The build file in the root.
    pub(crate) fn root(&self) -> Option<&Pom> {
        self.root.as_ref()
    }

    /// JDKs that the repository's files name, those that say it plainly first.
    pub(crate) fn jdks(&self) -> Vec<(u32, String)> {
        let mut found = Vec::new();
        for name in HINTS {
            if let Some(text) = self.texts.get(name) {
                found.extend(jdks_in(name, text).into_iter().map(|jdk| (jdk, name.to_owned())));
            }
        }
        let mut flows: Vec<(&String, &String)> =
            self.texts.iter().filter(|(path, _)| path.starts_with(WORKFLOWS)).collect();
        // A workflow that publishes says more than one that tests with many.
        let publishes = |path: &str| ["release", "publish", "deploy"].iter().any(|word| path.contains(word));
        flows.sort_by_key(|(path, _)| !publishes(path));
        for (path, text) in flows {
            found.extend(jdks_in(path, text).into_iter().map(|jdk| (jdk, path.clone())));
        }
        found
    }

    /// Mavens that the repository's files name.
    pub(crate) fn mavens(&self) -> Vec<(String, String)> {
        let lines = |name: &str| self.texts.get(name).into_iter().flat_map(|text| text.lines().take(MAX_LINES));
        let wrapper = ".mvn/wrapper/maven-wrapper.properties";
        let url = lines(wrapper).find_map(|line| line.trim().strip_prefix("distributionUrl"));
        let from_url = url.and_then(|url| {
            let rest = url.split("apache-maven-").last()?;
            rest.strip_suffix("-bin.zip").or_else(|| rest.strip_suffix("-bin.tar.gz"))
        });
        let from_sdk = lines(".sdkmanrc").find_map(|line| line.trim().strip_prefix("maven="));
        let from_asdf = lines(".tool-versions").find_map(|line| line.trim().strip_prefix("maven "));
        let all = [(from_url, wrapper), (from_sdk, ".sdkmanrc"), (from_asdf, ".tool-versions")];
        // What is no version of a tool is no hint.
        let valid = |text: &str| format!("maven-{text}").parse::<Tool>().is_ok();
        all.into_iter()
            .filter_map(|(version, from)| Some((version?.trim().to_owned(), from.to_owned())))
            .filter(|(version, _)| valid(version) && version.starts_with(|c: char| c.is_ascii_digit()))
            .collect()
    }
}

/// A base name with a content's digest.
fn key(name: &str, content: &[u8]) -> (Box<str>, Sha256) {
    (name.into(), Sha256::of(content))
}

/// The last part of a path.
pub(crate) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// CRLF to LF.
pub(crate) fn unix_lines(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        if *byte != b'\r' || bytes.get(at + 1) != Some(&b'\n') {
            out.push(*byte);
        }
    }
    out
}

/// The JDKs that a file names, in its own order.
fn jdks_in(path: &str, text: &str) -> Vec<u32> {
    let lines = || text.lines().take(MAX_LINES).map(str::trim);
    let mut found: Vec<u32> = match path {
        ".sdkmanrc" => lines().filter_map(|line| java_major(line.strip_prefix("java=")?)).collect(),
        ".java-version" => lines().filter_map(java_major).take(1).collect(),
        ".tool-versions" => lines().filter_map(|line| java_major(line.strip_prefix("java ")?)).collect(),
        ".mvn/toolchains.xml" => lines()
            .filter_map(|line| line.split_once("<version>")?.1.split_once("</version>"))
            .filter_map(|(version, _)| java_major(version))
            .collect(),
        _ => in_ci(lines()),
    };
    let mut seen = HashSet::new();
    found.retain(|jdk| seen.insert(*jdk));
    found.truncate(8);
    found
}

/// Values of the keys that CI systems have for JDKs: on the line, in brackets, or in a list below it.
fn in_ci<'a>(lines: impl Iterator<Item = &'a str>) -> Vec<u32> {
    const KEYS: [&str; 8] = [
        "java-version",
        "java_version",
        "javaversion",
        "jdkversionoption",
        "jdk",
        "java",
        "jdk_version",
        "java-versions",
    ];
    let mut found = Vec::new();
    let mut in_list = false;
    for line in lines {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(item) = line.strip_prefix("- ").filter(|_| in_list) {
            found.extend(numbers(item));
            continue;
        }
        in_list = false;
        let line = line.strip_prefix("- ").unwrap_or(line);
        let Some((key, value)) = line.split_once([':', '=']) else { continue };
        let key = key.trim().trim_matches(['"', '\'']).to_ascii_lowercase();
        if KEYS.contains(&key.as_str()) {
            in_list = value.trim().is_empty();
            found.extend(numbers(value));
        } else if key == "image" {
            let named = ["openjdk-", "temurin-", "jdk-", "temurin:", "openjdk:"];
            found.extend(named.iter().find_map(|word| java_major(value.split_once(word)?.1)));
        }
    }
    found
}

/// The JDKs in a value such as `[8, 11]`, `'17'` or `openjdk11`; expressions are none.
fn numbers(value: &str) -> Vec<u32> {
    if value.contains("${") {
        return Vec::new();
    }
    value.split('#').next().unwrap_or_default().split(',').filter_map(java_major).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn with(files: &[(&str, &str)]) -> Checkout {
        let mut checkout = Checkout::new("org.acme:lib:1".parse().unwrap());
        for (path, content) in files {
            checkout.add(path, content.as_bytes());
        }
        checkout
    }

    #[test]
    fn files_that_name_a_jdk_are_read_in_the_order_of_their_word() {
        let checkout = with(&[
            (
                ".github/workflows/build.yml",
                "strategy:\n  matrix:\n    java: [ 8, '11', 17.0 ]\n  steps:\n    java-version: ${{ matrix.java }}\n",
            ),
            (".github/workflows/release.yaml", "with:\n  java-version: '21'\n  distribution: temurin\n"),
            (".java-version", "1.8\n"),
            (".sdkmanrc", "# env\njava=17.0.2-tem\nmaven=3.9.6\n"),
            (".travis.yml", "language: java\njdk:\n  - openjdk8\n  - oraclejdk11\nscript: mvn verify\n"),
            (".gitlab-ci.yml", "build:\n  image: maven:3.8.6-openjdk-11\n"),
            (".tool-versions", "java temurin-11.0.3+7\n"),
            (".mvn/toolchains.xml", "<jdk><version>1.7</version></jdk>"),
        ]);
        let jdks: Vec<(u32, String)> = checkout.jdks();
        let jdks: Vec<(u32, &str)> = jdks.iter().map(|(jdk, from)| (*jdk, from.as_str())).collect();
        assert_eq!(
            jdks,
            [
                (17, ".sdkmanrc"),
                (8, ".java-version"),
                (11, ".tool-versions"),
                (7, ".mvn/toolchains.xml"),
                (8, ".travis.yml"),
                (11, ".travis.yml"),
                (11, ".gitlab-ci.yml"),
                (21, ".github/workflows/release.yaml"),
                (8, ".github/workflows/build.yml"),
                (11, ".github/workflows/build.yml"),
                (17, ".github/workflows/build.yml"),
            ]
        );
    }

    #[test]
    fn the_wrapper_names_a_maven() {
        let url =
            "distributionUrl=https\\://repo.example/org/apache/maven/apache-maven/3.8.6/apache-maven-3.8.6-bin.zip\n";
        let checkout = with(&[(".mvn/wrapper/maven-wrapper.properties", url), (".sdkmanrc", "maven=3.9.6\n")]);
        let named: Vec<String> = checkout.mavens().into_iter().map(|(version, _)| version).collect();
        assert_eq!(named, ["3.8.6", "3.9.6"]);
        let hostile = with(&[(".sdkmanrc", "maven=$(id) -X\n")]);
        assert!(hostile.mavens().is_empty());
    }

    #[test]
    fn build_files_that_declare_the_release_are_found() {
        let pom = "<project><groupId>org.acme</groupId><artifactId>lib</artifactId><version>1</version></project>";
        let checkout = with(&[("core/pom.xml", pom), ("pom.xml", &pom.replace("lib", "parent")), ("bad/pom.xml", "<")]);
        assert_eq!(checkout.declared(), ["core/pom.xml"]);
        assert!(checkout.has_pom(pom.as_bytes()) && !checkout.has_pom(b"<project/>"));
    }

    proptest! {
        #[test]
        fn no_file_panics(text in "(\\PC|\n|jdk|java-version|:|- |\\[|1|8){0,200}") {
            for name in HINTS.into_iter().chain([".github/workflows/x.yml"]) {
                let checkout = with(&[(name, &text)]);
                prop_assert!(checkout.jdks().len() <= 8 && checkout.mavens().len() <= 2);
            }
        }
    }
}
