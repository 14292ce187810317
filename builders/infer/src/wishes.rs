//! What the hints together say about how a release was built.

use std::collections::BTreeSet;

use build_spec::Newline;
use jar_compare::LocalTime;
use maven_layout::Coordinates;
use maven_layout::pom::{Lineage, Pom, Profile};

use crate::Chain;
use crate::checkout::Checkout;
use crate::evidence::Evidence;
use crate::pick::{Range, compiles_to, java_major};
use crate::reference::{Reference, Times};
use crate::zones;

/// Profiles that projects have for releases, the commonest first.
const RELEASE_PROFILES: [&str; 12] = [
    "release",
    "apache-release",
    "sonatype-oss-release",
    "ossrh",
    "oss-release",
    "release-profile",
    "maven-central",
    "central",
    "sonatype",
    "publish",
    "publication",
    "deploy",
];
const TIMESTAMP: &str = "project.build.outputTimestamp";

/// Everything that hints are read from.
#[derive(Debug, Clone, Copy)]
pub struct Hints<'a> {
    /// The release.
    pub release: &'a Coordinates,
    /// Its POMs.
    pub chain: &'a Chain,
    /// Its published JAR, if it has one that can be read.
    pub reference: Option<&'a Reference>,
    /// The commit, if one was established.
    pub checkout: Option<&'a Checkout>,
    /// Whether a `-sources.jar` was published.
    pub has_sources: bool,
    /// Whether the published sources have CRLF where the commit has LF.
    pub is_crlf: bool,
}

/// What a specification should say, as far as it can be told; lists are ranked.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    pub(crate) jdks: Vec<u32>,
    pub(crate) class_major: Option<u16>,
    pub(crate) jdk_ranges: Vec<Range>,
    pub(crate) mavens: Vec<String>,
    pub(crate) maven_ranges: Vec<Range>,
    pub(crate) umask: Option<u32>,
    pub(crate) newline: Newline,
    pub(crate) timezone: Option<String>,
    pub(crate) user_name: Option<String>,
    pub(crate) output_timestamp: Option<String>,
    pub(crate) profile: Option<String>,
    /// A profile that could be what is missing, or is one too many.
    pub(crate) other_profile: Option<String>,
    pub(crate) module: Option<String>,
    pub(crate) workdir: Option<String>,
    /// The POMs say themselves which time entries have.
    pub(crate) fixed_time: Option<i64>,
    /// Reasons, in the order of the fields above.
    pub evidence: Vec<Evidence>,
}

impl Wishes {
    /// Reads all hints.
    pub fn of(hints: &Hints<'_>) -> Self {
        let mut wishes = Self::default();
        let poms: Vec<&Pom> = hints.chain.iter().map(|(_, pom)| pom).collect();
        let lineage = Lineage::new(&poms);
        wishes.jdk(hints, &lineage);
        wishes.maven(hints, &lineage);
        wishes.times(hints, &lineage);
        if let Some(reference) = hints.reference {
            wishes.surroundings(reference);
        }
        if hints.is_crlf {
            wishes.newline = Newline::Crlf;
            wishes.say("newline", "crlf", "most published sources have CRLF where the commit has LF");
        }
        wishes.profiles(hints, &poms);
        wishes.modules(hints);
        wishes
    }

    fn say(&mut self, about: &'static str, value: impl AsRef<str>, from: impl AsRef<str>) {
        self.evidence.push(Evidence::new(about, value, from));
    }

    fn jdk(&mut self, hints: &Hints<'_>, lineage: &Lineage<'_>) {
        if let Some((jdk, from)) = hints.reference.and_then(|reference| reference.jdk.clone()) {
            self.wish_jdk(jdk, &from);
        }
        for (jdk, from) in hints.checkout.map(Checkout::jdks).unwrap_or_default() {
            self.wish_jdk(jdk, &from);
        }
        for text in lineage.poms().flat_map(|pom| &pom.requirements.java) {
            if let Some(range) = lineage.resolve(text).as_deref().and_then(Range::parse) {
                self.say("jdk", text, "requireJavaVersion of the POMs");
                self.jdk_ranges.push(range);
            }
        }
        self.class_major = hints.reference.and_then(|reference| reference.class_major);
        if let Some(major) = self.class_major {
            let oldest = u32::from(major.saturating_sub(44));
            self.say("jdk", format!("at least {oldest}"), format!("class files of version {major}"));
            self.jdks.push(oldest);
        }
        let properties = ["maven.compiler.release", "maven.compiler.target", "java.version", "jdk.version"];
        let stated = properties.iter().map(|name| format!("${{{name}}}"));
        let compiler = lineage.poms().flat_map(|pom| &pom.requirements.compiler).cloned();
        if let Some((text, jdk)) = stated
            .chain(compiler)
            .find_map(|text| Some((text.clone(), lineage.resolve(&text).as_deref().and_then(java_major)?)))
        {
            self.say("jdk", format!("at least {jdk}"), format!("{text} of the POMs"));
            self.jdks.push(jdk);
        }
        let mut seen = BTreeSet::new();
        self.jdks.retain(|jdk| seen.insert(*jdk));
    }

