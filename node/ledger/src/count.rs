//! Counting the results of a round. A pure function of the eligible results.

use std::collections::{BTreeMap, BTreeSet};

use maven_layout::Coordinates;
use pyrsia_digest::Sha256;

use crate::{FailureKind, FileResult, FileVerdict, Outcome, PublicKey, RoundResult, VerdictState, VoidReason};

/// One eligible result.
#[derive(Debug, Clone, Copy)]
pub struct Ballot<'a> {
    /// Who found it.
    pub authority: PublicKey,
    /// Whether a timely commitment stands behind it.
    pub timely: bool,
    /// What was found.
    pub result: &'a RoundResult,
}

/// What the results amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Count {
    /// Fewer results than a quorum: nothing can be said.
    TooFew,
    /// A quorum saw the build tool fail in the same way.
    Failed(FailureKind),
    /// A quorum saw that the build was fed its own result.
    Void(VoidReason),
    /// The files, by text of the coordinates and name, and whether results still to come cannot change anything.
    Files {
        /// Each file's verdict, with the release that it belongs to.
        files: BTreeMap<(String, String), (Coordinates, FileVerdict)>,
        /// SHA-256 of the source tree, when a quorum found the same.
        source_tree: Option<Sha256>,
        /// Whether every file has a value that a quorum shares.
        settled: bool,
    },
}

impl Count {
    /// Whether no further result can change it: a quorum is more than half, so no second one can form.
    pub fn is_settled(&self) -> bool {
        match self {
            Self::TooFew => false,
            Self::Failed(_) | Self::Void(_) => true,
            Self::Files { settled, .. } => *settled,
        }
    }
}

/// What is voted on for a file. Digests of rebuilt bytes count for native files only: builders that differ in raw bytes
/// can still agree that an upstream file is `equivalent` or `different`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Value<'a> {
    Absent,
    Native(Option<Sha256>),
    Upstream { reference: Option<Sha256>, outcome: Outcome, normalisers: &'a [String], normalised: Option<Sha256> },
}

impl<'a> Value<'a> {
    fn of(file: Option<&'a FileResult>) -> Self {
        match file {
            None => Self::Absent,
            Some(file) if file.outcome == Outcome::Native => Self::Native(file.digest),
            Some(file) => Self::Upstream {
                reference: file.reference,
                outcome: file.outcome,
                normalisers: &file.normalisers,
                normalised: file.normalised,
            },
        }
    }
}

/// Quorum and number of tolerated liars.
#[derive(Debug, Clone, Copy)]
pub struct Thresholds {
    /// q.
    pub quorum: usize,
    /// f.
    pub faulty: usize,
}

/// Votes for each value; late ones count once f + 1 timely ones are equal, so that a late liar cannot make a value.
struct Tally<V> {
    votes: BTreeMap<V, (usize, usize)>,
    thresholds: Thresholds,
}

impl<V: Ord> Tally<V> {
    fn new(thresholds: Thresholds, votes: impl IntoIterator<Item = (V, bool)>) -> Self {
        let mut tally = Self { votes: BTreeMap::new(), thresholds };
        for (value, timely) in votes {
            let (timely_votes, late_votes) = tally.votes.entry(value).or_default();
            *(if timely { timely_votes } else { late_votes }) += 1;
        }
        tally
    }

    fn winner(self) -> Option<V> {
        let Thresholds { quorum, faulty } = self.thresholds;
        self.votes
            .into_iter()
            .find(|(_, (timely, late))| {
                let counted = if *timely > faulty { timely + late } else { *timely };
                counted >= quorum
            })
            .map(|(value, _)| value)
    }
}

