//! What to fetch ahead, in which order, and when to stop. No clock, no runtime, no files.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use maven_layout::pom::{Lineage, Pom};
use maven_layout::{ArtifactId, ArtifactRef, Coordinates, GroupId, RepoPath, Version};

use super::ReadAhead;
use super::expect::{Excluded, Family, Next, Role, main_file};

/// Parents of parents, and bills of materials in others.
const DEPTH: usize = 24;
/// Dependencies of dependencies: this far beyond what a client has read.
const AHEAD: usize = 3;
/// POMs that are kept in memory, and paths that are remembered, until there is a pause.
const MEMORY: usize = 4_000;
/// The bytes of these POMs.
const MEMORY_BYTES: u64 = 32 << 20;
/// Bytes of a POM with its parents and bills of materials, each as often as it takes part: what is larger is not understood, since
/// every release of that family would cost so much again.
const FAMILY_BYTES: u64 = 4 << 20;

/// Something to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// The POM of a release, to be read.
    Pom(Coordinates),
    /// A file, to be here when it is asked for.
    File(RepoPath),
}

/// What came of a step.
#[derive(Debug)]
pub(super) enum Arrived {
    /// A POM and its size in bytes.
    Pom(Arc<Pom>, u64),
    /// A file of this size in bytes, which was not here before.
    File(u64),
    /// Nothing, or nothing new.
    Nothing,
}

/// A release whose POM is to be read.
#[derive(Debug, Clone)]
struct Visit {
    of: Coordinates,
    /// The release of which it is a dependency, and so on, at most [`AHEAD`].
    trail: Vec<Coordinates>,
    role: Role,
    excluded: Excluded,
}

/// The plan for all clients together. It begins anew after a pause.
pub(super) struct Plan {
    limits: ReadAhead,
    /// With their sizes in bytes; `None` for what is not to be had.
    poms: HashMap<Coordinates, Option<(Arc<Pom>, u64)>>,
    pom_bytes: u64,
    /// Releases that are visited or were.
    visited: HashSet<Coordinates>,
    /// Releases whose POM a client has got.
    asked: HashSet<Coordinates>,
    /// The version of each artifact that was expected first.
    first: HashMap<(GroupId, ArtifactId), Version>,
    /// Paths that were steps.
    steps: HashSet<RepoPath>,
    /// For POMs that are under way.
    waiting: HashMap<Coordinates, Vec<Visit>>,
    /// Until a client gets so far: by each release whose POM it may get first.
    parked: HashMap<Coordinates, Vec<Visit>>,
    poms_next: VecDeque<Coordinates>,
    files_next: VecDeque<RepoPath>,
    files_under_way: usize,
    /// Files that were fetched ahead and that nobody has asked for, with their sizes.
    unasked: HashMap<RepoPath, u64>,
    unasked_bytes: u64,
    last_asked: u64,
}

impl Plan {
    pub(super) fn new(limits: ReadAhead) -> Self {
        Self {
            limits,
            poms: HashMap::new(),
            pom_bytes: 0,
            visited: HashSet::new(),
            asked: HashSet::new(),
            first: HashMap::new(),
            steps: HashSet::new(),
            waiting: HashMap::new(),
            parked: HashMap::new(),
            poms_next: VecDeque::new(),
            files_next: VecDeque::new(),
            files_under_way: 0,
            unasked: HashMap::new(),
            unasked_bytes: 0,
            last_asked: 0,
        }
    }

    pub(super) fn limits(&self) -> &ReadAhead {
        &self.limits
    }