    fn wish_jdk(&mut self, jdk: u32, from: &str) {
        self.say("jdk", jdk.to_string(), from);
        self.jdks.push(jdk);
    }

    fn maven(&mut self, hints: &Hints<'_>, lineage: &Lineage<'_>) {
        if let Some((version, from)) = hints.reference.and_then(|reference| reference.maven.clone()) {
            self.say("tool", format!("maven-{version}"), from);
            self.mavens.push(version);
        }
        for (version, from) in hints.checkout.map(Checkout::mavens).unwrap_or_default() {
            self.say("tool", format!("maven-{version}"), from);
            self.mavens.push(version);
        }
        let plugin = |pom: &Pom| {
            let plugins = pom.build.plugins.iter().chain(&pom.build.managed_plugins);
            plugins.filter(|plugin| plugin.artifact_id.as_deref() == Some("maven-jar-plugin")).count()
        };
        let is_stated = lineage.poms().any(|pom| plugin(pom) > 0);
        if let Some(version) =
            hints.reference.and_then(|reference| reference.jar_plugin.as_deref()).filter(|_| !is_stated)
        {
            // The version that a Maven takes when nobody states one, by its default lifecycle bindings.
            let range = match version {
                "3.3.0" => Some("[3.9.0,3.9.7)"),
                // Every pre-release of 4 is below 4.
                "3.4.1" => Some("[3.9.7,4.0.0-alpha-1)"),
                _ => None,
            };
            if let Some(range) = range.and_then(|text| Some((text, Range::parse(text)?))) {
                self.say("tool", range.0, format!("maven-jar-plugin {version}, which no POM states, is its default"));
                self.maven_ranges.push(range.1);
            }
        }
        for text in lineage.poms().flat_map(|pom| &pom.requirements.maven) {
            if let Some(range) = lineage.resolve(text).as_deref().and_then(Range::parse) {
                self.say("tool", format!("maven {text}"), "prerequisites or requireMavenVersion of the POMs");
                self.maven_ranges.push(range);
            }
        }
    }

    fn times(&mut self, hints: &Hints<'_>, lineage: &Lineage<'_>) {
        let stated = lineage.poms().find_map(|pom| pom.properties.get(TIMESTAMP));
        let fixed = stated.and_then(|text| lineage.resolve(text)).as_deref().and_then(zones::output_timestamp);
        self.fixed_time = fixed.map(|time| time.as_second());
        let Some(reference) = hints.reference else { return };
        if let Some((zone, from)) = &reference.zone {
            self.timezone = Some(zone.clone());
            self.say("timezone", zone, from);
        }
        let Times::One(local, unix) = reference.times else { return };
        match (self.fixed_time, unix) {
            (Some(instant), _) => self.zone_of(local, instant, "the entries' time beside the POMs' outputTimestamp"),
            (None, Some(instant)) => {
                self.wish_timestamp(instant, "all entries have one time");
                self.zone_of(local, instant, "the entries' local time beside their instant");
            }
            (None, None) => {
                if let Some(time) = zones::as_utc(local) {
                    self.wish_timestamp(time.as_second(), "all entries have one time, taken as UTC");
                }
            }
        }
    }

    fn wish_timestamp(&mut self, seconds: i64, from: &str) {
        let time = jiff::Timestamp::from_second(seconds).ok();
        if let Some(time) = time.filter(|time| zones::is_for_archives(*time)) {
            self.say("output_timestamp", time.to_string(), from);
            self.output_timestamp = Some(time.to_string());
        }
    }

    fn zone_of(&mut self, local: LocalTime, instant: i64, from: &str) {
        // A zone that was read by its name knows of summer time, and archivers of today write UTC wherever they run.
        if let Some(zone) = zones::by_difference(local, instant).filter(|_| self.timezone.is_none()) {
            self.say("timezone", &zone, from);
            self.timezone = Some(zone);
        }
    }

