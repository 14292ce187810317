//! Which specifications are tried, in which order, and what a failure changes.
//!
//! The first one is what the hints say. After each attempt [`Plan::next`] reads what went wrong, or what is different, and
//! changes just that; where nothing can be read, the next alternative of the hints is taken. No specification is tried
//! twice, and one that the builder cannot do is left out by name.

use std::collections::{BTreeSet, VecDeque};

use build_spec::{Newline, Specification, Tool};
use maven_layout::version;
use pyrsia_digest::Sha256;

use crate::causes::{Cause, read_log};
use crate::evidence::shown;
use crate::pick::Range;
use crate::reference::{Reference, Times};
use crate::wishes::Wishes;
use crate::zones;

/// Alternatives that are kept.
const MOST: usize = 16;
/// Things left out that are told.
const MOST_SKIPPED: usize = 32;

/// What this machine can build with, by its own configuration.
#[derive(Debug, Clone, Default)]
pub struct Tools {
    /// Majors of JDKs that there are images of.
    pub jdks: BTreeSet<u32>,
    /// Mavens that are pinned.
    pub mavens: Vec<String>,
    /// The one that is taken where nothing speaks for another.
    pub default_maven: String,
    /// The JDK of the same kind.
    pub default_jdk: u32,
}

/// One specification to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// What to build with.
    pub specification: Specification,
    /// Why this one, in sentences.
    pub why: Vec<String>,
}

/// How an attempt ended that was not good enough.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// The build failed; the telling lines of its log, oldest first.
    Failed {
        /// Lines.
        log: &'a [String],
    },
    /// It made something else than what was published.
    Different {
        /// What the built JAR tells, if one was built.
        built: Option<&'a Reference>,
        /// What the published one tells.
        reference: Option<&'a Reference>,
        /// Names of files that were published and not built.
        not_built: &'a [String],
    },
}

/// Says why a specification cannot be built with, if it cannot.
type Supports = Box<dyn Fn(&Specification) -> Result<(), String> + Send + Sync>;

/// Puts one field of a specification back to what the plain one has.
type Reset = fn(&mut Specification, &Specification);

/// The order of attempts.
pub struct Plan {
    wishes: Wishes,
    tools: Tools,
    supports: Supports,
    queue: VecDeque<Candidate>,
    tried: BTreeSet<Sha256>,
    skipped: Vec<String>,
    last: Option<Specification>,
}

impl Plan {
    /// Makes a plan. `supports` is the builder's own opinion of a specification.
    pub fn new(
        wishes: Wishes,
        tools: Tools,
        supports: impl Fn(&Specification) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        let mut plan = Self {
            wishes,
            tools,
            supports: Box::new(supports),
            queue: VecDeque::new(),
            tried: BTreeSet::new(),
            skipped: Vec::new(),
            last: None,
        };
        plan.fill();
        plan
    }

    /// What is left out, and why: a JDK without an image, a Maven that is not pinned, what the builder cannot do.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }

