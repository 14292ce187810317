//! Why a build failed, as far as its log says so.

use std::fmt;

/// Lines of a log that are read.
const MAX_LINES: usize = 20_000;
/// Bytes of a line that are looked at.
const MAX_LINE: usize = 2_000;

/// One reason.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// The JDK is newer than the build can take; at most this one, if the log says so.
    JdkTooNew(Option<u32>),
    /// The JDK is older than the build needs; at least this one, if the log says so.
    JdkTooOld(Option<u32>),
    /// The build allows only JDKs in this range.
    JdkRange(String),
    /// Maven must be in this range.
    MavenRange(String),
    /// There is no such profile.
    NoProfile(String),
    /// The module that was asked for is not in the reactor.
    NoModule,
    /// Tests do not compile, which nobody needs.
    TestsDoNotCompile,
    /// A check failed that this property switches off.
    Check(&'static str),
    /// A program or toolchain is missing that no specification can bring.
    MissingTool(String),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JdkTooNew(Some(jdk)) => write!(f, "the JDK is too new, {jdk} would do"),
            Self::JdkTooNew(None) => f.write_str("the JDK is too new"),
            Self::JdkTooOld(Some(jdk)) => write!(f, "the JDK is too old, {jdk} is needed"),
            Self::JdkTooOld(None) => f.write_str("the JDK is too old"),
            Self::JdkRange(range) => write!(f, "the JDK must be in {range}"),
            Self::MavenRange(range) => write!(f, "Maven must be in {range}"),
            Self::NoProfile(name) => write!(f, "there is no profile {name}"),
            Self::NoModule => f.write_str("the module is not in the reactor"),
            Self::TestsDoNotCompile => f.write_str("the tests do not compile"),
            Self::Check(property) => write!(f, "a check failed that {property} switches off"),
            Self::MissingTool(name) => write!(f, "{name} is missing, and no specification can bring it"),
        }
    }
}

/// Plugins whose goals only check or decorate, and the switch of each; all of them are on the list of structured
/// specifications.
const CHECKS: [(&str, &str); 17] = [
    ("maven-enforcer-plugin", "enforcer.skip"),
    ("maven-javadoc-plugin", "maven.javadoc.skip"),
    ("maven-gpg-plugin", "gpg.skip"),
    ("maven-checkstyle-plugin", "checkstyle.skip"),
    ("maven-pmd-plugin", "pmd.skip"),
    ("maven-site-plugin", "maven.site.skip"),
    ("maven-invoker-plugin", "invoker.skip"),
    ("apache-rat-plugin", "rat.skip"),
    ("animal-sniffer-maven-plugin", "animal.sniffer.skip"),
    ("spotbugs-maven-plugin", "spotbugs.skip"),
    ("findbugs-maven-plugin", "findbugs.skip"),
    ("license-maven-plugin", "license.skip"),
    ("japicmp-maven-plugin", "japicmp.skip"),
    ("revapi-maven-plugin", "revapi.skip"),
    ("spotless-maven-plugin", "spotless.check.skip"),
    ("jacoco-maven-plugin", "jacoco.skip"),
    ("pgpverify-maven-plugin", "pgpverify.skip"),
];

/// Whether a line of a log may say why a build failed, so that it is worth keeping. Logs are long, and the reason is
/// seldom in their last lines.
pub fn is_telling(line: &str) -> bool {
    // What a rule has found stands on a line of its own, in older versions without a level.
    ["ERROR", "WARN", "Exception", "Error", "Detected "].iter().any(|word| line.contains(word))
}

/// Reads the lines of a failed build's log, in any order of importance; each cause once, the most certain first.
pub fn read_log<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Cause> {
    let mut causes: Vec<Cause> = Vec::new();
    for line in lines.into_iter().take(MAX_LINES) {
        let end = (0..=MAX_LINE.min(line.len())).rev().find(|at| line.is_char_boundary(*at)).unwrap_or(0);
        for cause in of_line(&line[..end]) {
            if !causes.contains(&cause) && causes.len() < 16 {
                causes.push(cause);
            }
        }
    }
    // Who asks for a range asks by a rule of the enforcer plugin: to switch the rule off would be no answer.
    if causes.iter().any(|cause| matches!(cause, Cause::JdkRange(_) | Cause::MavenRange(_))) {
        causes.retain(|cause| *cause != Cause::Check("enforcer.skip"));
    }
    causes.sort();
    causes
}