    fn surroundings(&mut self, reference: &Reference) {
        if let Some((mask, from)) = &reference.umask {
            self.umask = Some(*mask);
            self.say("umask", format!("{mask:04o}"), from);
        }
        if let Some((Newline::Crlf, from)) = &reference.newline {
            self.newline = Newline::Crlf;
            self.say("newline", "crlf", from);
        }
        if let Some(name) = &reference.built_by {
            self.user_name = Some(name.clone());
            self.say("user_name", name, "Built-By of META-INF/MANIFEST.MF");
        }
        if let Some((folder, from)) = &reference.folder {
            if ["/home/", "/var/", "/Users/"].iter().any(|top| folder.starts_with(top)) {
                self.workdir = Some(folder.clone());
                self.say("workdir", folder, from);
            } else {
                self.say("workdir", "the default", format!("{folder}, by {from}, can not be had in a sandbox"));
            }
        }
    }

    fn profiles(&mut self, hints: &Hints<'_>, poms: &[&Pom]) {
        let source_plugin = |build: &maven_layout::pom::Build| {
            build.plugins.iter().any(|plugin| plugin.artifact_id.as_deref() == Some("maven-source-plugin"))
        };
        let root = hints.checkout.and_then(Checkout::root);
        let all = || poms.iter().copied().chain(root).flat_map(|pom| &pom.profiles);
        let plain = |profile: &&Profile| {
            profile.id.as_deref().is_some_and(|id| {
                !id.is_empty() && id.len() < 64 && id.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
            }) && profile.active_by_default.as_deref() != Some("true")
        };
        let known = RELEASE_PROFILES
            .iter()
            .find_map(|name| all().filter(plain).find(|profile| profile.id.as_deref() == Some(*name)));
        let attaching = all().filter(plain).find(|profile| source_plugin(&profile.build));
        let Some(profile) = attaching.or(known).and_then(|profile| profile.id.clone()) else { return };
        let always = poms.iter().any(|pom| source_plugin(&pom.build));
        if hints.has_sources && !always {
            self.say("profiles", &profile, "a -sources.jar was published, which the build attaches in no other way");
            self.profile = Some(profile);
        } else {
            let text = match always {
                true => "sources are attached without it",
                false => "no -sources.jar was published",
            };
            self.say("profiles", format!("not {profile}"), text);
            self.other_profile = Some(profile);
        }
    }

    fn modules(&mut self, hints: &Hints<'_>) {
        let Some(checkout) = hints.checkout else { return };
        let [path] = checkout.declared() else { return };
        let in_reactor = checkout.root().is_some_and(|root| !root.modules.is_empty());
        if path != "pom.xml" && in_reactor {
            let module = format!(":{}", hints.release.artifact);
            self.say(
                "modules",
                &module,
                format!("{path} declares the release, the rest is built only where it needs it"),
            );
            self.module = Some(module);
        }
    }

    /// Whether nothing that is known speaks against a JDK.
    pub(crate) fn allows_jdk(&self, jdk: u32) -> bool {
        self.class_major.is_none_or(|major| compiles_to(major, jdk))
            && self.jdk_ranges.iter().all(|range| range.holds_jdk(jdk))
    }