    /// What would be tried from here on if nothing more were learnt.
    pub fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.queue.iter()
    }

    /// The first specification; none if nothing can be built with here.
    pub fn first(&mut self) -> Option<Candidate> {
        let candidate = self.queue.pop_front()?;
        Some(self.take(candidate))
    }

    /// The specification to try after an attempt; none if there is nothing left to try.
    pub fn next(&mut self, outcome: &Outcome<'_>) -> Option<Candidate> {
        if let Some(last) = self.last.clone() {
            let mut changed = last.clone();
            let why = match outcome {
                Outcome::Failed { log } => self.after_failure(&mut changed, log),
                Outcome::Different { built, reference, not_built } => {
                    self.after_difference(&mut changed, *built, *reference, not_built)
                }
            };
            if changed != last
                && let Some(candidate) = self.possible(Candidate { specification: changed, why })
                && !self.tried.contains(&candidate.specification.digest())
            {
                return Some(self.take(candidate));
            }
        }
        while let Some(mut candidate) = self.queue.pop_front() {
            // What was switched off because it failed would fail again.
            if let Some(last) = &self.last {
                candidate.specification.properties.extend(last.properties.clone());
            }
            if !self.tried.contains(&candidate.specification.digest()) {
                return Some(self.take(candidate));
            }
        }
        None
    }

    fn take(&mut self, candidate: Candidate) -> Candidate {
        self.tried.insert(candidate.specification.digest());
        self.last = Some(candidate.specification.clone());
        candidate
    }

    fn skip(&mut self, text: String) {
        let text = shown(&text);
        if self.skipped.len() < MOST_SKIPPED && !self.skipped.contains(&text) {
            self.skipped.push(text);
        }
    }

    /// The specification of the hints, then one for each thing that could well be otherwise.
    fn fill(&mut self) {
        let (jdks, mavens) = (self.jdks(), self.mavens());
        let (Some(jdk), Some(maven)) = (jdks.first(), mavens.first()) else {
            self.skip("there is no JDK or no Maven to build with".to_owned());
            return;
        };
        let mut first = Specification::default_maven(maven);
        first.jdk = *jdk;
        let wishes = self.wishes.clone();
        first.profiles.extend(wishes.profile.clone());
        first.modules.extend(wishes.module.clone());
        first.newline = wishes.newline;
        first.user_name = wishes.user_name.clone();
        first.output_timestamp = wishes.output_timestamp.clone();
        if let Some(mask) = wishes.umask {
            first.umask = format!("{mask:04o}");
        }
        if let Some(zone) = &wishes.timezone {
            first.timezone = zone.clone();
        }
        if let Some(folder) = &wishes.workdir {
            first.workdir = folder.clone();
        }
        let mut all = vec![(first.clone(), "what the hints say".to_owned())];
        let mut also = |change: &dyn Fn(&mut Specification), why: String| {
            let mut other = first.clone();
            change(&mut other);
            all.push((other, why));
        };
        if let Some(profile) = &wishes.profile {
            also(&|spec| spec.profiles.clear(), format!("without the profile {profile}"));
        }
        if let Some(profile) = &wishes.other_profile {
            also(&|spec| spec.profiles = vec![profile.clone()], format!("with the profile {profile}"));
        }
        for other in &jdks[1..] {
            also(&|spec| spec.jdk = *other, format!("with JDK {other}"));
        }
        if !first.modules.is_empty() {
            also(&|spec| spec.modules.clear(), "with the whole reactor".to_owned());
        }
        for other in &mavens[1..] {
            also(&|spec| spec.tool = Tool::Maven(other.clone()), format!("with Maven {other}"));
        }
        for (specification, why) in all.into_iter().take(MOST) {
            if let Some(candidate) = self.possible(Candidate { specification, why: vec![why] })
                && !self.queue.iter().any(|known| known.specification == candidate.specification)
            {
                self.queue.push_back(candidate);
            }
        }
    }

    /// Makes a candidate one that can be built with, field by field; what is given up is told. None if nothing helps.
    fn possible(&mut self, mut candidate: Candidate) -> Option<Candidate> {
        let plain = Specification::default_maven(&self.tools.default_maven);
        let give_up: [(&str, Reset); 6] = [
            ("newline", |spec, plain| spec.newline = plain.newline),
            ("user_name", |spec, plain| spec.user_name = plain.user_name.clone()),
            ("workdir", |spec, plain| spec.workdir = plain.workdir.clone()),
            ("timezone", |spec, plain| spec.timezone = plain.timezone.clone()),
            ("profiles", |spec, plain| spec.profiles = plain.profiles.clone()),
            ("modules", |spec, plain| spec.modules = plain.modules.clone()),
        ];
        let problem = |plan: &Self, spec: &Specification| -> Option<String> {
            let valid = spec.check().map_err(|error| error.to_string());
            valid.and_then(|()| (plan.supports)(spec)).err()
        };
        for (name, reset) in give_up {
            let Some(text) = problem(self, &candidate.specification) else { return Some(candidate) };
            let mut without = candidate.specification.clone();
            reset(&mut without, &plain);
            // Only what changes the answer was the reason.
            if without != candidate.specification && problem(self, &without).as_deref() != Some(&*text) {
                self.skip(format!("{name}: {text}"));
                candidate.why.push(format!("without the wished {name}: {text}"));
                candidate.specification = without;
            }
        }
        match problem(self, &candidate.specification) {
            None => Some(candidate),
            Some(text) => {
                let spec = &candidate.specification;
                self.skip(format!("{} on JDK {}: {text}", spec.tool, spec.jdk));
                None
            }
        }
    }

    /// JDKs that there are, the likeliest first.
    fn jdks(&mut self) -> Vec<u32> {
        let mut ranked: Vec<u32> = Vec::new();
        let wished = match self.wishes.jdks.first() {
            Some(_) => self.wishes.jdks.clone(),
            None => vec![self.tools.default_jdk],
        };
        for jdk in &wished {
            let there = &self.tools.jdks;
            // What there is no image of is nearest in the next JDK: it can compile whatever the older one could.
            let nearest =
                there.get(jdk).or_else(|| there.range(*jdk..).next()).or_else(|| there.range(..*jdk).next_back());
            let nearest = nearest.copied();
            if nearest != Some(*jdk) {
                self.skip(format!("JDK {jdk}: there is no image with it here"));
            }
            ranked.extend(nearest);
        }
        let first = wished.first().copied().unwrap_or(self.tools.default_jdk);
        let mut rest: Vec<u32> = self.tools.jdks.iter().copied().collect();
        rest.sort_by_key(|jdk| (jdk.abs_diff(first), *jdk));
        ranked.extend(rest);
        let mut seen = BTreeSet::new();
        ranked.retain(|jdk| seen.insert(*jdk));
        let (allowed, others): (Vec<u32>, Vec<u32>) = ranked.into_iter().partition(|jdk| self.wishes.allows_jdk(*jdk));
        if allowed.is_empty() { others } else { allowed }
    }

    /// Mavens that there are, the likeliest first: those of the wished lines, the default, the newest of each line, then the
    /// others. Hardly any release was made with a pre-release.
    fn mavens(&mut self) -> Vec<String> {
        let mut known = self.tools.mavens.clone();
        known.sort_by(|a, b| version::compare(a, b));
        let mut ranked: Vec<String> = Vec::new();
        for wished in self.wishes.mavens.clone() {
            let same = || known.iter().filter(|other| line(other) == line(&wished));
            let later = |other: &&String| version::compare(other, &wished).is_ge();
            let nearest = same().find(later).or_else(|| same().next_back()).or_else(|| known.iter().find(later));
            let nearest = nearest.or(known.last()).cloned();
            if nearest.as_ref() != Some(&wished) {
                let instead = nearest.as_deref().unwrap_or("none");
                self.skip(format!("Maven {wished}: it is not pinned here; the nearest is {instead}"));
            }
            ranked.extend(nearest);
        }
        ranked.push(self.tools.default_maven.clone());
        let (releases, unfinished): (Vec<&String>, Vec<&String>) =
            known.iter().rev().partition(|version| !version.contains('-'));
        let mut lines = BTreeSet::new();
        let (newest, older): (Vec<&String>, Vec<&String>) =
            releases.into_iter().partition(|&version| lines.insert(line(version)));
        ranked.extend(newest.into_iter().chain(older).chain(unfinished).cloned());
        ranked.retain(|version| known.contains(version));
        let mut seen = BTreeSet::new();
        ranked.retain(|version| seen.insert(version.clone()));
        let allows = |version: &String| self.wishes.allows_maven(version);
        let (allowed, others): (Vec<String>, Vec<String>) = ranked.into_iter().partition(allows);
        if allowed.is_empty() { others } else { allowed }
    }

    fn after_failure(&mut self, spec: &mut Specification, log: &[String]) -> Vec<String> {
        let mut why = Vec::new();
        for cause in read_log(log.iter().map(String::as_str)) {
            let before = spec.clone();
            match &cause {
                Cause::JdkTooNew(most) => {
                    let most = most.unwrap_or(u32::MAX).min(spec.jdk.saturating_sub(1));
                    self.move_jdk(spec, |jdk| jdk <= most, "not newer");
                }
                Cause::JdkTooOld(least) => {
                    let least = least.unwrap_or(0).max(spec.jdk + 1);
                    self.move_jdk(spec, |jdk| jdk >= least, "not older");
                }
                Cause::JdkRange(text) => match Range::parse(text) {
                    Some(range) => {
                        self.move_jdk(spec, |jdk| range.holds_jdk(jdk), text);
                        self.wishes.jdk_ranges.push(range);
                    }
                    None => continue,
                },
                Cause::MavenRange(text) => match Range::parse(text) {
                    Some(range) => {
                        self.wishes.maven_ranges.push(range.clone());
                        match self.mavens().into_iter().find(|version| range.holds(version)) {
                            Some(version) => spec.tool = Tool::Maven(version),
                            None => self.skip(format!("Maven {text}: none of those that are pinned here")),
                        }
                    }
                    None => continue,
                },
                Cause::NoProfile(name) => spec.profiles.retain(|profile| profile != name),
                Cause::NoModule => spec.modules.clear(),
                Cause::TestsDoNotCompile => {
                    spec.properties.insert("maven.test.skip".to_owned(), "true".to_owned());
                }
                Cause::Check(property) => {
                    if spec.properties.contains_key(*property) {
                        // The switch did not help: what the profile adds is what fails.
                        spec.profiles.clear();
                    } else {
                        spec.properties.insert((*property).to_owned(), "true".to_owned());
                    }
                }
                Cause::MissingTool(_) => self.skip(cause.to_string()),
            }
            if *spec != before {
                why.push(cause.to_string());
            }
        }
        why
    }

    /// Takes the nearest JDK of those that are wanted.
    fn move_jdk(&mut self, spec: &mut Specification, wanted: impl Fn(u32) -> bool, what: &str) {
        let now = spec.jdk;
        match self.tools.jdks.iter().copied().filter(|jdk| wanted(*jdk)).min_by_key(|jdk| jdk.abs_diff(now)) {
            Some(jdk) => spec.jdk = jdk,
            None => self.skip(format!("a JDK in place of {now} ({what}): there is no image with one here")),
        }
    }

    fn after_difference(
        &mut self,
        spec: &mut Specification,
        built: Option<&Reference>,
        reference: Option<&Reference>,
        not_built: &[String],
    ) -> Vec<String> {
        let mut why = Vec::new();
        if let (Some(built), Some(reference)) = (built, reference) {
            self.jdk_differs(spec, built, reference, &mut why);
            if let (Some((ours, _)), Some((theirs, from))) = (&built.maven, &reference.maven)
                && ours != theirs
                && self.tools.mavens.contains(theirs)
            {
                spec.tool = Tool::Maven(theirs.clone());
                why.push(format!("{from} says Maven {theirs}, ours says {ours}"));
            }
            if let (Some((ours, _)), Some((theirs, _))) = (&built.umask, &reference.umask)
                && ours != theirs
            {
                spec.umask = format!("{theirs:04o}");
                why.push(format!("the modes of the entries differ: umask {theirs:04o} instead of {ours:04o}"));
            }
            if let (Some((ours, _)), Some((theirs, from))) = (&built.newline, &reference.newline)
                && ours != theirs
            {
                spec.newline = *theirs;
                let name = if *theirs == Newline::Crlf { "CRLF" } else { "LF" };
                why.push(format!("{from} are {name}"));
            }
            if built.built_by != reference.built_by
                && let Some(theirs) = &reference.built_by
            {
                spec.user_name = Some(theirs.clone());
                why.push(format!("Built-By is {theirs}"));
            }
            self.times_differ(spec, built, reference, &mut why);
        }
        let lacks_sources = not_built.iter().any(|name| name.ends_with("-sources.jar"));
        if let (true, Some(profile)) = (lacks_sources && spec.profiles.is_empty(), &self.wishes.other_profile) {
            spec.profiles.push(profile.clone());
            why.push(format!("the -sources.jar was not built, the profile {profile} may attach it"));
        }
        why
    }

    fn jdk_differs(
        &mut self,
        spec: &mut Specification,
        built: &Reference,
        reference: &Reference,
        why: &mut Vec<String>,
    ) {
        let ours = built.jdk.as_ref().map(|(jdk, _)| *jdk);
        if let Some((theirs, from)) = &reference.jdk
            && ours.is_some_and(|ours| ours != *theirs)
        {
            if self.tools.jdks.contains(theirs) {
                spec.jdk = *theirs;
                why.push(format!("{from} says JDK {theirs}"));
            } else {
                self.skip(format!("JDK {theirs}: there is no image with it here"));
            }
            return;
        }
        if let (Some(ours), Some(theirs)) = (built.class_major, reference.class_major)
            && ours != theirs
        {
            let jdk = u32::from(theirs.saturating_sub(44));
            if self.tools.jdks.contains(&jdk) {
                spec.jdk = jdk;
                why.push(format!("class files have version {theirs}, ours {ours}: the target follows the JDK"));
            } else {
                self.skip(format!("JDK {jdk}: there is no image with it here"));
            }
        }
    }

    fn times_differ(
        &mut self,
        spec: &mut Specification,
        built: &Reference,
        reference: &Reference,
        why: &mut Vec<String>,
    ) {
        let Times::One(theirs, _) = reference.times else { return };
        let Times::One(ours, _) = built.times else { return };
        if ours == theirs {
            return;
        }
        let Some(now) = zones::as_utc(ours) else { return };
        match zones::by_difference(theirs, now.as_second()) {
            // Ours is the time of UTC only if the build ran there.
            Some(zone) if spec.timezone == "UTC" && zone != "UTC" => {
                why.push(format!("the entries' times differ by whole hours, as in {zone}"));
                spec.timezone = zone;
            }
            _ => {
                let free = |time: &jiff::Timestamp| self.wishes.fixed_time.is_none() && zones::is_for_archives(*time);
                if let Some(time) = zones::as_utc(theirs).filter(free) {
                    spec.output_timestamp = Some(time.to_string());
                    why.push(format!("all entries have the time {time}"));
                }
            }
        }
    }
}

/// The line that a version of Maven belongs to: `3.9`.
fn line(version: &str) -> Vec<&str> {
    version.split('.').take(2).collect()
}

#[cfg(test)]
mod tests;