fn of_line(line: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let number = |behind: &str| number_behind(line, behind);
    let target = number("invalid target release: ").or_else(|| number("invalid source release: "));
    let release = number("release version ").filter(|_| line.contains("not supported"));
    causes.extend(target.or(release).map(|jdk| Cause::JdkTooOld(Some(jdk))));
    if line.contains("is no longer supported. Use") {
        // JDK 12 dropped 6, JDK 20 dropped 7.
        let most = match number("Source option ").or_else(|| number("Target option ")) {
            Some(7) => Some(19),
            Some(6) => Some(11),
            Some(_) => Some(8),
            None => None,
        };
        causes.push(Cause::JdkTooNew(most));
    }
    if let Some(class) = class_behind(line, "Unsupported class file major version ") {
        // A library in the build cannot read what this JDK has made or is.
        causes.push(Cause::JdkTooNew(class.checked_sub(45)));
    }
    if let Some(class) =
        class_behind(line, "class file version ").filter(|_| line.contains("more recent version of the Java Runtime"))
    {
        causes.push(Cause::JdkTooOld(class.checked_sub(44)));
    }
    if let Some(class) = class_behind(line, "class file has wrong version ") {
        causes.push(Cause::JdkTooOld(class.checked_sub(44)));
    }
    let gone_in_11 = [
        "package javax.xml.bind does not exist",
        "package javax.annotation does not exist",
        "package javax.xml.ws does not exist",
        "package javax.activation does not exist",
        "package javax.jws does not exist",
    ];
    if gone_in_11.iter().any(|phrase| line.contains(phrase)) || line.contains("com.sun:tools:jar") {
        causes.push(Cause::JdkTooNew(Some(8)));
    }
    let internals = [
        "class com.sun.tools.javac.tree.JCTree",
        "com.sun.tools.javac.code.TypeTag",
        "cannot access class com.sun.tools.javac",
        "does not \"opens java.",
    ];
    if internals.iter().any(|phrase| line.contains(phrase)) {
        causes.push(Cause::JdkTooNew(None));
    }
    if let Some(range) = between(line, "is not in the allowed range ", None) {
        let range = range.trim_end_matches('.').to_owned();
        if line.contains("JDK") {
            causes.push(Cause::JdkRange(range));
        } else if line.contains("Maven") {
            causes.push(Cause::MavenRange(range));
        }
    }
    for phrase in ["requires Maven version ", "required Maven version ", "Requires Maven "] {
        if let Some(version) = between(line, phrase, Some(' ')) {
            let version = version.trim_end_matches(['.', ',', ';']);
            if version.starts_with(|c: char| c.is_ascii_digit()) {
                causes.push(Cause::MavenRange(format!("[{version},)")));
            }
        }
    }
    if line.contains("could not be activated because it does not exist")
        || line.contains("could not be activated or deactivated")
    {
        let name = between(line, "profile \"", Some('"')).or_else(|| between(line, "profiles [", Some(']')));
        causes
            .extend(name.into_iter().flat_map(|names| names.split(", ")).map(|name| Cause::NoProfile(name.to_owned())));
    }
    if line.contains("Could not find the selected project in the reactor") {
        causes.push(Cause::NoModule);
    }
    if let Some(goal) = between(line, "Failed to execute goal ", None) {
        if goal.contains("maven-compiler-plugin") && goal.contains(":testCompile") {
            causes.push(Cause::TestsDoNotCompile);
        }
        let failed = goal.split(" on project ").next().unwrap_or_default();
        causes.extend(CHECKS.iter().filter(|(plugin, _)| failed.contains(plugin)).map(|(_, skip)| Cause::Check(skip)));
    }
    if let Some(program) = between(line, "Cannot run program \"", Some('"')) {
        causes.push(Cause::MissingTool(program.chars().take(64).collect()));
    }
    if line.contains("No toolchain found for type") || line.contains("Cannot find matching toolchain definitions") {
        causes.push(Cause::MissingTool("a toolchain".to_owned()));
    }
    causes
}

/// The text behind a phrase, up to a character if one is given.
fn between<'a>(line: &'a str, phrase: &str, end: Option<char>) -> Option<&'a str> {
    let rest = line.split_once(phrase)?.1;
    let text = match end {
        Some(end) => rest.split(end).next()?,
        None => rest,
    };
    Some(text.trim()).filter(|text| !text.is_empty())
}

fn number_behind(line: &str, phrase: &str) -> Option<u32> {
    let rest = line.split_once(phrase)?.1;
    let rest = rest.strip_prefix("1.").unwrap_or(rest);
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|number| (1..=40).contains(number))
}