/// Counts the eligible results, in any order.
pub fn count(thresholds: Thresholds, ballots: &[Ballot<'_>]) -> Count {
    if ballots.len() < thresholds.quorum {
        return Count::TooFew;
    }
    let failed = ballots.iter().filter_map(|ballot| match ballot.result {
        RoundResult::Failed(failed) => Some((failed.kind, ballot.timely)),
        _ => None,
    });
    if let Some(kind) = Tally::new(thresholds, failed).winner() {
        return Count::Failed(kind);
    }
    let void = ballots.iter().filter_map(|ballot| match ballot.result {
        RoundResult::Void { reason } => Some((*reason, ballot.timely)),
        _ => None,
    });
    if let Some(reason) = Tally::new(thresholds, void).winner() {
        return Count::Void(reason);
    }
    count_files(thresholds, ballots)
}

type Name = (String, String);

fn count_files(thresholds: Thresholds, ballots: &[Ballot<'_>]) -> Count {
    let mut built: Vec<(PublicKey, bool, BTreeMap<Name, &FileResult>)> = Vec::new();
    let mut trees = Vec::new();
    for ballot in ballots {
        if let RoundResult::Built(result) = ballot.result {
            let files = result.files.iter().map(|file| ((file.coordinates.to_string(), file.name.clone()), file));
            built.push((ballot.authority, ballot.timely, files.collect()));
            trees.push((result.source_tree, ballot.timely));
        }
    }
    built.sort_by_key(|(authority, ..)| *authority);
    let names: BTreeSet<&Name> = built.iter().flat_map(|(_, _, files)| files.keys()).collect();
    // A name that nobody has mentioned yet: is it certain that a quorum does not have it?
    let unknown = built.iter().map(|(_, timely, _)| (Value::Absent, *timely));
    let mut settled = Tally::new(thresholds, unknown).winner().is_some();
    let mut verdicts = BTreeMap::new();
    for name in names {
        let votes = built.iter().map(|(_, timely, files)| (Value::of(files.get(name).copied()), *timely));
        let winner = Tally::new(thresholds, votes).winner();
        settled &= winner.is_some();
        if winner == Some(Value::Absent) {
            continue;
        }
        let Some(coordinates) = built.iter().find_map(|(_, _, files)| files.get(name)).map(|f| f.coordinates.clone())
        else {
            continue;
        };
        let verdict = file_verdict(thresholds, &name.1, winner.as_ref(), &built, name);
        verdicts.insert(name.clone(), (coordinates, verdict));
    }
    let source_tree = Tally::new(thresholds, trees).winner();
    Count::Files { files: verdicts, source_tree, settled }
}

fn file_verdict(
    thresholds: Thresholds,
    file_name: &str,
    winner: Option<&Value<'_>>,
    built: &[(PublicKey, bool, BTreeMap<Name, &FileResult>)],
    name: &Name,
) -> FileVerdict {
    let mut agreed = Vec::new();
    let mut dissent = Vec::new();
    let mut rebuilt = BTreeSet::new();
    for (authority, _, files) in built {
        let file = files.get(name).copied();
        if Some(&Value::of(file)) == winner {
            agreed.push(*authority);
            rebuilt.insert(file.and_then(|file| file.digest));
        } else {
            dissent.push((*authority, file.and_then(|file| file.digest)));
        }
    }
    let mut verdict = FileVerdict {
        name: file_name.to_owned(),
        state: VerdictState::Disputed,
        sha256: None,
        outcome: None,
        normalisers: Vec::new(),
        normalised: None,
        rebuilt: if rebuilt.len() == 1 { rebuilt.into_iter().next().flatten() } else { None },
        agreed_by: agreed,
        dissent,
    };
    match winner {
        Some(Value::Native(digest)) => {
            verdict.state = VerdictState::Published;
            verdict.sha256 = *digest;
            verdict.outcome = Some(Outcome::Native);
        }
        Some(Value::Upstream { reference, outcome, normalisers, normalised }) => {
            verdict.state = match outcome {
                Outcome::Identical => VerdictState::Identical,
                Outcome::Equivalent => VerdictState::Equivalent,
                Outcome::Different | Outcome::NotBuilt | Outcome::Extra | Outcome::Native => VerdictState::Different,
            };
            verdict.sha256 = *reference;
            verdict.outcome = Some(*outcome);
            verdict.normalisers = normalisers.to_vec();
            verdict.normalised = *normalised;
        }
        // Disputed: a quorum may still agree on what upstream has, which says which bytes may be served.
        Some(Value::Absent) | None => {
            let references =
                built.iter().map(|(_, timely, files)| (files.get(name).and_then(|file| file.reference), *timely));
            verdict.sha256 = Tally::new(thresholds, references).winner().flatten();
        }
    }
    verdict
}
