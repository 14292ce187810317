//! Standing verdicts folder by folder: what it costs is bounded by what is asked for, not by how many there are.

use std::ops::Bound;

use maven_layout::{Coordinates, GroupId, RepoPath, Version};

use super::State;
use super::queries::{At, Place};
use crate::Verdict;

/// How a walk over verdicts goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beyond {
    /// With the next release.
    Release,
    /// Behind the releases that share the first so many bytes of this one's folder, and a slash after them, as far as they follow
    /// it: a group's own releases and those of the groups below it are apart in this order, so one of each may be shown.
    Folder(usize),
    /// Not at all.
    Stop,
}

/// Which verdicts a walk is about, and where in their order it is.
struct Walked {
    /// The group, or the beginning of the groups below one.
    group: String,
    /// The groups that begin so; else this one.
    nested: bool,
    artifact: Option<String>,
}

impl Walked {
    fn holds(&self, of: &Coordinates) -> bool {
        let group =
            if self.nested { of.group.as_str().starts_with(&self.group) } else { of.group.as_str() == self.group };
        group && self.artifact.as_ref().is_none_or(|artifact| of.artifact.as_str() == artifact)
    }
}

impl State {
    /// Shows the standing verdicts on releases whose folder lies below a folder of the repository or is it (none: all), in the
    /// order of their coordinates. A folder that is passed over costs one step.
    pub fn verdicts_below(&self, folder: Option<&RepoPath>, mut visit: impl FnMut(&Verdict) -> Beyond) {
        let Some(folder) = folder else {
            self.walk(&Walked { group: String::new(), nested: true, artifact: None }, &mut visit);
            return;
        };
        let segments: Vec<&str> = folder.segments().collect();
        let group = |parts: &[&str]| {
            // A dot in a folder's name belongs to an artifact or a version.
            let is_group = !parts.is_empty() && parts.iter().all(|part| !part.contains('.'));
            is_group.then(|| parts.join("."))
        };
        if let Some(group) = group(&segments)
            && (!self.walk(&Walked { group: group.clone(), nested: false, artifact: None }, &mut visit)
                || !self.walk(&Walked { group: format!("{group}."), nested: true, artifact: None }, &mut visit))
        {
            return;
        }
        if let [above @ .., artifact] = segments.as_slice()
            && let Some(group) = group(above)
            && !self.walk(&Walked { group, nested: false, artifact: Some((*artifact).to_owned()) }, &mut visit)
        {
            return;
        }
        if let [above @ .., artifact, version] = segments.as_slice()
            && let Some(group) = group(above)
            && let (Ok(group), Ok(artifact), Ok(version)) =
                (group.parse::<GroupId>(), artifact.parse(), version.parse::<Version>())
            && let Some(verdict) = self.verdict(&Coordinates::new(group, artifact, version))
        {
            visit(verdict);
        }
    }

    /// Standing verdicts behind a release (none: from the first one), in the order of their coordinates.
    pub fn verdicts_after<'a>(&'a self, after: Option<&'a Coordinates>) -> impl Iterator<Item = &'a Verdict> + 'a {
        let from = after.map_or(Bound::Unbounded, |after| Bound::Excluded(after as &dyn Place));
        self.standing
            .range::<dyn Place + 'a, _>((from, Bound::Unbounded))
            .map(|(_, standing)| standing.verdict.as_ref())
    }

    /// The groups of standing verdicts, in order; each costs one step.
    pub fn groups_with_verdicts(&self) -> impl Iterator<Item = &GroupId> {
        let mut from = String::new();
        std::iter::from_fn(move || {
            let at = At { group: &from, artifact: "" };
            let begin: Bound<&dyn Place> = Bound::Included(&at);
            let (next, _) = self.standing.range::<dyn Place + '_, _>((begin, Bound::Unbounded)).next()?;
            from = behind(next.group.as_str());
            Some(&next.group)
        })
    }

    /// False if the visitor has seen enough.
    fn walk(&self, walked: &Walked, visit: &mut impl FnMut(&Verdict) -> Beyond) -> bool {
        let mut from = (walked.group.clone(), walked.artifact.clone().unwrap_or_default());
        loop {
            let mut next = None;
            let at = At { group: &from.0, artifact: &from.1 };
            let begin: Bound<&dyn Place> = Bound::Included(&at);
            for (of, standing) in self.standing.range::<dyn Place + '_, _>((begin, Bound::Unbounded)) {
                if !walked.holds(of) {
                    return true;
                }
                match visit(&standing.verdict) {
                    Beyond::Stop => return false,
                    Beyond::Release => {}
                    Beyond::Folder(length) => {
                        next = past(of, length);
                        if next.is_some() {
                            break;
                        }
                    }
                }
            }
            match next {
                Some(next) => from = next,
                None => return true,
            }
        }
    }
}

/// The place behind the releases that share the first bytes of this one's folder; none: the next one.
fn past(of: &Coordinates, length: usize) -> Option<(String, String)> {
    let (group, artifact) = (of.group.as_str(), of.artifact.as_str());
    if length < group.len() {
        // The slash's place in a group is a dot's, and the character behind a dot is a slash.
        return Some((format!("{}/", group.get(..length)?), String::new()));
    }
    if length == group.len() {
        return Some((behind(group), String::new()));
    }
    (length <= group.len() + 1 + artifact.len()).then(|| (group.to_owned(), behind(artifact)))
}