fn class_behind(line: &str, phrase: &str) -> Option<u32> {
    let digits: String = line.split_once(phrase)?.1.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok().filter(|number| (45..=90).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(line: &str) -> Cause {
        let causes = read_log([line]);
        assert_eq!(causes.len(), 1, "{line}: {causes:?}");
        causes.into_iter().next().unwrap()
    }

    #[test]
    fn what_compilers_and_plugins_say_has_a_cause() {
        let table = [
            (
                "[ERROR] Fatal error compiling: error: invalid target release: 21 -> [Help 1]",
                Cause::JdkTooOld(Some(21)),
            ),
            ("[ERROR] Fatal error compiling: invalid target release: 1.9", Cause::JdkTooOld(Some(9))),
            ("[ERROR] error: release version 21 not supported", Cause::JdkTooOld(Some(21))),
            ("[ERROR] Source option 5 is no longer supported. Use 7 or later.", Cause::JdkTooNew(Some(8))),
            ("[ERROR] Target option 1.6 is no longer supported. Use 7 or later.", Cause::JdkTooNew(Some(11))),
            ("[ERROR] Source option 7 is no longer supported. Use 8 or later.", Cause::JdkTooNew(Some(19))),
            ("java.lang.IllegalArgumentException: Unsupported class file major version 61", Cause::JdkTooNew(Some(16))),
            (
                "UnsupportedClassVersionError: A has been compiled by a more recent version of the Java Runtime (class file version 55.0), this",
                Cause::JdkTooOld(Some(11)),
            ),
            ("[ERROR] class file has wrong version 61.0, should be 52.0", Cause::JdkTooOld(Some(17))),
            ("[ERROR] A.java:[3,22] package javax.xml.bind does not exist", Cause::JdkTooNew(Some(8))),
            ("Could not find artifact com.sun:tools:jar:1.8.0 at specified path", Cause::JdkTooNew(Some(8))),
            (
                "java.lang.NoSuchFieldError: Class com.sun.tools.javac.tree.JCTree$JCImport class com.sun.tools.javac.tree.JCTree",
                Cause::JdkTooNew(None),
            ),
            (
                "Detected JDK Version: 17.0.9 is not in the allowed range [1.8,1.9).",
                Cause::JdkRange("[1.8,1.9)".to_owned()),
            ),
            (
                "Detected Maven Version: 3.6.3 is not in the allowed range [3.8,).",
                Cause::MavenRange("[3.8,)".to_owned()),
            ),
            ("The plugin a:b requires Maven version 3.8.1 -> [Help 1]", Cause::MavenRange("[3.8.1,)".to_owned())),
            (
                "[WARNING] The requested profile \"rel\" could not be activated because it does not exist.",
                Cause::NoProfile("rel".to_owned()),
            ),
            ("[ERROR] Could not find the selected project in the reactor: :a @", Cause::NoModule),
            (
                "[ERROR] Failed to execute goal org.apache.maven.plugins:maven-compiler-plugin:3.8.1:testCompile (default-testCompile) on project a: x",
                Cause::TestsDoNotCompile,
            ),
            (
                "[ERROR] Failed to execute goal org.apache.maven.plugins:maven-javadoc-plugin:3.6.0:jar (x) on project a: y",
                Cause::Check("maven.javadoc.skip"),
            ),
            (
                "[ERROR] Failed to execute goal org.apache.maven.plugins:maven-gpg-plugin:1.6:sign (s) on project a",
                Cause::Check("gpg.skip"),
            ),
            (
                "[ERROR] Failed to execute goal org.simplify4u.plugins:pgpverify-maven-plugin:1.17.0:check (c) on project a: z",
                Cause::Check("pgpverify.skip"),
            ),
            ("[ERROR] Cannot run program \"git\" (in directory \"x\"): error=2", Cause::MissingTool("git".to_owned())),
        ];
        for (line, cause) in table {
            assert_eq!(one(line), cause, "{line}");
            assert!(is_telling(line) || !line.starts_with('['), "{line}");
        }
        assert!(read_log(["[INFO] BUILD SUCCESS", "[ERROR] cannot find symbol"]).is_empty());
    }

    #[test]
    fn a_rule_about_versions_is_obeyed_and_not_switched_off() {
        let log = [
            "[ERROR] Rule 0: org.apache.maven.enforcer.rules.version.RequireMavenVersion failed with message:",
            "[ERROR] Detected Maven Version: 3.6.3 is not in the allowed range [3.9,).",
            "[ERROR] Failed to execute goal org.apache.maven.plugins:maven-enforcer-plugin:3.4.1:enforce (e) on project a",
        ];
        assert_eq!(read_log(log), [Cause::MavenRange("[3.9,)".to_owned())]);
        assert_eq!(read_log(log[2..].iter().copied()), [Cause::Check("enforcer.skip")]);
    }

    #[test]
    fn every_switch_is_on_the_list_of_structured_specifications() {
        let mut specification = build_spec::Specification::default_maven("3.9.9");
        for (_, property) in CHECKS {
            specification.properties.insert(property.to_owned(), String::new());
        }
        specification.properties.insert("maven.test.skip".to_owned(), String::new());
        assert_eq!(specification.structured(), Ok(()));
    }

    proptest! {
        #[test]
        fn no_log_panics(lines in proptest::collection::vec("(\\PC|ä|invalid target release: |profile \"|allowed range |Failed to execute goal |1\\.|9){0,60}", 0..8)) {
            prop_assert!(read_log(lines.iter().map(String::as_str)).len() <= 16);
        }
    }
}