    /// Whether there is nothing to forget.
    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.poms.is_empty()
    }

    /// A client got a file that has not been here for long. Seconds since 1970.
    pub(super) fn asked(&mut self, path: &RepoPath, now: u64) {
        self.rest(now);
        self.last_asked = now;
        if let Some(size) = self.unasked.remove(path) {
            self.unasked_bytes = self.unasked_bytes.saturating_sub(size);
        }
        let Some(asked) = ArtifactRef::from_path(path) else { return };
        self.steps.insert(path.clone());
        if asked.extension.as_str() != "pom" || asked.classifier.is_some() {
            return;
        }
        let of = asked.coordinates;
        // What nothing led to is named by the project itself: by its parent, its dependencies, its plugins.
        let led_to = self.poms.contains_key(&of) || self.waiting.contains_key(&of) || self.parked.contains_key(&of);
        self.asked.insert(of.clone());
        self.want_pom(&of);
        self.want_file_of(&of);
        let parked = self.parked.remove(&of).unwrap_or_default();
        self.visit(parked);
        if !led_to {
            self.visit(vec![Visit { of, trail: Vec::new(), role: Role::Parent, excluded: Excluded::default() }]);
        }
    }

    /// What to fetch next, if anything.
    pub(super) fn next(&mut self, now: u64) -> Option<Step> {
        self.rest(now);
        if self.unasked.len() >= self.limits.files || self.unasked_bytes >= self.limits.bytes {
            return None;
        }
        if let Some(of) = self.poms_next.pop_front() {
            return Some(Step::Pom(of));
        }
        // Large files leave room for the POMs that tell what else is needed.
        if self.files_under_way.saturating_mul(2) > self.limits.at_once {
            return None;
        }
        let path = self.files_next.pop_front()?;
        self.files_under_way = self.files_under_way.saturating_add(1);
        Some(Step::File(path))
    }

    /// What came of a step.
    pub(super) fn arrived(&mut self, step: Step, arrived: Arrived) {
        match step {
            Step::File(path) => {
                self.files_under_way = self.files_under_way.saturating_sub(1);
                if let Arrived::File(size) = arrived {
                    self.fetched(path, size);
                }
            }
            Step::Pom(of) => {
                let pom = match arrived {
                    Arrived::Pom(pom, size) => {
                        self.pom_bytes = self.pom_bytes.saturating_add(size);
                        Some((pom, size))
                    }
                    _ => None,
                };
                self.poms.insert(of.clone(), pom);
                self.want_file_of(&of);
                let waiting = self.waiting.remove(&of).unwrap_or_default();
                self.visit(waiting);
            }
        }
        if self.poms.len() > MEMORY || self.steps.len() > MEMORY.saturating_mul(4) || self.pom_bytes > MEMORY_BYTES {
            self.begin_anew();
        }
    }

    /// Ends what nobody waits for any more.
    pub(super) fn rest(&mut self, now: u64) {
        if now.saturating_sub(self.last_asked) > self.limits.pause_s && !self.is_empty() {
            self.begin_anew();
        }
    }

    fn begin_anew(&mut self) {
        let Self { limits, files_under_way, last_asked, .. } = self;
        *self = Self { files_under_way: *files_under_way, last_asked: *last_asked, ..Self::new(limits.clone()) };
    }

    fn fetched(&mut self, path: RepoPath, size: u64) {
        self.unasked_bytes = self.unasked_bytes.saturating_add(size);
        self.unasked.insert(path, size);
    }

    /// Expects what the POMs of these releases say, or asks for what is missing to understand them.
    fn visit(&mut self, mut visits: Vec<Visit>) {
        while let Some(visit) = visits.pop() {
            if self.visited.contains(&visit.of) {
                continue;
            }
            if !self.is_near(&visit) {
                for of in visit.trail.iter().chain([&visit.of]) {
                    self.parked.entry(of.clone()).or_default().push(visit.clone());
                }
                continue;
            }
            let expected = match self.understand(&visit) {
                Ok(expected) => expected,
                Err(missing) => {
                    for of in &missing {
                        self.want_pom(of);
                    }
                    if let Some(first) = missing.into_iter().next() {
                        self.waiting.entry(first).or_default().push(visit);
                    }
                    continue;
                }
            };
            self.visited.insert(visit.of.clone());
            // What a plugin needs is asked for when it runs, and not every plugin whose POM is read does.
            let may_not_run = self.is_plugin(&visit.of);
            let mut trail = vec![visit.of];
            trail.extend(visit.trail);
            trail.truncate(AHEAD);
            for Next { of, file, excluded, runs } in expected {
                self.want_pom(&of);
                if let Some(file) = file.filter(|_| !may_not_run && self.is_first(&of)) {
                    self.want_file(file.path());
                }
                let trail = if runs || may_not_run { Vec::new() } else { trail.clone() };
                visits.push(Visit { of, trail, role: Role::Library, excluded });
            }
        }
    }

    fn is_plugin(&self, of: &Coordinates) -> bool {
        matches!(self.poms.get(of), Some(Some((pom, _))) if pom.effective_packaging() == "maven-plugin")
    }

    /// Whether a client has got so far that what this release needs is worth knowing.
    fn is_near(&self, visit: &Visit) -> bool {
        self.asked.contains(&visit.of) || visit.trail.iter().any(|of| self.asked.contains(of))
    }

    /// What a client asks for next, or the POMs that are not here yet and without which that is not known.
    fn understand(&self, visit: &Visit) -> Result<Vec<Next>, Vec<Coordinates>> {
        let mut bytes = 0;
        let own = self.ancestors(&visit.of, &mut bytes)?;
        let Some(pom) = own.first().copied() else { return Ok(Vec::new()) };
        let is_parent = pom.effective_packaging() == "pom";
        let role = if is_parent { visit.role } else { Role::Library };
        let imported = self.imported(&own, &mut bytes)?;
        if bytes > FAMILY_BYTES {
            return Ok(Vec::new());
        }
        let family =
            Family { own: Lineage::new(&own), imported: imported.iter().map(|poms| Lineage::new(poms)).collect() };
        Ok(family.expect(pom, role, &visit.excluded))
    }

    /// The bills of materials that these POMs import, and those that they import.
    fn imported(&self, own: &[&Pom], bytes: &mut u64) -> Result<Vec<Vec<&Pom>>, Vec<Coordinates>> {
        let mut missing = Vec::new();
        let mut imported: Vec<Vec<&Pom>> = Vec::new();
        let mut seen = HashSet::new();
        let mut wanted: VecDeque<Coordinates> = Lineage::new(own).imports().collect();
        while let Some(of) = wanted.pop_front() {
            if *bytes > FAMILY_BYTES || seen.len() >= DEPTH || !seen.insert(of.clone()) {
                continue;
            }
            match self.ancestors(&of, bytes) {
                Ok(poms) => {
                    wanted.extend(Lineage::new(&poms).imports());
                    imported.push(poms);
                }
                Err(more) => missing.extend(more),
            }
        }
        if missing.is_empty() { Ok(imported) } else { Err(missing) }
    }

    /// The POM of a release and its parents as far as they can be had.
    fn ancestors(&self, of: &Coordinates, bytes: &mut u64) -> Result<Vec<&Pom>, Vec<Coordinates>> {
        let mut poms: Vec<&Pom> = Vec::new();
        let mut next = Some(of.clone());
        while let Some(of) = next.filter(|_| poms.len() < DEPTH) {
            let Some(pom) = self.poms.get(&of) else { return Err(vec![of]) };
            let Some((pom, size)) = pom else { break };
            *bytes = bytes.saturating_add(*size);
            poms.push(pom);
            next = pom.parent_coordinates().ok().flatten();
        }
        Ok(poms)
    }

    fn want_pom(&mut self, of: &Coordinates) {
        if !self.poms.contains_key(of) && !self.waiting.contains_key(of) {
            self.waiting.insert(of.clone(), Vec::new());
            self.steps.insert(of.pom_path());
            self.poms_next.push_back(of.clone());
        }
    }

    /// A client that got the POM of a release asks for its file, if it has one and is not dropped for another version.
    fn want_file_of(&mut self, of: &Coordinates) {
        let Some(Some((pom, _))) = self.poms.get(of) else { return };
        if self.asked.contains(of)
            && let Some(file) = main_file(of, pom.effective_packaging())
        {
            self.want_file(file.path());
        }
    }

    /// Of several versions of one artifact clients take one, in most cases the one that they meet first.
    fn is_first(&mut self, of: &Coordinates) -> bool {
        let first = self.first.entry((of.group.clone(), of.artifact.clone()));
        *first.or_insert_with(|| of.version.clone()) == of.version
    }

    fn want_file(&mut self, path: RepoPath) {
        if self.files_next.len() < MEMORY && self.steps.insert(path.clone()) {
            self.files_next.push_back(path);
        }
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