    /// Whether nothing that is known speaks against a Maven.
    pub(crate) fn allows_maven(&self, version: &str) -> bool {
        self.maven_ranges.iter().all(|range| range.holds(version))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::tests::jar;
    use jar_compare::{Limits, Listing};

    fn chain(poms: &[&str]) -> Vec<(Coordinates, Pom)> {
        let release: Coordinates = "org.acme:lib:1".parse().unwrap();
        poms.iter()
            .map(|body| (release.clone(), Pom::parse(format!("<project>{body}</project>").as_bytes()).unwrap()))
            .collect()
    }

    fn wishes(poms: &[&str], manifest: &str, checkout: Option<&Checkout>, has_sources: bool) -> Wishes {
        let chain = chain(poms);
        let bytes = jar(&[
            ("META-INF/MANIFEST.MF", 0o644, (2021, 6), manifest.as_bytes()),
            ("A.class", 0o664, (2021, 6), &[0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52]),
        ]);
        let reference = Reference::read(&Listing::open(&bytes, &Limits::default()).unwrap());
        let release = "org.acme:lib:1".parse().unwrap();
        Wishes::of(&Hints {
            release: &release,
            chain: &chain,
            reference: Some(&reference),
            checkout,
            has_sources,
            is_crlf: false,
        })
    }

    #[test]
    fn the_jar_speaks_before_the_repository_and_that_before_the_poms() {
        let mut checkout = Checkout::new("org.acme:lib:1".parse().unwrap());
        checkout.add(".sdkmanrc", b"java=21.0.1-tem\nmaven=3.9.6\n");
        let pom = "<properties><maven.compiler.release>8</maven.compiler.release></properties>\
            <prerequisites><maven>3.6.0</maven></prerequisites>";
        let found = wishes(&[pom], "Build-Jdk-Spec: 17\nCreated-By: Apache Maven 3.8.1\n", Some(&checkout), false);
        assert_eq!(found.jdks, [17, 21, 8]);
        assert_eq!(found.mavens, ["3.8.1", "3.9.6"]);
        assert!(found.allows_maven("3.6.3") && !found.allows_maven("3.5.4"));
        assert!(found.allows_jdk(8) && !found.allows_jdk(7));
        let told: Vec<String> = found.evidence.iter().map(ToString::to_string).collect();
        assert!(told.contains(&"jdk 17: Build-Jdk-Spec of META-INF/MANIFEST.MF".to_owned()), "{told:?}");
        assert!(told.contains(&"umask 0002: most files have mode 0664".to_owned()), "{told:?}");
    }

    #[test]
    fn the_time_of_entries_is_a_timestamp_or_beside_one_a_zone() {
        let found = wishes(&[""], "A: 1\n", None, false);
        assert_eq!(found.output_timestamp.as_deref(), Some("2021-03-04T06:06:08Z"));
        assert_eq!(found.timezone, None);
        let fixed = "<properties><project.build.outputTimestamp>2021-03-04T05:06:08Z</project.build.outputTimestamp></properties>";
        let found = wishes(&["", fixed], "A: 1\n", None, false);
        assert_eq!((found.output_timestamp, found.timezone.as_deref()), (None, Some("Etc/GMT-1")));
    }

    #[test]
    fn a_profile_is_wished_where_sources_were_published_that_nothing_else_attaches() {
        let plugin = "<build><plugins><plugin><artifactId>maven-source-plugin</artifactId></plugin></plugins></build>";
        let profile =
            format!("<profiles><profile><id>sign</id></profile><profile><id>rel</id>{plugin}</profile></profiles>");
        assert_eq!(wishes(&["", &profile], "A: 1\n", None, true).profile.as_deref(), Some("rel"));
        assert_eq!(wishes(&["", &profile], "A: 1\n", None, false).other_profile.as_deref(), Some("rel"));
        let both = format!("{profile}{plugin}");
        assert_eq!(wishes(&[&both], "A: 1\n", None, true).profile, None);
        let known = "<profiles><profile><id>apache-release</id></profile></profiles>";
        assert_eq!(wishes(&["", known], "A: 1\n", None, true).profile.as_deref(), Some("apache-release"));
        let hostile = format!("<profiles><profile><id>x,!y -Dz</id>{plugin}</profile></profiles>");
        assert_eq!(wishes(&[&hostile], "A: 1\n", None, true).profile, None);
    }

    #[test]
    fn a_module_is_built_with_what_it_needs_only() {
        let mut checkout = Checkout::new("org.acme:lib:1".parse().unwrap());
        checkout.add("pom.xml", b"<project><modules><module>lib</module></modules></project>");
        checkout.add(
            "lib/pom.xml",
            b"<project><groupId>org.acme</groupId><artifactId>lib</artifactId><version>1</version></project>",
        );
        assert_eq!(wishes(&[""], "A: 1\n", Some(&checkout), false).module.as_deref(), Some(":lib"));
    }

    #[test]
    fn the_default_jar_plugin_tells_the_line_of_maven() {
        let found = wishes(&[""], "Created-By: Maven JAR Plugin 3.4.1\n", None, false);
        assert!(found.allows_maven("3.9.9") && !found.allows_maven("3.9.6") && !found.allows_maven("3.8.8"));
        let stated = "<build><plugins><plugin><artifactId>maven-jar-plugin</artifactId></plugin></plugins></build>";
        assert!(wishes(&[stated], "Created-By: Maven JAR Plugin 3.4.1\n", None, false).allows_maven("3.8.8"));
    }
}