/// The least text that is greater.
fn behind(text: &str) -> String {
    format!("{text}\0")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use pyrsia_digest::Sha256;

    use super::super::Standing;
    use super::*;
    use crate::{Authority, AuthorityKey, Constants, Genesis, Mode, RoundKey, VerdictState};

    /// A state with a verdict on each of these.
    fn state(releases: &[&str]) -> State {
        let authority = Authority {
            name: "a".into(),
            authority_key: AuthorityKey::from_seed(&[1; 32]).public(),
            consensus_key: AuthorityKey::from_seed(&[2; 32]).public(),
        };
        let (nonce, constants) = ([1; 32], Constants::default());
        let genesis = Genesis { name: "test".into(), nonce, authorities: vec![authority], constants };
        let mut state = State::new(&genesis).unwrap();
        for release in releases {
            let coordinates: Coordinates = release.parse().unwrap();
            let any = Sha256::of(b"");
            let verdict = Verdict {
                coordinates: coordinates.clone(),
                round: RoundKey(any),
                index: 0,
                mode: Mode::Upstream,
                state: VerdictState::Identical,
                files: Vec::new(),
                repository: "https://git.example/acme/lib".parse().unwrap(),
                commit: "0123456789012345678901234567890123456789".parse().unwrap(),
                tag: None,
                specification: any,
                image: any,
                inputs_root: None,
                outputs_root: any,
                source_tree: None,
                threshold: 1,
                committee_size: 1,
            };
            let standing = Standing { verdict: Arc::new(verdict), files: std::collections::BTreeMap::new() };
            Arc::make_mut(&mut state.standing).insert(coordinates, Arc::new(standing));
        }
        state
    }

    const RELEASES: [&str; 9] = [
        "com.example:tool:1.0",
        "org:acme:lib",
        "org.acme:lib:1.0",
        "org.acme:lib:1.10",
        "org.acme:lib-x:1.0",
        "org.acme-x:other:1.0",
        "org.acme.lib:deep:1.0",
        "org.acme.lib.er:deep:2.0",
        "org.acme0:zero:1.0",
    ];

    fn below(state: &State, folder: Option<&str>, mut beyond: impl FnMut(&Verdict) -> Beyond) -> Vec<String> {
        let folder: Option<RepoPath> = folder.map(|folder| folder.parse().unwrap());
        let mut seen = Vec::new();
        state.verdicts_below(folder.as_ref(), |verdict| {
            seen.push(verdict.coordinates.to_string());
            beyond(verdict)
        });
        seen
    }

    #[test]
    fn a_folder_has_the_releases_of_groups_artifacts_and_versions_of_its_name() {
        let state = state(&RELEASES);
        let all = |folder| below(&state, folder, |_| Beyond::Release);
        assert_eq!(all(None).len(), RELEASES.len());
        for folder in ["org", "org/acme", "org/acme/lib", "org/acme/lib/1.0", "com", "org/acme-x", "org/ac", "none/1.0"]
        {
            let mut expected: Vec<String> = RELEASES
                .iter()
                .map(|release| release.parse::<Coordinates>().unwrap())
                .filter(|of| format!("{}/", of.dir()).starts_with(&format!("{folder}/")))
                .map(|of| of.to_string())
                .collect();
            let mut found = all(Some(folder));
            expected.sort();
            found.sort();
            assert_eq!(found, expected, "{folder}");
        }
        assert_eq!(below(&state, None, |_| Beyond::Stop).len(), 1);
        assert_eq!(below(&state, Some("org/acme"), |_| Beyond::Stop).len(), 1);
    }

    #[test]
    fn what_is_passed_over_costs_a_step_or_two() {
        let many: Vec<String> = (0..2_000)
            .flat_map(|n| [format!("org.acme.g{}:a{}:1.{n}", n % 3, n % 7), format!("org.acme:lib:{n}")])
            .chain(RELEASES.map(str::to_owned))
            .collect();
        let state = state(&many.iter().map(String::as_str).collect::<Vec<_>>());
        // The children of a folder, as a listing asks for them.
        let children = |folder: Option<&str>| {
            let begin = folder.map_or(0, |folder| folder.len() + 1);
            let mut names = std::collections::BTreeSet::new();
            let steps = below(&state, folder, |verdict| {
                let dir = verdict.coordinates.dir().to_string();
                let child = dir[begin..].split('/').next().unwrap();
                names.insert(child.to_owned());
                Beyond::Folder(begin + child.len())
            });
            (names.into_iter().collect::<Vec<_>>(), steps.len())
        };
        assert_eq!(children(None), (vec!["com".to_owned(), "org".to_owned()], 3));
        let (names, steps) = children(Some("org/acme"));
        assert_eq!(names, ["g0", "g1", "g2", "lib", "lib-x"]);
        assert!(steps <= 2 * names.len() + 1, "{steps}");
        let groups: Vec<&str> = state.groups_with_verdicts().map(|group| group.as_str()).collect();
        assert_eq!(groups.len(), 10, "{groups:?}");
        assert!(groups.is_sorted());
    }

    #[test]
    fn pages_of_verdicts_follow_each_other() {
        let state = state(&RELEASES);
        let mut after: Option<Coordinates> = None;
        let mut seen = Vec::new();
        loop {
            let page: Vec<Coordinates> =
                state.verdicts_after(after.as_ref()).take(2).map(|verdict| verdict.coordinates.clone()).collect();
            let Some(last) = page.last().cloned() else { break };
            seen.extend(page.iter().map(ToString::to_string));
            after = Some(last);
        }
        assert_eq!(seen, below(&state, None, |_| Beyond::Release));
    }
}
